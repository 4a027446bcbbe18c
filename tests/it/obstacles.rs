//! What stands in the way and can be read is told before anything is changed; what blocks a `down` half-way is named at once.

use serde_json::{Value, json};

use super::rehearsal::Rehearsal;
use super::visitor::Visitor;

const WORKLOAD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/userdata/workload.sh");

/// A stack of one cluster of fixed instances for each name, behind `/name`.
fn text(clusters: &[&str]) -> String {
    let health = "health_check: {path: /health, interval: 5s, timeout: 2s, healthy: 2, unhealthy: 2}";
    let cluster = |name: &&str| {
        format!(
            "  {name}: {{instance_type: t2.large, user_data: {WORKLOAD}, port: 8080, routes: [/{name}], instances: 2, {health}}}\n"
        )
    };
    let clusters: String = clusters.iter().map(cluster).collect();
    format!("name: obstacles\nvariables: {{delay_ms: 0}}\nclusters:\n{clusters}")
}

fn rehearsal(clusters: &[&str]) -> Rehearsal {
    let mut stack = Rehearsal::of("");
    stack.stack = stack.file("stack.yaml", &text(clusters));
    stack
}

/// What awscli answers, by a JMESPath query.
fn asked(stack: &Rehearsal, arguments: &[&str], query: &str) -> Value {
    stack.aws(&[arguments, &["--query", query]].concat()).ok().json()
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("text: {value}")).to_owned()
}

/// Without the breaks of its lines.
fn bare(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace() && *character != '|').collect()
}

/// The command ends with 1, says all of `told`, and has written nothing.
fn refused(stack: &Rehearsal, command: &[&str], told: &[&str]) {
    let before = (stack.audit(), stack.status());
    let answer = stack.cloudscale(command);
    assert_eq!(answer.code, Some(1), "{command:?}: {}", answer.stderr);
    for told in told {
        assert!(bare(&answer.stderr).contains(&bare(told)), "{told}: {}", answer.stderr);
    }
    assert_eq!((stack.audit(), stack.status()), before, "{command:?}");
}

fn listener(stack: &Rehearsal) -> String {
    let balancer = text_of(&asked(stack, &["elbv2", "describe-load-balancers"], "LoadBalancers[0].LoadBalancerArn"));
    let listeners = ["elbv2", "describe-listeners", "--load-balancer-arn", &balancer];
    text_of(&asked(stack, &listeners, "Listeners[0].ListenerArn"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_rule_on_a_desired_priority_stops_the_plan_and_the_old_route_stays() {
    let stack = rehearsal(&["old"]).up();
    let rule = stack.aws(&[
        "elbv2",
        "create-rule",
        "--listener-arn",
        &listener(&stack),
        "--priority",
        "20",
        "--conditions",
        "Field=path-pattern,Values=/theirs",
        "--actions",
        "Type=fixed-response,FixedResponseConfig={StatusCode=410}",
    ]);
    let rule = text_of(&rule.ok().json()["Rules"][0]["RuleArn"]);
    // The old cluster goes, and one of the two new ones is to have the priority of the foreign rule.
    stack.file("stack.yaml", &text(&["new", "newer"]));
    let told = ["Conflicting listener rule", "cluster.newer.rule needs priority 20", &rule];
    refused(&stack, &["diff"], &told);
    refused(&stack, &["up", "--yes"], &told);
    assert_eq!(Visitor::at(&stack.url()).await.get("/old").await.status, 200);
    stack.aws(&["elbv2", "delete-rule", "--rule-arn", &rule]).ok();
    stack.cloudscale(&["up", "--yes"]).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_protected_against_its_end_is_told_before_anything_goes() {
    let stack = rehearsal(&["app"]).up();
    let balancer = text_of(&asked(&stack, &["elbv2", "describe-load-balancers"], "LoadBalancers[0].LoadBalancerArn"));
    let protect_balancer = |on: &str| {
        let attribute = format!("Key=deletion_protection.enabled,Value={on}");
        let call = ["elbv2", "modify-load-balancer-attributes", "--load-balancer-arn", &balancer, "--attributes"];
        stack.aws(&[&call[..], &[&attribute]].concat()).ok();
    };
    let instances: Vec<String> = stack.instances("app").into_iter().map(|(id, _)| id).collect();
    let protect = |option: &str| {
        for id in &instances {
            stack.aws(&["ec2", "modify-instance-attribute", option, "--instance-id", id]).ok();
        }
    };
    protect_balancer("true");
    protect("--disable-api-termination");
    // Both at once, and nothing was touched.
    let told =
        ["The load balancer is protected", "cs-obstacles", "Instances are protected", &instances[0], &instances[1]];
    refused(&stack, &["down", "--yes"], &told);
    // A load balancer that stays may be protected; instances that are to be replaced may not.
    stack.file("stack.yaml", &text(&["app"]).replace("t2.large", "t3.large"));
    refused(
        &stack,
        &["up", "--yes"],
        &["Instances are protected", "cluster.app.instances", "no-disable-api-termination"],
    );
    protect("--no-disable-api-termination");
    stack.cloudscale(&["up", "--yes"]).ok();
    refused(&stack, &["down", "--yes"], &["The load balancer is protected"]);
    protect_balancer("false");
    stack.cloudscale(&["down", "--yes"]).ok();
    assert_eq!(stack.audit(), json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_taken_are_told_together_before_anything_is_made() {
    let stack = rehearsal(&["app"]);
    assert!(stack.region.run(&["local", "start"]).status.success());
    let data = r#"{"ImageId": "ami-0a1b2c3d4e5f60001", "InstanceType": "t2.nano"}"#;
    let name = "cs-obstacles--app";
    stack.aws(&["ec2", "create-launch-template", "--launch-template-name", name, "--launch-template-data", data]).ok();
    let group = "cs-obstacles--instances";
    stack.aws(&["ec2", "create-security-group", "--group-name", group, "--description", "theirs"]).ok();
    let before = stack.audit();
    for command in [&["diff"][..], &["up", "--yes"]] {
        let answer = stack.cloudscale(command);
        assert_eq!(answer.code, Some(1), "{}", answer.stderr);
        for told in [format!("the launch template {name} exists"), format!("the security group {group} exists")] {
            assert!(bare(&answer.stderr).contains(&bare(&told)), "{told}: {}", answer.stderr);
        }
        assert_eq!(stack.audit(), before);
    }
}

/// Somebody else's security group has a rule for ours, and somebody else's instance wears it.
#[tokio::test(flavor = "multi_thread")]
async fn a_down_that_is_blocked_names_a_foreign_rule_and_a_foreign_instance_at_once() {
    let stack = rehearsal(&["app"]).up();
    let groups = ["ec2", "describe-security-groups", "--filters", "Name=group-name,Values=cs-obstacles--instances"];
    let ours = text_of(&asked(&stack, &groups, "SecurityGroups[0].GroupId"));
    let theirs = stack.aws(&["ec2", "create-security-group", "--group-name", "theirs", "--description", "theirs"]);
    let theirs = text_of(&theirs.ok().json()["GroupId"]);
    let open = ["--group-id", &theirs, "--protocol", "tcp", "--port", "5432", "--source-group", &ours];
    stack.aws(&[&["ec2", "authorize-security-group-ingress"][..], &open].concat()).ok();
    let image = ["ec2", "run-instances", "--image-id", "ami-0a1b2c3d4e5f60001", "--instance-type", "t3.micro"];
    let guest = stack.aws(&[&image[..], &["--security-group-ids", &ours]].concat()).ok().json();
    let guest = text_of(&guest["Instances"][0]["InstanceId"]);

    let blocked = stack.cloudscale(&["down", "--yes", "--timeout", "3s"]);
    assert_eq!(blocked.code, Some(1), "{}", blocked.stderr);
    // Not the lines of the problem, which are broken.
    let waits = blocked.stderr.lines().filter(|line| !line.trim_start().starts_with('|'));
    let waits: Vec<&str> = waits.filter(|line| line.contains("is still used by")).collect();
    assert!(!waits.is_empty(), "{}", blocked.stderr);
    for wait in &waits {
        assert!(wait.contains(&format!("({guest})")) && wait.contains(&format!("a rule of {theirs}")), "{wait}");
    }
    stack.aws(&["ec2", "terminate-instances", "--instance-ids", &guest]).ok();
    let blocked = stack.cloudscale(&["down", "--yes", "--timeout", "3s"]);
    let left = format!("is still used by a rule of {theirs}");
    assert!(bare(&blocked.stderr).contains(&bare(&left)), "{}", blocked.stderr);
    stack.aws(&["ec2", "delete-security-group", "--group-id", &theirs]).ok();
    stack.cloudscale(&["down", "--yes"]).ok();
    assert_eq!(stack.audit(), json!({}));
}
