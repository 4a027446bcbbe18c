//! CPUUtilization: the CPU time of an instance's process tree over the time that went by, in percent of its virtual
//! CPUs.
//!
//! A local `t2.large` has two of this machine's cores at 100 %, or as much of them as `--core-share` says; without it
//! nothing holds it to them, so what is above is shown as 100.
//!
//! An application with a modelled processor burns none: it reports how busy that one was, and its instance is as busy.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::tree::{self, Process};
use crate::clock::speed;
use crate::region::metric::MetricId;
use crate::region::signal::{Measurement, Statistics};

/// The trees are measured once a minute, at its end: one sample makes a datapoint, as EC2 sends it with detailed
/// monitoring. More samples would make its Maximum the peak of a moment.
const PERIOD_SECONDS: i64 = 60;
/// How often new trees are looked for, in region time.
pub const NEW_EVERY: Duration = Duration::from_secs(5);
/// At most so often by the wall: it reads all processes of the machine.
pub const NEW_EVERY_MIN: Duration = Duration::from_secs(1);
/// A tree that has run for less, in region time, is not measured yet; what it used counts in its first full minute.
const YOUNGEST: Duration = Duration::from_secs(10);

/// The end of the minute that `now` lies in.
pub fn end_of_minute(now: Timestamp) -> Timestamp {
    Timestamp::from_second((now.as_second().div_euclid(PERIOD_SECONDS) + 1) * PERIOD_SECONDS).unwrap_or(Timestamp::MAX)
}

/// The start of the minute that ends at `end`.
pub fn start_of_minute(end: Timestamp) -> Timestamp {
    Timestamp::from_second(end.as_second() - PERIOD_SECONDS).unwrap_or(end)
}

/// How busy a modelled processor was, as its application reported last, and what it is answered: how much of it is
/// allowed.
#[derive(Clone, Debug, Default)]
pub struct Reported(Arc<Mutex<Conversation>>);

#[derive(Clone, Copy, Debug)]
struct Conversation {
    report: Option<Report>,
    allowed: f64,
}

impl Default for Conversation {
    fn default() -> Self {
        Self { report: None, allowed: 1.0 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Report {
    at: Instant,
    /// Busy so far, on the average of its virtual CPUs.
    busy: Duration,
}

impl Reported {
    pub fn set(&self, at: Instant, busy: Duration) {
        self.locked().report = Some(Report { at, busy });
    }

    /// From now on it has this share of its virtual CPUs: so many credits are left.
    pub fn allow(&self, share: f64) {
        self.locked().allowed = share;
    }

    pub fn allowed(&self) -> f64 {
        self.locked().allowed
    }

    pub fn is_some(&self) -> bool {
        self.get().is_some()
    }

    fn get(&self) -> Option<Report> {
        self.locked().report
    }

    fn locked(&self) -> MutexGuard<'_, Conversation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A tree to measure.
#[derive(Clone, Debug)]
pub struct Tree {
    pub instance: String,
    /// Its init.
    pub pid: i32,
    /// What it has of this machine's cores, all its virtual CPUs together.
    pub cores: f64,
    /// When it started; nothing was used before.
    pub started: Instant,
    /// Where its processor is a modelled one.
    pub reported: Reported,
}

/// What was measured last, by init's process id: when, and how long its virtual CPUs had been busy in the mean.
#[derive(Debug, Default)]
pub struct Meter {
    last: BTreeMap<i32, (Instant, Duration)>,
}

impl Meter {
    /// Measures every tree once, since the time before or its start; or those that were never measured, so that a new
    /// instance is seen before its first minute is over.
    pub fn measure<'a>(
        &mut self,
        at: Instant,
        all: &[Process],
        ticks_per_second: u64,
        trees: &'a [Tree],
        only_new: bool,
    ) -> Vec<Used<'a>> {
        self.last.retain(|pid, _| trees.iter().any(|tree| tree.pid == *pid));
        let mut measured = Vec::new();
        for tree in trees {
            if only_new && self.last.contains_key(&tree.pid) {
                continue;
            }
            let (then, before) = self.last.get(&tree.pid).copied().unwrap_or((tree.started, Duration::ZERO));
            let (now, busy) = match tree.reported.get() {
                Some(report) => (report.at, report.busy),
                None => (at, busy(tree::ticks(all, tree.pid), ticks_per_second, tree.cores)),
            };
            let elapsed = now.saturating_duration_since(then);
            if elapsed < speed::wall(YOUNGEST) {
                continue;
            }
            // A process that nobody waits for takes its time with it: the sum may fall, the use may not.
            self.last.insert(tree.pid, (now, busy.max(before)));
            let share = busy.saturating_sub(before).as_secs_f64() / elapsed.as_secs_f64();
            measured.push(Used { tree, elapsed, share: share.min(1.0) });
        }
        measured
    }
}

/// How long each of the CPUs was busy in the mean, for the clock ticks of all.
fn busy(ticks: u64, ticks_per_second: u64, cores: f64) -> Duration {
    let all = Duration::from_millis(ticks.saturating_mul(1000) / ticks_per_second.max(1));
    all.div_f64(cores.max(f64::from(f32::EPSILON)))
}

/// What a tree has used since it was measured last.
#[derive(Clone, Copy, Debug)]
pub struct Used<'a> {
    pub tree: &'a Tree,
    /// By the wall.
    pub elapsed: Duration,
    /// Of its virtual CPUs: 0 to 1.
    pub share: f64,
}

impl Used<'_> {
    /// As CloudWatch takes it, in the minute that starts at `time`.
    pub fn measurement(&self, time: Timestamp) -> Measurement {
        let metric = MetricId::shared("AWS/EC2", "CPUUtilization", &[("InstanceId", &self.tree.instance)]);
        Measurement::new(metric, time, Statistics::of_one(self.share * 100.0), "Percent")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_measured_at_its_end_and_stamped_with_its_start() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let end = end_of_minute(at("2026-11-21T10:00:17.5Z"));
        assert_eq!((end, start_of_minute(end)), (at("2026-11-21T10:01:00Z"), at("2026-11-21T10:00:00Z")));
        assert_eq!(end_of_minute(end), at("2026-11-21T10:02:00Z"));
    }

    #[test]
    fn use_is_in_percent_of_the_types_cpus_and_never_negative() {
        let start = crate::clock::instant();
        let tree =
            Tree { instance: "i-1".to_owned(), pid: 10, cores: 2.0, started: start, reported: Reported::default() };
        let mut meter = Meter::default();
        let mut at = |seconds: u64, ticks: u64| {
            let all = [Process { pid: 10, parent: 1, ticks }];
            let now = start + Duration::from_secs(seconds);
            let measured = meter.measure(now, &all, 100, std::slice::from_ref(&tree), false);
            measured.first().map(|used| used.measurement(Timestamp::UNIX_EPOCH).values.samples()[0].0)
        };
        assert_eq!(at(5, 500), None, "too recent");
        assert_eq!(at(60, 6000), Some(50.0), "a minute of CPU in a minute on two CPUs");
        assert_eq!(at(120, 100), Some(0.0), "a process took its time with it");
        assert_eq!(at(180, 9000), Some(25.0), "counted from the highest so far");
        assert_eq!(at(240, 90_000), Some(100.0), "more cores than the type has");
    }

    #[test]
    fn a_modelled_processor_is_as_busy_as_it_reports_between_its_reports() {
        let start = crate::clock::instant();
        let reported = Reported::default();
        let tree = Tree { instance: "i-1".to_owned(), pid: 10, cores: 2.0, started: start, reported: reported.clone() };
        let mut meter = Meter::default();
        let mut at = |seconds: u64, (reported_at, busy): (u64, u64)| {
            reported.set(start + Duration::from_secs(reported_at), Duration::from_secs(busy));
            // The processes themselves use next to nothing.
            let all = [Process { pid: 10, parent: 1, ticks: 1 }];
            let now = start + Duration::from_secs(seconds);
            let trees = std::slice::from_ref(&tree);
            let measured = meter.measure(now, &all, 100, trees, false);
            measured.first().map(|used| used.share * 100.0)
        };
        assert_eq!(at(60, (50, 40)), Some(80.0));
        assert_eq!(at(120, (110, 70)), Some(50.0));
    }
}
