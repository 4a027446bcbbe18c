//! The states of instances, and the waits for them.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, Instance, InstanceStateName};

use super::DescribeInstances;
use crate::aws::error::CallError;
use crate::aws::quirks;
use crate::cloud::snapshot::listing::Collection as _;
use crate::problem::Problem;
use crate::resource::context::{ActionContext, Poll};

/// Values of one filter (EC2 API, "Filtering").
const IDS_PER_CALL: usize = 200;
/// Reasons that a problem names.
const REASONS_SHOWN: usize = 3;
const UNKNOWN: &str = "not known everywhere yet";

/// Terminates and waits until AWS says that they are gone.
pub async fn terminate(context: &ActionContext<'_>, ids: Vec<String>) -> Result<(), Problem> {
    terminate_at_once(context, &ids).await?;
    until_terminated(context, &ids).await
}

pub(super) async fn terminate_at_once(context: &ActionContext<'_>, ids: &[String]) -> Result<(), Problem> {
    if ids.is_empty() {
        return Ok(());
    }
    // AWS lists the terminated for an hour: whom it does not know is too new for it.
    let request = context.clients().ec2.terminate_instances().set_instance_ids(Some(ids.to_vec()));
    context.fresh("ec2:TerminateInstances", || request.clone().send()).await.map(|_| ())
}

/// Waits until AWS lists none of the instances as anything but terminated.
///
/// # Errors
/// When a call fails, or time is up.
pub(super) async fn until_terminated(context: &ActionContext<'_>, ids: &[String]) -> Result<(), Problem> {
    let late = |left: String| {
        Problem::new("Instances are still there", format!("they did not terminate in time: {left}"))
            .hint("run `cloudscale down` again: it continues")
    };
    let ask = || async {
        let Some(mut states) = look(context, ids).await? else { return Ok(Poll::Pending(UNKNOWN.to_owned())) };
        states.retain(|_, state| *state != InstanceStateName::Terminated);
        Ok(if states.is_empty() { Poll::Ready(()) } else { Poll::Pending(in_words(&states)) })
    };
    context.poll(ask, late).await
}

/// Waits until all instances run: a target group takes no others.
///
/// # Errors
/// Where one ends instead of running, or time is up.
pub async fn until_running(context: &ActionContext<'_>, ids: &[String]) -> Result<(), Problem> {
    let broken = |states: String| {
        Problem::new("Instances do not run", states).hint(
            "`cloudscale local logs INSTANCE` or the console's system log show why; `cloudscale up` replaces them",
        )
    };
    let ask = || async {
        let Some(mut states) = look(context, ids).await? else { return Ok(Poll::Pending(UNKNOWN.to_owned())) };
        let unlisted = ids.len() - states.len();
        states.retain(|_, state| *state != InstanceStateName::Running);
        if states.is_empty() && unlisted == 0 {
            return Ok(Poll::Ready(()));
        }
        let ends = |state: &InstanceStateName| {
            matches!(state, InstanceStateName::ShuttingDown | InstanceStateName::Terminated)
        };
        let words = if states.is_empty() { format!("{unlisted} not listed yet") } else { in_words(&states) };
        if states.values().any(ends) {
            return Err(broken(format!("{words}{}", reasons(context, ids).await)));
        }
        Ok(Poll::Pending(words))
    };
    context.poll(ask, broken).await
}

/// Why instances are in their states, as AWS reports: the first reasons that there are. Nothing where it does not
/// report now.
async fn reasons(context: &ActionContext<'_>, ids: &[String]) -> String {
    let filter =
        Filter::builder().name("instance-id").set_values(ids.chunks(IDS_PER_CALL).next().map(<[_]>::to_vec)).build();
    let pages = context.clients().ec2.describe_instances().filters(filter).into_paginator().items();
    let reservations = pages.send().try_collect().await.unwrap_or_default();
    let instances = reservations.iter().flat_map(|reservation| reservation.instances());
    let reason = |instance: &Instance| {
        let reason = instance.state_reason()?.message()?;
        let id = instance.instance_id().filter(|id| ids.iter().any(|desired| desired == id))?;
        Some(format!("; {id}: {reason}"))
    };
    instances.filter_map(reason).take(REASONS_SHOWN).collect()
}

/// The states of those of `ids` that AWS lists. By a filter and not by id: one id that is not known would make AWS
/// refuse the whole call, and hide the others. `None` while the endpoint has not heard of one everywhere.
async fn look(
    context: &ActionContext<'_>,
    ids: &[String],
) -> Result<Option<BTreeMap<String, InstanceStateName>>, Problem> {
    let mut states = BTreeMap::new();
    for ids in ids.chunks(IDS_PER_CALL) {
        let filter = Filter::builder().name("instance-id").set_values(Some(ids.to_vec())).build();
        let pages = context.clients().ec2.describe_instances().filters(filter).into_paginator().items();
        let reservations = pages.send().try_collect().await;
        let reservations = match reservations {
            Ok(reservations) => reservations,
            Err(error) if error.is(DescribeInstances::NOT_FOUND) => return Ok(None),
            Err(error) => return Err(error.problem("ec2:DescribeInstances", context.address)),
        };
        let instances = reservations.iter().flat_map(|reservation| reservation.instances());
        let state = |instance: &Instance| {
            let state = instance.state().and_then(|state| state.name()).cloned();
            Some((instance.instance_id()?.to_owned(), state.unwrap_or(InstanceStateName::Pending)))
        };
        states.extend(quirks::asked_for(instances.filter_map(state), ids));
    }
    Ok(Some(states))
}

/// `2 shutting-down (i-1, i-2), 1 pending (i-3)`
fn in_words(states: &BTreeMap<String, InstanceStateName>) -> String {
    let mut by_state = BTreeMap::<&str, Vec<&str>>::new();
    for (id, state) in states {
        by_state.entry(state.as_str()).or_default().push(id);
    }
    let parts = by_state.into_iter().map(|(state, ids)| format!("{} {state} ({})", ids.len(), ids.join(", ")));
    parts.collect::<Vec<_>>().join(", ")
}
