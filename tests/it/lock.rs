//! The lock of a stack: two runs at a time, runs that died, and a lock that is taken away.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ec2::types::{InstanceType, RequestLaunchTemplateData, ResourceType};
use cloudscale::aws::clients::Clients;
use cloudscale::cloud::lease::{Holder, Process};
use cloudscale::cloud::tags;
use cloudscale::engine::lock::{self, process};
use cloudscale::exit::Exit;
use cloudscale::problem::Problems;
use cloudscale::resource::context::Operation;
use cloudscale::resource::event::{Event, Sink};
use cloudscale::stack::names;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::moto::{Answer, Moto};
use super::rehearsal::{LAB, Rehearsal};

const STACK: &str = "two-clusters";

struct Silent;

impl Sink for Silent {
    fn event(&self, _event: Event) {}
}

/// The lab with two instances, in a region that runs.
fn small_lab() -> Rehearsal {
    let lab = Rehearsal::edited(LAB, &[("instances: 4", "instances: 1"), ("instances: 5", "instances: 1")]);
    assert!(lab.region.run(&["local", "start"]).status.success());
    lab
}

/// A run of this process.
fn run(clients: Clients) -> Operation {
    Operation::new(clients, STACK, Arc::new(Silent), CancellationToken::new(), Duration::from_secs(60))
}

/// A lock that another run has left, as it would look.
async fn left_by(clients: &Clients, process: Process, expires: &str) {
    let holder = Holder { who: "ann@laptop".to_owned(), command: "up".to_owned(), process };
    let mut tags = holder.tags(STACK);
    tags.insert("cloudscale:lock-expires".to_owned(), expires.to_owned());
    let content = RequestLaunchTemplateData::builder().instance_type(InstanceType::T3Nano).build();
    let call = clients.ec2.create_launch_template().launch_template_name(names::lock(STACK));
    let call = call.launch_template_data(content);
    let call = call.tag_specifications(tags::specification(ResourceType::LaunchTemplate, &tags));
    call.send().await.expect("the region takes the lock");
}

fn elsewhere() -> Process {
    Process { pid: 4711, started: "1".to_owned(), machine: "elsewhere".to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_run_holds_the_lock_others_end_with_code_5_and_name_it() {
    let lab = small_lab();
    let held = lock::acquire(&run(lab.region.clients()), "scale", Duration::ZERO).await.expect("the lock is free");
    let me = format!("(process {}) runs `cloudscale scale` on {STACK} since 2", std::process::id());
    for command in ["up", "down"] {
        let refused = lab.cloudscale(&[command]);
        assert_eq!(refused.code, Some(Exit::Locked as i32), "{}", refused.stderr);
        let said = refused.stderr.replace('|', " ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("The stack is locked") && said.contains(&me), "{said}");
        assert!(said.contains("--lock-timeout"), "{said}");
    }
    lab.cloudscale(&["diff"]).ok();
    assert_eq!(lab.region.run(&["ls", "--json"]).stdout, b"[]\n", "a lock is no stack");
    held.during(async { Ok(()) }).await.expect("the lock is let go of");
    assert_eq!(lab.audit(), json!({}));
}

#[test]
fn of_two_runs_at_once_one_waits_and_finds_the_work_done() {
    let lab = small_lab();
    let up = || {
        let mut command = lab.region.command(&["up", "--lock-timeout", "1m"]);
        command.arg(&lab.stack).current_dir(lab.folder()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the binary starts")
    };
    for child in [up(), up()] {
        let output = child.wait_with_output().expect("the binary ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let whole = json!({
        "instances": 2, "security groups": 2, "launch templates": 2, "load balancers": 1, "target groups": 2
    });
    assert_eq!(lab.audit(), whole, "nothing twice, and no lock is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_lock_is_taken_away_starts_nothing_new_and_says_why() {
    let lab = small_lab();
    let held = lock::acquire(&run(lab.region.clients()), "up", Duration::ZERO).await.expect("the lock is free");
    let refused = lab.cloudscale(&["unlock"]);
    assert!(refused.code == Some(2) && refused.stderr.contains("--yes"), "it may be at work: {}", refused.stderr);
    let unlocked = lab.cloudscale(&["unlock", "--yes"]).ok();
    assert!(unlocked.stderr.contains(&format!("(process {}) runs `cloudscale up`", std::process::id())));
    assert!(unlocked.stdout.contains("unlocked"));
    assert!(lab.cloudscale(&["unlock"]).ok().stdout.contains("not locked"));
    let work = async {
        let () = held.run.cancel.cancelled().await;
        Err::<(), _>(Problems::from(cloudscale::resource::context::interrupted()))
    };
    let lost = tokio::time::timeout(Duration::from_secs(60), held.during(work)).await.expect("the loss is noticed");
    assert_eq!(lost.expect_err("the work was stopped").0[0].summary, "The lock was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_takes_over_from_one_that_died_and_says_so() {
    let lab = small_lab();
    let clients = lab.region.clients();
    let mut child = std::process::Command::new("sleep").arg("600").spawn().expect("a process");
    let dead = process::process(child.id());
    left_by(&clients, dead.clone(), "2999-01-01T00:00:00Z").await;
    assert_eq!(lab.cloudscale(&["down"]).code, Some(Exit::Locked as i32), "it lives");
    child.kill().and_then(|()| child.wait()).expect("the process dies");
    let down = lab.cloudscale(&["down"]).ok();
    let told = format!("Cleared the lock of ann@laptop (process {}, `cloudscale up`", dead.pid);
    assert!(down.stderr.contains(&told) && down.stderr.contains("its process is gone"), "{}", down.stderr);
    assert_eq!(lab.audit(), json!({}));

    left_by(&clients, elsewhere(), "2020-01-01T00:00:00Z").await;
    let up = lab.cloudscale(&["up"]).ok();
    assert!(up.stderr.contains("its lease was not renewed in time"), "{}", up.stderr);
    assert_eq!(lab.audit()["launch templates"], 2, "no lock is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_holds_on_moto_too() {
    let moto = Moto::start();
    let at_moto = |arguments: &[&str]| moto.cloudscale(&[&["--provider", "aws"], arguments].concat());
    let clients = Clients::local(moto.endpoint, moto.region);
    left_by(&clients, elsewhere(), "2999-01-01T00:00:00Z").await;
    let up = |more: &[&str]| at_moto(&[&["up", "--yes", "--wait", "targets", LAB], more].concat());
    let refused = up(&[]);
    assert_eq!(refused.code, Some(Exit::Locked as i32), "{}", refused.stderr);
    assert!(refused.stderr.contains("ann@laptop"), "{}", refused.stderr);
    assert_eq!(at_moto(&["unlock", LAB]).code, Some(Exit::Usage as i32), "nobody is there to agree");
    at_moto(&["unlock", "--yes", LAB]).ok();
    let ups = std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| up(&["--lock-timeout", "1m"])));
        both.map(|run| run.join().expect("the run ends"))
    });
    ups.into_iter().for_each(|answer| drop(answer.ok()));
    let count = |arguments: &[&str]| -> usize { moto.aws(arguments).ok().json().as_array().expect("a list").len() };
    assert_eq!(count(&["ec2", "describe-launch-templates", "--query", "LaunchTemplates"]), 2);
    assert_eq!(count(&["ec2", "describe-instances", "--query", "Reservations[].Instances[]"]), 9);
    let gone: Answer = at_moto(&["down", "--yes", LAB]).ok();
    assert!(gone.stdout.contains("nothing left"));
    assert_eq!(count(&["ec2", "describe-launch-templates", "--query", "LaunchTemplates"]), 0);
}
