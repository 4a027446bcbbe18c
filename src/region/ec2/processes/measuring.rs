//! How busy instances are, and whether their status checks fail: measured at the end of every minute, paid for in CPU credits, and told to CloudWatch.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::credits::{Credits, Terms};
use super::{Processes, Tree, cpu, tree};
use crate::clock::{self, speed};
use crate::platform::processes;
use crate::region::metric::MetricId;
use crate::region::signal::{Measurement, Signal, Statistics};

/// Metrics of CPU credits are those of five minutes (EC2 user guide, "CPU credit metrics …").
const CREDITS_PERIOD_SECONDS: i64 = 300;

impl Processes {
    /// Measures the trees' CPU time at the end of every minute, and that of a new tree as soon as it can be, for ever.
    pub(super) async fn measure(self: Arc<Self>) {
        let ticks_per_second = processes::ticks_per_second();
        let (mut meter, mut credits) = (cpu::Meter::default(), BTreeMap::<i32, Credits>::new());
        loop {
            let end = cpu::end_of_minute(clock::now());
            let again = clock::now() + cpu::NEW_EVERY.max(speed::region(cpu::NEW_EVERY_MIN));
            clock::sleep_until(end.min(again)).await;
            let only_new = clock::now() < end;
            if !only_new {
                self.check_status(cpu::start_of_minute(end));
            }
            let trees = self.measurable(|_| true);
            if trees.is_empty() {
                continue;
            }
            // Whoever reports needs no look at the machine's processes.
            let all = match trees.iter().all(|tree| tree.reported.is_some()) {
                true => Ok(Vec::new()),
                false => tokio::task::spawn_blocking(tree::snapshot).await,
            };
            let Ok(all) = all else { return };
            let used = meter.measure(clock::instant(), &all, ticks_per_second, &trees, only_new);
            credits.retain(|pid, _| trees.iter().any(|tree| tree.pid == *pid));
            for used in &used {
                self.pay(&mut credits, used);
            }
            let start = cpu::start_of_minute(end);
            let mut measurements: Vec<_> = used.iter().map(|used| used.measurement(start)).collect();
            if !only_new && end.as_second() % CREDITS_PERIOD_SECONDS == 0 {
                measurements.extend(reports(&trees, &mut credits, end));
            }
            if !measurements.is_empty() {
                self.region.signal(Signal::Measurements(measurements));
            }
        }
    }

    /// Tells the status checks of the minute that is over, those of instances without a tree, too.
    fn check_status(&self, minute: Timestamp) {
        let checks = self.region.read(|world| world.services.ec2.status_checks(minute));
        if !checks.is_empty() {
            self.region.signal(Signal::Measurements(checks));
        }
    }

    /// Takes what was used from the credits of a burstable instance, and says what it has from now on.
    fn pay(&self, credits: &mut BTreeMap<i32, Credits>, used: &cpu::Used<'_>) {
        // What nothing holds to its processors has no use for credits.
        let is_held = self.holder.is_some() || used.tree.reported.is_some();
        let Some(terms) = self.terms(&used.tree.instance).filter(|_| is_held) else { return };
        let credits = credits.entry(used.tree.pid).or_insert_with(|| Credits::new(terms));
        credits.pass(speed::region(used.elapsed), used.share);
        used.tree.reported.allow(credits.allowed());
    }

    fn terms(&self, instance: &str) -> Option<Terms> {
        self.region.read(|world| world.services.ec2.credit_terms_of(instance))
    }

    /// The trees that have started, of those that `wanted` takes.
    pub(super) fn measurable(&self, wanted: impl Fn(&Tree) -> bool) -> Vec<cpu::Tree> {
        let running = |(instance, tree): (&String, &Tree)| {
            let (pid, started) = tree.running.filter(|_| wanted(tree))?;
            Some(cpu::Tree { instance: instance.clone(), pid, started, cores: 0.0, reported: tree.reported.clone() })
        };
        let running: Vec<cpu::Tree> = self.trees().iter().filter_map(running).collect();
        let of_a_core = self.holder.as_ref().map_or(1.0, |holder| holder.share.cores());
        self.region.read(|world| {
            let sized = |tree: cpu::Tree| {
                let vcpus = world.services.ec2.vcpus_of(&tree.instance)?;
                Some(cpu::Tree { cores: f64::from(vcpus) * of_a_core, ..tree })
            };
            running.into_iter().filter_map(sized).collect()
        })
    }
}

/// The credits of the five minutes that end at `end`.
fn reports(trees: &[cpu::Tree], credits: &mut BTreeMap<i32, Credits>, end: Timestamp) -> Vec<Measurement> {
    let start = Timestamp::from_second(end.as_second() - CREDITS_PERIOD_SECONDS).unwrap_or(end);
    let mut measurements = Vec::new();
    for tree in trees {
        let Some(credits) = credits.get_mut(&tree.pid) else { continue };
        measurements.extend(credits.report().metrics().map(|(metric, value)| {
            let metric = MetricId::shared("AWS/EC2", metric, &[("InstanceId", &tree.instance)]);
            Measurement::new(metric, start, Statistics::of_one(value), "Count")
        }));
    }
    measurements
}
