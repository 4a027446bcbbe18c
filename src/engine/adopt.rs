//! Taking over what exists: a group or a target group gets the stack's tags, and from then on it is the stack's own.
//!
//! Nothing else is changed. What `up` would then change is planned before anything is tagged, as if the tags were there
//! already. What `up` would have to make anew is refused: it would not be kept.

use std::time::Duration;

use aws_sdk_autoscaling::types::{AutoScalingGroup, TagDescription};
use aws_sdk_elasticloadbalancingv2::types::{TargetGroup, TargetTypeEnum};

use super::snapshot;
use super::{Engine, Plan, no_such_cluster, park};
use crate::aws::clients::Clients;
use crate::aws::error::CallError;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::Depth;
use crate::cloud::tags;
use crate::cloud::tags::Tags;
use crate::problem::{Problem, Problems};
use crate::resource::Scope;
use crate::resource::change::Action;
use crate::resource::fields::Value;
use crate::resource::in_cluster;
use crate::resources::load_balancer::DescribeLoadBalancers;
use crate::resources::network;
use crate::resources::network::LiveNetwork;
use crate::resources::scaling_group::{self, DescribeAutoScalingGroups};
use crate::resources::target_group::{self, DescribeTargetGroups};
use crate::stack::model::Capacity;

/// What is to be taken over, as the user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Existing {
    /// An Auto Scaling group, by its name.
    Group(String),
    /// A target group, by its name or ARN.
    TargetGroup(String),
}

/// What exists, and what `up` would make of it.
#[derive(Clone, Debug)]
pub struct Adoption {
    pub plan: Plan,
    cluster: String,
    existing: Vec<Existing>,
    /// (address, name) of what is taken over; what is the stack's already is not among them.
    pub taken: Vec<(String, String)>,
    found: Vec<Found>,
}

/// Something of the account, with the address that it is to have.
#[derive(Clone, Debug)]
struct Found {
    address: String,
    thing: Thing,
}

#[derive(Clone, Debug)]
enum Thing {
    Group(Box<AutoScalingGroup>),
    TargetGroup(Box<TargetGroup>, Tags),
}

impl Engine {
    /// Finds what is to be taken over for a cluster, and plans as if it were. Reads only.
    ///
    /// # Errors
    /// What stands in the way, all at once; a call that fails.
    pub async fn adoption(&self, cluster: &str, existing: &[Existing]) -> Result<Adoption, Problems> {
        self.check_cluster(cluster, existing)?;
        self.run.unless_interrupted(self.examine(cluster, existing)).await
    }

    async fn examine(&self, cluster: &str, existing: &[Existing]) -> Result<Adoption, Problems> {
        let mut cloud = self.look(Depth::Existence).await?;
        if park::is_stopped(&cloud) {
            return Err(park::stopped(&self.stack.name).into());
        }
        let network = network::of(&Scope { stack: &self.stack, cloud: &cloud }).clone();
        let mut found = Vec::new();
        for existing in existing {
            found.push(find(self.clients(), cluster, existing).await?);
        }
        found.retain(|found| !found.is_adopted(&cloud.stack));
        let mut problems: Vec<_> = found.iter().filter_map(|found| found.obstacle(&cloud)).collect();
        for found in &found {
            problems.extend(self.conflict(found, existing, &network).await?);
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        for found in &found {
            found.graft(&mut cloud);
        }
        snapshot::complete(self.clients(), &mut cloud, &self.stack).await?;
        let plan = self.compare_with(cloud).await?;
        let problems: Vec<_> = found.iter().filter_map(|found| found.not_kept(&plan)).collect();
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let taken = found.iter().map(|found| (found.address.clone(), found.name().to_owned())).collect();
        Ok(Adoption { plan, cluster: cluster.to_owned(), existing: existing.to_vec(), taken, found })
    }

    /// Writes the stack's tags, under its lock.
    ///
    /// # Errors
    /// The run that holds the lock for longer than `patience`; where the cloud has changed since; a call that fails.
    pub async fn adopt(&self, adoption: &Adoption, patience: Duration) -> Result<(), Problems> {
        let lock = self.lock("adopt", patience).await?;
        let work = async {
            let now = self.adoption(&adoption.cluster, &adoption.existing).await?;
            if now.taken != adoption.taken || now.plan.report.changes != adoption.plan.report.changes {
                let detail = format!("{} is not as it was when the plan was shown", self.stack.name);
                return Err(Problem::new("The cloud has changed", detail)
                    .hint("nothing was tagged; run the same `cloudscale adopt` again and look at its plan")
                    .into());
            }
            for Found { address, thing } in &adoption.found {
                let tags = tags::of(&self.stack.name, address, tags::ADOPTED, &Tags::new());
                let clients = self.clients();
                match thing {
                    Thing::Group(group) => {
                        let name = group.auto_scaling_group_name().unwrap_or_default();
                        tags::write_group(clients, address, name, &tags).await?;
                    }
                    Thing::TargetGroup(group, _) => {
                        let arn = group.target_group_arn().unwrap_or_default();
                        tags::write_elb(clients, address, arn, &tags).await?;
                    }
                }
            }
            Ok(())
        };
        lock.during(work).await
    }

    /// What else stands in the way, in calls of its own: a group of another network, a target group that a group registers
    /// its instances with which is not adopted.
    async fn conflict(
        &self,
        found: &Found,
        existing: &[Existing],
        network: &LiveNetwork,
    ) -> Result<Option<Problem>, Problem> {
        let name = found.name();
        match &found.thing {
            Thing::Group(group) => {
                let subnets = group.vpc_zone_identifier().unwrap_or_default().split(',').map(str::trim);
                let subnets: Vec<_> = subnets.filter(|id| !id.is_empty()).map(str::to_owned).collect();
                if subnets.is_empty() {
                    return Ok(None);
                }
                let answer = self.clients().ec2.describe_subnets().set_subnet_ids(Some(subnets)).send().await;
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
                let groups = scaling_group::in_region(self.clients()).await?;
                let attached = groups.iter().filter(|group| group.target_group_arns().iter().any(|it| it == arn));
                let is_known = |group: &&AutoScalingGroup| {
                    let name = group.auto_scaling_group_name().unwrap_or_default().to_owned();
                    tags::from_group(group.tags()).get(tags::STACK) == Some(&self.stack.name)
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

    fn check_cluster(&self, cluster: &str, existing: &[Existing]) -> Result<(), Problem> {
        let Some(declared) = self.stack.clusters.iter().find(|declared| declared.name == cluster) else {
            return Err(no_such_cluster(&self.stack, cluster));
        };
        let has_group = matches!(declared.capacity, Capacity::Group(_));
        if !has_group && existing.iter().any(|existing| matches!(existing, Existing::Group(_))) {
            let detail = format!("{cluster} is a fleet: it has no Auto Scaling group");
            return Err(Problem::usage("A fleet has no group", detail)
                .hint(format!("give {cluster} `autoscaling:` instead of `instances:`")));
        }
        Ok(())
    }
}

impl Found {
    fn name(&self) -> &str {
        let name = match &self.thing {
            Thing::Group(group) => group.auto_scaling_group_name(),
            Thing::TargetGroup(group, _) => group.target_group_name(),
        };
        name.unwrap_or_default()
    }

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

    fn is_adopted(&self, stack: &str) -> bool {
        let tags = self.tags();
        tags.get(tags::STACK).map(String::as_str) == Some(stack) && tags.get(tags::ADDRESS) == Some(&self.address)
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
                Problem::new("The group is on its way out", format!("{name}: {status}"))
                    .hint("let `cloudscale up` make a group")
            }),
            Thing::TargetGroup(group, _) => unusable(group, cloud),
        }
    }

    /// What is at the address now.
    fn occupant<'a>(&self, cloud: &'a Snapshot) -> Option<&'a str> {
        match &self.thing {
            Thing::Group(_) => {
                let at = |group: &&AutoScalingGroup| {
                    tags::from_group(group.tags()).get(tags::ADDRESS) == Some(&self.address)
                };
                scaling_group::all(cloud).find(at)?.auto_scaling_group_name()
            }
            Thing::TargetGroup(..) => {
                let at = |group: &&TargetGroup| {
                    group.target_group_arn().and_then(|arn| cloud.address_of(arn)) == Some(&self.address)
                };
                cloud.all::<DescribeTargetGroups>().iter().find(at)?.target_group_name()
            }
        }
    }

    /// Makes the snapshot look as if the tags were written.
    fn graft(&self, cloud: &mut Snapshot) {
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

    /// What the stack wants that this cannot become.
    fn not_kept(&self, plan: &Plan) -> Option<Problem> {
        let change = plan.report.changes.iter().find(|change| change.address == self.address)?;
        if change.action != Action::Replace {
            return None;
        }
        let fields = change.fields.iter().filter(|field| field.forces_replacement).map(|field| {
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
            format!("\n  {}: it has {}, the stack wants {}", field.path, text(&field.live), text(&field.wanted))
        });
        let detail = format!("`up` would have to make {} anew:{}", self.name(), fields.collect::<String>());
        Some(Problem::new("It could not be kept", detail).hint("change the stack to what is there, or do without it"))
    }
}

/// Why a target group cannot serve behind the stack's load balancer.
fn unusable(group: &TargetGroup, cloud: &Snapshot) -> Option<Problem> {
    let name = group.target_group_name().unwrap_or_default();
    if group.target_type() != Some(&TargetTypeEnum::Instance) {
        let kind = group.target_type().map_or("unknown", TargetTypeEnum::as_str);
        let detail = format!("the targets of {name} are of the type `{kind}`, those of a stack are instances");
        return Some(Problem::new("It could not be kept", detail).hint("let `cloudscale up` make a target group"));
    }
    if let Some(version) = group.protocol_version().filter(|version| *version != "HTTP1") {
        let detail =
            format!("{name} speaks {version} with its targets, and AWS cannot change that; a stack speaks HTTP1");
        return Some(Problem::new("It could not be kept", detail).hint("let `cloudscale up` make a target group"));
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

async fn find(clients: &Clients, cluster: &str, existing: &Existing) -> Result<Found, Problem> {
    match existing {
        Existing::Group(name) => {
            let call = clients.autoscaling.describe_auto_scaling_groups().auto_scaling_group_names(name).send().await;
            let answer = call.map_err(|error| error.problem("autoscaling:DescribeAutoScalingGroups", name))?;
            let group = answer.auto_scaling_groups.unwrap_or_default().into_iter().next();
            let group = group.ok_or_else(|| missing("Auto Scaling group", name, clients))?;
            Ok(Found { address: in_cluster(cluster, "scaling_group"), thing: Thing::Group(Box::new(group)) })
        }
        Existing::TargetGroup(name) => {
            let call = clients.elb.describe_target_groups();
            let call = if name.starts_with("arn:") { call.target_group_arns(name) } else { call.names(name) };
            let groups = match call.send().await {
                Ok(answer) => answer.target_groups.unwrap_or_default(),
                Err(error) if error.is(&["TargetGroupNotFound"]) => Vec::new(),
                Err(error) => return Err(error.problem("elasticloadbalancing:DescribeTargetGroups", name)),
            };
            let group = groups.into_iter().next().ok_or_else(|| missing("target group", name, clients))?;
            let tags = target_group::tags_of(clients, name, group.target_group_arn().unwrap_or_default()).await?;
            let address = in_cluster(cluster, "target_group");
            Ok(Found { address, thing: Thing::TargetGroup(Box::new(group), tags) })
        }
    }
}

fn missing(kind: &str, name: &str, clients: &Clients) -> Problem {
    Problem::new("There is nothing of this name", format!("no {kind} is called {name} in {}", clients.region))
        .hint("check the name, and the region with --region")
}
