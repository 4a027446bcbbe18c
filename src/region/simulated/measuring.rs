//! What the shells measure: once a minute, stamped with the minute's start, as detailed monitoring has it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Gauged, Simulated, routed};
use crate::region::metric::MetricId;
use crate::region::signal::{Measurement, Signal, Statistics};

const MINUTE_SECONDS: f64 = 60.0;

impl Simulated {
    /// Sends the metrics of the minute that has just ended.
    pub(super) fn measure(&mut self) {
        let minute = self.now - SignedDuration::from_mins(1);
        let mut measured = Vec::with_capacity(self.machines.all.len());
        let mut total = 0.0;
        for machine in self.machines.all.values_mut() {
            let Some(since) = machine.running_since else { continue };
            let seconds = self.now.duration_since(since.max(minute)).as_secs_f64();
            let requests = std::mem::take(&mut machine.requests);
            total += requests;
            if seconds > 0.0 {
                let cpu = Statistics::of_one(self.application.cpu_percent(requests, seconds));
                measured.push(Measurement::new(Arc::clone(&machine.cpu), minute, cpu, "Percent"));
            }
        }
        self.measure_targets(minute, total, &mut measured);
        self.measure_gauges(minute, &mut measured);
        if self.checks_status {
            measured.extend(self.world.services.ec2.status_checks(minute));
        }
        if !measured.is_empty() {
            self.signal(Signal::Measurements(measured));
        }
    }

    /// What the load balancer counted; only while requests flow, as on AWS.
    fn measure_targets(&self, minute: Timestamp, requests: f64, measured: &mut Vec<Measurement>) {
        if requests == 0.0 {
            return;
        }
        for (group, metrics) in self.groups.iter().zip(&self.group_metrics) {
            let targets = routed(group).count();
            #[expect(clippy::cast_precision_loss, reason = "targets are few")]
            let each = requests / targets.max(1) as f64;
            let values = [Statistics::of(vec![(1.0, requests)]), Statistics::of_one(each)];
            for (metric, values) in metrics.iter().zip(values) {
                measured.push(Measurement::new(Arc::clone(metric), minute, values, "Count"));
            }
        }
    }

    fn measure_gauges(&self, minute: Timestamp, measured: &mut Vec<Measurement>) {
        if self.gauges.is_empty() {
            return;
        }
        let rate = self.load.requests(minute, self.now) / MINUTE_SECONDS;
        #[expect(clippy::cast_precision_loss, reason = "instances are few")]
        let serving = self.receivers().len() as f64;
        for gauge in &self.gauges {
            let value = match gauge.what {
                Gauged::Rate => rate,
                Gauged::RatePerInstance if serving == 0.0 => continue,
                Gauged::RatePerInstance => rate / serving,
            };
            let metric = Arc::new(MetricId::new(&gauge.namespace, &gauge.name, gauge.dimensions.clone()));
            measured.push(Measurement::new(metric, minute, Statistics::of_one(value), "None"));
        }
    }
}
