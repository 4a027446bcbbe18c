//! The network that a stack lives in: looked up, never changed.

use crate::aws::clients::Clients;
use crate::aws::error::CallError;
use crate::problem::Problem;
use crate::stack::model::Network;

/// A VPC and the subnets in use: one a zone, by zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveNetwork {
    pub vpc: String,
    pub subnets: Vec<LiveSubnet>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSubnet {
    pub id: String,
    pub zone: String,
}

impl LiveNetwork {
    pub fn subnet_ids(&self) -> Vec<String> {
        self.subnets.iter().map(|subnet| subnet.id.clone()).collect()
    }
}

/// Finds the network in one call: default subnets name their VPC.
///
/// # Errors
/// Where there is none, or fewer than the two zones that a load balancer needs.
pub async fn look_up(clients: &Clients, network: &Network) -> Result<LiveNetwork, Problem> {
    let request = clients.ec2.describe_subnets();
    let request = match network {
        Network::Default => {
            request.filters(aws_sdk_ec2::types::Filter::builder().name("default-for-az").values("true").build())
        }
        Network::Existing { subnets, .. } => request.set_subnet_ids(Some(subnets.clone())),
        Network::Created { cidr, .. } => {
            return Err(Problem::usage(
                "Networks cannot be created yet",
                format!("`network: {{cidr: {cidr}}}` asks for a VPC of its own"),
            )
            .hint("use `network: default`, or an existing network with {vpc: …, subnets: […]}"));
        }
    };
    let answer = request.send().await.map_err(|error| error.problem("ec2:DescribeSubnets", "network"))?;
    let found = answer.subnets().iter().filter_map(|subnet| {
        Some((subnet.vpc_id()?.to_owned(), subnet.subnet_id()?.to_owned(), subnet.availability_zone()?.to_owned()))
    });
    choose(network, found.collect())
}

/// One subnet a zone out of (VPC, subnet, zone).
fn choose(network: &Network, mut found: Vec<(String, String, String)>) -> Result<LiveNetwork, Problem> {
    found.sort_by(|a, b| (&a.2, &a.1).cmp(&(&b.2, &b.1)));
    let Some((vpc, ..)) = found.first().cloned() else {
        return Err(Problem::new("No default network", "this account's region has no default VPC with default subnets")
            .hint("create one with `aws ec2 create-default-vpc`, or name a network: {vpc: vpc-…, subnets: [subnet-…, subnet-…]}"));
    };
    if let Network::Existing { vpc: wanted, .. } = network
        && let Some((other, subnet, _)) = found.iter().find(|(vpc, ..)| vpc != wanted)
    {
        return Err(Problem::usage(
            "A subnet lies in another VPC",
            format!("{subnet} belongs to {other}, not to {wanted}"),
        ));
    }
    found.dedup_by(|a, b| a.2 == b.2);
    if found.len() < 2 {
        return Err(Problem::new(
            "Too few zones",
            format!("a load balancer needs subnets in two zones; {vpc} offers {}", found.len()),
        )
        .hint("name subnets in different zones: network: {vpc: vpc-…, subnets: [subnet-…, subnet-…]}"));
    }
    let subnets = found.into_iter().map(|(_, id, zone)| LiveSubnet { id, zone }).collect();
    Ok(LiveNetwork { vpc, subnets })
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
        assert_eq!(network.subnet_ids(), ["s-1", "s-2"]);
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
}
