//! What the engine and the benchmark report while they work. Sinks (`src/ui/`) turn events into bars, lines or JSON.

use std::time::Duration;

use serde::Serialize;

use crate::cloud::address::Address;
use crate::resource::change::Action;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// `total` actions are about to run.
    ApplyStarted {
        total: usize,
    },
    ActionStarted {
        address: Address,
        action: Action,
    },
    /// The action waits for the cloud; `reason` changes as it waits: "i-0ab…: 502 from /health, 2 of 5".
    ActionWaiting {
        address: Address,
        reason: String,
    },
    ActionFinished {
        address: Address,
        action: Action,
        seconds: f64,
    },
    ActionFailed {
        address: Address,
        action: Action,
        summary: String,
    },
    /// Not tried, because what it stands on failed.
    ActionSkipped {
        address: Address,
        because: Address,
    },
    /// A wait that belongs to no single resource: targets, routes, CloudWatch.
    Waiting {
        what: String,
        reason: String,
    },
    /// The wait is over; `detail` says what came of it: "5 of 5 healthy".
    Ready {
        what: String,
        detail: String,
    },
    /// Something worth a line of its own.
    Note {
        text: String,
    },
    /// The benchmark's load is about to start; `requests` over all targets.
    BenchStarted {
        scenario: String,
        targets: Vec<String>,
        requests: u64,
    },
    /// About four times a second for each target.
    BenchProgress {
        target: String,
        progress: Progress,
    },
    BenchFinished {
        seconds: f64,
    },
    /// A cluster's instances changed while a load runs.
    Capacity {
        cluster: String,
        desired: u32,
        running: u32,
        healthy: u32,
    },
    /// A group launched or ended an instance while a load runs.
    Scaled {
        cluster: String,
        what: String,
        cause: String,
    },
}

/// How one target of the benchmark is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Progress {
    /// Requests answered so far.
    pub done: u64,
    pub planned: u64,
    pub errors: u64,
    /// Requests per second over the last second.
    pub rate: f64,
    /// `None` while there is no correct answer.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// `step 2 of 3: pause 60 s`
    pub phase: String,
    /// Requests a second that the schedule demands now; `None` in a closed load.
    pub demand: Option<f64>,
    /// Since the start, and until the schedule ends where that is known; in the region's time.
    pub elapsed_s: f64,
    pub left_s: Option<f64>,
    /// `400/s in 2 min 10 s`, or the next phase.
    pub next: Option<String>,
}

/// Takes events. Called from many tasks; must not block for long.
pub trait Sink: Send + Sync {
    fn event(&self, event: Event);
}

/// Times an action for its `ActionFinished`.
pub fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
