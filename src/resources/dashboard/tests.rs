//! What was put against what is observed.

use aws_sdk_autoscaling::types::{Alarm, AutoScalingGroup, ScalingPolicy, TagDescription, TargetTrackingConfiguration};
use aws_sdk_elasticloadbalancingv2::types::{LoadBalancer, TargetGroup};

use std::path::Path;

use super::*;
use crate::cloud::tags::{self, Tags};
use crate::problem::Source;
use crate::resources::scaling_group::DescribeAutoScalingGroups;
use crate::stack::{Overrides, parse};

const ELB: &str = "arn:aws:elasticloadbalancing:us-east-1:000000000000";
const OURS: &str = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:cs-shop--web--busy";
const AWS: &str = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:TargetTracking-cs-shop--web-AlarmHigh-1";

fn desired() -> Desired {
    let shown = |policy: &str, own: Option<&str>| Shown {
        cluster: "web".into(),
        policy: policy.into(),
        own: own.map(str::to_owned),
    };
    Desired {
        name: "cs-shop".into(),
        region: "us-east-1".into(),
        clusters: vec!["web".into(), "api".into()],
        alarms: vec![shown("cpu", None), shown("busy", Some("cs-shop--web--busy"))],
    }
}

fn arn_of(address: &Address) -> String {
    match address {
        balancer if *balancer == load_balancer::ADDRESS => {
            format!("{ELB}:loadbalancer/app/cs-shop/50dc6c495c0c9188")
        }
        address => format!("{ELB}:targetgroup/{}/73e2d6bc24d8a067", address.as_str().replace('.', "-")),
    }
}

/// What is put where everything is there.
fn body() -> Json {
    let alarms = vec![AWS.to_owned(), OURS.to_owned()];
    json!({"widgets": widgets(&desired(), &|address| full_name(&arn_of(address)), alarms)})
}

fn cloud() -> Snapshot {
    let mut cloud = Snapshot::empty("shop");
    let groups = ["web", "api"].map(target_group::address);
    for address in groups.iter().chain([&load_balancer::ADDRESS]) {
        let tags = [(tags::STACK, "shop"), (tags::ADDRESS, address.as_str())];
        let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned()));
        cloud.note_tags(&arn_of(address), Tags::from(tags));
    }
    let tag = |key: &str, value: &str| TagDescription::builder().key(key).value(value).build();
    let group = AutoScalingGroup::builder()
        .auto_scaling_group_name("cs-shop--web")
        .tags(tag(tags::STACK, "shop"))
        .tags(tag(tags::ADDRESS, "cluster.web.scaling_group"));
    let policy = ScalingPolicy::builder()
        .auto_scaling_group_name("cs-shop--web")
        .policy_name("cs-shop--web--cpu")
        .target_tracking_configuration(TargetTrackingConfiguration::builder().target_value(50.0).build())
        .alarms(Alarm::builder().alarm_arn(AWS).build());
    let targets = groups.map(|address| TargetGroup::builder().target_group_arn(arn_of(&address)).build());
    let balancer = LoadBalancer::builder().load_balancer_arn(arn_of(&load_balancer::ADDRESS)).build();
    cloud
        .with::<DescribeTargetGroups>(targets.to_vec())
        .with::<DescribeLoadBalancers>(vec![balancer])
        .with::<DescribeAutoScalingGroups>(vec![group.build()])
        .with::<DescribePolicies>(vec![policy.build()])
}

/// The paths at which an observed body is not as desired.
fn differences(cloud: &Snapshot, body: &str) -> Vec<String> {
    let observed = Observed { name: "cs-shop".into(), body: Some(body.to_owned()) };
    let (observed, desired) = (Dashboard::observed_fields(&observed, cloud), Dashboard::desired_fields(&desired()));
    let differs = desired.iter().filter(|(path, value)| observed.get(path) != Some(*value));
    let surplus = observed.iter().filter(|(path, _)| desired.get(path).is_none());
    differs.chain(surplus).map(|(path, _)| path.to_owned()).collect()
}

#[test]
fn what_was_put_is_as_desired_in_any_order_of_its_keys() {
    let body = body();
    assert_eq!(differences(&cloud(), &body.to_string()), Vec::<String>::new());
    assert_eq!(differences(&cloud(), &canonical(&body)), Vec::<String>::new());
}

#[test]
fn whatever_is_changed_of_a_dashboard_is_seen() {
    let seen = |change: &dyn Fn(&mut Json)| {
        let mut body = body();
        change(&mut body);
        differences(&cloud(), &body.to_string())
    };
    assert_eq!(seen(&|body| body["widgets"][1]["properties"]["period"] = json!(300)), ["widget.web.requests"]);
    assert_eq!(seen(&|body| body["start"] = json!("-PT3H")), ["start"]);
    let copy = |body: &mut Json| {
        let first = body["widgets"][0].clone();
        body["widgets"].as_array_mut().unwrap().push(first);
    };
    assert_eq!(seen(&copy), ["widget.web.size (2)"]);
    assert_eq!(seen(&|body| body["widgets"][8]["properties"]["alarms"] = json!([OURS])), ["alarms"]);
    assert_eq!(seen(&|body| body["widgets"][8]["properties"]["alarms"] = json!([AWS, OURS, "arn:pager"])), ["alarms"]);
    assert_eq!(differences(&cloud(), "gone").last().map(String::as_str), Some("body"));
}

#[test]
fn a_target_group_that_was_replaced_is_told_from_its_successor() {
    let mut cloud = cloud();
    cloud.replaced.insert(arn_of(&target_group::address("web")));
    assert_eq!(differences(&cloud, &body().to_string()), ["target_groups"]);
}

#[test]
fn more_alarms_than_a_widget_takes_get_more_widgets() {
    let alarms = |count: usize| {
        let arns = vec![OURS.to_owned(); count];
        let widgets = widgets(&desired(), &Address::to_string, arns);
        widgets[8..].iter().map(|widget| (alarms_of(widget).count(), widget["y"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(alarms(0), []);
    assert_eq!(alarms(101), [(100, json!(12)), (1, json!(18))]);
}

#[test]
fn an_endpoint_without_dashboards_has_none_to_make() {
    let text = "name: shop\ndashboard: true\nclusters: {web: {}}\n".to_owned();
    let source = Source { name: "stack.yaml".to_owned(), text };
    let (stack, _) = parse(source.into(), Path::new("stack.yaml"), &Overrides::default()).expect("a valid stack");
    let mut cloud = Snapshot::empty("shop");
    assert_eq!(Dashboard::desired(&Scope { stack: &stack, cloud: &cloud }).len(), 1);
    cloud.store(crate::cloud::snapshot::listing::Rows::of::<ListDashboards>(None));
    assert!(Dashboard::desired(&Scope { stack: &stack, cloud: &cloud }).is_empty());
    assert!(ListDashboards::missed_by(Some(&stack)).is_some());
}
