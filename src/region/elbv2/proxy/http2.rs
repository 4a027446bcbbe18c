//! A client's connection that speaks HTTP/2: requests side by side, each served as one of HTTP/1.1 is (`http2_stream`).
//!
//! A connection has bounds that no client can pass: requests at once, the size of heads, bytes that nobody has read yet.
//! Requests that the client has reset count until they are put away, so that making and resetting them costs the client time,
//! too; h2 ends a connection with too many of them that were not even looked at.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{self, SendResponse};
use hyper::Request;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::caller::Caller;
use super::connection::{Client, LINGER};
use super::http2_stream::Http2Stream;
use super::listening::Open;
use super::secure::HANDSHAKE_TIMEOUT;
use super::stream::Stream;
use super::timer::Timer;
use crate::clock;

/// Requests at once on one connection (user guide, "Listeners for your Application Load Balancers", HTTP/2).
const STREAMS_MAX: usize = 128;
/// Requests on one connection; then it is ended (user guide, "The load balancer sends a response code of 000").
const REQUESTS_MAX: u32 = 10_000;
/// The largest head that is read at all, as HTTP/2 counts it. Those above AWS's 64 K are refused with 400, as far as this.
const HEAD_BYTES_MAX: u32 = 256 * 1024;
/// Bytes of one request's body, and of all of a connection, that a client may send before they were read.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Bytes of one response that wait for the client's connection.
const SEND_BYTES_MAX: usize = 64 * 1024;

/// Serves a connection to its end.
pub async fn serve(io: impl AsyncRead + AsyncWrite + Unpin, caller: Caller, open: Open) {
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(STREAMS_MAX as u32)
        .max_header_list_size(HEAD_BYTES_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BYTES_MAX);
    let handshake = builder.handshake::<_, Bytes>(io);
    let Ok(Ok(connection)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await else { return };
    let now = clock::instant();
    let mut served = Served {
        connection,
        streams: JoinSet::new(),
        timer: Timer::default(),
        began: now,
        quiet_since: now,
        requests: 0,
        ends: false,
    };
    let caller = Arc::new(caller);
    let mut removed = pin!(open.listening.stop.cancelled());
    let mut listens = true;
    loop {
        let next = poll_fn(|cx| {
            // The removal wakes the task once; from then on `is_removed` says it.
            listens = listens && removed.as_mut().poll(cx).is_pending();
            served.poll_next(cx, &open)
        });
        let Some((request, respond)) = next.await else { break };
        let stream = Stream::Http2(Box::new(Http2Stream::new(request, respond)));
        served.streams.spawn(Client::new(stream, Arc::clone(&caller), open.of_stream()).serve());
    }
    // They notice that the connection is gone, and say so in meters and log.
    served.streams.detach_all();
}

struct Served<T> {
    connection: server::Connection<T, Bytes>,
    streams: JoinSet<()>,
    timer: Timer,
    began: Instant,
    /// When the last request was done.
    quiet_since: Instant,
    requests: u32,
    /// The client was told that the connection takes no more requests.
    ends: bool,
}

type Asked = (Request<RecvStream>, SendResponse<Bytes>);

impl<T: AsyncRead + AsyncWrite + Unpin> Served<T> {
    /// The next request; `None` when none comes any more.
    fn poll_next(&mut self, cx: &mut Context<'_>, open: &Open) -> Poll<Option<Asked>> {
        while let Poll::Ready(Some(_)) = self.streams.poll_join_next(cx) {
            self.quiet_since = clock::instant();
        }
        if open.listening.is_removed() {
            self.end();
        }
        loop {
            match self.poll_accept(cx) {
                Poll::Ready(Some(asked)) => {
                    self.requests += 1;
                    let old = self.began + open.listening.table().routes.settings.client_keep_alive;
                    if self.requests >= REQUESTS_MAX || clock::instant() >= old {
                        self.end();
                    }
                    return Poll::Ready(Some(asked));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending if self.streams.is_empty() => {}
                Poll::Pending => return Poll::Pending,
            }
            let idle_timeout = open.listening.table().routes.settings.idle_timeout;
            let patience = if self.ends { LINGER } else { idle_timeout };
            ready!(self.timer.poll(cx, self.quiet_since + patience));
            if self.ends {
                return Poll::Ready(None);
            }
            self.end();
        }
    }

    /// Moves everything on. Beyond the bound of requests at once none is taken.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<Asked>> {
        if self.streams.len() < STREAMS_MAX {
            return self.connection.poll_accept(cx).map(|accepted| accepted.and_then(Result::ok));
        }
        self.connection.poll_closed(cx).map(|_| None)
    }

    /// Requests that are under way are served to their end, and no more are taken.
    fn end(&mut self) {
        if !self.ends {
            self.ends = true;
            self.quiet_since = clock::instant();
            self.connection.graceful_shutdown();
        }
    }
}
