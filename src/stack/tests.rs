//! The language as users meet it: a text in, a stack or problems out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::model::{
    Adjustment, Capacity, Comparison, FixedRollout, Image, Metric, Network, Policy, Step, Trigger, Variable,
    WeightedRoute,
};
use super::*;
use crate::document::{check, grammar, yaml};

/// Loads a text as if it were `stack.yaml` in an empty folder.
fn load_text(text: &str, overrides: &Overrides) -> Result<(Stack, Problems), Problems> {
    let source = Arc::new(Source { name: "stack.yaml".into(), text: text.into() });
    from_document(Document::parse(source, &language::STACK)?, Path::new("stack.yaml"), overrides)
}

pub(super) fn stack_of(text: &str) -> Stack {
    load_text(text, &Overrides::default()).expect("the stack is valid").0
}

pub(super) fn warnings_of(text: &str) -> String {
    load_text(text, &Overrides::default()).expect("the stack is valid").1.to_string()
}

pub(super) fn problems_of(text: &str) -> String {
    load_text(text, &Overrides::default()).expect_err("there is a problem").to_string()
}

/// Problems of a stack with one cluster `a` that has these keys.
pub(super) fn cluster_problems(keys: &str) -> String {
    problems_of(&format!("name: s\nclusters:\n  a: {{{keys}}}\n"))
}

/// Problems of a stack with one group that has these keys beside `max: 4`.
pub(super) fn group_problems(keys: &str) -> String {
    cluster_problems(&format!("autoscaling: {{max: 4, {keys}}}"))
}

const DESIGN_EXAMPLE: &str = r#"
name: two-clusters
provider: local
region: us-east-1
variables: {delay_ms: 0}
network: default
load_balancer:
  port: 80
  default: {status: 404, body: "no such cluster\n"}
clusters:
  light:
    instance_type: t2.large
    instances: 4
    image: amazon-linux-2023
    user_data: ../userdata/workload.sh
    port: 8080
    routes: ["/cluster1", "/cluster1/*"]
    health_check: {path: /health, interval: 10s, timeout: 5s, healthy: 2, unhealthy: 2, codes: "200"}
  heavy:
    instance_type: m4.large
    routes: ["/cluster2", "/cluster2/*"]
    autoscaling:
      min: 2
      max: 8
      desired: 2
      warmup: 60s
      health_grace: 60s
      policies:
        - target_tracking: {metric: cpu, target: 50}
        - step: {metric: cpu, above: 70, period: 60s, evaluations: 2, steps: [{from: 0, to: 10, add: 1}, {from: 10, add: 2}]}
      schedule: [{name: morning, cron: "0 8 * * MON-FRI", time_zone: America/Toronto, min: 4}]
      rollout: {min_healthy: 90, max_healthy: 110}
benchmark: ../benchmarks/log8415.yaml
tags: {course: log8415}
"#;

/// The example in its place, beside the files that it names.
fn design_example() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("stacks/stack.yaml", DESIGN_EXAMPLE),
        ("userdata/workload.sh", "#!/bin/bash\nserve ${cluster.name} ${cluster.port} ${stack.name} ${var.delay_ms}\n"),
        ("benchmarks/log8415.yaml", "name: x\n"),
    ] {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let file = folder.path().join("stacks/stack.yaml");
    (folder, file)
}

#[test]
fn the_example_of_the_design_loads() {
    let (_folder, file) = design_example();
    let (stack, warnings) = load(&file, &Overrides::default()).unwrap();
    assert_eq!(warnings, Problems::default());
    let [light, heavy] = &stack.clusters[..] else { panic!("two clusters in file order") };
    assert_eq!(light.user_data.as_ref().unwrap().text.expose(), "#!/bin/bash\nserve light 8080 two-clusters 0\n");
    assert_eq!(
        light.capacity,
        Capacity::Fixed { instances: 4, rollout: FixedRollout { max_surge: 25, max_unavailable: 0 } }
    );
    assert_eq!(light.health_check.interval, Duration::from_secs(10));
    let Capacity::Group(group) = &heavy.capacity else { panic!("a group") };
    assert_eq!((group.min, group.max, group.desired), (2, 8, 2));
    assert_eq!(
        group.policies,
        [
            Policy::TargetTracking {
                name: "target-tracking-cpu".into(),
                metric: Metric::Cpu,
                target: 50.0,
                scale_in: true,
                warmup: None,
            },
            Policy::Step {
                name: "step-cpu-above-70".into(),
                trigger: Trigger {
                    metric: Metric::Cpu,
                    comparison: Comparison::Above,
                    threshold: 70.0,
                    period: Duration::from_secs(60),
                    evaluations: 2,
                },
                adjustment: Adjustment::Add,
                steps: vec![
                    Step { from: Some(0.0), to: Some(10.0), amount: 1 },
                    Step { from: Some(10.0), to: None, amount: 2 }
                ],
                aggregation: "Average".into(),
                warmup: None,
            },
        ]
    );
    assert_eq!(group.schedule[0].min, Some(4));
}

#[test]
fn the_shipped_stacks_load_without_a_warning() {
    for name in ["two-clusters", "scaling-group", "flask", "own-network", "canary"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("stacks/{name}.yaml"));
        let (stack, warnings) = load(&file, &Overrides::default()).unwrap();
        assert_eq!((stack.name.as_str(), warnings), (name, Problems::default()));
    }
}

#[test]
fn all_but_name_and_clusters_has_defaults() {
    let stack = stack_of("name: s\nclusters: {web: {}}\n");
    let web = &stack.clusters[0];
    assert_eq!((stack.provider, stack.region.as_str()), (Provider::Local, "us-east-1"));
    assert_eq!(stack.network, Network::Default);
    let load_balancer = stack.load_balancer.expect("one, unless there is to be none");
    assert_eq!((load_balancer.port, load_balancer.default.status), (80, 404));
    assert_eq!(load_balancer.default.body, "no such cluster\n");
    assert_eq!((web.instance_type.as_str(), web.port), ("t3.micro", 8080));
    assert_eq!(web.routes, ["/web", "/web/*"]);
    assert_eq!(web.health_check.path, "/health");
    assert_eq!(
        web.capacity,
        Capacity::Fixed { instances: 1, rollout: FixedRollout { max_surge: 25, max_unavailable: 0 } }
    );
    assert!(matches!(&web.image, Image::Alias { parameter, .. } if parameter.ends_with("kernel-default-x86_64")));
}

#[test]
fn the_command_line_overrides_the_file() {
    let overrides = Overrides {
        provider: Some(Provider::Aws),
        region: Some("ca-central-1".into()),
        given: Given { vars: BTreeMap::from([("delay_ms".into(), "200".into())]), ..Given::default() },
    };
    let (stack, _) = load_text("name: s\nvariables: {delay_ms: 0}\nclusters: {a: {}}\n", &overrides).unwrap();
    assert_eq!((stack.provider, stack.region.as_str()), (Provider::Aws, "ca-central-1"));
    assert_eq!(stack.variables["delay_ms"], Variable::Plain("200".into()));
}

#[test]
fn an_override_of_an_unknown_variable_is_a_problem() {
    let overrides = Overrides {
        given: Given { vars: BTreeMap::from([("delay".into(), "1".into())]), ..Given::default() },
        region: Some("us".into()),
        ..Overrides::default()
    };
    let problems = load_text("name: s\nvariables: {delay_ms: 0}\nclusters: {a: {}}\n", &overrides).unwrap_err();
    insta::assert_snapshot!(problems, @r"
    Invalid region: `--region us` is no AWS region
    Unknown variable: `--var delay=…`: the stack has no variable `delay`
    ");
    assert_eq!(problems.0[1].hint.as_deref(), Some("did you mean `delay_ms`?"));
}

#[test]
fn every_problem_is_reported_at_once_in_file_order() {
    insta::assert_snapshot!(problems_of(r#"
nmae: s
provider: azure
load_balancer: {port: 80000, default: {status: 302}}
clusters:
  Web_1:
    instances: many
    instnace_type: t3.micro
    health_check: {interval: 60, timeout: 1m30s}
    routes: ["/a b", "/ok*"]
  b: [1]
"#), @r#"
    stack.yaml:2:1: Unknown key: a stack has no key `nmae`
    stack.yaml:3:11: Invalid value: `provider` is `azure`, but must be one of `local`, `aws`
    stack.yaml:4:23: Invalid value: `port` is `80000`, but must be a whole number from 1 to 65535
    stack.yaml:4:48: Invalid status code: a fixed response is 2xx, 4xx or 5xx, but here is 302
    stack.yaml:6:3: Invalid value: the key is `Web_1`, but must be a name (small letters, digits and single hyphens, a letter first, at most 32 characters)
    stack.yaml:7:16: Invalid value: `instances` is `many`, but must be a whole number from 0 to 5000
    stack.yaml:8:5: Unknown key: a cluster has no key `instnace_type`
    stack.yaml:9:30: Invalid value: `interval` is `60`, but must be a duration from 5s to 5m
    stack.yaml:10:14: Invalid route: `/a b`: the load balancer allows letters, digits and _-.$/~"'@:+&*? but not ' '
    stack.yaml:10:22: Route matches more than it seems to: `/ok*` also matches `/ok0` and `/ok-other`
    stack.yaml:11:3: Wrong kind of value: `b` must be a cluster (a map with `instance_type`, `instances`, `rollout`, `autoscaling`, `image`, `user_data`, `instance_profile`, `port`, `routes`, `health_check`, `algorithm`, `stickiness`, `slow_start`, `deregistration_delay`), but here is a list
    "#);
}

#[test]
fn unknown_keys_get_a_suggestion() {
    let problems =
        load_text("name: s\nclusters: {a: {instnaces: 2}}\ncolour: red\n", &Overrides::default()).unwrap_err();
    let hints: Vec<_> = problems.0.iter().map(|problem| problem.hint.as_deref().unwrap_or_default()).collect();
    assert_eq!(hints[0], "did you mean `instances`?");
    assert!(hints[1].starts_with("known: `name`, `provider`"), "{}", hints[1]);
}

#[test]
fn durations_carry_units() {
    insta::assert_snapshot!(group_problems("warmup: 60, health_grace: 1500ms"), @r"
    stack.yaml:3:37: Invalid value: `warmup` is `60`, but must be a duration from 0s to 1h
    stack.yaml:3:55: Invalid value: `health_grace` is `1500ms`, but must be a duration from 0s to 2h
    ");
    let stack = stack_of("name: s\nclusters: {a: {autoscaling: {max: 1, health_grace: 1h30m, warmup: '5m'}}}\n");
    let Capacity::Group(group) = &stack.clusters[0].capacity else { panic!("a group") };
    assert_eq!((group.health_grace.as_secs(), group.warmup.as_secs()), (5400, 300));
}

#[test]
fn a_short_interval_shortens_the_default_timeout() {
    let stack = stack_of("name: s\nclusters: {a: {health_check: {interval: 5s}}}\n");
    assert_eq!(stack.clusters[0].health_check.timeout, Duration::from_secs(4));
    insta::assert_snapshot!(cluster_problems("health_check: {interval: 5s, timeout: 5s}"), @"stack.yaml:3:45: The time limit is too long: `timeout` (5s) must be shorter than `interval` (5s)");
}

#[test]
fn health_checks_keep_to_the_ranges_of_aws() {
    insta::assert_snapshot!(cluster_problems("health_check: {interval: 2s, healthy: 1, unhealthy: 11, path: health, codes: 200-600}"), @r"
    stack.yaml:3:32: Invalid value: `interval` is `2s`, but must be a duration from 5s to 5m
    stack.yaml:3:45: Invalid value: `healthy` is `1`, but must be a whole number from 2 to 10
    stack.yaml:3:59: Invalid value: `unhealthy` is `11`, but must be a whole number from 2 to 10
    stack.yaml:3:69: Invalid path: `health` is no path of at most 1024 characters
    stack.yaml:3:84: Invalid status codes: `200-600`: codes are from 200 to 499, and ranges rise
    ");
}

#[test]
fn names_keep_to_their_form() {
    insta::assert_snapshot!(problems_of("name: My_Stack\nclusters: {a--b: {}, ab-: {}}\n"), @r"
    stack.yaml:1:7: Invalid value: `name` is `My_Stack`, but must be a name (small letters, digits and single hyphens, a letter first, at most 32 characters)
    stack.yaml:2:12: Invalid value: the key is `a--b`, but must be a name (small letters, digits and single hyphens, a letter first, at most 32 characters)
    stack.yaml:2:22: Invalid value: the key is `ab-`, but must be a name (small letters, digits and single hyphens, a letter first, at most 32 characters)
    ");
}

#[test]
fn ports_keep_to_their_range() {
    insta::assert_snapshot!(cluster_problems("port: 0"), @"stack.yaml:3:13: Invalid value: `port` is `0`, but must be a whole number from 1 to 65535");
}

#[test]
fn a_fixed_response_is_no_redirect_and_not_long() {
    let body = "x".repeat(1025);
    insta::assert_snapshot!(problems_of(&format!("name: s\nload_balancer: {{default: {{status: 301, body: {body}}}}}\nclusters: {{a: {{}}}}\n")), @r"
    stack.yaml:2:35: Invalid status code: a fixed response is 2xx, 4xx or 5xx, but here is 301
    stack.yaml:2:46: The body is too long: a fixed response has at most 1024 bytes, but here are 1025
    ");
}

#[test]
fn routes_keep_to_the_limits_of_a_rule() {
    insta::assert_snapshot!(cluster_problems("routes: [/1, /2, /3, /4, /5, /6]"), @"stack.yaml:3:7: Too many routes: a rule of the load balancer holds 5 patterns, but the routes of `a` have 6");
    insta::assert_snapshot!(cluster_problems("routes: ['/a/*/*/*', '/b/?/?/?']"), @"stack.yaml:3:7: Too many routes: a rule of the load balancer holds 5 wildcards, but the routes of `a` have 6");
}

#[test]
fn a_default_route_can_be_shadowed_too() {
    insta::assert_snapshot!(problems_of("name: s\nclusters:\n  all: {routes: ['/*']}\n  web: {}\n"), @r"
    stack.yaml:4:3: Unreachable route: `/web` of `web` never gets a request: `/*` of `all` on line 3 matches it first
    stack.yaml:4:3: Unreachable route: `/web/*` of `web` never gets a request: `/*` of `all` on line 3 matches it first
    ");
}

#[test]
fn a_cluster_has_fixed_instances_or_a_group() {
    insta::assert_snapshot!(cluster_problems("instances: 2, autoscaling: {max: 3}"), @"stack.yaml:3:18: Both fixed instances and a group: a cluster has either `instances` (fixed instances) or `autoscaling` (a group)");
}

#[test]
fn images_are_known_aliases_ids_or_parameters() {
    insta::assert_snapshot!(cluster_problems("image: amazon-linux-2032"), @"stack.yaml:3:14: Unknown image: `amazon-linux-2032` is neither an id (`ami-…`) nor an image that cloudscale knows");
    insta::assert_snapshot!(cluster_problems("image: ami-xyz"), @"stack.yaml:3:14: Invalid image: `ami-xyz` is no id of an image");
    let stack = stack_of(
        "name: s\nclusters: {a: {image: {ssm: /my/image}}, b: {instance_type: t4g.small}, c: {image: ami-0123456789abcdef0}}\n",
    );
    assert_eq!(stack.clusters[0].image, Image::Parameter("/my/image".into()));
    assert!(matches!(&stack.clusters[1].image, Image::Alias { parameter, .. } if parameter.ends_with("arm64")));
    assert_eq!(stack.clusters[2].image, Image::Id("ami-0123456789abcdef0".into()));
}

#[test]
fn a_missing_script_is_a_problem_and_a_missing_scenario_a_warning() {
    insta::assert_snapshot!(cluster_problems("user_data: nowhere.sh"), @"stack.yaml:3:18: The script is missing: there is no file nowhere.sh");
    insta::assert_snapshot!(warnings_of("name: s\nclusters: {a: {}}\nbenchmark: nowhere.yaml\n"), @"stack.yaml:3:12: The scenario is missing: there is no file nowhere.yaml");
}

#[test]
fn an_existing_network_needs_two_subnets() {
    let problems = |network: &str| problems_of(&format!("name: s\nclusters: {{a: {{}}}}\nnetwork: {network}\n"));
    insta::assert_snapshot!(problems("{vpc: vpc-12ab, subnets: [subnet-1]}"), @"stack.yaml:3:26: Too few subnets: a load balancer needs two different subnets or more");
    insta::assert_snapshot!(problems("{vpc: vpc-12ab, subnets: [subnet-1, subnet-1]}"), @"stack.yaml:3:26: Too few subnets: a load balancer needs two different subnets or more");
    insta::assert_snapshot!(problems("other"), @"stack.yaml:3:10: Invalid value: `network` is `other`, but must be `default`");
}

#[test]
fn a_created_network_has_room_for_its_subnets() {
    let problems = |network: &str| problems_of(&format!("name: s\nclusters: {{a: {{}}}}\nnetwork: {network}\n"));
    insta::assert_snapshot!(problems("{cidr: 10.0.1.0/16}"), @"stack.yaml:3:17: Invalid address range: `10.0.1.0/16` does not start at its first address: write `10.0.0.0/16`");
    insta::assert_snapshot!(problems("{cidr: 10.0.0.0/8}"), @"stack.yaml:3:17: Invalid address range: a VPC has a prefix from /16 to /28, but here is /8");
    insta::assert_snapshot!(problems("{cidr: 10.0.0.0/26, zones: 3}"), @"stack.yaml:3:17: Invalid address range: 3 subnets of /28 are too small: a load balancer needs /27");
    insta::assert_snapshot!(problems("{cidr: 300.0.0.0/16}"), @"stack.yaml:3:17: Invalid address range: `300.0.0.0/16` is no IPv4 address range");
    let stack = stack_of("name: s\nclusters: {a: {}}\nnetwork: {cidr: 10.0.0.0/16, zones: 3}\n");
    assert_eq!(stack.network, Network::Created { cidr: "10.0.0.0/16".into(), zones: 3 });
}

#[test]
fn tags_of_aws_and_ours_are_reserved() {
    insta::assert_snapshot!(problems_of("name: s\nclusters: {a: {}}\ntags: {aws:x: 1, cloudscale:stack: 2}\n"), @r"
    stack.yaml:3:15: Invalid tag: tags that start with `aws:` are not for users
    stack.yaml:3:36: Invalid tag: tags that start with `cloudscale:` are not for users
    ");
}

#[test]
fn capacities_rise_from_min_over_desired_to_max() {
    insta::assert_snapshot!(group_problems("min: 5"), @"stack.yaml:3:26: Minimum above maximum: `min` is 5, but `max` is 4");
    insta::assert_snapshot!(group_problems("min: 2, desired: 1"), @"stack.yaml:3:46: Desired capacity out of range: `desired` is 1, but the group has from 2 to 4 instances");
}

#[test]
fn target_tracking_has_a_target_within_reach() {
    insta::assert_snapshot!(group_problems("policies: [target_tracking: {metric: cpu, target: 150}, target_tracking: {metric: cpus, target: 0}]"), @r"
    stack.yaml:3:79: Target out of reach: CPU never rises above 100 %, but the target is 150
    stack.yaml:3:111: Invalid value: `metric` is `cpus`, but must be one of `cpu`, `network_in`, `network_out`, `requests_per_target`
    stack.yaml:3:125: Invalid target: a target is above 0, but here is 0
    ");
}

#[test]
fn requests_are_counted_only_where_a_route_leads() {
    insta::assert_snapshot!(cluster_problems("routes: [], autoscaling: {max: 2, policies: [target_tracking: {metric: requests_per_target, target: 100}]}"), @"stack.yaml:3:52: Nothing to count: `requests_per_target` counts what the load balancer sends, but the cluster has no route");
}

#[test]
fn policies_have_names_of_their_own() {
    insta::assert_snapshot!(group_problems("policies: [target_tracking: {metric: cpu, target: 40}, target_tracking: {metric: cpu, target: 50}]"), @"stack.yaml:3:84: Duplicate name: two policies of the group are called `target-tracking-cpu`");
}

#[test]
fn a_policy_is_one_of_its_kinds() {
    insta::assert_snapshot!(group_problems("policies: [predictive: {}]"), @"stack.yaml:3:40: Unknown key: a policy has no key `predictive`");
}

#[test]
fn a_custom_metric_is_described_in_full() {
    insta::assert_snapshot!(group_problems("policies: [target_tracking: {metric: {custom: {name: Depth}}, target: 10}]"), @"stack.yaml:3:67: Missing key: a custom metric needs `namespace`: a namespace (1–255 characters, no colon first)");
    let stack = stack_of(
        "name: s\nclusters: {a: {autoscaling: {max: 2, policies: [target_tracking: {metric: {custom: {namespace: My/App, name: Depth, dimensions: {Queue: q}}}, target: 10}]}}}\n",
    );
    let Capacity::Group(group) = &stack.clusters[0].capacity else { panic!("a group") };
    assert!(
        matches!(&group.policies[0], Policy::TargetTracking { metric: Metric::Custom { statistic, .. }, .. } if statistic == "Average")
    );
}

/// CloudWatch API reference, Metric: at most 30 dimensions.
#[test]
fn a_custom_metric_has_up_to_thirty_dimensions() {
    let policies = |count: usize| {
        let dimensions = (0..count).map(|number| format!("d{number}: v")).collect::<Vec<_>>().join(", ");
        let metric = format!("{{custom: {{namespace: App, name: Depth, dimensions: {{{dimensions}}}}}}}");
        format!("policies: [target_tracking: {{metric: {metric}, target: 10}}]")
    };
    for count in [1, 30] {
        stack_of(&format!("name: s\nclusters: {{a: {{autoscaling: {{max: 2, {}}}}}}}\n", policies(count)));
    }
    let refused = group_problems(&policies(31));
    assert!(refused.contains("Too many dimensions"), "{refused}");
}

#[test]
fn steps_fit_together() {
    let problems =
        |steps: &str| group_problems(&format!("policies: [step: {{metric: cpu, above: 70, steps: [{steps}]}}]"));
    let overlap = problems("{from: 0, to: 10, add: 1}, {from: 5, add: 2}");
    insta::assert_snapshot!(overlap, @"stack.yaml:3:71: The steps do not fit together: two steps overlap at 5");
    let mistakes = [
        "{from: 0, to: 10, add: 1}, {from: 20, add: 2}",
        "{add: 1}",
        "{from: 10, to: 0, add: 1}",
        "{from: -5, add: 1}",
        "{from: 0, to: 10, add: 1}",
        "",
    ];
    let details: Vec<String> =
        mistakes.iter().map(|steps| problems(steps).rsplit(": ").next().unwrap_or_default().to_owned()).collect();
    insta::assert_snapshot!(details.join("\n"), @r"
    between 10 and 20 is a gap
    a step needs `from` or `to`
    `from` must be less than `to`
    with a negative `from`, one step must have no `from`
    with a positive `to`, one step must have no `to`
    a policy has 1 to 20 steps, but here are 0
    ");
}

#[test]
fn a_step_policy_has_one_threshold_and_a_period_of_cloudwatch() {
    insta::assert_snapshot!(group_problems("policies: [step: {metric: cpu, period: 45s, steps: [{from: 0, add: 1}]}]"), @r"
    stack.yaml:3:40: No threshold: the policy has exactly one of `above` and `below`
    stack.yaml:3:68: Invalid period: a period is 10s, 20s, 30s or whole minutes, but here is 45s
    ");
    insta::assert_snapshot!(group_problems("policies: [step: {metric: cpu, above: 1, below: 2, period: 1h, evaluations: 30, steps: [{from: 0, add: 1}]}]"), @r"
    stack.yaml:3:40: No threshold: the policy has exactly one of `above` and `below`
    stack.yaml:3:105: The alarm looks back too far: `period` × `evaluations` is at most one day
    ");
}

#[test]
fn schedules_have_five_fields_and_a_known_time_zone() {
    insta::assert_snapshot!(group_problems("schedule: [{name: a, cron: '0 8 * * *  *', min: 1}, {name: b, cron: '61 8 * * *', time_zone: America/Torronto}]"), @r"
    stack.yaml:3:56: Invalid schedule: `0 8 * * *  *`: a schedule has five fields, but here are 6
    stack.yaml:3:82: Nothing to change: a scheduled action sets at least one of `min`, `max` and `desired`
    stack.yaml:3:97: Invalid schedule: `61 8 * * *`: Component error: Number out of bounds.
    stack.yaml:3:122: Unknown time zone: there is no time zone `America/Torronto`
    ");
    insta::assert_snapshot!(group_problems("schedule: [{name: a, cron: '0 8 * * *', min: 3, max: 2}, {name: a, cron: '0 8 * * *', desired: 2}]"), @r"
    stack.yaml:3:41: Capacities out of order: it must hold that min ≤ desired ≤ max
    stack.yaml:3:93: Duplicate name: two scheduled actions are called `a`
    stack.yaml:3:102: Two actions at one time: `a` runs at the same time as `a`, and AWS refuses that
    ");
}

#[test]
fn a_rollout_spans_at_most_a_hundred_percent() {
    insta::assert_snapshot!(group_problems("rollout: {min_healthy: 50, max_healthy: 200}"), @"stack.yaml:3:69: Invalid rollout: `max_healthy` is more than 100 above `min_healthy`");
}

#[test]
fn quotas_that_can_be_raised_are_warnings() {
    insta::assert_snapshot!(warnings_of("name: s\nclusters: {a: {instances: 1200}}\n"), @r#"Beyond a quota: the stack needs 1200, but AWS's default of the quota "Targets per Application Load Balancer" is 1000"#);
}

#[test]
fn a_stack_says_which_quotas_its_account_has() {
    let of = |quotas: &str, count: u32| {
        format!("name: s\nquotas: {{{quotas}}}\nclusters: {{a: {{instance_type: m4.large, instances: {count}}}}}\n")
    };
    assert_eq!(warnings_of(&of("Targets per Application Load Balancer: 2000", 1200)), "");
    let vcpus = "'Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances': 5";
    assert_eq!(warnings_of(&of(vcpus, 2)), "");
    insta::assert_snapshot!(warnings_of(&of(vcpus, 3)), @r#"stack.yaml:2:78: Beyond a quota: the stack needs 6, but the account's quota "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances" is 5"#);
    insta::assert_snapshot!(problems_of(&of("Targets per Load Balancer: 5", 1)), @"stack.yaml:2:10: Unknown key: a quotas has no key `Targets per Load Balancer`");
}

#[test]
fn clusters_share_a_route_by_weight() {
    let stack = stack_of(
        "name: s\nroutes: {shop: {paths: [/shop/*], weights: {a: 9, b: 1}, stickiness: 5m}}\nclusters: {a: {}, b: {}}\n",
    );
    let expected = WeightedRoute {
        name: "shop".into(),
        paths: vec!["/shop/*".into()],
        weights: vec![("a".into(), 9), ("b".into(), 1)],
        stickiness: Some(Duration::from_secs(300)),
    };
    assert_eq!(stack.routes, [expected]);
}

#[test]
fn a_weighted_route_must_be_served_by_clusters_of_the_stack() {
    let of =
        |route: &str| problems_of(&format!("name: s\nroutes: {{shop: {{{route}}}}}\nclusters: {{a: {{}}, b: {{}}}}\n"));
    insta::assert_snapshot!(of("paths: [/x], weights: {a: 1, c: 1}"), @"stack.yaml:2:49: Unknown cluster: the stack has no cluster `c`");
    insta::assert_snapshot!(of("paths: [/x], weights: {a: 0, b: 0}"), @"stack.yaml:2:30: No cluster serves the route: no cluster has a weight above 0, so no request would be answered");
    insta::assert_snapshot!(of("paths: [], weights: {a: 1}"), @"stack.yaml:2:17: No paths: a route needs a path");
    insta::assert_snapshot!(of("paths: ['/a', '/a/*'], weights: {b: 1}"), @r"
    stack.yaml:3:12: Unreachable route: `/a` of `a` never gets a request: `/a` of `routes.shop` on line 2 matches it first
    stack.yaml:3:12: Unreachable route: `/a/*` of `a` never gets a request: `/a/*` of `routes.shop` on line 2 matches it first
    ");
}

#[test]
fn slow_start_needs_requests_by_turns() {
    insta::assert_snapshot!(cluster_problems("slow_start: 60s, algorithm: weighted_random"), @"stack.yaml:3:19: Slow start is not possible: `slow_start` works with `round_robin` only, not with `weighted_random`");
    insta::assert_snapshot!(cluster_problems("slow_start: 10s"), @"stack.yaml:3:19: Invalid value: `slow_start` is `10s`, but must be a duration from 30s to 15m");
}

#[test]
fn https_needs_a_certificate_of_the_region_and_a_port_of_its_own() {
    let arn = "arn:aws:acm:eu-west-1:123456789012:certificate/1-2";
    let of = |https: &str| {
        format!(
            "name: s\nprovider: aws\nregion: eu-west-1\nload_balancer: {{https: {{{https}}}}}\nclusters: {{a: {{}}}}\n"
        )
    };
    assert_eq!(warnings_of(&of(&format!("certificate: '{arn}'"))), "");
    insta::assert_snapshot!(problems_of(&of(&format!("certificate: '{}'", arn.replace("eu", "us")))), @"stack.yaml:4:38: The certificate is in another region: the certificate is in us-west-1, but the load balancer will be in eu-west-1");
    insta::assert_snapshot!(problems_of(&of(&format!("certificate: '{arn}', port: 80"))), @"stack.yaml:4:98: One port for two listeners: HTTP, which leads to HTTPS, has port 80 already");
    assert_eq!(warnings_of(&of(&format!("certificate: '{arn}', port: 80, redirect: false"))), "");
}

#[test]
fn ssh_is_never_open_to_the_whole_internet() {
    let of = |cidr: &str| problems_of(&format!("name: s\nssh: {{key: k, cidr: {cidr}}}\nclusters: {{a: {{}}}}\n"));
    insta::assert_snapshot!(of("0.0.0.0/0"), @"stack.yaml:2:21: SSH would be open to the whole internet: `0.0.0.0/0`");
    insta::assert_snapshot!(of("10.1.2.3/8"), @"stack.yaml:2:21: Invalid address range: `10.1.2.3/8` does not start at its first address: write `10.0.0.0/8`");
    let ssh = stack_of("name: s\nssh: {key: k, cidr: 203.0.113.7/32}\nclusters: {a: {}}\n").ssh.expect("ssh");
    assert_eq!((ssh.key.as_str(), ssh.cidr.as_str()), ("k", "203.0.113.7/32"));
}

#[test]
fn numbers_in_quotes_are_texts() {
    insta::assert_snapshot!(cluster_problems("port: '8080'"), @"stack.yaml:3:13: Invalid value: `port` is `8080`, but must be a whole number from 1 to 65535");
}

#[test]
fn without_a_load_balancer_there_are_fixed_instances_and_nothing_that_is_its() {
    let stack = stack_of("name: s\nload_balancer: none\nclusters: {a: {instances: 3, port: 9000}}\n");
    assert_eq!((stack.load_balancer, stack.clusters[0].routes.len(), stack.clusters[0].port), (None, 0, 9000));
    let text = "name: s\nload_balancer: none\ndashboard: true\nroutes: {r: {paths: [/r], weights: {a: 1}}}\nclusters:\n  \
                a: {routes: [/a], health_check: {path: /up}, algorithm: round_robin, stickiness: 60s, slow_start: 30s, \
                deregistration_delay: 5s}\n  b: {autoscaling: {min: 1, max: 2}}\n";
    let problems = problems_of(text);
    let refused = ["dashboard", "routes", "health_check", "algorithm", "stickiness", "slow_start", "autoscaling"];
    for key in refused.into_iter().chain(["deregistration_delay"]) {
        assert!(problems.contains(&format!("`{key}`: ")), "{key}: {problems}");
    }
    assert_eq!(problems.matches("There is no load balancer").count(), 9, "{problems}");
}

#[test]
fn an_empty_stack_says_what_is_missing() {
    insta::assert_snapshot!(problems_of("{}"), @r"
    stack.yaml:1:1: Missing key: a stack needs `name`: a name (small letters, digits and single hyphens, a letter first, at most 32 characters)
    stack.yaml:1:1: Missing key: a stack needs `clusters`: a map
    ");
    insta::assert_snapshot!(problems_of("just text"), @"stack.yaml:1:1: Wrong kind of value: the file must be a stack (a map with `name`, `provider`, `local`, `region`, `variables`, `network`, `load_balancer`, `routes`, `clusters`, `load_generators`, `dashboard`, `ssh`, `quotas`, `benchmark`, `tags`), but here is the text `just text`");
    insta::assert_snapshot!(problems_of("name: s\nclusters: {}\n"), @"stack.yaml:2:1: No clusters: a stack needs at least one cluster");
}

#[test]
fn every_pattern_and_default_of_the_language_is_sound() {
    fn visit(kind: &Kind) {
        match kind {
            Kind::Pattern { regex, .. } => assert!(Regex::new(regex).is_ok(), "{regex}"),
            Kind::List(item) => visit(item),
            Kind::Map { keys, values } => {
                visit(keys);
                visit(values);
            }
            Kind::OneOf(kinds) => kinds.iter().for_each(visit),
            Kind::Object(object) | Kind::Tagged(object) => {
                for key in object.keys {
                    visit(&key.kind);
                    assert!(!key.about.is_empty(), "{}", key.name);
                    if let grammar::Presence::Default(text) = key.presence {
                        let source = Arc::new(Source { name: key.name.into(), text: format!("{text:?}") });
                        let quoted =
                            matches!(key.kind, Kind::Text | Kind::Pattern { .. } | Kind::Choice(_) | Kind::OneOf(_));
                        let source =
                            if quoted { source } else { Arc::new(Source { name: key.name.into(), text: text.into() }) };
                        assert_eq!(
                            check::check(&source, &yaml::parse(&source).unwrap(), &key.kind),
                            Problems::default()
                        );
                    }
                }
            }
            _ => {}
        }
    }
    visit(&Kind::Object(&language::STACK));
}
