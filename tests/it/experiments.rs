//! Experiments whose truth is known: an instance of one virtual CPU that every request keeps busy for 20 ms carries 50 a second.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};

use super::rehearsal::Rehearsal;

const SERVICE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/userdata/service.sh");
const CAPACITY: f64 = 50.0;

/// Ten times as fast as the wall, so that instances come quickly; rates are by the wall all the same. No CPU is over the
/// target, so that the policy does not answer to an experiment when that has ended and it may act again.
fn group() -> Rehearsal {
    let health = "    health_check: {path: /health, interval: 5s, timeout: 4s, healthy: 2, unhealthy: 5}\n";
    up("known", 10, 20, health, (3, 100))
}

/// A group of one t2.small at first, of at most so many, that tracks a CPU in percent.
fn up(name: &str, speed: u32, service_ms: u32, health_check: &str, (max, cpu): (u32, u32)) -> Rehearsal {
    let mut stack = Rehearsal::of("");
    let text = format!(
        "
name: {name}
local: {{speed: {speed}}}
variables: {{service_ms: {service_ms}}}
clusters:
  web:
    instance_type: t2.small
    user_data: {SERVICE}
    port: 8080
    routes: [\"/*\"]
{health_check}    autoscaling:
      min: 1
      max: {max}
      desired: 1
      policies: [target_tracking: {{metric: cpu, target: {cpu}}}]
"
    );
    stack.stack = stack.file("stack.yaml", &text);
    stack.up()
}

fn folder_of(stack: &Rehearsal, kind: &str, id: &Value) -> PathBuf {
    folder_in(stack, "known", kind, id)
}

fn folder_in(stack: &Rehearsal, name: &str, kind: &str, id: &Value) -> PathBuf {
    stack.folder().join(".cloudscale").join(name).join(kind).join(id.as_str().expect("a name"))
}

fn suspended(stack: &Rehearsal) -> Value {
    let query = "AutoScalingGroups[].SuspendedProcesses[].ProcessName";
    let answer = stack.aws(&["autoscaling", "describe-auto-scaling-groups", "--output", "json", "--query", query]);
    answer.ok().json()
}

#[tokio::test(flavor = "multi_thread")]
async fn calibrate_finds_the_true_capacity_and_leaves_the_group_as_it_was() {
    let stack = group();
    let arguments = ["calibrate", "--max", "2", "--launches", "1", "--each", "6s", "--json"];
    let calibration = stack.cloudscale(&arguments).ok().json();
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{calibration}"));
    // Within 5 %, or, where the machine was too busy for that, within what its interval says.
    let (capacity, interval) = (number(&calibration["capacity"]["value"]), &calibration["capacity"]["interval"]);
    let within = (number(&interval["low"])..=number(&interval["high"])).contains(&CAPACITY);
    assert!((capacity - CAPACITY).abs() <= 0.05 * CAPACITY || within, "{}", calibration["capacity"]);
    // One after the other, as one virtual CPU serves them.
    let service = &calibration["service"];
    assert!((12.0..30.0).contains(&number(&service["p50_ms"])), "{service}");
    // On a busy machine some answers are late, so that more than one distribution may be the nearest.
    assert!(["fixed", "exponential", "lognormal"].map(Value::from).contains(&service["distribution"]), "{service}");
    // Two carry twice as much.
    let scaling = calibration["scaling"].as_array().expect("points");
    assert_eq!(scaling.iter().map(|point| &point["instances"]).collect::<Vec<_>>(), [1, 2]);
    let two = number(&scaling[1]["rate"]["value"]);
    assert!((two - 2.0 * CAPACITY).abs() <= 0.2 * CAPACITY * 2.0, "{}", calibration["scaling"]);
    // The knee is below what it carries, and rates were searched on both sides of it.
    let rates = calibration["rates"].as_array().expect("rates");
    let demanded: Vec<f64> = rates.iter().map(|rate| number(&rate["demanded"])).collect();
    assert!(demanded.iter().any(|rate| *rate < 0.5 * CAPACITY) && demanded.iter().any(|rate| *rate > CAPACITY));
    assert!(calibration["knee"].as_f64().is_none_or(|knee| knee <= 1.1 * CAPACITY), "{}", calibration["knee"]);
    let launches = calibration["launches"].as_array().expect("launches");
    assert!(
        !launches.is_empty() && launches.iter().all(|launch| number(&launch["healthy_after"]) > 0.0),
        "{launches:?}"
    );
    // What is printed is what is kept, with a page that stands alone.
    let folder = folder_of(&stack, "calibrations", &calibration["calibration"]);
    let kept: Value =
        serde_json::from_slice(&std::fs::read(folder.join("calibration.json")).expect("kept")).expect("JSON");
    assert_eq!(kept, calibration);
    let page = std::fs::read_to_string(folder.join("report.html")).expect("a page");
    assert!(
        page.matches("<svg").count() >= 3 && !page.contains("http://127"),
        "{} plots",
        page.matches("<svg").count()
    );
    assert_eq!(suspended(&stack), json!([]));
    assert_eq!(stack.status()["clusters"][0]["desired"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_added_until_a_rate_holds_or_there_may_be_no_more() {
    let stack = group();
    let until = |rate: &str, max: &str| {
        let arguments =
            ["bench", "--scale-until", rate, "--every", "20s", "--within", "10m", "--users", "16", "--max", max];
        stack.cloudscale(&[&arguments[..], &["--metrics-timeout", "1s", "--json"]].concat())
    };
    // One carries 50, two 100.
    let record = until("80/s", "3").ok().json();
    let steps = record["scaling"]["steps"].as_array().expect("steps").clone();
    let told = |step: &Value| (step["instances"].as_u64(), step["held"].as_bool());
    assert_eq!(
        steps.iter().map(told).collect::<Vec<_>>(),
        [(Some(1), Some(false)), (Some(2), Some(true))],
        "{steps:?}"
    );
    let rate = |step: &Value| step["rate"].as_f64().expect("a rate");
    assert!((25.0..=60.0).contains(&rate(&steps[0])) && (80.0..=120.0).contains(&rate(&steps[1])), "{steps:?}");
    let page = std::fs::read_to_string(folder_of(&stack, "runs", &record["run"]).join("report.html")).expect("a page");
    assert!(page.contains("80/s"), "the rate that was asked for is on the page");
    // It keeps what it has, and its policies go on.
    assert_eq!(suspended(&stack), json!([]));
    assert!(stack.status()["clusters"][0]["desired"].as_u64() >= Some(1));
    // A rate that two cannot carry is missed, and what they did is kept.
    let missed = until("400/s", "2");
    assert_eq!(missed.code, Some(4), "{}", missed.stderr);
    let record = missed.json();
    assert_eq!((&record["scaling"]["held"], &record["verdict"]), (&json!(false), &json!("missed")));
    assert!(record["targets"][0]["requests"].as_u64() > Some(100), "{}", record["targets"][0]["requests"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_of_a_run_has_the_alarm_that_called_for_more_and_the_refresh_that_went_on() {
    let stack = up("told", 60, 50, "", (2, 50));
    // Half as much again as one instance carries.
    let scenario = stack.file("scenario.yaml", "name: told\nphases: [{rate: 30/s, duration: 10m}]\n");
    let mut bench = stack.region.command(&["bench", "--json", "--metrics-timeout", "1s", "--scenario"]);
    bench.arg(scenario).arg(&stack.stack).current_dir(stack.folder()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut bench = bench.spawn().expect("it runs");
    let lines = BufReader::new(bench.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let mut told = lines.filter(|line| line.contains("bench_progress"));
    told.next().expect("the load has begun");
    let group = stack.status()["clusters"][0]["group"].as_str().expect("a group").to_owned();
    let refresh = stack.region.clients().autoscaling.start_instance_refresh().auto_scaling_group_name(group);
    let refresh = refresh.send().await.expect("it starts").instance_refresh_id().expect("an id").to_owned();
    let rest = std::thread::spawn(move || told.for_each(drop));
    let output = bench.wait_with_output().expect("it ends");
    rest.join().expect("all was read");
    let record: Value = serde_json::from_slice(&output.stdout).expect("a record");
    let cloud = &record["cloud"];
    assert_eq!(cloud["missing"], json!([]));
    let alarms = cloud["alarms"].as_array().expect("alarms");
    let called = alarms.iter().find(|alarm| alarm["to"] == "ALARM" && alarm["label"] == "high").expect("it was called");
    assert_eq!(
        (&called["cluster"], &called["comparison"], &called["threshold"]),
        (&json!("web"), &json!(">"), &json!(50.0))
    );
    let values = called["values"].as_array().expect("values");
    assert!(values.iter().any(|value| value.as_f64() > Some(50.0)), "{called}");
    let signal = &cloud["signals"][0];
    assert_eq!((&signal["cluster"], &signal["period_seconds"]), (&json!("web"), &json!(60.0)));
    let points = signal["points"].as_array().expect("points").iter();
    let points: Vec<_> = points.map(|point| (point[0].as_f64(), point[1].as_f64())).collect();
    assert!(points.iter().all(|(at, _)| (Some(-60.0)..Some(660.0)).contains(at)), "{signal}");
    assert!(points.iter().any(|(_, value)| *value > Some(50.0)), "{signal}");
    let limits = signal["thresholds"].as_array().expect("thresholds").iter();
    let limits: Vec<_> = limits.map(|limit| (&limit["label"], &limit["comparison"])).collect();
    assert_eq!(limits, [(&json!("high"), &json!(">")), (&json!("low"), &json!("<"))]);
    let refreshes = cloud["refreshes"].as_array().expect("refreshes");
    let ids: Vec<_> = refreshes.iter().map(|own| (&own["id"], &own["cluster"])).collect();
    assert_eq!(ids, [(&json!(refresh), &json!("web"))]);
    let folder = folder_in(&stack, "told", "runs", &record["run"]);
    let page = std::fs::read_to_string(folder.join("report.html")).expect("a page");
    assert!(
        page.contains("class=\"alarm\"") && page.contains("class=\"breach\"") && page.contains("instance refresh"),
        "all of them are on the axis or in the list"
    );
    let events = std::fs::read_to_string(folder.join("events.csv")).expect("the events");
    assert!(events.contains(",ALARM,") && events.contains(&refresh), "{events}");
}
