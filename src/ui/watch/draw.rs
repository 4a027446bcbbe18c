//! A view → cells. Columns are fixed, so that numbers stand still; only the events scroll.

use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier, Style};

use super::chart::{self, Axis};
use super::figures::cells;
use super::state::{Page, State};
use crate::cloud::state::AlarmState;
use crate::observe::alarm::AlarmView;
use crate::observe::event::{Event, Kind};
use crate::observe::metrics::PERIOD;
use crate::observe::model::{ClusterView, View};
use crate::result::figures::short;
use crate::ui::printable::one_line;

/// Heading and width of each column behind the name.
const COLUMNS: [(&str, u16); 8] = [
    ("DESIRED", 8),
    ("IN SERVICE", 11),
    ("HEALTHY", 8),
    ("RATE", 9),
    ("P50", 9),
    ("P99", 9),
    ("ERRORS", 7),
    ("CPU", 6),
];
const NAME_COLUMNS: u16 = 11;
/// Of a phase's name.
const PHASE_COLUMNS: usize = 10;
/// The number of a cluster's key, and a space.
const KEY_COLUMNS: u16 = 2;
const CLUSTERS_MAX: u16 = 9;
const ALARMS_MAX: u16 = 4;
/// Values left of a chart.
const LABEL_COLUMNS: u16 = 10;
pub const WIDTH_MIN: u16 = 80;
pub const HEIGHT_MIN: u16 = 24;
/// A hue for each cluster; red is for errors and breaches.
const HUES: [Color; 5] = [Color::Cyan, Color::Magenta, Color::Blue, Color::Green, Color::Yellow];
const KEYS: &str = "[1-9] cluster  [+/-] scale  [k] kill one  [e] events  [a] alarms  [space] pause  [q] quit";

/// Draws everything.
pub fn draw(buffer: &mut Buffer, state: &State, now: Instant) {
    let place = buffer.area;
    let canvas = &mut Canvas { buffer, color: state.color };
    if place.width < WIDTH_MIN || place.height < HEIGHT_MIN {
        let text = format!(
            "watch needs {WIDTH_MIN} columns and {HEIGHT_MIN} lines; here are {} and {}",
            place.width, place.height
        );
        canvas.text(0, 0, place.width, &text, Style::new());
        return;
    }
    let Some(view) = &state.view else {
        let waits = state.notice(now).unwrap_or("loading …");
        canvas.text(0, 0, place.width, waits, Style::new());
        return;
    };
    header(canvas, place, view, state);
    let last = place.bottom() - 1;
    match state.page {
        Page::Overview => overview(canvas, Rect { y: 1, height: place.height - 2, ..place }, view, state, now),
        Page::Events => events(canvas, Rect { y: 2, height: place.height - 3, ..place }, view, state),
        Page::Alarms => {
            for (y, alarm) in (2..last).zip(&view.alarms) {
                self::alarm(canvas, (0, y), place.width, alarm, true);
            }
            if view.alarms.is_empty() {
                canvas.text(0, 2, place.width, "no policy has an alarm", Style::new());
            }
        }
    }
    footer(canvas, place, state, now);
}

fn header(canvas: &mut Canvas<'_>, place: Rect, view: &View, state: &State) {
    let at = view.at.to_zoned(TimeZone::UTC).strftime("%d %b %H:%M:%S UTC");
    let speed = if view.speed > 1 { format!(" ×{}", view.speed) } else { String::new() };
    let mut left = format!("{} · {}{speed} · {at}", view.stack, view.provider);
    if view.stopped {
        left += " · stopped";
    }
    if state.paused {
        left += " · paused";
    }
    if let Some(load) = &view.load
        && let Some(phase) = &load.phase
    {
        let phase: String = one_line(phase).chars().take(PHASE_COLUMNS).collect();
        let demand = load.demand.last().map(|point| format!(" {}/s", short(point.1)));
        left += &format!(" · {phase}{}", demand.unwrap_or_default());
    }
    let breaching = view.alarms.iter().filter(|alarm| alarm.state == AlarmState::Alarm).count();
    let errors = view.load_balancer_errors.last().filter(|point| view.at.as_second() - point.0 <= 2 * PERIOD);
    let errors =
        errors.filter(|point| point.1 > 0.0).map(|point| format!("{} 5xx by the load balancer · ", short(point.1)));
    let noun = if view.alarms.len() == 1 { "alarm" } else { "alarms" };
    let right = format!("{}{} {noun}, {breaching} in ALARM", errors.unwrap_or_default(), view.alarms.len());
    canvas.text(0, 0, place.width, &left, Style::new().add_modifier(Modifier::BOLD));
    let style = if breaching > 0 { Style::new().fg(Color::Red) } else { Style::new() };
    canvas.right(place.width, 0, place.width, &right, style);
}

fn footer(canvas: &mut Canvas<'_>, place: Rect, state: &State, now: Instant) {
    let y = place.bottom() - 1;
    let strong = Style::new().add_modifier(Modifier::BOLD);
    if let Some(action) = &state.asked {
        let cost = if state.is_aws { " On AWS." } else { "" };
        canvas.text(0, y, place.width, &format!("{}{cost} [y/n]", action.question()), strong);
    } else if let Some(notice) = state.notice(now) {
        canvas.text(0, y, place.width, notice, strong);
    } else {
        canvas.text(0, y, place.width, keys(place.width), Style::new().add_modifier(Modifier::DIM));
    }
}

/// What fits.
fn keys(width: u16) -> &'static str {
    if usize::from(width) >= KEYS.len() {
        return KEYS;
    }
    "[1-9] cluster [+/-] scale [k]ill one [e]vents [a]larms [space] pause [q]uit"
}

fn overview(canvas: &mut Canvas<'_>, place: Rect, view: &View, state: &State, now: Instant) {
    let mut y = table(canvas, place, view, state, now) + 1;
    let Some(cluster) = state.cluster() else { return };
    for alarm in view.alarms.iter().filter(|alarm| alarm.cluster == cluster.name).take(ALARMS_MAX.into()) {
        self::alarm(canvas, (0, y), place.width, alarm, false);
        y += 1;
    }
    if let Some(why) = view.missing.first() {
        let dim = Style::new().add_modifier(Modifier::DIM);
        canvas.text(0, y, place.width, &format!("not all can be read: {why}"), dim);
        y += 1;
    }
    // What is left is for the charts, their axis and the events; the charts of a tall terminal are tall.
    let left = place.bottom().saturating_sub(y + 1);
    let rates = (left * 2 / 7).clamp(2, 14);
    let capacities = (left / 5).clamp(2, 8);
    y = charts(canvas, Rect { y, ..place }, (rates, capacities), view, state) + 1;
    events(canvas, Rect { y, height: place.bottom().saturating_sub(y), ..place }, view, state);
}

/// Returns the line below.
fn table(canvas: &mut Canvas<'_>, place: Rect, view: &View, state: &State, now: Instant) -> u16 {
    let dim = Style::new().add_modifier(Modifier::DIM);
    canvas.text(KEY_COLUMNS, place.y, NAME_COLUMNS, "CLUSTER", dim);
    let mut x = KEY_COLUMNS + NAME_COLUMNS;
    for (heading, width) in COLUMNS {
        x += width;
        canvas.right(x, place.y, width, heading, dim);
    }
    let mut y = place.y + 1;
    for (index, cluster) in (0..CLUSTERS_MAX).zip(&view.clusters) {
        let is_selected = usize::from(index) == state.selected;
        let hue = Style::new().fg(hue(index.into()));
        let marked = if is_selected { hue.add_modifier(Modifier::REVERSED) } else { hue };
        canvas.text(0, y, 1, &(index + 1).to_string(), marked);
        canvas.text(KEY_COLUMNS, y, NAME_COLUMNS - 1, &cluster.name, hue.add_modifier(Modifier::BOLD));
        let mut x = KEY_COLUMNS + NAME_COLUMNS;
        for (column, (text, (_, width))) in cells(cluster).iter().zip(COLUMNS).enumerate() {
            x += width;
            let style = cell_style(cluster, column, state.is_fresh(&cluster.name, column, now));
            canvas.right(x, y, width, text, style);
        }
        if place.width > x + 8 {
            let columns = (place.width - x - 2).min(30);
            let axis = axis(view, columns);
            let line = chart::sparkline(&chart::sampled(&cluster.series.rate, PERIOD, axis));
            canvas.text(x + 2, y, columns, &line, hue);
        }
        y += 1;
    }
    y
}

fn cell_style(cluster: &ClusterView, column: usize, is_fresh: bool) -> Style {
    let is_bad = match column {
        2 => cluster.capacity.unhealthy.is_some_and(|unhealthy| unhealthy > 0),
        6 => cluster.now.errors.is_some_and(|errors| errors > 0.0),
        _ => false,
    };
    let style = if is_bad { Style::new().fg(Color::Red) } else { Style::new() };
    if is_fresh { style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED) } else { style }
}

/// `high · cpu  71 > 50   42 % beyond   ███ 3 of 3 ALARM`
fn alarm(canvas: &mut Canvas<'_>, (x, y): (u16, u16), width: u16, alarm: &AlarmView, with_cluster: bool) {
    let is_in_alarm = alarm.state == AlarmState::Alarm;
    let red = Style::new().fg(Color::Red);
    let style = if is_in_alarm { red.add_modifier(Modifier::BOLD) } else { Style::new() };
    // An alarm of our own is called as its policy.
    let mut name = if alarm.label == alarm.policy { String::new() } else { format!("{:<4} · ", alarm.label) };
    if with_cluster {
        name = format!("{} · {name}", alarm.cluster);
    }
    name += &alarm.policy;
    canvas.text(x, y, 26, &name, style);
    let value = alarm.value.map_or_else(|| "–".to_owned(), short);
    canvas.right(x + 34, y, 8, &value, style);
    canvas.text(x + 35, y, 9, &format!("{} {}", alarm.sign, short(alarm.threshold)), Style::new());
    let distance = alarm.distance.map(|percent| match percent {
        percent if percent > 0.0 => format!("{} % beyond", short(percent.round())),
        percent => format!("{} % to go", short(-percent.round())),
    });
    canvas.text(x + 45, y, 13, &distance.unwrap_or_default(), Style::new());
    let shown = alarm.points.len().min(6);
    for (column, value) in (x + 59..).zip(&alarm.points[alarm.points.len() - shown..]) {
        let breaches = value.is_some_and(|value| is_beyond(alarm, value));
        let symbol = if value.is_none() {
            "·"
        } else if breaches {
            "█"
        } else {
            "░"
        };
        canvas.text(column, y, 1, symbol, if breaches { red } else { Style::new().add_modifier(Modifier::DIM) });
    }
    let count = format!("{} of {}", alarm.breaching, alarm.periods);
    let state = match alarm.state {
        AlarmState::Alarm => " ALARM",
        AlarmState::InsufficientData => " no data",
        _ => "",
    };
    canvas.text(x + 66, y, width.saturating_sub(x + 66), &format!("{count}{state}"), style);
}

fn is_beyond(alarm: &AlarmView, value: f64) -> bool {
    match alarm.sign {
        ">" => value > alarm.threshold,
        "≥" => value >= alarm.threshold,
        "<" => value < alarm.threshold,
        _ => value <= alarm.threshold,
    }
}

fn axis(view: &View, columns: u16) -> Axis {
    let (from, to) = view.window();
    Axis { from, to, columns }
}

/// Rate above capacity on one axis of time. Returns the line of the axis.
fn charts(canvas: &mut Canvas<'_>, place: Rect, (rates, capacities): (u16, u16), view: &View, state: &State) -> u16 {
    let Some(cluster) = state.cluster() else { return place.y };
    let dim = Style::new().add_modifier(Modifier::DIM);
    let hue = Style::new().fg(hue(state.selected));
    let axis = axis(view, place.width - LABEL_COLUMNS);
    let plot = |y: u16, height: u16| Rect { x: LABEL_COLUMNS, y, width: place.width - LABEL_COLUMNS, height };

    let values = chart::sampled(&cluster.series.rate, PERIOD, axis);
    let top = chart::rounded_up(values.iter().flatten().copied().fold(0.0, f64::max));
    canvas.right(LABEL_COLUMNS - 2, place.y, LABEL_COLUMNS - 2, &short(top), dim);
    if rates > 2 {
        canvas.right(LABEL_COLUMNS - 2, place.y + 1, LABEL_COLUMNS - 2, "req/s", dim);
    }
    canvas.right(LABEL_COLUMNS - 2, place.y + rates - 1, LABEL_COLUMNS - 2, "0", dim);
    chart::area(canvas.buffer, plot(place.y, rates), &values, top, canvas.style(hue));

    let below = place.y + rates;
    let history = chart::capacities(&cluster.history, view.at, axis);
    let highest = history.iter().flatten().map(|one| one.desired.max(one.in_service)).max().unwrap_or_default().max(1);
    canvas.right(LABEL_COLUMNS - 2, below, LABEL_COLUMNS - 2, &highest.to_string(), dim);
    if capacities > 1 {
        canvas.text(0, below + 1, LABEL_COLUMNS - 1, "capacity", dim);
    }
    let styles = (canvas.style(hue.add_modifier(Modifier::DIM)), canvas.style(hue));
    chart::capacity(canvas.buffer, plot(below, capacities), &history, highest, styles);
    let y = below + capacities;
    axis.draw(canvas.buffer, LABEL_COLUMNS, y, canvas.style(dim));
    y
}

/// The newest events that fit, the newest last.
fn events(canvas: &mut Canvas<'_>, place: Rect, view: &View, state: &State) {
    let told: Vec<&Event> = view.events.iter().filter(|event| !event.kind.is_minor()).collect();
    let scrolled = state.scrolled.min(told.len().saturating_sub(place.height.into()));
    let end = told.len() - scrolled;
    let shown = &told[end.saturating_sub(place.height.into())..end];
    for (y, event) in (place.y..place.bottom()).zip(shown) {
        self::event(canvas, y, place.width, event, view);
    }
    if told.is_empty() && place.height > 0 {
        let text = "nothing has happened yet";
        canvas.text(0, place.y, place.width, text, Style::new().add_modifier(Modifier::DIM));
    }
}

fn event(canvas: &mut Canvas<'_>, y: u16, width: u16, event: &Event, view: &View) {
    let dim = Style::new().add_modifier(Modifier::DIM);
    canvas.text(0, y, 8, &time(event.at), dim);
    let index = view.clusters.iter().position(|cluster| cluster.name == event.cluster);
    let hue = index.map_or(Style::new(), |index| Style::new().fg(hue(index)));
    canvas.text(10, y, 8, &event.cluster, hue);
    let style = match event.kind {
        kind if kind.is_bad() => Style::new().fg(Color::Red),
        Kind::Alarm => Style::new().fg(Color::Red),
        _ => hue.add_modifier(Modifier::BOLD),
    };
    canvas.text(19, y, 1, &event.kind.symbol().to_string(), style);
    canvas.text(21, y, width.saturating_sub(21), &event.text, Style::new());
}

fn time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%H:%M:%S").to_string()
}

fn hue(index: usize) -> Color {
    HUES[index % HUES.len()]
}

/// A buffer that takes others' words without their controls, and colours only where they are wanted.
struct Canvas<'a> {
    buffer: &'a mut Buffer,
    color: bool,
}

impl Canvas<'_> {
    fn style(&self, style: Style) -> Style {
        if self.color { style } else { Style { fg: None, bg: None, ..style } }
    }

    /// Cut with `…` where it is longer than `width`.
    fn text(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) {
        let text = cut(&one_line(text), width);
        let style = self.style(style);
        self.buffer.set_stringn(x, y, text, width.into(), style);
    }

    /// Ends before `end`.
    fn right(&mut self, end: u16, y: u16, width: u16, text: &str, style: Style) {
        let text = cut(text, width);
        let columns = u16::try_from(console::measure_text_width(&text)).unwrap_or(width).min(end);
        self.text(end - columns, y, columns, &text, style);
    }
}

fn cut(text: &str, width: u16) -> String {
    console::truncate_str(text, width.into(), "…").into_owned()
}
