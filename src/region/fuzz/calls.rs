//! Calls that boto3 once sent (`fuzz/calls.jsonl`), damaged and sent to an endpoint whose world knows what the calls before
//! them made. Whatever is sent, every answer can be read, and the region goes on.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use quick_xml::events::Event;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::super::callers::Callers;
use super::super::driver::Region;
use super::super::server::{Endpoint, serve};
use super::super::signal::Signal;
use super::super::wire::{Answer, protocol};
use super::super::world::World;

/// The recorded calls; `fuzz/record` writes them.
const RECORDED: &str = include_str!("../../../fuzz/calls.jsonl");
/// The world in which they were recorded.
pub const SEED: u64 = 1;
/// Damaged calls of one run, each after the other.
const CALLS_MAX: usize = 4;
const DAMAGES_MAX: usize = 6;
/// Then a call hangs.
const DEADLINE: Duration = Duration::from_secs(20);

/// A call as it was sent.
#[derive(Clone, Debug)]
pub struct Call {
    pub at: Timestamp,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Call {
    fn read(line: &str) -> Option<Self> {
        let json: serde_json::Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| json.get(name).and_then(serde_json::Value::as_str);
        let body = match text("base64") {
            Some(packed) => BASE64.decode(packed).ok()?,
            None => text("body")?.as_bytes().to_vec(),
        };
        let pair = |pair: &serde_json::Value| Some((pair[0].as_str()?.to_owned(), pair[1].as_str()?.to_owned()));
        let headers = json["headers"].as_array()?.iter().map(pair).collect::<Option<_>>()?;
        Some(Self { at: text("at")?.parse().ok()?, path: format!("/{}", text("path")?), headers, body })
    }

    /// What the world answers to it, without a socket; `None` where it is not even a request.
    pub fn answer(&self, world: &mut World) -> Option<Answer> {
        let request = self.headers.iter().fold(hyper::Request::post(&self.path), |request, (name, value)| {
            request.header(name.as_str(), value.as_str())
        });
        let head = request.body(()).ok()?.into_parts().0;
        let body = if head.headers.contains_key("content-encoding") {
            let mut plain = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*self.body), &mut plain).ok()?;
            plain
        } else {
            self.body.clone()
        };
        let request = protocol::read(protocol::protocol(&head), &head, &body);
        let (answer, signals) = match request {
            Ok(request) => world.call(self.at, &request),
            Err(error) => (Err(error), Vec::new()),
        };
        let mut started: VecDeque<Signal> = signals.iter().filter_map(booted).collect();
        while let Some(signal) = started.pop_front() {
            started.extend(world.signal(self.at, signal).iter().filter_map(booted));
        }
        Some(answer)
    }

    /// The request with a head of its own for its body.
    fn written(&self, damaged_head: Option<&Damage>) -> Vec<u8> {
        let mut head = format!("POST {} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n", self.path).into_bytes();
        for (name, value) in &self.headers {
            head.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        head.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        if let Some(damage) = damaged_head {
            damage.strike(&mut head);
        }
        [&head, b"\r\n".as_slice(), &self.body].concat()
    }
}

/// Every instance runs as soon as it is to boot.
pub fn booted(signal: &Signal) -> Option<Signal> {
    let Signal::Boot(boot) = signal else { return None };
    Some(Signal::ProcessStarted { instance: boot.instance.clone() })
}

/// The recorded calls, in their order, each with the world before it.
pub fn recorded() -> &'static [(Call, World)] {
    static ALL: OnceLock<Vec<(Call, World)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut world = World::new("us-east-1", SEED);
        let with_world = |call: Call| {
            let before = world.clone();
            call.answer(&mut world);
            (call, before)
        };
        RECORDED.lines().filter_map(Call::read).map(with_world).collect()
    })
}

/// One change to some bytes.
#[derive(Clone, Debug)]
struct Damage {
    kind: u8,
    at: usize,
    with: Vec<u8>,
}

impl Damage {
    fn strike(&self, bytes: &mut Vec<u8>) {
        let at = self.at % (bytes.len() + 1);
        let end = (at + self.with.len().max(1)).min(bytes.len());
        match self.kind % 5 {
            0 => drop(bytes.splice(at..end, self.with.iter().copied())),
            1 => drop(bytes.splice(at..at, self.with.iter().copied())),
            2 => drop(bytes.drain(at..end)),
            // The value of a field becomes another.
            3 => {
                let start = bytes[..at].iter().rposition(|byte| b"=&\"".contains(byte)).map_or(0, |found| found + 1);
                let end =
                    bytes[at..].iter().position(|byte| b"&\"".contains(byte)).map_or(bytes.len(), |found| at + found);
                bytes.splice(start.min(end)..end, self.with.iter().copied());
            }
            _ => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
}

/// A story's place, and what is done to the calls from there on.
#[derive(Clone, Debug)]
pub struct Calls {
    world: World,
    /// As they are sent.
    requests: Vec<Vec<u8>>,
}

impl Calls {
    /// Any bytes as damage: the first two say where in the story, then follow damages of a kind, a place, a length and its bytes.
    pub fn from_bytes(data: &[u8]) -> Self {
        let all = recorded();
        let mut data = data.iter().copied();
        let mut number = || usize::from(u16::from_be_bytes([data.next().unwrap_or(0), data.next().unwrap_or(0)]));
        let first = number() % all.len();
        let mut calls: Vec<Call> = all[first..].iter().take(CALLS_MAX).map(|(call, _)| call.clone()).collect();
        let mut heads: Vec<Option<Damage>> = vec![None; calls.len()];
        for _ in 0..DAMAGES_MAX {
            let Some(kind) = data.next() else { break };
            let at = usize::from(u16::from_be_bytes([data.next().unwrap_or(0), data.next().unwrap_or(0)]));
            let length = usize::from(data.next().unwrap_or(0)) % 64;
            let damage = Damage { kind: kind / 8, at, with: data.by_ref().take(length).collect() };
            let hit = usize::from(kind % 8) % calls.len();
            // One damage in eight is the head's.
            if kind / 8 % 8 == 7 { heads[hit] = Some(damage) } else { damage.strike(&mut calls[hit].body) }
        }
        let requests = calls.iter().zip(&heads).map(|(call, head)| call.written(head.as_ref())).collect();
        Self { world: all[first].1.clone(), requests }
    }

    /// Sends the calls to an endpoint of their own.
    ///
    /// # Errors
    /// What came out that must not.
    pub async fn run(self) -> Result<(), String> {
        let (region, _outward) = Region::new(self.world);
        let region = Arc::new(region);
        let (door, stop) = open(Arc::clone(&region)).await?;
        let mut outcome = Ok(());
        for request in &self.requests {
            let answered = tokio::time::timeout(DEADLINE, exchange(door, request)).await;
            let checked = answered.unwrap_or_else(|_| Err("a call hangs".to_owned()));
            outcome = outcome.and(checked.map_err(|reason| format!("{reason}\nto {}", request.escape_ascii())));
        }
        stop.cancel();
        tokio::select! {
            biased;
            failure = region.failed() => Err(format!("the region failed: {failure}")),
            () = std::future::ready(()) => outcome,
        }
    }
}

/// An endpoint around the region, for whoever calls, until it is stopped.
///
/// # Errors
/// Where no port is free.
pub async fn open(region: Arc<Region>) -> Result<(std::net::SocketAddr, CancellationToken), String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| error.to_string())?;
    let door = listener.local_addr().map_err(|error| error.to_string())?;
    let callers = Arc::new(Callers::All);
    let health = serde_json::Value::Null;
    let endpoint = Endpoint { region, callers, processes: None, home: PathBuf::new(), health, faults: None };
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, Arc::new(endpoint), stop.clone()));
    Ok((door, stop))
}

/// Sends the bytes, says that nothing more comes, and checks what comes back.
async fn exchange(door: std::net::SocketAddr, request: &[u8]) -> Result<(), String> {
    let mut stream = TcpStream::connect(door).await.map_err(|error| error.to_string())?;
    // Who refuses early may close before it has everything.
    let whole = stream.write_all(request).await.is_ok() && stream.shutdown().await.is_ok();
    let mut read = Vec::new();
    let ended = stream.read_to_end(&mut read).await;
    if whole && ended.is_ok() { responses(&read) } else { Ok(()) }
}

/// Whether these are whole responses whose bodies can be read.
fn responses(mut bytes: &[u8]) -> Result<(), String> {
    while !bytes.is_empty() {
        let shown = || bytes.escape_ascii().to_string();
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut fields);
        let Ok(httparse::Status::Complete(length)) = head.parse(bytes) else {
            return Err(format!("no response: {}", shown()));
        };
        let field = |name: &str| {
            let found = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
            found.and_then(|field| std::str::from_utf8(field.value).ok()).unwrap_or_default()
        };
        let body: usize = field("content-length").parse().unwrap_or(0);
        let Some((body, rest)) = bytes[length..].split_at_checked(body) else {
            return Err(format!("a response that is cut: {}", shown()));
        };
        let read = match field("content-type") {
            "text/xml;charset=UTF-8" => is_xml(body),
            "application/cbor" => {
                ciborium::from_reader::<ciborium::Value, _>(body).map(drop).map_err(|it| it.to_string())
            }
            json if json.starts_with("application/x-amz-json") => {
                serde_json::from_slice::<serde_json::Value>(body).map(drop).map_err(|it| it.to_string())
            }
            _ => Ok(()),
        };
        read.map_err(|reason| format!("{reason}: {}", shown()))?;
        // What the caller did wrong is its own fault.
        if head.code.is_none_or(|code| !(200..500).contains(&code) && code != 501) {
            return Err(format!("the region's fault: {}", shown()));
        }
        bytes = rest;
    }
    Ok(())
}

/// Whether an XML reader gets to the end, and finds one document there.
pub(super) fn is_xml(body: &[u8]) -> Result<(), String> {
    std::str::from_utf8(body).map_err(|error| error.to_string())?;
    let mut reader = quick_xml::Reader::from_reader(body);
    let mut open = 0_i32;
    loop {
        match reader.read_event() {
            Ok(Event::Eof) if open == 0 => return Ok(()),
            Ok(Event::Eof) => return Err("an element is left open".to_owned()),
            Ok(Event::Start(_)) => open += 1,
            Ok(Event::End(_)) => open -= 1,
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}
