//! One instance of a group, and where it is in its life.

use jiff::{SignedDuration, Timestamp};

use super::hook::LifecycleAction;
use super::mix::Purchase;

/// A launch template and its version: as asked for (`$Latest`) in a group, resolved to a number in a member.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Template {
    pub id: String,
    pub name: String,
    pub version: String,
}

impl Template {
    /// Of a group that has a launch configuration instead.
    pub fn none() -> Self {
        Self { id: String::new(), name: String::new(), version: String::new() }
    }
}

/// Where an instance is in its life (aws-semantics §1). A terminated or detached instance is no member any more.
///
/// `Pending → Pending:Wait → InService → Terminating → Terminating:Wait → Terminating:Proceed`: the waits are for lifecycle
/// hooks, and only where there are some. `Pending:Proceed` has no duration here: nothing is left to do between the last
/// hook and the registration with the target groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Lifecycle {
    Pending,
    PendingWait,
    InService,
    EnteringStandby,
    Standby,
    Detaching,
    Terminating,
    TerminatingWait,
    TerminatingProceed,
    WarmedPending,
    WarmedPendingWait,
    /// It is on its way to where the pool keeps it.
    WarmedPendingProceed,
    WarmedStopped,
    WarmedRunning,
    WarmedTerminating,
    WarmedTerminatingWait,
    WarmedTerminatingProceed,
}

impl Lifecycle {
    /// AWS's name.
    pub fn name(self) -> &'static str {
        match self {
            Lifecycle::Pending => "Pending",
            Lifecycle::PendingWait => "Pending:Wait",
            Lifecycle::InService => "InService",
            Lifecycle::EnteringStandby => "EnteringStandby",
            Lifecycle::Standby => "Standby",
            Lifecycle::Detaching => "Detaching",
            Lifecycle::Terminating => "Terminating",
            Lifecycle::TerminatingWait => "Terminating:Wait",
            Lifecycle::TerminatingProceed => "Terminating:Proceed",
            Lifecycle::WarmedPending => "Warmed:Pending",
            Lifecycle::WarmedPendingWait => "Warmed:Pending:Wait",
            Lifecycle::WarmedPendingProceed => "Warmed:Pending:Proceed",
            Lifecycle::WarmedStopped => "Warmed:Stopped",
            Lifecycle::WarmedRunning => "Warmed:Running",
            Lifecycle::WarmedTerminating => "Warmed:Terminating",
            Lifecycle::WarmedTerminatingWait => "Warmed:Terminating:Wait",
            Lifecycle::WarmedTerminatingProceed => "Warmed:Terminating:Proceed",
        }
    }

    /// On the way into service.
    pub fn is_pending(self) -> bool {
        matches!(self, Lifecycle::Pending | Lifecycle::PendingWait)
    }

    /// On the way out: for good, or into the warm pool.
    pub fn is_terminating(self) -> bool {
        use Lifecycle::*;
        matches!(
            self,
            Terminating
                | TerminatingWait
                | TerminatingProceed
                | WarmedTerminating
                | WarmedTerminatingWait
                | WarmedTerminatingProceed
        )
    }

    /// Of the warm pool, not of the group's capacity.
    pub fn is_warmed(self) -> bool {
        use Lifecycle::*;
        matches!(self, WarmedPending | WarmedPendingWait | WarmedPendingProceed | WarmedStopped | WarmedRunning)
            || matches!(self, WarmedTerminating | WarmedTerminatingWait | WarmedTerminatingProceed)
    }

    /// Prepared, and waiting in the warm pool.
    pub fn is_ready(self) -> bool {
        matches!(self, Lifecycle::WarmedStopped | Lifecycle::WarmedRunning)
    }
}

/// Why an instance is unhealthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum UnhealthyCause {
    /// Stopped or terminated behind the group's back.
    Gone,
    /// EC2's status checks fail.
    StatusCheck,
    /// A target group reports its target unhealthy.
    LoadBalancer,
    /// `SetInstanceHealth`.
    User,
}

impl UnhealthyCause {
    /// The second half of AWS's cause.
    pub fn words(self) -> &'static str {
        match self {
            UnhealthyCause::Gone => "an EC2 health check indicating it has been terminated or stopped",
            UnhealthyCause::StatusCheck => "an EC2 instance status checks failure",
            UnhealthyCause::LoadBalancer => "an ELB system health check failure",
            UnhealthyCause::User => "a user health-check",
        }
    }

    /// Replaced at once, without pacing (aws-semantics §7).
    pub fn is_urgent(self) -> bool {
        matches!(self, UnhealthyCause::Gone | UnhealthyCause::User)
    }
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Member {
    pub id: String,
    pub subnet: String,
    pub zone: String,
    pub instance_type: String,
    /// Not on demand.
    pub spot: bool,
    /// How much of the desired capacity it is.
    pub weight: i64,
    pub image: String,
    pub template: Option<Template>,
    /// The name of the launch configuration that it was made of.
    pub configuration: Option<String>,
    pub lifecycle: Lifecycle,
    /// The unfinished activity that moves it.
    pub activity: Option<String>,
    pub launched: Timestamp,
    /// When it came into service; grace period and warm-up start here.
    pub in_service: Option<Timestamp>,
    pub unhealthy_cause: Option<UnhealthyCause>,
    /// Older than the group's maximum lifetime.
    pub expired: bool,
    /// A spot instance of which EC2 recommends to do without.
    #[serde(default)]
    pub at_risk: bool,
    pub protected: bool,
    /// Launched for a scale-out by a policy: until it is warm, it is not yet part of what the next one starts from.
    pub grows: bool,
    /// Target groups that it was registered with.
    pub registered: Vec<String>,
    /// Target groups whose drain it still waits for.
    pub draining: Vec<String>,
    /// The lifecycle actions that it waits for.
    pub actions: Vec<LifecycleAction>,
    /// When it was last ready in the warm pool.
    pub prepared: Option<Timestamp>,
    /// It leaves service for the warm pool, not for good.
    pub returns: bool,
}

impl Member {
    /// Counts towards the desired capacity.
    pub fn is_active(&self) -> bool {
        self.lifecycle.is_pending() || self.is_in_service()
    }

    pub fn purchase(&self) -> Purchase {
        Purchase { instance_type: Some(self.instance_type.clone()), spot: self.spot }
    }

    pub fn is_in_service(&self) -> bool {
        self.lifecycle == Lifecycle::InService
    }

    /// When its warm-up of so many seconds ends; `None` before it came into service.
    pub fn warm_at(&self, warmup_seconds: i64) -> Option<Timestamp> {
        self.in_service.map(|since| since + SignedDuration::from_secs(warmup_seconds))
    }

    /// It is part of a scale-out and has not finished its warm-up.
    pub fn is_growing(&self, now: Timestamp, warmup_seconds: i64) -> bool {
        self.grows && self.is_active() && !self.is_warm(now, warmup_seconds)
    }

    pub fn is_warm(&self, now: Timestamp, warmup_seconds: i64) -> bool {
        let warmup = SignedDuration::from_secs(warmup_seconds);
        self.is_in_service() && self.in_service.is_some_and(|since| now.duration_since(since) >= warmup)
    }
}
