//! The stack language: from a YAML text to a valid [`model::Stack`], or to all its problems at once.
//!
//! A file passes through these rooms: [`yaml`] (text to values with places), `check` (their shape, against [`language`]),
//! [`document`] (values and defaults), `decode`, `autoscaling` and `policies` (to the model, with the rules of AWS), [`routes`] (which
//! can be reached) and [`userdata`] (templates). The benchmark's scenarios use the first three for a language of their own.

use std::path::Path;
use std::sync::Arc;

use regex::Regex;

use crate::document::Document;
use crate::document::grammar::Kind;
use crate::problem::{Problem, Problems, Severity, Source};

mod autoscaling;
mod decode;
mod instance_types;
pub mod language;
mod load_balancer;
pub mod load_generators;
pub mod local;
pub mod model;
pub mod names;
pub mod network;
mod policies;
mod quotas;
pub mod routes;
pub mod userdata;
pub mod variables;

use model::{Provider, Stack};
use variables::Given;

/// What the command line says instead of the stack file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    pub provider: Option<Provider>,
    pub region: Option<String>,
    /// Values of variables.
    pub given: Given,
}

/// Reads a stack file. Answers the stack with its warnings, or every problem of the file (warnings among them).
pub fn load(path: &Path, overrides: &Overrides) -> Result<(Stack, Problems), Problems> {
    from_document(Document::read(path, &language::STACK)?, path, overrides)
}

/// As [`load`], of a text that stands for the file at `path`.
pub fn parse(source: Arc<Source>, path: &Path, overrides: &Overrides) -> Result<(Stack, Problems), Problems> {
    from_document(Document::parse(source, &language::STACK)?, path, overrides)
}

/// Which stack a file is about, and where it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub name: String,
    pub provider: Provider,
    pub region: String,
}

/// What a file with problems is about all the same, for commands that need no more of it: its mistakes are elsewhere. `None`
/// where one of them may be about just that, and where the file is no YAML.
pub fn identify(path: &Path, overrides: &Overrides) -> Option<Identity> {
    let (stack, problems) = decoded(Document::read(path, &language::STACK).ok()?, path, overrides);
    let is_about_it = |problem: &Problem| {
        let text = format!("{} {}", problem.detail, problem.hint.as_deref().unwrap_or_default());
        ["name", "provider", "region", "--region"].iter().any(|key| text.contains(&format!("`{key}")))
    };
    let is_doubtful = problems.0.iter().any(|problem| problem.severity == Severity::Error && is_about_it(problem));
    let known = !is_doubtful && !stack.name.is_empty();
    known.then_some(Identity { name: stack.name, provider: stack.provider, region: stack.region })
}

fn from_document(document: Document, path: &Path, overrides: &Overrides) -> Result<(Stack, Problems), Problems> {
    let (stack, problems) = decoded(document, path, overrides);
    if problems.has_errors() { Err(problems) } else { Ok((stack, problems)) }
}

/// The stack, which is only of use as a whole where the problems have no error.
fn decoded(mut document: Document, path: &Path, overrides: &Overrides) -> (Stack, Problems) {
    let mut problems = std::mem::take(&mut document.problems);
    if let Some(region) = overrides.region.as_deref().filter(|region| !is_region(region)) {
        let problem = Problem::usage("Invalid region", format!("`--region {region}` is no AWS region"));
        problems.push(problem.hint("for example `us-east-1`"));
    }
    let malformed = problems.clone();
    let (stack, routes) = decode::stack(&document, path, overrides, &mut problems);
    keep_causes(&malformed, &mut problems);
    problems.0.extend(routes::lint(&routes).0);
    problems.0.extend(quotas::check(&document.fields(), &stack).0);
    in_file_order(&mut problems);
    (stack, problems)
}

fn is_region(region: &str) -> bool {
    let Kind::Pattern { regex, .. } = language::REGION else { return true };
    Regex::new(regex).is_ok_and(|regex| regex.is_match(region))
}

/// A malformed value reads as its default, which may break a rule in turn: that is no mistake of the file's.
fn keep_causes(malformed: &Problems, problems: &mut Problems) {
    let follows = |problem: &Problem| {
        !malformed.0.contains(problem)
            && problem.place.is_some()
            && malformed.0.iter().any(|m| m.severity == Severity::Error && m.place == problem.place)
    };
    problems.0.retain(|problem| !follows(problem));
}

/// By place in the stack file; what points into other files or nowhere comes last.
fn in_file_order(problems: &mut Problems) {
    let first = problems.0.iter().find_map(|problem| problem.place.as_ref()).map(|place| place.source.name.clone());
    problems.0.sort_by_key(|problem| match &problem.place {
        Some(place) => (first.as_ref() != Some(&place.source.name), place.bytes.start),
        None => (true, usize::MAX),
    });
    problems.0.dedup();
}

#[cfg(test)]
mod group_tests;
#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod slips_tests;
#[cfg(test)]
mod tests;
