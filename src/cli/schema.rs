//! `cloudscale schema`: the stack language, or the scenarios', as JSON Schema.

use super::{Outcome, Session};
use crate::benchmark::language as scenario;
use crate::exit::Exit;
use crate::stack::{language as stack, schema};

/// Print the JSON Schema of stack files, with which editors complete
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The schema of scenario files instead
    #[arg(long)]
    scenario: bool,
}

pub fn run(args: &Args, session: &Session) -> Outcome {
    let (title, language) = match args.scenario {
        true => ("cloudscale scenario", &scenario::SCENARIO),
        false => ("cloudscale stack", &stack::STACK),
    };
    session.printer.json(&schema::schema(title, language));
    Ok(Exit::Ok)
}
