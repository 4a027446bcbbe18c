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
