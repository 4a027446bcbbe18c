//! Quotas that an account can raise: a stack beyond one may still be right, so they are warnings.
//!
//! The figures are AWS's defaults (user guides of Elastic Load Balancing and EC2 Auto Scaling, "Quotas", read 2026-09); the
//! stack's `quotas` say what the account really has. AWS sets the quota of vCPUs for each account, so it has no default.

use super::model::{Autoscaling, Capacity, Cluster, Stack};
use crate::document::Fields;
use crate::document::grammar::{Key, Kind, Object, Presence};
use crate::problem::{Problem, Problems};

const RULES: &str = "Rules per Application Load Balancer";
const TARGETS: &str = "Targets per Application Load Balancer";
const TARGET_GROUPS: &str = "Target Groups per Application Load Balancer";
const GROUPS: &str = "Auto Scaling groups per region";
const POLICIES: &str = "Scaling policies per Auto Scaling group";
const SCHEDULED_ACTIONS: &str = "Scheduled actions per Auto Scaling group";
const VCPUS: &str = "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances";

/// The families that the quota of vCPUs is about: the letters before the generation.
const STANDARD_FAMILIES: [&str; 11] = ["a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"];

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
    let quotas = fields.object("quotas", &QUOTAS);
    let group = |cluster: &'_ Cluster| match &cluster.capacity {
        Capacity::Group(group) => Some((cluster.name.clone(), group.clone())),
        Capacity::Fleet { .. } => None,
    };
    let groups: Vec<(String, Autoscaling)> = stack.clusters.iter().filter_map(group).collect();
    let rules = stack.clusters.iter().filter(|cluster| !cluster.routes.is_empty()).count() + stack.routes.len();
    let vcpus =
        stack.clusters.iter().filter_map(|cluster| Some(vcpus(&cluster.instance_type)? * instances_max(cluster)));
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
    compare("the stack", stack.clusters.iter().map(instances_max).sum(), TARGETS);
    compare("the stack", stack.clusters.len(), TARGET_GROUPS);
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
        Capacity::Fleet { instances, .. } => *instances as usize,
        Capacity::Group(group) => group.max as usize,
    }
}

/// The virtual CPUs of a type of the standard families, by AWS's pattern of sizes; `None` for other families and `metal`.
fn vcpus(instance_type: &str) -> Option<usize> {
    let (family, size) = instance_type.split_once('.')?;
    let letters: String = family.chars().take_while(char::is_ascii_alphabetic).collect();
    if !STANDARD_FAMILIES.contains(&letters.as_str()) {
        return None;
    }
    Some(match (family, size) {
        // Types from before the pattern.
        ("c4" | "d2", "8xlarge") => 36,
        ("t2", "nano" | "micro" | "small") => 1,
        (_, "medium") if letters != "t" => 1,
        (_, "nano" | "micro" | "small" | "medium" | "large") => 2,
        (_, "xlarge") => 4,
        (_, size) => 4 * size.strip_suffix("xlarge")?.parse::<usize>().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_of_sizes_gives_the_vcpus_of_every_standard_type_that_the_region_offers() {
        let types = crate::region::ec2::instance_types::TYPES;
        let mut known = 0;
        for offered in types {
            if let Some(vcpus) = vcpus(offered.name) {
                assert_eq!(vcpus, usize::from(offered.vcpus), "{}", offered.name);
                known += 1;
            }
        }
        assert!(known * 10 > types.len() * 9, "{known} of {}", types.len());
        assert_eq!((vcpus("c4.8xlarge"), vcpus("g5.xlarge"), vcpus("m5.metal")), (Some(36), None, None));
    }
}
