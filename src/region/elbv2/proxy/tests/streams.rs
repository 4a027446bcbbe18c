//! Streams at random through the proxy, with fixed seeds: parts of HTTP put together, cut and damaged.

use fastrand::Rng;

use super::super::fuzz::Streams;

/// Streams of one run; `PROXY_STREAMS=40000` runs more.
const STREAMS: u64 = 400;
const AT_ONCE: usize = 16;

const REQUEST_PARTS: [&str; 44] = [
    "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST /own HTTP/1.1\r\nHost: a\r\nContent-Length: 36\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n..",
    "GET /own HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "GET http://b/a?c HTTP/1.1\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    "PUT /a HTTP/1.0\r\n",
    "Host: a\r\n",
    "Host: a b\r\n",
    "host : a\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 50\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: +5\r\n",
    "Content-Length: 5, 5\r\n",
    "Content-Length : 5\r\n",
    "Content-Length: 18446744073709551616\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding:\tchunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: x\r\n chunked\r\n",
    "Transfer_Encoding: chunked\r\n",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive, Host, Content-Length\r\n",
    "Connection: Transfer-Encoding\r\n",
    "X-Amzn-Trace-Id: Root=1-2-3;Self=4\r\n",
    "X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n",
    "Trailer: Content-Length\r\n",
    "\r\n",
    "\n",
    "5\r\nhello\r\n",
    "1;a=b\r\nx\r\n",
    "0\r\n\r\n",
    "0\r\nContent-Length: 5\r\n\r\n",
    "ffffffffffffffff\r\n",
    "hello",
    "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "\0",
    "é",
];

const RESPONSE_PARTS: [&str; 24] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 6\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Connection: close\r\n",
    "Connection: Content-Length\r\n",
    "\r\n",
    "\n",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "zz\r\n",
    "hello",
    "\0",
    "é",
];

fn stream(rng: &mut Rng, parts: &[&str]) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    for _ in 0..rng.usize(1..=7) {
        bytes.extend_from_slice(parts[rng.usize(..parts.len())].as_bytes());
    }
    for _ in 0..rng.usize(..3) {
        let at = rng.usize(..bytes.len());
        match rng.u32(..4) {
            0 => bytes[at] = rng.u8(..),
            1 => bytes.insert(at, b"\r\n :;0,\t"[rng.usize(..8)]),
            2 if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => bytes.truncate(at.max(1)),
        }
    }
    if rng.u32(..8) == 0 {
        bytes.splice(0..0, b"X: ".iter().copied().chain(std::iter::repeat_n(b'y', rng.usize(..70_000))));
    }
    let mut cuts: Vec<usize> = (0..rng.usize(..4)).map(|_| rng.usize(..=bytes.len())).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| bytes[cut[0]..cut[1]].to_vec()).collect()
}

fn streams(seed: u64) -> Streams {
    let mut rng = Rng::with_seed(seed);
    Streams {
        client: stream(&mut rng, &REQUEST_PARTS),
        client_leaves: rng.bool(),
        target: stream(&mut rng, &RESPONSE_PARTS),
        target_leaves: rng.bool(),
    }
}

#[tokio::test]
async fn whatever_is_sent_only_what_the_proxy_wrote_comes_out() {
    let count = std::env::var("PROXY_STREAMS").ok().and_then(|count| count.parse().ok()).unwrap_or(STREAMS);
    let mut running = tokio::task::JoinSet::new();
    for seed in 0..count {
        if running.len() == AT_ONCE {
            let outcome: Result<(), String> = running.join_next().await.expect("some run").expect("no panic");
            outcome.unwrap();
        }
        running.spawn(async move { streams(seed).run().await.map_err(|reason| format!("seed {seed}: {reason}")) });
    }
    while let Some(outcome) = running.join_next().await {
        outcome.expect("no panic").unwrap();
    }
}
