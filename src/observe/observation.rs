//! What one look at the cloud found. Everything is as the cloud reported it: what it means is the model's to say.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::series::Point;
use crate::cloud::activities::Activity;
use crate::cloud::alarms::{Alarm, AlarmChange};
use crate::cloud::refreshes::Refresh;
use crate::cloud::state::{InstanceState, Lifecycle};
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
