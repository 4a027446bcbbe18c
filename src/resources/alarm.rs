//! The alarm that triggers a step policy.

use aws_sdk_cloudwatch::types::{ComparisonOperator, Dimension, MetricAlarm, Statistic};

use super::fields::Fields;
use super::scaling_policy::{self, policies};
use super::{Output, Resource, Scope, in_cluster, load_balancer};
use crate::aws::error::CallError;
use crate::engine::plan::FieldChange;
use crate::engine::snapshot::Snapshot;
use crate::engine::status::full_name;
use crate::engine::task::Task;
use crate::problem::Problem;
use crate::stack::model::{Comparison, Metric, Policy};
use crate::stack::names;

#[derive(Debug)]
pub struct Alarm;

#[derive(Clone, Debug)]
pub struct Wanted {
    pub name: String,
    pub cluster: String,
    pub policy: String,
    pub metric: Metric,
    pub comparison: Comparison,
    pub threshold: f64,
    pub period_s: i32,
    pub evaluations: i32,
}

#[derive(Clone, Debug)]
pub struct Live {
    cluster: String,
    policy: String,
    alarm: MetricAlarm,
}

fn address(cluster: &str, policy: &str) -> String {
    in_cluster(cluster, &format!("alarm.{policy}"))
}

impl Resource for Alarm {
    type Wanted = Wanted;
    type Live = Live;

    const KIND: &'static str = "alarm";

    fn wanted(scope: &Scope<'_>) -> Vec<(String, Wanted)> {
        let steps = policies(scope).filter_map(|(cluster, policy)| {
            let Policy::Step { name, metric, comparison, threshold, period, evaluations, .. } = policy else {
                return None;
            };
            let wanted = Wanted {
                name: names::in_group(&names::group(&scope.stack.name, cluster), name),
                cluster: cluster.to_owned(),
                policy: name.clone(),
                metric: metric.clone(),
                comparison: *comparison,
                threshold: *threshold,
                period_s: i32::try_from(period.as_secs()).unwrap_or(i32::MAX),
                evaluations: i32::try_from(*evaluations).unwrap_or(i32::MAX),
            };
            Some((address(cluster, name), wanted))
        });
        steps.collect()
    }

    fn live(cloud: &Snapshot) -> Vec<(String, Live)> {
        let ours = cloud.alarms.iter().filter_map(|alarm| {
            // By name and not by its group, which may have been deleted without it.
            let (cluster, policy) = names::cluster_of(&cloud.stack, alarm.alarm_name()?)?;
            let (cluster, policy) = (cluster.to_owned(), policy.to_owned());
            Some((address(&cluster, &policy), Live { cluster, policy, alarm: alarm.clone() }))
        });
        ours.collect()
    }

    fn want(wanted: &Wanted) -> Fields {
        Fields::default()
            .reference("policy", scaling_policy::address(&wanted.cluster, &wanted.policy))
            .reference("group", in_cluster(&wanted.cluster, "scaling_group"))
            .text("metric", api_metric(&wanted.metric).1)
            .text("comparison", operator(wanted.comparison).as_str())
            .text("threshold", wanted.threshold)
            .text("period_s", wanted.period_s)
            .text("evaluations", wanted.evaluations)
    }

    fn observe(live: &Live, cloud: &Snapshot) -> Fields {
        let alarm = &live.alarm;
        let acts = alarm.alarm_actions().iter().any(|action| {
            cloud.policies.iter().any(|policy| {
                policy.policy_arn() == Some(action) && scaling_policy::name_in_stack(policy) == Some(&live.policy)
            })
        });
        let fields = match acts {
            true => Fields::default().reference("policy", scaling_policy::address(&live.cluster, &live.policy)),
            false => Fields::default(),
        };
        fields
            .reference("group", in_cluster(&live.cluster, "scaling_group"))
            .maybe("metric", alarm.metric_name())
            .maybe("comparison", alarm.comparison_operator().map(ComparisonOperator::as_str))
            .maybe("threshold", alarm.threshold())
            .maybe("period_s", alarm.period())
            .maybe("evaluations", alarm.evaluation_periods())
    }

    fn after(wanted: &Wanted) -> Vec<String> {
        match wanted.metric {
            Metric::RequestsPerTarget => {
                vec![in_cluster(&wanted.cluster, "target_group"), load_balancer::ADDRESS.to_owned()]
            }
            _ => Vec::new(),
        }
    }

    fn output(live: &Live) -> Output {
        Output::id(live.alarm.alarm_name().unwrap_or_default())
    }

    async fn create(task: &Task<'_>, wanted: &Wanted) -> Result<Output, Problem> {
        put(task, wanted).await
    }

    async fn update(task: &Task<'_>, wanted: &Wanted, _live: &Live, _: &[FieldChange]) -> Result<Output, Problem> {
        put(task, wanted).await
    }

    async fn retire(task: &Task<'_>, live: &Live) -> Result<(), Problem> {
        let name = live.alarm.alarm_name().unwrap_or_default();
        match task.clients().cloudwatch.delete_alarms().alarm_names(name).send().await {
            Err(error) if !error.is(&["ResourceNotFound"]) => {
                Err(error.problem("cloudwatch:DeleteAlarms", task.address))
            }
            _ => Ok(()),
        }
    }
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

fn dimensions(task: &Task<'_>, wanted: &Wanted) -> Result<Vec<Dimension>, Problem> {
    let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    Ok(match &wanted.metric {
        Metric::Cpu | Metric::NetworkIn | Metric::NetworkOut => {
            let group = task.output(&in_cluster(&wanted.cluster, "scaling_group"))?.id;
            vec![dimension("AutoScalingGroupName", &group)]
        }
        Metric::RequestsPerTarget => {
            let group = task.output(&in_cluster(&wanted.cluster, "target_group"))?.id;
            vec![dimension("TargetGroup", &full_name(&group))]
        }
        Metric::Custom { dimensions, .. } => dimensions.iter().map(|(name, value)| dimension(name, value)).collect(),
    })
}

/// Creates or changes: the call is idempotent by name.
async fn put(task: &Task<'_>, wanted: &Wanted) -> Result<Output, Problem> {
    let policy = task.output(&scaling_policy::address(&wanted.cluster, &wanted.policy))?.id;
    let (namespace, metric, statistic) = api_metric(&wanted.metric);
    let request = task
        .clients()
        .cloudwatch
        .put_metric_alarm()
        .alarm_name(&wanted.name)
        .alarm_description(format!("cloudscale: triggers the step policy {}", wanted.policy))
        .alarm_actions(policy)
        .namespace(namespace)
        .metric_name(metric)
        .statistic(Statistic::from(statistic.as_str()))
        .set_dimensions(Some(dimensions(task, wanted)?))
        .comparison_operator(operator(wanted.comparison))
        .threshold(wanted.threshold)
        .period(wanted.period_s)
        .evaluation_periods(wanted.evaluations);
    task.fresh("cloudwatch:PutMetricAlarm", || request.clone().send()).await?;
    Ok(Output::id(&wanted.name))
}
