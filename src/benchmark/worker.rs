//! A worker: one thread of the operating system that carries its part of every flow.
//!
//! Workers follow the machine's cores, not the load: users and connections are futures on them. Of an open load a worker
//! takes every n-th arrival, of a closed one every n-th user. At the end of a closed phase the workers wait for each other,
//! so that the next begins everywhere at once. Four times a second a worker hands over what it counted.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Barrier, mpsc};

use super::arrivals::{Arrivals, Curve, Random};
use super::client::Client;
use super::control::Control;
use super::count::Counts;
use super::course::{Course, Mark, WorkerEnd};
use super::http2::Connections;
use super::interval::Interval;
use super::plan::TargetPlan;
use super::pool::{Job, Pool};
use super::scenario::{Closed, Load, Phase, Ramping};
use crate::clock;
use crate::clock::alarm::Alarm;

/// A pause is looked at again after this: a timer cannot wait for ever.
const PAUSE_MAX: Duration = Duration::from_secs(3600);
const HAND_OVER_EVERY: Duration = Duration::from_millis(250);
/// A worker that is behind its schedule looks after its connections this often.
const SENT_BEFORE_YIELD: u32 = 32;

/// What all workers of a load share.
pub struct Shared {
    pub course: Course,
    ready: Barrier,
    /// Of each target, of each flow.
    gates: Vec<Gate>,
    /// Where everybody waits between repetitions, and when the next began.
    laps: Barrier,
    lap_starts: Vec<OnceLock<Instant>>,
}

/// Where the workers of one flow wait for each other.
struct Gate {
    barrier: Barrier,
    /// When each phase ended for all.
    ends: Vec<OnceLock<Instant>>,
    /// Requests left in each closed phase.
    budgets: Vec<AtomicU64>,
}

impl Shared {
    pub fn new(course: Course) -> Self {
        let plan = &course.plan;
        let gate = |flow: &super::scenario::Flow| Gate {
            barrier: Barrier::new(plan.workers),
            ends: (0..plan.repeat).flat_map(|_| &flow.phases).map(|_| OnceLock::new()).collect(),
            budgets: (0..plan.repeat).flat_map(|_| &flow.phases).map(budget).collect(),
        };
        let gates: Vec<Gate> = plan.targets.iter().flat_map(|_| plan.flows.iter().map(gate)).collect();
        Self {
            ready: Barrier::new(plan.workers),
            laps: Barrier::new(plan.workers * gates.len().max(1)),
            lap_starts: (1..plan.repeat).map(|_| OnceLock::new()).collect(),
            gates,
            course,
        }
    }

    /// A worker whose timer cannot be made ends the load.
    fn kept_going(&self, worker: &Worker, paced: std::io::Result<()>) {
        if let Err(error) = paced {
            *worker.broken.borrow_mut() = Some(error);
            self.course.cancel.cancel();
        }
    }
}

/// Requests that a phase may send.
fn budget(phase: &Phase) -> AtomicU64 {
    match phase.load {
        Load::Closed(closed) => AtomicU64::new(closed.iterations.unwrap_or(u64::MAX)),
        _ => AtomicU64::new(0),
    }
}

struct Worker {
    counts: Counts,
    end: RefCell<WorkerEnd>,
    /// Phases that are sending now.
    active: Cell<u32>,
    /// A timer or a socket that could not be made.
    broken: RefCell<Option<std::io::Error>>,
}

/// Runs one worker to the end of the load. Cancelling drops what is under way and keeps what was counted.
pub async fn work(
    shared: &Arc<Shared>,
    number: usize,
    counted: &mpsc::UnboundedSender<Vec<Interval>>,
) -> std::io::Result<WorkerEnd> {
    shared.ready.wait().await;
    let start = *shared.course.start.get_or_init(clock::instant);
    let worker = Worker {
        counts: Counts::new(start, shared.course.plan.warm_up, shared.course.plan.grid),
        end: RefCell::default(),
        active: Cell::new(0),
        broken: RefCell::new(None),
    };
    {
        let flows: FuturesUnordered<_> =
            (0..shared.gates.len()).map(|gate| flow(shared, &worker, number, gate)).collect();
        let mut all = std::pin::pin!(shared.course.cancel.run_until_cancelled(flows.collect::<()>()));
        let mut then = (clock::instant(), clock::thread_cpu());
        loop {
            let over = tokio::select! {
                biased;
                _ = &mut all => true,
                () = clock::sleep(HAND_OVER_EVERY) => false,
            };
            let now = (clock::instant(), clock::thread_cpu());
            if worker.active.get() > 0 || over {
                let mut end = worker.end.borrow_mut();
                end.sending += now.0 - then.0;
                end.sending_cpu += now.1.saturating_sub(then.1);
            }
            then = now;
            // Nobody listens only where the load has already failed.
            let _ = counted.send(worker.counts.take());
            if over {
                break;
            }
        }
    }
    match worker.broken.into_inner() {
        Some(error) => Err(error),
        None => Ok(WorkerEnd { waited: worker.counts.waited(), ..worker.end.into_inner() }),
    }
}

/// This worker's part of one flow against one target.
async fn flow(shared: &Shared, worker: &Worker, number: usize, gate: usize) {
    let plan = &shared.course.plan;
    let (target_number, flow_number) = (gate / plan.flows.len(), gate % plan.flows.len());
    let (target, flow) = (&plan.targets[target_number], &plan.flows[flow_number]);
    // Single users of several flows are spread over the workers.
    let place = (number + plan.workers - gate % plan.workers) % plan.workers;
    let connections_max = (plan.connections_max as usize).div_ceil(plan.workers);
    let shared_connections = Connections::default();
    let pool = Pool::new(&worker.counts, target, connections_max, &shared_connections);
    let (place_in_course, gate) = (gate, &shared.gates[gate]);
    let phases = async {
        let mut users = Vec::new();
        let turn = Cell::new(place);
        let mut began = worker.counts.start;
        let laps = (0..plan.repeat).flat_map(|lap| flow.phases.iter().enumerate().map(move |phase| (lap, phase)));
        for (lap, (phase_number, phase)) in laps {
            if lap > 0 && phase_number == 0 {
                shared.laps.wait().await;
                began = *shared.lap_starts[lap - 1].get_or_init(clock::instant);
            }
            let index = lap * flow.phases.len() + phase_number;
            shared.course.enter(place_in_course, index);
            let number = plan.phase_number(lap, flow_number, phase_number);
            let mark = worker.end.borrow().marks.len();
            let begun = Mark { target: target_number, phase: number, began: began - worker.counts.start, ended: None };
            worker.end.borrow_mut().marks.push(begun);
            let part = Part {
                worker,
                target,
                connections: &shared_connections,
                number,
                began,
                place,
                workers: plan.workers,
                turn: &turn,
                control: &shared.course.control,
            };
            if phase.load.sends() {
                worker.active.set(worker.active.get() + 1);
            }
            began = match &phase.load {
                Load::Pause(duration) => {
                    let end = began + *duration;
                    clock::sleep(end.saturating_duration_since(clock::instant())).await;
                    end
                }
                Load::Open { curve, spacing } => {
                    let arrivals =
                        Arrivals::new(curve, *spacing).controlled(&shared.course.control).map(|due| (due, None));
                    shared.kept_going(worker, part.pace(arrivals, curve.duration(), &pool).await);
                    began + curve.duration()
                }
                Load::Replay(replay) => {
                    let arrivals = replay.due.iter().map(|(due, request)| (*due, Some(*request)));
                    shared.kept_going(worker, part.pace(arrivals, replay.duration(), &pool).await);
                    began + replay.duration()
                }
                Load::Closed(closed) => {
                    part.users(closed, &gate.budgets[index], &mut users).await;
                    gate.barrier.wait().await;
                    *gate.ends[index].get_or_init(clock::instant)
                }
                Load::Ramping(ramping) => {
                    part.ramp(ramping, &mut users).await;
                    gate.barrier.wait().await;
                    *gate.ends[index].get_or_init(clock::instant)
                }
            };
            if phase.load.sends() {
                worker.active.set(worker.active.get() - 1);
            }
            worker.end.borrow_mut().marks[mark].ended = Some(began - worker.counts.start);
        }
        pool.close();
    };
    futures_util::future::join(phases, pool.serve()).await;
    shared.course.leave(place_in_course);
}

/// A worker's part of one phase.
struct Part<'a> {
    worker: &'a Worker,
    target: &'a TargetPlan,
    /// Those that its users share, in HTTP/2.
    connections: &'a Connections,
    /// The phase's.
    number: u16,
    began: Instant,
    /// Which of the `workers` parts this is.
    place: usize,
    workers: usize,
    /// Whose turn it is among the rows of the scenario's data.
    turn: &'a Cell<usize>,
    control: &'a Control,
}

impl Part<'_> {
    /// The turn of the next request: every worker takes every so many-th row.
    fn next_turn(&self) -> usize {
        self.turn.replace(self.turn.get().wrapping_add(self.workers))
    }

    /// Sends what is due when it is due, whatever the answers do: a request of the mix, or the one that a log has.
    async fn pace(
        &self,
        arrivals: impl Iterator<Item = (Duration, Option<u32>)>,
        end: Duration,
        pool: &Pool<'_>,
    ) -> std::io::Result<()> {
        let mut alarm = Alarm::new()?;
        let mut random = Random(self.place as u64);
        let mut at_once = 0;
        for (due, replayed) in arrivals.skip(self.place).step_by(self.workers) {
            let due = self.began + due;
            if due > clock::instant() {
                alarm.until(due).await?;
                at_once = 0;
            } else {
                at_once += 1;
                if at_once % SENT_BEFORE_YIELD == 0 {
                    tokio::task::yield_now().await;
                }
            }
            if self.control.is_paused() {
                continue;
            }
            let request = match replayed {
                Some(number) => self.target.replayed(number),
                None => self.target.pick(&mut random),
            };
            pool.send(Job { due, request, turn: self.next_turn(), phase: self.number });
        }
        alarm.until(self.began + end).await
    }

    /// This worker's share of so many users.
    fn share(&self, count: usize, users: &mut Vec<Client>) -> usize {
        let share = (self.place..count).step_by(self.workers).count();
        while users.len() < share {
            let turn = self.place + users.len() * self.workers;
            users.push(Client::of(self.target, turn, self.connections));
        }
        share
    }

    /// Lets this worker's share of the users send, each after its answer, until the budget or the time is over.
    async fn users(&self, closed: &Closed, budget: &AtomicU64, users: &mut Vec<Client>) {
        let count = self.share(closed.users as usize, users);
        let until = closed.duration.map(|duration| self.began + duration);
        let may = async |_| {
            self.resumed(until).await;
            until.is_none_or(|until| clock::instant() < until) && take(budget)
        };
        let sending: FuturesUnordered<_> = users[..count]
            .iter_mut()
            .enumerate()
            .map(|(index, client)| self.user(client, index, closed.think_time, &may))
            .collect();
        sending.collect::<()>().await;
    }

    /// As [`Part::users`], of users who come and go.
    async fn ramp(&self, ramping: &Ramping, users: &mut Vec<Client>) {
        let count = self.share(ramping.users.peak().round() as usize, users);
        let end = Some(self.began + ramping.users.duration());
        let may = async |number| {
            self.resumed(end).await;
            self.is_there(&ramping.users, number).await
        };
        let sending: FuturesUnordered<_> = users[..count]
            .iter_mut()
            .enumerate()
            .map(|(index, client)| self.user(client, index, ramping.think_time, &may))
            .collect();
        sending.collect::<()>().await;
    }

    /// Waits while the load is paused, until its end at the latest.
    async fn resumed(&self, until: Option<Instant>) {
        if !self.control.is_paused() {
            return;
        }
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(clock::instant()));
        tokio::select! {
            () = self.control.until_resumed() => {}
            () = clock::sleep(left.min(PAUSE_MAX)) => {}
        }
    }

    /// Waits until there are so many users that this one is among them; false where that never comes.
    async fn is_there(&self, users: &Curve, number: usize) -> bool {
        loop {
            let elapsed = clock::instant().saturating_duration_since(self.began);
            if elapsed >= users.duration() {
                return false;
            }
            match users.reaches(number as f64 + 1.0, elapsed) {
                Some(at) if at <= elapsed => return true,
                Some(at) => clock::sleep(at - elapsed).await,
                None => return false,
            }
        }
    }

    async fn user(&self, client: &mut Client, index: usize, think_time: Duration, may: &impl AsyncFn(usize) -> bool) {
        let number = self.place + index * self.workers;
        let mut random = Random(number as u64);
        while may(number).await {
            let request = self.target.pick(&mut random);
            let row = self.target.row(self.next_turn());
            let sent = clock::instant();
            let reply = client.send(&self.target.requests[request as usize], row, sent).await;
            self.worker.counts.record(self.target.endpoint(request), self.number, None, sent, reply);
            if !think_time.is_zero() {
                clock::sleep(think_time).await;
            }
        }
    }
}

/// Takes one request of a budget; false where none is left.
fn take(budget: &AtomicU64) -> bool {
    budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}
