//! Region time and wall time: an embedded region may let its time run faster than the clock on the wall.
//!
//! The two are told apart by their types. A [`Timestamp`] is *region time*: alarms, cooldowns, schedules, activities, leases
//! and every time that an API answers. An `Instant`, and a `Duration` that is slept, is *wall time*: what a connection, a
//! request or a process takes. Without a speed, and on AWS, both run alike. [`wall`] and [`region`] convert lengths.
//!
//! The region decides its speed when it starts and keeps it in its record; whoever works with that region takes it from there
//! ([`follow`]), so that both read the same time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The fastest: a region-minute is then half a second.
pub const SPEED_MAX: u32 = 120;

static SCALE: OnceLock<Scale> = OnceLock::new();
/// The latest region time that was read, in nanoseconds since the epoch: time never runs backwards.
static LATEST: AtomicI64 = AtomicI64::new(i64::MIN);

/// How region time follows from wall time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scale {
    /// A moment by the wall, and what it is in the region's time.
    pub wall: Timestamp,
    pub region: Timestamp,
    /// Seconds of region time in a second of wall time, from 1 to [`SPEED_MAX`].
    pub speed: u32,
}

impl Scale {
    /// The region time at a wall time.
    pub fn at(self, wall: Timestamp) -> Timestamp {
        let passed = wall.duration_since(self.wall);
        let passed = passed.checked_mul(i32::try_from(self.speed).unwrap_or(1)).unwrap_or(passed);
        self.region.checked_add(passed).unwrap_or(wall)
    }
}

/// Takes a region's time for this process. The first one counts: a process works with one region.
pub fn follow(scale: Scale) {
    let _ = SCALE.set(scale);
}

/// Seconds of region time in a second of wall time; 1 where no region says otherwise.
pub fn speed() -> u32 {
    SCALE.get().map_or(1, |scale| scale.speed.max(1))
}

/// How long a length of region time takes.
pub fn wall(length: Duration) -> Duration {
    length / speed()
}

/// How much region time passes in a length of wall time.
pub fn region(length: Duration) -> Duration {
    length.saturating_mul(speed())
}

/// The region time now.
pub(super) fn now() -> Timestamp {
    let now = SCALE.get().map_or_else(Timestamp::now, |scale| scale.at(Timestamp::now()));
    latest(&LATEST, now)
}

/// `now`, or the latest that was seen where that is later: a wall clock may be set back.
fn latest(seen: &AtomicI64, now: Timestamp) -> Timestamp {
    let Ok(nanoseconds) = i64::try_from(now.as_nanosecond()) else { return now };
    let before = seen.fetch_max(nanoseconds, Ordering::Relaxed);
    if before > nanoseconds { now + SignedDuration::from_nanos(before - nanoseconds) } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_passes_in_24_minutes_at_speed_60() {
        let scale = Scale { wall: at("2026-11-27T08:00:00Z"), region: at("2026-11-30T12:00:00Z"), speed: 60 };
        assert_eq!(scale.at(at("2026-11-27T08:00:00Z")), at("2026-11-30T12:00:00Z"));
        assert_eq!(scale.at(at("2026-11-27T08:24:00Z")), at("2026-12-01T12:00:00Z"));
        assert_eq!(scale.at(at("2026-11-27T08:00:00.5Z")), at("2026-11-30T12:00:30Z"));
    }

    #[test]
    fn a_clock_that_is_set_back_stands_still_until_it_has_caught_up() {
        let seen = AtomicI64::new(i64::MIN);
        let times = ["2026-11-27T08:00:10Z", "2026-11-27T08:00:00Z", "2026-11-27T08:00:11Z"];
        let read = times.map(|time| latest(&seen, at(time)));
        assert_eq!(read, [at("2026-11-27T08:00:10Z"), at("2026-11-27T08:00:10Z"), at("2026-11-27T08:00:11Z")]);
    }

    #[test]
    fn without_a_region_both_times_run_alike() {
        assert_eq!(
            (speed(), wall(Duration::from_secs(9)), region(Duration::from_secs(9))),
            (1, Duration::from_secs(9), Duration::from_secs(9))
        );
    }
}
