//! Finds room: title on top, legend below or at the right, axes' labels around the plot, annotations' labels above it.

use super::canvas::{Area, Canvas};
use super::{Chart, Kind, Legend};

pub(super) const TITLE_SIZE: f64 = 15.0;
pub(super) const TEXT_SIZE: f64 = 12.0;
pub(super) const LEGEND_ROW: f64 = 18.0;
/// From the swatch's left edge to the text.
pub(super) const SWATCH: f64 = 16.0;
const PADDING: f64 = 12.0;
/// Between two entries of a row.
const LEGEND_GAP: f64 = 18.0;

/// Where everything goes, in pixels.
#[derive(Debug)]
pub(super) struct Layout {
    pub title: Area,
    pub plot: Area,
    /// The strip above the plot for the labels of vertical annotations; its height is 0 where there are none.
    pub notes: Area,
    /// The middle of the axes' names.
    pub names: f64,
    pub legend: Vec<Entry>,
}

/// One line of the legend.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    /// The series, or `None` for "+3 more".
    pub series: Option<usize>,
    pub text: String,
    /// Left edge and middle.
    pub at: (f64, f64),
}

/// The layout of a picture, except for the plot's left and right edges, which need the axes' labels: see `narrow`.
pub(super) fn layout(canvas: &Canvas, chart: &Chart, labels: &[String], width: f64, height: f64) -> Layout {
    let mut rest = Area { left: PADDING, top: PADDING * 0.75, right: width - PADDING, bottom: height - PADDING * 0.75 };
    let title = Area { bottom: rest.top + if chart.title.is_empty() { 0.0 } else { 22.0 }, ..rest };
    rest.top = title.bottom;
    let legend = match chart.legend {
        Legend::Bottom => bottom_legend(canvas, labels, &mut rest),
        Legend::Right => right_legend(canvas, labels, &mut rest),
        Legend::Hidden => Vec::new(),
    };
    let mut names = rest.top;
    let mut notes = Area { bottom: rest.top, ..rest };
    if chart.kind != Kind::Pie {
        let named = !chart.left.label.is_empty() || !chart.right.label.is_empty();
        names = rest.top + 7.0;
        rest.top += if named { 22.0 } else { 6.0 };
        if chart.vertical.iter().any(|note| !note.label.is_empty()) {
            notes = Area { top: rest.top, bottom: rest.top + 16.0, ..rest };
            rest.top = notes.bottom;
        }
        rest.bottom -= 20.0;
    }
    Layout { title, plot: rest, notes, names, legend }
}

impl Layout {
    /// Gives the vertical axes their room; what stands above the plot follows.
    pub fn narrow(&mut self, left: f64, right: f64) {
        self.plot.left += left;
        self.plot.right -= right;
        (self.notes.left, self.notes.right) = (self.plot.left, self.plot.right);
    }
}

/// Rows below the plot, in at most a third of the height.
fn bottom_legend(canvas: &Canvas, labels: &[String], rest: &mut Area) -> Vec<Entry> {
    if labels.is_empty() {
        return Vec::new();
    }
    let rows_max = ((rest.height() / 3.0 / LEGEND_ROW).floor()).max(1.0);
    let more = |hidden: usize| format!("+{hidden} more");
    let room_for_more = LEGEND_GAP + canvas.text_width(&more(labels.len()), TEXT_SIZE);
    let mut entries: Vec<Entry> = Vec::new();
    let (mut row, mut x) = (0.0, rest.left);
    for (index, label) in labels.iter().enumerate() {
        // The last row keeps room for "+n more", unless this is the last label.
        let right = |row: f64| {
            if row + 1.0 >= rows_max && index + 1 < labels.len() { rest.right - room_for_more } else { rest.right }
        };
        let width = SWATCH + canvas.text_width(label, TEXT_SIZE);
        if x > rest.left && x + width > right(row) {
            if row + 1.0 >= rows_max {
                entries.push(Entry { series: None, text: more(labels.len() - index), at: (x, row) });
                break;
            }
            row += 1.0;
            x = rest.left;
        }
        let text = canvas.fitted(label, TEXT_SIZE, right(row) - x - SWATCH);
        entries.push(Entry { series: Some(index), text, at: (x, row) });
        x += width.min(right(row) - x) + LEGEND_GAP;
    }
    rest.bottom -= (row + 1.0) * LEGEND_ROW + 4.0;
    for entry in &mut entries {
        entry.at.1 = rest.bottom + 4.0 + (entry.at.1 + 0.5) * LEGEND_ROW;
    }
    entries
}

/// A column at the right, at most 40 % of the width.
fn right_legend(canvas: &Canvas, labels: &[String], rest: &mut Area) -> Vec<Entry> {
    if labels.is_empty() {
        return Vec::new();
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a picture has at most 2000 pixels")]
    let rows = (rest.height() / LEGEND_ROW).floor().max(1.0) as usize;
    let shown = if labels.len() > rows { rows - 1 } else { labels.len() };
    let widest = labels.iter().take(shown).map(|label| canvas.text_width(label, TEXT_SIZE)).fold(40.0, f64::max);
    let room = widest.min(rest.width() * 0.4 - SWATCH);
    let left = rest.right - room - SWATCH;
    let mut middle = rest.top + LEGEND_ROW / 2.0;
    let mut entries = Vec::new();
    for (index, label) in labels.iter().take(shown).enumerate() {
        let text = canvas.fitted(label, TEXT_SIZE, room);
        entries.push(Entry { series: Some(index), text, at: (left, middle) });
        middle += LEGEND_ROW;
    }
    if shown < labels.len() {
        let text = format!("+{} more", labels.len() - shown);
        entries.push(Entry { series: None, text, at: (left, middle) });
    }
    rest.right = left - PADDING;
    entries
}
