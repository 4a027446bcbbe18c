//! Live views of a real region: what happens is seen while it happens, and what looks ends as it is asked to.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use super::local_region::kill;
use super::rehearsal::{GROUPS, LAB, Rehearsal};

/// How long anything may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command that goes on, and the lines that it prints.
pub struct Going {
    child: Child,
    lines: Receiver<String>,
}

impl Going {
    pub fn of(stack: &Rehearsal, arguments: &[&str]) -> Self {
        let mut command = stack.region.command(arguments);
        command.arg(&stack.stack).current_dir(stack.folder());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary runs");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    pub fn next(&self, what: &str) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// The first line that says so.
    fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self.next(what);
            if wanted(&line) {
                return line;
            }
        }
    }

    /// As Ctrl-C; returns the exit code.
    pub fn interrupted(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        // Already ended where the test got that far.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn events_are_told_as_they_happen() {
    let groups = Rehearsal::of(GROUPS).up();
    let follow = Going::of(&groups, &["events", "-f"]);
    follow.until("how it began", |line| line.contains("heavy") && line.contains("created → 0 to 3; in service after"));
    groups.cloudscale(&["scale", "light", "3"]).ok();
    let scaled = follow.until("the scaling", |line| line.contains("light  ▲ by hand → 2 to 3"));
    let scaled =
        if scaled.contains("in service") { scaled } else { follow.until("its end", |line| line.contains("2 to 3;")) };
    assert!(scaled.contains("; in service after "), "{scaled}");
    assert_eq!(follow.interrupted(), Some(130));
}

#[test]
fn fixed_instances_have_events_and_their_health_is_followed() {
    let lab = Rehearsal::of(LAB).up();
    let events = lab.cloudscale(&["events", "--json"]).ok().json();
    let launched: Vec<&Value> =
        events.as_array().expect("a list").iter().filter(|event| event["kind"] == "launched").collect();
    let instances = launched.iter().map(|event| event["instances"].as_array().expect("ids").len()).sum::<usize>();
    assert_eq!(instances, 9, "{events}");

    let follow = Going::of(&lab, &["events", "-f", "--json"]);
    follow.next("how it began");
    let victim = lab.instances("light").remove(0).0;
    lab.kill_application(&victim);
    let is_of = |line: &str, kind: &str| {
        let event: Value = serde_json::from_str(line).expect("a line is JSON");
        event["kind"] == kind && event["instances"] == serde_json::json!([victim])
    };
    follow.until("what it fails", |line| is_of(line, "unhealthy"));
    lab.aws(&["ec2", "terminate-instances", "--instance-ids", &victim]).ok();
    follow.until("its end", |line| is_of(line, "ended"));
}

#[test]
fn a_plain_terminal_is_told_what_changes() {
    let groups = Rehearsal::of(GROUPS).up();
    let status = Going::of(&groups, &["status", "--watch"]);
    status.until("the first figures", |line| line.contains("light: desired 2, in service 2, healthy 2/2, "));
    groups.cloudscale(&["scale", "light", "3"]).ok();
    status.until("what changed", |line| line.contains("light: desired 3, "));
    let refused = groups.cloudscale(&["watch"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("No terminal") && refused.stderr.contains("status --watch"), "{}", refused.stderr);
}

#[test]
fn a_follower_outlives_its_region_until_it_is_interrupted() {
    let groups = Rehearsal::of(GROUPS).up();
    let mut follow = Going::of(&groups, &["events", "-f"]);
    follow.next("how it began");
    let pid = groups.region.status()["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a process");
    kill(pid);
    assert_eq!(groups.region.status()["running"], false);
    assert!(matches!(follow.child.try_wait(), Ok(None)), "it tries again");
    assert_eq!(follow.interrupted(), Some(130));
}

#[test]
fn nothing_is_looked_at_where_no_region_runs() {
    let lab = Rehearsal::of(LAB);
    for arguments in [&["events", "-f"][..], &["status", "--watch"], &["dashboard"]] {
        let refused = lab.cloudscale(arguments);
        assert_eq!(refused.code, Some(1), "{arguments:?}");
        assert!(refused.stderr.contains("is not up") && refused.stderr.contains("cloudscale up"), "{}", refused.stderr);
    }
    assert_eq!(lab.region.status()["running"], false);
}
