//! How a language is described: keys, what they may hold, defaults, and a sentence for the reader.
//!
//! One description serves all: the reader checks a file against it ([`check`](super::check)), takes defaults from it
//! ([`Fields`](super::Fields)) and `cloudscale schema` prints it as JSON Schema ([`schema`](super::schema)). So they cannot drift.

use std::sync::LazyLock;

use regex::Regex;

/// A map with known keys.
#[derive(Debug)]
pub struct Object {
    /// What an error calls it: "cluster", "health check".
    pub name: &'static str,
    pub about: &'static str,
    pub keys: &'static [Key],
}

#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub presence: Presence,
    pub about: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Required,
    Optional,
    /// Optional; without it the key has this value.
    Default(&'static str),
}

/// What a value may be.
#[derive(Debug)]
pub enum Kind {
    /// Any scalar, taken as text.
    Text,
    /// Text with a form of its own: the pattern serves the schema and the reader, `form` tells people.
    Pattern {
        regex: &'static str,
        characters_max: usize,
        form: &'static str,
    },
    Choice(&'static [&'static str]),
    Flag,
    Integer {
        min: i64,
        max: i64,
    },
    Number,
    /// With units: `60s`, `5m`, `1h30m`; the bounds are in milliseconds, as is the step between allowed values.
    Duration {
        min_ms: u64,
        max_ms: u64,
        step_ms: u64,
    },
    List(&'static Kind),
    /// A map whose keys are the user's own names.
    Map {
        keys: &'static Kind,
        values: &'static Kind,
    },
    Object(&'static Object),
    /// One of several shapes; a map is the object that shares the most keys with it.
    OneOf(&'static [Kind]),
    /// A map with exactly one of these keys, which says what it is.
    Tagged(&'static Object),
}

/// One or more numbers with units, without spaces.
pub const DURATION_PATTERN: &str = "^([0-9]+(h|ms|m|s))+$";

/// A duration in whole seconds.
pub const fn seconds(min: u64, max: u64) -> Kind {
    Kind::Duration { min_ms: min * 1000, max_ms: max * 1000, step_ms: 1000 }
}

impl Object {
    pub fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Kind {
    /// What an error says is expected.
    pub fn expected(&self) -> String {
        match self {
            Kind::Text => "a text".to_owned(),
            Kind::Pattern { form, .. } => (*form).to_owned(),
            Kind::Choice([only]) => format!("`{only}`"),
            Kind::Choice(choices) => {
                format!("one of {}", choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", "))
            }
            Kind::Flag => "`true` or `false`".to_owned(),
            Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Number => "a number".to_owned(),
            Kind::Duration { min_ms, max_ms, .. } => {
                format!("a duration from {} to {}", duration_text(*min_ms), duration_text(*max_ms))
            }
            Kind::List(_) => "a list".to_owned(),
            Kind::Map { .. } => "a map".to_owned(),
            Kind::Object(object) | Kind::Tagged(object) => {
                let keys: Vec<_> = object.keys.iter().map(|key| format!("`{}`", key.name)).collect();
                format!("a {} (a map with {})", object.name, keys.join(", "))
            }
            Kind::OneOf(kinds) => kinds.iter().map(Kind::expected).collect::<Vec<_>>().join(", or "),
        }
    }
}

/// `90000` → `1m30s`, as a user writes it.
pub fn duration_text(milliseconds: u64) -> String {
    let parts = [(3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let mut left = milliseconds;
    let mut text = String::new();
    for (unit_ms, unit) in parts {
        if left >= unit_ms {
            text += &format!("{}{unit}", left / unit_ms);
            left %= unit_ms;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A duration as written, in milliseconds.
pub fn duration_ms(text: &str) -> Option<u64> {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(DURATION_PATTERN).expect("a regular expression: every test of a duration compiles it")
    });
    if !PATTERN.is_match(text) {
        return None;
    }
    let duration: jiff::SignedDuration = text.parse().ok()?;
    u64::try_from(duration.as_millis()).ok()
}
