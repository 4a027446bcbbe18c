//! The AWS SDK's line to a region in the same process: no socket, and everything that can happen to a call on its way.
//!
//! A knife ends the client at its k-th write call: from then on nothing goes through. Faults strike at random, by a seed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region as RegionName, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::config::{AsyncSleep, Sleep};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use cloudscale::aws::clients::Clients;
use cloudscale::clock;
use cloudscale::region::driver::Region;
use cloudscale::region::wire::{Answer, ApiError, Request, Service, protocol};
use cloudscale::stack::model::Provider;
use tokio::sync::Notify;

use super::moto::REGION;
use super::tap::{Side, is_read};

/// What may go wrong with a call.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Throttled,
    Internal,
    /// The connection breaks before the region has heard of the call.
    Unheard,
    /// The connection breaks when the region has acted.
    Unanswered,
    NoCapacity,
}

/// How often faults strike, in percent of all calls, and the seed that decides which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    pub percent: u8,
    pub seed: u64,
}

/// What happens to the calls of one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// The number of the write call at which the client ends, from 0.
    pub knife: Option<(u8, Side)>,
    pub faults: Option<Faults>,
}

#[derive(Debug)]
struct State {
    fate: Fate,
    random: fastrand::Rng,
    writes: u8,
    dead: bool,
}

/// A client's line.
#[derive(Clone, Debug)]
pub struct Line {
    region: Arc<Region>,
    state: Arc<Mutex<State>>,
    cut: Arc<Notify>,
}

impl Line {
    pub fn to(region: &Arc<Region>, fate: Fate) -> Self {
        let random = fastrand::Rng::with_seed(fate.faults.map_or(0, |faults| faults.seed));
        let state = State { fate, random, writes: 0, dead: false };
        Self { region: Arc::clone(region), state: Arc::new(Mutex::new(state)), cut: Arc::default() }
    }

    /// The SDK's clients on this line.
    pub fn clients(&self) -> Clients {
        let line = self.clone();
        let credentials = Credentials::new("memory", "memory", None, None, "memory");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(RegionName::new(REGION))
            .endpoint_url("http://localhost")
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(line.clone())))
            .retry_config(RetryConfig::standard().with_max_attempts(4))
            .sleep_impl(ByOurClock)
            .build();
        Clients::new(Provider::Aws, REGION, &config)
    }

    /// Until the knife falls.
    pub async fn cut(&self) {
        self.cut.notified().await;
    }

    /// What becomes of a call; the region may or may not hear of it.
    fn pass(&self, request: &Request) -> Passed {
        let (side, fault) = {
            let mut state = self.state.lock().expect("no holder panics");
            if state.dead {
                return Passed::Never;
            }
            let side = state.falls(&request.operation);
            let fault = state.strikes(request);
            tracing::debug!(?side, ?fault, "{}", request.operation);
            (side, fault)
        };
        if side == Some(Side::Before) {
            self.cut.notify_one();
            return Passed::Never;
        }
        let refuse = |status, code: &str| {
            Passed::Answer(Err(ApiError { status, ..ApiError::new(code, "The line has its faults.") }))
        };
        let passed = match fault {
            Some(Fault::Throttled) if request.service == Service::Ec2 => refuse(503, "RequestLimitExceeded"),
            Some(Fault::Throttled) => refuse(400, "Throttling"),
            Some(Fault::Internal) => refuse(500, "InternalError"),
            Some(Fault::NoCapacity) => refuse(500, "InsufficientInstanceCapacity"),
            Some(Fault::Unheard) => Passed::Broken,
            Some(Fault::Unanswered) => {
                let _unanswered = self.region.call(request);
                Passed::Broken
            }
            None => Passed::Answer(self.region.call(request)),
        };
        if side == Some(Side::After) {
            self.cut.notify_one();
            return Passed::Never;
        }
        passed
    }
}

enum Passed {
    Answer(Answer),
    Broken,
    Never,
}

impl State {
    /// Whether the knife falls at this call.
    fn falls(&mut self, operation: &str) -> Option<Side> {
        let (at, side) = self.fate.knife?;
        if is_read(operation) {
            return None;
        }
        self.writes += 1;
        self.dead = self.writes > at;
        self.dead.then_some(side)
    }

    fn strikes(&mut self, request: &Request) -> Option<Fault> {
        let faults = self.fate.faults?;
        if self.random.u8(..100) >= faults.percent {
            return None;
        }
        let mut kinds = vec![Fault::Throttled, Fault::Internal, Fault::Unheard, Fault::Unanswered];
        if request.operation == "RunInstances" {
            kinds.push(Fault::NoCapacity);
        }
        self.random.choice(kinds)
    }
}

impl HttpConnector for Line {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let line = self.clone();
        HttpConnectorFuture::new(async move {
            let head = hyper::Request::builder().method(request.method()).uri(request.uri());
            let head = request.headers().iter().fold(head, |head, (name, value)| head.header(name, value));
            let (head, ()) = head.body(()).expect("the SDK writes good requests").into_parts();
            let body = request.body().bytes().expect("the SDK has the whole body");
            let protocol = protocol::protocol(&head);
            let request = protocol::read(protocol, &head, body).expect("the SDK writes good requests");
            // Others have their turn, as they would while a call is on its way.
            tokio::task::yield_now().await;
            match line.pass(&request) {
                Passed::Answer(answer) => {
                    let written = protocol::write(protocol, Some(&request), &answer, "00000000");
                    let status = written.status.try_into().expect("a status");
                    let mut response = HttpResponse::new(status, SdkBody::from(written.body));
                    response.headers_mut().insert("content-type", written.content_type);
                    if protocol == protocol::Protocol::Cbor {
                        response.headers_mut().insert("smithy-protocol", "rpc-v2-cbor");
                    }
                    Ok(response)
                }
                Passed::Broken => Err(ConnectorError::io("the line broke".into())),
                Passed::Never => std::future::pending().await,
            }
        })
    }
}

/// The SDK waits by the clock that everybody else here goes by.
#[derive(Debug)]
struct ByOurClock;

impl AsyncSleep for ByOurClock {
    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(clock::sleep(duration))
    }
}
