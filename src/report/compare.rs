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
            "h" => format!("{value:.3} h"),
            "$" => format!("${value:.4}"),
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
    rows.extend(of_the_cloud((run_before, before), (run_after, after), row));
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

/// What was there to answer: instances, what the groups did, instance-hours, and what all of the run cost.
fn of_the_cloud(
    (run_before, before): (&RunResult, &TargetResult),
    (run_after, after): (&RunResult, &TargetResult),
    row: impl Fn(&'static str, &'static str, Option<f64>, Option<f64>) -> Row,
) -> Vec<Row> {
    let running = |run: &RunResult, target: &TargetResult| run.cloud.as_ref()?.running(&target.name);
    let fewest = |run, target| running(run, target).map(|(least, _)| f64::from(least));
    let most = |run, target| running(run, target).map(|(_, most)| f64::from(most));
    let events = |run: &RunResult, target: &TargetResult, ended: bool| {
        let own = run.cloud.as_ref()?.events.iter().filter(|event| event.cluster == target.name);
        Some(own.filter(|event| event.what.starts_with("Terminating") == ended).count() as f64)
    };
    let dollars = |run: &RunResult| run.cost.as_ref().map(|cost| cost.run_max);
    let rows = [
        row("instances, fewest", "", fewest(run_before, before), fewest(run_after, after)),
        row("instances, most", "", most(run_before, before), most(run_after, after)),
        row("launched", "", events(run_before, before, false), events(run_after, after, false)),
        row("ended", "", events(run_before, before, true), events(run_after, after, true)),
        row("instance-hours", "h", before.instance_hours, after.instance_hours),
        row("cost of the run", "$", dollars(run_before), dollars(run_after)),
    ];
    rows.into_iter().filter(|row| row.before.is_some() || row.after.is_some()).collect()
}

/// Comparisons of one run with others as a page of its own: a column for each run.
pub fn page(comparisons: &[Comparison]) -> String {
    match comparisons {
        [one] => page_of_two(one),
        more => page_of_many(more),
    }
}

fn page_of_many(comparisons: &[Comparison]) -> String {
    let before = comparisons.first().map_or("", |one| one.before.as_str());
    let names: Vec<&str> = comparisons
        .first()
        .map_or_else(Vec::new, |one| one.targets.iter().map(|target| target.name.as_str()).collect());
    document(&format!("{} runs", comparisons.len() + 1), html! {
        header {
            p.kicker { (comparisons.len() + 1) " runs, each against the first" }
            h1 { (before) @for one in comparisons { " · " (one.after) } }
            @for one in comparisons { @for note in &one.notes { p.caveat { (one.after) ": " (note) } } }
        }
        @for name in names {
            @let columns: Vec<Option<&TargetComparison>> = comparisons.iter()
                .map(|one| one.targets.iter().find(|target| target.name == name)).collect();
            @let figures = columns.iter().flatten().max_by_key(|target| target.rows.len());
            h2 { (name) }
            @for (one, column) in comparisons.iter().zip(&columns) {
                @if let Some(target) = column { p { strong { (one.after) } ": " (target.sentence) } }
            }
            div.card { div.scroll { table {
                thead { tr { th { "" } th.n { (before) } @for one in comparisons { th.n { (one.after) } } } }
                tbody { @for first in figures.iter().flat_map(|target| &target.rows) { tr {
                    td { (first.figure) } td.n { (first.value(first.before)) }
                    @for column in &columns {
                        @let row = column.and_then(|target| target.rows.iter().find(|row| row.figure == first.figure));
                        td.n { @match row {
                            Some(row) => { (row.value(row.after)) br; span.muted.small { (row.change()) } }
                            None => { "–" }
                        } }
                    }
                } } }
            } } }
        }
    })
    .into_string()
}

fn page_of_two(comparison: &Comparison) -> String {
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
    fn capacity_events_and_instance_hours_stand_beside_each_other_for_as_many_runs_as_are_asked() {
        use crate::result::record::{CapacityPoint, Cloud, CloudEvent};
        let run = |name: &str, most: u32| {
            let mut run = RunResult::empty("web", jiff::Timestamp::UNIX_EPOCH);
            run.run = name.into();
            let hours = Some(f64::from(most) / 2.0);
            run.targets.push(TargetResult {
                name: "light".into(),
                requests: 10,
                instance_hours: hours,
                ..TargetResult::default()
            });
            let point = |at, running| CapacityPoint {
                at,
                cluster: "light".into(),
                desired: running,
                running,
                healthy: running,
            };
            let event = CloudEvent {
                at: 1.0,
                cluster: "light".into(),
                what: "Launching".into(),
                cause: String::new(),
                status: String::new(),
            };
            run.cloud = Some(Cloud {
                capacity: vec![point(0.0, 2), point(9.0, most)],
                events: vec![event; most as usize - 2],
                ..Cloud::default()
            });
            run
        };
        let (a, b, c) = (run("a", 4), run("b", 6), run("c", 3));
        let comparison = compare(&a, &b);
        let figures = |figure: &str| {
            let row = comparison.targets[0].rows.iter().find(|row| row.figure == figure).expect(figure);
            (row.value(row.before), row.value(row.after))
        };
        assert_eq!(figures("instances, most"), ("4".into(), "6".into()));
        assert_eq!((figures("launched"), figures("ended")), (("2".into(), "4".into()), ("0".into(), "0".into())));
        assert_eq!(figures("instance-hours"), ("2.000 h".into(), "3.000 h".into()));
        let page = page(&[comparison, compare(&a, &c)]);
        assert!(page.contains("<th class=\"n\">a</th><th class=\"n\">b</th><th class=\"n\">c</th>"), "{page}");
        assert!(page.contains("3 runs, each against the first") && page.contains("1.500 h"));
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

    /// Every figure has a value of its own, so that none can stand for another.
    fn measured() -> TargetResult {
        let latency = Latency {
            mean: 1.0,
            p50: 2.0,
            p90: 3.0,
            p95: 4.0,
            p99: 5.0,
            p999: 6.0,
            max: 12_000.0,
            ..Latency::default()
        };
        TargetResult {
            name: "light".into(),
            requests: 400,
            errors: 2,
            rate: 1000.0,
            latency_ms: Some(latency),
            latency_all_ms: Some(Latency { p50: 7.0, ..latency }),
            instances: [("i-1".into(), 300), ("i-2".into(), 100)].into(),
            ..TargetResult::default()
        }
    }

    #[test]
    fn each_row_shows_its_own_figure_in_its_own_unit() {
        let before = measured();
        let latency = before.latency_ms.map(|latency| Latency { p50: 1.0, p90: 6.0, max: 900.0, ..latency });
        let after = TargetResult { requests: 300, errors: 0, rate: 1500.0, latency_ms: latency, ..measured() };
        let shown = |row: &Row| (row.figure, row.value(row.before), row.value(row.after), row.change());
        let shown: Vec<_> = rows(&before, &after).iter().map(shown).collect();
        let expected = [
            ("errors", "0.5 %", "0 %", "−100.0 %"),
            ("requests", "400", "300", "−25.0 %"),
            ("rate", "1,000/s", "1,500/s", "+50.0 %"),
            ("mean", "1.00 ms", "1.00 ms", "+0.0 %"),
            ("p50", "2.00 ms", "1.00 ms", "−50.0 %"),
            ("p90", "3.00 ms", "6.00 ms", "+100.0 %"),
            ("p99", "5.00 ms", "5.00 ms", "+0.0 %"),
            ("max", "12.0 s", "900 ms", "−92.5 %"),
            ("p50, wrong answers too", "7.00 ms", "7.00 ms", "+0.0 %"),
        ];
        let expected = expected
            .map(|(figure, before, after, change)| (figure, before.to_owned(), after.to_owned(), change.to_owned()));
        assert_eq!(shown[..expected.len()], expected);
        let evenness = rows(&before, &before).pop().expect("the last row");
        // Fair were 200 each, and each is half of that away from it.
        assert_eq!((evenness.figure, evenness.value(evenness.after)), ("evenness", "50 %".into()));
        // Of right answers only there is no second median.
        let plain = TargetResult { latency_all_ms: None, ..measured() };
        assert!(rows(&plain, &plain).iter().all(|row| row.figure != "p50, wrong answers too"));
        // Where one of the runs has both, the other's answers were all right.
        let mixed = rows(&plain, &before);
        let all = mixed.iter().find(|row| row.figure == "p50, wrong answers too").expect("a row");
        assert_eq!((all.before, all.after), (Some(2.0), Some(7.0)));
    }

    #[test]
    fn what_the_cloud_did_and_cost_is_of_the_target_and_the_run() {
        use crate::result::record::{Cloud, CloudEvent, Cost};
        let event = |cluster: &str, what: &str| CloudEvent {
            at: 1.0,
            cluster: cluster.into(),
            what: what.into(),
            cause: String::new(),
            status: String::new(),
        };
        let run = |events: Vec<CloudEvent>, dollars: f64| RunResult {
            cloud: Some(Cloud { events, ..Cloud::default() }),
            cost: Some(Cost {
                hourly_min: 8.0,
                hourly_max: 9.0,
                run_min: 0.0,
                run_max: dollars,
                source: String::new(),
                parts: Vec::new(),
            }),
            ..RunResult::empty("web", jiff::Timestamp::UNIX_EPOCH)
        };
        let (launching, ending) = ("Launching a new EC2 instance: i-1", "Terminating EC2 instance: i-2");
        let before = run(vec![event("light", launching), event("heavy", launching)], 0.25);
        let after = run(vec![event("light", ending), event("light", ending), event("heavy", ending)], 0.5);
        let rows = compare_target((&before, &measured()), (&after, &measured())).rows;
        let shown = |figure: &str| {
            let row = rows.iter().find(|row| row.figure == figure).expect(figure);
            (row.value(row.before), row.value(row.after), row.change())
        };
        let of = |before: &str, after: &str, change: &str| (before.to_owned(), after.to_owned(), change.to_owned());
        assert_eq!(shown("launched"), of("1", "0", "−100.0 %"));
        assert_eq!(shown("ended"), of("0", "2", "–"));
        assert_eq!(shown("cost of the run"), of("$0.2500", "$0.5000", "+100.0 %"));
        assert!(rows.iter().all(|row| row.figure != "instance-hours"), "not measured in either");
    }

    #[test]
    fn what_makes_two_runs_no_pair_is_noted() {
        let run = |name: &str, provider: &str, scenario: &str, targets: &[&str]| RunResult {
            run: name.into(),
            provider: provider.into(),
            scenario: scenario.into(),
            targets: targets
                .iter()
                .map(|name| TargetResult { name: (*name).into(), ..TargetResult::default() })
                .collect(),
            ..RunResult::empty("web", jiff::Timestamp::UNIX_EPOCH)
        };
        let notes = |before: &RunResult, after: &RunResult| compare(before, after).notes;
        let first = run("first", "local", "spike", &["light", "heavy"]);
        assert_eq!(notes(&first, &run("second", "local", "spike", &["heavy", "light"])), Vec::<String>::new());
        let second = run("second", "aws", "ramp", &["light", "other"]);
        assert_eq!(
            notes(&first, &second),
            [
                "The scenarios differ: spike and ramp.",
                "The providers differ: local and aws.",
                "Only first loads heavy.",
                "Only second loads other.",
            ]
        );
        let comparison = compare(&first, &second);
        assert_eq!((comparison.before.as_str(), comparison.after.as_str()), ("first", "second"));
        let target = &comparison.targets;
        assert_eq!(target.len(), 1, "one is in both");
        assert!(
            target[0]
                .sentence
                .ends_with("One run each, and runs differ among themselves: `repeat: 5` before drawing a conclusion.")
        );
        assert!(target[0].sentence.starts_with(char::is_uppercase), "{}", target[0].sentence);
    }
}
