//! What a group is told by `UpdateAutoScalingGroup`, and which of its processes run.

use std::collections::BTreeSet;

use aws_sdk_autoscaling::types::{AutoScalingGroup, LaunchTemplateSpecification};

use super::Desired;
use crate::problem::Problem;
use crate::resource::change::FieldChange;
use crate::resource::context::ActionContext;
use crate::resource::touches;
use crate::resources::{instance_refresh, mixed_instances};

/// The fields that `UpdateAutoScalingGroup` writes.
pub const FIELDS: &[&str] = &[
    "min",
    "max",
    "warmup_s",
    "cooldown_s",
    "health_grace_s",
    "health_check",
    "termination",
    "protect_from_scale_in",
    "subnets",
    MIX,
];
/// What instances are bought as: it comes with the launch template.
pub const MIX: &str = "mix.";

/// Writes what `UpdateAutoScalingGroup` takes, all at once; the bounds only where they are not the schedule's, and what
/// new instances are made of only where `template` says so: AWS refuses that while a refresh goes on.
///
/// # Errors
/// Any call that fails.
pub async fn configure(
    context: &ActionContext<'_>,
    desired: &Desired,
    observed: &AutoScalingGroup,
    changes: &[FieldChange],
    template: Option<LaunchTemplateSpecification>,
) -> Result<(), Problem> {
    let name = observed.auto_scaling_group_name().unwrap_or_default();
    if template.is_some() {
        instance_refresh::until_none(context, name).await?;
    }
    let template = template.map(|mut template| {
        // AWS reports both, and takes one.
        template.launch_template_name = None;
        template
    });
    let mixed = desired.mix.as_deref().zip(template.clone());
    let mixed = mixed.map(|(mix, template)| mixed_instances::policy(mix, template, Some(observed)));
    let (min, max) = bounds((desired.min, desired.max), observed, changes);
    let request = context
        .clients()
        .autoscaling
        .update_auto_scaling_group()
        .auto_scaling_group_name(name)
        .set_launch_template(template.filter(|_| mixed.is_none()))
        .set_mixed_instances_policy(mixed)
        .set_min_size(min)
        .set_max_size(max)
        .default_instance_warmup(desired.warmup_s)
        .default_cooldown(desired.cooldown_s)
        .health_check_type(&desired.health_check)
        .health_check_grace_period(desired.health_grace_s)
        .set_termination_policies(Some(desired.termination.clone()))
        .new_instances_protected_from_scale_in(desired.protect_from_scale_in)
        .vpc_zone_identifier(context.resolve(&desired.subnets)?);
    context.fresh("autoscaling:UpdateAutoScalingGroup", || request.clone().send()).await?;
    Ok(())
}

/// The bounds to write: those that changed, and both where one that the schedule has set would contradict the other.
pub(super) fn bounds(
    desired: (i32, i32),
    observed: &AutoScalingGroup,
    changes: &[FieldChange],
) -> (Option<i32>, Option<i32>) {
    let min = touches(changes, &["min"]).then_some(desired.0);
    let max = touches(changes, &["max"]).then_some(desired.1);
    match (min.or(observed.min_size()), max.or(observed.max_size())) {
        (Some(low), Some(high)) if low > high => (Some(desired.0), Some(desired.1)),
        _ => (min, max),
    }
}

/// AWS's names of the processes that do not run, whoever suspended them.
pub fn suspended(group: &AutoScalingGroup) -> impl Iterator<Item = &str> {
    group.suspended_processes().iter().filter_map(|process| process.process_name())
}

/// Sorted and joined; `None` of nothing.
pub fn listed<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: BTreeSet<&str> = names.collect();
    (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(", "))
}

/// Nothing where nothing is named: without names AWS suspends all.
///
/// # Errors
/// When the call fails.
pub async fn suspend(context: &ActionContext<'_>, group: &str, processes: &BTreeSet<String>) -> Result<(), Problem> {
    if processes.is_empty() {
        return Ok(());
    }
    let request = context.clients().autoscaling.suspend_processes().auto_scaling_group_name(group);
    let request = request.set_scaling_processes(Some(processes.iter().cloned().collect()));
    context.fresh("autoscaling:SuspendProcesses", || request.clone().send()).await.map(drop)
}

/// Nothing where nothing is named: without names AWS resumes all.
///
/// # Errors
/// When the call fails.
pub async fn resume(context: &ActionContext<'_>, group: &str, processes: &BTreeSet<String>) -> Result<(), Problem> {
    if processes.is_empty() {
        return Ok(());
    }
    let request = context.clients().autoscaling.resume_processes().auto_scaling_group_name(group);
    let request = request.set_scaling_processes(Some(processes.iter().cloned().collect()));
    context.fresh("autoscaling:ResumeProcesses", || request.clone().send()).await.map(drop)
}
