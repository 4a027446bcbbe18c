//! The language of Auto Scaling groups as users meet it: policies, schedule, purchase options, processes.

use std::time::Duration;

use super::model::{Adjustment, Autoscaling, Capacity, Policy, WarmPool};
use super::tests::{cluster_problems, group_problems, stack_of, warnings_of};

/// The group of a stack with one cluster that has these keys beside `max: 4`.
fn group(keys: &str) -> Autoscaling {
    let stack = stack_of(&format!("name: s\nclusters: {{a: {{autoscaling: {{max: 4, {keys}}}}}}}\n"));
    let Capacity::Group(group) = &stack.clusters[0].capacity else { panic!("a group") };
    group.clone()
}

/// Every part of `expected` is in what is wrong with a group that has these keys.
fn refused(keys: &str, expected: &[&str]) {
    let problems = group_problems(keys);
    for part in expected {
        assert!(problems.contains(part), "{part:?} is not in {problems}");
    }
    assert_eq!(problems.trim().lines().count(), expected.len(), "{problems}");
}

#[test]
fn a_group_without_more_words_is_as_aws_would_make_it() {
    let plain = group("min: 1");
    assert_eq!((plain.cooldown, plain.health_check_type.as_str()), (Duration::from_secs(300), "ELB"));
    assert_eq!((plain.termination, plain.suspend.len()), (vec!["Default".to_owned()], 0));
    assert_eq!((plain.protect_from_scale_in, plain.mix, plain.warm_pool), (false, None, None));
}

#[test]
fn a_warm_pool_waits_stopped_unless_said_otherwise() {
    assert_eq!(group("warm_pool: {}").warm_pool.as_deref(), Some(&WarmPool::default()));
    let pool = group("warm_pool: {min: 1, prepared: 6, state: running, reuse: true}").warm_pool;
    assert_eq!(pool.as_deref(), Some(&WarmPool { min: 1, prepared: Some(6), running: true, reuse: true }));
    refused("warm_pool: {state: hibernated}", &["`state` is `hibernated`"]);
    refused("warm_pool: {}, mix: {types: [t3.micro, t3.small]}", &["A warm pool beside a mix"]);
}

#[test]
fn steps_add_or_change_by_percent_or_set_but_not_in_one_policy() {
    let steps =
        |steps: &str, more: &str| format!("policies: [step: {{metric: cpu, above: 70, steps: [{steps}]{more}}}]");
    let percent = group(&steps("{from: 0, percent: 25}", ", min_change: 2, aggregation: Maximum, warmup: 30s"));
    let Policy::Step { adjustment, steps: written, aggregation, warmup, .. } = &percent.policies[0] else {
        panic!("a step policy")
    };
    assert_eq!((*adjustment, written[0].amount), (Adjustment::Percent { least: Some(2) }, 25));
    assert_eq!((aggregation.as_str(), *warmup), ("Maximum", Some(Duration::from_secs(30))));
    let set = group(&steps("{from: 0, set: 3}", ""));
    assert!(matches!(set.policies[0], Policy::Step { adjustment: Adjustment::Set, .. }));

    refused(&steps("{from: 0, to: 10, add: 1}, {from: 10, percent: 20}", ""), &["Steps of different kinds"]);
    refused(&steps("{from: 0}", ""), &["exactly one of `add`, `percent` and `set`"]);
    refused(&steps("{from: 0, add: 1}", ", min_change: 2"), &["`min_change` goes with `percent` only"]);
    refused(&steps("{from: 0, set: -1}", ""), &["`set` is `-1`"]);
    refused(&steps("{from: 0, add: 1}", ", aggregation: Sum"), &["`aggregation` is `Sum`"]);
}

#[test]
fn a_simple_policy_does_one_thing_and_waits_for_the_groups_cooldown_or_its_own() {
    let policies = "policies: [simple: {metric: cpu, above: 80, add: 1}, simple: {metric: cpu, below: 20, percent: -50, cooldown: 0s}]";
    let group = group(&format!("cooldown: 90s, {policies}"));
    let cooldowns: Vec<_> = group
        .policies
        .iter()
        .map(|policy| match policy {
            Policy::Simple { name, amount, cooldown, .. } => (name.as_str(), *amount, cooldown.as_secs()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(cooldowns, [("simple-cpu-above-80", 1, 90), ("simple-cpu-below-20", -50, 0)]);
    refused(
        "policies: [simple: {metric: cpu, above: 80, add: 1, set: 2}]",
        &["exactly one of `add`, `percent` and `set`"],
    );
    refused("policies: [simple: {metric: cpu, add: 1}]", &["No threshold"]);
    refused("policies: [simple: {metric: cpu, above: 1, add: 1, cooldown: -5s}]", &["`cooldown` is `-5s`"]);
}

#[test]
fn target_tracking_can_leave_scaling_in_to_others() {
    let group = group("policies: [target_tracking: {metric: cpu, target: 50, scale_in: false, warmup: 2m}]");
    let Policy::TargetTracking { scale_in, warmup, .. } = &group.policies[0] else { panic!("target tracking") };
    assert_eq!((*scale_in, *warmup), (false, Some(Duration::from_secs(120))));
}

#[test]
fn a_scheduled_action_recurs_or_happens_once() {
    let sale = group("schedule: [{name: sale, start: '2026-11-27T08:00:00-05:00', min: 3}]").schedule.remove(0);
    assert_eq!(sale.start.unwrap().to_string(), "2026-11-27T13:00:00Z");
    assert_eq!(sale.cron, None);
    let season = "schedule: [{name: s, cron: 0 8 * * *, start: '2026-11-01T00:00Z', end: '2026-12-31T00:00Z', min: 3}]";
    assert!(group(season).schedule[0].end.is_some());

    refused("schedule: [{name: s, min: 3}]", &["No time"]);
    refused(
        "schedule: [{name: s, start: '2026-11-01T00:00Z', end: '2026-12-31T00:00Z', time_zone: UTC, min: 3}]",
        &["`end` goes with `cron`", "`time_zone` goes with `cron`"],
    );
    refused(
        "schedule: [{name: s, cron: 0 8 * * *, start: '2026-12-31T00:00Z', end: '2026-11-01T00:00Z', min: 3}]",
        &["`end` must be after `start`"],
    );
    refused("schedule: [{name: s, start: '2026-02-30T00:00:00Z', min: 3}]", &["is not in the calendar"]);
    refused("schedule: [{name: s, start: tomorrow, min: 3}]", &["`start` is `tomorrow`"]);
    let twice = "{name: a, start: '2026-11-01T00:00Z', min: 1}, {name: b, start: '2026-11-01T01:00+01:00', min: 2}";
    refused(&format!("schedule: [{twice}]"), &["`a` runs at the same time as `b`"]);
}

#[test]
fn termination_policies_and_processes_are_those_that_aws_knows() {
    let known = group("termination: [OldestInstance, Default], suspend: [ReplaceUnhealthy, AZRebalance]");
    assert_eq!(known.termination, ["OldestInstance", "Default"]);
    assert_eq!(known.suspend.into_iter().collect::<Vec<_>>(), ["AZRebalance", "ReplaceUnhealthy"]);

    refused("termination: [Default, OldestInstance]", &["`Default` decides for good"]);
    refused("termination: [OldestInstance, OldestInstance]", &["Duplicate policy"]);
    refused("termination: [OldestInstances]", &["`termination` is `OldestInstances`"]);
    refused("suspend: [AzRebalance]", &["`suspend` is `AzRebalance`"]);
    let warnings = warnings_of("name: s\nclusters: {a: {autoscaling: {max: 4, suspend: [Launch]}}}\n");
    assert!(warnings.contains("The group may stay empty"), "{warnings}");
}

#[test]
fn a_mix_has_types_of_one_architecture_and_the_first_names_the_cluster() {
    let stack = stack_of(
        "name: s\nclusters: {a: {autoscaling: {max: 4, mix: {types: [t3.large, t3a.large], on_demand_base: 1, \
         on_demand_percent: 50, max_price: 0.05}}}}\n",
    );
    let cluster = &stack.clusters[0];
    assert_eq!((cluster.instance_type.as_str(), cluster.instance_types()), ("t3.large", vec!["t3.large", "t3a.large"]));
    let Capacity::Group(Autoscaling { mix: Some(mix), .. }) = &cluster.capacity else { panic!("a mixed group") };
    assert_eq!((mix.on_demand_base, mix.on_demand_percent), (1, 50));
    assert_eq!((mix.spot_strategy.as_str(), mix.spot_pools), ("price-capacity-optimized", None));
    assert_eq!(mix.max_price.as_deref(), Some("0.05"));
    let cheap = group("mix: {types: [t3.large], spot_strategy: lowest-price}").mix.unwrap();
    assert_eq!(cheap.spot_pools, Some(2), "AWS's default");

    refused("mix: {types: []}", &["a mix has 1 to 40 instance types, but here are 0"]);
    let types = crate::catalog::instance_types::TYPES.iter().filter(|row| row.architecture() == "x86_64");
    let many: Vec<_> = types.map(|row| row.name).take(41).collect();
    refused(&format!("mix: {{types: [{}]}}", many.join(", ")), &["but here are 41"]);
    refused("mix: {types: [t3.large, t3.large]}", &["Duplicate type"]);
    refused("mix: {types: [t3.large, t4g.large]}", &["Two architectures"]);
    refused("mix: {types: [t3.large], spot_pools: 3}", &["`spot_pools` goes with `lowest-price` only"]);
    refused("mix: {types: [t3.large], max_price: 0.0001}", &["a spot price is at least 0.001"]);
    refused("mix: {types: [t3.large], on_demand_percent: 101}", &["`on_demand_percent` is `101`"]);
    refused("mix: {types: [t3.large], spot_strategy: capacity-optimised}", &["`spot_strategy` is"]);
    let both = cluster_problems("instance_type: t3.large, autoscaling: {max: 4, mix: {types: [t3.large]}}");
    assert!(both.contains("Both one type and a mix"), "{both}");
}

#[test]
fn an_instance_profile_goes_by_name_or_arn() {
    let profile = |text: &str| {
        let stack = stack_of(&format!("name: s\nclusters: {{a: {{instance_profile: '{text}'}}}}\n"));
        stack.clusters[0].instance_profile.clone()
    };
    assert_eq!(profile("LabInstanceProfile").as_deref(), Some("LabInstanceProfile"));
    let arn = "arn:aws:iam::123456789012:instance-profile/path/app";
    assert_eq!(profile(arn).as_deref(), Some(arn));
    for wrong in ["a b", "arn:aws:iam::123456789012:role/app"] {
        let problems = cluster_problems(&format!("instance_profile: '{wrong}'"));
        assert!(problems.contains("the name or the ARN of an instance profile"), "{problems}");
    }
}
