//! The scaling policies of a group: target tracking, steps, simple. AWS makes the alarms of the first; those of the
//! others are ours (`alarm.rs`).

use std::time::Duration;

use aws_sdk_autoscaling::types::{
    CustomizedMetricSpecification, MetricDimension, MetricStatistic, MetricType, PredefinedMetricSpecification,
    ScalingPolicy as Api, StepAdjustment, TargetTrackingConfiguration,
};

use aws_sdk_cloudwatch::types::MetricAlarm;

use super::load_balancer::DescribeLoadBalancers;
use super::scaling_group::ScalingGroup;
use super::scaling_group::{self, DescribeAutoScalingGroups};
use super::target_group;
use super::target_group::DescribeTargetGroups;
use crate::aws::arn::full_name;
use crate::aws::error::{CallError, settled};
use crate::aws::quirks;
use crate::cloud::address::Address;
use crate::cloud::discover::AUTOSCALING_PAGE;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{Bulk, Collection, Depth, ErasedCollection, ErasedListing, Listing, Query};
use crate::problem::Problem;
use crate::resource::change::FieldChange;
use crate::resource::context::ActionContext;
use crate::resource::fields::{Fields, Value};
use crate::resource::{Output, Resource, Scope};
use crate::resources::{load_balancer, rule};
use crate::stack::model::{Adjustment, Capacity, Comparison, Metric, Policy, Step};
use crate::stack::names;
use std::collections::BTreeSet;

/// Nothing where the alarms that AWS has made are there and on.
const ALARMS: &str = "alarms";

#[derive(Debug)]
pub struct ScalingPolicy;

#[derive(Clone, Debug)]
pub struct Desired {
    pub cluster: String,
    pub policy: Policy,
    /// The addresses of what routes to the cluster.
    pub rules: Vec<Address>,
}

#[derive(Clone, Debug)]
pub struct Observed {
    policy: Api,
    /// What is wrong with the alarms that AWS has made for it.
    alarms: Vec<String>,
}

/// `cluster.heavy.policy.cpu`
pub fn address(cluster: &str, policy: &str) -> Address {
    Address::in_cluster(cluster, "policy").named(policy)
}

/// Every policy of the stack with its cluster.
pub fn policies<'a>(scope: &Scope<'a>) -> impl Iterator<Item = (&'a str, &'a Policy)> {
    scope.stack.clusters.iter().flat_map(|cluster| match &cluster.capacity {
        Capacity::Group(scaling) => scaling.policies.iter().map(|policy| (cluster.name.as_str(), policy)).collect(),
        Capacity::Fixed { .. } => Vec::new(),
    })
}

/// What the stack calls an observed policy.
pub fn name_in_stack(policy: &Api) -> Option<String> {
    Some(names::in_stack(policy.auto_scaling_group_name()?, policy.policy_name()?))
}

/// The address of an observed policy of the stack.
pub fn address_of(cloud: &Snapshot, policy: &Api) -> Option<Address> {
    let cluster = scaling_group::cluster_of(cloud, policy.auto_scaling_group_name())?;
    Some(address(&cluster, &name_in_stack(policy)?))
}

/// ARNs of the alarms that AWS makes for target tracking; those that others point at a policy are not its own.
pub fn aws_alarms(policy: &Api) -> impl Iterator<Item = &str> {
    let own = policy.target_tracking_configuration().map(|_| policy.alarms()).unwrap_or_default();
    own.iter().filter_map(|alarm| alarm.alarm_arn())
}

impl Resource for ScalingPolicy {
    type Desired = Desired;
    type Observed = Observed;

    const KIND: &'static str = "scaling_policy";
    const NOTICED: &'static [&'static str] = &[ALARMS];
    const LISTINGS: &'static [&'static dyn ErasedListing] =
        &[&Bulk::<DescribePolicies>::NEW, &Bulk::<DescribeTrackingAlarms>::NEW];
    const REPLACE_WITH: &'static [&'static str] = &["group"];
    const DELETED_WITH: &'static [&'static str] = &[ScalingGroup::KIND];
    const OPTIONAL_READBACK: &'static [&'static str] = &[quirks::UNREPORTED_OF_POLICIES];

    fn desired(scope: &Scope<'_>) -> Vec<(Address, Desired)> {
        let desired = policies(scope).map(|(cluster, policy)| {
            let rules = rule::addresses_to(scope.stack, cluster);
            (address(cluster, policy.name()), Desired { cluster: cluster.to_owned(), policy: policy.clone(), rules })
        });
        desired.collect()
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Observed)> {
        let ours = cloud.all::<DescribePolicies>().iter().filter_map(|policy| {
            Some((address_of(cloud, policy)?, Observed { policy: policy.clone(), alarms: faults(policy, cloud) }))
        });
        ours.collect()
    }

    fn desired_fields(desired: &Desired) -> Fields {
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs());
        let fields =
            Fields::default().reference("group", scaling_group::address(&desired.cluster)).text("enabled", true);
        match &desired.policy {
            Policy::TargetTracking { metric, target, scale_in, warmup, .. } => {
                let fields = fields
                    .text("type", "TargetTrackingScaling")
                    .text("metric", metric_name(metric))
                    .text("target", target)
                    .text("scale_in", scale_in)
                    .maybe("warmup_s", seconds(*warmup));
                match metric {
                    Metric::RequestsPerTarget => fields
                        .reference("load_balancer", load_balancer::ADDRESS)
                        .reference("target_group", target_group::address(&desired.cluster)),
                    _ => fields,
                }
            }
            Policy::Step { trigger, adjustment, steps, aggregation, warmup, .. } => {
                let text = steps.iter().map(|step| step_text(bounds(trigger.comparison, step), step.amount));
                fields
                    .text("type", "StepScaling")
                    .text("adjustment", adjustment_type(*adjustment))
                    .maybe("min_change", least(*adjustment))
                    .text("aggregation", aggregation)
                    .text("steps", text.collect::<Vec<_>>().join(", "))
                    .maybe("warmup_s", seconds(*warmup))
            }
            Policy::Simple { adjustment, amount, cooldown, .. } => fields
                .text("type", "SimpleScaling")
                .text("adjustment", adjustment_type(*adjustment))
                .maybe("min_change", least(*adjustment))
                .text("amount", amount)
                .text("cooldown_s", cooldown.as_secs()),
        }
    }

    fn observed_fields(observed: &Observed, cloud: &Snapshot) -> Fields {
        let policy = &observed.policy;
        let fields = Fields::default()
            .value("group", Value::observed(cloud, policy.auto_scaling_group_name().unwrap_or_default()))
            .maybe("enabled", policy.enabled())
            .maybe("type", policy.policy_type())
            .maybe("warmup_s", policy.estimated_instance_warmup())
            .maybe(ALARMS, (!observed.alarms.is_empty()).then(|| observed.alarms.join(", ")));
        if let Some(tracking) = policy.target_tracking_configuration() {
            let fields = fields
                .text("metric", observed_metric(tracking))
                .maybe("target", tracking.target_value())
                .text("scale_in", !tracking.disable_scale_in().unwrap_or_default());
            let label = tracking.predefined_metric_specification().and_then(|metric| metric.resource_label());
            return match label {
                Some(label) => counted(fields, label, cloud),
                None => fields,
            };
        }
        let fields =
            fields.maybe("adjustment", policy.adjustment_type()).maybe("min_change", policy.min_adjustment_magnitude());
        if policy.policy_type() == Some("SimpleScaling") {
            return fields.maybe("amount", policy.scaling_adjustment()).maybe("cooldown_s", policy.cooldown());
        }
        let steps = policy.step_adjustments().iter().map(|step| {
            let bounds = (step.metric_interval_lower_bound(), step.metric_interval_upper_bound());
            step_text(bounds, step.scaling_adjustment().unwrap_or_default())
        });
        fields
            .maybe("aggregation", policy.metric_aggregation_type())
            .text("steps", steps.collect::<Vec<_>>().join(", "))
    }

    fn depends_on(desired: &Desired) -> Vec<Address> {
        match &desired.policy {
            // AWS checks that the load balancer routes to the target group.
            Policy::TargetTracking { metric: Metric::RequestsPerTarget, .. } => desired.rules.clone(),
            _ => Vec::new(),
        }
    }

    fn output(observed: &Observed) -> Output {
        let members = aws_alarms(&observed.policy).map(str::to_owned).collect();
        Output { members, ..Output::id(observed.policy.policy_arn().unwrap_or_default()) }
    }

    async fn create(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
        put(context, desired).await
    }

    async fn update(
        context: &ActionContext<'_>,
        desired: &Desired,
        _observed: &Observed,
        _: &[FieldChange],
    ) -> Result<Output, Problem> {
        put(context, desired).await
    }

    async fn delete(context: &ActionContext<'_>, observed: &Observed) -> Result<(), Problem> {
        let call = context
            .clients()
            .autoscaling
            .delete_policy()
            .set_auto_scaling_group_name(observed.policy.auto_scaling_group_name().map(str::to_owned))
            .set_policy_name(observed.policy.policy_name().map(str::to_owned));
        settled(call.send().await, &["ValidationError"])
            .map_err(|error| error.problem("autoscaling:DeletePolicy", context.address))
    }
}

/// Those alarms of a target tracking policy that are gone, or are off.
fn faults(policy: &Api, cloud: &Snapshot) -> Vec<String> {
    if cloud.lacks::<DescribeTrackingAlarms>() {
        return Vec::new();
    }
    let listed = cloud.all::<DescribeTrackingAlarms>();
    let fault = |arn: &str| {
        let name = arn.split_once(":alarm:").map_or(arn, |(_, name)| name);
        match listed.iter().find(|alarm| alarm.alarm_name() == Some(name)) {
            None => Some(format!("{name} is deleted")),
            Some(alarm) if alarm.actions_enabled() == Some(false) => Some(format!("{name} is off")),
            Some(_) => None,
        }
    };
    aws_alarms(policy).filter_map(fault).collect()
}

/// Creates or changes: the call is idempotent by name.
async fn put(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
    let group = context.output(&scaling_group::address(&desired.cluster))?.id;
    let name = names::in_group(&group, desired.policy.name());
    let request = context.clients().autoscaling.put_scaling_policy().auto_scaling_group_name(&group).policy_name(&name);
    let request = request.enabled(true);
    let seconds = |duration: Duration| i32::try_from(duration.as_secs()).unwrap_or(i32::MAX);
    let request = match &desired.policy {
        Policy::TargetTracking { metric, target, scale_in, warmup, .. } => {
            let tracking =
                tracking(context, &desired.cluster, metric)?.target_value(*target).disable_scale_in(!scale_in);
            request
                .policy_type("TargetTrackingScaling")
                .target_tracking_configuration(tracking.build())
                .set_estimated_instance_warmup(warmup.map(seconds))
        }
        Policy::Step { trigger, adjustment, steps, aggregation, warmup, .. } => {
            let steps = steps.iter().map(|step| {
                let (from, to) = bounds(trigger.comparison, step);
                StepAdjustment::builder()
                    .set_metric_interval_lower_bound(from)
                    .set_metric_interval_upper_bound(to)
                    .scaling_adjustment(step.amount)
                    .build()
            });
            request
                .policy_type("StepScaling")
                .adjustment_type(adjustment_type(*adjustment))
                .set_min_adjustment_magnitude(least(*adjustment))
                .metric_aggregation_type(aggregation)
                .set_step_adjustments(Some(steps.collect()))
                .set_estimated_instance_warmup(warmup.map(seconds))
        }
        Policy::Simple { adjustment, amount, cooldown, .. } => request
            .policy_type("SimpleScaling")
            .adjustment_type(adjustment_type(*adjustment))
            .set_min_adjustment_magnitude(least(*adjustment))
            .scaling_adjustment(*amount)
            .cooldown(seconds(*cooldown)),
    };
    let answer = context.fresh("autoscaling:PutScalingPolicy", || request.clone().send()).await?;
    match answer.policy_arn().filter(|arn| !arn.is_empty()) {
        Some(arn) => {
            let alarms = answer.alarms().iter().filter_map(|alarm| alarm.alarm_arn());
            Ok(Output { members: alarms.map(str::to_owned).collect(), ..Output::id(arn) })
        }
        None => Ok(Output::id(quirks::policy_arn(context.clients(), (&group, &name), context.address).await?)),
    }
}

fn tracking(
    context: &ActionContext<'_>,
    cluster: &str,
    metric: &Metric,
) -> Result<aws_sdk_autoscaling::types::builders::TargetTrackingConfigurationBuilder, Problem> {
    let tracking = TargetTrackingConfiguration::builder();
    let predefined = |kind| PredefinedMetricSpecification::builder().predefined_metric_type(kind);
    Ok(match metric {
        Metric::Cpu => {
            tracking.predefined_metric_specification(predefined(MetricType::AsgAverageCpuUtilization).build())
        }
        Metric::NetworkIn => {
            tracking.predefined_metric_specification(predefined(MetricType::AsgAverageNetworkIn).build())
        }
        Metric::NetworkOut => {
            tracking.predefined_metric_specification(predefined(MetricType::AsgAverageNetworkOut).build())
        }
        Metric::RequestsPerTarget => {
            let label = format!(
                "{}/{}",
                full_name(&context.output(&load_balancer::ADDRESS)?.id),
                full_name(&context.output(&target_group::address(cluster))?.id)
            );
            let metric = predefined(MetricType::AlbRequestCountPerTarget).resource_label(label);
            tracking.predefined_metric_specification(metric.build())
        }
        Metric::Custom { namespace, name, dimensions, statistic } => {
            let dimensions =
                dimensions.iter().map(|(key, value)| MetricDimension::builder().name(key).value(value).build());
            let metric = CustomizedMetricSpecification::builder()
                .namespace(namespace)
                .metric_name(name)
                .statistic(MetricStatistic::from(statistic.as_str()))
                .set_dimensions(Some(dimensions.collect()));
            tracking.customized_metric_specification(metric.build())
        }
    })
}

/// How a metric reads in a diff.
pub fn metric_name(metric: &Metric) -> String {
    match metric {
        Metric::Cpu => MetricType::AsgAverageCpuUtilization.as_str().to_owned(),
        Metric::NetworkIn => MetricType::AsgAverageNetworkIn.as_str().to_owned(),
        Metric::NetworkOut => MetricType::AsgAverageNetworkOut.as_str().to_owned(),
        Metric::RequestsPerTarget => MetricType::AlbRequestCountPerTarget.as_str().to_owned(),
        Metric::Custom { namespace, name, dimensions, statistic } => {
            let dimensions = dimensions.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
            format!("{statistic} of {namespace} {name} {}", dimensions.join(" "))
        }
    }
}

fn observed_metric(tracking: &TargetTrackingConfiguration) -> String {
    if let Some(predefined) = tracking.predefined_metric_specification() {
        return predefined.predefined_metric_type().map_or("none", MetricType::as_str).to_owned();
    }
    let Some(custom) = tracking.customized_metric_specification() else {
        return "none".to_owned();
    };
    let mut dimensions: Vec<_> = custom
        .dimensions()
        .iter()
        .map(|dimension| format!("{}={}", dimension.name().unwrap_or_default(), dimension.value().unwrap_or_default()))
        .collect();
    dimensions.sort_unstable();
    format!(
        "{} of {} {} {}",
        custom.statistic().map_or("", MetricStatistic::as_str),
        custom.namespace().unwrap_or_default(),
        custom.metric_name().unwrap_or_default(),
        dimensions.join(" ")
    )
}

/// AWS's name.
fn adjustment_type(adjustment: Adjustment) -> &'static str {
    match adjustment {
        Adjustment::Add => "ChangeInCapacity",
        Adjustment::Percent { .. } => "PercentChangeInCapacity",
        Adjustment::Set => "ExactCapacity",
    }
}

/// The fewest instances that a percentage makes.
fn least(adjustment: Adjustment) -> Option<i32> {
    match adjustment {
        Adjustment::Percent { least } => least.and_then(|least| i32::try_from(least).ok()),
        Adjustment::Add | Adjustment::Set => None,
    }
}

/// What the requests are counted of, out of `app/NAME/ID/targetgroup/NAME/ID`.
fn counted(fields: Fields, label: &str, cloud: &Snapshot) -> Fields {
    let balancers = cloud.all::<DescribeLoadBalancers>().iter().filter_map(|balancer| balancer.load_balancer_arn());
    let groups = cloud.all::<DescribeTargetGroups>().iter().filter_map(|group| group.target_group_arn());
    let known =
        |arn: Option<&str>| arn.map_or_else(|| Value::Text(label.to_owned()), |arn| Value::observed(cloud, arn));
    fields
        .value("load_balancer", known(balancers.into_iter().find(|arn| label.starts_with(&full_name(arn)))))
        .value("target_group", known(groups.into_iter().find(|arn| label.ends_with(&full_name(arn)))))
}

/// A step's bounds as AWS takes them: relative to the threshold, below it negative.
fn bounds(comparison: Comparison, step: &Step) -> (Option<f64>, Option<f64>) {
    match comparison {
        Comparison::Above => (step.from, step.to),
        Comparison::Below => match (step.from, step.to) {
            // Written as distances from the threshold, they are mirrored; bounds that are negative already stand.
            (from, to) if from.is_none_or(|from| from >= 0.0) && to.is_none_or(|to| to >= 0.0) => {
                (to.map(|to| -to), from.map(|from| 0.0 - from))
            }
            as_written => as_written,
        },
    }
}

fn step_text((from, to): (Option<f64>, Option<f64>), amount: i32) -> String {
    let bound = |value: Option<f64>, open: &str| value.map_or(open.to_owned(), |value| value.to_string());
    format!("[{}, {}) {amount:+}", bound(from, "-∞"), bound(to, "∞"))
}

/// The alarms that AWS has made for the target tracking policies of our groups.
#[derive(Debug)]
pub struct DescribeTrackingAlarms;

impl Collection for DescribeTrackingAlarms {
    type Item = MetricAlarm;

    const OURS_ONLY: bool = false;
}

impl Listing for DescribeTrackingAlarms {
    const ROUND: u8 = 2;
    const DEPTHS: &'static [Depth] = &[Depth::Plan];

    async fn list(query: &Query<'_>) -> Result<Option<Vec<MetricAlarm>>, Problem> {
        let policies = query.cloud.all::<DescribePolicies>();
        if !policies.iter().any(|policy| aws_alarms(policy).next().is_some()) {
            return Ok(Some(Vec::new()));
        }
        // AWS names them after the group (Auto Scaling User Guide, "Target tracking scaling policies").
        let prefix = format!("TargetTracking-{}{}--", names::PREFIX, query.cloud.stack);
        let pages = query.clients.cloudwatch.describe_alarms().alarm_name_prefix(prefix).into_paginator().send();
        match pages.try_collect().await {
            Ok(pages) => Ok(Some(pages.into_iter().flat_map(|page| page.metric_alarms.unwrap_or_default()).collect())),
            Err(error) if quirks::lacks(&error) => Ok(None),
            Err(error) => Err(error.problem("cloudwatch:DescribeAlarms", &query.cloud.stack)),
        }
    }
}

/// The policies of our groups; nothing is asked where the stack has none.
#[derive(Debug)]
pub struct DescribePolicies;

impl Collection for DescribePolicies {
    type Item = Api;

    const OURS_ONLY: bool = false;
}

impl Listing for DescribePolicies {
    const ROUND: u8 = 1;
    const DEPTHS: &'static [Depth] = &[Depth::Plan];
    const BELOW: Option<&'static dyn ErasedCollection> = Some(&Bulk::<DescribeAutoScalingGroups>::NEW);

    async fn list(query: &Query<'_>) -> Result<Option<Vec<Api>>, Problem> {
        let groups: BTreeSet<_> =
            scaling_group::all(query.cloud).filter_map(|group| group.auto_scaling_group_name()).collect();
        let request = query.clients.autoscaling.describe_policies().max_records(AUTOSCALING_PAGE);
        let pages = request.into_paginator().items().send().try_collect().await;
        let mut found = pages.map_err(|error| error.problem("autoscaling:DescribePolicies", &query.cloud.stack))?;
        found.retain(|item| item.auto_scaling_group_name().is_some_and(|name| groups.contains(name)));
        Ok(Some(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_below_the_threshold_are_mirrored() {
        let step = Step { from: Some(0.0), to: Some(10.0), amount: -1 };
        assert_eq!(bounds(Comparison::Above, &step), (Some(0.0), Some(10.0)));
        assert_eq!(bounds(Comparison::Below, &step), (Some(-10.0), Some(0.0)));
        let open = Step { from: Some(10.0), to: None, amount: -2 };
        assert_eq!(bounds(Comparison::Below, &open), (None, Some(-10.0)));
    }
}
