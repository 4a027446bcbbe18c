//! What a plan means for each cluster, and for what the clusters share: the sentence above the changes.
//!
//! What a type alone knows of it stands in the type's file (`Resource::consequence`).
//!
//! Pure: from the stack, the capacity that is there, and the changes.

use std::collections::BTreeMap;

use super::instances::Instances;
use super::rule::distinct;
use super::scaling_group::ScalingGroup;
use super::target_group::TargetGroup;
use super::{TYPES, load_balancer, network, security_group};
use crate::cloud::address::{Address, Owner};
use crate::resource::Resource;
use crate::resource::change::{Action, Change};
use crate::resource::erased::ErasedResource;
use crate::resource::outlook::{Consequence, NAMES_MAX, Part, PartView, counted, in_place, is, listed};
use crate::resource::running::{ClusterRunning, Running};
use crate::stack::model::{Capacity, Cluster, Purpose, Stack};

const NETWORK: Address = Address::fixed("network");

/// The part that an address belongs to.
fn part_of(address: &Address) -> Address {
    // Their security group has the network's life.
    if *address == security_group::INSTANCES { NETWORK } else { address.part() }
}

/// The parts of a plan: clusters in the order of the stack, then what is shared. `None` declares nothing.
pub fn parts(stack: Option<&Stack>, observed: &Running, changes: &[Change]) -> Vec<Part> {
    let heirs = heirs(stack, observed, changes);
    let mut grouped = BTreeMap::<Address, Vec<&Change>>::new();
    for change in changes {
        let part = part_of(&change.address);
        grouped.entry(heirs.get(&part).cloned().unwrap_or(part)).or_default().push(change);
    }
    let clusters = || stack.iter().flat_map(|stack| &stack.clusters);
    let position = |name: &str| clusters().position(|cluster| cluster.name == name);
    let rank = |part: &Address| match part.owner() {
        Owner::Cluster(name) => position(name).map_or((1, 0), |position| (0, position)),
        _ if *part == load_balancer::ADDRESS => (2, 0),
        _ if *part == NETWORK => (3, 0),
        Owner::Route(_) => (1, 0),
        Owner::Shared(_) => (4, 0),
    };
    let mut grouped: Vec<_> = grouped.into_iter().collect();
    grouped.sort_by_key(|(part, _)| rank(part));
    let part = |(part, changes): (Address, Vec<&Change>)| {
        let view = PartView { part: &part, stack, running: observed, changes: &changes };
        let consequence = match part.owner() {
            Owner::Cluster(name) => {
                let declared = clusters().find(|other| other.name == name);
                let former = heirs.iter().find(|(_, heir)| **heir == part).map(|(former, _)| former);
                match (declared, former) {
                    (Some(declared), Some(former)) => succeeds(declared, former, observed),
                    _ => cluster_part(view),
                }
            }
            _ if part == NETWORK => network::consequence(view),
            _ => describing(view).map_or_else(|| view.consequence(), |of| of.consequence(view)),
        };
        Part::new(part.clone(), consequence, &changes)
    };
    grouped.into_iter().map(part).collect()
}

/// Clusters that go, with the new cluster that takes over what leads to them: the two are one move.
fn heirs(stack: Option<&Stack>, observed: &Running, changes: &[Change]) -> BTreeMap<Address, Address> {
    let is_declared = |name: &str| stack.is_some_and(|stack| stack.clusters.iter().any(|other| other.name == name));
    let goes = |from: &Address| from.cluster().is_some_and(|name| !is_declared(name));
    let is_new = |to: &Address| to.cluster().is_some_and(|name| !observed.clusters.contains_key(name));
    let moves = changes.iter().filter_map(|change| Some((change.moved_from()?, &change.address)));
    moves.filter(|(from, to)| goes(from) && is_new(to)).map(|(from, to)| (from.part(), to.part())).collect()
}

/// `takes over from cluster.old: 2 × t3.large instead of 2 × t2.large; those go when the new are healthy`
fn succeeds(cluster: &Cluster, former: &Address, observed: &Running) -> Consequence {
    let seen = former.cluster().and_then(|name| observed.clusters.get(name)).cloned().unwrap_or_default();
    let (new, old) = (whole(cluster), running(&seen));
    let text = format!("takes over from {former}: {new} instead of {old}; those go when the new are healthy");
    Consequence { replaced_instances: seen.instances(), ..Consequence::sentence(Action::Replace, text) }
}

/// The type that describes a part: the one whose address is the part's, or the only one there.
fn describing(view: PartView<'_>) -> Option<&'static dyn ErasedResource> {
    let own = view.changes.iter().find(|change| change.address == *view.part);
    let first = view.changes.first()?;
    let only = view.changes.iter().all(|change| change.kind == first.kind).then_some(first);
    let kind = &own.or(only)?.kind;
    TYPES.iter().copied().find(|of| of.kind() == kind)
}

fn cluster_part(view: PartView<'_>) -> Consequence {
    let (overall, seen) = (view.overall(), view.cluster_running());
    let Some((stack, cluster)) = view.stack.zip(view.cluster()).filter(|_| overall != Action::Delete) else {
        // Instances are reported by their number, and so is what holds them.
        let others = view.changes.iter().filter(|change| change.kind != Instances::KIND).count();
        return Consequence::sentence(Action::Delete, removed(&seen, others));
    };
    let (own, other) = match cluster.capacity {
        Capacity::Fixed { .. } => (Instances::KIND, ScalingGroup::KIND),
        Capacity::Group(_) => (ScalingGroup::KIND, Instances::KIND),
    };
    let (capacity, former) = (view.acting(own), view.acting(other));
    match overall {
        Action::Unchanged => return view.consequence(),
        _ if is(capacity, Action::Create) && is(former, Action::Delete) => {
            let mut text = format!("{} instead of {}", whole(cluster), running(&seen));
            if stack.has_load_balancer() {
                text += "; the old go when the new are healthy";
            }
            return Consequence {
                replaced_instances: seen.instances(),
                ..Consequence::sentence(Action::Replace, text)
            };
        }
        _ if is(capacity, Action::Create) => {
            return Consequence::sentence(Action::Create, created(stack, cluster));
        }
        _ => {}
    }
    let mut consequence = match &cluster.capacity {
        Capacity::Fixed { .. } => Instances::consequence(view),
        Capacity::Group(_) => ScalingGroup::consequence(view),
    };
    let said = &mut consequence.sentences;
    if is(view.acting(TargetGroup::KIND), Action::Replace) {
        consequence.action = Action::Replace;
        said.push("a new target group takes over".to_owned());
    }
    said.extend(view.drift());
    said.extend(view.taken_over());
    if said.is_empty() {
        said.extend(in_place(view.part, view.changes));
        said.push("no instance is replaced".to_owned());
    }
    consequence
}

/// `6 × t2.large are terminated, 5 resources deleted`
fn removed(seen: &ClusterRunning, resources: usize) -> String {
    match seen.instances() {
        0 => format!("{} deleted", counted(resources, "resource")),
        1 => format!("{} is terminated, {} deleted", running(seen), counted(resources, "resource")),
        _ => format!("{} are terminated, {} deleted", running(seen), counted(resources, "resource")),
    }
}

/// `4 × t2.large behind /cluster1, health check GET /health`
fn created(stack: &Stack, cluster: &Cluster) -> String {
    if let Purpose::Load(generators) = cluster.purpose {
        return format!(
            "{} as load generators, {} workers for {}",
            whole(cluster),
            generators.workers,
            generators.master
        );
    }
    if !stack.has_load_balancer() {
        return format!("{}, no load balancer", whole(cluster));
    }
    let shared = stack.routes.iter().filter(|route| route.weights.iter().any(|(name, _)| *name == cluster.name));
    let paths = distinct(shared.flat_map(|route| &route.paths).chain(&cluster.routes));
    let behind = if paths.is_empty() { "no route".to_owned() } else { listed(&paths) };
    format!("{} behind {behind}, health check GET {}", whole(cluster), cluster.health_check.path)
}

/// `4 × t2.large`, `2–8 × m4.large (2 at first)`
fn whole(cluster: &Cluster) -> String {
    let types = cluster.instance_types();
    let types = match types.as_slice() {
        [first, rest @ ..] if rest.len() >= NAMES_MAX => format!("{first} and {} other types", rest.len()),
        types => types.join(" or "),
    };
    match &cluster.capacity {
        Capacity::Fixed { instances, .. } => format!("{instances} × {types}"),
        Capacity::Group(scaling) => {
            format!("{}–{} × {types} ({} at first)", scaling.min, scaling.max, scaling.desired)
        }
    }
}

/// `6 × t2.large`
fn running(seen: &ClusterRunning) -> String {
    let types = seen.running.iter().map(|(name, count)| format!("{count} × {name}"));
    match seen.instances() {
        0 => "no instances".to_owned(),
        _ => types.collect::<Vec<_>>().join(" + "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_security_group_of_the_instances_has_the_life_of_the_network() {
        assert_eq!(part_of(&security_group::INSTANCES), NETWORK);
        assert_eq!(part_of(&security_group::LOAD_BALANCER), load_balancer::ADDRESS);
        assert_eq!(part_of(&Address::in_cluster("light", "rule")).as_str(), "cluster.light");
    }
}
