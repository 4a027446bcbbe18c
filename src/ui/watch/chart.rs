//! Charts of cells: a rate as an area of eighths, capacity as what serves (full) below what is wanted (shaded), and
//! their axis.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;

use crate::observe::capacity::Capacity;
use crate::observe::series::Point;

const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Distances of ticks in seconds: people count in these.
const STEPS: [i64; 10] = [60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600];
/// A tick's label and the space to the next.
const LABEL_COLUMNS: i64 = 9;

/// The time that columns stand for.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    pub from: i64,
    pub to: i64,
    pub columns: u16,
}

impl Axis {
    /// The seconds that a column covers.
    fn column(&self, column: u16) -> (i64, i64) {
        let at = |column: i64| self.from + (self.to - self.from) * column / i64::from(self.columns.max(1));
        (at(column.into()), at(i64::from(column) + 1))
    }

    /// Labels below, at times that people count in.
    pub fn draw(&self, buffer: &mut Buffer, x: u16, y: u16, style: Style) {
        let span = self.to - self.from;
        let fits = |step: &&i64| span / **step * LABEL_COLUMNS <= i64::from(self.columns);
        let step = STEPS.iter().find(fits).copied().unwrap_or(span.max(1));
        let mut tick = self.from.div_euclid(step) * step + step;
        while tick <= self.to {
            let column = (tick - self.from) * i64::from(self.columns) / span.max(1);
            let label = Timestamp::from_second(tick).map(|at| at.to_zoned(TimeZone::UTC).strftime("%H:%M").to_string());
            if let (Ok(label), Ok(column)) = (label, u16::try_from(column - 2))
                && column + 5 <= self.columns
            {
                buffer.set_string(x + column, y, label, style);
            }
            tick += step;
        }
    }
}

/// The value of each column: that of the period which its middle is in.
pub fn sampled(points: &[Point], period: i64, axis: Axis) -> Vec<Option<f64>> {
    let value = |column| {
        let (from, to) = axis.column(column);
        let middle = i64::midpoint(from, to);
        let index = points.partition_point(|point| point.0 <= middle).checked_sub(1)?;
        (middle < points[index].0 + period).then_some(points[index].1)
    };
    (0..axis.columns).map(value).collect()
}

/// The capacity at the end of each column; `None` before anything was known.
pub fn capacities(history: &[(Timestamp, Capacity)], now: Timestamp, axis: Axis) -> Vec<Option<Capacity>> {
    let value = |column| {
        let (from, to) = axis.column(column);
        if from > now.as_second() {
            return None;
        }
        let known = history.partition_point(|(at, _)| at.as_second() < to).checked_sub(1)?;
        Some(history[known].1)
    };
    (0..axis.columns).map(value).collect()
}

/// An area whose highest value fills the place.
pub fn area(buffer: &mut Buffer, place: Rect, values: &[Option<f64>], top: f64, style: Style) {
    let full = f64::from(place.height) * 8.0;
    for (x, value) in (place.x..place.right()).zip(values) {
        let Some(value) = value else { continue };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 8 × height")]
        let eighths = (value / top.max(f64::MIN_POSITIVE) * full).clamp(0.0, full).round() as usize;
        // What is there and nearly nothing is distinguished from nothing.
        let eighths = if *value > 0.0 { eighths.max(1) } else { eighths };
        column(buffer, place, x, eighths, style);
    }
}

fn column(buffer: &mut Buffer, place: Rect, x: u16, eighths: usize, style: Style) {
    for (row, y) in (place.y..place.bottom()).rev().enumerate() {
        let here = eighths.saturating_sub(row * 8).min(8);
        if here > 0 {
            buffer[(x, y)].set_char(EIGHTHS[here]).set_style(style);
        }
    }
}

/// What serves, and shaded above it what is wanted and does not serve yet.
pub fn capacity(
    buffer: &mut Buffer,
    place: Rect,
    values: &[Option<Capacity>],
    top: u32,
    (serves, wanted): (Style, Style),
) {
    let rows = u32::from(place.height);
    let filled = |count: u32| (count * rows).div_ceil(top.max(1));
    for (x, value) in (place.x..place.right()).zip(values) {
        let Some(value) = value else { continue };
        let (serving, desired) = (filled(value.in_service), filled(value.desired));
        for (row, y) in (0..).zip((place.y..place.bottom()).rev()) {
            if row < serving {
                buffer[(x, y)].set_char('█').set_style(serves);
            } else if row < desired {
                buffer[(x, y)].set_char('░').set_style(wanted);
            }
        }
    }
}

/// A series in so many characters: `▁▂▄▆█`.
pub fn sparkline(values: &[Option<f64>]) -> String {
    let top = values.iter().flatten().copied().fold(0.0, f64::max);
    let shown = |value: &Option<f64>| match value {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
        Some(value) if top > 0.0 => EIGHTHS[1 + (value / top * 7.0).clamp(0.0, 7.0).round() as usize],
        Some(_) => EIGHTHS[1],
        None => ' ',
    };
    values.iter().map(shown).collect()
}

/// A round number that is not below `value`: 1, 2 or 5 times a power of ten.
pub fn rounded_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|step| *step >= value).unwrap_or(value)
}
