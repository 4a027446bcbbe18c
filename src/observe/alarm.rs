//! An alarm as a view shows it: the value now, how far from the threshold, and how many of its points breach.
//!
//! CloudWatch reports an alarm's datapoints when its state changes only. Between changes the metric itself is read, in
//! the alarm's own periods, and judged as the alarm judges it: M of the last N periods.

use jiff::Timestamp;
use serde::Serialize;

use super::cause::alarm_label;
use super::observation::{Alarm, AlarmChange, Comparison};
use super::series::{Point, Series};
use crate::cloud::state::AlarmState;

/// Points that a sentence lists; more are reported by their range.
const LISTED_MAX: usize = 5;

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
        label: alarm_label(&alarm.name).to_owned(),
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

/// A change of an alarm's state.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    pub from: AlarmState,
    pub to: AlarmState,
    /// What it saw, oldest first.
    pub values: Vec<f64>,
    /// CloudWatch's words.
    pub reason: String,
}

/// Reads `HistoryData` of a `StateUpdate`; `None` of anything else.
pub fn turn(change: &AlarmChange) -> Option<Turn> {
    let data: serde_json::Value = serde_json::from_str(&change.data).ok()?;
    let text = |state: &str, key: &str| data[state][key].as_str().map(str::to_owned);
    let reason = text("newState", "stateReason").unwrap_or_default();
    let recent = data["newState"]["stateReasonData"]["recentDatapoints"].as_array();
    let recent = recent.map(|values| values.iter().filter_map(serde_json::Value::as_f64).collect::<Vec<_>>());
    let values = recent.filter(|values| !values.is_empty()).unwrap_or_else(|| values(&reason));
    let state = |of: &str| text(of, "stateValue").map(|word| AlarmState::from(word.as_str()));
    Some(Turn { from: state("oldState")?, to: state("newState")?, values, reason })
}

/// `Threshold Crossed: 3 out of the last 3 datapoints [80.0 (05/12/24 21:24:00), 76.0 (…), 71.0 (…)] were …`: newest
/// first.
fn values(reason: &str) -> Vec<f64> {
    let list = reason.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(list, _)| list);
    let values = list.split(", ").filter_map(|entry| entry.split(' ').next()?.parse::<f64>().ok());
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.reverse();
    values
}

/// `71, 76, 80`, or `15 points of 3 to 12`.
pub fn list(values: &[f64]) -> String {
    if values.len() <= LISTED_MAX {
        return values.iter().map(|value| short(*value)).collect::<Vec<_>>().join(", ");
    }
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if short(least) == short(most) {
        return format!("{} points of {}", values.len(), short(least));
    }
    format!("{} points of {} to {}", values.len(), short(least), short(most))
}

/// Three significant digits, without zeros that say nothing: `71`, `71.2`, `0.35`, `1230`.
pub fn short(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        _ if size >= 100.0 => 0,
        _ if size >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    if decimals == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
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

    #[test]
    fn a_turn_tells_what_the_alarm_saw_oldest_first() {
        // The words and the JSON are those of DescribeAlarmHistory (CloudWatch API reference; the data of a
        // StateUpdate).
        let reason = "Threshold Crossed: 3 out of the last 3 datapoints [80.0 (05/12/24 21:26:00), 76.0 (05/12/24 21:25:00), \
             71.25 (05/12/24 21:24:00)] were greater than the threshold (50.0) (minimum 3 datapoints for OK -> ALARM transition).";
        let data = serde_json::json!({"version": "1.0", "oldState": {"stateValue": "OK"},
            "newState": {"stateValue": "ALARM", "stateReason": reason}});
        let change = |data: String| AlarmChange {
            alarm: "a".into(),
            at: Timestamp::UNIX_EPOCH,
            data,
            summary: "Alarm updated from OK to ALARM".into(),
        };
        let read = turn(&change(data.to_string())).unwrap();
        assert_eq!((read.from.as_str(), read.to.as_str(), list(&read.values)), ("OK", "ALARM", "71.2, 76, 80".into()));
        let mut data = data;
        data["newState"]["stateReasonData"] = serde_json::json!({"recentDatapoints": [1.0, 2.0]});
        assert_eq!(turn(&change(data.to_string())).unwrap().values, [1.0, 2.0]);
        assert_eq!(turn(&change(r#"{"type": "Create"}"#.into())), None);
        assert_eq!(turn(&change("no JSON".into())), None);
        assert_eq!(values("Unchecked: Initial alarm creation"), Vec::<f64>::new());
    }

    #[test]
    fn figures_are_short() {
        let shown = [71.0, 71.26, 0.351, 1234.6, 0.0, -3.0].map(short);
        assert_eq!(shown, ["71", "71.3", "0.35", "1235", "0", "-3"]);
        assert_eq!(list(&[3.0, 4.0, 12.0, 5.0, 3.0, 7.0]), "6 points of 3 to 12");
        assert_eq!(list(&[0.0; 15]), "15 points of 0");
    }
}
