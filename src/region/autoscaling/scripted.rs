//! A small world for tests: EC2 and the load balancer by script, time by hand.
//!
//! Instances run [`BOOT_SECONDS`] after their launch, targets turn healthy [`HEALTHY_SECONDS`] after they are registered, drain
//! for [`DRAIN_SECONDS`], and terminated instances are gone after [`END_SECONDS`].

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};

use super::group::Group;
use super::member::Member;
use super::model::Autoscaling;
use crate::region::addresses::Addresses;
use crate::region::context::Context;
use crate::region::facts::{
    Facts, InstanceFacts, LaunchTemplateFacts, LoadBalancerNode, SubnetFacts, TargetGroupFacts,
};
use crate::region::ids::Ids;
use crate::region::signal::{AlarmState, AlarmStateValue, InstanceState, Launch, Signal, TargetState};
use crate::region::wire::{Answer, ApiError, Params, Request, Service, Value};

pub const BOOT_SECONDS: i64 = 10;
pub const HEALTHY_SECONDS: i64 = 5;
pub const DRAIN_SECONDS: i64 = 20;
pub const END_SECONDS: i64 = 3;
/// More steps than any story needs: beyond, something keeps waking itself.
const STEPS_MAX: usize = 50_000;

pub const TARGET_GROUP: &str = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web/1";

#[derive(Debug)]
enum Event {
    Running(String),
    Gone(String),
    Stopped(String),
    Healthy(String, String),
    Drained(String, String),
}

#[derive(Debug, Default)]
pub struct Neighbours {
    pub instances: BTreeMap<String, InstanceFacts>,
    /// Health states by target group and instance.
    pub targets: BTreeMap<(String, String), String>,
    /// New targets stay unhealthy.
    pub broken: bool,
    /// Launches fail with this message.
    pub refuses: Option<String>,
    /// Launches so far, by zone.
    pub launched: Vec<String>,
    pub alarms: BTreeMap<String, Params>,
    pub measurements: usize,
}

#[derive(Debug)]
pub struct Scripted {
    pub now: Timestamp,
    pub service: Autoscaling,
    pub facts: Neighbours,
    ids: Ids,
    addresses: Addresses,
    events: BTreeMap<(Timestamp, usize), Event>,
    count: usize,
}

impl Default for Scripted {
    fn default() -> Self {
        Self {
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            service: Autoscaling::default(),
            facts: Neighbours::default(),
            ids: Ids::with_seed(7),
            addresses: Addresses::in_block(0),
            events: BTreeMap::new(),
            count: 0,
        }
    }
}

/// Parameters from pairs; every value is text, as in a form.
pub fn params(fields: &[(&str, &str)]) -> Params {
    Params(fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect())
}

impl Scripted {
    /// A group named `web` in two zones behind one target group, with `extra` parameters, up and running.
    pub fn with_group(extra: &[(&str, &str)]) -> Self {
        let mut world = Self::default();
        world.create(extra, true);
        world.run(60);
        world
    }

    pub fn create(&mut self, extra: &[(&str, &str)], behind_target_group: bool) {
        let mut fields = params(&[("AutoScalingGroupName", "web"), ("VPCZoneIdentifier", "subnet-a,subnet-b")]);
        fields.0.push(("LaunchTemplate".to_owned(), template("1")));
        if behind_target_group {
            fields.0.push(("TargetGroupARNs".to_owned(), Value::list([TARGET_GROUP.into()])));
        }
        fields.0.extend(params(extra).0);
        self.call_with("CreateAutoScalingGroup", fields).unwrap();
    }

    pub fn call(&mut self, operation: &str, fields: &[(&str, &str)]) -> Answer {
        let mut all = params(&[("AutoScalingGroupName", "web")]);
        all.0.extend(params(fields).0);
        self.call_with(operation, all)
    }

    pub fn call_with(&mut self, operation: &str, params: Params) -> Answer {
        let request = Request { service: Service::Autoscaling, operation: operation.to_owned(), params };
        let mut signals = Vec::new();
        let answer = self.with(&mut signals, |service, cx| service.call(cx, &request));
        self.route(signals);
        answer
    }

    pub fn signal(&mut self, signal: Signal) {
        self.route(vec![signal]);
    }

    /// An alarm of that name calls the policy.
    pub fn alarm(&mut self, policy: &str, name: &str, threshold: f64, value: f64) {
        let policy_arn = self.group().policies[policy].arn.clone();
        let alarm = AlarmState {
            name: name.to_owned(),
            state: AlarmStateValue::Alarm,
            threshold,
            datapoints: vec![value],
            since: self.now,
        };
        self.signal(Signal::AlarmAction { policy_arn, alarm });
        self.run(0);
    }

    /// Lets time pass.
    pub fn run(&mut self, seconds: i64) {
        let end = self.now + SignedDuration::from_secs(seconds);
        for _ in 0..STEPS_MAX {
            let event = self.events.keys().next().map(|(time, _)| *time);
            let Some(next) =
                [event, self.service.next_deadline()].into_iter().flatten().min().filter(|next| *next <= end)
            else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            if event.is_some_and(|time| time <= self.now) {
                let (_, event) = self.events.pop_first().unwrap();
                self.happen(event);
            } else {
                let mut signals = Vec::new();
                self.with(&mut signals, |service, cx| service.advance(cx));
                self.route(signals);
            }
        }
        panic!("the group does not come to rest: next {:?} at {}", self.service.next_deadline(), self.now);
    }

    pub fn group(&self) -> &Group {
        &self.service.groups["web"]
    }

    pub fn in_service(&self) -> Vec<Member> {
        self.group().members.iter().filter(|member| member.is_in_service()).cloned().collect()
    }

    /// `(description, cause, status)` of every activity, oldest first, with ids and times replaced.
    pub fn history(&self) -> Vec<(String, String, &'static str)> {
        let mut all: Vec<_> = self.group().history.newest_first().collect();
        all.reverse();
        let clean = |text: &str| {
            let text = regex::Regex::new(r"i-[0-9a-f]+").unwrap().replace_all(text, "i-X").into_owned();
            regex::Regex::new(r"\d{4}-\d\d-\d\dT[\d:]+Z").unwrap().replace_all(&text, "T").into_owned()
        };
        all.iter().map(|entry| (clean(&entry.description), clean(&entry.cause), entry.status.code())).collect()
    }

    /// The instance is terminated behind the group's back.
    pub fn kill(&mut self, instance: &str) {
        self.terminate(instance);
    }

    fn with<R>(&mut self, signals: &mut Vec<Signal>, run: impl FnOnce(&mut Autoscaling, &mut Context) -> R) -> R {
        let mut cx = Context {
            now: self.now,
            region: "us-east-1",
            delays: crate::region::delays::Delays::default(),
            facts: &self.facts,
            ids: &mut self.ids,
            addresses: &mut self.addresses,
            signals,
        };
        run(&mut self.service, &mut cx)
    }

    fn after(&mut self, seconds: i64, event: Event) {
        self.count += 1;
        self.events.insert((self.now + SignedDuration::from_secs(seconds), self.count), event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Running(instance) => self.state(&instance, InstanceState::Pending, InstanceState::Running),
            Event::Gone(instance) => self.state(&instance, InstanceState::ShuttingDown, InstanceState::Terminated),
            Event::Stopped(instance) => self.state(&instance, InstanceState::Stopping, InstanceState::Stopped),
            Event::Healthy(target_group, instance) => self.target(target_group, instance, "initial", Some("healthy")),
            Event::Drained(target_group, instance) => self.target(target_group, instance, "draining", None),
        }
    }

    fn state(&mut self, instance: &str, from: InstanceState, to: InstanceState) {
        let facts = self.facts.instances.get_mut(instance).unwrap();
        if facts.state == from {
            facts.state = to;
            self.signal(Signal::InstanceState { instance: instance.to_owned(), state: to });
        }
    }

    /// Moves a target from one state to another; `None` is not registered any more.
    pub fn target(&mut self, target_group: String, instance: String, from: &str, to: Option<&str>) {
        let key = (target_group.clone(), instance.clone());
        if self.facts.targets.get(&key).is_none_or(|state| state != from) {
            return;
        }
        match to {
            Some(state) => self.facts.targets.insert(key, state.to_owned()),
            None => self.facts.targets.remove(&key),
        };
        let health = TargetState { state: to.unwrap_or("unused").to_owned().into(), reason: None, description: None };
        self.signal(Signal::TargetHealth { target_group, instance, health });
    }

    fn terminate(&mut self, instance: &str) {
        let Some(facts) = self.facts.instances.get_mut(instance) else { return };
        if !matches!(facts.state, InstanceState::ShuttingDown | InstanceState::Terminated) {
            facts.state = InstanceState::ShuttingDown;
            self.after(END_SECONDS, Event::Gone(instance.to_owned()));
            self.signal(Signal::InstanceState { instance: instance.to_owned(), state: InstanceState::ShuttingDown });
        }
    }

    fn launch(&mut self, group: String, activity: String, launch: &Launch) -> Signal {
        if let Some(message) = self.facts.refuses.clone() {
            return Signal::LaunchFailed { group, activity, code: "InsufficientInstanceCapacity".to_owned(), message };
        }
        let instance = self.ids.resource("i");
        let zone = self.facts.subnet(&launch.subnet).unwrap().zone;
        self.facts.launched.push(zone.clone());
        let facts = InstanceFacts {
            id: instance.clone(),
            reason: None,
            state: InstanceState::Pending,
            instance_type: launch.instance_type.clone().unwrap_or_else(|| "t3.micro".to_owned()),
            spot: launch.spot,
            image: "ami-1".to_owned(),
            address: Ipv4Addr::new(127, 31, 0, 10),
            subnet: launch.subnet.clone(),
            vpc: "vpc-1".to_owned(),
            zone,
            launched: self.now,
            impaired_since: None,
            tags: launch.tags.clone(),
        };
        self.facts.instances.insert(instance.clone(), facts);
        self.after(BOOT_SECONDS, Event::Running(instance.clone()));
        Signal::InstanceLaunched { group, activity, instance }
    }

    fn route(&mut self, signals: Vec<Signal>) {
        let mut queue = std::collections::VecDeque::from(signals);
        while let Some(signal) = queue.pop_front() {
            match &signal {
                Signal::LaunchInstance { group, activity, launch } => {
                    queue.push_back(self.launch(group.clone(), activity.clone(), launch));
                }
                Signal::TerminateInstance { instance } => self.terminate(&instance.clone()),
                Signal::StopInstance { instance } => {
                    self.after(END_SECONDS, Event::Stopped(instance.clone()));
                    self.state(instance, InstanceState::Running, InstanceState::Stopping);
                }
                Signal::StartInstance { instance } => {
                    self.after(BOOT_SECONDS, Event::Running(instance.clone()));
                    self.state(instance, InstanceState::Stopped, InstanceState::Pending);
                }
                Signal::RegisterTargets { target_group, instances } => {
                    for instance in instances {
                        let state = if self.facts.broken { "unhealthy" } else { "initial" };
                        self.facts.targets.insert((target_group.clone(), instance.clone()), state.to_owned());
                        self.after(HEALTHY_SECONDS, Event::Healthy(target_group.clone(), instance.clone()));
                    }
                }
                Signal::DeregisterTargets { target_group, instances } => {
                    for instance in instances {
                        let key = (target_group.clone(), instance.clone());
                        if let Some(state) = self.facts.targets.get_mut(&key) {
                            "draining".clone_into(state);
                            self.after(DRAIN_SECONDS, Event::Drained(target_group.clone(), instance.clone()));
                        }
                    }
                }
                Signal::PutAlarm { params } => {
                    let name = params.text("AlarmName").unwrap().to_owned();
                    self.facts.alarms.insert(name, params.clone());
                }
                Signal::DeleteAlarms { names } => names.iter().for_each(|name| drop(self.facts.alarms.remove(name))),
                Signal::Measurements(measurements) => self.facts.measurements += measurements.len(),
                _ => {}
            }
            let mut answers = Vec::new();
            self.with(&mut answers, |service, cx| service.signal(cx, &signal));
            queue.extend(answers);
        }
    }
}

/// `LaunchTemplate` with that version.
pub fn template(version: &str) -> Value {
    Value::map().with("LaunchTemplateId", Value::from("lt-1")).with("Version", Value::from(version))
}

impl Facts for Neighbours {
    fn revision(&self) -> u64 {
        0
    }
    fn instance(&self, id: &str) -> Option<InstanceFacts> {
        self.instances.get(id).cloned()
    }
    fn instances(&self) -> Vec<InstanceFacts> {
        self.instances.values().cloned().collect()
    }
    fn is_monitored_in_detail(&self, _id: &str) -> bool {
        true
    }
    fn subnet(&self, id: &str) -> Option<SubnetFacts> {
        let zone = id.strip_prefix("subnet-")?;
        let facts =
            |zone: &str| SubnetFacts { id: id.to_owned(), vpc: "vpc-1".to_owned(), zone: format!("us-east-1{zone}") };
        ["a", "b"].contains(&zone).then(|| facts(zone))
    }
    fn default_subnet(&self, _zone: &str) -> Option<SubnetFacts> {
        None
    }
    fn tagged(&self, _region: &str) -> Vec<(String, BTreeMap<String, String>)> {
        Vec::new()
    }
    fn vpc_exists(&self, id: &str) -> bool {
        id == "vpc-1"
    }
    fn security_group_exists(&self, _id: &str) -> bool {
        false
    }
    fn launch_template(&self, id_or_name: &str, version: &str) -> Option<LaunchTemplateFacts> {
        let version = match version {
            "$Default" => 1,
            "$Latest" => 2,
            number => number.parse().ok().filter(|number| [1, 2].contains(number))?,
        };
        ["lt-1", "web"].contains(&id_or_name).then(|| LaunchTemplateFacts {
            id: "lt-1".to_owned(),
            name: "web".to_owned(),
            version,
            instance_type: Some("t3.micro".to_owned()),
            image: Some("ami-1".to_owned()),
            tags: BTreeMap::new(),
        })
    }
    fn target_group(&self, arn: &str) -> Option<TargetGroupFacts> {
        (arn == TARGET_GROUP).then(|| TargetGroupFacts {
            arn: arn.to_owned(),
            port: 8080,
            full_name: "targetgroup/web/1".to_owned(),
            load_balancers: vec!["app/web/1".to_owned()],
            targets: Vec::new(),
            by_address: false,
        })
    }
    fn target_health(&self, target_group: &str, instance: &str) -> Option<TargetState> {
        let state = self.targets.get(&(target_group.to_owned(), instance.to_owned()))?;
        Some(TargetState { state: state.clone().into(), reason: None, description: None })
    }
    fn target_drains(&self, target_group: &str, instance: &str) -> bool {
        self.target_health(target_group, instance).is_some_and(|health| health.state == "draining")
    }
    fn load_balancer_nodes(&self) -> Vec<LoadBalancerNode> {
        Vec::new()
    }
    fn security_groups_of_load_balancers(&self) -> Vec<String> {
        Vec::new()
    }
    fn group_that_counts(&self, _instance: &str, _now: Timestamp) -> Option<&str> {
        None
    }
    fn kind_of_instance(&self, _id: &str) -> Option<(&str, &str)> {
        None
    }
    fn metric_history(
        &self,
        _queries: &[Params],
        _range: &std::ops::Range<i64>,
        _now: Timestamp,
    ) -> Result<BTreeMap<i64, f64>, ApiError> {
        Ok(BTreeMap::new())
    }
    fn check_alarm(&self, _params: &Params) -> Result<(), ApiError> {
        Ok(())
    }
    fn is_in_alarm(&self, _name: &str) -> bool {
        false
    }
    fn alarms_of_policy(&self, _policy_arn: &str) -> Vec<String> {
        Vec::new()
    }
}
