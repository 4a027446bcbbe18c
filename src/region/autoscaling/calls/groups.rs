//! Groups: create, change, delete, describe; their processes, metrics, activities and target groups.

use super::super::activity::stamp;
use super::super::ending::leave_target_groups;
use super::super::group::{Cooldown, Group};
use super::super::metrics::METRICS;
use super::super::model::Autoscaling;
use super::super::parameters::{capacity, invalid};
use super::super::policy::Kind;
use super::super::process::Process;
use super::super::settings::{self, Settings};
use super::super::wire;
use super::{configurations, hooks, tags, warm_pools};
use crate::region::context::Context;
use crate::region::signal::Signal;
use crate::region::wire::{Answer, ApiError, Params, Value};

const NAME: &str = "AutoScalingGroupName";
const NAME_LENGTH_MAX: usize = 255;

pub fn create(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let name = params.required(NAME)?;
    check_name(name)?;
    if let Some(existing) = service.groups.get(name) {
        let state = if existing.deleting { "already exists and is pending delete" } else { "already exists" };
        let message = format!("AutoScalingGroup by this name already exists - A group with the name {name} {state}");
        return Err(ApiError::new("AlreadyExists", message));
    }
    let named = configurations::of_request(service, params)?;
    let settings = Settings::create(cx, params, named)?;
    let tags = tags::parse(&params.maps("Tags"), Some(name))?;
    let desired = capacity(params, "DesiredCapacity")?.unwrap_or(settings.min);
    check_desired(desired, &settings)?;
    let id = cx.ids.uuid();
    let arn = cx.arn("autoscaling", &format!("autoScalingGroup:{id}:autoScalingGroupName/{name}"));
    let mut group = Group::new(name, arn, cx.now, settings);
    for hook in hooks::specified(params)? {
        hooks::insert(cx, &mut group, hook)?;
    }
    group.tags = tags.into_iter().map(|(_, key, tag)| (key, tag)).collect();
    group.set_desired(cx.now, desired, "a user request created an AutoScalingGroup");
    group.turn(cx);
    service.groups.insert(name.to_owned(), group);
    Ok(Value::map())
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let is_good = |letter: char| ('!'..='~').contains(&letter) && letter != ':';
    if name.is_empty() || name.len() > NAME_LENGTH_MAX || !name.chars().all(is_good) {
        return Err(invalid(format!(
            "{NAME} must have 1 to {NAME_LENGTH_MAX} printable ASCII characters, no space and no colon, not {name:?}"
        )));
    }
    Ok(())
}

fn check_desired(desired: i64, settings: &Settings) -> Result<(), ApiError> {
    if desired < settings.min || desired > settings.max {
        return Err(invalid(format!(
            "Desired capacity:{desired} must be between the specified min size:{} and max size:{}",
            settings.min, settings.max
        )));
    }
    Ok(())
}

pub fn update(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let named = configurations::of_request(service, params)?;
    let group = service.group_mut(params.required(NAME)?)?;
    // What a refresh with a desired configuration is about to decide cannot be decided beside it.
    let is_rolling = group.active_refresh().is_some_and(|refresh| refresh.wanted.is_some());
    if is_rolling && ["LaunchTemplate", "MixedInstancesPolicy"].iter().any(|field| params.map(field).is_some()) {
        let message = "An active instance refresh with a desired configuration exists. All configuration options derived \
                       from the desired configuration are not available for update while the instance refresh is active.";
        return Err(ApiError::new("ValidationError", message));
    }
    let new = group.settings.change(cx, params, named)?;
    if new.mix.is_some() && group.warm_pool.is_some() {
        return Err(invalid(warm_pools::NO_MIX));
    }
    let desired = match capacity(params, "DesiredCapacity")? {
        Some(desired) => {
            check_desired(desired, &new)?;
            desired
        }
        None => group.desired().clamp(new.min, new.max),
    };
    group.settings = new;
    let reason = format!(
        "a user request update of AutoScalingGroup constraints to min: {}, max: {}, desired: {desired}",
        group.settings.min, group.settings.max
    );
    group.set_desired(cx.now, desired, &reason);
    group.look_soon(cx.now);
    group.turn(cx);
    Ok(Value::map())
}

pub fn delete(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let name = params.required(NAME)?;
    let force = params.bool("ForceDelete")?.unwrap_or(false);
    service.group(name)?;
    let Some(group) = service.groups.get_mut(name) else { return Ok(Value::map()) };
    if group.deleting {
        return Ok(Value::map());
    }
    if !force {
        if group.warm_pool.is_some() {
            let message = "You cannot delete an AutoScalingGroup that has a warm pool. Delete the warm pool first.";
            return Err(ApiError::new("ResourceInUse", message));
        }
        if group.active() > 0 || !group.members.is_empty() && group.history.in_progress().is_none() {
            let message = "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.";
            return Err(ApiError::new("ResourceInUse", message));
        }
        if !group.members.is_empty() {
            let message =
                "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.";
            return Err(ApiError::new("ScalingActivityInProgress", message));
        }
    }
    for policy in group.policies.values() {
        if let Kind::Tracking(tracking) = &policy.kind {
            cx.send(Signal::DeleteAlarms { names: tracking.alarm_names() });
        }
    }
    let policy_arns = group.policies.values().map(|policy| policy.arn.clone()).collect();
    cx.send(Signal::PoliciesDeleted { policy_arns, and_alarms: true });
    group.policies.clear();
    group.schedule.clear();
    group.metrics.clear();
    group.warm_pool = None;
    group.settings.min = 0;
    group.set_desired(cx.now, 0, "a user request force deleted AutoScalingGroup");
    group.deleting = true;
    group.turn(cx);
    Ok(Value::map())
}

pub fn describe(service: &Autoscaling, params: &Params) -> Answer {
    let names = params.texts("AutoScalingGroupNames");
    let filters = params.maps("Filters");
    for filter in &filters {
        let name = filter.required("Name")?;
        if !["tag-key", "tag-value"].contains(&name) && !name.starts_with("tag:") {
            return Err(invalid(format!(
                "Filter type {name} is not correct. Allowed filter types are: tag-key, tag-value, tag:<key>"
            )));
        }
    }
    let is_asked = |group: &&Group| {
        (names.is_empty() || names.contains(&group.name.as_str()))
            && filters.iter().all(|filter| has_tags(group, filter))
    };
    let groups: Vec<&Group> = service.groups.values().filter(is_asked).collect();
    wire::page(params, "AutoScalingGroups", 100, &groups, |group| group.name.clone(), |group| wire::group(group))
}

/// Every filter must hold; one of its values is enough.
fn has_tags(group: &Group, filter: &Params) -> bool {
    let values = filter.texts("Values");
    let name = filter.text("Name").unwrap_or_default();
    group.tags.iter().any(|(key, tag)| match name {
        "tag-key" => values.contains(&key.as_str()),
        "tag-value" => values.contains(&tag.value.as_str()),
        _ => name.strip_prefix("tag:") == Some(key) && values.contains(&tag.value.as_str()),
    })
}

pub fn set_desired_capacity(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let group = service.group_mut(params.required(NAME)?)?;
    let desired = capacity(params, "DesiredCapacity")?.ok_or_else(|| ApiError::missing("DesiredCapacity"))?;
    let Settings { min, max, .. } = group.settings;
    if desired > max {
        return Err(invalid(format!(
            "New SetDesiredCapacity value {desired} is above max value {max} for the AutoScalingGroup."
        )));
    }
    if desired < min {
        return Err(invalid(format!(
            "New SetDesiredCapacity value {desired} is below min value {min} for the AutoScalingGroup."
        )));
    }
    let honors = params.bool("HonorCooldown")?.unwrap_or(false);
    if honors {
        group.check_cooldown(cx.now)?;
    }
    if desired != group.desired() {
        group.set_desired(cx.now, desired, "a user request explicitly set group desired capacity");
        if honors {
            group.cooldown = Some(Cooldown::Waiting { seconds: group.settings.cooldown_seconds });
        }
    }
    group.turn(cx);
    Ok(Value::map())
}

/// The processes that a request names; all without names.
fn processes(params: &Params) -> Result<Vec<Process>, ApiError> {
    let names = params.texts("ScalingProcesses");
    if names.is_empty() {
        return Ok(Process::ALL.iter().map(|(process, _)| *process).collect());
    }
    let parse =
        |name: &&str| Process::parse(name).ok_or_else(|| invalid(format!("{name} is not a valid scaling process")));
    names.iter().map(parse).collect()
}

pub fn suspend(service: &mut Autoscaling, params: &Params) -> Answer {
    let group = service.group_mut(params.required(NAME)?)?;
    for process in processes(params)? {
        // The reason carries the time in AWS's consoles; the API's own text is this.
        group.suspended.entry(process).or_insert_with(|| "User suspended".to_owned());
    }
    Ok(Value::map())
}

pub fn resume(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let group = service.group_mut(params.required(NAME)?)?;
    for process in processes(params)? {
        group.suspended.remove(&process);
        if process == Process::Launch {
            // Its failures do not count any more.
            group.forget_failures();
        }
    }
    group.look_soon(cx.now);
    group.turn(cx);
    Ok(Value::map())
}

/// The metrics that a request names; all without names.
fn metrics(params: &Params) -> Result<Vec<&'static str>, ApiError> {
    let names = params.texts("Metrics");
    if names.is_empty() {
        return Ok(METRICS.to_vec());
    }
    let find = |name: &&str| {
        METRICS
            .into_iter()
            .find(|known| known == name)
            .ok_or_else(|| invalid(format!("{name} is not a valid metric type")))
    };
    names.iter().map(find).collect()
}

pub fn enable_metrics(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let group = service.group_mut(params.required(NAME)?)?;
    if params.required("Granularity")? != "1Minute" {
        return Err(invalid("The valid granularity is: 1Minute"));
    }
    group.metrics.extend(metrics(params)?.into_iter().map(str::to_owned));
    group.metrics_due.get_or_insert(cx.now);
    Ok(Value::map())
}

pub fn disable_metrics(service: &mut Autoscaling, params: &Params) -> Answer {
    let group = service.group_mut(params.required(NAME)?)?;
    for metric in metrics(params)? {
        group.metrics.remove(metric);
    }
    Ok(Value::map())
}

pub fn activities(service: &Autoscaling, params: &Params) -> Answer {
    let name = params.text(NAME);
    let ids = params.texts("ActivityIds");
    let deleted = params.bool("IncludeDeletedGroups")?.unwrap_or(false);
    if let Some(name) = name
        && !deleted
    {
        service.group(name)?;
    }
    let is_named = |group: &str| name.is_none_or(|name| name == group);
    let living = service.groups.values().filter(|group| is_named(&group.name)).flat_map(|group| {
        group.history.newest_first().map(|activity| (group.name.as_str(), group.arn.as_str(), activity, false))
    });
    let gone = service.deleted.iter().rev().filter(|entry| deleted && is_named(&entry.group));
    let gone = gone.map(|entry| (entry.group.as_str(), entry.group_arn.as_str(), &entry.activity, true));
    let mut all: Vec<_> = living
        .chain(gone)
        .filter(|(_, _, activity, _)| ids.is_empty() || ids.contains(&activity.id.as_str()))
        .collect();
    // Newest first over several groups; within a group the order stays.
    all.sort_by_key(|(_, _, activity, _)| std::cmp::Reverse(activity.start));
    wire::page(
        params,
        "Activities",
        100,
        &all,
        |(_, _, activity, _)| activity.id.clone(),
        |(group, arn, activity, deleted)| wire::activity(group, arn, activity, *deleted),
    )
}

pub fn attach_target_groups(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let group = service.group_mut(params.required(NAME)?)?;
    let arns = settings::target_groups(cx.facts, &params.texts("TargetGroupARNs"), &params.maps("TrafficSources"))?;
    for arn in arns {
        if group.settings.target_groups.contains(&arn) {
            continue;
        }
        group.settings.target_groups.push(arn.clone());
        if group.is_suspended(Process::AddToLoadBalancer) {
            continue;
        }
        let mut instances = Vec::new();
        for member in group.members.iter_mut().filter(|member| member.is_in_service()) {
            member.registered.push(arn.clone());
            instances.push(member.id.clone());
        }
        if !instances.is_empty() {
            cx.send(Signal::RegisterTargets { target_group: arn, instances });
        }
    }
    Ok(Value::map())
}

pub fn detach_target_groups(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let group = service.group_mut(params.required(NAME)?)?;
    let sources = params.maps("TrafficSources");
    let sources = sources.iter().map(|source| source.required("Identifier")).collect::<Result<Vec<_>, _>>()?;
    for arn in params.texts("TargetGroupARNs").into_iter().chain(sources) {
        if !group.settings.target_groups.iter().any(|known| known == arn) {
            return Err(invalid(format!("The target group {arn} is not attached to the group {}.", group.name)));
        }
        group.settings.target_groups.retain(|known| known != arn);
        for member in &mut group.members {
            let (leaving, staying) = std::mem::take(&mut member.registered).into_iter().partition(|known| known == arn);
            member.registered = leaving;
            leave_target_groups(cx, member);
            member.registered = staying;
        }
    }
    Ok(Value::map())
}

pub fn target_groups(service: &Autoscaling, params: &Params) -> Answer {
    let group = service.group(params.required(NAME)?)?;
    let show = |arn: &String| {
        Value::map()
            .with("LoadBalancerTargetGroupARN", Value::from(arn.as_str()))
            .with("State", Value::from("InService"))
    };
    wire::page(params, "LoadBalancerTargetGroups", 100, &group.settings.target_groups, String::clone, show)
}

pub fn traffic_sources(service: &Autoscaling, params: &Params) -> Answer {
    let group = service.group(params.required(NAME)?)?;
    let show = |arn: &String| wire::traffic_source(arn).with("State", Value::from("InService"));
    wire::page(params, "TrafficSources", 50, &group.settings.target_groups, String::clone, show)
}

/// "At … ⟨what⟩ in response to a user request", the cause of what a user does to an instance.
pub fn user_request(cx: &Context, what: &str) -> String {
    format!("At {} {what} in response to a user request", stamp(cx.now))
}
