//! What the system says of itself: its name and version, this machine, this user.

use std::fs;

use rustix::process::getuid;
use rustix::system::uname;

/// `Linux 6.1.0-18-amd64 x86_64`
pub fn description() -> String {
    let system = uname();
    [system.sysname(), system.release(), system.machine()].map(std::ffi::CStr::to_string_lossy).join(" ")
}

pub fn host_name() -> String {
    uname().nodename().to_string_lossy().into_owned()
}

pub fn user_id() -> u32 {
    getuid().as_raw()
}

/// Bytes that nobody can guess.
///
/// # Errors
/// Where the system has none.
pub fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    use std::io::Read as _;
    let mut bytes = [0; N];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// What has process ids of its own: containers share a boot, so both count. `None` where the kernel does not report.
pub fn process_space() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), space.display()))
}
