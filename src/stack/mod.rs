//! The stack language: from a YAML text to a valid [`model::Stack`], or to all its problems at once.

use std::collections::BTreeMap;
use std::path::Path;

use crate::problem::{Problem, Problems};

mod check;
pub mod document;
pub mod grammar;
pub mod language;
pub mod model;
pub mod names;
pub mod suggest;
pub mod yaml;

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
pub fn load(path: &Path, _overrides: &Overrides) -> Result<(Stack, Problems), Problems> {
    Err(Problem::usage("Cannot read the stack file", path.display().to_string()).into())
}
