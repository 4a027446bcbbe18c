//! How a group goes: without its protection, when its requests in flight are answered, and to the end.

use aws_sdk_autoscaling::types::AutoScalingGroup;

use super::describe;
use crate::aws::clients::Clients;
use crate::aws::error::{CallError, settled};
use crate::problem::Problem;
use crate::resource::context::{ActionContext, Poll};
use crate::resources::target_group;
use crate::resources::targets;

/// A group cannot be deleted while it changes its capacity.
const BUSY: &[&str] = &["ScalingActivityInProgress", "ResourceInUse"];
/// Instances of one `SetInstanceProtection` (EC2 Auto Scaling API).
const PROTECTION_BATCH: usize = 50;

/// Deletes a group with its instances, and waits until it is gone.
///
/// # Errors
/// When a call fails, or it is still there when time is up.
pub async fn delete(context: &ActionContext<'_>, name: &str) -> Result<(), Problem> {
    let delete = || async {
        let call = context.clients().autoscaling.delete_auto_scaling_group().auto_scaling_group_name(name);
        match call.force_delete(true).send().await {
            Err(error) if !is_gone(&error) => Err(error),
            _ => Ok(()),
        }
    };
    context.patient("autoscaling:DeleteAutoScalingGroup", BUSY, None, delete).await?;
    until_deleted(context, name).await
}

/// AWS ends protected instances with their group, and does not end them when it shrinks; endpoints that imitate it keep them
/// in either case. `about` names the group.
///
/// # Errors
/// When the call fails.
pub async fn unprotect(clients: &Clients, about: impl AsRef<str>, group: &AutoScalingGroup) -> Result<(), Problem> {
    let instances = group.instances().iter();
    let protected: Vec<_> = instances.filter(|instance| instance.protected_from_scale_in() == Some(true)).collect();
    for batch in protected.chunks(PROTECTION_BATCH) {
        let ids = batch.iter().filter_map(|instance| instance.instance_id().map(str::to_owned)).collect();
        let call = clients.autoscaling.set_instance_protection().protected_from_scale_in(false);
        let call = call.set_auto_scaling_group_name(group.auto_scaling_group_name().map(str::to_owned));
        // One that is on its way out already is refused, and not every endpoint knows the call.
        settled(call.set_instance_ids(Some(ids)).send().await, &["ValidationError", "InvalidAction"])
            .map_err(|error| error.problem("autoscaling:SetInstanceProtection", &about))?;
    }
    Ok(())
}

fn is_gone(error: &impl CallError) -> bool {
    error.is(&["AutoScalingGroupNotFound"])
        || error.is(&["ValidationError"]) && error.message().is_some_and(|message| message.contains("not found"))
}

async fn detach(context: &ActionContext<'_>, name: &str, target_groups: Vec<String>) -> Result<(), Problem> {
    if target_groups.is_empty() {
        return Ok(());
    }
    let call = context.clients().autoscaling.detach_load_balancer_target_groups().auto_scaling_group_name(name);
    let call = call.set_target_group_arns(Some(target_groups)).send().await;
    call.map(drop).map_err(|error| error.problem("autoscaling:DetachLoadBalancerTargetGroups", context.address))
}

/// Before a group goes whose cluster serves on, its requests in flight finish.
///
/// # Errors
/// When a call fails.
pub async fn leave(context: &ActionContext<'_>, group: &AutoScalingGroup) -> Result<(), Problem> {
    let target_groups = group.target_group_arns();
    detach(context, group.auto_scaling_group_name().unwrap_or_default(), target_groups.to_vec()).await?;
    let members = group.instances().iter().filter_map(|instance| instance.instance_id().map(str::to_owned));
    let members: Vec<_> = members.collect();
    for target_group in target_groups {
        targets::until_gone(context, target_group, &members).await?;
    }
    Ok(())
}

/// After a target group was replaced: only the new one stays attached.
///
/// # Errors
/// When the call fails.
pub async fn detach_old_target_groups(
    context: &ActionContext<'_>,
    group: &AutoScalingGroup,
    name: &str,
) -> Result<(), Problem> {
    let Some(current) = context.address.cluster().and_then(|it| context.run.published(&target_group::address(it)))
    else {
        return Ok(());
    };
    let old: Vec<_> = group.target_group_arns().iter().filter(|arn| **arn != current.id).cloned().collect();
    detach(context, name, old).await
}

async fn until_deleted(context: &ActionContext<'_>, name: &str) -> Result<(), Problem> {
    let ask = || async {
        let group = describe(context, name).await?;
        Ok(group.map_or(Poll::Ready(()), |group| {
            Poll::Pending(format!("{name}, instances left: {}", group.instances().len()))
        }))
    };
    let late = |reason: String| {
        Problem::new("The group is still there", reason).hint("run `cloudscale down` again: it continues")
    };
    context.poll(ask, late).await
}
