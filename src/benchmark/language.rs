//! The scenario language: its keys, and a file read into a [`Scenario`] or all its problems.

use std::path::Path;
use std::sync::Arc;

use super::scenario::{Expect, Scenario, Step, TargetChoice, Thread};
use super::threshold::Threshold;
use crate::document::grammar::Presence::{Default, Optional, Required};
use crate::document::grammar::{Key, Kind, Object, Presence};
use crate::document::yaml;
use crate::document::{Document, Fields, scalar_text};
use crate::problem::{Problem, Problems, Source};

/// Over all threads of a target.
const CONNECTIONS_MAX: i64 = 10_000;
const STEPS_MAX: usize = 1000;
const THREADS_MAX: usize = 64;

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
        key("expect", Kind::Object(&EXPECT), Optional, "What a correct answer is."),
        key(
            "threads",
            Kind::Map { keys: &NAME, values: &Kind::Object(&THREAD) },
            Required,
            "Every target gets all of them; all start together.",
        ),
        key(
            "thresholds",
            Kind::List(&Kind::Text),
            Optional,
            "What each target must reach: `errors < 1%`, `p99 < 500ms`, `rate > 100/s`, `evenness > 90%`.",
        ),
    ],
};

static EXPECT: Object = Object {
    name: "expectation",
    about: "What a correct answer is.",
    keys: &[
        key("status", Kind::Integer { min: 200, max: 599 }, Default("200"), "The status code."),
        key("contains", Kind::Text, Optional, "Text in the first 64 KiB of the body."),
    ],
};

static THREAD: Object = Object {
    name: "thread",
    about: "Sends its steps in order.",
    keys: &[
        key(
            "connections",
            Kind::Integer { min: 1, max: CONNECTIONS_MAX },
            Default("1"),
            "Requests under way at once; they share each step's requests.",
        ),
        key("steps", Kind::List(&Kind::Tagged(&STEP)), Required, "What to do, in order."),
    ],
};

static STEP: Object = Object {
    name: "step",
    about: "Requests, or a pause.",
    keys: &[
        key("requests", Kind::Integer { min: 1, max: 1_000_000_000 }, Optional, "Send so many, each after an answer."),
        key("pause", duration(1, 86_400_000), Optional, "Send nothing for so long."),
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
    parse(yaml::source(path)?, &stem)
}

/// As [`load`], of a text; `stem` is the name of a scenario that has none of its own.
pub fn parse(source: Arc<Source>, stem: &str) -> Result<Scenario, Problems> {
    let document = Document::parse(source, &SCENARIO)?;
    let fields = document.fields();
    let mut problems = document.problems.clone();
    let scenario = Scenario {
        name: fields.text_written("name").unwrap_or_else(|| stem.to_owned()),
        targets: targets(&fields),
        timeout: fields.duration("timeout"),
        expect: expect(&fields),
        threads: threads(&document.source, &fields, &mut problems),
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

fn expect(fields: &Fields<'_>) -> Expect {
    let fields = fields.object("expect", &EXPECT);
    Expect { status: fields.integer("status"), contains: fields.text_written("contains") }
}

fn threads(source: &Arc<Source>, fields: &Fields<'_>, problems: &mut Problems) -> Vec<Thread> {
    let entries = fields.map("threads");
    if fields.is_written("threads") && (entries.is_empty() || entries.len() > THREADS_MAX) {
        let detail = format!("a scenario has 1 to {THREADS_MAX} threads, but here are {}", entries.len());
        problems.push(fields.problem("threads", "Wrong number of threads", detail));
    }
    let mut threads = Vec::new();
    for entry in entries {
        let thread = Fields::of(source, &entry.value, &THREAD);
        let steps: Vec<Step> =
            thread.list("steps").iter().filter_map(|node| step(&Fields::of(source, node, &STEP))).collect();
        if thread.is_written("steps") && (thread.list("steps").is_empty() || steps.len() > STEPS_MAX) {
            let detail = format!("a thread has 1 to {STEPS_MAX} steps, but `{}` has {}", entry.key, steps.len());
            problems.push(thread.problem("steps", "Wrong number of steps", detail));
        }
        threads.push(Thread { name: entry.key.clone(), connections: thread.integer("connections"), steps });
    }
    let sends = threads.iter().flat_map(|thread| &thread.steps).any(|step| step.requests() > 0);
    if !threads.is_empty() && !sends && !problems.has_errors() {
        let problem = fields.problem("threads", "The scenario sends nothing", "no thread has a step of requests");
        problems.push(problem.hint("add `requests: 1000` to a thread's steps"));
    }
    threads
}

fn step(fields: &Fields<'_>) -> Option<Step> {
    let requests = fields.integer_written("requests").map(Step::Requests);
    requests.or_else(|| fields.duration_written("pause").map(Step::Pause))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(text: &str) -> Result<Scenario, Problems> {
        parse(Arc::new(Source { name: "load.yaml".into(), text: text.into() }), "load")
    }

    fn problems(text: &str) -> Vec<String> {
        read(text).expect_err("the scenario is wrong").0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_laboratorys_scenario_is_the_known_load() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks/log8415.yaml");
        let scenario = load(&path).expect("the shipped scenario is valid");
        assert_eq!(scenario.name, "log8415");
        let steps: Vec<_> = scenario.threads.iter().map(|thread| thread.steps.clone()).collect();
        let pause = Step::Pause(Duration::from_secs(60));
        assert_eq!(steps, [vec![Step::Requests(1000)], vec![Step::Requests(500), pause, Step::Requests(1000)]]);
        assert!(scenario.threads.iter().all(|thread| thread.connections == 1));
        assert_eq!(scenario.requests(), 2500);
    }

    #[test]
    fn the_quick_scenario_has_the_same_shape() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks");
        let requests = |file: &str| load(&folder.join(file)).expect("valid").requests();
        assert_eq!(requests("quick.yaml"), requests("log8415.yaml"));
    }

    #[test]
    fn what_is_not_written_has_its_default() {
        let scenario = read("threads: {A: {steps: [{requests: 5}]}}").expect("a valid scenario");
        assert_eq!((scenario.name.as_str(), scenario.timeout), ("load", Duration::from_secs(10)));
        assert_eq!(scenario.expect, Expect::default());
        assert!(scenario.targets.is_empty() && scenario.thresholds.is_empty());
        assert_eq!(scenario.threads[0].connections, 1);
    }

    #[test]
    fn every_key_is_read() {
        let scenario = read(concat!(
            "name: burst\ntimeout: 500ms\ntargets: {light: /cluster1/x}\nexpect: {status: 201, contains: hello}\n",
            "threads: {A: {connections: 64, steps: [{pause: 1500ms}, {requests: 10}]}}\nthresholds: ['p99 < 1s']\n",
        ))
        .expect("a valid scenario");
        assert_eq!(scenario.name, "burst");
        assert_eq!(scenario.targets, [TargetChoice { cluster: "light".into(), path: Some("/cluster1/x".into()) }]);
        assert_eq!(scenario.expect, Expect { status: 201, contains: Some("hello".into()) });
        assert_eq!(scenario.threads[0].connections, 64);
        assert_eq!(scenario.threads[0].steps, [Step::Pause(Duration::from_millis(1500)), Step::Requests(10)]);
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
    }
}
