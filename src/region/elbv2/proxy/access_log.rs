//! One line of a load balancer's access log, field by field as AWS documents it (user guide, "Access logs for your
//! Application Load Balancer", access log entries).

use std::fmt::Write as _;
use std::net::{SocketAddr, SocketAddrV4};
use std::time::Duration;

use jiff::Timestamp;

/// What the load balancer did with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executed {
    Forward,
    FixedResponse,
    Redirect,
}

impl Executed {
    fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::FixedResponse => "fixed-response",
            Self::Redirect => "redirect",
        }
    }
}

/// What is known of a request when its head has been read; the rest follows when it is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// `http`, `https`, `h2`, `ws` or `wss`.
    pub kind: &'static str,
    /// When the response was on its way.
    pub time: Timestamp,
    /// `app/name/0123456789abcdef`
    pub load_balancer: String,
    pub client: SocketAddr,
    pub target: Option<SocketAddrV4>,
    /// Until it was sent to the target, until the response's head came, until the client had it all; nothing where it
    /// was not dispatched, or not answered.
    pub took: [Option<Duration>; 3],
    /// What the client got; `None` where it left before.
    pub status: Option<u16>,
    pub target_status: Option<u16>,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    /// `GET http://www.example.com:80/ HTTP/1.1`
    pub request: String,
    pub user_agent: String,
    /// Cipher and protocol of TLS.
    pub tls: Option<(String, &'static str)>,
    pub target_group: Option<String>,
    pub trace_id: Option<String>,
    /// The name that the client asked TLS for.
    pub domain: Option<String>,
    pub certificate: Option<String>,
    /// 0 is the default rule.
    pub priority: Option<u32>,
    pub created: Timestamp,
    pub executed: Option<Executed>,
    pub redirect_url: Option<String>,
}

impl Entry {
    /// Writes the line with its end.
    pub fn write(&self, out: &mut String) {
        let text = |value: Option<&str>| value.filter(|text| !text.is_empty()).unwrap_or("-").to_owned();
        let number = |value: Option<u16>| value.map_or("-".to_owned(), |value| value.to_string());
        let address = |value: Option<SocketAddrV4>| value.map_or("-".to_owned(), |address| address.to_string());
        let seconds =
            |took: Option<Duration>| took.map_or("-1".to_owned(), |took| format!("{:.3}", took.as_secs_f64()));
        let time = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        let [request, target, response] = self.took.map(seconds);
        let _ = write!(
            out,
            "{} {} {} {} {} {request} {target} {response} {} {} {} {} ",
            self.kind,
            time(self.time),
            self.load_balancer,
            self.client,
            address(self.target),
            number(self.status),
            number(self.target_status),
            self.received_bytes,
            self.sent_bytes,
        );
        quoted(out, &self.request);
        quoted(out, &text(Some(&self.user_agent)));
        let (cipher, protocol) = self.tls.as_ref().map_or(("-", "-"), |(cipher, protocol)| (cipher, protocol));
        let _ = write!(out, "{cipher} {protocol} {} ", text(self.target_group.as_deref()));
        for value in [&self.trace_id, &self.domain, &self.certificate] {
            quoted(out, &text(value.as_deref()));
        }
        let priority = self.priority.map_or("-1".to_owned(), |priority| priority.to_string());
        let _ = write!(out, "{priority} {} ", time(self.created));
        quoted(out, self.executed.map_or("-", Executed::name));
        quoted(out, &text(self.redirect_url.as_deref()));
        // The reasons are those of authentication, functions and the firewall, which the region does not have.
        quoted(out, "-");
        quoted(out, &address(self.target));
        quoted(out, &number(self.target_status));
        // Ambiguous and severe requests are classified by a mode that the region does not have.
        out.push_str("\"-\" \"-\" ");
        let _ = writeln!(out, "TID_{:032x}", u128::from(hash(&self.client)));
    }
}

/// The same for all requests of a connection.
fn hash(client: &SocketAddr) -> u64 {
    client
        .to_string()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Within quotes, with what would end them or the line escaped (as `\x22`).
fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' | '\0'..='\x1f' | '\x7f' => drop(write!(out, "\\x{:02X}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push_str("\" ");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let millis = |count| Some(Duration::from_millis(count));
        Entry {
            kind: "http",
            time: at("2018-07-02T22:23:00.186641Z"),
            load_balancer: "app/my-loadbalancer/50dc6c495c0c9188".to_owned(),
            client: "192.168.131.39:2817".parse().unwrap(),
            target: Some("10.0.0.1:80".parse().unwrap()),
            took: [millis(0), millis(1), millis(0)],
            status: Some(200),
            target_status: Some(200),
            received_bytes: 34,
            sent_bytes: 366,
            request: "GET http://www.example.com:80/ HTTP/1.1".to_owned(),
            user_agent: "curl/7.46.0".to_owned(),
            tls: None,
            target_group: Some(
                "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067"
                    .to_owned(),
            ),
            trace_id: Some("Root=1-58337262-36d228ad5d99923122bbe354".to_owned()),
            domain: None,
            certificate: None,
            priority: Some(0),
            created: at("2018-07-02T22:22:48.364000Z"),
            executed: Some(Executed::Forward),
            redirect_url: None,
        }
    }

    fn line(entry: &Entry) -> String {
        let mut out = String::new();
        entry.write(&mut out);
        // What identifies the connection is a number of the load balancer's own.
        let at = out.find("TID_").unwrap_or_else(|| panic!("{out}"));
        assert!(out.ends_with('\n'));
        out[..at].to_owned()
    }

    /// The user guide's example of an HTTP entry.
    #[test]
    fn an_entry_reads_as_the_guides_example() {
        assert_eq!(
            line(&entry()),
            "http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 \
             0.000 0.001 0.000 200 200 34 366 \"GET http://www.example.com:80/ HTTP/1.1\" \"curl/7.46.0\" - - \
             arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 \
             \"Root=1-58337262-36d228ad5d99923122bbe354\" \"-\" \"-\" 0 2018-07-02T22:22:48.364000Z \"forward\" \"-\" \
             \"-\" \"10.0.0.1:80\" \"200\" \"-\" \"-\" "
        );
    }

    /// The user guide's example of an HTTPS entry, but for the authentication.
    #[test]
    fn an_entry_of_tls_names_cipher_domain_and_certificate() {
        let secure = Entry {
            kind: "https",
            took: [86, 48, 37].map(|count| Some(Duration::from_millis(count))),
            tls: Some(("ECDHE-RSA-AES128-GCM-SHA256".to_owned(), "TLSv1.2")),
            domain: Some("www.example.com".to_owned()),
            certificate: Some("arn:aws:acm:us-east-2:123456789012:certificate/1".to_owned()),
            priority: Some(1),
            ..entry()
        };
        let line = line(&secure);
        assert!(line.contains(" 0.086 0.048 0.037 200 200 "), "{line}");
        assert!(line.contains("\"curl/7.46.0\" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:"), "{line}");
        let named = "\"www.example.com\" \"arn:aws:acm:us-east-2:123456789012:certificate/1\" 1 2018-";
        assert!(line.contains(named), "{line}");
    }

    #[test]
    fn what_did_not_happen_is_a_hyphen_and_nothing_ends_its_quotes() {
        let refused = Entry {
            target: None,
            took: [None; 3],
            status: Some(503),
            target_status: None,
            user_agent: "a \"b\" \\ \r\n".to_owned(),
            target_group: None,
            priority: None,
            executed: None,
            ..entry()
        };
        let line = line(&refused);
        assert!(line.contains(" 192.168.131.39:2817 - -1 -1 -1 503 - 34 366 "), "{line}");
        assert!(line.contains(r#""a \x22b\x22 \x5C \x0D\x0A" - - - "#), "{line}");
        assert!(line.contains(" -1 2018-07-02T22:22:48.364000Z \"-\" \"-\" \"-\" \"-\" \"-\" \"-\" \"-\" "), "{line}");
    }
}
