//! The sample applications that instances run. The first of them is a small web server that says which instance it is, and can
//! be as slow as one wants; `object_store` and `users_and_acts` are those of two course projects.
//!
//! One thread serves: nine of them run on a laptop, and a burnt processor delays all requests as it would on one core.
//! `/health` is answered at once, so that a load that is too high shows in the latency and not as dead instances.

mod folder;
mod metadata;
pub mod object_store;
mod peer;
mod processor;
pub mod serving;
pub mod users_and_acts;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Request, Response, StatusCode};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::catalog::instance_types;
use crate::clock;
use crate::problem::{Problem, Problems};
use processor::{Processor, jittered};
use serving::{Application, Listening, Place, respond};

pub use metadata::Identity;
pub use processor::Distribution;

/// What the application is like.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
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
    application: Arc<Sample>,
}

#[derive(Debug)]
struct Sample {
    instance: HeaderValue,
    body: Bytes,
    options: Options,
    processor: Option<Mutex<Processor>>,
}

impl Server {
    /// Finds out who it is, and listens.
    ///
    /// # Errors
    /// A metadata service that does not answer, an address that cannot be bound, a type whose processors nobody knows.
    pub async fn start(place: &Place, options: Options) -> Result<Self, Problems> {
        let Listening { listener, identity, instance } = place.listen().await?;
        let processor = match options.model {
            Some(model) => Some(model.processor(identity.instance_type.as_deref())?),
            None => options.rate.map(Processor::of_rate),
        };
        let body = Bytes::from(format!("{}\n", identity.instance_id));
        let application = Sample { instance, body, processor: processor.map(Mutex::new), options };
        Ok(Self { listener, application: Arc::new(application) })
    }

    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub fn instance_id(&self) -> &str {
        self.application.instance.to_str().unwrap_or_default()
    }

    /// Serves until `stop`, then finishes what is in flight. What its user should know is given to `note`.
    pub async fn serve(self, stop: CancellationToken, note: impl Fn(&str)) {
        let application = Arc::clone(&self.application);
        let reporting = async move {
            if application.options.model.is_some()
                && let Err(why) =
                    metadata::report(&metadata::endpoint(), || application.busy(), |share| application.allow(share))
                        .await
            {
                note(&format!(
                    "Nobody takes how busy the modelled processor is ({why}): CPUUtilization does not show it."
                ));
            }
            std::future::pending().await
        };
        tokio::select! {
            () = serving::serve(self.listener, self.application, stop) => {}
            () = reporting => {}
        }
    }
}

impl Application for Sample {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
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
}

impl Sample {
    /// How long the modelled processor has been busy.
    fn busy(&self) -> Duration {
        self.processor.as_ref().map_or(Duration::ZERO, |processor| locked(processor).busy(clock::instant()))
    }

    /// From now on the modelled processor has this share of its virtual CPUs.
    fn allow(&self, share: f64) {
        if let Some(processor) = &self.processor {
            locked(processor).allow(share);
        }
    }

    fn respond(&self, status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
        respond(&self.instance, status, "text/plain", body)
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
