//! A file of one of our languages: its values, and their defaults where nothing is written.
//!
//! [`Document::read`] collects what is wrong with the file's shape and goes on. What is missing or malformed then reads
//! as its default, so that the rules about meaning can find their own mistakes in the same pass.

pub mod check;
pub mod grammar;
pub mod name;
pub mod recovery;
pub mod schema;
pub mod suggest;
pub mod yaml;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::problem::{Place, Problem, Problems, Source};

use check::check;
use grammar::{Key, Kind, Object, Presence, duration_ms};
use name::Named;
use yaml::{Entry, Node, Value};

/// A file that was read and checked against its language.
#[derive(Debug)]
pub struct Document {
    pub source: Arc<Source>,
    root: Node,
    object: &'static Object,
    /// What is wrong with it.
    pub problems: Problems,
}

impl Document {
    /// # Errors
    /// A file without YAML in it. One whose YAML does not fit `object` is read, with its problems.
    pub fn read(path: &Path, object: &'static Object) -> Result<Self, Problems> {
        Self::parse(yaml::source(path)?, object)
    }

    /// As [`Document::read`], of a text.
    pub fn parse(source: Arc<Source>, object: &'static Object) -> Result<Self, Problems> {
        let root = match yaml::parse(&source) {
            Ok(root) => root,
            Err(mistakes) => return Err(every_mistake(&source, mistakes, object)),
        };
        let problems = check(&source, &root, &Kind::Object(object));
        Ok(Self { source, root, object, problems })
    }

    pub fn fields(&self) -> Fields<'_> {
        Fields::of(&self.source, &self.root, self.object)
    }
}

/// What is wrong with a file that has no tree: with its syntax, and with the shape of what can be read all the same.
fn every_mistake(source: &Arc<Source>, mistakes: Problems, object: &'static Object) -> Problems {
    // Behind a tab the parser knows no depth, so no part of the file can be distinguished from another.
    let has_tabs = source.text.lines().any(|line| line.trim_start_matches(' ').starts_with('\t'));
    let is_syntax = !has_tabs && mistakes.0.iter().all(|problem| problem.summary == yaml::SYNTAX);
    let Some((root, mut problems)) = is_syntax.then(|| recovery::read_parts(source)).flatten() else {
        return mistakes;
    };
    problems.0.extend(check(source, &root, &Kind::Object(object)).0);
    problems.0.sort_by_key(|problem| problem.place.as_ref().map(|place| place.bytes.start));
    problems
}

/// The values of one object.
#[derive(Clone, Debug)]
pub struct Fields<'d> {
    source: &'d Arc<Source>,
    object: &'static Object,
    entries: &'d [Entry],
    place: Place,
}

impl<'d> Fields<'d> {
    /// The fields of a node, e.g. of an item of a list.
    pub fn of(source: &'d Arc<Source>, node: &'d Node, object: &'static Object) -> Self {
        let entries: &[Entry] = if let Value::Map(entries) = &node.value { entries } else { &[] };
        let place = Place { source: Arc::clone(source), bytes: node.bytes.clone() };
        Self { source, object, entries, place }
    }

    /// What is written for a key of the language.
    pub fn node(&self, name: impl Named<name::Any>) -> Option<&'d Node> {
        self.at(name.name())
    }

    fn at(&self, name: &str) -> Option<&'d Node> {
        debug_assert!(self.object.key(name).is_some(), "`{name}` is no key of a {}", self.object.name);
        self.entries.iter().find(|entry| entry.key == name).map(|entry| &entry.value).filter(|node| !node.is_null())
    }

    pub fn is_written(&self, name: impl Named<name::Any>) -> bool {
        self.at(name.name()).is_some()
    }

    /// Where the value of a key is written, else where the object is.
    pub fn place(&self, name: impl Named<name::Any>) -> Place {
        self.at(name.name()).map_or_else(|| self.place.clone(), |node| self.place_of(node))
    }

    pub fn own_place(&self) -> Place {
        self.place.clone()
    }

    pub fn place_of(&self, node: &Node) -> Place {
        Place { source: Arc::clone(self.source), bytes: node.bytes.clone() }
    }

    /// An error in what stands at a key.
    pub fn problem(&self, name: impl Named<name::Any>, summary: &'static str, detail: impl Into<String>) -> Problem {
        Problem::usage(summary, detail).at(self.place(name))
    }

    pub fn text(&self, name: impl Named<name::Text>) -> String {
        self.at(name.name()).and_then(scalar_text).unwrap_or_else(|| self.default(name.name())).to_owned()
    }

    pub fn text_written(&self, name: impl Named<name::Text>) -> Option<String> {
        self.at(name.name()).and_then(scalar_text).map(str::to_owned)
    }

    /// A whole number; 0 where the language has no default.
    pub fn integer<T: TryFrom<i64> + Default>(&self, name: impl Named<name::Integer>) -> T {
        let written = self.at(name.name()).and_then(scalar_text).and_then(integer);
        written.or_else(|| integer(self.default(name.name()))).unwrap_or_default()
    }

    pub fn integer_written<T: TryFrom<i64>>(&self, name: impl Named<name::Integer>) -> Option<T> {
        self.at(name.name()).and_then(scalar_text).and_then(integer)
    }

    pub fn number_written(&self, name: impl Named<name::Number>) -> Option<f64> {
        self.at(name.name())
            .and_then(scalar_text)
            .and_then(|text| text.parse().ok())
            .filter(|number: &f64| number.is_finite())
    }

    pub fn flag(&self, name: impl Named<name::Flag>) -> bool {
        self.at(name.name()).and_then(scalar_text).unwrap_or_else(|| self.default(name.name())) == "true"
    }

    pub fn duration(&self, name: impl Named<name::Duration>) -> Duration {
        let written = self.at(name.name()).and_then(scalar_text).and_then(duration);
        written.or_else(|| duration(self.default(name.name()))).unwrap_or_default()
    }

    pub fn duration_written(&self, name: impl Named<name::Duration>) -> Option<Duration> {
        self.at(name.name()).and_then(scalar_text).and_then(duration)
    }

    /// The fields of an inner object; all at their defaults where it is not written.
    pub fn object(&self, name: impl Named<name::Object>, object: &'static Object) -> Fields<'d> {
        self.object_written(name, object).unwrap_or_else(|| self.unwritten(object))
    }

    /// An object that is nowhere written: all at its defaults.
    pub fn unwritten(&self, object: &'static Object) -> Fields<'d> {
        Fields { source: self.source, object, entries: &[], place: self.place.clone() }
    }

    pub fn object_written(&self, name: impl Named<name::Object>, object: &'static Object) -> Option<Fields<'d>> {
        self.at(name.name()).map(|node| Fields::of(self.source, node, object))
    }

    pub fn list(&self, name: impl Named<name::List>) -> &'d [Node] {
        if let Some(Node { value: Value::List(items), .. }) = self.at(name.name()) { items } else { &[] }
    }

    /// The fields of a node within this object.
    pub fn of_inner(&self, node: &'d Node, object: &'static Object) -> Fields<'d> {
        Fields::of(self.source, node, object)
    }

    /// The fields of every map in a list.
    pub fn objects(&self, name: impl Named<name::List>, object: &'static Object) -> Vec<Fields<'d>> {
        self.list(name).iter().map(|node| Fields::of(self.source, node, object)).collect()
    }

    /// The entries of a map with the user's own keys.
    pub fn map(&self, name: impl Named<name::Map>) -> &'d [Entry] {
        if let Some(Node { value: Value::Map(entries), .. }) = self.at(name.name()) { entries } else { &[] }
    }

    fn default(&self, name: &str) -> &'static str {
        match self.object.key(name) {
            Some(Key { presence: Presence::Default(text), .. }) => text,
            _ => "",
        }
    }
}

/// The text of a scalar; `None` for lists and maps.
pub fn scalar_text(node: &Node) -> Option<&str> {
    if let Value::Scalar(scalar) = &node.value { Some(&scalar.text) } else { None }
}

/// The scalars of a map with free keys.
pub fn texts(entries: &[Entry]) -> BTreeMap<String, String> {
    let text = |entry: &Entry| Some((entry.key.clone(), scalar_text(&entry.value)?.to_owned()));
    entries.iter().filter_map(text).collect()
}

fn integer<T: TryFrom<i64>>(text: &str) -> Option<T> {
    text.parse::<i64>().ok().and_then(|number| T::try_from(number).ok())
}

fn duration(text: &str) -> Option<Duration> {
    duration_ms(text).map(Duration::from_millis)
}
