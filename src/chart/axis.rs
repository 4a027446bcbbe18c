//! Where an axis has its ticks, and what they say.

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::seconds;

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub at: f64,
    pub label: String,
}

/// A vertical axis: the range it covers, and its ticks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    pub min: f64,
    pub max: f64,
    pub ticks: Vec<Tick>,
}

/// More ticks than fit on any picture: a bound for hostile ranges.
const TICKS_MAX: usize = 400;

/// A scale over `low..=high` in about `count` steps, widened to whole steps where an end is not fixed.
pub(super) fn scale(low: f64, high: f64, fixed: (Option<f64>, Option<f64>), count: f64) -> Scale {
    let (mut min, mut max) = (fixed.0.unwrap_or(low), fixed.1.unwrap_or(high));
    if max <= min {
        // One value, or nonsense from outside: open the range on a side that is free.
        let room = if min == 0.0 { 1.0 } else { min.abs() * 0.1 };
        (min, max) = if fixed.1.is_some() && fixed.0.is_none() { (max - room, max) } else { (min, min + room) };
    }
    let step = step(max - min, count);
    if fixed.0.is_none() {
        min = (min / step + 1e-9).floor() * step;
    }
    if fixed.1.is_none() {
        max = (max / step - 1e-9).ceil() * step;
    }
    let first = (min / step - 1e-9).ceil();
    let greatest = min.abs().max(max.abs());
    let mut ticks = Vec::new();
    while ticks.len() < TICKS_MAX {
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let at = (first + ticks.len() as f64) * step;
        if !at.is_finite() || at > max + step * 1e-6 {
            break;
        }
        ticks.push(Tick { at, label: number(at, step, greatest) });
    }
    Scale { min, max, ticks }
}

/// The round step (1, 2, 2.5, 5 × 10ⁿ) that cuts `range` into at most about `count`.
fn step(range: f64, count: f64) -> f64 {
    let rough = range / count.max(1.0);
    let power = 10f64.powf(rough.log10().floor());
    // Steps of 2.5 only where they stay whole: 25, 250.
    let choices: &[f64] = if power >= 10.0 { &[1.0, 2.0, 2.5, 5.0] } else { &[1.0, 2.0, 5.0] };
    let factor = choices.iter().copied().find(|factor| factor * power >= rough * (1.0 - 1e-9)).unwrap_or(10.0);
    factor * power
}

/// `value` as a label of an axis with this step, whose greatest number decides the SI prefix for all labels.
fn number(value: f64, step: f64, greatest: f64) -> String {
    let (unit, suffix) = si(greatest);
    if greatest < 1e-3 {
        return if value == 0.0 { "0".to_owned() } else { format!("{value:.0e}") };
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0–9")]
    let decimals = (-(step / unit * 1.000_001).log10()).ceil().clamp(0.0, 9.0) as usize;
    let two_and_a_half = (step / unit * 10f64.powi(i32::try_from(decimals).unwrap_or(0))).fract() > 0.4;
    let text = format!("{:.*}", decimals + usize::from(two_and_a_half && unit > 1.0), value / unit);
    // Rounding may leave "-0".
    if text.trim_start_matches(['-', '0', '.']).is_empty() { "0".to_owned() } else { format!("{text}{suffix}") }
}

/// The SI prefix for numbers up to `greatest`; plain digits up to 9999.
fn si(greatest: f64) -> (f64, &'static str) {
    [(1e12, "T"), (1e9, "G"), (1e6, "M")]
        .into_iter()
        .find(|(unit, _)| greatest >= *unit)
        .unwrap_or(if greatest >= 1e4 { (1e3, "k") } else { (1.0, "") })
}

/// A value on its own, with at most three decimals: for bars and wedges.
pub(super) fn value(value: f64) -> String {
    let (unit, suffix) = si(value.abs());
    let text = format!("{:.3}", value / unit);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{}{suffix}", if text == "-0" { "0" } else { text })
}

/// Steps of a time axis, in seconds: from a second to a year.
const TIME_STEPS: [i64; 28] = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10_800,
    21_600,
    43_200,
    DAY,
    2 * DAY,
    3 * DAY,
    7 * DAY,
    14 * DAY,
    28 * DAY,
    56 * DAY,
    91 * DAY,
    182 * DAY,
    364 * DAY,
    3640 * DAY,
];
const DAY: i64 = 86_400;

/// The ticks of a time axis, at least `spacing` seconds apart, on whole steps of local time.
pub(super) fn time_ticks(start: Timestamp, end: Timestamp, offset: Offset, spacing: f64) -> Vec<Tick> {
    #[expect(clippy::cast_precision_loss, reason = "at most ten years of seconds")]
    let step = TIME_STEPS.into_iter().find(|step| *step as f64 >= spacing).unwrap_or(3640 * DAY);
    let shift = i64::from(offset.seconds());
    let first = (start.as_second() + shift + step - 1).div_euclid(step) * step - shift;
    let mut ticks = Vec::new();
    let mut at = first;
    while at <= end.as_second() && ticks.len() < TICKS_MAX {
        if let Ok(time) = Timestamp::from_second(at)
            && time >= start
        {
            ticks.push(Tick { at: seconds(time), label: time_label(time, step, offset) });
        }
        at += step;
    }
    ticks
}

/// `14:05`, `14:05:30` for steps below a minute, `11/21` for whole days and for midnight.
fn time_label(time: Timestamp, step: i64, offset: Offset) -> String {
    let local = offset.to_datetime(time);
    let midnight = local.hour() == 0 && local.minute() == 0 && local.second() == 0;
    if step >= 364 * DAY {
        local.strftime("%Y-%m").to_string()
    } else if step >= DAY || (midnight && step >= 3600) {
        local.strftime("%m/%d").to_string()
    } else if step >= 60 {
        local.strftime("%H:%M").to_string()
    } else {
        local.strftime("%H:%M:%S").to_string()
    }
}

/// How many characters the labels of a time axis of this length have: to find the spacing before the step is known.
pub(super) fn time_label_example(length: SignedDuration, ticks: f64) -> &'static str {
    if length.as_secs_f64() / ticks.max(1.0) < 60.0 { "00:00:00" } else { "00:00" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    fn labels_of(scale: Scale) -> Vec<String> {
        scale.ticks.into_iter().map(|tick| tick.label).collect()
    }

    /// Digits up to 9999, at most three decimals, and no zero with a sign.
    #[test]
    fn a_value_on_its_own_has_the_prefix_that_fits_it() {
        let shown = [0.0, -0.0004, 0.25, 1234.5, 9999.0, 10_000.0, 1e6, 2.5e9, -3e12].map(value);
        assert_eq!(shown, ["0", "0", "0.25", "1234.5", "9999", "10k", "1M", "2.5G", "-3T"]);
    }

    #[test]
    fn a_scale_is_widened_to_whole_steps() {
        let scale = scale(0.0, 47.0, (None, None), 5.0);
        assert_eq!((scale.min, scale.max), (0.0, 50.0));
        assert_eq!(labels(&scale.ticks), ["0", "10", "20", "30", "40", "50"]);
    }

    #[test]
    fn labels_of_one_scale_share_their_prefix_and_decimals() {
        assert_eq!(labels(&scale(0.0, 25_000.0, (None, None), 5.0).ticks), ["0", "5k", "10k", "15k", "20k", "25k"]);
        assert_eq!(labels(&scale(0.0, 0.2, (None, None), 4.0).ticks), ["0", "0.05", "0.10", "0.15", "0.20"]);
        assert_eq!(labels(&scale(0.0, 1e6, (None, None), 4.0).ticks), ["0", "0.25M", "0.50M", "0.75M", "1.00M"]);
        let of_step = |high, count| labels_of(scale(0.0, high, (None, Some(high)), count));
        assert_eq!(of_step(9999.0, 2.0), ["0", "5000"]);
        assert_eq!(of_step(10_000.0, 2.0), ["0", "5k", "10k"]);
        assert_eq!(of_step(1000.0, 4.0), ["0", "250", "500", "750", "1000"]);
        assert_eq!(of_step(10.0, 4.0), ["0", "5", "10"], "no steps of 2.5");
        assert_eq!(labels_of(scale(-20.0, 20.0, (None, None), 4.0)), ["-20", "-10", "0", "10", "20"]);
        assert_eq!(labels(&scale(0.0, 4e-5, (None, None), 2.0).ticks), ["0", "2e-5", "4e-5"]);
    }

    #[test]
    fn fixed_ends_stay_and_a_constant_series_still_has_a_range() {
        let fixed = scale(0.0, 0.0, (Some(0.0), Some(100.0)), 4.0);
        assert_eq!((fixed.min, fixed.max), (0.0, 100.0));
        let constant = scale(5.0, 5.0, (None, None), 4.0);
        assert!(constant.min < constant.max);
        let reversed = scale(0.0, 1.0, (Some(10.0), Some(1.0)), 4.0);
        assert!(reversed.min < reversed.max);
        // Room is a tenth of the value, or 1 about zero, and made on a side that is free.
        let ends = |low: f64, fixed| (scale(low, low, fixed, 4.0).min, scale(low, low, fixed, 4.0).max);
        assert_eq!(ends(50.0, (Some(50.0), None)), (50.0, 56.0));
        assert_eq!(ends(50.0, (None, Some(50.0))), (44.0, 50.0));
        assert_eq!(ends(50.0, (Some(50.0), Some(50.0))), (50.0, 55.0));
        assert_eq!(ends(0.0, (None, Some(0.0))), (-1.0, 0.0));
        assert_eq!(ends(-50.0, (Some(-50.0), Some(-50.0))), (-50.0, -45.0));
    }

    #[test]
    fn time_ticks_stand_on_whole_local_steps() {
        let (start, end) = ("2026-11-21T10:03:10Z".parse().unwrap(), "2026-11-21T11:00:00Z".parse().unwrap());
        assert_eq!(labels(&time_ticks(start, end, Offset::UTC, 700.0)), ["10:15", "10:30", "10:45", "11:00"]);
        let half = Offset::from_seconds(5 * 3600 + 1800).unwrap();
        assert_eq!(labels(&time_ticks(start, end, half, 1900.0)), ["16:00"]);
        let (start, end) = ("2026-11-21T10:00:01Z".parse().unwrap(), "2026-11-21T10:00:31Z".parse().unwrap());
        assert_eq!(labels(&time_ticks(start, end, Offset::UTC, 9.0)), ["10:00:10", "10:00:20", "10:00:30"]);
    }
}
