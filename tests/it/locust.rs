//! One scenario on both engines: the records agree within the bounds that are named here.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::local_region::eventually;
use super::moto::{Answer, venv};
use super::raw_server;
use super::rehearsal::Rehearsal;

/// What a correct answer takes.
const SERVICE: Duration = Duration::from_millis(20);

/// `/ok` after [`SERVICE`], `/busy` 503, `/gone` closes, `/late` never.
#[expect(clippy::disallowed_methods, reason = "a request takes its time, the server's, not a story's")]
fn serve(mut stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let head = raw_server::head(&mut reader)?;
        let path = head.split(' ').nth(1)?;
        match path {
            "/gone" => return None,
            "/late" => drop(reader.read_line(&mut String::new())),
            _ => std::thread::sleep(SERVICE),
        }
        let status = if path == "/busy" { "503 Service Unavailable" } else { "200 OK" };
        let answer = format!("HTTP/1.1 {status}\r\nx-instance-id: i-0123456789abcdef0\r\ncontent-length: 2\r\n\r\nok");
        stream.write_all(answer.as_bytes()).ok()?;
    }
}

/// The program with the tests' Python in its path, and a cache that all stories share.
fn bench(folder: &Path, url: &str, scenario: &str, more: &[&str]) -> Command {
    let file = folder.join("scenario.yaml");
    std::fs::write(&file, scenario).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloudscale"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([venv().join("bin")].into_iter().chain(std::env::split_paths(&path)));
    command
        .env_clear()
        .env("PATH", path.expect("a path"))
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .args(["bench", "--json", "--workers", "2", "--url", url, "--scenario"])
        .arg(file)
        .args(more);
    command
}

fn both(scenario: &str) -> [Value; 2] {
    let url = raw_server::start(serve);
    [&[][..], &["--engine", "locust"]].map(|engine| {
        let folder = tempfile::tempdir().expect("a folder");
        let answer = Answer::of(&mut bench(folder.path(), &format!("{url}/"), scenario, engine));
        // A busy machine may make either of them its own limit.
        assert!(matches!(answer.code, Some(0 | 4)), "{}", answer.stderr);
        assert_eq!(left(folder.path()), Vec::<PathBuf>::new());
        answer.json()
    })
}

/// What Locust has left in its folder for temporary files.
fn left(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder").flatten().map(|entry| entry.path());
    entries.filter(|path| path.to_string_lossy().contains("cloudscale-locust")).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// A quarter, and 10 ms for a machine that does other things meanwhile.
fn assert_close(own: &Value, others: &Value, what: &str) {
    let (own, others) = (number(own), number(others));
    assert!((own - others).abs() <= 0.25 * own + 10.0, "{what}: {own} here, {others} there");
}

#[test]
fn the_same_scenario_gives_the_same_record_on_both_engines() {
    let scenario = "
name: both
warm_up: 300ms
requests: [{name: read, weight: 3, path: /ok}, {name: write, weight: 1, method: PUT, path: /ok, body: x}]
repeat: 2
phases:
  - {name: users, virtual_users: 4, iterations: 120}
  - {name: rest, pause: 500ms}
  - {name: climb, start_rate: 20/s, stages: [{target: 60/s, duration: 2s}]}
  - {name: crowd, stages: [{target: 3, duration: 1s}], think_time: 50ms}
thresholds: [errors < 1%]
";
    let records = both(scenario);
    let [own, others] = records.each_ref().map(|record| &record["targets"][0]);
    // What is counted and not timed is the same: 120 of users who share them and 80 of the ramp's area, twice.
    for record in [own, others] {
        let phases = record["phases"].as_array().expect("phases");
        let names: Vec<_> = phases.iter().map(|phase| phase["label"].as_str().expect("a label")).collect();
        assert_eq!(names, ["users", "rest", "climb", "crowd", "users", "rest", "climb", "crowd"]);
        let requests: Vec<_> = phases.iter().map(|phase| phase["requests"].as_u64().expect("a count")).collect();
        let warm_up = record["warm_up_requests"].as_u64().expect("a count");
        assert_eq!((requests[0] + warm_up, requests[1], requests[2]), (120, 0, 80), "{requests:?}");
        assert_eq!((requests[4], requests[6]), (120, 80), "{requests:?}");
        assert!(warm_up > 0 && requests[3] > 5, "{warm_up} in the warm-up, {requests:?}");
        assert_eq!(
            (&record["errors"], &record["demanded"], &record["demanded_sent"]),
            (&json!(0), &json!(160), &json!(160))
        );
        assert_eq!(record["latency_kind"], "response");
        assert_eq!(record["status"], json!({"200": record["requests"]}));
        assert_eq!(record["instances"], json!({"i-0123456789abcdef0": record["requests"]}));
        assert_eq!(record["endpoints"].as_array().expect("endpoints").len(), 2);
        assert!(number(&record["service_ms"]["min"]) >= 20.0, "{}", record["service_ms"]);
    }
    assert_close(&own["latency_ms"]["p50"], &others["latency_ms"]["p50"], "p50");
    assert_close(&own["service_ms"]["p50"], &others["service_ms"]["p50"], "p50 of service times");
    assert_close(&own["rate"], &others["rate"], "rate");
    for (own, others) in own["phases"].as_array().unwrap().iter().zip(others["phases"].as_array().unwrap()) {
        let length = |phase: &Value| {
            let at = |key: &str| phase[key].as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time");
            json!(at("ended").duration_since(at("started")).as_secs_f64() * 1000.0)
        };
        assert!((number(&length(own)) - number(&length(others))).abs() < 700.0, "{own} {others}");
    }
    // What it is, and how far it stayed from what was demanded, is said.
    let client = &records[1]["client"];
    assert_eq!(client["engine"], "Locust 2.47.0 with 2 workers");
    let said = format!("{} {}", client["notes"], client["limits"]);
    assert!(said.contains("Locust sent 160 of the 160 requests"), "{said}");
    assert_eq!(records[0]["client"]["engine"], "");
}

#[test]
fn what_fails_has_the_same_name_on_both_engines() {
    let scenario = "
name: broken
timeout: 400ms
requests: [{name: ok, path: /ok}, {name: busy, path: /busy}, {name: gone, path: /gone}, {name: late, path: /late}]
phases: [{virtual_users: 4, duration: 4s}]
thresholds: [errors > 1%]
";
    for record in both(scenario) {
        let target = &record["targets"][0];
        let kinds: Vec<_> = target["errors_by_kind"].as_object().expect("kinds").keys().collect();
        assert_eq!(kinds, ["reset", "status", "timeout"], "{target}");
        let failed = |name: &str| {
            let endpoints = target["endpoints"].as_array().expect("endpoints");
            let own = endpoints.iter().find(|endpoint| endpoint["name"] == name).expect("an endpoint");
            (own["errors"].as_u64() == own["requests"].as_u64(), own["errors"] == 0)
        };
        assert_eq!(
            ["ok", "busy", "gone", "late"].map(failed),
            [(false, true), (true, false), (true, false), (true, false)]
        );
    }
}

#[tokio::test]
async fn a_load_that_is_interrupted_keeps_what_was_measured_and_leaves_no_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = "name: long\nrequests: [{name: one, path: /ok}]\nphases: [{rate: 40/s, duration: 60s}]\n";
    let mut bench = bench(folder.path(), &format!("{}/", raw_server::start(serve)), scenario, &["--engine", "locust"]);
    let mut process = bench.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let lines = BufReader::new(process.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let mut told = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    assert!(told.any(|event| event["progress"]["done"].as_u64() > Some(40)), "it sends");
    std::thread::spawn(move || told.for_each(drop));
    let id = rustix::process::Pid::from_raw(i32::try_from(process.id()).expect("an id")).expect("an id");
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("it runs");
    let output = process.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let record: Value = serde_json::from_slice(&output.stdout).expect("a record");
    assert_eq!(record["verdict"], "interrupted");
    let target = &record["targets"][0];
    assert!(target["requests"].as_u64() > Some(40) && target["errors"] == 0, "{target}");
    let home = folder.path().to_owned();
    eventually("the end of Locust's processes", || async { processes_in(&home).is_empty().then_some(()) }).await;
    assert_eq!(left(folder.path()), Vec::<PathBuf>::new());
}

fn processes_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let working = entries.filter_map(|entry| std::fs::read_link(entry.path().join("cwd")).ok());
    working.filter(|cwd| cwd.starts_with(folder)).collect()
}

#[test]
fn workers_of_other_machines_join_by_locusts_own_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = "name: joined\nrequests: [{name: one, path: /ok}]\nphases: [{virtual_users: 2, iterations: 40}]\n";
    let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").port();
    let listen = format!("127.0.0.1:{port}");
    let more = ["--engine", "locust", "--listen", &listen];
    let mut bench = bench(folder.path(), &format!("{}/", raw_server::start(serve)), scenario, &more);
    let mut process = bench.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let lines = BufReader::new(process.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let mut told = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let command = format!("locust -f - --worker --master-host ADDRESS --master-port {port}");
    let says = |event: &Value| event["reason"].as_str().is_some_and(|reason| reason.contains(&command));
    assert!(told.any(|event| says(&event)), "it says what it waits for");
    let program = python(folder.path());
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let mut worker = Command::new(&program);
            worker.args(["-m", "locust", "-f", "-", "--worker", "--master-host", "127.0.0.1", "--master-port"]);
            worker.arg(port.to_string()).env_clear().env("HOME", folder.path()).current_dir(folder.path());
            worker.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs")
        })
        .collect();
    std::thread::spawn(move || told.for_each(drop));
    let output = process.wait_with_output().expect("it ends");
    let record: Value = serde_json::from_slice(&output.stdout).expect("a record");
    assert_eq!((&record["targets"][0]["requests"], &record["targets"][0]["errors"]), (&json!(40), &json!(0)));
    // They end with the load.
    for mut worker in workers {
        assert!(worker.wait().expect("it ends").code().is_some());
    }
}

const GENERATORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stacks/load-generators.yaml");

#[tokio::test(flavor = "multi_thread")]
async fn load_generators_of_the_stack_carry_one_load_after_the_other_and_go_with_it() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").port();
    let stack = Rehearsal::edited(GENERATORS, &[("127.0.0.1:5557", &format!("127.0.0.1:{port}"))]);
    let plan = stack.cloudscale(&["diff"]).ok().stdout;
    let declared = format!("2 × t2.small as load generators, 2 workers for 127.0.0.1:{port}");
    assert!(plan.contains(&declared), "{plan}");
    let stack = stack.up();
    let own = stack.status()["clusters"][1].clone();
    assert_eq!(
        (&own["name"], &own["kind"], &own["target_group"]),
        (&json!("load-generators"), &json!("fixed"), &json!(null))
    );
    assert_eq!((own["instances"].as_array().map(Vec::len), &stack.audit()["target groups"]), (Some(2), &json!(1)));
    stack.cloudscale(&["diff", "--exit-code"]).ok();

    let scenario = "name: joined\nrequests: [{name: one, path: /ok}]\nphases: [{virtual_users: 4, iterations: 40}]\n";
    let scenario = stack.file("scenario.yaml", scenario);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([venv().join("bin")].into_iter().chain(std::env::split_paths(&path)));
    let path = path.expect("a path");
    // Their workers wait for the next master as they waited for the first.
    for _ in 0..2 {
        let mut bench = stack.region.command(&["bench", "--json", "--engine", "locust", "--metrics-timeout", "1s"]);
        bench.env("PATH", &path).env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"));
        bench.arg("--scenario").arg(&scenario).arg(&stack.stack).current_dir(stack.folder());
        let answer = Answer::of(&mut bench);
        assert!(matches!(answer.code, Some(0 | 4)), "{}", answer.stderr);
        let record = answer.json();
        assert_eq!((&record["targets"][0]["requests"], &record["targets"][0]["errors"]), (&json!(40), &json!(0)));
        assert_eq!(record["client"]["engine"], "Locust 2.47.0 with 2 workers");
        let proven: Vec<_> = record["setup"]["clusters"].as_array().expect("clusters").iter().collect();
        assert_eq!(proven.iter().map(|cluster| &cluster["name"]).collect::<Vec<_>>(), ["web"]);
        let spans = record["cloud"]["instances"].as_array().expect("instances");
        assert_eq!(spans.iter().filter(|span| span["cluster"] == "load-generators").count(), 2, "they cost, too");
    }
    stack.cloudscale(&["down"]).ok();
    assert_eq!(stack.audit(), json!({}));
}

/// A Python that has Locust: the tests' own, or the one that the program has installed.
fn python(home: &Path) -> PathBuf {
    let of = |python: PathBuf| {
        let mut ask = Command::new(&python);
        ask.args(["-c", "import importlib.metadata as m; m.version('locust')"]).env_clear().env("HOME", home);
        ask.stderr(Stdio::null()).status().is_ok_and(|status| status.success()).then_some(python)
    };
    let cached = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache/cloudscale/locust-2.47.0/bin/python");
    of(venv().join("bin/python")).or_else(|| of(cached)).expect("Locust is installed")
}
