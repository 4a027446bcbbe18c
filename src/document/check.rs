//! Whether a file has the shape that its language asks for. Finds every mistake, and says nothing about meaning.

use std::sync::Arc;

use regex::Regex;

use super::grammar::{Key, Kind, Object, Presence, duration_ms, duration_text};
use super::suggest;
use super::yaml::{Entry, Node, PROBLEMS_MAX, Scalar, Value};
use crate::problem::{Place, Problem, Problems, Source};

/// Checks a node against what it may be.
pub fn check(source: &Arc<Source>, node: &Node, kind: &Kind) -> Problems {
    let mut checker = Checker { source, problems: Problems::default() };
    checker.value(node, kind, "the file");
    checker.problems
}

struct Checker<'s> {
    source: &'s Arc<Source>,
    problems: Problems,
}

impl Checker<'_> {
    /// `name` is what an error calls the value: a key in backticks.
    fn value(&mut self, node: &Node, kind: &Kind, name: &str) {
        match (kind, &node.value) {
            // Its mistake was reported.
            (_, Value::Unread) => {}
            (Kind::OneOf(kinds), _) => match shape(kinds, node) {
                Some(kind) => self.value(node, kind, name),
                None => self.wrong_kind(node, kind, name),
            },
            (Kind::List(item), Value::List(nodes)) => {
                for node in nodes {
                    self.value(node, item, name);
                }
            }
            (Kind::Map { keys, values }, Value::Map(entries)) => {
                for entry in entries {
                    self.free_key(entry, keys);
                    self.value(&entry.value, values, &quoted(&entry.key));
                }
            }
            (Kind::Object(object), Value::Map(entries)) => self.object(node, entries, object),
            (Kind::Tagged(object), Value::Map(entries)) => {
                self.object(node, entries, object);
                if entries.len() != 1 {
                    let detail = format!("a {} has one key, but here are {}", object.name, entries.len());
                    self.report(node, "Wrong number of keys", detail, kind.expected());
                }
            }
            // An object that holds nothing: everything in it is at its default.
            (Kind::Object(object), Value::Scalar(_)) if node.is_null() => self.object(node, &[], object),
            (
                Kind::Text
                | Kind::Pattern { .. }
                | Kind::Choice(_)
                | Kind::Flag
                | Kind::Integer { .. }
                | Kind::Number
                | Kind::Duration { .. },
                Value::Scalar(scalar),
            ) => self.scalar(node, scalar, kind, name),
            _ => self.wrong_kind(node, kind, name),
        }
    }

    fn object(&mut self, node: &Node, entries: &[Entry], object: &Object) {
        for entry in entries {
            if self.problems.0.len() >= PROBLEMS_MAX {
                return;
            }
            match object.key(&entry.key) {
                Some(key) if entry.value.is_null() && key.presence != Presence::Required => {}
                Some(key) if entry.value.is_null() => self.missing(&entry.value, key, object),
                Some(key) => self.value(&entry.value, &key.kind, &quoted(key.name)),
                None => {
                    let known = object.keys.iter().map(|key| key.name);
                    let problem =
                        Problem::usage("Unknown key", format!("a {} has no key `{}`", object.name, entry.key));
                    self.problems.push(
                        problem
                            .at(Place { source: Arc::clone(self.source), bytes: entry.key_bytes.clone() })
                            .hint(match entry.key.as_str() {
                                "<<" => "keys are not merged here: repeat them, or give a whole value with an alias (`health_check: *same`)".to_owned(),
                                key => suggest::hint(key, known),
                            }),
                    );
                }
            }
        }
        let names = || object.keys.iter().map(|key| key.name);
        // A key that is only misspelt is one mistake, not two.
        let is_meant = |entry: &Entry, key: &Key| {
            entry.key == key.name
                || (object.key(&entry.key).is_none() && suggest::closest(&entry.key, names()) == Some(key.name))
        };
        for key in object.keys.iter().filter(|key| key.presence == Presence::Required) {
            if !entries.iter().any(|entry| is_meant(entry, key)) {
                self.missing(node, key, object);
            }
        }
    }

    fn missing(&mut self, node: &Node, key: &Key, object: &Object) {
        let detail = format!("a {} needs `{}`: {}", object.name, key.name, key.kind.expected());
        self.report(node, "Missing key", detail, format!("add `{}:`", key.name));
    }

    fn free_key(&mut self, entry: &Entry, kind: &Kind) {
        let scalar = Scalar { text: entry.key.clone(), quoted: true };
        let node = Node { value: Value::Scalar(scalar.clone()), bytes: entry.key_bytes.clone() };
        self.scalar(&node, &scalar, kind, "the key");
    }

    fn scalar(&mut self, node: &Node, scalar: &Scalar, kind: &Kind, name: &str) {
        let text = scalar.text.as_str();
        match kind {
            Kind::Text => {}
            Kind::Pattern { regex, characters_max, .. } => {
                let regex =
                    Regex::new(regex).expect("the language's patterns are regular expressions: a test compiles them");
                if !regex.is_match(text) || text.chars().count() > *characters_max {
                    let hint = regex
                        .is_match(&text.to_lowercase().replace([' ', '_'], "-"))
                        .then(|| format!("for example `{}`", text.to_lowercase().replace([' ', '_'], "-")))
                        .filter(|_| text.chars().count() <= *characters_max);
                    self.unfit(node, text, kind, name, hint);
                }
            }
            Kind::Choice(choices) => {
                if !choices.contains(&text) {
                    let hint = suggest::closest(text, choices.iter().copied());
                    self.unfit(node, text, kind, name, hint.map(|near| format!("did you mean `{near}`?")));
                }
            }
            _ if scalar.quoted && !matches!(kind, Kind::Duration { .. }) => {
                self.unfit(node, text, kind, name, Some("remove the quotes".to_owned()));
            }
            Kind::Flag => {
                if !["true", "false"].contains(&text) {
                    self.unfit(node, text, kind, name, None);
                }
            }
            Kind::Integer { min, max } => {
                if !text.parse::<i64>().is_ok_and(|number| (*min..=*max).contains(&number)) {
                    self.unfit(node, text, kind, name, None);
                } else if text.len() > 1 && text.starts_with('0') {
                    self.leading_zero(node, text, name);
                }
            }
            Kind::Number => {
                if !text.parse::<f64>().is_ok_and(f64::is_finite) {
                    let number = text.trim_end_matches('%').trim_end();
                    let percent = number != text && number.parse::<f64>().is_ok_and(f64::is_finite);
                    let hint = percent.then(|| format!("write the number alone: `{number}`"));
                    self.unfit(node, text, kind, name, hint);
                }
            }
            Kind::Duration { min_ms, max_ms, step_ms } => {
                self.duration(node, text, kind, name, (*min_ms, *max_ms, *step_ms))
            }
            Kind::List(_) | Kind::Map { .. } | Kind::Object(_) | Kind::OneOf(_) | Kind::Tagged(_) => {
                self.wrong_kind(node, kind, name);
            }
        }
    }

    fn duration(&mut self, node: &Node, text: &str, kind: &Kind, name: &str, (min, max, step): (u64, u64, u64)) {
        match duration_ms(text) {
            Some(duration) if duration % step != 0 => {
                let rounded = (duration.div_ceil(step) * step).clamp(min, max);
                self.unfit(node, text, kind, name, Some(format!("round it to {}", duration_text(rounded))));
            }
            Some(duration) if (min..=max).contains(&duration) => {}
            Some(_) => self.unfit(node, text, kind, name, None),
            None => {
                let fits = |ms: &u64| (min..=max).contains(ms) && ms.is_multiple_of(step);
                let number = text.parse::<u64>().ok();
                // In the unit that was probably meant: seconds, else milliseconds, where the range allows them.
                let seconds = number.and_then(|number| number.checked_mul(1000)).filter(fits);
                let seconds = seconds.map(|_| format!("{text}s"));
                let meant = seconds.or_else(|| number.filter(fits).map(duration_text));
                let examples = [90_000, 300_000, 5000, min].into_iter().find(fits).map(duration_text);
                let hint = match (meant, examples) {
                    (Some(meant), _) => Some(format!("add the unit: `{meant}`")),
                    (None, example) => example.map(|example| format!("for example `{example}`")),
                };
                self.unfit(node, text, kind, name, hint);
            }
        }
    }

    /// Older readers of YAML take such a number for an octal one (YAML 1.1, "int").
    fn leading_zero(&mut self, node: &Node, text: &str, name: &str) {
        let number = text.trim_start_matches('0');
        let number = if number.is_empty() { "0" } else { number };
        let octal =
            i64::from_str_radix(text, 8).map_or(String::new(), |octal| format!(", and {octal} to older readers"));
        let detail = format!("{name} is `{text}`: that is {number} in YAML 1.2{octal}");
        self.problems.push(
            Problem::warning("A number with a leading zero", detail)
                .at(self.place(node))
                .hint(format!("write `{number}`")),
        );
    }

    fn unfit(&mut self, node: &Node, text: &str, kind: &Kind, name: &str, hint: Option<String>) {
        let detail = format!("{name} is `{}`, but must be {}", shortened(text), kind.expected());
        let problem = Problem::usage("Invalid value", detail).at(self.place(node));
        self.problems.push(if let Some(hint) = hint { problem.hint(hint) } else { problem });
    }

    fn wrong_kind(&mut self, node: &Node, kind: &Kind, name: &str) {
        let found = match &node.value {
            Value::Scalar(_) if node.is_null() => "nothing".to_owned(),
            Value::Scalar(scalar) => format!("the text `{}`", shortened(&scalar.text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
            Value::Unread => "something broken".to_owned(),
        };
        let problem =
            Problem::usage("Wrong kind of value", format!("{name} must be {}, but here is {found}", kind.expected()));
        self.problems.push(problem.at(self.place(node)));
    }

    fn report(&mut self, node: &Node, summary: &'static str, detail: String, hint: String) {
        self.problems.push(Problem::usage(summary, detail).at(self.place(node)).hint(hint));
    }

    fn place(&self, node: &Node) -> Place {
        Place { source: Arc::clone(self.source), bytes: node.bytes.clone() }
    }
}

/// Which of several kinds a node is meant to be.
fn shape<'k>(kinds: &'k [Kind], node: &Node) -> Option<&'k Kind> {
    let is_map = |kind: &Kind| matches!(kind, Kind::Object(_) | Kind::Tagged(_) | Kind::Map { .. });
    match &node.value {
        Value::Unread => None,
        Value::List(_) => kinds.iter().find(|kind| matches!(kind, Kind::List(_))),
        Value::Scalar(_) => kinds.iter().find(|kind| !is_map(kind) && !matches!(kind, Kind::List(_))),
        Value::Map(entries) => {
            let shared = |kind: &Kind| match kind {
                Kind::Object(object) | Kind::Tagged(object) => {
                    entries.iter().filter(|entry| object.key(&entry.key).is_some()).count()
                }
                _ => 0,
            };
            // The first of those that share most.
            kinds.iter().filter(|kind| is_map(kind)).rev().max_by_key(|kind| shared(kind))
        }
    }
}

fn quoted(key: &str) -> String {
    format!("`{}`", shortened(key))
}

/// Long enough to recognise, short enough for a line.
fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    let line: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    if line.chars().count() <= CHARACTERS_MAX {
        return line;
    }
    line.chars().take(CHARACTERS_MAX).chain(['…']).collect()
}
