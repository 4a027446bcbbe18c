//! HTTP/2: requests side by side on connections that the users of one worker share.
//!
//! A request is made of the bytes that HTTP/1.1 would send, so both say the same. A connection carries up to
//! [`STREAMS_MAX`] users, or requests under way of an open load, and fewer at once where the server allows fewer: then they wait, and
//! their time goes on. Whoever finds no connection opens one, and the others wait for it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;

use bytes::Bytes;
use futures_util::future::{Either, select};
use h2::client::SendRequest;
use h2::{Reason, RecvStream, SendStream};
use hyper::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, LOCATION};
use hyper::{Method, Request, Uri};
use tokio::sync::Mutex;

use super::framing::{BODY_BYTES_KEPT, BODY_BYTES_MAX, HEAD_BYTES_MAX, INSTANCE_HEADER};
use super::interval::Failure;
use super::request::Server;
use super::stream::{self, Effort};

/// Users that share a connection: what RFC 9113 (section 6.5.2) has every server allow at least.
pub const STREAMS_MAX: usize = 100;
/// Bytes of one answer, and of all of a connection, that a server may send before they were read.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// More headers than anybody writes into a scenario.
const HEADERS_MAX: usize = 256;

/// The connections of one worker to one server.
#[derive(Default)]
pub struct Connections {
    all: RefCell<Vec<Rc<Connection>>>,
}

/// A connection; opened by the first request, and again whenever the server ended it.
pub struct Connection {
    /// Which of the host's addresses is tried first.
    turn: usize,
    sender: RefCell<Option<SendRequest<Bytes>>>,
    /// Counts the times that it was opened.
    opened: Cell<u32>,
    opening: Mutex<()>,
}

/// A complete answer, but for its body.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub instance: Option<HeaderValue>,
    pub location: Option<HeaderValue>,
}

/// What goes out at once.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    pub server: &'a Server,
    /// As in HTTP/1.1.
    pub bytes: &'a [u8],
    pub is_idempotent: bool,
}

/// Why no complete answer came.
struct Broken {
    failure: Failure,
    /// Another request may do better on a connection of its own.
    ends_connection: bool,
    /// The server has not looked at the request (RFC 9113, section 8.7), or nothing of an answer came.
    untouched: bool,
    unanswered: bool,
}

impl Connections {
    /// A connection with room for one more.
    pub fn join(&self, turn: usize) -> Rc<Connection> {
        let mut all = self.all.borrow_mut();
        // One count is the list's own.
        if let Some(roomy) = all.iter().find(|connection| Rc::strong_count(connection) <= STREAMS_MAX) {
            return roomy.clone();
        }
        let fresh =
            Rc::new(Connection { turn, sender: RefCell::default(), opened: Cell::new(0), opening: Mutex::default() });
        all.push(fresh.clone());
        fresh
    }
}

impl Connection {
    /// Sends a request and reads its whole answer; the body's first bytes go into `body`.
    ///
    /// # Errors
    /// Why there is no complete answer.
    pub async fn ask(&self, ask: Ask<'_>, effort: &mut Effort, body: &mut Vec<u8>) -> Result<Answer, Failure> {
        let Some((request, payload)) = request(ask.bytes) else {
            effort.trouble = Some("the request cannot be said in HTTP/2".to_owned());
            return Err(Failure::Protocol);
        };
        loop {
            let known = self.opened.get();
            let sender = self.sender(ask.server, effort).await?;
            let number = self.opened.get();
            let reused = known == number;
            body.clear();
            match exchange(sender, request.clone(), payload.clone(), body).await {
                Ok(answer) => return Ok(answer),
                Err(broken) => {
                    if broken.ends_connection {
                        self.forget(number);
                    }
                    // As of HTTP/1.1: once, where the request does no harm twice or was not looked at, and counted.
                    let again = broken.untouched || (reused && ask.is_idempotent && broken.unanswered);
                    if !again || effort.retried {
                        return Err(broken.failure);
                    }
                    effort.retried = true;
                }
            }
        }
    }

    /// A handle that takes requests; of a new connection where there is none.
    async fn sender(&self, server: &Server, effort: &mut Effort) -> Result<SendRequest<Bytes>, Failure> {
        if let Some(ready) = self.ready().await {
            return Ok(ready);
        }
        let _opening = self.opening.lock().await;
        // Another may have opened it meanwhile.
        if let Some(ready) = self.ready().await {
            return Ok(ready);
        }
        let fresh = match open(server, self.turn).await {
            Ok(fresh) => fresh,
            Err(error) => {
                effort.trouble = Some(error.to_string());
                return Err(stream::failure(&error));
            }
        };
        effort.opened += 1;
        self.opened.set(self.opened.get() + 1);
        *self.sender.borrow_mut() = Some(fresh.clone());
        Ok(fresh)
    }

    async fn ready(&self) -> Option<SendRequest<Bytes>> {
        let known = self.sender.borrow().clone()?;
        let number = self.opened.get();
        match known.ready().await {
            Ok(ready) => Some(ready),
            // It ended while nobody asked for anything: that costs no retry.
            Err(_) => {
                self.forget(number);
                None
            }
        }
    }

    /// Whatever was opened as the `number`th is not used again.
    fn forget(&self, number: u32) {
        if self.opened.get() == number {
            *self.sender.borrow_mut() = None;
        }
    }
}

async fn open(server: &Server, turn: usize) -> std::io::Result<SendRequest<Bytes>> {
    let stream = stream::tls_http2(stream::connect(server, turn).await?, server.host_name()).await?;
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEAD_BYTES_MAX as u32);
    let (sender, connection) = builder.handshake(stream).await.map_err(std::io::Error::other)?;
    // It ends with its last user, or by itself: then those who use it hear of it.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

async fn exchange(
    mut sender: SendRequest<Bytes>,
    request: Request<()>,
    payload: Bytes,
    body: &mut Vec<u8>,
) -> Result<Answer, Broken> {
    let is_head = request.method() == Method::HEAD;
    let sent = sender.send_request(request, payload.is_empty());
    let (response, stream) = sent.map_err(|error| Broken { untouched: true, ..broken(&error, true) })?;
    let answer = async {
        let (parts, stream) = response.await.map_err(|error| broken(&error, true))?.into_parts();
        let declared = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if !is_head && declared.is_some_and(|length| length > BODY_BYTES_MAX) {
            return Err(Broken::of(Failure::Size));
        }
        read(stream, body).await?;
        Ok(Answer {
            status: parts.status.as_u16(),
            instance: parts.headers.get(INSTANCE_HEADER).cloned(),
            location: parts.headers.get(LOCATION).cloned(),
        })
    };
    if payload.is_empty() {
        return answer.await;
    }
    match select(std::pin::pin!(answer), std::pin::pin!(upload(stream, payload))).await {
        Either::Left((answer, _)) => answer,
        Either::Right(((), answer)) => answer.await,
    }
}

/// Sends a body as the server takes it; what goes wrong, the answer tells.
async fn upload(mut stream: SendStream<Bytes>, mut payload: Bytes) {
    while !payload.is_empty() {
        stream.reserve_capacity(payload.len());
        let Some(Ok(room)) = poll_fn(|context| stream.poll_capacity(context)).await else { return };
        let part = payload.split_to(room.min(payload.len()));
        if stream.send_data(part, payload.is_empty()).is_err() {
            return;
        }
    }
}

async fn read(mut stream: RecvStream, body: &mut Vec<u8>) -> Result<(), Broken> {
    let mut seen = 0;
    while let Some(data) = stream.data().await {
        let data = data.map_err(|error| broken(&error, false))?;
        seen += data.len() as u64;
        if seen > BODY_BYTES_MAX {
            return Err(Broken::of(Failure::Size));
        }
        let room = BODY_BYTES_KEPT.saturating_sub(body.len()).min(data.len());
        body.extend_from_slice(&data[..room]);
        // A stream that is over needs no room.
        let _ = stream.flow_control().release_capacity(data.len());
    }
    Ok(())
}

impl Broken {
    fn of(failure: Failure) -> Self {
        Self { failure, ends_connection: false, untouched: false, unanswered: false }
    }
}

fn broken(error: &h2::Error, unanswered: bool) -> Broken {
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    // What a farewell does not count among the last requests was not looked at.
    let untouched = unanswered && (refused || (error.is_go_away() && error.is_remote()));
    let failure = if error.is_library() { Failure::Protocol } else { Failure::Reset };
    Broken { failure, ends_connection: !error.is_reset(), untouched, unanswered }
}

/// What HTTP/1.1 would send, for HTTP/2: the head, and the body. `None` where it cannot be said.
pub fn request(bytes: &[u8]) -> Option<(Request<()>, Bytes)> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut written = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = written.parse(bytes) else { return None };
    let host = written.headers.iter().find(|header| header.name.eq_ignore_ascii_case(HOST.as_str()))?;
    let uri = format!("https://{}{}", std::str::from_utf8(host.value).ok()?, written.path?);
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(written.method?.as_bytes()).ok()?;
    *request.uri_mut() = uri.parse::<Uri>().ok()?;
    for header in written.headers.iter() {
        // What concerns a connection of HTTP/1.1 is not said in HTTP/2 (RFC 9113, section 8.2.2).
        let of_connection =
            ["host", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te"];
        if !of_connection.iter().any(|name| header.name.eq_ignore_ascii_case(name)) {
            let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
            request.headers_mut().append(name, HeaderValue::from_bytes(header.value).ok()?);
        }
    }
    Some((request, Bytes::copy_from_slice(&bytes[head..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_in_http_2_what_it_says_in_http_1() {
        let text =
            b"POST /a?b=c HTTP/1.1\r\nHost: shop:8443\r\nX-Key: 1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi";
        let (request, body) = request(text).expect("a request");
        assert_eq!((request.method(), request.uri().to_string().as_str()), (&Method::POST, "https://shop:8443/a?b=c"));
        let headers: Vec<_> = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(headers, [("x-key", &b"1"[..]), ("content-length", b"2")]);
        assert_eq!(body, "hi");
        assert!(super::request(b"GET /<> HTTP/1.1\r\nHost: a\r\n\r\n").is_none(), "no path of a URI");
    }

    #[test]
    fn a_connection_is_shared_by_a_hundred_users() {
        let connections = Connections::default();
        let users: Vec<_> = (0..=STREAMS_MAX).map(|turn| connections.join(turn)).collect();
        assert!(users[1..STREAMS_MAX].iter().all(|user| Rc::ptr_eq(user, &users[0])));
        assert!(!Rc::ptr_eq(&users[STREAMS_MAX], &users[0]) && users[STREAMS_MAX].turn == STREAMS_MAX);
    }
}
