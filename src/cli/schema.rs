//! `cloudscale schema`: the stack language, or the scenarios' or the faults', as JSON Schema.

use super::{Outcome, Session};
use crate::benchmark::language as scenario;
use crate::document::schema;
use crate::exit::Exit;
use crate::region::faults::language as faults;
use crate::stack::language as stack;

/// Print the JSON Schema of stack files, with which editors complete
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The schema of scenario files instead
    #[arg(long)]
    scenario: bool,
    /// The schema of fault files (`local start --faults`) instead
    #[arg(long, conflicts_with = "scenario")]
    faults: bool,
}

pub fn run(args: &Args, session: &Session) -> Outcome {
    let (title, language) = match (args.scenario, args.faults) {
        (true, _) => ("cloudscale scenario", &scenario::SCENARIO),
        (_, true) => ("cloudscale faults", &faults::FAULTS),
        _ => ("cloudscale stack", &stack::STACK),
    };
    session.printer.json(&schema::schema(title, language));
    Ok(Exit::Ok)
}
