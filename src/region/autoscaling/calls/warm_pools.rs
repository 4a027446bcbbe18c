//! Warm pools.

use super::super::member::Member;
use super::super::model::Autoscaling;
use super::super::parameters::invalid;
use super::super::warm_pool::WarmPool;
use super::super::wire;
use crate::region::context::Context;
use crate::region::wire::{Answer, Params, Value};

const NAME: &str = "AutoScalingGroupName";
/// The largest page of a pool's instances.
const PAGE_MAX: i64 = 50;

/// What must not be in one group (EC2 Auto Scaling user guide, "Warm pools", limitations).
pub const NO_MIX: &str = "You can't add a warm pool to an Auto Scaling group that has a mixed instances policy.";

pub fn put(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let group = service.group_mut(params.required(NAME)?)?;
    if group.settings.mix.is_some() {
        return Err(invalid(NO_MIX));
    }
    if group.warm_pool.as_ref().is_some_and(|pool| pool.deleting) {
        return Err(invalid(format!("The warm pool of the group {} is being deleted.", group.name)));
    }
    group.warm_pool = Some(WarmPool::parse(params)?);
    group.turn(cx);
    Ok(Value::map())
}

/// Its instances are terminated; with `ForceDelete` nobody waits for their hooks.
pub fn delete(service: &mut Autoscaling, cx: &mut Context, params: &Params) -> Answer {
    let group = service.group_mut(params.required(NAME)?)?;
    let force = params.bool("ForceDelete")?.unwrap_or(false);
    let Some(pool) = &mut group.warm_pool else {
        return Err(invalid(format!("No warm pool found for the group {}.", group.name)));
    };
    pool.deleting = true;
    group.turn(cx);
    if force {
        let waiting = group.pooled().filter(|member| !member.actions.is_empty());
        let waiting: Vec<String> = waiting.map(|member| member.id.clone()).collect();
        for instance in waiting {
            group.drop_actions(cx, &instance);
        }
    }
    Ok(Value::map())
}

pub fn describe(service: &Autoscaling, params: &Params) -> Answer {
    let group = service.group(params.required(NAME)?)?;
    let members: Vec<&Member> = group.pooled().collect();
    let page = wire::page(params, "Instances", PAGE_MAX, &members, |it| it.id.clone(), |it| wire::instance(it))?;
    Ok(page.with("WarmPoolConfiguration", group.warm_pool.as_ref().map(WarmPool::value)))
}
