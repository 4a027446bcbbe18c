//! One field that differs: its value before and after, or what changed in a text.

use similar::{ChangeTag, TextDiff};

use super::View;
use crate::resource::change::FieldChange;

/// Unchanged lines around a change in a text diff.
const CONTEXT_LINES: usize = 2;
/// Longer text diffs are cut: the plan is to be read.
const DIFF_LINES_MAX: usize = 60;
/// Longer values are cut in the middle.
const VALUE_CHARS_MAX: usize = 72;
/// Shorter than this nothing is cut, however narrow the terminal.
const VALUE_CHARS_MIN: usize = 16;
const INDENT: &str = "           ";
const FORCED: &str = "  forces replacement";

/// Whether it only takes up what another resource has become.
pub fn follows(field: &FieldChange) -> bool {
    !field.forces_replacement && field.desired.as_deref().is_some_and(|desired| desired.ends_with(" (new)"))
}

/// The field in one line; of texts of several lines, what changed in them.
pub fn render(field: &FieldChange, view: View) -> String {
    let forced = if field.forces_replacement { view.paint.bad(FORCED) } else { String::new() };
    let path = &field.path;
    let taken = INDENT.len() + path.chars().count() + if field.forces_replacement { FORCED.len() } else { 0 };
    let room = usize::from(view.width).saturating_sub(taken + ": ".len());
    let cut = |text: &str, room: usize| short(text, room.clamp(VALUE_CHARS_MIN, VALUE_CHARS_MAX));
    let line = match (&field.observed, &field.desired) {
        (Some(observed), Some(desired)) if observed.contains('\n') || desired.contains('\n') => {
            return format!("{INDENT}{path}{forced}\n{}", text_diff(observed, desired, view));
        }
        (Some(observed), Some(desired)) => {
            let room = room.saturating_sub(" → ".chars().count());
            // What one does not need is the other's.
            let [observed_length, desired_length] = [observed, desired].map(|text| text.chars().count());
            let half = room / 2;
            let observed_room = if desired_length < half { room - desired_length } else { half };
            let desired_room = if observed_length < half { room - observed_length } else { half };
            format!(": {} → {}", cut(observed, observed_room), cut(desired, desired_room))
        }
        (Some(observed), None) => {
            format!(": {} → (none)", cut(observed, room.saturating_sub(" → (none)".chars().count())))
        }
        (None, Some(desired)) => format!(": {}", cut(desired, room)),
        (None, None) => String::new(),
    };
    format!("{INDENT}{path}{line}{forced}\n")
}

fn short(value: &str, chars_max: usize) -> String {
    let line = value.replace('\n', "⏎");
    let count = line.chars().count();
    if count <= chars_max {
        return line;
    }
    let half = chars_max / 2 - 1;
    let head: String = line.chars().take(half).collect();
    let tail: String = line.chars().skip(count - half).collect();
    format!("{head}…{tail}")
}

fn text_diff(observed: &str, desired: &str, view: View) -> String {
    let paint = view.paint;
    let diff = TextDiff::from_lines(observed, desired);
    let mut lines = Vec::new();
    for (index, hunk) in diff.grouped_ops(CONTEXT_LINES).iter().enumerate() {
        if index > 0 {
            lines.push(format!("{INDENT}  {}", paint.dim("⋯")));
        }
        for change in hunk.iter().flat_map(|op| diff.iter_changes(op)) {
            let text = change.value().trim_end_matches('\n');
            lines.push(match change.tag() {
                ChangeTag::Delete => format!("{INDENT}{}", paint.bad(&format!("- {text}"))),
                ChangeTag::Insert => format!("{INDENT}{}", paint.good(&format!("+ {text}"))),
                ChangeTag::Equal => format!("{INDENT}  {}", paint.dim(text)),
            });
        }
    }
    let more = lines.len().saturating_sub(DIFF_LINES_MAX);
    if more > 0 {
        lines.truncate(DIFF_LINES_MAX);
        lines.push(format!("{INDENT}  {}", paint.dim(&format!("({more} more lines)"))));
    }
    lines.join("\n") + "\n"
}
