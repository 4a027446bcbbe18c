//! Basic monitoring: what EC2 measures each minute becomes one datapoint in five (CloudWatch user guide, "Basic monitoring
//! and detailed monitoring"), for instances whose detailed monitoring is off.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::statistics::Samples;

const PERIOD_SECONDS: i64 = 300;
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// By instance and metric: the start of the five minutes, and what came of them so far.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Basic(BTreeMap<(String, String), (Timestamp, Samples)>);

impl Basic {
    /// Adds a minute; the five minutes with their start, once the last of them is there.
    pub fn add(
        &mut self,
        instance: &str,
        metric: &str,
        minute: Timestamp,
        samples: &Samples,
    ) -> Option<(Timestamp, Samples)> {
        let start = minute.as_second().div_euclid(PERIOD_SECONDS) * PERIOD_SECONDS;
        let start = Timestamp::from_second(start).ok()?;
        let key = (instance.to_owned(), metric.to_owned());
        let pending = self.0.entry(key.clone()).or_insert_with(|| (start, Samples::default()));
        if pending.0 != start {
            // A measurement was missed: what is left of its five minutes is not told.
            *pending = (start, Samples::default());
        }
        pending.1.merge(samples);
        let is_over = minute + MINUTE >= start + SignedDuration::from_secs(PERIOD_SECONDS);
        if is_over { self.0.remove(&key) } else { None }
    }

    /// Forgets instances that measure nothing any more.
    pub fn forget(&mut self, now: Timestamp) {
        self.0.retain(|_, (start, _)| *start + SignedDuration::from_secs(2 * PERIOD_SECONDS) > now);
    }
}
