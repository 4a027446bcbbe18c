//! `cloudscale local`: the embedded region as a daemon.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use clap::Subcommand;

use super::{Outcome, Session, cloud};
use crate::clock;
use crate::clock::speed::SPEED_MAX;
use crate::exit::Exit;
use crate::problem::Problem;
use crate::region::certificates::{self, Authority};
use crate::region::daemon::{CoreShareStatus, Stopped};
use crate::region::ec2::processes::limits::{self, Limits};
use crate::region::ec2::processes::{self, console};
use crate::region::faults::language;
use crate::region::log::Log;
use crate::region::{daemon, serve};
use crate::stack::local::{CoreShare, Local, Profile};
use crate::ui::printable::Stream;

/// How often `logs --follow` looks for more.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);

/// Start, stop and look at the embedded region
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the region, unless it runs
    Start(RegionArgs),
    /// Stop the region; its instances end, and what is in it comes back with the next start
    Stop,
    /// Stop the region and delete all of its state
    Reset,
    /// Whether it runs, and where
    Status {
        #[arg(long)]
        json: bool,
    },
    /// What an instance's user data printed
    Logs {
        instance: String,
        /// Follow: print more as it comes
        #[arg(short, long)]
        follow: bool,
        /// As it was printed, with control characters: colours, but also what could deceive a terminal
        #[arg(long)]
        raw: bool,
    },
    /// Print the file of the root certificate by which clients trust the region's HTTPS listeners
    Certificate,
    /// Serve in the foreground
    #[command(hide = true)]
    Serve {
        #[arg(long)]
        home: Option<PathBuf>,
        #[command(flatten)]
        region: RegionArgs,
        /// Write to the log of the home instead of the standard error
        #[arg(long)]
        log: bool,
    },
}

/// How a region runs: in the background, where `start` puts it, or in the foreground.
#[derive(Debug, clap::Args)]
struct RegionArgs {
    /// Port of the endpoint [default: 4566 where free, else any]
    #[arg(long)]
    port: Option<u16>,
    /// Inject the faults of a file: throttling, resets, lost answers, stale listings; see docs/faults.md
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    #[command(flatten)]
    local: LocalArgs,
    /// Let processes of every user of this machine call it: whoever may, runs programs as you [default: yours and
    /// root's]
    #[arg(long)]
    allow_users: bool,
    #[command(flatten)]
    limits: LimitArgs,
}

#[derive(Debug, clap::Args)]
struct LimitArgs {
    /// Processes that an instance may have at once; one with more is terminated, with the reason [default: 1000]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    instance_processes: Option<u32>,
    /// Disk that an instance's folder may take, e.g. 500MB; one with more is terminated, with the reason [default:
    /// 8GiB]
    #[arg(long, value_name = "SIZE", value_parser = limits::parse_bytes)]
    instance_disk: Option<u64>,
}

impl LimitArgs {
    /// `None` where nothing is said.
    fn given(&self) -> Option<Limits> {
        let (Self { instance_processes, instance_disk }, default) = (self, Limits::default());
        (instance_processes.is_some() || instance_disk.is_some()).then(|| Limits {
            processes: instance_processes.unwrap_or(default.processes),
            disk: instance_disk.unwrap_or(default.disk),
        })
    }
}

#[derive(Debug, clap::Args)]
struct LocalArgs {
    /// How much faster than wall-clock time its time goes, 1 to 120: alarms, cooldowns, schedules, boots
    /// [default: 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(SPEED_MAX)))]
    speed: Option<u32>,
    /// How long boots, load balancers and metrics take: `quick`, as fast as this machine is, or `aws` [default: quick]
    #[arg(long, value_parser = profile, value_name = "PROFILE")]
    delays: Option<Profile>,
    /// From an instance's launch until its user data begins, e.g. 40s [default: that of --delays]
    #[arg(long, value_parser = cloud::duration, value_name = "TIME")]
    boot: Option<Duration>,
    /// What a virtual CPU has of one of this machine's cores, e.g. 5%: instances then differ as their types do
    /// [default: all of it]
    #[arg(long, value_parser = CoreShare::parse, value_name = "SHARE")]
    core_share: Option<CoreShare>,
}

fn profile(name: &str) -> Result<Profile, String> {
    Profile::parse(name).ok_or_else(|| format!("one of {}", Profile::NAMES.join(", ")))
}

impl LocalArgs {
    /// `None` where nothing is said.
    fn given(&self) -> Option<Local> {
        let Self { speed, delays, boot, core_share } = *self;
        let said = speed.is_some() || delays.is_some() || boot.is_some() || core_share.is_some();
        said.then(|| Local { speed: speed.unwrap_or(1), delays: delays.unwrap_or_default(), boot, core_share })
    }
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    let home = daemon::default_home();
    match args.command {
        Command::Start(RegionArgs { port, faults, local, allow_users, limits }) => {
            if let Some(file) = &faults {
                // Here and not in the background, where nobody would see what is wrong with it.
                language::load(file)?;
            }
            let (local, limits) = (local.given(), limits.given());
            let options = daemon::Options { port, faults: faults.as_deref(), local, allow_users, limits };
            let daemon = daemon::ensure(&home?, options).await?;
            let what = if daemon.started { "started" } else { "runs already" };
            session
                .printer
                .result(&format!("The embedded region {what}: {} (process {}).", daemon.endpoint, daemon.pid));
            if daemon.started {
                cloud::print_state(&daemon, session);
            }
            session.printer.note(&format!("Other clients reach it with AWS_ENDPOINT_URL={}", daemon.endpoint));
            if let Some(reason) = &daemon.open_to_all {
                session.printer.note(&cloud::open_to_all(reason));
            }
        }
        Command::Stop => {
            let stopped = daemon::stop(&home?).await?;
            session.printer.result(&match stopped {
                Stopped::Region => {
                    "The embedded region stopped. What is in it comes back with the next start; `local reset` deletes it."
                        .to_owned()
                }
                Stopped::Nothing => "The embedded region does not run.".to_owned(),
                Stopped::Left(count) => {
                    format!(
                        "The embedded region does not run; {count} processes of its instances were left, and are ended."
                    )
                }
            });
        }
        Command::Reset => {
            let stopped = daemon::reset(&home?).await?;
            let what = if stopped { "stopped and forgot" } else { "forgot" };
            session.printer.result(&format!("The embedded region {what} everything that was in it."));
        }
        Command::Status { json } => {
            let status = daemon::status(&home?).await;
            if json {
                session.printer.json(&status);
            } else if let (Some(endpoint), Some(pid)) = (&status.endpoint, status.pid) {
                session.printer.result(&format!("The embedded region runs: {endpoint} (process {pid})."));
                session.printer.result(&format!("Its files are in {}.", status.home.display()));
                if status.speed > 1 {
                    let text =
                        format!("Its time goes {} times as fast as the clock: {} now.", status.speed, now_there());
                    session.printer.result(&text);
                }
                if let (Profile::Aws, boot) | (Profile::Quick, boot @ Some(_)) = (status.delays, status.boot_seconds) {
                    let boot = boot.map_or_else(String::new, |seconds| format!("; an instance boots for {seconds} s"));
                    let delays = status.delays.name();
                    session.printer.result(&format!("Its delays are those of the profile `{delays}`{boot}."));
                }
                if let Some(CoreShareStatus { share, by, .. }) = &status.core_share {
                    let how = match by.as_str() {
                        "cgroup" => "by the kernel (cgroup v2, cpu.max)",
                        _ => "by stopping and continuing its processes in short slices",
                    };
                    session
                        .printer
                        .result(&format!("A virtual CPU is {share} of a core; an instance is held to its own {how}."));
                }
                if let Some(reason) = &status.open_to_all {
                    session.printer.result(&cloud::open_to_all(reason));
                }
                if let Some(file) = &status.faults {
                    session.printer.result(&format!("It injects the faults of {}.", file.display()));
                }
            } else if let (true, Some(pid)) = (status.hangs, status.pid) {
                session.printer.result(&format!(
                    "The embedded region hangs: process {pid} does not answer; `local stop` ends it."
                ));
            } else {
                session.printer.result(match status.has_state {
                    true => "The embedded region does not run; the next start goes on from what was in it.",
                    false => "The embedded region does not run.",
                });
                if status.left_processes > 0 {
                    let left = status.left_processes;
                    session.printer.result(&format!(
                        "It was killed, and {left} processes of its instances are left: `cloudscale local stop` ends them."
                    ));
                }
            }
        }
        Command::Logs { instance, follow, raw } => logs(&home?, &instance, (follow, raw), session).await?,
        Command::Certificate => {
            let home = home?;
            let file = certificates::root_file(&home);
            let failed = |error: std::io::Error| {
                Problem::new("The region has no certificate", format!("{}: {error}", home.display()))
                    .hint("remove `certificate.pem` and `certificate-key.pem` there, and it makes new ones")
            };
            std::fs::create_dir_all(&home).and_then(|()| Authority::of(&home)).map_err(failed)?;
            session.printer.result(&file.display().to_string());
        }
        Command::Serve { home: given, region, log } => {
            let RegionArgs { port, faults, local, allow_users, limits } = region;
            let faults = faults.map(|file| language::load(&file)).transpose()?;
            let home = given.map_or(home, Ok)?;
            let subscriber = tracing_subscriber::fmt().with_ansi(false);
            // Somebody may have set up logging already; then that is where the lines go.
            let _ = match Log::open(&home) {
                Ok(file) if log => subscriber.with_writer(Mutex::new(file)).try_init(),
                _ => subscriber.with_writer(std::io::stderr).try_init(),
            };
            let ready = |record: &daemon::Record| session.printer.json_line(record);
            let limits = limits.given().unwrap_or_default();
            let options = serve::Options { port, faults, local: local.given(), allow_users, limits };
            serve::serve(&home, options, ready).await?;
        }
    }
    Ok(Exit::Ok)
}

/// The region's time of day, to the minute.
fn now_there() -> String {
    clock::now().strftime("%Y-%m-%d %H:%M").to_string()
}

/// Prints an instance's console, and with `follow` what is added until the process is interrupted.
async fn logs(home: &Path, instance: &str, (follow, raw): (bool, bool), session: &Session) -> Result<(), Problem> {
    let folder = processes::folder(home, instance);
    let path = console::path(&folder);
    let known = !instance.contains(['/', '\\']) && path.is_file();
    if !known {
        let detail = format!("the region of {} has no instance {instance}", home.display());
        return Err(Problem::usage("No such instance", detail).hint("`cloudscale status` lists the instances"));
    }
    let unreadable =
        |error: std::io::Error| Problem::new("The log cannot be read", format!("{}: {error}", path.display()));
    let mut position = 0;
    let mut stream = Stream::default();
    loop {
        let (text, end) = added(&path, position).map_err(unreadable)?;
        match raw {
            true => session.printer.text(&text),
            false => session.printer.text(stream.next(&text).as_bytes()),
        }
        position = end;
        if !follow {
            session.printer.text(stream.end().as_bytes());
            return Ok(());
        }
        clock::sleep(FOLLOW_EVERY).await;
    }
}

/// What a file holds from `position` on, and where it ends; from its start where it was begun again.
fn added(path: &Path, position: u64) -> std::io::Result<(Vec<u8>, u64)> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    let from = if length < position { 0 } else { position };
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    let read = file.take(length - from).read_to_end(&mut text)?;
    Ok((text, from + read as u64))
}
