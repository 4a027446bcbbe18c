//! Disturbances of an instance's processes: what a hung, a slow or a crashed application looks like from outside.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Processes, tree};
use crate::clock;
use crate::platform::processes::{self, End};

/// A slow instance runs for a tenth of the time.
const RUNS: Duration = Duration::from_millis(5);
const RESTS: Duration = Duration::from_millis(45);
/// The longest disturbance: nobody waits for more.
pub const LASTS_MAX: Duration = Duration::from_secs(86_400);

/// What can happen to the processes of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// They stand still for a while: connections are taken and nothing is answered.
    Hang,
    /// They run for a tenth of the time, for a while.
    Slow,
    /// They are gone, as after a crash; the instance itself runs on.
    Unhealthy,
}

impl Disturbance {
    pub const ALL: [Self; 3] = [Self::Hang, Self::Slow, Self::Unhealthy];

    pub fn name(self) -> &'static str {
        match self {
            Self::Hang => "hang",
            Self::Slow => "slow",
            Self::Unhealthy => "unhealthy",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

impl Processes {
    /// Disturbs an instance; what lasts goes on behind. `false` where no such instance runs.
    pub async fn disturb(self: &Arc<Self>, instance: &str, disturbance: Disturbance, lasts: Duration) -> bool {
        let Some((init, _)) = self.trees().get(instance).and_then(|tree| tree.running) else { return false };
        tracing::info!(instance, ?disturbance, ?lasts, "disturbed");
        let lasts = lasts.min(LASTS_MAX);
        let (processes, name) = (Arc::clone(self), instance.to_owned());
        match disturbance {
            Disturbance::Unhealthy => tree::end_all(below(init).await, End::Forced),
            // What holds it to its share of a core would continue what is to stand still.
            Disturbance::Hang | Disturbance::Slow => drop(tokio::spawn(async move {
                processes.set_disturbed(&name, 1);
                match disturbance {
                    Disturbance::Hang => hang(init, lasts).await,
                    _ => slow(init, lasts).await,
                }
                processes.set_disturbed(&name, -1);
            })),
        }
        true
    }

    fn set_disturbed(&self, instance: &str, change: i32) {
        if let Some(tree) = self.trees().get_mut(instance) {
            tree.disturbed += change;
        }
    }
}

/// The processes below an instance's first one.
async fn below(init: i32) -> BTreeSet<i32> {
    let look = move || tree::descendants(&tree::snapshot(), init);
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

async fn hang(init: i32, lasts: Duration) {
    let stopped = below(init).await;
    stopped.iter().for_each(|pid| drop(processes::pause(*pid)));
    clock::sleep(lasts).await;
    stopped.iter().for_each(|pid| drop(processes::resume(*pid)));
}

async fn slow(init: i32, lasts: Duration) {
    let until = clock::instant() + lasts;
    while clock::instant() < until {
        let found = below(init).await;
        if found.is_empty() {
            return;
        }
        found.iter().for_each(|pid| drop(processes::pause(*pid)));
        clock::sleep(RESTS).await;
        found.iter().for_each(|pid| drop(processes::resume(*pid)));
        clock::sleep(RUNS).await;
    }
}
