//! Streams at random, on both sides of the proxy, with real sockets; for the bounded test and for cargo-fuzz.
//!
//! What is sent may be anything. What comes out may not: a target that reads by the book only ever sees requests that the
//! proxy wrote, a client only ever responses that it wrote, and everything ends. Both are known by marks that no input
//! contains: the listener's port in X-Forwarded-Port, the target's stickiness cookie or the load balancer's name.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::super::actions::{Action, FixedResponse, Forward, WeightedTargetGroup};
use super::super::conditions::Condition;
use super::super::routing::{
    Algorithm, ForwardedFor, ListenerRoutes, Routing, RuleRoute, Settings, Standing, Stickiness, TargetGroupRoutes,
    TargetRoute,
};
use super::super::target::TargetId;
use super::super::transforms::Transforms;
use super::lane::LaneIndex;
use super::listening::Listening;
use super::secure::Certificates;
use super::table::Live;
use crate::clock;

/// The mark of a request that the proxy wrote.
const PORT: u16 = 48_611;
/// Where nothing moves, the proxy gives up so soon.
const IDLE_TIMEOUT: Duration = Duration::from_millis(40);
/// Then a stream hangs.
const DEADLINE: Duration = Duration::from_secs(20);

/// What both ends do: pieces that they write, one after the other, and whether they then close at once.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    pub client: Vec<Vec<u8>>,
    pub client_leaves: bool,
    /// Each connection to the target is answered so, from its first byte on.
    pub target: Vec<Vec<u8>>,
    pub target_leaves: bool,
}

impl Streams {
    /// Any bytes as two streams: the first says how the second and the third are cut.
    pub fn from_bytes(data: &[u8]) -> Self {
        let [flags, rest @ ..] = data else { return Self::default() };
        let sides: Vec<&[u8]> = rest.splitn(2, |byte| *byte == 0xff).collect();
        let pieces = |side: usize, cut: bool| -> Vec<Vec<u8>> {
            let bytes = sides.get(side).copied().unwrap_or_default();
            if cut { bytes.split(|byte| *byte == 0xfe).map(<[u8]>::to_vec).collect() } else { vec![bytes.to_vec()] }
        };
        Self {
            client: pieces(0, flags & 1 == 0),
            client_leaves: flags & 2 != 0,
            target: pieces(1, flags & 4 == 0),
            target_leaves: flags & 8 != 0,
        }
    }

    /// Whether a mark is in what is sent, which would prove nothing then.
    fn hold_a_mark(&self) -> bool {
        let all = [self.client.concat(), self.target.concat()].concat();
        let text = String::from_utf8_lossy(&all).to_ascii_lowercase();
        ["48611", "awsalb", "awselb"].iter().any(|mark| text.contains(mark))
    }

    /// Lets the streams run against a proxy of their own.
    ///
    /// # Errors
    /// What came out that must not.
    pub async fn run(self) -> Result<(), String> {
        if self.hold_a_mark() {
            return Ok(());
        }
        let wrong: Arc<Mutex<Vec<String>>> = Arc::default();
        let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| error.to_string())?;
        let front = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| error.to_string())?;
        let (target_at, front_at) = (v4(&target)?, v4(&front)?);
        let mut live = Live::new(1, Certificates::default());
        let table = live.tables(routing(front_at, target_at)).remove(0);
        let listening = Arc::new(Listening::new(table, CancellationToken::new()));
        let accepting = tokio::spawn(Arc::clone(&listening).accept(front, LaneIndex(0)));
        let (script, complaints) = (self.clone(), Arc::clone(&wrong));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = target.accept().await {
                let pieces = script.target.clone();
                let complaints = Arc::clone(&complaints);
                tokio::spawn(async move {
                    let read = talk(stream, pieces, script.target_leaves, true).await;
                    if let Err(reason) = requests(&read) {
                        complain(&complaints, format!("the target saw {reason}: {}", shown(&read)));
                    }
                });
            }
        });
        let client = async {
            let stream = TcpStream::connect(front_at).await.map_err(|error| error.to_string())?;
            let read = talk(stream, self.client.clone(), self.client_leaves, false).await;
            responses(&read).map_err(|reason| format!("the client saw {reason}: {}", shown(&read)))
        };
        let outcome = tokio::time::timeout(DEADLINE, client).await.unwrap_or_else(|_| Err("a client hangs".to_owned()));
        let idle = async {
            while live.fronts().any(|front| {
                front.meter(LaneIndex(0)).active_connections.load(std::sync::atomic::Ordering::Relaxed) > 0
            }) {
                clock::sleep(Duration::from_millis(5)).await;
            }
        };
        let ended = tokio::time::timeout(DEADLINE, idle).await;
        listening.remove();
        accepting.abort();
        serving.abort();
        outcome?;
        ended.map_err(|_| "a connection is never given up".to_owned())?;
        if live.targets().any(|target| target.in_flight() > 0) {
            return Err("a request is in flight for ever".to_owned());
        }
        let wrong = wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.first().map_or(Ok(()), |first| Err(first.clone()))
    }
}

fn complain(complaints: &Mutex<Vec<String>>, complaint: String) {
    complaints.lock().unwrap_or_else(PoisonError::into_inner).push(complaint);
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn v4(listener: &TcpListener) -> Result<SocketAddrV4, String> {
    match listener.local_addr() {
        Ok(SocketAddr::V4(address)) => Ok(address),
        other => Err(format!("{other:?} is not IPv4")),
    }
}

/// Writes the pieces and reads until the other side closes. A target begins when it is spoken to.
async fn talk(stream: TcpStream, pieces: Vec<Vec<u8>>, leaves: bool, waits: bool) -> Vec<u8> {
    let (mut reader, mut writer) = stream.into_split();
    let mut read = Vec::new();
    let mut first = [0; 1024];
    if waits && let Ok(count) = reader.read(&mut first).await {
        read.extend_from_slice(&first[..count]);
    }
    let writing = async move {
        for piece in pieces {
            if writer.write_all(&piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        // Dropped, it says that nothing more comes.
        if leaves { None } else { Some(writer) }
    };
    let reading = async {
        let _ = reader.read_to_end(&mut read).await;
    };
    let _ = tokio::join!(writing, reading);
    read
}

fn routing(front: SocketAddrV4, target: SocketAddrV4) -> Routing {
    let route = TargetRoute {
        id: TargetId { instance: "i-1".to_owned(), port: target.port() },
        address: target,
        zone: "a".to_owned(),
        standing: Standing::Healthy,
        healthy_since: None,
    };
    let group = TargetGroupRoutes {
        arn: "group".to_owned(),
        full_name: "group".to_owned(),
        load_balancer: "lb".to_owned(),
        algorithm: Algorithm::RoundRobin,
        slow_start: Duration::ZERO,
        // The cookie marks what the proxy passed on.
        stickiness: Some(Stickiness { stay: Duration::from_secs(1), application: None }),
        fails_open: false,
        targets: vec![route],
    };
    let forward =
        Forward { target_groups: vec![WeightedTargetGroup { arn: "group".to_owned(), weight: 1 }], stickiness: None };
    let settings = Settings {
        load_balancer: "lb".to_owned(),
        zone: "a".to_owned(),
        port: PORT,
        idle_timeout: IDLE_TIMEOUT,
        client_keep_alive: Duration::from_secs(3600),
        forwarded_for: ForwardedFor::Append,
        forwarded_for_port: false,
        drop_invalid_headers: false,
        secure: false,
        http2: false,
        tells_tls: false,
        certificate: None,
        access_log: None,
    };
    let fixed = FixedResponse { status: 404, content_type: "text/plain".to_owned(), body: "none\n".to_owned() };
    let listener = ListenerRoutes {
        arn: "listener".to_owned(),
        address: front,
        settings: Arc::new(settings),
        rules: vec![RuleRoute {
            priority: 1,
            conditions: vec![Condition::PathPattern(vec!["/own*".to_owned()])],
            action: Action::FixedResponse(fixed),
            transforms: Transforms::default(),
        }],
        default: Action::Forward(forward),
    };
    Routing { listeners: vec![listener], target_groups: vec![group] }
}

/// A message's head, read by the book: a start line, and fields whose names are tokens, each line ending with CR LF.
struct Message<'b> {
    start: &'b str,
    fields: Vec<(String, &'b str)>,
    rest: &'b [u8],
}

/// The message at the front; `None` where it is cut.
fn message(bytes: &[u8]) -> Result<Option<Message<'_>>, String> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = &bytes[..end];
    if head.contains(&0) {
        return Err("a NUL in a head".to_owned());
    }
    // Bytes beyond ASCII may be part of values; they do not matter here.
    let Ok(head) = std::str::from_utf8(head) else { return Ok(None) };
    let mut lines = head.split("\r\n");
    let start = lines.next().unwrap_or_default();
    if start.contains(['\r', '\n']) {
        return Err("a line end of its own in a start line".to_owned());
    }
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("the line {line:?}"))?;
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) || value.contains(['\r', '\n']) {
            return Err(format!("the line {line:?}"));
        }
        fields.push((name.to_ascii_lowercase(), value.trim()));
    }
    Ok(Some(Message { start, fields, rest: &bytes[end + 4..] }))
}

impl<'b> Message<'b> {
    fn values(&self, name: &str) -> Vec<&'b str> {
        self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| *value).collect()
    }

    /// What follows the body; `None` where the body is cut. `until_close`: without a length it has no end.
    fn after(&self, bodiless: bool, until_close: bool) -> Result<Option<&'b [u8]>, String> {
        let lengths = self.values("content-length");
        match (self.values("transfer-encoding").as_slice(), lengths.as_slice()) {
            ([], [] | [_]) if bodiless => Ok(Some(self.rest)),
            ([], []) if until_close => Ok(None),
            ([], []) => Ok(Some(self.rest)),
            ([], [length]) => {
                let length: usize = length.parse().map_err(|_| format!("the length {length:?}"))?;
                Ok(self.rest.get(length..))
            }
            ([coding], []) if *coding == "chunked" => chunks(self.rest),
            (codings, lengths) => Err(format!("the framing {codings:?} {lengths:?}")),
        }
    }
}

fn chunks(mut rest: &[u8]) -> Result<Option<&[u8]>, String> {
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&rest[..end]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.ok_or_else(|| format!("the chunk size {:?}", shown(&rest[..end])))?;
        let Some(after) = rest[end + 2..].get(size..) else { return Ok(None) };
        if after.len() < 2 {
            return Ok(None);
        }
        rest = after.strip_prefix(b"\r\n").ok_or("a chunk that does not end")?;
        if size == 0 {
            return Ok(Some(rest));
        }
    }
}

/// Whether `bytes` are requests that the proxy wrote, the last perhaps cut.
fn requests(mut bytes: &[u8]) -> Result<(), String> {
    while let Some(message) = message(bytes)? {
        if message.values("x-forwarded-port") != ["48611"] {
            return Err(format!("a request that the proxy did not write: {:?}", message.start));
        }
        let line: Vec<&str> = message.start.split(' ').collect();
        if line.len() != 3 || line[2] != "HTTP/1.1" || message.values("host").len() != 1 {
            return Err(format!("the request {:?} with hosts {:?}", message.start, message.values("host")));
        }
        if !message.values("upgrade").is_empty() {
            return Ok(());
        }
        let Some(rest) = message.after(false, false)? else { return Ok(()) };
        bytes = rest;
    }
    Ok(())
}

/// Whether `bytes` are responses that the proxy wrote, the last perhaps cut.
fn responses(bytes: &[u8]) -> Result<(), String> {
    let Some(message) = message(bytes)? else { return Ok(()) };
    let Some(status) = message.start.strip_prefix("HTTP/1.1 ") else {
        return Err(format!("the status line {:?}", message.start));
    };
    let interim = status.starts_with('1');
    let own = message.values("server").contains(&"awselb/2.0");
    let passed = message.values("set-cookie").iter().any(|cookie| cookie.starts_with("AWSALB="));
    if !interim && !own && !passed {
        return Err(format!("a response that the proxy did not write: {:?}", message.start));
    }
    if status.starts_with("101") {
        return Ok(());
    }
    let bodiless = interim || status.starts_with("204") || status.starts_with("304");
    let after = message.after(bodiless, true)?.map_or(Ok(()), responses);
    // Which request it answers is not known here: a response to HEAD has no body, whatever its length.
    if after.is_err() && responses(message.rest).is_ok() { Ok(()) } else { after }
}
