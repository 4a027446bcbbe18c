//! An application on its port: who it is, where it listens, and a connection after the other until it is to end.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::metadata::{self, Identity};
use crate::clock;
use crate::problem::{Problem, Problems};

const CONNECTIONS_MAX: usize = 1024;
/// How long requests in flight may take after the end was asked for.
const DRAIN: Duration = Duration::from_secs(10);

/// What answers requests.
pub trait Application: Send + Sync + 'static {
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}

/// Where an application listens, and as whom it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `None`: the instance's own address, from the metadata service.
    pub bind: Option<IpAddr>,
    pub port: u16,
    /// `None`: from the metadata service.
    pub instance_id: Option<String>,
}

/// An application's port, and who it is.
#[derive(Debug)]
pub struct Listening {
    pub listener: TcpListener,
    pub identity: Identity,
    /// The instance's id, as every answer names it.
    pub instance: HeaderValue,
}

impl Place {
    async fn identity(&self) -> Result<Identity, Problem> {
        if let (Some(instance_id), Some(address)) = (&self.instance_id, self.bind) {
            return Ok(Identity { instance_id: instance_id.clone(), address, instance_type: None });
        }
        let asked = metadata::ask(&metadata::endpoint()).await?;
        Ok(Identity {
            instance_id: self.instance_id.clone().unwrap_or(asked.instance_id),
            address: self.bind.unwrap_or(asked.address),
            instance_type: asked.instance_type,
        })
    }

    /// Finds out who this is, and listens.
    ///
    /// # Errors
    /// A metadata service that does not answer, an address that cannot be bound.
    pub async fn listen(&self) -> Result<Listening, Problems> {
        let identity = self.identity().await?;
        let address = SocketAddr::new(identity.address, self.port);
        let listener = TcpListener::bind(address).await.map_err(|error| {
            Problem::new("Cannot listen", format!("{address}: {error}"))
                .hint("choose another address with --bind, or another port with --port")
        })?;
        let instance = HeaderValue::from_str(&identity.instance_id).map_err(|_| {
            Problem::usage("Invalid instance id", format!("{:?} cannot stand in a header", identity.instance_id))
        })?;
        Ok(Listening { listener, identity, instance })
    }
}

/// Serves until `stop`, then finishes what is in flight.
pub async fn serve<A: Application>(listener: TcpListener, application: Arc<A>, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        // Without a free slot new connections wait in the kernel's queue.
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, stream) = tokio::select! {
            () = stop.cancelled() => break,
            (slot, accepted) = accepted => match accepted {
                Ok((stream, _)) => (slot, stream),
                // The peer is gone already, or we are out of files: others may do better in a moment.
                Err(_) => {
                    clock::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        let (application, stop) = (Arc::clone(&application), stop.clone());
        connections.spawn(async move {
            connection(stream, application, stop).await;
            drop(slot);
        });
    }
    drop(listener);
    // Whoever takes longer is cut off with the process.
    let _ = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
}

async fn connection<A: Application>(stream: TcpStream, application: Arc<A>, stop: CancellationToken) {
    // Small answers must not wait for the peer's acknowledgement; where this fails they are only later.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let application = Arc::clone(&application);
        async move { Ok::<_, Infallible>(application.answer(request).await) }
    });
    let mut serving = pin!(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    // An error here is the peer's: a reset connection, or no HTTP.
    tokio::select! {
        _ = serving.as_mut() => {}
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}

/// An answer that names its instance.
pub fn respond(
    instance: &HeaderValue,
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert("x-instance-id", instance.clone());
    response
}
