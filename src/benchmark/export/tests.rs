//! The scripts say what the scenario says, hold nothing of it as code, and the tools' languages accept them.

mod languages;

use std::sync::Arc;

use super::*;
use crate::benchmark::language::parse;
use crate::problem::Source;

pub const SCENARIO: &str = r#"
name: mix
redirects: 2
warm_up: 5s
data: users.csv
requests:
  - {name: list, weight: 8, path: '/u/${csv.user}'}
  - {name: put, weight: 2, method: PUT, path: /o, headers: {X-Key: '"; throw 1; //'}, body: "a'''\n\\\"b", expect: {status: 201}}
phases:
  - {name: calm, rate: 30/m, duration: 1m}
  - {start_rate: 10/s, stages: [{target: 50/s, duration: 2m}, {target: 5/s, duration: 0s}, {target: 5/s, duration: 1m}]}
  - {stages: [{target: 20, duration: 30s}], think_time: 1s}
  - {virtual_users: 5, duration: 10s}
  - {pause: 10s}
thresholds: [errors < 1%, 'p99 < 500ms', 'phase calm: p95 < 1s']
"#;

pub fn scenario(text: &str) -> Scenario {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("users.csv"), "user\nana\nbo\n").expect("written");
    parse(Arc::new(Source { name: "load.yaml".into(), text: text.into() }), "load", folder.path()).expect("valid")
}

#[test]
fn the_scenario_is_data_in_the_scripts_and_comes_back_as_it_was() {
    let scenario = scenario(SCENARIO);
    let spec = spec(&scenario, "http://127.0.0.1:8080/app/", &mut Vec::new());
    let k6 = export(&scenario, "http://127.0.0.1:8080/app/", Tool::K6).text;
    let within = k6.split("const SPEC = ").nth(1).and_then(|rest| rest.split(";\nconst BASE").next()).expect("a text");
    assert_eq!(serde_json::from_str::<Value>(within).expect("JSON"), spec);
    let locust = export(&scenario, "http://127.0.0.1:8080/app/", Tool::Locust).text;
    let literal = locust.split("json.loads(").nth(1).and_then(|rest| rest.split(")\nTARGETS").next()).expect("a text");
    let text: String = serde_json::from_str(literal).expect("a JSON string");
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), spec);
    assert_eq!((&spec["base"], &spec["redirects"]), (&json!("http://127.0.0.1:8080/app"), &json!(2)));
    let phases = spec["flows"][0]["phases"].as_array().expect("phases");
    assert_eq!(phases[0]["segments"], json!([[60.0, 0.5, 0.5]]));
    assert_eq!(phases[1]["segments"], json!([[120.0, 10.0, 50.0], [60.0, 5.0, 5.0]]));
    assert_eq!(
        (&phases[2]["kind"], &phases[3]["users"], &phases[4]["duration"]),
        (&json!("ramping"), &json!(5), &json!(10.0))
    );
    assert_eq!(spec["thresholds"], json!({"http_req_failed": ["rate<0.01"], "http_req_duration": ["p(99)<500"]}));
}

#[test]
fn what_a_tool_cannot_say_is_told() {
    let notes = |tool| export(&scenario(SCENARIO), "http://a/", tool).notes.join("\n");
    assert!(notes(Tool::K6).contains("no warm-up") && notes(Tool::K6).contains("thresholds on other things"));
    assert!(notes(Tool::Locust).contains("only while answers take less than a second"));
    assert!(notes(Tool::Oha).contains("the first of the mix") && notes(Tool::Oha).contains("sent as its mean"));
}

#[test]
fn ohas_commands_have_the_phases_rates_and_times() {
    let text = export(&scenario(SCENARIO), "http://a/", Tool::Oha).text;
    let commands: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && *line != "set -eu").collect();
    assert_eq!(commands[0], "sleep 60", "half a request a second is less than oha's least rate");
    assert!(
        commands[1].starts_with("oha --no-tui --latency-correction -q 30 -c 60 -z 120s -m GET -t 10s -r 2 "),
        "{text}"
    );
    assert!(commands[3].starts_with("oha --no-tui -c 5 -z 10s ") && commands[4] == "sleep 10", "{text}");
}
