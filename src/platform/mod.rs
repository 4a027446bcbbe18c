//! What the operating system has to do for us beyond the standard library: the only folder that names one.
//!
//! All of it works on every Unix, so what talks to AWS builds and runs on macOS, too. The embedded region needs Linux
//! ([`region_refused`]): its instances are trees of processes below a subreaper, read from `/proc`, each with an address of its
//! own out of 127.0.0.0/8.

pub mod cgroup;
pub mod cpu_time;
pub mod disk;
pub mod permissions;
pub mod processes;
pub mod signals;
pub mod socket_owner;
pub mod sockets;
pub mod standard_error;
pub mod system;
pub mod timer;

use crate::problem::Problem;

#[cfg(not(unix))]
compile_error!("cloudscale builds on Linux and macOS; on Windows build and run it in WSL 2");

/// Why the embedded region cannot run on this system; `None` where it can.
pub fn region_refused() -> Option<Problem> {
    refused(std::env::consts::OS)
}

fn refused(system: &str) -> Option<Problem> {
    let detail =
        format!("its instances are trees of Linux processes with addresses of their own, and this is {system}");
    let hint = "run it in a Linux container (`docker run -it -v \"$PWD:/work\" -w /work debian`), a virtual machine or WSL 2; \
                what talks to AWS works here: `--provider aws`";
    (system != "linux").then(|| Problem::usage("The embedded region needs Linux", detail).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_system_is_told_what_to_do() {
        assert_eq!(refused("linux"), None);
        let problem = refused("macos").expect("macOS has no subreaper");
        let hint = problem.hint.unwrap_or_default();
        assert!(problem.detail.contains("macos") && hint.contains("container") && hint.contains("WSL 2"), "{hint}");
        assert!(hint.contains("--provider aws"), "{hint}");
    }
}
