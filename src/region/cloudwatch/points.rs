//! The samples of one metric and unit by second, in the order of time.
//!
//! Nearly every point is newer than all before it, and nearly every reader wants the newest: points lie in one piece, one
//! after the other, and are looked for from their end.

use std::collections::BTreeMap;
use std::ops::Range;

use super::statistics::{Samples, Statistic};

/// By epoch second; each second once, rising.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(from = "BTreeMap<i64, Samples>")]
pub struct Points(Vec<(i64, Samples)>);

impl From<BTreeMap<i64, Samples>> for Points {
    fn from(points: BTreeMap<i64, Samples>) -> Self {
        Self(points.into_iter().collect())
    }
}

impl serde::Serialize for Points {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(second, samples)| (second, samples)))
    }
}

impl Points {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The newest second.
    pub fn last(&self) -> Option<i64> {
        self.0.last().map(|(second, _)| *second)
    }

    pub fn seconds(&self) -> impl Iterator<Item = i64> {
        self.0.iter().map(|(second, _)| *second)
    }

    /// How many points are older than `second`.
    fn before(&self, second: i64) -> usize {
        // In steps that double, from the end.
        let (mut end, mut step) = (self.0.len(), 1);
        while end > 0 {
            let start = end.saturating_sub(step);
            if self.0[start].0 < second {
                return start + self.0[start..end].partition_point(|(there, _)| *there < second);
            }
            (end, step) = (start, step * 2);
        }
        0
    }

    /// Adds samples to those of a second; whether it had none before.
    pub fn add(&mut self, second: i64, samples: Samples) -> bool {
        if self.last().is_none_or(|last| last < second) {
            self.0.push((second, samples));
            return true;
        }
        let place = self.before(second);
        match self.0.get_mut(place) {
            Some((there, known)) if *there == second => {
                known.merge(&samples);
                false
            }
            _ => {
                self.0.insert(place, (second, samples));
                true
            }
        }
    }

    /// The points of `[start, end)`, oldest first.
    pub fn range(&self, range: Range<i64>) -> impl Iterator<Item = &(i64, Samples)> {
        let start = self.before(range.start);
        self.0[start..self.before(range.end).max(start)].iter()
    }

    /// A statistic of each period in `[start, end)` that has one, stamped with the period's start. Periods begin at `start`.
    pub fn values(&self, range: Range<i64>, period: i64, statistic: Statistic, put: &mut dyn FnMut(i64, f64)) {
        let begin = range.start;
        let start_of = |second: i64| begin + (second - begin) / period * period;
        let mut points = self.range(range).peekable();
        while let Some((second, samples)) = points.next() {
            let start = start_of(*second);
            let end = start + period;
            let is_alone = points.peek().is_none_or(|(next, _)| *next >= end);
            let value = if is_alone {
                samples.get(statistic)
            } else {
                let mut all = samples.clone();
                while let Some((_, more)) = points.next_if(|(next, _)| *next < end) {
                    all.merge(more);
                }
                all.get(statistic)
            };
            if let Some(value) = value {
                put(start, value);
            }
        }
    }

    /// Forgets what is older than `second`.
    pub fn forget(&mut self, second: i64) {
        if self.0.first().is_some_and(|(first, _)| *first < second) {
            self.0.drain(..self.before(second));
        }
    }

    /// Joins the points of `[start, end)` into one each `step` seconds.
    pub fn join(&mut self, range: Range<i64>, step: i64) {
        if self.0.first().is_none_or(|(first, _)| *first >= range.end) {
            return;
        }
        let (start, end) = (self.before(range.start), self.before(range.end));
        if self.0[start..end.max(start)].iter().all(|(second, _)| is_multiple(*second, step)) {
            return;
        }
        let newer = self.0.split_off(end);
        for (second, samples) in self.0.split_off(start) {
            self.add(second - second.rem_euclid(step), samples);
        }
        self.0.extend(newer);
    }
}

/// Whether a second stands where periods of `step` seconds begin. Nearly always they are minutes: a constant, which needs no division.
fn is_multiple(second: i64, step: i64) -> bool {
    if step == 60 { second % 60 == 0 } else { second % step == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(seconds: impl IntoIterator<Item = i64>) -> Points {
        let mut points = Points::default();
        for second in seconds {
            points.add(second, Samples::of_values([(second as f64, 1.0)]));
        }
        points
    }

    fn of(points: &Points, range: Range<i64>) -> Vec<i64> {
        points.range(range).map(|(second, _)| *second).collect()
    }

    #[test]
    fn points_are_in_order_however_they_came() {
        let points = points([5, 3, 9, 3, 7, 1, 100, 50]);
        assert_eq!(points.seconds().collect::<Vec<_>>(), [1, 3, 5, 7, 9, 50, 100]);
        assert_eq!(points.0[1].1.get(Statistic::SampleCount), Some(2.0));
        assert_eq!((points.len(), points.last()), (7, Some(100)));
    }

    #[test]
    fn a_range_has_its_start_and_not_its_end() {
        let points = points((0..1000).map(|number| number * 3));
        for (start, end) in [(0, 3), (1, 10), (-5, 1), (2990, 4000), (1500, 1500), (3000, 4000), (1498, 1502), (30, 20)]
        {
            let expected: Vec<i64> = (start..end).filter(|it| (0..3000).contains(it) && it % 3 == 0).collect();
            assert_eq!(of(&points, start..end), expected, "{start}..{end}");
        }
    }

    #[test]
    fn a_period_of_several_points_is_one_value() {
        let points = points([10, 20, 70, 130, 250]);
        let mut seen = Vec::new();
        points.values(10..190, 60, Statistic::Sum, &mut |start, value| seen.push((start, value)));
        assert_eq!(seen, [(10, 30.0), (70, 70.0), (130, 130.0)]);
    }

    #[test]
    fn joined_points_keep_their_samples() {
        let mut points = points([1, 2, 59, 60, 61, 119, 120, 121]);
        points.join(2..121, 60);
        assert_eq!(points.seconds().collect::<Vec<_>>(), [0, 1, 60, 120, 121]);
        let counts = points.0.iter().map(|(_, samples)| samples.get(Statistic::SampleCount).unwrap() as i64);
        assert_eq!(counts.collect::<Vec<_>>(), [2, 1, 3, 1, 1]);
        points.forget(60);
        assert_eq!(points.last(), Some(121));
        assert_eq!(points.len(), 3);
    }
}
