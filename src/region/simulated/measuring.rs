//! What the shells measure: once a minute, stamped with the minute's start, as detailed monitoring has it.

use jiff::{SignedDuration, Timestamp};

use super::{Gauged, Simulated};
use crate::region::signal::{Measurement, Signal, Statistics};

const MINUTE_SECONDS: f64 = 60.0;

impl Simulated {
    /// Sends the metrics of the minute that has just ended.
    pub(super) fn measure(&mut self) {
        let minute = self.now - SignedDuration::from_mins(1);
        let mut measured = Vec::new();
        let mut total = 0.0;
        for (instance, machine) in &mut self.machines.all {
            let Some(since) = machine.running_since else { continue };
            let seconds = self.now.duration_since(since.max(minute)).as_secs_f64();
            let requests = std::mem::take(&mut machine.requests);
            total += requests;
            if seconds > 0.0 {
                let cpu = self.application.cpu_percent(requests, seconds);
                let instance = [("InstanceId", instance.as_str())];
                measured.push(measurement("AWS/EC2", "CPUUtilization", &instance, minute, cpu, "Percent"));
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
    fn measure_targets(&mut self, minute: Timestamp, requests: f64, measured: &mut Vec<Measurement>) {
        if requests == 0.0 || self.groups.is_empty() {
            return;
        }
        for group in &self.groups {
            let targets = super::routed(group).count();
            let dimensions =
                [("TargetGroup", group.full_name.as_str()), ("LoadBalancer", group.load_balancer.as_str())];
            let mut count = measurement("AWS/ApplicationELB", "RequestCount", &dimensions, minute, 1.0, "Count");
            count.values.samples = vec![(1.0, requests)];
            measured.push(count);
            #[expect(clippy::cast_precision_loss, reason = "targets are few")]
            let each = requests / targets.max(1) as f64;
            measured.push(measurement(
                "AWS/ApplicationELB",
                "RequestCountPerTarget",
                &dimensions,
                minute,
                each,
                "Count",
            ));
        }
    }

    fn measure_gauges(&mut self, minute: Timestamp, measured: &mut Vec<Measurement>) {
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
            let dimensions: Vec<(&str, &str)> =
                gauge.dimensions.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            measured.push(measurement(&gauge.namespace, &gauge.name, &dimensions, minute, value, "None"));
        }
    }
}

fn measurement(
    namespace: &str,
    metric: &str,
    dimensions: &[(&str, &str)],
    time: Timestamp,
    value: f64,
    unit: &str,
) -> Measurement {
    Measurement {
        namespace: namespace.to_owned(),
        metric: metric.to_owned(),
        dimensions: dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        time,
        values: Statistics { samples: vec![(value, 1.0)] },
        unit: unit.to_owned(),
    }
}
