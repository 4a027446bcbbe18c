//! Groups with EC2's own model beside them: what is launched, what is refused, what the API shows of it.

use crate::region::signal::InstanceState;
use crate::region::simulated::Simulated;
use crate::region::simulated::machines::Application;

/// The group `web`, whose instances run and end as soon as they are told to.
fn group(more: &str) -> Simulated {
    let mut cloud = Simulated::empty(7);
    cloud.application = Application { boot_seconds: 0, start_seconds: 0, end_seconds: 0, ..Application::default() };
    cloud.create_group(more);
    cloud.run(10);
    cloud
}

/// The instances in service, as the API has them.
fn in_service(cloud: &mut Simulated) -> Vec<String> {
    let groups = cloud.asg("DescribeAutoScalingGroups", "").maps("AutoScalingGroups");
    let instances = groups.iter().flat_map(|group| group.maps("Instances"));
    let serving = instances.filter(|instance| instance.text("LifecycleState") == Some("InService"));
    serving.map(|instance| instance.text("InstanceId").unwrap().to_owned()).collect()
}

fn refused(cloud: &mut Simulated, operation: &str, form: &str) -> String {
    let error = cloud.try_asg(operation, form).unwrap_err();
    assert_eq!(error.code, "ValidationError", "{operation}: {}", error.message);
    error.message
}

#[test]
fn a_metric_of_the_users_own_scales_a_group() {
    let mut cloud = group("&MinSize=1&MaxSize=5&DefaultInstanceWarmup=0");
    let metric = "TargetTrackingConfiguration.CustomizedMetricSpecification";
    let policy = format!(
        "AutoScalingGroupName=web&PolicyName=backlog&PolicyType=TargetTrackingScaling&TargetTrackingConfiguration.TargetValue=20\
         &TargetTrackingConfiguration.DisableScaleIn=true&{metric}.Namespace=Jobs&{metric}.MetricName=Backlog\
         &{metric}.Statistic=Average&{metric}.Dimensions.member.1.Name=Queue&{metric}.Dimensions.member.1.Value=orders"
    );
    cloud.asg("PutScalingPolicy", &policy);
    let publish = |cloud: &mut Simulated, queue: &str, value: u32| {
        for _ in 0..5 {
            let data = format!(
                "Namespace=Jobs&MetricData.member.1.MetricName=Backlog&MetricData.member.1.Value={value}\
                 &MetricData.member.1.Dimensions.member.1.Name=Queue&MetricData.member.1.Dimensions.member.1.Value={queue}"
            );
            cloud.cloudwatch("PutMetricData", &data);
            cloud.run(60);
        }
        in_service(cloud).len()
    };
    assert_eq!(publish(&mut cloud, "invoices", 90), 1, "another queue's depth");
    assert_eq!(publish(&mut cloud, "orders", 60), 5, "three times too deep, each minute again, up to the maximum");
    assert_eq!(publish(&mut cloud, "orders", 0), 5, "this policy removes nothing");
}

#[test]
fn spot_instances_of_a_mixed_group_are_seen_by_ec2() {
    let policy = "MixedInstancesPolicy.LaunchTemplate";
    let distribution = "MixedInstancesPolicy.InstancesDistribution";
    let mut cloud = group(&format!(
        "&MinSize=1&MaxSize=9&DesiredCapacity=4&{policy}.LaunchTemplateSpecification.LaunchTemplateName=web\
             &{policy}.Overrides.member.1.InstanceType=t3.large&{policy}.Overrides.member.2.InstanceType=t3a.large\
             &{distribution}.OnDemandBaseCapacity=1&{distribution}.OnDemandPercentageAboveBaseCapacity=0\
             &{distribution}.SpotAllocationStrategy=capacity-optimized"
    ));
    assert_eq!(in_service(&mut cloud).len(), 4);
    let spot = cloud.ec2("DescribeInstances", "Filter.1.Name=instance-lifecycle&Filter.1.Value.1=spot");
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
    let mut cloud = group(
        "&MinSize=2&MaxSize=4&Tags.member.1.Key=stack&Tags.member.1.Value=s&Tags.member.1.PropagateAtLaunch=true",
    );
    let first = in_service(&mut cloud);
    assert_eq!(first.len(), 2);
    let facts = cloud.world.services.ec2.instance_facts(&first[0]).unwrap();
    assert_eq!((facts.tags["stack"].as_str(), facts.tags["aws:autoscaling:groupName"].as_str()), ("s", "web"));

    cloud.ec2("TerminateInstances", &format!("InstanceId.1={}", first[0]));
    cloud.run(10);
    let second = in_service(&mut cloud);
    assert_eq!(second.len(), 2);
    assert!(!second.contains(&first[0]) && second.contains(&first[1]));

    // The whole process tree dies: EC2's status check fails, and the group replaces the instance.
    cloud.crash(&first[1]);
    cloud.run(200);
    let third = in_service(&mut cloud);
    assert_eq!(third.len(), 2);
    assert!(!third.contains(&first[1]));

    cloud.asg("DeleteAutoScalingGroup", "AutoScalingGroupName=web&ForceDelete=true");
    cloud.run(10);
    assert!(cloud.world.services.autoscaling.groups.is_empty());
    let states: Vec<InstanceState> =
        cloud.world.services.ec2.instances_facts().into_iter().map(|facts| facts.state).collect();
    assert_eq!(states, [InstanceState::Terminated; 4]);
}

#[test]
fn a_step_policy_names_the_alarms_that_invoke_it() {
    let mut cloud = group("&MinSize=1&MaxSize=5");
    let policy = "AutoScalingGroupName=web&PolicyName=up&PolicyType=StepScaling&AdjustmentType=ChangeInCapacity\
                  &StepAdjustments.member.1.MetricIntervalLowerBound=0&StepAdjustments.member.1.ScalingAdjustment=1";
    let made = cloud.asg("PutScalingPolicy", policy);
    let arn = made.text("PolicyARN").unwrap().to_owned();
    let alarm = format!(
        "AlarmName=busy&Namespace=AWS%2FEC2&MetricName=CPUUtilization&Statistic=Average&Period=60&EvaluationPeriods=1\
         &Threshold=70&ComparisonOperator=GreaterThanThreshold&AlarmActions.member.1={arn}"
    );
    cloud.cloudwatch("PutMetricAlarm", &alarm);
    let shown = cloud.asg("DescribePolicies", "AutoScalingGroupName=web").maps("ScalingPolicies");
    let alarms = shown[0].maps("Alarms");
    assert_eq!(alarms[0].text("AlarmName"), Some("busy"));
    assert_eq!(alarms[0].text("AlarmARN"), Some("arn:aws:cloudwatch:us-east-1:000000000000:alarm:busy"));
}

#[test]
fn a_group_is_refused_for_what_it_names_or_lacks() {
    let mut cloud = group("&MinSize=1&MaxSize=5");
    let subnets = cloud.ec2("DescribeSubnets", "").maps("subnetSet");
    let subnet = subnets[0].text("subnetId").unwrap();
    let group = format!("AutoScalingGroupName=two&MinSize=0&MaxSize=1&VPCZoneIdentifier={subnet}");
    let with = |more: &str| format!("{group}&LaunchTemplate.LaunchTemplateName=web&{more}");
    for (form, named) in [
        (with("AvailabilityZoneDistribution.CapacityDistributionStrategy=balanced-only"), "balanced-only"),
        (with("HealthCheckType=EBS"), "EBS"),
        (with("LifecycleHookSpecificationList.member.1.RoleName=r"), "LifecycleHookSpecificationList.1.RoleName"),
        (with("LaunchTemplate.LaunchTemplateId=lt-1"), "either launchTemplateId or LaunchTemplateName"),
    ] {
        let message = refused(&mut cloud, "CreateAutoScalingGroup", &form);
        assert!(message.contains(named), "{form}: {message}");
    }
    let template = |cloud: &mut Simulated, name: &str, data: &str| {
        cloud.ec2("CreateLaunchTemplate", &format!("LaunchTemplateName={name}&LaunchTemplateData.{data}"));
        refused(cloud, "CreateAutoScalingGroup", &format!("{group}&LaunchTemplate.LaunchTemplateName={name}"))
    };
    let message = template(&mut cloud, "no-image", "InstanceType=t3.micro");
    assert!(message.contains("must contain the parameter ImageId"), "{message}");
    let message = template(&mut cloud, "no-type", "ImageId=ami-0a1b2c3d4e5f60001");
    assert!(message.contains("must contain the parameter InstanceType"), "{message}");
}

#[test]
fn a_page_of_groups_has_fifty_unless_more_are_asked_for() {
    let mut cloud = group("&MinSize=1&MaxSize=5");
    let subnets = cloud.ec2("DescribeSubnets", "").maps("subnetSet");
    let subnet = subnets[0].text("subnetId").unwrap();
    for number in 0..59 {
        let form = format!(
            "AutoScalingGroupName=g{number:02}&MinSize=0&MaxSize=1&VPCZoneIdentifier={subnet}\
             &LaunchTemplate.LaunchTemplateName=web"
        );
        cloud.asg("CreateAutoScalingGroup", &form);
    }
    let mut page = |form: &str| {
        let answer = cloud.asg("DescribeAutoScalingGroups", form);
        (answer.list("AutoScalingGroups").len(), answer.text("NextToken").is_some())
    };
    assert_eq!((page(""), page("MaxRecords=100")), ((50, true), (60, false)));
}
