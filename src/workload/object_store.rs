//! `cloudscale workload object-store`: the sample application of a course's single-host testbed.
//!
//! `GET /` lists the objects, `DELETE /` takes all away; `PUT`, `GET` and `DELETE /objs/ID` are what they say, and
//! `GET /objs/ID/compress` answers with the object compressed by bzip2, in base64. One request is done after the other, at a
//! rate and with delays that make one instance too few on purpose. The objects are in a folder that all instances share.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use bzip2::Compression;
use bzip2::write::BzEncoder;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response, StatusCode};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::folder::Folder;
use super::processor::{Processor, jittered};
use super::serving::{Application, Place, respond, serve};
use crate::clock;
use crate::problem::{Problem, Problems};

/// The largest object.
const OBJECT_BYTES_MAX: usize = 1024 * 1024;
const TEXT: &str = "text/plain";
const BINARY: &str = "application/octet-stream";

/// What the store is like.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Where the objects are.
    pub folder: PathBuf,
    /// Requests per second that can be served; more wait their turn, and too many are refused with 503.
    pub rate: Option<f64>,
    /// What a request takes besides, give or take up to `jitter`.
    pub delay: Duration,
    pub jitter: Duration,
}

/// A store that listens.
#[derive(Debug)]
pub struct Server {
    pub listener: TcpListener,
    pub instance_id: String,
    store: Arc<Store>,
}

#[derive(Debug)]
struct Store {
    instance: HeaderValue,
    objects: Folder,
    processor: Option<Mutex<Processor>>,
    delay: Duration,
    jitter: Duration,
}

impl Server {
    /// Opens the folder, finds out who it is, and listens.
    ///
    /// # Errors
    /// As [`Place::listen`]; a folder that cannot be opened.
    pub async fn start(place: &Place, options: Options) -> Result<Self, Problems> {
        let Options { folder, rate, delay, jitter } = options;
        let objects = Folder::open(&folder)
            .map_err(|error| Problem::new("No place for the objects", format!("{}: {error}", folder.display())))?;
        let listening = place.listen().await?;
        let processor = rate.map(Processor::of_rate).map(Mutex::new);
        let store = Store { instance: listening.instance, objects, processor, delay, jitter };
        let instance_id = listening.identity.instance_id;
        Ok(Self { listener: listening.listener, instance_id, store: Arc::new(store) })
    }

    /// Serves until `stop`, then finishes what is in flight.
    pub async fn serve(self, stop: CancellationToken) {
        serve(self.listener, self.store, stop).await;
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked<'a> {
    Health,
    List,
    Clear,
    Get(&'a str),
    Put(&'a str),
    Delete(&'a str),
    Compress(&'a str),
    /// A path of ours with another method.
    Never,
    Nothing,
}

fn asked<'a>(method: &Method, path: &'a str) -> Asked<'a> {
    let object = path.strip_prefix("/objs/").filter(|rest| !rest.is_empty());
    match (path, object.and_then(|object| object.strip_suffix("/compress")), object) {
        ("/health", ..) => Asked::Health,
        ("/", ..) if method == Method::GET => Asked::List,
        ("/", ..) if method == Method::DELETE => Asked::Clear,
        (_, Some(id), _) if method == Method::GET => Asked::Compress(id),
        (_, None, Some(id)) if method == Method::GET => Asked::Get(id),
        (_, None, Some(id)) if method == Method::PUT => Asked::Put(id),
        (_, None, Some(id)) if method == Method::DELETE => Asked::Delete(id),
        ("/", ..) | (_, _, Some(_)) => Asked::Never,
        _ => Asked::Nothing,
    }
}

impl Application for Store {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let asked = asked(&head.method, head.uri.path());
        // Health does not wait, so that a load that is too high shows in the latency and not as dead instances.
        if asked == Asked::Health {
            return self.respond(StatusCode::OK, TEXT, "healthy\n");
        }
        // A body is read whole before anything is done, whatever becomes of it: the connection goes on behind it.
        let Ok(body) = Limited::new(body, OBJECT_BYTES_MAX).collect().await else {
            return self.respond(StatusCode::PAYLOAD_TOO_LARGE, TEXT, "an object has at most 1 MiB\n");
        };
        if !self.turn().await {
            return self.respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, "too many requests are waiting\n");
        }
        let (status, kind, body) = self.act(asked, &body.to_bytes()).unwrap_or_else(|error| match error.kind() {
            io::ErrorKind::InvalidInput => (StatusCode::BAD_REQUEST, TEXT, "no such name is allowed\n".into()),
            io::ErrorKind::StorageFull => (StatusCode::INSUFFICIENT_STORAGE, TEXT, "the store is full\n".into()),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n").into()),
        });
        self.respond(status, kind, body)
    }
}

impl Store {
    /// Waits until it is this request's turn and its delay is over; `false` where too many wait.
    async fn turn(&self) -> bool {
        let arrived = clock::instant();
        let turn = match &self.processor {
            None => Some(arrived),
            Some(processor) => {
                let mut processor = processor.lock().unwrap_or_else(PoisonError::into_inner);
                processor.admit(arrived, (fastrand::f64(), fastrand::f64()))
            }
        };
        let Some(turn) = turn else { return false };
        let delay = jittered(self.delay, self.jitter, fastrand::f64());
        clock::sleep(turn.saturating_duration_since(arrived) + delay).await;
        true
    }

    fn act(&self, asked: Asked<'_>, body: &[u8]) -> io::Result<(StatusCode, &'static str, Bytes)> {
        let none = || (StatusCode::NOT_FOUND, TEXT, "no such object\n".into());
        let done = |status| (status, TEXT, Bytes::new());
        Ok(match asked {
            Asked::List => {
                let names = self.objects.list()?;
                (StatusCode::OK, TEXT, names.into_iter().map(|name| name + "\n").collect::<String>().into())
            }
            Asked::Clear => {
                self.objects.clear()?;
                done(StatusCode::NO_CONTENT)
            }
            Asked::Get(id) => self.objects.get(id)?.map_or_else(none, |bytes| (StatusCode::OK, BINARY, bytes.into())),
            Asked::Put(id) => {
                self.objects.put(id, body)?;
                done(StatusCode::OK)
            }
            Asked::Delete(id) if self.objects.remove(id)? => done(StatusCode::NO_CONTENT),
            Asked::Compress(id) => match self.objects.get(id)? {
                Some(bytes) => (StatusCode::OK, TEXT, compressed(&bytes)?.into()),
                None => none(),
            },
            Asked::Delete(_) => none(),
            Asked::Never => (StatusCode::METHOD_NOT_ALLOWED, TEXT, "not with this method\n".into()),
            Asked::Health | Asked::Nothing => (StatusCode::NOT_FOUND, TEXT, "nothing is here\n".into()),
        })
    }

    fn respond(&self, status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
        respond(&self.instance, status, kind, body)
    }
}

/// By bzip2, in base64. It takes the one thread that there is, as it is meant to.
fn compressed(bytes: &[u8]) -> io::Result<String> {
    let mut encoder = BzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(BASE64.encode(encoder.finish()?))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use bzip2::read::BzDecoder;

    use super::*;

    fn store(place: &std::path::Path) -> Store {
        let instance = HeaderValue::from_static("i-1");
        let objects = Folder::open(place).unwrap();
        Store { instance, objects, processor: None, delay: Duration::ZERO, jitter: Duration::ZERO }
    }

    #[test]
    fn paths_and_methods_ask_for_what_the_course_says() {
        let asks = |method: Method, path| asked(&method, path);
        assert_eq!((asks(Method::GET, "/"), asks(Method::DELETE, "/")), (Asked::List, Asked::Clear));
        assert_eq!(asks(Method::PUT, "/objs/7"), Asked::Put("7"));
        assert_eq!(asks(Method::GET, "/objs/7"), Asked::Get("7"));
        assert_eq!(asks(Method::DELETE, "/objs/7"), Asked::Delete("7"));
        assert_eq!(asks(Method::GET, "/objs/7/compress"), Asked::Compress("7"));
        assert_eq!((asks(Method::POST, "/"), asks(Method::PUT, "/objs/7/compress")), (Asked::Never, Asked::Never));
        assert_eq!((asks(Method::GET, "/objs/"), asks(Method::GET, "/other")), (Asked::Nothing, Asked::Nothing));
    }

    #[test]
    fn what_is_put_by_one_is_listed_and_got_from_another() {
        let place = tempfile::tempdir().unwrap();
        let (one, other) = (store(place.path()), store(place.path()));
        let act = |store: &Store, asked| {
            let (status, _, body) = store.act(asked, b"hello hello hello").unwrap();
            (status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
        };
        assert_eq!(act(&other, Asked::Get("a")), (404, "no such object\n".to_owned()));
        assert_eq!(act(&one, Asked::Put("a")).0, 200);
        assert_eq!(act(&other, Asked::List), (200, "a\n".to_owned()));
        assert_eq!(act(&other, Asked::Get("a")), (200, "hello hello hello".to_owned()));
        let (_, compressed) = act(&one, Asked::Compress("a"));
        let mut text = String::new();
        BzDecoder::new(&*BASE64.decode(compressed).unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello hello hello");
        assert_eq!((act(&other, Asked::Delete("a")).0, act(&one, Asked::Delete("a")).0), (204, 404));
        assert_eq!(one.act(Asked::Put("../a"), b"").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
