//! Waits until a moment, more precisely than tokio's timer, which counts whole milliseconds: a load of 2,000/s has two in each.

use std::io;
use std::time::Instant;

use crate::platform::timer::Timer;

/// Made on the runtime that waits for it.
#[derive(Debug)]
pub struct Alarm {
    timer: Timer,
}

impl Alarm {
    /// # Errors
    /// Where the process may open no more files.
    pub fn new() -> io::Result<Self> {
        Ok(Self { timer: Timer::new()? })
    }

    /// Waits until then; answers at once where it has passed.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub async fn until(&mut self, at: Instant) -> io::Result<()> {
        let left = at.saturating_duration_since(super::instant());
        if left.is_zero() || super::simulated::sleep(left).await {
            return Ok(());
        }
        self.timer.wait(left).await
    }
}
