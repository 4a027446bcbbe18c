//! Paints a chart onto a canvas: back to front, so that nothing important is covered.

use super::axis::{self, Scale};
use super::canvas::{Area, Canvas};
use super::frame::{AXIS_SIZE, Frame, color, grid, names, side_scale, y_labels};
use super::layout::{self, Layout, SWATCH, TEXT_SIZE, TITLE_SIZE};
use super::letters::Anchor;
use super::lines;
use super::theme::WARNING;
use super::{Chart, Horizontal, HorizontalFill, Kind, Side, Vertical, VerticalFill, XAxis, compare, seconds};

/// How strongly an annotation's area is shaded.
const SHADE: f64 = 0.13;

/// Paints all of it.
pub(super) fn paint(canvas: &mut Canvas, chart: &Chart, width: u32, height: u32) {
    let (width, height) = (f64::from(width), f64::from(height));
    canvas.rectangle(Area { left: 0.0, top: 0.0, right: width, bottom: height }, chart.theme.background(), 1.0);
    let labels = match chart.kind {
        Kind::Along | Kind::Bars => chart.series.iter().map(|series| series.label.clone()).collect(),
        Kind::Pie => compare::pie_labels(chart),
    };
    let layout = layout::layout(canvas, chart, &labels, width, height);
    let title = canvas.fitted(&chart.title, TITLE_SIZE, layout.title.width());
    let at = (layout.title.left, layout.title.top + 9.0);
    canvas.text(&title, at, Anchor::Left, TITLE_SIZE, chart.theme.title());
    // Below this there is nothing to see, and no room to calculate with.
    if layout.plot.width() > 40.0 && layout.plot.height() > 24.0 {
        match chart.kind {
            Kind::Along => along(canvas, chart, layout.plot, &layout),
            Kind::Bars => compare::bars(canvas, chart, &layout),
            Kind::Pie => compare::pie(canvas, chart, layout.plot),
        }
    }
    legend(canvas, chart, &layout);
}

fn legend(canvas: &mut Canvas, chart: &Chart, layout: &Layout) {
    for entry in &layout.legend {
        let (left, middle) = entry.at;
        let Some(index) = entry.series else {
            canvas.text(&entry.text, entry.at, Anchor::Left, TEXT_SIZE, chart.theme.text());
            continue;
        };
        if chart.series[index].failed {
            let triangle = [(left + 5.0, middle - 5.5), (left + 11.0, middle + 5.0), (left - 1.0, middle + 5.0)];
            canvas.polygon(&triangle, WARNING, 1.0);
        } else {
            let swatch = Area { left, top: middle - 5.0, right: left + 10.0, bottom: middle + 5.0 };
            canvas.rectangle(swatch, color(chart, index), 1.0);
        }
        canvas.text(&entry.text, (left + SWATCH, middle), Anchor::Left, TEXT_SIZE, chart.theme.text());
    }
}

fn along(canvas: &mut Canvas, chart: &Chart, plot: Area, layout: &Layout) {
    let count = (plot.height() / 42.0).floor().clamp(1.0, 8.0);
    let left = side_scale(chart, Side::Left, count);
    let right = side_scale(chart, Side::Right, count);
    let has_right = chart.series.iter().any(|series| series.side == Side::Right);
    // Without data on the left, the right axis rules the grid.
    let has_left = !has_right || chart.series.iter().any(|series| series.side == Side::Left);
    let widest =
        |scale: &Scale| scale.ticks.iter().map(|tick| canvas.text_width(&tick.label, AXIS_SIZE)).fold(0.0, f64::max);
    let margins =
        (if has_left { widest(&left) + 8.0 } else { 4.0 }, if has_right { widest(&right) + 8.0 } else { 10.0 });
    let mut placed = Layout { legend: Vec::new(), ..*layout };
    placed.narrow(margins.0, margins.1);
    let frame = Frame { plot: placed.plot, x: x_range(&chart.x), left, right };

    names(canvas, chart, layout, has_right);
    let ruling = if has_left { Side::Left } else { Side::Right };
    grid(canvas, chart, &frame, ruling);
    for note in &chart.vertical {
        vertical_shade(canvas, chart, &frame, note);
    }
    for note in &chart.horizontal {
        horizontal_shade(canvas, chart, &frame, note);
    }
    x_axis(canvas, chart, &frame);
    lines::series(canvas, chart, &frame);
    if has_left {
        y_labels(canvas, chart, &frame, Side::Left);
    }
    if has_right {
        y_labels(canvas, chart, &frame, Side::Right);
    }
    horizontal_notes(canvas, chart, &frame);
    vertical_notes(canvas, chart, &frame, placed.notes);
}

fn x_range(axis: &XAxis) -> (f64, f64) {
    let (min, max) = (seconds(axis.start), seconds(axis.end));
    if max > min { (min, max) } else { (min, min + 1.0) }
}

fn x_axis(canvas: &mut Canvas, chart: &Chart, frame: &Frame) {
    let Area { left, right, bottom, .. } = frame.plot;
    canvas.line(&[(left, bottom), (right, bottom)], chart.theme.axis(), 1.0);
    let range = frame.x.1 - frame.x.0;
    let XAxis { start, end, offset } = chart.x;
    let example = axis::time_label_example(end.duration_since(start), frame.plot.width() / 80.0);
    let spacing = canvas.text_width(example, AXIS_SIZE) + 26.0;
    let ticks = axis::time_ticks(start, end, offset, spacing / frame.plot.width() * range);
    // Labels stay inside the picture, and one that would touch its neighbour is left out.
    let mut free_from = f64::NEG_INFINITY;
    for tick in ticks {
        let x = frame.x(tick.at);
        let width = canvas.text_width(&tick.label, AXIS_SIZE);
        let middle = x.clamp(width / 2.0 + 2.0, (right + 10.0 - width / 2.0).max(width / 2.0 + 2.0));
        if x < left - 1.0 || x > right + 1.0 || middle - width / 2.0 < free_from {
            continue;
        }
        free_from = middle + width / 2.0 + 8.0;
        canvas.line(&[(x, bottom), (x, bottom + 4.0)], chart.theme.axis(), 1.0);
        canvas.text(&tick.label, (middle, bottom + 13.0), Anchor::Center, AXIS_SIZE, chart.theme.text());
    }
}

fn vertical_shade(canvas: &mut Canvas, chart: &Chart, frame: &Frame, note: &Vertical) {
    let (from, to) = match (note.to, note.fill) {
        (Some(to), _) => (note.at.min(to), note.at.max(to)),
        (None, VerticalFill::Before) => (frame.x.0, note.at),
        (None, VerticalFill::After) => (note.at, frame.x.1),
        (None, VerticalFill::None) => return,
    };
    let (from, to) = (from.max(frame.x.0), to.min(frame.x.1));
    if from < to {
        let area = Area { left: frame.x(from), right: frame.x(to), ..frame.plot };
        canvas.rectangle(area, note.color.unwrap_or(chart.theme.annotation()), SHADE);
    }
}

fn horizontal_shade(canvas: &mut Canvas, chart: &Chart, frame: &Frame, note: &Horizontal) {
    let scale = frame.scale(note.side);
    let (from, to) = match (note.to, note.fill) {
        (Some(to), _) => (note.value.min(to), note.value.max(to)),
        (None, HorizontalFill::Above) => (note.value, scale.max),
        (None, HorizontalFill::Below) => (scale.min, note.value),
        (None, HorizontalFill::None) => return,
    };
    let (from, to) = (from.max(scale.min), to.min(scale.max));
    if from < to {
        let area = Area { top: frame.y(to, note.side), bottom: frame.y(from, note.side), ..frame.plot };
        canvas.rectangle(area, note.color.unwrap_or(chart.theme.annotation()), SHADE);
    }
}

/// The lines of horizontal annotations, and their labels: above the line, or below where there is no room.
fn horizontal_notes(canvas: &mut Canvas, chart: &Chart, frame: &Frame) {
    let mut taken: Vec<f64> = Vec::new();
    for note in &chart.horizontal {
        let scale = frame.scale(note.side);
        let color = note.color.unwrap_or(chart.theme.annotation());
        let within = |value: &f64| (scale.min..=scale.max).contains(value);
        for value in [Some(note.value), note.to].into_iter().flatten().filter(within) {
            let y = frame.y(value, note.side);
            canvas.line(&[(frame.plot.left, y), (frame.plot.right, y)], color, 1.4);
        }
        let Some(value) = Some(note.value).filter(within).or(note.to.filter(within)) else { continue };
        let text = canvas.fitted(&note.label, AXIS_SIZE, frame.plot.width() - 16.0);
        let y = frame.y(value, note.side);
        let is_free = |middle: &f64| {
            middle - 8.0 >= frame.plot.top
                && middle + 8.0 <= frame.plot.bottom
                && taken.iter().all(|other| (other - middle).abs() >= 15.0)
        };
        let Some(middle) = [y - 9.0, y + 9.0].into_iter().find(is_free) else { continue };
        if text.is_empty() {
            continue;
        }
        taken.push(middle);
        let left = frame.plot.left + 6.0;
        let right = left + canvas.text_width(&text, AXIS_SIZE) + 6.0;
        let behind = Area { left: left - 3.0, top: middle - 7.0, right, bottom: middle + 7.0 };
        canvas.rectangle(behind, chart.theme.background(), 0.75);
        canvas.text(&text, (left, middle), Anchor::Left, AXIS_SIZE, chart.theme.text());
    }
}

/// The lines of vertical annotations; their labels stand above the plot, each up to where the next one begins.
fn vertical_notes(canvas: &mut Canvas, chart: &Chart, frame: &Frame, strip: Area) {
    let mut notes: Vec<&Vertical> = chart.vertical.iter().collect();
    notes.sort_by(|a, b| a.at.total_cmp(&b.at));
    let inside = |x: &f64| (frame.x.0..=frame.x.1).contains(x);
    for (index, note) in notes.iter().enumerate() {
        let color = note.color.unwrap_or(chart.theme.annotation());
        for x in [Some(note.at), note.to].into_iter().flatten().filter(inside) {
            let width = if note.to.is_some() { 0.8 } else { 1.4 };
            canvas.line(&[(frame.x(x), frame.plot.top), (frame.x(x), frame.plot.bottom)], color, width);
        }
        let from = note.at.max(frame.x.0);
        let next = notes[index + 1..].iter().find(|next| !next.label.is_empty() && next.at > note.at);
        let until = note.to.unwrap_or(next.map_or(frame.x.1, |next| next.at)).min(frame.x.1);
        if note.label.is_empty() || until <= from || (note.to.is_none() && !inside(&note.at)) {
            continue;
        }
        let (left, right) = (frame.x(from), frame.x(until));
        let text = canvas.fitted(&note.label, AXIS_SIZE, right - left - 6.0);
        let middle = f64::midpoint(strip.top, strip.bottom);
        let (x, anchor) = match note.to {
            Some(_) => (f64::midpoint(left, right), Anchor::Center),
            None => (left, Anchor::Left),
        };
        canvas.text(&text, (x, middle), anchor, AXIS_SIZE, chart.theme.text());
    }
}
