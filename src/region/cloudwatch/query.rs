//! Questions about metrics: ListMetrics, GetMetricStatistics, GetMetricData; and the queries of alarms and widgets.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use jiff::{SignedDuration, Timestamp};

use super::anomaly::{self, Anomalies};
use super::math::{self, Expression, Scope};
use super::retention::{available_from, first_period};
use super::search;
use super::statistics::Statistic;
use super::store::{MetricId, Store};
use super::wire::{bounded, invalid, metric, metric_value, page, page_start, period, statistic, validation};
use crate::region::context::Context;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// GetMetricStatistics gives no more points.
const STATISTICS_POINTS_MAX: i64 = 1440;
/// GetMetricData: queries and points a call.
const QUERIES_MAX: usize = 500;
const DATA_POINTS_MAX: usize = 100_800;
const LIST_PAGE: usize = 500;

/// One entry of `MetricDataQueries`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Query {
    pub id: String,
    pub label: Option<String>,
    /// Whether its result is part of the answer.
    pub returned: bool,
    pub source: Source,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Source {
    Metric { id: MetricId, period: i64, statistic: Statistic, unit: Option<String> },
    Math { expression: Expression, text: String },
}

/// Where a metric's periods begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Align {
    /// At whole multiples of the period, as charts have it.
    Whole,
    /// At the start of the range, as an alarm's sliding window has it.
    Start,
    /// At the start of the range rounded down as GetMetricData does, over what that period is kept for.
    Request,
}

impl Query {
    pub fn parse(params: &Params) -> Result<Self, ApiError> {
        let id = bounded(params, "Id", 255)?;
        if !id.starts_with(|letter: char| letter.is_ascii_lowercase())
            || id.contains(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
        {
            return Err(validation(format!(
                "The value {id} for parameter MetricDataQueries.member.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$."
            )));
        }
        let source = match (params.map("MetricStat"), params.text("Expression")) {
            (Some(stat), None) => {
                let id = metric(&stat.map("Metric").ok_or_else(|| ApiError::missing("MetricStat.Metric"))?)?;
                let period = period(&stat)?.ok_or_else(|| ApiError::missing("MetricStat.Period"))?;
                let statistic = statistic(stat.required("Stat")?)?;
                Source::Metric { id, period, statistic, unit: stat.text("Unit").map(str::to_owned) }
            }
            (None, Some(text)) => {
                let expression =
                    math::parse(text).map_err(|error| validation(format!("Error in expression '{id}': {error}")))?;
                Source::Math { expression, text: text.to_owned() }
            }
            _ => return Err(validation(format!("The query {id} needs either a MetricStat or an Expression."))),
        };
        let returned = params.bool("ReturnData")?.unwrap_or(true);
        Ok(Self { id, label: params.text("Label").map(str::to_owned), returned, source })
    }

    /// What a metric is called where nobody said: its name, and what tells it from the others of that name that the
    /// request asks for: the values of dimensions, the statistic, the period.
    fn default_label(&self, all: &[Query]) -> String {
        let Source::Metric { id, period, statistic, .. } = &self.source else { return self.id.clone() };
        let mut label = id.name.clone();
        let same_name = || {
            all.iter().filter_map(|other| match &other.source {
                Source::Metric { id: other, period, statistic, .. } if other.name == id.name => {
                    Some((other, period, statistic))
                }
                _ => None,
            })
        };
        if same_name().any(|(other, ..)| other.dimensions() != id.dimensions()) {
            label = search::label(id);
        }
        if same_name().any(|(.., other)| other != statistic) {
            label = format!("{label} {statistic}");
        }
        if same_name().any(|(_, other, _)| other != period) {
            label = format!("{label} {period}");
        }
        label
    }

    /// Every entry of `list`, with ids that differ.
    pub fn parse_all(list: &[Params]) -> Result<Vec<Self>, ApiError> {
        let queries: Vec<Self> = list.iter().map(Self::parse).collect::<Result<_, _>>()?;
        for (index, query) in queries.iter().enumerate() {
            if queries[..index].iter().any(|other| other.id == query.id) {
                return Err(validation(format!("The id {} is used more than once.", query.id)));
            }
        }
        Ok(queries)
    }
}

/// How metrics are read, and when.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub align: Align,
    pub now: Timestamp,
    /// What metrics of AWS's own services (`AWS/…`) have from here on (epoch seconds) is not published yet.
    pub published: i64,
}

impl Reading {
    /// As whoever asks now.
    pub fn of_request(cx: &Context) -> Self {
        Self { align: Align::Request, now: cx.now, published: cx.delays.published(cx.now) }
    }

    /// As alarms read, which wait by themselves until a period is published.
    pub fn of_alarm(now: Timestamp) -> Self {
        Self { align: Align::Start, now, published: i64::MAX }
    }

    fn shown(&self, namespace: &str, range: Range<i64>) -> Range<i64> {
        if namespace.starts_with("AWS/") { range.start..range.end.min(self.published) } else { range }
    }
}

/// Computes all queries over `range` (epoch seconds); results in the order of the queries. The error names the query.
pub fn compute(
    store: &Store,
    anomalies: &Anomalies,
    queries: &[Query],
    range: &Range<i64>,
    reading: Reading,
) -> Result<Vec<math::Value>, String> {
    let Reading { align, now, .. } = reading;
    let search = |query: &str, statistic: &str, period: i64| {
        let statistic = Statistic::parse(statistic).ok_or_else(|| format!("the statistic {statistic} is not known"))?;
        bound(range, period)?;
        let found = search::search(store, now, query);
        Ok(found.map(|id| one_metric(store, &id, range, reading, period, statistic, None)).collect())
    };
    let begin = match align {
        Align::Request => first_period(range.start, 60, now),
        Align::Start | Align::Whole => range.start,
    };
    let bands = |id: &str, factor: f64, times: &[i64]| band(store, anomalies, queries, (id, factor, times), now);
    let mut scope = Scope::new(begin..range.end, align != Align::Whole, &search).with_bands(&bands);
    for query in queries {
        if let Source::Metric { id, period, statistic, unit } = &query.source {
            bound(range, *period)?;
            let mut series = one_metric(store, id, range, reading, *period, *statistic, unit.as_deref());
            series.label = query.default_label(queries);
            scope.metrics.push(query.id.clone());
            scope.results.push((query.id.clone(), math::Value::Series(series)));
        }
    }
    let mut waiting: Vec<&Query> = queries.iter().filter(|query| matches!(query.source, Source::Math { .. })).collect();
    // An expression may use one that stands after it: go round until nothing more can be computed.
    while !waiting.is_empty() {
        let is_id = |name: &str| queries.iter().any(|query| query.id == name);
        let (ready, later): (Vec<&Query>, Vec<&Query>) = waiting.iter().partition(|query| match &query.source {
            Source::Math { expression, .. } => {
                expression.names().into_iter().all(|name| scope.get(name).is_some() || !is_id(name))
            }
            Source::Metric { .. } => true,
        });
        if ready.is_empty() {
            return Err(format!("Error in expression '{}': it depends on itself", later[0].id));
        }
        for query in ready {
            if let Source::Math { expression, .. } = &query.source {
                let value = math::evaluate(expression, &scope)
                    .map_err(|error| format!("Error in expression '{}': {error}", query.id))?;
                scope.results.push((query.id.clone(), value));
            }
        }
        waiting = later;
    }
    let result = |query: &Query| scope.get(&query.id).cloned().ok_or_else(|| format!("{} has no result", query.id));
    queries.iter().map(result).collect()
}

/// The lower and the upper edge of what the metric of a query usually is.
fn band(
    store: &Store,
    anomalies: &Anomalies,
    queries: &[Query],
    (id, factor, times): (&str, f64, &[i64]),
    now: Timestamp,
) -> Result<Vec<math::Series>, String> {
    let source = queries.iter().find(|query| query.id == id).map(|query| &query.source);
    let Some(Source::Metric { id: metric, period, statistic, .. }) = source else {
        return Err(format!("{} needs a metric, and {id} is an expression", math::BAND));
    };
    let of = (metric.clone(), statistic.to_string(), *period);
    let course =
        anomalies.course(&of).map_or_else(|| Cow::Owned(anomaly::learn(store, anomalies, &of, now)), Cow::Borrowed);
    let edges = times.iter().filter_map(|time| Some((*time, course.band(*time, factor)?)));
    let edges: Vec<(i64, (f64, f64))> = edges.collect();
    let series = |name: &str, edge: fn(&(f64, f64)) -> f64| math::Series {
        label: format!("{} ({name})", metric.name),
        period: *period,
        points: edges.iter().map(|(time, both)| (*time, edge(both))).collect(),
    };
    Ok(vec![series("expected low", |both| both.0), series("expected high", |both| both.1)])
}

/// A range holds at most so many periods, whatever is in it.
fn bound(range: &Range<i64>, period: i64) -> Result<(), String> {
    let points = (range.end - range.start) / period;
    if points <= DATA_POINTS_MAX as i64 {
        return Ok(());
    }
    Err(format!("You have requested up to {points} datapoints, which exceeds the limit of {DATA_POINTS_MAX}."))
}

fn one_metric(
    store: &Store,
    id: &MetricId,
    range: &Range<i64>,
    reading: Reading,
    period: i64,
    statistic: Statistic,
    unit: Option<&str>,
) -> math::Series {
    let whole = |second: i64| second.div_euclid(period) * period;
    let range = match reading.align {
        Align::Whole => whole(range.start)..whole(range.end + period - 1),
        Align::Start => range.clone(),
        Align::Request => requested(range, period, reading.now),
    };
    let samples = store.periods(id, unit, reading.shown(&id.namespace, range), period);
    let points = samples.into_iter().filter_map(|(start, samples)| Some((start, samples.get(statistic)?))).collect();
    math::Series { label: search::label(id), period, points }
}

/// The periods that a request covers, of which the first begins at its start, rounded; without those of which only coarser
/// ones are left.
fn requested(range: &Range<i64>, period: i64, now: Timestamp) -> Range<i64> {
    let first = first_period(range.start, period, now);
    let missing = (available_from(now, period) - first).max(0);
    first + (missing + period - 1) / period * period..range.end
}

/// `ListMetrics`
pub fn list_metrics(store: &Store, now: Timestamp, params: &Params) -> Answer {
    let within = match params.text("RecentlyActive") {
        None => None,
        Some("PT3H") => Some(SignedDuration::from_hours(3)),
        Some(other) => {
            return Err(invalid(format!(
                "The value {other} for parameter RecentlyActive is invalid: only PT3H is allowed."
            )));
        }
    };
    let filters = params.maps("Dimensions");
    let matches_dimensions = |id: &MetricId| {
        filters.iter().all(|filter| {
            let is_match = |(name, value): &(String, String)| {
                filter.text("Name") == Some(name) && filter.text("Value").is_none_or(|wanted| wanted == value)
            };
            id.dimensions().iter().any(is_match)
        })
    };
    let metrics: Vec<Value> = store
        .list(now, within)
        .filter(|id| params.text("Namespace").is_none_or(|namespace| namespace == id.namespace))
        .filter(|id| params.text("MetricName").is_none_or(|name| name == id.name))
        .filter(|id| matches_dimensions(id))
        .map(metric_value)
        .collect();
    let (metrics, next) = page(metrics, page_start(params)?, LIST_PAGE);
    Ok(Value::map().with("Metrics", Value::List(metrics)).with("NextToken", next))
}

/// The range of a request, in epoch seconds.
fn range(params: &Params) -> Result<Range<i64>, ApiError> {
    let start = params.time("StartTime")?.ok_or_else(|| ApiError::missing("StartTime"))?;
    let end = params.time("EndTime")?.ok_or_else(|| ApiError::missing("EndTime"))?;
    let is_empty = start >= end;
    let start = start.as_second();
    // An end within a second still includes that second.
    let end = end.as_second() + i64::from(end.subsec_nanosecond() > 0);
    if is_empty {
        return Err(invalid("The parameter StartTime must be less than the parameter EndTime."));
    }
    Ok(start..end)
}

/// `GetMetricStatistics`: samples of different units make different datapoints.
pub fn get_metric_statistics(store: &Store, cx: &Context, params: &Params) -> Answer {
    let (now, reading) = (cx.now, Reading::of_request(cx));
    let id = metric(params)?;
    let period = period(params)?.ok_or_else(|| ApiError::missing("Period"))?;
    let range = range(params)?;
    let points = (range.end - first_period(range.start, period, now)) / period;
    if points > STATISTICS_POINTS_MAX {
        return Err(ApiError::new(
            "InvalidParameterCombination",
            format!(
                "You have requested up to {points} datapoints, which exceeds the limit of {STATISTICS_POINTS_MAX}. You may reduce the datapoints requested by increasing Period, or decreasing the time range."
            ),
        ));
    }
    let parse = |names: Vec<&str>| -> Result<Vec<(String, Statistic)>, ApiError> {
        names.into_iter().map(|name| Ok((name.to_owned(), statistic(name)?))).collect()
    };
    let (plain, extended) = (parse(params.texts("Statistics"))?, parse(params.texts("ExtendedStatistics"))?);
    if plain.is_empty() && extended.is_empty() {
        return Err(ApiError::new(
            "MissingParameter",
            "At least one of the parameters Statistics and ExtendedStatistics must be specified.",
        ));
    }
    let datapoint = |unit: &str, (start, samples): (i64, super::statistics::Samples)| {
        let value =
            |(name, statistic): &(String, Statistic)| Some((name.clone(), Value::Float(samples.get(*statistic)?)));
        let mut fields = vec![("Timestamp".to_owned(), Value::Time(Timestamp::from_second(start).ok()?))];
        fields.extend(plain.iter().filter_map(value));
        fields.push(("Unit".to_owned(), Value::from(unit)));
        let extended: Vec<_> = extended.iter().filter_map(value).collect();
        if !extended.is_empty() {
            fields.push(("ExtendedStatistics".to_owned(), Value::Entries(extended)));
        }
        Some(Value::Map(fields))
    };
    let wanted = params.text("Unit");
    let mut datapoints = Vec::new();
    for unit in store.units(&id).into_iter().filter(|unit| wanted.is_none_or(|wanted| wanted == *unit)) {
        let periods =
            store.periods(&id, Some(unit), reading.shown(&id.namespace, requested(&range, period, now)), period);
        datapoints.extend(periods.into_iter().filter_map(|one| datapoint(unit, one)));
    }
    Ok(Value::map().with("Label", Value::from(&*id.name)).with("Datapoints", Value::List(datapoints)))
}

/// `GetMetricData`
pub fn get_metric_data(store: &Store, anomalies: &Anomalies, cx: &Context, params: &Params) -> Answer {
    let reading = Reading::of_request(cx);
    let queries = Query::parse_all(&params.maps("MetricDataQueries"))?;
    if queries.is_empty() {
        return Err(ApiError::missing("MetricDataQueries"));
    }
    if queries.len() > QUERIES_MAX {
        return Err(validation(format!(
            "The collection MetricDataQueries must not have a size greater than {QUERIES_MAX}."
        )));
    }
    let range = range(params)?;
    let newest_first = match params.text("ScanBy") {
        None | Some("TimestampDescending") => true,
        Some("TimestampAscending") => false,
        Some(other) => return Err(invalid(format!("The value {other} for parameter ScanBy is invalid."))),
    };
    let size = params.int("MaxDatapoints")?.and_then(|max| usize::try_from(max).ok()).unwrap_or(DATA_POINTS_MAX);
    let results = compute(store, anomalies, &queries, &range, reading).map_err(validation)?;
    let mut rows = Vec::new();
    for (query, value) in queries.iter().zip(results).filter(|(query, _)| query.returned) {
        let series = match value {
            math::Value::Series(series) if matches!(query.source, Source::Math { .. }) => {
                vec![math::Series { label: query.id.clone(), ..series }]
            }
            math::Value::Series(series) => vec![series],
            // What a search found keeps its own labels.
            math::Value::List(list) => list,
            math::Value::Number(_) | math::Value::Text(_) => {
                return Err(validation(format!(
                    "Error in expression '{}': it must return a metric, not a single value.",
                    query.id
                )));
            }
        };
        let named = |series: math::Series| Row::new(query, series, newest_first);
        rows.extend(series.into_iter().map(named));
    }
    let start = page_start(params)?;
    Ok(paged(&rows, start, size.clamp(1, DATA_POINTS_MAX)))
}

/// What the one query of `list` that returns data comes to.
///
/// # Errors
/// As GetMetricData; and where not exactly one series is returned.
pub fn one_series(
    store: &Store,
    anomalies: &Anomalies,
    list: &[Params],
    range: &Range<i64>,
    now: Timestamp,
) -> Result<BTreeMap<i64, f64>, ApiError> {
    let queries = Query::parse_all(list)?;
    let returned: Vec<usize> = (0..queries.len()).filter(|index| queries[*index].returned).collect();
    let [returned] = returned.as_slice() else {
        return Err(validation("Exactly one of the metric data queries must return data."));
    };
    let reading = Reading { align: Align::Whole, ..Reading::of_alarm(now) };
    match compute(store, anomalies, &queries, range, reading).map_err(validation)?.swap_remove(*returned) {
        math::Value::Series(series) => Ok(series.points),
        math::Value::List(mut list) if list.len() <= 1 => {
            Ok(list.pop().map_or(BTreeMap::new(), |series| series.points))
        }
        _ => Err(validation("The metric data queries must return a single time series.")),
    }
}

/// One result before it is cut into pages.
struct Row {
    id: String,
    label: String,
    points: Vec<(i64, f64)>,
}

impl Row {
    fn new(query: &Query, series: math::Series, newest_first: bool) -> Self {
        let mut points: Vec<(i64, f64)> = series.points.into_iter().collect();
        if newest_first {
            points.reverse();
        }
        let label = query.label.clone().unwrap_or(series.label);
        Self { id: query.id.clone(), label, points }
    }
}

/// The points from number `start` on, counted through all results, at most `size` of them.
fn paged(rows: &[Row], start: usize, size: usize) -> Value {
    let end = start.saturating_add(size);
    let mut before = 0;
    let mut results = Vec::new();
    for row in rows {
        let here = start.saturating_sub(before).min(row.points.len())..end.saturating_sub(before).min(row.points.len());
        let is_first_page = start == 0 && before <= end;
        if !here.is_empty() || (row.points.is_empty() && is_first_page) {
            let is_complete = here.end == row.points.len();
            let points = &row.points[here];
            let time = |(second, _): &(i64, f64)| Timestamp::from_second(*second).ok().map(Value::Time);
            results.push(
                Value::map()
                    .with("Id", Value::from(&*row.id))
                    .with("Label", Value::from(&*row.label))
                    .with("Timestamps", Value::list(points.iter().filter_map(time)))
                    .with("Values", Value::list(points.iter().map(|(_, value)| Value::Float(*value))))
                    .with("StatusCode", Value::from(if is_complete { "Complete" } else { "PartialData" })),
            );
        }
        before += row.points.len();
    }
    Value::map()
        .with("MetricDataResults", Value::List(results))
        .with("Messages", Value::List(Vec::new()))
        .with("NextToken", (end < before).then(|| Value::from(end.to_string())))
}
