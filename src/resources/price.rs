//! What a stack costs an hour: in all and by cluster, now and as declared.

use std::collections::BTreeSet;

use super::load_balancer;
use crate::catalog::prices::{LOAD_BALANCER, SOURCE, instance};
use crate::cloud::address::Address;
use crate::problem::Problem;
use crate::resource::outlook::{HourlyCost, PartPrice, Price, Prices};
use crate::resource::running::Running;
use crate::resource::status::{ClusterStatus, InstanceStatus, Status};
use crate::stack::model::{Capacity, Cluster, Stack};

/// Prices what is observed and what is declared; `None` declares nothing.
pub fn prices(declared: Option<&Stack>, observed: &Running) -> Prices {
    let mut parts = Vec::new();
    let clusters = declared.map(|stack| stack.clusters.as_slice()).unwrap_or_default();
    let mut removed = observed.clusters.clone();
    for cluster in clusters {
        let address = Address::cluster_itself(&cluster.name);
        let mut hourly = declared_price(cluster);
        if let Some(seen) = removed.remove(&cluster.name) {
            hourly.now = running_price(&seen.running, &mut hourly.unpriced);
        }
        parts.push(PartPrice { part: address, hourly });
    }
    for (name, seen) in removed.into_iter().filter(|(_, seen)| seen.instances() > 0) {
        let mut hourly = Price::default();
        hourly.now = running_price(&seen.running, &mut hourly.unpriced);
        parts.push(PartPrice { part: Address::cluster_itself(&name), hourly });
    }
    let stays = declared.is_some_and(Stack::has_load_balancer);
    let after = if stays { LOAD_BALANCER } else { 0.0 };
    let now = cents(LOAD_BALANCER * f64::from(observed.load_balancers));
    if stays || now > 0.0 {
        let hourly = Price { now, min: after, max: after, unpriced: BTreeSet::new() };
        parts.push(PartPrice { part: load_balancer::ADDRESS, hourly });
    }
    let sum = |figure: fn(&Price) -> f64| cents(parts.iter().map(|part| figure(&part.hourly)).sum());
    let total = Price {
        now: sum(|price| price.now),
        min: sum(|price| price.min),
        max: sum(|price| price.max),
        unpriced: parts.iter().flat_map(|part| part.hourly.unpriced.iter().cloned()).collect(),
    };
    Prices { parts, total }
}

/// A mixed group costs its cheapest type at its fewest and its dearest at its most.
fn declared_price(cluster: &Cluster) -> Price {
    let types = cluster.instance_types();
    let known: Vec<f64> = types.iter().copied().filter_map(instance).collect();
    let unpriced = types.into_iter().filter(|name| instance(name).is_none()).map(str::to_owned).collect();
    let cheapest = known.iter().copied().reduce(f64::min).unwrap_or_default();
    let dearest = known.iter().copied().reduce(f64::max).unwrap_or_default();
    let (min, max) = match &cluster.capacity {
        Capacity::Fixed { instances, .. } => (*instances, *instances),
        Capacity::Group(scaling) => (scaling.min, scaling.max),
    };
    Price { now: 0.0, min: cents(cheapest * f64::from(min)), max: cents(dearest * f64::from(max)), unpriced }
}

fn running_price(running: &std::collections::BTreeMap<String, u32>, unpriced: &mut BTreeSet<String>) -> f64 {
    let mut sum = 0.0;
    for (name, count) in running {
        match instance(name) {
            Some(price) => sum += price * f64::from(*count),
            None => drop(unpriced.insert(name.clone())),
        }
    }
    cents(sum)
}

/// Hundredths of a cent: what the table is written in.
fn cents(dollars: f64) -> f64 {
    (dollars * 10_000.0).round() / 10_000.0
}

/// What is there right now, US dollars an hour: every instance that runs, and the load balancer where there is one.
/// `None` as for [`hourly`].
pub fn running(status: &Status) -> Option<f64> {
    let is_charged = |instance: &&InstanceStatus| instance.state.is_charged();
    let instances = |cluster: &ClusterStatus| {
        Some(instance(&cluster.instance_type)? * cluster.instances.iter().filter(is_charged).count() as f64)
    };
    let load_balancer = if status.load_balancer.is_some() { LOAD_BALANCER } else { 0.0 };
    status.clusters.iter().map(instances).try_fold(load_balancer, |sum, cluster| Some(sum + cluster?))
}

/// Refuses a stack that may cost more than `max` US dollars an hour: a group counts with its maximum. Nothing is
/// called.
///
/// # Errors
/// Where it may cost more; where it is not known what it costs.
pub fn check(stack: &Stack, max: f64) -> Result<(), Problem> {
    let Some(cost) = hourly(stack) else {
        let types = stack.clusters.iter().flat_map(Cluster::instance_types).filter(|name| instance(name).is_none());
        let detail = format!("{}: no known price for {}", stack.name, types.collect::<Vec<_>>().join(", "));
        return Err(Problem::usage("The cost is not known", detail)
            .hint("choose another instance type, or leave out --max-hourly"));
    };
    if cost.max <= max {
        return Ok(());
    }
    let detail = format!("{} may cost ${:.4} an hour, and --max-hourly is ${max:.4}; {SOURCE}", stack.name, cost.max);
    Err(Problem::usage("Over the budget", detail)
        .hint("lower `instances` or a group's `max`, choose smaller instance types, or raise --max-hourly"))
}

/// A stack's cost: instances at their fewest and at their most, and the load balancer. `None` where the table does not
/// know an instance type; spot instances count as on demand, so they cost less than this says. The figures are those of
/// [`REGION`](crate::catalog::prices::REGION), whatever the stack's region: others differ by a few per cent.
pub fn hourly(stack: &Stack) -> Option<HourlyCost> {
    let Price { min, max, unpriced, .. } = prices(Some(stack), &Running::default()).total;
    unpriced.is_empty().then_some(HourlyCost { min, max, source: SOURCE })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::running::ClusterRunning;
    use crate::stack::{Overrides, load};

    fn stack(light: &str) -> Stack {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("stack.yaml");
        let text = format!(
            "name: web\nclusters:\n  light: {{instance_type: {light}, instances: 4, routes: [/light]}}\n  \
             heavy: {{instance_type: m4.large, autoscaling: {{min: 2, max: 8}}, routes: [/heavy]}}\n"
        );
        std::fs::write(&file, text).expect("the stack is written");
        load(&file, &Overrides::default()).expect("the stack is valid").0
    }

    fn seen(clusters: &[(&str, &str, u32)]) -> Running {
        let cluster = |(name, kind, count): &(&str, &str, u32)| {
            let running = [((*kind).to_owned(), *count)].into();
            ((*name).to_owned(), ClusterRunning { running, ..ClusterRunning::default() })
        };
        Running { load_balancers: 1, clusters: clusters.iter().map(cluster).collect() }
    }

    fn rows(prices: &Prices) -> Vec<(&str, f64, f64, f64)> {
        let row = |part: &'_ PartPrice| (part.hourly.now, part.hourly.min, part.hourly.max);
        prices
            .parts
            .iter()
            .map(|part| (part.part.as_str(), row(part)))
            .map(|(name, (a, b, c))| (name, a, b, c))
            .collect()
    }

    /// On-demand prices of Linux in us-east-1 (aws.amazon.com/ec2/pricing/on-demand): t2.large $0.0928, t2.medium
    /// $0.0464, m4.large $0.10; an application load balancer $0.0225.
    #[test]
    fn each_cluster_has_its_price_now_and_as_declared() {
        let prices = prices(Some(&stack("t2.large")), &seen(&[("heavy", "m4.large", 3), ("light", "t2.medium", 4)]));
        assert_eq!(
            rows(&prices),
            [
                ("cluster.light", 0.1856, 0.3712, 0.3712),
                ("cluster.heavy", 0.3, 0.2, 0.8),
                ("load_balancer", 0.0225, 0.0225, 0.0225),
            ]
        );
        let total = Price { now: 0.5081, min: 0.5937, max: 1.1937, unpriced: BTreeSet::new() };
        assert_eq!(prices.total, total);
        assert_eq!(hourly(&stack("t2.large")), Some(HourlyCost { min: 0.5937, max: 1.1937, source: SOURCE }));
    }

    #[test]
    fn a_type_without_a_price_is_named_and_the_rest_still_counts() {
        let prices = prices(Some(&stack("x8g.large")), &seen(&[("gone", "y8.tiny", 2)]));
        assert_eq!(
            rows(&prices),
            [
                ("cluster.light", 0.0, 0.0, 0.0),
                ("cluster.heavy", 0.0, 0.2, 0.8),
                ("cluster.gone", 0.0, 0.0, 0.0),
                ("load_balancer", 0.0225, 0.0225, 0.0225),
            ]
        );
        assert_eq!(prices.total.unpriced.iter().collect::<Vec<_>>(), ["x8g.large", "y8.tiny"]);
        assert_eq!(hourly(&stack("x8g.large")), None, "an incomplete sum is no upper bound");
    }

    #[test]
    fn where_there_is_to_be_no_load_balancer_none_is_priced() {
        let stack = Stack { load_balancer: None, ..stack("t2.large") };
        let now = prices(Some(&stack), &seen(&[]));
        assert_eq!(rows(&now).last(), Some(&("load_balancer", 0.0225, 0.0, 0.0)), "one that goes");
        let then = prices(Some(&stack), &Running::default());
        assert!(then.parts.iter().all(|part| part.part != load_balancer::ADDRESS));
        assert_eq!(hourly(&stack).map(|cost| cost.min), Some(0.5712));
    }

    #[test]
    fn a_mixed_group_costs_its_cheapest_type_at_its_fewest_and_its_dearest_at_its_most() {
        let text = "name: web\nclusters:\n  mixed:\n    routes: [/mixed]\n    autoscaling: {min: 2, max: 5, mix: {types: \
                    [t2.large, t2.medium, m4.large]}}\n";
        let source = crate::problem::Source { name: "stack.yaml".to_owned(), text: text.to_owned() };
        let stack = crate::stack::parse(source.into(), "stack.yaml".as_ref(), &Overrides::default()).expect("valid").0;
        // Twice t2.medium's $0.0464, five times m4.large's $0.10, and the load balancer's $0.0225.
        assert_eq!(hourly(&stack), Some(HourlyCost { min: 0.1153, max: 0.5225, source: SOURCE }));
    }

    #[test]
    fn a_budget_that_is_just_met_is_kept_and_one_that_is_missed_by_a_hundredth_of_a_cent_is_not() {
        let stack = stack("t2.large");
        check(&stack, 1.1937).expect("the highest cost is within it");
        let over = check(&stack, 1.1936).unwrap_err();
        assert_eq!(over.summary, "Over the budget");
        assert!(over.detail.contains("$1.1937") && over.detail.contains("$1.1936"), "{}", over.detail);
        let unknown = check(&self::stack("x8g.large"), 100.0).unwrap_err();
        assert!(unknown.detail.contains("x8g.large") && !unknown.detail.contains("m4.large"), "{}", unknown.detail);
    }

    #[test]
    fn what_goes_down_costs_nothing_afterwards() {
        let prices = prices(None, &seen(&[("light", "t2.large", 4)]));
        assert_eq!(rows(&prices), [("cluster.light", 0.3712, 0.0, 0.0), ("load_balancer", 0.0225, 0.0, 0.0)]);
    }
}
