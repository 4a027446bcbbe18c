//! Rolls a group's instances over to its newest launch template: AWS's instance refresh, started, watched and awaited.
//!
//! The group keeps serving: AWS replaces as many at a time as `rollout` allows and waits for each to warm up.

use aws_sdk_autoscaling::types::{
    AutoScalingGroup, InstanceRefresh, InstanceRefreshStatus, LifecycleState, RefreshPreferences,
};

use super::mixed_instances;
use crate::aws::error::CallError;
use crate::engine::event::Event;
use crate::engine::task::Task;
use crate::problem::Problem;

const IN_PROGRESS: &[&str] = &["InstanceRefreshInProgress"];
/// By these an endpoint that imitates AWS says that it lacks an operation; moto fails without any code.
const LACKING: &[&str] = &["InvalidAction", "UnknownOperationException", "NotImplemented"];

/// `2 of 4 from an older launch template`; `None` where all are of the group's version, or the endpoint does not tell.
pub fn outdated(group: &AutoScalingGroup) -> Option<String> {
    let wanted = mixed_instances::template(group)?;
    let stays = |state: &LifecycleState| !state.as_str().starts_with("Terminat");
    let versions = group.instances().iter().filter(|instance| instance.lifecycle_state().is_some_and(stays));
    let versions: Vec<_> = versions.map(|instance| instance.launch_template()).collect();
    let is_older = |made| made != (wanted.launch_template_id(), wanted.version());
    let old = versions.iter().flatten().filter(|made| is_older((made.launch_template_id(), made.version()))).count();
    (old > 0).then(|| format!("{old} of {} from an older launch template", versions.len()))
}

/// Replaces what is outdated, and waits until that is done.
///
/// A refresh that somebody else has started is awaited first; it may have begun before the template changed.
///
/// # Errors
/// Where the refresh ends in anything but success: AWS's own reason. Where time is up.
pub async fn run(task: &Task<'_>, group: &str, preferences: &RefreshPreferences) -> Result<(), Problem> {
    loop {
        let call = task.clients().autoscaling.start_instance_refresh().auto_scaling_group_name(group);
        match call.preferences(preferences.clone()).send().await {
            Ok(answer) => return finish(task, group, answer.instance_refresh_id().unwrap_or_default()).await,
            Err(error) if error.is(IN_PROGRESS) => {
                if let Some(other) = active(task, group).await? {
                    until_over(task, group, &other).await?;
                }
            }
            Err(error) if error.is(LACKING) || error.code().is_none() && error.raw_response().is_some() => {
                let text = format!(
                    "{}: this endpoint knows no instance refresh; running instances keep the older launch template",
                    task.address
                );
                task.run.sink.event(Event::Note { text });
                return Ok(());
            }
            Err(error) => return Err(error.problem("autoscaling:StartInstanceRefresh", task.address)),
        }
        task.run.check_interrupt()?;
    }
}

async fn finish(task: &Task<'_>, group: &str, id: &str) -> Result<(), Problem> {
    let Some(refresh) = until_over(task, group, id).await? else {
        return Ok(());
    };
    if refresh.status() == Some(&InstanceRefreshStatus::Successful) {
        return Ok(());
    }
    let status = refresh.status().map_or("unknown", |status| status.as_str());
    let reason = refresh.status_reason().unwrap_or("AWS gives no reason");
    Err(Problem::new("The instance refresh did not succeed", format!("{group}: {status}: {reason}"))
        .hint("mend the user data or the health check and run `cloudscale up` again: it replaces what is still old"))
}

/// Watches a refresh to its end; `None` where AWS does not list it any more.
async fn until_over(task: &Task<'_>, group: &str, id: &str) -> Result<Option<InstanceRefresh>, Problem> {
    let mut backoff = task.run.backoff();
    let mut total = 0;
    loop {
        let Some(refresh) = describe(task, group, Some(id)).await?.into_iter().next() else {
            return Ok(None);
        };
        if !is_active(&refresh) {
            return Ok(Some(refresh));
        }
        total = total.max(refresh.instances_to_update().unwrap_or_default());
        let progress = progress(&refresh, total);
        task.waiting(&progress);
        if task.run.is_late() {
            return Err(Problem::new("The instance refresh is not over", format!("{group}: {progress}"))
                .hint("AWS goes on with it; run `cloudscale up` again to wait for it, with a longer --timeout"));
        }
        task.run.pause(&mut backoff).await?;
    }
}

/// The refresh that goes on, by its id.
async fn active(task: &Task<'_>, group: &str) -> Result<Option<String>, Problem> {
    let refreshes = describe(task, group, None).await?;
    Ok(refreshes.into_iter().find(is_active).and_then(|refresh| refresh.instance_refresh_id))
}

/// The newest refreshes of a group, newest first: at most one of them goes on.
async fn describe(task: &Task<'_>, group: &str, id: Option<&str>) -> Result<Vec<InstanceRefresh>, Problem> {
    let call = task.clients().autoscaling.describe_instance_refreshes().auto_scaling_group_name(group);
    let answer = call.set_instance_refresh_ids(id.map(|id| vec![id.to_owned()])).send().await;
    let answer = answer.map_err(|error| error.problem("autoscaling:DescribeInstanceRefreshes", task.address))?;
    Ok(answer.instance_refreshes.unwrap_or_default())
}

fn is_active(refresh: &InstanceRefresh) -> bool {
    use InstanceRefreshStatus as Status;
    let over =
        [Status::Successful, Status::Failed, Status::Cancelled, Status::RollbackSuccessful, Status::RollbackFailed];
    refresh.status().is_some_and(|status| !over.contains(status))
}

/// `instance refresh: 50 %, 2 of 4 replaced`
fn progress(refresh: &InstanceRefresh, total: i32) -> String {
    let left = refresh.instances_to_update().unwrap_or_default();
    let percent = refresh.percentage_complete().unwrap_or_default();
    format!("instance refresh: {percent} %, {} of {total} replaced", total - left)
}

#[cfg(test)]
mod tests {
    use aws_sdk_autoscaling::types::{Instance, LaunchTemplateSpecification};

    use super::*;

    fn template(version: &str) -> LaunchTemplateSpecification {
        LaunchTemplateSpecification::builder().launch_template_id("lt-1").version(version).build()
    }

    fn instance(version: Option<&str>, state: LifecycleState) -> Instance {
        let builder = Instance::builder().instance_id("i-1").availability_zone("a").health_status("Healthy");
        builder.protected_from_scale_in(false).lifecycle_state(state).set_launch_template(version.map(template)).build()
    }

    fn group(instances: Vec<Instance>) -> AutoScalingGroup {
        AutoScalingGroup::builder().launch_template(template("2")).set_instances(Some(instances)).build()
    }

    #[test]
    fn instances_of_an_older_version_are_counted_while_they_stay() {
        use LifecycleState::{InService, Pending, Terminating};
        let mixed = vec![
            instance(Some("1"), InService),
            instance(Some("2"), InService),
            instance(Some("1"), Pending),
            instance(Some("1"), Terminating),
        ];
        assert_eq!(outdated(&group(mixed)).as_deref(), Some("2 of 3 from an older launch template"));
        assert_eq!(outdated(&group(vec![instance(Some("2"), InService)])), None);
        assert_eq!(outdated(&group(vec![instance(None, InService)])), None, "an endpoint that tells no version");
    }

    #[test]
    fn a_refresh_tells_how_far_it_is_and_ends_with_its_status() {
        let refresh = InstanceRefresh::builder().percentage_complete(50).instances_to_update(2);
        assert_eq!(progress(&refresh.clone().build(), 4), "instance refresh: 50 %, 2 of 4 replaced");
        let is_active = |status| super::is_active(&refresh.clone().status(status).build());
        assert!(is_active(InstanceRefreshStatus::Pending) && is_active(InstanceRefreshStatus::Cancelling));
        assert!(!is_active(InstanceRefreshStatus::Successful) && !is_active(InstanceRefreshStatus::Failed));
    }
}
