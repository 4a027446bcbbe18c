//! Stickiness cookies: which target, or which target group, a client met first.

use std::io::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::head::{Field, Name};

/// Names the target.
pub const TARGET: &str = "AWSALB";
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
