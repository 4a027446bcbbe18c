//! The mixed instances policy of a group: several instance types, on demand and spot.
//!
//! AWS takes a policy or a launch template, never both; a group changes between the two in place. What runs already
//! stays until it is replaced or scaled in.

use aws_sdk_autoscaling::types::{
    AutoScalingGroup, InstancesDistribution, LaunchTemplate, LaunchTemplateOverrides, LaunchTemplateSpecification,
    MixedInstancesPolicy,
};

use crate::resource::fields::Fields;
use crate::stack::model::Mix;

/// What the group launches from, with one type or with several.
pub fn template(group: &AutoScalingGroup) -> Option<&LaunchTemplateSpecification> {
    let mixed = || group.mixed_instances_policy()?.launch_template()?.launch_template_specification();
    mixed().or(group.launch_template())
}

pub fn desired_fields(fields: Fields, mix: Option<&Mix>) -> Fields {
    let Some(mix) = mix else { return fields };
    fields
        .text("mix.types", mix.types.join(", "))
        .text("mix.on_demand_base", mix.on_demand_base)
        .text("mix.on_demand_percent", mix.on_demand_percent)
        .text("mix.on_demand_strategy", &mix.on_demand_strategy)
        .text("mix.spot_strategy", &mix.spot_strategy)
        .maybe("mix.spot_pools", mix.spot_pools)
        .maybe("mix.max_price", mix.max_price.as_ref())
}

pub fn observed_fields(fields: Fields, group: &AutoScalingGroup) -> Fields {
    let Some(policy) = group.mixed_instances_policy() else { return fields };
    let overrides = policy.launch_template().map(LaunchTemplate::overrides).unwrap_or_default();
    let fields = fields.text("mix.types", overrides.iter().map(override_text).collect::<Vec<_>>().join(", "));
    let Some(distribution) = policy.instances_distribution() else { return fields };
    let strategy = distribution.spot_allocation_strategy();
    fields
        .maybe("mix.on_demand_base", distribution.on_demand_base_capacity())
        .maybe("mix.on_demand_percent", distribution.on_demand_percentage_above_base_capacity())
        .maybe("mix.on_demand_strategy", distribution.on_demand_allocation_strategy())
        .maybe("mix.spot_strategy", strategy)
        .maybe("mix.spot_pools", distribution.spot_instance_pools().filter(|_| strategy == Some("lowest-price")))
        .maybe("mix.max_price", distribution.spot_max_price().filter(|price| !price.is_empty()))
}

/// The type, and what somebody else has set beside it.
fn override_text(entry: &LaunchTemplateOverrides) -> String {
    let name = entry.instance_type().unwrap_or("by requirements");
    entry.weighted_capacity().map_or_else(|| name.to_owned(), |weight| format!("{name} (weight {weight})"))
}

/// `observed`: the group that is changed; AWS keeps a price until it is set to nothing.
pub fn policy(
    mix: &Mix,
    template: LaunchTemplateSpecification,
    observed: Option<&AutoScalingGroup>,
) -> MixedInstancesPolicy {
    let has_price = |group: &AutoScalingGroup| {
        let policy = group.mixed_instances_policy();
        policy.and_then(|policy| policy.instances_distribution()?.spot_max_price()).is_some()
    };
    let no_price = || observed.is_some_and(has_price).then(String::new);
    let distribution = InstancesDistribution::builder()
        .on_demand_allocation_strategy(&mix.on_demand_strategy)
        .on_demand_base_capacity(i32::try_from(mix.on_demand_base).unwrap_or(i32::MAX))
        .on_demand_percentage_above_base_capacity(mix.on_demand_percent.into())
        .spot_allocation_strategy(&mix.spot_strategy)
        .set_spot_instance_pools(mix.spot_pools.map(i32::from))
        .set_spot_max_price(mix.max_price.clone().or_else(no_price));
    let overrides = mix.types.iter().map(|name| LaunchTemplateOverrides::builder().instance_type(name).build());
    let launch =
        LaunchTemplate::builder().launch_template_specification(template).set_overrides(Some(overrides.collect()));
    MixedInstancesPolicy::builder().launch_template(launch.build()).instances_distribution(distribution.build()).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix() -> Mix {
        Mix {
            types: vec!["t3.large".to_owned(), "t3a.large".to_owned()],
            on_demand_base: 1,
            on_demand_percent: 50,
            on_demand_strategy: "prioritized".to_owned(),
            spot_strategy: "price-capacity-optimized".to_owned(),
            spot_pools: None,
            max_price: Some("0.05".to_owned()),
        }
    }

    fn group(policy: MixedInstancesPolicy) -> AutoScalingGroup {
        AutoScalingGroup::builder().mixed_instances_policy(policy).build()
    }

    fn version(version: &str) -> LaunchTemplateSpecification {
        LaunchTemplateSpecification::builder().launch_template_id("lt-1").version(version).build()
    }

    #[test]
    fn what_is_asked_for_reads_back_as_desired() {
        let observed = group(policy(&mix(), version("3"), None));
        assert_eq!(observed_fields(Fields::default(), &observed), desired_fields(Fields::default(), Some(&mix())));
        assert_eq!(template(&observed).and_then(|template| template.version()), Some("3"));
        let single = AutoScalingGroup::builder().launch_template(version("2")).build();
        assert_eq!(template(&single).and_then(|template| template.version()), Some("2"));
        assert_eq!(observed_fields(Fields::default(), &single), desired_fields(Fields::default(), None));
    }

    #[test]
    fn a_price_that_is_no_longer_wanted_is_taken_back() {
        let observed = group(policy(&mix(), version("1"), None));
        let without = Mix { max_price: None, ..mix() };
        let price = |policy: MixedInstancesPolicy| policy.instances_distribution?.spot_max_price;
        assert_eq!(price(policy(&without, version("1"), Some(&observed))).as_deref(), Some(""));
        assert_eq!(price(policy(&without, version("1"), None)), None, "a new group has none to take back");
    }

    #[test]
    fn a_weight_set_by_somebody_else_is_seen() {
        let mut policy = policy(&mix(), version("1"), None);
        let overrides = policy.launch_template.as_mut().and_then(|template| template.overrides.as_mut()).unwrap();
        overrides[1].weighted_capacity = Some("2".to_owned());
        let seen = observed_fields(Fields::default(), &group(policy));
        assert_eq!(seen.get("mix.types").unwrap().to_string(), "t3.large, t3a.large (weight 2)");
    }
}
