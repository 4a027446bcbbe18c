//! One metric in the store: its samples by the unit that they came with, and where its neighbours were the last time.

use std::sync::Arc;

use super::points::Points;
use super::retention::TIERS;
use crate::region::metric::MetricId;

/// In how many sets of dimensions a measurement counts besides its own.
pub const SETS_MAX: usize = 3;

/// What a reader of a metric must know to read only what is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Freshness {
    /// The second of the newest datapoint.
    pub latest: i64,
    /// How many samples came for a minute before that of the newest.
    pub late: u64,
}

/// Where a metric is in the store, as long as none is forgotten: then others take its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub index: usize,
    /// After how many forgotten metrics that was so, from 1 on; 0 is nowhere.
    pub epoch: u64,
}

/// The samples of one metric, by the unit that they came with.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Series {
    #[serde(skip)]
    pub id: Arc<MetricId>,
    pub units: Vec<(String, Points)>,
    /// The place of the unit that came last.
    pub latest: usize,
    /// How many samples came for a minute before that of the newest.
    pub late: u64,
    /// The metric that was measured after this one, the last time.
    #[serde(skip)]
    pub next: Place,
    /// The sets of dimensions that it counts in, too.
    #[serde(skip)]
    pub sets: [Place; SETS_MAX],
    /// As of which revision of the facts it counts in them; 0 where that has to be asked again.
    #[serde(skip)]
    pub revision: u64,
    /// Where its sum was, the last time.
    #[serde(skip)]
    pub sum: usize,
}

impl Series {
    pub fn len(&self) -> usize {
        self.units.iter().map(|(_, points)| points.len()).sum()
    }

    /// The second of the newest point.
    pub fn last(&self) -> Option<i64> {
        self.units.iter().filter_map(|(_, points)| points.last()).max()
    }

    /// The points of a unit that samples come in.
    pub fn points(&mut self, unit: &str) -> &mut Points {
        let is_unit = |(known, _): &(String, Points)| known == unit;
        if !self.units.get(self.latest).is_some_and(is_unit) {
            self.latest = self.units.iter().position(is_unit).unwrap_or_else(|| {
                self.units.push((unit.to_owned(), Points::default()));
                self.units.len() - 1
            });
        }
        &mut self.units[self.latest].1
    }

    /// Forgets the older half of the points.
    pub fn halve(&mut self) {
        let mut seconds: Vec<i64> = self.units.iter().flat_map(|(_, points)| points.seconds()).collect();
        seconds.sort_unstable();
        let Some(middle) = seconds.get(seconds.len() / 2) else { return };
        self.units.iter_mut().for_each(|(_, points)| points.forget(*middle));
    }

    /// Joins points that have got old since `before`, the last time that this was done, and forgets those that are too old.
    pub fn age(&mut self, now: i64, before: i64) {
        let kept = TIERS.last().map_or(0, |(kept, _)| *kept);
        for (_, points) in &mut self.units {
            points.forget(now - kept);
            for pair in TIERS.windows(2) {
                let ((kept, _), (_, step)) = (pair[0], pair[1]);
                points.join(before.min(now) - kept..now - kept, step);
            }
        }
    }
}
