//! CPUUtilization: the CPU time of an instance's process tree over the time that went by, in percent of its virtual CPUs.
//!
//! A local `t2.large` has two of this machine's cores at 100 %; nothing holds it to them, so what is above is shown as 100.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::tree::{self, Process};
use crate::region::signal::{Measurement, Statistics};

/// How often the trees are measured. CloudWatch keeps minutes; thirty samples make one.
pub const PERIOD: Duration = Duration::from_secs(2);

/// A tree to measure.
#[derive(Clone, Debug)]
pub struct Tree {
    pub instance: String,
    /// Its init.
    pub pid: i32,
    pub vcpus: u16,
}

/// What was measured last, by init's process id.
#[derive(Debug, Default)]
pub struct Meter {
    last: BTreeMap<i32, (Instant, u64)>,
}

impl Meter {
    /// Measures every tree once; a tree that is new has its first value the next time.
    pub fn measure(
        &mut self,
        at: Instant,
        time: jiff::Timestamp,
        all: &[Process],
        ticks_per_second: u64,
        trees: &[Tree],
    ) -> Vec<Measurement> {
        self.last.retain(|pid, _| trees.iter().any(|tree| tree.pid == *pid));
        let mut measurements = Vec::new();
        for tree in trees {
            let ticks = tree::ticks(all, tree.pid);
            let before = self.last.get(&tree.pid).copied();
            // A process that nobody waits for takes its time with it: the sum may fall, the use may not.
            self.last.insert(tree.pid, (at, ticks.max(before.map_or(0, |(_, ticks)| ticks))));
            if let Some((then, before)) = before {
                let used = to_float(ticks.saturating_sub(before)) / to_float(ticks_per_second.max(1));
                let available = at.duration_since(then).as_secs_f64() * f64::from(tree.vcpus.max(1));
                if available > 0.0 {
                    measurements.push(measurement(tree, time, (used / available * 100.0).min(100.0)));
                }
            }
        }
        measurements
    }
}

#[expect(clippy::cast_precision_loss, reason = "clock ticks of a process tree stay far below 2^52")]
fn to_float(ticks: u64) -> f64 {
    ticks as f64
}

fn measurement(tree: &Tree, time: jiff::Timestamp, percent: f64) -> Measurement {
    Measurement {
        namespace: "AWS/EC2".to_owned(),
        metric: "CPUUtilization".to_owned(),
        dimensions: vec![("InstanceId".to_owned(), tree.instance.clone())],
        time,
        values: Statistics { samples: vec![(percent, 1.0)] },
        unit: "Percent".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_is_in_percent_of_the_types_cpus_and_never_negative() {
        let start = crate::clock::instant();
        let tree = Tree { instance: "i-1".to_owned(), pid: 10, vcpus: 2 };
        let mut meter = Meter::default();
        let mut at = |seconds: u64, ticks: u64| {
            let all = [Process { pid: 10, parent: 1, ticks }];
            let now = start + Duration::from_secs(seconds);
            let measured = meter.measure(now, jiff::Timestamp::UNIX_EPOCH, &all, 100, std::slice::from_ref(&tree));
            measured.first().map(|m| m.values.samples[0].0)
        };
        assert_eq!(at(0, 500), None, "the first look has nothing to compare with");
        assert_eq!(at(2, 700), Some(50.0), "two seconds of CPU in two seconds on two CPUs");
        assert_eq!(at(4, 100), Some(0.0), "a process took its time with it");
        assert_eq!(at(6, 800), Some(25.0), "counted from the highest so far");
        assert_eq!(at(8, 9000), Some(100.0), "more cores than the type has");
    }
}
