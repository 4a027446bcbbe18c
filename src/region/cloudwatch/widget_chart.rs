//! From a [`Widget`] and the metrics to a chart.

use super::anomaly::Anomalies;
use super::math::{self, Series};
use super::query::{self, Align, Query, Reading, Source};
use super::store::{MetricId, Store};
use super::widget_model::{Axis, Row, Widget};
use crate::chart::{self, Chart, Kind, Side, XAxis, YAxis};

/// Draws what the widget says; metrics without data stay in the legend.
pub(super) fn chart(store: &Store, anomalies: &Anomalies, widget: &Widget, reading: Reading) -> Result<Chart, String> {
    let range = widget.start.as_second()..widget.end.as_second() + i64::from(widget.end.subsec_nanosecond() > 0);
    let is_whole = widget.whole_range && widget.view != Kind::Along;
    let length = ((range.end - range.start).max(1) + 59) / 60 * 60;
    let queries: Vec<Query> = widget
        .rows
        .iter()
        .map(|row| match (&row.query.source, is_whole) {
            (Source::Metric { id, statistic, unit, .. }, true) => Query {
                source: Source::Metric { id: id.clone(), period: length, statistic: *statistic, unit: unit.clone() },
                ..row.query.clone()
            },
            _ => row.query.clone(),
        })
        .collect();
    let align = if is_whole { Align::Start } else { Align::Whole };
    let results = query::compute(store, anomalies, &queries, &range, Reading { align, ..reading })?;
    let mut series = Vec::new();
    for ((row, label), result) in
        widget.rows.iter().zip(labels(&widget.rows)).zip(results).filter(|((row, _), _)| row.visible)
    {
        match result {
            math::Value::Series(one) => series.push(drawn(row, &label, &one)),
            math::Value::List(list) => {
                series.extend(list.iter().map(|one| chart::Series { color: None, ..drawn(row, &one.label, one) }));
            }
            // A single value is no series: CloudWatch marks it.
            math::Value::Number(_) | math::Value::Text(_) => {
                series.push(chart::Series { failed: true, ..drawn(row, &label, &Series::default()) });
            }
        }
    }
    let x = XAxis { start: widget.start, end: widget.end, offset: widget.offset };
    Ok(Chart {
        width: widget.width,
        height: widget.height,
        theme: widget.theme,
        kind: widget.view,
        left: axis(store, widget, &widget.left, Side::Left),
        right: axis(store, widget, &widget.right, Side::Right),
        series,
        stacked: widget.stacked,
        horizontal: widget.horizontal.clone(),
        vertical: widget.vertical.clone(),
        legend: widget.legend,
        ..Chart::new(widget.title.clone(), x)
    })
}

fn drawn(row: &Row, label: &str, series: &Series) -> chart::Series {
    chart::Series {
        label: filled(label, row, series),
        color: row.color,
        side: row.side,
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
        points: series.points.iter().map(|(second, value)| (*second as f64, *value)).collect(),
        #[expect(clippy::cast_precision_loss, reason = "seconds of a period")]
        step: (series.period > 0).then_some(series.period as f64),
        failed: false,
    }
}

/// The axis' name: what the widget says, else the unit that all its metrics share.
fn axis(store: &Store, widget: &Widget, axis: &Axis, side: Side) -> YAxis {
    let mut units: Vec<&str> = widget
        .rows
        .iter()
        .filter(|row| row.visible && row.side == side)
        .map(|row| match &row.query.source {
            Source::Metric { id, .. } => store.unit(id),
            Source::Math { .. } => "",
        })
        .collect();
    units.retain(|unit| !unit.is_empty());
    units.sort_unstable();
    units.dedup();
    let unit = match units.as_slice() {
        [unit] if !axis.hides_units && *unit != "None" => *unit,
        _ => "",
    };
    YAxis { min: axis.min, max: axis.max, label: axis.label.clone().unwrap_or_else(|| unit.to_owned()) }
}

/// A label for each row: its own, or what tells it from the others.
fn labels(rows: &[Row]) -> Vec<String> {
    let metrics: Vec<(&MetricId, &str)> = rows
        .iter()
        .filter_map(|row| match &row.query.source {
            Source::Metric { id, .. } => Some((id, row.stat.as_str())),
            Source::Math { .. } => None,
        })
        .collect();
    let differ = |same: fn(&(&MetricId, &str), &(&MetricId, &str)) -> bool| {
        metrics.iter().any(|metric| !same(metric, &metrics[0]))
    };
    let by_namespace = differ(|a, b| a.0.namespace == b.0.namespace);
    let by_name = differ(|a, b| a.0.name == b.0.name);
    let by_dimensions = differ(|a, b| a.0.dimensions() == b.0.dimensions());
    let by_stat = differ(|a, b| a.1 == b.1);
    let label = |row: &Row| match (&row.query.label, &row.query.source) {
        (Some(label), _) => label.clone(),
        (None, Source::Math { text, .. }) => text.clone(),
        (None, Source::Metric { id, .. }) => {
            let mut words: Vec<&str> = Vec::new();
            if by_namespace {
                words.push(&id.namespace);
            }
            if by_dimensions {
                words.extend(id.dimensions().iter().map(|(_, value)| value.as_str()));
            }
            if by_name || words.is_empty() {
                words.push(&id.name);
            }
            if by_stat {
                words.push(&row.stat);
            }
            words.join(" ")
        }
    };
    rows.iter().map(label).collect()
}

/// A label with its dynamic parts: `${MAX}`, `${PROP('Dim.InstanceId')}`. What is not known stays as it is.
fn filled(label: &str, row: &Row, series: &Series) -> String {
    let mut text = String::new();
    let mut rest = label;
    while let Some((before, after)) = rest.split_once("${") {
        text.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            text.push_str("${");
            rest = after;
            continue;
        };
        match part(name, row, series) {
            Some(value) => text.push_str(&value),
            None => text.push_str(&format!("${{{name}}}")),
        }
        rest = behind;
    }
    text + rest
}

fn part(name: &str, row: &Row, series: &Series) -> Option<String> {
    let values = || series.points.values().copied();
    let count = values().count();
    let number = |value: Option<f64>| Some(value.map_or_else(|| "--".to_owned(), rounded));
    match name {
        "LABEL" => Some(series.label.clone()),
        "MIN" => number(values().reduce(f64::min)),
        "MAX" => number(values().reduce(f64::max)),
        "SUM" => number((count > 0).then(|| values().sum())),
        #[expect(clippy::cast_precision_loss, reason = "a count of points")]
        "AVG" => number((count > 0).then(|| values().sum::<f64>() / count as f64)),
        "FIRST" => number(values().next()),
        "LAST" => number(values().next_back()),
        "DATAPOINT_COUNT" => Some(count.to_string()),
        _ => property(name.strip_prefix("PROP('")?.strip_suffix("')")?, row),
    }
}

fn property(name: &str, row: &Row) -> Option<String> {
    let Source::Metric { id, period, .. } = &row.query.source else { return None };
    match name {
        "MetricName" => Some(id.name.clone()),
        "Namespace" => Some(id.namespace.clone()),
        "Period" => Some(period.to_string()),
        "Stat" => Some(row.stat.clone()),
        _ => {
            let dimension = name.strip_prefix("Dim.")?;
            id.dimensions().iter().find(|(name, _)| name == dimension).map(|(_, value)| value.clone())
        }
    }
}

/// Two decimals at most.
fn rounded(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
