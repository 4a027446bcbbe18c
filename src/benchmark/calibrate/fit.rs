//! What measurements say: a capacity with its interval, the knee, the fitted speed-up, the service time's distribution. Pure.

use crate::result::calibration::{Estimate, RateStep, ScalePoint, Service, SpeedUp};
use crate::result::confidence::over_runs;
use crate::result::record::{Latency, TargetResult};

/// A deviation below this part of the mean is a fixed time with the network's own spread.
const FIXED_MAX: f64 = 0.2;
/// Of a demanded rate, what must have been answered while it was demanded: the last answers come a little later.
const ANSWERED_MIN: f64 = 0.95;

/// Twice the users that bring less than this many times the throughput have saturated it.
const GROWTH_MIN: f64 = 1.02;

/// Whether the throughput of twice the users is no better than the one before.
pub fn is_saturated(before: f64, rate: f64) -> bool {
    rate < GROWTH_MIN * before
}

/// The mean of values that were measured alike.
pub fn estimate(values: &[f64]) -> Option<Estimate> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (!values.is_empty()).then(|| Estimate { value: mean, interval: over_runs(values) })
}

/// Correct answers a second in each whole second of a load, without its first and its last.
pub fn rates(target: &TargetResult) -> Vec<f64> {
    let seconds = f64::from(target.row_seconds());
    let whole = target.timeline.len().saturating_sub(2);
    let inner = target.timeline.iter().skip(1).take(whole);
    inner.map(|row| target.per_second(row.requests.saturating_sub(row.errors), seconds)).collect()
}

/// The highest rate below the first that bends: a p95 beyond `factor` times that of the lowest, or requests unanswered.
pub fn knee(steps: &[RateStep], factor: f64) -> Option<f64> {
    let base = steps.first()?.p95_ms?;
    let straight = |step: &&RateStep| {
        step.error_percent == 0.0
            && step.rate >= ANSWERED_MIN * step.demanded
            && step.p95_ms.is_some_and(|p95| p95 <= factor * base)
    };
    steps.iter().take_while(straight).last().map(|step| step.demanded)
}

pub fn first_errors(steps: &[RateStep]) -> Option<f64> {
    steps.iter().find(|step| step.error_percent > 0.0).map(|step| step.demanded)
}

/// Fits the law by least squares of n·rate(1)/rate(n) − 1 = contention·(n−1) + coherency·n·(n−1); neither is below 0.
pub fn speed_up(points: &[ScalePoint]) -> Option<SpeedUp> {
    let single = points.iter().find(|point| point.instances == 1)?.rate.value;
    let rows: Vec<(f64, f64, f64)> = points
        .iter()
        .filter(|point| point.instances > 1 && point.rate.value > 0.0)
        .map(|point| {
            let n = f64::from(point.instances);
            (n - 1.0, n * (n - 1.0), n * single / point.rate.value - 1.0)
        })
        .collect();
    if rows.is_empty() || single <= 0.0 {
        return None;
    }
    let sum = |of: fn(&(f64, f64, f64)) -> f64| rows.iter().map(of).sum::<f64>();
    let (aa, ab, bb) = (sum(|r| r.0 * r.0), sum(|r| r.0 * r.1), sum(|r| r.1 * r.1));
    let (ay, by) = (sum(|r| r.0 * r.2), sum(|r| r.1 * r.2));
    let determinant = aa * bb - ab * ab;
    let both = (rows.len() > 1 && determinant.abs() > 1e-9)
        .then(|| ((ay * bb - by * ab) / determinant, (by * aa - ay * ab) / determinant));
    let (contention, coherency) = match both {
        Some((contention, coherency)) if contention >= 0.0 && coherency >= 0.0 => (contention, coherency),
        Some((contention, _)) if contention < 0.0 => (0.0, (by / bb).max(0.0)),
        _ => ((ay / aa).max(0.0), 0.0),
    };
    Some(SpeedUp { single, contention, coherency })
}

/// What a lone user saw, and what the capacity makes of it.
pub fn service(target: &TargetResult, capacity: f64) -> Option<Service> {
    let Latency { mean, p50, p95, .. } = target.latency_ms?;
    let deviation = deviation(&target.distribution, mean);
    Some(Service {
        mean_ms: mean,
        deviation_ms: deviation,
        p50_ms: p50,
        p95_ms: p95,
        distribution: nearest(&target.distribution, mean, deviation).to_owned(),
        at_once: capacity * mean / 1000.0,
    })
}

/// √∫(v(q) − mean)² dq over the quantiles.
fn deviation(distribution: &[(f64, f64)], mean: f64) -> f64 {
    let squares = distribution.windows(2).map(|pair| {
        let ((from, low), (to, high)) = (pair[0], pair[1]);
        let (a, b) = (low - mean, high - mean);
        (to - from) * (a * a + a * b + b * b) / 3.0
    });
    squares.sum::<f64>().sqrt()
}

fn nearest(distribution: &[(f64, f64)], mean: f64, deviation: f64) -> &'static str {
    if deviation < FIXED_MAX * mean {
        return "fixed";
    }
    let at = |quantile: f64| {
        let after = distribution.partition_point(|(own, _)| *own < quantile).min(distribution.len().saturating_sub(1));
        distribution.get(after).map_or(0.0, |(_, value)| *value)
    };
    let median = at(0.5).max(f64::MIN_POSITIVE);
    // ln of the 84th percentile is one deviation above that of the median.
    let sigma = (at(0.8413) / median).ln();
    // Standard normal quantiles of 10, 25, 75, 90, 95 %.
    let normal = [(0.1, -1.2816), (0.25, -0.6745), (0.75, 0.6745), (0.9, 1.2816), (0.95, 1.6449)];
    let (mut exponential, mut lognormal) = (0.0, 0.0);
    for (quantile, score) in normal {
        let seen = at(quantile).max(f64::MIN_POSITIVE);
        let expected: f64 = -mean * f64::ln(1.0 - quantile);
        exponential += (seen / expected).ln().powi(2);
        lognormal += (seen / (median * (sigma * score).exp())).ln().powi(2);
    }
    if exponential <= lognormal { "exponential" } else { "lognormal" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throughput_that_grows_by_less_than_two_percent_is_saturated() {
        assert!(!is_saturated(50.0, 100.0) && !is_saturated(50.0, 51.1));
        assert!(is_saturated(50.0, 50.9) && is_saturated(50.0, 40.0));
    }

    fn step(demanded: f64, p95: f64, errors: f64) -> RateStep {
        RateStep {
            demanded,
            rate: demanded * (1.0 - errors / 100.0),
            error_percent: errors,
            p50_ms: Some(1.0),
            p95_ms: Some(p95),
            p99_ms: None,
        }
    }

    #[test]
    fn the_knee_is_the_last_rate_before_latency_bends_or_requests_fail() {
        let steps = [
            step(20.0, 25.0, 0.0),
            step(60.0, 40.0, 0.0),
            step(90.0, 74.0, 0.0),
            step(100.0, 300.0, 0.0),
            step(120.0, 30.0, 5.0),
        ];
        assert_eq!((knee(&steps, 3.0), first_errors(&steps)), (Some(90.0), Some(120.0)));
        assert_eq!(knee(&[step(20.0, 25.0, 3.0)], 3.0), None);
        let slow = RateStep { rate: 50.0, ..step(60.0, 26.0, 0.0) };
        assert_eq!(
            knee(&[step(20.0, 25.0, 0.0), slow], 3.0),
            Some(20.0),
            "what is not answered in time does not count"
        );
    }

    fn points(rate: impl Fn(f64) -> f64, to: u32) -> Vec<ScalePoint> {
        let point =
            |instances: u32| ScalePoint { instances, rate: Estimate { value: rate(instances.into()), interval: None } };
        (1..=to).map(point).collect()
    }

    /// Neither parameter is below zero: the other is then fitted alone, by least squares, calculated here by hand.
    #[test]
    fn a_parameter_that_would_be_negative_is_zero_and_the_other_is_fitted_alone() {
        let of = |losses: [(u32, f64); 2]| {
            let point = |(n, loss): (u32, f64)| {
                let value = 100.0 * f64::from(n) / (1.0 + loss);
                ScalePoint { instances: n, rate: Estimate { value, interval: None } }
            };
            let fitted = speed_up(&[point((1, 0.0)), point(losses[0]), point(losses[1])]).expect("points");
            [fitted.single, fitted.contention, fitted.coherency]
        };
        let close = |found: [f64; 3], expected: [f64; 3]| {
            assert!(
                found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-9),
                "{found:?} {expected:?}"
            );
        };
        // Exactly solved: contention -0.08, coherency 0.045. Alone: (2 · 0.01 + 12 · 0.3) / (2² + 12²).
        close(of([(2, 0.01), (4, 0.3)]), [100.0, 0.0, 3.62 / 148.0]);
        // Exactly solved: contention 0.1333, coherency -0.0167. Alone: (1 · 0.1 + 3 · 0.2) / (1² + 3²).
        close(of([(2, 0.1), (4, 0.2)]), [100.0, 0.07, 0.0]);
        // c + 2k = 0.1 and 3c + 12k = 0.42.
        close(of([(2, 0.1), (4, 0.42)]), [100.0, 0.06, 0.02]);
    }

    #[test]
    fn the_fitted_law_is_the_one_that_made_the_points() {
        let law = SpeedUp { single: 100.0, contention: 0.05, coherency: 0.002 };
        let fitted = speed_up(&points(|n| law.rate(n), 8)).expect("points");
        assert!((fitted.contention - 0.05).abs() < 1e-9 && (fitted.coherency - 0.002).abs() < 1e-9, "{fitted:?}");
        let linear = speed_up(&points(|n| 100.0 * n, 4)).expect("points");
        assert!(linear.contention.abs() < 1e-9 && linear.coherency.abs() < 1e-9, "{linear:?}");
        // Better than linear is noise: the law has none of it.
        let better = speed_up(&points(|n| 100.0 * n * (1.0 + n / 50.0), 4)).expect("points");
        assert_eq!((better.contention, better.coherency), (0.0, 0.0));
        assert_eq!(speed_up(&points(|n| n, 1)), None);
    }

    fn target(value: impl Fn(f64) -> f64) -> TargetResult {
        let quantiles = (0..1000).map(|step| f64::from(step) / 1000.0);
        let distribution: Vec<(f64, f64)> = quantiles.map(|quantile| (quantile, value(quantile))).collect();
        let mean = distribution.iter().map(|(_, value)| value).sum::<f64>() / 1000.0;
        let latency = Latency { mean, p50: value(0.5), p95: value(0.95), ..Latency::default() };
        TargetResult { latency_ms: Some(latency), distribution, ..TargetResult::default() }
    }

    #[test]
    fn service_times_are_told_apart_and_little_says_how_many_are_served_at_once() {
        let fixed = service(&target(|quantile| 20.0 + quantile), 100.0).expect("measured");
        assert_eq!(fixed.distribution, "fixed");
        assert!((fixed.at_once - 2.05).abs() < 0.01, "{fixed:?}");
        let exponential = service(&target(|quantile| -20.0 * (1.0 - quantile).ln()), 100.0).expect("measured");
        assert_eq!(exponential.distribution, "exponential");
        assert!((exponential.deviation_ms - 20.0).abs() < 1.5, "{exponential:?}");
        // A logistic stands for the normal quantile: within 1 % up to the 95th percentile.
        let lognormal =
            target(|quantile| (3.0 + 0.4 * ((quantile + 1e-4) / (1.0 - quantile + 1e-4)).ln() / 1.702).exp());
        assert_eq!(service(&lognormal, 1.0).expect("measured").distribution, "lognormal");
    }

    #[test]
    fn rates_are_those_of_whole_seconds() {
        use crate::result::record::Second;
        let row = |at, requests| Second { at, requests, errors: 1, ..Second::default() };
        let target = TargetResult {
            timeline: vec![row(0, 50), row(1, 101), row(2, 99), row(3, 20)],
            speed: 1,
            ..TargetResult::default()
        };
        assert_eq!(rates(&target), [100.0, 98.0]);
        assert_eq!(estimate(&[99.0, 101.0]), Some(Estimate { value: 100.0, interval: None }));
        assert!(
            estimate(&[99.0, 100.0, 101.0]).and_then(|e| e.interval).is_some_and(|i| i.low < 99.0 && i.high > 101.0)
        );
        assert_eq!(estimate(&[]), None);
    }
}
