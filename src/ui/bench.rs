//! What a benchmark measured, for the terminal: a table that fits in 80 columns, and the comparison of two runs.

use super::printable::{one_line, printable};
use super::style::Paint;
use super::table::table;
use crate::report::compare::Comparison;
use crate::report::words;
use crate::result::calibration::{Calibration, Estimate};
use crate::result::figures;
use crate::result::listing::RunLine;
use crate::result::record::{RunResult, Verdict};

/// The end of `bench` and `run`: a row for each target, missed thresholds, caveats and the report's path.
pub fn summary(run: &RunResult, report: &str, paint: Paint, width: u16) -> String {
    let rows = run.targets.iter().map(|target| {
        vec![
            one_line(&target.name),
            figures::count(target.requests),
            figures::count(target.errors),
            format!("{}/s", figures::rate(target.rate)),
            target.latency_ms.map_or_else(|| "–".to_owned(), |latency| figures::ms(latency.p50)),
            target.latency_ms.map_or_else(|| "–".to_owned(), |latency| figures::ms(latency.p99)),
            target.evenness().map_or_else(|| "–".to_owned(), figures::percent),
        ]
    });
    let header = ["cluster", "requests", "errors", "rate", "p50", "p99", "even"];
    let mut lines = vec![table(&header, &[1, 2, 3, 4, 5, 6], rows.collect(), width), String::new()];
    for missed in run.thresholds.iter().filter(|result| !result.held) {
        let measured = missed.shown();
        let minutes = figures::minutes(&missed.lost_minutes);
        lines.push(paint.bad(&one_line(&format!(
            "missed: {} for {}, measured {measured}{minutes}",
            missed.threshold, missed.target
        ))));
    }
    if let Some(missed) = &run.aborted {
        lines.push(paint.bad(&one_line(&format!("aborted: the threshold {missed} was crossed"))));
    }
    for target in &run.targets {
        if target.latency_ms.is_none() && target.requests > 0 {
            lines.push(paint.bad(&format!("{}: no correct answer", target.name)));
        }
        if !target.errors_by_kind.is_empty() {
            let kinds = target.errors_by_kind.iter();
            let kinds: Vec<_> = kinds.map(|(kind, count)| format!("{} {kind}", figures::count(*count))).collect();
            lines.push(paint.warn(&one_line(&format!("{}: failed with {}", target.name, kinds.join(", ")))));
        }
        if target.retries > 0 {
            let count = figures::count(target.retries);
            lines.push(
                paint.warn(&format!("{}: {count} requests sent again after their connection broke", target.name)),
            );
        }
    }
    if !run.client.engine.is_empty() {
        lines.push(
            paint
                .dim(&one_line(&format!("{} generated the load; the report says what that means.", run.client.engine))),
        );
    }
    for limit in &run.client.limits {
        lines.push(paint.warn(&format!("The load generator was the bottleneck: {limit}.")));
    }
    if !run.metrics.complete && !run.metrics.note.is_empty() {
        lines.push(paint.dim(&one_line(&run.metrics.note)));
    }
    let verdict = words::verdict(run.verdict);
    let verdict = match run.verdict {
        Verdict::Passed => paint.good(verdict),
        Verdict::Missed => paint.bad(verdict),
        Verdict::Limited | Verdict::Interrupted => paint.warn(verdict),
    };
    lines.push(format!("{verdict} in {}.\nReport: {}", figures::duration(run.elapsed_seconds()), one_line(report)));
    lines.join("\n")
}

/// The end of `calibrate`.
pub fn calibration(run: &Calibration, report: &str, width: u16) -> String {
    let rate = |estimate: Estimate| format!("{}/s", figures::rate(estimate.value));
    let interval = |estimate: Estimate, shown: fn(f64) -> String| {
        estimate.interval.map_or_else(|| "–".to_owned(), |at| format!("{} to {}", shown(at.low), shown(at.high)))
    };
    let per_second: fn(f64) -> String = |value| format!("{}/s", figures::rate(value));
    let rows = run.scaling.iter().map(|point| {
        let ideal = run.capacity.value * f64::from(point.instances);
        let share = figures::percent(100.0 * point.rate.value / ideal.max(f64::MIN_POSITIVE));
        vec![point.instances.to_string(), rate(point.rate), interval(point.rate, per_second), share]
    });
    let mut lines = vec![
        table(&["instances", "throughput", "95 %", "of the ideal"], &[0, 1, 2, 3], rows.collect(), width),
        String::new(),
    ];
    let optional =
        |value: Option<f64>| value.map_or_else(|| "none".to_owned(), |value| format!("{}/s", figures::rate(value)));
    lines.push(format!(
        "One {} carries {}; knee at {}; first errors at {}.",
        one_line(&run.instance_type),
        rate(run.capacity),
        optional(run.knee),
        optional(run.first_errors)
    ));
    if let Some(service) = &run.service {
        lines.push(format!(
            "Service time without queueing {} ({}); {:.1} requests are served concurrently.",
            figures::ms(service.mean_ms),
            service.distribution,
            service.at_once
        ));
    }
    if let Some(launch) = run.launch {
        lines.push(format!(
            "From launch to the first healthy answer {} ({} launches).",
            figures::duration(launch.value),
            run.launches.len()
        ));
    }
    lines.extend(run.warnings.iter().map(|warning| one_line(&format!("Warning: {warning}."))));
    lines.push(format!("Report: {}", one_line(report)));
    lines.join("\n")
}

/// `report --list`
pub fn runs(runs: &[RunLine], width: u16) -> String {
    let text = |text: &Option<String>| text.as_deref().map_or_else(|| "–".to_owned(), one_line);
    let count = |count: Option<u64>| count.map_or_else(|| "–".to_owned(), figures::count);
    let rows = runs.iter().map(|run| {
        let verdict = run.verdict.map_or("cannot be read", words::verdict);
        vec![
            one_line(&run.run),
            text(&run.stack),
            text(&run.scenario),
            verdict.to_owned(),
            count(run.requests),
            count(run.errors),
        ]
    });
    table(&["run", "stack", "scenario", "verdict", "requests", "errors"], &[4, 5], rows.collect(), width)
}

/// Two runs, target by target.
pub fn comparison(comparison: &Comparison, paint: Paint, width: u16) -> String {
    let mut blocks: Vec<String> = comparison.notes.iter().map(|note| paint.warn(&one_line(note))).collect();
    for target in &comparison.targets {
        let rows = target
            .rows
            .iter()
            .map(|row| vec![row.figure.to_owned(), row.value(row.before), row.value(row.after), row.change()]);
        let header = [target.name.as_str(), &comparison.before, &comparison.after, "change"];
        let table = table(&header, &[1, 2, 3], rows.collect(), width);
        blocks.push(format!("{table}\n\n{}\n", printable(&target.sentence)));
    }
    blocks.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::record::{Latency, TargetResult, ThresholdResult};
    use crate::result::store;

    const PLAIN: Paint = Paint { color: false };

    fn run() -> RunResult {
        let started: jiff::Timestamp = "2026-11-21T21:45:12Z".parse().expect("a timestamp");
        let mut run = RunResult::empty("web", started);
        run.run = "20261121-214512".into();
        run.ended = started + jiff::SignedDuration::from_secs(66);
        run.verdict = Verdict::Missed;
        for (name, errors) in [("light", 0), ("heavy", 125)] {
            run.targets.push(TargetResult {
                name: name.into(),
                requests: 2500,
                errors,
                rate: 1234.5,
                latency_ms: Some(Latency { p50: 0.81, p99: 12.34, ..Latency::default() }),
                instances: [("i-1".into(), 1250), ("i-2".into(), 1250)].into(),
                ..TargetResult::default()
            });
        }
        run.thresholds.push(ThresholdResult {
            threshold: "errors < 1%".into(),
            target: "heavy".into(),
            measured: Some(5.0),
            unit: "%".into(),
            held: false,
            lost_minutes: Vec::new(),
        });
        run
    }

    #[test]
    fn the_summary_fits_in_eighty_columns() {
        let text = summary(&run(), ".cloudscale/web/runs/1/report.html", PLAIN, 80);
        insta::assert_snapshot!(text, @r"
        CLUSTER  REQUESTS  ERRORS     RATE     P50      P99   EVEN
        light       2,500       0  1,235/s  810 µs  12.3 ms  100 %
        heavy       2,500     125  1,235/s  810 µs  12.3 ms  100 %

        missed: errors < 1% for heavy, measured 5 %
        Missed in 1 min 6 s.
        Report: .cloudscale/web/runs/1/report.html
        ");
        assert!(text.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn runs_are_listed_and_one_that_cannot_be_read_is_there_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let (good, bad) = (folder.path().join("20261121-214512"), folder.path().join("20261121-220000"));
        store::write(&good, &run(), &crate::result::record::Images::new()).expect("written");
        std::fs::create_dir(&bad).and_then(|()| std::fs::write(bad.join("result.json"), "{")).expect("written");
        let lines = [bad, good].map(|folder| RunLine::of(&folder));
        insta::assert_snapshot!(runs(&lines, 80), @r"
        RUN              STACK  SCENARIO  VERDICT         REQUESTS  ERRORS
        20261121-220000  –      –         cannot be read         –       –
        20261121-214512  web              Missed             5,000     125
        ");
    }

    #[test]
    fn a_comparison_shows_both_runs_and_the_change() {
        let (before, mut after) = (run(), run());
        after.run = "20261121-220000".into();
        after.targets[0].latency_ms = before.targets[0].latency_ms.map(|latency| Latency { p50: 1.62, ..latency });
        after.targets.pop();
        let text = comparison(&crate::report::compare::compare(&before, &after), PLAIN, 80);
        insta::assert_snapshot!(text, @r"
        Only 20261121-214512 loads heavy.
        LIGHT     20261121-214512  20261121-220000    CHANGE
        errors                0 %              0 %         –
        requests            2,500            2,500    +0.0 %
        rate              1,235/s          1,235/s    +0.0 %
        mean              0.00 ms          0.00 ms         –
        p50                810 µs          1.62 ms  +100.0 %
        p90               0.00 ms          0.00 ms         –
        p99               12.3 ms          12.3 ms    +0.0 %
        max               0.00 ms          0.00 ms         –
        evenness            100 %            100 %    +0.0 %

        Too few correct answers to compare their latency. One run each, and runs differ among themselves: `repeat: 5` before drawing a conclusion.
        ");
    }
}
