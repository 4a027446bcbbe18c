//! Network ACLs: numbered rules of subnets. Every VPC comes with its default one, which lets everything through and which
//! every subnet has until it is given another. They are kept and checked; no packet is held up by them.

use std::collections::BTreeMap;

use super::cidr::Cidr;
use crate::region::context::{ACCOUNT, Context};
use crate::region::ec2::listing::{self, Filters, known_ids};
use crate::region::ec2::model::{Operation, returned};
use crate::region::ec2::network::{Network, in_use};
use crate::region::ec2::tags::{self, Tags};
use crate::region::ids::Ids;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] = &[
    Operation::new("CreateNetworkAcl", "VpcId ClientToken +tags=network-acl", |ec2, cx, params| {
        create_network_acl(&mut ec2.network, cx, params)
    })
    .differs("Kept and checked; no packet is held up by a rule."),
    Operation::new("DeleteNetworkAcl", "NetworkAclId", |ec2, _, params| delete_network_acl(&mut ec2.network, params)),
    Operation::new("DescribeNetworkAcls", "+filters +pages NetworkAclId[]", |ec2, _, params| {
        describe_network_acls(&ec2.network, params)
    }),
    Operation::new(
        "CreateNetworkAclEntry",
        "NetworkAclId RuleNumber Egress Protocol RuleAction CidrBlock Ipv6CidrBlock PortRange{From To} Icmp{Code Type}",
        |ec2, _, params| put_entry(&mut ec2.network, params, false),
    ),
    Operation::new(
        "ReplaceNetworkAclEntry",
        "NetworkAclId RuleNumber Egress Protocol RuleAction CidrBlock Ipv6CidrBlock PortRange{From To} Icmp{Code Type}",
        |ec2, _, params| put_entry(&mut ec2.network, params, true),
    ),
    Operation::new("DeleteNetworkAclEntry", "NetworkAclId RuleNumber Egress", |ec2, _, params| {
        delete_entry(&mut ec2.network, params)
    }),
    Operation::new("ReplaceNetworkAclAssociation", "AssociationId NetworkAclId", |ec2, cx, params| {
        replace_association(&mut ec2.network, cx, params)
    }),
];

/// The last rule of every ACL, which AWS shows as `*`, and the largest number that a caller may give.
const LAST_RULE: i64 = 32_767;
const RULE_MAX: i64 = 32_766;
/// AWS's default quotas: ACLs of a VPC, rules of an ACL in each direction.
const ACLS_MAX: usize = 200;
const ENTRIES_MAX: usize = 20;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct NetworkAcl {
    pub id: String,
    pub vpc: String,
    pub is_default: bool,
    /// By direction (egress first) and number.
    entries: BTreeMap<(bool, i64), Entry>,
    pub tags: Tags,
    client_token: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Entry {
    /// IANA's number, or `-1` for all.
    protocol: String,
    allows: bool,
    ipv4: Option<Cidr>,
    ipv6: Option<String>,
    ports: Option<(i64, i64)>,
    /// ICMP's type and code.
    icmp: Option<(i64, i64)>,
}

impl Entry {
    fn of_everything(allows: bool) -> Self {
        let ipv4 = Cidr::parse("0.0.0.0/0");
        Self { protocol: "-1".to_owned(), allows, ipv4, ipv6: None, ports: None, icmp: None }
    }

    fn value(&self, egress: bool, number: i64) -> Value {
        let pair = |first: &str, second: &str, pair: Option<(i64, i64)>| {
            pair.map(|(one, two)| Value::map().with(first, Value::from(one)).with(second, Value::from(two)))
        };
        Value::map()
            .with("ruleNumber", Value::from(number))
            .with("protocol", Value::from(&*self.protocol))
            .with("ruleAction", Value::from(if self.allows { "allow" } else { "deny" }))
            .with("egress", Value::from(egress))
            .with("cidrBlock", self.ipv4.map(|cidr| Value::from(cidr.to_string())))
            .with("ipv6CidrBlock", self.ipv6.as_deref().map(Value::from))
            .with("portRange", pair("from", "to", self.ports))
            .with("icmpTypeCode", pair("type", "code", self.icmp))
    }
}

impl NetworkAcl {
    /// A VPC's own ACL, which lets everything through.
    pub fn default_of(vpc: &str, ids: &mut Ids) -> Self {
        let everything = [true, false].map(|egress| ((egress, 100), Entry::of_everything(true)));
        let mut acl = Self::new(vpc, ids);
        acl.is_default = true;
        acl.entries.extend(everything);
        acl
    }

    /// One that lets nothing through yet.
    fn new(vpc: &str, ids: &mut Ids) -> Self {
        let last = [true, false].map(|egress| ((egress, LAST_RULE), Entry::of_everything(false)));
        Self {
            id: ids.resource("acl"),
            vpc: vpc.to_owned(),
            is_default: false,
            entries: last.into_iter().collect(),
            tags: Tags::new(),
            client_token: None,
        }
    }

    /// What its entries have in a field of the filter `entry.…` (DescribeNetworkAcls, `Filters`); `None` for no such field.
    fn entry_values(&self, field: &str) -> Option<Vec<String>> {
        let ports = |end: fn((i64, i64)) -> i64| self.each(move |_, entry| entry.ports.map(|it| end(it).to_string()));
        let icmp = |end: fn((i64, i64)) -> i64| self.each(move |_, entry| entry.icmp.map(|it| end(it).to_string()));
        Some(match field {
            "cidr" => self.each(|_, entry| entry.ipv4.map(|cidr| cidr.to_string())),
            "ipv6-cidr" => self.each(|_, entry| entry.ipv6.clone()),
            "egress" => self.each(|(egress, _), _| Some(egress.to_string())),
            "rule-number" => self.each(|(_, number), _| Some(number.to_string())),
            "protocol" => self.each(|_, entry| Some(entry.protocol.clone())),
            "rule-action" => self.each(|_, entry| Some(if entry.allows { "allow" } else { "deny" }.to_owned())),
            "port-range.from" => ports(|(from, _)| from),
            "port-range.to" => ports(|(_, to)| to),
            "icmp.type" => icmp(|(kind, _)| kind),
            "icmp.code" => icmp(|(_, code)| code),
            _ => return None,
        })
    }

    fn each(&self, of: impl Fn((bool, i64), &Entry) -> Option<String>) -> Vec<String> {
        self.entries.iter().filter_map(|(key, entry)| of(*key, entry)).collect()
    }

    fn value(&self, network: &Network) -> Value {
        let association = |(association, subnet): (String, &str)| {
            Value::map()
                .with("networkAclAssociationId", Value::from(association))
                .with("networkAclId", Value::from(&*self.id))
                .with("subnetId", Value::from(subnet))
        };
        let entries = self.entries.iter().map(|((egress, number), entry)| entry.value(*egress, *number));
        Value::map()
            .with("networkAclId", Value::from(&*self.id))
            .with("vpcId", Value::from(&*self.vpc))
            .with("ownerId", Value::from(ACCOUNT))
            .with("default", Value::from(self.is_default))
            .with("entrySet", Value::list(entries))
            .with("associationSet", Value::list(associations(network, self).into_iter().map(association)))
            .with("tagSet", tags::value(&self.tags))
    }
}

/// The association and the subnet of every subnet that has this ACL.
fn associations<'a>(network: &'a Network, acl: &NetworkAcl) -> Vec<(String, &'a str)> {
    let of_vpc = network.subnets.values().filter(|subnet| subnet.vpc == acl.vpc);
    let association = |subnet: &'a super::subnets::Subnet| match &subnet.acl {
        Some((association, id)) => (*id == acl.id).then(|| (association.clone(), &*subnet.id)),
        // The first association of a subnet follows from its id.
        None => acl.is_default.then(|| (subnet.id.replace("subnet-", "aclassoc-"), &*subnet.id)),
    };
    of_vpc.filter_map(association).collect()
}

fn named<'a>(network: &'a mut Network, params: &Params) -> Result<&'a mut NetworkAcl, ApiError> {
    let id = params.required("NetworkAclId")?;
    network.acls.get_mut(id).ok_or_else(|| {
        ApiError::new("InvalidNetworkAclID.NotFound", format!("The networkAcl ID '{id}' does not exist"))
    })
}

fn create_network_acl(network: &mut Network, cx: &mut Context, params: &Params) -> Answer {
    let vpc = network.vpc(Some(params.required("VpcId")?))?.id.clone();
    let token = params.text("ClientToken").map(str::to_owned);
    if let Some(made) = network.acls.values().find(|acl| token.is_some() && acl.client_token == token) {
        return Ok(Value::map().with("networkAcl", made.value(network)));
    }
    if network.acls.values().filter(|acl| acl.vpc == vpc).count() >= ACLS_MAX {
        let message = "The maximum number of network ACLs has been reached.";
        return Err(ApiError::new("NetworkAclLimitExceeded", message));
    }
    let tags = tags::specified(params, "network-acl")?;
    let acl = NetworkAcl { tags, client_token: token, ..NetworkAcl::new(&vpc, cx.ids) };
    let answer = Value::map().with("networkAcl", acl.value(network));
    network.acls.insert(acl.id.clone(), acl);
    Ok(answer)
}

fn delete_network_acl(network: &mut Network, params: &Params) -> Answer {
    let acl = named(network, params)?.clone();
    if acl.is_default {
        let message = format!("network ACL {} is the default of its VPC and cannot be deleted", acl.id);
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    if !associations(network, &acl).is_empty() {
        return Err(in_use("networkAcl", &acl.id));
    }
    network.acls.remove(&acl.id);
    Ok(returned())
}

fn describe_network_acls(network: &Network, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let known = |id: &str| network.acls.contains_key(id);
    let ids = known_ids(params, "NetworkAclId", "InvalidNetworkAclID.NotFound", "networkAcl ID", known)?;
    let mut found = Vec::new();
    for acl in network.acls.values() {
        let associated = associations(network, acl);
        let keep = filters.keep(&acl.tags, |name| match name {
            "network-acl-id" | "association.network-acl-id" => Some(vec![acl.id.clone()]),
            "vpc-id" => Some(vec![acl.vpc.clone()]),
            "default" => Some(vec![acl.is_default.to_string()]),
            "association.subnet-id" => Some(associated.iter().map(|(_, subnet)| (*subnet).to_owned()).collect()),
            "association.association-id" => Some(associated.iter().map(|(id, _)| id.clone()).collect()),
            "owner-id" => Some(vec![ACCOUNT.to_owned()]),
            _ => name.strip_prefix("entry.").and_then(|field| acl.entry_values(field)),
        })?;
        if keep && (ids.is_empty() || ids.contains(&&*acl.id)) {
            found.push(acl);
        }
    }
    let (page, token) = listing::page(params, found, |acl| acl.id.clone())?;
    Ok(listing::answer("networkAclSet", page.into_iter().map(|acl| acl.value(network)).collect(), token))
}

/// CreateNetworkAclEntry, and with `replace` ReplaceNetworkAclEntry.
fn put_entry(network: &mut Network, params: &Params, replace: bool) -> Answer {
    let (egress, number) = key(params)?;
    let entry = entry(params)?;
    let acl = named(network, params)?;
    match (acl.entries.contains_key(&(egress, number)), replace) {
        (true, false) => {
            let message = format!("The network acl entry identified by {number} already exists.");
            return Err(ApiError::new("NetworkAclEntryAlreadyExists", message));
        }
        (false, true) => return Err(no_entry(&acl.id, number)),
        _ => {}
    }
    if !replace && acl.entries.keys().filter(|(direction, _)| *direction == egress).count() > ENTRIES_MAX {
        let message = "The maximum number of network ACL entries has been reached.";
        return Err(ApiError::new("NetworkAclEntryLimitExceeded", message));
    }
    acl.entries.insert((egress, number), entry);
    Ok(returned())
}

fn delete_entry(network: &mut Network, params: &Params) -> Answer {
    let key = key(params)?;
    let acl = named(network, params)?;
    match acl.entries.remove(&key) {
        Some(_) => Ok(returned()),
        None => Err(no_entry(&acl.id, key.1)),
    }
}

fn no_entry(acl: &str, number: i64) -> ApiError {
    let message = format!("The network ACL entry with rule number {number} does not exist in {acl}");
    ApiError::new("InvalidNetworkAclEntry.NotFound", message)
}

/// The direction and the number of a rule.
fn key(params: &Params) -> Result<(bool, i64), ApiError> {
    let number = params.int("RuleNumber")?.ok_or_else(|| ApiError::missing("ruleNumber"))?;
    let egress = params.bool("Egress")?.ok_or_else(|| ApiError::missing("egress"))?;
    if !(1..=RULE_MAX).contains(&number) {
        return Err(ApiError::invalid("ruleNumber", &number.to_string()));
    }
    Ok((egress, number))
}

fn entry(params: &Params) -> Result<Entry, ApiError> {
    let protocol = match params.required("Protocol")?.to_ascii_lowercase().as_str() {
        "tcp" => "6".to_owned(),
        "udp" => "17".to_owned(),
        "icmp" => "1".to_owned(),
        "all" | "-1" => "-1".to_owned(),
        number if number.parse::<u8>().is_ok() => number.to_owned(),
        other => return Err(ApiError::invalid("protocol", other)),
    };
    let allows = match params.required("RuleAction")? {
        "allow" => true,
        "deny" => false,
        other => return Err(ApiError::invalid("ruleAction", other)),
    };
    let ipv4 =
        params.text("CidrBlock").map(|text| Cidr::parse(text).ok_or_else(|| ApiError::invalid("cidrBlock", text)));
    let ipv6 = params.text("Ipv6CidrBlock").map(str::to_owned);
    if ipv4.is_some() == ipv6.is_some() {
        let message = "Exactly one of cidrBlock and ipv6CidrBlock must be specified.";
        return Err(ApiError::new("InvalidParameterCombination", message));
    }
    let range = params.map("PortRange").unwrap_or_default();
    let ports = range.int("From")?.zip(range.int("To")?);
    let is_ported = matches!(protocol.as_str(), "6" | "17");
    match ports {
        None if is_ported => return Err(ApiError::missing("portRange")),
        Some((from, to)) if is_ported && !(0 <= from && from <= to && to <= 65_535) => {
            return Err(ApiError::new("InvalidParameterValue", format!("Invalid TCP/UDP port range ({from}:{to})")));
        }
        _ => {}
    }
    let icmp = params.map("Icmp").unwrap_or_default();
    let icmp = icmp.int("Type")?.zip(icmp.int("Code")?);
    let ports = ports.filter(|_| is_ported);
    Ok(Entry { protocol, allows, ipv4: ipv4.transpose()?, ipv6, ports, icmp })
}

/// Gives the subnet of an association another ACL; the association gets a new id.
fn replace_association(network: &mut Network, cx: &mut Context, params: &Params) -> Answer {
    let wanted = params.required("AssociationId")?;
    let acl = named(network, params)?.clone();
    let mut all = network.acls.values().flat_map(|acl| associations(network, acl));
    let subnet = all.find(|(id, _)| id == wanted).map(|(_, subnet)| subnet.to_owned());
    let subnet = subnet.and_then(|id| network.subnets.get_mut(&id)).ok_or_else(|| {
        let message = format!("The association ID '{wanted}' does not exist");
        ApiError::new("InvalidAssociationID.NotFound", message)
    })?;
    if subnet.vpc != acl.vpc {
        let message = format!("network ACL {} and subnet {} belong to different networks", acl.id, subnet.id);
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    let association = cx.ids.resource("aclassoc");
    subnet.acl = Some((association.clone(), acl.id));
    Ok(Value::map().with("newAssociationId", Value::from(association)))
}
