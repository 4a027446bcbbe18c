//! EC2 Auto Scaling: groups that launch, replace and end instances, and the policies and schedules that size them.
//!
//! `model.rs` holds the groups and hands operations to `calls/`, signals and time to [`group::Group`]. A group's
//! behaviour is split by noun: `launching` and `ending`, `health`, `hooks`, `scaling` (policies), `schedule`, `refresh`, `metrics`.

pub mod activity;
mod calls;
mod ending;
pub mod group;
pub mod health;
pub mod hooks;
mod launching;
pub mod member;
pub mod metrics;
pub mod mix;
#[cfg(test)]
mod mixed_tests;
pub mod model;
pub mod policy;
pub mod process;
#[cfg(test)]
mod properties;
pub mod refresh;
mod scaling;
pub mod schedule;
#[cfg(test)]
mod scripted;
pub mod settings;
pub mod termination;
#[cfg(test)]
mod tests;
pub mod tracking;
mod wire;
#[cfg(test)]
mod world_tests;

pub use calls::OPERATIONS;
