//! Answers a browser on this machine: the page, its live data, and what its buttons ask for.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::gate::{Asked, Endpoint, Refused, admit};
use crate::clock;
use crate::engine::Engine;
use crate::observe::act::{self, Action};
use crate::observe::follow::Seen;
use crate::observe::model::View;
use crate::observe::prometheus;
use crate::platform::system;
use crate::problem::Problem;
use crate::region::callers::Callers;
use crate::resource::status::ClusterKind;
use crate::ui::printable::printable;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const CHART: &str = include_str!("page/chart.js");
const SCRIPT: &str = include_str!("page/page.js");
/// Nothing from anywhere else, nothing written into the page, and the page in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TOKEN_BYTES: usize = 16;
/// A browser has six; this is some windows of some browsers.
const CONNECTIONS_MAX: usize = 64;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const BODY_BYTES_MAX: usize = 4 * 1024;
/// A stream on which nothing comes is distinguished from one that is dead.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What is served, not served yet.
pub struct Dashboard {
    listener: TcpListener,
    address: SocketAddr,
    token: String,
}

/// What was seen last: as a server-sent event, and as it is.
struct Shown {
    event: Bytes,
    view: Option<View>,
}

/// What every request needs.
pub struct Served {
    address: SocketAddr,
    token: String,
    engine: Engine,
    shown: watch::Receiver<Arc<Shown>>,
    /// Whose processes may do what needs the token: it is in the browser's history, and on its command line.
    callers: Callers,
}

impl Dashboard {
    /// Listens on this machine alone; on any port where none is named.
    ///
    /// # Errors
    /// A port that is taken; a system without random numbers.
    pub async fn open(port: Option<u16>) -> Result<Self, Problem> {
        let failed = |error: std::io::Error| {
            let port = port.map_or_else(|| "any port".to_owned(), |port| format!("port {port}"));
            Problem::new("The dashboard cannot be served", format!("127.0.0.1, {port}: {error}"))
                .hint("name another with --port, or leave it out")
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0))).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let random = system::random::<TOKEN_BYTES>().map_err(failed)?;
        let token = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { listener, address, token })
    }

    /// Whoever has it may act on the stack.
    pub fn url(&self) -> String {
        format!("http://{}/{}/", self.address, self.token)
    }

    pub fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }

    /// Serves until it is cancelled, or nothing is looked at any more.
    pub async fn serve(self, engine: Engine, mut looks: mpsc::Receiver<Seen>, cancel: CancellationToken) {
        let nothing = Shown { event: Bytes::from_static(b": looking\n\n"), view: None };
        let (tell, shown) = watch::channel(Arc::new(nothing));
        let served = Arc::new(Served {
            address: self.address,
            token: self.token,
            engine,
            shown,
            callers: Callers::own_user().0,
        });
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                seen = looks.recv() => match seen {
                    Some(seen) => {
                        let before = tell.borrow().clone();
                        tell.send_replace(Arc::new(shown_as(seen, &before)));
                    }
                    None => return,
                },
                accepted = self.listener.accept() => {
                    let (Ok((stream, _)), Ok(permit)) = (accepted, connections.clone().try_acquire_owned()) else { continue };
                    let (served, cancel) = (served.clone(), cancel.clone());
                    let is_other_user = served.callers.admit(&stream).is_err();
                    tokio::spawn(async move {
                        let _permit = permit;
                        let service =
                            hyper::service::service_fn(move |request| answer(served.clone(), is_other_user, request));
                        let mut http = hyper::server::conn::http1::Builder::new();
                        http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
                        let connection = http.serve_connection(TokioIo::new(stream), service);
                        // What a browser breaks off is its own affair.
                        let _ = cancel.run_until_cancelled(connection).await;
                    });
                }
            }
        }
    }
}

/// A look that failed leaves what was seen before, and says so.
fn shown_as(seen: Seen, before: &Shown) -> Shown {
    match seen {
        Ok((view, _)) => {
            let json = serde_json::to_string(&view).expect("views serialise: their maps have text keys");
            Shown { event: Bytes::from(format!("data: {json}\n\n")), view: Some(view) }
        }
        Err(problem) => {
            let why =
                serde_json::to_string(&format!("{}: {}", problem.summary, problem.detail)).expect("a text serialises");
            Shown { event: Bytes::from(format!("event: lost\ndata: {why}\n\n")), view: before.view.clone() }
        }
    }
}

async fn answer(
    served: Arc<Served>,
    is_other_user: bool,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let text = |name: header::HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let asked = Asked {
        method: request.method().as_str(),
        path: request.uri().path(),
        host: text(header::HOST),
        origin: text(header::ORIGIN),
        content_type: text(header::CONTENT_TYPE),
    };
    Ok(match admit(asked, &served.token, served.address) {
        // Another user of this machine reads what an exporter tells everybody, and no more.
        Ok(endpoint) if is_other_user && endpoint != Endpoint::Metrics => {
            plain(StatusCode::FORBIDDEN, "another user's dashboard")
        }
        Ok(Endpoint::Page) => full(StatusCode::OK, "text/html; charset=utf-8", PAGE),
        Ok(Endpoint::Style) => full(StatusCode::OK, "text/css; charset=utf-8", STYLE),
        Ok(Endpoint::Chart) => full(StatusCode::OK, "text/javascript; charset=utf-8", CHART),
        Ok(Endpoint::Script) => full(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT),
        Ok(Endpoint::Events) => events(served.shown.clone()),
        Ok(Endpoint::Metrics) => metrics(&served),
        Ok(Endpoint::Console(instance)) => console(&served, &instance).await,
        Ok(Endpoint::Act) => act(&served, request.into_body()).await,
        Err(Refused::Foreign) => {
            plain(StatusCode::FORBIDDEN, "forbidden: open the address that `cloudscale dashboard` printed")
        }
        Err(Refused::Unknown) => plain(StatusCode::NOT_FOUND, "not found"),
        Err(Refused::Method) => plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed"),
        Err(Refused::ContentType) => {
            plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the content type must be application/json")
        }
    })
}

fn response(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    headers
        .into_iter()
        .for_each(|(name, value)| drop(response.headers_mut().insert(name, HeaderValue::from_static(value))));
    response
}

fn full(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Response<Body> {
    response(status, kind, Full::new(text.into()).boxed_unsync())
}

fn plain(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    full(status, "text/plain; charset=utf-8", text.into())
}

/// What was seen last, and then each look as it comes.
fn events(shown: watch::Receiver<Arc<Shown>>) -> Response<Body> {
    let events = stream::unfold((shown, true), |(mut shown, is_first)| async move {
        if !is_first {
            tokio::select! {
                changed = shown.changed() => changed.ok()?,
                () = clock::sleep(ALIVE_EVERY) => {
                    let alive = Frame::data(Bytes::from_static(b": alive\n\n"));
                    return Some((Ok(alive), (shown, false)));
                }
            }
        }
        let event = shown.borrow_and_update().event.clone();
        Some((Ok::<_, Infallible>(Frame::data(event)), (shown, false)))
    });
    response(StatusCode::OK, "text/event-stream", StreamBody::new(events).boxed_unsync())
}

fn metrics(served: &Served) -> Response<Body> {
    match &served.shown.borrow().view {
        Some(view) => full(StatusCode::OK, prometheus::CONTENT_TYPE, prometheus::text(view)),
        None => plain(StatusCode::SERVICE_UNAVAILABLE, "nothing was seen yet"),
    }
}

async fn console(served: &Served, instance: &str) -> Response<Body> {
    let view = served.shown.borrow().view.clone();
    let mut instances = view.iter().flat_map(|view| &view.clusters).flat_map(|cluster| &cluster.instances);
    if !instances.any(|found| found.id == instance) {
        return plain(StatusCode::NOT_FOUND, "the stack has no such instance");
    }
    match act::console(&served.engine, instance).await {
        Ok(text) => plain(StatusCode::OK, printable(&text).into_owned()),
        Err(problem) => plain(StatusCode::BAD_GATEWAY, format!("{}: {}", problem.summary, problem.detail)),
    }
}

async fn act(served: &Served, body: Incoming) -> Response<Body> {
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "the request body is too large");
    };
    let view = served.shown.borrow().view.clone();
    let request = serde_json::from_slice(&body.to_bytes()).ok();
    let Some(action) = view.zip(request).and_then(|(view, request)| action(&view, &request)) else {
        return plain(
            StatusCode::BAD_REQUEST,
            "neither the scaling of a cluster of the stack nor the end of one of its instances",
        );
    };
    match act::act(&served.engine, &action).await {
        Ok(()) => plain(StatusCode::OK, action.done()),
        Err(problems) => {
            let said = problems.0.iter().map(|problem| format!("{}: {}", problem.summary, problem.detail));
            plain(StatusCode::CONFLICT, said.collect::<Vec<_>>().join("\n"))
        }
    }
}

/// `{"scale": {"cluster": "web", "to": 3}}` or `{"kill": {"cluster": "web", "instance": "i-…"}}`, of the view's
/// clusters.
fn action(view: &View, request: &serde_json::Value) -> Option<Action> {
    let of = |what: &serde_json::Value| {
        let name = what["cluster"].as_str()?;
        view.clusters.iter().find(|cluster| cluster.name == name)
    };
    if let Some(cluster) = of(&request["scale"]) {
        let to = u32::try_from(request["scale"]["to"].as_u64()?).ok()?;
        return Some(Action::Scale { cluster: cluster.name.clone(), from: cluster.capacity.desired, to });
    }
    let cluster = of(&request["kill"])?;
    let instance = request["kill"]["instance"].as_str()?;
    let found = cluster.instances.iter().find(|found| found.id == instance)?;
    Some(Action::Kill {
        cluster: cluster.name.clone(),
        instance: found.id.clone(),
        is_fixed: cluster.kind == ClusterKind::Fixed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::sample;

    #[test]
    fn the_page_is_small_and_asks_nobody_else() {
        let all = [PAGE, STYLE, CHART, SCRIPT];
        assert!(all.iter().map(|part| part.len()).sum::<usize>() < 150 * 1024);
        for part in all {
            // The name of a namespace is no address that anybody is asked for.
            let part = part.replace("http://www.w3.org/2000/svg", "");
            for outside in
                ["http://", "https://", "url(", "@import", "innerHTML", "eval(", "style=\"", " on", "javascript:"]
            {
                // `onclose` and the like are set by the script itself, never written into the page.
                let is_page = part.starts_with("<!doctype");
                assert!(!part.contains(outside) || (outside == " on" && !is_page), "{outside}");
            }
        }
    }

    #[test]
    fn only_clusters_and_instances_of_the_view_are_acted_on() {
        let view = sample::view();
        let read = |text: &str| action(&view, &serde_json::from_str(text).unwrap());
        let scale = Action::Scale { cluster: "web".into(), from: 6, to: 3 };
        assert_eq!(read(r#"{"scale": {"cluster": "web", "to": 3}}"#), Some(scale));
        assert_eq!(read(r#"{"scale": {"cluster": "nobody", "to": 3}}"#), None);
        assert_eq!(read(r#"{"scale": {"cluster": "web", "to": -3}}"#), None);
        let kill = Action::Kill { cluster: "web".into(), instance: "i-0a190000000000001".into(), is_fixed: false };
        assert_eq!(read(r#"{"kill": {"cluster": "web", "instance": "i-0a190000000000001"}}"#), Some(kill));
        assert_eq!(read(r#"{"kill": {"cluster": "api", "instance": "i-0a190000000000001"}}"#), None);
        assert_eq!(read("[]"), None);
    }

    #[test]
    fn a_look_that_failed_keeps_what_was_seen() {
        let nothing = Shown { event: Bytes::new(), view: None };
        let seen = shown_as(Ok((sample::view(), Vec::new())), &nothing);
        assert!(seen.event.starts_with(b"data: {\"stack\":\"shop\"") && seen.event.ends_with(b"}\n\n"));
        assert_eq!(seen.event.windows(1).filter(|byte| byte == b"\n").count(), 2, "JSON has no line end of its own");
        let lost = shown_as(Err(Problem::new("Gone", "no\nanswer")), &seen);
        assert_eq!(lost.event, "event: lost\ndata: \"Gone: no\\nanswer\"\n\n");
        assert!(lost.view.is_some());
    }
}
