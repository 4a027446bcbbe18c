//! A load → cells: who is asked for what and answers how, the throughput over time, what happened, and the keys.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier, Style};

use super::state::{LoadView, TargetView};
use crate::result::figures;
use crate::ui::printable::one_line;
use crate::ui::watch::chart;

const COLUMNS: [(&str, u16); 7] =
    [("DEMAND", 9), ("RATE", 9), ("P50", 9), ("P99", 9), ("ERRORS", 9), ("HEALTHY", 9), ("DONE", 11)];
const NAME_COLUMNS: u16 = 14;
const TARGETS_MAX: usize = 9;
const CHART_LINES: u16 = 6;
const LABEL_COLUMNS: u16 = 9;
pub const WIDTH_MIN: u16 = 80;
pub const HEIGHT_MIN: u16 = 16;
const KEYS: &str = "[+/-] rate by 10 %  [p] pause  [q] end now, and report";

pub fn draw(buffer: &mut Buffer, view: &LoadView) {
    let place = buffer.area;
    if place.width < WIDTH_MIN || place.height < HEIGHT_MIN {
        let text = format!("the view needs {WIDTH_MIN} columns and {HEIGHT_MIN} lines; the load goes on; q ends it");
        put(buffer, 0, 0, place.width, &text, Style::new());
        return;
    }
    let style = |style: Style| if view.color { style } else { Style { fg: None, bg: None, ..style } };
    let dim = Style::new().add_modifier(Modifier::DIM);
    put(buffer, 0, 0, place.width, &heading(view), Style::new().add_modifier(Modifier::BOLD));
    let mut y = 2;
    put(buffer, 0, y, NAME_COLUMNS, "CLUSTER", dim);
    let mut x = NAME_COLUMNS;
    for (name, width) in COLUMNS {
        right(buffer, x + width, y, width, name, dim);
        x += width;
    }
    for target in view.targets.iter().take(TARGETS_MAX) {
        y += 1;
        put(buffer, 0, y, NAME_COLUMNS - 1, &target.name, Style::new());
        let mut x = NAME_COLUMNS;
        for ((name, width), text) in COLUMNS.into_iter().zip(cells(view, target)) {
            let bad = name == "ERRORS" && target.progress.errors > 0;
            let look = if bad { style(Style::new().fg(Color::Red)) } else { Style::new() };
            right(buffer, x + width, y, width, &text, look);
            x += width;
        }
    }
    y += 2;
    if let Some(first) = view.targets.first() {
        put(buffer, 0, y, place.width, &schedule(first), Style::new());
        y += 2;
        let lines = CHART_LINES.min(place.height.saturating_sub(y + 5));
        throughput(
            buffer,
            first,
            Rect { x: 0, y, width: place.width, height: lines },
            style(Style::new().fg(Color::Cyan)),
        );
        y += lines + 1;
    }
    let room = place.height.saturating_sub(y + 2);
    for (line, event) in view.events.iter().rev().take(room.into()).rev().enumerate() {
        put(buffer, 0, y + u16::try_from(line).unwrap_or(u16::MAX), place.width, event, Style::new());
    }
    put(buffer, 0, place.height - 1, place.width, KEYS, dim);
}

fn heading(view: &LoadView) -> String {
    let (elapsed, left) = view.clock();
    let mut text = format!("{} · {}", view.scenario, figures::duration(elapsed));
    if let Some(left) = left {
        text += &format!(" · {} left", figures::duration(left));
    }
    if view.percent != 100 {
        text += &format!(" · rate {} %", view.percent);
    }
    if view.paused {
        text += " · PAUSED: nothing is sent";
    }
    text
}

/// `climb: up to 400/s · then 400/s in 2 min 10 s`
fn schedule(target: &TargetView) -> String {
    let phase = &target.progress.phase;
    match &target.progress.next {
        Some(next) => format!("{phase} · next: {next}"),
        None => phase.clone(),
    }
}

fn cells(view: &LoadView, target: &TargetView) -> [String; 7] {
    let progress = &target.progress;
    let time = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), figures::ms);
    let healthy = view.capacity.get(&target.name).map(|seen| format!("{}/{}", seen.healthy, seen.desired));
    let done = match progress.planned {
        0 => figures::count(progress.done),
        planned => figures::percent((100.0 * progress.done as f64 / planned as f64).round()),
    };
    [
        progress.demand.map_or_else(|| "–".to_owned(), |demand| format!("{}/s", figures::rate(demand))),
        format!("{}/s", figures::rate(progress.rate)),
        time(progress.p50_ms),
        time(progress.p99_ms),
        match progress.done {
            0 => "–".to_owned(),
            done => figures::percent(100.0 * progress.errors as f64 / done as f64),
        },
        healthy.unwrap_or_else(|| "–".to_owned()),
        done,
    ]
}

/// The newest second stands at the right end.
fn throughput(buffer: &mut Buffer, target: &TargetView, place: Rect, style: Style) {
    if place.height < 2 {
        return;
    }
    let columns = usize::from(place.width - LABEL_COLUMNS);
    let top = chart::rounded_up(target.rates.iter().copied().fold(1.0, f64::max));
    let known = target.rates.len().min(columns);
    let mut values: Vec<Option<f64>> = vec![None; columns - known];
    values.extend(target.rates.iter().skip(target.rates.len() - known).copied().map(Some));
    let label = |buffer: &mut Buffer, y, text: &str| {
        right(buffer, LABEL_COLUMNS - 1, y, LABEL_COLUMNS - 1, text, Style::new().add_modifier(Modifier::DIM));
    };
    label(buffer, place.y, &format!("{}/s", figures::rate_tick(top)));
    label(buffer, place.bottom() - 1, "0");
    let area = Rect { x: LABEL_COLUMNS, width: place.width - LABEL_COLUMNS, ..place };
    chart::area(buffer, area, &values, top, style);
}

/// Cut with `…` where it is longer than `width`.
fn put(buffer: &mut Buffer, x: u16, y: u16, width: u16, text: &str, style: Style) {
    let text = one_line(text);
    let text = console::truncate_str(&text, width.into(), "…");
    buffer.set_stringn(x, y, text, width.into(), style);
}

/// Ends before `end`.
fn right(buffer: &mut Buffer, end: u16, y: u16, width: u16, text: &str, style: Style) {
    let text = console::truncate_str(text, width.into(), "…").into_owned();
    let columns = u16::try_from(console::measure_text_width(&text)).unwrap_or(width).min(end);
    put(buffer, end - columns, y, columns, &text, style);
}
