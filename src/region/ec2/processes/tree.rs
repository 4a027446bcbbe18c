//! Process trees as /proc shows them: who descends from whom, and how much CPU time a tree has used.

use std::collections::BTreeSet;

use crate::platform::processes::{self, End};

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    /// CPU time of itself and of its children that it has waited for, in clock ticks.
    pub ticks: u64,
}

/// All processes of the machine. One that ends while we look is left out.
pub fn snapshot() -> Vec<Process> {
    processes::all().filter_map(|pid| parse(pid, &processes::stat(pid)?)).collect()
}

/// One process; `None` where it is gone.
pub fn one(pid: i32) -> Option<Process> {
    parse(pid, &processes::stat(pid)?)
}

/// Reads `/proc/PID/stat`. The name (in parentheses) may hold anything, so the fields are counted from its end.
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
    // proc_pid_stat(5): state is field 3; ppid 4, utime 14, stime 15, cutime 16, cstime 17.
    let ticks = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Process { pid, parent: fields.get(1)?.parse().ok()?, ticks })
}

/// Whose parent is `parent`.
pub fn children(all: &[Process], parent: i32) -> BTreeSet<i32> {
    all.iter().filter(|process| process.parent == parent).map(|process| process.pid).collect()
}

/// Everything below `root`, without itself.
pub fn descendants(all: &[Process], root: i32) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for process in all.iter().filter(|process| process.parent == parent) {
            if found.insert(process.pid) {
                parents.push(process.pid);
            }
        }
    }
    found
}

/// CPU time of `root` and everything below it, in clock ticks. What ended counts through the parent that waited for it.
pub fn ticks(all: &[Process], root: i32) -> u64 {
    let below = descendants(all, root);
    all.iter().filter(|process| process.pid == root || below.contains(&process.pid)).map(|process| process.ticks).sum()
}

/// The processes whose environment, as they were started, has every one of `markers` (`NAME=value`). Zombies have none.
pub fn marked(markers: &[&str]) -> Vec<i32> {
    let own = std::process::id();
    let carries = |pid: &i32| {
        let Some(environment) = processes::environment(*pid) else { return false };
        let entries: BTreeSet<&[u8]> = environment.split(|byte| *byte == 0).collect();
        markers.iter().all(|marker| entries.contains(marker.as_bytes()))
    };
    processes::all().filter(|pid| u32::try_from(*pid).is_ok_and(|pid| pid != own)).filter(carries).collect()
}

/// Ends each; one that is gone already is no error.
pub fn end_all(pids: impl IntoIterator<Item = i32>, how: End) {
    for pid in pids {
        let _ = processes::end(pid, how);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = "42 (a) b (c)) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 1 0 5 0";
        assert_eq!(parse(42, stat), Some(Process { pid: 42, parent: 7, ticks: 124 }));
        assert_eq!(parse(42, "42 (cut"), None);
    }

    #[test]
    fn a_tree_is_everything_below_its_root() {
        let process = |pid, parent| Process { pid, parent, ticks: 1 };
        let all = [process(2, 1), process(5, 2), process(3, 5), process(9, 1)];
        assert_eq!(descendants(&all, 2), BTreeSet::from([3, 5]));
        assert_eq!(ticks(&all, 2), 3);
    }

    #[test]
    fn we_see_ourselves_below_our_parent() {
        let all = snapshot();
        let own = i32::try_from(std::process::id()).unwrap();
        let parent = all.iter().find(|process| process.pid == own).unwrap().parent;
        assert!(descendants(&all, parent).contains(&own));
    }
}
