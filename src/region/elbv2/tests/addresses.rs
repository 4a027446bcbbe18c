//! Target groups of type `ip`: their targets are addresses.

use super::*;

#[test]
fn an_address_of_an_instance_is_a_target_and_stays_one_when_the_instance_is_gone() {
    let mut cloud = Cloud::new();
    let instance = cloud.instance();
    let address = cloud.bench.world.services.ec2.instance_facts(&instance).unwrap().address.to_string();
    let by_instance = cloud.target_group("light");
    let vpc = {
        let shown = cloud.elb("DescribeTargetGroups", &[("TargetGroupArns", texts(&[&by_instance]))]).unwrap();
        shown.maps("TargetGroups")[0].text("VpcId").unwrap().to_owned()
    };
    let params = [
        ("Name", Value::from("addresses")),
        ("Protocol", Value::from("HTTP")),
        ("Port", Value::from("8080")),
        ("VpcId", Value::from(vpc)),
        ("TargetType", Value::from("ip")),
    ];
    let group = cloud.one("CreateTargetGroup", "TargetGroups", "TargetGroupArn", &params);
    let shown = cloud.elb("DescribeTargetGroups", &[("TargetGroupArns", texts(&[&group]))]).unwrap();
    assert_eq!(shown.maps("TargetGroups")[0].text("TargetType"), Some("ip"));
    for wrong in [instance.as_str(), "127.0.0.1", "10.0.0.300"] {
        assert_eq!(cloud.register(&group, wrong).unwrap_err(), "InvalidTarget", "{wrong}");
    }
    let load_balancer = cloud.load_balancer("lab");
    cloud.listener(&load_balancer, "80", forward(&group)).unwrap();
    cloud.register(&group, &address).unwrap();
    cloud.wait(1);
    cloud.probed(&group, &address, ProbeOutcome::Status(200));
    assert_eq!(cloud.health(&group).0, "healthy");
    let route = cloud.bench.world.services.elbv2.routing().target_groups[0].targets[0].clone();
    assert_eq!(route.address.ip().to_string(), address);
    cloud.ask(Service::Ec2, "TerminateInstances", &[("InstanceId", texts(&[&instance]))]).unwrap();
    cloud.tell(Signal::ProcessEnded { instance });
    cloud.wait(120);
    for _ in 0..2 {
        cloud.probed(&group, &address, ProbeOutcome::Failed("connection refused".to_owned()));
    }
    assert_eq!(cloud.health(&group).0, "unhealthy", "nobody answers there any more");
    assert_eq!(cloud.register(&group, &address).unwrap_err(), "InvalidTarget");
    let targets = Value::list([fields(&[("Id", Value::from(address.as_str()))])]);
    let gone = [("TargetGroupArn", Value::from(group.as_str())), ("Targets", targets)];
    cloud.elb("DeregisterTargets", &gone).unwrap();
    assert_eq!(cloud.health(&group).0, "draining");
}
