//! One suite of cases for two proxies: ours, and nginx where it is installed. Each case says what a client and a target see;
//! where nginx does otherwise, it says what and why, so that every difference is one that somebody decided.
//!
//! nginx runs unprivileged in a temporary folder, with one worker and its usual settings but for large heads, unbuffered
//! bodies, and WebSockets passed on as its manual shows.

use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use super::*;

const HANG: Duration = Duration::from_secs(5);

/// What a proxy is asked and what its target says.
struct Case {
    what: &'static str,
    /// The client's bytes. `Connection: close` ends the answer.
    request: String,
    /// The target's bytes, after which it closes.
    response: &'static str,
    /// What the client gets: the statuses, and the last body; `cut` where that is not whole.
    answer: &'static str,
    /// What the target's request has, in lower case; what it must not have begins with `!`.
    seen: &'static [&'static str],
    /// What nginx answers instead, by version where `|` parts it, and why that is no reason for us.
    nginx: Option<(&'static str, &'static str)>,
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn get(fields: &str) -> String {
    format!("GET /cluster1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n")
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /cluster1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n{body}")
}

/// A target that all cases share: says what the case wants as soon as the request is whole, and closes. Some paths do
/// something else.
#[derive(Clone, Default)]
struct Script {
    response: Arc<Mutex<&'static str>>,
    seen: Arc<Mutex<String>>,
    /// Bytes of an endless response that it could write.
    sent: Arc<AtomicUsize>,
}

impl Script {
    fn says(&self, response: &'static str) {
        *self.response.lock().unwrap() = response;
        self.seen.lock().unwrap().clear();
    }

    async fn serve(self, mut stream: TcpStream) {
        let request = head(&mut stream).await;
        let response = *self.response.lock().unwrap();
        let path = request.split(' ').nth(1).unwrap_or_default();
        match path {
            "/cluster1/late" => {
                clock::sleep(Duration::from_millis(100)).await;
                let _ = stream.write_all(response.as_bytes()).await;
            }
            "/cluster1/early" => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly").await;
                let whole = stream.read_exact(&mut [0; 10]).await.is_ok();
                self.seen.lock().unwrap().push_str(if whole { "whole upload\n" } else { "cut upload\n" });
            }
            "/cluster1/endless" => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n").await;
                while let Ok(count) = stream.write(&[b'x'; 65_536]).await {
                    self.sent.fetch_add(count, Ordering::SeqCst);
                }
            }
            _ if request.to_lowercase().contains("\r\nupgrade: websocket") => {
                let _ = stream.write_all(response.as_bytes()).await;
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            }
            _ => self.answer(stream, request).await,
        }
    }

    async fn answer(self, mut stream: TcpStream, mut request: String) {
        let fields = request.to_lowercase();
        let length = fields.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        let chunked = fields.contains("\r\ntransfer-encoding: chunked\r\n");
        let mut body = Vec::new();
        while body.len() < length || (chunked && !body.ends_with(b"0\r\n\r\n")) {
            match stream.read_u8().await {
                Ok(byte) => body.push(byte),
                Err(_) => break,
            }
        }
        request.push_str(&String::from_utf8_lossy(&body));
        self.seen.lock().unwrap().push_str(&request);
        let response = *self.response.lock().unwrap();
        let _ = stream.write_all(response.as_bytes()).await;
    }
}

/// What a client gets for its bytes.
async fn answer(door: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(door).await.unwrap();
    // A proxy that refuses may close before it has everything.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut read = Vec::new();
    let ended = tokio::time::timeout(HANG, stream.read_to_end(&mut read)).await;
    let text = String::from_utf8_lossy(&read).into_owned();
    let told = tell(&text, request.starts_with("HEAD"));
    if ended.is_err() { format!("{told} hangs") } else { told }
}

/// The statuses, and the last answer's body.
fn tell(mut text: &str, to_head: bool) -> String {
    let mut told = String::new();
    while let Some((head, rest)) = text.split_once("\r\n\r\n") {
        if !head.starts_with("HTTP/1.") {
            break;
        }
        let fields = head.to_lowercase();
        let field = |name: &str| fields.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
        told.push_str(head.split(' ').nth(1).unwrap_or("?"));
        told.push(' ');
        let status = status(head);
        let (body, after) = if to_head || status / 100 == 1 || matches!(status, 204 | 304) {
            (String::new(), rest)
        } else if let Some(length) = field("content-length:") {
            let length: usize = length.parse().unwrap();
            match rest.split_at_checked(length) {
                Some((body, after)) => (body.to_owned(), after),
                None => (format!("{rest} cut").trim_start().to_owned(), ""),
            }
        } else if field("transfer-encoding:").is_some() {
            chunks(rest)
        } else {
            (rest.to_owned(), "")
        };
        text = after;
        // Error pages differ.
        if !body.is_empty() && !body.starts_with("<html>") {
            told.push_str(&body);
            told.push(' ');
        }
    }
    told.push_str(text);
    told.trim_end().to_owned()
}

fn chunks(mut text: &str) -> (String, &str) {
    let mut body = String::new();
    loop {
        let Some((size, rest)) = text.split_once("\r\n") else {
            return (format!("{body} cut").trim_start().to_owned(), "");
        };
        let size = usize::from_str_radix(size, 16).unwrap();
        let Some((chunk, rest)) = rest.split_at_checked(size) else { return (format!("{body}{rest} cut"), "") };
        body.push_str(chunk);
        text = rest.strip_prefix("\r\n").unwrap_or("");
        if size == 0 {
            return (body, text);
        }
    }
}

/// nginx in front of the same target.
struct Nginx {
    child: Child,
    door: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// `None` where it is not installed.
    async fn start(target: SocketAddrV4) -> Option<Self> {
        Command::new("nginx").arg("-v").stderr(Stdio::null()).status().ok().filter(|status| status.success())?;
        let folder = tempfile::tempdir().unwrap();
        let free = TcpListener::bind((LOOPBACK, 0)).unwrap().local_addr().unwrap();
        let path = folder.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {path}/{kind};\n"))
            .concat();
        let configuration = format!(
            "daemon off; pid {path}/pid; error_log {path}/error; events {{ worker_connections 64; }}
             http {{ access_log off; {temporary} large_client_header_buffers 4 16k; lingering_close always;
               map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
               server {{ listen {free}; location /cluster1 {{
                 proxy_pass http://{target}; proxy_http_version 1.1; proxy_buffer_size 32k; proxy_buffers 4 32k;
                 proxy_busy_buffers_size 32k; proxy_request_buffering off; proxy_buffering off;
                 proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade;
                 proxy_set_header Connection $connection_upgrade;
                 proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }} }} }}"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new("nginx");
        let child = command.arg("-p").arg(folder.path()).arg("-c").arg(&file).stderr(Stdio::null()).spawn().unwrap();
        let nginx = Self { child, door: free, _folder: folder };
        let up = async {
            while TcpStream::connect(free).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(HANG, up).await.expect("nginx starts");
        Some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master takes its workers along.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

fn framing() -> Vec<Case> {
    let plain = |what, request: String| Case { what, request, response: OK, answer: "200 ok", seen: &[], nginx: None };
    let refused = |what, request: String, answer| Case { answer, ..plain(what, request) };
    let smuggled = "GET /cluster1/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let te = "Transfer-Encoding: chunked\r\n";
    let chunked = "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n";
    vec![
        Case {
            seen: &["content-length: 3\r\n", "\r\n\r\nabc"],
            ..plain("a length", post("Content-Length: 3\r\n", "abc"))
        },
        Case {
            seen: &["transfer-encoding: chunked\r\n", "abc", "de", "!trailer", "!x=y"],
            ..plain("chunks", post(te, chunked))
        },
        plain("no body", get("")),
        Case {
            request: "GET /cluster1 HTTP/1.0\r\n\r\n".to_owned(),
            seen: &["\r\nhost: "],
            ..plain("HTTP/1.0", String::new())
        },
        Case {
            seen: &["transfer-encoding", "!content-length", "!smuggled"],
            nginx: Some((
                "400",
                "AWS's defensive mode lets it through, framed in one way, and closes both connections",
            )),
            ..plain("both framings", post(&format!("Content-Length: 4\r\n{te}"), &format!("0\r\n\r\n{smuggled}")))
        },
        Case {
            seen: &["content-length: 3\r\n"],
            nginx: Some(("400", "AWS's defensive mode takes the same length twice for one")),
            ..plain("the same length twice", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"))
        },
        refused("two lengths", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), "400"),
        refused("a length with a sign", post("Content-Length: +3\r\n", "abc"), "400"),
        refused("a list of lengths", post("Content-Length: 3, 3\r\n", "abc"), "400"),
        refused("a length without digits", post("Content-Length: \r\n", ""), "400"),
        refused("another coding", post("Transfer-Encoding: gzip\r\n", ""), "501"),
        refused("a coding before chunks", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), "501"),
        refused("a coding that looks like chunks", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), "501"),
        Case {
            nginx: Some(("501", "AWS documents identity as supported")),
            seen: &["!transfer-encoding", "content-length: 3\r\n"],
            ..plain("identity", post("Transfer-Encoding: identity\r\nContent-Length: 3\r\n", "abc"))
        },
        Case {
            nginx: Some((
                "501",
                "it knows no coding but the one word chunked; for us each word is known and the list is malformed",
            )),
            ..refused("chunks twice", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), "400")
        },
        refused("chunks in HTTP/1.0", format!("POST /cluster1 HTTP/1.0\r\nHost: a\r\n{te}\r\n0\r\n\r\n"), "400"),
        refused("a chunk's size that is none", post(te, "zz\r\n"), "400"),
        refused("a chunk that is longer than it says", post(te, "3\r\nabcd\r\n0\r\n\r\n"), "400"),
    ]
}

fn heads() -> Vec<Case> {
    let plain = |what, request: String| Case { what, request, response: OK, answer: "200 ok", seen: &[], nginx: None };
    let refused = |what, request: String, answer| Case { answer, ..plain(what, request) };
    let host = |host: &str| format!("GET /cluster1 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let line = |line: &str| format!("{line}\r\nHost: a\r\nConnection: close\r\n\r\n");
    vec![
        refused("no host", "GET /cluster1 HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(), "400"),
        refused("two hosts", get("Host: b\r\n"), "400"),
        refused("a host with a blank", host("a b"), "400"),
        refused("a host with a slash", host("a/b"), "400"),
        Case {
            nginx: Some(("200 ok", "a host has no userinfo (RFC 9110 §7.2), and rules would compare it")),
            ..refused("a host with userinfo", host("u@a"), "400")
        },
        refused("an empty host", host(""), "400"),
        Case {
            seen: &["get /cluster1?x http/1.1\r\n", "host: b\r\n", "!host: a\r\n"],
            ..plain("the absolute form", line("GET http://b/cluster1?x HTTP/1.1"))
        },
        refused("userinfo in the absolute form", line("GET http://u:p@b/cluster1 HTTP/1.1"), "400"),
        Case {
            nginx: Some(("200 ok", "no client sends fragments, and whoever counts them in sees another path")),
            ..refused("a fragment", line("GET /cluster1#x HTTP/1.1"), "400")
        },
        refused("TRACE", line("TRACE /cluster1 HTTP/1.1"), "405"),
        Case {
            nginx: Some(("400", "AWS documents 405 for methods that it does not pass")),
            ..refused("CONNECT", line("CONNECT a:80 HTTP/1.1"), "405")
        },
        Case {
            nginx: Some(("505", "AWS documents no 505")),
            ..refused("HTTP/2.0", line("GET /cluster1 HTTP/2.0"), "400")
        },
        Case {
            nginx: Some(("ok", "AWS speaks HTTP/1.0 at the least")),
            ..refused("HTTP/0.9", "GET /cluster1\r\n".to_owned(), "400")
        },
        refused("a blank before the colon", get("X-A : b\r\n"), "400"),
        refused("a folded header", get("X-A: b\r\n c\r\n"), "400"),
        Case {
            nginx: Some(("200 ok|400", "it passes such a line on as a header without a value")),
            ..refused("a header without a colon", get("X-A\r\n"), "400")
        },
        refused("a header without a name", get(": b\r\n"), "400"),
        refused("a NUL", get("X-A: b\0c\r\n"), "400"),
        refused("a lone CR", get("X-A: b\rc: d\r\n"), "400"),
        plain("a method that nobody knows", line("BREW /cluster1 HTTP/1.1")),
        Case {
            seen: &["\r\nx-a: b\r\n"],
            ..plain(
                "lines that end with LF",
                "GET /cluster1 HTTP/1.1\nHost: a\nX-A: b\nConnection: close\n\n".to_owned(),
            )
        },
        plain("empty lines before", format!("\r\n\r\n{}", get(""))),
        Case {
            seen: &["!x-gone", "!keep-alive", "!te: ", "\r\nx-stays: 1\r\n"],
            ..plain(
                "fields of one connection",
                get("Connection: X-Gone\r\nX-Gone: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nX-Stays: 1\r\n"),
            )
        },
        Case {
            answer: "200 ok 200 ok",
            ..plain("two requests at once", format!("GET /cluster1 HTTP/1.1\r\nHost: a\r\n\r\n{}", get("")))
        },
        Case {
            seen: &["!expect", "abc"],
            answer: "200 ok",
            nginx: Some((
                "100 200 ok",
                "it asks for a body that is there already; no 100 is needed then (RFC 9110 §10.1.1)",
            )),
            ..plain("100-continue", post("Expect: 100-continue\r\nContent-Length: 3\r\n", "abc"))
        },
        refused("a long line", line(&format!("GET /cluster1/{} HTTP/1.1", "x".repeat(20_000))), "414"),
        refused("a long header", get(&format!("X-Long: {}\r\n", "x".repeat(20_000))), "400"),
        refused("a large head", get(&format!("X-Long: {}\r\n", "x".repeat(10_000)).repeat(8)), "400"),
        plain("many headers", get(&"A: b\r\n".repeat(1000))),
    ]
}

fn responses() -> Vec<Case> {
    let plain = |what, response| Case { what, request: get(""), response, answer: "200 hello", seen: &[], nginx: None };
    let refused = |what, response| Case { answer: "502", ..plain(what, response) };
    vec![
        plain("a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        plain(
            "chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: x\r\n\r\n",
        ),
        plain("until the end", "HTTP/1.1 200 OK\r\n\r\nhello"),
        plain("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nhello"),
        plain("lines that end with LF", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
        Case {
            request: "GET /cluster1 HTTP/1.0\r\n\r\n".to_owned(),
            ..plain(
                "chunks for HTTP/1.0",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            )
        },
        Case {
            request: get("").replace("GET", "HEAD"),
            answer: "200",
            ..plain("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        },
        Case { answer: "204", ..plain("204", "HTTP/1.1 204 No Content\r\n\r\n") },
        Case { answer: "304", ..plain("304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n") },
        Case {
            nginx: Some(("200 hello|502", "nginx answers 502 since 1.23")),
            ..refused(
                "both framings",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            )
        },
        Case {
            nginx: Some(("200 hello!|502", "nginx answers 502 since 1.23")),
            ..refused("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")
        },
        Case {
            nginx: Some(("200 hello|502", "a length that it cannot read is none to it")),
            ..refused("a length with a sign", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello")
        },
        Case {
            nginx: Some(("200 hello|502", "nginx answers 502 since 1.23")),
            ..refused("another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello")
        },
        refused("nothing", ""),
        refused("half a head", "HTTP/1.1 200 OK\r\nContent-"),
        Case { nginx: Some(("hello|502", "to it that is HTTP/0.9")), ..refused("no HTTP", "hello\r\n\r\n") },
        Case {
            nginx: Some(("200|502", "it ignores such a line")),
            ..refused("a header without a colon", "HTTP/1.1 200 OK\r\nhello\r\n\r\n")
        },
        Case {
            nginx: Some(("101 hello|502", "it passes any 101 on")),
            ..refused("an upgrade that nobody asked for", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nhello")
        },
        Case {
            nginx: Some(("103 200 hello|200 hello", "older ones take the interim response for the answer")),
            ..plain(
                "interim responses",
                "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            )
        },
        Case { answer: "200 hel cut", ..plain("too short a body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel") },
        Case {
            answer: "200 hel cut",
            ..plain("a chunk that is cut", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
        },
        Case {
            answer: "200 cut",
            nginx: Some(("|200 cut|200 hel cut|502", "it may close before the head is out")),
            ..plain("chunks that are none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\nzz\r\n")
        },
        plain("more than the length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n"),
    ]
}

/// What takes more than bytes to tell: how half-closed clients, early answers, slow readers and upgrades fare.
struct Story {
    what: &'static str,
    response: &'static str,
    ours: &'static str,
    nginx: Option<(&'static str, &'static str)>,
}

const STORIES: [Story; 4] = [
    Story {
        what: "half close",
        response: OK,
        ours: "200 ok",
        nginx: Some(("", "it takes a client that ends its side for one that left")),
    },
    Story {
        what: "early answer",
        response: OK,
        ours: "200 early, then 200 ok; whole upload",
        nginx: Some((
            "200 early, then ; |200 early, then ; cut upload|200 early, then 200 ok; cut upload",
            "it cuts the upload off",
        )),
    },
    Story { what: "back-pressure", response: OK, ours: "bounded", nginx: None },
    Story {
        what: "upgrade",
        response: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        ours: "101 hello again",
        nginx: Some(("101 hello |101 hello again", "it ends the tunnel as soon as the client ends its side")),
    },
];

impl Story {
    async fn live(&self, door: SocketAddr, script: &Script) -> String {
        let told: Pin<Box<dyn Future<Output = io::Result<String>> + '_>> = match self.what {
            "half close" => Box::pin(half_close(door)),
            "early answer" => Box::pin(early_answer(door, script)),
            "back-pressure" => Box::pin(back_pressure(door, script)),
            _ => Box::pin(upgrade(door)),
        };
        match tokio::time::timeout(HANG, told).await {
            Ok(Ok(told)) => told,
            Ok(Err(error)) => format!("{:?}", error.kind()),
            Err(_) => "hangs".to_owned(),
        }
    }
}

async fn upgrade(door: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(door).await?;
    let request = "GET /cluster1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello";
    stream.write_all(request.as_bytes()).await?;
    let status = status(&head(&mut stream).await);
    let mut echoed = [0; 5];
    stream.read_exact(&mut echoed).await?;
    stream.write_all(b"again").await?;
    stream.shutdown().await?;
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await?;
    Ok(format!("{status} {} {rest}", String::from_utf8_lossy(&echoed)))
}

async fn half_close(door: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(door).await?;
    stream.write_all(b"GET /cluster1/late HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    stream.shutdown().await?;
    let mut read = String::new();
    stream.read_to_string(&mut read).await?;
    Ok(tell(&read, false))
}

/// The target answers before the upload is complete, and reads it to its end.
async fn early_answer(door: SocketAddr, script: &Script) -> io::Result<String> {
    let mut stream = TcpStream::connect(door).await?;
    stream.write_all(b"POST /cluster1/early HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello").await?;
    let status = status(&head(&mut stream).await);
    let mut body = [0; 5];
    stream.read_exact(&mut body).await?;
    stream.write_all(b"world").await?;
    let _ = stream.write_all(get("").as_bytes()).await;
    let mut rest = String::new();
    let _ = stream.read_to_string(&mut rest).await;
    let upload = script.seen.lock().unwrap().lines().next().unwrap_or_default().to_owned();
    Ok(format!("{status} {}, then {}; {upload}", String::from_utf8_lossy(&body), tell(&rest, false)))
}

/// The client does not read; what the target could send is what the proxy and the kernel hold.
async fn back_pressure(door: SocketAddr, script: &Script) -> io::Result<String> {
    let mut stream = TcpStream::connect(door).await?;
    script.sent.store(0, Ordering::SeqCst);
    stream.write_all(b"GET /cluster1/endless HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    let mut before = usize::MAX;
    while before != script.sent.load(Ordering::SeqCst) {
        before = script.sent.load(Ordering::SeqCst);
        clock::sleep(Duration::from_millis(200)).await;
    }
    Ok(if (1..64 * 1024 * 1024).contains(&before) { "bounded".to_owned() } else { format!("{before} bytes") })
}

#[tokio::test]
async fn both_proxies_do_what_each_case_says() {
    let script = Script::default();
    let scripted = script.clone();
    let target = Server::start("target", move |stream| scripted.clone().serve(stream)).await;
    let bench = Bench::with(&[(&target, Standing::Healthy)]).await;
    let nginx = Nginx::start(target.address).await;
    if nginx.is_none() {
        eprintln!("nginx is not installed: the cases run against our proxy only");
    }
    let doors = [("ours", Some(bench.address)), ("nginx", nginx.as_ref().map(|nginx| nginx.door))];
    let mut wrong = Vec::new();
    for (proxy, door) in doors.into_iter().filter_map(|(proxy, door)| Some((proxy, door?))) {
        for case in framing().into_iter().chain(heads()).chain(responses()) {
            script.says(case.response);
            let expected = case.nginx.filter(|_| proxy == "nginx").map_or(case.answer, |(answer, _)| answer);
            let answered = answer(door, &case.request).await;
            let seen = script.seen.lock().unwrap().to_lowercase();
            let differs =
                |text: &&&str| text.strip_prefix('!').map_or(!seen.contains(**text), |not| seen.contains(not));
            // What nginx's targets see is its own affair where it answers otherwise.
            let unseen = case.seen.iter().find(differs).filter(|_| proxy == "ours");
            if !expected.split('|').any(|expected| answered == expected) || unseen.is_some() {
                wrong.push(format!("{proxy}: {}: {answered:?}, not {expected:?}; {unseen:?} in {seen:?}", case.what));
            }
        }
        for story in &STORIES {
            script.says(story.response);
            let expected = story.nginx.filter(|_| proxy == "nginx").map_or(story.ours, |(told, _)| told);
            let told = story.live(door, &script).await;
            if !expected.split('|').any(|expected| told == expected) {
                wrong.push(format!("{proxy}: {}: {told:?}, not {expected:?}", story.what));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
