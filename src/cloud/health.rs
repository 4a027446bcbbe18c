//! The health of targets, as Elastic Load Balancing reports it.

use aws_sdk_elasticloadbalancingv2::types::TargetHealthDescription;

use super::state::TargetState;

/// A target's state in its target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub state: TargetState,
    /// `Target.ResponseCodeMismatch`
    pub reason: Option<String>,
    /// "Health checks failed with these codes: [502]"
    pub description: Option<String>,
}

impl Health {
    pub fn of(description: &TargetHealthDescription) -> Self {
        let health = description.target_health();
        Self {
            state: TargetState::from(
                health.and_then(|health| health.state()).map_or("unknown", |state| state.as_str()),
            ),
            reason: health.and_then(|health| health.reason()).map(|reason| reason.as_str().to_owned()),
            description: health.and_then(|health| health.description()).map(str::to_owned),
        }
    }

    pub fn is_healthy(&self) -> bool {
        self.state == TargetState::Healthy
    }

    pub fn is_unhealthy(&self) -> bool {
        self.state.is_unhealthy()
    }

    pub fn is_draining(&self) -> bool {
        self.state == TargetState::Draining
    }

    /// "unhealthy: Health checks failed with these codes: [502]"
    pub fn sentence(&self) -> String {
        match self.description.as_ref().or(self.reason.as_ref()) {
            Some(why) => format!("{}: {why}", self.state.as_str()),
            None => self.state.as_str().to_owned(),
        }
    }
}
