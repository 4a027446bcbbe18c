//! The operations on anomaly detectors.

use jiff::Timestamp;

use super::anomaly::{self, Anomalies, Detector};
use super::store::Store;
use super::wire::{dimensions, page, page_start};
use crate::region::context::Context;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// Detectors an account may have here; AWS bounds only how many are trained at once.
const DETECTORS_MAX: usize = 500;
const PAGE: usize = 100;
/// At which period it is asked whether a detector has seen enough.
const PERIOD_SECONDS: i64 = 60;

pub fn put(anomalies: &mut Anomalies, cx: &mut Context, params: &Params) -> Answer {
    let named = anomaly::named(params)?;
    let detectors = &mut anomalies.detectors;
    let there = detectors.iter().position(|it| (&it.metric, &it.statistic) == (&named.0, &named.1));
    if there.is_none() && detectors.len() >= DETECTORS_MAX {
        let message = format!("The quota of {DETECTORS_MAX} anomaly detectors is used up.");
        return Err(ApiError::new("LimitExceeded", message));
    }
    let id = there.map_or_else(|| cx.ids.uuid(), |index| detectors[index].id.clone());
    let detector = Detector::parse(id.clone(), named, params)?;
    match there {
        Some(index) => detectors[index] = detector,
        None => detectors.push(detector),
    }
    Ok(Value::map().with("AnomalyDetectorId", Value::from(id)))
}

pub fn delete(anomalies: &mut Anomalies, params: &Params) -> Answer {
    let detectors = &mut anomalies.detectors;
    let place = match params.text("AnomalyDetectorId") {
        Some(id) => detectors.iter().position(|it| it.id == id),
        None => {
            let named = anomaly::named(params)?;
            detectors.iter().position(|it| (&it.metric, &it.statistic) == (&named.0, &named.1))
        }
    };
    let place = place.ok_or_else(|| ApiError {
        status: 404,
        ..ApiError::new("ResourceNotFoundException", "There is no such anomaly detector.")
    })?;
    detectors.remove(place);
    Ok(Value::map())
}

pub fn describe(anomalies: &Anomalies, store: &Store, now: Timestamp, params: &Params) -> Answer {
    let ids = params.texts("AnomalyDetectorIds");
    let wanted = dimensions(params)?;
    let types = params.texts("AnomalyDetectorTypes");
    let keep = |it: &&Detector| {
        (ids.is_empty() || ids.contains(&it.id.as_str()))
            && (types.is_empty() || types.contains(&"SINGLE_METRIC"))
            && params.text("Namespace").is_none_or(|namespace| namespace == it.metric.namespace)
            && params.text("MetricName").is_none_or(|name| name == it.metric.name)
            && wanted.iter().all(|dimension| it.metric.dimensions().contains(dimension))
    };
    let show = |it: &Detector| {
        let of = (it.metric.clone(), it.statistic.clone(), PERIOD_SECONDS);
        it.value(anomaly::learn(store, anomalies, &of, now).is_trained())
    };
    let size = params.int("MaxResults")?.and_then(|size| usize::try_from(size).ok()).unwrap_or(PAGE);
    let shown = anomalies.detectors.iter().filter(keep).map(show).collect();
    let (shown, next) = page(shown, page_start(params)?, size.clamp(1, PAGE));
    Ok(Value::map().with("AnomalyDetectors", Value::List(shown)).with("NextToken", next))
}
