//! What all workers counted, put together: the live figures of a target, and its part of the run's record.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::control::demanded;
use super::course::Mark;
use super::grid::Grid;
use super::interval::{Interval, Tally};
use super::plan::{Plan, TargetPlan};
use super::scenario::Phase;
use super::spread::round3;
use super::timeline::Timeline;
use crate::clock::speed;
use crate::result::record::{self, EndpointResult, LatencyKind, Repetition, TargetResult};

/// The rate shown is that of the last second.
const RATE_SAMPLES: usize = 5;
/// A row's histogram is kept open this long for workers that are late.
const SETTLE_AFTER: Duration = Duration::from_secs(2);

/// One target.
#[derive(Debug)]
pub struct Collector {
    grid: Grid,
    pub total: Tally,
    /// By endpoint and phase.
    parts: BTreeMap<(u16, u16), Tally>,
    warm_up: Tally,
    /// Requests by phase, those of the warm-up among them.
    sent: BTreeMap<u16, u64>,
    timeline: Timeline,
    /// (time, requests done) of the last second.
    samples: VecDeque<(Duration, u64)>,
}

impl Collector {
    pub fn new(grid: Grid) -> Self {
        Self {
            grid,
            total: Tally::default(),
            parts: BTreeMap::new(),
            warm_up: Tally::default(),
            sent: BTreeMap::new(),
            timeline: Timeline::new(grid),
            samples: VecDeque::new(),
        }
    }

    pub fn add(&mut self, interval: &Interval) {
        self.timeline.add(interval.row, &interval.tally);
        *self.sent.entry(interval.place.phase).or_default() += interval.tally.requests;
        if interval.place.warm_up {
            self.warm_up.add(&interval.tally);
        } else {
            self.total.add(&interval.tally);
            self.parts.entry((interval.place.endpoint, interval.place.phase)).or_default().add(&interval.tally);
        }
    }

    /// Requests answered so far, those of the warm-up among them.
    pub fn done(&self) -> u64 {
        self.total.requests + self.warm_up.requests
    }

    /// Closes rows that are over, and answers the rate of the last second.
    pub fn tick(&mut self, elapsed: Duration) -> f64 {
        self.timeline.settle(self.grid.row(elapsed.saturating_sub(SETTLE_AFTER)));
        self.samples.push_back((elapsed, self.done()));
        while self.samples.len() > RATE_SAMPLES {
            self.samples.pop_front();
        }
        let (then, before) = self.samples.front().copied().unwrap_or_default();
        let span = (elapsed - then).as_secs_f64();
        if span > 0.0 { (self.done() - before) as f64 / span } else { 0.0 }
    }

    /// What thresholds that may end the run look at: counts and latency of the target, of its phases and of its requests.
    pub fn so_far(&self, plan: &Plan, target: &TargetPlan, now: Timestamp) -> TargetResult {
        let phases = (0..plan.repeat)
            .flat_map(|_| plan.flows.iter().flat_map(|flow| flow.phases.iter().map(move |phase| (flow, phase))));
        let phases = (0..).zip(phases).map(|(number, (flow, phase))| {
            let span = Span { flow: &flow.name, phase, number, began: Duration::ZERO, ended: Duration::ZERO };
            span.record(&self.parts, now, now)
        });
        TargetResult {
            name: target.target.name.clone(),
            requests: self.total.requests,
            errors: self.total.failed(),
            latency_ms: self.total.latency().latency(),
            phases: phases.collect(),
            endpoints: endpoints(target, &self.parts),
            ..TargetResult::default()
        }
    }

    /// The target's part of the record.
    pub fn finish(
        self,
        plan: &Plan,
        target: &TargetPlan,
        marks: &[Mark],
        started: Timestamp,
        elapsed: Duration,
        history: &[(Duration, u32)],
    ) -> TargetResult {
        let spans = Spans::of(plan, marks, elapsed, history);
        let total = &self.total;
        let correct = (total.requests - total.failed()) as f64;
        let per_second = |span: Duration| (span > Duration::ZERO).then(|| round3(correct / span.as_secs_f64()));
        let rows = self.timeline.finish(self.grid.row(elapsed) + 1);
        let mut columns = rows.columns;
        for column in &mut columns {
            column.demanded = spans.demanded_in(self.grid.wall(column.at), self.grid.wall(column.at + column.seconds));
        }
        let has_wrong = total.wrong.count() > 0;
        TargetResult {
            name: target.target.name.clone(),
            speed: speed::speed(),
            url: target.target.url.clone(),
            requests: total.requests,
            errors: total.failed(),
            errors_by_kind: total.errors_by_kind(),
            retries: total.retries,
            warm_up_requests: self.warm_up.requests,
            demanded: spans.demanded_until(elapsed),
            demanded_sent: spans.demanded_sent(&self.sent),
            rate: per_second(elapsed.saturating_sub(plan.warm_up)).unwrap_or(0.0),
            rate_while_sending: per_second(spans.sending(plan.warm_up)),
            connections: total.connections + self.warm_up.connections,
            latency_kind: if total.response.count() > 0 { LatencyKind::Response } else { LatencyKind::Service },
            latency_ms: total.latency().latency(),
            service_ms: total.service.latency().filter(|_| total.response.count() > 0),
            latency_all_ms: total.latency_of_all().latency().filter(|_| has_wrong),
            distribution: total.latency().distribution(),
            distribution_all: if has_wrong { total.latency_of_all().distribution() } else { Vec::new() },
            phases: spans.phases(&self.parts, started),
            repetitions: spans.runs(&self.parts),
            endpoints: endpoints(target, &self.parts),
            status: self.total.status.clone(),
            instances: self.total.instances.clone().into_iter().collect(),
            healthy_seconds: BTreeMap::new(),
            instance_hours: None,
            capacity_max: None,
            timeline: rows.seconds,
            columns,
            minutes: rows.minutes,
        }
    }
}

/// A mix's requests one by one; a single request is the target itself.
fn endpoints(target: &TargetPlan, parts: &BTreeMap<(u16, u16), Tally>) -> Vec<EndpointResult> {
    if target.names.len() < 2 {
        return Vec::new();
    }
    let endpoint = |(number, name): (u16, &String)| {
        let mut sum = Tally::default();
        parts.iter().filter(|((endpoint, _), _)| *endpoint == number).for_each(|(_, tally)| sum.add(tally));
        EndpointResult {
            name: name.clone(),
            requests: sum.requests,
            errors: sum.failed(),
            latency_ms: sum.latency().latency(),
        }
    };
    // The mix of a scenario that only replays a log was never sent.
    let asked = |endpoint: &EndpointResult| !endpoint.name.is_empty();
    (target.first_endpoint..).zip(&target.names).map(endpoint).filter(asked).collect()
}

/// When each phase was under way, over all workers.
struct Spans<'a> {
    spans: Vec<Span<'a>>,
    /// What was changed by hand.
    history: &'a [(Duration, u32)],
    /// In one repetition.
    phases: usize,
}

struct Span<'a> {
    flow: &'a str,
    phase: &'a Phase,
    number: u16,
    began: Duration,
    ended: Duration,
}

impl<'a> Spans<'a> {
    fn of(plan: &'a Plan, marks: &[Mark], elapsed: Duration, history: &'a [(Duration, u32)]) -> Self {
        let mut spans = Vec::new();
        let once = || plan.flows.iter().flat_map(|flow| flow.phases.iter().map(move |phase| (flow, phase)));
        let phases = (0..plan.repeat).flat_map(|_| once());
        for (number, (flow, phase)) in (0_u16..).zip(phases) {
            let own = || marks.iter().filter(|mark| mark.phase == number);
            if let Some(began) = own().map(|mark| mark.began).min().filter(|began| *began <= elapsed) {
                let ended = own().map(|mark| mark.ended.unwrap_or(elapsed)).max().unwrap_or(elapsed).min(elapsed);
                spans.push(Span { flow: &flow.name, phase, number, began, ended });
            }
        }
        Self { spans, history, phases: plan.phases().max(1) }
    }

    /// One for each repetition that began, where there are several.
    fn runs(&self, parts: &BTreeMap<(u16, u16), Tally>) -> Vec<Repetition> {
        let of = |span: &Span<'_>| usize::from(span.number) / self.phases;
        let count = self.spans.iter().map(of).max().map_or(0, |last| last + 1);
        let run = |number: usize| {
            let own = || self.spans.iter().filter(move |span| of(span) == number);
            let began = own().map(|span| span.began).min().unwrap_or_default();
            let ended = own().map(|span| span.ended).max().unwrap_or_default();
            let mut sum = Tally::default();
            let parts = parts.iter().filter(|((_, phase), _)| usize::from(*phase) / self.phases == number);
            parts.for_each(|(_, tally)| sum.add(tally));
            let correct = (sum.requests - sum.failed()) as f64;
            Repetition {
                requests: sum.requests,
                errors: sum.failed(),
                rate: round3(correct / (ended - began).as_secs_f64().max(1e-9)),
                latency_ms: sum.latency().latency(),
            }
        };
        if count > 1 { (0..count).map(run).collect() } else { Vec::new() }
    }

    fn sending(&self, warm_up: Duration) -> Duration {
        let sending = self.spans.iter().filter(|span| span.phase.load.sends());
        covered(sending.map(|span| (span.began.max(warm_up), span.ended)).collect())
    }

    /// Requests that open phases demanded until then; `None` where there is no open phase.
    fn demanded_until(&self, at: Duration) -> Option<u64> {
        self.demand(at).map(|requests| requests.round() as u64)
    }

    /// Of the requests sent in each phase, those that a schedule demanded.
    fn demanded_sent(&self, sent: &BTreeMap<u16, u64>) -> Option<u64> {
        let open = self.spans.iter().filter(|span| span.phase.load.is_open());
        open.map(|span| sent.get(&span.number).copied().unwrap_or_default()).reduce(|sum, requests| sum + requests)
    }

    fn demand(&self, at: Duration) -> Option<f64> {
        let open = self.spans.iter().filter_map(|span| {
            span.phase.load.demanded_until(Duration::ZERO)?;
            let until = |at: Duration| span.phase.load.demanded_until(at.saturating_sub(span.began)).unwrap_or(0.0);
            Some(demanded(self.history, until, at))
        });
        open.reduce(|sum, requests| sum + requests)
    }

    /// Per second.
    fn demanded_in(&self, from: Duration, until: Duration) -> Option<f64> {
        let seconds = (until.saturating_sub(from)).as_secs_f64();
        Some(round3((self.demand(until)? - self.demand(from)?) / seconds))
    }

    fn phases(&self, parts: &BTreeMap<(u16, u16), Tally>, started: Timestamp) -> Vec<record::Phase> {
        let at = |offset: Duration| started + speed::region(offset);
        self.spans.iter().map(|span| span.record(parts, at(span.began), at(span.ended))).collect()
    }
}

impl Span<'_> {
    fn record(&self, parts: &BTreeMap<(u16, u16), Tally>, started: Timestamp, ended: Timestamp) -> record::Phase {
        let mut sum = Tally::default();
        parts.iter().filter(|((_, phase), _)| *phase == self.number).for_each(|(_, tally)| sum.add(tally));
        record::Phase {
            thread: self.flow.to_owned(),
            label: self.phase.label(),
            started,
            ended,
            requests: sum.requests,
            errors: sum.failed(),
            latency_ms: sum.latency().latency(),
        }
    }
}

/// The union of spans that may overlap, as one length.
fn covered(mut spans: Vec<(Duration, Duration)>) -> Duration {
    spans.sort();
    let mut total = Duration::ZERO;
    let mut until = Duration::ZERO;
    for (start, end) in spans {
        let start = start.max(until);
        if end > start {
            total += end - start;
            until = end;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_spans_are_counted_once() {
        let seconds = Duration::from_secs;
        let spans = vec![
            (seconds(10), seconds(20)),
            (seconds(0), seconds(4)),
            (seconds(12), seconds(15)),
            (seconds(3), seconds(5)),
        ];
        assert_eq!(covered(spans), seconds(15));
    }
}
