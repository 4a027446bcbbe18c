//! What was in a region is there again after its process has ended, however it ended.

use serde_json::Value;

use super::local_region::{eventually, kill};
use super::rehearsal::{GROUPS, Rehearsal, instances};

fn pid(stack: &Rehearsal) -> i32 {
    i32::try_from(stack.region.status()["pid"].as_i64().expect("a process")).expect("a pid")
}

fn signal(pid: i32, name: &str) {
    assert!(std::process::Command::new("kill").args([name, &pid.to_string()]).status().expect("kill runs").success());
}

/// Waits until no process of that id is left.
async fn until_gone(pid: i32) {
    let path = std::path::PathBuf::from(format!("/proc/{pid}"));
    eventually("the end of the region", || async { (!path.exists()).then_some(()) }).await;
}

fn text(answer: &std::process::Output) -> String {
    String::from_utf8_lossy(&answer.stdout).into_owned() + &String::from_utf8_lossy(&answer.stderr)
}

/// A group that judges its instances at once.
fn groups() -> Rehearsal {
    let stack = Rehearsal::edited(GROUPS, &[("health_grace: 60s", "health_grace: 1s"), ("warmup: 60s", "warmup: 1s")]);
    // The usual port is another region's as soon as it is free.
    stack.region.run(&["local", "start", "--port", "0"]);
    stack.up()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_same_stack_is_there_with_its_history_and_its_groups_heal() {
    let stack = groups();
    let before = stack.status();
    let events = stack.cloudscale(&["events", "--json"]).ok().json();
    let old = pid(&stack);
    kill(old);
    until_gone(old).await;
    // The next command starts the region.
    let after = stack.status();
    for what in ["url", "load_balancer"] {
        assert_eq!(after[what], before[what], "{what}");
    }
    let groups = |status: &Value| -> Vec<Value> {
        let clusters = status["clusters"].as_array().expect("clusters").iter();
        clusters
            .map(|cluster| serde_json::json!([cluster["group"], cluster["target_group"], cluster["desired"]]))
            .collect()
    };
    assert_eq!(groups(&after), groups(&before));
    let first = &events.as_array().expect("a list")[0];
    let again = stack.cloudscale(&["events", "--json", "--last", "50"]).ok().json();
    assert!(again.as_array().expect("a list").contains(first), "{first} is not in {again}");
    // None of the old instances runs; all are replaced.
    let olds: Vec<String> =
        ["light", "heavy"].iter().flat_map(|cluster| instances(&before, cluster)).map(|(id, _)| id).collect();
    for (cluster, count) in [("light", 2), ("heavy", 3)] {
        stack
            .until_targets(cluster, "as many healthy targets as before", |targets| {
                let healthy = targets.iter().filter(|(id, state)| state == "healthy" && !olds.contains(id)).count();
                (healthy == count).then_some(())
            })
            .await;
    }
    stack.cloudscale(&["diff", "--exit-code"]).ok();
    stack.cloudscale(&["down"]).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_region_goes_on_and_a_reset_one_is_empty() {
    let stack = groups();
    let endpoint = stack.region.endpoint();
    assert!(text(&stack.region.run(&["local", "stop"])).contains("local reset"));
    assert!(text(&stack.region.run(&["local", "status"])).contains("goes on from what was in it"));
    let started = stack.region.start_again(&[]).await;
    assert!(started.contains("Its state is restored"), "{started}");
    assert_eq!(stack.region.endpoint(), endpoint, "clients find it where it was");
    assert_eq!(stack.audit()["groups"], 2);
    assert!(text(&stack.region.run(&["local", "reset"])).contains("forgot everything"));
    stack.region.start_again(&[]).await;
    assert_eq!(stack.audit(), serde_json::json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_hangs_is_told_from_none_and_can_be_stopped() {
    let stack = Rehearsal::of(GROUPS);
    stack.region.run(&["local", "start"]);
    let old = pid(&stack);
    signal(old, "-STOP");
    let status = text(&stack.region.run(&["local", "status"]));
    assert!(status.contains(&format!("hangs: process {old}")), "{status}");
    let refused = stack.cloudscale(&["up"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("does not answer"), "{}", refused.stderr);
    assert!(text(&stack.region.run(&["local", "stop"])).contains("stopped"));
    until_gone(old).await;

    stack.region.start_again(&[]).await;
    let old = pid(&stack);
    std::fs::remove_file(stack.region.home().join("region.json")).expect("the record is there");
    let status = text(&stack.region.run(&["local", "status"]));
    assert!(status.contains("hangs"), "{status}");
    assert!(text(&stack.region.run(&["local", "stop"])).contains("stopped"));
    until_gone(old).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_state_is_set_aside_and_said() {
    let stack = Rehearsal::of(GROUPS);
    stack.region.run(&["local", "start"]);
    stack.region.run(&["local", "stop"]);
    std::fs::write(stack.region.home().join("state/snapshot.cbor"), "no snapshot").expect("it is ours");
    let started = stack.region.start_again(&[]).await;
    assert!(started.contains("it starts empty") && started.contains("snapshot.cbor"), "{started}");
    let kept = std::fs::read_dir(stack.region.home()).expect("the home").flatten();
    assert!(kept.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("state-2")));
}
