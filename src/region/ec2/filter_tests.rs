//! Every filter finds what has its value and nothing else (EC2 API reference, "Filter.N" of each Describe operation).

use crate::region::context::ACCOUNT;
use crate::region::simulated::Simulated;
use crate::region::wire::Params;

/// The field of the first of a set.
fn first(answer: &Params, set: &str, field: &str) -> String {
    answer.maps(set)[0].text(field).unwrap_or_else(|| panic!("{field} in {answer:?}")).to_owned()
}

/// Each filter alone finds something by its value, and nothing by another.
fn check(story: &mut Simulated, operation: &str, set: &str, filters: &[(&str, &str)]) {
    for (name, value) in filters {
        let mut found = |value: &str| {
            let value: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
            story.ec2(operation, &format!("Filter.1.Name={name}&Filter.1.Value.1={value}")).maps(set).len()
        };
        assert!(found(value) > 0, "{operation}: {name} = {value}");
        assert_eq!(found("none-has-this"), 0, "{operation}: {name}");
    }
}

#[test]
fn instances_and_what_hangs_on_them_are_found_by_every_filter() {
    let mut story = Simulated::with_shells_by_hand();
    story.ec2("CreateKeyPair", "KeyName=door&KeyType=ed25519");
    let id = story.launch("KeyName=door&Monitoring.Enabled=true");
    let reservations = story.ec2("DescribeInstances", "");
    let reservation = &reservations.maps("reservationSet")[0];
    let instance = &reservation.maps("instancesSet")[0];
    let own = |field: &str| instance.text(field).unwrap_or_else(|| panic!("{field} in {instance:?}")).to_owned();
    let zone = instance.map("placement").unwrap().text("availabilityZone").unwrap().to_owned();
    let group = instance.maps("groupSet")[0].text("groupId").unwrap().to_owned();
    let (subnet, vpc, address) = (own("subnetId"), own("vpcId"), own("privateIpAddress"));
    let instances = [
        ("instance-id", &*id),
        ("instance-state-name", "running"),
        ("instance-state-code", "16"),
        ("instance-type", "t2.large"),
        ("image-id", "ami-0a1b2c3d4e5f60001"),
        ("vpc-id", &vpc),
        ("network-interface.vpc-id", &vpc),
        ("subnet-id", &subnet),
        ("network-interface.subnet-id", &subnet),
        ("availability-zone", &zone),
        ("reservation-id", reservation.text("reservationId").unwrap()),
        ("owner-id", ACCOUNT),
        ("key-name", "door"),
        ("private-ip-address", &address),
        ("network-interface.addresses.private-ip-address", &address),
        ("private-dns-name", &own("privateDnsName")),
        ("monitoring-state", "enabled"),
        ("architecture", "x86_64"),
        ("root-device-type", "ebs"),
        ("virtualization-type", "hvm"),
        ("tenancy", "default"),
        ("instance.group-id", &group),
        ("group-id", &group),
        ("instance.group-name", "default"),
        ("group-name", "default"),
    ];
    check(&mut story, "DescribeInstances", "reservationSet", &instances);
    let volumes = story.ec2("DescribeVolumes", "");
    let volume = first(&volumes, "volumeSet", "volumeId");
    let device = volumes.maps("volumeSet")[0].maps("attachmentSet")[0].text("device").unwrap().to_owned();
    let volumes = [
        ("volume-id", &*volume),
        ("attachment.instance-id", &id),
        ("attachment.device", &device),
        ("attachment.status", "attached"),
        ("attachment.delete-on-termination", "true"),
        ("availability-zone", &zone),
        ("status", "in-use"),
        ("volume-type", "gp3"),
        ("size", "8"),
        ("encrypted", "false"),
    ];
    check(&mut story, "DescribeVolumes", "volumeSet", &volumes);
    let interface = first(&story.ec2("DescribeNetworkInterfaces", ""), "networkInterfaceSet", "networkInterfaceId");
    let interfaces = [
        ("network-interface-id", &*interface),
        ("subnet-id", &subnet),
        ("vpc-id", &vpc),
        ("availability-zone", &zone),
        ("status", "in-use"),
        ("private-ip-address", &address),
        ("addresses.private-ip-address", &address),
        ("group-id", &group),
        ("group-name", "default"),
        ("owner-id", ACCOUNT),
        ("interface-type", "interface"),
        ("attachment.status", "attached"),
        ("requester-managed", "false"),
        ("attachment.instance-id", &id),
        ("attachment.instance-owner-id", ACCOUNT),
    ];
    check(&mut story, "DescribeNetworkInterfaces", "networkInterfaceSet", &interfaces);
    let keys = story.ec2("DescribeKeyPairs", "");
    let (key, fingerprint) = (first(&keys, "keySet", "keyPairId"), first(&keys, "keySet", "keyFingerprint"));
    let keys = [("key-pair-id", &*key), ("key-name", "door"), ("fingerprint", &fingerprint)];
    check(&mut story, "DescribeKeyPairs", "keySet", &keys);
}

#[test]
fn the_network_is_found_by_every_filter() {
    let mut story = Simulated::with_shells_by_hand();
    let subnets = story.ec2("DescribeSubnets", "");
    let [subnet, vpc, zone, cidr] =
        ["subnetId", "vpcId", "availabilityZone", "cidrBlock"].map(|field| first(&subnets, "subnetSet", field));
    let of_subnets = [
        ("subnet-id", &*subnet),
        ("vpc-id", &vpc),
        ("availability-zone", &zone),
        ("cidr-block", &cidr),
        ("default-for-az", "true"),
        ("state", "available"),
        ("owner-id", ACCOUNT),
    ];
    check(&mut story, "DescribeSubnets", "subnetSet", &of_subnets);
    let range = first(&story.ec2("DescribeVpcs", ""), "vpcSet", "cidrBlock");
    let of_vpcs = [
        ("vpc-id", &*vpc),
        ("is-default", "true"),
        ("state", "available"),
        ("cidr", &range),
        ("cidr-block-association.cidr-block", &range),
        ("owner-id", ACCOUNT),
    ];
    check(&mut story, "DescribeVpcs", "vpcSet", &of_vpcs);
    let group = first(&story.ec2("DescribeSecurityGroups", ""), "securityGroupInfo", "groupId");
    let of_groups = [("group-id", &*group), ("group-name", "default"), ("vpc-id", &vpc), ("owner-id", ACCOUNT)];
    check(&mut story, "DescribeSecurityGroups", "securityGroupInfo", &of_groups);
    let table = first(&story.ec2("DescribeRouteTables", ""), "routeTableSet", "routeTableId");
    let of_tables = [
        ("route-table-id", &*table),
        ("vpc-id", &vpc),
        ("owner-id", ACCOUNT),
        ("association.main", "true"),
        ("association.route-table-id", &table),
        ("route.destination-cidr-block", "0.0.0.0/0"),
    ];
    check(&mut story, "DescribeRouteTables", "routeTableSet", &of_tables);
    let acl = first(&story.ec2("DescribeNetworkAcls", ""), "networkAclSet", "networkAclId");
    let of_acls = [
        ("network-acl-id", &*acl),
        ("vpc-id", &vpc),
        ("default", "true"),
        ("association.subnet-id", &subnet),
        ("entry.egress", "true"),
        ("entry.rule-number", "100"),
        ("entry.rule-action", "deny"),
        ("entry.cidr", "0.0.0.0/0"),
        ("owner-id", ACCOUNT),
    ];
    check(&mut story, "DescribeNetworkAcls", "networkAclSet", &of_acls);
}

/// Zones, types and images are the same for everybody.
#[test]
fn what_the_region_offers_is_found_by_every_filter() {
    let mut story = Simulated::with_shells_by_hand();
    let zones = [
        ("zone-name", "us-east-1a"),
        ("zone-id", "use1-az1"),
        ("state", "available"),
        ("zone-state", "available"),
        ("region-name", "us-east-1"),
        ("zone-type", "availability-zone"),
        ("opt-in-status", "opt-in-not-required"),
        ("group-name", "us-east-1-zg-1"),
    ];
    check(&mut story, "DescribeAvailabilityZones", "availabilityZoneInfo", &zones);
    let regions = [
        ("region-name", "us-east-1"),
        ("endpoint", "ec2.us-east-1.amazonaws.com"),
        ("opt-in-status", "opt-in-not-required"),
    ];
    check(&mut story, "DescribeRegions", "regionInfo", &regions);
    let types = [
        ("instance-type", "t2.large"),
        ("current-generation", "true"),
        ("burstable-performance-supported", "true"),
        ("processor-info.supported-architecture", "x86_64"),
        ("vcpu-info.default-vcpus", "2"),
        ("memory-info.size-in-mib", "8192"),
        ("bare-metal", "false"),
        ("hypervisor", "xen"),
    ];
    check(&mut story, "DescribeInstanceTypes", "instanceTypeSet", &types);
    let offerings = [("instance-type", "t2.large"), ("location", "us-east-1")];
    check(&mut story, "DescribeInstanceTypeOfferings", "instanceTypeOfferingSet", &offerings);
    let known = story.ec2("DescribeImages", "");
    let [image, name, owner] = ["imageId", "name", "imageOwnerId"].map(|field| first(&known, "imagesSet", field));
    let images = [
        ("image-id", &*image),
        ("name", &name),
        ("owner-id", &owner),
        ("architecture", "x86_64"),
        ("state", "available"),
        ("owner-alias", "amazon"),
        ("root-device-type", "ebs"),
        ("virtualization-type", "hvm"),
        ("image-type", "machine"),
        ("hypervisor", "xen"),
        ("is-public", "true"),
    ];
    check(&mut story, "DescribeImages", "imagesSet", &images);
}
