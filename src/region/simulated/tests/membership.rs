//! Instances in and out of a group: health, tags, schedules.

use crate::region::simulated::Simulated;

const SIZES: &str = "&MinSize=1&MaxSize=4&DesiredCapacity=2";

fn suspend(cloud: &mut Simulated, operation: &str, process: &str) {
    cloud.asg(operation, &format!("AutoScalingGroupName=web&ScalingProcesses.member.1={process}"));
}

#[test]
fn nothing_is_replaced_while_health_checks_are_suspended() {
    let mut cloud = Simulated::with_group(SIZES);
    suspend(&mut cloud, "SuspendProcesses", "HealthCheck");
    let victim = cloud.in_service()[0].clone();
    cloud.ec2("TerminateInstances", &format!("InstanceId.1={victim}"));
    cloud.run(3600);
    assert_eq!(cloud.activities().len(), 2, "{:?}", cloud.activities());
    assert!(cloud.in_service().contains(&victim), "AWS goes on showing it");
    suspend(&mut cloud, "ResumeProcesses", "HealthCheck");
    cloud.run(60);
    assert!(!cloud.in_service().contains(&victim));
    assert_eq!(cloud.in_service().len(), 2);
}

#[test]
fn an_unhealthy_instance_is_marked_but_stays_while_replacing_is_suspended() {
    let mut cloud = Simulated::with_group(SIZES);
    suspend(&mut cloud, "SuspendProcesses", "ReplaceUnhealthy");
    let victim = cloud.in_service()[0].clone();
    cloud.ec2("TerminateInstances", &format!("InstanceId.1={victim}"));
    cloud.run(600);
    let shown = cloud.asg("DescribeAutoScalingInstances", &format!("InstanceIds.member.1={victim}"));
    assert_eq!(shown.maps("AutoScalingInstances")[0].text("HealthStatus"), Some("UNHEALTHY"));
    suspend(&mut cloud, "ResumeProcesses", "ReplaceUnhealthy");
    cloud.run(60);
    assert_eq!(cloud.in_service().len(), 2);
    assert!(!cloud.in_service().contains(&victim));
}

/// AWS waits a few minutes for status checks to pass again; what does not run is replaced at once.
#[test]
fn an_impaired_instance_has_minutes_to_recover() {
    let mut cloud = Simulated::with_group(SIZES);
    let ids = cloud.in_service();
    cloud.crash(&ids[0]);
    cloud.run(170);
    assert_eq!(cloud.in_service(), ids, "its status checks fail");
    cloud.run(60);
    assert!(!cloud.in_service().contains(&ids[0]));
    assert_eq!(cloud.in_service().len(), 2);
    assert_eq!(
        cloud.activities()[2].1,
        "At T an instance was taken out of service in response to an EC2 instance status checks failure."
    );

    let ids = cloud.in_service();
    cloud.crash(&ids[0]);
    cloud.run(60);
    cloud.ec2("RebootInstances", &format!("InstanceId.1={}", ids[0]));
    cloud.run(600);
    assert_eq!(cloud.in_service(), ids, "it recovered");
}

#[test]
fn broken_applications_are_replaced_by_their_target_groups_word() {
    let mut cloud = Simulated::with_balanced_group(&format!("{SIZES}&HealthCheckType=ELB&HealthCheckGracePeriod=60"));
    let victim = cloud.in_service()[0].clone();
    cloud.break_application(&victim);
    cloud.run(600);
    assert!(!cloud.in_service().contains(&victim));
    assert_eq!(cloud.in_service().len(), 2);
    assert_eq!(
        cloud.activities()[2].1,
        "At T an instance was taken out of service in response to an ELB system health check failure."
    );
}

#[test]
fn tags_follow_an_instance_into_a_group_and_out_of_it() {
    let mut cloud = Simulated::with_group(
        "&MinSize=1&MaxSize=4&DesiredCapacity=2&Tags.member.1.Key=stack&Tags.member.1.Value=s\
         &Tags.member.1.PropagateAtLaunch=true&Tags.member.2.Key=own&Tags.member.2.Value=o&Tags.member.2.PropagateAtLaunch=false",
    );
    let tags = |cloud: &Simulated, id: &str| -> Vec<String> {
        let facts = cloud.world.services.ec2.instance_facts(id).unwrap();
        let own = facts.tags.iter().filter(|(key, _)| !key.starts_with("aws:ec2launchtemplate:"));
        own.map(|(key, value)| format!("{key}={value}")).collect()
    };
    let id = cloud.in_service()[0].clone();
    assert_eq!(tags(&cloud, &id), ["aws:autoscaling:groupName=web", "stack=s"]);
    let form = format!("AutoScalingGroupName=web&InstanceIds.member.1={id}");
    cloud.asg("DetachInstances", &format!("{form}&ShouldDecrementDesiredCapacity=true"));
    cloud.run(60);
    assert_eq!(tags(&cloud, &id), ["stack=s"]);
    let subnet = cloud.world.services.ec2.instance_facts(&id).unwrap().subnet;
    let run = cloud
        .ec2("RunInstances", &format!("LaunchTemplate.LaunchTemplateName=web&SubnetId={subnet}&MinCount=1&MaxCount=1"));
    let fresh = run.maps("instancesSet")[0].text("instanceId").unwrap().to_owned();
    cloud.run(60);
    cloud.asg("AttachInstances", &format!("AutoScalingGroupName=web&InstanceIds.member.1={fresh}"));
    assert_eq!(tags(&cloud, &fresh), ["aws:autoscaling:groupName=web", "stack=s"]);
}

#[test]
fn a_recurring_action_is_shown_until_its_end_time_and_then_gone() {
    let mut cloud = Simulated::with_group(SIZES);
    let form = "AutoScalingGroupName=web&ScheduledActionName=night&Recurrence=0+2+*+*+*&MinSize=2&EndTime=2026-01-02T12:00:00Z";
    cloud.asg("PutScheduledUpdateGroupAction", form);
    let count =
        |cloud: &mut Simulated| cloud.asg("DescribeScheduledActions", "").maps("ScheduledUpdateGroupActions").len();
    cloud.run_until("2026-01-02T11:59:00Z".parse().unwrap());
    assert_eq!(count(&mut cloud), 1, "it has run for the last time, and its end has not come");
    cloud.run_until("2026-01-02T12:00:01Z".parse().unwrap());
    assert_eq!(count(&mut cloud), 0);
}

#[test]
fn schedules_that_collide_or_contradict_themselves_are_refused() {
    let mut cloud = Simulated::with_group(SIZES);
    let form = "AutoScalingGroupName=web&ScheduledActionName";
    cloud.asg("PutScheduledUpdateGroupAction", &format!("{form}=a&Recurrence=0+8+*+*+*&MinSize=2"));
    let mut code =
        |more: &str| cloud.try_asg("PutScheduledUpdateGroupAction", &format!("{form}={more}")).unwrap_err().code;
    assert_eq!(code("b&Recurrence=0+8+*+*+*&MinSize=3"), "AlreadyExists");
    assert_eq!(code("b&StartTime=2026-01-01T08:00:00Z&MinSize=3"), "AlreadyExists");
    assert_eq!(code("b&Recurrence=0+9+*+*+*&MinSize=2&DesiredCapacity=0"), "ValidationError");
    assert_eq!(code("b&Recurrence=0+9+*+*+*&MaxSize=1&DesiredCapacity=2"), "ValidationError");
    cloud.asg("PutScheduledUpdateGroupAction", &format!("{form}=a&Recurrence=0+8+*+*+*&MinSize=3"));
}
