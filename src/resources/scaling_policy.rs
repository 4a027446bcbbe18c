//! The scaling policies of a group: target tracking and steps. AWS makes the alarms of the former; the latter's is ours
//! (`alarm.rs`).

use aws_sdk_autoscaling::types::{
    CustomizedMetricSpecification, MetricDimension, MetricStatistic, MetricType, PredefinedMetricSpecification,
    ScalingPolicy as Api, StepAdjustment, TargetTrackingConfiguration,
};

use super::fields::Fields;
use super::{Output, Resource, Scope, in_cluster};
use crate::aws::error::CallError;
use crate::engine::plan::FieldChange;
use crate::engine::snapshot::Snapshot;
use crate::engine::status::full_name;
use crate::engine::task::Task;
use crate::problem::Problem;
use crate::resources::{load_balancer, tags};
use crate::stack::model::{Capacity, Comparison, Metric, Policy, Step};
use crate::stack::names;

#[derive(Debug)]
pub struct ScalingPolicy;

#[derive(Clone, Debug)]
pub struct Wanted {
    pub cluster: String,
    pub policy: Policy,
}

#[derive(Clone, Debug)]
pub struct Live {
    cluster: String,
    policy: Api,
}

/// `cluster.heavy.policy.cpu`
pub fn address(cluster: &str, policy: &str) -> String {
    in_cluster(cluster, &format!("policy.{policy}"))
}

/// Every policy of the stack with its cluster.
pub fn policies<'a>(scope: &Scope<'a>) -> impl Iterator<Item = (&'a str, &'a Policy)> {
    scope.stack.clusters.iter().flat_map(|cluster| match &cluster.capacity {
        Capacity::Group(scaling) => scaling.policies.iter().map(|policy| (cluster.name.as_str(), policy)).collect(),
        Capacity::Fleet { .. } => Vec::new(),
    })
}

/// The cluster that a group belongs to, by the group's address tag.
pub fn cluster_of_group(cloud: &Snapshot, group: Option<&str>) -> Option<String> {
    let group = cloud.groups.iter().find(|candidate| candidate.auto_scaling_group_name() == group)?;
    let address = tags::from_group(group.tags()).remove(tags::ADDRESS)?;
    Some(address.strip_prefix("cluster.")?.strip_suffix(".scaling_group")?.to_owned())
}

/// What the stack calls a live policy.
pub fn name_in_stack(policy: &Api) -> Option<&str> {
    Some(names::in_stack(policy.auto_scaling_group_name()?, policy.policy_name()?))
}

impl Resource for ScalingPolicy {
    type Wanted = Wanted;
    type Live = Live;

    const KIND: &'static str = "scaling_policy";
    const GOES_WITH: &'static [&'static str] = &["scaling_group"];

    fn wanted(scope: &Scope<'_>) -> Vec<(String, Wanted)> {
        let wanted = policies(scope).map(|(cluster, policy)| {
            (address(cluster, policy.name()), Wanted { cluster: cluster.to_owned(), policy: policy.clone() })
        });
        wanted.collect()
    }

    fn live(cloud: &Snapshot) -> Vec<(String, Live)> {
        let ours = cloud.policies.iter().filter_map(|policy| {
            let cluster = cluster_of_group(cloud, policy.auto_scaling_group_name())?;
            Some((address(&cluster, name_in_stack(policy)?), Live { cluster, policy: policy.clone() }))
        });
        ours.collect()
    }

    fn want(wanted: &Wanted) -> Fields {
        let fields = Fields::default().reference("group", in_cluster(&wanted.cluster, "scaling_group"));
        match &wanted.policy {
            Policy::TargetTracking { metric, target, .. } => {
                fields.text("type", "TargetTrackingScaling").text("metric", metric_name(metric)).text("target", target)
            }
            Policy::Step { comparison, steps, .. } => {
                let text = steps.iter().map(|step| step_text(bounds(*comparison, step), step.add)).collect::<Vec<_>>();
                fields.text("type", "StepScaling").text("steps", text.join(", "))
            }
        }
    }

    fn observe(live: &Live, _cloud: &Snapshot) -> Fields {
        let policy = &live.policy;
        let fields = Fields::default()
            .reference("group", in_cluster(&live.cluster, "scaling_group"))
            .maybe("type", policy.policy_type());
        if let Some(tracking) = policy.target_tracking_configuration() {
            return fields.text("metric", live_metric(tracking)).maybe("target", tracking.target_value());
        }
        let steps = policy.step_adjustments().iter().map(|step| {
            let bounds = (step.metric_interval_lower_bound(), step.metric_interval_upper_bound());
            step_text(bounds, step.scaling_adjustment().unwrap_or_default())
        });
        fields.text("steps", steps.collect::<Vec<_>>().join(", "))
    }

    fn after(wanted: &Wanted) -> Vec<String> {
        match &wanted.policy {
            // AWS checks that the target group is attached to a load balancer.
            Policy::TargetTracking { metric: Metric::RequestsPerTarget, .. } => {
                vec![in_cluster(&wanted.cluster, "rule"), in_cluster(&wanted.cluster, "target_group")]
            }
            _ => Vec::new(),
        }
    }

    fn output(live: &Live) -> Output {
        Output::id(live.policy.policy_arn().unwrap_or_default())
    }

    async fn create(task: &Task<'_>, wanted: &Wanted) -> Result<Output, Problem> {
        put(task, wanted).await
    }

    async fn update(task: &Task<'_>, wanted: &Wanted, _live: &Live, _: &[FieldChange]) -> Result<Output, Problem> {
        put(task, wanted).await
    }

    async fn retire(task: &Task<'_>, live: &Live) -> Result<(), Problem> {
        let call = task
            .clients()
            .autoscaling
            .delete_policy()
            .set_auto_scaling_group_name(live.policy.auto_scaling_group_name().map(str::to_owned))
            .set_policy_name(live.policy.policy_name().map(str::to_owned));
        match call.send().await {
            Err(error) if !error.is(&["ValidationError"]) => {
                Err(error.problem("autoscaling:DeletePolicy", task.address))
            }
            _ => Ok(()),
        }
    }
}

/// Creates or changes: the call is idempotent by name.
async fn put(task: &Task<'_>, wanted: &Wanted) -> Result<Output, Problem> {
    let group = task.output(&in_cluster(&wanted.cluster, "scaling_group"))?.id;
    let name = names::in_group(&group, wanted.policy.name());
    let request = task.clients().autoscaling.put_scaling_policy().auto_scaling_group_name(&group).policy_name(&name);
    let request = match &wanted.policy {
        Policy::TargetTracking { metric, target, .. } => {
            let tracking = tracking(task, &wanted.cluster, metric)?.target_value(*target).build();
            request.policy_type("TargetTrackingScaling").target_tracking_configuration(tracking)
        }
        Policy::Step { comparison, steps, .. } => {
            let steps = steps.iter().map(|step| {
                let (from, to) = bounds(*comparison, step);
                StepAdjustment::builder()
                    .set_metric_interval_lower_bound(from)
                    .set_metric_interval_upper_bound(to)
                    .scaling_adjustment(step.add)
                    .build()
            });
            request
                .policy_type("StepScaling")
                .adjustment_type("ChangeInCapacity")
                .set_step_adjustments(Some(steps.collect()))
        }
    };
    let answer = task.fresh("autoscaling:PutScalingPolicy", || request.clone().send()).await?;
    match answer.policy_arn().filter(|arn| !arn.is_empty()) {
        Some(arn) => Ok(Output::id(arn)),
        None => look_up(task, &group, &name).await,
    }
}

/// Some endpoints leave the ARN out of their answer.
async fn look_up(task: &Task<'_>, group: &str, name: &str) -> Result<Output, Problem> {
    let call = task.clients().autoscaling.describe_policies().auto_scaling_group_name(group).policy_names(name).send();
    let answer = call.await.map_err(|error| error.problem("autoscaling:DescribePolicies", task.address))?;
    Ok(Output::id(answer.scaling_policies().first().and_then(|policy| policy.policy_arn()).unwrap_or_default()))
}

fn tracking(
    task: &Task<'_>,
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
                full_name(&task.output(load_balancer::ADDRESS)?.id),
                full_name(&task.output(&in_cluster(cluster, "target_group"))?.id)
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

fn live_metric(tracking: &TargetTrackingConfiguration) -> String {
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

fn step_text((from, to): (Option<f64>, Option<f64>), add: i32) -> String {
    let bound = |value: Option<f64>, open: &str| value.map_or(open.to_owned(), |value| value.to_string());
    format!("[{}, {}) {add:+}", bound(from, "-∞"), bound(to, "∞"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_below_the_threshold_are_mirrored() {
        let step = Step { from: Some(0.0), to: Some(10.0), add: -1 };
        assert_eq!(bounds(Comparison::Above, &step), (Some(0.0), Some(10.0)));
        assert_eq!(bounds(Comparison::Below, &step), (Some(-10.0), Some(0.0)));
        let open = Step { from: Some(10.0), to: None, add: -2 };
        assert_eq!(bounds(Comparison::Below, &open), (None, Some(-10.0)));
    }
}
