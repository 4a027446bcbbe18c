//! A scenario: what load a run sends, and what it must reach.
//!
//! Threads run against every target, all started together, so that clusters are compared under the same load at the
//! same time. A thread sends its steps in order; its connections share each step's requests.

use std::time::Duration;

use super::threshold::Threshold;
use crate::stack::model::Cluster;

#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    pub name: String,
    /// Empty: every cluster of the stack on its first route.
    pub targets: Vec<TargetChoice>,
    /// Time limit of a request.
    pub timeout: Duration,
    pub expect: Expect,
    /// Each target gets its own set.
    pub threads: Vec<Thread>,
    pub thresholds: Vec<Threshold>,
}

/// A cluster, and the path to load it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetChoice {
    pub cluster: String,
    /// `None`: the cluster's first route.
    pub path: Option<String>,
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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    pub name: String,
    /// How many requests may be under way at once.
    pub connections: u32,
    pub steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Requests(u64),
    Pause(Duration),
}

impl Step {
    pub fn requests(self) -> u64 {
        match self {
            Step::Requests(count) => count,
            Step::Pause(_) => 0,
        }
    }

    /// `500 requests`, `pause 60 s`
    pub fn label(self) -> String {
        match self {
            Step::Requests(count) => format!("{count} requests"),
            Step::Pause(duration) => format!("pause {} s", duration.as_secs_f64()),
        }
    }
}

impl Scenario {
    /// Requests that each target will get.
    pub fn requests(&self) -> u64 {
        self.threads.iter().flat_map(|thread| &thread.steps).map(|step| step.requests()).sum()
    }
}

/// The path that loads a cluster where the scenario names none: its first route without wildcards, otherwise its first
/// route with `*` as nothing and `?` as a letter.
pub fn default_path(cluster: &Cluster) -> Option<String> {
    let concrete = cluster.routes.iter().find(|route| !route.contains(['*', '?'])).cloned();
    concrete.or_else(|| cluster.routes.first().map(|route| route.replace('*', "").replace('?', "x")))
}
