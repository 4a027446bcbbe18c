//! What the proxy does to headers: hop-by-hop fields go, X-Forwarded-* and the trace id come.

use std::fmt::Write as _;
use std::net::IpAddr;

use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};
use jiff::Timestamp;

use super::super::routing::{ForwardedFor, Settings};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Fields that concern one connection only (RFC 9110 §7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
/// AWS answers 463 beyond this many addresses in X-Forwarded-For.
const FORWARDED_ADDRESSES_MAX: usize = 30;

/// The fields of a client that never change while it is connected.
#[derive(Debug)]
pub struct ClientFields {
    address: HeaderValue,
    port: HeaderValue,
}

impl ClientFields {
    pub fn new(peer: std::net::SocketAddr, settings: &Settings) -> Self {
        let address = if settings.forwarded_for_port { peer.to_string() } else { peer.ip().to_string() };
        let ascii = |text: String| HeaderValue::from_maybe_shared(text).expect("digits and dots");
        Self { address: ascii(address), port: ascii(settings.port.to_string()) }
    }
}

/// Removes the fields that concern one connection only, also those that `Connection` names.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = match headers.get(header::CONNECTION) {
        None => Vec::new(),
        Some(_) => headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            // A client may not take away what routes and frames its request.
            .filter(|name| *name != header::HOST && *name != header::CONTENT_LENGTH)
            .collect(),
    };
    for name in named {
        headers.remove(name);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Adds what a target learns about its client.
///
/// # Errors
/// 463 when X-Forwarded-For has more than 30 addresses already.
pub fn forward(headers: &mut HeaderMap, client: &ClientFields, settings: &Settings, now: Timestamp) -> Result<(), u16> {
    match settings.forwarded_for {
        ForwardedFor::Preserve => {}
        ForwardedFor::Remove => {
            headers.remove(X_FORWARDED_FOR);
        }
        ForwardedFor::Append => append(headers, client)?,
    }
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers.insert(X_FORWARDED_PORT, client.port.clone());
    let mut trace = String::with_capacity(80);
    let own = |trace: &mut String, field: &str| {
        let unique = u128::from(fastrand::u64(..)) << 32 | u128::from(fastrand::u32(..));
        let _ = write!(trace, "{field}=1-{:08x}-{unique:024x}", now.as_second());
    };
    match headers.get(X_AMZN_TRACE_ID).and_then(|value| value.to_str().ok()) {
        Some(given) if given.contains("Root=") => {
            own(&mut trace, "Self");
            trace.push(';');
            trace.push_str(given);
        }
        _ => own(&mut trace, "Root"),
    }
    if let Ok(trace) = HeaderValue::from_maybe_shared(trace) {
        headers.insert(X_AMZN_TRACE_ID, trace);
    }
    Ok(())
}

fn append(headers: &mut HeaderMap, client: &ClientFields) -> Result<(), u16> {
    if !headers.contains_key(X_FORWARDED_FOR) {
        headers.insert(X_FORWARDED_FOR, client.address.clone());
        return Ok(());
    }
    let given: Vec<&[u8]> = headers.get_all(X_FORWARDED_FOR).iter().map(HeaderValue::as_bytes).collect();
    let mut all = given.join(&b", "[..]);
    if all.split(|byte| *byte == b',').count() > FORWARDED_ADDRESSES_MAX {
        return Err(463);
    }
    all.extend_from_slice(b", ");
    all.extend_from_slice(client.address.as_bytes());
    let all = HeaderValue::from_maybe_shared(all).map_err(|_| 400_u16)?;
    headers.insert(X_FORWARDED_FOR, all);
    Ok(())
}

/// Removes fields whose names are not letters, digits and hyphens.
pub fn drop_invalid(headers: &mut HeaderMap) {
    let valid = |name: &HeaderName| name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let invalid: Vec<HeaderName> = headers.keys().filter(|name| !valid(name)).cloned().collect();
    for name in invalid {
        headers.remove(name);
    }
}

/// The host that a request is for, without the port.
pub fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Bytes of the header lines, for the meters.
pub fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// The client's address as rules see it.
pub fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings(forwarded_for: ForwardedFor) -> Settings {
        Settings {
            load_balancer: String::new(),
            zone: String::new(),
            port: 80,
            idle_timeout: Duration::from_secs(60),
            forwarded_for,
            forwarded_for_port: false,
            drop_invalid_headers: false,
        }
    }

    fn forwarded(given: &[(&'static str, &str)], mode: ForwardedFor) -> Result<HeaderMap, u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, value.parse().unwrap());
        }
        let settings = settings(mode);
        let client = ClientFields::new("127.0.0.9:5000".parse().unwrap(), &settings);
        remove_hop_by_hop(&mut headers);
        forward(&mut headers, &client, &settings, Timestamp::from_second(0x5759_e988).unwrap())?;
        Ok(headers)
    }

    #[test]
    fn the_client_is_appended_to_those_that_forwarded_before() {
        let headers =
            forwarded(&[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2")], ForwardedFor::Append);
        let headers = headers.unwrap();
        assert_eq!(headers["x-forwarded-for"], "1.1.1.1, 2.2.2.2, 127.0.0.9");
        assert_eq!(
            (&headers["x-forwarded-proto"], &headers["x-forwarded-port"]),
            (&"http".parse().unwrap(), &"80".parse().unwrap())
        );
    }

    #[test]
    fn the_modes_preserve_and_remove_do_as_they_say() {
        let given = [("x-forwarded-for", "1.1.1.1")];
        assert_eq!(forwarded(&given, ForwardedFor::Preserve).unwrap()["x-forwarded-for"], "1.1.1.1");
        assert!(!forwarded(&given, ForwardedFor::Remove).unwrap().contains_key("x-forwarded-for"));
    }

    #[test]
    fn more_than_thirty_forwarded_addresses_are_refused() {
        let many = vec!["1.1.1.1"; 31].join(", ");
        assert_eq!(forwarded(&[("x-forwarded-for", &many)], ForwardedFor::Append).unwrap_err(), 463);
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
        let headers = forwarded(&given, ForwardedFor::Append).unwrap();
        for gone in ["connection", "x-secret", "keep-alive", "te", "upgrade"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
        assert!(headers.contains_key("host") && headers.contains_key("accept"));
    }

    #[test]
    fn a_trace_that_has_a_root_gets_a_self() {
        let headers = forwarded(&[], ForwardedFor::Append).unwrap();
        let trace = headers["x-amzn-trace-id"].to_str().unwrap();
        assert!(trace.starts_with("Root=1-5759e988-") && trace.len() == "Root=1-5759e988-".len() + 24, "{trace}");
        let headers =
            forwarded(&[("x-amzn-trace-id", "Root=1-67891233-abcdef012345678912345678")], ForwardedFor::Append);
        let trace = headers.unwrap()["x-amzn-trace-id"].to_str().unwrap().to_owned();
        assert!(
            trace.starts_with("Self=1-5759e988-") && trace.ends_with(";Root=1-67891233-abcdef012345678912345678"),
            "{trace}"
        );
    }

    #[test]
    fn the_port_is_no_part_of_the_host_name() {
        assert_eq!(host_name("a.example:8080"), "a.example");
        assert_eq!(host_name("a.example"), "a.example");
    }
}
