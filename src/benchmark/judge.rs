//! What was measured, judged by the scenario's thresholds, as a record.

use super::load::Measured;
use super::outline;
use super::scenario::Scenario;
use crate::platform::system;
use crate::result::record::{Environment, RunResult, ThresholdResult, Verdict};

/// The record of a run of `name`: a stack, or a URL.
pub fn record(name: &str, scenario: &Scenario, measured: Measured, commands: Vec<String>) -> RunResult {
    let mut thresholds: Vec<_> = measured
        .targets
        .iter()
        .flat_map(|target| scenario.thresholds.iter().filter_map(|threshold| threshold.check(target)))
        .collect();
    let mut aborted = None;
    if let Some(missed) = measured.aborted {
        aborted = Some(format!("{} for {}, measured {}", missed.threshold, missed.target, missed.shown()));
        // It ended the run when it was missed, whatever the last answers made of it.
        if let Some(own) =
            thresholds.iter_mut().find(|own| own.threshold == missed.threshold && own.target == missed.target)
        {
            *own = missed;
        }
    }
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
    result.aborted = aborted;
    result.objective_ms = outline::objective(scenario);
    result.adjustments = measured.adjustments;
    result.targets = measured.targets;
    result.thresholds = thresholds;
    result.client = measured.client;
    result.environment = environment(commands);
    result
}

/// A threshold that no scenario has written.
pub fn add(result: &mut RunResult, threshold: ThresholdResult) {
    if !threshold.held && result.verdict != Verdict::Interrupted {
        result.verdict = Verdict::Missed;
    }
    result.thresholds.push(threshold);
}

pub fn environment(commands: Vec<String>) -> Environment {
    let os = system::description();
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cloudscale = env!("CARGO_PKG_VERSION").to_owned();
    Environment { cloudscale, os, cpus: u32::try_from(cpus).unwrap_or(u32::MAX), commands }
}
