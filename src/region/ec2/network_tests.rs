//! Created networks and what is derived from instances and load balancers, through EC2's own wire form.

use super::tests::Story;

fn made(story: &mut Story, operation: &str, form: &str, kind: &str, id: &str) -> String {
    story.call(operation, form).map(kind).unwrap().text(id).unwrap().to_owned()
}

fn vpc(story: &mut Story) -> String {
    made(story, "CreateVpc", "CidrBlock=10.9.0.0/16", "vpc", "vpcId")
}

fn subnet(story: &mut Story, vpc: &str, cidr: &str, zone: &str) -> String {
    let form = format!("VpcId={vpc}&CidrBlock={cidr}&AvailabilityZone=us-east-1{zone}");
    made(story, "CreateSubnet", &form, "subnet", "subnetId")
}

#[test]
fn a_vpc_comes_with_a_main_route_table_an_acl_and_a_security_group_and_takes_them_along() {
    let mut story = Story::new();
    let vpc = vpc(&mut story);
    let of_vpc = format!("Filter.1.Name=vpc-id&Filter.1.Value.1={vpc}");
    let tables =
        story.call("DescribeRouteTables", &format!("{of_vpc}&Filter.2.Name=association.main&Filter.2.Value.1=true"));
    let routes = tables.maps("routeTableSet")[0].maps("routeSet");
    assert_eq!(
        (routes[0].text("destinationCidrBlock"), routes[0].text("gatewayId")),
        (Some("10.9.0.0/16"), Some("local"))
    );
    assert_eq!(story.call("DescribeNetworkAcls", &of_vpc).maps("networkAclSet").len(), 1);
    assert_eq!(
        story.call("DescribeSecurityGroups", &of_vpc).maps("securityGroupInfo")[0].text("groupName"),
        Some("default")
    );
    story.call("DeleteVpc", &format!("VpcId={vpc}"));
    for (operation, list) in [("DescribeRouteTables", "routeTableSet"), ("DescribeSecurityGroups", "securityGroupInfo")]
    {
        assert!(story.call(operation, &of_vpc).list(list).is_empty(), "{operation}");
    }
    assert_eq!(story.error("DescribeVpcs", &format!("VpcId.1={vpc}")), "InvalidVpcID.NotFound");
}

#[test]
fn a_vpc_with_anything_in_it_is_not_deleted() {
    let mut story = Story::new();
    let vpc = vpc(&mut story);
    let delete = format!("VpcId={vpc}");
    let subnet = subnet(&mut story, &vpc, "10.9.1.0/24", "a");
    assert_eq!(story.error("DeleteVpc", &delete), "DependencyViolation");
    story.call("DeleteSubnet", &format!("SubnetId={subnet}"));
    let gateway = made(&mut story, "CreateInternetGateway", "", "internetGateway", "internetGatewayId");
    story.call("AttachInternetGateway", &format!("{delete}&InternetGatewayId={gateway}"));
    assert_eq!(story.error("DeleteVpc", &delete), "DependencyViolation");
    assert_eq!(story.error("DeleteInternetGateway", &format!("InternetGatewayId={gateway}")), "DependencyViolation");
    story.call("DetachInternetGateway", &format!("{delete}&InternetGatewayId={gateway}"));
    story.call("DeleteInternetGateway", &format!("InternetGatewayId={gateway}"));
    story.call("DeleteVpc", &delete);
}

#[test]
fn a_vpcs_attributes_are_changed_one_at_a_time() {
    let mut story = Story::new();
    let vpc = vpc(&mut story);
    let hostnames = |story: &mut Story| {
        let answer = story.call("DescribeVpcAttribute", &format!("VpcId={vpc}&Attribute=enableDnsHostnames"));
        answer.map("enableDnsHostnames").unwrap().bool("value").unwrap()
    };
    assert_eq!(hostnames(&mut story), Some(false));
    story.call("ModifyVpcAttribute", &format!("VpcId={vpc}&EnableDnsHostnames.Value=true"));
    assert_eq!(hostnames(&mut story), Some(true));
    let two = format!("VpcId={vpc}&EnableDnsHostnames.Value=true&EnableDnsSupport.Value=true");
    assert_eq!(story.error("ModifyVpcAttribute", &two), "InvalidParameterCombination");
}

#[test]
fn ranges_must_fit() {
    let mut story = Story::new();
    assert_eq!(story.error("CreateVpc", "CidrBlock=10.0.0.0/8"), "InvalidVpc.Range");
    assert_eq!(story.error("CreateVpc", "CidrBlock=10.0.0.0"), "InvalidParameterValue");
    let vpc = vpc(&mut story);
    subnet(&mut story, &vpc, "10.9.1.0/24", "a");
    let error = |story: &mut Story, cidr: &str| story.error("CreateSubnet", &format!("VpcId={vpc}&CidrBlock={cidr}"));
    assert_eq!(error(&mut story, "10.9.0.0/16"), "InvalidSubnet.Conflict");
    assert_eq!(error(&mut story, "10.8.1.0/24"), "InvalidSubnet.Range");
}

#[test]
fn an_instance_of_a_created_subnet_has_a_loopback_address_and_a_public_one_only_if_asked() {
    let mut story = Story::new();
    let vpc = vpc(&mut story);
    let subnet = subnet(&mut story, &vpc, "10.9.1.0/24", "b");
    let private = story.run(&format!("SubnetId={subnet}"));
    story.call("ModifySubnetAttribute", &format!("SubnetId={subnet}&MapPublicIpOnLaunch.Value=true"));
    let public = story.run(&format!("SubnetId={subnet}"));
    let addresses = |story: &mut Story, id: &str| {
        let answer = story.call("DescribeInstances", &format!("InstanceId.1={id}"));
        let instance = answer.maps("reservationSet")[0].maps("instancesSet")[0].clone();
        (instance.text("privateIpAddress").unwrap().to_owned(), instance.text("ipAddress").map(str::to_owned))
    };
    let (address, none) = addresses(&mut story, &private);
    assert!(address.starts_with("127.31.16.") && none.is_none(), "zone b's net: {address}");
    let (address, same) = addresses(&mut story, &public);
    assert_eq!(same, Some(address));
    assert_eq!(story.error("DeleteSubnet", &format!("SubnetId={subnet}")), "DependencyViolation");
}

#[test]
fn routes_lead_to_the_vpcs_own_gateway_and_turn_black_without_it() {
    let mut story = Story::new();
    let vpc = vpc(&mut story);
    let gateway = made(&mut story, "CreateInternetGateway", "", "internetGateway", "internetGatewayId");
    let table = made(&mut story, "CreateRouteTable", &format!("VpcId={vpc}"), "routeTable", "routeTableId");
    let route = format!("RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0&GatewayId={gateway}");
    assert_eq!(story.error("CreateRoute", &route), "InvalidParameterValue");
    story.call("AttachInternetGateway", &format!("VpcId={vpc}&InternetGatewayId={gateway}"));
    assert_eq!(story.error("ReplaceRoute", &route), "InvalidRoute.NotFound");
    story.call("CreateRoute", &route);
    assert_eq!(story.error("CreateRoute", &route), "RouteAlreadyExists");
    story.call("DetachInternetGateway", &format!("VpcId={vpc}&InternetGatewayId={gateway}"));
    let tables = story.call("DescribeRouteTables", &format!("RouteTableId.1={table}")).maps("routeTableSet");
    assert_eq!(tables[0].maps("routeSet")[1].text("state"), Some("blackhole"));
    story.call("DeleteRoute", &format!("RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0"));
    story.call("DeleteRouteTable", &format!("RouteTableId={table}"));
}

#[test]
fn a_subnet_has_one_route_table_and_the_main_association_can_only_be_moved() {
    let mut story = Story::new();
    let vpc = vpc(&mut story);
    let subnet = subnet(&mut story, &vpc, "10.9.1.0/24", "a");
    let table = made(&mut story, "CreateRouteTable", &format!("VpcId={vpc}"), "routeTable", "routeTableId");
    let associate = format!("RouteTableId={table}&SubnetId={subnet}");
    let association = story.call("AssociateRouteTable", &associate).text("associationId").unwrap().to_owned();
    assert_eq!(story.error("AssociateRouteTable", &associate), "Resource.AlreadyAssociated");
    assert_eq!(story.error("DeleteRouteTable", &format!("RouteTableId={table}")), "DependencyViolation");
    story.call("DisassociateRouteTable", &format!("AssociationId={association}"));

    let of_vpc =
        format!("Filter.1.Name=vpc-id&Filter.1.Value.1={vpc}&Filter.2.Name=association.main&Filter.2.Value.1=true");
    let main = story.call("DescribeRouteTables", &of_vpc).maps("routeTableSet")[0].maps("associationSet")[0].clone();
    let main = main.text("routeTableAssociationId").unwrap().to_owned();
    assert_eq!(story.error("DisassociateRouteTable", &format!("AssociationId={main}")), "InvalidParameterValue");
    story.call("ReplaceRouteTableAssociation", &format!("AssociationId={main}&RouteTableId={table}"));
    assert_eq!(story.call("DescribeRouteTables", &of_vpc).maps("routeTableSet")[0].text("routeTableId"), Some(&*table));
}

#[test]
fn an_instance_shows_its_root_volume_its_interface_and_its_credits() {
    let mut story = Story::new();
    let id = story.run("BlockDeviceMapping.1.DeviceName=/dev/xvda&BlockDeviceMapping.1.Ebs.VolumeSize=20");
    let of_instance = format!("Filter.1.Name=attachment.instance-id&Filter.1.Value.1={id}");
    let volume = &story.call("DescribeVolumes", &of_instance).maps("volumeSet")[0];
    assert_eq!((volume.int("size"), volume.text("volumeType")), (Ok(Some(20)), Some("gp3")));
    let interface = &story.call("DescribeNetworkInterfaces", &of_instance).maps("networkInterfaceSet")[0];
    assert_eq!(interface.map("association").unwrap().text("publicIp"), interface.text("privateIpAddress"));
    let credits = story.call("DescribeInstanceCreditSpecifications", &format!("InstanceId.1={id}"));
    assert_eq!(credits.maps("instanceCreditSpecificationSet")[0].text("cpuCredits"), Some("standard"));
}
