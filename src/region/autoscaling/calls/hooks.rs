//! Lifecycle hooks and the actions that instances wait for.

use super::super::group::Group;
use super::super::hook::{ActionResult, Hook, Transition};
use super::super::model::Autoscaling;
use super::super::parameters::{invalid, seconds};
use crate::region::context::Context;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// AWS's quota of hooks per group.
const HOOKS_MAX: usize = 50;
const HEARTBEAT_SECONDS: i64 = 3_600;
const HEARTBEAT_SECONDS_MIN: i64 = 30;
const HEARTBEAT_SECONDS_MAX: i64 = 7_200;

pub fn put(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let group = service.group_mut(params.required("AutoScalingGroupName")?)?;
    let name = params.required("LifecycleHookName")?;
    let existing = group.hooks.get(name).cloned();
    let hook = parse(params, existing.as_ref())?;
    insert(cx, group, hook)?;
    Ok(Value::map())
}

/// The hooks that `CreateAutoScalingGroup` gives.
pub fn specified(params: &Params) -> Result<Vec<Hook>, ApiError> {
    params.maps("LifecycleHookSpecificationList").iter().map(|entry| parse(entry, None)).collect()
}

pub fn insert(cx: &Context, group: &mut Group, hook: Hook) -> Result<(), ApiError> {
    if group.hooks.len() >= HOOKS_MAX && !group.hooks.contains_key(&hook.name) {
        return Err(ApiError::new("LimitExceeded", format!("A group may have {HOOKS_MAX} lifecycle hooks.")));
    }
    if let Some(target) = &hook.target {
        group.notify_of_test(cx.now, target);
    }
    group.hooks.insert(hook.name.clone(), hook);
    Ok(())
}

/// A hook as a request gives it; what it leaves out stays as it was.
fn parse(params: &Params, existing: Option<&Hook>) -> Result<Hook, ApiError> {
    let transition = match (params.text("LifecycleTransition"), existing) {
        (Some(name), _) => {
            Transition::parse(name).ok_or_else(|| invalid(format!("Invalid LifecycleTransition: {name}")))?
        }
        (None, Some(existing)) => existing.transition,
        (None, None) => return Err(invalid("LifecycleTransition is required for a new lifecycle hook")),
    };
    let default_result = match params.text("DefaultResult") {
        Some(name) => ActionResult::parse(name).ok_or_else(|| invalid(format!("Invalid DefaultResult: {name}")))?,
        None => existing.map_or(ActionResult::Abandon, |existing| existing.default_result),
    };
    let heartbeat = seconds(params, "HeartbeatTimeout", HEARTBEAT_SECONDS_MIN..=HEARTBEAT_SECONDS_MAX)?;
    let metadata = params.text("NotificationMetadata").map(str::to_owned);
    // An empty text takes the target away; a role alone has nothing to do.
    let target = match params.text("NotificationTargetARN") {
        None => existing.and_then(|existing| existing.target.clone()),
        Some("") => None,
        Some(arn) if arn.starts_with("arn:aws:sns:") || arn.starts_with("arn:aws:sqs:") => Some(arn.to_owned()),
        Some(other) => {
            return Err(invalid(format!("NotificationTargetARN must be that of a topic or a queue, not {other}")));
        }
    };
    let role = params.text("RoleARN").map(str::to_owned).or_else(|| existing.and_then(|it| it.role.clone()));
    Ok(Hook {
        name: params.required("LifecycleHookName")?.to_owned(),
        transition,
        heartbeat: heartbeat.or(existing.map(|existing| existing.heartbeat)).unwrap_or(HEARTBEAT_SECONDS),
        default_result,
        metadata: metadata.or_else(|| existing.and_then(|existing| existing.metadata.clone())),
        role: role.filter(|_| target.is_some()),
        target,
    })
}

/// Instances that wait for the hook go on.
pub fn delete(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let group = service.group_mut(params.required("AutoScalingGroupName")?)?;
    let name = params.required("LifecycleHookName")?;
    if group.hooks.remove(name).is_none() {
        return Err(invalid(format!("No Lifecycle Hook found with name {name}")));
    }
    let waiting: Vec<String> = group.members.iter().map(|member| member.id.clone()).collect();
    for instance in waiting {
        group.complete_action(cx, &instance, name, ActionResult::Continue);
    }
    group.turn(cx);
    Ok(Value::map())
}

pub fn describe(service: &Autoscaling, params: &Params) -> Answer {
    let group = service.group(params.required("AutoScalingGroupName")?)?;
    let names = params.texts("LifecycleHookNames");
    let asked = group.hooks.values().filter(|hook| names.is_empty() || names.contains(&hook.name.as_str()));
    let show = |hook: &Hook| {
        Value::map()
            .with("LifecycleHookName", Value::from(hook.name.as_str()))
            .with("AutoScalingGroupName", Value::from(group.name.as_str()))
            .with("LifecycleTransition", Value::from(hook.transition.name()))
            .with("NotificationTargetARN", hook.target.as_deref().map(Value::from))
            .with("RoleARN", hook.role.as_deref().map(Value::from))
            .with("NotificationMetadata", hook.metadata.as_deref().map(Value::from))
            .with("HeartbeatTimeout", Value::from(hook.heartbeat))
            .with("GlobalTimeout", Value::from(hook.longest()))
            .with("DefaultResult", Value::from(hook.default_result.name()))
    };
    Ok(Value::map().with("LifecycleHooks", Value::list(asked.map(show))))
}

pub fn describe_types() -> Answer {
    let names = Transition::ALL.iter().map(|transition| Value::from(transition.name()));
    Ok(Value::map().with("LifecycleHookTypes", Value::list(names)))
}

/// The instance whose action a request means: by its id, or by the action's token.
fn instance_of(group: &Group, hook: &str, params: &Params) -> Result<String, ApiError> {
    let (instance, token) = (params.text("InstanceId"), params.text("LifecycleActionToken"));
    if instance.is_none() && token.is_none() {
        return Err(invalid("Either InstanceId or LifecycleActionToken must be specified"));
    }
    let found = group.members.iter().find(|member| {
        instance.is_none_or(|id| member.id == id)
            && member
                .actions
                .iter()
                .any(|action| action.hook == hook && token.is_none_or(|token| action.token == token))
    });
    found.map(|member| member.id.clone()).ok_or_else(|| {
        let what = token
            .map_or_else(|| format!("instance ID {}", instance.unwrap_or_default()), |token| format!("token {token}"));
        invalid(format!("No active Lifecycle Action found with {what}"))
    })
}

pub fn complete(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let group = service.group_mut(params.required("AutoScalingGroupName")?)?;
    let hook = params.required("LifecycleHookName")?;
    let result = params.required("LifecycleActionResult")?;
    let result =
        ActionResult::parse(result).ok_or_else(|| invalid(format!("Invalid LifecycleActionResult: {result}")))?;
    let instance = instance_of(group, hook, params)?;
    group.complete_action(cx, &instance, hook, result);
    group.turn(cx);
    Ok(Value::map())
}

pub fn heartbeat(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let group = service.group_mut(params.required("AutoScalingGroupName")?)?;
    let hook = params.required("LifecycleHookName")?;
    let instance = instance_of(group, hook, params)?;
    group.heartbeat(cx.now, &instance, hook);
    Ok(Value::map())
}
