//! What once went wrong: slow, broken and hostile clients and targets, with real sockets.

use super::*;

const PATIENCE: Duration = Duration::from_millis(300);
/// Longer than anything a test waits for, short enough that a hang is seen.
const HANG: Duration = Duration::from_secs(5);

/// What one end of a connection does in a test.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG, future).await.unwrap_or_else(|_| panic!("{what} hangs"))
}

impl Bench {
    /// Answers of the load balancer's own: 4XX, 5XX.
    fn own(&self) -> (u64, u64) {
        let meters = self.live.fronts().map(|front| front.meter(LaneIndex(0)));
        meters.fold((0, 0), |(client, server), meter| {
            (client + meter.own_4xx.load(Relaxed), server + meter.own_5xx.load(Relaxed))
        })
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// Reads one answer with a Content-Length.
async fn answer(stream: &mut TcpStream) -> (String, String) {
    let head = head(stream).await;
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let _ = stream.read_to_end(&mut read).await;
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test]
async fn a_slow_upload_that_is_answered_early_does_not_hold_up_other_clients() {
    // Answers as soon as it has the head, and reads on.
    let early = Server::start("early", |mut stream| async move {
        loop {
            let head = head(&mut stream).await;
            if head.is_empty() {
                return;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly").await.unwrap();
            if head.starts_with("POST") {
                let mut body = [0; 100_000];
                if stream.read_exact(&mut body).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    let bench = Bench::with(&[(&early, Standing::Healthy)]).await;
    let mut slow = bench.connect().await;
    slow.write_all(b"POST /cluster1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nbegin").await.unwrap();
    assert_eq!(within("the early answer", answer(&mut slow)).await.1, "early");
    for _ in 0..5 {
        assert_eq!(within("another client", bench.get("/cluster1")).await, (200, "early".to_owned()));
    }
    // The upload goes on to its end, and the client's connection serves the next request.
    slow.write_all(&vec![b'x'; 100_000 - 5]).await.unwrap();
    slow.write_all(b"GET /cluster1 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(within("the next request", answer(&mut slow)).await.1, "early");
}

#[tokio::test]
async fn an_upload_may_take_longer_than_the_idle_timeout_while_data_flows() {
    let a = Server::echo("a").await;
    let bench = Bench::patient(&[(&a, Standing::Healthy)], PATIENCE).await;
    let mut client = bench.connect().await;
    client
        .write_all(b"POST /cluster1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 8\r\n\r\n")
        .await
        .unwrap();
    for byte in b"slowly,." {
        clock::sleep(PATIENCE / 3).await;
        client.write_all(&[*byte]).await.unwrap();
    }
    let answer = within("the answer", rest(&mut client)).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\nslowly,."), "{answer}");
}

#[tokio::test]
async fn a_client_that_stops_sending_is_a_408() {
    let a = Server::echo("a").await;
    let bench = Bench::patient(&[(&a, Standing::Healthy)], PATIENCE).await;
    let beginnings = [
        "POST /cluster1 HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nslow",
        "POST /cluster1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nslow",
        "GET /cluster1 HTTP/1.1\r\nHost:",
    ];
    for beginning in beginnings {
        let mut client = bench.connect().await;
        client.write_all(beginning.as_bytes()).await.unwrap();
        let answer = within("the answer", rest(&mut client)).await;
        assert_eq!(status(&answer), 408, "{answer}");
    }
    assert_eq!(bench.own(), (3, 0));
    // Who says nothing at all gets no answer that it could take for one to its next request.
    let mut silent = bench.connect().await;
    assert_eq!(within("the end", rest(&mut silent)).await, "");
    assert_eq!(bench.own(), (3, 0));
}

#[tokio::test]
async fn clients_faults_are_not_counted_as_the_load_balancers() {
    let a = Server::echo("a").await;
    let bench = Bench::with(&[(&a, Standing::Healthy)]).await;
    for _ in 0..20 {
        let post = "POST /cluster1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n";
        let answer = within("the answer", bench.raw(post)).await;
        assert_eq!(status(&answer), 400, "{answer}");
    }
    assert_eq!(bench.own(), (20, 0));
    for _ in 0..30 {
        let mut client = bench.connect().await;
        client.write_all(b"POST /cluster1 HTTP/1.1\r\nHost: a\r\nContent-Length: 80\r\n\r\nabc").await.unwrap();
        drop(client);
    }
    let all = async {
        while bench.own().0 < 50 {
            tokio::task::yield_now().await;
        }
    };
    within("counting the uploads that were broken off", all).await;
    assert_eq!(bench.own(), (50, 0));
}

#[tokio::test]
async fn a_response_that_two_clients_could_read_differently_is_a_502() {
    let responses = [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello!",
    ];
    for response in responses {
        let target = Server::saying(response).await;
        let bench = Bench::with(&[(&target, Standing::Healthy)]).await;
        let (status, body) = within(response, bench.get("/cluster1")).await;
        assert_eq!(status, 502, "{response:?}: {body}");
    }
}

#[tokio::test]
async fn limits_are_those_that_aws_documents() {
    // elasticloadbalancing/latest/application/load-balancer-limits.html, "HTTP headers": request line 16 K,
    // single header 16 K, entire request header 64 K.
    let a = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let bench = Bench::with(&[(&a, Standing::Healthy)]).await;
    let get = |path: &str, fields: &str| {
        format!("GET /cluster1/{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n")
    };
    let line = |bytes: usize| "x".repeat(bytes - "GET /cluster1/ HTTP/1.1".len());
    let field = |bytes: usize| format!("X-Long: {}\r\n", "y".repeat(bytes - "X-Long: ".len()));
    let fields = |count: usize| "A: b\r\n".repeat(count);
    let padded = |bytes: usize| {
        let rest = bytes - get("", "").len();
        let whole = "B: ".len() + "\r\n".len();
        let mut padding = String::new();
        for part in [rest / 8; 7].into_iter().chain([rest - rest / 8 * 7]) {
            padding.push_str(&format!("B: {}\r\n", "z".repeat(part - whole)));
        }
        get("", &padding)
    };
    assert_eq!(padded(65_536).len(), 65_536);
    let cases = [
        ("a line of 16 K", get(&line(16_384), ""), 200),
        ("a longer line", get(&line(16_385), ""), 414),
        ("a line that does not end", get(&line(70_000), "")[..60_000].to_owned(), 414),
        ("a header of 16 K", get("", &field(16_384)), 200),
        ("a longer header", get("", &field(16_385)), 400),
        ("a head of 64 K", padded(65_536), 200),
        ("a longer head", padded(65_537), 400),
        ("a much longer head", padded(100_000), 400),
        ("a thousand headers", get("", &fields(1000)), 200),
        ("nine thousand headers", get("", &fields(9000)), 200),
        ("eleven thousand headers", get("", &fields(11_000)), 400),
    ];
    for (what, request, expected) in cases {
        let answer = within(what, bench.raw(&request)).await;
        assert!(!answer.is_empty(), "{what}: no answer");
        assert_eq!(status(&answer), expected, "{what}");
    }
}

#[tokio::test]
async fn a_response_head_may_have_32_k_whatever_was_buffered_before() {
    for (bytes, expected) in [(32_768, 200), (32_769, 502), (70_000, 502)] {
        let target = Server::start("long", move |mut stream| async move {
            loop {
                if head(&mut stream).await.is_empty() {
                    return;
                }
                // An interim response before it, and all in one write.
                let start = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Long: ";
                let padding = "x".repeat(bytes - start.len() - "\r\n\r\n".len());
                let answer = format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{start}{padding}\r\n\r\nok");
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        })
        .await;
        let bench = Bench::with(&[(&target, Standing::Healthy)]).await;
        assert_eq!(within("the answer", bench.get("/cluster1")).await.0, expected, "{bytes}");
    }
}

#[tokio::test]
async fn a_client_that_never_reads_does_not_hold_its_target_for_ever() {
    let closed = Arc::new(Notify::new());
    let closes = Arc::clone(&closed);
    let endless = Server::start("endless", move |mut stream| {
        let closes = Arc::clone(&closes);
        async move {
            head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await.unwrap();
            while stream.write_all(&[b'x'; 65_536]).await.is_ok() {}
            closes.notify_one();
        }
    })
    .await;
    let bench = Bench::patient(&[(&endless, Standing::Healthy)], PATIENCE).await;
    let mut client = bench.connect().await;
    client.write_all(b"GET /cluster1 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    within("the target's connection", closed.notified()).await;
}

#[tokio::test]
async fn a_client_that_half_closes_after_its_request_gets_its_answer() {
    let a = Server::start("later", |mut stream| async move {
        head(&mut stream).await;
        clock::sleep(PATIENCE / 3).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlater").await.unwrap();
    })
    .await;
    let bench = Bench::with(&[(&a, Standing::Healthy)]).await;
    let mut client = bench.connect().await;
    client.write_all(b"GET /cluster1 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    client.shutdown().await.unwrap();
    let answer = within("the answer", rest(&mut client)).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("later"), "{answer:?}");
    assert_eq!(bench.own(), (0, 0));
}

#[tokio::test]
async fn a_client_that_leaves_before_its_answer_is_a_460() {
    let asked = Arc::new(Notify::new());
    let asks = Arc::clone(&asked);
    let later = Server::start("later", move |mut stream| {
        let asks = Arc::clone(&asks);
        async move {
            head(&mut stream).await;
            asks.notify_one();
            clock::sleep(PATIENCE / 3).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlater").await;
        }
    })
    .await;
    let bench = Bench::with(&[(&later, Standing::Healthy)]).await;
    for leaves_hard in [false, true] {
        let mut client = bench.connect().await;
        client.write_all(b"GET /cluster1 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        asked.notified().await;
        if leaves_hard {
            client.set_zero_linger().unwrap();
        }
        drop(client);
    }
    let both = async {
        while bench.own().0 < 2 {
            tokio::task::yield_now().await;
        }
    };
    within("counting clients that left", both).await;
    assert_eq!(bench.own(), (2, 0));
}

#[tokio::test]
async fn a_body_that_an_answer_of_our_own_does_not_need_is_not_the_next_request() {
    let a = Server::echo("a").await;
    let bench = Bench::with(&[(&a, Standing::Healthy)]).await;
    let inner = "GET /cluster1/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let next = "GET /cluster1/next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let post = format!("POST /elsewhere HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n", inner.len());
    let answer = within("the answers", bench.raw(&format!("{post}\r\n{inner}{next}"))).await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("/cluster1/next"), "{answer}");
    assert!(!answer.contains("smuggled"), "{answer}");
    // Who asks first may send the body or the next request: nobody knows, so nothing follows.
    let answer = within("the answer", bench.raw(&format!("{post}Expect: 100-continue\r\n\r\n{inner}{next}"))).await;
    assert!(answer.starts_with("HTTP/1.1 404") && !answer.contains("cluster1/"), "{answer}");
}

#[tokio::test]
async fn a_body_that_its_target_did_not_take_is_not_the_next_request() {
    // Closes without a word after the head; the body waits in the proxy.
    let closes = Server::start("closes", |mut stream| async move {
        head(&mut stream).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    let bench = Bench::with(&[(&closes, Standing::Healthy)]).await;
    let inner = "GET /elsewhere HTTP/1.1\r\nHost: a\r\n\r\n";
    for cut in [0, 10, inner.len()] {
        let mut client = bench.connect().await;
        let head = format!("POST /cluster1 HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", inner.len());
        client.write_all(format!("{head}{}", &inner[..cut]).as_bytes()).await.unwrap();
        clock::sleep(PATIENCE / 6).await;
        let _ = client.write_all(&inner.as_bytes()[cut..]).await;
        let _ = client.shutdown().await;
        let answer = within("the answer", rest(&mut client)).await;
        assert!(!answer.contains("no such cluster"), "{answer}");
    }
}

#[tokio::test]
async fn a_trace_has_one_self_however_many_load_balancers_it_passed() {
    // load-balancer-request-tracing.html: "is present and has a Self field, the load balancer updates the value".
    let a = Server::echo("a").await;
    let bench = Bench::with(&[(&a, Standing::Healthy)]).await;
    let trace = "Self=1-67891234-12456789abcdef0123456789;Root=1-67891233-abcdef012345678912345678;CalledFrom=app";
    let answer = bench
        .raw(&format!("GET /cluster1 HTTP/1.1\r\nHost: a\r\nX-Amzn-Trace-Id: {trace}\r\nConnection: close\r\n\r\n"))
        .await;
    let passed =
        answer.lines().find_map(|line| line.to_lowercase().strip_prefix("x-amzn-trace-id: ").map(str::to_owned));
    let passed = passed.unwrap();
    assert_eq!(passed.matches("self=").count(), 1, "{passed}");
    assert!(!passed.contains("12456789abcdef") && passed.starts_with("self=1-"), "{passed}");
    assert!(passed.ends_with(";root=1-67891233-abcdef012345678912345678;calledfrom=app"), "{passed}");
}

#[tokio::test]
async fn a_host_that_is_none_and_userinfo_are_refused() {
    let a = Server::echo("a").await;
    let bench = Bench::with(&[(&a, Standing::Healthy)]).await;
    for host in ["a b", "a/b", "a@b", "user:secret@a", "a:port", "a?b", "a#b", "a\\b", "[::1", "a,b"] {
        let answer = bench.raw(&format!("GET /cluster1 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(status(&answer), if host == "a,b" { 200 } else { 400 }, "{host}");
    }
    for authority in ["user:secret@a", "user@a", "", "a b", "a:b"] {
        let answer = bench
            .raw(&format!("GET http://{authority}/cluster1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
            .await;
        assert_eq!(status(&answer), 400, "{authority}");
    }
    let answer = bench.raw("GET http://b:81/cluster1?x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("GET /cluster1?x\n") && answer.to_lowercase().contains("host: b:81\n"), "{answer}");
}

/// User guide, "HTTP client keepalive duration": the connection is closed after the answer to the request that comes then.
#[tokio::test]
async fn a_connection_that_is_as_old_as_it_gets_has_one_more_answer() {
    let server = Server::echo("a").await;
    let mut bench = Bench::with(&[(&server, Standing::Healthy)]).await;
    let request = "GET /cluster1/x HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    let mut answers = String::new();
    stream.write_all(request.as_bytes()).await.unwrap();
    while !answers.contains("\r\n\r\n") {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).await.unwrap();
        answers.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    assert!(answers.starts_with("HTTP/1.1 200") && !answers.to_lowercase().contains("connection: close"), "{answers}");
    bench.client_keep_alive = Duration::ZERO;
    bench.route(&[(&server, Standing::Healthy)]);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut last = Vec::new();
    stream.read_to_end(&mut last).await.unwrap();
    let last = String::from_utf8_lossy(&last).to_lowercase();
    assert!(last.contains("http/1.1 200") && last.contains("connection: close"), "{last}");
}
