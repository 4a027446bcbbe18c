//! One target of a target group; `targets` says what becomes of it.

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;

use super::health::Health;
use crate::region::facts::InstanceFacts;
use crate::region::signal::{InstanceState, TargetState};

/// How long a target stays after its instance was terminated; then it is deregistered, as AWS does by itself.
const TERMINATED_STAYS: Duration = Duration::from_secs(60);

/// An instance may be registered several times, with different ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct TargetId {
    /// The address, where the target group has addresses.
    pub instance: String,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Target {
    /// Both stay the same as long as the instance lives.
    pub address: Ipv4Addr,
    pub zone: String,
    pub instance_state: InstanceState,
    pub health: Health,
    /// The state that was last told to the other services.
    pub announced: Option<TargetState>,
    /// When its instance was terminated.
    pub terminated: Option<Timestamp>,
}

impl Target {
    pub fn new(instance: &InstanceFacts) -> Self {
        Self {
            address: instance.address,
            zone: instance.zone.clone(),
            instance_state: instance.state,
            health: Health::default(),
            announced: None,
            terminated: None,
        }
    }

    /// Whether it has drained, or its instance is gone for long enough.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.terminated.is_some_and(|at| at + TERMINATED_STAYS <= now) || self.health.drained(now)
    }

    /// When this target next needs attention.
    pub fn deadline(&self) -> Option<Timestamp> {
        let gone = self.terminated.map(|at| at + TERMINATED_STAYS);
        self.health.deadline().into_iter().chain(gone).min()
    }
}
