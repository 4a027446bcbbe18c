//! Predictive scaling as arithmetic: `load(hour) = mean of the same hour of the last weeks`, `capacity = load × ratio / target`.
//!
//! AWS does not publish its model; this one is simple enough to be checked by hand. The load of an hour is the mean of what was
//! seen 7 and 14 days before it. Where neither is known, it is the mean of all known loads at that hour of the day, and at an
//! hour of the day that was never seen it is 0. The ratio is what turns load into instances: `ratio × load` is the sum of
//! what all instances show of the scaling metric. For the predefined pairs it is known (a load is a sum over 60 minutes);
//! for other pairs it is measured, `Σ scaling × capacity / Σ load` over the hours of which all three are known.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::parameters::{invalid, seconds};
use super::tracking::split_label;
use crate::region::wire::{ApiError, Params, Value};

pub const HOUR: i64 = 3_600;
/// Hours of history that a forecast needs and uses, and that it tells (user guide, "How predictive scaling works").
const HISTORY_HOURS_MIN: usize = 24;
pub const HISTORY_HOURS_MAX: i64 = 14 * 24;
const FORECAST_HOURS: i64 = 48;
const WEEK_HOURS: i64 = 7 * 24;
const MINUTES: f64 = 60.0;
/// `SchedulingBufferTime`: its default, and less than an hour.
const AHEAD_SECONDS: i64 = 300;

/// The queries of one metric, as GetMetricData takes them.
pub type Queries = Vec<Params>;

/// A value by the start of its hour, in epoch seconds.
pub type Hours = BTreeMap<i64, f64>;

/// How load becomes instances.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Ratio {
    /// The load is the sum of the scaling metric over all instances and the hour's minutes.
    OfPair,
    Measured {
        scaling: Queries,
        capacity: Queries,
    },
}

/// What is told of one hour.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Expected {
    pub load: f64,
    pub capacity: i64,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Predictive {
    /// `PredictiveScalingConfiguration` as the user gave it.
    pub configuration: Params,
    pub load: Queries,
    pub ratio: Ratio,
    pub target: f64,
    /// `ForecastAndScale`
    pub scales: bool,
    /// `SchedulingBufferTime`
    pub ahead_seconds: i64,
    /// `IncreaseMaxCapacity`, with its buffer in percent.
    pub buffer: Option<i64>,
    /// By the start of the hour; the past is kept for as long as it may be asked for.
    pub hours: BTreeMap<i64, Expected>,
    /// When the forecast was made.
    pub made: Option<Timestamp>,
    pub forecast_due: Timestamp,
    /// When the next hour is acted on.
    pub act_due: Timestamp,
}

/// The start of the hour of a time.
pub fn hour_of(time: Timestamp) -> i64 {
    time.as_second().div_euclid(HOUR) * HOUR
}

/// The loads of the hours from `first` on; `None` where less than a day is known.
pub fn loads(history: &Hours, first: i64) -> Option<Hours> {
    if history.len() < HISTORY_HOURS_MIN {
        return None;
    }
    let expected = |hour: i64| {
        let weeks_ago: Vec<f64> =
            (1..=2).filter_map(|weeks| history.get(&(hour - weeks * WEEK_HOURS * HOUR))).copied().collect();
        let same_hour = history.iter().filter(|(known, _)| (hour - *known) % (24 * HOUR) == 0);
        let known = if weeks_ago.is_empty() { same_hour.map(|(_, load)| *load).collect() } else { weeks_ago };
        mean(&known).unwrap_or(0.0)
    };
    Some((0..FORECAST_HOURS).map(|index| first + index * HOUR).map(|hour| (hour, expected(hour))).collect())
}

#[expect(clippy::cast_precision_loss, reason = "hours are few")]
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// What turns load into the sum of the scaling metric over all instances; `None` where that was never seen.
pub fn measured_ratio(load: &Hours, scaling: &Hours, capacity: &Hours) -> Option<f64> {
    let (mut used, mut loaded) = (0.0, 0.0);
    for (hour, load) in load {
        if let (Some(scaling), Some(capacity)) = (scaling.get(hour), capacity.get(hour)) {
            used += scaling * capacity;
            loaded += load;
        }
    }
    (loaded > 0.0).then(|| used / loaded)
}

pub const RATIO_OF_PAIR: f64 = 1.0 / MINUTES;

/// The instances that keep the scaling metric at `target`, rounded up as target tracking does.
#[expect(clippy::cast_possible_truncation, reason = "capacities are small; saturates")]
pub fn capacity(load: f64, ratio: f64, target: f64) -> i64 {
    (load * ratio / target - 1e-9).ceil().max(0.0) as i64
}

/// The maximum of a group whose forecast wants `capacity`: "if the buffer is 10, […] the forecast capacity is 50, and the
/// maximum capacity is 40, then the effective maximum capacity is 55" (API reference, `MaxCapacityBuffer`). AWS tells no
/// rounding: up, as everywhere where it adds capacity.
pub fn effective_max(capacity: i64, max: i64, buffer: Option<i64>) -> i64 {
    let Some(percent) = buffer else { return max };
    max.max((capacity.saturating_mul(100 + percent).saturating_add(99)) / 100)
}

impl Predictive {
    /// Reads `PredictiveScalingConfiguration`.
    ///
    /// # Errors
    /// `ValidationError` for anything but one target with a load and a scaling metric, and for what does not fit together.
    pub fn parse(group: &str, configuration: Params, now: Timestamp) -> Result<Self, ApiError> {
        let specifications = configuration.maps("MetricSpecifications");
        let [specification] = specifications.as_slice() else {
            return Err(invalid("Exactly one metric specification is supported in a predictive scaling policy"));
        };
        let target = specification
            .float("TargetValue")?
            .filter(|target| target.is_finite() && *target > 0.0)
            .ok_or_else(|| invalid("TargetValue must be a number greater than 0"))?;
        let (load, ratio) = metrics(group, specification)?;
        let scales = match configuration.text("Mode").unwrap_or("ForecastOnly") {
            "ForecastOnly" => false,
            "ForecastAndScale" => true,
            other => return Err(invalid(format!("Mode {other} is not one of ForecastOnly and ForecastAndScale"))),
        };
        let ahead = seconds(&configuration, "SchedulingBufferTime", 0..=HOUR - 1)?.unwrap_or(AHEAD_SECONDS);
        let percent = seconds(&configuration, "MaxCapacityBuffer", 0..=100)?;
        let buffer = match (configuration.text("MaxCapacityBreachBehavior").unwrap_or("HonorMaxCapacity"), percent) {
            ("HonorMaxCapacity", None) => None,
            ("IncreaseMaxCapacity", Some(percent)) => Some(percent),
            ("IncreaseMaxCapacity", None) => {
                return Err(invalid("MaxCapacityBuffer is required with IncreaseMaxCapacity"));
            }
            ("HonorMaxCapacity", Some(_)) => {
                return Err(invalid("MaxCapacityBuffer can only be used with IncreaseMaxCapacity"));
            }
            (other, _) => return Err(invalid(format!("MaxCapacityBreachBehavior {other} is not known"))),
        };
        let mut parsed = Self {
            load,
            ratio,
            target,
            scales,
            ahead_seconds: ahead,
            buffer,
            hours: BTreeMap::new(),
            made: None,
            forecast_due: now,
            act_due: now,
            configuration,
        };
        parsed.plan(now);
        Ok(parsed)
    }

    /// What it asks of the metrics.
    pub fn queries(&self) -> Vec<&Queries> {
        match &self.ratio {
            Ratio::OfPair => vec![&self.load],
            Ratio::Measured { scaling, capacity } => vec![&self.load, scaling, capacity],
        }
    }

    /// The next hour is acted on so long before it begins.
    pub fn plan(&mut self, now: Timestamp) {
        let next = hour_of(now) + HOUR - self.ahead_seconds;
        let due = if next > now.as_second() { next } else { next + HOUR };
        self.act_due = Timestamp::from_second(due).unwrap_or(now);
    }

    /// The hour that is prepared for at `now`.
    pub fn hour_ahead(&self, now: Timestamp) -> i64 {
        (now.as_second() + self.ahead_seconds).div_euclid(HOUR) * HOUR
    }

    /// The least capacity at `now`: that of the hour that runs, and of the next one where that is prepared already.
    pub fn floor(&self, now: Timestamp) -> Option<i64> {
        let hours = [hour_of(now), self.hour_ahead(now)];
        hours.iter().filter_map(|hour| self.hours.get(hour)).map(|expected| expected.capacity).max()
    }
}

/// The load's queries, and how load becomes instances.
fn metrics(group: &str, specification: &Params) -> Result<(Queries, Ratio), ApiError> {
    let part = |name: &str| specification.map(name);
    let pair = part("PredefinedMetricPairSpecification");
    let scaling = (part("PredefinedScalingMetricSpecification"), part("CustomizedScalingMetricSpecification"));
    let load = (part("PredefinedLoadMetricSpecification"), part("CustomizedLoadMetricSpecification"));
    let capacity = part("CustomizedCapacityMetricSpecification");
    if capacity.is_some() && load.1.is_none() {
        return Err(invalid("CustomizedCapacityMetricSpecification needs a CustomizedLoadMetricSpecification"));
    }
    if let Some(pair) = pair {
        if scaling != (None, None) || load != (None, None) {
            return Err(invalid("A metric pair can't be combined with a scaling or load metric"));
        }
        let [load, _] = predefined(group, &pair, pair.required("PredefinedMetricType")?)?;
        return Ok((load, Ratio::OfPair));
    }
    let one = |(predefined, customized): (Option<Params>, Option<Params>), what: &str| match (predefined, customized) {
        (Some(it), None) => Ok((true, it)),
        (None, Some(it)) => Ok((false, it)),
        _ => Err(invalid(format!("A predictive scaling policy has a metric pair, or exactly one {what} metric"))),
    };
    let (scaling, load) = (one(scaling, "scaling")?, one(load, "load")?);
    let kind = |(is_predefined, it): &(bool, Params)| -> Result<Option<String>, ApiError> {
        is_predefined.then(|| it.required("PredefinedMetricType").map(str::to_owned)).transpose()
    };
    let names = (kind(&scaling)?, kind(&load)?);
    let queries = |(is_predefined, it): &(bool, Params), place: usize| {
        if *is_predefined {
            let [load, scaling] = predefined(group, it, it.required("PredefinedMetricType")?)?;
            return Ok(if place == 0 { load } else { scaling });
        }
        customized(it)
    };
    let (load_queries, scaling_queries) = (queries(&load, 0)?, queries(&scaling, 1)?);
    let is_pair = PAIRS.iter().any(|(_, of_scaling, of_load)| {
        names.0.as_deref() == Some(*of_scaling) && names.1.as_deref() == Some(*of_load)
    });
    let same_label = scaling.1.text("ResourceLabel") == load.1.text("ResourceLabel");
    let ratio = if is_pair && same_label {
        Ratio::OfPair
    } else {
        let capacity = capacity.map_or_else(|| Ok(in_service(group)), |capacity| customized(&capacity))?;
        Ratio::Measured { scaling: scaling_queries, capacity }
    };
    Ok((load_queries, ratio))
}

/// AWS's names of a pair, its scaling metric and its load metric.
const PAIRS: [(&str, &str, &str); 4] = [
    ("ASGCPUUtilization", "ASGAverageCPUUtilization", "ASGTotalCPUUtilization"),
    ("ASGNetworkIn", "ASGAverageNetworkIn", "ASGTotalNetworkIn"),
    ("ASGNetworkOut", "ASGAverageNetworkOut", "ASGTotalNetworkOut"),
    ("ALBRequestCount", "ALBRequestCountPerTarget", "ALBTargetGroupRequestCount"),
];

/// The queries of the load and of the scaling metric of which `kind` is the pair or either.
fn predefined(group: &str, specification: &Params, kind: &str) -> Result<[Queries; 2], ApiError> {
    let place = PAIRS.iter().position(|(pair, scaling, load)| [pair, scaling, load].iter().any(|name| **name == kind));
    let of_group = || vec![("AutoScalingGroupName".to_owned(), group.to_owned())];
    let of_ec2 = |name: &str| {
        [("Sum", HOUR), ("Average", HOUR)].map(|(stat, period)| vec![query("AWS/EC2", name, of_group(), stat, period)])
    };
    match place {
        Some(0) => Ok(of_ec2("CPUUtilization")),
        Some(1) => Ok(of_ec2("NetworkIn")),
        Some(2) => Ok(of_ec2("NetworkOut")),
        Some(_) => {
            let label = specification.text("ResourceLabel").unwrap_or_default();
            let (balancer, target_group) = split_label(label)
                .ok_or_else(|| invalid("ResourceLabel must be app/<name>/<id>/targetgroup/<name>/<id>"))?;
            let dimensions = vec![("TargetGroup".to_owned(), target_group), ("LoadBalancer".to_owned(), balancer)];
            Ok([("RequestCount", HOUR), ("RequestCountPerTarget", 60)]
                .map(|(name, period)| vec![query("AWS/ApplicationELB", name, dimensions.clone(), "Sum", period)]))
        }
        None => Err(invalid(format!("PredefinedMetricType {kind} is not supported for predictive scaling"))),
    }
}

/// How many instances were in service: each gives the group's CPU metric a sample a minute.
fn in_service(group: &str) -> Queries {
    let dimensions = vec![("AutoScalingGroupName".to_owned(), group.to_owned())];
    let mut samples = query("AWS/EC2", "CPUUtilization", dimensions, "SampleCount", HOUR);
    samples.0.push(("ReturnData".to_owned(), Value::Bool(false)));
    let each_minute = Value::map().with("Id", Value::from("instances")).with("Expression", Value::from("metric / 60"));
    let Value::Map(each_minute) = each_minute else { return Vec::new() };
    vec![samples, Params(each_minute)]
}

fn query(namespace: &str, name: &str, dimensions: Vec<(String, String)>, stat: &str, period: i64) -> Params {
    let dimensions = dimensions
        .into_iter()
        .map(|(name, value)| Value::map().with("Name", Value::Text(name)).with("Value", Value::Text(value)));
    let metric = Value::map()
        .with("Namespace", Value::from(namespace))
        .with("MetricName", Value::from(name))
        .with("Dimensions", Value::list(dimensions));
    let stat = Value::map().with("Metric", metric).with("Stat", Value::from(stat)).with("Period", Value::Int(period));
    Params(vec![("Id".to_owned(), Value::from("metric")), ("MetricStat".to_owned(), stat)])
}

/// `MetricDataQueries`, which have no period of their own: an hour.
fn customized(specification: &Params) -> Result<Queries, ApiError> {
    let queries = specification.maps("MetricDataQueries");
    if queries.is_empty() {
        return Err(ApiError::missing("MetricDataQueries"));
    }
    let hourly = |(name, value): (String, Value)| match value {
        Value::Map(stat) if name == "MetricStat" => (name, Value::Map(stat).with("Period", Value::Int(HOUR))),
        value => (name, value),
    };
    Ok(queries.into_iter().map(|query| Params(query.0.into_iter().map(hourly).collect())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hours counted from a Thursday's midnight.
    fn history(loads: impl IntoIterator<Item = (i64, f64)>) -> Hours {
        loads.into_iter().map(|(hour, load)| (hour * HOUR, load)).collect()
    }

    /// The example of the API reference: forecast 50, maximum 40, a buffer of 10 percent.
    #[test]
    fn the_effective_maximum_is_the_forecast_and_its_buffer() {
        assert_eq!(effective_max(50, 40, Some(10)), 55);
        assert_eq!(effective_max(50, 40, Some(0)), 50, "equal to, but not above the forecast");
        assert_eq!(effective_max(38, 40, Some(10)), 42, "close to the maximum, and rounded up");
        assert_eq!(effective_max(10, 40, Some(10)), 40, "it never falls");
        assert_eq!(effective_max(50, 40, None), 40, "honoured");
    }

    #[test]
    fn a_forecast_needs_a_day_and_repeats_it_at_first() {
        let day = |hour: i64| if hour % 24 == 9 { 600.0 } else { 60.0 };
        assert_eq!(loads(&history((0..23).map(|hour| (hour, day(hour)))), 23 * HOUR), None);
        let forecast = loads(&history((0..24).map(|hour| (hour, day(hour)))), 24 * HOUR).unwrap();
        assert_eq!(forecast, history((24..72).map(|hour| (hour, day(hour)))));
    }

    #[test]
    fn hours_of_the_week_are_told_apart_once_a_week_is_known() {
        let load = |hour: i64| if (hour / 24) % 7 == 2 { 10.0 } else { 100.0 };
        let known = history((0..10 * 24).map(|hour| (hour, load(hour))));
        let forecast = loads(&known, 8 * 24 * HOUR).unwrap();
        assert_eq!((forecast[&(8 * 24 * HOUR)], forecast[&(9 * 24 * HOUR)]), (100.0, 10.0));
        let two = history((0..14 * 24).map(|hour| (hour, if hour < WEEK_HOURS { 100.0 } else { 300.0 })));
        assert_eq!(loads(&two, 14 * 24 * HOUR).unwrap()[&(14 * 24 * HOUR)], 200.0, "the mean of both weeks");
    }

    #[test]
    fn an_hour_that_was_never_seen_has_no_load() {
        let known = history((0..48).filter(|hour| hour % 24 != 3).map(|hour| (hour, 60.0)));
        let forecast = loads(&known, 48 * HOUR).unwrap();
        assert_eq!((forecast[&(51 * HOUR)], forecast[&(52 * HOUR)]), (0.0, 60.0));
    }

    /// 6,000 requests an hour are 100 a minute: at 30 a minute for each instance that is four.
    #[test]
    fn load_becomes_instances_by_the_ratio() {
        assert_eq!(capacity(6_000.0, RATIO_OF_PAIR, 30.0), 4);
        assert_eq!(capacity(5_400.0, RATIO_OF_PAIR, 30.0), 3);
        assert_eq!(capacity(0.0, RATIO_OF_PAIR, 30.0), 0);
        let (load, scaling) = (history([(0, 100.0), (1, 300.0)]), history([(0, 20.0), (1, 30.0)]));
        let ratio = measured_ratio(&load, &scaling, &history([(0, 2.0), (1, 4.0)])).unwrap();
        assert_eq!(ratio, 0.4, "160 percent of instances for 400");
        assert_eq!(measured_ratio(&load, &scaling, &Hours::new()), None);
    }

    fn parse(fields: &[(&str, &str)], specification: Value) -> Result<Predictive, ApiError> {
        let mut all = vec![("MetricSpecifications".to_owned(), Value::list([specification]))];
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))));
        Predictive::parse("web", Params(all), "2026-01-01T10:20:00Z".parse().unwrap())
    }

    fn cpu_pair() -> Value {
        let pair = Value::map().with("PredefinedMetricType", Value::from("ASGCPUUtilization"));
        Value::map().with("TargetValue", Value::from("50")).with("PredefinedMetricPairSpecification", pair)
    }

    #[test]
    fn defaults_are_awss_and_what_does_not_fit_is_refused() {
        let parsed = parse(&[], cpu_pair()).unwrap();
        assert_eq!((parsed.scales, parsed.ahead_seconds, parsed.buffer), (false, 300, None));
        assert_eq!(parsed.act_due.to_string(), "2026-01-01T10:55:00Z");
        let increase = ("MaxCapacityBreachBehavior", "IncreaseMaxCapacity");
        assert_eq!(parse(&[increase, ("MaxCapacityBuffer", "10")], cpu_pair()).unwrap().buffer, Some(10));
        for wrong in [
            vec![increase],
            vec![("MaxCapacityBuffer", "10")],
            vec![increase, ("MaxCapacityBuffer", "101")],
            vec![("SchedulingBufferTime", "3600")],
            vec![("Mode", "Scale")],
        ] {
            assert_eq!(parse(&wrong, cpu_pair()).unwrap_err().code, "ValidationError", "{wrong:?}");
        }
        let scaling = || Value::map().with("PredefinedMetricType", Value::from("ASGAverageCPUUtilization"));
        let both = cpu_pair().with("PredefinedScalingMetricSpecification", scaling());
        let half =
            Value::map().with("TargetValue", Value::from("50")).with("PredefinedScalingMetricSpecification", scaling());
        for wrong in [both, half, Value::map().with("TargetValue", Value::from("50"))] {
            assert_eq!(parse(&[], wrong.clone()).unwrap_err().code, "ValidationError", "{wrong:?}");
        }
    }

    #[test]
    fn two_predefined_metrics_that_belong_together_are_their_pair() {
        let metric = |kind: &str| Value::map().with("PredefinedMetricType", Value::from(kind));
        let of = |scaling: &str, load: &str| {
            let specification = Value::map()
                .with("TargetValue", Value::from("50"))
                .with("PredefinedScalingMetricSpecification", metric(scaling))
                .with("PredefinedLoadMetricSpecification", metric(load));
            parse(&[], specification).unwrap()
        };
        let pair = parse(&[], cpu_pair()).unwrap();
        let both = of("ASGAverageCPUUtilization", "ASGTotalCPUUtilization");
        assert_eq!((&both.load, &both.ratio), (&pair.load, &Ratio::OfPair));
        assert!(matches!(of("ASGAverageCPUUtilization", "ASGTotalNetworkIn").ratio, Ratio::Measured { .. }));
    }
}
