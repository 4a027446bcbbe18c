//! The command line: one file per command.
//!
//! Every command is a file with `Args` and `run(args, session)`. [`Session`] carries what all commands share.

mod adopt;
mod bench;
mod calibrate;
mod changes;
mod chaos;
mod cloud;
mod completions;
mod dashboard;
mod diff;
mod down;
mod events;
mod export;
mod init;
mod instance_init;
mod local;
mod ls;
mod output;
mod report;
mod run;
mod scale;
mod schema;
pub mod stack_file;
mod start;
mod status;
mod stop;
mod unlock;
mod up;
mod validate;
mod watch;
mod workload;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::exit::Exit;
use crate::problem::{Problem, Problems};
use crate::resource::provider::Wait;
use crate::stack::model::Provider;
use crate::ui::Printer;

/// Rehearse autoscaling on a laptop, ship it to AWS, prove it with load.
#[derive(Debug, Parser)]
#[command(name = "cloudscale", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Where the stack runs: overrides the stack's `provider`
    #[arg(long, global = true, value_enum, display_order = 100)]
    pub provider: Option<ProviderArg>,
    /// AWS region: overrides the stack's `region`
    #[arg(long, global = true, display_order = 100)]
    pub region: Option<String>,
    /// Profile of the shared AWS configuration
    #[arg(long, global = true, display_order = 100)]
    pub profile: Option<String>,
    /// Overrides a variable of the stack, NAME=@FILE for a secret one; may be repeated
    #[arg(long = "var", global = true, value_name = "NAME=VALUE", display_order = 100)]
    pub vars: Vec<String>,
    /// Values of variables, as a YAML map; may be repeated, and counts before CLOUDSCALE_VAR_NAME in the environment
    #[arg(long = "var-file", global = true, value_name = "FILE", display_order = 100)]
    pub var_files: Vec<PathBuf>,
    /// Plain output
    #[arg(long, global = true, display_order = 100)]
    pub no_color: bool,
    /// Results and problems only
    #[arg(short, long, global = true, display_order = 100)]
    pub quiet: bool,
    /// Verbose output: every field of a plan, every AWS operation with its count
    #[arg(short, long, global = true, display_order = 100)]
    pub verbose: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum ProviderArg {
    Local,
    Aws,
}

impl From<ProviderArg> for Provider {
    fn from(provider: ProviderArg) -> Self {
        match provider {
            ProviderArg::Local => Provider::Local,
            ProviderArg::Aws => Provider::Aws,
        }
    }
}

/// How far a command waits.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum WaitArg {
    /// Until every target is healthy and every route answers
    All,
    /// Until every target is healthy: for endpoints that route no requests
    Targets,
    /// Not at all
    None,
}

impl From<WaitArg> for Wait {
    fn from(wait: WaitArg) -> Self {
        match wait {
            WaitArg::All => Wait::All,
            WaitArg::Targets => Wait::Targets,
            WaitArg::None => Wait::None,
        }
    }
}

/// The STACK argument of the commands that take one.
#[derive(Clone, Debug, clap::Args)]
pub struct StackArg {
    /// The stack file [default: ./stack.yaml, else the stack last used in this folder]
    pub stack: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Init(init::Args),
    Validate(validate::Args),
    Schema(schema::Args),
    #[command(visible_alias = "plan")]
    Diff(diff::Args),
    #[command(visible_alias = "apply")]
    Up(up::Args),
    Status(status::Args),
    #[command(visible_alias = "list")]
    Ls(ls::Args),
    Events(events::Args),
    Watch(watch::Args),
    Dashboard(dashboard::Args),
    Output(output::Args),
    Scale(scale::Args),
    #[command(visible_alias = "import")]
    Adopt(adopt::Args),
    Chaos(chaos::Args),
    Stop(stop::Args),
    Start(start::Args),
    Bench(Box<bench::Args>),
    Calibrate(calibrate::Args),
    Report(report::Args),
    Export(export::Args),
    #[command(visible_alias = "destroy")]
    Down(down::Args),
    Unlock(unlock::Args),
    Workload(workload::Args),
    Local(local::Args),
    Completions(completions::Args),
    #[command(hide = true)]
    InstanceInit(instance_init::Args),
}

/// What every command is given.
#[derive(Debug)]
pub struct Session {
    pub globals: Globals,
    pub printer: Printer,
}

/// What a command answers: an exit code, or everything that went wrong.
pub type Outcome = Result<Exit, Problems>;

/// Parses, runs, prints the problems; returns the exit code.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            // Nothing to be done where even the message cannot be written.
            let _ = error.print();
            return code;
        }
    };
    let printer = Printer::new(cli.globals.no_color, cli.globals.quiet);
    let session = Session { globals: cli.globals, printer };
    let outcome = match runtime(&cli.command) {
        Ok(runtime) => runtime.block_on(run(cli.command, &session)),
        Err(error) => Err(Problem::new("No runtime", error.to_string()).into()),
    };
    let told = outcome.and_then(|exit| match session.printer.lost_result() {
        Some(problem) if exit == Exit::Ok => Err(problem.into()),
        _ => Ok(exit),
    });
    told.unwrap_or_else(|problems| {
        session.printer.problems(&problems);
        problems.exit()
    })
}

/// The sample application and the first process of its instance have one thread, as nine of them run on a laptop.
fn runtime(command: &Command) -> std::io::Result<Runtime> {
    match command {
        Command::Workload(_) | Command::InstanceInit(_) => Builder::new_current_thread().enable_all().build(),
        _ => Runtime::new(),
    }
}

async fn run(command: Command, session: &Session) -> Outcome {
    match command {
        Command::Diff(args) => diff::run(&args, session).await,
        Command::Up(args) => up::run(&args, session).await,
        Command::Status(args) => status::run(&args, session).await,
        Command::Ls(args) => ls::run(&args, session).await,
        Command::Events(args) => events::run(&args, session).await,
        Command::Dashboard(args) => dashboard::run(&args, session).await,
        Command::Watch(args) => watch::run(&args, session).await,
        Command::Output(args) => output::run(&args, session).await,
        Command::Scale(args) => scale::run(&args, session).await,
        Command::Chaos(args) => chaos::run(&args, session).await,
        Command::Adopt(args) => adopt::run(&args, session).await,
        Command::Down(args) => down::run(&args, session).await,
        Command::Stop(args) => stop::run(&args, session).await,
        Command::Start(args) => start::run(&args, session).await,
        Command::Unlock(args) => unlock::run(&args, session).await,
        Command::Init(args) => init::run(&args, session),
        Command::Validate(args) => validate::run(&args, session),
        Command::Schema(args) => schema::run(&args, session),
        Command::Bench(args) => bench::run(&args, session).await,
        Command::Calibrate(args) => calibrate::run(&args, session).await,
        Command::Run(args) => run::run(&args, session).await,
        Command::Report(args) => report::run(&args, session).await,
        Command::Export(args) => export::run(&args, session),
        Command::Workload(args) => workload::run(args, session).await,
        Command::Local(args) => local::run(args, session).await,
        Command::Completions(args) => completions::run(&args, session),
        Command::InstanceInit(args) => instance_init::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> Command {
        let cli = Cli::try_parse_from(std::iter::once("cloudscale").chain(words.iter().copied()));
        cli.unwrap_or_else(|error| panic!("{words:?}: {error}")).command
    }

    #[test]
    fn the_words_of_terraform_and_of_other_tools_name_our_commands() {
        assert!(matches!(command(&["plan", "stack.yaml", "--exit-code"]), Command::Diff(_)));
        assert!(matches!(command(&["apply", "--yes"]), Command::Up(_)));
        assert!(matches!(command(&["destroy", "--stack", "shop"]), Command::Down(_)));
        assert!(matches!(command(&["list", "--json"]), Command::Ls(_)));
        assert!(matches!(command(&["import", "web", "--group", "old"]), Command::Adopt(_)));
    }

    #[test]
    fn the_help_names_the_aliases() {
        let help = <Cli as clap::CommandFactory>::command().render_long_help().to_string();
        for alias in ["plan", "apply", "destroy", "list", "import"] {
            assert!(
                help.contains(&format!("[alias: {alias}]")) || help.contains(&format!("[aliases: {alias}]")),
                "{alias}: {help}"
            );
        }
    }
}
