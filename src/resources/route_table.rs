//! The route table of a stack's own network: everything outside the VPC goes through the internet gateway.
//!
//! Subnets associate themselves with it ([`subnet`](super::subnet)), so whoever has a subnet has its route.

use aws_sdk_ec2::types::{ResourceType, Route, RouteOrigin, RouteTable as Api};

use super::network;
use super::vpc::DescribeVpcs;
use super::{in_use, internet_gateway};
use crate::aws::error::{CallError, settled};
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

pub const ADDRESS: Address = Address::fixed("network.route_table");
const EVERYWHERE: &str = "0.0.0.0/0";

#[derive(Debug)]
pub struct RouteTable;

#[derive(Clone, Debug)]
pub struct Observed {
    api: Api,
    tags: Tags,
}

impl Observed {
    /// (destination, what it leads to) of the routes that somebody has made: neither the VPC's own range nor what AWS
    /// puts in for gateway endpoints and virtual private gateways.
    fn routes(&self) -> impl Iterator<Item = (&str, &str)> {
        let made =
            self.api.routes().iter().filter(|route| route.origin() != Some(&RouteOrigin::EnableVgwRoutePropagation));
        made.filter_map(|route| {
            let destination = route.destination_cidr_block().or(route.destination_ipv6_cidr_block())?;
            Some((destination, target(route)?)).filter(|(_, target)| *target != "local")
        })
    }
}

fn target(route: &Route) -> Option<&str> {
    let targets = [
        route.gateway_id(),
        route.nat_gateway_id(),
        route.transit_gateway_id(),
        route.vpc_peering_connection_id(),
        route.egress_only_internet_gateway_id(),
        route.instance_id(),
        route.network_interface_id(),
    ];
    targets.into_iter().flatten().next()
}

impl Resource for RouteTable {
    type Desired = ();
    type Observed = Observed;

    const KIND: &'static str = "route_table";
    const LISTINGS: &'static [&'static dyn ErasedListing] = &[&Bulk::<DescribeRouteTables>::NEW];
    const REPLACE_ON: &'static [&'static str] = &["vpc"];

    fn desired(scope: &Scope<'_>) -> Vec<(Address, ())> {
        match scope.stack.network {
            Network::Created { .. } => vec![(ADDRESS, ())],
            Network::Default | Network::Existing { .. } => Vec::new(),
        }
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Observed)> {
        let mut tables: Vec<_> = cloud.all::<DescribeRouteTables>().iter().collect();
        tables.sort_by_key(|table| table.associations().is_empty());
        let ours = tables.into_iter().filter_map(|api| {
            let tags = tags::from_ec2(api.tags());
            Some((tags::address(&tags)?, Observed { api: api.clone(), tags }))
        });
        ours.collect()
    }

    fn desired_fields((): &()) -> Fields {
        let fields = Fields::default().reference("vpc", network::VPC);
        fields.reference(format!("route.{EVERYWHERE}"), internet_gateway::ADDRESS)
    }

    fn observed_fields(observed: &Observed, cloud: &Snapshot) -> Fields {
        let vpc = Value::observed(cloud, observed.api.vpc_id().unwrap_or_default());
        observed.routes().fold(Fields::default().value("vpc", vpc), |fields, (destination, target)| {
            fields.value(format!("route.{destination}"), Value::observed(cloud, target))
        })
    }

    fn output(observed: &Observed) -> Output {
        Output::id(observed.api.route_table_id().unwrap_or_default())
    }

    fn tags(observed: &Observed) -> Option<&Tags> {
        Some(&observed.tags)
    }

    async fn create(context: &ActionContext<'_>, (): &()) -> Result<Output, Problem> {
        let vpc = context.output(&network::VPC)?.id;
        let request = context.clients().ec2.create_route_table().vpc_id(&vpc);
        let request = request
            .client_token(crate::resource::fields::short_hash([&*context.run.stack, context.address.as_str(), &vpc]))
            .tag_specifications(tags::specification(ResourceType::RouteTable, &context.tags()));
        let answer = context.fresh("ec2:CreateRouteTable", || request.clone().send()).await?;
        let id = answer.route_table().and_then(|table| table.route_table_id()).unwrap_or_default();
        lead_out(context, id, false).await?;
        Ok(Output::id(id))
    }

    async fn update(
        context: &ActionContext<'_>,
        (): &(),
        observed: &Observed,
        changes: &[FieldChange],
    ) -> Result<Output, Problem> {
        let output = Self::output(observed);
        let desired = format!("route.{EVERYWHERE}");
        if touches(changes, &[&desired]) {
            let there = observed.routes().any(|(destination, _)| destination == EVERYWHERE);
            lead_out(context, &output.id, there).await?;
        }
        for (destination, _) in observed.routes().filter(|(destination, _)| *destination != EVERYWHERE) {
            let request = context.clients().ec2.delete_route().route_table_id(&output.id);
            let call = match destination.contains(':') {
                true => request.destination_ipv6_cidr_block(destination).send().await,
                false => request.destination_cidr_block(destination).send().await,
            };
            settled(call, &["InvalidRoute.NotFound"])
                .map_err(|error| error.problem("ec2:DeleteRoute", context.address))?;
        }
        context.write_ec2_tags(vec![output.id.clone()], &context.tags()).await?;
        Ok(output)
    }

    async fn delete(context: &ActionContext<'_>, observed: &Observed) -> Result<(), Problem> {
        let id = observed.api.route_table_id().unwrap_or_default();
        let delete = || async {
            settled(
                context.clients().ec2.delete_route_table().route_table_id(id).send().await,
                DescribeRouteTables::NOT_FOUND,
            )
        };
        in_use::delete(context, ("ec2:DeleteRouteTable", id), delete, || in_use::of_route_table(context, id)).await
    }
}

/// The route to everywhere, through our gateway.
async fn lead_out(context: &ActionContext<'_>, table: &str, there: bool) -> Result<(), Problem> {
    let ec2 = &context.clients().ec2;
    let gateway = context.output(&internet_gateway::ADDRESS)?.id;
    if there {
        let call = ec2.replace_route().route_table_id(table).destination_cidr_block(EVERYWHERE).gateway_id(gateway);
        return call.send().await.map(|_| ()).map_err(|error| error.problem("ec2:ReplaceRoute", context.address));
    }
    let create = || async {
        let call = ec2.create_route().route_table_id(table).destination_cidr_block(EVERYWHERE).gateway_id(&gateway);
        settled(call.send().await, &["RouteAlreadyExists"])
    };
    context.fresh("ec2:CreateRoute", create).await
}

/// The route tables of a network of the stack's own.
#[derive(Debug)]
pub struct DescribeRouteTables;

impl Collection for DescribeRouteTables {
    type Item = Api;

    const NOT_FOUND: &'static [&'static str] = &["InvalidRouteTableID.NotFound"];

    fn id(item: &Api) -> Option<&str> {
        item.route_table_id()
    }

    fn tags(item: &Api) -> Tagged {
        Tagged::Here(tags::from_ec2(item.tags()))
    }

    fn leftover(item: &Api) -> Option<String> {
        Some(format!("route table {}", item.route_table_id()?))
    }
}

impl Listing for DescribeRouteTables {
    const ROUND: u8 = 1;
    const DEPTHS: &'static [Depth] = &[Depth::Existence, Depth::Plan];
    const BELOW: Option<&'static dyn ErasedCollection> = Some(&Bulk::<DescribeVpcs>::NEW);

    async fn list(query: &Query<'_>) -> Result<Option<Vec<Api>>, Problem> {
        let stack = &query.cloud.stack;
        let pages =
            query.clients.ec2.describe_route_tables().filters(filter(Some(stack))).into_paginator().items().send();
        pages.try_collect().await.map(Some).map_err(|error| error.problem("ec2:DescribeRouteTables", stack))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_that_nobody_made_by_hand_are_left_out() {
        let route = |destination: &str| Route::builder().destination_cidr_block(destination);
        let endpoint = Route::builder().destination_prefix_list_id("pl-1").gateway_id("vpce-1");
        let api = Api::builder()
            .routes(route("10.0.0.0/16").gateway_id("local").build())
            .routes(route(EVERYWHERE).gateway_id("igw-1").build())
            .routes(route("192.168.0.0/16").gateway_id("vgw-1").origin(RouteOrigin::EnableVgwRoutePropagation).build())
            .routes(route("172.16.0.0/12").nat_gateway_id("nat-1").build())
            .routes(endpoint.build());
        let observed = Observed { api: api.build(), tags: Tags::new() };
        assert_eq!(observed.routes().collect::<Vec<_>>(), [(EVERYWHERE, "igw-1"), ("172.16.0.0/12", "nat-1")]);
    }
}
