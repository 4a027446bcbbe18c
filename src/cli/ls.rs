//! `cloudscale ls`: the stacks of a region.

use super::{Outcome, Session, cloud};
use jiff::Timestamp;

use crate::clock;
use crate::cloud::expiry;
use crate::exit::Exit;
use crate::resources::stacks::{StackSummary, stacks};
use crate::ui::table::table;

/// List the stacks of the region
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Machine-readable output
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let (provider, region) = cloud::place(session);
    let stacks = match cloud::running(provider, &region, session).await? {
        Some(clients) => stacks(&clients).await?,
        None => Vec::new(),
    };
    if args.json {
        session.printer.json(&stacks);
    } else if stacks.is_empty() {
        session.printer.note(&format!("no stack in {region} ({})", provider.name()));
    } else {
        let rows = stacks.iter().map(|stack| row(stack, clock::now())).collect();
        session.printer.result(&table(&["stack", "instances", "expiry"], &[1], rows, session.printer.width()));
    }
    Ok(Exit::Ok)
}

fn row(stack: &StackSummary, now: Timestamp) -> Vec<String> {
    let expiry = stack.down_after.map(|expiry| expiry::sentence(expiry, now)).unwrap_or_default();
    vec![stack.stack.clone(), stack.instances.to_string(), expiry]
}
