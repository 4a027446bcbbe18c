//! The group metrics of AWS/AutoScaling, off until `EnableMetricsCollection` (aws-semantics §14).

use jiff::SignedDuration;

use super::group::Group;
use super::member::Lifecycle;
use crate::region::context::Context;
use crate::region::metric::MetricId;
use crate::region::signal::{Measurement, Signal, Statistics};

/// How often the metrics are measured, in seconds: one sample for each of CloudWatch's one-minute datapoints.
const METRICS_INTERVAL_SECONDS: i64 = 60;

/// The metrics that exist. The capacity of an instance is its weight.
pub const METRICS: [&str; 21] = [
    "GroupMinSize",
    "GroupMaxSize",
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupPendingInstances",
    "GroupStandbyInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
    "GroupInServiceCapacity",
    "GroupPendingCapacity",
    "GroupStandbyCapacity",
    "GroupTerminatingCapacity",
    "GroupTotalCapacity",
    "WarmPoolMinSize",
    "WarmPoolDesiredCapacity",
    "WarmPoolPendingCapacity",
    "WarmPoolTerminatingCapacity",
    "WarmPoolWarmedCapacity",
    "WarmPoolTotalCapacity",
    "GroupAndWarmPoolDesiredCapacity",
    "GroupAndWarmPoolTotalCapacity",
];

impl Group {
    /// Sends the enabled metrics when they are due.
    pub(super) fn measure(&mut self, cx: &mut Context) {
        if self.metrics.is_empty() {
            self.metrics_due = None;
            return;
        }
        if self.metrics_due.is_some_and(|due| due > cx.now) {
            return;
        }
        // Within the minute always at the same second: no minute has two samples, and none is left out.
        let due = self.metrics_due.filter(|due| cx.now.duration_since(*due).as_secs() < METRICS_INTERVAL_SECONDS);
        self.metrics_due = Some(due.unwrap_or(cx.now) + SignedDuration::from_secs(METRICS_INTERVAL_SECONDS));
        let exists = |metric: &&String| self.warm_pool.is_some() || !metric.contains("WarmPool");
        let measurements = self.metrics.iter().filter(exists).map(|metric| {
            let value = Statistics::of_one(self.metric_value(metric));
            let metric = MetricId::shared("AWS/AutoScaling", metric, &[("AutoScalingGroupName", &self.name)]);
            Measurement::new(metric, cx.now, value, "None")
        });
        let measurements = measurements.collect();
        cx.send(Signal::Measurements(measurements));
    }

    /// The metrics that count capacity rather than instances.
    fn weighted(&self, metric: &str) -> Option<i64> {
        let sum = |is: fn(Lifecycle) -> bool| -> i64 {
            self.members.iter().filter(|member| is(member.lifecycle)).map(|member| member.weight).sum()
        };
        let launching: i64 = self.launching().map(|launch| launch.weight).sum();
        Some(match metric {
            "GroupInServiceCapacity" => self.serving(),
            "GroupPendingCapacity" => sum(Lifecycle::is_pending) + launching,
            "GroupStandbyCapacity" => sum(|it| matches!(it, Lifecycle::Standby | Lifecycle::EnteringStandby)),
            "GroupTerminatingCapacity" => {
                sum(|it| it.is_terminating() && !it.is_warmed() || it == Lifecycle::Detaching)
            }
            "GroupTotalCapacity" => sum(|it| !it.is_warmed()) + launching,
            _ => return None,
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "capacities are small")]
    fn metric_value(&self, metric: &str) -> f64 {
        let count = |is: fn(Lifecycle) -> bool| self.members.iter().filter(|member| is(member.lifecycle)).count();
        if let Some(value) = self.weighted(metric) {
            return value as f64;
        }
        match metric {
            "GroupMinSize" => self.settings.min as f64,
            "GroupMaxSize" => self.settings.max as f64,
            "GroupDesiredCapacity" => self.desired() as f64,
            "GroupInServiceInstances" => count(|it| it == Lifecycle::InService) as f64,
            "GroupPendingInstances" => (count(Lifecycle::is_pending) + self.launching().count()) as f64,
            "GroupStandbyInstances" => count(|it| matches!(it, Lifecycle::Standby | Lifecycle::EnteringStandby)) as f64,
            "GroupTerminatingInstances" => {
                count(|it| it.is_terminating() && !it.is_warmed() || it == Lifecycle::Detaching) as f64
            }
            "WarmPoolMinSize" => self.warm_pool.as_ref().map_or(0, |pool| pool.min_size) as f64,
            "WarmPoolDesiredCapacity" => self.pool_size_wanted() as f64,
            "WarmPoolPendingCapacity" => {
                let pending = count(|it| it.is_warmed() && !it.is_ready() && !it.is_terminating());
                (pending + self.launches.len() - self.launching().count()) as f64
            }
            "WarmPoolTerminatingCapacity" => count(|it| it.is_warmed() && it.is_terminating()) as f64,
            "WarmPoolWarmedCapacity" => count(Lifecycle::is_ready) as f64,
            "WarmPoolTotalCapacity" => {
                (count(Lifecycle::is_warmed) + self.launches.len() - self.launching().count()) as f64
            }
            "GroupAndWarmPoolDesiredCapacity" => (self.desired() + self.pool_size_wanted()) as f64,
            "GroupAndWarmPoolTotalCapacity" => (self.members.len() + self.launches.len()) as f64,
            _ => (count(|it| !it.is_warmed()) + self.launching().count()) as f64,
        }
    }
}
