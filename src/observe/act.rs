//! What a live view can do to a stack: scale a group by hand, and end an instance to see what happens.

use base64::Engine as _;

use crate::aws::error::CallError as _;
use crate::chaos::experiment::terminate;
use crate::engine::Engine;
use crate::problem::{Problem, Problems};

/// Something to do, with what its question has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Scale { cluster: String, from: u32, to: u32 },
    Kill { cluster: String, instance: String, is_fixed: bool },
}

impl Action {
    /// What it does, before it is done.
    pub fn question(&self) -> String {
        match self {
            Action::Scale { cluster, from, to } => format!("Scale {cluster} from {from} to {to}?"),
            Action::Kill { cluster, instance, is_fixed: false } => {
                format!("Terminate {instance} of {cluster}? Its group launches another.")
            }
            Action::Kill { cluster, instance, is_fixed: true } => {
                format!("Terminate {instance} of {cluster}? Only `cloudscale up` brings another.")
            }
        }
    }

    /// What was done.
    pub fn done(&self) -> String {
        match self {
            Action::Scale { cluster, to, .. } => format!("{cluster}: desired capacity {to}"),
            Action::Kill { instance, .. } => format!("{instance} is being terminated"),
        }
    }
}

/// Does it.
///
/// # Errors
/// Why not: out of the group's range, another run that holds the lock, an instance that is not the cluster's.
pub async fn act(engine: &Engine, action: &Action) -> Result<(), Problems> {
    match action {
        Action::Scale { cluster, to, .. } => engine.scale(cluster, *to, std::time::Duration::ZERO).await,
        Action::Kill { cluster, instance, .. } => Ok(kill(engine, cluster, instance).await?),
    }
}

/// Ends an instance of the stack: what is not the stack's is never touched.
async fn kill(engine: &Engine, cluster: &str, instance: &str) -> Result<(), Problem> {
    let status = engine.status().await?;
    let found = status.clusters.iter().find(|found| found.name == cluster);
    if !found.is_some_and(|found| found.instances.iter().any(|found| found.id == instance)) {
        let detail = format!("{cluster} has no instance {instance}");
        return Err(Problem::usage("No such instance", detail).hint("it may have ended meanwhile; look again"));
    }
    terminate(engine, &[instance.to_owned()]).await
}

/// Bytes of a console that are shown, from the end.
const CONSOLE_BYTES_MAX: usize = 64 * 1024;

/// What an instance's user data printed last.
///
/// # Errors
/// A call that fails.
pub async fn console(engine: &Engine, instance: &str) -> Result<String, Problem> {
    let call = engine.clients()?.ec2.get_console_output().instance_id(instance).send().await;
    let answer = call.map_err(|error| error.problem("ec2:GetConsoleOutput", instance))?;
    let text =
        base64::engine::general_purpose::STANDARD.decode(answer.output().unwrap_or_default()).unwrap_or_default();
    let end = &text[text.len().saturating_sub(CONSOLE_BYTES_MAX)..];
    Ok(String::from_utf8_lossy(end).into_owned())
}
