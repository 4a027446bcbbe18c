//! Heads as they go on: what concerned one connection stays behind, X-Forwarded-* and the trace id come, the framing is
//! rewritten. Everything else passes as it came, byte for byte.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;

use jiff::Timestamp;

use super::super::routing::{ForwardedFor, Settings};
use super::framing::Framing;
use super::head::{Field, Name, RequestHead, ResponseHead};
use super::stream::Session;

/// AWS answers 463 beyond this many addresses in X-Forwarded-For.
const FORWARDED_ADDRESSES_MAX: usize = 30;
/// Heads that are larger get a trace id of their own (user guide, "Request tracing", limitations).
const TRACED_BYTES_MAX: usize = 7 * 1024;

/// What a target learns of a client, which never changes while that is connected.
#[derive(Debug)]
pub struct ClientFields {
    address: Box<str>,
    /// How it has connected: X-Forwarded-Proto and -Port, and what TLS it speaks where the load balancer tells.
    connected: Box<str>,
    /// The host of a request that names none, as HTTP/1.0 allows: where the client has connected to.
    host: Box<str>,
}

impl ClientFields {
    pub fn new(peer: SocketAddr, local: SocketAddr, settings: &Settings, session: Option<&Session>) -> Self {
        let address = if settings.forwarded_for_port { peer.to_string() } else { peer.ip().to_string() };
        let (scheme, port) = (settings.scheme(), settings.port);
        let mut connected = format!("X-Forwarded-Proto: {scheme}\r\nX-Forwarded-Port: {port}\r\n");
        if let Some(Session { version, cipher_suite }) = session.filter(|_| settings.tells_tls) {
            let _ = write!(connected, "X-Amzn-Tls-Version: {version}\r\nX-Amzn-Tls-Cipher-Suite: {cipher_suite}\r\n");
        }
        Self { address: address.into(), connected: connected.into(), host: local.to_string().into() }
    }
}

/// How a request goes on.
#[derive(Clone, Copy, Debug)]
pub struct Onward<'a> {
    pub client: &'a ClientFields,
    pub settings: &'a Settings,
    pub framing: &'a Framing,
    /// The one protocol that a connection may be upgraded to.
    pub upgrade: Option<&'a str>,
    pub now: Timestamp,
    /// In place of what the client sent, where a transform says so.
    pub host: Option<&'a str>,
    /// Path and query.
    pub url: Option<&'a str>,
}

/// Writes the head of a request for its target.
///
/// # Errors
/// 463 when X-Forwarded-For has more than 30 addresses already.
pub fn request(out: &mut Vec<u8>, head: &RequestHead<'_>, onward: &Onward<'_>) -> Result<(), u16> {
    let fields = &head.fields;
    let target = &head.target;
    push(out, &[head.method.as_bytes(), b" ", onward.url.unwrap_or(target.path).as_bytes()]);
    if let Some(query) = target.query.filter(|_| onward.url.is_none()) {
        push(out, &[b"?", query.as_bytes()]);
    }
    let host = onward.host.or(target.authority).or(fields.host).unwrap_or(&onward.client.host);
    push(out, &[b" HTTP/1.1\r\nHost: ", host.as_bytes(), b"\r\n"]);
    let named = fields.named_by_connection();
    let mode = onward.settings.forwarded_for;
    for field in fields.all {
        let passes = match Name::of(field.name) {
            Name::Other | Name::Cookie | Name::Date => {
                !onward.settings.drop_invalid_headers || is_valid_name(field.name)
            }
            Name::XForwardedFor => mode == ForwardedFor::Preserve,
            _ => false,
        };
        if passes && (named.is_empty() || !named.contains(field.name.to_ascii_lowercase().as_bytes())) {
            push_field(out, field);
        }
    }
    framing(out, onward.framing);
    if let Some(protocol) = onward.upgrade {
        push(out, &[b"Connection: Upgrade\r\nUpgrade: ", protocol.as_bytes(), b"\r\n"]);
    }
    if mode == ForwardedFor::Append {
        forwarded_for(out, head, onward.client)?;
    }
    out.extend_from_slice(onward.client.connected.as_bytes());
    trace_id(out, head, onward.now);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn push(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn push_field(out: &mut Vec<u8>, field: &Field<'_>) {
    push(out, &[field.name.as_bytes(), b": ", field.value, b"\r\n"]);
}

/// Names that drop_invalid_header_fields leaves: letters, digits and hyphens.
fn is_valid_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn framing(out: &mut Vec<u8>, framing: &Framing) {
    match framing {
        Framing::Empty | Framing::UntilClose => {}
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::Length(length) => {
            let _ = write!(out, "Content-Length: {length}\r\n");
        }
    }
}

fn forwarded_for(out: &mut Vec<u8>, head: &RequestHead<'_>, client: &ClientFields) -> Result<(), u16> {
    out.extend_from_slice(b"X-Forwarded-For: ");
    if head.fields.forwarded_for > 0 {
        let given = head.fields.all.iter().filter(|field| Name::of(field.name) == Name::XForwardedFor);
        let mut addresses = 0;
        for field in given {
            addresses += field.value.split(|byte| *byte == b',').count();
            push(out, &[field.value, b", "]);
        }
        if addresses > FORWARDED_ADDRESSES_MAX {
            return Err(463);
        }
    }
    push(out, &[client.address.as_bytes(), b"\r\n"]);
    Ok(())
}

/// A trace that has a root gets a Self, in place of the one that another load balancer gave it; any other gets a root
/// (user guide, "Request tracing for your Application Load Balancer").
fn trace_id(out: &mut Vec<u8>, head: &RequestHead<'_>, now: Timestamp) {
    let is_root = |part: &&str| part.trim().starts_with("Root=");
    let given = head.fields.trace_id.filter(|_| head.size <= TRACED_BYTES_MAX);
    let rooted = given.filter(|trace| trace.split(';').any(|part| is_root(&part)));
    push(out, &[b"X-Amzn-Trace-Id: ", if rooted.is_some() { b"Self" } else { b"Root" }, b"=1-"]);
    push_hex(out, now.as_second().cast_unsigned(), 8);
    out.push(b'-');
    push_hex(out, fastrand::u64(..), 16);
    push_hex(out, fastrand::u32(..).into(), 8);
    let kept = given.into_iter().flat_map(|trace| trace.split(';')).map(str::trim);
    for part in kept.filter(|part| !part.is_empty() && !part.starts_with("Self=")) {
        push(out, &[b";", part.as_bytes()]);
    }
    out.extend_from_slice(b"\r\n");
}

fn push_hex(out: &mut Vec<u8>, value: u64, digits: u32) {
    for digit in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(value >> (digit * 4) & 15) as usize]);
    }
}

/// How a response goes on.
#[derive(Clone, Copy, Debug)]
pub struct Back<'a> {
    pub framing: &'a Framing,
    /// Whether the response's own Content-Length says something although it has no body: that of HEAD, and 304.
    pub keeps_length: bool,
    pub cookies: &'a [u8],
    pub connection: Connection,
    pub now: Timestamp,
}

/// What a client is told of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// It stays, as is usual.
    Stays,
    /// It stays although that is not usual before HTTP/1.1.
    StaysOld,
    Closes,
    /// It speaks another protocol from here on.
    Upgrades,
}

/// Writes the head of a target's response for the client.
pub fn response(out: &mut Vec<u8>, head: &ResponseHead<'_>, back: &Back<'_>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    push_status(out, head.status);
    push(out, &[b" ", head.reason.as_bytes(), b"\r\n"]);
    let named = head.fields.named_by_connection();
    for field in head.fields.all {
        let passes = match Name::of(field.name) {
            Name::Connection | Name::HopByHop | Name::TransferEncoding => false,
            Name::ContentLength => back.keeps_length,
            Name::Upgrade => back.connection == Connection::Upgrades,
            _ => true,
        };
        if passes && (named.is_empty() || !named.contains(field.name.to_ascii_lowercase().as_bytes())) {
            push_field(out, field);
        }
    }
    if !head.fields.has_date {
        date(out, back.now);
    }
    framing(out, back.framing);
    out.extend_from_slice(back.cookies);
    connection(out, back.connection);
    out.extend_from_slice(b"\r\n");
}

pub fn push_status(out: &mut Vec<u8>, status: u16) {
    for place in [100, 10, 1] {
        out.push(b'0' + (status / place % 10) as u8);
    }
}

pub fn connection(out: &mut Vec<u8>, connection: Connection) {
    out.extend_from_slice(match connection {
        Connection::Stays => b"",
        Connection::StaysOld => b"Connection: keep-alive\r\n",
        Connection::Closes => b"Connection: close\r\n",
        Connection::Upgrades => b"Connection: Upgrade\r\n",
    });
}

thread_local! {
    /// The Date field of the second that runs.
    static DATE: RefCell<(i64, Vec<u8>)> = const { RefCell::new((i64::MIN, Vec::new())) };
}

/// Writes the field Date.
pub fn date(out: &mut Vec<u8>, now: Timestamp) {
    DATE.with_borrow_mut(|(second, field)| {
        if *second != now.as_second() {
            *second = now.as_second();
            field.clear();
            let _ = write!(field, "Date: {}\r\n", now.strftime("%a, %d %b %Y %H:%M:%S GMT"));
        }
        out.extend_from_slice(field);
    });
}

/// The host that a request is for, without the port.
pub fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::head;
    use super::*;

    fn settings(forwarded_for: ForwardedFor) -> Settings {
        Settings {
            load_balancer: String::new(),
            zone: String::new(),
            port: 80,
            idle_timeout: Duration::from_secs(60),
            client_keep_alive: Duration::from_secs(3600),
            forwarded_for,
            forwarded_for_port: false,
            drop_invalid_headers: false,
            secure: false,
            http2: false,
            tells_tls: false,
            certificate: None,
            access_log: None,
        }
    }

    fn rewritten(given: &[(&str, &str)], settings: &Settings) -> Result<String, u16> {
        let mut text = String::from("GET /a?b HTTP/1.1\r\n");
        let has_host = given.iter().any(|(name, _)| *name == "host");
        for (name, value) in given.iter().chain(if has_host { None } else { Some(&("Host", "a.example")) }) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let client = ClientFields::new(([127, 0, 0, 9], 5000).into(), ([127, 0, 0, 1], 80).into(), settings, None);
        let now = Timestamp::from_second(0x5759_e988).unwrap();
        let onward =
            Onward { client: &client, settings, framing: &Framing::Empty, upgrade: None, now, host: None, url: None };
        let mut out = Vec::new();
        head::read_request(text.as_bytes(), |head| request(&mut out, &head, &onward)).unwrap().unwrap()?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn forwarded(given: &[(&str, &str)], mode: ForwardedFor) -> Result<String, u16> {
        rewritten(given, &settings(mode))
    }

    #[test]
    fn the_client_is_appended_to_those_that_forwarded_before() {
        let given = [("X-Forwarded-For", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2"), ("X-Forwarded-Port", "9")];
        let text = forwarded(&given, ForwardedFor::Append).unwrap();
        assert!(text.contains("\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 127.0.0.9\r\n"), "{text}");
        assert!(text.contains("\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n"), "{text}");
        assert_eq!(text.to_lowercase().matches("x-forwarded-").count(), 3, "{text}");
        assert!(text.starts_with("GET /a?b HTTP/1.1\r\nHost: a.example\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    }

    #[test]
    fn the_modes_preserve_and_remove_do_as_they_say() {
        let given = [("x-forwarded-for", "1.1.1.1")];
        assert!(forwarded(&given, ForwardedFor::Preserve).unwrap().contains("\r\nx-forwarded-for: 1.1.1.1\r\n"));
        assert!(!forwarded(&given, ForwardedFor::Remove).unwrap().to_lowercase().contains("x-forwarded-for"));
        let with_port = Settings { forwarded_for_port: true, ..settings(ForwardedFor::Append) };
        assert!(rewritten(&[], &with_port).unwrap().contains("\r\nX-Forwarded-For: 127.0.0.9:5000\r\n"));
    }

    #[test]
    fn more_than_thirty_forwarded_addresses_are_refused() {
        let addresses = |count| vec!["1.1.1.1"; count].join(", ");
        assert!(forwarded(&[("x-forwarded-for", &addresses(30))], ForwardedFor::Append).is_ok());
        assert_eq!(forwarded(&[("x-forwarded-for", &addresses(31))], ForwardedFor::Append).unwrap_err(), 463);
        let twice = [("x-forwarded-for", &*addresses(20)), ("x-forwarded-for", &*addresses(11))];
        assert_eq!(forwarded(&twice, ForwardedFor::Append).unwrap_err(), 463);
    }

    #[test]
    fn fields_of_one_connection_do_not_pass_but_connection_cannot_name_the_host() {
        let given = [
            ("connection", "close, X-Secret, Host"),
            ("x-secret", "1"),
            ("host", "a.example"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("accept", "*/*"),
        ];
        let text = forwarded(&given, ForwardedFor::Append).unwrap().to_lowercase();
        for gone in ["connection", "x-secret", "keep-alive", "te", "upgrade"] {
            assert!(!text.contains(&format!("\r\n{gone}:")), "{gone}: {text}");
        }
        assert!(text.contains("\r\nhost: a.example\r\n") && text.contains("\r\naccept: */*\r\n"), "{text}");
    }

    #[test]
    fn names_that_are_not_valid_are_dropped_where_that_is_asked_for() {
        let strict = Settings { drop_invalid_headers: true, ..settings(ForwardedFor::Append) };
        let given = [("x_under", "1"), ("x-fine", "2")];
        let text = rewritten(&given, &strict).unwrap();
        assert!(!text.contains("x_under") && text.contains("x-fine: 2"), "{text}");
        assert!(forwarded(&given, ForwardedFor::Append).unwrap().contains("x_under: 1"));
    }

    fn trace(given: &[(&str, &str)]) -> String {
        let text = forwarded(given, ForwardedFor::Append).unwrap();
        let mut traces = text.lines().filter_map(|line| line.strip_prefix("X-Amzn-Trace-Id: "));
        let trace = traces.next().unwrap().to_owned();
        assert_eq!(traces.next(), None, "one trace");
        trace
    }

    #[test]
    fn a_trace_that_has_a_root_gets_a_self() {
        let own = trace(&[]);
        assert!(own.starts_with("Root=1-5759e988-") && own.len() == "Root=1-5759e988-".len() + 24, "{own}");
        let root = "Root=1-67891233-abcdef012345678912345678";
        let passed = trace(&[("x-amzn-trace-id", root)]);
        assert!(passed.starts_with("Self=1-5759e988-") && passed.ends_with(&format!(";{root}")), "{passed}");
        let again = trace(&[("x-amzn-trace-id", &format!("Self=1-0-0;{root};CalledFrom=app"))]);
        assert!(
            again.starts_with("Self=1-5759e988-") && again.ends_with(&format!(";{root};CalledFrom=app")),
            "{again}"
        );
        assert!(!again.contains("Self=1-0-0"), "{again}");
        let rootless = trace(&[("x-amzn-trace-id", "CalledFrom=app")]);
        assert!(rootless.starts_with("Root=1-5759e988-") && rootless.ends_with(";CalledFrom=app"), "{rootless}");
        let large = trace(&[("x-amzn-trace-id", root), ("x-large", &"x".repeat(TRACED_BYTES_MAX))]);
        assert!(large.starts_with("Root=1-5759e988-") && !large.contains(root), "{large}");
    }

    #[test]
    fn the_port_is_no_part_of_the_host_name() {
        assert_eq!(host_name("a.example:8080"), "a.example");
        assert_eq!(host_name("a.example"), "a.example");
    }

    #[test]
    fn a_response_keeps_what_is_its_own_and_says_when() {
        let text = b"HTTP/1.1 299 Fine So\r\nContent-Length: 5\r\nConnection: X-Gone\r\nX-Gone: 1\r\nServer: s\r\n\r\n";
        let mut out = Vec::new();
        let back = Back {
            framing: &Framing::Length(5),
            keeps_length: false,
            cookies: b"Set-Cookie: a=b\r\n",
            connection: Connection::Closes,
            now: Timestamp::UNIX_EPOCH,
        };
        head::read_response(text, |head| response(&mut out, &head, &back)).unwrap().unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 299 Fine So\r\nServer: s\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\nConnection: close\r\n\r\n"
        );
    }
}
