//! The order of a listener's rules: all moves in one call, so that two rules swap without a moment between.
//!
//! Every rule of a stack shares one [`Order`]. Whoever comes first moves all that are out of place; the others find
//! nothing left to do. What stands in the way and is ours is pushed to the end first: every request finds a rule at
//! every moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_elasticloadbalancingv2::types::{Rule as Api, RulePriorityPair};
use tokio::sync::Mutex;

use crate::aws::error::CallError;
use crate::cloud::address::Address;
use crate::cloud::tags::{self, Tags};
use crate::problem::Problem;
use crate::resource::context::ActionContext;

/// The highest priority of ELBv2; rules that are pushed aside go to the end.
pub const PRIORITY_MAX: i32 = 50_000;
/// Moves, clears, and moves again; once more for endpoints that cannot swap.
const ATTEMPTS: usize = 4;
const IN_USE: &[&str] = &["PriorityInUse"];
/// Of a rule that another action of this run has deleted.
pub const GONE: &[&str] = &["RuleNotFound"];

/// The desired priorities by address, and the turn to change them.
#[derive(Debug)]
pub struct Order {
    priorities: BTreeMap<Address, i32>,
    /// What has its priority by this run already, by ARN: the first of many rules moves all, the others need not ask
    /// again.
    moved: Mutex<BTreeMap<String, i32>>,
    /// Held by whoever changes to what rules forward that are not its own.
    pub turn: Mutex<()>,
}

impl Order {
    pub fn new(priorities: impl IntoIterator<Item = (Address, i32)>) -> Arc<Self> {
        Arc::new(Self { priorities: priorities.into_iter().collect(), moved: Mutex::default(), turn: Mutex::default() })
    }

    /// Gives every rule that is there its priority, whoever has it now, and frees `own`'s.
    ///
    /// Answers with the ARN of the rule at `own` where that turns out to be this very resource, made by a call whose
    /// answer was lost.
    ///
    /// # Errors
    /// Where somebody else's rule has one of the priorities, and any call that fails.
    pub async fn arrange(
        &self,
        context: &ActionContext<'_>,
        listener: &str,
        own: i32,
    ) -> Result<Option<String>, Problem> {
        let mut moved = self.moved.lock().await;
        if context.run.published(context.address).is_some_and(|rule| moved.get(&rule.id) == Some(&own)) {
            return Ok(None);
        }
        let arns: BTreeMap<String, i32> = self
            .priorities
            .iter()
            .filter_map(|(address, priority)| Some((context.run.published(address)?.id, *priority)))
            .collect();
        for _ in 0..ATTEMPTS {
            let rules = describe(context, listener).await?;
            let moves = moves(&arns, &rules);
            let blocking = blocking(&arns, &moves, &rules, own);
            if !blocking.is_empty() {
                if let Some(arn) = push_aside(context, &blocking, &rules, own).await? {
                    return Ok(Some(arn));
                }
                continue;
            }
            if moves.is_empty() || set(context, &moves).await? {
                moved.extend(moves);
                return Ok(None);
            }
            // Some endpoints refuse a priority that is about to become free; a rule may have gone.
            let ends: Vec<_> = free(&rules).zip(&moves).map(|(end, (arn, _))| (arn.clone(), end)).collect();
            set(context, &ends).await?;
        }
        Err(occupied(context, own))
    }
}

/// ARN → new priority of those that are out of place.
fn moves(desired: &BTreeMap<String, i32>, rules: &[Api]) -> Vec<(String, i32)> {
    let found =
        rules.iter().filter_map(|rule| Some((rule.rule_arn()?, desired.get(rule.rule_arn()?)?, priority(rule)?)));
    found
        .filter(|(_, desired, observed)| **desired != *observed)
        .map(|(arn, desired, _)| (arn.to_owned(), *desired))
        .collect()
}

/// Rules that have a priority which is needed, and do not move away by themselves.
fn blocking<'a>(desired: &BTreeMap<String, i32>, moves: &[(String, i32)], rules: &'a [Api], own: i32) -> Vec<&'a Api> {
    let needed: BTreeSet<i32> = moves.iter().map(|(_, priority)| *priority).chain([own]).collect();
    let blocks = |rule: &&Api| {
        let known = rule.rule_arn().is_some_and(|arn| desired.contains_key(arn));
        !known && priority(rule).is_some_and(|priority| needed.contains(&priority))
    };
    rules.iter().filter(blocks).collect()
}

fn priority(rule: &Api) -> Option<i32> {
    rule.priority()?.parse().ok()
}

/// Priorities that nobody has, from the end.
fn free(rules: &[Api]) -> impl Iterator<Item = i32> {
    let taken: BTreeSet<i32> = rules.iter().filter_map(priority).collect();
    (1..=PRIORITY_MAX).rev().filter(move |priority| !taken.contains(priority))
}

/// Whether the endpoint did it; `false` where it says that a priority is in use, or that one of the rules is gone.
async fn set(context: &ActionContext<'_>, moves: &[(String, i32)]) -> Result<bool, Problem> {
    if moves.is_empty() {
        return Ok(true);
    }
    let pairs =
        moves.iter().map(|(arn, priority)| RulePriorityPair::builder().rule_arn(arn).priority(*priority).build());
    let call = context.clients().elb.set_rule_priorities().set_rule_priorities(Some(pairs.collect())).send().await;
    match call {
        Ok(_) => Ok(true),
        Err(error) if error.is(IN_USE) || error.is(GONE) => Ok(false),
        Err(error) => Err(error.problem("elasticloadbalancing:SetRulePriorities", context.address)),
    }
}

async fn describe(context: &ActionContext<'_>, listener: &str) -> Result<Vec<Api>, Problem> {
    let pages = context.clients().elb.describe_rules().listener_arn(listener).into_paginator().items().send();
    pages.try_collect().await.map_err(|error| error.problem("elasticloadbalancing:DescribeRules", context.address))
}

/// Pushes rules of ours that nobody wants any more to the end; answers with the ARN of one that is what this action
/// makes.
async fn push_aside(
    context: &ActionContext<'_>,
    blocking: &[&Api],
    rules: &[Api],
    own: i32,
) -> Result<Option<String>, Problem> {
    let mut moves = Vec::new();
    for (rule, end) in blocking.iter().zip(free(rules)) {
        let arn = rule.rule_arn().unwrap_or_default();
        let Some(tags) = tags_if_there(context, arn).await? else { continue };
        if tags.get(tags::STACK) != Some(&context.run.stack) {
            return Err(occupied(context, priority(rule).unwrap_or(own)));
        }
        if tags.get(tags::SPEC).map(String::as_str) == Some(context.spec)
            && tags::address(&tags).as_ref() == Some(context.address)
        {
            return Ok(Some(arn.to_owned()));
        }
        moves.push((arn.to_owned(), end));
    }
    set(context, &moves).await.map(|_| None)
}

/// `None` where another action of this run has deleted the rule meanwhile.
async fn tags_if_there(context: &ActionContext<'_>, arn: &str) -> Result<Option<Tags>, Problem> {
    match context.clients().elb.describe_tags().resource_arns(arn).send().await {
        Ok(answer) => Ok(answer.tag_descriptions().first().map(|row| tags::from_elb(row.tags()))),
        Err(error) if error.is(GONE) => Ok(None),
        Err(error) => Err(error.problem("elasticloadbalancing:DescribeTags", context.address)),
    }
}

pub fn occupied(context: &ActionContext<'_>, priority: i32) -> Problem {
    in_the_way(context.address, priority, "a rule")
}

/// `rule` has a priority that ours is to have.
pub fn in_the_way(address: &Address, priority: i32, rule: &str) -> Problem {
    let detail = format!("{address} needs priority {priority}, which {rule} has, that is not cloudscale's");
    Problem::new("Conflicting listener rule", detail).hint("move that rule to another priority, or delete it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(arn: &str, priority: i32) -> Api {
        Api::builder().rule_arn(arn).priority(priority.to_string()).build()
    }

    fn desired(pairs: &[(&str, i32)]) -> BTreeMap<String, i32> {
        pairs.iter().map(|(arn, priority)| ((*arn).to_owned(), *priority)).collect()
    }

    #[test]
    fn a_swap_is_one_call() {
        let rules = [rule("a", 10), rule("b", 20), rule("c", 30)];
        let desired = desired(&[("a", 20), ("b", 10), ("c", 30)]);
        let moves = moves(&desired, &rules);
        assert_eq!(moves, [("a".to_owned(), 20), ("b".to_owned(), 10)]);
        assert!(blocking(&desired, &moves, &rules, 20).is_empty());
    }

    #[test]
    fn a_rule_that_nobody_wants_stands_in_the_way() {
        let rules = [rule("a", 20), rule("b", 40), rule("leaving", 10), rule("gone", 30), rule("else", 50)];
        let desired = desired(&[("a", 10), ("b", 30)]);
        let moves = moves(&desired, &rules);
        let found: Vec<_> = blocking(&desired, &moves, &rules, 10).iter().filter_map(|rule| rule.rule_arn()).collect();
        assert_eq!(found, ["leaving", "gone"]);
    }

    #[test]
    fn the_end_is_what_nobody_has() {
        assert_eq!(free(&[rule("a", 50_000), rule("b", 49_998)]).take(2).collect::<Vec<_>>(), [49_999, 49_997]);
    }
}
