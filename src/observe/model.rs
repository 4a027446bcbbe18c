//! Observations → what a view shows. Pure: it is given what was seen and when, and keeps what a chart needs.
//!
//! A figure is that of the newest minute that is over, as CloudWatch counts. Load balancers report their healthy hosts
//! every minute, so a minute with hosts and without requests had none; a minute with neither was not measured and has
//! no figure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::alarm::{self, AlarmView};
use super::capacity::{Capacity, History};
use super::event::Event;
use super::metrics::PERIOD;
use super::observation::{Figure, Observation};
use super::series::{Point, Series};
use super::timeline::Timeline;
use crate::cloud::state::{InstanceState, Lifecycle, TargetState};
use crate::resource::status::{ClusterKind, ClusterStatus, InstanceStatus};
use crate::result::live::{Load, Phase};

/// A figure that is older says nothing about now: load balancers publish within three minutes, EC2 every five.
const AGE_MAX: i64 = 10 * 60;

/// Everything that was seen, as far back as a view looks.
#[derive(Debug)]
pub struct Model {
    span: SignedDuration,
    speed: u32,
    timeline: Timeline,
    series: BTreeMap<(String, Figure), Series>,
    alarms: BTreeMap<String, Series>,
    load_balancer_errors: Series,
    capacity: BTreeMap<String, History>,
    last: Option<Observation>,
}

/// A stack, as every view shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct View {
    pub stack: String,
    pub provider: String,
    pub url: Option<String>,
    /// The region's time of the last look.
    pub at: Timestamp,
    /// How fast the region's time runs; 1 on AWS.
    pub speed: u32,
    /// How far back it looks, in seconds.
    pub span: i64,
    pub stopped: bool,
    pub clusters: Vec<ClusterView>,
    pub alarms: Vec<AlarmView>,
    /// Oldest first.
    pub events: Vec<Event>,
    /// 5XX a minute that the load balancer itself answered.
    pub load_balancer_errors: Vec<Point>,
    /// The load that is sent, where its generator reports it.
    pub load: Option<LoadView>,
    /// What could not be read, and why.
    pub missing: Vec<String>,
}

/// What is demanded, by the load generator's own word.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadView {
    /// `None` once it is over.
    pub phase: Option<String>,
    /// Requests a second of each target, by the minute.
    pub demand: Vec<Point>,
    /// What the slower answers are to stay below, in milliseconds.
    pub objective_ms: Option<f64>,
}

/// A cluster, now and before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClusterView {
    pub name: String,
    pub kind: ClusterKind,
    pub instance_type: String,
    pub min: u32,
    pub max: u32,
    pub capacity: Capacity,
    /// Targets that are not on their way out.
    pub targets: usize,
    pub now: Figures,
    pub series: SeriesView,
    pub history: Vec<(Timestamp, Capacity)>,
    pub instances: Vec<InstanceView>,
}

/// The newest figures. `None` is what nobody measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Requests a second.
    pub rate: Option<f64>,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// 5XX of targets, and connections that they refused, in percent of the requests.
    pub errors: Option<f64>,
    /// Percent.
    pub cpu: Option<f64>,
}

/// By the minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SeriesView {
    pub rate: Vec<Point>,
    pub p50_ms: Vec<Point>,
    pub p95_ms: Vec<Point>,
    pub p99_ms: Vec<Point>,
    /// Percent of the requests.
    pub client_errors: Vec<Point>,
    pub server_errors: Vec<Point>,
    pub cpu: Vec<Point>,
    pub healthy: Vec<Point>,
}

/// An instance, as tables list it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InstanceView {
    pub id: String,
    pub zone: String,
    pub state: InstanceState,
    /// Auto Scaling's word; `None` of a fixed instance.
    pub lifecycle: Option<Lifecycle>,
    pub health: TargetState,
    pub reason: Option<String>,
    pub address: Option<String>,
    pub launched: Option<Timestamp>,
}

/// A view that has little to look back on begins here, in seconds before now.
const SHOWN_MIN: i64 = 600;

impl View {
    /// From when to when there is something to see, in epoch seconds: what nobody has measured takes no room.
    pub fn window(&self) -> (i64, i64) {
        let to = self.at.as_second();
        let series = self.clusters.iter().flat_map(|cluster| [&cluster.series.rate, &cluster.series.cpu]);
        let points = series.filter_map(|points| points.first().map(|point| point.0));
        let events = self.events.first().map(|event| event.at.as_second() - PERIOD);
        let first = points.chain(events).min().unwrap_or(to);
        (first.clamp(to - self.span.max(SHOWN_MIN), to - SHOWN_MIN), to)
    }
}

impl Model {
    /// One that looks back for `span` of a time that runs so many times as fast as the wall's.
    pub fn new(span: SignedDuration, speed: u32) -> Self {
        Self {
            span,
            speed,
            timeline: Timeline::default(),
            series: BTreeMap::new(),
            alarms: BTreeMap::new(),
            load_balancer_errors: Series::default(),
            capacity: BTreeMap::new(),
            last: None,
        }
    }

    /// Takes up a look; returns the events that are new or changed, oldest first.
    pub fn take(&mut self, seen: Observation) -> Vec<Event> {
        let (now, span) = (seen.at, self.span);
        if let Some(metrics) = &seen.metrics {
            for (key, points) in &metrics.clusters {
                self.series.entry(key.clone()).or_default().merge(points);
            }
            for (name, points) in &metrics.alarms {
                self.alarms.entry(name.clone()).or_default().merge(points);
            }
            self.load_balancer_errors.merge(&metrics.load_balancer_errors);
        }
        let all = self.series.values_mut().chain(self.alarms.values_mut()).chain([&mut self.load_balancer_errors]);
        all.for_each(|series| series.forget(now, span));
        self.alarms.retain(|name, _| seen.alarms.iter().any(|alarm| alarm.name == *name));
        let news = self.timeline.take(&seen);
        for cluster in &seen.status.clusters {
            let history = self.capacity.entry(cluster.name.clone()).or_default();
            history.look(now, capacity(cluster, &seen), &cluster.name, self.timeline.events());
            history.forget(now, span);
        }
        self.last = Some(seen);
        news
    }

    /// What there is to see; `None` before the first look.
    pub fn view(&self) -> Option<View> {
        let seen = self.last.as_ref()?;
        let none = Series::default();
        let alarms =
            seen.alarms.iter().map(|one| alarm::view(one, self.alarms.get(&one.name).unwrap_or(&none), seen.at));
        let oldest = seen.at - self.span;
        let events = self.timeline.events().iter().filter(|event| event.ended.unwrap_or(event.at) >= oldest);
        Some(View {
            stack: seen.status.stack.clone(),
            provider: seen.status.provider.clone(),
            url: seen.status.url.clone(),
            at: seen.at,
            speed: self.speed,
            span: self.span.as_secs(),
            stopped: seen.status.stopped,
            clusters: seen.status.clusters.iter().map(|cluster| self.cluster(cluster, seen)).collect(),
            alarms: alarms.collect(),
            events: events.cloned().collect(),
            load_balancer_errors: self.load_balancer_errors.points().to_vec(),
            load: seen.load.as_ref().and_then(|load| load_view(load, seen.at, oldest)),
            missing: seen.missing.clone(),
        })
    }

    /// Every event that is known, oldest first.
    pub fn events(&self) -> &[Event] {
        self.timeline.events()
    }

    fn cluster(&self, cluster: &ClusterStatus, seen: &Observation) -> ClusterView {
        let none = Series::default();
        let of = |figure| self.series.get(&(cluster.name.clone(), figure)).unwrap_or(&none);
        let series = series(&of, seen.at);
        ClusterView {
            name: cluster.name.clone(),
            kind: cluster.kind,
            instance_type: cluster.instance_type.clone(),
            min: cluster.min,
            max: cluster.max,
            capacity: capacity(cluster, seen),
            targets: cluster.instances.iter().filter(|instance| !is_leaving(instance, seen)).count(),
            now: figures(&series, &of, seen.at),
            series,
            history: self.capacity.get(&cluster.name).map(|history| history.points().to_vec()).unwrap_or_default(),
            instances: cluster.instances.iter().map(|one| instance(one, seen)).collect(),
        }
    }
}

/// As far back as a view looks, and no further than now.
fn load_view(load: &Load, now: Timestamp, oldest: Timestamp) -> Option<LoadView> {
    let over = load.over();
    if load.started > now || over.is_some_and(|over| over < oldest) {
        return None;
    }
    let begun = |phase: &&Phase| load.at(phase.from).is_some_and(|from| from <= now);
    let lasts = |phase: &&Phase| phase.until.and_then(|until| load.at(until)).is_none_or(|until| until > now);
    let phase = load.phases.iter().filter(begun).rfind(lasts);
    let point = |(seconds, rate): &(f64, f64)| Some(Point(load.at(*seconds)?.as_second(), *rate));
    let seen = |Point(at, _): &Point| *at >= oldest.as_second() && *at <= over.unwrap_or(now).min(now).as_second();
    Some(LoadView {
        phase: phase.filter(|_| over.is_none_or(|over| over > now)).map(|phase| phase.name.clone()),
        demand: load.phases.iter().flat_map(|phase| &phase.demand).filter_map(point).filter(seen).collect(),
        objective_ms: load.objective_ms,
    })
}

fn instance(instance: &InstanceStatus, seen: &Observation) -> InstanceView {
    InstanceView {
        id: instance.id.clone(),
        zone: instance.az.clone(),
        state: instance.state.clone(),
        lifecycle: seen.lifecycles.get(&instance.id).cloned(),
        health: instance.health.clone(),
        reason: instance.reason.clone(),
        address: instance.address.clone(),
        launched: seen.instances.iter().find(|found| found.id == instance.id).and_then(|found| found.launched),
    }
}

fn is_leaving(instance: &InstanceStatus, seen: &Observation) -> bool {
    let leaves_group = seen.lifecycles.get(&instance.id).is_some_and(Lifecycle::is_leaving);
    leaves_group || instance.state.is_over() || instance.health == TargetState::Draining
}

fn capacity(cluster: &ClusterStatus, seen: &Observation) -> Capacity {
    let count = |is: &dyn Fn(&InstanceStatus) -> bool| {
        u32::try_from(cluster.instances.iter().filter(|instance| is(instance)).count()).unwrap_or(u32::MAX)
    };
    let is_leaving = |instance: &InstanceStatus| is_leaving(instance, seen);
    let serves = |instance: &InstanceStatus| match seen.lifecycles.get(&instance.id) {
        Some(lifecycle) => *lifecycle == Lifecycle::InService,
        None => cluster.group.is_none() && instance.state == InstanceState::Running,
    };
    Capacity {
        desired: cluster.desired,
        in_service: count(&|instance| serves(instance) && !is_leaving(instance)),
        warming: count(&|instance| !serves(instance) && !is_leaving(instance)),
        leaving: count(&is_leaving),
        healthy: Some(count(&|instance| instance.health == TargetState::Healthy)),
        unhealthy: Some(count(&|instance| instance.health.is_unhealthy() && !is_leaving(instance))),
    }
}

/// The series of a cluster, in the minutes that are over.
fn series<'a>(of: &dyn Fn(Figure) -> &'a Series, now: Timestamp) -> SeriesView {
    let complete = |figure| of(figure).complete(now, PERIOD).to_vec();
    let requests = of(Figure::Requests);
    let mut minutes: Vec<i64> = [Figure::Healthy, Figure::Requests]
        .iter()
        .flat_map(|figure| of(*figure).complete(now, PERIOD).iter().map(|point| point.0))
        .collect();
    minutes.sort_unstable();
    minutes.dedup();
    #[expect(clippy::cast_precision_loss, reason = "a period is small")]
    let rate = |minute: &i64| Point(*minute, requests.at(*minute).unwrap_or(0.0) / PERIOD as f64);
    let share = |figures: &[Figure]| {
        let busy =
            minutes.iter().filter_map(|minute| Some((*minute, requests.at(*minute).filter(|count| *count > 0.0)?)));
        let share = busy.map(|(minute, requests)| {
            let counts = figures.iter().filter_map(|figure| of(*figure).at(minute));
            // The sum of nothing is -0.
            let errors = counts.fold(0.0, |sum, count| sum + count);
            Point(minute, (errors / requests * 100.0).min(100.0))
        });
        share.collect::<Vec<_>>()
    };
    SeriesView {
        rate: minutes.iter().map(rate).collect(),
        p50_ms: complete(Figure::P50),
        p95_ms: complete(Figure::P95),
        p99_ms: complete(Figure::P99),
        client_errors: share(&[Figure::ClientErrors]),
        server_errors: share(&[Figure::ServerErrors, Figure::ConnectionErrors]),
        cpu: complete(Figure::Cpu),
        healthy: complete(Figure::Healthy),
    }
}

/// All of the same minute, so that they belong together; the CPU is measured by somebody else, and has its own.
fn figures<'a>(series: &SeriesView, of: &dyn Fn(Figure) -> &'a Series, now: Timestamp) -> Figures {
    let is_recent = |point: &&Point| now.as_second() - point.0 <= AGE_MAX;
    let newest = series.rate.last().filter(is_recent);
    let at =
        |points: &[Point]| newest.and_then(|newest| points.iter().rev().find(|point| point.0 == newest.0)).map(|p| p.1);
    Figures {
        rate: newest.map(|point| point.1).or_else(|| filling(of(Figure::Requests), now)),
        p50_ms: at(&series.p50_ms),
        p95_ms: at(&series.p95_ms),
        p99_ms: at(&series.p99_ms),
        errors: at(&series.server_errors),
        cpu: series.cpu.last().filter(is_recent).map(|point| point.1),
    }
}

/// Before the first minute is over: what it has so far.
fn filling(requests: &Series, now: Timestamp) -> Option<f64> {
    let newest = requests.points().last()?;
    let elapsed = now.as_second() - newest.0;
    #[expect(clippy::cast_precision_loss, reason = "less than a minute")]
    (1..PERIOD).contains(&elapsed).then(|| newest.1 / elapsed as f64)
}
