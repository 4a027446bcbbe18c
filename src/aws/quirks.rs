//! What endpoints that stand in for AWS do differently, so that it is known in one place and not where it is met.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;

use super::error::CallError;

const NOT_FOUND: u16 = 404;

/// Whether the endpoint does not speak CloudWatch's protocol: it has no page at the operation's path (moto).
pub fn has_no_cloudwatch<E>(error: &SdkError<E, HttpResponse>) -> bool
where
    SdkError<E, HttpResponse>: CallError,
{
    error.code().is_none() && error.raw_response().is_some_and(|answer| answer.status().as_u16() == NOT_FOUND)
}
