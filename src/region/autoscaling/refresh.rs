//! One instance refresh: what was asked for and how far it is; `refreshing` says what it does (aws-semantics §11).

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::member::Template;
use super::mix::Mix;

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum RefreshStatus {
    InProgress,
    Baking,
    Cancelling,
    RollbackInProgress,
    Successful,
    Failed,
    Cancelled,
    RollbackSuccessful,
    RollbackFailed,
}

impl RefreshStatus {
    pub fn name(self) -> &'static str {
        match self {
            RefreshStatus::InProgress => "InProgress",
            RefreshStatus::Baking => "Baking",
            RefreshStatus::Cancelling => "Cancelling",
            RefreshStatus::RollbackInProgress => "RollbackInProgress",
            RefreshStatus::Successful => "Successful",
            RefreshStatus::Failed => "Failed",
            RefreshStatus::Cancelled => "Cancelled",
            RefreshStatus::RollbackSuccessful => "RollbackSuccessful",
            RefreshStatus::RollbackFailed => "RollbackFailed",
        }
    }

    pub fn is_active(self) -> bool {
        matches!(
            self,
            RefreshStatus::InProgress
                | RefreshStatus::Baking
                | RefreshStatus::Cancelling
                | RefreshStatus::RollbackInProgress
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Preferences {
    pub min_healthy: i64,
    /// `None` is AWS's default of 100, which may be violated; an explicit 100 launches first when both bounds cannot hold.
    pub max_healthy: Option<i64>,
    /// Seconds; `None` is the group's default warm-up, else its grace period.
    pub warmup: Option<i64>,
    pub skip_matching: bool,
    pub auto_rollback: bool,
    /// What becomes of instances that are protected from scale-in, and of those in standby.
    pub protected: Exempt,
    pub standby: Exempt,
    /// Percentages of the instances after which the refresh rests for a while, rising.
    pub checkpoints: Vec<i64>,
    pub checkpoint_delay: i64,
    /// How long the refresh still watches after the last replacement.
    pub bake_seconds: i64,
    /// Names of alarms; one of them in ALARM fails the refresh.
    pub alarms: Vec<String>,
}

/// `ScaleInProtectedInstances` and `StandbyInstances`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Exempt {
    /// The refresh waits until somebody takes them back, and fails after an hour.
    Wait,
    /// They stay as they are.
    Ignore,
    /// They are replaced all the same: `Refresh`, or `Terminate` of those in standby.
    Replace,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Rollback {
    pub reason: String,
    pub start: Timestamp,
    pub percent_before: i64,
    pub left_before: usize,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Refresh {
    pub id: String,
    pub status: RefreshStatus,
    pub reason: Option<String>,
    pub start: Timestamp,
    pub end: Option<Timestamp>,
    pub preferences: Preferences,
    /// The template that the group has after success.
    pub wanted: Option<Template>,
    /// What it mixes then; of no meaning without `wanted`.
    pub mix: Option<Mix>,
    /// Instances still to be replaced.
    pub old: BTreeSet<String>,
    pub total: usize,
    /// Replaced, and the replacement is in service and warm.
    pub done: usize,
    pub progressed: Timestamp,
    /// Checkpoints that are behind it.
    pub checkpoint: usize,
    /// Until when it rests at one.
    pub rests_until: Option<Timestamp>,
    /// Until when it bakes.
    pub bakes_until: Option<Timestamp>,
    pub rollback: Option<Rollback>,
}

impl Refresh {
    pub fn percent(&self) -> i64 {
        i64::try_from((self.done * 100).checked_div(self.total).unwrap_or(100)).unwrap_or(100)
    }

    /// AWS's `InstancesToUpdate`: those whose replacement is not warm yet are among them.
    pub fn left(&self) -> usize {
        self.total.saturating_sub(self.done)
    }

    /// How many instances may be replaced before the next rest: `⌈total × checkpoint⌉`.
    pub(super) fn allowed(&self) -> usize {
        let percent = self.preferences.checkpoints.get(self.checkpoint).copied().unwrap_or(100);
        (self.total * usize::try_from(percent).unwrap_or(100)).div_ceil(100)
    }

    /// Whether a rest, or the end, is behind the last checkpoint.
    pub(super) fn ends_at_checkpoint(&self) -> bool {
        let checkpoints = &self.preferences.checkpoints;
        !checkpoints.is_empty() && self.checkpoint >= checkpoints.len()
    }
}
