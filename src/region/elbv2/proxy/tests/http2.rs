//! Listeners that speak HTTP/2: a client of h2 on real connections.

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use hyper::HeaderMap;
use tokio::sync::Barrier;
use tokio::task::JoinHandle;

use super::secure::connect;
use super::*;
use crate::region::certificates::Authority;

type Sender = SendRequest<Bytes>;

/// A proxy behind TLS whose root clients can know.
async fn secure(targets: &[(&Server, Standing)], idle_timeout: Duration) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    Authority::of(folder.path()).unwrap();
    let mut bench = Bench::start(targets, idle_timeout, Some(folder)).await;
    bench.access_log = Some(AccessLog { bucket: "logs".to_owned(), prefix: String::new() });
    bench.route(targets);
    bench
}

async fn patient(targets: &[(&Server, Standing)]) -> Bench {
    secure(targets, Duration::from_secs(60)).await
}

/// A connection of HTTP/2; the task ends with it.
async fn client(bench: &Bench) -> (Sender, JoinHandle<Result<(), h2::Error>>) {
    let stream = connect(bench, "shop.example", &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    (sender, tokio::spawn(connection))
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("https://shop.example{path}")).body(()).unwrap()
}

/// Sends a head; a body may follow.
async fn send(sender: &Sender, request: Request<()>, ends: bool) -> (ResponseFuture, SendStream<Bytes>) {
    sender.clone().ready().await.unwrap().send_request(request, ends).unwrap()
}

async fn read(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut read = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        read.extend_from_slice(&data);
    }
    Ok(read)
}

async fn answer(response: ResponseFuture) -> Result<(u16, HeaderMap, String), h2::Error> {
    let (parts, body) = response.await?.into_parts();
    Ok((parts.status.as_u16(), parts.headers, String::from_utf8(read(body).await?).unwrap()))
}

async fn ask(sender: &Sender, request: Request<()>) -> Result<(u16, HeaderMap, String), h2::Error> {
    answer(send(sender, request, true).await.0).await
}

/// Sends a body as the proxy takes it.
async fn upload(mut stream: SendStream<Bytes>, mut body: Bytes) {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap();
        let part = body.split_to(room.min(body.len()));
        stream.send_data(part, body.is_empty()).unwrap();
    }
}

/// As soon as it holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        clock::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

fn line(bench: &Bench) -> String {
    bench.live.fronts().map(|front| front.take_lines()).collect()
}

#[tokio::test]
async fn a_request_of_http_2_reaches_a_target_in_http_1_and_is_logged_as_h2() {
    let a = Server::echo("a").await;
    let bench = patient(&[(&a, Standing::Healthy)]).await;
    let (sender, _connection) = client(&bench).await;
    let request = Request::get("https://shop.example/cluster1?x=1").header("cookie", "a=1").header("cookie", "b=2");
    let (status, fields, text) = ask(&sender, request.body(()).unwrap()).await.unwrap();
    assert_eq!(status, 200);
    assert!(fields.contains_key("date") && !fields.contains_key("connection"), "{fields:?}");
    assert!(text.starts_with("a\nGET /cluster1?x=1\nhost: shop.example\n"), "{text}");
    let told =
        "\nx-forwarded-for: 127.0.0.1\nx-forwarded-proto: https\nx-forwarded-port: 80\nx-amzn-tls-version: TLSv1.3\n";
    assert!(text.contains(told) && text.contains("\ncookie: a=1; b=2\n"), "{text}");
    assert!(text.contains("\nx-amzn-trace-id: Root=1-"), "{text}");
    let logged = line(&bench);
    // The user guide's example of an HTTP/2 entry: `h2 … "GET https://10.0.2.105:773/ HTTP/2.0"`.
    assert!(logged.starts_with("h2 ") && logged.contains(" 200 200 "), "{logged}");
    assert!(
        logged.contains(" \"GET https://shop.example:80/cluster1?x=1 HTTP/2.0\" \"-\" TLS_AES_256_GCM_SHA384 TLSv1.3 "),
        "{logged}"
    );
    assert!(logged.contains(" \"shop.example\" "), "{logged}");
    let (status, _, text) = ask(&sender, get("/other")).await.unwrap();
    assert_eq!((status, text.as_str()), (404, "no such cluster\n"), "a rule's own answer");
    let head = Request::head("https://shop.example/cluster1").body(()).unwrap();
    let (status, fields, text) = ask(&sender, head).await.unwrap();
    assert_eq!((status, text.as_str()), (200, ""));
    assert!(fields["content-length"].to_str().unwrap().parse::<u32>().unwrap() > 100, "{fields:?}");
}

#[tokio::test]
async fn bodies_of_some_megabytes_pass_both_ways() {
    let a = Server::echo("a").await;
    let bench = patient(&[(&a, Standing::Healthy)]).await;
    let (sender, _connection) = client(&bench).await;
    let body = Bytes::from("0123456789abcdef".repeat(200_000));
    let sized = Request::post("https://shop.example/cluster1").header("content-length", body.len());
    let asks_first = Request::post("https://shop.example/cluster1").header("expect", "100-continue");
    for request in [sized, Request::post("https://shop.example/cluster1"), asks_first] {
        let (response, stream) = send(&sender, request.body(()).unwrap(), false).await;
        let ((), answer) = tokio::join!(upload(stream, body.clone()), answer(response));
        let (status, _, text) = answer.unwrap();
        assert_eq!(status, 200);
        assert!(text.as_bytes().ends_with(&body), "{} bytes", text.len());
    }
}

#[tokio::test]
async fn fifty_requests_are_under_way_at_once_on_one_connection() {
    const COUNT: usize = 50;
    let all = Arc::new(Barrier::new(COUNT));
    let meets = Server::start("meets", move |mut stream| {
        let all = Arc::clone(&all);
        async move {
            head(&mut stream).await;
            all.wait().await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall").await.unwrap();
        }
    })
    .await;
    let bench = patient(&[(&meets, Standing::Healthy)]).await;
    let (sender, _connection) = client(&bench).await;
    let asked = (0..COUNT).map(|_| ask(&sender, get("/cluster1")));
    for answer in futures_util::future::join_all(asked).await {
        let (status, _, text) = answer.unwrap();
        assert_eq!((status, text.as_str()), (200, "all"));
    }
    let meter = bench.live.fronts().next().unwrap().drain();
    let counts = [&meter.new_connections, &meter.active_connections];
    assert_eq!(counts.map(|count| count.load(Relaxed)), [1, 1], "the connection, not its requests");
    drop(sender);
    until("closed", || bench.listening.as_ref().unwrap().connections.load(Relaxed) == 0).await;
}

/// A target that says when it was asked, and answers when it is told.
async fn waiting() -> (Server, Arc<Notify>, Arc<Notify>) {
    let (asked, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (asks, waits) = (Arc::clone(&asked), Arc::clone(&release));
    let server = Server::start("waits", move |mut stream| {
        let (asks, waits) = (Arc::clone(&asks), Arc::clone(&waits));
        async move {
            head(&mut stream).await;
            asks.notify_one();
            waits.notified().await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await;
        }
    })
    .await;
    (server, asked, release)
}

#[tokio::test]
async fn a_request_that_the_client_resets_is_a_460_and_its_neighbours_live() {
    let (server, asked, _release) = waiting().await;
    let bench = patient(&[(&server, Standing::Healthy)]).await;
    let (sender, _connection) = client(&bench).await;
    let (_response, mut stream) = send(&sender, get("/cluster1"), true).await;
    asked.notified().await;
    stream.send_reset(Reason::CANCEL);
    let logged = std::cell::RefCell::new(String::new());
    until("a line", || {
        logged.borrow_mut().push_str(&line(&bench));
        !logged.borrow().is_empty()
    })
    .await;
    let logged = logged.into_inner();
    assert!(logged.starts_with("h2 ") && logged.contains(" 460 - "), "{logged}");
    assert_eq!(bench.live.fronts().next().unwrap().drain().own_4xx.load(Relaxed), 1);
    assert_eq!(ask(&sender, get("/other")).await.unwrap().0, 404);
    assert!(bench.live.targets().all(|target| target.in_flight() == 0));
}

#[tokio::test]
async fn heads_have_the_limits_of_http_1() {
    let a = Server::echo("a").await;
    let bench = patient(&[(&a, Standing::Healthy)]).await;
    let (sender, _connection) = client(&bench).await;
    let long = |count: usize| "x".repeat(count);
    let with = |fields: usize, bytes: usize| {
        let request = Request::get("https://shop.example/cluster1");
        let all = (0..fields).fold(request, |request, at| request.header(format!("x-{at}"), long(bytes)));
        all.body(()).unwrap()
    };
    // User guide, "Quotas for your Application Load Balancers", HTTP headers.
    assert_eq!(ask(&sender, with(1, 15 * 1024)).await.unwrap().0, 200);
    assert_eq!(ask(&sender, with(1, 17 * 1024)).await.unwrap().0, 400);
    assert_eq!(ask(&sender, with(20, 4 * 1024)).await.unwrap().0, 400);
    assert_eq!(ask(&sender, get(&format!("/cluster1/{}", long(17 * 1024)))).await.unwrap().0, 414);
    assert_eq!(ask(&sender, Request::get("https://a@shop.example/cluster1").body(()).unwrap()).await.unwrap().0, 400);
    assert_eq!(ask(&sender, get("/cluster1")).await.unwrap().0, 200, "the connection goes on");
    let meter = bench.live.fronts().next().unwrap().drain();
    assert_eq!((meter.own_4xx.load(Relaxed), meter.new_connections.load(Relaxed)), (4, 1));
}

/// A frame (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Reads frames until one of the kind, and returns its stream and payload.
async fn until_frame(stream: &mut (impl tokio::io::AsyncRead + Unpin), kind: u8) -> (u8, Vec<u8>) {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; usize::from(head[1]) * 256 + usize::from(head[2])];
        stream.read_exact(&mut payload).await.unwrap();
        if head[3] == kind {
            return (head[8], payload);
        }
    }
}

#[tokio::test]
async fn fields_of_one_connection_are_refused() {
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const PROTOCOL_ERROR: [u8; 4] = [0, 0, 0, 1];
    let a = Server::echo("a").await;
    let bench = patient(&[(&a, Standing::Healthy)]).await;
    // By hand, for no client of HTTP/2 sends these (RFC 9113 §8.2.2: such a message is malformed).
    let mut stream = connect(&bench, "shop.example", &[b"h2"]).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let fields = [("connection", "close"), ("transfer-encoding", "chunked"), ("upgrade", "h2c"), ("te", "gzip")];
    for (id, (name, value)) in (1..).step_by(2).zip(fields) {
        // GET, https and / from the static table, the rest as it is (RFC 7541 appendix A and §6.2.2).
        let mut block = vec![0x82, 0x87, 0x84, 0x01, 1, b'a', 0x00];
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
        stream.write_all(&frame(HEADERS, 0x5, id, &block)).await.unwrap();
        assert_eq!(until_frame(&mut stream, RST_STREAM).await, (id, PROTOCOL_ERROR.to_vec()), "{name}");
    }
    stream.write_all(&frame(HEADERS, 0x5, 9, &[0x82, 0x87, 0x84, 0x01, 1, b'a'])).await.unwrap();
    assert_eq!(until_frame(&mut stream, HEADERS).await.0, 9, "the connection goes on");
}

#[tokio::test]
async fn a_removed_listener_says_goodbye_after_what_is_under_way() {
    let (server, asked, release) = waiting().await;
    let bench = patient(&[(&server, Standing::Healthy)]).await;
    let (sender, connection) = client(&bench).await;
    let (response, _stream) = send(&sender, get("/cluster1"), true).await;
    asked.notified().await;
    bench.listening.as_ref().unwrap().remove();
    // The farewell (GOAWAY) comes first: from then on the client sends nothing more.
    until("goodbye", || {
        let mut sender = sender.clone();
        let waker = std::task::Waker::noop();
        matches!(sender.poll_ready(&mut std::task::Context::from_waker(waker)), std::task::Poll::Ready(Err(_)))
    })
    .await;
    release.notify_one();
    let (status, _, text) = answer(response).await.unwrap();
    assert_eq!((status, text.as_str()), (200, "done"));
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_without_requests_ends_after_the_idle_timeout() {
    let a = Server::echo("a").await;
    let bench = secure(&[(&a, Standing::Healthy)], Duration::from_millis(300)).await;
    let (sender, connection) = client(&bench).await;
    assert_eq!(ask(&sender, get("/cluster1")).await.unwrap().0, 200);
    let began = clock::instant();
    connection.await.unwrap().unwrap();
    let took = clock::instant() - began;
    assert!(took >= Duration::from_millis(250) && took < Duration::from_secs(30), "{took:?}");
}

#[tokio::test]
async fn an_upload_that_stops_is_a_408_and_a_silent_target_a_504() {
    let silent = Server::start("silent", |mut stream| async move {
        head(&mut stream).await;
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    })
    .await;
    let bench = secure(&[(&silent, Standing::Healthy)], Duration::from_millis(300)).await;
    let (sender, _connection) = client(&bench).await;
    let post = Request::post("https://shop.example/cluster1").body(()).unwrap();
    let (response, mut stream) = send(&sender, post, false).await;
    stream.send_data(Bytes::from_static(b"a part"), false).unwrap();
    assert_eq!(answer(response).await.unwrap().0, 408);
    assert_eq!(ask(&sender, get("/cluster1")).await.unwrap().0, 504);
}

#[tokio::test]
async fn an_answer_before_the_upload_ends_it() {
    let early =
        Server::saying("HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmuch").await;
    let bench = patient(&[(&early, Standing::Healthy)]).await;
    let (sender, _connection) = client(&bench).await;
    let post = Request::post("https://shop.example/cluster1").body(()).unwrap();
    let (response, mut stream) = send(&sender, post, false).await;
    stream.send_data(Bytes::from_static(b"a part"), false).unwrap();
    let (status, _, text) = answer(response).await.unwrap();
    assert_eq!((status, text.as_str()), (413, "much"));
    let reset = std::future::poll_fn(|cx| stream.poll_reset(cx)).await.unwrap();
    assert_eq!(reset, Reason::NO_ERROR, "RFC 9113 §8.1");
}

#[tokio::test]
async fn a_body_that_is_not_whole_is_reset() {
    let server = Server::saying("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    let bench = patient(&[(&server, Standing::Healthy)]).await;
    let (sender, _connection) = client(&bench).await;
    let error = ask(&sender, get("/cluster1")).await.expect_err("not whole");
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
}

#[tokio::test]
async fn a_client_that_does_not_read_slows_its_target_and_nobody_else() {
    const LENGTH: usize = 64 * 1024 * 1024;
    let written = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&written);
    let big = Server::start("big", move |mut stream| {
        let counter = Arc::clone(&counter);
        async move {
            head(&mut stream).await;
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").as_bytes()).await;
            let part = vec![b'x'; 64 * 1024];
            while counter.load(Relaxed) < LENGTH && stream.write_all(&part).await.is_ok() {
                counter.fetch_add(part.len(), Relaxed);
            }
        }
    })
    .await;
    let bench = patient(&[(&big, Standing::Healthy)]).await;
    // The window of the connection is larger than that of a request, so that one does not take all of it.
    let stream = connect(&bench, "shop.example", &[b"h2"]).await.unwrap();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(64 * 1024).initial_connection_window_size(1024 * 1024);
    let (sender, connection) = builder.handshake(stream).await.unwrap();
    let _connection = tokio::spawn(connection);
    let response = send(&sender, get("/cluster1"), true).await.0.await.unwrap();
    // Neither what the kernel holds nor a client's window is known; the body is far larger than both.
    let known = std::cell::Cell::new(usize::MAX);
    until("the target waits", || known.replace(written.load(Relaxed)) == written.load(Relaxed)).await;
    assert!(written.load(Relaxed) < LENGTH / 2, "{}", written.load(Relaxed));
    assert_eq!(ask(&sender, get("/other")).await.unwrap().0, 404);
    assert_eq!(read(response.into_body()).await.unwrap().len(), LENGTH);
}

#[tokio::test]
async fn the_attribute_turns_http_2_off() {
    let a = Server::echo("a").await;
    let targets = [(&a, Standing::Healthy)];
    let mut bench = patient(&targets).await;
    bench.http2 = false;
    bench.route(&targets);
    let mut stream = connect(&bench, "shop.example", &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    stream.write_all(b"GET /cluster1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn http_2_without_tls_is_a_malformed_request() {
    let a = Server::echo("a").await;
    let bench = Bench::with(&[(&a, Standing::Healthy)]).await;
    let answer = bench.raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(status(&answer), 400);
}

#[tokio::test]
async fn grpc_does_not_fit_targets_of_http_1() {
    let a = Server::echo("a").await;
    let bench = patient(&[(&a, Standing::Healthy)]).await;
    let (sender, _connection) = client(&bench).await;
    for (content, expected) in [("application/grpc", 464), ("application/grpc+proto", 464), ("application/grpcx", 200)]
    {
        let post = Request::post("https://shop.example/cluster1").header("content-type", content);
        assert_eq!(ask(&sender, post.body(()).unwrap()).await.unwrap().0, expected, "{content}");
    }
    let logged = line(&bench);
    assert!(logged.lines().next().unwrap().contains(" - -1 -1 -1 464 - "), "{logged}");
}

#[tokio::test]
async fn requests_that_are_reset_as_soon_as_they_are_made_cost_no_one_else() {
    let (server, ..) = waiting().await;
    let bench = patient(&[(&server, Standing::Healthy)]).await;
    let (sender, _connection) = client(&bench).await;
    for _ in 0..2_000 {
        let Ok(mut ready) = sender.clone().ready().await else { break };
        let Ok((_, mut stream)) = ready.send_request(get("/cluster1"), true) else { break };
        stream.send_reset(Reason::CANCEL);
    }
    until("put away", || bench.live.targets().all(|target| target.in_flight() == 0)).await;
    let (other, _connection) = client(&bench).await;
    assert_eq!(ask(&other, get("/other")).await.unwrap().0, 404);
}
