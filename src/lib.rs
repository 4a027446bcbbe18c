//! cloudscale: rehearse autoscaling on a laptop, ship it to AWS, prove it with load.
pub mod aws;
pub mod benchmark;
pub mod chart;
pub mod cli;
pub mod clock;
pub mod engine;
pub mod exit;
pub mod problem;
pub mod region;
pub mod report;
pub mod resources;
pub mod stack;
pub mod ui;
pub mod workload;
