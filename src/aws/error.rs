//! From an SDK error to a [`Problem`]: which call on which resource, AWS's own code and words, and what to do.

use std::error::Error;
use std::fmt::Write;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::problem::Problem;

/// An error of the SDK's, whatever the operation.
pub trait CallError: Send {
    /// AWS's code, e.g. `InvalidGroup.Duplicate`; `None` where no answer came.
    fn code(&self) -> Option<&str>;
    /// The problem to show: `call` is `ec2:RunInstances`, `resource` is what it was about.
    fn problem(&self, call: &str, resource: &str) -> Problem;

    fn is(&self, codes: &[&str]) -> bool {
        self.code().is_some_and(|code| codes.contains(&code))
    }
}

impl<E> CallError for SdkError<E, HttpResponse>
where
    E: ProvideErrorMetadata + RequestId + Error + Send + Sync + 'static,
{
    fn code(&self) -> Option<&str> {
        self.as_service_error().and_then(ProvideErrorMetadata::code)
    }

    fn problem(&self, call: &str, resource: &str) -> Problem {
        match self {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let failure = answer.err();
                refused(&Refusal {
                    call,
                    resource,
                    status,
                    code: failure.code().unwrap_or("no code"),
                    message: failure.message().unwrap_or("no message"),
                    request_id: failure.request_id(),
                })
            }
            other => unreached(call, resource, &chain(other)),
        }
    }
}

/// An answer that says no.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'a> {
    pub call: &'a str,
    pub resource: &'a str,
    pub status: u16,
    pub code: &'a str,
    pub message: &'a str,
    pub request_id: Option<&'a str>,
}

/// AWS's codes by what a user can do about them: codes, summary, hint. The first row that fits wins; `*` ends a prefix.
const MEANINGS: &[(&[&str], &str, &str)] = &[
    (
        &["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"],
        "AWS credentials have expired",
        "renew them (`aws sso login`, or copy the laboratory's new session token) and run the command again: it continues",
    ),
    (
        &[
            "AuthFailure",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "SignatureDoesNotMatch",
            "InvalidAccessKeyId",
        ],
        "AWS does not accept the credentials",
        "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN or --profile; `aws sts get-caller-identity` tells who you are",
    ),
    (
        &["OptInRequired", "SubscriptionRequiredException", "InvalidRegion"],
        "The region is not open to this account",
        "enable the region in the account's settings, or choose another with --region; an embedded region is one region only",
    ),
    (
        &["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"],
        "AWS denies permission",
        "ask for the named permission, or use another --profile; student accounts often allow only some instance types and regions",
    ),
    (
        &["Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown"],
        "AWS throttles the account's calls",
        "wait a minute and run the command again: it continues where it stopped",
    ),
    (
        &["InvalidAMIID.*", "InvalidParameter.Ami", "ParameterNotFound"],
        "The image does not exist here",
        "images belong to one region: use an alias such as `image: amazon-linux-2023`, or an id of this region",
    ),
    (
        &["InsufficientInstanceCapacity", "InsufficientHostCapacity", "Unsupported"],
        "AWS has no such instance in the zone",
        "choose another instance type or region, or try later",
    ),
    (
        &[
            "*LimitExceeded",
            "InstanceLimitExceeded",
            "VcpuLimitExceeded",
            "LimitExceeded",
            "TooManyLoadBalancers",
            "TooManyTargetGroups",
            "TooManyRules",
            "TooManyListeners",
            "TooManyTargets",
            "MaxSpotInstanceCountExceeded",
            "ServiceQuotaExceededException",
        ],
        "A quota of the account is used up",
        "delete what is no longer used (`cloudscale ls` shows stacks), or ask for more in Service Quotas",
    ),
    (
        &[
            "InvalidAction",
            "UnknownOperationException",
            "NotImplemented",
            "InternalFailure",
            "InternalError",
            "501",
            "404",
        ],
        "The endpoint failed at the call",
        "endpoints that imitate AWS lack some operations; against AWS itself, try again",
    ),
];

/// The problem for an answer that says no.
pub fn refused(refusal: &Refusal<'_>) -> Problem {
    let Refusal { call, resource, status, code, message, request_id } = *refusal;
    let mut detail = format!("{call} for {resource}: {code}: {message} (HTTP {status}");
    if let Some(id) = request_id {
        let _ = write!(detail, ", request {id}");
    }
    detail.push(')');
    let meaning = MEANINGS.iter().find(|(codes, ..)| codes.iter().any(|pattern| matches(pattern, code)));
    match meaning {
        Some((_, summary, hint)) => Problem::new(summary, detail).hint(*hint),
        None => Problem::new("AWS refused a call", detail),
    }
}

fn matches(pattern: &str, code: &str) -> bool {
    match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(start), _) => code.starts_with(start),
        (_, Some(end)) => code.ends_with(end),
        _ => pattern == code,
    }
}

fn unreached(call: &str, resource: &str, cause: &str) -> Problem {
    if cause.contains("redentials") || cause.contains("identity") {
        return no_credentials(cause);
    }
    Problem::new("The endpoint does not answer", format!("{call} for {resource}: {cause}"))
        .hint("check the network, --region and AWS_ENDPOINT_URL; the embedded region says how it is with `cloudscale local status`")
}

/// No credentials to sign with.
pub fn no_credentials(cause: &str) -> Problem {
    Problem::new("No AWS credentials", cause).hint(
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or give --profile; `--provider local` needs none",
    )
}

/// The provider chain ended without credentials.
pub fn credentials(failure: &CredentialsError) -> Problem {
    let cause = chain(failure);
    if cause.to_ascii_lowercase().contains("expired") {
        let (_, summary, hint) = MEANINGS[0];
        return Problem::new(summary, cause).hint(hint);
    }
    no_credentials(&cause)
}

/// An error and everything under it, once each.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            let _ = write!(text, ": {words}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(code: &str) -> &'static str {
        refused(&Refusal {
            call: "ec2:RunInstances",
            resource: "cluster.light.instances",
            status: 400,
            code,
            message: "no",
            request_id: None,
        })
        .summary
    }

    #[test]
    fn codes_that_a_user_can_act_on_have_their_own_summary() {
        assert_eq!(summary("RequestExpired"), "AWS credentials have expired");
        assert_eq!(summary("UnauthorizedOperation"), "AWS denies permission");
        assert_eq!(summary("RequestLimitExceeded"), "AWS throttles the account's calls");
        assert_eq!(summary("InvalidAMIID.NotFound"), "The image does not exist here");
        assert_eq!(summary("VcpuLimitExceeded"), "A quota of the account is used up");
        assert_eq!(summary("DependencyViolation"), "AWS refused a call");
    }

    #[test]
    fn the_detail_names_call_resource_code_and_request() {
        let refusal = Refusal {
            call: "ec2:RunInstances",
            resource: "cluster.light.instances",
            status: 400,
            code: "InvalidParameterValue",
            message: "bad",
            request_id: Some("abc"),
        };
        assert_eq!(
            refused(&refusal).detail,
            "ec2:RunInstances for cluster.light.instances: InvalidParameterValue: bad (HTTP 400, request abc)"
        );
    }

    #[test]
    fn an_expired_token_of_the_provider_chain_is_told_apart_from_none() {
        assert_eq!(
            credentials(&CredentialsError::provider_error("ExpiredToken: the SSO session has expired")).summary,
            "AWS credentials have expired"
        );
        assert_eq!(credentials(&CredentialsError::not_loaded("no providers in chain")).summary, "No AWS credentials");
    }
}
