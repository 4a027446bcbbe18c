//! What a scaling policy asks for; `scaling` decides between several.

use crate::region::signal::AlarmStateValue;

/// Who made a policy act.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub enum Caller {
    Alarm { name: String, state: AlarmStateValue },
    User,
}

/// What a policy asks for.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Proposal {
    pub policy: String,
    pub capacity: i64,
    pub outward: bool,
    pub caller: Caller,
    /// The policy's warm-up.
    pub warmup: i64,
    pub by: By,
}

/// What kind of policy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum By {
    Tracking,
    Step,
    Simple { cooldown: i64 },
}

impl Proposal {
    /// Completes "At … ⟨reason⟩ changing the desired capacity".
    pub fn reason(&self) -> String {
        match &self.caller {
            Caller::Alarm { name, state } => {
                format!("a monitor alarm {name} in state {} triggered policy {}", state.as_str(), self.policy)
            }
            Caller::User => format!("a user request executed policy {}", self.policy),
        }
    }
}
