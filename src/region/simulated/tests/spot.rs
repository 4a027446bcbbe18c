//! Spot instances that are taken away, and groups that replace them before.

use jiff::SignedDuration;

use crate::region::signal::Signal;
use crate::region::simulated::Simulated;

const POLICY: &str = "&MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateName=web\
                      &MixedInstancesPolicy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity";

/// A group behind a load balancer, all of it spot instances.
fn all_spot(more: &str) -> Simulated {
    Simulated::with_balanced_group(&format!("{POLICY}=0&HealthCheckType=ELB&DefaultInstanceWarmup=30{more}"))
}

fn interrupt(cloud: &mut Simulated, instance: &str, seconds: i64) {
    let after = SignedDuration::from_secs(seconds);
    cloud.signal(Signal::InterruptSpot { instance: instance.to_owned(), after });
}

fn causes(cloud: &Simulated) -> Vec<String> {
    cloud.activities().into_iter().map(|(_, cause, _)| cause).collect()
}

#[test]
fn without_capacity_rebalancing_an_instance_is_replaced_once_it_is_gone() {
    let mut cloud = all_spot("&MinSize=2&MaxSize=2");
    let taken = cloud.in_service()[0].clone();
    interrupt(&mut cloud, &taken, 30);
    cloud.run(119);
    assert!(cloud.in_service().contains(&taken), "two minutes of notice, whatever was asked for");
    assert_eq!(cloud.fewest_and_most(300), (1, 2));
    assert_eq!(cloud.in_service().len(), 2);
    assert!(!cloud.in_service().contains(&taken));
    let shown = cloud.ec2("DescribeInstances", &format!("InstanceId.1={taken}")).maps("reservationSet");
    let reason = shown[0].maps("instancesSet")[0].map("stateReason").unwrap();
    assert_eq!(reason.text("code"), Some("Server.SpotInstanceTermination"));
    let gone = "an EC2 health check indicating it has been terminated or stopped";
    assert!(causes(&cloud).iter().any(|cause| cause.contains(gone)), "{:#?}", causes(&cloud));
}

#[test]
fn capacity_rebalancing_launches_first_and_beyond_the_maximum() {
    let mut cloud = all_spot("&MinSize=2&MaxSize=2&CapacityRebalance=true");
    let taken = cloud.in_service()[0].clone();
    interrupt(&mut cloud, &taken, 600);
    assert_eq!(cloud.fewest_and_most(590), (2, 3));
    assert_eq!(cloud.in_service().len(), 2);
    assert!(!cloud.in_service().contains(&taken), "it went before it was taken away");
    let words = "in response to an EC2 instance rebalance recommendation.";
    let told: Vec<String> = causes(&cloud).into_iter().filter(|cause| cause.ends_with(words)).collect();
    assert_eq!(
        told,
        [
            format!("At T an instance was launched {words}"),
            format!("At T an instance was taken out of service {words}")
        ]
    );
    assert_eq!(cloud.fewest_and_most(600), (2, 2), "nothing follows");
}

/// "It can exceed the group's maximum by up to ten percent of its desired capacity": at least one at a time.
#[test]
fn of_many_at_risk_a_tenth_is_replaced_at_a_time() {
    let mut cloud = all_spot("&MinSize=4&MaxSize=4&CapacityRebalance=true");
    // What goes may leave the zones uneven, which is another story.
    cloud.asg("SuspendProcesses", "AutoScalingGroupName=web&ScalingProcesses.member.1=AZRebalance");
    let all = cloud.in_service();
    for instance in &all[..3] {
        interrupt(&mut cloud, instance, 900);
    }
    assert_eq!(cloud.fewest_and_most(890), (4, 5));
    assert!(all[..3].iter().all(|taken| !cloud.in_service().contains(taken)));
    assert!(cloud.in_service().contains(&all[3]));
}

#[test]
fn instances_on_demand_are_not_taken_away() {
    let mut cloud = Simulated::with_balanced_group(&format!("{POLICY}=100&MinSize=1&MaxSize=1&CapacityRebalance=true"));
    let instance = cloud.in_service()[0].clone();
    interrupt(&mut cloud, &instance, 0);
    assert_eq!(cloud.fewest_and_most(600), (1, 1));
    assert_eq!(cloud.in_service(), [instance]);
}
