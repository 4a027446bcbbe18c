//! Charts as inline SVG. Colours come from the page's CSS classes, so that light, dark and print need no second drawing.
//!
//! A drawing scales its letters with its width, so each chart is drawn twice, for wide and for narrow screens, and CSS
//! shows one of them.

use maud::{Markup, html};

use crate::result::figures;
use crate::result::record::{self, Phase, RunResult, TargetResult};

const LEFT: f64 = 58.0;
const RIGHT: f64 = 12.0;
const ROW: f64 = 22.0;

/// How wide a drawing is, in its own units.
#[derive(Clone, Copy)]
struct Canvas {
    width: f64,
    columns_max: usize,
    ticks: usize,
}

const WIDE: Canvas = Canvas { width: 760.0, columns_max: 180, ticks: 8 };
const NARROW: Canvas = Canvas { width: 380.0, columns_max: 90, ticks: 4 };

impl Canvas {
    fn plot(self) -> f64 {
        self.width - LEFT - RIGHT
    }
}

fn figure(title: &str, note: &str, draw: impl Fn(Canvas) -> Markup) -> Markup {
    html! {
        figure.chart {
            figcaption { strong { (title) } " " span.muted { (note) } }
            div.wide { (draw(WIDE)) }
            div.narrow { (draw(NARROW)) }
        }
    }
}

fn svg(canvas: Canvas, height: f64, label: &str, inner: Markup) -> Markup {
    html! {
        svg viewBox=(format!("0 0 {} {height}", canvas.width)) role="img" aria-label=(label) { (inner) }
    }
}

fn text(class: &str, x: f64, y: f64, words: &str) -> Markup {
    html! { text class=(class) x=(px(x)) y=(px(y)) { (words) } }
}

fn line(class: &str, x1: f64, y1: f64, x2: f64, y2: f64) -> Markup {
    html! { line class=(class) x1=(px(x1)) y1=(px(y1)) x2=(px(x2)) y2=(px(y2)) {} }
}

fn px(value: f64) -> String {
    format!("{:.1}", value)
}

/// A linear or logarithmic vertical axis.
struct Axis {
    top: f64,
    height: f64,
    low: f64,
    high: f64,
    log: bool,
}

impl Axis {
    fn linear(top: f64, height: f64, max: f64) -> Self {
        Self { top, height, low: 0.0, high: nice_above(max), log: false }
    }

    fn log(top: f64, height: f64, min: f64, max: f64) -> Self {
        let steps: Vec<f64> =
            (-3..=8).flat_map(|decade| [1.0, 2.0, 5.0].map(|factor| factor * 10f64.powi(decade))).collect();
        let low = steps.iter().copied().rfind(|step| *step <= min).unwrap_or(steps[0]);
        let high = steps.iter().copied().find(|step| *step >= max && *step > low).unwrap_or(low * 10.0);
        Self { top, height, low, high, log: true }
    }

    fn y(&self, value: f64) -> f64 {
        let part = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            value / self.high
        };
        self.top + self.height * (1.0 - part.clamp(0.0, 1.0))
    }

    fn ticks(&self) -> Vec<f64> {
        if !self.log {
            return (0..=4).map(|step| self.high * f64::from(step) / 4.0).collect();
        }
        let decades = (self.low.log10().floor() as i32)..=(self.high.log10().floor() as i32);
        let few = (self.high / self.low).log10() <= 3.0;
        let factors: &[f64] = if few { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let all = decades.flat_map(|decade| factors.iter().map(move |factor| factor * 10f64.powi(decade)));
        all.filter(|tick| (self.low * 0.999..=self.high * 1.001).contains(tick)).collect()
    }

    fn draw(&self, canvas: Canvas, label: impl Fn(f64) -> String) -> Markup {
        html! {
            @for tick in self.ticks() {
                (line("grid", LEFT, self.y(tick), canvas.width - RIGHT, self.y(tick)))
                (text("y", LEFT - 7.0, self.y(tick) + 4.0, &label(tick)))
            }
        }
    }
}

/// The next of 1, 2, 4, 5, 8, 10 … that can be quartered into readable ticks.
fn nice_above(max: f64) -> f64 {
    let max = max.max(1e-6);
    let decade = 10f64.powf(max.log10().floor());
    let factors = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0];
    factors.map(|factor| factor * decade).into_iter().find(|nice| *nice >= max).unwrap_or(10.0 * decade)
}

/// A step between ticks of time that gives at most `count` of them.
fn time_step(seconds: f64, count: usize) -> f64 {
    let steps = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21_600.0];
    steps.into_iter().find(|step| seconds / step <= count as f64).unwrap_or(86_400.0)
}

fn plain_ms(value: f64) -> String {
    if value >= 1000.0 { format!("{} s", value / 1000.0) } else { format!("{} ms", (value * 1000.0).round() / 1000.0) }
}

/// A column of a timeline.
struct Column {
    from: f64,
    seconds: f64,
    requests: u64,
    errors: u64,
    demanded: Option<f64>,
    p99: Option<f64>,
    p50: Option<f64>,
}

/// The record's own columns. A record without them has rows of seconds, whose percentiles cannot be put together.
fn columns(target: &TargetResult, seconds: f64, columns_max: usize) -> Vec<Column> {
    if !target.columns.is_empty() {
        let column = |column: &record::Column| Column {
            from: column.at.into(),
            seconds: column.seconds.into(),
            requests: column.requests,
            errors: column.errors,
            demanded: column.demanded,
            p99: column.p99_ms,
            p50: column.p50_ms,
        };
        return target.columns.iter().map(column).collect();
    }
    let width = time_step(seconds, columns_max).max(1.0);
    let mut columns: Vec<Column> = Vec::new();
    for second in &target.timeline {
        let from = (f64::from(second.at) / width).floor() * width;
        let alone = |value: Option<f64>| value.filter(|_| width == 1.0);
        match columns.last_mut().filter(|column| column.from == from) {
            Some(column) => {
                column.requests += second.requests;
                column.errors += second.errors;
            }
            None => columns.push(Column {
                from,
                seconds: width,
                requests: second.requests,
                errors: second.errors,
                demanded: None,
                p99: alone(second.p99_ms),
                p50: alone(second.p50_ms),
            }),
        }
    }
    columns
}

/// Requests a second, errors among them, latency, and what the threads were doing, on one axis of time.
pub fn timeline(run: &RunResult, target: &TargetResult, index: usize) -> Markup {
    let note = "answers that ended in each second; below, latency and what each thread was doing";
    figure("Requests over time", note, |canvas| draw_timeline(canvas, run, target, index))
}

fn draw_timeline(canvas: Canvas, run: &RunResult, target: &TargetResult, index: usize) -> Markup {
    let seconds = run.elapsed_seconds().max(1.0);
    let seconds = if target.timeline.is_empty() { seconds } else { seconds.max(target.timeline.len() as f64) };
    let x = |at: f64| LEFT + canvas.plot() * (at / seconds).clamp(0.0, 1.0);
    let columns = columns(target, seconds, canvas.columns_max);
    let per_second = |column: &Column, count: u64| count as f64 / column.seconds;
    let throughput = columns.iter().map(|column| per_second(column, column.requests));
    let demand: Vec<(f64, f64)> = columns.iter().filter_map(|column| Some((column.from, column.demanded?))).collect();
    let top_rate = throughput.chain(demand.iter().map(|(_, rate)| *rate)).fold(1.0, f64::max);
    let busy: Vec<(&Column, f64, f64)> =
        columns.iter().filter_map(|column| Some((column, column.p50?, column.p99?))).collect();
    let slowest = busy.iter().map(|(_, _, p99)| *p99).fold(0.001, f64::max);
    let fastest = busy.iter().map(|(_, p50, _)| *p50).fold(slowest, f64::min);
    let rates = Axis::linear(24.0, 140.0, top_rate);
    let latencies = Axis::log(202.0, 84.0, fastest, slowest);
    let threads = threads(target);
    let strip = 300.0;
    let bottom = strip + ROW * threads.len() as f64;
    let gap = if columns.len() > 60 { 0.0 } else { 1.0 };
    svg(
        canvas,
        bottom + 30.0,
        &format!("Requests of {} over time", target.name),
        html! {
            (text("unit", LEFT, 12.0, if demand.is_empty() { "requests per second" } else { "requests per second; the line is what was demanded" }))
            (rates.draw(canvas, figures::rate_tick))
            @for column in columns.iter().filter(|column| column.requests > 0) {
                @let (left, right) = (x(column.from), x(column.from + column.seconds));
                @let bar = |class: &str, count: u64| html! {
                    rect class=(class) x=(px(left + gap / 2.0)) width=(px((right - left - gap).max(0.6)))
                        y=(px(rates.y(per_second(column, count)))) height=(px(rates.top + rates.height - rates.y(per_second(column, count)))) {
                        title { (column.from) " s: " (figures::count(column.requests)) " requests, " (figures::count(column.errors)) " errors" }
                    }
                };
                (bar(&format!("s{}", index % 6), column.requests))
                @if column.errors > 0 { (bar("bad", column.errors)) }
            }
            @if !demand.is_empty() {
                polyline class="demand" points=(steps(&demand, &columns, x, |rate| rates.y(rate))) { title { "demanded" } }
            }
            (text("unit", LEFT, 190.0, "latency: p50 (dot) to p99"))
            (latencies.draw(canvas, plain_ms))
            @for (column, p50, p99) in &busy {
                @let middle = x(column.from + column.seconds / 2.0);
                line class=(format!("range s{}", index % 6)) x1=(px(middle)) x2=(px(middle))
                    y1=(px(latencies.y(*p50))) y2=(px(latencies.y(*p99))) {
                    title { (column.from) " s: p50 " (figures::ms(*p50)) ", p99 " (figures::ms(*p99)) }
                }
                circle class=(format!("dot s{}", index % 6)) cx=(px(middle)) cy=(px(latencies.y(*p50))) r="2.2" {}
            }
            @for (row, (name, phases)) in threads.iter().enumerate() {
                @let y = strip + ROW * row as f64;
                (text("y", LEFT - 7.0, y + 13.0, &shortened(name, 8)))
                @for phase in phases {
                    (draw_phase(run, phase, &x, y))
                }
            }
            (time_axis(canvas, seconds, bottom, &x))
        },
    )
}

fn draw_phase(run: &RunResult, phase: &Phase, x: &impl Fn(f64) -> f64, y: f64) -> Markup {
    let offset = |at: jiff::Timestamp| at.duration_since(run.started).as_secs_f64();
    let (left, right) = (x(offset(phase.started)), x(offset(phase.ended)));
    let width = (right - left).max(1.5);
    let fits = width > 6.4 * phase.label.chars().count() as f64;
    html! {
        rect class=(if phase.requests > 0 { "phase" } else { "pause" }) x=(px(left)) y=(px(y)) width=(px(width)) height=(px(ROW - 4.0)) rx="3" {
            title { (phase.thread) ": " (phase.label) }
        }
        @if fits { (text("inside", left + width / 2.0, y + 13.0, &phase.label)) }
    }
}

/// The phases of each thread, in the threads' order.
fn threads(target: &TargetResult) -> Vec<(&str, Vec<&Phase>)> {
    let mut threads: Vec<(&str, Vec<&Phase>)> = Vec::new();
    for phase in &target.phases {
        match threads.iter_mut().find(|(name, _)| *name == phase.thread) {
            Some((_, phases)) => phases.push(phase),
            None => threads.push((&phase.thread, vec![phase])),
        }
    }
    threads
}

fn time_axis(canvas: Canvas, seconds: f64, y: f64, x: &impl Fn(f64) -> f64) -> Markup {
    let step = time_step(seconds, canvas.ticks);
    let count = (seconds / step).floor() as u32;
    html! {
        (line("axis", LEFT, y, canvas.width - RIGHT, y))
        @for tick in 0..=count {
            @let at = f64::from(tick) * step;
            (line("axis", x(at), y, x(at), y + 4.0))
            (text("x", x(at), y + 18.0, &time_label(at)))
        }
    }
}

/// A step line: each value over the width of its column.
fn steps(values: &[(f64, f64)], columns: &[Column], x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let width = columns.first().map_or(1.0, |column| column.seconds);
    let points = values.iter().flat_map(|(from, value)| [(*from, *value), (from + width, *value)]);
    points.map(|(at, value)| format!("{},{}", px(x(at)), px(y(value)))).collect::<Vec<_>>().join(" ")
}

fn time_label(seconds: f64) -> String {
    let whole = seconds as u64;
    if whole < 120 { format!("{whole} s") } else { format!("{}:{:02}", whole / 60, whole % 60) }
}

fn shortened(name: &str, characters: usize) -> String {
    if name.chars().count() <= characters {
        return name.to_owned();
    }
    name.chars().take(characters - 1).chain(['…']).collect()
}

/// Latency by percentile, all targets in one drawing; the horizontal axis stretches the tail.
pub fn percentiles(targets: &[TargetResult]) -> Markup {
    figure("Latency by percentile", "lower is better; both axes stretch the tail", |canvas| {
        draw_percentiles(canvas, targets)
    })
}

fn draw_percentiles(canvas: Canvas, targets: &[TargetResult]) -> Markup {
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
    svg(
        canvas,
        bottom + 26.0,
        "Latency by percentile",
        html! {
            (axis.draw(canvas, plain_ms))
            @for (quantile, label) in ticks.iter().filter(|(quantile, _)| -(1.0 - quantile).log10() <= nines + 0.01) {
                (line("grid", x(*quantile), axis.top, x(*quantile), bottom + 4.0))
                (text("x", x(*quantile), bottom + 18.0, label))
            }
            @for (index, target) in &measured {
                @let points: Vec<String> = target.distribution.iter()
                    .map(|(quantile, value)| format!("{},{}", px(x(*quantile)), px(axis.y(*value)))).collect();
                polyline class=(format!("curve s{}", index % 6)) points=(points.join(" ")) { title { (target.name) } }
            }
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
    let scale = Axis::log(0.0, 1.0, low, high);
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
            @for (name, value) in marks {
                (line("mark", x(value), axis.top, x(value), bottom))
                (text("note", x(value) + 4.0, axis.top + 9.0, name))
            }
            (line("axis", LEFT, bottom, canvas.width - RIGHT, bottom))
            @for tick in ticks { (text("x", x(tick), bottom + 18.0, &plain_ms(tick))) }
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

    #[test]
    fn seconds_are_put_together_but_none_is_lost() {
        let second =
            |at| crate::result::record::Second { at, requests: 3, errors: 1, p99_ms: Some(9.0), p50_ms: Some(1.0) };
        let target = TargetResult { timeline: (0..3600).map(second).collect(), ..TargetResult::default() };
        let columns = columns(&target, 3600.0, 180);
        assert!(columns.len() <= 180 && columns.iter().all(|column| column.p99.is_none()));
        assert_eq!(columns.iter().map(|column| column.requests).sum::<u64>(), 10_800);
        assert_eq!(columns.iter().map(|column| column.errors).sum::<u64>(), 3600);
    }

    #[test]
    fn axes_hold_what_they_show() {
        for max in [0.4, 1.0, 37.0, 999.0, 1001.0] {
            let axis = Axis::linear(0.0, 100.0, max);
            assert!(axis.high >= max && axis.high <= 2.6 * max, "{max}: {}", axis.high);
        }
        let axis = Axis::log(0.0, 100.0, 0.3, 45.0);
        assert_eq!((axis.low, axis.high), (0.2, 50.0));
        assert_eq!(axis.ticks(), [0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0]);
    }
}
