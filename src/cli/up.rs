//! `cloudscale up`: makes the cloud what the stack says, and waits until it serves.

use std::path::PathBuf;
use std::time::Duration;

use super::WaitArg;
use super::changes::{self, ChangeArgs};
use super::{Outcome, Session, StackArg, cloud, stack_file};
use crate::engine::plan_file::PlanFile;
use crate::exit::Exit;
use crate::resources::price;

/// Create or change resources until the cloud matches the stack; wait until it serves
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The stack file, or a plan of `diff -o` [default: ./stack.yaml, else the stack last used in this folder]
    stack: Option<PathBuf>,
    #[command(flatten)]
    change: ChangeArgs,
    /// Refuse a stack that may cost more US dollars an hour; a group counts with its maximum
    #[arg(long, value_name = "DOLLARS", value_parser = cloud::dollars)]
    max_hourly: Option<f64>,
    /// What to wait for
    #[arg(long, value_enum, default_value = "all")]
    wait: WaitArg,
    /// How long to wait for all of it
    #[arg(long, value_parser = cloud::duration, default_value = "10m")]
    timeout: Duration,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let planned = args.stack.as_deref().map(PlanFile::read).transpose()?.flatten();
    let stack = match &planned {
        Some(plan) => stack_file::planned(plan, session)?,
        None => stack_file::load(&StackArg { stack: args.stack.clone() }, session)?,
    };
    if let Some(max) = args.max_hourly {
        price::check(&stack, max)?;
    }
    let engine = cloud::engine(stack, session, args.timeout).await?;
    let Some(ready) = changes::prepare(&engine, "up", &args.change.consent(planned.as_ref()), session).await? else {
        return Ok(Exit::Ok);
    };
    ready.apply(&engine).await?;
    let status = engine.wait(args.wait.into()).await?;
    cloud::print_calls(session, engine.clients().ok());
    if let Some(url) = &status.url {
        session.printer.result(url);
    }
    Ok(Exit::Ok)
}
