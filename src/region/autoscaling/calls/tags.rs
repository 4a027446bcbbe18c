//! Tags of groups.

use super::super::group::{Group, Tag};
use super::super::model::Autoscaling;
use super::super::parameters::invalid;
use super::super::wire;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// AWS's quota of tags on a resource.
const TAGS_MAX: usize = 50;

/// `(group, key, tag)` of every entry. `group` stands in for a `ResourceId` that is left out.
pub fn parse(entries: &[Params], group: Option<&str>) -> Result<Vec<(String, String, Tag)>, ApiError> {
    if entries.len() > TAGS_MAX {
        return Err(ApiError::new("LimitExceeded", format!("A group may have {TAGS_MAX} tags.")));
    }
    let parse_one = |entry: &Params| {
        let group = entry.text("ResourceId").or(group).ok_or_else(|| ApiError::missing("ResourceId"))?;
        let key = entry.required("Key")?;
        if key.is_empty() || key.len() > 128 || key.starts_with("aws:") {
            return Err(invalid(format!(
                "The tag key {key:?} is not valid: 1 to 128 characters, not starting with aws:"
            )));
        }
        let tag = Tag {
            value: entry.text("Value").unwrap_or_default().to_owned(),
            propagate: entry.bool("PropagateAtLaunch")?.unwrap_or(false),
        };
        Ok((group.to_owned(), key.to_owned(), tag))
    };
    entries.iter().map(parse_one).collect()
}

pub fn put(service: &mut Autoscaling, params: &Params) -> Answer {
    let tags = parse(&params.maps("Tags"), None)?;
    for (group, key, _) in &tags {
        let group = service.group_mut(group)?;
        if group.tags.len() >= TAGS_MAX && !group.tags.contains_key(key) {
            return Err(ApiError::new("LimitExceeded", format!("A group may have {TAGS_MAX} tags.")));
        }
    }
    for (group, key, tag) in tags {
        service.group_mut(&group)?.tags.insert(key, tag);
    }
    Ok(Value::map())
}

pub fn delete(service: &mut Autoscaling, params: &Params) -> Answer {
    for (group, key, tag) in parse(&params.maps("Tags"), None)? {
        let group = service.group_mut(&group)?;
        // A value that is given must be the tag's.
        if tag.value.is_empty() || group.tags.get(&key).is_some_and(|known| known.value == tag.value) {
            group.tags.remove(&key);
        }
    }
    Ok(Value::map())
}

pub fn describe(service: &Autoscaling, params: &Params) -> Answer {
    let filters = params.maps("Filters");
    for filter in &filters {
        let name = filter.required("Name")?;
        if !["auto-scaling-group", "key", "value", "propagate-at-launch"].contains(&name) {
            return Err(invalid(format!(
                "Filter type {name} is not correct. Allowed filter types are: auto-scaling-group key value propagate-at-launch"
            )));
        }
    }
    let matches = |group: &Group, key: &str, tag: &Tag, filter: &Params| {
        let actual = match filter.text("Name").unwrap_or_default() {
            "auto-scaling-group" => &group.name,
            "key" => key,
            "value" => &tag.value,
            _ if tag.propagate => "true",
            _ => "false",
        };
        filter.texts("Values").contains(&actual)
    };
    let all = service.groups.values().flat_map(|group| group.tags.iter().map(move |(key, tag)| (group, key, tag)));
    let asked: Vec<_> =
        all.filter(|(group, key, tag)| filters.iter().all(|filter| matches(group, key, tag, filter))).collect();
    wire::page(
        params,
        "Tags",
        100,
        &asked,
        |(group, key, _)| format!("{}:{key}", group.name),
        |(group, key, tag)| wire::tag(&group.name, key, tag),
    )
}
