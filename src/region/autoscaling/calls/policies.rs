//! Scaling policies.

use jiff::Timestamp;

use super::super::forecast::{HOUR, Predictive, hour_of};
use super::super::group::Group;
use super::super::model::Autoscaling;
use super::super::parameters::{invalid, seconds};
use super::super::policy::{Adjustment, AdjustmentType, Aggregation, Kind, Policy, Step, check_steps};
use super::super::tracking::{Metric, Tracking};
use super::super::wire;
use crate::region::context::Context;
use crate::region::facts::Facts;
use crate::region::signal::Signal;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// AWS's quota of policies per group.
const POLICIES_MAX: usize = 50;
const WARMUP_SECONDS_MAX: i64 = 86_400;

pub fn put(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let group = service.group_mut(params.required("AutoScalingGroupName")?)?;
    let name = params.required("PolicyName")?;
    let existing = group.policies.get(name).cloned();
    if existing.is_none() && group.policies.len() >= POLICIES_MAX {
        return Err(ApiError::new("LimitExceeded", format!("A group may have {POLICIES_MAX} scaling policies.")));
    }
    let kind = match params.text("PolicyType").unwrap_or("SimpleScaling") {
        "TargetTrackingScaling" => Kind::Tracking(tracking(group, cx, params)?),
        "StepScaling" => step(params)?,
        "SimpleScaling" => simple(params)?,
        "PredictiveScaling" => Kind::Predictive(Box::new(predictive(group, cx, params, existing.as_ref())?)),
        other => return Err(invalid(format!("The embedded region does not support the policy type {other}."))),
    };
    let arn = existing.as_ref().map_or_else(
        || {
            let id = cx.ids.uuid();
            cx.arn("autoscaling", &format!("scalingPolicy:{id}:autoScalingGroupName/{}:policyName/{name}", group.name))
        },
        |existing| existing.arn.clone(),
    );
    let policy = Policy {
        name: name.to_owned(),
        arn,
        enabled: params.bool("Enabled")?.unwrap_or(true),
        warmup: seconds(params, "EstimatedInstanceWarmup", 0..=WARMUP_SECONDS_MAX)?,
        kind,
        recommendation: None,
    };
    let alarms = match &policy.kind {
        Kind::Tracking(tracking) => tracking.alarms(&policy.arn),
        Kind::Step { .. } | Kind::Simple { .. } | Kind::Predictive(_) => Vec::new(),
    };
    // Nothing is changed, and no ARN answered, before CloudWatch would take every alarm.
    for params in &alarms {
        cx.facts.check_alarm(params)?;
    }
    if let Some(existing) = existing {
        forget_alarms(cx, &existing);
    }
    for params in alarms {
        cx.send(Signal::PutAlarm { params });
    }
    let answer =
        Value::map().with("PolicyARN", Value::from(policy.arn.as_str())).with("Alarms", wire::alarms(cx, &policy));
    group.policies.insert(name.to_owned(), policy);
    Ok(answer)
}

fn tracking(group: &Group, cx: &mut Context, params: &Params) -> Result<Tracking, ApiError> {
    let configuration = params
        .map("TargetTrackingConfiguration")
        .ok_or_else(|| invalid("TargetTrackingConfiguration is required for policy type TargetTrackingScaling"))?;
    let id = cx.ids.uuid();
    let tracking = Tracking::parse(&group.name, configuration, &id)?;
    if let Metric::Single { namespace, name, dimensions, .. } = &tracking.metric
        && namespace == "AWS/ApplicationELB"
        && name == "RequestCountPerTarget"
        && let Some((_, target_group)) = dimensions.iter().find(|(name, _)| name == "TargetGroup")
        && !is_attached(group, cx.facts, target_group)
    {
        return Err(invalid(format!("The target group {target_group} is not attached to the group {}.", group.name)));
    }
    Ok(tracking)
}

/// A predictive policy, with its first forecast where there are data for it. What was told of the past stays.
fn predictive(group: &Group, cx: &Context, params: &Params, existing: Option<&Policy>) -> Result<Predictive, ApiError> {
    let configuration = params
        .map("PredictiveScalingConfiguration")
        .ok_or_else(|| invalid("PredictiveScalingConfiguration is required for policy type PredictiveScaling"))?;
    let mut predictive = Predictive::parse(&group.name, configuration, cx.now)?;
    let now = cx.now.as_second();
    for queries in predictive.queries() {
        cx.facts.metric_history(queries, &(now - HOUR..now), cx.now).map_err(|error| invalid(error.message))?;
    }
    if let Some(Kind::Predictive(before)) = existing.map(|policy| &policy.kind) {
        predictive.hours = before.hours.range(..hour_of(cx.now)).map(|(hour, told)| (*hour, *told)).collect();
    }
    predictive.forecast(cx.facts, cx.now);
    Ok(predictive)
}

/// Whether the group registers with the target group of that CloudWatch name.
fn is_attached(group: &Group, facts: &dyn Facts, full_name: &str) -> bool {
    group
        .settings
        .target_groups
        .iter()
        .any(|arn| facts.target_group(arn).is_some_and(|found| found.full_name == full_name))
}

fn adjustment(params: &Params) -> Result<Adjustment, ApiError> {
    let name = params.text("AdjustmentType").ok_or_else(|| invalid("AdjustmentType must be specified"))?;
    let by = AdjustmentType::parse(name).ok_or_else(|| invalid(format!("Invalid AdjustmentType: {name}")))?;
    let min_magnitude = params.int("MinAdjustmentMagnitude")?.or(params.int("MinAdjustmentStep")?);
    if min_magnitude.is_some_and(|magnitude| magnitude < 0) {
        return Err(invalid("MinAdjustmentMagnitude must not be negative"));
    }
    if min_magnitude.is_some() && by != AdjustmentType::PercentChangeInCapacity {
        return Err(invalid("MinAdjustmentMagnitude is only valid for the PercentChangeInCapacity adjustment type"));
    }
    Ok(Adjustment { by, min_magnitude })
}

fn check_amount(adjustment: Adjustment, amount: i64) -> Result<i64, ApiError> {
    if adjustment.by == AdjustmentType::ExactCapacity && amount < 0 {
        return Err(invalid("ScalingAdjustment must not be negative for the ExactCapacity adjustment type"));
    }
    Ok(amount)
}

fn step(params: &Params) -> Result<Kind, ApiError> {
    let adjustment = adjustment(params)?;
    let parse_one = |entry: Params| {
        let amount = entry.int("ScalingAdjustment")?.ok_or_else(|| ApiError::missing("ScalingAdjustment"))?;
        Ok(Step {
            lower: entry.float("MetricIntervalLowerBound")?,
            upper: entry.float("MetricIntervalUpperBound")?,
            amount: check_amount(adjustment, amount)?,
        })
    };
    let steps: Vec<Step> =
        params.maps("StepAdjustments").into_iter().map(parse_one).collect::<Result<_, ApiError>>()?;
    check_steps(&steps).map_err(invalid)?;
    let aggregation = params.text("MetricAggregationType").unwrap_or("Average");
    let aggregation = Aggregation::parse(aggregation)
        .ok_or_else(|| invalid(format!("Invalid MetricAggregationType: {aggregation}")))?;
    Ok(Kind::Step { adjustment, steps, aggregation })
}

fn simple(params: &Params) -> Result<Kind, ApiError> {
    let adjustment = adjustment(params)?;
    let amount = params
        .int("ScalingAdjustment")?
        .ok_or_else(|| invalid("ScalingAdjustment must be specified for policy type SimpleScaling"))?;
    let cooldown = seconds(params, "Cooldown", 0..=WARMUP_SECONDS_MAX)?;
    Ok(Kind::Simple { adjustment, amount: check_amount(adjustment, amount)?, cooldown })
}

fn forget_alarms(cx: &mut Context, policy: &Policy) {
    if let Kind::Tracking(tracking) = &policy.kind {
        cx.send(Signal::DeleteAlarms { names: tracking.alarm_names() });
    }
}

/// The name in a policy's name or ARN.
fn name_of<'a>(group: &'a Group, name_or_arn: &str) -> Option<&'a str> {
    let is_it = |policy: &&Policy| policy.name == name_or_arn || policy.arn == name_or_arn;
    group.policies.values().find(is_it).map(|policy| policy.name.as_str())
}

/// The group and the name of the policy that a request means: by its ARN, or by its name and the group's.
fn find(service: &Autoscaling, params: &Params) -> Result<(String, String), ApiError> {
    let wanted = params.required("PolicyName")?;
    let group = match params.text("AutoScalingGroupName") {
        Some(name) => Some(service.group(name)?),
        None => service.groups.values().find(|group| group.policies.values().any(|policy| policy.arn == wanted)),
    };
    group
        .and_then(|group| name_of(group, wanted).map(|name| (group.name.clone(), name.to_owned())))
        .ok_or_else(|| invalid(format!("The policy {wanted} does not exist")))
}

pub fn delete(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let (group, name) = find(service, params)?;
    if let Some(policy) = service.group_mut(&group)?.policies.remove(&name) {
        forget_alarms(cx, &policy);
        // The user's own alarms stay, without the action.
        cx.send(Signal::PoliciesDeleted { policy_arns: vec![policy.arn], and_alarms: false });
    }
    Ok(Value::map())
}

pub fn describe(service: &Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let group = params.text("AutoScalingGroupName");
    if let Some(name) = group {
        service.group(name)?;
    }
    let (names, types) = (params.texts("PolicyNames"), params.texts("PolicyTypes"));
    let all = service
        .groups
        .values()
        .filter(|known| group.is_none_or(|name| known.name == name))
        .flat_map(|group| group.policies.values().map(move |policy| (group, policy)));
    let asked: Vec<(&Group, &Policy)> = all
        .filter(|(_, policy)| {
            (names.is_empty() || names.iter().any(|name| policy.name == *name || policy.arn == *name))
                && (types.is_empty() || types.contains(&policy.kind.name()))
        })
        .collect();
    wire::page(
        params,
        "ScalingPolicies",
        100,
        &asked,
        |(_, policy)| policy.arn.clone(),
        |(group, policy)| wire::policy(cx, &group.name, policy),
    )
}

pub fn execute(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let (group, name) = find(service, params)?;
    let group = service.group_mut(&group)?;
    let honors = params.bool("HonorCooldown")?.unwrap_or(false);
    let threshold = params.float("BreachThreshold")?.unwrap_or(0.0);
    group.execute(cx.now, &name, params.float("MetricValue")?, threshold, honors)?;
    group.turn(cx);
    Ok(Value::map())
}

/// The longest range of `GetPredictiveScalingForecast`, in seconds.
const FORECAST_RANGE_MAX: i64 = 30 * 24 * HOUR;

pub fn forecast(service: &Autoscaling, params: &Params) -> Answer {
    let (group, name) = find(service, params)?;
    let time = |name: &str| -> Result<i64, ApiError> {
        Ok(params.time(name)?.ok_or_else(|| ApiError::missing(name))?.as_second())
    };
    let (start, end) = (time("StartTime")?, time("EndTime")?);
    if start >= end || end - start > FORECAST_RANGE_MAX {
        return Err(invalid("StartTime must be before EndTime, and at most 30 days before it"));
    }
    let policy = service.group(&group)?.policies.get(&name).map(|policy| &policy.kind);
    let Some(Kind::Predictive(predictive)) = policy else {
        return Err(invalid(format!("The policy {name} is not a predictive scaling policy")));
    };
    let Some(made) = predictive.made else {
        return Err(invalid(format!(
            "There is no forecast of the policy {name} yet: it needs at least 24 hours of data of its load metric"
        )));
    };
    let hours = || predictive.hours.range(start..end);
    let times = || {
        let time = |hour: &i64| Timestamp::from_second(*hour).ok().map(Value::Time);
        Value::list(hours().filter_map(|(hour, _)| time(hour)))
    };
    let load = Value::map()
        .with("Timestamps", times())
        .with("Values", Value::list(hours().map(|(_, told)| Value::Float(told.load))))
        .with("MetricSpecification", predictive.configuration.list("MetricSpecifications").first().cloned());
    #[expect(clippy::cast_precision_loss, reason = "capacities are small")]
    let capacities = hours().map(|(_, told)| Value::Float(told.capacity as f64));
    let capacity = Value::map().with("Timestamps", times()).with("Values", Value::list(capacities));
    Ok(Value::map()
        .with("LoadForecast", Value::list([load]))
        .with("CapacityForecast", capacity)
        .with("UpdateTime", Value::Time(made)))
}
