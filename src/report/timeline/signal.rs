//! The bands of signals: the metric that each policy follows, the thresholds of its alarms, and the periods that called for more.

use maud::{Markup, html};

use super::latency::names;
use super::{APART, HEAD, Step, Time, base, shortened, steps};
use crate::chart::drawing::{Axis, LEFT, line, points, px, text};
use crate::result::figures;
use crate::result::record::{RunResult, Signal, Threshold};

const HEIGHT: f64 = 52.0;
/// More policies than these have their alarms only.
const SIGNALS_MAX: usize = 4;
const NAME_CHARACTERS_MAX: usize = 60;

/// Those of a cluster that had a value during the run.
pub fn of<'a>(run: &'a RunResult, cluster: &str) -> Vec<&'a Signal> {
    let all = run.cloud.iter().flat_map(|cloud| &cloud.signals);
    all.filter(|signal| signal.cluster == cluster && !signal.points.is_empty()).take(SIGNALS_MAX).collect()
}

/// All of them, and where they end.
pub fn draw(time: Time, signals: &[&Signal], index: usize, mut y: f64) -> (Markup, f64) {
    let drawn = html! {
        @for signal in signals {
            @let (band, end) = band(time, signal, index, y);
            (band)
            @let () = y = end;
        }
    };
    (drawn, y)
}

fn band(time: Time, signal: &Signal, index: usize, y: f64) -> (Markup, f64) {
    let values = signal.points.iter().map(|(_, value)| *value);
    let top = values.chain(signal.thresholds.iter().map(|limit| limit.value)).fold(0.0, f64::max);
    let axis = Axis::linear(y + HEAD, HEIGHT, top);
    let name = shortened(&format!("{}: {}", signal.policy, signal.metric), NAME_CHARACTERS_MAX);
    let breaching =
        signal.points.iter().filter(|(_, value)| signal.thresholds.iter().any(|limit| calls_for_more(limit, *value)));
    let limit =
        |limit: &Threshold| (axis.y(limit.value), format!("{} {}", limit.comparison, figures::short(limit.value)));
    let limits: Vec<(f64, String)> = signal.thresholds.iter().map(limit).collect();
    let drawn = html! {
        (text("unit", LEFT, y + 12.0, &name))
        (axis.draw(time.canvas, figures::short))
        @for (at, _) in breaching {
            @let (left, right) = (time.x(*at), time.x(at + signal.period_seconds));
            rect class="breach" x=(px(left)) y=(px(axis.top)) width=(px(right - left)) height=(px(axis.height)) {}
        }
        @for limit in &signal.thresholds {
            (line("mark", LEFT, axis.y(limit.value), time.canvas.end(), axis.y(limit.value)))
        }
        @for run in unbroken(signal) {
            polyline class=(format!("curve s{}", index % 6)) points=(points(&steps(time, &axis, &run))) {}
        }
        (names(time, limits.iter().map(|(y, name)| (*y, name.as_str())).collect(), axis.top + axis.height))
        (base(time.canvas, &axis))
    };
    (drawn, axis.top + axis.height + APART)
}

/// What it was at a time.
pub fn at(signal: &Signal, at: f64) -> Option<f64> {
    let found = signal.points.iter().rev().find(|(from, _)| *from <= at);
    found.filter(|(from, _)| at < from + signal.period_seconds).map(|(_, value)| *value)
}

/// Whether a value is beyond a threshold that is passed upwards: below the others it is quiet.
fn calls_for_more(limit: &Threshold, value: f64) -> bool {
    match limit.comparison.as_str() {
        ">" => value > limit.value,
        "≥" => value >= limit.value,
        _ => false,
    }
}

/// The points as steps of a period each, taken apart where periods are missing.
fn unbroken(signal: &Signal) -> Vec<Vec<Step>> {
    let mut runs: Vec<Vec<Step>> = Vec::new();
    for (at, value) in &signal.points {
        let step = (*at, at + signal.period_seconds, *value);
        match runs.last_mut().filter(|run| run.last().is_some_and(|last| (last.1 - at).abs() < 0.5)) {
            Some(run) => run.push(step),
            None => runs.push(vec![step]),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(points: &[(f64, f64)]) -> Signal {
        let limit = |label: &str, comparison: &str, value: f64| Threshold {
            label: label.into(),
            comparison: comparison.into(),
            value,
        };
        Signal {
            cluster: "web".into(),
            policy: "cpu".into(),
            metric: "CPUUtilization".into(),
            period_seconds: 60.0,
            points: points.to_vec(),
            thresholds: vec![limit("high", ">", 50.0), limit("low", "<", 35.0)],
        }
    }

    #[test]
    fn a_missing_period_is_a_gap() {
        let runs = unbroken(&signal(&[(-20.0, 10.0), (40.0, 60.0), (160.0, 70.0)]));
        let values = [39.0, 40.0, 100.0].map(|second| at(&signal(&[(-20.0, 10.0), (40.0, 60.0)]), second));
        assert_eq!(values, [Some(10.0), Some(60.0), None]);
        assert_eq!(runs, [vec![(-20.0, 40.0, 10.0), (40.0, 100.0, 60.0)], vec![(160.0, 220.0, 70.0)]]);
    }

    #[test]
    fn only_what_is_beyond_an_upper_threshold_calls_for_more() {
        let limits = signal(&[]).thresholds;
        let beyond = [50.0, 50.1, 10.0].map(|value| limits.iter().any(|limit| calls_for_more(limit, value)));
        assert_eq!(beyond, [false, true, false]);
        let least = Threshold { comparison: "≥".into(), ..limits[0].clone() };
        assert!(calls_for_more(&least, 50.0));
    }
}
