//! One benchmark of a stack that is up, from the proof of its setup to the result: prove, load, wait for CloudWatch, judge.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::cloudwatch::{self, Collect};
use super::load::{self, Measured, Target};
use super::metrics::{MetricsTarget, load_bands};
use super::scenario::{Scenario, default_path};
use super::{judge, setup};
use crate::document::suggest;
use crate::engine::Engine;
use crate::engine::price;
use crate::problem::{Problem, Problems};
use crate::resource::event::Sink;
use crate::resource::status::{ClusterStatus, Status};
use crate::result::record::{Cost, Images, Metrics, RunResult, TargetResult};
use crate::stack::model::{Provider, Stack};

/// How long CloudWatch's data are waited for where `--metrics-timeout` says nothing.
pub fn metrics_timeout(provider: Provider) -> Duration {
    match provider {
        Provider::Local => Duration::from_secs(30),
        Provider::Aws => Duration::from_secs(300),
    }
}

/// What a benchmark needs to know.
pub struct Bench<'a> {
    pub engine: &'a Engine,
    /// The stack as it stands before the load.
    pub status: &'a Status,
    pub scenario: &'a Scenario,
    pub metrics_timeout: Duration,
    pub workers: usize,
    /// What the run can be repeated with.
    pub commands: Vec<String>,
    pub sink: &'a dyn Sink,
    pub cancel: &'a CancellationToken,
}

/// Runs the benchmark. Its result has no name yet: that is given where it is stored.
///
/// # Errors
/// A stack that is not up, and a scenario that does not fit it. Failing requests are a result.
pub async fn run(bench: &Bench<'_>) -> Result<(RunResult, Images), Problems> {
    let url = url(bench.status)?;
    let targets = targets(&bench.engine.stack, bench.status, bench.scenario, url)?;
    let setup = setup::prove(&bench.engine.stack, bench.status, url).await?;
    let mut measured = load::load(bench.scenario, &targets, bench.workers, bench.sink, bench.cancel).await?;
    // A stack that cannot be looked at any more costs the figure, not the run.
    let after = bench.engine.status().await.ok();
    for target in &mut measured.targets {
        add_idle_instances(target, bench.status);
    }
    let (metrics, images) = if measured.interrupted {
        let note = "The run was interrupted: CloudWatch was not asked.".to_owned();
        (Metrics { note, ..Metrics::default() }, Images::new())
    } else {
        cloudwatch::collect(&bench.engine.clients().cloudwatch, &wanted(bench, &measured), bench.sink, bench.cancel)
            .await
    };
    let clients = bench.engine.clients();
    let mut result = judge::record(&bench.engine.stack.name, bench.scenario, measured, bench.commands.clone());
    result.provider = clients.provider.name().to_owned();
    result.region = clients.region.clone();
    (result.setup, result.metrics) = (setup, metrics);
    let seconds = result.elapsed_seconds();
    result.cost = after.and_then(|after| cost(&bench.engine.stack, [bench.status, &after], seconds));
    Ok((result, images))
}

/// What the stack costs by what it declares, and what the run cost by what was there at its start and at its end: a group
/// that grew on the way costs something between the two.
fn cost(stack: &Stack, looks: [&Status; 2], seconds: f64) -> Option<Cost> {
    let declared = price::hourly(stack)?;
    let [before, after] =
        [price::running(looks[0])?, price::running(looks[1])?].map(|hourly| hourly * seconds / 3600.0);
    Some(Cost {
        hourly_min: declared.min,
        hourly_max: declared.max,
        run_min: before.min(after),
        run_max: before.max(after),
        source: declared.source.to_owned(),
    })
}

fn url(status: &Status) -> Result<&str, Problem> {
    status.url.as_deref().ok_or_else(|| {
        Problem::new("The stack is not up", format!("{} has no load balancer", status.stack))
            .hint("`cloudscale up` brings it up; `cloudscale run` does everything in one go")
    })
}

/// The scenario's targets, or every cluster on its first route.
fn targets(stack: &Stack, status: &Status, scenario: &Scenario, url: &str) -> Result<Vec<Target>, Problems> {
    let mut problems = Problems::default();
    let mut chosen: Vec<(&str, Option<String>)> =
        scenario.targets.iter().map(|choice| (choice.cluster.as_str(), choice.path.clone())).collect();
    if chosen.is_empty() {
        chosen = stack.clusters.iter().map(|cluster| (cluster.name.as_str(), None)).collect();
    }
    let mut targets = Vec::new();
    for (name, path) in chosen {
        let Some(cluster) = stack.clusters.iter().find(|cluster| cluster.name == name) else {
            let known = stack.clusters.iter().map(|cluster| cluster.name.as_str());
            let detail = format!("the scenario loads `{name}`, which {} does not have", stack.name);
            problems.push(Problem::usage("No such cluster", detail).hint(suggest::hint(name, known)));
            continue;
        };
        let Some(path) = path.or_else(|| default_path(cluster)) else {
            let detail = format!("cluster {name} has no route, and the scenario names no path for it");
            problems
                .push(Problem::usage("Nothing to load", detail).hint(format!("write `targets: {{{name}: /path}}`")));
            continue;
        };
        if live(status, name).is_none_or(|cluster| cluster.healthy() == 0) {
            let detail = format!("cluster {name} has no healthy target");
            let hint = match status.stopped {
                true => "the stack is stopped: `cloudscale start` brings its instances back",
                false => "`cloudscale status` tells why; `cloudscale up` mends",
            };
            problems.push(Problem::new("The stack is not up", detail).hint(hint));
            continue;
        }
        targets.push(Target { name: name.to_owned(), url: format!("{url}{path}") });
    }
    if problems.has_errors() { Err(problems) } else { Ok(targets) }
}

fn live<'a>(status: &'a Status, cluster: &str) -> Option<&'a ClusterStatus> {
    status.clusters.iter().find(|known| known.name == cluster)
}

/// A healthy instance that answered nothing has a share, too: none.
fn add_idle_instances(target: &mut TargetResult, status: &Status) {
    if target.instances.is_empty() {
        return;
    }
    let instances = live(status, &target.name).map(|cluster| cluster.instances.as_slice()).unwrap_or_default();
    for instance in instances.iter().filter(|instance| instance.health == "healthy") {
        target.instances.entry(instance.id.clone()).or_default();
    }
}

fn wanted(bench: &Bench<'_>, measured: &Measured) -> Collect {
    let load_balancer = bench.status.load_balancer.as_ref().map(|load_balancer| load_balancer.full_name.clone());
    let targets = measured.targets.iter().filter_map(|target| {
        let cluster = live(bench.status, &target.name)?;
        Some(MetricsTarget {
            cluster: cluster.name.clone(),
            load_balancer: load_balancer.clone()?,
            target_group: cluster.target_group.as_ref()?.full_name.clone(),
            instances: cluster.instances.iter().map(|instance| instance.id.clone()).collect(),
            answers: answers(target),
        })
    });
    Collect {
        targets: targets.collect(),
        started: measured.started,
        ended: measured.ended,
        bands: load_bands(&measured.targets),
        cap: bench.metrics_timeout,
        pauses: match bench.engine.clients().provider {
            Provider::Local => (Duration::from_millis(200), Duration::from_secs(2)),
            Provider::Aws => (Duration::from_secs(5), Duration::from_secs(20)),
        },
    }
}

/// Answers that came from an instance; where none is named, correct answers.
fn answers(target: &TargetResult) -> u64 {
    let named: u64 = target.instances.values().sum();
    if named > 0 { named } else { target.requests - target.errors }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmark::scenario::TargetChoice;
    use crate::resource::status::InstanceStatus;
    use crate::stack::{self, Overrides};

    fn the_stack() -> Stack {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("stacks/two-clusters.yaml");
        stack::load(&path, &Overrides::default()).expect("the shipped stack is valid").0
    }

    fn instance(id: &str, health: &str) -> InstanceStatus {
        InstanceStatus {
            id: id.into(),
            az: "us-east-1a".into(),
            state: "running".into(),
            health: health.into(),
            reason: None,
            address: None,
        }
    }

    fn status(health: &str) -> Status {
        let cluster = |name: &str| ClusterStatus {
            name: name.into(),
            kind: "fleet".into(),
            instance_type: "t2.large".into(),
            min: 2,
            max: 2,
            desired: 2,
            group: None,
            target_group: None,
            instances: vec![instance(&format!("i-{name}1"), "healthy"), instance(&format!("i-{name}2"), health)],
        };
        Status {
            stack: "two-clusters".into(),
            provider: "local".into(),
            url: Some("http://127.31.0.2:8080".into()),
            load_balancer: None,
            stopped: false,
            down_after: None,
            clusters: vec![cluster("light"), cluster("heavy")],
        }
    }

    fn scenario(targets: Vec<TargetChoice>) -> Scenario {
        Scenario { name: "test".into(), targets, ..crate::benchmark::tests::scenario(Vec::new()) }
    }

    #[test]
    fn every_cluster_is_loaded_on_its_first_route_where_the_scenario_names_none() {
        let targets = targets(&the_stack(), &status("healthy"), &scenario(Vec::new()), "http://lb").expect("targets");
        let urls: Vec<_> = targets.iter().map(|target| (target.name.as_str(), target.url.as_str())).collect();
        assert_eq!(urls, [("light", "http://lb/cluster1"), ("heavy", "http://lb/cluster2")]);
    }

    #[test]
    fn a_scenario_that_does_not_fit_the_stack_is_refused_with_all_reasons() {
        let choice = |cluster: &str| TargetChoice { cluster: cluster.into(), path: None };
        let wanted = scenario(vec![choice("lihgt"), choice("heavy")]);
        let mut status = status("healthy");
        status.clusters[1].instances.clear();
        let problems = targets(&the_stack(), &status, &wanted, "http://lb").expect_err("refused").0;
        assert_eq!(
            problems.iter().map(|problem| problem.summary).collect::<Vec<_>>(),
            ["No such cluster", "The stack is not up"]
        );
        assert_eq!(problems[0].hint.as_deref(), Some("did you mean `light`?"));
    }

    #[test]
    fn a_healthy_instance_without_an_answer_makes_the_shares_uneven() {
        let mut target = TargetResult {
            name: "light".into(),
            instances: [("i-light1".into(), 10)].into(),
            ..TargetResult::default()
        };
        add_idle_instances(&mut target, &status("unhealthy"));
        assert_eq!(target.evenness(), Some(100.0));
        add_idle_instances(&mut target, &status("healthy"));
        assert_eq!((target.instances.len(), target.evenness()), (2, Some(0.0)));
    }

    #[test]
    fn a_run_costs_what_was_there_and_not_what_may_be() {
        let (before, mut after) = (status("healthy"), status("healthy"));
        after.clusters[0].instances.push(instance("i-light3", "initial"));
        let cost = cost(&the_stack(), [&before, &after], 3600.0).expect("known types");
        assert!((cost.run_min - (0.0225 + 4.0 * 0.0928)).abs() < 1e-9, "{}", cost.run_min);
        assert!((cost.run_max - cost.run_min - 0.0928).abs() < 1e-9, "{}", cost.run_max);
    }
}
