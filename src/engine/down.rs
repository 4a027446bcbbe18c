//! Takes a stack down: in order, waiting for what lingers, and proving that nothing is left.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::apply::apply;
use super::diff::{self, Node};
use super::plan::Report;
use super::{lock, obstacles};
use crate::clock;
use crate::cloud::lease::Lease;
use crate::cloud::snapshot::listing::Depth;
use crate::cloud::tags;
use crate::problem::{Problem, Problems};
use crate::resource::change::Change;
use crate::resource::context::{Backoff, Operation, Poll};
use crate::resource::event::Event;

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
/// What stands in the way; the first call that fails.
pub async fn plan(run: &Operation) -> Result<Teardown, Problems> {
    let cloud = run.provider.snapshot(&run.stack, None, Depth::Existence).await?;
    run.note_once(&cloud.notes);
    let nodes = diff::teardown(run.provider.types(), &cloud);
    obstacles::check(&*run.provider, &cloud, &nodes).await?;
    let mut changes: Vec<Change> = nodes.iter().map(|node| node.change.clone()).collect();
    changes.sort_by(|a, b| a.address.cmp(&b.address));
    let outlook = run.provider.outlook(None, &cloud, &changes);
    let report = Report::new(&run.stack, run.provider.name(), outlook, changes);
    Ok(Teardown { report, lock: run.provider.leases().shown(&cloud), nodes })
}

/// Deletes it all under the stack's lock, then looks again until AWS lists nothing of the stack, and deletes what it lists
/// only now. Where another run holds the lock, waits for it as long as `patience`.
///
/// # Errors
/// The run that holds the lock; what could not be deleted; what is left when time is up.
pub async fn down(run: &Operation, teardown: Teardown, patience: Duration) -> Result<(), Problems> {
    // Whatever was made before this moment is listed by then.
    let all_listed = clock::instant() + run.provider.timing().listing_lag;
    let mut backoff = run.backoff();
    let nothing = teardown.nodes.is_empty() && teardown.lock.is_none();
    if nothing && audit(run, all_listed, &mut backoff).await?.is_empty() {
        return Ok(());
    }
    let lock = lock::acquire(run, "down", patience).await?;
    let work = async {
        let is_current = lock.undisturbed && teardown.lock.is_none() && !nothing;
        let teardown = if is_current { teardown } else { plan(&lock.run).await? };
        let mut nodes = teardown.nodes;
        loop {
            apply(&lock.run, nodes).await?;
            nodes = audit(&lock.run, all_listed, &mut backoff).await?;
            if nodes.is_empty() {
                return Ok(());
            }
        }
    };
    lock.during(work).await
}

/// What the last look is called.
const WHAT: &str = "audit";

/// Looks until nothing tagged with the stack is left, or until something is listed, at a second look, that is not on its way
/// out: that is the answer.
async fn audit(run: &Operation, all_listed: Instant, backoff: &mut Backoff) -> Result<Vec<Node>, Problems> {
    let mut looks = 0;
    let left = Mutex::new(Vec::new());
    let ask = || {
        looks += 1;
        let (is_first, left) = (looks == 1, &left);
        async move {
            let looked = clock::instant();
            let cloud = run.provider.snapshot(&run.stack, None, Depth::Existence).await?;
            let nodes = if is_first { Vec::new() } else { diff::teardown(run.provider.types(), &cloud) };
            let found = cloud.leftovers();
            if found.is_empty() && (looked >= all_listed || run.is_late()) {
                return Ok(Poll::Ready(Vec::new()));
            }
            if !nodes.is_empty() {
                return Ok(Poll::Ready(nodes));
            }
            let reason = match found.as_slice() {
                [] => "nothing is listed; resources created a moment ago may be listed late".to_owned(),
                [only] => format!("{only} is still there"),
                [first, ..] => format!("{} resources are still there, {first} among them", found.len()),
            };
            *left.lock().expect("no holder panics") = found;
            Ok(Poll::Pending(reason))
        }
    };
    let outcome = run.wait_until(Some(run.deadline), backoff, run.report_waiting(WHAT), ask).await?;
    let Ok(nodes) = outcome else {
        let left = left.into_inner().expect("no holder panics");
        return Err(Problem::new("Resources remain", format!("of {}: {}", run.stack, left.join(", ")))
            .hint("run `cloudscale down` again: it continues")
            .into());
    };
    if nodes.is_empty() {
        let detail = format!("nothing carries the tag {}={}", tags::STACK, run.stack);
        run.sink.event(Event::Ready { what: WHAT.to_owned(), detail });
    }
    Ok(nodes)
}
