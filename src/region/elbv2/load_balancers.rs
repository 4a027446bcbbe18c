//! Application load balancers: creation, description, attributes, zones, security groups.

use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::attributes::{Attributes, Table};
use super::model::{Elbv2, LOAD_BALANCER, check_name};
use super::tags::{self, Tags};
use super::{page, target_groups};
use crate::region::context::Context;
use crate::region::facts::LoadBalancerNode;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// AWS's quota for a region.
pub const LOAD_BALANCERS_MAX: usize = 50;
/// How long a new load balancer is `provisioning`. AWS takes minutes; a client must only not take it for granted that
/// The hosted zone of every load balancer in us-east-1; clients want one to be there.
const HOSTED_ZONE: &str = "Z35SXDOTRQ7X7K";

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LoadBalancer {
    pub arn: String,
    pub name: String,
    pub created: Timestamp,
    pub scheme: String,
    pub vpc: String,
    pub zones: Vec<Zone>,
    pub security_groups: Vec<String>,
    pub address: Ipv4Addr,
    pub attributes: Attributes,
    pub tags: Tags,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Zone {
    pub name: String,
    pub subnet: String,
}

impl LoadBalancer {
    /// CloudWatch's dimension value: `app/name/0123456789abcdef`.
    pub fn full_name(&self) -> &str {
        self.arn.split_once(":loadbalancer/").map_or("", |(_, full_name)| full_name)
    }

    /// Its network interface in each zone; their ids follow from its own.
    pub(super) fn nodes(&self) -> Vec<LoadBalancerNode> {
        let hex = self.arn.rsplit('/').next().and_then(|hex| hex.get(..15)).unwrap_or_default();
        let node = |(index, zone): (usize, &Zone)| LoadBalancerNode {
            full_name: self.full_name().to_owned(),
            interface: format!("eni-0{hex}{index:x}"),
            subnet: zone.subnet.clone(),
            vpc: self.vpc.clone(),
            zone: zone.name.clone(),
            address: self.address,
            security_groups: self.security_groups.clone(),
            public: self.scheme == "internet-facing",
        };
        self.zones.iter().enumerate().map(node).collect()
    }
}

impl Elbv2 {
    pub(super) fn create_load_balancer(&mut self, cx: &mut Context, params: &Params) -> Answer {
        let name = params.required("Name")?;
        check_name(LOAD_BALANCER, name)?;
        if name.starts_with("internal-") {
            return Err(invalid(format!("The load balancer name '{name}' cannot begin with 'internal-'")));
        }
        let kind = params.text("Type").unwrap_or("application");
        if kind != "application" {
            return Err(invalid(format!("The embedded region has application load balancers only, not type '{kind}'")));
        }
        if params.text("IpAddressType").is_some_and(|kind| kind != "ipv4") {
            return Err(invalid("The embedded region has the address type 'ipv4' only"));
        }
        let scheme = params.text("Scheme").unwrap_or("internet-facing").to_owned();
        if !matches!(scheme.as_str(), "internet-facing" | "internal") {
            return Err(invalid(format!("Scheme '{scheme}' must be one of '[internet-facing, internal]'")));
        }
        let (vpc, zones) = parse_zones(cx, params)?;
        let security_groups = parse_security_groups(cx, params)?;
        let tags = tags::parse(params)?;

        if let Some(there) = self.load_balancers.values().find(|there| there.name == name) {
            let same = there.scheme == scheme
                && there.zones == zones
                && there.security_groups == security_groups
                && there.tags == tags;
            if same {
                return Ok(Value::map().with("LoadBalancers", Value::list([self.show_load_balancer(cx, there)])));
            }
            return Err(ApiError::new(
                "DuplicateLoadBalancerName",
                format!("A load balancer with the same name '{name}' exists, but with different settings"),
            ));
        }
        let free =
            if self.load_balancers.len() < LOAD_BALANCERS_MAX { cx.addresses.take_for_load_balancer() } else { None };
        let address = free.ok_or_else(|| {
            ApiError::new(
                "TooManyLoadBalancers",
                format!("A region can only have '{LOAD_BALANCERS_MAX}' load balancers"),
            )
        })?;
        let hex = cx.ids.hex(16);
        let arn = cx.arn("elasticloadbalancing", &format!("loadbalancer/app/{name}/{hex}"));
        let attributes = Attributes::new(Table::LoadBalancer);
        let name = name.to_owned();
        let created = LoadBalancer {
            arn: arn.clone(),
            name,
            created: cx.now,
            scheme,
            vpc,
            zones,
            security_groups,
            address,
            attributes,
            tags,
        };
        let shown = self.show_load_balancer(cx, &created);
        self.load_balancers.insert(arn, created);
        Ok(Value::map().with("LoadBalancers", Value::list([shown])))
    }

    pub(super) fn describe_load_balancers(&self, cx: &Context, params: &Params) -> Answer {
        let (arns, names) = (params.texts("LoadBalancerArns"), params.texts("Names"));
        let by_arn = arns.iter().map(|arn| self.load_balancers.get(*arn).ok_or(*arn));
        let by_name =
            names.iter().map(|name| self.load_balancers.values().find(|there| there.name == *name).ok_or(*name));
        let asked: Result<Vec<_>, &str> = by_arn.chain(by_name).collect();
        let asked = asked.map_err(|missing| {
            ApiError::new("LoadBalancerNotFound", format!("One or more load balancers not found: '{missing}'"))
        })?;
        if asked.is_empty() {
            let all = self.load_balancers.iter().map(|(arn, it)| (arn.as_str(), self.show_load_balancer(cx, it)));
            return page::answer(params, "LoadBalancers", all);
        }
        let shown = asked.into_iter().map(|it| self.show_load_balancer(cx, it));
        Ok(Value::map().with("LoadBalancers", Value::list(shown)))
    }

    /// Deletes the load balancer with its listeners and rules; one that is not there is no error.
    pub(super) fn delete_load_balancer(&mut self, cx: &mut Context, params: &Params) -> Answer {
        let arn = params.required("LoadBalancerArn")?;
        if let Some(there) = self.load_balancers.get(arn) {
            if there.attributes.is_on("deletion_protection.enabled") {
                return Err(ApiError::new(
                    "OperationNotPermitted",
                    format!("Load balancer '{arn}' cannot be deleted because deletion protection is enabled"),
                ));
            }
            cx.addresses.release(there.address);
            self.load_balancers.remove(arn);
            self.listeners.retain(|_, listener| listener.load_balancer != arn);
        }
        Ok(Value::map())
    }

    pub(super) fn describe_load_balancer_attributes(&self, params: &Params) -> Answer {
        Ok(self.load_balancer(params.required("LoadBalancerArn")?)?.attributes.show())
    }

    pub(super) fn modify_load_balancer_attributes(&mut self, params: &Params) -> Answer {
        let there = self.load_balancer_mut(params.required("LoadBalancerArn")?)?;
        there.attributes.modify(params)?;
        Ok(there.attributes.show())
    }

    pub(super) fn set_security_groups(&mut self, cx: &Context, params: &Params) -> Answer {
        let groups = parse_security_groups(cx, params)?;
        let there = self.load_balancer_mut(params.required("LoadBalancerArn")?)?;
        there.security_groups.clone_from(&groups);
        Ok(Value::map().with("SecurityGroupIds", target_groups::texts(&groups)))
    }

    pub(super) fn set_subnets(&mut self, cx: &Context, params: &Params) -> Answer {
        let (vpc, zones) = parse_zones(cx, params)?;
        let there = self.load_balancer_mut(params.required("LoadBalancerArn")?)?;
        if there.vpc != vpc {
            return Err(ApiError::new(
                "InvalidSubnet",
                format!("The subnets are not in the load balancer's VPC '{}'", there.vpc),
            ));
        }
        there.zones = zones;
        Ok(Value::map().with("AvailabilityZones", show_zones(&there.zones)).with("IpAddressType", Value::from("ipv4")))
    }

    pub(super) fn set_ip_address_type(&mut self, params: &Params) -> Answer {
        self.load_balancer(params.required("LoadBalancerArn")?)?;
        match params.required("IpAddressType")? {
            "ipv4" => Ok(Value::map().with("IpAddressType", Value::from("ipv4"))),
            other => Err(invalid(format!("The embedded region has the address type 'ipv4' only, not '{other}'"))),
        }
    }

    /// Nothing is ever reserved here; Terraform asks for it with every load balancer that it reads.
    pub(super) fn describe_capacity_reservation(&self, params: &Params) -> Answer {
        self.load_balancer(params.required("LoadBalancerArn")?)?;
        Ok(Value::map().with("CapacityReservationState", Value::List(Vec::new())))
    }

    pub(super) fn load_balancer(&self, arn: &str) -> Result<&LoadBalancer, ApiError> {
        self.load_balancers.get(arn).ok_or_else(|| missing(arn))
    }

    fn load_balancer_mut(&mut self, arn: &str) -> Result<&mut LoadBalancer, ApiError> {
        self.load_balancers.get_mut(arn).ok_or_else(|| missing(arn))
    }

    fn show_load_balancer(&self, cx: &Context, it: &LoadBalancer) -> Value {
        let problem = self
            .listeners
            .values()
            .filter(|listener| listener.load_balancer == it.arn)
            .find_map(|listener| listener.problem.as_deref());
        let state = if problem.is_some() {
            "failed"
        } else if cx.now < it.created + cx.delays.load_balancer {
            "provisioning"
        } else {
            "active"
        };
        let state = Value::map().with("Code", Value::from(state)).with("Reason", problem.map(Value::from));
        Value::map()
            .with("LoadBalancerArn", Value::from(it.arn.as_str()))
            .with("DNSName", Value::from(self.dns_name(it)))
            .with("CanonicalHostedZoneId", Value::from(HOSTED_ZONE))
            .with("CreatedTime", Value::from(it.created))
            .with("LoadBalancerName", Value::from(it.name.as_str()))
            .with("Scheme", Value::from(it.scheme.as_str()))
            .with("VpcId", Value::from(it.vpc.as_str()))
            .with("State", state)
            .with("Type", Value::from("application"))
            .with("AvailabilityZones", show_zones(&it.zones))
            .with("SecurityGroups", target_groups::texts(&it.security_groups))
            .with("IpAddressType", Value::from("ipv4"))
    }

    /// The address; with the port that stands for the listener's own where that one may not be bound here, so that
    /// `http://{DNSName}/` is always right.
    fn dns_name(&self, it: &LoadBalancer) -> String {
        let ports =
            self.listeners.values().filter(|listener| listener.load_balancer == it.arn).map(|listener| listener.port);
        let moved = ports.filter(|port| self.served(*port) != *port).min_by_key(|port| (*port != 80, *port));
        match moved {
            Some(port) => format!("{}:{}", it.address, self.served(port)),
            None => it.address.to_string(),
        }
    }
}

/// `Subnets` or `SubnetMappings`: the VPC, and the zones in order.
fn parse_zones(cx: &Context, params: &Params) -> Result<(String, Vec<Zone>), ApiError> {
    let mut subnets: Vec<String> = params.texts("Subnets").into_iter().map(str::to_owned).collect();
    for mapping in params.maps("SubnetMappings") {
        subnets.push(mapping.required("SubnetId")?.to_owned());
    }
    let mut zones: Vec<Zone> = Vec::new();
    let mut vpc: Option<String> = None;
    for subnet in subnets {
        let facts = cx
            .facts
            .subnet(&subnet)
            .ok_or_else(|| ApiError::new("SubnetNotFound", format!("The subnet ID '{subnet}' does not exist")))?;
        if vpc.as_ref().is_some_and(|vpc| *vpc != facts.vpc) {
            return Err(ApiError::new("InvalidSubnet", "The subnets must belong to one VPC"));
        }
        if zones.iter().any(|zone| zone.name == facts.zone) {
            return Err(ApiError::new(
                "InvalidConfigurationRequest",
                "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
            ));
        }
        vpc = Some(facts.vpc);
        zones.push(Zone { name: facts.zone, subnet });
    }
    zones.sort();
    match vpc.filter(|_| zones.len() >= 2) {
        Some(vpc) => Ok((vpc, zones)),
        None => Err(invalid("At least two subnets in two different Availability Zones must be specified")),
    }
}

/// `SecurityGroups`, which must exist.
fn parse_security_groups(cx: &Context, params: &Params) -> Result<Vec<String>, ApiError> {
    let mut groups: Vec<String> = params.texts("SecurityGroups").into_iter().map(str::to_owned).collect();
    if let Some(unknown) = groups.iter().find(|group| !cx.facts.security_group_exists(group)) {
        return Err(ApiError::new("InvalidSecurityGroup", format!("The security group '{unknown}' does not exist")));
    }
    groups.sort();
    groups.dedup();
    Ok(groups)
}

fn show_zones(zones: &[Zone]) -> Value {
    Value::list(zones.iter().map(|zone| {
        Value::map()
            .with("ZoneName", Value::from(zone.name.as_str()))
            .with("SubnetId", Value::from(zone.subnet.as_str()))
            .with("LoadBalancerAddresses", Value::List(Vec::new()))
    }))
}

fn missing(arn: &str) -> ApiError {
    ApiError::new("LoadBalancerNotFound", format!("Load balancer '{arn}' not found"))
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}
