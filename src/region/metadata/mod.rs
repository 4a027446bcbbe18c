//! The instance metadata service: what a program on an instance may ask about its own machine.
//!
//! Each instance has its own, at its own address, and finds it through `AWS_EC2_METADATA_SERVICE_ENDPOINT`, which the
//! SDKs know too. It speaks IMDSv2: a `PUT` buys a token, every `GET` shows it.
//!
//! One path is our own: `PUT /_cloudscale/processor?busy_us=N` takes how long a modelled processor has been busy so far
//! (see [`Reported`]), and answers in how many milliseconds the next report
//! is wanted, and which share of the processor is allowed from now on.

mod tree;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::callers::{self, Callers};
use super::driver::Region;
use super::ec2::processes::cpu::Reported;
use super::signal::{PROCESSOR_TAG, tag};
use crate::clock::{self, speed};

/// AWS's bound on a token's life: six hours.
const TTL_SECONDS_MAX: u64 = 21_600;
/// Tokens that one instance may hold at once; the oldest make room.
const TOKENS_MAX: usize = 1000;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Where a modelled processor is reported.
pub const PROCESSOR: &str = "/_cloudscale/processor";
/// How often: several times in a minute of the region's time, of which each gets a measurement of its own.
const REPORT_EVERY: Duration = Duration::from_secs(5);
const REPORT_EVERY_MIN: Duration = Duration::from_millis(50);

/// One instance's service.
struct Metadata {
    region: Arc<Region>,
    instance: String,
    reported: Reported,
    /// Each token and when it expires.
    tokens: Mutex<BTreeMap<String, Instant>>,
}

/// Serves one instance until `stop`.
pub async fn serve(
    listener: TcpListener,
    (region, callers): (Arc<Region>, Arc<Callers>),
    instance: String,
    reported: Reported,
    stop: CancellationToken,
) {
    let metadata = Arc::new(Metadata { region, instance, reported, tokens: Mutex::default() });
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else {
            clock::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let metadata = Arc::clone(&metadata);
        let stop = stop.clone();
        let callers = Arc::clone(&callers);
        tokio::spawn(async move {
            let other_user = callers.admit(&stream).err();
            let service = service_fn(|request: Request<hyper::body::Incoming>| {
                let response = match other_user {
                    Some(other_user) => text(StatusCode::FORBIDDEN, other_user.message()),
                    None => metadata.respond(&request.into_parts().0),
                };
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = connection => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

impl Metadata {
    fn respond(&self, head: &Parts) -> Response<Full<Bytes>> {
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let facts = self.region.read(|world| world.services.ec2.metadata_facts(&self.instance));
        let Some(facts) = facts.filter(|facts| facts.enabled) else { return text(StatusCode::FORBIDDEN, "") };
        // A proxy in front of it is an attack (SSRF); a page of a browser is too, also by a foreign name (DNS
        // rebinding).
        if header("x-forwarded-for").is_some() || callers::check_headers(&head.headers).is_err() {
            return text(StatusCode::FORBIDDEN, "");
        }
        if head.method == Method::PUT && head.uri.path() == "/latest/api/token" {
            return self.token(header("x-aws-ec2-metadata-token-ttl-seconds"));
        }
        let is_report = head.method == Method::PUT && head.uri.path() == PROCESSOR;
        if head.method != Method::GET && !is_report {
            return text(StatusCode::METHOD_NOT_ALLOWED, "");
        }
        let admitted = match header("x-aws-ec2-metadata-token") {
            Some(token) => self.is_valid(token),
            None => !facts.tokens_required,
        };
        if !admitted {
            return text(StatusCode::UNAUTHORIZED, "");
        }
        if is_report {
            return self.processor(head.uri.query().unwrap_or_default());
        }
        match tree::answer(&facts, head.uri.path(), clock::now()) {
            Some(body) => text(StatusCode::OK, body),
            None => text(StatusCode::NOT_FOUND, ""),
        }
    }

    fn processor(&self, query: &str) -> Response<Full<Bytes>> {
        let busy = query.strip_prefix("busy_us=").and_then(|busy| busy.parse().ok());
        let Some(busy) = busy else { return text(StatusCode::BAD_REQUEST, "") };
        if !self.reported.is_some() {
            self.region.signal(tag(&self.instance, PROCESSOR_TAG, "modelled".to_owned()));
        }
        self.reported.set(clock::instant(), Duration::from_micros(busy));
        let pause = speed::wall(REPORT_EVERY).max(REPORT_EVERY_MIN).as_millis();
        text(StatusCode::OK, format!("{pause} {}", self.reported.allowed()))
    }

    fn token(&self, ttl_seconds: Option<&str>) -> Response<Full<Bytes>> {
        let ttl = ttl_seconds.and_then(|ttl| ttl.parse().ok()).filter(|ttl| (1..=TTL_SECONDS_MAX).contains(ttl));
        let Some(ttl) = ttl else { return text(StatusCode::BAD_REQUEST, "") };
        let token: String = std::iter::repeat_with(fastrand::alphanumeric).take(56).collect();
        let now = clock::instant();
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, expires| *expires > now);
        if tokens.len() >= TOKENS_MAX
            && let Some(oldest) = tokens.iter().min_by_key(|(_, expires)| **expires).map(|(token, _)| token.clone())
        {
            tokens.remove(&oldest);
        }
        tokens.insert(token.clone(), now + Duration::from_secs(ttl));
        let mut response = text(StatusCode::OK, token);
        response.headers_mut().insert("x-aws-ec2-metadata-token-ttl-seconds", ttl.into());
        response
    }

    fn is_valid(&self, token: &str) -> bool {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(token).is_some_and(|expires| *expires > clock::instant())
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("text/plain"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::wire::{Params, Service, Value, query};
    use crate::region::world::World;

    /// The service of an instance with those metadata options.
    fn service(options: &str) -> Metadata {
        let form = format!("ImageId=ami-0a1b2c3d4e5f60001&InstanceType=t2.large&MinCount=1&MaxCount=1&{options}");
        let request = crate::region::wire::Request {
            service: Service::Ec2,
            operation: "RunInstances".to_owned(),
            params: query::parse(form.as_bytes()).unwrap(),
        };
        let (region, _signals) = Region::new(World::new("us-east-1", 1));
        let Ok(Value::Map(fields)) = region.call(&request) else { panic!("the launch is refused") };
        let instance = Params(fields).maps("instancesSet")[0].text("instanceId").unwrap().to_owned();
        Metadata { region: Arc::new(region), instance, reported: Reported::default(), tokens: Mutex::default() }
    }

    fn status(service: &Metadata, method: Method, path: &str, header: (&str, &str)) -> u16 {
        let request = Request::builder().method(method).uri(path).header("host", "127.31.0.4:80");
        let request = request.header(header.0, header.1).body(()).unwrap();
        service.respond(&request.into_parts().0).status().as_u16()
    }

    const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
    const TOKEN: &str = "x-aws-ec2-metadata-token";

    #[test]
    fn a_token_opens_what_is_closed_without_one() {
        let service = service("");
        let path = "/latest/meta-data/instance-id";
        assert_eq!(status(&service, Method::GET, path, ("a", "b")), 401);
        assert_eq!(status(&service, Method::GET, path, (TOKEN, "guessed")), 401);
        assert_eq!(status(&service, Method::PUT, "/latest/api/token", (TTL, "60")), 200);
        let token = service.tokens.lock().unwrap().keys().next().unwrap().clone();
        assert_eq!(status(&service, Method::GET, path, (TOKEN, &token)), 200);
        assert_eq!(status(&service, Method::GET, "/latest/meta-data/nothing", (TOKEN, &token)), 404);
    }

    #[test]
    fn a_token_has_a_life_of_up_to_six_hours() {
        let service = service("");
        for (ttl, expected) in [("21600", 200), ("21601", 400), ("0", 400), ("soon", 400)] {
            assert_eq!(status(&service, Method::PUT, "/latest/api/token", (TTL, ttl)), expected, "{ttl}");
        }
        assert_eq!(status(&service, Method::PUT, "/latest/api/token", ("a", "b")), 400);
    }

    #[test]
    fn a_modelled_processor_is_reported_with_a_token() {
        let service = service("");
        let path = "/_cloudscale/processor?busy_us=1500";
        assert_eq!(status(&service, Method::PUT, path, ("a", "b")), 401);
        status(&service, Method::PUT, "/latest/api/token", (TTL, "60"));
        let token = service.tokens.lock().unwrap().keys().next().unwrap().clone();
        assert_eq!(status(&service, Method::PUT, path, (TOKEN, &token)), 200);
        let nonsense = "/_cloudscale/processor?busy_us=-1";
        assert_eq!(status(&service, Method::PUT, nonsense, (TOKEN, &token)), 400);
        assert_eq!(status(&service, Method::PUT, "/latest/meta-data/instance-id", (TOKEN, &token)), 405);
    }

    #[test]
    fn options_of_the_instance_decide() {
        let path = "/latest/meta-data/instance-id";
        let optional = service("MetadataOptions.HttpTokens=optional");
        assert_eq!(status(&optional, Method::GET, path, ("a", "b")), 200);
        assert_eq!(status(&optional, Method::GET, path, ("x-forwarded-for", "1.2.3.4")), 403);
        let disabled = service("MetadataOptions.HttpEndpoint=disabled");
        assert_eq!(status(&disabled, Method::PUT, "/latest/api/token", (TTL, "60")), 403);
    }
}
