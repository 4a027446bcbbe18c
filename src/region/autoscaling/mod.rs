//! EC2 Auto Scaling: groups that launch, replace and end instances, and the policies and schedules that size them.
//!
//! `model.rs` holds the groups and hands operations to `calls/`, signals and time to [`group::Group`]. A group's
//! behaviour is split by what it does: `launching` and `ending`, `health`, `replacing`, `balancing` (zones), `risking` (spot), `hooks`, `scaling` (policies), `predicting`, `scheduling`, `refreshing`,
//! `pooling` (the warm pool),
//! `metrics`; what those act on has files below them (`member`, `hook`, `schedule`, `refresh`, `policy`, `forecast`, `proposal`).

pub mod activity;
mod balancing;
mod calls;
pub mod configuration;
#[cfg(test)]
mod edge_tests;
mod ending;
pub mod forecast;
pub mod group;
pub mod health;
pub mod hook;
mod hooks;
mod launching;
pub mod member;
pub mod metrics;
pub mod mix;
#[cfg(test)]
mod mixed_tests;
pub mod model;
pub mod notice;
mod notifying;
mod parameters;
pub mod policy;
mod pooling;
mod predicting;
pub mod process;
#[cfg(test)]
mod properties;
mod proposal;
pub mod refresh;
mod refreshing;
mod replacing;
mod risking;
mod scaling;
pub mod schedule;
mod scheduling;
#[cfg(test)]
mod scripted;
pub mod settings;
pub mod termination;
#[cfg(test)]
mod tests;
pub mod tracking;
pub mod warm_pool;
mod wire;

pub use calls::OPERATIONS;
