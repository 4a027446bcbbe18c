//! What groups are made of besides launch templates, and where they are placed.

use crate::region::simulated::Simulated;
use crate::region::simulated::setup::IMAGE;
use crate::region::wire::Service;

fn configuration(cloud: &mut Simulated, name: &str, instance_type: &str) {
    let form = format!("LaunchConfigurationName={name}&ImageId={IMAGE}&InstanceType={instance_type}");
    cloud.asg("CreateLaunchConfiguration", &form);
}

fn types(cloud: &Simulated) -> Vec<String> {
    let mut types: Vec<String> = cloud.group().members.iter().map(|member| member.instance_type.clone()).collect();
    types.sort();
    types
}

/// A group moves from one configuration to another: what runs stays, and goes first when the group shrinks.
#[test]
fn a_group_launches_from_a_configuration_and_is_given_another() {
    let mut cloud = Simulated::empty(7);
    configuration(&mut cloud, "old", "t3.micro");
    configuration(&mut cloud, "new", "t3.small");
    let subnets = cloud.subnets()[..2].join("%2C");
    let form = format!(
        "AutoScalingGroupName=web&LaunchConfigurationName=old&MinSize=0&MaxSize=4&DesiredCapacity=2&VPCZoneIdentifier={subnets}"
    );
    cloud.asg("CreateAutoScalingGroup", &form);
    cloud.run(120);
    let shown = cloud.asg("DescribeAutoScalingGroups", "").maps("AutoScalingGroups")[0].clone();
    assert_eq!(shown.text("LaunchConfigurationName"), Some("old"));
    assert!(shown.map("LaunchTemplate").is_none());
    assert_eq!(shown.maps("Instances")[0].text("LaunchConfigurationName"), Some("old"));
    let in_use = cloud.try_asg("DeleteLaunchConfiguration", "LaunchConfigurationName=old").unwrap_err();
    assert_eq!(in_use.code, "ResourceInUse");

    cloud.asg("UpdateAutoScalingGroup", "AutoScalingGroupName=web&LaunchConfigurationName=new&DesiredCapacity=4");
    cloud.run(120);
    assert_eq!(types(&cloud), ["t3.micro", "t3.micro", "t3.small", "t3.small"]);
    cloud.asg("SetDesiredCapacity", "AutoScalingGroupName=web&DesiredCapacity=2");
    cloud.run(120);
    assert_eq!(types(&cloud), ["t3.small", "t3.small"], "the older configuration goes first");
    cloud.asg("DeleteLaunchConfiguration", "LaunchConfigurationName=old");
    let left = cloud.asg("DescribeLaunchConfigurations", "").maps("LaunchConfigurations");
    assert_eq!(left[0].text("LaunchConfigurationName"), Some("new"));

    // And on to a template, by a refresh.
    cloud.asg(
        "StartInstanceRefresh",
        "AutoScalingGroupName=web&DesiredConfiguration.LaunchTemplate.LaunchTemplateName=web&DesiredConfiguration.LaunchTemplate.Version=1",
    );
    cloud.run(1_800);
    assert_eq!(types(&cloud), ["t3.micro", "t3.micro"]);
    let shown = cloud.asg("DescribeAutoScalingGroups", "").maps("AutoScalingGroups")[0].clone();
    assert!(shown.text("LaunchConfigurationName").is_none() && shown.map("LaunchTemplate").is_some());
}

#[test]
fn a_configuration_is_complete_and_its_name_taken_once() {
    let mut cloud = Simulated::empty(7);
    configuration(&mut cloud, "web", "t3.micro");
    let refused =
        |cloud: &mut Simulated, form: &str| cloud.try_asg("CreateLaunchConfiguration", form).unwrap_err().code;
    assert_eq!(refused(&mut cloud, "LaunchConfigurationName=web&ImageId=ami-1&InstanceType=t3.micro"), "AlreadyExists");
    assert_eq!(refused(&mut cloud, "LaunchConfigurationName=x&InstanceType=t3.micro"), "ValidationError");
    let subnet = cloud.subnets()[0].clone();
    let both = format!(
        "AutoScalingGroupName=x&LaunchConfigurationName=web&LaunchTemplate.LaunchTemplateName=web&MinSize=0&MaxSize=1&VPCZoneIdentifier={subnet}"
    );
    assert_eq!(cloud.try_asg("CreateAutoScalingGroup", &both).unwrap_err().code, "ValidationError");
    let gone = both.replace("=web&LaunchTemplate.LaunchTemplateName=web", "=gone");
    assert_eq!(cloud.try_asg("CreateAutoScalingGroup", &gone).unwrap_err().code, "ValidationError");
}

/// Zones alone mean the default subnets in them.
#[test]
fn a_group_is_placed_by_zones_alone() {
    let mut cloud = Simulated::empty(7);
    let group = "LaunchTemplate.LaunchTemplateName=web&MinSize=2&MaxSize=2&AutoScalingGroupName";
    cloud.asg(
        "CreateAutoScalingGroup",
        &format!("{group}=web&AvailabilityZones.member.1=us-east-1b&AvailabilityZones.member.2=us-east-1c"),
    );
    cloud.run(120);
    let mut zones: Vec<&str> = cloud.group().members.iter().map(|member| member.zone.as_str()).collect();
    zones.sort_unstable();
    assert_eq!(zones, ["us-east-1b", "us-east-1c"]);
    let first = cloud.subnets()[0].clone();
    for wrong in [
        "&AvailabilityZones.member.1=us-east-1z".to_owned(),
        format!("&AvailabilityZones.member.1=us-east-1b&VPCZoneIdentifier={first}"),
        String::new(),
    ] {
        let refused = cloud.try_asg("CreateAutoScalingGroup", &format!("{group}=x{wrong}")).unwrap_err();
        assert_eq!(refused.code, "ValidationError", "{wrong}");
    }
}

/// The private key is what OpenSSH writes: its public half is that of the key pair.
#[test]
fn a_key_pair_is_made_and_its_private_half_told_once() {
    use base64::Engine as _;
    let mut cloud = Simulated::empty(7);
    let made = cloud.ec2("CreateKeyPair", "KeyName=lab&KeyType=ed25519");
    let material = made.text("keyMaterial").unwrap();
    let body: String = material.lines().filter(|line| !line.starts_with("-----")).collect();
    let private = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
    assert!(private.starts_with(b"openssh-key-v1\0"));
    let shown = cloud.ec2("DescribeKeyPairs", "KeyName.1=lab&IncludePublicKey=true").maps("keySet")[0].clone();
    let public = shown.text("publicKey").unwrap().split(' ').nth(1).unwrap().to_owned();
    let blob = base64::engine::general_purpose::STANDARD.decode(public).unwrap();
    assert_eq!(private.windows(blob.len()).filter(|part| *part == blob).count(), 2, "in clear and in the private part");
    assert!(cloud.ec2("DescribeKeyPairs", "KeyName.1=lab").maps("keySet")[0].text("keyMaterial").is_none());
    for wrong in ["KeyName=lab&KeyType=ed25519", "KeyName=other"] {
        assert!(cloud.try_call(Service::Ec2, "CreateKeyPair", wrong).is_err(), "{wrong}");
    }
}
