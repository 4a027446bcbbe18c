//! What a policy starts from, and what it may do while instances warm up.

use crate::region::simulated::Simulated;
use crate::region::simulated::setup::tracking_form;

const SIZES: &str = "&MinSize=1&MaxSize=10&DesiredCapacity=2&DefaultInstanceWarmup=60";

fn execute(cloud: &mut Simulated, policy: &str, value: i64) {
    let form = format!("AutoScalingGroupName=web&PolicyName={policy}&MetricValue={value}&BreachThreshold=50");
    cloud.asg("ExecutePolicy", &form);
}

/// The guide's example: ten instances, threshold 50; out by 0, 10 and 30 percent, in by 0, 10 and 30.
#[test]
fn the_worked_example_of_the_guide_comes_out_in_a_group() {
    let mut cloud = Simulated::with_group("&MinSize=1&MaxSize=20&DesiredCapacity=10&DefaultInstanceWarmup=60");
    let percent = "PercentChangeInCapacity";
    cloud.step("out", percent, &[(Some(0), Some(10), 0), (Some(10), Some(20), 10), (Some(20), None, 30)], "");
    cloud.step("in", percent, &[(Some(-10), Some(0), 0), (Some(-20), Some(-10), -10), (None, Some(-20), -30)], "");
    let mut seen = Vec::new();
    for (policy, value) in [("out", 60), ("out", 70), ("in", 40), ("in", 30)] {
        execute(&mut cloud, policy, value);
        seen.push(cloud.desired());
        cloud.run(600);
    }
    assert_eq!(seen, [11, 14, 13, 10]);
}

/// 2 → 3, all warm, one killed, a breach while its replacement warms: 4. The replacement is no scale-out under way.
#[test]
fn a_replacement_that_warms_up_is_not_part_of_a_scale_out() {
    let mut cloud = Simulated::with_group(SIZES);
    cloud.step("out", "ChangeInCapacity", &[(Some(0), None, 1)], "");
    execute(&mut cloud, "out", 60);
    assert_eq!(cloud.desired(), 3);
    cloud.run(600);
    let victim = cloud.in_service()[0].clone();
    cloud.ec2("TerminateInstances", &format!("InstanceId.1={victim}"));
    cloud.run(45);
    assert_eq!(cloud.in_service().len(), 3, "replaced, and warming up");
    execute(&mut cloud, "out", 60);
    assert_eq!(cloud.desired(), 4);
}

/// Several breaches within one step are one scale-out, a higher step adds the difference; and what dies while it warms up
/// is still part of it.
#[test]
fn a_scale_out_under_way_is_counted_once_although_an_instance_of_it_dies() {
    let mut cloud = Simulated::with_group(SIZES);
    cloud.step("out", "ChangeInCapacity", &[(Some(0), Some(20), 1), (Some(20), None, 3)], "");
    execute(&mut cloud, "out", 60);
    cloud.run(40);
    execute(&mut cloud, "out", 60);
    assert_eq!(cloud.desired(), 3, "the same step");
    let newest = cloud.in_service().last().unwrap().clone();
    cloud.ec2("TerminateInstances", &format!("InstanceId.1={newest}"));
    cloud.run(20);
    execute(&mut cloud, "out", 60);
    assert_eq!(cloud.desired(), 3, "its replacement is part of the same scale-out");
    execute(&mut cloud, "out", 80);
    assert_eq!(cloud.desired(), 5, "three in all");
    cloud.run(600);
    execute(&mut cloud, "out", 60);
    assert_eq!(cloud.desired(), 6, "all are warm: a new one");
}

/// Whoever else moves the desired capacity ends the scale-out that a policy had begun.
#[test]
fn a_capacity_set_by_hand_is_what_the_next_policy_starts_from() {
    let mut cloud = Simulated::with_group(SIZES);
    cloud.step("out", "ChangeInCapacity", &[(Some(0), None, 1)], "");
    execute(&mut cloud, "out", 60);
    cloud.run(30);
    let spare = cloud.in_service()[0].clone();
    cloud
        .asg("TerminateInstanceInAutoScalingGroup", &format!("InstanceId={spare}&ShouldDecrementDesiredCapacity=true"));
    assert_eq!(cloud.desired(), 2);
    execute(&mut cloud, "out", 60);
    assert_eq!(cloud.desired(), 3);
}

/// An alarm over three minutes at 60, 75 and 90 %: what the policy takes of them is its own choice.
#[test]
fn a_step_policy_aggregates_the_datapoints_that_its_alarm_evaluated() {
    let reached = |aggregation: &str| {
        let mut cloud = Simulated::with_group("&MinSize=1&MaxSize=10&DesiredCapacity=1&DefaultInstanceWarmup=0");
        let steps = [(Some(0), Some(20), 1), (Some(20), Some(35), 3), (Some(35), None, 5)];
        let out = cloud.step("out", "ChangeInCapacity", &steps, &format!("&MetricAggregationType={aggregation}"));
        cloud.cpu_alarm("busy", "GreaterThanThreshold", 50, 3, &out);
        for rate in [60.0, 75.0, 90.0] {
            cloud.load_now(rate);
            cloud.run(60);
        }
        cloud.run(2);
        cloud.desired()
    };
    assert_eq!(["Minimum", "Average", "Maximum"].map(reached), [2, 4, 6]);
}

#[test]
fn a_group_at_zero_is_tracked_out_of_it() {
    let mut cloud = Simulated::with_group("&MinSize=0&MaxSize=10&DesiredCapacity=0&DefaultInstanceWarmup=0");
    cloud.asg(
        "PutScalingPolicy",
        &tracking_form(
            "backlog",
            "20",
            "CustomizedMetricSpecification.Namespace=Jobs\
             &TargetTrackingConfiguration.CustomizedMetricSpecification.MetricName=Backlog\
             &TargetTrackingConfiguration.CustomizedMetricSpecification.Statistic=Average",
        ),
    );
    for _ in 0..5 {
        let data = "Namespace=Jobs&MetricData.member.1.MetricName=Backlog&MetricData.member.1.Value=60";
        cloud.cloudwatch("PutMetricData", data);
        cloud.run(60);
    }
    assert!(cloud.desired() >= 1, "{}", cloud.desired());
    assert!(!cloud.in_service().is_empty());
}

#[test]
fn names_and_steps_that_aws_refuses_are_refused() {
    let mut cloud = Simulated::with_group(SIZES);
    let subnet = cloud.subnets()[0].clone();
    let spaced = format!(
        "AutoScalingGroupName=my+web&MinSize=0&MaxSize=1&VPCZoneIdentifier={subnet}&LaunchTemplate.LaunchTemplateName=web"
    );
    assert_eq!(cloud.try_asg("CreateAutoScalingGroup", &spaced).unwrap_err().code, "ValidationError");
    let unbounded = "AutoScalingGroupName=web&PolicyName=p&PolicyType=StepScaling&AdjustmentType=ChangeInCapacity\
                     &StepAdjustments.member.1.ScalingAdjustment=1";
    assert_eq!(cloud.try_asg("PutScalingPolicy", unbounded).unwrap_err().code, "ValidationError");
}
