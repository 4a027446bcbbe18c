//! All alarms of the region: their evaluation in time, their actions, their history.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::alarm::State;
use super::alarm_config::{Config, Watched};
use super::math;
use super::query::{self, Align};
use super::store::Store;
use crate::region::context::Context;
use crate::region::signal::{AlarmState, Signal};
use crate::region::wire::ApiError;

/// An account's quota is 5000; a history entry is kept for 14 days, and so many of one alarm.
const ALARMS_MAX: usize = 5000;
const HISTORY_MAX: usize = 100;
const HISTORY_AGE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// How often an alarm looks at its metric: each minute, or each 10 s where its period is below a minute.
const INTERVAL_SECONDS: i64 = 60;
const FINE_INTERVAL_SECONDS: i64 = 10;
/// How long after a period's end it is looked at: what was measured at its very end has then arrived.
const DELAY: SignedDuration = SignedDuration::from_secs(2);

#[derive(Debug)]
pub struct Alarm {
    pub config: Config,
    pub arn: String,
    pub tags: BTreeMap<String, String>,
    pub state: State,
    pub reason: String,
    /// JSON.
    pub reason_data: Option<String>,
    pub configured: Timestamp,
    /// When the state was last set, and when it last became another.
    pub updated: Timestamp,
    pub transitioned: Timestamp,
    /// Newest first.
    pub history: VecDeque<Entry>,
    /// When it is looked at again.
    next: Timestamp,
    /// When its actions last ran.
    acted: Timestamp,
    value: Option<f64>,
}

/// An entry of an alarm's history.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub at: Timestamp,
    /// `ConfigurationUpdate`, `StateUpdate` or `Action`.
    pub kind: &'static str,
    pub summary: String,
    /// JSON.
    pub data: String,
}

/// The datapoints that a window holds, oldest first: (start of the period, value).
type Points = Vec<(i64, Option<f64>)>;

impl Alarm {
    fn interval(&self) -> i64 {
        if self.config.period < INTERVAL_SECONDS { FINE_INTERVAL_SECONDS } else { INTERVAL_SECONDS }
    }

    /// The next time after `now` at which a period has just ended.
    fn schedule(&mut self, now: Timestamp) {
        let interval = self.interval();
        let last_end = (now - DELAY).as_second().div_euclid(interval) * interval;
        self.next = Timestamp::from_second(last_end + interval).map_or(Timestamp::MAX, |end| end + DELAY);
    }

    fn record(&mut self, at: Timestamp, kind: &'static str, summary: String, data: &serde_json::Value) {
        self.history.push_front(Entry { at, kind, summary, data: data.to_string() });
        self.history.truncate(HISTORY_MAX);
        while self.history.back().is_some_and(|entry| at.duration_since(entry.at) > HISTORY_AGE) {
            self.history.pop_back();
        }
    }

    /// Looks at the window that ended last; the new state, unless the old one is kept.
    fn evaluate(&mut self, store: &Store, now: Timestamp) -> Option<(State, String, String)> {
        let interval = self.interval();
        let end = (now - DELAY).as_second().div_euclid(interval) * interval;
        let range = i64::try_from(self.config.rule.range()).unwrap_or(i64::MAX);
        let start = end.saturating_sub(self.config.period.saturating_mul(range));
        let points = self.points(store, start..end, now)?;
        let breaches = |value: f64| self.config.comparison.breaches(value, self.config.threshold);
        let breaching: Vec<Option<bool>> = points.iter().map(|(_, value)| value.map(breaches)).collect();
        self.value = points.iter().rev().find_map(|(_, value)| *value);
        let state = self.config.rule.state(&breaching)?;
        Some((state, self.reason(state, &points), self.reason_data(&points, now)))
    }

    /// `None` where there are too few samples to say anything, or the expression has no value.
    fn points(&self, store: &Store, range: std::ops::Range<i64>, now: Timestamp) -> Option<Points> {
        let period = self.config.period;
        let values: BTreeMap<i64, f64> = match &self.config.watched {
            Watched::Metric { id, statistic, unit, .. } => {
                let periods = store.periods(id, unit.as_deref(), range.clone(), period);
                let counts =
                    periods.values().filter_map(|samples| samples.get(super::statistics::Statistic::SampleCount));
                if self.config.samples_min().is_some_and(|min| counts.fold(0.0, f64::max) < min) {
                    return None;
                }
                periods.into_iter().filter_map(|(start, samples)| Some((start, samples.get(*statistic)?))).collect()
            }
            Watched::Math { queries, .. } => {
                let results = query::compute(store, queries, &range, Align::Start, now).ok()?;
                let returned = queries.iter().position(|query| query.returned)?;
                match results.into_iter().nth(returned)? {
                    math::Value::Series(series) => series.points,
                    _ => return None,
                }
            }
        };
        let starts = (0..).map(|index| range.start + index * period).take_while(|start| *start < range.end);
        Some(starts.map(|start| (start, values.get(&start).copied())).collect())
    }

    /// In CloudWatch's words.
    fn reason(&self, state: State, points: &Points) -> String {
        let Config { rule, comparison, threshold, .. } = &self.config;
        let real: Vec<(i64, f64)> = points.iter().filter_map(|(start, value)| Some((*start, (*value)?))).collect();
        let recent = &real[real.len().saturating_sub(rule.periods)..];
        if recent.is_empty() {
            return match state {
                State::InsufficientData if rule.periods == 1 => {
                    "Insufficient Data: 1 datapoint was unknown.".to_owned()
                }
                State::InsufficientData => format!("Insufficient Data: {} datapoints were unknown.", rule.periods),
                _ => format!(
                    "no datapoints were received for {} periods and {} missing datapoints were treated as [{}].",
                    rule.periods,
                    rule.periods,
                    if state == State::Alarm { "Breaching" } else { "NonBreaching" }
                ),
            };
        }
        let breaching: Vec<_> = recent.iter().filter(|(_, value)| comparison.breaches(*value, *threshold)).collect();
        let shown: Vec<&(i64, f64)> = if state == State::Alarm { breaching } else { recent.iter().collect() };
        let list: Vec<String> =
            shown.iter().rev().map(|(start, value)| format!("{value:?} ({})", stamp(*start))).collect();
        let count = match (shown.len(), rule.periods) {
            (1, 1) => "1 datapoint".to_owned(),
            (count, periods) => format!("{count} out of the last {periods} datapoints"),
        };
        let verb = if shown.len() == 1 { "was" } else { "were" };
        let not = if state == State::Alarm { "" } else { "not " };
        let plural = if rule.to_alarm == 1 { "" } else { "s" };
        let turn = if state == State::Alarm { "OK -> ALARM" } else { "ALARM -> OK" };
        format!(
            "Threshold Crossed: {count} [{}] {verb} {not}{} the threshold ({threshold:?}) (minimum {} datapoint{plural} for {turn} transition).",
            list.join(", "),
            comparison.words(),
            rule.to_alarm,
        )
    }

    fn reason_data(&self, points: &Points, now: Timestamp) -> String {
        let seconds = |start: i64| Timestamp::from_second(start).map(|time| time.to_string()).unwrap_or_default();
        let recent: Vec<f64> = points.iter().filter_map(|(_, value)| *value).collect();
        let evaluated = |(start, value): &(i64, Option<f64>)| {
            value.map(|value| json!({"timestamp": seconds(*start), "value": value}))
        };
        json!({
            "version": "1.0",
            "queryDate": now.to_string(),
            "startDate": points.first().map(|(start, _)| seconds(*start)),
            "period": self.config.period,
            "recentDatapoints": recent,
            "threshold": self.config.threshold,
            "evaluatedDatapoints": points.iter().rev().filter_map(evaluated).collect::<Vec<_>>(),
        })
        .to_string()
    }

    fn set(&mut self, now: Timestamp, state: State, reason: String, reason_data: Option<String>) {
        let data = json!({
            "version": "1.0",
            "oldState": {"stateValue": self.state.as_str(), "stateReason": self.reason},
            "newState": {"stateValue": state.as_str(), "stateReason": reason},
        });
        if state != self.state {
            let summary = format!("Alarm updated from {} to {}", self.state.as_str(), state.as_str());
            self.record(now, "StateUpdate", summary, &data);
            self.transitioned = now;
        }
        self.state = state;
        self.reason = reason;
        self.reason_data = reason_data;
        self.updated = now;
    }

    /// Runs the actions of its state: after a change, and those of scaling policies again each minute.
    fn act(&mut self, cx: &mut Context, has_changed: bool) {
        let is_due = has_changed || cx.now.duration_since(self.acted) >= SignedDuration::from_secs(INTERVAL_SECONDS);
        if !self.config.actions_enabled || !is_due {
            return;
        }
        for action in self.config.actions(self.state).to_vec() {
            if is_scaling_policy(&action) {
                self.acted = cx.now;
                cx.send(Signal::AlarmAction {
                    policy_arn: action.clone(),
                    alarm: AlarmState {
                        name: self.config.name.clone(),
                        state: self.state.as_str().to_owned(),
                        threshold: self.config.threshold,
                        value: self.value,
                        since: self.transitioned,
                    },
                });
                if has_changed {
                    let data = json!({"actionState": "Succeeded", "notificationResource": action});
                    self.record(cx.now, "Action", format!("Successfully executed action {action}"), &data);
                }
            }
        }
    }
}

/// `arn:aws:autoscaling:REGION:ACCOUNT:scalingPolicy:…`: the one kind of action that the region carries out.
fn is_scaling_policy(arn: &str) -> bool {
    arn.starts_with("arn:aws:autoscaling:") && arn.contains(":scalingPolicy:")
}

/// `21/11/26 10:00:00`, as reasons write a time.
fn stamp(second: i64) -> String {
    Timestamp::from_second(second).map(|time| time.strftime("%d/%m/%y %H:%M:%S").to_string()).unwrap_or_default()
}

/// Every alarm, by name.
#[derive(Debug, Default)]
pub struct Alarms(pub BTreeMap<String, Alarm>);

impl Alarms {
    /// Creates an alarm, or replaces the configuration of one and keeps its state.
    pub fn put(&mut self, cx: &mut Context, config: Config, tags: BTreeMap<String, String>) -> Result<(), ApiError> {
        let now = cx.now;
        let name = config.name.clone();
        if let Some(alarm) = self.0.get_mut(&name) {
            alarm.config = config;
            alarm.configured = now;
            alarm.schedule(now);
            let data = json!({"version": "1.0", "type": "Update"});
            alarm.record(now, "ConfigurationUpdate", format!("Alarm \"{name}\" updated"), &data);
            return Ok(());
        }
        if self.0.len() >= ALARMS_MAX {
            return Err(ApiError::new("LimitExceeded", format!("The quota of {ALARMS_MAX} alarms is used up.")));
        }
        let mut alarm = Alarm {
            arn: cx.arn("cloudwatch", &format!("alarm:{name}")),
            config,
            tags,
            state: State::InsufficientData,
            reason: "Unchecked: Initial alarm creation".to_owned(),
            reason_data: None,
            configured: now,
            updated: now,
            transitioned: now,
            history: VecDeque::new(),
            next: now,
            acted: now,
            value: None,
        };
        alarm.schedule(now);
        let data = json!({"version": "1.0", "type": "Create"});
        alarm.record(now, "ConfigurationUpdate", format!("Alarm \"{name}\" created"), &data);
        self.0.insert(name, alarm);
        Ok(())
    }

    /// Looks at every alarm that is due.
    pub fn advance(&mut self, cx: &mut Context, store: &Store) {
        let now = cx.now;
        for alarm in self.0.values_mut().filter(|alarm| alarm.next <= now) {
            let before = alarm.state;
            if let Some((state, reason, data)) = alarm.evaluate(store, cx.now)
                && (state != before || state != State::InsufficientData)
            {
                alarm.set(cx.now, state, reason, Some(data));
            }
            alarm.act(cx, alarm.state != before);
            alarm.schedule(cx.now);
        }
    }

    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.0.values().map(|alarm| alarm.next).min()
    }

    /// Sets a state by hand; it lasts until the next evaluation.
    pub fn set_state(&mut self, cx: &mut Context, name: &str, state: State, reason: &str, data: Option<&str>) -> bool {
        let Some(alarm) = self.0.get_mut(name) else { return false };
        let has_changed = alarm.state != state;
        alarm.set(cx.now, state, reason.to_owned(), data.map(str::to_owned));
        if has_changed {
            alarm.act(cx, true);
        }
        true
    }
}
