//! The data plane of the load balancers: a real HTTP/1.1 reverse proxy, behind TLS where a listener speaks HTTPS. There it takes
//! HTTP/2, too, each of whose requests passes as one of HTTP/1.1.
//!
//! One loop follows the model: when its revision moves, it takes the new routing, opens and closes sockets, and swaps
//! each listener's table. Requests are served on threads of their own (`workers`), so that a busy region does not slow
//! them, and touch nothing of the loop's but a table and atomics. Every second the loop empties the meters.
//!
//! ```text
//! listener ── accepts (secure: TLS) ──> connection ── one request after the other (http2: side by side, a connection each)
//!                           │  head       reads a head in place: limits, framing, what concerns one connection
//!                           │  decision   rules → target group → target, or an answer of our own (answers, cookies)
//!                           │  rewrite    the head as it goes on
//!                           └─ exchange   both directions at once: two flows, each a buffer and a framing (decoder)
//!                                └─ target   kept connections, requests in flight, meters: a lane for each thread
//! ```

mod access_log;
mod answers;
mod buffer;
mod caller;
mod connection;
mod cookies;
mod decision;
mod exchange;
mod flow;
mod framing;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod head;
mod http2;
mod http2_heads;
mod http2_stream;
mod lane;
mod length;
mod listener;
mod listening;
mod log_files;
mod logging;
mod meters;
mod rewrite;
mod secure;
mod stream;
mod table;
mod target;
mod timer;
mod workers;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddrV4, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use self::lane::LaneIndex;
use self::listening::Listening;
use self::log_files::LogFiles;
use self::meters::{Counted, Drained, TargetLabels, network};
use self::secure::Certificates;
use self::table::{Live, Table};
use self::workers::Workers;
use crate::clock::{self, speed};
use crate::platform::processes;
use crate::region::driver::{Region, Routed};
use crate::region::metric::minute_of;
use crate::region::signal::Signal;

/// Descriptors that the process may want to have open.
const DESCRIPTORS: u64 = 65_536;
const MINUTE: Duration = Duration::from_secs(60);
/// How often meters are emptied, closed sockets are tried again and idle connections are looked through: so often by the
/// wall, and several times in a minute of a region whose time runs faster.
const TICK: Duration = Duration::from_secs(1);
const TICKS_PER_MINUTE: u32 = 6;
/// How often a target group without requests tells so, in region time: scaling in needs to know.
const IDLE_EVERY: Duration = Duration::from_secs(15);
/// How soon a draining target is looked at again while a request may still be on its way to it.
const SOON: Duration = Duration::from_millis(2);

/// Whether this process may bind ports below 1024. Tried on an address of its own, which nobody else can have taken.
pub fn low_ports_allowed() -> bool {
    let [.., high, low] = std::process::id().to_be_bytes();
    TcpListener::bind(SocketAddrV4::new([127, 32, high, low].into(), 80)).is_ok()
}

/// Starts to serve the region's listeners, until `stop` is cancelled.
///
/// # Errors
/// When the threads cannot be started.
pub fn start(region: Arc<Region>, home: &Path, stop: &CancellationToken) -> io::Result<tokio::task::JoinHandle<()>> {
    // Every request takes two sockets; the usual soft limit of 1024 descriptors is soon reached.
    processes::allow_descriptors(DESCRIPTORS);
    region.signal(Signal::LowPorts { allowed: low_ports_allowed() });
    let workers = Workers::start(stop)?;
    let files = LogFiles::new(home.to_owned(), clock::now());
    Ok(tokio::spawn(run(region, Certificates::of(home.to_owned()), files, workers, stop.clone())))
}

async fn run(
    region: Arc<Region>,
    certificates: Certificates,
    files: LogFiles,
    workers: Workers,
    stop: CancellationToken,
) {
    let mut changes = region.subscribe();
    let mut plane = Plane {
        region,
        stop: stop.clone(),
        live: Live::new(workers.handles.len(), certificates),
        workers: workers.handles.clone(),
        open: HashMap::new(),
        retired: Vec::new(),
        revision: None,
        idle_told: clock::now(),
        minute: minute_of(clock::now()),
        emptied: clock::now(),
        files,
    };
    let drained = Arc::clone(&plane.live.drained);
    let mut next_tick = next_tick();
    while !stop.is_cancelled() {
        let generation = *changes.borrow_and_update();
        plane.follow();
        let left = next_tick.saturating_duration_since(clock::instant());
        let wait_for = if plane.report_idle(generation) { left } else { SOON.min(left) };
        tokio::select! {
            () = stop.cancelled() => {}
            // The region outlives the plane, which holds it; so the sender is never gone.
            _ = changes.changed() => {}
            () = drained.notified() => {}
            () = clock::sleep(wait_for) => {}
        }
        if clock::instant() >= next_tick {
            plane.tick();
            plane.write_logs(false).await;
            next_tick = self::next_tick();
        }
    }
    plane.region.routes(None);
    if tokio::task::spawn_blocking(move || workers.join()).await.is_err() {
        tracing::error!("the proxy's threads could not be waited for");
    }
    plane.write_logs(true).await;
}

/// When the meters are emptied next; at the end of a minute, so that each has its own counts.
fn next_tick() -> Instant {
    let now = clock::now();
    let minute_left = Duration::try_from((minute_of(now) + MINUTE).duration_since(now)).unwrap_or(MINUTE);
    clock::instant() + speed::wall(minute_left).min(TICK.min(speed::wall(MINUTE) / TICKS_PER_MINUTE))
}

/// The loop's state.
struct Plane {
    region: Arc<Region>,
    stop: CancellationToken,
    workers: Vec<Handle>,
    live: Live,
    /// By the listener's ARN.
    open: HashMap<String, Socket>,
    /// Tables that were replaced, while a request may still pick from them.
    retired: Vec<Arc<Table>>,
    revision: Option<u64>,
    /// When groups without requests last told so.
    idle_told: Timestamp,
    minute: Timestamp,
    emptied: Timestamp,
    files: LogFiles,
}

/// A listener's socket; `None` while it cannot be bound.
struct Socket {
    address: SocketAddrV4,
    listening: Option<Arc<Listening>>,
}

impl Plane {
    /// Takes the routing, if it is a new one.
    fn follow(&mut self) {
        let known = self.revision;
        let news = self.region.read(|world| {
            let elbv2 = &world.services.elbv2;
            (known != Some(elbv2.revision())).then(|| (elbv2.revision(), elbv2.routing()))
        });
        let Some((revision, routing)) = news else { return };
        self.revision = Some(revision);
        // What was counted for those that the new routing forgets would be lost.
        self.empty_meters(false);
        let mut before = std::mem::take(&mut self.open);
        for table in self.live.tables(routing) {
            let address = table.routes.address;
            let arn = table.routes.arn.clone();
            let same = before.remove(&arn).and_then(|socket| match socket.listening {
                Some(listening) if socket.address == address => Some(listening),
                moved => {
                    self.retired.extend(moved.map(|listening| listening.remove()));
                    None
                }
            });
            let listening = match same {
                Some(listening) => {
                    self.retired.push(listening.replace(table));
                    Some(listening)
                }
                None => self.open_socket(address, table),
            };
            self.open.insert(arn, Socket { address, listening });
        }
        for removed in before.into_values().filter_map(|socket| socket.listening) {
            self.retired.push(removed.remove());
        }
    }

    /// Binds a listener's socket; tells the model where that fails.
    fn open_socket(&self, address: SocketAddrV4, table: Arc<Table>) -> Option<Arc<Listening>> {
        let listener = table.routes.arn.clone();
        match self.bind(address, table) {
            Ok(listening) => {
                self.region.signal(Signal::ListenerServed { listener, problem: None });
                Some(listening)
            }
            Err(error) => {
                let problem = Some(format!("The embedded region cannot listen on {address}: {error}"));
                self.region.signal(Signal::ListenerServed { listener, problem });
                None
            }
        }
    }

    fn bind(&self, address: SocketAddrV4, table: Arc<Table>) -> io::Result<Arc<Listening>> {
        let socket = TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        let listening = Arc::new(Listening::new(table, self.stop.child_token()));
        for (lane, worker) in self.workers.iter().enumerate() {
            let (socket, listening) = (socket.try_clone()?, Arc::clone(&listening));
            worker.spawn(async move {
                match tokio::net::TcpListener::from_std(socket) {
                    Ok(socket) => listening.accept(socket, LaneIndex(lane)).await,
                    Err(error) => tracing::error!(%error, "a socket could not be watched"),
                }
            });
        }
        Ok(listening)
    }

    /// Tells the model which draining targets are idle, and that it routes as the world of this generation wants. `false`
    /// while a request may still be on its way to another target.
    fn report_idle(&mut self, generation: u64) -> bool {
        self.retired.retain(|table| Arc::strong_count(table) > 1);
        if !self.retired.is_empty() {
            return false;
        }
        self.region.routes(Some(Routed { generation, busy: self.live.busy() }));
        for (target_group, id) in self.live.idle_draining() {
            self.region.signal(Signal::TargetIdle { target_group, instance: id.instance, port: id.port });
        }
        true
    }

    fn tick(&mut self) {
        self.empty_meters(true);
        let now = clock::instant();
        for target in self.live.targets() {
            target.reap(now);
        }
        let closed: Vec<String> =
            self.open.iter().filter(|(_, socket)| socket.listening.is_none()).map(|(arn, _)| arn.clone()).collect();
        if !closed.is_empty() {
            for arn in closed {
                self.open.remove(&arn);
            }
            // The next look takes the routing again and tries to bind what is missing.
            self.revision = None;
        }
    }

    /// Takes the lines of the access logs, and writes the files whose time has come.
    async fn write_logs(&mut self, at_end: bool) {
        for front in self.live.fronts() {
            let lines = front.take_lines();
            if let Some(place) = self.live.logs.get(&front.load_balancer) {
                self.files.add(&front.load_balancer, place, &lines);
            }
        }
        let due = self.files.due(clock::now(), at_end, fastrand::u64(..));
        if due.is_empty() {
            return;
        }
        let write = move || due.into_iter().for_each(log_files::File::write);
        if tokio::task::spawn_blocking(write).await.is_err() {
            tracing::error!("access logs could not be written");
        }
    }

    fn empty_meters(&mut self, at_tick: bool) {
        let time = std::mem::replace(&mut self.emptied, clock::now());
        let minute = minute_of(self.emptied);
        let minute_ends = at_tick && minute != self.minute;
        let tells_idle = at_tick && self.emptied >= self.idle_told + IDLE_EVERY;
        if tells_idle {
            self.idle_told = self.emptied;
        }
        let mut drained = Drained::new(speed::speed());
        let mut measured = Vec::new();
        // By the target group's ARN: all its zones, and each.
        let mut counted: HashMap<(&str, Option<&str>), Counted> = HashMap::new();
        for target in self.live.targets() {
            let Some(group) = self.live.group(&target.group) else { continue };
            for meter in target.lanes.iter().map(|lane| &lane.meter) {
                for (total, meter) in [(&target.minute.0, &meter.bytes_in), (&target.minute.1, &meter.bytes_out)] {
                    total.fetch_add(meter.swap(0, Relaxed), Relaxed);
                }
            }
            let labels = TargetLabels {
                load_balancer: &group.routes.load_balancer,
                target_group: &group.routes.full_name,
                zone: &target.route.zone,
            };
            let of_target: u64 = target.lanes.iter().map(|lane| drained.target(&lane.meter, labels)).sum();
            for zone in [None, Some(target.route.zone.as_str())] {
                counted.entry((&target.group, zone)).or_default().requests += of_target;
            }
            if minute_ends {
                let bytes = (target.minute.0.swap(0, Relaxed), target.minute.1.swap(0, Relaxed));
                measured.extend(network(&target.id.instance, self.minute, bytes, speed::speed()));
            }
        }
        for group in self.live.groups() {
            let (load_balancer, full_name) = (&group.routes.load_balancer, &group.routes.full_name);
            for (zone, targets) in group.rotation_sizes() {
                let requests = counted.get(&(group.routes.arn.as_str(), zone)).map_or(0, |counted| counted.requests);
                if requests > 0 || tells_idle {
                    drained.per_target(load_balancer, full_name, zone, Counted { requests, targets });
                }
            }
        }
        for front in self.live.fronts() {
            let meter = front.drain();
            front.count_minute(&meter);
            drained.front(&meter, &front.load_balancer, &front.zone);
            if minute_ends {
                let open = meter.active_connections.load(Relaxed);
                drained.active_connections(open, &front.load_balancer, &front.zone);
                drained.capacity_units(&front.load_balancer, &front.end_minute());
            }
        }
        measured.extend(drained.measurements(time));
        if minute_ends {
            self.minute = minute;
        }
        if !measured.is_empty() {
            self.region.signal(Signal::Measurements(measured));
        }
    }
}
