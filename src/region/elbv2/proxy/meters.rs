//! What the proxy counts: atomics that only the serving thread's own requests touch, drained every second into
//! CloudWatch's measurements.
//!
//! | counted per | metrics (AWS/ApplicationELB) | dimensions |
//! | --- | --- | --- |
//! | target | RequestCount, HTTPCode_Target_NXX_Count, TargetResponseTime, TargetConnectionErrorCount | {LB}, {LB, AZ}, {TG, LB}, {TG, AZ, LB} |
//! | target | RequestCountPerTarget (a Sum only) | {TG}, {TG, AZ}, {TG, LB}, {TG, AZ, LB} |
//! | target | AWS/EC2 NetworkIn, NetworkOut: one sample for each clock minute, as detailed monitoring has | {InstanceId} |
//! | load balancer | ConsumedLCUs, once a minute | {LB} |
//! | load balancer | HTTPCode_ELB_NXX_Count (and 502, 503, 504), NewConnectionCount, ActiveConnectionCount, ProcessedBytes, … | {LB}, {LB, AZ} |

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use jiff::Timestamp;

use crate::region::metric::MetricId;
use crate::region::signal::{Measurement, Statistics};

/// Buckets of response times for each doubling: within 1/8 of each other.
const BUCKETS_PER_OCTAVE: u32 = 8;
/// From 1 µs to 2^26 µs (67 s); what is longer falls into the last.
const BUCKETS: usize = 26 * BUCKETS_PER_OCTAVE as usize;

/// Counts of one target.
#[derive(Debug)]
pub struct TargetMeter {
    pub requests: AtomicU64,
    /// 2XX, 3XX, 4XX, 5XX.
    codes: [AtomicU64; 4],
    pub connection_errors: AtomicU64,
    pub bytes_in: AtomicU64,
    pub bytes_out: AtomicU64,
    /// Number and sum in microseconds of each bucket, so that averages stay exact.
    response_times: Box<[(AtomicU64, AtomicU64)]>,
}

impl Default for TargetMeter {
    fn default() -> Self {
        Self {
            requests: AtomicU64::default(),
            codes: Default::default(),
            connection_errors: AtomicU64::default(),
            bytes_in: AtomicU64::default(),
            bytes_out: AtomicU64::default(),
            response_times: (0..BUCKETS).map(|_| Default::default()).collect(),
        }
    }
}

impl TargetMeter {
    /// A target answered.
    pub fn answered(&self, status: u16, after: Duration) {
        if let Some(code) = usize::from(status / 100).checked_sub(2).and_then(|class| self.codes.get(class)) {
            code.fetch_add(1, Relaxed);
        }
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX).max(1);
        let (count, sum) = &self.response_times[bucket(micros)];
        count.fetch_add(1, Relaxed);
        sum.fetch_add(micros, Relaxed);
    }
}

/// The bucket of a time: its octave, and the three bits after the first.
fn bucket(micros: u64) -> usize {
    let octave = 63 - micros.leading_zeros();
    let within = if octave >= 3 { (micros >> (octave - 3)) & 7 } else { (micros << (3 - octave)) & 7 };
    let index = u64::from(octave * BUCKETS_PER_OCTAVE) + within;
    usize::try_from(index).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

/// Counts of one load balancer on one thread; on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct FrontMeter {
    pub new_connections: AtomicU64,
    /// Open now.
    pub active_connections: AtomicU64,
    pub rejected_connections: AtomicU64,
    /// Connections that did not agree on TLS.
    pub tls_errors: AtomicU64,
    pub processed_bytes: AtomicU64,
    pub fixed_responses: AtomicU64,
    pub redirects: AtomicU64,
    pub rule_evaluations: AtomicU64,
    /// Those beyond the free ones of each request.
    pub charged_rules: AtomicU64,
    pub fail_open_requests: AtomicU64,
    /// Answers of the load balancer's own: 4XX, 5XX, and among those 500, 502, 503 and 504.
    pub own_4xx: AtomicU64,
    pub own_5xx: AtomicU64,
    pub own_500: AtomicU64,
    pub own_502: AtomicU64,
    pub own_503: AtomicU64,
    pub own_504: AtomicU64,
}

impl FrontMeter {
    /// Moves the counts to another; connections that are open are counted in both.
    pub fn drain_into(&self, sum: &Self) {
        for (from, to) in self.counters().into_iter().zip(sum.counters()) {
            to.fetch_add(from.swap(0, Relaxed), Relaxed);
        }
        sum.active_connections.fetch_add(self.active_connections.load(Relaxed), Relaxed);
    }

    /// What is emptied: all but the connections that are open.
    fn counters(&self) -> [&AtomicU64; 15] {
        let Self {
            new_connections,
            active_connections: _,
            rejected_connections,
            tls_errors,
            processed_bytes,
            fixed_responses,
            redirects,
            rule_evaluations,
            charged_rules,
            fail_open_requests,
            own_4xx,
            own_5xx,
            own_500,
            own_502,
            own_503,
            own_504,
        } = self;
        [
            new_connections,
            rejected_connections,
            tls_errors,
            processed_bytes,
            fixed_responses,
            redirects,
            rule_evaluations,
            charged_rules,
            fail_open_requests,
            own_4xx,
            own_5xx,
            own_500,
            own_502,
            own_503,
            own_504,
        ]
    }

    /// The load balancer answered by itself because something is wrong.
    pub fn refused(&self, status: u16) {
        let class = if status >= 500 { &self.own_5xx } else { &self.own_4xx };
        class.fetch_add(1, Relaxed);
        let exact = match status {
            500 => &self.own_500,
            502 => &self.own_502,
            503 => &self.own_503,
            504 => &self.own_504,
            _ => return,
        };
        exact.fetch_add(1, Relaxed);
    }
}

/// Requests, and the targets that share them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub requests: u64,
    pub targets: u64,
}

/// What a load balancer did in the clock minute that runs, for its capacity units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrontMinute {
    pub new_connections: u64,
    pub active_connections: u64,
    pub processed_bytes: u64,
    pub charged_rules: u64,
}

impl FrontMinute {
    /// One unit is 25 new connections a second, 3,000 active ones in a minute, a gigabyte an hour or 1,000 rule evaluations
    /// a second beyond the free ones; the dimension of which there is most counts (Elastic Load Balancing pricing). A minute
    /// has a sixtieth of its hour's.
    fn capacity_units(&self, speed: f64) -> f64 {
        let per_second = |count: u64| speed * float(count) / 60.0;
        let units = [
            per_second(self.new_connections) / 25.0,
            float(self.active_connections) / 3_000.0,
            per_second(self.processed_bytes) * 3_600.0 / 1e9,
            per_second(self.charged_rules) / 1_000.0,
        ];
        units.into_iter().fold(0.0, f64::max) / 60.0
    }
}

type Dimensions = Vec<(String, String)>;
/// Values and how often each occurred.
type Samples = Vec<(f64, f64)>;

/// Collects what was drained, so that each metric goes out once for each set of dimensions.
///
/// A region whose time runs `speed` times faster shows the rates that it was asked for: each request, connection and byte
/// counts so often. 50 requests a second are 3,000 in a minute at any speed, and the policies that were made for AWS hold.
#[derive(Debug)]
pub struct Drained {
    speed: f64,
    /// By dimensions and metric: the unit and the samples.
    metrics: BTreeMap<(Dimensions, &'static str), (&'static str, Samples)>,
    response_times: BTreeMap<Dimensions, Vec<(u64, u64)>>,
}

/// What a target's counts are filed under.
#[derive(Clone, Copy, Debug)]
pub struct TargetLabels<'a> {
    pub load_balancer: &'a str,
    pub target_group: &'a str,
    pub zone: &'a str,
}

fn dimensions(pairs: &[(&str, &str)]) -> Dimensions {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a second are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

impl Drained {
    pub fn new(speed: u32) -> Self {
        Self { speed: f64::from(speed), metrics: BTreeMap::new(), response_times: BTreeMap::new() }
    }

    /// Empties a target's meter. Returns how many requests it had.
    pub fn target(&mut self, meter: &TargetMeter, labels: TargetLabels) -> u64 {
        let TargetLabels { load_balancer, target_group, zone } = labels;
        let (lb, tg, az) = (("LoadBalancer", load_balancer), ("TargetGroup", target_group), ("AvailabilityZone", zone));
        let sets = [dimensions(&[lb]), dimensions(&[az, lb]), dimensions(&[tg, lb]), dimensions(&[tg, az, lb])];
        let requests = meter.requests.swap(0, Relaxed);
        let codes = [
            "HTTPCode_Target_2XX_Count",
            "HTTPCode_Target_3XX_Count",
            "HTTPCode_Target_4XX_Count",
            "HTTPCode_Target_5XX_Count",
        ];
        let codes = codes.into_iter().zip(meter.codes.iter().map(|code| code.swap(0, Relaxed)));
        let errors = meter.connection_errors.swap(0, Relaxed);
        let counts = codes.chain([("RequestCount", requests), ("TargetConnectionErrorCount", errors)]);
        for (metric, count) in counts.filter(|(_, count)| *count > 0) {
            for set in &sets {
                self.ones(set.clone(), metric, count);
            }
        }
        for (index, (count, sum)) in meter.response_times.iter().enumerate() {
            let count = count.swap(0, Relaxed);
            if count == 0 {
                continue;
            }
            let sum = sum.swap(0, Relaxed);
            for set in &sets {
                let buckets = self.response_times.entry(set.clone()).or_insert_with(|| vec![(0, 0); BUCKETS]);
                buckets[index].0 += count;
                buckets[index].1 += sum;
            }
        }
        requests
    }

    /// The requests of a second, for each of the targets: the sum of a minute is the requests of one target. With a zone,
    /// requests and targets are that zone's.
    pub fn per_target(&mut self, load_balancer: &str, target_group: &str, zone: Option<&str>, counted: Counted) {
        let value = self.speed * float(counted.requests) / float(counted.targets.max(1));
        let (lb, tg) = (("LoadBalancer", load_balancer), ("TargetGroup", target_group));
        let sets = match zone.map(|zone| ("AvailabilityZone", zone)) {
            None => [dimensions(&[tg]), dimensions(&[tg, lb])],
            Some(az) => [dimensions(&[tg, az]), dimensions(&[tg, az, lb])],
        };
        for set in sets {
            self.sample(set, "RequestCountPerTarget", "Count", value);
        }
    }

    /// The capacity units of a minute: the sum of an hour is what AWS charges for it.
    pub fn capacity_units(&mut self, load_balancer: &str, minute: &FrontMinute) {
        let value = minute.capacity_units(self.speed);
        self.sample(dimensions(&[("LoadBalancer", load_balancer)]), "ConsumedLCUs", "Count", value);
    }

    /// Empties a load balancer's meter.
    pub fn front(&mut self, meter: &FrontMeter, load_balancer: &str, zone: &str) {
        let (lb, az) = (("LoadBalancer", load_balancer), ("AvailabilityZone", zone));
        let counts = [
            ("HTTPCode_ELB_4XX_Count", &meter.own_4xx),
            ("HTTPCode_ELB_5XX_Count", &meter.own_5xx),
            ("HTTPCode_ELB_500_Count", &meter.own_500),
            ("HTTPCode_ELB_502_Count", &meter.own_502),
            ("HTTPCode_ELB_503_Count", &meter.own_503),
            ("HTTPCode_ELB_504_Count", &meter.own_504),
            ("NewConnectionCount", &meter.new_connections),
            ("RejectedConnectionCount", &meter.rejected_connections),
            ("ClientTLSNegotiationErrorCount", &meter.tls_errors),
            ("HTTP_Fixed_Response_Count", &meter.fixed_responses),
            ("HTTP_Redirect_Count", &meter.redirects),
            ("UnhealthyRoutingRequestCount", &meter.fail_open_requests),
        ];
        let sums = [
            ("ProcessedBytes", "Bytes", &meter.processed_bytes),
            ("RuleEvaluations", "Count", &meter.rule_evaluations),
        ];
        for (metric, count) in counts {
            let count = count.swap(0, Relaxed);
            if count > 0 {
                self.ones(dimensions(&[lb]), metric, count);
                self.ones(dimensions(&[az, lb]), metric, count);
            }
        }
        for (metric, unit, sum) in sums {
            let sum = sum.swap(0, Relaxed);
            if sum > 0 {
                self.sample(dimensions(&[lb]), metric, unit, self.speed * float(sum));
                self.sample(dimensions(&[az, lb]), metric, unit, self.speed * float(sum));
            }
        }
    }

    /// The connections that are open, to be told once a minute: its statistic is the sum. They are as many at any speed.
    pub fn active_connections(&mut self, count: u64, load_balancer: &str, zone: &str) {
        if count > 0 {
            let (lb, az) = (("LoadBalancer", load_balancer), ("AvailabilityZone", zone));
            for set in [dimensions(&[lb]), dimensions(&[az, lb])] {
                self.sample(set, "ActiveConnectionCount", "Count", float(count));
            }
        }
    }

    /// `count` samples of the value 1: its sum counts, its average is 1.
    fn ones(&mut self, set: Dimensions, metric: &'static str, count: u64) {
        let count = self.speed * float(count);
        let (_, samples) = self.metrics.entry((set, metric)).or_insert(("Count", vec![(1.0, 0.0)]));
        samples[0].1 += count;
    }

    fn sample(&mut self, set: Dimensions, metric: &'static str, unit: &'static str, value: f64) {
        self.metrics.entry((set, metric)).or_insert((unit, Vec::new())).1.push((value, 1.0));
    }

    /// Everything that was drained.
    pub fn measurements(self, time: Timestamp) -> Vec<Measurement> {
        let measurement = |metric: &str, dimensions, unit, samples| {
            let metric = Arc::new(MetricId::new("AWS/ApplicationELB", metric, dimensions));
            Measurement::new(metric, time, Statistics::of(samples), unit)
        };
        let counts =
            self.metrics.into_iter().map(|((set, metric), (unit, samples))| measurement(metric, set, unit, samples));
        let times = self.response_times.into_iter().map(|(set, buckets)| {
            let used = buckets.into_iter().filter(|(count, _)| *count > 0);
            let samples = used.map(|(count, sum)| (float(sum) / float(count) / 1e6, self.speed * float(count)));
            measurement("TargetResponseTime", set, "Seconds", samples.collect())
        });
        counts.chain(times).collect()
    }
}

/// An instance's traffic of one clock minute, in a region of that speed.
pub fn network(instance: &str, minute: Timestamp, (bytes_in, bytes_out): (u64, u64), speed: u32) -> [Measurement; 2] {
    [("NetworkIn", bytes_in), ("NetworkOut", bytes_out)].map(|(metric, bytes)| {
        let metric = MetricId::shared("AWS/EC2", metric, &[("InstanceId", instance)]);
        Measurement::new(metric, minute, Statistics::of_one(f64::from(speed) * float(bytes)), "Bytes")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faster_region_shows_the_rates_that_it_was_asked_for() {
        let meter = TargetMeter::default();
        meter.requests.fetch_add(5, Relaxed);
        meter.answered(200, Duration::from_millis(10));
        let labels = TargetLabels { load_balancer: "app/lab/1", target_group: "targetgroup/web/1", zone: "us-east-1a" };
        let mut drained = Drained::new(60);
        drained.target(&meter, labels);
        drained.per_target("app/lab/1", "targetgroup/web/1", None, Counted { requests: 5, targets: 2 });
        drained.active_connections(7, "app/lab/1", "us-east-1a");
        let measurements = drained.measurements(Timestamp::UNIX_EPOCH);
        let samples = |metric: &str| {
            let found = measurements.iter().find(|measurement| measurement.metric.name == metric);
            found.map(|found| found.values.samples().to_vec()).unwrap_or_default()
        };
        assert_eq!(samples("RequestCount"), [(1.0, 300.0)]);
        assert_eq!(samples("RequestCountPerTarget"), [(150.0, 1.0)]);
        assert_eq!(samples("TargetResponseTime"), [(0.01, 60.0)], "how long it took stays as it was");
        assert_eq!(samples("ActiveConnectionCount"), [(7.0, 1.0)], "as many at any speed");
    }

    /// The pricing page's example: one new connection a second that lasts two minutes and carries 300 KB in 5 requests a
    /// second, each through 60 rules: 0.04, 0.04, 1.08 and 0.25 units, so 1.08.
    #[test]
    fn the_dimension_of_which_there_is_most_says_the_capacity_units() {
        let minute = FrontMinute {
            new_connections: 60,
            active_connections: 120,
            processed_bytes: 60 * 300_000,
            charged_rules: 60 * 250,
        };
        let an_hour = |minute: FrontMinute, speed: f64| minute.capacity_units(speed) * 60.0;
        assert!((an_hour(minute, 1.0) - 1.08).abs() < 1e-9);
        let without_bytes = FrontMinute { processed_bytes: 0, ..minute };
        assert!((an_hour(without_bytes, 1.0) - 0.25).abs() < 1e-9);
        let connections = FrontMinute { charged_rules: 0, ..without_bytes };
        assert!((an_hour(connections, 1.0) - 0.04).abs() < 1e-9);
        assert!((an_hour(minute, 2.0) - 2.16).abs() < 1e-9, "a faster region shows the rates that it was asked for");
        assert_eq!(an_hour(FrontMinute::default(), 1.0), 0.0);
    }

    #[test]
    fn requests_for_each_target_are_told_with_and_without_their_zone() {
        let mut drained = Drained::new(1);
        let (lb, tg) = ("app/lab/1", "targetgroup/web/1");
        drained.per_target(lb, tg, None, Counted { requests: 12, targets: 3 });
        drained.per_target(lb, tg, Some("us-east-1a"), Counted { requests: 8, targets: 1 });
        let told = drained.measurements(Timestamp::UNIX_EPOCH).into_iter().map(|it| {
            let names: Vec<&str> = it.metric.dimensions().iter().map(|(name, _)| name.as_str()).collect();
            (names.join(" "), it.values.samples()[0].0)
        });
        let told: BTreeMap<String, f64> = told.collect();
        let expected = [
            ("TargetGroup", 4.0),
            ("LoadBalancer TargetGroup", 4.0),
            ("AvailabilityZone TargetGroup", 8.0),
            ("AvailabilityZone LoadBalancer TargetGroup", 8.0),
        ];
        assert_eq!(told, expected.map(|(names, value)| (names.to_owned(), value)).into());
    }

    /// CloudWatch's metrics of an application load balancer (User Guide, "CloudWatch metrics for your Application Load
    /// Balancer"): each code is counted once, by who gave it.
    #[test]
    fn each_answer_is_counted_by_its_code_and_by_whose_it_is() {
        let sums = |meter: &FrontMeter, target: &TargetMeter| {
            let mut drained = Drained::new(1);
            let labels = TargetLabels { load_balancer: "app/a/1", target_group: "targetgroup/b/2", zone: "us-east-1a" };
            drained.front(meter, "app/a/1", "us-east-1a");
            drained.target(target, labels);
            let of_balancer = drained.measurements(Timestamp::UNIX_EPOCH).into_iter();
            let of_balancer =
                of_balancer.filter(|it| it.metric.dimensions().len() == 1 && it.metric.name != "TargetResponseTime");
            let sum = |samples: &[(f64, f64)]| samples.iter().map(|(value, count)| value * count).sum::<f64>();
            of_balancer.map(|it| (it.metric.name.clone(), sum(it.values.samples()))).collect::<BTreeMap<_, _>>()
        };
        let expected = |pairs: &[(&str, f64)]| {
            pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect::<BTreeMap<_, _>>()
        };
        let none = TargetMeter::default();
        for status in [400, 408, 460, 463, 499] {
            let meter = FrontMeter::default();
            meter.refused(status);
            assert_eq!(sums(&meter, &none), expected(&[("HTTPCode_ELB_4XX_Count", 1.0)]), "{status}");
        }
        for (status, exact) in [(500, "500"), (502, "502"), (503, "503"), (504, "504")] {
            let meter = FrontMeter::default();
            meter.refused(status);
            let exact = format!("HTTPCode_ELB_{exact}_Count");
            assert_eq!(sums(&meter, &none), expected(&[("HTTPCode_ELB_5XX_Count", 1.0), (&exact, 1.0)]), "{status}");
        }
        let meter = FrontMeter::default();
        meter.refused(501);
        assert_eq!(sums(&meter, &none), expected(&[("HTTPCode_ELB_5XX_Count", 1.0)]));
        for (status, class) in
            [(200, "2XX"), (299, "2XX"), (301, "3XX"), (404, "4XX"), (499, "4XX"), (500, "5XX"), (599, "5XX")]
        {
            let target = TargetMeter::default();
            target.answered(status, Duration::from_millis(1));
            let class = format!("HTTPCode_Target_{class}_Count");
            assert_eq!(sums(&FrontMeter::default(), &target), expected(&[(&class, 1.0)]), "{status}");
        }
    }

    #[test]
    fn every_count_of_a_front_goes_out_under_its_own_name_and_once() {
        let meter = FrontMeter::default();
        let counts = [
            (&meter.new_connections, 2, "NewConnectionCount"),
            (&meter.rejected_connections, 3, "RejectedConnectionCount"),
            (&meter.fixed_responses, 4, "HTTP_Fixed_Response_Count"),
            (&meter.redirects, 5, "HTTP_Redirect_Count"),
            (&meter.fail_open_requests, 6, "UnhealthyRoutingRequestCount"),
            (&meter.processed_bytes, 7, "ProcessedBytes"),
            (&meter.rule_evaluations, 8, "RuleEvaluations"),
        ];
        for (counter, count, _) in &counts {
            counter.fetch_add(*count, Relaxed);
        }
        meter.active_connections.fetch_add(9, Relaxed);
        let sum = FrontMeter::default();
        meter.drain_into(&sum);
        let mut again = Drained::new(1);
        again.front(&meter, "app/a/1", "us-east-1a");
        assert_eq!(again.measurements(Timestamp::UNIX_EPOCH), vec![], "a drained meter is empty");
        assert_eq!(
            (meter.active_connections.load(Relaxed), sum.active_connections.load(Relaxed)),
            (9, 9),
            "still open"
        );
        let mut drained = Drained::new(1);
        drained.front(&sum, "app/a/1", "us-east-1a");
        let measured = drained.measurements(Timestamp::UNIX_EPOCH);
        for (_, count, metric) in counts {
            let of = measured.iter().filter(|it| it.metric.name == metric).collect::<Vec<_>>();
            let total = |it: &Measurement| it.values.samples().iter().map(|(value, times)| value * times).sum::<f64>();
            assert!(of.len() == 2 && of.iter().all(|it| total(it) == float(count)), "{metric}: {of:?}");
        }
    }

    #[test]
    fn buckets_rise_with_the_time_and_end_at_the_last() {
        let times = [1, 2, 3, 4, 7, 8, 9, 15, 16, 100, 110, 1000, 1_000_000, 60_000_000];
        let buckets: Vec<usize> = times.into_iter().map(bucket).collect();
        assert!(buckets.is_sorted_by(|a, b| a < b), "{buckets:?}");
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_request_is_counted_under_four_sets_of_dimensions_and_its_time_is_exact() {
        let meter = TargetMeter::default();
        meter.requests.fetch_add(2, Relaxed);
        meter.answered(200, Duration::from_micros(1000));
        meter.answered(200, Duration::from_micros(1001));
        let mut drained = Drained::new(1);
        let labels = TargetLabels { load_balancer: "app/a/1", target_group: "targetgroup/b/2", zone: "us-east-1a" };
        assert_eq!(drained.target(&meter, labels), 2);
        let measured = drained.measurements(Timestamp::UNIX_EPOCH);
        let of = |metric: &str| measured.iter().filter(|it| it.metric.name == metric).collect::<Vec<_>>();
        assert_eq!(of("RequestCount").len(), 4);
        assert_eq!(of("HTTPCode_Target_2XX_Count")[0].values.samples(), [(1.0, 2.0)]);
        assert_eq!(of("TargetResponseTime")[0].values.samples(), [(0.001_000_5, 2.0)]);
        let mut again = Drained::new(1);
        again.target(&meter, labels);
        assert_eq!(again.measurements(Timestamp::UNIX_EPOCH), vec![], "a drained meter is empty");
    }
}
