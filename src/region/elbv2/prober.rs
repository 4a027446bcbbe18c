//! Makes the health checks that the model asks for: one GET on a connection of its own, closed after it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::clock::speed;
use crate::region::driver::Region;
use crate::region::signal::{Probe, ProbeOutcome, Signal};

/// Health checks under way at once; further ones wait for their turn.
const AT_ONCE_MAX: usize = 256;
/// How long a target has for its answer at least, however fast the region's time runs: what answers is a real process.
const TIMEOUT_MIN: Duration = Duration::from_millis(500);

/// Makes health checks until `stop` is cancelled.
pub async fn run(region: Arc<Region>, mut probes: mpsc::UnboundedReceiver<Probe>, stop: CancellationToken) {
    let turns = Arc::new(Semaphore::new(AT_ONCE_MAX));
    loop {
        let probe = tokio::select! {
            probe = probes.recv() => probe,
            () = stop.cancelled() => return,
        };
        let (Some(probe), Ok(turn)) = (probe, Arc::clone(&turns).acquire_owned().await) else { return };
        let region = Arc::clone(&region);
        let stop = stop.clone();
        tokio::spawn(async move {
            let _turn = turn;
            let outcome = tokio::select! {
                outcome = tokio::time::timeout(speed::wall(probe.timeout).max(TIMEOUT_MIN), ask(&probe)) => outcome,
                () = stop.cancelled() => return,
            };
            let outcome = match outcome {
                Ok(Ok(status)) => ProbeOutcome::Status(status),
                Ok(Err(error)) => ProbeOutcome::Failed(error.to_string()),
                Err(_) => ProbeOutcome::Timeout,
            };
            let Probe { target_group, instance, port, .. } = probe;
            region.signal(Signal::ProbeResult { target_group, instance, port, outcome });
        });
    }
}

/// The status that the target answers with; its body is not looked at.
async fn ask(probe: &Probe) -> Result<u16, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(probe.address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(probe.path.as_str())
        .header(HOST, probe.address.to_string())
        .header(USER_AGENT, "ELB-HealthChecker/2.0")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request);
    let mut answer = std::pin::pin!(answer);
    let mut connection = std::pin::pin!(connection);
    let status = tokio::select! {
        answer = answer.as_mut() => answer?.status(),
        // The connection may end in the same moment in which the answer is there.
        _ = connection.as_mut() => answer.await?.status(),
    };
    Ok(status.as_u16())
}
