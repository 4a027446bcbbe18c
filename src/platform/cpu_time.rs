//! CPU time that was used so far.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// By this process.
pub fn process() -> Duration {
    used(ClockId::ProcessCPUTime)
}

/// By the calling thread.
pub fn thread() -> Duration {
    used(ClockId::ThreadCPUTime)
}

fn used(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}
