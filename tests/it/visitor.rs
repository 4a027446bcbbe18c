//! Who visits the stacks: HTTP/1.1 over one kept-alive connection, an answer at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cloudscale::clock;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::local_region::eventually;

pub struct Visitor {
    host: String,
    sender: SendRequest<Full<Bytes>>,
}

/// An answer.
#[derive(Debug)]
pub struct Seen {
    pub status: u16,
    /// `X-Instance-Id`
    pub instance: Option<String>,
    /// `NAME=VALUE` of the first cookie that is set.
    pub cookie: Option<String>,
    /// Where a redirect leads.
    pub location: Option<String>,
    pub body: String,
}

impl Visitor {
    pub async fn at(url: &str) -> Self {
        let host = url.trim_start_matches("http://").to_owned();
        let address = if host.contains(':') { host.clone() } else { format!("{host}:80") };
        let stream = TcpStream::connect(address).await.expect("the load balancer accepts");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a handshake");
        // An error of the connection is one of the request, too.
        tokio::spawn(connection);
        Self { host, sender }
    }

    pub async fn get(&mut self, path: &str) -> Seen {
        self.get_with(path, "").await
    }

    /// The same with a cookie.
    pub async fn get_with(&mut self, path: &str, cookie: &str) -> Seen {
        self.ask("GET", path, ("cookie", cookie), "").await
    }

    /// Any method, and a body.
    pub async fn send(&mut self, method: &str, path: &str, body: &'static str) -> Seen {
        self.ask(method, path, ("accept", "*/*"), body).await
    }

    async fn ask(&mut self, method: &str, path: &str, (name, value): (&str, &str), body: &'static str) -> Seen {
        let request = Request::builder().method(method).uri(path).header("host", &self.host).header(name, value);
        let request = request.body(Full::from(body)).expect("a request");
        self.sender.ready().await.expect("the load balancer keeps the connection");
        let answer = self.sender.send_request(request).await.expect("the load balancer always answers");
        let status = answer.status().as_u16();
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (instance, location) = (header("x-instance-id"), header("location"));
        let cookie = header("set-cookie").and_then(|cookie| Some(cookie.split_once(';')?.0.to_owned()));
        let body = answer.into_body().collect().await.expect("a whole body").to_bytes();
        Seen { status, instance, cookie, location, body: String::from_utf8_lossy(&body).into_owned() }
    }

    /// Answers by instance of so many requests, which must all succeed.
    pub async fn shares(&mut self, path: &str, requests: u32) -> BTreeMap<String, u32> {
        let mut shares = BTreeMap::new();
        for _ in 0..requests {
            let seen = self.get(path).await;
            assert_eq!(seen.status, 200, "{seen:?}");
            let instance = seen.instance.expect("X-Instance-Id");
            assert_eq!(seen.body.trim_end(), instance);
            *shares.entry(instance).or_default() += 1;
        }
        shares
    }
}

#[derive(Default)]
struct Counts {
    answered: AtomicU64,
    lost: AtomicU64,
}

/// 200 requests a second.
const PACE: Duration = Duration::from_millis(5);

/// A steady load, one request after the other, until it is dropped. Where an answer is late, those that are due follow at
/// once: none is left out.
pub struct Traffic {
    task: JoinHandle<()>,
    counts: Arc<Counts>,
}

impl Traffic {
    pub async fn on(url: &str, path: &'static str) -> Self {
        let mut visitor = Visitor::at(url).await;
        let counts = Arc::new(Counts::default());
        let counting = Arc::clone(&counts);
        let task = tokio::spawn(async move {
            let mut due = clock::instant();
            loop {
                clock::sleep(due.saturating_duration_since(clock::instant())).await;
                due += PACE;
                let seen = visitor.get(path).await;
                counting.lost.fetch_add(u64::from(seen.status != 200), Ordering::SeqCst);
                counting.answered.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { task, counts }
    }

    pub fn answered(&self) -> u64 {
        self.counts.answered.load(Ordering::SeqCst)
    }

    /// How many answers so far were no success.
    pub fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::SeqCst)
    }

    /// How many requests were lost so far, once so many more were answered. The one in flight is the first of them.
    pub async fn lost_after(&self, requests: u64) -> u64 {
        let wanted = self.answered() + requests;
        eventually("more answers", || async {
            assert!(!self.task.is_finished(), "the traffic goes on");
            (self.answered() >= wanted).then_some(())
        })
        .await;
        self.lost()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.task.abort();
    }
}
