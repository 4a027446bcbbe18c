//! A target's run on one axis of time: demand and throughput, errors, latency, capacity with its scaling events, phases.

use maud::{Markup, html};

use super::capacity::Capacity;
use crate::chart::drawing::{Axis, Canvas, LEFT, RIGHT, figure, line, plain_ms, px, svg, text, time_step, x_labels};
use crate::result::figures;
use crate::result::record::{self, Phase, RunResult, TargetResult};

const ROW: f64 = 22.0;

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
pub fn draw(run: &RunResult, target: &TargetResult, index: usize) -> Markup {
    let note = "answers that ended in each second; below, latency and what each thread was doing";
    figure(&format!("{} over time", target.name), note, |canvas| draw_timeline(canvas, run, target, index))
}

fn draw_timeline(canvas: Canvas, run: &RunResult, target: &TargetResult, index: usize) -> Markup {
    let seconds = run.elapsed_seconds().max(1.0);
    let seconds = seconds.max(target.timeline_seconds().into());
    let x = |at: f64| LEFT + canvas.plot() * (at / seconds).clamp(0.0, 1.0);
    let columns = columns(target, seconds, canvas.columns_max);
    let per_second = |column: &Column, count: u64| target.per_second(count, column.seconds);
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
    let capacity = Capacity::of(run, &target.name, seconds, if threads.is_empty() { 300.0 } else { 312.0 });
    let strip = capacity.as_ref().map_or(300.0, |capacity| capacity.axis.top + capacity.axis.height + 14.0);
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
            @if let Some(capacity) = &capacity { (capacity.draw(canvas, &x, index)) }
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
    let ticks = || (0..=(seconds / step).floor() as u32).map(|tick| f64::from(tick) * step);
    html! {
        (line("axis", LEFT, y, canvas.width - RIGHT, y))
        @for at in ticks() { (line("axis", x(at), y, x(at), y + 4.0)) }
        (x_labels(canvas, y + 18.0, ticks().map(|at| (x(at), time_label(at)))))
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
