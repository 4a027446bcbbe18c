//! `cloudscale start`: brings back what `stop` stopped, and waits until it serves.

use std::time::Duration;

use super::WaitArg;
use super::changes::ChangeArgs;
use super::{Outcome, Session, StackArg, cloud, stack_file};
use crate::catalog::prices;
use crate::exit::Exit;

/// Start a stopped stack again with the capacity that it had
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    #[command(flatten)]
    change: ChangeArgs,
    /// What to wait for
    #[arg(long, value_enum, default_value = "all")]
    wait: WaitArg,
    /// How long to wait for all of it
    #[arg(long, value_parser = cloud::duration, default_value = "10m")]
    timeout: Duration,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let stack = stack_file::known(&args.stack, session)?;
    let engine = cloud::engine(stack, session, args.timeout).await?;
    let name = &engine.stack.name;
    let before = engine.status().await?;
    if !before.stopped {
        session.printer.result(&format!("{name}: not stopped"));
        return Ok(Exit::Ok);
    }
    let question = format!("Start the instances of {name} on AWS?");
    if !cloud::confirm(engine.provider().costs_money(), args.change.yes, &question, session)? {
        session.printer.note("Cancelled: nothing was changed.");
        return Ok(Exit::Ok);
    }
    engine.start(args.change.lock_timeout).await?;
    let after = engine.wait(args.wait.into()).await?;
    cloud::print_calls(session, engine.clients().ok());
    session.printer.note(&format!("{name}: started{}", cloud::cost_change(&before, &after)));
    session.printer.note(prices::SOURCE);
    if let Some(url) = &after.url {
        session.printer.result(url);
    }
    Ok(Exit::Ok)
}
