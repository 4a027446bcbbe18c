//! How a stack looks whose file is not at hand, or whose region does not run.
//!
//! What the cloud knows of a stack is written down as its file would say it, so that one view serves both.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use aws_sdk_elasticloadbalancingv2::types::{Listener, ProtocolEnum};

use super::instances::{self, present};
use super::{load_balancer, scaling_group, status_view};
use crate::aws::clients::Clients;
use crate::aws::error::CallError as _;
use crate::cloud::address::Address;
use crate::cloud::snapshot::Snapshot;
use crate::cloud::snapshot::listing::Depth;
use crate::cloud::tags;
use crate::problem::{Problem, Problems, Source};
use crate::resource::provider::Provider;
use crate::resource::status::Status;
use crate::stack::model::Stack;
use crate::stack::{self, Overrides};

/// A stack of which nothing is there.
pub fn nothing_of(stack: &Stack) -> Status {
    status_view::status(stack, stack.provider.name(), &Snapshot::empty(&stack.name))
}

/// The stack of that name as it is now; `None` where nothing carries the name.
///
/// # Errors
/// A call that fails; tags that no stack of ours has.
pub async fn status(clients: &Clients, name: &str) -> Result<Option<Status>, Problems> {
    let provider: Arc<dyn Provider> = clients.clone().into();
    let cloud = provider.snapshot(name, None, Depth::Status).await?;
    if cloud.leftovers().is_empty() {
        return Ok(None);
    }
    let text = declaration(name, &cloud, &listeners(clients, &cloud).await?);
    let source = Arc::new(Source { name: format!("what the cloud reports of {name}"), text });
    let (stack, _warnings) = stack::parse(source, Path::new(""), &Overrides::default()).map_err(|problems| {
        let detail = format!("what carries the name {name} was not made by cloudscale: {}", problems.0[0].detail);
        Problem::new("The stack cannot be understood", detail)
    })?;
    Ok(Some(status_view::status(&stack, provider.name(), &cloud)))
}

/// Those of the stack's load balancer: a status needs their ports only, which a stack file reports otherwise.
async fn listeners(clients: &Clients, cloud: &Snapshot) -> Result<Vec<Listener>, Problem> {
    let all = cloud.all::<load_balancer::DescribeLoadBalancers>();
    let Some(arn) = all.iter().filter_map(|lb| lb.load_balancer_arn()).find(|arn| cloud.address_of(arn).is_some())
    else {
        return Ok(Vec::new());
    };
    let answer = clients.elb.describe_listeners().load_balancer_arn(arn).send().await;
    let answer =
        answer.map_err(|error| error.problem("elasticloadbalancing:DescribeListeners", load_balancer::ADDRESS))?;
    Ok(answer.listeners.unwrap_or_default())
}

/// The stack file, as far as a status needs it.
fn declaration(name: &str, cloud: &Snapshot, listeners: &[Listener]) -> String {
    // The types are the cloud's own: it may have some that the embedded region has not.
    let ports = ports(listeners);
    let mut text = format!("name: {name}\nprovider: aws\nload_balancer: {{{ports}}}\nclusters:\n");
    for cluster in clusters(cloud) {
        // Writing to a text does not fail.
        let _ = writeln!(text, "  {cluster}: {{{}}}", capacity(&cluster, cloud));
    }
    text
}

/// `port: 80`, or both of HTTP and HTTPS.
fn ports(listeners: &[Listener]) -> String {
    let port = |protocol: ProtocolEnum| {
        let found = listeners.iter().find(|listener| listener.protocol() == Some(&protocol));
        found.and_then(|listener| Some((listener.port()?, listener)))
    };
    let http = port(ProtocolEnum::Http).map_or_else(String::new, |(port, _)| format!("port: {port}"));
    let Some((https, listener)) = port(ProtocolEnum::Https) else { return http };
    let certificate = listener.certificates().first().and_then(|certificate| certificate.certificate_arn());
    let https = format!("https: {{certificate: {:?}, port: {https}}}", certificate.unwrap_or_default());
    if http.is_empty() { https } else { format!("{http}, {https}") }
}

/// Every cluster that something lives in.
fn clusters(cloud: &Snapshot) -> BTreeSet<String> {
    cloud.addresses().iter().filter_map(Address::cluster).map(str::to_owned).collect()
}

fn capacity(cluster: &str, cloud: &Snapshot) -> String {
    let instances = present(cloud).filter(|i| instances::address(i).is_some_and(|it| it.cluster() == Some(cluster)));
    let instances: Vec<_> = instances.collect();
    let address = scaling_group::address(cluster);
    let mut groups = scaling_group::all(cloud);
    let size = match groups.find(|group| tags::address(&tags::from_group(group.tags())).as_ref() == Some(&address)) {
        Some(group) => {
            let sizes = [group.min_size(), group.max_size(), group.desired_capacity()];
            let [min, max, desired] = sizes.map(Option::unwrap_or_default);
            format!("autoscaling: {{min: {min}, max: {max}, desired: {desired}}}")
        }
        None => format!("instances: {}", instances.len()),
    };
    let kind = instances.iter().find_map(|instance| instance.instance_type());
    kind.map_or(size.clone(), |kind| format!("instance_type: {}, {size}", kind.as_str()))
}
