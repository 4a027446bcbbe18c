//! What exists in the account and may join a stack: Auto Scaling groups and target groups.

use aws_sdk_autoscaling::types::{AutoScalingGroup, TagDescription};
use aws_sdk_elasticloadbalancingv2::types::{TargetGroup, TargetTypeEnum};

use super::load_balancer::DescribeLoadBalancers;
use super::network;
use super::scaling_group::{self, DescribeAutoScalingGroups};
use super::target_group::{self, DescribeTargetGroups};
use crate::aws::clients::Clients;
use crate::aws::error::CallError;
use crate::cloud::address::Address;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::Collection as _;
use crate::cloud::tags::{self, Tags};
use crate::problem::Problem;
use crate::resource::Scope;
use crate::resource::context::Operation;
use crate::resource::fields::Value;
use crate::resource::provider::{Adoptee, Answer, Existing};
use crate::stack::model::Stack;

/// Something of the account, with the address that it is to have.
#[derive(Clone, Debug)]
pub struct Found {
    address: Address,
    thing: Thing,
}

#[derive(Clone, Debug)]
enum Thing {
    Group(Box<AutoScalingGroup>),
    TargetGroup(Box<TargetGroup>, Tags),
}

impl Found {
    fn kind(&self) -> &'static str {
        match self.thing {
            Thing::Group(_) => "Auto Scaling group",
            Thing::TargetGroup(..) => "target group",
        }
    }

    fn tags(&self) -> Tags {
        match &self.thing {
            Thing::Group(group) => tags::from_group(group.tags()),
            Thing::TargetGroup(_, tags) => tags.clone(),
        }
    }

    /// What is at the address now.
    fn occupant<'a>(&self, cloud: &'a Snapshot) -> Option<&'a str> {
        match &self.thing {
            Thing::Group(_) => {
                let at = |group: &&AutoScalingGroup| {
                    tags::address(&tags::from_group(group.tags())).as_ref() == Some(&self.address)
                };
                scaling_group::all(cloud).find(at)?.auto_scaling_group_name()
            }
            Thing::TargetGroup(..) => {
                let at = |group: &&TargetGroup| {
                    group.target_group_arn().and_then(|arn| cloud.address_of(arn)).as_ref() == Some(&self.address)
                };
                cloud.all::<DescribeTargetGroups>().iter().find(at)?.target_group_name()
            }
        }
    }
}

impl Adoptee for Found {
    fn address(&self) -> &Address {
        &self.address
    }

    fn name(&self) -> &str {
        let name = match &self.thing {
            Thing::Group(group) => group.auto_scaling_group_name(),
            Thing::TargetGroup(group, _) => group.target_group_name(),
        };
        name.unwrap_or_default()
    }

    fn is_adopted(&self, stack: &str) -> bool {
        let tags = self.tags();
        tags.get(tags::STACK).map(String::as_str) == Some(stack) && tags::address(&tags).as_ref() == Some(&self.address)
    }

    /// Why it cannot be taken over, as far as that does not depend on what the stack wants of it.
    fn obstacle(&self, cloud: &Snapshot) -> Option<Problem> {
        let (kind, name) = (self.kind(), self.name());
        if let Some(owner) = self.tags().get(tags::STACK) {
            let detail = format!("the {kind} {name} carries {}={owner}", tags::STACK);
            let hint = format!("take it out of the stack {owner} first, and remove its `cloudscale:` tags");
            return Some(Problem::new("It belongs to a stack already", detail).hint(hint));
        }
        if let Some(present) = self.occupant(cloud) {
            let detail = format!("{} is {present}: {name} would be its second, and one of them deleted", self.address);
            return Some(Problem::new("The cluster has one already", detail).hint("delete that one first, or keep it"));
        }
        match &self.thing {
            Thing::Group(group) => group.status().map(|status| {
                Problem::new("The group is being deleted", format!("{name}: {status}"))
                    .hint("let `cloudscale up` create a group")
            }),
            Thing::TargetGroup(group, _) => unusable(group, cloud),
        }
    }

    fn conflict<'a>(
        &'a self,
        operation: &'a Operation,
        stack: &'a Stack,
        cloud: &'a Snapshot,
        existing: &'a [Existing],
    ) -> Answer<'a, Option<Problem>> {
        Box::pin(conflict(self, operation, stack, cloud, existing))
    }

    /// Makes the snapshot look as if the tags were written.
    fn join(&self, cloud: &mut Snapshot) {
        let ours = tags::of(&cloud.stack, &self.address, tags::ADOPTED, &Tags::new());
        match &self.thing {
            Thing::Group(group) => {
                let mut group = (**group).clone();
                let tag = |(key, value)| TagDescription::builder().key(key).value(value).build();
                group.tags.get_or_insert_default().extend(ours.into_iter().map(tag));
                cloud.unmanaged.remove(self.name());
                cloud.add::<DescribeAutoScalingGroups>(group);
            }
            Thing::TargetGroup(group, tags) => {
                let mut tags = tags.clone();
                tags.extend(ours);
                cloud.note_tags(group.target_group_arn().unwrap_or_default(), tags);
                cloud.unmanaged.remove(self.name());
                cloud.add::<DescribeTargetGroups>((**group).clone());
            }
        }
    }

    fn tag<'a>(&'a self, operation: &'a Operation, stack: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let tags = tags::of(stack, &self.address, tags::ADOPTED, &Tags::new());
            match &self.thing {
                Thing::Group(_) => tags::write_group(operation.clients()?, &self.address, self.name(), &tags).await,
                Thing::TargetGroup(group, _) => {
                    let arn = group.target_group_arn().unwrap_or_default();
                    tags::write_elb(operation.clients()?, &self.address, arn, &tags).await
                }
            }
        })
    }
}

/// Why a target group cannot serve behind the stack's load balancer.
fn unusable(group: &TargetGroup, cloud: &Snapshot) -> Option<Problem> {
    let name = group.target_group_name().unwrap_or_default();
    if group.target_type() != Some(&TargetTypeEnum::Instance) {
        let kind = group.target_type().map_or("unknown", TargetTypeEnum::as_str);
        let detail = format!("the targets of {name} are of the type `{kind}`, those of a stack are instances");
        return Some(
            Problem::new("Adoption would replace it", detail).hint("let `cloudscale up` create a target group"),
        );
    }
    if let Some(version) = group.protocol_version().filter(|version| *version != "HTTP1") {
        let detail =
            format!("the protocol version of {name} is {version}, which AWS cannot change; a stack's is HTTP1");
        return Some(
            Problem::new("Adoption would replace it", detail).hint("let `cloudscale up` create a target group"),
        );
    }
    let ours = |arn: &String| cloud.all::<DescribeLoadBalancers>().iter().any(|lb| lb.load_balancer_arn() == Some(arn));
    let other = group.load_balancer_arns().iter().find(|arn| !ours(arn))?;
    let other = other.rsplit('/').nth(1).unwrap_or(other);
    let detail = format!(
        "{name} is behind the load balancer {other}, and AWS lets a target group serve behind one load balancer only"
    );
    Some(Problem::new("It is in use", detail).hint(
        "adopt the Auto Scaling group instead: `up` attaches it to the stack's own target group; or take this target group \
         out of that load balancer's rules first",
    ))
}

/// Finds one thing by its name.
///
/// # Errors
/// Where there is none; a call that fails.
pub async fn find(clients: &Clients, cluster: &str, existing: &Existing) -> Result<Found, Problem> {
    match existing {
        Existing::Group(name) => {
            let call = clients.autoscaling.describe_auto_scaling_groups().auto_scaling_group_names(name).send().await;
            let answer = call.map_err(|error| error.problem("autoscaling:DescribeAutoScalingGroups", name))?;
            let group = answer.auto_scaling_groups.unwrap_or_default().into_iter().next();
            let group = group.ok_or_else(|| missing("Auto Scaling group", name, clients))?;
            Ok(Found { address: scaling_group::address(cluster), thing: Thing::Group(Box::new(group)) })
        }
        Existing::TargetGroup(name) => {
            let call = clients.elb.describe_target_groups();
            let call = if name.starts_with("arn:") { call.target_group_arns(name) } else { call.names(name) };
            let groups = match call.send().await {
                Ok(answer) => answer.target_groups.unwrap_or_default(),
                Err(error) if error.is(DescribeTargetGroups::NOT_FOUND) => Vec::new(),
                Err(error) => return Err(error.problem("elasticloadbalancing:DescribeTargetGroups", name)),
            };
            let group = groups.into_iter().next().ok_or_else(|| missing("target group", name, clients))?;
            let tags = target_group::tags_of(clients, name, group.target_group_arn().unwrap_or_default()).await?;
            let address = target_group::address(cluster);
            Ok(Found { address, thing: Thing::TargetGroup(Box::new(group), tags) })
        }
    }
}

fn missing(kind: &str, name: &str, clients: &Clients) -> Problem {
    Problem::new("Not found", format!("no {kind} is called {name} in {}", clients.region))
        .hint("check the name, and the region with --region")
}

/// What else stands in the way, in calls of its own: a group of another network, a target group that a group registers
/// its instances with which is not adopted.
async fn conflict(
    found: &Found,
    operation: &Operation,
    stack: &Stack,
    cloud: &Snapshot,
    existing: &[Existing],
) -> Result<Option<Problem>, Problem> {
    let network = network::of(&Scope { stack, cloud });
    let name = found.name();
    match &found.thing {
        Thing::Group(group) => {
            let subnets = group.vpc_zone_identifier().unwrap_or_default().split(',').map(str::trim);
            let subnets: Vec<_> = subnets.filter(|id| !id.is_empty()).map(str::to_owned).collect();
            if subnets.is_empty() {
                return Ok(None);
            }
            let answer = operation.clients()?.ec2.describe_subnets().set_subnet_ids(Some(subnets)).send().await;
            let answer = answer.map_err(|error| error.problem("ec2:DescribeSubnets", name))?;
            let vpcs = answer.subnets().iter().filter_map(|subnet| subnet.vpc_id());
            let other = vpcs.map(str::to_owned).find(|vpc| network.vpc != Value::Text(vpc.clone()));
            Ok(other.map(|vpc| {
                let detail = format!("{name} is in {vpc}, the stack in {}", network.vpc);
                Problem::new("It is in another network", detail).hint("name its VPC and subnets as `network:`")
            }))
        }
        Thing::TargetGroup(group, _) => {
            let arn = group.target_group_arn().unwrap_or_default();
            let groups = scaling_group::in_region(operation.clients()?).await?;
            let attached = groups.iter().filter(|group| group.target_group_arns().iter().any(|it| it == arn));
            let is_known = |group: &&AutoScalingGroup| {
                let name = group.auto_scaling_group_name().unwrap_or_default().to_owned();
                tags::from_group(group.tags()).get(tags::STACK) == Some(&stack.name)
                    || existing.contains(&Existing::Group(name))
            };
            let other = attached.filter(|group| !is_known(group)).find_map(|group| group.auto_scaling_group_name());
            Ok(other.map(|other| {
                let detail = format!("the Auto Scaling group {other} registers its instances with {name}");
                Problem::new("It is in use", detail).hint(format!("adopt both: add `--group {other}`"))
            }))
        }
    }
}
