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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapacitySpec {
    Fleet(u8),
    /// Which policies and whether a schedule, by bits.
    Group {
        min: u8,
        more: u8,
        policies: u8,
    },
}

/// By the bits of `policies`.
const POLICIES: [&str; 3] = [
    "target_tracking: {metric: cpu, target: 50}",
    "step: {name: up, metric: cpu, above: 70, period: 60s, evaluations: 2, steps: [{from: 0, add: 1}]}",
    "step: {name: down, metric: cpu, below: 20, period: 60s, evaluations: 2, steps: [{from: 0, add: -1}]}",
];
const SCHEDULE: u8 = 1 << POLICIES.len();

pub fn stacks() -> impl Strategy<Value = StackSpec> {
    let clusters = prop::collection::vec(clusters(), 1..=3);
    let ports = prop_oneof![4 => Just(80), 1 => Just(8081)];
    let statuses = prop_oneof![4 => Just(404), 1 => Just(503)];
    let tags = prop::option::of(0..2_u8);
    (clusters, ports, statuses, tags).prop_map(|(mut clusters, port, status, tag)| {
        clusters.sort_by_key(|cluster| (cluster.name, cluster.routes));
        clusters.dedup_by_key(|cluster| cluster.name);
        // Priorities follow the order of the file, which need not be that of the names.
        if status == 503 {
            clusters.reverse();
        }
        StackSpec { clusters, port, status, tag }
    })
}

fn clusters() -> impl Strategy<Value = ClusterSpec> {
    let fleets = (1..=4_u8).prop_map(CapacitySpec::Fleet);
    let groups = (0..=2_u8, 0..=2_u8, 0..16_u8).prop_map(|(min, more, policies)| CapacitySpec::Group {
        min,
        more: more.max(u8::from(min == 0)),
        policies,
    });
    let capacities = prop_oneof![fleets, groups];
    let ports = prop_oneof![3 => Just(8080), 1 => Just(9090)];
    (0..4_u8, capacities, ports, 1..=5_u8, 0..2_u8, 0..2_u8).prop_map(
        |(name, capacity, port, routes, user_data, check)| ClusterSpec {
            name,
            capacity,
            port,
            routes,
            user_data,
            check,
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
        text.push_str("clusters:\n");
        for cluster in &self.clusters {
            text.push_str(&cluster.text());
        }
        text
    }
}

impl ClusterSpec {
    fn text(&self) -> String {
        let Self { name, port, check, user_data, .. } = self;
        let routes: Vec<_> = (0..self.routes).map(|route| format!("\"/c{name}/{route}\"")).collect();
        let routes = routes.join(", ");
        format!(
            "  c{name}:\n    instance_type: t2.large\n    port: {port}\n    user_data: boot-{user_data}.sh\n    \
             routes: [{routes}]\n    health_check: {{path: /health{check}, interval: 5s, timeout: 2s}}\n{}",
            self.capacity.text()
        )
    }
}

impl CapacitySpec {
    fn text(self) -> String {
        let (min, more, policies) = match self {
            Self::Fleet(instances) => return format!("    instances: {instances}\n"),
            Self::Group { min, more, policies } => (min, more, policies),
        };
        let max = min + more;
        let mut text = format!("    autoscaling:\n      min: {min}\n      max: {max}\n");
        let chosen: Vec<_> = POLICIES.iter().enumerate().filter(|(bit, _)| policies & 1 << bit != 0).collect();
        if !chosen.is_empty() {
            text.push_str("      policies:\n");
            for (_, policy) in chosen {
                let _ = writeln!(text, "        - {policy}");
            }
        }
        if policies & SCHEDULE != 0 {
            let _ = writeln!(text, "      schedule: [{{name: night, cron: \"0 22 * * *\", min: {min}}}]");
        }
        text
    }

    /// How many policies and scheduled actions, and how many alarms of ours.
    pub fn parts(self) -> (usize, usize, usize) {
        let Self::Group { policies, .. } = self else { return (0, 0, 0) };
        let has = |bit: usize| usize::from(policies & 1 << bit != 0);
        (has(0) + has(1) + has(2), has(POLICIES.len()), has(1) + has(2))
    }
}
