//! What happens to a stack that is up, through the API alone, while requests come in at a rate: no request is lost to what is
//! announced, and to a death only until a health check has seen it.
//!
//! `CLOUDSCALE_RULE_CHANGES=6000 cargo test --test it events::rules` changes rules so often while it counts; a tenth of that
//! without it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{Action, ActionTypeEnum, RulePriorityPair, TargetDescription};
use cloudscale::aws::clients::Clients;
use cloudscale::clock;

use super::local_region::eventually;
use super::rehearsal::Rehearsal;
use super::visitor::{Traffic, Visitor};

const WORKLOAD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/userdata/workload.sh");
/// Requests after which a lost one would have shown.
const ROUNDS: u64 = 100;
/// Bounded, as the other tests want their time, too.
const RULE_CHANGES: usize = 600;
/// In place of that.
const RULE_CHANGES_VARIABLE: &str = "CLOUDSCALE_RULE_CHANGES";
/// A machine that is busy with other tests must not make a target unhealthy: when all are, the group fails open, as on AWS,
/// and requests go to instances that are not up yet. So it takes ten failures in a row.
const PATIENT: &str = "health_check: {path: /health, interval: 5s, timeout: 4s, healthy: 2, unhealthy: 10}";
/// Where a death is to be noticed.
const PROMPT: &str = "health_check: {path: /health, interval: 5s, timeout: 2s, healthy: 2, unhealthy: 2}";

fn up() -> Rehearsal {
    up_with(PATIENT)
}

fn up_with(health: &str) -> Rehearsal {
    let mut stack = Rehearsal::of("");
    let cluster = |name: &str, size: &str| {
        format!(
            "  {name}: {{instance_type: t2.large, user_data: {WORKLOAD}, port: 8080, routes: [/{name}], {health}, {size}}}\n"
        )
    };
    let group = "autoscaling: {min: 2, max: 4, desired: 2, warmup: 0s, health_grace: 5s}";
    let text = format!(
        "name: events\nvariables: {{delay_ms: 0}}\nclusters:\n{}{}",
        cluster("fleet", "instances: 3"),
        cluster("group", group)
    );
    stack.stack = stack.file("stack.yaml", &text);
    stack.up()
}

async fn loads(stack: &Rehearsal) -> [Traffic; 2] {
    let url = stack.url();
    [Traffic::on(&url, "/fleet").await, Traffic::on(&url, "/group").await]
}

async fn lost(loads: &[Traffic; 2]) -> u64 {
    loads[0].lost_after(ROUNDS).await + loads[1].lost_after(ROUNDS).await
}

fn target_group(stack: &Rehearsal, cluster: &str) -> String {
    let status = stack.status();
    let clusters = status["clusters"].as_array().expect("clusters");
    let found = clusters.iter().find(|found| found["name"] == cluster).expect("the cluster");
    found["target_group"]["arn"].as_str().expect("a target group").to_owned()
}

async fn until_healthy(stack: &Rehearsal, cluster: &str, count: usize) {
    stack
        .until_targets(cluster, "healthy targets", |targets| {
            let healthy = targets.iter().filter(|(_, state)| state == "healthy").count();
            (healthy == count && targets.len() == count).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deregistered_and_terminated_instances_lose_no_request() {
    let stack = up();
    let Clients { ec2, elb, .. } = &stack.region.clients();
    let loads = loads(&stack).await;
    let group = target_group(&stack, "fleet");
    let ids: Vec<String> = stack.instances("fleet").into_iter().map(|(id, _)| id).collect();
    let target = TargetDescription::builder().id(&ids[0]).port(8080).build();
    for _ in 0..3 {
        elb.deregister_targets().target_group_arn(&group).targets(target.clone()).send().await.unwrap();
        until_healthy(&stack, "fleet", 2).await;
        elb.register_targets().target_group_arn(&group).targets(target.clone()).send().await.unwrap();
        until_healthy(&stack, "fleet", 3).await;
    }
    assert_eq!(lost(&loads).await, 0, "deregistered");
    ec2.terminate_instances().instance_ids(&ids[0]).send().await.unwrap();
    until_healthy(&stack, "fleet", 2).await;
    assert_eq!(lost(&loads).await, 0, "terminated");
    stack.cloudscale(&["up"]).ok();
    assert_eq!(lost(&loads).await, 0, "healed");
}

/// Says that a request came, and answers when it may; at SIGTERM it ends at once.
const HOLDING: &str = r#"#!/bin/bash
cat >serve.py <<'PYTHON'
import http.server, os, pathlib, time, urllib.request
service = os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"]
def ask(path, headers, method):
    return urllib.request.urlopen(urllib.request.Request(service + path, headers=headers, method=method)).read().decode()
token = ask("/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "300"}, "PUT")
address = ask("/latest/meta-data/local-ipv4", {"X-aws-ec2-metadata-token": token}, "GET")
folder = pathlib.Path("FOLDER")
class Holding(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/held":
            (folder / "came").touch()
            while not (folder / "may-go").exists():
                time.sleep(0.02)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer((address, 8080), Holding).serve_forever()
PYTHON
exec python3 serve.py
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_terminated_answers_what_is_in_flight_first() {
    let mut stack = Rehearsal::of("");
    let folder = stack.folder().to_owned();
    stack.file("holding.sh", &HOLDING.replace("FOLDER", &folder.display().to_string()));
    let cluster =
        format!("one: {{instances: 1, user_data: holding.sh, port: 8080, routes: [/held, /held/*], {PATIENT}}}");
    stack.stack = stack.file("stack.yaml", &format!("name: events\nclusters:\n  {cluster}\n"));
    // It would ask on the route whether somebody answers.
    stack.cloudscale(&["up", "--wait", "targets"]).ok();
    let ids: Vec<String> = stack.instances("one").into_iter().map(|(id, _)| id).collect();
    let mut visitor = Visitor::at(&stack.url()).await;
    let answer = tokio::spawn(async move { visitor.get("/held").await.status });
    eventually("the request at the instance", || async { folder.join("came").exists().then_some(()) }).await;
    stack.region.clients().ec2.terminate_instances().set_instance_ids(Some(ids)).send().await.unwrap();
    let url = stack.url();
    eventually("a load balancer that knows of no target", || async {
        (Visitor::at(&url).await.get("/held/next").await.status == 503).then_some(())
    })
    .await;
    stack.file("may-go", "");
    assert_eq!(answer.await.unwrap(), 200);
    stack
        .until_targets("one", "no target in use", |targets| {
            targets.iter().all(|(_, state)| state == "unused").then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_shrinks_and_is_refreshed_loses_no_request() {
    let stack = up();
    let Clients { autoscaling, .. } = &stack.region.clients();
    let name = stack.status()["clusters"][1]["group"]["name"]
        .as_str()
        .map_or_else(|| "cs-events--group".to_owned(), str::to_owned);
    let loads = loads(&stack).await;
    for _ in 0..2 {
        for size in [4, 2] {
            autoscaling
                .set_desired_capacity()
                .auto_scaling_group_name(&name)
                .desired_capacity(size)
                .send()
                .await
                .unwrap();
            until_healthy(&stack, "group", usize::try_from(size).unwrap()).await;
        }
    }
    assert_eq!(lost(&loads).await, 0, "out and in");
    let refresh = autoscaling.start_instance_refresh().auto_scaling_group_name(&name).send().await.unwrap();
    let id = refresh.instance_refresh_id().unwrap().to_owned();
    eventually("the refresh", || async {
        let call = autoscaling.describe_instance_refreshes().auto_scaling_group_name(&name).instance_refresh_ids(&id);
        let answer = call.send().await.unwrap();
        let status = answer.instance_refreshes()[0].status().unwrap().as_str().to_owned();
        assert!(["Pending", "InProgress", "Baking", "Successful"].contains(&status.as_str()), "{status}");
        (status == "Successful").then_some(())
    })
    .await;
    assert_eq!(lost(&loads).await, 0, "refreshed");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_change_all_the_time_lose_no_request() {
    let stack = up();
    let Clients { elb, .. } = &stack.region.clients();
    let loads = loads(&stack).await;
    let balancer = elb.describe_load_balancers().send().await.unwrap().load_balancers()[0].clone();
    let listeners =
        elb.describe_listeners().load_balancer_arn(balancer.load_balancer_arn().unwrap()).send().await.unwrap();
    let listener = listeners.listeners()[0].listener_arn().unwrap().to_owned();
    let rules = elb.describe_rules().listener_arn(&listener).send().await.unwrap();
    let rules: Vec<_> = rules.rules().iter().filter(|rule| rule.is_default() == Some(false)).cloned().collect();
    assert_eq!(rules.len(), 2);
    let arns: Vec<&str> = rules.iter().map(|rule| rule.rule_arn().unwrap()).collect();
    let changes = std::env::var(RULE_CHANGES_VARIABLE).map_or(RULE_CHANGES, |text| text.parse().expect("a number"));
    for round in 0..changes / 3 {
        // The two change places, one is written again as it is, and one that nobody asks for comes and goes.
        let places = if round % 2 == 0 { [1001, 1000] } else { [1000, 1001] };
        let pairs = arns
            .iter()
            .zip(places)
            .map(|(arn, place)| RulePriorityPair::builder().rule_arn(*arn).priority(place).build());
        elb.set_rule_priorities().set_rule_priorities(Some(pairs.collect())).send().await.unwrap();
        let rule = &rules[round % 2];
        let call = elb.modify_rule().rule_arn(rule.rule_arn().unwrap());
        call.set_actions(Some(rule.actions().to_vec())).send().await.unwrap();
        let condition = aws_sdk_elasticloadbalancingv2::types::RuleCondition::builder();
        let condition = condition.field("path-pattern").values(format!("/nobody/{round}")).build();
        let fixed =
            aws_sdk_elasticloadbalancingv2::types::FixedResponseActionConfig::builder().status_code("410").build();
        let action = Action::builder().r#type(ActionTypeEnum::FixedResponse).fixed_response_config(fixed).build();
        let call = elb.create_rule().listener_arn(&listener).priority(1 + i32::try_from(round).unwrap() % 900);
        let made = call.conditions(condition).actions(action).send().await.unwrap();
        elb.delete_rule().rule_arn(made.rules()[0].rule_arn().unwrap()).send().await.unwrap();
    }
    let asked = loads.iter().map(Traffic::answered).sum::<u64>();
    println!("{changes} changes, {asked} requests");
    assert_eq!(lost(&loads).await, 0);
}

/// Statuses by second are what a visitor sees while the application of an instance is dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_death_costs_502_only_and_only_until_a_health_check_has_seen_it() {
    let stack = up_with(PROMPT);
    let over = Arc::new(AtomicBool::new(false));
    let (url, ended) = (stack.url(), Arc::clone(&over));
    let load = tokio::spawn(async move {
        let mut visitor = Visitor::at(&url).await;
        let mut seen = BTreeMap::new();
        while !ended.load(Ordering::Relaxed) {
            *seen.entry(visitor.get("/fleet").await.status).or_insert(0_u64) += 1;
            clock::sleep(Duration::from_millis(5)).await;
        }
        seen
    });
    let victim = stack.instances("fleet")[0].0.clone();
    stack.kill_application(&victim);
    let is_seen = |targets: &[(String, String)]| {
        targets.iter().any(|(id, state)| *id == victim && state == "unhealthy").then_some(())
    };
    stack.until_targets("fleet", "an unhealthy target", is_seen).await;
    over.store(true, Ordering::Relaxed);
    let seen = load.await.unwrap();
    assert!(seen.keys().all(|status| [200, 502].contains(status)), "{seen:?}");
    assert!(seen.contains_key(&502), "it was asked while it was dead: {seen:?}");
    // From here on nobody asks it.
    let after = Traffic::on(&stack.url(), "/fleet").await;
    assert_eq!(after.lost_after(3 * ROUNDS).await, 0);
}
