//! One benchmark of a stack that is up, from the proof of its setup to the result: prove, load, wait for CloudWatch,
//! judge.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::bill;
use super::chaos;
use super::cloudwatch::{self, Collect};
use super::control::Control;
use super::happened::{self, Happened};
use super::load::{Measured, Target};
use super::load_engine::LoadEngine;
use super::metrics::{MetricsTarget, load_bands};
use super::scaling::{self, ScaleUntil, Tap};
use super::scenario::{Scenario, default_path};
use super::watch::{self, Looks};
use super::{judge, outline, setup};
use crate::chaos::experiment;
use crate::clock;
use crate::document::suggest;
use crate::engine::Engine;
use crate::problem::{Problem, Problems};
use crate::resource::context::interrupted;
use crate::resource::event::Sink;
use crate::resource::status::{ClusterStatus, Status};
use crate::result::record::{Cloud, Images, Metrics, RunResult, TargetResult};
use crate::stack::model::Stack;

/// What a benchmark needs to know.
pub struct Bench<'a> {
    pub engine: &'a Engine,
    /// The stack as it stands before the load.
    pub status: &'a Status,
    pub scenario: &'a Scenario,
    /// Adds instances until a rate holds; the load ends then.
    pub scaling: Option<&'a ScaleUntil>,
    pub metrics_timeout: Duration,
    pub load_engine: LoadEngine,
    pub workers: usize,
    /// Where whoever watches is reported the load; see [`crate::result::live`].
    pub base: &'a Path,
    /// What the run can be repeated with.
    pub commands: Vec<String>,
    pub sink: &'a dyn Sink,
    /// What a person changes meanwhile.
    pub control: Arc<Control>,
    pub cancel: &'a CancellationToken,
}

/// Runs the benchmark. Its result has no name yet: that is given where it is stored.
///
/// # Errors
/// A stack that is not up, and a scenario that does not fit it. Failing requests are a result.
pub async fn run(bench: &Bench<'_>) -> Result<(RunResult, Images), Problems> {
    let clients = bench.engine.clients()?;
    let url = url(&bench.engine.stack, bench.status)?;
    let targets = targets(&bench.engine.stack, bench.status, bench.scenario, url)?;
    for step in &bench.scenario.chaos {
        experiment::check(step.experiment.kind, bench.engine.provider().can_disturb())?;
    }
    let setup = tokio::select! {
        () = bench.cancel.cancelled() => return Err(interrupted().into()),
        setup = setup::prove(&bench.engine.stack, bench.status, url) => setup?,
    };
    let over = CancellationToken::new();
    let every = bench.engine.provider().timing().look_loaded;
    let looking = watch::watch(bench.engine, bench.status, every, bench.sink, &over);
    let mut group = match bench.scaling {
        Some(scaling) => Some(scaling.group(bench.engine, bench.status).await?),
        None => None,
    };
    let tap = Tap::new(bench.sink, group.as_ref().map_or("", |group| group.cluster.as_str()));
    let enough = bench.cancel.child_token();
    let loading = async {
        let mut told = outline::load(bench.scenario, clock::now());
        told.tell(bench.base, &bench.engine.stack.name);
        let control = bench.control.clone();
        let measured = bench.load_engine.load(bench.scenario, &targets, bench.workers, &tap, &enough, control).await;
        over.cancel();
        told.ended = Some(clock::now());
        told.tell(bench.base, &bench.engine.stack.name);
        measured
    };
    let scaling = async {
        match (bench.scaling, &group) {
            (Some(scaling), Some(group)) => scaling.drive(group, &tap, &over, &enough).await.map(Some),
            _ => Ok(None),
        }
    };
    let breaking = chaos::during(bench.engine, &bench.scenario.chaos, bench.sink, &over);
    let (measured, looks, disrupted, scaled) = futures_util::future::join4(loading, looking, breaking, scaling).await;
    if let Some(group) = &mut group {
        group.release().await?;
    }
    let (mut measured, scaled) = (measured?, scaled?);
    // That enough was seen is no interruption.
    measured.interrupted = bench.cancel.is_cancelled();
    let seconds = measured.ended.duration_since(measured.started).as_secs_f64();
    let mut cloud = looks.record(measured.started, seconds);
    Happened::since(bench.engine, measured.started).await.put(&mut cloud, measured.started, seconds);
    cloud.weights.clone_from(&bench.scenario.weights);
    cloud.disruptions = chaos::record(&disrupted, &looks, &measured.targets, measured.started);
    for target in &mut measured.targets {
        add_healthy_instances(target, &cloud);
        target.instance_hours = Some(cloud.instance_hours(&target.name));
        target.capacity_max = cloud.running(&target.name).map(|(_, most)| most);
    }
    let (metrics, images) = if measured.interrupted {
        let note = "The run was interrupted: CloudWatch was not asked.".to_owned();
        (Metrics { note, ..Metrics::default() }, Images::new())
    } else {
        let wanted = wanted(bench, &measured, &looks);
        let collected = cloudwatch::collect(&clients.cloudwatch, &wanted, bench.sink, bench.cancel).await;
        // CloudWatch has them all by now.
        happened::put_signals(&mut cloud, bench.engine, (measured.started, measured.ended)).await;
        collected
    };
    let mut result = judge::record(&bench.engine.stack.name, bench.scenario, measured, bench.commands.clone());
    result.provider = bench.engine.provider().name().to_owned();
    result.region = bench.engine.stack.region.clone();
    (result.setup, result.metrics) = (setup, metrics);
    let carried = bill::Carried::of(&bench.engine.stack, &result.targets, result.metrics.load_balancer_bytes);
    result.cost = bill::cost(&bench.engine.stack, &cloud, seconds, carried);
    result.cloud = Some(cloud);
    if let Some(scaled) = scaled {
        judge::add(&mut result, scaling::threshold(&scaled));
        result.scaling = Some(scaled);
    }
    Ok((result, images))
}

/// Where the stack's load balancer answers.
pub fn url<'a>(stack: &Stack, status: &'a Status) -> Result<&'a str, Problem> {
    if !stack.has_load_balancer() {
        let detail = format!("{} has `load_balancer: none`: no URL serves it", stack.name);
        return Err(Problem::usage("There is no load balancer", detail).hint(
            "`cloudscale bench --url http://ADDRESS:PORT` loads one instance; a load balancer serves all of them",
        ));
    }
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
        chosen = stack.serving().map(|cluster| (cluster.name.as_str(), None)).collect();
    }
    let mut targets = Vec::new();
    for (name, path) in chosen {
        let Some(cluster) = stack.serving().find(|cluster| cluster.name == name) else {
            let known = stack.serving().map(|cluster| cluster.name.as_str());
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
                false => "`cloudscale status` shows why; `cloudscale up` repairs it",
            };
            problems.push(Problem::new("The stack is not up", detail).hint(hint));
            continue;
        }
        targets.push(Target { name: name.to_owned(), url: format!("{url}{path}") });
    }
    if problems.has_errors() { Err(problems) } else { Ok(targets) }
}

/// One cluster as a target, as [`targets`] has it.
pub fn target_of(stack: &Stack, scenario: &Scenario, cluster: &str, url: &str) -> Result<Target, Problem> {
    let chosen =
        scenario.targets.iter().find(|choice| choice.cluster == cluster).and_then(|choice| choice.path.clone());
    let path = chosen.or_else(|| default_path(stack.clusters.iter().find(|own| own.name == cluster)?));
    let path = path.ok_or_else(|| {
        let detail = format!("cluster {cluster} has no route, and the scenario names no path for it");
        Problem::usage("Nothing to load", detail).hint(format!("write `targets: {{{cluster}: /path}}`"))
    })?;
    Ok(Target { name: cluster.to_owned(), url: format!("{url}{path}") })
}

fn live<'a>(status: &'a Status, cluster: &str) -> Option<&'a ClusterStatus> {
    status.clusters.iter().find(|known| known.name == cluster)
}

/// An instance that was healthy and answered nothing has a share, too: none.
fn add_healthy_instances(target: &mut TargetResult, cloud: &Cloud) {
    if target.instances.is_empty() {
        return;
    }
    for span in cloud.instances.iter().filter(|span| span.cluster == target.name && span.healthy_seconds > 0.0) {
        target.instances.entry(span.instance.clone()).or_default();
        *target.healthy_seconds.entry(span.instance.clone()).or_default() += span.healthy_seconds;
    }
}

fn wanted(bench: &Bench<'_>, measured: &Measured, looks: &Looks) -> Collect {
    let load_balancer = bench.status.load_balancer.as_ref().map(|load_balancer| load_balancer.full_name.clone());
    let targets = measured.targets.iter().filter_map(|target| {
        let cluster = live(bench.status, &target.name)?;
        Some(MetricsTarget {
            cluster: cluster.name.clone(),
            load_balancer: load_balancer.clone()?,
            target_group: cluster.target_group.as_ref()?.full_name.clone(),
            instances: looks.instances(&cluster.name),
            ended: looks.ended(&cluster.name),
            answers: answers(target),
        })
    });
    Collect {
        targets: targets.collect(),
        started: measured.started,
        ended: measured.ended,
        bands: load_bands(&measured.targets),
        cap: bench.metrics_timeout,
        pauses: bench.engine.provider().timing().metrics_poll,
    }
}

/// Answers that came from an instance; where none is named, correct answers.
fn answers(target: &TargetResult) -> u64 {
    let named: u64 = target.instances.values().sum();
    if named > 0 { named } else { target.requests.saturating_sub(target.errors) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmark::scenario::TargetChoice;
    use crate::resource::status::ClusterKind;
    use crate::resource::status::InstanceStatus;
    use crate::result::record::InstanceSpan;
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
            processor: None,
        }
    }

    fn status(health: &str) -> Status {
        let cluster = |name: &str| ClusterStatus {
            name: name.into(),
            kind: ClusterKind::Fixed,
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

    fn span(cluster: &str, instance: &str, from: f64, until: f64) -> InstanceSpan {
        InstanceSpan {
            instance: instance.into(),
            cluster: cluster.into(),
            instance_type: if cluster == "light" { "t2.large" } else { "m4.large" }.into(),
            from,
            until,
            healthy_seconds: until - from,
        }
    }

    #[test]
    fn shares_are_fair_by_the_time_that_an_instance_was_healthy() {
        let target = |counts: &[(&str, u64)]| TargetResult {
            name: "light".into(),
            instances: counts.iter().map(|(id, count)| ((*id).to_owned(), *count)).collect(),
            ..TargetResult::default()
        };
        let cloud = Cloud {
            instances: vec![
                span("light", "i-1", 0.0, 100.0),
                span("light", "i-2", 50.0, 100.0),
                span("light", "i-3", 95.0, 100.0),
            ],
            ..Cloud::default()
        };
        // 100 of 155 seconds and 50 of 155: 600 and 300 of 930; the last was there for too short a time to compare.
        let mut shared = target(&[("i-1", 620), ("i-2", 310)]);
        add_healthy_instances(&mut shared, &cloud);
        assert_eq!(shared.instances["i-3"], 0, "healthy, and nothing was sent to it");
        assert!(shared.evenness().is_some_and(|evenness| evenness > 96.0), "{:?}", shared.evenness());
        let mut idle = target(&[("i-1", 900)]);
        add_healthy_instances(&mut idle, &cloud);
        assert_eq!(idle.evenness(), Some(0.0));
    }
}
