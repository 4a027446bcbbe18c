//! What a run costs as AWS bills it: instances by the second, load balancers by the started hour and by capacity units.
//!
//! Amazon EC2 On-Demand Pricing: by the second, for 60 s at least. Elastic Load Balancing pricing: "each hour or partial
//! hour", and LCUs by the dimension that is used most: 25 new connections a second, 1 GB an hour, 1,000 rule evaluations a
//! second; the first 10 rules are free. The fourth, 3,000 active connections a minute, is not measured here.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::prices;
use crate::resources::price;
use crate::result::figures;
use crate::result::record::{Cloud, Cost, CostPart, TargetResult};
use crate::stack::model::Stack;

const SECONDS_MIN: f64 = 60.0;
const HOUR: f64 = 3600.0;
/// What one capacity unit carries in an hour.
const UNIT_CONNECTIONS: f64 = 25.0 * HOUR;
const UNIT_BYTES: f64 = 1e9;
const UNIT_RULES: f64 = 1000.0 * HOUR;
const FREE_RULES: usize = 10;

/// What the load balancer had to do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Carried {
    connections: f64,
    /// Rules that were looked at beyond the free ones, at most.
    evaluations: f64,
    bytes: f64,
}

impl Carried {
    pub fn of(stack: &Stack, targets: &[TargetResult], bytes: Option<u64>) -> Self {
        // Where the region's time is faster, a request stands for so many.
        let sum = |of: fn(&TargetResult) -> u64| {
            targets.iter().map(|target| (of(target) * u64::from(target.speed.max(1))) as f64).sum::<f64>()
        };
        let rules: usize = stack.clusters.iter().map(|cluster| cluster.routes.len()).sum();
        Self {
            connections: sum(|target| target.connections),
            evaluations: sum(|target| target.requests + target.warm_up_requests)
                * rules.saturating_sub(FREE_RULES) as f64,
            bytes: bytes.unwrap_or(0) as f64,
        }
    }

    /// Capacity units for an hour.
    fn unit_hours(self) -> f64 {
        let used = [self.connections / UNIT_CONNECTIONS, self.evaluations / UNIT_RULES, self.bytes / UNIT_BYTES];
        used.into_iter().fold(0.0, f64::max)
    }
}

/// What the stack costs an hour by what it declares, and what the run cost by the instances that were there: one that came
/// during the run is billed for a minute at least. `None` where a type has no known price.
pub fn cost(stack: &Stack, cloud: &Cloud, seconds: f64, carried: Carried) -> Option<Cost> {
    let declared = price::hourly(stack)?;
    let mut types: BTreeMap<&str, (BTreeSet<&str>, f64)> = BTreeMap::new();
    for span in &cloud.instances {
        let came_later = span.from > 0.0;
        let own = types.entry(&span.instance_type).or_default();
        own.0.insert(&span.instance);
        own.1 += (span.until - span.from).max(if came_later { SECONDS_MIN } else { 0.0 });
    }
    let mut parts = Vec::new();
    for (kind, (instances, billed)) in types {
        let hourly = prices::instance(kind)?;
        parts.push(CostPart {
            what: format!("{} × {kind}", instances.len()),
            how: format!("{} in all, at ${hourly} an hour", figures::duration(billed)),
            dollars: hourly * billed / HOUR,
        });
    }
    if stack.has_load_balancer() {
        let hours = (seconds / HOUR).ceil().max(1.0);
        let started = if hours > 1.0 { "started hours" } else { "started hour" };
        parts.push(CostPart {
            what: "load balancer".to_owned(),
            how: format!("{hours} {started} at ${}", prices::LOAD_BALANCER),
            dollars: hours * prices::LOAD_BALANCER,
        });
        let units = carried.unit_hours();
        parts.push(CostPart {
            what: "load balancer capacity units".to_owned(),
            how: format!("{units:.4} unit-hours at ${}", prices::CAPACITY_UNIT),
            dollars: units * prices::CAPACITY_UNIT,
        });
    }
    let run = parts.iter().map(|part| part.dollars).sum();
    Some(Cost {
        hourly_min: declared.min,
        hourly_max: declared.max,
        run_min: run,
        run_max: run,
        source: prices::RUN_SOURCE.to_owned(),
        parts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::record::InstanceSpan;
    use crate::stack::{self, Overrides};

    fn the_stack() -> Stack {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("stacks/two-clusters.yaml");
        stack::load(&path, &Overrides::default()).expect("the shipped stack is valid").0
    }

    fn span(instance: &str, from: f64, until: f64) -> InstanceSpan {
        InstanceSpan {
            instance: instance.into(),
            cluster: "light".into(),
            instance_type: "t2.large".into(),
            from,
            until,
            healthy_seconds: until - from,
        }
    }

    /// Prices of us-east-1: t2.large $0.0928 an hour, an application load balancer $0.0225 an hour and $0.008 a unit-hour.
    #[test]
    fn a_run_is_billed_by_what_was_there_a_new_instance_a_minute_at_least_and_the_load_balancer_by_started_hours() {
        let cloud =
            Cloud { instances: vec![span("i-1", 0.0, 3601.0), span("i-2", 3591.0, 3601.0)], ..Cloud::default() };
        let carried = Carried { bytes: 2.5e9, connections: 90.0, evaluations: 0.0 };
        let cost = cost(&the_stack(), &cloud, 3601.0, carried).expect("known types");
        let dollars: Vec<f64> = cost.parts.iter().map(|part| part.dollars).collect();
        let expected = [0.0928 * 3661.0 / 3600.0, 2.0 * 0.0225, 2.5 * 0.008];
        assert!(dollars.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-9), "{dollars:?}");
        assert!((cost.run_min - expected.iter().sum::<f64>()).abs() < 1e-9);
        assert_eq!(cost.parts[0].what, "2 × t2.large");
    }

    #[test]
    fn capacity_units_follow_the_dimension_that_is_used_most() {
        let carried = |connections, evaluations, bytes| Carried { connections, evaluations, bytes };
        // An hour of 25 new connections a second, of 1,000 rule evaluations a second, of 1 GB: a unit each.
        assert_eq!(carried(90_000.0, 0.0, 5e8).unit_hours(), 1.0);
        assert_eq!(carried(0.0, 7_200_000.0, 5e8).unit_hours(), 2.0);
        let target = TargetResult { requests: 1000, connections: 10, speed: 60, ..TargetResult::default() };
        let faster = Carried::of(&the_stack(), &[target], None);
        assert_eq!(faster, carried(600.0, 0.0, 0.0), "four rules are free");
    }
}
