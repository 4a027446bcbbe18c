//! Figures in words: units, thousands, and the sentences of the report.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::compare::{Interval, median};
use crate::benchmark::result::{RunResult, TargetResult, Verdict};

/// `1234567` → `1,234,567`
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Milliseconds with three significant digits; seconds from ten seconds on.
pub fn ms(milliseconds: f64) -> String {
    match milliseconds {
        value if value >= 10_000.0 => format!("{:.1} s", value / 1000.0),
        value if value >= 1000.0 => format!("{} ms", count(value.round() as u64)),
        value => format!("{} ms", three(value)),
    }
}

/// A rate per second, without the unit.
pub fn rate(per_second: f64) -> String {
    if per_second >= 1000.0 { count(per_second.round() as u64) } else { three(per_second) }
}

/// A rate on an axis.
pub fn rate_tick(per_second: f64) -> String {
    if per_second >= 10.0 { count(per_second.round() as u64) } else { format!("{per_second}") }
}

pub fn percent(value: f64) -> String {
    match value {
        value if value == 0.0 || value >= 99.95 || value == value.round() => format!("{value:.0} %"),
        value if value < 0.1 => "< 0.1 %".to_owned(),
        value => format!("{value:.1} %"),
    }
}

fn three(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// `1 min 5 s`
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

pub fn dollars(amount: f64) -> String {
    match amount {
        0.0 => "$0".to_owned(),
        amount if amount < 0.01 => format!("${amount:.4}"),
        amount => format!("${amount:.2}"),
    }
}

/// `$1.04`, or `$0.42 to $1.04`
pub fn dollar_range(least: f64, most: f64) -> String {
    let (least, most) = (dollars(least), dollars(most));
    if least == most { least } else { format!("{least} to {most}") }
}

/// `21 November 2026, 21:45:12 UTC`
pub fn time(timestamp: Timestamp) -> String {
    timestamp.to_zoned(TimeZone::UTC).strftime("%-d %B %Y, %H:%M:%S UTC").to_string()
}

pub fn elapsed_seconds(run: &RunResult) -> f64 {
    run.ended.duration_since(run.started).as_secs_f64()
}

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
        duration(elapsed_seconds(run)),
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

pub fn interval(interval: Interval) -> String {
    let (low, high) = (ms(interval.low), ms(interval.high));
    match (low.strip_suffix(" ms"), low == high) {
        (_, true) => low,
        (Some(low), _) if high.ends_with(" ms") => format!("{low}–{high}"),
        _ => format!("{low}–{high}"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_naturally() {
        assert_eq!([count(7), count(1000), count(1_234_567)], ["7", "1,000", "1,234,567"]);
        assert_eq!(
            [ms(0.123), ms(4.567), ms(45.67), ms(456.7), ms(4567.0), ms(45_670.0)],
            ["0.12 ms", "4.57 ms", "45.7 ms", "457 ms", "4,567 ms", "45.7 s"]
        );
        assert_eq!(
            [percent(0.0), percent(0.04), percent(12.34), percent(100.0)],
            ["0 %", "< 0.1 %", "12.3 %", "100 %"]
        );
        assert_eq!([duration(7.84), duration(65.2), duration(3700.0)], ["7.8 s", "1 min 5 s", "1 h 1 min"]);
        assert_eq!([dollars(0.0), dollars(0.0123), dollars(0.0042)], ["$0", "$0.01", "$0.0042"]);
    }
}
