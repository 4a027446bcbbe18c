//! A stack as it lives: what every live view shows, and where it comes from.
//!
//! `observation` (what one look at the cloud found) → [`model`] (the figures, series, alarms and events of a view; pure) →
//! `events`, `watch`, the dashboard and `/metrics`, which only draw. [`look`] is the thin shell that asks: Auto Scaling,
//! CloudWatch, Elastic Load Balancing and EC2 through the SDK, so that AWS and the embedded region are watched alike.
//!
//! All times are the region's. Its clock may run faster than the wall's, and this machine's may be wrong: `now` is the `Date`
//! of the region's answers. Only the pause between two looks is wall time.

pub mod act;
pub mod alarm;
pub mod capacity;
pub mod cause;
pub mod event;
pub mod follow;
pub mod look;
pub mod metrics;
pub mod model;
pub mod observation;
pub mod prometheus;
#[cfg(test)]
pub mod sample;
pub mod scaling;
pub mod series;
pub mod timeline;
