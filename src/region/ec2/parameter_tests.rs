//! What a call may say: parameters that EC2 does not know here are refused by name, dry runs change nothing, and a
//! launch is checked as AWS checks it.

use crate::region::simulated::Simulated;

const RUN: &str = "ImageId=ami-0a1b2c3d4e5f60001&InstanceType=t2.large&MinCount=1&MaxCount=1";

#[test]
fn a_launch_is_refused_by_the_name_of_what_the_region_cannot_do() {
    let mut story = Simulated::with_shells_by_hand();
    for (more, code, named) in [
        ("CpuOptions.CoreCount=1", "UnknownParameter", "CpuOptions"),
        ("Ipv6AddressCount=1", "UnknownParameter", "Ipv6AddressCount"),
        ("Placement.HostId=h-1", "UnknownParameter", "Placement.HostId"),
        ("Placement.Tenancy=dedicated", "InvalidParameterValue", "Placement.Tenancy"),
        (
            "BlockDeviceMapping.1.DeviceName=/dev/sdf&BlockDeviceMapping.1.Ebs.VolumeSize=10",
            "InvalidBlockDeviceMapping",
            "/dev/sdf",
        ),
        (
            "NetworkInterface.1.DeviceIndex=0&NetworkInterface.2.DeviceIndex=1",
            "InvalidParameterValue",
            "NetworkInterface.2",
        ),
        (
            "TagSpecification.1.ResourceType=car&TagSpecification.1.Tag.1.Key=a",
            "InvalidParameterValue",
            "TagSpecification.1.ResourceType",
        ),
        ("TagSpecification=instance", "InvalidParameterValue", "TagSpecification"),
        ("TemplateId=lt-1", "UnknownParameter", "TemplateId"),
    ] {
        let error = story.try_ec2("RunInstances", &format!("{RUN}&{more}")).unwrap_err();
        assert_eq!(error.code, code, "{more}");
        assert!(error.message.contains(named), "{more}: {}", error.message);
    }
}

#[test]
fn a_name_that_a_caller_made_up_never_becomes_part_of_an_answer() {
    let mut story = Simulated::with_shells_by_hand();
    let data = "LaunchTemplateName=web&LaunchTemplateData.ImageId=ami-0a1b2c3d4e5f60001";
    let error =
        story.try_ec2("CreateLaunchTemplate", &format!("{data}&LaunchTemplateData.%3Cx+y%3D%22=1")).unwrap_err();
    assert_eq!(error.code, "UnknownParameter");
    assert!(error.message.contains("LaunchTemplateData.<x y=\""), "{}", error.message);
    assert!(
        story
            .ec2("DescribeLaunchTemplateVersions", "LaunchTemplateVersion.1=$Latest")
            .maps("launchTemplateVersionSet")
            .is_empty()
    );
}

#[test]
fn every_operation_takes_a_dry_run_and_changes_nothing() {
    let mut story = Simulated::with_shells_by_hand();
    for (operation, form) in [
        ("RunInstances", RUN),
        ("DescribeVpcs", ""),
        ("DescribeInstanceTypes", ""),
        ("CreateVpc", "CidrBlock=10.0.0.0/16"),
        ("CreateSecurityGroup", "GroupName=web&GroupDescription=d"),
        ("CreateLaunchTemplate", "LaunchTemplateName=web&LaunchTemplateData.InstanceType=t2.large"),
    ] {
        let error = story.try_ec2(operation, &format!("{form}&DryRun=true")).unwrap_err();
        assert_eq!((error.status, error.code.as_str()), (412, "DryRunOperation"), "{operation}");
    }
    assert_eq!(story.ec2_error("CreateVpc", "CidrBlock=nonsense&DryRun=true"), "InvalidParameterValue");
    assert!(story.ec2("DescribeInstances", "").maps("reservationSet").is_empty());
    assert_eq!(story.ec2("DescribeVpcs", "").maps("vpcSet").len(), 1);
    assert!(story.ec2("DescribeLaunchTemplates", "").maps("launchTemplates").is_empty());
}

#[test]
fn a_launch_names_an_image_and_a_key_that_exist_and_a_type_of_the_images_architecture() {
    let mut story = Simulated::with_shells_by_hand();
    let launch = |image: &str, kind: &str, more: &str| {
        format!("ImageId={image}&InstanceType={kind}&MinCount=1&MaxCount=1{more}")
    };
    let (intel, arm) = ("ami-0a1b2c3d4e5f60001", "ami-0a1b2c3d4e5f60002");
    assert_eq!(
        story.ec2_error("RunInstances", &launch("ami-0123456789abcdef0", "t2.large", "")),
        "InvalidAMIID.NotFound"
    );
    assert_eq!(story.ec2_error("RunInstances", &launch("image", "t2.large", "")), "InvalidAMIID.Malformed");
    assert_eq!(story.ec2_error("RunInstances", &launch(intel, "t2.large", "&KeyName=none")), "InvalidKeyPair.NotFound");
    let error = story.try_ec2("RunInstances", &launch(intel, "t4g.small", "")).unwrap_err();
    assert_eq!(error.code, "InvalidParameterValue");
    assert!(
        error.message.starts_with("The architecture 'arm64' of the specified instance type does not match"),
        "{}",
        error.message
    );
    story.ec2("RunInstances", &launch(arm, "t4g.small", ""));
}

#[test]
fn a_protected_instance_does_not_stop_until_its_attribute_changes() {
    let mut story = Simulated::with_shells_by_hand();
    let id = story.launch("DisableApiStop=true&InstanceInitiatedShutdownBehavior=terminate");
    let shown = |story: &mut Simulated, attribute: &str| {
        let form = format!("InstanceId={id}&Attribute={attribute}");
        story.ec2("DescribeInstanceAttribute", &form).map(attribute).unwrap().text("value").map(str::to_owned)
    };
    assert_eq!(shown(&mut story, "instanceInitiatedShutdownBehavior").as_deref(), Some("terminate"));
    assert_eq!(story.ec2_error("StopInstances", &format!("InstanceId.1={id}")), "OperationNotPermitted");
    story.ec2("ModifyInstanceAttribute", &format!("InstanceId={id}&DisableApiStop.Value=false"));
    let type_form = format!("InstanceId={id}&InstanceType.Value=m4.large");
    assert_eq!(story.ec2_error("ModifyInstanceAttribute", &type_form), "IncorrectInstanceState");
    story.stop(&id);
    story.ec2("ModifyInstanceAttribute", &type_form);
    story.ec2("ModifyInstanceAttribute", &format!("InstanceId={id}&Attribute=userData&Value=aGVsbG8="));
    assert_eq!(shown(&mut story, "instanceType").as_deref(), Some("m4.large"));
    assert_eq!(shown(&mut story, "userData").as_deref(), Some("aGVsbG8="));
    let two = format!("InstanceId={id}&InstanceType.Value=m4.large&DisableApiStop.Value=true");
    assert_eq!(story.ec2_error("ModifyInstanceAttribute", &two), "InvalidParameterCombination");
}

/// What a call does not name stays (EC2 API, ModifyInstanceMetadataOptions).
#[test]
fn metadata_options_change_one_by_one_while_an_instance_runs() {
    let mut story = Simulated::with_shells_by_hand();
    let id = story.launch("MetadataOptions.HttpPutResponseHopLimit=3&MetadataOptions.InstanceMetadataTags=enabled");
    let mut change = |form: &str| {
        let answer = story.ec2("ModifyInstanceMetadataOptions", &format!("InstanceId={id}&{form}"));
        assert_eq!(answer.text("instanceId"), Some(id.as_str()));
        let shown = answer.map("instanceMetadataOptions").unwrap();
        let names = ["httpTokens", "httpPutResponseHopLimit", "httpEndpoint", "instanceMetadataTags"];
        let number = |name: &str| shown.int(name).unwrap().unwrap().to_string();
        names.map(|name| shown.text(name).map_or_else(|| number(name), str::to_owned)).join(" ")
    };
    assert_eq!(change("HttpTokens=optional"), "optional 3 enabled enabled");
    assert_eq!(change("HttpEndpoint=disabled&InstanceMetadataTags=disabled"), "optional 3 disabled disabled");
    assert_eq!(change("HttpPutResponseHopLimit=1&HttpTokens=required"), "required 1 disabled disabled");
    let wrong = |story: &mut Simulated, form: &str| story.ec2_error("ModifyInstanceMetadataOptions", form);
    assert_eq!(wrong(&mut story, &format!("InstanceId={id}&HttpPutResponseHopLimit=65")), "InvalidParameterValue");
    assert_eq!(wrong(&mut story, &format!("InstanceId={id}&HttpTokens=maybe")), "InvalidParameterValue");
    assert_eq!(wrong(&mut story, "InstanceId=i-0123456789abcdef0&HttpTokens=required"), "InvalidInstanceID.NotFound");
}

#[test]
fn interfaces_and_spot_requests_carry_the_tags_of_the_launch() {
    let mut story = Simulated::with_shells_by_hand();
    let tags = ["network-interface", "spot-instances-request"].iter().enumerate().map(|(index, kind)| {
        let at = format!("TagSpecification.{}", index + 1);
        format!("{at}.ResourceType={kind}&{at}.Tag.1.Key=role&{at}.Tag.1.Value={kind}")
    });
    let tags: Vec<String> = tags.collect();
    story.launch(&format!("InstanceMarketOptions.MarketType=spot&{}", tags.join("&")));
    let filter = "Filter.1.Name=tag:role&Filter.1.Value.1=network-interface";
    assert_eq!(story.ec2("DescribeNetworkInterfaces", filter).maps("networkInterfaceSet").len(), 1);
    let filter = "Filter.1.Name=resource-type&Filter.1.Value.1=spot-instances-request";
    assert_eq!(story.ec2("DescribeTags", filter).maps("tagSet")[0].text("value"), Some("spot-instances-request"));
}

#[test]
fn an_image_may_be_named_by_the_public_parameter_that_holds_it() {
    let mut story = Simulated::with_shells_by_hand();
    let alias = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";
    let launch = |image: &str| format!("ImageId={image}&InstanceType=t2.large&MinCount=1&MaxCount=1");
    let made = story.ec2("RunInstances", &launch(alias));
    assert_eq!(made.maps("instancesSet")[0].text("imageId"), Some("ami-0a1b2c3d4e5f60001"));
    assert_eq!(story.ec2_error("RunInstances", &launch("resolve:ssm:/nobody/has/this")), "InvalidParameterValue");
    story.ec2("CreateLaunchTemplate", &format!("LaunchTemplateName=web&LaunchTemplateData.ImageId={alias}"));
    let image = |story: &mut Simulated, more: &str| {
        let form = format!("LaunchTemplateName=web{more}");
        let versions = story.ec2("DescribeLaunchTemplateVersions", &form).maps("launchTemplateVersionSet");
        versions[0].map("launchTemplateData").unwrap().text("imageId").unwrap().to_owned()
    };
    assert_eq!(image(&mut story, ""), alias);
    assert_eq!(image(&mut story, "&ResolveAlias=true"), "ami-0a1b2c3d4e5f60001");
}

#[test]
fn the_spot_price_of_a_type_is_its_price_on_demand_in_every_zone() {
    let mut story = Simulated::with_shells_by_hand();
    let history = |story: &mut Simulated, more: &str| {
        let form = format!("InstanceType.1=t2.large&ProductDescription.1=Linux/UNIX{more}");
        story.ec2("DescribeSpotPriceHistory", &form).maps("spotPriceHistorySet")
    };
    let all = history(&mut story, "");
    assert_eq!(all.len(), 6);
    assert_eq!((all[0].text("spotPrice"), all[0].text("availabilityZone")), (Some("0.092800"), Some("us-east-1a")));
    assert_eq!(history(&mut story, "&AvailabilityZone=us-east-1b").len(), 1);
    assert_eq!(story.ec2_error("DescribeSpotPriceHistory", "AvailabilityZone=mars-1a"), "InvalidParameterValue");
}

/// `LaunchTemplateInstanceNetworkInterfaceSpecification` has `groupSet` for what a request calls `SecurityGroupId` (EC2 API
/// reference); Terraform gives no device index where it is the first.
#[test]
fn a_templates_interface_shows_its_security_groups() {
    let mut story = Simulated::with_shells_by_hand();
    let interface = "LaunchTemplateData.NetworkInterface.1";
    let form = format!("{interface}.SecurityGroupId.1=sg-1&{interface}.AssociatePublicIpAddress=true");
    story.ec2("CreateLaunchTemplate", &format!("LaunchTemplateName=web&{form}"));
    let versions = story.ec2("DescribeLaunchTemplateVersions", "LaunchTemplateName=web");
    let data = versions.maps("launchTemplateVersionSet")[0].map("launchTemplateData").unwrap();
    let interface = &data.maps("networkInterfaceSet")[0];
    assert_eq!(interface.texts("groupSet"), ["sg-1"]);
    assert_eq!(interface.text("associatePublicIpAddress"), Some("true"));
}
