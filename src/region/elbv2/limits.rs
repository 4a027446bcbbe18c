//! The quotas that an account has, and that the region keeps to.

use super::actions::TARGET_GROUPS_MAX as TARGET_GROUPS_PER_ACTION_MAX;
use super::certificates::CERTIFICATES_MAX;
use super::conditions::{VALUES_MAX, WILDCARDS_MAX};
use super::listeners::LISTENERS_MAX;
use super::load_balancers::LOAD_BALANCERS_MAX;
use super::page;
use super::rules::RULES_MAX;
use super::target_groups::TARGET_GROUPS_MAX;
use crate::region::wire::{Answer, Params, Value};

/// By the names of the API reference ("Limit").
const LIMITS: [(&str, usize); 8] = [
    ("application-load-balancers", LOAD_BALANCERS_MAX),
    ("certificates-per-application-load-balancer", CERTIFICATES_MAX),
    ("condition-values-per-alb-rule", VALUES_MAX),
    ("condition-wildcards-per-alb-rule", WILDCARDS_MAX),
    ("listeners-per-application-load-balancer", LISTENERS_MAX),
    ("rules-per-application-load-balancer", RULES_MAX),
    ("target-groups", TARGET_GROUPS_MAX),
    ("target-groups-per-action-on-application-load-balancer", TARGET_GROUPS_PER_ACTION_MAX),
];

pub fn describe_account_limits(params: &Params) -> Answer {
    let show = |(name, max): &(&'static str, usize)| {
        (*name, Value::map().with("Name", Value::from(*name)).with("Max", Value::from(max.to_string())))
    };
    page::answer(params, "Limits", LIMITS.iter().map(show))
}
