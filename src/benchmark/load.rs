//! Sends a scenario's load and measures it: workers count, and the caller's runtime watches and puts together.
//!
//! A worker for each core, each a thread of the operating system with a runtime of its own, so that one busy worker does
//! not delay another's clock. Four times a second they hand over intervals; the watcher merges them and tells the sink.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::control::Control;
use super::course::{Course, WorkerEnd};
use super::interval::Interval;
use super::plan::Plan;
pub use super::plan::Target;
use super::scenario::Scenario;
pub use super::watched::Measured;
use super::watched::{PROGRESS_EVERY, Watched};
use super::worker::{Shared, work};
use crate::clock::{self, speed};
use crate::platform::processes;
use crate::problem::Problem;
use crate::resource::event::Sink;

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
    // Runtimes first: the workers wait for each other, so nothing may fail once the first has begun.
    let runtimes = (0..plan.workers).map(|_| runtime()).collect::<Result<Vec<_>, _>>()?;
    // The user's own token stays as it is where a worker breaks.
    let shared = Arc::new(Shared::new(Course::new(plan, cancel.child_token(), control)));
    let cpu_before = clock::process_cpu();
    let (sender, mut counted) = mpsc::unbounded_channel::<Vec<Interval>>();
    let running = runtimes.into_iter().enumerate().map(|(number, runtime)| {
        let (shared, sender) = (shared.clone(), sender.clone());
        tokio::task::spawn_blocking(move || runtime.block_on(work(&shared, number, &sender)))
    });
    let mut joined = std::pin::pin!(futures_util::future::join_all(running));
    drop(sender);
    let mut watched = Watched::begin(scenario, &shared.course, sink);
    let ends = loop {
        tokio::select! {
            biased;
            ends = &mut joined => break ends,
            Some(intervals) = counted.recv() => watched.add(&intervals),
            () = clock::sleep(PROGRESS_EVERY) => {}
        }
        watched.tell();
        watched.judge();
    };
    let elapsed = shared.course.elapsed();
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
