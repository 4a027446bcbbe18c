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
pub struct TargetAttachment;

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
    instances: BTreeSet<String>,
    /// Registrations on another port than the target group's: (instance, port).
    other_ports: Vec<(String, i32)>,
}

impl Resource for TargetAttachment {
    type Desired = Desired;
    type Observed = Observed;

    const KIND: &'static str = targets::ATTACHMENT;
    const NOTICED: &'static [&'static str] = &["other_ports"];
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
        let is_fixed = |capacity: &Capacity| matches!(capacity, Capacity::Fixed { instances: 1.., .. });
        let balanced = scope.stack.clusters.iter().filter(|cluster| scope.stack.balances(cluster));
        let fixed = balanced.filter(|cluster| is_fixed(&cluster.capacity));
        fixed
            .map(|cluster| (targets::attachment_of(&cluster.name), Desired { cluster: cluster.name.clone() }))
            .collect()
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Observed)> {
        let attachments = cloud.all::<DescribeTargetGroups>().iter().filter_map(|group| {
            let arn = group.target_group_arn()?;
            let cluster = target_group::cluster_at(&cloud.address_of(arn)?)?;
            let mut observed = Observed {
                target_group: arn.to_owned(),
                registered: BTreeSet::new(),
                other_ports: Vec::new(),
                unhealthy: BTreeSet::new(),
                instances: instances::present_at(cloud, &targets::instances_of(&cluster))
                    .filter_map(|instance| instance.instance_id().map(str::to_owned))
                    .collect(),
                cluster,
            };
            for target in targets::of_group(cloud, arn)? {
                let id = target.target()?.id()?.to_owned();
                let health = Health::of(target);
                let port = target.target().and_then(|target| target.port()).filter(|port| Some(*port) != group.port());
                if let Some(port) = port.filter(|_| !health.is_draining()) {
                    observed.other_ports.push((id, port));
                    continue;
                }
                if health.is_draining() || scaling_group::all(cloud).any(|group| in_group(group, &id)) {
                    continue;
                }
                if !health.is_healthy() {
                    observed.unhealthy.insert(id.clone());
                }
                observed.registered.insert(id);
            }
            let address = targets::attachment_of(&observed.cluster);
            let is_empty = observed.registered.is_empty() && observed.other_ports.is_empty();
            (!is_empty).then_some((address, observed))
        });
        attachments.collect()
    }

    fn desired_fields(desired: &Desired) -> Fields {
        Fields::default()
            .reference("target_group", target_group::address(&desired.cluster))
            .reference("targets", targets::instances_of(&desired.cluster))
    }

    fn observed_fields(observed: &Observed, cloud: &Snapshot) -> Fields {
        let ports: Vec<_> = observed.other_ports.iter().map(|(id, port)| format!("{id}:{port}")).collect();
        let fields = Fields::default()
            .value("target_group", Value::observed(cloud, &observed.target_group))
            .maybe("other_ports", (!ports.is_empty()).then(|| ports.join(", ")));
        if observed.registered == observed.instances {
            return fields.reference("targets", targets::instances_of(&observed.cluster));
        }
        let known = observed.registered.intersection(&observed.instances).count();
        let unmanaged = observed.registered.len() - known;
        let surplus = if unmanaged > 0 { format!(", {unmanaged} unmanaged") } else { String::new() };
        fields.text("targets", format!("{known} of {}{surplus}", observed.instances.len()))
    }

    // Whatever it registers: none of them goes before it has left.
    fn delete_after(observed: &Observed) -> Vec<Address> {
        vec![targets::instances_of(&observed.cluster)]
    }

    fn reason(_desired: &Desired, observed: &Observed) -> Option<String> {
        (observed.registered != observed.instances)
            .then(|| "the attached targets are not the cluster's fixed instances".to_owned())
    }

    fn output(observed: &Observed) -> Output {
        Output { members: observed.registered.iter().cloned().collect(), ..Output::id(&observed.target_group) }
    }

    async fn create(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
        let ids = context.output(&targets::instances_of(&desired.cluster))?.members;
        register(context, desired, ids, &BTreeSet::new()).await
    }

    async fn update(
        context: &ActionContext<'_>,
        desired: &Desired,
        observed: &Observed,
        _changes: &[FieldChange],
    ) -> Result<Output, Problem> {
        let ids = context.output(&targets::instances_of(&desired.cluster))?.members;
        let output = register(context, desired, ids, &observed.registered).await?;
        let leaving = observed.registered.iter().filter(|id| !output.members.contains(id));
        if leaving.clone().any(|id| !observed.unhealthy.contains(id)) {
            targets::until_healthy(context, &output.id, &output.members, "").await?;
        }
        Ok(output)
    }

    async fn prune(context: &ActionContext<'_>, observed: &Observed, kept: &Output) -> Result<(), Problem> {
        let leaving = observed.registered.iter().filter(|id| !kept.members.contains(id));
        targets::leave(context, &observed.target_group, &leaving.cloned().collect::<Vec<_>>()).await?;
        targets::leave_ports(context, &observed.target_group, &observed.other_ports).await
    }

    async fn delete(context: &ActionContext<'_>, observed: &Observed) -> Result<(), Problem> {
        // The cluster has become a group: the fixed instances go when the group's instances serve.
        if let Some(group) = context.run.published(&scaling_group::address(&observed.cluster)) {
            let members = scaling_group::until_in_service(context, &group.id).await?;
            // They are registered where the cluster's path leads to now, which may be a new target group.
            let current = context.run.published(&target_group::address(&observed.cluster)).map(|current| current.id);
            let target_group = current.as_ref().unwrap_or(&observed.target_group);
            targets::until_healthy(context, target_group, &members, "").await?;
        }
        Self::prune(context, observed, &Output::default()).await
    }
}

fn in_group(group: &aws_sdk_autoscaling::types::AutoScalingGroup, id: &str) -> bool {
    group.instances().iter().any(|instance| instance.instance_id() == Some(id))
}

async fn register(
    context: &ActionContext<'_>,
    desired: &Desired,
    ids: Vec<String>,
    registered: &BTreeSet<String>,
) -> Result<Output, Problem> {
    let arn = context.output(&target_group::address(&desired.cluster))?.id;
    let missing: Vec<_> = ids.iter().filter(|id| !registered.contains(*id)).cloned().collect();
    until_running(context, &missing).await?;
    targets::join(context, &arn, &missing).await?;
    Ok(Output { members: ids, ..Output::id(arn) })
}
