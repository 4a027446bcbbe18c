//! Every key of the stack language with what a change of it does: the gentlest action that AWS has.
//!
//! A row is `symbol address: fields`; fields that force a replacement carry a `!`, fields that follow another resource
//! an arrow. A key that no case names fails the test.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::tests::network;
use super::*;
use crate::document::grammar::{Kind, Object};
use crate::engine::plan::Report;
use crate::resource::erased::Observed;
use crate::resource::running::{ClusterRunning, Running};
use crate::resources::TYPES;
use crate::resources::network::{LiveNetwork, StackNetwork, as_declared};
use crate::resources::provider::outlook;
use crate::resources::targets::instances_of;
use crate::stack::language::STACK;
use crate::stack::model::{Capacity, Network, Stack};
use crate::stack::{Overrides, load};

pub(crate) const BASE: &str = r#"
name: web
tags: {course: one}
load_balancer: {port: 80, default: {status: 404, body: "nobody", content_type: text/plain}}
clusters:
  fleet:
    instance_type: t2.large
    instances: 4
    port: 8080
    user_data: one.sh
    routes: ["/fleet"]
    health_check: {path: /health, interval: 10s, timeout: 5s, healthy: 2, unhealthy: 2, codes: "200"}
  group:
    instance_type: m4.large
    image: ami-0123456789abcdef0
    port: 8081
    routes: ["/group"]
    autoscaling:
      min: 2
      max: 8
      desired: 3
      warmup: 60s
      health_grace: 60s
      policies:
        - target_tracking: {name: cpu, metric: cpu, target: 50}
        - step: {name: up, metric: cpu, above: 70, period: 60s, evaluations: 2, steps: [{from: 0, add: 1}]}
      schedule: [{name: morning, cron: "0 8 * * *", time_zone: UTC, min: 3}]
      rollout: {min_healthy: 90, max_healthy: 110}
"#;

/// AWS gives these no tags.
const UNTAGGED: &[&str] = &["alarm", "target_attachment", "scaling_policy", "scheduled_action"];

/// What has no case, and why.
const WITHOUT_CASE: &[(&str, &str)] = &[
    ("name", "another stack"),
    ("provider", "another cloud"),
    ("region", "another region"),
    ("local", "how the embedded region runs"),
    ("variables", "they are in the user data"),
    ("benchmark", "not of the cloud"),
    ("quotas", "what the account may have, for warnings"),
    ("clusters.autoscaling.mix", "like `instance_type`; `mixed_instances.rs` has its fields"),
];

fn stack(text: &str) -> Stack {
    let folder = tempfile::tempdir().expect("a folder");
    for script in ["one.sh", "two.sh"] {
        std::fs::write(folder.path().join(script), format!("#!/bin/bash\necho {script}\n")).expect("a script");
    }
    let file = folder.path().join("stack.yaml");
    std::fs::write(&file, text).expect("the stack is written");
    load(&file, &Overrides::default()).expect("the stack is valid").0
}

/// What `up` does to a cloud that is just as `before` wants it.
fn nodes(before: (&Stack, &LiveNetwork), after: (&Stack, &LiveNetwork)) -> Vec<Node> {
    let cloud = |network: &LiveNetwork| Snapshot::default().with::<StackNetwork>(vec![network.clone()]);
    let clouds = [cloud(before.1), cloud(after.1)];
    let scope = |(stack, _): (_, &LiveNetwork), cloud| Scope { stack, cloud };
    let mut nodes = Vec::new();
    for &resource in TYPES {
        let tags = (!UNTAGGED.contains(&resource.kind())).then_some(&before.0.tags);
        let observed = resource.desired(&scope(before, &clouds[0])).into_iter();
        let observed: Vec<_> = observed.map(|desired| Observed::like(&desired, tags)).collect();
        let desired = resource.desired(&scope(after, &clouds[1]));
        let heirs = Heirs::of(resource, &observed, &desired);
        let mut observed = by_address(observed, &heirs);
        let first = nodes.len();
        for desired in desired {
            let mut found = observed.remove(&desired.address).unwrap_or_default();
            found.sort_by_key(|observed| observed.address != desired.address);
            let observed = found.pop();
            nodes.extend(found.into_iter().map(|observed| deletion(resource, observed, "")));
            let fields = observed.iter().flat_map(|observed| {
                let tags = observed.tags.iter().flat_map(|tags| tag_differences(tags, &after.0.tags));
                let differences = differences(resource, &observed.fields, &desired.fields);
                differences.into_iter().chain(moved(&observed.address, &desired.address)).chain(tags)
            });
            let fields: Vec<_> = fields.collect();
            let action = if observed.is_some() { action(&fields) } else { Action::Create };
            let kind = resource.kind().to_owned();
            let reason = match action {
                Action::Create => "does not exist yet",
                Action::Unchanged => "",
                _ => "changed in the stack",
            };
            let change = Change { address: desired.address.clone(), kind, action, reason: reason.to_owned(), fields };
            nodes.push(Node { resource, change, desired: Some(desired), observed, yields_to: Vec::new() });
        }
        nodes.extend(observed.into_values().flatten().map(|observed| deletion(resource, observed, "")));
        nodes[first..].iter_mut().for_each(|node| heirs.mark(node));
    }
    follow_references(&mut nodes);
    nodes.sort_by(|a, b| a.change.address.cmp(&b.change.address));
    nodes
}

/// The plan for a cloud that is just as a text wants it (`None`: empty), its fixed instances and its group running.
pub(crate) fn report(before: Option<&str>, after: Option<&str>, touch: impl Fn(&mut Change)) -> Report {
    let declared = after.map(stack);
    let observed = before.map(stack);
    let network = match declared.as_ref().or(observed.as_ref()).map(|stack| &stack.network) {
        Some(own @ Network::Created { .. }) => as_declared(own, "us-east-1"),
        _ => network(),
    };
    let mut nodes = match (&observed, &declared) {
        (None, Some(after)) => {
            let cloud = Snapshot::default().with::<StackNetwork>(vec![network]);
            diff(TYPES, &Scope { stack: after, cloud: &cloud }).expect("nothing in the way")
        }
        (Some(before), Some(after)) => nodes((before, &network), (after, &network)),
        (Some(before), None) => {
            let all = nodes((before, &network), (before, &network)).into_iter();
            all.map(|node| deletion(node.resource, node.observed.expect("all are observed"), "the stack is removed"))
                .collect()
        }
        (None, None) => Vec::new(),
    };
    nodes.iter_mut().for_each(|node| touch(&mut node.change));
    let mut running = Running { load_balancers: u32::from(observed.is_some()), ..Running::default() };
    for cluster in observed.iter().flat_map(|stack| &stack.clusters) {
        let address = instances_of(&cluster.name);
        let template = nodes.iter().filter(|node| node.change.address == address);
        let template =
            template.filter_map(|node| node.observed.as_ref()?.fields.get("template").map(ToString::to_string));
        let (count, desired) = match &cluster.capacity {
            Capacity::Fixed { instances, .. } => (*instances, None),
            Capacity::Group(scaling) => (scaling.desired, Some(scaling.desired)),
        };
        let templates = template.flat_map(|template| vec![template; count as usize]).collect();
        let types = [(cluster.instance_type.clone(), count)].into();
        running.clusters.insert(cluster.name.clone(), ClusterRunning { running: types, templates, desired });
    }
    let changes: Vec<_> = nodes.into_iter().map(|node| node.change).collect();
    Report::new("web", "aws", outlook(declared.as_ref(), &running, &changes), changes)
}

/// What a change of the text makes of the cloud.
pub(in crate::engine) fn edited(from: &str, to: &str) -> Vec<Node> {
    assert!(BASE.contains(from), "{from}");
    between(BASE, &BASE.replace(from, to))
}

/// What `up` does where one text was applied and another is.
pub(in crate::engine) fn between(before: &str, after: &str) -> Vec<Node> {
    let network = network();
    nodes((&stack(before), &network), (&stack(after), &network))
}

fn rows(nodes: &[Node]) -> String {
    let mut rows = String::new();
    for change in nodes.iter().map(|node| &node.change).filter(|change| change.action != Action::Unchanged) {
        let fields = change.fields.iter().map(|field| {
            let follows = field.desired.as_deref().is_some_and(|desired| desired.ends_with(" (new)"));
            let mark = [(follows, "→"), (field.forces_replacement, "!")].into_iter().filter(|(is, _)| *is);
            format!("{}{}", mark.map(|(_, mark)| mark).collect::<String>(), field.path)
        });
        let fields = fields.collect::<Vec<_>>().join(" ");
        let colon = if fields.is_empty() { "" } else { ": " };
        let _ = writeln!(rows, "{} {}{colon}{fields}", change.action.symbol(), change.address);
    }
    rows
}

/// Every key of the language below `object`, with its path.
fn keys(object: &Object, path: &str, found: &mut BTreeSet<String>) {
    fn inner(kind: &Kind, path: &str, found: &mut BTreeSet<String>) {
        match kind {
            Kind::Object(object) | Kind::Tagged(object) => keys(object, path, found),
            Kind::List(kind) => inner(kind, path, found),
            Kind::Map { values, .. } => inner(values, path, found),
            Kind::OneOf(kinds) => kinds.iter().for_each(|kind| inner(kind, path, found)),
            _ => {}
        }
    }
    for key in object.keys {
        let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        let before = found.len();
        inner(&key.kind, &path, found);
        if found.len() == before {
            found.insert(path);
        }
    }
}

/// (key, text of the stack, its replacement, what changes)
const CASES: &[(&str, &str, &str, &[&str])] = &[
    (
        "network",
        "",
        "",
        &[
            "~ cluster.fleet.instances: vpc →security_group",
            "~ cluster.fleet.launch_template: →security_group",
            "-/+ cluster.fleet.rule: →target_group →!listener",
            "-/+ cluster.fleet.target_attachment: →!target_group →targets",
            "-/+ cluster.fleet.target_group: !vpc",
            "~ cluster.group.alarm.up: →group →policy",
            "~ cluster.group.launch_template: →security_group",
            "-/+ cluster.group.policy.cpu: →!group",
            "-/+ cluster.group.policy.up: →!group",
            "-/+ cluster.group.rule: →target_group →!listener",
            "-/+ cluster.group.scaling_group: subnets →!target_group →launch_template",
            "-/+ cluster.group.schedule.morning: →!group",
            "-/+ cluster.group.target_group: !vpc",
            "-/+ instances.security_group: !vpc →ingress.tcp.8080 →ingress.tcp.8081",
            "-/+ load_balancer: !vpc subnets →security_group",
            "-/+ load_balancer.listener: →!load_balancer",
            "-/+ load_balancer.security_group: !vpc",
        ],
    ),
    (
        "tags",
        "course: one",
        "course: two",
        &[
            "~ cluster.fleet.instances: tags.course",
            "~ cluster.fleet.launch_template: tags.course",
            "~ cluster.fleet.rule: tags.course",
            "~ cluster.fleet.target_group: tags.course",
            "~ cluster.group.launch_template: tags.course",
            "~ cluster.group.rule: tags.course",
            "~ cluster.group.scaling_group: tags.course",
            "~ cluster.group.target_group: tags.course",
            "~ instances.security_group: tags.course",
            "~ load_balancer: tags.course",
            "~ load_balancer.listener: tags.course",
            "~ load_balancer.security_group: tags.course",
        ],
    ),
    ("dashboard", "load_balancer: {", "dashboard: true\nload_balancer: {", &["+ dashboard"]),
    (
        "load_balancer.port",
        "{port: 80,",
        "{port: 8000,",
        &[
            "-/+ cluster.fleet.rule: →!listener",
            "-/+ cluster.group.rule: →!listener",
            "-/+ load_balancer.listener: !port",
            "~ load_balancer.security_group: ingress.tcp.8000 ingress.tcp.80",
        ],
    ),
    ("load_balancer.default.status", "status: 404", "status: 410", &["~ load_balancer.listener: default.status"]),
    ("load_balancer.default.body", "body: \"nobody\"", "body: \"none\"", &["~ load_balancer.listener: default.body"]),
    (
        "load_balancer.default.content_type",
        "text/plain",
        "text/html",
        &["~ load_balancer.listener: default.content_type"],
    ),
    (
        "clusters.instance_type",
        "t2.large",
        "t3.large",
        &[
            "~ cluster.fleet.instances: template",
            "~ cluster.fleet.launch_template: instance_type",
            "~ cluster.fleet.target_attachment: →targets",
        ],
    ),
    (
        "clusters.instance_type",
        "m4.large",
        "m5.large",
        &["~ cluster.group.launch_template: instance_type", "~ cluster.group.scaling_group: →launch_template"],
    ),
    (
        "clusters.instances",
        "instances: 4",
        "instances: 6",
        &["~ cluster.fleet.instances: instances", "~ cluster.fleet.target_attachment: →targets"],
    ),
    ("clusters.rollout", "instances: 4", "instances: 4\n    rollout: {max_surge: 50}", &[]),
    (
        "clusters.autoscaling",
        "    instances: 4\n",
        "    autoscaling: {min: 2, max: 4}\n",
        &["- cluster.fleet.instances", "+ cluster.fleet.scaling_group", "- cluster.fleet.target_attachment"],
    ),
    (
        "clusters",
        "  fleet:\n",
        "  early: {routes: [/early]}\n  fleet:\n",
        &[
            "+ cluster.early.instances",
            "+ cluster.early.launch_template",
            "+ cluster.early.rule",
            "+ cluster.early.target_attachment",
            "+ cluster.early.target_group",
            "~ cluster.fleet.rule: priority",
            "~ cluster.group.rule: priority",
        ],
    ),
    (
        "clusters",
        "  fleet:\n",
        "  crew:\n",
        &[
            "+ cluster.crew.instances",
            "+ cluster.crew.launch_template",
            "~ cluster.crew.rule: target_group address",
            "+ cluster.crew.target_attachment",
            "+ cluster.crew.target_group",
            "- cluster.fleet.instances",
            "- cluster.fleet.launch_template",
            "- cluster.fleet.target_attachment",
            "- cluster.fleet.target_group",
        ],
    ),
    (
        "clusters.image",
        "ami-0123456789abcdef0",
        "ami-0fedcba9876543210",
        &["~ cluster.group.launch_template: image", "~ cluster.group.scaling_group: →launch_template"],
    ),
    (
        "clusters.user_data",
        "one.sh",
        "two.sh",
        &[
            "~ cluster.fleet.instances: template",
            "~ cluster.fleet.launch_template: user_data",
            "~ cluster.fleet.target_attachment: →targets",
        ],
    ),
    (
        "clusters.port",
        "port: 8080",
        "port: 9090",
        &[
            "~ cluster.fleet.rule: →target_group",
            "-/+ cluster.fleet.target_attachment: →!target_group",
            "-/+ cluster.fleet.target_group: !port",
            "~ instances.security_group: ingress.tcp.9090 ingress.tcp.8080",
        ],
    ),
    (
        "clusters.port",
        "port: 8081",
        "port: 9091",
        &[
            "~ cluster.group.alarm.up: →group →policy",
            "-/+ cluster.group.policy.cpu: →!group",
            "-/+ cluster.group.policy.up: →!group",
            "~ cluster.group.rule: →target_group",
            "-/+ cluster.group.scaling_group: →!target_group",
            "-/+ cluster.group.schedule.morning: →!group",
            "-/+ cluster.group.target_group: !port",
            "~ instances.security_group: ingress.tcp.9091 ingress.tcp.8081",
        ],
    ),
    ("clusters.routes", "[\"/fleet\"]", "[\"/fleet\", \"/more\"]", &["~ cluster.fleet.rule: paths"]),
    (
        "clusters.health_check.path",
        "path: /health",
        "path: /healthy",
        &["~ cluster.fleet.target_group: health_check.path"],
    ),
    (
        "clusters.health_check.interval",
        "interval: 10s",
        "interval: 20s",
        &["~ cluster.fleet.target_group: health_check.interval_s"],
    ),
    (
        "clusters.health_check.timeout",
        "timeout: 5s",
        "timeout: 6s",
        &["~ cluster.fleet.target_group: health_check.timeout_s"],
    ),
    (
        "clusters.health_check.healthy",
        " healthy: 2",
        " healthy: 3",
        &["~ cluster.fleet.target_group: health_check.healthy"],
    ),
    (
        "clusters.health_check.unhealthy",
        "unhealthy: 2",
        "unhealthy: 3",
        &["~ cluster.fleet.target_group: health_check.unhealthy"],
    ),
    (
        "clusters.health_check.codes",
        "codes: \"200\"",
        "codes: \"200-299\"",
        &["~ cluster.fleet.target_group: health_check.codes"],
    ),
    (
        "clusters.algorithm",
        "instances: 4",
        "instances: 4\n    algorithm: least_outstanding_requests",
        &["~ cluster.fleet.target_group: load_balancing.algorithm.type"],
    ),
    (
        "clusters.deregistration_delay",
        "instances: 4",
        "instances: 4\n    deregistration_delay: 60s",
        &["~ cluster.fleet.target_group: deregistration_delay.timeout_seconds"],
    ),
    (
        "clusters.slow_start",
        "instances: 4",
        "instances: 4\n    slow_start: 60s",
        &["~ cluster.fleet.target_group: slow_start.duration_seconds"],
    ),
    (
        "clusters.stickiness",
        "instances: 4",
        "instances: 4\n    stickiness: 1h",
        &["~ cluster.fleet.target_group: stickiness.enabled stickiness.lb_cookie.duration_seconds"],
    ),
    (
        "load_balancer.https",
        "{port: 80,",
        "{port: 80, https: {certificate: \"arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012\"},",
        &[
            "-/+ cluster.fleet.rule: →!listener",
            "-/+ cluster.group.rule: →!listener",
            "-/+ load_balancer.listener: protocol !port certificate policy",
            "+ load_balancer.redirect",
            "~ load_balancer.security_group: ingress.tcp.443",
        ],
    ),
    (
        "routes",
        "clusters:\n",
        "routes: {both: {paths: [/both], weights: {fleet: 90, group: 10}}}\nclusters:\n",
        &["~ cluster.fleet.rule: priority", "~ cluster.group.rule: priority", "+ route.both.rule"],
    ),
    (
        "ssh",
        "clusters:\n",
        "ssh: {key: mine, cidr: 203.0.113.7/32}\nclusters:\n",
        &[
            "~ cluster.fleet.instances: template",
            "~ cluster.fleet.launch_template: key",
            "~ cluster.fleet.target_attachment: →targets",
            "~ cluster.group.launch_template: key",
            "~ cluster.group.scaling_group: →launch_template",
            "~ instances.security_group: ingress.tcp.22",
        ],
    ),
    ("clusters.autoscaling.min", "min: 2\n", "min: 1\n", &["~ cluster.group.scaling_group: min"]),
    ("clusters.autoscaling.max", "max: 8", "max: 9", &["~ cluster.group.scaling_group: max"]),
    ("clusters.autoscaling.desired", "desired: 3", "desired: 4", &[]),
    ("clusters.autoscaling.warmup", "warmup: 60s", "warmup: 90s", &["~ cluster.group.scaling_group: warmup_s"]),
    (
        "clusters.autoscaling.health_grace",
        "health_grace: 60s",
        "health_grace: 90s",
        &["~ cluster.group.scaling_group: health_grace_s"],
    ),
    (
        "clusters.autoscaling.policies.target_tracking",
        "target: 50",
        "target: 60",
        &["~ cluster.group.policy.cpu: target"],
    ),
    (
        "clusters.autoscaling.policies.target_tracking",
        "name: cpu, metric: cpu",
        "name: cpu, metric: network_in",
        &["~ cluster.group.policy.cpu: metric"],
    ),
    (
        "clusters.autoscaling.policies.target_tracking.name",
        "name: cpu,",
        "name: half,",
        &["- cluster.group.policy.cpu", "+ cluster.group.policy.half"],
    ),
    ("clusters.autoscaling.policies.step", "above: 70", "above: 80", &["~ cluster.group.alarm.up: threshold"]),
    ("clusters.autoscaling.policies.step", "add: 1", "add: 2", &["~ cluster.group.policy.up: steps"]),
    (
        "clusters.autoscaling.policies.step",
        "evaluations: 2",
        "evaluations: 3",
        &["~ cluster.group.alarm.up: evaluations"],
    ),
    ("clusters.autoscaling.policies.step", "period: 60s", "period: 120s", &["~ cluster.group.alarm.up: period_s"]),
    ("clusters.autoscaling.schedule", "cron: \"0 8", "cron: \"0 9", &["~ cluster.group.schedule.morning: cron"]),
    (
        "clusters.autoscaling.schedule",
        "time_zone: UTC",
        "time_zone: America/Toronto",
        &["~ cluster.group.schedule.morning: time_zone"],
    ),
    ("clusters.autoscaling.schedule", "min: 3}", "min: 4}", &["~ cluster.group.schedule.morning: min"]),
    ("clusters.autoscaling.rollout", "min_healthy: 90", "min_healthy: 50", &[]),
    (
        "clusters.instance_profile",
        "    image: ami",
        "    instance_profile: web\n    image: ami",
        &["~ cluster.group.launch_template: instance_profile", "~ cluster.group.scaling_group: →launch_template"],
    ),
    (
        "clusters.autoscaling.cooldown",
        "      warmup: 60s",
        "      warmup: 60s\n      cooldown: 60s",
        &["~ cluster.group.scaling_group: cooldown_s"],
    ),
    (
        "clusters.autoscaling.health_check_type",
        "      warmup: 60s",
        "      warmup: 60s\n      health_check_type: EC2",
        &["~ cluster.group.scaling_group: health_check"],
    ),
    (
        "clusters.autoscaling.policies.simple",
        "        - step:",
        "        - simple: {name: more, metric: cpu, above: 90, add: 1}\n        - step:",
        &["+ cluster.group.alarm.more", "+ cluster.group.policy.more"],
    ),
    (
        "clusters.autoscaling.termination",
        "      warmup: 60s",
        "      warmup: 60s\n      termination: [OldestInstance]",
        &["~ cluster.group.scaling_group: termination"],
    ),
    (
        "clusters.autoscaling.suspend",
        "      warmup: 60s",
        "      warmup: 60s\n      suspend: [AZRebalance]",
        &["~ cluster.group.scaling_group: suspended"],
    ),
    (
        "clusters.autoscaling.protect_from_scale_in",
        "      warmup: 60s",
        "      warmup: 60s\n      protect_from_scale_in: true",
        &["~ cluster.group.scaling_group: protect_from_scale_in"],
    ),
    (
        "clusters.autoscaling.warm_pool",
        "      warmup: 60s",
        "      warmup: 60s\n      warm_pool: {state: running}",
        &["~ cluster.group.scaling_group: warm_pool.min warm_pool.state warm_pool.reuse"],
    ),
];

#[test]
fn every_change_has_the_gentlest_action() {
    let before = stack(BASE);
    let network = network();
    let mut wrong = String::new();
    for (key, from, to, expected) in CASES {
        let found = if *key == "network" {
            let text = |value: &Value, suffix: &str| Value::Text(format!("{value}{suffix}"));
            let subnets = network.subnets.iter().cloned().map(|mut subnet| {
                subnet.id = text(&subnet.id, "-other");
                subnet
            });
            let other = LiveNetwork { vpc: text(&network.vpc, "-other"), subnets: subnets.collect() };
            rows(&nodes((&before, &network), (&before, &other)))
        } else {
            rows(&edited(from, to))
        };
        if found.lines().ne(expected.iter().copied()) {
            let _ = writeln!(wrong, "{key}: {from} → {to}\n{found}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_key_of_the_language_has_a_case() {
    let mut known = BTreeSet::new();
    keys(&STACK, "", &mut known);
    let has_case = |key: &String| {
        let whole = |case: &str| !["clusters", "clusters.autoscaling"].contains(&case);
        let named = |case: &str| key == case || whole(case) && key.starts_with(&format!("{case}."));
        CASES.iter().any(|(case, ..)| named(case)) || WITHOUT_CASE.iter().any(|(case, _)| named(case))
    };
    let missing: Vec<_> = known.iter().filter(|key| !has_case(key)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
