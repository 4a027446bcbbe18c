//! The scenario language: its keys, and a file read into a [`Scenario`] or all its problems.
//!
//! This file has the top of it; `phases.rs` reads what load a phase demands, `threads.rs` the older chains of steps,
//! `requests.rs` what is sent. docs/scenarios.md shows it with examples.

mod chaos;
pub mod phases;
mod requests;
mod threads;

use std::path::Path;
use std::sync::Arc;

use super::arrivals::Spacing;
use super::scenario::{Scenario, TargetChoice};
use super::threshold::Threshold;
use crate::document::grammar::Presence::{Default, Optional};
use crate::document::grammar::{Key, Kind, Object, Presence};
use crate::document::yaml;
use crate::document::{Document, Fields, scalar_text};
use crate::problem::{Problem, Problems, Source};

/// To one target.
const CONNECTIONS_MAX: i64 = 20_000;
/// Also steps of a thread.
const PHASES_MAX: usize = 1000;

const NAME: Kind = Kind::Pattern {
    regex: "^[A-Za-z0-9][A-Za-z0-9_-]*$",
    characters_max: 32,
    form: "a name of letters, digits, `-` and `_`, at most 32",
};
const PATH: Kind = Kind::Pattern {
    regex: "^/[!-\"$-~]*$",
    characters_max: 1024,
    form: "a path that begins with `/`, percent-encoded",
};

/// The top of a scenario file.
pub static SCENARIO: Object = Object {
    name: "scenario",
    about: "The load that `bench` sends, and what it must reach.",
    keys: &[
        key("name", NAME, Optional, "Shown in the report; without it, the file's name."),
        key(
            "targets",
            Kind::Map { keys: &NAME, values: &PATH },
            Optional,
            "Cluster: path. Without it, every cluster of the stack is loaded on its first route.",
        ),
        key("timeout", duration(1, 600_000), Default("10s"), "Time limit of a request."),
        key("expect", Kind::Object(&requests::EXPECT), Optional, "What a correct answer is."),
        key(
            "requests",
            Kind::List(&Kind::Object(&requests::REQUEST)),
            Optional,
            "What is sent, by weight. Without it, GET on the target's path.",
        ),
        key("keep_alive", Kind::Flag, Default("true"), "Whether a connection carries more than one request."),
        key(
            "connections",
            Kind::Integer { min: 1, max: CONNECTIONS_MAX },
            Default("10000"),
            "Connections that an open load may open to a target; beyond them requests wait.",
        ),
        key("warm_up", duration(0, 3_600_000), Default("0s"), "Requests due before this are sent and not counted."),
        key(
            "repeat",
            Kind::Integer { min: 1, max: 100 },
            Default("1"),
            "How often all of it is done; five show how runs differ.",
        ),
        key(
            "arrivals",
            Kind::Choice(&["even", "poisson"]),
            Default("even"),
            "How the requests of a rate are spread: evenly, or independent of each other.",
        ),
        key("seed", Kind::Integer { min: 0, max: i64::MAX }, Default("1"), "Of `arrivals: poisson`."),
        key(
            "phases",
            Kind::List(&Kind::Object(&phases::PHASE)),
            Optional,
            "The load, one phase after the other; every target gets it. A scenario has `phases` or `threads`.",
        ),
        key(
            "threads",
            Kind::Map { keys: &NAME, values: &Kind::Object(&threads::THREAD) },
            Optional,
            "Chains of steps; every target gets all of them; all start together.",
        ),
        key(
            "chaos",
            Kind::List(&Kind::Object(&chaos::STEP)),
            Optional,
            "What is broken while the load runs; the report tells how the stack healed.",
        ),
        key(
            "thresholds",
            Kind::List(&Kind::Text),
            Optional,
            "What each target must reach: `errors < 1%`, `p99 < 500ms`, `rate > 100/s`, `evenness > 90%`.",
        ),
    ],
};

const fn key(name: &'static str, kind: Kind, presence: Presence, about: &'static str) -> Key {
    Key { name, kind, presence, about }
}

const fn duration(min_ms: u64, max_ms: u64) -> Kind {
    Kind::Duration { min_ms, max_ms, step_ms: 1 }
}

/// Reads a scenario file.
///
/// # Errors
/// Every mistake of the file at once.
pub fn load(path: &Path) -> Result<Scenario, Problems> {
    let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    parse(yaml::source(path)?, &stem, path.parent().unwrap_or(Path::new("")))
}

/// As [`load`], of a text; `stem` is the name of a scenario that has none of its own, `folder` where its files are.
pub fn parse(source: Arc<Source>, stem: &str, folder: &Path) -> Result<Scenario, Problems> {
    let document = Document::parse(source, &SCENARIO)?;
    let fields = document.fields();
    let mut problems = document.problems.clone();
    let spacing = match fields.text("arrivals").as_str() {
        "poisson" => Spacing::Poisson { seed: fields.integer("seed") },
        _ => Spacing::Even,
    };
    let flows = match (fields.is_written("phases"), fields.is_written("threads")) {
        (true, false) => phases::read(&fields, folder, spacing, &mut problems),
        (false, true) => threads::read(&document.source, &fields, &mut problems),
        (both, _) => {
            let detail =
                format!("a scenario has `phases` or `threads`, but here are {}", if both { "both" } else { "none" });
            let problem = fields.problem(if both { "threads" } else { "phases" }, "What to send is not clear", detail);
            problems.push(problem.hint("for example `phases: [{rate: 100/s, duration: 1m}]`"));
            Vec::new()
        }
    };
    let scenario = Scenario {
        name: fields.text_written("name").unwrap_or_else(|| stem.to_owned()),
        targets: targets(&fields),
        requests: requests::read(&fields, folder, &mut problems),
        keep_alive: fields.flag("keep_alive"),
        warm_up: fields.duration("warm_up"),
        connections_max: fields.integer("connections"),
        repeat: fields.integer("repeat"),
        flows,
        chaos: chaos::read(&fields, &mut problems),
        thresholds: thresholds(&fields, &mut problems),
    };
    if problems.has_errors() {
        problems.0.sort_by_key(|problem| problem.place.as_ref().map(|place| place.bytes.start));
        return Err(problems);
    }
    Ok(scenario)
}

fn targets(fields: &Fields<'_>) -> Vec<TargetChoice> {
    let entries = fields.map("targets").iter();
    entries
        .map(|entry| TargetChoice {
            cluster: entry.key.clone(),
            path: scalar_text(&entry.value).filter(|_| !entry.value.is_null()).map(str::to_owned),
        })
        .collect()
}

fn thresholds(fields: &Fields<'_>, problems: &mut Problems) -> Vec<Threshold> {
    let mut thresholds = Vec::new();
    for node in fields.list("thresholds") {
        match scalar_text(node).unwrap_or_default().parse::<Threshold>() {
            Ok(threshold) => thresholds.push(threshold),
            Err(why) => problems.push(
                Problem::usage("Not a threshold", why)
                    .at(fields.place_of(node))
                    .hint("for example `errors < 1%`, `p99 < 500ms`, `rate > 100/s`"),
            ),
        }
    }
    thresholds
}

/// A scenario of a test.
#[cfg(test)]
fn parse_text(text: &str) -> Result<Scenario, Problems> {
    parse(Arc::new(Source { name: "load.yaml".into(), text: text.into() }), "load", Path::new(""))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::benchmark::arrivals::Curve;
    use crate::benchmark::scenario::{Closed, Expect, Load, RequestChoice};

    fn read(text: &str) -> Result<Scenario, Problems> {
        parse_text(text)
    }

    fn problems(text: &str) -> Vec<String> {
        read(text).expect_err("the scenario is wrong").0.iter().map(ToString::to_string).collect()
    }

    fn loads(scenario: &Scenario) -> Vec<Vec<Load>> {
        scenario.flows.iter().map(|flow| flow.phases.iter().map(|phase| phase.load.clone()).collect()).collect()
    }

    fn requests(count: u64) -> Load {
        Load::Closed(Closed { users: 1, iterations: Some(count), duration: None, think_time: Duration::ZERO })
    }

    #[test]
    fn the_laboratorys_scenario_is_the_known_load() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks/log8415.yaml");
        let scenario = load(&path).expect("the shipped scenario is valid");
        assert_eq!(scenario.name, "log8415");
        let pause = Load::Pause(Duration::from_secs(60));
        assert_eq!(loads(&scenario), [vec![requests(1000)], vec![requests(500), pause, requests(1000)]]);
        assert_eq!(scenario.planned(), Some(2500));
    }

    #[test]
    fn every_shipped_scenario_is_valid() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks");
        let mut count = 0;
        for entry in std::fs::read_dir(&folder).expect("the folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                load(&path).unwrap_or_else(|problems| panic!("{}: {problems:?}", path.display()));
                count += 1;
            }
        }
        assert!(count >= 2);
        let planned = |file: &str| load(&folder.join(file)).expect("valid").planned();
        assert_eq!(planned("quick.yaml"), planned("log8415.yaml"));
    }

    #[test]
    fn what_is_not_written_has_its_default() {
        let scenario = read("threads: {A: {steps: [{requests: 5}]}}").expect("a valid scenario");
        assert_eq!((scenario.name.as_str(), scenario.requests), ("load", vec![RequestChoice::default()]));
        assert!(scenario.targets.is_empty() && scenario.thresholds.is_empty() && scenario.keep_alive);
        assert_eq!((scenario.warm_up, scenario.connections_max), (Duration::ZERO, 10_000));
    }

    #[test]
    fn every_key_is_read() {
        let scenario = read(concat!(
            "name: burst\ntimeout: 500ms\ntargets: {light: /cluster1/x}\nexpect: {status: 201, contains: hello}\n",
            "keep_alive: false\nconnections: 50\nwarm_up: 10s\narrivals: poisson\nseed: 9\n",
            "requests:\n- {name: list, weight: 8}\n",
            "- {name: put, method: PUT, path: /objs/1, headers: {X-Key: a b}, body: hi, timeout: 1s, expect: {status: 204}}\n",
            "phases: [{name: calm, rate: 120/m, duration: 10s}]\nthresholds: ['p99 < 1s']\n",
        ))
        .expect("a valid scenario");
        assert_eq!(scenario.name, "burst");
        assert_eq!(scenario.targets, [TargetChoice { cluster: "light".into(), path: Some("/cluster1/x".into()) }]);
        let expect = Expect { status: 201, contains: Some("hello".into()) };
        let list = RequestChoice {
            name: "list".into(),
            weight: 8,
            timeout: Duration::from_millis(500),
            expect,
            ..RequestChoice::default()
        };
        let put = RequestChoice {
            name: "put".into(),
            method: "PUT".into(),
            path: "/objs/1".into(),
            headers: vec![("X-Key".into(), "a b".into())],
            body: b"hi".to_vec(),
            timeout: Duration::from_secs(1),
            expect: Expect { status: 204, contains: None },
            ..RequestChoice::default()
        };
        assert_eq!(scenario.requests, [list, put]);
        assert_eq!(
            (scenario.keep_alive, scenario.connections_max, scenario.warm_up),
            (false, 50, Duration::from_secs(10))
        );
        let curve = Curve::constant(2.0, Duration::from_secs(10));
        assert_eq!(loads(&scenario), [[Load::Open { curve, spacing: Spacing::Poisson { seed: 9 } }]]);
        assert_eq!((scenario.flows[0].phases[0].label().as_str(), scenario.planned()), ("calm", Some(20)));
        assert_eq!(scenario.thresholds[0].to_string(), "p99 < 1000ms");
    }

    #[test]
    fn every_mistake_is_found_with_its_place() {
        let found = problems(concat!(
            "threads:\n  A:\n    steps:\n    - request: 5\n    - {pause: 60}\n",
            "thresholds: [latency < 5ms]\ntimeuot: 1s\n",
        ));
        let starts = [
            "load.yaml:4:7: Unknown key",
            "load.yaml:5:15: Invalid value",
            "load.yaml:6:14: Not a threshold",
            "load.yaml:7:1: Unknown key",
        ];
        for start in starts {
            assert!(found.iter().any(|problem| problem.starts_with(start)), "{start} in {found:#?}");
        }
    }

    #[test]
    fn a_scenario_that_sends_nothing_is_refused() {
        assert!(problems("threads: {A: {steps: [{pause: 1s}]}}")[0].contains("The scenario sends nothing"));
        assert!(problems("threads: {}")[0].contains("Wrong number of threads"));
        assert!(problems("threads: {A: {steps: []}}")[0].contains("Wrong number of steps"));
        assert!(problems("phases: []")[0].contains("Wrong number of phases"));
        assert!(problems("phases: [{pause: 1s}]")[0].contains("The scenario sends nothing"));
        assert!(problems("name: a")[0].contains("What to send is not clear"));
        assert!(problems("phases: [{pause: 1s}]\nthreads: {A: {steps: [{requests: 1}]}}")[0].contains("not clear"));
    }
}
