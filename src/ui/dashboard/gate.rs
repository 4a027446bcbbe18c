//! Who is let in: pure.
//!
//! The address holds a token that nobody can guess. `Host` must be this machine's own name for itself: a page whose
//! name was made to point here after it was loaded (DNS rebinding) sends its own. What changes something must also come
//! from our own page: `Origin` says so, and a form of another page cannot set the content type.

use std::net::SocketAddr;

/// What is asked for, once it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Page,
    Style,
    Chart,
    Script,
    /// Server-sent events.
    Events,
    Act,
    /// Of an instance.
    Console(String),
    /// The only thing without the token: as with every exporter, whoever is on this machine may read it.
    Metrics,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Another `Host` or `Origin` than ours.
    Foreign,
    /// No such page, or not the token: which of them is not reported.
    Unknown,
    Method,
    /// What acts takes JSON.
    ContentType,
}

/// A request, as far as it decides.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub host: Option<&'a str>,
    pub origin: Option<&'a str>,
    pub content_type: Option<&'a str>,
}

/// Decides.
///
/// # Errors
/// Why it is not let in.
pub fn admit(asked: Asked<'_>, token: &str, address: SocketAddr) -> Result<Endpoint, Refused> {
    let names = [address.to_string(), format!("localhost:{}", address.port())];
    if !asked.host.is_some_and(|host| names.iter().any(|name| name.eq_ignore_ascii_case(host))) {
        return Err(Refused::Foreign);
    }
    let is_ours = |origin: &str| names.iter().any(|name| origin.strip_prefix("http://") == Some(name.as_str()));
    if asked.origin.is_some_and(|origin| !is_ours(origin)) {
        return Err(Refused::Foreign);
    }
    let endpoint = if asked.path == "/metrics" { Endpoint::Metrics } else { endpoint(asked.path, token)? };
    let method = if endpoint == Endpoint::Act { "POST" } else { "GET" };
    if asked.method != method {
        return Err(Refused::Method);
    }
    if endpoint == Endpoint::Act {
        if asked.origin.is_none() {
            return Err(Refused::Foreign);
        }
        let json = asked.content_type.is_some_and(|kind| kind.split(';').next() == Some("application/json"));
        return json.then_some(endpoint).ok_or(Refused::ContentType);
    }
    Ok(endpoint)
}

fn endpoint(path: &str, token: &str) -> Result<Endpoint, Refused> {
    let (given, page) = path.strip_prefix('/').and_then(|rest| rest.split_once('/')).ok_or(Refused::Unknown)?;
    if !is_same(given, token) {
        return Err(Refused::Unknown);
    }
    match page {
        "" => Ok(Endpoint::Page),
        "page.css" => Ok(Endpoint::Style),
        "chart.js" => Ok(Endpoint::Chart),
        "page.js" => Ok(Endpoint::Script),
        "events" => Ok(Endpoint::Events),
        "act" => Ok(Endpoint::Act),
        page => {
            let instance = page.strip_prefix("console/").filter(|id| is_instance(id));
            instance.map(|id| Endpoint::Console(id.to_owned())).ok_or(Refused::Unknown)
        }
    }
}

fn is_instance(id: &str) -> bool {
    id.strip_prefix("i-")
        .is_some_and(|rest| !rest.is_empty() && rest.len() <= 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Takes as long for a token that is wrong at its end as for one that is wrong at its start.
fn is_same(given: &str, token: &str) -> bool {
    let differs = given.bytes().zip(token.bytes()).fold(0, |differs, (one, other)| differs | (one ^ other));
    given.len() == token.len() && differs == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn asked(path: &str) -> Asked<'_> {
        Asked { method: "GET", path, host: Some("127.0.0.1:8090"), origin: None, content_type: None }
    }

    fn let_in(asked: Asked<'_>) -> Result<Endpoint, Refused> {
        admit(asked, TOKEN, "127.0.0.1:8090".parse().unwrap())
    }

    #[test]
    fn the_token_opens_every_page_and_nothing_else_does() {
        assert_eq!(let_in(asked("/0123456789abcdef/")), Ok(Endpoint::Page));
        assert_eq!(let_in(asked("/0123456789abcdef/console/i-0a19")), Ok(Endpoint::Console("i-0a19".into())));
        assert_eq!(let_in(asked("/metrics")), Ok(Endpoint::Metrics));
        for path in
            ["/", "", "/0123456789abcdee/", "/0123456789abcdef", "//", "/0123456789abcdef0/", "/x/events", "/metrics/"]
        {
            assert_eq!(let_in(asked(path)), Err(Refused::Unknown), "{path}");
        }
        for path in ["console/", "console/../x", "console/i-", "console/i-0a%2f", "page.html"] {
            assert_eq!(let_in(asked(&format!("/{TOKEN}/{path}"))), Err(Refused::Unknown), "{path}");
        }
    }

    #[test]
    fn another_pages_name_is_not_let_in_with_the_token_either() {
        let path = "/0123456789abcdef/";
        for host in [None, Some("evil.example"), Some("evil.example:8090"), Some("127.0.0.1"), Some("127.0.0.1:80")] {
            assert_eq!(let_in(Asked { host, ..asked(path) }), Err(Refused::Foreign), "{host:?}");
            assert_eq!(let_in(Asked { host, ..asked("/metrics") }), Err(Refused::Foreign), "{host:?}");
        }
        assert_eq!(let_in(Asked { host: Some("LOCALHOST:8090"), ..asked(path) }), Ok(Endpoint::Page));
        for origin in ["http://evil.example", "null", "https://127.0.0.1:8090", "http://127.0.0.1:80"] {
            assert_eq!(let_in(Asked { origin: Some(origin), ..asked(path) }), Err(Refused::Foreign), "{origin}");
        }
    }

    #[test]
    fn what_acts_must_come_from_our_own_page_as_json() {
        let act = Asked {
            method: "POST",
            origin: Some("http://127.0.0.1:8090"),
            content_type: Some("application/json"),
            ..asked("/0123456789abcdef/act")
        };
        assert_eq!(let_in(act), Ok(Endpoint::Act));
        assert_eq!(let_in(Asked { origin: None, ..act }), Err(Refused::Foreign));
        assert_eq!(let_in(Asked { method: "GET", ..act }), Err(Refused::Method));
        for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
            assert_eq!(let_in(Asked { content_type, ..act }), Err(Refused::ContentType));
        }
        assert_eq!(let_in(Asked { method: "POST", ..asked("/0123456789abcdef/") }), Err(Refused::Method));
    }
}
