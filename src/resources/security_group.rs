//! Two security groups: the load balancer's, open on its ports; the instances', open to the load balancer only, and for
//! SSH to whom the stack names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aws_sdk_ec2::types::{Filter, IpPermission, IpRange, ResourceType, SecurityGroup as Api, UserIdGroupPair};

use super::connection::clients_of;
use super::{in_use, network};
use crate::aws::error::{CallError, settled};
use crate::cloud::address::Address;
use crate::cloud::discover::filter;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{Bulk, Collection, Depth, ErasedListing, Listing, Query, Tagged};
use crate::cloud::tags::{self, Tags};
use crate::problem::Problem;
use crate::resource::change::{Action, FieldChange};
use crate::resource::context::ActionContext;
use crate::resource::fields::{Fields, Value};
use crate::resource::provider::Provider;
use crate::resource::{Coming, Output, Resource, Scope, touches};
use crate::stack::names;

pub const LOAD_BALANCER: Address = Address::fixed("load_balancer.security_group");
pub const INSTANCES: Address = Address::fixed("instances.security_group");
const ANYWHERE: &str = "0.0.0.0/0";
const SSH_PORT: u16 = 22;
const EGRESS: &str = "egress.all";

#[derive(Debug)]
pub struct SecurityGroup;

#[derive(Clone, Debug)]
pub struct Desired {
    pub name: String,
    pub description: &'static str,
    pub vpc: Value,
    /// Port → who may reach it.
    pub ingress: BTreeMap<u16, Value>,
}

#[derive(Clone, Debug)]
pub struct Observed {
    group: Api,
    tags: Tags,
}

impl Resource for SecurityGroup {
    type Desired = Desired;
    type Observed = Observed;

    const KIND: &'static str = "security_group";
    const NOTICED: &'static [&'static str] = &["ingress.*", "egress.*"];
    const WRITE_ONLY: &'static [(&'static str, &'static str)] = &[("name, description", "AWS cannot change them")];
    const LISTINGS: &'static [&'static dyn ErasedListing] = &[&Bulk::<DescribeSecurityGroups>::NEW];
    const REPLACE_ON: &'static [&'static str] = &["vpc"];
    const PRUNES: bool = true;

    fn desired(scope: &Scope<'_>) -> Vec<(Address, Desired)> {
        let stack = scope.stack;
        let vpc = &network::of(scope).vpc;
        let anywhere = || Value::Text(ANYWHERE.to_owned());
        let load_balancer = stack.load_balancer.as_ref().map(|declared| Desired {
            name: names::load_balancer_security_group(&stack.name),
            description: "cloudscale: the load balancer is open on its port",
            vpc: vpc.clone(),
            ingress: [Some(declared.serving_port()), declared.redirect_port()]
                .into_iter()
                .flatten()
                .map(|port| (port, anywhere()))
                .collect(),
        });
        let from_load_balancer = || Value::Ref(LOAD_BALANCER);
        let mut ports: BTreeMap<_, _> = stack
            .clusters
            .iter()
            .filter(|cluster| stack.balances(cluster))
            .map(|cluster| (cluster.port, from_load_balancer()))
            .collect();
        if let Some(ssh) = &stack.ssh {
            let visitor = Value::Text(ssh.cidr.clone());
            let there = ports.remove(&SSH_PORT);
            ports.insert(SSH_PORT, Value::set(there.into_iter().chain([visitor])));
        }
        let instances = Desired {
            name: names::instances_security_group(&stack.name),
            description: "cloudscale: instances are reachable from the load balancer only",
            vpc: vpc.clone(),
            ingress: ports,
        };
        let load_balancer = load_balancer.map(|desired| (LOAD_BALANCER.to_owned(), desired));
        load_balancer.into_iter().chain([(INSTANCES, instances)]).collect()
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Observed)> {
        let ours = cloud.all::<DescribeSecurityGroups>().iter().filter_map(|group| {
            let tags = tags::from_ec2(group.tags());
            Some((tags::address(&tags)?, Observed { group: group.clone(), tags }))
        });
        ours.collect()
    }

    fn desired_fields(desired: &Desired) -> Fields {
        let fields = Fields::default().value("vpc", desired.vpc.clone()).text(EGRESS, ANYWHERE);
        desired
            .ingress
            .iter()
            .fold(fields, |fields, (port, source)| fields.value(format!("ingress.tcp.{port}"), source.clone()))
    }

    fn observed_fields(observed: &Observed, cloud: &Snapshot) -> Fields {
        let vpc = Value::observed(cloud, observed.group.vpc_id().unwrap_or_default());
        let fields = Fields::default().value("vpc", vpc);
        let mut by_path = BTreeMap::<String, Vec<Value>>::new();
        for access in accesses(observed.group.ip_permissions()) {
            let source = Value::observed(cloud, &access.source);
            by_path.entry(format!("ingress.{}", access.ports())).or_default().push(source);
        }
        for access in ways_out(&observed.group) {
            by_path
                .entry(format!("egress.{}", access.ports()))
                .or_default()
                .push(Value::observed(cloud, &access.source));
        }
        by_path.into_iter().fold(fields, |fields, (path, sources)| fields.value(path, Value::set(sources)))
    }

    /// Security groups of our names that are not ours.
    async fn obstacles(
        provider: &dyn Provider,
        cloud: &Snapshot,
        coming: &[Coming<'_, Desired, Observed>],
    ) -> Result<Vec<Problem>, Problem> {
        let new = coming.iter().filter(|coming| matches!(coming.action, Action::Create | Action::Replace));
        let new: Vec<_> = new.filter_map(|coming| coming.desired).collect();
        // A VPC that is still to be made has none.
        let vpcs = new.iter().filter_map(|desired| match &desired.vpc {
            Value::Text(id) => Some(id.clone()),
            _ => None,
        });
        let vpcs: BTreeSet<String> = vpcs.collect();
        if vpcs.is_empty() {
            return Ok(Vec::new());
        }
        let among = |name: &str, values: Vec<String>| Filter::builder().name(name).set_values(Some(values)).build();
        let call = clients_of(provider).ec2.describe_security_groups();
        let call = call.filters(among("group-name", new.iter().map(|desired| desired.name.clone()).collect()));
        let answer = call.filters(among("vpc-id", vpcs.into_iter().collect())).send().await;
        let answer = answer.map_err(|error| error.problem("ec2:DescribeSecurityGroups", &cloud.stack))?;
        let theirs = answer
            .security_groups()
            .iter()
            .filter(|group| tags::from_ec2(group.tags()).get(tags::STACK) != Some(&cloud.stack));
        Ok(theirs.filter_map(|group| Some(tags::not_ours("security group", group.group_name()?))).collect())
    }

    fn output(observed: &Observed) -> Output {
        Output::id(observed.group.group_id().unwrap_or_default())
    }

    fn tags(observed: &Observed) -> Option<&Tags> {
        Some(&observed.tags)
    }

    async fn create(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
        let vpc = context.resolve(&desired.vpc)?;
        let request = context
            .clients()
            .ec2
            .create_security_group()
            .group_name(&desired.name)
            .description(desired.description)
            .vpc_id(&vpc)
            .tag_specifications(tags::specification(ResourceType::SecurityGroup, &context.tags()));
        let create = || async {
            match request.clone().send().await {
                Ok(answer) => Ok(answer.group_id),
                Err(error) if error.is(&["InvalidGroup.Duplicate"]) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let (id, present) = match context.fresh("ec2:CreateSecurityGroup", create).await? {
            Some(id) => (id, BTreeSet::new()),
            None => adopt(context, &desired.name, &vpc).await?,
        };
        let desired = desired_accesses(context, desired)?;
        authorize(context, &id, desired.difference(&present)).await?;
        Ok(Output::id(id))
    }

    async fn update(
        context: &ActionContext<'_>,
        desired: &Desired,
        observed: &Observed,
        changes: &[FieldChange],
    ) -> Result<Output, Problem> {
        let output = Self::output(observed);
        let desired = desired_accesses(context, desired)?;
        let present: BTreeSet<_> = accesses(observed.group.ip_permissions()).collect();
        authorize(context, &output.id, desired.difference(&present)).await?;
        if !ways_out(&observed.group).any(|way| way == Access::everywhere()) {
            let request = context.clients().ec2.authorize_security_group_egress().group_id(&output.id);
            let request = request.ip_permissions(Access::everywhere().permission());
            let open = || async { settled(request.clone().send().await, &["InvalidPermission.Duplicate"]) };
            context.fresh("ec2:AuthorizeSecurityGroupEgress", open).await?;
        }
        if touches(changes, &["tags", "ingress", "egress"]) {
            context.write_ec2_tags(vec![output.id.clone()], &context.tags()).await?;
        }
        Ok(Output { members: desired.iter().map(ToString::to_string).collect(), ..output })
    }

    // A way in is closed when nobody comes that way any more.
    async fn prune(context: &ActionContext<'_>, observed: &Observed, kept: &Output) -> Result<(), Problem> {
        let present = accesses(observed.group.ip_permissions());
        let surplus = present.filter(|access| !kept.members.contains(&access.to_string()));
        let surplus: Vec<_> = surplus.map(|access| access.permission()).collect();
        let out = ways_out(&observed.group).filter(|way| *way != Access::everywhere());
        let out: Vec<_> = out.map(|way| way.permission()).collect();
        if !out.is_empty() {
            let call = context.clients().ec2.revoke_security_group_egress().group_id(&kept.id);
            settled(call.set_ip_permissions(Some(out)).send().await, &["InvalidPermission.NotFound"])
                .map_err(|error| error.problem("ec2:RevokeSecurityGroupEgress", context.address))?;
        }
        if surplus.is_empty() {
            return Ok(());
        }
        let call = context.clients().ec2.revoke_security_group_ingress().group_id(&kept.id);
        settled(call.set_ip_permissions(Some(surplus)).send().await, &["InvalidPermission.NotFound"])
            .map_err(|error| error.problem("ec2:RevokeSecurityGroupIngress", context.address))
    }

    async fn delete(context: &ActionContext<'_>, observed: &Observed) -> Result<(), Problem> {
        let id = observed.group.group_id().unwrap_or_default();
        let delete = || async {
            settled(
                context.clients().ec2.delete_security_group().group_id(id).send().await,
                DescribeSecurityGroups::NOT_FOUND,
            )
        };
        let users = || in_use::of_security_group(context, id);
        in_use::delete(context, ("ec2:DeleteSecurityGroup", id), delete, users).await
    }
}

/// One way in: a protocol, ports, and one source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Access {
    protocol: String,
    from: Option<i32>,
    to: Option<i32>,
    /// A CIDR, a security group's id, or a prefix list's.
    source: String,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.ports(), self.source)
    }
}

impl Access {
    /// The way out that AWS gives every new security group (EC2 User Guide, "Default security group rules").
    fn everywhere() -> Self {
        Self { protocol: "-1".to_owned(), from: None, to: None, source: ANYWHERE.to_owned() }
    }

    /// `tcp.80`, `tcp.80-90`, `all`
    fn ports(&self) -> String {
        match (self.protocol.as_str(), self.from, self.to) {
            ("-1", ..) => "all".to_owned(),
            (protocol, Some(from), Some(to)) if from == to => format!("{protocol}.{from}"),
            (protocol, Some(from), Some(to)) => format!("{protocol}.{from}-{to}"),
            (protocol, ..) => protocol.to_owned(),
        }
    }

    fn permission(&self) -> IpPermission {
        let permission =
            IpPermission::builder().ip_protocol(&self.protocol).set_from_port(self.from).set_to_port(self.to);
        let source = self.source.as_str();
        if source.starts_with("sg-") {
            permission.user_id_group_pairs(UserIdGroupPair::builder().group_id(source).build()).build()
        } else if source.starts_with("pl-") {
            permission
                .prefix_list_ids(aws_sdk_ec2::types::PrefixListId::builder().prefix_list_id(source).build())
                .build()
        } else if source.contains(':') {
            permission.ipv6_ranges(aws_sdk_ec2::types::Ipv6Range::builder().cidr_ipv6(source).build()).build()
        } else {
            permission.ip_ranges(IpRange::builder().cidr_ip(source).build()).build()
        }
    }
}

fn accesses(permissions: &[IpPermission]) -> impl Iterator<Item = Access> {
    permissions.iter().flat_map(|permission| {
        let ranges = permission.ip_ranges().iter().filter_map(|range| range.cidr_ip());
        let ranges = ranges.chain(permission.ipv6_ranges().iter().filter_map(|range| range.cidr_ipv6()));
        let ranges = ranges.chain(permission.user_id_group_pairs().iter().filter_map(|pair| pair.group_id()));
        let ranges = ranges.chain(permission.prefix_list_ids().iter().filter_map(|list| list.prefix_list_id()));
        ranges.map(|source| Access {
            protocol: permission.ip_protocol().unwrap_or("-1").to_owned(),
            from: permission.from_port(),
            to: permission.to_port(),
            source: source.to_owned(),
        })
    })
}

/// Where instances may go. A VPC with IPv6 opens that, too, for every new security group.
fn ways_out(group: &Api) -> impl Iterator<Item = Access> {
    let ipv6 = Access { source: "::/0".to_owned(), ..Access::everywhere() };
    let ways = accesses(group.ip_permissions_egress());
    // A range of ports means nothing where all protocols are meant.
    let ways = ways.map(|way| if way.protocol == "-1" { Access { from: None, to: None, ..way } } else { way });
    ways.filter(move |way| *way != ipv6)
}

fn desired_accesses(context: &ActionContext<'_>, desired: &Desired) -> Result<BTreeSet<Access>, Problem> {
    let resolve = |(port, source): (&u16, &Value)| {
        let port = Some(i32::from(*port));
        let access = |source| Access { protocol: "tcp".to_owned(), from: port, to: port, source };
        Ok(context.resolve_all(source)?.into_iter().map(access).collect::<Vec<_>>())
    };
    let accesses = desired.ingress.iter().map(resolve).collect::<Result<Vec<_>, _>>()?;
    Ok(accesses.into_iter().flatten().collect())
}

async fn authorize(
    context: &ActionContext<'_>,
    id: &str,
    missing: impl Iterator<Item = &Access>,
) -> Result<(), Problem> {
    let permissions: Vec<_> = missing.map(Access::permission).collect();
    if permissions.is_empty() {
        return Ok(());
    }
    let authorize = || async {
        let call = context.clients().ec2.authorize_security_group_ingress().group_id(id);
        settled(call.set_ip_permissions(Some(permissions.clone())).send().await, &["InvalidPermission.Duplicate"])
    };
    context.fresh("ec2:AuthorizeSecurityGroupIngress", authorize).await
}

/// A group of our name exists: ours from a run that was killed before AWS listed it, or somebody else's.
async fn adopt(context: &ActionContext<'_>, name: &str, vpc: &str) -> Result<(String, BTreeSet<Access>), Problem> {
    let call = context.clients().ec2.describe_security_groups();
    let call = call.filters(Filter::builder().name("group-name").values(name).build());
    let call = call.filters(Filter::builder().name("vpc-id").values(vpc).build());
    let look = || async {
        let answer = call.clone().send().await;
        let answer = answer.map_err(|error| error.problem("ec2:DescribeSecurityGroups", context.address))?;
        Ok(answer.security_groups.unwrap_or_default().into_iter().next())
    };
    match context.appears(look).await? {
        Some(group) if tags::from_ec2(group.tags()).get(tags::STACK) == Some(&context.run.stack) => {
            Ok((group.group_id().unwrap_or_default().to_owned(), accesses(group.ip_permissions()).collect()))
        }
        _ => Err(tags::not_ours("security group", name)),
    }
}

/// The security groups with the tag of the stack.
#[derive(Debug)]
pub struct DescribeSecurityGroups;

impl Collection for DescribeSecurityGroups {
    type Item = Api;

    const NOT_FOUND: &'static [&'static str] =
        &["InvalidGroup.NotFound", "InvalidGroupId.NotFound", "InvalidSecurityGroup"];

    fn id(item: &Api) -> Option<&str> {
        item.group_id()
    }

    fn tags(item: &Api) -> Tagged {
        Tagged::Here(tags::from_ec2(item.tags()))
    }

    fn leftover(item: &Api) -> Option<String> {
        Some(format!("security group {}", item.group_name()?))
    }
}

impl Listing for DescribeSecurityGroups {
    const DEPTHS: &'static [Depth] = &[Depth::Existence, Depth::Plan];

    async fn list(query: &Query<'_>) -> Result<Option<Vec<Api>>, Problem> {
        let stack = &query.cloud.stack;
        let pages =
            query.clients.ec2.describe_security_groups().filters(filter(Some(stack))).into_paginator().items().send();
        pages.try_collect().await.map(Some).map_err(|error| error.problem("ec2:DescribeSecurityGroups", stack))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_with_two_sources_is_two_ways_in() {
        let tcp80 = Access { protocol: "tcp".into(), from: Some(80), to: Some(80), source: ANYWHERE.into() };
        let office = Access { source: "10.0.0.0/8".into(), ..tcp80.clone() };
        let permission = IpPermission::builder()
            .ip_protocol("tcp")
            .from_port(80)
            .to_port(80)
            .ip_ranges(IpRange::builder().cidr_ip(ANYWHERE).build())
            .ip_ranges(IpRange::builder().cidr_ip("10.0.0.0/8").build())
            .build();
        assert_eq!(accesses(&[permission]).collect::<Vec<_>>(), [tcp80.clone(), office]);
        assert_eq!(accesses(&[tcp80.permission()]).collect::<Vec<_>>(), [tcp80]);
    }
}
