//! `cloudscale export k6|locust|oha`: a scenario as a script for another load generator.

use std::path::PathBuf;

use super::{Outcome, Session};
use crate::benchmark::export::{self, Tool};
use crate::benchmark::language;
use crate::benchmark::request::Server;
use crate::exit::Exit;

/// Write a scenario as a script for k6, Locust or oha, and say what that cannot express
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tool
    #[arg(value_enum)]
    tool: ToolArg,
    /// The scenario file
    scenario: PathBuf,
    /// What is loaded, with the target's path; BASE_URL overrides it in the scripts of k6 and Locust
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/")]
    url: String,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ToolArg {
    K6,
    Locust,
    Oha,
}

pub fn run(args: &Args, session: &Session) -> Outcome {
    let scenario = language::load(&args.scenario)?;
    Server::of(&args.url)?;
    let tool = match args.tool {
        ToolArg::K6 => Tool::K6,
        ToolArg::Locust => Tool::Locust,
        ToolArg::Oha => Tool::Oha,
    };
    let script = export::export(&scenario, &args.url, tool);
    session.printer.text(script.text.as_bytes());
    for note in &script.notes {
        session.printer.note(note);
    }
    Ok(Exit::Ok)
}
