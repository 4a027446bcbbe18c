//! Metric math: expressions over series, as GetMetricData, alarms and widgets write them.
//!
//! `parse.rs` makes a tree of the text, `evaluate.rs` computes it, `functions.rs` has the named functions; `scope.rs` is
//! what both can refer to.

mod evaluate;
mod functions;
mod parse;
mod scope;

use std::collections::BTreeMap;

pub use evaluate::{BAND, evaluate};
pub use parse::{Expression, parse};
pub use scope::Scope;

/// Values by time (epoch seconds), one a period.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Series {
    pub label: String,
    /// Seconds.
    pub period: i64,
    pub points: BTreeMap<i64, f64>,
}

/// What an expression has come to.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Value {
    Number(f64),
    Series(Series),
    /// An array of series, as `METRICS()` and `[m1, m2]` make it.
    List(Vec<Series>),
    Text(String),
}

#[cfg(test)]
mod tests;
