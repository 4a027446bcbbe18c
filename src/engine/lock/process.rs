//! Which process this is, and whether another one still lives: what the kernel reports.

use crate::cloud::lease::{Holder, Process};
use crate::platform::{processes, system};

/// Fields between state and start time in `/proc/PID/stat` (proc_pid_stat(5): the 3rd and the 22nd).
const STARTED_AFTER_STATE: usize = 18;
const ZOMBIE: &str = "Z";

/// This process, as others are told of it.
pub fn holder(command: &str) -> Holder {
    let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    let user = user.unwrap_or_else(|| format!("uid {}", system::user_id()));
    Holder {
        who: format!("{user}@{}", system::host_name()),
        command: command.to_owned(),
        process: process(std::process::id()),
    }
}

/// A process of this machine by its id.
pub fn process(pid: u32) -> Process {
    let started = stat(pid).map(|(_, started)| started);
    Process { pid, started: started.unwrap_or_default(), machine: system::process_space().unwrap_or_default() }
}

/// Whether a process has ended, as far as this machine can know: of others it knows nothing.
pub fn is_gone(process: &Process) -> bool {
    if system::process_space().is_none_or(|here| here != process.machine) {
        return false;
    }
    // It lives, unless it only waits for its parent to take notice, or its id went to another.
    !processes::exists(process.pid)
        || stat(process.pid).is_some_and(|(state, started)| state == ZOMBIE || started != process.started)
}

/// State and start time.
fn stat(pid: u32) -> Option<(String, String)> {
    let stat = processes::stat(i32::try_from(pid).ok()?)?;
    // The name may hold spaces and parentheses.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split_whitespace();
    Some((fields.next()?.to_owned(), fields.nth(STARTED_AFTER_STATE)?.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_known_to_live_and_to_be_gone() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let known = process(child.id());
        assert!(!is_gone(&known));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_gone(&known));
    }

    #[test]
    fn an_id_that_went_to_another_process_is_not_mistaken_for_it() {
        let me = process(std::process::id());
        assert!(!is_gone(&me));
        assert!(is_gone(&Process { started: "1".to_owned(), ..me }));
    }

    #[test]
    fn nothing_is_known_of_other_machines() {
        assert!(!is_gone(&Process { pid: 1, started: "1".to_owned(), machine: "elsewhere".to_owned() }));
    }
}
