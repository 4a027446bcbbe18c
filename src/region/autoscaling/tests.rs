//! Stories of a group.

use std::collections::BTreeMap;

use super::scripted::{Scripted, params, template};
use crate::region::signal::{InstanceState, Signal};
use crate::region::wire::Value;

fn code(answer: crate::region::wire::Answer) -> String {
    answer.unwrap_err().code
}

#[test]
fn a_group_launches_into_its_zones_registers_and_says_why() {
    let mut world = Scripted::with_group(&[("MinSize", "1"), ("MaxSize", "8"), ("DesiredCapacity", "4")]);
    let mut zones: BTreeMap<String, u32> = BTreeMap::new();
    world.instances().into_iter().for_each(|facts| *zones.entry(facts.zone).or_default() += 1);
    assert_eq!(zones.into_values().collect::<Vec<_>>(), [2, 2]);
    assert_eq!(world.in_service().len(), 4);
    assert_eq!(world.targets().values().filter(|state| *state == "healthy").count(), 4);
    let (description, cause, status) = &world.history()[0];
    assert_eq!(description, "Launching a new EC2 instance: i-X");
    assert_eq!(
        cause,
        "At T a user request created an AutoScalingGroup changing the desired capacity from 0 to 4.  \
         At T an instance was started in response to a difference between desired and actual capacity, \
         increasing the capacity from 0 to 4."
    );
    assert_eq!(*status, "Successful");
}

#[test]
fn scaling_in_drains_before_it_terminates_and_names_the_victim() {
    let mut world = Scripted::with_group(&[("MinSize", "1"), ("MaxSize", "8"), ("DesiredCapacity", "2")]);
    world.call("SetDesiredCapacity", &[("DesiredCapacity", "1")]).unwrap();
    world.run(10);
    assert_eq!(world.history()[2].2, "WaitingForELBConnectionDraining");
    assert_eq!(world.in_service().len(), 1);
    world.run(60);
    let (description, cause, status) = &world.history()[2];
    assert_eq!(description, "Terminating EC2 instance: i-X");
    assert_eq!(
        cause,
        "At T a user request explicitly set group desired capacity changing the desired capacity from 2 to 1.  \
         At T an instance was taken out of service in response to a difference between desired and actual capacity, \
         shrinking the capacity from 2 to 1.  At T instance i-X was selected for termination."
    );
    assert_eq!(*status, "Successful");
    assert_eq!(world.group().members.len(), 1);
}

#[test]
fn an_instance_that_dies_is_replaced() {
    let mut world = Scripted::with_group(&[("MinSize", "2"), ("MaxSize", "2")]);
    let victim = world.in_service()[0].id.clone();
    world.kill(&victim);
    world.run(60);
    assert_eq!(world.in_service().len(), 2);
    assert!(world.in_service().iter().all(|member| member.id != victim));
    let history = world.history();
    assert_eq!(
        history[2].1,
        "At T an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped."
    );
    assert_eq!(
        history[3].1,
        "At T an instance was launched in response to an unhealthy instance needing to be replaced."
    );
}

#[test]
fn an_unhealthy_target_is_replaced_after_the_grace_period_and_only_with_elb_checks() {
    let grace = [("MinSize", "2"), ("MaxSize", "2"), ("HealthCheckGracePeriod", "120")];
    for (kind, replaced) in [("EC2", false), ("ELB", true)] {
        let mut world = Scripted::with_group(&[grace.as_slice(), &[("HealthCheckType", kind)]].concat());
        let victim = world.in_service()[0].id.clone();
        world.bench.break_application(&victim);
        world.run(30);
        assert!(world.group().member(&victim).is_some_and(|member| member.is_in_service()), "in grace");
        world.run(120);
        assert_eq!(world.group().member(&victim).is_none(), replaced, "{kind}");
        assert_eq!(world.in_service().len(), 2);
        if replaced {
            assert_eq!(
                world.history()[2].1,
                "At T an instance was taken out of service in response to an ELB system health check failure."
            );
        }
    }
}

#[test]
fn an_unhealthy_group_is_replaced_one_by_one() {
    let mut world = Scripted::with_group(&[("MinSize", "4"), ("MaxSize", "4"), ("HealthCheckType", "ELB")]);
    for member in world.in_service() {
        world.bench.break_application(&member.id);
    }
    let mut fewest = 4;
    for _ in 0..400 {
        world.run(1);
        fewest = fewest.min(world.in_service().len());
    }
    assert_eq!(fewest, 3, "one at a time");
    assert_eq!(world.in_service().len(), 4);
    assert!(world.in_service().iter().all(|member| member.unhealthy_cause.is_none()));
    assert_eq!(world.bench.booted.len(), 8);
}

#[test]
fn a_failed_launch_backs_off_and_goes_on_when_there_is_capacity() {
    let mut world = Scripted::default();
    world.refuses(true);
    world.create(&[("MinSize", "1"), ("MaxSize", "1")], false);
    world.run(60);
    let failures = world.history();
    assert_eq!(failures.len(), 4, "at 0, 5, 15 and 35 seconds");
    assert_eq!(
        failures[0].0,
        "Launching a new EC2 instance.  Status Reason: The key pair 'lab' does not exist.  Launching EC2 instance failed."
    );
    assert_eq!(failures[0].2, "Failed");
    world.refuses(false);
    world.run(60);
    assert_eq!(world.in_service().len(), 1);
}

#[test]
fn a_group_with_instances_cannot_be_deleted_without_force() {
    let mut world = Scripted::with_group(&[("MinSize", "1"), ("MaxSize", "2")]);
    assert_eq!(code(world.call("DeleteAutoScalingGroup", &[])), "ResourceInUse");
    world.call("UpdateAutoScalingGroup", &[("MinSize", "0"), ("DesiredCapacity", "0")]).unwrap();
    world.run(5);
    assert_eq!(code(world.call("DeleteAutoScalingGroup", &[])), "ScalingActivityInProgress");
    world.run(60);
    world.call("DeleteAutoScalingGroup", &[]).unwrap();
    assert!(world.service().groups.is_empty());
}

#[test]
fn a_forced_delete_shows_its_progress_and_leaves_only_activities() {
    let mut world = Scripted::with_group(&[("MinSize", "2"), ("MaxSize", "2")]);
    world.call("DeleteAutoScalingGroup", &[("ForceDelete", "true")]).unwrap();
    assert!(world.group().deleting);
    assert_eq!(code(world.call("SetDesiredCapacity", &[("DesiredCapacity", "2")])), "ScalingActivityInProgress");
    world.run(10);
    assert!(world.service().groups.is_empty());
    let answer = world.call("DescribeScalingActivities", &[("IncludeDeletedGroups", "true")]).unwrap();
    let Value::Map(fields) = answer else { panic!("a map") };
    let Value::List(activities) = &fields[0].1 else { panic!("a list") };
    assert_eq!(activities.len(), 4);
}

#[test]
fn protected_instances_stay_and_the_group_says_so_once() {
    let protect =
        [("MinSize", "0"), ("MaxSize", "2"), ("DesiredCapacity", "2"), ("NewInstancesProtectedFromScaleIn", "true")];
    let mut world = Scripted::with_group(&protect);
    world.call("SetDesiredCapacity", &[("DesiredCapacity", "1")]).unwrap();
    world.run(120);
    assert_eq!(world.in_service().len(), 2);
    assert_eq!(world.group().desired(), 1);
    let history = world.history();
    assert_eq!(history.len(), 3);
    assert_eq!(
        history[2].0,
        "Could not scale to desired capacity because all remaining instances are protected from scale-in."
    );
}

#[test]
fn terminating_by_hand_replaces_or_shrinks() {
    let mut world = Scripted::with_group(&[("MinSize", "1"), ("MaxSize", "3"), ("DesiredCapacity", "2")]);
    let ids: Vec<String> = world.in_service().into_iter().map(|member| member.id).collect();
    let end = |world: &mut Scripted, id: &str, decrement: &str| {
        let fields = [("InstanceId", id), ("ShouldDecrementDesiredCapacity", decrement)];
        world.call_with("TerminateInstanceInAutoScalingGroup", params(&fields))
    };
    end(&mut world, &ids[0], "false").unwrap();
    world.run(60);
    assert_eq!(world.in_service().len(), 2);
    end(&mut world, &ids[1], "true").unwrap();
    world.run(60);
    assert_eq!((world.in_service().len(), world.group().desired()), (1, 1));
    let last = world.in_service()[0].id.clone();
    assert_eq!(code(end(&mut world, &last, "true")), "ValidationError", "below the minimum");
}

#[test]
fn bounds_move_the_desired_capacity_with_them() {
    let mut world = Scripted::with_group(&[("MinSize", "1"), ("MaxSize", "4"), ("DesiredCapacity", "4")]);
    world.call("UpdateAutoScalingGroup", &[("MaxSize", "2")]).unwrap();
    assert_eq!(world.group().desired(), 2);
    world.call("UpdateAutoScalingGroup", &[("MinSize", "3"), ("MaxSize", "5")]).unwrap();
    assert_eq!(world.group().desired(), 3);
    assert_eq!(code(world.call("UpdateAutoScalingGroup", &[("MaxSize", "1")])), "ValidationError");
    assert_eq!(code(world.call("SetDesiredCapacity", &[("DesiredCapacity", "6")])), "ValidationError");
    world.run(120);
    assert_eq!(world.in_service().len(), 3);
}

#[test]
fn suspended_processes_do_nothing_until_they_are_resumed() {
    let mut world = Scripted::with_group(&[("MinSize", "1"), ("MaxSize", "4"), ("DesiredCapacity", "1")]);
    let suspend = |world: &mut Scripted, operation: &str, name: &str| {
        let mut fields = params(&[("AutoScalingGroupName", "web")]);
        fields.0.push(("ScalingProcesses".to_owned(), Value::list([name.into()])));
        world.call_with(operation, fields).unwrap();
    };
    suspend(&mut world, "SuspendProcesses", "Launch");
    world.call("SetDesiredCapacity", &[("DesiredCapacity", "2")]).unwrap();
    world.run(60);
    assert_eq!(world.in_service().len(), 1);
    suspend(&mut world, "ResumeProcesses", "Launch");
    world.run(60);
    assert_eq!(world.in_service().len(), 2);
}

#[test]
fn a_back_off_that_ends_while_launches_are_suspended_wakes_nobody_again() {
    let mut world = Scripted::default();
    world.refuses(true);
    world.create(&[("MinSize", "1"), ("MaxSize", "1")], false);
    world.call("SuspendProcesses", &[]).unwrap();
    world.run(60);
    assert_eq!(world.service().next_deadline(), None);
    assert_eq!(world.history().len(), 1);
}

#[test]
fn standby_leaves_the_load_balancer_and_comes_back() {
    let mut world = Scripted::with_group(&[("MinSize", "1"), ("MaxSize", "3"), ("DesiredCapacity", "2")]);
    let id = world.in_service()[0].id.clone();
    let mut fields = params(&[("AutoScalingGroupName", "web"), ("ShouldDecrementDesiredCapacity", "true")]);
    fields.0.push(("InstanceIds".to_owned(), Value::list([id.as_str().into()])));
    world.call_with("EnterStandby", fields.clone()).unwrap();
    world.run(60);
    assert_eq!(world.group().member(&id).unwrap().lifecycle.name(), "Standby");
    assert_eq!((world.in_service().len(), world.group().desired()), (1, 1));
    let mut back = fields.clone();
    back.0.retain(|(name, _)| name != "ShouldDecrementDesiredCapacity");
    world.call_with("ExitStandby", back).unwrap();
    world.run(60);
    assert_eq!((world.in_service().len(), world.group().desired()), (2, 2));
    world.call_with("DetachInstances", fields).unwrap();
    world.run(60);
    assert!(world.group().member(&id).is_none());
    assert_eq!(world.group().members.len(), 1);
}

#[test]
fn a_scheduled_action_runs_in_its_time_zone_and_is_listed_with_its_next_run() {
    let mut world = Scripted::with_group(&[("MinSize", "1"), ("MaxSize", "5"), ("DesiredCapacity", "1")]);
    let fields = [
        ("ScheduledActionName", "morning"),
        ("Recurrence", "0 8 * * *"),
        ("TimeZone", "America/Toronto"),
        ("MinSize", "3"),
    ];
    world.call("PutScheduledUpdateGroupAction", &fields).unwrap();
    assert_eq!(world.group().schedule["morning"].next.unwrap().to_string(), "2026-01-01T13:00:00Z");
    world.run(14 * 3600);
    assert_eq!(world.in_service().len(), 3);
    assert!(world.history()[1].1.starts_with(
        "At T a scheduled action update of AutoScalingGroup constraints to min: 3, max: 5, desired: 3 changing the desired capacity from 1 to 3."
    ));
    assert_eq!(world.group().schedule["morning"].next.unwrap().to_string(), "2026-01-02T13:00:00Z");
}

#[test]
fn group_metrics_are_measured_while_they_are_collected() {
    let mut world = Scripted::with_group(&[("MinSize", "1"), ("MaxSize", "5")]);
    assert_eq!(world.measured(), 0.0);
    world.call("EnableMetricsCollection", &[("Granularity", "1Minute")]).unwrap();
    world.run(60);
    assert_eq!(world.measured(), 26.0, "once a minute, both ends included");
    world.call("DisableMetricsCollection", &[]).unwrap();
    world.run(60);
    assert_eq!(world.measured(), 26.0);
}

#[test]
fn a_refresh_replaces_everything_and_keeps_the_lower_bound() {
    let mut world = Scripted::with_group(&[("MinSize", "4"), ("MaxSize", "4"), ("HealthCheckType", "ELB")]);
    let mut fields = params(&[("AutoScalingGroupName", "web")]);
    let preferences =
        Value::map().with("MinHealthyPercentage", Value::from("75")).with("InstanceWarmup", Value::from("10"));
    fields.0.push(("Preferences".to_owned(), preferences));
    fields.0.push(("DesiredConfiguration".to_owned(), Value::map().with("LaunchTemplate", template("2"))));
    world.call_with("StartInstanceRefresh", fields.clone()).unwrap();
    assert_eq!(code(world.call_with("StartInstanceRefresh", fields)), "InstanceRefreshInProgress");
    let mut fields = params(&[("AutoScalingGroupName", "web"), ("MaxSize", "4")]);
    world.call_with("UpdateAutoScalingGroup", fields.clone()).unwrap();
    fields.0.push(("LaunchTemplate".to_owned(), template("1")));
    assert_eq!(code(world.call_with("UpdateAutoScalingGroup", fields)), "ValidationError", "the refresh decides that");
    let mut fewest = 4;
    for _ in 0..400 {
        world.run(1);
        fewest = fewest.min(world.in_service().len());
    }
    assert_eq!(fewest, 3);
    let refresh = world.group().refreshes.last().unwrap();
    assert_eq!((refresh.status.name(), refresh.percent()), ("Successful", 100));
    let versions: Vec<String> = world.in_service().into_iter().map(|member| member.template.unwrap().version).collect();
    assert_eq!(versions, ["2"; 4]);
    assert_eq!(world.group().settings.template.version, "2");
}

#[test]
fn a_refresh_with_an_upper_bound_launches_first_and_a_cancelled_one_stops() {
    let mut world = Scripted::with_group(&[("MinSize", "2"), ("MaxSize", "2")]);
    let mut fields = params(&[("AutoScalingGroupName", "web")]);
    let bounds =
        Value::map().with("MinHealthyPercentage", Value::from("100")).with("MaxHealthyPercentage", Value::from("150"));
    fields.0.push(("Preferences".to_owned(), bounds));
    world.call_with("StartInstanceRefresh", fields.clone()).unwrap();
    let mut most = 0;
    for _ in 0..300 {
        world.run(1);
        assert!(world.in_service().len() >= 2);
        most = most.max(world.group().active());
    }
    assert_eq!(most, 3);
    assert_eq!(world.group().refreshes[0].status.name(), "Successful");
    assert_eq!(world.group().active(), 2);
    world.call_with("StartInstanceRefresh", fields).unwrap();
    world.run(5);
    world.call("CancelInstanceRefresh", &[]).unwrap();
    world.run(120);
    assert_eq!(world.group().refreshes[1].status.name(), "Cancelled");
    assert_eq!(world.in_service().len(), 2);
    assert_eq!(code(world.call("CancelInstanceRefresh", &[])), "ActiveInstanceRefreshNotFound");
}

#[test]
fn a_cancelled_refresh_ends_although_an_instance_is_missing() {
    let mut world = Scripted::with_group(&[("MinSize", "1"), ("MaxSize", "3")]);
    let mut fields = params(&[("AutoScalingGroupName", "web")]);
    fields.0.push(("ScalingProcesses".to_owned(), Value::list(["Launch".into()])));
    world.call_with("SuspendProcesses", fields).unwrap();
    world.call("SetDesiredCapacity", &[("DesiredCapacity", "2")]).unwrap();
    world.call("StartInstanceRefresh", &[]).unwrap();
    world.call("CancelInstanceRefresh", &[]).unwrap();
    world.run(60);
    assert_eq!(world.group().refreshes[0].status.name(), "Cancelled");
}

#[test]
fn a_refresh_whose_instances_stay_unhealthy_rolls_back_after_an_hour() {
    let mut world = Scripted::with_group(&[("MinSize", "2"), ("MaxSize", "2"), ("HealthCheckType", "ELB")]);
    world.breaks(true);
    let mut fields = params(&[("AutoScalingGroupName", "web")]);
    fields.0.push(("Preferences".to_owned(), Value::map().with("AutoRollback", Value::from("true"))));
    fields.0.push(("DesiredConfiguration".to_owned(), Value::map().with("LaunchTemplate", template("2"))));
    world.call_with("StartInstanceRefresh", fields).unwrap();
    world.run(3_500);
    assert_eq!(world.group().refreshes[0].status.name(), "InProgress");
    world.run(300);
    assert_eq!(world.group().refreshes[0].status.name(), "RollbackInProgress");
    world.breaks(false);
    world.run(600);
    assert_eq!(world.group().refreshes[0].status.name(), "RollbackSuccessful");
    let versions: Vec<String> = world.in_service().into_iter().map(|member| member.template.unwrap().version).collect();
    assert_eq!(versions, ["1"; 2]);
}

#[test]
fn an_instance_launched_for_a_group_that_is_gone_is_terminated() {
    let mut world = Scripted::with_group(&[("MinSize", "1"), ("MaxSize", "1")]);
    let instance = world.in_service()[0].id.clone();
    world.bench.world.services.autoscaling.groups.clear();
    world.bench.signal(Signal::InstanceLaunched {
        group: "web".to_owned(),
        activity: "a".to_owned(),
        instance: instance.clone(),
    });
    world.run(10);
    let facts = world.bench.world.services.ec2.instance_facts(&instance);
    assert_eq!(facts.map(|facts| facts.state), Some(InstanceState::Terminated));
}

// ---- policies ----

pub(super) fn tracking(world: &mut Scripted, name: &str, target: &str, extra: &[(&str, &str)]) {
    let cpu = Value::map().with("PredefinedMetricType", Value::from("ASGAverageCPUUtilization"));
    let configuration =
        Value::map().with("TargetValue", Value::from(target)).with("PredefinedMetricSpecification", cpu);
    let mut fields = params(&[("AutoScalingGroupName", "web"), ("PolicyName", name)]);
    fields.0.push(("PolicyType".to_owned(), "TargetTrackingScaling".into()));
    fields.0.push(("TargetTrackingConfiguration".to_owned(), configuration));
    fields.0.extend(params(extra).0);
    world.call_with("PutScalingPolicy", fields).unwrap();
}

/// The policy's alarm of that kind calls with `value`.
pub(super) fn call_alarm(world: &mut Scripted, policy: &str, kind: &str, value: f64) {
    let arn = world.group().policies[policy].arn.clone();
    let owned = |alarm: &&crate::region::wire::Params| alarm.text("AlarmDescription").unwrap().contains(&arn);
    let alarms = world.alarms();
    let alarm = alarms.values().filter(owned).find(|alarm| alarm.text("AlarmName").unwrap().contains(kind)).unwrap();
    let threshold = alarm.float("Threshold").unwrap().unwrap();
    world.alarm(policy, alarm.text("AlarmName").unwrap(), threshold, value);
}

pub(super) const SCALED: [(&str, &str); 4] =
    [("MinSize", "1"), ("MaxSize", "10"), ("DesiredCapacity", "2"), ("DefaultInstanceWarmup", "60")];

#[test]
fn target_tracking_scales_out_in_proportion_and_waits_for_the_warm_up() {
    let mut world = Scripted::with_group(&SCALED);
    world.run(60);
    tracking(&mut world, "cpu", "50", &[]);
    assert_eq!(world.alarms().len(), 2);
    call_alarm(&mut world, "cpu", "AlarmHigh", 90.0);
    assert_eq!(world.group().desired(), 4);
    let cause = world.history().last().unwrap().1.clone();
    assert!(cause.starts_with("At T a monitor alarm TargetTracking-web-AlarmHigh-"), "{cause}");
    assert!(
        cause.contains(" in state ALARM triggered policy cpu changing the desired capacity from 2 to 4."),
        "{cause}"
    );
    world.run(60);
    call_alarm(&mut world, "cpu", "AlarmHigh", 90.0);
    assert_eq!(world.group().desired(), 4, "the two warm instances still need four");
    world.run(60);
    call_alarm(&mut world, "cpu", "AlarmHigh", 60.0);
    assert_eq!(world.group().desired(), 5, "all four are warm: 4.8");
}

#[test]
fn target_tracking_scales_in_carefully_and_never_below_the_minimum() {
    let mut world = Scripted::with_group(&SCALED);
    tracking(&mut world, "cpu", "50", &[]);
    call_alarm(&mut world, "cpu", "AlarmLow", 0.0);
    assert_eq!(world.group().desired(), 2, "instances warm up");
    world.run(60);
    for _ in 0..3 {
        call_alarm(&mut world, "cpu", "AlarmLow", 0.0);
        world.run(60);
    }
    assert_eq!(world.group().desired(), 1);
    assert_eq!(world.in_service().len(), 1);
}

#[test]
fn several_policies_scale_out_if_any_and_in_only_if_all() {
    let mut world = Scripted::with_group(&SCALED);
    world.run(60);
    tracking(&mut world, "cpu", "50", &[]);
    tracking(&mut world, "other", "80", &[]);
    call_alarm(&mut world, "cpu", "AlarmLow", 20.0);
    assert_eq!(world.group().desired(), 2, "the other has not agreed");
    call_alarm(&mut world, "other", "AlarmLow", 20.0);
    assert_eq!(world.group().desired(), 1, "now it has");
    world.run(120);
    call_alarm(&mut world, "other", "AlarmHigh", 170.0);
    assert_eq!(world.group().desired(), 3);
}

#[test]
fn a_policy_without_scale_in_has_no_low_alarm_and_deleting_it_takes_its_alarms() {
    let mut world = Scripted::with_group(&SCALED);
    let cpu = Value::map().with("PredefinedMetricType", Value::from("ASGAverageCPUUtilization"));
    let configuration = Value::map()
        .with("TargetValue", Value::from("50"))
        .with("PredefinedMetricSpecification", cpu)
        .with("DisableScaleIn", Value::from("true"));
    let mut fields =
        params(&[("AutoScalingGroupName", "web"), ("PolicyName", "cpu"), ("PolicyType", "TargetTrackingScaling")]);
    fields.0.push(("TargetTrackingConfiguration".to_owned(), configuration));
    world.call_with("PutScalingPolicy", fields).unwrap();
    assert_eq!(world.alarms().len(), 1);
    tracking(&mut world, "cpu", "60", &[]);
    assert_eq!(world.alarms().len(), 2, "replaced, not added to");
    world.call("DeletePolicy", &[("PolicyName", "cpu")]).unwrap();
    assert!(world.alarms().is_empty());
}

fn step_policy(world: &mut Scripted) {
    let step = |lower: &str, upper: Option<&str>, amount: &str| {
        Value::map()
            .with("MetricIntervalLowerBound", Value::from(lower))
            .with("MetricIntervalUpperBound", upper.map(Value::from))
            .with("ScalingAdjustment", Value::from(amount))
    };
    let mut fields = params(&[
        ("AutoScalingGroupName", "web"),
        ("PolicyName", "steps"),
        ("PolicyType", "StepScaling"),
        ("AdjustmentType", "ChangeInCapacity"),
    ]);
    let steps = Value::list([step("0", Some("10"), "1"), step("10", None, "3")]);
    fields.0.push(("StepAdjustments".to_owned(), steps));
    world.call_with("PutScalingPolicy", fields).unwrap();
}

#[test]
fn a_step_acts_once_per_warm_up_and_a_higher_step_adds_the_difference() {
    let mut world = Scripted::with_group(&SCALED);
    world.run(60);
    step_policy(&mut world);
    world.alarm("steps", "high", 70.0, 75.0);
    assert_eq!(world.group().desired(), 3);
    world.run(30);
    world.alarm("steps", "high", 70.0, 75.0);
    assert_eq!(world.group().desired(), 3, "the same step, still warming");
    world.alarm("steps", "high", 70.0, 85.0);
    assert_eq!(world.group().desired(), 5, "three in all, not three more");
    world.run(180);
    world.alarm("steps", "high", 70.0, 75.0);
    assert_eq!(world.group().desired(), 6, "warm: a new scale-out");
    world.alarm("steps", "high", 70.0, 60.0);
    assert_eq!(world.group().desired(), 6, "no step below the threshold");
    let refused =
        world.call("ExecutePolicy", &[("PolicyName", "steps"), ("MetricValue", "60"), ("BreachThreshold", "70")]);
    assert_eq!(
        refused.unwrap_err().message,
        "No step adjustment found for metric value [60.0] and breach threshold 70.0"
    );
}

#[test]
fn a_simple_policy_waits_for_its_cooldown_which_starts_when_the_launch_is_done() {
    let mut world = Scripted::with_group(&SCALED);
    let fields = [
        ("PolicyName", "one"),
        ("AdjustmentType", "ChangeInCapacity"),
        ("ScalingAdjustment", "1"),
        ("Cooldown", "100"),
    ];
    world.call("PutScalingPolicy", &fields).unwrap();
    world.alarm("one", "high", 70.0, 75.0);
    assert_eq!(world.group().desired(), 3);
    world.run(100);
    world.alarm("one", "high", 70.0, 75.0);
    assert_eq!(world.group().desired(), 3, "ten seconds of launching come before the cooldown");
    let honored = world.call("ExecutePolicy", &[("PolicyName", "one"), ("HonorCooldown", "true")]);
    assert_eq!(code(honored), "ScalingActivityInProgress");
    world.run(20);
    world.alarm("one", "high", 70.0, 75.0);
    assert_eq!(world.group().desired(), 4);
    world.call("ExecutePolicy", &[("PolicyName", "one")]).unwrap();
    assert_eq!(world.group().desired(), 5, "a user need not honour it");
}

#[test]
fn alarms_do_nothing_while_notifications_are_suspended_and_never_pass_the_maximum() {
    let mut world = Scripted::with_group(&SCALED);
    world.run(60);
    tracking(&mut world, "cpu", "50", &[]);
    world.call("SuspendProcesses", &[]).unwrap();
    call_alarm(&mut world, "cpu", "AlarmHigh", 900.0);
    assert_eq!(world.group().desired(), 2);
    world.call("ResumeProcesses", &[]).unwrap();
    call_alarm(&mut world, "cpu", "AlarmHigh", 900.0);
    assert_eq!(world.group().desired(), 10);
}

#[test]
fn a_day_of_alarms_schedules_and_deaths_keeps_its_bounds() {
    let mut world = Scripted::with_group(&SCALED);
    tracking(&mut world, "cpu", "50", &[]);
    let nightly = [("ScheduledActionName", "night"), ("Recurrence", "0 22 * * *"), ("DesiredCapacity", "1")];
    world.call("PutScheduledUpdateGroupAction", &nightly).unwrap();
    for minute in 0..24 * 60 {
        match minute % 7 {
            0..=2 => call_alarm(&mut world, "cpu", "AlarmHigh", 65.0),
            _ => call_alarm(&mut world, "cpu", "AlarmLow", 20.0),
        }
        if minute % 97 == 0
            && let Some(member) = world.in_service().first()
        {
            let id = member.id.clone();
            world.kill(&id);
        }
        world.run(60);
        assert!((1..=10).contains(&world.group().desired()));
    }
    world.run(120);
    assert_eq!(i64::try_from(world.in_service().len()).unwrap(), world.group().desired());
}

#[test]
fn terminations_in_ec2_and_detached_target_groups_leave_no_trace() {
    let mut world = Scripted::with_group(&[("MinSize", "2"), ("MaxSize", "2")]);
    let mut fields = params(&[("AutoScalingGroupName", "web")]);
    fields.0.push(("TargetGroupARNs".to_owned(), Value::list([world.target_group.as_str().into()])));
    world.call_with("DetachLoadBalancerTargetGroups", fields.clone()).unwrap();
    world.run(60);
    assert!(world.targets().is_empty());
    world.call_with("AttachLoadBalancerTargetGroups", fields).unwrap();
    world.run(60);
    assert_eq!(world.targets().len(), 2);
    for member in world.in_service() {
        world.kill(&member.id);
    }
    world.run(120);
    assert_eq!(world.targets().len(), 2);
    let serving: Vec<String> = world.in_service().into_iter().map(|member| member.id).collect();
    assert!(world.targets().keys().all(|instance| serving.contains(instance)));
}
