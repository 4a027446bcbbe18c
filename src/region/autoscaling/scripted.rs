//! A group on the bench, its calls and answers as trees: for stories of Auto Scaling alone.
//!
//! Instances run [`BOOT_SECONDS`] after their launch and serve [`START_SECONDS`] later, targets drain for [`DRAIN_SECONDS`], and
//! terminated instances are gone after [`END_SECONDS`]. EC2, the load balancer and CloudWatch are the region's own.

use std::collections::BTreeMap;

use super::group::Group;
use super::member::Member;
use super::model::Autoscaling;
use crate::region::facts::InstanceFacts;
use crate::region::signal::{AlarmState, AlarmStateValue, Signal};
use crate::region::simulated::Simulated;
use crate::region::simulated::machines::Application;
use crate::region::simulated::setup::{IMAGE, escaped};
use crate::region::wire::{Answer, Params, Request, Service, Value};

pub const BOOT_SECONDS: i64 = 10;
pub const START_SECONDS: i64 = 5;
pub const DRAIN_SECONDS: i64 = 20;
pub const END_SECONDS: i64 = 3;
/// An application that starts for so long never serves.
const NEVER_SECONDS: i64 = 1_000_000_000;

#[derive(Debug)]
pub struct Scripted {
    pub bench: Simulated,
    pub target_group: String,
}

impl Default for Scripted {
    fn default() -> Self {
        let mut bench = Simulated::empty(7);
        bench.application = Application {
            boot_seconds: BOOT_SECONDS,
            start_seconds: START_SECONDS,
            end_seconds: END_SECONDS,
            drain_seconds: DRAIN_SECONDS,
            ..Application::default()
        };
        bench.ec2("CreateKeyPair", "KeyName=lab&KeyType=ed25519");
        let data = format!(
            "LaunchTemplateName=lab&LaunchTemplateData.ImageId={IMAGE}&LaunchTemplateData.InstanceType=t3.micro\
             &LaunchTemplateData.KeyName=lab"
        );
        bench.ec2("CreateLaunchTemplate", &data);
        let second = "LaunchTemplateName=lab&SourceVersion=1&LaunchTemplateData.InstanceType=t3.micro";
        bench.ec2("CreateLaunchTemplateVersion", second);
        let target_group = bench.balance();
        let checks = format!(
            "TargetGroupArn={}&HealthCheckIntervalSeconds=5&HealthCheckTimeoutSeconds=2",
            escaped(&target_group)
        );
        bench.elb("ModifyTargetGroup", &checks);
        let delay = format!(
            "TargetGroupArn={}&Attributes.member.1.Key=deregistration_delay.timeout_seconds&Attributes.member.1.Value={DRAIN_SECONDS}",
            escaped(&target_group)
        );
        bench.elb("ModifyTargetGroupAttributes", &delay);
        Self { bench, target_group }
    }
}

/// Parameters from pairs; every value is text, as in a form.
pub fn params(fields: &[(&str, &str)]) -> Params {
    Params(fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect())
}

/// `LaunchTemplate` with that version.
pub fn template(version: &str) -> Value {
    Value::map().with("LaunchTemplateName", Value::from("lab")).with("Version", Value::from(version))
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
        let subnets = self.subnets(2);
        let mut fields = params(&[("AutoScalingGroupName", "web"), ("VPCZoneIdentifier", &subnets)]);
        fields.0.push(("LaunchTemplate".to_owned(), template("1")));
        if behind_target_group {
            fields.0.push(("TargetGroupARNs".to_owned(), Value::list([self.target_group.as_str().into()])));
        }
        fields.0.extend(params(extra).0);
        self.call_with("CreateAutoScalingGroup", fields).unwrap();
    }

    /// So many of the default subnets, each in a zone of its own.
    pub fn subnets(&mut self, count: usize) -> String {
        self.bench.subnets()[..count].join(",")
    }

    pub fn call(&mut self, operation: &str, fields: &[(&str, &str)]) -> Answer {
        let mut all = params(&[("AutoScalingGroupName", "web")]);
        all.0.extend(params(fields).0);
        self.call_with(operation, all)
    }

    pub fn call_with(&mut self, operation: &str, params: Params) -> Answer {
        self.bench.call(&Request { service: Service::Autoscaling, operation: operation.to_owned(), params })
    }

    /// An alarm of that name calls the policy.
    pub fn alarm(&mut self, policy: &str, name: &str, threshold: f64, value: f64) {
        let policy_arn = self.group().policies[policy].arn.clone();
        let alarm = AlarmState {
            name: name.to_owned(),
            state: AlarmStateValue::Alarm,
            threshold,
            datapoints: vec![value],
            since: self.bench.now,
        };
        self.bench.signal(Signal::AlarmAction { policy_arn, alarm });
        self.run(0);
    }

    /// Lets time pass.
    pub fn run(&mut self, seconds: i64) {
        self.bench.run(seconds);
    }

    pub fn service(&self) -> &Autoscaling {
        &self.bench.world.services.autoscaling
    }

    pub fn group(&self) -> &Group {
        self.bench.group()
    }

    pub fn in_service(&self) -> Vec<Member> {
        self.group().members.iter().filter(|member| member.is_in_service()).cloned().collect()
    }

    /// `(description, cause, status)` of every activity, oldest first, with ids and times replaced.
    pub fn history(&self) -> Vec<(String, String, &'static str)> {
        self.bench.activities()
    }

    /// The instance is terminated behind the group's back.
    pub fn kill(&mut self, instance: &str) {
        // Some are gone for so long that EC2 does not know them any more.
        drop(self.bench.try_ec2("TerminateInstances", &format!("InstanceId.1={instance}")));
    }

    /// What EC2 knows of every instance.
    pub fn instances(&self) -> Vec<InstanceFacts> {
        self.bench.world.services.ec2.instances_facts()
    }

    /// The state of each registered or draining target, by instance.
    pub fn targets(&mut self) -> BTreeMap<String, String> {
        let form = format!("TargetGroupArn={}", escaped(&self.target_group));
        let all = self.bench.elb("DescribeTargetHealth", &form).maps("TargetHealthDescriptions");
        let text = |target: &Params, part: &str, field: &str| target.map(part).unwrap().text(field).unwrap().to_owned();
        all.iter().map(|it| (text(it, "Target", "Id"), text(it, "TargetHealth", "State"))).collect()
    }

    /// Whether applications never serve in instances that start from now on.
    pub fn breaks(&mut self, breaks: bool) {
        self.bench.application.start_seconds = if breaks { NEVER_SECONDS } else { START_SECONDS };
    }

    /// Whether launches fail from now on: the key pair of the template is gone.
    pub fn refuses(&mut self, refuses: bool) {
        self.bench.ec2("DeleteKeyPair", "KeyName=lab");
        if !refuses {
            self.bench.ec2("CreateKeyPair", "KeyName=lab&KeyType=ed25519");
        }
    }

    /// The alarms by name.
    pub fn alarms(&mut self) -> BTreeMap<String, Params> {
        let alarms = self.bench.cloudwatch("DescribeAlarms", "").maps("MetricAlarms");
        alarms.into_iter().map(|alarm| (alarm.text("AlarmName").unwrap().to_owned(), alarm)).collect()
    }

    /// How many samples of its own metrics the group has measured so far.
    pub fn measured(&mut self) -> f64 {
        let metrics = self.bench.cloudwatch("ListMetrics", "Namespace=AWS%2FAutoScaling").maps("Metrics");
        let end = self.bench.now + jiff::SignedDuration::from_mins(1);
        let mut samples = 0.0;
        for metric in metrics {
            let form = format!(
                "Namespace=AWS%2FAutoScaling&MetricName={}&Dimensions.member.1.Name=AutoScalingGroupName\
                 &Dimensions.member.1.Value=web&StartTime=2026-01-01T00:00:00Z&EndTime={end}&Period=60\
                 &Statistics.member.1=SampleCount",
                metric.text("MetricName").unwrap()
            );
            let points = self.bench.cloudwatch("GetMetricStatistics", &form).maps("Datapoints");
            samples += points.iter().filter_map(|point| point.float("SampleCount").unwrap()).sum::<f64>();
        }
        samples
    }
}
