//! Elastic Load Balancing's state, and what moves it: calls, signals and time.
//!
//! The nouns have a file each (`load_balancers.rs`, `target_groups.rs`, …) with their operations. After every change
//! [`Elbv2::settle`] brings the targets in line; [`Elbv2::revision`] then tells the proxy to look again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::listeners::Listener;
use super::load_balancers::LoadBalancer;
use super::target::TargetId;
use super::target_groups::TargetGroup;
use crate::region::context::Context;
use crate::region::facts::{LoadBalancerNode, TargetGroupFacts};
use crate::region::metric::MetricId;
use crate::region::signal::{Measurement, Signal, Statistics, TargetState};
use crate::region::wire::{Answer, ApiError, Request};

/// How often the number of healthy and unhealthy hosts is measured. AWS has a sample from each of its nodes every few
/// seconds; the statistic of a minute wants more than one.
const HOST_COUNT_PERIOD: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Elbv2 {
    /// By ARN, as are the others.
    pub(super) load_balancers: BTreeMap<String, LoadBalancer>,
    pub(super) target_groups: BTreeMap<String, TargetGroup>,
    pub(super) listeners: BTreeMap<String, Listener>,
    /// Whether ports below 1024 may be bound on this machine.
    low_ports: bool,
    revision: u64,
    next_host_count: Option<Timestamp>,
    /// How many hosts were counted last, and at which revision: without another they are as many.
    #[serde(skip)]
    hosts: (u64, Vec<(Arc<MetricId>, f64)>),
}

/// As `check_name` speaks of them.
pub(super) const LOAD_BALANCER: &str = "The load balancer";
pub(super) const TARGET_GROUP: &str = "Target group";

/// What is added to a port below 1024 where those may not be bound.
const LOW_PORT_SHIFT: u16 = 8000;

impl Elbv2 {
    /// Runs one operation.
    pub fn call(&mut self, cx: &mut Context, request: &Request) -> Answer {
        let answer = self.dispatch(cx, request);
        if answer.is_ok() && !request.operation.starts_with("Describe") {
            self.revision += 1;
            self.changed(cx);
        }
        answer
    }

    /// Takes what another service or a shell says; ignores what does not concern it.
    pub fn signal(&mut self, cx: &mut Context, signal: &Signal) {
        match signal {
            Signal::RegisterTargets { target_group, instances } => {
                self.register_instances(cx, target_group, instances);
            }
            Signal::DeregisterTargets { target_group, instances } => {
                self.deregister_instances(cx, target_group, instances);
                self.revision += 1;
            }
            Signal::InstanceState { instance, state } => self.instance_state(cx.now, instance, *state),
            Signal::ProbeResult { target_group, instance, port, outcome } => {
                let target = TargetId { instance: instance.clone(), port: *port };
                self.revision += u64::from(self.probed(cx, target_group, &target, outcome));
                return;
            }
            Signal::TargetIdle { target_group, instance, port } => {
                let target = TargetId { instance: instance.clone(), port: *port };
                self.revision += u64::from(self.target_idle(cx, target_group, &target));
            }
            Signal::LowPorts { allowed } => self.low_ports = *allowed,
            Signal::ListenerServed { listener, problem } => {
                if let Some(there) = self.listeners.get_mut(listener) {
                    there.problem.clone_from(problem);
                }
            }
            _ => return,
        }
        self.changed(cx);
    }

    /// Does what is due at `cx.now`.
    pub fn advance(&mut self, cx: &mut Context) {
        if self.pass_time(cx) {
            self.revision += 1;
            self.watch_hosts(cx.now);
        }
        if self.next_host_count.is_some_and(|due| due <= cx.now) {
            if self.hosts.0 != self.revision {
                self.hosts = (self.revision, self.count_hosts());
            }
            if !self.hosts.1.is_empty() {
                cx.send(Signal::Measurements(host_counts(&self.hosts.1, cx.now)));
            }
            self.next_host_count = Some(cx.now + HOST_COUNT_PERIOD);
        }
    }

    /// When `advance` next has something to do.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let targets = self.target_groups.values().flat_map(|group| group.targets.values());
        targets.filter_map(|target| target.deadline()).chain(self.next_host_count).min()
    }

    /// The port on which a listener's port is served.
    pub(super) fn served(&self, port: u16) -> u16 {
        if port < 1024 && !self.low_ports { port + LOW_PORT_SHIFT } else { port }
    }

    /// Moves with every change that the proxy must know of.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    fn changed(&mut self, cx: &mut Context) {
        let has_settled = self.settle(cx);
        let has_passed = self.pass_time(cx);
        self.revision += u64::from(has_settled || has_passed);
        self.watch_hosts(cx.now);
    }

    /// Hosts are counted while some target is checked.
    fn watch_hosts(&mut self, now: Timestamp) {
        let checking =
            self.target_groups.values().any(|group| group.targets.values().any(|target| target.health.is_usable()));
        if checking {
            self.next_host_count.get_or_insert(now);
        } else {
            self.next_host_count = None;
        }
    }

    /// `HealthyHostCount` and `UnHealthyHostCount`: for each target group with its load balancer, and again for
    /// each zone; never for the load balancer alone, as on AWS. A target counts as healthy or unhealthy once health
    /// checks have said so or still look for it.
    pub(super) fn count_hosts(&self) -> Vec<(Arc<MetricId>, f64)> {
        let mut counted = Vec::new();
        for (arn, load_balancers) in self.users() {
            let Some(group) = self.target_groups.get(arn) else { continue };
            let usable = || group.targets.values().filter(|target| target.health.is_usable());
            if usable().next().is_none() {
                continue;
            }
            let mut zones: Vec<&str> = usable().map(|target| target.zone.as_str()).collect();
            zones.sort_unstable();
            zones.dedup();
            for load_balancer in load_balancers {
                let Some(load_balancer) = self.load_balancers.get(load_balancer) else { continue };
                for zone in std::iter::once(None).chain(zones.iter().map(|zone| Some(*zone))) {
                    let mut dimensions =
                        vec![("TargetGroup", group.full_name()), ("LoadBalancer", load_balancer.full_name())];
                    dimensions.extend(zone.map(|zone| ("AvailabilityZone", zone)));
                    for (metric, healthy) in [("HealthyHostCount", true), ("UnHealthyHostCount", false)] {
                        let counts = usable().filter(|target| {
                            zone.is_none_or(|zone| zone == target.zone) && target.health.is_healthy() == healthy
                        });
                        let count = u32::try_from(counts.count()).unwrap_or(u32::MAX);
                        counted.push((MetricId::shared("AWS/ApplicationELB", metric, &dimensions), count.into()));
                    }
                }
            }
        }
        counted
    }

    pub fn target_group_facts(&self, arn: &str) -> Option<TargetGroupFacts> {
        let group = self.target_groups.get(arn)?;
        let load_balancers = self.load_balancers_of(arn);
        let full_names = load_balancers.iter().filter_map(|arn| self.load_balancers.get(*arn));
        Some(TargetGroupFacts {
            arn: arn.to_owned(),
            port: group.port,
            full_name: group.full_name().to_owned(),
            load_balancers: full_names.map(|it| it.full_name().to_owned()).collect(),
            targets: group.targets.keys().map(|id| id.instance.clone()).collect(),
            by_address: group.by_address,
        })
    }

    pub fn target_health(&self, target_group: &str, instance: &str) -> Option<TargetState> {
        let targets = &self.target_groups.get(target_group)?.targets;
        targets.iter().find(|(id, _)| id.instance == instance).map(|(_, target)| target.health.state())
    }

    /// Whether an instance is deregistered and may still have requests in flight.
    pub fn target_drains(&self, target_group: &str, instance: &str) -> bool {
        let Some(group) = self.target_groups.get(target_group) else { return false };
        group.targets.iter().any(|(id, target)| id.instance == instance && target.health.is_busy_draining())
    }

    /// One node for each zone of each load balancer.
    pub fn nodes(&self) -> Vec<LoadBalancerNode> {
        self.load_balancers.values().flat_map(LoadBalancer::nodes).collect()
    }

    pub fn security_groups(&self) -> Vec<String> {
        self.load_balancers.values().flat_map(|it| it.security_groups.clone()).collect()
    }
}

fn host_counts(counted: &[(Arc<MetricId>, f64)], now: Timestamp) -> Vec<Measurement> {
    let measurement = |(metric, count): &(Arc<MetricId>, f64)| {
        Measurement::new(Arc::clone(metric), now, Statistics::of_one(*count), "Count")
    };
    counted.iter().map(measurement).collect()
}

/// AWS's rule for the names of load balancers and target groups; it speaks of them in words of its own.
pub(super) fn check_name(what: &str, name: &str) -> Result<(), ApiError> {
    let is_group = what == TARGET_GROUP;
    let problem = if name.is_empty() || name.len() > 32 {
        let end = if is_group { "" } else { " or empty" };
        format!("{what} name '{name}' cannot be longer than '32' characters{end}")
    } else if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        let also = if is_group { "or" } else { "and" };
        format!("{what} name '{name}' can only contain characters that are alphanumeric characters {also} hyphens(-)")
    } else if name.starts_with('-') || name.ends_with('-') {
        format!("{what} name '{name}' cannot begin or end with a hyphen(-)")
    } else {
        return Ok(());
    };
    Err(ApiError::new("ValidationError", problem))
}
