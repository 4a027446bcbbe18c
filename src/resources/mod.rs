//! The resource types: what the user wants, what the cloud says, how they compare, and how to create, update and delete.
//!
//! One file per AWS type. Waiting, retrying, ordering and progress are the engine's. To add a type: write its file,
//! implement [`Resource`](crate::resource::Resource), and add it to [`TYPES`].

pub mod alarm;
pub mod handover;
pub mod instance_refresh;
pub mod instances;
pub mod internet_gateway;
pub mod launch_template;
pub mod listener;
pub mod load_balancer;
pub mod mixed_instances;
pub mod network;
pub mod registration;
pub mod route_table;
pub mod rule;
pub mod rule_order;
pub mod scaling_group;
pub mod scaling_policy;
pub mod scheduled_action;
pub mod security_group;
pub mod stacks;
pub mod subnet;
pub mod target_group;
pub mod targets;
pub mod vpc;

use crate::resource::erased::{Face, Typed};

/// Every resource type.
pub const TYPES: &[&dyn Face] = &[
    &Typed::<vpc::Vpc>::NEW,
    &Typed::<internet_gateway::InternetGateway>::NEW,
    &Typed::<route_table::RouteTable>::NEW,
    &Typed::<subnet::Subnet>::NEW,
    &Typed::<security_group::SecurityGroup>::NEW,
    &Typed::<launch_template::LaunchTemplate>::NEW,
    &Typed::<target_group::TargetGroup>::NEW,
    &Typed::<load_balancer::LoadBalancer>::NEW,
    &Typed::<listener::Listener>::NEW,
    &Typed::<rule::Rule>::NEW,
    &Typed::<instances::Instances>::NEW,
    &Typed::<registration::Registration>::NEW,
    &Typed::<scaling_group::ScalingGroup>::NEW,
    &Typed::<scaling_policy::ScalingPolicy>::NEW,
    &Typed::<alarm::Alarm>::NEW,
    &Typed::<scheduled_action::ScheduledAction>::NEW,
];
