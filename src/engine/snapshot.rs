//! Taking a snapshot: every bulk call that the resource types declare, each once.

use crate::aws::clients::Clients;
use crate::clock;
use crate::cloud::discover;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{Depth, ErasedListing};
use crate::problem::Problem;
use crate::resource::context::boot_grace;
use crate::resources::TYPES;
use crate::stack::model::Stack;

/// Lists everything that carries the stack's tag; `declared` is the stack file, where it is known.
///
/// # Errors
/// The first call that fails.
pub async fn take(clients: &Clients, stack: &str, declared: Option<&Stack>, depth: Depth) -> Result<Snapshot, Problem> {
    let cloud = Snapshot::of(stack, clock::now(), boot_grace(clients.provider));
    discover::discover(clients, &listings(), cloud, declared, depth).await
}

/// Asks what only later rounds tell of what is in a snapshot already.
///
/// # Errors
/// The first call that fails.
pub async fn complete(clients: &Clients, cloud: &mut Snapshot, declared: &Stack) -> Result<(), Problem> {
    discover::complete(clients, &listings(), cloud, Some(declared)).await
}

/// Several types may be listed by the same call.
fn listings() -> Vec<&'static dyn ErasedListing> {
    let mut listings: Vec<&'static dyn ErasedListing> = Vec::new();
    for listing in TYPES.iter().flat_map(|face| face.listings()) {
        if !listings.iter().any(|known| known.key() == listing.key()) {
            listings.push(*listing);
        }
    }
    listings
}
