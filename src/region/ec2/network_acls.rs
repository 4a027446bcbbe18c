//! Network ACLs: every VPC has its default one, which lets everything through; there are no others.
//!
//! It is derived from the VPC; nothing is kept.

use super::listing::{self, Filters, known_ids};
use super::model::Operation;
use super::network::Network;
use super::tags::Tags;
use super::vpcs::Vpc;
use crate::region::context::ACCOUNT;
use crate::region::wire::{Answer, Params, Value};

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] =
    &[Operation::new("DescribeNetworkAcls", "+filters +pages NetworkAclId[]", |ec2, _, params| {
        describe_network_acls(&ec2.network, params)
    })
    .differs("Each VPC has its default list, which lets everything through.")];

/// The last rule of every ACL, which AWS shows as `*`.
const LAST_RULE: i64 = 32767;

fn id_of(vpc: &Vpc) -> String {
    vpc.id.replace("vpc-", "acl-")
}

pub fn describe_network_acls(network: &Network, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let known = |id: &str| network.vpcs.values().any(|vpc| id_of(vpc) == id);
    let ids = known_ids(params, "NetworkAclId", "InvalidNetworkAclID.NotFound", "networkAcl ID", known)?;
    let mut found = Vec::new();
    for vpc in network.vpcs.values() {
        let keep = filters.keep(&Tags::new(), |name| match name {
            "network-acl-id" | "association.network-acl-id" => Some(vec![id_of(vpc)]),
            "vpc-id" => Some(vec![vpc.id.clone()]),
            "default" => Some(vec!["true".to_owned()]),
            "association.subnet-id" => Some(subnets(network, vpc).map(str::to_owned).collect()),
            "owner-id" => Some(vec![ACCOUNT.to_owned()]),
            _ => None,
        })?;
        if keep && (ids.is_empty() || ids.contains(&&*id_of(vpc))) {
            found.push(vpc);
        }
    }
    let (page, token) = listing::page(params, found, |vpc| id_of(vpc))?;
    Ok(listing::answer("networkAclSet", page.into_iter().map(|vpc| value(network, vpc)).collect(), token))
}

fn subnets<'a>(network: &'a Network, vpc: &'a Vpc) -> impl Iterator<Item = &'a str> {
    network.subnets.values().filter(|subnet| subnet.vpc == vpc.id).map(|subnet| &*subnet.id)
}

fn value(network: &Network, vpc: &Vpc) -> Value {
    let entry = |number: i64, action: &str, egress: bool| {
        Value::map()
            .with("ruleNumber", Value::from(number))
            .with("protocol", Value::from("-1"))
            .with("ruleAction", Value::from(action))
            .with("egress", Value::from(egress))
            .with("cidrBlock", Value::from("0.0.0.0/0"))
    };
    let entries =
        [true, false].into_iter().flat_map(|egress| [entry(100, "allow", egress), entry(LAST_RULE, "deny", egress)]);
    let association = |subnet: &str| {
        Value::map()
            .with("networkAclAssociationId", Value::from(subnet.replace("subnet-", "aclassoc-")))
            .with("networkAclId", Value::from(id_of(vpc)))
            .with("subnetId", Value::from(subnet))
    };
    Value::map()
        .with("networkAclId", Value::from(id_of(vpc)))
        .with("vpcId", Value::from(&*vpc.id))
        .with("ownerId", Value::from(ACCOUNT))
        .with("default", Value::from(true))
        .with("entrySet", Value::list(entries))
        .with("associationSet", Value::list(subnets(network, vpc).map(association)))
        .with("tagSet", Value::list([]))
}
