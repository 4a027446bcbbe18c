//! Accepts a listener's connections, and serves them on its thread.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::caller::Caller;
use super::connection::Client;
use super::http2;
use super::lane::LaneIndex;
use super::listening::{CONNECTIONS_MAX, Listening, Open};
use super::stream::Stream;
use crate::clock;
use crate::region::log_limiter::LogLimiter;

/// Said of all listeners together.
static ACCEPT_FAILED: LogLimiter = LogLimiter::new();

impl Listening {
    /// Accepts connections until the listener is removed, and serves them on this thread.
    pub async fn accept(self: Arc<Self>, listener: TcpListener, lane: LaneIndex) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    self.connected(stream, peer, lane);
                    // The other threads take their share of a rush.
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    // Out of descriptors, or a client that left before it was accepted: the next may do better.
                    if let Some(unsaid) = ACCEPT_FAILED.due() {
                        tracing::warn!(%error, unsaid, "a listener could not accept a connection");
                    }
                    clock::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    fn connected(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, lane: LaneIndex) {
        let table = self.table();
        if self.connections.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            table.front.meter(lane).rejected_connections.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let _ = stream.set_nodelay(true);
        let open = Open::count(Arc::clone(self), Arc::clone(&table.front), lane);
        if table.routes.settings.secure {
            let listening = Arc::clone(self);
            let http2 = table.routes.settings.http2;
            tokio::spawn(async move {
                match open.front.secure.accept(stream, http2).await {
                    Ok(stream) => listening.serve(stream, peer, open),
                    Err(_) => _ = open.front.meter(lane).tls_errors.fetch_add(1, Ordering::Relaxed),
                }
            });
        } else {
            drop(table);
            self.serve(Stream::Plain(stream), peer, open);
        }
    }

    fn serve(self: &Arc<Self>, stream: Stream, peer: SocketAddr, open: Open) {
        let caller = Caller::new(&stream, peer, &self.table());
        let stream = match stream {
            Stream::Secure(stream) if caller.connected.http2 => {
                tokio::spawn(http2::serve(stream, caller, open));
                return;
            }
            stream => stream,
        };
        let client = Client::new(stream, Arc::new(caller), open);
        let listening = Arc::clone(self);
        tokio::spawn(async move {
            let mut removed = pin!(listening.stop.cancelled());
            let mut serve = pin!(client.serve());
            let mut listens = false;
            // The removal wakes the task; from then on `is_removed` says it. So a request costs no look at the token.
            poll_fn(|cx| {
                if !listens {
                    listens = true;
                    let _ = removed.as_mut().poll(cx);
                }
                serve.as_mut().poll(cx)
            })
            .await;
        });
    }
}
