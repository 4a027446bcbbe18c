//! Scheduled actions.

use super::super::group::Group;
use super::super::model::Autoscaling;
use super::super::parameters::{capacity, invalid};
use super::super::schedule::{Bounds, Recurrence, ScheduledAction};
use super::super::settings::check_bounds;
use super::super::wire;
use crate::region::context::Context;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// AWS's quota of scheduled actions per group.
const ACTIONS_MAX: usize = 125;
/// AWS's batch size.
const BATCH_MAX: usize = 50;

pub fn put(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    put_one(service.group_mut(params.required("AutoScalingGroupName")?)?, cx, params)?;
    Ok(Value::map())
}

fn put_one(group: &mut Group, cx: &mut Context, params: &Params) -> Result<(), ApiError> {
    let name = params.required("ScheduledActionName")?;
    let existing = group.schedule.get(name).map(|action| action.arn.clone());
    if existing.is_none() && group.schedule.len() >= ACTIONS_MAX {
        return Err(ApiError::new("LimitExceeded", format!("A group may have {ACTIONS_MAX} scheduled actions.")));
    }
    let bounds = Bounds {
        min: capacity(params, "MinSize")?,
        max: capacity(params, "MaxSize")?,
        desired: capacity(params, "DesiredCapacity")?,
    };
    if bounds == Bounds::default() {
        return Err(invalid("At least one of MinSize, MaxSize or DesiredCapacity must be specified"));
    }
    check_sizes(bounds)?;
    let recurrence = match params.text("Recurrence").filter(|expression| !expression.is_empty()) {
        Some(expression) => Some(Recurrence::parse(expression, params.text("TimeZone"))?),
        None => None,
    };
    let start = params.time("StartTime")?.or(params.time("Time")?);
    let end = params.time("EndTime")?;
    if start.is_none() && recurrence.is_none() {
        return Err(invalid("Either StartTime or Recurrence must be specified"));
    }
    if start.is_some_and(|start| start <= cx.now) {
        return Err(invalid("Given start time is in the past"));
    }
    if end.is_some_and(|end| end <= start.unwrap_or(cx.now)) {
        return Err(invalid("Given end time is not after the start time"));
    }
    let id = cx.ids.uuid();
    let path =
        format!("scheduledUpdateGroupAction:{id}:autoScalingGroupName/{}:scheduledActionName/{name}", group.name);
    let arn = existing.unwrap_or_else(|| cx.arn("autoscaling", &path));
    let mut action = ScheduledAction { name: name.to_owned(), arn, bounds, recurrence, start, end, next: None };
    action.plan(cx.now);
    if action.next.is_none() {
        return Err(invalid("The scheduled action would never run"));
    }
    let clash = group.schedule.values().find(|other| other.name != name && other.next == action.next);
    if let Some(other) = clash {
        let message = format!("The scheduled action {} runs at the same time", other.name);
        return Err(ApiError::new("AlreadyExists", message));
    }
    group.schedule.insert(name.to_owned(), action);
    Ok(())
}

/// Sizes that could never hold together; those that an action leaves out are the group's when it runs.
fn check_sizes(bounds: Bounds) -> Result<(), ApiError> {
    if let (Some(min), Some(max)) = (bounds.min, bounds.max) {
        check_bounds(min, max)?;
    }
    let Some(desired) = bounds.desired else { return Ok(()) };
    if bounds.min.is_some_and(|min| desired < min) || bounds.max.is_some_and(|max| desired > max) {
        let limit = |name: &str, value: Option<i64>| value.map_or(String::new(), |value| format!(" {name}:{value}"));
        return Err(invalid(format!(
            "Desired capacity:{desired} must be between the specified{}{}",
            limit("min size", bounds.min),
            limit("max size", bounds.max)
        )));
    }
    Ok(())
}

/// What of a batch failed, as AWS answers it: the rest is done.
fn failed(name: &str, error: &ApiError) -> Value {
    Value::map()
        .with("ScheduledActionName", Value::from(name))
        .with("ErrorCode", Value::from(error.code.as_str()))
        .with("ErrorMessage", Value::from(error.message.as_str()))
}

fn check_batch(count: usize) -> Result<(), ApiError> {
    if count == 0 || count > BATCH_MAX {
        return Err(invalid(format!("1 to {BATCH_MAX} scheduled actions can be given in one call")));
    }
    Ok(())
}

pub fn batch_put(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let group = service.group_mut(params.required("AutoScalingGroupName")?)?;
    let entries = params.maps("ScheduledUpdateGroupActions");
    check_batch(entries.len())?;
    let mut failures = Vec::new();
    for entry in entries {
        if let Err(error) = put_one(group, cx, &entry) {
            failures.push(failed(entry.text("ScheduledActionName").unwrap_or_default(), &error));
        }
    }
    Ok(Value::map().with("FailedScheduledUpdateGroupActions", Value::List(failures)))
}

pub fn describe(service: &Autoscaling, params: &Params) -> Answer {
    let group = params.text("AutoScalingGroupName");
    if let Some(name) = group {
        service.group(name)?;
    }
    let names = params.texts("ScheduledActionNames");
    let (start, end) = (params.time("StartTime")?, params.time("EndTime")?);
    let in_window = |action: &ScheduledAction| {
        // Names make AWS ignore the window.
        !names.is_empty()
            || (start.is_none() && end.is_none())
            || action
                .next
                .is_some_and(|next| start.is_none_or(|start| next >= start) && end.is_none_or(|end| next <= end))
    };
    let all = service
        .groups
        .values()
        .filter(|known| group.is_none_or(|name| known.name == name))
        .flat_map(|group| group.schedule.values().map(move |action| (group, action)));
    let asked: Vec<(&Group, &ScheduledAction)> = all
        .filter(|(_, action)| (names.is_empty() || names.contains(&action.name.as_str())) && in_window(action))
        .collect();
    wire::page(
        params,
        "ScheduledUpdateGroupActions",
        100,
        &asked,
        |(_, action)| action.arn.clone(),
        |(group, action)| wire::scheduled_action(&group.name, action),
    )
}

fn delete_one(group: &mut Group, name: &str) -> Result<(), ApiError> {
    group.schedule.remove(name).map(|_| ()).ok_or_else(|| {
        invalid(format!("Scheduled action name not found - Scheduled action {name} of {} does not exist", group.name))
    })
}

pub fn delete(service: &mut Autoscaling, params: &Params) -> Answer {
    let group = service.group_mut(params.required("AutoScalingGroupName")?)?;
    delete_one(group, params.required("ScheduledActionName")?)?;
    Ok(Value::map())
}

pub fn batch_delete(service: &mut Autoscaling, params: &Params) -> Answer {
    let group = service.group_mut(params.required("AutoScalingGroupName")?)?;
    let names = params.texts("ScheduledActionNames");
    check_batch(names.len())?;
    let failures = names.into_iter().filter_map(|name| delete_one(group, name).err().map(|error| failed(name, &error)));
    Ok(Value::map().with("FailedScheduledActions", Value::list(failures)))
}
