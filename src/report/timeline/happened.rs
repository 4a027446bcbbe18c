//! What happened, on the axis of time: marks for what takes a moment, bars for alarms in ALARM and for instance refreshes.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{HEAD, Time, shortened};
use crate::chart::drawing::{LEFT, line, mark, px, text};
use crate::cloud::state::AlarmState;
use crate::report::events::{self, Happening};
use crate::result::record::{AlarmChange, Refresh, RunResult};

/// Marks closer than this would lie over each other.
const MARK_WIDTH: f64 = 15.0;
/// More marks than this have no lines through the bands above: they would be a fence.
const LINES_MAX: usize = 16;
const ROW: f64 = 18.0;
const ALARMS_MAX: usize = 6;

#[derive(Default)]
pub struct Happened<'a> {
    pub all: Vec<Happening>,
    alarms: BTreeMap<&'a str, Vec<&'a AlarmChange>>,
    refreshes: Vec<&'a Refresh>,
}

impl<'a> Happened<'a> {
    pub fn of(run: &'a RunResult, cluster: &str) -> Self {
        let Some(cloud) = &run.cloud else { return Self::default() };
        let all = events::of(cloud).into_iter().filter(|one| one.cluster == cluster).collect();
        let mut alarms: BTreeMap<&str, Vec<&AlarmChange>> = BTreeMap::new();
        for change in cloud.alarms.iter().filter(|change| change.cluster == cluster) {
            alarms.entry(&change.alarm).or_default().push(change);
        }
        let refreshes = cloud.refreshes.iter().filter(|refresh| refresh.cluster == cluster).collect();
        Self { all, alarms, refreshes }
    }

    /// The marks, the bars under them, and where these end.
    pub fn draw(&self, time: Time, y: f64) -> (Markup, Markup, f64) {
        if self.all.is_empty() {
            return (html! {}, html! {}, y);
        }
        // Alarms and refreshes have bars.
        let moments: Vec<&Happening> = self.all.iter().filter(|one| !"◆◇⚑".contains(one.mark)).collect();
        let groups = grouped(&moments, |at| time.x(at));
        let marks_y = y + 8.0;
        let marks = html! {
            @for group in &groups {
                @let x = time.x(group[0].at);
                @if groups.len() <= LINES_MAX { (line("moment", x, HEAD, x, marks_y - 8.0)) }
                @let symbol = mark_of(group);
                path class=(if symbol == '✕' { "event broken" } else { "event" }) d=(mark(symbol, x, marks_y)) {
                    title { (told(group)) }
                }
            }
        };
        let mut rows: Vec<Markup> = Vec::new();
        let mut y = if groups.is_empty() { y } else { y + ROW + 4.0 };
        let head = match (self.alarms.is_empty(), self.refreshes.is_empty()) {
            (true, true) => None,
            (false, true) => Some("alarms in ALARM"),
            (true, false) => Some("instance refreshes"),
            (false, false) => Some("alarms in ALARM, instance refreshes"),
        };
        if let Some(head) = head {
            rows.push(text("unit", LEFT, y + 12.0, head));
            y += HEAD - 3.0;
        }
        for changes in self.alarms.values().take(ALARMS_MAX) {
            rows.push(self.alarm(time, changes, y));
            y += ROW;
        }
        if !self.refreshes.is_empty() {
            rows.push(self.refresh(time, y));
            y += ROW;
        }
        let spans = html! {
            @if !groups.is_empty() { (text("y", LEFT - 7.0, marks_y + 4.0, "events")) }
            @for row in rows { (row) }
        };
        (marks, spans, y + 6.0)
    }

    /// When it was in ALARM.
    fn alarm(&self, time: Time, changes: &[&AlarmChange], y: f64) -> Markup {
        let alone = self.alarms.values().filter(|others| others[0].label == changes[0].label).count() == 1;
        let name = if alone { changes[0].label.clone() } else { events::name_of(changes[0]) };
        html! {
            (text("y", LEFT - 7.0, y + 10.0, &shortened(&name, 8)))
            (line("grid", LEFT, y + 6.0, time.canvas.end(), y + 6.0))
            @for (from, until) in in_alarm(changes, time.seconds) {
                rect class="alarm" x=(px(time.x(from))) y=(px(y)) width=(px((time.x(until) - time.x(from)).max(2.0))) height="12" rx="3" {}
            }
        }
    }

    fn refresh(&self, time: Time, y: f64) -> Markup {
        html! {
            (text("y", LEFT - 7.0, y + 10.0, "refresh"))
            @for refresh in &self.refreshes {
                @let (left, right) = (time.x(refresh.from), time.x(refresh.until.unwrap_or(time.seconds)));
                rect class="phase" x=(px(left)) y=(px(y)) width=(px((right - left).max(2.0))) height="12" rx="3" {}
            }
        }
    }
}

/// From when to when an alarm was in ALARM; it may have been before its first change.
fn in_alarm(changes: &[&AlarmChange], seconds: f64) -> Vec<(f64, f64)> {
    let mut since = changes.first().filter(|first| first.from == AlarmState::Alarm).map(|_| 0.0);
    let mut spans = Vec::new();
    for change in changes {
        if change.to == AlarmState::Alarm {
            since.get_or_insert(change.at);
        } else if let Some(from) = since.take() {
            spans.push((from, change.at));
        }
    }
    spans.extend(since.map(|from| (from, seconds)));
    spans
}

/// What shares a mark: each group begins where the one before leaves room.
fn grouped<'e>(all: &[&'e Happening], x: impl Fn(f64) -> f64) -> Vec<Vec<&'e Happening>> {
    let mut sorted = all.to_vec();
    sorted.sort_by(|one, other| one.at.total_cmp(&other.at));
    let mut groups: Vec<Vec<&Happening>> = Vec::new();
    for one in sorted {
        match groups.last_mut().filter(|group| x(one.at) - x(group[0].at) < MARK_WIDTH) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

/// Their own mark, what was broken on purpose before all others, or one for several that differ.
fn mark_of(group: &[&Happening]) -> char {
    let first = group[0].mark;
    match group {
        _ if group.iter().any(|one| one.mark == '✕') => '✕',
        _ if group.iter().all(|one| one.mark == first) => first,
        _ => '±',
    }
}

fn told(group: &[&Happening]) -> String {
    const TOLD_MAX: usize = 8;
    let lines = group.iter().take(TOLD_MAX).map(|one| match one.why.as_str() {
        "" => format!("{} {}", one.mark, one.what),
        why => format!("{} {}. {why}", one.mark, one.what),
    });
    let more = group.len().saturating_sub(TOLD_MAX);
    let more = (more > 0).then(|| format!("and {more} more"));
    lines.chain(more).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_that_would_lie_over_each_other_are_one() {
        let one =
            |at: f64, mark: char| Happening { at, cluster: "web".into(), mark, what: "w".into(), why: String::new() };
        let all = [one(30.0, '▲'), one(0.0, '▲'), one(5.0, '▼'), one(40.0, '▲'), one(80.0, '▲'), one(82.0, '✕')];
        let all: Vec<&Happening> = all.iter().collect();
        let groups = grouped(&all, |at| at);
        let seen: Vec<_> = groups.iter().map(|group| (group.len(), mark_of(group))).collect();
        assert_eq!(seen, [(2, '±'), (2, '▲'), (2, '✕')]);
        assert_eq!(told(&groups[0]), "▲ w\n▼ w");
    }

    #[test]
    fn an_alarm_is_shown_while_it_is_in_alarm_and_only_then() {
        let change = |at: f64, from: &str, to: &str| AlarmChange {
            at,
            cluster: "web".into(),
            policy: "cpu".into(),
            alarm: "a".into(),
            label: "high".into(),
            from: from.into(),
            to: to.into(),
            values: Vec::new(),
            comparison: None,
            threshold: None,
            reason: String::new(),
        };
        let changes =
            [change(5.0, "ALARM", "OK"), change(20.0, "OK", "ALARM"), change(30.0, "ALARM", "INSUFFICIENT_DATA")];
        let mut changes: Vec<&AlarmChange> = changes.iter().collect();
        assert_eq!(in_alarm(&changes, 100.0), [(0.0, 5.0), (20.0, 30.0)]);
        changes.pop();
        assert_eq!(in_alarm(&changes, 100.0), [(0.0, 5.0), (20.0, 100.0)]);
    }
}
