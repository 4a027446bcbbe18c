//! A redirect that is followed (RFC 9110, section 15.4): the same request to another path of the same server, or a GET.

use super::request::Server;

#[derive(Debug, PartialEq, Eq)]
pub struct Followed {
    pub bytes: Vec<u8>,
    pub is_get: bool,
}

/// What to send instead of `asked`; `None` where the answer is no redirect, or leads to another server.
pub fn follow(asked: &[u8], status: u16, location: &[u8], server: &Server) -> Option<Followed> {
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let head_ends = asked.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&asked[..head_ends]).ok()?;
    let (line, headers) = head.split_once("\r\n")?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let to = target(std::str::from_utf8(location).ok()?.trim(), path, server)?;
    // 303 is answered by a GET, and so is a POST after 301 and 302 by every browser (RFC 9110, section 15.4.2).
    let becomes_get = status == 303 && method != "HEAD" || matches!(status, 301 | 302) && method == "POST";
    if !becomes_get {
        let mut bytes = format!("{method} {to} HTTP/1.1\r\n{headers}").into_bytes();
        bytes.extend_from_slice(&asked[head_ends..]);
        return Some(Followed { bytes, is_get: method == "GET" });
    }
    let of_body = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !name.starts_with("content-")
    };
    let kept: Vec<_> = headers.split("\r\n").filter(of_body).collect();
    Some(Followed { bytes: format!("GET {to} HTTP/1.1\r\n{}\r\n\r\n", kept.join("\r\n")).into_bytes(), is_get: true })
}

/// The path of a reference (RFC 3986, section 4.2) on this server.
fn target(location: &str, from: &str, server: &Server) -> Option<String> {
    let location = location.split('#').next().unwrap_or_default();
    if !location.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let scheme = if server.tls { "https:" } else { "http:" };
    let absolute = if location.starts_with("//") { format!("{scheme}{location}") } else { location.to_owned() };
    if absolute.contains("://") {
        let (other, path) = Server::of(&absolute).ok()?;
        let same =
            other.host.eq_ignore_ascii_case(&server.host) && other.port == server.port && other.tls == server.tls;
        return same.then_some(path);
    }
    let own = from.split('?').next().unwrap_or_default();
    Some(match location.as_bytes().first() {
        None => from.to_owned(),
        Some(b'/') => location.to_owned(),
        Some(b'?') => format!("{own}{location}"),
        Some(_) => format!("{}/{location}", own.rsplit_once('/').map_or("", |(folder, _)| folder)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &[u8] = b"POST /a/b?c HTTP/1.1\r\nHost: lb\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi";

    fn server() -> Server {
        Server { host: "lb".into(), port: 80, tls: false }
    }

    fn followed(status: u16, location: &str) -> Option<String> {
        let followed = follow(ASKED, status, location.as_bytes(), &server())?;
        Some(String::from_utf8(followed.bytes).expect("text"))
    }

    #[test]
    fn methods_and_bodies_stay_or_become_a_get_as_the_status_says() {
        let same = "POST /x HTTP/1.1\r\nHost: lb\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi";
        let get = "GET /x HTTP/1.1\r\nHost: lb\r\n\r\n";
        for (status, expected) in [
            (307, Some(same)),
            (308, Some(same)),
            (301, Some(get)),
            (302, Some(get)),
            (303, Some(get)),
            (304, None),
            (200, None),
        ] {
            assert_eq!(followed(status, "/x").as_deref(), expected, "{status}");
        }
    }

    #[test]
    fn a_reference_is_a_path_on_the_same_server_or_is_not_followed() {
        let to = |location: &str| target(location, "/a/b?c", &server());
        for (location, expected) in [
            ("/x#part", Some("/x")),
            ("x", Some("/a/x")),
            ("?d", Some("/a/b?d")),
            ("http://LB/x", Some("/x")),
            ("//lb/y", Some("/y")),
            ("http://other/x", None),
            ("https://lb/x", None),
            ("http://lb:81/x", None),
            ("/x y", None),
        ] {
            assert_eq!(to(location).as_deref(), expected, "{location}");
        }
    }
}
