//! All alarms of the region: their evaluation in time, their actions, their history.
//!
//! An evaluation works on numbers: `alarm_window.rs` keeps the datapoints, `alarm.rs` decides. What it says in words is made
//! when somebody reads it (`alarm_reason.rs`, `alarm_history.rs`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use super::alarm::State;
use super::alarm_config::{Config, Watched};
use super::alarm_history::{Happened, History};
use super::alarm_reason::{Evaluation, Reason};
use super::alarm_window::{Points, Window};
use super::anomaly::Anomalies;
use super::composites::{Child, Composite, CompositeConfig};
use super::math;
use super::query::{self, Reading};
use super::statistics::Statistic;
use super::store::{Place, Store};
use super::wire::validation;
use crate::region::context::Context;
use crate::region::signal::{AlarmState, Signal};
use crate::region::wire::ApiError;

/// An account's quota is 5000.
const ALARMS_MAX: usize = 5000;

/// How often an alarm looks at its metric: each minute, or each 10 s where its period is below a minute.
const INTERVAL_SECONDS: i64 = 60;
const FINE_INTERVAL_SECONDS: i64 = 10;
/// How often the action of a scaling policy runs while its alarm stays in one state.
const REPEAT_SECONDS: i64 = 60;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Alarm {
    pub config: Config,
    pub arn: String,
    pub tags: BTreeMap<String, String>,
    pub state: State,
    pub reason: Reason,
    pub configured: Timestamp,
    /// When the state was last set, and when it last became another.
    pub updated: Timestamp,
    pub transitioned: Timestamp,
    pub history: History,
    /// When it is looked at next.
    due: Timestamp,
    /// The end of the window whose evaluation last ran actions; `None` before the first change of the state.
    acted: Option<i64>,
    window: Window,
    /// Where its metric was in the store.
    #[serde(skip)]
    place: Place,
    /// The datapoints that were evaluated last, oldest first, where they are no window's.
    points: Points,
    /// The band (lower, upper) of each, where one is watched.
    #[serde(default)]
    bounds: VecDeque<Option<(f64, f64)>>,
}

impl Alarm {
    fn interval(&self) -> i64 {
        interval(&self.config)
    }

    /// It is looked at again when the next period has ended and its metrics have been published.
    fn schedule(&mut self, cx: &Context) {
        let next = last_end(cx, self.interval()) + self.interval();
        self.due = Timestamp::from_second(next).map_or(Timestamp::MAX, |end| end + cx.delays.publication);
    }

    /// Looks at the window that ends at `end`; the new state, unless the old one is kept.
    fn evaluate(&mut self, store: &Store, anomalies: &Anomalies, end: i64, now: Timestamp) -> Option<State> {
        if !self.look(store, anomalies, end, now) {
            return None;
        }
        if self.config.band.is_some() {
            let comparison = self.config.comparison;
            let points = self.seen().iter().zip(&self.bounds);
            return self.config.rule.state(points.map(|(point, band)| Some(comparison.leaves((*point)?, (*band)?))));
        }
        let (comparison, threshold) = (self.config.comparison, self.config.threshold);
        let breaches = |value: f64| comparison.breaches(value, threshold);
        self.config.rule.state(self.seen().iter().map(|point| point.map(breaches)))
    }

    /// The datapoints that were evaluated last, oldest first.
    fn seen(&self) -> &Points {
        match &self.config.watched {
            Watched::Metric { .. } if self.config.samples_min().is_none() => self.window.points(),
            _ => &self.points,
        }
    }

    /// Reads the datapoints; `false` where there are too few samples to say anything, or the expression has no value.
    fn look(&mut self, store: &Store, anomalies: &Anomalies, end: i64, now: Timestamp) -> bool {
        let Config { watched, period, rule, .. } = &self.config;
        let (period, start) = (*period, self.config.window_start(end));
        match watched {
            Watched::Metric { id, statistic, unit, .. } if self.config.samples_min().is_none() => {
                let place = store.find(id, self.place);
                self.place = place.unwrap_or_default();
                let fresh = place.and_then(|place| store.freshness(place));
                self.window.look(end, fresh, |range, put| {
                    store.values(place.unwrap_or_default(), unit.as_deref(), (range, period), *statistic, put);
                });
            }
            Watched::Metric { id, statistic, unit, .. } => {
                let periods = store.periods(id, unit.as_deref(), start..end, period);
                let counts = periods.values().filter_map(|samples| samples.get(Statistic::SampleCount));
                if self.config.samples_min().is_some_and(|min| counts.fold(0.0, f64::max) < min) {
                    return false;
                }
                let values = periods.into_iter().filter_map(|(at, samples)| Some((at, samples.get(*statistic)?)));
                self.points = spread(values, start, period, rule.range());
            }
            Watched::Math { queries, .. } => {
                let Ok(results) = query::compute(store, anomalies, queries, &(start..end), Reading::of_alarm(now))
                else {
                    return false;
                };
                let band = self.config.band.as_deref();
                let returned = queries.iter().position(|query| query.returned && Some(query.id.as_str()) != band);
                let Some(math::Value::Series(series)) = returned.and_then(|index| results.get(index)).cloned() else {
                    return false;
                };
                let place = queries.iter().position(|query| Some(query.id.as_str()) == band);
                if let Some(math::Value::List(edges)) = place.and_then(|index| results.get(index)) {
                    let edge = |series: &math::Series| spread(series.points.clone(), start, period, rule.range());
                    let edges: Vec<Points> = edges.iter().map(edge).collect();
                    let [lower, upper] = edges.as_slice() else { return false };
                    self.bounds = lower.iter().zip(upper).map(|(lower, upper)| Some(((*lower)?, (*upper)?))).collect();
                }
                self.points = spread(series.points, start, period, rule.range());
            }
        }
        true
    }

    fn evaluation(&self, end: i64, now: Timestamp) -> Reason {
        let Config { rule, comparison, threshold, period, .. } = &self.config;
        Reason::Evaluated(Arc::new(Evaluation {
            at: now,
            start: self.config.window_start(end),
            period: *period,
            rule: *rule,
            comparison: *comparison,
            threshold: *threshold,
            points: self.seen().iter().copied().collect(),
            bounds: self.bounds.iter().copied().collect(),
        }))
    }

    fn set(&mut self, now: Timestamp, state: State, reason: Reason) {
        let old = (self.state, std::mem::replace(&mut self.reason, reason.clone()));
        if state != self.state {
            self.history.add(now, Happened::State { old, new: (state, reason) });
            self.transitioned = now;
        }
        self.state = state;
        self.updated = now;
    }

    /// Runs the actions of its state: after a change, and those of scaling policies again each minute. Minutes are those
    /// of the windows looked at, not of when that happened: evaluations that come late now and then lose no action.
    fn act(&mut self, cx: &mut Context, end: i64, has_changed: bool) {
        if !has_changed && self.acted.is_none_or(|acted| end - acted < REPEAT_SECONDS) {
            return;
        }
        self.acted = Some(end);
        if !self.config.actions_enabled {
            return;
        }
        for action in self.config.actions(self.state) {
            if is_scaling_policy(action) {
                let newest = self.seen().iter().rev().copied().flatten().take(self.config.rule.periods);
                let mut datapoints: Vec<f64> = newest.collect();
                datapoints.reverse();
                cx.signals.push(Signal::AlarmAction {
                    policy_arn: action.clone(),
                    alarm: AlarmState {
                        name: self.config.name.clone(),
                        state: self.state,
                        threshold: self.config.threshold,
                        datapoints,
                        since: self.transitioned,
                    },
                });
            }
        }
    }
}

fn interval(config: &Config) -> i64 {
    if config.period < INTERVAL_SECONDS { FINE_INTERVAL_SECONDS } else { INTERVAL_SECONDS }
}

/// The end of the last period whose metrics have been published.
fn last_end(cx: &Context, interval: i64) -> i64 {
    let publication = i64::try_from(cx.delays.publication.as_micros()).unwrap_or(0);
    (cx.now.as_microsecond() - publication).div_euclid(interval * 1_000_000) * interval
}

/// Values by the start of their period as points, missing ones among them.
fn spread(values: impl IntoIterator<Item = (i64, f64)>, start: i64, period: i64, range: usize) -> Points {
    let mut points: Points = vec![None; range].into();
    for (second, value) in values {
        let place = usize::try_from((second - start).div_euclid(period)).unwrap_or(usize::MAX);
        if let Some(point) = points.get_mut(place) {
            *point = Some(value);
        }
    }
    points
}

/// `arn:aws:autoscaling:REGION:ACCOUNT:scalingPolicy:…`: the one kind of action that the region carries out.
fn is_scaling_policy(arn: &str) -> bool {
    arn.starts_with("arn:aws:autoscaling:") && arn.contains(":scalingPolicy:")
}

/// Every alarm, by name, and when each is due.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Alarms {
    all: BTreeMap<String, Alarm>,
    composites: BTreeMap<String, Composite>,
    /// In the order of their deadlines.
    due: BTreeSet<(Timestamp, String)>,
}

impl Alarms {
    /// Whether an alarm of this configuration could be put.
    ///
    /// # Errors
    /// `LimitExceeded` where the quota is used up.
    pub fn check_room(&self, name: &str) -> Result<(), ApiError> {
        let count = self.all.len() + self.composites.len();
        if count >= ALARMS_MAX && !self.all.contains_key(name) && !self.composites.contains_key(name) {
            return Err(ApiError::new("LimitExceeded", format!("The quota of {ALARMS_MAX} alarms is used up.")));
        }
        Ok(())
    }

    /// Creates an alarm, or replaces the configuration of one and keeps its state.
    ///
    /// # Errors
    /// As [`Alarms::check_room`].
    pub fn put(&mut self, cx: &mut Context, config: Config, tags: BTreeMap<String, String>) -> Result<(), ApiError> {
        let now = cx.now;
        let name = config.name.clone();
        self.check_room(&name)?;
        if self.composites.contains_key(&name) {
            return Err(validation(format!("The alarm {name} is a composite alarm.")));
        }
        let window = Window::new(config.period, interval(&config), config.rule.range());
        if let Some(alarm) = self.all.get_mut(&name) {
            self.due.remove(&(alarm.due, name.clone()));
            alarm.config = config;
            alarm.configured = now;
            alarm.window = window;
            alarm.points.clear();
            alarm.bounds.clear();
            alarm.schedule(cx);
            alarm.history.add(now, Happened::Updated);
            self.due.insert((alarm.due, name));
            return Ok(());
        }
        let mut alarm = Alarm {
            arn: cx.arn("cloudwatch", &format!("alarm:{name}")),
            config,
            tags,
            state: State::InsufficientData,
            reason: Reason::Unchecked,
            configured: now,
            updated: now,
            transitioned: now,
            history: History::default(),
            due: now,
            acted: None,
            window,
            place: Place::default(),
            points: Points::new(),
            bounds: VecDeque::new(),
        };
        alarm.schedule(cx);
        alarm.history.add(now, Happened::Created);
        self.due.insert((alarm.due, name.clone()));
        self.all.insert(name, alarm);
        self.follow(now);
        Ok(())
    }

    /// Creates a composite alarm, or replaces the configuration of one and keeps its state until its rule says another.
    ///
    /// # Errors
    /// As [`Alarms::check_room`]; `ValidationError` for alarms that are not there, and for a rule that depends on itself.
    pub fn put_composite(
        &mut self,
        cx: &Context,
        config: CompositeConfig,
        tags: BTreeMap<String, String>,
    ) -> Result<(), ApiError> {
        let name = config.name.clone();
        self.check_room(&name)?;
        if self.all.contains_key(&name) {
            return Err(validation(format!("The alarm {name} is a metric alarm.")));
        }
        let named = config.rule.alarms();
        if let Some(missing) = named.iter().find(|alarm| **alarm != name && self.child(alarm).is_none()) {
            return Err(validation(format!(
                "Could not save the composite alarm as alarms [{missing}] in the alarm rule do not exist"
            )));
        }
        if named.iter().any(|alarm| self.depends(alarm, &name, 0)) {
            return Err(validation(format!("AlarmRule must not refer to {name} itself, directly or through others.")));
        }
        match self.composites.get_mut(&name) {
            Some(there) => there.configure(cx.now, config),
            None => drop(self.composites.insert(name, Composite::new(cx, config, tags))),
        }
        self.follow(cx.now);
        Ok(())
    }

    /// Whether the state of `alarm` may depend on that of `other`.
    fn depends(&self, alarm: &str, other: &str, depth: usize) -> bool {
        let name = name_of(alarm);
        let composite = self.composites.get(name).filter(|_| depth < ALARMS_MAX);
        name == other
            || composite.is_some_and(|it| it.config.rule.alarms().iter().any(|it| self.depends(it, other, depth + 1)))
    }

    /// An alarm as composites see it, by name or ARN.
    fn child(&self, alarm: &str) -> Option<Child> {
        let name = name_of(alarm);
        let metric = |alarm: &Alarm| Child { arn: alarm.arn.clone(), state: alarm.state, since: alarm.transitioned };
        self.all.get(name).map(metric).or_else(|| self.composites.get(name).map(Composite::as_child))
    }

    /// Brings the composite alarms in line with the alarms that they name, until nothing changes any more.
    fn follow(&mut self, now: Timestamp) {
        let names: Vec<String> = self.composites.keys().cloned().collect();
        for _ in 0..names.len() {
            let mut has_changed = false;
            for name in &names {
                // It looks at all others meanwhile, never at itself.
                let Some(mut composite) = self.composites.remove(name) else { continue };
                has_changed |= composite.follow(now, &|alarm| self.child(alarm));
                self.composites.insert(name.clone(), composite);
            }
            if !has_changed {
                return;
            }
        }
    }

    pub fn composites(&self) -> impl Iterator<Item = &Composite> {
        self.composites.values()
    }

    pub fn composite_mut(&mut self, name: &str) -> Option<&mut Composite> {
        self.composites.get_mut(name)
    }

    /// The state of an alarm of either kind.
    pub fn state(&self, name: &str) -> Option<State> {
        let metric = self.all.get(name).map(|alarm| alarm.state);
        metric.or_else(|| self.composites.get(name).map(|composite| composite.state))
    }

    pub fn remove(&mut self, name: &str) {
        if let Some(alarm) = self.all.remove(name) {
            self.due.remove(&(alarm.due, name.to_owned()));
        }
        self.composites.remove(name);
    }

    pub fn get(&self, name: &str) -> Option<&Alarm> {
        self.all.get(name)
    }

    /// To change what no deadline depends on.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Alarm> {
        self.all.get_mut(name)
    }

    /// In the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Alarm)> {
        self.all.iter()
    }

    /// The tags of an alarm of either kind.
    pub fn tags(&self, arn: &str) -> Option<&BTreeMap<String, String>> {
        let name = name_of(arn);
        let metric = self.all.get(name).filter(|alarm| alarm.arn == arn).map(|alarm| &alarm.tags);
        metric.or_else(|| self.composites.get(name).filter(|alarm| alarm.arn == arn).map(|alarm| &alarm.tags))
    }

    /// To change them.
    pub fn tags_mut(&mut self, arn: &str) -> Option<&mut BTreeMap<String, String>> {
        let name = name_of(arn);
        let metric = self.all.get_mut(name).filter(|alarm| alarm.arn == arn).map(|alarm| &mut alarm.tags);
        metric.or_else(|| self.composites.get_mut(name).filter(|alarm| alarm.arn == arn).map(|alarm| &mut alarm.tags))
    }

    /// Looks at every alarm that is due.
    pub fn advance(&mut self, cx: &mut Context, store: &Store, anomalies: &Anomalies) {
        let mut has_changed = false;
        while self.due.first().is_some_and(|(due, _)| *due <= cx.now) {
            let Some((_, name)) = self.due.pop_first() else { break };
            let Some(alarm) = self.all.get_mut(&name) else { continue };
            let (before, end) = (alarm.state, last_end(cx, alarm.interval()));
            if let Some(state) = alarm.evaluate(store, anomalies, end, cx.now)
                && state != before
            {
                let reason = alarm.evaluation(end, cx.now);
                alarm.set(cx.now, state, reason);
            }
            alarm.act(cx, end, alarm.state != before);
            has_changed |= alarm.state != before;
            alarm.schedule(cx);
            self.due.insert((alarm.due, name));
        }
        if has_changed && !self.composites.is_empty() {
            self.follow(cx.now);
        }
    }

    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Sets a state by hand; it lasts until the next evaluation.
    pub fn set_state(&mut self, cx: &mut Context, name: &str, state: State, reason: &str, data: Option<&str>) -> bool {
        let told = Reason::Told { reason: reason.to_owned(), data: data.map(str::to_owned) };
        if let Some(composite) = self.composites.get_mut(name) {
            composite.set(cx.now, state, told);
            return true;
        }
        let Some(alarm) = self.all.get_mut(name) else { return false };
        let has_changed = alarm.state != state;
        alarm.set(cx.now, state, told);
        if has_changed {
            let end = last_end(cx, alarm.interval());
            alarm.act(cx, end, true);
        }
        self.follow(cx.now);
        true
    }

    /// A policy says what became of an action; the first of a state is recorded, its repeats are not.
    pub fn action_done(&mut self, now: Timestamp, name: &str, policy_arn: &str, error: Option<&String>) {
        if let Some(alarm) = self.all.get_mut(name).filter(|alarm| alarm.transitioned == now) {
            alarm.history.add(now, Happened::Action { action: policy_arn.to_owned(), error: error.cloned() });
        }
    }

    /// No alarm acts on these policies any more; where `and_alarms`, those left without any action go.
    pub fn forget_policies(&mut self, policy_arns: &[String], and_alarms: bool) {
        let mut idle = Vec::new();
        for (name, alarm) in &mut self.all {
            let has_changed = alarm.config.forget_actions(policy_arns);
            if has_changed && and_alarms && !alarm.config.has_actions() {
                idle.push(name.clone());
            }
        }
        idle.iter().for_each(|name| self.remove(name));
    }

    /// The alarms that act on a policy, in the order of their names.
    pub fn acting_on(&self, policy_arn: &str) -> Vec<String> {
        let acts = |alarm: &Alarm| alarm.config.all_actions().any(|action| action == policy_arn);
        self.all.iter().filter(|(_, alarm)| acts(alarm)).map(|(name, _)| name.clone()).collect()
    }
}

/// The name in an alarm's ARN, or the name itself.
fn name_of(alarm: &str) -> &str {
    match alarm.strip_prefix("arn:") {
        Some(rest) => rest.split_once(":alarm:").map_or(alarm, |(_, name)| name),
        None => alarm,
    }
}
