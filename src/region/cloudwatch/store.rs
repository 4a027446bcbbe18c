//! Metrics and their samples: by second for three hours, by minute for fifteen days, by five minutes for sixty-three, by
//! hour for 455 days. These are CloudWatch's own retention periods (API reference, GetMetricStatistics).
//!
//! A metric is its namespace, name and exact set of dimensions; nothing is rolled up on reading. Samples of different units
//! are kept apart. What bounds the region's memory is the number of metrics and of points: of the metrics the one not heard
//! of for longest goes first, and of the points the older half of the metric that has most. No metric pays for another's.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;

use jiff::{SignedDuration, Timestamp};

use super::statistics::{Samples, Statistic};

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;
/// How long points are kept (seconds), and how far apart they are then.
const TIERS: [(i64, i64); 4] = [(3 * HOUR, 1), (15 * DAY, 60), (63 * DAY, 300), (455 * DAY, 3600)];
/// CloudWatch lists a metric for two weeks after its last datapoint.
const LISTED_SECONDS: i64 = 14 * DAY;

const METRICS_MAX: usize = 10_000;
/// One metric's points: all that the tiers can hold.
const METRIC_POINTS_MAX: usize = 56_000;
/// All metrics' points, about 100 bytes each.
const POINTS_MAX: usize = 1_000_000;

/// What a metric is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
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

/// A metric by its parts, to look it up without making one.
#[derive(Clone, Copy, Debug)]
pub struct MetricRef<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    /// Sorted.
    pub dimensions: &'a [(&'a str, &'a str)],
}

impl MetricRef<'_> {
    fn owned(&self) -> MetricId {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        MetricId::new(self.namespace, self.name, self.dimensions.iter().map(own).collect())
    }
}

/// What metrics are ordered by, owned or not.
trait Key {
    fn names(&self) -> (&str, &str);
    fn dimension(&self, index: usize) -> Option<(&str, &str)>;
}

impl Key for MetricId {
    fn names(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    fn dimension(&self, index: usize) -> Option<(&str, &str)> {
        self.dimensions.get(index).map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl Key for MetricRef<'_> {
    fn names(&self) -> (&str, &str) {
        (self.namespace, self.name)
    }

    fn dimension(&self, index: usize) -> Option<(&str, &str)> {
        self.dimensions.get(index).copied()
    }
}

/// As `MetricId` derives it: names first, then dimension by dimension, the shorter list before the longer.
impl Ord for dyn Key + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        let dimensions = || {
            let differ = (0..).map(|index| (self.dimension(index), other.dimension(index)));
            let first = differ.take_while(|(a, b)| a.is_some() || b.is_some()).find(|(a, b)| a != b);
            first.map_or(Ordering::Equal, |(a, b)| a.cmp(&b))
        };
        self.names().cmp(&other.names()).then_with(dimensions)
    }
}

impl PartialOrd for dyn Key + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn Key + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for dyn Key + '_ {}

impl<'a> Borrow<dyn Key + 'a> for MetricId {
    fn borrow(&self) -> &(dyn Key + 'a) {
        self
    }
}

/// What a reader of a metric must know to read only what is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Freshness {
    /// The second of the newest datapoint.
    pub latest: i64,
    /// How many samples came for a minute before that of the newest.
    pub late: u64,
}

/// By epoch second.
type Points = BTreeMap<i64, Samples>;

/// The samples of one metric, by the unit that they came with.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
struct Series {
    units: Vec<(String, Points)>,
    /// The place of the unit that came last.
    latest: usize,
    /// How many samples came for a minute before that of the newest.
    late: u64,
}

impl Series {
    fn len(&self) -> usize {
        self.units.iter().map(|(_, points)| points.len()).sum()
    }

    /// The second of the newest point.
    fn last(&self) -> Option<i64> {
        self.units.iter().filter_map(|(_, points)| points.last_key_value()).map(|(second, _)| *second).max()
    }

    /// Forgets the older half of the points.
    fn halve(&mut self) {
        let mut seconds: Vec<i64> = self.units.iter().flat_map(|(_, points)| points.keys().copied()).collect();
        seconds.sort_unstable();
        let Some(middle) = seconds.get(seconds.len() / 2) else { return };
        for (_, points) in &mut self.units {
            *points = points.split_off(middle);
        }
    }

    /// Joins points that have got old since `before`, the last time that this was done, and forgets those that are too old.
    fn age(&mut self, now: i64, before: i64) {
        for (_, points) in &mut self.units {
            let kept = TIERS.last().map_or(0, |(kept, _)| *kept);
            if points.first_key_value().is_some_and(|(first, _)| *first < now - kept) {
                *points = points.split_off(&(now - kept));
            }
            for pair in TIERS.windows(2) {
                let ((kept, _), (_, step)) = (pair[0], pair[1]);
                let unjoined = points.range(before.min(now) - kept..now - kept).map(|(second, _)| *second);
                let old: Vec<i64> = unjoined.filter(|second| second % step != 0).collect();
                for second in old {
                    if let Some(samples) = points.remove(&second) {
                        points.entry(second - second.rem_euclid(step)).or_default().merge(&samples);
                    }
                }
            }
        }
    }
}

#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Store {
    metrics: BTreeMap<MetricId, Series>,
    points: usize,
    /// When age last told, in epoch seconds.
    aged: i64,
}

/// Where a point stands that comes so late that its neighbours have been joined already.
fn joined(second: i64, aged: i64) -> i64 {
    let step = TIERS.iter().find(|(kept, _)| aged - second <= *kept).or(TIERS.last()).map_or(1, |(_, step)| *step);
    second - second.rem_euclid(step)
}

impl Store {
    /// Adds samples to the second of `time`.
    pub fn put(&mut self, id: MetricId, unit: &str, time: Timestamp, samples: &Samples) {
        if samples.is_empty() {
            return;
        }
        if !self.metrics.contains_key(&id) {
            self.begin(id.clone());
        }
        self.add(&id, unit, time, samples);
    }

    /// The same of a metric that most likely is known.
    pub fn put_by(&mut self, id: MetricRef<'_>, unit: &str, time: Timestamp, samples: &Samples) {
        if samples.is_empty() {
            return;
        }
        if !self.metrics.contains_key(&id as &dyn Key) {
            self.begin(id.owned());
        }
        self.add(&id, unit, time, samples);
    }

    /// A metric that is not known yet; the one not heard of for longest makes room.
    fn begin(&mut self, id: MetricId) {
        if self.metrics.len() >= METRICS_MAX {
            self.forget_oldest_metric();
        }
        self.metrics.insert(id, Series::default());
    }

    fn add(&mut self, id: &dyn Key, unit: &str, time: Timestamp, samples: &Samples) {
        let Some(series) = self.metrics.get_mut(id) else { return };
        let minute = time.as_second().div_euclid(60);
        series.late += u64::from(series.last().is_some_and(|last| minute < last.div_euclid(60)));
        series.latest = series.units.iter().position(|(known, _)| known == unit).unwrap_or_else(|| {
            series.units.push((unit.to_owned(), Points::new()));
            series.units.len() - 1
        });
        let second = joined(time.as_second(), self.aged);
        let point = series.units[series.latest].1.entry(second).or_default();
        let is_new = point.is_empty();
        point.merge(samples);
        self.points += usize::from(is_new);
        if is_new && series.len() > METRIC_POINTS_MAX {
            series.halve();
            self.count();
        }
        if self.points > POINTS_MAX {
            if let Some(largest) = self.metrics.values_mut().max_by_key(|series| series.len()) {
                largest.halve();
            }
            self.count();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.metrics.is_empty()
    }

    fn count(&mut self) {
        self.points = self.metrics.values().map(Series::len).sum();
    }

    fn forget_oldest_metric(&mut self) {
        let oldest = self.metrics.iter().min_by_key(|(_, series)| series.last()).map(|(id, _)| id.clone());
        if let Some(series) = oldest.and_then(|id| self.metrics.remove(&id)) {
            self.points -= series.len();
        }
    }

    /// Lets age tell: joins old points and forgets what is too old.
    pub fn age(&mut self, now: Timestamp) {
        for series in self.metrics.values_mut() {
            series.age(now.as_second(), self.aged);
        }
        self.aged = now.as_second();
        self.metrics.retain(|_, series| series.len() > 0);
        self.count();
    }

    /// The samples in `[start, end)` of all units or of one, joined into periods; each is stamped with its period's start.
    /// Periods begin at `start` and every `period` seconds after it.
    pub fn periods(&self, id: &MetricId, unit: Option<&str>, range: Range<i64>, period: i64) -> BTreeMap<i64, Samples> {
        let mut periods: BTreeMap<i64, Samples> = BTreeMap::new();
        if range.start >= range.end {
            return periods;
        }
        let units = self.metrics.get(id).into_iter().flat_map(|series| &series.units);
        for (_, points) in units.filter(|(known, _)| unit.is_none_or(|unit| unit == known)) {
            for (second, samples) in points.range(range.clone()) {
                let start = range.start + (second - range.start) / period * period;
                periods.entry(start).or_default().merge(samples);
            }
        }
        periods
    }

    /// What is new of a metric; `None` where nothing is known of it.
    pub fn freshness(&self, id: &MetricId) -> Option<Freshness> {
        let series = self.metrics.get(id)?;
        Some(Freshness { latest: series.last()?, late: series.late })
    }

    /// One statistic over `[start, end)`.
    pub fn statistic(&self, id: &MetricId, range: Range<i64>, statistic: Statistic) -> Option<f64> {
        let length = (range.end - range.start).max(1);
        self.periods(id, None, range, length).first_key_value().and_then(|(_, samples)| samples.get(statistic))
    }

    /// The unit that a metric was last sent with; empty where it is unknown.
    pub fn unit(&self, id: &MetricId) -> &str {
        self.metrics.get(id).map_or("", |series| &series.units[series.latest].0)
    }

    /// Every unit that a metric was sent with.
    pub fn units(&self, id: &MetricId) -> Vec<&str> {
        self.metrics.get(id).map_or(Vec::new(), |series| series.units.iter().map(|(unit, _)| unit.as_str()).collect())
    }

    /// Every metric heard of within `within` (at most two weeks), in the order of its name.
    pub fn list(&self, now: Timestamp, within: Option<SignedDuration>) -> impl Iterator<Item = &MetricId> {
        let seconds = within.map_or(LISTED_SECONDS, |within| within.as_secs().min(LISTED_SECONDS));
        let since = now.as_second() - seconds;
        let is_recent = move |series: &Series| series.last().is_some_and(|last| last >= since);
        self.metrics.iter().filter(move |(_, series)| is_recent(series)).map(|(id, _)| id)
    }
}

/// The second from which on data of this period can be asked for: finer ones have been joined (API reference,
/// GetMetricStatistics, `Period`).
pub fn available_from(now: Timestamp, period: i64) -> i64 {
    let kept = TIERS.iter().rev().find(|(_, step)| period % step == 0).map_or(0, |(kept, _)| *kept);
    now.as_second() - kept
}

/// Where the periods of a request begin: its start rounded down to the minute, beyond fifteen days to five minutes, beyond
/// sixty-three to the hour; for periods below a minute to a multiple of the period (API reference, GetMetricData,
/// `StartTime`).
pub fn first_period(start: i64, period: i64, now: Timestamp) -> i64 {
    let age = now.as_second() - start;
    let step = match period {
        period if period < 60 => period,
        _ if age > 63 * DAY => HOUR,
        _ if age > 15 * DAY => 300,
        _ => 60,
    };
    start.div_euclid(step) * step
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
    fn age_joins_seconds_into_minutes_five_minutes_and_hours() {
        let mut store = Store::default();
        let hour = NOW / HOUR * HOUR;
        (0..7200).for_each(|second| put(&mut store, "a", hour + second, 1.0));
        for (age, points) in [(3 * HOUR, 120), (15 * DAY, 24), (63 * DAY, 2), (454 * DAY, 2), (456 * DAY, 0)] {
            store.age(at(hour + 7200 + age));
            assert_eq!(store.points, points, "after {age} s");
            let sum = store.statistic(&id("a"), hour..hour + 7200, Statistic::Sum);
            assert_eq!(sum, (points > 0).then_some(7200.0), "after {age} s");
        }
        assert!(store.is_empty());
    }

    #[test]
    fn one_busy_metric_costs_the_others_nothing() {
        let mut store = Store::default();
        (0..100).for_each(|second| put(&mut store, "quiet", NOW + second, 1.0));
        for second in 0..=METRIC_POINTS_MAX as i64 {
            put(&mut store, "busy", NOW + second, 1.0);
        }
        assert_eq!(store.statistic(&id("quiet"), NOW..NOW + 100, Statistic::Sum), Some(100.0));
        assert!(store.points <= METRIC_POINTS_MAX / 2 + 101, "{}", store.points);
        let last = NOW + METRIC_POINTS_MAX as i64;
        assert_eq!(store.statistic(&id("busy"), last..last + 1, Statistic::Sum), Some(1.0), "the latest survive");
    }

    #[test]
    fn the_metric_not_heard_of_for_longest_makes_room_for_a_new_one() {
        let mut store = Store::default();
        for number in 0..=METRICS_MAX as i64 {
            put(&mut store, &number.to_string(), NOW + number, 1.0);
        }
        assert_eq!(store.metrics.len(), METRICS_MAX);
        assert!(store.unit(&id("0")).is_empty(), "the one not heard of for longest is gone");
    }

    #[test]
    fn units_do_not_mix() {
        let mut store = Store::default();
        put(&mut store, "a", NOW, 1.0);
        store.put(id("a"), "Bytes", at(NOW), &Samples::of_values([(512.0, 1.0)]));
        let sum = |unit| {
            let periods = store.periods(&id("a"), unit, NOW..NOW + 60, 60);
            periods.first_key_value().and_then(|(_, samples)| samples.get(Statistic::Sum))
        };
        assert_eq!((sum(Some("Count")), sum(Some("Bytes")), sum(None)), (Some(1.0), Some(512.0), Some(513.0)));
        assert_eq!((store.unit(&id("a")), store.units(&id("a"))), ("Bytes", vec!["Count", "Bytes"]));
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
