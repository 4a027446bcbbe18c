//! A plan that asks nobody: what `up` would make in an account that has nothing of the stack.
//!
//! It needs neither endpoint nor credentials, so it shows a stack and its price before there is an account.

use super::diff::{Types, diff};
use super::plan::Report;
use crate::cloud::snapshot::Snapshot;
use crate::problem::Problems;
use crate::resource::Scope;
use crate::resource::change::Change;
use crate::resource::outlook::Outlook;
use crate::stack::model::Stack;

/// What `up` would do in an account that looks like `cloud`, which has nothing of the stack; `outlook` says what it comes to.
///
/// # Errors
/// None that a valid stack could meet: nothing stands in the way of a stack in an empty account.
pub fn plan(
    stack: &Stack,
    types: Types,
    cloud: &Snapshot,
    outlook: impl FnOnce(&[Change]) -> Outlook,
) -> Result<Report, Problems> {
    let nodes = diff(types, &Scope { stack, cloud })?;
    let changes: Vec<_> = nodes.into_iter().map(|node| node.change).collect();
    Ok(Report::new(&stack.name, stack.provider.name(), outlook(&changes), changes))
}
