//! The stack language: from a YAML text to a valid [`model::Stack`], or to all its problems at once.
//!
//! A file passes through these rooms: [`yaml`] (text to values with places), `check` (their shape, against [`language`]),
//! [`document`] (values and defaults), `decode`, `autoscaling` and `policies` (to the model, with the rules of AWS), [`routes`] (which
//! can be reached) and [`userdata`] (templates). The benchmark's scenarios use the first three for a language of their own.

use std::collections::BTreeMap;
use std::path::Path;

use regex::Regex;

use crate::document::Document;
use crate::document::grammar::Kind;
use crate::problem::{Problem, Problems};

mod autoscaling;
mod decode;
pub mod language;
mod load_balancer;
pub mod model;
pub mod names;
pub mod network;
mod policies;
mod quotas;
pub mod routes;
pub mod userdata;

use model::{Provider, Stack};

/// What the command line says instead of the stack file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    pub provider: Option<Provider>,
    pub region: Option<String>,
    /// `--var NAME=VALUE`; the names must be among the stack's `variables`.
    pub vars: BTreeMap<String, String>,
}

/// Reads a stack file. Answers the stack with its warnings, or every problem of the file (warnings among them).
pub fn load(path: &Path, overrides: &Overrides) -> Result<(Stack, Problems), Problems> {
    from_document(Document::read(path, &language::STACK)?, path, overrides)
}

fn from_document(mut document: Document, path: &Path, overrides: &Overrides) -> Result<(Stack, Problems), Problems> {
    let mut problems = std::mem::take(&mut document.problems);
    if let Some(region) = overrides.region.as_deref().filter(|region| !is_region(region)) {
        let problem = Problem::usage("Invalid region", format!("`--region {region}` is no AWS region"));
        problems.push(problem.hint("for example `us-east-1`"));
    }
    let (stack, routes) = decode::stack(&document, path, overrides, &mut problems);
    problems.0.extend(routes::lint(&routes).0);
    problems.0.extend(quotas::check(&document.fields(), &stack).0);
    in_file_order(&mut problems);
    if problems.has_errors() { Err(problems) } else { Ok((stack, problems)) }
}

fn is_region(region: &str) -> bool {
    let Kind::Pattern { regex, .. } = language::REGION else { return true };
    Regex::new(regex).is_ok_and(|regex| regex.is_match(region))
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
mod tests;
