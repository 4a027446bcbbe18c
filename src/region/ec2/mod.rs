//! EC2. `model.rs` is its table of operations; each noun has its own file.

mod describe;
mod images;
mod instance_calls;
pub mod instance_types;
mod instances;
mod interruption;
mod key_pairs;
mod launch;
mod launch_data;
mod launch_templates;
mod listing;
pub mod model;
mod network;
mod network_interfaces;
pub mod processes;
mod root_volume;
mod rule;
mod rules;
mod security_groups;
mod spot_prices;
mod status_checks;
mod tags;
mod volumes;

#[cfg(test)]
mod filter_tests;
#[cfg(test)]
mod network_tests;
#[cfg(test)]
mod parameter_tests;
#[cfg(test)]
mod tests;
