//! What the services tell each other and the shells, and what the shells tell them.
//!
//! Services never import each other. A service that wants something of another pushes a [`Signal`]; `world.rs` hands
//! every signal to those that it concerns. Signals for the shells (processes, the data
//! plane) leave the world through the driver. The variants are grouped by who sends them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::metric::MetricId;

/// Tags that the region itself gives, as AWS gives those of `aws:`: that an instance's processor is a modelled one, and what was
/// done to its processes on purpose: `hang 2026-11-28T10:00:00Z 600`, in the region's time and seconds.
pub const PROCESSOR_TAG: &str = "aws:cloudscale:processor";
pub const DISTURBED_TAG: &str = "aws:cloudscale:disturbed";

/// Gives an instance a tag of the region's own.
pub fn tag(instance: &str, key: &str, value: String) -> Signal {
    Signal::TagInstance { instance: instance.to_owned(), tags: BTreeMap::from([(key.to_owned(), Some(value))]) }
}

/// A message between services, or between a service and a shell.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Signal {
    // Auto Scaling → EC2
    /// Launch one instance for a group; EC2 answers with `InstanceLaunched` or `LaunchFailed`.
    LaunchInstance {
        group: String,
        activity: String,
        launch: Launch,
    },
    /// Terminate an instance; EC2 reports each step as `InstanceState`.
    TerminateInstance {
        instance: String,
    },
    /// Stop an instance, to wait in its group's warm pool; EC2 reports each step as `InstanceState`.
    StopInstance {
        instance: String,
    },
    /// Start a stopped instance again.
    StartInstance {
        instance: String,
    },
    /// An instance joins or leaves a group: its tags follow. `None` takes a tag away.
    TagInstance {
        instance: String,
        tags: BTreeMap<String, Option<String>>,
    },

    // Auto Scaling → Elastic Load Balancing
    RegisterTargets {
        target_group: String,
        instances: Vec<String>,
    },
    DeregisterTargets {
        target_group: String,
        instances: Vec<String>,
    },

    // Auto Scaling → CloudWatch
    /// Create or change an alarm that a policy owns: the parameters of `PutMetricAlarm`.
    PutAlarm {
        params: crate::region::wire::Params,
    },
    DeleteAlarms {
        names: Vec<String>,
    },

    // EC2 → Auto Scaling, Elastic Load Balancing, CloudWatch
    InstanceLaunched {
        group: String,
        activity: String,
        instance: String,
    },
    LaunchFailed {
        group: String,
        activity: String,
        code: String,
        message: String,
    },
    InstanceState {
        instance: String,
        state: InstanceState,
    },

    // Elastic Load Balancing → Auto Scaling
    TargetHealth {
        target_group: String,
        instance: String,
        health: TargetState,
    },

    // CloudWatch → Auto Scaling
    /// An alarm's action: on the change of state, and again each minute while it stays in that state.
    AlarmAction {
        policy_arn: String,
        alarm: AlarmState,
    },

    // Auto Scaling → CloudWatch
    /// What became of an alarm's action: the error where the policy could not do it.
    AlarmActionDone {
        alarm: String,
        policy_arn: String,
        error: Option<String>,
    },
    /// Policies are gone: no alarm acts on them any more. With `and_alarms`, alarms left without any action go, too.
    PoliciesDeleted {
        policy_arns: Vec<String>,
        and_alarms: bool,
    },

    // EC2 → processes (shell)
    Boot(Boot),
    /// End the process tree. The shell answers with `ProcessEnded`.
    EndProcess {
        instance: String,
    },

    // chaos (shell) → EC2
    /// A spot instance is taken away after so long.
    InterruptSpot {
        instance: String,
        after: jiff::SignedDuration,
    },

    // EC2 → Auto Scaling
    /// A spot instance is at an elevated risk of being taken away.
    RebalanceRecommended {
        instance: String,
    },

    // the region's start → EC2
    /// The machine under all instances was away: what ran runs no more.
    HostFailed,

    // processes (shell) → EC2
    ProcessStarted {
        instance: String,
    },
    /// The instance has booted: its user data begins.
    InstanceBooted {
        instance: String,
    },
    /// The instance cannot go on, and why: it does not start, or takes more of the machine than it may.
    InstanceFailed {
        instance: String,
        reason: String,
    },
    /// The instance's process tree is gone: asked for, or by itself.
    ProcessEnded {
        instance: String,
    },

    // Elastic Load Balancing → prober (shell)
    /// Make one health check; the shell answers with `ProbeResult`.
    Probe(Probe),

    // prober (shell) → Elastic Load Balancing
    ProbeResult {
        target_group: String,
        instance: String,
        port: u16,
        outcome: ProbeOutcome,
    },

    // proxy (shell) → Elastic Load Balancing
    /// A draining target has no request in flight any more.
    TargetIdle {
        target_group: String,
        instance: String,
        port: u16,
    },
    /// Whether this process may bind ports below 1024; found out once, when the data plane starts.
    LowPorts {
        allowed: bool,
    },
    /// Whether a listener is served; the problem where it cannot be.
    ListenerServed {
        listener: String,
        problem: Option<String>,
    },

    // collector (shell) → CloudWatch
    Measurements(Vec<Measurement>),
}

/// What to launch.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Launch {
    pub launch_template_id: String,
    /// A number, `$Latest` or `$Default`.
    pub version: String,
    /// Parameters of `RunInstances` instead of a template.
    pub configuration: Option<crate::region::wire::Params>,
    pub subnet: String,
    /// Overrides the template's instance type.
    pub instance_type: Option<String>,
    /// As a spot instance rather than on demand.
    pub spot: bool,
    /// Tags of the instance, among them `aws:autoscaling:groupName`.
    pub tags: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum InstanceState {
    Pending,
    Running,
    Stopping,
    Stopped,
    ShuttingDown,
    Terminated,
}

/// A target's state, with AWS's reason code and description.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TargetState {
    /// `initial`, `healthy`, `unhealthy`, `unused`, `draining`, `unavailable`.
    pub state: Cow<'static, str>,
    pub reason: Option<Cow<'static, str>>,
    pub description: Option<Cow<'static, str>>,
}

/// The state of an alarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum AlarmStateValue {
    Ok,
    Alarm,
    #[default]
    InsufficientData,
}

impl AlarmStateValue {
    /// AWS's name.
    pub fn as_str(self) -> &'static str {
        match self {
            AlarmStateValue::Ok => "OK",
            AlarmStateValue::Alarm => "ALARM",
            AlarmStateValue::InsufficientData => "INSUFFICIENT_DATA",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let all = [AlarmStateValue::Ok, AlarmStateValue::Alarm, AlarmStateValue::InsufficientData];
        all.into_iter().find(|state| state.as_str() == text)
    }
}

/// What an alarm says to the policy it acts on.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AlarmState {
    pub name: String,
    pub state: AlarmStateValue,
    pub threshold: f64,
    /// The datapoints that were evaluated, oldest first: as many as the alarm has evaluation periods, or fewer.
    pub datapoints: Vec<f64>,
    pub since: Timestamp,
}

/// Everything that the process shell needs to start an instance.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Boot {
    pub instance: String,
    pub address: Ipv4Addr,
    /// Decoded; empty where the instance has none.
    pub user_data: Arc<[u8]>,
    /// Whether the instance has never booted before.
    pub first: bool,
}

/// One health check to make.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Probe {
    pub target_group: String,
    pub instance: String,
    /// The target's port, which together with the instance names the target.
    pub port: u16,
    /// Where to ask; its port may be another one.
    pub address: SocketAddrV4,
    pub path: String,
    pub timeout: Duration,
}

/// The outcome of one health check.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ProbeOutcome {
    /// The target answered with this status.
    Status(u16),
    /// No connection, or the connection broke.
    Failed(String),
    Timeout,
}

/// A value measured by a shell, before it becomes a CloudWatch datapoint.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Measurement {
    /// Whoever measures the same each minute makes it once and shares it.
    pub metric: Arc<MetricId>,
    pub time: Timestamp,
    pub values: Statistics,
    /// CloudWatch's unit: `Count`, `Percent`, `Bytes`, `Seconds`.
    pub unit: Cow<'static, str>,
}

impl Measurement {
    pub fn new(metric: Arc<MetricId>, time: Timestamp, values: Statistics, unit: &'static str) -> Self {
        Self { metric, time, values, unit: Cow::Borrowed(unit) }
    }
}

/// A set of samples in one place, with enough detail for percentiles: distinct values and how often each occurred.
#[derive(Clone, Debug, PartialEq)]
pub enum Statistics {
    /// Nearly always there is one, which needs no memory of its own.
    One([(f64, f64); 1]),
    Many(Vec<(f64, f64)>),
}

impl Statistics {
    pub fn of_one(value: f64) -> Self {
        Self::One([(value, 1.0)])
    }

    pub fn of(samples: Vec<(f64, f64)>) -> Self {
        match samples.as_slice() {
            [one] => Self::One([*one]),
            _ => Self::Many(samples),
        }
    }

    pub fn samples(&self) -> &[(f64, f64)] {
        match self {
            Self::One(one) => one,
            Self::Many(many) => many,
        }
    }
}

/// A measurement as it is journaled.
#[derive(serde::Serialize, serde::Deserialize)]
struct Written {
    namespace: String,
    metric: String,
    dimensions: Vec<(String, String)>,
    time: Timestamp,
    values: WrittenStatistics,
    unit: Cow<'static, str>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct WrittenStatistics {
    samples: Vec<(f64, f64)>,
}

impl From<Measurement> for Written {
    fn from(Measurement { metric, time, values, unit }: Measurement) -> Self {
        let MetricId { namespace, name, .. } = &*metric;
        let dimensions = metric.dimensions().to_vec();
        let values = WrittenStatistics { samples: values.samples().to_vec() };
        Self { namespace: namespace.clone(), metric: name.clone(), dimensions, time, values, unit }
    }
}

impl From<Written> for Measurement {
    fn from(Written { namespace, metric, dimensions, time, values, unit }: Written) -> Self {
        let metric = Arc::new(MetricId::new(&namespace, &metric, dimensions));
        Self { metric, time, values: Statistics::of(values.samples), unit }
    }
}
