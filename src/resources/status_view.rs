//! A snapshot as a [`Status`].

use aws_sdk_autoscaling::types::AutoScalingGroup;
use aws_sdk_ec2::types::Instance;

use super::instances;
use super::load_balancer;
use super::load_balancer::DescribeLoadBalancers;
use super::{scaling_group, target_group, targets};
use crate::aws::arn::full_name;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::state::{InstanceState, LoadBalancerState, TargetState};
use crate::cloud::tags;
use crate::resource::status::{
    ClusterKind, ClusterStatus, InstanceStatus, LoadBalancerStatus, Status, TargetGroupStatus, split_port,
};
use crate::stack::model::{Capacity, Cluster, Stack};

/// The port that `http://` means.
const HTTP_PORT: u16 = 80;
/// The port that `https://` means.
const HTTPS_PORT: u16 = 443;
/// Ports below it may not be bound by everybody.
const LOW_PORTS: u16 = 1024;

/// What a stack looks like in a snapshot.
pub fn status(stack: &Stack, provider: &str, cloud: &Snapshot) -> Status {
    let load_balancer = cloud
        .all::<DescribeLoadBalancers>()
        .iter()
        .find(|lb| lb.load_balancer_arn().and_then(|arn| cloud.address_of(arn)) == Some(load_balancer::ADDRESS));
    let load_balancer = load_balancer.and_then(|lb| {
        let arn = lb.load_balancer_arn()?.to_owned();
        let state =
            LoadBalancerState::from(lb.state().and_then(|state| state.code()).map_or("unknown", |it| it.as_str()));
        Some(LoadBalancerStatus { dns_name: lb.dns_name()?.to_owned(), state, full_name: full_name(&arn), arn })
    });
    Status {
        stack: stack.name.clone(),
        provider: provider.to_owned(),
        url: load_balancer.as_ref().zip(stack.load_balancer.as_ref()).map(|(lb, declared)| match &declared.https {
            Some(https) => secure_url(&lb.dns_name, https.port, declared.redirect_port().unwrap_or(https.port)),
            None => url(&lb.dns_name, declared.port),
        }),
        load_balancer,
        stopped: super::stopping::is_stopped(cloud),
        down_after: super::expiry::of(cloud),
        clusters: stack.clusters.iter().map(|declared| cluster(stack, declared, cloud)).collect(),
    }
}

/// A name that carries a port already is complete for port 80: the embedded region adds one where it may not bind 80.
pub fn url(dns_name: &str, port: u16) -> String {
    let has_port = split_port(dns_name).1.is_some();
    match port {
        HTTP_PORT => format!("http://{dns_name}"),
        _ if has_port => format!("http://{dns_name}"),
        port => format!("http://{dns_name}:{port}"),
    }
}

/// Where the embedded region may not bind low ports, the name carries the port that stands for `lowest`, and HTTPS is
/// moved as far.
fn secure_url(dns_name: &str, port: u16, lowest: u16) -> String {
    let (host, moved) = split_port(dns_name);
    let moved: Option<u16> = moved.and_then(|port| port.parse().ok());
    let distance = moved.and_then(|moved| moved.checked_sub(lowest)).unwrap_or(0);
    let port = if port < LOW_PORTS { port + distance } else { port };
    if port == HTTPS_PORT { format!("https://{host}") } else { format!("https://{host}:{port}") }
}

fn cluster(stack: &Stack, declared: &Cluster, cloud: &Snapshot) -> ClusterStatus {
    let name = &declared.name;
    let of_cluster = |instance: &&Instance| instances::address(instance).is_some_and(|it| it.cluster() == Some(name));
    let instances = instances::present(cloud).filter(of_cluster);
    let mut instances: Vec<_> =
        instances.map(|instance| self::instance(stack.balances(declared), instance, name, cloud)).collect();
    instances.sort_by(|a, b| a.id.cmp(&b.id));
    let address = scaling_group::address(&declared.name);
    let group = scaling_group::all(cloud)
        .find(|group| tags::address(&tags::from_group(group.tags())).as_ref() == Some(&address));
    let (kind, min, max, desired) = match &declared.capacity {
        Capacity::Fixed { instances, .. } => (ClusterKind::Fixed, *instances, *instances, *instances),
        Capacity::Group(scaling) => {
            let (min, max, desired) = group.map_or((scaling.min, scaling.max, scaling.desired), sizes);
            (ClusterKind::Group, min, max, desired)
        }
    };
    let target_group = target_group::of_cluster(cloud, name).next().and_then(|group| group.target_group_arn());
    ClusterStatus {
        name: declared.name.clone(),
        kind,
        instance_type: declared.instance_type.clone(),
        min,
        max,
        desired,
        group: group.and_then(|group| group.auto_scaling_group_name()).map(str::to_owned),
        target_group: target_group.map(|arn| TargetGroupStatus { arn: arn.to_owned(), full_name: full_name(arn) }),
        instances,
    }
}

fn sizes(group: &AutoScalingGroup) -> (u32, u32, u32) {
    let size = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok()).unwrap_or_default();
    (size(group.min_size()), size(group.max_size()), size(group.desired_capacity()))
}

fn instance(balanced: bool, instance: &Instance, cluster: &str, cloud: &Snapshot) -> InstanceStatus {
    let id = instance.instance_id().unwrap_or_default();
    let health = targets::health(cloud, cluster, id);
    let state = instances::state(instance);
    let unregistered = match state {
        _ if balanced => TargetState::Unregistered,
        InstanceState::Running => TargetState::Healthy,
        InstanceState::Pending => TargetState::Initial,
        _ => TargetState::Unhealthy,
    };
    let zone = instance.placement().and_then(|placement| placement.availability_zone());
    InstanceStatus {
        id: id.to_owned(),
        az: zone.unwrap_or_default().to_owned(),
        state,
        health: health.as_ref().map_or(unregistered, |health| health.state.clone()),
        reason: health.and_then(|health| health.description.or(health.reason)),
        address: instance.private_ip_address().map(str::to_owned),
        processor: instances::tag(instance, tags::PROCESSOR).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_names_the_port_only_where_it_must() {
        assert_eq!(url("web.elb.amazonaws.com", 80), "http://web.elb.amazonaws.com");
        assert_eq!(url("web.elb.amazonaws.com", 8080), "http://web.elb.amazonaws.com:8080");
        assert_eq!(url("127.0.0.2:18080", 80), "http://127.0.0.2:18080");
        assert_eq!(secure_url("web.elb.amazonaws.com", 443, 80), "https://web.elb.amazonaws.com");
        assert_eq!(secure_url("127.0.0.2:8080", 8443, 80), "https://127.0.0.2:8443");
        assert_eq!(secure_url("127.0.0.2:8080", 443, 80), "https://127.0.0.2:8443");
    }
}
