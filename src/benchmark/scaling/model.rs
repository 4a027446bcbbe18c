//! When to add an instance: the rate is looked at while all instances are healthy, and one is added where it does not hold and
//! the last was added long enough ago. Pure; times are the region's, counted from the start of the load.

use std::collections::VecDeque;
use std::time::Duration;

use crate::result::record::ScalingStep;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// Correct answers a second.
    pub rate: f64,
    /// In percent of the requests.
    pub errors_max: f64,
    /// From one added instance to the next, at least.
    pub every: Duration,
    /// Instances.
    pub max: u32,
    /// How long a rate is looked at.
    pub settle: Duration,
    /// How much faster than the wall the region's time goes: rates are by the wall.
    pub speed: u32,
}

/// What is seen at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub at: Duration,
    pub desired: u32,
    pub healthy: u32,
    /// Requests and errors since the start.
    pub done: u64,
    pub errors: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Wait,
    Add,
    /// The rate holds.
    Held,
    /// There are as many instances as there may be, and the rate does not hold.
    Exhausted,
}

#[derive(Debug)]
pub struct Search {
    wanted: Wanted,
    /// Looks while all instances are healthy, of the last `settle`.
    looks: VecDeque<Look>,
    added_at: Option<Duration>,
    pub steps: Vec<ScalingStep>,
}

impl Search {
    pub fn new(wanted: Wanted) -> Self {
        Self { wanted, looks: VecDeque::new(), added_at: None, steps: Vec::new() }
    }

    pub fn look(&mut self, look: Look) -> Decision {
        if look.healthy < look.desired || look.desired == 0 {
            self.looks.clear();
            return Decision::Wait;
        }
        if self.looks.back().is_some_and(|last| last.desired != look.desired) {
            self.looks.clear();
        }
        self.looks.push_back(look);
        // The oldest that is kept is as old as the window, or a little older.
        while self.looks.get(1).is_some_and(|second| look.at.saturating_sub(second.at) >= self.wanted.settle) {
            self.looks.pop_front();
        }
        let first = *self.looks.front().expect("one was just added");
        let seconds = look.at.saturating_sub(first.at).as_secs_f64();
        if seconds < self.wanted.settle.as_secs_f64() {
            return Decision::Wait;
        }
        let step = self.step(first, look, seconds);
        let decision = if step.held {
            Decision::Held
        } else if look.desired >= self.wanted.max {
            Decision::Exhausted
        } else if self.added_at.is_some_and(|added| look.at.saturating_sub(added) < self.wanted.every) {
            return Decision::Wait;
        } else {
            Decision::Add
        };
        self.steps.push(step);
        if decision == Decision::Add {
            self.added_at = Some(look.at);
            self.looks.clear();
        }
        decision
    }

    fn step(&self, first: Look, last: Look, seconds: f64) -> ScalingStep {
        let (requests, errors) = (last.done - first.done, last.errors - first.errors);
        // An error may be counted a moment before its request.
        let rate = requests.saturating_sub(errors) as f64 * f64::from(self.wanted.speed.max(1)) / seconds;
        let error_percent = (requests > 0).then(|| 100.0 * errors as f64 / requests as f64);
        let held = rate >= self.wanted.rate && error_percent.is_some_and(|errors| errors <= self.wanted.errors_max);
        ScalingStep { at: last.at.as_secs_f64(), instances: last.desired, rate, error_percent, held }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted {
        rate: 50.0,
        errors_max: 1.0,
        every: Duration::from_secs(100),
        max: 4,
        settle: Duration::from_secs(10),
        speed: 1,
    };

    /// A cloud in which an instance carries `each` requests a second, and a new one is healthy after 30 s.
    fn story(wanted: Wanted, each: u64, failing: u64) -> (Vec<(u64, Decision)>, Vec<ScalingStep>) {
        let (mut search, mut told) = (Search::new(wanted), Vec::new());
        let (mut desired, mut healthy, mut boots) = (1, 1, 0);
        let (mut done, mut errors) = (0, 0);
        for second in 0..2000 {
            if healthy < desired && second >= boots {
                healthy = desired;
            }
            done += u64::from(healthy) * each;
            errors += failing;
            let look = Look { at: Duration::from_secs(second), desired, healthy, done, errors };
            match search.look(look) {
                Decision::Wait => {}
                Decision::Add => {
                    told.push((second, Decision::Add));
                    (desired, boots) = (desired + 1, second + 30);
                }
                end => {
                    told.push((second, end));
                    return (told, search.steps);
                }
            }
        }
        (told, search.steps)
    }

    #[test]
    fn instances_are_added_one_at_a_time_and_far_enough_apart_until_the_rate_holds() {
        let (told, steps) = story(WANTED, 20, 0);
        assert_eq!(told, [(10, Decision::Add), (110, Decision::Add), (150, Decision::Held)]);
        let seen: Vec<_> = steps.iter().map(|step| (step.instances, step.rate.round(), step.held)).collect();
        assert_eq!(seen, [(1, 20.0, false), (2, 40.0, false), (3, 60.0, true)]);
    }

    #[test]
    fn with_as_many_as_there_may_be_it_ends() {
        let (told, steps) = story(WANTED, 10, 0);
        assert_eq!(told.last().map(|(_, decision)| *decision), Some(Decision::Exhausted));
        assert_eq!((steps.len(), steps[3].instances), (4, 4));
    }

    #[test]
    fn a_rate_with_errors_does_not_hold() {
        let (told, steps) = story(WANTED, 100, 10);
        assert_eq!(told.last().map(|(_, decision)| *decision), Some(Decision::Exhausted));
        assert_eq!(steps[0].error_percent.map(f64::round), Some(10.0));
        let (_, steps) = story(WANTED, 10, 11);
        assert_eq!((steps[0].rate, steps[0].held), (0.0, false), "more errors than requests");
    }

    #[test]
    fn where_the_regions_time_is_faster_a_rate_is_still_by_the_wall() {
        // At speed 60, 10 s of the region are a sixth of a second: 20 answers in it are 120 a second.
        let mut search = Search::new(Wanted { speed: 60, ..WANTED });
        let look = |at, done| Look { at: Duration::from_secs(at), desired: 1, healthy: 1, done, errors: 0 };
        search.look(look(0, 0));
        assert_eq!(search.look(look(10, 20)), Decision::Held);
        assert_eq!(search.steps[0].rate.round(), 120.0);
    }
}
