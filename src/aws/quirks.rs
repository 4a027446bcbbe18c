//! What endpoints that stand in for AWS do differently, so that it is known in one place and not where it is met.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;

use super::error::CallError;

const NOT_FOUND: u16 = 404;
const NOT_IMPLEMENTED: u16 = 501;
/// How endpoints answer operations that they do not have (AWS, "Common errors": `InvalidAction`).
const UNKNOWN_OPERATION: &[&str] = &["InvalidAction", "UnknownOperationException", "NotImplemented"];

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
