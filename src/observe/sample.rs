//! A view for tests of what draws one: a spike that is being answered, and fixed instances beside it.

use jiff::{SignedDuration, Timestamp};

use super::alarm::AlarmView;
use super::capacity::Capacity;
use super::event::{Event, Kind};
use super::model::{ClusterView, Figures, InstanceView, SeriesView, View};
use super::series::Point;
use crate::cloud::state::Lifecycle;
use crate::resource::status::ClusterKind;

/// The region's time of the look.
pub fn now() -> Timestamp {
    "2026-11-27T09:42:00Z".parse().expect("a time")
}

fn ago(minutes: i64) -> Timestamp {
    now() - SignedDuration::from_mins(minutes)
}

/// A value for each of the last so many minutes.
fn minutes(count: i64, value: impl Fn(i64) -> f64) -> Vec<Point> {
    (1..=count).rev().map(|minute| Point(ago(minute).as_second(), value(minute))).collect()
}

fn instance(id: &str, lifecycle: Option<&str>, health: &str) -> InstanceView {
    InstanceView {
        id: id.into(),
        zone: "us-east-1a".into(),
        state: "running".into(),
        lifecycle: lifecycle.map(Lifecycle::from),
        health: health.into(),
        reason: None,
        address: Some("127.64.0.2".into()),
        launched: Some(ago(30)),
    }
}

fn web() -> ClusterView {
    let rate = |minute| if minute > 30 { 50.0 } else { 412.0 };
    let at = |desired, in_service, warming, healthy| Capacity {
        desired,
        in_service,
        warming,
        leaving: 0,
        healthy: Some(healthy),
        unhealthy: Some(0),
    };
    ClusterView {
        name: "web".into(),
        kind: ClusterKind::Group,
        instance_type: "t2.large".into(),
        min: 2,
        max: 8,
        capacity: at(6, 4, 2, 4),
        targets: 6,
        now: Figures {
            rate: Some(412.0),
            p50_ms: Some(38.2),
            p95_ms: Some(420.0),
            p99_ms: Some(1240.0),
            errors: Some(0.4),
            cpu: Some(71.0),
        },
        series: SeriesView {
            rate: minutes(55, rate),
            p50_ms: minutes(55, |_| 38.2),
            p95_ms: minutes(55, |_| 420.0),
            p99_ms: minutes(55, |_| 1240.0),
            client_errors: Vec::new(),
            server_errors: minutes(10, |_| 0.4),
            cpu: minutes(55, |minute| if minute > 30 { 9.0 } else { 71.0 }),
            healthy: minutes(55, |_| 4.0),
        },
        history: vec![
            (ago(60), at(2, 2, 0, 2)),
            (ago(24), at(4, 2, 2, 2)),
            (ago(20), at(4, 4, 0, 4)),
            (ago(1), at(6, 4, 2, 4)),
        ],
        instances: vec![
            instance("i-0a190000000000001", Some("InService"), "healthy"),
            instance("i-0a190000000000002", Some("Pending"), "initial"),
        ],
    }
}

fn api() -> ClusterView {
    let steady = Capacity { desired: 2, in_service: 2, warming: 0, leaving: 0, healthy: Some(2), unhealthy: Some(0) };
    ClusterView {
        name: "api".into(),
        kind: ClusterKind::Fixed,
        min: 2,
        max: 2,
        capacity: steady,
        targets: 2,
        now: Figures { rate: Some(0.0), cpu: Some(0.4), ..Figures::default() },
        series: SeriesView::default(),
        history: vec![(ago(60), steady)],
        instances: vec![instance("i-0b190000000000001", None, "healthy")],
        ..web()
    }
}

fn alarm(
    label: &str,
    state: &str,
    (sign, threshold): (&'static str, f64),
    values: &[f64],
    breaching: usize,
) -> AlarmView {
    AlarmView {
        name: format!("TargetTracking-cs-shop--web-{label}"),
        cluster: "web".into(),
        label: label.into(),
        policy: "cpu".into(),
        metric: "CPUUtilization".into(),
        state: state.into(),
        sign,
        threshold,
        period: 60,
        value: values.last().copied(),
        distance: values.last().map(|value| (value - threshold) / threshold * if sign == ">" { 100.0 } else { -100.0 }),
        points: values.iter().map(|value| Some(*value)).collect(),
        breaching,
        to_alarm: values.len(),
        periods: values.len(),
        series: Vec::new(),
    }
}

/// The view.
pub fn view() -> View {
    let event = |id: &str, minutes, cluster: &str, kind, text: &str| Event::new(id, ago(minutes), cluster, kind, text);
    View {
        stack: "shop".into(),
        provider: "local".into(),
        url: Some("http://127.0.0.2".into()),
        at: now(),
        speed: 60,
        span: 3600,
        stopped: false,
        clusters: vec![web(), api()],
        alarms: vec![
            alarm("high", "ALARM", (">", 50.0), &[71.0, 76.0, 80.0], 3),
            alarm("low", "OK", ("<", 35.0), &[80.0; 15], 0),
        ],
        events: vec![
            event("1", 24, "web", Kind::ScaleOut, "alarm high: 71, 76, 80 > 50 → 2 to 4; in service after 65 s"),
            event("2", 9, "web", Kind::Ended, "i-0a19… ended outside the group; replaced after 62 s"),
            event("3", 8, "web", Kind::Settled, "alarm low is OK: 80"),
            event(
                "4",
                3,
                "api",
                Kind::Unhealthy,
                "i-0b19… unhealthy: \u{1b}[2JHealth checks failed with these codes: [502]",
            ),
            event("5", 1, "web", Kind::ScaleOut, "alarm high: 71, 76, 80 > 50 → 4 to 6"),
        ],
        load_balancer_errors: Vec::new(),
        load: None,
        missing: Vec::new(),
    }
}
