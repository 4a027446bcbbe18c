//! One user's requests, one after the other, on an HTTP/1.1 connection of its own or an HTTP/2 connection that it shares.
//! Every answer is checked.
//!
//! The hot path: a request is built once, written with one call; the answer is parsed in place in a buffer that lives
//! as long as the connection; nothing is allocated for a request. The buffer is small until a large answer comes, so that
//! ten thousand users fit. A watchdog timer is armed once per time limit, not once
//! per request.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::framing::{self, BODY_BYTES_KEPT, BODY_BYTES_MAX, Body, Chunks, HEAD_BYTES_MAX, Heads};
use super::http2::{self, Connection, Connections};
use super::interval::{Failure, Reply};
use super::plan::TargetPlan;
use super::redirect;
use super::request::{Request, Server};
use super::scenario::Expect;
use super::stream::{self, Effort, Stream};
use crate::clock;

/// Head and a small body arrive in one read.
const BUFFER_BYTES_MIN: usize = 2 * 1024;
const BUFFER_BYTES: usize = 2 * HEAD_BYTES_MAX;
/// After a failed connect the next one waits, so that a dead server is not flooded.
const CONNECT_PAUSE: Duration = Duration::from_millis(10);

/// Sends requests to one server, one after the other.
pub struct Client {
    wire: Wire,
    /// When it fires, the request under way is looked at; armed once per time limit, not once per request.
    watchdog: Pin<Box<dyn Future<Output = ()>>>,
    /// No request's time limit is shorter.
    timeout_min: Duration,
}

/// A complete answer.
struct Answer {
    status: u16,
    /// In the buffer.
    instance: Option<Range<usize>>,
    /// Where a redirect points; in the buffer.
    location: Option<Range<usize>>,
    /// The body's first bytes: in the buffer, or in `Wire::body` where they did not arrive in one piece.
    body: Option<Range<usize>>,
}

impl Client {
    /// `turn` says which of the host's addresses to try first: it spreads connections over a load balancer's nodes.
    pub fn new(server: &Server, timeout_min: Duration, turn: usize) -> Self {
        let watchdog = Box::pin(clock::sleep(timeout_min));
        Self { wire: Wire::new(server, turn), watchdog, timeout_min }
    }

    /// As the target's requests are to be sent; on one of these connections where that is in HTTP/2.
    pub fn of(target: &TargetPlan, turn: usize, connections: &Connections) -> Self {
        let mut client = Self::new(&target.server, target.timeout_min, turn);
        client.wire.shared = target.http2.then(|| connections.join(turn));
        client
    }

    /// Sends one request at `sent`, which is now, and reads its whole answer. `row` is that of the scenario's data.
    pub async fn send(&mut self, request: &Request, row: Option<&[String]>, sent: Instant) -> Reply<'_> {
        (self.wire.effort.opened, self.wire.effort.retried) = (0, false);
        let outcome = {
            let mut exchange = std::pin::pin!(self.wire.exchange(request, row));
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut exchange => break outcome,
                    () = &mut self.watchdog => {
                        let left = (sent + request.timeout).saturating_duration_since(clock::instant());
                        let expired = left.is_zero();
                        let next = if expired { self.timeout_min } else { left.min(self.timeout_min) };
                        self.watchdog = Box::pin(clock::sleep(next));
                        if expired {
                            break Err(Failure::Timeout);
                        }
                    }
                }
            }
        };
        match outcome {
            Ok(answer) => self.checked(answer, &request.expect),
            Err(failure) => {
                self.wire.stream = None;
                if matches!(failure, Failure::Connect | Failure::Exhausted | Failure::Tls) {
                    clock::sleep(CONNECT_PAUSE).await;
                }
                Reply { failure: Some(failure), ..self.wire.reply() }
            }
        }
    }

    /// Why the last connection could not be opened.
    pub fn trouble(&self) -> Option<&str> {
        self.wire.effort.trouble.as_deref()
    }

    fn checked(&self, answer: Answer, expect: &Expect) -> Reply<'_> {
        let body = answer.body.map_or(self.wire.body.as_slice(), |range| &self.wire.buffer[range]);
        let header = answer.instance.map(|range| &self.wire.buffer[range]);
        let instance = header.and_then(|name| std::str::from_utf8(name).ok()).or_else(|| framing::instance_id(body));
        let failure = if answer.status != expect.status {
            Some(Failure::Status)
        } else if expect.contains.as_ref().is_some_and(|text| !contains(body, text.as_bytes())) {
            Some(Failure::Body)
        } else {
            None
        };
        Reply { status: Some(answer.status), instance, failure, ..self.wire.reply() }
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

/// What goes out at once.
#[derive(Clone, Copy)]
struct Ask<'a> {
    bytes: &'a [u8],
    is_head: bool,
    is_idempotent: bool,
    keep_alive: bool,
}

/// A connection; opened by the first request, and again whenever the server closed it.
struct Wire {
    server: Server,
    stream: Option<Stream>,
    /// Whether the stream has already carried an answer.
    reused: bool,
    buffer: Vec<u8>,
    heads: Heads,
    /// The body's first bytes where they are not in `buffer` in one piece.
    body: Vec<u8>,
    /// The request of a row.
    written: Vec<u8>,
    /// Of the request under way.
    effort: Effort,
    turn: usize,
    /// In place of `stream`.
    shared: Option<Rc<Connection>>,
}

impl Wire {
    fn new(server: &Server, turn: usize) -> Self {
        Self {
            server: server.clone(),
            stream: None,
            reused: false,
            buffer: vec![0; BUFFER_BYTES_MIN],
            heads: Heads::default(),
            body: Vec::new(),
            written: Vec::new(),
            effort: Effort::default(),
            turn,
            shared: None,
        }
    }

    fn reply(&self) -> Reply<'static> {
        Reply { opened: self.effort.opened, retried: self.effort.retried, ..Reply::default() }
    }

    async fn exchange(&mut self, request: &Request, row: Option<&[String]>) -> Result<Answer, Failure> {
        let mut written = std::mem::take(&mut self.written);
        let bytes = match (&request.template, row) {
            (Some(template), Some(row)) => {
                template.write(row, &mut written);
                written.as_slice()
            }
            _ => &request.bytes,
        };
        let (is_head, is_idempotent, keep_alive) = (request.is_head, request.is_idempotent, request.keep_alive);
        let mut answer = self.ask(Ask { bytes, is_head, is_idempotent, keep_alive }).await?;
        let mut followed: Option<redirect::Followed> = None;
        for _ in 0..request.redirects {
            let asked = followed.as_ref().map_or(bytes, |followed| &followed.bytes);
            let location = answer.location.clone().map(|range| &self.buffer[range]);
            let Some(next) = location.and_then(|to| redirect::follow(asked, answer.status, to, &self.server)) else {
                break;
            };
            // What is asked for after a redirect is a GET, or what the first request was.
            let is_idempotent = is_idempotent || next.is_get;
            answer = self.ask(Ask { bytes: &next.bytes, is_head, is_idempotent, keep_alive }).await?;
            followed = Some(next);
        }
        self.written = written;
        Ok(answer)
    }

    async fn ask(&mut self, ask: Ask<'_>) -> Result<Answer, Failure> {
        if let Some(connection) = &self.shared {
            let connection = connection.clone();
            return Box::pin(self.ask_on(&connection, ask)).await;
        }
        self.drop_stale();
        loop {
            if self.stream.is_none() {
                self.connect().await.map_err(|error| {
                    self.effort.trouble = Some(error.to_string());
                    stream::failure(&error)
                })?;
            }
            let mut stream = self.stream.take().expect("connected above");
            match self.first_bytes(&mut stream, ask.bytes).await {
                Ok(filled) => return self.answer(stream, filled, ask).await,
                // Nothing of an answer came: the request may be sent again on a fresh connection (RFC 9112, section
                // 9.3.1), once. The server may have died with it, so it is counted.
                Err(_) if self.reused && ask.is_idempotent => self.effort.retried = true,
                Err(_) => return Err(Failure::Reset),
            }
        }
    }

    /// A connection that the server closed while it was idle carries nothing any more, and costs no retry.
    fn drop_stale(&mut self) {
        if self.stream.as_mut().is_some_and(|stream| stream.is_stale(&mut self.buffer[..1])) {
            self.stream = None;
        }
    }

    async fn connect(&mut self) -> io::Result<()> {
        let stream = stream::connect(&self.server, self.turn).await?;
        let host = self.server.host_name();
        let stream = if self.server.tls { Stream::tls(stream, host).await? } else { Stream::Plain(stream) };
        self.effort.opened += 1;
        self.reused = false;
        self.stream = Some(stream);
        Ok(())
    }

    /// In HTTP/2. What is kept of the head is in the buffer, as it is in HTTP/1.1.
    async fn ask_on(&mut self, connection: &Connection, ask: Ask<'_>) -> Result<Answer, Failure> {
        let Self { server, effort, buffer, body, .. } = self;
        let asked = http2::Ask { server, bytes: ask.bytes, is_idempotent: ask.is_idempotent };
        let answer = connection.ask(asked, effort, body).await?;
        buffer.clear();
        let mut keep = |value: &[u8]| {
            buffer.extend_from_slice(value);
            buffer.len() - value.len()..buffer.len()
        };
        let instance = answer.instance.map(|value| keep(value.as_bytes()));
        let location = answer.location.map(|value| keep(value.as_bytes()));
        Ok(Answer { status: answer.status, instance, location, body: None })
    }

    /// Sends the request and waits for the first bytes of the answer.
    async fn first_bytes(&mut self, stream: &mut Stream, request: &[u8]) -> io::Result<usize> {
        stream.write_all(request).await?;
        stream.flush().await?;
        match stream.read(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            filled => Ok(filled),
        }
    }

    /// Reads the rest of the answer; keeps the stream where it can carry another.
    async fn answer(&mut self, mut stream: Stream, mut filled: usize, ask: Ask<'_>) -> Result<Answer, Failure> {
        let head = loop {
            match self.heads.read(&self.buffer[..filled])? {
                // An interim answer (103 Early Hints): the real one follows.
                Some(interim) if interim.status < 200 => {
                    self.buffer.copy_within(interim.bytes..filled, 0);
                    filled -= interim.bytes;
                    if filled == 0 {
                        filled = more(&mut stream, &mut self.buffer).await?;
                    }
                }
                Some(head) => break head,
                None => {
                    if filled == self.buffer.len() && filled < BUFFER_BYTES {
                        self.buffer.resize(2 * filled, 0);
                    }
                    filled += more(&mut stream, &mut self.buffer[filled..]).await?;
                }
            }
        };
        self.body.clear();
        let body = match head.body {
            _ if ask.is_head && filled == head.bytes => Some(filled..filled),
            _ if ask.is_head => return Err(Failure::Protocol),
            Body::Length(length) => self.sized(&mut stream, head.bytes..filled, length).await?,
            Body::Chunked => self.chunked(&mut stream, head.bytes..filled).await?,
            Body::UntilClose => self.until_close(&mut stream, head.bytes..filled).await?,
        };
        if !head.closes && ask.keep_alive {
            self.stream = Some(stream);
            self.reused = true;
        }
        Ok(Answer { status: head.status, instance: head.instance, location: head.location, body })
    }

    async fn sized(
        &mut self,
        stream: &mut Stream,
        arrived: Range<usize>,
        length: u64,
    ) -> Result<Option<Range<usize>>, Failure> {
        let mut seen = arrived.len() as u64;
        if length > BODY_BYTES_MAX {
            return Err(Failure::Size);
        }
        if seen > length {
            return Err(Failure::Protocol);
        }
        if seen == length {
            return Ok(Some(arrived));
        }
        self.keep(arrived.clone());
        self.make_room();
        // The head stays where it is: the instance's name is in it.
        while seen < length {
            let room = usize::try_from(length - seen).unwrap_or(usize::MAX).min(BUFFER_BYTES - HEAD_BYTES_MAX);
            let read = more(stream, &mut self.buffer[HEAD_BYTES_MAX..HEAD_BYTES_MAX + room]).await?;
            self.keep(HEAD_BYTES_MAX..HEAD_BYTES_MAX + read);
            seen += read as u64;
        }
        Ok(None)
    }

    async fn chunked(
        &mut self,
        stream: &mut Stream,
        mut arrived: Range<usize>,
    ) -> Result<Option<Range<usize>>, Failure> {
        let mut chunks = Chunks::default();
        let mut seen = 0;
        loop {
            let (buffer, body) = (&self.buffer, &mut self.body);
            let (used, done) = chunks.read(&buffer[arrived.clone()], |payload| {
                let room = BODY_BYTES_KEPT.saturating_sub(body.len()).min(payload.len());
                body.extend_from_slice(&payload[..room]);
            })?;
            seen += arrived.len() as u64;
            if seen > BODY_BYTES_MAX {
                return Err(Failure::Size);
            }
            if done && used < arrived.len() {
                return Err(Failure::Protocol);
            }
            if done {
                return Ok(None);
            }
            self.make_room();
            let read = more(stream, &mut self.buffer[HEAD_BYTES_MAX..]).await?;
            arrived = HEAD_BYTES_MAX..HEAD_BYTES_MAX + read;
        }
    }

    async fn until_close(
        &mut self,
        stream: &mut Stream,
        arrived: Range<usize>,
    ) -> Result<Option<Range<usize>>, Failure> {
        let mut seen = arrived.len() as u64;
        self.keep(arrived);
        self.make_room();
        loop {
            let read = stream.read(&mut self.buffer[HEAD_BYTES_MAX..]).await.map_err(|_| Failure::Reset)?;
            if read == 0 {
                return Ok(None);
            }
            seen += read as u64;
            if seen > BODY_BYTES_MAX {
                return Err(Failure::Size);
            }
            self.keep(HEAD_BYTES_MAX..HEAD_BYTES_MAX + read);
        }
    }

    /// For the rest of a body, behind the longest head.
    fn make_room(&mut self) {
        if self.buffer.len() < BUFFER_BYTES {
            self.buffer.resize(BUFFER_BYTES, 0);
        }
    }

    fn keep(&mut self, range: Range<usize>) {
        let room = BODY_BYTES_KEPT.saturating_sub(self.body.len()).min(range.len());
        self.body.extend_from_slice(&self.buffer[range.start..range.start + room]);
    }
}

/// Reads at least one byte; the end of the stream in the middle of an answer is a reset.
async fn more(stream: &mut Stream, buffer: &mut [u8]) -> Result<usize, Failure> {
    if buffer.is_empty() {
        return Err(Failure::Protocol);
    }
    match stream.read(buffer).await {
        Ok(0) | Err(_) => Err(Failure::Reset),
        Ok(read) => Ok(read),
    }
}
