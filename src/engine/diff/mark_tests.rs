//! What the marks of an observed resource say: whose it is, since when, and whether what it refers to was replaced.

use super::gentlest_tests::edited;
use super::tests::{TARGET_GROUP, change, desired_spec, stack, with_target_group};
use super::*;
use crate::resources::{TYPES, target_group};

fn resource(kind: &str) -> &'static dyn ErasedResource {
    *TYPES.iter().find(|resource| resource.kind() == kind).expect("a type of this name")
}

/// The target group of a stack with one cluster, just as it is desired, with these tags.
fn compared(tags: &Tags) -> Change {
    let stack = stack(8080);
    let mut cloud = with_target_group("/health", "x");
    cloud.note_tags(TARGET_GROUP, tags.clone());
    change(&stack, &cloud, "cluster.app.target_group")
}

fn tagged(spec: &str) -> Tags {
    tags::of("web", &target_group::address("app"), spec, &Tags::new())
}

#[test]
fn what_was_adopted_gets_our_mark_and_says_so_although_nothing_else_differs() {
    let adopted = compared(&tagged(tags::ADOPTED));
    assert_eq!((adopted.action, adopted.reason.as_str()), (Action::Update, ADOPTED));
    let paths: Vec<_> = adopted.fields.iter().map(|field| (field.path.as_str(), field.observed.as_deref())).collect();
    assert_eq!(paths, [("tags.cloudscale:spec", Some(tags::ADOPTED))]);
    assert_eq!(adopted.fields[0].desired, Some(desired_spec(&stack(8080))));
}

#[test]
fn a_mark_that_is_lost_is_drift_and_one_of_another_content_is_not_written_for_its_own_sake() {
    let mut without = tagged("x");
    without.remove(tags::SPEC);
    let lost = compared(&without);
    assert_eq!((lost.action, lost.reason.as_str()), (Action::Update, DRIFT));
    let paths: Vec<_> = lost.fields.iter().map(|field| (field.path.as_str(), field.observed.as_deref())).collect();
    assert_eq!(paths, [("tags.cloudscale:spec", None)]);
    assert_eq!(compared(&tagged(&desired_spec(&stack(8080)))).action, Action::Unchanged);
    assert_eq!(compared(&tagged("another")).action, Action::Unchanged);
}

/// AWS can attach a group to another target group in place, but not without losing requests: the group goes with it.
#[test]
fn a_group_is_replaced_with_its_target_group_and_only_updated_with_a_new_one() {
    let action = |nodes: &[Node], address: &str| {
        nodes.iter().find(|node| node.change.address.as_str() == address).map(|node| node.change.action)
    };
    // A port is what a target group is replaced for.
    let nodes = edited("port: 8081", "port: 8099");
    assert_eq!(action(&nodes, "cluster.group.target_group"), Some(Action::Replace));
    assert_eq!(action(&nodes, "cluster.group.scaling_group"), Some(Action::Replace));
    assert_eq!(action(&nodes, "cluster.group.policy.cpu"), Some(Action::Replace));
    // Fixed instances are registered with the new one, and stay.
    let nodes = edited("port: 8080", "port: 8099");
    assert_eq!(action(&nodes, "cluster.fleet.target_group"), Some(Action::Replace));
    assert_ne!(action(&nodes, "cluster.fleet.instances"), Some(Action::Replace));
}

/// A run that died between the two halves of a replacement left an old target group and a group that is attached to it.
#[test]
fn a_group_that_is_still_attached_to_a_replaced_target_group_is_replaced_too() {
    let fields = |value| Fields::default().value("target_group", value);
    let desired = fields(Value::Ref(target_group::address("group")));
    let observed = |value| differences(resource("scaling_group"), &fields(value), &desired);
    let replaced = observed(Value::Replaced(target_group::address("group")));
    assert!(replaced.len() == 1 && replaced[0].forces_replacement, "{replaced:?}");
    let foreign = observed(Value::Text("arn:other".to_owned()));
    assert!(foreign.len() == 1 && !foreign[0].forces_replacement, "{foreign:?}");
    assert_eq!(observed(Value::Ref(target_group::address("group"))), []);
    // For a type that does not follow, a replaced one is no reason either.
    let registration = differences(resource("rule"), &fields(Value::Replaced(target_group::address("x"))), &desired);
    assert!(registration.iter().all(|field| !field.forces_replacement), "{registration:?}");
}
