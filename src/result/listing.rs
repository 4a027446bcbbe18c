//! The runs of a folder, one line each.

use std::path::Path;

use serde::Serialize;

use super::record::{TargetResult, Verdict};
use super::store;

/// A run in the list of runs.
#[derive(Debug, PartialEq, Serialize)]
pub struct RunLine {
    pub run: String,
    pub folder: String,
    /// What the result says; `None` where it cannot be read.
    pub stack: Option<String>,
    pub scenario: Option<String>,
    pub verdict: Option<Verdict>,
    pub requests: Option<u64>,
    pub errors: Option<u64>,
}

impl RunLine {
    pub fn of(folder: &Path) -> Self {
        let result = store::read(folder).ok();
        let sum = |of: fn(&TargetResult) -> u64| result.as_ref().map(|run| run.targets.iter().map(of).sum());
        Self {
            run: folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            folder: folder.display().to_string(),
            requests: sum(|target| target.requests),
            errors: sum(|target| target.errors),
            verdict: result.as_ref().map(|run| run.verdict),
            stack: result.as_ref().map(|run| run.stack.clone()),
            scenario: result.map(|run| run.scenario),
        }
    }
}
