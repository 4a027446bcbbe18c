//! The sample application over real connections: who answers, how slowly, and how it ends.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use http_body_util::BodyExt;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::*;

fn place() -> Place {
    Place { bind: Some(Ipv4Addr::LOCALHOST.into()), port: 0, instance_id: Some("i-0123456789abcdef0".into()) }
}

fn options() -> Options {
    Options { delay: Duration::ZERO, jitter: Duration::ZERO, rate: None, burn: Duration::ZERO, model: None }
}

async fn client(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn get(sender: &mut SendRequest<Full<Bytes>>, path: &str) -> (u16, String, String) {
    sender.ready().await.unwrap();
    let request = Request::get(path).header("host", "x").body(Full::default()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let instance = answer.headers()["x-instance-id"].to_str().unwrap().to_owned();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, instance, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn every_path_answers_with_the_instance_on_one_connection() {
    let server = Server::start(&place(), options()).await.unwrap();
    let (address, stop) = (server.address().unwrap(), CancellationToken::new());
    let serving = tokio::spawn(server.serve(stop.clone(), |_| {}));
    let mut sender = client(address).await;
    for path in ["/health", "/cluster1", "/any/thing?x=1"] {
        let (status, instance, body) = get(&mut sender, path).await;
        assert_eq!((status, instance.as_str(), body.as_str()), (200, "i-0123456789abcdef0", "i-0123456789abcdef0\n"));
    }
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn a_request_in_flight_is_finished_at_the_end() {
    let server = Server::start(&place(), Options { delay: Duration::from_millis(100), ..options() }).await.unwrap();
    let (address, stop) = (server.address().unwrap(), CancellationToken::new());
    let application = Arc::clone(&server.application);
    let serving = tokio::spawn(server.serve(stop.clone(), |_| {}));
    let mut sender = client(address).await;
    let answer = tokio::spawn(async move { get(&mut sender, "/").await });
    // Held by this test, the server and what reports for it, the connection and, while it is answered, the request.
    while Arc::strong_count(&application) < 5 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    assert_eq!(answer.await.unwrap().0, 200);
    serving.await.unwrap();
}

#[tokio::test]
async fn beyond_its_rate_it_refuses_but_stays_healthy() {
    let server = Server::start(&place(), Options { rate: Some(0.01), ..options() }).await.unwrap();
    let processor = server.application.processor.as_ref().unwrap();
    let now = clock::instant();
    while processor.lock().unwrap().admit(now, (0.5, 0.5)).is_some() {}
    let (address, stop) = (server.address().unwrap(), CancellationToken::new());
    let serving = tokio::spawn(server.serve(stop.clone(), |_| {}));
    let mut sender = client(address).await;
    assert_eq!(get(&mut sender, "/").await.0, 503);
    assert_eq!(get(&mut sender, "/health").await.0, 200);
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn an_instance_learns_who_it_is_from_the_metadata_service() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let service = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(|request: Request<Incoming>| async move {
            let header =
                |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let body = match (request.method().as_str(), request.uri().path()) {
                ("PUT", "/latest/api/token") if header("x-aws-ec2-metadata-token-ttl-seconds").is_some() => "TOKEN",
                _ if header("x-aws-ec2-metadata-token").as_deref() != Some("TOKEN") => "unauthorized",
                ("GET", "/latest/meta-data/instance-id") => "i-0fedcba9876543210",
                ("GET", "/latest/meta-data/local-ipv4") => "127.31.0.9",
                ("GET", "/latest/meta-data/instance-type") => "t2.large",
                _ => "not found",
            };
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(body.as_bytes()))))
        });
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    });
    let identity = metadata::ask(&endpoint).await.unwrap();
    assert_eq!(identity.instance_id, "i-0fedcba9876543210");
    assert_eq!(identity.address, "127.31.0.9".parse::<IpAddr>().unwrap());
    service.await.unwrap();
}

#[tokio::test]
async fn without_a_metadata_service_the_problem_says_what_to_do() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let problem = metadata::ask(&endpoint).await.unwrap_err();
    assert_eq!(problem.summary, "The metadata service does not answer");
    assert!(problem.hint.unwrap().contains("--instance-id"));
}

#[tokio::test]
async fn a_port_that_is_taken_is_a_problem() {
    let server = Server::start(&place(), options()).await.unwrap();
    let port = server.address().unwrap().port();
    let problems = Server::start(&Place { port, ..place() }, options()).await.unwrap_err();
    assert_eq!(problems.0[0].summary, "Cannot listen");
}

#[tokio::test]
async fn a_modelled_processor_has_as_many_cpus_as_its_type_or_as_one_says() {
    let model = Model { service_time: Duration::from_millis(20), distribution: Distribution::Fixed, vcpus: None };
    let at_once = |processor: &mut Processor| {
        let now = clock::instant();
        (0..100)
            .filter_map(|_| processor.admit(now, (0.5, 0.5)))
            .filter(|done| *done - now == model.service_time)
            .count()
    };
    // DescribeInstanceTypes: t2.large has 2, m4.xlarge 4.
    for (name, vcpus) in [("t2.large", 2), ("m4.xlarge", 4)] {
        assert_eq!(at_once(&mut model.processor(Some(name)).unwrap()), vcpus, "{name}");
    }
    assert_eq!(at_once(&mut Model { vcpus: Some(3), ..model }.processor(None).unwrap()), 3);
    let unknown = model.processor(Some("q9.huge")).unwrap_err();
    assert!(unknown.detail.contains("q9.huge") && unknown.hint.unwrap().contains("--vcpus"));
}

#[tokio::test]
async fn requests_wait_for_the_modelled_processor_and_health_checks_do_not() {
    let model = Model { service_time: Duration::from_millis(60), distribution: Distribution::Fixed, vcpus: Some(1) };
    let server = Server::start(&place(), Options { model: Some(model), ..options() }).await.unwrap();
    let (address, stop) = (server.address().unwrap(), CancellationToken::new());
    let application = Arc::clone(&server.application);
    let serving = tokio::spawn(server.serve(stop.clone(), |_| {}));
    let started = clock::instant();
    let (mut first, mut second, mut health) = (client(address).await, client(address).await, client(address).await);
    let both = futures_util::future::join(get(&mut first, "/"), get(&mut second, "/"));
    let ((), (one, two)) = futures_util::future::join(async { drop(get(&mut health, "/health").await) }, both).await;
    assert_eq!((one.0, two.0), (200, 200));
    assert!(started.elapsed() >= 2 * model.service_time, "one after the other");
    assert_eq!(application.busy(), 2 * model.service_time);
    stop.cancel();
    serving.await.unwrap();
}
