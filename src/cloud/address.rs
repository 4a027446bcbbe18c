//! Where a resource stands in its stack: `cluster.light.target_group`, `network.subnet.us-east-1a`, `load_balancer`.
//!
//! An address is what it is written as, in tags, plans and messages; this is the only file that puts one together or takes
//! one apart. What somebody has written into a tag is an address, too, whatever it says: it is of no cluster and no kind that
//! we know, and goes as what the stack does not have.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What begins the address of everything that belongs to one cluster.
const CLUSTER: &str = "cluster";
/// What begins the address of everything that belongs to a route which several clusters share.
const ROUTE: &str = "route";

/// Where a resource, or a part of a stack, stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Address(Cow<'static, str>);

/// What an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner<'a> {
    Cluster(&'a str),
    Route(&'a str),
    /// What the clusters share, by the first word: `network`, `load_balancer`.
    Shared(&'a str),
}

impl Address {
    /// One that every stack has in the same place.
    pub const fn fixed(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// As it is written in a tag or a file.
    pub fn parse(text: impl Into<String>) -> Self {
        Self(Cow::Owned(text.into()))
    }

    /// `cluster.light`
    pub fn cluster_itself(cluster: &str) -> Self {
        Self::parse(format!("{CLUSTER}.{cluster}"))
    }

    /// `cluster.light.target_group`
    pub fn in_cluster(cluster: &str, kind: &str) -> Self {
        Self::parse(format!("{CLUSTER}.{cluster}.{kind}"))
    }

    /// `route.canary.rule`
    pub fn in_route(route: &str, kind: &str) -> Self {
        Self::parse(format!("{ROUTE}.{route}.{kind}"))
    }

    /// One of several of a kind: `cluster.light.policy` and `busy` are `cluster.light.policy.busy`.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        Self::parse(format!("{self}.{name}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    pub fn owner(&self) -> Owner<'_> {
        let mut words = self.words();
        match (words.next().unwrap_or_default(), words.next()) {
            (CLUSTER, Some(name)) => Owner::Cluster(name),
            (ROUTE, Some(name)) => Owner::Route(name),
            (first, _) => Owner::Shared(first),
        }
    }

    /// The address of the owner: `cluster.light`, `route.shop`, `network`.
    #[must_use]
    pub fn part(&self) -> Self {
        match self.owner() {
            Owner::Cluster(name) => Self::cluster_itself(name),
            Owner::Route(name) => Self::parse(format!("{ROUTE}.{name}")),
            Owner::Shared(first) => Self::parse(first),
        }
    }

    /// The name of the cluster that it belongs to.
    pub fn cluster(&self) -> Option<&str> {
        if let Owner::Cluster(name) = self.owner() { Some(name) } else { None }
    }

    /// What it is within its owner: `target_group`, `policy`, `subnet`; a shared thing that is its own owner is what it is
    /// called. `None` of a cluster or a route itself.
    pub fn kind(&self) -> Option<&str> {
        match self.owner() {
            Owner::Cluster(_) | Owner::Route(_) => self.words().nth(2),
            Owner::Shared(first) => Some(self.words().nth(1).unwrap_or(first)),
        }
    }

    /// What it is called within a part: `policy.busy` within `cluster.light`; its whole address where it stands elsewhere.
    pub fn within(&self, part: &Address) -> &str {
        self.0.strip_prefix(part.as_str()).and_then(|rest| rest.strip_prefix('.')).unwrap_or(&self.0)
    }

    /// Whether it is the resource of this kind in some cluster, and there is one of it a cluster.
    pub fn is_only(&self, kind: &str) -> bool {
        self.cluster().is_some() && self.words().skip(2).eq([kind])
    }
}

impl AsRef<str> for Address {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_its_owner_and_what_it_is_there() {
        let known = [
            ("cluster.light.policy.cpu", Owner::Cluster("light"), "cluster.light", Some("policy"), "policy.cpu"),
            ("cluster.light.rule.2", Owner::Cluster("light"), "cluster.light", Some("rule"), "rule.2"),
            ("cluster.light", Owner::Cluster("light"), "cluster.light", None, "cluster.light"),
            ("route.shop.rule", Owner::Route("shop"), "route.shop", Some("rule"), "rule"),
            ("load_balancer", Owner::Shared("load_balancer"), "load_balancer", Some("load_balancer"), "load_balancer"),
            ("load_balancer.listener", Owner::Shared("load_balancer"), "load_balancer", Some("listener"), "listener"),
            ("network.subnet.us-east-1a", Owner::Shared("network"), "network", Some("subnet"), "subnet.us-east-1a"),
            ("cluster", Owner::Shared("cluster"), "cluster", Some("cluster"), "cluster"),
            ("", Owner::Shared(""), "", Some(""), ""),
        ];
        for (text, owner, part, kind, name) in known {
            let address = Address::parse(text);
            assert_eq!((address.owner(), address.part().as_str()), (owner, part), "{text}");
            assert_eq!((address.kind(), address.within(&address.part())), (kind, name), "{text}");
        }
    }

    #[test]
    fn what_is_put_together_is_taken_apart() {
        let policy = Address::in_cluster("light", "policy").named("cpu");
        assert_eq!((policy.as_str(), policy.cluster()), ("cluster.light.policy.cpu", Some("light")));
        let target_group = Address::in_cluster("light", "target_group");
        assert!(target_group.is_only("target_group") && !policy.is_only("policy"));
        assert!(!Address::fixed("instances.security_group").is_only("security_group"));
        assert_eq!(policy.within(&Address::cluster_itself("li")), policy.as_str(), "it is in another cluster");
        assert_eq!(Address::in_route("shop", "rule").to_string(), "route.shop.rule");
    }

    #[test]
    fn a_plan_file_holds_it_as_a_text() {
        let address = Address::in_cluster("light", "rule");
        let text = serde_json::to_string(&address).expect("it is a text");
        assert_eq!(text, "\"cluster.light.rule\"");
        assert_eq!(serde_json::from_str::<Address>(&text).expect("a text"), address);
    }
}
