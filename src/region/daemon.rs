//! The region in the background: start it when it is not there, find it, stop it.
//!
//! The region's process holds a lock on its home as long as it lives, so its end can be waited for and a stale record
//! does no harm. Whoever starts it holds a second lock meanwhile: of two starts at once, one finds the other's region.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::ec2::processes as instances;
use super::ec2::processes::limits::{self, Limits};
use super::{log, state};
use crate::clock;
use crate::clock::speed::{self, Scale};
use crate::platform::processes::{self, End};
use crate::platform::region_refused;
use crate::problem::Problem;
use crate::stack::local::{Local, Profile};

/// How long a start may take before it counts as failed.
const START_MAX: Duration = Duration::from_secs(20);
/// How long a graceful stop may take: every instance has its own bound below.
const STOP_MAX: Duration = Duration::from_secs(30);
/// How long one question after its health may take.
const HEALTH_MAX: Duration = Duration::from_secs(2);
/// How often, and how many times, a process that lives but does not answer is asked again: the machine may be busy.
const ASK_EVERY: Duration = Duration::from_millis(50);
const ASKS_MAX: u32 = 5;
/// The environment that a region takes over from who starts it. Whatever else there is may be a credential.
const KEPT: [&str; 14] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "CLOUDSCALE_HOME",
    "XDG_STATE_HOME",
    "LD_LIBRARY_PATH",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "LLVM_PROFILE_FILE",
];
/// How much of the region's log a failed start shows.
const LOG_LINES: usize = 10;

/// `region.json`: where the region of a home is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// `http://127.0.0.1:4566`
    pub endpoint: String,
    pub pid: u32,
    pub started: Timestamp,
    /// The same moment in the region's time.
    pub region_started: Timestamp,
    /// Whether it goes on from what an earlier process left.
    #[serde(default)]
    pub restored: bool,
    /// What an earlier process left but could not be read: where it lies now, and why.
    #[serde(default)]
    pub set_aside: Option<String>,
    /// The file of the faults that it injects.
    #[serde(default)]
    pub faults: Option<PathBuf>,
    /// How fast its time goes, and how long things take.
    #[serde(default)]
    pub local: Local,
    /// Why every user of the machine may call it; where there is no reason, its own user and root may.
    #[serde(default)]
    pub open_to_all: Option<String>,
    /// What each instance may take.
    #[serde(default)]
    pub limits: Limits,
    /// What holds instances to their share of a core.
    #[serde(default)]
    pub core_share: Option<CoreShareStatus>,
}

/// A share of a core that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreShareStatus {
    /// `5%` of a core for a virtual CPU.
    pub share: String,
    /// `cgroup`, or `slices` in which processes are stopped and continued.
    pub by: String,
}

/// How a region is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Without one, [`PORT`](super::serve::PORT) where it is free, else any.
    pub port: Option<u16>,
    /// A file of faults to inject.
    pub faults: Option<&'a Path>,
    /// How it is to run; `None`: as it runs, or with the defaults.
    pub local: Option<Local>,
    /// Whether every user of the machine may call it.
    pub allow_users: bool,
    /// What each instance may take; `None`: as it runs, or with the defaults.
    pub limits: Option<Limits>,
}

/// A running region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    pub endpoint: String,
    pub pid: u32,
    pub local: Local,
    /// Whether this call started it.
    pub started: bool,
    /// Whether it goes on from what an earlier process left.
    pub restored: bool,
    /// What was left but could not be read.
    pub set_aside: Option<String>,
    /// As in the [`Record`].
    pub open_to_all: Option<String>,
}

/// `local status --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub running: bool,
    pub endpoint: Option<String>,
    pub pid: Option<u32>,
    /// Whether a process holds the home and does not answer.
    pub hangs: bool,
    /// Whether there is something that the next start goes on from.
    pub has_state: bool,
    pub home: PathBuf,
    /// What holds instances apart.
    pub isolation: &'static str,
    /// How much faster than the wall clock time passes.
    pub speed: u32,
    /// How long things take.
    pub delays: Profile,
    /// From an instance's launch until its user data begins, in seconds, where that is not the profile's.
    pub boot_seconds: Option<u64>,
    /// What a virtual CPU has of a core, and what holds instances to it; null where nothing does.
    pub core_share: Option<CoreShareStatus>,
    /// The file of the faults that it injects.
    pub faults: Option<PathBuf>,
    /// Why every user of the machine may call it; its own user and root only where this is null.
    pub open_to_all: Option<String>,
    /// Processes of its instances that are there although it is not: it was killed together with their first processes.
    pub left_processes: usize,
}

impl Status {
    /// Whether a start would find something: what was left, or a region that hangs, which it tells of.
    pub fn may_start(&self) -> bool {
        self.has_state || self.hangs
    }
}

/// `$CLOUDSCALE_HOME`, or `cloudscale` in the XDG state folder.
pub fn default_home() -> Result<PathBuf, Problem> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = variable("CLOUDSCALE_HOME")
        .or_else(|| variable("XDG_STATE_HOME").map(|state| state.join("cloudscale")))
        .or_else(|| variable("HOME").map(|home| home.join(".local/state/cloudscale")));
    let absolute = home.and_then(|home| std::path::absolute(home).ok());
    absolute.ok_or_else(|| {
        Problem::usage("No home", "neither CLOUDSCALE_HOME nor HOME says where the embedded region keeps its files")
            .hint("set CLOUDSCALE_HOME to a folder")
    })
}

pub fn record_file(home: &Path) -> PathBuf {
    home.join("region.json")
}

/// Locked while the region lives.
pub fn lock_file(home: &Path) -> PathBuf {
    home.join("region.lock")
}

impl Record {
    fn daemon(self, started: bool) -> Daemon {
        let Self { endpoint, pid, local, open_to_all, restored, set_aside, .. } = self;
        Daemon { endpoint, pid, local, started, restored, set_aside, open_to_all }
    }

    /// Written whole or not at all.
    pub fn write(&self, home: &Path) -> io::Result<()> {
        let unfinished = home.join("region.json.new");
        std::fs::write(&unfinished, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(unfinished, record_file(home))
    }

    /// How its time follows from the wall's.
    pub fn scale(&self) -> Scale {
        Scale { wall: self.started, region: self.region_started, speed: self.local.speed }
    }

    /// What the endpoint says about its health.
    pub fn health(&self, home: &Path) -> serde_json::Value {
        serde_json::json!({
            "status": "running",
            "version": env!("CARGO_PKG_VERSION"),
            "pid": self.pid,
            "home": home,
            "services": {
                "autoscaling": "running", "cloudwatch": "running", "ec2": "running", "elbv2": "running",
                "ssm": "running", "sts": "running",
            },
        })
    }
}

/// The home's running region: the record is believed only when the endpoint says that it is that process. This process has
/// its time from then on.
pub async fn find(home: &Path) -> Option<Record> {
    let record: Record = serde_json::from_slice(&std::fs::read(record_file(home)).ok()?).ok()?;
    for _ in 0..ASKS_MAX {
        let asked = tokio::select! {
            pid = health_pid(&record.endpoint) => pid,
            () = clock::sleep(HEALTH_MAX) => None,
        };
        if asked == Some(u64::from(record.pid)) {
            speed::follow(record.scale());
            return Some(record);
        }
        if asked.is_some() || !is_alive(record.pid) {
            return None;
        }
        clock::sleep(ASK_EVERY).await;
    }
    None
}

fn is_alive(pid: u32) -> bool {
    processes::exists(pid)
}

/// The process id that an endpoint's health names.
async fn health_pid(endpoint: &str) -> Option<u64> {
    let (_, body) = ask(endpoint, Method::GET, "/_cloudscale/health").await?;
    serde_json::from_slice::<serde_json::Value>(&body).ok()?.get("pid")?.as_u64()
}

/// One request of our own to a region; `None` where it does not answer.
async fn ask(endpoint: &str, method: Method, path: &str) -> Option<(StatusCode, Bytes)> {
    let authority = endpoint.strip_prefix("http://")?;
    let stream = TcpStream::connect(authority).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let connection = tokio::spawn(connection);
    let request = hyper::Request::builder().method(method).uri(path).header("host", authority);
    let response = sender.send_request(request.body(Empty::<Bytes>::new()).ok()?).await.ok()?;
    let status = response.status();
    let body = Limited::new(response.into_body(), 64 * 1024).collect().await.ok()?.to_bytes();
    connection.abort();
    Some((status, body))
}

/// Disturbs the processes of an instance of the home's region, so long by the wall.
///
/// # Errors
/// No region; no such instance.
pub async fn disturb(home: &Path, instance: &str, kind: &str, lasts: Duration) -> Result<(), Problem> {
    let failed = |detail: String| Problem::new("The instance is not disturbed", detail);
    let record = find(home).await.ok_or_else(|| failed("no embedded region runs".to_owned()))?;
    let path = format!("/_cloudscale/disturb?instance={instance}&kind={kind}&ms={}", lasts.as_millis());
    match ask(&record.endpoint, Method::POST, &path).await {
        Some((StatusCode::OK, _)) => Ok(()),
        Some((_, body)) => Err(failed(format!("{instance}: {}", String::from_utf8_lossy(&body)))),
        None => Err(failed(format!("{} does not answer", record.endpoint))),
    }
}

/// The home's region, started when it is not there.
///
/// # Errors
/// Where it does not start; where it runs and faults are wanted, which only a region's start can give.
pub async fn ensure(home: &Path, options: Options<'_>) -> Result<Daemon, Problem> {
    if let Some(problem) = region_refused() {
        return Err(problem);
    }
    let failed = |path: &Path, error: io::Error| {
        Problem::new("The region does not start", format!("{}: {error}", path.display()))
    };
    std::fs::create_dir_all(home).map_err(|error| failed(home, error))?;
    let start_lock = home.join("start.lock");
    let _starting = lock(&start_lock).await.map_err(|error| failed(&start_lock, error))?;
    if let Some(record) = find(home).await {
        if let Some(local) = options.local.filter(|local| *local != record.local) {
            let detail = format!("{} runs with {}, and {local} is asked for", record.endpoint, record.local);
            return Err(Problem::new("The region runs already", detail).hint(
                "`cloudscale local stop` ends it and everything in it; or set CLOUDSCALE_HOME to another folder for a region of its own",
            ));
        }
        if let Some(faults) = options.faults {
            let detail = format!("{} was started without the faults of {}", record.endpoint, faults.display());
            return Err(Problem::new("The region runs already", detail)
                .hint("`cloudscale local stop` ends it and everything in it; then start it with the faults"));
        }
        if options.allow_users && record.open_to_all.is_none() {
            let detail = format!("{} was started for its own user only", record.endpoint);
            return Err(Problem::new("The region runs already", detail)
                .hint("`cloudscale local stop` ends it and everything in it; then start it with --allow-users"));
        }
        if let Some(limits) = options.limits.filter(|limits| *limits != record.limits) {
            let detail = format!(
                "{}: its instances may have {} processes and {} of disk each, not {} and {}",
                record.endpoint,
                record.limits.processes,
                limits::shown(record.limits.disk),
                limits.processes,
                limits::shown(limits.disk)
            );
            return Err(Problem::new("The region runs already", detail)
                .hint("`cloudscale local stop` ends it and everything in it; then start it with these bounds"));
        }
        return Ok(record.daemon(false));
    }
    if let Some(pid) = holder(home) {
        let detail =
            format!("process {pid} holds {} and does not answer: it hangs, or its record was removed", home.display());
        return Err(Problem::new("The region does not answer", detail).hint("`cloudscale local stop` ends it"));
    }
    let record = start(home, options).await?;
    speed::follow(record.scale());
    Ok(record.daemon(true))
}

/// Starts this program as the region, detached, and waits until it says where it serves.
async fn start(home: &Path, options: Options<'_>) -> Result<Record, Problem> {
    let failed = |detail: String| Problem::new("The region does not start", detail);
    let log = log::path(home);
    let output = log::append(home).map_err(|error| failed(format!("{}: {error}", log.display())))?;
    let before = output.metadata().map_or(0, |metadata| metadata.len());
    let program = std::env::current_exe().map_err(|error| failed(format!("this program's path: {error}")))?;
    let mut command = Command::new(&program);
    command.args(["local", "serve", "--log", "--home"]).arg(home);
    if let Some(port) = options.port {
        command.args(["--port", &port.to_string()]);
    }
    if let Some(faults) = options.faults {
        // The region works in another folder.
        let faults = std::path::absolute(faults).map_err(|error| failed(format!("{}: {error}", faults.display())))?;
        command.arg("--faults").arg(faults);
    }
    if let Some(local) = options.local {
        command.args(["--speed", &local.speed.to_string(), "--delays", local.delays.name()]);
        if let Some(boot) = local.boot {
            command.args(["--boot", &format!("{}s", boot.as_secs())]);
        }
        if let Some(share) = local.core_share {
            command.args(["--core-share", &share.to_string()]);
        }
    }
    if let Some(limits) = options.limits {
        command.args(["--instance-processes", &limits.processes.to_string()]);
        command.args(["--instance-disk", &format!("{}B", limits.disk)]);
    }
    if options.allow_users {
        command.arg("--allow-users");
    }
    // What its caller keeps secret is no business of a process that outlives the command. And a region is no part of an
    // instance, even when a program on an instance starts it: it has none of the markers.
    let kept = std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| KEPT.contains(&name)));
    command.env_clear().envs(kept);
    // glibc would give each thread a part of the memory of its own, and keep all that each part once needed.
    command.env("MALLOC_ARENA_MAX", "2");
    processes::own_group(&mut command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(output).current_dir("/");
    let mut child = command.spawn().map_err(|error| failed(format!("{}: {error}", program.display())))?;
    let mut line = String::new();
    let mut lines = child.stdout.take().map(BufReader::new);
    let said = async {
        match &mut lines {
            Some(lines) => lines.read_line(&mut line).await,
            None => Ok(0),
        }
    };
    let in_time = tokio::select! {
        said = said => said.is_ok(),
        () = clock::sleep(START_MAX) => false,
    };
    if let Ok(record) = serde_json::from_str(&line) {
        return Ok(record);
    }
    let _ = child.start_kill();
    let said = std::fs::read_to_string(&log).unwrap_or_default();
    let said = usize::try_from(before).ok().and_then(|before| said.get(before..)).unwrap_or(&said);
    let lines: Vec<&str> = said.lines().rev().take(LOG_LINES).collect();
    let lines = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
    let why = if in_time { "it ended at once" } else { "it is not ready in time" };
    Err(failed(format!("{why}:\n{lines}")).hint(format!("its log is {}", log.display())))
}

/// What there was to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    Region,
    /// So many processes of instances whose region had been killed.
    Left(usize),
    Nothing,
}

/// The processes that a region has left which was killed together with its instances' first processes.
fn left(home: &Path) -> usize {
    let home = home.canonicalize().ok().filter(|_| holder(home).is_none());
    home.map_or(0, |home| instances::left(&home).len())
}

/// Stops the home's region and waits until it and all its instances are gone.
pub async fn stop(home: &Path) -> Result<Stopped, Problem> {
    // One that hangs, or whose record was removed, is known by its lock.
    let Some(pid) = find(home).await.map(|record| record.pid).or_else(|| holder(home)) else {
        if left(home) == 0 {
            return Ok(Stopped::Nothing);
        }
        let home = home.canonicalize().unwrap_or_else(|_| home.to_owned());
        return Ok(Stopped::Left(instances::end_left(&home).await));
    };
    let end = |how| i32::try_from(pid).map_err(io::Error::other).and_then(|pid| processes::end(pid, how));
    let failed = |detail: String| Problem::new("The region does not stop", detail);
    if let Err(error) = end(End::Asked) {
        return Err(failed(format!("process {pid}: {error}")));
    }
    // One that was stopped (SIGSTOP) goes on, to end.
    let _ = i32::try_from(pid).map_err(io::Error::other).and_then(processes::resume);
    let path = lock_file(home);
    let mut ended = std::pin::pin!(lock(&path));
    let graceful = tokio::select! {
        lock = &mut ended => Some(lock),
        () = clock::sleep(STOP_MAX) => None,
    };
    let lock = match graceful {
        Some(lock) => lock,
        None => {
            // Its instances end with it: each one's first process sees its input close.
            // One that is gone by now has released the lock that is waited for.
            let _ = end(End::Forced);
            ended.await
        }
    };
    lock.map(|_| Stopped::Region).map_err(|error| failed(format!("{}: {error}", path.display())))
}

/// Takes a lock, however long it takes.
async fn lock(path: &Path) -> io::Result<File> {
    let path = path.to_owned();
    let take = move || {
        let file = open_lock(&path)?;
        file.lock()?;
        Ok(file)
    };
    tokio::task::spawn_blocking(take).await.map_err(io::Error::other)?
}

/// Opens a file to lock it; what it says stays.
pub fn open_lock(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(path)
}

/// The process that holds the home, whether it answers or not.
fn holder(home: &Path) -> Option<u32> {
    let mut file = File::open(lock_file(home)).ok()?;
    if file.try_lock_shared().is_ok() {
        return None;
    }
    let mut pid = String::new();
    file.read_to_string(&mut pid).ok()?;
    pid.trim().parse().ok()
}

/// Stops the home's region, and forgets everything that was in it.
///
/// # Errors
/// As [`stop`]; what cannot be removed.
pub async fn reset(home: &Path) -> Result<bool, Problem> {
    let stopped = stop(home).await?;
    let forgotten = state::forget(home).and_then(|()| instances::forget_shared(home));
    forgotten.map_err(|error| Problem::new("The region is not forgotten", error.to_string()))?;
    Ok(stopped == Stopped::Region)
}

pub async fn status(home: &Path) -> Status {
    let record = find(home).await;
    let local = record.as_ref().map(|record| record.local).unwrap_or_default();
    let hangs = if record.is_none() { holder(home) } else { None };
    Status {
        hangs: hangs.is_some(),
        has_state: state::exists(home),
        running: record.is_some(),
        endpoint: record.as_ref().map(|record| record.endpoint.clone()),
        pid: record.as_ref().map(|record| record.pid).or(hangs),
        home: home.to_owned(),
        isolation: "process-tree",
        speed: local.speed,
        delays: local.delays,
        boot_seconds: local.boot.map(|boot| boot.as_secs()),
        core_share: record.as_ref().and_then(|record| record.core_share.clone()),
        open_to_all: record.as_ref().and_then(|record| record.open_to_all.clone()),
        left_processes: if record.is_some() { 0 } else { left(home) },
        faults: record.and_then(|record| record.faults),
    }
}
