//! Heads of requests and responses, read in place: what the proxy needs to know of them, and AWS's limits.
//!
//! | limit | value | answer |
//! | --- | --- | --- |
//! | request line | 16 K | 414 |
//! | one header of a request | 16 K | 400 |
//! | a request's head | 64 K | 400 |
//! | a response's head | 32 K | 502 |
//!
//! (User guide, "Quotas for your Application Load Balancers", HTTP headers.) How many headers there are does not matter.

use std::collections::BTreeSet;
use std::mem::MaybeUninit;

use super::length::{Ambiguous, TransferEncoding, content_length};

pub type Field<'b> = httparse::Header<'b>;

/// The longest request line, without its end.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// The longest header of a request, without the end of its line.
const FIELD_BYTES_MAX: usize = 16 * 1024;
/// The largest head of a request.
const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// The largest head of a response.
const RESPONSE_BYTES_MAX: usize = 32 * 1024;
/// Headers that need no memory of their own.
const FIELDS_USUAL: usize = 48;
/// Room that is tried when those are not enough. More than the last do not fit into the largest head, as a header has
/// three bytes at least.
const FIELDS_MORE: [usize; 2] = [256, REQUEST_BYTES_MAX / 3];

/// Fields that the proxy treats in a way of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Connection,
    ContentLength,
    Cookie,
    Date,
    Expect,
    Host,
    TraceId,
    TransferEncoding,
    Upgrade,
    XForwardedFor,
    /// X-Forwarded-Proto and X-Forwarded-Port, which are always the proxy's own.
    XForwarded,
    /// Concerns one connection only, like Connection, Transfer-Encoding and Upgrade (RFC 9110 §7.6.1).
    HopByHop,
    Other,
}

impl Name {
    pub fn of(name: &str) -> Self {
        let known: &[(&str, Name)] = match name.len() {
            2 => &[("te", Name::HopByHop)],
            4 => &[("host", Name::Host), ("date", Name::Date)],
            6 => &[("cookie", Name::Cookie), ("expect", Name::Expect)],
            7 => &[("upgrade", Name::Upgrade), ("trailer", Name::HopByHop)],
            10 => &[("connection", Name::Connection), ("keep-alive", Name::HopByHop)],
            14 => &[("content-length", Name::ContentLength)],
            15 => &[("x-forwarded-for", Name::XForwardedFor), ("x-amzn-trace-id", Name::TraceId)],
            16 => &[("x-forwarded-port", Name::XForwarded), ("proxy-connection", Name::HopByHop)],
            17 => &[("transfer-encoding", Name::TransferEncoding), ("x-forwarded-proto", Name::XForwarded)],
            18 => &[("proxy-authenticate", Name::HopByHop)],
            _ => &[],
        };
        known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or(Name::Other, |(_, name)| *name)
    }
}

/// The fields of a head, and what those say that concern the proxy.
#[derive(Debug)]
pub struct Fields<'b> {
    pub all: &'b [Field<'b>],
    pub host: Option<&'b str>,
    /// More than one Host, or one that is no text.
    pub hosts_contradict: bool,
    pub content_length: Result<Option<u64>, Ambiguous>,
    pub lengths: usize,
    pub transfer_encoding: TransferEncoding,
    pub close: bool,
    pub keep_alive: bool,
    pub upgrades: bool,
    /// Connection names fields.
    pub names_others: bool,
    pub upgrade: Option<&'b [u8]>,
    pub expects_continue: bool,
    pub has_date: bool,
    pub trace_id: Option<&'b str>,
    pub forwarded_for: usize,
}

impl<'b> Fields<'b> {
    fn new(all: &'b [Field<'b>]) -> Self {
        let mut fields = Self {
            all,
            host: None,
            hosts_contradict: false,
            content_length: Ok(None),
            lengths: 0,
            transfer_encoding: TransferEncoding::None,
            close: false,
            keep_alive: false,
            upgrades: false,
            names_others: false,
            upgrade: None,
            expects_continue: false,
            has_date: false,
            trace_id: None,
            forwarded_for: 0,
        };
        for field in all {
            fields.note(field);
        }
        fields
    }

    fn note(&mut self, field: &'b Field<'b>) {
        let text = || std::str::from_utf8(field.value).ok();
        match Name::of(field.name) {
            Name::Host => {
                self.hosts_contradict |= self.host.is_some() || text().is_none();
                self.host = text();
            }
            Name::ContentLength => {
                self.content_length = content_length(field.value, self.content_length);
                self.lengths += 1;
            }
            Name::TransferEncoding => self.transfer_encoding = self.transfer_encoding.and(field.value),
            Name::Connection => {
                for option in tokens(field.value) {
                    match option {
                        _ if option.eq_ignore_ascii_case(b"close") => self.close = true,
                        _ if option.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                        _ if option.eq_ignore_ascii_case(b"upgrade") => self.upgrades = true,
                        b"" => {}
                        _ => self.names_others = true,
                    }
                }
            }
            Name::Upgrade => self.upgrade = Some(field.value),
            Name::Expect => self.expects_continue |= field.value.eq_ignore_ascii_case(b"100-continue"),
            Name::Date => self.has_date = true,
            Name::TraceId => self.trace_id = text(),
            Name::XForwardedFor => self.forwarded_for += 1,
            _ => {}
        }
    }

    /// The fields that Connection names, in lower case: they concern one connection only, too.
    pub fn named_by_connection(&self) -> BTreeSet<Vec<u8>> {
        if !self.names_others {
            return BTreeSet::new();
        }
        let connections = self.all.iter().filter(|field| Name::of(field.name) == Name::Connection);
        let named = connections.flat_map(|field| tokens(field.value)).map(<[u8]>::to_ascii_lowercase);
        // Nobody may take away what routes and frames a message.
        named.filter(|name| name != b"host" && name != b"content-length").collect()
    }
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

#[derive(Debug)]
pub struct RequestHead<'b> {
    pub method: &'b str,
    pub target: RequestTarget<'b>,
    /// HTTP/1.0.
    pub old: bool,
    pub fields: Fields<'b>,
    /// Bytes of the head.
    pub size: usize,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTarget<'b> {
    /// Of the absolute form: it is the host, whatever the header says (RFC 9112 §3.2.2).
    pub authority: Option<&'b str>,
    /// With its slash, or `*`.
    pub path: &'b str,
    pub query: Option<&'b str>,
}

impl<'b> RequestTarget<'b> {
    fn parse(target: &'b str, method: &str) -> Result<Self, u16> {
        // No client sends fragments (RFC 9112 §3.2), and whoever counts them in sees another path.
        if target.contains('#') {
            return Err(400);
        }
        if target == "*" && method == "OPTIONS" {
            return Ok(Self { authority: None, path: target, query: None });
        }
        let (authority, rest) = if target.starts_with('/') {
            (None, target)
        } else {
            let (scheme, rest) = target.split_once("://").ok_or(400_u16)?;
            if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
                return Err(400);
            }
            let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            (Some(authority), rest)
        };
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        Ok(Self { authority, path: if path.is_empty() { "/" } else { path }, query })
    }
}

/// Whether `host[:port]` is what RFC 3986 §3.2.2 calls so: without userinfo, blanks and slashes.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((literal, port)) if !literal.is_empty() => {
                let is_literal = literal.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
                return is_literal && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
            }
            _ => return false,
        },
        None => text.split_once(':').map_or((text, ""), |(name, port)| (name, port)),
    };
    let in_names = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte);
    !name.is_empty() && name.bytes().all(in_names) && is_port(port)
}

fn is_port(text: &str) -> bool {
    text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Bytes of the empty lines before a request, which servers overlook (RFC 9112 §2.2).
pub fn empty_lines(bytes: &[u8]) -> usize {
    let mut count = 0;
    loop {
        match &bytes[count..] {
            [b'\r', b'\n', ..] => count += 2,
            [b'\n', ..] => count += 1,
            _ => return count,
        }
    }
}

/// Whether it is worth while to read `bytes` as a request's head, after the first `known` of them were not one: a client
/// that sends byte by byte would cost as much as thousands that do not.
pub fn may_be_request(bytes: &[u8], known: usize) -> bool {
    let news = &bytes[known.saturating_sub(3).min(bytes.len())..];
    let ends = || news.windows(2).any(|two| two == b"\n\n") || news.windows(3).any(|three| three == b"\n\r\n");
    let passed = |bound: usize| known < bound && bytes.len() >= bound;
    bytes.len() >= known * 2 || passed(LINE_BYTES_MAX + 2) || passed(REQUEST_BYTES_MAX) || ends()
}

/// Reads a request's head at the front of `bytes` and passes it on; `None` while it is not complete.
///
/// # Errors
/// The status of the refusal: 400, 405 or 414.
pub fn read_request<R>(bytes: &[u8], pass: impl FnOnce(RequestHead<'_>) -> R) -> Result<Option<R>, u16> {
    let visible = &bytes[..bytes.len().min(REQUEST_BYTES_MAX)];
    let mut few = [const { MaybeUninit::uninit() }; FIELDS_USUAL];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(visible, &mut few) {
        Err(httparse::Error::TooManyHeaders) => {}
        outcome => return judge_request(bytes, outcome, &request, pass),
    }
    for room in FIELDS_MORE {
        let mut many = vec![httparse::EMPTY_HEADER; room];
        let mut request = httparse::Request::new(&mut many);
        match request.parse(visible) {
            Err(httparse::Error::TooManyHeaders) => {}
            outcome => return judge_request(bytes, outcome, &request, pass),
        }
    }
    Err(400)
}

fn judge_request<R>(
    bytes: &[u8],
    outcome: httparse::Result<usize>,
    request: &httparse::Request<'_, '_>,
    pass: impl FnOnce(RequestHead<'_>) -> R,
) -> Result<Option<R>, u16> {
    match outcome {
        Ok(httparse::Status::Complete(size)) => check_request(request, size).map(|head| Some(pass(head))),
        Ok(httparse::Status::Partial) => incomplete(bytes),
        Err(_) => Err(400),
    }
}

/// Whether a head that is not complete may still become one.
fn incomplete<R>(bytes: &[u8]) -> Result<Option<R>, u16> {
    let line = bytes.iter().take(LINE_BYTES_MAX + 2).position(|byte| *byte == b'\n');
    if line.is_none() && bytes.len() > LINE_BYTES_MAX + 1 {
        return Err(414);
    }
    if bytes.len() >= REQUEST_BYTES_MAX { Err(400) } else { Ok(None) }
}

fn check_request<'b>(request: &'b httparse::Request<'_, '_>, size: usize) -> Result<RequestHead<'b>, u16> {
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err(400);
    };
    if method.len() + target.len() + "  HTTP/1.1".len() > LINE_BYTES_MAX {
        return Err(414);
    }
    let size_of = |field: &Field<'_>| field.name.len() + ": ".len() + field.value.len();
    if request.headers.iter().any(|field| size_of(field) > FIELD_BYTES_MAX) {
        return Err(400);
    }
    if matches!(method, "TRACE" | "CONNECT") {
        return Err(405);
    }
    let old = version == 0;
    let target = RequestTarget::parse(target, method)?;
    let fields = Fields::new(request.headers);
    let host_is_missing = fields.host.is_none() && !old;
    if fields.hosts_contradict || host_is_missing {
        return Err(400);
    }
    if ![target.authority, fields.host].into_iter().flatten().all(is_host) {
        return Err(400);
    }
    Ok(RequestHead { method, target, old, fields, size })
}

#[derive(Debug)]
pub struct ResponseHead<'b> {
    pub status: u16,
    pub reason: &'b str,
    /// HTTP/1.0.
    pub old: bool,
    pub fields: Fields<'b>,
    /// Bytes of the head.
    pub size: usize,
}

/// A response that is none, or whose head is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads a response's head at the front of `bytes` and passes it on; `None` while it is not complete.
///
/// # Errors
/// [`Malformed`].
pub fn read_response<R>(bytes: &[u8], pass: impl FnOnce(ResponseHead<'_>) -> R) -> Result<Option<R>, Malformed> {
    let visible = &bytes[..bytes.len().min(RESPONSE_BYTES_MAX)];
    let mut few = [const { MaybeUninit::uninit() }; FIELDS_USUAL];
    let mut response = httparse::Response::new(&mut []);
    match httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, visible, &mut few) {
        Err(httparse::Error::TooManyHeaders) => {}
        outcome => return judge_response(bytes, outcome, &response, pass),
    }
    for room in FIELDS_MORE {
        let mut many = vec![httparse::EMPTY_HEADER; room];
        let mut response = httparse::Response::new(&mut many);
        match response.parse(visible) {
            Err(httparse::Error::TooManyHeaders) => {}
            outcome => return judge_response(bytes, outcome, &response, pass),
        }
    }
    Err(Malformed)
}

fn judge_response<R>(
    bytes: &[u8],
    outcome: httparse::Result<usize>,
    response: &httparse::Response<'_, '_>,
    pass: impl FnOnce(ResponseHead<'_>) -> R,
) -> Result<Option<R>, Malformed> {
    let Ok(status) = outcome else { return Err(Malformed) };
    let httparse::Status::Complete(size) = status else {
        return if bytes.len() >= RESPONSE_BYTES_MAX { Err(Malformed) } else { Ok(None) };
    };
    let (Some(status), Some(version)) = (response.code, response.version) else { return Err(Malformed) };
    if status < 100 {
        return Err(Malformed);
    }
    let reason = response.reason.unwrap_or_default();
    let fields = Fields::new(response.headers);
    Ok(Some(pass(ResponseHead { status, reason, old: version == 0, fields, size })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Option<(Option<&str>, &str, Option<&str>)> {
        RequestTarget::parse(text, "GET").ok().map(|target| (target.authority, target.path, target.query))
    }

    #[test]
    fn a_target_has_its_authority_taken_off() {
        assert_eq!(target("/a?b=c?d"), Some((None, "/a", Some("b=c?d"))));
        assert_eq!(target("http://h:1/a"), Some((Some("h:1"), "/a", None)));
        assert_eq!(target("HTTPS://h?q"), Some((Some("h"), "/", Some("q"))));
        for none in ["a", "*", "ftp://h/", "h:80", "/a#b", "://h"] {
            assert_eq!(target(none), None, "{none}");
        }
    }

    #[test]
    fn hosts_are_names_addresses_and_ports() {
        for host in ["a", "a.example:8080", "127.0.0.1", "[::1]", "[::1]:80", "a_b", "a:"] {
            assert!(is_host(host), "{host}");
        }
        for none in ["", ":80", "a b", "a/b", "u@a", "u:p@a", "a:x", "[::1", "[]", "[g]", "a:123456", "é"] {
            assert!(!is_host(none), "{none}");
        }
    }

    #[test]
    fn what_connection_names_is_known_but_never_the_host() {
        let head =
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Secret\r\nconnection: Host,,content-length\r\n\r\n";
        let (close, named) =
            read_request(head, |head| (head.fields.close, head.fields.named_by_connection())).unwrap().unwrap();
        assert!(close);
        assert!(
            named.contains(&b"x-secret"[..])
                && !named.contains(&b"host"[..])
                && !named.contains(&b"content-length"[..])
        );
    }

    #[test]
    fn a_head_is_read_only_when_it_is_complete() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for cut in 0..head.len() {
            assert_eq!(read_request(&head[..cut], |_| ()), Ok(None), "{cut}");
        }
        assert_eq!(read_request(head, |head| head.size), Ok(Some(head.len())));
        assert_eq!(read_request(b"nonsense\r\n\r\n", |_| ()), Err(400));
        assert_eq!(read_response(b"HTTP/1.1 099 No\r\n\r\n", |_| ()), Err(Malformed));
        assert_eq!(empty_lines(b"\r\n\n\r\nGET"), 5);
    }
}
