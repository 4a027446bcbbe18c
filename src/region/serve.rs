//! The region as a process: claims its home, its port and its block of addresses, starts every shell, and on SIGTERM or
//! Ctrl-C ends every instance before itself.

use std::fmt::Display;
use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;

use super::addresses::{BLOCKS, claim_address};
use super::callers::Callers;
use super::daemon::{Record, lock_file, open_lock, record_file};
use super::delays::Delays;
use super::driver::Region;
use super::ec2::processes::Processes;
use super::ec2::processes::limits::Limits;
use super::ec2::processes::share::Holder;
use super::elbv2::{prober, proxy};
use super::faults::model::Model;
use super::faults::rules::Faults;
use super::server::{self, Endpoint};
use super::signal::Signal;
use super::state::{self, Header, Journal, Loaded};
use super::world::World;
use crate::clock;
use crate::clock::speed::{self, Scale};
use crate::platform::region_refused;
use crate::platform::signals::EndRequests;
use crate::problem::Problem;
use crate::stack::local::Local;

/// Where the endpoint is when the port is free: the port of other emulators, which users know.
pub const PORT: u16 = 4566;
/// The UDP port that a block of addresses is claimed by.
const CLAIM_PORT: u16 = 4566;
/// The region's name, until its first caller signs for another.
const REGION: &str = "us-east-1";

/// How a region serves.
#[derive(Debug, Default)]
pub struct Options {
    /// Without one, [`PORT`] where it is free, else any.
    pub port: Option<u16>,
    pub faults: Option<Faults>,
    /// `None`: as it ran before, or with the defaults.
    pub local: Option<Local>,
    /// Whether every user of the machine may call it.
    pub allow_users: bool,
    pub limits: Limits,
}

/// Serves until SIGTERM or Ctrl-C; calls `ready` as soon as clients may come.
pub async fn serve(
    home: &Path,
    Options { port, faults, local, allow_users, limits }: Options,
    ready: impl FnOnce(&Record),
) -> Result<(), Problem> {
    if let Some(problem) = region_refused() {
        return Err(problem);
    }
    let failed =
        |what: &str, error: std::io::Error| Problem::new("The region does not start", format!("{what}: {error}"));
    std::fs::create_dir_all(home).map_err(|error| failed(&home.display().to_string(), error))?;
    let home = &home.canonicalize().map_err(|error| failed(&home.display().to_string(), error))?;
    // Held until the process ends, however it ends: whoever waits for this lock waits for our end.
    let _lock = claim_home(home)?;
    let program = std::env::current_exe().map_err(|error| failed("this program's path", error))?;
    let mut end = EndRequests::listen().map_err(|error| failed("signals", error))?;
    let started = clock::now();
    let Ground { header, world, listener, claim: _claim, restored, set_aside } =
        ground(home, port, local, started).await?;
    let address = listener.local_addr().map_err(|error| failed("the endpoint's address", error))?;
    let (block, local) = (header.block, header.local);
    // From here on the region's time may run faster than the wall's.
    let scale = Scale { wall: started, region: header.time, speed: local.speed };
    speed::follow(scale);
    let journal = Journal::begin(home, header, &world).map_err(|error| failed("its state cannot be kept", error))?;
    let (region, outward) = Region::kept(world, Some(journal));
    let region = Arc::new(region);
    let stop = CancellationToken::new();
    let (callers, open_to_all) = callers(allow_users);
    if restored {
        region.signal(Signal::HostFailed);
    }
    let holder = local.core_share.map(Holder::new);
    let core_share = holder.as_ref().map(Holder::status);
    let processes = Processes::new(Arc::clone(&region), Arc::clone(&callers), home, program, (limits, holder));
    let processes = Arc::new(processes);
    let instances = tokio::spawn(Arc::clone(&processes).run(outward.processes, stop.clone()));
    let mut time = {
        let region = Arc::clone(&region);
        tokio::spawn(async move { region.run().await })
    };
    let prober = tokio::spawn(prober::run(Arc::clone(&region), outward.probes, stop.clone()));
    let proxy =
        proxy::start(Arc::clone(&region), home, &stop).map_err(|error| failed("the load balancers' proxy", error))?;
    let record = Record {
        endpoint: format!("http://{address}"),
        pid: std::process::id(),
        started,
        region_started: scale.region,
        restored,
        set_aside,
        local,
        faults: faults.as_ref().map(|faults| faults.file.clone()),
        open_to_all,
        limits,
        core_share,
    };
    let health = record.health(home);
    let faults = faults.map(|faults| Mutex::new(Model::new(faults)));
    let endpoint = Arc::new(Endpoint {
        region: Arc::clone(&region),
        callers,
        processes: Some(Arc::clone(&processes)),
        home: home.clone(),
        health,
        faults,
    });
    let endpoint = tokio::spawn(server::serve(listener, endpoint, stop.clone()));

    record.write(home).map_err(|error| failed(&record_file(home).display().to_string(), error))?;
    ready(&record);
    tracing::info!(endpoint = record.endpoint, block, "serving");
    let failure = tokio::select! {
        () = end.next() => None,
        message = region.failed() => Some(message),
        _ = &mut time => Some("the task that lets time pass has ended".to_owned()),
    };
    let failure = failure.map(|message| failure_of(&region, home, &message));
    tracing::info!("stopping");
    stop.cancel();
    let _ = instances.await;
    let _ = endpoint.await;
    let _ = prober.await;
    let _ = proxy.await;
    time.abort();
    // A record that cannot be removed is stale: readers ask the endpoint.
    let _ = std::fs::remove_file(record_file(home));
    failure.map_or(Ok(()), Err)
}

/// Who may call; where that is every user, why.
fn callers(allow_users: bool) -> (Arc<Callers>, Option<String>) {
    let (callers, open_to_all) = match allow_users {
        true => (Callers::All, Some("it was started with --allow-users".to_owned())),
        false => Callers::own_user(),
    };
    if let Some(reason) = &open_to_all {
        tracing::warn!(reason, "processes of every user of this machine may call");
    }
    (Arc::new(callers), open_to_all)
}

/// What a region that failed is remembered by, in its home.
const FAILED_STATE: &str = "failed-state.txt";

/// Keeps the state of a region that failed, and says where.
fn failure_of(region: &Region, home: &Path, message: &str) -> Problem {
    let path = home.join(FAILED_STATE);
    let kept = std::fs::write(&path, format!("{message}\n\n{}\n", region.state()));
    tracing::error!(message, "the region met a mistake in its own code and stops");
    let problem = Problem::new("The region failed", format!("a mistake in its own code: {message}"));
    match kept {
        Ok(()) => problem.hint(format!("{} has its state; please report it with `local logs`", path.display())),
        Err(error) => problem.hint(format!("its state could not be kept in {}: {error}", path.display())),
    }
}

/// The lock of the home: one region each.
fn claim_home(home: &Path) -> Result<File, Problem> {
    let path = lock_file(home);
    let failed =
        |error: std::io::Error| Problem::new("The region does not start", format!("{}: {error}", path.display()));
    let mut file = open_lock(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {
            // Whoever finds that we do not answer knows by it whom to end.
            file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(failed)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let detail = format!("another region of {} is running", home.display());
            Err(Problem::new("The region runs already", detail).hint("`cloudscale local status` shows it"))
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// What a region stands on when it starts.
struct Ground {
    header: Header,
    world: World,
    listener: TcpListener,
    /// Of its block of addresses.
    claim: UdpSocket,
    /// Whether the world is that of an earlier process.
    restored: bool,
    /// What was left but could not be read: where it lies, and why.
    set_aside: Option<String>,
}

/// The world that an earlier process of the home left, on the same addresses; a new one where there was none.
async fn ground(home: &Path, port: Option<u16>, local: Option<Local>, now: Timestamp) -> Result<Ground, Problem> {
    let failed = |what: &str, error: &dyn Display| {
        Problem::new("The region does not start", format!("{what}: {error}"))
            .hint("`cloudscale local reset` forgets what was in the region")
    };
    let (kept, set_aside) = match state::load(home, now).map_err(|error| failed("its state", &error))? {
        Loaded::World(header, world) => (Some((header, *world)), None),
        Loaded::SetAside(place, why) => (None, Some(format!("{} ({why})", place.display()))),
        Loaded::Nothing => (None, None),
    };
    let (block, claim) =
        claim_block(kept.as_ref().map_or_else(|| usual_block(home), |(header, _)| header.block)).await?;
    if kept.as_ref().is_some_and(|(header, _)| header.block != block) {
        return Err(failed("another region has the addresses of its instances", &"stop that one first"));
    }
    let wanted = kept.as_ref().filter(|_| port.is_none()).map(|(header, _)| header.port);
    let listener = match wanted {
        Some(known) => match listen(Some(known)).await {
            Err(_) => listen(None).await,
            listening => listening,
        },
        None => listen(port).await,
    }?;
    let port = listener.local_addr().map_err(|error| failed("the endpoint's address", &error))?.port();
    let local = local.or(kept.as_ref().map(|(header, _)| header.local)).unwrap_or_default();
    // A region's time never goes back, and is otherwise that of the wall.
    let time = kept.as_ref().map_or(now, |(header, _)| header.time.max(now));
    let restored = kept.is_some();
    let world = kept.map_or_else(|| World::new(REGION, fastrand::u64(..)).in_block(block), |(_, world)| world);
    let world = world.with_delays(Delays::of(local));
    Ok(Ground { header: Header::new(block, port, local, time), world, listener, claim, restored, set_aside })
}

/// The block that a home has where it is free, so that it is free when the home's region starts again.
fn usual_block(home: &Path) -> u8 {
    let hash = home.as_os_str().as_encoded_bytes().iter().fold(0_u8, |hash, byte| hash.wrapping_mul(31) ^ byte);
    hash % BLOCKS
}

/// A block of addresses that no other region of this machine has, `first` where it is free: the kernel gives a UDP port to
/// one process only, and takes it back when the process ends.
async fn claim_block(first: u8) -> Result<(u8, UdpSocket), Problem> {
    for block in (0..BLOCKS).map(|next| (first + next) % BLOCKS) {
        if let Ok(claim) = UdpSocket::bind((claim_address(block), CLAIM_PORT)).await {
            return Ok((block, claim));
        }
    }
    let detail = format!("{BLOCKS} embedded regions run on this machine; there are addresses for no more");
    Err(Problem::new("Too many regions", detail).hint("stop one: `CLOUDSCALE_HOME=… cloudscale local stop`"))
}

/// The wanted port; without one, [`PORT`] or any that is free.
async fn listen(port: Option<u16>) -> Result<TcpListener, Problem> {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(PORT)));
    match (TcpListener::bind(wanted).await, port) {
        (Ok(listener), _) => Ok(listener),
        (Err(error), Some(_)) => {
            let detail = format!("{wanted} cannot be bound: {error}");
            Err(Problem::new("The port is taken", detail).hint("leave out --port to take any that is free"))
        }
        (Err(_), None) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(|error| Problem::new("The region does not start", format!("no port is free: {error}"))),
    }
}
