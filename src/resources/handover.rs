//! Moves a rule to another target group without a request that finds nobody there.
//!
//! AWS checks the health of targets only behind a rule that uses their group. So the rule that serves names the new
//! group with weight 0 first: it is checked and gets no requests. When as many of its targets are healthy as there should
//! be, the rule turns, or a new rule takes its path over.

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ForwardActionConfig, Rule, TargetGroupStickinessConfig, TargetGroupTuple,
    TargetHealthDescription,
};

use super::rule_order::{GONE, Order};
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

/// Brings next target groups to health behind a rule whose present ones serve; answers with the ARNs of those that the
/// rule has for this reason alone. Several may be prepared behind the same rule: they change it by turns.
///
/// # Errors
/// Where they do not get healthy in time: the rule has not turned then.
pub async fn prepare(
    context: &ActionContext<'_>,
    order: &Order,
    rule: &str,
    next: &[Next],
) -> Result<Vec<String>, Problem> {
    let (coming, added) = introduce(context, order, rule, next).await?;
    for next in coming {
        until_healthy(context, next).await?;
    }
    Ok(added)
}

/// An Auto Scaling group that takes over all requests of others takes over with as many instances as answer them now, as
/// far as it may grow: the scaler's number goes on under another name.
///
/// # Errors
/// When a call fails.
pub async fn grow(context: &ActionContext<'_>, rule: &Rule, next: &Next) -> Result<(), Problem> {
    let group = next.address.cluster().and_then(|cluster| context.run.published(&scaling_group::address(cluster)));
    let Some(group) = group else { return Ok(()) };
    let mut serving = 0;
    for arn in groups(rule).iter().filter(|group| group.weight() != Some(0)).filter_map(|it| it.target_group_arn()) {
        let (_, targets) = target_health(context.clients(), arn).await?;
        serving += targets.iter().filter(|target| arn != next.arn && Health::of(target).is_healthy()).count();
    }
    scaling_group::grow(context, &group.id, i32::try_from(serving).unwrap_or(i32::MAX)).await
}

/// Names the next groups in a rule with weight 0; answers with those that are to be waited for, and with the ARNs of those
/// that it did not name before.
async fn introduce<'a>(
    context: &ActionContext<'_>,
    order: &Order,
    rule: &str,
    next: &'a [Next],
) -> Result<(Vec<&'a Next>, Vec<String>), Problem> {
    let _turn = order.turn.lock().await;
    let Some(rule) = &describe(context, rule).await? else { return Ok((Vec::new(), Vec::new())) };
    let present = groups(rule);
    let (serving, others): (Vec<_>, Vec<_>) = present.iter().partition(|group| group.weight() != Some(0));
    let is_among = |groups: &[&TargetGroupTuple], next: &Next| {
        groups.iter().any(|group| group.target_group_arn() == Some(&next.arn))
    };
    let coming: Vec<_> = next.iter().filter(|next| !is_among(&serving, next)).collect();
    // Where nobody serves, there is nothing to lose by moving at once.
    if coming.is_empty() || !anybody_serves(context, &serving).await? {
        return Ok((Vec::new(), Vec::new()));
    }
    let unknown: Vec<_> = coming.iter().filter(|next| !is_among(&others, next)).map(|next| next.arn.clone()).collect();
    if present.len() + unknown.len() > GROUPS_MAX {
        return Ok((Vec::new(), Vec::new()));
    }
    if !unknown.is_empty() {
        let waiting = |arn: &String| TargetGroupTuple::builder().target_group_arn(arn).weight(0).build();
        write(context, rule, present.iter().cloned().chain(unknown.iter().map(waiting))).await?;
    }
    Ok((coming, unknown))
}

/// Takes groups out of a rule that had them to be prepared, where they serve behind another by now.
///
/// # Errors
/// When a call fails.
pub async fn withdraw(context: &ActionContext<'_>, order: &Order, rule: &str, added: &[String]) -> Result<(), Problem> {
    if added.is_empty() {
        return Ok(());
    }
    let _turn = order.turn.lock().await;
    let Some(rule) = &describe(context, rule).await? else { return Ok(()) };
    let is_added = |group: &TargetGroupTuple| {
        group.weight() == Some(0) && added.iter().any(|arn| group.target_group_arn() == Some(arn))
    };
    let (leaving, staying): (Vec<_>, Vec<_>) = groups(rule).into_iter().partition(is_added);
    if leaving.is_empty() || staying.is_empty() { Ok(()) } else { write(context, rule, staying.into_iter()).await }
}

/// `None` where the rule is gone.
async fn describe(context: &ActionContext<'_>, arn: &str) -> Result<Option<Rule>, Problem> {
    match context.clients().elb.describe_rules().rule_arns(arn).send().await {
        Ok(answer) => Ok(answer.rules.unwrap_or_default().into_iter().next()),
        Err(error) if error.is(GONE) => Ok(None),
        Err(error) => Err(error.problem("elasticloadbalancing:DescribeRules", context.address)),
    }
}

/// Gives a rule these groups; clients stay where they are.
async fn write(
    context: &ActionContext<'_>,
    rule: &Rule,
    groups: impl Iterator<Item = TargetGroupTuple>,
) -> Result<(), Problem> {
    let config = ForwardActionConfig::builder().set_target_groups(Some(groups.collect()));
    let config = config.set_target_group_stickiness_config(stickiness(rule)).build();
    let action = Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config).build();
    let request = context.clients().elb.modify_rule().rule_arn(rule.rule_arn().unwrap_or_default()).actions(action);
    context.fresh("elasticloadbalancing:ModifyRule", || request.clone().send()).await.map(drop)
}

async fn anybody_serves(context: &ActionContext<'_>, groups: &[&TargetGroupTuple]) -> Result<bool, Problem> {
    for arn in groups.iter().filter_map(|group| group.target_group_arn()) {
        let (_, targets) = target_health(context.clients(), arn).await?;
        if targets.iter().any(|target| Health::of(target).is_healthy()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many instances the cluster of a target group is to have now.
async fn expected(context: &ActionContext<'_>, target_group: &Address) -> Result<usize, Problem> {
    let cluster = target_group.cluster().unwrap_or_default();
    let fixed = context.run.published(&targets::attachment_of(cluster)).map_or(0, |attached| attached.members.len());
    let Some(group) = context.run.published(&scaling_group::address(cluster)) else { return Ok(fixed) };
    Ok(fixed.max(usize::try_from(scaling_group::capacity(context, &group.id).await?).unwrap_or_default()))
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

async fn until_healthy(context: &ActionContext<'_>, next: &Next) -> Result<(), Problem> {
    let ask = || async {
        let (_, targets) = target_health(context.clients(), &next.arn).await?;
        let reason = missing(&targets, expected(context, &next.address).await?);
        let pending = |reason| Poll::Pending(format!("the rule turns when the new targets are healthy: {reason}"));
        Ok(reason.map_or(Poll::Ready(()), pending))
    };
    let late = |reason: String| {
        Problem::new("The new target group is not healthy", format!("{}: {reason}", context.address)).hint(
            "the rule has not turned, and the old targets serve; correct port, user data or health check and run \
             `cloudscale up` again",
        )
    };
    context.poll(ask, late).await
}

/// Why the rule may not turn yet.
fn missing(targets: &[TargetHealthDescription], expected: usize) -> Option<String> {
    let staying: Vec<_> = targets.iter().map(|target| (target, Health::of(target))).collect();
    let staying: Vec<_> = staying.into_iter().filter(|(_, health)| !health.is_draining()).collect();
    let healthy = staying.iter().filter(|(_, health)| health.is_healthy()).count();
    if healthy >= expected {
        return None;
    }
    let first = staying.iter().find(|(_, health)| !health.is_healthy());
    let first = first.map_or("no other target is registered".to_owned(), |(target, health)| {
        format!("{}: {}", target.target().and_then(|target| target.id()).unwrap_or("a target"), health.sentence())
    });
    Some(format!("{healthy} of {expected}; {first}"))
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
    fn a_rule_turns_when_as_many_new_targets_are_healthy_as_there_should_be() {
        use TargetHealthStateEnum::{Draining, Healthy, Initial};
        let nobody = Some("0 of 1; no other target is registered");
        assert_eq!(missing(&[], 1).as_deref(), nobody);
        assert_eq!(missing(&[target("i-1", Draining)], 1).as_deref(), nobody);
        let both = [target("i-1", Healthy), target("i-2", Initial)];
        assert_eq!(missing(&both, 2).as_deref(), Some("1 of 2; i-2: initial"));
        assert_eq!(missing(&both, 1), None, "one more than there should be may be on its way out");
        assert_eq!(missing(&[], 0), None, "a group of none");
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
