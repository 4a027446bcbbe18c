//! GetMetricWidgetImage: the documented widget language, from its JSON to a [`Widget`]; `widget_chart.rs` draws it.
//!
//! Everything that is wrong is reported at once, each with its path, as AWS does.

use jiff::tz::Offset;
use jiff::{Span, Timestamp};
use serde_json::{Map, Value as Json};

use super::anomaly::Anomalies;
use super::query::Reading;
use super::statistics::Statistic;
use super::store::Store;
use super::widget_model::{Axis, Widget};
use super::widget_reader::Reader;
use super::wire::invalid;
use super::{widget_chart, widget_metrics};
use crate::chart::{Kind, Legend, Theme};
use crate::region::wire::{Answer, Params, Value};

const BYTES_MAX: usize = 100 * 1024;
const SIZE_MAX: u64 = 2000;

/// Keys that dashboards have and that change nothing in a picture.
const IGNORED: [&str; 8] =
    ["liveData", "sparkline", "trend", "singleValueFullPrecision", "labels", "table", "accountId", "type"];
const KNOWN: [&str; 16] = [
    "metrics",
    "annotations",
    "start",
    "end",
    "width",
    "height",
    "period",
    "stat",
    "view",
    "stacked",
    "yAxis",
    "legend",
    "timezone",
    "theme",
    "title",
    "region",
];

/// `GetMetricWidgetImage`
pub fn get_metric_widget_image(
    store: &Store,
    anomalies: &Anomalies,
    region: &str,
    reading: Reading,
    params: &Params,
) -> Answer {
    let text = params.required("MetricWidget")?;
    if text.len() > BYTES_MAX {
        return Err(invalid(format!("The parameter MetricWidget must not be larger than {BYTES_MAX} bytes.")));
    }
    if let Some(format) = params.text("OutputFormat").filter(|format| *format != "png") {
        return Err(invalid(format!(
            "The value {format} for parameter OutputFormat is invalid: the image is always png."
        )));
    }
    let Ok(Json::Object(fields)) = serde_json::from_str::<Json>(text) else {
        return Err(invalid("The parameter MetricWidget is invalid: it must be a valid JSON object."));
    };
    let mut reader = Reader::default();
    let widget = reader.widget(&fields, region, reading.now);
    if !reader.messages.is_empty() {
        let count = reader.messages.len();
        let list = Json::Array(reader.messages);
        return Err(invalid(format!(
            "The parameter MetricWidget is invalid, there are {count} validation errors: {list}"
        )));
    }
    let chart = widget_chart::chart(store, anomalies, &widget, reading).map_err(invalid)?;
    Ok(Value::map().with("MetricWidgetImage", Value::Chart(Box::new(chart))))
}

impl Reader {
    fn widget(&mut self, fields: &Map<String, Json>, region: &str, now: Timestamp) -> Widget {
        let known: Vec<&str> = KNOWN.into_iter().chain(IGNORED).chain(["setPeriodToTimeRange"]).collect();
        self.unknown_keys("", fields, &known);
        if self.text("", fields, "region").is_some_and(|wanted| wanted != region) {
            self.wrong::<()>("/region", format!("Should be {region}"));
        }
        let period = self.period("", fields).unwrap_or(300);
        let stat = self.statistic("", fields).unwrap_or((Statistic::Average, "Average".to_owned()));
        let end = self.time(fields, "end", now).unwrap_or(now);
        let start = self.time(fields, "start", now).unwrap_or(now - jiff::SignedDuration::from_hours(3));
        if start >= end {
            self.wrong::<()>("/start", "Should be before end");
        }
        let legend = self.object("/legend", fields.get("legend"), &["position"]).cloned().unwrap_or_default();
        let positions = [("bottom", Legend::Bottom), ("right", Legend::Right), ("hidden", Legend::Hidden)];
        let axes = self.object("/yAxis", fields.get("yAxis"), &["left", "right"]).cloned().unwrap_or_default();
        let notes = self
            .object("/annotations", fields.get("annotations"), &["horizontal", "vertical"])
            .cloned()
            .unwrap_or_default();
        let views = [("timeSeries", Kind::Along), ("bar", Kind::Bars), ("pie", Kind::Pie)];
        Widget {
            title: self.text("", fields, "title").unwrap_or_default(),
            width: self.size(fields, "width").unwrap_or(600),
            height: self.size(fields, "height").unwrap_or(400),
            theme: self
                .word("", fields, "theme", &[("light", Theme::Light), ("dark", Theme::Dark)])
                .unwrap_or_default(),
            view: self.word("", fields, "view", &views).unwrap_or_default(),
            stacked: self.flag("", fields, "stacked").unwrap_or(false),
            whole_range: self.flag("", fields, "setPeriodToTimeRange").unwrap_or(false),
            legend: self.word("/legend", &legend, "position", &positions).unwrap_or_default(),
            start,
            end,
            offset: self.offset(fields).unwrap_or(Offset::UTC),
            left: self.axis("/yAxis/left", axes.get("left")),
            right: self.axis("/yAxis/right", axes.get("right")),
            rows: widget_metrics::rows(self, fields.get("metrics"), period, &stat),
            horizontal: widget_metrics::horizontal(self, notes.get("horizontal")),
            vertical: widget_metrics::vertical(self, notes.get("vertical")),
        }
    }

    fn size(&mut self, fields: &Map<String, Json>, key: &str) -> Option<u32> {
        let size = fields.get(key)?.as_u64().filter(|size| (1..=SIZE_MAX).contains(size));
        let size = size.and_then(|size| u32::try_from(size).ok());
        size.or_else(|| self.wrong(&format!("/{key}"), format!("Should be a whole number from 1 to {SIZE_MAX}")))
    }

    /// `-PT3H` before now, or an ISO 8601 time.
    fn time(&mut self, fields: &Map<String, Json>, key: &str, now: Timestamp) -> Option<Timestamp> {
        let text = self.text("", fields, key)?;
        if let Ok(time) = text.parse() {
            return Some(time);
        }
        let span = text.parse::<Span>().ok().filter(|_| text.starts_with(['-', 'P']));
        let time = span.and_then(|span| now.to_zoned(jiff::tz::TimeZone::UTC).checked_add(span).ok());
        let message = "Should be a time such as 2026-11-21T10:00:00Z, or relative to now such as -PT3H";
        time.map(|time| time.timestamp()).or_else(|| self.wrong(&format!("/{key}"), message))
    }

    /// `+0130`
    fn offset(&mut self, fields: &Map<String, Json>) -> Option<Offset> {
        let text = self.text("", fields, "timezone")?;
        let parse = || {
            let sign = match text.as_bytes().first()? {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            let digits =
                text.get(1..).filter(|digits| digits.len() == 4 && digits.bytes().all(|d| d.is_ascii_digit()))?;
            let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
            Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
        };
        parse().or_else(|| self.wrong("/timezone", "Should be an offset from UTC such as +0130"))
    }

    fn axis(&mut self, path: &str, value: Option<&Json>) -> Axis {
        let Some(fields) = self.object(path, value, &["min", "max", "label", "showUnits"]) else {
            return Axis::default();
        };
        Axis {
            min: self.number(path, fields, "min"),
            max: self.number(path, fields, "max"),
            label: self.text(path, fields, "label"),
            hides_units: self.flag(path, fields, "showUnits") == Some(false),
        }
    }
}

#[cfg(test)]
#[path = "widget_tests.rs"]
mod tests;
