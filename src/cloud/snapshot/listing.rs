//! Bulk calls: how everything of a stack is found, whatever its size.
//!
//! A resource type declares the calls that list it ([`Listing`]); several types may name the same call, which is then
//! made once. Calls of one round run at the same time; those of a later round ask about what the earlier ones found.
//! The engine and the snapshot see listings without their types ([`ErasedListing`]).

use std::any::{Any, TypeId};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use crate::aws::clients::Clients;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::tags::{self, Tags};
use crate::problem::Problem;
use crate::stack::model::Stack;
use crate::stack::names;

/// How deep to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What exists at all: for `down` and its audit.
    Existence,
    /// Everything that is compared: for `diff` and `up`.
    Plan,
    /// What serves: for `status`.
    Status,
}

/// What a listing is given.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    pub clients: &'a Clients,
    /// What the earlier rounds found, and whose it is.
    pub cloud: &'a Snapshot,
    /// The stack file; `None` for commands that know a name only.
    pub declared: Option<&'a Stack>,
    pub depth: Depth,
}

/// Where the tags of an item are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tagged {
    /// They come with the item.
    Here(Tags),
    /// Elastic Load Balancing's DescribeTags reports them, by ARN.
    Elsewhere,
    /// It has none.
    Never,
}

/// Items of one kind in a snapshot: how they are known to be the stack's, and what they refer to.
pub trait Collection: Send + Sync + 'static {
    type Item: Clone + fmt::Debug + Send + Sync + 'static;

    /// Whether items without the stack's tag are dropped.
    const OURS_ONLY: bool = true;
    /// The codes by which AWS says that it does not know one: it is gone, or has not been heard of everywhere yet.
    const NOT_FOUND: &'static [&'static str] = &[];

    /// The id, ARN or name by which other resources refer to it.
    fn id(_item: &Self::Item) -> Option<&str> {
        None
    }

    fn tags(_item: &Self::Item) -> Tagged {
        Tagged::Never
    }

    /// Whether these tags make it the stack's.
    fn is_ours(tags: &Tags, stack: &str) -> bool {
        tags.get(tags::STACK).is_some_and(|owner| owner == stack)
    }

    /// Ids, ARNs or names of what it needs or serves.
    fn refers_to(_item: &Self::Item) -> Vec<&str> {
        Vec::new()
    }

    /// Whether AWS lists it although it is gone, or going.
    fn is_gone(_item: &Self::Item) -> bool {
        false
    }

    /// The name that AWS gives out once.
    fn name(_item: &Self::Item) -> Option<&str> {
        None
    }

    /// How it is called where it is all that is left of a stack; `None` for what goes along with something else.
    fn leftover(_item: &Self::Item) -> Option<String> {
        None
    }
}

/// A collection that one bulk call fills.
pub trait Listing: Collection {
    /// The calls of a round need what the rounds before have found.
    const ROUND: u8 = 0;
    /// When it is made.
    const DEPTHS: &'static [Depth];
    /// What its items stand in or hang below: where the stack has none of it, nothing is asked.
    const BELOW: Option<&'static dyn ErasedCollection> = None;

    /// `None` where the endpoint does not have the service at all.
    ///
    /// # Errors
    /// When the call fails.
    fn list(query: &Query<'_>) -> impl Future<Output = Result<Option<Vec<Self::Item>>, Problem>> + Send;

    /// What to report where the endpoint does not have the service; `None` where nobody misses it. Commands that know a
    /// stack by its name only ask for `None`.
    fn missed_by(_stack: Option<&Stack>) -> Option<String> {
        None
    }

    /// Whether it may be the stack's, before its tags are asked for.
    fn may_be_ours(_item: &Self::Item, _cloud: &Snapshot) -> bool {
        true
    }
}

/// The items of one listing.
#[derive(Clone)]
pub struct Rows {
    key: TypeId,
    /// `None` where the endpoint does not have the service.
    items: Option<Arc<dyn Any + Send + Sync>>,
}

impl Rows {
    pub fn of<C: Collection>(items: Option<Vec<C::Item>>) -> Self {
        Self { key: TypeId::of::<C>(), items: items.map(|items| Arc::new(items) as Arc<dyn Any + Send + Sync>) }
    }

    pub fn key(&self) -> TypeId {
        self.key
    }

    pub fn items(&self) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.items.as_ref()
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.items.is_some() { "rows" } else { "no such service" })
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Rows, Problem>> + Send + 'a>>;

/// A collection without its type.
pub trait ErasedCollection: Send + Sync {
    fn key(&self) -> TypeId;
    fn not_found(&self) -> &'static [&'static str];
    /// ARNs of the items whose tags are reported elsewhere.
    fn untagged(&self, cloud: &Snapshot) -> Vec<String>;
    /// Notes whose the items are, and drops what is not ours.
    fn settle(&self, cloud: &mut Snapshot);
    fn leftovers(&self, cloud: &Snapshot) -> Vec<String>;
    fn is_empty(&self, cloud: &Snapshot) -> bool;
    /// Ids of those of the stack's that refer to an id.
    fn referrers(&self, cloud: &Snapshot, id: &str) -> Vec<String>;
}

impl fmt::Debug for dyn ErasedCollection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("collection")
    }
}

/// A listing without its type.
pub trait ErasedListing: ErasedCollection {
    fn round(&self) -> u8;
    fn depths(&self) -> &'static [Depth];
    fn list<'a>(&self, query: &'a Query<'a>) -> Answer<'a>;
    /// Drops what cannot be ours, before tags are asked for.
    fn narrow(&self, cloud: &mut Snapshot);
    fn missed_by(&self, stack: Option<&Stack>) -> Option<String>;
}

/// The erased form of one collection.
pub struct Bulk<C>(PhantomData<fn() -> C>);

impl<C> Bulk<C> {
    pub const NEW: Self = Self(PhantomData);
}

impl<L: Listing> ErasedListing for Bulk<L> {
    fn round(&self) -> u8 {
        L::ROUND
    }

    fn depths(&self) -> &'static [Depth] {
        L::DEPTHS
    }

    fn list<'a>(&self, query: &'a Query<'a>) -> Answer<'a> {
        let nothing = L::BELOW.is_some_and(|above| above.is_empty(query.cloud));
        Box::pin(async move { Ok(Rows::of::<L>(if nothing { Some(Vec::new()) } else { L::list(query).await? })) })
    }

    fn missed_by(&self, stack: Option<&Stack>) -> Option<String> {
        L::missed_by(stack)
    }

    fn narrow(&self, cloud: &mut Snapshot) {
        let all = cloud.all::<L>();
        let kept: Vec<_> = all.iter().filter(|item| L::may_be_ours(item, cloud)).collect();
        if kept.len() < all.len() {
            let kept = kept.into_iter().cloned().collect();
            cloud.store(Rows::of::<L>(Some(kept)));
        }
    }
}

impl<C: Collection> ErasedCollection for Bulk<C> {
    fn key(&self) -> TypeId {
        TypeId::of::<C>()
    }

    fn not_found(&self) -> &'static [&'static str] {
        C::NOT_FOUND
    }

    fn untagged(&self, cloud: &Snapshot) -> Vec<String> {
        let items = cloud.all::<C>().iter().filter(|item| C::tags(item) == Tagged::Elsewhere);
        items.filter_map(|item| C::id(item).map(str::to_owned)).collect()
    }

    fn settle(&self, cloud: &mut Snapshot) {
        let items = cloud.all::<C>();
        let (mut kept, mut tagged, mut unmanaged) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            let id = C::id(item);
            let tags = match C::tags(item) {
                Tagged::Here(tags) => Some(tags),
                Tagged::Elsewhere => id.and_then(|id| cloud.all_tags.get(id)).cloned(),
                Tagged::Never => None,
            };
            let is_ours = tags.as_ref().is_some_and(|tags| C::is_ours(tags, &cloud.stack));
            if let (Some(id), Some(tags), true) = (id, tags, is_ours && !C::is_gone(item)) {
                tagged.push((id.to_owned(), tags));
            }
            if is_ours || !C::OURS_ONLY {
                kept.push(item.clone());
            } else if let Some(name) = C::name(item).filter(|name| name.starts_with(names::PREFIX)) {
                unmanaged.push(name.to_owned());
            }
        }
        let dropped = kept.len() < items.len();
        cloud.all_tags.extend(tagged);
        cloud.unmanaged.extend(unmanaged);
        if dropped {
            cloud.store(Rows::of::<C>(Some(kept)));
        }
    }

    fn is_empty(&self, cloud: &Snapshot) -> bool {
        cloud.all::<C>().is_empty()
    }

    fn leftovers(&self, cloud: &Snapshot) -> Vec<String> {
        cloud.all::<C>().iter().filter_map(C::leftover).collect()
    }

    fn referrers(&self, cloud: &Snapshot, id: &str) -> Vec<String> {
        // While a round is under way there may be items of others among them.
        let is_ours = |item: &&C::Item| match C::tags(item) {
            Tagged::Here(tags) => C::is_ours(&tags, &cloud.stack),
            Tagged::Elsewhere | Tagged::Never => true,
        };
        let referrers = cloud.all::<C>().iter().filter(|item| C::refers_to(item).contains(&id)).filter(is_ours);
        referrers.filter_map(|item| C::id(item).map(str::to_owned)).collect()
    }
}
