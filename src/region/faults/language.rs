//! The language of fault files: its keys, and a file read into [`Faults`] or all its problems.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::rules::{Fault, Faults, Operations, Rule, When};
use crate::document::grammar::Presence::{Default, Optional, Required};
use crate::document::grammar::{Key, Kind, Object, Presence};
use crate::document::name::key;
use crate::document::yaml;
use crate::document::{Document, Fields, scalar_text};
use crate::problem::{Problems, Source};

const OPERATION: Kind = Kind::Pattern {
    regex: "^[A-Za-z0-9*]+$",
    characters_max: 64,
    form: "an operation such as `RunInstances`, or several with `*` (`Describe*`)",
};
const ZONE: Kind = Kind::Pattern { regex: "^[a-z0-9-]+$", characters_max: 32, form: "a zone such as `us-east-1a`" };
const CALLS_MAX: i64 = 1_000_000;

/// The top of a fault file.
pub static FAULTS: Object = Object {
    name: "fault file",
    about: "What the embedded region does wrong on purpose.",
    keys: &[
        key(
            "seed",
            Kind::Integer { min: 0, max: i64::MAX },
            Default("1"),
            "The same seed gives the same call of an operation the same fault.",
        ),
        key(
            "faults",
            Kind::List(&Kind::Object(&FAULT)),
            Required,
            "Tried in order for every call: the first that applies decides.",
        ),
    ],
};

static FAULT: Object = Object {
    name: "fault",
    about: "One thing that goes wrong, and when.",
    keys: &[
        key(
            "fault",
            Kind::Choice(&[
                "throttle",
                "http_429",
                "http_500",
                "http_503",
                "reset_before",
                "reset_after",
                "no_answer",
                "slow",
                "no_capacity",
                "in_use",
                "unknown_id",
                "stale_list",
            ]),
            Required,
            "What goes wrong.",
        ),
        key("on", Kind::List(&OPERATION), Optional, "The operations; without it, all that the fault can happen to."),
        key("probability", Kind::Number, Optional, "The share of the calls that it applies to, 0 to 1."),
        key("times", Kind::Integer { min: 1, max: CALLS_MAX }, Optional, "It applies to the first so many calls."),
        key(
            "calls",
            Kind::List(&Kind::Integer { min: 1, max: CALLS_MAX }),
            Optional,
            "It applies to these calls: `[1, 3]` are an operation's first and third.",
        ),
        key(
            "for",
            Kind::Duration { min_ms: 1, max_ms: 600_000, step_ms: 1 },
            Default("2s"),
            "How late a `slow` answer is; for how long what is new is an `unknown_id` or missing in a `stale_list`.",
        ),
        key("zones", Kind::List(&ZONE), Optional, "The zones with `no_capacity`; without it, all."),
    ],
};

const fn key(name: &'static str, kind: Kind, presence: Presence, about: &'static str) -> Key {
    Key { name, kind, presence, about }
}

/// Reads a fault file.
///
/// # Errors
/// Every mistake of the file at once.
pub fn load(path: &Path) -> Result<Faults, Problems> {
    parse(yaml::source(path)?, path)
}

fn parse(source: Arc<Source>, path: &Path) -> Result<Faults, Problems> {
    let document = Document::parse(source, &FAULTS)?;
    let mut problems = document.problems.clone();
    let fields = document.fields();
    let faults = Faults {
        file: path.to_owned(),
        seed: fields.integer(key!(FAULTS, "seed")),
        rules: fields
            .objects(key!(FAULTS, "faults"), &FAULT)
            .iter()
            .map(|fields| rule(fields, &mut problems))
            .collect(),
    };
    if problems.has_errors() {
        problems.0.sort_by_key(|problem| problem.place.as_ref().map(|place| place.bytes.start));
        return Err(problems);
    }
    Ok(faults)
}

fn rule(fields: &Fields<'_>, problems: &mut Problems) -> Rule {
    let fault = fault(fields);
    let lasts = matches!(fault, Fault::Slow(_) | Fault::UnknownId(_) | Fault::StaleList(_));
    let zoned = matches!(fault, Fault::NoCapacity(_));
    for (key, applies) in [("for", lasts), ("zones", zoned)] {
        if fields.is_written(key) && !applies {
            let detail = format!("`{key}` means nothing to the fault `{}`", fields.text(key!(FAULT, "fault")));
            problems.push(fields.problem(key, "A key without effect", detail).hint(format!("remove `{key}`")));
        }
    }
    let texts = fields.list(key!(FAULT, "on")).iter().filter_map(scalar_text);
    Rule { fault, operations: Operations::matching(texts), when: when(fields, problems) }
}

fn fault(fields: &Fields<'_>) -> Fault {
    let lasts: Duration = fields.duration(key!(FAULT, "for"));
    match fields.text(key!(FAULT, "fault")).as_str() {
        "throttle" => Fault::Throttle,
        "http_429" => Fault::Http429,
        "http_503" => Fault::Http503,
        "reset_before" => Fault::ResetBefore,
        "reset_after" => Fault::ResetAfter,
        "no_answer" => Fault::NoAnswer,
        "slow" => Fault::Slow(lasts),
        "no_capacity" => Fault::NoCapacity(
            fields.list(key!(FAULT, "zones")).iter().filter_map(scalar_text).map(str::to_owned).collect(),
        ),
        "in_use" => Fault::InUse,
        "unknown_id" => Fault::UnknownId(lasts),
        "stale_list" => Fault::StaleList(lasts),
        // `http_500`, or something else that is a problem already.
        _ => Fault::Http500,
    }
}

fn when(fields: &Fields<'_>, problems: &mut Problems) -> When {
    let written: Vec<_> = ["probability", "times", "calls"].into_iter().filter(|key| fields.is_written(key)).collect();
    if let [first, second, ..] = written[..] {
        let detail = format!("`{first}` and `{second}` both say which calls it applies to");
        problems.push(fields.problem(second, "Keys that exclude each other", detail).hint("keep one of them"));
    }
    if let Some(probability) = fields.number_written(key!(FAULT, "probability")) {
        if !(0.0..=1.0).contains(&probability) {
            let detail = format!("`probability` is {probability}, but must be from 0 to 1");
            problems.push(
                fields.problem(key!(FAULT, "probability"), "Invalid value", detail).hint("`0.2` is one call in five"),
            );
        }
        return When::Chance(probability);
    }
    if let Some(times) = fields.integer_written(key!(FAULT, "times")) {
        return When::First(times);
    }
    if fields.is_written(key!(FAULT, "calls")) {
        return When::Calls(
            fields
                .list(key!(FAULT, "calls"))
                .iter()
                .filter_map(scalar_text)
                .filter_map(|text| text.parse().ok())
                .collect(),
        );
    }
    When::Always
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Faults, Problems> {
        parse(Arc::new(Source { name: "faults.yaml".into(), text: text.into() }), Path::new("faults.yaml"))
    }

    #[test]
    fn the_example_of_the_documentation_is_valid() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.yaml");
        assert!(load(&path).expect("the example is valid").rules.len() >= 3);
    }

    #[test]
    fn every_key_is_read() {
        let faults = read(concat!(
            "seed: 7\nfaults:\n",
            "  - {fault: slow, for: 1500ms, probability: 0.5}\n",
            "  - {fault: no_capacity, zones: [us-east-1a], times: 2}\n",
            "  - {fault: throttle, on: [\"Describe*\"], calls: [1, 3]}\n",
            "  - {fault: stale_list}\n",
        ))
        .expect("a valid file");
        let found: Vec<_> = faults.rules.iter().map(|rule| (rule.fault.clone(), rule.when.clone())).collect();
        let expected = [
            (Fault::Slow(Duration::from_millis(1500)), When::Chance(0.5)),
            (Fault::NoCapacity(vec!["us-east-1a".into()]), When::First(2)),
            (Fault::Throttle, When::Calls(vec![1, 3])),
            (Fault::StaleList(Duration::from_secs(2)), When::Always),
        ];
        assert_eq!((faults.seed, found.as_slice()), (7, expected.as_slice()));
        assert!(
            faults.rules[2].operations.contain("DescribeTags") && !faults.rules[2].operations.contain("RunInstances")
        );
    }

    #[test]
    fn every_choice_is_a_fault_of_its_own() {
        let Kind::Choice(choices) = FAULT.keys[0].kind else { panic!("the first key is the fault") };
        let mut found: Vec<_> = choices
            .iter()
            .map(|name| format!("{:?}", read(&format!("faults: [{{fault: {name}}}]")).expect(name).rules[0].fault))
            .collect();
        found.sort();
        found.dedup();
        assert_eq!(found.len(), choices.len());
    }

    #[test]
    fn every_mistake_is_found_with_its_place() {
        let problems = read(concat!(
            "faults:\n  - {fault: throtle}\n  - {fault: throttle, for: 2s}\n",
            "  - {fault: in_use, times: 1, calls: [2]}\n  - {fault: slow, probability: 20}\n",
        ))
        .expect_err("four mistakes");
        let said: Vec<_> = problems.0.iter().map(ToString::to_string).collect();
        let starts = [
            "faults.yaml:2:13: Invalid value: `fault` is `throtle`",
            "faults.yaml:3:28: A key without effect: `for` means nothing to the fault `throttle`",
            "faults.yaml:4:31: Keys that exclude each other: `times` and `calls`",
            "faults.yaml:5:32: Invalid value: `probability` is 20",
        ];
        assert_eq!(said.len(), starts.len(), "{said:#?}");
        for (said, start) in said.iter().zip(starts) {
            assert!(said.starts_with(start), "{said} instead of {start}");
        }
    }
}
