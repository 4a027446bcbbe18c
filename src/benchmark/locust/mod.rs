//! The same load on Locust: `bench --engine locust`.
//!
//! Locust's distributed mode carries it: a master and workers, each a process, over Locust's own protocol. The script is the one
//! that `export locust` writes (`export/locust.py`); its master tells on its standard output when phases begin and end and hands on what
//! the workers counted of Locust's measurements. Those are intervals like anybody's, so record and report are made of them as ever.

mod lines;
mod processes;
pub mod python;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::lines::Told;
use self::processes::Processes;
use super::control::Control;
use super::course::{Course, Mark, WorkerEnd};
use super::export;
use super::plan::{Plan, Target};
use super::scenario::{Load, Scenario};
use super::watched::{Measured, PROGRESS_EVERY, Watched};
use crate::clock::{self, speed};
use crate::problem::Problem;
use crate::resource::event::{Event, Sink};
use crate::result::figures;

/// How long Locust has to hand over its last counts and to end, once it is asked to.
const END_WITHIN: Duration = Duration::from_secs(10);
/// From its first process to the beginning of the load.
const START_WITHIN: Duration = Duration::from_secs(120);
/// Somebody has to start the workers of other machines.
const JOIN_WITHIN: Duration = Duration::from_secs(600);

/// How many workers there are, and where the master listens for them where they are other machines'.
#[derive(Clone, Copy, Debug)]
pub struct Workers {
    pub count: usize,
    pub listen: Option<SocketAddr>,
}

/// Less than this of what was demanded is another load than the scenario's.
const SENT_PERCENT: f64 = 99.0;

/// Runs the scenario as [`super::load::controlled`] does, on so many of Locust's workers.
///
/// # Errors
/// Where there is no Locust and none can be installed, and where it does not begin. What it does wrong later is said in the record.
pub async fn load(
    scenario: &Scenario,
    targets: &[Target],
    Workers { count: workers, listen }: Workers,
    sink: &dyn Sink,
    cancel: &CancellationToken,
    control: Arc<Control>,
) -> Result<Measured, Problem> {
    let scenario = &scenario.by_the_wall(speed::speed());
    let sends = |load: &Load| load.sends() && !matches!(load, Load::Replay(_));
    if !scenario.flows.iter().flat_map(|flow| &flow.phases).any(|phase| sends(&phase.load)) {
        let detail = "Locust replays no log, and the scenario does nothing else";
        return Err(Problem::usage("Nothing to load", detail).hint("leave `--engine` out"));
    }
    let course = Course::new(Plan::new(scenario, targets, workers)?, cancel.child_token(), control);
    let python = python::ready(sink, cancel).await?;
    let what = if workers == 1 { "1 worker".to_owned() } else { format!("{workers} workers") };
    let reason = match listen {
        None => format!("{what} starting"),
        Some(place) => format!(
            "{what} of other machines: locust -f - --worker --master-host ADDRESS --master-port {} (locust {})",
            place.port(),
            python::VERSION
        ),
    };
    let waiting = || sink.event(Event::Waiting { what: "Locust".into(), reason: reason.clone() });
    if listen.is_none() {
        waiting();
    }
    let mut processes = Processes::start(&python, &script(scenario, &course.plan), workers, listen).await?;
    // Workers that come before the master listens give up, so they are asked for when it does.
    if listen.is_some() {
        waiting();
    }
    let mut run = Run::new(&course, workers, Watched::begin(scenario, &course, sink));
    let mut asked = None;
    let mut pace = (100, false);
    let began_by = clock::instant() + if listen.is_some() { JOIN_WITHIN } else { START_WITHIN };
    loop {
        tokio::select! {
            biased;
            line = processes.next_line() => match line {
                Some(told) => run.take(told),
                None => break,
            },
            () = course.cancel.cancelled(), if asked.is_none() => {
                asked = Some(clock::instant() + END_WITHIN);
                processes.say("end").await;
            }
            () = clock::sleep(PROGRESS_EVERY) => {}
        }
        let wanted = (course.control.percent(), course.control.is_paused());
        if wanted != pace && course.start.get().is_some() {
            pace = wanted;
            processes.say(&format!("pace {} {}", pace.0, pace.1)).await;
        }
        if run.over.is_none() {
            run.watched.tell();
            run.watched.judge();
        }
        if run.over.is_some() && asked.is_none() {
            asked = Some(clock::instant() + END_WITHIN);
        }
        let now = clock::instant();
        if asked.is_some_and(|until| now > until) || (course.start.get().is_none() && now > began_by) {
            break;
        }
    }
    let why = processes.end().await;
    let mut measured = run.finish(&why, scenario, cancel.is_cancelled())?;
    if listen.is_some() {
        measured.client.notes.push("its workers’ machines keep the time by their own clocks".to_owned());
    }
    Ok(measured)
}

/// What `export locust` writes, for these targets, and with a record of it.
fn script(scenario: &Scenario, plan: &Plan) -> String {
    let targets: Vec<_> = plan.targets.iter().map(|target| target.target.url.trim_end_matches('/')).collect();
    let row = f64::from(plan.grid.row_seconds) / f64::from(speed::speed());
    let record = json!({
        "row": row,
        "endpoints": plan.targets.first().map_or(1, |target| target.names.len()),
        "warm_up": plan.warm_up.as_secs_f64(),
    });
    let url = plan.targets.first().map_or("", |target| target.target.url.as_str());
    export::locust(scenario, url, &[("targets", json!(targets)), ("record", record)])
}

/// What Locust has told so far.
struct Run<'a> {
    course: &'a Course,
    watched: Watched<'a>,
    ends: Vec<WorkerEnd>,
    /// How long the load took, and how many workers were lost.
    over: Option<(Duration, u64)>,
    /// Requests of which this record knows, and those that Locust itself has counted.
    counted: u64,
    total: Option<u64>,
}

impl<'a> Run<'a> {
    fn new(course: &'a Course, workers: usize, watched: Watched<'a>) -> Self {
        let ends = (0..workers).map(|_| WorkerEnd::default()).collect();
        Self { course, watched, ends, over: None, counted: 0, total: None }
    }

    fn take(&mut self, told: Told) {
        match told {
            Told::Listening(_) => {}
            Told::Begun { within, .. } => {
                let start = clock::instant() + lines::seconds(within);
                self.course.start.get_or_init(|| start);
            }
            Told::Phase { chain, index, began, ended } => self.mark(chain, index, began, ended),
            Told::Counted(counted) => {
                let intervals = counted.intervals();
                self.counted += intervals.iter().map(|interval| interval.tally.requests).sum::<u64>();
                if let Some(end) = self.ends.get_mut(counted.worker) {
                    end.waited += counted.waited;
                    if !intervals.is_empty() {
                        end.sending += lines::seconds(counted.elapsed);
                        end.sending_cpu += lines::seconds(counted.cpu);
                    }
                }
                let known = |place: u16| usize::from(place) < self.course.plan.targets.len() * self.names();
                let known: Vec<_> = intervals.into_iter().filter(|one| known(one.place.endpoint)).collect();
                self.watched.add(&known);
            }
            Told::Over { lost } => self.over = Some((self.course.elapsed(), lost)),
            Told::Total { requests, .. } => self.total = Some(requests),
        }
    }

    fn names(&self) -> usize {
        self.course.plan.targets[0].names.len()
    }

    /// A chain is a target's flow.
    fn mark(&mut self, chain: usize, index: usize, began: f64, ended: Option<f64>) {
        let (plan, flows) = (&self.course.plan, self.course.plan.flows.len());
        let (target, flow) = (chain / flows, chain % flows);
        let phases = plan.flows[flow].phases.len();
        if target >= plan.targets.len() || index >= phases * plan.repeat {
            return;
        }
        let phase = plan.phase_number(index / phases, flow, index % phases);
        let mark = Mark { target, phase, began: lines::seconds(began), ended: ended.map(lines::seconds) };
        let marks = &mut self.ends[0].marks;
        match marks.iter_mut().find(|own| (own.target, own.phase) == (target, phase)) {
            Some(own) => *own = mark,
            None => marks.push(mark),
        }
        self.course.enter(chain, index);
        if ended.is_some() && index + 1 == phases * plan.repeat {
            self.course.leave(chain);
        }
    }

    fn finish(self, why: &str, scenario: &Scenario, interrupted: bool) -> Result<Measured, Problem> {
        let Self { course, watched, ends, over, counted, total } = self;
        if course.start.get().is_none() && !interrupted {
            let detail = if why.is_empty() { "it ended without a word" } else { why };
            return Err(Problem::new("Locust did not begin", detail.to_owned())
                .hint("`python3 -m locust --version` tells whether it runs at all"));
        }
        let elapsed = over.map_or_else(|| course.elapsed(), |(elapsed, _)| elapsed);
        let cpu = ends.iter().map(|end| end.sending_cpu).sum();
        let mut measured = watched.finish(&ends, elapsed, cpu, interrupted);
        let client = &mut measured.client;
        let workers = if ends.len() == 1 { "worker" } else { "workers" };
        client.engine = format!("Locust {} with {} {workers}", python::VERSION, ends.len());
        client.notes = notes(scenario);
        let stopped = interrupted || course.cancel.is_cancelled();
        match over {
            Some((_, 0)) => {}
            Some((_, lost)) => client.limits.push(format!("{} of its workers went missing", figures::count(lost))),
            None if stopped => {}
            None => client.limits.push(format!("Locust ended before the load was done: {why}")),
        }
        if let Some(own) = total.filter(|own| !stopped && *own != counted) {
            let (own, counted) = (figures::count(own), figures::count(counted));
            client.notes.push(format!("Locust counted {own} requests itself, and told of {counted}"));
        }
        let demanded: u64 = measured.targets.iter().filter_map(|target| target.demanded).sum();
        let sent: u64 = measured.targets.iter().filter_map(|target| target.demanded_sent).sum();
        if demanded > 0 && !stopped {
            let share = 100.0 * sent as f64 / demanded as f64;
            let told = format!(
                "Locust sent {} of the {} requests that the schedule demanded ({})",
                figures::count(sent),
                figures::count(demanded),
                figures::percent(share)
            );
            if share < SENT_PERCENT {
                client.limits.push(format!("{told}: use more `--workers`, or leave `--engine` out"));
            } else {
                client.notes.push(told);
            }
        }
        client.limited = !client.limits.is_empty();
        Ok(measured)
    }
}

/// What Locust cannot express of the scenario, or means otherwise.
fn notes(scenario: &Scenario) -> Vec<String> {
    let phases = || scenario.flows.iter().flat_map(|flow| &flow.phases);
    let mut notes = vec![
        "times are Locust's, in a Python process that may be busy with other answers meanwhile".to_owned(),
        "connections, and requests that its client sends again, are not counted".to_owned(),
        "a time limit counts from one piece of an answer to the next, not from the request to the end".to_owned(),
    ];
    let mut note = |is_there: bool, what: &str| notes.extend(is_there.then(|| what.to_owned()));
    note(
        phases().any(|phase| matches!(phase.load, Load::Open { .. })),
        "a rate is carried by as many users as it has requests in a second; what finds all of them waiting leaves late, and what is \
         not sent by the end of its phase is missing from what was demanded",
    );
    note(phases().any(|phase| matches!(phase.load, Load::Replay(_))), "logs are not replayed");
    note(scenario.http2, "it speaks HTTP/1.1, not HTTP/2");
    let timeouts = || scenario.requests.iter().map(|request| request.timeout);
    note(timeouts().min() != timeouts().max(), "all requests have the longest of the time limits");
    note(
        scenario.requests.iter().any(|request| std::str::from_utf8(&request.body).is_err()),
        "a body that is no text is left out",
    );
    notes
}
