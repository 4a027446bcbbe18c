//! `cloudscale completions`: a script that lets a shell complete commands and options.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Outcome, Session};
use crate::exit::Exit;

/// Print a completion script, for example: cloudscale completions bash > ~/.local/share/bash-completion/completions/cloudscale
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell that completes
    #[arg(value_enum)]
    shell: Shell,
}

#[expect(clippy::unnecessary_wraps, reason = "every command answers an Outcome")]
pub fn run(args: &Args, session: &Session) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "cloudscale", &mut script);
    session.printer.text(&script);
    Ok(Exit::Ok)
}
