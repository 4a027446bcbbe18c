//! Lifecycle hooks: what an instance waits for, and what becomes of it.

use crate::region::simulated::Simulated;

const SIZES: &str = "&MinSize=1&MaxSize=4&DesiredCapacity=1";
const LAUNCHING: &str = "autoscaling%3AEC2_INSTANCE_LAUNCHING";
const TERMINATING: &str = "autoscaling%3AEC2_INSTANCE_TERMINATING";

fn put(cloud: &mut Simulated, name: &str, transition: &str, more: &str) {
    let form = format!("AutoScalingGroupName=web&LifecycleHookName={name}&LifecycleTransition={transition}{more}");
    cloud.asg("PutLifecycleHook", &form);
}

fn desire(cloud: &mut Simulated, capacity: u32) {
    cloud.asg("SetDesiredCapacity", &format!("AutoScalingGroupName=web&DesiredCapacity={capacity}"));
}

/// The lifecycle states of the group's instances, and their ids.
fn states(cloud: &mut Simulated) -> Vec<(String, String)> {
    let groups = cloud.asg("DescribeAutoScalingGroups", "").maps("AutoScalingGroups");
    let text = |of: &crate::region::wire::Params, field: &str| of.text(field).unwrap().to_owned();
    groups[0].maps("Instances").iter().map(|it| (text(it, "LifecycleState"), text(it, "InstanceId"))).collect()
}

fn names(cloud: &mut Simulated) -> Vec<String> {
    states(cloud).into_iter().map(|(state, _)| state).collect()
}

fn complete(cloud: &mut Simulated, hook: &str, instance: &str, result: &str) {
    let form = format!(
        "AutoScalingGroupName=web&LifecycleHookName={hook}&InstanceId={instance}&LifecycleActionResult={result}"
    );
    cloud.asg("CompleteLifecycleAction", &form);
}

#[test]
fn a_launch_waits_for_all_its_hooks_and_registers_then() {
    let mut cloud = Simulated::with_balanced_group(SIZES);
    put(&mut cloud, "install", LAUNCHING, "&HeartbeatTimeout=600");
    put(&mut cloud, "warm", LAUNCHING, "&HeartbeatTimeout=600");
    desire(&mut cloud, 2);
    cloud.run(60);
    assert_eq!(names(&mut cloud), ["InService", "Pending:Wait"]);
    assert_eq!(cloud.activities()[1].2, "MidLifecycleAction");
    let new = states(&mut cloud)[1].1.clone();
    complete(&mut cloud, "install", &new, "CONTINUE");
    cloud.run(10);
    assert_eq!(names(&mut cloud), ["InService", "Pending:Wait"], "the other hook has not finished");
    complete(&mut cloud, "warm", &new, "CONTINUE");
    cloud.run(60);
    assert_eq!(names(&mut cloud), ["InService", "InService"]);
    assert_eq!(cloud.activities()[1].2, "Successful");
    let again =
        format!("AutoScalingGroupName=web&LifecycleHookName=warm&InstanceId={new}&LifecycleActionResult=CONTINUE");
    assert_eq!(cloud.try_asg("CompleteLifecycleAction", &again).unwrap_err().code, "ValidationError");
}

/// The default result is ABANDON: the instance is terminated and another one launched.
#[test]
fn a_launch_that_nobody_completes_is_abandoned_and_tried_again() {
    let mut cloud = Simulated::with_group(SIZES);
    put(&mut cloud, "install", LAUNCHING, "&HeartbeatTimeout=300");
    desire(&mut cloud, 2);
    cloud.run(60);
    let first = states(&mut cloud)[1].1.clone();
    cloud.run(300);
    let second = states(&mut cloud)[1].clone();
    assert_eq!(second.0, "Pending:Wait");
    assert_ne!(second.1, first);
    assert_eq!(cloud.activities()[1].2, "Failed");
    complete(&mut cloud, "install", &second.1, "CONTINUE");
    assert_eq!(names(&mut cloud), ["InService", "InService"]);
}

/// Heartbeats prolong an action, but not beyond a hundred times its timeout.
#[test]
fn heartbeats_prolong_an_action_up_to_its_cap() {
    let mut cloud = Simulated::with_group(SIZES);
    put(&mut cloud, "install", LAUNCHING, "&HeartbeatTimeout=30&DefaultResult=CONTINUE");
    desire(&mut cloud, 2);
    cloud.run(21);
    let id = states(&mut cloud)[1].1.clone();
    let mut beats = 0;
    while names(&mut cloud)[1] == "Pending:Wait" {
        let form = format!("AutoScalingGroupName=web&LifecycleHookName=install&InstanceId={id}");
        cloud.asg("RecordLifecycleActionHeartbeat", &form);
        cloud.run(20);
        beats += 1;
    }
    assert_eq!(beats, 150, "3,000 seconds in all");
    assert_eq!(names(&mut cloud), ["InService", "InService"]);
}

/// Out of the target groups first, then the hook, then the end; with either result.
#[test]
fn a_termination_waits_for_its_hook_after_the_drain() {
    for result in ["CONTINUE", "ABANDON"] {
        let mut cloud = Simulated::with_balanced_group("&MinSize=1&MaxSize=4&DesiredCapacity=2");
        put(&mut cloud, "save", TERMINATING, "&HeartbeatTimeout=600");
        put(&mut cloud, "tell", TERMINATING, "&HeartbeatTimeout=600");
        desire(&mut cloud, 1);
        assert!(names(&mut cloud).contains(&"Terminating".to_owned()), "it drains");
        cloud.run(400);
        let waiting = states(&mut cloud).into_iter().find(|(state, _)| state == "Terminating:Wait").unwrap().1;
        complete(&mut cloud, "save", &waiting, result);
        let now = states(&mut cloud).into_iter().find(|(_, id)| *id == waiting).unwrap().0;
        assert_eq!(now, if result == "CONTINUE" { "Terminating:Wait" } else { "Terminating:Proceed" });
        if result == "CONTINUE" {
            complete(&mut cloud, "tell", &waiting, result);
        }
        cloud.run(30);
        assert_eq!(names(&mut cloud), ["InService"]);
    }
}

#[test]
fn hooks_come_with_a_group_are_listed_and_a_forced_deletion_waits_for_none() {
    let mut cloud = Simulated::empty(7);
    let hook = "LifecycleHookSpecificationList.member.1";
    cloud.create_group(&format!(
        "{SIZES}&{hook}.LifecycleHookName=save&{hook}.LifecycleTransition={TERMINATING}&{hook}.HeartbeatTimeout=60"
    ));
    cloud.run(60);
    let hooks = cloud.asg("DescribeLifecycleHooks", "AutoScalingGroupName=web").maps("LifecycleHooks");
    assert_eq!(hooks[0].text("DefaultResult"), Some("ABANDON"));
    assert_eq!(
        (hooks[0].int("HeartbeatTimeout").unwrap(), hooks[0].int("GlobalTimeout").unwrap()),
        (Some(60), Some(6000))
    );
    let types = cloud.asg("DescribeLifecycleHookTypes", "");
    assert_eq!(
        types.texts("LifecycleHookTypes"),
        ["autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"]
    );
    let wrong =
        format!("AutoScalingGroupName=web&LifecycleHookName=x&LifecycleTransition={LAUNCHING}&HeartbeatTimeout=29");
    assert_eq!(cloud.try_asg("PutLifecycleHook", &wrong).unwrap_err().code, "ValidationError");
    cloud.asg("DeleteAutoScalingGroup", "AutoScalingGroupName=web&ForceDelete=true");
    cloud.run(30);
    assert!(cloud.world.services.autoscaling.groups.is_empty());
}

#[test]
fn a_deleted_hook_lets_its_instances_go_on() {
    let mut cloud = Simulated::with_group(SIZES);
    put(&mut cloud, "install", LAUNCHING, "");
    desire(&mut cloud, 2);
    cloud.run(60);
    assert_eq!(names(&mut cloud), ["InService", "Pending:Wait"]);
    cloud.asg("DeleteLifecycleHook", "AutoScalingGroupName=web&LifecycleHookName=install");
    assert_eq!(names(&mut cloud), ["InService", "InService"]);
}
