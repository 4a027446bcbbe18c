//! A client's connection: one request after the other, each answered by the load balancer or by a target.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncWrite as _, AsyncWriteExt as _};

use super::access_log::Entry;
use super::answers::{self, Answer, Manner};
use super::buffer::Buffer;
use super::caller::Caller;
use super::decision::{self, Step};
use super::exchange::{End, Exchange, Plan};
use super::framing::{Decoder, Framing};
use super::head;
use super::listening::Open;
use super::logging::Draft;
use super::meters::FrontMeter;
use super::rewrite::Connection;
use super::stream::Stream;
use super::target::ConnectFailure;
use super::timer::Timer;
use crate::clock;

/// A body that the load balancer's own answer has no use for is read so far, to keep the connection.
const UNWANTED_BYTES_MAX: u64 = 1024 * 1024;
/// How long a client may take to notice that its connection is at its end: closing while it still sends would take back
/// the answer, too.
pub const LINGER: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct Client {
    stream: Stream,
    caller: Arc<Caller>,
    /// How long the last answer of the load balancer's own was.
    answered_bytes: u64,
    input: Buffer,
    timer: Timer,
    since: Instant,
    open: Open,
    /// The last response is not whole.
    broken: bool,
}

/// What came of waiting for the client.
enum Heard {
    Bytes,
    Closed,
    TimedOut,
}

impl Client {
    pub fn new(stream: Stream, caller: Arc<Caller>, open: Open) -> Self {
        let since = clock::instant();
        Self {
            stream,
            caller,
            answered_bytes: 0,
            input: Buffer::default(),
            timer: Timer::default(),
            since,
            open,
            broken: false,
        }
    }

    /// Serves the connection to its end.
    pub async fn serve(mut self) {
        self.requests().await;
        // Without a farewell, a TLS client takes what it has for a part.
        if !self.broken && matches!(self.stream, Stream::Secure(_)) {
            let _ = tokio::time::timeout(LINGER, self.stream.shutdown()).await;
        }
    }

    async fn requests(&mut self) {
        while let Some(step) = self.next().await {
            let stays = match step {
                Step::Forward(plan, log) => self.forward(plan, log).await,
                Step::Answer { answer, framing, without_body, connection, log } => {
                    let taken = self.answer(&answer, without_body, connection, b"").await;
                    if let Some(log) = log {
                        let redirect = answer.location().map(str::to_owned);
                        self.log(log.answered(answer.status, self.answered_bytes, redirect));
                    }
                    taken && self.discard(&framing, connection).await
                }
                Step::Refuse(status) => self.refuse(status, Connection::Closes).await,
            };
            if !stays {
                return;
            }
        }
    }

    fn meter(&self) -> &FrontMeter {
        self.open.front.meter(self.open.lane)
    }

    /// What to do next, as soon as a request's head has come; `None` when none comes any more.
    async fn next(&mut self) -> Option<Step> {
        let mut since = clock::instant();
        let mut known = 0;
        loop {
            self.input.consume(head::empty_lines(self.input.filled()));
            if !self.input.is_empty() && head::may_be_request(self.input.filled(), known) {
                if let Some(step) = self.read_head() {
                    return Some(step);
                }
                known = self.input.len();
            }
            let waits_for_first = self.input.is_empty();
            let idle_timeout = self.open.listening.table().routes.settings.idle_timeout;
            match poll_fn(|cx| self.poll_read(cx, since + idle_timeout)).await {
                // The head as a whole has as much time as the first byte of it.
                Heard::Bytes if waits_for_first => since = clock::instant(),
                Heard::Bytes => {}
                Heard::TimedOut if !self.input.is_empty() => return Some(Step::Refuse(408)),
                Heard::Closed | Heard::TimedOut => return None,
            }
        }
    }

    fn read_head(&mut self) -> Option<Step> {
        let table = self.open.listening.table();
        let asker = decision::Asker {
            table: &table,
            lane: self.open.lane,
            caller: &self.caller,
            is_last: self.open.listening.is_removed()
                || clock::instant().duration_since(self.since) >= table.routes.settings.client_keep_alive,
        };
        let read = head::read_request(self.input.filled(), |head| (head.size, asker.decide(&head)));
        drop(table);
        match read {
            Ok(None) => None,
            Ok(Some((size, step))) => {
                self.input.consume(size);
                Some(step)
            }
            Err(status) => Some(Step::Refuse(status)),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<Heard> {
        if self.open.listening.is_removed() && self.input.is_empty() {
            return Poll::Ready(Heard::Closed);
        }
        match self.input.poll_read(cx, &mut self.stream) {
            Poll::Ready(Ok(1..)) => Poll::Ready(Heard::Bytes),
            Poll::Ready(_) => Poll::Ready(Heard::Closed),
            Poll::Pending => self.timer.poll(cx, deadline).map(|()| Heard::TimedOut),
        }
    }

    /// Passes a request on to its target and the response back. Whether the connection stays.
    async fn forward(&mut self, mut plan: Plan, log: Option<Box<Draft>>) -> bool {
        plan.in_flight.meter().requests.fetch_add(1, Relaxed);
        let kept = plan.in_flight.kept_connection();
        let connection = match kept {
            Some(kept) => (kept, true),
            None => match Box::pin(plan.in_flight.connect()).await {
                Ok(fresh) => (fresh, false),
                Err(failure) => {
                    let status = status_of(failure);
                    let stays = self.refuse_plan(&plan, status, plan.framing == Framing::Empty).await;
                    if let Some(log) = log {
                        self.log(log.answered(status, self.answered_bytes, None));
                    }
                    return stays;
                }
            },
        };
        let dispatched = clock::instant();
        let lane = self.open.lane;
        let meter = self.open.front.meter(lane);
        let mut exchange =
            Exchange::new(&mut self.stream, &mut self.input, &mut self.timer, meter, &mut plan, connection);
        let end = loop {
            match poll_fn(|cx| exchange.poll(cx)).await {
                End::Stale => match Box::pin(exchange.in_flight().connect()).await {
                    Ok(fresh) => exchange.restart(fresh),
                    Err(failure) => break End::Refused(status_of(failure)),
                },
                end => break end,
            }
        };
        let told = exchange.told();
        let has_whole_request = exchange.has_whole_request();
        let client_stirred = exchange.client_stirred();
        let is_abrupt = exchange.must_reset();
        let kept = if let End::Finished { .. } = end { exchange.into_kept() } else { None };
        if let Some((connection, since)) = kept {
            plan.in_flight.keep(connection, since);
        }
        self.answered_bytes = 0;
        let stays = self.conclude(&plan, end, (has_whole_request, client_stirred, is_abrupt)).await;
        if let Some(log) = log {
            self.log(log.ended(end, told, dispatched, self.answered_bytes));
        }
        stays
    }

    /// What follows an exchange that has ended: whether the connection stays.
    async fn conclude(
        &mut self,
        plan: &Plan,
        end: End,
        (has_whole_request, client_stirred, is_abrupt): (bool, bool, bool),
    ) -> bool {
        match end {
            End::Finished { keeps_client } => {
                // One that closed its connection while it waited has reset it as soon as the answer came.
                if client_stirred && self.stream.take_error().is_ok_and(|error| error.is_some()) {
                    self.meter().refused(460);
                    return false;
                }
                keeps_client
            }
            End::Answered => self.linger().await,
            End::Stale => false,
            End::Refused(status) => self.refuse_plan(plan, status, has_whole_request && status != 408).await,
            End::ClientGone { unanswered } => {
                if unanswered {
                    self.meter().refused(460);
                }
                false
            }
            End::Broken => {
                self.broken = true;
                if is_abrupt {
                    let _ = self.stream.set_zero_linger();
                }
                false
            }
        }
    }

    /// Adds a line to the access log.
    fn log(&self, entry: Entry) {
        self.open.front.log(self.open.lane, &entry);
    }

    /// Answers in place of a target.
    async fn refuse_plan(&mut self, plan: &Plan, status: u16, has_whole_request: bool) -> bool {
        self.meter().refused(status);
        let stays = has_whole_request && !plan.closes && !self.open.listening.is_removed();
        let connection = match (stays, plan.old) {
            (false, _) => Connection::Closes,
            (true, true) => Connection::StaysOld,
            (true, false) => Connection::Stays,
        };
        let sent = self.answer(&answers::error(status), plan.to_head, connection, &plan.cookies).await;
        if has_whole_request { sent && stays } else { sent && self.linger().await }
    }

    /// Refuses what the connection cannot go on after.
    async fn refuse(&mut self, status: u16, connection: Connection) -> bool {
        self.meter().refused(status);
        self.answer(&answers::error(status), false, connection, b"").await && self.linger().await
    }

    /// Sends an answer of the load balancer's own; whether the client took it.
    async fn answer(&mut self, answer: &Answer, without_body: bool, connection: Connection, cookies: &[u8]) -> bool {
        let mut out = Vec::with_capacity(1024);
        answer.write(&mut out, &Manner { without_body, connection, cookies, now: clock::now() });
        self.meter().processed_bytes.fetch_add(out.len() as u64, Relaxed);
        self.answered_bytes = out.len() as u64;
        let deadline = clock::instant() + self.open.listening.table().routes.settings.idle_timeout;
        let mut sent = 0;
        poll_fn(|cx| self.poll_write(cx, &out, &mut sent, deadline)).await.is_ok()
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        out: &[u8],
        sent: &mut usize,
        deadline: Instant,
    ) -> Poll<io::Result<()>> {
        while *sent < out.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &out[*sent..]) {
                Poll::Ready(Ok(count)) if count > 0 => *sent += count,
                Poll::Ready(Ok(_)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    ready!(self.timer.poll(cx, deadline));
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Pending => self.timer.poll(cx, deadline).map(|()| Err(io::ErrorKind::TimedOut.into())),
            flushed => flushed,
        }
    }

    /// Reads a request's body that nobody wants, so that the next request can be read. Whether the connection stays.
    async fn discard(&mut self, framing: &Framing, connection: Connection) -> bool {
        if connection == Connection::Closes {
            return *framing != Framing::Empty && self.linger().await;
        }
        if *framing == Framing::Empty {
            return true;
        }
        let mut decoder = Decoder::new(framing);
        let mut read = 0;
        let mut since = clock::instant();
        while read < UNWANTED_BYTES_MAX {
            match decoder.decode(self.input.filled_mut()) {
                Ok(decoded) => {
                    self.input.consume(decoded.used);
                    read += decoded.used as u64;
                    if decoded.ended {
                        return true;
                    }
                }
                Err(_) => break,
            }
            let idle_timeout = self.open.listening.table().routes.settings.idle_timeout;
            match poll_fn(|cx| self.poll_read(cx, since + idle_timeout)).await {
                Heard::Bytes => since = clock::instant(),
                Heard::Closed | Heard::TimedOut => return false,
            }
        }
        self.linger().await
    }

    /// Ends our side and waits until the client has ended its own, for a while. The connection never stays.
    async fn linger(&mut self) -> bool {
        if matches!(self.stream, Stream::Http2(_)) {
            // Its end says that no more is wanted (RFC 9113 §8.1), and takes nothing back.
            return false;
        }
        if poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await.is_ok() {
            let deadline = clock::instant() + LINGER;
            loop {
                self.input.consume(self.input.len());
                match self.input.read_until(&mut self.stream, &mut self.timer, deadline).await {
                    Some(1..) => {}
                    _ => break,
                }
            }
        }
        false
    }
}

fn status_of(failure: ConnectFailure) -> u16 {
    match failure {
        ConnectFailure::Refused => 502,
        ConnectFailure::Timeout => 504,
    }
}
