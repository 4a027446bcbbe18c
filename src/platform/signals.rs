//! Being asked to end: Ctrl-C and SIGTERM, which mean the same to us.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for requests to end; without it, each of them ends the process at once.
#[derive(Debug)]
pub struct EndRequests {
    interrupt: Signal,
    terminate: Signal,
}

impl EndRequests {
    /// # Errors
    /// Where the system lets nobody listen.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
