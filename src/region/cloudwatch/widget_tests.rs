//! The widget language: what is refused, what becomes a picture, and what its labels say.

use serde_json::json;

use super::*;
use crate::chart::Side;
use crate::region::cloudwatch::anomaly::Anomalies;
use crate::region::cloudwatch::query::{Reading, Source};
use crate::region::cloudwatch::statistics::Samples;
use crate::region::cloudwatch::store::MetricId;
use crate::region::cloudwatch::widget_model::Row;

fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

fn read(widget: &Json) -> (Widget, Vec<String>) {
    let mut reader = Reader::default();
    let widget = reader.widget(widget.as_object().unwrap(), "us-east-1", now());
    let path = |message: Json| message["dataPath"].as_str().unwrap().to_owned();
    (widget, reader.messages.into_iter().map(path).collect())
}

fn ids(widget: &Widget) -> Vec<MetricId> {
    let id = |row: &Row| match &row.query.source {
        Source::Metric { id, .. } => id.clone(),
        Source::Math { .. } => panic!("an expression"),
    };
    widget.rows.iter().map(id).collect()
}

fn image(store: &Store, widget: &Json) -> Answer {
    let params = Params(vec![("MetricWidget".into(), Value::from(widget.to_string()))]);
    get_metric_widget_image(store, &Anomalies::default(), "us-east-1", Reading::of_alarm(now()), &params)
}

#[test]
fn dots_repeat_what_stands_above() {
    let (widget, wrong) = read(&json!({"metrics": [
        ["AWS/EC2", "CPUUtilization", "InstanceId", "i-1"],
        [".", ".", ".", "i-2", {"stat": "Maximum"}],
        ["...", "i-3"],
        [".", "NetworkIn", ".", "i-3"],
        ["...", {"yAxis": "right"}],
    ]}));
    assert!(wrong.is_empty(), "{wrong:?}");
    let id = |name: &str, instance: &str| {
        MetricId::new("AWS/EC2", name, vec![("InstanceId".to_owned(), instance.to_owned())])
    };
    let expected = [
        id("CPUUtilization", "i-1"),
        id("CPUUtilization", "i-2"),
        id("CPUUtilization", "i-3"),
        id("NetworkIn", "i-3"),
        id("NetworkIn", "i-3"),
    ];
    assert_eq!(ids(&widget), expected);
    assert_eq!(widget.rows[4].side, Side::Right);
}

#[test]
fn what_is_not_said_has_the_documented_defaults() {
    let (widget, _) = read(&json!({"metrics": [["N", "M"]]}));
    assert_eq!((widget.width, widget.height, widget.stacked), (600, 400, false));
    assert_eq!((widget.start, widget.end), ("2026-11-21T07:00:00Z".parse().unwrap(), now()));
    assert!(matches!(widget.rows[0].query.source, Source::Metric { period: 300, statistic: Statistic::Average, .. }));
}

#[test]
fn times_are_absolute_or_relative() {
    let (widget, wrong) = read(&json!({"start": "-P1DT2H", "end": "2026-11-21T09:30:00.000Z", "timezone": "-0330"}));
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(widget.start, "2026-11-20T08:00:00Z".parse().unwrap());
    assert_eq!(widget.end, "2026-11-21T09:30:00Z".parse().unwrap());
    assert_eq!(widget.offset.seconds(), -12_600);
}

#[test]
fn every_mistake_is_reported_with_its_path() {
    let (_, wrong) = read(&json!({
        "metrics": [["N"], [".", "M", {"colour": "red"}], 5, [{"expression": "m1 +"}], ["N", "M", {"stat": "p500", "period": 7}]],
        "width": 5000, "height": "400", "view": "gauge", "theme": "pink", "start": "yesterday", "timezone": "EST",
        "region": "eu-west-1", "yAxis": {"middle": {}}, "colour": 1,
        "annotations": {"horizontal": [{"label": "no value"}], "vertical": [{"value": "-PT1H"}]},
    }));
    for path in [
        "/colour",
        "/region",
        "/start",
        "/yAxis/middle",
        "/width",
        "/height",
        "/theme",
        "/view",
        "/timezone",
        "/metrics/0",
        "/metrics/1/2/colour",
        "/metrics/2",
        "/metrics/3/0/expression",
        "/metrics/4/2/stat",
        "/metrics/4/2/period",
        "/annotations/horizontal/0",
        "/annotations/vertical/0/value",
    ] {
        assert!(wrong.iter().any(|found| found == path), "{path} is missing in {wrong:?}");
    }
}

#[test]
fn a_widget_becomes_a_png_with_or_without_data() {
    let mut store = Store::default();
    let widget = json!({
        "metrics": [["App", "Queue", {"id": "m1", "color": "#ff00ff"}], [{"expression": "m1 * 2", "label": "double ${MAX}"}]],
        "period": 60, "start": "-PT10M", "legend": {"position": "hidden"},
    });
    let png = |store: &Store| match image(store, &widget) {
        Ok(Value::Map(fields)) => match &fields[0].1 {
            Value::Chart(chart) => crate::chart::png(chart),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let empty = png(&store);
    assert!(empty.starts_with(b"\x89PNG"));
    let minute = |minute: i64| now() - jiff::SignedDuration::from_mins(minute);
    for ago in 1..9 {
        store.put(MetricId::new("App", "Queue", Vec::new()), "Count", minute(ago), &Samples::of_values([(5.0, 1.0)]));
    }
    assert_ne!(png(&store), empty);
}

#[test]
fn labels_show_what_differs_and_their_dynamic_parts() {
    let (widget, _) = read(&json!({"metrics": [
        ["AWS/EC2", "CPUUtilization", "InstanceId", "i-1"],
        ["...", "i-2"],
        ["...", "i-2", {"label": "${PROP('Dim.InstanceId')} max ${MAX} ${NOPE}"}],
    ], "stat": "Maximum"}));
    let chart =
        widget_chart::chart(&Store::default(), &Anomalies::default(), &widget, Reading::of_alarm(now())).unwrap();
    let labels: Vec<&str> = chart.series.iter().map(|series| series.label.as_str()).collect();
    assert_eq!(labels, ["i-1", "i-2", "i-2 max -- ${NOPE}"]);
}

#[test]
fn what_is_no_widget_is_refused() {
    let params = |text: &str| Params(vec![("MetricWidget".into(), Value::from(text))]);
    for text in ["", "[]", "{", &format!("\"{}\"", "x".repeat(BYTES_MAX))] {
        let error = get_metric_widget_image(
            &Store::default(),
            &Anomalies::default(),
            "us-east-1",
            Reading::of_alarm(now()),
            &params(text),
        )
        .unwrap_err();
        assert_eq!(error.code, "InvalidParameterValue", "{text:.20}");
    }
    let error = image(&Store::default(), &json!({"width": 0, "height": 0})).unwrap_err();
    assert!(error.message.contains("there are 2 validation errors"), "{}", error.message);
}

/// All that a widget says of its looks is in the chart (API reference, GetMetricWidgetImage, "Metric Widget: Structure and
/// Syntax").
#[test]
fn what_a_widget_says_of_its_looks_is_in_the_chart() {
    use crate::chart::{Color, HorizontalFill, Kind, Legend, Theme, VerticalFill};
    let chart = |mut own: Json| {
        own["metrics"] =
            json!([["N", "M", {"color": "#ff00ff"}], ["N", "O", {"yAxis": "right"}], ["N", "P", {"visible": false}]]);
        let (widget, wrong) = read(&own);
        assert!(wrong.is_empty(), "{wrong:?}");
        widget_chart::chart(&Store::default(), &Anomalies::default(), &widget, Reading::of_alarm(now())).unwrap()
    };
    let rich = chart(json!({
        "title": "A title", "width": 700, "height": 350, "theme": "dark", "view": "timeSeries", "stacked": true,
        "start": "-PT2H", "end": "-PT1H", "timezone": "+0100", "legend": {"position": "right"},
        "yAxis": {"left": {"min": 1, "max": 9, "label": "left", "showUnits": false}, "right": {"min": -5, "label": "right", "showUnits": false}},
        "annotations": {
            "horizontal": [{"value": 5, "label": "limit", "fill": "above", "color": "#00ff00", "yAxis": "right"}],
            "vertical": [{"value": "2026-11-21T08:30:00.000Z", "label": "deployed", "fill": "after"}],
        },
    }));
    assert_eq!((rich.title.as_str(), rich.width, rich.height, rich.theme), ("A title", 700, 350, Theme::Dark));
    assert_eq!((rich.kind, rich.stacked, rich.legend), (Kind::Along, true, Legend::Right));
    let times = ["2026-11-21T08:00:00Z", "2026-11-21T09:00:00Z"].map(|time| time.parse().unwrap());
    assert_eq!(([rich.x.start, rich.x.end], rich.x.offset.seconds()), (times, 3600));
    let axes = [&rich.left, &rich.right].map(|axis| (axis.label.as_str(), axis.min, axis.max));
    assert_eq!(axes, [("left", Some(1.0), Some(9.0)), ("right", Some(-5.0), None)]);
    let series: Vec<_> = rich.series.iter().map(|series| (series.side, series.color)).collect();
    assert_eq!(series, [(Side::Left, Some(Color(255, 0, 255))), (Side::Right, None)]);
    let horizontal = &rich.horizontal[0];
    assert_eq!((horizontal.value, horizontal.side, horizontal.fill), (5.0, Side::Right, HorizontalFill::Above));
    assert_eq!((horizontal.label.as_str(), horizontal.color), ("limit", Some(Color(0, 255, 0))));
    let (vertical, half_past_eight) = (&rich.vertical[0], times[0].as_second() + 1800);
    assert_eq!(
        (vertical.at, vertical.label.as_str(), vertical.fill),
        (half_past_eight as f64, "deployed", VerticalFill::After)
    );
    for (view, kind) in [("pie", Kind::Pie), ("bar", Kind::Bars), ("timeSeries", Kind::Along)] {
        assert_eq!(chart(json!({"view": view})).kind, kind, "{view}");
    }
}
