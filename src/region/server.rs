//! The region's endpoint: HTTP/1.1 in, one operation of the world, HTTP/1.1 out.
//!
//! Only this machine is listened to, and `callers` says who on it may call: it is asked once for each connection.

use std::error::Error as _;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderValue};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::callers::{self, Callers, OtherUser};
use super::driver::Region;
use super::ec2::processes::{self, Disturbance, Processes, console};
use super::faults::model::{Effect, Model};
use super::ids::Ids;
use super::log_limiter::LogLimiter;
use super::signal::{self, DISTURBED_TAG, Signal};
use super::wire::protocol::{self, Protocol};
use super::wire::{self, Answer, ApiError, Service, Value};
use super::world::World;
use crate::clock::{self, speed};

/// The largest body that is read, before and after decompression. AWS's own largest, PutMetricData's, is 1 MB.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// What clients may hold.
const LIMITS: Limits =
    Limits { connections: 1024, spare_connections: 16, head: Duration::from_secs(30), body: Duration::from_secs(30) };
/// Charts drawn at once: each takes a processor, and up to 50 MB.
static DRAWING: Semaphore = Semaphore::const_new(2);
/// How long one may take that has a spare connection.
const SPARE_HEAD_TIMEOUT: Duration = Duration::from_secs(2);

/// Said of each overload.
static ACCEPT_FAILED: LogLimiter = LogLimiter::new();
static REFUSED: LogLimiter = LogLimiter::new();

/// Bounds on what clients hold: connections, and the time that they may take for each request.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Connections served at once.
    connections: usize,
    /// Connections beyond those, which are only told how the region is: `local status` gets through whatever others do.
    /// More wait in the kernel's queue.
    spare_connections: usize,
    /// For a request's head.
    head: Duration,
    /// For a request's body.
    body: Duration,
}

/// What the endpoint serves.
pub struct Endpoint {
    pub region: Arc<Region>,
    pub callers: Arc<Callers>,
    /// The instances' processes; `None` where none can run.
    pub processes: Option<Arc<Processes>>,
    /// The region's folder, for the instances' consoles.
    pub home: PathBuf,
    /// What `GET /_cloudscale/health` answers, as JSON.
    pub health: serde_json::Value,
    /// What is to go wrong on purpose.
    pub faults: Option<Mutex<Model>>,
}

/// A connection is to be reset, as a fault wants it.
#[derive(Debug, thiserror::Error)]
#[error("reset by a fault")]
struct Reset;

/// Serves until `stop` is cancelled.
pub async fn serve(listener: TcpListener, endpoint: Arc<Endpoint>, stop: CancellationToken) {
    serve_within(LIMITS, listener, endpoint, stop).await;
}

async fn serve_within(limits: Limits, listener: TcpListener, endpoint: Arc<Endpoint>, stop: CancellationToken) {
    let places = Places {
        usual: Arc::new(Semaphore::new(limits.connections)),
        spare: Arc::new(Semaphore::new(limits.spare_connections)),
    };
    loop {
        let Some(place) = places.take().await else { return };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, or a client that left before it was accepted: the next may do better.
                    if let Some(unsaid) = ACCEPT_FAILED.due() {
                        tracing::warn!(%error, unsaid, "accept failed");
                    }
                    clock::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            },
            () = stop.cancelled() => return,
        };
        // What was free a while ago may not be the best place now that somebody came.
        let place = places.better_than(place);
        tokio::spawn(connection(limits, place, stream, Arc::clone(&endpoint), stop.clone()));
    }
}

/// Where a connection is counted, until it is dropped.
struct Place {
    _permit: OwnedSemaphorePermit,
    is_spare: bool,
}

struct Places {
    usual: Arc<Semaphore>,
    spare: Arc<Semaphore>,
}

impl Places {
    /// A usual place, else a spare one; waits while there is neither.
    async fn take(&self) -> Option<Place> {
        tokio::select! {
            biased;
            usual = Arc::clone(&self.usual).acquire_owned() => Some(Place { _permit: usual.ok()?, is_spare: false }),
            spare = Arc::clone(&self.spare).acquire_owned() => Some(Place { _permit: spare.ok()?, is_spare: true }),
        }
    }

    fn better_than(&self, place: Place) -> Place {
        match Arc::clone(&self.usual).try_acquire_owned() {
            Ok(usual) if place.is_spare => Place { _permit: usual, is_spare: false },
            _ => place,
        }
    }
}

async fn connection(limits: Limits, place: Place, stream: TcpStream, endpoint: Arc<Endpoint>, stop: CancellationToken) {
    let other_user = endpoint.callers.admit(&stream).err();
    let service = service_fn(|request| {
        let endpoint = Arc::clone(&endpoint);
        Box::pin(async move {
            if let Some(other_user) = other_user {
                Ok(endpoint.refuse(request, other_user))
            } else if place.is_spare {
                Ok(endpoint.respond_briefly(&request))
            } else {
                endpoint.respond(request, limits.body).await
            }
        })
    });
    let mut connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(if place.is_spare { SPARE_HEAD_TIMEOUT } else { limits.head })
        .keep_alive(!place.is_spare)
        .serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => Ok(()),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
        if error.source().is_some_and(|cause| cause.is::<Reset>()) {
            // Closed without lingering, the client gets RST; where that fails, it sees the end.
            let _ = connection.into_parts().io.into_inner().set_zero_linger();
        }
    }
}

impl Endpoint {
    /// Answers somebody who may not call, in the shape that their client can read.
    fn refuse(&self, request: Request<Incoming>, other_user: OtherUser) -> Response<Full<Bytes>> {
        let (head, _) = request.into_parts();
        let protocol = protocol::protocol(&head);
        let request_id = request_id();
        let mut response = http(protocol, None, &Err(other_user.error(protocol)), &request_id);
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }

    /// What needs no body: how the region is, what its groups told topics and queues; `None` for an AWS operation.
    fn respond_without_body(&self, request: &Request<Incoming>) -> Option<Response<Full<Bytes>>> {
        if let Err(reason) = callers::check_headers(request.headers()) {
            return Some(text(StatusCode::FORBIDDEN, reason));
        }
        (request.method() == Method::GET).then(|| match request.uri().path() {
            "/_cloudscale/health" | "/_localstack/health" => json(&self.health),
            "/_cloudscale/notifications" => json(&self.notifications()),
            _ => text(StatusCode::NOT_FOUND, "this is cloudscale's embedded region: an AWS endpoint"),
        })
    }

    /// What Auto Scaling would have sent to topics and queues, newest last.
    fn notifications(&self) -> serde_json::Value {
        self.region.read(|world| {
            let sent = world.services.autoscaling.sent.iter().map(|sent| {
                let message: serde_json::Value = serde_json::from_str(&sent.message).unwrap_or_default();
                serde_json::json!({"time": sent.time.to_string(), "target": sent.target, "message": message})
            });
            serde_json::Value::Array(sent.collect())
        })
    }

    /// Answers on a spare connection.
    fn respond_briefly(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        self.respond_without_body(request).unwrap_or_else(|| {
            if let Some(unsaid) = REFUSED.due() {
                tracing::warn!(unsaid, "an operation is refused: clients hold all connections of the endpoint");
            }
            let reason =
                "clients hold all connections of the embedded region's endpoint; try again when some are closed";
            text(StatusCode::SERVICE_UNAVAILABLE, reason)
        })
    }

    async fn respond(&self, request: Request<Incoming>, patience: Duration) -> Result<Response<Full<Bytes>>, Reset> {
        if let Some(response) = self.respond_without_body(&request) {
            return Ok(response);
        }
        if request.uri().path() == "/_cloudscale/disturb" {
            return Ok(self.disturb(request.uri().query().unwrap_or_default()).await);
        }
        let (head, body) = request.into_parts();
        let protocol = protocol::protocol(&head);
        let request_id = request_id();
        let Ok(body) = tokio::time::timeout(patience, body_of(&head, body)).await else {
            return Ok(text(StatusCode::REQUEST_TIMEOUT, "the request's body did not come in time"));
        };
        let request = body.and_then(|body| protocol::read(protocol, &head, &body));
        let admitted = protocol::region(&head).map_or(Ok(()), |name| self.region.admit(name));
        let answer = match (&request, admitted) {
            (Ok(request), Ok(())) => self.answer(request).await?,
            (Err(error), _) => Err(error.clone()),
            (_, Err(error)) => Err(error),
        };
        if let (Ok(request), Err(error)) = (&request, &answer) {
            tracing::debug!(operation = request.operation, code = error.code, message = error.message, "refused");
        }
        if !holds_chart(&answer) {
            return Ok(http(protocol, request.as_ref().ok(), &answer, &request_id));
        }
        // Not on a thread that also relays requests and checks health. The semaphore is never closed.
        let _turn = DRAWING.acquire().await;
        let draw = move || http(protocol, request.as_ref().ok(), &answer, &request_id);
        let drawn = tokio::task::spawn_blocking(draw).await;
        Ok(drawn.unwrap_or_else(|_| text(StatusCode::INTERNAL_SERVER_ERROR, "the chart cannot be drawn")))
    }
}

impl Endpoint {
    /// `instance=i-…&kind=hang&ms=5000`: what `cloudscale chaos` does to the processes of an instance.
    async fn disturb(&self, query: &str) -> Response<Full<Bytes>> {
        let value =
            |name: &str| form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value);
        let lasts = value("ms").and_then(|ms| ms.parse().ok()).map(Duration::from_millis);
        if let (Some("interrupt"), Some(instance), Some(lasts)) = (value("kind").as_deref(), value("instance"), lasts) {
            return self.interrupt(instance.into_owned(), speed::region(lasts));
        }
        let kind = value("kind").and_then(|kind| Disturbance::parse(&kind));
        let (Some(instance), Some(kind), Some(lasts)) = (value("instance"), kind, lasts) else {
            return text(StatusCode::BAD_REQUEST, "instance, kind or ms is missing or wrong");
        };
        match &self.processes {
            Some(processes) if processes.disturb(&instance, kind, lasts).await => {
                let lasts = speed::region(lasts).as_secs();
                let told = format!("{} {} {lasts}", kind.name(), clock::now());
                self.region.signal(signal::tag(&instance, DISTURBED_TAG, told));
                text(StatusCode::OK, "")
            }
            _ => text(StatusCode::NOT_FOUND, "no such instance runs"),
        }
    }

    /// A spot instance is taken away after so long.
    fn interrupt(&self, instance: String, after: Duration) -> Response<Full<Bytes>> {
        let is_interruptible = |world: &World| {
            world.services.ec2.instances.all.get(&instance).is_some_and(|instance| instance.is_interruptible())
        };
        if !self.region.read(is_interruptible) {
            return text(StatusCode::NOT_FOUND, "no such spot instance runs that is not interrupted already");
        }
        let after = jiff::SignedDuration::try_from(after).unwrap_or(jiff::SignedDuration::MAX);
        self.region.signal(Signal::InterruptSpot { instance, after });
        text(StatusCode::OK, "")
    }

    /// Calls the world as far as the faults let the call through.
    async fn answer(&self, request: &wire::Request) -> Result<Answer, Reset> {
        let Some(faults) = &self.faults else { return Ok(self.call(request)) };
        let faults = || -> MutexGuard<'_, Model> { faults.lock().unwrap_or_else(PoisonError::into_inner) };
        let zone_of = |subnet: &str| {
            let facts = self.region.read(|world| world.services.ec2.subnet_facts(subnet));
            facts.map(|subnet| subnet.zone)
        };
        let effect = faults().decide(clock::now(), request, zone_of);
        if effect != Effect::Serve {
            tracing::info!(operation = request.operation, ?effect, "fault");
        }
        match &effect {
            Effect::Refuse(error) => return Ok(Err(error.clone())),
            Effect::ResetBefore => return Err(Reset),
            Effect::NoAnswer => std::future::pending().await,
            _ => {}
        }
        let answer = self.call(request);
        let now = clock::now();
        faults().served(now, request, &answer);
        match effect {
            Effect::ResetAfter => Err(Reset),
            Effect::Slow(lateness) => {
                clock::sleep(lateness).await;
                Ok(answer)
            }
            Effect::Stale(age) => Ok(answer.map(|listing| faults().stale(now, request, listing, age))),
            _ => Ok(answer),
        }
    }

    fn call(&self, request: &wire::Request) -> Answer {
        let answer = self.region.call(request)?;
        if request.service != Service::Ec2 || request.operation != "GetConsoleOutput" {
            return Ok(answer);
        }
        // The world has said that the instance exists; what it printed is in a file.
        let instance = request.params.required("InstanceId")?;
        let output = console::tail(&processes::folder(&self.home, instance)).map_err(|error| ApiError {
            status: 500,
            ..ApiError::new("InternalError", format!("The console of {instance} cannot be read: {error}"))
        })?;
        Ok(answer.with("output", Value::Bytes(output)))
    }
}

fn holds_chart(answer: &Answer) -> bool {
    let is_chart = |(_, value): &(String, Value)| matches!(value, Value::Chart(_));
    matches!(answer, Ok(Value::Map(fields)) if fields.iter().any(is_chart))
}

fn http(
    protocol: Protocol,
    request: Option<&wire::Request>,
    answer: &Answer,
    request_id: &str,
) -> Response<Full<Bytes>> {
    let written = protocol::write(protocol, request, answer, request_id);
    let mut response = Response::new(Full::new(Bytes::from(written.body)));
    *response.status_mut() = StatusCode::from_u16(written.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(written.content_type));
    // Region time, like every other time of an answer.
    if let Ok(date) = HeaderValue::from_str(&rfc9110(clock::now())) {
        headers.insert(DATE, date);
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    if protocol == Protocol::Cbor {
        headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
    }
    if let (Err(error), Protocol::Cbor | Protocol::Json10) = (answer, protocol)
        && let Ok(value) = HeaderValue::from_str(&format!("{};{}", error.code, error.sender_or_receiver()))
    {
        headers.insert("x-amzn-query-error", value);
    }
    response
}

/// As every answer carries one. Not of the world's sequence: whoever only asks changes nothing.
fn request_id() -> String {
    Ids::with_seed(fastrand::u64(..)).uuid()
}

/// `Sun, 22 Nov 2026 01:17:37 GMT`
fn rfc9110(time: Timestamp) -> String {
    // Only a year of five digits has no such form.
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap_or_default()
}

/// The whole body, uncompressed.
async fn body_of(head: &Parts, body: Incoming) -> Result<Bytes, ApiError> {
    let too_large = || ApiError {
        status: 413,
        ..ApiError::new("RequestEntityTooLarge", format!("The request is larger than {BODY_BYTES_MAX} bytes."))
    };
    let bytes = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|_| too_large())?.to_bytes();
    match head.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => Ok(bytes),
        Some(b"gzip") => {
            let mut plain = Vec::new();
            let bound = BODY_BYTES_MAX as u64 + 1;
            flate2::read::GzDecoder::new(&bytes[..]).take(bound).read_to_end(&mut plain).map_err(|error| {
                ApiError::new("SerializationException", format!("The gzip body cannot be read: {error}"))
            })?;
            if plain.len() > BODY_BYTES_MAX { Err(too_large()) } else { Ok(plain.into()) }
        }
        Some(other) => Err(ApiError::new(
            "SerializationException",
            format!("The content encoding {} is not supported.", String::from_utf8_lossy(other)),
        )),
    }
}

fn text(status: StatusCode, reason: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(reason.as_bytes())));
    *response.status_mut() = status;
    response
}

fn json(value: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn endpoint() -> Arc<Endpoint> {
        let (region, _signals) = Region::new(World::new("us-east-1", 1));
        let health = serde_json::json!({"status": "running"});
        let (region, callers) = (Arc::new(region), Arc::new(Callers::All));
        Arc::new(Endpoint { region, callers, processes: None, home: PathBuf::new(), health, faults: None })
    }

    /// Sends one raw request to a fresh region; returns the raw response.
    async fn send(head: &str, body: &[u8]) -> String {
        let endpoint = endpoint();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, endpoint, stop.clone()));
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        // A server that refuses a large body may close before it was sent.
        let _ = stream.write_all(body).await;
        let mut response = Vec::new();
        let _ = stream.read_to_end(&mut response).await;
        stop.cancel();
        server.await.unwrap();
        String::from_utf8_lossy(&response).into_owned()
    }

    const IDENTITY: &[u8] = b"Action=GetCallerIdentity&Version=2011-06-15";

    #[tokio::test]
    async fn health_answers_without_a_signature() {
        let response = send("GET /_cloudscale/health HTTP/1.1\r\nHost: localhost\r\n", b"").await;
        assert!(response.starts_with("HTTP/1.1 200") && response.ends_with(r#"{"status":"running"}"#), "{response}");
    }

    #[tokio::test]
    async fn an_operation_is_answered_in_its_protocol() {
        let response = send("POST / HTTP/1.1\r\nHost: 127.0.0.1:4566\r\n", IDENTITY).await;
        assert!(response.contains("<GetCallerIdentityResult>"), "{response}");
        assert!(response.contains("<Account>000000000000</Account>"), "{response}");
    }

    #[tokio::test]
    async fn a_gzipped_body_is_unpacked() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(IDENTITY).unwrap();
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\n";
        assert!(send(head, &gzip.finish().unwrap()).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn a_body_beyond_the_bound_is_refused_packed_or_not() {
        let zeros = vec![b'0'; BODY_BYTES_MAX + 1];
        assert!(send("POST / HTTP/1.1\r\nHost: localhost\r\n", &zeros).await.starts_with("HTTP/1.1 413"));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&zeros).unwrap();
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\n";
        assert!(send(head, &gzip.finish().unwrap()).await.starts_with("HTTP/1.1 413"));
    }

    async fn rest(stream: &mut tokio::net::TcpStream) -> String {
        let mut response = Vec::new();
        let _ = stream.read_to_end(&mut response).await;
        String::from_utf8_lossy(&response).into_owned()
    }

    #[tokio::test]
    async fn unfinished_bodies_hold_neither_the_endpoint_for_ever_nor_the_status_at_all() {
        let limits = Limits { connections: 3, spare_connections: 1, head: LIMITS.head, body: Duration::from_secs(3) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve_within(limits, listener, endpoint(), stop.clone()));
        let connect = || async { tokio::net::TcpStream::connect(address).await.unwrap() };
        let mut unfinished = Vec::new();
        for _ in 0..3 {
            let mut stream = connect().await;
            stream.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nA").await.unwrap();
            unfinished.push(stream);
        }
        // One after the other on the one spare place, while the unfinished ones hold all the others.
        for (request, expected) in
            [("GET /_cloudscale/health", "200"), ("POST /", "503"), ("GET /_cloudscale/health", "200")]
        {
            let mut stream = connect().await;
            let request = format!("{request} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let response = tokio::time::timeout(Duration::from_secs(2), rest(&mut stream)).await.unwrap();
            assert!(response.starts_with(&format!("HTTP/1.1 {expected}")), "{request:?}: {response}");
        }
        for stream in &mut unfinished {
            let response = tokio::time::timeout(Duration::from_secs(10), rest(stream)).await.unwrap();
            assert!(response.starts_with("HTTP/1.1 408"), "{response}");
        }
        stop.cancel();
        server.await.unwrap();
    }

    #[tokio::test]
    async fn web_pages_and_foreign_hosts_are_refused() {
        let foreign = "POST / HTTP/1.1\r\nHost: rebound.example.com\r\n";
        assert!(send(foreign, IDENTITY).await.starts_with("HTTP/1.1 403"));
        let page = "POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n";
        assert!(send(page, IDENTITY).await.starts_with("HTTP/1.1 403"));
    }
}
