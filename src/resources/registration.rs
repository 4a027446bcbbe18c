//! The registration of a fleet's instances with its target group.
//!
//! New targets are registered, and healthy, before old ones are taken out: requests always find a target.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::TargetDescription;

use super::fields::Fields;
use super::instances::until_running;
use super::{Output, Resource, Scope, in_cluster};
use crate::aws::error::CallError;
use crate::engine::discover::target_health;
use crate::engine::plan::FieldChange;
use crate::engine::snapshot::{Snapshot, health_of};
use crate::engine::task::Task;
use crate::problem::Problem;
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
        let fleets = scope.stack.clusters.iter().filter(|cluster| matches!(cluster.capacity, Capacity::Fleet { .. }));
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

    fn observe(live: &Live, _cloud: &Snapshot) -> Fields {
        let fields = Fields::default().reference("target_group", in_cluster(&live.cluster, "target_group"));
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
            until_healthy(task, &output).await?;
        }
        Ok(output)
    }

    async fn shed(task: &Task<'_>, live: &Live, kept: &Output) -> Result<(), Problem> {
        let leaving = live.registered.iter().filter(|id| !kept.members.contains(id));
        let leaving: Vec<_> = leaving.cloned().collect();
        if leaving.is_empty() {
            return Ok(());
        }
        let call = task.clients().elb.deregister_targets().target_group_arn(&live.target_group);
        match call.set_targets(Some(targets(&leaving))).send().await {
            Err(error) if !error.is(&["TargetGroupNotFound", "InvalidTarget"]) => {
                Err(error.problem("elasticloadbalancing:DeregisterTargets", task.address))
            }
            _ => until_drained(task, &live.target_group, &leaving).await,
        }
    }

    async fn retire(task: &Task<'_>, live: &Live) -> Result<(), Problem> {
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
    if !missing.is_empty() {
        until_running(task, &missing).await?;
        let request = task.clients().elb.register_targets().target_group_arn(&arn).set_targets(Some(targets(&missing)));
        // A target that runs may not be known to the load balancer yet.
        task.fresh("elasticloadbalancing:RegisterTargets", || request.clone().send()).await?;
    }
    Ok(Output { members: ids, ..Output::id(arn) })
}

/// Before healthy targets leave, the new ones must serve.
async fn until_healthy(task: &Task<'_>, output: &Output) -> Result<(), Problem> {
    let mut backoff = task.run.backoff();
    loop {
        let (_, targets) = target_health(task.clients(), &output.id).await?;
        let healths = targets.iter().filter_map(|target| Some((target.target()?.id()?, health_of(target))));
        let healths: BTreeMap<_, _> = healths.collect();
        let waiting = output.members.iter().filter_map(|id| match healths.get(id.as_str()) {
            Some(health) if health.state == "healthy" => None,
            Some(health) => Some(format!("{id}: {}", health.sentence())),
            None => Some(format!("{id}: not listed yet")),
        });
        let waiting: Vec<_> = waiting.collect();
        if waiting.is_empty() {
            return Ok(());
        }
        task.waiting(waiting.join(", "));
        if task.run.is_late() {
            return Err(Problem::new("New targets are not healthy", waiting.join(", ")).hint(
                "the old instances still serve; mend the user data or the health check and run `cloudscale up` again",
            ));
        }
        task.run.pause(&mut backoff).await?;
    }
}

/// Requests in flight finish before an instance may go.
async fn until_drained(task: &Task<'_>, target_group: &str, ids: &[String]) -> Result<(), Problem> {
    let mut backoff = task.run.backoff();
    loop {
        let (_, targets) = target_health(task.clients(), target_group).await?;
        let draining = targets.iter().filter(|target| health_of(target).state == "draining");
        let draining =
            draining.filter_map(|target| target.target()?.id()).filter(|id| ids.iter().any(|leaving| leaving == id));
        let draining: Vec<_> = draining.collect();
        if draining.is_empty() || task.run.is_late() {
            return Ok(());
        }
        task.waiting(format!("{} draining", draining.join(", ")));
        task.run.pause(&mut backoff).await?;
    }
}
