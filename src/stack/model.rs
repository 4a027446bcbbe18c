//! What the user wants, with every default filled in.
//!
//! [`Stack`] is the only thing that the engine and the benchmark read of a stack file. Positions in the file stay behind
//! in `yaml.rs` and `validate.rs`: a `Stack` that exists is valid.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A whole stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    pub name: String,
    pub provider: Provider,
    pub region: String,
    /// After `--var` overrides.
    pub variables: BTreeMap<String, String>,
    pub network: Network,
    pub load_balancer: LoadBalancer,
    /// In file order.
    pub clusters: Vec<Cluster>,
    /// The scenario file, resolved against the stack file's folder.
    pub benchmark: Option<PathBuf>,
    /// The user's own tags, without `cloudscale:*`.
    pub tags: BTreeMap<String, String>,
    /// The stack file, as the user named it.
    pub file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// The embedded region.
    Local,
    Aws,
}

impl Provider {
    pub fn name(self) -> &'static str {
        match self {
            Provider::Local => "local",
            Provider::Aws => "aws",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// The account's default VPC and its default subnets.
    Default,
    /// An existing VPC; at least two subnets in different zones.
    Existing { vpc: String, subnets: Vec<String> },
    /// A VPC of our own with one public subnet per zone.
    Created { cidr: String, zones: u8 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancer {
    pub port: u16,
    /// What answers a path that no route matches.
    pub default: FixedResponse,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedResponse {
    pub status: u16,
    pub body: String,
    pub content_type: String,
}

/// Instances of one type behind one target group.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    pub name: String,
    pub instance_type: String,
    pub image: Image,
    pub user_data: Option<UserData>,
    /// The port that the application listens on.
    pub port: u16,
    /// Path patterns, in the order written.
    pub routes: Vec<String>,
    pub health_check: HealthCheck,
    pub capacity: Capacity,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// A name that stands for a public SSM parameter, e.g. `amazon-linux-2023`.
    Alias { name: String, parameter: String },
    /// `ami-…`
    Id(String),
    /// The path of an SSM parameter.
    Parameter(String),
}

/// A user-data script after `${…}` has been filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserData {
    pub file: PathBuf,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    pub path: String,
    pub interval: Duration,
    pub timeout: Duration,
    pub healthy: u8,
    pub unhealthy: u8,
    /// ELB matcher syntax: `200`, `200,202`, `200-299`.
    pub codes: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Capacity {
    /// A fixed number of instances.
    Fleet { instances: u32 },
    /// An Auto Scaling group.
    Group(Autoscaling),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Autoscaling {
    pub min: u32,
    pub max: u32,
    /// At creation only; afterwards the scaler owns it.
    pub desired: u32,
    pub warmup: Duration,
    pub health_grace: Duration,
    pub policies: Vec<Policy>,
    pub schedule: Vec<ScheduledAction>,
    pub rollout: Rollout,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Policy {
    TargetTracking {
        name: String,
        metric: Metric,
        target: f64,
    },
    Step {
        name: String,
        metric: Metric,
        comparison: Comparison,
        threshold: f64,
        period: Duration,
        evaluations: u32,
        steps: Vec<Step>,
    },
}

impl Policy {
    pub fn name(&self) -> &str {
        match self {
            Policy::TargetTracking { name, .. } | Policy::Step { name, .. } => name,
        }
    }
}

/// A metric that a policy watches.
#[derive(Clone, Debug, PartialEq)]
pub enum Metric {
    Cpu,
    NetworkIn,
    NetworkOut,
    RequestsPerTarget,
    Custom { namespace: String, name: String, dimensions: BTreeMap<String, String>, statistic: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Above,
    Below,
}

/// A step adjustment; bounds are relative to the threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub from: Option<f64>,
    pub to: Option<f64>,
    /// Instances to add; negative removes.
    pub add: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledAction {
    pub name: String,
    pub cron: String,
    pub time_zone: String,
    pub min: Option<u32>,
    pub max: Option<u32>,
    pub desired: Option<u32>,
}

/// Bounds of an instance refresh, in percent of the desired capacity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    pub min_healthy: u8,
    pub max_healthy: u8,
}
