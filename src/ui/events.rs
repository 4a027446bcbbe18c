//! The time line as text: one line an event, wrapped below its own beginning where the terminal is narrow.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::printable::one_line;
use super::style::Paint;
use crate::observe::event::{Event, Kind};

/// Names that are longer are shortened, so that lines stay aligned.
const CLUSTER_COLUMNS_MAX: usize = 16;
/// A terminal narrower than this is not wrapped for.
const TEXT_COLUMNS_MIN: usize = 24;

/// How lines look.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    pub width: u16,
    pub paint: Paint,
    /// AWS's own words below each line.
    pub details: bool,
    /// Columns of the longest name.
    pub clusters: usize,
}

impl Lines {
    pub fn of<'a>(names: impl Iterator<Item = &'a str>, width: u16, paint: Paint, details: bool) -> Self {
        let clusters = names.map(|name| name.chars().count()).max().unwrap_or_default().min(CLUSTER_COLUMNS_MAX);
        Self { width, paint, details, clusters }
    }

    /// The lines of an event, without the end of the last; fit for a terminal.
    pub fn event(&self, event: &Event) -> String {
        let when = time(event.at);
        let cluster = column(&one_line(&event.cluster), self.clusters);
        let symbol = mark(self.paint, event.kind);
        // "27 Nov 20:49:04  web  ▲ "
        let indent = when.chars().count() + 2 + self.clusters + 2 + 2;
        let text = wrapped(&one_line(&event.text), self.width, indent);
        let mut lines = format!("{}  {cluster}  {symbol} {text}", self.paint.dim(&when));
        if self.details {
            for words in event.words() {
                let words = wrapped(&one_line(&words), self.width, indent);
                // Writing to a text does not fail.
                let _ = write!(lines, "\n{}{}", " ".repeat(indent), self.paint.dim(&words));
            }
        }
        lines
    }
}

/// In UTC, as AWS's own words about causes are.
pub fn time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%d %b %H:%M:%S").to_string()
}

/// The symbol in its colour.
fn mark(paint: Paint, kind: Kind) -> String {
    let symbol = kind.symbol().to_string();
    match kind {
        _ if kind.is_bad() => paint.bad(&symbol),
        Kind::Alarm => paint.warn(&symbol),
        Kind::Healthy | Kind::Recovered | Kind::Replaced => paint.good(&symbol),
        Kind::Settled => paint.dim(&symbol),
        _ => paint.bold(&symbol),
    }
}

fn column(text: &str, columns: usize) -> String {
    let length = text.chars().count();
    if length <= columns {
        return format!("{text}{}", " ".repeat(columns - length));
    }
    text.chars().take(columns.saturating_sub(1)).chain(['…']).collect()
}

/// Broken between words where the terminal ends, and continued below its beginning.
fn wrapped(text: &str, width: u16, indent: usize) -> String {
    let columns = usize::from(width).saturating_sub(indent);
    if columns < TEXT_COLUMNS_MIN || text.chars().count() <= columns {
        return text.to_owned();
    }
    textwrap::wrap(text, columns).join(&format!("\n{}", " ".repeat(indent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        let at = "2026-11-27T09:41:05Z".parse().unwrap();
        let text = "alarm high: 71, 76, 80 > 50 → 4 to 6; in service after 65 s";
        let event = Event::new("1", at, "web", Kind::ScaleOut, text);
        Event { prose: Some("At T a monitor\nalarm\u{1b}[2J".into()), ..event }
    }

    #[test]
    fn an_event_is_a_line_and_a_narrow_terminal_continues_it_below_its_text() {
        let lines =
            |width, details| Lines { width, paint: Paint { color: false }, details, clusters: 4 }.event(&event());
        let line = "27 Nov 09:41:05  web   ▲ alarm high: 71, 76, 80 > 50 → 4 to 6; in service after 65 s";
        assert_eq!(lines(200, false), line);
        assert_eq!(lines(u16::MAX, true), format!("{line}\n                         At T a monitor alarm?[2J"));
        let wrapped = lines(80, false);
        assert_eq!(
            wrapped,
            "27 Nov 09:41:05  web   ▲ alarm high: 71, 76, 80 > 50 → 4 to 6; in service after\n                         65 s"
        );
    }

    #[test]
    fn long_names_are_shortened() {
        assert_eq!(column("a-very-long-cluster-name", 8), "a-very-…");
        let lines = Lines::of(["web", "a-very-long-cluster-name"].into_iter(), 80, Paint { color: false }, false);
        assert_eq!(lines.clusters, CLUSTER_COLUMNS_MAX);
    }
}
