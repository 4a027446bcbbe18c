//! `--core-share`: a virtual CPU is so much of one of this machine's cores, for whatever an instance runs.
//!
//! Where control groups may be written, the kernel holds a tree to it (cpu.max). Elsewhere the tree is stopped and continued in
//! short slices: it has a budget that fills at the rate of its cores, empties by what it uses, and below nothing it waits. What
//! credits allow is a factor on both. A tree whose processor is a modelled one is held by the model, and one that is hung on
//! purpose is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Processes, tree};
use crate::clock;
use crate::platform::cgroup::Cgroup;
use crate::platform::processes;
use crate::region::daemon::CoreShareStatus;
use crate::stack::local::CoreShare;

/// How long a tree runs or waits at least, and how often its processes are looked for: a new one runs free until then.
const SLICE: Duration = Duration::from_millis(20);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// What may be saved up for a moment of much work, in time of all its cores.
const SAVED_MAX: Duration = Duration::from_millis(100);

/// What holds the instances of a region to their share.
#[derive(Debug)]
pub struct Holder {
    pub share: CoreShare,
    cgroup: Option<Cgroup>,
}

impl Holder {
    pub fn new(share: CoreShare) -> Self {
        let cgroup = Cgroup::beside_own(&format!("cloudscale-{}", processes::own_id()));
        let cgroup = cgroup.inspect_err(|error| {
            tracing::info!(%error, "no control group may be written: instances are held by stopping and continuing them");
        });
        Self { share, cgroup: cgroup.ok() }
    }

    /// What is in force, as `local status` says it.
    pub fn status(&self) -> CoreShareStatus {
        let by = if self.cgroup.is_some() { "cgroup" } else { "slices" };
        CoreShareStatus { share: self.share.to_string(), by: by.to_owned() }
    }
}

/// What a tree may still use before it waits.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Budget {
    /// Seconds of a core.
    left: f64,
    /// All that it had used when it was looked at last.
    used: Duration,
    waits: bool,
}

impl Budget {
    fn new(used: Duration) -> Self {
        Self { left: 0.0, used, waits: false }
    }

    /// After so much time with so many cores, and all that it has used by now: whether it waits from here on.
    fn pass(&mut self, elapsed: Duration, cores: f64, used: Duration) -> bool {
        let filled = self.left + cores * elapsed.as_secs_f64();
        // A process that nobody waits for takes its time with it.
        self.left = filled.min(cores * SAVED_MAX.as_secs_f64()) - used.saturating_sub(self.used).as_secs_f64();
        self.used = self.used.max(used);
        self.waits = self.left < 0.0;
        self.waits
    }
}

/// A tree that is held.
struct Held {
    budget: Budget,
    below: BTreeSet<i32>,
}

/// A tree to hold: its instance, its first process, and its cores.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub instance: String,
    pub init: i32,
    pub cores: f64,
}

impl Processes {
    /// Holds every tree to its share, until it is aborted.
    pub(super) async fn hold(self: Arc<Self>) {
        let Some(holder) = &self.holder else { return };
        match &holder.cgroup {
            Some(cgroup) => self.hold_by_groups(cgroup).await,
            None => self.hold_by_slices().await,
        }
    }

    async fn hold_by_groups(&self, cgroup: &Cgroup) {
        let mut groups = BTreeSet::new();
        loop {
            clock::sleep(LOOK_EVERY).await;
            let wanted = self.held();
            let Ok(all) = tokio::task::spawn_blocking(tree::snapshot).await else { return };
            for tree in &wanted {
                let pids = tree::descendants(&all, tree.init).into_iter().chain([tree.init]);
                if let Err(error) = cgroup.hold(&tree.instance, tree.cores, pids) {
                    tracing::error!(instance = tree.instance, %error, "the instance is not held to its share of a core");
                }
            }
            let now: BTreeSet<String> = wanted.into_iter().map(|tree| tree.instance).collect();
            groups.difference(&now).for_each(|gone| cgroup.remove(gone));
            groups = now;
        }
    }

    async fn hold_by_slices(&self) {
        let (mut trees, mut then) = (BTreeMap::<i32, Held>::new(), clock::instant());
        let mut looked: Option<Instant> = None;
        let ticks_per_second = processes::ticks_per_second();
        loop {
            clock::sleep(SLICE).await;
            let (wanted, now) = (self.held(), clock::instant());
            if looked.is_none_or(|looked| now >= looked + LOOK_EVERY) && !wanted.is_empty() {
                let Ok(all) = tokio::task::spawn_blocking(tree::snapshot).await else { return };
                looked = Some(now);
                for tree in &wanted {
                    let below = tree::descendants(&all, tree.init);
                    let used = || used(&below, ticks_per_second);
                    let held = trees.entry(tree.init);
                    held.or_insert_with(|| Held { budget: Budget::new(used()), below: BTreeSet::new() }).below =
                        below.clone();
                }
            }
            // Nobody else would continue what is not to be held any more.
            trees.retain(|init, held| {
                let stays = wanted.iter().any(|tree| tree.init == *init);
                if !stays && held.budget.waits {
                    held.below.iter().for_each(|pid| drop(processes::resume(*pid)));
                }
                stays
            });
            for tree in &wanted {
                let Some(held) = trees.get_mut(&tree.init) else { continue };
                let waited = held.budget.waits;
                let waits = held.budget.pass(now - then, tree.cores, used(&held.below, ticks_per_second));
                // Again in every slice that it waits: there may be new ones.
                if waits {
                    held.below.iter().for_each(|pid| drop(processes::pause(*pid)));
                } else if waited {
                    held.below.iter().for_each(|pid| drop(processes::resume(*pid)));
                }
            }
            then = now;
        }
    }

    /// The trees to hold, with the cores that each has.
    fn held(&self) -> Vec<Wanted> {
        let trees = self.measurable(|tree| tree.disturbed == 0 && !tree.end.is_cancelled() && !tree.reported.is_some());
        let wanted = |tree: super::cpu::Tree| Wanted {
            cores: tree.cores * tree.reported.allowed(),
            instance: tree.instance,
            init: tree.pid,
        };
        trees.into_iter().map(wanted).collect()
    }
}

/// What processes have used of the processors, without those that have ended and were not waited for.
fn used(pids: &BTreeSet<i32>, ticks_per_second: u64) -> Duration {
    let ticks: u64 = pids.iter().filter_map(|pid| tree::one(*pid)).map(|process| process.ticks).sum();
    Duration::from_millis(ticks.saturating_mul(1000) / ticks_per_second.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_busy_all_the_time_runs_for_its_share_of_it() {
        // A tree of a tenth of a core that would take a whole one, in slices of 20 ms for ten seconds.
        let mut budget = Budget::new(Duration::ZERO);
        let (mut used, mut waits) = (Duration::ZERO, false);
        for _ in 0..500 {
            used += if waits { Duration::ZERO } else { SLICE };
            waits = budget.pass(SLICE, 0.1, used);
        }
        assert!((0.98..=1.05).contains(&used.as_secs_f64()), "{used:?}");
    }

    #[test]
    fn what_was_idle_may_use_a_little_at_once_and_then_its_share() {
        let mut budget = Budget::new(Duration::from_secs(7));
        assert!(!budget.pass(Duration::from_secs(60), 0.5, Duration::from_secs(7)));
        // 50 ms are saved, whatever it did not use in a minute.
        assert!(!budget.pass(SLICE, 0.5, Duration::from_millis(7050)));
        assert!(budget.pass(SLICE, 0.5, Duration::from_millis(7090)));
    }

    #[test]
    fn a_process_that_takes_its_time_with_it_gives_no_budget() {
        let mut budget = Budget::new(Duration::from_secs(5));
        assert!(!budget.pass(SLICE, 1.0, Duration::from_secs(1)));
        assert!(budget.left <= 0.1 && budget.used == Duration::from_secs(5), "{budget:?}");
    }
}
