//! What Locust's master tells, a line each, and what a worker counted as intervals.

use std::time::Duration;

use serde::Deserialize;

use crate::benchmark::interval::{Failure, Interval, Place, Tally};
use crate::benchmark::spread::Spread;

#[derive(Debug, Deserialize)]
struct Line {
    cloudscale: Told,
}

/// Times are seconds since the start of the load.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Told {
    /// The port that workers connect to.
    Listening(u16),
    /// All workers are there, and the load starts within so many seconds.
    Begun {
        within: f64,
        workers: usize,
    },
    /// A phase of a chain, counted over all repetitions, has begun, or ended.
    Phase {
        chain: usize,
        index: usize,
        began: f64,
        ended: Option<f64>,
    },
    Counted(Counted),
    /// The load is done; so many workers were lost on the way.
    Over {
        lost: u64,
    },
    /// Locust's own count at its end.
    Total {
        requests: u64,
        failures: u64,
    },
}

/// What one worker counted since it last told.
#[derive(Debug, Default, PartialEq, Deserialize)]
pub struct Counted {
    pub worker: usize,
    pub elapsed: f64,
    pub cpu: f64,
    /// Requests that found no user free.
    pub waited: u64,
    pub last: bool,
    /// (row, endpoint, phase, in the warm-up, what was counted)
    cells: Vec<(u32, u16, u16, bool, Cell)>,
}

/// Times are nanoseconds, with how many requests took them.
#[derive(Debug, Default, PartialEq, Deserialize)]
struct Cell {
    requests: u64,
    failures: Vec<(String, u64)>,
    status: Vec<(u16, u64)>,
    instances: Vec<(String, u64)>,
    response: Vec<(u64, u64)>,
    service: Vec<(u64, u64)>,
    wrong: Vec<(u64, u64)>,
    lateness: Vec<(u64, u64)>,
}

/// `None` of a line that is not for us: Locust prints its own tables, too.
pub fn read(line: &str) -> Option<Result<Told, serde_json::Error>> {
    let is_ours = line.starts_with("{\"cloudscale\"");
    is_ours.then(|| serde_json::from_str::<Line>(line).map(|line| line.cloudscale))
}

/// Seconds as Python writes them.
pub fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

impl Counted {
    pub fn intervals(&self) -> Vec<Interval> {
        let interval = |(row, endpoint, phase, warm_up, cell): &(u32, u16, u16, bool, Cell)| Interval {
            row: *row,
            place: Place { endpoint: *endpoint, phase: *phase, warm_up: *warm_up },
            tally: cell.tally(),
        };
        self.cells.iter().map(interval).collect()
    }
}

impl Cell {
    fn tally(&self) -> Tally {
        let mut errors = [0; Failure::ALL.len()];
        for (name, count) in &self.failures {
            if let Some(failure) = Failure::ALL.into_iter().find(|failure| failure.name() == name) {
                errors[failure as usize] += count;
            }
        }
        Tally {
            requests: self.requests,
            errors,
            status: self.status.iter().copied().collect(),
            instances: self.instances.iter().cloned().collect(),
            response: spread(&self.response),
            service: spread(&self.service),
            wrong: spread(&self.wrong),
            lateness: spread(&self.lateness),
            ..Tally::default()
        }
    }
}

fn spread(times: &[(u64, u64)]) -> Spread {
    let mut spread = Spread::default();
    for (nanoseconds, count) in times {
        spread.record_many(Duration::from_nanos(*nanoseconds), *count);
    }
    spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workers_count_is_intervals_and_other_lines_are_passed_over() {
        let line = r#"{"cloudscale": {"counted": {"worker": 1, "elapsed": 0.5, "cpu": 0.1, "waited": 2, "last": false, "cells": [[3, 0, 1, false,
            {"requests": 3, "failures": [["timeout", 1]], "status": [[200, 2]], "instances": [["i-1", 2]],
             "response": [[5000000, 1], [7000000, 1]], "service": [[4000000, 2]], "wrong": [], "lateness": [[1000000, 3]]}]]}}}"#;
        let Some(Ok(Told::Counted(counted))) = read(&line.replace('\n', " ")) else { panic!("not read") };
        let [interval] = &counted.intervals()[..] else { panic!("{counted:?}") };
        assert_eq!((interval.row, interval.place.phase, interval.tally.requests), (3, 1, 3));
        assert_eq!((interval.tally.failed(), interval.tally.status[&200], interval.tally.instances["i-1"]), (1, 2, 2));
        let latency = interval.tally.response.latency().expect("answers");
        assert_eq!((latency.min, latency.mean, latency.max), (5.0, 6.0, 7.0));
        assert_eq!(interval.tally.lateness.count(), 3);
        assert!(read("Type     Name        # reqs").is_none());
        assert!(matches!(read("{\"cloudscale\": {\"else\": 1}}"), Some(Err(_))));
        assert_eq!((seconds(-1.0), seconds(f64::NAN)), (Duration::ZERO, Duration::ZERO));
    }
}
