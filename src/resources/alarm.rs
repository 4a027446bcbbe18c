//! The alarm that calls a step or simple policy. Target tracking has alarms of AWS's own.
//!
//! Some endpoints that imitate AWS do not speak CloudWatch's protocol. There a policy stands without its alarm, and
//! that is said when it is made.

use aws_sdk_cloudwatch::types::{ComparisonOperator, Dimension, MetricAlarm, Statistic};

use super::scaling_group;
use super::scaling_policy::{self, DescribePolicies, policies};
use super::target_group;
use super::target_group::DescribeTargetGroups;
use crate::aws::arn::full_name;
use crate::aws::error::{CallError, settled};
use crate::aws::quirks;
use crate::cloud::address::Address;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{Bulk, Collection, Depth, ErasedListing, Listing, Query};
use crate::problem::Problem;
use crate::resource::change::FieldChange;
use crate::resource::context::ActionContext;
use crate::resource::event::Event;
use crate::resource::fields::{Fields, Value};
use crate::resource::{Output, Resource, Scope};
use crate::stack::model::{Comparison, Metric, Trigger};
use crate::stack::names;

const GROUP_DIMENSION: &str = "AutoScalingGroupName";
const TARGET_GROUP_DIMENSION: &str = "TargetGroup";
/// What CloudWatch does with missing data unless told otherwise.
const MISSING_DATA: &str = "missing";

#[derive(Debug)]
pub struct Alarm;

#[derive(Clone, Debug)]
pub struct Desired {
    pub name: String,
    pub cluster: String,
    pub policy: String,
    pub trigger: Trigger,
}

#[derive(Clone, Debug)]
pub struct Observed {
    cluster: String,
    policy: String,
    /// `None` where the endpoint has no CloudWatch to ask.
    alarm: Option<MetricAlarm>,
}

/// `cluster.heavy.alarm.busy`
pub fn address(cluster: &str, policy: &str) -> Address {
    Address::in_cluster(cluster, "alarm").named(policy)
}

impl Resource for Alarm {
    type Desired = Desired;
    type Observed = Observed;

    const KIND: &'static str = "alarm";
    const NOTICED: &'static [&'static str] = &["datapoints", "missing_data"];
    const WRITE_ONLY: &'static [(&'static str, &'static str)] = &[("description", "words for the console")];
    const LISTINGS: &'static [&'static dyn ErasedListing] = &[&Bulk::<DescribeAlarms>::NEW];
    // All of them where the endpoint has no CloudWatch.
    const OPTIONAL_READBACK: &'static [&'static str] =
        &["acts", "metric", "dimensions", "target_group", "comparison", "threshold", "period_s", "evaluations"];

    fn desired(scope: &Scope<'_>) -> Vec<(Address, Desired)> {
        let desired = policies(scope).filter_map(|(cluster, policy)| {
            let desired = Desired {
                name: names::in_group(&names::group(&scope.stack.name, cluster), policy.name()),
                cluster: cluster.to_owned(),
                policy: policy.name().to_owned(),
                trigger: policy.trigger()?.clone(),
            };
            Some((address(cluster, policy.name()), desired))
        });
        desired.collect()
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Observed)> {
        let found = |cluster: String, policy: &str, alarm: Option<&MetricAlarm>| {
            let observed = Observed { cluster, policy: policy.to_owned(), alarm: alarm.cloned() };
            (address(&observed.cluster, policy), observed)
        };
        let ours = cloud.all::<DescribeAlarms>().iter().filter_map(|alarm| {
            // By name and not by its group, which may have been deleted without it.
            let (cluster, policy) = names::cluster_of(&cloud.stack, alarm.alarm_name()?)?;
            Some(found(cluster.to_owned(), policy, Some(alarm)))
        });
        let called = cloud.all::<DescribePolicies>().iter().filter(|policy| {
            cloud.lacks::<DescribeAlarms>()
                && ["StepScaling", "SimpleScaling"].contains(&policy.policy_type().unwrap_or_default())
        });
        let without_readback = called.filter_map(|policy| {
            let cluster = scaling_group::cluster_of(cloud, policy.auto_scaling_group_name())?;
            Some(found(cluster, &scaling_policy::name_in_stack(policy)?, None))
        });
        ours.chain(without_readback).collect()
    }

    fn desired_fields(desired: &Desired) -> Fields {
        let trigger = &desired.trigger;
        let fields = Fields::default()
            .reference("policy", scaling_policy::address(&desired.cluster, &desired.policy))
            .reference("group", scaling_group::address(&desired.cluster))
            .text("acts", true)
            .text("metric", metric_text(&trigger.metric))
            .text("comparison", operator(trigger.comparison).as_str())
            .text("threshold", trigger.threshold)
            .text("period_s", trigger.period.as_secs())
            .text("evaluations", trigger.evaluations);
        match &trigger.metric {
            Metric::RequestsPerTarget => fields.reference("target_group", target_group::address(&desired.cluster)),
            Metric::Custom { dimensions, .. } if !dimensions.is_empty() => {
                let pairs = dimensions.iter().map(|(name, value)| format!("{name}={value}"));
                fields.text("dimensions", pairs.collect::<Vec<_>>().join(" "))
            }
            _ => fields,
        }
    }

    fn observed_fields(observed: &Observed, cloud: &Snapshot) -> Fields {
        let policy = Value::Ref(scaling_policy::address(&observed.cluster, &observed.policy));
        let fields = Fields::default().reference("group", scaling_group::address(&observed.cluster));
        let Some(alarm) = &observed.alarm else {
            return fields.value("policy", policy);
        };
        let calls = |action: &String| {
            !cloud.replaced.contains(action)
                && cloud.all::<DescribePolicies>().iter().any(|policy| {
                    policy.policy_arn() == Some(action)
                        && scaling_policy::name_in_stack(policy).as_ref() == Some(&observed.policy)
                })
        };
        let called = match alarm.alarm_actions() {
            [only] if calls(only) => policy,
            others => Value::Text(others.join(", ")),
        };
        let statistic = alarm.statistic().map_or("none", Statistic::as_str);
        let (namespace, metric) = (alarm.namespace().unwrap_or("none"), alarm.metric_name().unwrap_or("none"));
        let fields = fields
            .value("policy", called)
            .text("acts", alarm.actions_enabled().unwrap_or(true))
            .text("metric", format!("{statistic} of {namespace} {metric}"))
            .maybe("comparison", alarm.comparison_operator().map(ComparisonOperator::as_str))
            .maybe("threshold", alarm.threshold())
            .maybe("period_s", alarm.period())
            .maybe("evaluations", alarm.evaluation_periods())
            .maybe("datapoints", alarm.datapoints_to_alarm().filter(|count| Some(*count) != alarm.evaluation_periods()))
            .maybe("missing_data", alarm.treat_missing_data().filter(|treatment| *treatment != MISSING_DATA));
        observe_dimensions(fields, observed, alarm, cloud)
    }

    fn output(observed: &Observed) -> Output {
        Output::id(observed.alarm.as_ref().and_then(|alarm| alarm.alarm_name()).unwrap_or_default())
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
        let Some(name) = observed.alarm.as_ref().and_then(|alarm| alarm.alarm_name()) else {
            return Ok(());
        };
        settled(context.clients().cloudwatch.delete_alarms().alarm_names(name).send().await, &["ResourceNotFound"])
            .map_err(|error| error.problem("cloudwatch:DeleteAlarms", context.address))
    }
}

/// Those of our own group and target group as references, others as they stand.
fn observe_dimensions(fields: Fields, observed: &Observed, alarm: &MetricAlarm, cloud: &Snapshot) -> Fields {
    let name_and_value = |dimension: &Dimension| {
        (dimension.name().unwrap_or_default().to_owned(), dimension.value().unwrap_or_default().to_owned())
    };
    let mut pairs: Vec<_> = alarm.dimensions().iter().map(name_and_value).collect();
    pairs.sort_unstable();
    if let [(name, value)] = &pairs[..] {
        let arns = cloud.all::<DescribeTargetGroups>().iter().filter_map(|group| group.target_group_arn());
        if name == TARGET_GROUP_DIMENSION
            && let Some(arn) = arns.into_iter().find(|arn| full_name(arn) == *value)
        {
            return fields.value("target_group", Value::observed(cloud, arn));
        }
        if name == GROUP_DIMENSION && scaling_group::cluster_of(cloud, Some(value)).as_ref() == Some(&observed.cluster)
        {
            return fields;
        }
    }
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    fields.maybe("dimensions", (!pairs.is_empty()).then(|| pairs.join(" ")))
}

/// How a metric reads in a diff.
fn metric_text(metric: &Metric) -> String {
    let (namespace, name, statistic) = api_metric(metric);
    format!("{statistic} of {namespace} {name}")
}

fn operator(comparison: Comparison) -> ComparisonOperator {
    match comparison {
        Comparison::Above => ComparisonOperator::GreaterThanOrEqualToThreshold,
        Comparison::Below => ComparisonOperator::LessThanOrEqualToThreshold,
    }
}

/// (namespace, metric, statistic) as CloudWatch names them.
fn api_metric(metric: &Metric) -> (String, String, String) {
    let named =
        |namespace: &str, name: &str, statistic: &str| (namespace.to_owned(), name.to_owned(), statistic.to_owned());
    match metric {
        Metric::Cpu => named("AWS/EC2", "CPUUtilization", "Average"),
        Metric::NetworkIn => named("AWS/EC2", "NetworkIn", "Average"),
        Metric::NetworkOut => named("AWS/EC2", "NetworkOut", "Average"),
        Metric::RequestsPerTarget => named("AWS/ApplicationELB", "RequestCountPerTarget", "Sum"),
        Metric::Custom { namespace, name, statistic, .. } => named(namespace, name, statistic),
    }
}

fn dimensions(context: &ActionContext<'_>, desired: &Desired) -> Result<Vec<Dimension>, Problem> {
    let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    Ok(match &desired.trigger.metric {
        Metric::Cpu | Metric::NetworkIn | Metric::NetworkOut => {
            let group = context.output(&scaling_group::address(&desired.cluster))?.id;
            vec![dimension(GROUP_DIMENSION, &group)]
        }
        Metric::RequestsPerTarget => {
            let group = context.output(&target_group::address(&desired.cluster))?.id;
            vec![dimension(TARGET_GROUP_DIMENSION, &full_name(&group))]
        }
        Metric::Custom { dimensions, .. } => dimensions.iter().map(|(name, value)| dimension(name, value)).collect(),
    })
}

/// Creates or changes: the call is idempotent by name.
async fn put(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
    let policy = context.output(&scaling_policy::address(&desired.cluster, &desired.policy))?.id;
    let trigger = &desired.trigger;
    let (namespace, metric, statistic) = api_metric(&trigger.metric);
    let request = context
        .clients()
        .cloudwatch
        .put_metric_alarm()
        .alarm_name(&desired.name)
        .alarm_description(format!("cloudscale: calls the policy {}", desired.policy))
        .actions_enabled(true)
        .alarm_actions(policy)
        .namespace(namespace)
        .metric_name(metric)
        .statistic(Statistic::from(statistic.as_str()))
        .set_dimensions(Some(dimensions(context, desired)?))
        .comparison_operator(operator(trigger.comparison))
        .threshold(trigger.threshold)
        .period(i32::try_from(trigger.period.as_secs()).unwrap_or(i32::MAX))
        .evaluation_periods(i32::try_from(trigger.evaluations).unwrap_or(i32::MAX));
    let put = || async {
        match request.clone().send().await {
            Ok(_) => Ok(true),
            Err(error) if quirks::lacks(&error) => Ok(false),
            Err(error) => Err(error),
        }
    };
    if !context.fresh("cloudwatch:PutMetricAlarm", put).await? {
        let text = format!("{}: this endpoint has no CloudWatch; nothing calls the policy", context.address);
        context.run.sink.event(Event::Note { text });
    }
    Ok(Output::id(&desired.name))
}

/// Our own alarms, by their names: they outlive the groups that they scale.
#[derive(Debug)]
pub struct DescribeAlarms;

impl Collection for DescribeAlarms {
    type Item = MetricAlarm;

    const OURS_ONLY: bool = false;

    fn leftover(item: &MetricAlarm) -> Option<String> {
        Some(format!("alarm {}", item.alarm_name()?))
    }
}

impl Listing for DescribeAlarms {
    const DEPTHS: &'static [Depth] = &[Depth::Existence, Depth::Plan];

    async fn list(query: &Query<'_>) -> Result<Option<Vec<MetricAlarm>>, Problem> {
        let prefix = format!("{}{}--", names::PREFIX, query.cloud.stack);
        let pages = query.clients.cloudwatch.describe_alarms().alarm_name_prefix(prefix).into_paginator().send();
        match pages.try_collect().await {
            Ok(pages) => Ok(Some(pages.into_iter().flat_map(|page| page.metric_alarms.unwrap_or_default()).collect())),
            Err(error) if quirks::lacks(&error) => Ok(None),
            Err(error) => Err(error.problem("cloudwatch:DescribeAlarms", &query.cloud.stack)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_autoscaling::types::{AutoScalingGroup, ScalingPolicy, TagDescription};

    use super::*;
    use crate::cloud::snapshot::listing::Rows;
    use crate::cloud::tags;
    use crate::resources::scaling_group::DescribeAutoScalingGroups;

    fn cloud(policy: &str) -> Snapshot {
        let address = TagDescription::builder().key(tags::ADDRESS).value("cluster.web.scaling_group").build();
        let policy = ScalingPolicy::builder()
            .auto_scaling_group_name("cs-shop--web")
            .policy_name("cs-shop--web--busy")
            .policy_type(policy)
            .policy_arn("arn:busy");
        let ours = TagDescription::builder().key(tags::STACK).value("shop").build();
        let group =
            AutoScalingGroup::builder().auto_scaling_group_name("cs-shop--web").tags(address).tags(ours).build();
        Snapshot::empty("shop")
            .with::<DescribeAutoScalingGroups>(vec![group])
            .with::<DescribePolicies>(vec![policy.build()])
    }

    fn desired() -> Fields {
        let trigger = Trigger {
            metric: Metric::Cpu,
            comparison: Comparison::Above,
            threshold: 70.0,
            period: Duration::from_secs(60),
            evaluations: 2,
        };
        let (name, cluster, policy) = ("cs-shop--web--busy".to_owned(), "web".to_owned(), "busy".to_owned());
        Alarm::desired_fields(&Desired { name, cluster, policy, trigger })
    }

    fn alarm() -> aws_sdk_cloudwatch::types::builders::MetricAlarmBuilder {
        MetricAlarm::builder()
            .alarm_name("cs-shop--web--busy")
            .alarm_actions("arn:busy")
            .actions_enabled(true)
            .namespace("AWS/EC2")
            .metric_name("CPUUtilization")
            .statistic(Statistic::Average)
            .dimensions(Dimension::builder().name(GROUP_DIMENSION).value("cs-shop--web").build())
            .comparison_operator(ComparisonOperator::GreaterThanOrEqualToThreshold)
            .threshold(70.0)
            .period(60)
            .evaluation_periods(2)
    }

    /// The paths at which the observed alarm is not as desired.
    fn differences(cloud: &Snapshot) -> Vec<String> {
        let (address, observed) = Alarm::observed(cloud).remove(0);
        assert_eq!(address.as_str(), "cluster.web.alarm.busy");
        let (observed, desired) = (Alarm::observed_fields(&observed, cloud), desired());
        let differs = desired.iter().filter(|(path, value)| observed.get(path) != Some(*value));
        let surplus = observed.iter().filter(|(path, _)| desired.get(path).is_none());
        differs.chain(surplus).map(|(path, _)| path.to_owned()).collect()
    }

    #[test]
    fn whatever_is_changed_of_an_alarm_is_seen() {
        let seen = |alarm: MetricAlarm| differences(&cloud("StepScaling").with::<DescribeAlarms>(vec![alarm]));
        assert_eq!(seen(alarm().build()), Vec::<String>::new());
        assert_eq!(seen(alarm().actions_enabled(false).build()), ["acts"]);
        assert_eq!(seen(alarm().alarm_actions("arn:pager").build()), ["policy"]);
        assert_eq!(seen(alarm().namespace("Mine").build()), ["metric"]);
        assert_eq!(seen(alarm().datapoints_to_alarm(1).build()), ["datapoints"]);
        assert_eq!(seen(alarm().treat_missing_data("breaching").build()), ["missing_data"]);
        let other = Dimension::builder().name(GROUP_DIMENSION).value("other").build();
        assert_eq!(seen(alarm().set_dimensions(Some(vec![other])).build()), ["dimensions"]);
    }

    #[test]
    fn where_the_endpoint_has_no_cloudwatch_an_alarm_that_is_wanted_counts_as_there() {
        let without_readback = |policy: &str| {
            let mut cloud = cloud(policy);
            cloud.store(Rows::of::<DescribeAlarms>(None));
            cloud
        };
        assert!(
            differences(&without_readback("StepScaling"))
                .iter()
                .all(|path| Alarm::OPTIONAL_READBACK.contains(&path.as_str()))
        );
        assert!(Alarm::observed(&without_readback("TargetTrackingScaling")).is_empty());
        assert!(Alarm::observed(&cloud("StepScaling")).is_empty(), "told, and not there");
    }
}
