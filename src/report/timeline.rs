//! A target's run on one axis of time, cause above effect: demand and throughput, errors, latency, the metrics that its policies
//! follow, capacity, what happened, phases.
//!
//! Each band takes the height that it needs, from the top down. Over all of them lie the run's columns, which tell their figures to
//! whoever points at them.

mod capacity;
mod columns;
mod happened;
mod hover;
mod latency;
mod signal;

use jiff::Timestamp;
use maud::{Markup, html};

use self::capacity::Capacity;
use self::columns::{Column, columns};
use self::happened::Happened;
use crate::chart::drawing::{Axis, Canvas, LEFT, figure, line, points, px, svg, text, time_step, x_labels};
use crate::result::figures;
use crate::result::record::{Phase, RunResult, TargetResult};

const ROW: f64 = 22.0;
/// From the top of a band to its axis: its name stands there.
const HEAD: f64 = 22.0;
/// Between two bands.
const APART: f64 = 12.0;
const LOAD: f64 = 104.0;
const ERRORS: f64 = 34.0;
/// For the names of lines, at their ends.
const RIGHT: f64 = 42.0;

/// Where on the canvas a second of the run lies.
#[derive(Clone, Copy)]
pub struct Time {
    canvas: Canvas,
    seconds: f64,
}

impl Time {
    fn x(self, at: f64) -> f64 {
        LEFT + self.canvas.plot() * (at / self.seconds).clamp(0.0, 1.0)
    }
}

/// The run of a target, drawn.
pub fn draw(run: &RunResult, target: &TargetResult, index: usize) -> Markup {
    let note = "▲ launched, ▼ ended, ✕ broken on purpose, ! failed; all figures of a time where it is pointed at";
    figure(&format!("{} over time", target.name), note, |canvas| {
        draw_timeline(Canvas { right: RIGHT, ..canvas }, run, target, index)
    })
}

fn draw_timeline(canvas: Canvas, run: &RunResult, target: &TargetResult, index: usize) -> Markup {
    let seconds = run.elapsed_seconds().max(1.0).max(target.timeline_seconds().into());
    let time = Time { canvas, seconds };
    let columns = columns(target, seconds, canvas.columns_max);
    let (load, y) = load(time, target, &columns, index, 0.0);
    let (errors, y) = errors(time, &columns, y);
    let (latency, y) = latency::draw(time, &columns, run.objective_ms, index, y);
    let followed = signal::of(run, &target.name);
    let (signals, y) = signal::draw(time, &followed, index, y);
    let capacity = Capacity::of(run, &target.name, seconds);
    let (instances, y) = capacity.as_ref().map_or_else(|| (html! {}, y), |capacity| capacity.draw(time, index, y));
    let happened = Happened::of(run, &target.name);
    let (marks, spans, y) = happened.draw(time, y);
    let (threads, y) = threads(time, run, target, y);
    let context = hover::Context { run, target, signals: &followed, capacity: capacity.as_ref(), happened: &happened };
    let hits = context.hits(time, &columns, y);
    svg(
        canvas,
        y + 28.0,
        &format!("Requests of {} over time", target.name),
        html! {
            (load) (errors) (latency) (signals) (instances) (spans) (threads)
            (time_axis(time, y))
            (hits)
            // Above the columns, so that they can be pointed at.
            (marks)
        },
    )
}

/// What was asked for, and what was answered.
fn load(time: Time, target: &TargetResult, columns: &[Column], index: usize, y: f64) -> (Markup, f64) {
    let throughput: Vec<Option<f64>> =
        columns.iter().map(|column| Some(target.per_second(column.requests, column.seconds))).collect();
    let demand: Vec<Option<f64>> = columns.iter().map(|column| column.demanded).collect();
    let is_open = demand.iter().any(Option::is_some);
    let top = throughput.iter().chain(&demand).flatten().copied().fold(1.0, f64::max);
    let axis = Axis::linear(y + HEAD, LOAD, top);
    let words = if is_open { "requests per second, and what was demanded (line)" } else { "requests per second" };
    let drawn = html! {
        (text("unit", LEFT, y + 12.0, words))
        (axis.draw(time.canvas, figures::rate_tick))
        @for run in runs(columns, &throughput) {
            path class=(format!("area s{}", index % 6)) d=(area(time, &axis, &run)) {}
        }
        @for run in runs(columns, &demand) {
            polyline class="demand" points=(points(&steps(time, &axis, &run))) {}
        }
        (base(time.canvas, &axis))
    };
    (drawn, axis.top + axis.height + APART)
}

/// Percent of the requests; a run without errors says so in a line.
fn errors(time: Time, columns: &[Column], y: f64) -> (Markup, f64) {
    let percent = |column: &Column| match (column.errors, column.requests) {
        (0, _) | (_, 0) => None,
        (errors, requests) => Some(100.0 * errors as f64 / requests as f64),
    };
    let percents: Vec<Option<f64>> = columns.iter().map(percent).collect();
    let Some(top) = percents.iter().flatten().copied().reduce(f64::max) else {
        let asked = columns.iter().any(|column| column.requests > 0);
        return (text("unit", LEFT, y + 12.0, if asked { "no errors" } else { "no requests" }), y + HEAD);
    };
    let axis = Axis::linear(y + HEAD, ERRORS, top);
    let drawn = html! {
        (text("unit", LEFT, y + 12.0, "errors, of all requests"))
        (axis.draw(time.canvas, |tick| format!("{} %", figures::short(tick))))
        @for run in runs(columns, &percents) { path class="bad" d=(area(time, &axis, &run)) {} }
        (base(time.canvas, &axis))
    };
    (drawn, axis.top + axis.height + APART)
}

/// A value over some time: from, until, value.
type Step = (f64, f64, f64);

/// What was measured, taken apart where nothing was.
fn runs(columns: &[Column], values: &[Option<f64>]) -> Vec<Vec<Step>> {
    let mut runs: Vec<Vec<Step>> = Vec::new();
    let mut is_open = false;
    for (column, value) in columns.iter().zip(values) {
        if let Some(value) = value {
            if !is_open {
                runs.push(Vec::new());
            }
            let step = (column.from, column.from + column.seconds, *value);
            runs.last_mut().expect("one was begun").push(step);
        }
        is_open = value.is_some();
    }
    runs
}

/// The line of steps; neighbours of one height are one.
fn steps(time: Time, axis: &Axis, run: &[Step]) -> Vec<(f64, f64)> {
    let mut line: Vec<(f64, f64)> = Vec::new();
    for (from, until, value) in run {
        let (left, right, y) = (time.x(*from), time.x(*until), axis.y(*value));
        match line.last_mut() {
            Some(last) if last.1 == y => last.0 = right,
            _ => line.extend([(left, y), (right, y)]),
        }
    }
    line
}

/// What lies under the line of steps.
fn area(time: Time, axis: &Axis, run: &[Step]) -> String {
    let line = steps(time, axis, run);
    let (Some(first), Some(last)) = (line.first(), line.last()) else { return String::new() };
    let bottom = px(axis.top + axis.height);
    format!("M{} {bottom}L{}L{} {bottom}Z", px(first.0), points(&line), px(last.0))
}

fn base(canvas: Canvas, axis: &Axis) -> Markup {
    line("axis", LEFT, axis.top + axis.height, canvas.end(), axis.top + axis.height)
}

/// What each thread was doing.
fn threads(time: Time, run: &RunResult, target: &TargetResult, y: f64) -> (Markup, f64) {
    let mut threads: Vec<(&str, Vec<&Phase>)> = Vec::new();
    for phase in &target.phases {
        match threads.iter_mut().find(|(name, _)| *name == phase.thread) {
            Some((_, phases)) => phases.push(phase),
            None => threads.push((&phase.thread, vec![phase])),
        }
    }
    let drawn = html! {
        @for (row, (name, phases)) in threads.iter().enumerate() {
            @let y = y + ROW * row as f64;
            (text("y", LEFT - 7.0, y + 13.0, &shortened(name, 8)))
            @for phase in phases { (draw_phase(time, run, phase, y)) }
        }
    };
    (drawn, y + ROW * threads.len() as f64)
}

fn draw_phase(time: Time, run: &RunResult, phase: &Phase, y: f64) -> Markup {
    let offset = |at: Timestamp| at.duration_since(run.started).as_secs_f64();
    let (left, right) = (time.x(offset(phase.started)), time.x(offset(phase.ended)));
    let width = (right - left).max(1.5);
    let fits = width > 6.4 * phase.label.chars().count() as f64;
    html! {
        rect class=(if phase.requests > 0 { "phase" } else { "pause" }) x=(px(left)) y=(px(y)) width=(px(width)) height=(px(ROW - 4.0)) rx="3" {
            title { (phase.thread) ": " (phase.label) }
        }
        @if fits { (text("inside", left + width / 2.0, y + 13.0, &phase.label)) }
    }
}

fn time_axis(time: Time, y: f64) -> Markup {
    let step = time_step(time.seconds, time.canvas.ticks);
    let ticks = || (0..=(time.seconds / step).floor() as u32).map(|tick| f64::from(tick) * step);
    html! {
        (line("axis", LEFT, y, time.canvas.end(), y))
        @for at in ticks() { (line("axis", time.x(at), y, time.x(at), y + 4.0)) }
        (x_labels(time.canvas, y + 18.0, ticks().map(|at| (time.x(at), time_label(at, step)))))
    }
}

/// In the unit of the steps: `30 s`, `2:30`, `15 min`, `6 h`.
fn time_label(seconds: f64, step: f64) -> String {
    let whole = seconds as u64;
    match step as u64 {
        step if step >= 3600 => format!("{} h", whole / 3600),
        step if step >= 60 => format!("{} min", whole / 60),
        _ if whole < 120 => format!("{whole} s"),
        _ => format!("{}:{:02}", whole / 60, whole % 60),
    }
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
    fn times_are_told_in_the_unit_of_their_steps() {
        let labels = [(0.0, 1.0), (90.0, 30.0), (150.0, 30.0), (900.0, 300.0), (7200.0, 1800.0), (64_800.0, 21_600.0)];
        let labels = labels.map(|(at, step)| time_label(at, step));
        assert_eq!(labels, ["0 s", "90 s", "2:30", "15 min", "120 min", "18 h"]);
    }

    #[test]
    fn nothing_is_drawn_where_nothing_was_measured() {
        let column = |from: u32| Column { from: from.into(), seconds: 1.0, ..Column::default() };
        let columns: Vec<Column> = (0..5).map(column).collect();
        let runs = runs(&columns, &[Some(1.0), Some(1.0), None, Some(2.0), None]);
        assert_eq!(runs, [vec![(0.0, 1.0, 1.0), (1.0, 2.0, 1.0)], vec![(3.0, 4.0, 2.0)]]);
    }
}
