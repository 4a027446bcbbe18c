//! What is broken on purpose, to see whether a stack heals: instances are killed, hang, become slow or unhealthy; a zone fails.
//!
//! `model.rs` says what there is and picks the targets; `experiment.rs` does it: EC2 terminates, on AWS too, and the embedded region
//! stops or ends the processes of its instances.

pub mod experiment;
pub mod model;
