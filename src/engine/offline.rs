//! A plan that asks nobody: what `up` would make in an account that has nothing of the stack.
//!
//! It needs neither endpoint nor credentials, so it shows a stack and its price before there is an account.

use super::diff::diff;
use super::plan::Report;
use super::price;
use crate::cloud::snapshot::Snapshot;
use crate::problem::Problems;
use crate::resource::Scope;
use crate::resources::network;
use crate::stack::model::Stack;

/// What `up` would do where nothing is there yet.
///
/// # Errors
/// None that a valid stack could meet: nothing stands in the way of a stack in an empty account.
pub fn plan(stack: &Stack) -> Result<Report, Problems> {
    let cloud = Snapshot { stack: stack.name.clone(), ..Snapshot::default() };
    let network = network::as_declared(&stack.network, &stack.region);
    let nodes = diff(&Scope { stack, network: &network, now: cloud.taken }, &cloud)?;
    let changes = nodes.into_iter().map(|node| node.change).collect();
    Ok(Report::new(&stack.name, stack.provider, changes, price::hourly(stack)))
}
