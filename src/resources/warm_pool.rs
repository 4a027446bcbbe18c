//! The warm pool of a group: part of the group, reported by its listing, written by calls of its own.

use aws_sdk_autoscaling::types::{AutoScalingGroup, InstanceReusePolicy, WarmPoolState, WarmPoolStatus};

use crate::aws::clients::Clients;
use crate::aws::error::{CallError, settled};
use crate::problem::Problem;
use crate::resource::context::{Operation, Poll};
use crate::resource::fields::Fields;
use crate::stack::model::WarmPool;

/// The fields of a group that are its pool's.
pub const FIELDS: &str = "warm_pool.";
/// What `PutWarmPool` takes for "as large as the group's maximum".
const UNBOUNDED: i32 = -1;

/// The pool that a group has; one that is on its way out is none.
pub fn of(group: &AutoScalingGroup) -> Option<WarmPool> {
    let observed = group.warm_pool_configuration()?;
    if observed.status() == Some(&WarmPoolStatus::PendingDelete) {
        return None;
    }
    let number = |value: i32| u32::try_from(value).ok();
    Some(WarmPool {
        min: observed.min_size().and_then(number).unwrap_or_default(),
        prepared: observed.max_group_prepared_capacity().and_then(number),
        running: observed.pool_state() == Some(&WarmPoolState::Running),
        reuse: observed.instance_reuse_policy().and_then(InstanceReusePolicy::reuse_on_scale_in).unwrap_or_default(),
    })
}

pub fn fields(fields: Fields, pool: Option<&WarmPool>) -> Fields {
    let Some(pool) = pool else { return fields };
    fields
        .text("warm_pool.min", pool.min)
        .maybe("warm_pool.prepared", pool.prepared)
        .text("warm_pool.state", if pool.running { "running" } else { "stopped" })
        .text("warm_pool.reuse", pool.reuse)
}

/// Gives a group its pool, or changes it: the call sets everything. It waits for none of its instances.
///
/// # Errors
/// When the call fails.
pub async fn put(clients: &Clients, group: &str, pool: &WarmPool) -> Result<(), Problem> {
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let state = if pool.running { WarmPoolState::Running } else { WarmPoolState::Stopped };
    let call = clients
        .autoscaling
        .put_warm_pool()
        .auto_scaling_group_name(group)
        .min_size(number(pool.min))
        .max_group_prepared_capacity(pool.prepared.map_or(UNBOUNDED, number))
        .pool_state(state)
        .instance_reuse_policy(InstanceReusePolicy::builder().reuse_on_scale_in(pool.reuse).build());
    call.send().await.map(drop).map_err(|error| error.problem("autoscaling:PutWarmPool", group))
}

/// Takes a group's pool away, and waits until its last instance has gone.
///
/// # Errors
/// When a call fails, or it is still there when time is up.
pub async fn remove(run: &Operation, group: &str) -> Result<(), Problem> {
    let autoscaling = &run.clients()?.autoscaling;
    let call = autoscaling.delete_warm_pool().auto_scaling_group_name(group).force_delete(true);
    settled(call.send().await, &["ValidationError"])
        .map_err(|error| error.problem("autoscaling:DeleteWarmPool", group))?;
    let ask = || async {
        let answer = autoscaling.describe_warm_pool().auto_scaling_group_name(group).send().await;
        let answer = answer.map_err(|error| error.problem("autoscaling:DescribeWarmPool", group))?;
        let left = answer.instances().len();
        let is_gone = left == 0 && answer.warm_pool_configuration().is_none();
        Ok(if is_gone {
            Poll::Ready(())
        } else {
            Poll::Pending(format!("{group}, instances in its warm pool: {left}"))
        })
    };
    let late = |reason: String| {
        Problem::new("The warm pool is still there", reason).hint("run the command again: it continues")
    };
    run.poll(group, ask, late).await
}

#[cfg(test)]
mod tests {
    use aws_sdk_autoscaling::types::WarmPoolConfiguration;

    use super::*;

    #[test]
    fn a_group_tells_its_pool_and_one_that_goes_is_none() {
        let observed = |status| {
            let pool = WarmPoolConfiguration::builder().min_size(1).max_group_prepared_capacity(-1);
            let pool = pool.pool_state(WarmPoolState::Running).set_status(status).build();
            of(&AutoScalingGroup::builder().warm_pool_configuration(pool).build())
        };
        let pool = WarmPool { min: 1, prepared: None, running: true, reuse: false };
        assert_eq!(observed(None), Some(pool));
        assert_eq!(observed(Some(WarmPoolStatus::PendingDelete)), None);
        assert_eq!(of(&AutoScalingGroup::builder().build()), None);
    }
}
