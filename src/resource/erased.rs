//! One erased form for all resource types, so that the engine handles them alike.
//!
//! [`Erased`] is the only place that knows both sides: it wraps desired and observed values, and unwraps them for the
//! type that made them.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::fields::Fields;
use super::outlook::{Consequence, PartView};
use super::provider::{Answer, Provider};
use super::succession::{Place, Succession};
use super::{Coming, Output, Prepared, Resource, Scope};
use crate::cloud::address::Address;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{ErasedListing, Rows};
use crate::cloud::tags::Tags;
use crate::problem::Problem;
use crate::resource::change::FieldChange;
use crate::resource::context::ActionContext;
use crate::stack::model::Stack;

type Boxed = Arc<dyn Any + Send + Sync>;

/// A desired resource of any type.
#[derive(Clone)]
pub struct Desired {
    pub address: Address,
    pub fields: Fields,
    pub spec: String,
    pub after: Vec<Address>,
    value: Boxed,
}

/// An observed resource of any type.
#[derive(Clone)]
pub struct Observed {
    pub address: Address,
    pub fields: Fields,
    pub output: Output,
    pub tags: Option<Tags>,
    pub remark: Option<String>,
    pub delete_after: Vec<Address>,
    value: Boxed,
}

#[cfg(test)]
impl Observed {
    /// One that is just as desired; no type will take it back.
    pub fn like(desired: &Desired, tags: Option<&Tags>) -> Self {
        Self {
            address: desired.address.clone(),
            fields: desired.fields.clone(),
            output: Output::id(desired.address.as_str()),
            tags: tags.cloned(),
            remark: None,
            delete_after: Vec::new(),
            value: Arc::new(()),
        }
    }
}

impl fmt::Debug for Desired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "desired {}", self.address)
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "observed {}", self.address)
    }
}

/// What the engine sees of a resource type.
pub trait ErasedResource: Send + Sync {
    fn kind(&self) -> &'static str;
    fn listings(&self) -> &'static [&'static dyn ErasedListing];
    fn replace_on(&self) -> &'static [&'static str];
    fn replace_with(&self) -> &'static [&'static str];
    fn optional_readback(&self) -> &'static [&'static str];
    fn noticed(&self) -> &'static [&'static str];
    fn write_only(&self) -> &'static [(&'static str, &'static str)];
    fn changed_by_expiry(&self) -> &'static [&'static str];
    fn versioned(&self) -> bool;
    fn prunes(&self) -> bool;
    fn deleted_with(&self) -> &'static [&'static str];
    fn desired(&self, scope: &Scope<'_>) -> Vec<Desired>;
    fn observed(&self, cloud: &Snapshot) -> Vec<Observed>;
    fn unique_names(&self, stack: &Stack) -> Vec<(&'static str, String)>;
    fn succession(&self, observed: &[Place<'_>], desired: &[Place<'_>]) -> Succession;
    fn details<'a>(&self, provider: &'a dyn Provider, scope: &'a Scope<'a>) -> Answer<'a, Option<Rows>>;
    fn prepare<'a>(&self, provider: &'a dyn Provider, desired: Vec<&'a Desired>) -> Answer<'a, Option<Prepared>>;
    fn obstacles<'a>(
        &self,
        provider: &'a dyn Provider,
        cloud: &'a Snapshot,
        coming: Vec<Coming<'a, Desired, Observed>>,
    ) -> Answer<'a, Vec<Problem>>;
    fn in_sync(&self, observed: &Observed, spec: &str) -> bool;
    fn reason(&self, desired: &Desired, observed: &Observed) -> Option<String>;
    fn consequence(&self, part: PartView<'_>) -> Consequence;
    fn create<'a>(&self, context: &'a ActionContext<'a>, desired: &'a Desired) -> Answer<'a, Output>;
    fn replace<'a>(
        &self,
        context: &'a ActionContext<'a>,
        desired: &'a Desired,
        observed: &'a Observed,
    ) -> Answer<'a, Output>;
    fn update<'a>(
        &self,
        context: &'a ActionContext<'a>,
        desired: &'a Desired,
        observed: &'a Observed,
        changes: &'a [FieldChange],
    ) -> Answer<'a, Output>;
    fn prune<'a>(&self, context: &'a ActionContext<'a>, observed: &'a Observed, kept: &'a Output) -> Answer<'a, ()>;
    fn delete<'a>(&self, context: &'a ActionContext<'a>, observed: &'a Observed) -> Answer<'a, ()>;
}

impl fmt::Debug for dyn ErasedResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// The erased form of one type.
pub struct Erased<R>(PhantomData<fn() -> R>);

impl<R: Resource> Erased<R> {
    pub const NEW: Self = Self(PhantomData);

    fn desired_of(desired: &Desired) -> &R::Desired {
        desired.value.downcast_ref().expect("a desired resource comes back to the type that made it")
    }

    fn observed_of(observed: &Observed) -> &R::Observed {
        observed.value.downcast_ref().expect("an observed resource comes back to the type that made it")
    }
}

impl<R: Resource> ErasedResource for Erased<R> {
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

    fn optional_readback(&self) -> &'static [&'static str] {
        R::OPTIONAL_READBACK
    }

    fn noticed(&self) -> &'static [&'static str] {
        R::NOTICED
    }

    fn write_only(&self) -> &'static [(&'static str, &'static str)] {
        R::WRITE_ONLY
    }

    fn changed_by_expiry(&self) -> &'static [&'static str] {
        R::CHANGED_BY_EXPIRY
    }

    fn versioned(&self) -> bool {
        R::VERSIONED
    }

    fn prunes(&self) -> bool {
        R::PRUNES
    }

    fn deleted_with(&self) -> &'static [&'static str] {
        R::DELETED_WITH
    }

    fn desired(&self, scope: &Scope<'_>) -> Vec<Desired> {
        let wrap = |(address, value): (Address, R::Desired)| Desired {
            address,
            fields: R::desired_fields(&value),
            spec: R::spec(&value),
            after: R::depends_on(&value),
            value: Arc::new(value),
        };
        R::desired(scope).into_iter().map(wrap).collect()
    }

    fn unique_names(&self, stack: &Stack) -> Vec<(&'static str, String)> {
        R::unique_names(stack)
    }

    fn succession(&self, observed: &[Place<'_>], desired: &[Place<'_>]) -> Succession {
        R::succession(observed, desired)
    }

    fn observed(&self, cloud: &Snapshot) -> Vec<Observed> {
        let wrap = |(address, value): (Address, R::Observed)| Observed {
            address,
            fields: R::observed_fields(&value, cloud),
            output: R::output(&value),
            tags: R::tags(&value).cloned(),
            remark: R::remark(&value),
            delete_after: R::delete_after(&value),
            value: Arc::new(value),
        };
        R::observed(cloud).into_iter().map(wrap).collect()
    }

    fn details<'a>(&self, provider: &'a dyn Provider, scope: &'a Scope<'a>) -> Answer<'a, Option<Rows>> {
        Box::pin(R::details(provider, scope))
    }

    fn prepare<'a>(&self, provider: &'a dyn Provider, desired: Vec<&'a Desired>) -> Answer<'a, Option<Prepared>> {
        Box::pin(async move {
            let desired: Vec<_> = desired.into_iter().map(Self::desired_of).collect();
            R::prepare(provider, &desired).await
        })
    }

    fn obstacles<'a>(
        &self,
        provider: &'a dyn Provider,
        cloud: &'a Snapshot,
        coming: Vec<Coming<'a, Desired, Observed>>,
    ) -> Answer<'a, Vec<Problem>> {
        Box::pin(async move {
            let typed = |Coming { address, action, desired, observed }: Coming<'a, Desired, Observed>| Coming {
                address,
                action,
                desired: desired.map(Self::desired_of),
                observed: observed.map(Self::observed_of),
            };
            let coming: Vec<_> = coming.into_iter().map(typed).collect();
            R::obstacles(provider, cloud, &coming).await
        })
    }

    fn in_sync(&self, observed: &Observed, spec: &str) -> bool {
        R::in_sync(Self::observed_of(observed), spec)
    }

    fn reason(&self, desired: &Desired, observed: &Observed) -> Option<String> {
        R::reason(Self::desired_of(desired), Self::observed_of(observed))
    }

    fn consequence(&self, part: PartView<'_>) -> Consequence {
        R::consequence(part)
    }

    fn create<'a>(&self, context: &'a ActionContext<'a>, desired: &'a Desired) -> Answer<'a, Output> {
        Box::pin(R::create(context, Self::desired_of(desired)))
    }

    fn replace<'a>(
        &self,
        context: &'a ActionContext<'a>,
        desired: &'a Desired,
        observed: &'a Observed,
    ) -> Answer<'a, Output> {
        Box::pin(R::replace(context, Self::desired_of(desired), Self::observed_of(observed)))
    }

    fn update<'a>(
        &self,
        context: &'a ActionContext<'a>,
        desired: &'a Desired,
        observed: &'a Observed,
        changes: &'a [FieldChange],
    ) -> Answer<'a, Output> {
        Box::pin(R::update(context, Self::desired_of(desired), Self::observed_of(observed), changes))
    }

    fn prune<'a>(&self, context: &'a ActionContext<'a>, observed: &'a Observed, kept: &'a Output) -> Answer<'a, ()> {
        Box::pin(R::prune(context, Self::observed_of(observed), kept))
    }

    fn delete<'a>(&self, context: &'a ActionContext<'a>, observed: &'a Observed) -> Answer<'a, ()> {
        Box::pin(R::delete(context, Self::observed_of(observed)))
    }
}
