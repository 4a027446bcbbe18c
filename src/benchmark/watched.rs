//! A load as its watcher sees it: intervals come in, whoever watches is told, thresholds that may end it are judged, and at its
//! end all of it is what was measured.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::collector::Collector;
use super::course::{Course, WorkerEnd};
use super::interval::{Failure, Interval, Tally};
use super::scenario::Scenario;
use super::schedule;
use super::spread::milliseconds;
use crate::clock::{self, speed};
use crate::resource::event::{Event, Progress, Sink, seconds};
use crate::result::figures;
use crate::result::record::{self, Adjustment, TargetResult, ThresholdResult};

pub const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// How often thresholds that may end the run are judged.
const JUDGE_EVERY: Duration = Duration::from_secs(1);
/// A worker busier than this was probably what limited the rate.
const BUSY_PERCENT: f64 = 90.0;
/// Lateness of the 99th percentile below this is the operating system's, and tells nothing.
const LATE_MIN: Duration = Duration::from_millis(1);
/// A larger part of the response time's p99 than this is the client's own.
const LATE_SHARE: f64 = 0.1;
/// So many requests in a thousand that found no free connection are a stall; more are a limit.
const WAITED_PER_THOUSAND: u64 = 10;

/// What a load measured.
#[derive(Clone, Debug)]
pub struct Measured {
    pub started: Timestamp,
    pub ended: Timestamp,
    pub interrupted: bool,
    /// The threshold that ended it, and the target that missed it.
    pub aborted: Option<ThresholdResult>,
    /// What was changed by hand.
    pub adjustments: Vec<Adjustment>,
    pub targets: Vec<TargetResult>,
    pub client: record::Client,
}

pub struct Watched<'a> {
    scenario: &'a Scenario,
    course: &'a Course,
    sink: &'a dyn Sink,
    targets: Vec<Collector>,
    told: Option<Instant>,
    judged: Option<Instant>,
    aborted: Option<ThresholdResult>,
}

impl<'a> Watched<'a> {
    /// `scenario` is the one by the wall.
    pub fn begin(scenario: &'a Scenario, course: &'a Course, sink: &'a dyn Sink) -> Self {
        let targets = &course.plan.targets;
        sink.event(Event::BenchStarted {
            scenario: scenario.name.clone(),
            targets: targets.iter().map(|target| target.target.name.clone()).collect(),
            requests: scenario.planned().unwrap_or(0) * targets.len() as u64,
        });
        let targets = targets.iter().map(|_| Collector::new(course.plan.grid)).collect();
        Self { scenario, course, sink, targets, told: None, judged: None, aborted: None }
    }

    pub fn add(&mut self, intervals: &[Interval]) {
        for interval in intervals {
            let target = usize::from(interval.place.endpoint) / self.course.plan.targets[0].names.len();
            self.targets[target].add(interval);
        }
    }

    /// Workers hand over one after the other: told is at most every quarter of a second.
    pub fn tell(&mut self) {
        let (Some(start), now) = (self.course.start.get(), clock::instant()) else { return };
        if self.told.is_some_and(|told| now - told < PROGRESS_EVERY) {
            return;
        }
        self.told = Some(now);
        let share = f64::from(self.share());
        for (number, target) in self.targets.iter_mut().enumerate() {
            let rate = target.tick(now - *start);
            let quantile = |quantile| target.total.latency().quantile(quantile).map(milliseconds);
            let schedule = schedule::now(&self.course.plan, |flow| self.course.current(number, flow), now - *start);
            let progress = Progress {
                done: target.done(),
                planned: self.scenario.planned().unwrap_or(0),
                errors: target.total.failed(),
                rate,
                p50_ms: quantile(0.5),
                p99_ms: quantile(0.99),
                phase: phase(self.course, number),
                demand: schedule.demand.map(|demand| demand * share / 100.0),
                elapsed_s: seconds(speed::region(now - *start)),
                left_s: schedule.left.map(|left| seconds(speed::region(left))),
                next: schedule.next,
            };
            self.sink
                .event(Event::BenchProgress { target: self.course.plan.targets[number].target.name.clone(), progress });
        }
    }

    /// Of the schedule's rate, in percent, that is demanded now.
    fn share(&self) -> u32 {
        let control = &self.course.control;
        if control.is_paused() { 0 } else { control.percent() }
    }

    /// Ends the load where a threshold that may do so is missed.
    pub fn judge(&mut self) {
        let thresholds = || self.scenario.thresholds.iter().filter(|threshold| threshold.abort_after.is_some());
        let (Some(start), now) = (self.course.start.get(), clock::instant()) else { return };
        let is_early = self.judged.is_some_and(|judged| now - judged < JUDGE_EVERY);
        if thresholds().next().is_none() || is_early || self.aborted.is_some() {
            return;
        }
        self.judged = Some(now);
        let plan = &self.course.plan;
        for (collector, target) in self.targets.iter().zip(&plan.targets) {
            let so_far = collector.so_far(plan, target, clock::now());
            let missed = thresholds().find_map(|threshold| threshold.aborts(&so_far, now - *start));
            if let Some(missed) = missed {
                self.aborted = Some(missed);
                self.course.cancel.cancel();
                return;
            }
        }
    }

    pub fn finish(mut self, ends: &[WorkerEnd], elapsed: Duration, cpu: Duration, interrupted: bool) -> Measured {
        self.told = None;
        self.tell();
        self.sink.event(Event::BenchFinished { seconds: seconds(elapsed) });
        let ended = clock::now();
        let started = ended - speed::region(elapsed);
        let mut sum = Tally::default();
        self.targets.iter().for_each(|target| sum.add(&target.total));
        let client = client(ends, &sum, elapsed, cpu, self.course.plan.connections_max);
        let plan = &self.course.plan;
        let history = self.course.start.get().map(|start| self.course.control.history(*start)).unwrap_or_default();
        let finish = |(number, (collector, target)): (usize, (Collector, &super::plan::TargetPlan))| {
            let marks = ends.iter().flat_map(|end| &end.marks).filter(|mark| mark.target == number);
            collector.finish(plan, target, &marks.copied().collect::<Vec<_>>(), started, elapsed, &history)
        };
        let targets = self.targets.into_iter().zip(&plan.targets).enumerate().map(finish).collect();
        let adjustment =
            |(at, percent): &(Duration, u32)| Adjustment { at: seconds(speed::region(*at)), percent: *percent };
        let adjustments = history.iter().map(adjustment).collect();
        Measured { started, ended, interrupted, aborted: self.aborted, adjustments, targets, client }
    }
}

/// What the flows that are not done are doing: `A: 1000 requests, B: pause 60 s`.
fn phase(course: &Course, target: usize) -> String {
    let flows = course.plan.flows.iter().enumerate();
    let current = flows.filter_map(|(number, flow)| {
        let label = flow.phases[course.current(target, number)?].label();
        Some(if flow.name.is_empty() { label } else { format!("{}: {label}", flow.name) })
    });
    current.collect::<Vec<_>>().join(", ")
}

/// The load generator's own health, and what it ran into.
fn client(ends: &[WorkerEnd], sum: &Tally, elapsed: Duration, cpu: Duration, connections_max: u32) -> record::Client {
    let percent = |part: Duration, whole: Duration| 100.0 * part.as_secs_f64() / whole.as_secs_f64().max(1e-9);
    let busiest = ends.iter().map(|end| percent(end.sending_cpu, end.sending)).fold(0.0, f64::max);
    let mut limits = Vec::new();
    if busiest >= BUSY_PERCENT {
        limits.push(format!(
            "its busiest worker used {} of a processor: use a machine with more or faster cores, or ask for less",
            figures::percent(busiest)
        ));
    }
    let late = sum.lateness.quantile(0.99);
    let response = sum.response.quantile(0.99).unwrap_or_default();
    if let Some(late) =
        late.filter(|late| *late >= LATE_MIN && late.as_secs_f64() > LATE_SHARE * response.as_secs_f64())
    {
        limits.push(format!(
            "one request in a hundred left {} or more after it was due: give the load generator a machine of its own, or \
             lower the rate",
            figures::ms(milliseconds(late))
        ));
    }
    let waited: u64 = ends.iter().map(|end| end.waited).sum();
    if waited * 1000 > sum.requests * WAITED_PER_THOUSAND {
        limits.push(format!(
            "{} requests found none of the {connections_max} connections free: raise `connections`",
            figures::count(waited)
        ));
    }
    let exhausted = sum.errors[Failure::Exhausted as usize];
    if exhausted > 0 {
        limits.push(format!(
            "{} requests found no free port or file on this machine: keep connections alive, or raise `ulimit -n`",
            figures::count(exhausted)
        ));
    }
    let rounded = |value: f64| (value * 10.0).round() / 10.0;
    record::Client {
        engine: String::new(),
        notes: Vec::new(),
        cpu: rounded(percent(cpu, elapsed)),
        busiest_thread: rounded(busiest),
        late: waited,
        late_p99_ms: late.map(milliseconds),
        workers: u32::try_from(ends.len()).unwrap_or(u32::MAX),
        limited: !limits.is_empty(),
        limits,
    }
}
