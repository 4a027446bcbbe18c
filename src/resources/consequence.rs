//! What a plan means for each cluster, and for what the clusters share: the sentence above the changes.
//!
//! Pure: from the stack, the capacity that is there, and the changes.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::instances::Instances;
use super::launch_template::LaunchTemplate;
use super::load_balancer::LoadBalancer;
use super::scaling_group::ScalingGroup;
use super::target_group::TargetGroup;
use super::{dashboard, load_balancer, security_group};
use crate::cloud::address::{Address, Owner};
use crate::resource::Resource;
use crate::resource::change::{Action, Change, FieldChange};
use crate::resource::outlook::{Consequence, NAMES_MAX, Part, in_place, listed, overall};
use crate::resource::running::{ClusterRunning, Running};
use crate::stack::model::{Autoscaling, Capacity, Cluster, FixedRollout, Network, Stack};

const NETWORK: Address = Address::fixed("network");
/// How `diff` begins the reason of a change that was made outside of cloudscale.
const DRIFT: &str = "drift";

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
        _ if *part == dashboard::ADDRESS => (4, 0),
        _ => (1, 0),
    };
    let mut grouped: Vec<_> = grouped.into_iter().collect();
    grouped.sort_by_key(|(part, _)| rank(part));
    let part = |(part, changes): (Address, Vec<&Change>)| {
        let consequence = match part.owner() {
            Owner::Cluster(name) => {
                let declared = clusters().find(|other| other.name == name);
                let seen = observed.clusters.get(name).cloned().unwrap_or_default();
                let former = heirs.iter().find(|(_, heir)| **heir == part).map(|(former, _)| former);
                match (declared, former) {
                    (Some(declared), Some(former)) => (Action::Replace, vec![succeeds(declared, former, observed)]),
                    _ => cluster_part(&part, stack.zip(declared), &seen, &changes),
                }
            }
            Owner::Route(name) => route(&part, name, stack, &changes),
            Owner::Shared(_) if part == load_balancer::ADDRESS => balancer(&part, stack, &changes),
            Owner::Shared(_) if part == NETWORK => network(&part, stack, &changes),
            Owner::Shared(_) if part == dashboard::ADDRESS => board(&part, &changes),
            Owner::Shared(_) => changed(&part, &changes),
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
fn succeeds(cluster: &Cluster, former: &Address, observed: &Running) -> String {
    let seen = former.cluster().and_then(|name| observed.clusters.get(name)).cloned().unwrap_or_default();
    let (new, old) = (whole(cluster), running(&seen));
    format!("takes over from {former}: {new} instead of {old}; those go when the new are healthy")
}

/// `takes over from cluster.old`, for every route that comes from elsewhere.
fn taken_over(changes: &[&Change]) -> Vec<String> {
    let from: BTreeSet<_> = changes.iter().filter_map(|change| Some(change.moved_from()?.part())).collect();
    from.iter().map(|from| format!("takes over from {from}")).collect()
}

fn acting<'a>(changes: &[&'a Change], kind: &str) -> Option<&'a Change> {
    changes.iter().copied().find(|change| change.kind == kind && change.action != Action::Unchanged)
}

fn field<'a>(change: Option<&'a Change>, path: &str) -> Option<&'a FieldChange> {
    change?.fields.iter().find(|field| field.path == path)
}

fn is(change: Option<&Change>, action: Action) -> bool {
    change.is_some_and(|change| change.action == action)
}

/// What is observed of an unchanged part and worth a line.
fn remark(changes: &[&Change]) -> Consequence {
    let reason = changes.iter().map(|change| change.reason.clone()).find(|reason| !reason.is_empty());
    Consequence::of(Action::Unchanged, reason.into_iter().collect())
}

fn cluster_part(
    part: &Address,
    declared: Option<(&Stack, &Cluster)>,
    seen: &ClusterRunning,
    changes: &[&Change],
) -> Consequence {
    let overall = overall(changes);
    let Some((stack, cluster)) = declared.filter(|_| overall != Action::Delete) else {
        // Instances are reported by their number, and so is what holds them.
        let others = changes.iter().filter(|change| change.kind != Instances::KIND).count();
        return Consequence::sentence(Action::Delete, removed(seen, others));
    };
    let (own, other) = match cluster.capacity {
        Capacity::Fixed { .. } => (Instances::KIND, ScalingGroup::KIND),
        Capacity::Group(_) => (ScalingGroup::KIND, Instances::KIND),
    };
    let (capacity, former) = (acting(changes, own), acting(changes, other));
    match overall {
        Action::Unchanged => return remark(changes),
        _ if is(capacity, Action::Create) && is(former, Action::Delete) => {
            let text = format!("{} instead of {}; the old go when the new are healthy", whole(cluster), running(seen));
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
        Capacity::Fixed { instances, rollout } => fixed(*instances, rollout, seen, changes),
        Capacity::Group(scaling) => group(scaling, seen, changes),
    };
    let said = &mut consequence.sentences;
    if is(acting(changes, TargetGroup::KIND), Action::Replace) {
        consequence.action = Action::Replace;
        said.push("a new target group takes over".to_owned());
    }
    said.extend(drift(part, changes));
    said.extend(taken_over(changes));
    if said.is_empty() {
        said.extend(in_place(part, changes));
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

/// What comes for fixed instances.
fn fixed(count: u32, rollout: &FixedRollout, seen: &ClusterRunning, changes: &[&Change]) -> Consequence {
    let instances = acting(changes, Instances::KIND);
    let mut said = Vec::new();
    let present = u32::try_from(seen.templates.len()).unwrap_or(u32::MAX);
    let desired = field(instances, "template").and_then(|field| field.desired.as_deref());
    let outdated = desired.map_or(0, |desired| seen.templates.iter().filter(|other| *other != desired).count());
    let rotated = field(instances, "launch_template").is_some();
    let outdated = if rotated { present } else { u32::try_from(outdated).unwrap_or(u32::MAX) };
    // Of a number that shrinks, those in surplus only end.
    let launched = count.saturating_sub(present - outdated);
    let mut replaced = outdated.min(launched);
    let network = field(instances, "vpc");
    if let Some(vpc) = network {
        let (text, old) = moved(vpc, count, present);
        said.push(text);
        replaced = old;
    } else if outdated > 0 && is(acting(changes, TargetGroup::KIND), Action::Replace) {
        said.push(format!("{} at once, the old {outdated} go when the new are healthy", launches(launched)));
    } else {
        if replaced > 0 {
            let what = counted(replaced, "instance");
            said.push(format!("replaces {what}{}, {}", by_type(changes), pace(count, replaced, rollout)));
        }
        match count.cmp(&present) {
            Ordering::Greater if replaced > 0 => {
                said.push(format!("launches {} more: {present} → {count}", count - present));
            }
            Ordering::Greater if instances.is_some() => {
                said.push(format!("{}: {present} → {count}", launches(count - present)));
            }
            Ordering::Less => {
                said.push(format!("terminates {}: {present} → {count}", counted(present - count, "instance")));
            }
            _ => {}
        }
        if let Some(troubled) = field(instances, "not_serving").and_then(|field| field.observed.as_deref()) {
            let number = u32::try_from(troubled.split("; ").count()).unwrap_or(u32::MAX);
            said.push(format!(
                "replaces {} that {} not serve",
                counted(number, "instance"),
                if number == 1 { "does" } else { "do" }
            ));
            replaced = (replaced + number).min(present);
        }
    }
    let rolled = instances.filter(|_| replaced > 0 || network.is_some()).map(|change| change.address.clone());
    let rolled: Vec<_> = rolled.into_iter().collect();
    let action = if rolled.is_empty() { Action::Update } else { Action::Replace };
    Consequence { action, sentences: said, replaced_instances: replaced, rolled }
}

/// What is said of instances that go to another network, and how many are replaced: they cannot move.
fn moved(vpc: &FieldChange, count: u32, present: u32) -> (String, u32) {
    let mut observed = vpc.observed.iter().flat_map(|observed| observed.split(", "));
    if observed.any(|observed| Some(observed) == vpc.desired.as_deref()) {
        // A run before this one was interrupted; how many have moved is not in the change.
        let text = format!("launches what is missing of {} in the new network", counted(count, "instance"));
        return (text + ", the old go when the new are healthy", 0);
    }
    let text = format!("{} in the new network, the old {present} go when the new are healthy", launches(count));
    (text, present.min(count))
}

fn launches(count: u32) -> String {
    format!("launches {}", counted(count, "instance"))
}

/// ` (t2.large → t2.xlarge)`
fn by_type(changes: &[&Change]) -> String {
    let types = field(acting(changes, LaunchTemplate::KIND), "instance_type");
    let types = types.and_then(|field| field.observed.as_deref().zip(field.desired.as_deref()));
    types.map(|(observed, desired)| format!(" ({observed} → {desired})")).unwrap_or_default()
}

/// `2 at a time, the old go when the new are healthy`
fn pace(count: u32, replaced: u32, rollout: &FixedRollout) -> String {
    let (surge, unavailable) = rollout.bounds(count);
    let all = usize::try_from(replaced).unwrap_or(usize::MAX);
    match (surge, unavailable) {
        (_, 0) if all == 1 => "the old goes when the new is healthy".to_owned(),
        (0, _) if all == 1 => "the old goes before the new starts".to_owned(),
        (surge, 0) if surge >= all => "all at once, the old go when the new are healthy".to_owned(),
        (surge, 0) => format!("{surge} at a time, the old go when the new are healthy"),
        (0, gone) if gone >= all => "all at once, the old go before the new start".to_owned(),
        (0, gone) => format!("{gone} at a time, the old go before the new start"),
        (surge, gone) => format!("with at most {surge} more and {gone} fewer than {count} at any time"),
    }
}

/// What comes for a group.
fn group(scaling: &Autoscaling, seen: &ClusterRunning, changes: &[&Change]) -> Consequence {
    let group = acting(changes, ScalingGroup::KIND);
    let present = seen.instances();
    let mut said = Vec::new();
    if is(group, Action::Replace) {
        let text = format!(
            "a new group with {} takes over, the old goes when they are in service",
            counted(present, "instance")
        );
        return Consequence { replaced_instances: present, ..Consequence::sentence(Action::Replace, text) };
    }
    let refreshes = field(group, "launch_template").is_some() || field(group, "outdated_instances").is_some();
    if refreshes && present > 0 {
        said.push(format!(
            "an instance refresh replaces {}{}, {}–{} % healthy, warm-up {}",
            counted(present, "instance"),
            by_type(changes),
            scaling.rollout.min_healthy,
            scaling.rollout.max_healthy,
            span(scaling.warmup),
        ));
    } else if refreshes {
        said.push("new instances launch from the new launch template; none run now".to_owned());
    }
    let bounds = ["min", "max"].map(|path| field(group, path));
    if bounds.iter().any(Option::is_some) {
        let observed = |field: Option<&FieldChange>, declared: u32| {
            field.map_or_else(|| declared.to_string(), |field| field.observed.clone().unwrap_or_else(|| "?".to_owned()))
        };
        let (min, max) = (observed(bounds[0], scaling.min), observed(bounds[1], scaling.max));
        said.push(format!("range {min}–{max} → {}–{}", scaling.min, scaling.max));
    }
    if let Some(desired) = seen.desired {
        match desired.clamp(scaling.min, scaling.max) {
            kept if kept == desired => said.push(format!("desired capacity stays {desired}")),
            moved => said.push(format!("desired capacity {desired} → {moved}")),
        }
    }
    // On its own it says nothing.
    if said.len() == 1 && !refreshes && bounds.iter().all(Option::is_none) && said[0].contains("stays") {
        said.clear();
    }
    let replaced_instances = if refreshes { present } else { 0 };
    let action = if replaced_instances > 0 { Action::Replace } else { Action::Update };
    Consequence { replaced_instances, ..Consequence::of(action, said) }
}

fn drift(part: &Address, changes: &[&Change]) -> Option<String> {
    let drifted =
        changes.iter().filter(|change| change.action != Action::Unchanged && change.reason.starts_with(DRIFT));
    let names: Vec<_> = drifted.map(|change| change.address.within(part)).collect();
    (!names.is_empty()).then(|| format!("drift: {} changed outside cloudscale, set back", listed(&names)))
}

fn balancer(part: &Address, stack: Option<&Stack>, changes: &[&Change]) -> Consequence {
    let itself = acting(changes, LoadBalancer::KIND);
    match (overall(changes), stack.and_then(|stack| stack.load_balancer.as_ref())) {
        (Action::Unchanged, _) => remark(changes),
        (Action::Delete, _) | (_, None) => {
            Consequence::sentence(Action::Delete, "its DNS name no longer answers".to_owned())
        }
        (_, Some(declared)) if is(itself, Action::Create) => {
            let https = declared.https.as_ref().map(|https| format!(" and HTTPS on port {}", https.port));
            let ports = format!("HTTP on port {}{}", declared.port, https.unwrap_or_default());
            Consequence::sentence(Action::Create, format!("{ports}, other paths answer {}", declared.default.status))
        }
        _ if is(itself, Action::Replace) => {
            Consequence::sentence(Action::Replace, "a new load balancer takes over: its DNS name changes".to_owned())
        }
        _ => {
            let replaces = changes.iter().any(|change| change.action == Action::Replace);
            let mut said: Vec<_> = drift(part, changes).into_iter().collect();
            if said.is_empty() {
                said = in_place(part, changes);
            }
            said.push("its DNS name stays".to_owned());
            Consequence::of(if replaces { Action::Replace } else { Action::Update }, said)
        }
    }
}

fn network(part: &Address, stack: Option<&Stack>, changes: &[&Change]) -> Consequence {
    match (overall(changes), stack.map(|stack| &stack.network)) {
        (Action::Unchanged, _) => remark(changes),
        (Action::Create, Some(Network::Created { cidr, zones })) => {
            let zones = counted(u32::from(*zones), "public subnet");
            Consequence::sentence(
                Action::Create,
                format!("VPC {cidr} with {zones}, a security group for the instances"),
            )
        }
        (Action::Create, Some(Network::Default)) => {
            Consequence::sentence(Action::Create, "a security group for the instances, in the default VPC".to_owned())
        }
        (Action::Create, Some(Network::Existing { vpc, .. })) => {
            Consequence::sentence(Action::Create, format!("a security group for the instances, in {vpc}"))
        }
        (Action::Delete, _) => {
            Consequence::sentence(Action::Delete, format!("{} deleted", counted(changes.len(), "resource")))
        }
        _ => changed(part, changes),
    }
}

fn board(part: &Address, changes: &[&Change]) -> Consequence {
    match overall(changes) {
        Action::Create => Consequence::sentence(
            Action::Create,
            "sizes, requests, latency, health and alarms of the clusters".to_owned(),
        ),
        Action::Delete => Consequence::sentence(Action::Delete, "the CloudWatch dashboard is deleted".to_owned()),
        Action::Unchanged => remark(changes),
        _ => changed(part, changes),
    }
}

fn route(part: &Address, name: &str, stack: Option<&Stack>, changes: &[&Change]) -> Consequence {
    let mut declared = stack.iter().flat_map(|stack| &stack.routes);
    let declared = declared.find(|route| route.name == name);
    match (overall(changes), declared) {
        (Action::Unchanged, _) => remark(changes),
        (Action::Create, Some(route)) => {
            let weights: Vec<_> = route.weights.iter().map(|(name, weight)| format!("{name} {weight}")).collect();
            Consequence::sentence(
                Action::Create,
                format!("{} to {}", listed(&distinct(&route.paths)), weights.join(", ")),
            )
        }
        (Action::Delete, _) => {
            Consequence::sentence(Action::Delete, format!("{} deleted", counted(changes.len(), "resource")))
        }
        _ => changed(part, changes),
    }
}

fn changed(part: &Address, changes: &[&Change]) -> Consequence {
    let replaces = changes.iter().any(|change| change.action == Action::Replace);
    let said: Vec<_> = drift(part, changes).into_iter().chain(taken_over(changes)).collect();
    let said = if said.is_empty() { in_place(part, changes) } else { said };
    Consequence::of(if replaces { Action::Replace } else { Action::Update }, said)
}

/// Path patterns without those that a shorter one reports: `/a/*` beside `/a`.
fn distinct<'a>(paths: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
    let paths: Vec<&str> = paths.into_iter().map(String::as_str).collect();
    let is_shown = |path: &str| path.strip_suffix("/*").is_some_and(|stem| paths.contains(&stem));
    paths.iter().copied().filter(|path| !is_shown(path)).collect()
}

/// `1 instance`, `2 instances`
fn counted(count: impl TryInto<u64>, what: &str) -> String {
    let count: u64 = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// `90 s`, as AWS writes it.
fn span(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
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

    #[test]
    fn a_rollout_of_fixed_instances_is_told_by_its_bounds() {
        let pace = |count, surge, unavailable| {
            pace(count, count, &FixedRollout { max_surge: surge, max_unavailable: unavailable })
        };
        assert_eq!(pace(6, 33, 0), "2 at a time, the old go when the new are healthy");
        assert_eq!(pace(4, 100, 0), "all at once, the old go when the new are healthy");
        assert_eq!(pace(4, 0, 25), "1 at a time, the old go before the new start");
        assert_eq!(pace(4, 0, 100), "all at once, the old go before the new start");
        assert_eq!(pace(4, 25, 25), "with at most 1 more and 1 fewer than 4 at any time");
        assert_eq!(pace(4, 0, 0), "1 at a time, the old go when the new are healthy");
        assert_eq!(pace(1, 100, 0), "the old goes when the new is healthy");
        assert_eq!(pace(1, 0, 100), "the old goes before the new starts");
    }

    #[test]
    fn paths_are_named_once() {
        let paths = ["/a", "/a/*", "/b/*"].map(str::to_owned);
        assert_eq!(distinct(&paths), ["/a", "/b/*"]);
    }
}
