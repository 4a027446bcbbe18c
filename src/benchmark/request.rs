//! What is sent: a server, and the bytes of each request, made once before the load begins.

use std::time::Duration;

use super::data::Table;
use super::scenario::{Expect, RequestChoice};
use super::template::Template;
use crate::problem::Problem;

/// Where requests go. `http://host:port`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub host: String,
    pub port: u16,
    /// `https`
    pub tls: bool,
}

impl Server {
    /// Reads `http://host:port/path` into a server and a path.
    pub fn of(url: &str) -> Result<(Self, String), Problem> {
        let bad = |why: &str| {
            Problem::usage("Not a URL that can be loaded", format!("{url:?}: {why}"))
                .hint("write http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH")
        };
        let (tls, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(bad("only http:// and https:// are spoken")),
        };
        let (authority, path) = rest.find(['/', '?', '#']).map_or((rest, "/"), |end| rest.split_at(end));
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) || !authority.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad("spaces and characters beyond ASCII must be percent-encoded"));
        }
        if authority.contains('@') {
            return Err(bad("a name and password in a URL are not sent; use a header"));
        }
        // The colon of a port comes after the bracket of an IPv6 address.
        let port_at = authority.rfind(':').filter(|colon| authority.rfind(']').is_none_or(|bracket| bracket < *colon));
        let (host, port) = match port_at {
            Some(colon) => {
                (&authority[..colon], authority[colon + 1..].parse().map_err(|_| bad("the port is not a number"))?)
            }
            None => (authority, if tls { 443 } else { 80 }),
        };
        if host.is_empty() {
            return Err(bad("the host is missing"));
        }
        let path = path.split('#').next().filter(|path| !path.is_empty()).unwrap_or("/");
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok((Self { host: host.to_owned(), port, tls }, path))
    }

    /// Without the brackets of an IPv6 address.
    pub fn host_name(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// As the `Host` header has it.
    pub fn authority(&self) -> String {
        let usual = if self.tls { 443 } else { 80 };
        if self.port == usual { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

/// What all requests of a scenario have in common.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    pub keep_alive: bool,
    /// Followed at most.
    pub redirects: u32,
    /// What `${csv.COLUMN}` stands for.
    pub data: Option<&'a Table>,
}

impl Manner<'_> {
    pub const PLAIN: Self = Self { keep_alive: true, redirects: 0, data: None };
}

/// A request that is sent again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub bytes: Box<[u8]>,
    /// In place of `bytes` where a row of the scenario's data is in it.
    pub template: Option<Template>,
    pub redirects: u32,
    /// An answer to HEAD has no body, whatever its length says (RFC 9112, section 6.3).
    pub is_head: bool,
    /// May be sent again where the connection broke before any answer (RFC 9110, section 9.2.2).
    pub is_idempotent: bool,
    pub keep_alive: bool,
    pub timeout: Duration,
    pub expect: Expect,
}

impl Request {
    pub fn new(server: &Server, path: &str, choice: &RequestChoice, manner: Manner<'_>) -> Self {
        let line = format!("{} {path}", choice.method);
        let mut head = " HTTP/1.1\r\n".to_owned();
        let written = |name: &str| choice.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let mut default = |name: &str, value: &str| {
            if !written(name) {
                head += &format!("{name}: {value}\r\n");
            }
        };
        default("Host", &server.authority());
        default("User-Agent", concat!("cloudscale/", env!("CARGO_PKG_VERSION")));
        default("Accept", "*/*");
        if !manner.keep_alive {
            head += "Connection: close\r\n";
        }
        for (name, value) in &choice.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if choice.body.is_empty() && ["POST", "PUT", "PATCH"].contains(&choice.method.as_str()) {
            head += "Content-Length: 0\r\n";
        }
        let template = manner.data.and_then(|table| Template::of(&line, &head, &choice.body, table));
        let mut bytes = format!("{line}{head}");
        if !choice.body.is_empty() {
            bytes += &format!("Content-Length: {}\r\n", choice.body.len());
        }
        bytes += "\r\n";
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(&choice.body);
        Self {
            bytes: bytes.into_boxed_slice(),
            template,
            redirects: manner.redirects,
            is_head: choice.method == "HEAD",
            is_idempotent: ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"].contains(&choice.method.as_str()),
            keep_alive: manner.keep_alive,
            timeout: choice.timeout,
            expect: choice.expect.clone(),
        }
    }
}

/// The path of a request of a mix: behind the target's own, so that one mix loads several clusters.
pub fn joined(target: &str, request: &str) -> String {
    if request.is_empty() { target.to_owned() } else { format!("{}{request}", target.trim_end_matches('/')) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_server_and_a_path() {
        let read = |url: &str| Server::of(url).map(|(server, path)| (server.host, server.port, path));
        let is = |host: &str, port, path: &str| Ok::<_, Problem>((host.to_owned(), port, path.to_owned()));
        assert_eq!(read("http://example.org").ok(), is("example.org", 80, "/").ok());
        assert_eq!(read("http://[::1]:8080/a?b=c#d").ok(), is("[::1]", 8080, "/a?b=c").ok());
        assert_eq!(read("http://127.0.0.1:81?x").ok(), is("127.0.0.1", 81, "/?x").ok());
        assert_eq!(read("https://a/b").ok(), is("a", 443, "/b").ok());
        for url in ["ftp://a/", "a.org", "http://:80/", "http://a:port/", "http://a/b c", "http://u:p@a/"] {
            assert_eq!(read(url).expect_err(url).summary, "Not a URL that can be loaded");
        }
    }

    #[test]
    fn the_users_headers_stand_in_place_of_ours() {
        let server = Server { host: "lb".into(), port: 8080, tls: false };
        let choice = RequestChoice {
            method: "POST".into(),
            headers: vec![("host".into(), "shop".into()), ("X-Key".into(), "1".into())],
            body: b"{}".to_vec(),
            ..RequestChoice::default()
        };
        let request = Request::new(&server, "/objs", &choice, Manner { keep_alive: false, ..Manner::PLAIN });
        let text = String::from_utf8(request.bytes.to_vec()).expect("ASCII");
        assert!(text.starts_with("POST /objs HTTP/1.1\r\nUser-Agent: cloudscale/"), "{text}");
        assert!(text.ends_with("Connection: close\r\nhost: shop\r\nX-Key: 1\r\nContent-Length: 2\r\n\r\n{}"), "{text}");
        assert!(!text.contains("Host: lb") && !request.is_idempotent && !request.is_head);
    }

    #[test]
    fn a_mix_is_behind_the_targets_path() {
        assert_eq!(
            [joined("/cluster1/", "/objs"), joined("/", "/objs"), joined("/a", "")],
            ["/cluster1/objs", "/objs", "/a"]
        );
    }
}
