//! The tags that make the cloud the state: whose a resource is, which address it has, which spec it was made from.

use std::collections::BTreeMap;

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
/// Of the embedded region, on its instances: how their processor is known, and what was done to them on purpose.
pub const PROCESSOR: &str = "aws:cloudscale:processor";
pub const DISTURBED: &str = "aws:cloudscale:disturbed";

pub type Tags = BTreeMap<String, String>;

/// The tags of a resource.
pub fn of(stack: &str, address: &Address, spec: &str, user: &Tags) -> Tags {
    let mut tags = user.clone();
    tags.insert(STACK.to_owned(), stack.to_owned());
    tags.insert(ADDRESS.to_owned(), address.to_string());
    tags.insert(SPEC.to_owned(), spec.to_owned());
    tags
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
                .propagate_at_launch(key != BOUNDS)
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
