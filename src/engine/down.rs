//! Takes a stack down: in order, waiting for what lingers, and proving that nothing is left.

use std::time::Duration;

use super::apply::apply;
use super::diff::{Node, teardown};
use super::discover::{Depth, discover};
use super::event::Event;
use super::lock::{self, model::Lease};
use super::own_network;
use super::plan::{Change, Report, Summary};
use super::task::Run;
use crate::problem::{Problem, Problems};
use crate::resources::tags;
use crate::stack::model::Provider;

/// What `down` would delete.
#[derive(Clone, Debug)]
pub struct Teardown {
    pub report: Report,
    /// Whose the stack is.
    lock: Option<Lease>,
    nodes: Vec<Node>,
}

/// Lists what carries the stack's tag.
///
/// # Errors
/// The first call that fails.
pub async fn plan(run: &Run) -> Result<Teardown, Problem> {
    let (mut cloud, own_network) = futures_util::try_join!(
        discover(&run.clients, &run.stack, Depth::Existence),
        own_network::find(&run.clients, &run.stack)
    )?;
    cloud.own_network = own_network;
    let nodes = teardown(&cloud);
    let mut changes: Vec<Change> = nodes.iter().map(|node| node.change.clone()).collect();
    changes.sort_by(|a, b| a.address.cmp(&b.address));
    let provider: Provider = run.clients.provider;
    let report = Report {
        stack: run.stack.clone(),
        provider: provider.name().to_owned(),
        summary: Summary::of(&changes),
        changes,
        hourly_cost: None,
    };
    Ok(Teardown { report, lock: cloud.lock, nodes })
}

/// Deletes it all under the stack's lock, then looks again until AWS lists nothing of the stack. Where another run holds the
/// lock, waits for it as long as `patience`.
///
/// # Errors
/// The run that holds the lock; what could not be deleted; what is left when time is up.
pub async fn down(run: &Run, teardown: Teardown, patience: Duration) -> Result<(), Problems> {
    if teardown.nodes.is_empty() && teardown.lock.is_none() {
        return audit(run, false).await;
    }
    let lock = lock::acquire(run, "down", patience).await?;
    let work = async {
        let is_current = lock.undisturbed && teardown.lock.is_none();
        let teardown = if is_current { teardown } else { plan(&lock.run).await? };
        let has_network = teardown.nodes.iter().any(|node| node.face.kind() == "vpc");
        apply(&lock.run, teardown.nodes).await?;
        audit(&lock.run, has_network).await
    };
    lock.during(work).await
}

/// What the last look is called.
const WHAT: &str = "audit";

/// Nothing tagged with the stack is left.
async fn audit(run: &Run, has_network: bool) -> Result<(), Problems> {
    let mut backoff = run.backoff();
    loop {
        let mut cloud = discover(&run.clients, &run.stack, Depth::Existence).await?;
        if has_network {
            cloud.own_network = own_network::find(&run.clients, &run.stack).await?;
        }
        let left = cloud.leftovers();
        let Some(first) = left.first() else {
            run.sink.event(Event::Ready {
                what: WHAT.to_owned(),
                detail: format!("nothing carries the tag {}={}", tags::STACK, run.stack),
            });
            return Ok(());
        };
        if run.is_late() {
            return Err(Problem::new("Something is left", format!("of {}: {}", run.stack, left.join(", ")))
                .hint("run `cloudscale down` again: it continues")
                .into());
        }
        let reason = match left.len() {
            1 => format!("{first} is still there"),
            count => format!("{count} resources are still there, {first} among them"),
        };
        run.sink.event(Event::Waiting { what: WHAT.to_owned(), reason });
        run.pause(&mut backoff).await?;
    }
}
