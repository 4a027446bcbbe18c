//! What happened to an alarm: entries of its history, whose text is made when somebody reads it.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::alarm::State;
use super::alarm_reason::Reason;

/// A history entry is kept for 14 days, and so many of one alarm.
const ENTRIES_MAX: usize = 100;
const AGE_MAX: SignedDuration = SignedDuration::from_hours(14 * 24);

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Happened {
    Created,
    Updated,
    State {
        old: (State, Reason),
        new: (State, Reason),
    },
    /// The action, and the error where it could not be done.
    Action {
        action: String,
        error: Option<String>,
    },
}

/// An entry of an alarm's history.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    pub at: Timestamp,
    pub what: Happened,
}

impl Entry {
    /// AWS's `HistoryItemType`.
    pub fn kind(&self) -> &'static str {
        match self.what {
            Happened::Created | Happened::Updated => "ConfigurationUpdate",
            Happened::State { .. } => "StateUpdate",
            Happened::Action { .. } => "Action",
        }
    }

    pub fn summary(&self, alarm: &str) -> String {
        match &self.what {
            Happened::Created => format!("Alarm \"{alarm}\" created"),
            Happened::Updated => format!("Alarm \"{alarm}\" updated"),
            Happened::State { old, new } => {
                format!("Alarm updated from {} to {}", old.0.as_str(), new.0.as_str())
            }
            Happened::Action { action, error: None } => format!("Successfully executed action {action}"),
            Happened::Action { action, error: Some(error) } => {
                format!("Failed to execute action {action}. Received error: \"{error}\"")
            }
        }
    }

    /// JSON.
    pub fn data(&self) -> String {
        let state = |(state, reason): &(State, Reason)| json!({"stateValue": state.as_str(), "stateReason": reason.text(*state)});
        match &self.what {
            Happened::Created => json!({"version": "1.0", "type": "Create"}),
            Happened::Updated => json!({"version": "1.0", "type": "Update"}),
            Happened::State { old, new } => {
                json!({"version": "1.0", "oldState": state(old), "newState": state(new)})
            }
            Happened::Action { action, error: None } => {
                json!({"actionState": "Succeeded", "notificationResource": action})
            }
            Happened::Action { action, error: Some(error) } => {
                json!({"actionState": "Failed", "notificationResource": action, "error": error})
            }
        }
        .to_string()
    }
}

/// Newest first.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct History(VecDeque<Entry>);

impl History {
    pub fn add(&mut self, at: Timestamp, what: Happened) {
        self.0.push_front(Entry { at, what });
        self.0.truncate(ENTRIES_MAX);
        while self.0.back().is_some_and(|entry| at.duration_since(entry.at) > AGE_MAX) {
            self.0.pop_back();
        }
    }

    pub fn iter(&self) -> std::collections::vec_deque::Iter<'_, Entry> {
        self.0.iter()
    }
}
