//! What keeps a stack from costing: `stop` and `start`, a budget, and a deadline that AWS keeps.

use serde_json::json;

use super::moto::Moto;
use super::rehearsal::{GROUPS, LAB, Rehearsal};

const SMALL: &[(&str, &str)] = &[("instances: 4", "instances: 1"), ("instances: 5", "instances: 1")];

#[test]
fn a_fleet_is_stopped_and_comes_back_with_the_same_instances() {
    let lab = Rehearsal::edited(LAB, SMALL).up();
    let before = [lab.instances("light"), lab.instances("heavy")];
    let stopped = lab.cloudscale(&["stop"]).ok().stdout;
    assert!(stopped.contains("stopped ($0.2153 → $0.0225 an hour on AWS)"), "{stopped}");
    let status = lab.status();
    assert_eq!(
        (&status["stopped"], &status["clusters"][0]["instances"][0]["state"]),
        (&json!(true), &json!("stopped"))
    );
    for command in ["diff", "up"] {
        let refused = lab.cloudscale(&[command]);
        assert_eq!(refused.code, Some(1), "{command}");
        assert!(refused.stderr.contains("The stack is stopped"), "{}", refused.stderr);
        assert!(refused.stderr.contains("cloudscale start"), "{}", refused.stderr);
    }
    lab.cloudscale(&["start"]).ok();
    assert_eq!([lab.instances("light"), lab.instances("heavy")], before, "the same, and healthy");
    assert_eq!(lab.status()["stopped"], false);
    lab.cloudscale(&["diff", "--exit-code"]).ok();
    lab.cloudscale(&["stop"]).ok();
    lab.cloudscale(&["down"]).ok();
    assert_eq!(lab.audit(), json!({}));
}

#[test]
fn a_group_comes_back_with_the_capacity_that_it_had() {
    let groups = Rehearsal::edited(GROUPS, &[("warmup: 60s", "warmup: 1s")]).up();
    groups.cloudscale(&["scale", "heavy", "4"]).ok();
    // Run twice, as after a crash: the second must not remember zero.
    groups.cloudscale(&["stop"]).ok();
    groups.cloudscale(&["stop"]).ok();
    assert_eq!(groups.audit().get("instances"), None);
    groups.cloudscale(&["start"]).ok();
    let status = groups.status();
    let sizes = |index: usize| ["min", "max", "desired"].map(|name| status["clusters"][index][name].clone());
    assert_eq!((sizes(0), sizes(1)), ([json!(2), json!(6), json!(2)], [json!(2), json!(5), json!(4)]));
    groups.cloudscale(&["diff", "--exit-code"]).ok();
}

#[test]
fn a_stack_over_the_budget_is_refused_before_anything_is_called() {
    let lab = Rehearsal::of(LAB);
    let refused = lab.cloudscale_at("http://127.0.0.1:9", &["up", "--yes", "--max-hourly", "0.89"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("Over the budget") && refused.stderr.contains("$0.8937"), "{}", refused.stderr);
    let unknown = Rehearsal::edited(LAB, &[("m4.large", "x9.mega")]);
    let refused = unknown.cloudscale_at("http://127.0.0.1:9", &["up", "--yes", "--max-hourly", "9"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("x9.mega"), "{}", refused.stderr);
}

#[test]
fn an_expiry_is_kept_by_aws_as_far_as_aws_can_and_told_by_status_and_ls() {
    let moto = Moto::start();
    let at_moto = |arguments: &[&str]| moto.cloudscale(&[&["--provider", "aws"], arguments].concat());
    at_moto(&["up", "--yes", "--wait", "targets", GROUPS]).ok();
    let later = at_moto(&["down", "--yes", "--after", "2h", GROUPS]).ok();
    assert!(later.stderr.contains("takes 2 groups to zero"), "{}", later.stderr);
    let query = "ScheduledUpdateGroupActions[].[MinSize,MaxSize,DesiredCapacity]";
    let actions = moto.aws(&["autoscaling", "describe-scheduled-actions", "--query", query]).ok().json();
    assert_eq!(actions, json!([[0, 0, 0], [0, 0, 0]]));
    at_moto(&["diff", "--exit-code", GROUPS]).ok();
    let told = at_moto(&["status", "--json", GROUPS]).ok().json()["down_after"].clone();
    assert!(told.as_str().is_some_and(|time| time.ends_with('Z')), "{told}");
    assert_eq!(at_moto(&["ls", "--json"]).ok().json()[0]["down_after"], told);
    assert!(at_moto(&["status", GROUPS]).ok().stdout.contains("expires at"));
    // A group that comes later is under the same deadline.
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let text = std::fs::read_to_string(GROUPS).expect("the shipped stack").replace("../", root);
    let third = "clusters:\n  third: {instance_type: t3.micro, routes: [/third], autoscaling: {max: 1}}\n";
    let wider = moto.folder().join("wider.yaml");
    std::fs::write(&wider, text.replacen("clusters:\n", third, 1)).expect("the folder takes files");
    let wider = wider.to_str().expect("UTF-8");
    at_moto(&["up", "--yes", "--wait", "none", wider]).ok();
    let actions = moto.aws(&["autoscaling", "describe-scheduled-actions", "--query", query]).ok().json();
    assert_eq!(actions, json!([[0, 0, 0], [0, 0, 0], [0, 0, 0]]));
    at_moto(&["diff", "--exit-code", wider]).ok();
    assert_eq!(at_moto(&["status", "--json", wider]).ok().json()["down_after"], told);
    at_moto(&["down", "--yes", wider]).ok();
    assert_eq!(at_moto(&["ls", "--json"]).ok().stdout.trim(), "[]");
}
