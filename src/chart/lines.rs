//! The data along x: lines with gaps, dots and stacked areas, all kept inside the plot.

use super::canvas::{Area, Canvas, Point};
use super::frame::{Frame, color};
use super::ranks::{dashes, ranks};
use super::stacking::{Stack, finite};
use super::{Chart, Color, Series, Side};

const LINE: f64 = 1.8;
const DOT: f64 = 3.0;
/// Points that are nearer than this, in pixels, have no dots.
const DOTS_APART: f64 = 24.0;
/// How strongly stacked areas are filled.
const FILL: f64 = 0.55;
/// Neighbours further apart than this many steps are a gap.
const GAP_STEPS: f64 = 1.5;

/// Draws every series: areas first, so that they cover no line; among equals the first one at the bottom.
pub(super) fn series(canvas: &mut Canvas, chart: &Chart, frame: &Frame) {
    let shapes = shapes(chart, frame);
    for Shape { series, color, lower, upper } in shapes.iter().filter(|_| chart.stacked) {
        for run in runs(upper, series.step) {
            area(canvas, frame, series.side, (&lower[run.clone()], &upper[run]), *color);
        }
    }
    let places = |shape: &Shape<'_>| shape.upper.iter().map(|point| frame.point(*point, shape.series.side)).collect();
    let ranks = ranks(&shapes.iter().map(places).collect::<Vec<_>>());
    for (Shape { series, color, upper, .. }, rank) in shapes.iter().zip(ranks) {
        for run in runs(upper, series.step) {
            line(canvas, frame, series.side, &upper[run], Pen { color: *color, dashes: dashes(rank) });
        }
    }
}

#[derive(Clone, Copy)]
struct Pen {
    color: Color,
    dashes: Option<(f64, f64, f64)>,
}

/// A series as it is drawn: between a lower and an upper edge.
struct Shape<'a> {
    series: &'a Series,
    color: Color,
    lower: Vec<Point>,
    upper: Vec<Point>,
}

fn shapes<'a>(chart: &'a Chart, frame: &Frame) -> Vec<Shape<'a>> {
    let mut stacks = [Stack::default(), Stack::default()];
    let shape = |(index, series): (usize, &'a Series)| {
        let points: Vec<Point> = finite(series).filter(|(x, _)| (frame.x.0..=frame.x.1).contains(x)).collect();
        let (lower, upper) = if chart.stacked {
            stacks[usize::from(series.side == Side::Right)].put(&points)
        } else {
            (points.iter().map(|(x, _)| (*x, 0.0)).collect(), points)
        };
        Shape { series, color: color(chart, index), lower, upper }
    };
    chart.series.iter().enumerate().map(shape).collect()
}

/// The stretches without a gap, as ranges of indices.
fn runs(points: &[Point], step: Option<f64>) -> Vec<std::ops::Range<usize>> {
    let mut runs = Vec::new();
    let mut start = 0;
    for index in 1..=points.len() {
        let is_gap = |step: f64| points[index].0 - points[index - 1].0 > step * GAP_STEPS;
        if index == points.len() || step.is_some_and(is_gap) {
            runs.push(start..index);
            start = index;
        }
    }
    runs
}

/// One run of a line, clipped to the plot. Where its points stand well apart each has a dot: it reports what was
/// measured from what only joins it, and a single point is to be seen.
fn line(canvas: &mut Canvas, frame: &Frame, side: Side, run: &[Point], pen: Pen) {
    let mut pixels: Vec<Point> = run.iter().map(|point| frame.point(*point, side)).collect();
    if pixels.windows(2).all(|pair| pair[1].0 - pair[0].0 >= DOTS_APART) {
        pixels.iter().for_each(|point| dot(canvas, frame, *point, pen.color));
    }
    thin(&mut pixels);
    let mut path: Vec<Point> = Vec::new();
    for pair in pixels.windows(2) {
        let Some((from, to)) = clip(pair[0], pair[1], frame.plot) else { continue };
        if path.last() != Some(&from) {
            canvas.dashed(&path, pen.color, LINE, pen.dashes);
            path = vec![from];
        }
        path.push(to);
    }
    canvas.dashed(&path, pen.color, LINE, pen.dashes);
}

/// Leaves out points that come too close to their neighbour to be distinguished: they would only roughen the line.
fn thin(pixels: &mut Vec<Point>) {
    let last = pixels.len() - 1;
    let (mut index, mut kept) = (0, (f64::NEG_INFINITY, 0.0));
    pixels.retain(|point| {
        let keep = index == 0 || index == last || (point.0 - kept.0).hypot(point.1 - kept.1) >= 1.8;
        index += 1;
        if keep {
            kept = *point;
        }
        keep
    });
}

fn dot(canvas: &mut Canvas, frame: &Frame, (x, y): Point, color: Color) {
    if (frame.plot.top - 0.5..=frame.plot.bottom + 0.5).contains(&y) {
        canvas.circle((x, y), DOT, color);
    }
}

fn area(canvas: &mut Canvas, frame: &Frame, side: Side, (lower, upper): (&[Point], &[Point]), color: Color) {
    let inside = |point: &Point| {
        let (x, y) = frame.point(*point, side);
        (x, y.clamp(frame.plot.top, frame.plot.bottom))
    };
    let outline: Vec<Point> = upper.iter().map(inside).chain(lower.iter().rev().map(inside)).collect();
    if outline.len() > 3 {
        canvas.polygon(&outline, color, FILL);
    }
}

/// The part of a segment that lies inside the area (Liang and Barsky's algorithm).
fn clip(from: Point, to: Point, area: Area) -> Option<(Point, Point)> {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
    let edges =
        [(-dx, from.0 - area.left), (dx, area.right - from.0), (-dy, from.1 - area.top), (dy, area.bottom - from.1)];
    for (direction, distance) in edges {
        if direction == 0.0 {
            if distance < 0.0 {
                return None;
            }
        } else if direction < 0.0 {
            enter = enter.max(distance / direction);
        } else {
            leave = leave.min(distance / direction);
        }
    }
    let at = |part: f64| (from.0 + part * dx, from.1 + part * dy);
    (enter <= leave).then(|| (at(enter), at(leave)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_point_makes_a_gap() {
        let points = [(0.0, 1.0), (60.0, 1.0), (180.0, 1.0)];
        assert_eq!(runs(&points, Some(60.0)), [0..2, 2..3]);
        assert_eq!(runs(&points, None).first(), Some(&(0..3)));
        assert!(runs(&[], Some(60.0)).is_empty());
    }

    #[test]
    fn segments_are_cut_at_the_plots_edge() {
        let area = Area { left: 0.0, top: 0.0, right: 10.0, bottom: 10.0 };
        assert_eq!(clip((5.0, 5.0), (5.0, 25.0), area), Some(((5.0, 5.0), (5.0, 10.0))));
        assert_eq!(clip((-5.0, -5.0), (-1.0, 30.0), area), None);
    }

    #[test]
    fn a_stack_grows_where_series_share_their_x() {
        let mut stack = Stack::default();
        stack.put(&[(0.0, 1.0), (60.0, 2.0)]);
        let (lower, upper) = stack.put(&[(60.0, 3.0), (120.0, 4.0)]);
        assert_eq!(lower, [(60.0, 2.0), (120.0, 0.0)]);
        assert_eq!(upper, [(60.0, 5.0), (120.0, 4.0)]);
    }
}
