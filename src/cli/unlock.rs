//! `cloudscale unlock`: releases the lock of a run that has ended.

use std::sync::Arc;

use super::{Outcome, Session, StackArg, cloud};
use crate::engine::lock::process;
use crate::exit::Exit;
use crate::resource::provider::Provider;

/// Release the lock of a run that has ended
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// The stack by name, where there is no file; see `cloudscale ls`
    #[arg(long = "stack", value_name = "NAME", id = "stack_name", conflicts_with = "stack")]
    name: Option<String>,
    /// Skip the confirmation
    #[arg(short, long)]
    yes: bool,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let (name, provider, region) = cloud::named(args.name.as_deref(), &args.stack, session)?;
    let Some(clients) = cloud::running(provider, &region, session).await? else {
        session.printer.result(&format!("{name}: not locked"));
        return Ok(Exit::Ok);
    };
    let provider: Arc<dyn Provider> = clients.into();
    let (lease, now) = provider.leases().find(&name).await?;
    let Some(lease) = lease else {
        session.printer.result(&format!("{name}: not locked"));
        return Ok(Exit::Ok);
    };
    session.printer.note(&lease.sentence(now));
    // A run that may be at work is somebody's, wherever the stack is.
    let asks = !process::is_gone(&lease.holder.process) || provider.costs_money();
    if !cloud::confirm(asks, args.yes, "Release the lock? A run that still holds it stops.", session)? {
        session.printer.note("Cancelled: nothing was changed.");
        return Ok(Exit::Ok);
    }
    provider.leases().delete(&name, &lease.id).await?;
    session.printer.result(&format!("{name}: unlocked"));
    Ok(Exit::Ok)
}
