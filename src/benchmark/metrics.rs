//! Which CloudWatch metrics belong to a run: the right statistic and dimensions by construction, and the run's window.
//!
//! One table ([`CHARTS`]) says what is charted. Counters are summed, times averaged (and their 99th percentile taken),
//! hosts counted by their minimum: the mean of RequestCount is always 1, and the sum of TargetResponseTime is no time at
//! all. Periods are 60 s, the finest that load balancers publish; CloudWatch's default of 300 s hides a run of minutes.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::result::record::TargetResult;

/// Seconds
pub const PERIOD: i32 = 60;
/// CloudWatch's bound for one widget.
const SERIES_MAX: usize = 100;
const BANDS_MAX: usize = 20;

/// A cluster as CloudWatch knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsTarget {
    pub cluster: String,
    /// `app/name/0123456789abcdef`
    pub load_balancer: String,
    /// `targetgroup/name/0123456789abcdef`
    pub target_group: String,
    pub instances: Vec<String>,
    /// Those of them that ended during the run: they have no figure for its last minute.
    pub ended: Vec<String>,
    /// Requests that the cluster's instances answered, as the client counted them.
    pub answers: u64,
}

/// What a series belongs to, and with it its dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `{TargetGroup, LoadBalancer}`: host counts exist with no other dimensions.
    TargetGroup,
    /// `{InstanceId}`, one series for each instance.
    Instance,
    /// `{LoadBalancer}`: what it does itself belongs to no target group.
    LoadBalancer,
}

/// A metric with the only statistic that makes sense of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    pub metric: &'static str,
    pub statistic: &'static str,
    pub scope: Scope,
    pub label: &'static str,
}

/// A widget image.
#[derive(Clone, Copy, Debug)]
pub struct Chart {
    /// In the file's name.
    pub name: &'static str,
    pub title: &'static str,
    pub series: &'static [Series],
    pub images: Images,
}

/// Which images a chart has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Images {
    /// One for each cluster.
    Each,
    /// As well as one with all clusters in it: the first series of each.
    EachAndAll,
    /// One: its series are the load balancer's.
    One,
}

const fn elb(metric: &'static str, statistic: &'static str, label: &'static str) -> Series {
    Series { metric, statistic, scope: Scope::TargetGroup, label }
}

const fn own(metric: &'static str, label: &'static str) -> Series {
    Series { metric, statistic: "Sum", scope: Scope::LoadBalancer, label }
}

/// Answers that the load balancer gave itself, because no target did.
pub const OWN_5XX: Series = own("HTTPCode_ELB_5XX_Count", "5xx");
/// What its capacity units are counted by.
pub const BYTES: Series = own("ProcessedBytes", "bytes");
pub const REQUESTS: Series = elb("RequestCount", "Sum", "requests");
pub const CPU: Series = Series { metric: "CPUUtilization", statistic: "Average", scope: Scope::Instance, label: "" };

pub const CHARTS: [Chart; 6] = [
    Chart { name: "requests", title: "requests", series: &[REQUESTS], images: Images::EachAndAll },
    Chart {
        name: "latency",
        title: "response time of the targets",
        series: &[elb("TargetResponseTime", "Average", "average"), elb("TargetResponseTime", "p99", "p99")],
        images: Images::EachAndAll,
    },
    Chart { name: "cpu", title: "CPU of each instance", series: &[CPU], images: Images::EachAndAll },
    Chart {
        name: "codes",
        title: "answers by code",
        series: &[
            elb("HTTPCode_Target_2XX_Count", "Sum", "2xx"),
            elb("HTTPCode_Target_3XX_Count", "Sum", "3xx"),
            elb("HTTPCode_Target_4XX_Count", "Sum", "4xx"),
            elb("HTTPCode_Target_5XX_Count", "Sum", "5xx"),
        ],
        images: Images::Each,
    },
    Chart {
        name: "hosts",
        title: "healthy targets",
        series: &[elb("HealthyHostCount", "Minimum", "fewest"), elb("HealthyHostCount", "Maximum", "most")],
        images: Images::Each,
    },
    Chart {
        name: "own-errors",
        title: "errors of the load balancer itself",
        series: &[
            OWN_5XX,
            own("HTTPCode_ELB_502_Count", "502"),
            own("HTTPCode_ELB_503_Count", "503"),
            own("HTTPCode_ELB_504_Count", "504"),
            own("HTTPCode_ELB_4XX_Count", "4xx"),
        ],
        images: Images::One,
    },
];

/// Every series of the charts, and those that only figures are made of: what the raw data are.
pub fn all_series() -> impl Iterator<Item = Series> {
    CHARTS.iter().flat_map(|chart| chart.series).copied().chain([BYTES])
}

impl Series {
    pub fn namespace(self) -> &'static str {
        match self.scope {
            Scope::TargetGroup | Scope::LoadBalancer => "AWS/ApplicationELB",
            Scope::Instance => "AWS/EC2",
        }
    }

    /// The dimensions of each of its series for a cluster, with the label of each.
    pub fn dimensions(self, target: &MetricsTarget) -> Vec<(String, Vec<(&'static str, &str)>)> {
        match self.scope {
            Scope::TargetGroup => {
                let of_group = vec![
                    ("TargetGroup", target.target_group.as_str()),
                    ("LoadBalancer", target.load_balancer.as_str()),
                ];
                vec![(self.label.to_owned(), of_group)]
            }
            Scope::LoadBalancer => {
                vec![(self.label.to_owned(), vec![("LoadBalancer", target.load_balancer.as_str())])]
            }
            Scope::Instance => {
                let instances = target.instances.iter();
                instances.map(|instance| (instance.clone(), vec![("InstanceId", instance.as_str())])).collect()
            }
        }
    }
}

impl Chart {
    /// What exactly is shown: `Average and p99 of TargetResponseTime, periods of 60 s, UTC`. The series of a chart share
    /// their metric or their statistic.
    pub fn caption(&self, combined: bool) -> String {
        let series = if combined { &self.series[..1] } else { self.series };
        let joined = |name: fn(&Series) -> &'static str, separator: &str| {
            let mut names: Vec<_> = series.iter().map(name).collect();
            names.dedup();
            names.join(separator)
        };
        let (statistics, metrics) = (joined(|one| one.statistic, " and "), joined(|one| one.metric, ", "));
        format!("{statistics} of {metrics}, periods of {PERIOD} s, UTC")
    }

    /// The widget definition, for one cluster or several.
    pub fn widget(&self, targets: &[&MetricsTarget], window: Window, bands: &[(Timestamp, Timestamp)]) -> Value {
        let combined = targets.len() > 1;
        let series = if combined { &self.series[..1] } else { self.series };
        let mut metrics = Vec::new();
        for target in targets {
            for one in series {
                for (label, dimensions) in one.dimensions(target) {
                    let label = match (combined, one.scope) {
                        (true, Scope::TargetGroup) => target.cluster.clone(),
                        (true, Scope::Instance) => format!("{} {label}", target.cluster),
                        (false, _) | (true, Scope::LoadBalancer) => label,
                    };
                    metrics.push(series_json(*one, &dimensions, &label));
                }
            }
        }
        metrics.truncate(SERIES_MAX);
        let name = match self.images {
            Images::One => "load balancer",
            _ if combined => "all clusters",
            _ => targets.first().map_or("", |target| target.cluster.as_str()),
        };
        json!({
            "view": "timeSeries",
            "stacked": false,
            "title": format!("{name}: {}", self.title),
            "metrics": metrics,
            "period": PERIOD,
            "start": window.start.to_string(),
            "end": window.end.to_string(),
            "timezone": "+0000",
            "width": 600,
            "height": 360,
            "theme": "light",
            "yAxis": {"left": {"min": 0}},
            "legend": {"position": "bottom"},
            "annotations": {"vertical": annotations(bands)},
        })
    }
}

fn series_json(series: Series, dimensions: &[(&str, &str)], label: &str) -> Value {
    let mut row = vec![json!(series.namespace()), json!(series.metric)];
    for (name, value) in dimensions {
        row.push(json!(name));
        row.push(json!(value));
    }
    row.push(json!({"stat": series.statistic, "period": PERIOD, "label": label}));
    Value::Array(row)
}

/// Bands from where the load began to where it paused or ended.
fn annotations(bands: &[(Timestamp, Timestamp)]) -> Vec<Value> {
    let band = |(start, end): &(Timestamp, Timestamp)| json!([{"value": start.to_string(), "label": "load"}, {"value": end.to_string(), "label": ""}]);
    bands.iter().take(BANDS_MAX).map(band).collect()
}

/// A span of time on whole minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Window {
    /// The minutes that a run touched.
    pub fn of(started: Timestamp, ended: Timestamp) -> Self {
        let minute = i64::from(PERIOD);
        let floor = |at: Timestamp| at.as_second().div_euclid(minute) * minute;
        let second = |seconds| Timestamp::from_second(seconds).unwrap_or(started);
        Self { start: second(floor(started)), end: second(floor(ended) + minute) }
    }

    /// With a minute on either side, so that a short run is more than one point at the edge of its chart.
    pub fn with_margin(self) -> Self {
        let minute = SignedDuration::from_secs(i64::from(PERIOD));
        Self { start: self.start - minute, end: self.end + minute }
    }

    /// The start of the last minute: its datapoint is stamped with it.
    pub fn last_minute(self) -> Timestamp {
        self.end - SignedDuration::from_secs(i64::from(PERIOD))
    }
}

/// When at least one thread was sending, over all targets: spans that touch are one.
pub fn load_bands(targets: &[TargetResult]) -> Vec<(Timestamp, Timestamp)> {
    let phases = targets.iter().flat_map(|target| &target.phases).filter(|phase| phase.requests > 0);
    let mut spans: Vec<_> = phases.map(|phase| (phase.started, phase.ended)).collect();
    spans.sort();
    let mut bands: Vec<(Timestamp, Timestamp)> = Vec::new();
    for (start, end) in spans {
        match bands.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => bands.push((start, end)),
        }
    }
    bands
}

/// Instances that a sentence names; more are counted.
const NAMED_MAX: usize = 6;

/// What CloudWatch shows of a run so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    pub clusters: Vec<Seen>,
}

/// What it shows of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub cluster: String,
    /// Requests that it shows, and those that were answered.
    pub requests: u64,
    pub answered: u64,
    /// Instances, and whether each has a CPU datapoint in the window's last minute. Those that ended need none.
    pub instances: Vec<(String, bool)>,
}

impl Coverage {
    pub fn of(targets: &[MetricsTarget]) -> Self {
        let seen = |target: &MetricsTarget| Seen {
            cluster: target.cluster.clone(),
            requests: 0,
            answered: target.answers,
            instances: target.instances.iter().map(|one| (one.clone(), target.ended.contains(one))).collect(),
        };
        Self { clusters: targets.iter().map(seen).collect() }
    }

    pub fn is_complete(&self) -> bool {
        self.missing().is_empty()
    }

    /// `812 of 2,500 requests, CPU of 3 of 9 instances visible`
    pub fn describe(&self) -> String {
        let visible: u64 = self.clusters.iter().map(|seen| seen.requests.min(seen.answered)).sum();
        let answered: u64 = self.clusters.iter().map(|seen| seen.answered).sum();
        let instances = || self.clusters.iter().flat_map(|seen| &seen.instances);
        format!(
            "{visible} of {answered} requests, CPU of {} of {} instances visible",
            instances().filter(|(_, seen)| *seen).count(),
            instances().count()
        )
    }

    /// What it does not show, by name.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for seen in &self.clusters {
            if seen.requests < seen.answered {
                missing.push(format!(
                    "{} of {} requests to {}",
                    seen.answered - seen.requests,
                    seen.answered,
                    seen.cluster
                ));
            }
            let dark: Vec<&str> =
                seen.instances.iter().filter(|(_, seen)| !seen).map(|(name, _)| name.as_str()).collect();
            if !dark.is_empty() {
                let more = dark.len().saturating_sub(NAMED_MAX);
                let named = dark[..dark.len() - more].join(", ");
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                missing.push(format!("the last minute's CPU of {named}{more} ({})", seen.cluster));
            }
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::record::Phase;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-21T{text}Z").parse().expect("a timestamp")
    }

    fn target(cluster: &str) -> MetricsTarget {
        MetricsTarget {
            cluster: cluster.into(),
            load_balancer: "app/web/50dc6c495c0c9188".into(),
            target_group: format!("targetgroup/{cluster}/73e2d6bc24d8a067"),
            instances: vec!["i-1".into(), "i-2".into()],
            ended: Vec::new(),
            answers: 100,
        }
    }

    fn window() -> Window {
        Window::of(at("21:45:12"), at("21:46:17"))
    }

    #[test]
    fn the_window_is_the_minutes_that_the_run_touched() {
        assert_eq!(window(), Window { start: at("21:45:00"), end: at("21:47:00") });
        assert_eq!(window().last_minute(), at("21:46:00"));
        assert_eq!(Window::of(at("21:45:00"), at("21:45:00")).end, at("21:46:00"));
        assert_eq!(window().with_margin(), Window { start: at("21:44:00"), end: at("21:48:00") });
    }

    #[test]
    fn counters_are_summed_times_averaged_and_hosts_counted_at_their_least() {
        for series in CHARTS.iter().flat_map(|chart| chart.series) {
            let allowed: &[&str] = match series.metric {
                "RequestCount" => &["Sum"],
                metric if metric.starts_with("HTTPCode_") => &["Sum"],
                "TargetResponseTime" => &["Average", "p99"],
                "HealthyHostCount" => &["Minimum", "Maximum"],
                "CPUUtilization" => &["Average"],
                other => panic!("no rule for {other}"),
            };
            assert!(allowed.contains(&series.statistic), "{} of {}", series.statistic, series.metric);
        }
    }

    #[test]
    fn a_widget_names_namespace_dimensions_statistic_and_period() {
        let widget = CHARTS[0].widget(&[&target("light")], window(), &[]);
        let expected = json!([[
            "AWS/ApplicationELB", "RequestCount", "TargetGroup", "targetgroup/light/73e2d6bc24d8a067", "LoadBalancer",
            "app/web/50dc6c495c0c9188", {"stat": "Sum", "period": 60, "label": "requests"}
        ]]);
        assert_eq!(widget["metrics"], expected);
        assert_eq!((&widget["period"], &widget["start"]), (&json!(60), &json!("2026-11-21T21:45:00Z")));
        let cpu = CHARTS[2].widget(&[&target("light")], window(), &[]);
        assert_eq!(
            cpu["metrics"][1],
            json!(["AWS/EC2", "CPUUtilization", "InstanceId", "i-2", {"stat": "Average", "period": 60, "label": "i-2"}])
        );
    }

    #[test]
    fn a_combined_widget_has_a_line_for_each_cluster() {
        let (light, heavy) = (target("light"), target("heavy"));
        let widget = CHARTS[1].widget(&[&light, &heavy], window(), &[(at("21:45:12"), at("21:45:14"))]);
        let labels: Vec<_> =
            widget["metrics"].as_array().expect("a list").iter().map(|row| row[6]["label"].clone()).collect();
        assert_eq!(labels, ["light", "heavy"]);
        assert_eq!(widget["annotations"]["vertical"][0][0], json!({"value": "2026-11-21T21:45:12Z", "label": "load"}));
    }

    #[test]
    fn bands_are_the_union_of_the_phases_that_sent() {
        let phase = |from: &str, to: &str, requests| Phase {
            thread: "A".into(),
            label: String::new(),
            started: at(from),
            ended: at(to),
            requests,
            errors: 0,
            latency_ms: None,
        };
        let phases = vec![
            phase("21:45:12", "21:45:15", 1000),
            phase("21:45:12", "21:45:13", 500),
            phase("21:45:13", "21:46:13", 0),
            phase("21:46:13", "21:46:17", 1000),
        ];
        let targets = [TargetResult { phases, ..TargetResult::default() }];
        assert_eq!(load_bands(&targets), [(at("21:45:12"), at("21:45:15")), (at("21:46:13"), at("21:46:17"))]);
    }

    #[test]
    fn data_are_complete_when_every_clusters_requests_and_every_instance_show_and_what_is_missing_has_a_name() {
        let mut coverage =
            Coverage::of(&[target("light"), MetricsTarget { ended: vec!["i-2".into()], ..target("heavy") }]);
        assert_eq!(coverage.describe(), "0 of 200 requests, CPU of 1 of 4 instances visible");
        let expected = [
            "100 of 100 requests to light",
            "the last minute's CPU of i-1, i-2 (light)",
            "100 of 100 requests to heavy",
            "the last minute's CPU of i-1 (heavy)",
        ];
        assert_eq!(coverage.missing(), expected);
        for seen in &mut coverage.clusters {
            seen.requests = 101;
            seen.instances.iter_mut().for_each(|(_, seen)| *seen = true);
        }
        assert!(coverage.is_complete());
        coverage.clusters[1].requests = 88;
        assert_eq!(coverage.missing(), ["12 of 100 requests to heavy"], "one cluster's excess is not another's");
        let many = MetricsTarget {
            instances: (0..9).map(|number| format!("i-{number}")).collect(),
            answers: 0,
            ..target("web")
        };
        let missing = Coverage::of(&[many]).missing();
        assert_eq!(missing, ["the last minute's CPU of i-0, i-1, i-2, i-3, i-4, i-5 and 3 more (web)"]);
    }

    #[test]
    fn the_load_balancers_own_errors_have_its_dimension_alone_and_one_image() {
        let chart = CHARTS.iter().find(|chart| chart.images == Images::One).expect("the chart");
        let widget = chart.widget(&[&target("light")], window(), &[]);
        // CloudWatch metrics for your Application Load Balancer: HTTPCode_ELB_5XX_Count has no dimension TargetGroup.
        let expected = json!([
            "AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", "LoadBalancer", "app/web/50dc6c495c0c9188",
            {"stat": "Sum", "period": 60, "label": "5xx"}
        ]);
        assert_eq!(
            (&widget["metrics"][0], &widget["title"]),
            (&expected, &json!("load balancer: errors of the load balancer itself"))
        );
    }
}
