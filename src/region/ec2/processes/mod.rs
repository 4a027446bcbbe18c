//! The shell around EC2's instances: starts a process tree when the model says `Boot`, ends it on `EndProcess`, and
//! tells the model what became of it.
//!
//! An instance is a tree below our own first process (`init.rs`). Ending it means closing the pipe to that process;
//! where the process itself was killed, its tree is found by the markers in its environment. So nothing outlives its
//! instance, and nothing outlives the region.

pub mod console;
pub mod cpu;
pub mod credits;
mod disturb;
pub mod init;
pub mod limits;
mod measuring;
pub mod share;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use self::cpu::Reported;
pub use self::disturb::Disturbance;
use self::limits::Limits;
use self::share::Holder;
use crate::clock;
use crate::platform::permissions;
use crate::platform::processes::{self, End};
use crate::region::callers::Callers;
use crate::region::driver::Region;
use crate::region::metadata;
use crate::region::signal::{Boot, InstanceState, Signal};

/// How long the first process has for ending its tree before it is killed itself: its own grace and kills, and some
/// more.
const END_MAX: Duration = Duration::from_secs(15);
/// How often, and how many times, leftovers are killed before they count as unkillable.
const SWEEP_EVERY: Duration = Duration::from_millis(20);
const SWEEPS_MAX: u32 = 250;
/// The environment variables that mark an instance's processes.
pub const INSTANCE_MARKER: &str = "CLOUDSCALE_INSTANCE";
/// Not `CLOUDSCALE_HOME`: users export that one, and what carries the markers is killed.
pub const HOME_MARKER: &str = "CLOUDSCALE_INSTANCE_HOME";
/// Names the folder that all instances of the region share, as they may share a file system on AWS.
const SHARED: &str = "CLOUDSCALE_SHARED";
/// Where an instance looks for programs, after the folder that has `cloudscale`, whatever its file is called.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The instances' process trees of one region.
#[derive(Debug)]
pub struct Processes {
    region: Arc<Region>,
    /// Who may ask the instances' metadata services.
    callers: Arc<Callers>,
    home: PathBuf,
    /// This program, which is also each instance's first process.
    program: PathBuf,
    limits: Limits,
    /// What holds the trees to their share of a core; `None`: nothing does.
    holder: Option<Holder>,
    /// Our children that are no orphans: first processes of instances, and what was there before us.
    children: Mutex<BTreeSet<i32>>,
    trees: Mutex<BTreeMap<String, Tree>>,
    /// A tree has gone.
    gone: Notify,
}

#[derive(Debug)]
struct Tree {
    end: CancellationToken,
    /// `None` until it has started.
    running: Option<(i32, Instant)>,
    reported: Reported,
    /// How many disturbances on purpose go on.
    disturbed: i32,
}

/// The folder of an instance below the region's home.
pub fn folder(home: &Path, instance: &str) -> PathBuf {
    instances(home).join(instance)
}

/// The folder of all instances.
fn instances(home: &Path) -> PathBuf {
    home.join("instances")
}

/// The folder that instances share.
fn shared(home: &Path) -> PathBuf {
    home.join("shared")
}

/// The folder that has `cloudscale`, for instances alone.
fn programs(home: &Path) -> PathBuf {
    home.join("bin")
}

/// Forgets what instances shared.
///
/// # Errors
/// Where it cannot be removed.
pub fn forget_shared(home: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(shared(home)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Processes {
    pub fn new(
        region: Arc<Region>,
        callers: Arc<Callers>,
        home: &Path,
        program: PathBuf,
        (limits, holder): (Limits, Option<Holder>),
    ) -> Self {
        let (children, trees, gone) = (Mutex::default(), Mutex::default(), Notify::new());
        Self { region, callers, home: home.to_owned(), program, limits, holder, children, trees, gone }
    }

    /// Acts on the model's signals until `stop`; then ends every tree and returns when none is left.
    pub async fn run(self: Arc<Self>, mut signals: mpsc::UnboundedReceiver<Signal>, stop: CancellationToken) {
        // What loses its parent when an instance's first process is killed becomes ours, markers or not.
        self.children().extend(tree::children(&tree::snapshot(), processes::own_id()));
        if let Err(error) = processes::adopt_orphans() {
            tracing::warn!(%error, "programs of an instance whose first process is killed may stay");
        }
        // Trees that an earlier region of this home left when even their first process was killed.
        end_left(&self.home).await;
        self.remove(&instances(&self.home)).await;
        if let Err(error) = permissions::folder_of_program(&programs(&self.home), &self.program, "cloudscale") {
            tracing::error!(%error, "instances will not find the command `cloudscale`");
        }
        let measuring = tokio::spawn(Arc::clone(&self).measure());
        let watching = tokio::spawn(Arc::clone(&self).watch());
        let holding = tokio::spawn(Arc::clone(&self).hold());
        loop {
            let signal = tokio::select! {
                signal = signals.recv() => signal,
                () = stop.cancelled() => break,
            };
            match signal {
                Some(Signal::Boot(boot)) if self.is_wanted(&boot.instance) => {
                    let end = CancellationToken::new();
                    let tree = Tree { end: end.clone(), running: None, reported: Reported::default(), disturbed: 0 };
                    self.trees().insert(boot.instance.clone(), tree);
                    tokio::spawn(Arc::clone(&self).live(boot, end));
                }
                Some(Signal::EndProcess { instance }) => {
                    let known = self.trees().get(&instance).map(|tree| tree.end.clone());
                    match known {
                        Some(end) => drop(tokio::spawn(end_unrouted(Arc::clone(&self.region), instance, end))),
                        None => self.region.signal(Signal::ProcessEnded { instance }),
                    }
                }
                Some(_) => {}
                None => break,
            }
        }
        measuring.abort();
        watching.abort();
        self.trees().values().for_each(|tree| tree.end.cancel());
        loop {
            let gone = self.gone.notified();
            if self.trees().is_empty() {
                break;
            }
            gone.await;
        }
        // Until now: what waits for its share has to hear of its end.
        holding.abort();
        self.remove(&instances(&self.home)).await;
    }

    /// Removes a folder with all that instances left in it: user data and consoles may hold secrets.
    async fn remove(&self, folder: &Path) {
        let folder = folder.to_owned();
        let remove = move || match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::error!(folder = %folder.display(), %error, "the folder stays");
            }
            _ => {}
        };
        // A panic in there is one of the standard library's, and the region goes on.
        let _ = tokio::task::spawn_blocking(remove).await;
    }

    /// Whether the instance never runs again. One that is stopped keeps its folder.
    fn is_over(&self, instance: &str) -> bool {
        let facts = self.region.read(|world| world.services.ec2.instance_facts(instance));
        facts.is_none_or(|facts| matches!(facts.state, InstanceState::ShuttingDown | InstanceState::Terminated))
    }

    fn trees(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Tree>> {
        self.trees.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the model still wants a tree for the instance: two calls at once may have sent the end before the boot.
    fn is_wanted(&self, instance: &str) -> bool {
        let facts = self.region.read(|world| world.services.ec2.instance_facts(instance));
        facts.is_some_and(|facts| matches!(facts.state, InstanceState::Pending | InstanceState::Running))
    }

    fn children(&self) -> std::sync::MutexGuard<'_, BTreeSet<i32>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills what became ours because the first process above it was killed.
    async fn end_orphans(self: &Arc<Self>) {
        for _ in 0..SWEEPS_MAX {
            let processes = Arc::clone(self);
            let kill = move || {
                // Nobody starts meanwhile, so whom we do not know is an orphan.
                let known = processes.children();
                let all = tree::snapshot();
                let orphans: Vec<i32> = tree::children(&all, processes::own_id()).difference(&known).copied().collect();
                for orphan in &orphans {
                    tree::end_all(tree::descendants(&all, *orphan), End::Forced);
                    tree::end_all([*orphan], End::Forced);
                    processes::reap(*orphan);
                }
                orphans.is_empty()
            };
            if !matches!(tokio::task::spawn_blocking(kill).await, Ok(false)) {
                return;
            }
            clock::sleep(SWEEP_EVERY).await;
        }
        tracing::error!("orphans survive SIGKILL");
    }

    /// One tree, from its start to its end.
    async fn live(self: Arc<Self>, boot: Boot, end: CancellationToken) {
        let instance = boot.instance.clone();
        let metadata = end.child_token();
        let started = match end.run_until_cancelled(self.boot(&boot)).await {
            None => None,
            Some(()) => Some(self.start(&boot, metadata.clone()).await),
        };
        match started {
            None => {}
            Some(Ok(mut child)) => {
                // Held open as long as the tree shall live; `wait` would close it.
                let life = child.stdin.take();
                let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
                if let Some(tree) = self.trees().get_mut(&instance) {
                    tree.running = pid.map(|pid| (pid, clock::instant()));
                }
                self.region.signal(Signal::ProcessStarted { instance: instance.clone() });
                self.region.signal(Signal::InstanceBooted { instance: instance.clone() });
                tokio::select! {
                    status = child.wait() => tracing::warn!(instance, ?status, "the tree ended by itself"),
                    () = end.cancelled() => {
                        drop(life);
                        wait_or_kill(&instance, &mut child).await;
                    }
                }
                pid.map(|pid| self.children().remove(&pid));
            }
            Some(Err(error)) => {
                tracing::error!(instance, %error, "the instance does not start");
                let reason = format!("the instance does not start: {error}");
                self.region.signal(Signal::InstanceFailed { instance: instance.clone(), reason });
            }
        }
        metadata.cancel();
        let instance_marker = format!("{INSTANCE_MARKER}={instance}");
        sweep(&[&instance_marker, &home_marker(&self.home)]).await;
        self.end_orphans().await;
        if self.is_over(&instance) {
            self.remove(&folder(&self.home, &instance)).await;
        }
        self.trees().remove(&instance);
        self.region.signal(Signal::ProcessEnded { instance });
        self.gone.notify_waiters();
    }

    /// Waits as long as a machine boots. It is `running` some time before its user data begins.
    async fn boot(&self, boot: &Boot) {
        let (delays, launched) = (self.region.read(|world| world.delays()), clock::now());
        let lasts = if boot.first { delays.boot } else { delays.restart };
        if delays.running < lasts {
            clock::sleep_until(launched + delays.running).await;
            self.region.signal(Signal::ProcessStarted { instance: boot.instance.clone() });
        }
        clock::sleep_until(launched + lasts).await;
    }

    async fn start(&self, boot: &Boot, stop: CancellationToken) -> io::Result<Child> {
        let folder = folder(&self.home, &boot.instance);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
        permissions::owners_folder(&folder).map_err(named)?;
        permissions::owners_folder(&shared(&self.home))?;
        init::write_user_data(&folder, &boot.user_data).map_err(named)?;
        let listener = TcpListener::bind((boot.address, 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let reported = self.trees().get(&boot.instance).map(|tree| tree.reported.clone()).unwrap_or_default();
        let (region, callers) = (Arc::clone(&self.region), Arc::clone(&self.callers));
        tokio::spawn(metadata::serve(listener, (region, callers), boot.instance.clone(), reported, stop));
        let mut command = Command::new(&self.program);
        command
            .arg("instance-init")
            .arg(&folder)
            .env_clear()
            .env("PATH", format!("{}:{SYSTEM_PATH}", programs(&self.home).display()))
            .env("HOME", &folder)
            .env("LANG", "C.UTF-8")
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint)
            .env(SHARED, shared(&self.home))
            .env(INSTANCE_MARKER, &boot.instance)
            .env(HOME_MARKER, &self.home)
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut children = self.children();
        let child = command.spawn()?;
        children.extend(child.id().and_then(|pid| i32::try_from(pid).ok()));
        Ok(child)
    }
}

/// Ends a tree when no request is on its way to it any more.
async fn end_unrouted(region: Arc<Region>, instance: String, end: CancellationToken) {
    region.until_unrouted(&instance).await;
    end.cancel();
}

/// Waits until a first process whose input was closed has ended its tree and itself.
async fn wait_or_kill(instance: &str, child: &mut Child) {
    tokio::select! {
        _ = child.wait() => {}
        () = clock::sleep(END_MAX) => {
            tracing::error!(instance, "the tree does not end; it is killed");
            let _ = child.kill().await;
        }
    }
}

fn home_marker(home: &Path) -> String {
    format!("{HOME_MARKER}={}", home.display())
}

/// Processes that instances of this home have left: they carry its marker. One without it is not told from a user's
/// own.
pub fn left(home: &Path) -> Vec<i32> {
    tree::marked(&[&home_marker(home)])
}

/// Kills them; answers how many there were at first.
pub async fn end_left(home: &Path) -> usize {
    let mut first = None;
    for _ in 0..SWEEPS_MAX {
        let home = home.to_owned();
        let kill = move || {
            let left = left(&home);
            tree::end_all(left.iter().copied(), End::Forced);
            left.len()
        };
        let count = tokio::task::spawn_blocking(kill).await.unwrap_or_default();
        let first = *first.get_or_insert(count);
        if count == 0 {
            return first;
        }
        clock::sleep(SWEEP_EVERY).await;
    }
    tracing::error!(home = %home.display(), "processes survive SIGKILL");
    first.unwrap_or_default()
}

/// Kills every process that carries the markers, until none is left.
async fn sweep(markers: &[&str]) {
    let markers: Vec<String> = markers.iter().map(|marker| (*marker).to_owned()).collect();
    for _ in 0..SWEEPS_MAX {
        let markers = markers.clone();
        let kill = move || {
            let markers: Vec<&str> = markers.iter().map(String::as_str).collect();
            let left = tree::marked(&markers);
            tree::end_all(left.iter().copied(), End::Forced);
            left.is_empty()
        };
        if !matches!(tokio::task::spawn_blocking(kill).await, Ok(false)) {
            return;
        }
        clock::sleep(SWEEP_EVERY).await;
    }
    tracing::error!(?markers, "processes survive SIGKILL");
}
