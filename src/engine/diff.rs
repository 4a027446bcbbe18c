//! Desired × live × spec tag → changes with reasons. Pure.
//!
//! A field that differs while the spec tag equals the wanted spec was changed behind our back: drift. Otherwise the stack
//! changed. What refers to a resource that is made anew changes with it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::cloud::address::Address;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::tags::{self, Tags};
use crate::problem::Problems;
use crate::resource::Scope;
use crate::resource::change::{Action, Change, FieldChange};
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
    pub face: &'static dyn ErasedResource,
    pub change: Change,
    pub wanted: Option<Desired>,
    pub live: Option<Observed>,
}

impl Node {
    /// Addresses that must be there before this one.
    pub fn needs(&self) -> impl Iterator<Item = &Address> {
        let wanted = self.wanted.iter();
        wanted.flat_map(|wanted| wanted.fields.references().chain(&wanted.after))
    }

    /// Addresses that must stay while the live resource is there.
    pub fn holds(&self) -> impl Iterator<Item = &Address> {
        let live = self.live.iter();
        live.flat_map(|live| live.fields.references().chain(&live.delete_after))
    }

    /// Whether dependents must take up something new.
    fn is_new(&self) -> bool {
        let content = || self.change.fields.iter().any(|field| !field.path.starts_with("tags."));
        match self.change.action {
            Action::Create | Action::Replace => true,
            Action::Update => self.face.versioned() && content(),
            Action::Delete | Action::Unchanged => false,
        }
    }
}

/// Everything wanted and everything live, with what happens to each, by address.
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
    for &face in types {
        let mut live = by_address(face.observed(&cloud));
        for wanted in face.desired(scope) {
            let mut found = live.remove(&wanted.address).unwrap_or_default();
            // A replacement that was interrupted leaves two: the one that can stay does, of the wanted spec and next to its
            // own kind where there is a choice.
            let fits = |live: &Observed| {
                let behind = live.fields.iter().any(|(_, value)| value.is_replaced());
                let differences = differences(face, &live.fields, &wanted.fields);
                (action(&differences) != Action::Replace, spec_tag(live) == Some(&wanted.spec), !behind)
            };
            let keep = (0..found.len()).rev().max_by_key(|index| fits(&found[*index]));
            let kept = keep.map(|keep| found.remove(keep));
            if !found.is_empty() {
                cloud.to_mut().replaced.extend(found.iter().map(|live| live.output.id.clone()));
            }
            nodes.extend(found.into_iter().map(|live| deletion(face, live, "replaced by another")));
            nodes.push(compare(face, wanted, kept, &scope.stack.tags));
        }
        let rest = live.into_values().flatten();
        nodes.extend(rest.map(|live| deletion(face, live, "no longer in the stack")));
    }
    follow_references(&mut nodes);
    nodes.sort_by(|a, b| a.change.address.cmp(&b.change.address));
    Ok(nodes)
}

/// What an expiry has set to zero is no drift: the reasons of such changes say when the stack expired.
pub fn explain_expiry(nodes: &mut [Node], at: Timestamp) {
    for node in nodes {
        let (change, ended) = (&mut node.change, node.face.changed_by_expiry());
        let only = change.fields.iter().all(|field| ended.contains(&field.path.as_str()));
        if change.action == Action::Update && change.reason == DRIFT && only {
            change.reason = format!("the stack expired at {at}");
        }
    }
}

/// Everything live, to be deleted.
pub fn teardown(types: Types, cloud: &Snapshot) -> Vec<Node> {
    let live = types.iter().flat_map(|face| face.observed(cloud).into_iter().map(|live| (*face, live)));
    live.map(|(face, live)| deletion(face, live, "the stack is removed")).collect()
}

fn unmanaged(types: Types, scope: &Scope<'_>) -> Problems {
    let names = types.iter().flat_map(|face| face.unique_names(scope.stack));
    let taken = names.filter(|(_, name)| scope.cloud.unmanaged.contains(name));
    Problems(taken.map(|(kind, name)| tags::not_ours(kind, &name)).collect())
}

fn by_address(live: Vec<Observed>) -> BTreeMap<Address, Vec<Observed>> {
    let mut found = BTreeMap::<Address, Vec<Observed>>::new();
    for live in live {
        found.entry(live.address.clone()).or_default().push(live);
    }
    found
}

fn spec_tag(live: &Observed) -> Option<&String> {
    live.tags.as_ref().and_then(|tags| tags.get(tags::SPEC))
}

fn deletion(face: &'static dyn ErasedResource, live: Observed, reason: &str) -> Node {
    let change = Change {
        address: live.address.clone(),
        kind: face.kind().to_owned(),
        action: Action::Delete,
        reason: reason.to_owned(),
        fields: Vec::new(),
    };
    Node { face, change, wanted: None, live: Some(live) }
}

fn compare(face: &'static dyn ErasedResource, wanted: Desired, live: Option<Observed>, user_tags: &Tags) -> Node {
    let change = |action, reason: String, fields| Change {
        address: wanted.address.clone(),
        kind: face.kind().to_owned(),
        action,
        reason,
        fields,
    };
    let Some(live) = live else {
        let fields = wanted.fields.iter().map(|(path, value)| field(path, None, Some(value)));
        let change = change(Action::Create, "does not exist yet".to_owned(), fields.collect());
        return Node { face, change, wanted: Some(wanted), live: None };
    };
    let mut fields = match face.in_sync(&live, &wanted.spec) {
        true => Vec::new(),
        false => differences(face, &live.fields, &wanted.fields),
    };
    fields.extend(live.tags.iter().flat_map(|tags| tag_differences(tags, user_tags)));
    fields.extend(live.tags.as_ref().and_then(|tags| missing_spec(tags, &wanted.spec)));
    let action = action(&fields);
    let reason = match action {
        Action::Unchanged => live.remark.clone().unwrap_or_default(),
        _ => face.reason(&wanted, &live).unwrap_or_else(|| reason(&live, &wanted)),
    };
    let change = change(action, reason, fields);
    Node { face, change, wanted: Some(wanted), live: Some(live) }
}

fn reason(live: &Observed, wanted: &Desired) -> String {
    match spec_tag(live) {
        Some(spec) if *spec == wanted.spec => DRIFT.to_owned(),
        Some(spec) if spec == tags::ADOPTED => ADOPTED.to_owned(),
        Some(_) => "changed in the stack".to_owned(),
        // A type without tags cannot tell; one that has lost ours was touched.
        None if live.tags.is_some() => DRIFT.to_owned(),
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

fn field(path: &str, live: Option<&Value>, wanted: Option<&Value>) -> FieldChange {
    FieldChange {
        path: path.to_owned(),
        live: live.map(|value| value.shown_beside(wanted)),
        wanted: wanted.map(|value| value.shown_beside(live)),
        forces_replacement: false,
    }
}

fn differences(face: &dyn ErasedResource, live: &Fields, wanted: &Fields) -> Vec<FieldChange> {
    let forces = |path: &str| {
        let follows = live.get(path).is_some_and(Value::is_replaced);
        face.replace_on().contains(&path) || follows && face.replace_with().contains(&path)
    };
    let is_untold = |path: &str| live.get(path).is_none() && face.optional_readback().contains(&path);
    let differs = wanted.iter().filter(|(path, value)| live.get(path) != Some(*value) && !is_untold(path));
    let changed = differs.map(|(path, value)| FieldChange {
        forces_replacement: forces(path),
        ..field(path, live.get(path), Some(value))
    });
    let surplus = live
        .iter()
        .filter(|(path, _)| wanted.get(path).is_none())
        .map(|(path, value)| FieldChange { forces_replacement: forces(path), ..field(path, Some(value), None) });
    changed.chain(surplus).collect()
}

fn tag_differences(live: &Tags, wanted: &Tags) -> Vec<FieldChange> {
    let differs = wanted.iter().filter(|(key, value)| live.get(*key) != Some(value));
    let change = |(key, value): (&String, &String)| FieldChange {
        path: format!("tags.{key}"),
        live: live.get(key).cloned(),
        wanted: Some(value.clone()),
        forces_replacement: false,
    };
    differs.map(change).collect()
}

/// Without our own tag nobody could tell a change of the stack from drift.
fn missing_spec(live: &Tags, wanted: &str) -> Option<FieldChange> {
    let spec = live.get(tags::SPEC);
    spec.is_none_or(|spec| spec == tags::ADOPTED).then(|| FieldChange {
        path: format!("tags.{}", tags::SPEC),
        live: spec.cloned(),
        wanted: Some(wanted.to_owned()),
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
            let (Some(wanted), Some(_)) = (&node.wanted, &node.live) else {
                continue;
            };
            let taken_up = wanted.fields.iter().filter_map(|(path, value)| {
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
                    wanted: Some(format!("{names} (new)")),
                    live: Some(names),
                    forces_replacement: node.face.replace_on().contains(&path)
                        || node.face.replace_with().contains(&path)
                            && addresses.iter().any(|&address| replaced.contains(address)),
                })
                .collect();
            if fresh.is_empty() {
                continue;
            }
            moved = true;
            if node.change.action == Action::Unchanged {
                let names: Vec<_> = fresh.iter().filter_map(|field| field.live.as_deref()).collect();
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
pub(crate) mod gentlest_tests;
#[cfg(test)]
mod mark_tests;
#[cfg(test)]
mod tests;
