//! Observations → events: one line for one thing that happened, however many records AWS keeps of it.
//!
//! A scaling decision is one event, with an activity for each instance that it launched or ended: they share the
//! sentence of their cause that reports the decision. What goes on is reported again when it is over, under the same
//! id.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::event::{Event, Kind, seconds, short};
use super::observation::{Instance, Observation};
use super::scaling;
use crate::cloud::alarms::{self, Turn};
use crate::cloud::refreshes::Refresh;
use crate::cloud::state::{AlarmState, InstanceState, RefreshStatus, TargetState};
use crate::resource::status::ClusterKind;
use crate::result::figures;

/// The oldest are forgotten first.
const EVENTS_MAX: usize = 500;
/// The load is no cluster's.
const LOAD: &str = "";
/// Changes of one alarm that are kept to explain what it called for.
const TURNS_MAX: usize = 100;

/// Everything that happened, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// In the order of time.
    events: Vec<Event>,
    /// By alarm, oldest first.
    turns: BTreeMap<String, Vec<(Timestamp, Turn)>>,
    /// The health that an instance had at the last look.
    health: BTreeMap<String, TargetState>,
    /// The state that an instance of no group had at the last look.
    states: BTreeMap<String, InstanceState>,
    looked: bool,
}

impl Timeline {
    /// Takes up a look; returns what is new, and what is changed, oldest first.
    pub fn take(&mut self, seen: &Observation) -> Vec<Event> {
        let mut found = self.alarms(seen);
        found.extend(scaling::events(&seen.activities, &self.turns, &seen.alarms));
        found.extend(seen.refreshes.iter().map(refresh));
        found.extend(self.fixed(seen));
        found.extend(seen.instances.iter().filter_map(disturbed));
        found.extend(phases(seen));
        found.extend(self.healths(seen));
        self.looked = true;
        // Activities have whole seconds; an alarm comes before what it called for.
        found.sort_by_key(|event| event.at.as_second());
        found.retain(|event| self.keep(event));
        self.events.sort_by_key(|event| event.at.as_second());
        let surplus = self.events.len().saturating_sub(EVENTS_MAX);
        self.events.drain(..surplus);
        found
    }

    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Whether there is something to report: it is new, or its words changed.
    fn keep(&mut self, event: &Event) -> bool {
        if let Some(known) = self.events.iter_mut().find(|known| known.id == event.id) {
            let is_news = known.text != event.text;
            event.clone_into(known);
            return is_news;
        }
        // What was forgotten for its age is not news.
        let oldest = self.events.first().map(|first| first.at);
        let was_forgotten = self.events.len() >= EVENTS_MAX && oldest.is_some_and(|oldest| event.at < oldest);
        if !was_forgotten {
            self.events.push(event.clone());
        }
        !was_forgotten
    }

    fn alarms(&mut self, seen: &Observation) -> Vec<Event> {
        let mut events = Vec::new();
        for change in &seen.alarm_changes {
            let Some(turn) = alarms::turn(change) else { continue };
            let Some(of) = seen.alarms.iter().find(|alarm| alarm.name == change.alarm) else { continue };
            let label = alarms::label(&change.alarm);
            let values = figures::list(&turn.values);
            let (kind, text) = match (&turn.from, &turn.to) {
                (_, AlarmState::Alarm) => {
                    let threshold = figures::short(of.threshold);
                    (Kind::Alarm, format!("alarm {label}: {values} {} {threshold}", of.comparison.sign()))
                }
                (AlarmState::Alarm, AlarmState::Ok) => (Kind::Recovered, format!("alarm {label} is over: {values}")),
                (_, AlarmState::Ok) => (Kind::Settled, format!("alarm {label} is OK: {values}")),
                _ => (Kind::Settled, format!("alarm {label} has insufficient data")),
            };
            let id = format!("{} {}", change.alarm, change.at);
            let event = Event::new(id, change.at, &of.cluster, kind, text);
            events.push(Event { alarm: Some(change.alarm.clone()), prose: Some(prose(&turn)), ..event });
            let turns = self.turns.entry(change.alarm.clone()).or_default();
            if !turns.iter().any(|(at, known)| *at == change.at && *known == turn) {
                turns.push((change.at, turn));
                turns.sort_by_key(|(at, _)| *at);
                let surplus = turns.len().saturating_sub(TURNS_MAX);
                turns.drain(..surplus);
            }
        }
        events
    }

    /// Instances that no group launches: EC2 reports when they came, and of those that went for about an hour.
    fn fixed(&mut self, seen: &Observation) -> Vec<Event> {
        let mut launches: BTreeMap<(&str, Timestamp), Vec<&Instance>> = BTreeMap::new();
        let mut events = Vec::new();
        for instance in seen.instances.iter().filter(|instance| !instance.of_group) {
            // To the second, as AWS reports it: those of one call belong together.
            if let Some(at) = instance.launched.and_then(|at| Timestamp::from_second(at.as_second()).ok()) {
                launches.entry((&instance.cluster, at)).or_default().push(instance);
            }
            events.extend(self.ended(instance, seen.at));
        }
        let launched = launches.into_iter().map(|((cluster, at), instances)| {
            let count = instances.len();
            let noun = if count == 1 { "instance" } else { "instances" };
            let id = format!("{cluster} launched {at}");
            let text = format!("{count} fixed {noun} launched");
            let instances = instances.iter().map(|instance| instance.id.clone()).collect();
            Event { instances, ..Event::new(id, at, cluster, Kind::Launched, text) }
        });
        events.extend(launched);
        events
    }

    /// That an instance was stopped or terminated, and started again.
    fn ended(&mut self, instance: &Instance, now: Timestamp) -> Option<Event> {
        let before = self.states.insert(instance.id.clone(), instance.state.clone());
        let was_over = before.map(|state| state.is_over());
        let short = short(&instance.id);
        match (was_over, instance.state.is_over()) {
            (Some(true), false) => {
                let id = format!("{} started {now}", instance.id);
                let text = format!("{short} started again");
                let event = Event::new(id, now, &instance.cluster, Kind::Launched, text);
                Some(Event { instances: vec![instance.id.clone()], ..event })
            }
            (_, true) => {
                let verb = if instance.state.is_stopped() { "stopped" } else { "terminated" };
                let known = self.events.iter().find(|event| event.id == format!("{} {verb}", instance.id));
                // EC2 reports the time of what somebody asked for.
                let told = instance.transition.as_deref().and_then(transition);
                let at = known.map(|event| event.at).or(told).unwrap_or(now);
                if told.is_none() && known.is_none() && !self.looked {
                    return None;
                }
                let event = Event::new(
                    format!("{} {verb}", instance.id),
                    at,
                    &instance.cluster,
                    Kind::Ended,
                    format!("{short} {verb}"),
                );
                Some(Event { instances: vec![instance.id.clone()], prose: instance.transition.clone(), ..event })
            }
            _ => None,
        }
    }

    /// Nobody keeps a record of target health: only what changes between two looks is known.
    fn healths(&mut self, seen: &Observation) -> Vec<Event> {
        let mut events = Vec::new();
        let mut now = BTreeMap::new();
        for cluster in &seen.status.clusters {
            for instance in &cluster.instances {
                let before = self.health.get(&instance.id);
                now.insert(instance.id.clone(), instance.health.clone());
                let short = short(&instance.id);
                let launched =
                    seen.instances.iter().find(|found| found.id == instance.id).and_then(|found| found.launched);
                let (kind, text) = match (before, &instance.health) {
                    (Some(before), TargetState::Unhealthy) if *before != TargetState::Unhealthy => {
                        let why = instance.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
                        (Kind::Unhealthy, format!("{short} unhealthy{why}"))
                    }
                    (Some(TargetState::Unhealthy), TargetState::Healthy) => {
                        (Kind::Healthy, format!("{short} healthy again"))
                    }
                    (Some(TargetState::Initial | TargetState::Unregistered), TargetState::Healthy)
                        if cluster.kind == ClusterKind::Fixed =>
                    {
                        let after = launched.map(|at| format!(", {} after its launch", seconds(at, seen.at)));
                        (Kind::Healthy, format!("{short} healthy{}", after.unwrap_or_default()))
                    }
                    _ => continue,
                };
                let event = Event::new(
                    format!("{} {} {}", instance.id, instance.health, seen.at),
                    seen.at,
                    &cluster.name,
                    kind,
                    text,
                );
                events.push(Event { instances: vec![instance.id.clone()], ..event });
            }
        }
        self.health = now;
        events
    }
}

/// The phases of the load that have begun, and its end.
fn phases(seen: &Observation) -> Vec<Event> {
    let Some(load) = &seen.load else { return Vec::new() };
    let begun = load.phases.iter().filter_map(|phase| {
        let at = load.at(phase.from)?;
        let is_cut = load.ended.is_some_and(|ended| at >= ended);
        if at > seen.at || is_cut {
            return None;
        }
        let rates = phase.demand.first().zip(phase.demand.last());
        let demand = rates.map(|((_, first), (_, last))| match (figures::short(*first), figures::short(*last)) {
            (first, last) if first == last => format!(": {first}/s"),
            (first, last) => format!(": {first} to {last}/s"),
        });
        let text = format!("{} begins{}", phase.name, demand.unwrap_or_default());
        Some(Event::new(format!("load {} {}", load.started, phase.from), at, LOAD, Kind::Phase, text))
    });
    let over = load.over().filter(|over| *over <= seen.at);
    let over =
        over.map(|at| Event::new(format!("load {} over", load.started), at, LOAD, Kind::Phase, "the load is over"));
    begun.chain(over).collect()
}

/// What chaos did to an instance that goes on; that it ended one, others report.
fn disturbed(instance: &Instance) -> Option<Event> {
    let mut words = instance.disturbed.as_deref()?.split(' ');
    let (kind, at, lasts) =
        (words.next()?, words.next()?.parse::<Timestamp>().ok()?, words.next()?.parse::<i64>().ok()?);
    let lasts = seconds(Timestamp::UNIX_EPOCH, Timestamp::from_second(lasts).ok()?);
    let what = match kind {
        "hang" => format!("hangs for {lasts}"),
        "slow" => format!("runs for a tenth of the time, for {lasts}"),
        "unhealthy" => "has lost its application".to_owned(),
        other => format!("is disturbed ({other})"),
    };
    let text = format!("{} {what}: chaos", short(&instance.id));
    let event = Event::new(format!("{} {kind} {at}", instance.id), at, &instance.cluster, Kind::Disturbed, text);
    Some(Event { instances: vec![instance.id.clone()], ..event })
}

fn prose(turn: &Turn) -> String {
    format!("{} → {}: {}", turn.from, turn.to, turn.reason)
}

/// `User initiated (2026-11-21 10:00:00 GMT)`: EC2's StateTransitionReason.
fn transition(text: &str) -> Option<Timestamp> {
    let time = text.rsplit_once('(')?.1.strip_suffix(" GMT)")?;
    format!("{}Z", time.replacen(' ', "T", 1)).parse().ok()
}

fn refresh(refresh: &Refresh) -> Event {
    let percent = refresh.percent.map(|percent| format!(", {percent} %")).unwrap_or_default();
    let text = match (&refresh.status, refresh.ended) {
        (RefreshStatus::Successful, Some(ended)) => {
            format!("instance refresh done after {}", seconds(refresh.started, ended))
        }
        (status, Some(ended)) => format!("instance refresh {status} after {}", seconds(refresh.started, ended)),
        (RefreshStatus::Pending | RefreshStatus::InProgress, None) => format!("instance refresh in progress{percent}"),
        (status, None) => format!("instance refresh {status}{percent}"),
    };
    let event = Event::new(&*refresh.id, refresh.started, &refresh.cluster, Kind::Refresh, text);
    Event { ended: refresh.ended, refresh: Some(refresh.id.clone()), prose: refresh.reason.clone(), ..event }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::sample;
    use super::*;
    use crate::resource::status::Status;
    use crate::result::live::{Load, Phase};

    fn at(minutes: i64) -> Timestamp {
        sample::now() + jiff::SignedDuration::from_mins(minutes)
    }

    fn observation(minutes: i64) -> Observation {
        let status = Status {
            stack: "shop".into(),
            provider: "local".into(),
            url: None,
            load_balancer: None,
            stopped: false,
            down_after: None,
            clusters: Vec::new(),
        };
        Observation {
            at: at(minutes),
            status,
            lifecycles: BTreeMap::new(),
            instances: Vec::new(),
            activities: Vec::new(),
            refreshes: Vec::new(),
            alarms: Vec::new(),
            alarm_changes: Vec::new(),
            metrics: None,
            load: None,
            missing: Vec::new(),
        }
    }

    fn texts(events: &[Event]) -> Vec<&str> {
        events.iter().map(|event| event.text.as_str()).collect()
    }

    #[test]
    fn phases_of_the_load_are_told_as_they_begin_and_its_end_once() {
        let phase = |name: &str, from: f64, until: f64, demand: &[(f64, f64)]| Phase {
            name: name.to_owned(),
            from,
            until: Some(until),
            demand: demand.to_vec(),
        };
        let phases = vec![
            phase("calm", 0.0, 120.0, &[(0.0, 10.0), (60.0, 10.0)]),
            phase("rise", 120.0, 240.0, &[(120.0, 15.0), (180.0, 40.0)]),
            phase("users", 240.0, 300.0, &[]),
        ];
        let load = Load { scenario: "s".to_owned(), started: at(0), ended: None, phases, objective_ms: None };
        let mut timeline = Timeline::default();
        let mut look = |minutes, ended: Option<i64>| {
            let load = Load { ended: ended.map(at), ..load.clone() };
            let events = timeline.take(&Observation { load: Some(load), ..observation(minutes) });
            assert!(events.iter().all(|event| event.kind == Kind::Phase && event.cluster.is_empty()));
            texts(&events).join("; ")
        };
        assert_eq!(look(1, None), "calm begins: 10/s");
        assert_eq!(look(3, None), "rise begins: 15 to 40/s");
        assert_eq!(look(3, Some(3)), "the load is over", "it was interrupted before its last phase");
        assert_eq!(look(9, Some(3)), "");
    }

    #[test]
    fn what_chaos_did_to_an_instance_is_told_once_with_its_name() {
        let instance = |disturbed: &str| Instance {
            id: "i-0a1b2c3d4e5f60718".into(),
            cluster: "web".into(),
            instance_type: "t2.large".into(),
            state: "running".into(),
            launched: None,
            transition: None,
            of_group: true,
            disturbed: Some(disturbed.to_owned()),
        };
        let mut timeline = Timeline::default();
        let mut look = |disturbed: &str| {
            let events = timeline.take(&Observation { instances: vec![instance(disturbed)], ..observation(5) });
            texts(&events).join("; ")
        };
        let time = at(4);
        assert_eq!(look(&format!("hang {time} 180")), "i-0a1b… hangs for 3 min 0 s: chaos");
        assert_eq!(look(&format!("hang {time} 180")), "");
        assert_eq!(look(&format!("unhealthy {time} 0")), "i-0a1b… has lost its application: chaos");
        assert_eq!(look("nonsense"), "");
    }
}
