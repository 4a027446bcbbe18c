//! The only file that reads the operating system's clock or sleeps.
//!
//! Models take a [`Timestamp`] and return what to do; shells ask this file for the time and pass it on. A clippy lint
//! (`clippy.toml`) forbids the same calls elsewhere, so that every decision can be tested, and simulated, at any time.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::platform::cpu_time;

pub mod alarm;
pub mod simulated;
pub mod speed;

/// The time now, in UTC, as the region has it that this process works with (see [`speed`]). Never earlier than what was
/// read before.
pub fn now() -> Timestamp {
    simulated::times().map_or_else(speed::now, |(now, _)| now)
}

/// A monotonic instant now of the clock on the wall, for measuring how long something took.
pub fn instant() -> Instant {
    simulated::times().map_or_else(Instant::now, |(_, instant)| instant)
}

/// Sleeps without blocking the thread, so long by the clock on the wall.
pub async fn sleep(duration: Duration) {
    if !simulated::sleep(duration).await {
        tokio::time::sleep(duration).await;
    }
}

/// Sleeps until [`now`] is `deadline`; returns at once where it has passed.
pub async fn sleep_until(deadline: Timestamp) {
    if let Ok(left) = Duration::try_from(deadline.duration_since(now())) {
        sleep(speed::wall(left)).await;
    }
}

/// CPU time that this process has used so far.
pub fn process_cpu() -> Duration {
    cpu_time::process()
}

/// CPU time that the calling thread has used so far.
pub fn thread_cpu() -> Duration {
    cpu_time::thread()
}
