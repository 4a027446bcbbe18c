//! A scenario as live views show it: its phases one after the other, and what each demands by the minute.

use std::time::Duration;

use jiff::Timestamp;

use super::scenario::{self, Scenario};
use super::threshold::{Comparison, Metric};
use crate::result::live::{Load, Phase};

/// Rates are told by the minute.
const STEP_SECONDS: u64 = 60;
/// Of all phases together: a week.
const STEPS_MAX: usize = 10_080;

/// The scenario as it stands, begun at `started`; only its first repetition has times that are known.
pub fn load(scenario: &Scenario, started: Timestamp) -> Load {
    let mut phases = Vec::new();
    for flow in &scenario.flows {
        let mut from = Duration::ZERO;
        for phase in &flow.phases {
            let name = if flow.name.is_empty() { phase.label() } else { format!("{}: {}", flow.name, phase.label()) };
            let lasts = phase.load.lasts();
            let left = STEPS_MAX.saturating_sub(phases.iter().map(|phase: &Phase| phase.demand.len()).sum());
            let demand = demand(&phase.load, from, left);
            let until = lasts.map(|lasts| (from + lasts).as_secs_f64());
            phases.push(Phase { name, from: from.as_secs_f64(), until, demand });
            // Nobody knows when the next one begins.
            let Some(lasts) = lasts else { break };
            from += lasts;
        }
    }
    Load { scenario: scenario.name.clone(), started, ended: None, phases, objective_ms: objective(scenario) }
}

fn demand(load: &scenario::Load, from: Duration, steps_max: usize) -> Vec<(f64, f64)> {
    let (Some(whole), Some(_)) = (load.lasts(), load.demanded_until(Duration::ZERO)) else { return Vec::new() };
    let until = |at: Duration| load.demanded_until(at).unwrap_or(0.0);
    let step = Duration::from_secs(STEP_SECONDS);
    let starts = (0..).map(|number| step * number).take_while(|start| *start < whole).take(steps_max);
    let rate = |start: Duration| {
        let end = (start + step).min(whole);
        let requests = until(end) - until(start);
        ((from + start).as_secs_f64(), requests / (end - start).as_secs_f64())
    };
    starts.map(rate).collect()
}

/// The tightest limit on the latency of the slower answers.
pub fn objective(scenario: &Scenario) -> Option<f64> {
    let is_objective = |metric| matches!(metric, Metric::P90 | Metric::P95 | Metric::P99 | Metric::P999);
    let limits = scenario.thresholds.iter().filter(|threshold| {
        is_objective(threshold.metric) && matches!(threshold.comparison, Comparison::Below | Comparison::AtMost)
    });
    limits.map(|threshold| threshold.value).min_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::super::arrivals::{Curve, Spacing};
    use super::*;

    #[test]
    fn phases_follow_each_other_and_demand_what_their_curves_say() {
        let open = |rate: f64, seconds: u64| scenario::Load::Open {
            curve: Curve::constant(rate, Duration::from_secs(seconds)),
            spacing: Spacing::Even,
        };
        let phase = |name: &str, load| scenario::Phase { name: Some(name.to_owned()), load };
        let phases = vec![
            phase("calm", open(10.0, 90)),
            phase("rest", scenario::Load::Pause(Duration::from_secs(30))),
            phase("busy", open(40.0, 60)),
        ];
        let flow = scenario::Flow { name: String::new(), phases };
        let scenario = Scenario {
            flows: vec![flow],
            thresholds: ["errors < 1%", "each minute: p95 < 300ms", "p99 < 500ms"]
                .map(|text| text.parse().unwrap())
                .into(),
            ..super::super::tests::scenario(Vec::new())
        };
        let load = load(&scenario, Timestamp::UNIX_EPOCH);
        let told: Vec<_> = load.phases.iter().map(|phase| (phase.name.as_str(), phase.from, phase.until)).collect();
        assert_eq!(told, [("calm", 0.0, Some(90.0)), ("rest", 90.0, Some(120.0)), ("busy", 120.0, Some(180.0))]);
        assert_eq!(load.phases[0].demand, [(0.0, 10.0), (60.0, 10.0)]);
        assert_eq!((load.phases[1].demand.len(), load.phases[2].demand[0]), (0, (120.0, 40.0)));
        assert_eq!(load.objective_ms, Some(300.0));
    }
}
