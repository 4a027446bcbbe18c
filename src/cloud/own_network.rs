//! The parts of a stack's own network, by tag. A stack without one makes one call for them.
//!
//! The VPC is made first and goes last: where there is none, there is nothing of the network.

use aws_sdk_ec2::types::{InternetGateway, RouteTable, Subnet, Vpc};
use futures_util::try_join;

use super::discover::filter;
use crate::aws::clients::Clients;
use crate::aws::error::CallError;
use crate::problem::Problem;

/// What carries the stack's tag.
#[derive(Clone, Debug, Default)]
pub struct OwnNetwork {
    pub vpcs: Vec<Vpc>,
    pub subnets: Vec<Subnet>,
    pub internet_gateways: Vec<InternetGateway>,
    pub route_tables: Vec<RouteTable>,
}

/// Lists the network; the rest only where there is a VPC.
///
/// # Errors
/// The first call that fails.
pub async fn find(clients: &Clients, stack: &str) -> Result<OwnNetwork, Problem> {
    let pages = clients.ec2.describe_vpcs().filters(filter(Some(stack))).into_paginator().items().send();
    let vpcs = pages.try_collect().await.map_err(|error| error.problem("ec2:DescribeVpcs", stack))?;
    if vpcs.is_empty() {
        return Ok(OwnNetwork::default());
    }
    let (subnets, internet_gateways, route_tables) = try_join!(
        async {
            let pages = clients.ec2.describe_subnets().filters(filter(Some(stack))).into_paginator().items().send();
            pages.try_collect().await.map_err(|error| error.problem("ec2:DescribeSubnets", stack))
        },
        async {
            let request = clients.ec2.describe_internet_gateways().filters(filter(Some(stack)));
            let pages = request.into_paginator().items().send();
            pages.try_collect().await.map_err(|error| error.problem("ec2:DescribeInternetGateways", stack))
        },
        async {
            let request = clients.ec2.describe_route_tables().filters(filter(Some(stack)));
            let pages = request.into_paginator().items().send();
            pages.try_collect().await.map_err(|error| error.problem("ec2:DescribeRouteTables", stack))
        },
    )?;
    let mut network = OwnNetwork { vpcs, subnets, internet_gateways, route_tables };
    // Of two by a call whose answer was lost, the first counts: the one in use.
    let subnets = &network.subnets;
    network.vpcs.sort_by_key(|vpc| !subnets.iter().any(|subnet| subnet.vpc_id() == vpc.vpc_id()));
    network.internet_gateways.sort_by_key(|gateway| gateway.attachments().is_empty());
    network.route_tables.sort_by_key(|table| table.associations().is_empty());
    Ok(network)
}

impl OwnNetwork {
    /// The tags of one of the parts, by id.
    pub fn tags_of(&self, id: &str) -> Option<&[aws_sdk_ec2::types::Tag]> {
        let vpc = || self.vpcs.iter().find(|vpc| vpc.vpc_id() == Some(id)).map(|vpc| vpc.tags());
        let subnet = || self.subnets.iter().find(|subnet| subnet.subnet_id() == Some(id)).map(|subnet| subnet.tags());
        let gateway = || {
            let mut gateways = self.internet_gateways.iter();
            gateways.find(|gateway| gateway.internet_gateway_id() == Some(id)).map(|gateway| gateway.tags())
        };
        let table = || {
            let mut tables = self.route_tables.iter();
            tables.find(|table| table.route_table_id() == Some(id)).map(|table| table.tags())
        };
        vpc().or_else(subnet).or_else(gateway).or_else(table)
    }

    /// One line for each part.
    pub fn in_words(&self) -> Vec<String> {
        let subnets = self.subnets.iter().filter_map(|subnet| Some(format!("subnet {}", subnet.subnet_id()?)));
        let gateways = self.internet_gateways.iter();
        let gateways = gateways.filter_map(|it| Some(format!("internet gateway {}", it.internet_gateway_id()?)));
        let tables = self.route_tables.iter().filter_map(|it| Some(format!("route table {}", it.route_table_id()?)));
        let vpcs = self.vpcs.iter().filter_map(|vpc| Some(format!("VPC {}", vpc.vpc_id()?)));
        subnets.chain(gateways).chain(tables).chain(vpcs).collect()
    }
}
