//! New user data on the embedded region: every instance is replaced, and no request is lost meanwhile.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::local_region::LocalRegion;

const STACK: &str = "
name: rollout
variables: {delay_ms: 0}
clusters:
  fleet:
    instance_type: t2.large
    instances: 2
    user_data: WORKLOAD
    port: 8080
    routes: [/fleet]
    health_check: {path: /health, interval: 5s, timeout: 2s, healthy: 2, unhealthy: 2}
  group:
    instance_type: t2.large
    user_data: WORKLOAD
    port: 8080
    routes: [/group]
    health_check: {path: /health, interval: 5s, timeout: 2s, healthy: 2, unhealthy: 2}
    autoscaling: {min: 2, max: 4, desired: 2, warmup: 1s, health_grace: 60s}
";

/// Between two requests: light load, on any machine.
const PAUSE: Duration = Duration::from_millis(20);

fn cloudscale(region: &LocalRegion, arguments: &[&str]) -> String {
    let output = region.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn instances(region: &LocalRegion, stack: &str) -> BTreeSet<String> {
    let status: Value = serde_json::from_str(&cloudscale(region, &["status", "--json", stack])).unwrap();
    let clusters = status["clusters"].as_array().unwrap().iter();
    let instances = clusters.flat_map(|cluster| cluster["instances"].as_array().unwrap());
    instances.map(|instance| instance["id"].as_str().unwrap().to_owned()).collect()
}

/// The status line of one answer, or why there is none.
fn get(host: &str, path: &str) -> String {
    let exchange = || {
        let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer.lines().next().unwrap_or("no answer").to_owned())
    };
    exchange().unwrap_or_else(|error| error.to_string())
}

/// Asks for both routes by turns until it is over; returns how many were asked, and every failure.
#[expect(clippy::disallowed_methods, reason = "the pace of the load, not a wait for anything")]
fn load(host: &str, over: &AtomicBool) -> (usize, Vec<String>) {
    let mut failures = Vec::new();
    let mut asked = 0;
    for path in ["/fleet", "/group"].iter().cycle() {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let answer = get(host, path);
        asked += 1;
        failures.extend((!answer.contains(" 200 ")).then(|| format!("{path}: {answer}")));
        std::thread::sleep(PAUSE);
    }
    (asked, failures)
}

#[test]
fn new_user_data_replaces_every_instance_and_loses_no_request() {
    let region = LocalRegion::started();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stack.yaml");
    let workload = concat!(env!("CARGO_MANIFEST_DIR"), "/userdata/workload.sh");
    std::fs::write(&file, STACK.replace("WORKLOAD", workload)).unwrap();
    let stack = file.to_str().unwrap();
    let url = cloudscale(&region, &["up", "--yes", stack]);
    let host = url.trim().strip_prefix("http://").unwrap();
    let old = instances(&region, stack);
    assert_eq!(old.len(), 4);

    let over = AtomicBool::new(false);
    let (asked, failures) = std::thread::scope(|scope| {
        let load = scope.spawn(|| load(host, &over));
        cloudscale(&region, &["up", "--yes", "--var", "delay_ms=1", stack]);
        over.store(true, Ordering::Relaxed);
        load.join().unwrap()
    });
    assert!(asked > 0);
    assert_eq!(failures, Vec::<String>::new(), "of {asked}");
    let new = instances(&region, stack);
    assert_eq!(new.len(), 4);
    assert!(new.is_disjoint(&old), "{old:?} {new:?}");
    cloudscale(&region, &["diff", "--exit-code", "--var", "delay_ms=1", stack]);
    cloudscale(&region, &["down", "--yes", stack]);
}
