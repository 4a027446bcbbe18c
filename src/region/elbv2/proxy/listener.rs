//! One listener: its routing, swapped as a whole, and the connections that it accepts.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::connection::Client;
use super::table::{Front, LaneIndex, Table};
use crate::clock;

/// Clients' connections of one listener; further ones are closed at once and counted as rejected.
const CONNECTIONS_MAX: usize = 10_000;

/// A listener that is served.
#[derive(Debug)]
pub struct Listening {
    table: ArcSwap<Table>,
    connections: AtomicUsize,
    removed: AtomicBool,
    stop: CancellationToken,
}

impl Listening {
    pub fn new(table: Arc<Table>, stop: CancellationToken) -> Self {
        Self { table: ArcSwap::new(table), connections: AtomicUsize::new(0), removed: AtomicBool::new(false), stop }
    }

    /// The routing as it is now; not to be held while waiting.
    pub fn table(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }

    /// Puts a new table in place; returns the one before, which is shared as long as a request picks from it.
    pub fn replace(&self, table: Arc<Table>) -> Arc<Table> {
        self.table.swap(table)
    }

    /// The listener is removed: open connections end after the answer that they wait for. Returns the last table.
    pub fn remove(&self) -> Arc<Table> {
        self.removed.store(true, Ordering::SeqCst);
        self.stop.cancel();
        self.table.load_full()
    }

    pub fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

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
                    tracing::warn!(%error, "a listener could not accept a connection");
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
        let client = Client::new(stream, peer, &table, open);
        drop(table);
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

/// Counts a connection while it is open.
#[derive(Debug)]
pub struct Open {
    pub listening: Arc<Listening>,
    pub front: Arc<Front>,
    pub lane: LaneIndex,
}

impl Open {
    fn count(listening: Arc<Listening>, front: Arc<Front>, lane: LaneIndex) -> Self {
        let meter = front.meter(lane);
        meter.new_connections.fetch_add(1, Ordering::Relaxed);
        meter.active_connections.fetch_add(1, Ordering::Relaxed);
        Self { listening, front, lane }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.listening.connections.fetch_sub(1, Ordering::Relaxed);
        self.front.meter(self.lane).active_connections.fetch_sub(1, Ordering::Relaxed);
    }
}
