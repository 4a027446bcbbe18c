//! The names of what a stack creates: deterministic, so that a run that was killed finds its work again, and within AWS's limits.
//!
//! `cs-STACK` and `cs-STACK--CLUSTER`. The names of stacks and clusters hold no `--`, so no two stacks can mean the same name.
//! What does not fit is cut and ends in a short hash of the whole name. Target groups always end in one, because theirs may
//! not hold `--` either.

use sha2::{Digest, Sha256};

/// Load balancer and target group names: 32 characters of `[A-Za-z0-9-]`, no hyphen at either end (ELBv2 API).
pub const ELB_NAME_CHARACTERS_MAX: usize = 32;
/// Launch template names: 3–128 characters (EC2 API). Groups and security groups take 255.
pub const EC2_NAME_CHARACTERS_MAX: usize = 128;
const HASH_CHARACTERS: usize = 6;

/// Every name starts with this.
pub const PREFIX: &str = "cs-";
/// A name that was cut keeps at least this much of the stack's.
const CHARACTERS_KEPT: usize = 24;

/// Whether a load balancer or target group of this name may belong to the stack: its tags decide.
pub fn may_be_of(stack: &str, name: &str) -> bool {
    let kept: String = format!("{PREFIX}{stack}").chars().take(CHARACTERS_KEPT).collect();
    name.starts_with(kept.trim_end_matches('-'))
}

/// The load balancer of a stack.
pub fn load_balancer(stack: &str) -> String {
    fit(format!("cs-{stack}"), ELB_NAME_CHARACTERS_MAX)
}

/// The dashboard of a stack: at most 255 characters of `[A-Za-z0-9_-]` (CloudWatch API).
pub fn dashboard(stack: &str) -> String {
    format!("cs-{stack}")
}

/// The target group of a cluster. ELBv2 refuses `--` in its name.
pub fn target_group(stack: &str, cluster: &str) -> String {
    let hash = hash(&format!("cs-{stack}--{cluster}"));
    let name = format!("cs-{stack}-{cluster}");
    let kept = name[..name.len().min(ELB_NAME_CHARACTERS_MAX - HASH_CHARACTERS - 1)].trim_end_matches('-');
    format!("{kept}-{hash}")
}

/// The Auto Scaling group of a cluster.
pub fn group(stack: &str, cluster: &str) -> String {
    fit(format!("cs-{stack}--{cluster}"), EC2_NAME_CHARACTERS_MAX)
}

/// A policy, scheduled action or alarm of a group. AWS asks for names unique in the group (alarms: in the region); endpoints
/// that imitate it often want all of them unique in the region.
pub fn in_group(group: &str, name: &str) -> String {
    format!("{group}--{name}")
}

/// Whether [`in_group`] named it.
pub fn is_in(group: &str, name: &str) -> bool {
    name.strip_prefix(group).is_some_and(|rest| rest.starts_with("--"))
}

/// What it is called in the stack; one that somebody else made goes by its whole name in quotes, which none of the stack has.
pub fn in_stack(group: &str, name: &str) -> String {
    let ours = name.strip_prefix(group).and_then(|rest| rest.strip_prefix("--"));
    ours.map_or_else(|| format!("\"{name}\""), str::to_owned)
}

/// Cluster and name in the stack of what [`in_group`] named, whether the group is still there or not.
pub fn cluster_of<'a>(stack: &str, name: &'a str) -> Option<(&'a str, &'a str)> {
    name.strip_prefix("cs-")?.strip_prefix(stack)?.strip_prefix("--")?.split_once("--")
}

/// The launch template of a cluster.
pub fn launch_template(stack: &str, cluster: &str) -> String {
    group(stack, cluster)
}

/// The launch template that is a stack's lock. No cluster's template has a dot in its name.
pub fn lock(stack: &str) -> String {
    fit(format!("cs-lock.{stack}"), EC2_NAME_CHARACTERS_MAX)
}

/// A name for the successor of `name`, while both are there: deterministic, so that a rerun finds it.
pub fn successor(name: &str, reason: &str, characters_max: usize) -> String {
    let hash = hash(&format!("{name} {reason}"));
    let kept = name[..name.len().min(characters_max - HASH_CHARACTERS - 1)].trim_end_matches('-');
    format!("{kept}-{hash}")
}

/// The security group of the load balancer: open on the listener's port.
pub fn load_balancer_security_group(stack: &str) -> String {
    fit(format!("cs-{stack}--load-balancer"), EC2_NAME_CHARACTERS_MAX)
}

/// The security group of the instances: reachable from the load balancer only.
pub fn instances_security_group(stack: &str) -> String {
    fit(format!("cs-{stack}--instances"), EC2_NAME_CHARACTERS_MAX)
}

/// The `Name` tag of a cluster's instances.
pub fn instance(stack: &str, cluster: &str) -> String {
    format!("{stack}-{cluster}")
}

fn fit(name: String, characters_max: usize) -> String {
    if name.len() <= characters_max {
        return name;
    }
    let kept = name[..characters_max - HASH_CHARACTERS - 1].trim_end_matches('-');
    format!("{kept}-{}", hash(&name))
}

fn hash(name: &str) -> String {
    let digest = Sha256::digest(name.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()[..HASH_CHARACTERS].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_has_a_name_of_its_own_within_the_limit() {
        let name = "cs-a-rather-long-stack-name-abcd";
        let next = |reason| successor(name, reason, ELB_NAME_CHARACTERS_MAX);
        assert_ne!(next("0011"), name);
        assert!(next("0011").len() <= ELB_NAME_CHARACTERS_MAX);
        assert_eq!(next("0011"), next("0011"));
        assert_ne!(next("0011"), next("0012"));
    }

    #[test]
    fn what_is_in_a_group_goes_by_its_own_name_in_the_stack() {
        let group = group("shop", "web");
        assert_eq!(in_group(&group, "cpu"), "cs-shop--web--cpu");
        assert_eq!(in_stack(&group, &in_group(&group, "cpu")), "cpu");
        assert_eq!(in_stack(&group, "cpu"), "\"cpu\"", "made by hand, and not the stack's `cpu`");
        assert_eq!(cluster_of("shop", &in_group(&group, "cpu")), Some(("web", "cpu")));
        assert_eq!(cluster_of("sho", &in_group(&group, "cpu")), None);
    }

    #[test]
    fn names_that_fit_are_readable() {
        assert_eq!(load_balancer("two-clusters"), "cs-two-clusters");
        assert_eq!(group("two-clusters", "light"), "cs-two-clusters--light");
    }

    #[test]
    fn target_groups_are_named_within_the_rules_of_elbv2() {
        assert_eq!(target_group("two-clusters", "light"), "cs-two-clusters-light-56014a");
        assert!(!target_group("a-stack-name-cut-at-a-hyphen", "x").contains("--"));
    }

    #[test]
    fn long_names_are_cut_and_stay_distinct() {
        let one = target_group("a-rather-long-stack-name", "cluster-number-one");
        let two = target_group("a-rather-long-stack-name", "cluster-number-two");
        assert_eq!(one.len(), ELB_NAME_CHARACTERS_MAX);
        assert_ne!(one, two);
        assert_eq!(one, target_group("a-rather-long-stack-name", "cluster-number-one"));
    }

    #[test]
    fn stacks_whose_names_run_together_do_not_share_a_target_group() {
        assert_ne!(target_group("a-b", "c"), target_group("a", "b-c"));
    }
}
