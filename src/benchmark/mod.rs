//! Load: a scenario against the stack's routes, measured at the client, joined with CloudWatch.
//!
//! `run.rs` is the whole of it; `setup.rs` proves that the stack stands.
//! `scenario.rs` (read by `language.rs`) says what to send, `schedule.rs` what a thread does next, `client.rs` sends and checks, `recorder.rs`
//! counts, `load.rs` drives them and answers what was measured; `threshold.rs` judges it. `metrics.rs` says what
//! CloudWatch should show of a run and `cloudwatch.rs` waits for it. What is kept, and where, is `crate::result`.

pub mod client;
pub mod cloudwatch;
pub mod framing;
pub mod language;
pub mod load;
pub mod metrics;
pub mod recorder;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod setup;
pub mod threshold;

#[cfg(test)]
mod tests;
