//! EC2. `model.rs` is its table of operations; each noun has its own file.

mod cidr;
mod describe;
mod images;
mod instance_calls;
pub mod instance_types;
mod instances;
mod internet_gateways;
mod key_pairs;
mod launch;
mod launch_templates;
mod listing;
pub mod model;
mod network;
mod network_acls;
mod network_interfaces;
pub mod processes;
mod route_tables;
mod rules;
mod security_groups;
mod spot_prices;
mod subnets;
mod tags;
mod volumes;
mod vpcs;
mod zones;

#[cfg(test)]
mod network_tests;
#[cfg(test)]
mod parameter_tests;
#[cfg(test)]
mod tests;
