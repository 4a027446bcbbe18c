//! How long CloudWatch keeps samples, and how far apart: by second for three hours, by minute for fifteen days, by five
//! minutes for sixty-three, by hour for 455 days (API reference, GetMetricStatistics).

use jiff::Timestamp;

pub const HOUR: i64 = 3600;
pub const DAY: i64 = 86_400;
/// How long points are kept (seconds), and how far apart they are then.
pub const TIERS: [(i64, i64); 4] = [(3 * HOUR, 1), (15 * DAY, 60), (63 * DAY, 300), (455 * DAY, 3600)];
/// CloudWatch lists a metric for two weeks after its last datapoint.
pub const LISTED_SECONDS: i64 = 14 * DAY;

/// Where a point stands that comes so late that its neighbours have been joined already.
pub fn joined(second: i64, aged: i64) -> i64 {
    if aged - second <= TIERS[0].0 {
        return second;
    }
    let step = TIERS.iter().find(|(kept, _)| aged - second <= *kept).or(TIERS.last()).map_or(1, |(_, step)| *step);
    second - second.rem_euclid(step)
}

/// The second from which on data of this period can be asked for: finer ones have been joined (API reference,
/// GetMetricStatistics, `Period`).
pub fn available_from(now: Timestamp, period: i64) -> i64 {
    let kept = TIERS.iter().rev().find(|(_, step)| period % step == 0).map_or(0, |(kept, _)| *kept);
    now.as_second() - kept
}

/// Where the periods of a request begin: its start rounded down to the minute, beyond fifteen days to five minutes, beyond
/// sixty-three to the hour; for periods below a minute to a multiple of the period (API reference, GetMetricData,
/// `StartTime`).
pub fn first_period(start: i64, period: i64, now: Timestamp) -> i64 {
    let age = now.as_second() - start;
    let step = match period {
        period if period < 60 => period,
        _ if age > 63 * DAY => HOUR,
        _ if age > 15 * DAY => 300,
        _ => 60,
    };
    start.div_euclid(step) * step
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 28 November 2026, 11:23:47 UTC: on no boundary.
    const NOW: i64 = 1_795_865_027;

    fn now() -> Timestamp {
        Timestamp::from_second(NOW).expect("a time")
    }

    /// "Start time less than 15 days ago - Round down to the nearest whole minute. Start time between 15 and 63 days ago -
    /// Round down to the nearest 5-minute clock interval. Start time greater than 63 days ago - Round down to the nearest
    /// 1-hour clock interval." With a period of 5, 10 or 30 seconds "rounded down to the nearest time that corresponds to even
    /// 5-, 10- or 30-second divisions of a minute" (API reference, GetMetricData, `StartTime`).
    #[test]
    fn the_first_period_begins_at_a_whole_step_that_grows_with_the_age() {
        assert_eq!(now().to_string(), "2026-11-28T11:23:47Z");
        for (age, period, into_the_step) in [
            (0, 1, 0),
            (0, 5, 2),
            (0, 10, 7),
            (0, 30, 17),
            (0, 60, 47),
            (0, 300, 47),
            (15 * DAY, 60, 47),
            (15 * DAY + 1, 60, 3 * 60 + 46),
            (16 * DAY, 86_400, 3 * 60 + 47),
            (63 * DAY, 60, 3 * 60 + 47),
            (63 * DAY + 1, 60, 23 * 60 + 46),
            (400 * DAY, 10, 7),
        ] {
            let start = NOW - age;
            assert_eq!(start - first_period(start, period, now()), into_the_step, "{age} s ago, period {period}");
        }
    }

    /// "Data points with a period of less than 60 seconds are available for 3 hours", of 60 for 15 days, of 300 for 63 days, of
    /// 3,600 for 455 days (API reference, GetMetricStatistics).
    #[test]
    fn fine_data_can_be_asked_for_as_long_as_aws_keeps_it() {
        let kept = [(1, 3 * HOUR), (5, 3 * HOUR), (30, 3 * HOUR), (60, 15 * DAY), (120, 15 * DAY), (300, 63 * DAY)];
        for (period, kept) in kept.into_iter().chain([(900, 63 * DAY), (3600, 455 * DAY), (86_400, 455 * DAY)]) {
            assert_eq!(NOW - available_from(now(), period), kept, "period {period}");
        }
    }

    #[test]
    fn a_late_point_stands_where_those_of_its_age_do() {
        for (age, into_the_step) in [
            (3 * HOUR, 0),
            (3 * HOUR + 1, 46),
            (15 * DAY, 47),
            (15 * DAY + 1, 3 * 60 + 46),
            (63 * DAY, 3 * 60 + 47),
            (63 * DAY + 1, 23 * 60 + 46),
            (456 * DAY, 23 * 60 + 47),
        ] {
            let second = NOW - age;
            assert_eq!(second - joined(second, NOW), into_the_step, "{age} s old");
        }
    }
}
