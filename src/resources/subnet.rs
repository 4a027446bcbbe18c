//! A public subnet of a stack's own network: one a zone, with a part of the VPC's range and the way to the internet.

use aws_sdk_ec2::types::{AttributeBooleanValue, Filter, ResourceType, RouteTableAssociation, Subnet as Api};

use super::network;
use super::route_table::DescribeRouteTables;
use super::vpc::DescribeVpcs;
use super::{in_use, route_table};
use crate::aws::error::{CallError, settled};
use crate::aws::quirks;
use crate::cloud::address::Address;
use crate::cloud::discover::filter;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{
    Bulk, Collection, Depth, ErasedCollection, ErasedListing, Listing, Query, Tagged,
};
use crate::cloud::tags::{self, Tags};
use crate::problem::Problem;
use crate::resource::change::FieldChange;
use crate::resource::context::ActionContext;
use crate::resource::fields::{Fields, Value};
use crate::resource::{Output, Resource, Scope, touches};
use crate::stack::model::Network;
use crate::stack::network::subnet_range;

#[derive(Debug)]
pub struct Subnet;

#[derive(Clone, Debug)]
pub struct Desired {
    pub cidr: String,
    pub zone: String,
}

#[derive(Clone, Debug)]
pub struct Observed {
    api: Api,
    tags: Tags,
    /// With a table of ours.
    association: Option<RouteTableAssociation>,
}

impl Resource for Subnet {
    type Desired = Desired;
    type Observed = Observed;

    const KIND: &'static str = "subnet";
    const LISTINGS: &'static [&'static dyn ErasedListing] = &[&Bulk::<DescribeSubnets>::NEW];
    const REPLACE_ON: &'static [&'static str] = &["vpc", "cidr", "zone"];

    fn desired(scope: &Scope<'_>) -> Vec<(Address, Desired)> {
        let Network::Created { cidr, .. } = &scope.stack.network else { return Vec::new() };
        let subnets = network::of(scope).subnets.iter().zip(0..).filter_map(|(subnet, index)| {
            let desired = Desired { cidr: subnet_range(cidr, index)?, zone: subnet.zone.clone() };
            Some((network::subnet_address(&subnet.zone), desired))
        });
        subnets.collect()
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Observed)> {
        let ours = cloud.all::<DescribeSubnets>().iter().filter_map(|api| {
            let tags = tags::from_ec2(api.tags());
            let mut associations = cloud.all::<DescribeRouteTables>().iter().flat_map(|table| table.associations());
            let association = associations.find(|association| association.subnet_id() == api.subnet_id()).cloned();
            Some((tags::address(&tags)?, Observed { api: api.clone(), tags, association }))
        });
        ours.collect()
    }

    fn desired_fields(desired: &Desired) -> Fields {
        Fields::default()
            .reference("vpc", network::VPC)
            .text("cidr", &desired.cidr)
            .text("zone", &desired.zone)
            .text("public_addresses", true)
            .reference("route_table", route_table::ADDRESS)
    }

    fn observed_fields(observed: &Observed, cloud: &Snapshot) -> Fields {
        let api = &observed.api;
        let fields = Fields::default()
            .value("vpc", Value::observed(cloud, api.vpc_id().unwrap_or_default()))
            .maybe("cidr", api.cidr_block())
            .maybe("zone", api.availability_zone())
            .text("public_addresses", api.map_public_ip_on_launch().unwrap_or_default());
        match observed.association.as_ref().and_then(|association| association.route_table_id()) {
            Some(table) => fields.value("route_table", Value::observed(cloud, table)),
            None => fields,
        }
    }

    fn output(observed: &Observed) -> Output {
        Output::id(observed.api.subnet_id().unwrap_or_default())
    }

    fn tags(observed: &Observed) -> Option<&Tags> {
        Some(&observed.tags)
    }

    async fn create(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
        let vpc = context.output(&network::VPC)?.id;
        let request = context.clients().ec2.create_subnet().vpc_id(&vpc).cidr_block(&desired.cidr);
        let request = request
            .availability_zone(&desired.zone)
            .tag_specifications(tags::specification(ResourceType::Subnet, &context.tags()));
        let create = || async {
            match request.clone().send().await {
                Ok(answer) => Ok(answer.subnet().and_then(|subnet| subnet.subnet_id()).map(str::to_owned)),
                Err(error) if error.is(&["InvalidSubnet.Conflict"]) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let id = match context.fresh("ec2:CreateSubnet", create).await? {
            Some(id) => id,
            None => adopt(context, &vpc, &desired.cidr).await?,
        };
        give_public_addresses(context, &id).await?;
        associate(context, &id).await?;
        Ok(Output::id(id))
    }

    async fn update(
        context: &ActionContext<'_>,
        _desired: &Desired,
        observed: &Observed,
        changes: &[FieldChange],
    ) -> Result<Output, Problem> {
        let output = Self::output(observed);
        if touches(changes, &["public_addresses"]) {
            give_public_addresses(context, &output.id).await?;
        }
        if touches(changes, &["route_table"]) {
            associate(context, &output.id).await?;
        }
        context.write_ec2_tags(vec![output.id.clone()], &context.tags()).await?;
        Ok(output)
    }

    async fn delete(context: &ActionContext<'_>, observed: &Observed) -> Result<(), Problem> {
        let id = observed.api.subnet_id().unwrap_or_default();
        let ec2 = &context.clients().ec2;
        if let Some(association) = observed.association.as_ref().and_then(|it| it.route_table_association_id()) {
            quirks::disassociate(context.clients(), association, context.address).await?;
        }
        let delete = || async { settled(ec2.delete_subnet().subnet_id(id).send().await, DescribeSubnets::NOT_FOUND) };
        in_use::delete(context, ("ec2:DeleteSubnet", id), delete, || in_use::of_subnet(context, id)).await
    }
}

/// Instances fetch packages at boot, so each gets a public address; the security group still lets nobody in.
async fn give_public_addresses(context: &ActionContext<'_>, id: &str) -> Result<(), Problem> {
    let on = AttributeBooleanValue::builder().value(true).build();
    let request = context.clients().ec2.modify_subnet_attribute().subnet_id(id).map_public_ip_on_launch(on);
    context.fresh("ec2:ModifySubnetAttribute", || request.clone().send()).await.map(|_| ())
}

/// Puts the subnet on our route table, whichever it is on now.
async fn associate(context: &ActionContext<'_>, id: &str) -> Result<(), Problem> {
    let ec2 = &context.clients().ec2;
    let table = context.output(&route_table::ADDRESS)?.id;
    let associate = || async {
        match ec2.associate_route_table().route_table_id(&table).subnet_id(id).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.is(&["Resource.AlreadyAssociated"]) => Ok(false),
            Err(error) => Err(error),
        }
    };
    if context.fresh("ec2:AssociateRouteTable", associate).await? {
        return Ok(());
    }
    let tables = ec2.describe_route_tables();
    let tables = tables.filters(Filter::builder().name("association.subnet-id").values(id).build()).send().await;
    let tables = tables.map_err(|error| error.problem("ec2:DescribeRouteTables", context.address))?;
    let associations = tables.route_tables().iter().flat_map(|table| table.associations());
    let other = associations
        .filter(|association| association.subnet_id() == Some(id))
        .find(|association| association.route_table_id() != Some(&table));
    let Some(other) = other.and_then(|association| association.route_table_association_id()) else {
        return Ok(());
    };
    let call = ec2.replace_route_table_association().association_id(other).route_table_id(table).send().await;
    call.map(|_| ()).map_err(|error| error.problem("ec2:ReplaceRouteTableAssociation", context.address))
}

/// The range is taken: by this very subnet, made by a call whose answer was lost, or by somebody else's.
async fn adopt(context: &ActionContext<'_>, vpc: &str, cidr: &str) -> Result<String, Problem> {
    let filter = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
    let call =
        context.clients().ec2.describe_subnets().filters(filter("vpc-id", vpc)).filters(filter("cidr-block", cidr));
    let look = || async {
        let answer = call.clone().send().await;
        let answer = answer.map_err(|error| error.problem("ec2:DescribeSubnets", context.address))?;
        Ok(answer.subnets.unwrap_or_default().into_iter().next())
    };
    let is_ours = |subnet: &Api| tags::address(&tags::from_ec2(subnet.tags())).as_ref() == Some(context.address);
    let ours = context.appears(look).await?.filter(is_ours);
    ours.and_then(|subnet| subnet.subnet_id).ok_or_else(|| {
        Problem::new(
            "Conflicting subnet",
            format!("{} needs {cidr}, which overlaps a subnet of {vpc}", context.address),
        )
        .hint("delete that subnet, which is not cloudscale's, and run `cloudscale up` again")
    })
}

/// The subnets of a network of the stack's own; the VPC is made first and goes last, so without one there are none.
#[derive(Debug)]
pub struct DescribeSubnets;

impl Collection for DescribeSubnets {
    type Item = Api;

    const NOT_FOUND: &'static [&'static str] = &["InvalidSubnetID.NotFound", "SubnetNotFound"];

    fn id(item: &Api) -> Option<&str> {
        item.subnet_id()
    }

    fn refers_to(item: &Api) -> Vec<&str> {
        item.vpc_id().into_iter().collect()
    }

    fn tags(item: &Api) -> Tagged {
        Tagged::Here(tags::from_ec2(item.tags()))
    }

    fn leftover(item: &Api) -> Option<String> {
        Some(format!("subnet {}", item.subnet_id()?))
    }
}

impl Listing for DescribeSubnets {
    const ROUND: u8 = 1;
    const DEPTHS: &'static [Depth] = &[Depth::Existence, Depth::Plan];
    const BELOW: Option<&'static dyn ErasedCollection> = Some(&Bulk::<DescribeVpcs>::NEW);

    async fn list(query: &Query<'_>) -> Result<Option<Vec<Api>>, Problem> {
        let stack = &query.cloud.stack;
        let pages = query.clients.ec2.describe_subnets().filters(filter(Some(stack))).into_paginator().items().send();
        pages.try_collect().await.map(Some).map_err(|error| error.problem("ec2:DescribeSubnets", stack))
    }
}
