//! Instances that AWS refuses to terminate.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::InstanceAttributeName;
use futures_util::future::try_join_all;

use super::DescribeInstances;
use crate::aws::clients::Clients;
use crate::aws::error::CallError;
use crate::aws::quirks;
use crate::cloud::address::Address;
use crate::cloud::snapshot::listing::Collection;
use crate::problem::Problem;

/// AWS tells this attribute of one instance a call: so many at once.
const CALLS_MAX: usize = 16;

/// A problem for every cluster that is to lose instances with termination protection.
///
/// # Errors
/// When a call fails.
pub async fn check(clients: &Clients, leaving: &[(&Address, &str)]) -> Result<Vec<Problem>, Problem> {
    let mut protected = BTreeMap::<&Address, Vec<&str>>::new();
    for batch in leaving.chunks(CALLS_MAX) {
        let found = try_join_all(batch.iter().map(|(address, id)| is_protected(clients, address, id))).await?;
        for ((address, id), _) in batch.iter().zip(found).filter(|(_, is_protected)| *is_protected) {
            protected.entry(address).or_default().push(id);
        }
    }
    let problem = |(address, ids): (&Address, Vec<&str>)| {
        let detail = format!("{address}: AWS refuses to terminate {}", ids.join(", "));
        Problem::new("Instances are protected", detail).hint(
            "nothing was changed; `aws ec2 modify-instance-attribute --no-disable-api-termination --instance-id INSTANCE` \
             lifts the protection",
        )
    };
    Ok(protected.into_iter().map(problem).collect())
}

async fn is_protected(clients: &Clients, address: &Address, id: &str) -> Result<bool, Problem> {
    let call = clients.ec2.describe_instance_attribute().instance_id(id);
    match call.attribute(InstanceAttributeName::DisableApiTermination).send().await {
        Ok(answer) => Ok(answer.disable_api_termination().and_then(|it| it.value()).unwrap_or_default()),
        Err(error) if error.is(DescribeInstances::NOT_FOUND) || quirks::lacks(&error) => Ok(false),
        Err(error) => Err(error.problem("ec2:DescribeInstanceAttribute", address)),
    }
}
