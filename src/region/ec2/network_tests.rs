//! Created networks and what is derived from instances and load balancers, through EC2's own wire form.

use crate::region::simulated::Simulated;

fn made(story: &mut Simulated, operation: &str, form: &str, kind: &str, id: &str) -> String {
    story.ec2(operation, form).map(kind).unwrap().text(id).unwrap().to_owned()
}

fn vpc(story: &mut Simulated) -> String {
    made(story, "CreateVpc", "CidrBlock=10.9.0.0/16", "vpc", "vpcId")
}

fn subnet(story: &mut Simulated, vpc: &str, cidr: &str, zone: &str) -> String {
    let form = format!("VpcId={vpc}&CidrBlock={cidr}&AvailabilityZone=us-east-1{zone}");
    made(story, "CreateSubnet", &form, "subnet", "subnetId")
}

#[test]
fn a_vpc_comes_with_a_main_route_table_an_acl_and_a_security_group_and_takes_them_along() {
    let mut story = Simulated::with_shells_by_hand();
    let vpc = vpc(&mut story);
    let of_vpc = format!("Filter.1.Name=vpc-id&Filter.1.Value.1={vpc}");
    let tables =
        story.ec2("DescribeRouteTables", &format!("{of_vpc}&Filter.2.Name=association.main&Filter.2.Value.1=true"));
    let routes = tables.maps("routeTableSet")[0].maps("routeSet");
    assert_eq!(
        (routes[0].text("destinationCidrBlock"), routes[0].text("gatewayId")),
        (Some("10.9.0.0/16"), Some("local"))
    );
    assert_eq!(story.ec2("DescribeNetworkAcls", &of_vpc).maps("networkAclSet").len(), 1);
    assert_eq!(
        story.ec2("DescribeSecurityGroups", &of_vpc).maps("securityGroupInfo")[0].text("groupName"),
        Some("default")
    );
    story.ec2("DeleteVpc", &format!("VpcId={vpc}"));
    for (operation, list) in [("DescribeRouteTables", "routeTableSet"), ("DescribeSecurityGroups", "securityGroupInfo")]
    {
        assert!(story.ec2(operation, &of_vpc).list(list).is_empty(), "{operation}");
    }
    assert_eq!(story.ec2_error("DescribeVpcs", &format!("VpcId.1={vpc}")), "InvalidVpcID.NotFound");
}

#[test]
fn a_vpc_with_anything_in_it_is_not_deleted() {
    let mut story = Simulated::with_shells_by_hand();
    let vpc = vpc(&mut story);
    let delete = format!("VpcId={vpc}");
    let subnet = subnet(&mut story, &vpc, "10.9.1.0/24", "a");
    assert_eq!(story.ec2_error("DeleteVpc", &delete), "DependencyViolation");
    story.ec2("DeleteSubnet", &format!("SubnetId={subnet}"));
    let gateway = made(&mut story, "CreateInternetGateway", "", "internetGateway", "internetGatewayId");
    story.ec2("AttachInternetGateway", &format!("{delete}&InternetGatewayId={gateway}"));
    assert_eq!(story.ec2_error("DeleteVpc", &delete), "DependencyViolation");
    assert_eq!(
        story.ec2_error("DeleteInternetGateway", &format!("InternetGatewayId={gateway}")),
        "DependencyViolation"
    );
    story.ec2("DetachInternetGateway", &format!("{delete}&InternetGatewayId={gateway}"));
    story.ec2("DeleteInternetGateway", &format!("InternetGatewayId={gateway}"));
    story.ec2("DeleteVpc", &delete);
}

#[test]
fn a_vpcs_attributes_are_changed_one_at_a_time() {
    let mut story = Simulated::with_shells_by_hand();
    let vpc = vpc(&mut story);
    let hostnames = |story: &mut Simulated| {
        let answer = story.ec2("DescribeVpcAttribute", &format!("VpcId={vpc}&Attribute=enableDnsHostnames"));
        answer.map("enableDnsHostnames").unwrap().bool("value").unwrap()
    };
    assert_eq!(hostnames(&mut story), Some(false));
    story.ec2("ModifyVpcAttribute", &format!("VpcId={vpc}&EnableDnsHostnames.Value=true"));
    assert_eq!(hostnames(&mut story), Some(true));
    let two = format!("VpcId={vpc}&EnableDnsHostnames.Value=true&EnableDnsSupport.Value=true");
    assert_eq!(story.ec2_error("ModifyVpcAttribute", &two), "InvalidParameterCombination");
}

#[test]
fn ranges_must_fit() {
    let mut story = Simulated::with_shells_by_hand();
    assert_eq!(story.ec2_error("CreateVpc", "CidrBlock=10.0.0.0/8"), "InvalidVpc.Range");
    assert_eq!(story.ec2_error("CreateVpc", "CidrBlock=10.0.0.0"), "InvalidParameterValue");
    let vpc = vpc(&mut story);
    subnet(&mut story, &vpc, "10.9.1.0/24", "a");
    let error =
        |story: &mut Simulated, cidr: &str| story.ec2_error("CreateSubnet", &format!("VpcId={vpc}&CidrBlock={cidr}"));
    assert_eq!(error(&mut story, "10.9.0.0/16"), "InvalidSubnet.Conflict");
    assert_eq!(error(&mut story, "10.8.1.0/24"), "InvalidSubnet.Range");
}

/// AWS keeps the first four addresses and the last of a subnet (VPC user guide, "Subnet sizing").
#[test]
fn an_instance_of_a_created_subnet_has_an_address_of_its_range_and_a_public_one_only_if_asked() {
    let mut story = Simulated::with_shells_by_hand();
    let vpc = vpc(&mut story);
    let subnet = subnet(&mut story, &vpc, "10.9.1.0/24", "b");
    let free = |story: &mut Simulated| {
        let shown = story.ec2("DescribeSubnets", &format!("SubnetId.1={subnet}"));
        shown.maps("subnetSet")[0].int("availableIpAddressCount").unwrap()
    };
    assert_eq!(free(&mut story), Some(251));
    let private = story.launch(&format!("SubnetId={subnet}"));
    story.ec2("ModifySubnetAttribute", &format!("SubnetId={subnet}&MapPublicIpOnLaunch.Value=true"));
    let public = story.launch(&format!("SubnetId={subnet}"));
    let addresses = |story: &mut Simulated, id: &str| {
        let answer = story.ec2("DescribeInstances", &format!("InstanceId.1={id}"));
        let instance = answer.maps("reservationSet")[0].maps("instancesSet")[0].clone();
        (instance.text("privateIpAddress").unwrap().to_owned(), instance.text("ipAddress").map(str::to_owned))
    };
    assert_eq!(addresses(&mut story, &private), ("10.9.1.4".to_owned(), None));
    let (address, reached) = addresses(&mut story, &public);
    assert_eq!(address, "10.9.1.5");
    assert!(reached.as_ref().is_some_and(|it| it.starts_with("127.31.16.")), "zone b's net: {reached:?}");
    assert_eq!(free(&mut story), Some(249));
    let asked = story.launch(&format!("SubnetId={subnet}&PrivateIpAddress=10.9.1.200"));
    assert_eq!(addresses(&mut story, &asked).0, "10.9.1.200");
    let run = "ImageId=ami-0a1b2c3d4e5f60001&MinCount=1&MaxCount=1&InstanceType=t2.large";
    for (address, code) in [
        ("10.9.1.200", "InvalidIPAddress.InUse"),
        ("10.9.1.3", "InvalidParameterValue"),
        ("10.9.2.9", "InvalidParameterValue"),
    ] {
        assert_eq!(
            story.ec2_error("RunInstances", &format!("{run}&SubnetId={subnet}&PrivateIpAddress={address}")),
            code
        );
    }
    assert_eq!(story.ec2_error("DeleteSubnet", &format!("SubnetId={subnet}")), "DependencyViolation");
}

#[test]
fn a_default_subnets_range_is_where_its_instances_really_are() {
    let mut story = Simulated::with_shells_by_hand();
    let id = story.launch("");
    let answer = story.ec2("DescribeInstances", &format!("InstanceId.1={id}"));
    let instance = answer.maps("reservationSet")[0].maps("instancesSet")[0].clone();
    assert_eq!(instance.text("privateIpAddress"), Some("127.31.0.4"));
    assert_eq!(instance.text("ipAddress"), Some("127.31.0.4"));
    let shown = story.ec2("DescribeSubnets", &format!("SubnetId.1={}", instance.text("subnetId").unwrap()));
    assert_eq!(shown.maps("subnetSet")[0].int("availableIpAddressCount").unwrap(), Some(4090));
}

#[test]
fn routes_lead_to_the_vpcs_own_gateway_and_turn_black_without_it() {
    let mut story = Simulated::with_shells_by_hand();
    let vpc = vpc(&mut story);
    let gateway = made(&mut story, "CreateInternetGateway", "", "internetGateway", "internetGatewayId");
    let table = made(&mut story, "CreateRouteTable", &format!("VpcId={vpc}"), "routeTable", "routeTableId");
    let route = format!("RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0&GatewayId={gateway}");
    assert_eq!(story.ec2_error("CreateRoute", &route), "InvalidParameterValue");
    story.ec2("AttachInternetGateway", &format!("VpcId={vpc}&InternetGatewayId={gateway}"));
    assert_eq!(story.ec2_error("ReplaceRoute", &route), "InvalidRoute.NotFound");
    story.ec2("CreateRoute", &route);
    assert_eq!(story.ec2_error("CreateRoute", &route), "RouteAlreadyExists");
    story.ec2("DetachInternetGateway", &format!("VpcId={vpc}&InternetGatewayId={gateway}"));
    let tables = story.ec2("DescribeRouteTables", &format!("RouteTableId.1={table}")).maps("routeTableSet");
    assert_eq!(tables[0].maps("routeSet")[1].text("state"), Some("blackhole"));
    story.ec2("DeleteRoute", &format!("RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0"));
    story.ec2("DeleteRouteTable", &format!("RouteTableId={table}"));
}

#[test]
fn a_subnet_has_one_route_table_and_the_main_association_can_only_be_moved() {
    let mut story = Simulated::with_shells_by_hand();
    let vpc = vpc(&mut story);
    let subnet = subnet(&mut story, &vpc, "10.9.1.0/24", "a");
    let table = made(&mut story, "CreateRouteTable", &format!("VpcId={vpc}"), "routeTable", "routeTableId");
    let associate = format!("RouteTableId={table}&SubnetId={subnet}");
    let association = story.ec2("AssociateRouteTable", &associate).text("associationId").unwrap().to_owned();
    assert_eq!(story.ec2_error("AssociateRouteTable", &associate), "Resource.AlreadyAssociated");
    assert_eq!(story.ec2_error("DeleteRouteTable", &format!("RouteTableId={table}")), "DependencyViolation");
    story.ec2("DisassociateRouteTable", &format!("AssociationId={association}"));

    let of_vpc =
        format!("Filter.1.Name=vpc-id&Filter.1.Value.1={vpc}&Filter.2.Name=association.main&Filter.2.Value.1=true");
    let main = story.ec2("DescribeRouteTables", &of_vpc).maps("routeTableSet")[0].maps("associationSet")[0].clone();
    let main = main.text("routeTableAssociationId").unwrap().to_owned();
    assert_eq!(story.ec2_error("DisassociateRouteTable", &format!("AssociationId={main}")), "InvalidParameterValue");
    story.ec2("ReplaceRouteTableAssociation", &format!("AssociationId={main}&RouteTableId={table}"));
    assert_eq!(story.ec2("DescribeRouteTables", &of_vpc).maps("routeTableSet")[0].text("routeTableId"), Some(&*table));
}

#[test]
fn an_instance_shows_its_root_volume_its_interface_and_its_credits() {
    let mut story = Simulated::with_shells_by_hand();
    let id = story.launch("BlockDeviceMapping.1.DeviceName=/dev/xvda&BlockDeviceMapping.1.Ebs.VolumeSize=20");
    let of_instance = format!("Filter.1.Name=attachment.instance-id&Filter.1.Value.1={id}");
    let volume = &story.ec2("DescribeVolumes", &of_instance).maps("volumeSet")[0];
    assert_eq!((volume.int("size"), volume.text("volumeType")), (Ok(Some(20)), Some("gp3")));
    let interface = &story.ec2("DescribeNetworkInterfaces", &of_instance).maps("networkInterfaceSet")[0];
    assert_eq!(interface.map("association").unwrap().text("publicIp"), interface.text("privateIpAddress"));
    let credits = story.ec2("DescribeInstanceCreditSpecifications", &format!("InstanceId.1={id}"));
    assert_eq!(credits.maps("instanceCreditSpecificationSet")[0].text("cpuCredits"), Some("standard"));
}

/// What Terraform's `aws_default_network_acl` and the public vpc module's ACLs do.
#[test]
fn rules_of_a_network_acl_are_replaced_and_a_subnet_changes_its_acl() {
    let mut story = Simulated::with_shells_by_hand();
    let vpc = vpc(&mut story);
    let subnet = subnet(&mut story, &vpc, "10.9.1.0/24", "a");
    let listed = |story: &mut Simulated, default: bool| {
        let form =
            format!("Filter.1.Name=vpc-id&Filter.1.Value.1={vpc}&Filter.2.Name=default&Filter.2.Value.1={default}");
        story.ec2("DescribeNetworkAcls", &form).maps("networkAclSet")
    };
    let default = listed(&mut story, true)[0].clone();
    let id = default.text("networkAclId").unwrap().to_owned();
    assert_eq!(default.maps("entrySet").len(), 4, "allow 100 and deny *, both ways");
    assert_eq!(default.maps("associationSet")[0].text("subnetId"), Some(&*subnet));
    for egress in [true, false] {
        story.ec2("DeleteNetworkAclEntry", &format!("NetworkAclId={id}&RuleNumber=100&Egress={egress}"));
    }
    let rule = format!("NetworkAclId={id}&RuleNumber=110&Egress=false&Protocol=tcp&RuleAction=allow");
    assert_eq!(story.ec2_error("CreateNetworkAclEntry", &format!("{rule}&CidrBlock=0.0.0.0/0")), "MissingParameter");
    let ported = format!("{rule}&PortRange.From=80&PortRange.To=80");
    story.ec2("CreateNetworkAclEntry", &format!("{ported}&CidrBlock=0.0.0.0/0"));
    assert_eq!(
        story.ec2_error("CreateNetworkAclEntry", &format!("{ported}&CidrBlock=0.0.0.0/0")),
        "NetworkAclEntryAlreadyExists"
    );
    // As Terraform's aws_network_acl_rule reads it back.
    for (number, found) in [(110, 1), (111, 0)] {
        let filters = format!(
            "Filter.1.Name=entry.rule-number&Filter.1.Value.1={number}&Filter.2.Name=entry.egress&Filter.2.Value.1=false"
        );
        let answer = story.ec2("DescribeNetworkAcls", &format!("NetworkAclId.1={id}&{filters}"));
        assert_eq!(answer.maps("networkAclSet").len(), found, "{number}");
    }
    story.ec2("ReplaceNetworkAclEntry", &format!("{ported}&Ipv6CidrBlock=::/0"));
    let entries = listed(&mut story, true)[0].maps("entrySet");
    let made = entries.iter().find(|entry| entry.int("ruleNumber").unwrap() == Some(110)).unwrap();
    assert_eq!((made.text("protocol"), made.text("ipv6CidrBlock")), (Some("6"), Some("::/0")));

    let own = made_acl(&mut story, &vpc);
    let association =
        listed(&mut story, true)[0].maps("associationSet")[0].text("networkAclAssociationId").unwrap().to_owned();
    story.ec2("ReplaceNetworkAclAssociation", &format!("AssociationId={association}&NetworkAclId={own}"));
    assert!(listed(&mut story, true)[0].list("associationSet").is_empty());
    assert_eq!(listed(&mut story, false)[0].maps("associationSet")[0].text("subnetId"), Some(&*subnet));
    assert_eq!(story.ec2_error("DeleteNetworkAcl", &format!("NetworkAclId={own}")), "DependencyViolation");
    assert_eq!(story.ec2_error("DeleteNetworkAcl", &format!("NetworkAclId={id}")), "InvalidParameterValue");
    story.ec2("DeleteSubnet", &format!("SubnetId={subnet}"));
    assert_eq!(story.ec2_error("DeleteVpc", &format!("VpcId={vpc}")), "DependencyViolation");
    story.ec2("DeleteNetworkAcl", &format!("NetworkAclId={own}"));
    story.ec2("DeleteVpc", &format!("VpcId={vpc}"));
}

fn made_acl(story: &mut Simulated, vpc: &str) -> String {
    made(story, "CreateNetworkAcl", &format!("VpcId={vpc}"), "networkAcl", "networkAclId")
}
