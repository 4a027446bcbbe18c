//! What endpoints that stand in for AWS do differently, so that it is known in one place and not where it is met.
//!
//! Where a quirk only shapes what is done anyway, the place says so: the VPC of a load balancer (`resources/load_balancer.rs`),
//! instances that keep a group alive (`resources/scaling_group/departure.rs`), rules that change places
//! (`resources/rule_order.rs`), zones without a type (`resources/network.rs`).

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;

use super::clients::Clients;
use super::error::{CallError, settled};
use crate::problem::Problem;

const NOT_FOUND: u16 = 404;
const NOT_IMPLEMENTED: u16 = 501;
/// How endpoints answer operations that they do not have (AWS, "Common errors": `InvalidAction`).
const UNKNOWN_OPERATION: &[&str] = &["InvalidAction", "UnknownOperationException", "NotImplemented"];

/// A field of groups that moto takes and does not report.
pub const UNREPORTED_OF_GROUPS: &str = "warmup_s";
/// A field of scaling policies that moto has no notion of.
pub const UNREPORTED_OF_POLICIES: &str = "enabled";

/// A launch template that is not there, by id: AWS's code, moto's and MiniStack's.
pub const TEMPLATE_GONE: &[&str] = &[
    "InvalidLaunchTemplateId.NotFound",
    "InvalidLaunchTemplateName.NotFoundException",
    "InvalidLaunchTemplateId.NotFoundException",
];

/// Whether the endpoint does not have the service or the operation: it says so, or has no page at the operation's path
/// (moto, where it does not speak CloudWatch's protocol).
pub fn lacks<E>(error: &SdkError<E, HttpResponse>) -> bool
where
    SdkError<E, HttpResponse>: CallError,
{
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    match error.code() {
        None => status == Some(NOT_FOUND) || status == Some(NOT_IMPLEMENTED),
        Some(_) => status == Some(NOT_IMPLEMENTED) || error.is(UNKNOWN_OPERATION),
    }
}

/// Whether the endpoint has no instance refreshes: it says so, or fails without any code (moto).
pub fn lacks_refreshes<E>(error: &SdkError<E, HttpResponse>) -> bool
where
    SdkError<E, HttpResponse>: CallError,
{
    error.is(UNKNOWN_OPERATION) || error.code().is_none() && error.raw_response().is_some()
}

/// Whether a listing may have been cut: moto answers with one full page, and has no second.
pub fn may_be_cut(listed: usize, page: usize) -> bool {
    listed == page
}

/// Of what was listed, what was asked for by id: MiniStack knows no filter of that name, and answers with all there is.
pub fn asked_for<T>(listed: impl Iterator<Item = (String, T)>, ids: &[String]) -> impl Iterator<Item = (String, T)> {
    listed.filter(move |(id, _)| ids.contains(id))
}

/// The ARN of a policy that was put, for endpoints that leave it out of their answer.
///
/// # Errors
/// When the call fails; `about` names the policy.
pub async fn policy_arn(
    clients: &Clients,
    (group, name): (&str, &str),
    about: impl AsRef<str>,
) -> Result<String, Problem> {
    let call = clients.autoscaling.describe_policies().auto_scaling_group_name(group).policy_names(name).send();
    let answer = call.await.map_err(|error| error.problem("autoscaling:DescribePolicies", about))?;
    Ok(answer.scaling_policies().first().and_then(|policy| policy.policy_arn()).unwrap_or_default().to_owned())
}

/// Takes a subnet from its route table before it is deleted: AWS does so by itself; moto keeps the association, and with it
/// the route table.
///
/// # Errors
/// When the call fails; `about` names the subnet.
pub async fn disassociate(clients: &Clients, association: &str, about: impl AsRef<str>) -> Result<(), Problem> {
    let call = clients.ec2.disassociate_route_table().association_id(association).send().await;
    settled(call, &["InvalidAssociationID.NotFound"])
        .map_err(|error| error.problem("ec2:DisassociateRouteTable", about))
}
