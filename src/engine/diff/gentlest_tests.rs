//! Every key of the stack language with what a change of it does: the gentlest action that AWS has.
//!
//! A row is `symbol address: fields`; fields that force a replacement carry a `!`, fields that follow another resource
//! an arrow. A key that no case names fails the test.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::gentlest_case_tests::CASES;
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
