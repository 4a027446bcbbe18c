//! What stands in the way of a plan and can be read: told before anything is changed, all of it at once.

use futures_util::future::try_join_all;

use super::diff::Node;
use crate::cloud::snapshot::Snapshot;
use crate::problem::Problems;
use crate::resource::Coming;
use crate::resource::change::Action;
use crate::resource::provider::Provider;

/// Asks the types of everything that is to change.
///
/// # Errors
/// The obstacles; a call that fails.
pub async fn check(provider: &dyn Provider, cloud: &Snapshot, nodes: &[Node]) -> Result<(), Problems> {
    let calls = provider.types().iter().map(|resource| {
        let coming = nodes.iter().filter(|node| node.resource.kind() == resource.kind());
        let coming = coming.filter(|node| node.change.action != Action::Unchanged).map(|node| Coming {
            address: &node.change.address,
            action: node.change.action,
            desired: node.desired.as_ref(),
            observed: node.observed.as_ref(),
        });
        resource.obstacles(provider, cloud, coming.collect())
    });
    let found: Vec<_> = try_join_all(calls).await?.into_iter().flatten().collect();
    if found.is_empty() { Ok(()) } else { Err(Problems(found)) }
}
