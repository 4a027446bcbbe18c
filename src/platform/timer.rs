//! A timer with the kernel's own precision: tokio's counts whole milliseconds.

use std::io;
use std::time::Duration;

/// Made on the runtime that waits for it.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub struct Timer {
    timer: tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
}

#[cfg(target_os = "linux")]
impl Timer {
    /// # Errors
    /// Where the process may open no more files.
    // tokio deprecates this for types that could give their descriptor away; this one owns it, and nobody else sees it.
    #[allow(deprecated)]
    pub fn new() -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self { timer: tokio::io::unix::AsyncFd::new(timerfd_create(TimerfdClockId::Monotonic, flags)?)? })
    }

    /// Waits that long.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub async fn wait(&mut self, left: Duration) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value =
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: zero, it_value: value })?;
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

/// Elsewhere the runtime's own timer has to do.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub struct Timer;

#[cfg(not(target_os = "linux"))]
impl Timer {
    pub fn new() -> io::Result<Self> {
        Ok(Self)
    }

    #[allow(clippy::disallowed_methods, reason = "the clock stands on this")]
    pub async fn wait(&mut self, left: Duration) -> io::Result<()> {
        tokio::time::sleep(left).await;
        Ok(())
    }
}
