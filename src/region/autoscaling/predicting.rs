//! A group's predictive policies at work: they forecast the load of the next two days, and have the capacity for each hour
//! ready before it begins (aws-semantics §6).
//!
//! Predictive scaling only scales out. What it expects of the present hour is the least that dynamic policies may scale in
//! to, and of several policies the largest capacity holds.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::{SignedDuration, Timestamp};

use super::forecast::{
    Expected, HISTORY_HOURS_MAX, HOUR, Hours, Predictive, Queries, RATIO_OF_PAIR, Ratio, capacity, effective_max,
    hour_of, loads, mean, measured_ratio,
};
use super::group::Group;
use super::policy::{Kind, Policy};
use super::process::Process;
use crate::region::context::Context;
use crate::region::facts::Facts;
use crate::region::metric::MetricId;
use crate::region::signal::{Measurement, Signal, Statistics};

/// How often a forecast is made anew (user guide: every six hours), and how long one waits that lacks data: into the next
/// hour, when the metrics of this one have arrived.
const FORECAST_EVERY_SECONDS: i64 = 6 * HOUR;
const RETRY_SECONDS: i64 = 300;
/// Forecasts of the past are kept for the longest range that may be asked for.
const KEPT_SECONDS: i64 = 30 * 24 * HOUR;

impl Group {
    /// When a predictive policy next has something to do.
    pub(super) fn prediction_due(&self) -> Option<Timestamp> {
        self.predictive().map(|(_, it)| it.forecast_due.min(it.act_due)).min()
    }

    fn predictive(&self) -> impl Iterator<Item = (&Policy, &Predictive)> {
        self.policies.values().filter_map(|policy| match &policy.kind {
            Kind::Predictive(predictive) => Some((policy, &**predictive)),
            _ => None,
        })
    }

    /// The least capacity that dynamic policies may scale in to.
    pub(super) fn predicted_floor(&self, now: Timestamp) -> Option<i64> {
        let acting = self.predictive().filter(|(policy, it)| policy.enabled && it.scales);
        acting.filter_map(|(_, it)| it.floor(now)).max()
    }

    /// Makes the forecasts that are due, and sees to the capacity of the hours that are about to begin.
    pub(super) fn predict(&mut self, cx: &mut Context) {
        if self.prediction_due().is_none_or(|due| due > cx.now) {
            return;
        }
        let collects = !self.metrics.is_empty();
        let mut wanted: Option<(i64, Option<i64>, String)> = None;
        let mut told = Vec::new();
        for policy in self.policies.values_mut() {
            let Kind::Predictive(predictive) = &mut policy.kind else { continue };
            if predictive.forecast_due <= cx.now {
                predictive.forecast(cx.facts, cx.now);
            }
            if predictive.act_due > cx.now {
                continue;
            }
            let hour = predictive.hour_ahead(cx.now);
            predictive.plan(cx.now);
            let Some(expected) = predictive.hours.get(&hour) else { continue };
            if collects {
                told.extend(measured(&self.name, &policy.name, hour, *expected));
            }
            let is_larger = wanted.as_ref().is_none_or(|(most, ..)| expected.capacity > *most);
            if policy.enabled && predictive.scales && is_larger {
                wanted = Some((expected.capacity, predictive.buffer, policy.name.clone()));
            }
        }
        if !told.is_empty() {
            cx.send(Signal::Measurements(told));
        }
        let Some((capacity, buffer, policy)) = wanted else { return };
        if self.is_suspended(Process::ScheduledActions) {
            return;
        }
        self.settings.max = effective_max(capacity, self.settings.max, buffer);
        if capacity > self.desired() {
            self.set_desired(cx.now, capacity, &format!("a forecast of the predictive scaling policy {policy}"));
        }
    }
}

impl Predictive {
    /// Makes the forecast, where there are data enough; plans the next one.
    pub fn forecast(&mut self, facts: &dyn Facts, now: Timestamp) {
        let made = self.expected(facts, now);
        self.forecast_due = if made.is_some() {
            now + SignedDuration::from_secs(FORECAST_EVERY_SECONDS)
        } else {
            Timestamp::from_second(hour_of(now) + HOUR + RETRY_SECONDS).unwrap_or(Timestamp::MAX)
        };
        if let Some(made) = made {
            self.hours.retain(|hour, _| *hour >= now.as_second() - KEPT_SECONDS);
            self.hours.extend(made);
            self.made = Some(now);
        }
    }

    fn expected(&self, facts: &dyn Facts, now: Timestamp) -> Option<BTreeMap<i64, Expected>> {
        let past = past(now);
        let by_hour = |queries: &Queries| Some(by_hour(&facts.metric_history(queries, &past, now).ok()?));
        let sums = |hours: BTreeMap<i64, Vec<f64>>| -> Hours {
            hours.into_iter().map(|(hour, values)| (hour, values.iter().sum())).collect()
        };
        let means = |hours: BTreeMap<i64, Vec<f64>>| -> Hours {
            hours.into_iter().filter_map(|(hour, values)| Some((hour, mean(&values)?))).collect()
        };
        let history = sums(by_hour(&self.load)?);
        let loads = loads(&history, hour_of(now))?;
        let ratio = match &self.ratio {
            Ratio::OfPair => RATIO_OF_PAIR,
            Ratio::Measured { scaling, capacity } => {
                measured_ratio(&history, &means(by_hour(scaling)?), &means(by_hour(capacity)?))?
            }
        };
        let expect = |load: f64| Expected { load, capacity: capacity(load, ratio, self.target) };
        Some(loads.into_iter().map(|(hour, load)| (hour, expect(load))).collect())
    }
}

/// The whole hours that a forecast looks back at. The last one belongs to them once its metrics have arrived.
fn past(now: Timestamp) -> Range<i64> {
    let end = hour_of(now - SignedDuration::from_secs(RETRY_SECONDS));
    end - HISTORY_HOURS_MAX * HOUR..end
}

fn by_hour(points: &BTreeMap<i64, f64>) -> BTreeMap<i64, Vec<f64>> {
    let mut hours: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (second, value) in points {
        hours.entry(second.div_euclid(HOUR) * HOUR).or_default().push(*value);
    }
    hours
}

/// The metrics of AWS/AutoScaling that tell a policy's forecast, once an hour and at the hour that they are for.
#[expect(clippy::cast_precision_loss, reason = "capacities are small")]
fn measured(group: &str, policy: &str, hour: i64, expected: Expected) -> Vec<Measurement> {
    let dimensions = [("AutoScalingGroupName", group), ("PolicyName", policy), ("PairIndex", "0")];
    let metrics = [
        ("PredictiveScalingLoadForecast", expected.load),
        ("PredictiveScalingCapacityForecast", expected.capacity as f64),
    ];
    let time = Timestamp::from_second(hour).unwrap_or_default();
    let measurement = |(metric, value): (&str, f64)| {
        let metric = MetricId::shared("AWS/AutoScaling", metric, &dimensions);
        Measurement::new(metric, time, Statistics::of_one(value), "None")
    };
    metrics.into_iter().map(measurement).collect()
}
