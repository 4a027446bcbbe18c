//! From an SDK error to a [`Problem`]: which call on which resource, AWS's own code and words, and what to do.

use std::error::Error;
use std::fmt::Write;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use jiff::{SignedDuration, SpanRound, Timestamp, Unit};

use super::server_time;
use crate::clock;
use crate::problem::Problem;

/// An error of the SDK's, whatever the operation.
pub trait CallError: Send {
    /// AWS's code, e.g. `InvalidGroup.Duplicate`; `None` where no answer came.
    fn code(&self) -> Option<&str>;
    /// The problem to show: `call` is `ec2:RunInstances`, `resource` is what it was about.
    fn problem(&self, call: &str, resource: impl AsRef<str>) -> Problem;

    /// AWS's own words; `None` where no answer came.
    fn message(&self) -> Option<&str>;

    /// Whether AWS says in words that it does not know what the call names, where its code does not report.
    fn says_unknown(&self) -> bool {
        let says = |words: &&str| self.message().is_some_and(|message| message.contains(*words));
        self.is(&["ValidationError"]) && UNKNOWN_WORDS.iter().any(says)
    }

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

    fn message(&self) -> Option<&str> {
        self.as_service_error().and_then(ProvideErrorMetadata::message)
    }

    fn problem(&self, call: &str, resource: impl AsRef<str>) -> Problem {
        let resource = resource.as_ref();
        match self {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let failure = answer.err();
                let Some(code) = failure.code() else { return not_aws(call, resource, status) };
                let server = answer.raw().headers().get("date").and_then(server_time::parse);
                if let Some(problem) = server.and_then(|server| wrong_clock(call, code, server, clock::now())) {
                    return problem;
                }
                refused(&Refusal {
                    call,
                    resource,
                    status,
                    code,
                    message: failure.message().unwrap_or("no message"),
                    request_id: failure.request_id(),
                })
            }
            other => unreached(call, resource, &chain(other)),
        }
    }
}

/// EC2 Auto Scaling has one code for all that is invalid, and says what in words.
const UNKNOWN_WORDS: &[&str] = &["does not exist", "not found", "may not be valid", "does not route traffic"];

/// The end of a call that may find its work done: a refusal with one of `codes` counts as success. What is gone already
/// need not be deleted, and what is there need not be made.
///
/// # Errors
/// Any other refusal.
pub fn settled<T, E: CallError>(answer: Result<T, E>, codes: &[&str]) -> Result<(), E> {
    match answer {
        Err(error) if !error.is(codes) => Err(error),
        _ => Ok(()),
    }
}

const UNKNOWN: &str = "AWS does not know a resource";
const UNKNOWN_HINT: &str =
    "what is new is not known everywhere at once: run the command again, it continues where it stopped";

/// The problem of a call that names what AWS does not know, whatever the code says.
pub fn unknown(problem: Problem) -> Problem {
    Problem { summary: UNKNOWN, ..problem }.hint(UNKNOWN_HINT)
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
        "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN or --profile; `aws sts get-caller-identity` shows who you are",
    ),
    (
        &["RequestTimeTooSkewed", "RequestInTheFuture"],
        CLOCK_IS_WRONG,
        "set the time (`timedatectl set-ntp true`) and run the command again: AWS refuses signatures that are minutes off",
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
        "each call was tried several times; wait a minute and run the command again: it continues where it stopped",
    ),
    (
        &["InvalidAMIID.*", "InvalidParameter.Ami", "ParameterNotFound"],
        "The image does not exist here",
        "images belong to one region: use an alias such as `image: amazon-linux-2023`, or an id of this region",
    ),
    (
        &["CertificateNotFound"],
        "The certificate does not exist here",
        "certificates belong to one account and region: `aws acm list-certificates` lists them",
    ),
    (
        &["InvalidKeyPair.NotFound"],
        "The key pair does not exist here",
        "key pairs belong to one region: `aws ec2 describe-key-pairs` lists them; `ssh: {key: …}` takes such a name",
    ),
    (
        &["InsufficientInstanceCapacity", "InsufficientHostCapacity", "Unsupported"],
        "AWS has no such instance in the zone",
        "choose another instance type or region, or try later",
    ),
    (
        &["DependencyViolation", "ResourceInUse", "*.InUse", "ScalingActivityInProgress"],
        "Resource still in use",
        "draining takes minutes: run the command again, it continues; if it stays, something outside the stack uses it",
    ),
    (&["*.NotFound", "*NotFound"], UNKNOWN, UNKNOWN_HINT),
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
            "ServiceUnavailable",
            "Unavailable",
            "501",
            "404",
        ],
        "The endpoint failed at the call",
        "endpoints that imitate AWS lack some operations; against AWS itself, run the command again: it continues where it stopped",
    ),
];

/// Codes of a signature whose time does not fit; all but the last two have other reasons, too.
const OF_TIME: &[&str] = &[
    "RequestExpired",
    "AuthFailure",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestTimeTooSkewed",
    "RequestInTheFuture",
];
/// Signatures are good for five minutes (IAM User Guide, "Create a signed AWS API request"). Less is nobody's reason.
const SKEW_MIN: SignedDuration = SignedDuration::from_mins(4);

/// The problem where a signature was refused and this machine's clock is not the endpoint's: `server` is its `Date`.
fn wrong_clock(call: &str, code: &str, server: Timestamp, now: Timestamp) -> Option<Problem> {
    let off = now.duration_since(server);
    if !OF_TIME.contains(&code) || off.abs() < SKEW_MIN {
        return None;
    }
    let way = if off.is_negative() { "behind" } else { "ahead of" };
    let rounding = SpanRound::new().smallest(Unit::Second).largest(Unit::Day).days_are_24_hours();
    let far = jiff::Span::try_from(off.abs()).and_then(|span| span.round(rounding));
    let far = far.map_or_else(|_| format!("{}s", off.abs().as_secs()), |span| format!("{span:#}"));
    let (here, there) = (now.round(Unit::Second).unwrap_or(now), server);
    let detail =
        format!("{call}: {code}; this machine's clock is {far} {way} the endpoint's: {here} here, {there} there");
    let hint = "set the time (`timedatectl set-ntp true`) and run the command again: it continues; the credentials may be good";
    Some(Problem::new(CLOCK_IS_WRONG, detail).hint(hint))
}

const CLOCK_IS_WRONG: &str = "The clock of this machine is wrong";

/// The problem for an answer that says no.
pub fn refused(refusal: &Refusal<'_>) -> Problem {
    let Refusal { call, resource, status, code, message, request_id } = *refusal;
    // Hundreds of characters that only `sts:DecodeAuthorizationMessage` can read.
    let message = message.split(" Encoded authorization failure message").next().unwrap_or(message);
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

/// An answer without AWS's error in it.
fn not_aws(call: &str, resource: &str, status: u16) -> Problem {
    Problem::new(
        "The endpoint did not return an AWS response",
        format!("{call} for {resource}: HTTP {status} without an AWS error code"),
    )
    .hint("check AWS_ENDPOINT_URL, and whether a proxy or a login page of the network stands between")
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
    let hint = match cause.contains("SSO") {
        true => "run `aws sso login` (with the same --profile) and the command again",
        false => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or give --profile; `--provider local` needs none"
        }
    };
    Problem::new("No AWS credentials", cause).hint(hint)
}

/// The provider chain ended without credentials; `profile` is what the command line or the environment names, and
/// `missing` a variable that the environment lacks beside one that it has.
pub fn credentials(failure: &CredentialsError, profile: Option<&str>, missing: Option<&str>) -> Problem {
    let cause = chain(failure);
    if cause.to_ascii_lowercase().contains("expired") {
        let (_, summary, hint) = MEANINGS[0];
        return Problem::new(summary, cause).hint(hint);
    }
    if let Some(missing) = missing {
        return no_credentials(&format!("the environment has one half of a key, but no {missing}"));
    }
    // The chain was tried to its end: what it says of each provider is of no use to anybody.
    if ["found in chain", "IMDS"].iter().any(|end| cause.contains(end)) {
        let profile = profile.unwrap_or("default");
        return no_credentials(&format!(
            "there are none in the environment, in the profile `{profile}` of ~/.aws, or in a role of this machine"
        ));
    }
    no_credentials(&match profile {
        Some(profile) if cause.contains("not enabled") => {
            format!("~/.aws has no profile `{profile}`, or the profile has no credentials")
        }
        Some(profile) => format!("profile `{profile}`: {cause}"),
        None => cause,
    })
}

/// Layers of the SDK's errors that say nothing by themselves.
const EMPTY_WORDS: &[&str] = &[
    "dispatch failure",
    "io error",
    "other",
    "client error (Connect)",
    "an error occurred while loading credentials",
    "the credentials provider was not properly configured",
];

/// An error and everything under it that says something, once each.
fn chain(error: &dyn Error) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let words = error.to_string();
        // The SDK shows the whole request where it cannot use an endpoint.
        let words = words.split(" to request `Request {").next().unwrap_or_default();
        if !EMPTY_WORDS.contains(&words) && !text.contains(words) {
            let _ = write!(text, "{}{words}", if text.is_empty() { "" } else { ": " });
        }
        next = error.source();
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
        assert_eq!(summary("DependencyViolation"), "Resource still in use");
        assert_eq!(summary("InvalidGroup.InUse"), "Resource still in use");
        assert_eq!(summary("InvalidGroup.NotFound"), "AWS does not know a resource");
        assert_eq!(summary("Unavailable"), "The endpoint failed at the call");
        assert_eq!(summary("InvalidParameterCombination"), "AWS refused a call");
    }

    #[test]
    fn a_clock_that_is_off_is_named_with_how_far_and_not_the_credentials() {
        let time = |text: &str| format!("2026-11-22T{text}Z").parse::<Timestamp>().unwrap();
        let told = |code: &str, here: &str| wrong_clock("ec2:RunInstances", code, time("10:00:00"), time(here));
        for code in ["RequestExpired", "AuthFailure", "SignatureDoesNotMatch"] {
            let behind = told(code, "07:58:30").unwrap();
            assert_eq!(behind.summary, CLOCK_IS_WRONG);
            assert_eq!(
                behind.detail,
                format!(
                    "ec2:RunInstances: {code}; this machine's clock is 2h 1m 30s behind the endpoint's: 2026-11-22T07:58:30Z \
                     here, 2026-11-22T10:00:00Z there"
                )
            );
            assert!(told(code, "10:06:00").unwrap().detail.contains("is 6m ahead of the endpoint's"));
        }
        // A clock that is right leaves the other reasons; so does a code that has nothing to do with time.
        assert_eq!(told("RequestExpired", "10:03:59"), None);
        assert!(told("RequestExpired", "10:04:00").is_some());
        assert_eq!(told("AuthFailure", "09:56:01"), None);
        assert_eq!(told("UnauthorizedOperation", "07:00:00"), None);
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
            credentials(&CredentialsError::provider_error("ExpiredToken: the SSO session has expired"), None, None)
                .summary,
            "AWS credentials have expired"
        );
    }

    #[test]
    fn missing_credentials_are_told_in_a_sentence() {
        let none = CredentialsError::not_loaded("no credentials found in chain. Attempted:\n  Environment: ...");
        assert_eq!(
            credentials(&none, None, None).detail,
            "there are none in the environment, in the profile `default` of ~/.aws, or in a role of this machine"
        );
        assert_eq!(
            credentials(&none, None, Some("AWS_SECRET_ACCESS_KEY")).detail,
            "the environment has one half of a key, but no AWS_SECRET_ACCESS_KEY"
        );
        let sso = credentials(&CredentialsError::provider_error("no cached SSO token"), Some("school"), None);
        assert_eq!(sso.detail, "profile `school`: no cached SSO token");
        assert!(sso.hint.is_some_and(|hint| hint.contains("aws sso login")));
    }

    #[test]
    fn a_code_that_nobody_can_decode_is_left_out() {
        let message = "You may not. Encoded authorization failure message: c2VjcmV0";
        let refusal = Refusal {
            call: "ec2:RunInstances",
            resource: "cluster.light.instances",
            status: 403,
            code: "UnauthorizedOperation",
            message,
            request_id: None,
        };
        assert_eq!(
            refused(&refusal).detail,
            "ec2:RunInstances for cluster.light.instances: UnauthorizedOperation: You may not. (HTTP 403)"
        );
    }
}
