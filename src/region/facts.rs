//! What a service may ask about its neighbours: read-only, answered by `neighbours.rs`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use super::signal::{InstanceState, TargetState};
use super::wire::{ApiError, Params};

/// Questions that cross the border between two services.
pub trait Facts {
    // answered by EC2
    fn instance(&self, id: &str) -> Option<InstanceFacts>;
    fn instances(&self) -> Vec<InstanceFacts>;
    /// An instance's type and image, for what needs no more.
    fn kind_of_instance(&self, id: &str) -> Option<(&str, &str)>;
    /// Whether an instance's metrics are told each minute rather than each five.
    fn is_monitored_in_detail(&self, id: &str) -> bool;
    fn subnet(&self, id: &str) -> Option<SubnetFacts>;
    /// The default subnet of a zone.
    fn default_subnet(&self, zone: &str) -> Option<SubnetFacts>;
    fn vpc_exists(&self, id: &str) -> bool;
    fn security_group_exists(&self, id: &str) -> bool;
    /// By id or name; the version is a number, `$Latest` or `$Default`.
    fn launch_template(&self, id_or_name: &str, version: &str) -> Option<LaunchTemplateFacts>;

    // answered by Elastic Load Balancing
    fn target_group(&self, arn: &str) -> Option<TargetGroupFacts>;
    /// The health of a registered target; `None` where it is not registered.
    fn target_health(&self, target_group: &str, instance: &str) -> Option<TargetState>;
    /// Whether an instance was deregistered and may still have requests in flight there.
    fn target_drains(&self, target_group: &str, instance: &str) -> bool;
    /// Every load balancer's network interface in each of its zones.
    fn load_balancer_nodes(&self) -> Vec<LoadBalancerNode>;
    /// Security groups in use by load balancers, which may not be deleted.
    fn security_groups_of_load_balancers(&self) -> Vec<String>;

    // answered by Auto Scaling
    /// The group in whose aggregated metrics an instance counts: it is in service there and past its warm-up.
    fn group_that_counts(&self, instance: &str, now: Timestamp) -> Option<&str>;

    // answered by all
    /// Another number after whatever may have changed what EC2 or Auto Scaling answer, other than time; 0 where nobody counts.
    fn revision(&self) -> u64;
    /// The ARN and the tags of everything that has tags or could have some.
    fn tagged(&self, region: &str) -> Vec<(String, BTreeMap<String, String>)>;

    // answered by CloudWatch
    /// Whether `PutMetricAlarm` would take these parameters: what crosses services is checked before the caller is answered.
    fn check_alarm(&self, params: &Params) -> Result<(), ApiError>;
    /// The points of the one query that returns data, over a range of epoch seconds: what a forecast is made of.
    fn metric_history(
        &self,
        queries: &[Params],
        range: &Range<i64>,
        now: Timestamp,
    ) -> Result<BTreeMap<i64, f64>, ApiError>;
    /// Whether there is an alarm of that name and it is in ALARM.
    fn is_in_alarm(&self, name: &str) -> bool;
    /// The names of the alarms that act on a policy.
    fn alarms_of_policy(&self, policy_arn: &str) -> Vec<String>;
}

#[derive(Clone, Debug, PartialEq)]
pub struct InstanceFacts {
    pub id: String,
    pub state: InstanceState,
    /// Why it is in that state, where somebody said it: `Server.InternalError: …`.
    pub reason: Option<String>,
    pub instance_type: String,
    /// Not on demand.
    pub spot: bool,
    pub image: String,
    pub address: Ipv4Addr,
    pub subnet: String,
    pub vpc: String,
    pub zone: String,
    pub launched: Timestamp,
    /// Since when EC2's own status check fails: its process tree is gone.
    pub impaired_since: Option<Timestamp>,
    pub tags: BTreeMap<String, String>,
}

/// What the metadata service tells an instance about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataFacts {
    pub instance: InstanceFacts,
    pub region: String,
    pub architecture: String,
    /// `ip-127-31-0-4.ec2.internal`
    pub host_name: String,
    pub mac: String,
    pub reservation: String,
    pub launch_index: usize,
    /// Names.
    pub security_groups: Vec<String>,
    pub user_data: Arc<[u8]>,
    /// Whether the service answers at all.
    pub enabled: bool,
    pub tokens_required: bool,
    pub serves_tags: bool,
    /// Of a spot instance that is about to be taken away: when that was recommended, is noticed, and happens.
    pub interruption: Option<(Timestamp, Timestamp, Timestamp)>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SubnetFacts {
    pub id: String,
    pub vpc: String,
    pub zone: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchTemplateFacts {
    pub id: String,
    pub name: String,
    pub version: i64,
    pub instance_type: Option<String>,
    pub image: Option<String>,
    pub tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroupFacts {
    pub arn: String,
    pub port: u16,
    /// CloudWatch's dimension value: `targetgroup/name/0123456789abcdef`.
    pub full_name: String,
    /// `app/name/0123456789abcdef` of every load balancer that routes to it.
    pub load_balancers: Vec<String>,
    pub targets: Vec<String>,
    /// Its targets are addresses, not instances.
    pub by_address: bool,
}

/// A load balancer in one of its zones. All its nodes share its one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancerNode {
    /// `app/name/0123456789abcdef`
    pub full_name: String,
    /// `eni-…`
    pub interface: String,
    pub subnet: String,
    pub vpc: String,
    pub zone: String,
    pub address: Ipv4Addr,
    pub security_groups: Vec<String>,
    /// Whether it faces the internet.
    pub public: bool,
}
