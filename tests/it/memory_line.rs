//! The AWS SDK's line to a region in the same process: no socket, and everything that can happen to a call on its way.
//!
//! A knife ends the client at its k-th write call: from then on nothing goes through. Faults strike at random, by a seed.

use std::path::PathBuf;
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
use cloudscale::region::faults::model::{Effect, Model};
use cloudscale::region::faults::rules::{self, Fault, Operations, Rule, When};
use cloudscale::region::wire::{Answer, Request, protocol};
use cloudscale::stack::model::Provider;
use tokio::sync::Notify;

use super::moto::REGION;
use super::tap::{Side, is_read};

/// How often faults strike, in percent of all calls, and the seed that decides which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    pub percent: u8,
    pub seed: u64,
    /// What is new is unknown for a while, and missing in listings.
    pub late: bool,
}

const LATENESS: Duration = Duration::from_secs(2);

impl Faults {
    /// The region's own faults, all of them that a line without sockets can have.
    fn model(self) -> Model {
        let chances = [Fault::Throttle, Fault::Http500, Fault::ResetBefore, Fault::ResetAfter, Fault::InUse];
        let chances: Vec<_> = chances.into_iter().chain([Fault::NoCapacity(Vec::new())]).collect();
        let each = f64::from(self.percent) / 100.0 / chances.len() as f64;
        let rule = |fault, when| Rule { fault, operations: Operations::matching([]), when };
        let late = [Fault::UnknownId(LATENESS), Fault::StaleList(LATENESS)].into_iter().filter(|_| self.late);
        let rules = chances.into_iter().map(|fault| rule(fault, When::Chance(each)));
        let rules = rules.chain(late.map(|fault| rule(fault, When::Always))).collect();
        Model::new(rules::Faults { file: PathBuf::new(), seed: self.seed, rules })
    }
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
    knife: Option<(u8, Side)>,
    faults: Option<Model>,
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
        let state = State { knife: fate.knife, faults: fate.faults.map(Faults::model), writes: 0, dead: false };
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
        let mut state = self.state.lock().expect("no holder panics");
        if state.dead {
            return Passed::Never;
        }
        let side = state.falls(&request.operation);
        if side == Some(Side::Before) {
            self.cut.notify_one();
            return Passed::Never;
        }
        let passed = self.meet(request, state.faults.as_mut());
        if side == Some(Side::After) {
            self.cut.notify_one();
            return Passed::Never;
        }
        passed
    }

    fn meet(&self, request: &Request, faults: Option<&mut Model>) -> Passed {
        let Some(faults) = faults else { return Passed::Answer(self.region.call(request)) };
        let now = clock::now();
        let zone_of =
            |subnet: &str| self.region.read(|world| world.services.ec2.subnet_facts(subnet)).map(|subnet| subnet.zone);
        let effect = faults.decide(now, request, zone_of);
        tracing::debug!(?effect, "{}", request.operation);
        match effect {
            Effect::Refuse(error) => return Passed::Answer(Err(error)),
            Effect::ResetBefore => return Passed::Broken,
            _ => {}
        }
        let answer = self.region.call(request);
        faults.served(now, request, &answer);
        match effect {
            Effect::ResetAfter => Passed::Broken,
            Effect::Stale(age) => Passed::Answer(answer.map(|listing| faults.stale(now, request, listing, age))),
            _ => Passed::Answer(answer),
        }
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
        let (at, side) = self.knife?;
        if is_read(operation) {
            return None;
        }
        self.writes += 1;
        self.dead = self.writes > at;
        self.dead.then_some(side)
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
