//! What a group does by itself to stay whole: replacement by its maintenance policy, lifetimes, zones, and giving up.

use crate::region::simulated::Simulated;
use crate::region::simulated::setup::escaped;
use crate::region::wire::Params;

fn group(cloud: &mut Simulated) -> Params {
    cloud.asg("DescribeAutoScalingGroups", "").maps("AutoScalingGroups")[0].clone()
}

fn update(cloud: &mut Simulated, more: &str) {
    cloud.asg("UpdateAutoScalingGroup", &format!("AutoScalingGroupName=web{more}"));
}

fn zones(cloud: &Simulated) -> Vec<String> {
    let serving = cloud.group().members.iter().filter(|member| member.is_in_service());
    let mut zones: Vec<String> = serving.map(|member| member.zone.clone()).collect();
    zones.sort();
    zones
}

/// The zones of these subnets, in order.
fn zones_of(cloud: &mut Simulated, subnets: &[String]) -> Vec<String> {
    let all = cloud.ec2("DescribeSubnets", "").maps("subnetSet");
    let ours = all.iter().filter(|it| subnets.iter().any(|subnet| it.text("subnetId") == Some(subnet)));
    let mut zones: Vec<String> = ours.map(|it| it.text("availabilityZone").unwrap().to_owned()).collect();
    zones.sort();
    zones
}

const SIZES: &str = "&MinSize=2&MaxSize=4&DesiredCapacity=2&HealthCheckType=ELB&DefaultInstanceWarmup=30";

/// 100/150 launches the successor first; 50/100 terminates first (user guide, "Instance maintenance policies").
#[test]
fn a_maintenance_policy_says_whether_a_replacement_is_launched_before_or_after() {
    for (min, max, expected) in [(100, 150, (2, 3)), (50, 100, (1, 2))] {
        let mut cloud = Simulated::with_balanced_group(SIZES);
        let policy = "&InstanceMaintenancePolicy";
        update(&mut cloud, &format!("{policy}.MinHealthyPercentage={min}{policy}.MaxHealthyPercentage={max}"));
        let shown = group(&mut cloud).map("InstanceMaintenancePolicy").unwrap();
        assert_eq!(shown.int("MaxHealthyPercentage").unwrap(), Some(max));
        let broken = cloud.in_service()[0].clone();
        cloud.break_application(&broken);
        assert_eq!(cloud.fewest_and_most(900), expected, "{min}/{max}");
        assert!(!cloud.in_service().contains(&broken));
        assert_eq!(cloud.in_service().len(), 2);
        update(&mut cloud, &format!("{policy}.MinHealthyPercentage=-1{policy}.MaxHealthyPercentage=-1"));
        assert!(group(&mut cloud).map("InstanceMaintenancePolicy").is_none());
    }
    let mut cloud = Simulated::with_group("&MinSize=1&MaxSize=1");
    for (min, max) in [(101, 150), (90, 201), (50, 200), (90, 99), (-1, 100)] {
        let policy = "&InstanceMaintenancePolicy";
        let form =
            format!("AutoScalingGroupName=web{policy}.MinHealthyPercentage={min}{policy}.MaxHealthyPercentage={max}");
        assert_eq!(cloud.try_asg("UpdateAutoScalingGroup", &form).unwrap_err().code, "ValidationError", "{min}/{max}");
    }
}

/// The policy is what an instance refresh keeps to where it says nothing else.
#[test]
fn a_refresh_keeps_to_the_maintenance_policy() {
    let mut cloud = Simulated::with_balanced_group(SIZES);
    let policy = "&InstanceMaintenancePolicy";
    update(&mut cloud, &format!("{policy}.MinHealthyPercentage=100{policy}.MaxHealthyPercentage=150"));
    cloud.asg("StartInstanceRefresh", "AutoScalingGroupName=web");
    assert_eq!(cloud.fewest_and_most(1800), (2, 3));
    let refreshes = cloud.asg("DescribeInstanceRefreshes", "AutoScalingGroupName=web").maps("InstanceRefreshes");
    assert_eq!(refreshes[0].text("Status"), Some("Successful"));
}

#[test]
fn an_instance_older_than_its_maximum_lifetime_is_replaced_one_at_a_time() {
    let mut cloud = Simulated::with_group("&MinSize=2&MaxSize=2&MaxInstanceLifetime=86400");
    assert_eq!(group(&mut cloud).int("MaxInstanceLifetime").unwrap(), Some(86_400));
    let before = cloud.in_service();
    cloud.run(85_000);
    assert_eq!(cloud.in_service(), before);
    let (fewest, most) = cloud.fewest_and_most(3_000);
    assert_eq!((fewest, most), (1, 2));
    let after = cloud.in_service();
    assert!(after.len() == 2 && after.iter().all(|id| !before.contains(id)));
    let causes: Vec<String> = cloud.activities().into_iter().map(|(_, cause, _)| cause).collect();
    assert!(causes.iter().any(|it| it.ends_with("in response to the maximum instance lifetime.")), "{causes:?}");
    let short = "AutoScalingGroupName=web&MaxInstanceLifetime=86399";
    assert_eq!(cloud.try_asg("UpdateAutoScalingGroup", short).unwrap_err().code, "ValidationError");
    update(&mut cloud, "&MaxInstanceLifetime=0");
    cloud.run(100_000);
    assert_eq!(cloud.in_service(), after);
}

/// A zone more, or one less: the group launches there first and ends elsewhere afterwards.
#[test]
fn a_group_moves_into_a_new_zone_and_out_of_an_old_one() {
    let mut cloud = Simulated::empty(7);
    let subnets = cloud.subnets();
    let (one, both) = (subnets[0].clone(), subnets[..2].join("%2C"));
    let two = zones_of(&mut cloud, &subnets[..2]);
    let first = zones_of(&mut cloud, &subnets[..1])[0].clone();
    cloud.create_group("&MinSize=2&MaxSize=2");
    cloud.run(120);
    assert_eq!(zones(&cloud), two);
    update(&mut cloud, &format!("&VPCZoneIdentifier={one}"));
    assert_eq!(cloud.fewest_and_most(600), (2, 3), "one above the maximum, and none missing");
    assert_eq!(zones(&cloud), [first.clone(), first.clone()]);
    update(&mut cloud, &format!("&VPCZoneIdentifier={both}"));
    assert_eq!(cloud.fewest_and_most(600), (2, 3));
    assert_eq!(zones(&cloud), two);
    let causes: Vec<String> = cloud.activities().into_iter().map(|(_, cause, _)| cause).collect();
    let balance = "At T an instance was launched to aid in balancing the group's zones.";
    assert_eq!(causes.iter().filter(|cause| *cause == balance).count(), 2, "{causes:#?}");
}

#[test]
fn zones_stay_uneven_while_rebalancing_is_suspended_or_instances_are_protected() {
    let mut cloud = Simulated::empty(7);
    let subnets = cloud.subnets();
    let (one, both) = (subnets[0].clone(), subnets[..2].join("%2C"));
    let two = zones_of(&mut cloud, &subnets[..2]);
    let first = zones_of(&mut cloud, &subnets[..1])[0].clone();
    cloud.create_group("&MinSize=2&MaxSize=4&NewInstancesProtectedFromScaleIn=true");
    cloud.run(120);
    update(&mut cloud, &format!("&VPCZoneIdentifier={one}"));
    cloud.run(600);
    assert_eq!(zones(&cloud), two, "protected");
    cloud.asg("SuspendProcesses", "AutoScalingGroupName=web&ScalingProcesses.member.1=AZRebalance");
    let ids: Vec<String> = cloud.in_service();
    for id in ids {
        let form = format!("AutoScalingGroupName=web&InstanceIds.member.1={id}&ProtectedFromScaleIn=false");
        cloud.asg("SetInstanceProtection", &form);
    }
    cloud.run(600);
    assert_eq!(zones(&cloud), two, "suspended");
    cloud.asg("ResumeProcesses", "AutoScalingGroupName=web");
    cloud.run(600);
    assert_eq!(zones(&cloud), [first.clone(), first.clone()]);
    update(&mut cloud, &format!("&VPCZoneIdentifier={both}"));
}

/// "Administrative suspension": launches that fail for a day are not tried any more, until somebody resumes them.
#[test]
fn a_group_that_launches_nothing_for_a_day_is_suspended() {
    let mut cloud = Simulated::with_group("&MinSize=1&MaxSize=2&DesiredCapacity=1");
    cloud.ec2("CreateKeyPair", "KeyName=lab&KeyType=ed25519");
    cloud.ec2("CreateLaunchTemplateVersion", "LaunchTemplateName=web&SourceVersion=1&LaunchTemplateData.KeyName=lab");
    cloud.ec2("ModifyLaunchTemplate", "LaunchTemplateName=web&SetDefaultVersion=2");
    cloud.ec2("DeleteKeyPair", "KeyName=lab");
    cloud.asg("SetDesiredCapacity", "AutoScalingGroupName=web&DesiredCapacity=2");
    cloud.run(86_000);
    assert_eq!(group(&mut cloud).maps("SuspendedProcesses").len(), 0);
    cloud.run(1_200);
    let suspended = group(&mut cloud).maps("SuspendedProcesses");
    assert_eq!(suspended[0].text("ProcessName"), Some("Launch"));
    assert!(suspended[0].text("SuspensionReason").unwrap().starts_with("Administratively suspended at 2026-01-02"));
    let tries = cloud.activities().len();
    cloud.run(3_600);
    assert_eq!(cloud.activities().len(), tries, "it has given up");
    cloud.ec2("CreateKeyPair", "KeyName=lab&KeyType=ed25519");
    cloud.asg("ResumeProcesses", "AutoScalingGroupName=web&ScalingProcesses.member.1=Launch");
    cloud.run(120);
    assert_eq!(cloud.in_service().len(), 2);
}

/// What subscribers would get is kept, in AWS's words.
#[test]
fn topics_hear_of_launches_terminations_and_failures_and_hooks_of_what_waits() {
    let mut cloud = Simulated::with_group("&MinSize=0&MaxSize=2&DesiredCapacity=1");
    let topic = "arn:aws:sns:us-east-1:000000000000:scaling";
    let mut form = format!("AutoScalingGroupName=web&TopicARN={}", escaped(topic));
    for (number, kind) in (1..).zip(["LAUNCH", "LAUNCH_ERROR", "TERMINATE"]) {
        form += &format!("&NotificationTypes.member.{number}=autoscaling%3AEC2_INSTANCE_{kind}");
    }
    cloud.asg("PutNotificationConfiguration", &form);
    let listed = cloud.asg("DescribeNotificationConfigurations", "AutoScalingGroupNames.member.1=web");
    assert_eq!(listed.maps("NotificationConfigurations").len(), 3);
    let types = cloud.asg("DescribeAutoScalingNotificationTypes", "").texts("AutoScalingNotificationTypes").len();
    assert_eq!(types, 5);
    let queue = "arn:aws:sqs:us-east-1:000000000000:waiting";
    cloud.asg(
        "PutLifecycleHook",
        &format!(
            "AutoScalingGroupName=web&LifecycleHookName=install&HeartbeatTimeout=60&DefaultResult=CONTINUE\
             &LifecycleTransition=autoscaling%3AEC2_INSTANCE_LAUNCHING&NotificationMetadata=blue\
             &NotificationTargetARN={}&RoleARN=arn%3Aaws%3Aiam%3A%3A000000000000%3Arole%2Fhooks",
            escaped(queue)
        ),
    );
    cloud.asg("SetDesiredCapacity", "AutoScalingGroupName=web&DesiredCapacity=2");
    cloud.run(200);
    cloud.asg("SetDesiredCapacity", "AutoScalingGroupName=web&DesiredCapacity=0");
    cloud.run(120);
    let sent: Vec<(String, serde_json::Value)> = cloud
        .world
        .services
        .autoscaling
        .sent
        .iter()
        .map(|sent| (sent.target.clone(), serde_json::from_str(&sent.message).unwrap()))
        .collect();
    let events: Vec<(&str, &str)> = sent
        .iter()
        .map(|(target, it)| {
            let what = it.get("Event").or(it.get("LifecycleTransition")).unwrap().as_str().unwrap();
            (target.rsplit_once(':').unwrap().1, what.rsplit_once(':').unwrap().1)
        })
        .collect();
    assert_eq!(
        events,
        [
            ("scaling", "TEST_NOTIFICATION"),
            ("waiting", "TEST_NOTIFICATION"),
            ("waiting", "EC2_INSTANCE_LAUNCHING"),
            ("scaling", "EC2_INSTANCE_LAUNCH"),
            ("scaling", "EC2_INSTANCE_TERMINATE"),
            ("scaling", "EC2_INSTANCE_TERMINATE"),
        ]
    );
    let (waiting, launched) = (&sent[2].1, &sent[3].1);
    assert_eq!((&waiting["NotificationMetadata"], &waiting["LifecycleHookName"]), (&"blue".into(), &"install".into()));
    assert_eq!(waiting["EC2InstanceId"], launched["EC2InstanceId"]);
    assert_eq!((&launched["StatusCode"], &launched["Progress"]), (&"Successful".into(), &100.into()));
    assert!(launched["Cause"].as_str().unwrap().contains("a user request explicitly set group desired capacity"));
    assert!(launched["Details"]["Availability Zone"].as_str().unwrap().starts_with("us-east-1"));
    cloud.asg("DeleteNotificationConfiguration", &format!("AutoScalingGroupName=web&TopicARN={}", escaped(topic)));
    let listed = cloud.asg("DescribeNotificationConfigurations", "");
    assert_eq!(listed.maps("NotificationConfigurations").len(), 0);
}

/// "If you suspend Terminate, your group can grow up to ten percent larger than its maximum size, because this is allowed
/// temporarily during rebalancing" (user guide, "Suspend and resume processes").
#[test]
fn a_group_that_may_not_terminate_stays_one_too_large_after_rebalancing() {
    let mut cloud = Simulated::empty(7);
    let subnets = cloud.subnets();
    let one = subnets[0].clone();
    let first = zones_of(&mut cloud, &subnets[..1])[0].clone();
    cloud.create_group("&MinSize=2&MaxSize=2");
    cloud.run(120);
    cloud.asg("SuspendProcesses", "AutoScalingGroupName=web&ScalingProcesses.member.1=Terminate");
    update(&mut cloud, &format!("&VPCZoneIdentifier={one}"));
    assert_eq!(cloud.fewest_and_most(1_200), (2, 3));
    assert_eq!(cloud.in_service().len(), 3);
    cloud.asg("ResumeProcesses", "AutoScalingGroupName=web");
    cloud.run(600);
    assert_eq!(zones(&cloud), [first.clone(), first.clone()]);
}

/// What was launched while AddToLoadBalancer was suspended is registered by hand: resuming does not do it.
#[test]
fn instances_launched_beside_the_load_balancer_stay_beside_it() {
    let mut cloud = Simulated::with_balanced_group("&MinSize=1&MaxSize=2&DesiredCapacity=1");
    cloud.asg("SuspendProcesses", "AutoScalingGroupName=web&ScalingProcesses.member.1=AddToLoadBalancer");
    cloud.asg("SetDesiredCapacity", "AutoScalingGroupName=web&DesiredCapacity=2");
    cloud.run(120);
    cloud.asg("ResumeProcesses", "AutoScalingGroupName=web");
    cloud.run(120);
    assert_eq!(cloud.in_service().len(), 2);
    let targets = cloud.world.services.elbv2.routing().target_groups[0].targets.len();
    assert_eq!(targets, 1);
}
