//! `result.json`: everything that a run measured, in one versioned schema. The report is made of it and nothing else.

mod cloud;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::cloud::{
    AlarmChange, CapacityPoint, Cloud, CloudEvent, Disruption, InstanceSpan, Refresh, Signal, Threshold,
};
use crate::cloud::state::TargetState;
use crate::resource::status::ClusterKind;

/// The version of the schema. A reader refuses a higher one.
pub const SCHEMA: u32 = 1;

/// The widget images: PNG bytes by the file name that `result.json` gives them.
pub type Images = BTreeMap<String, Vec<u8>>;

/// An instance that was healthy for a smaller part of the longest time has no share to compare.
const SHARE_OF_TIME_MIN: f64 = 0.1;

fn one() -> u32 {
    1
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    pub schema: u32,
    /// `20261121-214512`: the folder's name.
    pub run: String,
    pub stack: String,
    pub provider: String,
    pub region: String,
    pub scenario: String,
    pub started: Timestamp,
    pub ended: Timestamp,
    pub verdict: Verdict,
    /// The threshold that ended the run before its time, with what was measured.
    #[serde(default)]
    pub aborted: Option<String>,
    /// The tightest limit that the scenario has on the latency of the slower answers.
    #[serde(default)]
    pub objective_ms: Option<f64>,
    /// What a person changed of the load while it ran.
    #[serde(default)]
    pub adjustments: Vec<Adjustment>,
    pub targets: Vec<TargetResult>,
    pub thresholds: Vec<ThresholdResult>,
    pub metrics: Metrics,
    /// What the cloud did; `None` for a URL.
    #[serde(default)]
    pub cloud: Option<Cloud>,
    /// What `--scale-until` found.
    #[serde(default)]
    pub scaling: Option<Scaling>,
    pub cost: Option<Cost>,
    pub client: Client,
    pub setup: Setup,
    pub environment: Environment,
}

impl RunResult {
    pub fn elapsed_seconds(&self) -> f64 {
        self.ended.duration_since(self.started).as_secs_f64()
    }

    /// How much faster than the clock on the wall the region's time went.
    pub fn speed(&self) -> u32 {
        self.targets.first().map_or(1, |target| target.speed.max(1))
    }

    /// A run of a stack that has measured nothing yet.
    pub fn empty(stack: &str, started: Timestamp) -> Self {
        Self {
            schema: SCHEMA,
            run: String::new(),
            stack: stack.to_owned(),
            provider: String::new(),
            region: String::new(),
            scenario: String::new(),
            started,
            ended: started,
            verdict: Verdict::Passed,
            aborted: None,
            objective_ms: None,
            adjustments: Vec::new(),
            targets: Vec::new(),
            thresholds: Vec::new(),
            metrics: Metrics::default(),
            cloud: None,
            scaling: None,
            cost: None,
            client: Client::default(),
            setup: Setup::default(),
            environment: Environment::default(),
        }
    }
}

/// From a time on, so much of the schedule's rate was demanded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adjustment {
    /// Seconds since the start of the run.
    pub at: f64,
    /// 0 while it was paused.
    pub percent: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every threshold held.
    Passed,
    /// A threshold was missed.
    Missed,
    /// Every threshold held, but the load generator was the bottleneck: the figures say nothing about the stack.
    Limited,
    /// Stopped before the end.
    Interrupted,
}

/// What one target (a cluster's route) did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetResult {
    /// The cluster.
    pub name: String,
    pub url: String,
    /// How much faster than the clock on the wall the region's time went. Times are the region's, counts are of
    /// requests that were sent, rates are by the wall: a second of the region at rate 60 has one request at speed 60.
    #[serde(default = "one")]
    pub speed: u32,
    pub requests: u64,
    pub errors: u64,
    /// Errors by kind: `connect`, `timeout`, `reset`, `status`, `body`, `protocol`, `exhausted`, `tls`, `size`.
    pub errors_by_kind: BTreeMap<String, u64>,
    /// Answers by status code.
    pub status: BTreeMap<u16, u64>,
    /// Requests that were sent again because their connection broke before any answer.
    #[serde(default)]
    pub retries: u64,
    /// Sent in the warm-up, and counted nowhere else.
    #[serde(default)]
    pub warm_up_requests: u64,
    /// Requests that the schedule demanded, those of the warm-up among them; `None` in a closed load.
    #[serde(default)]
    pub demanded: Option<u64>,
    /// Of these, how many were sent; requests of closed phases are none of them.
    #[serde(default)]
    pub demanded_sent: Option<u64>,
    /// Correct answers per second over the whole run after its warm-up, pauses included.
    pub rate: f64,
    /// As `rate`, without pauses.
    #[serde(default)]
    pub rate_while_sending: Option<f64>,
    /// Connections that were opened.
    #[serde(default)]
    pub connections: u64,
    /// What `latency_ms` is.
    #[serde(default)]
    pub latency_kind: LatencyKind,
    /// Of correct answers; `None` where there was none.
    pub latency_ms: Option<Latency>,
    /// Service time where `latency_ms` is response time.
    #[serde(default)]
    pub service_ms: Option<Latency>,
    /// As `latency_ms`, of correct and wrong answers together; `None` where no answer was wrong.
    #[serde(default)]
    pub latency_all_ms: Option<Latency>,
    /// Answers by instance id; instances that were healthy during the run and answered nothing are here with 0.
    pub instances: BTreeMap<String, u64>,
    /// Of those instances whose health was watched: how long each was healthy during the run.
    #[serde(default)]
    pub healthy_seconds: BTreeMap<String, f64>,
    /// Hours of all its instances while the run lasted; `None` where they were not watched.
    #[serde(default)]
    pub instance_hours: Option<f64>,
    /// The most instances of it that ran at once; `None` where they were not watched.
    #[serde(default)]
    pub capacity_max: Option<u32>,
    pub phases: Vec<Phase>,
    /// The requests of a mix, one by one.
    #[serde(default)]
    pub endpoints: Vec<EndpointResult>,
    /// The repetitions one by one; empty where the scenario was done once.
    #[serde(default)]
    pub repetitions: Vec<Repetition>,
    /// A row for each second of the run; for more of them where the region's time went faster, and for each minute of a
    /// run that would have more than 7,200 rows.
    pub timeline: Vec<Second>,
    /// The run in at most 240 columns of equal width.
    #[serde(default)]
    pub columns: Vec<Column>,
    /// The run by the minute.
    #[serde(default)]
    pub minutes: Vec<Column>,
    /// The latency distribution: (quantile 0–1, milliseconds), rising.
    pub distribution: Vec<(f64, f64)>,
    /// As `distribution`, of correct and wrong answers together; empty where no answer was wrong.
    #[serde(default)]
    pub distribution_all: Vec<(f64, f64)>,
}

/// From when to when a latency is measured. Its end is the last byte of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LatencyKind {
    /// From the moment the request left: all that a closed load can measure, as it sends nothing while it waits.
    #[default]
    Service,
    /// From the moment the schedule demanded the request.
    Response,
}

/// The whole scenario, once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Repetition {
    pub requests: u64,
    pub errors: u64,
    /// Correct answers per second, pauses included.
    pub rate: f64,
    pub latency_ms: Option<Latency>,
}

/// One request of a mix.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EndpointResult {
    pub name: String,
    pub requests: u64,
    pub errors: u64,
    pub latency_ms: Option<Latency>,
}

impl TargetResult {
    /// A rate by the wall, of what happened in so many seconds of the region's time.
    pub fn per_second(&self, count: u64, seconds: f64) -> f64 {
        count as f64 * f64::from(self.speed.max(1)) / seconds
    }

    /// How many seconds of the region's time its timeline covers.
    pub fn timeline_seconds(&self) -> u32 {
        self.timeline.last().map_or(0, |last| last.at + self.row_seconds())
    }

    /// How many seconds of the region's time a row of its timeline covers.
    pub fn row_seconds(&self) -> u32 {
        self.timeline.get(1).map_or(1, |row| row.at)
    }

    /// How evenly the instances were used, in percent: 100 less the largest deviation from an instance's fair share, in
    /// percent of that share. `None` where no instance named itself.
    pub fn evenness(&self) -> Option<f64> {
        let deviation = |(instance, count): (&String, &u64)| {
            let fair = self.fair_share(instance)?;
            Some((*count as f64 - fair).abs() / fair)
        };
        let largest = self.instances.iter().filter_map(deviation).reduce(f64::max)?;
        Some((100.0 * (1.0 - largest)).max(0.0))
    }

    /// What an instance would have answered: its part of the time that all were healthy, or an even part where health
    /// was not watched. `None` for an instance that was there for less than a tenth of the longest: its share is
    /// chance.
    pub fn fair_share(&self, instance: &str) -> Option<f64> {
        let total = self.instances.values().sum::<u64>() as f64;
        if total == 0.0 {
            return None;
        }
        let whole: f64 = self.healthy_seconds.values().sum();
        if whole == 0.0 {
            return Some(total / self.instances.len() as f64);
        }
        let longest = self.healthy_seconds.values().copied().fold(0.0, f64::max);
        let own = self.healthy_seconds.get(instance).filter(|own| **own >= longest * SHARE_OF_TIME_MIN)?;
        Some(total * own / whole)
    }

    /// Errors in percent of the requests; `None` where there was no request.
    pub fn error_percent(&self) -> Option<f64> {
        (self.requests > 0).then(|| 100.0 * self.errors as f64 / self.requests as f64)
    }
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// A step of one thread: requests or a pause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    pub thread: String,
    /// `500 requests`, `pause 60 s`
    pub label: String,
    pub started: Timestamp,
    pub ended: Timestamp,
    /// 0 for a pause.
    pub requests: u64,
    pub errors: u64,
    #[serde(default)]
    pub latency_ms: Option<Latency>,
}

/// One row of a target's run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Seconds since the start of the run.
    pub at: u32,
    pub requests: u64,
    pub errors: u64,
    /// `None` in a second without a correct answer.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

/// Some seconds of a target's run; percentiles are those of all its correct answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Seconds since the start of the run.
    pub at: u32,
    pub seconds: u32,
    pub requests: u64,
    pub errors: u64,
    /// Requests per second that the schedule demanded; `None` in a closed load.
    pub demanded: Option<f64>,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThresholdResult {
    /// As written in the scenario: `errors < 1 %`.
    pub threshold: String,
    pub target: String,
    /// In `unit`; `None` where there was nothing to measure.
    pub measured: Option<f64>,
    /// `%`, `ms`, `/s` or `h`; empty for a number of instances.
    pub unit: String,
    pub held: bool,
    /// Of a threshold for each minute: the minutes that missed it, from 1.
    #[serde(default)]
    pub lost_minutes: Vec<u32>,
}

impl ThresholdResult {
    /// `612.5 ms`, or `nothing`.
    pub fn shown(&self) -> String {
        let value = self.measured.map(|value| format!("{value} {}", self.unit).trim_end().to_owned());
        value.unwrap_or_else(|| "nothing".to_owned())
    }
}

/// What CloudWatch had to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Whether CloudWatch's data covered the whole run before the cap.
    pub complete: bool,
    /// Why not, or what was waited for; one sentence.
    pub note: String,
    /// What it did not show, by name.
    #[serde(default)]
    pub missing: Vec<String>,
    pub images: Vec<MetricImage>,
    /// The raw data, relative to the run's folder.
    #[serde(default)]
    pub data: Option<String>,
    /// Answers 5xx that the load balancer gave itself, because no target did; `None` where CloudWatch has none.
    #[serde(default)]
    pub load_balancer_errors: Option<u64>,
    /// What the load balancer carried, to and fro.
    #[serde(default)]
    pub load_balancer_bytes: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricImage {
    /// `metrics/light-requests.png`, relative to the run's folder.
    pub file: String,
    pub title: String,
    /// The cluster, or `None` where it shows all.
    pub cluster: Option<String>,
    /// `Sum of RequestCount, 60 s`: what exactly is shown.
    pub caption: String,
}

/// Instances added one at a time until a rate held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    pub cluster: String,
    /// Correct answers a second that were asked for.
    pub rate: f64,
    /// Seconds of the region's time from one added instance to the next, at least.
    pub every: f64,
    pub max: u32,
    pub held: bool,
    pub steps: Vec<ScalingStep>,
}

/// What so many instances carried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScalingStep {
    /// Seconds since the start of the run.
    pub at: f64,
    pub instances: u32,
    /// Correct answers a second.
    pub rate: f64,
    pub error_percent: Option<f64>,
    pub held: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// US dollars an hour while the stack is up.
    pub hourly_min: f64,
    pub hourly_max: f64,
    /// US dollars for the run, by what was there.
    pub run_min: f64,
    pub run_max: f64,
    /// Where the prices are from, with their date.
    pub source: String,
    /// What the run's dollars are made of.
    #[serde(default)]
    pub parts: Vec<CostPart>,
}

/// One line of a bill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostPart {
    /// `3 × t2.large`, `load balancer`, `load balancer capacity units`
    pub what: String,
    /// `1 h 2 min in all, at $0.0928 an hour`
    pub how: String,
    pub dollars: f64,
}

/// The load generator's own health.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// `Locust 2.47.0 with 2 workers`; empty of our own.
    #[serde(default)]
    pub engine: String,
    /// What that engine cannot express of the scenario, or means otherwise.
    #[serde(default)]
    pub notes: Vec<String>,
    /// CPU of this process during the load, in percent of one core.
    pub cpu: f64,
    /// CPU of the busiest worker while it was sending, in percent of one core.
    #[serde(default)]
    pub busiest_thread: f64,
    /// Requests that waited because every connection was busy (open load only).
    pub late: u64,
    /// The 99th percentile of how long after it was due a request left (open load only).
    #[serde(default)]
    pub late_p99_ms: Option<f64>,
    #[serde(default)]
    pub workers: u32,
    /// Whether the client was probably the bottleneck.
    pub limited: bool,
    /// What it ran into, and what to change.
    #[serde(default)]
    pub limits: Vec<String>,
}

/// Proof that the stack stood as declared when the load began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    pub url: String,
    pub clusters: Vec<ClusterSetup>,
    /// One request a route, and where it went.
    pub routes: Vec<RouteProof>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterSetup {
    pub name: String,
    pub instance_type: String,
    pub kind: ClusterKind,
    /// Whether the CPUUtilization of its instances is that of modelled processors, as the embedded region reports it.
    #[serde(default)]
    pub modelled: bool,
    pub targets: Vec<TargetSetup>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetSetup {
    pub instance: String,
    pub zone: String,
    pub health: TargetState,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteProof {
    pub path: String,
    pub expected: String,
    pub status: u16,
    /// The instance or `fixed response` that answered.
    pub answered_by: String,
    pub ok: bool,
}

/// What the run can be repeated with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    pub cloudscale: String,
    pub os: String,
    pub cpus: u32,
    /// The exact commands, in order.
    pub commands: Vec<String>,
}
