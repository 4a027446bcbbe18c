//! Between CloudWatch and Auto Scaling: who calls whom, how often, and what the history says of it.

use crate::region::delays::Delays;
use crate::region::simulated::Simulated;
use crate::region::simulated::setup::{escaped, tracking_form};
use crate::stack::local::{Local, Profile};

const SIZES: &str = "&MinSize=1&MaxSize=10&DesiredCapacity=2&DefaultInstanceWarmup=60";
const CPU: &str = "PredefinedMetricSpecification.PredefinedMetricType=ASGAverageCPUUtilization";

#[test]
fn a_policy_whose_alarm_cloudwatch_refuses_is_refused_itself_and_changes_nothing() {
    let mut cloud = Simulated::with_group(SIZES);
    cloud.track("cpu", "50", CPU);
    let metrics = "TargetTrackingConfiguration.CustomizedMetricSpecification.Metrics";
    let broken = format!(
        "CustomizedMetricSpecification.Metrics.member.1.Id=e1&{metrics}.member.1.Expression=m1+%2F&{metrics}.member.1.ReturnData=true"
    );
    let error = cloud.try_asg("PutScalingPolicy", &tracking_form("cpu", "60", &broken)).unwrap_err();
    assert_eq!(error.code, "ValidationError", "{error:?}");
    let unknown = "CustomizedMetricSpecification.Namespace=App\
         &TargetTrackingConfiguration.CustomizedMetricSpecification.MetricName=Rate\
         &TargetTrackingConfiguration.CustomizedMetricSpecification.Statistic=Middle";
    cloud.try_asg("PutScalingPolicy", &tracking_form("other", "60", unknown)).unwrap_err();

    let policies = cloud.asg("DescribePolicies", "AutoScalingGroupName=web").maps("ScalingPolicies");
    assert_eq!(policies.len(), 1);
    let answered: Vec<String> =
        policies[0].maps("Alarms").iter().map(|alarm| alarm.text("AlarmName").unwrap().to_owned()).collect();
    let alarms = cloud.cloudwatch("DescribeAlarms", "").maps("MetricAlarms");
    let there: Vec<&str> = alarms.iter().map(|alarm| alarm.text("AlarmName").unwrap()).collect();
    assert_eq!(answered, there, "every alarm that is answered is there");
    assert_eq!(alarms[0].float("Threshold").unwrap(), Some(50.0), "as before");
}

#[test]
fn an_action_without_a_matching_step_is_recorded_as_failed() {
    let mut cloud = Simulated::with_group(SIZES);
    let out = cloud.step("out", "ChangeInCapacity", &[(Some(20), None, 1)], "");
    cloud.cpu_alarm("busy", "GreaterThanThreshold", 50, 1, &out);
    cloud.load_now(130.0);
    cloud.run(300);
    assert_eq!(cloud.desired(), 2, "65.35 % is fifteen above the threshold, the step begins at twenty");
    let history = cloud.alarm_history("busy");
    let failed =
        format!("Failed to execute action {out}. Received error: \"No step adjustment found for metric value [65.35");
    assert!(history.last().unwrap().starts_with(&failed), "{history:?}");
    assert!(history.last().unwrap().ends_with("] and breach threshold 50.0\""), "{history:?}");
    assert!(!history.contains(&format!("Successfully executed action {out}")), "{history:?}");
    cloud.load_now(10.0);
    cloud.run(120);
    cloud.load_now(170.0);
    cloud.run(120);
    assert_eq!(cloud.desired(), 3);
    let history = cloud.alarm_history("busy");
    assert_eq!(history.last().unwrap(), &format!("Successfully executed action {out}"));
}

#[test]
fn policies_act_on_ok_and_on_insufficient_data_where_an_alarm_says_so() {
    let mut cloud = Simulated::with_group(SIZES);
    let form = "AutoScalingGroupName=web&AdjustmentType=ExactCapacity&Cooldown=0";
    let calm = cloud.asg("PutScalingPolicy", &format!("{form}&PolicyName=calm&ScalingAdjustment=1"));
    let blind = cloud.asg("PutScalingPolicy", &format!("{form}&PolicyName=blind&ScalingAdjustment=5"));
    let form = format!(
        "AlarmName=queue&Namespace=App&MetricName=Queue&Statistic=Sum&Period=60&EvaluationPeriods=1&Threshold=10\
         &ComparisonOperator=GreaterThanThreshold&OKActions.member.1={}&InsufficientDataActions.member.1={}",
        escaped(calm.text("PolicyARN").unwrap()),
        escaped(blind.text("PolicyARN").unwrap()),
    );
    cloud.cloudwatch("PutMetricAlarm", &form);
    cloud.cloudwatch("PutMetricData", "Namespace=App&MetricData.member.1.MetricName=Queue&MetricData.member.1.Value=1");
    cloud.run(120);
    assert_eq!(cloud.desired(), 1, "OK");
    cloud.run(600);
    assert_eq!(cloud.desired(), 5, "no data any more");
    let causes: Vec<String> = cloud.activities().into_iter().map(|(_, cause, _)| cause).collect();
    assert!(causes.iter().any(|cause| cause.contains("a monitor alarm queue in state OK triggered policy calm")));
}

/// The user guide: deleting a policy takes its action away from alarms, which stay; deleting a group takes alarms, too, that
/// are left without an action.
#[test]
fn deleted_policies_leave_no_action_and_a_deleted_group_no_idle_alarm() {
    let mut cloud = Simulated::with_group(SIZES);
    let out = cloud.step("out", "ChangeInCapacity", &[(Some(0), None, 1)], "");
    let inward = cloud.step("in", "ChangeInCapacity", &[(None, Some(0), -1)], "");
    cloud.cpu_alarm("busy", "GreaterThanThreshold", 70, 1, &out);
    cloud.cpu_alarm("idle", "LessThanThreshold", 5, 100, &inward);
    let named = |cloud: &mut Simulated| -> Vec<String> {
        let policies = cloud.asg("DescribePolicies", "AutoScalingGroupName=web").maps("ScalingPolicies");
        let alarms = policies.iter().flat_map(|policy| policy.maps("Alarms"));
        alarms.map(|alarm| alarm.text("AlarmName").unwrap().to_owned()).collect()
    };
    assert_eq!(named(&mut cloud), ["idle", "busy"], "step policies name the alarms that call them");
    cloud.asg("DeletePolicy", "AutoScalingGroupName=web&PolicyName=out");
    let alarms = |cloud: &mut Simulated| -> Vec<(String, usize)> {
        let alarms = cloud.cloudwatch("DescribeAlarms", "").maps("MetricAlarms");
        alarms.iter().map(|it| (it.text("AlarmName").unwrap().to_owned(), it.list("AlarmActions").len())).collect()
    };
    assert_eq!(alarms(&mut cloud), [("busy".to_owned(), 0), ("idle".to_owned(), 1)]);
    cloud.asg("DeleteAutoScalingGroup", "AutoScalingGroupName=web&ForceDelete=true");
    assert_eq!(alarms(&mut cloud), [("busy".to_owned(), 0)], "it had lost its action before");
}

#[test]
fn group_metrics_have_one_sample_a_minute() {
    let mut cloud = Simulated::with_group(SIZES);
    cloud.asg("EnableMetricsCollection", "AutoScalingGroupName=web&Granularity=1Minute");
    cloud.run(600);
    let form = "Namespace=AWS%2FAutoScaling&MetricName=GroupDesiredCapacity&Period=300&Statistics.member.1=Sum\
                &Statistics.member.2=SampleCount&Dimensions.member.1.Name=AutoScalingGroupName&Dimensions.member.1.Value=web";
    let window = "&StartTime=2026-01-01T00:11:00Z&EndTime=2026-01-01T00:16:00Z";
    let points = cloud.cloudwatch("GetMetricStatistics", &format!("{form}{window}")).maps("Datapoints");
    assert_eq!(points.len(), 1);
    assert_eq!((points[0].float("SampleCount").unwrap(), points[0].float("Sum").unwrap()), (Some(5.0), Some(10.0)));
}

/// A percentile needs 10/(1-p) samples from the median on, and 10/p below it, before an alarm that ignores low counts may
/// change (user guide, "Percentile-based alarms and low data samples"): 20 for p50, 1,000 for p99, 100 for p10.
#[test]
fn a_percentile_of_few_samples_is_ignored_where_the_alarm_says_so() {
    for (percentile, enough) in [("p50", 20), ("p99", 1_000), ("p10", 100)] {
        for (samples, low, state) in
            [(enough - 1, "ignore", "INSUFFICIENT_DATA"), (enough, "ignore", "ALARM"), (1, "evaluate", "ALARM")]
        {
            let mut cloud = Simulated::empty(7);
            cloud.cloudwatch(
                "PutMetricAlarm",
                &format!(
                    "AlarmName=slow&Namespace=Lab&MetricName=Latency&ExtendedStatistic={percentile}&Period=60\
                     &EvaluationPeriods=1&ComparisonOperator=GreaterThanThreshold&Threshold=1\
                     &EvaluateLowSampleCountPercentile={low}"
                ),
            );
            let datum = "MetricData.member.1";
            let form = format!(
                "Namespace=Lab&{datum}.MetricName=Latency&{datum}.Values.member.1=2&{datum}.Counts.member.1={samples}"
            );
            cloud.cloudwatch("PutMetricData", &form);
            cloud.run(90);
            let alarms = cloud.cloudwatch("DescribeAlarms", "").maps("MetricAlarms");
            assert_eq!(alarms[0].text("StateValue"), Some(state), "{percentile} of {samples}");
        }
    }
}

/// With AWS's delays, an instance without detailed monitoring has a datapoint each five minutes, of five samples.
#[test]
fn basic_monitoring_tells_five_minutes_at_once() {
    for (detailed, points, samples) in [(false, 2, 5.0), (true, 10, 1.0)] {
        let mut cloud = Simulated::empty(7);
        let local = Local { delays: Profile::Aws, ..Local::default() };
        cloud.world = cloud.world.with_delays(Delays::of(local));
        let data = format!("SourceVersion=1&LaunchTemplateData.Monitoring.Enabled={detailed}");
        cloud.ec2("CreateLaunchTemplateVersion", &format!("LaunchTemplateName=web&{data}"));
        cloud.ec2("ModifyLaunchTemplate", "LaunchTemplateName=web&SetDefaultVersion=2");
        cloud.create_group("&MinSize=1&MaxSize=1");
        cloud.load_now(10.0);
        cloud.run(1_800);
        let form = "Namespace=AWS%2FEC2&MetricName=CPUUtilization&Dimensions.member.1.Name=AutoScalingGroupName\
                    &Dimensions.member.1.Value=web&Period=60&Statistics.member.1=SampleCount\
                    &StartTime=2026-01-01T00:10:00Z&EndTime=2026-01-01T00:20:00Z";
        let found = cloud.cloudwatch("GetMetricStatistics", form).maps("Datapoints");
        let counts: Vec<f64> = found.iter().map(|it| it.float("SampleCount").unwrap().unwrap()).collect();
        assert_eq!(counts, vec![samples; points], "detailed: {detailed}");
    }
}

/// "Most AWS services send metrics to CloudWatch every minute" ("CloudWatch concepts", resolution), and what they send is there
/// to read when alarms see it, not in the minute that it is about. What users put is there at once.
#[test]
fn with_awss_delays_a_minute_can_be_read_when_it_is_published() {
    for (profile, newest) in [(Profile::Aws, "2026-01-01T00:28:00Z"), (Profile::Quick, "2026-01-01T00:29:00Z")] {
        let mut cloud = Simulated::empty(7);
        cloud.world = cloud.world.with_delays(Delays::of(Local { delays: profile, ..Local::default() }));
        let data = "SourceVersion=1&LaunchTemplateData.Monitoring.Enabled=true";
        cloud.ec2("CreateLaunchTemplateVersion", &format!("LaunchTemplateName=web&{data}"));
        cloud.ec2("ModifyLaunchTemplate", "LaunchTemplateName=web&SetDefaultVersion=2");
        cloud.create_group("&MinSize=1&MaxSize=1");
        cloud.load_now(10.0);
        cloud.run_until("2026-01-01T00:30:50Z".parse().unwrap());
        let datum = "MetricData.member.1.MetricName=Depth&MetricData.member.1.Value=3";
        cloud.cloudwatch("PutMetricData", &format!("Namespace=Mine&{datum}"));
        let group = "&Dimensions.member.1.Name=AutoScalingGroupName&Dimensions.member.1.Value=web";
        for (metric, dimensions, newest) in [
            ("Namespace=AWS%2FEC2&MetricName=CPUUtilization", group, newest),
            ("Namespace=Mine&MetricName=Depth", "", "2026-01-01T00:30:00Z"),
        ] {
            let range = "Period=60&Statistics.member.1=Sum&StartTime=2026-01-01T00:10:00Z&EndTime=2026-01-01T00:40:00Z";
            let found = cloud.cloudwatch("GetMetricStatistics", &format!("{metric}{dimensions}&{range}"));
            let points = found.maps("Datapoints");
            let times: Vec<_> = points.iter().map(|it| it.time("Timestamp").unwrap().unwrap()).collect();
            assert_eq!(times.iter().max(), Some(&newest.parse().unwrap()), "{profile:?} {metric}: {times:?}");
        }
    }
}
