//! Stopping a stack and starting it again: instances cost nothing meanwhile, everything else stays as it is.
//!
//! Fixed instances are stopped and keep their ids, addresses and target attachments. A group goes to zero: its bounds
//! move along, so that no policy can wake it, and its scheduled actions are suspended. What it was is remembered in a
//! tag of the group, so that any machine can start the stack again. The tag is written first and removed last: whatever
//! was interrupted is continued by running it again.

use std::fmt;

use aws_sdk_autoscaling::types::{AutoScalingGroup, Tag};
use aws_sdk_ec2::types::{Instance, InstanceStateName};
use futures_util::future::join_all;

use super::instances::{self, tag};
use super::scaling_group::{self, departure};
use super::targets;
use super::warm_pool;
use crate::aws::error::CallError;
use crate::cloud::address::Address;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::Depth;
use crate::cloud::tags::{self, Tags};
use crate::problem::{Problem, Problems};
use crate::resource::context::{ActionContext, Operation, Poll};
use crate::resource::event::Event;
use crate::stack::model::WarmPool;

/// On a group what it was, on an instance that it was stopped with its stack.
const STOPPED: &str = "cloudscale:parked";
const WITH_ITS_STACK: &str = "with its stack";
/// What events about all fixed instances are called.
const FIXED: Address = Address::fixed(targets::INSTANCES);
/// The only process that can change a group's bounds.
const SCHEDULE: &str = "ScheduledActions";
/// An instance that is on its way to another state can be neither started nor stopped yet.
const MOVING: &[&str] = &["IncorrectInstanceState"];

/// What a group was before it went to zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    min: i32,
    max: i32,
    desired: i32,
    /// Whether its scheduled actions ran.
    scheduled: bool,
    /// Its warm pool, which costs, too.
    pool: Option<WarmPool>,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schedule = if self.scheduled { "scheduled" } else { "unscheduled" };
        write!(f, "{}/{}/{}/{schedule}", self.min, self.max, self.desired)?;
        let Some(pool) = &self.pool else { return Ok(()) };
        let prepared = pool.prepared.map_or_else(|| "max".to_owned(), |prepared| prepared.to_string());
        let state = if pool.running { "running" } else { "stopped" };
        write!(f, "/pool/{}/{prepared}/{state}/{}", pool.min, if pool.reuse { "reused" } else { "fresh" })
    }
}

impl Size {
    fn of(group: &AutoScalingGroup) -> Self {
        Self {
            min: group.min_size().unwrap_or_default(),
            max: group.max_size().unwrap_or_default(),
            desired: group.desired_capacity().unwrap_or_default(),
            scheduled: !group.suspended_processes().iter().any(|process| process.process_name() == Some(SCHEDULE)),
            pool: warm_pool::of(group),
        }
    }

    /// What [`fmt::Display`] wrote.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let mut number = || parts.next()?.parse().ok();
        let (min, max, desired) = (number()?, number()?, number()?);
        let scheduled = parts.next()? == "scheduled";
        let pool = match parts.next() {
            None => None,
            Some(_) => Some(pool(parts)?),
        };
        Some(Self { min, max, desired, scheduled, pool })
    }
}

/// The part that reports a warm pool.
fn pool<'a>(mut parts: impl Iterator<Item = &'a str>) -> Option<WarmPool> {
    let min = parts.next()?.parse().ok()?;
    let prepared = match parts.next()? {
        "max" => None,
        number => Some(number.parse().ok()?),
    };
    Some(WarmPool { min, prepared, running: parts.next()? == "running", reuse: parts.next()? == "reused" })
}

fn remembered(group: &AutoScalingGroup) -> Option<String> {
    tags::from_group(group.tags()).remove(STOPPED)
}

/// Whether the stack was stopped and not started again.
pub fn is_stopped(cloud: &Snapshot) -> bool {
    let fixed = instances::present(cloud).any(|instance| tag(instance, STOPPED).is_some());
    fixed || scaling_group::all(cloud).any(|group| remembered(group).is_some())
}

/// Fixed instances: those of groups are the groups'.
fn fixed(cloud: &Snapshot) -> impl Iterator<Item = &Instance> {
    instances::present(cloud).filter(|instance| instances::is_fixed(instance))
}

fn ids<'a>(instances: impl Iterator<Item = &'a Instance>) -> Vec<String> {
    instances.filter_map(|instance| instance.instance_id().map(str::to_owned)).collect()
}

/// Stops what runs; returns when nothing runs any more.
///
/// # Errors
/// What could not be stopped.
pub async fn stop(run: &Operation) -> Result<(), Problems> {
    let cloud = run.provider.snapshot(&run.stack, None, Depth::Existence).await?;
    let groups = join_all(scaling_group::all(&cloud).map(|group| stop_group(run, group)));
    let (fixed, groups) = futures_util::join!(stop_fixed(run, ids(fixed(&cloud))), groups);
    all(groups.into_iter().chain([fixed]))
}

/// Starts what [`stop`] stopped; does not wait until it serves.
///
/// # Errors
/// What could not be started.
pub async fn start(run: &Operation) -> Result<(), Problems> {
    let cloud = run.provider.snapshot(&run.stack, None, Depth::Existence).await?;
    let groups = join_all(scaling_group::all(&cloud).map(|group| start_group(run, group)));
    let stopped = ids(fixed(&cloud).filter(|instance| tag(instance, STOPPED).is_some()));
    let (fixed, groups) = futures_util::join!(start_fixed(run, stopped), groups);
    all(groups.into_iter().chain([fixed]))
}

fn all(outcomes: impl Iterator<Item = Result<(), Problem>>) -> Result<(), Problems> {
    let problems: Vec<_> = outcomes.filter_map(Result::err).collect();
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
}

async fn stop_fixed(run: &Operation, ids: Vec<String>) -> Result<(), Problem> {
    if ids.is_empty() {
        return Ok(());
    }
    let context = ActionContext { run, address: &FIXED, spec: "", tags_to_drop: &[] };
    let mark = Tags::from([(STOPPED.to_owned(), WITH_ITS_STACK.to_owned())]);
    context.write_ec2_tags(ids.clone(), &mark).await?;
    let request = run.clients()?.ec2.stop_instances().set_instance_ids(Some(ids.clone()));
    context.patient("ec2:StopInstances", MOVING, None, || request.clone().send()).await?;
    until(&context, &ids, &InstanceStateName::Stopped).await
}

async fn start_fixed(run: &Operation, ids: Vec<String>) -> Result<(), Problem> {
    if ids.is_empty() {
        return Ok(());
    }
    let context = ActionContext { run, address: &FIXED, spec: "", tags_to_drop: &[] };
    let request = run.clients()?.ec2.start_instances().set_instance_ids(Some(ids.clone()));
    context.patient("ec2:StartInstances", MOVING, None, || request.clone().send()).await?;
    until(&context, &ids, &InstanceStateName::Running).await?;
    let mark = aws_sdk_ec2::types::Tag::builder().key(STOPPED).build();
    let call = run.clients()?.ec2.delete_tags().set_resources(Some(ids)).tags(mark).send().await;
    call.map(|_| ()).map_err(|error| error.problem("ec2:DeleteTags", context.address))
}

/// Waits until all instances are in a state.
async fn until(context: &ActionContext<'_>, ids: &[String], desired: &InstanceStateName) -> Result<(), Problem> {
    let ask = || async {
        let pages = context.clients().ec2.describe_instances().set_instance_ids(Some(ids.to_vec())).into_paginator();
        let reservations = pages.items().send().try_collect().await;
        let reservations = reservations.map_err(|error| error.problem("ec2:DescribeInstances", context.address))?;
        let instances = reservations.iter().flat_map(|reservation| reservation.instances());
        let there = |instance: &&Instance| instance.state().and_then(|state| state.name()) == Some(desired);
        let count = instances.filter(there).count();
        let detail = format!("{count} of {} {}", ids.len(), desired.as_str());
        Ok(if count == ids.len() { Poll::Ready(detail) } else { Poll::Pending(detail) })
    };
    let detail = context.run.poll(context.address.as_str(), ask, too_long).await?;
    context.run.sink.event(Event::Ready { what: context.address.to_string(), detail });
    Ok(())
}

fn too_long(detail: String) -> Problem {
    Problem::new("Instances take too long", detail).hint("run the command again: it continues")
}

async fn stop_group(run: &Operation, group: &AutoScalingGroup) -> Result<(), Problem> {
    let name = group.auto_scaling_group_name().unwrap_or_default();
    let autoscaling = &run.clients()?.autoscaling;
    if remembered(group).is_none() {
        let mark = mark(name).value(Size::of(group).to_string()).build();
        let call = autoscaling.create_or_update_tags().tags(mark).send().await;
        call.map_err(|error| error.problem("autoscaling:CreateOrUpdateTags", name))?;
    }
    let call = autoscaling.suspend_processes().auto_scaling_group_name(name).scaling_processes(SCHEDULE).send().await;
    call.map_err(|error| error.problem("autoscaling:SuspendProcesses", name))?;
    departure::unprotect(run.clients()?, name, group).await?;
    if group.warm_pool_configuration().is_some() {
        warm_pool::remove(run, name).await?;
    }
    resize(run, name, Size { min: 0, max: 0, desired: 0, scheduled: false, pool: None }).await?;
    until_empty(run, name).await
}

async fn start_group(run: &Operation, group: &AutoScalingGroup) -> Result<(), Problem> {
    let name = group.auto_scaling_group_name().unwrap_or_default();
    let Some(text) = remembered(group) else {
        return Ok(());
    };
    let size = Size::parse(&text).ok_or_else(|| {
        Problem::new("The group's former size is not known", format!("{name}: its tag `{STOPPED}` is {text:?}"))
            .hint("delete that tag and run `cloudscale up`: it gives the group the bounds of the stack file")
    })?;
    let autoscaling = &run.clients()?.autoscaling;
    resize(run, name, size).await?;
    if let Some(pool) = &size.pool {
        warm_pool::put(run.clients()?, name, pool).await?;
    }
    if size.scheduled {
        let call = autoscaling.resume_processes().auto_scaling_group_name(name).scaling_processes(SCHEDULE);
        call.send().await.map_err(|error| error.problem("autoscaling:ResumeProcesses", name))?;
    }
    let call = autoscaling.delete_tags().tags(mark(name).build()).send().await;
    call.map(|_| ()).map_err(|error| error.problem("autoscaling:DeleteTags", name))
}

fn mark(group: &str) -> aws_sdk_autoscaling::types::builders::TagBuilder {
    let mark = Tag::builder().resource_id(group).resource_type("auto-scaling-group").key(STOPPED);
    mark.propagate_at_launch(false)
}

async fn resize(run: &Operation, group: &str, size: Size) -> Result<(), Problem> {
    let call = run.clients()?.autoscaling.update_auto_scaling_group().auto_scaling_group_name(group);
    let call = call.min_size(size.min).max_size(size.max).desired_capacity(size.desired).send().await;
    call.map(|_| ()).map_err(|error| error.problem("autoscaling:UpdateAutoScalingGroup", group))
}

async fn until_empty(run: &Operation, group: &str) -> Result<(), Problem> {
    let ask = || async {
        let call =
            run.clients()?.autoscaling.describe_auto_scaling_groups().auto_scaling_group_names(group).send().await;
        let answer = call.map_err(|error| error.problem("autoscaling:DescribeAutoScalingGroups", group))?;
        let left = answer.auto_scaling_groups().first().map_or(0, |group| group.instances().len());
        let detail = format!("instances left: {left}");
        Ok(if left == 0 { Poll::Ready(detail) } else { Poll::Pending(detail) })
    };
    let detail = run.poll(group, ask, |detail| too_long(format!("{group}: {detail}"))).await?;
    run.sink.event(Event::Ready { what: group.to_owned(), detail });
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_autoscaling::types::{SuspendedProcess, TagDescription};

    use super::scaling_group::DescribeAutoScalingGroups;
    use super::*;

    #[test]
    fn what_a_group_was_survives_its_tag() {
        let size = Size { min: 2, max: 6, desired: 3, scheduled: true, pool: None };
        assert_eq!((size.to_string().as_str(), Size::parse("2/6/3/scheduled")), ("2/6/3/scheduled", Some(size)));
        for (prepared, text) in
            [(None, "2/6/3/scheduled/pool/1/max/running/fresh"), (Some(8), "2/6/3/scheduled/pool/1/8/running/fresh")]
        {
            let with_pool = Size { pool: Some(WarmPool { min: 1, prepared, running: true, reuse: false }), ..size };
            assert_eq!((with_pool.to_string().as_str(), Size::parse(text)), (text, Some(with_pool)));
        }
        assert_eq!((Size::parse("2/6"), Size::parse("2/6/3/scheduled/pool/1")), (None, None));
    }

    #[test]
    fn a_schedule_that_was_suspended_before_stays_so() {
        let schedule = SuspendedProcess::builder().process_name(SCHEDULE).build();
        let group = AutoScalingGroup::builder().min_size(1).max_size(2).suspended_processes(schedule).build();
        assert!(!Size::of(&group).scheduled);
    }

    #[test]
    fn a_stack_is_stopped_as_long_as_one_group_remembers_what_it_was() {
        let tag = |key: &str, value: &str| TagDescription::builder().key(key).value(value).build();
        let group = || AutoScalingGroup::builder().tags(tag(tags::STACK, "web"));
        let stopped = group().tags(tag(STOPPED, "1/2/1/scheduled")).build();
        let cloud = || Snapshot::empty("web");
        assert!(is_stopped(&cloud().with::<DescribeAutoScalingGroups>(vec![group().build(), stopped])));
        assert!(!is_stopped(&cloud().with::<DescribeAutoScalingGroups>(vec![group().build()])));
    }
}
