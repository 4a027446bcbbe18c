//! What `diff` and `up` show: a line per change with its symbol and reason, the fields below, then summary and cost.

use similar::{ChangeTag, TextDiff};

use super::printable::{one_line, printable};
use super::style::Paint;
use crate::engine::plan::{HourlyCost, Report, Summary};
use crate::resource::change::{Action, Change, FieldChange};

/// Unchanged lines around a change in a text diff.
const CONTEXT_LINES: usize = 2;
/// Longer text diffs are cut: the plan is to be read.
const DIFF_LINES_MAX: usize = 60;
/// Longer values are cut in the middle.
const VALUE_CHARS_MAX: usize = 72;

/// Hours in an average month, as AWS's own calculator counts them.
const HOURS_PER_MONTH: f64 = 730.0;

/// The plan as text; every line ends in a newline. `details` lists the fields of what is to be created, too.
pub fn render(report: &Report, details: bool, paint: Paint) -> String {
    let report = &cleaned(report);
    let mut out = format!("{} on {}\n", paint.bold(&report.stack), report.provider);
    let changes: Vec<&Change> = report.changes.iter().filter(|change| is_shown(change)).collect();
    if !changes.is_empty() {
        out.push('\n');
    }
    let width = changes.iter().map(|change| change.address.chars().count()).max().unwrap_or(0);
    for change in &changes {
        let fields = if change.action == Action::Create && !details { &[][..] } else { &change.fields };
        out.push_str(&render_change(change, fields, width, paint));
    }
    out.push('\n');
    out.push_str(&summary(report.summary, paint));
    if let Some(cost) = &report.hourly_cost {
        out.push_str(&format!("{}\n{}\n", cost_line(cost), paint.dim(cost.source)));
    }
    out
}

/// The report without what could play with a terminal: names, tags and user data are others' words.
fn cleaned(report: &Report) -> Report {
    let mut report = report.clone();
    report.stack = one_line(&report.stack);
    for change in &mut report.changes {
        change.address = one_line(&change.address);
        change.reason = one_line(&change.reason);
        for field in &mut change.fields {
            field.path = one_line(&field.path);
            for value in [&mut field.live, &mut field.wanted].into_iter().flatten() {
                *value = printable(value).into_owned();
            }
        }
    }
    report
}

/// Unchanged resources are shown only where there is something to say about them, such as a live capacity.
fn is_shown(change: &Change) -> bool {
    change.action != Action::Unchanged || !change.reason.is_empty()
}

fn render_change(change: &Change, fields: &[FieldChange], width: usize, paint: Paint) -> String {
    let symbol = paint_action(change.action, &change.action.symbol().to_string(), paint);
    let reason = if change.action == Action::Unchanged { paint.dim(&change.reason) } else { change.reason.clone() };
    let mut out = format!("  {symbol} {:width$}  {reason}\n", change.address);
    for field in fields {
        out.push_str(&render_field(field, paint));
    }
    out
}

fn paint_action(action: Action, text: &str, paint: Paint) -> String {
    match action {
        Action::Create => paint.good(text),
        Action::Update => paint.warn(text),
        Action::Replace | Action::Delete => paint.bad(text),
        Action::Unchanged => text.to_owned(),
    }
}

fn render_field(field: &FieldChange, paint: Paint) -> String {
    let forced = if field.forces_replacement { paint.bad("  must be replaced for this") } else { String::new() };
    match (&field.live, &field.wanted) {
        (Some(live), Some(wanted)) if live.contains('\n') || wanted.contains('\n') => {
            format!("      {}{forced}\n{}", field.path, text_diff(live, wanted, paint))
        }
        (Some(live), Some(wanted)) => format!("      {}: {} → {}{forced}\n", field.path, short(live), short(wanted)),
        (Some(live), None) => format!("      {}: {} → (none){forced}\n", field.path, short(live)),
        (None, Some(wanted)) => format!("      {}: {}{forced}\n", field.path, short(wanted)),
        (None, None) => format!("      {}{forced}\n", field.path),
    }
}

fn short(value: &str) -> String {
    let line = value.replace('\n', "⏎");
    let count = line.chars().count();
    if count <= VALUE_CHARS_MAX {
        return line;
    }
    let half = VALUE_CHARS_MAX / 2 - 1;
    let head: String = line.chars().take(half).collect();
    let tail: String = line.chars().skip(count - half).collect();
    format!("{head}…{tail}")
}

fn text_diff(live: &str, wanted: &str, paint: Paint) -> String {
    let diff = TextDiff::from_lines(live, wanted);
    let mut lines = Vec::new();
    for (index, hunk) in diff.grouped_ops(CONTEXT_LINES).iter().enumerate() {
        if index > 0 {
            lines.push(format!("        {}", paint.dim("⋯")));
        }
        for change in hunk.iter().flat_map(|op| diff.iter_changes(op)) {
            let text = change.value().trim_end_matches('\n');
            lines.push(match change.tag() {
                ChangeTag::Delete => format!("      {}", paint.bad(&format!("- {text}"))),
                ChangeTag::Insert => format!("      {}", paint.good(&format!("+ {text}"))),
                ChangeTag::Equal => format!("        {}", paint.dim(text)),
            });
        }
    }
    let more = lines.len().saturating_sub(DIFF_LINES_MAX);
    if more > 0 {
        lines.truncate(DIFF_LINES_MAX);
        lines.push(format!("        {}", paint.dim(&format!("({more} more lines)"))));
    }
    lines.join("\n") + "\n"
}

fn summary(summary: Summary, paint: Paint) -> String {
    if summary.is_empty() {
        return paint.good("Nothing to do: the cloud is as the stack says.") + "\n";
    }
    let parts: Vec<String> = [
        (summary.create, Action::Create, "to create"),
        (summary.update, Action::Update, "to update"),
        (summary.replace, Action::Replace, "to replace"),
        (summary.delete, Action::Delete, "to delete"),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, action, words)| paint_action(action, &format!("{count} {words}"), paint))
    .chain((summary.unchanged > 0).then(|| format!("{} unchanged", summary.unchanged)))
    .collect();
    parts.join(", ") + "\n"
}

/// `about $0.62–$1.10 an hour …`: what the stack costs while it is up.
pub fn cost_line(cost: &HourlyCost) -> String {
    if (cost.max - cost.min).abs() < 0.000_05 {
        format!("${:.4} an hour on AWS, ${:.0} a month", cost.min, cost.min * HOURS_PER_MONTH)
    } else {
        format!(
            "${:.4} to ${:.4} an hour on AWS, ${:.0} to ${:.0} a month",
            cost.min,
            cost.max,
            cost.min * HOURS_PER_MONTH,
            cost.max * HOURS_PER_MONTH
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(address: &str, action: Action, reason: &str, fields: Vec<FieldChange>) -> Change {
        Change { address: address.into(), kind: "target_group".into(), action, reason: reason.into(), fields }
    }

    fn field(path: &str, live: Option<&str>, wanted: Option<&str>, forces_replacement: bool) -> FieldChange {
        FieldChange {
            path: path.into(),
            live: live.map(Into::into),
            wanted: wanted.map(Into::into),
            forces_replacement,
        }
    }

    fn plain(changes: Vec<Change>) -> String {
        let summary = Summary::of(&changes);
        let report = Report { stack: "lab".into(), provider: "local".into(), summary, changes, hourly_cost: None };
        render(&report, false, Paint { color: false })
    }

    #[test]
    fn a_plan_shows_symbol_reason_and_fields() {
        let text = plain(vec![
            change("cluster.light.rule.0", Action::Create, "not there yet", vec![]),
            change(
                "cluster.light.target_group",
                Action::Replace,
                "changed in the stack",
                vec![field("port", Some("8080"), Some("9090"), true)],
            ),
            change(
                "cluster.light.launch_template",
                Action::Update,
                "changed in the stack",
                vec![field("user_data", Some("#!/bin/sh\na\nb\n"), Some("#!/bin/sh\na\nc\n"), false)],
            ),
            change("load_balancer", Action::Unchanged, "", vec![]),
        ]);
        insta::assert_snapshot!(text, @r"
        lab on local

          + cluster.light.rule.0           not there yet
          ± cluster.light.target_group     changed in the stack
              port: 8080 → 9090  must be replaced for this
          ~ cluster.light.launch_template  changed in the stack
              user_data
                #!/bin/sh
                a
              - b
              + c

        1 to create, 1 to update, 1 to replace, 1 unchanged
        ");
    }

    #[test]
    fn an_empty_plan_says_so_and_still_shows_what_the_scaler_did() {
        let live = field("desired", Some("6"), None, false);
        let text = plain(vec![change(
            "cluster.heavy.group",
            Action::Unchanged,
            "live 6, range 2–8, not touched",
            vec![FieldChange { wanted: Some("2".into()), ..live }],
        )]);
        insta::assert_snapshot!(text, @r"
        lab on local

            cluster.heavy.group  live 6, range 2–8, not touched
              desired: 6 → 2

        Nothing to do: the cloud is as the stack says.
        ");
    }

    #[test]
    fn colour_adds_no_words() {
        let changes = vec![change("a", Action::Create, "not there yet", vec![])];
        let report = Report {
            stack: "lab".into(),
            provider: "local".into(),
            summary: Summary::of(&changes),
            changes,
            hourly_cost: Some(HourlyCost { min: 0.5, max: 1.0, source: "prices of a day" }),
        };
        let colored = render(&report, false, Paint { color: true });
        assert_ne!(colored, render(&report, false, Paint { color: false }));
        assert_eq!(console::strip_ansi_codes(&colored), render(&report, false, Paint { color: false }));
    }

    #[test]
    fn nothing_of_a_plan_plays_with_the_terminal() {
        let text = plain(vec![change(
            "cluster.a\u{1b}[2K.target_group",
            Action::Update,
            "changed\u{9b}",
            vec![
                field("tags.owner", Some("x\u{202e}y"), Some("\u{1b}]0;title\u{7}"), false),
                field("user_data", Some("#!/bin/sh\n\u{1b}[31m\n"), Some("#!/bin/sh\r\n"), false),
            ],
        )]);
        let plays = |character: &char| character.is_control() && *character != '\n' || *character == '\u{202e}';
        assert_eq!(text.chars().find(plays), None, "{text:?}");
    }
}
