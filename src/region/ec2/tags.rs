//! Tags: on every resource, given at creation (`TagSpecification`) or later.

use std::collections::BTreeMap;

use super::listing::{self, Filters};
use super::model::{Ec2, Operation};
use crate::region::wire::{Answer, ApiError, Params, Value};

/// The operations of this file, as they are declared.
pub const OPERATIONS: &[Operation] = &[
    Operation::new("CreateTags", "ResourceId[] Tag[]{Key Value}", |ec2, _, params| create_tags(ec2, params)),
    Operation::new("DeleteTags", "ResourceId[] Tag[]{Key Value}", |ec2, _, params| delete_tags(ec2, params)),
    Operation::new("DescribeTags", "+filters +pages", |ec2, _, params| describe_tags(ec2, params)),
];

pub type Tags = BTreeMap<String, String>;

/// AWS's bounds on one resource's tags.
const TAGS_MAX: usize = 50;
const KEY_CHARACTERS_MAX: usize = 127;
const VALUE_CHARACTERS_MAX: usize = 255;

/// The tags of a request's `TagSpecification.N` for one type of resource.
pub fn specified(params: &Params, resource_type: &str) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for specification in params.maps("TagSpecification") {
        if specification.text("ResourceType") == Some(resource_type) {
            add(&mut tags, listed(&specification)?)?;
        }
    }
    Ok(tags)
}

/// The tags of `Tag.N`; callers may not write AWS's own.
fn listed(params: &Params) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for tag in params.maps("Tag") {
        let (key, value) = (tag.required("Key")?, tag.text("Value").unwrap_or(""));
        if key.to_ascii_lowercase().starts_with("aws:") {
            let message = format!("Tag keys starting with 'aws:' are reserved for internal use: {key}");
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        if key.is_empty() || key.chars().count() > KEY_CHARACTERS_MAX || value.chars().count() > VALUE_CHARACTERS_MAX {
            return Err(ApiError::new("InvalidParameterValue", format!("The tag {key} is empty or too long.")));
        }
        tags.insert(key.to_owned(), value.to_owned());
    }
    Ok(tags)
}

fn add(tags: &mut Tags, more: Tags) -> Result<(), ApiError> {
    let new = more.keys().filter(|key| !tags.contains_key(*key)).count();
    if tags.len() + new > TAGS_MAX {
        return Err(ApiError::new("TagLimitExceeded", format!("A resource has at most {TAGS_MAX} tags.")));
    }
    tags.extend(more);
    Ok(())
}

/// The tags as a `tagSet`; a resource without tags has none.
pub fn value(tags: &Tags) -> Option<Value> {
    let tag = |(key, value): (&String, &String)| {
        Value::map().with("key", Value::from(&**key)).with("value", Value::from(&**value))
    };
    (!tags.is_empty()).then(|| Value::list(tags.iter().map(tag)))
}

pub fn create_tags(ec2: &mut Ec2, params: &Params) -> Answer {
    let (ids, tags) = (resources(ec2, params)?, listed(params)?);
    for id in &ids {
        let mut merged = ec2.tags_mut(id).map(|tags| tags.clone()).unwrap_or_default();
        add(&mut merged, tags.clone())?;
    }
    for id in &ids {
        if let Some(existing) = ec2.tags_mut(id) {
            existing.extend(tags.clone());
        }
    }
    Ok(Value::map().with("return", Value::from(true)))
}

pub fn delete_tags(ec2: &mut Ec2, params: &Params) -> Answer {
    let (ids, removed) = (resources(ec2, params)?, params.maps("Tag"));
    for id in &ids {
        let Some(tags) = ec2.tags_mut(id) else { continue };
        // A tag with a value goes only where the value is the same; no tag at all means all but AWS's own.
        tags.retain(|key, value| {
            let named = |tag: &Params| tag.text("Key") == Some(key) && tag.text("Value").is_none_or(|v| v == value);
            let gone = if removed.is_empty() { !key.starts_with("aws:") } else { removed.iter().any(named) };
            !gone
        });
    }
    Ok(Value::map().with("return", Value::from(true)))
}

/// The ids of `ResourceId.N`, which must all exist.
fn resources(ec2: &mut Ec2, params: &Params) -> Result<Vec<String>, ApiError> {
    let ids = params.texts("ResourceId");
    if ids.is_empty() {
        return Err(ApiError::missing("resourceIdSet"));
    }
    for id in &ids {
        if ec2.tags_mut(id).is_none() {
            return Err(not_found(id));
        }
    }
    Ok(ids.into_iter().map(str::to_owned).collect())
}

fn not_found(id: &str) -> ApiError {
    let code = match resource_type(id) {
        "instance" => "InvalidInstanceID.NotFound",
        "security-group" => "InvalidGroup.NotFound",
        "launch-template" => "InvalidLaunchTemplateId.NotFound",
        "vpc" => "InvalidVpcID.NotFound",
        "subnet" => "InvalidSubnetID.NotFound",
        "key-pair" => "InvalidKeyPair.NotFound",
        "internet-gateway" => "InvalidInternetGatewayID.NotFound",
        "route-table" => "InvalidRouteTableID.NotFound",
        "network-acl" => "InvalidNetworkAclID.NotFound",
        "volume" => "InvalidVolume.NotFound",
        "network-interface" => "InvalidNetworkInterfaceID.NotFound",
        "spot-instances-request" => "InvalidSpotInstanceRequestID.NotFound",
        _ => "InvalidID",
    };
    ApiError::new(code, format!("The ID '{id}' does not exist"))
}

/// The type of resource that an id's prefix stands for.
pub fn resource_type(id: &str) -> &'static str {
    match id.split('-').next() {
        Some("i") => "instance",
        Some("sg") => "security-group",
        Some("sgr") => "security-group-rule",
        Some("lt") => "launch-template",
        Some("vpc") => "vpc",
        Some("subnet") => "subnet",
        Some("igw") => "internet-gateway",
        Some("rtb") => "route-table",
        Some("acl") => "network-acl",
        Some("vol") => "volume",
        Some("eni") => "network-interface",
        Some("sir") => "spot-instances-request",
        Some("key") => "key-pair",
        _ => "unknown",
    }
}

pub fn describe_tags(ec2: &Ec2, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let mut found = Vec::new();
    for (id, tags) in ec2.tagged() {
        for (key, value) in tags {
            let keep = filters.keep(tags, |name| match name {
                "resource-id" => Some(vec![id.to_owned()]),
                "resource-type" => Some(vec![resource_type(id).to_owned()]),
                "key" => Some(vec![key.clone()]),
                "value" => Some(vec![value.clone()]),
                _ => None,
            })?;
            if keep {
                found.push((format!("{id}/{key}"), id, key, value));
            }
        }
    }
    found.sort();
    let (page, token) = listing::page(params, found, |row| row.0.clone())?;
    let row = |(_, id, key, value): (String, &str, &String, &String)| {
        Value::map()
            .with("key", Value::from(&**key))
            .with("resourceId", Value::from(id))
            .with("resourceType", Value::from(resource_type(id)))
            .with("value", Value::from(&**value))
    };
    Ok(listing::answer("tagSet", page.into_iter().map(row).collect(), token))
}
