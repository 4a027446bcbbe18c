//! The sentences of the report.

use super::conclusion::{Side, conclude};
use crate::result::confidence::is_repeated;
use crate::result::figures::{count, duration, ms, percent};
use crate::result::record::{RunResult, TargetResult, Verdict};

pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "Passed",
        Verdict::Missed => "Missed",
        Verdict::Limited => "Limited by the client",
        Verdict::Interrupted => "Interrupted",
    }
}

/// What happened, in plain words.
pub fn summary(run: &RunResult) -> String {
    let requests: u64 = run.targets.iter().map(|target| target.requests).sum();
    let errors: u64 = run.targets.iter().map(|target| target.errors).sum();
    let mut text = format!(
        "{} sent {} requests to {} in {}",
        if run.verdict == Verdict::Interrupted { "An interrupted run" } else { "The run" },
        count(requests),
        names(&run.targets),
        duration(run.elapsed_seconds()),
    );
    match errors {
        0 => text += ", and every answer was correct.",
        1 => text += "; one of them failed.",
        _ => text += &format!("; {} of them failed.", count(errors)),
    }
    for target in &run.targets {
        let Some(latency) = &target.latency_ms else {
            text += &format!(" {} gave no correct answer.", target.name);
            continue;
        };
        text += &format!(" {}: median {}, p99 {}.", target.name, ms(latency.p50), ms(latency.p99));
    }
    text
}

/// What may be said about the clusters, where there are exactly two.
pub fn between_clusters(run: &RunResult) -> Option<String> {
    let [first, second] = run.targets.as_slice() else { return None };
    let said = conclude(Side::of(&first.name, run, first), Side::of(&second.name, run, second));
    let runs = first.repetitions.len();
    Some(if is_repeated(first) {
        format!("{said} The intervals are over {runs} runs.")
    } else {
        format!("{said} This is one run, and runs differ among themselves: `repeat: 5` before naming a winner.")
    })
}

fn names(targets: &[TargetResult]) -> String {
    let names: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
    match names.as_slice() {
        [] => "nothing".to_owned(),
        [only] => (*only).to_owned(),
        [most @ .., last] if names.len() <= 4 => format!("{} and {last}", most.join(", ")),
        _ => format!("{} clusters", names.len()),
    }
}

/// What a reader must know before believing the figures.
pub fn caveats(run: &RunResult) -> Vec<String> {
    let mut caveats = Vec::new();
    if run.verdict == Verdict::Interrupted {
        caveats.push("The run was stopped before its end: figures cover the requests sent until then.".to_owned());
    }
    if !run.adjustments.is_empty() {
        let told = run.adjustments.iter().take(6).map(|change| match change.percent {
            0 => format!("paused after {}", duration(change.at)),
            percent => format!("{percent} % of its rate from {} on", duration(change.at)),
        });
        caveats.push(format!(
            "The load was changed by hand, so it is not the scenario’s: {}.",
            told.collect::<Vec<_>>().join(", ")
        ));
    }
    if let Some(missed) = &run.aborted {
        caveats.push(format!(
            "A threshold ended the run before its time: {missed}. Figures cover the requests until then."
        ));
    }
    if !run.client.engine.is_empty() {
        caveats.push(format!("{} generated the load: {}.", run.client.engine, run.client.notes.join("; ")));
    }
    if run.client.limited {
        let mut limits = run.client.limits.clone();
        if limits.is_empty() {
            limits.push(format!("its busiest worker used {} of a processor", percent(run.client.busiest_thread)));
        }
        caveats.push(format!(
            "The load generator was the bottleneck, so these figures say little about the clusters: {}.",
            limits.join("; ")
        ));
    }
    for target in run.targets.iter().filter(|target| target.retries > 0) {
        caveats.push(format!(
            "{} of {}’s requests were sent again because their connection broke before any answer: an instance that dies \
             looks like this.",
            count(target.retries),
            target.name
        ));
    }
    if run.provider == "local" {
        caveats.push(
            "This is a rehearsal in the embedded region: all instances share this machine’s processors with the load \
             generator, whatever their type is called. The behaviour is real; compare instance types on AWS."
                .to_owned(),
        );
    }
    if run.speed() > 1 {
        let speed = run.speed();
        caveats.push(format!(
            "Its time went {speed} times as fast as the clock: times here are the region’s, requests and their latency are as \
             they were, and each request stands for {speed} in CloudWatch’s counts, so that rates are the same."
        ));
    }
    caveats
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::record::{Adjustment, Client, Latency};

    fn target(name: &str, requests: u64, errors: u64) -> TargetResult {
        let latency = Latency { p50: 2.0, p90: 90.0, p95: 95.0, p99: 99.0, ..Latency::default() };
        TargetResult { name: name.into(), requests, errors, latency_ms: Some(latency), ..TargetResult::default() }
    }

    /// A run of 65 s that met nothing worth a caveat.
    fn run(targets: Vec<TargetResult>) -> RunResult {
        let started: jiff::Timestamp = "2026-11-28T12:00:00Z".parse().expect("a time");
        let ended = started + jiff::SignedDuration::from_secs(65);
        RunResult { ended, targets, ..RunResult::empty("web", started) }
    }

    #[test]
    fn the_summary_counts_what_failed_and_quotes_the_median_and_the_99th_percentile() {
        let figures = |name: &str| format!(" {name}: median 2.00 ms, p99 99.0 ms.");
        let correct = words_of(vec![target("a", 1234, 0)]);
        assert_eq!(
            correct,
            format!("The run sent 1,234 requests to a in 1 min 5 s, and every answer was correct.{}", figures("a"))
        );
        let one = words_of(vec![target("a", 10, 1), TargetResult { latency_ms: None, ..target("b", 5, 0) }]);
        assert_eq!(
            one,
            format!(
                "The run sent 15 requests to a and b in 1 min 5 s; one of them failed.{} b gave no correct answer.",
                figures("a")
            )
        );
        let two = words_of(vec![target("a", 10, 1), target("b", 5, 1), target("c", 5, 0), target("d", 5, 0)]);
        assert!(
            two.starts_with("The run sent 25 requests to a, b, c and d in 1 min 5 s; 2 of them failed. a: "),
            "{two}"
        );
        let five = words_of(["a", "b", "c", "d", "e"].map(|name| target(name, 1, 0)).into());
        assert!(five.starts_with("The run sent 5 requests to 5 clusters in "), "{five}");
        assert!(words_of(Vec::new()).starts_with("The run sent 0 requests to nothing in "));
        let interrupted = RunResult { verdict: Verdict::Interrupted, ..run(Vec::new()) };
        assert!(summary(&interrupted).starts_with("An interrupted run sent 0 requests"));
    }

    fn words_of(targets: Vec<TargetResult>) -> String {
        summary(&run(targets))
    }

    #[test]
    fn each_caveat_is_told_where_it_applies_and_only_there() {
        assert_eq!(caveats(&run(vec![target("a", 1, 0)])), Vec::<String>::new());
        type Change = fn(&mut RunResult);
        let client = |run: &mut RunResult, limits: &[&str]| {
            let limits = limits.iter().map(|limit| (*limit).to_owned()).collect();
            run.client = Client { limited: true, limits, busiest_thread: 97.3, ..Client::default() };
        };
        let cases: [(Change, &str); 6] = [
            (|run| run.verdict = Verdict::Interrupted, "The run was stopped before its end"),
            (
                |run| {
                    let changes = [(5.0, 50), (70.0, 0)];
                    run.adjustments = changes.map(|(at, percent)| Adjustment { at, percent }).into();
                },
                "The load was changed by hand, so it is not the scenario’s: 50 % of its rate from 5.0 s on, paused after 1 min 10 s.",
            ),
            (
                |run| run.aborted = Some("p99 < 5 ms, measured 9 ms".into()),
                "A threshold ended the run before its time: p99 < 5 ms, measured 9 ms.",
            ),
            (
                |run| {
                    run.client.engine = "Locust 2.47.0".into();
                    run.client.notes = vec!["no warm-up".into(), "no retries".into()];
                },
                "Locust 2.47.0 generated the load: no warm-up; no retries.",
            ),
            (
                |run| run.targets[0].retries = 1234,
                "1,234 of a’s requests were sent again because their connection broke",
            ),
            (|run| run.provider = "local".into(), "This is a rehearsal in the embedded region"),
        ];
        for (change, words) in cases {
            let mut run = run(vec![target("a", 1, 0), target("b", 1, 0)]);
            change(&mut run);
            let told = caveats(&run);
            assert!(told.len() == 1 && told[0].starts_with(words), "{words}: {told:?}");
        }
        let mut limited = run(vec![target("a", 1, 0)]);
        client(&mut limited, &[]);
        assert!(
            caveats(&limited)[0].ends_with("its busiest worker used 97.3 % of a processor."),
            "{:?}",
            caveats(&limited)
        );
        client(&mut limited, &["every connection was busy", "no ports"]);
        assert!(caveats(&limited)[0].ends_with("say little about the clusters: every connection was busy; no ports."));
        for (speed, told) in [(0, 0), (1, 0), (2, 1), (60, 1)] {
            let faster = run(vec![TargetResult { speed, ..target("a", 1, 0) }]);
            assert_eq!(caveats(&faster).len(), told, "speed {speed}");
        }
    }

    #[test]
    fn a_verdict_is_one_word_or_says_what_limited_it() {
        let all = [Verdict::Passed, Verdict::Missed, Verdict::Limited, Verdict::Interrupted].map(verdict);
        assert_eq!(all, ["Passed", "Missed", "Limited by the client", "Interrupted"]);
    }
}
