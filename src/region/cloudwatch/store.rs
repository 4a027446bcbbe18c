//! Metrics and their samples, which are joined as they get old (`retention.rs`).
//!
//! A metric is its namespace, name and exact set of dimensions; nothing is rolled up on reading. Samples of different units
//! are kept apart. What bounds the region's memory is the number of metrics and of points: of the metrics the one not heard
//! of for longest goes first, and of the points the older half of the metric that has most. No metric pays for another's.
//!
//! A metric is looked up by its text once. From then on whoever comes back to it says where it was ([`Place`]), and
//! measurements that come in the same order each minute find theirs by what came before. What many instances measure at one
//! moment is summed up before it is added to the metrics of their group, type and image: once for all that count in the same.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::retention::{LISTED_SECONDS, joined};
use super::series::Series;
pub use super::series::{Freshness, Place, SETS_MAX};
use super::statistics::{Samples, Statistic};
use crate::region::metric::Key;
pub use crate::region::metric::{MetricId, MetricRef};

const METRICS_MAX: usize = 10_000;
/// One metric's points: all that the tiers can hold.
const METRIC_POINTS_MAX: usize = 56_000;
/// All metrics' points, about 100 bytes each.
const POINTS_MAX: usize = 1_000_000;

/// What several measurements of one moment come to that count in the same sets of dimensions.
#[derive(Clone, Debug)]
struct Sum {
    sets: [Place; SETS_MAX],
    unit: Cow<'static, str>,
    time: Timestamp,
    samples: Samples,
}

#[derive(Clone, Debug, serde::Deserialize)]
#[serde(from = "Kept")]
pub struct Store {
    /// By index.
    places: BTreeMap<Arc<MetricId>, usize>,
    series: Vec<Series>,
    points: usize,
    /// When age last told, in epoch seconds.
    aged: i64,
    /// One more than metrics were forgotten.
    epoch: u64,
    /// The metric that was measured last.
    measured: Place,
    sums: Vec<Sum>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            places: BTreeMap::new(),
            series: Vec::new(),
            points: 0,
            aged: 0,
            epoch: 1,
            measured: Place::default(),
            sums: Vec::new(),
        }
    }
}

/// A store as it is kept.
#[derive(serde::Deserialize)]
struct Kept {
    metrics: BTreeMap<MetricId, Series>,
    points: usize,
    aged: i64,
}

impl From<Kept> for Store {
    fn from(Kept { metrics, points, aged }: Kept) -> Self {
        let mut store = Self { points, aged, ..Self::default() };
        for (id, series) in metrics {
            let place = store.begin(Arc::new(id));
            let begun = &mut store.series[place.index];
            *begun = Series { id: Arc::clone(&begun.id), ..series };
        }
        store
    }
}

impl serde::Serialize for Store {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;

        let mut kept = serializer.serialize_struct("Store", 3)?;
        kept.serialize_field("metrics", &Metrics(self))?;
        kept.serialize_field("points", &self.points)?;
        kept.serialize_field("aged", &self.aged)?;
        kept.end()
    }
}

/// The series by their metrics.
struct Metrics<'a>(&'a Store);

impl serde::Serialize for Metrics<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.places.iter().map(|(id, place)| (&**id, &self.0.series[*place])))
    }
}

impl Store {
    /// Adds samples to the second of `time`.
    pub fn put(&mut self, id: MetricId, unit: &str, time: Timestamp, samples: &Samples) {
        if samples.is_empty() {
            return;
        }
        let place = self.find(&id, Place::default()).unwrap_or_else(|| self.begin(Arc::new(id)));
        self.add(place, unit, time, samples.clone());
    }

    /// The same of a measurement: most likely what came after the last one when that came before.
    pub fn measured(&mut self, id: &Arc<MetricId>, unit: &str, time: Timestamp, samples: &Samples) -> Place {
        if samples.is_empty() {
            return Place::default();
        }
        let guess = self.at(self.measured).map_or(Place::default(), |series| series.next);
        let is_it = |series: &Series| Arc::ptr_eq(id, &series.id) || *id == series.id;
        let place = if self.at(guess).is_some_and(is_it) {
            guess
        } else {
            let found = self.find(&**id, Place::default());
            let place = found.unwrap_or_else(|| self.begin(Arc::clone(id)));
            if let Some(before) = self.at_mut(self.measured) {
                before.next = place;
            }
            place
        };
        self.measured = place;
        self.add(place, unit, time, samples.clone());
        place
    }

    /// Whether it is known in which sets of dimensions the metric at `place` counts, as of this revision of the facts.
    pub fn knows_sets(&self, place: Place, revision: u64) -> bool {
        let is_there = |set: &Place| set.epoch == self.epoch || *set == Place::default();
        self.at(place).is_some_and(|own| revision != 0 && own.revision == revision && own.sets.iter().all(is_there))
    }

    /// The metric at `place` counts in these sets of one dimension, too: as of this revision of the facts, 0 for this time
    /// only. Returns where the metric is then: a new set may have taken the place of a metric that is forgotten.
    pub fn count_in(&mut self, mut place: Place, sets: [Option<(&str, &str)>; SETS_MAX], revision: u64) -> Place {
        let Some(id) = self.at(place).map(|own| Arc::clone(&own.id)) else { return place };
        // Once all are there, nothing moves any more.
        for _ in 0..2 {
            let epoch = self.epoch;
            for (number, set) in sets.into_iter().enumerate() {
                let of_set = set.map_or(Place::default(), |set| self.set_of(place, number, set));
                place = self.find(&*id, place).unwrap_or_default();
                if let Some(own) = self.at_mut(place) {
                    (own.sets[number], own.revision) = (of_set, revision);
                }
            }
            if self.epoch == epoch {
                break;
            }
        }
        place
    }

    /// The set of dimensions of that number that the metric at `place` counts in.
    fn set_of(&mut self, place: Place, number: usize, set: (&str, &str)) -> Place {
        let Some(own) = self.at(place) else { return Place::default() };
        let guess = own.sets[number];
        // Its namespace, its name and the dimension's are the same whatever the dimension's value.
        let is_it = |series: &Series| matches!(series.id.dimensions(), [(_, value)] if value == set.1);
        if self.at(guess).is_some_and(is_it) {
            return guess;
        }
        let own = Arc::clone(&own.id);
        let id = MetricRef { namespace: &own.namespace, name: &own.name, dimensions: &[set] };
        self.find(&id, Place::default()).unwrap_or_else(|| self.begin(Arc::new(id.owned())))
    }

    /// A measurement at `place` counts in its sets, too. [`Store::sum_up`] tells it.
    #[expect(clippy::ptr_arg, reason = "the unit of a service's own metric is kept without a copy")]
    pub fn counted(&mut self, place: Place, unit: &Cow<'static, str>, time: Timestamp, samples: &Samples) {
        let Some(own) = self.at(place).filter(|_| !samples.is_empty()) else { return };
        let (sets, guess) = (own.sets, own.sum);
        let is_its = |sum: &Sum| sum.sets == sets && sum.time == time && sum.unit == *unit;
        let found = match self.sums.get(guess) {
            Some(sum) if is_its(sum) => Some(guess),
            _ => self.sums.iter().position(is_its),
        };
        match found {
            Some(found) => self.sums[found].samples.merge(samples),
            None => self.sums.push(Sum { sets, unit: unit.clone(), time, samples: samples.clone() }),
        }
        let found = found.unwrap_or(self.sums.len() - 1);
        self.series[place.index].sum = found;
    }

    /// Adds what was counted in sets of dimensions.
    pub fn sum_up(&mut self) {
        let mut sums = std::mem::take(&mut self.sums);
        for Sum { sets, unit, time, samples } in sums.drain(..) {
            for set in sets {
                if self.at(set).is_some() {
                    self.add(set, &unit, time, samples.clone());
                }
            }
        }
        self.sums = sums;
    }

    /// Where a metric is, which was at `before` when it was found last; `None` where it is not known.
    pub fn find(&self, id: &dyn Key, before: Place) -> Option<Place> {
        if before.epoch == self.epoch {
            return Some(before);
        }
        self.places.get(id).map(|index| self.place(*index))
    }

    fn place(&self, index: usize) -> Place {
        Place { index, epoch: self.epoch }
    }

    fn at(&self, place: Place) -> Option<&Series> {
        self.series.get(place.index).filter(|_| place.epoch == self.epoch)
    }

    fn at_mut(&mut self, place: Place) -> Option<&mut Series> {
        self.series.get_mut(place.index).filter(|_| place.epoch == self.epoch)
    }

    /// A metric that is not known yet; the one not heard of for longest makes room.
    fn begin(&mut self, id: Arc<MetricId>) -> Place {
        if self.series.len() >= METRICS_MAX {
            self.forget_oldest_metric();
        }
        let place = self.place(self.series.len());
        self.series.push(Series { id: Arc::clone(&id), ..Series::default() });
        self.places.insert(id, place.index);
        place
    }

    fn add(&mut self, place: Place, unit: &str, time: Timestamp, samples: Samples) {
        let Some(series) = self.series.get_mut(place.index) else { return };
        let second = time.as_second();
        let is_late = |last: i64| second < last && second.div_euclid(60) < last.div_euclid(60);
        let is_late = series.last().is_some_and(is_late);
        series.late += u64::from(is_late);
        if !series.points(unit).add(joined(second, self.aged), samples) {
            return;
        }
        self.points += 1;
        if series.len() > METRIC_POINTS_MAX {
            series.halve();
            self.count();
        }
        if self.points > POINTS_MAX {
            if let Some(largest) = self.series.iter_mut().max_by_key(|series| series.len()) {
                largest.halve();
            }
            self.count();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    fn count(&mut self) {
        self.points = self.series.iter().map(Series::len).sum();
    }

    fn forget_oldest_metric(&mut self) {
        // Sums know their sets by their places.
        self.sum_up();
        // One without a point was begun just now.
        let heard_of = self.places.values().filter(|place| self.series[**place].len() > 0);
        let oldest = heard_of.min_by_key(|place| self.series[**place].last()).copied();
        if let Some(oldest) = oldest {
            self.points -= self.series[oldest].len();
            self.forget(oldest);
        }
    }

    /// The last series takes the place of one that goes.
    fn forget(&mut self, place: usize) {
        self.epoch += 1;
        let gone = self.series.swap_remove(place);
        self.places.remove(&gone.id);
        if let Some(moved) = self.series.get(place) {
            self.places.insert(Arc::clone(&moved.id), place);
        }
    }

    /// Lets age tell: joins old points and forgets what is too old.
    pub fn age(&mut self, now: Timestamp) {
        for series in &mut self.series {
            series.age(now.as_second(), self.aged);
        }
        self.aged = now.as_second();
        for place in (0..self.series.len()).rev() {
            if self.series[place].len() == 0 {
                self.forget(place);
            }
        }
        self.count();
    }

    fn series(&self, id: &MetricId) -> Option<&Series> {
        self.places.get(id as &dyn Key).map(|place| &self.series[*place])
    }

    /// The samples in `[start, end)` of all units or of one, joined into periods; each is stamped with its period's start.
    /// Periods begin at `start` and every `period` seconds after it.
    pub fn periods(&self, id: &MetricId, unit: Option<&str>, range: Range<i64>, period: i64) -> BTreeMap<i64, Samples> {
        let mut periods: BTreeMap<i64, Samples> = BTreeMap::new();
        if range.start >= range.end {
            return periods;
        }
        let units = self.series(id).into_iter().flat_map(|series| &series.units);
        for (_, points) in units.filter(|(known, _)| unit.is_none_or(|unit| unit == known)) {
            for (second, samples) in points.range(range.clone()) {
                let start = range.start + (second - range.start) / period * period;
                periods.entry(start).or_default().merge(samples);
            }
        }
        periods
    }

    /// A statistic of the periods in a range, as [`Store::periods`] has them, of the metric at `place`.
    pub fn values(
        &self,
        place: Place,
        unit: Option<&str>,
        (range, period): (Range<i64>, i64),
        statistic: Statistic,
        put: &mut dyn FnMut(i64, f64),
    ) {
        let Some(series) = self.at(place) else { return };
        let is_read = |known: &str| unit.is_none_or(|unit| unit == known);
        match series.units.as_slice() {
            [(known, points)] if is_read(known) => points.values(range, period, statistic, put),
            _ => {
                let periods = self.periods(&series.id, unit, range, period);
                let values = periods.into_iter().filter_map(|(at, samples)| Some((at, samples.get(statistic)?)));
                values.for_each(|(start, value)| put(start, value));
            }
        }
    }

    /// What is new of the metric at a place.
    pub fn freshness(&self, place: Place) -> Option<Freshness> {
        let series = self.at(place)?;
        Some(Freshness { latest: series.last()?, late: series.late })
    }

    /// One statistic over `[start, end)`.
    pub fn statistic(&self, id: &MetricId, range: Range<i64>, statistic: Statistic) -> Option<f64> {
        let length = (range.end - range.start).max(1);
        self.periods(id, None, range, length).first_key_value().and_then(|(_, samples)| samples.get(statistic))
    }

    /// The unit that a metric was last sent with; empty where it is unknown.
    pub fn unit(&self, id: &MetricId) -> &str {
        self.series(id).map_or("", |series| &series.units[series.latest].0)
    }

    /// Every unit that a metric was sent with.
    pub fn units(&self, id: &MetricId) -> Vec<&str> {
        self.series(id).map_or(Vec::new(), |series| series.units.iter().map(|(unit, _)| unit.as_str()).collect())
    }

    /// Every metric heard of within `within` (at most two weeks), in the order of its name.
    pub fn list(&self, now: Timestamp, within: Option<SignedDuration>) -> impl Iterator<Item = &MetricId> {
        let seconds = within.map_or(LISTED_SECONDS, |within| within.as_secs().min(LISTED_SECONDS));
        let since = now.as_second() - seconds;
        let is_recent = move |place: usize| self.series[place].last().is_some_and(|last| last >= since);
        self.places.iter().filter(move |(_, place)| is_recent(**place)).map(|(id, _)| &**id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::retention::{DAY, HOUR};
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
        assert_eq!(store.series.len(), METRICS_MAX);
        assert!(store.unit(&id("0")).is_empty(), "the one not heard of for longest is gone");
    }

    #[test]
    fn a_measurement_finds_its_metric_whatever_came_before_and_whatever_was_forgotten() {
        let mut store = Store::default();
        let sum = |store: &Store, dimension: &str| {
            store.statistic(&id(dimension), NOW..NOW + 400 * DAY, Statistic::Sum).unwrap_or_default()
        };
        let names: Vec<Arc<MetricId>> = ["a", "b", "c", "d"].map(|name| Arc::new(id(name))).to_vec();
        let one = Samples::of_values([(1.0, 1.0)]);
        let set = |store: &mut Store, place: Place, set: &str, second: i64| {
            let place = store.count_in(place, [Some(("D", set)), None, None], 0);
            store.counted(place, &"Count".into(), at(second), &one);
        };
        // In the same order, in another, and by others who write the same.
        for (round, order) in (0..).zip([[0, 1, 2, 3], [0, 1, 2, 3], [3, 1, 0, 2], [2, 2, 1, 0]]) {
            for which in order {
                let own = if round == 3 { Arc::new((*names[which]).clone()) } else { Arc::clone(&names[which]) };
                let place = store.measured(&own, "Count", at(NOW + round), &one);
                set(&mut store, place, if which < 2 { "low" } else { "high" }, NOW + round);
            }
            store.sum_up();
        }
        assert_eq!(["a", "b", "c", "d", "low", "high"].map(|name| sum(&store, name)), [4.0, 4.0, 5.0, 3.0, 8.0, 8.0]);
        // The others move when one is forgotten.
        let later = NOW + 300 * DAY;
        for which in [2, 0] {
            store.measured(&names[which], "Count", at(later), &one);
        }
        store.age(at(NOW + 456 * DAY));
        assert_eq!(store.series.len(), 2);
        for which in [2, 0, 1] {
            let place = store.measured(&names[which], "Count", at(later + 1), &one);
            set(&mut store, place, "low", later + 1);
        }
        store.sum_up();
        assert_eq!(["a", "b", "c", "d", "low"].map(|name| sum(&store, name)), [2.0, 1.0, 2.0, 0.0, 3.0]);
    }

    #[test]
    fn a_measurement_counts_in_all_its_sets_even_where_they_take_the_places_of_others() {
        let mut store = Store::default();
        for number in 0..METRICS_MAX as i64 {
            put(&mut store, &number.to_string(), NOW + number, 1.0);
        }
        let later = NOW + METRICS_MAX as i64;
        let one = Samples::of_values([(1.0, 1.0)]);
        for which in ["x", "y"] {
            let place = store.measured(&Arc::new(id(which)), "Count", at(later), &one);
            let place = store.count_in(place, [Some(("D", "low")), Some(("E", which)), Some(("F", "all"))], 0);
            store.counted(place, &"Count".into(), at(later), &one);
        }
        store.sum_up();
        let sum = |dimension: &str, value: &str| {
            let id = MetricId::new("N", "M", vec![(dimension.to_owned(), value.to_owned())]);
            store.statistic(&id, NOW..later + 60, Statistic::Sum)
        };
        assert_eq!([sum("D", "x"), sum("D", "y")], [Some(1.0); 2]);
        assert_eq!([sum("D", "low"), sum("E", "x"), sum("E", "y"), sum("F", "all")], [2.0, 1.0, 1.0, 2.0].map(Some));
        assert_eq!((store.series.len(), sum("D", "5"), sum("D", "6")), (METRICS_MAX, None, Some(1.0)));
    }

    #[test]
    fn a_store_that_was_kept_is_the_same() {
        let mut store = Store::default();
        for (name, second) in [("b", 5), ("a", 9), ("b", 3), ("c", 1)] {
            put(&mut store, name, NOW + second, second as f64);
        }
        let mut bytes = Vec::new();
        ciborium::into_writer(&store, &mut bytes).unwrap();
        let mut again: Store = ciborium::from_reader(bytes.as_slice()).unwrap();
        put(&mut again, "b", NOW + 7, 7.0);
        put(&mut store, "b", NOW + 7, 7.0);
        let all = |store: &Store| ["a", "b", "c"].map(|name| store.periods(&id(name), None, NOW..NOW + 60, 1));
        assert_eq!((all(&again), again.points), (all(&store), store.points));
        assert_eq!(again.freshness(again.find(&id("b"), Place::default()).unwrap()).map(|it| it.late), Some(0));
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
