//! The `autoscaling` part of a cluster, with AWS's rules for groups, policies and schedules.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Duration;

use super::decode::texts;
use super::document::Fields;
use super::language::{CUSTOM, CUSTOM_METRIC, ROLLOUT, SCHEDULED_ACTION, STEP, STEP_POLICY, TARGET_TRACKING};
use super::model::{Autoscaling, Comparison, Metric, Policy, Rollout, ScheduledAction, Step};
use super::yaml::Value;
use crate::problem::{Problem, Problems};

/// Step adjustments of one policy (EC2 Auto Scaling quotas).
const STEPS_MAX: usize = 20;
/// What an alarm may look back over, with a period under an hour (CloudWatch API).
const ALARM_WINDOW_MAX: Duration = Duration::from_hours(24);

/// `routed`: whether the group's cluster has a route, so that its targets get requests.
pub fn group(fields: &Fields, routed: bool, problems: &mut Problems) -> Autoscaling {
    let min = fields.integer("min");
    let max = fields.integer("max");
    let desired = fields.integer_written("desired").unwrap_or(min);
    range(fields, (min, max, fields.integer_written("desired")), problems);
    let rollout = fields.object("rollout", &ROLLOUT);
    let rollout_percent =
        Rollout { min_healthy: rollout.integer("min_healthy"), max_healthy: rollout.integer("max_healthy") };
    if rollout_percent.max_healthy.saturating_sub(rollout_percent.min_healthy) > 100 {
        let detail = "`max_healthy` is more than 100 above `min_healthy`";
        problems.push(Problem::usage("Invalid rollout", detail).at(rollout.place("max_healthy")));
    }
    Autoscaling {
        min,
        max,
        desired,
        warmup: fields.duration("warmup"),
        health_grace: fields.duration("health_grace"),
        policies: policies(fields, routed, problems),
        schedule: schedule(fields, problems),
        rollout: rollout_percent,
    }
}

fn range(fields: &Fields, (min, max, desired): (u32, u32, Option<u32>), problems: &mut Problems) {
    // A missing `max` was reported as such.
    if !fields.is_written("max") {
        return;
    }
    if min > max {
        let problem = fields.problem("max", "Minimum above maximum", format!("`min` is {min}, but `max` is {max}"));
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

fn policies(fields: &Fields, routed: bool, problems: &mut Problems) -> Vec<Policy> {
    let mut policies: Vec<Policy> = Vec::new();
    for node in fields.list("policies") {
        let Value::Map(entries) = &node.value else { continue };
        let Some(entry) = entries.first() else { continue };
        let policy = match entry.key.as_str() {
            "target_tracking" => target_tracking(&fields.of_inner(&entry.value, &TARGET_TRACKING), problems),
            "step" => step_policy(&fields.of_inner(&entry.value, &STEP_POLICY), problems),
            _ => continue,
        };
        let (Policy::TargetTracking { metric, .. } | Policy::Step { metric, .. }) = &policy;
        if *metric == Metric::RequestsPerTarget && !routed {
            let detail = "`requests_per_target` counts what the load balancer sends, but the cluster has no route";
            problems.push(
                Problem::usage("Nothing to count", detail)
                    .at(fields.place_of(node))
                    .hint("add a route, or track `cpu`"),
            );
        }
        if policies.iter().any(|other| other.name() == policy.name()) {
            let detail = format!("two policies of the group are called `{}`", policy.name());
            problems.push(
                Problem::usage("Duplicate name", detail).at(fields.place_of(node)).hint("give one of them a `name`"),
            );
        }
        policies.push(policy);
    }
    policies
}

fn target_tracking(fields: &Fields, problems: &mut Problems) -> Policy {
    let metric = metric(fields);
    let target = fields.number_written("target").unwrap_or_default();
    if fields.is_written("target") && target <= 0.0 {
        problems.push(fields.problem("target", "Invalid target", format!("a target is above 0, but here is {target}")));
    }
    if metric == Metric::Cpu && target > 100.0 {
        let problem = fields.problem(
            "target",
            "Target out of reach",
            format!("CPU never rises above 100 %, but the target is {target}"),
        );
        problems.push(problem.hint("for example 50"));
    }
    let name = fields.text_written("name").unwrap_or_else(|| format!("target-tracking-{}", metric_name(&metric)));
    Policy::TargetTracking { name, metric, target }
}

fn step_policy(fields: &Fields, problems: &mut Problems) -> Policy {
    let metric = metric(fields);
    let (above, below) = (fields.number_written("above"), fields.number_written("below"));
    let (comparison, threshold) = match (above, below) {
        (Some(threshold), None) => (Comparison::Above, threshold),
        (None, Some(threshold)) => (Comparison::Below, threshold),
        _ => {
            if !fields.is_written("above") && !fields.is_written("below") || (above.is_some() && below.is_some()) {
                let problem = Problem::usage("No threshold", "a step policy has exactly one of `above` and `below`");
                problems.push(problem.at(fields.own_place()).hint("for example `above: 70`"));
            }
            (Comparison::Above, 0.0)
        }
    };
    let period = fields.duration("period");
    let evaluations: u32 = fields.integer("evaluations");
    if !period.as_secs().is_multiple_of(60) && ![10, 20, 30].contains(&period.as_secs()) {
        let problem = fields.problem(
            "period",
            "Invalid period",
            format!("a period is 10s, 20s, 30s or whole minutes, but here is {period:?}"),
        );
        problems.push(problem.hint("EC2 and the load balancer publish once a minute: `60s`"));
    } else if period.saturating_mul(evaluations) > ALARM_WINDOW_MAX {
        problems.push(fields.problem(
            "evaluations",
            "The alarm looks back too far",
            "`period` × `evaluations` is at most one day",
        ));
    }
    let step = |step: &Fields| Step {
        from: step.number_written("from"),
        to: step.number_written("to"),
        add: step.integer("add"),
    };
    let written = fields.objects("steps", &STEP);
    let steps: Vec<Step> = written.iter().map(step).collect();
    if fields.is_written("steps")
        && let Err(mistake) = check_steps(&steps)
    {
        let problem = fields.problem("steps", "The steps do not fit together", mistake);
        problems.push(
            problem
                .hint("bounds are relative to the threshold, e.g. `[{from: 0, to: 10, add: 1}, {from: 10, add: 2}]`"),
        );
    }
    let default_name = || {
        let (word, metric) = (if comparison == Comparison::Above { "above" } else { "below" }, metric_name(&metric));
        format!("step-{metric}-{word}-{threshold}").chars().filter(|character| !"+ ".contains(*character)).collect()
    };
    let name = fields.text_written("name").unwrap_or_else(default_name);
    Policy::Step { name, comparison, threshold, period, evaluations, steps, metric }
}

/// The rules for step adjustments (EC2 Auto Scaling user guide, "Step and simple scaling policies").
fn check_steps(steps: &[Step]) -> Result<(), String> {
    if steps.is_empty() || steps.len() > STEPS_MAX {
        return Err(format!("a policy has 1 to {STEPS_MAX} steps, but here are {}", steps.len()));
    }
    let lower = |step: &Step| step.from.unwrap_or(f64::NEG_INFINITY);
    let upper = |step: &Step| step.to.unwrap_or(f64::INFINITY);
    if steps.iter().any(|step| step.from.is_none() && step.to.is_none()) {
        return Err("a step needs `from` or `to`".to_owned());
    }
    if steps.iter().any(|step| lower(step) >= upper(step)) {
        return Err("`from` must be less than `to`".to_owned());
    }
    let mut sorted: Vec<&Step> = steps.iter().collect();
    sorted.sort_by(|left, right| lower(left).total_cmp(&lower(right)));
    for pair in sorted.windows(2) {
        let (end, start) = (upper(pair[0]), lower(pair[1]));
        if end > start {
            return Err(format!("two steps overlap at {start}"));
        }
        if end < start {
            return Err(format!("between {end} and {start} is a gap"));
        }
    }
    if steps.iter().any(|step| step.from.is_some_and(|from| from < 0.0)) && steps.iter().all(|step| step.from.is_some())
    {
        return Err("with a negative `from`, one step must have no `from`".to_owned());
    }
    if steps.iter().any(|step| step.to.is_some_and(|to| to > 0.0)) && steps.iter().all(|step| step.to.is_some()) {
        return Err("with a positive `to`, one step must have no `to`".to_owned());
    }
    Ok(())
}

fn metric(fields: &Fields) -> Metric {
    let custom = fields.object("metric", &CUSTOM);
    if let Some(custom) = custom.object_written("custom", &CUSTOM_METRIC) {
        return Metric::Custom {
            namespace: custom.text("namespace"),
            name: custom.text("name"),
            dimensions: texts(custom.map("dimensions")),
            statistic: custom.text("statistic"),
        };
    }
    match fields.text("metric").as_str() {
        "network_in" => Metric::NetworkIn,
        "network_out" => Metric::NetworkOut,
        "requests_per_target" => Metric::RequestsPerTarget,
        "cpu" => Metric::Cpu,
        // Reported with the file's shape; no rule for known metrics applies.
        unknown => Metric::Custom {
            namespace: String::new(),
            name: unknown.to_owned(),
            dimensions: BTreeMap::new(),
            statistic: String::new(),
        },
    }
}

fn metric_name(metric: &Metric) -> String {
    match metric {
        Metric::Cpu => "cpu".to_owned(),
        Metric::NetworkIn => "network-in".to_owned(),
        Metric::NetworkOut => "network-out".to_owned(),
        Metric::RequestsPerTarget => "requests-per-target".to_owned(),
        Metric::Custom { name, .. } => {
            let allowed = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
            name.to_lowercase().chars().take(32).map(allowed).collect()
        }
    }
}

fn schedule(fields: &Fields, problems: &mut Problems) -> Vec<ScheduledAction> {
    let mut names = BTreeSet::new();
    let mut times: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut actions = Vec::new();
    for fields in fields.objects("schedule", &SCHEDULED_ACTION) {
        let action = scheduled_action(&fields, problems);
        if fields.is_written("name") && !names.insert(action.name.clone()) {
            let detail = format!("two scheduled actions are called `{}`", action.name);
            problems.push(fields.problem("name", "Duplicate name", detail));
        }
        let time = (action.cron.to_uppercase(), action.time_zone.clone());
        if let Some(other) = times.insert(time, action.name.clone()).filter(|_| fields.is_written("cron")) {
            let detail = format!("`{other}` runs at the same time as `{}`, and AWS refuses that", action.name);
            problems.push(fields.problem("cron", "Two actions at one time", detail).hint("make one action of the two"));
        }
        actions.push(action);
    }
    actions
}

fn scheduled_action(fields: &Fields, problems: &mut Problems) -> ScheduledAction {
    let action = ScheduledAction {
        name: fields.text("name"),
        cron: fields.text("cron"),
        time_zone: fields.text("time_zone"),
        min: fields.integer_written("min"),
        max: fields.integer_written("max"),
        desired: fields.integer_written("desired"),
    };
    if fields.is_written("cron")
        && let Err(mistake) = check_cron(&action.cron)
    {
        let problem = fields.problem("cron", "Invalid schedule", format!("`{}`: {mistake}", action.cron));
        problems.push(
            problem.hint("minute, hour, day of month, month, day of week: `0 8 * * MON-FRI` is 8:00 on working days"),
        );
    }
    if jiff::tz::TimeZone::get(&action.time_zone).is_err() {
        let zones: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        let hint = super::suggest::closest(&action.time_zone, zones.iter().map(String::as_str));
        let hint = hint.map_or_else(
            || "for example `America/Toronto` or `UTC`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        let detail = format!("there is no time zone `{}`", action.time_zone);
        problems.push(fields.problem("time_zone", "Unknown time zone", detail).hint(hint));
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

/// Five fields; a sixth (seconds) and nicknames such as `@daily` are not AWS's.
fn check_cron(cron: &str) -> Result<(), String> {
    let count = cron.split_whitespace().count();
    if cron.starts_with('@') || count != 5 {
        return Err(format!("a schedule has five fields, but here are {count}"));
    }
    croner::Cron::from_str(cron).map(|_| ()).map_err(|error| error.to_string())
}
