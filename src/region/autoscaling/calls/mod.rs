//! The operations, one file per noun of the API. Each reads its parameters, changes or asks the groups, and answers.

mod groups;
mod instances;
mod kinds;
mod policies;
mod refreshes;
mod schedules;
mod tags;

use super::model::Autoscaling;
use crate::region::context::Context;
use crate::region::wire::{Answer, ApiError, Params};

/// Runs the operation of that name.
pub fn call(service: &mut Autoscaling, cx: &mut Context, operation: &str, params: &Params) -> Answer {
    match operation {
        "CreateAutoScalingGroup" => groups::create(service, cx, params),
        "UpdateAutoScalingGroup" => groups::update(service, cx, params),
        "DeleteAutoScalingGroup" => groups::delete(service, cx, params),
        "DescribeAutoScalingGroups" => groups::describe(service, params),
        "SetDesiredCapacity" => groups::set_desired_capacity(service, cx, params),
        "SuspendProcesses" => groups::suspend(service, params),
        "ResumeProcesses" => groups::resume(service, cx, params),
        "EnableMetricsCollection" => groups::enable_metrics(service, cx, params),
        "DisableMetricsCollection" => groups::disable_metrics(service, params),
        "DescribeScalingActivities" => groups::activities(service, params),
        "AttachLoadBalancerTargetGroups" | "AttachTrafficSources" => groups::attach_target_groups(service, cx, params),
        "DetachLoadBalancerTargetGroups" | "DetachTrafficSources" => groups::detach_target_groups(service, cx, params),
        "DescribeLoadBalancerTargetGroups" => groups::target_groups(service, params),
        "DescribeTrafficSources" => groups::traffic_sources(service, params),

        "DescribeAutoScalingInstances" => instances::describe(service, params),
        "TerminateInstanceInAutoScalingGroup" => instances::terminate(service, cx, params),
        "SetInstanceHealth" => instances::set_health(service, cx, params),
        "SetInstanceProtection" => instances::set_protection(service, cx, params),
        "AttachInstances" => instances::attach(service, cx, params),
        "DetachInstances" => instances::detach(service, cx, params),
        "EnterStandby" => instances::enter_standby(service, cx, params),
        "ExitStandby" => instances::exit_standby(service, cx, params),

        "PutScalingPolicy" => policies::put(service, cx, params),
        "DescribePolicies" => policies::describe(service, cx, params),
        "DeletePolicy" => policies::delete(service, cx, params),
        "ExecutePolicy" => policies::execute(service, cx, params),

        "PutScheduledUpdateGroupAction" => schedules::put(service, cx, params),
        "BatchPutScheduledUpdateGroupAction" => schedules::batch_put(service, cx, params),
        "DescribeScheduledActions" => schedules::describe(service, params),
        "DeleteScheduledAction" => schedules::delete(service, params),
        "BatchDeleteScheduledAction" => schedules::batch_delete(service, params),

        "StartInstanceRefresh" => refreshes::start(service, cx, params),
        "CancelInstanceRefresh" => refreshes::cancel(service, cx, params),
        "RollbackInstanceRefresh" => refreshes::roll_back(service, cx, params),
        "DescribeInstanceRefreshes" => refreshes::describe(service, params),

        "CreateOrUpdateTags" => tags::put(service, params),
        "DeleteTags" => tags::delete(service, params),
        "DescribeTags" => tags::describe(service, params),

        _ => kinds::call(service, operation, params).unwrap_or_else(|| Err(ApiError::unknown_operation(operation))),
    }
}
