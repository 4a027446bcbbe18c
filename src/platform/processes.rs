//! Processes: who there is, ending them, and leading a tree of them.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, WaitOptions};

/// How a process is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// SIGTERM: it may tidy up.
    Asked,
    /// SIGKILL
    Forced,
}

/// All processes of the machine; none where the kernel does not report.
pub fn all() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// `/proc/PID/stat`: proc_pid_stat(5).
pub fn stat(pid: i32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}

/// The environment that a process was started with, entries ended by NUL; none of a zombie.
pub fn environment(pid: i32) -> Option<Vec<u8>> {
    fs::read(Path::new("/proc").join(pid.to_string()).join("environ")).ok()
}

/// Whether there is a process of that id, ours or not.
pub fn exists(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    rustix::process::test_kill_process(pid) != Err(Errno::SRCH)
}

/// Ends a process.
///
/// # Errors
/// Where it is gone already, or not ours.
pub fn end(pid: i32, how: End) -> io::Result<()> {
    send(pid, if how == End::Asked { rustix::process::Signal::TERM } else { rustix::process::Signal::KILL })
}

/// Stops a process where it is; it goes on with [`resume`], and can be ended meanwhile.
///
/// # Errors
/// Where it is gone already, or not ours.
pub fn pause(pid: i32) -> io::Result<()> {
    send(pid, rustix::process::Signal::STOP)
}

/// # Errors
/// Where it is gone already, or not ours.
pub fn resume(pid: i32) -> io::Result<()> {
    send(pid, rustix::process::Signal::CONT)
}

fn send(pid: i32, signal: rustix::process::Signal) -> io::Result<()> {
    let pid = Pid::from_raw(pid).filter(|pid| pid.as_raw_nonzero().get() > 0).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::kill_process(pid, signal)?)
}

/// Makes this process the leader of a session and the parent of whatever below it loses its own.
///
/// # Errors
/// Where the system has no such thing.
pub fn lead_tree() -> io::Result<()> {
    rustix::process::setsid()?;
    subreaper()
}

/// Makes this process the parent of whatever below it loses its own.
///
/// # Errors
/// Where the system has no such thing.
pub fn adopt_orphans() -> io::Result<()> {
    subreaper()
}

#[cfg(target_os = "linux")]
fn subreaper() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

#[cfg(not(target_os = "linux"))]
fn subreaper() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A child that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub pid: i32,
    /// `None` where a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
}

/// Waits for the end of any child; `None` when there is none left.
pub fn wait_for_any() -> Option<Ended> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => {
                let (code, signal) = (status.exit_status(), status.terminating_signal());
                return Some(Ended { pid: pid.as_raw_nonzero().get(), code, signal });
            }
            Ok(None) | Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

/// Takes note of the end of a child that nobody else waits for; nothing where it has not ended.
pub fn reap(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid).filter(|pid| pid.as_raw_nonzero().get() > 0) {
        let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

/// How many processes and threads the whole machine has, as proc_loadavg(5) says; `None` where it does not.
pub fn machine_total() -> Option<u32> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

pub fn own_id() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// In which unit `stat` counts CPU time.
pub fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second()
}

/// Raises the number of files and sockets that may be open, as far as may be. What cannot be raised stays.
pub fn allow_descriptors(wanted: u64) {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if limit.current.is_some_and(|current| current < wanted) {
        let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    }
}

/// No port, no file descriptor or no memory for another connection: this machine's limit, not the server's.
pub fn is_exhausted(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let exhausted = [Errno::ADDRNOTAVAIL, Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| exhausted.iter().any(|errno| errno.raw_os_error() == code))
}

/// In a group of its own: Ctrl-C at the terminal that started it is not meant for it.
pub fn own_group(command: &mut tokio::process::Command) {
    command.process_group(0);
}

/// A word of a command line, in whatever encoding it has.
pub fn word(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

/// What the options create can be run, and by its owner alone.
pub fn private_program(options: &mut OpenOptions) {
    options.mode(0o700);
}
