//! EC2's status checks as metrics: `StatusCheckFailed` is 0 or 1 a minute, and 1 where either of the other two is.
//!
//! They cost nothing and come each minute whatever the monitoring (EC2 user guide, "CloudWatch metrics for your instances").
//! The check of the system never fails here: it is the machine that the region itself runs on.

use jiff::Timestamp;

use super::model::Ec2;
use crate::region::metric::MetricId;
use crate::region::signal::{InstanceState, Measurement, Statistics};

impl Ec2 {
    /// The status checks of every running instance in the minute that begins at `minute`.
    pub fn status_checks(&self, minute: Timestamp) -> Vec<Measurement> {
        let running = self.instances.all.values().filter(|instance| instance.state == InstanceState::Running);
        let checks = running.map(|instance| (&instance.id, instance.impaired_since.is_some()));
        checks.flat_map(|(id, fails)| measured(id, fails, minute)).collect()
    }
}

fn measured(instance: &str, fails: bool, minute: Timestamp) -> [Measurement; 3] {
    let checks =
        [("StatusCheckFailed", fails), ("StatusCheckFailed_Instance", fails), ("StatusCheckFailed_System", false)];
    checks.map(|(metric, fails)| {
        let metric = MetricId::shared("AWS/EC2", metric, &[("InstanceId", instance)]);
        Measurement::new(metric, minute, Statistics::of_one(f64::from(u8::from(fails))), "Count")
    })
}
