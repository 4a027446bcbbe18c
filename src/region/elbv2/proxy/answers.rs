//! The load balancer's own answers: fixed responses, redirects, and the small pages that tell of an error.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION, SERVER};
use hyper::{Response, StatusCode};

use super::super::actions::{FixedResponse, Redirect};
use super::relay::Body;

const NAME: HeaderValue = HeaderValue::from_static("awselb/2.0");

/// The page for an error, as AWS's looks.
pub fn error(status: u16) -> Response<Body> {
    // Where AWS's words are not those of the RFC.
    let reason = match status {
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        _ => StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or(""),
    };
    let line = format!("{status} {reason}");
    let line = line.trim_end();
    let page = format!(
        "<html>\r\n<head><title>{line}</title></head>\r\n<body>\r\n<center><h1>{line}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    answer(status, HeaderValue::from_static("text/html"), Bytes::from(page))
}

pub fn fixed(fixed: &FixedResponse) -> Response<Body> {
    let kind = HeaderValue::from_str(&fixed.content_type).unwrap_or(HeaderValue::from_static("text/plain"));
    answer(fixed.status, kind, Bytes::from(fixed.body.clone()))
}

/// What a redirect's placeholders stand for.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    pub host: &'a str,
    pub port: u16,
    /// With its slash.
    pub path: &'a str,
    pub query: &'a str,
}

pub fn redirect(redirect: &Redirect, origin: Origin) -> Response<Body> {
    let mut answer = error(redirect.status);
    match HeaderValue::from_str(&location(redirect, origin)) {
        Ok(location) => {
            answer.headers_mut().insert(LOCATION, location);
            answer
        }
        Err(_) => error(400),
    }
}

fn location(redirect: &Redirect, origin: Origin) -> String {
    let fill = |text: &str| {
        text.replace("#{protocol}", "http")
            .replace("#{host}", origin.host)
            .replace("#{port}", &origin.port.to_string())
            .replace("#{path}", origin.path.strip_prefix('/').unwrap_or(origin.path))
            .replace("#{query}", origin.query)
    };
    let protocol = if redirect.protocol == "HTTPS" { "https" } else { "http" };
    let query = fill(&redirect.query);
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{protocol}://{}:{}{}{mark}{query}", fill(&redirect.host), fill(&redirect.port), fill(&redirect.path))
}

fn answer(status: u16, kind: HeaderValue, body: Bytes) -> Response<Body> {
    let mut answer = Response::new(Body::whole(body));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(SERVER, NAME);
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_fills_in_what_the_client_asked_for() {
        let to = |protocol: &str, host: &str, port: &str, path: &str, query: &str| {
            let [protocol, host, port, path, query] = [protocol, host, port, path, query].map(str::to_owned);
            let redirect = Redirect { protocol, host, port, path, query, status: 301 };
            location(&redirect, Origin { host: "shop.example", port: 80, path: "/a/b", query: "x=1" })
        };
        assert_eq!(to("HTTPS", "#{host}", "443", "/#{path}", "#{query}"), "https://shop.example:443/a/b?x=1");
        assert_eq!(to("#{protocol}", "new.#{host}", "#{port}", "/v2/#{path}", ""), "http://new.shop.example:80/v2/a/b");
    }
}
