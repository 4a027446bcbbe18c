//! EC2 through its own wire form: requests as clients write them, answers as a tree.

use jiff::{SignedDuration, Timestamp};

use super::instances::TERMINATED_VISIBLE;
use crate::region::signal::{InstanceState, Launch, Signal};
use crate::region::wire::{ApiError, Params, Request, Service, Value, query};
use crate::region::world::World;

pub(super) struct Story {
    world: World,
    now: Timestamp,
    /// What left the world for the shells.
    outward: Vec<Signal>,
}

impl Story {
    pub(super) fn new() -> Self {
        Self { world: World::new("us-east-1", 7), now: Timestamp::UNIX_EPOCH, outward: Vec::new() }
    }

    fn try_call(&mut self, operation: &str, form: &str) -> Result<Params, ApiError> {
        let params = query::parse(form.as_bytes()).unwrap();
        let request = Request { service: Service::Ec2, operation: operation.to_owned(), params };
        let (answer, outward) = self.world.call(self.now, &request);
        self.outward.extend(outward);
        answer.map(|value| if let Value::Map(fields) = value { Params(fields) } else { panic!("{value:?}") })
    }

    pub(super) fn call(&mut self, operation: &str, form: &str) -> Params {
        self.try_call(operation, form).unwrap()
    }

    pub(super) fn error(&mut self, operation: &str, form: &str) -> String {
        self.try_call(operation, form).unwrap_err().code
    }

    pub(super) fn refused(&mut self, operation: &str, form: &str) -> ApiError {
        self.try_call(operation, form).unwrap_err()
    }

    /// Stops an instance whose processes end when they are told to.
    pub(super) fn stop(&mut self, id: &str) {
        self.call("StopInstances", &format!("InstanceId.1={id}"));
        self.signal(Signal::ProcessEnded { instance: id.to_owned() });
    }

    fn signal(&mut self, signal: Signal) {
        let outward = self.world.signal(self.now, signal);
        self.outward.extend(outward);
    }

    /// Launches one instance and lets it boot.
    pub(super) fn run(&mut self, more: &str) -> String {
        let form = format!("ImageId=ami-0a1b2c3d4e5f60001&InstanceType=t2.large&MinCount=1&MaxCount=1&{more}");
        let id = self.call("RunInstances", &form).maps("instancesSet")[0].text("instanceId").unwrap().to_owned();
        self.signal(Signal::ProcessStarted { instance: id.clone() });
        id
    }

    fn state(&self, id: &str) -> Option<InstanceState> {
        self.world.services.ec2.instance_facts(id).map(|facts| facts.state)
    }

    fn group(&mut self, name: &str) -> String {
        let answer = self.call("CreateSecurityGroup", &format!("GroupName={name}&GroupDescription=d"));
        answer.text("groupId").unwrap().to_owned()
    }
}

const HTTP: &str = "IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=80&IpPermissions.1.ToPort=80\
                    &IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0";

#[test]
fn a_new_account_has_a_default_vpc_with_a_subnet_in_each_zone() {
    let mut story = Story::new();
    assert_eq!(story.call("DescribeVpcs", "").maps("vpcSet")[0].text("cidrBlock"), Some("127.31.0.0/16"));
    let filter = "Filter.1.Name=availability-zone&Filter.1.Value.1=us-east-1b";
    let subnets = story.call("DescribeSubnets", filter).maps("subnetSet");
    assert_eq!(subnets[0].text("cidrBlock"), Some("127.31.16.0/20"));
    assert_eq!(story.call("DescribeSubnets", "").maps("subnetSet").len(), 6);
    let zones = story.call("DescribeAvailabilityZones", "").maps("availabilityZoneInfo");
    assert_eq!((zones[0].text("zoneName"), zones[0].text("zoneId")), (Some("us-east-1a"), Some("use1-az1")));
}

#[test]
fn an_instance_lives_from_pending_to_terminated_and_then_vanishes() {
    let mut story = Story::new();
    let data = "UserData=IyEvYmluL2Jhc2g=&TagSpecification.1.ResourceType=instance\
                &TagSpecification.1.Tag.1.Key=role&TagSpecification.1.Tag.1.Value=web";
    let id = story.run(data);
    assert!(matches!(&story.outward[0], Signal::Boot(boot) if *boot.user_data == *b"#!/bin/bash"));
    assert_eq!(story.state(&id), Some(InstanceState::Running));

    let filter =
        "Filter.1.Name=tag:role&Filter.1.Value.1=w*&Filter.2.Name=instance-state-name&Filter.2.Value.1=running";
    let reservation = &story.call("DescribeInstances", filter).maps("reservationSet")[0];
    let instance = &reservation.maps("instancesSet")[0];
    assert_eq!(instance.text("privateIpAddress"), Some("127.31.0.4"));
    assert_eq!(instance.map("metadataOptions").unwrap().text("httpTokens"), Some("required"));

    let answer = story.call("TerminateInstances", &format!("InstanceId.1={id}"));
    let row = &answer.maps("instancesSet")[0];
    assert_eq!(row.map("currentState").unwrap().text("name"), Some("shutting-down"));
    assert_eq!(story.outward.last(), Some(&Signal::EndProcess { instance: id.clone() }));
    story.signal(Signal::ProcessEnded { instance: id.clone() });
    assert_eq!(story.state(&id), Some(InstanceState::Terminated));

    assert_eq!(story.world.next_deadline(), Some(story.now + TERMINATED_VISIBLE));
    story.now += TERMINATED_VISIBLE + SignedDuration::from_secs(1);
    story.world.advance(story.now);
    assert_eq!(story.error("DescribeInstances", &format!("InstanceId.1={id}")), "InvalidInstanceID.NotFound");
}

#[test]
fn a_tree_that_dies_by_itself_leaves_a_running_but_impaired_instance() {
    let mut story = Story::new();
    let id = story.run("");
    story.signal(Signal::ProcessEnded { instance: id.clone() });
    assert_eq!(
        story.world.services.ec2.instance_facts(&id).map(|f| (f.state, f.impaired_since.is_none())),
        Some((InstanceState::Running, false))
    );
    let status = &story.call("DescribeInstanceStatus", "").maps("instanceStatusSet")[0];
    assert_eq!(status.map("instanceStatus").unwrap().text("status"), Some("impaired"));
    story.call("TerminateInstances", &format!("InstanceId.1={id}"));
    assert_eq!(story.state(&id), Some(InstanceState::Terminated), "there is no tree left to wait for");
}

#[test]
fn an_instance_stops_starts_and_reboots() {
    let mut story = Story::new();
    let id = story.run("");
    let form = format!("InstanceId.1={id}");
    story.call("StopInstances", &form);
    assert_eq!(story.state(&id), Some(InstanceState::Stopping));
    story.signal(Signal::ProcessEnded { instance: id.clone() });
    assert_eq!(story.state(&id), Some(InstanceState::Stopped));
    story.call("StartInstances", &form);
    assert!(
        matches!(story.outward.last(), Some(Signal::Boot(boot)) if boot.first),
        "it was stopped before it had booted"
    );
    story.signal(Signal::ProcessStarted { instance: id.clone() });
    story.signal(Signal::InstanceBooted { instance: id.clone() });
    story.outward.clear();
    story.call("RebootInstances", &form);
    story.signal(Signal::ProcessEnded { instance: id.clone() });
    let again = |signals: &[Signal]| matches!(signals, [Signal::EndProcess { .. }, Signal::Boot(boot)] if !boot.first);
    assert!(again(&story.outward), "{:?}", story.outward);
    assert_eq!(story.state(&id), Some(InstanceState::Running));
    story.call("StopInstances", &form);
    story.call("TerminateInstances", &form);
    story.signal(Signal::ProcessEnded { instance: id.clone() });
    assert_eq!(story.state(&id), Some(InstanceState::Terminated), "one end serves both");
}

#[test]
fn a_boot_that_fails_terminates_the_instance_with_a_reason() {
    let mut story = Story::new();
    let form = "ImageId=ami-0a1b2c3d4e5f60001&InstanceType=t2.large&MinCount=1&MaxCount=1";
    let id = story.call("RunInstances", form).maps("instancesSet")[0].text("instanceId").unwrap().to_owned();
    story.signal(Signal::ProcessEnded { instance: id.clone() });
    let answer = story.call("DescribeInstances", &format!("InstanceId.1={id}")).maps("reservationSet");
    let instance = &answer[0].maps("instancesSet")[0];
    assert_eq!(instance.map("stateReason").unwrap().text("code"), Some("Server.InternalError"));
    assert_eq!(story.state(&id), Some(InstanceState::Terminated));
}

#[test]
fn a_repeated_client_token_launches_nothing_more() {
    let mut story = Story::new();
    let id = story.run("ClientToken=once");
    assert_eq!(story.run("ClientToken=once"), id);
    let other = "ImageId=ami-0a1b2c3d4e5f60001&InstanceType=t3.large&MinCount=1&MaxCount=1&ClientToken=once";
    assert_eq!(story.error("RunInstances", other), "IdempotentParameterMismatch");
}

#[test]
fn bad_launches_are_refused_in_awss_words() {
    let mut story = Story::new();
    for (form, code) in [
        ("ImageId=ami-0a1b2c3d4e5f60001&InstanceType=t9.huge&MinCount=1&MaxCount=1", "InvalidParameterValue"),
        ("ImageId=nonsense&InstanceType=t2.large&MinCount=1&MaxCount=1", "InvalidAMIID.Malformed"),
        ("ImageId=ami-0a1b2c3d4e5f60001&InstanceType=t2.large&MinCount=2&MaxCount=1", "InvalidParameterValue"),
        ("InstanceType=t2.large&MinCount=1&MaxCount=1", "MissingParameter"),
        (
            "ImageId=ami-0a1b2c3d4e5f60001&InstanceType=t2.large&MinCount=1&MaxCount=1&UserData=%25",
            "InvalidUserData.Malformed",
        ),
        (
            "ImageId=ami-0a1b2c3d4e5f60001&InstanceType=t2.large&MinCount=1&MaxCount=1&SubnetId=subnet-1",
            "InvalidSubnetID.NotFound",
        ),
        (
            "ImageId=ami-0a1b2c3d4e5f60001&InstanceType=t2.large&MinCount=1&MaxCount=1&SecurityGroupId.1=sg-1",
            "InvalidGroup.NotFound",
        ),
        ("ImageId=ami-0a1b2c3d4e5f60001&InstanceType=t2.large&MinCount=999&MaxCount=999", "InstanceLimitExceeded"),
        ("ImageId=ami-0a1b2c3d4e5f60001&InstanceType=t2.large&MinCount=1&MaxCount=1&DryRun=true", "DryRunOperation"),
    ] {
        assert_eq!(story.error("RunInstances", form), code, "{form}");
    }
    assert!(story.call("DescribeInstances", "").maps("reservationSet").is_empty());
}

#[test]
fn a_security_group_is_not_deleted_while_it_is_used() {
    let mut story = Story::new();
    let (front, back) = (story.group("front"), story.group("back"));
    assert_eq!(story.error("CreateSecurityGroup", "GroupName=front&GroupDescription=d"), "InvalidGroup.Duplicate");
    let from_front = format!(
        "GroupId={back}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=8080&IpPermissions.1.ToPort=8080\
         &IpPermissions.1.Groups.1.GroupId={front}"
    );
    story.call("AuthorizeSecurityGroupIngress", &from_front);
    assert_eq!(story.error("DeleteSecurityGroup", &format!("GroupId={front}")), "DependencyViolation");
    let id = story.run(&format!("SecurityGroupId.1={back}"));
    assert_eq!(story.error("DeleteSecurityGroup", &format!("GroupId={back}")), "DependencyViolation");
    story.call("TerminateInstances", &format!("InstanceId.1={id}"));
    story.signal(Signal::ProcessEnded { instance: id });
    story.call("DeleteSecurityGroup", &format!("GroupId={back}"));
    story.call("DeleteSecurityGroup", &format!("GroupId={front}"));
    assert_eq!(story.error("DescribeSecurityGroups", &format!("GroupId.1={front}")), "InvalidGroup.NotFound");
}

#[test]
fn a_rule_is_authorised_once_and_revoked_by_its_words_or_its_id() {
    let mut story = Story::new();
    let group = story.group("web");
    let form = format!("GroupId={group}&{HTTP}");
    story.call("AuthorizeSecurityGroupIngress", &form);
    assert_eq!(story.error("AuthorizeSecurityGroupIngress", &form), "InvalidPermission.Duplicate");
    story.call("RevokeSecurityGroupIngress", &form);
    assert_eq!(story.error("RevokeSecurityGroupIngress", &form), "InvalidPermission.NotFound");
    let rule = story.call("AuthorizeSecurityGroupIngress", &form).maps("securityGroupRuleSet")[0].clone();
    let by_id = format!("GroupId={group}&SecurityGroupRuleId.1={}", rule.text("securityGroupRuleId").unwrap());
    story.call("RevokeSecurityGroupIngress", &by_id);
    let shown = &story.call("DescribeSecurityGroups", &format!("GroupId.1={group}")).maps("securityGroupInfo")[0];
    assert!(shown.maps("ipPermissions").is_empty());
    assert_eq!(shown.maps("ipPermissionsEgress")[0].text("ipProtocol"), Some("-1"));
}

#[test]
fn template_versions_build_on_each_other_and_launches_on_them() {
    let mut story = Story::new();
    let create = "LaunchTemplateName=web&ClientToken=t&LaunchTemplateData.ImageId=ami-0a1b2c3d4e5f60001\
                  &LaunchTemplateData.InstanceType=t2.large&LaunchTemplateData.Monitoring.Enabled=true\
                  &LaunchTemplateData.TagSpecification.1.ResourceType=instance\
                  &LaunchTemplateData.TagSpecification.1.Tag.1.Key=from&LaunchTemplateData.TagSpecification.1.Tag.1.Value=template";
    let first = story.call("CreateLaunchTemplate", create).map("launchTemplate").unwrap();
    let again = story.call("CreateLaunchTemplate", create).map("launchTemplate").unwrap();
    assert_eq!(first.text("launchTemplateId"), again.text("launchTemplateId"), "the same client token");
    let taken = "LaunchTemplateName=web&LaunchTemplateData.InstanceType=t2.large";
    assert_eq!(story.error("CreateLaunchTemplate", taken), "InvalidLaunchTemplateName.AlreadyExistsException");

    let second = "LaunchTemplateName=web&SourceVersion=1&LaunchTemplateData.InstanceType=m4.large";
    story.call("CreateLaunchTemplateVersion", second);
    let versions =
        story.call("DescribeLaunchTemplateVersions", "LaunchTemplateName=web&LaunchTemplateVersion.1=$Latest");
    let data = versions.maps("launchTemplateVersionSet")[0].map("launchTemplateData").unwrap();
    assert_eq!((data.text("instanceType"), data.text("imageId")), (Some("m4.large"), Some("ami-0a1b2c3d4e5f60001")));
    assert_eq!(data.maps("tagSpecificationSet")[0].maps("tagSet")[0].text("value"), Some("template"));

    let launch = "LaunchTemplate.LaunchTemplateName=web&LaunchTemplate.Version=$Latest&MinCount=1&MaxCount=1\
                  &TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=of&TagSpecification.1.Tag.1.Value=call";
    let instance = story.call("RunInstances", launch).maps("instancesSet")[0].clone();
    assert_eq!(instance.text("instanceType"), Some("m4.large"));
    assert_eq!(instance.map("monitoring").unwrap().text("state"), Some("enabled"));
    let keys: Vec<String> =
        instance.maps("tagSet").iter().filter_map(|tag| tag.text("key").map(str::to_owned)).collect();
    assert_eq!(keys, ["aws:ec2launchtemplate:id", "aws:ec2launchtemplate:version", "from", "of"]);

    assert_eq!(story.world.services.ec2.launch_template_facts("web", "$Default").map(|f| f.version), Some(1));
    story.call("ModifyLaunchTemplate", "LaunchTemplateName=web&SetDefaultVersion=2");
    assert_eq!(story.world.services.ec2.launch_template_facts("web", "$Default").map(|f| f.version), Some(2));
    story.call("DeleteLaunchTemplate", "LaunchTemplateName=web");
    assert_eq!(
        story.error("DescribeLaunchTemplates", "LaunchTemplateName.1=web"),
        "InvalidLaunchTemplateName.NotFoundException"
    );
}

#[test]
fn a_group_launches_through_a_signal() {
    let mut story = Story::new();
    let create = "LaunchTemplateName=web&LaunchTemplateData.ImageId=ami-0a1b2c3d4e5f60001&LaunchTemplateData.InstanceType=t2.large";
    let template = story.call("CreateLaunchTemplate", create).map("launchTemplate").unwrap();
    let subnet = story.call("DescribeSubnets", "").maps("subnetSet")[0].text("subnetId").unwrap().to_owned();
    let launch = Launch {
        launch_template_id: template.text("launchTemplateId").unwrap().to_owned(),
        version: "$Latest".to_owned(),
        configuration: None,
        subnet: subnet.clone(),
        instance_type: Some("t3.micro".to_owned()),
        spot: true,
        tags: [("aws:autoscaling:groupName".to_owned(), "g".to_owned())].into(),
    };
    story.signal(Signal::LaunchInstance { group: "g".into(), activity: "a".into(), launch });
    let facts = &story.world.services.ec2.instances_facts()[0];
    assert_eq!(
        (&*facts.instance_type, &facts.subnet, &*facts.tags["aws:autoscaling:groupName"]),
        ("t3.micro", &subnet, "g")
    );
    let id = facts.id.clone();
    let spot = story.call("DescribeInstances", "Filter.1.Name=instance-lifecycle&Filter.1.Value.1=spot");
    let shown = &spot.maps("reservationSet")[0].maps("instancesSet")[0];
    assert_eq!((shown.text("instanceId"), shown.text("instanceLifecycle")), (Some(&*id), Some("spot")));
    assert!(shown.text("spotInstanceRequestId").is_some_and(|request| request.starts_with("sir-")));
    story.signal(Signal::TerminateInstance { instance: id.clone() });
    assert_eq!(story.state(&id), Some(InstanceState::ShuttingDown));
}

#[test]
fn tags_are_added_filtered_and_removed_on_any_resource() {
    let mut story = Story::new();
    let (group, instance) = (story.group("web"), story.run(""));
    let form = format!("ResourceId.1={group}&ResourceId.2={instance}&Tag.1.Key=stack&Tag.1.Value=s");
    story.call("CreateTags", &form);
    let filter = "Filter.1.Name=tag:stack&Filter.1.Value.1=s";
    assert_eq!(story.call("DescribeTags", filter).maps("tagSet").len(), 2);
    assert_eq!(story.call("DescribeSecurityGroups", filter).maps("securityGroupInfo").len(), 1);
    story.call("DeleteTags", &form);
    assert!(story.call("DescribeTags", filter).maps("tagSet").is_empty());
    assert_eq!(story.error("CreateTags", "ResourceId.1=i-1&Tag.1.Key=a"), "InvalidInstanceID.NotFound");
    assert_eq!(story.error("CreateTags", &format!("ResourceId.1={group}&Tag.1.Key=aws:x")), "InvalidParameterValue");
}

#[test]
fn pages_hold_what_was_asked_for() {
    let mut story = Story::new();
    for _ in 0..3 {
        story.run("");
    }
    let count = |page: &Params| page.maps("reservationSet").iter().map(|r| r.maps("instancesSet").len()).sum::<usize>();
    let first = story.call("DescribeInstances", "MaxResults=2");
    let token = first.text("nextToken").unwrap().to_owned();
    let second = story.call("DescribeInstances", &format!("MaxResults=2&NextToken={token}"));
    assert_eq!((count(&first), count(&second), second.text("nextToken")), (2, 1, None));
}

#[test]
fn unknown_operations_and_filters_say_so() {
    let mut story = Story::new();
    assert_eq!(story.error("CreateFleet", ""), "InvalidAction");
    story.run("");
    let filter = "Filter.1.Name=colour&Filter.1.Value.1=red";
    assert_eq!(story.error("DescribeInstances", filter), "InvalidParameterValue");
}
