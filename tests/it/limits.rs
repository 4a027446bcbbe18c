//! What instances may take of the machine, what a region leaves behind, and its log.

use std::path::Path;
use std::time::Duration;

use cloudscale::clock;

use crate::local_region::{LocalRegion, eventually, kill, launch, until_console};

/// The reason of an instance that ends by itself.
async fn reason_of_the_end(region: &LocalRegion, instance: &str) -> String {
    let clients = region.clients();
    eventually("the end of the instance", || async {
        let answer = clients.ec2.describe_instances().instance_ids(instance).send().await.unwrap();
        let found = answer.reservations().first()?.instances().first()?.clone();
        let state = found.state()?.name()?.as_str().to_owned();
        (state == "terminated")
            .then(|| found.state_reason().and_then(|reason| reason.message()).unwrap_or("").to_owned())
    })
    .await
}

fn started_with(arguments: &[&str]) -> LocalRegion {
    let region = LocalRegion::none();
    let output = region.run(&[&["local", "start"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    region
}

#[tokio::test]
async fn an_instance_with_too_many_processes_is_ended_with_the_reason() {
    let region = started_with(&["--instance-processes", "60"]);
    let quiet =
        launch(&region.clients(), "#!/bin/bash\nfor i in $(seq 20); do sleep 1000 & done\necho started\nwait\n").await;
    until_console(&region, &quiet, "started").await;
    let before = region.processes().len();
    // Processes that start others, as a fork bomb does; bounded all the same.
    let bomb = "#!/bin/bash\nf() { for i in 1 2 3 4; do (( $1 > 0 )) && f $(( $1 - 1 )) & done; sleep 1000; }\nf 4\n";
    let instance = launch(&region.clients(), bomb).await;
    let reason = reason_of_the_end(&region, &instance).await;
    assert!(reason.contains("may have 60") && reason.contains("--instance-processes"), "{reason}");
    eventually("the end of the crowd", || async { (region.processes().len() == before).then_some(()) }).await;
    let help = String::from_utf8(region.run(&["local", "start", "--help"]).stdout).unwrap();
    assert!(help.contains("--instance-processes") && help.contains("--instance-disk"), "{help}");
}

#[tokio::test]
async fn an_instance_with_too_much_disk_is_ended_with_the_reason_and_gives_it_back() {
    let region = started_with(&["--instance-disk", "20MB"]);
    let script = "#!/bin/bash\nhead -c 60000000 /dev/urandom > fill\nsleep 1000\n";
    let instance = launch(&region.clients(), script).await;
    let reason = reason_of_the_end(&region, &instance).await;
    assert!(reason.contains("19MiB") && reason.contains("--instance-disk"), "{reason}");
    let folder = region.home().join("instances").join(&instance);
    eventually("room on the disk", || async { (!folder.exists()).then_some(()) }).await;
    assert!(region.run(&["local", "start", "--instance-disk", "20MB"]).status.success(), "as it runs");
    let other = region.run(&["local", "start", "--instance-disk", "30MB"]);
    let said = String::from_utf8(other.stderr).unwrap();
    assert!(!other.status.success() && said.contains("local stop"), "{said}");
}

/// The process ids of that command line.
fn running(command_line: &str) -> Vec<i32> {
    let is_it = |pid: &i32| {
        let words = std::fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).replace('\0', " ").trim() == command_line
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_it).collect()
}

#[tokio::test]
async fn a_daemon_without_any_mark_does_not_outlive_its_instances_first_process() {
    let region = LocalRegion::started();
    let lonely = format!("sleep 9{}", std::process::id());
    let script = format!(
        "#!/bin/bash\ncd /\nenv -i setsid {lonely} < /dev/null > /dev/null 2>&1 &\ndisown\necho ready\nsleep 1000\n"
    );
    let instance = launch(&region.clients(), &script).await;
    until_console(&region, &instance, "ready").await;
    eventually("the daemon", || async { (running(&lonely).len() == 1).then_some(()) }).await;
    kill(region.processes().into_iter().min().unwrap());
    eventually("the daemon's end", || async { running(&lonely).is_empty().then_some(()) }).await;
}

#[tokio::test]
async fn what_a_region_leaves_that_is_killed_with_its_instances_is_seen_and_stopped() {
    let region = LocalRegion::started();
    let instance = launch(&region.clients(), "#!/bin/bash\ntrap '' TERM\nsleep 1000 &\necho ready\nwait\n").await;
    until_console(&region, &instance, "ready").await;
    let pid = i32::try_from(region.status()["pid"].as_i64().unwrap()).unwrap();
    let init = region.processes().into_iter().min().unwrap();
    kill(pid);
    kill(init);
    eventually("the end of the region", || async { (region.status()["running"] == false).then_some(()) }).await;
    assert!(region.status()["left_processes"].as_u64().unwrap() > 0, "{}", region.status());
    let said = String::from_utf8(region.run(&["local", "status"]).stdout).unwrap();
    assert!(said.contains("are left") && said.contains("local stop"), "{said}");
    let said = String::from_utf8(region.run(&["local", "stop"]).stdout).unwrap();
    assert!(said.contains("were left"), "{said}");
    assert_eq!((region.processes(), &region.status()["left_processes"]), (Vec::new(), &serde_json::json!(0)));
}

#[tokio::test]
async fn an_instance_that_cannot_start_says_why() {
    let region = LocalRegion::started();
    // As a full disk would: there is no place for the instance's folder.
    std::fs::write(region.home().join("instances"), "").unwrap();
    let instance = launch(&region.clients(), "").await;
    let reason = reason_of_the_end(&region, &instance).await;
    assert!(reason.contains("does not start") && reason.contains(&instance), "{reason}");
}

#[tokio::test]
async fn a_start_that_fails_leaves_what_the_region_has_said() {
    let region = LocalRegion::started();
    assert!(region.run(&["local", "stop"]).status.success());
    let log = region.home().join("region.log");
    let before = std::fs::read_to_string(&log).unwrap();
    assert!(before.contains("serving") && before.contains("stopping"), "{before}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = region.start_again(&["--port", &port]).await;
    assert!(said.contains("The region does not start") && said.contains("cannot be bound"), "{said}");
    assert!(!said.contains("serving"), "the lines are those of the start that failed: {said}");
    let after = std::fs::read_to_string(&log).unwrap();
    assert!(after.starts_with(&before) && after.len() > before.len(), "{after}");
}

#[tokio::test]
async fn a_region_without_descriptors_says_so_now_and_then() {
    let region = LocalRegion::none();
    let mut start = std::process::Command::new("bash");
    let script = "ulimit -n 90 && exec \"$0\" local start";
    start.args(["-c", script, env!("CARGO_BIN_EXE_cloudscale")]).env("CLOUDSCALE_HOME", region.home());
    let started = start.output().unwrap();
    assert!(started.status.success(), "{started:?}");
    let address = region.endpoint().trim_start_matches("http://").to_owned();
    let held: Vec<_> = (0..100).map(|_| std::net::TcpStream::connect(&address).unwrap()).collect();
    let log = || std::fs::read_to_string(region.home().join("region.log")).unwrap();
    eventually("the first line", || async { log().contains("accept failed").then_some(()) }).await;
    // Every try that fails was a line before, a hundred in a second.
    let since = clock::instant();
    eventually("two seconds without descriptors", || async {
        (since.elapsed() > Duration::from_secs(2)).then_some(())
    })
    .await;
    assert_eq!(log().matches("accept failed").count(), 1, "{}", log());
    drop(held);
}

/// The reason stands in what `up` says, not only in the region's log.
#[test]
fn up_says_why_its_instances_do_not_start() {
    let region = LocalRegion::started();
    // As a full disk would: there is no place for the instances' folders.
    std::fs::write(region.home().join("instances"), "").unwrap();
    let stack = region.home().join("stack.yaml");
    std::fs::write(&stack, "name: full\nload_balancer: none\nclusters: {a: {instance_type: t2.large, instances: 1}}\n")
        .unwrap();
    let up = region.run(&["up", "--yes", "--timeout", "10s", stack.to_str().unwrap()]);
    let said = String::from_utf8(up.stderr).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(!up.status.success() && said.contains("does not start"), "{said}");
}
