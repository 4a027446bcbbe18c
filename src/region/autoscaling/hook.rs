//! A lifecycle hook, and an instance's wait for one; `hooks` says what becomes of the two (aws-semantics §9).

use jiff::Timestamp;

/// No action lasts longer, whatever its heartbeats say: 48 hours, and so many times the hook's timeout.
const LONGEST_SECONDS: i64 = 172_800;
const HEARTBEATS_MAX: i64 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Transition {
    Launching,
    Terminating,
}

impl Transition {
    pub const ALL: [Transition; 2] = [Transition::Launching, Transition::Terminating];

    /// AWS's name.
    pub fn name(self) -> &'static str {
        match self {
            Transition::Launching => "autoscaling:EC2_INSTANCE_LAUNCHING",
            Transition::Terminating => "autoscaling:EC2_INSTANCE_TERMINATING",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transition| transition.name() == name)
    }

    /// Where the instance goes, as notifications name it.
    pub fn destination(self, warmed: bool) -> &'static str {
        match self {
            Transition::Launching if warmed => "WarmPool",
            Transition::Launching => "AutoScalingGroup",
            Transition::Terminating => "EC2",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ActionResult {
    Continue,
    Abandon,
}

impl ActionResult {
    /// AWS's name.
    pub fn name(self) -> &'static str {
        match self {
            ActionResult::Continue => "CONTINUE",
            ActionResult::Abandon => "ABANDON",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [ActionResult::Continue, ActionResult::Abandon].into_iter().find(|result| result.name() == name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hook {
    pub name: String,
    pub transition: Transition,
    /// Seconds.
    pub heartbeat: i64,
    pub default_result: ActionResult,
    /// `NotificationMetadata`, shown again.
    pub metadata: Option<String>,
    /// `NotificationTargetARN`: who hears of instances that wait.
    pub target: Option<String>,
    /// `RoleARN`, shown again.
    pub role: Option<String>,
}

impl Hook {
    /// The longest that one of its actions lasts, in seconds.
    pub fn longest(&self) -> i64 {
        LONGEST_SECONDS.min(HEARTBEATS_MAX * self.heartbeat)
    }
}

/// An instance waits for a hook.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LifecycleAction {
    pub hook: String,
    /// Names the action, as the instance's id and the hook do together.
    pub token: String,
    pub started: Timestamp,
    pub deadline: Timestamp,
}
