//! How fast the kernel is: figures for the README, in processor time, measured by `benchmarks/region` in a release build.
//!
//! The tests write what they measured into the file that `CLOUDSCALE_FIGURES` names, and fail beyond the figures that the README promises. They are left out of ordinary
//! runs: a debug build says nothing about speed.

use std::io::Write as _;
use std::time::Duration;

use jiff::SignedDuration;

use crate::clock;
use crate::region::simulated::Simulated;
use crate::region::simulated::setup::{escaped, start};
use crate::region::wire::{Request, Service, query};

const CPU: &str = "PredefinedMetricSpecification.PredefinedMetricType=ASGAverageCPUUtilization";

/// Twice what a day took when it was last measured (5.7 ms; it is to become 5): half of it goes into taking measurements in.
const DAY_MAX: Duration = Duration::from_millis(12);

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Adds a line to the figures.
fn note(line: &str) {
    let Some(file) = std::env::var_os("CLOUDSCALE_FIGURES") else { return };
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).expect("a file for the figures");
    writeln!(file, "{line}").expect("room for the figures");
}

/// What the process holds of the machine's memory.
fn memory_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the resident set");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

/// The middle and the 99th of a hundred.
fn median_and_p99(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    (at(50), at(99))
}

/// Two to eight instances, a sine of load, target tracking on one-minute metrics: from load to capacity for a day.
#[test]
#[ignore = "measures; run by benchmarks/region"]
fn a_simulated_day_of_one_group() {
    let mut ready = Simulated::with_group("&MinSize=1&MaxSize=10&DesiredCapacity=2&DefaultInstanceWarmup=60");
    ready.track("cpu", "50", CPU);
    for hour in 0..24 {
        let rate = 200.0 - 180.0 * (f64::from(hour) / 24.0 * std::f64::consts::TAU).cos();
        ready.load.then(start() + SignedDuration::from_hours(i64::from(hour) + 1), rate);
    }
    let mut times = Vec::new();
    for _ in 0..20 {
        let mut day = ready.clone();
        let begun = clock::thread_cpu();
        day.run(24 * 3600);
        times.push(clock::thread_cpu() - begun);
        assert!(day.group().history.newest_first().count() > 10, "the group followed its load");
    }
    let (median, _) = median_and_p99(times);
    note(&format!("a simulated day of one group with target tracking: {:.1} ms (median of 20)", milliseconds(median)));
    assert!(median <= DAY_MAX, "{median:?}");
}

/// A thousand idle groups and a thousand alarms beside a hundred live instances behind a load balancer. A call waits at
/// most for what the region does at one moment, so the longest such moment is added to each.
#[test]
#[ignore = "measures; run by benchmarks/region"]
fn calls_amid_a_thousand_groups_and_a_thousand_alarms() {
    let mut cloud = Simulated::empty(7);
    let target_group = cloud.balance();
    let sizes = "&MinSize=100&MaxSize=100";
    cloud.create_group(&format!("&TargetGroupARNs.member.1={}{sizes}", escaped(&target_group)));
    let subnet = cloud.subnets()[0].clone();
    for number in 0..1000 {
        let name = format!("idle-{number}");
        let form = format!(
            "AutoScalingGroupName={name}&MinSize=0&MaxSize=1&VPCZoneIdentifier={subnet}&LaunchTemplate.LaunchTemplateName=web"
        );
        cloud.asg("CreateAutoScalingGroup", &form);
        let form = format!(
            "AlarmName={name}&Namespace=AWS%2FEC2&MetricName=CPUUtilization&Statistic=Average&Period=60\
             &Dimensions.member.1.Name=AutoScalingGroupName&Dimensions.member.1.Value=web\
             &ComparisonOperator=GreaterThanThreshold&Threshold={}&EvaluationPeriods=15",
            number % 100
        );
        cloud.cloudwatch("PutMetricAlarm", &form);
    }
    cloud.load_now(3000.0);
    cloud.run(1800);
    assert_eq!(cloud.in_service().len(), 100);

    let calls: Vec<Request> = [
        (Service::Ec2, "DescribeInstances", ""),
        (Service::Ec2, "DescribeSubnets", ""),
        (Service::Autoscaling, "DescribeAutoScalingGroups", "MaxRecords=50"),
        (Service::Autoscaling, "SetDesiredCapacity", "AutoScalingGroupName=idle-7&DesiredCapacity=0"),
        (Service::Cloudwatch, "DescribeAlarms", ""),
        (Service::Cloudwatch, "ListMetrics", ""),
        (Service::Elbv2, "DescribeTargetGroups", ""),
    ]
    .map(|(service, operation, form)| {
        let params = query::parse(form.as_bytes()).expect("a form");
        Request { service, operation: operation.to_owned(), params }
    })
    .to_vec();
    let (mut called, mut moments) = (Vec::new(), Vec::new());
    for _ in 0..600 {
        let begun = clock::thread_cpu();
        cloud.run(1);
        moments.push(clock::thread_cpu() - begun);
        for call in &calls {
            let begun = clock::thread_cpu();
            cloud.call(call).expect("an answer");
            called.push(clock::thread_cpu() - begun);
        }
    }
    // All that the region does in a second, as if it did it in one go.
    let longest = moments.into_iter().max().unwrap_or_default();
    let (median, p99) = median_and_p99(called);
    note(&format!(
        "calls amid 1,000 groups, 1,000 alarms and 100 instances: median {:.2} ms, p99 {:.2} ms; \
         the region's longest second of work {:.2} ms; {} MB",
        milliseconds(median),
        milliseconds(p99),
        milliseconds(longest),
        memory_mb()
    ));
    assert!(median <= Duration::from_millis(5), "{median:?}");
    assert!(memory_mb() < 300);
    assert!(p99 + longest <= Duration::from_millis(20), "{p99:?} {longest:?}");
}
