//! The targets of target groups: how they are listed, how they come and how they go.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::{TargetDescription, TargetGroup, TargetHealthDescription};
use futures_util::future::try_join_all;

use super::target_group::{self, DescribeTargetGroups};
use crate::aws::clients::Clients;
use crate::aws::error::{CallError, settled};
use crate::cloud::address::Address;
use crate::cloud::console::Console;
use crate::cloud::health::Health;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{Collection, Depth, Listing, Query};
use crate::problem::Problem;
use crate::resource::context::{ActionContext, Poll};
use crate::stack::names;

/// The kind of fixed instances, and of what attaches them as targets: types on both sides refer to these.
pub const INSTANCES: &str = "instances";
pub const ATTACHMENT: &str = "target_attachment";

/// `cluster.light.instances`
pub fn instances_of(cluster: &str) -> Address {
    Address::in_cluster(cluster, INSTANCES)
}

/// `cluster.light.target_attachment`
pub fn attachment_of(cluster: &str) -> Address {
    Address::in_cluster(cluster, ATTACHMENT)
}

/// Target groups, by ARN, with the health of their targets. A group looks after the health of its instances itself, so
/// a plan asks for those of fixed instances only.
#[derive(Debug)]
pub struct DescribeTargetHealth;

impl Collection for DescribeTargetHealth {
    type Item = (String, Vec<TargetHealthDescription>);

    const OURS_ONLY: bool = false;
    const NOT_FOUND: &'static [&'static str] = &["InvalidTarget"];
}

impl Listing for DescribeTargetHealth {
    const ROUND: u8 = 1;
    const DEPTHS: &'static [Depth] = &[Depth::Plan, Depth::Status];

    async fn list(query: &Query<'_>) -> Result<Option<Vec<Self::Item>>, Problem> {
        let addresses = query.cloud.addresses();
        let asked = query.cloud.all::<DescribeTargetGroups>().iter();
        let asked = asked.filter(|group| query.depth == Depth::Status || has_instances(query.cloud, &addresses, group));
        let calls = asked.filter_map(|group| group.target_group_arn()).map(|arn| target_health(query.clients, arn));
        Ok(Some(try_join_all(calls).await?))
    }
}

/// The health of a target group's targets, with its ARN.
///
/// # Errors
/// When the call fails; a target group that is gone has no targets.
pub async fn target_health(
    clients: &Clients,
    target_group: &str,
) -> Result<(String, Vec<TargetHealthDescription>), Problem> {
    let found = target_health_if_there(clients, target_group).await?;
    Ok((target_group.to_owned(), found.unwrap_or_default()))
}

/// The same; `None` where the target group is gone.
///
/// # Errors
/// When the call fails.
pub async fn target_health_if_there(
    clients: &Clients,
    target_group: &str,
) -> Result<Option<Vec<TargetHealthDescription>>, Problem> {
    let call = clients.elb.describe_target_health().target_group_arn(target_group).send().await;
    match call {
        Ok(answer) => Ok(Some(answer.target_health_descriptions.unwrap_or_default())),
        Err(error) if error.is(DescribeTargetGroups::NOT_FOUND) => Ok(None),
        Err(error) => Err(error.problem("elasticloadbalancing:DescribeTargetHealth", target_group)),
    }
}

/// Whether fixed instances belong behind the target group: then nobody else watches over them. One that was adopted may
/// have targets that do not belong.
fn has_instances(cloud: &Snapshot, addresses: &BTreeSet<Address>, group: &TargetGroup) -> bool {
    let address = group.target_group_arn().and_then(|arn| cloud.address_of(arn));
    group.target_group_name().is_some_and(|name| !name.starts_with(names::PREFIX))
        || address.is_some_and(|address| address.cluster().is_some_and(|it| addresses.contains(&instances_of(it))))
}

/// The targets of a target group; `None` where they were not asked for.
pub fn of_group<'a>(cloud: &'a Snapshot, target_group: &str) -> Option<&'a [TargetHealthDescription]> {
    let mut groups = cloud.all::<DescribeTargetHealth>().iter();
    groups.find(|(arn, _)| arn == target_group).map(|(_, targets)| targets.as_slice())
}

/// How the target group of a cluster sees an instance; `None` where it does not know it.
pub fn health(cloud: &Snapshot, cluster: &str, instance: &str) -> Option<Health> {
    let group = target_group::of_cluster(cloud, cluster).next()?;
    // Whoever registered it on another port besides checks another thing.
    let is_it = |target: &TargetDescription| {
        target.id() == Some(instance) && target.port().is_none_or(|port| group.port().is_none_or(|own| own == port))
    };
    let mut targets = of_group(cloud, group.target_group_arn()?)?.iter();
    targets.find(|health| health.target().is_some_and(is_it)).map(Health::of)
}

fn targets(ids: &[String]) -> Vec<TargetDescription> {
    ids.iter().map(|id| TargetDescription::builder().id(id).build()).collect()
}

/// Registers instances, which run.
pub async fn join(context: &ActionContext<'_>, target_group: &str, ids: &[String]) -> Result<(), Problem> {
    if ids.is_empty() {
        return Ok(());
    }
    let request =
        context.clients().elb.register_targets().target_group_arn(target_group).set_targets(Some(targets(ids)));
    // A target that runs may not be known to the load balancer yet.
    context.fresh("elasticloadbalancing:RegisterTargets", || request.clone().send()).await.map(drop)
}

/// Before healthy targets leave, the new ones must serve. Behind a target group that no rule uses, AWS checks nobody.
pub async fn until_healthy(
    context: &ActionContext<'_>,
    target_group: &str,
    ids: &[String],
    progress: &str,
) -> Result<(), Problem> {
    let progress = (!progress.is_empty()).then_some(progress);
    let ask = || async {
        let (_, targets) = target_health(context.clients(), target_group).await?;
        let waiting = waiting(ids, &targets);
        let Some((id, why)) = waiting.iter().next() else { return Ok(Poll::Ready(())) };
        let first = format!("{id}: {why}");
        Ok(Poll::Pending(progress.into_iter().chain([first.as_str()]).collect::<Vec<_>>().join("; ")))
    };
    let Err(_) = context.wait(ask).await? else { return Ok(()) };
    let (_, targets) = target_health(context.clients(), target_group).await?;
    let waiting = waiting(ids, &targets);
    let mut detail = waiting.iter().map(|(id, why)| format!("{id}: {why}")).collect::<Vec<_>>().join("\n  ");
    let mut console = Console::default();
    // They may have become healthy between the two looks.
    let Some((id, _)) = waiting.iter().next() else { return Ok(()) };
    console.read(context.clients(), id).await;
    console.append_to(&mut detail);
    Err(Problem::new("New targets are not healthy", detail)
        .hint("the old instances still serve; correct the user data or the health check and run `cloudscale up` again"))
}

/// Those that do not serve yet, and why: a target that is not listed is one of them.
fn waiting<'a>(ids: &'a [String], targets: &[TargetHealthDescription]) -> BTreeMap<&'a str, String> {
    let healths = targets.iter().filter_map(|target| Some((target.target()?.id()?, Health::of(target))));
    // Of one that somebody registered on another port besides, the registration that serves counts.
    let mut healths: Vec<_> = healths.collect();
    healths.sort_by_key(|(_, health)| health.is_healthy());
    let healths: BTreeMap<_, _> = healths.into_iter().collect();
    let why = |id: &'a String| match healths.get(id.as_str()) {
        None => Some((id.as_str(), "not listed yet".to_owned())),
        Some(health) if health.is_healthy() || health.reason.as_deref() == Some("Target.NotInUse") => None,
        Some(health) => Some((id.as_str(), health.sentence())),
    };
    ids.iter().filter_map(why).collect()
}

/// Takes targets out and waits until they have no more requests.
pub async fn leave(context: &ActionContext<'_>, target_group: &str, ids: &[String]) -> Result<(), Problem> {
    if ids.is_empty() {
        return Ok(());
    }
    let call = context.clients().elb.deregister_targets().target_group_arn(target_group);
    match call.set_targets(Some(targets(ids))).send().await {
        Err(error) if !error.is(DescribeTargetGroups::NOT_FOUND) && !error.is(DescribeTargetHealth::NOT_FOUND) => {
            Err(error.problem("elasticloadbalancing:DeregisterTargets", context.address))
        }
        _ => until_gone(context, target_group, ids).await,
    }
}

/// Takes registrations on these ports out, and waits until they have no more requests: (instance, port).
pub async fn leave_ports(
    context: &ActionContext<'_>,
    target_group: &str,
    leaving: &[(String, i32)],
) -> Result<(), Problem> {
    if leaving.is_empty() {
        return Ok(());
    }
    let targets = leaving.iter().map(|(id, port)| TargetDescription::builder().id(id).port(*port).build());
    let call = context.clients().elb.deregister_targets().target_group_arn(target_group);
    let call = call.set_targets(Some(targets.collect())).send().await;
    settled(call, &[DescribeTargetGroups::NOT_FOUND, DescribeTargetHealth::NOT_FOUND].concat())
        .map_err(|error| error.problem("elasticloadbalancing:DeregisterTargets", context.address))?;
    let ask = || async {
        let (_, targets) = target_health(context.clients(), target_group).await?;
        let is_leaving = |target: &&TargetHealthDescription| {
            let target = target.target().and_then(|target| target.id().zip(target.port()));
            target.is_some_and(|(id, port)| leaving.iter().any(|it| it.0 == id && it.1 == port))
        };
        let left = targets.iter().filter(is_leaving).count();
        Ok(if left == 0 { Poll::Ready(()) } else { Poll::Pending(format!("{left} registrations draining")) })
    };
    context.wait(ask).await.map(drop)
}

/// Requests in flight finish before an instance may go. A group that is detached takes its instances out a while later:
/// so they are waited for in any state.
pub async fn until_gone(context: &ActionContext<'_>, target_group: &str, ids: &[String]) -> Result<(), Problem> {
    let ask = || async {
        let (_, targets) = target_health(context.clients(), target_group).await?;
        let listed = targets.iter().filter_map(|target| target.target()?.id());
        let left: Vec<_> = listed.filter(|id| ids.iter().any(|leaving| leaving == id)).collect();
        Ok(if left.is_empty() { Poll::Ready(()) } else { Poll::Pending(format!("{} draining", left.join(", "))) })
    };
    // Whoever takes longer than the run has time loses its connections.
    context.wait(ask).await.map(drop)
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::types::{TargetHealth, TargetHealthReasonEnum, TargetHealthStateEnum};

    use super::*;

    fn target(
        id: &str,
        state: TargetHealthStateEnum,
        reason: Option<TargetHealthReasonEnum>,
    ) -> TargetHealthDescription {
        let health = TargetHealth::builder().state(state).set_reason(reason).build();
        let target = TargetDescription::builder().id(id).build();
        TargetHealthDescription::builder().target(target).target_health(health).build()
    }

    #[test]
    fn a_target_that_is_not_listed_is_waited_for_and_one_that_nobody_checks_is_not() {
        let targets = [
            target("i-1", TargetHealthStateEnum::Healthy, None),
            target("i-2", TargetHealthStateEnum::Initial, None),
            target("i-4", TargetHealthStateEnum::Unused, Some(TargetHealthReasonEnum::NotInUse)),
        ];
        let ids = ["i-1", "i-2", "i-3", "i-4"].map(str::to_owned);
        let waiting = waiting(&ids, &targets);
        assert_eq!(
            waiting.into_iter().collect::<Vec<_>>(),
            [("i-2", "initial".into()), ("i-3", "not listed yet".into())]
        );
    }
}
