//! The contract between the engine and the resource types: what a type declares, and what it is given while it acts.
//!
//! A type implements [`Resource`]; the engine sees all types through [`erased::ErasedResource`]. Waiting, retrying,
//! ordering and progress are the engine's.

pub mod change;
pub mod context;
pub mod erased;
pub mod event;
pub mod fields;
pub mod outlook;
pub mod provider;
pub mod running;
pub mod status;
pub mod succession;

use std::any::Any;
use std::future::Future;
use std::sync::Arc;

use crate::cloud::address::Address;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{ErasedListing, Rows};
use crate::cloud::tags::Tags;
use crate::problem::Problem;
use crate::stack::model::Stack;

use change::{Action, FieldChange};
use context::ActionContext;
use fields::Fields;
use outlook::{Consequence, PartView};
use provider::Provider;
use succession::{Place, Succession};

/// What desired resources are made of.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub stack: &'a Stack,
    /// What the cloud holds, and when it was asked: what was to happen once, and is over, is not desired any more.
    pub cloud: &'a Snapshot,
}

/// What others need to know of a resource once it is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// ARN, id or name: whatever the calls of dependents take.
    pub id: String,
    /// The launch template's version.
    pub revision: String,
    /// What it consists of and may prune: fixed instances, registered targets, ways in.
    pub members: Vec<String>,
}

impl Output {
    pub fn id(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }
}

/// A change of one resource that is planned.
#[derive(Clone, Copy, Debug)]
pub struct Coming<'a, D, O> {
    pub address: &'a Address,
    pub action: Action,
    pub desired: Option<&'a D>,
    pub observed: Option<&'a O>,
}

/// Something that actions of a type need to know, by its Rust type.
pub type Prepared = Arc<dyn Any + Send + Sync>;

/// One resource type.
///
/// A change has two phases: `create` or `update` runs when everything referred to is there; `delete` of what was
/// replaced, or `prune` of what an update left, when nothing refers to the old any more. So replacements create before
/// they delete.
pub trait Resource: Sized + Send + Sync + 'static {
    /// What the user wants.
    type Desired: Clone + Send + Sync + 'static;
    /// What the cloud says.
    type Observed: Clone + Send + Sync + 'static;

    /// The file's name.
    const KIND: &'static str;
    /// The bulk calls that list it.
    const LISTINGS: &'static [&'static dyn ErasedListing] = &[];
    /// Fields that AWS cannot change in place.
    const REPLACE_ON: &'static [&'static str] = &[];
    /// Fields by which this is replaced when what they refer to is: AWS could not change over without losing requests.
    const REPLACE_WITH: &'static [&'static str] = &[];
    /// Fields that some endpoints do not report: their absence is no difference.
    const OPTIONAL_READBACK: &'static [&'static str] = &[];
    /// Fields that only a difference has: nothing of the kind is ever desired.
    const NOTICED: &'static [&'static str] = &[];
    /// What is written and not compared, and why.
    const WRITE_ONLY: &'static [(&'static str, &'static str)] = &[];
    /// Fields that an expiry changes, e.g. bounds that go to zero: such a difference is no drift.
    const CHANGED_BY_EXPIRY: &'static [&'static str] = &[];
    /// Whether an update makes something new that dependents must take up, e.g. a version.
    const VERSIONED: bool = false;
    /// Whether an update may leave parts without use, to be taken away when nothing refers to them any more.
    const PRUNES: bool = false;
    /// Kinds whose deletion takes this along, where this refers to them.
    const DELETED_WITH: &'static [&'static str] = &[];

    fn desired(scope: &Scope<'_>) -> Vec<(Address, Self::Desired)>;
    fn observed(cloud: &Snapshot) -> Vec<(Address, Self::Observed)>;

    /// Names that the cloud gives out once: what has them, and the name.
    fn unique_names(_stack: &Stack) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn desired_fields(desired: &Self::Desired) -> Fields;
    fn observed_fields(observed: &Self::Observed, cloud: &Snapshot) -> Fields;

    /// Details that only a further call reports, where the tags do not report that they are as desired.
    ///
    /// # Errors
    /// When a call fails.
    fn details(
        _provider: &dyn Provider,
        _scope: &Scope<'_>,
    ) -> impl Future<Output = Result<Option<Rows>, Problem>> + Send {
        async { Ok(None) }
    }

    /// What actions on these need to know and no resource reports, asked before anything is changed.
    ///
    /// # Errors
    /// When a call fails, or there is no such thing.
    fn prepare(
        _provider: &dyn Provider,
        _desired: &[&Self::Desired],
    ) -> impl Future<Output = Result<Option<Prepared>, Problem>> + Send {
        async { Ok(None) }
    }

    /// What stands in the way of planned changes and can be read before anything is changed.
    ///
    /// # Errors
    /// When a call fails.
    fn obstacles(
        _provider: &dyn Provider,
        _cloud: &Snapshot,
        _coming: &[Coming<'_, Self::Desired, Self::Observed>],
    ) -> impl Future<Output = Result<Vec<Problem>, Problem>> + Send {
        async { Ok(Vec::new()) }
    }

    /// The hash of what is desired, for the spec tag.
    fn spec(desired: &Self::Desired) -> String {
        Self::desired_fields(desired).spec()
    }

    /// Whether the observed resource is known to equal `spec` without looking at its fields.
    fn in_sync(_observed: &Self::Observed, _spec: &str) -> bool {
        false
    }

    /// Who takes over from whom, where addresses alone do not tell.
    fn succession(_observed: &[Place<'_>], _desired: &[Place<'_>]) -> Succession {
        Succession::default()
    }

    /// Addresses that must be there first although no field refers to them.
    fn depends_on(_desired: &Self::Desired) -> Vec<Address> {
        Vec::new()
    }

    /// Addresses that must stay until this is gone although no field refers to them.
    fn delete_after(_observed: &Self::Observed) -> Vec<Address> {
        Vec::new()
    }

    /// Why the two differ, where the type knows better than the spec tag.
    fn reason(_desired: &Self::Desired, _observed: &Self::Observed) -> Option<String> {
        None
    }

    fn output(observed: &Self::Observed) -> Output;

    /// `None` where AWS gives this type no tags.
    fn tags(_observed: &Self::Observed) -> Option<&Tags> {
        None
    }

    /// What a plan says of a part of the stack that is this resource's: its address is the part's, or all in it are of
    /// this type.
    fn consequence(part: PartView<'_>) -> Consequence {
        part.consequence()
    }

    /// Something worth showing beside an unchanged resource.
    fn remark(_observed: &Self::Observed) -> Option<String> {
        None
    }

    fn create(
        context: &ActionContext<'_>,
        desired: &Self::Desired,
    ) -> impl Future<Output = Result<Output, Problem>> + Send;

    /// Creates the successor of `observed`, which goes when nothing refers to it any more.
    fn replace(
        context: &ActionContext<'_>,
        desired: &Self::Desired,
        _observed: &Self::Observed,
    ) -> impl Future<Output = Result<Output, Problem>> + Send {
        Self::create(context, desired)
    }

    fn update(
        context: &ActionContext<'_>,
        desired: &Self::Desired,
        observed: &Self::Observed,
        changes: &[FieldChange],
    ) -> impl Future<Output = Result<Output, Problem>> + Send;

    /// Takes away the parts that are no longer among `kept`, where [`Resource::PRUNES`].
    fn prune(
        _task: &ActionContext<'_>,
        _observed: &Self::Observed,
        _kept: &Output,
    ) -> impl Future<Output = Result<(), Problem>> + Send {
        async { Ok(()) }
    }

    /// Deletes what is observed.
    fn delete(
        context: &ActionContext<'_>,
        observed: &Self::Observed,
    ) -> impl Future<Output = Result<(), Problem>> + Send;
}

/// Whether any of the changed fields starts with one of the names.
pub fn touches(changes: &[FieldChange], names: &[&str]) -> bool {
    changes.iter().any(|change| names.iter().any(|name| change.path.starts_with(name)))
}
