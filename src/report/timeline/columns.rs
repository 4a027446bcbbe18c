//! The columns of a timeline.

use crate::chart::drawing::time_step;
use crate::result::record::{self, TargetResult};

#[derive(Clone, Debug, Default)]
pub struct Column {
    pub from: f64,
    pub seconds: f64,
    pub requests: u64,
    pub errors: u64,
    pub demanded: Option<f64>,
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
}

/// The record's own columns. A record without them has rows of seconds, whose percentiles cannot be put together.
pub fn columns(target: &TargetResult, seconds: f64, columns_max: usize) -> Vec<Column> {
    if !target.columns.is_empty() {
        let column = |column: &record::Column| Column {
            from: column.at.into(),
            seconds: column.seconds.into(),
            requests: column.requests,
            errors: column.errors,
            demanded: column.demanded,
            p50: column.p50_ms,
            p95: column.p95_ms,
            p99: column.p99_ms,
        };
        return target.columns.iter().map(column).collect();
    }
    let width = time_step(seconds, columns_max).max(1.0);
    let mut columns: Vec<Column> = Vec::new();
    for second in &target.timeline {
        let from = (f64::from(second.at) / width).floor() * width;
        let alone = |value: Option<f64>| value.filter(|_| width == 1.0);
        match columns.last_mut().filter(|column| column.from == from) {
            Some(column) => {
                column.requests += second.requests;
                column.errors += second.errors;
            }
            None => columns.push(Column {
                from,
                seconds: width,
                requests: second.requests,
                errors: second.errors,
                demanded: None,
                p50: alone(second.p50_ms),
                p95: None,
                p99: alone(second.p99_ms),
            }),
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_put_together_but_none_is_lost() {
        let second = |at| record::Second { at, requests: 3, errors: 1, p99_ms: Some(9.0), p50_ms: Some(1.0) };
        let target = TargetResult { timeline: (0..3600).map(second).collect(), ..TargetResult::default() };
        let columns = columns(&target, 3600.0, 180);
        assert!(columns.len() <= 180 && columns.iter().all(|column| column.p99.is_none()));
        assert_eq!(columns.iter().map(|column| column.requests).sum::<u64>(), 10_800);
        assert_eq!(columns.iter().map(|column| column.errors).sum::<u64>(), 3600);
    }
}
