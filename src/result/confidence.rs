//! How sure one run is of a quantile.
//!
//! The interval of a quantile comes from order statistics: of n answers, the rank of quantile q has the standard deviation
//! √(n·q·(1−q)), so the answers at q ± 1.96·√(q·(1−q)/n) bound it with 95 % confidence. It assumes answers that do not
//! depend on each other, and says nothing about how runs differ: the wording stays careful.

use serde::Serialize;

use super::record::TargetResult;

/// 95 %
const STANDARD_SCORE: f64 = 1.96;
/// Below this many answers a quantile's interval is not computed.
const ANSWERS_MIN: u64 = 30;

/// Milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Interval {
    pub fn overlaps(self, other: Interval) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

/// The 95 % interval of a target's median.
pub fn median(target: &TargetResult) -> Option<Interval> {
    interval(target, 0.5)
}

fn interval(target: &TargetResult, quantile: f64) -> Option<Interval> {
    let answers = target.requests - target.errors;
    if answers < ANSWERS_MIN || target.distribution.is_empty() {
        return None;
    }
    let reach = STANDARD_SCORE * (quantile * (1.0 - quantile) / answers as f64).sqrt();
    let at = |quantile: f64| value_at(&target.distribution, quantile.clamp(0.0, 1.0));
    Some(Interval { low: at(quantile - reach), high: at(quantile + reach) })
}

/// The latency at a quantile, between the distribution's points.
pub fn value_at(distribution: &[(f64, f64)], quantile: f64) -> f64 {
    let after = distribution.partition_point(|point| point.0 < quantile);
    match (after.checked_sub(1).map(|before| distribution[before]), distribution.get(after)) {
        (Some((q0, v0)), Some((q1, v1))) if q1 > &q0 => v0 + (v1 - v0) * (quantile - q0) / (q1 - q0),
        (_, Some((_, value))) => *value,
        (Some((_, value)), None) => value,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::record::Latency;

    /// Latencies spread evenly from `from` to `from` + 10 ms.
    fn target(from: f64, requests: u64) -> TargetResult {
        TargetResult {
            name: "light".into(),
            requests,
            latency_ms: Latency { p50: from + 5.0, ..Latency::default() },
            distribution: vec![(0.0, from), (0.5, from + 5.0), (1.0, from + 10.0)],
            ..TargetResult::default()
        }
    }

    #[test]
    fn a_medians_interval_narrows_with_the_root_of_the_answers() {
        let hundred = median(&target(0.0, 100)).expect("enough answers");
        assert!((hundred.low - 4.02).abs() < 1e-9 && (hundred.high - 5.98).abs() < 1e-9, "{hundred:?}");
        let many = median(&target(0.0, 10_000)).expect("enough answers");
        assert!(((many.high - many.low) * 10.0 - (hundred.high - hundred.low)).abs() < 1e-9);
        assert_eq!(median(&target(0.0, 29)), None);
    }
}
