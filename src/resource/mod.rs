//! The contract between the engine and the resource types: what a type declares, and what it is given while it acts.
//!
//! A type implements [`Resource`]; the engine sees all types through [`erased::ErasedResource`]. Waiting, retrying, ordering and
//! progress are the engine's.

pub mod change;
pub mod context;
pub mod erased;
pub mod event;
pub mod fields;
pub mod status;

use std::future::Future;

use crate::aws::clients::Clients;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::{ErasedListing, Rows};
use crate::cloud::tags::Tags;
use crate::problem::Problem;
use crate::stack::model::Stack;

use change::FieldChange;
use context::Task;
use fields::Fields;

/// What wanted resources are made of.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub stack: &'a Stack,
    /// What the cloud holds, and when it was asked: what was to happen once, and is over, is not wanted any more.
    pub cloud: &'a Snapshot,
}

/// What others need to know of a resource once it is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// ARN, id or name: whatever the calls of dependents take.
    pub id: String,
    /// The launch template's version.
    pub revision: String,
    /// What it consists of and may shed: a fleet's instances, registered targets, ways in.
    pub members: Vec<String>,
}

impl Output {
    pub fn id(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }
}

/// One resource type.
///
/// A change has two halves: `create` or `update` runs when everything referred to is there; `retire` of what was replaced,
/// or `shed` of what an update left, when nothing refers to the old any more. So replacements create before they delete.
pub trait Resource: Sized + Send + Sync + 'static {
    /// What the user wants.
    type Wanted: Clone + Send + Sync + 'static;
    /// What the cloud says.
    type Live: Clone + Send + Sync + 'static;

    /// The file's name.
    const KIND: &'static str;
    /// The bulk calls that list it.
    const LISTINGS: &'static [&'static dyn ErasedListing] = &[];
    /// Fields that AWS cannot change in place.
    const REPLACE_ON: &'static [&'static str] = &[];
    /// Fields by which this is replaced when what they refer to is: AWS could not change over without losing requests.
    const REPLACE_WITH: &'static [&'static str] = &[];
    /// Fields that some endpoints do not tell: their absence is no difference.
    const MAY_BE_UNTOLD: &'static [&'static str] = &[];
    /// Whether an update makes something new that dependents must take up, e.g. a version.
    const REVISES: bool = false;
    /// Whether an update may leave parts without use, to be taken away when nothing refers to them any more.
    const SHEDS: bool = false;
    /// Kinds whose deletion takes this along, where this refers to them.
    const GOES_WITH: &'static [&'static str] = &[];

    fn wanted(scope: &Scope<'_>) -> Vec<(String, Self::Wanted)>;
    fn live(cloud: &Snapshot) -> Vec<(String, Self::Live)>;

    fn want(wanted: &Self::Wanted) -> Fields;
    fn observe(live: &Self::Live, cloud: &Snapshot) -> Fields;

    /// Details that only a further call tells, where the tags do not tell that they are as wanted.
    ///
    /// # Errors
    /// When a call fails.
    fn details(_clients: &Clients, _scope: &Scope<'_>) -> impl Future<Output = Result<Option<Rows>, Problem>> + Send {
        async { Ok(None) }
    }

    /// The hash of what is wanted, for the spec tag.
    fn spec(wanted: &Self::Wanted) -> String {
        Self::want(wanted).spec()
    }

    /// Whether the live resource is known to equal `spec` without looking at its fields.
    fn in_sync(_live: &Self::Live, _spec: &str) -> bool {
        false
    }

    /// Addresses that must be there first although no field refers to them.
    fn after(_wanted: &Self::Wanted) -> Vec<String> {
        Vec::new()
    }

    /// Addresses that must stay until this is gone although no field refers to them.
    fn stands_on(_live: &Self::Live) -> Vec<String> {
        Vec::new()
    }

    /// Why the two differ, where the type knows better than the spec tag.
    fn reason(_wanted: &Self::Wanted, _live: &Self::Live) -> Option<String> {
        None
    }

    fn output(live: &Self::Live) -> Output;

    /// `None` where AWS gives this type no tags.
    fn tags(_live: &Self::Live) -> Option<&Tags> {
        None
    }

    /// Something worth showing beside an unchanged resource.
    fn remark(_live: &Self::Live) -> Option<String> {
        None
    }

    fn create(task: &Task<'_>, wanted: &Self::Wanted) -> impl Future<Output = Result<Output, Problem>> + Send;

    /// Creates the successor of `live`, which goes when nothing refers to it any more.
    fn replace(
        task: &Task<'_>,
        wanted: &Self::Wanted,
        _live: &Self::Live,
    ) -> impl Future<Output = Result<Output, Problem>> + Send {
        Self::create(task, wanted)
    }

    fn update(
        task: &Task<'_>,
        wanted: &Self::Wanted,
        live: &Self::Live,
        changes: &[FieldChange],
    ) -> impl Future<Output = Result<Output, Problem>> + Send;

    /// Takes away the parts that are no longer among `kept`, where [`Resource::SHEDS`].
    fn shed(_task: &Task<'_>, _live: &Self::Live, _kept: &Output) -> impl Future<Output = Result<(), Problem>> + Send {
        async { Ok(()) }
    }

    /// Deletes what is live.
    fn retire(task: &Task<'_>, live: &Self::Live) -> impl Future<Output = Result<(), Problem>> + Send;
}

/// `cluster.light.target_group`
pub fn in_cluster(cluster: &str, kind: &str) -> String {
    format!("cluster.{cluster}.{kind}")
}

/// `cluster.light` of any address within the cluster.
pub fn cluster_prefix(address: &str) -> Option<&str> {
    let end = address.strip_prefix("cluster.")?.find('.')?;
    Some(&address[.."cluster.".len() + end])
}

/// Whether any of the changed fields starts with one of the names.
pub fn touches(changes: &[FieldChange], names: &[&str]) -> bool {
    changes.iter().any(|change| names.iter().any(|name| change.path.starts_with(name)))
}
