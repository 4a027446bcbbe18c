//! What an instance may take of the machine: so many processes at once, and so much disk for its folder.
//!
//! A watch looks now and then, and an instance that has more is ended with the reason. Looking costs little: no instance can
//! have more processes than the whole machine has, which the kernel tells at once; and the disk is looked at for a twentieth
//! of the time at most.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Processes, folder, tree};
use crate::clock;
use crate::platform::disk;
use crate::platform::processes::{self, End};
use crate::region::signal::Signal;

/// How often the watch looks.
const EVERY: Duration = Duration::from_millis(250);
/// How often it counts where the machine has many processes, most of them others', and none is suddenly there.
const COUNT_EVERY: Duration = Duration::from_secs(1);
/// How often it measures the disk at most, and how many times as long as that takes it rests.
const MEASURE_EVERY: Duration = Duration::from_secs(1);
const RESTS: u32 = 20;
/// What multiplies is stopped again and again until no new process is found, so many times at most.
const STOPS_MAX: u32 = 200;

/// Bounds of every instance of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Processes at once.
    pub processes: u32,
    /// Bytes of its folder.
    pub disk: u64,
}

impl Default for Limits {
    /// More than an application server needs; and as much disk as the images' root volume has.
    fn default() -> Self {
        Self { processes: 1000, disk: 8 << 30 }
    }
}

/// `8 GiB`, `1.5 GiB`, `200 MiB`: as it is written on the command line.
pub fn shown(bytes: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let (size, unit) = units.into_iter().find(|(size, _)| bytes >= *size).unwrap_or((1, "B"));
    let tenths = bytes.saturating_mul(10) / size;
    if tenths.is_multiple_of(10) {
        format!("{}{unit}", tenths / 10)
    } else {
        format!("{}.{}{unit}", tenths / 10, tenths % 10)
    }
}

/// Reads `8GiB`.
///
/// # Errors
/// What is wrong with it, for the command line to show.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let size = match unit.trim() {
        "GiB" => 1_u64 << 30,
        "MiB" => 1 << 20,
        "KiB" => 1 << 10,
        "GB" => 1_000_000_000,
        "MB" => 1_000_000,
        "B" => 1,
        _ => 0,
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(size)).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| format!("`{text}` is no size; write for example 8GiB or 500MB"))
}

/// An instance whose tree runs, with the id of its first process.
type Running = (String, i32);

/// When to count the machine's processes.
#[derive(Debug, Default)]
struct Counting {
    last: Option<(Instant, u32)>,
}

impl Counting {
    /// `machine` is how many the whole machine has.
    fn is_due(&mut self, now: Instant, machine: u32, bound: u32) -> bool {
        let is_due = machine > bound
            && self
                .last
                .is_none_or(|(at, before)| now >= at + COUNT_EVERY || machine > before.saturating_add(bound / 2));
        if is_due {
            self.last = Some((now, machine));
        }
        is_due
    }
}

impl Processes {
    /// Ends instances that take more than they may, for ever.
    pub(super) async fn watch(self: Arc<Self>) {
        let (mut counting, mut measure_at) = (Counting::default(), clock::instant());
        loop {
            clock::sleep(EVERY).await;
            let running = self.running();
            if running.is_empty() {
                continue;
            }
            let now = clock::instant();
            // Where the kernel does not tell how many there are, they are counted.
            let machine = processes::machine_total().unwrap_or(u32::MAX);
            let counts = counting.is_due(now, machine, self.limits.processes);
            let measures = now >= measure_at;
            if !counts && !measures {
                continue;
            }
            let processes = Arc::clone(&self);
            let look = move || {
                let mut found = if counts { processes.too_many(&running) } else { Vec::new() };
                let started = clock::instant();
                found.extend(if measures { processes.too_large(&running) } else { Vec::new() });
                (found, clock::instant().duration_since(started))
            };
            let Ok((found, took)) = tokio::task::spawn_blocking(look).await else { return };
            if measures {
                measure_at = clock::instant() + MEASURE_EVERY.max(took * RESTS);
            }
            for (instance, reason) in found {
                tracing::error!(instance, reason, "the instance is ended");
                self.region.signal(Signal::InstanceFailed { instance, reason });
            }
        }
    }

    fn running(&self) -> Vec<Running> {
        let running = |(instance, tree): (&String, &super::Tree)| Some((instance.clone(), tree.running?.0));
        self.trees().iter().filter_map(running).collect()
    }

    /// Instances with too many processes, which are killed, and why.
    fn too_many(&self, running: &[Running]) -> Vec<(String, String)> {
        let (all, bound) = (tree::snapshot(), self.limits.processes);
        let excess = |(instance, init): &Running| {
            let count = tree::descendants(&all, *init).len();
            let is_excess = u32::try_from(count).is_ok_and(|count| count <= bound);
            (!is_excess).then(|| {
                end_growing(*init);
                let reason = format!(
                    "it had {count} processes and may have {bound} at once (`cloudscale local start --instance-processes`)"
                );
                (instance.clone(), reason)
            })
        };
        running.iter().filter_map(excess).collect()
    }

    /// Instances whose folder is too large, and why.
    fn too_large(&self, running: &[Running]) -> Vec<(String, String)> {
        let bound = self.limits.disk;
        let excess = |(instance, _): &Running| {
            let used = disk::used(&folder(&self.home, instance), bound);
            (used > bound).then(|| {
                let bound = shown(bound);
                let reason =
                    format!("its folder has more than the {bound} of disk that it may (`cloudscale local start --instance-disk`)");
                (instance.clone(), reason)
            })
        };
        running.iter().filter_map(excess).collect()
    }
}

/// Kills everything below `root`, also where it multiplies faster than it can be killed: it is stopped first.
fn end_growing(root: i32) {
    let mut stopped = BTreeSet::new();
    for _ in 0..STOPS_MAX {
        let below = tree::descendants(&tree::snapshot(), root);
        let new: Vec<i32> = below.difference(&stopped).copied().collect();
        if new.is_empty() {
            break;
        }
        new.iter().for_each(|pid| drop(processes::pause(*pid)));
        stopped.extend(new);
    }
    tree::end_all(stopped, End::Forced);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_shown() {
        for (text, bytes) in [("8GiB", 8 << 30), ("200MiB", 200 << 20), ("16KiB", 16 << 10)] {
            assert_eq!((parse_bytes(text), shown(bytes)), (Ok(bytes), text.to_owned()));
        }
        assert_eq!(
            (parse_bytes("500MB"), shown(3 << 29), shown(12)),
            (Ok(500_000_000), "1.5GiB".to_owned(), "12B".to_owned())
        );
        for wrong in ["", "8", "GiB", "8 parsecs", "8b", "-1GiB", "0MB", "99999999999999999999GiB"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_machine_with_few_processes_is_not_counted_and_a_sudden_crowd_is_at_once() {
        let (start, mut counting) = (clock::instant(), Counting::default());
        let at = |millis| start + Duration::from_millis(millis);
        assert!(!counting.is_due(at(0), 1000, 1000));
        assert!(counting.is_due(at(250), 1001, 1000));
        assert!(!counting.is_due(at(500), 1501, 1000));
        assert!(counting.is_due(at(500), 1502, 1000), "half as many as an instance may have have come");
        assert!(!counting.is_due(at(1499), 1502, 1000));
        assert!(counting.is_due(at(1500), 1502, 1000));
    }
}
