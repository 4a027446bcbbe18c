//! What one look at the cloud found. Everything is as the cloud reported it: what it means is the model's to say.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::series::Point;
use crate::cloud::activities::Activity;
use crate::cloud::state::{AlarmState, InstanceState, Lifecycle, RefreshStatus};
use crate::resource::status::Status;
use crate::result::live::Load;

/// One look.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The region's time.
    pub at: Timestamp,
    pub status: Status,
    /// A group's instance → Auto Scaling's lifecycle state: `InService`, `Pending`, `Terminating:Wait`.
    pub lifecycles: BTreeMap<String, Lifecycle>,
    /// Also those that have ended, as long as EC2 reports them.
    pub instances: Vec<Instance>,
    pub activities: Vec<Activity>,
    pub refreshes: Vec<Refresh>,
    pub alarms: Vec<Alarm>,
    /// Those that no look before has reported, where the cloud can be asked so.
    pub alarm_changes: Vec<AlarmChange>,
    /// `None` where this look did not ask: metrics change once a minute.
    pub metrics: Option<Metrics>,
    /// The load that is sent, as its generator reports it in this folder; `None` where nobody did.
    pub load: Option<Load>,
    /// What could not be read, and why.
    pub missing: Vec<String>,
}

/// An instance as EC2 knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    pub id: String,
    pub cluster: String,
    pub instance_type: String,
    pub state: InstanceState,
    pub launched: Option<Timestamp>,
    /// `User initiated (2026-11-21 10:00:00 GMT)`
    pub transition: Option<String>,
    /// Whether an Auto Scaling group launched it: then the group reports it.
    pub of_group: bool,
    /// What was done to its processes on purpose, as the embedded region reports it: `hang 2026-11-28T10:00:00Z 600`.
    pub disturbed: Option<String>,
}

/// An instance refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    pub cluster: String,
    pub id: String,
    pub status: RefreshStatus,
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    pub percent: Option<i32>,
    pub reason: Option<String>,
}

/// An alarm that a policy of the stack is called by.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    pub cluster: String,
    /// In the stack's words.
    pub policy: String,
    pub name: String,
    pub metric: String,
    pub state: AlarmState,
    pub comparison: Comparison,
    pub threshold: f64,
    /// Seconds
    pub period: i64,
    /// N of "M of N".
    pub periods: usize,
    /// M of "M of N".
    pub to_alarm: usize,
    pub since: Option<Timestamp>,
}

/// CloudWatch's comparison operators that take one threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl Comparison {
    pub fn sign(self) -> &'static str {
        match self {
            Comparison::Above => ">",
            Comparison::AtLeast => "≥",
            Comparison::Below => "<",
            Comparison::AtMost => "≤",
        }
    }

    pub fn breaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Comparison::Above => value > threshold,
            Comparison::AtLeast => value >= threshold,
            Comparison::Below => value < threshold,
            Comparison::AtMost => value <= threshold,
        }
    }
}

/// An entry of an alarm's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmChange {
    pub alarm: String,
    pub at: Timestamp,
    /// `HistoryData`: JSON.
    pub data: String,
    pub summary: String,
}

/// What CloudWatch had, by the minute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// By cluster and figure.
    pub clusters: BTreeMap<(String, Figure), Vec<Point>>,
    /// By the alarm's name, one point for each of its periods.
    pub alarms: BTreeMap<String, Vec<Point>>,
    /// 5XX that the load balancer itself answered: no cluster's.
    pub load_balancer_errors: Vec<Point>,
}

/// A figure of a cluster that CloudWatch measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    Requests,
    P50,
    P95,
    P99,
    ClientErrors,
    ServerErrors,
    ConnectionErrors,
    Healthy,
    Cpu,
}
