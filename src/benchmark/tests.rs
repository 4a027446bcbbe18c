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

use super::arrivals::{Curve, Spacing};
use super::load::{Measured, Target, load};
use super::scenario::{Closed, Expect, Flow, Load, Phase, RequestChoice, Scenario};
use crate::clock;
use crate::resource::event::{Event, Sink};
use crate::result::record::LatencyKind;

/// Keeps what it is told.
#[derive(Default)]
pub struct Kept(Mutex<Vec<Event>>);

impl Sink for Kept {
    fn event(&self, event: Event) {
        self.0.lock().expect("no test panics while holding it").push(event);
    }
}

pub fn scenario(loads: Vec<Load>) -> Scenario {
    let phases = loads.into_iter().map(|load| Phase { name: None, load }).collect();
    Scenario {
        name: "test".into(),
        targets: Vec::new(),
        requests: vec![RequestChoice { timeout: Duration::from_secs(5), ..RequestChoice::default() }],
        replayed: Vec::new(),
        data: None,
        redirects: 0,
        keep_alive: true,
        http2: false,
        warm_up: Duration::ZERO,
        connections_max: 1000,
        repeat: 1,
        flows: vec![Flow { name: "A".into(), phases }],
        chaos: Vec::new(),
        thresholds: Vec::new(),
        weights: std::collections::BTreeMap::new(),
    }
}

fn closed(users: u32, count: u64) -> Load {
    Load::Closed(Closed { users, iterations: Some(count), duration: None, think_time: Duration::ZERO })
}

fn requests(count: u64) -> Load {
    closed(1, count)
}

fn open(rate: f64, milliseconds: u64) -> Load {
    Load::Open { curve: Curve::constant(rate, Duration::from_millis(milliseconds)), spacing: Spacing::Even }
}

pub async fn measure(scenario: &Scenario, address: SocketAddr, path: &str) -> Measured {
    let target = Target { name: "light".into(), url: format!("http://{address}{path}") };
    load(scenario, &[target], 2, &Kept::default(), &CancellationToken::new()).await.expect("the load runs")
}

/// A server of several characters, by path; instances answer in turn.
pub async fn serve() -> SocketAddr {
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
        "/echo" => {
            let told = format!("{} {:?}", request.method(), request.headers().get("x-key"));
            let body = request.into_body().collect().await.expect("a body").to_bytes();
            response.body(full(&format!("{told} {}", String::from_utf8_lossy(&body))))
        }
        "/moved" => response.status(302).header("Location", "/turns").body(full("")),
        "/round" => response.status(302).header("Location", "round").body(full("")),
        "/away" => response.status(302).header("Location", "http://example.org/").body(full("")),
        "/broken" => response.status(503).body(full("no capacity")),
        "/fifty" => {
            clock::sleep(Duration::from_millis(50)).await;
            response.body(full("ok"))
        }
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
    let measured = measure(&scenario(vec![requests(1000)]), serve().await, "/turns").await;
    let light = &measured.targets[0];
    assert_eq!((light.requests, light.errors, light.connections), (1000, 0, 1));
    assert_eq!(light.status, [(200, 1000)].into());
    assert_eq!(light.instances.values().copied().collect::<Vec<_>>(), [250; 4]);
    assert_eq!(light.evenness(), Some(100.0));
    assert_eq!(light.timeline.iter().map(|second| second.requests).sum::<u64>(), 1000);
    assert!(
        light.rate > 0.0 && light.latency_ms.is_some_and(|latency| latency.p50 > 0.0 && latency.p50 <= latency.max)
    );
    assert!(!measured.interrupted);
}

#[tokio::test]
async fn connections_share_a_steps_requests() {
    let mut scenario = scenario(vec![closed(8, 500)]);
    scenario.flows.push(Flow { name: "B".into(), phases: vec![Phase { name: None, load: requests(7) }] });
    let measured = measure(&scenario, serve().await, "/turns").await;
    let light = &measured.targets[0];
    assert_eq!((light.requests, light.connections), (507, 9));
    let phases: Vec<_> = light.phases.iter().map(|phase| (phase.thread.as_str(), phase.requests)).collect();
    assert_eq!(phases, [("A", 500), ("B", 7)]);
}

#[tokio::test]
async fn pauses_are_phases_and_count_for_the_rate_but_not_for_that_while_sending() {
    let pause = Duration::from_millis(300);
    let phases = vec![requests(50), Load::Pause(pause), requests(100)];
    let measured = measure(&scenario(phases), serve().await, "/turns").await;
    let light = &measured.targets[0];
    let labels: Vec<_> = light.phases.iter().map(|phase| (phase.label.as_str(), phase.requests)).collect();
    assert_eq!(labels, [("50 requests", 50), ("pause 0.3 s", 0), ("100 requests", 100)]);
    let whole = Duration::try_from(measured.ended.duration_since(measured.started)).expect("time goes on");
    assert!(whole >= pause);
    let sending = light.rate_while_sending.expect("it was sending");
    assert!(light.rate <= 150.0 / pause.as_secs_f64() && sending > light.rate, "{} of {sending}", light.rate);
}

#[tokio::test]
async fn the_instance_is_read_from_the_body_where_no_header_names_it() {
    for path in ["/body", "/chunked"] {
        let measured = measure(&scenario(vec![requests(10)]), serve().await, path).await;
        assert_eq!(measured.targets[0].instances, [("i-0123456789abcdef0".into(), 10)].into(), "{path}");
        assert_eq!((measured.targets[0].errors, measured.targets[0].connections), (0, 1), "{path}");
    }
}

#[tokio::test]
async fn a_large_body_is_read_to_its_end() {
    let measured = measure(&scenario(vec![requests(5)]), serve().await, "/large").await;
    assert_eq!((measured.targets[0].errors, measured.targets[0].connections), (0, 1));
    assert_eq!(measured.targets[0].instances, [("i-large".into(), 5)].into());
}

#[tokio::test]
async fn a_server_that_closes_is_connected_to_again_for_every_request() {
    let measured = measure(&scenario(vec![requests(20)]), serve().await, "/closes").await;
    assert_eq!((measured.targets[0].errors, measured.targets[0].connections), (0, 20));
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closed_costs_no_error() {
    // The answer promises keep-alive, and the server closes all the same.
    let address = serve_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true).await;
    let measured = measure(&scenario(vec![requests(20)]), address, "/").await;
    assert_eq!((measured.targets[0].errors, measured.targets[0].connections), (0, 20));
}

#[tokio::test]
async fn the_wrong_status_and_the_wrong_body_are_errors_of_their_kind() {
    let address = serve().await;
    let measured_status = measure(&scenario(vec![requests(10)]), address, "/broken").await;
    let broken = &measured_status.targets[0];
    assert_eq!(broken.errors_by_kind, [("status".into(), 10)].into());
    assert_eq!((&broken.status, broken.latency_ms), (&[(503, 10)].into(), None));
    let mut scenario = scenario(vec![requests(10)]);
    scenario.requests[0].expect.contains = Some("goodbye".into());
    let measured_body = measure(&scenario, address, "/chunked").await;
    assert_eq!(measured_body.targets[0].errors_by_kind, [("body".into(), 10)].into());
    scenario.requests[0].expect.contains = Some("hello from".into());
    assert_eq!(measure(&scenario, address, "/chunked").await.targets[0].errors, 0);
}

#[tokio::test]
async fn a_truncated_answer_is_a_reset_and_a_strange_one_a_protocol_error() {
    let truncated = serve_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", true).await;
    let measured_truncated = measure(&scenario(vec![requests(3)]), truncated, "/").await;
    assert_eq!(measured_truncated.targets[0].errors_by_kind, [("reset".into(), 3)].into());
    let strange = serve_bytes(b"220 mail.example.org ESMTP\r\n", false).await;
    let measured_strange = measure(&scenario(vec![requests(3)]), strange, "/").await;
    assert_eq!(measured_strange.targets[0].errors_by_kind, [("protocol".into(), 3)].into());
    let excess = serve_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n", false).await;
    let measured_excess = measure(&scenario(vec![requests(3)]), excess, "/").await;
    assert_eq!(measured_excess.targets[0].errors_by_kind, [("protocol".into(), 3)].into());
}

#[tokio::test]
async fn a_slow_answer_times_out_and_a_closed_port_refuses() {
    let mut scenario = scenario(vec![requests(2)]);
    scenario.requests[0].timeout = Duration::from_millis(50);
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
    let scenario = scenario(vec![requests(20), Load::Pause(Duration::from_secs(3600)), requests(1)]);
    let cancel = CancellationToken::new();
    let sink = CancelAfter { requests: 20, cancel: cancel.clone() };
    let target = Target { name: "light".into(), url: format!("http://{address}/turns") };
    let measured = load(&scenario, &[target], 2, &sink, &cancel).await.expect("the load ends");
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
    let scenario = scenario(vec![requests(30)]);
    load(&scenario, &targets, 2, &sink, &CancellationToken::new()).await.expect("the load runs");
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
    for url in ["ftp://example.org/", "example.org", "http://:80/", "http://host:port/", "http://host/a b"] {
        let target = Target { name: "light".into(), url: url.into() };
        let outcome =
            load(&scenario(vec![requests(1)]), &[target], 2, &Kept::default(), &CancellationToken::new()).await;
        assert_eq!(outcome.expect_err(url).summary, "Not a URL that can be loaded");
    }
}

#[tokio::test]
async fn an_open_load_sends_all_that_is_demanded_and_measures_response_time() {
    let measured = measure(&scenario(vec![open(500.0, 1000)]), serve().await, "/turns").await;
    let light = &measured.targets[0];
    assert_eq!((light.requests, light.errors, light.demanded), (500, 0, Some(500)));
    assert_eq!((light.latency_kind, light.status.get(&200)), (LatencyKind::Response, Some(&500)));
    let (response, service) = (light.latency_ms.expect("measured"), light.service_ms.expect("measured"));
    assert!(response.mean >= service.mean && response.max >= service.max, "{response:?} {service:?}");
    let whole = measured.ended.duration_since(measured.started).as_secs_f64();
    assert!(whole >= 1.0, "{whole} s");
    assert!(light.columns[0].demanded.is_some_and(|rate| (rate - 500.0).abs() < 1.0), "{:?}", light.columns[0]);
}

#[tokio::test]
async fn a_server_that_stalls_cannot_hide_from_the_schedule() {
    // One connection, ten requests in 200 ms, and no answer within the time limit of 100 ms: the others wait for the first,
    // and all that was demanded is sent.
    let mut scenario = scenario(vec![open(50.0, 200)]);
    scenario.requests[0].timeout = Duration::from_millis(100);
    scenario.connections_max = 1;
    let target = |address| Target { name: "light".into(), url: format!("http://{address}/slow") };
    let address = serve().await;
    let measured = load(&scenario, &[target(address)], 1, &Kept::default(), &CancellationToken::new()).await;
    let measured = measured.expect("the load runs");
    let light = &measured.targets[0];
    assert_eq!((light.requests, light.errors_by_kind["timeout"]), (10, 10));
    assert!(measured.client.limited && measured.client.late >= 8, "{:?}", measured.client);
    let late = measured.client.late_p99_ms.expect("an open load");
    assert!(late >= 600.0, "the tenth waited for nine of 100 ms: {late}");
}

#[tokio::test]
async fn response_time_counts_from_the_moment_the_schedule_demanded_the_request() {
    // A server of 50 ms under one connection and 100/s for 0.2 s: the k-th answer is complete at 50·(k + 1) ms and was due
    // at 10·k, so response times are 50 + 40·k and service times stay at 50.
    let mut scenario = scenario(vec![open(100.0, 200)]);
    scenario.connections_max = 1;
    let address = serve().await;
    let target = Target { name: "light".into(), url: format!("http://{address}/fifty") };
    let measured = load(&scenario, &[target], 1, &Kept::default(), &CancellationToken::new()).await.expect("it runs");
    let light = &measured.targets[0];
    let (response, service) = (light.latency_ms.expect("measured"), light.service_ms.expect("measured"));
    assert_eq!((light.requests, light.errors), (20, 0));
    assert!(response.max >= 810.0 && response.min >= 50.0, "{response:?}");
    assert!(response.p50 > 400.0 && service.p50 < response.p50 / 2.0, "{response:?} {service:?}");
}

#[tokio::test]
async fn a_mix_sends_methods_headers_and_bodies_and_counts_each_request() {
    let mut scenario = scenario(vec![closed(4, 300)]);
    let put = RequestChoice {
        name: "put".into(),
        weight: 2,
        method: "PUT".into(),
        headers: vec![("X-Key".into(), "k".into())],
        body: b"hello".to_vec(),
        expect: Expect { status: 200, contains: Some("PUT Some(\"k\") hello".into()) },
        ..RequestChoice::default()
    };
    let get = RequestChoice {
        name: "get".into(),
        expect: Expect { status: 200, contains: Some("GET None ".into()) },
        ..RequestChoice::default()
    };
    let head = RequestChoice { name: "head".into(), method: "HEAD".into(), ..RequestChoice::default() };
    scenario.requests = vec![put, get, head];
    let measured = measure(&scenario, serve().await, "/echo").await;
    let light = &measured.targets[0];
    assert_eq!((light.requests, light.errors, light.connections), (300, 0, 4), "{:?}", light.errors_by_kind);
    let counts: Vec<_> = light.endpoints.iter().map(|one| (one.name.as_str(), one.requests)).collect();
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), 300);
    assert!((110..190).contains(&counts[0].1) && counts[1].1 > 40 && counts[2].1 > 40, "{counts:?}");
}

#[tokio::test]
async fn virtual_users_think_and_stop_when_their_time_is_over() {
    let closed = Closed {
        users: 20,
        iterations: None,
        duration: Some(Duration::from_millis(500)),
        think_time: Duration::from_millis(100),
    };
    let measured = measure(&scenario(vec![Load::Closed(closed)]), serve().await, "/turns").await;
    let light = &measured.targets[0];
    // At most five each; a machine under load manages fewer.
    assert!((20..=100).contains(&light.requests) && light.errors == 0, "{}", light.requests);
    assert_eq!((light.connections, light.latency_kind, light.demanded), (20, LatencyKind::Service, None));
}

#[tokio::test]
async fn a_thousand_users_are_carried_by_two_workers() {
    let mut scenario = scenario(vec![closed(1000, 5000)]);
    // A machine that is busy otherwise may take long for a thousand connections at once.
    scenario.requests[0].timeout = Duration::from_secs(60);
    let measured = measure(&scenario, serve().await, "/turns").await;
    let light = &measured.targets[0];
    assert_eq!((light.requests, light.errors, light.connections), (5000, 0, 1000), "{:?}", light.errors_by_kind);
    assert_eq!(measured.client.workers, 2);
}

#[tokio::test]
async fn the_warm_up_is_sent_and_not_counted() {
    let mut scenario = scenario(vec![open(200.0, 1000)]);
    scenario.warm_up = Duration::from_millis(500);
    let light = measure(&scenario, serve().await, "/turns").await.targets.remove(0);
    assert_eq!((light.requests, light.warm_up_requests, light.demanded), (100, 100, Some(200)));
}

#[tokio::test]
async fn without_keep_alive_every_request_has_a_connection_of_its_own() {
    let mut scenario = scenario(vec![requests(20)]);
    scenario.keep_alive = false;
    let light = measure(&scenario, serve().await, "/turns").await.targets.remove(0);
    assert_eq!((light.requests, light.errors, light.connections, light.retries), (20, 0, 20, 0));
}

#[tokio::test]
async fn a_request_that_dies_with_its_connection_is_a_retry_and_not_only_a_success() {
    // Every connection answers once, takes the second request, and dies without an answer.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            let _ = stream.read(&mut buffer).await;
        }
    });
    let light = measure(&scenario(vec![requests(10)]), address, "/").await.targets.remove(0);
    assert_eq!((light.requests, light.errors, light.retries, light.connections), (10, 0, 9, 10));
    // What may have been carried out is not sent again.
    let mut post = scenario(vec![requests(10)]);
    post.requests[0].method = "POST".into();
    let light = measure(&post, address, "/").await.targets.remove(0);
    assert_eq!((light.errors_by_kind.get("reset"), light.retries), (Some(&5), 0));
}

#[tokio::test]
async fn phases_follow_the_schedule_and_have_figures_of_their_own() {
    let mut scenario = scenario(vec![open(100.0, 300), Load::Pause(Duration::from_millis(200)), open(400.0, 300)]);
    scenario.flows[0].phases[0].name = Some("calm".into());
    let light = measure(&scenario, serve().await, "/turns").await.targets.remove(0);
    let phases: Vec<_> = light.phases.iter().map(|phase| (phase.label.as_str(), phase.requests)).collect();
    assert_eq!(phases, [("calm", 30), ("pause 0.2 s", 0), ("up to 400/s for 0.3 s", 120)]);
    let began = light.phases[2].started.duration_since(light.phases[0].started).as_secs_f64();
    assert!((began - 0.5).abs() < 0.002, "the schedule says when a phase begins, and not its answers: {began}");
    assert!(light.phases[0].latency_ms.is_some() && light.phases[1].latency_ms.is_none());
}

#[tokio::test]
async fn repetitions_follow_each_other_and_each_has_figures_of_its_own() {
    let mut scenario = scenario(vec![requests(30), open(100.0, 100)]);
    scenario.flows.push(Flow { name: "B".into(), phases: vec![Phase { name: None, load: requests(5) }] });
    scenario.repeat = 3;
    let light = measure(&scenario, serve().await, "/turns").await.targets.remove(0);
    assert_eq!((light.requests, light.repetitions.len(), light.phases.len()), (135, 3, 9));
    for one in &light.repetitions {
        assert_eq!((one.requests, one.errors), (45, 0));
        assert!(one.rate > 0.0 && one.rate < 450.0 && one.latency_ms.is_some(), "{one:?}");
    }
    let began: Vec<_> = light.phases.iter().map(|phase| phase.started).collect();
    assert!(began[3] >= light.phases[1].ended && began[6] >= light.phases[4].ended, "one after the other");
}
