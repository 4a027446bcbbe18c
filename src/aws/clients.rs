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
use super::error;
use crate::problem::Problem;
use crate::stack::model::Provider;

/// Attempts of one call, the first included. The SDK waits between them with jitter and obeys its retry quota.
const ATTEMPTS_MAX: u32 = 4;
const BACKOFF_INITIAL: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(8);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// Slow answers of the real services (RunInstances, large listings) stay under this.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// A call with all its attempts: who waits for an endpoint that takes connections and never answers wants to know.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(60);
/// One is of no use without the other.
const KEY_HALVES: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
/// The embedded region takes any credentials; these make the signatures well-formed.
const LOCAL_ACCESS_KEY: &str = "cloudscale";

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
}

impl Clients {
    /// The embedded region at `endpoint`.
    pub fn local(endpoint: &str, region: &str) -> Self {
        let credentials = Credentials::new(LOCAL_ACCESS_KEY, LOCAL_ACCESS_KEY, None, None, "local");
        // Not through aws-config: the user's environment and profile are for AWS, nothing of them reaches the region.
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .endpoint_url(endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .retry_config(retries())
            .timeout_config(timeouts())
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
            .retry_config(retries())
            .timeout_config(timeouts())
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
        Self {
            provider,
            region: region.to_owned(),
            ec2: aws_sdk_ec2::Client::from_conf(
                aws_sdk_ec2::config::Builder::from(config).interceptor(calls.clone()).build(),
            ),
            elb: aws_sdk_elasticloadbalancingv2::Client::from_conf(
                aws_sdk_elasticloadbalancingv2::config::Builder::from(config).interceptor(calls.clone()).build(),
            ),
            autoscaling: aws_sdk_autoscaling::Client::from_conf(
                aws_sdk_autoscaling::config::Builder::from(config).interceptor(calls.clone()).build(),
            ),
            cloudwatch: aws_sdk_cloudwatch::Client::from_conf(
                aws_sdk_cloudwatch::config::Builder::from(config).interceptor(calls.clone()).build(),
            ),
            ssm: aws_sdk_ssm::Client::from_conf(
                aws_sdk_ssm::config::Builder::from(config).interceptor(calls.clone()).build(),
            ),
            sts: aws_sdk_sts::Client::from_conf(
                aws_sdk_sts::config::Builder::from(config).interceptor(calls.clone()).build(),
            ),
            calls,
        }
    }
}

fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(ATTEMPTS_MAX)
        .with_initial_backoff(BACKOFF_INITIAL)
        .with_max_backoff(BACKOFF_MAX)
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}
