//! The load that is being sent, reported on disk: `.cloudscale/STACK/load.json`, for whoever watches the stack from the
//! same folder.
//!
//! AWS knows what arrives. What was demanded, and which phase of a scenario it belongs to, only the load generator
//! knows.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::store::FOLDER;
use crate::files;

/// A larger file is not read.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A load. Times are the region's; seconds count from its start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Load {
    pub scenario: String,
    pub started: Timestamp,
    /// `None` while it goes on, or where it was killed.
    pub ended: Option<Timestamp>,
    pub phases: Vec<Phase>,
    /// The limit that the latency of most or all answers is to stay below, in milliseconds, where the scenario has one.
    pub objective_ms: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// With the thread's name, where there are several.
    pub name: String,
    pub from: f64,
    /// `None` where it lasts until its requests are done.
    pub until: Option<f64>,
    /// Requests a second that are demanded of each target, by the minute that begins there; empty where users wait for
    /// answers.
    pub demand: Vec<(f64, f64)>,
}

impl Load {
    /// When it is over at the latest, where that is known.
    pub fn over(&self) -> Option<Timestamp> {
        let planned = || {
            let last = self
                .phases
                .iter()
                .map(|phase| phase.until)
                .collect::<Option<Vec<_>>>()?
                .into_iter()
                .fold(0.0, f64::max);
            self.at(last)
        };
        self.ended.or_else(planned)
    }

    /// A moment of its own time in the region's.
    pub fn at(&self, seconds: f64) -> Option<Timestamp> {
        self.started.checked_add(jiff::SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
    }

    /// Reports it. That nobody can be reported must not cost a run.
    pub fn tell(&self, base: &Path, stack: &str) {
        if let Ok(json) = serde_json::to_vec(self) {
            let _ = files::write(&path(base, stack), &json);
        }
    }

    /// What was reported last of a stack.
    pub fn told(base: &Path, stack: &str) -> Option<Self> {
        let path = path(base, stack);
        let is_fit = fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() <= BYTES_MAX);
        serde_json::from_slice(&fs::read(path).ok().filter(|_| is_fit)?).ok()
    }
}

fn path(base: &Path, stack: &str) -> PathBuf {
    base.join(FOLDER).join(stack).join("load.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_read_again_and_nonsense_is_nothing() {
        let base = tempfile::tempdir().unwrap();
        let started: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let phase = |from, until| Phase { name: "busy".to_owned(), from, until, demand: vec![(from, 40.0)] };
        let mut load = Load {
            scenario: "s".to_owned(),
            started,
            ended: None,
            phases: vec![phase(0.0, Some(60.0)), phase(60.0, Some(150.5))],
            objective_ms: Some(300.0),
        };
        assert_eq!(Load::told(base.path(), "web"), None);
        load.tell(base.path(), "web");
        assert_eq!(Load::told(base.path(), "web").as_ref(), Some(&load));
        assert_eq!(load.over().unwrap().to_string(), "2026-11-21T10:02:30.5Z");
        load.phases[1].until = None;
        assert_eq!(load.over(), None);
        fs::write(base.path().join(".cloudscale/web/load.json"), "{").unwrap();
        assert_eq!(Load::told(base.path(), "web"), None);
    }
}
