//! Reading and writing what CloudWatch's operations share: dimensions, metrics, numbers in lists, tokens of pages.

use super::statistics::Statistic;
use super::store::MetricId;
use crate::region::wire::{ApiError, Params, Value};

/// CloudWatch's most dimensions of a metric.
const DIMENSIONS_MAX: usize = 30;

/// `InvalidParameterValue`, in CloudWatch's usual words.
pub fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterValue", message)
}

/// An error of validation: what CloudWatch answers for alarms.
pub fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

/// `Dimensions` as pairs.
pub fn dimensions(params: &Params) -> Result<Vec<(String, String)>, ApiError> {
    let maps = params.maps("Dimensions");
    if maps.len() > DIMENSIONS_MAX {
        let count = maps.len();
        return Err(invalid(format!(
            "The collection Dimensions must not have a size greater than {DIMENSIONS_MAX}: it has {count}."
        )));
    }
    maps.iter().map(|map| Ok((bounded(map, "Name", 255)?, bounded(map, "Value", 1024)?))).collect()
}

/// A required text of 1 to `length_max` characters.
pub fn bounded(params: &Params, name: &str, length_max: usize) -> Result<String, ApiError> {
    let text = params.required(name)?;
    if text.is_empty() || text.chars().count() > length_max {
        return Err(invalid(format!("The parameter {name} must be between 1 and {length_max} characters long.")));
    }
    Ok(text.to_owned())
}

/// The metric that `Namespace`, `MetricName` and `Dimensions` name.
pub fn metric(params: &Params) -> Result<MetricId, ApiError> {
    Ok(MetricId::new(&bounded(params, "Namespace", 255)?, &bounded(params, "MetricName", 255)?, dimensions(params)?))
}

/// A metric as answers show it.
pub fn metric_value(id: &MetricId) -> Value {
    Value::map()
        .with("Namespace", Value::from(&*id.namespace))
        .with("MetricName", Value::from(&*id.name))
        .with("Dimensions", dimensions_value(id))
}

pub fn dimensions_value(id: &MetricId) -> Value {
    let dimension = |(name, value): &(String, String)| {
        Value::map().with("Name", Value::from(&**name)).with("Value", Value::from(&**value))
    };
    Value::list(id.dimensions().iter().map(dimension))
}

/// A list of numbers, which Query sends as texts.
pub fn floats(params: &Params, name: &str) -> Result<Vec<f64>, ApiError> {
    params
        .list(name)
        .iter()
        .map(|item| Params(vec![(name.to_owned(), item.clone())]).float(name))
        .map(|number| number.map(|number| number.unwrap_or(f64::NAN)))
        .collect()
}

/// A period: 1, 5, 10, 20, 30 or a multiple of 60 seconds.
pub fn period(params: &Params) -> Result<Option<i64>, ApiError> {
    let Some(period) = params.int("Period")? else { return Ok(None) };
    if period > 86_400 * 365 || !is_period(period) {
        return Err(invalid("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60."));
    }
    Ok(Some(period))
}

pub fn is_period(seconds: i64) -> bool {
    [1, 5, 10, 20, 30].contains(&seconds) || (seconds > 0 && seconds % 60 == 0)
}

pub fn statistic(text: &str) -> Result<Statistic, ApiError> {
    Statistic::parse(text).ok_or_else(|| {
        let known = "SampleCount, Sum, Average, Minimum, Maximum, IQM, pNN, tmNN, wmNN, tcNN, tsNN and TM, WM, TC, TS, PR with (low:high)";
        invalid(format!("The statistic {text} is not one of those that the embedded region has: {known}."))
    })
}

/// A token says where the next page begins: a number, as text.
pub fn page_start(params: &Params) -> Result<usize, ApiError> {
    let Some(token) = params.text("NextToken") else { return Ok(0) };
    token.parse().map_err(|_| ApiError::new("InvalidNextToken", "The next token specified is invalid."))
}

/// One page of `items`, and the token of the next one.
pub fn page<T>(items: Vec<T>, start: usize, size: usize) -> (Vec<T>, Option<Value>) {
    let total = items.len();
    let page: Vec<T> = items.into_iter().skip(start).take(size).collect();
    let next = start.saturating_add(size);
    (page, (next < total).then(|| Value::from(next.to_string())))
}
