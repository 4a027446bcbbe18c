//! What a load looks like while it runs; no terminal, no clock.

use std::collections::{BTreeMap, VecDeque};

use crate::resource::event::{Event, Progress};

/// Columns that a chart has at most, one for each second.
const SECONDS_MAX: usize = 600;
const EVENTS_MAX: usize = 100;

#[derive(Clone, Debug, Default)]
pub struct TargetView {
    pub name: String,
    pub progress: Progress,
    /// Answers a second, one value for each second.
    pub rates: VecDeque<f64>,
    second: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapacityView {
    pub desired: u32,
    pub running: u32,
    pub healthy: u32,
}

#[derive(Clone, Debug)]
pub struct LoadView {
    pub scenario: String,
    pub targets: Vec<TargetView>,
    pub capacity: BTreeMap<String, CapacityView>,
    /// The newest last.
    pub events: VecDeque<String>,
    /// Of the scenario's rate.
    pub percent: u32,
    pub paused: bool,
    pub color: bool,
}

impl LoadView {
    pub fn new(color: bool) -> Self {
        Self {
            scenario: String::new(),
            targets: Vec::new(),
            capacity: BTreeMap::new(),
            events: VecDeque::new(),
            percent: 100,
            paused: false,
            color,
        }
    }

    pub fn update(&mut self, event: &Event) {
        match event {
            Event::BenchStarted { scenario, targets, .. } => {
                self.scenario.clone_from(scenario);
                let target = |name: &String| TargetView { name: name.clone(), ..TargetView::default() };
                self.targets = targets.iter().map(target).collect();
            }
            Event::BenchProgress { target, progress } => self.progress(target, progress),
            Event::Capacity { cluster, desired, running, healthy } => {
                let seen = CapacityView { desired: *desired, running: *running, healthy: *healthy };
                self.capacity.insert(cluster.clone(), seen);
            }
            Event::Scaled { cluster, what, .. } => self.tell(format!("{cluster}: {what}")),
            Event::Note { text } => self.tell(text.clone()),
            _ => {}
        }
    }

    fn progress(&mut self, name: &str, progress: &Progress) {
        let Some(target) = self.targets.iter_mut().find(|target| target.name == name) else { return };
        let second = progress.elapsed_s as u64;
        if target.rates.is_empty() || second > target.second {
            target.rates.push_back(progress.rate);
            target.second = second;
            if target.rates.len() > SECONDS_MAX {
                target.rates.pop_front();
            }
        }
        target.progress = progress.clone();
    }

    fn tell(&mut self, text: String) {
        self.events.push_back(text);
        if self.events.len() > EVENTS_MAX {
            self.events.pop_front();
        }
    }

    /// Of all targets the same: they follow one schedule.
    pub fn clock(&self) -> (f64, Option<f64>) {
        self.targets.first().map_or((0.0, None), |target| (target.progress.elapsed_s, target.progress.left_s))
    }
}
