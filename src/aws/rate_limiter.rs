//! Holds a service's calls back where AWS would throttle them: a wrapper around the HTTP client.
//!
//! The SDK's interceptors cannot wait, its connectors can. Only AWS's own endpoints are called with restraint: whoever
//! sets `AWS_ENDPOINT_URL`, and the embedded region, may be called as fast as they answer.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use super::rates::{Call, Rate, TokenBuckets};
use crate::clock;

/// The domains of AWS's partitions.
const AWS_DOMAINS: &[&str] = &[".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn"];

/// An HTTP client that keeps a service's rates.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    client: SharedHttpClient,
    buckets: Arc<Mutex<TokenBuckets>>,
}

impl RateLimiter {
    pub fn new(client: SharedHttpClient, rates: &'static [Rate]) -> Self {
        Self { client, buckets: Arc::new(Mutex::new(TokenBuckets::new(rates))) }
    }
}

impl HttpClient for RateLimiter {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let connector = self.client.http_connector(settings, components);
        SharedHttpConnector::new(RateLimitedConnector { connector, buckets: Arc::clone(&self.buckets) })
    }
}

#[derive(Debug)]
struct RateLimitedConnector {
    connector: SharedHttpConnector,
    buckets: Arc<Mutex<TokenBuckets>>,
}

impl HttpConnector for RateLimitedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if !is_aws(request.uri()) {
            return self.connector.call(request);
        }
        let call = call(request.uri(), request.body().bytes().unwrap_or_default());
        let (connector, buckets) = (self.connector.clone(), Arc::clone(&self.buckets));
        HttpConnectorFuture::new(async move {
            loop {
                let admitted = buckets.lock().unwrap_or_else(PoisonError::into_inner).admit(clock::instant(), &call);
                let Err(wait) = admitted else { break };
                tracing::debug!(operation = call.operation, ?wait, "held back");
                clock::sleep(wait).await;
            }
            connector.call(request).await
        })
    }
}

/// Whether a URI names an endpoint of AWS's.
fn is_aws(uri: &str) -> bool {
    let authority = uri.split_once("://").map_or(uri, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let host = authority.split(':').next().unwrap_or_default();
    AWS_DOMAINS.iter().any(|domain| host.ends_with(domain))
}

/// The operation of a request: Query names it in the body, RPC in the path.
fn call(uri: &str, body: &[u8]) -> Call {
    let mut call = Call { operation: String::new(), instances: 0 };
    for (name, value) in form_urlencoded::parse(body) {
        match &*name {
            "Action" => call.operation = value.into_owned(),
            "MaxCount" => call.instances = value.parse().unwrap_or_default(),
            name if name.starts_with("InstanceId.") => call.instances += 1,
            _ => {}
        }
    }
    if let Some((_, operation)) = uri.rsplit_once("/operation/") {
        operation.clone_into(&mut call.operation);
    }
    call
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_awss_own_endpoints_are_called_with_restraint() {
        assert!(is_aws("https://ec2.us-east-1.amazonaws.com/"));
        assert!(is_aws("https://ec2.cn-north-1.amazonaws.com.cn/"));
        assert!(is_aws("https://monitoring.us-east-1.api.aws/service/x"));
        for other in ["http://127.0.0.1:4566/", "https://amazonaws.com.example.org/", "http://localhost/.amazonaws.com"]
        {
            assert!(!is_aws(other), "{other}");
        }
    }

    #[test]
    fn a_request_tells_its_operation_and_its_instances() {
        let named = |operation: &str, instances| Call { operation: operation.into(), instances };
        let uri = "https://ec2.us-east-1.amazonaws.com/";
        assert_eq!(
            call(uri, b"Action=RunInstances&Version=2016-11-15&MaxCount=3&MinCount=3"),
            named("RunInstances", 3)
        );
        assert_eq!(call(uri, b"Action=TerminateInstances&InstanceId.1=i-1&InstanceId.2=i-2").instances, 2);
        let rpc = "https://monitoring.us-east-1.amazonaws.com/service/Granite/operation/PutMetricAlarm";
        assert_eq!(call(rpc, &[0xa0]), named("PutMetricAlarm", 0));
    }
}
