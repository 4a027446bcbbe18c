//! One face for all resource types, so that the engine handles them alike.
//!
//! [`Typed`] is the only place that knows both sides: it wraps wanted and live values, and unwraps them for the type that
//! made them.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use super::fields::Fields;
use crate::aws::clients::Clients;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{ErasedListing, Rows};
use crate::cloud::tags::Tags;
use crate::problem::Problem;
use crate::resource::change::FieldChange;
use crate::resource::context::Task;
use crate::resource::{Output, Resource, Scope};

type Boxed = Arc<dyn Any + Send + Sync>;
type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Problem>> + Send + 'a>>;

/// A wanted resource of any type.
#[derive(Clone)]
pub struct Wanted {
    pub address: String,
    pub fields: Fields,
    pub spec: String,
    pub after: Vec<String>,
    value: Boxed,
}

/// A live resource of any type.
#[derive(Clone)]
pub struct Live {
    pub address: String,
    pub fields: Fields,
    pub output: Output,
    pub tags: Option<Tags>,
    pub remark: Option<String>,
    pub stands_on: Vec<String>,
    value: Boxed,
}

#[cfg(test)]
impl Live {
    /// One that is just as wanted; no type will take it back.
    pub fn like(wanted: &Wanted, tags: Option<&Tags>) -> Self {
        Self {
            address: wanted.address.clone(),
            fields: wanted.fields.clone(),
            output: Output::id(&wanted.address),
            tags: tags.cloned(),
            remark: None,
            stands_on: Vec::new(),
            value: Arc::new(()),
        }
    }
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wanted {}", self.address)
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "live {}", self.address)
    }
}

/// What the engine sees of a resource type.
pub trait Face: Send + Sync {
    fn kind(&self) -> &'static str;
    fn listings(&self) -> &'static [&'static dyn ErasedListing];
    fn replace_on(&self) -> &'static [&'static str];
    fn replace_with(&self) -> &'static [&'static str];
    fn may_be_untold(&self) -> &'static [&'static str];
    fn revises(&self) -> bool;
    fn sheds(&self) -> bool;
    fn goes_with(&self) -> &'static [&'static str];
    fn wanted(&self, scope: &Scope<'_>) -> Vec<Wanted>;
    fn live(&self, cloud: &Snapshot) -> Vec<Live>;
    fn details<'a>(&self, clients: &'a Clients, scope: &'a Scope<'a>) -> Answer<'a, Option<Rows>>;
    fn in_sync(&self, live: &Live, spec: &str) -> bool;
    fn reason(&self, wanted: &Wanted, live: &Live) -> Option<String>;
    fn create<'a>(&self, task: &'a Task<'a>, wanted: &'a Wanted) -> Answer<'a, Output>;
    fn replace<'a>(&self, task: &'a Task<'a>, wanted: &'a Wanted, live: &'a Live) -> Answer<'a, Output>;
    fn update<'a>(
        &self,
        task: &'a Task<'a>,
        wanted: &'a Wanted,
        live: &'a Live,
        changes: &'a [FieldChange],
    ) -> Answer<'a, Output>;
    fn shed<'a>(&self, task: &'a Task<'a>, live: &'a Live, kept: &'a Output) -> Answer<'a, ()>;
    fn retire<'a>(&self, task: &'a Task<'a>, live: &'a Live) -> Answer<'a, ()>;
}

impl fmt::Debug for dyn Face {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// The face of one type.
pub struct Typed<R>(PhantomData<fn() -> R>);

impl<R: Resource> Typed<R> {
    pub const NEW: Self = Self(PhantomData);

    fn wanted_of(wanted: &Wanted) -> &R::Wanted {
        wanted.value.downcast_ref().expect("a wanted resource comes back to the type that made it")
    }

    fn live_of(live: &Live) -> &R::Live {
        live.value.downcast_ref().expect("a live resource comes back to the type that made it")
    }
}

impl<R: Resource> Face for Typed<R> {
    fn kind(&self) -> &'static str {
        R::KIND
    }

    fn listings(&self) -> &'static [&'static dyn ErasedListing] {
        R::LISTINGS
    }

    fn replace_on(&self) -> &'static [&'static str] {
        R::REPLACE_ON
    }

    fn replace_with(&self) -> &'static [&'static str] {
        R::REPLACE_WITH
    }

    fn may_be_untold(&self) -> &'static [&'static str] {
        R::MAY_BE_UNTOLD
    }

    fn revises(&self) -> bool {
        R::REVISES
    }

    fn sheds(&self) -> bool {
        R::SHEDS
    }

    fn goes_with(&self) -> &'static [&'static str] {
        R::GOES_WITH
    }

    fn wanted(&self, scope: &Scope<'_>) -> Vec<Wanted> {
        let wrap = |(address, value): (String, R::Wanted)| Wanted {
            address,
            fields: R::want(&value),
            spec: R::spec(&value),
            after: R::after(&value),
            value: Arc::new(value),
        };
        R::wanted(scope).into_iter().map(wrap).collect()
    }

    fn live(&self, cloud: &Snapshot) -> Vec<Live> {
        let wrap = |(address, value): (String, R::Live)| Live {
            address,
            fields: R::observe(&value, cloud),
            output: R::output(&value),
            tags: R::tags(&value).cloned(),
            remark: R::remark(&value),
            stands_on: R::stands_on(&value),
            value: Arc::new(value),
        };
        R::live(cloud).into_iter().map(wrap).collect()
    }

    fn details<'a>(&self, clients: &'a Clients, scope: &'a Scope<'a>) -> Answer<'a, Option<Rows>> {
        Box::pin(R::details(clients, scope))
    }

    fn in_sync(&self, live: &Live, spec: &str) -> bool {
        R::in_sync(Self::live_of(live), spec)
    }

    fn reason(&self, wanted: &Wanted, live: &Live) -> Option<String> {
        R::reason(Self::wanted_of(wanted), Self::live_of(live))
    }

    fn create<'a>(&self, task: &'a Task<'a>, wanted: &'a Wanted) -> Answer<'a, Output> {
        Box::pin(R::create(task, Self::wanted_of(wanted)))
    }

    fn replace<'a>(&self, task: &'a Task<'a>, wanted: &'a Wanted, live: &'a Live) -> Answer<'a, Output> {
        Box::pin(R::replace(task, Self::wanted_of(wanted), Self::live_of(live)))
    }

    fn update<'a>(
        &self,
        task: &'a Task<'a>,
        wanted: &'a Wanted,
        live: &'a Live,
        changes: &'a [FieldChange],
    ) -> Answer<'a, Output> {
        Box::pin(R::update(task, Self::wanted_of(wanted), Self::live_of(live), changes))
    }

    fn shed<'a>(&self, task: &'a Task<'a>, live: &'a Live, kept: &'a Output) -> Answer<'a, ()> {
        Box::pin(R::shed(task, Self::live_of(live), kept))
    }

    fn retire<'a>(&self, task: &'a Task<'a>, live: &'a Live) -> Answer<'a, ()> {
        Box::pin(R::retire(task, Self::live_of(live)))
    }
}
