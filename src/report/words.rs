//! The sentences of the report.

use crate::result::confidence::median;
use crate::result::figures::{count, duration, interval, ms, percent};
use crate::result::record::{RunResult, TargetResult, Verdict};

pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "Passed",
        Verdict::Missed => "Missed",
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
    for target in run.targets.iter().filter(|target| target.requests > target.errors) {
        let latency = &target.latency_ms;
        text += &format!(
            " Half of {}’s answers took {} or less, 99 in 100 took {} or less.",
            target.name,
            ms(latency.p50),
            ms(latency.p99)
        );
    }
    text
}

/// What the clusters' medians allow to say, where there are exactly two.
pub fn between_clusters(run: &RunResult) -> Option<String> {
    let [first, second] = run.targets.as_slice() else { return None };
    let (a, b) = (median(first)?, median(second)?);
    if a.overlaps(b) {
        return Some(format!(
            "The medians of {} ({}) and {} ({}) cannot be told apart: their 95 % intervals overlap.",
            first.name,
            interval(a),
            second.name,
            interval(b)
        ));
    }
    let (fast, fast_at, slow, slow_at) = if a.high < b.low { (first, a, second, b) } else { (second, b, first, a) };
    Some(format!(
        "Within this one run the median of {} ({}) lies below that of {} ({}). Repeat the run before naming a winner: \
         the interval covers chance within a run, not the differences between runs.",
        fast.name,
        interval(fast_at),
        slow.name,
        interval(slow_at)
    ))
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
    if run.client.limited {
        caveats.push(format!(
            "The load generator was probably the bottleneck: its busiest thread used {} of a processor. \
             The clusters may be faster than these figures.",
            percent(run.client.busiest_thread)
        ));
    }
    if run.provider == "local" {
        caveats.push(
            "This is a rehearsal in the embedded region: all instances share this machine’s processors with the load \
             generator, whatever their type is called. The behaviour is real; compare instance types on AWS."
                .to_owned(),
        );
    }
    caveats
}
