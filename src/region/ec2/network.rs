//! The region's network: VPCs with their subnets, internet gateways and route tables. An account starts with the default
//! VPC, which has one default subnet in each zone.
//!
//! The default VPC's range is loopback, 127.31.0.0/16, so that an instance's private address is one that every program of
//! this machine reaches. A created VPC or subnet may have any range that AWS accepts, and an instance in it is shown with
//! a private address of that range; but what it binds and is reached at is a loopback address of its zone's net, as in the
//! default subnet: its public address, and what its metadata say. Routes and gateways are kept and shown, and no packet is
//! held up by them.

pub mod cidr;
pub mod internet_gateways;
pub mod network_acls;
pub mod route_tables;
pub mod subnets;
pub mod vpcs;
pub mod zones;

use std::collections::BTreeMap;

use self::cidr::Cidr;
use self::internet_gateways::InternetGateway;
use self::network_acls::NetworkAcl;
use self::route_tables::RouteTable;
use self::subnets::Subnet;
use self::vpcs::Vpc;
use crate::region::addresses::{VPC_CIDR, net_cidr};
use crate::region::ids::Ids;
use crate::region::wire::ApiError;

/// Everything by id.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Network {
    pub vpcs: BTreeMap<String, Vpc>,
    pub subnets: BTreeMap<String, Subnet>,
    pub internet_gateways: BTreeMap<String, InternetGateway>,
    pub route_tables: BTreeMap<String, RouteTable>,
    pub acls: BTreeMap<String, NetworkAcl>,
}

impl Network {
    /// The network that every account starts with.
    pub fn default_of(region: &str, ids: &mut Ids) -> Self {
        let mut network = Self::default();
        let cidr = |text: &str| Cidr::parse(text).expect("the default network's ranges are well-formed");
        let vpc = Vpc { is_default: true, dns_hostnames: true, ..Vpc::new(ids, cidr(VPC_CIDR)) };
        for (net, zone) in (0..).zip(zones::names(region)) {
            let id = ids.resource("subnet");
            let subnet =
                Subnet { is_default: true, ..Subnet::new(id.clone(), &vpc.id, zone, net, cidr(&net_cidr(net))) };
            network.subnets.insert(id, Subnet { map_public: true, ..subnet });
        }
        let gateway = InternetGateway::new(ids.resource("igw"), Some(vpc.id.clone()));
        let mut routes = RouteTable::new(ids, &vpc.id, true);
        routes.routes.insert(cidr("0.0.0.0/0"), gateway.id.clone());
        network.internet_gateways.insert(gateway.id.clone(), gateway);
        network.route_tables.insert(routes.id.clone(), routes);
        let acl = NetworkAcl::default_of(&vpc.id, ids);
        network.acls.insert(acl.id.clone(), acl);
        network.vpcs.insert(vpc.id.clone(), vpc);
        network
    }

    pub fn default_vpc(&self) -> Option<&Vpc> {
        self.vpcs.values().find(|vpc| vpc.is_default)
    }

    /// The default subnet of a zone, or of the first zone.
    pub fn default_subnet(&self, zone: Option<&str>) -> Option<&Subnet> {
        let default = self.subnets.values().filter(|subnet| subnet.is_default);
        default.filter(|subnet| zone.is_none_or(|zone| subnet.zone == zone)).min_by_key(|subnet| subnet.net)
    }

    pub fn subnet(&self, id: &str) -> Result<&Subnet, ApiError> {
        let not_found = || ApiError::new("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist"));
        self.subnets.get(id).ok_or_else(not_found)
    }

    /// The VPC of that id, or the default one where none is named.
    pub fn vpc(&self, id: Option<&str>) -> Result<&Vpc, ApiError> {
        match id {
            Some(id) => self
                .vpcs
                .get(id)
                .ok_or_else(|| ApiError::new("InvalidVpcID.NotFound", format!("The vpc ID '{id}' does not exist"))),
            None => self.default_vpc().ok_or_else(|| {
                ApiError::new(
                    "VPCIdNotSpecified",
                    "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.",
                )
            }),
        }
    }
}

/// AWS's refusal to delete what others still need.
pub fn in_use(kind: &str, id: &str) -> ApiError {
    ApiError::new("DependencyViolation", format!("The {kind} '{id}' has dependencies and cannot be deleted."))
}
