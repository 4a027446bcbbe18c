//! `bench --scale-until`: adds instances while a load runs, until its rate holds.
//!
//! `model.rs` decides; this drives it: it sees the load through its events and the group through the stack's status.

pub mod model;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::model::{Decision, Look, Search, Wanted};
use super::group::Group;
use crate::clock::{self, speed};
use crate::engine::Engine;
use crate::problem::{Problem, Problems};
use crate::resource::event::{Event, Sink};
use crate::resource::status::Status;
use crate::result::record::{Scaling, ThresholdResult};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A rate is looked at for so long, in the region's time and by the wall, whichever is longer.
const SETTLE: Duration = Duration::from_secs(10);
const SETTLE_WALL: Duration = Duration::from_secs(3);
/// Where the scenario has no threshold for errors, in percent.
const ERRORS_MAX: f64 = 1.0;

/// What `--scale-until` asks for.
#[derive(Clone, Debug)]
pub struct ScaleUntil {
    pub rate: f64,
    pub every: Duration,
    pub max: u32,
    pub cluster: Option<String>,
}

/// Passes events on, and keeps what they say of one target's requests.
pub struct Tap<'a> {
    sink: &'a dyn Sink,
    cluster: String,
    seen: Mutex<(u64, u64)>,
}

impl<'a> Tap<'a> {
    pub fn new(sink: &'a dyn Sink, cluster: &str) -> Self {
        Self { sink, cluster: cluster.to_owned(), seen: Mutex::default() }
    }

    fn seen(&self) -> (u64, u64) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Tap<'_> {
    fn event(&self, event: Event) {
        if let Event::BenchProgress { target, progress } = &event
            && *target == self.cluster
        {
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = (progress.done, progress.errors);
        }
        self.sink.event(event);
    }
}

impl ScaleUntil {
    /// The group, held.
    ///
    /// # Errors
    /// Where it is no group.
    pub async fn group<'a>(&self, engine: &'a Engine, status: &Status) -> Result<Group<'a>, Problem> {
        let mut group = Group::find(engine, status, self.cluster.as_deref())?;
        group.hold().await?;
        Ok(group)
    }

    /// Adds instances until the rate holds, there are as many as there may be, or `over`; then ends the load.
    pub async fn drive(
        &self,
        group: &Group<'_>,
        tap: &Tap<'_>,
        over: &CancellationToken,
        load: &CancellationToken,
    ) -> Result<Scaling, Problems> {
        let speed = speed::speed();
        let max = self.max.min(group.max);
        let settle = SETTLE.max(speed::region(SETTLE_WALL));
        let wanted = Wanted { rate: self.rate, errors_max: ERRORS_MAX, every: self.every, max, settle, speed };
        let mut search = Search::new(wanted);
        let started = clock::now();
        let mut held = false;
        let outcome = loop {
            if over.run_until_cancelled(clock::sleep(LOOK_EVERY)).await.is_none() {
                break Ok(());
            }
            let cluster = match group.look().await {
                Ok(cluster) => cluster,
                Err(problem) => break Err(problem.into()),
            };
            let (done, errors) = tap.seen();
            let at = Duration::try_from(clock::now().duration_since(started)).unwrap_or_default();
            let healthy = u32::try_from(cluster.healthy()).unwrap_or(u32::MAX);
            match search.look(Look { at, desired: cluster.desired, healthy, done, errors }) {
                Decision::Wait => {}
                Decision::Add => {
                    let told = search.steps.last().map_or(0.0, |step| step.rate);
                    let text = format!("{}: {told:.1}/s with {}, one more", group.cluster, cluster.desired);
                    tap.sink.event(Event::Note { text });
                    if let Err(problems) = group.scale(cluster.desired + 1).await {
                        break Err(problems);
                    }
                }
                Decision::Held => {
                    held = true;
                    break Ok(());
                }
                Decision::Exhausted => break Ok(()),
            }
        };
        load.cancel();
        outcome.map(|()| Scaling {
            cluster: group.cluster.clone(),
            rate: self.rate,
            every: self.every.as_secs_f64(),
            max,
            held,
            steps: search.steps,
        })
    }
}

/// The rate as a threshold: it is what the run was for.
pub fn threshold(scaling: &Scaling) -> ThresholdResult {
    ThresholdResult {
        threshold: format!("rate >= {}/s", scaling.rate),
        target: scaling.cluster.clone(),
        measured: scaling.steps.last().map(|step| (step.rate * 1000.0).round() / 1000.0),
        unit: "/s".to_owned(),
        held: scaling.held,
        lost_minutes: Vec::new(),
    }
}
