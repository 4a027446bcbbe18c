//! `cloudscale schema`: the stack language as JSON Schema.

use super::{Outcome, Session};
use crate::exit::Exit;
use crate::stack::{language, schema};

/// Print the JSON Schema of stack files, with which editors complete
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: &Args, session: &Session) -> Outcome {
    session.printer.json(&schema::schema("cloudscale stack", &language::STACK));
    Ok(Exit::Ok)
}
