//! Load in HTTP/2, against a server of h2 behind TLS.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use hyper::{Request, Response};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::arrivals::{Curve, Spacing};
use super::load::{Measured, Target, load};
use super::scenario::{Closed, Expect, Load, Scenario};
use super::tests::{Kept, scenario};
use crate::clock;
use crate::problem::Problem;
use crate::result::record::LatencyKind;

/// Whom the tests trust besides the machine's own.
pub struct Authority {
    pub certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

pub fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate").der().clone();
        Authority { certificate, issuer: Issuer::new(params, key) }
    })
}

fn acceptor(protocols: &[&[u8]]) -> TlsAcceptor {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &authority().issuer).expect("a certificate").der().clone();
    let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_no_client_auth().with_single_cert(vec![certificate], private);
    let mut config = config.expect("a certificate and its key");
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// A server of several characters, by path. It allows so many requests at once, and ends a connection after so many.
#[derive(Clone, Copy)]
struct Character {
    at_once: u32,
    ends_after: usize,
}

const PATIENT: Character = Character { at_once: 200, ends_after: usize::MAX };

async fn serve(character: Character) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let acceptor = acceptor(&[b"h2"]);
    let answered = Arc::new(AtomicU64::new(0));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, answered) = (acceptor.clone(), answered.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let mut builder = h2::server::Builder::new();
                builder.max_concurrent_streams(character.at_once);
                let Ok(mut connection) = builder.handshake(stream).await else { return };
                let mut asked = 0;
                while let Some(Ok((request, respond))) = connection.accept().await {
                    asked += 1;
                    if asked == character.ends_after {
                        connection.graceful_shutdown();
                    }
                    tokio::spawn(answer(request, respond, answered.clone()));
                }
            });
        }
    });
    address
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, answered: Arc<AtomicU64>) {
    let number = answered.fetch_add(1, Ordering::Relaxed);
    let mut response = Response::builder();
    let (parts, mut body) = request.into_parts();
    let mut content = Vec::new();
    match parts.uri.path() {
        "/turns" => response = response.header("X-Instance-Id", format!("i-{:017x}", number % 4)),
        "/body" => content = b"hello from i-0123456789abcdef0\n".to_vec(),
        "/echo" => {
            content = format!("{} {:?} ", parts.method, parts.headers.get("x-key")).into_bytes();
            while let Some(Ok(data)) = body.data().await {
                let _ = body.flow_control().release_capacity(data.len());
                content.extend_from_slice(&data);
            }
        }
        "/moved" => response = response.status(302).header("Location", "/turns"),
        "/fifty" => clock::sleep(Duration::from_millis(50)).await,
        "/slow" => clock::sleep(Duration::from_secs(60)).await,
        "/refuses" if number == 0 => return respond.send_reset(Reason::REFUSED_STREAM),
        "/refuses" => {}
        "/breaks" => return respond.send_reset(Reason::INTERNAL_ERROR),
        _ => response = response.status(404),
    }
    let Ok(mut stream) = respond.send_response(response.body(()).expect("a response"), content.is_empty()) else {
        return;
    };
    if !content.is_empty() {
        let _ = stream.send_data(content.into(), true);
    }
}

fn closed(users: u32, count: u64) -> Load {
    Load::Closed(Closed { users, iterations: Some(count), duration: None, think_time: Duration::ZERO })
}

fn http2(loads: Vec<Load>) -> Scenario {
    Scenario { http2: true, ..scenario(loads) }
}

/// On one worker.
async fn measure(scenario: &Scenario, address: SocketAddr, path: &str) -> Measured {
    let target = Target { name: "light".into(), url: format!("https://{address}{path}") };
    load(scenario, &[target], 1, &Kept::default(), &CancellationToken::new()).await.expect("the load runs")
}

#[tokio::test]
async fn users_share_a_connection_and_every_answer_is_checked() {
    let measured = measure(&http2(vec![closed(20, 400)]), serve(PATIENT).await, "/turns").await;
    let light = &measured.targets[0];
    assert_eq!((light.requests, light.errors, light.connections, light.retries), (400, 0, 1, 0));
    assert_eq!((&light.status, light.latency_kind), (&[(200, 400)].into(), LatencyKind::Service));
    assert_eq!(light.instances.values().copied().collect::<Vec<_>>(), [100; 4]);
    let measured = measure(&http2(vec![closed(1, 3)]), serve(PATIENT).await, "/body").await;
    assert_eq!(measured.targets[0].instances, [("i-0123456789abcdef0".into(), 3)].into());
}

#[tokio::test]
async fn beyond_a_hundred_users_there_is_another_connection() {
    let measured = measure(&http2(vec![closed(150, 600)]), serve(PATIENT).await, "/fifty").await;
    let light = &measured.targets[0];
    assert_eq!((light.requests, light.errors, light.connections), (600, 0, 2));
    // Four rounds of 50 ms; one after the other it would take 30 s.
    let took = measured.ended.duration_since(measured.started).as_secs_f64();
    assert!((0.2..10.0).contains(&took), "{took} s");
}

#[tokio::test]
async fn a_rate_is_sent_when_it_is_due_and_a_server_that_allows_few_at_once_makes_it_wait() {
    let open = || Load::Open { curve: Curve::constant(100.0, Duration::from_millis(500)), spacing: Spacing::Even };
    let measured = measure(&http2(vec![open()]), serve(PATIENT).await, "/fifty").await;
    let light = &measured.targets[0];
    assert_eq!((light.requests, light.errors, light.demanded, light.connections), (50, 0, Some(50), 1));
    let latency = light.latency_ms.expect("measured");
    assert!(light.latency_kind == LatencyKind::Response && latency.min >= 50.0, "{latency:?}");
    // One at a time: the fiftieth waits for 49 others of 50 ms each.
    let one = Character { at_once: 1, ..PATIENT };
    let mut patient = http2(vec![open()]);
    // On a busy machine the turns take longer than their 50 ms.
    patient.requests[0].timeout = Duration::from_secs(60);
    let measured = measure(&patient, serve(one).await, "/fifty").await;
    let light = &measured.targets[0];
    assert_eq!((light.requests, light.errors), (50, 0), "{:?}", light.errors_by_kind);
    let latency = light.latency_ms.expect("measured");
    assert!(latency.max >= 1_900.0, "its time goes on while it waits: {latency:?}");
}

#[tokio::test]
async fn bodies_go_both_ways_and_redirects_are_followed() {
    let mut posts = http2(vec![closed(4, 20)]);
    let request = &mut posts.requests[0];
    request.method = "POST".into();
    request.headers = vec![("X-Key".into(), "1".into())];
    request.body = [vec![b'a'; 300_000], b"the end".to_vec()].concat();
    request.expect = Expect { status: 200, contains: Some("POST Some(\"1\") aaa".into()) };
    let measured = measure(&posts, serve(PATIENT).await, "/echo").await;
    assert_eq!(
        (measured.targets[0].requests, measured.targets[0].errors),
        (20, 0),
        "{:?}",
        measured.targets[0].errors_by_kind
    );
    let follows = Scenario { redirects: 1, ..http2(vec![closed(1, 5)]) };
    let light = measure(&follows, serve(PATIENT).await, "/moved").await.targets.remove(0);
    assert_eq!((light.requests, light.errors, light.status), (5, 0, [(200, 5)].into()));
}

#[tokio::test]
async fn a_request_that_takes_too_long_costs_its_neighbours_nothing() {
    let mut slow = http2(vec![closed(2, 4)]);
    slow.requests[0].timeout = Duration::from_millis(100);
    let measured = measure(&slow, serve(PATIENT).await, "/slow").await;
    let light = &measured.targets[0];
    assert_eq!((&light.errors_by_kind, light.connections), (&[("timeout".into(), 4)].into(), 1));
}

#[tokio::test]
async fn a_connection_that_the_server_ends_is_no_error() {
    let short = Character { ends_after: 10, ..PATIENT };
    let measured = measure(&http2(vec![closed(5, 100)]), serve(short).await, "/turns").await;
    let light = &measured.targets[0];
    assert_eq!((light.requests, light.errors), (100, 0), "{:?}", light.errors_by_kind);
    assert!((5..=20).contains(&light.connections), "{}", light.connections);
}

#[tokio::test]
async fn what_the_server_refuses_unseen_is_sent_again_once_and_what_breaks_is_a_reset() {
    let mut post = http2(vec![closed(1, 2)]);
    post.requests[0].method = "POST".into();
    let light = measure(&post, serve(PATIENT).await, "/refuses").await.targets.remove(0);
    assert_eq!((light.requests, light.errors, light.retries, light.connections), (2, 0, 1, 1));
    let light = measure(&http2(vec![closed(1, 3)]), serve(PATIENT).await, "/breaks").await.targets.remove(0);
    assert_eq!((light.errors_by_kind, light.connections), ([("reset".into(), 3)].into(), 1));
}

#[tokio::test]
async fn a_server_without_http_2_is_a_protocol_error_and_not_loaded_in_http_1() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let acceptor = acceptor(&[b"http/1.1"]);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(acceptor.accept(stream).await);
        }
    });
    let measured = measure(&http2(vec![closed(1, 2)]), address, "/").await;
    assert_eq!(measured.targets[0].errors_by_kind, [("protocol".into(), 2)].into());
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound");
    let measured = measure(&http2(vec![closed(1, 2)]), nobody, "/").await;
    assert_eq!(measured.targets[0].errors_by_kind, [("connect".into(), 2)].into());
}

#[tokio::test]
async fn what_http_2_cannot_do_is_refused_before_anything_is_sent() {
    let refused = async |scenario: &Scenario, url: &str| -> Problem {
        let target = Target { name: "light".into(), url: url.into() };
        let outcome = load(scenario, &[target], 1, &Kept::default(), &CancellationToken::new()).await;
        outcome.expect_err(url)
    };
    let scenario = http2(vec![closed(1, 1)]);
    for url in ["http://127.0.0.1:1/", "https://127.0.0.1:1/<>"] {
        assert_eq!(refused(&scenario, url).await.summary, "Not to be loaded in HTTP/2", "{url}");
    }
    let alone = Scenario { keep_alive: false, ..scenario };
    assert_eq!(refused(&alone, "https://127.0.0.1:1/").await.summary, "Not to be loaded in HTTP/2");
}
