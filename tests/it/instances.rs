//! Fixed instances without a load balancer: up, healed, replaced in rounds, stopped, down; also where an endpoint has neither
//! Elastic Load Balancing nor Auto Scaling.

use serde_json::json;

use super::moto::{Moto, cloudscale};
use super::rehearsal::Rehearsal;
use super::tap::Tap;

const INSTANCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stacks/instances.yaml");
const GROUPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stacks/scaling-group.yaml");
const FIXED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stacks/two-clusters.yaml");

const QUICK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benchmarks/quick.yaml");

/// (cluster, healthy, desired)
fn healths(stack: &Rehearsal) -> Vec<(String, usize, u64)> {
    let status = stack.status();
    let clusters = status["clusters"].as_array().expect("clusters").iter();
    let row = |cluster: &serde_json::Value| {
        let instances = cluster["instances"].as_array().expect("instances").iter();
        let healthy = instances.filter(|instance| instance["health"] == "healthy").count();
        (cluster["name"].as_str().expect("a name").to_owned(), healthy, cluster["desired"].as_u64().expect("a number"))
    };
    clusters.map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_come_heal_are_replaced_rest_and_go() {
    let stack = Rehearsal::edited(INSTANCES, &[]).up();
    assert_eq!(healths(&stack), [("workers".to_owned(), 2, 2), ("spare".to_owned(), 1, 1)]);
    assert_eq!((&stack.status()["url"], &stack.status()["load_balancer"]), (&json!(null), &json!(null)));
    stack.cloudscale(&["diff", "--exit-code"]).ok();

    let victim = stack.status()["clusters"][0]["instances"][0]["id"].as_str().expect("an id").to_owned();
    stack.aws(&["ec2", "terminate-instances", "--instance-ids", &victim]).ok();
    assert_eq!(stack.change("cluster.workers.instances").expect("a change")["reason"], "1 to launch");
    stack.cloudscale(&["up"]).ok();
    assert_eq!(healths(&stack)[0], ("workers".to_owned(), 2, 2));

    let before = stack.status()["clusters"][0]["instances"].clone();
    let file = std::fs::read_to_string(&stack.stack).expect("the stack");
    stack.file("stack.yaml", &file.replace("delay_ms: 0", "delay_ms: 1"));
    stack.cloudscale(&["up"]).ok();
    let after = stack.status()["clusters"][0]["instances"].clone();
    let ids = |list: &serde_json::Value| {
        list.as_array().expect("instances").iter().map(|it| it["id"].to_string()).collect::<Vec<_>>()
    };
    assert!(ids(&after).len() == 2 && ids(&after).iter().all(|id| !ids(&before).contains(id)), "{before} {after}");

    stack.cloudscale(&["stop"]).ok();
    assert_eq!(healths(&stack)[0], ("workers".to_owned(), 0, 2));
    stack.cloudscale(&["start"]).ok();
    stack.cloudscale(&["up"]).ok();
    assert_eq!(healths(&stack)[0], ("workers".to_owned(), 2, 2));
    let refused = stack.cloudscale(&["bench", "--scenario", QUICK]);
    assert!(refused.code == Some(2) && refused.stderr.contains("There is no load balancer"), "{}", refused.stderr);
    stack.cloudscale(&["down"]).ok();
    assert_eq!(stack.audit(), json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_balancer_that_is_no_longer_wanted_goes_and_the_instances_stay() {
    let stack = Rehearsal::edited(FIXED, &[]).up();
    let before: Vec<_> = stack.instances("light").into_iter().map(|target| target.0).collect();
    let text = "name: two-clusters\nload_balancer: none\nvariables: {delay_ms: 0}\nclusters:\n  light: {instance_type: t2.large, \
                instances: 4, user_data: ROOT/userdata/workload.sh}\n";
    let text = text.replace("ROOT", env!("CARGO_MANIFEST_DIR"));
    stack.file("stack.yaml", &text);
    stack.cloudscale(&["up"]).ok();
    stack.cloudscale(&["diff", "--exit-code"]).ok();
    let status = stack.status();
    let after = status["clusters"][0]["instances"].as_array().expect("instances");
    let mut after: Vec<_> = after.iter().map(|it| it["id"].as_str().expect("an id").to_owned()).collect();
    let mut before = before;
    after.sort();
    before.sort();
    assert_eq!((status["load_balancer"].is_null(), after), (true, before));
    stack.cloudscale(&["down"]).ok();
    assert_eq!(stack.audit(), json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn down_names_the_rule_that_still_uses_a_security_group() {
    let stack = Rehearsal::of(INSTANCES).up();
    let text =
        |arguments: &[&str]| stack.aws(&[arguments, &["--output", "text"]].concat()).ok().stdout.trim().to_owned();
    let ours = text(&[
        "ec2",
        "describe-security-groups",
        "--filters",
        "Name=group-name,Values=cs-instances--instances",
        "--query",
        "SecurityGroups[0].GroupId",
    ]);
    let other =
        text(&["ec2", "create-security-group", "--group-name", "theirs", "--description", "x", "--query", "GroupId"]);
    let rule = ["--group-id", &other, "--protocol", "tcp", "--port", "22", "--source-group", &ours];
    stack.aws(&[&["ec2", "authorize-security-group-ingress"][..], &rule].concat()).ok();
    let refused = stack.cloudscale(&["down", "--timeout", "5s"]);
    let told = refused.stderr.split_whitespace().filter(|word| *word != "|").collect::<Vec<_>>().join(" ");
    assert!(refused.code == Some(1) && told.contains(&format!("a rule of {other}")), "{}", refused.stderr);
    stack.aws(&[&["ec2", "revoke-security-group-ingress"][..], &rule].concat()).ok();
    stack.cloudscale(&["down"]).ok();
    assert_eq!(stack.audit(), json!({"security groups": 1}), "theirs stays");
}

#[test]
fn services_that_an_endpoint_lacks_count_as_empty_where_the_stack_needs_nothing_of_them() {
    let moto = Moto::start();
    let tap = Tap::without(moto.endpoint, &["elasticloadbalancing", "autoscaling"]);
    let cloudscale = |arguments: &[&str]| {
        let mut command = cloudscale(&tap.endpoint, moto.folder());
        super::moto::Answer::of(command.args(["--region", moto.region, "--provider", "aws"]).args(arguments))
    };
    let up = cloudscale(&["up", "--yes", "--timeout", "1m", INSTANCES]).ok();
    for service in ["Elastic Load Balancing", "Auto Scaling"] {
        assert_eq!(up.stderr.matches(&format!("this endpoint has no {service}")).count(), 1, "{}", up.stderr);
    }
    assert!(up.stderr.contains("2 of 2 running"), "{}", up.stderr);
    cloudscale(&["diff", "--exit-code", INSTANCES]).ok();
    let refused = cloudscale(&["diff", GROUPS]);
    assert!(refused.code == Some(1) && refused.stderr.contains("not yet been emulated"), "{}", refused.stderr);
    let gone = cloudscale(&["down", "--yes", INSTANCES]).ok();
    assert!(gone.stdout.contains("nothing left"), "{}", gone.stdout);
}
