//! States in AWS's own words, each service's as a type of its own.
//!
//! A word that we do not know yet is kept as it is: AWS adds some now and then, and a view still shows them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An enum of words that are written, read and shown as AWS writes them.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($variant,)+
            /// Of a later day than this table.
            Other(String),
        }

        impl $name {
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self::from(String::deserialize(deserializer)?.as_str()))
            }
        }
    };
}

words! {
    /// Of an instance (EC2 API, InstanceState).
    InstanceState {
        Pending = "pending",
        Running = "running",
        ShuttingDown = "shutting-down",
        Terminated = "terminated",
        Stopping = "stopping",
        Stopped = "stopped",
    }
}

words! {
    /// Of a target (Elastic Load Balancing API, TargetHealth); `unregistered` is ours, where the target group does not know the
    /// instance.
    TargetState {
        Healthy = "healthy",
        Unhealthy = "unhealthy",
        UnhealthyDraining = "unhealthy.draining",
        Initial = "initial",
        Draining = "draining",
        Unused = "unused",
        Unavailable = "unavailable",
        Unregistered = "unregistered",
    }
}

words! {
    /// Of a load balancer (Elastic Load Balancing API, LoadBalancerState).
    LoadBalancerState {
        Provisioning = "provisioning",
        Active = "active",
        ActiveImpaired = "active_impaired",
        Failed = "failed",
    }
}

words! {
    /// Of an alarm (CloudWatch API, MetricAlarm).
    AlarmState {
        Ok = "OK",
        Alarm = "ALARM",
        InsufficientData = "INSUFFICIENT_DATA",
    }
}

words! {
    /// Of an instance in its Auto Scaling group (EC2 Auto Scaling User Guide, "Amazon EC2 Auto Scaling instance lifecycle").
    Lifecycle {
        Pending = "Pending",
        PendingWait = "Pending:Wait",
        PendingProceed = "Pending:Proceed",
        InService = "InService",
        Terminating = "Terminating",
        TerminatingWait = "Terminating:Wait",
        TerminatingProceed = "Terminating:Proceed",
        TerminatingRetained = "Terminating:Retained",
        Terminated = "Terminated",
        Detaching = "Detaching",
        Detached = "Detached",
        EnteringStandby = "EnteringStandby",
        Standby = "Standby",
    }
}

words! {
    /// Of a scaling activity (EC2 Auto Scaling API, Activity).
    ActivityStatus {
        PreInService = "PreInService",
        InProgress = "InProgress",
        Successful = "Successful",
        Failed = "Failed",
        Cancelled = "Cancelled",
    }
}

words! {
    /// Of an instance refresh (EC2 Auto Scaling API, InstanceRefresh).
    RefreshStatus {
        Pending = "Pending",
        InProgress = "InProgress",
        Baking = "Baking",
        Successful = "Successful",
        Failed = "Failed",
        Cancelling = "Cancelling",
        Cancelled = "Cancelled",
        RollbackInProgress = "RollbackInProgress",
        RollbackSuccessful = "RollbackSuccessful",
        RollbackFailed = "RollbackFailed",
    }
}

#[expect(clippy::derivable_impls, reason = "a macro makes the enum")]
impl Default for TargetState {
    fn default() -> Self {
        Self::Unregistered
    }
}

impl InstanceState {
    /// EC2 charges for it (EC2 User Guide, "Amazon EC2 instance state changes"; a pending one is about to run).
    pub fn is_charged(&self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }

    /// It does not run, or is about not to.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated | Self::Stopping | Self::Stopped)
    }

    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopping | Self::Stopped)
    }
}

impl TargetState {
    /// Also while it drains.
    pub fn is_unhealthy(&self) -> bool {
        matches!(self, Self::Unhealthy | Self::UnhealthyDraining)
    }
}

impl Lifecycle {
    /// On its way out of the group's service.
    pub fn is_leaving(&self) -> bool {
        matches!(
            self,
            Self::Terminating
                | Self::TerminatingWait
                | Self::TerminatingProceed
                | Self::TerminatingRetained
                | Self::Terminated
                | Self::Detaching
                | Self::EnteringStandby
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_written_as_aws_writes_them() {
        let json = serde_json::to_string(&[InstanceState::ShuttingDown, InstanceState::Running]).expect("texts");
        assert_eq!(json, r#"["shutting-down","running"]"#);
        assert_eq!(
            serde_json::from_str::<TargetState>(r#""unhealthy.draining""#).unwrap(),
            TargetState::UnhealthyDraining
        );
        assert!(TargetState::from("unhealthy.draining").is_unhealthy());
    }

    #[test]
    fn a_word_that_aws_adds_is_kept() {
        let state: Lifecycle = serde_json::from_str(r#""Warmed:Pending""#).expect("a text");
        assert_eq!((state.to_string().as_str(), state.is_leaving()), ("Warmed:Pending", false));
    }
}
