//! Deletes what something may still use, and names it at every wait: an interface, a rule, a listener.
//!
//! AWS refuses such a deletion without saying for whose sake. What the stack itself still has there goes by and by; what is
//! somebody else's stays until they remove it.

use aws_sdk_ec2::types::{Filter, NetworkInterface};

use crate::aws::error::CallError;
use crate::problem::Problem;
use crate::resource::context::{ActionContext, Poll};

/// What AWS answers as long as something uses the resource.
const CODES: &[&str] = &["DependencyViolation", "ResourceInUse", "InvalidGroup.InUse"];
/// Of what still uses a resource, so many are named.
const USERS_SHOWN: usize = 5;

/// Repeats a deletion until nothing uses `id` any more; `users` lists what still does.
///
/// # Errors
/// Any other refusal; what still uses it when time is up.
pub async fn delete<E, F, A, U, B>(
    context: &ActionContext<'_>,
    (call, id): (&str, &str),
    delete: F,
    users: U,
) -> Result<(), Problem>
where
    E: CallError,
    F: Fn() -> A + Sync,
    A: Future<Output = Result<(), E>> + Send,
    U: Fn() -> B + Sync,
    B: Future<Output = Result<Vec<String>, Problem>> + Send,
{
    let ask = || async {
        match delete().await {
            Ok(()) => Ok(Poll::Ready(())),
            // The deletion counts: whoever may not list the users may delete all the same.
            Err(error) if error.is(CODES) => {
                Ok(Poll::Pending(format!("{id} is still used by {}", named(users().await))))
            }
            Err(error) => Err(error.problem(call, context.address)),
        }
    };
    let late = |reason: String| {
        Problem::new("Resource still in use", format!("{call} for {}: {reason}", context.address))
            .hint("remove what is not the stack's, and run `cloudscale down` again: it continues")
    };
    context.poll(ask, late).await
}

fn named(users: Result<Vec<String>, Problem>) -> String {
    match users.as_deref() {
        Err(problem) => format!("something that could not be listed ({})", problem.summary),
        Ok([]) => "something that AWS does not list".to_owned(),
        Ok(users) if users.len() > USERS_SHOWN => {
            format!("{} and {} more", users[..USERS_SHOWN].join(", "), users.len() - USERS_SHOWN)
        }
        Ok(users) => users.join(", "),
    }
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

async fn interfaces_where(
    context: &ActionContext<'_>,
    name: &str,
    value: &str,
    counts: impl Fn(&NetworkInterface) -> bool,
) -> Result<Vec<String>, Problem> {
    let answer = context.clients().ec2.describe_network_interfaces().filters(filter(name, value)).send().await;
    let answer = answer.map_err(|error| error.problem("ec2:DescribeNetworkInterfaces", context.address))?;
    let named = answer.network_interfaces().iter().filter(|interface| counts(interface)).filter_map(|interface| {
        let of = interface.attachment().and_then(|attachment| attachment.instance_id()).or(interface.description());
        let of = of.filter(|of| !of.is_empty()).map(|of| format!(" ({of})")).unwrap_or_default();
        Some(format!("interface {}{of}", interface.network_interface_id()?))
    });
    Ok(named.collect())
}

/// Interfaces in a subnet, with their instances or load balancers.
pub async fn of_subnet(context: &ActionContext<'_>, id: &str) -> Result<Vec<String>, Problem> {
    interfaces_where(context, "subnet-id", id, |_| true).await
}

/// Public addresses in a VPC: its gateway stays as long as there are some.
pub async fn of_gateway(context: &ActionContext<'_>, vpc: &str) -> Result<Vec<String>, Problem> {
    interfaces_where(context, "vpc-id", vpc, |interface| interface.association().is_some()).await
}

/// Subnets that a route table is for.
pub async fn of_route_table(context: &ActionContext<'_>, id: &str) -> Result<Vec<String>, Problem> {
    let answer = context.clients().ec2.describe_route_tables().route_table_ids(id).send().await;
    let answer = answer.map_err(|error| error.problem("ec2:DescribeRouteTables", context.address))?;
    let associations = answer.route_tables().iter().flat_map(|table| table.associations());
    Ok(associations.filter_map(|association| Some(format!("subnet {}", association.subnet_id()?))).collect())
}

/// Interfaces that carry a security group, and rules of other groups that name it.
pub async fn of_security_group(context: &ActionContext<'_>, id: &str) -> Result<Vec<String>, Problem> {
    let mut users = interfaces_where(context, "group-id", id, |_| true).await?;
    let groups = context.clients().ec2.describe_security_groups().filters(filter("ip-permission.group-id", id));
    let groups = groups.send().await.map_err(|error| error.problem("ec2:DescribeSecurityGroups", context.address))?;
    let groups = groups.security_groups().iter().filter_map(|group| group.group_id()).filter(|other| *other != id);
    users.extend(groups.map(|other| format!("a rule of {other}")));
    Ok(users)
}

/// What stands in a VPC: interfaces, subnets, security groups beside its own, gateways.
pub async fn of_vpc(context: &ActionContext<'_>, id: &str) -> Result<Vec<String>, Problem> {
    let ec2 = &context.clients().ec2;
    let mut users = interfaces_where(context, "vpc-id", id, |_| true).await?;
    let subnets = ec2.describe_subnets().filters(filter("vpc-id", id)).send().await;
    let subnets = subnets.map_err(|error| error.problem("ec2:DescribeSubnets", context.address))?;
    users.extend(subnets.subnets().iter().filter_map(|subnet| Some(format!("subnet {}", subnet.subnet_id()?))));
    let groups = ec2.describe_security_groups().filters(filter("vpc-id", id)).send().await;
    let groups = groups.map_err(|error| error.problem("ec2:DescribeSecurityGroups", context.address))?;
    // Its default one goes with it.
    let groups = groups.security_groups().iter().filter(|group| group.group_name() != Some("default"));
    users.extend(groups.filter_map(|group| Some(format!("security group {}", group.group_id()?))));
    let gateways = ec2.describe_internet_gateways().filters(filter("attachment.vpc-id", id)).send().await;
    let gateways = gateways.map_err(|error| error.problem("ec2:DescribeInternetGateways", context.address))?;
    let gateways = gateways.internet_gateways().iter().filter_map(|gateway| gateway.internet_gateway_id());
    users.extend(gateways.map(|gateway| format!("internet gateway {gateway}")));
    Ok(users)
}

/// The load balancers whose listeners and rules send requests to a target group.
pub async fn of_target_group(context: &ActionContext<'_>, arn: &str) -> Result<Vec<String>, Problem> {
    let answer = context.clients().elb.describe_target_groups().target_group_arns(arn).send().await;
    let answer = answer.map_err(|error| error.problem("elasticloadbalancing:DescribeTargetGroups", context.address))?;
    let balancers = answer.target_groups().iter().flat_map(|group| group.load_balancer_arns());
    Ok(balancers.map(|arn| format!("load balancer {}", crate::aws::arn::name(arn).unwrap_or(arn))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_users_are_named_and_who_cannot_be_listed_is_no_failure() {
        let users = |count: usize| Ok((0..count).map(|number| format!("eni-{number}")).collect());
        assert_eq!(named(users(2)), "eni-0, eni-1");
        assert_eq!(named(users(7)), "eni-0, eni-1, eni-2, eni-3, eni-4 and 2 more");
        assert_eq!(named(users(0)), "something that AWS does not list");
        let denied = Err(Problem::new("AWS denies permission", "ec2:DescribeNetworkInterfaces"));
        assert_eq!(named(denied), "something that could not be listed (AWS denies permission)");
    }
}
