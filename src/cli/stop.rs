//! `cloudscale stop`: instances cost nothing until `start`; everything else stays.

use std::time::Duration;

use super::changes::ChangeArgs;
use super::{Outcome, Session, StackArg, cloud, stack_file};
use crate::catalog::prices;
use crate::exit::Exit;

/// Stop a stack's instances and keep everything else
#[derive(Debug, clap::Args)]
#[command(long_about = "Stop a stack's instances and keep everything else.\n\n\
    Fixed instances are stopped; groups go to zero and remember what they were. The load balancer, addresses and volumes stay \
    and keep costing. `cloudscale start` brings the same capacity back, from any machine.")]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    #[command(flatten)]
    change: ChangeArgs,
    /// How long to wait for all of it
    #[arg(long, value_parser = cloud::duration, default_value = "10m")]
    timeout: Duration,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let stack = stack_file::known(&args.stack, session)?;
    let engine = cloud::engine(stack, session, args.timeout).await?;
    let name = &engine.stack.name;
    let before = engine.status().await?;
    let question = format!("Stop the instances of {name} on AWS?");
    if !cloud::confirm(engine.provider().costs_money(), args.change.yes, &question, session)? {
        session.printer.note("Cancelled: nothing was changed.");
        return Ok(Exit::Ok);
    }
    engine.stop(args.change.lock_timeout).await?;
    let after = engine.status().await?;
    cloud::print_calls(session, engine.clients().ok());
    session.printer.result(&format!("{name}: stopped{}", cloud::cost_change(&before, &after)));
    session.printer.note(&format!("What stays keeps costing ({}).", prices::SOURCE));
    Ok(Exit::Ok)
}
