//! Quotas that an account can raise: a stack beyond one may still be right, so they are warnings.
//!
//! The figures are AWS's defaults (user guides of Elastic Load Balancing and EC2 Auto Scaling, "Quotas", read 2026-09);
//! the stack's `quotas` say what the account really has. AWS sets the quota of vCPUs for each account, so it has no
//! default.

use super::language::STACK;
use super::model::{Autoscaling, Capacity, Cluster, Stack};
use crate::catalog::instance_types::standard_vcpus;
use crate::document::Fields;
use crate::document::grammar::{Key, Kind, Object, Presence};
use crate::document::name::key;
use crate::problem::{Problem, Problems};

const RULES: &str = "Rules per Application Load Balancer";
const TARGETS: &str = "Targets per Application Load Balancer";
const TARGET_GROUPS: &str = "Target Groups per Application Load Balancer";
const GROUPS: &str = "Auto Scaling groups per region";
const POLICIES: &str = "Scaling policies per Auto Scaling group";
const SCHEDULED_ACTIONS: &str = "Scheduled actions per Auto Scaling group";
const VCPUS: &str = "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances";

/// The language's `quotas`: its keys are named as Service Quotas names them.
pub static QUOTAS: Object = Object {
    name: "quotas",
    about: "What the account may have, where that is not AWS's default; a stack beyond a quota is warned about.",
    keys: &[
        quota(RULES, Presence::Default("100"), "Rules of the load balancer, without the default."),
        quota(TARGETS, Presence::Default("1000"), "Instances of all clusters."),
        quota(TARGET_GROUPS, Presence::Default("100"), "Clusters."),
        quota(GROUPS, Presence::Default("500"), "Auto Scaling groups."),
        quota(POLICIES, Presence::Default("50"), "Policies of one group."),
        quota(SCHEDULED_ACTIONS, Presence::Default("125"), "Scheduled actions of one group."),
        quota(
            VCPUS,
            Presence::Optional,
            "vCPUs of all instances; AWS grants new accounts few. Checked where it is given.",
        ),
    ],
};

const fn quota(name: &'static str, presence: Presence, about: &'static str) -> Key {
    Key { name, kind: Kind::Integer { min: 0, max: 1_000_000 }, presence, about }
}

/// The quotas that a stack is beyond.
pub fn check(fields: &Fields, stack: &Stack) -> Problems {
    let quotas = fields.object(key!(STACK, "quotas"), &QUOTAS);
    let group = |cluster: &'_ Cluster| match &cluster.capacity {
        Capacity::Group(group) => Some((cluster.name.clone(), group.clone())),
        Capacity::Fixed { .. } => None,
    };
    let groups: Vec<(String, Autoscaling)> = stack.clusters.iter().filter_map(group).collect();
    let rules = stack.clusters.iter().filter(|cluster| !cluster.routes.is_empty()).count() + stack.routes.len();
    let vcpus = stack
        .clusters
        .iter()
        .filter_map(|cluster| Some(standard_vcpus(&cluster.instance_type)? * instances_max(cluster)));
    let mut problems = Problems::default();
    let mut compare = |of: &str, count: usize, name: &'static str| {
        let own = quotas.is_written(name);
        let quota: usize = quotas.integer(name);
        if count <= quota || (name == VCPUS && !own) {
            return;
        }
        let (whose, hint) = match own {
            true => ("the account's", "ask for more in Service Quotas, or make the stack smaller"),
            false => (
                "AWS's default of the",
                "see Service Quotas in the AWS console, and write what the account has under `quotas`; the embedded region does not check it",
            ),
        };
        let detail = format!("{of} needs {count}, but {whose} quota \"{name}\" is {quota}");
        let problem = Problem::warning("Beyond a quota", detail).hint(hint);
        problems.push(if own { problem.at(quotas.place(name)) } else { problem });
    };
    compare("the stack", rules, RULES);
    if stack.has_load_balancer() {
        compare("the stack", stack.serving().map(instances_max).sum(), TARGETS);
        compare("the stack", stack.serving().count(), TARGET_GROUPS);
    }
    compare("the stack", groups.len(), GROUPS);
    compare("the stack", vcpus.sum(), VCPUS);
    for (name, group) in &groups {
        let of = format!("cluster `{name}`");
        compare(&of, group.policies.len(), POLICIES);
        compare(&of, group.schedule.len(), SCHEDULED_ACTIONS);
    }
    problems
}

fn instances_max(cluster: &Cluster) -> usize {
    match &cluster.capacity {
        Capacity::Fixed { instances, .. } => *instances as usize,
        Capacity::Group(group) => group.max as usize,
    }
}
