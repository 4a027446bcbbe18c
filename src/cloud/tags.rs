//! The tags that make the cloud the state: whose a resource is, which address it has, which spec it was made from.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::address::Address;
use crate::aws::clients::Clients;
use crate::aws::error::CallError;
use crate::problem::Problem;

pub const STACK: &str = "cloudscale:stack";
pub const ADDRESS: &str = "cloudscale:address";
/// The hash of the desired fields at the time of the last change: observed ≠ desired with an equal hash is drift.
pub const SPEC: &str = "cloudscale:spec";
/// On a group the bounds that the stack gave it. Its instances need not know.
pub const BOUNDS: &str = "cloudscale:bounds";
/// The spec of what was taken over: no `up` has made it as the stack wants yet.
pub const ADOPTED: &str = "adopted";
/// The launch template version that the spec belongs to.
pub const VERSION: &str = "cloudscale:version";
/// What the console shows in its first column.
pub const NAME: &str = "Name";
/// Of the embedded region, on its instances: how their processor is known, and what was done to them on purpose.
pub const PROCESSOR: &str = "aws:cloudscale:processor";
pub const DISTURBED: &str = "aws:cloudscale:disturbed";

/// Which tags the stack's file gave: a mark for each key. So one that it no longer has is told from somebody else's.
pub const GIVEN: &str = "cloudscale:tags";
/// Hexadecimal characters of a mark: those of 45 keys (the language's limit) fit into the 256 that a value may have (EC2
/// and ELBv2 API), and a foreign key is rarely taken for one of them.
const MARK_CHARACTERS: usize = 5;

pub type Tags = BTreeMap<String, String>;

/// The tags of a resource.
pub fn of(stack: &str, address: &Address, spec: &str, user: &Tags) -> Tags {
    let mut tags = user.clone();
    tags.insert(STACK.to_owned(), stack.to_owned());
    tags.insert(ADDRESS.to_owned(), address.to_string());
    tags.insert(SPEC.to_owned(), spec.to_owned());
    if !user.is_empty() {
        tags.insert(GIVEN.to_owned(), user.keys().map(|key| mark(key)).collect());
    }
    tags
}

fn mark(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()[..MARK_CHARACTERS].to_owned()
}

/// Keys of tags that a stack's file gave once and that `user` no longer has.
pub fn outlived<'a>(tags: &'a Tags, user: &'a Tags) -> impl Iterator<Item = (&'a String, &'a String)> {
    let given = tags.get(GIVEN).map(String::as_str).unwrap_or_default();
    let marks: Vec<&[u8]> = given.as_bytes().chunks(MARK_CHARACTERS).collect();
    let is_given = move |key: &str| marks.contains(&mark(key).as_bytes());
    // The name of an instance is ours, whoever else named it.
    let is_own = |key: &str| key == NAME || key.starts_with("cloudscale:");
    tags.iter().filter(move |(key, _)| !user.contains_key(*key) && !is_own(key) && is_given(key))
}

/// The address that they carry.
pub fn address(tags: &Tags) -> Option<Address> {
    tags.get(ADDRESS).map(Address::parse)
}

/// Whether they are those of something taken over that no `up` has changed since.
pub fn are_adopted(tags: &Tags) -> bool {
    tags.get(SPEC).is_some_and(|spec| spec == ADOPTED)
}

pub fn from_ec2(tags: &[aws_sdk_ec2::types::Tag]) -> Tags {
    tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned()))).collect()
}

pub fn to_ec2(tags: &Tags) -> Vec<aws_sdk_ec2::types::Tag> {
    tags.iter().map(|(key, value)| aws_sdk_ec2::types::Tag::builder().key(key).value(value).build()).collect()
}

/// For the creating call of EC2 operations.
pub fn specification(kind: aws_sdk_ec2::types::ResourceType, tags: &Tags) -> aws_sdk_ec2::types::TagSpecification {
    aws_sdk_ec2::types::TagSpecification::builder().resource_type(kind).set_tags(Some(to_ec2(tags))).build()
}

pub fn from_elb(tags: &[aws_sdk_elasticloadbalancingv2::types::Tag]) -> Tags {
    tags.iter()
        .map(|tag| (tag.key().unwrap_or_default().to_owned(), tag.value().unwrap_or_default().to_owned()))
        .collect()
}

pub fn to_elb(tags: &Tags) -> Vec<aws_sdk_elasticloadbalancingv2::types::Tag> {
    tags.iter()
        .filter_map(|(key, value)| {
            aws_sdk_elasticloadbalancingv2::types::Tag::builder().key(key).value(value).build().into()
        })
        .collect()
}

pub fn from_group(tags: &[aws_sdk_autoscaling::types::TagDescription]) -> Tags {
    tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned()))).collect()
}

/// A group hands its tags on to its instances.
pub fn to_group(group: &str, tags: &Tags) -> Vec<aws_sdk_autoscaling::types::Tag> {
    tags.iter()
        .map(|(key, value)| {
            aws_sdk_autoscaling::types::Tag::builder()
                .resource_id(group)
                .resource_type("auto-scaling-group")
                .key(key)
                .value(value)
                .propagate_at_launch(![BOUNDS, GIVEN].contains(&key.as_str()))
                .build()
        })
        .collect()
}

/// A resource that stands in the way and is not ours.
pub fn not_ours(kind: &str, name: &str) -> Problem {
    Problem::new(
        "A resource of this name belongs to someone else",
        format!("the {kind} {name} exists and carries no `{STACK}` tag of this stack: it is not touched"),
    )
    .hint(
        "rename the stack, or delete that resource if it is yours and nothing uses it; a group or target group of the stack's \
         own that has only lost its tags comes back by `cloudscale adopt`",
    )
}

/// Writes tags onto a resource of Elastic Load Balancing; `about` names it in a problem.
pub async fn write_elb(clients: &Clients, about: impl AsRef<str>, arn: &str, tags: &Tags) -> Result<(), Problem> {
    let call = clients.elb.add_tags().resource_arns(arn).set_tags(Some(to_elb(tags))).send().await;
    call.map(|_| ()).map_err(|error| error.problem("elasticloadbalancing:AddTags", about))
}

/// Writes tags onto an Auto Scaling group; `about` names it in a problem.
pub async fn write_group(clients: &Clients, about: impl AsRef<str>, name: &str, tags: &Tags) -> Result<(), Problem> {
    let call = clients.autoscaling.create_or_update_tags().set_tags(Some(to_group(name, tags))).send().await;
    call.map(|_| ()).map_err(|error| error.problem("autoscaling:CreateOrUpdateTags", about))
}

/// Takes tags off a resource of Elastic Load Balancing; `about` names it in a problem.
pub async fn drop_elb(clients: &Clients, about: impl AsRef<str>, arn: &str, keys: &[String]) -> Result<(), Problem> {
    let call = clients.elb.remove_tags().resource_arns(arn).set_tag_keys(Some(keys.to_vec())).send().await;
    call.map(|_| ()).map_err(|error| error.problem("elasticloadbalancing:RemoveTags", about))
}

/// Takes tags off an Auto Scaling group; `about` names it in a problem.
pub async fn drop_group(clients: &Clients, about: impl AsRef<str>, name: &str, keys: &[String]) -> Result<(), Problem> {
    let tag = |key: &String| {
        let tag = aws_sdk_autoscaling::types::Tag::builder().resource_id(name).resource_type("auto-scaling-group");
        tag.key(key).build()
    };
    let call = clients.autoscaling.delete_tags().set_tags(Some(keys.iter().map(tag).collect())).send().await;
    call.map(|_| ()).map_err(|error| error.problem("autoscaling:DeleteTags", about))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(keys: &[&str]) -> Tags {
        keys.iter().map(|key| ((*key).to_owned(), "value".to_owned())).collect()
    }

    #[test]
    fn a_tag_that_the_stack_gave_once_is_told_from_somebody_elses() {
        let address = Address::fixed("load_balancer");
        let mut live = of("web", &address, "spec", &tags(&["course", "team"]));
        live.extend(tags(&["backup", "Name"]));
        let outlived = |user: &[&str]| {
            let user = tags(user);
            outlived(&live, &user).map(|(key, _)| key.clone()).collect::<Vec<_>>()
        };
        assert_eq!(outlived(&["course", "team"]), Vec::<String>::new());
        assert_eq!(outlived(&["team", "other"]), ["course"]);
        assert_eq!(outlived(&[]), ["course", "team"]);
        assert!(!of("web", &address, "spec", &Tags::new()).contains_key(GIVEN), "nothing to note");
    }

    #[test]
    fn the_marks_of_as_many_tags_as_a_stack_may_have_fit_into_a_tag() {
        let many: Tags = (0..45).map(|number| (format!("key {number}"), String::new())).collect();
        let tags = of("web", &Address::fixed("load_balancer"), "spec", &many);
        assert_eq!(tags[GIVEN].len(), 225);
    }
}
