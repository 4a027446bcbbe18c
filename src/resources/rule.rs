//! The routes of a cluster as rules of the listener: path patterns → target group.
//!
//! Priorities rise in steps in the order of the clusters (`rule_order.rs` moves them).

use std::sync::Arc;

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, PathPatternConditionConfig, Rule as Api, RuleCondition,
};

use super::fields::Fields;
use super::rule_order::{Order, PRIORITY_MAX, occupied};
use super::tags::{self, Tags};
use super::{Output, Resource, Scope, cluster_prefix, handover, in_cluster, listener, touches};
use crate::aws::error::CallError;
use crate::engine::plan::FieldChange;
use crate::engine::snapshot::Snapshot;
use crate::engine::task::Task;
use crate::problem::Problem;

/// Values and wildcards that one rule may hold (quotas of ELBv2, fixed).
const VALUES_MAX: usize = 5;
const WILDCARDS_MAX: usize = 5;
/// Room between two rules for one made by hand.
const PRIORITY_STEP: usize = 10;

#[derive(Debug)]
pub struct Rule;

#[derive(Clone, Debug)]
pub struct Wanted {
    pub priority: i32,
    pub order: Arc<Order>,
    pub paths: Vec<String>,
    /// The address of the target group.
    pub target_group: String,
}

#[derive(Clone, Debug)]
pub struct Live {
    api: Api,
    tags: Tags,
}

impl Resource for Rule {
    type Wanted = Wanted;
    type Live = Live;

    const KIND: &'static str = "rule";
    const REPLACE_ON: &'static [&'static str] = &["listener"];
    const GOES_WITH: &'static [&'static str] = &["listener", "load_balancer"];

    fn wanted(scope: &Scope<'_>) -> Vec<(String, Wanted)> {
        let mut rules: Vec<(String, Vec<String>, String)> = Vec::new();
        for cluster in &scope.stack.clusters {
            for (index, paths) in chunks(&cluster.routes).into_iter().enumerate() {
                let kind = if index == 0 { Self::KIND.to_owned() } else { format!("{}.{}", Self::KIND, index + 1) };
                let target_group = in_cluster(&cluster.name, "target_group");
                rules.push((in_cluster(&cluster.name, &kind), paths, target_group));
            }
        }
        let priority = |index: usize| i32::try_from((index + 1) * PRIORITY_STEP).unwrap_or(PRIORITY_MAX);
        let order = rules.iter().enumerate().map(|(index, (address, ..))| (address.clone(), priority(index)));
        let order = Order::new(order);
        let wanted = rules.into_iter().enumerate().map(|(index, (address, paths, target_group))| {
            (address, Wanted { priority: priority(index), order: Arc::clone(&order), paths, target_group })
        });
        wanted.collect()
    }

    fn live(cloud: &Snapshot) -> Vec<(String, Live)> {
        let ours = cloud.rules.iter().filter_map(|api| {
            let tags = cloud.tags_of(api.rule_arn()?)?.clone();
            Some((tags.get(tags::ADDRESS)?.clone(), Live { api: api.clone(), tags }))
        });
        ours.collect()
    }

    fn want(wanted: &Wanted) -> Fields {
        Fields::default()
            .reference("listener", listener::ADDRESS)
            .text("priority", wanted.priority)
            .text("paths", wanted.paths.join(", "))
            .reference("target_group", &wanted.target_group)
    }

    fn observe(live: &Live, cloud: &Snapshot) -> Fields {
        let api = &live.api;
        let target_group = api.actions().first().and_then(|action| {
            let forward = action.forward_config().and_then(|config| config.target_groups().first());
            action.target_group_arn().or_else(|| forward.and_then(|tuple| tuple.target_group_arn()))
        });
        let fields = Fields::default()
            .value("listener", cloud.reference(&listener_of(api.rule_arn().unwrap_or_default())))
            .maybe("priority", api.priority())
            .text("paths", paths(api).join(", "));
        match target_group {
            Some(arn) => fields.value("target_group", cloud.reference(arn)),
            None => fields,
        }
    }

    /// The targets: before the rule moves to a new target group, they are in it.
    fn after(wanted: &Wanted) -> Vec<String> {
        let cluster = cluster_prefix(&wanted.target_group).unwrap_or_default();
        ["registration", "scaling_group"].map(|kind| format!("{cluster}.{kind}")).into()
    }

    fn output(live: &Live) -> Output {
        Output::id(live.api.rule_arn().unwrap_or_default())
    }

    fn tags(live: &Live) -> Option<&Tags> {
        Some(&live.tags)
    }

    async fn create(task: &Task<'_>, wanted: &Wanted) -> Result<Output, Problem> {
        let listener = task.output(listener::ADDRESS)?.id;
        let request = task
            .clients()
            .elb
            .create_rule()
            .listener_arn(&listener)
            .priority(wanted.priority)
            .conditions(condition(&wanted.paths))
            .actions(forward(task, wanted)?)
            .set_tags(Some(tags::to_elb(&task.tags())));
        let create = || async {
            match request.clone().send().await {
                Ok(answer) => Ok(Some(answer)),
                Err(error) if error.is(&["PriorityInUse"]) => Ok(None),
                Err(error) => Err(error),
            }
        };
        // Who has the priority may not be listed yet.
        let attempt = || async {
            if let Some(answer) = task.fresh("elasticloadbalancing:CreateRule", create).await? {
                return Ok(answer.rules().first().and_then(|rule| rule.rule_arn()).map(Output::id));
            }
            Ok(wanted.order.arrange(task, &listener, wanted.priority).await?.map(Output::id))
        };
        task.appears(attempt).await?.ok_or_else(|| occupied(task, wanted.priority))
    }

    async fn update(task: &Task<'_>, wanted: &Wanted, live: &Live, changes: &[FieldChange]) -> Result<Output, Problem> {
        let output = Self::output(live);
        let elb = &task.clients().elb;
        if touches(changes, &["target_group"]) {
            handover::prepare(task, &live.api, &task.output(&wanted.target_group)?.id).await?;
        }
        if touches(changes, &["paths", "target_group"]) {
            let call = elb.modify_rule().rule_arn(&output.id).conditions(condition(&wanted.paths));
            let request = call.actions(forward(task, wanted)?);
            task.fresh("elasticloadbalancing:ModifyRule", || request.clone().send()).await?;
        }
        if touches(changes, &["priority"]) {
            wanted.order.arrange(task, &listener_of(&output.id), wanted.priority).await?;
        }
        tags::write_elb(task.clients(), task.address, &output.id, &task.tags()).await?;
        Ok(output)
    }

    async fn retire(task: &Task<'_>, live: &Live) -> Result<(), Problem> {
        let arn = live.api.rule_arn().unwrap_or_default();
        match task.clients().elb.delete_rule().rule_arn(arn).send().await {
            Err(error) if !error.is(&["RuleNotFound"]) => {
                Err(error.problem("elasticloadbalancing:DeleteRule", task.address))
            }
            _ => Ok(()),
        }
    }
}

/// Routes in as few rules as the quotas allow, in order.
fn chunks(routes: &[String]) -> Vec<Vec<String>> {
    let mut rules: Vec<Vec<String>> = Vec::new();
    let wildcards = |paths: &[String]| paths.iter().map(|path| path.matches(['*', '?']).count()).sum::<usize>();
    for route in routes {
        let fits = rules.last().is_some_and(|last| {
            last.len() < VALUES_MAX && wildcards(last) + wildcards(std::slice::from_ref(route)) <= WILDCARDS_MAX
        });
        match rules.last_mut() {
            Some(last) if fits => last.push(route.clone()),
            _ => rules.push(vec![route.clone()]),
        }
    }
    rules
}

/// `…:listener-rule/app/name/lb/listener/rule` belongs to `…:listener/app/name/lb/listener`.
fn listener_of(rule_arn: &str) -> String {
    let parent = rule_arn.rsplit_once('/').map_or(rule_arn, |(parent, _)| parent);
    parent.replacen(":listener-rule/", ":listener/", 1)
}

fn paths(rule: &Api) -> Vec<String> {
    let conditions = rule.conditions().iter().filter(|condition| condition.field() == Some("path-pattern"));
    let values = conditions.flat_map(|condition| match condition.path_pattern_config() {
        Some(config) if !config.values().is_empty() => config.values(),
        _ => condition.values(),
    });
    values.cloned().collect()
}

fn condition(paths: &[String]) -> RuleCondition {
    let config = PathPatternConditionConfig::builder().set_values(Some(paths.to_vec())).build();
    RuleCondition::builder().field("path-pattern").path_pattern_config(config).build()
}

fn forward(task: &Task<'_>, wanted: &Wanted) -> Result<Action, Problem> {
    let arn = task.output(&wanted.target_group)?.id;
    Ok(Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(arn).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|&path| path.to_owned()).collect()
    }

    #[test]
    fn a_rule_holds_five_values_at_most() {
        let chunks = chunks(&routes(&["/a", "/b", "/c", "/d", "/e", "/f"]));
        assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [5, 1]);
    }

    #[test]
    fn a_rule_holds_five_wildcards_at_most() {
        let chunks = chunks(&routes(&["/a*?", "/b*?", "/c*", "/d*"]));
        assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1]);
    }

    #[test]
    fn a_rules_arn_names_its_listener() {
        let rule = "arn:aws:elasticloadbalancing:us-east-1:1:listener-rule/app/web/50dc/f2f7/9683";
        assert_eq!(listener_of(rule), "arn:aws:elasticloadbalancing:us-east-1:1:listener/app/web/50dc/f2f7");
    }
}
