//! Carries out an experiment, and says whom it met.

use super::model::{Experiment, Kind, TargetInstance, targets};
use crate::aws::error::CallError as _;
use crate::clock::speed;
use crate::engine::Engine;
use crate::problem::Problem;
use crate::region::daemon;
use crate::stack::model::Provider;

/// Whether a disruption of that kind can be made there.
///
/// # Errors
/// What only the embedded region can do, on AWS.
pub fn check(kind: Kind, provider: Provider) -> Result<(), Problem> {
    if matches!(kind, Kind::Process(_)) && provider == Provider::Aws {
        let detail = format!("`{kind}` needs the processes of an instance, which only the embedded region has");
        return Err(Problem::usage("Not possible on AWS", detail).hint("`kill` and `zone` terminate instances there"));
    }
    Ok(())
}

/// Terminates instances.
///
/// # Errors
/// A call that fails.
pub async fn terminate(engine: &Engine, instances: &[String]) -> Result<(), Problem> {
    let call = engine.clients().ec2.terminate_instances().set_instance_ids(Some(instances.to_vec())).send().await;
    call.map(drop).map_err(|error| error.problem("ec2:TerminateInstances", instances.join(", ")))
}

/// Strikes once.
///
/// # Errors
/// As [`check`] and [`targets`]; a call that fails.
pub async fn disrupt(engine: &Engine, experiment: &Experiment) -> Result<Vec<TargetInstance>, Problem> {
    check(experiment.kind, engine.clients().provider)?;
    let disrupted = targets(&engine.status().await?, experiment, |below| fastrand::usize(..below))?;
    match experiment.kind {
        Kind::Kill | Kind::Zone => {
            let ids: Vec<String> = disrupted.iter().map(|target| target.instance.clone()).collect();
            terminate(engine, &ids).await?;
        }
        Kind::Process(disturbance) => {
            let home = daemon::default_home()?;
            for target in &disrupted {
                daemon::disturb(&home, &target.instance, disturbance, speed::wall(experiment.lasts)).await?;
            }
        }
    }
    Ok(disrupted)
}
