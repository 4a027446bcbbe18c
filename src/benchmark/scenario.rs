//! A scenario: what load a run sends, and what it must reach.
//!
//! Every target gets the same flows, all started together, so that clusters are compared under the same load at the same
//! time. A flow is a chain of phases. A phase is closed (virtual users who each wait for their answer), open (a rate that
//! holds whatever the answers do), or a pause.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::arrivals::{Curve, Spacing};
use super::data::Table;
use super::threshold::Threshold;
use crate::chaos::model::Experiment;
use crate::stack::model::Cluster;

#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    pub name: String,
    /// Empty: every cluster of the stack on its first route.
    pub targets: Vec<TargetChoice>,
    /// What is sent, by weight; at least one.
    pub requests: Vec<RequestChoice>,
    /// What the logs that are replayed ask for; its requests have the name `replay`.
    pub replayed: Vec<RequestChoice>,
    /// What `${csv.COLUMN}` stands for.
    pub data: Option<Arc<Table>>,
    pub keep_alive: bool,
    /// Requests are sent in HTTP/2, which servers of TLS offer.
    pub http2: bool,
    /// How many redirects a request follows.
    pub redirects: u32,
    /// Requests that were due before this are sent and not counted.
    pub warm_up: Duration,
    /// Connections to a target that an open load may open; beyond them requests wait, and their response time counts on.
    pub connections_max: u32,
    /// How often all of it is done, one after the other: differences between runs show only in several.
    pub repeat: u32,
    /// Each target gets its own set.
    pub flows: Vec<Flow>,
    /// What is broken meanwhile.
    pub chaos: Vec<ChaosStep>,
    pub thresholds: Vec<Threshold>,
    /// What an hour of an instance type counts as in `instance_hours`; 1 where it is not here.
    pub weights: BTreeMap<String, f64>,
}

/// A disruption at a time after the start of the load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChaosStep {
    pub at: Duration,
    pub experiment: Experiment,
}

/// A cluster, and the path to load it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetChoice {
    pub cluster: String,
    /// `None`: the cluster's first route.
    pub path: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestChoice {
    /// Empty where the scenario has only one.
    pub name: String,
    pub weight: u32,
    pub method: String,
    /// Behind the target's path.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Time limit from the moment it is sent.
    pub timeout: Duration,
    pub expect: Expect,
}

impl Default for RequestChoice {
    fn default() -> Self {
        Self {
            name: String::new(),
            weight: 1,
            method: "GET".into(),
            path: String::new(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: Duration::from_secs(10),
            expect: Expect::default(),
        }
    }
}

/// What a correct answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    pub status: u16,
    /// Text that the first 64 KiB of the body must contain.
    pub contains: Option<String>,
}

impl Default for Expect {
    fn default() -> Self {
        Self { status: 200, contains: None }
    }
}

/// Phases in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// A thread's name; empty for a scenario of phases.
    pub name: String,
    pub phases: Vec<Phase>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    pub name: Option<String>,
    pub load: Load,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Load {
    Pause(Duration),
    Closed(Closed),
    Ramping(Ramping),
    Open { curve: Curve, spacing: Spacing },
    Replay(Replay),
}

/// Virtual users who become more and fewer: a user is there while the curve is at its number or above.
#[derive(Clone, Debug, PartialEq)]
pub struct Ramping {
    pub users: Curve,
    pub think_time: Duration,
}

/// Requests at the distances in which a log has them; an open load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// When each is due, rising from 0, and which of [`Scenario::replayed`] it is.
    pub due: Arc<[(Duration, u32)]>,
}

impl Replay {
    pub fn duration(&self) -> Duration {
        self.due.last().map_or(Duration::ZERO, |(due, _)| *due)
    }

    /// Requests due before a time.
    pub fn requests_until(&self, at: Duration) -> usize {
        self.due.partition_point(|(due, _)| *due < at)
    }

    /// The same rates, passed through so many times as fast: only every so many-th request is sent.
    fn faster(&self, speed: u32) -> Self {
        let every = self.due.iter().step_by(speed.max(1) as usize);
        Self { due: every.map(|(due, request)| (*due / speed.max(1), *request)).collect() }
    }
}

/// Virtual users: each sends, waits for its answer, thinks, and sends again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    pub users: u32,
    /// Over all users; whoever is free takes the next.
    pub iterations: Option<u64>,
    /// Nothing is sent after this.
    pub duration: Option<Duration>,
    pub think_time: Duration,
}

impl Load {
    pub fn sends(&self) -> bool {
        !matches!(self, Load::Pause(_))
    }

    fn by_the_wall(&self, speed: u32) -> Self {
        match self {
            Load::Pause(duration) => Load::Pause(*duration / speed),
            Load::Closed(closed) => {
                Load::Closed(Closed { duration: closed.duration.map(|duration| duration / speed), ..*closed })
            }
            Load::Ramping(ramping) => {
                Load::Ramping(Ramping { users: ramping.users.faster(speed), think_time: ramping.think_time })
            }
            Load::Open { curve, spacing } => Load::Open { curve: curve.faster(speed), spacing: *spacing },
            Load::Replay(replay) => Load::Replay(replay.faster(speed)),
        }
    }

    /// Requests that it sends, where that is known before.
    pub fn requests(&self) -> Option<u64> {
        match self {
            Load::Pause(_) => Some(0),
            Load::Closed(closed) => closed.iterations.filter(|_| closed.duration.is_none()),
            Load::Ramping(_) => None,
            Load::Open { curve, .. } => Some(curve.requests().round() as u64),
            Load::Replay(replay) => Some(replay.due.len() as u64),
        }
    }

    /// How long it goes on at most; `None` where its requests alone say so.
    pub fn lasts(&self) -> Option<Duration> {
        match self {
            Load::Pause(duration) => Some(*duration),
            Load::Closed(closed) => closed.duration,
            Load::Ramping(ramping) => Some(ramping.users.duration()),
            Load::Open { curve, .. } => Some(curve.duration()),
            Load::Replay(replay) => Some(replay.duration()),
        }
    }

    /// Requests demanded so long after its start; `None` of a load that demands nothing of itself.
    pub fn demanded_until(&self, at: Duration) -> Option<f64> {
        match self {
            Load::Open { curve, .. } => Some(curve.requests_until(at)),
            Load::Replay(replay) => Some(replay.requests_until(at) as f64),
            _ => None,
        }
    }

    /// Requests leave when the schedule demands them, whatever the answers do.
    pub fn is_open(&self) -> bool {
        matches!(self, Load::Open { .. } | Load::Replay(_))
    }
}

impl Phase {
    /// Its name, or `500 requests`, `pause 60 s`, `200/s for 30 s`
    pub fn label(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let seconds = |duration: &Duration| format!("{} s", duration.as_secs_f64());
        match &self.load {
            Load::Pause(duration) => format!("pause {}", seconds(duration)),
            Load::Closed(Closed { iterations: Some(count), .. }) => format!("{count} requests"),
            Load::Closed(Closed { users, duration, .. }) => {
                format!("{users} users for {}", duration.as_ref().map_or_else(String::new, seconds))
            }
            Load::Ramping(ramping) => {
                format!("up to {} users for {}", ramping.users.peak(), seconds(&ramping.users.duration()))
            }
            Load::Replay(replay) => format!("replay of {} requests", replay.due.len()),
            Load::Open { curve, .. } => format!("up to {}/s for {}", curve.peak(), seconds(&curve.duration())),
        }
    }
}

impl Scenario {
    /// The scenario by the clock on the wall, for a region whose time runs `speed` times as fast. What it says of durations
    /// is meant in the region's time, so that a day of load takes 24 minutes at speed 60; rates, users and their think time
    /// stay as they are, for requests take the time that they take.
    #[must_use]
    pub fn by_the_wall(&self, speed: u32) -> Self {
        let phase = |phase: &Phase| Phase { name: Some(phase.label()), load: phase.load.by_the_wall(speed) };
        let flow = |flow: &Flow| Flow { name: flow.name.clone(), phases: flow.phases.iter().map(phase).collect() };
        let mut thresholds = self.thresholds.clone();
        for threshold in &mut thresholds {
            threshold.abort_after = threshold.abort_after.map(|after| after / speed);
        }
        let flows = self.flows.iter().map(flow).collect();
        Self { warm_up: self.warm_up / speed, flows, thresholds, ..self.clone() }
    }

    /// Requests that each target will get, where that is known before.
    pub fn planned(&self) -> Option<u64> {
        let once: Option<u64> =
            self.flows.iter().flat_map(|flow| &flow.phases).map(|phase| phase.load.requests()).sum();
        Some(once? * u64::from(self.repeat))
    }

    /// Whether every request waits for an answer before it: then only service time can be measured.
    pub fn is_closed(&self) -> bool {
        !self.flows.iter().flat_map(|flow| &flow.phases).any(|phase| phase.load.is_open())
    }
}

/// The path that loads a cluster where the scenario names none: its first route without wildcards, otherwise its first
/// route with `*` as nothing and `?` as a letter.
pub fn default_path(cluster: &Cluster) -> Option<String> {
    let concrete = cluster.routes.iter().find(|route| !route.contains(['*', '?'])).cloned();
    concrete.or_else(|| cluster.routes.first().map(|route| route.replace('*', "").replace('?', "x")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmark::tests::scenario;

    #[test]
    fn a_faster_region_shortens_the_scenario_and_keeps_its_rates_and_labels() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let open = Load::Open { curve: Curve::constant(50.0, minutes(60)), spacing: Spacing::Even };
        let written = scenario(vec![Load::Pause(minutes(10)), open]);
        let run = written.by_the_wall(60);
        let [pause, open] = run.flows[0].phases.as_slice() else { panic!("{:?}", run.flows) };
        assert_eq!((pause.label().as_str(), &pause.load), ("pause 600 s", &Load::Pause(Duration::from_secs(10))));
        let Load::Open { curve, .. } = &open.load else { panic!("{open:?}") };
        assert_eq!((curve.peak(), curve.duration(), open.load.requests()), (50.0, Duration::from_secs(60), Some(3000)));
        assert_eq!(open.label(), "up to 50/s for 3600 s");
        assert_eq!(written.by_the_wall(1).planned(), written.planned());
    }
}
