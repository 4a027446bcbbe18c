//! The region's whole state: every service's model, and the routing of signals between them.
//!
//! `call` runs an operation, `signal` takes what a shell has to say, `advance` lets time pass. Each returns the signals
//! that leave for the shells. Nothing here does I/O or reads a clock.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::addresses::Addresses;
use super::autoscaling::model::Autoscaling;
use super::cloudwatch::model::Cloudwatch;
use super::context::Context;
use super::delays::Delays;
use super::ec2::model::Ec2;
use super::elbv2::model::Elbv2;
use super::ids::Ids;
use super::neighbours::Neighbours;
use super::signal::Signal;
use super::wire::{Answer, ApiError, Request, Service};
use super::{ssm, sts, tagging};

/// A chain of signals longer than this is a mistake in a model, not work.
const SIGNALS_MAX: usize = 100_000;
/// Longer than any of AWS's region names.
const REGION_NAME_MAX: usize = 32;

/// The services' models.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Services {
    pub ec2: Ec2,
    pub elbv2: Elbv2,
    pub autoscaling: Autoscaling,
    pub cloudwatch: Cloudwatch,
}

impl Services {
    /// All of them, to be asked for what is none's own.
    fn all(&self) -> Neighbours<'_> {
        let Self { ec2, elbv2, autoscaling, cloudwatch } = self;
        Neighbours {
            ec2: Some(ec2),
            elbv2: Some(elbv2),
            autoscaling: Some(autoscaling),
            cloudwatch: Some(cloudwatch),
            ..Neighbours::default()
        }
    }
}

/// A service's model, and where it is.
trait Model {
    /// Its place among the deadlines.
    const NUMBER: usize;
    /// The model, to change it, and the others, to be asked meanwhile.
    fn among(services: &mut Services) -> (&mut Self, Neighbours<'_>);
}

macro_rules! models {
    ($($number:literal: $model:ty = $field:ident beside $($other:ident)*;)*) => {
        $(impl Model for $model {
            const NUMBER: usize = $number;
            fn among(services: &mut Services) -> (&mut Self, Neighbours<'_>) {
                let Services { $field, $($other),* } = services;
                ($field, Neighbours { $($other: Some($other),)* ..Neighbours::default() })
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

models! {
    0: Ec2 = ec2 beside elbv2 autoscaling cloudwatch;
    1: Elbv2 = elbv2 beside ec2 autoscaling cloudwatch;
    2: Cloudwatch = cloudwatch beside ec2 elbv2 autoscaling;
    3: Autoscaling = autoscaling beside ec2 elbv2 cloudwatch;
}

/// When a service next has something to do: asked once after what has changed it, not at every look.
#[derive(Clone, Copy, Debug, Default)]
enum Deadline {
    /// It was just made, or has changed.
    #[default]
    Unknown,
    Known(Option<Timestamp>),
}

/// Everything that the region knows.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct World {
    /// To look at: they are changed through the world only.
    pub services: Services,
    #[serde(skip)]
    deadlines: [Deadline; 4],
    /// How often EC2 or Auto Scaling may have changed; 0 before the first time.
    #[serde(default)]
    revision: u64,
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
            deadlines: Default::default(),
            revision: 0,
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
        self.deadlines = Default::default();
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
            Service::Sts => self.with_all(now, &mut signals, |cx| sts::call(cx, request)),
            Service::Ssm => self.with_all(now, &mut signals, |cx| ssm::call(cx, request)),
            Service::Tagging => self.with_all(now, &mut signals, |cx| tagging::call(cx, request)),
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
        (0..self.deadlines.len()).filter_map(|number| self.deadline(number)).min()
    }

    fn deadline(&self, number: usize) -> Option<Timestamp> {
        match self.deadlines[number] {
            Deadline::Known(deadline) => deadline,
            Deadline::Unknown => self.services.next_deadline(number),
        }
    }

    fn is_due<S: Model>(&self, now: Timestamp) -> bool {
        self.deadline(S::NUMBER).is_some_and(|due| due <= now)
    }

    /// Asks the services that have changed for their next deadline.
    fn look_ahead(&mut self) {
        for number in 0..self.deadlines.len() {
            self.deadlines[number] = Deadline::Known(self.deadline(number));
        }
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

    /// Lets one service change while the others answer its questions. Where it panics, what the region knew is still
    /// there to be looked at.
    fn with<S: Model, R>(
        &mut self,
        now: Timestamp,
        signals: &mut Vec<Signal>,
        run: impl FnOnce(&mut S, &mut Context) -> R,
    ) -> R {
        self.deadlines[S::NUMBER] = Deadline::Unknown;
        self.revision += u64::from([Ec2::NUMBER, Autoscaling::NUMBER].contains(&S::NUMBER));
        let (model, neighbours) = S::among(&mut self.services);
        let mut context = Context {
            now,
            region: &self.region,
            delays: self.delays,
            facts: &Neighbours { revision: self.revision, ..neighbours },
            ids: &mut self.ids,
            addresses: &mut self.addresses,
            signals,
        };
        run(model, &mut context)
    }

    /// Answers what is no service's of its own out of what all of them know.
    fn with_all<R>(&mut self, now: Timestamp, signals: &mut Vec<Signal>, run: impl FnOnce(&mut Context) -> R) -> R {
        let mut context = Context {
            now,
            region: &self.region,
            delays: self.delays,
            facts: &Neighbours { revision: self.revision, ..self.services.all() },
            ids: &mut self.ids,
            addresses: &mut self.addresses,
            signals,
        };
        run(&mut context)
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

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::region::wire::{Params, Value};

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
