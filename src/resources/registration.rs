//! The target attachment of a cluster's fixed instances: registered with its target group.
//!
//! New targets are registered, and healthy, before old ones are taken out: requests always find a target.

use std::collections::BTreeSet;

use super::instances::{self, DescribeInstances, until_running};
use super::scaling_group::{self, DescribeAutoScalingGroups};
use super::target_group;
use super::target_group::DescribeTargetGroups;
use super::target_group::TargetGroup;
use super::targets::{self, DescribeTargetHealth};
use crate::cloud::address::Address;
use crate::cloud::health::Health;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{Bulk, ErasedListing};
use crate::problem::Problem;
use crate::resource::change::FieldChange;
use crate::resource::context::ActionContext;
use crate::resource::fields::{Fields, Value};
use crate::resource::{Output, Resource, Scope};
use crate::stack::model::Capacity;

#[derive(Debug)]
pub struct Registration;

#[derive(Clone, Debug)]
pub struct Desired {
    pub cluster: String,
}

#[derive(Clone, Debug)]
pub struct Observed {
    cluster: String,
    target_group: String,
    registered: BTreeSet<String>,
    /// Those of the registered that get no requests now: going is not a loss.
    unhealthy: BTreeSet<String>,
    fleet: BTreeSet<String>,
}

impl Resource for Registration {
    type Desired = Desired;
    type Observed = Observed;

    const KIND: &'static str = targets::ATTACHMENT;
    const LISTINGS: &'static [&'static dyn ErasedListing] = &[
        &Bulk::<DescribeTargetGroups>::NEW,
        &Bulk::<DescribeTargetHealth>::NEW,
        &Bulk::<DescribeInstances>::NEW,
        &Bulk::<DescribeAutoScalingGroups>::NEW,
    ];
    const REPLACE_ON: &'static [&'static str] = &[TargetGroup::KIND];
    const PRUNES: bool = true;
    const DELETED_WITH: &'static [&'static str] = &[TargetGroup::KIND];

    fn desired(scope: &Scope<'_>) -> Vec<(Address, Desired)> {
        let is_fleet = |capacity: &Capacity| matches!(capacity, Capacity::Fleet { instances: 1.., .. });
        let balanced = scope.stack.clusters.iter().filter(|_| scope.stack.has_load_balancer());
        let fleets = balanced.filter(|cluster| is_fleet(&cluster.capacity));
        fleets
            .map(|cluster| (targets::attachment_of(&cluster.name), Desired { cluster: cluster.name.clone() }))
            .collect()
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Observed)> {
        let registrations = cloud.all::<DescribeTargetGroups>().iter().filter_map(|group| {
            let arn = group.target_group_arn()?;
            let cluster = target_group::cluster_at(&cloud.address_of(arn)?)?;
            let mut live = Observed {
                target_group: arn.to_owned(),
                registered: BTreeSet::new(),
                unhealthy: BTreeSet::new(),
                fleet: instances::present_at(cloud, &targets::instances_of(&cluster))
                    .filter_map(|instance| instance.instance_id().map(str::to_owned))
                    .collect(),
                cluster,
            };
            for target in targets::of_group(cloud, arn)? {
                let id = target.target()?.id()?.to_owned();
                let health = Health::of(target);
                if health.is_draining() || scaling_group::all(cloud).any(|group| in_group(group, &id)) {
                    continue;
                }
                if !health.is_healthy() {
                    live.unhealthy.insert(id.clone());
                }
                live.registered.insert(id);
            }
            let address = targets::attachment_of(&live.cluster);
            (!live.registered.is_empty()).then_some((address, live))
        });
        registrations.collect()
    }

    fn desired_fields(wanted: &Desired) -> Fields {
        Fields::default()
            .reference("target_group", target_group::address(&wanted.cluster))
            .reference("targets", targets::instances_of(&wanted.cluster))
    }

    fn observed_fields(live: &Observed, cloud: &Snapshot) -> Fields {
        let fields = Fields::default().value("target_group", Value::live(cloud, &live.target_group));
        if live.registered == live.fleet {
            return fields.reference("targets", targets::instances_of(&live.cluster));
        }
        let known = live.registered.intersection(&live.fleet).count();
        let unmanaged = live.registered.len() - known;
        let surplus = if unmanaged > 0 { format!(", {unmanaged} unmanaged") } else { String::new() };
        fields.text("targets", format!("{known} of {}{surplus}", live.fleet.len()))
    }

    fn reason(_wanted: &Desired, live: &Observed) -> Option<String> {
        (live.registered != live.fleet).then(|| "the attached targets are not the cluster's fixed instances".to_owned())
    }

    fn output(live: &Observed) -> Output {
        Output { members: live.registered.iter().cloned().collect(), ..Output::id(&live.target_group) }
    }

    async fn create(task: &ActionContext<'_>, wanted: &Desired) -> Result<Output, Problem> {
        let ids = task.output(&targets::instances_of(&wanted.cluster))?.members;
        register(task, wanted, ids, &BTreeSet::new()).await
    }

    async fn update(
        task: &ActionContext<'_>,
        wanted: &Desired,
        live: &Observed,
        _changes: &[FieldChange],
    ) -> Result<Output, Problem> {
        let ids = task.output(&targets::instances_of(&wanted.cluster))?.members;
        let output = register(task, wanted, ids, &live.registered).await?;
        let leaving = live.registered.iter().filter(|id| !output.members.contains(id));
        if leaving.clone().any(|id| !live.unhealthy.contains(id)) {
            targets::until_healthy(task, &output.id, &output.members, "").await?;
        }
        Ok(output)
    }

    async fn prune(task: &ActionContext<'_>, live: &Observed, kept: &Output) -> Result<(), Problem> {
        let leaving = live.registered.iter().filter(|id| !kept.members.contains(id));
        targets::leave(task, &live.target_group, &leaving.cloned().collect::<Vec<_>>()).await
    }

    async fn delete(task: &ActionContext<'_>, live: &Observed) -> Result<(), Problem> {
        // The cluster has become a group: the fleet goes when the group's instances serve.
        if let Some(group) = task.run.published(&scaling_group::address(&live.cluster)) {
            let members = scaling_group::until_in_service(task, &group.id).await?;
            targets::until_healthy(task, &live.target_group, &members, "").await?;
        }
        Self::prune(task, live, &Output::default()).await
    }
}

fn in_group(group: &aws_sdk_autoscaling::types::AutoScalingGroup, id: &str) -> bool {
    group.instances().iter().any(|instance| instance.instance_id() == Some(id))
}

async fn register(
    task: &ActionContext<'_>,
    wanted: &Desired,
    ids: Vec<String>,
    registered: &BTreeSet<String>,
) -> Result<Output, Problem> {
    let arn = task.output(&target_group::address(&wanted.cluster))?.id;
    let missing: Vec<_> = ids.iter().filter(|id| !registered.contains(*id)).cloned().collect();
    until_running(task, &missing).await?;
    targets::join(task, &arn, &missing).await?;
    Ok(Output { members: ids, ..Output::id(arn) })
}
