//! CloudWatch: metrics, alarms and widget images.
//!
//! `store.rs` holds samples (`series.rs` those of one metric, `points.rs` in the order of time, `samples.rs` those of one
//! moment, `retention.rs` for how long) and `statistics.rs` what is made of them; `query.rs` and `math/` answer questions;
//! `alarm.rs` decides an alarm's state, `alarm_config.rs` is what it was told, `alarm_window.rs` what it looks at, `alarms.rs`
//! holds them all and lets time pass; `widget.rs` reads the widget language and has `crate::chart` draw; `dashboards.rs` keeps
//! dashboards, and `dashboard_body.rs` says which are valid. `model.rs` ties them together.

pub mod alarm;
pub mod alarm_config;
mod alarm_history;
mod alarm_operations;
mod alarm_reason;
mod alarm_window;
pub mod alarms;
pub mod anomaly;
mod basic;
mod composite_rule;
mod composites;
mod dashboard_body;
mod dashboards;
mod detectors;
pub mod math;
pub mod model;
mod points;
pub mod put;
pub mod query;
mod retention;
mod samples;
mod search;
mod series;
pub mod statistics;
pub mod store;
pub mod widget;
mod widget_chart;
mod widget_metrics;
mod widget_model;
mod widget_reader;
mod wire;

#[cfg(test)]
mod query_tests;
#[cfg(test)]
mod sdk_tests;
#[cfg(test)]
mod tests;
