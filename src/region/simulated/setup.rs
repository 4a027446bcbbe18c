//! A small cloud for stories: calls written as AWS CLI users know them, and the group `web`, alone or behind a load balancer.

use jiff::Timestamp;

use super::Simulated;
use crate::region::autoscaling::group::Group;
use crate::region::wire::{ApiError, Params, Request, Service, Value, query};
use crate::region::world::World;

pub const IMAGE: &str = "ami-0a1b2c3d4e5f60001";

/// Midnight, so that minutes and hours read well.
pub fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("a time")
}

impl Simulated {
    /// A new region at [`start`], whose shells the story plays.
    pub fn with_shells_by_hand() -> Self {
        Self { by_hand: true, ..Self::new(World::new("us-east-1", 7), start()) }
    }

    /// An empty region at [`start`], with a launch template `web`.
    pub fn empty(seed: u64) -> Self {
        let mut cloud = Self::new(World::new("us-east-1", seed), start());
        cloud.ec2(
            "CreateLaunchTemplate",
            &format!(
                "LaunchTemplateName=web&LaunchTemplateData.ImageId={IMAGE}&LaunchTemplateData.InstanceType=t3.micro"
            ),
        );
        cloud
    }

    /// The group `web` in two zones with these parameters, and its first instances warm and serving.
    pub fn with_group(more: &str) -> Self {
        let mut cloud = Self::empty(7);
        cloud.create_group(more);
        cloud.run(600);
        cloud
    }

    /// The same behind the load balancer `web`; the first instances are healthy targets.
    pub fn with_balanced_group(more: &str) -> Self {
        let mut cloud = Self::empty(7);
        let target_group = cloud.balance();
        cloud.create_group(&format!("&TargetGroupARNs.member.1={}{more}", escaped(&target_group)));
        cloud.run(600);
        cloud
    }

    /// The load balancer `web`, whose every request goes to the target group `web`; returns the latter's ARN.
    pub fn balance(&mut self) -> String {
        let subnets = self.subnets();
        let balancer = self.elb(
            "CreateLoadBalancer",
            &format!("Name=web&Subnets.member.1={}&Subnets.member.2={}", subnets[0], subnets[1]),
        );
        let balancer = balancer.maps("LoadBalancers")[0].text("LoadBalancerArn").expect("an ARN").to_owned();
        let vpc = self.ec2("DescribeVpcs", "").maps("vpcSet")[0].text("vpcId").expect("a VPC").to_owned();
        let group = self.elb("CreateTargetGroup", &format!("Name=web&Protocol=HTTP&Port=8080&VpcId={vpc}"));
        let group = group.maps("TargetGroups")[0].text("TargetGroupArn").expect("an ARN").to_owned();
        self.elb(
            "CreateListener",
            &format!(
                "LoadBalancerArn={}&Protocol=HTTP&Port=80&DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={}",
                escaped(&balancer),
                escaped(&group)
            ),
        );
        group
    }

    pub fn create_group(&mut self, more: &str) {
        let subnets = self.subnets()[..2].join("%2C");
        let template =
            if more.contains("MixedInstancesPolicy") { "" } else { "&LaunchTemplate.LaunchTemplateName=web" };
        let form = format!("AutoScalingGroupName=web&VPCZoneIdentifier={subnets}{template}{more}");
        self.asg("CreateAutoScalingGroup", &form);
    }

    pub fn subnets(&mut self) -> Vec<String> {
        let subnets = self.ec2("DescribeSubnets", "").maps("subnetSet");
        subnets.iter().map(|subnet| subnet.text("subnetId").expect("an id").to_owned()).collect()
    }

    /// Runs an operation, its parameters written as a form.
    pub fn try_call(&mut self, service: Service, operation: &str, form: &str) -> Result<Params, ApiError> {
        let params = query::parse(form.as_bytes())?;
        match self.call(&Request { service, operation: operation.to_owned(), params })? {
            Value::Map(fields) => Ok(Params(fields)),
            other => panic!("{operation} answers a map, not {other:?}"),
        }
    }

    fn must(&mut self, service: Service, operation: &str, form: &str) -> Params {
        self.try_call(service, operation, form).unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    pub fn ec2(&mut self, operation: &str, form: &str) -> Params {
        self.must(Service::Ec2, operation, form)
    }

    pub fn elb(&mut self, operation: &str, form: &str) -> Params {
        self.must(Service::Elbv2, operation, form)
    }

    pub fn asg(&mut self, operation: &str, form: &str) -> Params {
        self.must(Service::Autoscaling, operation, form)
    }

    pub fn try_asg(&mut self, operation: &str, form: &str) -> Result<Params, ApiError> {
        self.try_call(Service::Autoscaling, operation, form)
    }

    pub fn try_ec2(&mut self, operation: &str, form: &str) -> Result<Params, ApiError> {
        self.try_call(Service::Ec2, operation, form)
    }

    pub fn cloudwatch(&mut self, operation: &str, form: &str) -> Params {
        self.must(Service::Cloudwatch, operation, form)
    }

    /// Puts a target-tracking policy; `metric` is the part of its configuration that names the metric.
    pub fn track(&mut self, policy: &str, target: &str, metric: &str) {
        self.asg("PutScalingPolicy", &tracking_form(policy, target, metric));
    }

    /// The same on the requests to each target of the group `web`.
    pub fn track_requests(&mut self, target: &str) {
        let metric = format!(
            "PredefinedMetricSpecification.PredefinedMetricType=ALBRequestCountPerTarget\
             &TargetTrackingConfiguration.PredefinedMetricSpecification.ResourceLabel={}",
            self.resource_label()
        );
        self.track("requests", target, &metric);
    }

    /// Puts a step policy of (lower bound, upper bound, adjustment); returns its ARN.
    pub fn step(
        &mut self,
        policy: &str,
        adjustment: &str,
        steps: &[(Option<i64>, Option<i64>, i64)],
        more: &str,
    ) -> String {
        let mut form = format!(
            "AutoScalingGroupName=web&PolicyName={policy}&PolicyType=StepScaling&AdjustmentType={adjustment}{more}"
        );
        for (number, (lower, upper, amount)) in (1..).zip(steps) {
            let step = format!("StepAdjustments.member.{number}");
            let bound = |name: &str, value: &Option<i64>| {
                value.map_or(String::new(), |value| format!("&{step}.MetricInterval{name}Bound={value}"))
            };
            form += &format!("&{step}.ScalingAdjustment={amount}{}{}", bound("Lower", lower), bound("Upper", upper));
        }
        self.asg("PutScalingPolicy", &form).text("PolicyARN").expect("an ARN").to_owned()
    }

    /// An alarm on the group's average CPU of each minute, whose action is `policy`.
    pub fn cpu_alarm(&mut self, name: &str, comparison: &str, threshold: i64, periods: i64, policy: &str) {
        let form = format!(
            "AlarmName={name}&Namespace=AWS%2FEC2&MetricName=CPUUtilization&Statistic=Average&Period=60\
             &Dimensions.member.1.Name=AutoScalingGroupName&Dimensions.member.1.Value=web\
             &ComparisonOperator={comparison}&Threshold={threshold}&EvaluationPeriods={periods}&AlarmActions.member.1={}",
            escaped(policy)
        );
        self.cloudwatch("PutMetricAlarm", &form);
    }

    /// The load balancer and target group `web`, as a target-tracking policy names them.
    pub fn resource_label(&self) -> String {
        let group = &self.world.services.elbv2.routing().target_groups[0];
        escaped(&format!("{}/{}", group.load_balancer, group.full_name))
    }

    /// What an alarm's history says, oldest first.
    pub fn alarm_history(&mut self, alarm: &str) -> Vec<String> {
        let form = format!("AlarmName={alarm}&ScanBy=TimestampAscending");
        let items = self.cloudwatch("DescribeAlarmHistory", &form).maps("AlarmHistoryItems");
        items.iter().map(|item| item.text("HistorySummary").expect("a summary").to_owned()).collect()
    }

    pub fn group(&self) -> &Group {
        &self.world.services.autoscaling.groups["web"]
    }

    pub fn desired(&self) -> i64 {
        self.group().desired()
    }

    /// Ids of the group's instances in service.
    pub fn in_service(&self) -> Vec<String> {
        let members = self.group().members.iter().filter(|member| member.is_in_service());
        members.map(|member| member.id.clone()).collect()
    }

    /// The load goes to `rate` at once and stays there.
    pub fn load_now(&mut self, rate: f64) {
        let before = self.load.rate(self.now);
        self.load.then(self.now, before);
        self.load.then(self.now, rate);
    }

    /// `(seconds since the start, desired capacity)` at each change within so many seconds.
    pub fn capacities(&mut self, seconds: i64) -> Vec<(i64, i64)> {
        let end = self.now + jiff::SignedDuration::from_secs(seconds);
        let mut seen = Vec::new();
        let mut last = self.desired();
        while self.now < end {
            self.run(1);
            if self.desired() != last {
                last = self.desired();
                seen.push((self.now.duration_since(start()).as_secs(), last));
            }
        }
        seen
    }

    /// The fewest instances in service and the most there in so many seconds.
    pub fn fewest_and_most(&mut self, seconds: i64) -> (usize, usize) {
        let (mut fewest, mut most) = (usize::MAX, 0);
        for _ in 0..seconds {
            self.run(1);
            fewest = fewest.min(self.in_service().len());
            most = most.max(usize::try_from(self.group().active()).expect("a count"));
        }
        (fewest, most)
    }

    /// The group's activities, oldest first: description, cause and status, with ids and times replaced.
    pub fn activities(&self) -> Vec<(String, String, &'static str)> {
        let clean = |text: &str| {
            let text = regex::Regex::new(r"i-[0-9a-f]+").expect("a pattern").replace_all(text, "i-X").into_owned();
            regex::Regex::new(r"\d{4}-\d\d-\d\dT[\d:]+Z").expect("a pattern").replace_all(&text, "T").into_owned()
        };
        let mut all: Vec<_> = self.group().history.newest_first().collect();
        all.reverse();
        all.iter().map(|entry| (clean(&entry.description), clean(&entry.cause), entry.status.code())).collect()
    }
}

/// `PutScalingPolicy` for target tracking.
pub fn tracking_form(policy: &str, target: &str, metric: &str) -> String {
    format!(
        "AutoScalingGroupName=web&PolicyName={policy}&PolicyType=TargetTrackingScaling\
         &TargetTrackingConfiguration.TargetValue={target}&TargetTrackingConfiguration.{metric}"
    )
}

/// Text within a form.
pub fn escaped(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
