//! What users do to single instances: terminate, protect, mark, attach, detach, standby.

use super::super::activity::{self, Activity, Status};
use super::super::ending::leave_target_groups;
use super::super::group::Group;
use super::super::member::{Lifecycle, Member, UnhealthyCause};
use super::super::model::Autoscaling;
use super::super::parameters::invalid;
use super::super::wire;
use super::groups::user_request;
use crate::region::context::Context;
use crate::region::signal::{InstanceState, Signal};
use crate::region::wire::{Answer, ApiError, Params, Value};

/// AWS's batch size for attach, detach and standby.
const BATCH_MAX: usize = 20;

pub fn describe(service: &Autoscaling, params: &Params) -> Answer {
    let ids = params.texts("InstanceIds");
    let all = service.groups.values().flat_map(|group| group.members.iter().map(move |member| (group, member)));
    let asked: Vec<(&Group, &Member)> =
        all.filter(|(_, member)| ids.is_empty() || ids.contains(&member.id.as_str())).collect();
    wire::page(
        params,
        "AutoScalingInstances",
        50,
        &asked,
        |(_, member)| member.id.clone(),
        |(group, member)| wire::instance_details(group, member),
    )
}

fn not_found(instance: &str) -> ApiError {
    invalid(format!("Instance Id not found - No managed instance found for instance ID: {instance}"))
}

/// "This operation cannot be called on instances in a warm pool" (EC2 Auto Scaling API reference).
fn refuse_pooled(member: &Member) -> Result<(), ApiError> {
    if member.lifecycle.is_warmed() {
        let message = format!("The instance {} is in a warm pool ({}).", member.id, member.lifecycle.name());
        return Err(invalid(message));
    }
    Ok(())
}

/// The group of an instance, which must not be on its way out.
fn group_of<'a>(service: &'a mut Autoscaling, instance: &str) -> Result<&'a mut Group, ApiError> {
    let name = service.group_of(instance).ok_or_else(|| not_found(instance))?;
    service.group_mut(&name)
}

/// `shrinking the capacity from 2 to 1` where a user's request takes an instance and the desired capacity with it.
fn decrement(group: &mut Group, count: i64, what: &str) -> Result<(), ApiError> {
    if group.desired() - count < group.settings.min {
        return Err(invalid(format!(
            "Currently, desiredSize equals minSize ({}). {what} without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.",
            group.settings.min
        )));
    }
    group.shift_desired(-count);
    Ok(())
}

pub fn terminate(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let instance = params.required("InstanceId")?;
    let decrements = params.bool("ShouldDecrementDesiredCapacity")?.unwrap_or(false);
    let group = group_of(service, instance)?;
    let member = group.member(instance).ok_or_else(|| not_found(instance))?;
    refuse_pooled(member)?;
    if member.lifecycle.is_terminating() || member.lifecycle == Lifecycle::Detaching {
        let message =
            format!("The instance {instance} is not in InService, Pending or Standby: {}", member.lifecycle.name());
        return Err(ApiError::new("ScalingActivityInProgress", message));
    }
    let mut cause = user_request(cx, &format!("instance {instance} was taken out of service"));
    if decrements {
        let before = group.desired();
        // An instance in standby is not part of the desired capacity.
        decrement(group, i64::from(member.is_active()), "Terminating instance")?;
        cause.push_str(&format!(", shrinking the capacity from {before} to {}", group.desired()));
    }
    cause.push('.');
    let id = group.end(cx, instance, cause, true).ok_or_else(|| not_found(instance))?;
    group.turn(cx);
    let shown = group.history.get(&id).map(|entry| wire::activity(&group.name, &group.arn, entry, false));
    Ok(Value::map().with("Activity", shown))
}

pub fn set_health(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let instance = params.required("InstanceId")?;
    let status = params.required("HealthStatus")?;
    let respects_grace = params.bool("ShouldRespectGracePeriod")?.unwrap_or(true);
    let group = group_of(service, instance)?;
    let grace = group.settings.grace_seconds;
    let member = group.member_mut(instance).ok_or_else(|| not_found(instance))?;
    match status.to_ascii_lowercase().as_str() {
        "healthy" => member.unhealthy_cause = None,
        // Inside the grace period the mark is dropped, as AWS does.
        "unhealthy" if respects_grace && member.warm_at(grace).is_none_or(|end| end > cx.now) => {}
        "unhealthy" => member.unhealthy_cause = Some(UnhealthyCause::User),
        _ => return Err(invalid(format!("Invalid HealthStatus {status}: Valid values are Healthy and Unhealthy"))),
    }
    group.turn(cx);
    Ok(Value::map())
}

pub fn set_protection(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let group = service.group_mut(params.required("AutoScalingGroupName")?)?;
    let protect = params.bool("ProtectedFromScaleIn")?.ok_or_else(|| ApiError::missing("ProtectedFromScaleIn"))?;
    let ids = named(group, params, 50)?;
    ids.iter().filter_map(|id| group.member(id)).try_for_each(refuse_pooled)?;
    for member in group.members.iter_mut().filter(|member| ids.contains(&member.id)) {
        member.protected = protect;
    }
    group.protection_noted = false;
    group.turn(cx);
    Ok(Value::map())
}

/// The instances that a request names; all must be in the group.
fn named(group: &Group, params: &Params, batch_max: usize) -> Result<Vec<String>, ApiError> {
    let ids = params.texts("InstanceIds");
    if ids.len() > batch_max {
        return Err(invalid(format!("At most {batch_max} instances can be given in one call")));
    }
    for id in &ids {
        if group.member(id).is_none() {
            return Err(invalid(format!("The instance {id} is not part of Auto Scaling group {}.", group.name)));
        }
    }
    Ok(ids.into_iter().map(str::to_owned).collect())
}

pub fn attach(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let ids: Vec<String> = params.texts("InstanceIds").into_iter().map(str::to_owned).collect();
    if ids.is_empty() || ids.len() > BATCH_MAX {
        return Err(invalid(format!("1 to {BATCH_MAX} instances can be attached in one call")));
    }
    for id in &ids {
        if let Some(owner) = service.group_of(id) {
            return Err(invalid(format!("Instance {id} is already part of Auto Scaling group {owner}.")));
        }
    }
    let group = service.group_mut(params.required("AutoScalingGroupName")?)?;
    let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    if group.desired() + count > group.settings.max {
        return Err(invalid(format!(
            "AutoScalingGroup {} has min-size={}, max-size={}, and desired-size={}. To attach {count} more instances to this AutoScalingGroup, please update the AutoScalingGroup sizes appropriately.",
            group.name,
            group.settings.min,
            group.settings.max,
            group.desired()
        )));
    }
    let mut found = Vec::new();
    for id in &ids {
        let facts =
            cx.facts.instance(id).filter(|facts| facts.state == InstanceState::Running).ok_or_else(|| {
                invalid(format!("Invalid Instance(s) [{id}]. The instance is not in the running state."))
            })?;
        if !group.settings.subnets.iter().any(|subnet| subnet.zone == facts.zone) {
            return Err(invalid(format!(
                "Invalid Instance(s) [{id}]. Its zone {} is not one of the group's.",
                facts.zone
            )));
        }
        found.push(facts);
    }
    for facts in found {
        let cause = format!(
            "{}, increasing the capacity from {} to {}.",
            user_request(cx, "an instance was attached"),
            group.desired(),
            group.desired() + 1
        );
        let description = format!("Attaching an existing EC2 instance: {}", facts.id);
        let activity = begin(group, cx, description, cause, &facts.subnet, &facts.zone);
        group.shift_desired(1);
        let id = facts.id.clone();
        let tags = group.instance_tags().into_iter().map(|(key, value)| (key, Some(value))).collect();
        cx.send(Signal::TagInstance { instance: id.clone(), tags });
        group.members.push(Member {
            id: facts.id,
            subnet: facts.subnet,
            zone: facts.zone,
            instance_type: facts.instance_type,
            spot: facts.spot,
            weight: 1,
            image: facts.image,
            template: None,
            configuration: None,
            lifecycle: Lifecycle::Pending,
            activity: Some(activity),
            launched: facts.launched,
            in_service: None,
            unhealthy_cause: None,
            expired: false,
            at_risk: false,
            protected: group.settings.protect_new,
            grows: false,
            registered: Vec::new(),
            draining: Vec::new(),
            actions: Vec::new(),
            prepared: None,
            returns: false,
        });
        group.enter_service(cx, &id);
    }
    group.turn(cx);
    Ok(Value::map())
}

fn begin(group: &mut Group, cx: &mut Context, description: String, cause: String, subnet: &str, zone: &str) -> String {
    let id = cx.ids.uuid();
    group.history.add(Activity {
        id: id.clone(),
        description,
        cause,
        start: cx.now,
        end: None,
        status: Status::InProgress,
        message: None,
        details: activity::details(subnet, zone),
        of_pool: false,
    });
    id
}

pub fn detach(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let words = Leaving { description: "Detaching EC2 instance", verb: "detached", lifecycle: Lifecycle::Detaching };
    leave(service, cx, params, &words)
}

pub fn enter_standby(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let words = Leaving {
        description: "Moving EC2 instance to Standby",
        verb: "moved to standby",
        lifecycle: Lifecycle::EnteringStandby,
    };
    leave(service, cx, params, &words)
}

/// The two ways to leave service without being terminated.
struct Leaving {
    description: &'static str,
    verb: &'static str,
    lifecycle: Lifecycle,
}

fn leave(service: &mut Autoscaling, cx: &mut Context, params: &Params, words: &Leaving) -> Answer {
    let decrements = params
        .bool("ShouldDecrementDesiredCapacity")?
        .ok_or_else(|| ApiError::missing("ShouldDecrementDesiredCapacity"))?;
    let group = service.group_mut(params.required("AutoScalingGroupName")?)?;
    let ids = named(group, params, BATCH_MAX)?;
    for id in &ids {
        if let Some(member) = group.member(id).filter(|member| !member.is_in_service()) {
            return Err(invalid(format!("The instance {id} is not in InService: {}", member.lifecycle.name())));
        }
    }
    let before = group.desired();
    if decrements {
        decrement(group, i64::try_from(ids.len()).unwrap_or(i64::MAX), words.description)?;
    }
    let mut activities = Vec::new();
    for (taken, id) in (1..).zip(&ids) {
        let shrinking = if decrements {
            format!(", shrinking the capacity from {} to {}", before - taken + 1, before - taken)
        } else {
            String::new()
        };
        let cause = format!("{}{shrinking}.", user_request(cx, &format!("instance {id} was {}", words.verb)));
        let Some(member) = group.member(id) else { continue };
        let (subnet, zone) = (member.subnet.clone(), member.zone.clone());
        let activity = begin(group, cx, format!("{}: {id}", words.description), cause, &subnet, &zone);
        if let Some(member) = group.member_mut(id) {
            member.lifecycle = words.lifecycle;
            member.activity = Some(activity.clone());
            member.draining = leave_target_groups(cx, member);
        }
        activities.push(activity);
    }
    let shown: Vec<Value> = shown(group, &activities);
    for id in &ids {
        if group.member(id).is_some_and(|member| member.draining.is_empty()) {
            group.drained(cx, id.clone(), words.lifecycle);
        }
    }
    group.look_soon(cx.now);
    group.turn(cx);
    Ok(Value::map().with("Activities", Value::List(shown)))
}

fn shown(group: &Group, activities: &[String]) -> Vec<Value> {
    let entries = activities.iter().filter_map(|id| group.history.get(id));
    entries.map(|entry| wire::activity(&group.name, &group.arn, entry, false)).collect()
}

pub fn exit_standby(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let group = service.group_mut(params.required("AutoScalingGroupName")?)?;
    let ids = named(group, params, BATCH_MAX)?;
    for id in &ids {
        if let Some(member) = group.member(id).filter(|member| member.lifecycle != Lifecycle::Standby) {
            return Err(invalid(format!("The instance {id} is not in Standby: {}", member.lifecycle.name())));
        }
    }
    let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    if group.desired() + count > group.settings.max {
        return Err(invalid(format!(
            "Exiting standby would take the desired capacity from {} above the max size {}.",
            group.desired(),
            group.settings.max
        )));
    }
    let mut activities = Vec::new();
    for id in &ids {
        let cause = format!(
            "{}, increasing the capacity from {} to {}.",
            user_request(cx, &format!("instance {id} was moved out of standby")),
            group.desired(),
            group.desired() + 1
        );
        let Some(member) = group.member(id) else { continue };
        let (subnet, zone) = (member.subnet.clone(), member.zone.clone());
        let activity = begin(group, cx, format!("Moving EC2 instance out of Standby: {id}"), cause, &subnet, &zone);
        group.shift_desired(1);
        if let Some(member) = group.member_mut(id) {
            member.lifecycle = Lifecycle::Pending;
            member.activity = Some(activity.clone());
        }
        activities.push(activity);
    }
    let shown = shown(group, &activities);
    for id in &ids {
        match cx.facts.instance(id) {
            Some(facts) => group.instance_state(cx, id, facts.state),
            None => group.instance_state(cx, id, InstanceState::Terminated),
        }
    }
    group.turn(cx);
    Ok(Value::map().with("Activities", Value::List(shown)))
}
