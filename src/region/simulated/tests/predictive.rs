//! Predictive scaling: a rush each morning that the group has learnt, and is ready for.
//!
//! From nine to noon 250 requests per second come, else 50. An instance is to have 60 of them: five instances, and one.

use jiff::{SignedDuration, Timestamp};

use crate::region::simulated::setup::start;
use crate::region::simulated::{Gauge, Gauged, Simulated};
use crate::region::wire::Params;

const SIZES: &str = "&MinSize=1&MaxSize=10&DesiredCapacity=1&DefaultInstanceWarmup=60";

fn at(day: i64, hour: i64, minute: i64) -> Timestamp {
    start() + SignedDuration::from_mins((day * 24 + hour) * 60 + minute)
}

/// The load of so many days.
fn rushes(cloud: &mut Simulated, days: i64) {
    cloud.load.then(start(), 50.0);
    for day in 0..days {
        for (hour, before, after) in [(9, 50.0, 250.0), (12, 250.0, 50.0)] {
            cloud.load.then(at(day, hour, 0), before);
            cloud.load.then(at(day, hour, 0), after);
        }
    }
}

/// Puts the policy `name` on requests per target: 3,600 a minute for each instance.
fn predict(cloud: &mut Simulated, name: &str, target: u32, more: &str) {
    let configuration = "PredictiveScalingConfiguration";
    let specification = format!("{configuration}.MetricSpecifications.member.1");
    let label = cloud.resource_label();
    let more = more.replace('@', &format!("&{configuration}."));
    cloud.asg(
        "PutScalingPolicy",
        &format!(
            "AutoScalingGroupName=web&PolicyName={name}&PolicyType=PredictiveScaling&{specification}.TargetValue={target}\
             &{specification}.PredefinedMetricPairSpecification.PredefinedMetricType=ALBRequestCount\
             &{specification}.PredefinedMetricPairSpecification.ResourceLabel={label}{more}"
        ),
    );
}

fn asked(cloud: &Simulated, name: &str) -> String {
    let (start, end) = (cloud.now, cloud.now + SignedDuration::from_hours(48));
    format!("AutoScalingGroupName=web&PolicyName={name}&StartTime={start}&EndTime={end}").replace(':', "%3A")
}

fn values(of: &Params) -> Vec<f64> {
    let float = |value: &crate::region::wire::Value| match value {
        crate::region::wire::Value::Float(value) => *value,
        other => panic!("{other:?}"),
    };
    of.list("Values").iter().map(float).collect()
}

#[test]
fn a_forecast_needs_a_day_of_data_and_alone_scales_nothing() {
    let mut cloud = Simulated::with_balanced_group(SIZES);
    rushes(&mut cloud, 3);
    predict(&mut cloud, "rush", 3_600, "");
    let error = cloud.try_asg("GetPredictiveScalingForecast", &asked(&cloud, "rush")).unwrap_err();
    assert!(error.code == "ValidationError" && error.message.contains("24 hours"), "{error:?}");
    cloud.run_until(at(1, 1, 0));
    let form = asked(&cloud, "rush");
    let told = cloud.asg("GetPredictiveScalingForecast", &form);
    let (load, capacity) = (told.maps("LoadForecast").remove(0), told.map("CapacityForecast").unwrap());
    assert_eq!(capacity.list("Timestamps").len(), 47, "of 48 hours since midnight, one is over");
    let (loads, capacities) = (values(&load), values(&capacity));
    assert!((loads[8] - 900_000.0).abs() < 1_000.0, "{loads:?}");
    assert_eq!((capacities[7], capacities[8], capacities[10], capacities[11]), (1.0, 5.0, 5.0, 1.0));
    assert!(load.map("MetricSpecification").unwrap().text("TargetValue").is_some());
    let made = told.time("UpdateTime").unwrap().unwrap();
    cloud.run_until(at(1, 12, 0));
    assert_eq!(cloud.desired(), 1, "forecast only");
    let form = asked(&cloud, "rush");
    let again = cloud.asg("GetPredictiveScalingForecast", &form).time("UpdateTime").unwrap().unwrap();
    assert_eq!(again.duration_since(made), SignedDuration::from_hours(6));
    let shown = cloud.asg("DescribePolicies", "PolicyTypes.member.1=PredictiveScaling").maps("ScalingPolicies");
    assert!(shown[0].map("PredictiveScalingConfiguration").is_some() && shown[0].list("Alarms").is_empty());
    let refused = cloud.try_asg("ExecutePolicy", "AutoScalingGroupName=web&PolicyName=rush").unwrap_err();
    assert_eq!(refused.code, "ValidationError");
}

#[test]
fn capacity_is_there_before_the_hour_and_is_not_taken_away_by_the_forecast() {
    let mut cloud = Simulated::with_balanced_group(SIZES);
    rushes(&mut cloud, 3);
    predict(&mut cloud, "rush", 3_600, "@Mode=ForecastAndScale@SchedulingBufferTime=600");
    cloud.run_until(at(2, 8, 0));
    assert_eq!(cloud.desired(), 5, "since yesterday's rush: nothing scales in");
    cloud.asg("SetDesiredCapacity", "AutoScalingGroupName=web&DesiredCapacity=1");
    cloud.run_until(at(2, 8, 49));
    assert_eq!(cloud.desired(), 1);
    cloud.run_until(at(2, 8, 51));
    assert_eq!(cloud.desired(), 5, "ten minutes ahead");
    cloud.run_until(at(2, 9, 0));
    assert_eq!(cloud.in_service().len(), 5);
    let cause = cloud.activities().into_iter().map(|(_, cause, _)| cause);
    let told = "At T a forecast of the predictive scaling policy rush changing the desired capacity from 1 to 5.";
    assert!(cause.clone().any(|cause| cause.starts_with(told)), "{:#?}", cause.collect::<Vec<_>>());
    cloud.run_until(at(2, 14, 0));
    assert_eq!(cloud.desired(), 5, "it never scales in");
}

/// Of the forecast and a dynamic policy the larger capacity holds: tracking scales in after the rush, but not during it.
#[test]
fn a_dynamic_policy_scales_in_to_the_forecast_and_no_further() {
    let mut cloud = Simulated::with_balanced_group(SIZES);
    rushes(&mut cloud, 2);
    cloud.track_requests("3600");
    predict(&mut cloud, "rush", 3_600, "@Mode=ForecastAndScale");
    // On the third day no rush comes.
    cloud.run_until(at(2, 8, 50));
    assert_eq!(cloud.desired(), 1, "tracking has scaled in after the second");
    cloud.run_until(at(2, 11, 50));
    assert_eq!(cloud.desired(), 5, "expected, although nobody comes");
    cloud.run_until(at(2, 14, 0));
    assert_eq!(cloud.desired(), 1);
}

#[test]
fn the_maximum_is_honoured_or_raised_for_good() {
    for (behaviour, desired, max) in
        [("", 4, 4), ("@MaxCapacityBreachBehavior=IncreaseMaxCapacity@MaxCapacityBuffer=10", 5, 6)]
    {
        let mut cloud = Simulated::with_balanced_group("&MinSize=1&MaxSize=4&DesiredCapacity=1");
        rushes(&mut cloud, 2);
        predict(&mut cloud, "rush", 3_600, &format!("@Mode=ForecastAndScale{behaviour}"));
        cloud.run_until(at(1, 14, 0));
        assert_eq!((cloud.desired(), cloud.group().settings.max), (desired, max), "{behaviour}");
    }
}

#[test]
fn of_two_policies_the_larger_wins_and_none_acts_while_scheduled_actions_are_suspended() {
    let mut cloud = Simulated::with_balanced_group(SIZES);
    rushes(&mut cloud, 2);
    predict(&mut cloud, "careful", 1_800, "@Mode=ForecastAndScale");
    predict(&mut cloud, "plain", 3_600, "@Mode=ForecastAndScale");
    let mut suspended = cloud.clone();
    suspended.asg("SuspendProcesses", "AutoScalingGroupName=web&ScalingProcesses.member.1=ScheduledActions");
    cloud.run_until(at(1, 9, 0));
    suspended.run_until(at(1, 9, 0));
    assert_eq!((cloud.desired(), suspended.desired()), (9, 1), "250 requests for 30 each are nine");
}

/// Metrics of the user's own, related to each other by what was seen of them.
#[test]
fn customized_metrics_are_forecast_too() {
    let mut cloud = Simulated::with_balanced_group(SIZES);
    rushes(&mut cloud, 2);
    for (name, what) in [("Rate", Gauged::Rate), ("Each", Gauged::RatePerInstance)] {
        let gauge = Gauge { namespace: "App".to_owned(), name: name.to_owned(), dimensions: Vec::new(), what };
        cloud.gauges.push(gauge);
    }
    let specification = "PredictiveScalingConfiguration.MetricSpecifications.member.1";
    let metric = |kind: &str, name: &str, stat: &str| {
        let query = format!("{specification}.Customized{kind}MetricSpecification.MetricDataQueries.member.1");
        format!(
            "&{query}.Id=m&{query}.MetricStat.Metric.Namespace=App&{query}.MetricStat.Metric.MetricName={name}\
             &{query}.MetricStat.Stat={stat}"
        )
    };
    let form = |load: String| {
        format!(
            "AutoScalingGroupName=web&PolicyName=own&PolicyType=PredictiveScaling&{specification}.TargetValue=60{}{load}\
             &PredictiveScalingConfiguration.Mode=ForecastAndScale",
            metric("Scaling", "Each", "Average")
        )
    };
    cloud.asg("PutScalingPolicy", &form(metric("Load", "Rate", "Sum")));
    let wrong = cloud.try_asg("PutScalingPolicy", &form(metric("Load", "Rate", "Middle"))).unwrap_err();
    assert_eq!(wrong.code, "ValidationError");
    cloud.asg("EnableMetricsCollection", "AutoScalingGroupName=web&Granularity=1Minute");
    cloud.run_until(at(1, 9, 0));
    assert_eq!(cloud.desired(), 5);
    let form = "Namespace=AWS%2FAutoScaling&MetricName=PredictiveScalingCapacityForecast&Statistics.member.1=Average&Period=3600\
                &Dimensions.member.1.Name=AutoScalingGroupName&Dimensions.member.1.Value=web\
                &Dimensions.member.2.Name=PolicyName&Dimensions.member.2.Value=own\
                &Dimensions.member.3.Name=PairIndex&Dimensions.member.3.Value=0\
                &StartTime=2026-01-02T08%3A00%3A00Z&EndTime=2026-01-02T10%3A00%3A00Z";
    let told = cloud.cloudwatch("GetMetricStatistics", form).maps("Datapoints");
    let told: Vec<f64> = told.iter().map(|it| it.float("Average").unwrap().unwrap()).collect();
    assert_eq!(told, [1.0, 5.0]);
}
