//! Mixed instances: what the next instance is, and which goes first (EC2 Auto Scaling, `MixedInstancesPolicy`).
//!
//! On demand = base + ⌈percent of the rest⌉, the rest is spot. AWS publishes no more of its strategies than what they aim
//! at, and there is no market here: prioritized strategies buy the first type that is to be had, all others spread evenly
//! over their types. A new policy holds for what is launched from then on; what runs stays until it goes for another reason.

use std::collections::{BTreeMap, BTreeSet};

use super::parameters::invalid;
use crate::region::wire::{ApiError, Params, Value};

/// AWS's quota of overrides.
const TYPES_MAX: usize = 40;
const ON_DEMAND_STRATEGIES: [&str; 2] = ["prioritized", "lowest-price"];
const LOWEST_PRICE: &str = "lowest-price";
const SPOT_STRATEGIES: [&str; 4] =
    [LOWEST_PRICE, "capacity-optimized", "capacity-optimized-prioritized", "price-capacity-optimized"];
const SPOT_POOLS: i64 = 2;
/// What of an override the embedded region does not do, and says so.
const UNSUPPORTED: [&str; 3] = ["InstanceRequirements", "LaunchTemplateSpecification", "ImageId"];
/// The largest weight.
const WEIGHT_MAX: i64 = 999;
/// More than any rank within one purchase option.
const OTHER_OPTION: i64 = 1_000_000;

/// Of a group that mixes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Mix {
    /// By priority; empty means the template's type.
    pub types: Vec<String>,
    /// `WeightedCapacity`: how much of the desired capacity an instance of a type is; of all types or of none.
    pub weights: BTreeMap<String, i64>,
    pub on_demand_base: i64,
    /// Of the capacity beyond the base.
    pub on_demand_percent: i64,
    pub on_demand_strategy: String,
    pub spot_strategy: String,
    /// Types that `lowest-price` spreads over.
    pub spot_pools: i64,
    pub max_price: Option<String>,
}

/// What to buy, or what was bought.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Purchase {
    /// `None`: the template's.
    pub instance_type: Option<String>,
    pub spot: bool,
}

impl Default for Mix {
    /// AWS's defaults.
    fn default() -> Self {
        Self {
            types: Vec::new(),
            weights: BTreeMap::new(),
            on_demand_base: 0,
            on_demand_percent: 100,
            on_demand_strategy: ON_DEMAND_STRATEGIES[0].to_owned(),
            spot_strategy: LOWEST_PRICE.to_owned(),
            spot_pools: SPOT_POOLS,
            max_price: None,
        }
    }
}

impl Mix {
    /// This mix with what `MixedInstancesPolicy` says changed.
    ///
    /// # Errors
    /// `ValidationError` for what AWS refuses, and for what the embedded region does not do.
    pub fn change(&self, policy: &Params) -> Result<Self, ApiError> {
        let mut new = self.clone();
        if let Some(launch) = policy.map("LaunchTemplate").filter(|launch| launch.get("Overrides").is_some()) {
            let overrides = launch.maps("Overrides");
            new.types = overrides.iter().map(override_type).collect::<Result<_, _>>()?;
            new.weights = weights(&overrides)?;
        }
        let distribution = policy.map("InstancesDistribution").unwrap_or_default();
        if distribution.get("DistributionSegments").is_some() {
            return Err(invalid("The embedded region does not support DistributionSegments."));
        }
        let number = |name: &str, old: i64, max: i64| match distribution.int(name)? {
            Some(value) if !(0..=max).contains(&value) => Err(invalid(format!("{name} must be from 0 to {max}"))),
            value => Ok(value.unwrap_or(old)),
        };
        new.on_demand_base = number("OnDemandBaseCapacity", self.on_demand_base, i64::from(i32::MAX))?;
        new.on_demand_percent = number("OnDemandPercentageAboveBaseCapacity", self.on_demand_percent, 100)?;
        new.on_demand_strategy =
            strategy(&distribution, "OnDemandAllocationStrategy", &ON_DEMAND_STRATEGIES, &self.on_demand_strategy)?;
        new.spot_strategy = strategy(&distribution, "SpotAllocationStrategy", &SPOT_STRATEGIES, &self.spot_strategy)?;
        if let Some(pools) = distribution.int("SpotInstancePools")? {
            if !(1..=20).contains(&pools) || new.spot_strategy != LOWEST_PRICE {
                return Err(invalid("SpotInstancePools is 1 to 20, and goes with the strategy lowest-price only"));
            }
            new.spot_pools = pools;
        }
        if let Some(price) = distribution.text("SpotMaxPrice") {
            if !price.is_empty() && price.parse::<f64>().is_ok_and(|price| price < 0.001) {
                return Err(invalid("SpotMaxPrice must be at least 0.001"));
            }
            new.max_price = (!price.is_empty()).then(|| price.to_owned());
        }
        let distinct: BTreeSet<&String> = new.types.iter().collect();
        if new.types.len() > TYPES_MAX || distinct.len() < new.types.len() {
            return Err(invalid(format!("A group has at most {TYPES_MAX} overrides, each of another instance type")));
        }
        Ok(new)
    }

    /// `InstancesDistribution` and `Overrides` as AWS shows them, around the template.
    pub fn value(&self, template: Value) -> Value {
        let overrides = self.types.iter().map(|name| {
            let weight = self.weights.get(name).map(|weight| Value::from(weight.to_string()));
            Value::map().with("InstanceType", Value::from(name.as_str())).with("WeightedCapacity", weight)
        });
        let launch =
            Value::map().with("LaunchTemplateSpecification", template).with("Overrides", Value::list(overrides));
        let pools = (self.spot_strategy == LOWEST_PRICE).then(|| Value::from(self.spot_pools));
        let distribution = Value::map()
            .with("OnDemandAllocationStrategy", Value::from(self.on_demand_strategy.as_str()))
            .with("OnDemandBaseCapacity", Value::from(self.on_demand_base))
            .with("OnDemandPercentageAboveBaseCapacity", Value::from(self.on_demand_percent))
            .with("SpotAllocationStrategy", Value::from(self.spot_strategy.as_str()))
            .with("SpotInstancePools", pools)
            .with("SpotMaxPrice", self.max_price.as_deref().map(Value::from));
        Value::map().with("LaunchTemplate", launch).with("InstancesDistribution", distribution)
    }

    /// How much of the desired capacity an instance of a type is.
    pub fn weight(&self, instance_type: Option<&String>) -> i64 {
        instance_type.and_then(|name| self.weights.get(name)).copied().unwrap_or(1)
    }

    fn units<'a>(&self, purchases: impl Iterator<Item = &'a Purchase>) -> i64 {
        purchases.map(|purchase| self.weight(purchase.instance_type.as_ref())).sum()
    }

    /// How many of `capacity` units are on demand.
    pub fn on_demand(&self, capacity: i64) -> i64 {
        let base = self.on_demand_base.min(capacity);
        base + ((capacity - base) * self.on_demand_percent + 99) / 100
    }

    /// What to buy next on the way to `capacity`, beside what is `there`. Types that could not be had come last.
    pub fn next(&self, there: &[Purchase], capacity: i64, failed: &BTreeSet<String>) -> Purchase {
        let spot = self.units(there.iter().filter(|purchase| !purchase.spot)) >= self.on_demand(capacity);
        let pools = self.types.iter().filter(|name| !failed.contains(*name));
        let pools: Vec<&String> = if self.types.iter().all(|name| failed.contains(name)) {
            self.types.iter().collect()
        } else {
            pools.collect()
        };
        let instance_type = if self.spreads(spot) {
            let width = if self.spot_strategy == LOWEST_PRICE { self.spot_pools } else { i64::MAX };
            let pools = pools.into_iter().take(usize::try_from(width).unwrap_or(usize::MAX));
            pools.min_by_key(|name| count(there, spot, name)).cloned()
        } else {
            pools.first().map(|name| (*name).clone())
        };
        Purchase { instance_type, spot }
    }

    /// Whether instances of that option are spread over the types, rather than bought by priority.
    fn spreads(&self, spot: bool) -> bool {
        spot && self.spot_strategy != "capacity-optimized-prioritized"
    }

    /// Who goes first when one of `there` goes: the smallest rank. First the purchase option of which there are too many,
    /// then what the strategy would not buy.
    pub fn ranks(&self, there: &BTreeMap<&str, Purchase>) -> BTreeMap<String, i64> {
        let purchases: Vec<Purchase> = there.values().cloned().collect();
        let left = self.units(purchases.iter()) - 1;
        let spot_goes = self.units(purchases.iter().filter(|purchase| !purchase.spot)) <= self.on_demand(left);
        let rank = |purchase: &Purchase| {
            let name = purchase.instance_type.as_ref();
            let priority = name.and_then(|name| self.types.iter().position(|known| known == name));
            // A type that is no longer in the policy goes before all others.
            let Some(priority) = priority else { return -OTHER_OPTION / 2 };
            if self.spreads(purchase.spot) {
                return -count(&purchases, purchase.spot, &self.types[priority]);
            }
            i64::try_from(self.types.len() - priority).unwrap_or(0)
        };
        let option = |purchase: &Purchase| if purchase.spot == spot_goes { 0 } else { OTHER_OPTION };
        there.iter().map(|(id, purchase)| ((*id).to_owned(), option(purchase) + rank(purchase))).collect()
    }
}

fn count(purchases: &[Purchase], spot: bool, name: &String) -> i64 {
    let same = |purchase: &&Purchase| purchase.spot == spot && purchase.instance_type.as_ref() == Some(name);
    i64::try_from(purchases.iter().filter(same).count()).unwrap_or(i64::MAX)
}

/// The weights of the overrides: all have one, or none has.
fn weights(overrides: &[Params]) -> Result<BTreeMap<String, i64>, ApiError> {
    let mut weights = BTreeMap::new();
    for entry in overrides {
        let Some(weight) = entry.int("WeightedCapacity")? else { continue };
        if !(1..=WEIGHT_MAX).contains(&weight) {
            return Err(invalid(format!("WeightedCapacity must be from 1 to {WEIGHT_MAX}, not {weight}")));
        }
        weights.insert(entry.required("InstanceType")?.to_owned(), weight);
    }
    if !weights.is_empty() && weights.len() < overrides.len() {
        return Err(invalid("WeightedCapacity must be given for all instance types or for none"));
    }
    Ok(weights)
}

fn override_type(entry: &Params) -> Result<String, ApiError> {
    if let Some(name) = UNSUPPORTED.iter().find(|name| entry.get(name).is_some()) {
        return Err(invalid(format!("The embedded region does not support {name} in Overrides.")));
    }
    Ok(entry.required("InstanceType")?.to_owned())
}

fn strategy(distribution: &Params, name: &str, known: &[&str], old: &str) -> Result<String, ApiError> {
    match distribution.text(name) {
        None => Ok(old.to_owned()),
        Some(text) if known.contains(&text) => Ok(text.to_owned()),
        Some(text) => Err(invalid(format!("{name} must be one of {}, not {text}", known.join(", ")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(base: i64, percent: i64, spot_strategy: &str) -> Mix {
        Mix {
            types: ["a.large", "b.large", "c.large"].map(str::to_owned).to_vec(),
            on_demand_base: base,
            on_demand_percent: percent,
            spot_strategy: spot_strategy.to_owned(),
            ..Mix::default()
        }
    }

    /// What a growing group buys, e.g. `a` on demand, `b*` spot.
    fn bought(mix: &Mix, capacity: i64, failed: &[&str]) -> Vec<String> {
        let failed = failed.iter().map(|name| (*name).to_owned()).collect();
        let mut there = Vec::new();
        for _ in 0..capacity {
            there.push(mix.next(&there, capacity, &failed));
        }
        let word = |purchase: &Purchase| {
            let name = purchase.instance_type.as_deref().unwrap_or("template");
            format!("{}{}", name.trim_end_matches(".large"), if purchase.spot { "*" } else { "" })
        };
        there.iter().map(word).collect()
    }

    #[test]
    fn the_base_is_on_demand_and_of_the_rest_the_share_rounded_up() {
        let half = mix(1, 50, "price-capacity-optimized");
        assert_eq!([0, 1, 2, 3, 4, 5].map(|capacity| half.on_demand(capacity)), [0, 1, 2, 2, 3, 3]);
        assert_eq!(mix(0, 100, LOWEST_PRICE).on_demand(7), 7);
        assert_eq!(mix(2, 0, LOWEST_PRICE).on_demand(7), 2);
    }

    #[test]
    fn on_demand_goes_by_priority_and_spot_is_spread() {
        assert_eq!(bought(&mix(1, 50, "price-capacity-optimized"), 5, &[]), ["a", "a", "a", "a*", "b*"]);
        assert_eq!(bought(&mix(0, 0, "capacity-optimized"), 4, &[]), ["a*", "b*", "c*", "a*"]);
        assert_eq!(bought(&mix(0, 0, LOWEST_PRICE), 3, &[]), ["a*", "b*", "a*"], "over two pools");
        assert_eq!(bought(&mix(1, 0, "capacity-optimized-prioritized"), 3, &[]), ["a", "a*", "a*"]);
    }

    #[test]
    fn a_type_that_cannot_be_had_is_left_out_until_none_is_left() {
        assert_eq!(bought(&mix(1, 0, "capacity-optimized-prioritized"), 2, &["a.large"]), ["b", "b*"]);
        assert_eq!(bought(&mix(1, 0, "capacity-optimized"), 2, &["a.large", "b.large", "c.large"]), ["a", "a*"]);
        assert_eq!(bought(&Mix::default(), 1, &[]), ["template"]);
    }

    #[test]
    fn the_option_of_which_there_are_too_many_goes_first_then_what_would_not_be_bought() {
        let purchase = |name: &str, spot| Purchase { instance_type: Some(format!("{name}.large")), spot };
        let first = |mix: &Mix, there: &[(&'static str, Purchase)]| {
            let ranks = mix.ranks(&there.iter().cloned().collect());
            ranks.into_iter().min_by_key(|(_, rank)| *rank).unwrap().0
        };
        let half = mix(1, 50, "price-capacity-optimized");
        let there = [("1", purchase("a", false)), ("2", purchase("a", false)), ("3", purchase("a", true))];
        assert_eq!(first(&half, &there), "3", "two instances are both on demand");
        let there = [("1", purchase("a", false)), ("2", purchase("b", false)), ("3", purchase("a", true))];
        assert_eq!(first(&mix(1, 0, LOWEST_PRICE), &there), "2", "one on demand is enough, and b is worse");
        let there = [("1", purchase("a", true)), ("2", purchase("b", true)), ("3", purchase("b", true))];
        assert_ne!(first(&mix(0, 0, LOWEST_PRICE), &there), "1", "of b there are more");
        let there = [("1", purchase("z", true)), ("2", purchase("a", true))];
        assert_eq!(first(&mix(0, 0, LOWEST_PRICE), &there), "1", "not in the policy any more");
    }
}
