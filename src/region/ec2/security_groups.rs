//! Security groups: created with their tags, used by instances and load balancers, not deleted while in use.
//!
//! The region keeps the rules and shows them; it does not filter packets: everything is loopback.

use std::collections::BTreeMap;

use super::listing::{self, Filters, known_ids};
use super::model::{Ec2, Operation};
use super::rule::{Rule, Source, permissions_value};
use super::tags::{self, Tags};
use crate::region::context::{ACCOUNT, Context};
use crate::region::ids::Ids;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] = &[
    Operation::new(
        "CreateSecurityGroup",
        "GroupName GroupDescription VpcId +tags=security-group",
        create_security_group,
    )
    .differs("Groups are kept and checked, but nothing is filtered: every instance is reachable from this machine."),
    Operation::new("DeleteSecurityGroup", "GroupId GroupName", |ec2, cx, params| {
        delete_security_group(ec2, cx, params)
    }),
    Operation::new("DescribeSecurityGroups", "+filters +pages GroupId[] GroupName[]", |ec2, cx, params| {
        describe_security_groups(ec2, cx, params)
    }),
];

/// AWS's default quota of groups in a VPC.
const GROUPS_MAX: usize = 2500;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct SecurityGroup {
    pub id: String,
    pub name: String,
    pub description: String,
    pub vpc: String,
    pub rules: Vec<Rule>,
    pub tags: Tags,
}

/// Security groups by id.
pub type SecurityGroups = BTreeMap<String, SecurityGroup>;

/// The group that a VPC is born with: its members reach each other, and everything outside.
pub fn default_group(vpc: &str, ids: &mut Ids) -> SecurityGroup {
    let id = ids.resource("sg");
    let inward = Rule::all_traffic(ids, false, Source::Group(id.clone()));
    let outward = Rule::all_traffic(ids, true, Source::Ipv4("0.0.0.0/0".to_owned()));
    SecurityGroup {
        id,
        name: "default".to_owned(),
        description: "default VPC security group".to_owned(),
        vpc: vpc.to_owned(),
        rules: vec![inward, outward],
        tags: Tags::new(),
    }
}

pub fn not_found(id: &str) -> ApiError {
    ApiError::new("InvalidGroup.NotFound", format!("The security group '{id}' does not exist"))
}

/// The group that a request names by `GroupId`, or in the default VPC by `GroupName`.
pub fn named(ec2: &Ec2, params: &Params) -> Result<String, ApiError> {
    match (params.text("GroupId"), params.text("GroupName")) {
        (Some(id), _) if ec2.security_groups.contains_key(id) => Ok(id.to_owned()),
        (Some(id), _) => Err(not_found(id)),
        (None, Some(name)) => by_name(ec2, name),
        (None, None) => {
            Err(ApiError::new("MissingParameter", "The request must contain the parameter groupName or groupId"))
        }
    }
}

/// The default VPC's group of that name.
pub fn by_name(ec2: &Ec2, name: &str) -> Result<String, ApiError> {
    let vpc = ec2.network.default_vpc().map(|vpc| vpc.id.as_str());
    let group = ec2.security_groups.values().find(|group| group.name == name && Some(group.vpc.as_str()) == vpc);
    let not_found = || {
        let message = format!("The security group '{name}' does not exist in default VPC '{}'", vpc.unwrap_or("none"));
        ApiError::new("InvalidGroup.NotFound", message)
    };
    group.map(|group| group.id.clone()).ok_or_else(not_found)
}

pub fn create_security_group(ec2: &mut Ec2, cx: &mut Context, params: &Params) -> Answer {
    let (name, description) = (params.required("GroupName")?, params.required("GroupDescription")?);
    let vpc = ec2.network.vpc(params.text("VpcId"))?.id.clone();
    if name.is_empty() || name.chars().count() > 255 || name.starts_with("sg-") {
        return Err(ApiError::invalid("groupName", name));
    }
    if name == "default" {
        return Err(ApiError::new("InvalidParameterValue", "Cannot use reserved security group name: default"));
    }
    if ec2.security_groups.values().any(|group| group.vpc == vpc && group.name == name) {
        let message = format!("The security group '{name}' already exists for VPC '{vpc}'");
        return Err(ApiError::new("InvalidGroup.Duplicate", message));
    }
    if ec2.security_groups.len() >= GROUPS_MAX {
        let message = "The maximum number of security groups has been reached.";
        return Err(ApiError::new("SecurityGroupLimitExceeded", message));
    }
    let tags = tags::specified(params, "security-group")?;
    let id = cx.ids.resource("sg");
    let outward = Rule::all_traffic(cx.ids, true, Source::Ipv4("0.0.0.0/0".to_owned()));
    let answer = Value::map()
        .with("return", Value::from(true))
        .with("groupId", Value::from(&*id))
        .with("tagSet", tags::value(&tags))
        .with("securityGroupArn", Value::from(cx.arn("ec2", &format!("security-group/{id}"))));
    let (name, description) = (name.to_owned(), description.to_owned());
    ec2.security_groups.insert(id.clone(), SecurityGroup { id, name, description, vpc, rules: vec![outward], tags });
    Ok(answer)
}

pub fn delete_security_group(ec2: &mut Ec2, cx: &Context, params: &Params) -> Answer {
    let id = named(ec2, params)?;
    if ec2.security_groups[&id].name == "default" {
        let message = format!("the specified group: \"{id}\" name: \"default\" cannot be deleted by a user");
        return Err(ApiError::new("CannotDelete", message));
    }
    let by_instance = ec2.instances.all.values().any(|instance| instance.occupies() && instance.groups.contains(&id));
    let by_load_balancer = cx.facts.security_groups_of_load_balancers().contains(&id);
    let by_group = ec2.security_groups.values().any(|group| {
        group.id != id && group.rules.iter().any(|rule| matches!(&rule.source, Source::Group(other) if *other == id))
    });
    if by_instance || by_load_balancer || by_group {
        return Err(ApiError::new("DependencyViolation", format!("resource {id} has a dependent object")));
    }
    ec2.security_groups.remove(&id);
    Ok(Value::map().with("return", Value::from(true)).with("groupId", Value::from(id)))
}

pub fn describe_security_groups(ec2: &Ec2, cx: &Context, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let groups = &ec2.security_groups;
    let known = |id: &str| groups.contains_key(id);
    let ids = known_ids(params, "GroupId", "InvalidGroup.NotFound", "security group", known)?;
    let names = params.texts("GroupName");
    for name in &names {
        by_name(ec2, name)?;
    }
    let mut found = Vec::new();
    for group in groups.values() {
        let named = (ids.is_empty() || ids.contains(&group.id.as_str()))
            && (names.is_empty() || names.contains(&group.name.as_str()));
        if named && filters.keep(&group.tags, |name| field(group, name))? {
            found.push(group);
        }
    }
    let (page, token) = listing::page(params, found, |group| group.id.clone())?;
    let row = |group: &SecurityGroup| {
        Value::map()
            .with("ownerId", Value::from(ACCOUNT))
            .with("groupId", Value::from(&*group.id))
            .with("groupName", Value::from(&*group.name))
            .with("groupDescription", Value::from(&*group.description))
            .with("vpcId", Value::from(&*group.vpc))
            .with("securityGroupArn", Value::from(cx.arn("ec2", &format!("security-group/{}", group.id))))
            .with("ipPermissions", permissions_value(group.rules.iter().filter(|rule| !rule.egress)))
            .with("ipPermissionsEgress", permissions_value(group.rules.iter().filter(|rule| rule.egress)))
            .with("tagSet", tags::value(&group.tags))
    };
    Ok(listing::answer("securityGroupInfo", page.into_iter().map(row).collect(), token))
}

/// Security groups with their names.
pub fn groups_value(ec2: &Ec2, groups: &[String]) -> Value {
    Value::list(groups.iter().map(|id| {
        let name = ec2.security_groups.get(id).map_or("", |group| &*group.name);
        Value::map().with("groupId", Value::from(&**id)).with("groupName", Value::from(name))
    }))
}

fn field(group: &SecurityGroup, name: &str) -> Option<Vec<String>> {
    let (egress, rule_field) = match name {
        "group-id" => return Some(vec![group.id.clone()]),
        "group-name" => return Some(vec![group.name.clone()]),
        "vpc-id" => return Some(vec![group.vpc.clone()]),
        "description" => return Some(vec![group.description.clone()]),
        "owner-id" => return Some(vec![ACCOUNT.to_owned()]),
        _ => match name.strip_prefix("egress.ip-permission.") {
            Some(rest) => (true, rest),
            None => (false, name.strip_prefix("ip-permission.")?),
        },
    };
    let rules = group.rules.iter().filter(|rule| rule.egress == egress);
    let port = |port: Option<i64>| port.map(|port| port.to_string());
    let values = match rule_field {
        "protocol" => rules.map(|rule| Some(rule.protocol.clone())).collect::<Vec<_>>(),
        "from-port" => rules.map(|rule| port(rule.from_port)).collect(),
        "to-port" => rules.map(|rule| port(rule.to_port)).collect(),
        "cidr" => {
            rules.map(|rule| if let Source::Ipv4(cidr) = &rule.source { Some(cidr.clone()) } else { None }).collect()
        }
        "group-id" => {
            rules.map(|rule| if let Source::Group(id) = &rule.source { Some(id.clone()) } else { None }).collect()
        }
        _ => return None,
    };
    Some(values.into_iter().flatten().collect())
}
