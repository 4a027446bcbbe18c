//! Two runs side by side, and what may be said about their difference.

use maud::html;
use serde::Serialize;

use super::conclusion::{Side, conclude};
use super::page::document;
use crate::result::confidence::is_repeated;
use crate::result::figures;
use crate::result::record::{Latency, RunResult, TargetResult};

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
    /// `None` where nothing was measured.
    pub before: Option<f64>,
    pub after: Option<f64>,
    /// In percent of `before`; `None` where that is 0 or one of them is missing.
    pub change: Option<f64>,
}

impl Row {
    pub fn value(&self, value: Option<f64>) -> String {
        let Some(value) = value else { return "–".to_owned() };
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
            Some(new) => targets.push(compare_target((before, old), (after, new))),
            None => notes.push(format!("Only {} loads {}.", before.run, old.name)),
        }
    }
    let added = after.targets.iter().filter(|new| !before.targets.iter().any(|old| old.name == new.name));
    notes.extend(added.map(|target| format!("Only {} loads {}.", after.run, target.name)));
    Comparison { before: before.run.clone(), after: after.run.clone(), targets, notes }
}

fn compare_target(
    (run_before, before): (&RunResult, &TargetResult),
    (run_after, after): (&RunResult, &TargetResult),
) -> TargetComparison {
    let row = |figure, unit, before: Option<f64>, after: Option<f64>| {
        let change = before.zip(after).filter(|(before, _)| *before != 0.0);
        Row { figure, unit, before, after, change: change.map(|(before, after)| 100.0 * (after - before) / before) }
    };
    let latency = |figure, of: fn(&Latency) -> f64| {
        row(figure, "ms", before.latency_ms.as_ref().map(of), after.latency_ms.as_ref().map(of))
    };
    let mut rows = vec![
        row("errors", "%", before.error_percent(), after.error_percent()),
        row("requests", "", Some(before.requests as f64), Some(after.requests as f64)),
        row("rate", "/s", Some(before.rate), Some(after.rate)),
        latency("mean", |latency| latency.mean),
        latency("p50", |latency| latency.p50),
        latency("p90", |latency| latency.p90),
        latency("p99", |latency| latency.p99),
        latency("max", |latency| latency.max),
    ];
    if before.latency_all_ms.is_some() || after.latency_all_ms.is_some() {
        let all = |target: &TargetResult| target.latency_all_ms.or(target.latency_ms).map(|latency| latency.p50);
        rows.push(row("p50, wrong answers too", "ms", all(before), all(after)));
    }
    if before.evenness().is_some() || after.evenness().is_some() {
        rows.push(row("evenness", "%", before.evenness(), after.evenness()));
    }
    let mut sentence =
        conclude(Side::of("the run before", run_before, before), Side::of("the run after", run_after, after));
    if let Some(first) = sentence.get(..1) {
        sentence.replace_range(..1, &first.to_uppercase());
    }
    sentence += &match (is_repeated(before), is_repeated(after)) {
        (true, true) => {
            format!(" The intervals are over {} and {} runs.", before.repetitions.len(), after.repetitions.len())
        }
        _ => " One run each, and runs differ among themselves: `repeat: 5` before drawing a conclusion.".to_owned(),
    };
    TargetComparison { name: after.name.clone(), rows, sentence }
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

    fn rows(before: &TargetResult, after: &TargetResult) -> Vec<Row> {
        let run = RunResult::empty("web", jiff::Timestamp::UNIX_EPOCH);
        compare_target((&run, before), (&run, after)).rows
    }

    #[test]
    fn changes_are_in_percent_of_the_run_before_and_errors_come_first() {
        let target = |requests| TargetResult { requests, ..TargetResult::default() };
        let rows = rows(&target(200), &target(300));
        assert_eq!((rows[0].figure, rows[0].change, rows[0].change().as_str()), ("errors", None, "–"));
        assert_eq!((rows[1].figure, rows[1].change().as_str()), ("requests", "+50.0 %"));
    }

    #[test]
    fn what_was_not_measured_is_absent_and_never_a_hundred_percent_less() {
        let latency = Some(Latency { p50: 5.0, ..Latency::default() });
        let good = TargetResult { requests: 100, latency_ms: latency, ..TargetResult::default() };
        let bad = TargetResult { requests: 100, errors: 100, ..TargetResult::default() };
        let rows = rows(&good, &bad);
        let p50 = rows.iter().find(|row| row.figure == "p50").expect("a row");
        assert_eq!(
            (p50.value(p50.before), p50.value(p50.after), p50.change()),
            ("5.00 ms".into(), "–".into(), "–".into())
        );
    }
}
