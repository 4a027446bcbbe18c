//! What a plan comes to: what happens to each cluster and to what the clusters share, and what that costs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::change::{Action, Change, FieldChange};
use super::running::{ClusterRunning, Running};
use crate::cloud::address::{Address, Owner};
use crate::stack::model::{Cluster, Stack};

/// How `diff` begins the reason of a change that was made outside of cloudscale.
const DRIFT: &str = "drift";

/// What is named one by one; of more, only how many.
pub const NAMES_MAX: usize = 3;

/// What a plan means and costs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outlook {
    pub parts: Vec<Part>,
    pub prices: Prices,
    /// `None` where an instance type is not in the price table, or the provider has no prices.
    pub hourly_cost: Option<HourlyCost>,
}

/// A cluster, or something that the clusters share, and what happens to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// `cluster.light`, `load_balancer`, `network`, `route.shop`
    pub part: Address,
    /// `replace` where instances, or what clients know by name, are replaced.
    pub action: Action,
    pub consequence: String,
    /// Instances that others take the place of.
    pub replaced_instances: u32,
    /// What belongs to it.
    #[serde(skip)]
    pub addresses: Vec<Address>,
    /// What of it is changed by replacing its instances.
    #[serde(skip)]
    pub rolled: Vec<Address>,
}

/// What happens to a part, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consequence {
    pub action: Action,
    pub sentences: Vec<String>,
    /// As [`Part::replaced_instances`].
    pub replaced_instances: u32,
    /// As [`Part::rolled`].
    pub rolled: Vec<Address>,
}

impl Consequence {
    pub fn of(action: Action, sentences: Vec<String>) -> Self {
        Self { action, sentences, replaced_instances: 0, rolled: Vec::new() }
    }

    pub fn sentence(action: Action, sentence: impl Into<String>) -> Self {
        Self::of(action, vec![sentence.into()])
    }
}

/// The running cost in US dollars per hour; `min == max` where nothing scales.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HourlyCost {
    pub min: f64,
    pub max: f64,
    /// Where the prices are from, with their date.
    #[serde(skip)]
    pub source: &'static str,
}

/// US dollars an hour. Instances of `unpriced` types are not counted: with any of them the figures are lower bounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Price {
    /// What runs at this moment.
    pub now: f64,
    /// As declared: at the fewest instances, and at the most.
    pub min: f64,
    pub max: f64,
    /// Instance types without a known price.
    pub unpriced: BTreeSet<String>,
}

/// The price of each part of a stack that costs something, and of all together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Prices {
    /// (address, price): clusters in the order of the stack, removed ones, the load balancer.
    pub parts: Vec<PartPrice>,
    pub total: Price,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartPrice {
    /// `cluster.light`, `load_balancer`
    pub part: Address,
    pub hourly: Price,
}

impl Outlook {
    /// What can be said of changes without knowing their types: by the first words of their addresses, and without prices.
    pub fn of(changes: &[Change]) -> Self {
        let mut grouped = BTreeMap::<Address, Vec<&Change>>::new();
        for change in changes {
            grouped.entry(change.address.part()).or_default().push(change);
        }
        let part = |(part, changes): (Address, Vec<&Change>)| {
            let action = overall(&changes);
            let sentences = if action == Action::Unchanged { Vec::new() } else { in_place(&part, &changes) };
            Part::new(part, Consequence::of(action, sentences), &changes)
        };
        Self { parts: grouped.into_iter().map(part).collect(), ..Self::default() }
    }
}

impl Part {
    pub fn new(part: Address, consequence: Consequence, changes: &[&Change]) -> Self {
        let Consequence { action, sentences, replaced_instances, rolled } = consequence;
        let addresses = changes.iter().map(|change| change.address.clone()).collect();
        Self { part, action, consequence: sentences.join("; "), replaced_instances, addresses, rolled }
    }
}

/// A part of a plan, as it is shown to the resource type that describes it ([`super::Resource::consequence`]).
#[derive(Clone, Copy, Debug)]
pub struct PartView<'a> {
    pub part: &'a Address,
    /// `None` where the stack is removed.
    pub stack: Option<&'a Stack>,
    pub running: &'a Running,
    /// Unchanged resources are among them.
    pub changes: &'a [&'a Change],
}

impl<'a> PartView<'a> {
    pub fn overall(self) -> Action {
        overall(self.changes)
    }

    /// The change of the resource of a kind, where there is something to do.
    pub fn acting(self, kind: &str) -> Option<&'a Change> {
        self.changes.iter().copied().find(|change| change.kind == kind && change.action != Action::Unchanged)
    }

    /// The cluster as the stack declares it.
    pub fn cluster(self) -> Option<&'a Cluster> {
        let Owner::Cluster(name) = self.part.owner() else { return None };
        self.stack?.clusters.iter().find(|cluster| cluster.name == name)
    }

    /// Whether the new instances must be healthy before old ones go: behind a load balancer; without one they only run.
    pub fn is_balanced(self) -> bool {
        self.stack.is_some_and(Stack::has_load_balancer)
    }

    /// What the cluster has now.
    pub fn cluster_running(self) -> ClusterRunning {
        let name = self.part.cluster().unwrap_or_default();
        self.running.clusters.get(name).cloned().unwrap_or_default()
    }

    /// What can be said without knowing what it is.
    pub fn consequence(self) -> Consequence {
        match self.overall() {
            Action::Unchanged => {
                let remark = self.changes.iter().map(|change| change.reason.clone()).find(|reason| !reason.is_empty());
                Consequence::of(Action::Unchanged, remark.into_iter().collect())
            }
            Action::Delete => {
                let text = format!("{} deleted", counted(self.changes.len(), "resource"));
                Consequence::sentence(Action::Delete, text)
            }
            Action::Create => Consequence::of(Action::Create, in_place(self.part, self.changes)),
            Action::Update | Action::Replace => {
                let replaces = self.changes.iter().any(|change| change.action == Action::Replace);
                let told: Vec<_> = self.drift().into_iter().chain(self.taken_over()).collect();
                let sentences = if told.is_empty() { in_place(self.part, self.changes) } else { told };
                Consequence::of(if replaces { Action::Replace } else { Action::Update }, sentences)
            }
        }
    }

    /// `drift: target_group changed outside cloudscale, set back`
    pub fn drift(self) -> Option<String> {
        let changes = self.changes.iter().filter(|change| change.action != Action::Unchanged);
        let drifted = changes.filter(|change| change.reason.starts_with(DRIFT));
        let names: Vec<_> = drifted.map(|change| change.address.within(self.part)).collect();
        (!names.is_empty()).then(|| format!("drift: {} changed outside cloudscale, set back", listed(&names)))
    }

    /// `takes over from cluster.old`, for every route that comes from elsewhere.
    pub fn taken_over(self) -> Vec<String> {
        let from: BTreeSet<_> = self.changes.iter().filter_map(|change| Some(change.moved_from()?.part())).collect();
        from.iter().map(|from| format!("takes over from {from}")).collect()
    }
}

/// What differs in a field, where there is such a change.
pub fn field<'a>(change: Option<&'a Change>, path: &str) -> Option<&'a FieldChange> {
    change?.fields.iter().find(|field| field.path == path)
}

pub fn is(change: Option<&Change>, action: Action) -> bool {
    change.is_some_and(|change| change.action == action)
}

/// `1 instance`, `2 instances`
pub fn counted(count: impl TryInto<u64>, what: &str) -> String {
    let count: u64 = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The one action that stands for all of a part's changes.
pub fn overall(changes: &[&Change]) -> Action {
    let all = |action| changes.iter().all(|change| change.action == action);
    [Action::Create, Action::Delete, Action::Unchanged]
        .into_iter()
        .find(|action| all(*action))
        .unwrap_or(Action::Update)
}

/// `adds policy.cpu`, `changes target_group in place`, `removes rule`
pub fn in_place(part: &Address, changes: &[&Change]) -> Vec<String> {
    let names = |action| {
        let changes = changes.iter().filter(|change| change.action == action);
        let names: Vec<_> = changes.map(|change| change.address.within(part)).collect();
        (!names.is_empty()).then(|| listed(&names))
    };
    let sentences = [
        names(Action::Create).map(|names| format!("adds {names}")),
        names(Action::Update).map(|names| format!("changes {names} in place")),
        names(Action::Replace).map(|names| format!("replaces {names}")),
        names(Action::Delete).map(|names| format!("removes {names}")),
    ];
    sentences.into_iter().flatten().collect()
}

/// `a, b, c`; of more, the first ones and how many others.
pub fn listed(names: &[&str]) -> String {
    match names {
        [first, .., _last] if names.len() > NAMES_MAX => format!("{first} and {} others", names.len() - 1),
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_types_that_nobody_knows_are_told_by_their_owners() {
        let change = |address: &str, action| Change {
            address: Address::parse(address),
            kind: "note".into(),
            action,
            reason: String::new(),
            fields: Vec::new(),
        };
        let changes = [
            change("cluster.a.note", Action::Create),
            change("cluster.a.cabinet", Action::Update),
            change("cluster.b.note", Action::Unchanged),
        ];
        let parts = Outlook::of(&changes).parts;
        let told: Vec<_> = parts.iter().map(|it| (it.part.as_str(), it.action, it.consequence.as_str())).collect();
        let expected = [
            ("cluster.a", Action::Update, "adds note; changes cabinet in place"),
            ("cluster.b", Action::Unchanged, ""),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_resource_acts_where_there_is_something_to_do_with_it() {
        let change = |kind: &str, action| Change {
            address: Address::in_cluster("a", kind),
            kind: kind.to_owned(),
            action,
            reason: String::new(),
            fields: Vec::new(),
        };
        let changes =
            [change("rule", Action::Unchanged), change("instances", Action::Update), change("rule", Action::Delete)];
        let changes: Vec<&Change> = changes.iter().collect();
        let (part, running) = (Address::cluster_itself("a"), Running::default());
        let view = PartView { part: &part, stack: None, running: &running, changes: &changes };
        let acting = |kind| view.acting(kind).map(|change| (change.kind.as_str(), change.action));
        assert_eq!(acting("instances"), Some(("instances", Action::Update)));
        assert_eq!(acting("rule"), Some(("rule", Action::Delete)), "not the one that stays");
        assert_eq!(acting("target_group"), None);
    }

    #[test]
    fn of_many_names_the_first_is_told() {
        assert_eq!(listed(&["a", "b", "c"]), "a, b, c");
        assert_eq!(listed(&["a", "b", "c", "d"]), "a and 3 others");
    }
}
