//! `cloudscale up`: makes the cloud what the stack says, and waits until it serves.

use std::time::Duration;

use super::changes::{self, ChangeArgs};
use super::{Outcome, Session, StackArg, cloud, stack_file};
use crate::engine::wait::Wait;
use crate::exit::Exit;

/// Make the cloud what the stack says; wait until it serves
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    #[command(flatten)]
    change: ChangeArgs,
    /// What to wait for
    #[arg(long, value_enum, default_value = "all")]
    wait: Wait,
    /// When every wait gives up
    #[arg(long, value_parser = cloud::duration, default_value = "10m")]
    timeout: Duration,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let stack = stack_file::load(&args.stack, session)?;
    let engine = cloud::engine(stack, session, args.timeout).await?;
    let Some(ready) = changes::prepare(&engine, "up", &args.change, session).await? else {
        return Ok(Exit::Ok);
    };
    ready.apply(&engine).await?;
    let status = engine.wait(args.wait).await?;
    cloud::tell_calls(session, engine.clients());
    if let Some(url) = &status.url {
        session.printer.result(url);
    }
    Ok(Exit::Ok)
}
