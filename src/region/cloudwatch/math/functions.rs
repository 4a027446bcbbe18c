//! The named functions of metric math.

use std::collections::BTreeMap;

use super::scope::Scope;
use super::{Series, Value};

/// Calls a function by its name, which is in capitals.
pub(super) fn call(name: &str, mut arguments: Vec<Value>, scope: &Scope) -> Result<Value, String> {
    if name == "METRICS" {
        return metrics(&arguments, scope);
    }
    if name == "IF" {
        return condition(arguments);
    }
    if name == "SEARCH" {
        return match arguments.as_slice() {
            [Value::Text(text), Value::Text(statistic)] => (scope.search)(text, statistic, 300).map(Value::List),
            #[expect(clippy::cast_possible_truncation, reason = "seconds; the cast saturates")]
            [Value::Text(text), Value::Text(statistic), Value::Number(period)] if *period >= 1.0 => {
                (scope.search)(text, statistic, *period as i64).map(Value::List)
            }
            _ => Err("SEARCH takes a text, a statistic and a period".to_owned()),
        };
    }
    if arguments.is_empty() {
        return Err(format!("{name} needs an argument"));
    }
    let first = arguments.remove(0);
    match (name, arguments.as_slice()) {
        ("ABS", []) => each(first, f64::abs),
        ("CEIL", []) => each(first, f64::ceil),
        ("FLOOR", []) => each(first, f64::floor),
        ("LOG", []) => each(first, f64::ln),
        ("LOG10", []) => each(first, f64::log10),
        ("SUM", []) => reduce(first, |values| values.iter().sum()),
        ("AVG", []) => reduce(first, mean),
        ("MIN", []) => reduce(first, |values| values.iter().copied().fold(f64::INFINITY, f64::min)),
        ("MAX", []) => reduce(first, |values| values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        ("STDDEV", []) => reduce(first, deviation),
        ("FIRST" | "LAST", []) => pick(first, name == "FIRST"),
        ("METRIC_COUNT", []) => match first {
            Value::List(list) => number(list.len()),
            Value::Series(_) => number(1),
            other => Err(not_a_metric(&other)),
        },
        ("DATAPOINT_COUNT", []) => reduce(first, |values| count(values.len())),
        ("PERIOD", []) => match first {
            Value::Series(series) => Ok(Value::Number(series.period as f64)),
            other => Err(not_a_metric(&other)),
        },
        ("DIFF", []) => steps(first, |_, change| change),
        ("DIFF_TIME", []) => steps(first, |seconds, _| seconds),
        ("RATE", []) => steps(first, |seconds, change| change / seconds),
        ("RUNNING_SUM", []) => map_series(first, running_sum),
        ("REMOVE_EMPTY", []) => match first {
            Value::List(list) => Ok(Value::List(list.into_iter().filter(|series| !series.points.is_empty()).collect())),
            other => Ok(other),
        },
        ("TIME_SERIES", []) => match first {
            Value::Number(value) => Ok(Value::Series(constant(value, scope))),
            other => Ok(other),
        },
        ("FILL", [with]) => fill(first, with, scope),
        ("MINUTE" | "HOUR" | "DAY" | "DATE" | "MONTH" | "YEAR" | "EPOCH", []) => calendar(name, first),
        ("SORT", [by, order]) => sort(first, by, order, None),
        ("SORT", [by, order, Value::Number(most)]) => sort(first, by, order, Some(*most)),
        ("SLICE", [Value::Number(from)]) => slice(first, *from, f64::INFINITY),
        ("SLICE", [Value::Number(from), Value::Number(to)]) => slice(first, *from, *to),
        _ => Err(format!("the function {name} with {} argument(s) is not known", arguments.len() + 1)),
    }
}

/// Applies a function to every value.
pub(super) fn each(value: Value, apply: impl Fn(f64) -> f64) -> Result<Value, String> {
    let series = |mut series: Series| {
        series.points.values_mut().for_each(|value| *value = apply(*value));
        series.points.retain(|_, value| value.is_finite());
        series
    };
    match value {
        Value::Number(number) => Ok(Value::Number(apply(number))),
        Value::Series(one) => Ok(Value::Series(series(one))),
        Value::List(list) => Ok(Value::List(list.into_iter().map(series).collect())),
        Value::Text(text) => Err(format!("'{text}' is not a metric")),
    }
}

fn not_a_metric(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("{number} is not a metric"),
        Value::Text(text) => format!("'{text}' is not a metric"),
        Value::Series(_) | Value::List(_) => "one metric is needed, not an array".to_owned(),
    }
}

fn count(length: usize) -> f64 {
    length as f64
}

fn number(length: usize) -> Result<Value, String> {
    Ok(Value::Number(count(length)))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values.len())
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count(values.len())).sqrt()
}

/// All metrics of the request, or those whose id contains a text.
fn metrics(arguments: &[Value], scope: &Scope) -> Result<Value, String> {
    let part = match arguments {
        [] => "",
        [Value::Text(part)] => part,
        _ => return Err("METRICS takes a text at most".to_owned()),
    };
    let ids = scope.metrics.iter().filter(|id| id.contains(part));
    let series = ids.filter_map(|id| match scope.get(id) {
        Some(Value::Series(series)) => Some(series.clone()),
        _ => None,
    });
    Ok(Value::List(series.collect()))
}

/// Of a series one number; of an array a series, time by time.
fn reduce(value: Value, apply: impl Fn(&[f64]) -> f64) -> Result<Value, String> {
    match value {
        Value::Series(series) => {
            let values: Vec<f64> = series.points.values().copied().collect();
            Ok(Value::Number(if values.is_empty() { 0.0 } else { apply(&values) }))
        }
        Value::List(list) => {
            let mut by_time: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
            for (time, value) in list.iter().flat_map(|series| &series.points) {
                by_time.entry(*time).or_default().push(*value);
            }
            let points = by_time.into_iter().map(|(time, values)| (time, apply(&values))).collect();
            let period = list.iter().map(|series| series.period).max().unwrap_or(0);
            Ok(Value::Series(Series { label: String::new(), period, points }))
        }
        other => Err(not_a_metric(&other)),
    }
}

fn pick(value: Value, first: bool) -> Result<Value, String> {
    let Value::List(list) = value else { return Err(not_a_metric(&value)) };
    let mut list = list.into_iter();
    let series = if first { list.next() } else { list.next_back() };
    series.map(Value::Series).ok_or_else(|| "the array is empty".to_owned())
}

fn map_series(value: Value, apply: impl Fn(Series) -> Series) -> Result<Value, String> {
    match value {
        Value::Series(series) => Ok(Value::Series(apply(series))),
        Value::List(list) => Ok(Value::List(list.into_iter().map(apply).collect())),
        other => Err(not_a_metric(&other)),
    }
}

/// From every pair of neighbours (seconds between them, change of the value) a value at the later one's time.
fn steps(value: Value, apply: impl Fn(f64, f64) -> f64) -> Result<Value, String> {
    map_series(value, |series| {
        let pairs = series.points.iter().zip(series.points.iter().skip(1));
        let points = pairs.map(|((t0, v0), (t1, v1))| (*t1, apply((t1 - t0) as f64, v1 - v0))).collect();
        Series { points, ..series }
    })
}

fn running_sum(mut series: Series) -> Series {
    let mut sum = 0.0;
    for value in series.points.values_mut() {
        sum += *value;
        *value = sum;
    }
    series
}

fn constant(value: f64, scope: &Scope) -> Series {
    let periods = scope.results.iter().filter_map(|(_, result)| match result {
        Value::Series(series) => Some(series.period),
        _ => None,
    });
    let period = periods.min().unwrap_or(60);
    Series { label: String::new(), period, points: scope.times(period).map(|time| (time, value)).collect() }
}

fn fill(value: Value, with: &Value, scope: &Scope) -> Result<Value, String> {
    match with {
        Value::Number(number) => map_series(value, |mut series| {
            scope.times(series.period).for_each(|time| {
                series.points.entry(time).or_insert(*number);
            });
            series
        }),
        Value::Series(other) => map_series(value, |mut series| {
            for (time, value) in &other.points {
                series.points.entry(*time).or_insert(*value);
            }
            series
        }),
        Value::Text(word) if word == "REPEAT" => {
            map_series(value, |series| between(series, scope, |_, (_, before), _| before))
        }
        Value::Text(word) if word == "LINEAR" => map_series(value, |series| {
            between(series, scope, |time, (t0, v0), after| {
                let (t1, v1) = after.unwrap_or((time, v0));
                v0 + (v1 - v0) * (time - t0) as f64 / ((t1 - t0).max(1)) as f64
            })
        }),
        other => Err(format!("FILL takes a number, a metric, REPEAT or LINEAR: {}", not_a_metric(other))),
    }
}

/// Fills each missing time from its neighbours (time, value); what comes before the first value stays missing.
fn between(mut series: Series, scope: &Scope, make: impl Fn(i64, (i64, f64), Option<(i64, f64)>) -> f64) -> Series {
    let known = series.points.clone();
    for time in scope.times(series.period).filter(|time| !known.contains_key(time)) {
        let Some((t0, v0)) = known.range(..time).next_back() else { continue };
        let after = known.range(time..).next().map(|(t1, v1)| (*t1, *v1));
        series.points.insert(time, make(time, (*t0, *v0), after));
    }
    series
}

/// Parts of each value's time, in UTC (user guide, "Using metric math"): `DAY` is the day of the week from Monday, 1.
fn calendar(name: &str, value: Value) -> Result<Value, String> {
    let part = |second: i64| -> f64 {
        let Ok(time) = jiff::Timestamp::from_second(second) else { return f64::NAN };
        let time = time.to_zoned(jiff::tz::TimeZone::UTC);
        match name {
            "MINUTE" => time.minute().into(),
            "HOUR" => time.hour().into(),
            "DAY" => time.weekday().to_monday_one_offset().into(),
            "DATE" => time.day().into(),
            "MONTH" => time.month().into(),
            "YEAR" => time.year().into(),
            _ => second as f64,
        }
    };
    map_series(value, |mut series| {
        series.points.iter_mut().for_each(|(second, value)| *value = part(*second));
        series
    })
}

/// `SORT(array, AVG|MIN|MAX|SUM|LAST, ASC|DESC, how many)`
fn sort(value: Value, by: &Value, order: &Value, most: Option<f64>) -> Result<Value, String> {
    let (Value::Text(by), Value::Text(order)) = (by, order) else {
        return Err("SORT takes an array, one of AVG, MIN, MAX, SUM and LAST, and ASC or DESC".to_owned());
    };
    let Value::List(mut list) = value else { return Err(not_a_metric(&value)) };
    let key = |series: &Series| -> f64 {
        let values: Vec<f64> = series.points.values().copied().collect();
        match by.as_str() {
            _ if values.is_empty() => f64::NEG_INFINITY,
            "AVG" => mean(&values),
            "MIN" => values.iter().copied().fold(f64::INFINITY, f64::min),
            "MAX" => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            "SUM" => values.iter().sum(),
            _ => values.last().copied().unwrap_or_default(),
        }
    };
    if !["AVG", "MIN", "MAX", "SUM", "LAST"].contains(&by.as_str()) || !["ASC", "DESC"].contains(&order.as_str()) {
        return Err(format!("SORT sorts by AVG, MIN, MAX, SUM or LAST, ASC or DESC, not by {by} {order}"));
    }
    list.sort_by(|a, b| key(a).total_cmp(&key(b)));
    if order == "DESC" {
        list.reverse();
    }
    match most {
        Some(most) => slice(Value::List(list), 0.0, most),
        None => Ok(Value::List(list)),
    }
}

/// The series from one place on, up to but without another; the first is 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and what is negative is refused"
)]
fn slice(value: Value, from: f64, to: f64) -> Result<Value, String> {
    let Value::List(list) = value else { return Err(not_a_metric(&value)) };
    if from < 0.0 || to < from {
        return Err(format!("SLICE cannot cut from {from} to {to}"));
    }
    let (from, to) = (from as usize, to as usize);
    Ok(Value::List(list.into_iter().skip(from).take(to - from).collect()))
}

/// `IF(condition, then, else)`: chosen time by time where the condition is a series; nothing without an else.
fn condition(arguments: Vec<Value>) -> Result<Value, String> {
    let mut arguments = arguments.into_iter();
    let (Some(condition), Some(then)) = (arguments.next(), arguments.next()) else {
        return Err("IF needs a condition and a value".to_owned());
    };
    let otherwise = arguments.next();
    let condition = match condition {
        Value::Number(number) if number != 0.0 => return Ok(then),
        Value::Number(_) => return otherwise.ok_or_else(|| "IF has no value for a condition that is zero".to_owned()),
        Value::Series(series) => series,
        other => return Err(not_a_metric(&other)),
    };
    let at = |value: &Value, time: i64| match value {
        Value::Number(number) => Ok(Some(*number)),
        Value::Series(series) => Ok(series.points.get(&time).copied()),
        other => Err(not_a_metric(other)),
    };
    let mut points = BTreeMap::new();
    for (time, holds) in &condition.points {
        let chosen = if *holds != 0.0 { Some(&then) } else { otherwise.as_ref() };
        if let Some(value) = chosen.map(|value| at(value, *time)).transpose()?.flatten() {
            points.insert(*time, value);
        }
    }
    Ok(Value::Series(Series { points, ..condition }))
}
