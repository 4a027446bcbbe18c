//! The Auto Scaling group of a cluster. Its desired capacity is set once, at creation; afterwards the scaler owns it.
//! So do its scheduled actions own a bound that they have set.

use std::collections::BTreeSet;

use aws_sdk_autoscaling::operation::describe_auto_scaling_groups::DescribeAutoScalingGroupsError;
use aws_sdk_autoscaling::types::{AutoScalingGroup, LifecycleState, ScheduledUpdateGroupAction};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;

use self::rollover::{roll_over, template, template_is_current};
use self::schedules::DescribeScheduledActions;
use self::settings::{configure, listed, resume, suspend, suspended};
use super::instances::{self, settings::Settings};
use super::launch_template;
use super::listener;
use super::target_group;
use super::{instance_refresh, mixed_instances, network, security_group, targets, warm_pool};
use crate::aws::clients::Clients;
use crate::aws::error::CallError;
use crate::aws::quirks;
use crate::cloud::address::Address;
use crate::cloud::discover::{AUTOSCALING_PAGE, found};
use crate::cloud::expiry;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{Bulk, Collection, Depth, ErasedListing, Listing, Query, Tagged};
use crate::cloud::tags::{self, Tags};
use crate::problem::Problem;
use crate::resource::change::FieldChange;
use crate::resource::context::{ActionContext, Poll};
use crate::resource::fields::{Fields, Value};
use crate::resource::outlook::{Consequence, PartView};
use crate::resource::{Output, Resource, Scope, touches};
use crate::stack::model::{Capacity, Mix, Rollout, Stack, WarmPool};
use crate::stack::names;

mod consequence;
pub mod departure;
mod rollover;
pub mod schedules;
mod settings;

const DESCRIBE: &str = "autoscaling:DescribeAutoScalingGroups";
/// Where some instances are not of the group's version: nothing like that is ever desired.
const OUTDATED: &str = "outdated_instances";
/// Where some instances have other settings than their launch template gave them.
const INSTANCES: &str = "instances";

#[derive(Debug)]
pub struct ScalingGroup;

#[derive(Clone, Debug)]
pub struct Desired {
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
    pub warm_pool: Option<WarmPool>,
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
pub struct Observed {
    group: AutoScalingGroup,
    tags: Tags,
    /// Whether its launch template's version is the one that our tags name.
    current: bool,
    /// What each of its instances has of its own.
    instances: Vec<(String, Settings)>,
}

/// The cluster that has its group at an address.
fn cluster_at(address: &Address) -> Option<&str> {
    address.cluster().filter(|_| address.is_only(ScalingGroup::KIND))
}

/// `cluster.light.scaling_group`
pub fn address(cluster: &str) -> Address {
    Address::in_cluster(cluster, ScalingGroup::KIND)
}

impl Resource for ScalingGroup {
    type Desired = Desired;
    type Observed = Observed;

    const KIND: &'static str = "scaling_group";
    const NOTICED: &'static [&'static str] = &[OUTDATED, INSTANCES];
    const WRITE_ONLY: &'static [(&'static str, &'static str)] = &[
        ("desired capacity", "the scaler's after the creation"),
        ("rollout", "AWS is told when instances are replaced"),
    ];
    const LISTINGS: &'static [&'static dyn ErasedListing] = &[&Bulk::<DescribeAutoScalingGroups>::NEW];
    // A bound that the schedule has set is not reported here.
    const OPTIONAL_READBACK: &'static [&'static str] = &[quirks::UNREPORTED_OF_GROUPS, "min", "max"];
    const CHANGED_BY_EXPIRY: &'static [&'static str] = &["min", "max"];
    // Its instances listen on one port, in one VPC: they cannot serve behind the old target group and the new.
    const REPLACE_WITH: &'static [&'static str] = &["target_group"];
    const PRUNES: bool = true;

    fn desired(scope: &Scope<'_>) -> Vec<(Address, Desired)> {
        let groups = scope.stack.clusters.iter().filter_map(|cluster| {
            let Capacity::Group(scaling) = &cluster.capacity else {
                return None;
            };
            let number = |value: u64| i32::try_from(value).unwrap_or(i32::MAX);
            let desired = Desired {
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
                warm_pool: scaling.warm_pool.as_deref().copied(),
                termination: scaling.termination.clone(),
                suspended: scaling.suspend.clone(),
                protect_from_scale_in: scaling.protect_from_scale_in,
                subnets: network::of(scope).subnet_set(),
                rollout: scaling.rollout.clone(),
            };
            Some((address(&cluster.name), desired))
        });
        groups.collect()
    }

    fn unique_names(stack: &Stack) -> Vec<(&'static str, String)> {
        let groups = stack.clusters.iter().filter(|cluster| matches!(cluster.capacity, Capacity::Group(_)));
        groups.map(|cluster| ("Auto Scaling group", names::group(&stack.name, &cluster.name))).collect()
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Observed)> {
        let ours = all(cloud).filter_map(|group| {
            let tags = tags::from_group(group.tags());
            let current = template_is_current(cloud, group);
            let ids = group.instances().iter().filter_map(|instance| instance.instance_id());
            let instances = settings_of(ids.collect(), cloud);
            Some((tags::address(&tags)?, Observed { group: group.clone(), tags, current, instances }))
        });
        ours.collect()
    }

    fn desired_fields(desired: &Desired) -> Fields {
        let fields = Fields::default()
            .text("min", desired.min)
            .text("max", desired.max)
            .text("warmup_s", desired.warmup_s)
            .text("cooldown_s", desired.cooldown_s)
            .text("health_grace_s", desired.health_grace_s)
            .text("health_check", &desired.health_check)
            .text("termination", desired.termination.join(", "))
            .maybe("suspended", listed(desired.suspended.iter().map(String::as_str)))
            .text("protect_from_scale_in", desired.protect_from_scale_in)
            .value("subnets", desired.subnets.clone());
        let fields = warm_pool::fields(fields, desired.warm_pool.as_ref());
        mixed_instances::desired_fields(fields, desired.mix.as_deref())
            .reference("launch_template", launch_template::address(&desired.cluster))
            .reference("target_group", target_group::address(&desired.cluster))
    }

    fn observed_fields(observed: &Observed, cloud: &Snapshot) -> Fields {
        let group = &observed.group;
        let subnets = group.vpc_zone_identifier().unwrap_or_default().split(',');
        let subnets = Value::set(subnets.map(|id| Value::observed(cloud, id.trim())));
        let template = mixed_instances::template(group);
        let template_id = template.and_then(|template| template.launch_template_id()).unwrap_or_default();
        let version = template.and_then(|template| template.version()).unwrap_or_default();
        let template = if observed.current {
            Value::observed(cloud, template_id)
        } else {
            Value::Text(match group.launch_configuration_name() {
                Some(name) => format!("launch configuration {name}"),
                None => format!("{template_id} version {version}"),
            })
        };
        let by_schedule = |is_it: &dyn Fn(&ScheduledUpdateGroupAction) -> bool| is_scheduled(group, cloud, is_it);
        let given = given_bounds(&observed.tags);
        let min = match group.min_size() {
            min if by_schedule(&|action| action.min_size() == min) => given.map(|(min, _)| min),
            min => min,
        };
        let max = match group.max_size() {
            max if by_schedule(&|action| action.max_size() == max) => given.map(|(_, max)| max),
            max => max,
        };
        let fields = Fields::default()
            .maybe("min", min)
            .maybe("max", max)
            .maybe("warmup_s", group.default_instance_warmup())
            .maybe("cooldown_s", group.default_cooldown())
            .maybe("health_grace_s", group.health_check_grace_period())
            .maybe("health_check", group.health_check_type())
            .text("termination", group.termination_policies().join(", "))
            .maybe("suspended", listed(suspended(group)))
            .maybe("protect_from_scale_in", group.new_instances_protected_from_scale_in())
            .value("subnets", subnets)
            .value("launch_template", template)
            .maybe(OUTDATED, instance_refresh::outdated(group).filter(|_| observed.current))
            .maybe(INSTANCES, instances::settings::reason(observed.instances.iter().map(|(_, settings)| settings)));
        let fields = warm_pool::fields(fields, warm_pool::of(group).as_ref());
        let fields = mixed_instances::observed_fields(fields, group);
        match group.target_group_arns() {
            [only] => fields.value("target_group", Value::observed(cloud, only)),
            several => fields.text("target_group", several.join(", ")),
        }
    }

    fn delete_after(_observed: &Observed) -> Vec<Address> {
        vec![security_group::INSTANCES.to_owned()]
    }

    fn reason(_desired: &Desired, observed: &Observed) -> Option<String> {
        match mixed_instances::template(&observed.group).and_then(|template| template.version()) {
            _ if tags::are_adopted(&observed.tags) => None,
            Some(version) if !observed.current => {
                Some(format!("launches from version {version} of its launch template, which has a newer one"))
            }
            _ => instance_refresh::outdated(&observed.group),
        }
    }

    fn consequence(part: PartView<'_>) -> Consequence {
        consequence::of(part)
    }

    fn output(observed: &Observed) -> Output {
        Output::id(observed.group.auto_scaling_group_name().unwrap_or_default())
    }

    fn tags(observed: &Observed) -> Option<&Tags> {
        Some(&observed.tags)
    }

    fn remark(observed: &Observed) -> Option<String> {
        let group = &observed.group;
        Some(format!(
            "now {}, range {}–{}, desired capacity not touched",
            group.desired_capacity()?,
            group.min_size()?,
            group.max_size()?
        ))
    }

    async fn replace(context: &ActionContext<'_>, desired: &Desired, observed: &Observed) -> Result<Output, Problem> {
        let target_group = context.output(&target_group::address(&desired.cluster))?.id;
        let next = Desired {
            // By what it serves behind: a run that goes on finds it, and takes no other for it.
            name: names::successor(&desired.name, &target_group, names::EC2_NAME_CHARACTERS_MAX),
            // The scaler's number goes on.
            desired: observed.group.desired_capacity().unwrap_or(desired.desired).clamp(desired.min, desired.max),
            ..desired.clone()
        };
        let output = Self::create(context, &next).await?;
        until_in_service(context, &output.id).await?;
        Ok(output)
    }

    async fn create(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
        let template = template(context, desired)?;
        let target_group = context.output(&target_group::address(&desired.cluster))?.id;
        let request = context
            .clients()
            .autoscaling
            .create_auto_scaling_group()
            .auto_scaling_group_name(&desired.name)
            .set_launch_template(desired.mix.is_none().then(|| template.clone()))
            .set_mixed_instances_policy(desired.mix.as_deref().map(|mix| mixed_instances::policy(mix, template, None)))
            .min_size(desired.min)
            .max_size(desired.max)
            .desired_capacity(desired.desired)
            .default_instance_warmup(desired.warmup_s)
            .default_cooldown(desired.cooldown_s)
            .health_check_type(&desired.health_check)
            .health_check_grace_period(desired.health_grace_s)
            .set_termination_policies(Some(desired.termination.clone()))
            .new_instances_protected_from_scale_in(desired.protect_from_scale_in)
            .vpc_zone_identifier(context.resolve(&desired.subnets)?)
            .target_group_arns(&target_group)
            .set_tags(Some(tags::to_group(&desired.name, &group_tags(context, desired))));
        let create = || async {
            match request.clone().send().await {
                Ok(_) => Ok(true),
                Err(error) if error.is(&["AlreadyExists"]) => Ok(false),
                Err(error) => Err(error),
            }
        };
        // The name may be that of a group that goes, or that listings do not know yet.
        let ask = || async {
            if context.fresh("autoscaling:CreateAutoScalingGroup", create).await? {
                return Ok(Poll::Ready(()));
            }
            is_made(context, &desired.name, &target_group).await
        };
        let late = |reason: String| {
            Problem::new("Auto Scaling group name already in use", reason)
                .hint("run `cloudscale up` again when the old group is gone")
        };
        context.poll(ask, late).await?;
        suspend(context, &desired.name, &desired.suspended).await?;
        if let Some(pool) = &desired.warm_pool {
            warm_pool::put(context.clients(), &desired.name, pool).await?;
        }
        Ok(Output::id(&desired.name))
    }

    async fn update(
        context: &ActionContext<'_>,
        desired: &Desired,
        observed: &Observed,
        changes: &[FieldChange],
    ) -> Result<Output, Problem> {
        let output = Self::output(observed);
        let autoscaling = &context.clients().autoscaling;
        let pool = warm_pool::of(&observed.group);
        // A mix is refused while there is a pool, and a pool while there is a mix.
        if desired.warm_pool.is_none() && pool.is_some() {
            warm_pool::remove(context.run, &output.id).await?;
        }
        if touches(changes, settings::FIELDS) {
            let used = mixed_instances::template(&observed.group).cloned();
            let template = match touches(changes, &[settings::MIX]) {
                true => Some(used.map_or_else(|| template(context, desired), Ok)?),
                false => None,
            };
            configure(context, desired, &observed.group, changes, template).await?;
        }
        if let Some(desired) = desired.warm_pool.as_ref().filter(|_| touches(changes, &[warm_pool::FIELDS])) {
            warm_pool::put(context.clients(), &output.id, desired).await?;
        }
        if touches(changes, &["suspended"]) {
            let observed: BTreeSet<String> = suspended(&observed.group).map(str::to_owned).collect();
            suspend(context, &output.id, &(&desired.suspended - &observed)).await?;
            resume(context, &output.id, &(&observed - &desired.suspended)).await?;
        }
        if touches(changes, &["target_group"]) {
            let arn = context.output(&target_group::address(&desired.cluster))?.id;
            let call = autoscaling.attach_load_balancer_target_groups().auto_scaling_group_name(&output.id);
            let request = call.target_group_arns(arn);
            context.fresh("autoscaling:AttachLoadBalancerTargetGroups", || request.clone().send()).await?;
        }
        context.write_group_tags(&output.id, &group_tags(context, desired)).await?;
        if touches(changes, &[INSTANCES]) {
            let all = observed.instances.iter().map(|(id, settings)| (id.as_str(), settings));
            instances::settings::restore(context, all.collect()).await?;
        }
        if touches(changes, &["launch_template", OUTDATED]) {
            roll_over(context, desired, observed).await?;
        }
        Ok(output)
    }

    async fn prune(context: &ActionContext<'_>, observed: &Observed, kept: &Output) -> Result<(), Problem> {
        departure::detach_old_target_groups(context, &observed.group, &kept.id).await
    }

    async fn delete(context: &ActionContext<'_>, observed: &Observed) -> Result<(), Problem> {
        let name = observed.group.auto_scaling_group_name().unwrap_or_default();
        departure::unprotect(context.clients(), context.address, &observed.group).await?;
        // The cluster has fixed instances now: the group goes when they serve.
        let cluster = context.address.cluster().unwrap_or_default();
        if let Some(attached) = context.run.published(&targets::attachment_of(cluster)) {
            targets::until_healthy(context, &attached.id, &attached.members, "").await?;
        }
        // Requests still come where the load balancer stays, to this cluster or to the one that took its paths over.
        if context.run.published(&listener::ADDRESS).is_some() {
            departure::leave(context, &observed.group).await?;
        }
        departure::delete(context, name).await
    }
}

/// Of those of these instances that are there.
fn settings_of(ids: Vec<&str>, cloud: &Snapshot) -> Vec<(String, Settings)> {
    let present = instances::present(cloud).filter_map(|instance| Some((instance.instance_id()?, instance)));
    let members = present.filter(|(id, _)| ids.contains(id));
    members.map(|(id, instance)| (id.to_owned(), Settings::of(instance, cloud))).collect()
}

/// Whether one of the stack's scheduled actions for the group is such.
fn is_scheduled(
    group: &AutoScalingGroup,
    cloud: &Snapshot,
    is_it: impl Fn(&ScheduledUpdateGroupAction) -> bool,
) -> bool {
    let name = group.auto_scaling_group_name();
    let actions =
        cloud.all::<DescribeScheduledActions>().iter().filter(|action| action.auto_scaling_group_name() == name);
    let names =
        |action: &ScheduledUpdateGroupAction| names::is_in(name?, action.scheduled_action_name()?).then_some(());
    let ours = actions.filter(|action| names(action).is_some());
    ours.filter(|action| !expiry::is_action(action.scheduled_action_name())).any(is_it)
}

/// The bounds that the stack gave a group, whatever its schedule has made of them: "2-8".
fn given_bounds(tags: &Tags) -> Option<(i32, i32)> {
    let (min, max) = tags.get(tags::BOUNDS)?.split_once('-')?;
    Some((min.parse().ok()?, max.parse().ok()?))
}

fn group_tags(context: &ActionContext<'_>, desired: &Desired) -> Tags {
    let mut tags = context.tags();
    tags.insert(tags::BOUNDS.to_owned(), format!("{}-{}", desired.min, desired.max));
    tags.insert("Name".to_owned(), names::instance(&context.run.stack, &desired.cluster));
    tags
}

async fn describe(context: &ActionContext<'_>, name: &str) -> Result<Option<AutoScalingGroup>, Problem> {
    let call = context.clients().autoscaling.describe_auto_scaling_groups().auto_scaling_group_names(name).send().await;
    let answer = call.map_err(|error| error.problem(DESCRIBE, context.address))?;
    Ok(answer.auto_scaling_groups.unwrap_or_default().into_iter().next())
}

/// A group of the name exists: `true` where it is the one desired, made by a call whose answer was lost; `false` after
/// a while where it is on its way out.
///
/// # Errors
/// Where it is another; a call that fails.
async fn is_made(context: &ActionContext<'_>, name: &str, target_group: &str) -> Result<Poll<()>, Problem> {
    let Some(group) = describe(context, name).await? else {
        return Ok(Poll::Pending(format!("{name}: AWS says that it exists, and does not list it yet")));
    };
    if let Some(status) = group.status() {
        return Ok(Poll::Pending(format!("{name}: {status}")));
    }
    let tags = tags::from_group(group.tags());
    let is_ours = tags.get(tags::STACK) == Some(&context.run.stack)
        && tags::address(&tags).as_ref() == Some(context.address)
        && group.target_group_arns().iter().any(|arn| arn == target_group);
    if is_ours { Ok(Poll::Ready(())) } else { Err(tags::not_ours("Auto Scaling group", name)) }
}

/// How many instances the group is to have now.
///
/// # Errors
/// When the call fails.
pub(super) async fn capacity(context: &ActionContext<'_>, name: &str) -> Result<i32, Problem> {
    Ok(describe(context, name).await?.and_then(|group| group.desired_capacity()).unwrap_or_default())
}

/// Lets a group have so many instances where it has fewer, within its range.
///
/// # Errors
/// When a call fails.
pub(super) async fn grow(context: &ActionContext<'_>, name: &str, instances: i32) -> Result<(), Problem> {
    let Some(group) = describe(context, name).await? else { return Ok(()) };
    let instances = instances.min(group.max_size().unwrap_or_default());
    if group.desired_capacity().is_none_or(|desired| desired >= instances) {
        return Ok(());
    }
    let request = context.clients().autoscaling.set_desired_capacity().auto_scaling_group_name(name);
    let request = request.desired_capacity(instances).honor_cooldown(false);
    context.fresh("autoscaling:SetDesiredCapacity", || request.clone().send()).await.map(drop)
}

/// Waits until a group has as many instances behind its target groups as it should; answers with their ids.
pub(super) async fn until_in_service(context: &ActionContext<'_>, name: &str) -> Result<Vec<String>, Problem> {
    let ask = || async {
        let group = describe(context, name).await?;
        let desired = group.as_ref().and_then(|group| group.desired_capacity()).unwrap_or_default();
        let instances = group.as_ref().map(|group| group.instances()).unwrap_or_default();
        let serving =
            instances.iter().filter(|instance| instance.lifecycle_state() == Some(&LifecycleState::InService));
        let serving: Vec<_> = serving.filter_map(|instance| instance.instance_id().map(str::to_owned)).collect();
        if serving.len() >= usize::try_from(desired).unwrap_or_default() {
            return Ok(Poll::Ready(serving));
        }
        Ok(Poll::Pending(format!("{name}: {} of {desired} in service", serving.len())))
    };
    let late = |reason: String| {
        Problem::new("The new group has too few instances", reason).hint(
            "the old group serves; `cloudscale events` shows why instances do not start; `cloudscale up` continues",
        )
    };
    context.poll(ask, late).await
}

/// All Auto Scaling groups of the region, narrowed to our tags.
#[derive(Debug)]
pub struct DescribeAutoScalingGroups;

impl Collection for DescribeAutoScalingGroups {
    type Item = AutoScalingGroup;

    fn id(item: &AutoScalingGroup) -> Option<&str> {
        item.auto_scaling_group_name()
    }

    fn tags(item: &AutoScalingGroup) -> Tagged {
        Tagged::Here(tags::from_group(item.tags()))
    }

    fn refers_to(item: &AutoScalingGroup) -> Vec<&str> {
        item.target_group_arns().iter().map(String::as_str).collect()
    }

    fn name(item: &AutoScalingGroup) -> Option<&str> {
        item.auto_scaling_group_name()
    }

    fn leftover(item: &AutoScalingGroup) -> Option<String> {
        Some(format!("group {}", item.auto_scaling_group_name()?))
    }
}

impl Listing for DescribeAutoScalingGroups {
    const DEPTHS: &'static [Depth] = &[Depth::Existence, Depth::Plan, Depth::Status];

    async fn list(query: &Query<'_>) -> Result<Option<Vec<AutoScalingGroup>>, Problem> {
        found(query, all_of(query.clients).await, Stack::has_groups, DESCRIBE)
    }

    fn missed_by(_stack: Option<&Stack>) -> Option<String> {
        Some("this endpoint has no Auto Scaling: it counts as empty, the stack needs nothing of it".to_owned())
    }
}

/// The groups of the stack. AWS reports a status of those only that are being deleted: nothing can be done with them.
pub fn all(cloud: &Snapshot) -> impl Iterator<Item = &AutoScalingGroup> {
    cloud.all::<DescribeAutoScalingGroups>().iter().filter(|group| group.status().is_none())
}

/// The cluster that a group belongs to, by the group's address tag.
pub fn cluster_of(cloud: &Snapshot, group: Option<&str>) -> Option<String> {
    Some(cluster_at(&cloud.address_of(group?)?)?.to_owned())
}

/// Cluster and name of each group of the stack.
pub fn by_cluster(cloud: &Snapshot) -> Vec<(String, String)> {
    let names = all(cloud).filter_map(|group| group.auto_scaling_group_name());
    names.filter_map(|name| Some((cluster_of(cloud, Some(name))?, name.to_owned()))).collect()
}

/// All groups of the region, ours or not.
///
/// # Errors
/// The first call that fails.
pub async fn in_region(clients: &Clients) -> Result<Vec<AutoScalingGroup>, Problem> {
    all_of(clients).await.map_err(|error| error.problem(DESCRIBE, "the region"))
}

async fn all_of(
    clients: &Clients,
) -> Result<Vec<AutoScalingGroup>, SdkError<DescribeAutoScalingGroupsError, HttpResponse>> {
    let request = clients.autoscaling.describe_auto_scaling_groups().max_records(AUTOSCALING_PAGE);
    request.into_paginator().items().send().try_collect().await
}

#[cfg(test)]
mod tests;
