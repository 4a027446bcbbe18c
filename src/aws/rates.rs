//! How often AWS lets an account call, as it publishes it, and buckets that keep us under it.
//!
//! EC2 throttles every operation by itself, and launches and terminations by the number of instances as well ("Request
//! throttling for the Amazon EC2 API", ec2/latest/devguide/ec2-api-throttling.html). Elastic Load Balancing publishes one
//! bucket for its reads; all calls of an account share one of that size too ("Request throttling for the ELB API",
//! elasticloadbalancing/latest/userguide/elb-api-throttling.html). CloudWatch's are among its service quotas.
//! EC2 Auto Scaling has one bucket for all calls and does not publish its size: ours is a guess on the safe side.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::token_bucket::TokenBucket;

/// One row of a service's table; the first that fits an operation is its own.
#[derive(Debug)]
pub struct Rate {
    /// An operation, or the beginning of several with `*` at the end.
    operations: &'static str,
    pub capacity: u32,
    pub per_second: f64,
    counts: Counts,
}

/// What a bucket's tokens stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    /// A call of one operation: each has a bucket of its own.
    Calls,
    /// A call of any operation of the row: they share a bucket.
    Together,
    /// An instance that the call is about.
    Instances,
}

const fn rate(operations: &'static str, capacity: u32, per_second: f64, counts: Counts) -> Rate {
    Rate { operations, capacity, per_second, counts }
}

pub const EC2: &[Rate] = &[
    rate("RunInstances", 1000, 2.0, Counts::Instances),
    rate("StartInstances", 1000, 2.0, Counts::Instances),
    rate("TerminateInstances", 1000, 20.0, Counts::Instances),
    rate("StopInstances", 1000, 20.0, Counts::Instances),
    rate("Describe*", 100, 20.0, Counts::Calls),
    rate("Get*", 100, 20.0, Counts::Calls),
    rate("RunInstances", 5, 2.0, Counts::Calls),
    rate("StartInstances", 5, 2.0, Counts::Calls),
    rate("TerminateInstances", 100, 5.0, Counts::Calls),
    rate("CreateTags", 100, 10.0, Counts::Calls),
    rate("DeleteTags", 100, 10.0, Counts::Calls),
    // What else changes something: the smallest bucket of those that the page lists by category.
    rate("*", 50, 5.0, Counts::Calls),
];
pub const ELB: &[Rate] = &[rate("*", 40, 10.0, Counts::Together)];
pub const AUTOSCALING: &[Rate] = &[rate("*", 40, 10.0, Counts::Together)];
pub const CLOUDWATCH: &[Rate] = &[
    rate("PutMetricAlarm", 3, 3.0, Counts::Calls),
    rate("DescribeAlarms", 9, 9.0, Counts::Calls),
    rate("GetMetricWidgetImage", 20, 20.0, Counts::Calls),
    rate("GetMetricData", 50, 50.0, Counts::Calls),
];
/// A run asks SSM and STS once or twice.
pub const NONE: &[Rate] = &[];

/// A call, as far as buckets are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub operation: String,
    /// How many instances it is about; 0 where none.
    pub instances: u32,
}

/// The buckets of one service.
#[derive(Debug)]
pub struct TokenBuckets {
    rates: &'static [Rate],
    /// By row, and by operation where each has its own.
    buckets: BTreeMap<(usize, String), TokenBucket>,
}

impl TokenBuckets {
    pub fn new(rates: &'static [Rate]) -> Self {
        Self { rates, buckets: BTreeMap::new() }
    }

    /// Takes the tokens of a call; or how long to wait before it asks again.
    pub fn admit(&mut self, now: Instant, call: &Call) -> Result<(), Duration> {
        let mut tokens = Vec::new();
        let mut wait = Duration::ZERO;
        for (row, rate) in charged(self.rates, call) {
            let (operation, count) = match rate.counts {
                Counts::Calls => (call.operation.clone(), 1),
                Counts::Together => (String::new(), 1),
                Counts::Instances => (call.operation.clone(), call.instances),
            };
            let bucket = self.buckets.entry((row, operation.clone()));
            let bucket = bucket.or_insert_with(|| TokenBucket::new(rate.capacity, rate.per_second));
            wait = wait.max(bucket.wait(now, count));
            tokens.push(((row, operation), count));
        }
        if wait > Duration::ZERO {
            return Err(wait);
        }
        for (key, count) in tokens {
            self.buckets.entry(key).and_modify(|bucket| bucket.take(count));
        }
        Ok(())
    }
}

/// The rows that a call pays to: the first for its instances, and the first for itself.
fn charged<'r>(rates: &'r [Rate], call: &Call) -> impl Iterator<Item = (usize, &'r Rate)> {
    let fits = |rate: &Rate| match rate.operations.strip_suffix('*') {
        Some(start) => call.operation.starts_with(start),
        None => call.operation == rate.operations,
    };
    let first = |of_instances: bool| {
        let mut rows = rates.iter().enumerate();
        rows.find(|(_, rate)| fits(rate) && (rate.counts == Counts::Instances) == of_instances)
    };
    [first(true), first(false)].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(operation: &str) -> Call {
        Call { operation: operation.to_owned(), instances: 0 }
    }

    /// How long after the first the last of so many calls goes out.
    fn last(rates: &'static [Rate], calls: impl IntoIterator<Item = Call>) -> Duration {
        let start = crate::clock::instant();
        let (mut now, mut buckets) = (start, TokenBuckets::new(rates));
        for call in calls {
            while let Err(wait) = buckets.admit(now, &call) {
                now += wait;
            }
        }
        now.duration_since(start)
    }

    #[test]
    fn every_operation_of_ec2_has_a_bucket_of_its_own() {
        let hundred = |operation: &str| vec![call(operation); 100];
        assert_eq!(last(EC2, [hundred("DescribeInstances"), hundred("DescribeVpcs")].concat()), Duration::ZERO);
        assert_eq!(last(EC2, vec![call("DescribeVpcs"); 120]), Duration::from_secs(1));
        assert_eq!(last(EC2, vec![call("CreateLaunchTemplate"); 60]), Duration::from_secs(2));
    }

    #[test]
    fn launches_pay_for_the_call_and_for_every_instance() {
        let launch = |instances| Call { operation: "RunInstances".into(), instances };
        assert_eq!(last(EC2, vec![launch(1); 7]), Duration::from_secs(1));
        assert_eq!(last(EC2, [launch(1000), launch(20)]), Duration::from_secs(10));
    }

    #[test]
    fn the_operations_of_load_balancing_share_a_bucket() {
        let calls = [vec![call("CreateTargetGroup"); 30], vec![call("DescribeRules"); 20]].concat();
        assert_eq!(last(ELB, calls), Duration::from_secs(1));
    }

    #[test]
    fn what_is_not_in_the_table_is_not_held_back() {
        assert_eq!(last(CLOUDWATCH, vec![call("PutMetricData"); 1000]), Duration::ZERO);
    }
}
