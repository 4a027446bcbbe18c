//! Carries out an experiment, and says whom it met.

use aws_sdk_ec2::types::Filter;

use super::model::{Experiment, Kind, TargetInstance, targets};
use crate::aws::error::CallError as _;
use crate::clock::speed;
use crate::engine::Engine;
use crate::problem::Problem;
use crate::region::daemon;

/// Whether a disruption of that kind can be made where processes can be disturbed, or cannot.
///
/// # Errors
/// What only the embedded region can do, elsewhere.
pub fn check(kind: Kind, can_disturb: bool) -> Result<(), Problem> {
    if kind == Kind::Interrupt && !can_disturb {
        let detail = "AWS interrupts spot instances on purpose by its Fault Injection Service only";
        return Err(Problem::usage("Only possible in the embedded region", detail)
            .hint("`aws fis` has the action aws:ec2:send-spot-instance-interruptions"));
    }
    if matches!(kind, Kind::Process(_)) && !can_disturb {
        let detail = format!("`{kind}` needs the processes of an instance, which only the embedded region has");
        return Err(Problem::usage("Only possible in the embedded region", detail)
            .hint("`kill` and `zone` terminate instances there"));
    }
    Ok(())
}

/// Terminates instances.
///
/// # Errors
/// A call that fails.
pub async fn terminate(engine: &Engine, instances: &[String]) -> Result<(), Problem> {
    let call = engine.clients()?.ec2.terminate_instances().set_instance_ids(Some(instances.to_vec())).send().await;
    call.map(drop).map_err(|error| error.problem("ec2:TerminateInstances", instances.join(", ")))
}

/// The ids of the spot instances that run.
///
/// # Errors
/// A call that fails.
async fn spot_instances(engine: &Engine) -> Result<Vec<String>, Problem> {
    let filter = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
    let mut pages = engine
        .clients()?
        .ec2
        .describe_instances()
        .filters(filter("instance-lifecycle", "spot"))
        .filters(filter("instance-state-name", "running"))
        .into_paginator()
        .items()
        .send();
    let mut ids = Vec::new();
    while let Some(reservation) = pages.next().await {
        let reservation = reservation.map_err(|error| error.problem("ec2:DescribeInstances", "spot instances"))?;
        ids.extend(reservation.instances().iter().filter_map(|instance| instance.instance_id().map(str::to_owned)));
    }
    Ok(ids)
}

/// Disrupts once.
///
/// # Errors
/// As [`check`] and [`targets`]; a call that fails.
pub async fn disrupt(engine: &Engine, experiment: &Experiment) -> Result<Vec<TargetInstance>, Problem> {
    check(experiment.kind, engine.provider().can_disturb())?;
    let mut status = engine.status().await?;
    if experiment.kind == Kind::Interrupt {
        let spot = spot_instances(engine).await?;
        status.clusters.iter_mut().for_each(|it| it.instances.retain(|instance| spot.contains(&instance.id)));
        if status.clusters.iter().all(|cluster| cluster.instances.is_empty()) {
            let problem = Problem::new("No instance to disrupt", format!("no spot instance of {} runs", status.stack));
            return Err(problem.hint("a group with `mix:` buys spot instances"));
        }
    }
    let disrupted = targets(&status, experiment, |below| fastrand::usize(..below))?;
    match experiment.kind {
        Kind::Kill | Kind::Zone => {
            let ids: Vec<String> = disrupted.iter().map(|target| target.instance.clone()).collect();
            terminate(engine, &ids).await?;
        }
        Kind::Interrupt | Kind::Process(_) => {
            let home = daemon::default_home()?;
            for target in &disrupted {
                daemon::disturb(&home, &target.instance, experiment.kind.name(), speed::wall(experiment.lasts)).await?;
            }
        }
    }
    Ok(disrupted)
}
