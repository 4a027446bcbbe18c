//! One rule of a security group: whom it lets in or out, and how it is shown.

use super::tags::{self, Tags};
use crate::region::context::{ACCOUNT, Context};
use crate::region::ids::Ids;
use crate::region::wire::Value;

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rule {
    pub id: String,
    pub egress: bool,
    /// `tcp`, `udp`, `icmp`, a protocol's number, or `-1` for all.
    pub protocol: String,
    /// Neither port where the protocol is all.
    pub from_port: Option<i64>,
    pub to_port: Option<i64>,
    pub source: Source,
    pub description: Option<String>,
    pub tags: Tags,
}

/// Whom a rule lets in, or for egress out to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Source {
    Ipv4(String),
    Ipv6(String),
    PrefixList(String),
    /// The members of a group.
    Group(String),
}

impl Rule {
    pub fn all_traffic(ids: &mut Ids, egress: bool, source: Source) -> Self {
        let protocol = "-1".to_owned();
        let id = ids.resource("sgr");
        Self { id, egress, protocol, from_port: None, to_port: None, source, description: None, tags: Tags::new() }
    }

    /// Whether both let the same through.
    pub fn same_as(&self, other: &Rule) -> bool {
        let key = |rule: &Rule| (rule.egress, rule.protocol.clone(), rule.from_port, rule.to_port, rule.source.clone());
        key(self) == key(other)
    }

    /// In AWS's words: `peer: 0.0.0.0/0, TCP, from port: 80, to port: 80, ALLOW`.
    pub fn text(&self) -> String {
        let peer = match &self.source {
            Source::Ipv4(peer) | Source::Ipv6(peer) | Source::PrefixList(peer) | Source::Group(peer) => peer,
        };
        match (self.protocol.as_str(), self.from_port, self.to_port) {
            ("-1", ..) => format!("peer: {peer}, ALL, ALLOW"),
            (protocol, Some(from), Some(to)) => {
                format!("peer: {peer}, {}, from port: {from}, to port: {to}, ALLOW", protocol.to_uppercase())
            }
            (protocol, ..) => format!("peer: {peer}, {}, ALLOW", protocol.to_uppercase()),
        }
    }

    pub fn value(&self, group: &str, cx: &Context) -> Value {
        let base = Value::map()
            .with("securityGroupRuleId", Value::from(&*self.id))
            .with("securityGroupRuleArn", Value::from(cx.arn("ec2", &format!("security-group-rule/{}", self.id))))
            .with("groupId", Value::from(group))
            .with("groupOwnerId", Value::from(ACCOUNT))
            .with("isEgress", Value::from(self.egress))
            .with("ipProtocol", Value::from(&*self.protocol))
            .with("fromPort", Value::from(self.from_port.unwrap_or(-1)))
            .with("toPort", Value::from(self.to_port.unwrap_or(-1)))
            .with("description", self.description.as_deref().map(Value::from))
            .with("tagSet", tags::value(&self.tags));
        match &self.source {
            Source::Ipv4(cidr) => base.with("cidrIpv4", Value::from(&**cidr)),
            Source::Ipv6(cidr) => base.with("cidrIpv6", Value::from(&**cidr)),
            Source::PrefixList(id) => base.with("prefixListId", Value::from(&**id)),
            Source::Group(id) => {
                let group = Value::map().with("groupId", Value::from(&**id)).with("userId", Value::from(ACCOUNT));
                base.with("referencedGroupInfo", group)
            }
        }
    }
}

/// Rules as `IpPermission`s: one for each protocol and range of ports, in the order of their first rule.
pub fn permissions_value<'a>(rules: impl Iterator<Item = &'a Rule>) -> Value {
    let mut grouped: Vec<Vec<&Rule>> = Vec::new();
    for rule in rules {
        let key = |rule: &Rule| (rule.protocol.clone(), rule.from_port, rule.to_port);
        match grouped.iter_mut().find(|group| key(group[0]) == key(rule)) {
            Some(group) => group.push(rule),
            None => grouped.push(vec![rule]),
        }
    }
    Value::list(grouped.into_iter().map(|rules| {
        let mut lists = [vec![], vec![], vec![], vec![]];
        for rule in &rules {
            let (list, entry) = match &rule.source {
                Source::Group(id) => {
                    (0, Value::map().with("userId", Value::from(ACCOUNT)).with("groupId", Value::from(&**id)))
                }
                Source::Ipv4(cidr) => (1, Value::map().with("cidrIp", Value::from(&**cidr))),
                Source::Ipv6(cidr) => (2, Value::map().with("cidrIpv6", Value::from(&**cidr))),
                Source::PrefixList(id) => (3, Value::map().with("prefixListId", Value::from(&**id))),
            };
            lists[list].push(entry.with("description", rule.description.as_deref().map(Value::from)));
        }
        let [groups, ipv4, ipv6, prefixes] = lists;
        Value::map()
            .with("ipProtocol", Value::from(&*rules[0].protocol))
            .with("fromPort", rules[0].from_port.map(Value::from))
            .with("toPort", rules[0].to_port.map(Value::from))
            .with("groups", Value::List(groups))
            .with("ipRanges", Value::List(ipv4))
            .with("ipv6Ranges", Value::List(ipv6))
            .with("prefixListIds", Value::List(prefixes))
    }))
}
