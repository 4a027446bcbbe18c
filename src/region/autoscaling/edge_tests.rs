//! Exact edges: of several policies the one that wins, and the second at which a recommendation, a warm-up and a cooldown end.

use super::scripted::{Scripted, params};
use super::tests::{SCALED, call_alarm, tracking};
use crate::region::signal::{AlarmState, AlarmStateValue, Signal};
use crate::region::wire::Value;

/// A step policy that adds so many from its alarm's threshold on.
fn adds(world: &mut Scripted, name: &str, amount: &str) {
    let mut fields = params(&[
        ("AutoScalingGroupName", "web"),
        ("PolicyName", name),
        ("PolicyType", "StepScaling"),
        ("AdjustmentType", "ChangeInCapacity"),
    ]);
    let step =
        Value::map().with("MetricIntervalLowerBound", Value::from("0")).with("ScalingAdjustment", Value::from(amount));
    fields.0.push(("StepAdjustments".to_owned(), Value::list([step])));
    world.call_with("PutScalingPolicy", fields).unwrap();
}

/// The alarms of these policies call in one moment.
fn at_once(world: &mut Scripted, policies: &[&str]) {
    for policy in policies {
        let alarm = AlarmState {
            name: (*policy).to_owned(),
            state: AlarmStateValue::Alarm,
            threshold: 70.0,
            datapoints: vec![75.0],
            since: world.bench.now,
        };
        let policy_arn = world.group().policies[*policy].arn.clone();
        world.bench.signal(Signal::AlarmAction { policy_arn, alarm });
    }
    world.run(0);
}

/// A group with some policies, warm, whose desired capacity is `desired`.
fn group(desired: &str, policies: &[(&str, &str)]) -> Scripted {
    let sizes = [("MinSize", "1"), ("MaxSize", "10"), ("DesiredCapacity", desired), ("DefaultInstanceWarmup", "60")];
    let mut world = Scripted::with_group(&sizes);
    for (name, amount) in policies {
        adds(&mut world, name, amount);
    }
    world.run(120);
    world
}

/// EC2 Auto Scaling User Guide, "Multiple dynamic scaling policies": the policy that provides the largest capacity, for
/// scale out and scale in.
#[test]
fn of_policies_that_act_at_once_the_largest_capacity_wins_whichever_calls_first() {
    for order in [["few", "many"], ["many", "few"]] {
        let mut world = group("2", &[("few", "1"), ("many", "4")]);
        at_once(&mut world, &order);
        assert_eq!(world.group().desired(), 6, "out: {order:?}");
        let mut world = group("6", &[("few", "-1"), ("many", "-4")]);
        at_once(&mut world, &order);
        assert_eq!(world.group().desired(), 5, "in: {order:?}");
        let mut world = group("4", &[("few", "-1"), ("many", "2")]);
        at_once(&mut world, &order);
        assert_eq!(world.group().desired(), 6, "out beats in: {order:?}");
    }
}

#[test]
fn a_recommendation_to_scale_in_stands_for_ninety_seconds() {
    for (seconds, desired) in [(90, 1), (91, 2)] {
        let mut world = Scripted::with_group(&SCALED);
        world.run(120);
        tracking(&mut world, "cpu", "50", &[]);
        tracking(&mut world, "other", "80", &[]);
        call_alarm(&mut world, "cpu", "AlarmLow", 20.0);
        world.run(seconds);
        call_alarm(&mut world, "other", "AlarmLow", 20.0);
        assert_eq!(world.group().desired(), desired, "{seconds}");
    }
}

/// Lets seconds pass until so many are in service; the last of them is so since now.
fn until_in_service(world: &mut Scripted, count: usize) {
    for _ in 0..600 {
        if world.in_service().len() == count {
            return;
        }
        world.run(1);
    }
    panic!("{} of {count} come into service", world.in_service().len());
}

#[test]
fn an_instance_is_warm_when_its_last_second_of_warm_up_is_over() {
    let sizes = [("MinSize", "1"), ("MaxSize", "10"), ("DesiredCapacity", "2"), ("DefaultInstanceWarmup", "120")];
    let mut world = Scripted::with_group(&sizes);
    world.run(240);
    tracking(&mut world, "cpu", "50", &[]);
    call_alarm(&mut world, "cpu", "AlarmHigh", 90.0);
    assert_eq!(world.group().desired(), 4);
    until_in_service(&mut world, 4);
    world.run(119);
    call_alarm(&mut world, "cpu", "AlarmLow", 0.0);
    assert_eq!(world.group().desired(), 4, "a second too early");
    world.run(1);
    call_alarm(&mut world, "cpu", "AlarmLow", 0.0);
    assert!(world.group().desired() < 4);
}

#[test]
fn a_cooldown_ends_with_its_last_second() {
    let mut world = Scripted::with_group(&SCALED);
    world.run(60);
    let fields = [
        ("PolicyName", "one"),
        ("AdjustmentType", "ChangeInCapacity"),
        ("ScalingAdjustment", "1"),
        ("Cooldown", "100"),
    ];
    world.call("PutScalingPolicy", &fields).unwrap();
    at_once(&mut world, &["one"]);
    assert_eq!(world.group().desired(), 3);
    until_in_service(&mut world, 3);
    world.run(99);
    at_once(&mut world, &["one"]);
    assert_eq!(world.group().desired(), 3, "a second too early");
    world.run(1);
    at_once(&mut world, &["one"]);
    assert_eq!(world.group().desired(), 4);
}
