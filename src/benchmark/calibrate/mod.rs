//! `calibrate`: what one instance carries, how capacity grows with instances, how long one takes to come.
//!
//! One instance alone: a lone user for the service time, more and more users until the throughput grows no further, then rates
//! below and above it. Then an instance at a time, each timed from the call to its first answer, and the throughput of all.
//! `fit.rs` says what the measurements mean.

mod fit;

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::arrivals::{Curve, Spacing};
use super::client::Client;
use super::group::Group;
use super::http2::Connections;
use super::judge;
use super::load::{self, Target};
use super::plan::Plan;
use super::run::{target_of, url};
use super::scenario::{Closed, Flow, Load, Phase, Scenario};
use crate::clock::{self, speed};
use crate::engine::Engine;
use crate::problem::{Problem, Problems};
use crate::resource::context::interrupted;
use crate::resource::event::{Event, Sink};
use crate::resource::status::{ClusterStatus, Status};
use crate::result::calibration::{Calibration, Estimate, Launch, RateStep, SCHEMA, ScalePoint};
use crate::result::record::TargetResult;

/// Users are doubled from here until the throughput does not grow any more ([`fit::is_saturated`]).
const USERS: [u32; 6] = [4, 8, 16, 32, 64, 128];
/// Of the throughput at saturation: the rates that are searched for the knee and the first errors.
const RATES: [f64; 9] = [0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 1.05, 1.2];
/// How far the 95th percentile may rise before it is called a bend.
pub const KNEE_FACTOR: f64 = 3.0;
/// Until an instance is healthy, in the region's time.
const HEALTHY_WITHIN: Duration = Duration::from_secs(900);
const ASK_EVERY: Duration = Duration::from_millis(50);
/// An instance that is healthy and not seen to answer within this (by the wall) has no time of its first answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

pub struct Calibrate<'a> {
    pub engine: &'a Engine,
    pub status: &'a Status,
    /// What is sent; its phases are not used.
    pub scenario: &'a Scenario,
    pub cluster: Option<&'a str>,
    /// Instances at most.
    pub max: u32,
    /// Instances that are launched and timed, at least.
    pub launches: u32,
    /// How long each measurement takes, by the wall.
    pub each: Duration,
    pub workers: usize,
    pub commands: Vec<String>,
    pub sink: &'a dyn Sink,
    pub cancel: &'a CancellationToken,
}

/// # Errors
/// A cluster that cannot be scaled to one instance; a group that does not get where it is asked to.
pub async fn run(wanted: &Calibrate<'_>) -> Result<Calibration, Problems> {
    let mut group = Group::find(wanted.engine, wanted.status, wanted.cluster)?;
    if group.min > 1 {
        let detail =
            format!("{} keeps {} instances at least, and one alone is to be measured", group.cluster, group.min);
        let hint = "write `min: 1` into its `autoscaling` and run `cloudscale up`";
        return Err(Problem::usage("One instance cannot be measured", detail).hint(hint).into());
    }
    let desired = group.desired;
    group.hold().await?;
    let outcome = measure(wanted, &group).await;
    // Whatever came of it, the group is left as it was found.
    let back = group.scale(desired).await;
    let released = group.release().await;
    let calibration = outcome?;
    back?;
    released?;
    Ok(calibration)
}

async fn measure(wanted: &Calibrate<'_>, group: &Group<'_>) -> Result<Calibration, Problems> {
    let started = clock::now();
    let url = url(&wanted.engine.stack, wanted.status)?;
    let target = target_of(&wanted.engine.stack, wanted.scenario, &group.cluster, url)?;
    let mut bench = Bench { wanted, group, target, warnings: Vec::new() };
    group.scale(1).await?;
    bench.until(1).await?;
    let lone = bench.closed(1).await?;
    let (capacity, users) = bench.saturation().await?;
    let rates = bench.rates(capacity.value).await?;
    let mut scaling = vec![ScalePoint { instances: 1, rate: capacity }];
    let mut launches = Vec::new();
    for instances in 2..=wanted.max.min(group.max) {
        launches.push(bench.launch(instances).await?);
        let measured = bench.closed(users * instances).await?;
        let rate = fit::estimate(&fit::rates(&measured)).ok_or_else(|| nothing(&group.cluster))?;
        bench.told(&format!("{instances} instances: {:.1}/s", rate.value));
        scaling.push(ScalePoint { instances, rate });
    }
    while launches.len() < wanted.launches as usize && group.max > 1 {
        group.scale(1).await?;
        bench.until(1).await?;
        launches.push(bench.launch(2).await?);
    }
    let seconds: Vec<f64> =
        launches.iter().map(|launch| launch.answered_after.unwrap_or(launch.healthy_after)).collect();
    bench.warnings.dedup();
    Ok(Calibration {
        schema: SCHEMA,
        calibration: String::new(),
        stack: wanted.engine.stack.name.clone(),
        cluster: group.cluster.clone(),
        instance_type: group.instance_type.clone(),
        provider: wanted.engine.provider().name().to_owned(),
        region: wanted.engine.stack.region.clone(),
        speed: speed::speed(),
        started,
        ended: clock::now(),
        capacity,
        users,
        knee: fit::knee(&rates, KNEE_FACTOR),
        knee_factor: KNEE_FACTOR,
        first_errors: fit::first_errors(&rates),
        rates,
        service: fit::service(&lone, capacity.value),
        speed_up: fit::speed_up(&scaling),
        scaling,
        launch: fit::estimate(&seconds),
        launches,
        warnings: bench.warnings,
        environment: judge::environment(wanted.commands.clone()),
    })
}

struct Bench<'a> {
    wanted: &'a Calibrate<'a>,
    group: &'a Group<'a>,
    target: Target,
    warnings: Vec<String>,
}

impl Bench<'_> {
    async fn until(&self, instances: u32) -> Result<ClusterStatus, Problems> {
        self.group.until(instances, HEALTHY_WITHIN, self.wanted.sink, self.wanted.cancel).await
    }

    fn told(&self, text: &str) {
        self.wanted.sink.event(Event::Note { text: format!("{}: {text}", self.group.cluster) });
    }

    /// The scenario's requests under another load, for as long as each measurement takes.
    async fn load(&mut self, load: Load) -> Result<TargetResult, Problems> {
        let phases = vec![Phase { name: None, load }];
        let scenario = Scenario {
            flows: vec![Flow { name: String::new(), phases }],
            warm_up: Duration::ZERO,
            repeat: 1,
            thresholds: Vec::new(),
            ..self.wanted.scenario.clone()
        };
        let targets = std::slice::from_ref(&self.target);
        let wanted = self.wanted;
        let mut measured = load::load(&scenario, targets, wanted.workers, wanted.sink, wanted.cancel).await?;
        if measured.interrupted {
            return Err(interrupted().into());
        }
        let own = measured.targets.remove(0);
        for limit in measured.client.limits {
            self.warnings.push(format!("the load generator was the bottleneck: {limit}"));
        }
        Ok(own)
    }

    /// By the wall, whatever the region's time does.
    fn each(&self) -> Duration {
        speed::region(self.wanted.each)
    }

    async fn closed(&mut self, users: u32) -> Result<TargetResult, Problems> {
        let duration = Some(self.each());
        self.load(Load::Closed(Closed { users, iterations: None, duration, think_time: Duration::ZERO })).await
    }

    /// The throughput that more users do not raise, and how many it took.
    async fn saturation(&mut self) -> Result<(Estimate, u32), Problems> {
        let mut best = None;
        for users in USERS {
            let measured = self.closed(users).await?;
            let rate = fit::estimate(&fit::rates(&measured)).ok_or_else(|| nothing(&self.group.cluster))?;
            self.told(&format!("{users} users: {:.1}/s", rate.value));
            match best {
                Some(known) if fit::is_saturated(known, rate.value) => return Ok((rate, users)),
                _ => best = Some(rate.value),
            }
            if users == USERS[USERS.len() - 1] {
                self.warnings.push(format!("{users} users did not saturate it: the capacity is a lower bound"));
                return Ok((rate, users));
            }
        }
        Err(nothing(&self.group.cluster).into())
    }

    async fn rates(&mut self, capacity: f64) -> Result<Vec<RateStep>, Problems> {
        let mut steps = Vec::new();
        for part in RATES {
            let demanded = (capacity * part).max(1.0);
            let curve = Curve::constant(demanded, self.each());
            let measured = self.load(Load::Open { curve, spacing: Spacing::Poisson { seed: 1 } }).await?;
            let latency = measured.latency_ms;
            steps.push(RateStep {
                // What random arrivals came to.
                demanded: measured.requests as f64 / self.wanted.each.as_secs_f64(),
                rate: measured.rate,
                error_percent: measured.error_percent().unwrap_or(100.0),
                p50_ms: latency.map(|latency| latency.p50),
                p95_ms: latency.map(|latency| latency.p95),
                p99_ms: latency.map(|latency| latency.p99),
            });
        }
        Ok(steps)
    }

    /// One instance more, timed.
    async fn launch(&self, instances: u32) -> Result<Launch, Problems> {
        let before: Vec<String> = self.group.look().await?.instances.into_iter().map(|one| one.id).collect();
        let asked = clock::now();
        self.group.scale(instances).await?;
        let cluster = self.until(instances).await?;
        let healthy_after = since(asked);
        let new = cluster.instances.into_iter().map(|one| one.id).find(|id| !before.contains(id));
        let instance = new.ok_or_else(|| nothing(&self.group.cluster))?;
        let answered_after = self.first_answer(&instance, asked).await?;
        self.told(&format!(
            "{instance} answered {:.1} s after it was asked for",
            answered_after.unwrap_or(healthy_after)
        ));
        Ok(Launch { instance, healthy_after, answered_after })
    }

    /// When an instance is first seen to answer; `None` where answers name no instance.
    async fn first_answer(&self, instance: &str, asked: Timestamp) -> Result<Option<f64>, Problems> {
        let plan = Plan::new(self.wanted.scenario, std::slice::from_ref(&self.target), 1)?;
        let target = &plan.targets[0];
        let mut client = Client::of(target, 0, &Connections::default());
        let until = clock::instant() + ANSWERS_WITHIN;
        while clock::instant() < until && !self.wanted.cancel.is_cancelled() {
            let reply = client.send(&target.requests[0], target.row(0), clock::instant()).await;
            if reply.instance == Some(instance) {
                return Ok(Some(since(asked)));
            }
            clock::sleep(ASK_EVERY).await;
        }
        Ok(None)
    }
}

/// Seconds of the region's time.
fn since(at: Timestamp) -> f64 {
    (clock::now().duration_since(at).as_secs_f64() * 1000.0).round() / 1000.0
}

fn nothing(cluster: &str) -> Problem {
    Problem::new("Nothing could be measured", format!("{cluster} gave no correct answer"))
        .hint("`cloudscale bench` shows what it answers")
}
