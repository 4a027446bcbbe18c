//! The `autoscaling` part of a cluster, with AWS's rules for groups, policies and schedules.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use jiff::Timestamp;

use super::language::{AUTOSCALING, MIX, ROLLOUT, SCHEDULED_ACTION, WARM_POOL};
use super::model::{Autoscaling, Mix, Rollout, ScheduledAction, WarmPool};
use super::policies::policies;
use crate::catalog::instance_types::is_arm;
use crate::document::name::{List, Name, Named, Text, key};
use crate::document::{Fields, scalar_text};
use crate::problem::{Problem, Problems};

/// Overrides of a mixed instances policy (EC2 Auto Scaling quotas).
const MIXED_TYPES_MAX: usize = 40;
/// AWS's default with the strategy `lowest-price` (EC2 Auto Scaling API).
const SPOT_POOLS: u8 = 2;
/// US dollars an hour (`InstancesDistribution`, EC2 Auto Scaling API).
const SPOT_PRICE_MIN: f64 = 0.001;

/// `routed`: whether the group's cluster has a route, so that its targets get requests.
pub fn group(fields: &Fields, routed: bool, problems: &mut Problems) -> Autoscaling {
    let min = fields.integer(key!(AUTOSCALING, "min"));
    let max = fields.integer(key!(AUTOSCALING, "max"));
    let desired = fields.integer_written(key!(AUTOSCALING, "desired")).unwrap_or(min);
    range(fields, (min, max, fields.integer_written(key!(AUTOSCALING, "desired"))), problems);
    let cooldown = fields.duration(key!(AUTOSCALING, "cooldown"));
    let suspend: BTreeSet<String> = words(fields, key!(AUTOSCALING, "suspend")).into_iter().collect();
    if suspend.contains("Launch") && desired > 0 {
        let detail = format!("`suspend` names Launch, so AWS may start none of the {desired} instances");
        let problem =
            Problem::warning("The group may stay empty", detail).at(fields.place(key!(AUTOSCALING, "suspend")));
        problems.push(problem.hint("suspend it after the first `up`, or start with `desired: 0`"));
    }
    Autoscaling {
        min,
        max,
        desired,
        warmup: fields.duration(key!(AUTOSCALING, "warmup")),
        cooldown,
        health_grace: fields.duration(key!(AUTOSCALING, "health_grace")),
        health_check_type: fields.text(key!(AUTOSCALING, "health_check_type")),
        mix: fields.object_written(key!(AUTOSCALING, "mix"), &MIX).map(|mix| Box::new(self::mix(&mix, problems))),
        warm_pool: warm_pool(fields, problems).map(Box::new),
        policies: policies(fields, routed, cooldown, problems),
        schedule: schedule(fields, problems),
        termination: termination(fields, problems),
        suspend,
        protect_from_scale_in: fields.flag(key!(AUTOSCALING, "protect_from_scale_in")),
        rollout: rollout(fields, problems),
    }
}

fn warm_pool(fields: &Fields, problems: &mut Problems) -> Option<WarmPool> {
    let pool = fields.object_written(key!(AUTOSCALING, "warm_pool"), &WARM_POOL)?;
    if fields.is_written(key!(AUTOSCALING, "mix")) {
        let detail = "AWS gives no warm pool to a group with several instance types or spot instances";
        problems.push(
            fields
                .problem(key!(AUTOSCALING, "warm_pool"), "A warm pool beside a mix", detail)
                .hint("remove one of the two"),
        );
    }
    Some(WarmPool {
        min: pool.integer(key!(WARM_POOL, "min")),
        prepared: pool.integer_written(key!(WARM_POOL, "prepared")),
        running: pool.text(key!(WARM_POOL, "state")) == "running",
        reuse: pool.flag(key!(WARM_POOL, "reuse")),
    })
}

fn rollout(fields: &Fields, problems: &mut Problems) -> Rollout {
    let fields = fields.object(key!(AUTOSCALING, "rollout"), &ROLLOUT);
    let rollout = Rollout {
        min_healthy: fields.integer(key!(ROLLOUT, "min_healthy")),
        max_healthy: fields.integer(key!(ROLLOUT, "max_healthy")),
    };
    if rollout.max_healthy.saturating_sub(rollout.min_healthy) > 100 {
        let detail = "`max_healthy` is more than 100 above `min_healthy`";
        problems.push(Problem::usage("Invalid rollout", detail).at(fields.place(key!(ROLLOUT, "max_healthy"))));
    }
    rollout
}

/// The scalars of a list.
fn words(fields: &Fields, key: Name<List>) -> Vec<String> {
    fields.list(key).iter().filter_map(scalar_text).map(str::to_owned).collect()
}

/// AWS takes `Default` in the last place only.
fn termination(fields: &Fields, problems: &mut Problems) -> Vec<String> {
    let policies = words(fields, key!(AUTOSCALING, "termination"));
    let distinct: BTreeSet<&String> = policies.iter().collect();
    if distinct.len() < policies.len() {
        problems.push(fields.problem(
            key!(AUTOSCALING, "termination"),
            "Duplicate policy",
            "a termination policy is named once",
        ));
    } else if policies.iter().rev().skip(1).any(|policy| policy == "Default") {
        let problem = fields.problem(
            key!(AUTOSCALING, "termination"),
            "Wrong order",
            "`Default` decides for good, so it is the last",
        );
        problems.push(problem.hint("move `Default` to the end"));
    }
    if policies.is_empty() { vec!["Default".to_owned()] } else { policies }
}

fn mix(fields: &Fields, problems: &mut Problems) -> Mix {
    let types = words(fields, key!(MIX, "types"));
    let distinct: BTreeSet<&String> = types.iter().collect();
    if fields.is_written(key!(MIX, "types")) && !(1..=MIXED_TYPES_MAX).contains(&types.len()) {
        let detail = format!("a mix has 1 to {MIXED_TYPES_MAX} instance types, but here are {}", types.len());
        problems.push(fields.problem(key!(MIX, "types"), "Wrong number of types", detail));
    } else if distinct.len() < types.len() {
        problems.push(fields.problem(key!(MIX, "types"), "Duplicate type", "an instance type is named once"));
    } else if types.iter().any(|name| is_arm(name)) && !types.iter().all(|name| is_arm(name)) {
        let detail = "one image serves all types, but some of them have ARM processors and some have not";
        problems
            .push(fields.problem(key!(MIX, "types"), "Two architectures", detail).hint("make two clusters of them"));
    }
    let spot_strategy = fields.text(key!(MIX, "spot_strategy"));
    let pools = (spot_strategy == "lowest-price").then_some(SPOT_POOLS);
    let mix = Mix {
        types,
        on_demand_base: fields.integer(key!(MIX, "on_demand_base")),
        on_demand_percent: fields.integer(key!(MIX, "on_demand_percent")),
        on_demand_strategy: fields.text(key!(MIX, "on_demand_strategy")),
        spot_strategy,
        spot_pools: fields.integer_written(key!(MIX, "spot_pools")).or(pools),
        max_price: fields.text_written(key!(MIX, "max_price")),
    };
    if mix.spot_pools.is_some() && mix.spot_strategy != "lowest-price" {
        let detail = format!("`spot_pools` goes with `lowest-price` only, not with `{}`", mix.spot_strategy);
        problems
            .push(fields.problem(key!(MIX, "spot_pools"), "Pools without a use", detail).hint("remove `spot_pools`"));
    }
    let price = mix.max_price.as_ref().and_then(|price| price.parse::<f64>().ok());
    if price.is_some_and(|price| price < SPOT_PRICE_MIN) {
        let detail = format!("a spot price is at least {SPOT_PRICE_MIN} US dollars an hour");
        problems.push(fields.problem(key!(MIX, "max_price"), "The price is too low", detail));
    }
    mix
}

fn range(fields: &Fields, (min, max, desired): (u32, u32, Option<u32>), problems: &mut Problems) {
    // A missing `max` was reported as such.
    if !fields.is_written(key!(AUTOSCALING, "max")) {
        return;
    }
    if min > max {
        let problem = fields.problem(
            key!(AUTOSCALING, "max"),
            "Minimum above maximum",
            format!("`min` is {min}, but `max` is {max}"),
        );
        problems.push(problem.hint("it must hold that min ≤ desired ≤ max"));
    } else if let Some(desired) = desired.filter(|desired| !(min..=max).contains(desired)) {
        let detail = format!("`desired` is {desired}, but the group has from {min} to {max} instances");
        problems.push(
            fields
                .problem("desired", "Desired capacity out of range", detail)
                .hint("it must hold that min ≤ desired ≤ max"),
        );
    }
}

fn schedule(fields: &Fields, problems: &mut Problems) -> Vec<ScheduledAction> {
    let mut names = BTreeSet::new();
    let mut times: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut actions = Vec::new();
    for fields in fields.objects(key!(AUTOSCALING, "schedule"), &SCHEDULED_ACTION) {
        let action = scheduled_action(&fields, problems);
        if fields.is_written(key!(SCHEDULED_ACTION, "name")) && !names.insert(action.name.clone()) {
            let detail = format!("two scheduled actions are called `{}`", action.name);
            problems.push(fields.problem(key!(SCHEDULED_ACTION, "name"), "Duplicate name", detail));
        }
        let once = || action.start.map(|start| (start.to_string(), String::new()));
        let time = action.cron.as_ref().map(|cron| (cron.to_uppercase(), action.time_zone.clone())).or_else(once);
        if let Some(other) = time.and_then(|time| times.insert(time, action.name.clone())) {
            let detail = format!("`{other}` runs at the same time as `{}`, and AWS refuses that", action.name);
            let key = if action.cron.is_some() { "cron" } else { "start" };
            problems.push(fields.problem(key, "Two actions at one time", detail).hint("make one action of the two"));
        }
        actions.push(action);
    }
    actions
}

fn scheduled_action(fields: &Fields, problems: &mut Problems) -> ScheduledAction {
    let action = ScheduledAction {
        name: fields.text(key!(SCHEDULED_ACTION, "name")),
        cron: fields.text_written(key!(SCHEDULED_ACTION, "cron")),
        time_zone: fields.text(key!(SCHEDULED_ACTION, "time_zone")),
        start: instant(fields, key!(SCHEDULED_ACTION, "start"), problems),
        end: instant(fields, key!(SCHEDULED_ACTION, "end"), problems),
        min: fields.integer_written(key!(SCHEDULED_ACTION, "min")),
        max: fields.integer_written(key!(SCHEDULED_ACTION, "max")),
        desired: fields.integer_written(key!(SCHEDULED_ACTION, "desired")),
    };
    check_times(fields, &action, problems);
    if jiff::tz::TimeZone::get(&action.time_zone).is_err() {
        let zones: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        let hint = crate::document::suggest::closest(&action.time_zone, zones.iter().map(String::as_str));
        let hint = hint.map_or_else(
            || "for example `America/Toronto` or `UTC`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        let detail = format!("there is no time zone `{}`", action.time_zone);
        problems.push(fields.problem(key!(SCHEDULED_ACTION, "time_zone"), "Unknown time zone", detail).hint(hint));
    }
    let capacities = [action.min, action.desired, action.max];
    if capacities.iter().all(Option::is_none) && !["min", "max", "desired"].iter().any(|key| fields.is_written(key)) {
        let problem =
            Problem::usage("Nothing to change", "a scheduled action sets at least one of `min`, `max` and `desired`");
        problems.push(problem.at(fields.own_place()));
    }
    let written: Vec<u32> = capacities.into_iter().flatten().collect();
    if !written.is_sorted() {
        let detail = "it must hold that min ≤ desired ≤ max";
        problems.push(Problem::usage("Capacities out of order", detail).at(fields.own_place()));
    }
    action
}

/// A written time; reports one that the calendar does not have.
fn instant(fields: &Fields, key: Name<Text>, problems: &mut Problems) -> Option<Timestamp> {
    let text = fields.text_written(key)?;
    // Seconds may be left out; the form is checked with the file's shape.
    let parsed = text.parse::<Timestamp>();
    if parsed.is_err() && text.len() >= "2026-12-24T18:00Z".len() {
        problems.push(fields.problem(
            Named::<Text>::name(&key),
            "No such time",
            format!("`{text}` is not in the calendar"),
        ));
    }
    parsed.ok()
}

fn check_times(fields: &Fields, action: &ScheduledAction, problems: &mut Problems) {
    match &action.cron {
        Some(cron) => {
            if let Err(mistake) = check_cron(cron) {
                let problem =
                    fields.problem(key!(SCHEDULED_ACTION, "cron"), "Invalid schedule", format!("`{cron}`: {mistake}"));
                problems.push(
                    problem.hint(
                        "minute, hour, day of month, month, day of week: `0 8 * * MON-FRI` is 8:00 on working days",
                    ),
                );
            }
        }
        None if !fields.is_written(key!(SCHEDULED_ACTION, "start")) => {
            let problem = Problem::usage("No time", "a scheduled action has `cron`, or `start` to run once");
            problems.push(problem.at(fields.own_place()).hint("for example `cron: 0 8 * * MON-FRI`"));
        }
        None => {
            for key in ["end", "time_zone"].into_iter().filter(|key| fields.is_written(key)) {
                let detail = format!("`{key}` goes with `cron`: an action that runs once, at `start`, needs none");
                problems.push(fields.problem(key, "Not for a single time", detail).hint(format!("remove `{key}`")));
            }
        }
    }
    if let (Some(start), Some(end)) = (action.start, action.end)
        && start >= end
    {
        problems.push(fields.problem(
            key!(SCHEDULED_ACTION, "end"),
            "The end comes first",
            "`end` must be after `start`",
        ));
    }
}

/// Five fields; a sixth (seconds) and nicknames such as `@daily` are not AWS's.
fn check_cron(cron: &str) -> Result<(), String> {
    let count = cron.split_whitespace().count();
    if cron.starts_with('@') || count != 5 {
        return Err(format!("a schedule has five fields, but here are {count}"));
    }
    croner::Cron::from_str(cron).map(|_| ()).map_err(|error| error.to_string())
}
