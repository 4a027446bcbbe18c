//! Metrics and their samples: by second for three hours, then by minute for fifteen days.
//!
//! A metric is its namespace, name and exact set of dimensions; nothing is rolled up on reading. The bounds on metrics and
//! points hold the region's memory: what was not heard of for longest goes first.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::{SignedDuration, Timestamp};

use super::statistics::{Samples, Statistic};

/// Seconds for which single seconds are kept, and minutes after them: CloudWatch's own retention.
const FINE_SECONDS: i64 = 3 * 3600;
const COARSE_SECONDS: i64 = 15 * 86_400;
/// CloudWatch lists a metric for two weeks after its last datapoint.
const LISTED_SECONDS: i64 = 14 * 86_400;

const METRICS_MAX: usize = 10_000;
/// About 100 bytes each.
const POINTS_MAX: usize = 500_000;

/// What a metric is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricId {
    pub namespace: String,
    pub name: String,
    /// Sorted.
    dimensions: Vec<(String, String)>,
}

impl MetricId {
    pub fn new(namespace: &str, name: &str, mut dimensions: Vec<(String, String)>) -> Self {
        dimensions.sort();
        Self { namespace: namespace.to_owned(), name: name.to_owned(), dimensions }
    }

    pub fn dimensions(&self) -> &[(String, String)] {
        &self.dimensions
    }
}

/// What a reader of a metric must know to read only what is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The second of the newest datapoint.
    pub latest: i64,
    /// How many samples came for a minute before that of the newest.
    pub late: u64,
}

#[derive(Clone, Debug, Default)]
struct Series {
    /// The last one that was sent.
    unit: String,
    late: u64,
    /// By epoch second.
    points: BTreeMap<i64, Samples>,
}

#[derive(Clone, Debug, Default)]
pub struct Store {
    metrics: BTreeMap<MetricId, Series>,
    points: usize,
}

impl Store {
    /// Adds samples to the second of `time`.
    pub fn put(&mut self, id: MetricId, unit: &str, time: Timestamp, samples: &Samples) {
        if samples.is_empty() {
            return;
        }
        if self.metrics.len() >= METRICS_MAX && !self.metrics.contains_key(&id) {
            self.forget_oldest_metric();
        }
        let series = self.metrics.entry(id).or_default();
        unit.clone_into(&mut series.unit);
        let minute = time.as_second().div_euclid(60);
        series.late += u64::from(series.points.last_key_value().is_some_and(|(last, _)| minute < last.div_euclid(60)));
        series
            .points
            .entry(time.as_second())
            .or_insert_with(|| {
                self.points += 1;
                Samples::default()
            })
            .merge(samples);
        if self.points > POINTS_MAX {
            self.halve();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.metrics.is_empty()
    }

    fn forget_oldest_metric(&mut self) {
        let last = |series: &Series| series.points.last_key_value().map(|(second, _)| *second);
        let oldest = self.metrics.iter().min_by_key(|(_, series)| last(series)).map(|(id, _)| id.clone());
        if let Some(series) = oldest.and_then(|id| self.metrics.remove(&id)) {
            self.points -= series.points.len();
        }
    }

    /// Forgets the older half of every metric's points.
    fn halve(&mut self) {
        for series in self.metrics.values_mut() {
            if let Some(middle) = series.points.keys().nth(series.points.len() / 2).copied() {
                series.points = series.points.split_off(&middle);
            }
        }
        self.points = self.metrics.values().map(|series| series.points.len()).sum();
    }

    /// Lets age tell: joins old seconds into minutes and forgets what is too old.
    pub fn age(&mut self, now: Timestamp) {
        let (fine, coarse) = (now.as_second() - FINE_SECONDS, now.as_second() - COARSE_SECONDS);
        for series in self.metrics.values_mut() {
            series.points = series.points.split_off(&coarse);
            let old: Vec<i64> =
                series.points.range(..fine).map(|(second, _)| *second).filter(|second| second % 60 != 0).collect();
            for second in old {
                if let Some(samples) = series.points.remove(&second) {
                    series.points.entry(second - second.rem_euclid(60)).or_default().merge(&samples);
                }
            }
        }
        self.metrics.retain(|_, series| !series.points.is_empty());
        self.points = self.metrics.values().map(|series| series.points.len()).sum();
    }

    /// The samples in `[start, end)`, joined into periods; each is stamped with its period's start. Periods begin at
    /// `start` and every `period` seconds after it.
    pub fn periods(&self, id: &MetricId, unit: Option<&str>, range: Range<i64>, period: i64) -> BTreeMap<i64, Samples> {
        let mut periods: BTreeMap<i64, Samples> = BTreeMap::new();
        let series = self.metrics.get(id).filter(|series| unit.is_none_or(|unit| unit == series.unit));
        let points = series.filter(|_| range.start < range.end).map(|series| series.points.range(range.clone()));
        for (second, samples) in points.into_iter().flatten() {
            let start = range.start + (second - range.start) / period * period;
            periods.entry(start).or_default().merge(samples);
        }
        periods
    }

    /// What is new of a metric; `None` where nothing is known of it.
    pub fn freshness(&self, id: &MetricId) -> Option<Freshness> {
        let series = self.metrics.get(id)?;
        Some(Freshness { latest: *series.points.last_key_value()?.0, late: series.late })
    }

    /// One statistic over `[start, end)`.
    pub fn statistic(&self, id: &MetricId, range: Range<i64>, statistic: Statistic) -> Option<f64> {
        let length = (range.end - range.start).max(1);
        self.periods(id, None, range, length).first_key_value().and_then(|(_, samples)| samples.get(statistic))
    }

    /// The unit that a metric was last sent with; empty where it is unknown.
    pub fn unit(&self, id: &MetricId) -> &str {
        self.metrics.get(id).map_or("", |series| &series.unit)
    }

    /// Every metric heard of within `within` (at most two weeks), in the order of its name.
    pub fn list(&self, now: Timestamp, within: Option<SignedDuration>) -> impl Iterator<Item = &MetricId> {
        let seconds = within.map_or(LISTED_SECONDS, |within| within.as_secs().min(LISTED_SECONDS));
        let since = now.as_second() - seconds;
        let is_recent = move |series: &Series| series.points.last_key_value().is_some_and(|last| *last.0 >= since);
        self.metrics.iter().filter(move |(_, series)| is_recent(series)).map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_500_000;

    fn id(dimension: &str) -> MetricId {
        MetricId::new("N", "M", vec![("D".to_owned(), dimension.to_owned())])
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn put(store: &mut Store, dimension: &str, second: i64, value: f64) {
        store.put(id(dimension), "Count", at(second), &Samples::of_values([(value, 1.0)]));
    }

    #[test]
    fn periods_are_stamped_with_their_start_and_dimensions_do_not_mix() {
        let mut store = Store::default();
        for (second, value) in [(0, 1.0), (59, 2.0), (60, 4.0), (180, 8.0)] {
            put(&mut store, "a", NOW + second, value);
        }
        put(&mut store, "b", NOW, 100.0);
        let periods = store.periods(&id("a"), None, NOW..NOW + 180, 60);
        let sums: Vec<_> = periods.iter().map(|(start, s)| (start - NOW, s.get(Statistic::Sum).unwrap())).collect();
        assert_eq!(sums, [(0, 3.0), (60, 4.0)]);
        assert!(store.periods(&MetricId::new("N", "M", Vec::new()), None, NOW..NOW + 180, 60).is_empty());
        assert!(store.periods(&id("a"), Some("Bytes"), NOW..NOW + 180, 60).is_empty());
    }

    #[test]
    fn age_joins_seconds_into_minutes_and_then_forgets() {
        let mut store = Store::default();
        (0..120).for_each(|second| put(&mut store, "a", NOW + second, 1.0));
        store.age(at(NOW + 60 + FINE_SECONDS));
        assert_eq!(store.points, 61);
        assert_eq!(store.statistic(&id("a"), NOW..NOW + 60, Statistic::Sum), Some(60.0));
        store.age(at(NOW + 60 + COARSE_SECONDS));
        assert_eq!(store.statistic(&id("a"), NOW..NOW + 60, Statistic::Sum), None);
        store.age(at(NOW + 120 + COARSE_SECONDS));
        assert_eq!((store.points, store.metrics.len()), (0, 0));
    }

    #[test]
    fn memory_is_bounded_and_the_latest_survives() {
        let mut store = Store::default();
        for number in 0..=METRICS_MAX as i64 {
            put(&mut store, &number.to_string(), NOW + number, 1.0);
        }
        assert_eq!(store.metrics.len(), METRICS_MAX);
        assert!(store.unit(&id("0")).is_empty(), "the one not heard of for longest is gone");
        let mut store = Store::default();
        for second in 0..=POINTS_MAX as i64 {
            put(&mut store, "a", NOW + second, 1.0);
        }
        assert!(store.points <= POINTS_MAX);
        assert_eq!(store.statistic(&id("a"), NOW + POINTS_MAX as i64..i64::MAX, Statistic::Sum), Some(1.0));
    }

    #[test]
    fn old_metrics_are_not_listed() {
        let mut store = Store::default();
        put(&mut store, "old", NOW, 1.0);
        put(&mut store, "new", NOW + LISTED_SECONDS, 1.0);
        let listed = |within| store.list(at(NOW + LISTED_SECONDS + 1), within).count();
        assert_eq!((listed(None), listed(Some(SignedDuration::from_hours(3)))), (1, 1));
    }
}
