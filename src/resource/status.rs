//! What a stack looks like right now: the answer of `status`, and what the benchmark measures against.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cloud::state::{InstanceState, LoadBalancerState, TargetState};

/// A stack as it is observed. `status --json` is this, as it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    pub stack: String,
    pub provider: String,
    /// `http://DNSName`, with the port unless it is 80; `None` while there is no load balancer.
    pub url: Option<String>,
    pub load_balancer: Option<LoadBalancerStatus>,
    /// By `cloudscale stop`.
    pub stopped: bool,
    /// When the stack is to be gone, by `cloudscale down --after`.
    pub down_after: Option<Timestamp>,
    /// In the stack's order.
    pub clusters: Vec<ClusterStatus>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoadBalancerStatus {
    pub dns_name: String,
    pub state: LoadBalancerState,
    pub arn: String,
    /// CloudWatch's dimension `LoadBalancer`: `app/name/0123456789abcdef`.
    pub full_name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterStatus {
    pub name: String,
    pub kind: ClusterKind,
    pub instance_type: String,
    /// Fixed instances have one figure for the three.
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    /// The Auto Scaling group's name: CloudWatch's dimension `AutoScalingGroupName`.
    pub group: Option<String>,
    pub target_group: Option<TargetGroupStatus>,
    /// In the order of their ids; terminated ones are left out.
    pub instances: Vec<InstanceStatus>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetGroupStatus {
    pub arn: String,
    /// CloudWatch's dimension `TargetGroup`: `targetgroup/name/0123456789abcdef`.
    pub full_name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceStatus {
    pub id: String,
    pub az: String,
    pub state: InstanceState,
    /// As the load balancer sees it. In a stack without a load balancer it follows the state: `healthy` while the
    /// instance is running, `initial` while it is pending, else `unhealthy`.
    pub health: TargetState,
    /// Why it is not healthy, as the load balancer reports it.
    pub reason: Option<String>,
    /// The private IPv4 address.
    pub address: Option<String>,
    /// `modelled` where the embedded region's CPUUtilization of it is that of a modelled processor.
    pub processor: Option<String>,
}

/// What a cluster's instances are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClusterKind {
    /// A fixed number of instances.
    #[default]
    #[serde(rename = "fixed", alias = "fleet")]
    Fixed,
    /// An Auto Scaling group.
    #[serde(rename = "group")]
    Group,
}

impl fmt::Display for ClusterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ClusterKind::Fixed => "fixed instances",
            ClusterKind::Group => "group",
        })
    }
}

impl ClusterStatus {
    pub fn healthy(&self) -> usize {
        self.instances.iter().filter(|instance| instance.health == TargetState::Healthy).count()
    }
}

/// `host[:port]` in its parts; the colons of an IPv6 address in brackets are its own.
pub fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_told_from_the_colons_of_an_address() {
        assert_eq!(split_port("127.0.0.2:18080"), ("127.0.0.2", Some("18080")));
        assert_eq!(split_port("web.elb.amazonaws.com"), ("web.elb.amazonaws.com", None));
        assert_eq!(split_port("[::1]"), ("[::1]", None));
        assert_eq!(split_port("[::1]:80"), ("[::1]", Some("80")));
    }
}
