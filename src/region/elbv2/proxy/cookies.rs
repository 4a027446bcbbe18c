//! Stickiness cookies: which target, or which target group, a client met first.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{self, HeaderValue};
use jiff::Timestamp;

/// Names the target.
pub const TARGET: &str = "AWSALB";
/// Names the target group of a weighted forward.
pub const TARGET_GROUP: &str = "AWSALBTG";

/// The value of a cookie that the client sent.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// A cookie to set, and its twin for requests from other sites.
pub fn set(name: &str, value: &str, now: Timestamp, stay: Duration) -> Vec<HeaderValue> {
    let expires = (now + stay).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let plain = format!("{name}={value}; Expires={expires}; Path=/");
    let twin = format!("{name}CORS={value}; Expires={expires}; Path=/; SameSite=None");
    [plain, twin].into_iter().filter_map(|cookie| HeaderValue::from_maybe_shared(cookie).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; AWSALBTG=two".parse().unwrap());
        headers.append(header::COOKIE, "AWSALB=three".parse().unwrap());
        assert_eq!(read(&headers, TARGET), Some("three"));
        assert_eq!(read(&headers, TARGET_GROUP), Some("two"));
        assert_eq!(read(&headers, "b"), None);
    }

    #[test]
    fn a_cookie_tells_when_it_expires() {
        let set = set(TARGET, "x", Timestamp::UNIX_EPOCH, Duration::from_secs(86_400));
        assert_eq!(set[0], "AWSALB=x; Expires=Fri, 02 Jan 1970 00:00:00 GMT; Path=/");
    }
}
