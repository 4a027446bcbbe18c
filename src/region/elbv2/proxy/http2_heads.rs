//! Heads of HTTP/2 as heads of HTTP/1.1, and back.
//!
//! Whoever passes a request of HTTP/2 on in HTTP/1.1 must not make two of one (RFC 9113 §10.3). So nothing is judged here that
//! `head` and `framing` judge: what comes is written down as it is, and they refuse it as they refuse it of any client.

use hyper::header::{COOKIE, HOST, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};

use super::head::{Name, ResponseHead};

/// How the text of a request goes on after its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none, or its length stands in the head.
    Plain,
    /// The length is not known, so it goes on in chunks.
    Chunks,
}

/// Writes a request's head. `ended`: nothing follows.
pub fn request<B>(request: &Request<B>, ended: bool) -> (Vec<u8>, Body) {
    let (fields, uri) = (request.headers(), request.uri());
    let authority = uri.authority().map(|authority| authority.as_str());
    // CONNECT has an authority only.
    let target = uri.path_and_query().map(|path| path.as_str()).or(authority).unwrap_or("/");
    let mut out = Vec::with_capacity(512);
    push(&mut out, &[request.method().as_str().as_bytes(), b" ", target.as_bytes(), b" HTTP/1.1\r\n"]);
    if let Some(authority) = authority {
        field(&mut out, &HOST, authority.as_bytes());
    }
    for (name, value) in fields {
        // One that says the same as the authority is the same field; any other contradicts it (RFC 9113 §8.3.1).
        let repeats = |authority: &str| *name == HOST && value.as_bytes().eq_ignore_ascii_case(authority.as_bytes());
        if *name != COOKIE && !authority.is_some_and(repeats) {
            field(&mut out, name, value.as_bytes());
        }
    }
    let mut cookies = fields.get_all(COOKIE).iter();
    if let Some(first) = cookies.next() {
        push(&mut out, &[b"cookie: ", first.as_bytes()]);
        // What was one field may come in pieces (RFC 9113 §8.2.3).
        cookies.for_each(|crumb| push(&mut out, &[b"; ", crumb.as_bytes()]));
        out.extend_from_slice(b"\r\n");
    }
    let body = if ended || fields.contains_key(hyper::header::CONTENT_LENGTH) { Body::Plain } else { Body::Chunks };
    if body == Body::Chunks {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    (out, body)
}

fn push(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn field(out: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    push(out, &[name.as_str().as_bytes(), b": ", value, b"\r\n"]);
}

/// A response's head; `None` for one that HTTP/2 cannot say. What concerns one connection of HTTP/1.1 stays behind (RFC 9113
/// §8.2.2), the reason phrase too.
pub fn response(head: &ResponseHead<'_>) -> Option<Response<()>> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.status).ok()?;
    for field in head.fields.all {
        if !matches!(Name::of(field.name), Name::Connection | Name::HopByHop | Name::TransferEncoding | Name::Upgrade) {
            let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            response.headers_mut().append(name, HeaderValue::from_bytes(field.value).ok()?);
        }
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::super::head;
    use super::*;

    fn written(request: Request<()>, ended: bool) -> (String, Body) {
        let (text, body) = super::request(&request, ended);
        (String::from_utf8(text).unwrap(), body)
    }

    #[test]
    fn the_authority_is_the_host_and_crumbs_are_one_cookie() {
        let request = Request::get("https://shop.example:8443/a?b=c")
            .header("cookie", "a=1")
            .header("x-key", "value")
            .header("cookie", "b=2")
            .header("host", "Shop.example:8443");
        let head = "GET /a?b=c HTTP/1.1\r\nhost: shop.example:8443\r\nx-key: value\r\ncookie: a=1; b=2\r\n";
        assert_eq!(written(request.body(()).unwrap(), true), (format!("{head}\r\n"), Body::Plain));
    }

    #[test]
    fn a_host_that_contradicts_the_authority_is_refused_like_two_hosts() {
        let request = Request::get("https://shop.example/").header("host", "other.example").body(()).unwrap();
        let (text, _) = written(request, true);
        assert!(text.contains("host: shop.example\r\nhost: other.example\r\n"), "{text}");
        assert_eq!(head::read_request(text.as_bytes(), |_| ()).unwrap_err(), 400);
    }

    #[test]
    fn a_body_has_the_length_that_was_said_or_comes_in_chunks() {
        let post = || Request::post("https://a/");
        let sized = post().header("content-length", "3").body(()).unwrap();
        assert_eq!(written(sized, false).1, Body::Plain);
        let (text, body) = written(post().body(()).unwrap(), false);
        assert!(text.ends_with("\r\ntransfer-encoding: chunked\r\n\r\n") && body == Body::Chunks, "{text}");
        assert_eq!(written(post().body(()).unwrap(), true).0, "POST / HTTP/1.1\r\nhost: a\r\n\r\n");
    }

    #[test]
    fn connect_is_refused_as_of_http_1() {
        let (text, _) = written(Request::connect("a.example:443").body(()).unwrap(), false);
        assert!(text.starts_with("CONNECT a.example:443 HTTP/1.1\r\n"), "{text}");
        assert_eq!(head::read_request(text.as_bytes(), |_| ()).unwrap_err(), 405);
    }

    #[test]
    fn what_concerns_a_connection_of_http_1_stays_behind() {
        let text = "HTTP/1.1 200 Fine\r\nConnection: close\r\nKeep-Alive: 5\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\
                    Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n";
        let response = head::read_response(text.as_bytes(), |head| response(&head)).unwrap().unwrap().unwrap();
        assert_eq!(response.status(), 200);
        let names: Vec<&str> = response.headers().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-a", "set-cookie", "set-cookie"]);
        let strange = "HTTP/1.1 464 \r\nContent-Length: 3\r\n\r\n";
        let status =
            |text: &str| head::read_response(text.as_bytes(), |head| super::response(&head).map(|it| it.status()));
        assert_eq!(status(strange).unwrap().unwrap().unwrap(), 464);
    }
}
