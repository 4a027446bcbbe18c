//! What is served of one listener: its routing, swapped as a whole, and the connections that are open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arc_swap::{ArcSwap, Guard};
use tokio_util::sync::CancellationToken;

use super::lane::LaneIndex;
use super::table::{Front, Table};

/// Clients' connections of one listener; further ones are closed at once and counted as rejected.
pub const CONNECTIONS_MAX: usize = 10_000;

/// A listener that is served.
#[derive(Debug)]
pub struct Listening {
    table: ArcSwap<Table>,
    pub connections: AtomicUsize,
    removed: AtomicBool,
    pub stop: CancellationToken,
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
}

/// Counts a connection while it is open.
#[derive(Debug)]
pub struct Open {
    pub listening: Arc<Listening>,
    pub front: Arc<Front>,
    pub lane: LaneIndex,
    /// It is one of the requests of a connection of HTTP/2, which is counted itself.
    is_stream: bool,
}

impl Open {
    pub fn count(listening: Arc<Listening>, front: Arc<Front>, lane: LaneIndex) -> Self {
        let meter = front.meter(lane);
        meter.new_connections.fetch_add(1, Ordering::Relaxed);
        meter.active_connections.fetch_add(1, Ordering::Relaxed);
        Self { listening, front, lane, is_stream: false }
    }

    /// For a request on the same connection.
    pub fn of_stream(&self) -> Self {
        let (listening, front) = (Arc::clone(&self.listening), Arc::clone(&self.front));
        Self { listening, front, lane: self.lane, is_stream: true }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.is_stream {
            return;
        }
        self.listening.connections.fetch_sub(1, Ordering::Relaxed);
        self.front.meter(self.lane).active_connections.fetch_sub(1, Ordering::Relaxed);
    }
}
