//! One request and its response on their way, both directions at once.
//!
//! The thread that serves the client owns both connections and moves the bytes itself. An exchange is over when both
//! directions are: a target that answers early may read on, and its connection is not used again before it has. Time is
//! up when no byte moved on either side for as long as the idle timeout; whose fault that is says the status. And it is
//! up when the deregistration delay of the target is over.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;

use super::buffer::Buffer;
use super::cookies;
use super::flow::Flow;
use super::framing::{self, Framing};
use super::head::{self, ResponseHead};
use super::meters::FrontMeter;
use super::rewrite::{self, Back, Connection};
use super::stream::Stream;
use super::target::InFlight;
use super::timer::Timer;
use crate::clock;
use crate::platform::sockets::shut_writing;

/// Interim responses before the one that counts; a target that has more to say in advance is broken.
const INTERIM_MAX: u32 = 16;

/// How often an exchange that lasts looks whether its target's deregistration delay is over (user guide,
/// "Deregistration delay": what is in flight then is a 502). A look now and then costs short requests nothing.
const LOOKS_EVERY: Duration = Duration::from_millis(250);

/// About what is added to a response's head.
const ADDED_BYTES: usize = 128;

/// What the rules and the request's head make of a request that goes to a target.
#[derive(Debug)]
pub struct Plan {
    pub in_flight: InFlight,
    /// The head for the target.
    pub head: Vec<u8>,
    pub framing: Framing,
    /// The method is HEAD.
    pub to_head: bool,
    /// It has no body, and acting on it twice does no harm (RFC 9110 §9.2.2).
    pub repeatable: bool,
    /// The client speaks HTTP/1.0.
    pub old: bool,
    /// The client's connection is closed after the response.
    pub closes: bool,
    /// Its framing was ambiguous before it was rewritten, so the target's connection serves nothing else.
    pub ambiguous: bool,
    pub expects_continue: bool,
    pub upgrades: bool,
    pub cookies: Vec<u8>,
    /// The field that goes with the application's cookie of that name.
    pub follows: Option<(String, Vec<u8>)>,
    pub idle_timeout: Duration,
}

/// What came of a request at its target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// The response's status, and when its head came.
    pub answered: Option<(u16, Instant)>,
    /// Bytes of the request that went to the target, and of the response that went to the client.
    pub received_bytes: u64,
    pub sent_bytes: u64,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both directions are finished. The client's connection may serve the next request.
    Finished { keeps_client: bool },
    /// The response is complete, but the target does not take the rest of the request.
    Answered,
    /// A kept connection was closed before it said anything, and the request may go out once more.
    Stale,
    /// There is no response; the load balancer answers with this status.
    Refused(u16),
    /// The client left.
    ClientGone { unanswered: bool },
    /// The response cannot be finished.
    Broken,
}

pub struct Exchange<'c> {
    client: &'c mut Stream,
    input: &'c mut Buffer,
    timer: &'c mut Timer,
    meter: &'c FrontMeter,
    plan: &'c Plan,
    target: TcpStream,
    /// The target's connection has served requests before.
    kept: bool,
    output: Buffer,
    up: Flow,
    down: Flow,
    /// A byte was written to the target.
    sent: bool,
    /// The target takes nothing more.
    deaf: bool,
    /// The response's head has come.
    begun: bool,
    /// More bytes are needed before the head can be read.
    head_is_partial: bool,
    interim: u32,
    keeps_target: bool,
    keeps_client: bool,
    tunnel: bool,
    /// Which sides of a tunnel were told that the other is at its end: client, target.
    told: (bool, bool),
    /// The client is listened to while its answer is awaited, to notice when it leaves.
    watches_client: bool,
    started: Instant,
    told_by_target: Told,
    activity: Instant,
    /// When it looks again whether its target is still there.
    next_look: Instant,
}

impl<'c> Exchange<'c> {
    pub fn new(
        client: &'c mut Stream,
        input: &'c mut Buffer,
        timer: &'c mut Timer,
        meter: &'c FrontMeter,
        plan: &'c mut Plan,
        (target, kept): (TcpStream, bool),
    ) -> Self {
        let head = std::mem::take(&mut plan.head);
        let plan: &'c Plan = plan;
        let mut up = Flow::new(head, &plan.framing, plan.framing == Framing::Chunked);
        // What came with the head goes out with it; a malformed body is met again when it is its turn.
        let _ = up.load(input);
        let waits_for_us = plan.expects_continue && !plan.old && !up.has_ended();
        let front = if waits_for_us { b"HTTP/1.1 100 Continue\r\n\r\n".to_vec() } else { Vec::new() };
        let now = clock::instant();
        Self {
            client,
            input,
            timer,
            meter,
            plan,
            target,
            kept,
            output: Buffer::default(),
            up,
            down: Flow::new(front, &Framing::Empty, false),
            sent: false,
            deaf: false,
            begun: false,
            head_is_partial: false,
            interim: 0,
            keeps_target: false,
            keeps_client: false,
            tunnel: false,
            told: (false, false),
            watches_client: true,
            started: now,
            told_by_target: Told::default(),
            activity: now,
            next_look: now + LOOKS_EVERY,
        }
    }

    pub fn in_flight(&self) -> &InFlight {
        &self.plan.in_flight
    }

    /// What the access log tells of it.
    pub fn told(&self) -> Told {
        self.told_by_target
    }

    /// Sends the request once more, on a new connection.
    pub fn restart(&mut self, target: TcpStream) {
        (self.target, self.kept) = (target, false);
        (self.sent, self.deaf) = (false, false);
        self.up.rewind();
    }

    /// The target's connection, where it may serve another request; and when it was used last.
    pub fn into_kept(self) -> Option<(TcpStream, Instant)> {
        let clean = self.keeps_target && self.output.is_empty() && self.up.is_done() && self.down.is_done();
        clean.then_some((self.target, self.activity))
    }

    /// Whether the request was taken to its end, so that the client's next bytes are the next request.
    pub fn has_whole_request(&self) -> bool {
        self.up.is_done()
    }

    /// Whether the client said or ended something while it waited for its answer.
    pub fn client_stirred(&self) -> bool {
        !self.watches_client
    }

    /// Whether a client would take what it has of a response that is not whole for all of it: where the body ends with
    /// the connection. One that does not read would keep the kernel's memory, too.
    pub fn must_reset(&self) -> bool {
        self.down.ends_with_connection() || self.down.has_output()
    }

    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let mut moved = 0;
        let was_tunnel = self.tunnel;
        let mut end = self.poll_up(cx, &mut moved).or_else(|| self.poll_down(cx, &mut moved));
        if self.tunnel != was_tunnel && end.is_none() {
            // The client may have said something already.
            end = self.poll_up(cx, &mut moved);
        }
        // A TLS session holds back what the connection did not take.
        let flushed = match Pin::new(&mut *self.client).poll_flush(cx) {
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(_)) => return Poll::Ready(self.client_gone()),
            Poll::Pending => false,
        };
        if let Some(end) = end.or_else(|| if flushed { self.end(cx) } else { None }) {
            return Poll::Ready(end);
        }
        if moved > 0 {
            self.activity = clock::instant();
        }
        loop {
            if self.plan.in_flight.is_cut() {
                return Poll::Ready(self.refused(502));
            }
            let times_out = self.activity + self.plan.idle_timeout;
            ready!(self.timer.poll(cx, times_out.min(self.next_look)));
            let now = clock::instant();
            if now >= times_out {
                return Poll::Ready(self.timed_out());
            }
            self.next_look = now + LOOKS_EVERY;
        }
    }

    /// Moves the request on; `Some` when that ends the exchange.
    fn poll_up(&mut self, cx: &mut Context<'_>, moved: &mut usize) -> Option<End> {
        while !self.deaf && !self.up.is_done() {
            if self.up.has_output() {
                match self.up.poll_write(cx, self.input, &mut self.target) {
                    Poll::Pending => return None,
                    Poll::Ready(Ok(count)) => {
                        *moved += count;
                        self.sent = true;
                        self.told_by_target.received_bytes += count as u64;
                        self.plan.in_flight.meter().bytes_in.fetch_add(count as u64, Relaxed);
                    }
                    Poll::Ready(Err(_)) if self.kept && !self.sent => return Some(End::Stale),
                    // What it said before it closed may be an answer.
                    Poll::Ready(Err(_)) => self.deaf = true,
                }
                continue;
            }
            if self.input.is_empty() {
                match self.input.poll_read(cx, self.client) {
                    Poll::Pending => return None,
                    Poll::Ready(Ok(0)) if self.tunnel && self.up.source_closed() => continue,
                    Poll::Ready(Ok(0) | Err(_)) => return Some(self.client_gone()),
                    Poll::Ready(Ok(count)) => {
                        *moved += count;
                        self.meter.processed_bytes.fetch_add(count as u64, Relaxed);
                    }
                }
            }
            if self.up.load(self.input).is_err() {
                return Some(self.refused(400));
            }
        }
        if self.tunnel && self.up.is_done() && !self.told.1 {
            self.told.1 = true;
            shut_writing(&self.target);
        }
        self.poll_watch(cx)
    }

    /// While nothing else is to be read from the client: does it leave? One that has only ended its side stays.
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Option<End> {
        if !self.watches_client || !self.input.is_empty() || self.tunnel {
            return None;
        }
        let mut byte = [0];
        match self.client.poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Pending => None,
            Poll::Ready(Ok(_)) => {
                self.watches_client = false;
                None
            }
            Poll::Ready(Err(_)) => Some(self.client_gone()),
        }
    }

    /// Moves the response on; `Some` when that ends the exchange.
    fn poll_down(&mut self, cx: &mut Context<'_>, moved: &mut usize) -> Option<End> {
        loop {
            if self.down.has_output() {
                match self.down.poll_write(cx, &mut self.output, self.client) {
                    Poll::Pending => return None,
                    Poll::Ready(Err(_)) => return Some(self.client_gone()),
                    Poll::Ready(Ok(count)) => {
                        *moved += count;
                        self.told_by_target.sent_bytes += count as u64;
                    }
                }
                continue;
            }
            if self.begun && self.down.is_done() {
                break;
            }
            if self.output.is_empty() || self.head_is_partial {
                match self.output.poll_read(cx, &mut self.target) {
                    Poll::Pending => return None,
                    Poll::Ready(Ok(count @ 1..)) => {
                        *moved += count;
                        self.head_is_partial = false;
                        self.plan.in_flight.meter().bytes_out.fetch_add(count as u64, Relaxed);
                        self.meter.processed_bytes.fetch_add(count as u64, Relaxed);
                    }
                    Poll::Ready(Ok(_)) if self.begun && self.down.source_closed() => continue,
                    Poll::Ready(_) => return Some(self.target_gone()),
                }
            }
            if self.begun {
                if self.down.load(&mut self.output).is_err() {
                    return Some(End::Broken);
                }
            } else if let Err(status) = self.read_head() {
                return Some(End::Refused(status));
            }
        }
        if self.tunnel && !self.told.0 {
            self.told.0 = true;
            self.client.end_writing(cx);
        }
        None
    }

    /// Reads the response's head, if it is complete, and makes what the client gets of it.
    fn read_head(&mut self) -> Result<(), u16> {
        let Self { output, down, plan, .. } = self;
        let begin = |head: ResponseHead<'_>| begin(plan, &head, down.front()).map(|response| (head.size, response));
        let Some(outcome) = head::read_response(output.filled(), begin).map_err(|_| 502_u16)? else {
            self.head_is_partial = true;
            return Ok(());
        };
        let (size, response) = outcome?;
        self.output.consume(size);
        let Some(response) = response else {
            self.interim += 1;
            return if self.interim > INTERIM_MAX { Err(502) } else { Ok(()) };
        };
        let now = clock::instant();
        self.plan.in_flight.meter().answered(response.status, now.duration_since(self.started));
        self.told_by_target.answered = Some((response.status, now));
        self.begun = true;
        self.tunnel = response.tunnel;
        self.keeps_target = response.keeps_target;
        self.keeps_client = response.keeps_client;
        self.down.body(&response.framing, response.chunks);
        if self.tunnel {
            self.up.body(&Framing::UntilClose, false);
        }
        // Head and body go out together. A body that is malformed from its start is met again when it is its turn.
        let _ = self.down.load(&mut self.output);
        Ok(())
    }

    /// Whether both directions are finished, or one will never be.
    fn end(&mut self, cx: &mut Context<'_>) -> Option<End> {
        if !self.begun || !self.down.is_done() {
            return None;
        }
        if self.up.is_done() {
            return Some(End::Finished { keeps_client: self.keeps_client });
        }
        // A target that closes its connection does not want the rest, and one that speaks again has lost count.
        let mut byte = [0];
        let closes = !self.tunnel && !self.keeps_target && !self.plan.ambiguous;
        let mut speaks = || self.target.poll_peek(cx, &mut ReadBuf::new(&mut byte)).is_ready();
        (self.deaf || closes || (!self.tunnel && speaks())).then_some(End::Answered)
    }

    fn refused(&self, status: u16) -> End {
        if self.begun { End::Broken } else { End::Refused(status) }
    }

    fn client_gone(&self) -> End {
        End::ClientGone { unanswered: !self.begun }
    }

    fn target_gone(&self) -> End {
        let silent = self.output.is_empty() && self.interim == 0 && !self.begun;
        if self.kept && silent && self.plan.repeatable { End::Stale } else { self.refused(502) }
    }

    fn timed_out(&self) -> End {
        let client_is_silent = !self.deaf && !self.up.has_ended() && !self.up.has_output();
        self.refused(if client_is_silent { 408 } else { 504 })
    }
}

/// What a response's head makes of the exchange.
struct Response {
    status: u16,
    framing: Framing,
    /// The client gets the body in chunks.
    chunks: bool,
    keeps_client: bool,
    keeps_target: bool,
    tunnel: bool,
}

/// Writes what the client gets; `None` for an interim response.
///
/// # Errors
/// 502 for a response that two clients could read differently, and for an upgrade that nobody asked for.
fn begin(plan: &Plan, head: &ResponseHead<'_>, out: &mut Vec<u8>) -> Result<Option<Response>, u16> {
    let tunnel = head.status == 101;
    if tunnel && !plan.upgrades {
        return Err(502);
    }
    if head.status < 200 && !tunnel {
        return Ok(None);
    }
    let fields = &head.fields;
    let framing = if tunnel {
        Framing::UntilClose
    } else {
        framing::of_response(fields, plan.to_head, head.status).map_err(|_| 502_u16)?
    };
    let has_no_length = matches!(framing, Framing::Chunked | Framing::UntilClose);
    // Before HTTP/1.1, a body without a length ends with the connection.
    let chunks = has_no_length && !plan.old && !tunnel;
    let closes_client = plan.closes || tunnel || (plan.old && has_no_length);
    let stays_open = !fields.close && (!head.old || fields.keep_alive);
    let keeps_target = stays_open && framing != Framing::UntilClose && !plan.ambiguous;
    let onward = match &framing {
        Framing::Length(length) => Framing::Length(*length),
        _ if chunks => Framing::Chunked,
        _ => Framing::Empty,
    };
    let connection = match (tunnel, closes_client, plan.old) {
        (true, ..) => Connection::Upgrades,
        (_, true, _) => Connection::Closes,
        (_, false, true) => Connection::StaysOld,
        _ => Connection::Stays,
    };
    let keeps_length = plan.to_head || head.status == 304;
    let follows = plan.follows.as_ref().filter(|(name, _)| cookies::is_set(fields.all, name));
    let cookies =
        follows.map_or(Cow::Borrowed(&plan.cookies), |(_, field)| Cow::Owned([&plan.cookies[..], field].concat()));
    let back = Back { framing: &onward, keeps_length, cookies: &cookies, connection, now: clock::now() };
    out.reserve(head.size + ADDED_BYTES);
    rewrite::response(out, head, &back);
    Ok(Some(Response { status: head.status, framing, chunks, keeps_client: !closes_client, keeps_target, tunnel }))
}
