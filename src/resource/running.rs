//! The capacity that a stack has now, by cluster: what it costs, and whom a change reaches, follows from it.

use std::collections::BTreeMap;

/// The capacity that a stack has now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    pub load_balancers: u32,
    /// By the cluster's name.
    pub clusters: BTreeMap<String, ClusterRunning>,
}

/// The capacity that a cluster has now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterRunning {
    /// Instance type → how many are pending or running: those are charged for.
    pub running: BTreeMap<String, u32>,
    /// Of each fixed instance the hash of the launch template that it is from.
    pub templates: Vec<String>,
    /// Of the Auto Scaling group.
    pub desired: Option<u32>,
}

impl ClusterRunning {
    pub fn instances(&self) -> u32 {
        self.running.values().sum()
    }
}
