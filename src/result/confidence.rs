//! How sure one run is of a quantile.
//!
//! The interval of a quantile comes from order statistics: of n answers, the rank of quantile q has the standard deviation
//! √(n·q·(1−q)), so the answers at q ± 1.96·√(q·(1−q)/n) bound it with 95 % confidence. It assumes answers that do not
//! depend on each other, and says nothing about how runs differ: the wording stays careful.

use serde::{Deserialize, Serialize};

use super::record::TargetResult;

/// 95 %
const STANDARD_SCORE: f64 = 1.96;
/// Below this many answers a quantile's interval is not computed.
const ANSWERS_MIN: u64 = 30;

/// Fewer runs say nothing about how runs differ.
const RUNS_MIN: usize = 3;
/// Student's t for 95 %, two-sided, by degrees of freedom from 1.
const STUDENT: [f64; 20] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086,
];

/// In the unit of what it bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Interval {
    pub fn overlaps(self, other: Interval) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

/// The 95 % interval of a target's median: over repetitions where there are enough, otherwise within the one run.
pub fn median(target: &TargetResult) -> Option<Interval> {
    let medians = target.repetitions.iter().filter_map(|one| Some(one.latency_ms?.p50)).collect::<Vec<_>>();
    if is_repeated(target) { over_runs(&medians) } else { interval(target, 0.5) }
}

/// Whether there are enough repetitions to say how runs differ.
pub fn is_repeated(target: &TargetResult) -> bool {
    target.repetitions.len() >= RUNS_MIN
}

/// The 95 % interval of the mean of runs: mean ± t·s/√n (Student).
pub fn over_runs(values: &[f64]) -> Option<Interval> {
    if values.len() < RUNS_MIN {
        return None;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let t = STUDENT.get(values.len() - 2).copied().unwrap_or(2.0);
    let reach = t * (variance / n).sqrt();
    Some(Interval { low: (mean - reach).max(0.0), high: mean + reach })
}

fn interval(target: &TargetResult, quantile: f64) -> Option<Interval> {
    let answers = target.requests.saturating_sub(target.errors);
    if answers < ANSWERS_MIN || target.distribution.is_empty() {
        return None;
    }
    let reach = STANDARD_SCORE * (quantile * (1.0 - quantile) / answers as f64).sqrt();
    let at = |quantile: f64| value_at(&target.distribution, quantile.clamp(0.0, 1.0));
    Some(Interval { low: at(quantile - reach), high: at(quantile + reach) })
}

/// The 95 % interval of a target's error rate in percent (Wilson 1927), which holds near 0 too.
pub fn error_percent(target: &TargetResult) -> Option<Interval> {
    if target.requests == 0 {
        return None;
    }
    let n = target.requests as f64;
    let (p, z) = (target.errors as f64 / n, STANDARD_SCORE);
    let scale = 1.0 + z * z / n;
    let middle = (p + z * z / (2.0 * n)) / scale;
    let reach = z / scale * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    Some(Interval { low: 100.0 * (middle - reach).max(0.0), high: 100.0 * (middle + reach).min(1.0) })
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

    #[test]
    fn an_interval_over_runs_is_students() {
        // Five runs of mean 10 and standard deviation 1: 10 ± 2.776 / √5.
        let runs = [9.0, 9.5, 10.0, 10.5, 11.0];
        let deviation = (2.5_f64 / 4.0).sqrt();
        let interval = over_runs(&runs).expect("enough runs");
        assert!((interval.high - 10.0 - 2.776 * deviation / 5.0_f64.sqrt()).abs() < 1e-9, "{interval:?}");
        assert!((interval.high + interval.low - 20.0).abs() < 1e-9);
        assert_eq!(over_runs(&runs[..2]), None);
    }

    #[test]
    fn an_error_rate_of_none_in_a_hundred_may_still_be_some_percent() {
        let of = |requests, errors| error_percent(&TargetResult { requests, errors, ..TargetResult::default() });
        // Wilson's interval of 0 in 100 and of 10 in 100: Brown, Cai and DasGupta 2001.
        let none = of(100, 0).expect("requests");
        assert!(none.low == 0.0 && (none.high - 3.70).abs() < 0.01, "{none:?}");
        let ten = of(100, 10).expect("requests");
        assert!((ten.low - 5.52).abs() < 0.01 && (ten.high - 17.44).abs() < 0.01, "{ten:?}");
        assert_eq!(of(0, 0), None);
    }

    /// Latencies spread evenly from `from` to `from` + 10 ms.
    fn target(from: f64, requests: u64) -> TargetResult {
        TargetResult {
            name: "light".into(),
            requests,
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
        assert!(median(&target(0.0, 30)).is_some());
        // A record may come from anywhere.
        assert_eq!(median(&TargetResult { errors: 101, ..target(0.0, 100) }), None);
    }
}
