//! What the groups of a stack did and why: AWS's own record, which it keeps for six weeks.

use aws_sdk_autoscaling::types::Activity as Api;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::Serialize;

use super::state::ActivityStatus;
use crate::aws::clients::Clients;
use crate::aws::error::CallError;
use crate::problem::Problem;

/// The most that DescribeScalingActivities answers at once (EC2 Auto Scaling API).
pub const ACTIVITIES_MAX: u8 = 100;

/// One instance that came or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Activity {
    pub id: String,
    pub cluster: String,
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    /// `Successful`
    pub status: ActivityStatus,
    /// `Launching a new EC2 instance: i-0123456789abcdef0`
    pub description: String,
    /// Which alarm, which health check, which user; and why it failed.
    pub cause: String,
    /// Why it failed, or what it waits for.
    pub message: Option<String>,
}

/// The last so many activities of groups, oldest first; no more than [`ACTIVITIES_MAX`] of each. `groups` are pairs of
/// cluster and name.
///
/// # Errors
/// The first call that fails.
pub async fn activities(clients: &Clients, groups: &[(String, String)], last: u8) -> Result<Vec<Activity>, Problem> {
    let calls = groups.iter().map(|(cluster, group)| async move {
        let call = clients.autoscaling.describe_scaling_activities().auto_scaling_group_name(group);
        let answer = call.max_records(last.clamp(1, ACTIVITIES_MAX).into()).send().await;
        let answer = answer.map_err(|error| error.problem("autoscaling:DescribeScalingActivities", group))?;
        // AWS reports the newest first; of the same second, too.
        let read = answer.activities().iter().rev().filter_map(|activity| read(cluster, activity));
        Ok::<Vec<_>, Problem>(read.collect())
    });
    let mut found = try_join_all(calls).await?.concat();
    found.sort_by(|a, b| (a.started, &a.cluster).cmp(&(b.started, &b.cluster)));
    Ok(found.split_off(found.len().saturating_sub(last.into())))
}

fn read(cluster: &str, activity: &Api) -> Option<Activity> {
    let time = |time: &aws_sdk_autoscaling::primitives::DateTime| Timestamp::from_second(time.secs()).ok();
    let cause = [activity.cause(), activity.status_message()].into_iter().flatten().filter(|text| !text.is_empty());
    Some(Activity {
        id: activity.activity_id().unwrap_or_default().to_owned(),
        cluster: cluster.to_owned(),
        started: activity.start_time().and_then(time)?,
        ended: activity.end_time().and_then(time),
        status: ActivityStatus::from(activity.status_code().map_or("unknown", |status| status.as_str())),
        description: activity.description().unwrap_or_default().to_owned(),
        cause: cause.collect::<Vec<_>>().join(" "),
        message: activity.status_message().filter(|text| !text.is_empty()).map(str::to_owned),
    })
}
