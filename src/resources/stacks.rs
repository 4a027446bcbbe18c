//! The stacks that have something in the region, by tag.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Instance, SecurityGroup};
use futures_util::try_join;
use jiff::Timestamp;

use super::instances::{is_present, tag};
use crate::aws::clients::Clients;
use crate::aws::error::CallError;
use crate::cloud::discover::{EC2_PAGE, filter};
use crate::cloud::expiry;
use crate::cloud::tags;
use crate::problem::Problem;

/// One row of `ls`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StackSummary {
    pub stack: String,
    /// Instances that are not on their way out.
    pub instances: usize,
    /// When it is to be gone, by `cloudscale down --after`.
    pub down_after: Option<Timestamp>,
}

/// The names of all stacks that have something in the region, for `ls`.
///
/// # Errors
/// The first call that fails.
pub async fn stacks(clients: &Clients) -> Result<Vec<StackSummary>, Problem> {
    let (groups, instances) = try_join!(security_groups(clients), instances(clients))?;
    let mut found = BTreeMap::<String, StackSummary>::new();
    for group in &groups {
        let mut tags = tags::from_ec2(group.tags());
        if let Some(stack) = tags.remove(tags::STACK) {
            let row = found.entry(stack.clone()).or_insert(StackSummary { stack, instances: 0, down_after: None });
            row.down_after = row.down_after.or(expiry::read(&tags));
        }
    }
    for instance in instances.iter().filter(|instance| is_present(instance)) {
        if let Some(stack) = tag(instance, tags::STACK) {
            let new = || StackSummary { stack: stack.to_owned(), instances: 0, down_after: None };
            found.entry(stack.to_owned()).or_insert_with(new).instances += 1;
        }
    }
    Ok(found.into_values().collect())
}

async fn security_groups(clients: &Clients) -> Result<Vec<SecurityGroup>, Problem> {
    let pages = clients.ec2.describe_security_groups().filters(filter(None)).into_paginator().items().send();
    pages.try_collect().await.map_err(|error| error.problem("ec2:DescribeSecurityGroups", "all stacks"))
}

async fn instances(clients: &Clients) -> Result<Vec<Instance>, Problem> {
    let request = clients.ec2.describe_instances().filters(filter(None)).max_results(EC2_PAGE);
    let reservations = request.into_paginator().items().send().try_collect().await;
    let reservations = reservations.map_err(|error| error.problem("ec2:DescribeInstances", "all stacks"))?;
    Ok(reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default()).collect())
}
