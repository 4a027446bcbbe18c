//! Moves a rule to another target group without a request that finds nobody there.
//!
//! AWS checks the health of targets only behind a rule that uses their group. So the rule names the new group with
//! weight 0 first: it is checked and gets no requests. When all its targets are healthy, the rule may move.

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ForwardActionConfig, Rule, TargetGroupStickinessConfig, TargetGroupTuple,
    TargetHealthDescription,
};

use super::scaling_group;
use super::targets;
use super::targets::target_health;
use crate::aws::error::CallError;
use crate::cloud::address::Address;
use crate::cloud::health::Health;
use crate::problem::Problem;
use crate::resource::context::{ActionContext, Poll};

/// How many target groups a rule may name (ELBv2 quota).
const GROUPS_MAX: usize = 5;

/// A target group that is to get requests.
#[derive(Clone, Debug)]
pub struct Next {
    /// `cluster.light.target_group`
    pub address: Address,
    pub arn: String,
}

/// Brings the targets of a rule's next groups to health while the present ones serve.
///
/// # Errors
/// Where they do not get healthy in time: the rule has not moved then.
pub async fn prepare(task: &ActionContext<'_>, rule: &Rule, next: &[Next]) -> Result<(), Problem> {
    let present = groups(rule);
    let (serving, others): (Vec<_>, Vec<_>) = present.iter().partition(|group| group.weight() != Some(0));
    let is_among = |groups: &[&TargetGroupTuple], next: &Next| {
        groups.iter().any(|group| group.target_group_arn() == Some(&next.arn))
    };
    let new_instances: Vec<_> = next.iter().filter(|next| !is_among(&serving, next)).collect();
    // Where nobody serves, there is nothing to lose by moving at once.
    if new_instances.is_empty() || !anybody_serves(task, &serving).await? {
        return Ok(());
    }
    let unknown = new_instances.iter().filter(|next| !is_among(&others, next));
    let unknown = unknown.map(|next| TargetGroupTuple::builder().target_group_arn(&next.arn).weight(0).build());
    let unknown: Vec<_> = unknown.collect();
    if present.len() + unknown.len() > GROUPS_MAX {
        return Ok(());
    }
    if !unknown.is_empty() {
        let groups = present.iter().cloned().chain(unknown).collect();
        let config = ForwardActionConfig::builder().set_target_groups(Some(groups));
        let config = config.set_target_group_stickiness_config(stickiness(rule)).build();
        let action = Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config).build();
        let call = task.clients().elb.modify_rule().rule_arn(rule.rule_arn().unwrap_or_default()).actions(action);
        call.send().await.map_err(|error| error.problem("elasticloadbalancing:ModifyRule", task.address))?;
    }
    for next in new_instances {
        until_healthy(task, next).await?;
    }
    Ok(())
}

async fn anybody_serves(task: &ActionContext<'_>, groups: &[&TargetGroupTuple]) -> Result<bool, Problem> {
    for arn in groups.iter().filter_map(|group| group.target_group_arn()) {
        let (_, targets) = target_health(task.clients(), arn).await?;
        if targets.iter().any(|target| Health::of(target).is_healthy()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the cluster of a target group has no instances, and is to have none for now.
async fn is_empty(task: &ActionContext<'_>, target_group: &Address) -> Result<bool, Problem> {
    let cluster = target_group.cluster().unwrap_or_default();
    let attached = task.run.published(&targets::attachment_of(cluster));
    if attached.is_some_and(|attached| !attached.members.is_empty()) {
        return Ok(false);
    }
    match task.run.published(&scaling_group::address(cluster)) {
        Some(group) => Ok(scaling_group::capacity(task, &group.id).await? == 0),
        None => Ok(true),
    }
}

/// Clients stay where they are meanwhile.
fn stickiness(rule: &Rule) -> Option<TargetGroupStickinessConfig> {
    let config = rule.actions().iter().find_map(|action| action.forward_config())?;
    config.target_group_stickiness_config().cloned()
}

/// The groups that a rule forwards to, with their weights.
fn groups(rule: &Rule) -> Vec<TargetGroupTuple> {
    let forward = rule.actions().iter().find(|action| action.r#type() == Some(&ActionTypeEnum::Forward));
    let Some(forward) = forward else { return Vec::new() };
    match forward.forward_config() {
        Some(config) if !config.target_groups().is_empty() => config.target_groups().to_vec(),
        _ => {
            let only = forward.target_group_arn().map(|arn| TargetGroupTuple::builder().target_group_arn(arn).build());
            only.into_iter().collect()
        }
    }
}

async fn until_healthy(task: &ActionContext<'_>, next: &Next) -> Result<(), Problem> {
    let ask = || async {
        let (_, targets) = target_health(task.clients(), &next.arn).await?;
        let Some(reason) = missing(&targets) else { return Ok(Poll::Ready(())) };
        if targets.is_empty() && is_empty(task, &next.address).await? {
            return Ok(Poll::Ready(()));
        }
        Ok(Poll::Pending(format!("the rule moves when all new targets are healthy: {reason}")))
    };
    let late = |reason: String| {
        Problem::new("The new target group is not healthy", format!("{}: {reason}", task.address)).hint(
            "the rule has not moved, and the old targets serve; correct port, user data or health check and run \
             `cloudscale up` again",
        )
    };
    task.poll(ask, late).await
}

/// Why the rule may not move yet.
fn missing(targets: &[TargetHealthDescription]) -> Option<String> {
    let staying: Vec<_> = targets.iter().map(|target| (target, Health::of(target))).collect();
    let staying: Vec<_> = staying.into_iter().filter(|(_, health)| !health.is_draining()).collect();
    if staying.is_empty() {
        return Some("no target is registered".to_owned());
    }
    let (target, health) = staying.iter().find(|(_, health)| !health.is_healthy())?;
    Some(format!("{}: {}", target.target().and_then(|target| target.id()).unwrap_or("a target"), health.sentence()))
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::types::{TargetDescription, TargetHealth, TargetHealthStateEnum};

    use super::*;

    fn target(id: &str, state: TargetHealthStateEnum) -> TargetHealthDescription {
        let health = TargetHealth::builder().state(state).build();
        let target = TargetDescription::builder().id(id).build();
        TargetHealthDescription::builder().target(target).target_health(health).build()
    }

    #[test]
    fn a_rule_moves_when_all_new_targets_are_healthy_and_there_are_any() {
        use TargetHealthStateEnum::{Draining, Healthy, Initial};
        assert_eq!(missing(&[]).as_deref(), Some("no target is registered"));
        assert_eq!(missing(&[target("i-1", Draining)]).as_deref(), Some("no target is registered"));
        assert_eq!(missing(&[target("i-1", Healthy), target("i-2", Initial)]).as_deref(), Some("i-2: initial"));
        assert_eq!(missing(&[target("i-1", Healthy), target("i-2", Draining)]), None);
    }

    #[test]
    fn a_rule_names_its_groups_in_either_form() {
        let forward = Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn("one").build();
        let arns = |rule: &Rule| {
            groups(rule).iter().filter_map(|group| group.target_group_arn().map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(arns(&Rule::builder().actions(forward).build()), ["one"]);
        let weighted = |arn: &str| TargetGroupTuple::builder().target_group_arn(arn).weight(1).build();
        let config =
            ForwardActionConfig::builder().target_groups(weighted("one")).target_groups(weighted("two")).build();
        let forward = Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config).build();
        assert_eq!(arns(&Rule::builder().actions(forward).build()), ["one", "two"]);
    }
}
