//! The load balancer's own answers: fixed responses, redirects, and the small pages that tell of an error.

use std::io::Write as _;

use hyper::StatusCode;
use jiff::Timestamp;

use super::super::actions::{FixedResponse, Redirect};
use super::rewrite::{self, Connection};

/// An answer of the load balancer's own.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    content_type: String,
    location: Option<String>,
    body: String,
}

/// How an answer is sent.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    pub without_body: bool,
    pub connection: Connection,
    pub cookies: &'a [u8],
    pub now: Timestamp,
}

fn reason(status: u16) -> &'static str {
    // Where AWS's words are not those of the RFC.
    match status {
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        _ => StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or(""),
    }
}

/// The page for an error, as AWS's looks.
pub fn error(status: u16) -> Answer {
    let line = format!("{status} {}", reason(status));
    let line = line.trim_end();
    let body = format!(
        "<html>\r\n<head><title>{line}</title></head>\r\n<body>\r\n<center><h1>{line}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    Answer { status, content_type: "text/html".to_owned(), location: None, body }
}

pub fn fixed(fixed: &FixedResponse) -> Answer {
    let FixedResponse { status, content_type, body } = fixed.clone();
    Answer { status, content_type, location: None, body }
}

impl Answer {
    /// Where a redirect leads.
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    pub fn write(&self, out: &mut Vec<u8>, manner: &Manner<'_>) {
        out.extend_from_slice(b"HTTP/1.1 ");
        rewrite::push_status(out, self.status);
        let _ = write!(out, " {}\r\nServer: awselb/2.0\r\n", reason(self.status));
        rewrite::date(out, manner.now);
        if let Some(location) = &self.location {
            let _ = write!(out, "Location: {location}\r\n");
        }
        // A 204 has no body and no length (RFC 9110 §8.6).
        let bodiless = self.status == 204;
        if !bodiless {
            let _ = write!(out, "Content-Type: {}\r\nContent-Length: {}\r\n", self.content_type, self.body.len());
        }
        out.extend_from_slice(manner.cookies);
        rewrite::connection(out, manner.connection);
        out.extend_from_slice(b"\r\n");
        if !bodiless && !manner.without_body {
            out.extend_from_slice(self.body.as_bytes());
        }
    }
}

/// What a redirect's placeholders stand for.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    pub scheme: &'a str,
    pub host: &'a str,
    pub port: u16,
    /// With its slash.
    pub path: &'a str,
    pub query: &'a str,
}

/// A redirect; 400 where what the client asked for cannot be part of a header.
pub fn redirect(redirect: &Redirect, origin: Origin) -> Answer {
    let location = location(redirect, origin);
    if location.bytes().any(|byte| byte.is_ascii_control()) {
        return error(400);
    }
    Answer { location: Some(location), ..error(redirect.status) }
}

fn location(redirect: &Redirect, origin: Origin) -> String {
    let fill = |text: &str| {
        text.replace("#{protocol}", origin.scheme)
            .replace("#{host}", origin.host)
            .replace("#{port}", &origin.port.to_string())
            .replace("#{path}", origin.path.strip_prefix('/').unwrap_or(origin.path))
            .replace("#{query}", origin.query)
    };
    let protocol = match redirect.protocol.as_str() {
        "HTTPS" => "https",
        "HTTP" => "http",
        _ => origin.scheme,
    };
    let query = fill(&redirect.query);
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{protocol}://{}:{}{}{mark}{query}", fill(&redirect.host), fill(&redirect.port), fill(&redirect.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_long_it_is_and_a_head_has_no_body() {
        let write = |answer: &Answer, without_body| {
            let mut out = Vec::new();
            let now = Timestamp::UNIX_EPOCH;
            answer.write(&mut out, &Manner { without_body, connection: Connection::Stays, cookies: b"", now });
            String::from_utf8(out).unwrap()
        };
        let plain = FixedResponse { status: 404, content_type: "text/plain".to_owned(), body: "nobody".to_owned() };
        let head = "HTTP/1.1 404 Not Found\r\nServer: awselb/2.0\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\n";
        assert_eq!(write(&fixed(&plain), false), format!("{head}nobody"));
        assert_eq!(write(&fixed(&plain), true), head);
        let empty = FixedResponse { status: 204, body: "ignored".to_owned(), ..plain };
        assert!(write(&fixed(&empty), false).ends_with("GMT\r\n\r\n"));
    }

    #[test]
    fn a_redirect_fills_in_what_the_client_asked_for() {
        let to = |protocol: &str, host: &str, port: &str, path: &str, query: &str| {
            let [protocol, host, port, path, query] = [protocol, host, port, path, query].map(str::to_owned);
            let redirect = Redirect { protocol, host, port, path, query, status: 301 };
            location(&redirect, Origin { scheme: "http", host: "shop.example", port: 80, path: "/a/b", query: "x=1" })
        };
        assert_eq!(to("HTTPS", "#{host}", "443", "/#{path}", "#{query}"), "https://shop.example:443/a/b?x=1");
        assert_eq!(to("#{protocol}", "new.#{host}", "#{port}", "/v2/#{path}", ""), "http://new.shop.example:80/v2/a/b");
    }
}
