//! `docs/readback.md`, printed from what the types declare: what `up` writes, and what of it `diff` reads back.
//!
//! The fields are those of stacks that have every key; `tests/it/readback.rs` tampers with each of them.

use std::fmt::Write as _;
use std::path::Path;

use super::TYPES;
use super::network::{StackNetwork, as_declared};
use crate::cloud::snapshot::Snapshot;
use crate::resource::Scope;
use crate::resource::erased::ErasedResource;
use crate::stack::variables::Given;
use crate::stack::{Overrides, load};

const PAGE: &str = "docs/readback.md";

const HEAD: &str = "\
# What is written, and what of it is read back

Made from the code: for every resource type, the fields that `up` writes and `diff` compares. A test fails when this page is
out of date (`CLOUDSCALE_WRITE_DOCS=1 cargo test --lib resources::readback` writes it again), and another changes each field
behind cloudscale's back and wants to see it in `diff`.

- *Where it is told*: fields whose absence is no difference, since not every endpoint that stands in for AWS tells them, or
  since something of the stack's own has changed them (a schedule, an expiry).
- *Noticed besides*: what nobody asked for and `diff` shows all the same.
- *Not read back*: what is written and not compared, and why.
- Tags of the stack, and those by which cloudscale finds its own, are read back of everything that AWS gives tags; a tag that
  the stack has no longer goes, and one of somebody else's stays. Instances of a group keep the tags of their launch.

| type | written and read back | where it is told | noticed besides | not read back |
| --- | --- | --- | --- | --- |
";

const STACKS: &[&str] = &[
    r#"
name: web
network: {cidr: 10.0.0.0/16, zones: 2}
ssh: {key: mine, cidr: 203.0.113.7/32}
dashboard: true
load_balancer: {https: {certificate: "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"}}
routes: {both: {paths: [/both], weights: {fixed: 1, group: 1}, stickiness: 1h}}
clusters:
  fixed: {instances: 2, user_data: one.sh, instance_profile: web, routes: [/fixed], stickiness: 1h, slow_start: 60s,
    deregistration_delay: 60s}
  group:
    routes: [/group]
    user_data: one.sh
    autoscaling:
      min: 1
      max: 4
      suspend: [AZRebalance]
      warm_pool: {prepared: 4, state: stopped}
      policies:
        - target_tracking: {name: cpu, metric: cpu, target: 50, warmup: 60s}
        - target_tracking: {name: requests, metric: requests_per_target, target: 100}
        - step: {name: up, metric: cpu, above: 70, min_change: 1, warmup: 60s, steps: [{from: 0, percent: 10}]}
        - simple: {name: more, metric: requests_per_target, above: 90, percent: 10, min_change: 1}
        - simple: {name: queue, metric: {custom: {namespace: App, name: Queue, dimensions: {queue: a}}}, above: 9, add: 1}
      schedule: [{name: morning, cron: "0 8 * * *", start: 2030-01-01T00:00:00Z, end: 2031-01-01T00:00:00Z, min: 2, max: 4, desired: 3}]
"#,
    r#"
name: web
clusters:
  mixed:
    routes: [/mixed]
    algorithm: least_outstanding_requests
    autoscaling:
      min: 1
      max: 4
      mix: {types: [t3.large, t3a.large], on_demand_base: 1, spot_strategy: lowest-price, spot_pools: 2, max_price: "0.05"}
"#,
    r#"
name: web
variables: {token: {secret: true}}
clusters: {fixed: {instances: 1, user_data: secret.sh}}
"#,
];

fn fields(resource: &dyn ErasedResource) -> Vec<String> {
    let mut paths = Vec::new();
    // The fields are the same whatever the secret is.
    let unrendered = Overrides { given: Given { without_secrets: true, ..Given::default() }, ..Overrides::default() };
    for text in STACKS {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, script) in [("one.sh", "#!/bin/bash\n"), ("secret.sh", "#!/bin/bash\necho ${var.token}\n")] {
            std::fs::write(folder.path().join(name), script).expect("a script");
        }
        let file = folder.path().join("stack.yaml");
        std::fs::write(&file, text).expect("the stack is written");
        let stack = load(&file, &unrendered).unwrap_or_else(|problems| panic!("{problems:?}")).0;
        let network = as_declared(&stack.network, &stack.region);
        let cloud = Snapshot::empty(&stack.name).with::<StackNetwork>(vec![network]);
        for desired in resource.desired(&Scope { stack: &stack, cloud: &cloud }) {
            paths.extend(desired.fields.iter().map(|(path, _)| general(path)));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    paths
}

/// Without the names of a particular stack.
fn general(path: &str) -> String {
    if path.starts_with("widget.") {
        return "widget.TITLE".to_owned();
    }
    let word = |word: &str| match word {
        "fixed" | "group" if path.contains('.') => "CLUSTER".to_owned(),
        number if number.parse::<u16>().is_ok() && path.starts_with("ingress.") => "PORT".to_owned(),
        word => word.to_owned(),
    };
    path.split('.').map(word).collect::<Vec<_>>().join(".")
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for resource in TYPES {
        let code = |paths: Vec<String>| match paths.is_empty() {
            true => "–".to_owned(),
            false => paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(" "),
        };
        let (told, always): (Vec<_>, Vec<_>) =
            fields(*resource).into_iter().partition(|path| resource.optional_readback().contains(&path.as_str()));
        let noticed = resource.noticed().iter().map(|&path| path.to_owned()).collect();
        let unread: Vec<_> = resource.write_only().iter().map(|(what, why)| format!("{what}: {why}")).collect();
        let unread = if unread.is_empty() { "–".to_owned() } else { unread.join("; ") };
        let (always, told, noticed) = (code(always), code(told), code(noticed));
        let _ = writeln!(page, "| `{}` | {always} | {told} | {noticed} | {unread} |", resource.kind());
    }
    page
}

#[test]
fn the_page_says_what_the_types_declare() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = page();
    if std::env::var_os("CLOUDSCALE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let stale = there.lines().zip(page.lines()).find(|(there, desired)| there != desired);
    assert!(there == page, "{PAGE} is out of date; write it again with CLOUDSCALE_WRITE_DOCS=1: {stale:?}");
}

#[test]
fn optional_fields_are_fields() {
    for resource in TYPES {
        let fields = fields(*resource);
        for path in resource.optional_readback() {
            assert!(fields.iter().any(|field| field == path), "{}: {path}", resource.kind());
        }
    }
}
