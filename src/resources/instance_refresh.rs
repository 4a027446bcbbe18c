//! Rolls a group's instances over to a launch template's version: AWS's instance refresh, started, watched and awaited.
//!
//! The group keeps serving: AWS replaces as many at a time as `rollout` allows and waits for each to warm up. The
//! version is given to the refresh and not to the group, which takes it when the refresh succeeds: so there is
//! something to roll back to. AWS itself gives up after an hour without progress; here the refresh is turned round as
//! soon as new instances have failed their health checks for longer than they may need.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use aws_sdk_autoscaling::types::{
    AutoScalingGroup, DesiredConfiguration, Instance, InstanceRefresh, InstanceRefreshStatus,
    LaunchTemplateSpecification, LifecycleState, RefreshPreferences,
};

use tokio::sync::Mutex;

use super::mixed_instances;
use super::targets::target_health;
use crate::aws::error::CallError;
use crate::aws::quirks;
use crate::clock;
use crate::cloud::console::Console;
use crate::cloud::health::Health;
use crate::problem::Problem;
use crate::resource::context::{ActionContext, Poll};
use crate::resource::event::Event;

const IN_PROGRESS: &[&str] = &["InstanceRefreshInProgress"];

/// `2 of 4 from an older launch template`; `None` where all are of the group's version, or the endpoint does not
/// report.
pub fn outdated(group: &AutoScalingGroup) -> Option<String> {
    let desired = mixed_instances::template(group)?;
    let stays = |state: &LifecycleState| !state.as_str().starts_with("Terminat");
    let versions = group.instances().iter().filter(|instance| instance.lifecycle_state().is_some_and(stays));
    let versions: Vec<_> = versions.map(|instance| instance.launch_template()).collect();
    let old = versions.iter().flatten().filter(|made| !same(made, desired)).count();
    (old > 0).then(|| format!("{old} of {} from an older launch template", versions.len()))
}

/// Whether two name the same version of the same template.
pub fn same(a: &LaunchTemplateSpecification, b: &LaunchTemplateSpecification) -> bool {
    (a.launch_template_id(), a.version()) == (b.launch_template_id(), b.version())
}

/// What a group is to become.
#[derive(Debug)]
pub struct Rollover<'a> {
    pub group: &'a str,
    /// What new instances are made of.
    pub desired: DesiredConfiguration,
    /// The launch template in `desired`.
    pub template: &'a LaunchTemplateSpecification,
    pub preferences: RefreshPreferences,
    /// Whether the group still launches from something else, so that there is something to go back to.
    pub reversible: bool,
    /// Where new instances have to get healthy.
    pub target_group: &'a str,
    /// How long new instances may fail their health checks without one getting healthy.
    pub patience: Duration,
}

/// Replaces what is outdated, and waits until that is done.
///
/// A refresh that somebody else has started is awaited first; it may have begun before the template changed.
///
/// # Errors
/// Where new instances do not get healthy: what was rolled back, and what their console says. Where the refresh ends in
/// anything but success: AWS's own reason. Where time is up.
pub async fn run(context: &ActionContext<'_>, rollover: &Rollover<'_>) -> Result<(), Problem> {
    let group = rollover.group;
    let ask = || async {
        let call = context.clients().autoscaling.start_instance_refresh().auto_scaling_group_name(group);
        let call = call.preferences(rollover.preferences.clone()).desired_configuration(rollover.desired.clone());
        match call.send().await {
            Ok(answer) => Ok(Poll::Ready(Some(answer.instance_refresh_id().unwrap_or_default().to_owned()))),
            Err(error) if error.is(IN_PROGRESS) => {
                until_none(context, group).await?;
                Ok(Poll::Pending("another one goes on".to_owned()))
            }
            Err(error) if quirks::lacks_refreshes(&error) => Ok(Poll::Ready(None)),
            Err(error) => Err(error.problem("autoscaling:StartInstanceRefresh", context.address)),
        }
    };
    if let Some(id) = context.poll(ask, |progress| not_over(group, &progress)).await? {
        return watch(context, rollover, &id).await;
    }
    let text = format!(
        "{}: this endpoint knows no instance refresh; running instances keep the older launch template",
        context.address
    );
    context.run.sink.event(Event::Note { text });
    Ok(())
}

/// Waits for a refresh that goes on, whoever started it; an endpoint without refreshes has none.
///
/// # Errors
/// When a call fails, or it goes on when time is up.
pub async fn until_none(context: &ActionContext<'_>, group: &str) -> Result<(), Problem> {
    let call = context.clients().autoscaling.describe_instance_refreshes().auto_scaling_group_name(group).send().await;
    let refreshes = match call {
        Ok(answer) => answer.instance_refreshes.unwrap_or_default(),
        Err(error) if quirks::lacks_refreshes(&error) => Vec::new(),
        Err(error) => return Err(error.problem("autoscaling:DescribeInstanceRefreshes", context.address)),
    };
    let active = refreshes.into_iter().find(is_active).and_then(|refresh| refresh.instance_refresh_id);
    match active {
        Some(id) => until_over(context, group, &id).await.map(drop),
        None => Ok(()),
    }
}

/// Follows our own refresh to its end, and turns it round where it leads nowhere.
async fn watch(context: &ActionContext<'_>, rollover: &Rollover<'_>, id: &str) -> Result<(), Problem> {
    let state = Mutex::new((0, Trial::begin(clock::instant())));
    let ask = || async {
        // What was just started may not be listed yet.
        let look = || async { Ok(describe(context, rollover.group, id).await?.into_iter().next()) };
        let Some(refresh) = context.appears(look).await? else {
            let detail = format!("{}: AWS does not list the refresh {id}", rollover.group);
            return Err(Problem::new("The instance refresh is not known", detail)
                .hint("run `cloudscale up` again: it waits for a refresh that goes on, or starts another"));
        };
        if !is_active(&refresh) {
            return verdict(rollover.group, &refresh).map(Poll::Ready);
        }
        let (total, trial) = &mut *state.lock().await;
        *total = (*total).max(refresh.instances_to_update().unwrap_or_default());
        let progress = progress(&refresh, *total);
        let (healthy, failing) = new_instances(context, rollover).await?;
        trial.see(clock::instant(), (refresh.instances_to_update().unwrap_or_default(), healthy), failing);
        if trial.is_lost(clock::instant(), rollover.patience) {
            return Err(roll_back(context, rollover, id, trial, &progress).await);
        }
        Ok(Poll::Pending(match trial.failing.iter().next() {
            Some((instance, why)) => format!("{progress}; {instance}: {why}"),
            None => progress,
        }))
    };
    context.poll(ask, |progress| not_over(rollover.group, &progress)).await
}

/// What is known of the new instances while they are tried.
#[derive(Debug)]
struct Trial {
    /// (instances left to replace, healthy new ones): any change is progress.
    state: (i32, usize),
    since: Instant,
    /// New instances that failed their health checks since, with the reason; those that the group has given up
    /// included.
    failing: BTreeMap<String, String>,
}

impl Trial {
    fn begin(now: Instant) -> Self {
        Self { state: (-1, 0), since: now, failing: BTreeMap::new() }
    }

    fn see(&mut self, now: Instant, state: (i32, usize), failing: BTreeMap<String, String>) {
        let advanced = self.state.0 < 0 || state.0 < self.state.0 || state.1 > self.state.1;
        if advanced {
            (self.since, self.failing) = (now, BTreeMap::new());
        }
        self.state = state;
        self.failing.extend(failing);
    }

    /// Instances fail, and for so long nothing has got better.
    fn is_lost(&self, now: Instant, patience: Duration) -> bool {
        !self.failing.is_empty() && now.duration_since(self.since) >= patience
    }
}

/// The group's instances of the desired version: how many are healthy, and which are not.
async fn new_instances(
    context: &ActionContext<'_>,
    rollover: &Rollover<'_>,
) -> Result<(usize, BTreeMap<String, String>), Problem> {
    let call = context.clients().autoscaling.describe_auto_scaling_groups().auto_scaling_group_names(rollover.group);
    let answer =
        call.send().await.map_err(|error| error.problem("autoscaling:DescribeAutoScalingGroups", context.address))?;
    let instances = answer.auto_scaling_groups().iter().flat_map(|group| group.instances());
    let is_new = |instance: &&Instance| instance.launch_template().is_some_and(|made| same(made, rollover.template));
    let new: BTreeSet<_> = instances.filter(is_new).filter_map(|instance| instance.instance_id()).collect();
    let (_, targets) = target_health(context.clients(), rollover.target_group).await?;
    let healths = targets.iter().filter_map(|target| Some((target.target()?.id()?, Health::of(target))));
    let (healthy, others): (Vec<_>, Vec<_>) =
        healths.filter(|(id, _)| new.contains(id)).partition(|(_, health)| health.is_healthy());
    let failing = others.into_iter().filter(|(_, health)| health.is_unhealthy());
    Ok((healthy.len(), failing.map(|(id, health)| (id.to_owned(), health.sentence())).collect()))
}

/// Gives the refresh up: back to what the group had before where AWS can, otherwise no further.
async fn roll_back(
    context: &ActionContext<'_>,
    rollover: &Rollover<'_>,
    id: &str,
    trial: &Trial,
    progress: &str,
) -> Problem {
    let mut console = Console::default();
    if let Some(instance) = trial.failing.keys().next_back() {
        console.read(context.clients(), instance).await;
    }
    let autoscaling = &context.clients().autoscaling;
    let group = rollover.group;
    let rolled_back = if rollover.reversible {
        let call = autoscaling.rollback_instance_refresh().auto_scaling_group_name(group).send().await;
        call.map(drop).map_err(|error| error.problem("autoscaling:RollbackInstanceRefresh", context.address))
    } else {
        let call = autoscaling.cancel_instance_refresh().auto_scaling_group_name(group).send().await;
        call.map(drop).map_err(|error| error.problem("autoscaling:CancelInstanceRefresh", context.address))
    };
    let over = match rolled_back {
        Ok(()) => until_over(context, group, id).await,
        Err(problem) => Err(problem),
    };
    let status = match &over {
        Ok(Some(refresh)) => refresh.status().map_or("unknown", |status| status.as_str()).to_owned(),
        Ok(None) => "not listed any more".to_owned(),
        Err(problem) => format!("{}: {}", problem.summary, problem.detail),
    };
    let end = if rollover.reversible { "rolled back" } else { "cancelled" };
    let mut detail = format!("{group}: {progress}; then it was {end} ({status})");
    for (instance, why) in &trial.failing {
        let _ = write!(detail, "\n  {instance}: {why}");
    }
    console.append_to(&mut detail);
    Problem::new("New instances do not become healthy", detail).hint(
        "the instances from before serve; correct the user data or the health check and run `cloudscale up` again: until then \
         `cloudscale diff` shows the change as pending",
    )
}

/// What the end of a refresh means.
fn verdict(group: &str, refresh: &InstanceRefresh) -> Result<(), Problem> {
    if refresh.status() == Some(&InstanceRefreshStatus::Successful) {
        return Ok(());
    }
    let status = refresh.status().map_or("unknown", |status| status.as_str());
    let reason = refresh.status_reason().unwrap_or("AWS gives no reason");
    Err(Problem::new("The instance refresh did not succeed", format!("{group}: {status}: {reason}"))
        .hint("correct the user data or the health check and run `cloudscale up` again: it replaces what is still old"))
}

fn not_over(group: &str, progress: &str) -> Problem {
    Problem::new("The instance refresh is not over", format!("{group}: {progress}"))
        .hint("AWS goes on with it; run `cloudscale up` again to wait for it, with a longer --timeout")
}

/// Watches a refresh to its end; `None` where AWS does not list it any more.
async fn until_over(context: &ActionContext<'_>, group: &str, id: &str) -> Result<Option<InstanceRefresh>, Problem> {
    let total = AtomicI32::new(0);
    let ask = || async {
        let Some(refresh) = describe(context, group, id).await?.into_iter().next() else {
            return Ok(Poll::Ready(None));
        };
        if !is_active(&refresh) {
            return Ok(Poll::Ready(Some(refresh)));
        }
        total.fetch_max(refresh.instances_to_update().unwrap_or_default(), Relaxed);
        Ok(Poll::Pending(progress(&refresh, total.load(Relaxed))))
    };
    context.poll(ask, |progress| not_over(group, &progress)).await
}

/// One of a group's refreshes.
async fn describe(context: &ActionContext<'_>, group: &str, id: &str) -> Result<Vec<InstanceRefresh>, Problem> {
    let call = context.clients().autoscaling.describe_instance_refreshes().auto_scaling_group_name(group);
    let answer = call.instance_refresh_ids(id).send().await;
    let answer = answer.map_err(|error| error.problem("autoscaling:DescribeInstanceRefreshes", context.address))?;
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
    use aws_sdk_autoscaling::types::LaunchTemplateSpecification;

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

    #[test]
    fn a_trial_is_lost_when_instances_fail_and_nothing_gets_better_for_too_long() {
        let start = clock::instant();
        let at = |seconds| start + Duration::from_secs(seconds);
        let failing = || BTreeMap::from([("i-1".to_owned(), "unhealthy".to_owned())]);
        let patience = Duration::from_secs(10);
        let mut trial = Trial::begin(start);
        trial.see(at(1), (2, 0), BTreeMap::new());
        assert!(!trial.is_lost(at(60), patience), "slow, and nothing fails");
        trial.see(at(5), (2, 0), failing());
        assert!(!trial.is_lost(at(10), patience));
        assert!(trial.is_lost(at(11), patience));
        trial.see(at(12), (2, 1), BTreeMap::new());
        assert!(!trial.is_lost(at(60), patience), "one got healthy");
        trial.see(at(13), (2, 1), failing());
        trial.see(at(14), (2, 0), BTreeMap::new());
        assert!(trial.is_lost(at(23), patience), "the one that failed is gone, and it did fail");
    }
}
