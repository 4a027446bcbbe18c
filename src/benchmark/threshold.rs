//! Thresholds: what a run must reach. `errors < 1%`, `p99 < 500ms`, `phase spike: rate > 100/s`, `each minute: p95 <
//! 300ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::result::record::{Column, Latency, TargetResult, ThresholdResult};

/// One condition; every target that its scope names must meet it.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    pub scope: Scope,
    pub metric: Metric,
    pub comparison: Comparison,
    /// Percent, milliseconds or requests per second, as the metric has it.
    pub value: f64,
    /// Ends the run where it does not hold, from so long after the start on.
    pub abort_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Errors,
    Rate,
    /// The highest rate of a minute.
    PeakRate,
    Evenness,
    InstanceHours,
    /// The most instances that ran at once.
    Capacity,
    Min,
    Mean,
    P50,
    P90,
    P95,
    P99,
    P999,
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Metric {
    const ALL: [(&'static str, Metric); 14] = [
        ("errors", Metric::Errors),
        ("rate", Metric::Rate),
        ("peak_rate", Metric::PeakRate),
        ("evenness", Metric::Evenness),
        ("instance_hours", Metric::InstanceHours),
        ("capacity", Metric::Capacity),
        ("min", Metric::Min),
        ("mean", Metric::Mean),
        ("p50", Metric::P50),
        ("p90", Metric::P90),
        ("p95", Metric::P95),
        ("p99", Metric::P99),
        ("p999", Metric::P999),
        ("max", Metric::Max),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, metric)| *metric == self).map_or("", |(name, _)| name)
    }

    pub fn unit(self) -> &'static str {
        match self {
            Metric::Errors | Metric::Evenness => "%",
            Metric::Rate | Metric::PeakRate => "/s",
            Metric::InstanceHours => "h",
            Metric::Capacity => "",
            _ => "ms",
        }
    }

    /// Whether it can be told of a phase.
    fn is_known_by_the_phase(self) -> bool {
        !matches!(self, Metric::PeakRate | Metric::Evenness | Metric::InstanceHours | Metric::Capacity)
    }

    /// `None` where there is nothing to measure: no request, no correct answer, no instance that named itself or was
    /// watched.
    fn measured(self, figures: &Figures) -> Option<f64> {
        let latency = figures.latency.as_ref();
        let value = match self {
            Metric::Errors => return figures.error_percent,
            Metric::Rate => return figures.rate,
            Metric::PeakRate => return figures.peak_rate,
            Metric::Evenness => return figures.evenness,
            Metric::InstanceHours => return figures.instance_hours,
            Metric::Capacity => return figures.capacity,
            Metric::Min => |latency: &Latency| latency.min,
            Metric::Mean => |latency: &Latency| latency.mean,
            Metric::P50 => |latency: &Latency| latency.p50,
            Metric::P90 => |latency: &Latency| latency.p90,
            Metric::P95 => |latency: &Latency| latency.p95,
            Metric::P99 => |latency: &Latency| latency.p99,
            Metric::P999 => |latency: &Latency| latency.p999,
            Metric::Max => |latency: &Latency| latency.max,
        };
        latency.map(value)
    }

    fn is_known_by_the_minute(self) -> bool {
        matches!(self, Metric::Errors | Metric::Rate | Metric::P50 | Metric::P95 | Metric::P99)
    }
}

/// What a threshold looks at: a target, a phase, a request of the mix, or a minute.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    error_percent: Option<f64>,
    rate: Option<f64>,
    peak_rate: Option<f64>,
    evenness: Option<f64>,
    instance_hours: Option<f64>,
    capacity: Option<f64>,
    latency: Option<Latency>,
}

impl Figures {
    fn of_target(target: &TargetResult) -> Self {
        Self {
            error_percent: target.error_percent(),
            rate: Some(target.rate),
            peak_rate: whole_minutes(target)
                .map(|(_, minute)| {
                    target.per_second(minute.requests.saturating_sub(minute.errors), minute.seconds.into())
                })
                .reduce(f64::max),
            evenness: target.evenness(),
            instance_hours: target.instance_hours,
            capacity: target.capacity_max.map(f64::from),
            latency: target.latency_ms,
        }
    }

    /// `seconds` are those of the region's time.
    fn of_part(
        target: &TargetResult,
        (requests, errors): (u64, u64),
        seconds: Option<f64>,
        latency: Option<Latency>,
    ) -> Self {
        let seconds = seconds.filter(|seconds| *seconds > 0.0);
        Self {
            error_percent: (requests > 0).then(|| 100.0 * errors as f64 / requests as f64),
            rate: seconds.map(|seconds| target.per_second(requests.saturating_sub(errors), seconds)),
            latency,
            ..Self::default()
        }
    }

    fn of_minute(target: &TargetResult, minute: &Column) -> Self {
        let percentiles = minute.p50_ms.zip(minute.p95_ms).zip(minute.p99_ms);
        let latency = percentiles.map(|((p50, p95), p99)| Latency { p50, p95, p99, ..Latency::default() });
        Self::of_part(target, (minute.requests, minute.errors), Some(minute.seconds.into()), latency)
    }
}

/// Where a threshold holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every target, over the whole run.
    Run,
    Cluster(String),
    /// The phase (or thread) of this name.
    Phase(String),
    /// The request of the mix.
    Request(String),
    EachMinute,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Run => Ok(()),
            Scope::Cluster(name) => write!(f, "cluster {name}: "),
            Scope::Phase(name) => write!(f, "phase {name}: "),
            Scope::Request(name) => write!(f, "request {name}: "),
            Scope::EachMinute => write!(f, "each minute: "),
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let named =
            |kind: &str| text.strip_prefix(kind).map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        None.or_else(|| (text == "each minute").then_some(Scope::EachMinute))
            .or_else(|| named("cluster ").map(Scope::Cluster))
            .or_else(|| named("phase ").map(Scope::Phase))
            .or_else(|| named("request ").map(Scope::Request))
            .ok_or_else(|| format!("{text:?} is no part of a run; there are `cluster NAME`, `phase NAME`, `request NAME` and `each minute`"))
    }
}

impl Comparison {
    const ALL: [(&'static str, Comparison); 4] =
        [("<=", Comparison::AtMost), (">=", Comparison::AtLeast), ("<", Comparison::Below), (">", Comparison::Above)];

    fn symbol(self) -> &'static str {
        Self::ALL.iter().find(|(_, comparison)| *comparison == self).map_or("", |(symbol, _)| symbol)
    }

    fn holds(self, measured: f64, value: f64) -> bool {
        match self {
            Comparison::Below => measured < value,
            Comparison::AtMost => measured <= value,
            Comparison::Above => measured > value,
            Comparison::AtLeast => measured >= value,
        }
    }
}

impl Threshold {
    /// # Errors
    /// Where it cannot be judged before the end.
    pub fn aborting(self, after: Duration) -> Result<Self, String> {
        let grows = matches!(
            self.metric,
            Metric::Rate | Metric::PeakRate | Metric::Evenness | Metric::InstanceHours | Metric::Capacity
        );
        if grows || self.scope == Scope::EachMinute {
            return Err(format!("`{self}` is known at the end of a run only; errors and latencies can abort it"));
        }
        Ok(Self { abort_after: Some(after), ..self })
    }

    /// What it finds so long after the start, where it is to end the run now. What is not measured yet ends nothing.
    pub fn aborts(&self, target: &TargetResult, elapsed: Duration) -> Option<ThresholdResult> {
        self.abort_after.filter(|after| elapsed >= *after)?;
        self.check(target).filter(|result| !result.held && result.measured.is_some())
    }

    /// `None` where it is about another target. What was not measured holds nothing.
    pub fn check(&self, target: &TargetResult) -> Option<ThresholdResult> {
        let mut lost = Vec::new();
        let measured = match &self.scope {
            Scope::Cluster(name) if *name != target.name => return None,
            Scope::Run | Scope::Cluster(_) => self.metric.measured(&Figures::of_target(target)),
            Scope::Phase(name) => {
                let own = target.phases.iter().filter(|phase| phase.label == *name || phase.thread == *name);
                self.worst(own.filter(|phase| phase.requests > 0).map(|phase| {
                    let seconds = phase.ended.duration_since(phase.started).as_secs_f64();
                    let counts = (phase.requests, phase.errors);
                    self.metric.measured(&Figures::of_part(target, counts, Some(seconds), phase.latency_ms))
                }))
            }
            Scope::Request(name) => {
                let own = target.endpoints.iter().filter(|one| one.name == *name);
                self.worst(own.map(|one| {
                    self.metric.measured(&Figures::of_part(target, (one.requests, one.errors), None, one.latency_ms))
                }))
            }
            Scope::EachMinute => {
                let minutes = whole_minutes(target);
                for (number, minute) in minutes.clone() {
                    let measured = self.metric.measured(&Figures::of_minute(target, minute));
                    if !measured.is_some_and(|measured| self.comparison.holds(measured, self.value)) {
                        lost.push(number);
                    }
                }
                self.worst(minutes.map(|(_, minute)| self.metric.measured(&Figures::of_minute(target, minute))))
            }
        };
        Some(ThresholdResult {
            threshold: self.to_string(),
            target: target.name.clone(),
            measured: measured.map(|measured| (measured * 1000.0).round() / 1000.0),
            unit: self.metric.unit().to_owned(),
            held: measured.is_some_and(|measured| self.comparison.holds(measured, self.value)),
            lost_minutes: lost,
        })
    }

    /// The one that is furthest from holding; `None` where there is none, or one of them measured nothing.
    fn worst(&self, values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
        let values = values.collect::<Option<Vec<f64>>>()?;
        match self.comparison {
            Comparison::Below | Comparison::AtMost => values.into_iter().reduce(f64::max),
            Comparison::Above | Comparison::AtLeast => values.into_iter().reduce(f64::min),
        }
    }
}

/// Minutes that the run filled and in which requests ended, with their numbers from 1. A run of less than a minute is
/// one.
fn whole_minutes(target: &TargetResult) -> impl Iterator<Item = (u32, &Column)> + Clone {
    let seconds = target.timeline_seconds();
    let whole = move |minute: &&Column| minute.at + minute.seconds <= seconds || minute.at == 0;
    let asked = |minute: &&Column| minute.requests > 0;
    target.minutes.iter().filter(whole).filter(asked).map(|minute| (minute.at / minute.seconds + 1, minute))
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{} {} {}{}",
            self.scope,
            self.metric.name(),
            self.comparison.symbol(),
            self.value,
            self.metric.unit()
        )
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scope, text) = match text.rsplit_once(':') {
            Some((scope, rest)) => (scope.parse()?, rest),
            None => (Scope::Run, text),
        };
        let at = text.find(['<', '>']).ok_or_else(|| format!("{text:?} compares nothing"))?;
        let (name, rest) = (text[..at].trim(), &text[at..]);
        let metric =
            Metric::ALL.iter().find(|(known, _)| *known == name).map(|(_, metric)| *metric).ok_or_else(|| {
                let known: Vec<_> = Metric::ALL.iter().map(|(known, _)| *known).collect();
                format!("{name:?} is not measured; there are {}", known.join(", "))
            })?;
        let (symbol, comparison) =
            *Comparison::ALL.iter().find(|(symbol, _)| rest.starts_with(symbol)).expect("the text goes on with < or >");
        let value = rest[symbol.len()..].trim();
        let digits = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
        let number: f64 = value[..digits].parse().map_err(|_| format!("{value:?} is not a number with a unit"))?;
        let factor = match (metric.unit(), value[digits..].trim()) {
            ("%", "%") | ("/s", "/s") | ("ms", "ms") | ("h", "h" | "") | ("", "") => 1.0,
            ("ms", "s") => 1000.0,
            ("ms", "us" | "µs") => 0.001,
            ("", written) => return Err(format!("{name} is a number of instances, without {written:?}")),
            (unit, written) => return Err(format!("{name} is measured in {unit}, not in {written:?}")),
        };
        let by_part = matches!(scope, Scope::Phase(_) | Scope::Request(_) | Scope::EachMinute);
        if by_part && !metric.is_known_by_the_phase()
            || scope == Scope::EachMinute && !metric.is_known_by_the_minute()
            || matches!(scope, Scope::Request(_)) && metric == Metric::Rate
        {
            return Err(format!(
                "{name} is not measured for a part of a run such as `{}`",
                scope.to_string().trim_end_matches(": ")
            ));
        }
        Ok(Self { scope, metric, comparison, value: number * factor, abort_after: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::record::{EndpointResult, Phase, Second};

    fn target() -> TargetResult {
        TargetResult {
            name: "light".into(),
            requests: 200,
            errors: 1,
            rate: 150.0,
            latency_ms: Some(Latency { p99: 499.9, max: 700.0, ..Latency::default() }),
            instances: [("i-1".into(), 45), ("i-2".into(), 55)].into(),
            ..TargetResult::default()
        }
    }

    fn held(text: &str) -> bool {
        text.parse::<Threshold>().expect("a threshold").check(&target()).expect("about it").held
    }

    #[test]
    fn thresholds_compare_what_was_measured() {
        assert!(held("errors < 1%") && held("errors <= 0.5 %") && !held("errors < 0.5%"));
        assert!(held("p99 < 500ms") && held("p99<0.5s") && !held("max < 0.7 s") && held("max <= 700000us"));
        assert!(held("rate > 100/s") && !held("rate >= 151 /s"));
        assert!(held("evenness >= 90%") && !held("evenness > 90%"));
    }

    #[test]
    fn the_figures_of_a_part_are_its_own() {
        let part = |counts, seconds| Figures::of_part(&target(), counts, seconds, None);
        let figures = part((200, 3), Some(10.0));
        // 3 of 200, and 197 right answers in ten seconds.
        assert_eq!((figures.error_percent, figures.rate), (Some(1.5), Some(19.7)));
        assert_eq!((part((0, 0), Some(10.0)).error_percent, part((0, 0), Some(10.0)).rate), (None, Some(0.0)));
        assert_eq!((part((5, 0), Some(0.0)).rate, part((5, 0), None).rate), (None, None));
    }

    #[test]
    fn a_threshold_may_end_the_run_once_there_is_something_to_judge() {
        let seconds = Duration::from_secs;
        let threshold = |text: &str| text.parse::<Threshold>().expect("a threshold").aborting(seconds(5));
        let missed = threshold("p99 < 100ms").expect("known while it runs");
        assert_eq!(missed.aborts(&target(), seconds(4)), None, "too early");
        assert_eq!(missed.aborts(&target(), seconds(5)).and_then(|result| result.measured), Some(499.9));
        let held = threshold("errors < 1%").expect("known while it runs");
        assert_eq!(held.aborts(&target(), seconds(9)), None);
        let nothing = TargetResult { name: "light".into(), ..TargetResult::default() };
        assert_eq!(missed.aborts(&nothing, seconds(9)), None, "nothing is measured yet");
        for late in ["rate > 1/s", "each minute: p95 < 1s", "instance_hours < 220", "capacity <= 6"] {
            assert!(threshold(late).expect_err(late).contains("at the end of a run only"));
        }
    }

    #[test]
    fn instances_are_counted_without_a_unit_and_hours_with_or_without() {
        let result = TargetResult { capacity_max: Some(6), instance_hours: Some(219.5), ..target() };
        let held = |text: &str| text.parse::<Threshold>().expect("a threshold").check(&result).expect("about it").held;
        assert!(
            held("capacity <= 6")
                && !held("capacity < 6")
                && held("instance_hours < 220")
                && held("instance_hours <= 219.5h")
        );
        assert!("capacity <= 6h".parse::<Threshold>().expect_err("a unit").contains("without \"h\""));
        assert_eq!("capacity <= 6".parse::<Threshold>().expect("one").to_string(), "capacity <= 6");
    }

    #[test]
    fn nothing_measured_holds_no_threshold() {
        let nothing = TargetResult { name: "light".into(), ..TargetResult::default() };
        for text in ["errors < 1%", "p99 < 500ms", "evenness > 10%"] {
            let result = text.parse::<Threshold>().expect("a threshold").check(&nothing).expect("about it");
            assert_eq!((result.held, result.measured), (false, None), "{text}");
        }
    }

    #[test]
    fn a_threshold_may_be_about_a_cluster_a_phase_a_request_or_every_minute() {
        let latency = |p99| Some(Latency { p95: p99, p99, ..Latency::default() });
        let at = |second: i64| jiff::Timestamp::from_second(second).expect("a time");
        let phase = |label: &str, requests, p99| Phase {
            thread: "A".into(),
            label: label.into(),
            started: at(0),
            ended: at(10),
            requests,
            errors: 0,
            latency_ms: latency(p99),
        };
        let minute = |number: u32, p95| Column {
            at: number * 60,
            seconds: 60,
            requests: 600,
            p50_ms: p95,
            p95_ms: p95,
            p99_ms: p95,
            ..Column::default()
        };
        let mut target = target();
        target.phases = vec![phase("calm", 100, 90.0), phase("spike", 50, 700.0)];
        target.endpoints =
            vec![EndpointResult { name: "put".into(), requests: 10, errors: 1, latency_ms: latency(5.0) }];
        target.minutes = vec![minute(0, Some(200.0)), minute(1, Some(400.0)), minute(2, None), minute(3, Some(900.0))];
        target.timeline = (0..190).map(|at| Second { at, ..Second::default() }).collect();
        let check = |text: &str| text.parse::<Threshold>().expect(text).check(&target);
        let held = |text: &str| check(text).expect("about it").held;
        assert!(check("cluster heavy: p99 < 1ms").is_none() && held("cluster light: p99 < 500ms"));
        assert!(
            held("phase calm: p99 < 100ms") && !held("phase spike: p99 < 100ms") && held("phase calm: rate >= 10/s")
        );
        assert!(!held("phase A: p99 < 100ms"), "a thread is all its phases, and the worst counts");
        assert!(
            held("request put: errors < 11%") && !held("request put: errors < 10%") && !held("request get: p99 < 1s")
        );
        // The fourth minute is not over; the third has no correct answer.
        let minutes = check("each minute: p95 < 300ms").expect("about it");
        assert_eq!((minutes.held, minutes.measured, minutes.lost_minutes), (false, None, vec![2, 3]));
        assert!(held("each minute: rate >= 10/s"));
    }

    #[test]
    fn a_budget_of_instance_hours_and_the_highest_minute_are_thresholds() {
        let mut target = target();
        let check =
            |target: &TargetResult, text: &str| text.parse::<Threshold>().expect(text).check(target).expect("its own");
        let unknown = check(&target, "instance_hours <= 220h");
        assert_eq!((unknown.held, unknown.measured), (false, None), "nobody watched");
        target.instance_hours = Some(55.5);
        target.minutes = [(0, 600, 0), (60, 2400, 300), (120, 1200, 0)]
            .map(|(at, requests, errors)| Column { at, seconds: 60, requests, errors, ..Column::default() })
            .to_vec();
        target.timeline = (0..180).map(|at| Second { at, ..Second::default() }).collect();
        let hours = check(&target, "instance_hours <= 220h");
        assert_eq!((hours.held, hours.measured, hours.unit.as_str()), (true, Some(55.5), "h"));
        assert_eq!(check(&target, "peak_rate >= 35/s").measured, Some(35.0));
        assert!("phase calm: instance_hours < 3h".parse::<Threshold>().is_err());
    }

    #[test]
    fn a_threshold_that_makes_no_sense_says_why() {
        let error = |text: &str| text.parse::<Threshold>().expect_err("not a threshold");
        assert_eq!(error("p99 < 500"), "p99 is measured in ms, not in \"\"");
        assert_eq!(error("rate > 5%"), "rate is measured in /s, not in \"%\"");
        assert!(error("latency < 1s").starts_with("\"latency\" is not measured; there are errors, rate"));
        assert_eq!(error("p99"), "\"p99\" compares nothing");
        assert!(error("every minute: p99 < 1s").starts_with("\"every minute\" is no part of a run"));
        assert_eq!(error("each minute: max < 1s"), "max is not measured for a part of a run such as `each minute`");
        assert_eq!(error("p99 < fast"), "\"fast\" is not a number with a unit");
    }

    #[test]
    fn a_threshold_is_shown_in_the_unit_of_its_metric() {
        assert_eq!("p99<0.5s".parse::<Threshold>().expect("a threshold").to_string(), "p99 < 500ms");
    }
}
