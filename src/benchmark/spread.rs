//! How times are spread: a histogram that never grows with the number of requests, and merges without loss.
//!
//! HdrHistogram keeps three significant digits from a nanosecond to an hour, so a percentile is within 0.1 % of the exact
//! one. Two histograms add bucket by bucket: percentiles of an hour come from its seconds' histograms, never from their
//! percentiles. Mean, minimum and maximum are exact.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::result::record::Latency;

/// Slower answers are recorded as this.
const TIME_MAX: Duration = Duration::from_secs(3600);
const DIGITS: u8 = 3;

#[derive(Clone, Debug, Default)]
pub struct Spread {
    /// Nanoseconds; made by the first record.
    histogram: Option<Histogram<u64>>,
    sum: Duration,
    min: Option<Duration>,
    max: Duration,
}

impl Spread {
    pub fn record(&mut self, time: Duration) {
        self.record_many(time, 1);
    }

    /// So many that took the same time.
    pub fn record_many(&mut self, time: Duration, count: u64) {
        if count == 0 {
            return;
        }
        let histogram = self.histogram.get_or_insert_with(empty);
        histogram.record_n(nanoseconds(time), count).expect("it grows up to an hour, and longer times are cut");
        self.sum += time.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        self.min = Some(self.min.map_or(time, |min| min.min(time)));
        self.max = self.max.max(time);
    }

    pub fn add(&mut self, other: &Spread) {
        let Some(others) = &other.histogram else { return };
        let histogram = self.histogram.get_or_insert_with(empty);
        histogram.add(others).expect("it grows to hold the other");
        self.sum += other.sum;
        self.min = [self.min, other.min].into_iter().flatten().min();
        self.max = self.max.max(other.max);
    }

    pub fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(0, Histogram::len)
    }

    /// `quantile` 0–1; never above the exact maximum. `None` where nothing was recorded.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let histogram = self.histogram.as_ref()?;
        Some(Duration::from_nanos(histogram.value_at_quantile(quantile)).min(self.max))
    }

    pub fn max(&self) -> Option<Duration> {
        (self.count() > 0).then_some(self.max)
    }

    /// The figures of `result.json`; `None` where nothing was recorded.
    pub fn latency(&self) -> Option<Latency> {
        let at = |quantile| self.quantile(quantile).map(milliseconds);
        Some(Latency {
            min: milliseconds(self.min?),
            mean: round3(self.sum.as_secs_f64() * 1000.0 / self.count() as f64),
            p50: at(0.5)?,
            p90: at(0.9)?,
            p95: at(0.95)?,
            p99: at(0.99)?,
            p999: at(0.999)?,
            max: milliseconds(self.max),
        })
    }

    /// (quantile, milliseconds), rising, at most a few hundred points.
    pub fn distribution(&self) -> Vec<(f64, f64)> {
        let (Some(histogram), Some(min)) = (&self.histogram, self.min) else { return Vec::new() };
        let mut points = vec![(0.0, milliseconds(min))];
        // Denser towards the tail: the last points are those that matter.
        for value in histogram.iter_quantiles(16) {
            let quantile = (value.quantile_iterated_to() * 1e7).round() / 1e7;
            let point = (quantile, milliseconds(Duration::from_nanos(value.value_iterated_to()).min(self.max)));
            if points.last().is_none_or(|last| point.0 > last.0 && point.1 >= last.1) {
                points.push(point);
            }
        }
        points
    }

    /// Its buckets that are not empty, for keeping many: merges as exactly.
    pub fn buckets(&self) -> Buckets {
        let recorded = self.histogram.iter().flat_map(Histogram::iter_recorded);
        Buckets(recorded.map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value())).collect())
    }
}

/// A histogram as a sparse map: bucket (nanoseconds) to count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets(BTreeMap<u64, u64>);

impl Buckets {
    pub fn add(&mut self, other: &Buckets) {
        for (bucket, count) in &other.0 {
            *self.0.entry(*bucket).or_default() += count;
        }
    }

    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let total: u64 = self.0.values().sum();
        let rank = ((quantile * total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.0.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        found.map(|(bucket, _)| Duration::from_nanos(*bucket))
    }
}

fn empty() -> Histogram<u64> {
    let mut histogram = Histogram::new(DIGITS).expect("three digits are allowed");
    histogram.auto(true);
    histogram
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.min(TIME_MAX).as_nanos()).expect("an hour fits")
}

/// Milliseconds with three decimals: whole microseconds.
pub fn milliseconds(time: Duration) -> f64 {
    round3(time.as_secs_f64() * 1000.0)
}

pub fn round3(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmark::arrivals::Random;

    fn of(times: impl IntoIterator<Item = Duration>) -> Spread {
        let mut spread = Spread::default();
        times.into_iter().for_each(|time| spread.record(time));
        spread
    }

    #[test]
    fn percentiles_are_within_a_thousandth_of_the_exact_ones_at_any_scale() {
        let mut random = Random(11);
        // Log-uniform from a microsecond to a minute.
        let mut times: Vec<Duration> =
            (0..100_000).map(|_| Duration::from_secs_f64(1e-6 * 6e7_f64.powf(random.unit()))).collect();
        let spread = of(times.iter().copied());
        times.sort();
        for quantile in [0.1, 0.5, 0.9, 0.99, 0.999, 0.9999] {
            let exact = times[(quantile * 1e5) as usize - 1].as_secs_f64();
            for measured in [spread.quantile(quantile), spread.buckets().quantile(quantile)] {
                let measured = measured.expect("recorded").as_secs_f64();
                assert!((measured / exact - 1.0).abs() <= 0.001, "p{quantile}: {measured} against {exact}");
            }
        }
    }

    #[test]
    fn extremes_and_mean_are_exact() {
        let latency = of((1..=1000).map(Duration::from_millis)).latency().expect("recorded");
        assert_eq!((latency.min, latency.mean, latency.max), (1.0, 500.5, 1000.0));
    }

    #[test]
    fn parts_merge_to_what_one_would_have_counted() {
        let times: Vec<Duration> = (1..=5000).map(|number| Duration::from_micros(number * number)).collect();
        let (whole, mut sum, mut buckets) = (of(times.iter().copied()), Spread::default(), Buckets::default());
        for part in times.chunks(700) {
            sum.add(&of(part.iter().copied()));
            buckets.add(&of(part.iter().copied()).buckets());
        }
        assert_eq!((sum.latency(), sum.distribution()), (whole.latency(), whole.distribution()));
        assert_eq!(buckets, whole.buckets());
    }

    #[test]
    fn nothing_measured_is_absent() {
        let nothing = Spread::default();
        assert_eq!((nothing.latency(), nothing.quantile(0.5), nothing.max(), nothing.count()), (None, None, None, 0));
        assert_eq!((nothing.distribution(), nothing.buckets().quantile(0.5)), (Vec::new(), None));
    }

    #[test]
    fn the_distribution_rises_and_ends_at_the_maximum() {
        let spread = of((100..100_000).step_by(7).map(Duration::from_micros));
        let points = spread.distribution();
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
        assert_eq!(points.first().map(|point| point.1), Some(0.1));
        assert_eq!(points.last().copied(), Some((1.0, milliseconds(spread.max))));
        assert!(points.len() < 500, "{} points", points.len());
    }
}
