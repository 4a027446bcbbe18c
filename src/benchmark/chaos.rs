//! Breaks what a scenario says while its load runs, and tells how the stack healed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::scenario::ChaosStep;
use super::watch::Looks;
use crate::chaos::experiment;
use crate::chaos::model::{Kind, TargetInstance};
use crate::clock;
use crate::engine::Engine;
use crate::problem::Problem;
use crate::resource::event::Event;
use crate::result::record::{self, TargetResult};

/// A disruption that was made.
#[derive(Clone, Debug)]
pub struct Disrupted {
    pub at: Timestamp,
    pub kind: Kind,
    pub targets: Vec<TargetInstance>,
}

/// Strikes at the times of the steps, counted from now, until `over`.
pub async fn during(
    engine: &Engine,
    steps: &[ChaosStep],
    sink: &dyn crate::resource::event::Sink,
    over: &CancellationToken,
) -> Vec<Disrupted> {
    let started = clock::now();
    let mut steps: Vec<&ChaosStep> = steps.iter().collect();
    steps.sort_by_key(|step| step.at);
    let mut disrupted = Vec::new();
    for step in steps {
        if over.run_until_cancelled(clock::sleep_until(started + step.at)).await.is_none() {
            break;
        }
        let at = clock::now();
        match experiment::disrupt(engine, &step.experiment).await {
            Ok(targets) => {
                sink.event(Event::Note { text: told(step.experiment.kind, &targets) });
                disrupted.push(Disrupted { at, kind: step.experiment.kind, targets });
            }
            Err(Problem { summary, detail, .. }) => {
                sink.event(Event::Note { text: format!("chaos: {}: {summary}: {detail}", step.experiment.kind) });
            }
        }
    }
    disrupted
}

fn told(kind: Kind, targets: &[TargetInstance]) -> String {
    let names: Vec<String> = targets.iter().map(|target| format!("{} ({})", target.instance, target.cluster)).collect();
    format!("chaos: {kind} {}", names.join(", "))
}

/// What came of the disruptions, one row for each cluster that one met; times count from `started`.
pub fn record(
    disrupted: &[Disrupted],
    looks: &Looks,
    targets: &[TargetResult],
    started: Timestamp,
) -> Vec<record::Disruption> {
    let mut rows = Vec::new();
    for disruption in disrupted {
        let mut clusters: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for target in &disruption.targets {
            clusters.entry(&target.cluster).or_default().push(target.instance.clone());
        }
        for (cluster, instances) in clusters {
            let at = disruption.at.duration_since(started).as_secs_f64();
            let detected = looks.lost(&instances, disruption.at);
            let replaced = detected.and_then(|detected| looks.whole_again(cluster, disruption.at, detected));
            let after = |time: Timestamp| time.duration_since(disruption.at).as_secs_f64().max(0.0);
            let target = targets.iter().find(|target| target.name == cluster);
            let until = replaced.map_or(f64::INFINITY, |replaced| replaced.duration_since(started).as_secs_f64());
            rows.push(record::Disruption {
                at: at.max(0.0),
                what: disruption.kind.name().to_owned(),
                cluster: cluster.to_owned(),
                instances,
                detected_after: detected.map(after),
                replaced_after: replaced.map(after),
                failed: target.map_or(0, |target| failed(target, at, until)),
            });
        }
    }
    rows
}

/// Requests that failed in the rows of that time.
fn failed(target: &TargetResult, from: f64, until: f64) -> u64 {
    let width = f64::from(target.row_seconds());
    let within = |at: f64| at + width > from && at <= until;
    target.timeline.iter().filter(|row| within(row.at.into())).map(|row| row.errors).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmark::watch::tests::{at, status};
    use crate::result::record::Second;

    #[test]
    fn a_blow_tells_when_it_was_noticed_when_all_was_whole_again_and_what_failed() {
        let mut looks = Looks::default();
        let (one, two, three) = (("i-1", "healthy"), ("i-2", "healthy"), ("i-3", "healthy"));
        for (second, instances) in [(0, vec![one, two]), (12, vec![one, two]), (20, vec![two]), (50, vec![two, three])]
        {
            looks.add(at(second), &status(2, &instances));
        }
        let target = TargetInstance { instance: "i-1".into(), cluster: "web".into(), zone: "a".into() };
        let disruption = Disrupted { at: at(11), kind: Kind::Kill, targets: vec![target] };
        let second = |at, errors| Second { at, errors, requests: 10, ..Second::default() };
        let target = TargetResult {
            name: "web".into(),
            timeline: vec![second(0, 0), second(10, 2), second(20, 1), second(30, 0), second(60, 9)],
            ..TargetResult::default()
        };
        let rows = record(&[disruption], &looks, &[target], at(0));
        assert_eq!((rows[0].at, rows[0].detected_after, rows[0].replaced_after), (11.0, Some(9.0), Some(39.0)));
        assert_eq!((rows[0].what.as_str(), rows[0].failed), ("kill", 3));
    }

    #[test]
    fn what_nobody_noticed_has_no_times() {
        let mut looks = Looks::default();
        looks.add(at(0), &status(1, &[("i-1", "healthy")]));
        let target = TargetInstance { instance: "i-1".into(), cluster: "web".into(), zone: "a".into() };
        let rows = record(&[Disrupted { at: at(1), kind: Kind::Zone, targets: vec![target] }], &looks, &[], at(0));
        assert_eq!((rows[0].detected_after, rows[0].replaced_after, rows[0].failed), (None, None, 0));
    }
}
