//! The resource types: what the user wants, what the cloud says, how they compare, and how to create, update and
//! delete.
//!
//! One file per AWS type. Waiting, retrying, ordering and progress are the engine's. To add a type: write its file,
//! implement [`Resource`](crate::resource::Resource), and add it to [`TYPES`].

pub mod alarm;
pub mod by_name;
pub mod connection;
mod consequence;
pub mod dashboard;
mod existing;
mod expiry;
#[cfg(test)]
mod foreign_tests;
pub mod handover;
mod in_use;
pub mod instance_refresh;
pub mod instances;
pub mod internet_gateway;
#[cfg(test)]
mod interrupt_tests;
pub mod launch_template;
pub mod listener;
pub mod load_balancer;
pub mod mixed_instances;
pub mod network;
pub mod price;
pub mod provider;
#[cfg(test)]
mod readback_tests;
pub mod readiness;
pub mod route_table;
pub mod rule;
pub mod rule_order;
pub mod rule_succession;
pub mod running;
pub mod scaling_group;
pub mod scaling_policy;
pub mod scheduled_action;
pub mod security_group;
pub mod stacks;
mod status_view;
mod stopping;
pub mod subnet;
pub mod target_attachment;
pub mod target_group;
pub mod targets;
pub mod vpc;
pub mod warm_pool;

use crate::resource::erased::{Erased, ErasedResource};

/// Every resource type.
pub const TYPES: &[&dyn ErasedResource] = &[
    &Erased::<vpc::Vpc>::NEW,
    &Erased::<internet_gateway::InternetGateway>::NEW,
    &Erased::<route_table::RouteTable>::NEW,
    &Erased::<subnet::Subnet>::NEW,
    &Erased::<security_group::SecurityGroup>::NEW,
    &Erased::<launch_template::LaunchTemplate>::NEW,
    &Erased::<target_group::TargetGroup>::NEW,
    &Erased::<load_balancer::LoadBalancer>::NEW,
    &Erased::<listener::Listener>::NEW,
    &Erased::<rule::Rule>::NEW,
    &Erased::<instances::Instances>::NEW,
    &Erased::<target_attachment::TargetAttachment>::NEW,
    &Erased::<scaling_group::ScalingGroup>::NEW,
    &Erased::<scaling_policy::ScalingPolicy>::NEW,
    &Erased::<alarm::Alarm>::NEW,
    &Erased::<scheduled_action::ScheduledAction>::NEW,
    &Erased::<dashboard::Dashboard>::NEW,
];
