//! The Auto Scaling group of a cluster. Its desired capacity is set once, at creation; afterwards the scaler owns it. So do
//! its scheduled actions own a bound that they have set.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_autoscaling::types::{
    AutoScalingGroup, DesiredConfiguration, LaunchTemplateSpecification, LifecycleState, RefreshPreferences,
    ScaleInProtectedInstances, ScheduledUpdateGroupAction,
};

use super::fields::{Fields, Value};
use super::instance_refresh::{Rollover, same};
use super::tags::{self, Tags};
use super::{
    Output, Resource, Scope, foreign, in_cluster, instance_refresh, mixed_instances, registration, security_group,
    touches,
};
use crate::aws::error::{CallError, settled};
use crate::engine::plan::FieldChange;
use crate::engine::snapshot::Snapshot;
use crate::engine::task::{Task, boot_grace};
use crate::problem::Problem;
use crate::stack::model::{Capacity, Mix, Provider, Rollout};
use crate::stack::names;

/// A group cannot be deleted while it changes its capacity.
const BUSY: &[&str] = &["ScalingActivityInProgress", "ResourceInUse"];

/// The fields that `UpdateAutoScalingGroup` writes.
const SETTINGS: &[&str] = &[
    "min",
    "max",
    "warmup_s",
    "cooldown_s",
    "health_grace_s",
    "health_check",
    "termination",
    "protect_from_scale_in",
    "subnets",
    "mix.",
];
/// Instances of one `SetInstanceProtection` (EC2 Auto Scaling API).
const PROTECTION_BATCH: usize = 50;
/// Where some instances are not of the group's version: nothing like that is ever wanted.
const OUTDATED: &str = "outdated_instances";

#[derive(Debug)]
pub struct ScalingGroup;

#[derive(Clone, Debug)]
pub struct Wanted {
    pub name: String,
    pub cluster: String,
    pub min: i32,
    pub max: i32,
    pub desired: i32,
    pub warmup_s: i32,
    pub cooldown_s: i32,
    pub health_grace_s: i32,
    pub health_check: String,
    pub mix: Option<Box<Mix>>,
    /// In order.
    pub termination: Vec<String>,
    /// Processes that do not run.
    pub suspended: BTreeSet<String>,
    pub protect_from_scale_in: bool,
    pub subnets: Value,
    /// How instances are replaced: cloudscale's to know, AWS is told when it happens.
    pub rollout: Rollout,
}

#[derive(Clone, Debug)]
pub struct Live {
    group: AutoScalingGroup,
    tags: Tags,
    /// Whether its launch template's version is the one that our tags name.
    current: bool,
}

impl Resource for ScalingGroup {
    type Wanted = Wanted;
    type Live = Live;

    const KIND: &'static str = "scaling_group";
    // moto takes the warm-up and does not tell it. A bound that the schedule has set is not told here.
    const MAY_BE_UNTOLD: &'static [&'static str] = &["warmup_s", "min", "max"];
    // Its instances listen on one port, in one VPC: they cannot serve behind the old target group and the new.
    const REPLACE_WITH: &'static [&'static str] = &["target_group"];
    const SHEDS: bool = true;

    fn wanted(scope: &Scope<'_>) -> Vec<(String, Wanted)> {
        let groups = scope.stack.clusters.iter().filter_map(|cluster| {
            let Capacity::Group(scaling) = &cluster.capacity else {
                return None;
            };
            let number = |value: u64| i32::try_from(value).unwrap_or(i32::MAX);
            let wanted = Wanted {
                name: names::group(&scope.stack.name, &cluster.name),
                cluster: cluster.name.clone(),
                min: number(scaling.min.into()),
                max: number(scaling.max.into()),
                desired: number(scaling.desired.into()),
                warmup_s: number(scaling.warmup.as_secs()),
                cooldown_s: number(scaling.cooldown.as_secs()),
                health_grace_s: number(scaling.health_grace.as_secs()),
                health_check: scaling.health_check_type.clone(),
                mix: scaling.mix.clone(),
                termination: scaling.termination.clone(),
                suspended: scaling.suspend.clone(),
                protect_from_scale_in: scaling.protect_from_scale_in,
                subnets: scope.network.subnet_set(),
                rollout: scaling.rollout.clone(),
            };
            Some((in_cluster(&cluster.name, Self::KIND), wanted))
        });
        groups.collect()
    }

    fn live(cloud: &Snapshot) -> Vec<(String, Live)> {
        let ours = cloud.groups.iter().filter_map(|group| {
            let tags = tags::from_group(group.tags());
            let current = template_is_current(cloud, group);
            Some((tags.get(tags::ADDRESS)?.clone(), Live { group: group.clone(), tags, current }))
        });
        ours.collect()
    }

    fn want(wanted: &Wanted) -> Fields {
        let fields = Fields::default()
            .text("min", wanted.min)
            .text("max", wanted.max)
            .text("warmup_s", wanted.warmup_s)
            .text("cooldown_s", wanted.cooldown_s)
            .text("health_grace_s", wanted.health_grace_s)
            .text("health_check", &wanted.health_check)
            .text("termination", wanted.termination.join(", "))
            .maybe("suspended", listed(wanted.suspended.iter().map(String::as_str)))
            .text("protect_from_scale_in", wanted.protect_from_scale_in)
            .value("subnets", wanted.subnets.clone());
        mixed_instances::want(fields, wanted.mix.as_deref())
            .reference("launch_template", in_cluster(&wanted.cluster, "launch_template"))
            .reference("target_group", in_cluster(&wanted.cluster, "target_group"))
    }

    fn observe(live: &Live, cloud: &Snapshot) -> Fields {
        let group = &live.group;
        let subnets = group.vpc_zone_identifier().unwrap_or_default().split(',');
        let subnets = Value::set(subnets.map(|id| cloud.reference(id.trim())));
        let template = mixed_instances::template(group);
        let template_id = template.and_then(|template| template.launch_template_id()).unwrap_or_default();
        let version = template.and_then(|template| template.version()).unwrap_or_default();
        let template = if live.current {
            cloud.reference(template_id)
        } else {
            Value::Text(match group.launch_configuration_name() {
                Some(name) => format!("launch configuration {name}"),
                None => format!("{template_id} version {version}"),
            })
        };
        let fields = Fields::default()
            .maybe(
                "min",
                group.min_size().filter(|min| !is_scheduled(group, cloud, |action| action.min_size() == Some(*min))),
            )
            .maybe(
                "max",
                group.max_size().filter(|max| !is_scheduled(group, cloud, |action| action.max_size() == Some(*max))),
            )
            .maybe("warmup_s", group.default_instance_warmup())
            .maybe("cooldown_s", group.default_cooldown())
            .maybe("health_grace_s", group.health_check_grace_period())
            .maybe("health_check", group.health_check_type())
            .text("termination", group.termination_policies().join(", "))
            .maybe("suspended", listed(suspended(group)))
            .maybe("protect_from_scale_in", group.new_instances_protected_from_scale_in())
            .value("subnets", subnets)
            .value("launch_template", template)
            .maybe(OUTDATED, instance_refresh::outdated(group).filter(|_| live.current));
        let fields = mixed_instances::observe(fields, group);
        match group.target_group_arns() {
            [only] => fields.value("target_group", cloud.reference(only)),
            several => fields.text("target_group", several.join(", ")),
        }
    }

    fn stands_on(_live: &Live) -> Vec<String> {
        vec![security_group::INSTANCES.to_owned()]
    }

    fn reason(_wanted: &Wanted, live: &Live) -> Option<String> {
        match mixed_instances::template(&live.group).and_then(|template| template.version()) {
            _ if tags::are_adopted(&live.tags) => None,
            Some(version) if !live.current => {
                Some(format!("launches from version {version} of its launch template, which has a newer one"))
            }
            _ => instance_refresh::outdated(&live.group),
        }
    }

    fn output(live: &Live) -> Output {
        Output::id(live.group.auto_scaling_group_name().unwrap_or_default())
    }

    fn tags(live: &Live) -> Option<&Tags> {
        Some(&live.tags)
    }

    fn remark(live: &Live) -> Option<String> {
        let group = &live.group;
        Some(format!(
            "live {}, range {}–{}, desired capacity not touched",
            group.desired_capacity()?,
            group.min_size()?,
            group.max_size()?
        ))
    }

    async fn replace(task: &Task<'_>, wanted: &Wanted, live: &Live) -> Result<Output, Problem> {
        let taken = live.group.auto_scaling_group_name().unwrap_or_default();
        let mut next = wanted.clone();
        if taken == wanted.name {
            next.name = names::successor(&wanted.name, task.spec, names::EC2_NAME_CHARACTERS_MAX);
        }
        // The scaler's number goes on.
        next.desired = live.group.desired_capacity().unwrap_or(wanted.desired).clamp(wanted.min, wanted.max);
        let output = Self::create(task, &next).await?;
        until_in_service(task, &output.id).await?;
        Ok(output)
    }

    async fn create(task: &Task<'_>, wanted: &Wanted) -> Result<Output, Problem> {
        let template = template(task, wanted)?;
        let request = task
            .clients()
            .autoscaling
            .create_auto_scaling_group()
            .auto_scaling_group_name(&wanted.name)
            .set_launch_template(wanted.mix.is_none().then(|| template.clone()))
            .set_mixed_instances_policy(wanted.mix.as_deref().map(|mix| mixed_instances::policy(mix, template, None)))
            .min_size(wanted.min)
            .max_size(wanted.max)
            .desired_capacity(wanted.desired)
            .default_instance_warmup(wanted.warmup_s)
            .default_cooldown(wanted.cooldown_s)
            .health_check_type(&wanted.health_check)
            .health_check_grace_period(wanted.health_grace_s)
            .set_termination_policies(Some(wanted.termination.clone()))
            .new_instances_protected_from_scale_in(wanted.protect_from_scale_in)
            .vpc_zone_identifier(task.resolve(&wanted.subnets)?)
            .target_group_arns(task.output(&in_cluster(&wanted.cluster, "target_group"))?.id)
            .set_tags(Some(tags::to_group(&wanted.name, &group_tags(task, wanted))));
        let create = || async {
            match request.clone().send().await {
                Ok(_) => Ok(true),
                Err(error) if error.is(&["AlreadyExists"]) => Ok(false),
                Err(error) => Err(error),
            }
        };
        if !task.fresh("autoscaling:CreateAutoScalingGroup", create).await? {
            check_ours(task, &wanted.name).await?;
        }
        suspend(task, &wanted.name, &wanted.suspended).await?;
        Ok(Output::id(&wanted.name))
    }

    async fn update(task: &Task<'_>, wanted: &Wanted, live: &Live, changes: &[FieldChange]) -> Result<Output, Problem> {
        let output = Self::output(live);
        let autoscaling = &task.clients().autoscaling;
        if touches(changes, SETTINGS) {
            let template = mixed_instances::template(&live.group).cloned();
            configure(task, wanted, &live.group, changes, template.unwrap_or(self::template(task, wanted)?)).await?;
        }
        if touches(changes, &["suspended"]) {
            let live: BTreeSet<String> = suspended(&live.group).map(str::to_owned).collect();
            suspend(task, &output.id, &(&wanted.suspended - &live)).await?;
            resume(task, &output.id, &(&live - &wanted.suspended)).await?;
        }
        if touches(changes, &["target_group"]) {
            let arn = task.output(&in_cluster(&wanted.cluster, "target_group"))?.id;
            let call = autoscaling.attach_load_balancer_target_groups().auto_scaling_group_name(&output.id);
            let request = call.target_group_arns(arn);
            task.fresh("autoscaling:AttachLoadBalancerTargetGroups", || request.clone().send()).await?;
        }
        tags::write_group(task.clients(), task.address, &output.id, &group_tags(task, wanted)).await?;
        if touches(changes, &["launch_template", OUTDATED]) {
            roll_over(task, wanted, live).await?;
        }
        Ok(output)
    }

    async fn shed(task: &Task<'_>, live: &Live, kept: &Output) -> Result<(), Problem> {
        detach_old_target_groups(task, live, &kept.id).await
    }

    async fn retire(task: &Task<'_>, live: &Live) -> Result<(), Problem> {
        let name = live.group.auto_scaling_group_name().unwrap_or_default();
        unprotect(task, live).await?;
        // The cluster has become a fleet: the group goes when that serves.
        let cluster = super::cluster_prefix(task.address).unwrap_or_default();
        if let Some(fleet) = task.run.published(&format!("{cluster}.registration")) {
            registration::until_healthy(task, &fleet.id, &fleet.members, "").await?;
        }
        if task.run.published(&format!("{cluster}.target_group")).is_some() {
            leave(task, live, name).await?;
        }
        let delete = || async {
            let call = task.clients().autoscaling.delete_auto_scaling_group().auto_scaling_group_name(name);
            match call.force_delete(true).send().await {
                Err(error) if !is_gone(&error) => Err(error),
                _ => Ok(()),
            }
        };
        task.patient("autoscaling:DeleteAutoScalingGroup", BUSY, None, delete).await?;
        until_deleted(task, name).await
    }
}

/// Whether one of the group's scheduled actions is such.
fn is_scheduled(
    group: &AutoScalingGroup,
    cloud: &Snapshot,
    is_it: impl Fn(&ScheduledUpdateGroupAction) -> bool,
) -> bool {
    let name = group.auto_scaling_group_name();
    cloud.schedules.iter().any(|action| action.auto_scaling_group_name() == name && is_it(action))
}

/// Writes what `UpdateAutoScalingGroup` takes, all at once; the bounds only where they are not the schedule's.
async fn configure(
    task: &Task<'_>,
    wanted: &Wanted,
    live: &AutoScalingGroup,
    changes: &[FieldChange],
    mut template: LaunchTemplateSpecification,
) -> Result<(), Problem> {
    // AWS tells both, and takes one.
    template.launch_template_name = None;
    let mixed = wanted.mix.as_deref().map(|mix| mixed_instances::policy(mix, template.clone(), Some(live)));
    let (min, max) = bounds((wanted.min, wanted.max), live, changes);
    let request = task
        .clients()
        .autoscaling
        .update_auto_scaling_group()
        .set_auto_scaling_group_name(live.auto_scaling_group_name().map(str::to_owned))
        .set_launch_template(mixed.is_none().then_some(template))
        .set_mixed_instances_policy(mixed)
        .set_min_size(min)
        .set_max_size(max)
        .default_instance_warmup(wanted.warmup_s)
        .default_cooldown(wanted.cooldown_s)
        .health_check_type(&wanted.health_check)
        .health_check_grace_period(wanted.health_grace_s)
        .set_termination_policies(Some(wanted.termination.clone()))
        .new_instances_protected_from_scale_in(wanted.protect_from_scale_in)
        .vpc_zone_identifier(task.resolve(&wanted.subnets)?);
    task.fresh("autoscaling:UpdateAutoScalingGroup", || request.clone().send()).await?;
    Ok(())
}

/// The bounds to write: those that changed, and both where one that the schedule has set would contradict the other.
fn bounds(wanted: (i32, i32), live: &AutoScalingGroup, changes: &[FieldChange]) -> (Option<i32>, Option<i32>) {
    let min = touches(changes, &["min"]).then_some(wanted.0);
    let max = touches(changes, &["max"]).then_some(wanted.1);
    match (min.or(live.min_size()), max.or(live.max_size())) {
        (Some(low), Some(high)) if low > high => (Some(wanted.0), Some(wanted.1)),
        _ => (min, max),
    }
}

/// AWS's names of the processes that do not run, whoever suspended them.
fn suspended(group: &AutoScalingGroup) -> impl Iterator<Item = &str> {
    group.suspended_processes().iter().filter_map(|process| process.process_name())
}

/// Sorted and joined; `None` of nothing.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: BTreeSet<&str> = names.collect();
    (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(", "))
}

/// Nothing where nothing is named: without names AWS suspends all.
async fn suspend(task: &Task<'_>, group: &str, processes: &BTreeSet<String>) -> Result<(), Problem> {
    if processes.is_empty() {
        return Ok(());
    }
    let request = task.clients().autoscaling.suspend_processes().auto_scaling_group_name(group);
    let request = request.set_scaling_processes(Some(processes.iter().cloned().collect()));
    task.fresh("autoscaling:SuspendProcesses", || request.clone().send()).await?;
    Ok(())
}

async fn resume(task: &Task<'_>, group: &str, processes: &BTreeSet<String>) -> Result<(), Problem> {
    if processes.is_empty() {
        return Ok(());
    }
    let request = task.clients().autoscaling.resume_processes().auto_scaling_group_name(group);
    let request = request.set_scaling_processes(Some(processes.iter().cloned().collect()));
    task.fresh("autoscaling:ResumeProcesses", || request.clone().send()).await?;
    Ok(())
}

/// AWS ends protected instances with their group; endpoints that imitate it keep them running.
async fn unprotect(task: &Task<'_>, live: &Live) -> Result<(), Problem> {
    let instances = live.group.instances().iter();
    let protected: Vec<_> = instances.filter(|instance| instance.protected_from_scale_in() == Some(true)).collect();
    for batch in protected.chunks(PROTECTION_BATCH) {
        let ids = batch.iter().filter_map(|instance| instance.instance_id().map(str::to_owned)).collect();
        let call = task.clients().autoscaling.set_instance_protection().protected_from_scale_in(false);
        let call = call.set_auto_scaling_group_name(live.group.auto_scaling_group_name().map(str::to_owned));
        // One that is on its way out already is refused, and not every endpoint knows the call.
        settled(call.set_instance_ids(Some(ids)).send().await, &["ValidationError", "InvalidAction"])
            .map_err(|error| error.problem("autoscaling:SetInstanceProtection", task.address))?;
    }
    Ok(())
}

fn is_gone(error: &impl CallError) -> bool {
    error.is(&["AutoScalingGroupNotFound"])
        || error.is(&["ValidationError"]) && error.problem("", "").detail.contains("not found")
}

/// Whether the group launches from the version that our tags name.
fn template_is_current(cloud: &Snapshot, group: &AutoScalingGroup) -> bool {
    let Some(used) = mixed_instances::template(group) else {
        return false;
    };
    let id = used.launch_template_id();
    let template = cloud.launch_templates.iter().find(|template| template.launch_template_id() == id);
    template.and_then(|template| template.latest_version_number()).map(|latest| latest.to_string()).as_deref()
        == used.version()
}

fn template(task: &Task<'_>, wanted: &Wanted) -> Result<LaunchTemplateSpecification, Problem> {
    let template = task.output(&in_cluster(&wanted.cluster, "launch_template"))?;
    // A number and not `$Latest`: a refresh can only roll back to a number.
    Ok(LaunchTemplateSpecification::builder().launch_template_id(template.id).version(template.revision).build())
}

/// New instances first, then the group: until they have proved themselves there is something to go back to.
async fn roll_over(task: &Task<'_>, wanted: &Wanted, live: &Live) -> Result<(), Problem> {
    let group = live.group.auto_scaling_group_name().unwrap_or_default();
    let template = template(task, wanted)?;
    let is_on = |group: &AutoScalingGroup| mixed_instances::template(group).is_some_and(|used| same(used, &template));
    // AWS cannot go back to `$Latest`, which means something else by then.
    let version = mixed_instances::template(&live.group).and_then(|used| used.version()).unwrap_or_default();
    let reversible = version.parse::<u64>().is_ok() && !is_on(&live.group);
    let desired = match wanted.mix.as_deref() {
        None => DesiredConfiguration::builder().launch_template(template.clone()),
        Some(mix) => {
            let policy = mixed_instances::policy(mix, template.clone(), Some(&live.group));
            DesiredConfiguration::builder().mixed_instances_policy(policy)
        }
    };
    let rollover = Rollover {
        group,
        desired: desired.build(),
        template: &template,
        preferences: preferences(wanted, reversible),
        reversible,
        target_group: &task.output(&in_cluster(&wanted.cluster, "target_group"))?.id,
        patience: patience(task.clients().provider, wanted),
    };
    instance_refresh::run(task, &rollover).await?;
    // Not every endpoint has refreshes, nor lets the group take up what a refresh has rolled out.
    match describe(task, group).await? {
        Some(now) if !is_on(&now) => configure(task, wanted, &now, &[], template).await,
        _ => Ok(()),
    }
}

/// How long a new instance may need: it boots, warms up, and is given two graces, since the group replaces it after one.
fn patience(provider: Provider, wanted: &Wanted) -> Duration {
    let seconds = |value: i32| Duration::from_secs(u64::try_from(value).unwrap_or_default());
    boot_grace(provider) + seconds(wanted.warmup_s) + 2 * seconds(wanted.health_grace_s)
}

fn preferences(wanted: &Wanted, auto_rollback: bool) -> RefreshPreferences {
    RefreshPreferences::builder()
        .min_healthy_percentage(wanted.rollout.min_healthy.into())
        .max_healthy_percentage(wanted.rollout.max_healthy.into())
        .instance_warmup(wanted.warmup_s)
        // What a refresh that was interrupted has replaced already stays.
        .skip_matching(true)
        // Protection is against shrinking, not against what the stack asks for.
        .scale_in_protected_instances(ScaleInProtectedInstances::Refresh)
        .auto_rollback(auto_rollback)
        .build()
}

fn group_tags(task: &Task<'_>, wanted: &Wanted) -> Tags {
    let mut tags = task.tags();
    tags.insert("Name".to_owned(), names::instance(&task.run.stack, &wanted.cluster));
    tags
}

async fn describe(task: &Task<'_>, name: &str) -> Result<Option<AutoScalingGroup>, Problem> {
    let call = task.clients().autoscaling.describe_auto_scaling_groups().auto_scaling_group_names(name).send().await;
    let answer = call.map_err(|error| error.problem("autoscaling:DescribeAutoScalingGroups", task.address))?;
    Ok(answer.auto_scaling_groups.unwrap_or_default().into_iter().next())
}

/// A group of our name exists: ours from a call whose answer was lost, or somebody else's.
async fn check_ours(task: &Task<'_>, name: &str) -> Result<(), Problem> {
    let group = task.appears(|| describe(task, name)).await?;
    let tags = group.map(|group| tags::from_group(group.tags())).unwrap_or_default();
    if tags.get(tags::STACK) == Some(&task.run.stack) { Ok(()) } else { Err(foreign("Auto Scaling group", name)) }
}

/// How many instances the group is to have now.
///
/// # Errors
/// When the call fails.
pub(super) async fn capacity(task: &Task<'_>, name: &str) -> Result<i32, Problem> {
    Ok(describe(task, name).await?.and_then(|group| group.desired_capacity()).unwrap_or_default())
}

async fn detach(task: &Task<'_>, name: &str, target_groups: Vec<String>) -> Result<(), Problem> {
    if target_groups.is_empty() {
        return Ok(());
    }
    let call = task.clients().autoscaling.detach_load_balancer_target_groups().auto_scaling_group_name(name);
    let call = call.set_target_group_arns(Some(target_groups)).send().await;
    call.map(drop).map_err(|error| error.problem("autoscaling:DetachLoadBalancerTargetGroups", task.address))
}

/// Before a group goes whose cluster serves on, its requests in flight finish.
async fn leave(task: &Task<'_>, live: &Live, name: &str) -> Result<(), Problem> {
    let target_groups = live.group.target_group_arns();
    detach(task, name, target_groups.to_vec()).await?;
    let members = live.group.instances().iter().filter_map(|instance| instance.instance_id().map(str::to_owned));
    let members: Vec<_> = members.collect();
    for target_group in target_groups {
        registration::until_drained(task, target_group, &members).await?;
    }
    Ok(())
}

/// After a target group was replaced: only the new one stays attached.
async fn detach_old_target_groups(task: &Task<'_>, live: &Live, name: &str) -> Result<(), Problem> {
    let Some(current) =
        super::cluster_prefix(task.address).and_then(|c| task.run.published(&format!("{c}.target_group")))
    else {
        return Ok(());
    };
    let old: Vec<_> = live.group.target_group_arns().iter().filter(|arn| **arn != current.id).cloned().collect();
    detach(task, name, old).await
}

/// Waits until a group has as many instances behind its target groups as it should; answers with their ids.
pub(super) async fn until_in_service(task: &Task<'_>, name: &str) -> Result<Vec<String>, Problem> {
    let mut backoff = task.run.backoff();
    loop {
        let group = describe(task, name).await?;
        let wanted = group.as_ref().and_then(|group| group.desired_capacity()).unwrap_or_default();
        let instances = group.as_ref().map(|group| group.instances()).unwrap_or_default();
        let serving =
            instances.iter().filter(|instance| instance.lifecycle_state() == Some(&LifecycleState::InService));
        let serving: Vec<_> = serving.filter_map(|instance| instance.instance_id().map(str::to_owned)).collect();
        if serving.len() >= usize::try_from(wanted).unwrap_or_default() {
            return Ok(serving);
        }
        let reason = format!("{name}: {} of {wanted} in service", serving.len());
        task.waiting(&reason);
        if task.run.is_late() {
            return Err(Problem::new("The new group has too few instances", reason).hint(
                "the old group serves; `cloudscale events` tells why instances do not start; `cloudscale up` continues",
            ));
        }
        task.run.pause(&mut backoff).await?;
    }
}

async fn until_deleted(task: &Task<'_>, name: &str) -> Result<(), Problem> {
    let mut backoff = task.run.backoff();
    while let Some(group) = describe(task, name).await? {
        let reason = format!("{name}: {} instances left", group.instances().len());
        task.waiting(&reason);
        if task.run.is_late() {
            return Err(
                Problem::new("The group is still there", reason).hint("run `cloudscale down` again: it continues")
            );
        }
        task.run.pause(&mut backoff).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
