//! How a run is divided into the rows of its timeline.

use std::time::Duration;

/// Seconds.
pub const MINUTE: u32 = 60;
/// Widths of a row: a minute is a whole number of them.
const ROW_SECONDS: [u32; 12] = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60];

/// How a run is divided into rows: a second each, and more seconds of a region whose time runs faster, so that a row takes
/// about a second by the clock on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    speed: u32,
    /// In the region's time.
    pub row_seconds: u32,
}

impl Grid {
    pub fn of(speed: u32) -> Self {
        let row_seconds = ROW_SECONDS.into_iter().find(|seconds| *seconds >= speed).unwrap_or(MINUTE);
        Self { speed, row_seconds }
    }

    /// The row of a moment, by the wall since the start.
    pub fn row(self, elapsed: Duration) -> u32 {
        u32::try_from((elapsed * self.speed).as_secs()).unwrap_or(u32::MAX) / self.row_seconds
    }

    /// When a moment of the region's time is, in seconds, by the wall since the start.
    pub fn wall(self, seconds: u32) -> Duration {
        Duration::from_secs(seconds.into()) / self.speed
    }
}
