//! Parses the command line, runs the command, prints the problem, sets the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    cloudscale::cli::main().into()
}
