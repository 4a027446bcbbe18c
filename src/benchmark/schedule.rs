//! What a thread does next: a pure reading of its steps. Time is passed in.
//!
//! A thread walks through its steps one by one. A step of requests is a budget that the thread's connections share:
//! whoever is free takes the next request (closed loop), and the step ends when the budget is empty and every request
//! taken has been answered. A pause lasts from the moment the step before it ended.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::scenario::Step;

/// What to do now.
#[derive(Debug)]
pub enum Move {
    /// Send requests until the budget is empty.
    Load(Budget),
    /// Send nothing until then.
    PauseUntil(Instant),
    Done,
}

/// A thread's place in its steps.
#[derive(Debug)]
pub struct Schedule<'a> {
    steps: &'a [Step],
    position: usize,
}

impl<'a> Schedule<'a> {
    pub fn new(steps: &'a [Step]) -> Self {
        Self { steps, position: 0 }
    }

    /// The next move, to be asked for when the one before it is over. `now` is when a pause begins.
    pub fn next(&mut self, now: Instant) -> Move {
        let Some(step) = self.steps.get(self.position) else { return Move::Done };
        self.position += 1;
        match *step {
            Step::Requests(count) => Move::Load(Budget::new(count)),
            Step::Pause(duration) => Move::PauseUntil(now + duration),
        }
    }

    /// The step under way (or just over), counted from 1.
    pub fn position(&self) -> usize {
        self.position
    }
}

/// Requests left in a step; shared by the connections of one thread.
#[derive(Debug)]
pub struct Budget {
    left: Cell<u64>,
}

impl Budget {
    pub fn new(count: u64) -> Self {
        Self { left: Cell::new(count) }
    }

    /// Takes one request; false where none is left.
    pub fn take(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}

/// The union of spans that may overlap, as one length: how long at least one thread was sending.
pub fn covered(mut spans: Vec<(Duration, Duration)>) -> Duration {
    spans.sort();
    let mut total = Duration::ZERO;
    let mut until = Duration::ZERO;
    for (start, end) in spans {
        let start = start.max(until);
        if end > start {
            total += end - start;
            until = end;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn drain(budget: &Budget) -> u64 {
        std::iter::from_fn(|| budget.take().then_some(())).count() as u64
    }

    #[test]
    fn a_pause_lasts_from_the_end_of_the_step_before_it() {
        let start = crate::clock::instant();
        let steps = [Step::Requests(500), Step::Pause(seconds(60)), Step::Requests(1000)];
        let mut schedule = Schedule::new(&steps);
        let Move::Load(first) = schedule.next(start) else { panic!("the first step sends") };
        assert_eq!(drain(&first), 500);
        let Move::PauseUntil(end) = schedule.next(start + seconds(7)) else { panic!("the second step pauses") };
        assert_eq!(end, start + seconds(67));
        let Move::Load(last) = schedule.next(end) else { panic!("the third step sends") };
        assert_eq!(drain(&last), 1000);
        assert!(matches!(schedule.next(end), Move::Done));
    }

    #[test]
    fn overlapping_spans_are_counted_once() {
        let spans = vec![
            (seconds(10), seconds(20)),
            (seconds(0), seconds(4)),
            (seconds(12), seconds(15)),
            (seconds(3), seconds(5)),
        ];
        assert_eq!(covered(spans), seconds(15));
    }
}
