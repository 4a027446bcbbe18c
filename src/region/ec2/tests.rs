//! EC2 through its own wire form: requests as clients write them, answers as a tree.

use super::instances::TERMINATED_VISIBLE;
use crate::region::signal::{InstanceState, Launch, Signal};
use crate::region::simulated::Simulated;
use crate::region::simulated::setup::IMAGE;
use crate::region::wire::Params;

/// What is done with EC2 alone; its shells are played by hand.
impl Simulated {
    pub(super) fn ec2_error(&mut self, operation: &str, form: &str) -> String {
        self.try_ec2(operation, form).unwrap_err().code
    }

    /// Stops an instance whose processes end when they are told to.
    pub(super) fn stop(&mut self, id: &str) {
        self.ec2("StopInstances", &format!("InstanceId.1={id}"));
        self.signal(Signal::ProcessEnded { instance: id.to_owned() });
    }

    /// Launches one instance and lets it boot.
    pub(super) fn launch(&mut self, more: &str) -> String {
        let form = format!("ImageId={IMAGE}&InstanceType=t2.large&MinCount=1&MaxCount=1&{more}");
        let id = self.ec2("RunInstances", &form).maps("instancesSet")[0].text("instanceId").unwrap().to_owned();
        self.signal(Signal::ProcessStarted { instance: id.clone() });
        id
    }

    fn state(&self, id: &str) -> Option<InstanceState> {
        self.world.services.ec2.instance_facts(id).map(|facts| facts.state)
    }

    fn security_group(&mut self, name: &str) -> String {
        let answer = self.ec2("CreateSecurityGroup", &format!("GroupName={name}&GroupDescription=d"));
        answer.text("groupId").unwrap().to_owned()
    }
}

const HTTP: &str = "IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=80&IpPermissions.1.ToPort=80\
                    &IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0";

#[test]
fn a_new_account_has_a_default_vpc_with_a_subnet_in_each_zone() {
    let mut story = Simulated::with_shells_by_hand();
    assert_eq!(story.ec2("DescribeVpcs", "").maps("vpcSet")[0].text("cidrBlock"), Some("127.31.0.0/16"));
    let filter = "Filter.1.Name=availability-zone&Filter.1.Value.1=us-east-1b";
    let subnets = story.ec2("DescribeSubnets", filter).maps("subnetSet");
    assert_eq!(subnets[0].text("cidrBlock"), Some("127.31.16.0/20"));
    assert_eq!(story.ec2("DescribeSubnets", "").maps("subnetSet").len(), 6);
    let zones = story.ec2("DescribeAvailabilityZones", "").maps("availabilityZoneInfo");
    assert_eq!((zones[0].text("zoneName"), zones[0].text("zoneId")), (Some("us-east-1a"), Some("use1-az1")));
}

#[test]
fn an_instance_lives_from_pending_to_terminated_and_then_vanishes() {
    let mut story = Simulated::with_shells_by_hand();
    let data = "UserData=IyEvYmluL2Jhc2g=&TagSpecification.1.ResourceType=instance\
                &TagSpecification.1.Tag.1.Key=role&TagSpecification.1.Tag.1.Value=web";
    let id = story.launch(data);
    assert!(matches!(&story.outward[0], Signal::Boot(boot) if *boot.user_data == *b"#!/bin/bash"));
    assert_eq!(story.state(&id), Some(InstanceState::Running));

    let filter =
        "Filter.1.Name=tag:role&Filter.1.Value.1=w*&Filter.2.Name=instance-state-name&Filter.2.Value.1=running";
    let reservation = &story.ec2("DescribeInstances", filter).maps("reservationSet")[0];
    let instance = &reservation.maps("instancesSet")[0];
    assert_eq!(instance.text("privateIpAddress"), Some("127.31.0.4"));
    assert_eq!(instance.map("metadataOptions").unwrap().text("httpTokens"), Some("required"));

    let answer = story.ec2("TerminateInstances", &format!("InstanceId.1={id}"));
    let row = &answer.maps("instancesSet")[0];
    assert_eq!(row.map("currentState").unwrap().text("name"), Some("shutting-down"));
    assert_eq!(story.outward.last(), Some(&Signal::EndProcess { instance: id.clone() }));
    story.signal(Signal::ProcessEnded { instance: id.clone() });
    assert_eq!(story.state(&id), Some(InstanceState::Terminated));

    assert_eq!(story.world.next_deadline(), Some(story.now + TERMINATED_VISIBLE));
    story.run(TERMINATED_VISIBLE.as_secs() + 1);
    assert_eq!(story.ec2_error("DescribeInstances", &format!("InstanceId.1={id}")), "InvalidInstanceID.NotFound");
}

#[test]
fn a_tree_that_dies_by_itself_leaves_a_running_but_impaired_instance() {
    let mut story = Simulated::with_shells_by_hand();
    let id = story.launch("");
    story.signal(Signal::ProcessEnded { instance: id.clone() });
    assert_eq!(
        story.world.services.ec2.instance_facts(&id).map(|f| (f.state, f.impaired_since.is_none())),
        Some((InstanceState::Running, false))
    );
    let status = &story.ec2("DescribeInstanceStatus", "").maps("instanceStatusSet")[0];
    assert_eq!(status.map("instanceStatus").unwrap().text("status"), Some("impaired"));
    story.ec2("TerminateInstances", &format!("InstanceId.1={id}"));
    assert_eq!(story.state(&id), Some(InstanceState::Terminated), "there is no tree left to wait for");
}

#[test]
fn an_instance_stops_starts_and_reboots() {
    let mut story = Simulated::with_shells_by_hand();
    let id = story.launch("");
    let form = format!("InstanceId.1={id}");
    story.ec2("StopInstances", &form);
    assert_eq!(story.state(&id), Some(InstanceState::Stopping));
    story.signal(Signal::ProcessEnded { instance: id.clone() });
    assert_eq!(story.state(&id), Some(InstanceState::Stopped));
    story.ec2("StartInstances", &form);
    assert!(
        matches!(story.outward.last(), Some(Signal::Boot(boot)) if boot.first),
        "it was stopped before it had booted"
    );
    story.signal(Signal::ProcessStarted { instance: id.clone() });
    story.signal(Signal::InstanceBooted { instance: id.clone() });
    story.outward.clear();
    story.ec2("RebootInstances", &form);
    story.signal(Signal::ProcessEnded { instance: id.clone() });
    let again = |signals: &[Signal]| matches!(signals, [Signal::EndProcess { .. }, Signal::Boot(boot)] if !boot.first);
    assert!(again(&story.outward), "{:?}", story.outward);
    assert_eq!(story.state(&id), Some(InstanceState::Running));
    story.ec2("StopInstances", &form);
    story.ec2("TerminateInstances", &form);
    story.signal(Signal::ProcessEnded { instance: id.clone() });
    assert_eq!(story.state(&id), Some(InstanceState::Terminated), "one end serves both");
}

#[test]
fn a_boot_that_fails_terminates_the_instance_with_a_reason() {
    let mut story = Simulated::with_shells_by_hand();
    let form = "ImageId=ami-0a1b2c3d4e5f60001&InstanceType=t2.large&MinCount=1&MaxCount=1";
    let id = story.ec2("RunInstances", form).maps("instancesSet")[0].text("instanceId").unwrap().to_owned();
    story.signal(Signal::ProcessEnded { instance: id.clone() });
    let answer = story.ec2("DescribeInstances", &format!("InstanceId.1={id}")).maps("reservationSet");
    let instance = &answer[0].maps("instancesSet")[0];
    assert_eq!(instance.map("stateReason").unwrap().text("code"), Some("Server.InternalError"));
    assert_eq!(story.state(&id), Some(InstanceState::Terminated));
}

#[test]
fn a_repeated_client_token_launches_nothing_more() {
    let mut story = Simulated::with_shells_by_hand();
    let id = story.launch("ClientToken=once");
    assert_eq!(story.launch("ClientToken=once"), id);
    let other = "ImageId=ami-0a1b2c3d4e5f60001&InstanceType=t3.large&MinCount=1&MaxCount=1&ClientToken=once";
    assert_eq!(story.ec2_error("RunInstances", other), "IdempotentParameterMismatch");
}

#[test]
fn bad_launches_are_refused_in_awss_words() {
    let mut story = Simulated::with_shells_by_hand();
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
        assert_eq!(story.ec2_error("RunInstances", form), code, "{form}");
    }
    assert!(story.ec2("DescribeInstances", "").maps("reservationSet").is_empty());
}

#[test]
fn a_security_group_is_not_deleted_while_it_is_used() {
    let mut story = Simulated::with_shells_by_hand();
    let (front, back) = (story.security_group("front"), story.security_group("back"));
    assert_eq!(story.ec2_error("CreateSecurityGroup", "GroupName=front&GroupDescription=d"), "InvalidGroup.Duplicate");
    let from_front = format!(
        "GroupId={back}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=8080&IpPermissions.1.ToPort=8080\
         &IpPermissions.1.Groups.1.GroupId={front}"
    );
    story.ec2("AuthorizeSecurityGroupIngress", &from_front);
    assert_eq!(story.ec2_error("DeleteSecurityGroup", &format!("GroupId={front}")), "DependencyViolation");
    let id = story.launch(&format!("SecurityGroupId.1={back}"));
    assert_eq!(story.ec2_error("DeleteSecurityGroup", &format!("GroupId={back}")), "DependencyViolation");
    story.ec2("TerminateInstances", &format!("InstanceId.1={id}"));
    story.signal(Signal::ProcessEnded { instance: id });
    story.ec2("DeleteSecurityGroup", &format!("GroupId={back}"));
    story.ec2("DeleteSecurityGroup", &format!("GroupId={front}"));
    assert_eq!(story.ec2_error("DescribeSecurityGroups", &format!("GroupId.1={front}")), "InvalidGroup.NotFound");
}

#[test]
fn a_rule_is_authorised_once_and_revoked_by_its_words_or_its_id() {
    let mut story = Simulated::with_shells_by_hand();
    let group = story.security_group("web");
    let form = format!("GroupId={group}&{HTTP}");
    story.ec2("AuthorizeSecurityGroupIngress", &form);
    assert_eq!(story.ec2_error("AuthorizeSecurityGroupIngress", &form), "InvalidPermission.Duplicate");
    story.ec2("RevokeSecurityGroupIngress", &form);
    assert_eq!(story.ec2_error("RevokeSecurityGroupIngress", &form), "InvalidPermission.NotFound");
    let rule = story.ec2("AuthorizeSecurityGroupIngress", &form).maps("securityGroupRuleSet")[0].clone();
    let by_id = format!("GroupId={group}&SecurityGroupRuleId.1={}", rule.text("securityGroupRuleId").unwrap());
    story.ec2("RevokeSecurityGroupIngress", &by_id);
    let shown = &story.ec2("DescribeSecurityGroups", &format!("GroupId.1={group}")).maps("securityGroupInfo")[0];
    assert!(shown.maps("ipPermissions").is_empty());
    assert_eq!(shown.maps("ipPermissionsEgress")[0].text("ipProtocol"), Some("-1"));
}

#[test]
fn template_versions_build_on_each_other_and_launches_on_them() {
    let mut story = Simulated::with_shells_by_hand();
    let create = "LaunchTemplateName=web&ClientToken=t&LaunchTemplateData.ImageId=ami-0a1b2c3d4e5f60001\
                  &LaunchTemplateData.InstanceType=t2.large&LaunchTemplateData.Monitoring.Enabled=true\
                  &LaunchTemplateData.TagSpecification.1.ResourceType=instance\
                  &LaunchTemplateData.TagSpecification.1.Tag.1.Key=from&LaunchTemplateData.TagSpecification.1.Tag.1.Value=template";
    let first = story.ec2("CreateLaunchTemplate", create).map("launchTemplate").unwrap();
    let again = story.ec2("CreateLaunchTemplate", create).map("launchTemplate").unwrap();
    assert_eq!(first.text("launchTemplateId"), again.text("launchTemplateId"), "the same client token");
    let taken = "LaunchTemplateName=web&LaunchTemplateData.InstanceType=t2.large";
    assert_eq!(story.ec2_error("CreateLaunchTemplate", taken), "InvalidLaunchTemplateName.AlreadyExistsException");

    let second = "LaunchTemplateName=web&SourceVersion=1&LaunchTemplateData.InstanceType=m4.large";
    story.ec2("CreateLaunchTemplateVersion", second);
    let versions =
        story.ec2("DescribeLaunchTemplateVersions", "LaunchTemplateName=web&LaunchTemplateVersion.1=$Latest");
    let data = versions.maps("launchTemplateVersionSet")[0].map("launchTemplateData").unwrap();
    assert_eq!((data.text("instanceType"), data.text("imageId")), (Some("m4.large"), Some("ami-0a1b2c3d4e5f60001")));
    assert_eq!(data.maps("tagSpecificationSet")[0].maps("tagSet")[0].text("value"), Some("template"));

    let launch = "LaunchTemplate.LaunchTemplateName=web&LaunchTemplate.Version=$Latest&MinCount=1&MaxCount=1\
                  &TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=of&TagSpecification.1.Tag.1.Value=call";
    let instance = story.ec2("RunInstances", launch).maps("instancesSet")[0].clone();
    assert_eq!(instance.text("instanceType"), Some("m4.large"));
    assert_eq!(instance.map("monitoring").unwrap().text("state"), Some("enabled"));
    let keys: Vec<String> =
        instance.maps("tagSet").iter().filter_map(|tag| tag.text("key").map(str::to_owned)).collect();
    assert_eq!(keys, ["aws:ec2launchtemplate:id", "aws:ec2launchtemplate:version", "from", "of"]);

    assert_eq!(story.world.services.ec2.launch_template_facts("web", "$Default").map(|f| f.version), Some(1));
    story.ec2("ModifyLaunchTemplate", "LaunchTemplateName=web&SetDefaultVersion=2");
    assert_eq!(story.world.services.ec2.launch_template_facts("web", "$Default").map(|f| f.version), Some(2));
    story.ec2("DeleteLaunchTemplate", "LaunchTemplateName=web");
    assert_eq!(
        story.ec2_error("DescribeLaunchTemplates", "LaunchTemplateName.1=web"),
        "InvalidLaunchTemplateName.NotFoundException"
    );
}

#[test]
fn a_group_launches_through_a_signal() {
    let mut story = Simulated::with_shells_by_hand();
    let create = "LaunchTemplateName=web&LaunchTemplateData.ImageId=ami-0a1b2c3d4e5f60001&LaunchTemplateData.InstanceType=t2.large";
    let template = story.ec2("CreateLaunchTemplate", create).map("launchTemplate").unwrap();
    let subnet = story.ec2("DescribeSubnets", "").maps("subnetSet")[0].text("subnetId").unwrap().to_owned();
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
    let spot = story.ec2("DescribeInstances", "Filter.1.Name=instance-lifecycle&Filter.1.Value.1=spot");
    let shown = &spot.maps("reservationSet")[0].maps("instancesSet")[0];
    assert_eq!((shown.text("instanceId"), shown.text("instanceLifecycle")), (Some(&*id), Some("spot")));
    assert!(shown.text("spotInstanceRequestId").is_some_and(|request| request.starts_with("sir-")));
    story.signal(Signal::TerminateInstance { instance: id.clone() });
    assert_eq!(story.state(&id), Some(InstanceState::ShuttingDown));
}

#[test]
fn tags_are_added_filtered_and_removed_on_any_resource() {
    let mut story = Simulated::with_shells_by_hand();
    let (group, instance) = (story.security_group("web"), story.launch(""));
    let form = format!("ResourceId.1={group}&ResourceId.2={instance}&Tag.1.Key=stack&Tag.1.Value=s");
    story.ec2("CreateTags", &form);
    let filter = "Filter.1.Name=tag:stack&Filter.1.Value.1=s";
    assert_eq!(story.ec2("DescribeTags", filter).maps("tagSet").len(), 2);
    assert_eq!(story.ec2("DescribeSecurityGroups", filter).maps("securityGroupInfo").len(), 1);
    story.ec2("DeleteTags", &form);
    assert!(story.ec2("DescribeTags", filter).maps("tagSet").is_empty());
    assert_eq!(story.ec2_error("CreateTags", "ResourceId.1=i-1&Tag.1.Key=a"), "InvalidInstanceID.NotFound");
    assert_eq!(
        story.ec2_error("CreateTags", &format!("ResourceId.1={group}&Tag.1.Key=aws:x")),
        "InvalidParameterValue"
    );
}

#[test]
fn pages_hold_what_was_asked_for() {
    let mut story = Simulated::with_shells_by_hand();
    for _ in 0..3 {
        story.launch("");
    }
    let count = |page: &Params| page.maps("reservationSet").iter().map(|r| r.maps("instancesSet").len()).sum::<usize>();
    let first = story.ec2("DescribeInstances", "MaxResults=2");
    let token = first.text("nextToken").unwrap().to_owned();
    let second = story.ec2("DescribeInstances", &format!("MaxResults=2&NextToken={token}"));
    assert_eq!((count(&first), count(&second), second.text("nextToken")), (2, 1, None));
}

#[test]
fn unknown_operations_and_filters_say_so() {
    let mut story = Simulated::with_shells_by_hand();
    assert_eq!(story.ec2_error("CreateFleet", ""), "InvalidAction");
    story.launch("");
    let filter = "Filter.1.Name=colour&Filter.1.Value.1=red";
    assert_eq!(story.ec2_error("DescribeInstances", filter), "InvalidParameterValue");
}
