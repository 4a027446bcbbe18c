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
