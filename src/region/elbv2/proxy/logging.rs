//! From a request's head, and how it ended, to its entry in the access log; only where the load balancer keeps one.

use std::net::SocketAddr;
use std::time::Instant;

use super::super::routing::Settings;
use super::access_log::{Entry, Executed};
use super::exchange::{End, Plan, Told};
use super::head::RequestHead;
use super::stream::{Session, Stream};
use crate::clock;

/// What does not change while a client is connected.
#[derive(Debug)]
pub struct Connected {
    client: SocketAddr,
    session: Option<Session>,
    domain: Option<String>,
    /// It speaks HTTP/2.
    pub http2: bool,
}

impl Connected {
    pub fn new(client: SocketAddr, stream: &Stream) -> Self {
        let domain = stream.server_name().map(str::to_owned);
        Self { client, session: stream.session(), domain, http2: stream.chose_http2() }
    }
}

/// An entry that waits for its end.
#[derive(Debug)]
pub struct Draft {
    entry: Entry,
    started: Instant,
}

impl Draft {
    /// `rule` is its priority and what is done.
    pub fn new(
        head: &RequestHead<'_>,
        connected: &Connected,
        settings: &Settings,
        (priority, executed): (u32, Option<Executed>),
    ) -> Self {
        let now = clock::now();
        let host = head.target.authority.or(head.fields.host).unwrap_or_default();
        let (name, port) = match host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()) {
            Some((name, port)) => (name, port.to_owned()),
            None => (host, settings.port.to_string()),
        };
        let (path, scheme) = (head.target.path, settings.scheme());
        let query = head.target.query.map_or(String::new(), |query| format!("?{query}"));
        let (kind, version) = match (connected.http2, head.old) {
            (true, _) => ("h2", "2.0"),
            (false, true) => (scheme, "1.0"),
            (false, false) => (scheme, "1.1"),
        };
        let field = |name: &str| head.fields.all.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        let text = |name: &str| field(name).map(|field| String::from_utf8_lossy(field.value).into_owned());
        let entry = Entry {
            kind,
            time: now,
            load_balancer: settings.load_balancer.clone(),
            client: connected.client,
            target: None,
            took: [None; 3],
            status: None,
            target_status: None,
            received_bytes: head.size as u64,
            sent_bytes: 0,
            request: format!("{} {scheme}://{name}:{port}{path}{query} HTTP/{version}", head.method),
            user_agent: text("user-agent").unwrap_or_default(),
            tls: connected.session.as_ref().map(|it| (it.cipher_suite.clone(), it.version)),
            target_group: None,
            trace_id: text("x-amzn-trace-id"),
            domain: connected.domain.clone(),
            certificate: settings.certificate.clone(),
            priority: Some(priority),
            created: now,
            executed,
            redirect_url: None,
        };
        Self { entry, started: clock::instant() }
    }

    /// It goes to a target.
    #[must_use]
    pub fn to(mut self: Box<Self>, plan: &Plan) -> Box<Self> {
        let target = &plan.in_flight.target;
        self.entry.target = Some(target.route.address);
        self.entry.target_group = Some(target.group.clone());
        self.entry.trace_id = trace_id(&plan.head);
        if plan.upgrades {
            self.entry.kind = if self.entry.kind == "https" { "wss" } else { "ws" };
        }
        self
    }

    /// The load balancer answers by itself.
    pub fn answered(self: Box<Self>, status: u16, sent_bytes: u64, redirect_url: Option<String>) -> Entry {
        Entry { time: clock::now(), status: Some(status), sent_bytes, redirect_url, ..self.entry }
    }

    /// An exchange with the target, dispatched at that moment, has ended; `own_bytes` are those of an answer of ours.
    pub fn ended(self: Box<Self>, end: End, told: Told, dispatched: Instant, own_bytes: u64) -> Entry {
        let now = clock::instant();
        let (target_status, status) = match (end, told.answered) {
            (End::Refused(status), _) => (None, Some(status)),
            (End::ClientGone { unanswered: true }, _) => (None, Some(460)),
            (_, Some((status, _))) => (Some(status), Some(status)),
            (_, None) => (None, None),
        };
        // Latencies are those of real sockets, whatever the speed of the region's time.
        let answered = told.answered.map(|(_, at)| at).filter(|_| target_status.is_some());
        let took = match answered {
            Some(at) => [
                Some(dispatched.duration_since(self.started)),
                Some(at.saturating_duration_since(dispatched)),
                Some(now.duration_since(at)),
            ],
            None => [Some(dispatched.duration_since(self.started)), None, None],
        };
        Entry {
            time: clock::now(),
            took,
            status,
            target_status,
            received_bytes: told.received_bytes.max(self.entry.received_bytes),
            sent_bytes: told.sent_bytes + own_bytes,
            ..self.entry
        }
    }
}

/// The trace id that the target was sent.
fn trace_id(head: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(head);
    text.lines().find_map(|line| line.strip_prefix("X-Amzn-Trace-Id: ")).map(str::to_owned)
}
