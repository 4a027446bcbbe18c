//! Quotas that an account can raise: a stack beyond one may still be right, so they are warnings.
//!
//! The figures are AWS's defaults (user guides of Elastic Load Balancing and EC2 Auto Scaling, "Quotas", read 2026-09).

use super::model::{Autoscaling, Capacity, Cluster, Stack};
use crate::problem::{Problem, Problems};

const RULES_PER_LOAD_BALANCER: usize = 100;
const TARGETS_PER_LOAD_BALANCER: usize = 1000;
const GROUPS_PER_REGION: usize = 500;
const POLICIES_PER_GROUP: usize = 50;
const SCHEDULED_ACTIONS_PER_GROUP: usize = 125;

/// The default quotas that a stack is beyond.
pub fn check(stack: &Stack) -> Problems {
    let groups: Vec<(&Cluster, &Autoscaling)> = stack
        .clusters
        .iter()
        .filter_map(
            |cluster| if let Capacity::Group(group) = &cluster.capacity { Some((cluster, group)) } else { None },
        )
        .collect();
    let targets = |cluster: &Cluster| match &cluster.capacity {
        Capacity::Fleet { instances, .. } => *instances as usize,
        Capacity::Group(group) => group.max as usize,
    };
    let rules = stack.clusters.iter().filter(|cluster| !cluster.routes.is_empty()).count();
    let mut problems = Problems::default();
    let mut compare = |of: &str, count: usize, quota: usize, name: &str| {
        if count > quota {
            let detail = format!("{of} needs {count}, but the default of the quota \"{name}\" is {quota}");
            let problem = Problem::warning("Beyond a default quota", detail);
            problems.push(problem.hint("see Service Quotas in the AWS console; the embedded region has no such limit"));
        }
    };
    compare("the stack", rules, RULES_PER_LOAD_BALANCER, "Rules per Application Load Balancer");
    compare(
        "the stack",
        stack.clusters.iter().map(targets).sum(),
        TARGETS_PER_LOAD_BALANCER,
        "Targets per Application Load Balancer",
    );
    compare("the stack", stack.clusters.len(), RULES_PER_LOAD_BALANCER, "Target Groups per Application Load Balancer");
    compare("the stack", groups.len(), GROUPS_PER_REGION, "Auto Scaling groups per region");
    for (cluster, group) in groups {
        let of = format!("cluster `{}`", cluster.name);
        compare(&of, group.policies.len(), POLICIES_PER_GROUP, "Scaling policies per Auto Scaling group");
        compare(&of, group.schedule.len(), SCHEDULED_ACTIONS_PER_GROUP, "Scheduled actions per Auto Scaling group");
    }
    problems
}
