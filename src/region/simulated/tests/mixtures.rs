//! Several policies in one group: out if any wants it, in only if all agree, and the largest capacity wins.

use crate::region::simulated::Simulated;

const SIZES: &str = "&MinSize=1&MaxSize=20&DesiredCapacity=10&DefaultInstanceWarmup=0";
const CPU: &str = "PredefinedMetricSpecification.PredefinedMetricType=ASGAverageCPUUtilization";

/// Both scale in at the same minute: tracking would take one away (a tenth, carefully), the step five. AWS keeps the
/// larger capacity.
#[test]
fn a_tracking_and_a_step_policy_that_both_scale_in_keep_the_larger_capacity() {
    let mut cloud = Simulated::with_group(SIZES);
    cloud.track("cpu", "50", CPU);
    let inward = cloud.step("in", "ChangeInCapacity", &[(None, Some(0), -5)], "");
    cloud.cpu_alarm("idle", "LessThanThreshold", 35, 15, &inward);
    cloud.load_now(0.0);
    let seen = cloud.capacities(20 * 60);
    assert_eq!(seen.first().map(|(_, desired)| *desired), Some(9), "{seen:?}");
    assert!(seen.windows(2).all(|pair| pair[0].1 - pair[1].1 == 1), "never by both: {seen:?}");
}

/// The other way round: whoever wants more instances gets them, not the sum.
#[test]
fn a_tracking_and_a_step_policy_that_both_scale_out_reach_the_larger_capacity() {
    let mut cloud = Simulated::with_group(SIZES);
    cloud.track("cpu", "50", CPU);
    let out = cloud.step("out", "ChangeInCapacity", &[(Some(0), None, 1)], "");
    cloud.cpu_alarm("busy", "GreaterThanThreshold", 50, 3, &out);
    cloud.load_now(700.0);
    let seen = cloud.capacities(240);
    // 70.3 % on ten: ceil(14.06) = 15 by tracking, 11 by the step.
    assert_eq!(seen.first().map(|(_, desired)| *desired), Some(15), "{seen:?}");
}

/// CPU says in, requests say stay: requests per target lie between their two thresholds.
#[test]
fn two_tracking_policies_scale_in_only_together() {
    let mut cloud = Simulated::with_balanced_group("&MinSize=1&MaxSize=10&DesiredCapacity=4&DefaultInstanceWarmup=0");
    cloud.track("cpu", "50", CPU);
    cloud.track_requests("600");
    cloud.load_now(32.0);
    cloud.run(3600);
    assert_eq!(cloud.desired(), 4, "9 % of CPU, but 480 of 600 requests a minute: above 420");
    cloud.load_now(8.0);
    cloud.run(3600);
    assert_eq!(cloud.desired(), 1, "120 requests a minute: now both agree, minute by minute");
}

/// A schedule raises the minimum; tracking cannot take it away before the schedule does.
#[test]
fn tracking_stays_within_the_bounds_of_a_schedule() {
    let mut cloud = Simulated::with_group("&MinSize=1&MaxSize=10&DesiredCapacity=1&DefaultInstanceWarmup=60");
    cloud.track("cpu", "50", CPU);
    let form = "AutoScalingGroupName=web&ScheduledActionName";
    cloud.asg("PutScheduledUpdateGroupAction", &format!("{form}=open&Recurrence=0+8+*+*+*&MinSize=4"));
    cloud.asg("PutScheduledUpdateGroupAction", &format!("{form}=close&Recurrence=0+18+*+*+*&MinSize=1"));
    cloud.load_now(10.0);
    cloud.run_until("2026-01-01T12:00:00Z".parse().unwrap());
    assert_eq!(cloud.desired(), 4, "idle, and kept by the minimum");
    cloud.load_now(300.0);
    cloud.run(1800);
    assert_eq!(cloud.desired(), 7, "ceil(300 ÷ 50) and the idle percent");
    cloud.load_now(10.0);
    cloud.run_until("2026-01-01T17:59:00Z".parse().unwrap());
    assert_eq!(cloud.desired(), 4);
    cloud.run_until("2026-01-01T20:00:00Z".parse().unwrap());
    assert_eq!((cloud.desired(), cloud.in_service().len()), (1, 1));
}
