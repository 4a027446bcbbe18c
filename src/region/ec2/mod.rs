//! EC2. `model.rs` is its table of operations; each noun has its own file.

mod describe;
mod images;
mod instance_types;
mod instances;
mod launch;
mod launch_templates;
mod listing;
pub mod model;
mod network;
pub mod processes;
mod rules;
mod security_groups;
mod tags;

#[cfg(test)]
mod tests;
