//! A target's run over time: a row for each second, columns for a chart, and whole minutes for thresholds.
//!
//! Seconds are open as long as workers may still hand over parts of them, then they become rows. Columns and minutes keep
//! every bucket of their seconds' histograms, so their percentiles are those of all their answers. Columns begin a second
//! wide and double in width whenever there are too many: a day needs no more memory than ten minutes.

use std::collections::BTreeMap;

use super::grid::{Grid, MINUTE};
use super::interval::Tally;
use super::spread::{Buckets, Spread, milliseconds};
use crate::result::record::{Column, Second};

pub const COLUMNS_MAX: usize = 240;
/// A run of more rows than this (two hours of seconds) is kept by the minute: a day's record is read and written at once.
const ROWS_MAX: u32 = 7200;

#[derive(Clone, Debug, Default)]
struct Slice {
    requests: u64,
    errors: u64,
    latency: Spread,
}

impl Slice {
    fn add(&mut self, tally: &Tally) {
        self.requests += tally.requests;
        self.errors += tally.failed();
        self.latency.add(tally.latency());
    }

    fn row(&self, at: u32) -> Second {
        let quantile = |quantile| self.latency.quantile(quantile).map(milliseconds);
        Second { at, requests: self.requests, errors: self.errors, p50_ms: quantile(0.5), p99_ms: quantile(0.99) }
    }
}

#[derive(Debug)]
pub struct Timeline {
    row_seconds: u32,
    open: BTreeMap<u32, Slice>,
    rows: BTreeMap<u32, Second>,
    columns: Columns,
    minutes: Columns,
}

/// What a timeline has become.
#[derive(Debug)]
pub struct Rows {
    pub seconds: Vec<Second>,
    pub columns: Vec<Column>,
    pub minutes: Vec<Column>,
}

impl Timeline {
    pub fn new(grid: Grid) -> Self {
        let columns = |rows, columns_max| Columns { rows, columns_max, columns: Vec::new() };
        Self {
            row_seconds: grid.row_seconds,
            open: BTreeMap::new(),
            rows: BTreeMap::new(),
            columns: columns(1, COLUMNS_MAX),
            minutes: columns(MINUTE / grid.row_seconds, usize::MAX),
        }
    }

    pub fn add(&mut self, row: u32, tally: &Tally) {
        if let Some(closed) = self.rows.get_mut(&row) {
            // A straggler: counted exactly everywhere; the second's percentiles stand as they are.
            closed.requests += tally.requests;
            closed.errors += tally.failed();
            let mut slice = Slice::default();
            slice.add(tally);
            self.columns.add(row, &slice);
            self.minutes.add(row, &slice);
        } else {
            self.open.entry(row).or_default().add(tally);
        }
    }

    /// Closes what is before `row`.
    pub fn settle(&mut self, row: u32) {
        let later = self.open.split_off(&row);
        for (at, slice) in std::mem::replace(&mut self.open, later) {
            self.rows.insert(at, slice.row(at * self.row_seconds));
            self.columns.add(at, &slice);
            self.minutes.add(at, &slice);
        }
    }

    /// So many rows from the start on, also where nothing happened.
    pub fn finish(mut self, rows: u32) -> Rows {
        self.settle(u32::MAX);
        let end = self.rows.last_key_value().map_or(rows, |(last, _)| rows.max(last + 1));
        let empty = |row| Second { at: row * self.row_seconds, ..Second::default() };
        let minutes = self.minutes.finish(end, self.row_seconds);
        let seconds = if end > ROWS_MAX {
            let row = |minute: &Column| Second {
                at: minute.at,
                requests: minute.requests,
                errors: minute.errors,
                p50_ms: minute.p50_ms,
                p99_ms: minute.p99_ms,
            };
            minutes.iter().map(row).collect()
        } else {
            (0..end).map(|row| self.rows.get(&row).copied().unwrap_or(empty(row))).collect()
        };
        Rows { seconds, columns: self.columns.finish(end, self.row_seconds), minutes }
    }
}

#[derive(Debug)]
struct Columns {
    /// The width of each.
    rows: u32,
    columns_max: usize,
    columns: Vec<Kept>,
}

#[derive(Clone, Debug, Default)]
struct Kept {
    requests: u64,
    errors: u64,
    latency: Buckets,
}

impl Columns {
    fn add(&mut self, row: u32, slice: &Slice) {
        while (row / self.rows) as usize >= self.columns_max {
            self.halve();
        }
        let column = self.column((row / self.rows) as usize);
        column.requests += slice.requests;
        column.errors += slice.errors;
        column.latency.add(&slice.latency.buckets());
    }

    fn column(&mut self, index: usize) -> &mut Kept {
        if self.columns.len() <= index {
            self.columns.resize_with(index + 1, Kept::default);
        }
        &mut self.columns[index]
    }

    fn halve(&mut self) {
        let mut halved: Vec<Kept> = Vec::with_capacity(self.columns.len().div_ceil(2));
        for pair in self.columns.chunks(2) {
            let mut sum = pair[0].clone();
            if let Some(second) = pair.get(1) {
                sum.requests += second.requests;
                sum.errors += second.errors;
                sum.latency.add(&second.latency);
            }
            halved.push(sum);
        }
        self.columns = halved;
        self.rows *= 2;
    }

    fn finish(mut self, end: u32, row_seconds: u32) -> Vec<Column> {
        while end.div_ceil(self.rows) as usize > self.columns_max {
            self.halve();
        }
        let count = end.div_ceil(self.rows) as usize;
        if count > self.columns.len() {
            self.columns.resize_with(count, Kept::default);
        }
        let width = self.rows * row_seconds;
        let starts = (0..).map(|index: u32| index * width);
        let column = |(at, kept): (u32, &Kept)| {
            let quantile = |quantile| kept.latency.quantile(quantile).map(milliseconds);
            Column {
                at,
                seconds: width,
                requests: kept.requests,
                errors: kept.errors,
                demanded: None,
                p50_ms: quantile(0.5),
                p95_ms: quantile(0.95),
                p99_ms: quantile(0.99),
            }
        };
        starts.zip(&self.columns).map(column).collect()
    }
}

#[cfg(test)]
mod tests {

    use std::time::Duration;

    use super::*;
    use crate::benchmark::interval::{Failure, Reply, Times};

    fn tally(milliseconds: impl IntoIterator<Item = u64>, failure: Option<Failure>) -> Tally {
        let mut tally = Tally::default();
        for service in milliseconds {
            let times = Times { due: None, sent: Duration::ZERO, ended: Duration::from_millis(service) };
            tally.record(times, Reply { failure, ..Reply::default() });
        }
        tally
    }

    #[test]
    fn the_timeline_has_a_row_for_every_second_and_loses_no_request() {
        let mut timeline = Timeline::new(Grid::of(1));
        timeline.add(0, &tally([2, 2, 2], None));
        timeline.add(3, &tally([2, 2], None));
        timeline.settle(4);
        timeline.add(3, &tally([2], Some(Failure::Reset)));
        let rows = timeline.finish(5);
        let counts: Vec<_> = rows.seconds.iter().map(|row| (row.at, row.requests, row.errors)).collect();
        assert_eq!(counts, [(0, 3, 0), (1, 0, 0), (2, 0, 0), (3, 3, 1), (4, 0, 0)]);
        assert_eq!((rows.seconds[1].p50_ms, rows.seconds[0].p50_ms), (None, Some(2.0)));
        assert_eq!(
            rows.columns.iter().map(|column| (column.requests, column.errors)).collect::<Vec<_>>(),
            [(3, 0), (0, 0), (0, 0), (3, 1), (0, 0)]
        );
    }

    #[test]
    fn a_columns_percentile_is_that_of_all_its_answers_and_not_the_worst_second() {
        let mut timeline = Timeline::new(Grid::of(1));
        // A second of a hundred fast answers, and one of two slow ones.
        timeline.add(0, &tally([1; 100], None));
        timeline.add(1, &tally([500; 2], None));
        let minute = timeline.finish(2).minutes.remove(0);
        assert_eq!((minute.requests, minute.p50_ms, minute.p95_ms), (102, Some(1.0), Some(1.0)));
        assert!(minute.p99_ms.is_some_and(|p99| (p99 - 500.0).abs() < 0.5), "{minute:?}");
    }

    #[test]
    fn a_day_has_as_few_columns_as_an_hour_and_every_request() {
        let mut timeline = Timeline::new(Grid::of(1));
        for second in (0..86_400).step_by(100) {
            timeline.add(second, &tally([second as u64 % 7 + 1], None));
            timeline.settle(second);
        }
        let rows = timeline.finish(86_400);
        assert!((120..=240).contains(&rows.columns.len()), "{}", rows.columns.len());
        assert_eq!(rows.columns.iter().map(|column| column.requests).sum::<u64>(), 864);
        assert_eq!((rows.seconds.len(), rows.minutes.len()), (1440, 1440), "by the minute");
        assert_eq!(rows.seconds.iter().map(|row| row.requests).sum::<u64>(), 864);
    }

    #[test]
    fn a_faster_regions_rows_are_wider_and_its_minutes_are_its_own() {
        let grid = Grid::of(60);
        let mut timeline = Timeline::new(grid);
        for tenth in 0..30 {
            timeline.add(grid.row(Duration::from_millis(100 * tenth)), &tally([2], None));
        }
        let rows = timeline.finish(3);
        assert_eq!(
            rows.seconds.iter().map(|row| (row.at, row.requests)).collect::<Vec<_>>(),
            [(0, 10), (60, 10), (120, 10)]
        );
        let minutes: Vec<_> = rows.minutes.iter().map(|minute| (minute.at, minute.seconds, minute.requests)).collect();
        assert_eq!(minutes, [(0, 60, 10), (60, 60, 10), (120, 60, 10)]);
        assert_eq!(Grid::of(7).row(Duration::from_secs(10)), 7, "rows of 10 seconds");
    }
}
