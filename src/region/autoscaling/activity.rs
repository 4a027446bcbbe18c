//! Scaling activities: what a group did, and why, in AWS's own words.
//!
//! The cause strings are AWS's verbatim (reference: aws-semantics §1): people search for them, and tools parse them.

use std::collections::VecDeque;

use jiff::Timestamp;

/// Activities kept per group. AWS keeps six weeks; a bound keeps a flapping group from filling the memory.
const ACTIVITIES_MAX: usize = 2_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Status {
    PreInService,
    InProgress,
    WaitingForConnectionDraining,
    MidLifecycleAction,
    Successful,
    Failed,
    Cancelled,
}

impl Status {
    /// AWS's code.
    pub fn code(self) -> &'static str {
        match self {
            Status::PreInService => "PreInService",
            Status::InProgress => "InProgress",
            Status::WaitingForConnectionDraining => "WaitingForELBConnectionDraining",
            Status::MidLifecycleAction => "MidLifecycleAction",
            Status::Successful => "Successful",
            Status::Failed => "Failed",
            Status::Cancelled => "Cancelled",
        }
    }

    pub fn is_final(self) -> bool {
        matches!(self, Status::Successful | Status::Failed | Status::Cancelled)
    }

    /// Percent, as the console shows it.
    pub fn progress(self) -> i64 {
        match self {
            Status::PreInService => 30,
            Status::InProgress | Status::WaitingForConnectionDraining => 50,
            Status::MidLifecycleAction => 60,
            Status::Successful | Status::Failed | Status::Cancelled => 100,
        }
    }
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Activity {
    pub id: String,
    pub description: String,
    pub cause: String,
    pub start: Timestamp,
    pub end: Option<Timestamp>,
    pub status: Status,
    /// Why it failed.
    pub message: Option<String>,
    /// The subnet and zone, as AWS's JSON text.
    pub details: String,
    /// It concerns the warm pool alone, not the group's capacity.
    pub of_pool: bool,
}

/// A group's activities, oldest first.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct History(VecDeque<Activity>);

impl History {
    pub fn add(&mut self, activity: Activity) {
        if self.0.len() == ACTIVITIES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(activity);
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut Activity> {
        self.0.iter_mut().rev().find(|activity| activity.id == id)
    }

    pub fn get(&self, id: &str) -> Option<&Activity> {
        self.0.iter().rev().find(|activity| activity.id == id)
    }

    /// Ends an activity; one that has ended stays as it is.
    pub fn finish(&mut self, id: &str, now: Timestamp, status: Status, message: Option<String>) {
        if let Some(activity) = self.get_mut(id)
            && !activity.status.is_final()
        {
            activity.status = status;
            activity.end = Some(now);
            activity.message = message;
        }
    }

    /// Newest first, as AWS lists them.
    pub fn newest_first(&self) -> impl Iterator<Item = &Activity> {
        self.0.iter().rev()
    }

    /// An activity of the group's capacity that has not ended.
    pub fn in_progress(&self) -> Option<&Activity> {
        self.0.iter().rev().find(|activity| !activity.status.is_final() && !activity.of_pool)
    }
}

/// `2024-12-05T21:27:22Z`, as causes write times.
pub fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Joins the sentences of a cause; AWS puts two spaces between them.
pub fn cause(sentences: impl IntoIterator<Item = String>) -> String {
    sentences.into_iter().collect::<Vec<_>>().join("  ")
}

/// `{"Subnet ID":"subnet-…","Availability Zone":"us-east-1a"}`
pub fn details(subnet: &str, zone: &str) -> String {
    format!(r#"{{"Subnet ID":"{subnet}","Availability Zone":"{zone}"}}"#)
}
