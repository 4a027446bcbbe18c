//! Every kind of change while requests come in: the gentlest action, and no request lost.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::rehearsal::Rehearsal;
use super::visitor::Traffic;

const WORKLOAD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/userdata/workload.sh");
/// Requests after which a lost one would have shown.
const ROUNDS: u64 = 50;

const STACK: &str = "
name: changes
variables: {delay_ms: 0}
tags: {course: one}
load_balancer: {port: 18080}
clusters:
  fleet:
    instance_type: t2.large
    instances: 2
    user_data: user-data.sh
    port: 8080
    routes: [/fleet]
    health_check: {path: /health, interval: 5s, timeout: 2s, healthy: 2, unhealthy: 2}
  group:
    instance_type: t2.large
    user_data: user-data.sh
    port: 8080
    routes: [/group]
    health_check: {path: /health, interval: 5s, timeout: 2s, healthy: 2, unhealthy: 2}
    autoscaling: {min: 2, max: 4, desired: 2, warmup: 0s, health_grace: 1s}
";

/// A stack whose text and user data are edited while it serves.
struct Story {
    rehearsal: Rehearsal,
    text: String,
}

impl Story {
    fn up(text: &str) -> Self {
        let mut rehearsal = Rehearsal::of("");
        let script = std::fs::read_to_string(WORKLOAD).expect("the shipped script");
        rehearsal.file("user-data.sh", &script);
        rehearsal.stack = rehearsal.file("stack.yaml", text);
        Self { rehearsal: rehearsal.up(), text: text.to_owned() }
    }

    fn edit(&mut self, edits: &[(&str, &str)]) -> PathBuf {
        for (from, to) in edits {
            assert!(self.text.contains(from), "no {from:?} in {}", self.text);
            self.text = self.text.replace(from, to);
        }
        self.rehearsal.file("stack.yaml", &self.text)
    }

    fn ids(&self, cluster: &str) -> Vec<String> {
        self.rehearsal.instances(cluster).into_iter().map(|(id, _)| id).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_user_data_is_rolled_back_while_the_old_instances_serve() {
    let story = Story::up(STACK);
    let (stack, old) = (&story.rehearsal, story.ids("group"));
    let traffic = Traffic::on(&stack.url(), "/group").await;
    let good = std::fs::read_to_string(WORKLOAD).expect("the shipped script");
    stack.file("bad.sh", "#!/bin/bash\necho the application is not installed\nexit 1\n");
    let mut story = Story { text: story.text.clone(), ..story };
    let group_only = "port: 8080\n    routes: [/group]";
    story.edit(&[(
        "user_data: user-data.sh\n    port: 8080\n    routes: [/group]",
        &format!("user_data: bad.sh\n    {group_only}"),
    )]);
    let stack = &story.rehearsal;

    let failed = stack.cloudscale(&["up"]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    for told in
        ["New instances do not become healthy", "rolled back", "RollbackSuccessful", "the application is not installed"]
    {
        assert!(failed.stderr.contains(told), "{told}: {}", failed.stderr);
    }
    assert_eq!(story.ids("group"), old);
    assert_eq!(traffic.lost_after(ROUNDS).await, 0);
    let pending = stack.change("cluster.group.scaling_group").expect("the change is pending");
    assert_eq!(pending["reason"], "launches from version 1 of its launch template, which has a newer one");

    stack.file("bad.sh", &format!("{good}# mended\n"));
    stack.cloudscale(&["up"]).ok();
    assert!(story.ids("group").iter().all(|id| !old.contains(id)));
    assert_eq!(traffic.lost_after(ROUNDS).await, 0);
    stack.cloudscale(&["diff", "--exit-code"]).ok();
}

/// Two loads, one for each cluster.
async fn loads(stack: &Rehearsal) -> [Traffic; 2] {
    let url = stack.url();
    [Traffic::on(&url, "/fleet").await, Traffic::on(&url, "/group").await]
}

async fn lost(loads: &[Traffic; 2]) -> u64 {
    loads[0].lost_after(ROUNDS).await + loads[1].lost_after(ROUNDS).await
}

/// What `up` does, as `symbol address`, but for what stays; does it, and proves that nothing is left to do.
fn applied(story: &Story) -> Vec<String> {
    let report = story.rehearsal.cloudscale(&["diff", "--json"]).ok().json();
    let rows = report["changes"].as_array().expect("changes").iter();
    let row = |change: &Value| {
        format!("{} {}", change["action"].as_str().expect("an action"), change["address"].as_str().expect("an address"))
    };
    let rows = rows.map(row).filter(|row| !row.starts_with("unchanged")).collect();
    story.rehearsal.cloudscale(&["up"]).ok();
    story.rehearsal.cloudscale(&["diff", "--exit-code"]).ok();
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_replaced_serves_before_the_old_goes_and_no_request_is_lost() {
    let shared = "routes: {both: {paths: [/both], weights: {fleet: 1, group: 1}}}\nload_balancer:";
    let mut story = Story::up(&STACK.replace("load_balancer:", shared));
    let loads = loads(&story.rehearsal).await;
    let both = Traffic::on(&story.rehearsal.url(), "/both").await;
    let old: BTreeSet<_> = [story.ids("fleet"), story.ids("group")].concat().into_iter().collect();
    story.edit(&[("t2.large", "t3.large"), ("delay_ms: 0", "delay_ms: 1")]);
    let rows = applied(&story);
    assert_eq!(
        rows,
        [
            "update cluster.fleet.instances",
            "update cluster.fleet.launch_template",
            "update cluster.fleet.target_attachment",
            "update cluster.group.launch_template",
            "update cluster.group.scaling_group",
        ]
    );
    let new: BTreeSet<_> = [story.ids("fleet"), story.ids("group")].concat().into_iter().collect();
    assert!(new.len() == 4 && new.is_disjoint(&old), "{old:?} {new:?}");
    assert_eq!(lost(&loads).await + both.lost_after(ROUNDS).await, 0);

    // Another port: other target groups, and all that stands behind them; the rules move when these are healthy.
    story.edit(&[("port: 8080", "port: 9090")]);
    let rows = applied(&story);
    for row in
        ["replace cluster.fleet.target_group", "replace cluster.group.scaling_group", "update cluster.fleet.rule"]
    {
        assert!(rows.iter().any(|found| found == row), "{row}: {rows:?}");
    }
    let newest: BTreeSet<_> = [story.ids("fleet"), story.ids("group")].concat().into_iter().collect();
    assert!(newest.len() == 4 && newest.is_disjoint(&new), "{new:?} {newest:?}");
    assert_eq!(lost(&loads).await + both.lost_after(ROUNDS).await, 0);

    // Fixed instances become a group: they go when the group's instances serve.
    story.edit(&[("instances: 2", "autoscaling: {min: 2, max: 3, warmup: 0s}")]);
    let rows = applied(&story);
    for row in ["create cluster.fleet.scaling_group", "delete cluster.fleet.instances"] {
        assert!(rows.iter().any(|found| found == row), "{row}: {rows:?}");
    }
    assert_eq!(lost(&loads).await + both.lost_after(ROUNDS).await, 0);
    drop((loads, both));
    story.rehearsal.cloudscale(&["down", "--yes"]).ok();
    assert_eq!(story.rehearsal.audit(), serde_json::json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aws_changes_in_place_replaces_nothing_and_loses_no_request() {
    let mut story = Story::up(STACK);
    let loads = loads(&story.rehearsal).await;
    let old = [story.ids("fleet"), story.ids("group")].concat();
    let policies = "autoscaling:
      policies: [{target_tracking: {name: cpu, metric: cpu, target: 90}}]
      schedule: [{name: morning, cron: \"0 8 * * *\", min: 2}]
      min: 1
      max: 5
      desired: 2
      warmup: 1s
      health_grace: 2s
";
    story.edit(&[
        ("instances: 2", "instances: 3"),
        ("routes: [/fleet]", "routes: [/fleet, \"/fleet/*\"]"),
        ("interval: 5s", "interval: 6s"),
        ("course: one", "course: two"),
        ("autoscaling: {min: 2, max: 4, desired: 2, warmup: 0s, health_grace: 1s}\n", policies),
    ]);
    let rows = applied(&story);
    assert!(rows.iter().all(|row| row.starts_with("update ") || row.starts_with("create cluster.group.")), "{rows:?}");
    let new = [story.ids("fleet"), story.ids("group")].concat();
    assert!(new.len() == 5 && old.iter().all(|id| new.contains(id)), "{old:?} {new:?}");
    assert_eq!(lost(&loads).await, 0);

    // Back to two, the policies go, and the clusters change places: two rules swap their priorities.
    story.edit(&[
        ("instances: 3", "instances: 2"),
        ("      policies: [{target_tracking: {name: cpu, metric: cpu, target: 90}}]\n", ""),
    ]);
    let at = story.text.find("  group:").expect("the group");
    let (head, group) = story.text.split_at(at);
    let fleet = head.find("  fleet:").expect("the fleet");
    story.text = format!("{}{group}{}", &head[..fleet], &head[fleet..]);
    story.edit(&[]);
    let rows = applied(&story);
    assert!(
        rows.contains(&"update cluster.fleet.rule".to_owned())
            && rows.contains(&"update cluster.group.rule".to_owned()),
        "{rows:?}"
    );
    assert!(rows.contains(&"delete cluster.group.policy.cpu".to_owned()), "{rows:?}");
    assert_eq!(story.ids("fleet").len(), 2);
    assert_eq!(lost(&loads).await, 0);
    drop(loads);
    swap_ports(&mut story);
}

/// Moves the listener: at every moment one of the two ports answers.
fn swap_ports(story: &mut Story) {
    let old = story.rehearsal.url().replace("http://", "");
    story.edit(&[("port: 18080", "port: 18081")]);
    let new = old.replace(":18080", ":18081");
    let over = AtomicBool::new(false);
    let gaps = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut gaps = BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                let answer = get(&old, "/fleet").or_else(|_| get(&new, "/fleet"));
                gaps.extend(answer.as_ref().err().map(ToString::to_string));
                gaps.extend(answer.ok().filter(|answer| !answer.contains(" 200 ")));
            }
            gaps
        });
        story.rehearsal.cloudscale(&["up"]).ok();
        over.store(true, Ordering::Relaxed);
        load.join().expect("the load ends")
    });
    assert_eq!(gaps, BTreeSet::new());
    assert!(get(&old, "/fleet").is_err(), "the old port is closed");
    assert!(story.rehearsal.url().ends_with(":18081"));
    story.rehearsal.cloudscale(&["diff", "--exit-code"]).ok();
}

/// The status line of one answer, on a connection of its own.
fn get(host: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(30)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    // A listener that closes may end a connection that it never answered.
    let line = answer.lines().next().ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok(line.to_owned())
}
