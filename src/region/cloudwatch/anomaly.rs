//! What a metric usually is: `band = mean ± factor × deviation` of what was seen at the same hour.
//!
//! AWS does not publish its model; this one is simple enough to be checked by hand. It looks back two weeks, as AWS's does.
//! An hour of the week that was seen in two of them is judged by itself. Otherwise an hour of the day that was seen on three days
//! is, and before that all points together are the measure, so that a band is there within the first rehearsal.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::statistics::Statistic;
use super::store::{MetricId, Store};
use super::wire::bounded;
use crate::region::wire::{ApiError, Params, Value};

/// How far back is looked (user guide, "Using CloudWatch anomaly detection").
const HISTORY_SECONDS: i64 = 14 * 86_400;
/// Fewer points say nothing about what is usual.
const POINTS_MIN: f64 = 15.0;
/// On so many days an hour of the week, or of the day, must have been seen.
const WEEKS_MIN: u32 = 2;
const DAYS_MIN: u32 = 3;
/// A metric that never changes has a band none the less, wider than what adding numbers up loses.
const WIDTH_MIN: f64 = 1e-9;

/// Numbers and what they come to, without keeping them.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
struct Moments {
    count: f64,
    mean: f64,
    /// The sum of the squares of the distances from the mean.
    squares: f64,
    /// On how many days, and the last of them.
    days: u32,
    day: i64,
}

impl Moments {
    /// Numbers come in the order of time.
    fn add(&mut self, value: f64, day: i64) {
        if self.days == 0 || self.day != day {
            self.days += 1;
            self.day = day;
        }
        self.count += 1.0;
        let distance = value - self.mean;
        self.mean += distance / self.count;
        self.squares += distance * (value - self.mean);
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.count).sqrt().max(self.mean.abs() * WIDTH_MIN)
    }
}

/// The usual course of a metric, as one statistic and period show it.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Course {
    /// By the hour of the week and of the day.
    weekly: BTreeMap<i64, Moments>,
    daily: BTreeMap<i64, Moments>,
    all: Moments,
    zone: Option<String>,
}

/// Which course: of a metric, a statistic as it is written, and a period.
pub type Of = (MetricId, String, i64);

/// A time as models count it: which day, and which hour of it and of its week.
fn place(second: i64, zone: &TimeZone) -> (i64, i64, i64) {
    let offset = Timestamp::from_second(second).map_or(0, |time| i64::from(zone.to_offset(time).seconds()));
    let local = second + offset;
    let (day, hour) = (local.div_euclid(86_400), local.rem_euclid(86_400) / 3_600);
    (day, hour, day.rem_euclid(7) * 24 + hour)
}

impl Course {
    /// Learns from points in the order of time; those of excluded ranges are left out.
    fn of(points: impl IntoIterator<Item = (i64, f64)>, excluded: &[Range<i64>], zone: Option<&str>) -> Self {
        let mut course = Self { zone: zone.map(str::to_owned), ..Self::default() };
        let zone = course.zone();
        for (second, value) in points {
            if excluded.iter().any(|range| range.contains(&second)) {
                continue;
            }
            let (day, hour, hour_of_week) = place(second, &zone);
            course.weekly.entry(hour_of_week).or_default().add(value, day);
            course.daily.entry(hour).or_default().add(value, day);
            course.all.add(value, day);
        }
        course
    }

    fn zone(&self) -> TimeZone {
        self.zone.as_deref().and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC)
    }

    /// Enough was seen.
    pub fn is_trained(&self) -> bool {
        self.all.count >= POINTS_MIN
    }

    /// The band (lower, upper) at a time; `None` where too little was seen.
    pub fn band(&self, second: i64, factor: f64) -> Option<(f64, f64)> {
        if !self.is_trained() {
            return None;
        }
        let (_, hour, hour_of_week) = place(second, &self.zone());
        let weekly = self.weekly.get(&hour_of_week).filter(|it| it.days >= WEEKS_MIN);
        let seen = weekly.or_else(|| self.daily.get(&hour).filter(|it| it.days >= DAYS_MIN)).unwrap_or(&self.all);
        let width = factor * seen.deviation();
        Some((seen.mean - width, seen.mean + width))
    }
}

/// What `PutAnomalyDetector` says.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Detector {
    pub id: String,
    pub metric: MetricId,
    /// As it was written.
    pub statistic: String,
    excluded: Vec<Range<i64>>,
    zone: Option<String>,
    pub configuration: Option<Params>,
    pub characteristics: Option<Params>,
}

impl Detector {
    /// # Errors
    /// `InvalidParameterValue` for a zone that IANA does not know and for ranges that end before they begin.
    pub fn parse(id: String, (metric, statistic): (MetricId, String), params: &Params) -> Result<Self, ApiError> {
        let configuration = params.map("Configuration");
        let invalid = |message: String| ApiError::new("InvalidParameterValue", message);
        let zone = configuration.as_ref().and_then(|it| it.text("MetricTimezone")).map(str::to_owned);
        if let Some(zone) = zone.as_deref().filter(|zone| TimeZone::get(zone).is_err()) {
            return Err(invalid(format!("The time zone {zone} is not valid.")));
        }
        let mut excluded = Vec::new();
        for range in configuration.iter().flat_map(|it| it.maps("ExcludedTimeRanges")) {
            let time = |name: &str| range.time(name)?.ok_or_else(|| ApiError::missing(name));
            let (start, end) = (time("StartTime")?, time("EndTime")?);
            if start >= end {
                return Err(invalid(format!("The excluded time range {start} to {end} is empty.")));
            }
            excluded.push(start.as_second()..end.as_second());
        }
        let characteristics = params.map("MetricCharacteristics");
        Ok(Self { id, metric, statistic, excluded, zone, configuration, characteristics })
    }

    pub fn value(&self, is_trained: bool) -> Value {
        let dimensions = || super::wire::dimensions_value(&self.metric);
        let text = |text: &str| Value::from(text);
        let single = Value::map()
            .with("Namespace", text(&self.metric.namespace))
            .with("MetricName", text(&self.metric.name))
            .with("Dimensions", dimensions())
            .with("Stat", text(&self.statistic));
        let map = |params: &Option<Params>| params.as_ref().map(|params| Value::Map(params.0.clone()));
        Value::map()
            .with("AnomalyDetectorId", text(&self.id))
            .with("Namespace", text(&self.metric.namespace))
            .with("MetricName", text(&self.metric.name))
            .with("Dimensions", dimensions())
            .with("Stat", text(&self.statistic))
            .with("Configuration", map(&self.configuration))
            .with("MetricCharacteristics", map(&self.characteristics))
            .with("StateValue", text(if is_trained { "TRAINED" } else { "TRAINED_INSUFFICIENT_DATA" }))
            .with("SingleMetricAnomalyDetector", single)
    }
}

/// The metric and statistic that a request on detectors names: within `SingleMetricAnomalyDetector`, or outside as it was once.
///
/// # Errors
/// `InvalidParameterCombination` for both.
pub fn named(params: &Params) -> Result<(MetricId, String), ApiError> {
    let single = params.map("SingleMetricAnomalyDetector");
    if single.is_some() && ["Namespace", "MetricName", "Stat"].iter().any(|name| params.text(name).is_some()) {
        let message = "SingleMetricAnomalyDetector cannot be used together with the parameters that it replaces.";
        return Err(ApiError::new("InvalidParameterCombination", message));
    }
    let from = single.as_ref().unwrap_or(params);
    let text = bounded(from, "Stat", 50)?;
    super::wire::statistic(&text)?;
    Ok((super::wire::metric(from)?, text))
}

/// The detectors, and the courses that alarms need at each evaluation.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Anomalies {
    pub detectors: Vec<Detector>,
    courses: BTreeMap<Of, Course>,
}

impl Anomalies {
    fn detector(&self, metric: &MetricId, statistic: &str) -> Option<&Detector> {
        self.detectors.iter().find(|it| it.metric == *metric && it.statistic == statistic)
    }

    /// The course that was learnt last.
    pub fn course(&self, of: &Of) -> Option<&Course> {
        self.courses.get(of)
    }

    /// What was learnt of these from now on; of all others, nothing.
    pub fn keep(&mut self, courses: BTreeMap<Of, Course>) {
        self.courses = courses;
    }
}

/// Learns the course of a metric from the two weeks before `now`.
pub fn learn(store: &Store, anomalies: &Anomalies, of: &Of, now: Timestamp) -> Course {
    let (metric, text, period) = of;
    let detector = anomalies.detector(metric, text);
    let excluded = detector.map_or(&[] as &[Range<i64>], |it| &it.excluded);
    let zone = detector.and_then(|it| it.zone.as_deref());
    let Some(statistic) = Statistic::parse(text) else { return Course::default() };
    let end = now.as_second().div_euclid(*period) * period;
    let periods = store.periods(metric, None, end - HISTORY_SECONDS / period * period..end, *period);
    let points = periods.into_iter().filter_map(|(second, samples)| Some((second, samples.get(statistic)?)));
    Course::of(points, excluded, zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;
    const DAY: i64 = 24 * HOUR;

    fn close(band: Option<(f64, f64)>, lower: f64, upper: f64) -> bool {
        band.is_some_and(|(low, high)| (low - lower).abs() < 1e-6 && (high - upper).abs() < 1e-6)
    }

    /// Eight and twelve by turns: the mean is 10, and the deviation 2.
    #[test]
    fn the_band_is_the_mean_and_so_many_deviations() {
        let points = (0..20).map(|minute| (minute * 60, if minute % 2 == 0 { 8.0 } else { 12.0 }));
        let course = Course::of(points.clone(), &[], None);
        assert!(close(course.band(0, 1.0), 8.0, 12.0));
        assert!(close(course.band(5 * DAY, 3.0), 4.0, 16.0));
        assert_eq!(Course::of(points.take(14), &[], None).band(0, 2.0), None, "too few");
    }

    #[test]
    fn hours_of_the_day_are_told_apart_after_three_days_and_those_of_the_week_after_two_weeks() {
        let by_day = |day: i64, hour: i64| if hour == 9 { 100.0 + f64::from(u8::from(day % 7 == 2)) } else { 10.0 };
        let course = |days: i64| {
            let points = (0..days * 24).map(|at| (at * HOUR, by_day(at / 24, at % 24)));
            Course::of(points, &[], None)
        };
        let mean = |course: &Course, at: i64| {
            let (low, high) = course.band(at, 0.0).unwrap();
            (low + high) / 2.0
        };
        assert!(mean(&course(2), 9 * HOUR) < 20.0, "all hours together");
        assert_eq!(mean(&course(3), 10 * DAY + 10 * HOUR), 10.0);
        assert!(mean(&course(3), 10 * DAY + 9 * HOUR) >= 100.0);
        assert_eq!(mean(&course(14), 16 * DAY + 9 * HOUR), 101.0, "that day of the week");
        assert_eq!(mean(&course(14), 17 * DAY + 9 * HOUR), 100.0);
    }

    #[test]
    fn excluded_ranges_are_not_learnt_from_and_hours_are_those_of_the_zone() {
        let points = (0..100).map(|minute| (minute * 60, if minute < 50 { 1.0 } else { 1_000.0 }));
        let course = Course::of(points, std::slice::from_ref(&(50 * 60..100 * 60)), None);
        assert!(close(course.band(0, 2.0), 1.0, 1.0));
        let (day, hour, _) = place(2 * HOUR, &TimeZone::get("America/Toronto").unwrap());
        assert_eq!((day, hour), (-1, 21));
    }
}
