//! What the cloud did during a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cloud::state::{AlarmState, RefreshStatus};

/// Capacity, instances and scaling events over the run; all times are seconds since its start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cloud {
    /// A point wherever something changed.
    pub capacity: Vec<CapacityPoint>,
    /// Every instance that was seen, those that came or went during the run among them.
    pub instances: Vec<InstanceSpan>,
    /// The groups' scaling activities.
    pub events: Vec<CloudEvent>,
    /// Every change of state of the alarms that the groups' policies are called by.
    #[serde(default)]
    pub alarms: Vec<AlarmChange>,
    /// What the groups' policies followed.
    #[serde(default)]
    pub signals: Vec<Signal>,
    /// The groups' instance refreshes that went on during the run.
    #[serde(default)]
    pub refreshes: Vec<Refresh>,
    /// What was broken on purpose.
    #[serde(default, alias = "blows")]
    pub disruptions: Vec<Disruption>,
    /// What an hour of an instance type counts as; 1 where it is not here.
    #[serde(default)]
    pub weights: BTreeMap<String, f64>,
    /// What of this could not be read, and why.
    #[serde(default)]
    pub missing: Vec<String>,
}

/// What was broken on purpose in a cluster, and how it healed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disruption {
    pub at: f64,
    /// `kill`, `zone`, `hang`, `slow` or `unhealthy`
    pub what: String,
    pub cluster: String,
    pub instances: Vec<String>,
    /// Seconds until none of them was healthy; `None` where that was not seen.
    pub detected_after: Option<f64>,
    /// Seconds until as many instances were healthy as before.
    pub replaced_after: Option<f64>,
    /// Requests that failed meanwhile.
    pub failed: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapacityPoint {
    pub at: f64,
    pub cluster: String,
    pub desired: u32,
    pub running: u32,
    /// Targets that the load balancer calls healthy.
    pub healthy: u32,
}

/// From a start of an instance to its stop or end: one that was stopped meanwhile, in a warm pool, has several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceSpan {
    pub instance: String,
    pub cluster: String,
    pub instance_type: String,
    /// First and last seen to run.
    pub from: f64,
    pub until: f64,
    /// How long the load balancer called it healthy.
    pub healthy_seconds: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CloudEvent {
    pub at: f64,
    pub cluster: String,
    /// `Launching a new EC2 instance: i-0123456789abcdef0`
    pub what: String,
    /// Why, in AWS's words.
    pub cause: String,
    pub status: String,
}

/// An alarm changed its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlarmChange {
    pub at: f64,
    pub cluster: String,
    /// The policy that it calls, as the stack names it.
    pub policy: String,
    /// CloudWatch's name of it.
    pub alarm: String,
    /// `high` or `low` of a target tracking policy, else the policy.
    pub label: String,
    pub from: AlarmState,
    pub to: AlarmState,
    /// What it saw, oldest first.
    pub values: Vec<f64>,
    /// `>`, and what it compares with; `None` where that is a band.
    pub comparison: Option<String>,
    pub threshold: Option<f64>,
    /// Why, in CloudWatch's words.
    pub reason: String,
}

/// The metric that a policy follows, as CloudWatch had it after the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    pub cluster: String,
    /// As the stack names it.
    pub policy: String,
    pub metric: String,
    pub period_seconds: f64,
    /// The start of a period, and its value.
    pub points: Vec<(f64, f64)>,
    pub thresholds: Vec<Threshold>,
}

/// What an alarm of the policy compares it with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// `high` or `low` of a target tracking policy, else the policy.
    pub label: String,
    /// `>`
    pub comparison: String,
    pub value: f64,
}

/// Instances replaced one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refresh {
    /// 0 where it began before the run.
    pub from: f64,
    /// `None` where it went on when the run was over.
    pub until: Option<f64>,
    pub cluster: String,
    pub id: String,
    pub status: RefreshStatus,
    /// How much of it was done.
    pub percent: Option<i32>,
    /// Why it stands as it does, in AWS's words.
    pub reason: Option<String>,
}

impl Cloud {
    /// Hours of all instances of a cluster while the run lasted, each type with its weight.
    pub fn instance_hours(&self, cluster: &str) -> f64 {
        let weight = |kind: &str| self.weights.get(kind).copied().unwrap_or(1.0);
        let own = self.instances.iter().filter(|span| span.cluster == cluster);
        own.map(|span| (span.until - span.from) * weight(&span.instance_type)).sum::<f64>() / 3600.0
    }

    /// The fewest and the most running instances of a cluster.
    pub fn running(&self, cluster: &str) -> Option<(u32, u32)> {
        let running = || self.capacity.iter().filter(|point| point.cluster == cluster).map(|point| point.running);
        running().min().zip(running().max())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_in_the_formats_page() {
        let page = include_str!("../../../docs/result.md");
        let sources = [include_str!("../record.rs"), include_str!("cloud.rs")].join("\n");
        let fields = sources.lines().filter_map(|line| line.strip_prefix("    pub ")?.split_once(':'));
        let fields: Vec<&str> = fields.map(|(name, _)| name).filter(|name| !name.contains(' ')).collect();
        assert!(fields.len() > 100, "{}", fields.len());
        let unknown: Vec<_> = fields.iter().filter(|field| !page.contains(&format!("`{field}`"))).collect();
        assert_eq!(unknown, [&""; 0]);
    }

    #[test]
    fn a_record_of_before_alarms_and_refreshes_were_kept_is_read() {
        let event = r#"{"at": 1.0, "cluster": "web", "what": "w", "cause": "c", "status": "Successful"}"#;
        let cloud = format!(r#"{{"capacity": [], "instances": [], "events": [{event}], "blows": []}}"#);
        let cloud: Cloud = serde_json::from_str(&cloud).expect("read");
        let since = [cloud.alarms.len(), cloud.signals.len(), cloud.refreshes.len(), cloud.missing.len()];
        assert_eq!((cloud.events.len(), since), (1, [0; 4]));
    }
}
