//! Numbers that AWS's guides give as examples or bounds, played on the whole region.

use crate::region::simulated::Simulated;

fn update(cloud: &mut Simulated, more: &str) {
    cloud.asg("UpdateAutoScalingGroup", &format!("AutoScalingGroupName=web{more}"));
}

/// "It can temporarily exceed the specified maximum capacity of a group by a 10 percent margin (or by a 1-instance margin,
/// whichever is greater) during a rebalancing activity" (user guide, "Rebalancing activities").
#[test]
fn a_rebalancing_exceeds_the_maximum_by_a_tenth_or_by_one() {
    for (size, most) in [(2, 3), (10, 11), (30, 33)] {
        let mut cloud = Simulated::empty(7);
        let subnets = cloud.subnets();
        cloud.create_group(&format!("&MinSize={size}&MaxSize={size}"));
        update(&mut cloud, &format!("&VPCZoneIdentifier={}", subnets[0]));
        cloud.run(600);
        update(&mut cloud, &format!("&VPCZoneIdentifier={}", subnets[..2].join("%2C")));
        let size = usize::try_from(size).unwrap();
        assert_eq!(cloud.fewest_and_most(1_800), (size, most), "of {size}");
        assert_eq!(cloud.in_service().len(), size);
    }
}

/// "A minimum healthy percentage of 100 percent replaces one instance at a time; 0 percent replaces all at once" (user
/// guide, "How an instance refresh works").
#[test]
fn a_refresh_replaces_one_at_a_time_or_all_at_once() {
    for (min_healthy, fewest) in [(100, 3), (0, 0), (50, 2), (90, 3)] {
        let mut cloud = Simulated::with_group("&MinSize=4&MaxSize=4&DesiredCapacity=4");
        let preferences = format!("&Preferences.InstanceWarmup=60&Preferences.MinHealthyPercentage={min_healthy}");
        cloud.asg("StartInstanceRefresh", &format!("AutoScalingGroupName=web{preferences}"));
        assert_eq!(cloud.fewest_and_most(900), (fewest, 4), "{min_healthy} %");
        let shown = cloud.asg("DescribeInstanceRefreshes", "AutoScalingGroupName=web").maps("InstanceRefreshes");
        assert_eq!(shown[0].text("Status"), Some("Successful"), "{min_healthy} %");
    }
}

/// "The maximum amount of time that you can keep an instance in a wait state is 48 hours or 100 times the heartbeat timeout,
/// whichever is smaller" (user guide, "Amazon EC2 Auto Scaling lifecycle hooks"): of two hours that is 48 hours.
#[test]
fn no_heartbeat_keeps_an_instance_waiting_for_more_than_two_days() {
    let mut cloud = Simulated::with_group("&MinSize=1&MaxSize=4&DesiredCapacity=1");
    let hook = "AutoScalingGroupName=web&LifecycleHookName=install";
    let transition = "LifecycleTransition=autoscaling%3AEC2_INSTANCE_LAUNCHING";
    cloud.asg("PutLifecycleHook", &format!("{hook}&{transition}&HeartbeatTimeout=7200&DefaultResult=CONTINUE"));
    cloud.asg("SetDesiredCapacity", "AutoScalingGroupName=web&DesiredCapacity=2");
    cloud.run(60);
    let new = cloud.group().members[1].id.clone();
    let waits = |cloud: &Simulated| cloud.group().members[1].lifecycle.name() == "Pending:Wait";
    let mut hours = 0;
    while waits(&cloud) && hours < 100 {
        cloud.asg("RecordLifecycleActionHeartbeat", &format!("{hook}&InstanceId={new}"));
        cloud.run(3_600);
        hours += 1;
    }
    assert_eq!(hours, 48);
    assert_eq!(cloud.in_service().len(), 2);
}

fn suspend(cloud: &mut Simulated, operation: &str, process: &str) {
    cloud.asg(operation, &format!("AutoScalingGroupName=web&ScalingProcesses.member.1={process}"));
}

/// "When you resume AlarmNotification, Amazon EC2 Auto Scaling considers policies with alarm thresholds that are currently in
/// breach" (user guide, "How suspended processes affect other processes").
#[test]
fn an_alarm_that_is_still_in_breach_counts_again_when_notifications_are_resumed() {
    let mut cloud = Simulated::with_group("&MinSize=1&MaxSize=4&DesiredCapacity=1&DefaultInstanceWarmup=60");
    let out = cloud.step("out", "ChangeInCapacity", &[(Some(0), None, 1)], "");
    cloud.cpu_alarm("busy", "GreaterThanThreshold", 70, 1, &out);
    suspend(&mut cloud, "SuspendProcesses", "AlarmNotification");
    cloud.load_now(90.0);
    cloud.run(600);
    assert_eq!((cloud.desired(), cloud.world.services.cloudwatch.is_in_alarm("busy")), (1, true));
    suspend(&mut cloud, "ResumeProcesses", "AlarmNotification");
    cloud.run(60);
    assert_eq!(cloud.desired(), 2);
}

/// "ReplaceUnhealthy continues to terminate unhealthy instances, but does not launch replacements. When you resume the Launch
/// process, Amazon EC2 Auto Scaling immediately replaces any instances that it terminated" (user guide, "How suspended
/// processes affect other processes").
#[test]
fn what_is_unhealthy_goes_while_launches_are_suspended_and_is_replaced_when_they_are_resumed() {
    let mut cloud = Simulated::with_group("&MinSize=1&MaxSize=4&DesiredCapacity=2");
    suspend(&mut cloud, "SuspendProcesses", "Launch");
    let victim = cloud.in_service()[0].clone();
    cloud.asg("SetInstanceHealth", &format!("InstanceId={victim}&HealthStatus=Unhealthy"));
    cloud.run(3_600);
    assert!(!cloud.in_service().contains(&victim));
    assert_eq!((cloud.in_service().len(), cloud.group().members.len(), cloud.desired()), (1, 1, 2));
    suspend(&mut cloud, "ResumeProcesses", "Launch");
    cloud.run(60);
    assert_eq!(cloud.in_service().len(), 2);
}

/// Resumed, only what is still to come of the scheduled actions is considered (user guide, "How suspended processes affect other
/// processes").
#[test]
fn what_was_scheduled_while_schedules_were_suspended_is_not_made_up_for() {
    let mut cloud = Simulated::with_group("&MinSize=1&MaxSize=4&DesiredCapacity=1");
    let form = "AutoScalingGroupName=web&ScheduledActionName";
    cloud
        .asg("PutScheduledUpdateGroupAction", &format!("{form}=once&StartTime=2026-01-01T01:00:00Z&DesiredCapacity=3"));
    cloud.asg("PutScheduledUpdateGroupAction", &format!("{form}=daily&Recurrence=0+2+*+*+*&DesiredCapacity=4"));
    suspend(&mut cloud, "SuspendProcesses", "ScheduledActions");
    cloud.run(3 * 3_600);
    suspend(&mut cloud, "ResumeProcesses", "ScheduledActions");
    cloud.run(3_600);
    assert_eq!(cloud.desired(), 1);
    cloud.run(24 * 3_600);
    assert_eq!(cloud.desired(), 4, "the next day's runs");
}

/// "The cooldown period … takes effect starting when the last instance finishes launching or terminating", and a load balancer's
/// drain comes before it (user guide, "Scaling cooldowns").
#[test]
fn a_cooldown_begins_when_the_last_instance_has_drained() {
    let mut cloud = Simulated::with_balanced_group("&MinSize=1&MaxSize=6&DesiredCapacity=4");
    cloud.application.drain_seconds = 60;
    let form = "AutoScalingGroupName=web&PolicyName=in";
    cloud.asg("PutScalingPolicy", &format!("{form}&AdjustmentType=ChangeInCapacity&ScalingAdjustment=-2&Cooldown=100"));
    cloud.asg("ExecutePolicy", form);
    assert_eq!(cloud.desired(), 2);
    let honoured = |cloud: &mut Simulated| {
        let answer = cloud.try_asg("ExecutePolicy", &format!("{form}&HonorCooldown=true"));
        answer.map_err(|error| error.code).map(|_| cloud.desired())
    };
    let busy = Err("ScalingActivityInProgress".to_owned());
    // A minute of draining, five seconds until the instances are gone, and then the cooldown.
    cloud.run(60 + 5 + 99);
    assert_eq!(honoured(&mut cloud), busy);
    cloud.run(1);
    assert_eq!(honoured(&mut cloud), Ok(1));
}
