//! The health of targets, as Elastic Load Balancing tells it.

use aws_sdk_elasticloadbalancingv2::types::TargetHealthDescription;

use super::state::TargetState;
use crate::aws::clients::Clients;
use crate::aws::error::CallError;
use crate::problem::Problem;

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

/// The health of a target group's targets, with its ARN.
///
/// # Errors
/// When the call fails; a target group that is gone has no targets.
pub async fn target_health(
    clients: &Clients,
    target_group: &str,
) -> Result<(String, Vec<TargetHealthDescription>), Problem> {
    let found = target_health_if_there(clients, target_group).await?;
    Ok((target_group.to_owned(), found.unwrap_or_default()))
}

/// The same; `None` where the target group is gone.
///
/// # Errors
/// When the call fails.
pub async fn target_health_if_there(
    clients: &Clients,
    target_group: &str,
) -> Result<Option<Vec<TargetHealthDescription>>, Problem> {
    let call = clients.elb.describe_target_health().target_group_arn(target_group).send().await;
    match call {
        Ok(answer) => Ok(Some(answer.target_health_descriptions.unwrap_or_default())),
        Err(error) if error.is(&["TargetGroupNotFound"]) => Ok(None),
        Err(error) => Err(error.problem("elasticloadbalancing:DescribeTargetHealth", target_group)),
    }
}
