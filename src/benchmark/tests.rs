//! The load generator against real servers on the loopback.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::load::{Measured, Target, load};
use super::scenario::{Expect, Scenario, Step, Thread};
use crate::clock;
use crate::resource::event::{Event, Sink};

/// Keeps what it is told.
#[derive(Default)]
struct Kept(Mutex<Vec<Event>>);

impl Sink for Kept {
    fn event(&self, event: Event) {
        self.0.lock().expect("no test panics while holding it").push(event);
    }
}

fn scenario(steps: &[Step]) -> Scenario {
    Scenario {
        name: "test".into(),
        targets: Vec::new(),
        timeout: Duration::from_secs(5),
        expect: Expect::default(),
        threads: vec![Thread { name: "A".into(), connections: 1, steps: steps.to_vec() }],
        thresholds: Vec::new(),
    }
}

async fn measure(scenario: &Scenario, address: SocketAddr, path: &str) -> Measured {
    let target = Target { name: "light".into(), url: format!("http://{address}{path}") };
    load(scenario, &[target], &Kept::default(), &CancellationToken::new()).await.expect("the load runs")
}

/// A server of several characters, by path; instances answer in turn.
async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let answered = Arc::new(AtomicU64::new(0));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answered = answered.clone();
            let service = hyper::service::service_fn(move |request| answer(request, answered.clone()));
            let io = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        }
    });
    address
}

type Answered = Result<Response<BoxBody<Bytes, Infallible>>, Infallible>;

async fn answer(request: Request<Incoming>, answered: Arc<AtomicU64>) -> Answered {
    let full = |text: &str| Full::new(Bytes::from(text.to_owned())).boxed();
    let response = Response::builder();
    let response = match request.uri().path() {
        "/turns" => {
            let instance = format!("i-{:017x}", answered.fetch_add(1, Ordering::Relaxed) % 4);
            response.header("X-Instance-Id", instance).body(full("ok"))
        }
        "/body" => response.body(full("hello from i-0123456789abcdef0\n")),
        "/large" => response.header("X-Instance-Id", "i-large").body(full(&"x".repeat(300_000))),
        "/closes" => response.header("Connection", "close").body(full("bye")),
        "/chunked" => {
            let parts = ["he", "llo ", "from i-0123", "456789abcdef0", "\n"];
            let frames = parts.map(|part| Ok::<_, Infallible>(Frame::data(Bytes::from_static(part.as_bytes()))));
            response.body(StreamBody::new(futures_util::stream::iter(frames)).boxed())
        }
        "/broken" => response.status(503).body(full("no capacity")),
        "/slow" => {
            clock::sleep(Duration::from_secs(60)).await;
            response.body(full("late"))
        }
        _ => response.status(404).body(full("no such path")),
    };
    Ok(response.expect("a valid response"))
}

/// A server that answers every connection's every request with the same bytes; then it closes where told to.
async fn serve_bytes(bytes: &'static [u8], close: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 1024];
            while matches!(stream.read(&mut buffer).await, Ok(1..)) {
                if stream.write_all(bytes).await.is_err() || close {
                    break;
                }
            }
        }
    });
    address
}

#[tokio::test]
async fn a_thousand_requests_go_over_one_connection_and_every_answer_counts() {
    let measured = measure(&scenario(&[Step::Requests(1000)]), serve().await, "/turns").await;
    let light = &measured.targets[0];
    assert_eq!((light.requests, light.errors, light.connections), (1000, 0, 1));
    assert_eq!(light.status, [(200, 1000)].into());
    assert_eq!(light.instances.values().copied().collect::<Vec<_>>(), [250; 4]);
    assert_eq!(light.evenness(), Some(100.0));
    assert_eq!(light.timeline.iter().map(|second| second.requests).sum::<u64>(), 1000);
    assert!(light.rate > 0.0 && light.latency_ms.p50 > 0.0 && light.latency_ms.p50 <= light.latency_ms.max);
    assert!(!measured.interrupted);
}

#[tokio::test]
async fn connections_share_a_steps_requests() {
    let mut scenario = scenario(&[Step::Requests(500)]);
    scenario.threads[0].connections = 8;
    scenario.threads.push(Thread { name: "B".into(), connections: 1, steps: vec![Step::Requests(7)] });
    let measured = measure(&scenario, serve().await, "/turns").await;
    let light = &measured.targets[0];
    assert_eq!((light.requests, light.connections), (507, 9));
    let phases: Vec<_> = light.phases.iter().map(|phase| (phase.thread.as_str(), phase.requests)).collect();
    assert_eq!(phases, [("A", 500), ("B", 7)]);
}

#[tokio::test]
async fn pauses_are_phases_and_do_not_count_for_the_rate() {
    let pause = Duration::from_millis(300);
    let steps = [Step::Requests(50), Step::Pause(pause), Step::Requests(100)];
    let measured = measure(&scenario(&steps), serve().await, "/turns").await;
    let light = &measured.targets[0];
    let labels: Vec<_> = light.phases.iter().map(|phase| (phase.label.as_str(), phase.requests)).collect();
    assert_eq!(labels, [("50 requests", 50), ("pause 0.3 s", 0), ("100 requests", 100)]);
    let whole = Duration::try_from(measured.ended.duration_since(measured.started)).expect("time goes on");
    assert!(whole >= pause);
    assert!(light.rate > 150.0 / whole.as_secs_f64(), "{} over {whole:?}", light.rate);
}

#[tokio::test]
async fn the_instance_is_read_from_the_body_where_no_header_names_it() {
    for path in ["/body", "/chunked"] {
        let measured = measure(&scenario(&[Step::Requests(10)]), serve().await, path).await;
        assert_eq!(measured.targets[0].instances, [("i-0123456789abcdef0".into(), 10)].into(), "{path}");
        assert_eq!((measured.targets[0].errors, measured.targets[0].connections), (0, 1), "{path}");
    }
}

#[tokio::test]
async fn a_large_body_is_read_to_its_end() {
    let measured = measure(&scenario(&[Step::Requests(5)]), serve().await, "/large").await;
    assert_eq!((measured.targets[0].errors, measured.targets[0].connections), (0, 1));
    assert_eq!(measured.targets[0].instances, [("i-large".into(), 5)].into());
}

#[tokio::test]
async fn a_server_that_closes_is_connected_to_again_for_every_request() {
    let measured = measure(&scenario(&[Step::Requests(20)]), serve().await, "/closes").await;
    assert_eq!((measured.targets[0].errors, measured.targets[0].connections), (0, 20));
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closed_costs_no_error() {
    // The answer promises keep-alive, and the server closes all the same.
    let address = serve_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true).await;
    let measured = measure(&scenario(&[Step::Requests(20)]), address, "/").await;
    assert_eq!((measured.targets[0].errors, measured.targets[0].connections), (0, 20));
}

#[tokio::test]
async fn the_wrong_status_and_the_wrong_body_are_errors_of_their_kind() {
    let address = serve().await;
    let measured_status = measure(&scenario(&[Step::Requests(10)]), address, "/broken").await;
    let broken = &measured_status.targets[0];
    assert_eq!(broken.errors_by_kind, [("status".into(), 10)].into());
    assert_eq!((&broken.status, broken.latency_ms.max), (&[(503, 10)].into(), 0.0));
    let mut scenario = scenario(&[Step::Requests(10)]);
    scenario.expect.contains = Some("goodbye".into());
    let measured_body = measure(&scenario, address, "/chunked").await;
    assert_eq!(measured_body.targets[0].errors_by_kind, [("body".into(), 10)].into());
    scenario.expect.contains = Some("hello from".into());
    assert_eq!(measure(&scenario, address, "/chunked").await.targets[0].errors, 0);
}

#[tokio::test]
async fn a_truncated_answer_is_a_reset_and_a_strange_one_a_protocol_error() {
    let truncated = serve_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", true).await;
    let measured_truncated = measure(&scenario(&[Step::Requests(3)]), truncated, "/").await;
    assert_eq!(measured_truncated.targets[0].errors_by_kind, [("reset".into(), 3)].into());
    let strange = serve_bytes(b"220 mail.example.org ESMTP\r\n", false).await;
    let measured_strange = measure(&scenario(&[Step::Requests(3)]), strange, "/").await;
    assert_eq!(measured_strange.targets[0].errors_by_kind, [("protocol".into(), 3)].into());
    let excess = serve_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n", false).await;
    let measured_excess = measure(&scenario(&[Step::Requests(3)]), excess, "/").await;
    assert_eq!(measured_excess.targets[0].errors_by_kind, [("protocol".into(), 3)].into());
}

#[tokio::test]
async fn a_slow_answer_times_out_and_a_closed_port_refuses() {
    let mut scenario = scenario(&[Step::Requests(2)]);
    scenario.timeout = Duration::from_millis(50);
    let measured_slow = measure(&scenario, serve().await, "/slow").await;
    assert_eq!(measured_slow.targets[0].errors_by_kind, [("timeout".into(), 2)].into());
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound");
    let measured_closed = measure(&scenario, closed, "/").await;
    assert_eq!(measured_closed.targets[0].errors_by_kind, [("connect".into(), 2)].into());
    assert_eq!(measured_closed.targets[0].connections, 0);
}

#[tokio::test]
async fn cancelling_ends_the_load_and_keeps_what_was_measured() {
    let address = serve().await;
    let scenario = scenario(&[Step::Requests(20), Step::Pause(Duration::from_secs(3600)), Step::Requests(1)]);
    let cancel = CancellationToken::new();
    let sink = CancelAfter { requests: 20, cancel: cancel.clone() };
    let target = Target { name: "light".into(), url: format!("http://{address}/turns") };
    let measured = load(&scenario, &[target], &sink, &cancel).await.expect("the load ends");
    assert!(measured.interrupted);
    assert_eq!(measured.targets[0].requests, 20);
}

/// Cancels when the progress shows that many requests.
struct CancelAfter {
    requests: u64,
    cancel: CancellationToken,
}

impl Sink for CancelAfter {
    fn event(&self, event: Event) {
        if matches!(event, Event::BenchProgress { progress, .. } if progress.done >= self.requests) {
            self.cancel.cancel();
        }
    }
}

#[tokio::test]
async fn two_targets_start_together_and_tell_their_progress() {
    let address = serve().await;
    let targets = ["light", "heavy"].map(|name| Target { name: name.into(), url: format!("http://{address}/turns") });
    let sink = Kept::default();
    let scenario = scenario(&[Step::Requests(30)]);
    load(&scenario, &targets, &sink, &CancellationToken::new()).await.expect("the load runs");
    let events = sink.0.lock().expect("no panic");
    assert!(matches!(&events[0], Event::BenchStarted { requests: 60, .. }));
    for name in ["light", "heavy"] {
        let last = events.iter().rev().find_map(|event| match event {
            Event::BenchProgress { target, progress } if target == name => Some(progress.clone()),
            _ => None,
        });
        assert_eq!(
            last.map(|progress| (progress.done, progress.planned, progress.phase)),
            Some((30, 30, String::new()))
        );
    }
    assert!(matches!(events.last(), Some(Event::BenchFinished { .. })));
}

#[tokio::test]
async fn a_url_that_cannot_be_loaded_is_refused_before_anything_is_sent() {
    for url in ["https://example.org/", "example.org", "http://:80/", "http://host:port/", "http://host/a b"] {
        let target = Target { name: "light".into(), url: url.into() };
        let outcome =
            load(&scenario(&[Step::Requests(1)]), &[target], &Kept::default(), &CancellationToken::new()).await;
        assert_eq!(outcome.expect_err(url).summary, "Not a URL that can be loaded");
    }
}
