//! A timer with the kernel's own precision: tokio's counts whole milliseconds, and a load of 2,000/s has two in each.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::unix::AsyncFd;

/// Made on the runtime that waits for it.
#[derive(Debug)]
pub struct Alarm {
    timer: AsyncFd<OwnedFd>,
}

impl Alarm {
    // tokio deprecates this for types that could give their descriptor away; this one owns it, and nobody else sees it.
    #[allow(deprecated)]
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self { timer: AsyncFd::new(rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?)? })
    }

    /// Waits until then; answers at once where it has passed.
    pub async fn until(&mut self, at: Instant) -> io::Result<()> {
        let left = at.saturating_duration_since(super::instant());
        if left.is_zero() || super::simulated::sleep(left).await {
            return Ok(());
        }
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value =
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
        let once = Itimerspec { it_interval: zero, it_value: value };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        loop {
            let mut ready = self.timer.readable().await?;
            let mut expirations = [0; 8];
            let outcome = rustix::io::read(self.timer.get_ref(), &mut expirations);
            ready.clear_ready();
            match outcome {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
