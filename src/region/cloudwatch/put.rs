//! PutMetricData: samples from outside.

use jiff::{SignedDuration, Timestamp};

use super::statistics::Samples;
use super::store::{MetricId, Store};
use super::wire::{bounded, dimensions, floats, invalid};
use crate::region::metric::minute_of;
use crate::region::wire::{ApiError, Params};

const DATA_MAX: usize = 1000;
const VALUES_MAX: usize = 150;
/// The greatest magnitude of a value: 2³⁶⁰.
const VALUE_EXPONENT_MAX: i32 = 360;
/// How far from now a timestamp may be.
const PAST_MAX: SignedDuration = SignedDuration::from_hours(14 * 24);
const FUTURE_MAX: SignedDuration = SignedDuration::from_hours(2);

/// Stores all data of a request, or none where one of them is wrong.
pub fn put_metric_data(store: &mut Store, now: Timestamp, params: &Params) -> Result<(), ApiError> {
    let namespace = bounded(params, "Namespace", 255)?;
    if namespace.starts_with("AWS/") {
        return Err(invalid("The value AWS/ for parameter Namespace is invalid: it is reserved for AWS services."));
    }
    let data = params.maps("MetricData");
    if data.is_empty() {
        return Err(ApiError::missing("MetricData"));
    }
    if data.len() > DATA_MAX {
        return Err(invalid(format!("The collection MetricData must not have a size greater than {DATA_MAX}.")));
    }
    let parsed: Vec<Datum> = data.iter().map(|datum| Datum::parse(&namespace, now, datum)).collect::<Result<_, _>>()?;
    for datum in parsed {
        store.put(datum.id, &datum.unit, datum.time, &datum.samples);
    }
    Ok(())
}

struct Datum {
    id: MetricId,
    unit: String,
    time: Timestamp,
    samples: Samples,
}

impl Datum {
    fn parse(namespace: &str, now: Timestamp, params: &Params) -> Result<Self, ApiError> {
        let name = bounded(params, "MetricName", 255)?;
        let time = params.time("Timestamp")?.unwrap_or(now);
        if time < now - PAST_MAX || time > now + FUTURE_MAX {
            return Err(invalid(format!(
                "The parameter MetricData.Timestamp must specify a time within the past two weeks and no more than two hours in the future: {time}."
            )));
        }
        let resolution = params.int("StorageResolution")?.unwrap_or(60);
        let time = match resolution {
            1 => time,
            60 => minute_of(time),
            _ => return Err(invalid("The parameter StorageResolution must be 1 or 60.")),
        };
        let unit = params.text("Unit").unwrap_or("None").to_owned();
        Ok(Self { id: MetricId::new(namespace, &name, dimensions(params)?), unit, time, samples: samples(params)? })
    }
}

/// Exactly one of `Value`, `Values` with `Counts`, and `StatisticValues`.
fn samples(params: &Params) -> Result<Samples, ApiError> {
    let value = params.float("Value")?;
    let values = floats(params, "Values")?;
    let set = params.map("StatisticValues");
    match (value, values.is_empty(), set) {
        (Some(value), true, None) => Ok(Samples::of_values([(number("Value", value)?, 1.0)])),
        (None, false, None) => {
            let counts = floats(params, "Counts")?;
            if values.len() > VALUES_MAX {
                return Err(invalid(format!("The collection Values must not have a size greater than {VALUES_MAX}.")));
            }
            if !counts.is_empty() && counts.len() != values.len() {
                return Err(invalid("The parameters Values and Counts must have the same number of elements."));
            }
            for (value, count) in values.iter().zip(&counts) {
                number("Values", *value)?;
                if !count.is_finite() || *count < 0.0 {
                    return Err(invalid("The parameter Counts must not contain negative values."));
                }
            }
            values.iter().try_for_each(|value| number("Values", *value).map(|_| ()))?;
            let counts = counts.into_iter().chain(std::iter::repeat(1.0));
            Ok(Samples::of_values(values.into_iter().zip(counts)))
        }
        (None, true, Some(set)) => statistic_set(&set),
        (None, true, None) => Err(ApiError::missing("MetricData.Value")),
        _ => Err(ApiError::new(
            "InvalidParameterCombination",
            "The parameters MetricData.Value, MetricData.Values and MetricData.StatisticValues are mutually exclusive and you have specified more than one.",
        )),
    }
}

fn statistic_set(set: &Params) -> Result<Samples, ApiError> {
    let field = |name: &str| {
        let value = set.float(name)?.ok_or_else(|| ApiError::missing(&format!("StatisticValues.{name}")))?;
        number(name, value)
    };
    let (count, sum, min, max) = (field("SampleCount")?, field("Sum")?, field("Minimum")?, field("Maximum")?);
    if count < 0.0 || min > max {
        return Err(invalid("The parameter MetricData.StatisticValues is not consistent."));
    }
    Ok(Samples::of_set(count, sum, min, max))
}

fn number(name: &str, value: f64) -> Result<f64, ApiError> {
    if value.is_finite() && value.abs() <= 2f64.powi(VALUE_EXPONENT_MAX) {
        return Ok(value);
    }
    Err(invalid(format!("The value {value} for parameter MetricData.{name} is invalid.")))
}

#[cfg(test)]
mod tests {
    use super::super::statistics::Statistic;
    use super::*;
    use crate::region::wire::Value;

    fn now() -> Timestamp {
        "2026-11-21T10:00:30Z".parse().unwrap()
    }

    fn put(datum: Value) -> Result<Store, ApiError> {
        let mut store = Store::default();
        let params = Params(vec![("Namespace".into(), "App".into()), ("MetricData".into(), Value::list([datum]))]);
        put_metric_data(&mut store, now(), &params).map(|()| store)
    }

    fn datum() -> Value {
        Value::map().with("MetricName", Value::from("Queue"))
    }

    fn sum(store: &Store) -> Option<f64> {
        let id = MetricId::new("App", "Queue", Vec::new());
        let minute = now().as_second() - 30;
        store.statistic(&id, minute..minute + 1, Statistic::Sum)
    }

    #[test]
    fn values_with_counts_are_stamped_with_their_minute() {
        let texts = |items: &[&str]| Value::list(items.iter().map(|item| Value::from(*item)));
        let store = put(datum().with("Values", texts(&["1", "2.5"])).with("Counts", texts(&["2", "4"]))).unwrap();
        assert_eq!(sum(&store), Some(12.0));
    }

    #[test]
    fn wrong_data_are_refused_with_awss_codes() {
        let set = Value::map().with("SampleCount", Value::Int(1)).with("Sum", Value::Int(1));
        let number = |value: f64| datum().with("Value", Value::Float(value));
        let cases = [
            (datum(), "MissingParameter"),
            (number(f64::NAN), "InvalidParameterValue"),
            (number(1e109), "InvalidParameterValue"),
            (number(1.0).with("Timestamp", Value::from("2026-11-01T00:00:00Z")), "InvalidParameterValue"),
            (number(1.0).with("StorageResolution", Value::Int(5)), "InvalidParameterValue"),
            (number(1.0).with("StatisticValues", set), "InvalidParameterCombination"),
        ];
        for (datum, code) in cases {
            assert_eq!(put(datum.clone()).err().map(|error| error.code).as_deref(), Some(code), "{datum:?}");
        }
    }
}
