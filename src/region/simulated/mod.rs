//! The region on simulated time, from load to capacity: the real [`World`] with modelled shells around it.
//!
//! `load → requests on the targets → CPU and request metrics → alarm → policy → launch → healthy target → load`. What the
//! live region does with processes, sockets and a clock is here arithmetic: [`machines`] says how long an instance boots and
//! what its application takes, [`load`] how many requests come. Everything between is the region's own code, so that what
//! a story shows here is what the region does. A day takes milliseconds. A story about one service alone plays the shells
//! by hand instead ([`Simulated::with_shells_by_hand`]).

pub mod load;
pub mod machines;
mod measuring;
#[cfg(test)]
pub mod setup;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use self::load::Load;
use self::machines::{Application, Machine, Machines, Stage};
use super::elbv2::routing::{Standing, TargetGroupRoutes};
use super::metric::MetricId;
use super::signal::{Probe, ProbeOutcome, Signal};
use super::wire::{Answer, Request};
use super::world::World;

/// More steps in one second than any region needs: beyond, something keeps waking itself.
const STEPS_IN_PLACE_MAX: u32 = 10_000;

/// What happens in a shell at its time.
#[derive(Clone, Debug, PartialEq)]
enum Event {
    /// An instance's machine is up: its process tree is there.
    Booted(String),
    /// The application of an instance serves.
    Serves(String),
    /// The process tree of an instance is gone.
    Ended(String),
    /// No request is in flight any more on a target that leaves.
    Idle { target_group: String, instance: String, port: u16 },
    /// A minute is over: its metrics go out.
    Minute,
}

/// A metric of the user's own, published each minute.
#[derive(Clone, Debug)]
pub struct Gauge {
    pub namespace: String,
    pub name: String,
    pub dimensions: Vec<(String, String)>,
    pub what: Gauged,
}

/// What a [`Gauge`] shows of the last minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gauged {
    /// Requests per second of the whole load.
    Rate,
    /// Requests per second that each serving instance has.
    RatePerInstance,
}

/// A region in simulated time.
#[derive(Clone, Debug)]
pub struct Simulated {
    pub world: World,
    pub now: Timestamp,
    pub load: Load,
    pub application: Application,
    pub gauges: Vec<Gauge>,
    /// Whether EC2's status checks are told, too: three more metrics of each instance.
    pub checks_status: bool,
    /// Whether a story plays the shells by hand: then nothing happens in them by itself, and what the world wants of them
    /// is only kept.
    pub by_hand: bool,
    pub outward: Vec<Signal>,
    /// Every instance that was ever switched on.
    pub booted: BTreeSet<String>,
    machines: Machines,
    events: BTreeMap<(Timestamp, u64), Event>,
    count: u64,
    /// Until when the load's requests have been given to machines.
    accounted: Timestamp,
    /// Requests that nobody was there for, or that a broken machine got.
    pub failed: f64,
    /// The target groups that are routed to, as of the world's last change.
    groups: Vec<TargetGroupRoutes>,
    /// Of each: how many requests it had, and how many each of its targets.
    group_metrics: Vec<[Arc<MetricId>; 2]>,
    /// In how many shares the load is cut; `None` where that has to be found out again.
    shares: Option<usize>,
    revision: u64,
}

impl Simulated {
    pub fn new(world: World, start: Timestamp) -> Self {
        let mut simulated = Self {
            world,
            now: start,
            load: Load::default(),
            application: Application::default(),
            gauges: Vec::new(),
            checks_status: false,
            by_hand: false,
            outward: Vec::new(),
            booted: BTreeSet::new(),
            machines: Machines::default(),
            events: BTreeMap::new(),
            count: 0,
            accounted: start,
            failed: 0.0,
            groups: Vec::new(),
            group_metrics: Vec::new(),
            shares: None,
            revision: 0,
        };
        let second = start.as_second();
        let minute = Timestamp::from_second(second - second.rem_euclid(60) + 60).unwrap_or(start);
        simulated.at(minute, Event::Minute);
        simulated
    }

    /// Runs one operation at the present moment.
    pub fn call(&mut self, request: &Request) -> Answer {
        let (answer, outward) = self.world.call(self.now, request);
        self.act(outward);
        self.settle();
        answer
    }

    /// A shell says something at the present moment.
    pub fn signal(&mut self, signal: Signal) {
        let outward = self.world.signal(self.now, signal);
        self.act(outward);
    }

    /// Lets so many seconds pass.
    pub fn run(&mut self, seconds: i64) {
        self.run_until(self.now + SignedDuration::from_secs(seconds));
    }

    /// Lets time pass until `end`, and does what is due then.
    ///
    /// # Panics
    /// When the region does not come to rest within one moment: a mistake in a model.
    pub fn run_until(&mut self, end: Timestamp) {
        let mut in_place = 0;
        while let Some(next) = self.next().filter(|next| *next <= end) {
            in_place = if next > self.now { 0 } else { in_place + 1 };
            assert!(in_place < STEPS_IN_PLACE_MAX, "the region does not come to rest at {}", self.now);
            self.now = self.now.max(next);
            self.turn();
        }
        self.now = end;
        self.account();
    }

    fn next(&self) -> Option<Timestamp> {
        let event = self.events.first_key_value().map(|((time, _), _)| *time);
        [event, self.world.next_deadline()].into_iter().flatten().min()
    }

    /// One event of a shell, or the world's own deadline.
    fn turn(&mut self) {
        let due = self.events.first_key_value().is_some_and(|((time, _), _)| *time <= self.now);
        if due && let Some((_, event)) = self.events.pop_first() {
            self.happen(event);
        } else {
            let outward = self.world.advance(self.now);
            self.act(outward);
        }
    }

    /// What the world does at once, with no time passing.
    fn settle(&mut self) {
        while self.world.next_deadline().is_some_and(|due| due <= self.now) {
            let outward = self.world.advance(self.now);
            self.act(outward);
        }
    }

    fn at(&mut self, time: Timestamp, event: Event) {
        self.count += 1;
        self.events.insert((time, self.count), event);
    }

    fn after(&mut self, seconds: i64, event: Event) {
        self.at(self.now + SignedDuration::from_secs(seconds), event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Booted(instance) => {
                if self.stage_from(&instance, Stage::Booting, Stage::Starting) {
                    self.after(self.application.start_seconds, Event::Serves(instance.clone()));
                    self.signal(Signal::ProcessStarted { instance });
                }
            }
            Event::Serves(instance) => drop(self.stage_from(&instance, Stage::Starting, Stage::Serving)),
            Event::Ended(instance) => {
                self.account();
                self.machines.all.remove(&instance);
                self.shares = None;
                self.signal(Signal::ProcessEnded { instance });
            }
            Event::Idle { target_group, instance, port } => {
                self.signal(Signal::TargetIdle { target_group, instance, port });
            }
            Event::Minute => {
                self.account();
                self.measure();
                self.after(60, Event::Minute);
            }
        }
    }

    /// Moves a machine on; `false` where it is not at `from` any more.
    fn stage_from(&mut self, instance: &str, from: Stage, to: Stage) -> bool {
        self.account();
        let Some(machine) = self.machines.all.get_mut(instance).filter(|machine| machine.stage == from) else {
            return false;
        };
        machine.stage = to;
        if to == Stage::Starting {
            machine.running_since = Some(self.now);
        }
        self.shares = None;
        true
    }

    /// Does what the world wants of its shells.
    fn act(&mut self, outward: Vec<Signal>) {
        if self.by_hand {
            self.outward.extend(outward);
            return;
        }
        for signal in outward {
            match signal {
                Signal::Boot(boot) => {
                    self.booted.insert(boot.instance.clone());
                    self.machines.all.insert(boot.instance.clone(), Machine::new(&boot.instance));
                    self.after(self.application.boot_seconds, Event::Booted(boot.instance));
                }
                Signal::EndProcess { instance } => self.after(self.application.end_seconds, Event::Ended(instance)),
                Signal::Probe(probe) => self.answer(probe),
                _ => {}
            }
        }
        self.follow_routing();
    }

    /// A health check, which takes no time.
    fn answer(&mut self, probe: Probe) {
        let outcome = match self.machines.stage(&probe.instance) {
            Some(Stage::Serving) => ProbeOutcome::Status(200),
            Some(Stage::Broken) => ProbeOutcome::Status(500),
            _ => ProbeOutcome::Failed("connection refused".to_owned()),
        };
        let Probe { target_group, instance, port, .. } = probe;
        self.signal(Signal::ProbeResult { target_group, instance, port, outcome });
    }

    /// Looks at the routing where it has changed: who gets requests, and who drains.
    fn follow_routing(&mut self) {
        let revision = self.world.services.elbv2.revision();
        if revision == self.revision {
            return;
        }
        self.account();
        self.revision = revision;
        self.shares = None;
        self.groups = self.world.services.elbv2.routing().target_groups;
        self.group_metrics = self.groups.iter().map(metrics_of).collect();
        let mut idle_events = Vec::new();
        for group in &self.groups {
            let leaving = group.targets.iter().filter(|target| target.standing == Standing::Draining);
            for target in leaving {
                let (instance, port) = (target.id.instance.clone(), target.id.port);
                idle_events.push(Event::Idle { target_group: group.arn.clone(), instance, port });
            }
        }
        for idle in idle_events {
            if !self.events.values().any(|event| *event == idle) {
                self.after(self.application.drain_seconds, idle);
            }
        }
    }

    /// The instances that get requests: the targets that are routed to, or without a load balancer whoever serves.
    fn receivers(&self) -> Vec<String> {
        if self.groups.is_empty() {
            self.machines.all.keys().filter(|instance| self.machines.is_serving(instance)).cloned().collect()
        } else {
            self.groups.iter().flat_map(routed).map(str::to_owned).collect()
        }
    }

    /// In how many shares the load is cut, of which each machine then knows its own.
    fn cut(&mut self) -> usize {
        if let Some(count) = self.shares {
            return count;
        }
        let receivers = self.receivers();
        self.machines.all.values_mut().for_each(|machine| machine.shares = 0);
        for instance in &receivers {
            if let Some(machine) = self.machines.all.get_mut(instance) {
                machine.shares += 1;
            }
        }
        self.shares = Some(receivers.len());
        receivers.len()
    }

    /// Gives the requests that came since the last time to the machines, in equal shares.
    fn account(&mut self) {
        if self.accounted >= self.now {
            return;
        }
        let requests = self.load.requests(self.accounted, self.now);
        self.accounted = self.now;
        if requests == 0.0 {
            return;
        }
        let shares = self.cut();
        #[expect(clippy::cast_precision_loss, reason = "instances are few")]
        let share = requests / shares.max(1) as f64;
        let mut served = 0.0;
        for machine in self.machines.all.values_mut().filter(|it| it.shares > 0 && it.stage == Stage::Serving) {
            let requests = share * f64::from(machine.shares);
            machine.requests += requests;
            served += f64::from(machine.shares);
        }
        #[expect(clippy::cast_precision_loss, reason = "instances are few")]
        let lost = shares.max(1) as f64 - served;
        self.failed += share * lost;
    }

    /// The instance's application fails from now on: its health checks answer 500.
    pub fn break_application(&mut self, instance: &str) {
        self.stage_from(instance, Stage::Serving, Stage::Broken);
    }

    /// The instance's whole process tree is gone: EC2's status checks fail.
    pub fn crash(&mut self, instance: &str) {
        self.happen(Event::Ended(instance.to_owned()));
    }
}

fn metrics_of(group: &TargetGroupRoutes) -> [Arc<MetricId>; 2] {
    let dimensions = [("TargetGroup", group.full_name.as_str()), ("LoadBalancer", group.load_balancer.as_str())];
    ["RequestCount", "RequestCountPerTarget"].map(|name| MetricId::shared("AWS/ApplicationELB", name, &dimensions))
}

/// Whom a target group's requests go to.
fn routed(group: &TargetGroupRoutes) -> impl Iterator<Item = &str> {
    let gets =
        |standing: Standing| standing == Standing::Healthy || (group.fails_open && standing == Standing::Doubtful);
    group.targets.iter().filter(move |target| gets(target.standing)).map(|target| target.id.instance.as_str())
}
