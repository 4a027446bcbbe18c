//! Who may call the region: processes of its own user and root's, and no page of a browser.
//!
//! Whoever may launch an instance runs programs as the region's user. Any credentials are taken, so the caller is known
//! by something that needs no secret: who owns the socket at the other end of the connection. It is asked once for
//! each.

use std::net::IpAddr;

use hyper::HeaderMap;
use hyper::header::{HOST, HeaderName, HeaderValue, ORIGIN};
use tokio::net::TcpStream;

use super::log_limiter::LogLimiter;
use super::wire::ApiError;
use super::wire::protocol::Protocol;
use crate::platform::socket_owner::SocketOwners;

const ROOT: u32 = 0;
/// What a browser says of the page that asks (Fetch Metadata, W3C): `none` where the user asked, not a page.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

static UNKNOWN: LogLimiter = LogLimiter::new();

/// Whose processes may call.
#[derive(Debug)]
pub enum Callers {
    /// The region's own user's, and root's.
    Own(SocketOwners),
    /// Every user's.
    All,
}

/// Somebody who may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherUser {
    /// `None` where no process holds the connection any more, or the kernel did not tell.
    user: Option<u32>,
    /// Whose the region is.
    own: u32,
}

impl Callers {
    /// The own user; where the kernel does not tell whose a connection is, all, and why.
    pub fn own_user() -> (Self, Option<String>) {
        match SocketOwners::open() {
            Ok(owners) => (Callers::Own(owners), None),
            Err(error) => (Callers::All, Some(format!("whose a connection is cannot be known here: {error}"))),
        }
    }

    /// Whether the process at the other end may call.
    ///
    /// # Errors
    /// Who it is otherwise.
    pub fn admit(&self, connection: &TcpStream) -> Result<(), OtherUser> {
        let Callers::Own(owners) = self else { return Ok(()) };
        let ends = connection.peer_addr().and_then(|peer| Ok((peer, connection.local_addr()?)));
        let user = ends.and_then(|(peer, own)| owners.owner(peer, own)).unwrap_or_else(|error| {
            if let Some(unsaid) = UNKNOWN.due() {
                tracing::warn!(%error, unsaid, "a caller is refused: whose its connection is cannot be known");
            }
            None
        });
        let own = owners.own_user();
        if user.is_some_and(|user| user == own || user == ROOT) { Ok(()) } else { Err(OtherUser { user, own }) }
    }
}

impl OtherUser {
    pub fn message(self) -> String {
        let own = self.own;
        let who = self.user.map_or("whoever has left this connection".to_owned(), |user| format!("user {user}"));
        format!(
            "This embedded region is user {own}'s, and not for {who}: it runs programs as its user. Start a region of your own \
             (`cloudscale local start`), or have user {own} stop this one and start it with `cloudscale local start --allow-users`."
        )
    }

    /// In the code that AWS has for a caller without permission (EC2 API Reference, "Error codes"; "Common Errors" of
    /// the others).
    pub fn error(self, protocol: Protocol) -> ApiError {
        let code = match protocol {
            Protocol::Ec2Query => "UnauthorizedOperation",
            Protocol::Json10 | Protocol::Json11 => "AccessDeniedException",
            Protocol::Query | Protocol::Cbor => "AccessDenied",
        };
        ApiError { status: 403, ..ApiError::new(code, self.message()) }
    }
}

/// Refuses what a page of a browser could have sent. It is on this machine, too, and its user's.
///
/// # Errors
/// Why it is refused.
pub fn check_headers(headers: &HeaderMap) -> Result<(), &'static str> {
    if headers.contains_key(ORIGIN) {
        return Err("requests of web pages (Origin) are refused");
    }
    if headers.get_all(FETCH_SITE).iter().any(|site| site != HeaderValue::from_static("none")) {
        return Err("requests of web pages (Sec-Fetch-Site) are refused");
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    if is_loopback(host) { Ok(()) } else { Err("only loopback names are served: the Host header names another") }
}

/// Whether `host[:port]` names this machine and cannot be made to name another by DNS.
fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<hyper::http::uri::Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_loopback() {
        let cases = [("127.31.0.4:80", true), ("[::1]:4566", true), ("LOCALHOST", true), ("", false)];
        for (host, expected) in cases.into_iter().chain([("127.0.0.1.evil.com", false), ("10.0.0.1", false)]) {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }

    #[test]
    fn pages_are_known_by_what_their_browser_adds() {
        let check = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("localhost"));
            headers.insert(name, HeaderValue::from_static(value));
            check_headers(&headers).is_ok()
        };
        assert!(check("accept", "*/*") && check("sec-fetch-site", "none"));
        for site in ["cross-site", "same-site", "same-origin", ""] {
            assert!(!check("sec-fetch-site", site), "{site}");
        }
        assert!(!check("origin", "null") && !check("host", "rebound.example.com"));
    }

    #[test]
    fn a_stranger_is_told_whose_the_region_is_and_what_to_do() {
        let other_user = OtherUser { user: Some(1001), own: 1000 };
        let error = other_user.error(Protocol::Ec2Query);
        assert_eq!((error.status, error.code.as_str()), (403, "UnauthorizedOperation"));
        for word in ["user 1000", "user 1001", "local start --allow-users"] {
            assert!(error.message.contains(word), "{}", error.message);
        }
    }
}
