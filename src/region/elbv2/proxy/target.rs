//! One target as the proxy knows it: what it has in flight, its counts, and its kept-alive connections.
//!
//! Each serving thread has a [`Lane`] of its own in every target, so that threads never wait for each other: a connection
//! belongs to the thread that opened it, and counts are added up once a second.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::super::routing::TargetRoute;
use super::super::target::TargetId;
use super::lane::LaneIndex;
use super::meters::TargetMeter;

/// How long a target may take to accept a connection; then the answer is 504 (user guide, "HTTP 504: Gateway timeout").
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle connections that a thread keeps for one target.
const IDLE_MAX: usize = 256;
/// How long a connection may be idle.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// It lives as long as the target is registered.
#[derive(Debug)]
pub struct Target {
    /// ARN of its target group.
    pub group: String,
    pub id: TargetId,
    pub route: TargetRoute,
    /// What a stickiness cookie says of it.
    pub tag: String,
    pub lanes: Box<[Lane]>,
    /// Bytes of the clock minute that runs, moved here from the meters.
    pub minute: (AtomicU64, AtomicU64),
    draining: AtomicBool,
    /// It was deregistered and its time is up: what is in flight ends now.
    cut: AtomicBool,
    /// Told when a draining target has less in flight.
    drained: Arc<Notify>,
}

/// A serving thread's part of a target; on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Lane {
    pub meter: TargetMeter,
    in_flight: AtomicUsize,
    /// Locked by its thread, and once a second to look through it.
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    stream: TcpStream,
    since: Instant,
}

/// A request in flight to a target.
#[derive(Debug)]
pub struct InFlight {
    pub target: Arc<Target>,
    lane: LaneIndex,
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// The target refused it, or the network did.
    Refused,
    Timeout,
}

impl Target {
    pub fn new(group: &str, route: TargetRoute, lanes: usize, drained: Arc<Notify>) -> Self {
        Self {
            group: group.to_owned(),
            id: route.id.clone(),
            tag: tag(&format!("{}:{}", route.id.instance, route.id.port)),
            route,
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            minute: Default::default(),
            draining: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            drained,
        }
    }

    pub fn in_flight(&self) -> usize {
        self.lanes.iter().map(|lane| lane.in_flight.load(Ordering::SeqCst)).sum()
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Whether the target takes no new requests. One that does not keeps no idle connections either.
    pub fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::SeqCst);
        if draining {
            self.lanes.iter().for_each(|lane| lane.idle().clear());
        }
    }

    /// The routing does not name it any more. One that was draining has had its time: an exchange looks at this now and
    /// then, and ends.
    pub fn leave(&self) {
        self.cut.store(self.draining.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// Closes connections that were idle for too long or that the target has closed.
    pub fn reap(&self, now: Instant) {
        for lane in &self.lanes {
            lane.idle().retain(|idle| now.duration_since(idle.since) < IDLE_TIMEOUT && is_open(&idle.stream));
        }
    }
}

impl Lane {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the other side has neither closed an idle connection nor said anything on it, as far as the thread has heard.
fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

impl InFlight {
    pub fn new(target: Arc<Target>, lane: LaneIndex) -> Self {
        target.lanes[lane.0].in_flight.fetch_add(1, Ordering::SeqCst);
        Self { target, lane }
    }

    /// Whether the target's deregistration delay is over.
    pub fn is_cut(&self) -> bool {
        self.target.cut.load(Ordering::Relaxed)
    }

    pub fn meter(&self) -> &TargetMeter {
        &self.target.lanes[self.lane.0].meter
    }

    /// A connection that still seems to be open; the one that was used last, as it is the least likely to be closed.
    pub fn kept_connection(&self) -> Option<TcpStream> {
        let mut idle = self.target.lanes[self.lane.0].idle();
        while let Some(Idle { stream, .. }) = idle.pop() {
            if is_open(&stream) {
                return Some(stream);
            }
        }
        None
    }

    /// A new connection.
    ///
    /// # Errors
    /// Why there is none; it is counted.
    pub async fn connect(&self) -> Result<TcpStream, ConnectFailure> {
        let failure = match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(self.target.route.address)).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(_)) => ConnectFailure::Refused,
            Err(_) => ConnectFailure::Timeout,
        };
        self.meter().connection_errors.fetch_add(1, Ordering::Relaxed);
        Err(failure)
    }

    /// Puts a connection back, on which both request and response have ended.
    pub fn keep(&self, stream: TcpStream, since: Instant) {
        if self.target.draining.load(Ordering::Relaxed) {
            return;
        }
        let mut idle = self.target.lanes[self.lane.0].idle();
        if idle.len() < IDLE_MAX {
            idle.push(Idle { stream, since });
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.target.lanes[self.lane.0].in_flight.fetch_sub(1, Ordering::SeqCst);
        if self.target.draining.load(Ordering::SeqCst) {
            self.target.drained.notify_one();
        }
    }
}

/// FNV-1a: a cookie needs to tell targets apart, not to keep a secret.
pub fn tag(text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::super::super::routing::Standing;
    use super::*;

    #[tokio::test]
    async fn a_connection_is_closed_when_it_was_idle_for_as_long_as_it_may_be() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let std::net::SocketAddr::V4(address) = listener.local_addr().unwrap() else { panic!("no IPv4") };
        let id = TargetId { instance: "i-1".to_owned(), port: address.port() };
        let (zone, standing) = ("us-east-1a".to_owned(), Standing::Healthy);
        let route = TargetRoute { id, address, zone, standing, healthy_since: None };
        let in_flight = InFlight::new(Arc::new(Target::new("a", route, 1, Arc::default())), LaneIndex(0));
        let stream = in_flight.connect().await.unwrap();
        let _accepted = listener.accept().await.unwrap();
        let since = crate::clock::instant();
        in_flight.keep(stream, since);
        let kept = || in_flight.target.lanes[0].idle().len();
        in_flight.target.reap(since + IDLE_TIMEOUT.checked_sub(Duration::from_nanos(1)).unwrap());
        assert_eq!(kept(), 1);
        in_flight.target.reap(since + IDLE_TIMEOUT);
        assert_eq!(kept(), 0);
    }
}
