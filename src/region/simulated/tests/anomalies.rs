//! Alarms on what is unusual, and on status checks that fail.

use crate::region::simulated::Simulated;
use crate::region::simulated::setup::escaped;
use crate::region::wire::{Params, Service};

/// An alarm on one of `Lab`'s metrics that leaves its band of two deviations.
fn band_form(comparison: &str, more: &str) -> String {
    let (m, ad) = ("Metrics.member.1", "Metrics.member.2");
    format!(
        "AlarmName=odd&EvaluationPeriods=1&ComparisonOperator={comparison}&ThresholdMetricId=ad1\
         &{m}.Id=m1&{m}.ReturnData=true&{m}.MetricStat.Metric.Namespace=Lab&{m}.MetricStat.Metric.MetricName=Queue\
         &{m}.MetricStat.Period=60&{m}.MetricStat.Stat=Average\
         &{ad}.Id=ad1&{ad}.ReturnData=true&{ad}.Expression={}{more}",
        escaped("ANOMALY_DETECTION_BAND(m1, 2)")
    )
}

fn put(cloud: &mut Simulated, value: f64) {
    let form = format!("Namespace=Lab&MetricData.member.1.MetricName=Queue&MetricData.member.1.Value={value}");
    cloud.cloudwatch("PutMetricData", &form);
}

/// An hour of 8 and 12 by turns: 10, and a deviation of 2.
fn hour_of_data(cloud: &mut Simulated) {
    for minute in 0..60 {
        put(cloud, if minute % 2 == 0 { 8.0 } else { 12.0 });
        cloud.run(60);
    }
}

fn alarm(cloud: &mut Simulated) -> Params {
    cloud.cloudwatch("DescribeAlarms", "AlarmNames.member.1=odd").maps("MetricAlarms").remove(0)
}

fn state(cloud: &mut Simulated) -> String {
    alarm(cloud).text("StateValue").unwrap().to_owned()
}

#[test]
fn an_alarm_follows_the_band_of_its_metric() {
    for (comparison, after_low, after_high) in [
        ("LessThanLowerOrGreaterThanUpperThreshold", "ALARM", "ALARM"),
        ("LessThanLowerThreshold", "ALARM", "OK"),
        ("GreaterThanUpperThreshold", "OK", "ALARM"),
    ] {
        let mut cloud = Simulated::empty(7);
        hour_of_data(&mut cloud);
        cloud.cloudwatch("PutMetricAlarm", &band_form(comparison, ""));
        for (value, expected) in [(13.0, "OK"), (5.0, after_low), (10.0, "OK"), (15.0, after_high), (10.0, "OK")] {
            put(&mut cloud, value);
            // The minute, and the time until its metrics are published.
            cloud.run(90);
            assert_eq!(state(&mut cloud), expected, "{comparison}: {value} and 6 to 14");
            cloud.run(30);
        }
    }
}

#[test]
fn the_reason_names_value_and_band_and_the_alarm_is_shown_as_it_was_put() {
    let mut cloud = Simulated::empty(7);
    hour_of_data(&mut cloud);
    cloud.cloudwatch("PutMetricAlarm", &band_form("GreaterThanUpperThreshold", ""));
    put(&mut cloud, 40.0);
    cloud.run(90);
    let shown = alarm(&mut cloud);
    assert_eq!((shown.text("ThresholdMetricId"), shown.float("Threshold").unwrap()), (Some("ad1"), None));
    let reason = shown.text("StateReason").unwrap();
    assert!(reason.starts_with("Thresholds Crossed: 1 datapoint [40.0 (01/01/26 01:00:00)] was less than"), "{reason}");
    assert!(reason.contains("or greater than the upper thresholds [14."), "{reason}");
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let mut cloud = Simulated::empty(7);
    let good = band_form("GreaterThanUpperThreshold", "");
    let policy = "arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:x:autoScalingGroupName/web:policyName/out";
    for wrong in [
        good.replace("GreaterThanUpperThreshold", "GreaterThanThreshold"),
        good.clone() + "&Threshold=5",
        good.replace("&ThresholdMetricId=ad1", ""),
        good.replace("ThresholdMetricId=ad1", "ThresholdMetricId=m1"),
        good.replace("ThresholdMetricId=ad1", "ThresholdMetricId=none"),
        good.clone() + "&AlarmActions.member.1=" + &escaped(policy),
    ] {
        let refused = cloud.try_call(Service::Cloudwatch, "PutMetricAlarm", &wrong).unwrap_err();
        assert_eq!(refused.code, "ValidationError", "{wrong}");
    }
    cloud.cloudwatch("PutMetricAlarm", &good);
}

#[test]
fn a_band_can_be_asked_for() {
    let mut cloud = Simulated::empty(7);
    hour_of_data(&mut cloud);
    let (m, ad) = ("MetricDataQueries.member.1", "MetricDataQueries.member.2");
    let form = |expression: &str| {
        format!(
            "StartTime=2026-01-01T00:58:00Z&EndTime=2026-01-01T01:00:00Z&{m}.Id=m1&{m}.ReturnData=false\
             &{m}.MetricStat.Metric.Namespace=Lab&{m}.MetricStat.Metric.MetricName=Queue&{m}.MetricStat.Period=60\
             &{m}.MetricStat.Stat=Average&{ad}.Id=ad1&{ad}.Expression={}",
            escaped(expression)
        )
    };
    let results = cloud.cloudwatch("GetMetricData", &form("ANOMALY_DETECTION_BAND(m1)")).maps("MetricDataResults");
    let labels: Vec<&str> = results.iter().map(|it| it.text("Label").unwrap()).collect();
    assert_eq!(labels, ["Queue (expected low)", "Queue (expected high)"]);
    assert_eq!(results[0].list("Values").len(), 2);
    for wrong in ["ANOMALY_DETECTION_BAND(m2)", "ANOMALY_DETECTION_BAND(m1, 0)", "ANOMALY_DETECTION_BAND(m1 + 1)"] {
        assert!(cloud.try_call(Service::Cloudwatch, "GetMetricData", &form(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn detectors_are_put_listed_and_deleted() {
    let mut cloud = Simulated::empty(7);
    let single = "SingleMetricAnomalyDetector";
    let metric = format!("{single}.Namespace=Lab&{single}.MetricName=Queue&{single}.Stat=Average");
    let more = "&Configuration.MetricTimezone=Europe%2FBerlin\
                &Configuration.ExcludedTimeRanges.member.1.StartTime=2026-01-01T00:30:00Z\
                &Configuration.ExcludedTimeRanges.member.1.EndTime=2026-01-01T01:00:00Z";
    let first = cloud.cloudwatch("PutAnomalyDetector", &format!("{metric}{more}"));
    let again = cloud.cloudwatch("PutAnomalyDetector", &format!("{metric}{more}"));
    assert_eq!(first.text("AnomalyDetectorId"), again.text("AnomalyDetectorId"));
    let listed =
        |cloud: &mut Simulated, form: &str| cloud.cloudwatch("DescribeAnomalyDetectors", form).maps("AnomalyDetectors");
    let shown = listed(&mut cloud, "Namespace=Lab").remove(0);
    assert_eq!((shown.text("Stat"), shown.text("StateValue")), (Some("Average"), Some("TRAINED_INSUFFICIENT_DATA")));
    assert_eq!(shown.map("Configuration").unwrap().text("MetricTimezone"), Some("Europe/Berlin"));
    hour_of_data(&mut cloud);
    assert_eq!(listed(&mut cloud, "")[0].text("StateValue"), Some("TRAINED"));
    assert!(listed(&mut cloud, "Namespace=Other").is_empty());
    let both = format!("{metric}&Namespace=Lab");
    let refused = cloud.try_call(Service::Cloudwatch, "PutAnomalyDetector", &both).unwrap_err();
    assert_eq!(refused.code, "InvalidParameterCombination");
    let nowhere = format!("{metric}&Configuration.MetricTimezone=Mars%2FBase");
    assert!(cloud.try_call(Service::Cloudwatch, "PutAnomalyDetector", &nowhere).is_err());
    cloud.cloudwatch("DeleteAnomalyDetector", "Namespace=Lab&MetricName=Queue&Stat=Average");
    assert!(listed(&mut cloud, "").is_empty());
    let gone = cloud.try_call(Service::Cloudwatch, "DeleteAnomalyDetector", &metric).unwrap_err();
    assert_eq!(gone.code, "ResourceNotFoundException");
}

/// 0 while the checks pass and 1 where they fail, each minute; that of the system passes.
#[test]
fn failed_status_checks_are_a_metric() {
    let mut cloud = Simulated::with_group("&MinSize=1&MaxSize=1");
    cloud.checks_status = true;
    let instance = cloud.in_service()[0].clone();
    cloud.run(120);
    cloud.asg("SuspendProcesses", "AutoScalingGroupName=web");
    cloud.crash(&instance);
    cloud.run(120);
    let seen = |cloud: &mut Simulated, metric: &str| -> Vec<f64> {
        let form = format!(
            "Namespace=AWS%2FEC2&MetricName={metric}&Dimensions.member.1.Name=InstanceId&Dimensions.member.1.Value={instance}\
             &Period=60&Statistics.member.1=Maximum&StartTime=2026-01-01T00:10:00Z&EndTime=2026-01-01T00:14:00Z"
        );
        let points = cloud.cloudwatch("GetMetricStatistics", &form).maps("Datapoints");
        points.iter().map(|it| it.float("Maximum").unwrap().unwrap()).collect()
    };
    assert_eq!(seen(&mut cloud, "StatusCheckFailed"), [0.0, 0.0, 1.0, 1.0]);
    assert_eq!(seen(&mut cloud, "StatusCheckFailed_Instance"), [0.0, 0.0, 1.0, 1.0]);
    assert_eq!(seen(&mut cloud, "StatusCheckFailed_System"), [0.0; 4]);
}
