//! Composite alarms: their state follows that of other alarms at once, whatever those are.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;

use super::alarm::State;
use super::alarm_config::actions;
use super::alarm_history::{Happened, History};
use super::alarm_reason::Reason;
use super::composite_rule::Rule;
use super::wire::{bounded, validation};
use crate::region::context::Context;
use crate::region::wire::{ApiError, Params, Value};

/// What PutCompositeAlarm says.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CompositeConfig {
    pub name: String,
    description: Option<String>,
    pub actions_enabled: bool,
    ok_actions: Vec<String>,
    alarm_actions: Vec<String>,
    insufficient_data_actions: Vec<String>,
    /// As it was written.
    text: String,
    pub rule: Rule,
}

impl CompositeConfig {
    /// # Errors
    /// `ValidationError` for what AWS refuses.
    pub fn parse(params: &Params) -> Result<Self, ApiError> {
        let text = params.required("AlarmRule")?.to_owned();
        let rule =
            Rule::parse(&text).map_err(|why| validation(format!("AlarmRule must not contain any errors: {why}.")))?;
        let config = Self {
            name: bounded(params, "AlarmName", 255)?,
            description: params.text("AlarmDescription").map(str::to_owned),
            actions_enabled: params.bool("ActionsEnabled")?.unwrap_or(true),
            ok_actions: actions(params, "OKActions")?,
            alarm_actions: actions(params, "AlarmActions")?,
            insufficient_data_actions: actions(params, "InsufficientDataActions")?,
            text,
            rule,
        };
        // "Composite alarms can't perform EC2 actions or Auto Scaling actions" (user guide).
        let refused = |action: &&String| action.contains(":autoscaling:") || action.contains(":automate:");
        let refused = config.all_actions().find(refused).cloned();
        match refused {
            Some(action) => Err(validation(format!("Composite alarms cannot have the action {action}."))),
            None => Ok(config),
        }
    }

    pub fn all_actions(&self) -> impl Iterator<Item = &String> {
        [&self.ok_actions, &self.alarm_actions, &self.insufficient_data_actions].into_iter().flatten()
    }

    fn actions(&self, state: State) -> &[String] {
        match state {
            State::Ok => &self.ok_actions,
            State::Alarm => &self.alarm_actions,
            State::InsufficientData => &self.insufficient_data_actions,
        }
    }
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Composite {
    pub config: CompositeConfig,
    pub arn: String,
    pub tags: BTreeMap<String, String>,
    pub state: State,
    pub reason: Reason,
    configured: Timestamp,
    updated: Timestamp,
    transitioned: Timestamp,
    pub history: History,
}

/// Another alarm as a composite sees it.
#[derive(Clone, Debug)]
pub struct Child {
    pub arn: String,
    pub state: State,
    pub since: Timestamp,
}

impl Composite {
    pub fn new(cx: &Context, config: CompositeConfig, tags: BTreeMap<String, String>) -> Self {
        let mut history = History::default();
        history.add(cx.now, Happened::Created);
        Self {
            arn: cx.arn("cloudwatch", &format!("alarm:{}", config.name)),
            config,
            tags,
            state: State::InsufficientData,
            reason: Reason::Unchecked,
            configured: cx.now,
            updated: cx.now,
            transitioned: cx.now,
            history,
        }
    }

    pub fn configure(&mut self, now: Timestamp, config: CompositeConfig) {
        self.config = config;
        self.configured = now;
        self.history.add(now, Happened::Updated);
    }

    /// Follows the alarms that its rule names; whether its state has changed.
    pub fn follow(&mut self, now: Timestamp, child: &impl Fn(&str) -> Option<Child>) -> bool {
        let holds = self.config.rule.holds(&|name: &str| child(name).map(|child| child.state));
        let state = if holds { State::Alarm } else { State::Ok };
        if state == self.state {
            return false;
        }
        let children: Vec<Child> = self.config.rule.alarms().into_iter().filter_map(child).collect();
        let latest = children.iter().max_by_key(|child| child.since);
        let reason = match latest {
            Some(child) => format!(
                "{} transitioned to {} at {}",
                child.arn,
                child.state.as_str(),
                child.since.strftime("%A %d %B, %Y %H:%M:%S UTC")
            ),
            None => format!("The rule is {}", if holds { "TRUE" } else { "FALSE" }),
        };
        let triggering = |child: &Child| json!({"arn": child.arn, "state": {"value": child.state.as_str(), "timestamp": child.since.to_string()}});
        let triggering: Vec<_> = children.iter().filter(|child| child.state == state).map(triggering).collect();
        let data = json!({"triggeringAlarms": triggering}).to_string();
        self.set(now, state, Reason::Told { reason, data: Some(data) });
        true
    }

    /// Sets a state, and records its actions where it is another.
    pub fn set(&mut self, now: Timestamp, state: State, reason: Reason) {
        let old = (self.state, std::mem::replace(&mut self.reason, reason.clone()));
        self.updated = now;
        if state == self.state {
            return;
        }
        self.history.add(now, Happened::State { old, new: (state, reason) });
        self.state = state;
        self.transitioned = now;
        if self.config.actions_enabled {
            for action in self.config.actions(state) {
                self.history.add(now, Happened::Action { action: action.clone(), error: None });
            }
        }
    }

    pub fn as_child(&self) -> Child {
        Child { arn: self.arn.clone(), state: self.state, since: self.transitioned }
    }

    /// A `CompositeAlarm`.
    pub fn value(&self) -> Value {
        let config = &self.config;
        let texts = |items: &[String]| Value::list(items.iter().map(|item| Value::from(&**item)));
        Value::map()
            .with("AlarmName", Value::from(&*config.name))
            .with("AlarmArn", Value::from(&*self.arn))
            .with("AlarmDescription", config.description.as_deref().map(Value::from))
            .with("AlarmRule", Value::from(&*config.text))
            .with("ActionsEnabled", Value::from(config.actions_enabled))
            .with("OKActions", texts(&config.ok_actions))
            .with("AlarmActions", texts(&config.alarm_actions))
            .with("InsufficientDataActions", texts(&config.insufficient_data_actions))
            .with("AlarmConfigurationUpdatedTimestamp", Value::Time(self.configured))
            .with("StateValue", Value::from(self.state.as_str()))
            .with("StateReason", Value::from(self.reason.text(self.state)))
            .with("StateReasonData", self.reason.data().map(Value::from))
            .with("StateUpdatedTimestamp", Value::Time(self.updated))
            .with("StateTransitionedTimestamp", Value::Time(self.transitioned))
    }
}
