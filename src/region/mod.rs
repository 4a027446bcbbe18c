//! The embedded region: an AWS-compatible endpoint whose instances are processes and whose load balancer proxies.
//!
//! `world.rs` holds every service's pure model and routes signals between them; around it stand the shells: `server.rs`
//! (HTTP, with `faults` where the user wants some), `driver.rs` (time), the processes of EC2, the proxy and prober of Elastic Load Balancing, and the collector
//! of CloudWatch.

pub mod addresses;
pub mod autoscaling;
pub mod callers;
pub mod certificates;
pub mod cloudwatch;
pub mod context;
pub mod daemon;
pub mod delays;
pub mod driver;
pub mod ec2;
pub mod elbv2;
pub mod facts;
pub mod faults;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(test)]
mod hostile_tests;
pub mod ids;
pub mod images;
pub mod log;
mod log_limiter;
pub mod metadata;
pub mod metric;
mod neighbours;
#[cfg(test)]
mod reference;
pub mod serve;
pub mod server;
pub mod signal;
#[cfg(test)]
pub mod simulated;
pub mod ssm;
pub mod state;
pub mod sts;
pub mod tagging;
pub mod wire;
pub mod world;
