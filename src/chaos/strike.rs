//! Strikes a blow, and says whom it met.

use super::model::{Kind, Strike, Victim, victims};
use crate::aws::error::CallError as _;
use crate::clock::speed;
use crate::engine::Engine;
use crate::problem::Problem;
use crate::region::daemon;
use crate::stack::model::Provider;

/// Whether a blow of that kind can be struck there.
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
/// As [`check`] and [`victims`]; a call that fails.
pub async fn strike(engine: &Engine, strike: &Strike) -> Result<Vec<Victim>, Problem> {
    check(strike.kind, engine.clients().provider)?;
    let struck = victims(&engine.status().await?, strike, |below| fastrand::usize(..below))?;
    match strike.kind {
        Kind::Kill | Kind::Zone => {
            let ids: Vec<String> = struck.iter().map(|victim| victim.instance.clone()).collect();
            terminate(engine, &ids).await?;
        }
        Kind::Process(disturbance) => {
            let home = daemon::default_home()?;
            for victim in &struck {
                daemon::disturb(&home, &victim.instance, disturbance, speed::wall(strike.lasts)).await?;
            }
        }
    }
    Ok(struck)
}
