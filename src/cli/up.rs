//! `cloudscale up`: makes the cloud what the stack says, and waits until it serves.

use std::time::Duration;

use super::{Outcome, Session, StackArg, cloud, stack_file};
use crate::engine::wait::Wait;
use crate::exit::Exit;
use crate::ui::plan::render;

/// Make the cloud what the stack says; wait until it serves
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// What to wait for
    #[arg(long, value_enum, default_value = "all")]
    wait: Wait,
    /// When every wait gives up
    #[arg(long, value_parser = cloud::duration, default_value = "10m")]
    timeout: Duration,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let stack = stack_file::load(&args.stack, session)?;
    let provider = stack.provider;
    let engine = cloud::engine(stack, session, args.timeout).await?;
    let plan = engine.plan().await?;
    let details = session.globals.verbose;
    session.printer.note(render(&plan.report, details, session.printer.paint_problems()).trim_end());
    let summary = plan.report.summary;
    if !summary.is_empty() {
        let question = cloud::question(summary, plan.report.hourly_cost.as_ref());
        if !cloud::confirm(provider, args.yes, &question, session)? {
            session.printer.note("Nothing was done.");
            return Ok(Exit::Ok);
        }
        engine.apply(plan).await?;
    }
    let status = engine.wait(args.wait).await?;
    cloud::tell_calls(session, engine.clients());
    if let Some(url) = &status.url {
        session.printer.result(url);
    }
    Ok(Exit::Ok)
}
