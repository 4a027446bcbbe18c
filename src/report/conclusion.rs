//! What may be said about two measurements, in the order that matters: errors first, then latency.
//!
//! A system that fails fast is not fast. Where the error rates differ that is the first sentence, and a winner is named
//! only where both keep their error threshold, their medians' intervals do not overlap, and both are the same kind of
//! latency.

use crate::result::confidence::{Interval, error_percent, median};
use crate::result::figures::{interval, ms, percent};
use crate::result::record::{LatencyKind, RunResult, TargetResult};

/// Where a scenario has no threshold for errors.
const ERRORS_MAX_PERCENT: f64 = 1.0;

/// One of the two.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    pub name: &'a str,
    pub target: &'a TargetResult,
    /// Whether its errors are within the threshold.
    pub keeps_errors: bool,
}

impl<'a> Side<'a> {
    pub fn of(name: &'a str, run: &RunResult, target: &'a TargetResult) -> Self {
        let mut own = run
            .thresholds
            .iter()
            .filter(|threshold| threshold.target == target.name && threshold.threshold.starts_with("errors"));
        let keeps_errors = match own.clone().next() {
            Some(_) => own.all(|threshold| threshold.held),
            None => target.error_percent().is_some_and(|errors| errors <= ERRORS_MAX_PERCENT),
        };
        Self { name, target, keeps_errors }
    }
}

pub fn conclude(a: Side<'_>, b: Side<'_>) -> String {
    let sentences = [errors(a, b), Some(latency(a, b))];
    sentences.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn errors(a: Side<'_>, b: Side<'_>) -> Option<String> {
    if a.target.errors == 0 && b.target.errors == 0 {
        return None;
    }
    let (at_a, at_b) = (error_percent(a.target)?, error_percent(b.target)?);
    let of = |side: Side<'_>| side.target.error_percent().map_or_else(|| "nothing".to_owned(), percent);
    Some(if at_a.overlaps(at_b) {
        format!("Errors cannot be distinguished: {} at {}, {} at {}.", of(a), a.name, of(b), b.name)
    } else {
        let (more, less) = if at_a.low > at_b.high { (a, b) } else { (b, a) };
        format!("{} fails more: {} of its requests, against {} at {}.", more.name, of(more), of(less), less.name)
    })
}

fn latency(a: Side<'_>, b: Side<'_>) -> String {
    if a.target.latency_kind != b.target.latency_kind {
        return "Their latencies cannot be compared: one is response time, the other service time.".to_owned();
    }
    for side in [a, b] {
        if side.target.latency_ms.is_none() {
            return format!("{} gave no correct answer: there is no latency to compare.", side.name);
        }
    }
    let (Some(at_a), Some(at_b)) = (median(a.target), median(b.target)) else {
        return "Too few correct answers to compare their latency.".to_owned();
    };
    let over: Vec<&str> = [a, b].iter().filter(|side| !side.keeps_errors).map(|side| side.name).collect();
    if !over.is_empty() {
        return format!(
            "No winner is named, as {} has more errors than allowed. {}",
            over.join(" and "),
            both_ways(a, b)
        );
    }
    if at_a.overlaps(at_b) {
        return format!(
            "The medians of {} ({}) and {} ({}) cannot be distinguished: their 95 % intervals overlap.",
            a.name,
            interval(at_a),
            b.name,
            interval(at_b)
        );
    }
    let (fast, fast_at, slow, slow_at) = if at_a.high < at_b.low { (a, at_a, b, at_b) } else { (b, at_b, a, at_a) };
    format!(
        "The median of {} ({}) is {} below that of {} ({}).",
        fast.name,
        interval(fast_at),
        how_much(fast_at, slow_at),
        slow.name,
        interval(slow_at)
    )
}

/// `20 % to 30 %`: the least and the most that both intervals allow.
fn how_much(fast: Interval, slow: Interval) -> String {
    let below = |fast: f64, slow: f64| percent((100.0 * (1.0 - fast / slow)).round());
    let (least, most) = (below(fast.high, slow.low), below(fast.low, slow.high));
    if least == most { least } else { format!("{} to {most}", least.trim_end_matches(" %")) }
}

/// Medians over all answers and over correct ones, each called what it is.
fn both_ways(a: Side<'_>, b: Side<'_>) -> String {
    let correct = |side: Side<'_>| side.target.latency_ms.map_or_else(|| "–".to_owned(), |latency| ms(latency.p50));
    let all = |side: Side<'_>| match side.target.latency_all_ms {
        Some(latency) => ms(latency.p50),
        None => correct(side),
    };
    format!(
        "Medians over correct answers only: {} at {}, {} at {}; over all answers, wrong ones too: {} and {}.",
        correct(a),
        a.name,
        correct(b),
        b.name,
        all(a),
        all(b)
    )
}

/// What `latency_ms` is called.
pub fn kind(kind: LatencyKind) -> &'static str {
    match kind {
        LatencyKind::Response => "response time",
        LatencyKind::Service => "service time",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::record::Latency;

    /// Latencies spread evenly from `from` to `from` + 10 ms.
    fn target(from: f64, requests: u64, errors: u64) -> TargetResult {
        let latency = (requests > errors).then(|| Latency { p50: from + 5.0, ..Latency::default() });
        TargetResult {
            requests,
            errors,
            latency_ms: latency,
            latency_all_ms: latency.filter(|_| errors > 0).map(|latency| Latency { p50: 0.5, ..latency }),
            distribution: vec![(0.0, from), (0.5, from + 5.0), (1.0, from + 10.0)],
            ..TargetResult::default()
        }
    }

    fn said(a: &TargetResult, b: &TargetResult) -> String {
        let side = |name, target| Side::of(name, &RunResult::empty("web", jiff::Timestamp::UNIX_EPOCH), target);
        conclude(side("old", a), side("new", b))
    }

    #[test]
    fn failing_fast_is_not_faster() {
        let text = said(&target(20.0, 1000, 0), &target(2.0, 1000, 600));
        assert!(text.starts_with("new fails more: 60 % of its requests, against 0 % at old."), "{text}");
        assert!(text.contains("No winner is named, as new has more errors than allowed."), "{text}");
        assert!(text.contains("over correct answers only: 25.0 ms at old, 7.00 ms at new"), "{text}");
        assert!(text.contains("over all answers, wrong ones too: 25.0 ms and 500 µs"), "{text}");
        assert!(!text.contains("below"), "{text}");
    }

    #[test]
    fn a_difference_is_named_with_how_much_and_only_where_intervals_do_not_overlap() {
        assert!(said(&target(0.0, 100, 0), &target(1.0, 100, 0)).contains("cannot be distinguished"));
        // Medians 4.02–5.98 and 14.02–15.98: at least 1 − 5.98 / 14.02, at most 1 − 4.02 / 15.98.
        let text = said(&target(10.0, 100, 0), &target(0.0, 100, 0));
        assert_eq!(text, "The median of new (4.02–5.98 ms) is 57 to 75 % below that of old (14.0–16.0 ms).");
        assert!(said(&target(0.0, 10, 0), &target(9.0, 10, 0)).starts_with("Too few"));
    }

    #[test]
    fn nothing_measured_and_another_kind_of_latency_are_not_compared() {
        assert!(
            said(&target(0.0, 100, 0), &target(0.0, 100, 100))
                .ends_with("new gave no correct answer: there is no latency to compare.")
        );
        let response = TargetResult { latency_kind: LatencyKind::Response, ..target(0.0, 100, 0) };
        assert!(said(&target(90.0, 100, 0), &response).contains("one is response time"));
    }
}
