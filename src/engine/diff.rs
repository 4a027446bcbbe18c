//! Desired × observed × spec tag → changes with reasons. Pure.
//!
//! A field that differs while the spec tag equals the desired spec was changed behind our back: drift. Otherwise the
//! stack changed. What refers to a resource that is created again changes with it.

mod heirs;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use self::heirs::Heirs;
use crate::cloud::address::Address;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::tags::{self, Tags};
use crate::problem::Problems;
use crate::resource::Scope;
use crate::resource::change::{self, Action, Change, FieldChange};
use crate::resource::erased::{Desired, ErasedResource, Observed};
use crate::resource::fields::{Fields, Value};

/// The resource types of a provider, in the order of their references.
pub type Types = &'static [&'static dyn ErasedResource];

/// The reason of a change that nobody made in the stack.
const DRIFT: &str = "drift: changed outside cloudscale";
const ADOPTED: &str = "adopted, differs from the stack";

/// A resource of the stack, of the cloud, or of both, and what happens to it.
#[derive(Clone, Debug)]
pub struct Node {
    pub resource: &'static dyn ErasedResource,
    pub change: Change,
    pub desired: Option<Desired>,
    pub observed: Option<Observed>,
    /// Addresses of what takes over something from the observed one, which keeps it until then.
    pub yields_to: Vec<Address>,
}

impl Node {
    /// Addresses that must be there before this one.
    pub fn needs(&self) -> impl Iterator<Item = &Address> {
        let desired = self.desired.iter();
        desired.flat_map(|desired| desired.fields.references().chain(&desired.after))
    }

    /// Addresses that must stay while the observed resource is there.
    pub fn holds(&self) -> impl Iterator<Item = &Address> {
        let observed = self.observed.iter();
        observed.flat_map(|observed| observed.fields.references().chain(&observed.delete_after))
    }

    /// Whether dependents must take up something new.
    fn is_new(&self) -> bool {
        let content = || self.change.fields.iter().any(|field| !field.path.starts_with("tags."));
        match self.change.action {
            Action::Create | Action::Replace => true,
            Action::Update => self.resource.versioned() && content(),
            Action::Delete | Action::Unchanged => false,
        }
    }
}

/// Everything desired and everything observed, with what happens to each, by address.
///
/// # Errors
/// Resources that have our names and are not ours.
pub fn diff(types: Types, scope: &Scope<'_>) -> Result<Vec<Node>, Problems> {
    let unmanaged = unmanaged(types, scope);
    if unmanaged.has_errors() {
        return Err(unmanaged);
    }
    let mut nodes = Vec::new();
    let mut cloud = Cow::Borrowed(scope.cloud);
    // In the order of the types, what others refer to comes before them: so they see what has been replaced.
    for &resource in types {
        let (observed, desired) = (resource.observed(&cloud), resource.desired(scope));
        let heirs = Heirs::of(resource, &observed, &desired);
        let mut observed = by_address(observed, &heirs);
        let first = nodes.len();
        for desired in desired {
            let mut found = observed.remove(&desired.address).unwrap_or_default();
            // A replacement that was interrupted leaves two: the one that can stay does, of the desired spec and next
            // to its own kind where there is a choice.
            let fits = |observed: &Observed| {
                let moves = observed.address != desired.address;
                let behind = observed.fields.iter().any(|(_, value)| value.is_replaced());
                let differences = differences(resource, &observed.fields, &desired.fields);
                (moves, action(&differences) != Action::Replace, spec_tag(observed) == Some(&desired.spec), !behind)
            };
            let keep = (0..found.len()).rev().max_by_key(|index| fits(&found[*index]));
            let kept = keep.map(|keep| found.remove(keep));
            if !found.is_empty() {
                cloud.to_mut().replaced.extend(found.iter().map(|observed| observed.output.id.clone()));
            }
            nodes.extend(found.into_iter().map(|observed| deletion(resource, observed, "replaced by another")));
            nodes.push(compare(resource, desired, kept, &scope.stack.tags));
        }
        let rest = observed.into_values().flatten();
        nodes.extend(rest.map(|observed| deletion(resource, observed, "no longer in the stack")));
        nodes[first..].iter_mut().for_each(|node| heirs.mark(node));
    }
    follow_references(&mut nodes);
    nodes.sort_by(|a, b| a.change.address.cmp(&b.change.address));
    Ok(nodes)
}

/// What an expiry has set to zero is no drift: the reasons of such changes say when the stack expired.
pub fn explain_expiry(nodes: &mut [Node], at: Timestamp) {
    for node in nodes {
        let (change, ended) = (&mut node.change, node.resource.changed_by_expiry());
        let only = change.fields.iter().all(|field| ended.contains(&field.path.as_str()));
        if change.action == Action::Update && change.reason == DRIFT && only {
            change.reason = format!("the stack expired at {at}");
        }
    }
}

/// Everything observed, to be deleted.
pub fn teardown(types: Types, cloud: &Snapshot) -> Vec<Node> {
    let observed =
        types.iter().flat_map(|resource| resource.observed(cloud).into_iter().map(|observed| (*resource, observed)));
    observed.map(|(resource, observed)| deletion(resource, observed, "the stack is removed")).collect()
}

fn unmanaged(types: Types, scope: &Scope<'_>) -> Problems {
    let names = types.iter().flat_map(|resource| resource.unique_names(scope.stack));
    let taken = names.filter(|(_, name)| scope.cloud.unmanaged.contains(name));
    Problems(taken.map(|(kind, name)| tags::not_ours(kind, &name)).collect())
}

/// By the addresses that they are to have.
fn by_address(observed: Vec<Observed>, heirs: &Heirs) -> BTreeMap<Address, Vec<Observed>> {
    let mut found = BTreeMap::<Address, Vec<Observed>>::new();
    for observed in observed {
        found.entry(heirs.address_of(&observed).clone()).or_default().push(observed);
    }
    found
}

fn spec_tag(observed: &Observed) -> Option<&String> {
    observed.tags.as_ref().and_then(|tags| tags.get(tags::SPEC))
}

fn deletion(resource: &'static dyn ErasedResource, observed: Observed, reason: &str) -> Node {
    let change = Change {
        address: observed.address.clone(),
        kind: resource.kind().to_owned(),
        action: Action::Delete,
        reason: reason.to_owned(),
        fields: Vec::new(),
    };
    Node { resource, change, desired: None, observed: Some(observed), yields_to: Vec::new() }
}

fn compare(
    resource: &'static dyn ErasedResource,
    desired: Desired,
    observed: Option<Observed>,
    user_tags: &Tags,
) -> Node {
    let change = |action, reason: String, fields| Change {
        address: desired.address.clone(),
        kind: resource.kind().to_owned(),
        action,
        reason,
        fields,
    };
    let Some(observed) = observed else {
        let fields = desired.fields.iter().map(|(path, value)| field(path, None, Some(value)));
        let change = change(Action::Create, "does not exist yet".to_owned(), fields.collect());
        return Node { resource, change, desired: Some(desired), observed: None, yields_to: Vec::new() };
    };
    let mut fields = match resource.in_sync(&observed, &desired.spec) {
        true => Vec::new(),
        false => differences(resource, &observed.fields, &desired.fields),
    };
    fields.extend(moved(&observed.address, &desired.address));
    fields.extend(observed.tags.iter().flat_map(|tags| tag_differences(tags, user_tags)));
    fields.extend(observed.tags.as_ref().and_then(|tags| missing_spec(tags, &desired.spec)));
    let action = action(&fields);
    let reason = match action {
        Action::Unchanged => observed.remark.clone().unwrap_or_default(),
        _ if observed.address != desired.address => format!("takes over from {}", observed.address),
        _ => resource.reason(&desired, &observed).unwrap_or_else(|| reason(&observed, &desired)),
    };
    let change = change(action, reason, fields);
    Node { resource, change, desired: Some(desired), observed: Some(observed), yields_to: Vec::new() }
}

fn reason(observed: &Observed, desired: &Desired) -> String {
    match spec_tag(observed) {
        Some(spec) if *spec == desired.spec => DRIFT.to_owned(),
        Some(spec) if spec == tags::ADOPTED => ADOPTED.to_owned(),
        Some(_) => "changed in the stack".to_owned(),
        // A type without tags cannot report; one that has lost ours was touched.
        None if observed.tags.is_some() => DRIFT.to_owned(),
        None => "differs from the stack".to_owned(),
    }
}

fn action(fields: &[FieldChange]) -> Action {
    if fields.iter().any(|field| field.forces_replacement) {
        Action::Replace
    } else if fields.is_empty() {
        Action::Unchanged
    } else {
        Action::Update
    }
}

fn field(path: &str, observed: Option<&Value>, desired: Option<&Value>) -> FieldChange {
    FieldChange {
        path: path.to_owned(),
        observed: observed.map(|value| value.shown_beside(desired)),
        desired: desired.map(|value| value.shown_beside(observed)),
        forces_replacement: false,
    }
}

/// The field that says so where it is at another address.
fn moved(from: &Address, to: &Address) -> Option<FieldChange> {
    (from != to).then(|| FieldChange {
        path: change::ADDRESS.to_owned(),
        observed: Some(from.to_string()),
        desired: Some(to.to_string()),
        forces_replacement: false,
    })
}

fn differences(resource: &dyn ErasedResource, observed: &Fields, desired: &Fields) -> Vec<FieldChange> {
    let forces = |path: &str| {
        let follows = observed.get(path).is_some_and(Value::is_replaced);
        resource.replace_on().contains(&path) || follows && resource.replace_with().contains(&path)
    };
    let is_unread = |path: &str| observed.get(path).is_none() && resource.optional_readback().contains(&path);
    let differs = desired.iter().filter(|(path, value)| observed.get(path) != Some(*value) && !is_unread(path));
    let changed = differs.map(|(path, value)| FieldChange {
        forces_replacement: forces(path),
        ..field(path, observed.get(path), Some(value))
    });
    let surplus = observed
        .iter()
        .filter(|(path, _)| desired.get(path).is_none())
        .map(|(path, value)| FieldChange { forces_replacement: forces(path), ..field(path, Some(value), None) });
    changed.chain(surplus).collect()
}

fn tag_differences(observed: &Tags, desired: &Tags) -> Vec<FieldChange> {
    let differs = desired.iter().filter(|(key, value)| observed.get(*key) != Some(value));
    let change = |(key, value): (&String, &String)| FieldChange {
        path: format!("tags.{key}"),
        observed: observed.get(key).cloned(),
        desired: Some(value.clone()),
        forces_replacement: false,
    };
    let outlived = tags::outlived(observed, desired).map(|(key, value)| FieldChange {
        path: format!("tags.{key}"),
        observed: Some(value.clone()),
        desired: None,
        forces_replacement: false,
    });
    differs.map(change).chain(outlived).collect()
}

/// Without our own tag nobody could tell a change of the stack from drift.
fn missing_spec(observed: &Tags, desired: &str) -> Option<FieldChange> {
    let spec = observed.get(tags::SPEC);
    spec.is_none_or(|spec| spec == tags::ADOPTED).then(|| FieldChange {
        path: format!("tags.{}", tags::SPEC),
        observed: spec.cloned(),
        desired: Some(desired.to_owned()),
        forces_replacement: false,
    })
}

fn joined(addresses: &[&Address]) -> String {
    addresses.iter().map(|address| address.as_str()).collect::<Vec<_>>().join(", ")
}

/// Whatever refers to something new has to take it up, and may become new by that itself.
///
/// A round for each level of references, not for each resource.
fn follow_references(nodes: &mut [Node]) {
    loop {
        let new: BTreeSet<_> =
            nodes.iter().filter(|node| node.is_new()).map(|node| node.change.address.clone()).collect();
        let replaced = nodes.iter().filter(|node| node.change.action == Action::Replace);
        let replaced: BTreeSet<_> = replaced.map(|node| node.change.address.clone()).collect();
        let mut moved = false;
        for node in nodes.iter_mut() {
            let (Some(desired), Some(_)) = (&node.desired, &node.observed) else {
                continue;
            };
            let taken_up = desired.fields.iter().filter_map(|(path, value)| {
                let addresses: Vec<_> =
                    value.references().into_iter().filter(|address| new.contains(*address)).collect();
                (!addresses.is_empty()).then_some((path, addresses))
            });
            let known = &node.change.fields;
            let fresh: Vec<_> = taken_up
                .filter(|(path, _)| !known.iter().any(|field| field.path == *path))
                .map(|(path, addresses)| (path, joined(&addresses), addresses))
                .map(|(path, names, addresses)| FieldChange {
                    path: path.to_owned(),
                    desired: Some(format!("{names} (new)")),
                    observed: Some(names),
                    forces_replacement: node.resource.replace_on().contains(&path)
                        || node.resource.replace_with().contains(&path)
                            && addresses.iter().any(|&address| replaced.contains(address)),
                })
                .collect();
            if fresh.is_empty() {
                continue;
            }
            moved = true;
            if node.change.action == Action::Unchanged {
                let names: Vec<_> = fresh.iter().filter_map(|field| field.observed.as_deref()).collect();
                node.change.reason = format!("follows {}", names.join(", "));
            }
            node.change.fields.extend(fresh);
            node.change.action = action(&node.change.fields);
        }
        if !moved {
            return;
        }
    }
}

#[cfg(test)]
mod gentlest_case_tests;
#[cfg(test)]
pub(crate) mod gentlest_tests;
#[cfg(test)]
mod mark_tests;
#[cfg(test)]
mod tests;
