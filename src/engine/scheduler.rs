//! Which steps may run now: a pure state machine over a dependency graph.
//!
//! A step is ready when everything before it is done and a place is free. A step whose predecessor failed is skipped, with
//! all that follow it; what does not depend on the failure goes on.

/// The state of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Done,
    /// Failed itself, or skipped because of this step.
    Lost,
}

/// Steps by index, with the indices that come before each.
#[derive(Clone, Debug)]
pub struct Schedule {
    before: Vec<Vec<usize>>,
    states: Vec<State>,
    running_max: usize,
}

impl Schedule {
    /// `before[i]` holds the steps that must be done before step `i`.
    pub fn new(before: Vec<Vec<usize>>, running_max: usize) -> Self {
        let states = vec![State::Waiting; before.len()];
        Self { before, states, running_max }
    }

    /// Steps to start now; they count as running from here on.
    #[must_use]
    pub fn start(&mut self) -> Vec<usize> {
        let mut free = self.running_max - self.states.iter().filter(|state| **state == State::Running).count();
        let mut started = Vec::new();
        for step in 0..self.states.len() {
            if free == 0 {
                break;
            }
            let ready = self.before[step].iter().all(|earlier| self.states[*earlier] == State::Done);
            if self.states[step] == State::Waiting && ready {
                self.states[step] = State::Running;
                started.push(step);
                free -= 1;
            }
        }
        started
    }

    pub fn done(&mut self, step: usize) {
        self.states[step] = State::Done;
    }

    /// Marks a failure; returns the steps that are skipped because of it.
    #[must_use]
    pub fn failed(&mut self, step: usize) -> Vec<usize> {
        self.states[step] = State::Lost;
        let mut skipped = Vec::new();
        loop {
            let next = (0..self.states.len()).find(|step| {
                self.states[*step] == State::Waiting
                    && self.before[*step].iter().any(|earlier| self.states[*earlier] == State::Lost)
            });
            match next {
                Some(step) => {
                    self.states[step] = State::Lost;
                    skipped.push(step);
                }
                None => return skipped,
            }
        }
    }

    /// Whether steps are left that neither run nor can start: the graph has a circle.
    pub fn is_stuck(&self) -> bool {
        self.states.contains(&State::Waiting) && !self.states.contains(&State::Running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_starts_when_all_before_it_are_done() {
        let mut schedule = Schedule::new(vec![vec![], vec![], vec![0, 1]], 8);
        assert_eq!(schedule.start(), [0, 1]);
        schedule.done(0);
        assert!(schedule.start().is_empty());
        schedule.done(1);
        assert_eq!(schedule.start(), [2]);
    }

    #[test]
    fn no_more_steps_run_than_there_are_places() {
        let mut schedule = Schedule::new(vec![vec![]; 5], 2);
        assert_eq!(schedule.start(), [0, 1]);
        schedule.done(1);
        assert_eq!(schedule.start(), [2]);
    }

    #[test]
    fn what_stands_on_a_failure_is_skipped_and_the_rest_goes_on() {
        let mut schedule = Schedule::new(vec![vec![], vec![], vec![0], vec![2], vec![1]], 8);
        assert_eq!(schedule.start(), [0, 1]);
        assert_eq!(schedule.failed(0), [2, 3]);
        schedule.done(1);
        assert_eq!(schedule.start(), [4]);
    }

    #[test]
    fn a_circle_is_noticed() {
        let mut schedule = Schedule::new(vec![vec![1], vec![0]], 8);
        assert!(schedule.start().is_empty());
        assert!(schedule.is_stuck());
    }
}
