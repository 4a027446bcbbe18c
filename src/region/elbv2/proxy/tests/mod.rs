//! The proxy with real sockets: raw clients, targets that answer and targets that misbehave.

mod conformance;
mod faults;
mod http2;
mod logs;
mod rewriting;
mod secure;
mod streams;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::super::actions::{Action, FixedResponse, Forward, WeightedTargetGroup};
use super::super::conditions::Condition;
use super::super::routing::{
    AccessLog, Algorithm, ForwardedFor, ListenerRoutes, Routing, RuleRoute, Settings, Standing, Stickiness,
    TargetGroupRoutes, TargetRoute,
};
use super::super::target::TargetId;
use super::super::transforms::Transforms;
use super::*;
use crate::region::addresses::BLOCKS;
use crate::region::wire::{Params, Service, Value};
use crate::region::world::World;

const LOOPBACK: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);

#[test]
fn the_meters_are_emptied_at_most_a_second_from_now() {
    let before = clock::instant();
    let next = next_tick();
    assert!(next >= before && next <= clock::instant() + TICK);
}

/// A server that a test sends requests through the proxy to.
struct Server {
    name: String,
    address: SocketAddrV4,
    /// Connections that it accepted.
    connections: Arc<AtomicUsize>,
}

fn v4(address: SocketAddr) -> SocketAddrV4 {
    let SocketAddr::V4(address) = address else { panic!("{address} is not IPv4") };
    address
}

impl Server {
    /// A server whose connections `serve` handles.
    async fn start<F>(name: &str, serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = tokio::net::TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let address = v4(listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream));
            }
        });
        Self { name: name.to_owned(), address, connections }
    }

    /// Answers every request with its name, the request line and the headers that came, one a line, and the body.
    async fn echo(name: &str) -> Self {
        let named = name.to_owned();
        Self::start(name, move |stream| {
            let name = named.clone();
            let answer = service_fn(move |request| echo(name.clone(), request));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            async move {
                let _ = connection.await;
            }
        })
        .await
    }

    /// Reads one request's head, sends `answer` as it is and closes.
    async fn saying(answer: &'static str) -> Self {
        Self::start("raw", move |mut stream| async move {
            head(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await
    }
}

async fn echo(name: String, request: Request<Incoming>) -> Result<Response<Full<bytes::Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut text = format!("{name}\n{} {}\n", parts.method, parts.uri);
    for (key, value) in &parts.headers {
        text.push_str(&format!("{key}: {}\n", value.to_str().unwrap()));
    }
    text.push_str(std::str::from_utf8(&body).unwrap());
    Ok(Response::new(Full::from(text)))
}

/// Reads up to the end of a head.
async fn head(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => read.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(read).unwrap()
}

/// A proxy with one listener: `/cluster1` and `/cluster1/*` reach the group `light`, the default is a 404.
struct Bench {
    live: Live,
    listening: Option<Arc<Listening>>,
    address: SocketAddr,
    idle_timeout: Duration,
    client_keep_alive: Duration,
    /// The folder of the certificates, where the listener speaks TLS.
    certificates: Option<tempfile::TempDir>,
    transforms: Transforms,
    stickiness: Option<Stickiness>,
    access_log: Option<AccessLog>,
    http2: bool,
}

impl Bench {
    async fn with(targets: &[(&Server, Standing)]) -> Self {
        Self::patient(targets, Duration::from_secs(60)).await
    }

    async fn patient(targets: &[(&Server, Standing)], idle_timeout: Duration) -> Self {
        Self::start(targets, idle_timeout, None).await
    }

    async fn secure(targets: &[(&Server, Standing)]) -> Self {
        Self::start(targets, Duration::from_secs(60), Some(tempfile::tempdir().unwrap())).await
    }

    async fn start(
        targets: &[(&Server, Standing)],
        idle_timeout: Duration,
        certificates: Option<tempfile::TempDir>,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let client_keep_alive = Duration::from_secs(3600);
        let home = certificates.as_ref().map(|folder| Certificates::of(folder.path().to_owned()));
        let live = Live::new(1, home.unwrap_or_default());
        let mut bench = Self {
            live,
            listening: None,
            address,
            idle_timeout,
            client_keep_alive,
            certificates,
            transforms: Transforms::default(),
            stickiness: None,
            access_log: None,
            http2: true,
        };
        bench.route(targets);
        let listening = bench.listening.clone().unwrap();
        tokio::spawn(listening.accept(listener, LaneIndex(0)));
        bench
    }

    /// Puts a new routing in place.
    fn route(&mut self, targets: &[(&Server, Standing)]) {
        let healthy = targets.iter().any(|(_, standing)| *standing == Standing::Healthy);
        let group = TargetGroupRoutes {
            arn: "light".to_owned(),
            full_name: "targetgroup/light/1".to_owned(),
            load_balancer: "app/lab/1".to_owned(),
            algorithm: Algorithm::RoundRobin,
            slow_start: Duration::ZERO,
            stickiness: self.stickiness.clone(),
            fails_open: !healthy,
            targets: targets
                .iter()
                .map(|(server, standing)| TargetRoute {
                    id: TargetId { instance: server.name.clone(), port: server.address.port() },
                    address: server.address,
                    zone: "us-east-1a".to_owned(),
                    standing: *standing,
                    healthy_since: None,
                })
                .collect(),
        };
        let forward = Forward {
            target_groups: vec![WeightedTargetGroup { arn: "light".to_owned(), weight: 1 }],
            stickiness: None,
        };
        let paths = Condition::PathPattern(vec!["/cluster1".to_owned(), "/cluster1/*".to_owned()]);
        let listener = ListenerRoutes {
            arn: "listener".to_owned(),
            address: v4(self.address),
            settings: Arc::new(Settings {
                load_balancer: "app/lab/1".to_owned(),
                zone: "us-east-1a".to_owned(),
                port: 80,
                idle_timeout: self.idle_timeout,
                client_keep_alive: self.client_keep_alive,
                forwarded_for: ForwardedFor::Append,
                forwarded_for_port: false,
                drop_invalid_headers: false,
                secure: self.certificates.is_some(),
                http2: self.http2,
                tells_tls: true,
                certificate: None,
                access_log: self.access_log.clone(),
            }),
            rules: vec![RuleRoute {
                priority: 1,
                conditions: vec![paths],
                action: Action::Forward(forward),
                transforms: self.transforms.clone(),
            }],
            default: Action::FixedResponse(FixedResponse {
                status: 404,
                content_type: "text/plain".to_owned(),
                body: "no such cluster\n".to_owned(),
            }),
        };
        let tables = self.live.tables(Routing { listeners: vec![listener], target_groups: vec![group] });
        let [table] = tables.try_into().unwrap();
        match &self.listening {
            Some(listening) => drop(listening.replace(table)),
            None => self.listening = Some(Arc::new(Listening::new(table, CancellationToken::new()))),
        }
    }

    /// Sends the bytes on a connection of their own and reads until the proxy closes.
    async fn raw(&self, bytes: &str) -> String {
        String::from_utf8(self.raw_bytes(bytes.as_bytes()).await).unwrap()
    }

    async fn raw_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.raw(&format!("GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        (status(head), body.to_owned())
    }

    /// The first lines of the bodies of `count` answers, counted.
    async fn shares(&self, count: usize) -> BTreeMap<String, usize> {
        let mut shares = BTreeMap::new();
        for _ in 0..count {
            let (status, body) = self.get("/cluster1").await;
            assert_eq!(status, 200, "{body}");
            *shares.entry(body.lines().next().unwrap().to_owned()).or_default() += 1;
        }
        shares
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status: {answer:?}"))
}

fn counts(pairs: &[(&str, usize)]) -> BTreeMap<String, usize> {
    pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[tokio::test]
async fn requests_take_turns_evenly() {
    let (a, b, c) = (Server::echo("a").await, Server::echo("b").await, Server::echo("c").await);
    let bench = Bench::with(&[(&a, Standing::Healthy), (&b, Standing::Healthy), (&c, Standing::Healthy)]).await;
    assert_eq!(bench.shares(30).await, counts(&[("a", 10), ("b", 10), ("c", 10)]));
}

#[tokio::test]
async fn rules_decide_by_the_path_alone_and_the_default_answers_the_rest() {
    let a = Server::echo("a").await;
    let bench = Bench::with(&[(&a, Standing::Healthy)]).await;
    assert_eq!(bench.get("/cluster1?x=/other").await.0, 200);
    assert_eq!(bench.get("/cluster1/deep/er").await.0, 200);
    for elsewhere in ["/", "/cluster10", "/Cluster1", "/x/cluster1"] {
        assert_eq!(bench.get(elsewhere).await, (404, "no such cluster\n".to_owned()), "{elsewhere}");
    }
}

#[tokio::test]
async fn only_healthy_targets_are_asked_while_there_is_one() {
    let (a, b) = (Server::echo("a").await, Server::echo("b").await);
    let bench = Bench::with(&[(&a, Standing::Healthy), (&b, Standing::Doubtful)]).await;
    assert_eq!(bench.shares(6).await, counts(&[("a", 6)]));
}

#[tokio::test]
async fn all_targets_are_asked_when_none_is_healthy() {
    let (a, b) = (Server::echo("a").await, Server::echo("b").await);
    let bench = Bench::with(&[(&a, Standing::Doubtful), (&b, Standing::Doubtful)]).await;
    assert_eq!(bench.shares(6).await, counts(&[("a", 3), ("b", 3)]));
}

#[tokio::test]
async fn without_a_target_the_answer_is_503() {
    let a = Server::echo("a").await;
    let bench = Bench::with(&[(&a, Standing::Unused)]).await;
    let (status, page) = bench.get("/cluster1").await;
    assert_eq!(status, 503);
    assert!(page.contains("<h1>503 Service Temporarily Unavailable</h1>"), "{page}");
}

#[tokio::test]
async fn a_draining_target_finishes_what_it_has_and_gets_nothing_new() {
    let release = Arc::new(Notify::new());
    let asked = Arc::new(Notify::new());
    let (waits, asks) = (Arc::clone(&release), Arc::clone(&asked));
    let slow = Server::start("slow", move |mut stream| {
        let (waits, asks) = (Arc::clone(&waits), Arc::clone(&asks));
        async move {
            head(&mut stream).await;
            asks.notify_one();
            waits.notified().await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow").await.unwrap();
        }
    })
    .await;
    let other = Server::echo("other").await;
    let mut bench = Bench::with(&[(&slow, Standing::Healthy)]).await;
    let address = bench.address;
    let first = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /cluster1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    });
    asked.notified().await;
    bench.route(&[(&slow, Standing::Draining), (&other, Standing::Healthy)]);
    assert_eq!(bench.shares(4).await, counts(&[("other", 4)]));
    assert_eq!(bench.live.idle_draining(), []);
    let drained = Arc::clone(&bench.live.drained);
    release.notify_one();
    assert!(first.await.unwrap().ends_with("slow"));
    drained.notified().await;
    assert_eq!(bench.live.idle_draining().len(), 1);
}

/// What is in flight when the deregistration delay is over is cut, and the client gets a 502 (ELB user guide, "Deregistration
/// delay"); where its answer has begun, the connection ends.
#[tokio::test]
async fn a_request_does_not_outlive_the_deregistration_delay_of_its_target() {
    for (said, answered) in [("", "HTTP/1.1 502"), ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "HTTP/1.1 200")]
    {
        let asked = Arc::new(Notify::new());
        let asks = Arc::clone(&asked);
        let stuck = Server::start("stuck", move |mut stream| {
            let asks = Arc::clone(&asks);
            async move {
                head(&mut stream).await;
                stream.write_all(said.as_bytes()).await.unwrap();
                asks.notify_one();
                // Until the proxy closes.
                let _ = stream.read_u8().await;
            }
        })
        .await;
        let mut bench = Bench::with(&[(&stuck, Standing::Healthy)]).await;
        let address = bench.address;
        let client = tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /cluster1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            String::from_utf8(answer).unwrap()
        });
        asked.notified().await;
        bench.route(&[(&stuck, Standing::Draining)]);
        assert!(!client.is_finished());
        bench.route(&[]);
        let answer = client.await.unwrap();
        assert!(answer.starts_with(answered), "{answer}");
    }
}

#[tokio::test]
async fn a_target_that_refuses_resets_or_talks_nonsense_is_a_502() {
    let gone = Server::saying("").await;
    let closed = tokio::net::TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let refuses = Server { address: v4(closed.local_addr().unwrap()), ..Server::saying("").await };
    drop(closed);
    let nonsense = Server::saying("this is not HTTP\r\n\r\n").await;
    for server in [&gone, &refuses, &nonsense] {
        let bench = Bench::with(&[(server, Standing::Healthy)]).await;
        let (status, page) = bench.get("/cluster1").await;
        assert_eq!(status, 502);
        assert!(page.contains("<h1>502 Bad Gateway</h1>"), "{page}");
    }
}

#[tokio::test]
async fn a_target_that_stays_silent_is_a_504() {
    let silent = Server::start("silent", |mut stream| async move {
        head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let bench = Bench::patient(&[(&silent, Standing::Healthy)], Duration::from_millis(50)).await;
    assert_eq!(bench.get("/cluster1").await.0, 504);
}

#[tokio::test]
async fn connections_to_targets_are_kept_and_shared_by_clients() {
    let a = Server::echo("a").await;
    let bench = Bench::with(&[(&a, Standing::Healthy)]).await;
    bench.shares(20).await;
    assert_eq!(a.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_kept_connection_that_the_target_closes_costs_no_request() {
    let once = Server::start("once", |mut stream| async move {
        head(&mut stream).await;
        // Says nothing of closing, and closes when the next request comes.
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nonce\n").await.unwrap();
        head(&mut stream).await;
    })
    .await;
    let bench = Bench::with(&[(&once, Standing::Healthy)]).await;
    assert_eq!(bench.shares(5).await, counts(&[("once", 5)]));
}

#[tokio::test]
async fn targets_see_who_asked_and_clients_see_no_connection_fields() {
    let a = Server::echo("a").await;
    let bench = Bench::with(&[(&a, Standing::Healthy)]).await;
    let answer = bench
        .raw("GET /cluster1?q=1 HTTP/1.1\r\nHost: a.example:8080\r\nX-Forwarded-For: 9.9.9.9\r\nConnection: close, X-Gone\r\nX-Gone: 1\r\nKeep-Alive: 5\r\n\r\n")
        .await;
    assert!(answer.contains("GET /cluster1?q=1\n"), "{answer}");
    for expected in [
        "host: a.example:8080\n",
        "x-forwarded-for: 9.9.9.9, 127.0.0.1\n",
        "x-forwarded-proto: http\n",
        "x-forwarded-port: 80\n",
        "x-amzn-trace-id: Root=1-",
    ] {
        assert!(answer.contains(expected), "{expected} is not in {answer}");
    }
    assert!(!answer.contains("x-gone") && !answer.contains("keep-alive: 5"), "{answer}");
}

#[tokio::test]
async fn bodies_pass_whole_whatever_their_framing() {
    let a = Server::echo("a").await;
    let bench = Bench::with(&[(&a, Standing::Healthy)]).await;
    let post = "POST /cluster1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    let chunked = bench.raw(&format!("{post}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")).await;
    assert!(chunked.ends_with("\nabcde"), "{chunked}");
    let long = "x".repeat(200_000);
    let sized = bench.raw(&format!("{post}Expect: 100-continue\r\nContent-Length: 200000\r\n\r\n{long}")).await;
    assert!(sized.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK") && sized.ends_with(&long));
    let head = bench.raw("HEAD /cluster1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.ends_with("\r\n\r\n"), "{head}");
    let old = bench.raw("GET /cluster1 HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&old), 200);
}

#[tokio::test]
async fn requests_that_two_servers_could_read_differently_never_reach_a_target() {
    let a = Server::echo("a").await;
    let bench = Bench::with(&[(&a, Standing::Healthy)]).await;
    let smuggled = "GET /cluster1/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let attempts = [
        ("Host: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n", "abcde"),
        ("Host: a\r\nContent-Length: +4\r\n", "abcd"),
        ("Host: a\r\nTransfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        ("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
        ("Host: a\r\nTransfer-Encoding: chunked\r\n", "zz\r\n\r\n"),
        ("Host : a\r\n", ""),
        ("Host: a\r\nHost: b\r\n", ""),
        ("X-No-Host: 1\r\n", ""),
    ];
    for (fields, body) in attempts {
        let answer = bench.raw(&format!("POST /cluster1 HTTP/1.1\r\n{fields}\r\n{body}{smuggled}")).await;
        let refused = answer.is_empty() || matches!(status(&answer), 400 | 501 | 502);
        assert!(refused && !answer.contains("smuggled"), "{fields:?}: {answer}");
    }
    let both = "Host: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n";
    let answer = bench.raw(&format!("POST /cluster1 HTTP/1.1\r\n{both}\r\n0\r\n\r\n{smuggled}")).await;
    assert!(!answer.contains("content-length: 4\n") && !answer.contains("smuggled"), "{answer}");
    let trace = bench.raw("TRACE /cluster1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&trace), 405);
}

#[tokio::test]
async fn a_request_is_counted_where_its_target_is() {
    let a = Server::echo("a").await;
    let bench = Bench::with(&[(&a, Standing::Healthy)]).await;
    bench.shares(3).await;
    bench.get("/elsewhere").await;
    let mut drained = Drained::new(1);
    for target in bench.live.targets() {
        let labels =
            TargetLabels { load_balancer: "app/lab/1", target_group: "targetgroup/light/1", zone: "us-east-1a" };
        assert_eq!(drained.target(&target.lanes[0].meter, labels), 3);
    }
    for front in bench.live.fronts() {
        let meter = front.drain();
        assert_eq!(meter.fixed_responses.load(Relaxed), 1);
        assert_eq!(meter.new_connections.load(Relaxed), 4);
        // Each met the one rule, which is among the ten free ones.
        assert_eq!((meter.rule_evaluations.load(Relaxed), meter.charged_rules.load(Relaxed)), (4, 0));
    }
}

/// Why the one listener cannot be served.
fn problem(region: &Region) -> Option<String> {
    region.read(|world| world.services.elbv2.listeners.values().find_map(|listener| listener.problem.clone()))
}

fn ask(region: &Region, service: Service, operation: &str, params: Value) -> Params {
    let Value::Map(params) = params else { panic!("parameters are a map") };
    let request = crate::region::wire::Request { service, operation: operation.to_owned(), params: Params(params) };
    let Value::Map(answer) = region.call(&request).unwrap() else { panic!("an answer is a map") };
    Params(answer)
}

#[tokio::test]
async fn a_listener_whose_port_is_taken_says_so_and_is_served_once_the_port_is_free() {
    let (region, _outward) = Region::new(World::new("us-east-1", 5).in_block(BLOCKS - 1));
    let region = Arc::new(region);
    let stop = CancellationToken::new();
    let home = tempfile::tempdir().unwrap();
    let plane = start(Arc::clone(&region), home.path(), &stop).unwrap();
    let mut changes = region.subscribe();

    let subnets = ask(&region, Service::Ec2, "DescribeSubnets", Value::map()).maps("subnetSet");
    let subnets = Value::list(subnets[..2].iter().map(|subnet| Value::from(subnet.text("subnetId").unwrap())));
    let params = Value::map().with("Name", Value::from("lab")).with("Subnets", subnets);
    let created = ask(&region, Service::Elbv2, "CreateLoadBalancer", params).maps("LoadBalancers")[0].clone();
    let address: Ipv4Addr = created.text("DNSName").unwrap().parse().unwrap();
    let taken = TcpListener::bind((address, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let fixed = Value::map().with("StatusCode", Value::from("404")).with("MessageBody", Value::from("nobody"));
    let action = Value::map().with("Type", Value::from("fixed-response")).with("FixedResponseConfig", fixed);
    let params = Value::map()
        .with("LoadBalancerArn", Value::from(created.text("LoadBalancerArn").unwrap()))
        .with("Protocol", Value::from("HTTP"))
        .with("Port", Value::from(port))
        .with("DefaultActions", Value::list([action]));
    let listener = ask(&region, Service::Elbv2, "CreateListener", params).maps("Listeners")[0].clone();

    let reason = loop {
        match problem(&region) {
            Some(reason) => break reason,
            None => changes.changed().await.unwrap(),
        }
    };
    assert!(reason.contains(&format!("cannot listen on {address}:{port}")), "{reason}");
    drop(taken);
    while problem(&region).is_some() {
        changes.changed().await.unwrap();
    }
    let mut stream = TcpStream::connect((address, port)).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(status(&head(&mut stream).await), 404);

    let arn = Value::from(listener.text("ListenerArn").unwrap());
    ask(&region, Service::Elbv2, "DeleteListener", Value::map().with("ListenerArn", arn));
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"nobody", "the kept connection is closed with its listener");
    stop.cancel();
    plane.await.unwrap();
    assert!(TcpStream::connect((address, port)).await.is_err());
}
