//! The datapoints that an alarm looks at: a ring of numbers that moves on with time.
//!
//! An evaluation asks the store only for what may be new since the last one: the periods that were not over by the newest
//! datapoint seen then. Where older data came in, everything is asked for again. A window slides each minute, so an alarm
//! with a period of five minutes has five rings, one for each minute within the period.

use std::collections::VecDeque;
use std::ops::Range;

use super::store::Freshness;

/// Beyond so many rings (a period of an hour) nothing is kept, and every evaluation asks for all.
const RINGS_MAX: i64 = 60;

/// Values by period, oldest first; `None` is missing.
pub type Points = VecDeque<Option<f64>>;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Ring {
    /// Where the last period ends, in epoch seconds.
    end: i64,
    points: Points,
    /// What the store had when the ring was last brought up to date.
    seen: Option<Freshness>,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Window {
    period: i64,
    interval: i64,
    /// How many periods are looked at.
    range: usize,
    /// By the minute (or the ten seconds) within the period.
    rings: Vec<Ring>,
    /// The ring that was looked at last.
    #[serde(default)]
    current: usize,
}

impl Window {
    pub fn new(period: i64, interval: i64, range: usize) -> Self {
        let count = (period / interval).max(1);
        let count = if count > RINGS_MAX { 1 } else { count };
        let ring = Ring { end: i64::MIN, points: VecDeque::with_capacity(range), seen: None };
        Self { period, interval, range, rings: vec![ring; usize::try_from(count).unwrap_or(1)], current: 0 }
    }

    /// The points that were looked at last.
    pub fn points(&self) -> &Points {
        &self.rings[self.current].points
    }

    /// Looks at the periods that end at `end`, `read` answering a range of seconds as (start of the period, value).
    pub fn look(
        &mut self,
        end: i64,
        fresh: Option<Freshness>,
        read: impl FnOnce(Range<i64>, &mut dyn FnMut(i64, f64)),
    ) {
        let (period, range) = (self.period, self.range);
        let span = i64::try_from(range).unwrap_or(i64::MAX).saturating_mul(period);
        let start = end.saturating_sub(span);
        let rings = i64::try_from(self.rings.len()).unwrap_or(1);
        self.current = usize::try_from((end / self.interval).rem_euclid(rings)).unwrap_or(0);
        let ring = &mut self.rings[self.current];
        let known = ring.still_known(end, period, span, fresh);
        // From the first period that may have changed.
        let from = match known {
            Some(until) => {
                for _ in 0..(end - ring.end) / period {
                    ring.points.pop_front();
                    ring.points.push_back(None);
                }
                start + (until.max(start) - start) / period * period
            }
            None => {
                ring.points.clear();
                ring.points.resize(range, None);
                start
            }
        };
        let place = |second: i64| usize::try_from((second - start) / period).unwrap_or(usize::MAX);
        if from < end {
            ring.points.range_mut(place(from)..).for_each(|point| *point = None);
            if fresh.is_some() {
                let points = &mut ring.points;
                read(from..end, &mut |second, value| {
                    if let Some(point) = points.get_mut(place(second)) {
                        *point = Some(value);
                    }
                });
            }
        }
        (ring.end, ring.seen) = (end, fresh);
    }
}

impl Ring {
    /// Until when the points that the ring holds are still right; `None` where nothing of it is.
    fn still_known(&self, end: i64, period: i64, span: i64, fresh: Option<Freshness>) -> Option<i64> {
        let (seen, fresh) = (self.seen?, fresh?);
        let moved = end.checked_sub(self.end)?;
        let is_whole = moved >= 0 && moved % period == 0 && moved < span;
        // What came in order lies in the newest datapoint's minute or after it.
        (is_whole && seen.late == fresh.late).then(|| (seen.latest - seen.latest.rem_euclid(60)).min(self.end))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Data in seconds, and how they came.
    #[derive(Default)]
    struct Data {
        points: BTreeMap<i64, f64>,
        late: u64,
        read: usize,
    }

    impl Data {
        fn put(&mut self, second: i64, value: f64) {
            let is_late = self.points.last_key_value().is_some_and(|(last, _)| second / 60 < last / 60);
            self.late += u64::from(is_late);
            self.points.insert(second, value);
        }

        fn look(&mut self, window: &mut Window, end: i64) -> Vec<Option<f64>> {
            let fresh = self.points.last_key_value().map(|(last, _)| Freshness { latest: *last, late: self.late });
            let (points, read) = (&self.points, &mut self.read);
            let period = window.period;
            window.look(end, fresh, |range, put| {
                let start = range.start;
                for (second, value) in points.range(range) {
                    *read += 1;
                    put(start + (second - start) / period * period, *value);
                }
            });
            window.points().iter().copied().collect()
        }
    }

    #[test]
    fn only_what_is_new_is_read() {
        let (mut data, mut window) = (Data::default(), Window::new(60, 60, 4));
        for minute in 0..4 {
            data.put(minute * 60, minute as f64);
        }
        assert_eq!(data.look(&mut window, 240), [Some(0.0), Some(1.0), Some(2.0), Some(3.0)]);
        assert_eq!(data.read, 4);
        data.put(240, 4.0);
        assert_eq!(data.look(&mut window, 300), [Some(1.0), Some(2.0), Some(3.0), Some(4.0)]);
        assert_eq!(data.read, 6, "the newest minute again, and the new one");
        assert_eq!(data.look(&mut window, 360), [Some(2.0), Some(3.0), Some(4.0), None]);
        data.put(355, 5.0);
        assert_eq!(
            data.look(&mut window, 420),
            [Some(3.0), Some(4.0), Some(5.0), None],
            "after its minute was looked at"
        );
        data.put(250, 7.0);
        assert_eq!(data.look(&mut window, 420), [Some(3.0), Some(7.0), Some(5.0), None], "late");
    }

    #[test]
    fn a_long_period_slides_by_the_minute() {
        let (mut data, mut window) = (Data::default(), Window::new(120, 60, 2));
        for minute in 0..6 {
            data.put(minute * 60, minute as f64);
        }
        assert_eq!(data.look(&mut window, 240), [Some(1.0), Some(3.0)], "the last of each two minutes");
        assert_eq!(data.look(&mut window, 300), [Some(2.0), Some(4.0)]);
        assert_eq!(data.look(&mut window, 360), [Some(3.0), Some(5.0)]);
    }

    #[test]
    fn a_window_that_jumps_begins_again_and_one_without_data_is_empty() {
        let (mut data, mut window) = (Data::default(), Window::new(60, 60, 2));
        assert_eq!(data.look(&mut window, 120), [None, None]);
        data.put(60, 1.0);
        assert_eq!(data.look(&mut window, 120), [None, Some(1.0)]);
        data.put(6000, 2.0);
        assert_eq!(data.look(&mut window, 6060), [None, Some(2.0)]);
    }
}
