//! What a group launches from, and how its instances follow.

use std::time::Duration;

use aws_sdk_autoscaling::types::{
    AutoScalingGroup, DesiredConfiguration, LaunchTemplateSpecification, RefreshPreferences, ScaleInProtectedInstances,
};

use super::settings::configure;
use super::{Desired, Observed, describe};
use crate::cloud::snapshot::Snapshot;
use crate::problem::Problem;
use crate::resource::context::ActionContext;
use crate::resources::instance_refresh::{Rollover, same};
use crate::resources::launch_template::DescribeLaunchTemplates;
use crate::resources::{instance_refresh, mixed_instances};
use crate::resources::{launch_template, target_group};

/// Whether the group launches from the version that our tags name.
pub fn template_is_current(cloud: &Snapshot, group: &AutoScalingGroup) -> bool {
    let Some(used) = mixed_instances::template(group) else {
        return false;
    };
    let id = used.launch_template_id();
    let template = cloud.all::<DescribeLaunchTemplates>().iter().find(|template| template.launch_template_id() == id);
    template.and_then(|template| template.latest_version_number()).map(|latest| latest.to_string()).as_deref()
        == used.version()
}

/// The version that the cluster's launch template has now.
///
/// # Errors
/// Where it is not there.
pub fn template(context: &ActionContext<'_>, desired: &Desired) -> Result<LaunchTemplateSpecification, Problem> {
    let template = context.output(&launch_template::address(&desired.cluster))?;
    // A number and not `$Latest`: a refresh can only roll back to a number.
    Ok(LaunchTemplateSpecification::builder().launch_template_id(template.id).version(template.revision).build())
}

/// New instances first, then the group: until they have proved themselves there is something to go back to.
///
/// # Errors
/// As [`instance_refresh::run`]; any call that fails.
pub async fn roll_over(context: &ActionContext<'_>, desired: &Desired, observed: &Observed) -> Result<(), Problem> {
    let group = observed.group.auto_scaling_group_name().unwrap_or_default();
    let template = template(context, desired)?;
    let is_on = |group: &AutoScalingGroup| mixed_instances::template(group).is_some_and(|used| same(used, &template));
    // AWS cannot go back to `$Latest`, which means something else by then.
    let version = mixed_instances::template(&observed.group).and_then(|used| used.version()).unwrap_or_default();
    let reversible = version.parse::<u64>().is_ok() && !is_on(&observed.group);
    let configuration = match desired.mix.as_deref() {
        None => DesiredConfiguration::builder().launch_template(template.clone()),
        Some(mix) => {
            let policy = mixed_instances::policy(mix, template.clone(), Some(&observed.group));
            DesiredConfiguration::builder().mixed_instances_policy(policy)
        }
    };
    let rollover = Rollover {
        group,
        desired: configuration.build(),
        template: &template,
        preferences: preferences(desired, reversible),
        reversible,
        target_group: &context.output(&target_group::address(&desired.cluster))?.id,
        patience: patience(context.run.provider.timing().boot_grace, desired),
    };
    instance_refresh::run(context, &rollover).await?;
    // Not every endpoint has refreshes, nor lets the group take up what a refresh has rolled out.
    match describe(context, group).await? {
        Some(now) if !is_on(&now) => configure(context, desired, &now, &[], Some(template)).await,
        _ => Ok(()),
    }
}

/// How long a new instance may need: it boots, warms up, and is given two graces, since the group replaces it after
/// one.
fn patience(boot_grace: Duration, desired: &Desired) -> Duration {
    let seconds = |value: i32| Duration::from_secs(u64::try_from(value).unwrap_or_default());
    boot_grace + seconds(desired.warmup_s) + 2 * seconds(desired.health_grace_s)
}

fn preferences(desired: &Desired, auto_rollback: bool) -> RefreshPreferences {
    RefreshPreferences::builder()
        .min_healthy_percentage(desired.rollout.min_healthy.into())
        .max_healthy_percentage(desired.rollout.max_healthy.into())
        .instance_warmup(desired.warmup_s)
        // What a refresh that was interrupted has replaced already stays.
        .skip_matching(true)
        // Protection is against shrinking, not against what the stack asks for.
        .scale_in_protected_instances(ScaleInProtectedInstances::Refresh)
        .auto_rollback(auto_rollback)
        .build()
}
