//! Which observed resource becomes which desired one although its address is another, and who waits for whom.
//!
//! The types say who takes over ([`Resource::succession`](crate::resource::Resource::succession)); here it is kept by the
//! ids of what is observed.

use std::collections::BTreeMap;

use super::Node;
use crate::cloud::address::Address;
use crate::resource::erased::{Desired, ErasedResource, Observed};
use crate::resource::succession::Place;

/// The heirs of the observed resources of one type.
#[derive(Debug, Default)]
pub struct Heirs {
    /// Id → the address that it is to have.
    moves: BTreeMap<String, Address>,
    /// Id → addresses of those that take over something from it.
    yields: BTreeMap<String, Vec<Address>>,
}

impl Heirs {
    pub fn of(resource: &dyn ErasedResource, observed: &[Observed], desired: &[Desired]) -> Self {
        let now: Vec<Place<'_>> = observed.iter().map(|observed| (&observed.address, &observed.fields)).collect();
        let then: Vec<Place<'_>> = desired.iter().map(|desired| (&desired.address, &desired.fields)).collect();
        let succession = resource.succession(&now, &then);
        let mut heirs = Self::default();
        let id = |index: usize| observed[index].output.id.clone();
        for (from, to) in succession.moves {
            heirs.moves.insert(id(from), desired[to].address.clone());
        }
        for (from, to) in succession.yields {
            heirs.yields.entry(id(from)).or_default().push(desired[to].address.clone());
        }
        heirs
    }

    /// The address that an observed resource is to have.
    pub fn address_of<'a>(&'a self, observed: &'a Observed) -> &'a Address {
        self.moves.get(&observed.output.id).unwrap_or(&observed.address)
    }

    /// Notes on a node who takes over from it.
    pub fn mark(&self, node: &mut Node) {
        let heirs = node.observed.as_ref().and_then(|observed| self.yields.get(&observed.output.id));
        node.yields_to = heirs.cloned().unwrap_or_default();
    }
}
