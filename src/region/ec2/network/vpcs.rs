//! VPCs: created, described, their attributes, deleted once nothing is left in them.

use super::cidr::{Cidr, requested_cidr};
use super::network_acls::NetworkAcl;
use super::route_tables::RouteTable;
use crate::region::context::{ACCOUNT, Context};
use crate::region::ec2::listing::{self, Filters, known_ids};
use crate::region::ec2::model::{Ec2, Operation, returned};
use crate::region::ec2::network::{Network, in_use};
use crate::region::ec2::security_groups;
use crate::region::ec2::tags::{self, Tags};
use crate::region::ids::Ids;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] = &[
    Operation::new("CreateVpc", "CidrBlock InstanceTenancy AmazonProvidedIpv6CidrBlock=false +tags=vpc", create_vpc),
    Operation::new("DeleteVpc", "VpcId", |ec2, _, params| delete_vpc(ec2, params)),
    Operation::new("DescribeVpcs", "+filters +pages VpcId[]", |ec2, _, params| describe_vpcs(&ec2.network, params)),
    Operation::new("DescribeVpcAttribute", "VpcId Attribute", |ec2, _, params| {
        describe_vpc_attribute(&ec2.network, params)
    }),
    Operation::new(
        "ModifyVpcAttribute",
        "VpcId EnableDnsSupport{Value} EnableDnsHostnames{Value} EnableNetworkAddressUsageMetrics{Value}",
        |ec2, _, params| modify_vpc_attribute(&mut ec2.network, params),
    )
    .differs("The attributes are kept and shown; names are not resolved."),
];

/// As many as AWS grants on request; five at first.
const VPCS_MAX: usize = 100;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Vpc {
    pub id: String,
    pub cidr: Cidr,
    pub is_default: bool,
    pub tenancy: String,
    pub dns_support: bool,
    pub dns_hostnames: bool,
    pub usage_metrics: bool,
    pub tags: Tags,
}

impl Vpc {
    /// As AWS makes one that nothing else is said about.
    pub fn new(ids: &mut Ids, cidr: Cidr) -> Self {
        Self {
            id: ids.resource("vpc"),
            cidr,
            is_default: false,
            tenancy: "default".to_owned(),
            dns_support: true,
            dns_hostnames: false,
            usage_metrics: false,
            tags: Tags::new(),
        }
    }

    fn value(&self) -> Value {
        let cidr = self.cidr.to_string();
        let association = Value::map()
            .with("associationId", Value::from(self.id.replace("vpc-", "vpc-cidr-assoc-")))
            .with("cidrBlock", Value::from(&*cidr))
            .with("cidrBlockState", Value::map().with("state", Value::from("associated")));
        Value::map()
            .with("vpcId", Value::from(&*self.id))
            .with("ownerId", Value::from(ACCOUNT))
            .with("state", Value::from("available"))
            .with("cidrBlock", Value::from(cidr))
            .with("cidrBlockAssociationSet", Value::list([association]))
            .with("dhcpOptionsId", Value::from("dopt-00000000000000000"))
            .with("instanceTenancy", Value::from(&*self.tenancy))
            .with("isDefault", Value::from(self.is_default))
            .with("tagSet", tags::value(&self.tags))
    }
}

/// A new VPC comes with its main route table and its default security group.
pub fn create_vpc(ec2: &mut Ec2, cx: &mut Context, params: &Params) -> Answer {
    let cidr = requested_cidr(params, "Vpc")?;
    let tenancy = params.text("InstanceTenancy").unwrap_or("default");
    if !matches!(tenancy, "default" | "dedicated") {
        return Err(ApiError::invalid("instanceTenancy", tenancy));
    }
    if ec2.network.vpcs.len() >= VPCS_MAX {
        return Err(ApiError::new("VpcLimitExceeded", "The maximum number of VPCs has been reached."));
    }
    let tags = tags::specified(params, "vpc")?;
    let vpc = Vpc { tenancy: tenancy.to_owned(), tags, ..Vpc::new(cx.ids, cidr) };
    let routes = RouteTable::new(cx.ids, &vpc.id, true);
    ec2.network.route_tables.insert(routes.id.clone(), routes);
    let acl = NetworkAcl::default_of(&vpc.id, cx.ids);
    ec2.network.acls.insert(acl.id.clone(), acl);
    let group = security_groups::default_group(&vpc.id, cx.ids);
    ec2.security_groups.insert(group.id.clone(), group);
    let answer = Value::map().with("vpc", vpc.value());
    ec2.network.vpcs.insert(vpc.id.clone(), vpc);
    Ok(answer)
}

pub fn delete_vpc(ec2: &mut Ec2, params: &Params) -> Answer {
    let id = ec2.network.vpc(Some(params.required("VpcId")?))?.id.clone();
    let network = &ec2.network;
    let needed = network.subnets.values().any(|subnet| subnet.vpc == id)
        || network.internet_gateways.values().any(|gateway| gateway.vpc.as_ref() == Some(&id))
        || network.route_tables.values().any(|table| table.vpc == id && !table.is_main())
        || network.acls.values().any(|acl| acl.vpc == id && !acl.is_default)
        || ec2.security_groups.values().any(|group| group.vpc == id && group.name != "default");
    if needed {
        return Err(in_use("vpc", &id));
    }
    ec2.network.vpcs.remove(&id);
    ec2.network.route_tables.retain(|_, table| table.vpc != id);
    ec2.network.acls.retain(|_, acl| acl.vpc != id);
    ec2.security_groups.retain(|_, group| group.vpc != id);
    Ok(returned())
}

pub fn describe_vpcs(network: &Network, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let ids = known_ids(params, "VpcId", "InvalidVpcID.NotFound", "vpc ID", |id| network.vpcs.contains_key(id))?;
    let mut found = Vec::new();
    for vpc in network.vpcs.values() {
        let keep = filters.keep(&vpc.tags, |name| match name {
            "vpc-id" => Some(vec![vpc.id.clone()]),
            "is-default" | "isDefault" => Some(vec![vpc.is_default.to_string()]),
            "state" => Some(vec!["available".to_owned()]),
            "cidr" | "cidr-block" | "cidr-block-association.cidr-block" => Some(vec![vpc.cidr.to_string()]),
            "owner-id" => Some(vec![ACCOUNT.to_owned()]),
            _ => None,
        })?;
        if keep && (ids.is_empty() || ids.contains(&vpc.id.as_str())) {
            found.push(vpc);
        }
    }
    let (page, token) = listing::page(params, found, |vpc| vpc.id.clone())?;
    Ok(listing::answer("vpcSet", page.into_iter().map(Vpc::value).collect(), token))
}

pub fn describe_vpc_attribute(network: &Network, params: &Params) -> Answer {
    let vpc = network.vpc(Some(params.required("VpcId")?))?;
    let attribute = params.required("Attribute")?;
    let value = match attribute {
        "enableDnsSupport" => vpc.dns_support,
        "enableDnsHostnames" => vpc.dns_hostnames,
        "enableNetworkAddressUsageMetrics" => vpc.usage_metrics,
        other => return Err(ApiError::invalid("attribute", other)),
    };
    let shown = Value::map().with("value", Value::from(value));
    Ok(Value::map().with("vpcId", Value::from(&*vpc.id)).with(attribute, shown))
}

/// One attribute a call, as on AWS.
pub fn modify_vpc_attribute(network: &mut Network, params: &Params) -> Answer {
    let id = network.vpc(Some(params.required("VpcId")?))?.id.clone();
    let value = |name: &str| params.map(name).map_or(Ok(None), |attribute| attribute.bool("Value"));
    let (support, hostnames) = (value("EnableDnsSupport")?, value("EnableDnsHostnames")?);
    let metrics = value("EnableNetworkAddressUsageMetrics")?;
    let given = [support, hostnames, metrics].iter().flatten().count();
    if given != 1 {
        let message = format!("One attribute must be modified by a call, not {given}.");
        return Err(ApiError::new("InvalidParameterCombination", message));
    }
    if let Some(vpc) = network.vpcs.get_mut(&id) {
        vpc.dns_support = support.unwrap_or(vpc.dns_support);
        vpc.dns_hostnames = hostnames.unwrap_or(vpc.dns_hostnames);
        vpc.usage_metrics = metrics.unwrap_or(vpc.usage_metrics);
    }
    Ok(returned())
}
