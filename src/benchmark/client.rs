//! One keep-alive HTTP/1.1 connection that sends the same GET again and again and checks every answer.
//!
//! The hot path: the request is built once, written with one call; the answer is parsed in place in a buffer that lives
//! as long as the connection; nothing is allocated for a request. A watchdog timer is armed once per time limit, not once
//! per request.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::framing::{self, Body, Chunks, HEAD_BYTES_MAX};
use super::recorder::{Failure, Reply};
use super::scenario::Expect;
use crate::clock;
use crate::problem::Problem;
use crate::resource::status::split_port;

/// A larger body ends the request as a protocol error.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How much of a body is looked at for the instance id and the expected text.
const BODY_BYTES_KEPT: usize = 64 * 1024;
/// Head and a small body arrive in one read.
const BUFFER_BYTES: usize = 2 * HEAD_BYTES_MAX;
/// After a failed connect the next one waits, so that a dead server is not flooded.
const CONNECT_PAUSE: Duration = Duration::from_millis(10);

/// What a connection talks to, and what it expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
    pub path: String,
    pub timeout: Duration,
    pub expect: Expect,
}

impl Endpoint {
    /// Reads `http://host:port/path`.
    pub fn new(url: &str, timeout: Duration, expect: Expect) -> Result<Self, Problem> {
        let bad = |why: &str| {
            Problem::usage("Not a URL that can be loaded", format!("{url:?}: {why}"))
                .hint("write http://HOST[:PORT]/PATH")
        };
        let rest = url.strip_prefix("http://").ok_or_else(|| bad("only plain http:// is spoken"))?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) || !authority.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad("spaces and characters beyond ASCII must be percent-encoded"));
        }
        let (host, port) = match split_port(authority) {
            (host, Some(port)) => (host, port.parse().map_err(|_| bad("the port is not a number"))?),
            (host, None) => (host, 80),
        };
        if host.is_empty() {
            return Err(bad("the host is missing"));
        }
        let path = path.split('#').next().unwrap_or(path).to_owned();
        Ok(Self { host: host.to_owned(), port, path, timeout, expect })
    }

    fn request(&self) -> Vec<u8> {
        let port = if self.port == 80 { String::new() } else { format!(":{}", self.port) };
        let version = env!("CARGO_PKG_VERSION");
        format!(
            "GET {} HTTP/1.1\r\nHost: {}{port}\r\nUser-Agent: cloudscale/{version}\r\nAccept: */*\r\n\r\n",
            self.path, self.host
        )
        .into_bytes()
    }
}

/// Sends requests to one endpoint, one after the other.
pub struct Client {
    wire: Wire,
    timeout: Duration,
    expect: Expect,
    watchdog: Pin<Box<dyn Future<Output = ()>>>,
}

/// A complete answer.
struct Answer {
    status: u16,
    /// In the buffer.
    instance: Option<Range<usize>>,
    /// The body's first bytes: in the buffer, or in `Wire::body` where they did not arrive in one piece.
    body: Option<Range<usize>>,
}

impl Client {
    /// `turn` says which of the host's addresses to try first: it spreads connections over a load balancer's nodes.
    pub fn new(endpoint: &Endpoint, turn: usize) -> Self {
        Self {
            wire: Wire::new(endpoint, turn),
            timeout: endpoint.timeout,
            expect: endpoint.expect.clone(),
            watchdog: Box::pin(clock::sleep(endpoint.timeout)),
        }
    }

    /// Connections opened so far.
    pub fn opened(&self) -> u64 {
        self.wire.opened
    }

    /// Sends one request and reads its whole answer. The time limit counts from `due`.
    pub async fn get(&mut self, due: Instant) -> Reply<'_> {
        let outcome = {
            let mut exchange = std::pin::pin!(self.wire.exchange());
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut exchange => break outcome,
                    () = &mut self.watchdog => {
                        let left = (due + self.timeout).saturating_duration_since(clock::instant());
                        let expired = left.is_zero();
                        self.watchdog = Box::pin(clock::sleep(if expired { self.timeout } else { left }));
                        if expired {
                            break Err(Failure::Timeout);
                        }
                    }
                }
            }
        };
        match outcome {
            Ok(answer) => self.checked(answer),
            Err(failure) => {
                self.wire.stream = None;
                if failure == Failure::Connect {
                    clock::sleep(CONNECT_PAUSE).await;
                }
                Reply { status: None, instance: None, failure: Some(failure) }
            }
        }
    }

    fn checked(&self, answer: Answer) -> Reply<'_> {
        let body = answer.body.map_or(self.wire.body.as_slice(), |range| &self.wire.buffer[range]);
        let header = answer.instance.map(|range| &self.wire.buffer[range]);
        let instance = header.and_then(|name| std::str::from_utf8(name).ok()).or_else(|| framing::instance_id(body));
        let failure = if answer.status != self.expect.status {
            Some(Failure::Status)
        } else if self.expect.contains.as_ref().is_some_and(|text| !contains(body, text.as_bytes())) {
            Some(Failure::Body)
        } else {
            None
        };
        Reply { status: Some(answer.status), instance, failure }
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

/// A connection; opened by the first request, and again whenever the server closed it.
struct Wire {
    host: String,
    port: u16,
    request: Vec<u8>,
    stream: Option<TcpStream>,
    /// Whether the stream has already carried an answer.
    reused: bool,
    buffer: Box<[u8]>,
    /// The body's first bytes where they are not in `buffer` in one piece.
    body: Vec<u8>,
    opened: u64,
    turn: usize,
}

impl Wire {
    fn new(endpoint: &Endpoint, turn: usize) -> Self {
        Self {
            host: endpoint.host.clone(),
            port: endpoint.port,
            request: endpoint.request(),
            stream: None,
            reused: false,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            body: Vec::new(),
            opened: 0,
            turn,
        }
    }

    async fn exchange(&mut self) -> Result<Answer, Failure> {
        loop {
            if self.stream.is_none() {
                self.connect().await.map_err(|_| Failure::Connect)?;
            }
            let mut stream = self.stream.take().expect("connected above");
            match self.first_bytes(&mut stream).await {
                Ok(filled) => return self.answer(stream, filled).await,
                // A server may close an idle connection just as the next request leaves. It has then answered nothing,
                // and a GET may be sent again on a fresh connection (RFC 9112, section 9.3.1).
                Err(_) if self.reused => {}
                Err(_) => return Err(Failure::Reset),
            }
        }
    }

    async fn connect(&mut self) -> io::Result<()> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, self.port)).await?.collect();
        let mut outcome = Err(io::ErrorKind::NotFound.into());
        for offset in 0..addresses.len() {
            match TcpStream::connect(addresses[(self.turn + offset) % addresses.len()]).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    self.opened += 1;
                    self.reused = false;
                    self.stream = Some(stream);
                    return Ok(());
                }
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// Sends the request and waits for the first bytes of the answer.
    async fn first_bytes(&mut self, stream: &mut TcpStream) -> io::Result<usize> {
        stream.write_all(&self.request).await?;
        match stream.read(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            filled => Ok(filled),
        }
    }

    /// Reads the rest of the answer; keeps the stream where it can carry another.
    async fn answer(&mut self, mut stream: TcpStream, mut filled: usize) -> Result<Answer, Failure> {
        let head = loop {
            match framing::head(&self.buffer[..filled])? {
                // An interim answer (103 Early Hints): the real one follows.
                Some(interim) if interim.status < 200 => {
                    self.buffer.copy_within(interim.bytes..filled, 0);
                    filled -= interim.bytes;
                    if filled == 0 {
                        filled = more(&mut stream, &mut self.buffer).await?;
                    }
                }
                Some(head) => break head,
                None => filled += more(&mut stream, &mut self.buffer[filled..]).await?,
            }
        };
        self.body.clear();
        let body = match head.body {
            Body::Length(length) => self.sized(&mut stream, head.bytes..filled, length).await?,
            Body::Chunked => self.chunked(&mut stream, head.bytes..filled).await?,
            Body::UntilClose => self.until_close(&mut stream, head.bytes..filled).await?,
        };
        if !head.closes {
            self.stream = Some(stream);
            self.reused = true;
        }
        Ok(Answer { status: head.status, instance: head.instance, body })
    }

    async fn sized(
        &mut self,
        stream: &mut TcpStream,
        arrived: Range<usize>,
        length: u64,
    ) -> Result<Option<Range<usize>>, Failure> {
        let mut seen = arrived.len() as u64;
        if length > BODY_BYTES_MAX || seen > length {
            return Err(Failure::Protocol);
        }
        if seen == length {
            return Ok(Some(arrived));
        }
        self.keep(arrived.clone());
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
        stream: &mut TcpStream,
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
            if seen > BODY_BYTES_MAX || (done && used < arrived.len()) {
                return Err(Failure::Protocol);
            }
            if done {
                return Ok(None);
            }
            let read = more(stream, &mut self.buffer[HEAD_BYTES_MAX..]).await?;
            arrived = HEAD_BYTES_MAX..HEAD_BYTES_MAX + read;
        }
    }

    async fn until_close(
        &mut self,
        stream: &mut TcpStream,
        arrived: Range<usize>,
    ) -> Result<Option<Range<usize>>, Failure> {
        let mut seen = arrived.len() as u64;
        self.keep(arrived);
        loop {
            let read = stream.read(&mut self.buffer[HEAD_BYTES_MAX..]).await.map_err(|_| Failure::Reset)?;
            if read == 0 {
                return Ok(None);
            }
            seen += read as u64;
            if seen > BODY_BYTES_MAX {
                return Err(Failure::Protocol);
            }
            self.keep(HEAD_BYTES_MAX..HEAD_BYTES_MAX + read);
        }
    }

    fn keep(&mut self, range: Range<usize>) {
        let room = BODY_BYTES_KEPT.saturating_sub(self.body.len()).min(range.len());
        self.body.extend_from_slice(&self.buffer[range.start..range.start + room]);
    }
}

/// Reads at least one byte; the end of the stream in the middle of an answer is a reset.
async fn more(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<usize, Failure> {
    if buffer.is_empty() {
        return Err(Failure::Protocol);
    }
    match stream.read(buffer).await {
        Ok(0) | Err(_) => Err(Failure::Reset),
        Ok(read) => Ok(read),
    }
}
