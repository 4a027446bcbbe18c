//! How far a load has come: when it began, which phases are under way, and whoever ends it. Its workers move it on, whatever
//! they are; the watcher reads it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::control::Control;
use super::plan::Plan;
use crate::clock;

pub struct Course {
    pub plan: Plan,
    /// The moment that everything is measured from, set when all workers are ready.
    pub start: OnceLock<Instant>,
    /// Of each target, of each flow: the phase under way, counted from 1; 0 before the start, beyond the last when done.
    phases: Vec<AtomicUsize>,
    pub cancel: CancellationToken,
    pub control: Arc<Control>,
}

impl Course {
    pub fn new(plan: Plan, cancel: CancellationToken, control: Arc<Control>) -> Self {
        let phases = (0..plan.targets.len() * plan.flows.len()).map(|_| AtomicUsize::new(0)).collect();
        Self { plan, start: OnceLock::new(), phases, cancel, control }
    }

    /// A target's flow (`target · flows + flow`) has begun a phase, counted over all repetitions from 0.
    pub fn enter(&self, place: usize, phase: usize) {
        self.phases[place].fetch_max(phase + 1, Ordering::Relaxed);
    }

    /// A target's flow is done.
    pub fn leave(&self, place: usize) {
        self.phases[place].store(usize::MAX, Ordering::Relaxed);
    }

    pub fn elapsed(&self) -> Duration {
        self.start.get().map_or(Duration::ZERO, |start| clock::instant().saturating_duration_since(*start))
    }

    /// The phase of a target's flow that is under way, if one is.
    pub fn current(&self, target: usize, flow: usize) -> Option<usize> {
        let phase = self.phases[target * self.plan.flows.len() + flow].load(Ordering::Relaxed);
        let phases = self.plan.flows[flow].phases.len();
        phase.checked_sub(1).filter(|phase| *phase < phases * self.plan.repeat).map(|phase| phase % phases)
    }
}

/// When a worker's part of a phase began and ended, since the start.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pub target: usize,
    pub phase: u16,
    pub began: Duration,
    /// `None` where the run was stopped before.
    pub ended: Option<Duration>,
}

/// What a worker answers at its end.
#[derive(Debug, Default)]
pub struct WorkerEnd {
    pub marks: Vec<Mark>,
    /// How long at least one of its phases was sending, and the CPU time of that.
    pub sending: Duration,
    pub sending_cpu: Duration,
    /// Requests that had to wait because the pool was full.
    pub waited: u64,
}
