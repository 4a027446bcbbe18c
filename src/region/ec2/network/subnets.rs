//! Subnets: a part of a VPC's range in one zone.

use super::cidr::{Cidr, requested_cidr};
use super::zones::{self, zone_id};
use crate::region::context::{ACCOUNT, Context};
use crate::region::ec2::instances::in_subnet;
use crate::region::ec2::listing::{self, Filters, known_ids};
use crate::region::ec2::model::{Ec2, Operation, returned};
use crate::region::ec2::network::{Network, in_use};
use crate::region::ec2::tags::{self, Tags};
use crate::region::wire::{Answer, ApiError, Params, Value};

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] = &[
    Operation::new(
        "CreateSubnet",
        "VpcId CidrBlock AvailabilityZone AvailabilityZoneId Ipv6Native=false +tags=subnet",
        create_subnet,
    ),
    Operation::new("DeleteSubnet", "SubnetId", |ec2, cx, params| delete_subnet(ec2, cx, params)),
    Operation::new("DescribeSubnets", "+filters +pages SubnetId[]", |ec2, cx, params| {
        describe_subnets(ec2, cx, params)
    }),
    Operation::new(
        "ModifySubnetAttribute",
        "SubnetId MapPublicIpOnLaunch{Value} PrivateDnsHostnameTypeOnLaunch=ip-name \
         AssignIpv6AddressOnCreation{Value=false} EnableDns64{Value=false} \
         MapCustomerOwnedIpOnLaunch{Value=false} EnableResourceNameDnsARecordOnLaunch{Value=false} \
         EnableResourceNameDnsAAAARecordOnLaunch{Value=false}",
        |ec2, _, params| modify_subnet_attribute(&mut ec2.network, params),
    ),
];

/// AWS's default quota of subnets in a VPC.
const SUBNETS_MAX: usize = 200;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Subnet {
    pub id: String,
    pub vpc: String,
    pub zone: String,
    /// The /20 net of [`Addresses`](crate::region::addresses::Addresses) that its instances take their addresses from:
    /// its zone's, whatever its own range says.
    pub net: u8,
    pub cidr: Cidr,
    pub is_default: bool,
    /// Whether instances show a public address unless they say otherwise.
    pub map_public: bool,
    /// Its network ACL, with the association, where that is not the VPC's default.
    pub acl: Option<(String, String)>,
    pub tags: Tags,
}

impl Subnet {
    /// As AWS makes one that nothing else is said about.
    pub fn new(id: String, vpc: &str, zone: String, net: u8, cidr: Cidr) -> Self {
        Self {
            id,
            vpc: vpc.to_owned(),
            zone,
            net,
            cidr,
            is_default: false,
            map_public: false,
            acl: None,
            tags: Tags::new(),
        }
    }

    /// `used` addresses of its range are taken.
    fn value(&self, cx: &Context, used: usize) -> Value {
        let letter = self.zone.chars().last().unwrap_or('a');
        let free = i64::try_from(self.cidr.host_count()).unwrap_or(i64::MAX);
        let free = free.saturating_sub(i64::try_from(used).unwrap_or(i64::MAX)).max(0);
        let names = Value::map()
            .with("hostnameType", Value::from("ip-name"))
            .with("enableResourceNameDnsARecord", Value::from(false))
            .with("enableResourceNameDnsAAAARecord", Value::from(false));
        Value::map()
            .with("subnetId", Value::from(&*self.id))
            .with("subnetArn", Value::from(cx.arn("ec2", &format!("subnet/{}", self.id))))
            .with("ownerId", Value::from(ACCOUNT))
            .with("state", Value::from("available"))
            .with("vpcId", Value::from(&*self.vpc))
            .with("cidrBlock", Value::from(self.cidr.to_string()))
            .with("availableIpAddressCount", Value::from(free))
            .with("availabilityZone", Value::from(&*self.zone))
            .with("availabilityZoneId", Value::from(zone_id(cx.region, letter)))
            .with("defaultForAz", Value::from(self.is_default))
            .with("mapPublicIpOnLaunch", Value::from(self.map_public))
            .with("mapCustomerOwnedIpOnLaunch", Value::from(false))
            .with("assignIpv6AddressOnCreation", Value::from(false))
            .with("ipv6CidrBlockAssociationSet", Value::list([]))
            .with("enableDns64", Value::from(false))
            .with("ipv6Native", Value::from(false))
            .with("privateDnsNameOptionsOnLaunch", names)
            .with("tagSet", tags::value(&self.tags))
    }
}

pub fn create_subnet(ec2: &mut Ec2, cx: &mut Context, params: &Params) -> Answer {
    let network = &mut ec2.network;
    let vpc = network.vpc(Some(params.required("VpcId")?))?.clone();
    let cidr = requested_cidr(params, "Subnet")?;
    if !vpc.cidr.contains(cidr) {
        return Err(ApiError::new("InvalidSubnet.Range", format!("The CIDR '{cidr}' is invalid.")));
    }
    let siblings: Vec<&Subnet> = network.subnets.values().filter(|subnet| subnet.vpc == vpc.id).collect();
    if siblings.iter().any(|subnet| subnet.cidr.overlaps(cidr)) {
        let message = format!("The CIDR '{cidr}' conflicts with another subnet");
        return Err(ApiError::new("InvalidSubnet.Conflict", message));
    }
    if siblings.len() >= SUBNETS_MAX {
        let message = format!("The maximum number of subnets of VPC '{}' has been reached.", vpc.id);
        return Err(ApiError::new("SubnetLimitExceeded", message));
    }
    let (net, zone) = requested_zone(cx.region, params)?;
    let tags = tags::specified(params, "subnet")?;
    let id = cx.ids.resource("subnet");
    let subnet = Subnet { tags, ..Subnet::new(id.clone(), &vpc.id, zone, net, cidr) };
    let answer = Value::map().with("subnet", subnet.value(cx, 0));
    network.subnets.insert(id, subnet);
    Ok(answer)
}

/// The zone that a request names by name or id, or the first one; and its net.
fn requested_zone(region: &str, params: &Params) -> Result<(u8, String), ApiError> {
    let (name, id) = (params.text("AvailabilityZone"), params.text("AvailabilityZoneId"));
    let mut zones =
        (0..).zip(zones::ZONES).map(|(net, letter)| (net, format!("{region}{letter}"), zone_id(region, letter)));
    let named =
        zones.find(|(_, zone, zone_id)| name.is_none_or(|name| name == zone) && id.is_none_or(|id| id == zone_id));
    let unknown = || {
        let message = format!("Value ({}) for parameter availabilityZone is invalid.", name.or(id).unwrap_or(""));
        ApiError::new("InvalidParameterValue", message)
    };
    named.map(|(net, zone, _)| (net, zone)).ok_or_else(unknown)
}

pub fn delete_subnet(ec2: &mut Ec2, cx: &Context, params: &Params) -> Answer {
    let id = ec2.network.subnet(params.required("SubnetId")?)?.id.clone();
    let by_instance = ec2.instances.all.values().any(|instance| instance.occupies() && instance.subnet == id);
    if by_instance || cx.facts.load_balancer_nodes().iter().any(|node| node.subnet == id) {
        return Err(in_use("subnet", &id));
    }
    ec2.network.subnets.remove(&id);
    for table in ec2.network.route_tables.values_mut() {
        table.associations.retain(|_, subnet| subnet.as_ref() != Some(&id));
    }
    Ok(returned())
}

/// The attributes that the region knows; those that need IPv6 or DNS of its own are accepted where they are off.
pub fn modify_subnet_attribute(network: &mut Network, params: &Params) -> Answer {
    let id = network.subnet(params.required("SubnetId")?)?.id.clone();
    let value = |name: &str| params.map(name).map_or(Ok(None), |attribute| attribute.bool("Value"));
    let absent = [
        "AssignIpv6AddressOnCreation",
        "EnableDns64",
        "MapCustomerOwnedIpOnLaunch",
        "EnableResourceNameDnsARecordOnLaunch",
        "EnableResourceNameDnsAAAARecordOnLaunch",
    ];
    for name in absent {
        if value(name)? == Some(true) {
            let message = format!("The embedded region's subnets do not have {name}.");
            return Err(ApiError::new("InvalidParameterValue", message));
        }
    }
    let map_public = value("MapPublicIpOnLaunch")?;
    if let Some(subnet) = network.subnets.get_mut(&id) {
        subnet.map_public = map_public.unwrap_or(subnet.map_public);
    }
    Ok(returned())
}

pub fn describe_subnets(ec2: &Ec2, cx: &Context, params: &Params) -> Answer {
    let network = &ec2.network;
    let filters = Filters::of(params)?;
    let known = |id: &str| network.subnets.contains_key(id);
    let ids = known_ids(params, "SubnetId", "InvalidSubnetID.NotFound", "subnet ID", known)?;
    let mut found = Vec::new();
    for subnet in network.subnets.values() {
        let keep = filters.keep(&subnet.tags, |name| {
            let value = match name {
                "subnet-id" => subnet.id.clone(),
                "vpc-id" => subnet.vpc.clone(),
                "availability-zone" | "availabilityZone" => subnet.zone.clone(),
                "availability-zone-id" | "availabilityZoneId" => {
                    zone_id(cx.region, subnet.zone.chars().last().unwrap_or('a'))
                }
                "default-for-az" | "defaultForAz" => subnet.is_default.to_string(),
                "map-public-ip-on-launch" => subnet.map_public.to_string(),
                "state" => "available".to_owned(),
                "cidr" | "cidrBlock" | "cidr-block" => subnet.cidr.to_string(),
                "owner-id" => ACCOUNT.to_owned(),
                _ => return None,
            };
            Some(vec![value])
        })?;
        if keep && (ids.is_empty() || ids.contains(&subnet.id.as_str())) {
            found.push(subnet);
        }
    }
    let (page, token) = listing::page(params, found, |subnet| subnet.id.clone())?;
    let rows = page.into_iter().map(|subnet| subnet.value(cx, in_subnet(ec2, &subnet.id).count())).collect();
    Ok(listing::answer("subnetSet", rows, token))
}
