//! Routes as rules of the listener: path patterns → the target group of a cluster, or of several by weight.
//!
//! Priorities rise in steps: weighted routes first, then clusters, in the order of the file (`rule_order.rs` moves
//! them).

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ForwardActionConfig, PathPatternConditionConfig, Rule as Api, RuleCondition,
    TargetGroupStickinessConfig, TargetGroupTuple,
};

use super::handover::Next;
use super::listener::DescribeListeners;
use super::listener::Listener;
use super::load_balancer::LoadBalancer;
use super::rule_order::{Order, PRIORITY_MAX, in_the_way, occupied};
use super::rule_succession::Table;
use super::target_group;
use super::{handover, listener, rule_succession};
use super::{scaling_group, targets};
use crate::aws::error::{CallError, settled};
use crate::cloud::address::{Address, Owner};
use crate::cloud::discover::ELB_PAGE;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{Bulk, Collection, Depth, ErasedListing, Listing, Query, Tagged};
use crate::cloud::tags::{self, Tags};
use crate::problem::Problem;
use crate::resource::change::{self, FieldChange};
use crate::resource::context::ActionContext;
use crate::resource::fields::{Fields, Value};
use crate::resource::outlook::{Consequence, PartView, listed};
use crate::resource::provider::Provider;
use crate::resource::succession::{Place, Succession};
use crate::resource::{Coming, Output, Resource, Scope, touches};
use crate::stack::model::Stack;
use futures_util::future::try_join_all;

/// Values and wildcards that one rule may hold (quotas of ELBv2, fixed).
const VALUES_MAX: usize = 5;
const WILDCARDS_MAX: usize = 5;
/// Room between two rules for one made by hand.
const PRIORITY_STEP: usize = 10;

#[derive(Debug)]
pub struct Rule;

#[derive(Clone, Debug)]
pub struct Desired {
    pub priority: i32,
    pub order: Arc<Order>,
    pub paths: Vec<String>,
    pub forward: Forward,
    /// The ARN of the stack's rule that gets its requests now: that one keeps them until this one can serve.
    pub until_then: Option<String>,
}

/// Where requests go.
#[derive(Clone, Debug)]
pub enum Forward {
    /// To one target group, by address.
    One(Address),
    /// By weight.
    Shared {
        /// (cluster, weight)
        weights: Vec<(String, u16)>,
        /// Seconds for which a client stays with the cluster that it met.
        stickiness_s: Option<i32>,
    },
}

#[derive(Clone, Debug)]
pub struct Observed {
    api: Api,
    tags: Tags,
}

impl Resource for Rule {
    type Desired = Desired;
    type Observed = Observed;

    const KIND: &'static str = "rule";
    const LISTINGS: &'static [&'static dyn ErasedListing] = &[&Bulk::<DescribeRules>::NEW];
    const REPLACE_ON: &'static [&'static str] = &["listener"];
    const DELETED_WITH: &'static [&'static str] = &[Listener::KIND, LoadBalancer::KIND];

    fn succession(observed: &[Place<'_>], desired: &[Place<'_>]) -> Succession {
        rule_succession::succession(observed, desired)
    }

    fn desired(scope: &Scope<'_>) -> Vec<(Address, Desired)> {
        let mut rules: Vec<(Address, Vec<String>, Forward)> = Vec::new();
        for route in &scope.stack.routes {
            let stickiness_s = route.stickiness.map(|stay| i32::try_from(stay.as_secs()).unwrap_or(i32::MAX));
            let forward = match route.weights.as_slice() {
                [(only, _)] => Forward::One(target_group::address(only)),
                several => Forward::Shared { weights: several.to_vec(), stickiness_s },
            };
            rules.push((of_route(&route.name), route.paths.clone(), forward));
        }
        for cluster in &scope.stack.clusters {
            for (index, paths) in chunks(&cluster.routes).into_iter().enumerate() {
                let first = address(&cluster.name);
                let address = if index == 0 { first } else { first.named(&(index + 1).to_string()) };
                let forward = Forward::One(target_group::address(&cluster.name));
                rules.push((address, paths, forward));
            }
        }
        let priority = |index: usize| i32::try_from((index + 1) * PRIORITY_STEP).unwrap_or(PRIORITY_MAX);
        let order = rules.iter().enumerate().map(|(index, (address, ..))| (address.clone(), priority(index)));
        let order = Order::new(order);
        let now: Vec<_> = Rule::observed(scope.cloud).into_iter().map(|(_, rule)| rule.api).collect();
        let paths_now: Vec<_> = now.iter().map(|api| (priority_of(api), self::paths(api))).collect();
        let table = Table::of(paths_now.iter().map(|(at, paths)| (*at, paths.iter().map(String::as_str).collect())));
        let serves_now = |paths: &[String]| {
            let first = paths.iter().find_map(|path| table.touches(path))?;
            now[first].rule_arn().map(str::to_owned)
        };
        let desired = rules.into_iter().enumerate().map(|(index, (address, paths, forward))| {
            let until_then = serves_now(&paths);
            (address, Desired { priority: priority(index), order: Arc::clone(&order), paths, forward, until_then })
        });
        desired.collect()
    }

    fn observed(cloud: &Snapshot) -> Vec<(Address, Observed)> {
        let ours = cloud.all::<DescribeRules>().iter().filter_map(|api| {
            let tags = cloud.tags_of(api.rule_arn()?)?.clone();
            Some((tags::address(&tags)?, Observed { api: api.clone(), tags }))
        });
        ours.collect()
    }

    fn desired_fields(desired: &Desired) -> Fields {
        let fields = Fields::default()
            .reference("listener", listener::ADDRESS)
            .text("priority", desired.priority)
            .text("paths", desired.paths.join(", "));
        match &desired.forward {
            Forward::One(address) => fields.reference("target_group", address.clone()),
            Forward::Shared { weights, stickiness_s } => {
                let weights = weights
                    .iter()
                    .map(|(cluster, weight)| (Value::Ref(target_group::address(cluster)), i32::from(*weight)));
                shares(fields, weights).maybe("stickiness_s", *stickiness_s)
            }
        }
    }

    fn observed_fields(observed: &Observed, cloud: &Snapshot) -> Fields {
        let api = &observed.api;
        let fields = Fields::default()
            .value("listener", Value::observed(cloud, &listener_of(api.rule_arn().unwrap_or_default())))
            .maybe("priority", api.priority())
            .text("paths", paths(api).join(", "));
        let action = api.actions().first();
        let config = action.and_then(|action| action.forward_config());
        let groups = config.map(|config| config.target_groups()).unwrap_or_default();
        if let [_, _, ..] = groups {
            let weights = groups.iter().map(|group| {
                (Value::observed(cloud, group.target_group_arn().unwrap_or_default()), group.weight().unwrap_or(1))
            });
            let sticky = config.and_then(|config| config.target_group_stickiness_config());
            let sticky = sticky.filter(|sticky| sticky.enabled().unwrap_or_default());
            return shares(fields, weights).maybe("stickiness_s", sticky.and_then(|sticky| sticky.duration_seconds()));
        }
        let only = groups.first().and_then(|group| group.target_group_arn());
        match action.and_then(|action| action.target_group_arn()).or(only) {
            Some(arn) => fields.value("target_group", Value::observed(cloud, arn)),
            None => fields,
        }
    }

    /// The targets: before the rule moves to a new target group, they are in it.
    fn depends_on(desired: &Desired) -> Vec<Address> {
        let clusters = match &desired.forward {
            Forward::One(address) => address.cluster().into_iter().collect(),
            Forward::Shared { weights, .. } => weights.iter().map(|(cluster, _)| cluster.as_str()).collect::<Vec<_>>(),
        };
        let serving = |cluster| [targets::attachment_of(cluster), scaling_group::address(cluster)];
        clusters.into_iter().flat_map(serving).collect()
    }

    /// Somebody else's rules at priorities that ours are to have.
    async fn obstacles(
        _provider: &dyn Provider,
        cloud: &Snapshot,
        coming: &[Coming<'_, Desired, Observed>],
    ) -> Result<Vec<Problem>, Problem> {
        // A new listener has no rules yet.
        if coming.iter().any(|coming| coming.action == change::Action::Replace) {
            return Ok(Vec::new());
        }
        let arns = cloud.all::<DescribeListeners>().iter().filter_map(|listener| listener.listener_arn());
        let serving: Vec<_> = arns.filter(|arn| cloud.address_of(arn) == Some(listener::ADDRESS)).collect();
        let foreign = cloud.all::<DescribeRules>().iter().filter_map(|api| {
            let arn = api.rule_arn().filter(|arn| cloud.tags_of(arn).is_none())?;
            serving.contains(&listener_of(arn).as_str()).then_some((priority_of(api), arn))
        });
        let foreign: BTreeMap<_, _> = foreign.collect();
        let taken = coming.iter().filter_map(|coming| {
            let priority = coming.desired?.priority;
            Some(in_the_way(coming.address, priority, &format!("the rule {}", foreign.get(&priority)?)))
        });
        Ok(taken.collect())
    }

    /// Of a route of the stack; those of a cluster are among its changes.
    fn consequence(part: PartView<'_>) -> Consequence {
        let name = if let Owner::Route(name) = part.part.owner() { name } else { "" };
        let declared = part.stack.iter().flat_map(|stack| &stack.routes).find(|route| route.name == name);
        match (part.overall(), declared) {
            (change::Action::Create, Some(route)) => {
                let weights: Vec<_> = route.weights.iter().map(|(name, weight)| format!("{name} {weight}")).collect();
                let text = format!("{} to {}", listed(&distinct(&route.paths)), weights.join(", "));
                Consequence::sentence(change::Action::Create, text)
            }
            _ => part.consequence(),
        }
    }

    fn output(observed: &Observed) -> Output {
        Output::id(observed.api.rule_arn().unwrap_or_default())
    }

    fn tags(observed: &Observed) -> Option<&Tags> {
        Some(&observed.tags)
    }

    async fn create(context: &ActionContext<'_>, desired: &Desired) -> Result<Output, Problem> {
        let listener = context.output(&listener::ADDRESS)?.id;
        // AWS lets a target group be behind one load balancer only (ELBv2 guide, "Target groups").
        let until_then = desired.until_then.as_ref().filter(|rule| balancer_of(rule) == balancer_of(&listener));
        let added = match until_then {
            Some(rule) => handover::prepare(context, &desired.order, rule, &serving(context, desired)?).await?,
            None => Vec::new(),
        };
        let request = context
            .clients()
            .elb
            .create_rule()
            .listener_arn(&listener)
            .priority(desired.priority)
            .conditions(condition(&desired.paths))
            .actions(forward(context, desired)?)
            .set_tags(Some(tags::to_elb(&context.tags())));
        let create = || async {
            match request.clone().send().await {
                Ok(answer) => Ok(Some(answer)),
                Err(error) if error.is(&["PriorityInUse"]) => Ok(None),
                Err(error) => Err(error),
            }
        };
        // Who has the priority may not be listed yet.
        let attempt = || async {
            if let Some(answer) = context.fresh("elasticloadbalancing:CreateRule", create).await? {
                return Ok(answer.rules().first().and_then(|rule| rule.rule_arn()).map(Output::id));
            }
            Ok(desired.order.arrange(context, &listener, desired.priority).await?.map(Output::id))
        };
        let output = context.appears(attempt).await?.ok_or_else(|| occupied(context, desired.priority))?;
        if let Some(rule) = until_then {
            handover::withdraw(context, &desired.order, rule, &added).await?;
        }
        Ok(output)
    }

    async fn update(
        context: &ActionContext<'_>,
        desired: &Desired,
        observed: &Observed,
        changes: &[FieldChange],
    ) -> Result<Output, Problem> {
        let output = Self::output(observed);
        let elb = &context.clients().elb;
        if touches(changes, &["target_group", "weight"]) {
            let next = serving(context, desired)?;
            if let (Forward::One(_), [only]) = (&desired.forward, next.as_slice()) {
                handover::grow(context, &observed.api, only).await?;
            }
            handover::prepare(context, &desired.order, &output.id, &next).await?;
        }
        if touches(changes, &["paths", "target_group", "weight", "stickiness"]) {
            let call = elb.modify_rule().rule_arn(&output.id).conditions(condition(&desired.paths));
            let request = call.actions(forward(context, desired)?);
            context.fresh("elasticloadbalancing:ModifyRule", || request.clone().send()).await?;
        }
        if touches(changes, &["priority"]) {
            desired.order.arrange(context, &listener_of(&output.id), desired.priority).await?;
        }
        context.write_elb_tags(&output.id).await?;
        Ok(output)
    }

    async fn delete(context: &ActionContext<'_>, observed: &Observed) -> Result<(), Problem> {
        let arn = observed.api.rule_arn().unwrap_or_default();
        settled(context.clients().elb.delete_rule().rule_arn(arn).send().await, DescribeRules::NOT_FOUND)
            .map_err(|error| error.problem("elasticloadbalancing:DeleteRule", context.address))
    }
}

/// `cluster.light.rule`
fn address(cluster: &str) -> Address {
    Address::in_cluster(cluster, Rule::KIND)
}

/// `route.canary.rule`
fn of_route(name: &str) -> Address {
    Address::in_route(name, Rule::KIND)
}

/// The addresses of the rules that lead to a cluster.
pub fn addresses_to(stack: &Stack, cluster: &str) -> Vec<Address> {
    let shared = stack.routes.iter().filter(|route| route.weights.iter().any(|(name, _)| name == cluster));
    let shared = shared.map(|route| of_route(&route.name));
    shared.chain([address(cluster)]).collect()
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

/// Where it is tried; the last where AWS does not say.
fn priority_of(api: &Api) -> i32 {
    api.priority().and_then(|priority| priority.parse().ok()).unwrap_or(PRIORITY_MAX)
}

/// `…:listener-rule/app/name/lb/listener/rule` belongs to `…:listener/app/name/lb/listener`.
fn listener_of(rule_arn: &str) -> String {
    let parent = rule_arn.rsplit_once('/').map_or(rule_arn, |(parent, _)| parent);
    parent.replacen(":listener-rule/", ":listener/", 1)
}

/// The part of a listener's or a rule's ARN that names its load balancer: `app/name/lb`.
fn balancer_of(arn: &str) -> &str {
    let name = arn.split_once("/").map_or(arn, |(_, name)| name);
    name.match_indices('/').nth(2).map_or(name, |(end, _)| &name[..end])
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

/// The target groups that are to get requests.
fn serving(context: &ActionContext<'_>, desired: &Desired) -> Result<Vec<Next>, Problem> {
    let addresses = match &desired.forward {
        Forward::One(address) => vec![address.clone()],
        Forward::Shared { weights, .. } => {
            let weighty = weights.iter().filter(|(_, weight)| *weight > 0);
            weighty.map(|(cluster, _)| target_group::address(cluster)).collect()
        }
    };
    addresses.into_iter().map(|address| Ok(Next { arn: context.output(&address)?.id, address })).collect()
}

fn forward(context: &ActionContext<'_>, desired: &Desired) -> Result<Action, Problem> {
    let action = Action::builder().r#type(ActionTypeEnum::Forward);
    let (weights, stickiness_s) = match &desired.forward {
        Forward::One(address) => return Ok(action.target_group_arn(context.output(address)?.id).build()),
        Forward::Shared { weights, stickiness_s } => (weights, *stickiness_s),
    };
    let sticky = TargetGroupStickinessConfig::builder().enabled(stickiness_s.is_some());
    let mut config = ForwardActionConfig::builder()
        .target_group_stickiness_config(sticky.set_duration_seconds(stickiness_s).build());
    for (cluster, weight) in weights {
        let arn = context.output(&target_group::address(cluster))?.id;
        let group = TargetGroupTuple::builder().target_group_arn(arn).weight(i32::from(*weight));
        config = config.target_groups(group.build());
    }
    Ok(action.forward_config(config.build()).build())
}

/// A field for each target group that shares a route, by its cluster, and one for its weight.
fn shares(fields: Fields, weights: impl Iterator<Item = (Value, i32)>) -> Fields {
    let mut weights: Vec<_> = weights.collect();
    weights.sort_by_cached_key(|(group, _)| group.to_string());
    weights.into_iter().fold(fields, |fields, (group, weight)| {
        let name = match &group {
            Value::Ref(address) => target_group::cluster_at(address),
            _ => None,
        };
        let name = name.unwrap_or_else(|| group.to_string());
        fields.value(format!("target_group.{name}"), group).text(format!("weight.{name}"), weight)
    })
}

/// Every rule of our listeners but the default, ours or not.
#[derive(Debug)]
pub struct DescribeRules;

impl Collection for DescribeRules {
    type Item = Api;

    const OURS_ONLY: bool = false;
    const NOT_FOUND: &'static [&'static str] = &["RuleNotFound"];

    fn id(item: &Api) -> Option<&str> {
        item.rule_arn()
    }

    fn tags(_item: &Api) -> Tagged {
        Tagged::Elsewhere
    }
}

impl Listing for DescribeRules {
    const ROUND: u8 = 2;
    const DEPTHS: &'static [Depth] = &[Depth::Plan];

    async fn list(query: &Query<'_>) -> Result<Option<Vec<Api>>, Problem> {
        let listeners = query.cloud.all::<DescribeListeners>().iter().filter_map(|listener| listener.listener_arn());
        let calls = listeners.map(|arn| async move {
            let request = query.clients.elb.describe_rules().listener_arn(arn).page_size(ELB_PAGE);
            let found = request.into_paginator().items().send().try_collect().await;
            found.map_err(|error| error.problem("elasticloadbalancing:DescribeRules", arn))
        });
        let rules = try_join_all(calls).await?.concat().into_iter();
        Ok(Some(rules.filter(|rule| !rule.is_default().unwrap_or_default()).collect()))
    }
}

/// Path patterns without those that a shorter one reports: `/a/*` beside `/a`.
pub fn distinct<'a>(paths: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
    let paths: Vec<&str> = paths.into_iter().map(String::as_str).collect();
    let is_shown = |path: &str| path.strip_suffix("/*").is_some_and(|stem| paths.contains(&stem));
    paths.iter().copied().filter(|path| !is_shown(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|&path| path.to_owned()).collect()
    }

    #[test]
    fn what_rules_are_asked_for_by_is_known_before() {
        use crate::resources::load_balancer::DescribeLoadBalancers;
        let rounds = [
            Bulk::<DescribeLoadBalancers>::NEW.round(),
            Bulk::<DescribeListeners>::NEW.round(),
            Bulk::<DescribeRules>::NEW.round(),
        ];
        assert!(rounds.is_sorted_by(|before, after| before < after), "{rounds:?}");
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
        assert_eq!((balancer_of(rule), balancer_of(&listener_of(rule))), ("app/web/50dc", "app/web/50dc"));
    }

    #[test]
    fn paths_are_named_once() {
        let paths = ["/a", "/a/*", "/b/*"].map(str::to_owned);
        assert_eq!(distinct(&paths), ["/a", "/b/*"]);
    }
}
