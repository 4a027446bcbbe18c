//! Instance refresh: what counts as done, what is exempt, and where it rests.

use crate::region::simulated::Simulated;
use crate::region::wire::Params;

const SIZES: &str = "&MinSize=4&MaxSize=6&DesiredCapacity=4";

fn start(cloud: &mut Simulated, preferences: &str) {
    cloud.asg("StartInstanceRefresh", &format!("AutoScalingGroupName=web{preferences}"));
}

fn shown(cloud: &mut Simulated) -> Params {
    cloud.asg("DescribeInstanceRefreshes", "AutoScalingGroupName=web").maps("InstanceRefreshes").remove(0)
}

/// (status, percent complete, instances left)
fn progress(cloud: &mut Simulated) -> (String, i64, i64) {
    let shown = shown(cloud);
    let number = |field: &str| shown.int(field).unwrap().unwrap();
    (shown.text("Status").unwrap().to_owned(), number("PercentageComplete"), number("InstancesToUpdate"))
}

#[test]
fn an_instance_counts_once_its_replacement_is_warm() {
    let mut cloud = Simulated::with_group(SIZES);
    start(&mut cloud, "&Preferences.InstanceWarmup=300&Preferences.MinHealthyPercentage=75");
    cloud.run(200);
    assert_eq!(progress(&mut cloud), ("InProgress".to_owned(), 0, 4), "one runs already and warms up");
    cloud.run(200);
    assert_eq!(progress(&mut cloud), ("InProgress".to_owned(), 25, 3));
    cloud.run(1200);
    assert_eq!(progress(&mut cloud), ("Successful".to_owned(), 100, 0));
}

#[test]
fn protected_instances_are_waited_for_ignored_or_replaced() {
    for (choice, status, replaced) in [("Ignore", "Successful", 3), ("Refresh", "Successful", 4), ("Wait", "Failed", 3)]
    {
        let mut cloud = Simulated::with_group(SIZES);
        let before = cloud.in_service();
        cloud.asg(
            "SetInstanceProtection",
            &format!("AutoScalingGroupName=web&ProtectedFromScaleIn=true&InstanceIds.member.1={}", before[0]),
        );
        start(&mut cloud, &format!("&Preferences.ScaleInProtectedInstances={choice}&Preferences.InstanceWarmup=0"));
        cloud.run(2 * 3600);
        assert_eq!(shown(&mut cloud).text("Status"), Some(status), "{choice}");
        let after = cloud.in_service();
        assert_eq!(before.iter().filter(|id| !after.contains(id)).count(), replaced, "{choice}");
    }
}

#[test]
fn instances_in_standby_are_waited_for_ignored_or_terminated() {
    for (choice, status, stays) in
        [("Wait", "Failed", true), ("Ignore", "Successful", true), ("Terminate", "Successful", false)]
    {
        let mut cloud = Simulated::with_group(SIZES);
        let standby = cloud.in_service()[0].clone();
        cloud.asg(
            "EnterStandby",
            &format!("AutoScalingGroupName=web&ShouldDecrementDesiredCapacity=false&InstanceIds.member.1={standby}"),
        );
        cloud.run(120);
        start(&mut cloud, &format!("&Preferences.StandbyInstances={choice}&Preferences.InstanceWarmup=0"));
        cloud.run(3 * 3600);
        assert_eq!(shown(&mut cloud).text("Status"), Some(status), "{choice}");
        assert_eq!(cloud.group().member(&standby).is_some(), stays, "{choice}");
        assert_eq!(cloud.in_service().len(), 4);
    }
}

#[test]
fn a_refresh_rests_at_its_checkpoints() {
    let mut cloud = Simulated::with_group(SIZES);
    start(
        &mut cloud,
        "&Preferences.InstanceWarmup=0&Preferences.CheckpointDelay=1800\
         &Preferences.CheckpointPercentages.member.1=50&Preferences.CheckpointPercentages.member.2=100",
    );
    cloud.run(1500);
    assert_eq!(progress(&mut cloud), ("InProgress".to_owned(), 50, 2));
    assert!(shown(&mut cloud).text("StatusReason").unwrap().starts_with("Waiting for the checkpoint delay"));
    cloud.run(1800);
    assert_eq!(progress(&mut cloud), ("Successful".to_owned(), 100, 0));
    let wrong = "AutoScalingGroupName=web&Preferences.CheckpointPercentages.member.1=50&Preferences.CheckpointPercentages.member.2=20";
    assert_eq!(cloud.try_asg("StartInstanceRefresh", wrong).unwrap_err().code, "ValidationError");
}

/// It bakes for a while after the last replacement; an alarm in that time fails it.
#[test]
fn a_refresh_bakes_and_an_alarm_fails_it() {
    for (rate, status) in [(10.0, "Successful"), (390.0, "Failed")] {
        let mut cloud = Simulated::with_group(SIZES);
        cloud.load_now(10.0);
        cloud.cpu_alarm("hot", "GreaterThanThreshold", 80, 1, "arn:aws:sns:us-east-1:000000000000:hot");
        start(
            &mut cloud,
            "&Preferences.InstanceWarmup=0&Preferences.BakeTime=3600&Preferences.AlarmSpecification.Alarms.member.1=hot",
        );
        cloud.run(1200);
        assert_eq!(progress(&mut cloud), ("Baking".to_owned(), 100, 0));
        cloud.load_now(rate);
        cloud.run(3600);
        assert_eq!(shown(&mut cloud).text("Status"), Some(status));
    }
}
