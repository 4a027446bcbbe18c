//! The sample application over real connections: who answers, how slowly, and how it ends.

use std::net::Ipv4Addr;

use http_body_util::BodyExt;
use hyper::client::conn::http1::{SendRequest, handshake};

use super::*;

fn options() -> Options {
    Options {
        bind: Some(Ipv4Addr::LOCALHOST.into()),
        port: 0,
        instance_id: Some("i-0123456789abcdef0".into()),
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        rate: None,
        burn: Duration::ZERO,
    }
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
    let server = Server::start(options()).await.unwrap();
    let (address, stop) = (server.address().unwrap(), CancellationToken::new());
    let serving = tokio::spawn(server.serve(stop.clone()));
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
    let server = Server::start(Options { delay: Duration::from_millis(100), ..options() }).await.unwrap();
    let (address, stop) = (server.address().unwrap(), CancellationToken::new());
    let application = Arc::clone(&server.application);
    let serving = tokio::spawn(server.serve(stop.clone()));
    let mut sender = client(address).await;
    let answer = tokio::spawn(async move { get(&mut sender, "/").await });
    // Held by this test, the server, the connection and, while it is answered, the request.
    while Arc::strong_count(&application) < 4 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    assert_eq!(answer.await.unwrap().0, 200);
    serving.await.unwrap();
}

#[tokio::test]
async fn beyond_its_rate_it_refuses_but_stays_healthy() {
    let server = Server::start(Options { rate: Some(0.01), ..options() }).await.unwrap();
    let pace = server.application.pace.as_ref().unwrap();
    let now = clock::instant();
    while pace.lock().unwrap().admit(now).is_some() {}
    let (address, stop) = (server.address().unwrap(), CancellationToken::new());
    let serving = tokio::spawn(server.serve(stop.clone()));
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
    let metadata = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(|request: Request<Incoming>| async move {
            let header =
                |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let body = match (request.method().as_str(), request.uri().path()) {
                ("PUT", "/latest/api/token") if header("x-aws-ec2-metadata-token-ttl-seconds").is_some() => "TOKEN",
                _ if header("x-aws-ec2-metadata-token").as_deref() != Some("TOKEN") => "unauthorized",
                ("GET", "/latest/meta-data/instance-id") => "i-0fedcba9876543210",
                ("GET", "/latest/meta-data/local-ipv4") => "127.31.0.9",
                _ => "not found",
            };
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(body.as_bytes()))))
        });
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    });
    let identity = identity::ask(&endpoint).await.unwrap();
    assert_eq!(identity.instance_id, "i-0fedcba9876543210");
    assert_eq!(identity.address, "127.31.0.9".parse::<IpAddr>().unwrap());
    metadata.await.unwrap();
}

#[tokio::test]
async fn without_a_metadata_service_the_problem_says_what_to_do() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let problem = identity::ask(&endpoint).await.unwrap_err();
    assert_eq!(problem.summary, "The metadata service does not answer");
    assert!(problem.hint.unwrap().contains("--instance-id"));
}

#[tokio::test]
async fn a_port_that_is_taken_is_a_problem() {
    let server = Server::start(options()).await.unwrap();
    let port = server.address().unwrap().port();
    let problems = Server::start(Options { port, ..options() }).await.unwrap_err();
    assert_eq!(problems.0[0].summary, "Cannot listen");
}
