//! The model through its operations and signals, with time passed in.
//!
//! It stands alone here, not in the bench of `region::simulated`: what an alarm tells Auto Scaling each minute is what these
//! stories look at, and in a world Auto Scaling takes it and leaves no trace of it where the policy does nothing.

use jiff::{SignedDuration, Timestamp};

use super::model::Cloudwatch;
use crate::region::addresses::Addresses;
use crate::region::context::Context;
use crate::region::ids::Ids;
use crate::region::metric::MetricId;
use crate::region::neighbours::Neighbours;
use crate::region::signal::{AlarmStateValue, Measurement, Signal, Statistics};
use crate::region::wire::{Answer, Params, Request, Service, Value};

const POLICY: &str = "arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:1:autoScalingGroupName/g:policyName/p";

pub(super) struct Region {
    cloudwatch: Cloudwatch,
    ids: Ids,
    addresses: Addresses,
    pub(super) now: Timestamp,
    signals: Vec<Signal>,
}

impl Region {
    /// Ten o'clock sharp.
    pub(super) fn new() -> Self {
        Self {
            cloudwatch: Cloudwatch::default(),
            ids: Ids::with_seed(1),
            addresses: Addresses::in_block(0),
            now: "2026-11-21T10:00:00Z".parse().unwrap(),
            signals: Vec::new(),
        }
    }

    fn with<R>(&mut self, run: impl FnOnce(&mut Cloudwatch, &mut Context) -> R) -> R {
        let mut cx = Context {
            now: self.now,
            region: "us-east-1",
            delays: crate::region::delays::Delays::default(),
            facts: &Neighbours::default(),
            ids: &mut self.ids,
            addresses: &mut self.addresses,
            signals: &mut self.signals,
        };
        run(&mut self.cloudwatch, &mut cx)
    }

    pub(super) fn call(&mut self, operation: &str, params: Value) -> Answer {
        let Value::Map(params) = params else { panic!("parameters are a map") };
        let request = Request { service: Service::Cloudwatch, operation: operation.to_owned(), params: Params(params) };
        self.with(|cloudwatch, cx| cloudwatch.call(cx, &request))
    }

    /// Goes to a moment, and does then what is due.
    pub(super) fn jump(&mut self, to: Timestamp) {
        self.now = to;
        self.with(|cloudwatch, cx| cloudwatch.advance(cx));
    }

    /// Lets time pass, deadline by deadline; counts the alarm actions sent.
    pub(super) fn pass(&mut self, seconds: i64) -> usize {
        let until = self.now + SignedDuration::from_secs(seconds);
        self.signals.clear();
        while let Some(deadline) = self.cloudwatch.next_deadline().filter(|deadline| *deadline <= until) {
            self.now = deadline;
            let before = self.signals.len();
            self.with(|cloudwatch, cx| cloudwatch.advance(cx));
            self.answer_actions(before);
        }
        self.now = until;
        self.signals.iter().filter(|signal| matches!(signal, Signal::AlarmAction { .. })).count()
    }

    /// Auto Scaling carries out every action that was sent since the signal of that number.
    fn answer_actions(&mut self, since: usize) {
        let done = |signal: &Signal| match signal {
            Signal::AlarmAction { policy_arn, alarm } => {
                Some(Signal::AlarmActionDone { alarm: alarm.name.clone(), policy_arn: policy_arn.clone(), error: None })
            }
            _ => None,
        };
        let all: Vec<Signal> = self.signals[since..].iter().filter_map(done).collect();
        for signal in all {
            self.with(|cloudwatch, cx| cloudwatch.signal(cx, &signal));
        }
    }

    /// One sample of `App/Load` now.
    fn load(&mut self, value: f64) {
        let datum = Value::map()
            .with("MetricName", Value::from("Load"))
            .with("Value", Value::Float(value))
            .with("StorageResolution", Value::Int(1));
        let params = Value::map().with("Namespace", Value::from("App")).with("MetricData", Value::list([datum]));
        self.call("PutMetricData", params).unwrap();
    }

    fn put_alarm(&mut self, name: &str) {
        self.call("PutMetricAlarm", alarm(name)).unwrap();
    }

    fn state(&mut self, name: &str) -> String {
        let answer = self.call("DescribeAlarms", Value::map().with("AlarmNames", Value::list([Value::from(name)])));
        text(&fields(list(&fields(answer.unwrap()), "MetricAlarms").remove(0)), "StateValue")
    }
}

/// Above 70 for two of two minutes.
fn alarm(name: &str) -> Value {
    Value::map()
        .with("AlarmName", Value::from(name))
        .with("Namespace", Value::from("App"))
        .with("MetricName", Value::from("Load"))
        .with("Statistic", Value::from("Average"))
        .with("Period", Value::Int(60))
        .with("EvaluationPeriods", Value::Int(2))
        .with("Threshold", Value::Float(70.0))
        .with("ComparisonOperator", Value::from("GreaterThanThreshold"))
        .with("AlarmActions", Value::list([Value::from(POLICY)]))
}

fn fields(value: Value) -> Params {
    match value {
        Value::Map(fields) => Params(fields),
        other => panic!("{other:?} is not a map"),
    }
}

fn list(params: &Params, name: &str) -> Vec<Value> {
    params.list(name).to_vec()
}

fn text(params: &Params, name: &str) -> String {
    params.text(name).unwrap_or_else(|| panic!("{name} is missing in {params:?}")).to_owned()
}

#[test]
fn an_alarm_fires_after_its_periods_and_again_each_minute() {
    let mut region = Region::new();
    region.put_alarm("high");
    assert_eq!(region.state("high"), "INSUFFICIENT_DATA");
    region.load(90.0);
    assert_eq!(region.pass(70), 0, "one of two minutes");
    region.load(90.0);
    assert_eq!(region.pass(60), 1);
    assert_eq!(region.state("high"), "ALARM");
    region.load(90.0);
    assert_eq!(region.pass(60), 1, "again while it stays in ALARM");
    region.load(10.0);
    assert_eq!(region.pass(60), 0);
    assert_eq!(region.state("high"), "OK");
    let history = fields(region.call("DescribeAlarmHistory", Value::map()).unwrap());
    let summaries: Vec<String> =
        list(&history, "AlarmHistoryItems").into_iter().map(|item| text(&fields(item), "HistorySummary")).collect();
    assert_eq!(summaries[0], "Alarm updated from ALARM to OK");
    assert!(summaries.contains(&"Alarm updated from INSUFFICIENT_DATA to ALARM".to_owned()), "{summaries:?}");
    assert!(summaries.contains(&format!("Successfully executed action {POLICY}")), "{summaries:?}");
    assert_eq!(summaries.last().unwrap(), "Alarm \"high\" created");
}

#[test]
fn a_history_is_cut_at_both_ends_which_belong_to_it() {
    let mut region = Region::new();
    region.put_alarm("first");
    region.pass(60);
    region.put_alarm("second");
    region.pass(60);
    region.put_alarm("third");
    let mut created = |bounds: &[(&str, &str)]| {
        let given = Value::map().with("HistoryItemType", Value::from("ConfigurationUpdate"));
        let given = bounds
            .iter()
            .fold(given, |given, (name, time)| given.with(name, Value::from(format!("2026-11-21T10:{time}Z"))));
        let history = fields(region.call("DescribeAlarmHistory", given).unwrap());
        let items = list(&history, "AlarmHistoryItems").into_iter();
        items.map(|item| text(&fields(item), "AlarmName")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(created(&[]), "third second first");
    assert_eq!(created(&[("StartDate", "01:00")]), "third second");
    assert_eq!(created(&[("StartDate", "01:01")]), "third");
    assert_eq!(created(&[("EndDate", "01:00")]), "second first");
    assert_eq!(created(&[("StartDate", "00:30"), ("EndDate", "01:59")]), "second");
}

/// A driver wakes a little after each deadline, never by the same amount; an alarm in ALARM calls each minute all the same.
#[test]
fn an_alarm_calls_each_minute_however_late_it_is_looked_at() {
    let mut region = Region::new();
    let breaching = alarm("high").with("TreatMissingData", Value::from("breaching"));
    region.call("PutMetricAlarm", breaching).unwrap();
    let mut lateness = fastrand::Rng::with_seed(1);
    for minute in 1..=30 {
        let due = region.cloudwatch.next_deadline().unwrap();
        region.now = due + SignedDuration::from_millis(lateness.i64(0..900));
        region.signals.clear();
        region.with(|cloudwatch, cx| cloudwatch.advance(cx));
        assert!(matches!(&region.signals[..], [Signal::AlarmAction { .. }]), "minute {minute}: {:?}", region.signals);
    }
}

#[test]
fn the_reason_names_the_datapoints() {
    let mut region = Region::new();
    region.put_alarm("high");
    for _ in 0..2 {
        region.load(90.5);
        region.pass(60);
    }
    region.pass(10);
    let answer = fields(region.call("DescribeAlarms", Value::map()).unwrap());
    assert_eq!(
        text(&fields(list(&answer, "MetricAlarms").remove(0)), "StateReason"),
        "Threshold Crossed: 2 out of the last 2 datapoints [90.5 (21/11/26 10:01:00), 90.5 (21/11/26 10:00:00)] \
         were greater than the threshold (70.0) (minimum 2 datapoints for OK -> ALARM transition)."
    );
}

#[test]
fn a_short_period_is_looked_at_every_ten_seconds() {
    let mut region = Region::new();
    let Value::Map(mut fields) = alarm("fast") else { unreachable!() };
    fields.retain(|(name, _)| name != "Period" && name != "EvaluationPeriods");
    let fast = Value::Map(fields).with("Period", Value::Int(10)).with("EvaluationPeriods", Value::Int(1));
    region.call("PutMetricAlarm", fast).unwrap();
    region.load(99.0);
    region.pass(13);
    assert_eq!(region.state("fast"), "ALARM");
}

#[test]
fn an_expression_can_be_watched() {
    let mut region = Region::new();
    let stat = Value::map()
        .with("Metric", Value::map().with("Namespace", Value::from("App")).with("MetricName", Value::from("Load")))
        .with("Period", Value::Int(60))
        .with("Stat", Value::from("Maximum"));
    let metric =
        Value::map().with("Id", Value::from("m1")).with("MetricStat", stat).with("ReturnData", Value::Bool(false));
    let double = Value::map().with("Id", Value::from("e1")).with("Expression", Value::from("m1 * 2"));
    let params = Value::map()
        .with("AlarmName", Value::from("math"))
        .with("Metrics", Value::list([metric, double]))
        .with("EvaluationPeriods", Value::Int(1))
        .with("Threshold", Value::Float(70.0))
        .with("ComparisonOperator", Value::from("GreaterThanThreshold"));
    region.call("PutMetricAlarm", params).unwrap();
    region.load(40.0);
    region.pass(63);
    assert_eq!(region.state("math"), "ALARM");
}

#[test]
fn a_state_set_by_hand_acts_at_once_and_lasts_until_the_next_evaluation() {
    let mut region = Region::new();
    region.put_alarm("high");
    region.load(1.0);
    region.pass(60);
    region.load(1.0);
    region.pass(70);
    assert_eq!(region.state("high"), "OK");
    region.signals.clear();
    let params = Value::map()
        .with("AlarmName", Value::from("high"))
        .with("StateValue", Value::from("ALARM"))
        .with("StateReason", Value::from("a test"));
    region.call("SetAlarmState", params.clone()).unwrap();
    assert!(
        matches!(&region.signals[..], [Signal::AlarmAction { alarm, .. }] if alarm.state == AlarmStateValue::Alarm)
    );
    region.load(1.0);
    region.pass(60);
    assert_eq!(region.state("high"), "OK");
    let Value::Map(mut unknown) = params else { unreachable!() };
    unknown[0].1 = Value::from("nobody");
    let error = region.call("SetAlarmState", Value::Map(unknown)).unwrap_err();
    assert_eq!((error.status, error.code.as_str()), (404, "ResourceNotFound"));
}

#[test]
fn disabled_actions_do_not_run_and_a_changed_alarm_keeps_its_state() {
    let mut region = Region::new();
    region.put_alarm("high");
    region.call("DisableAlarmActions", Value::map().with("AlarmNames", Value::list([Value::from("high")]))).unwrap();
    for _ in 0..2 {
        region.load(90.0);
        assert_eq!(region.pass(60), 0);
    }
    assert_eq!(region.pass(5), 0);
    assert_eq!(region.state("high"), "ALARM");
    region.put_alarm("high");
    assert_eq!(region.state("high"), "ALARM");
}

#[test]
fn wrong_alarms_are_refused() {
    let cases = [
        ("Period", Value::Int(45)),
        ("ComparisonOperator", Value::from("LessThanLowerThreshold")),
        ("TreatMissingData", Value::from("guess")),
        ("DatapointsToAlarm", Value::Int(3)),
        ("EvaluationPeriods", Value::Int(2000)),
        ("ExtendedStatistic", Value::from("p99")),
        ("OKActions", Value::list([Value::from("call me")])),
    ];
    for (name, value) in cases {
        let Value::Map(mut fields) = alarm("wrong") else { unreachable!() };
        fields.retain(|(field, _)| field != name);
        let error = Region::new().call("PutMetricAlarm", Value::Map(fields).with(name, value)).unwrap_err();
        assert_eq!(error.code, "ValidationError", "{name}: {}", error.message);
    }
}

#[test]
fn alarms_come_in_pages_and_go_by_name() {
    let mut region = Region::new();
    ["b", "a", "c"].into_iter().for_each(|name| region.put_alarm(name));
    let first = fields(region.call("DescribeAlarms", Value::map().with("MaxRecords", Value::Int(2))).unwrap());
    let names = |page: &Params| -> Vec<String> {
        list(page, "MetricAlarms").into_iter().map(|alarm| text(&fields(alarm), "AlarmName")).collect()
    };
    assert_eq!(names(&first), ["a", "b"]);
    let next = Value::map().with("NextToken", Value::from(text(&first, "NextToken")));
    assert_eq!(names(&fields(region.call("DescribeAlarms", next).unwrap())), ["c"]);
    let gone = Value::list([Value::from("a"), Value::from("nobody")]);
    region.call("DeleteAlarms", Value::map().with("AlarmNames", gone)).unwrap();
    assert_eq!(names(&fields(region.call("DescribeAlarms", Value::map()).unwrap())), ["b", "c"]);
}

/// `GetMetricData` of `App/Load` and twice of it, from ten minutes ago to five minutes ahead.
fn data_request(region: &Region) -> Value {
    let stat = Value::map()
        .with("Metric", Value::map().with("Namespace", Value::from("App")).with("MetricName", Value::from("Load")))
        .with("Period", Value::Int(60))
        .with("Stat", Value::from("Sum"));
    let metric = Value::map().with("Id", Value::from("m1")).with("MetricStat", stat);
    // It stands before what it needs.
    let double = Value::map().with("Id", Value::from("e1")).with("Expression", Value::from("m1 * 2"));
    Value::map()
        .with("MetricDataQueries", Value::list([double, metric]))
        .with("StartTime", Value::Time(region.now - SignedDuration::from_mins(10)))
        .with("EndTime", Value::Time(region.now + SignedDuration::from_mins(5)))
        .with("ScanBy", Value::from("TimestampAscending"))
}

#[test]
fn data_are_computed_in_any_order_and_cut_into_pages() {
    let mut region = Region::new();
    for minute in 0..3 {
        region.load(f64::from(minute));
        region.pass(60);
    }
    let request = data_request(&region);
    let values = |result: &Value| -> Vec<f64> {
        fields(result.clone())
            .list("Values")
            .iter()
            .map(|value| if let Value::Float(value) = value { *value } else { f64::NAN })
            .collect()
    };
    let answer = fields(region.call("GetMetricData", request.clone()).unwrap());
    let results = list(&answer, "MetricDataResults");
    assert_eq!((values(&results[0]), values(&results[1])), (vec![0.0, 2.0, 4.0], vec![0.0, 1.0, 2.0]));
    let first = fields(region.call("GetMetricData", request.clone().with("MaxDatapoints", Value::Int(4))).unwrap());
    let results = list(&first, "MetricDataResults");
    assert_eq!((values(&results[0]), values(&results[1])), (vec![0.0, 2.0, 4.0], vec![0.0]));
    assert_eq!(text(&fields(results[1].clone()), "StatusCode"), "PartialData");
    let next = request.with("MaxDatapoints", Value::Int(4)).with("NextToken", Value::from(text(&first, "NextToken")));
    let second = fields(region.call("GetMetricData", next).unwrap());
    let results = list(&second, "MetricDataResults");
    assert_eq!((results.len(), values(&results[0])), (1, vec![1.0, 2.0]));
    assert_eq!(second.text("NextToken"), None);
}

#[test]
fn statistics_are_stamped_from_the_start_rounded_to_the_minute() {
    let mut region = Region::new();
    region.load(3.0);
    let request = |period: i64, region: &Region| {
        Value::map()
            .with("Namespace", Value::from("App"))
            .with("MetricName", Value::from("Load"))
            .with("StartTime", Value::Time(region.now - SignedDuration::from_secs(90)))
            .with("EndTime", Value::Time(region.now + SignedDuration::from_mins(5)))
            .with("Period", Value::Int(period))
            .with("Statistics", Value::list([Value::from("Sum"), Value::from("SampleCount")]))
            .with("ExtendedStatistics", Value::list([Value::from("p90")]))
    };
    let asked = request(300, &region);
    let answer = fields(region.call("GetMetricStatistics", asked).unwrap());
    let points = list(&answer, "Datapoints");
    let expected = Value::map()
        .with("Timestamp", Value::Time("2026-11-21T09:58:00Z".parse().unwrap()))
        .with("Sum", Value::Float(3.0))
        .with("SampleCount", Value::Float(1.0))
        .with("Unit", Value::from("None"))
        .with("ExtendedStatistics", Value::Entries(vec![("p90".to_owned(), Value::Float(3.0))]));
    assert_eq!(points, [expected]);
    let asked = request(7, &region);
    assert_eq!(region.call("GetMetricStatistics", asked).unwrap_err().code, "InvalidParameterValue");
}

#[test]
fn measurements_of_a_shell_are_listed_by_their_own_dimensions() {
    let mut region = Region::new();
    let metric = MetricId::shared("AWS/ApplicationELB", "RequestCount", &[("LoadBalancer", "app/a/1")]);
    let measurement = Measurement::new(metric, region.now, Statistics::of(vec![(1.0, 500.0)]), "Count");
    region.with(|cloudwatch, cx| cloudwatch.signal(cx, &Signal::Measurements(vec![measurement])));
    let filter = |value: Option<&str>| {
        let dimension = Value::map().with("Name", Value::from("LoadBalancer")).with("Value", value.map(Value::from));
        Value::map().with("Dimensions", Value::list([dimension]))
    };
    let mut count = |value| list(&fields(region.call("ListMetrics", filter(value)).unwrap()), "Metrics").len();
    assert_eq!((count(None), count(Some("app/a/1")), count(Some("app/b/2"))), (1, 1, 0));
}

#[test]
fn metrics_of_services_have_no_finer_datapoints_than_a_minute() {
    let mut region = Region::new();
    let metric = MetricId::shared("AWS/ApplicationELB", "RequestCount", &[("LoadBalancer", "app/a/1")]);
    let start = region.now;
    for second in (0..60).step_by(10) {
        region.now = start + SignedDuration::from_secs(second);
        let measurement = Measurement::new(metric.clone(), region.now, Statistics::of(vec![(1.0, 500.0)]), "Count");
        region.with(|cloudwatch, cx| cloudwatch.signal(cx, &Signal::Measurements(vec![measurement])));
    }
    region.now = start + SignedDuration::from_secs(60);
    let dimension = Value::map().with("Name", Value::from("LoadBalancer")).with("Value", Value::from("app/a/1"));
    let asked = Value::map()
        .with("Namespace", Value::from("AWS/ApplicationELB"))
        .with("MetricName", Value::from("RequestCount"))
        .with("Dimensions", Value::list([dimension]))
        .with("StartTime", Value::Time(start))
        .with("EndTime", Value::Time(region.now))
        .with("Period", Value::Int(10))
        .with("Statistics", Value::list([Value::from("Sum")]));
    let points = list(&fields(region.call("GetMetricStatistics", asked).unwrap()), "Datapoints");
    let sums: Vec<_> = points.into_iter().map(|point| fields(point).get("Sum").cloned()).collect();
    assert_eq!(sums, [Some(Value::Float(3000.0))]);
}

#[test]
fn tags_belong_to_an_alarm() {
    let mut region = Region::new();
    region.put_alarm("high");
    let arn = Value::from("arn:aws:cloudwatch:us-east-1:000000000000:alarm:high");
    let tag = Value::map().with("Key", Value::from("team")).with("Value", Value::from("web"));
    let resource = Value::map().with("ResourceARN", arn);
    region.call("TagResource", resource.clone().with("Tags", Value::list([tag.clone()]))).unwrap();
    assert_eq!(list(&fields(region.call("ListTagsForResource", resource.clone()).unwrap()), "Tags"), [tag]);
    region.call("UntagResource", resource.clone().with("TagKeys", Value::list([Value::from("team")]))).unwrap();
    assert!(list(&fields(region.call("ListTagsForResource", resource).unwrap()), "Tags").is_empty());
    let nobody = Value::map().with("ResourceARN", Value::from("arn:aws:cloudwatch:us-east-1:0:alarm:x"));
    assert!(list(&fields(region.call("ListTagsForResource", nobody.clone()).unwrap()), "Tags").is_empty());
    assert_eq!(region.call("UntagResource", nobody.with("TagKeys", Value::list([]))).unwrap_err().status, 404);
}
