//! What questions about metrics answer, by the worked examples of AWS's pages.

use jiff::{SignedDuration, Timestamp};

use super::tests::Region;
use crate::region::wire::{Params, Value};

fn map(fields: Vec<(&str, Value)>) -> Value {
    Value::Map(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn datum(time: Timestamp, value: f64, unit: &str) -> Value {
    map(vec![
        ("MetricName", Value::from("m")),
        ("Timestamp", Value::Time(time)),
        ("Value", Value::Float(value)),
        ("Unit", Value::from(unit)),
    ])
}

fn put(region: &mut Region, data: Vec<Value>) {
    let params = map(vec![("Namespace", Value::from("App")), ("MetricData", Value::List(data))]);
    region.call("PutMetricData", params).unwrap();
}

fn query(id: &str, statistic: &str, period: i64) -> Value {
    let metric = map(vec![("Namespace", Value::from("App")), ("MetricName", Value::from("m"))]);
    let stat = map(vec![("Metric", metric), ("Period", Value::Int(period)), ("Stat", Value::from(statistic))]);
    map(vec![("Id", Value::from(id)), ("MetricStat", stat)])
}

fn get(region: &mut Region, queries: Vec<Value>, start: Timestamp, end: Timestamp) -> Vec<Params> {
    let params = map(vec![
        ("MetricDataQueries", Value::List(queries)),
        ("StartTime", Value::Time(start)),
        ("EndTime", Value::Time(end)),
        ("ScanBy", Value::from("TimestampAscending")),
    ]);
    let Value::Map(fields) = region.call("GetMetricData", params).unwrap() else { panic!("a map") };
    Params(fields).maps("MetricDataResults")
}

fn values(result: &Params) -> Vec<f64> {
    let number = |value: &Value| if let Value::Float(number) = value { *number } else { panic!("{value:?}") };
    result.list("Values").iter().map(number).collect()
}

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

/// GetMetricData rounds the start down to the minute and counts periods from there (API reference, `StartTime`).
#[test]
fn periods_begin_at_the_requests_start() {
    let mut region = Region::new();
    let zero = region.now;
    put(&mut region, (0..15).map(|minute| datum(zero + minutes(minute), 2f64.powi(minute as i32), "Count")).collect());
    region.now = zero + minutes(20);
    let mut sums = |start: i64, end: i64, more: i64| {
        let start = zero + minutes(start) + SignedDuration::from_secs(more);
        let result = &get(&mut region, vec![query("q", "Sum", 300)], start, zero + minutes(end))[0];
        let times: Vec<Value> = result.list("Timestamps").to_vec();
        (values(result), times)
    };
    let times = vec![Value::Time(zero + minutes(2)), Value::Time(zero + minutes(7))];
    assert_eq!(sums(2, 12, 0), (vec![124.0, 3968.0], times.clone()));
    assert_eq!(sums(2, 12, 59), (vec![124.0, 3968.0], times));
    assert_eq!(sums(2, 9, 0).0, [124.0, 384.0], "the last period may be cut");
}

/// Beyond fifteen days a start is rounded to five minutes and finer periods are gone; beyond sixty-three it is the hour.
#[test]
fn old_data_are_there_in_coarse_periods_only() {
    let mut region = Region::new();
    let zero = region.now;
    put(&mut region, (0..120).map(|minute| datum(zero + minutes(minute) - minutes(240), 1.0, "Count")).collect());
    let start = zero - minutes(240);
    let mut sums = |days: i64, period: i64| {
        region.jump(zero + SignedDuration::from_hours(24 * days));
        let more = minutes(2);
        values(&get(&mut region, vec![query("q", "Sum", period)], start + more, start + minutes(120))[0])
    };
    assert_eq!(sums(0, 60).len(), 118);
    assert_eq!(sums(16, 60), Vec::<f64>::new());
    assert_eq!(sums(16, 300), vec![5.0; 24]);
    assert_eq!(sums(64, 300), Vec::<f64>::new());
    assert_eq!(sums(64, 3600), [60.0, 60.0]);
    assert_eq!(sums(456, 3600), Vec::<f64>::new());
}

#[test]
fn two_queries_of_one_metric_have_two_labels() {
    let mut region = Region::new();
    let now = region.now;
    put(&mut region, vec![datum(now - minutes(1), 1.0, "Count")]);
    let labels = |region: &mut Region, queries: Vec<Value>| -> Vec<String> {
        let results = get(region, queries, now - minutes(5), now);
        results.iter().map(|result| result.text("Label").unwrap().to_owned()).collect()
    };
    assert_eq!(labels(&mut region, vec![query("a", "Sum", 60)]), ["m"]);
    assert_eq!(
        labels(&mut region, vec![query("a", "Sum", 60), query("b", "Minimum", 30)]),
        ["m Sum 60", "m Minimum 30"]
    );
    assert_eq!(labels(&mut region, vec![query("a", "Sum", 60), query("b", "p99", 60)]), ["m Sum", "m p99"]);
}

#[test]
fn each_unit_has_its_own_datapoints() {
    let mut region = Region::new();
    let time = region.now - minutes(5);
    put(&mut region, vec![datum(time, 1.0, "Count"), datum(time, 512.0, "Bytes")]);
    let mut ask = |unit: Option<&str>| -> Vec<(String, f64)> {
        let mut fields = vec![
            ("Namespace", Value::from("App")),
            ("MetricName", Value::from("m")),
            ("StartTime", Value::Time(time)),
            ("EndTime", Value::Time(time + minutes(1))),
            ("Period", Value::Int(60)),
            ("Statistics", Value::list(["Sum".into()])),
        ];
        fields.extend(unit.map(|unit| ("Unit", Value::from(unit))));
        let Value::Map(fields) = region.call("GetMetricStatistics", map(fields)).unwrap() else { panic!("a map") };
        let points = Params(fields).maps("Datapoints");
        points.iter().map(|it| (it.text("Unit").unwrap().to_owned(), it.float("Sum").unwrap().unwrap())).collect()
    };
    assert_eq!(ask(None), [("Count".to_owned(), 1.0), ("Bytes".to_owned(), 512.0)]);
    assert_eq!(ask(Some("Bytes")), [("Bytes".to_owned(), 512.0)]);
    assert_eq!(ask(Some("Seconds")), []);
}

/// "StartTime is inclusive … EndTime is exclusive" (API reference, GetMetricData).
#[test]
fn the_start_belongs_to_a_range_and_the_end_does_not() {
    let mut region = Region::new();
    let zero = region.now;
    put(&mut region, (0..5).map(|minute| datum(zero + minutes(minute), 2f64.powi(minute as i32), "Count")).collect());
    region.now = zero + minutes(20);
    let mut sums = |start: i64, end: SignedDuration| {
        values(&get(&mut region, vec![query("q", "Sum", 60)], zero + minutes(start), zero + end)[0])
    };
    assert_eq!(sums(1, minutes(3)), [2.0, 4.0]);
    assert_eq!(sums(1, minutes(3) + SignedDuration::from_secs(1)), [2.0, 4.0, 8.0], "a period that is cut is one");
    assert_eq!(sums(0, minutes(1)), [1.0]);
    assert_eq!(sums(4, minutes(60)), [16.0]);
    assert!(sums(5, minutes(60)).is_empty());
}

#[test]
fn a_range_without_length_is_refused() {
    let mut region = Region::new();
    let moment = region.now + SignedDuration::from_millis(500);
    let params = map(vec![
        ("MetricDataQueries", Value::List(vec![query("q", "Sum", 60)])),
        ("StartTime", Value::Time(moment)),
        ("EndTime", Value::Time(moment)),
    ]);
    let error = region.call("GetMetricData", params).unwrap_err();
    assert!(error.message.contains("StartTime must be less than the parameter EndTime"), "{error:?}");
}

#[test]
fn a_parameter_that_cloudwatch_does_not_know_here_is_refused_by_name() {
    let mut region = Region::new();
    let window = map(vec![("SlidingWindow", Value::map())]);
    let params = map(vec![("AlarmName", Value::from("a")), ("EvaluationWindow", window)]);
    let error = region.call("PutMetricAlarm", params).unwrap_err();
    assert_eq!(error.code, "ValidationError");
    assert!(error.message.contains("EvaluationWindow"), "{}", error.message);
}

#[test]
fn an_alarm_that_is_gone_has_no_tags() {
    let mut region = Region::new();
    let arn = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:gone";
    let answer = region.call("ListTagsForResource", map(vec![("ResourceARN", Value::from(arn))])).unwrap();
    assert_eq!(answer, map(vec![("Tags", Value::list([]))]));
}
