//! Warm pools: prepared instances wait beside a group, are drawn on, come back, and go with it.

use crate::region::simulated::Simulated;
use crate::region::wire::Params;

const SIZES: &str = "&MinSize=1&MaxSize=4&DesiredCapacity=1";
const LAUNCHING: &str = "autoscaling%3AEC2_INSTANCE_LAUNCHING";
const TERMINATING: &str = "autoscaling%3AEC2_INSTANCE_TERMINATING";

fn put(cloud: &mut Simulated, more: &str) {
    cloud.asg("PutWarmPool", &format!("AutoScalingGroupName=web{more}"));
}

fn desire(cloud: &mut Simulated, capacity: u32) {
    cloud.asg("SetDesiredCapacity", &format!("AutoScalingGroupName=web&DesiredCapacity={capacity}"));
}

fn pool(cloud: &mut Simulated) -> Params {
    cloud.asg("DescribeWarmPool", "AutoScalingGroupName=web")
}

/// Lifecycle states and ids.
fn listed(instances: &[Params]) -> Vec<(String, String)> {
    let text = |of: &Params, field: &str| of.text(field).unwrap().to_owned();
    instances.iter().map(|it| (text(it, "LifecycleState"), text(it, "InstanceId"))).collect()
}

fn waiting(cloud: &mut Simulated) -> Vec<(String, String)> {
    listed(&pool(cloud).maps("Instances"))
}

fn states(cloud: &mut Simulated) -> Vec<String> {
    waiting(cloud).into_iter().map(|(state, _)| state).collect()
}

fn group(cloud: &mut Simulated) -> Params {
    cloud.asg("DescribeAutoScalingGroups", "").maps("AutoScalingGroups")[0].clone()
}

fn members(cloud: &mut Simulated) -> Vec<(String, String)> {
    listed(&group(cloud).maps("Instances"))
}

fn descriptions(cloud: &Simulated) -> Vec<String> {
    let all = cloud.group().history.newest_first();
    all.map(|it| it.description.rsplit_once(": ").map_or(&*it.description, |(what, _)| what).to_owned()).collect()
}

fn hook(cloud: &mut Simulated, name: &str, transition: &str) {
    let form = format!(
        "AutoScalingGroupName=web&LifecycleHookName={name}&LifecycleTransition={transition}&HeartbeatTimeout=600"
    );
    cloud.asg("PutLifecycleHook", &form);
}

fn complete(cloud: &mut Simulated, hook: &str, instance: &str) {
    let form = format!(
        "AutoScalingGroupName=web&LifecycleHookName={hook}&InstanceId={instance}&LifecycleActionResult=CONTINUE"
    );
    cloud.asg("CompleteLifecycleAction", &form);
}

#[test]
fn a_pool_fills_up_to_the_maximum_and_a_scale_out_starts_what_waits_there() {
    let mut cloud = Simulated::with_group(SIZES);
    put(&mut cloud, "");
    assert_eq!(states(&mut cloud), ["Warmed:Pending"; 3]);
    cloud.run(120);
    assert_eq!(states(&mut cloud), ["Warmed:Stopped"; 3]);
    assert_eq!(group(&mut cloud).int("WarmPoolSize").unwrap(), Some(3));
    assert_eq!(members(&mut cloud).len(), 1, "the pool is not part of the group's capacity");
    assert_eq!(descriptions(&cloud)[0], "Launching a new EC2 instance into warm pool");

    let prepared: Vec<String> = waiting(&mut cloud).into_iter().map(|(_, id)| id).collect();
    desire(&mut cloud, 2);
    assert_eq!(descriptions(&cloud)[0], "Launching a new EC2 instance from warm pool");
    assert_eq!(states(&mut cloud), ["Warmed:Stopped"; 2], "nothing is launched for what has left");
    cloud.run(60);
    let serving = members(&mut cloud);
    assert_eq!(serving.iter().filter(|(state, _)| state == "InService").count(), 2);
    assert!(serving.iter().any(|(_, id)| prepared.contains(id)));
    assert_eq!(states(&mut cloud), ["Warmed:Stopped"; 2]);
}

/// "When the warm pool is depleted, the group launches directly": a cold start beside the warm ones.
#[test]
fn what_the_pool_lacks_is_launched_cold() {
    let mut cloud = Simulated::with_group("&MinSize=1&MaxSize=6&DesiredCapacity=1");
    put(&mut cloud, "&MaxGroupPreparedCapacity=3");
    cloud.run(120);
    assert_eq!(states(&mut cloud), ["Warmed:Stopped"; 2]);
    desire(&mut cloud, 5);
    let begun = descriptions(&cloud);
    assert_eq!(begun[..2], ["Launching a new EC2 instance"; 2]);
    assert_eq!(begun[2..4], ["Launching a new EC2 instance from warm pool"; 2]);
    assert_eq!(states(&mut cloud), [""; 0], "more are prepared than the pool is to hold");
    cloud.run(120);
    assert_eq!(cloud.in_service().len(), 5);
    // As the group shrinks, the pool is filled again.
    desire(&mut cloud, 1);
    cloud.run(120);
    assert_eq!((cloud.in_service().len(), states(&mut cloud).len()), (1, 2));
}

#[test]
fn a_minimum_is_kept_at_the_maximum_and_a_prepared_capacity_of_minus_one_is_none() {
    let mut cloud = Simulated::with_group(SIZES);
    put(&mut cloud, "&MaxGroupPreparedCapacity=2&MinSize=2");
    cloud.run(120);
    assert_eq!(states(&mut cloud).len(), 2);
    desire(&mut cloud, 4);
    cloud.run(180);
    assert_eq!((cloud.in_service().len(), states(&mut cloud).len()), (4, 2));
    put(&mut cloud, "&MaxGroupPreparedCapacity=-1&MinSize=0");
    cloud.run(120);
    assert_eq!(states(&mut cloud), [""; 0], "the pool is as large as the group may still grow");
    let shown = pool(&mut cloud).map("WarmPoolConfiguration").unwrap();
    assert_eq!((shown.int("MinSize").unwrap(), shown.int("MaxGroupPreparedCapacity").unwrap()), (Some(0), None));
    assert_eq!(
        cloud.try_asg("PutWarmPool", "AutoScalingGroupName=web&MinSize=-1").unwrap_err().code,
        "ValidationError"
    );
}

/// Into the pool, and out of it into service.
#[test]
fn launch_hooks_run_twice() {
    let mut cloud = Simulated::with_group("&MinSize=1&MaxSize=2&DesiredCapacity=1");
    hook(&mut cloud, "install", LAUNCHING);
    put(&mut cloud, "");
    cloud.run(60);
    let (state, id) = waiting(&mut cloud)[0].clone();
    assert_eq!(state, "Warmed:Pending:Wait");
    complete(&mut cloud, "install", &id);
    assert_eq!(states(&mut cloud), ["Warmed:Pending:Proceed"]);
    cloud.run(60);
    assert_eq!(states(&mut cloud), ["Warmed:Stopped"]);
    desire(&mut cloud, 2);
    cloud.run(60);
    assert!(members(&mut cloud).contains(&("Pending:Wait".to_owned(), id.clone())));
    complete(&mut cloud, "install", &id);
    assert!(members(&mut cloud).contains(&("InService".to_owned(), id)));
}

/// The group shrinks: with a reuse policy the instance goes back, through its termination hook; without, a new one is
/// launched into the pool.
#[test]
fn an_instance_returns_to_the_pool_only_where_it_is_reused() {
    for reuse in [true, false] {
        let mut cloud = Simulated::with_balanced_group("&MinSize=1&MaxSize=2&DesiredCapacity=2");
        hook(&mut cloud, "save", TERMINATING);
        put(&mut cloud, &format!("&InstanceReusePolicy.ReuseOnScaleIn={reuse}"));
        cloud.run(60);
        assert_eq!(states(&mut cloud), [""; 0]);
        let before: Vec<String> = members(&mut cloud).into_iter().map(|(_, id)| id).collect();
        desire(&mut cloud, 1);
        cloud.run(60);
        let leaving = members(&mut cloud).into_iter().find(|(state, _)| state == "Terminating:Wait").unwrap().1;
        complete(&mut cloud, "save", &leaving);
        cloud.run(120);
        let (state, id) = waiting(&mut cloud)[0].clone();
        assert_eq!((state.as_str(), before.contains(&id)), ("Warmed:Stopped", reuse));
        assert_eq!(waiting(&mut cloud).len(), 1);
        assert_eq!(members(&mut cloud).len(), 1);
        let shown = pool(&mut cloud).map("WarmPoolConfiguration").unwrap();
        assert_eq!(shown.map("InstanceReusePolicy").is_some(), reuse);
        // It comes back into service like any other.
        desire(&mut cloud, 2);
        cloud.run(120);
        assert_eq!(cloud.in_service().len(), 2);
    }
}

#[test]
fn a_running_pool_serves_at_once() {
    let mut cloud = Simulated::with_group(SIZES);
    put(&mut cloud, "&PoolState=Running");
    cloud.run(120);
    assert_eq!(states(&mut cloud), ["Warmed:Running"; 3]);
    desire(&mut cloud, 2);
    assert_eq!(members(&mut cloud).iter().filter(|(state, _)| state == "InService").count(), 2);
    let refused = "AutoScalingGroupName=web&PoolState=Hibernated";
    assert_eq!(cloud.try_asg("PutWarmPool", refused).unwrap_err().code, "ValidationError");
}

#[test]
fn a_pool_that_loses_an_instance_is_filled_again() {
    let mut cloud = Simulated::with_group("&MinSize=1&MaxSize=3&DesiredCapacity=1");
    put(&mut cloud, "&PoolState=Running");
    cloud.run(120);
    let lost = waiting(&mut cloud)[0].1.clone();
    cloud.ec2("StopInstances", &format!("InstanceId.1={lost}"));
    cloud.run(120);
    assert_eq!(states(&mut cloud), ["Warmed:Running"; 2]);
    assert!(waiting(&mut cloud).iter().all(|(_, id)| *id != lost));
    let lost = waiting(&mut cloud)[0].1.clone();
    cloud.ec2("TerminateInstances", &format!("InstanceId.1={lost}"));
    cloud.run(120);
    assert_eq!(states(&mut cloud), ["Warmed:Running"; 2]);
}

#[test]
fn a_pool_goes_by_itself_or_with_its_group_by_force() {
    let mut cloud = Simulated::with_group(SIZES);
    hook(&mut cloud, "save", TERMINATING);
    put(&mut cloud, "");
    cloud.run(120);
    let one = waiting(&mut cloud)[0].1.clone();
    for (operation, more) in [
        ("TerminateInstanceInAutoScalingGroup", format!("InstanceId={one}&ShouldDecrementDesiredCapacity=false")),
        (
            "SetInstanceProtection",
            format!("AutoScalingGroupName=web&InstanceIds.member.1={one}&ProtectedFromScaleIn=true"),
        ),
    ] {
        assert_eq!(cloud.try_asg(operation, &more).unwrap_err().code, "ValidationError", "{operation}");
    }
    assert_eq!(cloud.try_asg("DeleteAutoScalingGroup", "AutoScalingGroupName=web").unwrap_err().code, "ResourceInUse");
    cloud.asg("DeleteWarmPool", "AutoScalingGroupName=web");
    assert_eq!(states(&mut cloud), ["Warmed:Terminating:Wait"; 3]);
    assert_eq!(pool(&mut cloud).map("WarmPoolConfiguration").unwrap().text("Status"), Some("PendingDelete"));
    cloud.asg("DeleteWarmPool", "AutoScalingGroupName=web&ForceDelete=true");
    assert_eq!(states(&mut cloud), [""; 0]);
    cloud.run(10);
    assert!(pool(&mut cloud).map("WarmPoolConfiguration").is_none());
    assert_eq!(cloud.try_asg("DeleteWarmPool", "AutoScalingGroupName=web").unwrap_err().code, "ValidationError");

    put(&mut cloud, "");
    cloud.run(120);
    cloud.asg("DeleteAutoScalingGroup", "AutoScalingGroupName=web&ForceDelete=true");
    cloud.run(60);
    assert!(cloud.world.services.autoscaling.groups.is_empty());
}

/// "Instances in the warm pool don't count in the group's metrics": the load of what serves alone is seen.
#[test]
fn prepared_instances_do_not_count_in_the_groups_metrics() {
    let mut cloud = Simulated::with_group(SIZES);
    put(&mut cloud, "&PoolState=Running");
    cloud.asg("EnableMetricsCollection", "AutoScalingGroupName=web&Granularity=1Minute");
    cloud.load_now(30.0);
    cloud.run(600);
    let value = |cloud: &mut Simulated, namespace: &str, metric: &str| {
        let form = format!(
            "Namespace={namespace}&MetricName={metric}&Dimensions.member.1.Name=AutoScalingGroupName\
             &Dimensions.member.1.Value=web&StartTime=2026-01-01T00:13:00Z&EndTime=2026-01-01T00:16:00Z\
             &Period=60&Statistics.member.1=Average&Statistics.member.2=SampleCount"
        );
        let points = cloud.cloudwatch("GetMetricStatistics", &form).maps("Datapoints");
        (points[0].float("Average").unwrap().unwrap(), points[0].float("SampleCount").unwrap().unwrap())
    };
    assert_eq!(value(&mut cloud, "AWS%2FEC2", "CPUUtilization").1, 1.0, "one of four instances");
    let groups = "AWS%2FAutoScaling";
    for (metric, expected) in [
        ("GroupTotalInstances", 1.0),
        ("WarmPoolDesiredCapacity", 3.0),
        ("WarmPoolWarmedCapacity", 3.0),
        ("GroupAndWarmPoolTotalCapacity", 4.0),
        ("GroupAndWarmPoolDesiredCapacity", 4.0),
    ] {
        assert_eq!(value(&mut cloud, groups, metric).0, expected, "{metric}");
    }
}

#[test]
fn a_refresh_renews_the_pool_too() {
    let mut cloud = Simulated::with_group("&MinSize=1&MaxSize=3&DesiredCapacity=1");
    put(&mut cloud, "");
    cloud.run(120);
    let before: Vec<String> = waiting(&mut cloud).into_iter().map(|(_, id)| id).collect();
    cloud.asg("StartInstanceRefresh", "AutoScalingGroupName=web");
    cloud.run(1200);
    let after = waiting(&mut cloud);
    assert_eq!(after.len(), 2);
    assert!(after.iter().all(|(state, id)| state == "Warmed:Stopped" && !before.contains(id)), "{after:?}");
}

/// What waits in the pool of an older version is renewed, and does not serve in place of what the refresh replaces.
#[test]
fn a_refresh_takes_nothing_of_an_older_version_from_the_pool() {
    let mut cloud = Simulated::with_group("&MinSize=1&MaxSize=3&DesiredCapacity=1");
    put(&mut cloud, "");
    cloud.run(120);
    let other = "SourceVersion=1&LaunchTemplateData.InstanceType=t3.large";
    cloud.ec2("CreateLaunchTemplateVersion", &format!("LaunchTemplateName=web&{other}"));
    let template = "DesiredConfiguration.LaunchTemplate";
    let wanted = format!("{template}.LaunchTemplateName=web&{template}.Version=2");
    let preferences = [("SkipMatching", "true"), ("MinHealthyPercentage", "90"), ("MaxHealthyPercentage", "110")];
    let preferences = preferences.map(|(name, value)| format!("&Preferences.{name}={value}")).concat();
    cloud.asg("StartInstanceRefresh", &format!("AutoScalingGroupName=web&{wanted}{preferences}"));
    cloud.run(1200);
    let version = |instance: &Params| instance.map("LaunchTemplate").unwrap().text("Version").unwrap().to_owned();
    let serving: Vec<String> = group(&mut cloud).maps("Instances").iter().map(version).collect();
    assert_eq!(serving, ["2"]);
    let waiting: Vec<String> = pool(&mut cloud).maps("Instances").iter().map(version).collect();
    assert_eq!(waiting, ["2", "2"]);
}

/// A pool and a mixed instances policy do not go together.
#[test]
fn a_mixed_group_has_no_pool() {
    let mut cloud = Simulated::empty(7);
    let policy = "MixedInstancesPolicy.LaunchTemplate";
    cloud.create_group(&format!("{SIZES}&{policy}.LaunchTemplateSpecification.LaunchTemplateName=web"));
    assert_eq!(cloud.try_asg("PutWarmPool", "AutoScalingGroupName=web").unwrap_err().code, "ValidationError");
    let mut cloud = Simulated::with_group(SIZES);
    put(&mut cloud, "");
    let form = format!("AutoScalingGroupName=web&{policy}.LaunchTemplateSpecification.LaunchTemplateName=web");
    assert_eq!(cloud.try_asg("UpdateAutoScalingGroup", &form).unwrap_err().code, "ValidationError");
}

/// "Amazon EC2 Auto Scaling tries to maintain equivalent numbers of instances in each enabled Availability Zone" (EC2 Auto
/// Scaling user guide), which a pool in one zone would undo: its instances would be replaced as soon as they serve.
#[test]
fn a_pool_keeps_the_zones_even_with_its_group() {
    for seed in 1..=8 {
        let mut cloud = Simulated::empty(seed);
        cloud.create_group(SIZES);
        cloud.run(600);
        put(&mut cloud, "");
        cloud.run(120);
        let mut counts = std::collections::BTreeMap::new();
        let instances = [pool(&mut cloud).maps("Instances"), group(&mut cloud).maps("Instances")].concat();
        for instance in &instances {
            *counts.entry(instance.text("AvailabilityZone").unwrap().to_owned()).or_insert(0) += 1;
        }
        let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
        assert!(counts.len() > 1 && most - least <= 1, "{counts:?}");
        desire(&mut cloud, 4);
        cloud.run(300);
        assert_eq!(cloud.in_service().len(), 4);
        assert!(!descriptions(&cloud).iter().any(|it| it == "Terminating EC2 instance"), "{:?}", descriptions(&cloud));
    }
}
