//! Two runs side by side, and what may be said about their difference.

use maud::html;
use serde::Serialize;

use super::page::document;
use crate::result::confidence::median;
use crate::result::figures;
use crate::result::record::{RunResult, TargetResult};

/// Two runs, target by target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    pub before: String,
    pub after: String,
    pub targets: Vec<TargetComparison>,
    /// Targets that only one of the runs has, and scenarios that differ.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetComparison {
    pub name: String,
    pub rows: Vec<Row>,
    /// What may be said.
    pub sentence: String,
}

/// One figure of both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub figure: &'static str,
    pub unit: &'static str,
    pub before: f64,
    pub after: f64,
    /// In percent of `before`; `None` where that is 0.
    pub change: Option<f64>,
}

impl Row {
    pub fn value(&self, value: f64) -> String {
        match self.unit {
            "ms" => figures::ms(value),
            "%" => figures::percent(value),
            "/s" => format!("{}/s", figures::rate(value)),
            _ => figures::count(value as u64),
        }
    }

    pub fn change(&self) -> String {
        self.change.map_or_else(|| "–".to_owned(), |change| format!("{change:+.1} %").replace('-', "−"))
    }
}

pub fn compare(before: &RunResult, after: &RunResult) -> Comparison {
    let mut notes = Vec::new();
    if before.scenario != after.scenario {
        notes.push(format!("The scenarios differ: {} and {}.", before.scenario, after.scenario));
    }
    if before.provider != after.provider {
        notes.push(format!("The providers differ: {} and {}.", before.provider, after.provider));
    }
    let mut targets = Vec::new();
    for old in &before.targets {
        match after.targets.iter().find(|new| new.name == old.name) {
            Some(new) => targets.push(compare_target(old, new)),
            None => notes.push(format!("Only {} loads {}.", before.run, old.name)),
        }
    }
    let added = after.targets.iter().filter(|new| !before.targets.iter().any(|old| old.name == new.name));
    notes.extend(added.map(|target| format!("Only {} loads {}.", after.run, target.name)));
    Comparison { before: before.run.clone(), after: after.run.clone(), targets, notes }
}

fn compare_target(before: &TargetResult, after: &TargetResult) -> TargetComparison {
    let row = |figure, unit, before: f64, after: f64| {
        let change = (before != 0.0).then(|| 100.0 * (after - before) / before);
        Row { figure, unit, before, after, change }
    };
    let (old, new) = (&before.latency_ms, &after.latency_ms);
    let mut rows = vec![
        row("requests", "", before.requests as f64, after.requests as f64),
        row("errors", "%", before.error_percent(), after.error_percent()),
        row("rate", "/s", before.rate, after.rate),
        row("mean", "ms", old.mean, new.mean),
        row("p50", "ms", old.p50, new.p50),
        row("p90", "ms", old.p90, new.p90),
        row("p99", "ms", old.p99, new.p99),
        row("max", "ms", old.max, new.max),
    ];
    if let (Some(old), Some(new)) = (before.evenness(), after.evenness()) {
        rows.push(row("evenness", "%", old, new));
    }
    TargetComparison { name: after.name.clone(), rows, sentence: sentence(before, after) }
}

fn sentence(before: &TargetResult, after: &TargetResult) -> String {
    let (Some(old), Some(new)) = (median(before), median(after)) else {
        return "Too few correct answers to compare.".to_owned();
    };
    let intervals = format!("{} before, {} after", figures::interval(old), figures::interval(new));
    if old.overlaps(new) {
        return format!("No difference can be named: the medians’ 95 % intervals overlap ({intervals}).");
    }
    let direction = if new.high < old.low { "faster" } else { "slower" };
    format!(
        "The median is {direction} beyond chance within these two runs ({intervals}). \
         Runs differ among themselves: repeat both before drawing a conclusion."
    )
}

/// The comparison as a page of its own.
pub fn page(comparison: &Comparison) -> String {
    let title = format!("{} against {}", comparison.after, comparison.before);
    document(&title, html! {
        header {
            p.kicker { "Two runs" }
            h1 { (comparison.before) " → " (comparison.after) }
            @for note in &comparison.notes { p.caveat { (note) } }
        }
        @for target in &comparison.targets {
            h2 { (target.name) }
            p { (target.sentence) }
            div.card { div.scroll { table {
                thead { tr { th { "" } th.n { (comparison.before) } th.n { (comparison.after) } th.n { "Change" } } }
                tbody { @for row in &target.rows {
                    tr {
                        td { (row.figure) } td.n { (row.value(row.before)) } td.n { (row.value(row.after)) } td.n { (row.change()) }
                    }
                } }
            } } }
        }
    })
    .into_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::record::Latency;

    /// Latencies spread evenly from `from` to `from` + 10 ms.
    fn target(from: f64, requests: u64) -> TargetResult {
        TargetResult {
            name: "light".into(),
            requests,
            latency_ms: Latency { p50: from + 5.0, ..Latency::default() },
            distribution: vec![(0.0, from), (0.5, from + 5.0), (1.0, from + 10.0)],
            ..TargetResult::default()
        }
    }

    #[test]
    fn a_difference_is_named_only_where_intervals_do_not_overlap() {
        let near = sentence(&target(0.0, 100), &target(1.0, 100));
        assert!(near.starts_with("No difference can be named"), "{near}");
        assert!(sentence(&target(0.0, 100), &target(3.0, 100)).starts_with("The median is slower beyond chance"));
        assert!(sentence(&target(3.0, 100), &target(0.0, 100)).starts_with("The median is faster beyond chance"));
        assert!(sentence(&target(0.0, 10), &target(9.0, 10)).starts_with("Too few"));
    }

    #[test]
    fn changes_are_in_percent_of_the_run_before() {
        let comparison = compare_target(&target(0.0, 200), &target(5.0, 300));
        let requests = &comparison.rows[0];
        assert_eq!((requests.change, requests.change().as_str()), (Some(50.0), "+50.0 %"));
        let errors = &comparison.rows[1];
        assert_eq!((errors.change, errors.change().as_str()), (None, "–"));
    }
}
