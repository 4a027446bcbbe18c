//! The Resource Groups Tagging API: every resource of the region that has a tag, by tags and types, whatever its service.
//! It has no state: the services answer what is tagged (`Facts::tagged`).

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use super::wire::operation;
use super::wire::{Answer, ApiError, Params, Request, Value};

type Operation = operation::Operation<()>;

/// Every operation, as it is declared.
pub const OPERATIONS: &[Operation] = &[
    Operation::new(
        "GetResources",
        "TagFilters[]{Key Values[]} ResourceTypeFilters[] ResourceARNList[] ResourcesPerPage TagsPerPage PaginationToken",
        |(), cx, params| get_resources(cx, params),
    ),
    Operation::new("GetTagKeys", "PaginationToken", |(), cx, params| get_tag_keys(cx, params)),
    Operation::new("GetTagValues", "Key PaginationToken", |(), cx, params| get_tag_values(cx, params)),
];

/// The largest page of resources, and AWS's bound on the list of ARNs.
const RESOURCES_MAX: usize = 100;
/// One page of keys or of values.
const TEXTS_MAX: usize = 1_000;
/// AWS's bounds of a request's filters.
const FILTERS_MAX: usize = 50;
const VALUES_MAX: usize = 20;

/// Runs one operation.
pub fn call(cx: &mut Context, request: &Request) -> Answer {
    operation::run(&[OPERATIONS], &mut (), cx, request)
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

/// Where a page begins: after the entry that the token names.
fn page<T>(params: &Params, entries: Vec<(String, T)>, size: usize) -> (Vec<(String, T)>, String) {
    let after = params.text("PaginationToken").unwrap_or_default().to_owned();
    let mut rest: Vec<(String, T)> = entries.into_iter().filter(|(key, _)| *key > after).collect();
    let more = rest.len() > size;
    rest.truncate(size);
    let token = if more { rest.last().map(|(key, _)| key.clone()).unwrap_or_default() } else { String::new() };
    (rest, token)
}

/// Every filter must hold: the key, and one of the values where some are given.
fn keeps(filters: &[Params], tags: &BTreeMap<String, String>) -> bool {
    filters.iter().all(|filter| {
        let values = filter.texts("Values");
        let value = tags.get(filter.text("Key").unwrap_or_default());
        value.is_some_and(|value| values.is_empty() || values.contains(&value.as_str()))
    })
}

/// `ec2:instance`, or all of `ec2`; the type is what stands before the resource's own name.
fn is_of_type(arn: &str, types: &[&str]) -> bool {
    let mut parts = arn.splitn(6, ':');
    let service = parts.nth(2).unwrap_or_default();
    let resource = parts.nth(2).unwrap_or_default();
    let kind = resource.split(['/', ':']).next().unwrap_or_default();
    types.is_empty()
        || types.iter().any(|wanted| match wanted.split_once(':') {
            None => *wanted == service,
            Some((wanted_service, rest)) => {
                wanted_service == service && (rest == kind || resource.starts_with(&format!("{rest}/")))
            }
        })
}

fn get_resources(cx: &Context, params: &Params) -> Answer {
    let filters = params.maps("TagFilters");
    if filters.len() > FILTERS_MAX || filters.iter().any(|filter| filter.texts("Values").len() > VALUES_MAX) {
        return Err(invalid(format!("At most {FILTERS_MAX} TagFilters with {VALUES_MAX} values each can be given.")));
    }
    for filter in &filters {
        filter.required("Key")?;
    }
    let (arns, types) = (params.texts("ResourceARNList"), params.texts("ResourceTypeFilters"));
    if !arns.is_empty() && (!filters.is_empty() || !types.is_empty()) {
        return Err(invalid("ResourceARNList cannot be combined with other filters."));
    }
    let size = match (params.int("ResourcesPerPage")?, params.int("TagsPerPage")?) {
        (Some(_), Some(_)) => return Err(invalid("ResourcesPerPage and TagsPerPage cannot be used together.")),
        (Some(size), None) if (1..=100).contains(&size) => usize::try_from(size).unwrap_or(RESOURCES_MAX),
        (None, Some(tags)) if (100..=500).contains(&tags) && tags % 100 == 0 => RESOURCES_MAX,
        (None, None) => RESOURCES_MAX,
        _ => return Err(invalid("ResourcesPerPage is 1 to 100; TagsPerPage is 100, 200, 300, 400 or 500.")),
    };
    let tagged = cx.facts.tagged(cx.region).into_iter();
    let asked = tagged.filter(|(arn, tags)| {
        !tags.is_empty()
            && (arns.is_empty() || arns.contains(&arn.as_str()))
            && is_of_type(arn, &types)
            && keeps(&filters, tags)
    });
    let mut asked: Vec<_> = asked.collect();
    asked.sort();
    let (shown, token) = page(params, asked, size);
    let shown = shown.into_iter().map(|(arn, tags)| {
        let tags = tags
            .into_iter()
            .map(|(key, value)| Value::map().with("Key", Value::from(key)).with("Value", Value::from(value)));
        Value::map().with("ResourceARN", Value::from(arn)).with("Tags", Value::list(tags))
    });
    Ok(Value::map().with("PaginationToken", Value::from(token)).with("ResourceTagMappingList", Value::list(shown)))
}

fn texts(params: &Params, field: &str, texts: BTreeSet<String>) -> Answer {
    let (shown, token) = page(params, texts.into_iter().map(|text| (text, ())).collect(), TEXTS_MAX);
    let shown = Value::list(shown.into_iter().map(|(text, ())| Value::from(text)));
    Ok(Value::map().with("PaginationToken", Value::from(token)).with(field, shown))
}

fn get_tag_keys(cx: &Context, params: &Params) -> Answer {
    let keys = cx.facts.tagged(cx.region).into_iter().flat_map(|(_, tags)| tags.into_keys());
    texts(params, "TagKeys", keys.collect())
}

fn get_tag_values(cx: &Context, params: &Params) -> Answer {
    let key = params.required("Key")?;
    let values = cx.facts.tagged(cx.region).into_iter().filter_map(|(_, mut tags)| tags.remove(key));
    texts(params, "TagValues", values.collect())
}

#[cfg(test)]
mod tests {
    use crate::region::simulated::Simulated;
    use crate::region::wire::{Params, Service};

    fn arns(answer: &Params) -> Vec<String> {
        let list = answer.maps("ResourceTagMappingList");
        list.iter().map(|it| it.text("ResourceARN").unwrap().to_owned()).collect()
    }

    fn get(cloud: &mut Simulated, form: &str) -> Params {
        cloud.try_call(Service::Tagging, "GetResources", form).unwrap()
    }

    #[test]
    fn resources_of_every_service_are_found_by_their_tags_and_types() {
        let mut cloud = Simulated::with_balanced_group(
            "&MinSize=2&MaxSize=2&Tags.member.1.Key=course&Tags.member.1.Value=log8415&Tags.member.1.PropagateAtLaunch=true",
        );
        let target_groups = cloud.elb("DescribeTargetGroups", "").maps("TargetGroups");
        let arn = target_groups[0].text("TargetGroupArn").unwrap().replace(':', "%3A").replace('/', "%2F");
        cloud
            .elb("AddTags", &format!("ResourceArns.member.1={arn}&Tags.member.1.Key=course&Tags.member.1.Value=other"));

        let course = "TagFilters.member.1.Key=course";
        assert_eq!(arns(&get(&mut cloud, course)).len(), 4, "two instances, their group, a target group");
        let of_log = format!("{course}&TagFilters.member.1.Values.member.1=log8415");
        let found = arns(&get(&mut cloud, &of_log));
        assert_eq!(found.iter().filter(|arn| arn.contains(":ec2:us-east-1:000000000000:instance/i-")).count(), 2);
        assert_eq!(found.iter().filter(|arn| arn.contains(":autoScalingGroup:")).count(), 1);
        let types = |kind: &str| format!("{course}&ResourceTypeFilters.member.1={kind}");
        for (kind, count) in [
            ("ec2", 2),
            ("ec2%3Ainstance", 2),
            ("ec2%3Avolume", 0),
            ("elasticloadbalancing%3Atargetgroup", 1),
            ("autoscaling%3AautoScalingGroup", 1),
        ] {
            assert_eq!(arns(&get(&mut cloud, &types(kind))).len(), count, "{kind}");
        }
        let mut seen = Vec::new();
        let mut token = String::new();
        loop {
            let page = get(&mut cloud, &format!("{course}&ResourcesPerPage=1&PaginationToken={token}"));
            seen.extend(arns(&page));
            page.text("PaginationToken").unwrap().clone_into(&mut token);
            if token.is_empty() {
                break;
            }
            token = token.replace(':', "%3A").replace('/', "%2F");
        }
        assert_eq!(seen, arns(&get(&mut cloud, course)));
        let values = cloud.try_call(Service::Tagging, "GetTagValues", "Key=course").unwrap();
        assert_eq!(values.texts("TagValues"), ["log8415", "other"]);
        let keys = cloud.try_call(Service::Tagging, "GetTagKeys", "").unwrap();
        assert!(keys.texts("TagKeys").contains(&"course"));
        for bad in ["ResourcesPerPage=0", "TagsPerPage=150", "ResourcesPerPage=1&TagsPerPage=100"] {
            let error = cloud.try_call(Service::Tagging, "GetResources", bad).unwrap_err();
            assert_eq!(error.code, "InvalidParameterException", "{bad}");
        }
    }
}
