//! The registration of a fleet's instances with its target group.
//!
//! New targets are registered, and healthy, before old ones are taken out: requests always find a target.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::{TargetDescription, TargetHealthDescription};

use super::instances::until_running;
use super::scaling_group;
use crate::aws::error::CallError;
use crate::cloud::discover::target_health;
use crate::cloud::snapshot::{Snapshot, health_of};
use crate::engine::wait::Console;
use crate::problem::Problem;
use crate::resource::change::FieldChange;
use crate::resource::context::Task;
use crate::resource::fields::Fields;
use crate::resource::{Output, Resource, Scope, in_cluster};
use crate::stack::model::Capacity;

#[derive(Debug)]
pub struct Registration;

#[derive(Clone, Debug)]
pub struct Wanted {
    pub cluster: String,
}

#[derive(Clone, Debug)]
pub struct Live {
    cluster: String,
    target_group: String,
    registered: BTreeSet<String>,
    /// Those of the registered that get no requests now: going is not a loss.
    unhealthy: BTreeSet<String>,
    fleet: BTreeSet<String>,
}

impl Resource for Registration {
    type Wanted = Wanted;
    type Live = Live;

    const KIND: &'static str = "registration";
    const REPLACE_ON: &'static [&'static str] = &["target_group"];
    const SHEDS: bool = true;
    const GOES_WITH: &'static [&'static str] = &["target_group"];

    fn wanted(scope: &Scope<'_>) -> Vec<(String, Wanted)> {
        let is_fleet = |capacity: &Capacity| matches!(capacity, Capacity::Fleet { instances: 1.., .. });
        let fleets = scope.stack.clusters.iter().filter(|cluster| is_fleet(&cluster.capacity));
        fleets
            .map(|cluster| (in_cluster(&cluster.name, Self::KIND), Wanted { cluster: cluster.name.clone() }))
            .collect()
    }

    fn live(cloud: &Snapshot) -> Vec<(String, Live)> {
        let registrations = cloud.target_groups.iter().filter_map(|group| {
            let arn = group.target_group_arn()?;
            let cluster = cloud.address_of(arn)?.strip_prefix("cluster.")?.strip_suffix(".target_group")?.to_owned();
            let mut live = Live {
                target_group: arn.to_owned(),
                registered: BTreeSet::new(),
                unhealthy: BTreeSet::new(),
                fleet: cloud
                    .instances_at(&in_cluster(&cluster, "instances"))
                    .filter_map(|instance| instance.instance_id().map(str::to_owned))
                    .collect(),
                cluster,
            };
            for target in cloud.target_health.get(arn)? {
                let id = target.target()?.id()?.to_owned();
                let health = health_of(target);
                if health.state == "draining" || cloud.groups.iter().any(|g| in_group(g, &id)) {
                    continue;
                }
                if health.state != "healthy" {
                    live.unhealthy.insert(id.clone());
                }
                live.registered.insert(id);
            }
            let address = in_cluster(&live.cluster, Self::KIND);
            (!live.registered.is_empty()).then_some((address, live))
        });
        registrations.collect()
    }

    fn want(wanted: &Wanted) -> Fields {
        Fields::default()
            .reference("target_group", in_cluster(&wanted.cluster, "target_group"))
            .reference("targets", in_cluster(&wanted.cluster, "instances"))
    }

    fn observe(live: &Live, cloud: &Snapshot) -> Fields {
        let fields = Fields::default().value("target_group", cloud.reference(&live.target_group));
        if live.registered == live.fleet {
            return fields.reference("targets", in_cluster(&live.cluster, "instances"));
        }
        let known = live.registered.intersection(&live.fleet).count();
        let strangers = live.registered.len() - known;
        let surplus = if strangers > 0 { format!(", {strangers} that do not belong") } else { String::new() };
        fields.text("targets", format!("{known} of {}{surplus}", live.fleet.len()))
    }

    fn reason(_wanted: &Wanted, live: &Live) -> Option<String> {
        (live.registered != live.fleet).then(|| "the targets are not the fleet's instances".to_owned())
    }

    fn output(live: &Live) -> Output {
        Output { members: live.registered.iter().cloned().collect(), ..Output::id(&live.target_group) }
    }

    async fn create(task: &Task<'_>, wanted: &Wanted) -> Result<Output, Problem> {
        let ids = task.output(&in_cluster(&wanted.cluster, "instances"))?.members;
        register(task, wanted, ids, &BTreeSet::new()).await
    }

    async fn update(
        task: &Task<'_>,
        wanted: &Wanted,
        live: &Live,
        _changes: &[FieldChange],
    ) -> Result<Output, Problem> {
        let ids = task.output(&in_cluster(&wanted.cluster, "instances"))?.members;
        let output = register(task, wanted, ids, &live.registered).await?;
        let leaving = live.registered.iter().filter(|id| !output.members.contains(id));
        if leaving.clone().any(|id| !live.unhealthy.contains(id)) {
            until_healthy(task, &output.id, &output.members, "").await?;
        }
        Ok(output)
    }

    async fn shed(task: &Task<'_>, live: &Live, kept: &Output) -> Result<(), Problem> {
        let leaving = live.registered.iter().filter(|id| !kept.members.contains(id));
        leave(task, &live.target_group, &leaving.cloned().collect::<Vec<_>>()).await
    }

    async fn retire(task: &Task<'_>, live: &Live) -> Result<(), Problem> {
        // The cluster has become a group: the fleet goes when the group's instances serve.
        if let Some(group) = task.run.published(&in_cluster(&live.cluster, "scaling_group")) {
            let members = scaling_group::until_in_service(task, &group.id).await?;
            until_healthy(task, &live.target_group, &members, "").await?;
        }
        Self::shed(task, live, &Output::default()).await
    }
}

fn in_group(group: &aws_sdk_autoscaling::types::AutoScalingGroup, id: &str) -> bool {
    group.instances().iter().any(|instance| instance.instance_id() == Some(id))
}

fn targets(ids: &[String]) -> Vec<TargetDescription> {
    ids.iter().map(|id| TargetDescription::builder().id(id).build()).collect()
}

async fn register(
    task: &Task<'_>,
    wanted: &Wanted,
    ids: Vec<String>,
    registered: &BTreeSet<String>,
) -> Result<Output, Problem> {
    let arn = task.output(&in_cluster(&wanted.cluster, "target_group"))?.id;
    let missing: Vec<_> = ids.iter().filter(|id| !registered.contains(*id)).cloned().collect();
    join(task, &arn, &missing).await?;
    Ok(Output { members: ids, ..Output::id(arn) })
}

/// Registers instances as soon as they run.
pub(super) async fn join(task: &Task<'_>, target_group: &str, ids: &[String]) -> Result<(), Problem> {
    if ids.is_empty() {
        return Ok(());
    }
    until_running(task, ids).await?;
    let request = task.clients().elb.register_targets().target_group_arn(target_group).set_targets(Some(targets(ids)));
    // A target that runs may not be known to the load balancer yet.
    task.fresh("elasticloadbalancing:RegisterTargets", || request.clone().send()).await.map(drop)
}

/// Before healthy targets leave, the new ones must serve. Behind a target group that no rule uses, AWS checks nobody.
pub(super) async fn until_healthy(
    task: &Task<'_>,
    target_group: &str,
    ids: &[String],
    progress: &str,
) -> Result<(), Problem> {
    let mut backoff = task.run.backoff();
    let mut console = Console::default();
    loop {
        let (_, targets) = target_health(task.clients(), target_group).await?;
        let waiting = waiting(ids, &targets);
        let Some((id, first)) = waiting.iter().next() else { return Ok(()) };
        task.waiting(
            [progress, &format!("{id}: {first}")]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join("; "),
        );
        if task.run.is_late() {
            console.read(task.run, id).await;
            let mut detail = waiting.iter().map(|(id, why)| format!("{id}: {why}")).collect::<Vec<_>>().join("\n  ");
            console.append_to(&mut detail);
            return Err(Problem::new("New targets are not healthy", detail).hint(
                "the old instances still serve; mend the user data or the health check and run `cloudscale up` again",
            ));
        }
        task.run.pause(&mut backoff).await?;
    }
}

/// Those that do not serve yet, and why: a target that is not listed is one of them.
fn waiting<'a>(ids: &'a [String], targets: &[TargetHealthDescription]) -> BTreeMap<&'a str, String> {
    let healths = targets.iter().filter_map(|target| Some((target.target()?.id()?, health_of(target))));
    let healths: BTreeMap<_, _> = healths.collect();
    let why = |id: &'a String| match healths.get(id.as_str()) {
        None => Some((id.as_str(), "not listed yet".to_owned())),
        Some(health) if health.state == "healthy" || health.reason.as_deref() == Some("Target.NotInUse") => None,
        Some(health) => Some((id.as_str(), health.sentence())),
    };
    ids.iter().filter_map(why).collect()
}

/// Takes targets out and waits until they have no more requests.
pub(super) async fn leave(task: &Task<'_>, target_group: &str, ids: &[String]) -> Result<(), Problem> {
    if ids.is_empty() {
        return Ok(());
    }
    let call = task.clients().elb.deregister_targets().target_group_arn(target_group);
    match call.set_targets(Some(targets(ids))).send().await {
        Err(error) if !error.is(&["TargetGroupNotFound", "InvalidTarget"]) => {
            Err(error.problem("elasticloadbalancing:DeregisterTargets", task.address))
        }
        _ => until_gone(task, target_group, ids).await,
    }
}

/// Requests in flight finish before an instance may go. A group that is detached takes its instances out a while later: so
/// they are waited for in any state.
pub(super) async fn until_gone(task: &Task<'_>, target_group: &str, ids: &[String]) -> Result<(), Problem> {
    let mut backoff = task.run.backoff();
    loop {
        let (_, targets) = target_health(task.clients(), target_group).await?;
        let listed = targets.iter().filter_map(|target| target.target()?.id());
        let left: Vec<_> = listed.filter(|id| ids.iter().any(|leaving| leaving == id)).collect();
        if left.is_empty() || task.run.is_late() {
            return Ok(());
        }
        task.waiting(format!("{} draining", left.join(", ")));
        task.run.pause(&mut backoff).await?;
    }
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
