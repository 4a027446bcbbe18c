//! Rules of a listener: a priority, conditions and an action.

use super::actions::Action;
use super::conditions::Condition;
use super::listeners::Listener;
use super::model::Elbv2;
use super::page;
use super::rule::Rule;
use super::tags::{self, Tags};
use super::transforms::Transforms;
use crate::region::context::Context;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// For one load balancer, default rules not counted. AWS's quota is 100 and can be raised; here it only bounds memory.
pub const RULES_MAX: usize = 5000;
const PRIORITY_MAX: u32 = 50_000;

impl Elbv2 {
    pub(super) fn create_rule(&mut self, cx: &mut Context, params: &Params) -> Answer {
        let listener_arn = params.required("ListenerArn")?;
        let listener = self.listener(listener_arn)?;
        let priority = parse_priority(params)?;
        let conditions = Condition::parse_all(&params.maps("Conditions"))?;
        let actions = params.maps("Actions");
        let (action, order) = (Action::parse_one(&actions)?, Action::order_of(&actions)?);
        self.check_action(&action, &listener.load_balancer, listener.tls.is_some())?;
        let transforms = Transforms::parse(&params.maps("Transforms"))?;
        let tags = tags::parse(params)?;
        if listener.rules.contains_key(&priority) {
            return Err(priority_in_use(priority));
        }
        let of_load_balancer = self.listeners.values().filter(|there| there.load_balancer == listener.load_balancer);
        if of_load_balancer.map(|there| there.rules.len()).sum::<usize>() >= RULES_MAX {
            return Err(ApiError::new("TooManyRules", format!("A load balancer can only have '{RULES_MAX}' rules")));
        }
        let arn = format!("{}/{}", listener_arn.replacen(":listener/", ":listener-rule/", 1), cx.ids.hex(16));
        let rule = Rule { arn, conditions, action, transforms, order, tags };
        let shown = show(Some(priority), &rule);
        self.listener_mut(listener_arn)?.rules.insert(priority, rule);
        Ok(Value::map().with("Rules", Value::list([shown])))
    }

    pub(super) fn modify_rule(&mut self, params: &Params) -> Answer {
        let arn = params.required("RuleArn")?;
        if self.listeners.values().any(|listener| listener.default_rule == arn) {
            return Err(ApiError::new("OperationNotPermitted", format!("Default rule '{arn}' cannot be modified")));
        }
        let (priority, there) = self.rule(arn).ok_or_else(|| missing(arn))?;
        let conditions = match params.maps("Conditions") {
            none if none.is_empty() => there.conditions.clone(),
            given => Condition::parse_all(&given)?,
        };
        let (action, order) = match params.maps("Actions") {
            none if none.is_empty() => (there.action.clone(), there.order),
            given => (Action::parse_one(&given)?, Action::order_of(&given)?),
        };
        let transforms = match (params.maps("Transforms"), params.bool("ResetTransforms")?.unwrap_or(false)) {
            (none, false) if none.is_empty() => there.transforms.clone(),
            (none, true) if none.is_empty() => Transforms::default(),
            (given, false) => Transforms::parse(&given)?,
            (_, true) => {
                let message = "Transforms and ResetTransforms cannot be specified together";
                return Err(ApiError::new("ValidationError", message));
            }
        };
        let listener =
            self.listeners.values().find(|listener| listener.rules.get(&priority).is_some_and(|rule| rule.arn == arn));
        let listener = listener.ok_or_else(|| missing(arn))?;
        self.check_action(&action, &listener.load_balancer, listener.tls.is_some())?;
        let there = self.rule_mut(arn).ok_or_else(|| missing(arn))?;
        (there.conditions, there.action, there.order) = (conditions, action, order);
        there.transforms = transforms;
        Ok(Value::map().with("Rules", Value::list([show(Some(priority), there)])))
    }

    /// Moves rules to new priorities, all at once: two rules may swap theirs.
    pub(super) fn set_rule_priorities(&mut self, params: &Params) -> Answer {
        let mut wanted = Vec::new();
        for pair in params.maps("RulePriorities") {
            let arn = pair.required("RuleArn")?;
            if self.listeners.values().any(|listener| listener.default_rule == arn) {
                return Err(ApiError::new(
                    "OperationNotPermitted",
                    format!("The priority of default rule '{arn}' cannot be set"),
                ));
            }
            let (from, _) = self.rule(arn).ok_or_else(|| missing(arn))?;
            wanted.push((arn.to_owned(), from, parse_priority(&pair)?));
        }
        if wanted.is_empty() {
            return Err(ApiError::missing("RulePriorities"));
        }
        let mut listeners = self.listeners.clone();
        let mut moved = Vec::new();
        for (arn, from, to) in wanted {
            let listener =
                listeners.values_mut().find(|listener| listener.rules.get(&from).is_some_and(|rule| rule.arn == arn));
            let listener =
                listener.ok_or_else(|| ApiError::new("ValidationError", format!("Rule '{arn}' is listed twice")))?;
            let rule = listener.rules.remove(&from).ok_or_else(|| missing(&arn))?;
            moved.push((listener.arn.clone(), to, rule));
        }
        let mut shown = Vec::new();
        for (listener, to, rule) in moved {
            shown.push(show(Some(to), &rule));
            let rules = &mut listeners.get_mut(&listener).ok_or_else(|| missing(&rule.arn))?.rules;
            if rules.insert(to, rule).is_some() {
                return Err(priority_in_use(to));
            }
        }
        self.listeners = listeners;
        Ok(Value::map().with("Rules", Value::List(shown)))
    }

    pub(super) fn delete_rule(&mut self, params: &Params) -> Answer {
        let arn = params.required("RuleArn")?;
        if self.listeners.values().any(|listener| listener.default_rule == arn) {
            return Err(ApiError::new("OperationNotPermitted", format!("Default rule '{arn}' cannot be deleted")));
        }
        self.rule(arn).ok_or_else(|| missing(arn))?;
        for listener in self.listeners.values_mut() {
            listener.rules.retain(|_, rule| rule.arn != arn);
        }
        Ok(Value::map())
    }

    pub(super) fn describe_rules(&self, params: &Params) -> Answer {
        let arns = params.texts("RuleArns");
        if !arns.is_empty() {
            let shown = |arn: &&str| {
                if let Some((priority, rule)) = self.rule(arn) {
                    return Ok(show(Some(priority), rule));
                }
                let default = self.listeners.values().find(|listener| listener.default_rule == *arn);
                default.map(show_default).ok_or_else(|| missing(arn))
            };
            let rules = arns.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
            return Ok(Value::map().with("Rules", Value::List(rules)));
        }
        let listener = params.required("ListenerArn").map_err(|_| {
            ApiError::new("ValidationError", "You must specify either listener rule ARNs or a listener ARN")
        })?;
        let listener = self.listener(listener)?;
        // Pages go by a key that sorts as the rules do: by priority, the default last.
        let keys: Vec<String> = listener.rules.keys().map(|priority| format!("{priority:05}")).collect();
        let rules = keys
            .iter()
            .map(String::as_str)
            .zip(listener.rules.iter().map(|(priority, rule)| show(Some(*priority), rule)));
        page::answer(params, "Rules", rules.chain([("default", show_default(listener))]))
    }

    /// A rule and its priority; default rules are not among them.
    pub(super) fn rule(&self, arn: &str) -> Option<(u32, &Rule)> {
        let rules = self.listeners.values().flat_map(|listener| &listener.rules);
        rules.map(|(priority, rule)| (*priority, rule)).find(|(_, rule)| rule.arn == arn)
    }

    pub(super) fn rule_mut(&mut self, arn: &str) -> Option<&mut Rule> {
        self.listeners.values_mut().flat_map(|listener| listener.rules.values_mut()).find(|rule| rule.arn == arn)
    }
}

fn parse_priority(params: &Params) -> Result<u32, ApiError> {
    let given = params.int("Priority")?.ok_or_else(|| ApiError::missing("Priority"))?;
    u32::try_from(given).ok().filter(|priority| (1..=PRIORITY_MAX).contains(priority)).ok_or_else(|| {
        ApiError::new("ValidationError", format!("Priority '{given}' must be between 1 and {PRIORITY_MAX} inclusive"))
    })
}

fn show(priority: Option<u32>, rule: &Rule) -> Value {
    Value::map()
        .with("RuleArn", Value::from(rule.arn.as_str()))
        .with("Priority", Value::from(priority.map_or("default".to_owned(), |priority| priority.to_string())))
        .with("Conditions", Value::list(rule.conditions.iter().map(Condition::show)))
        .with("Actions", Value::list([rule.action.show(rule.order)]))
        .with("Transforms", Some(rule.transforms.show()).filter(|_| rule.transforms != Transforms::default()))
        .with("IsDefault", Value::from(priority.is_none()))
}

fn show_default(listener: &Listener) -> Value {
    let rule = Rule {
        arn: listener.default_rule.clone(),
        conditions: Vec::new(),
        action: listener.default.clone(),
        transforms: Transforms::default(),
        order: listener.order,
        tags: Tags::new(),
    };
    show(None, &rule)
}

fn priority_in_use(priority: u32) -> ApiError {
    ApiError::new("PriorityInUse", format!("Priority '{priority}' is currently in use"))
}

fn missing(arn: &str) -> ApiError {
    ApiError::new("RuleNotFound", format!("One or more rules not found: '{arn}'"))
}
