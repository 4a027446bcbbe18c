//! Quotas and bounds of the requests, each at its exact value.

use jiff::SignedDuration;

use super::super::scripted::{Scripted, params};
use crate::region::simulated::setup::IMAGE;
use crate::region::wire::{Answer, Params, Value};

const CONFIGURATION: [(&str, &str); 2] = [("ImageId", IMAGE), ("InstanceType", "t2.large")];

type Fields<'a> = &'a [(&'a str, &'a str)];
/// In seconds from now.
type Times<'a> = &'a [(&'a str, i64)];

fn world() -> Scripted {
    Scripted::with_group(&[("MinSize", "0"), ("MaxSize", "5"), ("DesiredCapacity", "0")])
}

fn code(answer: Answer) -> String {
    answer.map_or_else(|error| error.code, |_| "ok".to_owned())
}

fn configuration(world: &mut Scripted, name: &str) -> Answer {
    let mut fields = CONFIGURATION.to_vec();
    fields.push(("LaunchConfigurationName", name));
    world.call_with("CreateLaunchConfiguration", params(&fields))
}

fn tag(world: &mut Scripted, operation: &str, fields: &[(&str, &str)]) -> Answer {
    let mut all = vec![("ResourceId", "web")];
    all.extend(fields);
    let Params(tag) = params(&all);
    world.call_with(operation, Params(vec![("Tags".to_owned(), Value::list([Value::Map(tag)]))]))
}

fn schedule(world: &mut Scripted, name: &str, fields: Fields, times: Times) -> Answer {
    let mut all = params(&[("AutoScalingGroupName", "web"), ("ScheduledActionName", name)]);
    all.0.extend(params(fields).0);
    let time = |seconds: i64| Value::Time(world.bench.now + SignedDuration::from_secs(seconds));
    all.0.extend(times.iter().map(|(name, seconds)| ((*name).to_owned(), time(*seconds))));
    world.call_with("PutScheduledUpdateGroupAction", all)
}

/// 50 lifecycle hooks, 10 topics, 125 scheduled actions and 50 tags of a group, 200 launch configurations of a region (EC2
/// Auto Scaling user guide, "Quotas").
#[test]
fn a_quota_is_full_at_its_number_and_what_is_there_can_still_be_changed() {
    type Put = fn(&mut Scripted, usize) -> Answer;
    let hook: Put = |world, number| {
        let name = format!("h{number}");
        let fields =
            [("LifecycleHookName", name.as_str()), ("LifecycleTransition", "autoscaling:EC2_INSTANCE_LAUNCHING")];
        world.call("PutLifecycleHook", &fields)
    };
    let topic: Put = |world, number| {
        let mut all =
            params(&[("AutoScalingGroupName", "web"), ("TopicARN", &format!("arn:aws:sns:us-east-1:1:t{number}"))]);
        let types = Value::list([Value::from("autoscaling:EC2_INSTANCE_LAUNCH")]);
        all.0.push(("NotificationTypes".to_owned(), types));
        world.call_with("PutNotificationConfiguration", all)
    };
    let action: Put = |world, number| {
        let at = 60 * i64::try_from(number + 1).expect("a few");
        schedule(world, &format!("a{number}"), &[("MinSize", "1")], &[("StartTime", at)])
    };
    let tagged: Put =
        |world, number| tag(world, "CreateOrUpdateTags", &[("Key", &format!("k{number}")), ("Value", "v")]);
    let launched: Put = |world, number| configuration(world, &format!("c{number}"));
    for (quota, put, is_changed) in
        [(50, hook, true), (10, topic, true), (125, action, true), (50, tagged, true), (200, launched, false)]
    {
        let mut world = world();
        for number in 0..quota {
            assert_eq!(code(put(&mut world, number)), "ok", "{number} of {quota}");
        }
        assert_eq!(code(put(&mut world, quota)), "LimitExceeded", "{quota}");
        let again = if is_changed { "ok" } else { "AlreadyExists" };
        assert_eq!(code(put(&mut world, 3)), again, "one of {quota}");
    }
}

/// "You cannot specify" a start in the past, and an end follows its start (API reference, PutScheduledUpdateGroupAction).
#[test]
fn a_scheduled_action_starts_later_than_now_and_ends_later_than_it_starts() {
    let (once, daily) = ([("MinSize", "1")], [("MinSize", "1"), ("Recurrence", "0 8 * * *")]);
    let cases: [(Fields, Times, &str); 11] = [
        (&once, &[], "ValidationError"),
        (&once, &[("StartTime", 0)], "ValidationError"),
        (&once, &[("StartTime", 1)], "ok"),
        (&once, &[("Time", 1)], "ok"),
        (&once, &[("StartTime", 60), ("EndTime", 60)], "ValidationError"),
        (&once, &[("StartTime", 60), ("EndTime", 61)], "ok"),
        (&daily, &[], "ok"),
        (&daily, &[("EndTime", 0)], "ValidationError"),
        // It first runs eight hours after midnight.
        (&daily, &[("EndTime", 3600)], "ValidationError"),
        (&[("Recurrence", "0 8 * * *")], &[], "ValidationError"),
        (&[("MinSize", "1"), ("Recurrence", "")], &[], "ValidationError"),
    ];
    for (fields, times, expected) in cases {
        assert_eq!(code(schedule(&mut world(), "a", fields, times)), expected, "{fields:?} {times:?}");
    }
}

#[test]
fn the_sizes_of_a_scheduled_action_hold_together() {
    let put = |fields: &[(&str, &str)]| code(schedule(&mut world(), "a", fields, &[("StartTime", 60)]));
    for (min, desired, max, expected) in [
        ("2", "2", "4", "ok"),
        ("2", "4", "4", "ok"),
        ("2", "1", "4", "ValidationError"),
        ("2", "5", "4", "ValidationError"),
        ("3", "3", "3", "ok"),
        ("4", "4", "3", "ValidationError"),
    ] {
        let fields = [("MinSize", min), ("DesiredCapacity", desired), ("MaxSize", max)];
        assert_eq!(put(&fields), expected, "{fields:?}");
    }
    assert_eq!(put(&[("DesiredCapacity", "9"), ("MinSize", "9")]), "ok");
    assert_eq!(put(&[("DesiredCapacity", "8"), ("MinSize", "9")]), "ValidationError");
    assert_eq!(put(&[("DesiredCapacity", "9"), ("MaxSize", "8")]), "ValidationError");
}

#[test]
fn two_scheduled_actions_of_a_group_never_run_at_the_same_time() {
    let mut world = world();
    let mut put = |name: &str, at: i64| code(schedule(&mut world, name, &[("MinSize", "1")], &[("StartTime", at)]));
    assert_eq!([put("a", 60), put("b", 60), put("b", 61), put("a", 60)], ["ok", "AlreadyExists", "ok", "ok"]);
}

/// Start and end of the window count, and names make AWS ignore it (API reference, DescribeScheduledActions).
#[test]
fn scheduled_actions_are_listed_by_name_or_by_when_they_run() {
    let mut world = world();
    for (name, at) in [("a", 60), ("b", 120), ("c", 180)] {
        schedule(&mut world, name, &[("MinSize", "1")], &[("StartTime", at)]).unwrap();
    }
    let mut listed = |times: &[(&str, i64)], names: &[&str]| {
        let mut all = params(&[("AutoScalingGroupName", "web")]);
        let time = |seconds: i64| Value::Time(world.bench.now + SignedDuration::from_secs(seconds));
        all.0.extend(times.iter().map(|(name, seconds)| ((*name).to_owned(), time(*seconds))));
        if !names.is_empty() {
            all.0.push(("ScheduledActionNames".to_owned(), Value::list(names.iter().map(|name| Value::from(*name)))));
        }
        let Value::Map(answer) = world.call_with("DescribeScheduledActions", all).unwrap() else { panic!("a map") };
        let actions = Params(answer).maps("ScheduledUpdateGroupActions");
        actions.iter().map(|action| action.text("ScheduledActionName").unwrap().to_owned()).collect::<String>()
    };
    assert_eq!(listed(&[], &[]), "abc");
    assert_eq!(listed(&[("StartTime", 60), ("EndTime", 120)], &[]), "ab");
    assert_eq!(listed(&[("StartTime", 61)], &[]), "bc");
    assert_eq!(listed(&[("EndTime", 119)], &[]), "a");
    assert_eq!(listed(&[("EndTime", 119)], &["b", "c"]), "bc");
}

/// A batch has 1 to 50 actions (API reference, BatchPutScheduledUpdateGroupAction).
#[test]
fn a_batch_has_its_bound_and_tells_what_failed() {
    let batch = |count: usize| {
        let mut world = world();
        let action = |number: usize| {
            let Params(mut fields) = params(&[("ScheduledActionName", &format!("a{number}")), ("MinSize", "1")]);
            // The last but one is of the past.
            let at = if number + 2 == count { -60 } else { 60 * i64::try_from(number + 1).expect("a few") };
            fields.push(("StartTime".to_owned(), Value::Time(world.bench.now + SignedDuration::from_secs(at))));
            Value::Map(fields)
        };
        let mut all = params(&[("AutoScalingGroupName", "web")]);
        all.0.push(("ScheduledUpdateGroupActions".to_owned(), Value::list((0..count).map(action))));
        let answer = world.call_with("BatchPutScheduledUpdateGroupAction", all).map_err(|error| error.code)?;
        let Value::Map(answer) = answer else { panic!("a map") };
        let failed = Params(answer).maps("FailedScheduledUpdateGroupActions");
        let failed = failed.iter().map(|one| {
            (one.text("ScheduledActionName").unwrap().to_owned(), one.text("ErrorCode").unwrap().to_owned())
        });
        Ok::<_, String>((world.group().schedule.len(), failed.collect::<Vec<_>>()))
    };
    assert_eq!(batch(0), Err("ValidationError".to_owned()));
    assert_eq!(batch(1), Ok((1, Vec::new())));
    assert_eq!(batch(50), Ok((49, vec![("a48".to_owned(), "ValidationError".to_owned())])));
    assert_eq!(batch(51), Err("ValidationError".to_owned()));
}

/// 1 to 255 characters; images and types are needed where no instance is named (API reference, CreateLaunchConfiguration).
#[test]
fn a_launch_configuration_has_a_name_an_image_and_a_type() {
    let mut world = world();
    let (most, more) = ("x".repeat(255), "x".repeat(256));
    for name in ["a", "!a~", &most] {
        assert_eq!(code(configuration(&mut world, name)), "ok", "{name}");
        assert!(world.service().configurations[name].arn.ends_with(&format!(":launchConfigurationName/{name}")));
    }
    for name in ["", &more, "a b", "a:b", "ä"] {
        assert_eq!(code(configuration(&mut world, name)), "ValidationError", "{name}");
    }
    for left_out in CONFIGURATION {
        let mut fields = vec![("LaunchConfigurationName", "b")];
        fields.extend(CONFIGURATION.into_iter().filter(|field| *field != left_out));
        assert_eq!(
            code(world.call_with("CreateLaunchConfiguration", params(&fields))),
            "ValidationError",
            "{left_out:?}"
        );
    }
}

/// "The range is from 30 to 7200 seconds" (API reference, PutLifecycleHook, `HeartbeatTimeout`).
#[test]
fn a_hook_waits_for_30_to_7200_seconds() {
    let mut world = world();
    for (seconds, expected) in [("29", "ValidationError"), ("30", "ok"), ("7200", "ok"), ("7201", "ValidationError")] {
        let fields = [
            ("LifecycleHookName", "h"),
            ("LifecycleTransition", "autoscaling:EC2_INSTANCE_LAUNCHING"),
            ("HeartbeatTimeout", seconds),
        ];
        assert_eq!(code(world.call("PutLifecycleHook", &fields)), expected, "{seconds}");
    }
}

/// A key has 1 to 128 characters and does not start with `aws:` (API reference, Tag). A value that is given with a deletion
/// must be the tag's.
#[test]
fn tags_are_checked_and_deleted_by_key_and_value() {
    let mut world = world();
    let (most, more) = ("x".repeat(128), "x".repeat(129));
    for (key, expected) in [
        ("a", "ok"),
        (&*most, "ok"),
        ("", "ValidationError"),
        (&*more, "ValidationError"),
        ("aws:a", "ValidationError"),
    ] {
        assert_eq!(code(tag(&mut world, "CreateOrUpdateTags", &[("Key", key), ("Value", "v")])), expected, "{key}");
    }
    let mut delete = |fields: &[(&str, &str)]| {
        tag(&mut world, "DeleteTags", fields).unwrap();
        world.group().tags.contains_key("a")
    };
    assert!(delete(&[("Key", "a"), ("Value", "other")]));
    assert!(!delete(&[("Key", "a"), ("Value", "v")]));
    tag(&mut world, "CreateOrUpdateTags", &[("Key", "a"), ("Value", "v")]).unwrap();
    tag(&mut world, "DeleteTags", &[("Key", "a")]).unwrap();
    assert!(!world.group().tags.contains_key("a"));
}
