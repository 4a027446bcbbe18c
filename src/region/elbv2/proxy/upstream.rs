//! The proxy's side towards one target: a pool of kept-alive connections, and sending a request on one of them.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::super::routing::TargetRoute;
use super::super::targets::TargetId;
use super::meters::TargetMeter;
use super::table::Front;
use crate::clock;

/// How long a target may take to accept a connection; then the answer is 504.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest head of a response; a larger one is a 502.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Idle connections kept for one target.
const IDLE_MAX: usize = 256;
/// How long a connection may be idle.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// One target as the proxy knows it. It lives as long as the target is registered.
#[derive(Debug)]
pub struct Target {
    /// ARN of its target group.
    pub group: String,
    pub id: TargetId,
    pub route: TargetRoute,
    pub meter: TargetMeter,
    /// Bytes of the clock minute that runs, moved here from the meter.
    pub minute: (AtomicU64, AtomicU64),
    in_flight: AtomicUsize,
    draining: AtomicBool,
    idle: Mutex<Vec<Idle>>,
    /// Told when a draining target has nothing in flight any more.
    drained: Arc<Notify>,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<ClientBody>,
    since: Instant,
}

/// A request in flight to a target.
#[derive(Debug)]
pub struct InFlight(pub Arc<Target>);

/// Why there is no response of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It refused the connection, or the network did.
    Connect,
    /// It closed or reset the connection, or what it said is not HTTP.
    Broken,
    Timeout,
}

impl Target {
    pub fn new(group: &str, route: TargetRoute, drained: Arc<Notify>) -> Self {
        Self {
            group: group.to_owned(),
            id: route.id.clone(),
            route,
            meter: TargetMeter::default(),
            minute: Default::default(),
            in_flight: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            idle: Mutex::default(),
            drained,
        }
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Whether the target takes no new requests. One that does not keeps no idle connections either.
    pub fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::SeqCst);
        if draining {
            self.pool().clear();
        }
    }

    /// Closes connections that were idle for too long or that the target has closed.
    pub fn reap(&self, now: Instant) {
        self.pool().retain(|idle| !idle.sender.is_closed() && now.duration_since(idle.since) < IDLE_TIMEOUT);
    }

    /// Puts a connection back whose response was read to its end.
    pub fn keep(&self, sender: SendRequest<ClientBody>) {
        if self.draining.load(Ordering::Relaxed) || sender.is_closed() {
            return;
        }
        let mut pool = self.pool();
        if pool.len() < IDLE_MAX {
            pool.push(Idle { sender, since: clock::instant() });
        }
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that still seems to be open; the one that was used last, as it is the least likely to be closed.
    async fn take(&self) -> Option<SendRequest<ClientBody>> {
        loop {
            let Idle { mut sender, .. } = self.pool().pop()?;
            if sender.is_ready() || (!sender.is_closed() && sender.ready().await.is_ok()) {
                return Some(sender);
            }
        }
    }

    async fn connect(&self) -> Result<SendRequest<ClientBody>, Failure> {
        let stream = match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(self.route.address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) => return Err(Failure::Connect),
            Err(_) => return Err(Failure::Timeout),
        };
        let _ = stream.set_nodelay(true);
        let handshake = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await.map_err(|_| Failure::Connect)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to a target ended");
            }
        });
        Ok(sender)
    }

    /// Sends the request, on a kept connection where there is one. A target may close an idle connection in the very
    /// moment that a request is sent on it: such a request is sent once more on a new connection, where the target
    /// cannot have acted on it or acting twice does no harm.
    ///
    /// # Errors
    /// The last attempt's failure.
    pub async fn send(
        &self,
        request: Request<ClientBody>,
        patience: Duration,
    ) -> Result<(Response<Incoming>, SendRequest<ClientBody>), Failure> {
        let mut request = request;
        if let Some(mut sender) = self.take().await {
            let spare = copy_if_harmless(&request);
            match tokio::time::timeout(patience, sender.try_send_request(request)).await {
                Ok(Ok(response)) => return Ok((response, sender)),
                Ok(Err(mut error)) => {
                    request = error.take_message().or(spare.filter(|_| lost(error.error()))).ok_or(Failure::Broken)?;
                }
                Err(_) => return Err(Failure::Timeout),
            }
        }
        let mut sender = self.connect().await.inspect_err(|_| {
            self.meter.connection_errors.fetch_add(1, Ordering::Relaxed);
        })?;
        match tokio::time::timeout(patience, sender.send_request(request)).await {
            Ok(Ok(response)) => Ok((response, sender)),
            Ok(Err(_)) => Err(Failure::Broken),
            Err(_) => Err(Failure::Timeout),
        }
    }
}

impl InFlight {
    pub fn new(target: Arc<Target>) -> Self {
        target.in_flight.fetch_add(1, Ordering::SeqCst);
        Self(target)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let last = self.0.in_flight.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && self.0.draining.load(Ordering::SeqCst) {
            self.0.drained.notify_one();
        }
    }
}

/// Whether the connection ended before the first byte of a response.
fn lost(error: &hyper::Error) -> bool {
    use std::error::Error as _;
    let io = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    let reset =
        io.is_some_and(|io| matches!(io.kind(), std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe));
    error.is_incomplete_message() || error.is_canceled() || error.is_closed() || reset
}

/// A second request like this one, where it has no body and its method may be repeated (RFC 9110 §9.2.2).
fn copy_if_harmless(request: &Request<ClientBody>) -> Option<Request<ClientBody>> {
    let repeatable =
        matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE);
    if !repeatable || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(ClientBody::Empty);
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    Some(copy)
}

/// The body of a client's request on its way to a target.
#[derive(Debug)]
pub enum ClientBody {
    Empty,
    Stream { inner: Incoming, target: Arc<Target>, front: Arc<Front> },
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let ClientBody::Stream { inner, target, front } = &mut *self else { return Poll::Ready(None) };
        let polled = Pin::new(inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
            target.meter.bytes_in.fetch_add(bytes, Ordering::Relaxed);
            front.meter.processed_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ClientBody::Empty => true,
            ClientBody::Stream { inner, .. } => inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ClientBody::Empty => SizeHint::with_exact(0),
            ClientBody::Stream { inner, .. } => inner.size_hint(),
        }
    }
}
