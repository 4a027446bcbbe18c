//! Elastic Load Balancing v2: application load balancers that really proxy.
//!
//! The model (`model.rs` and a file per noun) decides; `routing.rs` is the view of it that the data plane works by:
//! `proxy` serves the listeners, `prober` makes the health checks that the model asks for.

mod actions;
mod attributes;
mod certificates;
mod conditions;
mod health;
mod limits;
mod listeners;
mod load_balancers;
pub mod model;
mod page;
mod patterns;
pub mod prober;
pub mod proxy;
pub mod routing;
mod rule;
mod rules;
mod tags;
mod target;
mod target_groups;
mod targets;
mod transforms;
mod wire;

#[cfg(test)]
mod tests;

pub use wire::OPERATIONS;
