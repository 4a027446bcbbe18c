//! The sample application: a small web server that says which instance it is, and can be as slow as one wants.
//!
//! One thread serves: nine of them run on a laptop, and a burnt processor delays all requests as it would on one core.
//! `/health` is answered at once, so that a load that is too high shows in the latency and not as dead instances.

mod metadata;
mod processor;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
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

use crate::catalog::instance_types;
use crate::clock;
use crate::problem::{Problem, Problems};
use processor::{Processor, jittered};

pub use metadata::Identity;
pub use processor::Distribution;

const CONNECTIONS_MAX: usize = 1024;
/// How long requests in flight may take after the end was asked for.
const DRAIN: Duration = Duration::from_secs(10);

/// What the application is like.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// `None`: the instance's own address, from the metadata service.
    pub bind: Option<IpAddr>,
    pub port: u16,
    /// `None`: from the metadata service.
    pub instance_id: Option<String>,
    /// What a request takes, give or take up to `jitter`.
    pub delay: Duration,
    pub jitter: Duration,
    /// Requests per second that can be served; more wait their turn, and too many are refused with 503.
    pub rate: Option<f64>,
    /// Processor time that a request costs.
    pub burn: Duration,
    /// A modelled processor, in place of `rate`.
    pub model: Option<Model>,
}

/// A modelled processor: requests wait for it, and none is burnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// What a request keeps a virtual CPU busy for, in the mean.
    pub service_time: Duration,
    pub distribution: Distribution,
    /// `None`: as many as the instance's type has.
    pub vcpus: Option<u16>,
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    application: Arc<Application>,
}

#[derive(Debug)]
struct Application {
    instance_id: HeaderValue,
    body: Bytes,
    options: Options,
    processor: Option<Mutex<Processor>>,
}

impl Server {
    /// Finds out who it is, and listens.
    ///
    /// # Errors
    /// A metadata service that does not answer, an address that cannot be bound.
    pub async fn start(options: Options) -> Result<Self, Problems> {
        let identity = match (&options.instance_id, options.bind) {
            (Some(instance_id), Some(address)) => {
                Identity { instance_id: instance_id.clone(), address, instance_type: None }
            }
            (instance_id, bind) => {
                let asked = metadata::ask(&metadata::endpoint()).await?;
                Identity {
                    instance_id: instance_id.clone().unwrap_or(asked.instance_id),
                    address: bind.unwrap_or(asked.address),
                    instance_type: asked.instance_type,
                }
            }
        };
        let processor = match options.model {
            Some(model) => Some(model.processor(identity.instance_type.as_deref())?),
            None => options.rate.map(Processor::of_rate),
        };
        let address = SocketAddr::new(identity.address, options.port);
        let listener = TcpListener::bind(address).await.map_err(|error| {
            Problem::new("Cannot listen", format!("{address}: {error}"))
                .hint("choose another address with --bind, or another port with --port")
        })?;
        let instance_id = HeaderValue::from_str(&identity.instance_id).map_err(|_| {
            Problem::usage("Invalid instance id", format!("{:?} cannot stand in a header", identity.instance_id))
        })?;
        let application = Application {
            instance_id,
            body: Bytes::from(format!("{}\n", identity.instance_id)),
            processor: processor.map(Mutex::new),
            options,
        };
        Ok(Self { listener, application: Arc::new(application) })
    }

    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub fn instance_id(&self) -> &str {
        self.application.instance_id.to_str().unwrap_or_default()
    }

    /// Serves until `stop`, then finishes what is in flight. What its user should know is given to `note`.
    pub async fn serve(self, stop: CancellationToken, note: impl Fn(&str)) {
        let application = Arc::clone(&self.application);
        let mut reporting = pin!(async move {
            match application.options.model {
                Some(_) => metadata::report(&metadata::endpoint(), || application.busy()).await.map(drop),
                None => std::future::pending().await,
            }
        });
        let mut reports = true;
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            // Without a free slot new connections wait in the kernel's queue.
            let accepted = async {
                let slot = Arc::clone(&slots).acquire_owned().await;
                (slot, self.listener.accept().await)
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
                Err(why) = &mut reporting, if reports => {
                    reports = false;
                    note(&format!("Nobody takes how busy the modelled processor is ({why}): CPUUtilization does not show it."));
                    continue;
                }
            };
            let (application, stop) = (Arc::clone(&self.application), stop.clone());
            connections.spawn(async move {
                connection(stream, application, stop).await;
                drop(slot);
            });
        }
        drop(self.listener);
        // Whoever takes longer is cut off with the process.
        let _ = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    }
}

async fn connection(stream: TcpStream, application: Arc<Application>, stop: CancellationToken) {
    // Small answers must not wait for the peer's acknowledgement; where this fails they are only later.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let application = Arc::clone(&application);
        async move { Ok::<_, Infallible>(application.answer(&request).await) }
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

impl Application {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.uri().path() != "/health" {
            let arrived = clock::instant();
            let turn = match &self.processor {
                None => Some(arrived),
                Some(processor) => locked(processor).admit(arrived, (fastrand::f64(), fastrand::f64())),
            };
            let Some(turn) = turn else {
                return self
                    .respond(StatusCode::SERVICE_UNAVAILABLE, Bytes::from_static(b"too many requests are waiting\n"));
            };
            let delay = jittered(self.options.delay, self.options.jitter, fastrand::f64());
            let pause = turn.saturating_duration_since(arrived) + delay;
            if !pause.is_zero() {
                clock::sleep(pause).await;
            }
            burn(self.options.burn);
        }
        self.respond(StatusCode::OK, self.body.clone())
    }

    /// How long the modelled processor has been busy.
    fn busy(&self) -> Duration {
        self.processor.as_ref().map_or(Duration::ZERO, |processor| locked(processor).busy(clock::instant()))
    }

    fn respond(&self, status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        response.headers_mut().insert("x-instance-id", self.instance_id.clone());
        response
    }
}

fn locked(processor: &Mutex<Processor>) -> MutexGuard<'_, Processor> {
    processor.lock().expect("no holder of the processor panics")
}

impl Model {
    fn processor(&self, instance_type: Option<&str>) -> Result<Processor, Problem> {
        let known = || instance_types::find(instance_type?).map(|known| known.vcpus);
        let vcpus = self.vcpus.or_else(known).ok_or_else(|| {
            let detail = instance_type.map_or_else(
                || "nothing says which type this instance has".to_owned(),
                |name| format!("{name} is not in the table of instance types"),
            );
            Problem::usage("Unknown number of virtual CPUs", detail).hint("give --vcpus")
        })?;
        Ok(Processor::new(self.service_time, self.distribution, vcpus))
    }
}

/// Keeps the processor busy until this thread has used so much more of it.
fn burn(time: Duration) {
    if time.is_zero() {
        return;
    }
    let end = clock::thread_cpu() + time;
    let mut state = 1_u64;
    while clock::thread_cpu() < end {
        for _ in 0..1000 {
            state = std::hint::black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
}

#[cfg(test)]
mod tests;
