//! The bodies of the proxy's answers: its own, whole, or a target's, passed on as it comes.
//!
//! A frame is taken from the target only when the client wants one, so a slow client slows the target and no body is
//! ever held in memory. When the target's body ends, its connection goes back to the pool.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;

use super::table::Front;
use super::upstream::{ClientBody, InFlight};
use crate::clock;

pub enum Body {
    Whole(Option<Bytes>),
    Relayed(Box<Relay>),
}

/// A target's body on its way to the client.
pub struct Relay {
    pub inner: Incoming,
    /// Kept for further requests when the body ends, unless the target wants it closed.
    pub connection: Option<SendRequest<ClientBody>>,
    pub in_flight: InFlight,
    pub front: Arc<Front>,
    /// How long the target may be silent.
    pub patience: Duration,
    pub silence: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Body {
    pub fn whole(bytes: Bytes) -> Self {
        Body::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    /// Passes on a target's body; one without content gives its connection back at once.
    pub fn relayed(mut relay: Relay) -> Self {
        if relay.inner.is_end_stream() {
            relay.finish();
            return Body::Whole(None);
        }
        Body::Relayed(Box::new(relay))
    }
}

impl Relay {
    fn finish(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.in_flight.0.keep(connection);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.silence = None;
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.in_flight.0.meter.bytes_out.fetch_add(bytes, Relaxed);
                self.front.meter.processed_bytes.fetch_add(bytes, Relaxed);
                if self.inner.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.connection = None;
                Poll::Ready(Some(Err(Broken::Target(error))))
            }
            Poll::Ready(None) => {
                self.finish();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let patience = self.patience;
                let silence = self.silence.get_or_insert_with(|| Box::pin(clock::sleep(patience)));
                if silence.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.connection = None;
                Poll::Ready(Some(Err(Broken::Silent)))
            }
        }
    }
}

/// Why a body ended before its end; the client's connection is closed, so that it notices.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("the target broke off its response")]
    Target(#[source] hyper::Error),
    #[error("the target fell silent in the middle of its response")]
    Silent,
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut *self {
            Body::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Body::Relayed(relay) => relay.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Whole(bytes) => bytes.is_none(),
            Body::Relayed(relay) => relay.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Body::Relayed(relay) => relay.inner.size_hint(),
        }
    }
}
