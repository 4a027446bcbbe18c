//! CloudWatch's face to the region: operations, signals, time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::{SignedDuration, Timestamp};

use super::alarm_config::Config;
use super::alarms::Alarms;
use super::anomaly::{self, Anomalies};
use super::basic::Basic;
use super::dashboards::Dashboards;
use super::query::Reading;
use super::statistics::Samples;
use super::store::{SETS_MAX, Store};
use super::{alarm_operations, detectors, put, query, widget};
use crate::region::context::Context;
use crate::region::facts::Facts;
use crate::region::metric::minute_of;
use crate::region::signal::{AlarmStateValue, Measurement, Signal};
use crate::region::wire::operation;
use crate::region::wire::{Answer, ApiError, Params, Request, Value};

/// What detailed monitoring tells each minute, and basic monitoring each five; the rest of EC2's metrics has one rate.
const EACH_MINUTE: [&str; 3] = ["CPUUtilization", "NetworkIn", "NetworkOut"];
/// How often old data are joined and forgotten.
const AGE_EVERY: SignedDuration = SignedDuration::from_mins(15);
/// How often the usual course of metrics is learnt anew. AWS does not publish it.
const LEARN_EVERY: SignedDuration = SignedDuration::from_hours(1);

type Operation = operation::Operation<Cloudwatch>;

/// Every operation, as it is declared.
pub const OPERATIONS: &[Operation] = &[
    Operation::new(
        "PutMetricData",
        "Namespace MetricData[]{MetricName Dimensions[]{Name Value} Timestamp Value \
         StatisticValues{SampleCount Sum Minimum Maximum} Values[] Counts[] Unit StorageResolution}",
        |it, cx, params| it.put_metric_data(cx, params),
    ),
    Operation::new(
        "ListMetrics",
        "Namespace MetricName Dimensions[]{Name Value} RecentlyActive NextToken \
         IncludeLinkedAccounts=false",
        |it, cx, params| query::list_metrics(&it.store, cx.now, params),
    )
    .differs("One account: none is linked."),
    Operation::new(
        "GetMetricStatistics",
        "Namespace MetricName Dimensions[]{Name Value} StartTime EndTime Period Statistics[] \
         ExtendedStatistics[] Unit",
        |it, cx, params| query::get_metric_statistics(&it.store, cx, params),
    ),
    Operation::new(
        "GetMetricData",
        "MetricDataQueries[]{Id MetricStat{Metric{Namespace MetricName Dimensions[]{Name Value}} Period \
         Stat Unit} Expression Label ReturnData Period} StartTime EndTime NextToken ScanBy MaxDatapoints",
        |it, cx, params| query::get_metric_data(&it.store, &it.anomalies, cx, params),
    ),
    Operation::new("GetMetricWidgetImage", "MetricWidget OutputFormat=png", |it, cx, params| {
        widget::get_metric_widget_image(&it.store, &it.anomalies, cx.region, Reading::of_request(cx), params)
    }),
    Operation::new(
        "PutMetricAlarm",
        "AlarmName AlarmDescription ActionsEnabled OKActions[] AlarmActions[] InsufficientDataActions[] \
         Namespace MetricName Dimensions[]{Name Value} Statistic ExtendedStatistic Period Unit \
         EvaluationPeriods DatapointsToAlarm Threshold ComparisonOperator TreatMissingData \
         EvaluateLowSampleCountPercentile ThresholdMetricId Metrics[]{Id MetricStat{Metric{Namespace MetricName \
         Dimensions[]{Name Value}} Period Stat Unit} Expression Label ReturnData Period} Tags[]{Key \
         Value}",
        |it, cx, params| {
            let answer = alarm_operations::put(&mut it.alarms, cx, params)?;
            it.learn(cx.now);
            Ok(answer)
        },
    )
    .differs("Actions other than scaling policies are recorded, not run."),
    Operation::new(
        "PutAnomalyDetector",
        "Namespace MetricName Dimensions[]{Name Value} Stat SingleMetricAnomalyDetector{Namespace MetricName \
         Dimensions[]{Name Value} Stat} Configuration{ExcludedTimeRanges[]{StartTime EndTime} MetricTimezone} \
         MetricCharacteristics{PeriodicSpikes=false}",
        |it, cx, params| {
            let answer = detectors::put(&mut it.anomalies, cx, params)?;
            it.learn(cx.now);
            Ok(answer)
        },
    )
    .differs("A band is the mean of the last two weeks at the same hour, and so many deviations to each side. No detectors of metric math."),
    Operation::new(
        "DescribeAnomalyDetectors",
        "AnomalyDetectorIds[] Namespace MetricName Dimensions[]{Name Value} AnomalyDetectorTypes[] MaxResults NextToken",
        |it, cx, params| detectors::describe(&it.anomalies, &it.store, cx.now, params),
    ),
    Operation::new(
        "DeleteAnomalyDetector",
        "AnomalyDetectorId Namespace MetricName Dimensions[]{Name Value} Stat SingleMetricAnomalyDetector{Namespace \
         MetricName Dimensions[]{Name Value} Stat}",
        |it, _, params| detectors::delete(&mut it.anomalies, params),
    ),
    Operation::new(
        "PutCompositeAlarm",
        "AlarmName AlarmRule AlarmDescription ActionsEnabled OKActions[] AlarmActions[] InsufficientDataActions[] \
         Tags[]{Key Value}",
        |it, cx, params| alarm_operations::put_composite(&mut it.alarms, cx, params),
    )
    .differs("Actions are recorded, not run."),
    Operation::new(
        "DescribeAlarms",
        "AlarmNames[] AlarmNamePrefix AlarmTypes[] ChildrenOfAlarmName ParentsOfAlarmName StateValue ActionPrefix \
         MaxRecords NextToken",
        |it, _, params| alarm_operations::describe(&it.alarms, params),
    ),
    Operation::new(
        "DescribeAlarmsForMetric",
        "Namespace MetricName Dimensions[]{Name Value} Statistic ExtendedStatistic Period Unit",
        |it, _, params| alarm_operations::describe_for_metric(&it.alarms, params),
    ),
    Operation::new(
        "DescribeAlarmHistory",
        "AlarmName AlarmTypes[] HistoryItemType StartDate EndDate MaxRecords NextToken ScanBy",
        |it, _, params| alarm_operations::describe_history(&it.alarms, params),
    ),
    Operation::new("DeleteAlarms", "AlarmNames[]", |it, _, params| alarm_operations::delete(&mut it.alarms, params)),
    Operation::new("SetAlarmState", "AlarmName StateValue StateReason StateReasonData", |it, cx, params| {
        alarm_operations::set_state(&mut it.alarms, cx, params)
    }),
    Operation::new("EnableAlarmActions", "AlarmNames[]", |it, _, params| {
        alarm_operations::enable_actions(&mut it.alarms, params, true)
    }),
    Operation::new("DisableAlarmActions", "AlarmNames[]", |it, _, params| {
        alarm_operations::enable_actions(&mut it.alarms, params, false)
    }),
    Operation::new("TagResource", "ResourceARN Tags[]{Key Value}", |it, _, params| {
        alarm_operations::tag(&mut it.alarms, params)
    }),
    Operation::new("UntagResource", "ResourceARN TagKeys[]", |it, _, params| {
        alarm_operations::untag(&mut it.alarms, params)
    }),
    Operation::new("ListTagsForResource", "ResourceARN", |it, _, params| {
        alarm_operations::list_tags(&it.alarms, params)
    }),
    Operation::new("PutDashboard", "DashboardName DashboardBody", |it, cx, params| it.dashboards.put(cx.now, params))
        .differs("The body is checked by its documented structure and kept; nothing is drawn of it."),
    Operation::new("GetDashboard", "DashboardName", |it, _, params| it.dashboards.get(params)),
    Operation::new("ListDashboards", "DashboardNamePrefix NextToken", |it, _, params| it.dashboards.list(params)),
    Operation::new("DeleteDashboards", "DashboardNames[]", |it, _, params| it.dashboards.delete(params)),
];

#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Cloudwatch {
    store: Store,
    alarms: Alarms,
    dashboards: Dashboards,
    #[serde(default)]
    anomalies: Anomalies,
    /// When the usual course of metrics is learnt anew; `None` while no alarm watches a band.
    #[serde(default)]
    learn_at: Option<Timestamp>,
    /// When the store's age is next looked at; `None` while it is empty.
    age_at: Option<Timestamp>,
    /// What instances without detailed monitoring measured in the five minutes that run.
    basic: Basic,
}

impl Cloudwatch {
    /// Runs one operation.
    pub fn call(&mut self, cx: &mut Context, request: &Request) -> Answer {
        operation::run(&[OPERATIONS], self, cx, request)
    }

    fn put_metric_data(&mut self, cx: &Context, params: &Params) -> Answer {
        put::put_metric_data(&mut self.store, cx.now, params)?;
        self.expect_age(cx.now);
        Ok(Value::map())
    }

    /// Takes what another service or a shell says; ignores what does not concern it.
    pub fn signal(&mut self, cx: &mut Context, signal: &Signal) {
        match signal {
            Signal::Measurements(measurements) => {
                for measurement in measurements {
                    self.record(cx, measurement);
                }
                self.store.sum_up();
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
        if self.learn_at.is_some_and(|at| at <= cx.now) {
            self.learn(cx.now);
        }
        self.alarms.advance(cx, &self.store, &self.anomalies);
        if self.age_at.is_some_and(|at| at <= cx.now) {
            self.store.age(cx.now);
            self.basic.forget(cx.now);
            self.age_at = (!self.store.is_empty()).then(|| cx.now + AGE_EVERY);
        }
    }

    /// When `advance` next has something to do.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        [self.alarms.next_deadline(), self.age_at, self.learn_at].into_iter().flatten().min()
    }

    /// Whether `PutMetricAlarm` would take these parameters, for another service that puts an alarm later.
    pub fn check_alarm(&self, params: &Params) -> Result<(), ApiError> {
        Config::parse(params).and_then(|config| self.alarms.check_room(&config.name))
    }

    /// The points of the one query that returns data, over a range of epoch seconds.
    pub fn metric_history(
        &self,
        queries: &[Params],
        range: &Range<i64>,
        now: Timestamp,
    ) -> Result<BTreeMap<i64, f64>, ApiError> {
        query::one_series(&self.store, &self.anomalies, queries, range, now)
    }

    /// The ARN of every alarm, and its tags.
    pub fn tagged(&self) -> Vec<(String, BTreeMap<String, String>)> {
        let metric = self.alarms.iter().map(|(_, alarm)| (alarm.arn.clone(), alarm.tags.clone()));
        metric.chain(self.alarms.composites().map(|alarm| (alarm.arn.clone(), alarm.tags.clone()))).collect()
    }

    pub fn is_in_alarm(&self, name: &str) -> bool {
        self.alarms.state(name) == Some(AlarmStateValue::Alarm)
    }

    pub fn alarms_of_policy(&self, policy_arn: &str) -> Vec<String> {
        self.alarms.acting_on(policy_arn)
    }

    /// Learns the usual course of every metric whose band an alarm watches: what it is asked for at each evaluation.
    fn learn(&mut self, now: Timestamp) {
        let wanted = self.alarms.iter().filter_map(|(_, alarm)| alarm.config.banded()).collect::<BTreeSet<_>>();
        let learnt = wanted.into_iter().map(|of| {
            let course = anomaly::learn(&self.store, &self.anomalies, &of, now);
            (of, course)
        });
        let learnt: BTreeMap<_, _> = learnt.collect();
        self.learn_at = (!learnt.is_empty()).then(|| now + LEARN_EVERY);
        self.anomalies.keep(learnt);
    }

    fn expect_age(&mut self, now: Timestamp) {
        self.age_at.get_or_insert(now + AGE_EVERY);
    }

    /// Stores a measurement under its own dimensions and under those that AWS aggregates it by: in its minute, as AWS's services
    /// have no finer datapoints ("Metrics produced by AWS services are standard resolution by default", user guide,
    /// "Metrics concepts").
    fn record(&mut self, cx: &Context, measurement: &Measurement) {
        let Measurement { metric, time, unit, values } = measurement;
        let time = &minute_of(*time);
        let samples = Samples::of_values(values.samples().iter().copied());
        let instance = match metric.dimensions() {
            [(name, instance)] if name == "InstanceId" && metric.namespace == "AWS/EC2" => instance,
            _ => {
                self.store.measured(metric, unit, *time, &samples);
                return;
            }
        };
        let is_basic = cx.delays.basic_monitoring
            && EACH_MINUTE.contains(&metric.name.as_str())
            && !cx.facts.is_monitored_in_detail(instance);
        let (time, samples) = if is_basic {
            match self.basic.add(instance, &metric.name, *time, &samples) {
                Some(five_minutes) => five_minutes,
                None => return,
            }
        } else {
            (*time, samples)
        };
        let mut place = self.store.measured(metric, unit, time, &samples);
        let revision = cx.facts.revision();
        if !self.store.knows_sets(place, revision) {
            let sets = aggregates(cx.facts, instance, cx.now);
            // Whoever is in no group yet may be warm by the next time, with nothing happening until then.
            let lasting = if sets[0].is_some() { revision } else { 0 };
            place = self.store.count_in(place, sets, lasting);
        }
        self.store.counted(place, unit, time, &samples);
    }
}

/// The dimensions that an instance's metric counts in besides its own. A group counts only what is in service and warm, so
/// that a booting instance does not drive the scaling.
fn aggregates<'a>(facts: &'a dyn Facts, instance: &str, now: Timestamp) -> [Option<(&'static str, &'a str)>; SETS_MAX] {
    let group = facts.group_that_counts(instance, now).map(|group| ("AutoScalingGroupName", group));
    let (instance_type, image) = match facts.kind_of_instance(instance) {
        Some((instance_type, image)) => (Some(("InstanceType", instance_type)), Some(("ImageId", image))),
        None => (None, None),
    };
    [group, instance_type, image]
}
