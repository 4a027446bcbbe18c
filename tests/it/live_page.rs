//! The dashboard of a real region, as a browser meets it, and as others do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::rehearsal::{GROUPS, Rehearsal};
use super::views::Going;

/// `127.0.0.1:40123` and the token.
struct Address {
    host: String,
    token: String,
}

impl Address {
    fn of(url: &str) -> Self {
        let rest = url.strip_prefix("http://").expect("an address");
        let (host, token) = rest.trim_end_matches('/').split_once('/').expect("a token");
        assert!(host.starts_with("127.0.0.1:") && token.len() == 32, "{url}");
        Self { host: host.to_owned(), token: token.to_owned() }
    }

    /// Status, head and body of an answer.
    fn ask(&self, request: &str) -> (u16, String, String) {
        let mut stream = self.send(request);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (status, head.to_lowercase(), body.to_owned())
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.host).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
        let request = request.replace("TOKEN", &self.token).replace("HOST", &self.host);
        stream.write_all(request.as_bytes()).expect("it takes a request");
        stream
    }

    fn get(&self, path: &str) -> (u16, String, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"))
    }

    fn act(&self, action: &str) -> (u16, String, String) {
        let length = action.len();
        self.ask(&format!(
            "POST /TOKEN/act HTTP/1.1\r\nHost: HOST\r\nOrigin: http://HOST\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{action}"
        ))
    }

    /// Looks as they come, until one is as wanted.
    fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let stream = BufReader::new(self.send("GET /TOKEN/events HTTP/1.1\r\nHost: HOST\r\n\r\n"));
        let views = stream
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok());
        for view in views.take(120) {
            if wanted(&view) {
                return view;
            }
        }
        panic!("still waiting for: {what}");
    }
}

#[test]
fn a_page_shows_a_stack_and_scales_it_and_strangers_see_nothing() {
    let groups = Rehearsal::of(GROUPS).up();
    let dashboard = Going::of(&groups, &["dashboard"]);
    let address = Address::of(&dashboard.next("its address"));
    let (status, head, page) = address.get("/TOKEN/");
    assert_eq!(status, 200);
    assert!(head.contains("content-security-policy: default-src 'none'; script-src 'self'"), "{head}");
    for part in ["page.css", "chart.js", "page.js"] {
        assert!(page.contains(part));
        assert_eq!(address.get(&format!("/TOKEN/{part}")).0, 200, "{part}");
    }

    let view =
        address.until("two groups", |view| view["clusters"].as_array().is_some_and(|clusters| clusters.len() == 2));
    let instance = view["clusters"][0]["instances"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(address.get(&format!("/TOKEN/console/{instance}")).0, 200);
    assert_eq!(address.get("/TOKEN/console/i-0123456789abcdef0").0, 404, "it is nobody's");

    let (status, _, told) = address.act(r#"{"scale": {"cluster": "light", "to": 3}}"#);
    assert_eq!((status, told.as_str()), (200, "light: desired capacity 3"));
    address.until("three", |view| view["clusters"][0]["capacity"]["desired"] == 3);
    let (status, _, told) = address.act(r#"{"scale": {"cluster": "light", "to": 60}}"#);
    assert!(status == 409 && told.contains("allows 2 to 6 instances"), "{told}");
    let (status, ..) = address.act(&format!(r#"{{"kill": {{"cluster": "light", "instance": "{instance}"}}}}"#));
    assert_eq!(status, 200);
    address.until("its end in the time line", |view| {
        let events = view["events"].as_array().expect("events");
        events.iter().any(|event| event["kind"] == "ended" && event["instances"][0] == *instance)
    });

    let metrics = address.get("/metrics").2;
    assert!(
        metrics.contains(r#"aws_autoscaling_group_desired_capacity{stack="scaling-group",cluster="light"} 3"#),
        "{metrics}"
    );
    outsiders(&address);
    assert_eq!(dashboard.interrupted(), Some(130));
}

fn outsiders(address: &Address) {
    assert_eq!(address.get("/").0, 404);
    assert_eq!(address.get("/00000000000000000000000000000000/").0, 404);
    let host = "GET /TOKEN/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(address.ask(host).0, 403);
    let origin = "GET /TOKEN/events HTTP/1.1\r\nHost: HOST\r\nOrigin: http://evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(address.ask(origin).0, 403);
    let form = "POST /TOKEN/act HTTP/1.1\r\nHost: HOST\r\nOrigin: http://HOST\r\nContent-Type: text/plain\r\n\
                Content-Length: 2\r\nConnection: close\r\n\r\n{}";
    assert_eq!(address.ask(form).0, 415);
}
