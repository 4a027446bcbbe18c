//! A view in Prometheus' text format, under the names that CloudWatch's own metrics have there: namespace, metric, statistic, as
//! the exporters of CloudWatch write them.

use std::fmt::Write as _;

use super::model::{ClusterView, View};
use super::series::Point;
use crate::cloud::state::AlarmState;

const SECONDS: f64 = 1000.0;

/// The type of the answer (Prometheus, "Exposition formats").
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A metric's name, what it is, and its value of a cluster.
type Row = (&'static str, &'static str, fn(&ClusterView) -> Option<f64>);

const CLUSTERS: [Row; 15] = [
    ("aws_autoscaling_group_desired_capacity", "Desired capacity; of fixed instances their number.", |cluster| {
        Some(cluster.capacity.desired.into())
    }),
    ("aws_autoscaling_group_min_size", "The fewest instances that the group takes.", |cluster| {
        Some(cluster.min.into())
    }),
    ("aws_autoscaling_group_max_size", "The most instances that the group takes.", |cluster| Some(cluster.max.into())),
    ("aws_autoscaling_group_in_service_instances", "Instances in service.", |cluster| {
        Some(cluster.capacity.in_service.into())
    }),
    (
        "aws_autoscaling_group_pending_instances",
        "Instances that were launched and are not in service yet.",
        |cluster| Some(cluster.capacity.warming.into()),
    ),
    ("aws_autoscaling_group_terminating_instances", "Instances on their way out.", |cluster| {
        Some(cluster.capacity.leaving.into())
    }),
    ("aws_applicationelb_healthy_host_count", "Healthy targets.", |cluster| cluster.capacity.healthy.map(f64::from)),
    ("aws_applicationelb_un_healthy_host_count", "Unhealthy targets.", |cluster| {
        cluster.capacity.unhealthy.map(f64::from)
    }),
    ("aws_applicationelb_request_count_rate", "Requests a second over the newest whole minute.", |cluster| {
        cluster.now.rate
    }),
    ("aws_applicationelb_target_response_time_p50", "Response time of targets, in seconds.", |cluster| {
        cluster.now.p50_ms.map(|ms| ms / SECONDS)
    }),
    ("aws_applicationelb_target_response_time_p95", "Response time of targets, in seconds.", |cluster| {
        cluster.now.p95_ms.map(|ms| ms / SECONDS)
    }),
    ("aws_applicationelb_target_response_time_p99", "Response time of targets, in seconds.", |cluster| {
        cluster.now.p99_ms.map(|ms| ms / SECONDS)
    }),
    ("aws_applicationelb_httpcode_target_4_xx_ratio", "4XX of targets, as a share of the requests.", |cluster| {
        newest(&cluster.series.client_errors)
    }),
    (
        "aws_applicationelb_httpcode_target_5_xx_ratio",
        "5XX of targets and refused connections, as a share of the requests.",
        |cluster| cluster.now.errors.map(|percent| percent / 100.0),
    ),
    ("aws_ec2_cpuutilization_average", "CPU of the instances, in percent.", |cluster| cluster.now.cpu),
];

fn newest(points: &[Point]) -> Option<f64> {
    points.last().map(|point| point.1 / 100.0)
}

/// The text. What nobody measured is left out.
pub fn text(view: &View) -> String {
    let mut text = String::new();
    let stack = escaped(&view.stack);
    for (name, help, value) in CLUSTERS {
        let rows = view.clusters.iter().filter_map(|cluster| {
            let labels = format!("stack=\"{stack}\",cluster=\"{}\"", escaped(&cluster.name));
            Some((labels, value(cluster)?))
        });
        metric(&mut text, name, help, rows);
    }
    let alarm = |alarm: &super::alarm::AlarmView| {
        let [cluster, policy, name] = [&alarm.cluster, &alarm.policy, &alarm.name].map(|text| escaped(text));
        format!("stack=\"{stack}\",cluster=\"{cluster}\",policy=\"{policy}\",alarm_name=\"{name}\"")
    };
    let states = view.alarms.iter().map(|one| (alarm(one), f64::from(u8::from(one.state == AlarmState::Alarm))));
    metric(&mut text, "aws_cloudwatch_alarm_state", "1 while the alarm is in the state ALARM.", states);
    let thresholds = view.alarms.iter().map(|one| (alarm(one), one.threshold));
    metric(&mut text, "aws_cloudwatch_alarm_threshold", "The alarm's threshold, in its metric's unit.", thresholds);
    let values = view.alarms.iter().filter_map(|one| Some((alarm(one), one.value?)));
    metric(&mut text, "aws_cloudwatch_alarm_value", "The alarm's metric over its newest whole period.", values);
    let time = [(format!("stack=\"{stack}\""), view.at.as_duration().as_secs_f64())];
    metric(&mut text, "cloudscale_region_time_seconds", "The region's time of the last look.", time.into_iter());
    text
}

fn metric(text: &mut String, name: &str, help: &str, rows: impl Iterator<Item = (String, f64)>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    // Writing to a text does not fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
    for (labels, value) in rows {
        let _ = writeln!(text, "{name}{{{labels}}} {value}");
    }
}

/// A label's value: `\`, `"` and line ends are escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::sample;

    #[test]
    fn every_figure_has_a_line_and_what_was_not_measured_has_none() {
        let text = text(&sample::view());
        let has = |line: &str| assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
        has("# TYPE aws_autoscaling_group_desired_capacity gauge");
        has(r#"aws_autoscaling_group_desired_capacity{stack="shop",cluster="web"} 6"#);
        has(r#"aws_applicationelb_target_response_time_p99{stack="shop",cluster="web"} 1.24"#);
        has(r#"aws_applicationelb_httpcode_target_5_xx_ratio{stack="shop",cluster="web"} 0.004"#);
        let alarm = r#"{stack="shop",cluster="web",policy="cpu",alarm_name="TargetTracking-cs-shop--web-high"}"#;
        has(&format!("aws_cloudwatch_alarm_state{alarm} 1"));
        has(&format!("aws_cloudwatch_alarm_threshold{alarm} 50"));
        assert!(!text.contains(r#"response_time_p99{stack="shop",cluster="api"}"#), "{text}");
        assert!(
            text.lines().all(|line| line.starts_with('#') || line.rsplit(' ').next().unwrap().parse::<f64>().is_ok())
        );
    }

    #[test]
    fn the_grafana_dashboard_asks_for_what_there_is() {
        let dashboard = include_str!("../../docs/grafana-dashboard.json");
        let asked = regex::Regex::new(r"aws_[a-z0-9_]+").unwrap();
        let view = sample::view();
        let mut with_errors = view.clone();
        with_errors.clusters[0].series.client_errors = vec![Point(0, 1.0)];
        let text = text(&with_errors);
        let asked: std::collections::BTreeSet<_> = asked.find_iter(dashboard).map(|name| name.as_str()).collect();
        assert!(asked.len() > 10, "{asked:?}");
        for name in asked {
            assert!(text.contains(&format!("\n{name}{{")), "{name}:\n{text}");
        }
    }

    #[test]
    fn a_name_cannot_end_its_label() {
        assert_eq!(escaped("a\"} 1\nb\\"), "a\\\"} 1\\nb\\\\");
    }
}
