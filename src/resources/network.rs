//! The network that a stack lives in: one that is there, looked up and never changed; or one of the stack's own, whose
//! parts are resources like any other ([`vpc`], [`subnet`], [`internet_gateway`](super::internet_gateway),
//! [`route_table`](super::route_table)).
//!
//! So the VPC and the subnets are values: ids of what is there, or references to what will be.

use crate::aws::clients::Clients;
use crate::aws::error::CallError;
use crate::cloud::address::Address;
use crate::cloud::snapshot::listing::{Collection, Depth, Listing, Query};
use crate::problem::Problem;
use crate::resource::Scope;
use crate::resource::change::Action;
use crate::resource::fields::Value;
use crate::resource::outlook::{Consequence, PartView, counted};
use crate::stack::model::Network;

/// Where the VPC of a network of the stack's own stands.
pub const VPC: Address = Address::fixed("network.vpc");
/// A load balancer needs subnets in so many zones (ELBv2 API, CreateLoadBalancer).
const ZONES_MIN: usize = 2;

/// The address of the subnet of a zone.
pub fn subnet_address(zone: &str) -> Address {
    Address::fixed("network.subnet").named(zone)
}

/// A VPC and the subnets in use: one a zone, by zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveNetwork {
    pub vpc: Value,
    pub subnets: Vec<LiveSubnet>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSubnet {
    pub id: Value,
    pub zone: String,
}

/// The network that the stack lives in, where its file is known.
#[derive(Debug)]
pub struct StackNetwork;

impl Collection for StackNetwork {
    type Item = LiveNetwork;

    const OURS_ONLY: bool = false;
}

impl Listing for StackNetwork {
    const DEPTHS: &'static [Depth] = &[Depth::Existence, Depth::Plan];

    async fn list(query: &Query<'_>) -> Result<Option<Vec<LiveNetwork>>, Problem> {
        match query.declared {
            Some(stack) => Ok(Some(vec![look_up(query.clients, &stack.network).await?])),
            None => Ok(Some(Vec::new())),
        }
    }
}

/// The network that was found.
///
/// # Panics
/// Where nobody looked for it: what is desired is asked for only with a stack at hand.
pub fn of<'a>(scope: &Scope<'a>) -> &'a LiveNetwork {
    scope.cloud.all::<StackNetwork>().first().expect("the snapshot was taken for a stack file")
}

impl LiveNetwork {
    /// All subnets, as one value.
    pub fn subnet_set(&self) -> Value {
        Value::set(self.subnets.iter().map(|subnet| subnet.id.clone()))
    }
}

/// What a plan says of the network and the security group of the instances, which has the network's life.
pub fn consequence(part: PartView<'_>) -> Consequence {
    match (part.overall(), part.stack.map(|stack| &stack.network)) {
        (Action::Create, Some(Network::Created { cidr, zones })) => {
            let zones = counted(u32::from(*zones), "public subnet");
            let text = format!("VPC {cidr} with {zones}, a security group for the instances");
            Consequence::sentence(Action::Create, text)
        }
        (Action::Create, Some(Network::Default)) => {
            Consequence::sentence(Action::Create, "a security group for the instances, in the default VPC")
        }
        (Action::Create, Some(Network::Existing { vpc, .. })) => {
            Consequence::sentence(Action::Create, format!("a security group for the instances, in {vpc}"))
        }
        _ => part.consequence(),
    }
}

/// Finds the network in one call: default subnets name their VPC; a network of the stack's own needs to know the zones.
///
/// # Errors
/// Where there is none, or fewer zones than desired: a load balancer needs two.
async fn look_up(clients: &Clients, network: &Network) -> Result<LiveNetwork, Problem> {
    let request = clients.ec2.describe_subnets();
    let request = match network {
        Network::Default => {
            request.filters(aws_sdk_ec2::types::Filter::builder().name("default-for-az").values("true").build())
        }
        Network::Existing { subnets, .. } => request.set_subnet_ids(Some(subnets.clone())),
        Network::Created { zones, .. } => return own(zone_names(clients).await?, (*zones).into()),
    };
    let answer = request.send().await.map_err(|error| error.problem("ec2:DescribeSubnets", "network"))?;
    let found = answer.subnets().iter().filter_map(|subnet| {
        Some((subnet.vpc_id()?.to_owned(), subnet.subnet_id()?.to_owned(), subnet.availability_zone()?.to_owned()))
    });
    choose(network, found.collect())
}

/// The network as far as the stack file reports it, for a plan that asks nobody.
pub fn as_declared(network: &Network, region: &str) -> LiveNetwork {
    let zones = ('a'..='z').map(|letter| format!("{region}{letter}"));
    let (vpc, subnets): (_, Vec<_>) = match network {
        Network::Default => {
            let default = || Value::Text("default".to_owned());
            (default(), zones.take(ZONES_MIN).map(|zone| LiveSubnet { id: default(), zone }).collect())
        }
        Network::Existing { vpc, subnets } => {
            let ids = subnets.iter().map(|id| Value::Text(id.clone()));
            (Value::Text(vpc.clone()), ids.zip(zones).map(|(id, zone)| LiveSubnet { id, zone }).collect())
        }
        Network::Created { zones: count, .. } => {
            let subnet = |zone: String| LiveSubnet { id: Value::Ref(subnet_address(&zone)), zone };
            (Value::Ref(VPC), zones.take(usize::from(*count)).map(subnet).collect())
        }
    };
    LiveNetwork { vpc, subnets }
}

/// The region's availability zones that take instances now, without local zones.
async fn zone_names(clients: &Clients) -> Result<Vec<String>, Problem> {
    let answer = clients.ec2.describe_availability_zones().send().await;
    let answer = answer.map_err(|error| error.problem("ec2:DescribeAvailabilityZones", "network"))?;
    let zones = answer.availability_zones().iter().filter(|zone| {
        // Endpoints that imitate AWS do not always report the type.
        zone.zone_type().is_none_or(|kind| kind == "availability-zone")
            && zone.state().is_none_or(|state| state.as_str() == "available")
    });
    Ok(zones.filter_map(|zone| zone.zone_name().map(str::to_owned)).collect())
}

/// A network of the stack's own, in the first `count` zones by name.
fn own(mut zones: Vec<String>, count: usize) -> Result<LiveNetwork, Problem> {
    zones.sort_unstable();
    if zones.len() < count {
        let detail = format!("the stack's network wants {count} zones; the region offers {}", zones.join(", "));
        return Err(
            Problem::usage("Too few zones", detail).hint("write a smaller number: network: {cidr: …, zones: 2}")
        );
    }
    zones.truncate(count);
    let subnets = zones.into_iter().map(|zone| LiveSubnet { id: Value::Ref(subnet_address(&zone)), zone });
    Ok(LiveNetwork { vpc: Value::Ref(VPC), subnets: subnets.collect() })
}

/// One subnet a zone out of (VPC, subnet, zone).
fn choose(network: &Network, mut found: Vec<(String, String, String)>) -> Result<LiveNetwork, Problem> {
    found.sort_by(|a, b| (&a.2, &a.1).cmp(&(&b.2, &b.1)));
    let Some((vpc, ..)) = found.first().cloned() else {
        return Err(Problem::new(
            "No default network",
            "this account's region has no default VPC with default subnets",
        )
        .hint("give the stack one of its own: network: {cidr: 10.0.0.0/16}; or run `aws ec2 create-default-vpc`"));
    };
    if let Network::Existing { vpc: desired, .. } = network
        && let Some((other, subnet, _)) = found.iter().find(|(vpc, ..)| vpc != desired)
    {
        return Err(Problem::usage(
            "A subnet lies in another VPC",
            format!("{subnet} belongs to {other}, not to {desired}"),
        ));
    }
    found.dedup_by(|a, b| a.2 == b.2);
    if found.len() < ZONES_MIN {
        return Err(Problem::new(
            "Too few zones",
            format!("a load balancer needs subnets in two zones; {vpc} offers {}", found.len()),
        )
        .hint("name subnets in different zones: network: {vpc: vpc-…, subnets: [subnet-…, subnet-…]}"));
    }
    let subnets = found.into_iter().map(|(_, id, zone)| LiveSubnet { id: Value::Text(id), zone }).collect();
    Ok(LiveNetwork { vpc: Value::Text(vpc), subnets })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(vpc: &str, subnet: &str, zone: &str) -> (String, String, String) {
        (vpc.to_owned(), subnet.to_owned(), zone.to_owned())
    }

    #[test]
    fn one_subnet_a_zone_in_the_order_of_the_zones() {
        let found = vec![row("v", "s-3", "b"), row("v", "s-1", "a"), row("v", "s-2", "b")];
        let network = choose(&Network::Default, found).expect("two zones");
        assert_eq!(network.subnet_set().to_string(), "s-1, s-2");
    }

    #[test]
    fn an_account_without_a_default_network_is_told_what_to_do() {
        assert_eq!(choose(&Network::Default, Vec::new()).unwrap_err().summary, "No default network");
    }

    #[test]
    fn a_subnet_of_another_vpc_is_refused() {
        let network = Network::Existing { vpc: "v".into(), subnets: vec!["s-1".into(), "s-2".into()] };
        let problem = choose(&network, vec![row("v", "s-1", "a"), row("w", "s-2", "b")]).unwrap_err();
        assert_eq!(problem.detail, "s-2 belongs to w, not to v");
    }

    #[test]
    fn a_network_of_the_stacks_own_takes_the_first_zones_and_refers_to_what_will_be() {
        let zones = || vec!["eu-west-1c".to_owned(), "eu-west-1a".to_owned(), "eu-west-1b".to_owned()];
        let network = own(zones(), 2).expect("three zones");
        assert_eq!(network.vpc, Value::Ref(VPC));
        assert_eq!(network.subnet_set().references(), [&subnet_address("eu-west-1a"), &subnet_address("eu-west-1b")]);
        assert_eq!(own(zones(), 4).unwrap_err().summary, "Too few zones");
    }
}
