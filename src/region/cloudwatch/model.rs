//! CloudWatch's face to the region: operations, signals, time.

use jiff::{SignedDuration, Timestamp};

use super::alarm_config::Config;
use super::alarms::Alarms;
use super::statistics::Samples;
use super::store::{MetricId, Store};
use super::{alarm_operations, put, query, widget};
use crate::region::context::Context;
use crate::region::facts::Facts;
use crate::region::signal::{Measurement, Signal};
use crate::region::wire::{Answer, ApiError, Params, Request, Value};

/// How often old data are joined and forgotten.
const AGE_EVERY: SignedDuration = SignedDuration::from_mins(1);

#[derive(Clone, Debug, Default)]
pub struct Cloudwatch {
    store: Store,
    alarms: Alarms,
    /// When the store's age is next looked at; `None` while it is empty.
    age_at: Option<Timestamp>,
}

impl Cloudwatch {
    /// Runs one operation.
    pub fn call(&mut self, cx: &mut Context, request: &Request) -> Answer {
        let Self { store, alarms, .. } = self;
        let params = &request.params;
        match request.operation.as_str() {
            "PutMetricData" => {
                put::put_metric_data(store, cx.now, params)?;
                self.expect_age(cx.now);
                Ok(Value::map())
            }
            "ListMetrics" => query::list_metrics(store, cx.now, params),
            "GetMetricStatistics" => query::get_metric_statistics(store, params),
            "GetMetricData" => query::get_metric_data(store, cx.now, params),
            "GetMetricWidgetImage" => widget::get_metric_widget_image(store, cx.region, cx.now, params),
            "PutMetricAlarm" => alarm_operations::put(alarms, cx, params),
            "DescribeAlarms" => alarm_operations::describe(alarms, params),
            "DescribeAlarmsForMetric" => alarm_operations::describe_for_metric(alarms, params),
            "DescribeAlarmHistory" => alarm_operations::describe_history(alarms, params),
            "DeleteAlarms" => alarm_operations::delete(alarms, params),
            "SetAlarmState" => alarm_operations::set_state(alarms, cx, params),
            "EnableAlarmActions" => alarm_operations::enable_actions(alarms, params, true),
            "DisableAlarmActions" => alarm_operations::enable_actions(alarms, params, false),
            "TagResource" => alarm_operations::tag(alarms, params),
            "UntagResource" => alarm_operations::untag(alarms, params),
            "ListTagsForResource" => alarm_operations::list_tags(alarms, params),
            other => Err(ApiError::unknown_operation(other)),
        }
    }

    /// Takes what another service or a shell says; ignores what does not concern it.
    pub fn signal(&mut self, cx: &mut Context, signal: &Signal) {
        match signal {
            Signal::Measurements(measurements) => {
                for measurement in measurements {
                    self.record(cx, measurement);
                }
                self.expect_age(cx.now);
            }
            Signal::PutAlarm { params } => {
                let put = Config::parse(params).and_then(|config| self.alarms.put(cx, config, Default::default()));
                if let Err(error) = put {
                    tracing::error!(code = error.code, message = error.message, "a policy's alarm was refused");
                }
            }
            Signal::DeleteAlarms { names } => names.iter().for_each(|name| self.alarms.remove(name)),
            Signal::AlarmActionDone { alarm, policy_arn, error } => {
                self.alarms.action_done(cx.now, alarm, policy_arn, error.as_ref());
            }
            Signal::PoliciesDeleted { policy_arns, and_alarms } => {
                self.alarms.forget_policies(policy_arns, *and_alarms);
            }
            _ => {}
        }
    }

    /// Does what is due at `cx.now`.
    pub fn advance(&mut self, cx: &mut Context) {
        self.alarms.advance(cx, &self.store);
        if self.age_at.is_some_and(|at| at <= cx.now) {
            self.store.age(cx.now);
            self.age_at = (!self.store.is_empty()).then(|| cx.now + AGE_EVERY);
        }
    }

    /// When `advance` next has something to do.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        [self.alarms.next_deadline(), self.age_at].into_iter().flatten().min()
    }

    /// Whether `PutMetricAlarm` would take these parameters, for another service that puts an alarm later.
    pub fn check_alarm(&self, params: &Params) -> Result<(), ApiError> {
        Config::parse(params).and_then(|config| self.alarms.check_room(&config.name))
    }

    pub fn alarms_of_policy(&self, policy_arn: &str) -> Vec<String> {
        self.alarms.acting_on(policy_arn)
    }

    fn expect_age(&mut self, now: Timestamp) {
        self.age_at.get_or_insert(now + AGE_EVERY);
    }

    /// Stores a measurement under its own dimensions and under those that AWS aggregates it by.
    fn record(&mut self, cx: &Context, measurement: &Measurement) {
        let samples = Samples::of_values(measurement.values.samples.iter().copied());
        let mut all = vec![measurement.dimensions.clone()];
        if measurement.namespace == "AWS/EC2" {
            all.extend(aggregates(cx.facts, &measurement.dimensions, cx.now));
        }
        for dimensions in all {
            let id = MetricId::new(&measurement.namespace, &measurement.metric, dimensions);
            self.store.put(id, &measurement.unit, measurement.time, &samples);
        }
    }
}

/// The sets of dimensions that an instance's metric counts in besides its own. A group counts only what is in service
/// and warm, so that a booting instance does not drive the scaling.
fn aggregates(facts: &dyn Facts, dimensions: &[(String, String)], now: Timestamp) -> Vec<Vec<(String, String)>> {
    let [(name, instance)] = dimensions else { return Vec::new() };
    if name != "InstanceId" {
        return Vec::new();
    }
    let one = |name: &str, value: String| vec![(name.to_owned(), value)];
    let mut sets = Vec::new();
    if let Some(group) = facts.group_of(instance).filter(|_| facts.counts_in_group_metrics(instance, now)) {
        sets.push(one("AutoScalingGroupName", group));
    }
    if let Some(facts) = facts.instance(instance) {
        sets.push(one("InstanceType", facts.instance_type));
        sets.push(one("ImageId", facts.image));
    }
    sets
}
