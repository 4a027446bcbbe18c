//! Latency drawn: by percentile, all targets together, and as a distribution of one.

use maud::{Markup, html};

use crate::chart::drawing::{Axis, Canvas, LEFT, curves, figure, line, plain_ms, px, svg, text, x_labels};
use crate::result::figures;
use crate::result::record::TargetResult;

/// Latency by percentile, all targets in one drawing; the horizontal axis stretches the tail.
pub fn percentiles(targets: &[TargetResult]) -> Markup {
    figure("Latency by percentile", "lower is better; both axes stretch the tail", |canvas| {
        draw_percentiles(canvas, targets)
    })
}

fn draw_percentiles<'a>(canvas: Canvas, targets: &'a [TargetResult]) -> Markup {
    let measured: Vec<(usize, &TargetResult)> =
        targets.iter().enumerate().filter(|(_, target)| !target.distribution.is_empty()).collect();
    let answers = measured.iter().map(|(_, target)| target.requests).max().unwrap_or(1).max(100);
    let nines = (answers as f64).log10().clamp(2.0, 5.0);
    let x = |quantile: f64| {
        let tail = -(1.0 - quantile).max(10f64.powf(-nines)).log10();
        LEFT + canvas.plot() * tail / nines
    };
    let min = measured.iter().filter_map(|(_, target)| Some(target.latency_ms?.min)).fold(f64::INFINITY, f64::min);
    let max = measured.iter().filter_map(|(_, target)| Some(target.latency_ms?.max)).fold(0.002, f64::max);
    let axis = Axis::log(14.0, 210.0, if min.is_finite() { min } else { 0.1 }, max);
    let bottom = axis.top + axis.height;
    let ticks: [(f64, &str); 6] =
        [(0.0, "0"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %")];
    let shown: Vec<_> = ticks.iter().filter(|(quantile, _)| -(1.0 - quantile).log10() <= nines + 0.01).collect();
    let place = |(quantile, value): &(f64, f64)| (x(*quantile), axis.y(*value));
    let line_of = |(index, target): &(usize, &'a TargetResult)| {
        (format!("curve s{}", index % 6), target.name.as_str(), target.distribution.iter().map(place).collect())
    };
    let lines: Vec<_> = measured.iter().map(line_of).collect();
    svg(
        canvas,
        bottom + 26.0,
        "Latency by percentile",
        html! {
            (axis.draw(canvas, plain_ms))
            @for (quantile, _) in &shown { (line("grid", x(*quantile), axis.top, x(*quantile), bottom + 4.0)) }
            (x_labels(canvas, bottom + 18.0, shown.iter().map(|(quantile, label)| (x(*quantile), (*label).to_owned()))))
            (curves(&lines))
        },
    )
}

/// How many answers took how long; bins grow with the latency.
pub fn histogram(target: &TargetResult, index: usize) -> Markup {
    figure("Latency distribution", "share of the correct answers; bins widen with the latency", |canvas| {
        draw_histogram(canvas, target, index)
    })
}

fn draw_histogram(canvas: Canvas, target: &TargetResult, index: usize) -> Markup {
    let latency = target.latency_ms.unwrap_or_default();
    let (low, high) = (latency.min.max(0.001), latency.max.max(0.002));
    let bins = if canvas.width > 500.0 { 36 } else { 20 };
    let edge = |bin: usize| low * (high * 1.0001 / low).powf(bin as f64 / bins as f64);
    let shares: Vec<f64> = (0..bins)
        .map(|bin| 100.0 * (share_below(target, edge(bin + 1)) - share_below(target, edge(bin))).max(0.0))
        .collect();
    let axis = Axis::linear(14.0, 130.0, shares.iter().copied().fold(1.0, f64::max));
    let bottom = axis.top + axis.height;
    let x = |value: f64| LEFT + canvas.plot() * (value / low).ln() / (high * 1.0001 / low).ln();
    let marks = [("p50", latency.p50), ("p99", latency.p99)];
    // As many labels as there is room for along it.
    let scale = Axis::log(0.0, canvas.plot(), low, high);
    let ticks: Vec<f64> = scale.ticks().into_iter().filter(|tick| (low..=high).contains(tick)).collect();
    svg(
        canvas,
        bottom + 26.0,
        &format!("Latency distribution of {}", target.name),
        html! {
            (axis.draw(canvas, figures::percent))
            @for (bin, share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
                @let (left, right) = (x(edge(bin)), x(edge(bin + 1)));
                rect class=(format!("s{}", index % 6)) x=(px(left + 0.5)) width=(px(right - left - 1.0))
                    y=(px(axis.y(*share).min(bottom - 1.0))) height=(px((bottom - axis.y(*share)).max(1.0))) {
                    title { (figures::ms(edge(bin))) "–" (figures::ms(edge(bin + 1))) ": " (figures::percent(*share)) }
                }
            }
            @for (row, (name, value)) in marks.into_iter().enumerate() {
                (line("mark", x(value), axis.top, x(value), bottom))
                // One below the other: they may lie near each other.
                (text("note", x(value) + 4.0, axis.top + 9.0 + 13.0 * row as f64, name))
            }
            (line("axis", LEFT, bottom, canvas.end(), bottom))
            (x_labels(canvas, bottom + 18.0, ticks.into_iter().map(|tick| (x(tick), plain_ms(tick)))))
        },
    )
}

/// The share of answers that took at most `ms`, 0–1.
fn share_below(target: &TargetResult, ms: f64) -> f64 {
    let points = &target.distribution;
    let after = points.partition_point(|point| point.1 <= ms);
    match (after.checked_sub(1).map(|before| points[before]), points.get(after)) {
        (Some((q0, v0)), Some((q1, v1))) if *v1 > v0 => q0 + (q1 - q0) * (ms - v0) / (v1 - v0),
        (Some((quantile, _)), None) => quantile,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::confidence::value_at;

    #[test]
    fn the_share_below_a_latency_inverts_the_distribution() {
        let distribution = vec![(0.0, 1.0), (0.5, 2.0), (0.9, 6.0), (1.0, 20.0)];
        let target = TargetResult { distribution: distribution.clone(), ..TargetResult::default() };
        for quantile in [0.1, 0.25, 0.5, 0.7, 0.95] {
            assert!((share_below(&target, value_at(&distribution, quantile)) - quantile).abs() < 1e-9, "{quantile}");
        }
        assert_eq!((share_below(&target, 0.5), share_below(&target, 20.0)), (0.0, 1.0));
    }
}
