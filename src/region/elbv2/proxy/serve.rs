//! One listener: its connections, and for each request the way from the client to an answer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Uri, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::super::actions::{Action, Forward};
use super::super::conditions::Asked;
use super::super::routing::Settings;
use super::answers::{self, Origin};
use super::cookies;
use super::headers::{self, ClientFields};
use super::relay::{Body, Relay};
use super::table::{Front, Table, tag, target_tag};
use super::upstream::{ClientBody, Failure, InFlight};
use crate::clock;

/// Clients' connections of one listener; further ones are closed at once and counted as rejected.
const CONNECTIONS_MAX: usize = 10_000;
/// The largest head of a request.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The longest request line.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// Rules that AWS evaluates for nothing; `RuleEvaluations` counts those beyond.
const FREE_RULES: usize = 10;

/// A listener that is served.
#[derive(Debug)]
pub struct Listening {
    table: RwLock<Arc<Table>>,
    connections: Arc<Semaphore>,
    /// Cancelled when the listener is removed: open connections end after the answer that they wait for.
    pub stop: CancellationToken,
}

impl Listening {
    pub fn new(table: Arc<Table>, stop: CancellationToken) -> Self {
        Self { table: RwLock::new(table), connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)), stop }
    }

    pub fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a new table in place; returns the one before.
    pub fn replace(&self, table: Arc<Table>) -> Arc<Table> {
        std::mem::replace(&mut self.table.write().unwrap_or_else(PoisonError::into_inner), table)
    }

    /// Accepts connections until the listener is removed.
    pub async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, peer)) => self.connected(stream, peer),
                Err(error) => {
                    // Out of descriptors, or a client that left before it was accepted: the next may do better.
                    tracing::warn!(%error, "a listener could not accept a connection");
                    clock::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    fn connected(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let table = self.table();
        match Arc::clone(&self.connections).try_acquire_owned() {
            Ok(permit) => {
                let _ = stream.set_nodelay(true);
                tokio::spawn(Arc::clone(self).connection(stream, peer, table, permit));
            }
            Err(_) => {
                table.front.meter.rejected_connections.fetch_add(1, Relaxed);
            }
        }
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        table: Arc<Table>,
        permit: OwnedSemaphorePermit,
    ) {
        let _permit = permit;
        let _open = Open::count(&table.front);
        let settings = Arc::clone(&table.routes.settings);
        let client =
            Arc::new(Client { listening: Arc::clone(&self), peer, fields: ClientFields::new(peer, &settings) });
        let front = Arc::clone(&table.front);
        drop(table);
        let service = service_fn(|request| {
            let client = Arc::clone(&client);
            async move { Ok::<_, Infallible>(client.respond(request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(settings.idle_timeout)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            if error.is_parse() {
                // hyper has answered 400 or 431 already.
                front.meter.refused(400);
            }
            tracing::debug!(%error, "a client's connection ended");
        }
    }
}

/// Counts a connection while it is open.
struct Open(Arc<Front>);

impl Open {
    fn count(front: &Arc<Front>) -> Self {
        front.meter.new_connections.fetch_add(1, Relaxed);
        front.meter.active_connections.fetch_add(1, Relaxed);
        Self(Arc::clone(front))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.meter.active_connections.fetch_sub(1, Relaxed);
    }
}

/// Counts a request whose client left before its answer as 460.
struct Unanswered(Option<Arc<Front>>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(front) = self.0.take() {
            front.meter.refused(460);
        }
    }
}

/// A client's connection.
struct Client {
    listening: Arc<Listening>,
    peer: SocketAddr,
    fields: ClientFields,
}

/// What the rules make of a request.
enum Decision {
    Answer(Response<Body>),
    Forward { in_flight: InFlight, cookies: Vec<HeaderValue> },
}

impl Client {
    async fn respond(&self, mut request: Request<Incoming>) -> Response<Body> {
        let table = self.listening.table();
        let front = Arc::clone(&table.front);
        let received = (request.uri().path().len() + headers::size(request.headers())) as u64;
        front.meter.processed_bytes.fetch_add(received, Relaxed);
        let decision = match check(&mut request) {
            Err(status) => {
                // What follows on the connection may not be what the client thinks.
                let mut answer = refuse(&front, status);
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                Decision::Answer(answer)
            }
            Ok(()) => self.decide(&table, &request),
        };
        let settings = Arc::clone(&table.routes.settings);
        // The table is let go here, so that the proxy knows when no request can pick from an old one any more.
        drop(table);
        match decision {
            Decision::Answer(answer) => answer,
            Decision::Forward { in_flight, cookies } => {
                let mut unanswered = Unanswered(Some(Arc::clone(&front)));
                let answer = self.forward(request, &front, in_flight, &settings).await;
                unanswered.0 = None;
                let mut answer = answer.unwrap_or_else(|status| refuse(&front, status));
                for cookie in cookies {
                    answer.headers_mut().append(header::SET_COOKIE, cookie);
                }
                answer
            }
        }
    }

    fn decide(&self, table: &Table, request: &Request<Incoming>) -> Decision {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let asked = Asked {
            method: request.method().as_str(),
            path: request.uri().path(),
            query: request.uri().query(),
            host: headers::host_name(host),
            headers: request.headers(),
            peer: headers::plain(self.peer.ip()),
        };
        let meter = &table.front.meter;
        let (action, looked_at) = table.routes.action(&asked);
        if let Some(charged) = looked_at.checked_sub(FREE_RULES).filter(|charged| *charged > 0) {
            meter.rule_evaluations.fetch_add(charged as u64, Relaxed);
        }
        match action {
            Action::FixedResponse(fixed) => {
                meter.fixed_responses.fetch_add(1, Relaxed);
                Decision::Answer(answers::fixed(fixed))
            }
            Action::Redirect(redirect) => {
                meter.redirects.fetch_add(1, Relaxed);
                let (path, query) = (asked.path, asked.query.unwrap_or_default());
                let origin = Origin { host: asked.host, port: table.routes.settings.port, path, query };
                Decision::Answer(answers::redirect(redirect, origin))
            }
            Action::Forward(forward) => choose(table, forward, request),
        }
    }

    /// Sends the request to its target and passes the response on.
    ///
    /// # Errors
    /// The status that the load balancer answers by itself.
    async fn forward(
        &self,
        request: Request<Incoming>,
        front: &Arc<Front>,
        in_flight: InFlight,
        settings: &Settings,
    ) -> Result<Response<Body>, u16> {
        let target = &in_flight.0;
        let (mut parts, body) = request.into_parts();
        if settings.drop_invalid_headers {
            headers::drop_invalid(&mut parts.headers);
        }
        headers::remove_hop_by_hop(&mut parts.headers);
        parts.headers.remove(header::EXPECT);
        headers::forward(&mut parts.headers, &self.fields, settings, clock::now())?;
        parts.version = Version::HTTP_11;
        let body = if body.is_end_stream() {
            ClientBody::Empty
        } else {
            ClientBody::Stream { inner: body, target: Arc::clone(target), front: Arc::clone(front) }
        };
        target.meter.requests.fetch_add(1, Relaxed);
        target.meter.bytes_in.fetch_add((parts.uri.path().len() + headers::size(&parts.headers)) as u64, Relaxed);

        let sent = clock::instant();
        let answered = target.send(Request::from_parts(parts, body), settings.idle_timeout).await;
        let (response, connection) = answered.map_err(|failure| match failure {
            Failure::Connect | Failure::Broken => 502_u16,
            Failure::Timeout => 504,
        })?;
        target.meter.answered(response.status().as_u16(), sent.elapsed());
        let (mut parts, inner) = response.into_parts();
        if parts.status.is_informational() {
            return Err(502);
        }
        let bytes = headers::size(&parts.headers) as u64;
        target.meter.bytes_out.fetch_add(bytes, Relaxed);
        front.meter.processed_bytes.fetch_add(bytes, Relaxed);
        let closes =
            parts.headers.get(header::CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        headers::remove_hop_by_hop(&mut parts.headers);
        parts.version = Version::HTTP_11;
        let relay = Relay {
            inner,
            connection: Some(connection).filter(|_| !closes),
            front: Arc::clone(front),
            patience: settings.idle_timeout,
            silence: None,
            in_flight,
        };
        Ok(Response::from_parts(parts, Body::relayed(relay)))
    }
}

/// Picks the target group and the target.
fn choose(table: &Table, forward: &Forward, request: &Request<Incoming>) -> Decision {
    let met = |name: &str| cookies::read(request.headers(), name);
    let met_group = forward.stickiness.and_then(|_| met(cookies::TARGET_GROUP));
    let group = table.group(forward, met_group);
    let picked = group.and_then(|group| {
        let met_target = group.routes.stickiness.and_then(|_| met(cookies::TARGET));
        group.pick(met_target).map(|target| (group, InFlight::new(Arc::clone(target))))
    });
    let Some((group, in_flight)) = picked else {
        return Decision::Answer(refuse(&table.front, 503));
    };
    if group.routes.fails_open {
        table.front.meter.fail_open_requests.fetch_add(1, Relaxed);
    }
    let mut cookies = Vec::new();
    if let Some(seconds) = forward.stickiness {
        let stay = Duration::from_secs(seconds.into());
        cookies.extend(cookies::set(cookies::TARGET_GROUP, &tag(&group.routes.arn), clock::now(), stay));
    }
    if let Some(stay) = group.routes.stickiness {
        cookies.extend(cookies::set(cookies::TARGET, &target_tag(&in_flight.0), clock::now(), stay));
    }
    Decision::Forward { in_flight, cookies }
}

/// Refuses what no target may see: requests that two servers could read differently, and TRACE. Brings the request's
/// target into the form that targets expect.
fn check(request: &mut Request<Incoming>) -> Result<(), u16> {
    if matches!(*request.method(), Method::TRACE | Method::CONNECT) {
        return Err(405);
    }
    if request.uri().path_and_query().is_some_and(|line| line.as_str().len() > LINE_BYTES_MAX) {
        return Err(414);
    }
    let headers = request.headers();
    // Beside Transfer-Encoding, hyper drops Content-Length and closes the connection after the answer: what AWS's mode
    // "defensive" does with such a request.
    let mut encodings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if !encodings.all(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(501);
    }
    let hosts = headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() >= Version::HTTP_11) {
        return Err(400);
    }
    // The absolute form: its authority is the host, whatever the header says (RFC 9112 §3.2.2).
    if let Some(authority) = request.uri().authority() {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| 400_u16)?;
        let line = request.uri().path_and_query().map_or("/", |line| line.as_str());
        let origin_form: Uri = line.parse().map_err(|_| 400_u16)?;
        request.headers_mut().insert(header::HOST, host);
        *request.uri_mut() = origin_form;
    }
    Ok(())
}

/// The load balancer's own answer where something is wrong.
fn refuse(front: &Front, status: u16) -> Response<Body> {
    front.meter.refused(status);
    answers::error(status)
}
