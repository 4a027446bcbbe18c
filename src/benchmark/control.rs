//! What a person changes while a load runs: how much of its rate is demanded, and whether anything is sent.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::clock;

/// In percent of the scenario's rate.
const PERCENT_MIN: u32 = 10;
const PERCENT_MAX: u32 = 1000;
/// A change by hand, more often than this, is forgotten by the record; the load follows it all the same.
const CHANGES_MAX: usize = 10_000;

#[derive(Debug)]
pub struct Control {
    percent: AtomicU32,
    paused: AtomicBool,
    resumed: Notify,
    changes: Mutex<Vec<(Instant, u32)>>,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            percent: AtomicU32::new(100),
            paused: AtomicBool::new(false),
            resumed: Notify::new(),
            changes: Mutex::default(),
        }
    }
}

impl Control {
    pub fn percent(&self) -> u32 {
        self.percent.load(Ordering::Relaxed)
    }

    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// More or less of an open load's rate.
    pub fn change_rate(&self, by: i32) {
        let percent = self.percent().saturating_add_signed(by).clamp(PERCENT_MIN, PERCENT_MAX);
        self.percent.store(percent, Ordering::Relaxed);
        self.note();
    }

    /// Sends nothing until it is asked again: what the schedule demands meanwhile is left out.
    pub fn pause_or_resume(&self) {
        self.paused.fetch_xor(true, Ordering::Relaxed);
        self.note();
        self.resumed.notify_waiters();
    }

    fn note(&self) {
        let now = if self.is_paused() { 0 } else { self.percent() };
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if changes.len() < CHANGES_MAX {
            changes.push((clock::instant(), now));
        }
    }

    /// Returns at once where nothing is paused.
    pub async fn until_resumed(&self) {
        while self.is_paused() {
            let resumed = self.resumed.notified();
            if self.is_paused() {
                resumed.await;
            }
        }
    }

    /// (since the start, percent of the rate that was demanded from then on; 0 while paused).
    pub fn history(&self, start: Instant) -> Vec<(Duration, u32)> {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.iter().map(|(at, percent)| (at.saturating_duration_since(start), *percent)).collect()
    }
}

/// Requests that a schedule demanded between two times, of which `history` says how much was left of it. `until` is what the
/// schedule alone demands until a time.
pub fn demanded(history: &[(Duration, u32)], until: impl Fn(Duration) -> f64, at: Duration) -> f64 {
    let ends = history.iter().map(|(change, _)| *change).chain([at]);
    let parts = std::iter::once((Duration::ZERO, 100)).chain(history.iter().copied()).zip(ends);
    parts
        .map(|((from, percent), to)| {
            let (from, to) = (from.min(at), to.min(at));
            (until(to) - until(from)) * f64::from(percent) / 100.0
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_demanded_is_the_schedule_as_far_as_it_was_followed() {
        let seconds = Duration::from_secs;
        let until = |at: Duration| 10.0 * at.as_secs_f64();
        assert_eq!(demanded(&[], until, seconds(10)), 100.0);
        // Twice the rate from 2 s on, nothing from 4 s to 6 s.
        let history = [(seconds(2), 200), (seconds(4), 0), (seconds(6), 100)];
        assert_eq!(demanded(&history, until, seconds(10)), 20.0 + 40.0 + 0.0 + 40.0);
        assert_eq!(demanded(&history, until, seconds(3)), 20.0 + 20.0);
    }

    #[test]
    fn the_rate_has_bounds_and_a_pause_keeps_it() {
        let control = Control::default();
        (0..5).for_each(|_| control.change_rate(-40));
        assert_eq!(control.percent(), 10);
        control.change_rate(90);
        control.pause_or_resume();
        assert!(control.is_paused() && control.percent() == 100);
        control.pause_or_resume();
        let history: Vec<u32> = control.history(clock::instant()).into_iter().map(|(_, percent)| percent).collect();
        assert_eq!(history[5..], [100, 0, 100]);
    }
}
