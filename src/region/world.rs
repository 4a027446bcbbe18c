//! The region's whole state: every service's model, and the routing of signals between them.
//!
//! `call` runs an operation, `signal` takes what a shell has to say, `advance` lets time pass. Each returns the signals
//! that leave for the shells. Nothing here does I/O or reads a clock.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use jiff::Timestamp;

use super::addresses::Addresses;
use super::autoscaling::model::Autoscaling;
use super::cloudwatch::model::Cloudwatch;
use super::context::Context;
use super::delays::Delays;
use super::ec2::model::Ec2;
use super::elbv2::model::Elbv2;
use super::facts::{
    Facts, InstanceFacts, LaunchTemplateFacts, LoadBalancerFacts, LoadBalancerNode, SubnetFacts, TargetGroupFacts,
};
use super::ids::Ids;
use super::signal::{Signal, TargetState};
use super::wire::{Answer, ApiError, Params, Request, Service};
use super::{ssm, sts, tagging};

/// A chain of signals longer than this is a mistake in a model, not work.
const SIGNALS_MAX: usize = 100_000;
/// Longer than any of AWS's region names.
const REGION_NAME_MAX: usize = 32;

/// The services' models. A service that asks its own facts while it runs finds none: it looks at itself instead.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Services {
    pub ec2: Ec2,
    pub elbv2: Elbv2,
    pub autoscaling: Autoscaling,
    pub cloudwatch: Cloudwatch,
}

/// A service's model, and where it is.
trait Model: Default {
    /// Its place among the deadlines.
    const NUMBER: usize;
    fn of(services: &mut Services) -> &mut Self;
}

macro_rules! models {
    ($($number:literal: $model:ty = $field:ident),*) => {
        $(impl Model for $model {
            const NUMBER: usize = $number;
            fn of(services: &mut Services) -> &mut Self {
                &mut services.$field
            }
        })*

        impl Services {
            fn next_deadline(&self, number: usize) -> Option<Timestamp> {
                match number {
                    $($number => self.$field.next_deadline(),)*
                    _ => None,
                }
            }
        }
    };
}

models! { 0: Ec2 = ec2, 1: Elbv2 = elbv2, 2: Cloudwatch = cloudwatch, 3: Autoscaling = autoscaling }

/// When each service next has something to do: asked once after what has changed it, not at every look.
#[derive(Clone, Debug, Default)]
struct Deadlines {
    /// Not so of a world that was just made.
    known: bool,
    changed: [bool; 4],
    each: [Option<Timestamp>; 4],
}

/// Everything that the region knows.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct World {
    /// To look at: they are changed through the world only.
    pub services: Services,
    #[serde(skip)]
    deadlines: Deadlines,
    region: String,
    /// Whether somebody has called: a region has the name that its first caller signed for.
    named: bool,
    ids: Ids,
    addresses: Addresses,
    delays: Delays,
}

impl World {
    pub fn new(region: &str, seed: u64) -> Self {
        let mut ids = Ids::with_seed(seed);
        let ec2 = Ec2::with_default_network(region, &mut ids);
        Self {
            services: Services { ec2, ..Services::default() },
            deadlines: Deadlines::default(),
            region: region.to_owned(),
            named: false,
            ids,
            addresses: Addresses::in_block(0),
            delays: Delays::default(),
        }
    }

    /// The block of addresses that the region has claimed; 0 unless said otherwise.
    #[must_use]
    pub fn in_block(self, block: u8) -> Self {
        Self { addresses: Addresses::in_block(block), ..self }
    }

    /// How long things take; as fast as can be unless said otherwise.
    #[must_use]
    pub fn with_delays(self, delays: Delays) -> Self {
        Self { delays, ..self }
    }

    pub fn delays(&self) -> Delays {
        self.delays
    }

    /// Whether it has this name already, for good.
    pub fn is_named(&self, name: &str) -> bool {
        self.named && self.region == name
    }

    /// Lets in a caller who signed for the region `name`. The first one names the region, so that its zones and ARNs are
    /// what that caller expects; there is one region here, so whoever signs for another is refused.
    pub fn admit(&mut self, name: &str) -> Result<(), ApiError> {
        if name == self.region {
            self.named = true;
            return Ok(());
        }
        let well_formed = name.len() <= REGION_NAME_MAX && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if self.named || !well_formed {
            let message = format!(
                "This embedded region is {}: it takes the name that its first caller uses. To have {name}, stop it \
                 (`cloudscale local stop`) or start another with a CLOUDSCALE_HOME of its own.",
                self.region
            );
            return Err(ApiError::new("InvalidRegion", message));
        }
        name.clone_into(&mut self.region);
        self.services.ec2 = Ec2::with_default_network(name, &mut self.ids);
        self.deadlines.known = false;
        self.named = true;
        Ok(())
    }

    /// Runs one operation; also returns the signals for the shells.
    pub fn call(&mut self, now: Timestamp, request: &Request) -> (Answer, Vec<Signal>) {
        // Who somebody is does not depend on the region.
        self.named |= request.service != Service::Sts;
        let mut signals = Vec::new();
        let answer = match request.service {
            Service::Ec2 => self.with::<Ec2, _>(now, &mut signals, |ec2, cx| ec2.call(cx, request)),
            Service::Elbv2 => self.with::<Elbv2, _>(now, &mut signals, |elbv2, cx| elbv2.call(cx, request)),
            Service::Autoscaling => {
                self.with::<Autoscaling, _>(now, &mut signals, |autoscaling, cx| autoscaling.call(cx, request))
            }
            Service::Cloudwatch => {
                self.with::<Cloudwatch, _>(now, &mut signals, |cloudwatch, cx| cloudwatch.call(cx, request))
            }
            Service::Sts => sts::call(&mut self.context(now, &mut signals), request),
            Service::Ssm => ssm::call(&mut self.context(now, &mut signals), request),
            Service::Tagging => tagging::call(&mut self.context(now, &mut signals), request),
        };
        (answer, self.route(now, signals))
    }

    /// Takes what a shell says; returns the signals for the shells.
    pub fn signal(&mut self, now: Timestamp, signal: Signal) -> Vec<Signal> {
        self.route(now, vec![signal])
    }

    /// Lets time pass up to `now`; returns the signals for the shells.
    pub fn advance(&mut self, now: Timestamp) -> Vec<Signal> {
        let mut signals = Vec::new();
        if self.is_due::<Ec2>(now) {
            self.with::<Ec2, _>(now, &mut signals, |ec2, cx| ec2.advance(cx));
        }
        if self.is_due::<Elbv2>(now) {
            self.with::<Elbv2, _>(now, &mut signals, |elbv2, cx| elbv2.advance(cx));
        }
        if self.is_due::<Cloudwatch>(now) {
            self.with::<Cloudwatch, _>(now, &mut signals, |cloudwatch, cx| cloudwatch.advance(cx));
        }
        if self.is_due::<Autoscaling>(now) {
            self.with::<Autoscaling, _>(now, &mut signals, |autoscaling, cx| autoscaling.advance(cx));
        }
        self.route(now, signals)
    }

    /// When `advance` next has something to do.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        (0..self.deadlines.each.len()).filter_map(|number| self.deadline(number)).min()
    }

    fn deadline(&self, number: usize) -> Option<Timestamp> {
        if self.deadlines.known { self.deadlines.each[number] } else { self.services.next_deadline(number) }
    }

    fn is_due<S: Model>(&self, now: Timestamp) -> bool {
        self.deadline(S::NUMBER).is_some_and(|due| due <= now)
    }

    /// Asks the services that have changed for their next deadline.
    fn look_ahead(&mut self) {
        let Deadlines { known, changed, each } = &mut self.deadlines;
        for (number, (changed, deadline)) in changed.iter_mut().zip(each).enumerate() {
            if std::mem::take(changed) || !*known {
                *deadline = self.services.next_deadline(number);
            }
        }
        *known = true;
    }

    /// Hands every signal to whom it concerns until none is left; keeps those that the shells act on.
    fn route(&mut self, now: Timestamp, signals: Vec<Signal>) -> Vec<Signal> {
        let mut outward = Vec::new();
        let mut waiting = VecDeque::from(signals);
        let mut queue = Vec::new();
        let mut count = 0;
        while let Some(signal) = waiting.pop_front() {
            assert!(count < SIGNALS_MAX, "the services' signals do not come to an end: {signal:?}");
            count += 1;
            let Some(concerned) = concerned(&signal) else {
                outward.push(signal);
                continue;
            };
            let hears = |service: Service| concerned.contains(&service);
            if hears(Service::Ec2) {
                self.with::<Ec2, _>(now, &mut queue, |ec2, cx| ec2.signal(cx, &signal));
            }
            if hears(Service::Elbv2) {
                self.with::<Elbv2, _>(now, &mut queue, |elbv2, cx| elbv2.signal(cx, &signal));
            }
            if hears(Service::Cloudwatch) {
                self.with::<Cloudwatch, _>(now, &mut queue, |cloudwatch, cx| cloudwatch.signal(cx, &signal));
            }
            if hears(Service::Autoscaling) {
                self.with::<Autoscaling, _>(now, &mut queue, |autoscaling, cx| autoscaling.signal(cx, &signal));
            }
            waiting.extend(queue.drain(..));
        }
        self.look_ahead();
        outward
    }

    /// Takes one service out of the world, so that it may change while the others answer its questions. It is put back
    /// even when it panics: what the region knew is then still there to be looked at.
    fn with<S: Model, R>(
        &mut self,
        now: Timestamp,
        signals: &mut Vec<Signal>,
        run: impl FnOnce(&mut S, &mut Context) -> R,
    ) -> R {
        self.deadlines.changed[S::NUMBER] = true;
        let mut taken = std::mem::take(S::of(&mut self.services));
        let result = catch_unwind(AssertUnwindSafe(|| run(&mut taken, &mut self.context(now, signals))));
        *S::of(&mut self.services) = taken;
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn context<'a>(&'a mut self, now: Timestamp, signals: &'a mut Vec<Signal>) -> Context<'a> {
        Context {
            now,
            region: &self.region,
            delays: self.delays,
            facts: &self.services,
            ids: &mut self.ids,
            addresses: &mut self.addresses,
            signals,
        }
    }
}

/// The services that a signal concerns; `None` where it is for the shells.
fn concerned(signal: &Signal) -> Option<&'static [Service]> {
    use Service::{Autoscaling, Cloudwatch, Ec2, Elbv2};
    Some(match signal {
        Signal::Boot(_) | Signal::EndProcess { .. } | Signal::Probe(_) => return None,
        Signal::LaunchInstance { .. }
        | Signal::TerminateInstance { .. }
        | Signal::StopInstance { .. }
        | Signal::StartInstance { .. }
        | Signal::TagInstance { .. }
        | Signal::InterruptSpot { .. }
        | Signal::HostFailed
        | Signal::ProcessStarted { .. }
        | Signal::InstanceBooted { .. }
        | Signal::InstanceFailed { .. } => &[Ec2],
        Signal::RegisterTargets { .. }
        | Signal::DeregisterTargets { .. }
        | Signal::ProbeResult { .. }
        | Signal::TargetIdle { .. }
        | Signal::LowPorts { .. }
        | Signal::ListenerServed { .. } => &[Elbv2],
        Signal::PutAlarm { .. }
        | Signal::DeleteAlarms { .. }
        | Signal::AlarmActionDone { .. }
        | Signal::PoliciesDeleted { .. }
        | Signal::Measurements(_) => &[Cloudwatch],
        Signal::InstanceLaunched { .. }
        | Signal::LaunchFailed { .. }
        | Signal::RebalanceRecommended { .. }
        | Signal::TargetHealth { .. }
        | Signal::AlarmAction { .. } => &[Autoscaling],
        Signal::InstanceState { .. } => &[Elbv2, Autoscaling],
        Signal::ProcessEnded { .. } => &[Ec2, Autoscaling],
    })
}

impl Facts for Services {
    fn instance(&self, id: &str) -> Option<InstanceFacts> {
        self.ec2.instance_facts(id)
    }
    fn instances(&self) -> Vec<InstanceFacts> {
        self.ec2.instances_facts()
    }
    fn is_monitored_in_detail(&self, id: &str) -> bool {
        self.ec2.instances.all.get(id).is_some_and(|instance| instance.monitoring)
    }
    fn subnet(&self, id: &str) -> Option<SubnetFacts> {
        self.ec2.subnet_facts(id)
    }
    fn default_subnet(&self, zone: &str) -> Option<SubnetFacts> {
        let subnet = self.ec2.network.default_subnet(Some(zone))?;
        self.ec2.subnet_facts(&subnet.id)
    }
    fn tagged(&self, region: &str) -> Vec<(String, BTreeMap<String, String>)> {
        let mut all = self.ec2.tagged_arns(region);
        all.extend(self.elbv2.tagged());
        all.extend(self.autoscaling.tagged());
        all.extend(self.cloudwatch.tagged());
        all
    }
    fn vpc_exists(&self, id: &str) -> bool {
        self.ec2.vpc_exists(id)
    }
    fn security_group_exists(&self, id: &str) -> bool {
        self.ec2.security_group_exists(id)
    }
    fn launch_template(&self, id_or_name: &str, version: &str) -> Option<LaunchTemplateFacts> {
        self.ec2.launch_template_facts(id_or_name, version)
    }
    fn target_group(&self, arn: &str) -> Option<TargetGroupFacts> {
        self.elbv2.target_group_facts(arn)
    }
    fn target_health(&self, target_group: &str, instance: &str) -> Option<TargetState> {
        self.elbv2.target_health(target_group, instance)
    }
    fn target_drains(&self, target_group: &str, instance: &str) -> bool {
        self.elbv2.target_drains(target_group, instance)
    }
    fn load_balancers(&self) -> Vec<LoadBalancerFacts> {
        self.elbv2.load_balancer_facts()
    }
    fn load_balancer_nodes(&self) -> Vec<LoadBalancerNode> {
        self.elbv2.nodes()
    }
    fn security_groups_of_load_balancers(&self) -> Vec<String> {
        self.elbv2.security_groups()
    }
    fn kind_of_instance(&self, id: &str) -> Option<(&str, &str)> {
        self.ec2.instance_kind(id)
    }
    fn group_of(&self, instance: &str) -> Option<String> {
        self.autoscaling.group_of(instance)
    }
    fn group_that_counts(&self, instance: &str, now: Timestamp) -> Option<&str> {
        self.autoscaling.group_that_counts(instance, now)
    }
    fn target_groups_of_groups(&self) -> Vec<String> {
        self.autoscaling.target_groups()
    }
    fn launch_templates_of_groups(&self) -> Vec<String> {
        self.autoscaling.launch_templates()
    }
    fn check_alarm(&self, params: &Params) -> Result<(), ApiError> {
        self.cloudwatch.check_alarm(params)
    }
    fn metric_history(
        &self,
        queries: &[Params],
        range: &Range<i64>,
        now: Timestamp,
    ) -> Result<BTreeMap<i64, f64>, ApiError> {
        self.cloudwatch.metric_history(queries, range, now)
    }
    fn is_in_alarm(&self, name: &str) -> bool {
        self.cloudwatch.is_in_alarm(name)
    }
    fn alarms_of_policy(&self, policy_arn: &str) -> Vec<String> {
        self.cloudwatch.alarms_of_policy(policy_arn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::wire::Value;

    fn zone(world: &mut World) -> String {
        let operation = "DescribeSubnets".to_owned();
        let request = Request { service: Service::Ec2, operation, params: Params::default() };
        let answer = world.call(Timestamp::UNIX_EPOCH, &request).0.unwrap();
        let Value::Map(fields) = answer else { panic!("{answer:?}") };
        Params(fields).maps("subnetSet")[0].text("availabilityZone").unwrap().to_owned()
    }

    #[test]
    fn the_first_caller_names_the_region_and_a_caller_of_another_is_refused() {
        let mut world = World::new("us-east-1", 1);
        world.admit("ca-central-1").unwrap();
        assert!(zone(&mut world).starts_with("ca-central-1"));
        assert_eq!(world.admit("ca-central-1"), Ok(()));
        let refused = world.admit("us-east-1").unwrap_err();
        assert!(refused.code == "InvalidRegion" && refused.message.contains("is ca-central-1"), "{refused:?}");
    }

    #[test]
    fn a_service_that_panics_keeps_what_it_knew() {
        let mut world = World::new("us-east-1", 1);
        let zones = world.services.ec2.network.subnets.len();
        let fail = |world: &mut World| {
            world.with::<Ec2, ()>(Timestamp::UNIX_EPOCH, &mut Vec::new(), |_, _| panic!("a mistake"));
        };
        assert!(catch_unwind(AssertUnwindSafe(|| fail(&mut world))).is_err());
        assert_eq!(world.services.ec2.network.subnets.len(), zones);
    }

    #[test]
    fn a_region_that_was_used_keeps_its_name() {
        let mut world = World::new("us-east-1", 1);
        assert!(zone(&mut world).starts_with("us-east-1"));
        assert_eq!(world.admit("eu-west-1").unwrap_err().code, "InvalidRegion");
        assert!(World::new("us-east-1", 1).admit("not a name").is_err());
    }
}
