//! What happens to a call: a function of the rules, the call and the time.
//!
//! Chance is drawn from the seed, the rule, the operation and how many of its calls there were: the order in which
//! calls of different operations arrive does not matter.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use jiff::Timestamp;

use super::recent::Recent;
use super::rules::{Fault, Faults, Rule, When};
use crate::region::wire::{Answer, ApiError, Request, Service, Value};

/// What the endpoint does with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is served as if there were no faults.
    Serve,
    /// It is answered with this and goes no further.
    Refuse(ApiError),
    ResetBefore,
    ResetAfter,
    NoAnswer,
    Slow(Duration),
    /// Its answer lacks what is newer than this.
    Stale(Duration),
}

/// The rules, and what they have to remember of the calls so far.
#[derive(Clone, Debug)]
pub struct Model {
    faults: Faults,
    /// How many calls a rule could have applied to, by rule and operation.
    calls: BTreeMap<(usize, String), u64>,
    recent: Recent,
}

impl Model {
    pub fn new(faults: Faults) -> Self {
        Self { faults, calls: BTreeMap::new(), recent: Recent::default() }
    }

    /// Decides about a call; `zone_of` knows the zones of subnets.
    pub fn decide(&mut self, now: Timestamp, request: &Request, zone_of: impl Fn(&str) -> Option<String>) -> Effect {
        let mut decided = Effect::Serve;
        for (index, rule) in self.faults.rules.iter().enumerate() {
            let is_for = rule.operations.contain(&request.operation) && rule.fault.suits(&request.operation);
            let Some(effect) = is_for.then(|| effect(rule, now, request, &self.recent, &zone_of)).flatten() else {
                continue;
            };
            let turn = self.calls.entry((index, request.operation.clone())).or_default();
            *turn += 1;
            let applies = match &rule.when {
                When::Always => true,
                When::First(count) => *turn <= *count,
                When::Calls(calls) => calls.contains(turn),
                When::Chance(probability) => draw(self.faults.seed, index, &request.operation, *turn) < *probability,
            };
            // The others count the call all the same: the second call is the second for every rule.
            if applies && decided == Effect::Serve {
                decided = effect;
            }
        }
        decided
    }

    /// Takes note of what a call has made.
    pub fn served(&mut self, now: Timestamp, request: &Request, answer: &Answer) {
        if let Ok(answer) = answer {
            self.recent.made(now, request, answer);
        }
    }

    /// A listing without what is newer than `age`.
    #[must_use]
    pub fn stale(&self, now: Timestamp, request: &Request, answer: Value, age: Duration) -> Value {
        self.recent.without(now, request, answer, age)
    }
}

/// What a rule does to a call that it applies to; `None` where it has nothing to do.
fn effect(
    rule: &Rule,
    now: Timestamp,
    request: &Request,
    recent: &Recent,
    zone_of: impl Fn(&str) -> Option<String>,
) -> Option<Effect> {
    let service = request.service;
    Some(match &rule.fault {
        Fault::Throttle => Effect::Refuse(throttled(service)),
        Fault::Http429 => Effect::Refuse(refusal(429, "TooManyRequestsException", "Too Many Requests")),
        Fault::Http500 => Effect::Refuse(match service {
            Service::Ec2 => refusal(500, "InternalError", "An internal error has occurred"),
            _ => refusal(500, "InternalFailure", "The request processing has failed because of an unknown error"),
        }),
        Fault::Http503 => Effect::Refuse(match service {
            Service::Ec2 => refusal(503, "Unavailable", "The service is unavailable. Please try again shortly."),
            _ => refusal(503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server"),
        }),
        Fault::ResetBefore => Effect::ResetBefore,
        Fault::ResetAfter => Effect::ResetAfter,
        Fault::NoAnswer => Effect::NoAnswer,
        Fault::Slow(lateness) => Effect::Slow(*lateness),
        Fault::NoCapacity(zones) => {
            let zone = zone(request, zone_of)?;
            if !zones.is_empty() && !zones.contains(&zone) || recent.is_repeated(request) {
                return None;
            }
            let message = format!(
                "We currently do not have sufficient capacity in the Availability Zone you requested ({zone}). Our \
                 system will be working on provisioning additional capacity."
            );
            Effect::Refuse(refusal(500, "InsufficientInstanceCapacity", message))
        }
        Fault::InUse => Effect::Refuse(match service {
            Service::Ec2 => refusal(400, "DependencyViolation", "The resource has a dependent object"),
            _ => refusal(400, "ResourceInUse", "The resource is currently in use"),
        }),
        Fault::UnknownId(age) => Effect::Refuse(recent.unknown(now, request, *age)?),
        Fault::StaleList(age) => Effect::Stale(*age),
    })
}

/// The zone that instances are asked for in.
fn zone(request: &Request, zone_of: impl Fn(&str) -> Option<String>) -> Option<String> {
    let interface = request.params.maps("NetworkInterface").into_iter().next().unwrap_or_default();
    let subnet = request.params.text("SubnetId").or(interface.text("SubnetId"));
    let placement = request.params.map("Placement").unwrap_or_default();
    subnet.and_then(zone_of).or_else(|| placement.text("AvailabilityZone").map(str::to_owned))
}

/// The codes of the API references: EC2 has one of its own, the Query services share one, SSM speaks JSON.
fn throttled(service: Service) -> ApiError {
    match service {
        Service::Ec2 => refusal(503, "RequestLimitExceeded", "Request limit exceeded."),
        Service::Ssm | Service::Tagging => refusal(400, "ThrottlingException", "Rate exceeded"),
        _ => refusal(400, "Throttling", "Rate exceeded"),
    }
}

fn refusal(status: u16, code: &str, message: impl Into<String>) -> ApiError {
    ApiError { status, ..ApiError::new(code, message) }
}

/// A number from 0 to 1 that depends on nothing else.
fn draw(seed: u64, rule: usize, operation: &str, turn: u64) -> f64 {
    let mut hasher = DefaultHasher::new();
    (seed, rule, operation, turn).hash(&mut hasher);
    // Its upper half is as good as the whole, and an f64 holds it exactly.
    f64::from((hasher.finish() >> 32) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::faults::rules::Operations;
    use crate::region::wire::Params;

    fn model(rules: &[(Fault, When)]) -> Model {
        let rule = |(fault, when): &(Fault, When)| Rule {
            fault: fault.clone(),
            operations: Operations::matching([]),
            when: when.clone(),
        };
        Model::new(Faults { file: "f.yaml".into(), seed: 7, rules: rules.iter().map(rule).collect() })
    }

    fn request(service: Service, operation: &str, params: &[(&str, &str)]) -> Request {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        Request { service, operation: operation.to_owned(), params: Params(params) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn decide(model: &mut Model, second: i64, request: &Request) -> Effect {
        model.decide(at(second), request, |subnet| subnet.strip_prefix("subnet-").map(str::to_owned))
    }

    fn code(effect: Effect) -> String {
        match effect {
            Effect::Refuse(error) => format!("{} {}", error.status, error.code),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn each_service_throttles_in_its_own_code() {
        let mut model = model(&[(Fault::Throttle, When::Always)]);
        let mut of = |service| code(decide(&mut model, 0, &request(service, "DescribeTags", &[])));
        assert_eq!(of(Service::Ec2), "503 RequestLimitExceeded");
        assert_eq!(of(Service::Elbv2), "400 Throttling");
        assert_eq!(of(Service::Ssm), "400 ThrottlingException");
    }

    #[test]
    fn calls_are_counted_for_each_operation_by_itself() {
        let mut model = model(&[(Fault::ResetAfter, When::Calls(vec![2]))]);
        let operations = ["CreateRule", "CreateTags", "CreateRule", "CreateRule", "CreateTags"];
        let effects = operations.map(|operation| decide(&mut model, 0, &request(Service::Ec2, operation, &[])));
        let (hit, pass) = (Effect::ResetAfter, Effect::Serve);
        assert_eq!(effects, [pass.clone(), pass.clone(), hit.clone(), pass, hit]);
    }

    #[test]
    fn chance_follows_the_seed_whatever_else_is_called() {
        let applies = |others: usize| {
            let mut model = model(&[(Fault::Throttle, When::Chance(0.2))]);
            let mut applied = Vec::new();
            for turn in 0..1000 {
                (0..others).for_each(|_| drop(decide(&mut model, 0, &request(Service::Ec2, "CreateTags", &[]))));
                if decide(&mut model, 0, &request(Service::Ec2, "DescribeTags", &[])) != Effect::Serve {
                    applied.push(turn);
                }
            }
            applied
        };
        let applied = applies(0);
        assert!((150..250).contains(&applied.len()), "{}", applied.len());
        assert_eq!(applied, applies(2));
    }

    #[test]
    fn the_first_rule_that_strikes_decides() {
        let mut model = model(&[(Fault::Throttle, When::First(1)), (Fault::NoAnswer, When::Calls(vec![1, 2]))]);
        let call = request(Service::Elbv2, "CreateRule", &[]);
        assert_eq!(code(decide(&mut model, 0, &call)), "400 Throttling");
        assert_eq!(decide(&mut model, 0, &call), Effect::NoAnswer);
        assert_eq!(decide(&mut model, 0, &call), Effect::Serve);
    }

    #[test]
    fn only_the_named_zones_have_no_capacity() {
        let mut model = model(&[(Fault::NoCapacity(vec!["a".into()]), When::Always)]);
        let run = |subnet| request(Service::Ec2, "RunInstances", &[("SubnetId", subnet)]);
        assert_eq!(code(decide(&mut model, 0, &run("subnet-a"))), "500 InsufficientInstanceCapacity");
        assert_eq!(decide(&mut model, 0, &run("subnet-b")), Effect::Serve);
    }

    #[test]
    fn a_launch_that_was_carried_out_is_not_refused_when_it_is_repeated() {
        let mut model = model(&[(Fault::NoCapacity(Vec::new()), When::Calls(vec![1]))]);
        let params = [("SubnetId", "subnet-a"), ("ClientToken", "once")];
        let run = request(Service::Ec2, "RunInstances", &params);
        model.served(at(0), &run, &Ok(Value::map()));
        assert_eq!(decide(&mut model, 1, &run), Effect::Serve);
    }

    #[test]
    fn a_fresh_id_is_unknown_to_others_for_its_time() {
        let mut model = model(&[(Fault::UnknownId(Duration::from_secs(3)), When::Always)]);
        let create = request(Service::Ec2, "CreateSecurityGroup", &[("GroupName", "web")]);
        assert_eq!(decide(&mut model, 10, &create), Effect::Serve);
        model.served(at(10), &create, &Ok(Value::map().with("groupId", Value::from("sg-1"))));
        let authorize = request(Service::Ec2, "AuthorizeSecurityGroupIngress", &[("GroupId", "sg-1")]);
        assert_eq!(code(decide(&mut model, 12, &authorize)), "400 InvalidGroup.NotFound");
        let balance = request(Service::Elbv2, "CreateLoadBalancer", &[("SecurityGroups", "sg-1")]);
        assert_eq!(code(decide(&mut model, 12, &balance)), "400 InvalidSecurityGroup");
        assert_eq!(decide(&mut model, 13, &authorize), Effect::Serve);
    }

    #[test]
    fn a_listing_lacks_what_is_young_and_nothing_else() {
        let mut model = model(&[(Fault::StaleList(Duration::from_secs(3)), When::Always)]);
        let row = |id: &str| Value::map().with("RuleArn", Value::from(id)).with("Actions", Value::list([Value::map()]));
        let rules = |ids: &[&str]| Value::map().with("Rules", Value::list(ids.iter().map(|id| row(id))));
        let create = request(Service::Elbv2, "CreateRule", &[]);
        model.served(at(0), &create, &Ok(rules(&["old"])));
        model.served(at(9), &create, &Ok(rules(&["new"])));
        // Made again: it is as old as before.
        model.served(at(9), &create, &Ok(rules(&["old"])));
        let list = request(Service::Elbv2, "DescribeRules", &[]);
        let Effect::Stale(age) = decide(&mut model, 10, &list) else { panic!("a listing is stale") };
        assert_eq!(model.stale(at(10), &list, rules(&["old", "new"]), age), rules(&["old"]));
        assert_eq!(model.stale(at(12), &list, rules(&["old", "new"]), age), rules(&["old", "new"]));
    }

    #[test]
    fn a_fresh_registration_is_not_listed_yet() {
        let mut model = model(&[]);
        let target = |id: &str| Value::map().with("Id", Value::from(id));
        let mut register = request(Service::Elbv2, "RegisterTargets", &[("TargetGroupArn", "tg")]);
        register.params.0.push(("Targets".to_owned(), Value::list([target("i-2")])));
        model.served(at(0), &register, &Ok(Value::map()));
        let health = |ids: &[&str]| {
            let rows = ids.iter().map(|id| Value::map().with("Target", target(id)));
            Value::map().with("TargetHealthDescriptions", Value::list(rows))
        };
        let list = request(Service::Elbv2, "DescribeTargetHealth", &[("TargetGroupArn", "tg")]);
        let age = Duration::from_secs(3);
        assert_eq!(model.stale(at(1), &list, health(&["i-1", "i-2"]), age), health(&["i-1"]));
    }
}
