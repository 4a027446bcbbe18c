//! The one place that builds SDK clients.
//!
//! Provider `aws` takes profile, region, environment, SSO and `AWS_ENDPOINT_URL(_SERVICE)` as every AWS tool does. Provider
//! `local` is the same clients with the embedded region's endpoint and fixed credentials: nothing else differs.

use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use super::calls::Calls;
use super::rate_limiter::RateLimiter;
use super::retry_classifier::RetryClassifier;
use super::{error, rates};
use crate::problem::Problem;
use crate::stack::model::Provider;

const BACKOFF_INITIAL: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(8);
/// AWS is eventually consistent and promises no time; its listings are usually right within a second or two.
const LISTING_LAG_AWS: Duration = Duration::from_secs(10);
/// One is of no use without the other.
const KEY_HALVES: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
/// The embedded region takes any credentials; these make the signatures well-formed.
const LOCAL_ACCESS_KEY: &str = "cloudscale";

/// How long calls may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connect: Duration,
    /// Slow answers of the real services (RunInstances, large listings) stay under this.
    pub attempt: Duration,
    /// A call with all its attempts: who waits for an endpoint that takes connections and never answers wants to know.
    pub operation: Duration,
    /// Attempts of one call, the first included. The SDK waits between them with jitter, and obeys its retry quota.
    pub attempts: u32,
}

impl Default for Limits {
    fn default() -> Self {
        let (connect, attempt, operation) = (4, 30, 60);
        let [connect, attempt, operation] = [connect, attempt, operation].map(Duration::from_secs);
        // A call that is throttled once in five fails so once in 400,000; eight take ten seconds, twenty at most.
        Self { connect, attempt, operation, attempts: 8 }
    }
}

/// A client for every service, over one connection pool.
#[derive(Clone, Debug)]
pub struct Clients {
    pub provider: Provider,
    pub region: String,
    pub ec2: aws_sdk_ec2::Client,
    pub elb: aws_sdk_elasticloadbalancingv2::Client,
    pub autoscaling: aws_sdk_autoscaling::Client,
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    pub ssm: aws_sdk_ssm::Client,
    pub sts: aws_sdk_sts::Client,
    /// What was sent so far.
    pub calls: Calls,
    /// How long a listing may miss what was just made.
    pub listing_lag: Duration,
    /// How long instances of the embedded region boot, beyond what this machine takes; in the region's time.
    pub boot: Duration,
}

impl Clients {
    /// The embedded region at `endpoint`.
    pub fn local(endpoint: &str, region: &str) -> Self {
        Self::local_within(endpoint, region, Limits::default())
    }

    /// As [`local`](Self::local), with other limits than AWS needs.
    pub fn local_within(endpoint: &str, region: &str, limits: Limits) -> Self {
        let credentials = Credentials::new(LOCAL_ACCESS_KEY, LOCAL_ACCESS_KEY, None, None, "local");
        // Not through aws-config: the user's environment and profile are for AWS, nothing of them reaches the region.
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .endpoint_url(endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .retry_config(retries(limits))
            .timeout_config(timeouts(limits))
            .build();
        Self::new(Provider::Local, region, &config)
    }

    /// AWS, or whatever `AWS_ENDPOINT_URL` names.
    ///
    /// # Errors
    /// Where no credentials can be found.
    pub async fn aws(profile: Option<&str>, region: &str) -> Result<Self, Problem> {
        let tls = tls::Provider::Rustls(CryptoMode::Ring);
        let http = aws_smithy_http_client::Builder::new().tls_provider(tls).build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.clone())
            .retry_config(retries(Limits::default()))
            .timeout_config(timeouts(Limits::default()))
            .region(Region::new(region.to_owned()));
        if let Some(profile) = profile {
            // Who names a profile means it: keys in the environment may be another account's.
            let place = ProviderConfig::without_region().with_region(Some(Region::new(region.to_owned())));
            let place = place.with_http_client(http);
            let named = ProfileFileCredentialsProvider::builder().configure(&place).profile_name(profile).build();
            loader = loader.profile_name(profile).credentials_provider(named);
        }
        let config = loader.load().await;
        let provider = config.credentials_provider().ok_or_else(|| error::no_credentials("none are configured"))?;
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let missing = match KEY_HALVES.map(|name| (name, variable(name).is_some())) {
            [(_, true), (missing, false)] | [(missing, false), (_, true)] if profile.is_none() => Some(missing),
            _ => None,
        };
        let profile = profile.map(str::to_owned).or_else(|| variable("AWS_PROFILE"));
        let provided = provider.provide_credentials().await;
        provided.map_err(|failure| error::credentials(&failure, profile.as_deref(), missing))?;
        Ok(Self::new(Provider::Aws, region, &config))
    }

    /// A client for every service with the same configuration.
    pub fn new(provider: Provider, region: &str, config: &SdkConfig) -> Self {
        let calls = Calls::default();
        let http = config.http_client().expect("both ways here set one");
        // The SDK crates share no type for what is the same in all of them.
        macro_rules! client {
            ($sdk:ident, $rates:expr) => {{
                let builder = $sdk::config::Builder::from(config).http_client(RateLimiter::new(http.clone(), $rates));
                $sdk::Client::from_conf(builder.interceptor(calls.clone()).retry_classifier(RetryClassifier).build())
            }};
        }
        Self {
            provider,
            region: region.to_owned(),
            ec2: client!(aws_sdk_ec2, rates::EC2),
            elb: client!(aws_sdk_elasticloadbalancingv2, rates::ELB),
            autoscaling: client!(aws_sdk_autoscaling, rates::AUTOSCALING),
            cloudwatch: client!(aws_sdk_cloudwatch, rates::CLOUDWATCH),
            ssm: client!(aws_sdk_ssm, rates::NONE),
            sts: client!(aws_sdk_sts, rates::NONE),
            calls,
            listing_lag: listing_lag(provider, config),
            boot: Duration::ZERO,
        }
    }
}

/// Endpoints that imitate AWS list at once.
fn listing_lag(provider: Provider, config: &SdkConfig) -> Duration {
    let is_redirected = |(name, _): (std::ffi::OsString, _)| name.to_string_lossy().starts_with("AWS_ENDPOINT_URL_");
    let is_aws = provider == Provider::Aws && config.endpoint_url().is_none();
    if is_aws && !std::env::vars_os().any(is_redirected) { LISTING_LAG_AWS } else { Duration::ZERO }
}

fn retries(limits: Limits) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(limits.attempts)
        .with_initial_backoff(BACKOFF_INITIAL)
        .with_max_backoff(BACKOFF_MAX)
}

fn timeouts(limits: Limits) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(limits.connect)
        .operation_attempt_timeout(limits.attempt)
        .operation_timeout(limits.operation)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::error::CallError as _;

    #[tokio::test]
    async fn an_endpoint_that_takes_connections_and_never_answers_is_given_up() {
        let black_hole = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let endpoint = format!("http://{}", black_hole.local_addr().expect("bound"));
        let second = Duration::from_secs(1);
        let limits = Limits { connect: second, attempt: second / 10, operation: second / 2, attempts: 8 };
        let clients = Clients::local_within(&endpoint, "us-east-1", limits);
        let error = clients.ec2.describe_vpcs().send().await.expect_err("nobody answers");
        let problem = error.problem("ec2:DescribeVpcs", "network");
        assert_eq!(problem.summary, "The endpoint does not answer");
        assert!(problem.detail.starts_with("ec2:DescribeVpcs for network: "), "{}", problem.detail);
        assert!(clients.calls.reads() > 1, "it was asked more than once");
    }

    #[tokio::test]
    async fn a_port_that_nobody_listens_on_is_asked_once() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
        let clients = Clients::local(&format!("http://{closed}"), "us-east-1");
        clients.ec2.describe_vpcs().send().await.expect_err("nobody is there");
        assert_eq!(clients.calls.reads(), 1);
    }
}
