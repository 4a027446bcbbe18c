//! What a difference is called: created, changed, drifted, replaced, and what follows from it.

use std::time::Duration;

use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::{Instance, InstanceState, InstanceStateName, Placement};
use aws_sdk_elasticloadbalancingv2::types::{
    Matcher, ProtocolEnum, TargetDescription, TargetGroup, TargetHealth, TargetHealthDescription, TargetHealthStateEnum,
};
use jiff::Timestamp;

use super::*;
use crate::resource::Resource;
use crate::resource::fields::Value;
use crate::resources::TYPES;
use crate::resources::instances::DescribeInstances;
use crate::resources::launch_template;
use crate::resources::network::{LiveNetwork, LiveSubnet, StackNetwork};
use crate::resources::target_group::{self, DescribeTargetGroups};
use crate::resources::targets::DescribeTargetHealth;
use crate::stack::model::Stack;
use crate::stack::names;
use crate::stack::{Overrides, load};

pub(super) const TARGET_GROUP: &str = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/cs-web/0123456789abcdef";
const INSTANCES: &str = "cluster.app.instances";

pub(super) fn stack(port: u16) -> Stack {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("stack.yaml");
    let text = format!(
        "name: web\nclusters:\n  app:\n    instance_type: t2.large\n    instances: 2\n    port: {port}\n    routes: [\"/app\"]\n"
    );
    std::fs::write(&file, text).expect("the stack is written");
    load(&file, &Overrides::default()).expect("the stack is valid").0
}

pub(super) fn network() -> LiveNetwork {
    let subnet = |zone: &str| LiveSubnet { id: Value::Text(format!("subnet-{zone}")), zone: zone.to_owned() };
    LiveNetwork { vpc: Value::Text("vpc-1".into()), subnets: vec![subnet("a"), subnet("b")] }
}

/// The target group of `app` as the stack wants it, with this health check path and spec tag.
pub(super) fn with_target_group(path: &str, spec: &str) -> Snapshot {
    let group = TargetGroup::builder()
        .target_group_arn(TARGET_GROUP)
        .protocol(ProtocolEnum::Http)
        .port(8080)
        .vpc_id("vpc-1")
        .health_check_path(path)
        .health_check_interval_seconds(10)
        .health_check_timeout_seconds(5)
        .healthy_threshold_count(2)
        .unhealthy_threshold_count(2)
        .matcher(Matcher::builder().http_code("200").build())
        .build();
    let tags = tags::of("web", &target_group::address("app"), spec, &Tags::new());
    let mut cloud = empty();
    cloud.note_tags(TARGET_GROUP, tags);
    cloud.with::<DescribeTargetGroups>(vec![group])
}

/// A cloud that has nothing of the stack.
fn empty() -> Snapshot {
    Snapshot::empty("web").with::<StackNetwork>(vec![network()])
}

pub(super) fn desired_spec(stack: &Stack) -> String {
    let desired = target_group::TargetGroup::desired(&Scope { stack, cloud: &empty() });
    target_group::TargetGroup::spec(&desired[0].1)
}

pub(super) fn change(stack: &Stack, cloud: &Snapshot, address: &str) -> Change {
    let nodes = diff(TYPES, &Scope { stack, cloud }).expect("nothing foreign");
    nodes.into_iter().find(|node| node.change.address.as_str() == address).expect("the address is in the plan").change
}

#[test]
fn on_an_empty_cloud_everything_is_created() {
    let stack = stack(8080);
    let nodes = diff(TYPES, &Scope { stack: &stack, cloud: &empty() }).expect("nothing foreign");
    assert!(nodes.iter().all(|node| node.change.action == Action::Create));
    let addresses: Vec<_> = nodes.iter().map(|node| node.change.address.as_str()).collect();
    assert_eq!(
        addresses,
        [
            "cluster.app.instances",
            "cluster.app.launch_template",
            "cluster.app.rule",
            "cluster.app.target_attachment",
            "cluster.app.target_group",
            "instances.security_group",
            "load_balancer",
            "load_balancer.listener",
            "load_balancer.security_group",
        ]
    );
}

#[test]
fn a_difference_under_the_same_spec_is_drift_and_under_another_a_change_of_the_stack() {
    let stack = stack(8080);
    let address = "cluster.app.target_group";
    let spec = desired_spec(&stack);
    assert_eq!(change(&stack, &with_target_group("/health", &spec), address).action, Action::Unchanged);
    let drift = change(&stack, &with_target_group("/other", &spec), address);
    assert_eq!((drift.action, drift.reason.as_str()), (Action::Update, "drift: changed outside cloudscale"));
    let edited = change(&stack, &with_target_group("/other", "another"), address);
    assert_eq!((edited.action, edited.reason.as_str()), (Action::Update, "changed in the stack"));
}

#[test]
fn a_port_that_changes_replaces_the_target_group() {
    let stack = stack(9090);
    let change = change(&stack, &with_target_group("/health", "old"), "cluster.app.target_group");
    assert_eq!(change.action, Action::Replace);
    let forced: Vec<_> =
        change.fields.iter().filter(|field| field.forces_replacement).map(|f| f.path.as_str()).collect();
    assert_eq!(forced, ["port"]);
}

#[test]
fn what_is_live_and_no_longer_wanted_is_deleted() {
    let stack = stack(8080);
    let mut cloud = with_target_group("/health", "x");
    let tags = tags::of("web", &target_group::address("gone"), "x", &Tags::new());
    cloud.note_tags(TARGET_GROUP, tags);
    assert_eq!(change(&stack, &cloud, "cluster.gone.target_group").action, Action::Delete);
}

#[test]
fn a_stranger_with_our_name_stops_the_plan() {
    let stack = stack(8080);
    let mut cloud = empty();
    cloud.unmanaged.insert(names::target_group("web", "app"));
    let problems = diff(TYPES, &Scope { stack: &stack, cloud: &cloud }).expect_err("the name is taken");
    assert_eq!(problems.0[0].summary, "A resource of this name belongs to someone else");
}

/// A running instance of `app`, made of the desired template and launched at the epoch.
fn instance(stack: &Stack, id: &str) -> Instance {
    let cloud = empty();
    let scope = Scope { stack, cloud: &cloud };
    let template = launch_template::LaunchTemplate::desired(&scope).remove(0).1;
    let tags =
        tags::of("web", &Address::parse(INSTANCES), &launch_template::LaunchTemplate::spec(&template), &Tags::new());
    Instance::builder()
        .instance_id(id)
        .launch_time(DateTime::from_secs(0))
        .state(InstanceState::builder().name(InstanceStateName::Running).build())
        .placement(Placement::builder().availability_zone("a").build())
        .set_tags(Some(tags::to_ec2(&tags)))
        .build()
}

#[test]
fn a_fleet_says_how_many_are_missing() {
    let stack = stack(8080);
    let cloud = empty().with::<DescribeInstances>(vec![instance(&stack, "i-1")]);
    let fixed = change(&stack, &cloud, INSTANCES);
    assert_eq!((fixed.action, fixed.reason.as_str()), (Action::Update, "1 to launch"));
}

#[test]
fn an_unhealthy_instance_is_waited_for_while_it_boots_and_replaced_afterwards() {
    let stack = stack(8080);
    let unhealthy = TargetHealth::builder().state(TargetHealthStateEnum::Unhealthy).build();
    let target = TargetDescription::builder().id("i-1").build();
    let health = TargetHealthDescription::builder().target(target).target_health(unhealthy).build();
    let cloud = |seconds| {
        let taken = Timestamp::from_second(seconds).expect("a time");
        let mut cloud = with_target_group("/health", "x");
        (cloud.taken, cloud.boot_grace) = (taken, Duration::from_secs(5));
        let cloud = cloud.with::<DescribeInstances>(vec![instance(&stack, "i-1"), instance(&stack, "i-2")]);
        cloud.with::<DescribeTargetHealth>(vec![(TARGET_GROUP.to_owned(), vec![health.clone()])])
    };
    let early = change(&stack, &cloud(4), INSTANCES);
    // This cloud has no security group that they could have.
    assert!(early.fields.iter().all(|field| field.path == "security_group"), "{early:?}");
    let late = change(&stack, &cloud(5), INSTANCES);
    assert_eq!((late.action, late.reason.as_str()), (Action::Update, "1 not serving"));
}

#[test]
fn what_an_expiry_has_set_to_zero_says_when_and_other_drift_stays_drift() {
    let field =
        |path: &str| FieldChange { path: path.to_owned(), observed: None, desired: None, forces_replacement: false };
    let node = |reason: &str, paths: &[&str]| Node {
        resource: *TYPES.iter().find(|of| of.kind() == "scaling_group").expect("a type"),
        change: Change {
            address: Address::in_cluster("app", "scaling_group"),
            kind: "scaling_group".to_owned(),
            action: Action::Update,
            reason: reason.to_owned(),
            fields: paths.iter().map(|path| field(path)).collect(),
        },
        desired: None,
        observed: None,
        yields_to: Vec::new(),
    };
    let mut nodes =
        [node(DRIFT, &["min", "max"]), node(DRIFT, &["min", "warmup_s"]), node("changed in the stack", &["min"])];
    explain_expiry(&mut nodes, "2026-11-22T03:00:00Z".parse().expect("a time"));
    let reasons: Vec<_> = nodes.iter().map(|node| node.change.reason.as_str()).collect();
    assert_eq!(reasons, ["the stack expired at 2026-11-22T03:00:00Z", DRIFT, "changed in the stack"]);
}
