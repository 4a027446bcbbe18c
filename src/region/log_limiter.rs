//! What happens again and again is said now and then: an overload must not fill the disk with its own log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;

/// How often the same is said.
const EVERY: Duration = Duration::from_secs(10);

/// One thing to say.
#[derive(Debug)]
pub struct LogLimiter {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    said: Option<Instant>,
    unsaid: u64,
}

impl LogLimiter {
    pub const fn new() -> Self {
        Self { state: Mutex::new(State { said: None, unsaid: 0 }) }
    }

    /// Whether to say it now; then how many times it was not said since the last time.
    pub fn due(&self) -> Option<u64> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).due(clock::instant())
    }
}

impl Default for LogLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn due(&mut self, now: Instant) -> Option<u64> {
        if self.said.is_some_and(|said| now.duration_since(said) < EVERY) {
            self.unsaid += 1;
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_time_is_said_and_then_one_in_ten_seconds_with_the_number_of_the_others() {
        let start = clock::instant();
        let mut state = State { said: None, unsaid: 0 };
        let at = |millis: u64| start + Duration::from_millis(millis);
        assert_eq!(state.due(at(0)), Some(0));
        let said: Vec<Option<u64>> = (1..=1000).map(|tick| state.due(at(tick * 10))).collect();
        assert_eq!(said.iter().flatten().collect::<Vec<_>>(), [&999], "once, when ten seconds are over");
        assert_eq!(said[999], Some(999));
    }
}
