//! The scenario language: its keys, and a file read into a [`Scenario`] or all its problems.
//!
//! This file has the top of it; `phases.rs` reads what load a phase demands, `threads.rs` the older chains of steps,
//! `requests.rs` what is sent, `data.rs` and `replay.rs` the files that it comes from. docs/scenarios.md shows it with
//! examples.

mod chaos;
mod data;
pub mod phases;
mod replay;
mod requests;
mod threads;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::arrivals::Spacing;
use super::scenario::{Scenario, TargetChoice};
use super::threshold::Threshold;
use crate::document::grammar::Presence::{Default, Optional};
use crate::document::grammar::{Key, Kind, Object, Presence};
use crate::document::name::key;
use crate::document::yaml::{self, Node};
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
        key(
            "data",
            Kind::Text,
            Optional,
            "A CSV file beside the scenario; `${csv.COLUMN}` in paths, headers and bodies is a field of its next row.",
        ),
        key(
            "redirects",
            Kind::Integer { min: 0, max: 20 },
            Default("0"),
            "How many redirects to the same server a request follows; its time goes on.",
        ),
        key("keep_alive", Kind::Flag, Default("true"), "Whether a connection carries more than one request."),
        key(
            "protocol",
            Kind::Choice(&["http1.1", "http2"]),
            Default("http1.1"),
            "HTTP/2 goes to targets of `https`; up to 100 users share a connection.",
        ),
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
            "What is broken while the load runs; the report shows how the stack healed.",
        ),
        key(
            "thresholds",
            Kind::List(&Kind::OneOf(&[Kind::Text, Kind::Object(&THRESHOLD)])),
            Optional,
            "What each target must reach: `errors < 1%`, `p99 < 500ms`, `rate > 100/s`, `evenness > 90%`.",
        ),
        key(
            "instance_weights",
            Kind::Map { keys: &INSTANCE_TYPE, values: &Kind::Number },
            Optional,
            "What an hour of an instance type counts as in `instance_hours`: `m5.large: 4`.",
        ),
    ],
};

pub static THRESHOLD: Object = Object {
    name: "threshold",
    about: "A condition that may end the run.",
    keys: &[
        key("threshold", Kind::Text, Presence::Required, "The condition, as `errors < 10%`."),
        key("abort", Kind::Flag, Default("false"), "`true`: the run ends where it does not hold."),
        key(
            "after",
            duration(0, 86_400_000),
            Default("10s"),
            "With `abort`: not before, as the first answers are few.",
        ),
    ],
};

const INSTANCE_TYPE: Kind = Kind::Pattern {
    regex: "^[a-z0-9-]+[.][a-z0-9-]+$",
    characters_max: 32,
    form: "an instance type such as `m5.large`",
};

const fn key(name: &'static str, kind: Kind, presence: Presence, about: &'static str) -> Key {
    Key { name, kind, presence, about }
}

const fn duration(min_ms: u64, max_ms: u64) -> Kind {
    Kind::Duration { min_ms, max_ms, step_ms: 1 }
}

/// A file that a key names, beside the scenario.
///
/// # Errors
/// Why it cannot be read, with its name.
fn beside(folder: &Path, name: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
    let path = folder.join(name);
    let read = || {
        let metadata = std::fs::metadata(&path).map_err(|error| error.to_string())?;
        if !metadata.is_file() {
            return Err("it is not a file".to_owned());
        }
        if metadata.len() > bytes_max {
            return Err(format!("{} bytes are more than {bytes_max}", metadata.len()));
        }
        std::fs::read(&path).map_err(|error| error.to_string())
    };
    read().map_err(|why| format!("{}: {why}", path.display()))
}

/// As [`beside`], of text.
fn text_beside(folder: &Path, name: &str, bytes_max: u64) -> Result<String, String> {
    String::from_utf8(beside(folder, name, bytes_max)?)
        .map_err(|_| format!("{}: it is not UTF-8", folder.join(name).display()))
}

/// Reads a scenario file.
///
/// # Errors
/// Every mistake of the file at once.
pub fn load(path: &Path) -> Result<Scenario, Problems> {
    let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    parse(yaml::source(path)?, &stem, path.parent().unwrap_or(Path::new("")))
}

/// A scenario of nothing but defaults: GET on each cluster's first route.
pub fn plain() -> Scenario {
    let text = "phases: [{virtual_users: 1, iterations: 1}]".to_owned();
    let source = Arc::new(Source { name: "the default scenario".into(), text });
    parse(source, "default", Path::new("")).expect("it is valid, as a test sees")
}

/// As [`load`], of a text; `stem` is the name of a scenario that has none of its own, `folder` where its files are.
pub fn parse(source: Arc<Source>, stem: &str, folder: &Path) -> Result<Scenario, Problems> {
    let document = Document::parse(source, &SCENARIO)?;
    let fields = document.fields();
    let mut problems = document.problems.clone();
    let spacing = match fields.text(key!(SCENARIO, "arrivals")).as_str() {
        "poisson" => Spacing::Poisson { seed: fields.integer(key!(SCENARIO, "seed")) },
        _ => Spacing::Even,
    };
    let mut replayed = replay::Replayed::new(&fields);
    let flows = match (fields.is_written(key!(SCENARIO, "phases")), fields.is_written(key!(SCENARIO, "threads"))) {
        (true, false) => phases::read(&fields, folder, spacing, &mut replayed, &mut problems),
        (false, true) => threads::read(&document.source, &fields, &mut problems),
        (both, _) => {
            let detail =
                format!("a scenario has `phases` or `threads`, but here are {}", if both { "both" } else { "none" });
            let problem = fields.problem(if both { "threads" } else { "phases" }, "What to send is not clear", detail);
            problems.push(problem.hint("for example `phases: [{rate: 100/s, duration: 1m}]`"));
            Vec::new()
        }
    };
    let requests = requests::read(&fields, folder, &mut problems);
    let scenario = Scenario {
        data: data::read(&fields, folder, &requests, &mut problems),
        name: fields.text_written(key!(SCENARIO, "name")).unwrap_or_else(|| stem.to_owned()),
        targets: targets(&fields),
        requests,
        replayed: replayed.requests,
        redirects: fields.integer(key!(SCENARIO, "redirects")),
        keep_alive: fields.flag(key!(SCENARIO, "keep_alive")),
        http2: http2(&fields, &mut problems),
        warm_up: fields.duration(key!(SCENARIO, "warm_up")),
        connections_max: fields.integer(key!(SCENARIO, "connections")),
        repeat: fields.integer(key!(SCENARIO, "repeat")),
        flows,
        chaos: chaos::read(&fields, &mut problems),
        thresholds: thresholds(&fields, &mut problems),
        weights: weights(&fields, &mut problems),
    };
    if problems.has_errors() {
        problems.0.sort_by_key(|problem| problem.place.as_ref().map(|place| place.bytes.start));
        return Err(problems);
    }
    Ok(scenario)
}

/// Whether requests are sent in HTTP/2, whose connections carry more than one.
fn http2(fields: &Fields<'_>, problems: &mut Problems) -> bool {
    let asked = fields.text(key!(SCENARIO, "protocol")) == "http2";
    if asked && !fields.flag(key!(SCENARIO, "keep_alive")) {
        let detail = "a connection of HTTP/2 carries many requests, but here each is to have its own".to_owned();
        let problem = fields.problem("keep_alive", "Contradictory connections", detail);
        problems.push(problem.hint("leave out `keep_alive`, or `protocol`"));
    }
    asked
}

fn targets(fields: &Fields<'_>) -> Vec<TargetChoice> {
    let entries = fields.map(key!(SCENARIO, "targets")).iter();
    entries
        .map(|entry| TargetChoice {
            cluster: entry.key.clone(),
            path: scalar_text(&entry.value).filter(|_| !entry.value.is_null()).map(str::to_owned),
        })
        .collect()
}

fn thresholds(fields: &Fields<'_>, problems: &mut Problems) -> Vec<Threshold> {
    let mut thresholds = Vec::new();
    for node in fields.list(key!(SCENARIO, "thresholds")) {
        match threshold(fields, node) {
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

fn threshold(fields: &Fields<'_>, node: &Node) -> Result<Threshold, String> {
    if let Some(text) = scalar_text(node) {
        return text.parse();
    }
    let fields = fields.of_inner(node, &THRESHOLD);
    let threshold: Threshold = fields.text(key!(THRESHOLD, "threshold")).parse()?;
    match (fields.flag(key!(THRESHOLD, "abort")), fields.is_written(key!(THRESHOLD, "after"))) {
        (true, _) => threshold.aborting(fields.duration(key!(THRESHOLD, "after"))),
        (false, true) => Err("`after` means nothing without `abort: true`".to_owned()),
        (false, false) => Ok(threshold),
    }
}

fn weights(fields: &Fields<'_>, problems: &mut Problems) -> BTreeMap<String, f64> {
    let mut weights = BTreeMap::new();
    for entry in fields.map(key!(SCENARIO, "instance_weights")) {
        match scalar_text(&entry.value).and_then(|text| text.parse::<f64>().ok()) {
            Some(weight) if (0.0..=1000.0).contains(&weight) => drop(weights.insert(entry.key.clone(), weight)),
            _ => problems.push(
                Problem::usage("Not a weight", format!("{} counts as a number from 0 to 1000", entry.key))
                    .at(fields.place_of(&entry.value)),
            ),
        }
    }
    weights
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

    /// A reader copies them: each must be valid as it stands, with the files that it names.
    #[test]
    fn every_example_of_the_documentation_is_valid() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
        file("users.csv", "user,key\nana,1\n");
        file("day.csv", "seconds,rate\n0,1\n60,5\n");
        file("access.log", include_str!("../../../tests/data/alb-access.log"));
        let page = include_str!("../../../docs/scenarios.md");
        let blocks: Vec<_> = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(blocks.len() >= 7, "{}", blocks.len());
        for block in blocks {
            let sends = block.contains("phases:") || block.contains("threads:");
            let text = if sends { block.to_owned() } else { format!("{block}phases: [{{rate: 1/s, duration: 1s}}]\n") };
            let source = Arc::new(Source { name: "load.yaml".into(), text });
            parse(source, "load", folder.path()).unwrap_or_else(|problems| panic!("{block}: {problems:?}"));
        }
        // The phases of the table, too.
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `{")?.split("}` |").next());
        let phases: Vec<_> = rows.collect();
        assert!(phases.len() >= 10, "{phases:?}");
        for phase in phases {
            let text = format!("phases: [{{{phase}}}, {{rate: 1/s, duration: 1s}}]\n");
            let source = Arc::new(Source { name: "load.yaml".into(), text });
            parse(source, "load", folder.path()).unwrap_or_else(|problems| panic!("{phase}: {problems:?}"));
        }
    }

    #[test]
    fn what_is_not_written_has_its_default() {
        let scenario = read("threads: {A: {steps: [{requests: 5}]}}").expect("a valid scenario");
        assert_eq!((scenario.name.as_str(), scenario.requests), ("load", vec![RequestChoice::default()]));
        assert!(scenario.targets.is_empty() && scenario.thresholds.is_empty() && scenario.keep_alive);
        assert_eq!((scenario.warm_up, scenario.connections_max), (Duration::ZERO, 10_000));
    }

    #[test]
    fn http_2_is_asked_for_and_contradicts_a_connection_for_each_request() {
        let phases = "phases: [{rate: 1/s, duration: 1s}]\n";
        let of = |keys: &str| read(&format!("{keys}{phases}")).map(|scenario| scenario.http2);
        assert_eq!(
            ["", "protocol: http1.1\n", "protocol: http2\n"].map(|keys| of(keys).ok()),
            [false, false, true].map(Some)
        );
        let problems = of("protocol: http2\nkeep_alive: false\n").expect_err("a contradiction");
        assert_eq!(problems.0[0].summary, "Contradictory connections");
        assert!(problems.0[0].place.is_some());
        assert!(of("protocol: h2\n").is_err());
    }

    #[test]
    fn every_key_is_read() {
        let scenario = read(concat!(
            "name: burst\ntimeout: 500ms\ntargets: {light: /cluster1/x}\nexpect: {status: 201, contains: hello}\n",
            "keep_alive: false\nconnections: 50\nwarm_up: 10s\narrivals: poisson\nseed: 9\n",
            "requests:\n- {name: list, weight: 8}\n",
            "- {name: put, method: PUT, path: /objs/1, headers: {X-Key: a b}, body: hi, timeout: 1s, expect: {status: 204}}\n",
            "phases: [{name: calm, rate: 120/m, duration: 10s}]\n",
            "thresholds: ['p99 < 1s', {threshold: 'errors < 5%', abort: true, after: 3s}]\ninstance_weights: {m5.large: 4}\n",
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
        let aborting = &scenario.thresholds[1];
        assert_eq!(
            (aborting.to_string().as_str(), aborting.abort_after),
            ("errors < 5%", Some(Duration::from_secs(3)))
        );
        assert_eq!(scenario.weights, BTreeMap::from([("m5.large".into(), 4.0)]));
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
    fn a_threshold_that_cannot_end_a_run_says_so() {
        let found =
            |threshold: &str| problems(&format!("phases: [{{rate: 1/s, duration: 1s}}]\nthresholds: [{threshold}]\n"));
        assert!(found("{threshold: 'rate > 5/s', abort: true}")[0].contains("at the end of a run only"));
        assert!(found("{threshold: 'errors < 5%', after: 5s}")[0].contains("means nothing without `abort: true`"));
    }

    #[test]
    fn the_plain_scenario_is_valid() {
        assert_eq!(
            (plain().name.as_str(), plain().planned(), plain().requests),
            ("default", Some(1), vec![RequestChoice::default()])
        );
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
