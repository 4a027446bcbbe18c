//! `cloudscale down`: removes a stack and proves that nothing is left.

use std::time::Duration;

use super::changes::ChangeArgs;
use super::{Outcome, Session, StackArg, cloud};
use crate::engine::down;
use crate::engine::task::Run;
use crate::exit::Exit;

/// Remove a stack; prove that nothing is left
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// The stack by name, where there is no file; see `cloudscale ls`
    #[arg(long = "stack", value_name = "NAME", id = "stack_name", conflicts_with = "stack")]
    name: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
    /// When every wait gives up
    #[arg(long, value_parser = cloud::duration, default_value = "15m")]
    timeout: Duration,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let (name, provider, region) = cloud::named(args.name.as_deref(), &args.stack, session)?;
    let clients = cloud::clients(provider, &region, session).await?;
    let run = Run::new(clients, &name, cloud::sink(session), cloud::interrupt(), args.timeout);
    let teardown = down::plan(&run).await?;
    let count = teardown.report.changes.len();
    if count > 0 {
        for change in &teardown.report.changes {
            session.printer.note(&format!("  {} {}", change.action.symbol(), change.address));
        }
        let question = format!("Delete {count} resources of {name} on AWS?");
        if !cloud::confirm(provider, args.change.yes, &question, session)? {
            session.printer.note("Nothing was done.");
            return Ok(Exit::Ok);
        }
    }
    down::down(&run, teardown, args.change.lock_timeout).await?;
    cloud::tell_calls(session, &run.clients);
    session.printer.result(&format!("{name}: nothing left"));
    Ok(Exit::Ok)
}
