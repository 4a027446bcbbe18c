//! Which steps may run now: a pure state machine over a dependency graph.
//!
//! A step is ready when everything before it is done and a place is free. A step whose predecessor failed is skipped, with
//! all that follow it; what does not depend on the failure goes on.

use std::collections::VecDeque;

/// The state of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Done,
    /// Failed itself, or skipped because of this step.
    Lost,
}

/// Steps by index, and what follows from each. Every step and every edge is looked at once, however many there are.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The steps that wait for each step.
    after: Vec<Vec<usize>>,
    /// How many steps each still waits for.
    missing: Vec<usize>,
    states: Vec<State>,
    ready: VecDeque<usize>,
    running: usize,
    waiting: usize,
    running_max: usize,
}

impl Schedule {
    /// `before[i]` holds the steps that must be done before step `i`.
    pub fn new(before: &[Vec<usize>], running_max: usize) -> Self {
        let mut after = vec![Vec::new(); before.len()];
        for (step, earlier) in before.iter().enumerate() {
            for earlier in earlier {
                after[*earlier].push(step);
            }
        }
        let missing: Vec<_> = before.iter().map(Vec::len).collect();
        let ready = (0..missing.len()).filter(|step| missing[*step] == 0).collect();
        let (states, waiting) = (vec![State::Waiting; before.len()], before.len());
        Self { after, missing, states, ready, running: 0, waiting, running_max }
    }

    /// Steps to start now; they count as running from here on.
    #[must_use]
    pub fn start(&mut self) -> Vec<usize> {
        let free = self.running_max.saturating_sub(self.running).min(self.ready.len());
        let started: Vec<_> = self.ready.drain(..free).collect();
        for step in &started {
            self.states[*step] = State::Running;
        }
        self.running += started.len();
        self.waiting -= started.len();
        started
    }

    pub fn done(&mut self, step: usize) {
        self.states[step] = State::Done;
        self.running -= 1;
        for next in &self.after[step] {
            self.missing[*next] -= 1;
            if self.missing[*next] == 0 && self.states[*next] == State::Waiting {
                self.ready.push_back(*next);
            }
        }
    }

    /// Marks a failure; returns the steps that are skipped because of it.
    #[must_use]
    pub fn failed(&mut self, step: usize) -> Vec<usize> {
        self.states[step] = State::Lost;
        self.running -= 1;
        let mut skipped = Vec::new();
        let mut lost = VecDeque::from([step]);
        while let Some(step) = lost.pop_front() {
            for next in &self.after[step] {
                if self.states[*next] == State::Waiting {
                    self.states[*next] = State::Lost;
                    self.waiting -= 1;
                    skipped.push(*next);
                    lost.push_back(*next);
                }
            }
        }
        skipped
    }

    /// Whether steps are left that neither run nor can start: the graph has a circle.
    pub fn is_stuck(&self) -> bool {
        self.waiting > 0 && self.running == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_starts_when_all_before_it_are_done() {
        let mut schedule = Schedule::new(&[vec![], vec![], vec![0, 1]], 8);
        assert_eq!(schedule.start(), [0, 1]);
        schedule.done(0);
        assert!(schedule.start().is_empty());
        schedule.done(1);
        assert_eq!(schedule.start(), [2]);
    }

    #[test]
    fn no_more_steps_run_than_there_are_places() {
        let mut schedule = Schedule::new(&vec![vec![]; 5], 2);
        assert_eq!(schedule.start(), [0, 1]);
        schedule.done(1);
        assert_eq!(schedule.start(), [2]);
    }

    #[test]
    fn what_stands_on_a_failure_is_skipped_and_the_rest_goes_on() {
        let mut schedule = Schedule::new(&[vec![], vec![], vec![0], vec![2], vec![1]], 8);
        assert_eq!(schedule.start(), [0, 1]);
        assert_eq!(schedule.failed(0), [2, 3]);
        schedule.done(1);
        assert_eq!(schedule.start(), [4]);
    }

    #[test]
    fn a_circle_is_noticed() {
        let mut schedule = Schedule::new(&[vec![1], vec![0]], 8);
        assert!(schedule.start().is_empty());
        assert!(schedule.is_stuck());
    }
}
