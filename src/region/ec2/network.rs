//! The region's network: its zones, the default VPC and one default subnet in each zone.
//!
//! The default VPC's range is loopback, 127.31.0.0/16, so that an instance's private address is one that every program of
//! this machine reaches.

use std::collections::BTreeMap;

use super::listing::{self, Filters, known_ids};
use super::tags::{self, Tags};
use crate::region::addresses::{Addresses, VPC_CIDR, net_cidr};
use crate::region::context::{ACCOUNT, Context};
use crate::region::ids::Ids;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// The zones' letters; each has one default subnet, the /20 net of the same number.
pub const ZONES: [char; 6] = ['a', 'b', 'c', 'd', 'e', 'f'];

#[derive(Debug)]
pub struct Vpc {
    pub id: String,
    pub tags: Tags,
}

#[derive(Debug)]
pub struct Subnet {
    pub id: String,
    pub vpc: String,
    pub zone: String,
    /// The /20 net of [`Addresses`] that it takes its addresses from.
    pub net: u8,
    pub tags: Tags,
}

/// VPCs and subnets by id.
#[derive(Debug, Default)]
pub struct Network {
    pub vpcs: BTreeMap<String, Vpc>,
    pub subnets: BTreeMap<String, Subnet>,
}

impl Network {
    /// The network that every account starts with.
    pub fn default_of(region: &str, ids: &mut Ids) -> Self {
        let vpc = ids.resource("vpc");
        let mut network = Self::default();
        for (net, letter) in (0..).zip(ZONES) {
            let id = ids.resource("subnet");
            let zone = format!("{region}{letter}");
            network.subnets.insert(id.clone(), Subnet { id, vpc: vpc.clone(), zone, net, tags: Tags::new() });
        }
        network.vpcs.insert(vpc.clone(), Vpc { id: vpc, tags: Tags::new() });
        network
    }

    pub fn default_vpc(&self) -> Option<&Vpc> {
        self.vpcs.values().next()
    }

    /// The default subnet of a zone, or of the first zone.
    pub fn default_subnet(&self, zone: Option<&str>) -> Option<&Subnet> {
        self.subnets.values().filter(|subnet| zone.is_none_or(|zone| subnet.zone == zone)).min_by_key(|s| s.net)
    }

    pub fn subnet(&self, id: &str) -> Result<&Subnet, ApiError> {
        let not_found = || ApiError::new("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist"));
        self.subnets.get(id).ok_or_else(not_found)
    }

    /// The VPC of that id, or the default one where none is named.
    pub fn vpc(&self, id: Option<&str>) -> Result<&Vpc, ApiError> {
        let name = id.unwrap_or("default");
        let not_found = || ApiError::new("InvalidVpcID.NotFound", format!("The vpc ID '{name}' does not exist"));
        id.map_or_else(|| self.default_vpc(), |id| self.vpcs.get(id)).ok_or_else(not_found)
    }
}

/// `use1-az1` for `us-east-1a`: the zone's id, which is the same in every account here.
fn zone_id(region: &str, letter: char) -> String {
    let parts: Vec<&str> = region.split('-').collect();
    let [area, direction, number] = parts[..] else { return format!("{region}-az-{letter}") };
    let short = direction.get(..1).unwrap_or(direction);
    format!("{area}{short}{number}-az{}", u32::from(letter) - u32::from('a') + 1)
}

pub fn describe_availability_zones(cx: &Context, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let zones: Vec<(String, String)> =
        ZONES.iter().map(|letter| (format!("{}{letter}", cx.region), zone_id(cx.region, *letter))).collect();
    let known = |name: &str| zones.iter().any(|zone| zone.0 == name);
    let names = params.texts("ZoneName");
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        return Err(ApiError::new("InvalidParameterValue", format!("Invalid availability zone: [{unknown}]")));
    }
    let mut found = Vec::new();
    for (name, id) in &zones {
        let keep = filters.keep(&Tags::new(), |filter| match filter {
            "zone-name" => Some(vec![name.clone()]),
            "zone-id" => Some(vec![id.clone()]),
            "state" | "zone-state" => Some(vec!["available".to_owned()]),
            "region-name" => Some(vec![cx.region.to_owned()]),
            "zone-type" => Some(vec!["availability-zone".to_owned()]),
            "opt-in-status" => Some(vec!["opt-in-not-required".to_owned()]),
            "group-name" => Some(vec![format!("{}-zg-1", cx.region)]),
            _ => None,
        })?;
        if keep && (names.is_empty() || names.contains(&name.as_str())) {
            found.push(
                Value::map()
                    .with("optInStatus", Value::from("opt-in-not-required"))
                    .with("messageSet", Value::list([]))
                    .with("regionName", Value::from(cx.region))
                    .with("zoneName", Value::from(&**name))
                    .with("zoneId", Value::from(&**id))
                    .with("groupName", Value::from(format!("{}-zg-1", cx.region)))
                    .with("networkBorderGroup", Value::from(cx.region))
                    .with("zoneType", Value::from("availability-zone"))
                    .with("zoneState", Value::from("available")),
            );
        }
    }
    Ok(Value::map().with("availabilityZoneInfo", Value::List(found)))
}

/// The one region that there is.
pub fn describe_regions(cx: &Context, params: &Params) -> Answer {
    let names = params.texts("RegionName");
    if let Some(unknown) = names.iter().find(|name| **name != cx.region) {
        return Err(ApiError::new("InvalidParameterValue", format!("Invalid region name: '{unknown}'")));
    }
    let region = Value::map()
        .with("regionName", Value::from(cx.region))
        .with("regionEndpoint", Value::from(format!("ec2.{}.amazonaws.com", cx.region)))
        .with("optInStatus", Value::from("opt-in-not-required"));
    Ok(Value::map().with("regionInfo", Value::list([region])))
}

pub fn describe_vpcs(network: &Network, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let ids = known_ids(params, "VpcId", "InvalidVpcID.NotFound", "vpc ID", |id| network.vpcs.contains_key(id))?;
    let mut found = Vec::new();
    for vpc in network.vpcs.values() {
        let keep = filters.keep(&vpc.tags, |name| match name {
            "vpc-id" => Some(vec![vpc.id.clone()]),
            "is-default" | "isDefault" => Some(vec!["true".to_owned()]),
            "state" => Some(vec!["available".to_owned()]),
            "cidr" | "cidr-block" | "cidr-block-association.cidr-block" => Some(vec![VPC_CIDR.to_owned()]),
            "owner-id" => Some(vec![ACCOUNT.to_owned()]),
            _ => None,
        })?;
        if keep && (ids.is_empty() || ids.contains(&vpc.id.as_str())) {
            found.push(vpc);
        }
    }
    let (page, token) = listing::page(params, found, |vpc| vpc.id.clone())?;
    let row = |vpc: &Vpc| {
        let association = Value::map()
            .with("associationId", Value::from(vpc.id.replace("vpc-", "vpc-cidr-assoc-")))
            .with("cidrBlock", Value::from(VPC_CIDR))
            .with("cidrBlockState", Value::map().with("state", Value::from("associated")));
        Value::map()
            .with("vpcId", Value::from(&*vpc.id))
            .with("ownerId", Value::from(ACCOUNT))
            .with("state", Value::from("available"))
            .with("cidrBlock", Value::from(VPC_CIDR))
            .with("cidrBlockAssociationSet", Value::list([association]))
            .with("dhcpOptionsId", Value::from("dopt-00000000000000000"))
            .with("instanceTenancy", Value::from("default"))
            .with("isDefault", Value::from(true))
            .with("tagSet", tags::value(&vpc.tags))
    };
    Ok(listing::answer("vpcSet", page.into_iter().map(row).collect(), token))
}

pub fn describe_subnets(network: &Network, cx: &Context, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let known = |id: &str| network.subnets.contains_key(id);
    let ids = known_ids(params, "SubnetId", "InvalidSubnetID.NotFound", "subnet ID", known)?;
    let mut found = Vec::new();
    for subnet in network.subnets.values() {
        let keep = filters.keep(&subnet.tags, |name| match name {
            "subnet-id" => Some(vec![subnet.id.clone()]),
            "vpc-id" => Some(vec![subnet.vpc.clone()]),
            "availability-zone" | "availabilityZone" => Some(vec![subnet.zone.clone()]),
            "default-for-az" | "defaultForAz" => Some(vec!["true".to_owned()]),
            "map-public-ip-on-launch" => Some(vec!["true".to_owned()]),
            "state" => Some(vec!["available".to_owned()]),
            "cidr" | "cidrBlock" | "cidr-block" => Some(vec![net_cidr(subnet.net)]),
            "owner-id" => Some(vec![ACCOUNT.to_owned()]),
            _ => None,
        })?;
        if keep && (ids.is_empty() || ids.contains(&subnet.id.as_str())) {
            found.push(subnet);
        }
    }
    let (page, token) = listing::page(params, found, |subnet| subnet.id.clone())?;
    let rows = page.into_iter().map(|subnet| subnet_value(subnet, cx.region, cx.addresses)).collect();
    Ok(listing::answer("subnetSet", rows, token))
}

fn subnet_value(subnet: &Subnet, region: &str, addresses: &Addresses) -> Value {
    let letter = subnet.zone.chars().last().unwrap_or('a');
    let free = i64::try_from(addresses.free(subnet.net)).unwrap_or(i64::MAX);
    Value::map()
        .with("subnetId", Value::from(&*subnet.id))
        .with("subnetArn", Value::from(format!("arn:aws:ec2:{region}:{ACCOUNT}:subnet/{}", subnet.id)))
        .with("ownerId", Value::from(ACCOUNT))
        .with("state", Value::from("available"))
        .with("vpcId", Value::from(&*subnet.vpc))
        .with("cidrBlock", Value::from(net_cidr(subnet.net)))
        .with("availableIpAddressCount", Value::from(free))
        .with("availabilityZone", Value::from(&*subnet.zone))
        .with("availabilityZoneId", Value::from(zone_id(region, letter)))
        .with("defaultForAz", Value::from(true))
        .with("mapPublicIpOnLaunch", Value::from(true))
        .with("assignIpv6AddressOnCreation", Value::from(false))
        .with("ipv6CidrBlockAssociationSet", Value::list([]))
        .with("tagSet", tags::value(&subnet.tags))
}

/// What the account may do; only that it has a default VPC and no EC2-Classic is asked in practice.
pub fn describe_account_attributes(network: &Network, params: &Params) -> Answer {
    let default_vpc = network.default_vpc().map_or("none", |vpc| &*vpc.id);
    let attributes = [("supported-platforms", "VPC"), ("default-vpc", default_vpc), ("max-instances", "250")];
    let wanted = params.texts("AttributeName");
    let rows = attributes.into_iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name));
    let row = |(name, value)| {
        let values = Value::list([Value::map().with("attributeValue", Value::from(value))]);
        Value::map().with("attributeName", Value::from(name)).with("attributeValueSet", values)
    };
    Ok(Value::map().with("accountAttributeSet", Value::list(rows.map(row))))
}
