//! Route tables: each VPC's main one, which goes with its VPC, and those that are created and associated with subnets.

use std::collections::BTreeMap;

use super::cidr::Cidr;
use super::internet_gateways;
use crate::region::context::{ACCOUNT, Context};
use crate::region::ec2::listing::{self, Filters, known_ids};
use crate::region::ec2::model::{Operation, returned};
use crate::region::ec2::network::{Network, in_use};
use crate::region::ec2::tags::{self, Tags};
use crate::region::ids::Ids;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] = &[
    Operation::new("CreateRouteTable", "VpcId ClientToken +tags=route-table", |ec2, cx, params| {
        create_route_table(&mut ec2.network, cx, params)
    }),
    Operation::new("DeleteRouteTable", "RouteTableId", |ec2, _, params| delete_route_table(&mut ec2.network, params)),
    Operation::new("DescribeRouteTables", "+filters +pages RouteTableId[]", |ec2, _, params| {
        describe_route_tables(&ec2.network, params)
    }),
    Operation::new("CreateRoute", "RouteTableId DestinationCidrBlock GatewayId", |ec2, _, params| {
        put_route(&mut ec2.network, params, false)
    })
    .differs("A route leads to an internet gateway."),
    Operation::new("ReplaceRoute", "RouteTableId DestinationCidrBlock GatewayId", |ec2, _, params| {
        put_route(&mut ec2.network, params, true)
    })
    .differs("A route leads to an internet gateway."),
    Operation::new("DeleteRoute", "RouteTableId DestinationCidrBlock", |ec2, _, params| {
        delete_route(&mut ec2.network, params)
    }),
    Operation::new("AssociateRouteTable", "RouteTableId SubnetId", |ec2, cx, params| {
        associate_route_table(&mut ec2.network, cx, params)
    }),
    Operation::new("DisassociateRouteTable", "AssociationId", |ec2, _, params| {
        disassociate_route_table(&mut ec2.network, params)
    }),
    Operation::new("ReplaceRouteTableAssociation", "AssociationId RouteTableId", |ec2, cx, params| {
        replace_route_table_association(&mut ec2.network, cx, params)
    }),
];

/// AWS's default quotas: tables of a VPC, routes of a table.
const TABLES_MAX: usize = 200;
const ROUTES_MAX: usize = 50;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct RouteTable {
    pub id: String,
    pub vpc: String,
    /// The internet gateway of each range, beside the VPC's own range, which is always local.
    pub routes: BTreeMap<Cidr, String>,
    /// The subnet of each association; none is the VPC itself, whose main table this then is.
    pub associations: BTreeMap<String, Option<String>>,
    pub tags: Tags,
    /// A repeated call with the same token gets the same table.
    client_token: Option<String>,
}

impl RouteTable {
    pub fn new(ids: &mut Ids, vpc: &str, main: bool) -> Self {
        let id = ids.resource("rtb");
        let associations = if main { BTreeMap::from([(ids.resource("rtbassoc"), None)]) } else { BTreeMap::new() };
        Self { id, vpc: vpc.to_owned(), routes: BTreeMap::new(), associations, tags: Tags::new(), client_token: None }
    }

    pub fn is_main(&self) -> bool {
        self.associations.values().any(Option::is_none)
    }

    fn value(&self, network: &Network) -> Value {
        let local = network.vpcs.get(&self.vpc).map(|vpc| route_value(vpc.cidr, "local", "CreateRouteTable", "active"));
        let routes = self.routes.iter().map(|(destination, gateway)| {
            // A route whose gateway has gone leads nowhere.
            let attached = network.internet_gateways.get(gateway).is_some_and(|it| it.vpc.as_ref() == Some(&self.vpc));
            route_value(*destination, gateway, "CreateRoute", if attached { "active" } else { "blackhole" })
        });
        let association = |(id, subnet): (&String, &Option<String>)| {
            Value::map()
                .with("routeTableAssociationId", Value::from(&**id))
                .with("routeTableId", Value::from(&*self.id))
                .with("subnetId", subnet.as_deref().map(Value::from))
                .with("main", Value::from(subnet.is_none()))
                .with("associationState", associated())
        };
        Value::map()
            .with("routeTableId", Value::from(&*self.id))
            .with("vpcId", Value::from(&*self.vpc))
            .with("ownerId", Value::from(ACCOUNT))
            .with("routeSet", Value::list(local.into_iter().chain(routes)))
            .with("associationSet", Value::list(self.associations.iter().map(association)))
            .with("propagatingVgwSet", Value::list([]))
            .with("tagSet", tags::value(&self.tags))
    }
}

fn route_value(destination: Cidr, gateway: &str, origin: &str, state: &str) -> Value {
    Value::map()
        .with("destinationCidrBlock", Value::from(destination.to_string()))
        .with("gatewayId", Value::from(gateway))
        .with("state", Value::from(state))
        .with("origin", Value::from(origin))
}

fn associated() -> Value {
    Value::map().with("state", Value::from("associated"))
}

/// The table that a request names.
fn named<'a>(network: &'a mut Network, params: &Params) -> Result<&'a mut RouteTable, ApiError> {
    let id = params.required("RouteTableId")?;
    let not_found =
        || ApiError::new("InvalidRouteTableID.NotFound", format!("The routeTable ID '{id}' does not exist"));
    network.route_tables.get_mut(id).ok_or_else(not_found)
}

pub fn create_route_table(network: &mut Network, cx: &mut Context, params: &Params) -> Answer {
    let vpc = network.vpc(Some(params.required("VpcId")?))?.id.clone();
    if network.route_tables.values().filter(|table| table.vpc == vpc).count() >= TABLES_MAX {
        let message = "The maximum number of route tables has been reached.";
        return Err(ApiError::new("RouteTableLimitExceeded", message));
    }
    let tags = tags::specified(params, "route-table")?;
    let token = params.text("ClientToken").filter(|token| !token.is_empty()).map(str::to_owned);
    let made = network.route_tables.values().find(|table| token.is_some() && table.client_token == token);
    if let Some(made) = made {
        return Ok(Value::map().with("routeTable", made.value(network)));
    }
    let table = RouteTable { tags, client_token: token, ..RouteTable::new(cx.ids, &vpc, false) };
    let answer = Value::map().with("routeTable", table.value(network));
    network.route_tables.insert(table.id.clone(), table);
    Ok(answer)
}

pub fn delete_route_table(network: &mut Network, params: &Params) -> Answer {
    let table = named(network, params)?.clone();
    if !table.associations.is_empty() {
        return Err(in_use("routeTable", &table.id));
    }
    network.route_tables.remove(&table.id);
    Ok(returned())
}

/// CreateRoute, and with `replace` ReplaceRoute.
pub fn put_route(network: &mut Network, params: &Params, replace: bool) -> Answer {
    let text = params.required("DestinationCidrBlock")?;
    let destination = Cidr::parse(text).ok_or_else(|| ApiError::invalid("destinationCidrBlock", text))?;
    let gateway = params.text("GatewayId").ok_or_else(|| {
        let message = "A route of the embedded region leads to an internet gateway (GatewayId) only.";
        ApiError::new("InvalidParameterCombination", message)
    })?;
    let attached =
        network.internet_gateways.get(gateway).ok_or_else(|| internet_gateways::not_found(gateway))?.vpc.clone();
    let table = named(network, params)?.clone();
    if attached.as_ref() != Some(&table.vpc) {
        let message = format!("route table {} and network gateway {gateway} belong to different networks", table.id);
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    let there = table.routes.contains_key(&destination);
    let local = network.vpcs.get(&table.vpc).is_some_and(|vpc| vpc.cidr == destination);
    if !replace && (there || local) {
        let message = format!("The route identified by {destination} already exists.");
        return Err(ApiError::new("RouteAlreadyExists", message));
    }
    if replace && !there {
        return Err(no_route(&table.id, destination));
    }
    if table.routes.len() >= ROUTES_MAX {
        return Err(ApiError::new("RouteLimitExceeded", "The maximum number of routes has been reached."));
    }
    named(network, params)?.routes.insert(destination, gateway.to_owned());
    Ok(returned())
}

pub fn delete_route(network: &mut Network, params: &Params) -> Answer {
    let text = params.required("DestinationCidrBlock")?;
    let destination = Cidr::parse(text).ok_or_else(|| ApiError::invalid("destinationCidrBlock", text))?;
    let table = named(network, params)?;
    if !table.routes.contains_key(&destination) {
        return Err(no_route(&table.id, destination));
    }
    table.routes.remove(&destination);
    Ok(returned())
}

fn no_route(table: &str, destination: Cidr) -> ApiError {
    let message = format!("no route with destination-cidr-block {destination} in route table {table}");
    ApiError::new("InvalidRoute.NotFound", message)
}

pub fn associate_route_table(network: &mut Network, cx: &mut Context, params: &Params) -> Answer {
    let subnet = network.subnet(params.required("SubnetId")?)?.clone();
    let table = named(network, params)?.clone();
    if table.vpc != subnet.vpc {
        let message = format!("route table {} and subnet {} belong to different networks", table.id, subnet.id);
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    let taken = network.route_tables.values().flat_map(|table| table.associations.values().flatten());
    if taken.into_iter().any(|other| *other == subnet.id) {
        let message =
            format!("the specified association for route table {} conflicts with an existing association", table.id);
        return Err(ApiError::new("Resource.AlreadyAssociated", message));
    }
    let id = cx.ids.resource("rtbassoc");
    named(network, params)?.associations.insert(id.clone(), Some(subnet.id));
    Ok(Value::map().with("associationId", Value::from(id)).with("associationState", associated()))
}

/// The table that holds an association.
fn holder<'a>(network: &'a mut Network, association: &str) -> Result<&'a mut RouteTable, ApiError> {
    let mut tables = network.route_tables.values_mut();
    tables.find(|table| table.associations.contains_key(association)).ok_or_else(|| {
        let message = format!("The association ID '{association}' does not exist");
        ApiError::new("InvalidAssociationID.NotFound", message)
    })
}

pub fn disassociate_route_table(network: &mut Network, params: &Params) -> Answer {
    let association = params.required("AssociationId")?;
    let table = holder(network, association)?;
    if table.associations[association].is_none() {
        let message = format!("cannot disassociate the main route table association {association}");
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    table.associations.remove(association);
    Ok(returned())
}

/// Gives an association, the main one too, to another table of the VPC.
pub fn replace_route_table_association(network: &mut Network, cx: &mut Context, params: &Params) -> Answer {
    let association = params.required("AssociationId")?;
    let vpc = holder(network, association)?.vpc.clone();
    let table = named(network, params)?;
    if table.vpc != vpc {
        let message = format!("route table {} and association {association} belong to different networks", table.id);
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    let subnet = holder(network, association)?.associations.remove(association).flatten();
    let id = cx.ids.resource("rtbassoc");
    named(network, params)?.associations.insert(id.clone(), subnet);
    Ok(Value::map().with("newAssociationId", Value::from(id)).with("associationState", associated()))
}

pub fn describe_route_tables(network: &Network, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let tables = &network.route_tables;
    let known = |id: &str| tables.contains_key(id);
    let ids = known_ids(params, "RouteTableId", "InvalidRouteTableID.NotFound", "routeTable ID", known)?;
    let mut found = Vec::new();
    for table in tables.values() {
        let keep = filters.keep(&table.tags, |name| field(table, name))?;
        if keep && (ids.is_empty() || ids.contains(&table.id.as_str())) {
            found.push(table);
        }
    }
    let (page, token) = listing::page(params, found, |table| table.id.clone())?;
    Ok(listing::answer("routeTableSet", page.into_iter().map(|table| table.value(network)).collect(), token))
}

fn field(table: &RouteTable, name: &str) -> Option<Vec<String>> {
    let associations = &table.associations;
    Some(match name {
        "route-table-id" => vec![table.id.clone()],
        "vpc-id" => vec![table.vpc.clone()],
        "owner-id" => vec![ACCOUNT.to_owned()],
        "association.main" => associations.values().map(|subnet| subnet.is_none().to_string()).collect(),
        "association.route-table-association-id" => associations.keys().cloned().collect(),
        "association.route-table-id" => associations.keys().map(|_| table.id.clone()).collect(),
        "association.subnet-id" => associations.values().flatten().cloned().collect(),
        "association.gateway-id" => Vec::new(),
        "route.destination-cidr-block" => table.routes.keys().map(ToString::to_string).collect(),
        "route.gateway-id" => table.routes.values().cloned().collect(),
        _ => return None,
    })
}
