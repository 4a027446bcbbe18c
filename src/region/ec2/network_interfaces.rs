//! Network interfaces: an instance has one, a load balancer one in each of its zones. They are derived from their owners;
//! none can be created.

use super::instances::{Instance, private_dns_name};
use super::listing::{self, Filters, known_ids};
use super::model::{Ec2, Operation};
use super::security_groups::groups_value;
use super::tags::{self, Tags};
use crate::region::context::{ACCOUNT, Context};
use crate::region::facts::LoadBalancerNode;
use crate::region::wire::{Answer, Params, Value};

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] = &[Operation::new(
    "DescribeNetworkInterfaces",
    "+filters +pages NetworkInterfaceId[] IncludeManagedResources=false",
    |ec2, cx, params| describe_network_interfaces(ec2, cx, params),
)];

/// What Elastic Load Balancing calls itself where it owns or asks for something.
const LOAD_BALANCING: &str = "amazon-elb";

/// Whose interface it is.
enum Owner<'a> {
    Instance(&'a Instance),
    LoadBalancer(&'a LoadBalancerNode),
}

impl Owner<'_> {
    fn id(&self) -> String {
        match self {
            Owner::Instance(instance) => instance.interface.clone(),
            Owner::LoadBalancer(node) => node.interface.clone(),
        }
    }

    fn description(&self) -> String {
        match self {
            Owner::Instance(instance) => instance.interface_description.clone(),
            Owner::LoadBalancer(node) => format!("ELB {}", node.full_name),
        }
    }

    fn tags(&self) -> &Tags {
        static NONE: Tags = Tags::new();
        match self {
            Owner::Instance(instance) => &instance.interface_tags,
            Owner::LoadBalancer(_) => &NONE,
        }
    }

    fn address(&self) -> String {
        match self {
            Owner::Instance(instance) => instance.private_address,
            Owner::LoadBalancer(node) => node.address,
        }
        .to_string()
    }

    /// The address at which everybody reaches it.
    fn public_address(&self) -> String {
        match self {
            Owner::Instance(instance) => instance.address,
            Owner::LoadBalancer(node) => node.address,
        }
        .to_string()
    }

    fn groups(&self) -> &[String] {
        match self {
            Owner::Instance(instance) => &instance.groups,
            Owner::LoadBalancer(node) => &node.security_groups,
        }
    }

    /// Subnet, VPC and zone.
    fn place(&self) -> (&str, &str, &str) {
        match self {
            Owner::Instance(instance) => (&instance.subnet, &instance.vpc, &instance.zone),
            Owner::LoadBalancer(node) => (&node.subnet, &node.vpc, &node.zone),
        }
    }

    fn is_public(&self) -> bool {
        match self {
            Owner::Instance(instance) => instance.public,
            Owner::LoadBalancer(node) => node.public,
        }
    }

    fn field(&self, ec2: &Ec2, name: &str) -> Option<Vec<String>> {
        let (subnet, vpc, zone) = self.place();
        let value = match name {
            "network-interface-id" => self.id(),
            "description" => self.description(),
            "subnet-id" => subnet.to_owned(),
            "vpc-id" => vpc.to_owned(),
            "availability-zone" => zone.to_owned(),
            "status" => "in-use".to_owned(),
            "private-ip-address" | "addresses.private-ip-address" => self.address(),
            "association.public-ip" | "addresses.association.public-ip" => {
                return Some(self.is_public().then(|| self.public_address()).into_iter().collect());
            }
            "group-id" => return Some(self.groups().to_vec()),
            "group-name" => {
                let groups = self.groups().iter().filter_map(|id| ec2.security_groups.get(id));
                return Some(groups.map(|group| group.name.clone()).collect());
            }
            "owner-id" => ACCOUNT.to_owned(),
            "interface-type" => "interface".to_owned(),
            "attachment.status" => "attached".to_owned(),
            "requester-managed" => matches!(self, Owner::LoadBalancer(_)).to_string(),
            "requester-id" => match self {
                Owner::Instance(_) => return Some(Vec::new()),
                Owner::LoadBalancer(_) => LOAD_BALANCING.to_owned(),
            },
            "attachment.instance-id" => match self {
                Owner::Instance(instance) => instance.id.clone(),
                Owner::LoadBalancer(_) => return Some(Vec::new()),
            },
            "attachment.instance-owner-id" => match self {
                Owner::Instance(_) => ACCOUNT.to_owned(),
                Owner::LoadBalancer(_) => LOAD_BALANCING.to_owned(),
            },
            _ => return None,
        };
        Some(vec![value])
    }

    fn value(&self, ec2: &Ec2, cx: &Context) -> Value {
        match self {
            Owner::Instance(instance) => instance_interface(ec2, cx, instance),
            Owner::LoadBalancer(node) => {
                let attachment = Value::map()
                    .with("attachmentId", Value::from(node.interface.replace("eni-", "eni-attach-")))
                    .with("instanceOwnerId", Value::from(LOAD_BALANCING))
                    .with("deviceIndex", Value::from(1i64))
                    .with("status", Value::from("attached"))
                    .with("deleteOnTermination", Value::from(false));
                interface(ec2, self, attachment)
                    .with("requesterId", Value::from(LOAD_BALANCING))
                    .with("requesterManaged", Value::from(true))
                    .with("tagSet", Value::list([]))
            }
        }
    }
}

/// An instance's interface as DescribeInstances and DescribeNetworkInterfaces show it.
pub fn instance_interface(ec2: &Ec2, cx: &Context, instance: &Instance) -> Value {
    let attachment = Value::map()
        .with("attachmentId", Value::from(instance.interface.replace("eni-", "eni-attach-")))
        .with("instanceId", Value::from(&*instance.id))
        .with("instanceOwnerId", Value::from(ACCOUNT))
        .with("deviceIndex", Value::from(0i64))
        .with("networkCardIndex", Value::from(0i64))
        .with("status", Value::from("attached"))
        .with("attachTime", Value::from(instance.launched))
        .with("deleteOnTermination", Value::from(true));
    interface(ec2, &Owner::Instance(instance), attachment)
        .with("macAddress", Value::from(&*instance.mac))
        .with("privateDnsName", Value::from(private_dns_name(instance, cx.region)))
        .with("requesterManaged", Value::from(false))
        .with("tagSet", tags::value(&instance.interface_tags))
}

/// What all interfaces show.
fn interface(ec2: &Ec2, owner: &Owner, attachment: Value) -> Value {
    let (subnet, vpc, zone) = owner.place();
    let address = owner.address();
    let association = owner.is_public().then(|| {
        let (owned, public) = (Value::map().with("ipOwnerId", Value::from("amazon")), owner.public_address());
        owned.with("publicIp", Value::from(&*public)).with("publicDnsName", Value::from(public))
    });
    let primary = Value::map()
        .with("privateIpAddress", Value::from(&*address))
        .with("primary", Value::from(true))
        .with("association", association.clone());
    Value::map()
        .with("networkInterfaceId", Value::from(owner.id()))
        .with("description", Value::from(owner.description()))
        .with("subnetId", Value::from(subnet))
        .with("vpcId", Value::from(vpc))
        .with("availabilityZone", Value::from(zone))
        .with("ownerId", Value::from(ACCOUNT))
        .with("status", Value::from("in-use"))
        .with("interfaceType", Value::from("interface"))
        .with("sourceDestCheck", Value::from(true))
        .with("privateIpAddress", Value::from(&*address))
        .with("privateIpAddressesSet", Value::list([primary]))
        .with("association", association)
        .with("groupSet", groups_value(ec2, owner.groups()))
        .with("attachment", attachment)
}

pub fn describe_network_interfaces(ec2: &Ec2, cx: &Context, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let nodes = cx.facts.load_balancer_nodes();
    let instances = ec2.instances.all.values().filter(|instance| instance.occupies());
    let owners: Vec<Owner> = instances.map(Owner::Instance).chain(nodes.iter().map(Owner::LoadBalancer)).collect();
    let known = |id: &str| owners.iter().any(|owner| owner.id() == id);
    let code = "InvalidNetworkInterfaceID.NotFound";
    let ids = known_ids(params, "NetworkInterfaceId", code, "networkInterface ID", known)?;
    let mut found = Vec::new();
    for owner in owners {
        let keep = filters.keep(owner.tags(), |name| owner.field(ec2, name))?;
        if keep && (ids.is_empty() || ids.contains(&&*owner.id())) {
            found.push(owner);
        }
    }
    found.sort_by_key(Owner::id);
    let (page, token) = listing::page(params, found, Owner::id)?;
    Ok(listing::answer("networkInterfaceSet", page.iter().map(|owner| owner.value(ec2, cx)).collect(), token))
}
