//! Figures as a reader wants them: three digits, thousands, the unit that fits.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::confidence::Interval;

/// Values that a sentence lists; more are told by their range.
const LISTED_MAX: usize = 5;

/// `1234567` → `1,234,567`
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time with three significant digits: µs below a millisecond, s from ten seconds on. What rounds up to the next unit or
/// digit is written as that is.
pub fn ms(milliseconds: f64) -> String {
    match milliseconds {
        value if value > 0.0 && value < 0.9995 => format!("{} µs", (value * 1000.0).round()),
        value if value >= 9_999.5 => format!("{:.1} s", value / 1000.0),
        value if value >= 999.5 => format!("{} ms", count(value.round() as u64)),
        value => format!("{} ms", three(value)),
    }
}

/// A rate per second, without the unit.
pub fn rate(per_second: f64) -> String {
    if per_second >= 999.5 { count(per_second.round() as u64) } else { three(per_second) }
}

/// A rate on an axis.
pub fn rate_tick(per_second: f64) -> String {
    if per_second >= 10.0 { count(per_second.round() as u64) } else { format!("{per_second}") }
}

pub fn percent(value: f64) -> String {
    match value {
        value if value == 0.0 || value >= 99.95 || value == value.round() => format!("{value:.0} %"),
        value if value < 0.1 => "< 0.1 %".to_owned(),
        value => format!("{value:.1} %"),
    }
}

fn three(value: f64) -> String {
    match value {
        value if value >= 99.95 => format!("{value:.0}"),
        value if value >= 9.995 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// `1 min 5 s`
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// `, lost in minutes 2, 3 and 4 more`; nothing where none was lost.
pub fn minutes(lost: &[u32]) -> String {
    const SHOWN_MAX: usize = 8;
    if lost.is_empty() {
        return String::new();
    }
    let shown: Vec<_> = lost.iter().take(SHOWN_MAX).map(u32::to_string).collect();
    let more = lost.len().saturating_sub(SHOWN_MAX);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let noun = if lost.len() == 1 { "minute" } else { "minutes" };
    format!(", lost in {noun} {}{rest}", shown.join(", "))
}

pub fn dollars(amount: f64) -> String {
    match amount {
        0.0 => "$0".to_owned(),
        amount if amount < 0.009_95 => format!("${amount:.4}"),
        amount => format!("${amount:.2}"),
    }
}

/// `$1.04`, or `$0.42 to $1.04`
pub fn dollar_range(least: f64, most: f64) -> String {
    let (least, most) = (dollars(least), dollars(most));
    if least == most { least } else { format!("{least} to {most}") }
}

/// `21 November 2026, 21:45:12 UTC`
pub fn time(timestamp: Timestamp) -> String {
    timestamp.to_zoned(TimeZone::UTC).strftime("%-d %B %Y, %H:%M:%S UTC").to_string()
}

pub fn interval(interval: Interval) -> String {
    let (low, high) = (ms(interval.low), ms(interval.high));
    let unit = |text: &str| text.split_once(' ').map(|(_, unit)| unit.to_owned());
    match low.split_once(' ') {
        _ if low == high => low,
        Some((number, _)) if unit(&low) == unit(&high) => format!("{number}–{high}"),
        _ => format!("{low}–{high}"),
    }
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

    #[test]
    fn figures_read_naturally() {
        assert_eq!([count(7), count(1000), count(1_234_567)], ["7", "1,000", "1,234,567"]);
        assert_eq!(
            [ms(0.123), ms(4.567), ms(45.67), ms(456.7), ms(4567.0), ms(45_670.0)],
            ["123 µs", "4.57 ms", "45.7 ms", "457 ms", "4,567 ms", "45.7 s"]
        );
        assert_eq!(
            [percent(0.0), percent(0.04), percent(12.34), percent(100.0)],
            ["0 %", "< 0.1 %", "12.3 %", "100 %"]
        );
        assert_eq!([duration(7.84), duration(65.2), duration(3700.0)], ["7.8 s", "1 min 5 s", "1 h 1 min"]);
        assert_eq!([dollars(0.0), dollars(0.0123), dollars(0.0042)], ["$0", "$0.01", "$0.0042"]);
    }

    #[test]
    fn what_rounds_up_is_written_as_the_next_digit_and_the_next_unit_are() {
        assert_eq!([ms(0.0), ms(0.0004)], ["0.00 ms", "0 µs"]);
        assert_eq!([three(9.994), three(9.996), three(10.0)], ["9.99", "10.0", "10.0"]);
        assert_eq!([three(99.94), three(99.96), three(100.0)], ["99.9", "100", "100"]);
        assert_eq!([ms(0.9994), ms(0.9996), ms(1.0)], ["999 µs", "1.00 ms", "1.00 ms"]);
        assert_eq!([ms(999.4), ms(999.6), ms(1000.0)], ["999 ms", "1,000 ms", "1,000 ms"]);
        assert_eq!([ms(9999.4), ms(9999.6), ms(10_000.0)], ["9,999 ms", "10.0 s", "10.0 s"]);
        assert_eq!([rate(999.4), rate(999.6), rate(1000.0)], ["999", "1,000", "1,000"]);
        assert_eq!(
            [percent(99.94), percent(99.96), percent(0.099), percent(0.1)],
            ["99.9 %", "100 %", "< 0.1 %", "0.1 %"]
        );
        assert_eq!(
            [duration(9.4), duration(9.6), duration(59.6), duration(3599.6)],
            ["9.4 s", "10 s", "1 min 0 s", "1 h 0 min"]
        );
        assert_eq!([dollars(0.0099), dollars(0.009_96), dollars(0.01)], ["$0.0099", "$0.01", "$0.01"]);
    }

    #[test]
    fn what_was_lost_and_ranges_are_told_whole() {
        assert_eq!([minutes(&[]), minutes(&[3])], ["", ", lost in minute 3"]);
        assert_eq!(minutes(&[1, 2, 3, 4, 5, 6, 7, 8]), ", lost in minutes 1, 2, 3, 4, 5, 6, 7, 8");
        assert_eq!(minutes(&[1, 2, 3, 4, 5, 6, 7, 8, 9]), ", lost in minutes 1, 2, 3, 4, 5, 6, 7, 8 and 1 more");
        assert_eq!([dollar_range(0.42, 1.04), dollar_range(1.04, 1.04)], ["$0.42 to $1.04", "$1.04"]);
        let of = |low, high| interval(Interval { low, high });
        assert_eq!([of(1.0, 1.0), of(1.0, 2.0), of(0.5, 2.0)], ["1.00 ms", "1.00–2.00 ms", "500 µs–2.00 ms"]);
    }

    #[test]
    fn figures_are_short() {
        let shown = [71.0, 71.26, 0.351, 1234.6, 0.0, -3.0].map(short);
        assert_eq!(shown, ["71", "71.3", "0.35", "1235", "0", "-3"]);
        assert_eq!(list(&[3.0, 4.0, 12.0, 5.0, 3.0, 7.0]), "6 points of 3 to 12");
        assert_eq!(list(&[0.0; 15]), "15 points of 0");
    }
}
