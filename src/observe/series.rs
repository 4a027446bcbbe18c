//! A figure over time: points by the minute, oldest first, for as long as a view looks back.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// A value of the period that begins at a time; `(epoch seconds, value)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point(pub i64, pub f64);

/// Points in the order of time, one for each.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Series(Vec<Point>);

impl Series {
    /// Takes up points; what is newer of the same time counts, as a minute may still fill.
    pub fn merge(&mut self, points: &[Point]) {
        for point in points.iter().filter(|point| point.1.is_finite()) {
            match self.0.binary_search_by_key(&point.0, |known| known.0) {
                Ok(index) => self.0[index] = *point,
                Err(index) => self.0.insert(index, *point),
            }
        }
    }

    /// Forgets what is older than `span`.
    pub fn forget(&mut self, now: Timestamp, span: SignedDuration) {
        let oldest = (now - span).as_second();
        self.0.retain(|point| point.0 >= oldest);
    }

    pub fn points(&self) -> &[Point] {
        &self.0
    }

    /// Those whose period is over: a minute that still fills looks like a fall.
    pub fn complete(&self, now: Timestamp, period: i64) -> &[Point] {
        let end = self.0.partition_point(|point| point.0 + period <= now.as_second());
        &self.0[..end]
    }

    pub fn at(&self, second: i64) -> Option<f64> {
        self.0.binary_search_by_key(&second, |point| point.0).ok().map(|index| self.0[index].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_that_fills_is_taken_up_again_and_counts_once_it_is_over() {
        let mut series = Series::default();
        series.merge(&[Point(120, 3.0), Point(60, 1.0)]);
        series.merge(&[Point(120, 5.0), Point(180, f64::NAN)]);
        assert_eq!(series.points(), [Point(60, 1.0), Point(120, 5.0)]);
        let now = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(series.complete(now(179), 60), [Point(60, 1.0)]);
        assert_eq!(series.complete(now(180), 60).len(), 2);
        series.forget(now(180), SignedDuration::from_secs(100));
        assert_eq!((series.points(), series.at(120), series.at(60)), (&[Point(120, 5.0)][..], Some(5.0), None));
    }
}
