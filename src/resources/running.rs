//! The capacity that a snapshot holds, by cluster.

use std::collections::BTreeMap;

use super::instances::{self, tag};
use super::load_balancer::{self, DescribeLoadBalancers};
use super::scaling_group;
use crate::cloud::address::Address;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::tags;
use crate::resource::running::{ClusterRunning, Running};

/// The capacity in a snapshot.
pub fn running(cloud: &Snapshot) -> Running {
    let mut clusters = BTreeMap::<String, ClusterRunning>::new();
    for instance in instances::present(cloud) {
        let address = instances::address(instance);
        let Some(name) = address.as_ref().and_then(Address::cluster) else { continue };
        let cluster = clusters.entry(name.to_owned()).or_default();
        if instances::state(instance).is_charged() {
            let name = instance.instance_type().map_or("unknown", |name| name.as_str());
            *cluster.running.entry(name.to_owned()).or_default() += 1;
        }
        if instances::is_fixed(instance) {
            cluster.templates.push(tag(instance, tags::SPEC).unwrap_or_default().to_owned());
        }
    }
    for group in scaling_group::all(cloud) {
        let tags = tags::from_group(group.tags());
        let address = tags::address(&tags);
        let Some(name) = address.as_ref().and_then(Address::cluster) else { continue };
        let desired = group.desired_capacity().and_then(|desired| u32::try_from(desired).ok());
        clusters.entry(name.to_owned()).or_default().desired = desired;
    }
    let arns = cloud.all::<DescribeLoadBalancers>().iter().filter_map(|lb| lb.load_balancer_arn());
    let ours = arns.filter(|arn| cloud.address_of(arn) == Some(load_balancer::ADDRESS)).count();
    Running { load_balancers: u32::try_from(ours).unwrap_or(u32::MAX), clusters }
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::types::LoadBalancer;

    use super::*;
    use crate::cloud::tags::Tags;

    #[test]
    fn only_load_balancers_of_the_stack_are_counted() {
        let balancer = |arn: &str| LoadBalancer::builder().load_balancer_arn(arn).build();
        let all = vec![balancer("ours"), balancer("theirs"), balancer("another stack's")];
        let mut cloud = Snapshot::empty("shop");
        let tags = |stack: &str| tags::of(stack, &load_balancer::ADDRESS, "0123456789ab", &Tags::new());
        cloud.note_tags("ours", tags("shop"));
        cloud.note_tags("another stack's", tags("pub"));
        cloud.put::<DescribeLoadBalancers>(all);
        assert_eq!(running(&cloud).load_balancers, 1);
    }
}
