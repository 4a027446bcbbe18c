//! Control groups (cgroup v2), where they may be written: how much of the processors a set of processes has at most.
//!
//! A group with processes cannot hold others to a bound, except for the root (cgroups(7), "no internal processes"). So ours is
//! made beside our own, below the nearest ancestor that hands the processors on and may be written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MOUNT: &str = "/sys/fs/cgroup";
/// The kernel's own default.
const PERIOD: Duration = Duration::from_millis(100);
/// The least that it takes.
const QUOTA_MIN: Duration = Duration::from_millis(1);

/// A control group of ours, with groups of processes below it.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes one of that name as near to our own as may be.
    ///
    /// # Errors
    /// Where there is no cgroup v2 with processors, or none that may be written: the reason of the nearest one.
    pub fn beside_own(name: &str) -> io::Result<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let own = groups.lines().find_map(|line| line.strip_prefix("0::/")).ok_or(io::ErrorKind::Unsupported)?;
        let mount = Path::new(MOUNT);
        let mut nearest = None;
        for parent in mount.join(own).ancestors().take_while(|parent| parent.starts_with(mount)) {
            match Self::below(parent, name) {
                Ok(made) => return Ok(made),
                Err(error) => nearest = nearest.or(Some(error)),
            }
        }
        Err(nearest.unwrap_or_else(|| io::ErrorKind::Unsupported.into()))
    }

    fn below(parent: &Path, name: &str) -> io::Result<Self> {
        hand_on_processors(parent)?;
        let made = Self { path: parent.join(name) };
        fs::create_dir(&made.path)?;
        hand_on_processors(&made.path)?;
        Ok(made)
    }

    /// Holds processes to so many cores; they are one group as long as `name` is the same.
    ///
    /// # Errors
    /// Where it cannot be written. A process that is gone by now is no error.
    pub fn hold(&self, name: &str, cores: f64, pids: impl IntoIterator<Item = i32>) -> io::Result<()> {
        let group = self.path.join(name);
        match fs::create_dir(&group) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let quota = PERIOD.mul_f64(cores.max(0.0)).max(QUOTA_MIN);
        fs::write(group.join("cpu.max"), format!("{} {}", quota.as_micros(), PERIOD.as_micros()))?;
        for pid in pids {
            match fs::write(group.join("cgroup.procs"), pid.to_string()) {
                Err(error) if error.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error()) => {
                    return Err(error);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes a group whose processes are gone; while some are left it stays.
    pub fn remove(&self, name: &str) {
        let _ = fs::remove_dir(self.path.join(name));
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let groups = fs::read_dir(&self.path).into_iter().flatten().flatten();
        for group in groups.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let _ = fs::remove_dir(group.path());
        }
        let _ = fs::remove_dir(&self.path);
    }
}

/// Lets the groups below have bounds of their own.
fn hand_on_processors(group: &Path) -> io::Result<()> {
    let has = |file: &str| {
        fs::read_to_string(group.join(file)).map(|text| text.split_whitespace().any(|controller| controller == "cpu"))
    };
    if !has("cgroup.controllers")? {
        return Err(io::ErrorKind::Unsupported.into());
    }
    if has("cgroup.subtree_control")? { Ok(()) } else { fs::write(group.join("cgroup.subtree_control"), "+cpu") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like a control group to whoever only reads and writes files.
    fn group(controllers: &str, handed_on: &str) -> tempfile::TempDir {
        let group = tempfile::tempdir().unwrap();
        fs::write(group.path().join("cgroup.controllers"), controllers).unwrap();
        fs::write(group.path().join("cgroup.subtree_control"), handed_on).unwrap();
        group
    }

    #[test]
    fn a_tree_is_held_by_the_quota_of_its_group() {
        let parent = group("cpuset cpu io memory", "cpu memory");
        // The kernel fills a new group by itself.
        let made = Cgroup { path: parent.path().join("cloudscale-1") };
        fs::create_dir(&made.path).unwrap();
        made.hold("i-1", 0.1, [11, 12]).unwrap();
        let read = |file: &str| fs::read_to_string(made.path.join("i-1").join(file)).unwrap();
        assert_eq!((read("cpu.max").as_str(), read("cgroup.procs").as_str()), ("10000 100000", "12"));
        made.hold("i-1", 0.03, []).unwrap();
        assert_eq!(read("cpu.max"), "3000 100000");
        made.hold("i-1", 0.0, []).unwrap();
        assert_eq!(read("cpu.max"), "1000 100000", "the least that the kernel takes");
    }

    #[test]
    fn without_processors_to_hand_on_there_is_no_group() {
        for parent in [group("memory pids", ""), group("", "")] {
            let refused = Cgroup::below(parent.path(), "cloudscale-1").unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
            assert!(!parent.path().join("cloudscale-1").exists());
        }
        let parent = group("cpu", "");
        hand_on_processors(parent.path()).unwrap();
        assert_eq!(fs::read_to_string(parent.path().join("cgroup.subtree_control")).unwrap(), "+cpu");
    }
}
