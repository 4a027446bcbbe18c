//! Targets: registration, deregistration, and what their health checks mean for them.

use std::net::{Ipv4Addr, SocketAddrV4};

use jiff::Timestamp;

use super::health::Unused;
use super::model::Elbv2;
use super::target::{Target, TargetId};
use super::target_groups::{TargetGroup, port_of};
use crate::region::context::Context;
use crate::region::facts::{Facts, InstanceFacts};
use crate::region::signal::{InstanceState, Probe, ProbeOutcome, Signal, TargetState};
use crate::region::wire::{Answer, ApiError, Params, Value};

/// AWS's quota for one target group.
const TARGETS_MAX: usize = 1000;
impl Elbv2 {
    pub(super) fn register_targets(&mut self, cx: &mut Context, params: &Params) -> Answer {
        let group = self.target_group_mut(params.required("TargetGroupArn")?)?;
        let mut wanted = Vec::new();
        for id in parse_targets(params, group.port)? {
            if group.by_address {
                let facts = at_address(cx.facts, &group.vpc, &id.instance)?;
                wanted.push((id, facts));
                continue;
            }
            let facts = cx.facts.instance(&id.instance).ok_or_else(|| {
                ApiError::new(
                    "InvalidTarget",
                    format!("The following targets are not valid instances: '{}'", id.instance),
                )
            })?;
            if facts.vpc != group.vpc {
                return Err(ApiError::new(
                    "InvalidTarget",
                    format!("The following targets are not in the target group VPC '{}': '{}'", group.vpc, id.instance),
                ));
            }
            if facts.state != InstanceState::Running {
                return Err(ApiError::new(
                    "InvalidTarget",
                    format!(
                        "The following targets are not in a running state and cannot be registered: '{}'",
                        id.instance
                    ),
                ));
            }
            wanted.push((id, facts));
        }
        let new = wanted.iter().filter(|(id, _)| !group.targets.contains_key(id)).count();
        if group.targets.len() + new > TARGETS_MAX {
            return Err(ApiError::new(
                "TooManyTargets",
                format!("A target group can only have '{TARGETS_MAX}' targets"),
            ));
        }
        for (id, facts) in wanted {
            register(group, id, &facts);
        }
        Ok(Value::map())
    }

    pub(super) fn deregister_targets(&mut self, cx: &mut Context, params: &Params) -> Answer {
        let group = self.target_group_mut(params.required("TargetGroupArn")?)?;
        let given = params.maps("Targets");
        if given.is_empty() {
            return Err(ApiError::missing("Targets"));
        }
        for target in given {
            let (instance, port) = (target.required("Id")?, port_of(&target, "Port")?);
            deregister(cx, group, instance, port);
        }
        Ok(Value::map())
    }

    pub(super) fn describe_target_health(&self, params: &Params) -> Answer {
        let group = self.target_group(params.required("TargetGroupArn")?)?;
        let mut described = Vec::new();
        if params.list("Targets").is_empty() {
            for (id, target) in &group.targets {
                described.push(show(group, id, &target.zone, &target.health.state()));
            }
        } else {
            for id in parse_targets(params, group.port)? {
                match group.targets.get(&id) {
                    Some(target) => described.push(show(group, &id, &target.zone, &target.health.state())),
                    None => described.push(show(group, &id, "", &not_registered())),
                }
            }
        }
        Ok(Value::map().with("TargetHealthDescriptions", Value::List(described)))
    }

    /// Auto Scaling registers instances on the group's port, also while they are pending.
    pub(super) fn register_instances(&mut self, cx: &Context, target_group: &str, instances: &[String]) {
        // A group by addresses is refused where it is attached.
        let group = self.target_groups.get_mut(target_group).filter(|group| !group.by_address);
        let Some(group) = group else { return };
        for instance in instances {
            if let Some(facts) = cx.facts.instance(instance) {
                register(group, TargetId { instance: instance.clone(), port: group.port }, &facts);
            }
        }
    }

    pub(super) fn deregister_instances(&mut self, cx: &mut Context, target_group: &str, instances: &[String]) {
        let Some(group) = self.target_groups.get_mut(target_group) else { return };
        for instance in instances {
            deregister(cx, group, instance, None);
        }
    }

    pub(super) fn instance_state(&mut self, now: Timestamp, instance: &str, state: InstanceState) {
        let targets = self.target_groups.values_mut().flat_map(|group| &mut group.targets);
        for (_, target) in targets.filter(|(id, _)| id.instance == instance) {
            target.instance_state = state;
            target.terminated = (state == InstanceState::Terminated).then_some(now);
        }
    }

    /// What a health check said. Returns whether that changed its target: it changes no other.
    pub(super) fn probed(
        &mut self,
        cx: &mut Context,
        target_group: &str,
        id: &TargetId,
        outcome: &ProbeOutcome,
    ) -> bool {
        let Some(group) = self.target_groups.get_mut(target_group) else { return false };
        let Some(target) = group.targets.get_mut(id) else { return false };
        target.health.probed(cx.now, &group.check, outcome);
        announce(cx, &group.arn, id, target)
    }

    /// Sends the health checks that are due, and drops the targets whose time is over: what time alone does. Returns
    /// whether any was dropped.
    pub(super) fn pass_time(&mut self, cx: &mut Context) -> bool {
        let mut changed = false;
        for group in self.target_groups.values_mut() {
            if group.targets.values().any(|target| target.is_over(cx.now)) {
                group.targets.retain(|_, target| !target.is_over(cx.now));
                changed = true;
            }
            for (id, target) in &mut group.targets {
                if target.health.take_probe(cx.now, &group.check, cx.delays.first_probe, spread(id)) {
                    cx.signals.push(Signal::Probe(Probe {
                        target_group: group.arn.clone(),
                        instance: id.instance.clone(),
                        port: id.port,
                        address: SocketAddrV4::new(target.address, group.check.port.unwrap_or(id.port)),
                        path: group.check.path.clone(),
                        timeout: group.check.timeout,
                    }));
                    // "Registration in progress" becomes "initial health checks", which is all the same to who routes.
                    announce(cx, &group.arn, id, target);
                }
            }
        }
        changed
    }

    /// Returns whether that was news.
    pub(super) fn target_idle(&mut self, cx: &Context, target_group: &str, id: &TargetId) -> bool {
        let target = self.target_groups.get_mut(target_group).and_then(|group| group.targets.get_mut(id));
        target.is_some_and(|target| target.health.became_idle(cx.now, cx.delays.shows_draining))
    }

    /// Brings every target in line with the use of its group and the state of its instance, drops those whose time is
    /// over, and tells the others what changed. Returns whether anything did.
    pub(super) fn settle(&mut self, cx: &mut Context) -> bool {
        let used: Vec<String> = self.users().into_keys().map(str::to_owned).collect();
        let mut changed = false;
        for group in self.target_groups.values_mut() {
            let in_use = used.binary_search(&group.arn).is_ok();
            let before = group.targets.len();
            group.targets.retain(|_, target| {
                // Nobody is left who could send it a request, or report that it is idle.
                let left_alone = !in_use && target.health.is_draining();
                !left_alone && !target.is_over(cx.now)
            });
            changed |= group.targets.len() != before;
            for (id, target) in &mut group.targets {
                let usable = match target.instance_state {
                    _ if !in_use => Err(Unused::NotInUse),
                    InstanceState::Running => Ok(()),
                    // Its user data may still run; health checks tell when it is ready.
                    InstanceState::Pending => Ok(()),
                    other => Err(Unused::InvalidState(other)),
                };
                target.health.usable(cx.now, usable);
                changed |= announce(cx, &group.arn, id, target);
            }
        }
        changed
    }
}

/// Tells the others the state of a target where they do not know it. Returns whether they did not.
fn announce(cx: &mut Context, group: &str, id: &TargetId, target: &mut Target) -> bool {
    let state = target.health.state();
    if target.announced.as_ref() == Some(&state) {
        return false;
    }
    target.announced = Some(state.clone());
    let (target_group, instance) = (group.to_owned(), id.instance.clone());
    cx.signals.push(Signal::TargetHealth { target_group, instance, health: state });
    true
}

/// The instance that has an address, whatever it does: an address stays registered when nobody answers there any more.
///
/// # Errors
/// `InvalidTarget` for what is no address, and for one that no instance of the VPC has.
fn at_address(facts: &dyn Facts, vpc: &str, text: &str) -> Result<InstanceFacts, ApiError> {
    let invalid = |why: &str| ApiError::new("InvalidTarget", format!("The IP address '{text}' {why}"));
    let address: Ipv4Addr = text.parse().map_err(|_| invalid("is not a valid IPv4 address"))?;
    let all = facts.instances();
    let there = all.into_iter().find(|it| it.address == address && it.state != InstanceState::Terminated);
    let there = there.filter(|it| it.vpc == vpc);
    let there = there.ok_or_else(|| invalid(&format!("is not that of an instance of the VPC '{vpc}'")))?;
    Ok(InstanceFacts { state: InstanceState::Running, ..there })
}

/// A number in 0–1 that is always the same for one target.
fn spread(id: &TargetId) -> f64 {
    let sum = id.instance.bytes().fold(u32::from(id.port), |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    f64::from(sum % 1000) / 1000.0
}

/// Registering a target that drains brings it back; one that is there already stays as it is.
fn register(group: &mut TargetGroup, id: TargetId, facts: &InstanceFacts) {
    let there = group.targets.entry(id).or_insert_with(|| Target::new(facts));
    if there.health.is_draining() {
        *there = Target::new(facts);
    }
}

/// Without a port, every registration of the instance goes. A target that is not there is no error.
fn deregister(cx: &mut Context, group: &mut TargetGroup, instance: &str, port: Option<u16>) {
    let delay = group.deregistration_delay();
    group.targets.retain(|id, target| {
        let meant = id.instance == instance && port.is_none_or(|port| port == id.port);
        let stays = !meant || target.health.drain(cx.now, delay);
        if !stays {
            let (target_group, instance) = (group.arn.clone(), id.instance.clone());
            cx.signals.push(Signal::TargetHealth { target_group, instance, health: not_registered() });
        }
        stays
    });
}

fn parse_targets(params: &Params, default_port: u16) -> Result<Vec<TargetId>, ApiError> {
    let targets = params.maps("Targets");
    if targets.is_empty() {
        return Err(ApiError::missing("Targets"));
    }
    targets
        .iter()
        .map(|target| {
            let port = port_of(target, "Port")?.unwrap_or(default_port);
            Ok(TargetId { instance: target.required("Id")?.to_owned(), port })
        })
        .collect()
}

fn not_registered() -> TargetState {
    TargetState {
        state: "unused".into(),
        reason: Some("Target.NotRegistered".into()),
        description: Some("Target is not registered to the target group".into()),
    }
}

fn show(group: &TargetGroup, id: &TargetId, zone: &str, state: &TargetState) -> Value {
    let health = Value::map()
        .with("State", Value::from(&*state.state))
        .with("Reason", state.reason.as_deref().map(Value::from))
        .with("Description", state.description.as_deref().map(Value::from));
    let target = Value::map()
        .with("Id", Value::from(id.instance.as_str()))
        .with("Port", Value::from(id.port))
        .with("AvailabilityZone", Some(zone).filter(|zone| !zone.is_empty()).map(Value::from));
    Value::map()
        .with("Target", target)
        .with("HealthCheckPort", Value::from(group.check.port.unwrap_or(id.port).to_string()))
        .with("TargetHealth", health)
}
