//! The frame of a chart: its scales, the grid, and what stands at its sides.

use super::axis::{self, Scale};
use super::canvas::{Area, Canvas, Point};
use super::layout::Layout;
use super::letters::Anchor;
use super::stacking;
use super::{Chart, Color, Kind, Series, Side};

/// The size of what stands beside an axis.
pub(super) const AXIS_SIZE: f64 = 11.5;

/// The colour of the series at `index`.
pub(super) fn color(chart: &Chart, index: usize) -> Color {
    chart.series[index].color.unwrap_or_else(|| Color::of_series(index))
}

/// The mapping from values to pixels.
pub(super) struct Frame {
    pub plot: Area,
    pub x: (f64, f64),
    pub left: Scale,
    pub right: Scale,
}

impl Frame {
    pub fn x(&self, value: f64) -> f64 {
        self.plot.left + (value - self.x.0) / (self.x.1 - self.x.0) * self.plot.width()
    }

    pub fn y(&self, value: f64, side: Side) -> f64 {
        let scale = self.scale(side);
        self.plot.bottom - (value - scale.min) / (scale.max - scale.min) * self.plot.height()
    }

    pub fn scale(&self, side: Side) -> &Scale {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    pub fn point(&self, (x, y): Point, side: Side) -> Point {
        (self.x(x), self.y(y, side))
    }
}

/// The scale of one side: of its data and of the annotations that belong to it.
pub(super) fn side_scale(chart: &Chart, side: Side, count: f64) -> Scale {
    let axis = match side {
        Side::Left => &chart.left,
        Side::Right => &chart.right,
    };
    let of_side = |series: &&Series| series.side == side;
    let mut values: Vec<f64> = if chart.stacked && chart.kind == Kind::Along {
        stacking::stacked_extremes(chart, side)
    } else {
        chart.series.iter().filter(of_side).flat_map(|series| series.points.iter().map(|point| point.1)).collect()
    };
    for note in chart.horizontal.iter().filter(|note| note.side == side) {
        values.push(note.value);
        values.extend(note.to);
    }
    values.retain(|value| value.is_finite());
    let low = values.iter().copied().fold(0.0, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max).max(low);
    axis::scale(low, high, (axis.min, axis.max), count)
}

/// The axes' names above the plot, each at its side.
pub(super) fn names(canvas: &mut Canvas, chart: &Chart, layout: &Layout, has_right: bool) {
    let room = layout.plot.width() * if has_right { 0.48 } else { 1.0 };
    let left = canvas.fitted(&chart.left.label, AXIS_SIZE, room);
    canvas.text(&left, (layout.plot.left, layout.names), Anchor::Left, AXIS_SIZE, chart.theme.text());
    if has_right {
        let right = canvas.fitted(&chart.right.label, AXIS_SIZE, room);
        canvas.text(&right, (layout.plot.right, layout.names), Anchor::Right, AXIS_SIZE, chart.theme.text());
    }
}

pub(super) fn grid(canvas: &mut Canvas, chart: &Chart, frame: &Frame, side: Side) {
    for tick in &frame.scale(side).ticks {
        let y = frame.y(tick.at, side);
        canvas.line(&[(frame.plot.left, y), (frame.plot.right, y)], chart.theme.grid(), 1.0);
    }
}

pub(super) fn y_labels(canvas: &mut Canvas, chart: &Chart, frame: &Frame, side: Side) {
    for tick in &frame.scale(side).ticks {
        let (x, anchor) = match side {
            Side::Left => (frame.plot.left - 6.0, Anchor::Right),
            Side::Right => (frame.plot.right + 6.0, Anchor::Left),
        };
        canvas.text(&tick.label, (x, frame.y(tick.at, side)), anchor, AXIS_SIZE, chart.theme.text());
    }
}
