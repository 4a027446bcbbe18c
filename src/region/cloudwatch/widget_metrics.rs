//! The lists of the widget language: metrics with their shorthand, and annotations.

use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use super::math;
use super::query::{Query, Source};
use super::statistics::Statistic;
use super::store::MetricId;
use super::widget_model::Row;
use super::widget_reader::Reader;
use crate::chart::{Horizontal, HorizontalFill, Side, Vertical, VerticalFill, seconds};

const METRICS_MAX: usize = 500;
const OPTIONS: [&str; 11] = [
    "color",
    "expression",
    "label",
    "id",
    "period",
    "stat",
    "visible",
    "yAxis",
    "region",
    "accountId",
    "searchExpressions",
];

/// `metrics`: `[namespace, name, dimension, value, …, {options}]`. `"."` repeats what stands above it, `"..."` as much
/// as is missing up to the length of the metric above.
pub(super) fn rows(reader: &mut Reader, value: Option<&Json>, period: i64, stat: &(Statistic, String)) -> Vec<Row> {
    let list = match value {
        Some(Json::Array(list)) if list.len() <= METRICS_MAX => list,
        Some(Json::Array(_)) => {
            reader.wrong::<()>("/metrics", format!("Should NOT have more than {METRICS_MAX} items"));
            return Vec::new();
        }
        Some(_) => {
            reader.wrong::<()>("/metrics", "Should be array");
            return Vec::new();
        }
        None => return Vec::new(),
    };
    let mut above: Vec<String> = Vec::new();
    let mut rows: Vec<Row> = Vec::new();
    for (index, item) in list.iter().enumerate() {
        let path = format!("/metrics/{index}");
        let Json::Array(parts) = item else {
            reader.wrong::<()>(&path, "Should be array");
            continue;
        };
        let none = Map::new();
        let (parts, options) = match parts.split_last() {
            Some((Json::Object(options), parts)) => (parts, options),
            _ => (parts.as_slice(), &none),
        };
        let options_path = format!("{path}/{}", parts.len());
        reader.unknown_keys(&options_path, options, &OPTIONS);
        let source = match reader.text(&options_path, options, "expression") {
            Some(text) => expression(reader, &options_path, text),
            None => metric(reader, &path, parts, &mut above).map(|id| {
                let period = reader.period(&options_path, options).unwrap_or(period);
                let statistic = reader.statistic(&options_path, options).map_or(stat.0, |(statistic, _)| statistic);
                Source::Metric { id, period, statistic, unit: None }
            }),
        };
        let Some(source) = source else { continue };
        // An id of our own cannot be one of the user's, which begin with a small letter.
        let id = reader.text(&options_path, options, "id").unwrap_or_else(|| format!("_{index}"));
        if rows.iter().any(|row| row.query.id == id) {
            reader.wrong::<()>(&format!("{options_path}/id"), "Should be unique");
        }
        let sides = [("left", Side::Left), ("right", Side::Right)];
        rows.push(Row {
            query: Query { id, label: reader.text(&options_path, options, "label"), returned: true, source },
            stat: options.get("stat").and_then(Json::as_str).unwrap_or(&stat.1).to_owned(),
            color: reader.color(&options_path, options),
            side: reader.word(&options_path, options, "yAxis", &sides).unwrap_or_default(),
            visible: reader.flag(&options_path, options, "visible").unwrap_or(true),
        });
    }
    rows
}

fn expression(reader: &mut Reader, path: &str, text: String) -> Option<Source> {
    match math::parse(&text) {
        Ok(expression) => Some(Source::Math { expression, text }),
        Err(error) => reader.wrong(&format!("{path}/expression"), error),
    }
}

fn metric(reader: &mut Reader, path: &str, parts: &[Json], above: &mut Vec<String>) -> Option<MetricId> {
    let mut texts: Vec<&str> = Vec::new();
    for part in parts {
        match part.as_str() {
            Some(text) => texts.push(text),
            None => return reader.wrong(path, "Should have strings, and options at its end"),
        }
    }
    let mut full: Vec<String> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match *text {
            "..." => {
                let repeated = (above.len() + 1).saturating_sub(texts.len());
                full.extend(above.iter().skip(index).take(repeated).cloned());
            }
            "." => match above.get(full.len()) {
                Some(value) => full.push(value.clone()),
                None => return reader.wrong(path, "Should have a metric above it for \".\" to repeat"),
            },
            other => full.push(other.to_owned()),
        }
    }
    if full.len() < 2 || !full.len().is_multiple_of(2) {
        return reader.wrong(path, "Should be a namespace, a metric name, and pairs of dimension name and value");
    }
    let dimensions = full[2..].chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    let id = MetricId::new(&full[0], &full[1], dimensions);
    *above = full;
    Some(id)
}

/// An annotation as it is written: a line, or two for a band.
struct Line<'a> {
    path: String,
    from: &'a Map<String, Json>,
    to: Option<&'a Map<String, Json>>,
}

fn lines<'a>(reader: &mut Reader, path: &str, value: Option<&'a Json>) -> Vec<Line<'a>> {
    let list = match value {
        Some(Json::Array(list)) => list.as_slice(),
        Some(_) => {
            reader.wrong::<()>(path, "Should be array");
            &[]
        }
        None => &[],
    };
    let mut lines = Vec::new();
    for (index, item) in list.iter().enumerate() {
        let path = format!("{path}/{index}");
        match item {
            Json::Object(from) => lines.push(Line { path, from, to: None }),
            Json::Array(pair) => match pair.as_slice() {
                [Json::Object(from), Json::Object(to)] => lines.push(Line { path, from, to: Some(to) }),
                _ => {
                    reader.wrong::<()>(&path, "Should be two lines: a band");
                }
            },
            _ => {
                reader.wrong::<()>(&path, "Should be object or array");
            }
        }
    }
    lines
}

const LINE_KEYS: [&str; 6] = ["value", "label", "color", "fill", "visible", "yAxis"];

pub(super) fn horizontal(reader: &mut Reader, value: Option<&Json>) -> Vec<Horizontal> {
    let mut notes = Vec::new();
    for Line { path, from: line, to } in lines(reader, "/annotations/horizontal", value) {
        reader.unknown_keys(&path, line, &LINE_KEYS);
        let Some(value) = required(reader, &path, line, Reader::number) else { continue };
        let fills =
            [("above", HorizontalFill::Above), ("below", HorizontalFill::Below), ("none", HorizontalFill::None)];
        let note = Horizontal {
            value,
            to: to.and_then(|to| required(reader, &path, to, Reader::number)),
            label: label(reader, &path, line, to),
            color: reader.color(&path, line),
            side: reader
                .word(&path, line, "yAxis", &[("left", Side::Left), ("right", Side::Right)])
                .unwrap_or_default(),
            fill: reader.word(&path, line, "fill", &fills).unwrap_or_default(),
        };
        if reader.flag(&path, line, "visible").unwrap_or(true) {
            notes.push(note);
        }
    }
    notes
}

pub(super) fn vertical(reader: &mut Reader, value: Option<&Json>) -> Vec<Vertical> {
    let mut notes = Vec::new();
    for Line { path, from: line, to } in lines(reader, "/annotations/vertical", value) {
        reader.unknown_keys(&path, line, &LINE_KEYS);
        let Some(at) = required(reader, &path, line, time) else { continue };
        let fills = [("before", VerticalFill::Before), ("after", VerticalFill::After), ("none", VerticalFill::None)];
        let note = Vertical {
            at,
            to: to.and_then(|to| required(reader, &path, to, time)),
            label: label(reader, &path, line, to),
            color: reader.color(&path, line),
            fill: reader.word(&path, line, "fill", &fills).unwrap_or_default(),
        };
        if reader.flag(&path, line, "visible").unwrap_or(true) {
            notes.push(note);
        }
    }
    notes
}

type Field = fn(&mut Reader, &str, &Map<String, Json>, &str) -> Option<f64>;

fn required(reader: &mut Reader, path: &str, line: &Map<String, Json>, field: Field) -> Option<f64> {
    if !line.contains_key("value") {
        return reader.wrong(path, "Should have required property 'value'");
    }
    field(reader, path, line, "value")
}

/// An absolute time.
fn time(reader: &mut Reader, path: &str, line: &Map<String, Json>, key: &str) -> Option<f64> {
    let text = reader.text(path, line, key)?;
    match text.parse::<Timestamp>() {
        Ok(time) => Some(seconds(time)),
        Err(_) => reader.wrong(&format!("{path}/{key}"), "Should be a time such as 2026-11-21T10:00:00Z"),
    }
}

/// A band may name either line.
fn label(reader: &mut Reader, path: &str, line: &Map<String, Json>, to: Option<&Map<String, Json>>) -> String {
    let own = reader.text(path, line, "label");
    own.or_else(|| to.and_then(|to| reader.text(path, to, "label"))).unwrap_or_default()
}
