//! `cloudscale workload users` and `… acts`: the two services of a course's photo-sharing application.
//!
//! Users has `GET|PUT /api/v1/users` and `DELETE /api/v1/users/NAME`; acts has `GET|POST /api/v1/acts` and
//! `DELETE /api/v1/acts?username=NAME`. Each knows where the other is: an act is somebody's, whom users must know, and who goes
//! takes their acts along. The instances of a service share a folder as their database.
//!
//! Both have what the course's orchestrator drives its workers by: `GET /api/v1/_health`; `GET` and `DELETE /api/v1/_count`, the
//! requests that this instance has had; and `POST /api/v1/_crash`, from which on it answers 500 until it is replaced.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::folder::{self, Folder};
use super::serving::{Application, Place, respond, serve};
use crate::problem::{Problem, Problems};

pub use super::peer::Peer;

const BODY_BYTES_MAX: usize = 16 * 1024;
const JSON: &str = "application/json";

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Users,
    Acts,
}

impl Service {
    /// Its path, and that of its folder.
    fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Acts => "acts",
        }
    }
}

/// A service that listens.
#[derive(Debug)]
pub struct Server {
    pub listener: TcpListener,
    pub instance_id: String,
    worker: Arc<Worker>,
}

#[derive(Debug)]
struct Worker {
    service: Service,
    instance: HeaderValue,
    database: Folder,
    other: Peer,
    count: AtomicU64,
    crashed: AtomicBool,
}

/// A user as a request names one.
#[derive(Debug, Deserialize)]
struct User {
    username: String,
}

/// An act, as it is asked for and kept.
#[derive(Debug, Deserialize, Serialize)]
struct Act {
    id: String,
    username: String,
    #[serde(default)]
    caption: String,
}

impl Server {
    /// Opens the database, finds out who it is, and listens.
    ///
    /// # Errors
    /// As [`Place::listen`]; a folder that cannot be opened.
    pub async fn start(service: Service, place: &Place, folder: PathBuf, other: Peer) -> Result<Self, Problems> {
        let folder = folder.join(service.name());
        let database = Folder::open(&folder)
            .map_err(|error| Problem::new("No place for the database", format!("{}: {error}", folder.display())))?;
        let listening = place.listen().await?;
        let (count, crashed) = (AtomicU64::new(0), AtomicBool::new(false));
        let worker = Worker { service, instance: listening.instance, database, other, count, crashed };
        let instance_id = listening.identity.instance_id;
        Ok(Self { listener: listening.listener, instance_id, worker: Arc::new(worker) })
    }

    /// Serves until `stop`, then finishes what is in flight.
    pub async fn serve(self, stop: CancellationToken) {
        serve(self.listener, self.worker, stop).await;
    }
}

/// An answer: its status, and JSON.
type Answered = (StatusCode, String);

/// What is asked of the other service on the way.
struct Asker<'a> {
    other: &'a Peer,
    /// Where the request that is answered went to.
    host: Option<&'a str>,
}

impl Application for Worker {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
        // Read whole before anything is done: the connection goes on behind it.
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let asker = Asker { other: &self.other, host };
        let path = head.uri.path();
        let (status, text) = match (path.strip_prefix("/api/v1/"), body) {
            _ if self.crashed.load(Ordering::Relaxed) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "crashed"),
            (_, Err(_)) => refuse(StatusCode::PAYLOAD_TOO_LARGE, "a body has at most 16 KiB"),
            (Some(own), Ok(_)) if own.starts_with('_') => self.steer(&head.method, own),
            (Some(rest), Ok(body)) => {
                self.count.fetch_add(1, Ordering::Relaxed);
                let query = head.uri.query().unwrap_or_default();
                let answered = match self.service {
                    Service::Users => self.users(&head.method, rest, &body.to_bytes(), &asker).await,
                    Service::Acts => self.acts(&head.method, (rest, query), &body.to_bytes(), &asker).await,
                };
                answered.unwrap_or_else(|error| match error.kind() {
                    io::ErrorKind::StorageFull => refuse(StatusCode::INSUFFICIENT_STORAGE, "the database is full"),
                    _ => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
                })
            }
            (None, Ok(_)) => nothing(),
        };
        respond(&self.instance, status, JSON, text)
    }
}

impl Worker {
    /// What an orchestrator does with a worker. None of it is counted.
    fn steer(&self, method: &Method, path: &str) -> Answered {
        match (method, path) {
            (&Method::GET, "_health") => done(),
            (&Method::POST, "_crash") => {
                self.crashed.store(true, Ordering::Relaxed);
                done()
            }
            (&Method::GET, "_count") => (StatusCode::OK, json!([self.count.load(Ordering::Relaxed)]).to_string()),
            (&Method::DELETE, "_count") => {
                self.count.store(0, Ordering::Relaxed);
                done()
            }
            (_, "_health" | "_crash" | "_count") => refuse(StatusCode::METHOD_NOT_ALLOWED, "not with this method"),
            _ => nothing(),
        }
    }

    async fn users(&self, method: &Method, path: &str, body: &[u8], asker: &Asker<'_>) -> io::Result<Answered> {
        let name = path.strip_prefix("users/").filter(|name| folder::is_name(name));
        Ok(match (method, path, name) {
            (&Method::GET, "users", _) => (StatusCode::OK, json!(self.database.list()?).to_string()),
            (&Method::PUT, "users", _) => match serde_json::from_slice::<User>(body) {
                Ok(user) if !folder::is_name(&user.username) => refuse(StatusCode::BAD_REQUEST, "no such username"),
                Ok(user) if self.database.get(&user.username)?.is_some() => {
                    refuse(StatusCode::CONFLICT, "there is one of that name")
                }
                Ok(user) => {
                    self.database.put(&user.username, b"")?;
                    (StatusCode::CREATED, json!({}).to_string())
                }
                Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
            },
            (&Method::HEAD | &Method::GET, _, Some(name)) => match self.database.get(name)? {
                Some(_) => (StatusCode::OK, json!({ "username": name }).to_string()),
                None => nothing(),
            },
            (&Method::DELETE, _, Some(name)) if self.database.get(name)?.is_some() => {
                let acts = format!("/api/v1/acts?username={name}");
                match asker.ask(Method::DELETE, &acts).await {
                    Ok(StatusCode::OK) => {
                        self.database.remove(name)?;
                        done()
                    }
                    other => unanswered("acts", other),
                }
            }
            _ => nothing(),
        })
    }

    async fn acts(
        &self,
        method: &Method,
        (path, query): (&str, &str),
        body: &[u8],
        asker: &Asker<'_>,
    ) -> io::Result<Answered> {
        Ok(match (method, path) {
            (&Method::GET, "acts") => (StatusCode::OK, serde_json::to_string(&self.all_acts()?)?),
            (&Method::POST, "acts") => match serde_json::from_slice::<Act>(body) {
                Ok(act) if !folder::is_name(&act.id) || !folder::is_name(&act.username) => {
                    refuse(StatusCode::BAD_REQUEST, "no such id or username")
                }
                Ok(act) => match asker.ask(Method::GET, &format!("/api/v1/users/{}", act.username)).await {
                    Ok(StatusCode::OK) => {
                        self.database.put(&act.id, &serde_json::to_vec(&act)?)?;
                        (StatusCode::CREATED, json!({}).to_string())
                    }
                    Ok(StatusCode::NOT_FOUND) => refuse(StatusCode::BAD_REQUEST, "there is no such user"),
                    other => unanswered("users", other),
                },
                Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
            },
            (&Method::DELETE, "acts") => {
                let Some(username) = query.strip_prefix("username=") else {
                    return Ok(refuse(StatusCode::BAD_REQUEST, "whose? ?username=NAME"));
                };
                for act in self.all_acts()?.iter().filter(|act| act.username == username) {
                    self.database.remove(&act.id)?;
                }
                done()
            }
            _ => nothing(),
        })
    }

    fn all_acts(&self) -> io::Result<Vec<Act>> {
        let mut acts = Vec::new();
        for name in self.database.list()? {
            // One that another worker has taken away meanwhile is gone.
            if let Some(bytes) = self.database.get(&name)? {
                acts.push(serde_json::from_slice(&bytes)?);
            }
        }
        Ok(acts)
    }
}

impl Asker<'_> {
    async fn ask(&self, method: Method, path: &str) -> Result<StatusCode, String> {
        self.other.ask(self.host, method, path).await
    }
}

fn done() -> Answered {
    (StatusCode::OK, json!({}).to_string())
}

fn nothing() -> Answered {
    refuse(StatusCode::NOT_FOUND, "nothing is here")
}

fn refuse(status: StatusCode, why: &str) -> Answered {
    (status, json!({ "error": why }).to_string())
}

/// The other service does not do its part, so this one cannot.
fn unanswered(other: &str, answer: Result<StatusCode, String>) -> Answered {
    let why = answer.map_or_else(|why| why, |status| format!("{status}"));
    refuse(StatusCode::BAD_GATEWAY, &format!("{other}: {why}"))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hyper::client::conn::http1::handshake;
    use hyper_util::rt::TokioIo;
    use tokio::net::TcpStream;
    use tokio::task::JoinHandle;

    use super::*;

    struct Running {
        host: String,
        stop: CancellationToken,
        serving: JoinHandle<()>,
    }

    impl Running {
        async fn start(service: Service, folder: &std::path::Path, other: Peer) -> Self {
            let place =
                Place { bind: Some(Ipv4Addr::LOCALHOST.into()), port: 0, instance_id: Some(service.name().into()) };
            let server = Server::start(service, &place, folder.to_owned(), other).await.unwrap();
            let (host, stop) = (server.listener.local_addr().unwrap().to_string(), CancellationToken::new());
            let serving = tokio::spawn(server.serve(stop.clone()));
            Self { host, stop, serving }
        }

        async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
            let stream = TcpStream::connect(&self.host).await.unwrap();
            let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            let request = Request::builder().method(method).uri(path).header("host", &self.host);
            let answer = sender.send_request(request.body(body.to_owned()).unwrap()).await.unwrap();
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            (status, String::from_utf8(body.to_vec()).unwrap())
        }

        async fn end(self) {
            self.stop.cancel();
            self.serving.await.unwrap();
        }
    }

    #[tokio::test]
    async fn an_act_is_of_a_user_and_goes_with_them() {
        let place = tempfile::tempdir().unwrap();
        // Acts is where users is told that it is, and the other way round: ports are known once both listen.
        let nobody = Peer::parse("http://127.0.0.1:9").unwrap();
        let first = Running::start(Service::Users, place.path(), nobody).await;
        let acts =
            Running::start(Service::Acts, place.path(), Peer::parse(&format!("http://{}", first.host)).unwrap()).await;
        let users =
            Running::start(Service::Users, place.path(), Peer::parse(&format!("http://{}", acts.host)).unwrap()).await;
        let act = r#"{"id": "1", "username": "ada", "caption": "an engine"}"#;
        assert_eq!(acts.ask("POST", "/api/v1/acts", act).await.0, 400, "nobody of that name");
        assert_eq!(users.ask("PUT", "/api/v1/users", r#"{"username": "ada"}"#).await.0, 201);
        assert_eq!(first.ask("PUT", "/api/v1/users", r#"{"username": "ada"}"#).await.0, 409, "one database");
        assert_eq!(acts.ask("POST", "/api/v1/acts", act).await.0, 201);
        let all = acts.ask("GET", "/api/v1/acts", "").await.1;
        assert_eq!(all, r#"[{"id":"1","username":"ada","caption":"an engine"}]"#);
        let (status, why) = first.ask("DELETE", "/api/v1/users/ada", "").await;
        assert!(status == 502 && why.contains("http://127.0.0.1:9"), "{why}");
        assert_eq!(users.ask("DELETE", "/api/v1/users/ada", "").await.0, 200);
        assert_eq!(acts.ask("GET", "/api/v1/acts", "").await.1, "[]");
        assert_eq!(users.ask("GET", "/api/v1/users", "").await.1, "[]");
        for running in [first, users, acts] {
            running.end().await;
        }
    }

    #[tokio::test]
    async fn a_worker_counts_its_requests_and_answers_500_once_it_has_crashed() {
        let place = tempfile::tempdir().unwrap();
        let worker = Running::start(Service::Acts, place.path(), Peer::Beside).await;
        for _ in 0..3 {
            assert_eq!(worker.ask("GET", "/api/v1/acts", "").await.0, 200);
        }
        assert_eq!(worker.ask("GET", "/api/v1/_health", "").await.0, 200);
        assert_eq!(worker.ask("GET", "/api/v1/_count", "").await, (200, "[3]".to_owned()));
        assert_eq!(worker.ask("DELETE", "/api/v1/_count", "").await.0, 200);
        assert_eq!(worker.ask("GET", "/api/v1/_count", "").await.1, "[0]");
        assert_eq!(worker.ask("GET", "/api/v1/_crash", "").await.0, 405);
        assert_eq!(worker.ask("POST", "/api/v1/_crash", "").await.0, 200);
        for path in ["_health", "_count", "acts"] {
            assert_eq!(worker.ask("GET", &format!("/api/v1/{path}"), "").await.0, 500, "{path}");
        }
        worker.end().await;
    }

    #[tokio::test]
    async fn no_request_breaks_a_worker() {
        let place = tempfile::tempdir().unwrap();
        let worker = Running::start(Service::Acts, place.path(), Peer::Beside).await;
        let cases = [
            ("POST", "/api/v1/acts", "{", 400),
            ("POST", "/api/v1/acts", r#"{"id": "../1", "username": "ada"}"#, 400),
            ("POST", "/api/v1/acts", &"x".repeat(BODY_BYTES_MAX + 1), 413),
            ("DELETE", "/api/v1/acts", "", 400),
            ("GET", "/api/v1/_reboot", "", 404),
            ("GET", "/", "", 404),
        ];
        for (method, path, body, expected) in cases {
            assert_eq!(worker.ask(method, path, body).await.0, expected, "{method} {path}");
        }
        worker.end().await;
    }
}
