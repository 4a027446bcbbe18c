//! Stories of a group that mixes instance types and purchase options.

use std::collections::BTreeMap;

use super::scripted::{Scripted, params, template};
use crate::region::wire::{Params, Value};

fn policy(types: &[&str], distribution: &[(&str, &str)]) -> Value {
    policy_of("1", types, distribution)
}

fn policy_of(version: &str, types: &[&str], distribution: &[(&str, &str)]) -> Value {
    let overrides = types.iter().map(|name| Value::map().with("InstanceType", Value::from(*name)));
    let launch =
        Value::map().with("LaunchTemplateSpecification", template(version)).with("Overrides", Value::list(overrides));
    let distribution = Value::Map(params(distribution).0);
    Value::map().with("LaunchTemplate", launch).with("InstancesDistribution", distribution)
}

/// One on demand, of the rest half; spot spread over the types.
const HALF: [(&str, &str); 3] = [
    ("OnDemandBaseCapacity", "1"),
    ("OnDemandPercentageAboveBaseCapacity", "50"),
    ("SpotAllocationStrategy", "price-capacity-optimized"),
];

fn mixed(desired: &str) -> Scripted {
    let mut world = Scripted::default();
    let sizes = [("MinSize", "0"), ("MaxSize", "9"), ("DesiredCapacity", desired)];
    let subnet = world.subnets(1);
    let mut fields = params(&[("AutoScalingGroupName", "web"), ("VPCZoneIdentifier", &subnet)]);
    fields.0.extend(params(&sizes).0);
    fields.0.push(("MixedInstancesPolicy".to_owned(), policy(&["t3.large", "t3a.large"], &HALF)));
    world.call_with("CreateAutoScalingGroup", fields).unwrap();
    world.run(60);
    world
}

/// How many in service of each type; spot with a star.
fn census(world: &Scripted) -> BTreeMap<String, usize> {
    let mut census = BTreeMap::new();
    for member in world.in_service() {
        let facts = world.bench.world.services.ec2.instance_facts(&member.id).unwrap();
        assert_eq!((&facts.instance_type, facts.spot), (&member.instance_type, member.spot), "as it was launched");
        *census.entry(format!("{}{}", member.instance_type, if member.spot { "*" } else { "" })).or_insert(0) += 1;
    }
    census
}

fn counts(entries: &[(&str, usize)]) -> BTreeMap<String, usize> {
    entries.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn shown(world: &mut Scripted) -> Params {
    let Value::Map(fields) = world.call_with("DescribeAutoScalingGroups", Params::default()).unwrap() else {
        panic!("a map")
    };
    Params(fields).maps("AutoScalingGroups").remove(0)
}

#[test]
fn a_mixed_group_buys_its_base_on_demand_and_spreads_the_rest() {
    let mut world = mixed("5");
    assert_eq!(census(&world), counts(&[("t3.large", 3), ("t3.large*", 1), ("t3a.large*", 1)]));
    world.call("SetDesiredCapacity", &[("DesiredCapacity", "9")]).unwrap();
    world.run(60);
    assert_eq!(census(&world), counts(&[("t3.large", 5), ("t3.large*", 2), ("t3a.large*", 2)]));
    world.call("SetDesiredCapacity", &[("DesiredCapacity", "3")]).unwrap();
    world.run(60);
    assert_eq!(
        census(&world).iter().map(|(name, count)| (name.ends_with('*'), *count)).collect::<Vec<_>>(),
        [(false, 2), (true, 1)]
    );
}

#[test]
fn a_mixed_group_is_shown_with_its_policy_and_changes_to_one_type_in_place() {
    let mut world = mixed("2");
    let group = shown(&mut world);
    assert_eq!(group.get("LaunchTemplate"), None);
    let policy = group.map("MixedInstancesPolicy").unwrap();
    let launch = policy.map("LaunchTemplate").unwrap();
    assert_eq!(launch.map("LaunchTemplateSpecification").unwrap().text("Version"), Some("1"));
    assert_eq!(launch.maps("Overrides")[1].text("InstanceType"), Some("t3a.large"));
    let distribution = policy.map("InstancesDistribution").unwrap();
    assert_eq!(distribution.text("OnDemandAllocationStrategy"), Some("prioritized"));
    assert_eq!(distribution.int("OnDemandPercentageAboveBaseCapacity").unwrap(), Some(50));

    let mut fields = params(&[("AutoScalingGroupName", "web")]);
    fields.0.push(("LaunchTemplate".to_owned(), template("2")));
    world.call_with("UpdateAutoScalingGroup", fields).unwrap();
    let group = shown(&mut world);
    assert_eq!(group.get("MixedInstancesPolicy"), None);
    assert_eq!(group.map("LaunchTemplate").unwrap().text("Version"), Some("2"));
    assert_eq!(world.in_service().len(), 2, "what runs stays");
}

#[test]
fn an_update_changes_what_it_names_and_the_price_goes_with_an_empty_text() {
    let mut world = mixed("0");
    let mut update = |distribution: &[(&str, &str)]| {
        let distribution = Value::map().with("InstancesDistribution", Value::Map(params(distribution).0));
        let mut fields = params(&[("AutoScalingGroupName", "web")]);
        fields.0.push(("MixedInstancesPolicy".to_owned(), distribution));
        world.call_with("UpdateAutoScalingGroup", fields).map(|_| world.group().settings.mix.clone().unwrap())
    };
    let priced = update(&[("SpotMaxPrice", "0.05")]).unwrap();
    assert_eq!((priced.max_price.as_deref(), priced.on_demand_percent, priced.types.len()), (Some("0.05"), 50, 2));
    assert_eq!(update(&[("SpotMaxPrice", "")]).unwrap().max_price, None);
    for wrong in [
        ("OnDemandPercentageAboveBaseCapacity", "101"),
        ("SpotAllocationStrategy", "cheapest"),
        ("SpotInstancePools", "3"),
        ("SpotMaxPrice", "0.0001"),
    ] {
        assert_eq!(update(&[wrong]).unwrap_err().code, "ValidationError", "{wrong:?}");
    }
}

#[test]
fn a_group_has_a_template_or_a_policy_and_no_type_twice() {
    let mut world = Scripted::default();
    let subnet = world.subnets(1);
    let mut create = |policy: Value, both: bool| {
        let mut fields = params(&[
            ("AutoScalingGroupName", "web"),
            ("VPCZoneIdentifier", &subnet),
            ("MinSize", "0"),
            ("MaxSize", "1"),
        ]);
        fields.0.push(("MixedInstancesPolicy".to_owned(), policy));
        if both {
            fields.0.push(("LaunchTemplate".to_owned(), template("1")));
        }
        world.call_with("CreateAutoScalingGroup", fields).unwrap_err().code
    };
    assert_eq!(create(policy(&["t3.large"], &[]), true), "ValidationError");
    assert_eq!(create(policy(&["t3.large", "t3.large"], &[]), false), "ValidationError");
    assert_eq!(create(Value::map(), false), "ValidationError");
}

#[test]
fn a_refresh_rolls_a_mixed_group_over_to_a_new_template_and_new_types() {
    let mut world = mixed("3");
    let mut fields = params(&[("AutoScalingGroupName", "web")]);
    let policy = policy_of("2", &["t3a.large", "m5.large"], &HALF);
    fields.0.push(("DesiredConfiguration".to_owned(), Value::map().with("MixedInstancesPolicy", policy)));
    fields.0.push(("Preferences".to_owned(), Value::map().with("SkipMatching", Value::from("true"))));
    world.call_with("StartInstanceRefresh", fields).unwrap();
    assert_eq!(world.group().settings.template.version, "1", "until it has succeeded");
    world.run(1_000);
    assert_eq!(world.group().refreshes[0].status.name(), "Successful");
    assert_eq!(census(&world), counts(&[("t3a.large", 2), ("t3a.large*", 1)]));
    let settings = &world.group().settings;
    assert_eq!((settings.template.version.as_str(), settings.mix.as_ref().unwrap().types.len()), ("2", 2));
}

/// Weights count: two instances of weight 4 are a desired capacity of 8, a third exceeds one of 9 by less than its weight,
/// and a decrease that is less than an instance ends none (EC2 Auto Scaling user guide, "Instance weights").
#[test]
fn a_weighted_group_counts_units_and_exceeds_them_by_less_than_an_instance() {
    let mut world = Scripted::default();
    let entry = |name: &str, weight: &str| {
        Value::map().with("InstanceType", Value::from(name)).with("WeightedCapacity", Value::from(weight))
    };
    let policy = |overrides: Vec<Value>| {
        let launch =
            Value::map().with("LaunchTemplateSpecification", template("1")).with("Overrides", Value::List(overrides));
        Value::map().with("LaunchTemplate", launch)
    };
    let subnets = world.subnets(2);
    let create = |world: &mut Scripted, overrides: Vec<Value>| {
        let mut fields = params(&[
            ("AutoScalingGroupName", "web"),
            ("VPCZoneIdentifier", &subnets),
            ("MinSize", "0"),
            ("MaxSize", "20"),
            ("DesiredCapacity", "8"),
        ]);
        fields.0.push(("MixedInstancesPolicy".to_owned(), policy(overrides)));
        world.call_with("CreateAutoScalingGroup", fields)
    };
    for wrong in [
        vec![entry("c5.xlarge", "4"), Value::map().with("InstanceType", Value::from("c5.large"))],
        vec![entry("c5.xlarge", "0")],
    ] {
        assert_eq!(create(&mut world, wrong).unwrap_err().code, "ValidationError");
    }
    create(&mut world, vec![entry("c5.xlarge", "4"), entry("c5.large", "2")]).unwrap();
    world.run(60);
    assert_eq!((world.in_service().len(), world.group().active()), (2, 8));
    world.call("SetDesiredCapacity", &[("DesiredCapacity", "9")]).unwrap();
    world.run(60);
    assert_eq!((world.in_service().len(), world.group().active()), (3, 12));
    for (desired, left) in [("9", 3), ("8", 2), ("7", 2), ("5", 2), ("4", 1)] {
        world.call("SetDesiredCapacity", &[("DesiredCapacity", desired)]).unwrap();
        world.run(60);
        assert_eq!(world.in_service().len(), left, "desired {desired}");
    }
    let shown = world.call_with("DescribeAutoScalingGroups", params(&[])).unwrap();
    let Value::Map(fields) = shown else { panic!("an answer") };
    let group = crate::region::wire::Params(fields).maps("AutoScalingGroups")[0].clone();
    assert_eq!(group.maps("Instances")[0].text("WeightedCapacity"), Some("4"));
    let overrides = group.map("MixedInstancesPolicy").unwrap().map("LaunchTemplate").unwrap().maps("Overrides");
    assert_eq!(overrides[1].text("WeightedCapacity"), Some("2"));
}
