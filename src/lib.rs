//! cloudscale: rehearse autoscaling on a laptop, ship it to AWS, prove it with load.
//!
//! # The map
//!
//! ```text
//! main → cli ─┬─ stack        YAML text → Stack, or all its problems at once
//!             ├─ engine       Stack × cloud → plan → actions in order → waits      (uses resources, aws)
//!             │   resources   one file per AWS type: wanted, live, create, update, retire
//!             │   aws         SDK clients, counted calls, SDK error → Problem
//!             ├─ benchmark    scenario → load → what the client measured → CloudWatch → RunResult
//!             ├─ report       RunResult → one HTML file; two RunResults → a comparison
//!             ├─ region       the embedded region: an AWS endpoint with a real data plane
//!             ├─ workload     the sample application that instances run
//!             └─ ui           the only code that prints
//! chart       time series → PNG, for the region's widget images
//! clock       the only file that reads the time or sleeps
//! problem     every error that a user can meet; exit: every exit code
//! ```
//!
//! # The ideas
//!
//! - **The cloud is the state.** No state file: every resource carries its stack, address and the hash of what was wanted
//!   as tags from the call that creates it, and `engine::discover` finds all by tag and name in a few bulk calls.
//! - **One path.** The embedded region is reached through the AWS SDK like AWS itself: only the endpoint differs.
//! - **Pure models, thin shells.** Each service of the region, the apply scheduler, the diff and the load schedule decide
//!   without I/O and are given the time. `region::world` owns the services' models and routes signals between them;
//!   processes, sockets and clocks stand around it.
//! - **What AWS creates once is the lock.** A run holds its stack by a launch template of a fixed name, whose tags are a
//!   lease (`engine::lock`). What joins a stack later does so by tags alone (`engine::adopt`).
//! - **Failure is tried, not argued.** Stacks, tampering, faults and ends of the process come at random, in simulated time, to
//!   the real engine and the real models of the region (`tests/it/fuzz.rs`); what failed once is a test with a name.
//! - **Events, then sinks.** Engine and benchmark tell what happens as `engine::event::Event`s; `ui` turns them into bars or
//!   lines.
//!
//! # Where the first design was left, and why
//!
//! - Problems are used everywhere, so they live in `problem.rs`, not in the stack language.
//! - The YAML reader stands on serde-saphyr's event parser: a deserializer stops at the first mistake. One description of
//!   the keys (`stack::grammar`, `stack::language`) makes checks, defaults and the JSON Schema, so schemars is not needed.
//! - Charts use plotters' drawing backends only; its chart builder can neither truncate labels nor leave gaps.
//! - There is no separate collector: the shells that measure (proxy, processes) send measurements as signals.

pub mod aws;
pub mod benchmark;
pub mod catalog;
pub mod chart;
pub mod cli;
pub mod clock;
pub mod cloud;
pub mod document;
pub mod engine;
pub mod exit;
pub mod problem;
pub mod region;
pub mod report;
pub mod resource;
pub mod resources;
pub mod stack;
pub mod ui;
pub mod workload;
