//! Internet gateways: attached to one VPC at most, and the only target that a route of the region may have.

use crate::region::context::{ACCOUNT, Context};
use crate::region::ec2::listing::{self, Filters, known_ids};
use crate::region::ec2::model::{Ec2, Operation, returned};
use crate::region::ec2::network::{Network, in_use};
use crate::region::ec2::tags::{self, Tags};
use crate::region::wire::{Answer, ApiError, Params, Value};

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] = &[
    Operation::new("CreateInternetGateway", "+tags=internet-gateway", |ec2, cx, params| {
        create_internet_gateway(&mut ec2.network, cx, params)
    })
    .differs("Gateways and routes are kept and checked; no packet takes them."),
    Operation::new("AttachInternetGateway", "InternetGatewayId VpcId", |ec2, _, params| {
        attach_internet_gateway(&mut ec2.network, params)
    }),
    Operation::new("DetachInternetGateway", "InternetGatewayId VpcId", |ec2, _, params| {
        detach_internet_gateway(ec2, params)
    }),
    Operation::new("DeleteInternetGateway", "InternetGatewayId", |ec2, _, params| {
        delete_internet_gateway(&mut ec2.network, params)
    }),
    Operation::new("DescribeInternetGateways", "+filters +pages InternetGatewayId[]", |ec2, _, params| {
        describe_internet_gateways(&ec2.network, params)
    }),
];

/// As many as there may be VPCs.
const GATEWAYS_MAX: usize = 100;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct InternetGateway {
    pub id: String,
    /// The VPC that it is attached to.
    pub vpc: Option<String>,
    pub tags: Tags,
}

impl InternetGateway {
    pub fn new(id: String, vpc: Option<String>) -> Self {
        Self { id, vpc, tags: Tags::new() }
    }

    fn value(&self) -> Value {
        let attachment = self
            .vpc
            .as_deref()
            .map(|vpc| Value::map().with("vpcId", Value::from(vpc)).with("state", Value::from("available")));
        Value::map()
            .with("internetGatewayId", Value::from(&*self.id))
            .with("ownerId", Value::from(ACCOUNT))
            .with("attachmentSet", Value::list(attachment))
            .with("tagSet", tags::value(&self.tags))
    }
}

pub fn not_found(id: &str) -> ApiError {
    ApiError::new("InvalidInternetGatewayID.NotFound", format!("The internetGateway ID '{id}' does not exist"))
}

/// The gateway that a request names.
fn named<'a>(network: &'a mut Network, params: &Params) -> Result<&'a mut InternetGateway, ApiError> {
    let id = params.required("InternetGatewayId")?;
    network.internet_gateways.get_mut(id).ok_or_else(|| not_found(id))
}

pub fn create_internet_gateway(network: &mut Network, cx: &mut Context, params: &Params) -> Answer {
    if network.internet_gateways.len() >= GATEWAYS_MAX {
        let message = "The maximum number of internet gateways has been reached.";
        return Err(ApiError::new("InternetGatewayLimitExceeded", message));
    }
    let tags = tags::specified(params, "internet-gateway")?;
    let gateway = InternetGateway { tags, ..InternetGateway::new(cx.ids.resource("igw"), None) };
    let answer = Value::map().with("internetGateway", gateway.value());
    network.internet_gateways.insert(gateway.id.clone(), gateway);
    Ok(answer)
}

pub fn attach_internet_gateway(network: &mut Network, params: &Params) -> Answer {
    let vpc = network.vpc(Some(params.required("VpcId")?))?.id.clone();
    let taken = network.internet_gateways.values().any(|gateway| gateway.vpc.as_ref() == Some(&vpc));
    let gateway = named(network, params)?;
    if let Some(other) = &gateway.vpc {
        let message = format!("resource {} is already attached to network {other}", gateway.id);
        return Err(ApiError::new("Resource.AlreadyAssociated", message));
    }
    if taken {
        let message = format!("Network {vpc} already has an internet gateway attached");
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    gateway.vpc = Some(vpc);
    Ok(returned())
}

pub fn detach_internet_gateway(ec2: &mut Ec2, params: &Params) -> Answer {
    let vpc = ec2.network.vpc(Some(params.required("VpcId")?))?.id.clone();
    let public = ec2.instances.all.values().any(|i| i.occupies() && i.public && i.vpc == vpc);
    let gateway = named(&mut ec2.network, params)?;
    if gateway.vpc.as_ref() != Some(&vpc) {
        let message = format!("resource {} is not attached to network {vpc}", gateway.id);
        return Err(ApiError::new("Gateway.NotAttached", message));
    }
    if public {
        let message = format!(
            "Network {vpc} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway."
        );
        return Err(ApiError::new("DependencyViolation", message));
    }
    gateway.vpc = None;
    Ok(returned())
}

pub fn delete_internet_gateway(network: &mut Network, params: &Params) -> Answer {
    let gateway = named(network, params)?.clone();
    if gateway.vpc.is_some() {
        return Err(in_use("internetGateway", &gateway.id));
    }
    network.internet_gateways.remove(&gateway.id);
    Ok(returned())
}

pub fn describe_internet_gateways(network: &Network, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let gateways = &network.internet_gateways;
    let known = |id: &str| gateways.contains_key(id);
    let code = "InvalidInternetGatewayID.NotFound";
    let ids = known_ids(params, "InternetGatewayId", code, "internetGateway ID", known)?;
    let mut found = Vec::new();
    for gateway in gateways.values() {
        let keep = filters.keep(&gateway.tags, |name| match name {
            "internet-gateway-id" => Some(vec![gateway.id.clone()]),
            "attachment.vpc-id" => Some(gateway.vpc.iter().cloned().collect()),
            "attachment.state" => Some(gateway.vpc.iter().map(|_| "available".to_owned()).collect()),
            "owner-id" => Some(vec![ACCOUNT.to_owned()]),
            _ => None,
        })?;
        if keep && (ids.is_empty() || ids.contains(&gateway.id.as_str())) {
            found.push(gateway);
        }
    }
    let (page, token) = listing::page(params, found, |gateway| gateway.id.clone())?;
    Ok(listing::answer("internetGatewaySet", page.into_iter().map(InternetGateway::value).collect(), token))
}
