//! Answers: groups, instances, activities, policies and the rest as AWS shows them, and their pages.

use jiff::Timestamp;

use super::activity::Activity;
use super::group::{Group, Tag};
use super::member::{Member, Template};
use super::policy::{Kind, Policy};
use super::refresh::{Exempt, Preferences, Refresh};
use super::schedule::ScheduledAction;
use super::settings::Maintenance;
use super::warm_pool::WarmPool;
use crate::region::context::Context;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// How many entries a page has that nobody said the size of, and the listings whose page is their largest one instead
/// (EC2 Auto Scaling API reference, `MaxRecords`).
const PAGE: i64 = 50;
const WHOLE_PAGES: [&str; 2] = ["Activities", "LoadBalancerTargetGroups"];

/// One page of a listing: `MaxRecords` entries after `NextToken`, which is the key of the last entry shown.
///
/// # Errors
/// `ValidationError` for a size out of range, `InvalidNextToken` for a token that no answer gave.
pub fn page<T>(
    params: &Params,
    field: &str,
    size_max: i64,
    entries: &[T],
    key: impl Fn(&T) -> String,
    show: impl Fn(&T) -> Value,
) -> Answer {
    let size = params.int("MaxRecords")?.unwrap_or(if WHOLE_PAGES.contains(&field) { size_max } else { PAGE });
    if !(1..=size_max).contains(&size) {
        return Err(ApiError::new("ValidationError", format!("MaxRecords must be between 1 and {size_max}")));
    }
    let start = match params.text("NextToken").filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => entries
            .iter()
            .position(|entry| key(entry) == token)
            .map(|index| index + 1)
            .ok_or_else(|| ApiError::new("InvalidNextToken", "The NextToken value is not valid."))?,
    };
    let end = entries.len().min(start + usize::try_from(size).unwrap_or(0));
    let shown = Value::list(entries[start..end].iter().map(show));
    let token = (end < entries.len()).then(|| Value::from(key(&entries[end - 1])));
    Ok(Value::map().with(field, shown).with("NextToken", token))
}

fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> Value {
    Value::list(values.into_iter().map(Value::from))
}

pub fn template(template: &Template) -> Value {
    Value::map()
        .with("LaunchTemplateId", Value::from(template.id.as_str()))
        .with("LaunchTemplateName", Value::from(template.name.as_str()))
        .with("Version", Value::from(template.version.as_str()))
}

pub fn group(group: &Group) -> Value {
    let settings = &group.settings;
    let mut zones: Vec<&str> = settings.subnets.iter().map(|subnet| subnet.zone.as_str()).collect();
    zones.sort_unstable();
    zones.dedup();
    let subnets: Vec<&str> = settings.subnets.iter().map(|subnet| subnet.id.as_str()).collect();
    let suspended = group.suspended.iter().map(|(process, reason)| {
        Value::map()
            .with("ProcessName", Value::from(process.name()))
            .with("SuspensionReason", Value::from(reason.as_str()))
    });
    let metrics = group.metrics.iter().map(|metric| {
        Value::map().with("Metric", Value::from(metric.as_str())).with("Granularity", Value::from("1Minute"))
    });
    let sources = settings.target_groups.iter().map(|arn| traffic_source(arn));
    Value::map()
        .with("AutoScalingGroupName", Value::from(group.name.as_str()))
        .with("AutoScalingGroupARN", Value::from(group.arn.as_str()))
        .with("LaunchConfigurationName", settings.configuration.as_ref().map(|it| Value::from(it.name.as_str())))
        .with(
            "LaunchTemplate",
            (settings.mix.is_none() && settings.configuration.is_none()).then(|| template(&settings.template)),
        )
        .with("MixedInstancesPolicy", settings.mix.as_ref().map(|mix| mix.value(template(&settings.template))))
        .with("MinSize", Value::from(settings.min))
        .with("MaxSize", Value::from(settings.max))
        .with("DesiredCapacity", Value::from(group.desired()))
        .with("DefaultCooldown", Value::from(settings.cooldown_seconds))
        .with("AvailabilityZones", texts(zones))
        .with("LoadBalancerNames", texts([]))
        .with("TargetGroupARNs", texts(settings.target_groups.iter().map(String::as_str)))
        .with("HealthCheckType", Value::from(settings.health_check_type.as_str()))
        .with("HealthCheckGracePeriod", Value::from(settings.grace_seconds))
        .with("Instances", Value::list(group.members.iter().filter(|it| !it.lifecycle.is_warmed()).map(instance)))
        .with("WarmPoolConfiguration", group.warm_pool.as_ref().map(WarmPool::value))
        .with("WarmPoolSize", group.warm_pool.as_ref().map(|_| Value::from(group.pool_size())))
        .with("CreatedTime", Value::from(group.created))
        .with("SuspendedProcesses", Value::list(suspended))
        .with("VPCZoneIdentifier", Value::from(subnets.join(",")))
        .with("EnabledMetrics", Value::list(metrics))
        .with("Status", group.deleting.then(|| Value::from("Delete in progress")))
        .with("Tags", Value::list(group.tags.iter().map(|(key, entry)| tag(&group.name, key, entry))))
        .with("TerminationPolicies", texts(settings.termination.iter().map(|policy| policy.name())))
        .with("NewInstancesProtectedFromScaleIn", Value::from(settings.protect_new))
        .with("CapacityRebalance", settings.capacity_rebalance.then(|| Value::from(true)))
        .with("InstanceMaintenancePolicy", settings.maintenance.map(maintenance))
        .with("MaxInstanceLifetime", settings.lifetime_seconds.map(Value::from))
        .with("DefaultInstanceWarmup", settings.warmup_seconds.map(Value::from))
        .with("TrafficSources", Value::list(sources))
}

fn maintenance(policy: Maintenance) -> Value {
    Value::map()
        .with("MinHealthyPercentage", Value::from(policy.min_healthy))
        .with("MaxHealthyPercentage", Value::from(policy.max_healthy))
}

/// A target group as a traffic source.
pub fn traffic_source(arn: &str) -> Value {
    Value::map().with("Identifier", Value::from(arn)).with("Type", Value::from("elbv2"))
}

pub fn instance(member: &Member) -> Value {
    Value::map()
        .with("InstanceId", Value::from(member.id.as_str()))
        .with("InstanceType", Value::from(member.instance_type.as_str()))
        .with("AvailabilityZone", Value::from(member.zone.as_str()))
        .with("LifecycleState", Value::from(member.lifecycle.name()))
        .with("HealthStatus", Value::from(if member.unhealthy_cause.is_some() { "Unhealthy" } else { "Healthy" }))
        .with("LaunchConfigurationName", member.configuration.as_deref().map(Value::from))
        .with("LaunchTemplate", member.template.as_ref().map(template))
        .with("ImageId", Value::from(member.image.as_str()))
        .with("WeightedCapacity", (member.weight != 1).then(|| Value::from(member.weight.to_string())))
        .with("ProtectedFromScaleIn", Value::from(member.protected))
}

/// An instance in `DescribeAutoScalingInstances`, which writes the health in capitals and names the group.
pub fn instance_details(group: &Group, member: &Member) -> Value {
    Value::map()
        .with("InstanceId", Value::from(member.id.as_str()))
        .with("InstanceType", Value::from(member.instance_type.as_str()))
        .with("AutoScalingGroupName", Value::from(group.name.as_str()))
        .with("AvailabilityZone", Value::from(member.zone.as_str()))
        .with("LifecycleState", Value::from(member.lifecycle.name()))
        .with("HealthStatus", Value::from(if member.unhealthy_cause.is_some() { "UNHEALTHY" } else { "HEALTHY" }))
        .with("LaunchConfigurationName", member.configuration.as_deref().map(Value::from))
        .with("LaunchTemplate", member.template.as_ref().map(template))
        .with("ImageId", Value::from(member.image.as_str()))
        .with("WeightedCapacity", (member.weight != 1).then(|| Value::from(member.weight.to_string())))
        .with("ProtectedFromScaleIn", Value::from(member.protected))
}

pub fn tag(group: &str, key: &str, tag: &Tag) -> Value {
    Value::map()
        .with("ResourceId", Value::from(group))
        .with("ResourceType", Value::from("auto-scaling-group"))
        .with("Key", Value::from(key))
        .with("Value", Value::from(tag.value.as_str()))
        .with("PropagateAtLaunch", Value::from(tag.propagate))
}

pub fn activity(group: &str, arn: &str, activity: &Activity, deleted: bool) -> Value {
    Value::map()
        .with("ActivityId", Value::from(activity.id.as_str()))
        .with("AutoScalingGroupName", Value::from(group))
        .with("Description", Value::from(activity.description.as_str()))
        .with("Cause", Value::from(activity.cause.as_str()))
        .with("StartTime", Value::from(activity.start))
        .with("EndTime", activity.end.map(Value::from))
        .with("StatusCode", Value::from(activity.status.code()))
        .with("StatusMessage", activity.message.as_deref().map(Value::from))
        .with("Progress", Value::from(activity.status.progress()))
        .with("Details", Value::from(activity.details.as_str()))
        .with("AutoScalingGroupState", deleted.then(|| Value::from("Deleted")))
        .with("AutoScalingGroupARN", Value::from(arn))
}

/// The alarms that a policy owns, or that act on it.
pub fn alarms(cx: &Context, policy: &Policy) -> Value {
    let names = match &policy.kind {
        Kind::Tracking(tracking) => tracking.alarm_names(),
        Kind::Step { .. } | Kind::Simple { .. } => cx.facts.alarms_of_policy(&policy.arn),
        Kind::Predictive(_) => Vec::new(),
    };
    Value::list(names.into_iter().map(|name| {
        let arn = cx.arn("cloudwatch", &format!("alarm:{name}"));
        Value::map().with("AlarmName", Value::from(name)).with("AlarmARN", Value::from(arn))
    }))
}

pub fn policy(cx: &Context, group: &str, policy: &Policy) -> Value {
    let common = Value::map()
        .with("AutoScalingGroupName", Value::from(group))
        .with("PolicyName", Value::from(policy.name.as_str()))
        .with("PolicyARN", Value::from(policy.arn.as_str()))
        .with("PolicyType", Value::from(policy.kind.name()))
        .with("Enabled", Value::from(policy.enabled))
        .with("EstimatedInstanceWarmup", policy.warmup.map(Value::from))
        .with("Alarms", alarms(cx, policy));
    match &policy.kind {
        Kind::Tracking(tracking) => {
            common.with("TargetTrackingConfiguration", Value::Map(tracking.configuration.0.clone()))
        }
        Kind::Step { adjustment, steps, aggregation } => {
            let steps = steps.iter().map(|step| {
                Value::map()
                    .with("MetricIntervalLowerBound", step.lower.map(Value::from))
                    .with("MetricIntervalUpperBound", step.upper.map(Value::from))
                    .with("ScalingAdjustment", Value::from(step.amount))
            });
            common
                .with("AdjustmentType", Value::from(adjustment.by.name()))
                .with("MinAdjustmentMagnitude", adjustment.min_magnitude.map(Value::from))
                .with("MetricAggregationType", Value::from(aggregation.name()))
                .with("StepAdjustments", Value::list(steps))
        }
        Kind::Simple { adjustment, amount, cooldown } => common
            .with("AdjustmentType", Value::from(adjustment.by.name()))
            .with("MinAdjustmentMagnitude", adjustment.min_magnitude.map(Value::from))
            .with("ScalingAdjustment", Value::from(*amount))
            .with("Cooldown", cooldown.map(Value::from)),
        Kind::Predictive(predictive) => {
            common.with("PredictiveScalingConfiguration", Value::Map(predictive.configuration.0.clone()))
        }
    }
}

pub fn scheduled_action(group: &str, action: &ScheduledAction) -> Value {
    // AWS shows the next run as the start time of a recurring action.
    let start: Option<Timestamp> = action.next.or(action.start);
    let recurrence = action.recurrence.as_ref();
    Value::map()
        .with("AutoScalingGroupName", Value::from(group))
        .with("ScheduledActionName", Value::from(action.name.as_str()))
        .with("ScheduledActionARN", Value::from(action.arn.as_str()))
        .with("Time", start.map(Value::from))
        .with("StartTime", start.map(Value::from))
        .with("EndTime", action.end.map(Value::from))
        .with("Recurrence", recurrence.map(|recurrence| Value::from(recurrence.expression.as_str())))
        .with("MinSize", action.bounds.min.map(Value::from))
        .with("MaxSize", action.bounds.max.map(Value::from))
        .with("DesiredCapacity", action.bounds.desired.map(Value::from))
        .with("TimeZone", recurrence.and_then(|recurrence| recurrence.zone_name.as_deref()).map(Value::from))
}

fn exempt(exempt: Exempt, replace: &'static str) -> &'static str {
    match exempt {
        Exempt::Wait => "Wait",
        Exempt::Ignore => "Ignore",
        Exempt::Replace => replace,
    }
}

/// Checkpoints, bake time and alarms, where there are any.
fn with_checkpoints(shown: Value, preferences: &Preferences) -> Value {
    let percentages = Value::list(preferences.checkpoints.iter().map(|percent| Value::from(*percent)));
    let alarms = Value::map().with("Alarms", texts(preferences.alarms.iter().map(String::as_str)));
    let rests = !preferences.checkpoints.is_empty();
    shown
        .with("CheckpointPercentages", rests.then_some(percentages))
        .with("CheckpointDelay", rests.then(|| Value::from(preferences.checkpoint_delay)))
        .with("BakeTime", (preferences.bake_seconds > 0).then(|| Value::from(preferences.bake_seconds)))
        .with("AlarmSpecification", (!preferences.alarms.is_empty()).then_some(alarms))
}

pub fn refresh(group: &Group, refresh: &Refresh) -> Value {
    let left = |count: usize| Value::from(i64::try_from(count).unwrap_or(i64::MAX));
    let preferences = &refresh.preferences;
    let shown_preferences = Value::map()
        .with("MinHealthyPercentage", Value::from(preferences.min_healthy))
        .with("MaxHealthyPercentage", preferences.max_healthy.map(Value::from))
        .with("InstanceWarmup", Value::from(group.refresh_warmup(preferences)))
        .with("SkipMatching", Value::from(preferences.skip_matching))
        .with("AutoRollback", Value::from(preferences.auto_rollback))
        .with("ScaleInProtectedInstances", Value::from(exempt(preferences.protected, "Refresh")))
        .with("StandbyInstances", Value::from(exempt(preferences.standby, "Terminate")));
    let shown_preferences = with_checkpoints(shown_preferences, preferences);
    let rollback = refresh.rollback.as_ref().map(|rollback| {
        Value::map()
            .with("RollbackReason", Value::from(rollback.reason.as_str()))
            .with("RollbackStartTime", Value::from(rollback.start))
            .with("PercentageCompleteOnRollback", Value::from(rollback.percent_before))
            .with("InstancesToUpdateOnRollback", left(rollback.left_before))
    });
    let wanted = refresh.wanted.as_ref().map(|wanted| match &refresh.mix {
        None => Value::map().with("LaunchTemplate", template(wanted)),
        Some(mix) => Value::map().with("MixedInstancesPolicy", mix.value(template(wanted))),
    });
    Value::map()
        .with("InstanceRefreshId", Value::from(refresh.id.as_str()))
        .with("AutoScalingGroupName", Value::from(group.name.as_str()))
        .with("Status", Value::from(refresh.status.name()))
        .with("StatusReason", refresh.reason.as_deref().map(Value::from))
        .with("StartTime", Value::from(refresh.start))
        .with("EndTime", refresh.end.map(Value::from))
        .with("PercentageComplete", Value::from(refresh.percent()))
        .with("InstancesToUpdate", left(refresh.left()))
        .with("Preferences", shown_preferences)
        .with("DesiredConfiguration", wanted)
        .with("RollbackDetails", rollback)
        .with("Strategy", Value::from("Rolling"))
}
