//! Sends a scenario's load and measures it: the shell around `schedule`, `client` and `recorder`.
//!
//! Every thread of the scenario is a thread of the operating system with a runtime of its own, so that one busy thread
//! does not delay another's clock; its connections are futures on it. All threads wait for each other before the first
//! request. The caller's runtime only watches: four times a second it reads what was recorded and tells the sink.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

use super::client::{Client, Endpoint};
use super::recorder::{Recorder, Tally, Timeline};
use super::scenario::{Scenario, Step, Thread};
use super::schedule::{Budget, Move, Schedule, covered};
use crate::clock;
use crate::problem::Problem;
use crate::resource::event::{Event, Progress, Sink, seconds};
use crate::result::record::{self, Phase, TargetResult};

const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// The rate shown is that of the last second.
const RATE_SAMPLES: usize = 5;
/// A load thread busier than this was probably what limited the rate.
const LIMITED_PERCENT: f64 = 80.0;
/// Threads of the operating system, over all targets; more connections per thread cost less.
const THREADS_MAX: usize = 256;
/// The timeline keeps a second's histogram this long for threads that are late.
const SETTLE_AFTER_SECONDS: u32 = 2;

/// Something to load: a cluster's route, or any URL.
#[derive(Clone, Debug)]
pub struct Target {
    pub name: String,
    pub url: String,
}

/// What a load measured.
#[derive(Clone, Debug)]
pub struct Measured {
    pub started: Timestamp,
    pub ended: Timestamp,
    pub interrupted: bool,
    pub targets: Vec<TargetResult>,
    pub client: record::Client,
}

/// What a load thread shares with the watcher.
#[derive(Default)]
struct Shared {
    recorder: Mutex<Recorder>,
    /// The step under way, counted from 1; 0 before the start, beyond the last when done.
    step: AtomicUsize,
}

impl Shared {
    fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The moment that everything is measured from, set when all threads are ready.
#[derive(Clone)]
struct Start {
    barrier: Arc<Barrier>,
    at: Arc<OnceLock<Instant>>,
}

/// What a load thread answers at its end.
struct ThreadEnd {
    /// (step, started, ended, requests, errors); times count from the start.
    steps: Vec<(Step, Duration, Duration, u64, u64)>,
    sending_cpu: Duration,
}

/// Runs the scenario's threads against every target. Cancelling ends the load at once and keeps what was measured.
pub async fn load(
    scenario: &Scenario,
    targets: &[Target],
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Result<Measured, Problem> {
    let endpoints: Vec<Endpoint> = targets
        .iter()
        .map(|target| Endpoint::new(&target.url, scenario.timeout, scenario.expect.clone()))
        .collect::<Result<_, _>>()?;
    let count = targets.len() * scenario.threads.len();
    if count > THREADS_MAX {
        let detail = format!("{} targets with {} threads each are {count}", targets.len(), scenario.threads.len());
        return Err(Problem::usage("Too many load threads", detail)
            .hint(format!("at most {THREADS_MAX}: give a thread more `connections` instead")));
    }
    sink.event(Event::BenchStarted {
        scenario: scenario.name.clone(),
        targets: targets.iter().map(|target| target.name.clone()).collect(),
        requests: scenario.requests() * targets.len() as u64,
    });
    let start = Start { barrier: Arc::new(Barrier::new(count)), at: Arc::new(OnceLock::new()) };
    let cpu_before = clock::process_cpu();
    let mut watched: Vec<Watched> = Vec::new();
    let mut planned = Vec::new();
    for (target, endpoint) in targets.iter().zip(&endpoints) {
        let mut threads = Vec::new();
        for thread in &scenario.threads {
            let shared = Arc::new(Shared::default());
            planned.push((runtime()?, thread.clone(), endpoint.clone(), start.clone(), shared.clone(), cancel.clone()));
            threads.push(shared);
        }
        watched.push(Watched::new(target.clone(), threads));
    }
    // Spawned only when nothing can fail any more: the threads wait for each other.
    let running = planned.into_iter().map(|(runtime, thread, endpoint, start, shared, cancel)| {
        tokio::task::spawn_blocking(move || runtime.block_on(run(&thread, &endpoint, &start, &shared, &cancel)))
    });
    let mut joined = std::pin::pin!(futures_util::future::join_all(running));
    let ends = loop {
        tokio::select! {
            biased;
            ends = &mut joined => break ends,
            () = clock::sleep(PROGRESS_EVERY) => {
                if let Some(start) = start.at.get() {
                    watched.iter_mut().for_each(|target| target.tell(scenario, clock::instant() - *start, sink));
                }
            }
        }
    };
    let ends: Vec<ThreadEnd> = ends
        .into_iter()
        .map(|end| end.map_err(|error| Problem::new("A load thread broke", error.to_string())))
        .collect::<Result<_, _>>()?;
    let elapsed = start.at.get().map_or(Duration::ZERO, |start| clock::instant() - *start);
    let cpu = clock::process_cpu().saturating_sub(cpu_before);
    watched.iter_mut().for_each(|target| target.tell(scenario, elapsed, sink));
    sink.event(Event::BenchFinished { seconds: seconds(elapsed) });
    Ok(measured(scenario, watched, &ends, elapsed, cpu, cancel.is_cancelled()))
}

fn measured(
    scenario: &Scenario,
    watched: Vec<Watched>,
    ends: &[ThreadEnd],
    elapsed: Duration,
    cpu: Duration,
    interrupted: bool,
) -> Measured {
    let ended = clock::now();
    let started = ended - jiff::SignedDuration::try_from(elapsed).unwrap_or_default();
    let client = client_health(ends, elapsed, cpu);
    let per_target = scenario.threads.len().max(1);
    let targets = watched
        .into_iter()
        .zip(ends.chunks(per_target))
        .map(|(target, ends)| target.finish(scenario, ends, started, elapsed))
        .collect();
    Measured { started, ended, interrupted, targets, client }
}

fn client_health(ends: &[ThreadEnd], elapsed: Duration, cpu: Duration) -> record::Client {
    let percent = |part: Duration, whole: Duration| 100.0 * part.as_secs_f64() / whole.as_secs_f64().max(1e-9);
    let busiest_thread = ends.iter().map(|end| percent(end.sending_cpu, end.sending())).fold(0.0, f64::max);
    let rounded = |value: f64| (value * 10.0).round() / 10.0;
    record::Client {
        cpu: rounded(percent(cpu, elapsed)),
        busiest_thread: rounded(busiest_thread),
        late: 0,
        limited: busiest_thread >= LIMITED_PERCENT,
    }
}

impl ThreadEnd {
    fn sending(&self) -> Duration {
        self.steps.iter().filter(|step| step.0.requests() > 0).map(|step| step.2 - step.1).sum()
    }
}

/// A target as the watcher sees it.
struct Watched {
    target: Target,
    threads: Vec<Arc<Shared>>,
    timeline: Timeline,
    /// (time, requests done) of the last second.
    samples: VecDeque<(Duration, u64)>,
}

impl Watched {
    fn new(target: Target, threads: Vec<Arc<Shared>>) -> Self {
        Self { target, threads, timeline: Timeline::default(), samples: VecDeque::new() }
    }

    fn collect(&mut self, second: Option<u32>) -> Tally {
        let mut tally = Tally::default();
        for thread in &self.threads {
            let slices = {
                let mut recorder = thread.recorder();
                tally.add(&recorder.tally);
                recorder.take_seconds(second)
            };
            for (second, slice) in slices {
                self.timeline.add(second, &slice);
            }
        }
        tally
    }

    fn tell(&mut self, scenario: &Scenario, elapsed: Duration, sink: &dyn Sink) {
        let second = u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX);
        let tally = self.collect(Some(second));
        self.timeline.settle(second.saturating_sub(SETTLE_AFTER_SECONDS));
        self.samples.push_back((elapsed, tally.requests));
        while self.samples.len() > RATE_SAMPLES {
            self.samples.pop_front();
        }
        let (then, before) = self.samples.front().copied().unwrap_or_default();
        let span = (elapsed - then).as_secs_f64();
        let progress = Progress {
            done: tally.requests,
            planned: scenario.requests(),
            errors: tally.failed(),
            rate: if span > 0.0 { (tally.requests - before) as f64 / span } else { 0.0 },
            p50_ms: tally.quantile_ms(0.5),
            p99_ms: tally.quantile_ms(0.99),
            phase: self.phase(scenario),
        };
        sink.event(Event::BenchProgress { target: self.target.name.clone(), progress });
    }

    /// What the threads that are not done are doing: `A: 1000 requests, B: pause 60 s`.
    fn phase(&self, scenario: &Scenario) -> String {
        let threads = scenario.threads.iter().zip(&self.threads);
        let current = threads.filter_map(|(thread, shared)| {
            let step = thread.steps.get(shared.step.load(Ordering::Relaxed).checked_sub(1)?)?;
            Some(format!("{}: {}", thread.name, step.label()))
        });
        current.collect::<Vec<_>>().join(", ")
    }

    fn finish(
        mut self,
        scenario: &Scenario,
        ends: &[ThreadEnd],
        started: Timestamp,
        elapsed: Duration,
    ) -> TargetResult {
        let tally = self.collect(None);
        let at = |offset: Duration| started + jiff::SignedDuration::try_from(offset).unwrap_or_default();
        let mut phases = Vec::new();
        let mut sending = Vec::new();
        for (thread, end) in scenario.threads.iter().zip(ends) {
            for (step, from, to, requests, errors) in &end.steps {
                if step.requests() > 0 {
                    sending.push((*from, *to));
                }
                phases.push(Phase {
                    thread: thread.name.clone(),
                    label: step.label(),
                    started: at(*from),
                    ended: at(*to),
                    requests: *requests,
                    errors: *errors,
                });
            }
        }
        let correct = tally.requests - tally.failed();
        let rate = correct as f64 / covered(sending).as_secs_f64().max(1e-9);
        TargetResult {
            name: self.target.name,
            url: self.target.url,
            requests: tally.requests,
            errors: tally.failed(),
            errors_by_kind: tally.errors_by_kind(),
            rate: (rate * 10.0).round() / 10.0,
            connections: tally.connections,
            latency_ms: tally.latency(),
            distribution: tally.distribution(),
            status: tally.status,
            instances: tally.instances.into_iter().collect(),
            phases,
            timeline: self.timeline.finish(u32::try_from(elapsed.as_secs() + 1).unwrap_or(u32::MAX)),
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Problem::new("No runtime for a load thread", error.to_string()))
}

async fn run(
    thread: &Thread,
    endpoint: &Endpoint,
    start: &Start,
    shared: &Shared,
    cancel: &CancellationToken,
) -> ThreadEnd {
    let mut clients: Vec<Client> = (0..thread.connections as usize).map(|turn| Client::new(endpoint, turn)).collect();
    let mut schedule = Schedule::new(&thread.steps);
    let mut end = ThreadEnd { steps: Vec::new(), sending_cpu: Duration::ZERO };
    start.barrier.wait().await;
    let start = *start.at.get_or_init(clock::instant);
    while !cancel.is_cancelled() {
        let begun = clock::instant();
        let (requests, errors) = counted(shared);
        let next = schedule.next(begun);
        shared.step.store(schedule.position(), Ordering::Relaxed);
        match next {
            Move::Done => break,
            Move::PauseUntil(until) => {
                let left = until.saturating_duration_since(begun);
                cancel.run_until_cancelled(clock::sleep(left)).await;
            }
            Move::Load(budget) => {
                let cpu = clock::thread_cpu();
                let sending: FuturesUnordered<_> =
                    clients.iter_mut().map(|client| send(client, &budget, shared, start)).collect();
                cancel.run_until_cancelled(sending.collect::<()>()).await;
                end.sending_cpu += clock::thread_cpu().saturating_sub(cpu);
            }
        }
        let (requests_after, errors_after) = counted(shared);
        let step = thread.steps[schedule.position() - 1];
        end.steps.push((
            step,
            begun - start,
            clock::instant() - start,
            requests_after - requests,
            errors_after - errors,
        ));
    }
    shared.step.store(usize::MAX, Ordering::Relaxed);
    shared.recorder().tally.connections = clients.iter().map(Client::opened).sum();
    end
}

fn counted(shared: &Shared) -> (u64, u64) {
    let recorder = shared.recorder();
    (recorder.tally.requests, recorder.tally.failed())
}

/// One connection: request, answer, request, as long as the budget lasts.
async fn send(client: &mut Client, budget: &Budget, shared: &Shared, start: Instant) {
    while budget.take() {
        let due = clock::instant();
        let reply = client.get(due).await;
        let ended = clock::instant();
        shared.recorder().record(ended - start, ended - due, reply);
    }
}
