//! The instance refreshes of a stack's groups: AWS's own record.

use aws_sdk_autoscaling::types::InstanceRefresh;
use futures_util::future::try_join_all;
use jiff::Timestamp;

use super::state::RefreshStatus;
use crate::aws::clients::Clients;
use crate::aws::error::CallError as _;
use crate::aws::time::timestamp;
use crate::problem::Problem;

/// The latest of each group.
const REFRESHES: i32 = 10;

/// An instance refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    pub cluster: String,
    pub id: String,
    pub status: RefreshStatus,
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    pub percent: Option<i32>,
    pub reason: Option<String>,
}

/// The latest refreshes of groups; `groups` are pairs of cluster and name.
///
/// # Errors
/// The first call that fails.
pub async fn refreshes(clients: &Clients, groups: &[(String, String)]) -> Result<Vec<Refresh>, Problem> {
    let calls = groups.iter().map(|(cluster, group)| async move {
        let call = clients.autoscaling.describe_instance_refreshes().auto_scaling_group_name(group);
        let answer = call.max_records(REFRESHES).send().await;
        let answer = answer.map_err(|error| error.problem("autoscaling:DescribeInstanceRefreshes", group))?;
        let found = answer.instance_refreshes().iter().filter_map(|refresh| read(cluster, refresh));
        Ok::<Vec<_>, Problem>(found.collect())
    });
    Ok(try_join_all(calls).await?.concat())
}

fn read(cluster: &str, refresh: &InstanceRefresh) -> Option<Refresh> {
    Some(Refresh {
        cluster: cluster.to_owned(),
        id: refresh.instance_refresh_id()?.to_owned(),
        status: RefreshStatus::from(refresh.status().map_or("unknown", |status| status.as_str())),
        started: refresh.start_time().and_then(timestamp)?,
        ended: refresh.end_time().and_then(timestamp),
        percent: refresh.percentage_complete(),
        reason: refresh.status_reason().map(str::to_owned),
    })
}
