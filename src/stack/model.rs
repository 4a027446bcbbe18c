//! What the user wants, with every default filled in.
//!
//! [`Stack`] is the only thing that the engine and the benchmark read of a stack file. Positions in the file stay
//! behind in `yaml.rs` and `validate.rs`: a `Stack` that exists is valid.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::local::Local;
use crate::secret::{Secret, Text};

/// A whole stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    pub name: String,
    pub provider: Provider,
    pub region: String,
    /// How the embedded region is to run; `None`: as it runs.
    pub local: Option<Local>,
    /// After `--var` and the like.
    pub variables: BTreeMap<String, Variable>,
    pub network: Network,
    /// `None`: fixed instances alone.
    pub load_balancer: Option<LoadBalancer>,
    /// In file order; they come before the routes of the clusters.
    pub routes: Vec<WeightedRoute>,
    /// In file order.
    pub clusters: Vec<Cluster>,
    /// Whether there is a CloudWatch dashboard of the clusters.
    pub dashboard: bool,
    /// `None`: nobody logs in.
    pub ssh: Option<Ssh>,
    /// The scenario file, resolved against the stack file's folder.
    pub benchmark: Option<PathBuf>,
    /// The user's own tags, without `cloudscale:*`.
    pub tags: BTreeMap<String, String>,
    /// The stack file, as the user named it.
    pub file: PathBuf,
}

impl Stack {
    pub fn has_load_balancer(&self) -> bool {
        self.load_balancer.is_some()
    }

    /// Whether a cluster's instances are targets of the load balancer.
    pub fn balances(&self, cluster: &Cluster) -> bool {
        self.has_load_balancer() && cluster.purpose == Purpose::Serve
    }

    /// The clusters that serve requests.
    pub fn serving(&self) -> impl Iterator<Item = &Cluster> + Clone {
        self.clusters.iter().filter(|cluster| cluster.purpose == Purpose::Serve)
    }

    /// The cluster of the load generators, and what there is to know of them.
    pub fn load_generators(&self) -> Option<(&Cluster, Generators)> {
        self.clusters.iter().find_map(|cluster| match cluster.purpose {
            Purpose::Load(generators) => Some((cluster, generators)),
            Purpose::Serve => None,
        })
    }

    pub fn has_groups(&self) -> bool {
        self.clusters.iter().any(|cluster| matches!(cluster.capacity, Capacity::Group(_)))
    }
}

/// The value of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variable {
    Plain(String),
    Secret(Secret),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// The embedded region.
    Local,
    Aws,
}

impl Provider {
    pub const ALL: [Provider; 2] = [Provider::Local, Provider::Aws];

    /// The provider of a name that [`Provider::name`] gave.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.name() == name)
    }

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
    /// Of HTTP.
    pub port: u16,
    pub https: Option<Https>,
    /// What answers a path that no route matches.
    pub default: FixedResponse,
}

impl LoadBalancer {
    /// The port that the routes are served on.
    pub fn serving_port(&self) -> u16 {
        self.https.as_ref().map_or(self.port, |https| https.port)
    }

    /// The HTTP port that only leads to HTTPS.
    pub fn redirect_port(&self) -> Option<u16> {
        self.https.as_ref().filter(|https| https.redirect).map(|_| self.port)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Https {
    /// An ARN.
    pub certificate: String,
    pub port: u16,
    /// `ELBSecurityPolicy-…`
    pub policy: String,
    pub redirect: bool,
}

/// Paths whose requests several clusters share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedRoute {
    pub name: String,
    pub paths: Vec<String>,
    /// (cluster, weight), as written; their sum is not 0.
    pub weights: Vec<(String, u16)>,
    /// How long a client stays with the cluster that it met.
    pub stickiness: Option<Duration>,
}

/// SSH to the instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssh {
    /// The name of a key pair that exists.
    pub key: String,
    /// Who may connect.
    pub cidr: String,
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
    pub purpose: Purpose,
    /// Of a mixed group: the first of its types.
    pub instance_type: String,
    /// The name or the ARN of an existing instance profile.
    pub instance_profile: Option<String>,
    pub image: Image,
    pub user_data: Option<UserData>,
    /// The port that the application listens on.
    pub port: u16,
    /// Path patterns, in the order written.
    pub routes: Vec<String>,
    pub health_check: HealthCheck,
    pub balancing: Balancing,
    pub capacity: Capacity,
}

/// What instances are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Serve,
    /// To load those that serve.
    Load(Generators),
}

/// Locust's workers on instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generators {
    /// Where their master listens.
    pub master: SocketAddr,
    /// Of all instances together.
    pub workers: u32,
}

/// How the load balancer shares a cluster's requests among its instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balancing {
    /// `round_robin`, as AWS names it.
    pub algorithm: String,
    /// How long a client stays with its instance.
    pub stickiness: Option<Duration>,
    pub slow_start: Option<Duration>,
    pub deregistration_delay: Duration,
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

impl Image {
    /// How the stack names it.
    pub fn name(&self) -> &str {
        match self {
            Image::Alias { name, .. } => name,
            Image::Id(id) => id,
            Image::Parameter(path) => path,
        }
    }
}

/// A user-data script after `${…}` has been filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserData {
    pub file: PathBuf,
    pub text: Text,
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
    Fixed { instances: u32, rollout: FixedRollout },
    /// An Auto Scaling group.
    Group(Autoscaling),
}

impl Cluster {
    /// Every type that its instances may be of, by priority.
    pub fn instance_types(&self) -> Vec<&str> {
        match &self.capacity {
            Capacity::Group(Autoscaling { mix: Some(mix), .. }) => mix.types.iter().map(String::as_str).collect(),
            _ => vec![&self.instance_type],
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Autoscaling {
    pub min: u32,
    pub max: u32,
    /// At creation only; afterwards the scaler owns it.
    pub desired: u32,
    pub warmup: Duration,
    /// Between two actions of simple policies.
    pub cooldown: Duration,
    pub health_grace: Duration,
    /// `ELB` or `EC2`.
    pub health_check_type: String,
    /// `None`: one type, on demand.
    pub mix: Option<Box<Mix>>,
    /// `None`: new instances boot when they are needed.
    pub warm_pool: Option<Box<WarmPool>>,
    pub policies: Vec<Policy>,
    pub schedule: Vec<ScheduledAction>,
    /// AWS's names, in order; not empty.
    pub termination: Vec<String>,
    /// AWS's names of the processes that do not run.
    pub suspend: BTreeSet<String>,
    /// Whether new instances stay when the group shrinks.
    pub protect_from_scale_in: bool,
    pub rollout: Rollout,
}

/// Prepared instances that wait beside a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WarmPool {
    /// So many wait even where the group is as large as it gets.
    pub min: u32,
    /// Instances of the group and the pool together; `None`: the group's maximum.
    pub prepared: Option<u32>,
    /// Whether they wait running; else stopped.
    pub running: bool,
    /// Whether instances return when the group scales in.
    pub reuse: bool,
}

/// Several instance types, on demand and spot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    /// By priority; not empty, each once.
    pub types: Vec<String>,
    pub on_demand_base: u32,
    /// Of the capacity beyond the base.
    pub on_demand_percent: u8,
    /// AWS's names of the allocation strategies.
    pub on_demand_strategy: String,
    pub spot_strategy: String,
    /// With `lowest-price` only.
    pub spot_pools: Option<u8>,
    /// US dollars an hour, as written.
    pub max_price: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Policy {
    TargetTracking {
        name: String,
        metric: Metric,
        target: f64,
        scale_in: bool,
        /// `None`: the group's.
        warmup: Option<Duration>,
    },
    Step {
        name: String,
        trigger: Trigger,
        adjustment: Adjustment,
        steps: Vec<Step>,
        /// `Average`, `Minimum` or `Maximum` of the newest datapoints.
        aggregation: String,
        /// `None`: the group's.
        warmup: Option<Duration>,
    },
    Simple {
        name: String,
        trigger: Trigger,
        adjustment: Adjustment,
        amount: i32,
        cooldown: Duration,
    },
}

impl Policy {
    pub fn name(&self) -> &str {
        match self {
            Policy::TargetTracking { name, .. } | Policy::Step { name, .. } | Policy::Simple { name, .. } => name,
        }
    }

    pub fn metric(&self) -> &Metric {
        match self {
            Policy::TargetTracking { metric, .. } => metric,
            Policy::Step { trigger, .. } | Policy::Simple { trigger, .. } => &trigger.metric,
        }
    }

    /// What calls it, where that is an alarm of ours: target tracking has alarms of AWS's.
    pub fn trigger(&self) -> Option<&Trigger> {
        match self {
            Policy::TargetTracking { .. } => None,
            Policy::Step { trigger, .. } | Policy::Simple { trigger, .. } => Some(trigger),
        }
    }
}

/// When a step or simple policy acts.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    pub metric: Metric,
    pub comparison: Comparison,
    pub threshold: f64,
    pub period: Duration,
    pub evaluations: u32,
}

/// What an amount means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjustment {
    /// Instances to add; negative removes.
    Add,
    /// Percent of the capacity to add, and the fewest instances that makes.
    Percent { least: Option<u32> },
    /// The new capacity.
    Set,
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
    /// In the policy's [`Adjustment`].
    pub amount: i32,
}

/// At least one of `cron` and `start`, and one of the sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledAction {
    pub name: String,
    /// `None`: once, at `start`.
    pub cron: Option<String>,
    pub time_zone: String,
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    pub min: Option<u32>,
    pub max: Option<u32>,
    pub desired: Option<u32>,
}

/// Bounds of a rollout of fixed instances, in percent of their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedRollout {
    pub max_surge: u8,
    pub max_unavailable: u8,
}

impl FixedRollout {
    /// How many of `instances` may run beyond them, rounded up, and may be missing, rounded down. Never neither.
    pub fn bounds(&self, instances: u32) -> (usize, usize) {
        let instances = usize::try_from(instances).unwrap_or(usize::MAX);
        let surge = instances.saturating_mul(self.max_surge.into()).div_ceil(100);
        let unavailable = instances.saturating_mul(self.max_unavailable.into()) / 100;
        if surge + unavailable == 0 { (1, 0) } else { (surge, unavailable) }
    }
}

/// Bounds of an instance refresh, in percent of the desired capacity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    pub min_healthy: u8,
    pub max_healthy: u8,
}
