//! Load: a scenario against the stack's routes, measured at the client, joined with CloudWatch.
//!
//! Arrivals → workers → intervals → one record. `run.rs` is the whole of it; `setup.rs` proves that the stack stands.
//! `scenario.rs` (read by `language/`) says what to send, `arrivals.rs` when, `plan.rs` and `request.rs` make it ready.
//! `access_log.rs` reads a log that is replayed, `data.rs` and `template.rs` put rows of a CSV file into requests.
//! `worker.rs` carries it with `client.rs` (a connection; `stream.rs` its bytes, `http2.rs` those that are shared, `redirect.rs` where an answer leads) and
//! `pool.rs` (the connections of an open load) and counts into
//! `interval.rs` by the rows of `grid.rs`; `load.rs` starts the workers, `locust` has Locust's carry the same load; `load_engine.rs` is the choice. `course.rs` is how far
//! a load has come, `watched.rs` what its watcher makes of it; `collector.rs` and `timeline.rs` put intervals together, with
//! `spread.rs` for times; `control.rs` is what a person changes meanwhile. `outline.rs` tells
//! whoever watches what is demanded. `threshold.rs` and `judge.rs` judge. `chaos.rs` breaks what the scenario says meanwhile. `url.rs` is a run without a stack. `watch.rs` looks at what the cloud does
//! meanwhile, `happened.rs` reads what AWS has written down of it. `metrics.rs` says what
//! CloudWatch should show of a run and `cloudwatch.rs` waits for it; `samples.rs` has its raw data,
//! `bill.rs` what the run cost. `scaling` and `calibrate` are experiments that change the
//! size of a group (`group.rs`); `export` writes scripts for other tools. What is kept, and where, is `crate::result`.

pub mod access_log;
pub mod arrivals;
pub mod bill;
pub mod calibrate;
pub mod chaos;
pub mod client;
pub mod cloudwatch;
pub mod collector;
pub mod control;
pub mod count;
pub mod course;
pub mod data;
pub mod export;
pub mod framing;
pub mod grid;
pub mod group;
mod happened;
pub mod http2;
pub mod interval;
pub mod judge;
pub mod language;
pub mod load;
pub mod load_engine;
pub mod locust;
pub mod metrics;
pub mod outline;
pub mod plan;
pub mod pool;
pub mod redirect;
pub mod request;
pub mod run;
pub mod samples;
pub mod scaling;
pub mod scenario;
pub mod schedule;
pub mod setup;
pub mod spread;
pub mod stream;
pub mod template;
pub mod threshold;
pub mod timeline;
pub mod url;
pub mod watch;
pub mod watched;
pub mod worker;

#[cfg(test)]
mod http2_tests;
#[cfg(test)]
mod sending_tests;
#[cfg(test)]
mod tests;
