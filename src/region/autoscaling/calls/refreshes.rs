//! Instance refreshes.

use std::collections::BTreeSet;

use super::super::group::Group;
use super::super::member::{Lifecycle, Member, Template};
use super::super::mix::Mix;
use super::super::model::Autoscaling;
use super::super::parameters::{self, invalid};
use super::super::refresh::{Exempt, Preferences, Refresh, RefreshStatus};
use super::super::settings::Maintenance;
use super::super::wire;
use crate::region::context::Context;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// Refreshes kept per group, as a bound; AWS keeps six weeks.
const REFRESHES_MAX: usize = 100;
/// AWS's bound on alarms of a refresh.
const ALARMS_MAX: usize = 10;
const CHECKPOINT_DELAY_SECONDS: i64 = 3_600;
/// The longest checkpoint delay and bake time: 48 hours.
const LONGEST_SECONDS: i64 = 172_800;

pub fn start(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let group = service.group_mut(params.required("AutoScalingGroupName")?)?;
    if params.text("Strategy").is_some_and(|strategy| strategy != "Rolling") {
        return Err(invalid("The embedded region supports the strategy Rolling only"));
    }
    if let Some(active) = group.active_refresh() {
        let message = format!(
            "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh. ({})",
            active.id
        );
        return Err(ApiError::new("InstanceRefreshInProgress", message));
    }
    let preferences = preferences(&params.map("Preferences").unwrap_or_default(), group.settings.maintenance)?;
    let (wanted, mix) = match params.map("DesiredConfiguration") {
        None => (None, None),
        Some(configuration)
            if ["LaunchTemplate", "MixedInstancesPolicy"].iter().all(|name| configuration.get(name).is_none()) =>
        {
            return Err(invalid("DesiredConfiguration must have a LaunchTemplate or a MixedInstancesPolicy"));
        }
        Some(configuration) => {
            let new = group.settings.change(cx, &configuration, None)?;
            (Some(new.template), new.mix)
        }
    };
    if preferences.auto_rollback {
        check_rollback(wanted.as_ref(), &group.settings.template)?;
    }
    let template = wanted.as_ref().unwrap_or(&group.settings.template);
    let old = outdated(group, cx, template, mix.as_ref(), preferences.skip_matching);
    let renews_pool = !preferences.skip_matching;
    let id = cx.ids.uuid();
    if group.refreshes.len() == REFRESHES_MAX {
        group.refreshes.remove(0);
    }
    group.refreshes.push(Refresh {
        id: id.clone(),
        status: RefreshStatus::InProgress,
        reason: None,
        start: cx.now,
        end: None,
        preferences,
        wanted,
        mix,
        total: old.len(),
        done: 0,
        old,
        progressed: cx.now,
        checkpoint: 0,
        rests_until: None,
        bakes_until: None,
        rollback: None,
    });
    if renews_pool {
        group.renew_pool(cx, |_| true);
    }
    group.look_at(cx.now);
    Ok(Value::map().with("InstanceRefreshId", Value::from(id)))
}

/// A roll-back needs two fixed versions to go between.
fn check_rollback(wanted: Option<&Template>, current: &Template) -> Result<(), ApiError> {
    let Some(wanted) = wanted else {
        return Err(invalid("AutoRollback requires a DesiredConfiguration"));
    };
    if wanted.version.starts_with('$') || current.version.starts_with('$') {
        return Err(invalid("Rollback is not possible with the launch template versions $Latest and $Default"));
    }
    Ok(())
}

/// The instances to replace: all, or those that are not made of the wanted template, and of a wanted type, already.
fn outdated(
    group: &Group,
    cx: &Context,
    wanted: &Template,
    mix: Option<&Mix>,
    skip_matching: bool,
) -> BTreeSet<String> {
    let version = cx.facts.launch_template(&wanted.id, &wanted.version).map(|found| found.version.to_string());
    let matches = |member: &Member| {
        member.template.as_ref().is_some_and(|made| made.id == wanted.id && Some(&made.version) == version.as_ref())
    };
    let is_of_the_mix =
        |member: &Member| mix.is_none_or(|mix| mix.types.is_empty() || mix.types.contains(&member.instance_type));
    let standby = [Lifecycle::Standby, Lifecycle::EnteringStandby];
    let members = group.members.iter().filter(|member| member.is_active() || standby.contains(&member.lifecycle));
    members
        .filter(|member| !(skip_matching && matches(member) && is_of_the_mix(member)))
        .map(|member| member.id.clone())
        .collect()
}

/// What is left out is the group's instance maintenance policy's, else AWS's default.
fn preferences(params: &Params, policy: Option<Maintenance>) -> Result<Preferences, ApiError> {
    let percent = |name: &str, range| parameters::seconds(params, name, range);
    let (least, most) = policy.map_or((90, None), |policy| (policy.min_healthy, Some(policy.max_healthy)));
    let min_healthy = percent("MinHealthyPercentage", 0..=100)?.unwrap_or(least);
    let max_healthy = percent("MaxHealthyPercentage", 100..=200)?.or(most);
    if max_healthy.is_some_and(|max| max - min_healthy > 100) {
        return Err(invalid(
            "The difference between MaxHealthyPercentage and MinHealthyPercentage cannot be greater than 100.",
        ));
    }
    let exempt = |name: &str, replace: &str| match params.text(name) {
        None | Some("Wait") => Ok(Exempt::Wait),
        Some("Ignore") => Ok(Exempt::Ignore),
        Some(text) if text == replace => Ok(Exempt::Replace),
        Some(other) => Err(invalid(format!("Invalid {name}: {other}"))),
    };
    let (checkpoints, checkpoint_delay) = checkpoints(params)?;
    Ok(Preferences {
        min_healthy,
        max_healthy,
        warmup: parameters::seconds(params, "InstanceWarmup", 0..=86_400)?,
        skip_matching: params.bool("SkipMatching")?.unwrap_or(false),
        auto_rollback: params.bool("AutoRollback")?.unwrap_or(false),
        protected: exempt("ScaleInProtectedInstances", "Refresh")?,
        standby: exempt("StandbyInstances", "Terminate")?,
        checkpoints,
        checkpoint_delay,
        bake_seconds: parameters::seconds(params, "BakeTime", 0..=LONGEST_SECONDS)?.unwrap_or(0),
        alarms: alarms(params)?,
    })
}

/// Percentages that rise from 1 to 100, and how long the refresh rests at each.
fn checkpoints(params: &Params) -> Result<(Vec<i64>, i64), ApiError> {
    let parse = |value: &Value| match value {
        Value::Int(number) => Some(*number),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    let all: Option<Vec<i64>> = params.list("CheckpointPercentages").iter().map(parse).collect();
    let all = all.filter(|all| all.iter().all(|percent| (1..=100).contains(percent)) && all.is_sorted_by(|a, b| a < b));
    let all =
        all.ok_or_else(|| invalid("CheckpointPercentages must be numbers from 1 to 100, each above the one before"))?;
    let delay =
        parameters::seconds(params, "CheckpointDelay", 0..=LONGEST_SECONDS)?.unwrap_or(CHECKPOINT_DELAY_SECONDS);
    Ok((all, delay))
}

fn alarms(params: &Params) -> Result<Vec<String>, ApiError> {
    let names = params.map("AlarmSpecification").unwrap_or_default();
    let names: Vec<String> = names.texts("Alarms").into_iter().map(str::to_owned).collect();
    if names.len() > ALARMS_MAX {
        return Err(invalid(format!("AlarmSpecification takes at most {ALARMS_MAX} alarms")));
    }
    Ok(names)
}

fn no_active(group: &str) -> ApiError {
    ApiError::new(
        "ActiveInstanceRefreshNotFound",
        format!("No in progress or pending Instance Refresh found for Auto Scaling group {group}"),
    )
}

pub fn cancel(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let name = params.required("AutoScalingGroupName")?;
    let group = service.group_mut(name)?;
    let refresh = group.active_refresh_mut().ok_or_else(|| no_active(name))?;
    refresh.status = RefreshStatus::Cancelling;
    refresh.reason = Some("Cancelled by user.".to_owned());
    let id = refresh.id.clone();
    group.look_at(cx.now);
    Ok(Value::map().with("InstanceRefreshId", Value::from(id)))
}

pub fn roll_back(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let name = params.required("AutoScalingGroupName")?;
    let group = service.group_mut(name)?;
    let current = group.settings.template.clone();
    let refresh = group.active_refresh().ok_or_else(|| no_active(name))?;
    check_rollback(refresh.wanted.as_ref(), &current)
        .map_err(|error| ApiError::new("IrreversibleInstanceRefresh", error.message))?;
    let id = refresh.id.clone();
    if refresh.status != RefreshStatus::RollbackInProgress {
        group.roll_back(cx.now, "Rolled back by user.");
    }
    group.look_at(cx.now);
    Ok(Value::map().with("InstanceRefreshId", Value::from(id)))
}

pub fn describe(service: &Autoscaling, params: &Params) -> Answer {
    let group = service.group(params.required("AutoScalingGroupName")?)?;
    let ids = params.texts("InstanceRefreshIds");
    let newest_first: Vec<&Refresh> =
        group.refreshes.iter().rev().filter(|refresh| ids.is_empty() || ids.contains(&refresh.id.as_str())).collect();
    wire::page(
        params,
        "InstanceRefreshes",
        100,
        &newest_first,
        |refresh| refresh.id.clone(),
        |refresh| wire::refresh(group, refresh),
    )
}
