//! A benchmark of the laboratory through the binary: what was measured adds up, and the report stands alone.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::local_region::eventually;
use super::rehearsal::{LAB, Rehearsal};
use super::views::Going;

/// The shape of the laboratory's load in little: two threads, one with a pause.
const SCENARIO: &str = "
name: little
threads:
  steady:
    steps: [{requests: 60}]
  bursts:
    steps: [{requests: 30}, {pause: 1s}, {requests: 30}]
thresholds: [errors < 1%, evenness > 50%]
";
const REQUESTS: u64 = 120;

/// The folder of the only run.
fn run_folder(lab: &Rehearsal) -> PathBuf {
    let runs = lab.folder().join(".cloudscale/two-clusters/runs");
    let mut runs: Vec<_> = std::fs::read_dir(runs).expect("runs").map(|run| run.expect("a run").path()).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs.remove(0)
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sum(counts: &Value) -> u64 {
    counts.as_object().expect("counts").values().map(|count| count.as_u64().expect("a count")).sum()
}

/// What holds of every run of the scenario against the whole lab.
fn assert_consistent(result: &Value) {
    assert_eq!((&result["schema"], &result["verdict"]), (&json!(1), &json!("passed")));
    assert_eq!((&result["provider"], &result["scenario"]), (&json!("local"), &json!("little")));
    let targets = result["targets"].as_array().expect("targets");
    assert_eq!(targets.iter().map(|target| &target["name"]).collect::<Vec<_>>(), ["light", "heavy"]);
    for (target, instances) in targets.iter().zip([4, 5]) {
        assert_eq!((&target["requests"], &target["errors"]), (&json!(REQUESTS), &json!(0)));
        assert_eq!(target["status"], json!({"200": REQUESTS}));
        assert_eq!(target["instances"].as_object().expect("shares").len(), instances);
        assert_eq!(sum(&target["instances"]), REQUESTS);
        let latency =
            ["min", "p50", "p90", "p95", "p99", "p999", "max"].map(|name| target["latency_ms"][name].as_f64());
        assert!(latency.is_sorted() && latency[0] > Some(0.0), "{}", target["latency_ms"]);
    }
    let held = result["thresholds"].as_array().expect("thresholds");
    assert!(held.len() == 4 && held.iter().all(|threshold| threshold["held"] == true), "{held:?}");
    assert_eq!(result["metrics"]["complete"], true, "{}", result["metrics"]["note"]);
    let routes = result["setup"]["routes"].as_array().expect("routes");
    assert!(!routes.is_empty() && routes.iter().all(|route| route["ok"] == true), "{routes:?}");
}

/// The report and everything it names, without the network.
fn assert_stands_alone(folder: &Path, result: &Value) {
    let report = text(&folder.join("report.html"));
    for attribute in ["src", "href"] {
        for reference in report.split(&format!(" {attribute}=\"")).skip(1) {
            let reference = reference.split('"').next().expect("a quoted value");
            let inside = reference.starts_with("data:") || reference.starts_with('#');
            assert!(inside || folder.join(reference).is_file(), "{attribute}: {reference}");
        }
    }
    assert!(!report.contains("url(") && !report.contains("@import"));
    // Its own alone, which its security policy names by its hash.
    assert!(report.matches("<script").count() == 1 && report.contains("script-src 'sha256-"));
    for cluster in ["light", "heavy"] {
        assert!(report.contains(cluster));
    }
    let images = result["metrics"]["images"].as_array().expect("images");
    assert!(!images.is_empty());
    for image in images {
        let bytes = std::fs::read(folder.join(image["file"].as_str().expect("a file"))).expect("an image");
        assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.len() > 1000, "{image}");
    }
    assert!(text(&folder.join("latency.csv")).lines().count() > 2);
}

#[test]
fn a_run_goes_up_loads_reports_and_leaves_nothing() {
    let lab = Rehearsal::of(LAB);
    let scenario = lab.file("little.yaml", SCENARIO);
    let run = lab.cloudscale(&["run", "--scenario", scenario.to_str().expect("a path")]).ok();
    assert!(run.stderr.contains("nothing left"), "{}", run.stderr);
    let folder = run_folder(&lab);
    let result = serde_json::from_str(&text(&folder.join("result.json"))).expect("JSON");
    assert_consistent(&result);
    assert_stands_alone(&folder, &result);
    assert_eq!(lab.region.status()["running"], false, "it stops the region that it started");
    assert_eq!(lab.region.processes(), Vec::<i32>::new());
}

#[test]
fn a_missed_threshold_is_the_exit_code_and_the_stack_stays() {
    let lab = Rehearsal::of(LAB).up();
    let hopeless = lab.file("hopeless.yaml", &SCENARIO.replace("errors < 1%", "rate > 1000000/s"));
    let bench = lab.cloudscale(&["bench", "--json", "--scenario", hopeless.to_str().expect("a path")]);
    assert_eq!(bench.code, Some(4), "{}", bench.stderr);
    let result = bench.json();
    assert_eq!(result["verdict"], "missed");
    let missed = result["thresholds"].as_array().expect("thresholds").iter();
    let missed: Vec<_> = missed.filter(|threshold| threshold["held"] == false).map(|t| &t["threshold"]).collect();
    assert_eq!(missed, ["rate > 1000000/s"; 2]);
    assert_eq!(result, serde_json::from_str::<Value>(&text(&run_folder(&lab).join("result.json"))).expect("JSON"));
    lab.cloudscale(&["diff", "--exit-code"]).ok();
}

/// Answers, until there is a file `silent` in FOLDER: from then on it only notes that it was asked.
const SILENT: &str = r#"#!/bin/bash
exec python3 - <<'PYTHON'
import os, threading, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

METADATA = os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"]
lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "300"}
asked = urllib.request.Request(METADATA + "/latest/api/token", headers=lifetime, method="PUT")
token = {"X-aws-ec2-metadata-token": urllib.request.urlopen(asked).read().decode()}
asked = urllib.request.Request(METADATA + "/latest/meta-data/local-ipv4", headers=token)
address = urllib.request.urlopen(asked).read().decode()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/health" and os.path.exists("FOLDER/silent"):
            open("FOLDER/asked", "w").close()
            threading.Event().wait()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


ThreadingHTTPServer((address, 8080), Handler).serve_forever()
PYTHON
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_is_heard_while_the_setup_is_checked() {
    let mut stack = Rehearsal::of("");
    let folder = stack.folder().to_owned();
    stack.file("silent.sh", &SILENT.replace("FOLDER", folder.to_str().expect("a path")));
    stack.stack = stack.file(
        "stack.yaml",
        "
name: silent
clusters:
  web:
    instance_type: t2.small
    instances: 1
    user_data: silent.sh
    port: 8080
    routes: [\"/*\"]
    health_check: {path: /health, interval: 5s, timeout: 4s, healthy: 2, unhealthy: 5}
",
    );
    let stack = stack.up();
    stack.file("silent", "");
    let scenario = stack.file("little.yaml", SCENARIO);
    let bench = Going::of(&stack, &["bench", "--scenario", scenario.to_str().expect("a path")]);
    eventually("the check of the setup", || async { folder.join("asked").exists().then_some(()) }).await;
    assert_eq!(bench.interrupted(), Some(130));
    // Had the check been waited for, there would be the record of a load that was interrupted.
    let runs = std::fs::read_dir(folder.join(".cloudscale/silent/runs")).expect("made and tried before the check");
    assert_eq!(runs.count(), 0, "a load began");
}
