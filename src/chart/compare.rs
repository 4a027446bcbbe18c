//! Charts that compare one value a series: bars and a pie.

use super::axis::{self, Scale};
use super::canvas::{Area, Canvas, Point};
use super::frame::{self, Frame, color};
use super::layout::{Layout, TEXT_SIZE};
use super::letters::Anchor;
use super::{Chart, Series, Side};

/// A full circle is cut into this many straight edges.
const EDGES: f64 = 180.0;

/// The series' last value: what is compared.
fn last(series: &Series) -> Option<f64> {
    series.points.iter().rev().map(|point| point.1).find(|value| value.is_finite())
}

/// One upright bar a series, its value above it.
pub(super) fn bars(canvas: &mut Canvas, chart: &Chart, layout: &Layout) {
    let values = Chart {
        series: chart
            .series
            .iter()
            .map(|series| Series {
                points: last(series).map(|value| (0.0, value)).into_iter().collect(),
                side: Side::Left,
                ..Series::default()
            })
            .collect(),
        ..chart.clone()
    };
    let scale = frame::side_scale(&values, Side::Left, (layout.plot.height() / 42.0).floor().clamp(1.0, 8.0));
    let widest = scale.ticks.iter().map(|tick| canvas.text_width(&tick.label, TEXT_SIZE)).fold(0.0, f64::max);
    // The values stand above their bars, so the plot begins a line lower.
    let plot = Area { left: layout.plot.left + widest + 8.0, top: layout.plot.top + 14.0, ..layout.plot };
    let nothing = Scale { min: 0.0, max: 1.0, ticks: Vec::new() };
    let frame = Frame { plot, x: (0.0, chart.series.len().max(1) as f64), left: scale, right: nothing };
    frame::names(canvas, chart, layout, false);
    frame::grid(canvas, chart, &frame, Side::Left);
    frame::y_labels(canvas, chart, &frame, Side::Left);
    for (index, series) in chart.series.iter().enumerate() {
        let slot = (frame.x(index as f64), frame.x(index as f64 + 1.0));
        let (middle, half) = (f64::midpoint(slot.0, slot.1), ((slot.1 - slot.0) * 0.35).min(45.0));
        let name = canvas.fitted(&series.label, TEXT_SIZE, slot.1 - slot.0 - 6.0);
        canvas.text(&name, (middle, plot.bottom + 13.0), Anchor::Center, TEXT_SIZE, chart.theme.text());
        let Some(value) = last(series) else { continue };
        let inside = |value: f64| frame.y(value, Side::Left).clamp(plot.top, plot.bottom);
        let (top, bottom) = (inside(value.max(0.0)), inside(value.min(0.0)));
        canvas.rectangle(Area { left: middle - half, top, right: middle + half, bottom }, color(chart, index), 1.0);
        let text = canvas.fitted(&axis::value(value), TEXT_SIZE, slot.1 - slot.0 - 4.0);
        canvas.text(&text, (middle, top - 8.0), Anchor::Center, TEXT_SIZE, chart.theme.title());
    }
    let zero = frame.y(0.0, Side::Left).clamp(plot.top, plot.bottom);
    canvas.line(&[(plot.left, zero), (plot.right, zero)], chart.theme.axis(), 1.0);
}

/// What each series has of the whole, 0–1; nothing where there is no positive value.
fn shares(chart: &Chart) -> Vec<f64> {
    let values: Vec<f64> = chart.series.iter().map(|series| last(series).unwrap_or(0.0).max(0.0)).collect();
    let whole: f64 = values.iter().sum();
    values.into_iter().map(|value| if whole > 0.0 { value / whole } else { 0.0 }).collect()
}

/// The legend of a pie says each share.
pub(super) fn pie_labels(chart: &Chart) -> Vec<String> {
    let label = |(series, share): (&Series, f64)| format!("{} · {:.1} %", series.label, share * 100.0);
    chart.series.iter().zip(shares(chart)).map(label).collect()
}

/// A ring of wedges, clockwise from the top.
pub(super) fn pie(canvas: &mut Canvas, chart: &Chart, plot: Area) {
    let center = (f64::midpoint(plot.left, plot.right), f64::midpoint(plot.top, plot.bottom));
    let radius = (plot.width().min(plot.height()) / 2.0 - 8.0).max(4.0);
    let place = |turn: f64, radius: f64| {
        let angle = turn * std::f64::consts::TAU;
        (center.0 + radius * angle.sin(), center.1 - radius * angle.cos())
    };
    let mut from = 0.0;
    let shares = shares(chart);
    if shares.iter().all(|share| *share == 0.0) {
        canvas.text("No data", center, Anchor::Center, TEXT_SIZE, chart.theme.text());
    }
    for (index, share) in shares.into_iter().enumerate().filter(|(_, share)| *share > 0.0) {
        let edges = (share * EDGES).ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most EDGES")]
        let turns = (0..=edges as u32).map(|edge| from + share * f64::from(edge) / edges);
        let outer = turns.clone().map(|turn| place(turn, radius));
        let inner = turns.rev().map(|turn| place(turn, radius * 0.55));
        canvas.polygon(&outer.chain(inner).collect::<Vec<Point>>(), color(chart, index), 1.0);
        from += share;
        if share < 1.0 {
            canvas.line(&[place(from, radius * 0.55), place(from, radius)], chart.theme.background(), 1.5);
        }
    }
}
