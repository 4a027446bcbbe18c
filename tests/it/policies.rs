//! Everything that a group can say, on the embedded region and on moto: as wanted, seen by others, mended, changed in place.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use super::moto::{Answer, Moto, hermetic, venv};
use super::rehearsal::Rehearsal;

const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stacks/policies.yaml");

/// What boto3 sees of both groups and their instances.
const LOOK: &str = r#"
import boto3, json
scaling, ec2, watch = map(boto3.client, ["autoscaling", "ec2", "cloudwatch"])
groups = {g["AutoScalingGroupName"].split("--")[1]: g for g in scaling.describe_auto_scaling_groups()["AutoScalingGroups"]}
instances = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
live = {i["InstanceId"]: i for i in instances if i["State"]["Name"] == "running"}
def group(g):
    mine = [live[i["InstanceId"]] for i in g["Instances"]]
    mix = g.get("MixedInstancesPolicy", {})
    return {
        "types": [o["InstanceType"] for o in mix.get("LaunchTemplate", {}).get("Overrides", [])],
        "distribution": mix.get("InstancesDistribution"),
        "bought": sorted(i["InstanceType"] + " " + i.get("InstanceLifecycle", "on demand") for i in mine),
        "termination": g["TerminationPolicies"],
        "suspended": [p["ProcessName"] for p in g["SuspendedProcesses"]],
        "cooldown": g["DefaultCooldown"],
        "protected": [i["ProtectedFromScaleIn"] for i in g["Instances"]],
    }
policies = {p["PolicyName"].split("--")[2]: p for p in scaling.describe_policies()["ScalingPolicies"]}
actions = {a["ScheduledActionName"].split("--")[2]: a for a in scaling.describe_scheduled_actions()["ScheduledUpdateGroupActions"]}
alarms = {a["AlarmName"].split("--")[2]: a for a in watch.describe_alarms(AlarmNamePrefix="cs-")["MetricAlarms"]}
print(json.dumps({"groups": {n: group(g) for n, g in groups.items()}, "policies": policies, "actions": actions, "alarms": alarms}, default=str))
"#;

fn look(rehearsal: &Rehearsal) -> Value {
    let mut command = Command::new(venv().join("bin/python"));
    let command = hermetic(&mut command, &rehearsal.region.endpoint(), rehearsal.folder());
    Answer::of(command.args(["-c", LOOK])).ok().json()
}

/// Address → what differs, of everything that is not as wanted.
fn differences(rehearsal: &Rehearsal) -> Vec<(String, String, Vec<String>)> {
    let report = rehearsal.cloudscale(&["diff", "--json"]).ok().json();
    let changed =
        report["changes"].as_array().expect("changes").iter().filter(|change| change["action"] != "unchanged");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let row = |change: &Value| {
        let paths = change["fields"].as_array().expect("fields").iter().map(|field| text(&field["path"])).collect();
        (text(&change["address"]), format!("{}: {}", text(&change["action"]), text(&change["reason"])), paths)
    };
    changed.map(row).collect()
}

fn group_name(cluster: &str) -> String {
    format!("cs-policies--{cluster}")
}

#[test]
fn a_group_is_what_the_stack_says_of_it_and_what_others_change_is_mended() {
    let groups = Rehearsal::edited(POLICIES, &[("warmup: 60s", "warmup: 1s")]).up();
    assert_eq!(groups.cloudscale(&["up", "-v"]).ok().calls().1, 0, "a second up makes no write call");
    as_wanted(&look(&groups));

    meddle(&groups);
    let found = differences(&groups);
    let expected = [
        ("cluster.jobs.alarm.idle", "update", vec!["acts"]),
        ("cluster.jobs.policy.backlog", "create", vec![]),
        ("cluster.jobs.policy.busy", "update", vec!["min_change"]),
        ("cluster.jobs.scaling_group", "update", vec!["cooldown_s", "protect_from_scale_in"]),
        ("cluster.web.scaling_group", "update", vec!["suspended", "mix.on_demand_base"]),
        ("cluster.web.schedule.morning", "update", vec!["time_zone"]),
    ];
    let seen: Vec<_> =
        found.iter().map(|(address, what, _)| (address.as_str(), what.split(':').next().unwrap())).collect();
    assert_eq!(seen, expected.iter().map(|(address, action, _)| (*address, *action)).collect::<Vec<_>>());
    for ((address, what, paths), (_, action, expected)) in found.iter().zip(&expected) {
        let is_expected = *action == "create"
            || paths.iter().map(String::as_str).collect::<BTreeSet<_>>() == expected.iter().copied().collect();
        assert!(is_expected, "{address}: {what}: {paths:?}");
    }
    let drifted = found.iter().find(|(address, ..)| address == "cluster.web.scaling_group").expect("the group");
    assert_eq!(drifted.1, "update: drift: changed outside cloudscale");
    groups.cloudscale(&["up"]).ok();
    assert_eq!(differences(&groups), []);
    as_wanted(&look(&groups));

    groups.cloudscale(&["down"]).ok();
    assert_eq!(groups.audit(), json!({}), "nothing is left");
}

fn as_wanted(seen: &Value) {
    let (web, jobs) = (&seen["groups"]["web"], &seen["groups"]["jobs"]);
    assert_eq!(web["types"], json!(["t3.large", "t3a.large", "t2.large"]));
    assert_eq!(web["distribution"]["OnDemandBaseCapacity"], 1);
    assert_eq!(web["distribution"]["SpotMaxPrice"], "0.09");
    assert_eq!(web["bought"], json!(["t3.large on demand", "t3.large on demand", "t3.large spot"]));
    assert_eq!(web["termination"], json!(["AllocationStrategy", "OldestInstance"]));
    assert_eq!(web["suspended"], json!(["AZRebalance"]));
    assert_eq!((&jobs["cooldown"], &jobs["protected"]), (&json!(120), &json!([true])));
    assert_eq!(jobs["bought"], json!(["t3.large on demand"]));

    let policies = &seen["policies"];
    let tracking = &policies["target-tracking-requests-per-target"];
    assert_eq!(tracking["TargetTrackingConfiguration"]["DisableScaleIn"], true);
    assert_eq!(tracking["EstimatedInstanceWarmup"], 30);
    let custom = &policies["backlog"]["TargetTrackingConfiguration"]["CustomizedMetricSpecification"];
    assert_eq!(custom["Dimensions"], json!([{"Name": "Queue", "Value": "orders"}]));
    let busy = &policies["busy"];
    assert_eq!(
        (&busy["AdjustmentType"], &busy["MinAdjustmentMagnitude"]),
        (&json!("PercentChangeInCapacity"), &json!(1))
    );
    let idle = &policies["idle"];
    assert_eq!(
        (&idle["PolicyType"], &idle["ScalingAdjustment"], &idle["Cooldown"]),
        (&json!("SimpleScaling"), &json!(-1), &json!(300))
    );
    assert_eq!(seen["alarms"]["idle"]["AlarmActions"], json!([idle["PolicyARN"]]));
    assert_eq!(seen["alarms"]["busy"]["ComparisonOperator"], "GreaterThanOrEqualToThreshold");
    assert_eq!(seen["actions"]["morning"]["TimeZone"], "America/Toronto");
    assert_eq!(seen["actions"]["sale"]["StartTime"], "2030-11-29 05:00:00+00:00");
}

/// Changes a part of everything with awscli.
fn meddle(groups: &Rehearsal) {
    let (web, jobs) = (group_name("web"), group_name("jobs"));
    let aws = |service: &str, operation: &str, rest: &[&str]| {
        groups.aws(&[&[service, operation], rest].concat()).ok();
    };
    let of_web = ["--auto-scaling-group-name", &web];
    let of_jobs = ["--auto-scaling-group-name", &jobs];
    aws("autoscaling", "resume-processes", &of_web);
    aws("autoscaling", "suspend-processes", &[&of_web[..], &["--scaling-processes", "HealthCheck"]].concat());
    let base = r#"{"InstancesDistribution": {"OnDemandBaseCapacity": 2}}"#;
    aws("autoscaling", "update-auto-scaling-group", &[&of_web[..], &["--mixed-instances-policy", base]].concat());
    let settings = ["--default-cooldown", "60", "--no-new-instances-protected-from-scale-in"];
    aws("autoscaling", "update-auto-scaling-group", &[&of_jobs[..], &settings].concat());
    let backlog = format!("{jobs}--backlog");
    aws("autoscaling", "delete-policy", &[&of_jobs[..], &["--policy-name", &backlog]].concat());
    let busy = format!("{jobs}--busy");
    let percent = ["--policy-type", "StepScaling", "--adjustment-type", "PercentChangeInCapacity"];
    let steps = [
        "--policy-name",
        &busy,
        "--step-adjustments",
        "MetricIntervalLowerBound=0,MetricIntervalUpperBound=15,ScalingAdjustment=25",
        "MetricIntervalLowerBound=15,ScalingAdjustment=100",
    ];
    aws("autoscaling", "put-scaling-policy", &[&of_jobs[..], &percent, &steps].concat());
    let morning = format!("{web}--morning");
    let berlin = ["--scheduled-action-name", &morning, "--recurrence", "0 8 * * MON-FRI", "--min-size", "4"];
    let zone = ["--time-zone", "Europe/Berlin"];
    aws("autoscaling", "put-scheduled-update-group-action", &[&of_web[..], &berlin, &zone].concat());
    aws("cloudwatch", "disable-alarm-actions", &["--alarm-names", &format!("{jobs}--idle")]);
}

/// One edit of every field of the groups; each line is there once.
const EDITS: &[(&str, &str)] = &[
    ("types: [t3.large, t3a.large, t2.large]", "types: [t3.large, t3a.large]"),
    ("on_demand_percent: 50", "on_demand_percent: 0"),
    ("max_price: 0.09", "spot_pools: 1"),
    ("spot_strategy: price-capacity-optimized", "spot_strategy: lowest-price"),
    ("{metric: cpu, target: 50}", "{metric: cpu, target: 60, warmup: 2m}"),
    ("scale_in: false, warmup: 30s", "scale_in: true"),
    ("time_zone: America/Toronto, min: 4", "time_zone: Europe/Berlin, desired: 4"),
    ("min: 6, max: 12", "min: 5"),
    ("[AllocationStrategy, OldestInstance]", "[OldestInstance, Default]"),
    ("suspend: [AZRebalance]", "suspend: [ReplaceUnhealthy, HealthCheck]"),
    ("cooldown: 120s", "cooldown: 90s"),
    ("target: 20", "target: 25"),
    ("{from: 0, to: 15, percent: 25}, {from: 15, percent: 100}", "{from: 0, set: 6}"),
    ("min_change: 1", "aggregation: Maximum"),
    ("evaluations: 5, add: -1, cooldown: 5m", "evaluations: 3, percent: -50, min_change: 1"),
    ("protect_from_scale_in: true", "warm_pool: {prepared: 1}\n      health_check_type: EC2"),
];

#[test]
fn every_field_of_a_group_changes_in_place() {
    let groups = Rehearsal::edited(POLICIES, &[("warmup: 60s", "warmup: 1s")]).up();
    let ids = |cluster: &str| groups.instances(cluster).into_iter().map(|(id, _)| id).collect::<BTreeSet<_>>();
    let before = [ids("web"), ids("jobs")];
    let mut text = std::fs::read_to_string(&groups.stack).expect("the stack");
    for (from, to) in EDITS {
        assert!(text.contains(from), "no {from:?}");
        text = text.replace(from, to);
    }
    groups.file("stack.yaml", &text);
    let found = differences(&groups);
    assert!(
        found
            .iter()
            .all(|(_, what, _)| what == "update: changed in the stack" || what == "update: differs from the stack"),
        "{found:?}"
    );
    let changed: BTreeSet<&str> = found.iter().map(|(address, ..)| address.as_str()).collect();
    assert_eq!(changed.len(), 10, "2 groups, 5 policies, 1 alarm, 2 scheduled actions: {changed:?}");
    groups.cloudscale(&["up"]).ok();
    assert_eq!(differences(&groups), []);
    assert_eq!([ids("web"), ids("jobs")], before, "no instance was replaced");

    let one_type = text.replace("mix:\n", "rollout:\n");
    let start = one_type.find("        types:").expect("the mix");
    let end = one_type.find("      warmup: 1s").expect("after the mix");
    let one_type = format!("{}        min_healthy: 50\n{}", &one_type[..start], &one_type[end..]);
    groups.file("stack.yaml", &one_type.replacen("  web:\n", "  web:\n    instance_type: t3.large\n", 1));
    let found = differences(&groups);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].2.iter().all(|path| path.starts_with("mix.")), "{found:?}");
    groups.cloudscale(&["up"]).ok();
    assert_eq!(differences(&groups), []);
    assert_eq!(ids("web"), before[0], "what runs stays");
}

#[test]
fn what_moto_tells_of_a_group_is_what_was_asked_for() {
    let moto = Moto::start();
    let at = |arguments: &[&str]| moto.cloudscale(&[&["--provider", "aws"], arguments, &[POLICIES]].concat());
    let up = ["up", "--yes", "--wait", "targets", "--timeout", "2m", "-v"];
    at(&up).ok();
    assert_eq!(at(&up).ok().calls().1, 0, "a second up makes no write call");
    at(&["diff", "--exit-code"]).ok();
    assert!(at(&["down", "--yes"]).ok().stdout.contains("nothing left"));
}
