//! What a stack costs an hour.

use super::plan::HourlyCost;
use crate::catalog::prices::{LOAD_BALANCER, SOURCE, instance};
use crate::problem::Problem;
use crate::resource::status::{ClusterStatus, InstanceStatus, Status};
use crate::stack::model::{Capacity, Cluster, Stack};

/// What is there right now, US dollars an hour: every instance that runs, and the load balancer. `None` as for [`hourly`].
pub fn running(status: &Status) -> Option<f64> {
    let is_charged = |instance: &&InstanceStatus| ["pending", "running"].contains(&instance.state.as_str());
    let instances = |cluster: &ClusterStatus| {
        Some(instance(&cluster.instance_type)? * cluster.instances.iter().filter(is_charged).count() as f64)
    };
    status.clusters.iter().map(instances).try_fold(LOAD_BALANCER, |sum, cluster| Some(sum + cluster?))
}

/// Refuses a stack that may cost more than `max` US dollars an hour: a group counts with its maximum. Nothing is called.
///
/// # Errors
/// Where it may cost more; where it is not known what it costs.
pub fn check(stack: &Stack, max: f64) -> Result<(), Problem> {
    let Some(cost) = hourly(stack) else {
        let types = stack.clusters.iter().flat_map(Cluster::instance_types).filter(|name| instance(name).is_none());
        let detail = format!("{}: no price is known of {}", stack.name, types.collect::<Vec<_>>().join(", "));
        return Err(Problem::usage("The cost is not known", detail)
            .hint("choose another instance type, or leave out --max-hourly"));
    };
    if cost.max <= max {
        return Ok(());
    }
    let detail = format!("{} may cost ${:.4} an hour, and --max-hourly is ${max:.4}; {SOURCE}", stack.name, cost.max);
    Err(Problem::usage("Over the budget", detail).hint(
        "lower the groups' `max` or the fleets' `instances`, choose smaller instance types, or raise --max-hourly",
    ))
}

/// A stack's cost: instances at their fewest and at their most, and the load balancer. `None` where the table does not know
/// an instance type. A mixed group costs its cheapest type at its fewest and its dearest at its most; spot instances count
/// as on demand, so they cost less than this says. The figures are those of [`REGION`](crate::catalog::prices::REGION), whatever the stack's region: others differ by a few per cent.
pub fn hourly(stack: &Stack) -> Option<HourlyCost> {
    let mut cost = HourlyCost { min: LOAD_BALANCER, max: LOAD_BALANCER, source: SOURCE };
    for cluster in &stack.clusters {
        let prices = cluster.instance_types().into_iter().map(instance).collect::<Option<Vec<_>>>()?;
        let (cheapest, dearest) =
            (prices.iter().copied().fold(f64::MAX, f64::min), prices.iter().copied().fold(0.0, f64::max));
        let (min, max) = match &cluster.capacity {
            Capacity::Fleet { instances, .. } => (*instances, *instances),
            Capacity::Group(scaling) => (scaling.min, scaling.max),
        };
        cost.min += cheapest * f64::from(min);
        cost.max += dearest * f64::from(max);
    }
    let cents = |dollars: f64| (dollars * 10_000.0).round() / 10_000.0;
    Some(HourlyCost { min: cents(cost.min), max: cents(cost.max), ..cost })
}
