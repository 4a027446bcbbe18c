//! What CloudWatch is asked for: the figures of every cluster and the metric of every alarm, in one call where that is
//! possible.
//!
//! Counters are summed, times taken as percentiles, hosts counted by their minimum. Load balancers publish by the
//! minute.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricAlarm, MetricDataQuery, MetricDataResult, MetricStat};
use jiff::Timestamp;

use super::observation::{Figure, Metrics};
use super::series::Point;
use crate::aws::clients::Clients;
use crate::cloud::metric_data::{self, QUERIES_MAX, data};
use crate::problem::Problem;
use crate::resource::status::{ClusterStatus, Status};

/// Seconds: the finest that load balancers publish.
pub const PERIOD: i64 = 60;
/// Fixed instances have no common metric: of larger clusters so many are asked for their CPU.
const INSTANCES_MAX: usize = 20;
const MILLISECONDS: f64 = 1000.0;

/// What an answer belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum For {
    Cluster(String, Figure),
    Alarm(String),
    LoadBalancer,
}

/// The metrics of a stack between two times.
///
/// # Errors
/// The first call that fails.
pub async fn read(
    clients: &Clients,
    status: &Status,
    alarms: &[MetricAlarm],
    (from, to): (Timestamp, Timestamp),
) -> Result<Metrics, Problem> {
    let (owners, queries) = queries(status, alarms);
    let mut found: Vec<(For, Vec<Point>)> = Vec::new();
    for (owners, queries) in owners.chunks(QUERIES_MAX).zip(queries.chunks(QUERIES_MAX)) {
        for result in data(&clients.cloudwatch, &status.stack, queries, (from, to)).await? {
            let index = result.id().and_then(|id| id.strip_prefix('q')).and_then(|index| index.parse::<usize>().ok());
            if let Some(owner) = index.and_then(|index| owners.get(index % QUERIES_MAX)) {
                found.push((owner.clone(), points(&result)));
            }
        }
    }
    for alarm in alarms.iter().filter(|alarm| !alarm.metrics().is_empty()) {
        let name = alarm.alarm_name().unwrap_or_default().to_owned();
        let math = metric_data::of_math(&clients.cloudwatch, &status.stack, alarm, (from, to)).await?;
        found.extend(math.iter().map(|result| (For::Alarm(name.clone()), points(result))));
    }
    Ok(sorted(found))
}

fn points(result: &MetricDataResult) -> Vec<Point> {
    metric_data::points(result).map(|(at, value)| Point(at, value)).collect()
}

fn queries(status: &Status, alarms: &[MetricAlarm]) -> (Vec<For>, Vec<MetricDataQuery>) {
    let (mut owners, mut queries) = (Vec::new(), Vec::new());
    let mut add = |owner: For, metric: Metric, statistic: &str, period: i32| {
        let stat = MetricStat::builder().metric(metric).period(period).stat(statistic).build();
        let id = format!("q{}", owners.len() % QUERIES_MAX);
        queries.push(MetricDataQuery::builder().id(id).metric_stat(stat).return_data(true).build());
        owners.push(owner);
    };
    let minute = i32::try_from(PERIOD).unwrap_or(i32::MAX);
    let load_balancer = status.load_balancer.as_ref().map(|lb| lb.full_name.as_str());
    if let Some(name) = load_balancer {
        let of = metric("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", &[("LoadBalancer", name)]);
        add(For::LoadBalancer, of, "Sum", minute);
    }
    for cluster in &status.clusters {
        let name = || cluster.name.clone();
        if let (Some(load_balancer), Some(group)) = (load_balancer, &cluster.target_group) {
            let dimensions = [("TargetGroup", group.full_name.as_str()), ("LoadBalancer", load_balancer)];
            for (figure, metric_name, statistic) in TARGET_GROUP {
                let of = metric("AWS/ApplicationELB", metric_name, &dimensions);
                add(For::Cluster(name(), figure), of, statistic, minute);
            }
        }
        for dimension in cpu_dimensions(cluster) {
            let of = metric("AWS/EC2", "CPUUtilization", &[dimension]);
            add(For::Cluster(name(), Figure::Cpu), of, "Average", minute);
        }
    }
    for alarm in alarms {
        if let (Some(name), Some((of, statistic, period))) = (alarm.alarm_name(), metric_data::of_alarm(alarm)) {
            add(For::Alarm(name.to_owned()), of, statistic, period);
        }
    }
    (owners, queries)
}

/// Metrics with the dimensions TargetGroup and LoadBalancer (CloudWatch metrics for your Application Load Balancer,
/// elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html).
const TARGET_GROUP: [(Figure, &str, &str); 8] = [
    (Figure::Requests, "RequestCount", "Sum"),
    (Figure::P50, "TargetResponseTime", "p50"),
    (Figure::P95, "TargetResponseTime", "p95"),
    (Figure::P99, "TargetResponseTime", "p99"),
    (Figure::ClientErrors, "HTTPCode_Target_4XX_Count", "Sum"),
    (Figure::ServerErrors, "HTTPCode_Target_5XX_Count", "Sum"),
    (Figure::ConnectionErrors, "TargetConnectionErrorCount", "Sum"),
    (Figure::Healthy, "HealthyHostCount", "Minimum"),
];

fn cpu_dimensions(cluster: &ClusterStatus) -> Vec<(&str, &str)> {
    match &cluster.group {
        Some(group) => vec![("AutoScalingGroupName", group.as_str())],
        None => cluster.instances.iter().take(INSTANCES_MAX).map(|one| ("InstanceId", one.id.as_str())).collect(),
    }
}

fn metric(namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> Metric {
    let dimension = |(name, value): &(&str, &str)| Dimension::builder().name(*name).value(*value).build();
    let dimensions = dimensions.iter().map(dimension).collect();
    Metric::builder().namespace(namespace).metric_name(name).set_dimensions(Some(dimensions)).build()
}

/// By owner; fixed instances are averaged, times are milliseconds.
fn sorted(found: Vec<(For, Vec<Point>)>) -> Metrics {
    let mut metrics = Metrics::default();
    let mut cpus: BTreeMap<String, BTreeMap<i64, Vec<f64>>> = BTreeMap::new();
    for (owner, points) in found {
        match owner {
            For::Cluster(cluster, Figure::Cpu) => {
                let minutes = cpus.entry(cluster).or_default();
                points.iter().for_each(|point| minutes.entry(point.0).or_default().push(point.1));
            }
            For::Cluster(cluster, figure) => {
                let unit = if matches!(figure, Figure::P50 | Figure::P95 | Figure::P99) { MILLISECONDS } else { 1.0 };
                let points = points.iter().map(|point| Point(point.0, point.1 * unit));
                metrics.clusters.entry((cluster, figure)).or_default().extend(points);
            }
            // What comes in pages is put together.
            For::Alarm(name) => metrics.alarms.entry(name).or_default().extend(points),
            For::LoadBalancer => metrics.load_balancer_errors.extend(points),
        }
    }
    for (cluster, minutes) in cpus {
        #[expect(clippy::cast_precision_loss, reason = "a cluster has few instances")]
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let points = minutes.into_iter().map(|(at, values)| Point(at, mean(values))).collect();
        metrics.clusters.insert((cluster, Figure::Cpu), points);
    }
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::state::{InstanceState, LoadBalancerState, TargetState};
    use crate::resource::status::{ClusterKind, InstanceStatus, LoadBalancerStatus, TargetGroupStatus};

    fn cluster(name: &str, group: Option<&str>, instances: &[&str]) -> ClusterStatus {
        let instance = |id: &&str| InstanceStatus {
            id: (*id).to_owned(),
            az: "us-east-1a".to_owned(),
            state: InstanceState::Running,
            health: TargetState::Healthy,
            reason: None,
            address: None,
            processor: None,
        };
        ClusterStatus {
            name: name.to_owned(),
            kind: ClusterKind::Fixed,
            instance_type: "t2.large".to_owned(),
            min: 1,
            max: 1,
            desired: 1,
            group: group.map(str::to_owned),
            target_group: Some(TargetGroupStatus { arn: String::new(), full_name: format!("targetgroup/{name}/1") }),
            instances: instances.iter().map(instance).collect(),
        }
    }

    /// Metric, statistic, period and dimensions of a query.
    fn words(query: &MetricDataQuery) -> String {
        let stat = query.metric_stat().expect("a metric");
        let metric = stat.metric().expect("a metric");
        let dimension =
            |one: &Dimension| format!("{}={}", one.name().unwrap_or_default(), one.value().unwrap_or_default());
        let dimensions = metric.dimensions().iter().map(dimension).collect::<Vec<_>>().join(",");
        let names = (metric.namespace().unwrap_or_default(), metric.metric_name().unwrap_or_default());
        format!(
            "{}/{} {} {} {dimensions}",
            names.0,
            names.1,
            stat.stat().unwrap_or_default(),
            stat.period().unwrap_or_default()
        )
    }

    /// Names, statistics and dimensions are those of the guides ("CloudWatch metrics for your Application Load Balancer", "List
    /// the available CloudWatch metrics for your instances").
    #[test]
    fn each_cluster_and_each_alarm_is_asked_for_by_its_own_dimensions() {
        let load_balancer = LoadBalancerStatus {
            dns_name: String::new(),
            state: LoadBalancerState::Active,
            arn: String::new(),
            full_name: "app/lb/1".to_owned(),
        };
        let mut status = Status {
            stack: "web".to_owned(),
            provider: "aws".to_owned(),
            url: None,
            load_balancer: Some(load_balancer),
            stopped: false,
            down_after: None,
            clusters: vec![cluster("fixed", None, &["i-1", "i-2"]), cluster("scaled", Some("g"), &["i-3"])],
        };
        let queue = Dimension::builder().name("Queue").value("q").build();
        let alarm = MetricAlarm::builder().alarm_name("a").namespace("App").metric_name("Depth").period(30);
        let alarm = alarm.extended_statistic("p90").dimensions(queue).build();
        let math = MetricAlarm::builder().alarm_name("math").build();
        let (owners, asked) = queries(&status, &[alarm, math]);
        let asked: Vec<String> = asked.iter().map(words).collect();
        assert_eq!(owners.len(), asked.len());
        let of = |owner: &For| {
            owners
                .iter()
                .zip(&asked)
                .filter(|(own, _)| *own == owner)
                .map(|(_, words)| words.as_str())
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&For::LoadBalancer), ["AWS/ApplicationELB/HTTPCode_ELB_5XX_Count Sum 60 LoadBalancer=app/lb/1"]);
        let fixed = |figure| of(&For::Cluster("fixed".to_owned(), figure));
        let both = "TargetGroup=targetgroup/fixed/1,LoadBalancer=app/lb/1";
        assert_eq!(fixed(Figure::P95), [format!("AWS/ApplicationELB/TargetResponseTime p95 60 {both}")]);
        assert_eq!(fixed(Figure::Healthy), [format!("AWS/ApplicationELB/HealthyHostCount Minimum 60 {both}")]);
        let cpu = |dimension: &str| format!("AWS/EC2/CPUUtilization Average 60 {dimension}");
        assert_eq!(fixed(Figure::Cpu), [cpu("InstanceId=i-1"), cpu("InstanceId=i-2")]);
        assert_eq!(of(&For::Cluster("scaled".to_owned(), Figure::Cpu)), [cpu("AutoScalingGroupName=g")]);
        assert_eq!(of(&For::Alarm("a".to_owned())), ["App/Depth p90 30 Queue=q"]);
        assert_eq!(of(&For::Alarm("math".to_owned())), [""; 0], "it has queries of its own");
        assert_eq!(asked.len(), 1 + 2 * TARGET_GROUP.len() + 3 + 1);
        status.load_balancer = None;
        assert_eq!(queries(&status, &[]).0.len(), 3, "without a load balancer, processors only");
    }

    #[test]
    fn the_cpu_of_fixed_instances_is_the_mean_of_its_instances_and_times_are_milliseconds() {
        let web = |figure| For::Cluster("web".into(), figure);
        let metrics = sorted(vec![
            (web(Figure::Cpu), vec![Point(60, 20.0), Point(120, 10.0)]),
            (web(Figure::Cpu), vec![Point(60, 40.0)]),
            (web(Figure::P99), vec![Point(60, 0.25)]),
            (For::Alarm("a".into()), vec![Point(60, 1.0)]),
        ]);
        assert_eq!(metrics.clusters[&("web".into(), Figure::Cpu)], [Point(60, 30.0), Point(120, 10.0)]);
        assert_eq!(metrics.clusters[&("web".into(), Figure::P99)], [Point(60, 250.0)]);
        assert_eq!(metrics.alarms["a"], [Point(60, 1.0)]);
    }
}
