//! Random stacks, small enough to read when one of them fails.

use std::fmt::Write as _;
use std::path::Path;

use cloudscale::stack::model::Stack;
use cloudscale::stack::{self, Overrides};
use proptest::prelude::*;

/// The stack that everything happens to.
pub const NAME: &str = "fuzzed";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackSpec {
    pub clusters: Vec<ClusterSpec>,
    /// Of the load balancer.
    pub port: u16,
    /// Of the default answer.
    pub status: u16,
    /// The value of a tag of the user's.
    pub tag: Option<u8>,
    /// Of a network of its own.
    pub zones: Option<u8>,
    /// Whether that network has another range.
    pub moved: bool,
    /// Whether the first two clusters share a path, and how the first weighs.
    pub shared: Option<u8>,
    /// Whether somebody may log in.
    pub ssh: bool,
}

impl Default for StackSpec {
    fn default() -> Self {
        Self {
            clusters: Vec::new(),
            port: 80,
            status: 404,
            tag: None,
            zones: None,
            moved: false,
            shared: None,
            ssh: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSpec {
    /// Tells it from the others: cluster `c0`, `c1`, …
    pub name: u8,
    pub capacity: CapacitySpec,
    pub port: u16,
    pub routes: u8,
    pub user_data: u8,
    pub check: u8,
    /// Whether clients stay with their instance.
    pub sticky: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapacitySpec {
    Fixed(u8),
    /// Its policies, schedules and settings, by bits.
    Group {
        min: u8,
        more: u8,
        parts: u16,
    },
}

/// By the lowest bits of `parts`.
const POLICIES: [&str; 6] = [
    "target_tracking: {metric: cpu, target: 50}",
    "target_tracking: {metric: requests_per_target, target: 900, scale_in: false}",
    "target_tracking: {name: queue, metric: {custom: {namespace: Jobs, name: Backlog}}, target: 20}",
    "step: {name: up, metric: cpu, above: 70, period: 60s, evaluations: 2, steps: [{from: 0, percent: 50}]}",
    "step: {name: down, metric: cpu, below: 20, period: 60s, evaluations: 2, steps: [{from: 0, add: -1}]}",
    "simple: {name: idle, metric: cpu, below: 10, evaluations: 5, add: -1, cooldown: 5m}",
];
/// Those that have an alarm of ours.
const ALARMED: std::ops::Range<usize> = 3..6;
/// By the bits above them.
const SCHEDULES: [&str; 2] = [
    "{name: night, cron: \"0 22 * * *\", time_zone: America/Toronto, min: 0}",
    "{name: sale, start: \"2030-11-29T00:00:00-05:00\", max: 9}",
];
/// By the bits above those.
const SETTINGS: [&str; 3] = [
    "mix: {types: [t2.large, t3.large], on_demand_base: 1, on_demand_percent: 50}",
    "protect_from_scale_in: true",
    "suspend: [AZRebalance]",
];
const MIX: usize = POLICIES.len() + SCHEDULES.len();
const PARTS: u16 = 1 << (POLICIES.len() + SCHEDULES.len() + SETTINGS.len());

pub fn stacks() -> impl Strategy<Value = StackSpec> {
    let clusters = prop::collection::vec(clusters(), 1..=3);
    let ports = prop_oneof![4 => Just(80), 1 => Just(8081)];
    let statuses = prop_oneof![4 => Just(404), 1 => Just(503)];
    let tags = prop::option::of(0..2_u8);
    let networks = prop_oneof![3 => Just(None), 1 => Just(Some(2)), 1 => Just(Some(3))];
    let shares = prop_oneof![3 => Just(None), 1 => (0..=100_u8).prop_map(Some)];
    let rarely = || prop_oneof![4 => Just(false), 1 => Just(true)];
    (clusters, ports, statuses, tags, networks, any::<bool>(), shares, rarely()).prop_map(
        |(mut clusters, port, status, tag, zones, moved, shared, ssh)| {
            clusters.sort_by_key(|cluster| (cluster.name, cluster.routes));
            clusters.dedup_by_key(|cluster| cluster.name);
            // Priorities follow the order of the file, which need not be that of the names.
            if status == 503 {
                clusters.reverse();
            }
            let shared = shared.filter(|_| clusters.len() > 1);
            StackSpec { clusters, port, status, tag, zones, moved, shared, ssh }
        },
    )
}

fn clusters() -> impl Strategy<Value = ClusterSpec> {
    let fleets = (0..=4_u8).prop_map(CapacitySpec::Fixed);
    let groups = (0..=2_u8, 0..=2_u8, 0..PARTS).prop_map(|(min, more, parts)| CapacitySpec::Group {
        min,
        more: more.max(u8::from(min == 0)),
        parts,
    });
    let capacities = prop_oneof![fleets, groups];
    let ports = prop_oneof![3 => Just(8080), 1 => Just(9090), 1 => Just(7070)];
    let stays = prop_oneof![4 => Just(false), 1 => Just(true)];
    (0..4_u8, capacities, ports, 1..=5_u8, 0..2_u8, 0..2_u8, stays).prop_map(
        |(name, capacity, port, routes, user_data, check, sticky)| ClusterSpec {
            name,
            capacity,
            port,
            routes,
            user_data,
            check,
            sticky,
        },
    )
}

impl StackSpec {
    /// Writes it down in a folder, and reads it as a user's.
    pub fn load(&self, name: &str, folder: &Path) -> Stack {
        for script in 0..2 {
            let file = folder.join(format!("boot-{script}.sh"));
            std::fs::write(file, format!("#!/bin/sh\necho {script}\n")).expect("the folder takes files");
        }
        let file = folder.join(format!("{name}.yaml"));
        let text = self.text(name);
        std::fs::write(&file, &text).expect("the folder takes files");
        let loaded = stack::load(&file, &Overrides::default());
        loaded.unwrap_or_else(|problems| panic!("{problems}\n{text}")).0
    }

    fn text(&self, name: &str) -> String {
        let Self { port, status, .. } = self;
        let mut text = format!("name: {name}\nload_balancer: {{port: {port}, default: {{status: {status}}}}}\n");
        if let Some(tag) = self.tag {
            let _ = writeln!(text, "tags: {{course: t{tag}}}");
        }
        if let Some(zones) = self.zones {
            let range = if self.moved { 30 } else { 20 };
            let _ = writeln!(text, "network: {{cidr: 10.{range}.0.0/16, zones: {zones}}}");
        }
        if self.ssh {
            text.push_str("ssh: {key: staff, cidr: 203.0.113.7/32}\n");
        }
        if let (Some(weight), [first, second, ..]) = (self.shared, &self.clusters[..]) {
            let weights = format!("{{c{}: {weight}, c{}: {}}}", first.name, second.name, 101 - weight);
            let _ = writeln!(text, "routes: {{both: {{paths: [/both], weights: {weights}}}}}");
        }
        text.push_str("clusters:\n");
        for cluster in &self.clusters {
            text.push_str(&cluster.text());
        }
        text
    }

    /// How many rules.
    pub fn rules(&self) -> usize {
        self.clusters.len() + usize::from(self.shared.is_some())
    }
}

impl ClusterSpec {
    fn text(&self) -> String {
        let Self { name, port, check, user_data, .. } = self;
        let routes: Vec<_> = (0..self.routes).map(|route| format!("\"/c{name}/{route}\"")).collect();
        let routes = routes.join(", ");
        let mixed = matches!(self.capacity, CapacitySpec::Group { parts, .. } if has(parts, MIX));
        let kind = if mixed { "" } else { "    instance_type: t2.large\n" };
        let sticky = if self.sticky { "    stickiness: 1h\n" } else { "" };
        format!(
            "  c{name}:\n{kind}{sticky}    port: {port}\n    user_data: boot-{user_data}.sh\n    routes: [{routes}]\n    \
             health_check: {{path: /health{check}, interval: 5s, timeout: 2s}}\n{}",
            self.capacity.text()
        )
    }
}

fn has(parts: u16, bit: usize) -> bool {
    parts & 1 << bit != 0
}

/// What the bits from `first` on choose.
fn chosen<'a>(parts: u16, first: usize, among: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    among.iter().enumerate().filter(move |(bit, _)| has(parts, first + bit)).map(|(_, text)| *text)
}

impl CapacitySpec {
    fn text(self) -> String {
        let (min, more, parts) = match self {
            Self::Fixed(instances) => return format!("    instances: {instances}\n"),
            Self::Group { min, more, parts } => (min, more, parts),
        };
        let mut text = format!("    autoscaling:\n      min: {min}\n      max: {}\n", min + more);
        for setting in chosen(parts, MIX, &SETTINGS) {
            let _ = writeln!(text, "      {setting}");
        }
        for (key, first, among) in [("policies", 0, &POLICIES[..]), ("schedule", POLICIES.len(), &SCHEDULES)] {
            let mut items = chosen(parts, first, among).peekable();
            if items.peek().is_some() {
                let _ = writeln!(text, "      {key}:");
            }
            for item in items {
                let _ = writeln!(text, "        - {item}");
            }
        }
        text
    }

    /// How many policies and scheduled actions, and how many alarms of ours.
    pub fn parts(self) -> (usize, usize, usize) {
        let Self::Group { parts, .. } = self else { return (0, 0, 0) };
        let count = |bits: std::ops::Range<usize>| bits.filter(|bit| has(parts, *bit)).count();
        (count(0..POLICIES.len()), count(POLICIES.len()..MIX), count(ALARMED))
    }
}
