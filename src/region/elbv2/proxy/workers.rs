//! The threads that serve requests: each with its own loop, its own connections and its own counts, so that a request is
//! never handed over and never waits for another thread.

use std::io;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// Threads at most. One does tens of thousands of requests a second.
const THREADS_MAX: usize = 4;

#[derive(Debug)]
pub struct Workers {
    pub handles: Vec<Handle>,
    joins: Vec<JoinHandle<()>>,
}

impl Workers {
    /// As many threads as there are processors that this process may use, up to a bound.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(stop: &CancellationToken) -> io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        let mut workers = Self { handles: Vec::new(), joins: Vec::new() };
        for index in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            workers.handles.push(runtime.handle().clone());
            let stop = stop.clone();
            let thread = std::thread::Builder::new().name(format!("proxy-{index}"));
            workers.joins.push(thread.spawn(move || runtime.block_on(stop.cancelled()))?);
        }
        Ok(workers)
    }

    /// Waits until all have ended.
    pub fn join(self) {
        for join in self.joins {
            if join.join().is_err() {
                tracing::error!("a thread of the proxy had panicked");
            }
        }
    }
}
