//! An alarm as a view shows it: the value now, how far from the threshold, and how many of its points breach.
//!
//! CloudWatch reports an alarm's datapoints when its state changes only. Between changes the metric itself is read, in
//! the alarm's own periods, and judged as the alarm judges it: M of the last N periods.

use jiff::Timestamp;
use serde::Serialize;

use super::series::{Point, Series};
use crate::cloud::alarms::{self, Alarm, Comparison};
use crate::cloud::state::AlarmState;

/// An alarm, as it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlarmView {
    pub name: String,
    pub cluster: String,
    /// `high`, `low`, or what the stack calls it.
    pub label: String,
    pub policy: String,
    pub metric: String,
    pub state: AlarmState,
    /// `>`
    pub sign: &'static str,
    pub threshold: f64,
    /// Seconds
    pub period: i64,
    /// The newest period that is over; `None` where CloudWatch has none yet.
    pub value: Option<f64>,
    /// How far the value is beyond the threshold, in percent of it; negative on the quiet side.
    pub distance: Option<f64>,
    /// The last N points, oldest first; `None` where there is none.
    pub points: Vec<Option<f64>>,
    /// How many of them breach.
    pub breaching: usize,
    pub to_alarm: usize,
    pub periods: usize,
    /// By the alarm's period, those that are over.
    pub series: Vec<Point>,
}

/// Judges an alarm by its metric.
pub fn view(alarm: &Alarm, series: &Series, now: Timestamp) -> AlarmView {
    let complete = series.complete(now, alarm.period);
    let points = last_points(complete, alarm);
    let breaches = |value: &f64| alarm.comparison.breaches(*value, alarm.threshold);
    let breaching = points.iter().flatten().filter(|value| breaches(value)).count();
    let value = points.iter().rev().find_map(|point| *point);
    let beyond = |value: f64| match alarm.comparison {
        Comparison::Above | Comparison::AtLeast => value - alarm.threshold,
        Comparison::Below | Comparison::AtMost => alarm.threshold - value,
    };
    AlarmView {
        name: alarm.name.clone(),
        cluster: alarm.cluster.clone(),
        label: alarms::label(&alarm.name).to_owned(),
        policy: alarm.policy.clone(),
        metric: alarm.metric.clone(),
        state: alarm.state.clone(),
        sign: alarm.comparison.sign(),
        threshold: alarm.threshold,
        period: alarm.period,
        value,
        distance: value.filter(|_| alarm.threshold != 0.0).map(|value| beyond(value) / alarm.threshold.abs() * 100.0),
        points,
        breaching,
        to_alarm: alarm.to_alarm,
        periods: alarm.periods,
        series: complete.to_vec(),
    }
}

/// The last N periods up to the newest with a value.
fn last_points(complete: &[Point], alarm: &Alarm) -> Vec<Option<f64>> {
    let Some(newest) = complete.last() else { return Vec::new() };
    let value = |start: i64| complete.iter().rev().find(|point| point.0 == start).map(|point| point.1);
    let back = i64::try_from(alarm.periods).unwrap_or(i64::MAX);
    let points = (0..back).rev().map(|ago| value(newest.0 - ago * alarm.period));
    // Before its first point nothing is missing.
    points.skip_while(Option::is_none).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(comparison: Comparison, threshold: f64, (to_alarm, periods): (usize, usize)) -> Alarm {
        Alarm {
            cluster: "web".into(),
            policy: "cpu".into(),
            name: "TargetTracking-cs-s--web-AlarmHigh-1".into(),
            metric: "CPUUtilization".into(),
            state: "OK".into(),
            comparison,
            threshold,
            period: 60,
            periods,
            to_alarm,
            since: None,
        }
    }

    fn series(points: &[(i64, f64)]) -> Series {
        let mut series = Series::default();
        series.merge(&points.iter().map(|(at, value)| Point(*at, *value)).collect::<Vec<_>>());
        series
    }

    #[test]
    fn the_distance_is_beyond_the_threshold_and_the_points_are_those_of_the_last_periods() {
        let now = Timestamp::from_second(300).unwrap();
        // The minute of 300 still fills.
        let series = series(&[(0, 10.0), (120, 40.0), (180, 60.0), (240, 75.0), (300, 1.0)]);
        let high = view(&alarm(Comparison::Above, 50.0, (2, 3)), &series, now);
        assert_eq!((high.label.as_str(), high.value, high.distance), ("high", Some(75.0), Some(50.0)));
        assert_eq!((high.points, high.breaching), (vec![Some(40.0), Some(60.0), Some(75.0)], 2));
        let low = view(&alarm(Comparison::Below, 35.0, (5, 5)), &series, now);
        assert_eq!(low.points, [Some(10.0), None, Some(40.0), Some(60.0), Some(75.0)]);
        assert_eq!((low.breaching, low.distance.unwrap().round()), (1, -114.0));
        let none = view(&alarm(Comparison::Above, 50.0, (3, 3)), &Series::default(), now);
        assert_eq!((none.value, none.distance, none.breaching), (None, None, 0));
    }
}
