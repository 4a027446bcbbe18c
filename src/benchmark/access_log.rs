//! An access log of an application load balancer, as something to send again: when each request came, and what it asked for.
//!
//! The format is that of "Access logs for your Application Load Balancer" (Elastic Load Balancing user guide): fields
//! separated by spaces, quoted where they may hold some. The request is the 13th, its time (`request_creation_time`) the 22nd;
//! logs from before 2018 end earlier, and have only the time of the answer, the 2nd.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

const STATUS: usize = 8;
const REQUEST: usize = 12;
const CREATED: usize = 21;
/// What a line begins with: the type of the request.
const TYPES: [&str; 6] = ["http", "https", "h2", "grpcs", "ws", "wss"];
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// More requests are not replayed.
const REQUESTS_MAX: usize = 1_000_000;

/// One request as often as it was made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Logged {
    pub method: String,
    /// With its query.
    pub path: String,
    /// What a correct answer has: the log's status, and 200 where the load balancer or its target failed.
    pub status: u16,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessLog {
    pub requests: Vec<Logged>,
    /// When each came, counted from the first, and which of `requests` it is.
    pub due: Vec<(Duration, u32)>,
}

impl AccessLog {
    /// # Errors
    /// The first line that is none of such a log; a log in which nothing can be sent again.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut known: HashMap<Logged, u32> = HashMap::new();
        let mut log = Self::default();
        let mut came: Vec<(Timestamp, u32)> = Vec::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let fields = fields(line);
            let Some((at, request)) = entry(&fields) else {
                let shown: String = line.chars().take(60).collect();
                return Err(format!("line {} is none of a load balancer's access log: {shown:?}", number + 1));
            };
            // What the load balancer refused without understanding it has no request.
            let Some(request) = request else { continue };
            let next = u32::try_from(log.requests.len()).unwrap_or(u32::MAX);
            let index = *known.entry(request).or_insert_with_key(|request| {
                log.requests.push(request.clone());
                next
            });
            came.push((at, index));
            if came.len() > REQUESTS_MAX {
                return Err(format!("it has more than {REQUESTS_MAX} requests: cut it"));
            }
        }
        came.sort_by_key(|(at, _)| *at);
        let Some((first, _)) = came.first().copied() else { return Err("it has no request".to_owned()) };
        let due = |at: Timestamp| Duration::try_from(at.duration_since(first)).unwrap_or_default();
        log.due = came.into_iter().map(|(at, index)| (due(at), index)).collect();
        Ok(log)
    }
}

/// The fields of a line, without their quotes.
fn fields(line: &str) -> Vec<&str> {
    let mut fields = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let (field, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        fields.push(field);
        rest = behind.trim_start();
    }
    fields
}

/// When a line's request came, and the request; `None` for what is no line of such a log.
fn entry(fields: &[&str]) -> Option<(Timestamp, Option<Logged>)> {
    if !TYPES.contains(fields.first()?) {
        return None;
    }
    let answered: Timestamp = fields.get(1)?.parse().ok()?;
    let at = fields.get(CREATED).and_then(|at| at.parse().ok()).unwrap_or(answered);
    let status = fields.get(STATUS)?.parse::<u16>().ok().filter(|status| (200..500).contains(status)).unwrap_or(200);
    let mut words = fields.get(REQUEST)?.split(' ');
    let (method, url) = (words.next()?, words.next()?);
    let path = path(url).filter(|path| path.bytes().all(|byte| byte.is_ascii_graphic()));
    let logged = path.filter(|_| METHODS.contains(&method));
    Some((at, logged.map(|path| Logged { method: method.to_owned(), path, status })))
}

/// `http://www.example.com:80/a?b` → `/a?b`
fn path(url: &str) -> Option<String> {
    let (_, behind) = url.split_once("://")?;
    let (_, path) = behind.split_at(behind.find(['/', '?'])?);
    Some(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of the user guide's examples, with other times and requests.
    const LOG: &str = include_str!("../../tests/data/alb-access.log");

    #[test]
    fn requests_come_in_the_order_and_at_the_distances_of_their_creation() {
        let log = AccessLog::parse(LOG).expect("a log");
        let logged = |path: &str, status| Logged { method: "GET".into(), path: path.into(), status };
        assert_eq!(log.requests, [logged("/a?b=c", 200), logged("/missing", 404)]);
        let due: Vec<_> = log.due.iter().map(|(due, index)| (due.as_millis(), *index)).collect();
        assert_eq!(due, [(0, 1), (500, 0), (2000, 0)]);
    }

    #[test]
    fn a_log_of_another_format_names_the_line_and_one_without_requests_says_so() {
        let common = r#"127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326"#;
        assert!(AccessLog::parse(common).expect_err("Apache's").starts_with("line 1 is none of a load balancer's"));
        assert_eq!(AccessLog::parse("\n").expect_err("empty"), "it has no request");
        assert_eq!(AccessLog::parse(LOG.lines().next_back().expect("a line")).expect_err("none"), "it has no request");
    }
}
