//! Rules of security groups: one protocol, one range of ports, one source.

use super::listing::{self, Filters, known_ids};
use super::model::{Ec2, Operation};
use super::rule::{Rule, Source};
use super::security_groups::{by_name, named, not_found};
use super::tags::{self, Tags};
use crate::region::context::Context;
use crate::region::ec2::network::cidr::Cidr;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// The operations of the rules of security groups, as they are declared.
pub const OPERATIONS: &[Operation] = &[
    Operation::new(
        "AuthorizeSecurityGroupIngress",
        "GroupId GroupName IpPermissions[]{IpProtocol FromPort ToPort Groups[]{Description \
         UserId=000000000000 GroupName GroupId} IpRanges[]{Description CidrIp} \
         Ipv6Ranges[]{Description CidrIpv6} PrefixListIds[]{Description PrefixListId}} IpProtocol \
         FromPort ToPort CidrIp SourceSecurityGroupName SourceSecurityGroupOwnerId=000000000000 \
         +tags=security-group-rule",
        |ec2, cx, params| authorize(ec2, cx, params, false),
    ),
    Operation::new(
        "AuthorizeSecurityGroupEgress",
        "GroupId IpPermissions[]{IpProtocol FromPort ToPort Groups[]{Description UserId=000000000000 \
         GroupName GroupId} IpRanges[]{Description CidrIp} Ipv6Ranges[]{Description CidrIpv6} \
         PrefixListIds[]{Description PrefixListId}} IpProtocol FromPort ToPort CidrIp \
         SourceSecurityGroupName SourceSecurityGroupOwnerId=000000000000 +tags=security-group-rule",
        |ec2, cx, params| authorize(ec2, cx, params, true),
    ),
    Operation::new(
        "RevokeSecurityGroupIngress",
        "GroupId GroupName SecurityGroupRuleId[] IpPermissions[]{IpProtocol FromPort ToPort \
         Groups[]{Description UserId=000000000000 GroupName GroupId} IpRanges[]{Description CidrIp} \
         Ipv6Ranges[]{Description CidrIpv6} PrefixListIds[]{Description PrefixListId}} IpProtocol \
         FromPort ToPort CidrIp SourceSecurityGroupName SourceSecurityGroupOwnerId=000000000000",
        |ec2, cx, params| revoke(ec2, cx, params, false),
    ),
    Operation::new(
        "RevokeSecurityGroupEgress",
        "GroupId SecurityGroupRuleId[] IpPermissions[]{IpProtocol FromPort ToPort \
         Groups[]{Description UserId=000000000000 GroupName GroupId} IpRanges[]{Description CidrIp} \
         Ipv6Ranges[]{Description CidrIpv6} PrefixListIds[]{Description PrefixListId}} IpProtocol \
         FromPort ToPort CidrIp SourceSecurityGroupName SourceSecurityGroupOwnerId=000000000000",
        |ec2, cx, params| revoke(ec2, cx, params, true),
    ),
    Operation::new("DescribeSecurityGroupRules", "+filters +pages SecurityGroupRuleId[]", |ec2, cx, params| {
        describe_security_group_rules(ec2, cx, params)
    }),
];

/// AWS's default quota of rules in a group, each direction.
const RULES_MAX: usize = 60;

/// The rules that a request names, by `IpPermissions.N` or by the older single parameters. They have no ids yet.
fn requested(ec2: &Ec2, params: &Params, egress: bool) -> Result<Vec<Rule>, ApiError> {
    let mut rules = Vec::new();
    for permission in params.maps("IpPermissions") {
        for range in permission.maps("IpRanges") {
            rules.push(rule(&permission, egress, Source::Ipv4(ipv4_cidr(range.required("CidrIp")?)?), &range)?);
        }
        for range in permission.maps("Ipv6Ranges") {
            rules.push(rule(&permission, egress, Source::Ipv6(ipv6_cidr(range.required("CidrIpv6")?)?), &range)?);
        }
        for list in permission.maps("PrefixListIds") {
            rules.push(rule(
                &permission,
                egress,
                Source::PrefixList(list.required("PrefixListId")?.to_owned()),
                &list,
            )?);
        }
        for pair in permission.maps("Groups") {
            let id = named(ec2, &pair)?;
            rules.push(rule(&permission, egress, Source::Group(id), &pair)?);
        }
    }
    if let Some(cidr) = params.text("CidrIp") {
        rules.push(rule(params, egress, Source::Ipv4(ipv4_cidr(cidr)?), &Params::default())?);
    }
    if let Some(name) = params.text("SourceSecurityGroupName") {
        rules.push(rule(params, egress, Source::Group(by_name(ec2, name)?), &Params::default())?);
    }
    if rules.is_empty() {
        return Err(ApiError::new(
            "MissingParameter",
            "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.",
        ));
    }
    Ok(rules)
}

fn rule(permission: &Params, egress: bool, source: Source, peer: &Params) -> Result<Rule, ApiError> {
    let protocol = match permission.required("IpProtocol")?.to_ascii_lowercase().as_str() {
        "6" => "tcp".to_owned(),
        "17" => "udp".to_owned(),
        "1" => "icmp".to_owned(),
        "-1" | "all" => "-1".to_owned(),
        name @ ("tcp" | "udp" | "icmp" | "icmpv6") => name.to_owned(),
        number if number.parse::<u8>().is_ok() => number.to_owned(),
        other => {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("Invalid value '{other}' for IP protocol. Unknown protocol."),
            ));
        }
    };
    let (mut from_port, mut to_port) = (permission.int("FromPort")?, permission.int("ToPort")?);
    match protocol.as_str() {
        "-1" => (from_port, to_port) = (None, None),
        "tcp" | "udp" => {
            let (Some(from), Some(to)) = (from_port, to_port) else {
                return Err(ApiError::new(
                    "InvalidParameterValue",
                    "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.",
                ));
            };
            if !(0..=65535).contains(&from) || !(0..=65535).contains(&to) || from > to {
                let message = format!("Invalid TCP/UDP port range ({from}:{to})");
                return Err(ApiError::new("InvalidParameterValue", message));
            }
        }
        _ => {}
    }
    let description = peer.text("Description").filter(|text| !text.is_empty()).map(str::to_owned);
    Ok(Rule { id: String::new(), egress, protocol, from_port, to_port, source, description, tags: Tags::new() })
}

fn malformed_cidr(cidr: &str) -> ApiError {
    ApiError::new("InvalidParameterValue", format!("CIDR block {cidr} is malformed"))
}

/// The block with its host bits cleared, as AWS stores it.
fn ipv4_cidr(cidr: &str) -> Result<String, ApiError> {
    Cidr::parse(cidr).map(|cidr| cidr.to_string()).ok_or_else(|| malformed_cidr(cidr))
}

fn ipv6_cidr(cidr: &str) -> Result<String, ApiError> {
    let (address, length) = cidr.split_once('/').ok_or_else(|| malformed_cidr(cidr))?;
    let address: std::net::Ipv6Addr = address.parse().map_err(|_| malformed_cidr(cidr))?;
    let length: u32 = length.parse().ok().filter(|length| *length <= 128).ok_or_else(|| malformed_cidr(cidr))?;
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    Ok(format!("{}/{length}", std::net::Ipv6Addr::from(u128::from(address) & mask)))
}

/// AuthorizeSecurityGroupIngress and -Egress: all rules or none.
pub fn authorize(ec2: &mut Ec2, cx: &mut Context, params: &Params, egress: bool) -> Answer {
    let id = named(ec2, params)?;
    let mut rules = requested(ec2, params, egress)?;
    let tags = tags::specified(params, "security-group-rule")?;
    let group = &ec2.security_groups[&id];
    for (index, rule) in rules.iter().enumerate() {
        if group.rules.iter().chain(&rules[..index]).any(|existing| existing.same_as(rule)) {
            let message = format!("the specified rule \"{}\" already exists", rule.text());
            return Err(ApiError::new("InvalidPermission.Duplicate", message));
        }
    }
    let count = group.rules.iter().filter(|rule| rule.egress == egress).count() + rules.len();
    if count > RULES_MAX {
        let message = "The maximum number of rules per security group has been reached.";
        return Err(ApiError::new("RulesPerSecurityGroupLimitExceeded", message));
    }
    for rule in &mut rules {
        rule.id = cx.ids.resource("sgr");
        rule.tags.clone_from(&tags);
    }
    let shown = Value::list(rules.iter().map(|rule| rule.value(&id, cx)));
    if let Some(group) = ec2.security_groups.get_mut(&id) {
        group.rules.extend(rules);
    }
    Ok(Value::map().with("return", Value::from(true)).with("securityGroupRuleSet", shown))
}

/// RevokeSecurityGroupIngress and -Egress: by id, or by the same words that authorised.
pub fn revoke(ec2: &mut Ec2, cx: &Context, params: &Params, egress: bool) -> Answer {
    let id = named(ec2, params)?;
    let group = &ec2.security_groups[&id];
    let mut gone = Vec::new();
    let ids = params.texts("SecurityGroupRuleId");
    for rule_id in &ids {
        match group.rules.iter().find(|rule| rule.id == *rule_id && rule.egress == egress) {
            Some(rule) => gone.push(rule.clone()),
            None => return Err(rule_not_found(rule_id)),
        }
    }
    if ids.is_empty() {
        for wanted in requested(ec2, params, egress)? {
            match group.rules.iter().find(|rule| rule.same_as(&wanted)) {
                Some(rule) => gone.push(rule.clone()),
                None => {
                    let message = "The specified rule does not exist in this security group.";
                    return Err(ApiError::new("InvalidPermission.NotFound", message));
                }
            }
        }
    }
    let shown = Value::list(gone.iter().map(|rule| rule.value(&id, cx)));
    if let Some(group) = ec2.security_groups.get_mut(&id) {
        group.rules.retain(|rule| !gone.iter().any(|gone| gone.id == rule.id));
    }
    Ok(Value::map().with("return", Value::from(true)).with("revokedSecurityGroupRuleSet", shown))
}

fn rule_not_found(id: &str) -> ApiError {
    let message = format!("The security group rule ID '{id}' does not exist");
    ApiError::new("InvalidSecurityGroupRuleId.NotFound", message)
}

pub fn describe_security_group_rules(ec2: &Ec2, cx: &Context, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let all: Vec<(&str, &Rule)> = ec2
        .security_groups
        .values()
        .flat_map(|group| group.rules.iter().map(move |rule| (group.id.as_str(), rule)))
        .collect();
    let known = |id: &str| all.iter().any(|(_, rule)| rule.id == id);
    let code = "InvalidSecurityGroupRuleId.NotFound";
    let ids = known_ids(params, "SecurityGroupRuleId", code, "security group rule ID", known)?;
    let mut found = Vec::new();
    for (group, rule) in all {
        let keep = filters.keep(&rule.tags, |name| match name {
            "group-id" => Some(vec![group.to_owned()]),
            "security-group-rule-id" => Some(vec![rule.id.clone()]),
            _ => None,
        })?;
        if keep && (ids.is_empty() || ids.contains(&rule.id.as_str())) {
            found.push((group, rule));
        }
    }
    found.sort_by(|a, b| a.1.id.cmp(&b.1.id));
    let (page, token) = listing::page(params, found, |(_, rule)| rule.id.clone())?;
    let rows = page.into_iter().map(|(group, rule)| rule.value(group, cx)).collect();
    Ok(listing::answer("securityGroupRuleSet", rows, token))
}

/// The groups that a launch names, by id or by name; the VPC's default group where it names none.
pub fn groups_for_launch(ec2: &Ec2, ids: &[&str], names: &[&str], vpc: &str) -> Result<Vec<String>, ApiError> {
    let mut groups = Vec::new();
    for id in ids {
        let group = ec2.security_groups.get(*id).ok_or_else(|| not_found(id))?;
        if group.vpc != vpc {
            let message = format!("Security group {id} and the subnet belong to different networks.");
            return Err(ApiError::new("InvalidParameter", message));
        }
        groups.push(group.id.clone());
    }
    for name in names {
        groups.push(by_name(ec2, name)?);
    }
    if groups.is_empty() {
        let default = ec2.security_groups.values().find(|group| group.vpc == vpc && group.name == "default");
        groups.extend(default.map(|group| group.id.clone()));
    }
    groups.dedup();
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cidr_blocks_are_checked_and_their_host_bits_cleared() {
        assert_eq!(ipv4_cidr("10.1.2.3/8").as_deref(), Ok("10.0.0.0/8"));
        assert_eq!(ipv4_cidr("1.2.3.4/0").as_deref(), Ok("0.0.0.0/0"));
        assert_eq!(ipv6_cidr("fe80::1/64").as_deref(), Ok("fe80::/64"));
        for bad in ["10.0.0.0", "10.0.0.0/33", "x/8", "::/0"] {
            assert_eq!(ipv4_cidr(bad).unwrap_err().message, format!("CIDR block {bad} is malformed"));
        }
    }
}
