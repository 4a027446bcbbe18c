//! Stickiness cookies: which target, or which target group, a client met first.

use std::io::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::head::{Field, Name};

/// Names the target.
pub const TARGET: &str = "AWSALB";
/// Names the target where the application's own cookie decides how long a client stays.
pub const APPLICATION: &str = "AWSALBAPP-0";
/// Names the target group of a weighted forward.
pub const TARGET_GROUP: &str = "AWSALBTG";

/// The value of a cookie that the client sent.
pub fn read<'b>(fields: &[Field<'b>], name: &str) -> Option<&'b str> {
    fields
        .iter()
        .filter(|field| Name::of(field.name) == Name::Cookie)
        .filter_map(|field| std::str::from_utf8(field.value).ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// Writes the header that sets a cookie, and its twin for requests from other sites.
pub fn set(out: &mut Vec<u8>, name: &str, value: &str, now: Timestamp, stay: Duration) {
    let expires = (now + stay).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let _ = write!(out, "Set-Cookie: {name}={value}; Expires={expires}; Path=/\r\n");
    let _ = write!(out, "Set-Cookie: {name}CORS={value}; Expires={expires}; Path=/; SameSite=None\r\n");
}

/// The same without the twin, as the cookie that follows an application's has none.
pub fn set_one(out: &mut Vec<u8>, name: &str, value: &str, now: Timestamp, stay: Duration) {
    let expires = (now + stay).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let _ = write!(out, "Set-Cookie: {name}={value}; Expires={expires}; Path=/\r\n");
}

/// Whether a response sets the cookie of that name.
pub fn is_set(fields: &[Field<'_>], name: &str) -> bool {
    let mut set = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("set-cookie"));
    set.any(|field| {
        let rest = field.value.trim_ascii_start().strip_prefix(name.as_bytes());
        rest.is_some_and(|rest| rest.trim_ascii_start().starts_with(b"="))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        let field = |name, value: &'static str| Field { name, value: value.as_bytes() };
        let fields = [field("Cookie", "a=1; AWSALBTG=two"), field("X", "b=2"), field("cookie", "AWSALB=three")];
        assert_eq!(read(&fields, TARGET), Some("three"));
        assert_eq!(read(&fields, TARGET_GROUP), Some("two"));
        assert_eq!(read(&fields, "b"), None);
    }

    #[test]
    fn a_response_sets_a_cookie_by_its_whole_name() {
        let field = |value: &'static str| Field { name: "set-cookie", value: value.as_bytes() };
        let fields = [field("SESSIONS=1"), field(" SESSION=2; Path=/")];
        assert!(is_set(&fields, "SESSION") && is_set(&fields, "SESSIONS"));
        assert!(!is_set(&fields, "SESS") && !is_set(&fields, "Path") && !is_set(&fields[..1], "SESSION"));
    }

    #[test]
    fn a_cookie_tells_when_it_expires() {
        let mut out = Vec::new();
        set(&mut out, TARGET, "x", Timestamp::UNIX_EPOCH, Duration::from_secs(86_400));
        let text = String::from_utf8(out).unwrap();
        let expires = "Expires=Fri, 02 Jan 1970 00:00:00 GMT; Path=/";
        assert_eq!(
            text,
            format!("Set-Cookie: AWSALB=x; {expires}\r\nSet-Cookie: AWSALBCORS=x; {expires}; SameSite=None\r\n")
        );
    }
}
