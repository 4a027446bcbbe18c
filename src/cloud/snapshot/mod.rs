//! What the cloud holds of one stack, at one moment: the answers of its listings, filtered to what is ours.

pub mod listing;

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::address::Address;
use super::tags::{self, Tags};
use crate::cloud::snapshot::listing::{Bulk, Collection, ErasedCollection, Rows};

/// Everything that carries the stack's tag.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub stack: String,
    /// When the cloud was asked.
    pub taken: Timestamp,
    /// How long after its launch an instance may not serve and still be whole.
    pub boot_grace: Duration,
    /// What it was made of.
    pub(in crate::cloud) collections: Vec<&'static dyn ErasedCollection>,
    rows: BTreeMap<TypeId, Rows>,
    /// By id, ARN or name: whatever the calls of dependents take.
    pub(in crate::cloud) all_tags: BTreeMap<String, Tags>,
    /// Names that look like ours and carry no tag of this stack: never touched.
    pub unmanaged: BTreeSet<String>,
    /// What the user is to know of how it was taken, a line each.
    pub notes: BTreeSet<String>,
    /// Ids and ARNs of ours that have a successor: a replacement was interrupted.
    pub replaced: BTreeSet<String>,
}

impl Snapshot {
    /// One that nothing was asked for yet.
    pub fn of(stack: &str, taken: Timestamp, boot_grace: Duration) -> Self {
        Self { stack: stack.to_owned(), taken, boot_grace, ..Self::default() }
    }

    /// One of a stack that has nothing, at no particular time.
    pub fn empty(stack: &str) -> Self {
        Self::of(stack, Timestamp::UNIX_EPOCH, Duration::ZERO)
    }

    /// What a listing found; nothing where it was not asked for, or the endpoint does not have the service.
    pub fn all<C: Collection>(&self) -> &[C::Item] {
        let rows = self.rows.get(&TypeId::of::<C>()).and_then(Rows::items);
        rows.and_then(|rows| rows.downcast_ref::<Vec<C::Item>>()).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a listing was asked for and the endpoint does not have the service.
    pub fn lacks<C: Collection>(&self) -> bool {
        self.rows.get(&TypeId::of::<C>()).is_some_and(|rows| rows.items().is_none())
    }

    /// Takes up what a call found, in place of what was known of it.
    pub fn store(&mut self, rows: Rows) {
        self.rows.insert(rows.key(), rows);
    }

    /// Notes that it has items of a collection.
    pub(in crate::cloud) fn holds(&mut self, collection: &'static dyn ErasedCollection) {
        if !self.collections.iter().any(|known| known.key() == collection.key()) {
            self.collections.push(collection);
        }
    }

    /// Takes up items whose tags come with them, or have been noted before.
    pub fn put<C: Collection>(&mut self, items: Vec<C::Item>) {
        self.store(Rows::of::<C>(Some(items)));
        Bulk::<C>::NEW.settle(self);
        self.holds(&const { Bulk::<C>::NEW });
    }

    /// As [`Snapshot::put`], to build one from.
    #[must_use]
    pub fn with<C: Collection>(mut self, items: Vec<C::Item>) -> Self {
        self.put::<C>(items);
        self
    }

    /// Adds one item to what a listing found.
    pub fn add<C: Collection>(&mut self, item: C::Item) {
        let mut items = self.all::<C>().to_vec();
        items.push(item);
        self.put::<C>(items);
    }

    /// Notes the tags of something.
    pub fn note_tags(&mut self, id: &str, tags: Tags) {
        self.all_tags.insert(id.to_owned(), tags);
    }

    /// The tags of something that is the stack's, by id, ARN or name.
    pub fn tags_of(&self, id: &str) -> Option<&Tags> {
        self.all_tags.get(id).filter(|tags| tags.get(tags::STACK) == Some(&self.stack))
    }

    /// The address that it carries.
    pub fn address_of(&self, id: &str) -> Option<Address> {
        tags::address(self.tags_of(id)?)
    }

    /// All addresses at which there is something.
    pub fn addresses(&self) -> BTreeSet<Address> {
        self.all_tags.keys().filter_map(|id| self.address_of(id)).collect()
    }

    /// Ids of what refers to an id.
    pub fn referrers(&self, id: &str) -> Vec<String> {
        self.collections.iter().flat_map(|collection| collection.referrers(self, id)).collect()
    }

    /// One line for everything that costs money or stands in the way of a new stack.
    pub fn leftovers(&self) -> Vec<String> {
        self.collections.iter().flat_map(|collection| collection.leftovers(self)).collect()
    }
}
