//! The process ends at any write call: killed right before it, killed right after it, or interrupted. Nothing is lost:
//! the next `up` makes exactly the wanted stack, the next `down` leaves nothing.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use cloudscale::aws::clients::Clients;
use rustix::process::{Pid, Signal, kill_process};

use super::inventory::{counts, inventory};
use super::moto::{Answer, REGION, cloudscale};
use super::quick_region;
use super::rehearsal::{GROUPS, LAB};
use super::tap::{Side, Tap};

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Killed(Side),
    Interrupted,
    /// Asked to end by SIGTERM, as a service manager or a CI runner does.
    Terminated,
}

const ENDS: [End; 3] = [End::Killed(Side::Before), End::Killed(Side::After), End::Interrupted];
/// How the process ends, at which write call, and whether that is the last.
type Point = (End, usize, bool);
/// Who tries at once, each in a region of its own.
const WORKERS: usize = 3;
/// `up` need not wait for targets: what is asked here is what there is.
const UP: &[&str] = &["up", "--yes", "--wait", "none", "--timeout", "2m"];
const DOWN: &[&str] = &["down", "--yes", "--timeout", "2m"];

/// A region with a tap on its line.
struct Place {
    tap: Tap,
    clients: Clients,
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
    stack: &'static str,
}

impl Place {
    fn with(stack: &'static str) -> Self {
        let endpoint = quick_region::served();
        Self {
            tap: Tap::on(&endpoint),
            clients: Clients::local(&endpoint, REGION),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
            folder: tempfile::tempdir().expect("a folder"),
            stack,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = cloudscale(&self.tap.endpoint, self.folder.path());
        command.args(["--provider", "aws"]).args(arguments).arg(self.stack);
        command
    }

    /// Runs to the end; returns the write calls.
    fn run(&self, arguments: &[&str]) -> usize {
        self.tap.calls();
        Answer::of(&mut self.command(arguments)).ok();
        self.tap.calls().1.len()
    }

    fn inventory(&self) -> BTreeMap<&'static str, usize> {
        self.runtime.block_on(async { counts(&inventory(&self.clients).await) })
    }

    /// Runs until the write call after `call` others, and no further; returns that call's operation, or none where the
    /// command made fewer.
    fn run_until(&self, arguments: &[&str], (end, call, is_last): Point) -> Option<String> {
        let trap = self.tap.trap(call, if end == End::Killed(Side::After) { Side::After } else { Side::Before });
        let mut client =
            self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a client");
        let operation = loop {
            match trap.sprung.recv_timeout(Duration::from_millis(50)) {
                Ok(operation) => break operation,
                Err(_) if client.try_wait().expect("a child").is_some() => {
                    drop(trap);
                    ended(client).ok();
                    return None;
                }
                Err(_) => {}
            }
        };
        match end {
            End::Killed(_) => {
                client.kill().expect("a client to kill");
                client.wait().expect("a child");
                drop(trap);
            }
            End::Interrupted | End::Terminated => {
                let pid = Pid::from_child(&client);
                let signal = if end == End::Interrupted { Signal::INT } else { Signal::TERM };
                kill_process(pid, signal).expect("a client to interrupt");
                trap.release.send(true).expect("a line that is held");
                let answer = ended(client);
                // The last call lets go of the lock: everything was done before, and there may be nothing to interrupt.
                if is_last && answer.code == Some(0) {
                    return Some(operation);
                }
                assert_eq!(answer.code, Some(130), "{operation}: {}", answer.stderr);
                assert_eq!(answer.stderr.matches("error: ").count(), 1, "{operation}: {}", answer.stderr);
                assert!(answer.stderr.contains("error: Interrupted"), "{operation}: {}", answer.stderr);
            }
        }
        Some(operation)
    }
}

fn ended(client: Child) -> Answer {
    let output = client.wait_with_output().expect("a child");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Answer { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Tries every call of `up` and of `down`, and prints a row for each command and end.
fn at_every_call(name: &str, stack: &'static str) {
    let first = Place::with(stack);
    let nothing = first.inventory();
    let ups = first.run(UP);
    let whole = first.inventory();
    let downs = first.run(DOWN);
    assert_eq!(first.inventory(), nothing);
    assert!(ups > 10 && downs > 5, "{ups} {downs}");

    let points =
        |calls: usize| ENDS.iter().flat_map(move |end| (0..calls).map(move |call| (*end, call, call + 1 == calls)));
    let (ups, downs): (Vec<_>, Vec<_>) = (points(ups).collect(), points(downs).collect());
    let next = Mutex::new(0..ups.len().max(downs.len()));
    let tried = Mutex::new(Vec::new());
    let work = || {
        let place = Place::with(stack);
        loop {
            let index = next.lock().expect("no holder panics").next();
            let Some(index) = index else { return };
            for (command, arguments, points) in [("up", UP, &ups), ("down", DOWN, &downs)] {
                let point @ (end, call, _) = points[index % points.len()];
                let operation = place.run_until(arguments, point);
                place.run(arguments);
                let wanted = if command == "up" { &whole } else { &nothing };
                assert_eq!(place.inventory(), *wanted, "{command} {end:?} at {call} {operation:?}");
                if command == "up" {
                    place.run(&["diff", "--exit-code"]);
                }
                if operation.is_some() && index < points.len() {
                    tried.lock().expect("no holder panics").push((command, end));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(work);
        }
    });
    print_table(name, &tried.into_inner().expect("no holder panics"));
}

fn print_table(name: &str, tried: &[(&str, End)]) {
    println!("| stack | command | ended by | calls tried | converged | leftovers |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (command, end) in ["up", "down"].iter().flat_map(|command| ENDS.iter().map(move |end| (command, end))) {
        let how = match end {
            End::Killed(Side::Before) => "SIGKILL right before",
            End::Killed(Side::After) => "SIGKILL right after",
            End::Interrupted => "Ctrl-C during",
            End::Terminated => "SIGTERM during",
        };
        let tried = tried.iter().filter(|row| **row == (*command, *end)).count();
        println!("| {name} | {command} | {how} | {tried} | {tried} | 0 |");
    }
}

#[test]
fn the_lab_survives_the_end_of_the_process_at_every_call() {
    at_every_call("lab", LAB);
}

#[test]
fn the_groups_survive_the_end_of_the_process_at_every_call() {
    at_every_call("groups", GROUPS);
}

/// At any call it ends like Ctrl-C, which is tried at all of them; here the words and the way on.
#[test]
fn sigterm_ends_like_ctrl_c_and_loses_nothing() {
    let place = Place::with(LAB);
    let nothing = place.inventory();
    assert!(place.run_until(UP, (End::Terminated, 3, false)).is_some(), "`up` makes more calls than that");
    place.run(UP);
    assert!(place.run_until(DOWN, (End::Terminated, 3, false)).is_some(), "`down` makes more calls than that");
    place.run(DOWN);
    assert_eq!(place.inventory(), nothing);
}
