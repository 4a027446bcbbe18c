//! The scaling policies of a group, with AWS's rules for targets, alarms and steps.

use std::collections::BTreeMap;
use std::time::Duration;

use super::language::{AUTOSCALING, CUSTOM, CUSTOM_METRIC, SIMPLE_POLICY, STEP, STEP_POLICY, TARGET_TRACKING};
use super::model::{Adjustment, Comparison, Metric, Policy, Step, Trigger};
use crate::document::name::key;
use crate::document::yaml::Value;
use crate::document::{Fields, texts};
use crate::problem::{Problem, Problems};

/// Step adjustments of one policy (EC2 Auto Scaling quotas).
const STEPS_MAX: usize = 20;
/// What an alarm may look back over, with a period under an hour (CloudWatch API).
const ALARM_WINDOW_MAX: Duration = Duration::from_hours(24);
/// Dimensions of one metric (CloudWatch quotas).
const DIMENSIONS_MAX: usize = 30;

/// `routed`: whether the cluster's targets get requests; `cooldown`: the group's.
pub fn policies(fields: &Fields, routed: bool, cooldown: Duration, problems: &mut Problems) -> Vec<Policy> {
    let mut policies: Vec<Policy> = Vec::new();
    for node in fields.list(key!(AUTOSCALING, "policies")) {
        let Value::Map(entries) = &node.value else { continue };
        let Some(entry) = entries.first() else { continue };
        let policy = match entry.key.as_str() {
            "target_tracking" => target_tracking(&fields.of_inner(&entry.value, &TARGET_TRACKING), problems),
            "step" => step_policy(&fields.of_inner(&entry.value, &STEP_POLICY), problems),
            "simple" => simple_policy(&fields.of_inner(&entry.value, &SIMPLE_POLICY), cooldown, problems),
            _ => continue,
        };
        if *policy.metric() == Metric::RequestsPerTarget && !routed {
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
    let metric = metric(fields, problems);
    let target = fields.number_written(key!(TARGET_TRACKING, "target")).unwrap_or_default();
    if fields.is_written(key!(TARGET_TRACKING, "target")) && target <= 0.0 {
        problems.push(fields.problem(
            key!(TARGET_TRACKING, "target"),
            "Invalid target",
            format!("a target is above 0, but here is {target}"),
        ));
    }
    if metric == Metric::Cpu && target > 100.0 {
        let problem = fields.problem(
            key!(TARGET_TRACKING, "target"),
            "Target out of reach",
            format!("CPU never rises above 100 %, but the target is {target}"),
        );
        problems.push(problem.hint("for example 50"));
    }
    Policy::TargetTracking {
        name: fields
            .text_written(key!(TARGET_TRACKING, "name"))
            .unwrap_or_else(|| format!("target-tracking-{}", metric_name(&metric))),
        metric,
        target,
        scale_in: fields.flag(key!(TARGET_TRACKING, "scale_in")),
        warmup: fields.duration_written(key!(TARGET_TRACKING, "warmup")),
    }
}

fn step_policy(fields: &Fields, problems: &mut Problems) -> Policy {
    let trigger = trigger(fields, problems);
    let mut kinds = Vec::new();
    let mut steps = Vec::new();
    for step in fields.objects(key!(STEP_POLICY, "steps"), &STEP) {
        let (kind, amount) = amount(&step, problems);
        kinds.extend(kind);
        steps.push(Step {
            from: step.number_written(key!(STEP, "from")),
            to: step.number_written(key!(STEP, "to")),
            amount,
        });
    }
    let bounds = |step: &Fields| ["from", "to"].map(|key| step.is_written(key) == step.number_written(key).is_some());
    let is_sound = fields.objects(key!(STEP_POLICY, "steps"), &STEP).iter().flat_map(bounds).all(|sound| sound);
    if fields.is_written(key!(STEP_POLICY, "steps"))
        && is_sound
        && let Err(mistake) = check_steps(&steps)
    {
        let problem = fields.problem(key!(STEP_POLICY, "steps"), "The steps do not fit together", mistake);
        problems.push(
            problem
                .hint("bounds are relative to the threshold, e.g. `[{from: 0, to: 10, add: 1}, {from: 10, add: 2}]`"),
        );
    }
    if kinds.iter().any(|kind| *kind != kinds[0]) {
        let detail = "all steps of a policy `add`, or all change by `percent`, or all `set` the capacity";
        problems.push(
            fields
                .problem(key!(STEP_POLICY, "steps"), "Steps of different kinds", detail)
                .hint("make two policies of them"),
        );
    }
    Policy::Step {
        name: fields.text_written(key!(STEP_POLICY, "name")).unwrap_or_else(|| default_name("step", &trigger)),
        adjustment: adjustment(fields, kinds.first().copied(), problems),
        steps,
        aggregation: fields.text(key!(STEP_POLICY, "aggregation")),
        warmup: fields.duration_written(key!(STEP_POLICY, "warmup")),
        trigger,
    }
}

fn simple_policy(fields: &Fields, cooldown: Duration, problems: &mut Problems) -> Policy {
    let trigger = trigger(fields, problems);
    let (kind, amount) = amount(fields, problems);
    Policy::Simple {
        name: fields.text_written(key!(SIMPLE_POLICY, "name")).unwrap_or_else(|| default_name("simple", &trigger)),
        adjustment: adjustment(fields, kind, problems),
        amount,
        cooldown: fields.duration_written(key!(SIMPLE_POLICY, "cooldown")).unwrap_or(cooldown),
        trigger,
    }
}

/// `step-cpu-above-70`
fn default_name(kind: &str, trigger: &Trigger) -> String {
    let word = if trigger.comparison == Comparison::Above { "above" } else { "below" };
    let name = format!("{kind}-{}-{word}-{}", metric_name(&trigger.metric), trigger.threshold);
    name.chars().filter(|character| !"+ ".contains(*character)).collect()
}

/// Which of the three keys of an amount is written, and with what; reports where it is not exactly one.
fn amount(fields: &Fields, problems: &mut Problems) -> (Option<&'static str>, i32) {
    let written: Vec<_> = ["add", "percent", "set"].into_iter().filter(|key| fields.is_written(key)).collect();
    let [only] = written[..] else {
        let problem = Problem::usage("What to do is not clear", "it takes exactly one of `add`, `percent` and `set`");
        problems.push(problem.at(fields.own_place()).hint("for example `add: 1`"));
        return (None, 0);
    };
    (Some(only), fields.integer(only))
}

fn adjustment(fields: &Fields, kind: Option<&str>, problems: &mut Problems) -> Adjustment {
    let least = fields.integer_written(key!(SIMPLE_POLICY, "min_change"));
    if fields.is_written(key!(SIMPLE_POLICY, "min_change")) && kind.is_some_and(|kind| kind != "percent") {
        let problem = fields.problem(
            key!(SIMPLE_POLICY, "min_change"),
            "Nothing to round",
            "`min_change` goes with `percent` only",
        );
        problems.push(problem.hint("remove `min_change`"));
    }
    match kind {
        Some("percent") => Adjustment::Percent { least },
        Some("set") => Adjustment::Set,
        _ => Adjustment::Add,
    }
}

fn trigger(fields: &Fields, problems: &mut Problems) -> Trigger {
    let metric = metric(fields, problems);
    let (above, below) =
        (fields.number_written(key!(SIMPLE_POLICY, "above")), fields.number_written(key!(SIMPLE_POLICY, "below")));
    let (comparison, threshold) = match (above, below) {
        (Some(threshold), None) => (Comparison::Above, threshold),
        (None, Some(threshold)) => (Comparison::Below, threshold),
        _ => {
            if !fields.is_written(key!(SIMPLE_POLICY, "above")) && !fields.is_written(key!(SIMPLE_POLICY, "below"))
                || (above.is_some() && below.is_some())
            {
                let problem = Problem::usage("No threshold", "the policy has exactly one of `above` and `below`");
                problems.push(problem.at(fields.own_place()).hint("for example `above: 70`"));
            }
            (Comparison::Above, 0.0)
        }
    };
    let period = fields.duration(key!(SIMPLE_POLICY, "period"));
    let evaluations: u32 = fields.integer(key!(SIMPLE_POLICY, "evaluations"));
    if !period.as_secs().is_multiple_of(60) && ![10, 20, 30].contains(&period.as_secs()) {
        let problem = fields.problem(
            key!(SIMPLE_POLICY, "period"),
            "Invalid period",
            format!("a period is 10s, 20s, 30s or whole minutes, but here is {period:?}"),
        );
        problems.push(problem.hint("EC2 and the load balancer publish once a minute: `60s`"));
    } else if period.saturating_mul(evaluations) > ALARM_WINDOW_MAX {
        problems.push(fields.problem(
            key!(SIMPLE_POLICY, "evaluations"),
            "The alarm looks back too far",
            "`period` × `evaluations` is at most one day",
        ));
    }
    Trigger { metric, comparison, threshold, period, evaluations }
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

fn metric(fields: &Fields, problems: &mut Problems) -> Metric {
    let custom = fields.object(key!(SIMPLE_POLICY, "metric"), &CUSTOM);
    if let Some(custom) = custom.object_written(key!(CUSTOM, "custom"), &CUSTOM_METRIC) {
        if custom.map(key!(CUSTOM_METRIC, "dimensions")).len() > DIMENSIONS_MAX {
            let detail = format!("a metric has at most {DIMENSIONS_MAX} dimensions");
            problems.push(custom.problem(key!(CUSTOM_METRIC, "dimensions"), "Too many dimensions", detail));
        }
        return Metric::Custom {
            namespace: custom.text(key!(CUSTOM_METRIC, "namespace")),
            name: custom.text(key!(CUSTOM_METRIC, "name")),
            dimensions: texts(custom.map(key!(CUSTOM_METRIC, "dimensions"))),
            statistic: custom.text(key!(CUSTOM_METRIC, "statistic")),
        };
    }
    match fields.text(key!(SIMPLE_POLICY, "metric")).as_str() {
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
