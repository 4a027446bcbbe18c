//! `calibration.json`: what one instance of a stack carries, how capacity grows with instances, and how long one takes to come.
//!
//! docs/calibration.md documents it; fields are added, never renamed. Times of boots are the region's, rates are by the wall.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::confidence::Interval;
use super::record::Environment;
use super::store;
use crate::problem::Problem;

pub const SCHEMA: u32 = 1;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    pub schema: u32,
    /// `20261121-214512`: the folder's name.
    pub calibration: String,
    pub stack: String,
    pub cluster: String,
    pub instance_type: String,
    pub provider: String,
    pub region: String,
    /// How much faster than the clock on the wall the region's time went.
    pub speed: u32,
    pub started: Timestamp,
    pub ended: Timestamp,
    /// Correct answers a second that one instance gives at most.
    pub capacity: Estimate,
    /// Virtual users that it took.
    pub users: u32,
    /// The highest rate that was demanded at which the 95th percentile stays within `knee_factor` times that of the lowest rate,
    /// and every request was answered; `None` where not even the lowest was.
    pub knee: Option<f64>,
    pub knee_factor: f64,
    /// The lowest rate with an error; `None` where none failed.
    pub first_errors: Option<f64>,
    pub rates: Vec<RateStep>,
    pub service: Option<Service>,
    pub scaling: Vec<ScalePoint>,
    pub speed_up: Option<SpeedUp>,
    pub launches: Vec<Launch>,
    /// Seconds from the call to the first answer of the new instance.
    pub launch: Option<Estimate>,
    /// Why figures may be those of the load generator or of this machine.
    pub warnings: Vec<String>,
    pub environment: Environment,
}

/// A mean with its 95 % interval; no interval of fewer than three values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub value: f64,
    pub interval: Option<Interval>,
}

/// One instance under a rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateStep {
    pub demanded: f64,
    /// Correct answers a second.
    pub rate: f64,
    pub error_percent: f64,
    /// Response times in ms; `None` where no answer was correct.
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

/// How long one request takes where nobody else asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    pub mean_ms: f64,
    pub deviation_ms: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    /// The one of `fixed`, `exponential` and `lognormal` that is nearest.
    pub distribution: String,
    /// Requests that are served at once when it is saturated: capacity × mean (Little's law).
    pub at_once: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScalePoint {
    pub instances: u32,
    /// Correct answers a second at saturation.
    pub rate: Estimate,
}

/// Gunther's universal scalability law: rate(n) = single · n / (1 + contention · (n − 1) + coherency · n · (n − 1)).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpeedUp {
    pub single: f64,
    pub contention: f64,
    pub coherency: f64,
}

impl SpeedUp {
    pub fn rate(&self, instances: f64) -> f64 {
        let more = instances - 1.0;
        self.single * instances / (1.0 + self.contention * more + self.coherency * instances * more)
    }
}

/// One instance that came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    pub instance: String,
    /// Seconds of the region's time from the call that asked for it.
    pub healthy_after: f64,
    pub answered_after: Option<f64>,
}

/// Writes it into its folder.
///
/// # Errors
/// Where it cannot be written.
pub fn write(folder: &Path, calibration: &Calibration) -> Result<(), Problem> {
    let json = serde_json::to_vec_pretty(calibration).expect("a calibration serialises: it has texts and numbers");
    store::write_file(&folder.join("calibration.json"), &json)
}
