//! A group in the real world: EC2's own model answers its signals, the processes are played.

use jiff::{SignedDuration, Timestamp};

use crate::region::signal::{InstanceState, Signal};
use crate::region::wire::{Params, Request, Service, Value, query};
use crate::region::world::World;

struct Story {
    world: World,
    now: Timestamp,
}

impl Story {
    fn call(&mut self, service: Service, operation: &str, form: &str) -> Params {
        let params = query::parse(form.as_bytes()).unwrap();
        let request = Request { service, operation: operation.to_owned(), params };
        let (answer, outward) = self.world.call(self.now, &request);
        self.play(outward);
        let Value::Map(fields) = answer.unwrap() else { panic!("{operation} answers a map") };
        Params(fields)
    }

    fn refused(&mut self, operation: &str, form: &str) -> String {
        let params = query::parse(form.as_bytes()).unwrap();
        let request = Request { service: Service::Autoscaling, operation: operation.to_owned(), params };
        let error = self.world.call(self.now, &request).0.unwrap_err();
        assert_eq!(error.code, "ValidationError", "{operation}: {}", error.message);
        error.message
    }

    /// Processes start and end at once.
    fn play(&mut self, mut outward: Vec<Signal>) {
        while let Some(signal) = outward.pop() {
            let answer = match signal {
                Signal::Boot(boot) => Signal::ProcessStarted { instance: boot.instance },
                Signal::EndProcess { instance } => Signal::ProcessEnded { instance },
                _ => continue,
            };
            outward.extend(self.world.signal(self.now, answer));
        }
    }

    fn run(&mut self, seconds: i64) {
        let end = self.now + SignedDuration::from_secs(seconds);
        while let Some(next) = self.world.next_deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            let outward = self.world.advance(self.now);
            self.play(outward);
        }
        self.now = end;
    }

    fn in_service(&mut self) -> Vec<String> {
        let groups = self.call(Service::Autoscaling, "DescribeAutoScalingGroups", "").maps("AutoScalingGroups");
        let instances = groups.iter().flat_map(|group| group.maps("Instances"));
        let serving = instances.filter(|instance| instance.text("LifecycleState") == Some("InService"));
        serving.map(|instance| instance.text("InstanceId").unwrap().to_owned()).collect()
    }
}

impl Story {
    /// A region with a group `web` of one to `max` instances.
    fn with_group(max: u32, more: &str) -> Self {
        let mut story = Story { world: World::new("us-east-1", 7), now: Timestamp::UNIX_EPOCH };
        let data = "LaunchTemplateName=web&LaunchTemplateData.ImageId=ami-0a1b2c3d4e5f60001&LaunchTemplateData.InstanceType=t3.micro";
        story.call(Service::Ec2, "CreateLaunchTemplate", data);
        let subnets = story.call(Service::Ec2, "DescribeSubnets", "").maps("subnetSet");
        let subnets: Vec<&str> = subnets.iter().take(2).filter_map(|subnet| subnet.text("subnetId")).collect();
        let form =
            format!("AutoScalingGroupName=web&MinSize=1&MaxSize={max}&VPCZoneIdentifier={}{more}", subnets.join("%2C"));
        story.call(Service::Autoscaling, "CreateAutoScalingGroup", &form);
        story.run(10);
        story
    }
}

#[test]
fn a_metric_of_the_users_own_scales_a_group() {
    let mut story = Story::with_group(5, "&LaunchTemplate.LaunchTemplateName=web&DefaultInstanceWarmup=0");
    let metric = "TargetTrackingConfiguration.CustomizedMetricSpecification";
    let policy = format!(
        "AutoScalingGroupName=web&PolicyName=backlog&PolicyType=TargetTrackingScaling&TargetTrackingConfiguration.TargetValue=20\
         &TargetTrackingConfiguration.DisableScaleIn=true&{metric}.Namespace=Jobs&{metric}.MetricName=Backlog\
         &{metric}.Statistic=Average&{metric}.Dimensions.member.1.Name=Queue&{metric}.Dimensions.member.1.Value=orders"
    );
    story.call(Service::Autoscaling, "PutScalingPolicy", &policy);
    let publish = |story: &mut Story, queue: &str, value: u32| {
        for _ in 0..5 {
            let data = format!(
                "Namespace=Jobs&MetricData.member.1.MetricName=Backlog&MetricData.member.1.Value={value}\
                 &MetricData.member.1.Dimensions.member.1.Name=Queue&MetricData.member.1.Dimensions.member.1.Value={queue}"
            );
            story.call(Service::Cloudwatch, "PutMetricData", &data);
            story.run(60);
        }
        story.in_service().len()
    };
    assert_eq!(publish(&mut story, "invoices", 90), 1, "another queue's depth");
    assert_eq!(publish(&mut story, "orders", 60), 5, "three times too deep, each minute again, up to the maximum");
    assert_eq!(publish(&mut story, "orders", 0), 5, "this policy removes nothing");
}

#[test]
fn spot_instances_of_a_mixed_group_are_seen_by_ec2() {
    let policy = "MixedInstancesPolicy.LaunchTemplate";
    let distribution = "MixedInstancesPolicy.InstancesDistribution";
    let mut story = Story::with_group(
        9,
        &format!(
            "&DesiredCapacity=4&{policy}.LaunchTemplateSpecification.LaunchTemplateName=web\
             &{policy}.Overrides.member.1.InstanceType=t3.large&{policy}.Overrides.member.2.InstanceType=t3a.large\
             &{distribution}.OnDemandBaseCapacity=1&{distribution}.OnDemandPercentageAboveBaseCapacity=0\
             &{distribution}.SpotAllocationStrategy=capacity-optimized"
        ),
    );
    assert_eq!(story.in_service().len(), 4);
    let spot = story.call(Service::Ec2, "DescribeInstances", "Filter.1.Name=instance-lifecycle&Filter.1.Value.1=spot");
    let mut types: Vec<String> = Vec::new();
    for reservation in spot.maps("reservationSet") {
        let names = reservation.maps("instancesSet");
        types.extend(names.iter().map(|instance| instance.text("instanceType").unwrap().to_owned()));
    }
    types.sort();
    assert_eq!(types, ["t3.large", "t3.large", "t3a.large"]);
}

#[test]
fn a_group_launches_through_ec2_replaces_what_died_and_ends_everything_with_itself() {
    let mut story = Story { world: World::new("us-east-1", 7), now: Timestamp::UNIX_EPOCH };
    let data = "LaunchTemplateName=web&LaunchTemplateData.ImageId=ami-0a1b2c3d4e5f60001&LaunchTemplateData.InstanceType=t3.micro";
    story.call(Service::Ec2, "CreateLaunchTemplate", data);
    let subnets = story.call(Service::Ec2, "DescribeSubnets", "").maps("subnetSet");
    let subnets: Vec<&str> = subnets.iter().take(2).filter_map(|subnet| subnet.text("subnetId")).collect();
    let form = format!(
        "AutoScalingGroupName=web&MinSize=2&MaxSize=4&LaunchTemplate.LaunchTemplateName=web&VPCZoneIdentifier={}\
         &Tags.member.1.Key=stack&Tags.member.1.Value=s&Tags.member.1.PropagateAtLaunch=true",
        subnets.join("%2C")
    );
    story.call(Service::Autoscaling, "CreateAutoScalingGroup", &form);
    story.run(10);
    let first = story.in_service();
    assert_eq!(first.len(), 2);
    let facts = story.world.services.ec2.instance_facts(&first[0]).unwrap();
    assert_eq!((facts.tags["stack"].as_str(), facts.tags["aws:autoscaling:groupName"].as_str()), ("s", "web"));

    story.call(Service::Ec2, "TerminateInstances", &format!("InstanceId.1={}", first[0]));
    story.run(10);
    let second = story.in_service();
    assert_eq!(second.len(), 2);
    assert!(!second.contains(&first[0]) && second.contains(&first[1]));

    // The whole process tree dies: EC2's status check fails, and the group replaces the instance.
    story.world.signal(story.now, Signal::ProcessEnded { instance: first[1].clone() });
    story.run(200);
    let third = story.in_service();
    assert_eq!(third.len(), 2);
    assert!(!third.contains(&first[1]));

    story.call(Service::Autoscaling, "DeleteAutoScalingGroup", "AutoScalingGroupName=web&ForceDelete=true");
    story.run(10);
    assert!(story.world.services.autoscaling.groups.is_empty());
    let states: Vec<InstanceState> =
        story.world.services.ec2.instances_facts().into_iter().map(|facts| facts.state).collect();
    assert_eq!(states, [InstanceState::Terminated; 4]);
}

#[test]
fn a_step_policy_names_the_alarms_that_invoke_it() {
    let mut story = Story::with_group(5, "&LaunchTemplate.LaunchTemplateName=web");
    let policy = "AutoScalingGroupName=web&PolicyName=up&PolicyType=StepScaling&AdjustmentType=ChangeInCapacity\
                  &StepAdjustments.member.1.MetricIntervalLowerBound=0&StepAdjustments.member.1.ScalingAdjustment=1";
    let made = story.call(Service::Autoscaling, "PutScalingPolicy", policy);
    let arn = made.text("PolicyARN").unwrap().to_owned();
    let alarm = format!(
        "AlarmName=busy&Namespace=AWS%2FEC2&MetricName=CPUUtilization&Statistic=Average&Period=60&EvaluationPeriods=1\
         &Threshold=70&ComparisonOperator=GreaterThanThreshold&AlarmActions.member.1={arn}"
    );
    story.call(Service::Cloudwatch, "PutMetricAlarm", &alarm);
    let shown =
        story.call(Service::Autoscaling, "DescribePolicies", "AutoScalingGroupName=web").maps("ScalingPolicies");
    let alarms = shown[0].maps("Alarms");
    assert_eq!(alarms[0].text("AlarmName"), Some("busy"));
    assert_eq!(alarms[0].text("AlarmARN"), Some("arn:aws:cloudwatch:us-east-1:000000000000:alarm:busy"));
}

#[test]
fn a_group_is_refused_for_what_it_names_or_lacks() {
    let mut story = Story::with_group(5, "&LaunchTemplate.LaunchTemplateName=web");
    let subnets = story.call(Service::Ec2, "DescribeSubnets", "").maps("subnetSet");
    let subnet = subnets[0].text("subnetId").unwrap();
    let group = format!("AutoScalingGroupName=two&MinSize=0&MaxSize=1&VPCZoneIdentifier={subnet}");
    let with = |more: &str| format!("{group}&LaunchTemplate.LaunchTemplateName=web&{more}");
    for (form, named) in [
        (with("AvailabilityZoneDistribution.CapacityDistributionStrategy=balanced-only"), "balanced-only"),
        (with("HealthCheckType=EBS"), "EBS"),
        (with("LifecycleHookSpecificationList.member.1.RoleName=r"), "LifecycleHookSpecificationList.1.RoleName"),
        (with("LaunchTemplate.LaunchTemplateId=lt-1"), "either launchTemplateId or LaunchTemplateName"),
    ] {
        let message = story.refused("CreateAutoScalingGroup", &form);
        assert!(message.contains(named), "{form}: {message}");
    }
    let template = |story: &mut Story, name: &str, data: &str| {
        story.call(
            Service::Ec2,
            "CreateLaunchTemplate",
            &format!("LaunchTemplateName={name}&LaunchTemplateData.{data}"),
        );
        story.refused("CreateAutoScalingGroup", &format!("{group}&LaunchTemplate.LaunchTemplateName={name}"))
    };
    let message = template(&mut story, "no-image", "InstanceType=t3.micro");
    assert!(message.contains("must contain the parameter ImageId"), "{message}");
    let message = template(&mut story, "no-type", "ImageId=ami-0a1b2c3d4e5f60001");
    assert!(message.contains("must contain the parameter InstanceType"), "{message}");
}

#[test]
fn a_page_of_groups_has_fifty_unless_more_are_asked_for() {
    let mut story = Story::with_group(5, "&LaunchTemplate.LaunchTemplateName=web");
    let subnets = story.call(Service::Ec2, "DescribeSubnets", "").maps("subnetSet");
    let subnet = subnets[0].text("subnetId").unwrap();
    for number in 0..59 {
        let form = format!(
            "AutoScalingGroupName=g{number:02}&MinSize=0&MaxSize=1&VPCZoneIdentifier={subnet}\
             &LaunchTemplate.LaunchTemplateName=web"
        );
        story.call(Service::Autoscaling, "CreateAutoScalingGroup", &form);
    }
    let mut page = |form: &str| {
        let answer = story.call(Service::Autoscaling, "DescribeAutoScalingGroups", form);
        (answer.list("AutoScalingGroups").len(), answer.text("NextToken").is_some())
    };
    assert_eq!((page(""), page("MaxRecords=100")), ((50, true), (60, false)));
}
