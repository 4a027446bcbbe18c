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
