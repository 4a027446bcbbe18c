//! Modelled shells: what an instance does, and how much of it a share of the load takes.
//!
//! `CPU % = idle + (100 − idle) × requests ÷ (capacity × seconds)`, and never more than 100: what comes beyond waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::region::metric::MetricId;

/// The application that every instance runs, and how long its machine takes for things.
#[derive(Clone, Debug)]
pub struct Application {
    /// From the launch until the instance runs.
    pub boot_seconds: i64,
    /// From then until it answers health checks and requests.
    pub start_seconds: i64,
    /// From the order to end until the instance is gone.
    pub end_seconds: i64,
    /// How long the requests take that are in flight when a target is deregistered.
    pub drain_seconds: i64,
    /// Requests per second that take all of an instance's CPU.
    pub capacity: f64,
    /// CPU of an instance without requests, in percent.
    pub idle_percent: f64,
}

impl Default for Application {
    fn default() -> Self {
        Self {
            boot_seconds: 20,
            start_seconds: 10,
            end_seconds: 5,
            drain_seconds: 5,
            capacity: 100.0,
            idle_percent: 1.0,
        }
    }
}

impl Application {
    /// The CPU utilization of an instance that had so many requests in so many seconds.
    pub fn cpu_percent(&self, requests: f64, seconds: f64) -> f64 {
        let busy = (requests / (self.capacity * seconds)).min(1.0);
        self.idle_percent + (100.0 - self.idle_percent) * busy
    }
}

/// How far an instance's machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Booting,
    /// It runs; the application starts.
    Starting,
    Serving,
    /// The application answers nothing any more, or errors.
    Broken,
}

#[derive(Clone, Debug)]
pub struct Machine {
    pub stage: Stage,
    /// Requests since the last minute was measured.
    pub requests: f64,
    /// Since when it runs.
    pub running_since: Option<Timestamp>,
    /// How many shares of the load it gets: one for each target that it is.
    pub shares: u32,
    /// The metric of its CPU.
    pub cpu: Arc<MetricId>,
}

impl Machine {
    /// One that was just switched on.
    pub fn new(instance: &str) -> Self {
        let cpu = MetricId::shared("AWS/EC2", "CPUUtilization", &[("InstanceId", instance)]);
        Self { stage: Stage::Booting, requests: 0.0, running_since: None, shares: 0, cpu }
    }
}

/// All machines that are there, by instance.
#[derive(Clone, Debug, Default)]
pub struct Machines {
    pub all: BTreeMap<String, Machine>,
}

impl Machines {
    pub fn stage(&self, instance: &str) -> Option<Stage> {
        self.all.get(instance).map(|machine| machine.stage)
    }

    pub fn is_serving(&self, instance: &str) -> bool {
        self.stage(instance) == Some(Stage::Serving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_become_cpu_up_to_all_of_it() {
        let application = Application { capacity: 50.0, idle_percent: 10.0, ..Application::default() };
        let cpu = [0.0, 1500.0, 3000.0, 9000.0].map(|requests| application.cpu_percent(requests, 60.0));
        assert_eq!(cpu, [10.0, 55.0, 100.0, 100.0]);
    }
}
