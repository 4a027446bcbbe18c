//! What exists: kinds, limits, and the lists that are empty because a group here cannot have such a thing.

use super::super::metrics::METRICS;
use super::super::model::Autoscaling;
use super::super::policy::AdjustmentType;
use super::super::process::Process;
use super::super::termination::TerminationPolicy;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// AWS's quotas; the embedded region does not enforce the first two.
const GROUPS_MAX: i64 = 500;
const LAUNCH_CONFIGURATIONS_MAX: i64 = 200;

/// Runs one of these operations.
pub fn call(service: &Autoscaling, operation: &str, params: &Params) -> Answer {
    let named = |field: &str, item: &str, names: Vec<&str>| {
        let items = names.into_iter().map(|name| Value::map().with(item, Value::from(name)));
        Value::map().with(field, Value::list(items))
    };
    let answer = match operation {
        "DescribeAdjustmentTypes" => {
            let names = AdjustmentType::ALL.iter().map(|(_, name)| *name).collect();
            named("AdjustmentTypes", "AdjustmentType", names)
        }
        "DescribeTerminationPolicyTypes" => {
            let names = TerminationPolicy::ALL.iter().map(|(_, name)| Value::from(*name));
            Value::map().with("TerminationPolicyTypes", Value::list(names))
        }
        "DescribeScalingProcessTypes" => {
            named("Processes", "ProcessName", Process::ALL.iter().map(|(_, name)| *name).collect())
        }
        "DescribeMetricCollectionTypes" => {
            let granularities = Value::list([Value::map().with("Granularity", Value::from("1Minute"))]);
            named("Metrics", "Metric", METRICS.to_vec()).with("Granularities", granularities)
        }
        "DescribeAccountLimits" => Value::map()
            .with("MaxNumberOfAutoScalingGroups", Value::from(GROUPS_MAX))
            .with("MaxNumberOfLaunchConfigurations", Value::from(LAUNCH_CONFIGURATIONS_MAX))
            .with("NumberOfAutoScalingGroups", Value::from(i64::try_from(service.groups.len()).unwrap_or(i64::MAX)))
            .with(
                "NumberOfLaunchConfigurations",
                Value::from(i64::try_from(service.configurations.len()).unwrap_or(i64::MAX)),
            ),
        // Classic load balancers cannot be made here.
        "DescribeLoadBalancers" => return none_of(service, params, "LoadBalancers"),
        _ => return Err(ApiError::unknown_operation(operation)),
    };
    Ok(answer)
}

/// A group that exists has none of these.
fn none_of(service: &Autoscaling, params: &Params, field: &str) -> Answer {
    service.group(params.required("AutoScalingGroupName")?)?;
    Ok(Value::map().with(field, Value::list([])))
}
