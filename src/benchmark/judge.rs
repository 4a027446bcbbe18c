//! What was measured, judged by the scenario's thresholds, as a record.

use super::load::Measured;
use super::scenario::Scenario;
use crate::platform::system;
use crate::result::record::{Environment, RunResult, Verdict};

/// The record of a run of `name`: a stack, or a URL.
pub fn record(name: &str, scenario: &Scenario, measured: Measured, commands: Vec<String>) -> RunResult {
    let thresholds: Vec<_> = measured
        .targets
        .iter()
        .flat_map(|target| scenario.thresholds.iter().filter_map(|threshold| threshold.check(target)))
        .collect();
    let verdict = if measured.interrupted {
        Verdict::Interrupted
    } else if thresholds.iter().any(|threshold| !threshold.held) {
        Verdict::Missed
    } else if measured.client.limited {
        Verdict::Limited
    } else {
        Verdict::Passed
    };
    let mut result = RunResult::empty(name, measured.started);
    result.scenario = scenario.name.clone();
    result.ended = measured.ended;
    result.verdict = verdict;
    result.targets = measured.targets;
    result.thresholds = thresholds;
    result.client = measured.client;
    result.environment = environment(commands);
    result
}

fn environment(commands: Vec<String>) -> Environment {
    let os = system::description();
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cloudscale = env!("CARGO_PKG_VERSION").to_owned();
    Environment { cloudscale, os, cpus: u32::try_from(cpus).unwrap_or(u32::MAX), commands }
}
