//! Sends a scenario's load and measures it: workers count, and the caller's runtime watches and puts together.
//!
//! A worker for each core, each a thread of the operating system with a runtime of its own, so that one busy worker does
//! not delay another's clock. Four times a second they hand over intervals; the watcher merges them and tells the sink.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::collector::Collector;
use super::control::Control;
use super::interval::{Failure, Interval, Tally};
use super::plan::Plan;
pub use super::plan::Target;
use super::scenario::Scenario;
use super::schedule;
use super::spread::milliseconds;
use super::worker::{Crew, WorkerEnd, work};
use crate::clock::{self, speed};
use crate::platform::processes;
use crate::problem::Problem;
use crate::resource::event::{Event, Progress, Sink, seconds};
use crate::result::figures;
use crate::result::record::{self, Adjustment, TargetResult, ThresholdResult};

const PROGRESS_EVERY: Duration = Duration::from_millis(250);
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

/// How many workers a machine carries: one for each core.
pub fn workers_default() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Runs the scenario's flows against every target. Its durations are the region's time (see [`speed`]). Cancelling ends the load at once and keeps what was measured.
pub async fn load(
    scenario: &Scenario,
    targets: &[Target],
    workers: usize,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<Measured, Problem> {
    controlled(scenario, targets, workers, sink, cancel, Arc::default()).await
}

/// As [`load`], while somebody may change it.
pub async fn controlled(
    scenario: &Scenario,
    targets: &[Target],
    workers: usize,
    sink: &dyn Sink,
    cancel: &CancellationToken,
    control: Arc<Control>,
) -> Result<Measured, Problem> {
    let scenario = &scenario.by_the_wall(speed::speed());
    let plan = Plan::new(scenario, targets, workers)?;
    allow_many_files();
    sink.event(Event::BenchStarted {
        scenario: scenario.name.clone(),
        targets: targets.iter().map(|target| target.name.clone()).collect(),
        requests: scenario.planned().unwrap_or(0) * targets.len() as u64,
    });
    // Runtimes first: the workers wait for each other, so nothing may fail once the first has begun.
    let runtimes = (0..plan.workers).map(|_| runtime()).collect::<Result<Vec<_>, _>>()?;
    // The user's own token stays as it is where a worker breaks.
    let crew = Arc::new(Crew::new(plan, cancel.child_token(), control));
    let cpu_before = clock::process_cpu();
    let (sender, mut counted) = mpsc::unbounded_channel::<Vec<Interval>>();
    let running = runtimes.into_iter().enumerate().map(|(number, runtime)| {
        let (crew, sender) = (crew.clone(), sender.clone());
        tokio::task::spawn_blocking(move || runtime.block_on(work(&crew, number, &sender)))
    });
    let mut joined = std::pin::pin!(futures_util::future::join_all(running));
    drop(sender);
    let mut watched = Watched::new(scenario, &crew);
    let ends = loop {
        tokio::select! {
            biased;
            ends = &mut joined => break ends,
            Some(intervals) = counted.recv() => watched.add(&intervals),
            () = clock::sleep(PROGRESS_EVERY) => {}
        }
        watched.tell(sink);
        watched.judge();
    };
    let elapsed = crew.start.get().map_or(Duration::ZERO, |start| clock::instant() - *start);
    while let Ok(intervals) = counted.try_recv() {
        watched.add(&intervals);
    }
    let ends: Vec<WorkerEnd> = ends
        .into_iter()
        .map(|end| match end {
            Ok(Ok(end)) => Ok(end),
            Ok(Err(error)) => Err(Problem::new("A worker could not go on", error.to_string())),
            Err(error) => Err(Problem::new("A worker broke", error.to_string())),
        })
        .collect::<Result<_, _>>()?;
    let cpu = clock::process_cpu().saturating_sub(cpu_before);
    watched.told = None;
    watched.tell(sink);
    sink.event(Event::BenchFinished { seconds: seconds(elapsed) });
    Ok(watched.finish(&ends, elapsed, cpu, cancel.is_cancelled()))
}

fn runtime() -> Result<tokio::runtime::Runtime, Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Problem::new("No runtime for a worker", error.to_string()))
}

/// Ten thousand users need ten thousand files, and a shell's soft limit is often 1,024.
fn allow_many_files() {
    // Where it is refused the old limit holds, and a load that meets it says so.
    processes::allow_descriptors(u64::MAX);
}

/// The load as the watcher sees it.
struct Watched<'a> {
    scenario: &'a Scenario,
    crew: &'a Crew,
    targets: Vec<Collector>,
    told: Option<std::time::Instant>,
    judged: Option<std::time::Instant>,
    aborted: Option<ThresholdResult>,
}

impl<'a> Watched<'a> {
    fn new(scenario: &'a Scenario, crew: &'a Crew) -> Self {
        let targets = crew.plan.targets.iter().map(|_| Collector::new(crew.plan.grid)).collect();
        Self { scenario, crew, targets, told: None, judged: None, aborted: None }
    }

    fn add(&mut self, intervals: &[Interval]) {
        for interval in intervals {
            let target = usize::from(interval.place.endpoint) / self.crew.plan.targets[0].names.len();
            self.targets[target].add(interval);
        }
    }

    /// Workers hand over one after the other: told is at most every quarter of a second.
    fn tell(&mut self, sink: &dyn Sink) {
        let (Some(start), now) = (self.crew.start.get(), clock::instant()) else { return };
        if self.told.is_some_and(|told| now - told < PROGRESS_EVERY) {
            return;
        }
        self.told = Some(now);
        let share = f64::from(self.share());
        for (number, target) in self.targets.iter_mut().enumerate() {
            let rate = target.tick(now - *start);
            let quantile = |quantile| target.total.latency().quantile(quantile).map(milliseconds);
            let schedule = schedule::now(&self.crew.plan, |flow| self.crew.current(number, flow), now - *start);
            let progress = Progress {
                done: target.done(),
                planned: self.scenario.planned().unwrap_or(0),
                errors: target.total.failed(),
                rate,
                p50_ms: quantile(0.5),
                p99_ms: quantile(0.99),
                phase: phase(self.crew, number),
                demand: schedule.demand.map(|demand| demand * share / 100.0),
                elapsed_s: seconds(speed::region(now - *start)),
                left_s: schedule.left.map(|left| seconds(speed::region(left))),
                next: schedule.next,
            };
            sink.event(Event::BenchProgress { target: self.crew.plan.targets[number].target.name.clone(), progress });
        }
    }

    /// Of the schedule's rate, in percent, that is demanded now.
    fn share(&self) -> u32 {
        let control = &self.crew.control;
        if control.is_paused() { 0 } else { control.percent() }
    }

    /// Ends the load where a threshold that may do so is missed.
    fn judge(&mut self) {
        let thresholds = || self.scenario.thresholds.iter().filter(|threshold| threshold.abort_after.is_some());
        let (Some(start), now) = (self.crew.start.get(), clock::instant()) else { return };
        let is_early = self.judged.is_some_and(|judged| now - judged < JUDGE_EVERY);
        if thresholds().next().is_none() || is_early || self.aborted.is_some() {
            return;
        }
        self.judged = Some(now);
        let plan = &self.crew.plan;
        for (collector, target) in self.targets.iter().zip(&plan.targets) {
            let so_far = collector.so_far(plan, target, clock::now());
            let missed = thresholds().find_map(|threshold| threshold.aborts(&so_far, now - *start));
            if let Some(missed) = missed {
                self.aborted = Some(missed);
                self.crew.cancel.cancel();
                return;
            }
        }
    }

    fn finish(self, ends: &[WorkerEnd], elapsed: Duration, cpu: Duration, interrupted: bool) -> Measured {
        let ended = clock::now();
        let started = ended - speed::region(elapsed);
        let mut sum = Tally::default();
        self.targets.iter().for_each(|target| sum.add(&target.total));
        let client = client(ends, &sum, elapsed, cpu, self.crew.plan.connections_max);
        let plan = &self.crew.plan;
        let history = self.crew.start.get().map(|start| self.crew.control.history(*start)).unwrap_or_default();
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
fn phase(crew: &Crew, target: usize) -> String {
    let flows = crew.plan.flows.iter().enumerate();
    let current = flows.filter_map(|(number, flow)| {
        let label = flow.phases[crew.current(target, number)?].label();
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
        cpu: rounded(percent(cpu, elapsed)),
        busiest_thread: rounded(busiest),
        late: waited,
        late_p99_ms: late.map(milliseconds),
        workers: u32::try_from(ends.len()).unwrap_or(u32::MAX),
        limited: !limits.is_empty(),
        limits,
    }
}
