//! A plan that asks nobody: what `up` would make in an account that has nothing of the stack.
//!
//! It needs neither endpoint nor credentials, so it shows a stack and its price before there is an account.

use super::diff::diff;
use super::plan::Report;
use crate::problem::Problems;
use crate::resource::Scope;
use crate::resource::running::Running;
use crate::resources::{TYPES, provider};
use crate::stack::model::Stack;

/// What `up` would do where nothing is there yet.
///
/// # Errors
/// None that a valid stack could meet: nothing stands in the way of a stack in an empty account.
pub fn plan(stack: &Stack) -> Result<Report, Problems> {
    let cloud = provider::undeployed(stack);
    let nodes = diff(TYPES, &Scope { stack, cloud: &cloud })?;
    let changes = nodes.into_iter().map(|node| node.change).collect();
    Ok(Report::new(&stack.name, stack.provider.name(), Some(stack), &Running::default(), changes))
}
