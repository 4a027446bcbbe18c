//! `cloudscale bench`: loads a stack that is up, and writes the report of the run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Outcome, Session, StackArg, cloud, stack_file};
use crate::benchmark::scenario::Scenario;
use crate::benchmark::{language, run as benchmark};
use crate::engine::Engine;
use crate::exit::Exit;
use crate::problem::{Problem, Problems};
use crate::report;
use crate::resource::event::Sink;
use crate::resource::status::Status;
use crate::result::record::{RunResult, Verdict};
use crate::result::store;
use crate::stack::model::Stack;
use crate::ui;

/// Load a stack that is up; thresholds decide the exit code
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    #[command(flatten)]
    pub load: LoadArgs,
}

/// What `bench` and `run` share.
#[derive(Clone, Debug, clap::Args)]
pub struct LoadArgs {
    /// The scenario file [default: the stack's `benchmark`]
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// How long to wait for CloudWatch to show the whole run [default: 5m on AWS, 30s in the embedded region]
    #[arg(long, value_name = "DURATION", value_parser = cloud::duration)]
    pub metrics_timeout: Option<Duration>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let stack = stack_file::known(&args.stack, session)?;
    let (scenario, file) = scenario(&stack, args.load.scenario.as_deref())?;
    let clients = cloud::clients(stack.provider, &stack.region, session).await?;
    let (sink, cancel) = (cloud::sink(session), cloud::interrupt());
    let engine = Engine::new(stack, clients, sink.clone(), cancel.clone(), Duration::ZERO);
    let status = engine.status().await?;
    let job = Job {
        engine: &engine,
        status: &status,
        scenario: &scenario,
        commands: commands(&engine.stack, &file, session),
        sink: &*sink,
        cancel: &cancel,
    };
    job.run(&args.load, session).await
}

/// The scenario to run, and its file.
pub fn scenario(stack: &Stack, named: Option<&Path>) -> Result<(Scenario, PathBuf), Problems> {
    let file = named.map(Path::to_owned).or_else(|| stack.benchmark.clone()).ok_or_else(|| {
        Problem::usage("No scenario", format!("{} names none in `benchmark`, and none is given", stack.file.display()))
            .hint("give one, e.g. `--scenario benchmarks/quick.yaml`")
    })?;
    Ok((language::load(&file)?, file))
}

/// The commands that repeat the run.
pub fn commands(stack: &Stack, scenario: &Path, session: &Session) -> Vec<String> {
    let file = quoted(&stack.file.display().to_string());
    let mut options = format!(" --provider {}", stack.provider.name());
    if let Some(region) = &session.globals.region {
        options += &format!(" --region {}", quoted(region));
    }
    for var in &session.globals.vars {
        // A secret is named by its file: no other way is taken.
        options += &format!(" --var {}", quoted(var));
    }
    for file in &session.globals.var_files {
        options += &format!(" --var-file {}", quoted(&file.display().to_string()));
    }
    vec![
        format!("cloudscale up {file}{options}"),
        format!("cloudscale bench {file}{options} --scenario {}", quoted(&scenario.display().to_string())),
        format!("cloudscale down {file}{options}"),
    ]
}

/// An argument as a shell reads it.
fn quoted(text: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-=:,+@%".contains(character);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A benchmark about to run.
pub struct Job<'a> {
    pub engine: &'a Engine,
    pub status: &'a Status,
    pub scenario: &'a Scenario,
    pub commands: Vec<String>,
    pub sink: &'a dyn Sink,
    pub cancel: &'a CancellationToken,
}

impl Job<'_> {
    /// Runs it, stores and prints the result; the exit code is the verdict's.
    pub async fn run(self, args: &LoadArgs, session: &Session) -> Outcome {
        let provider = self.engine.clients().provider;
        let bench = benchmark::Bench {
            engine: self.engine,
            status: self.status,
            scenario: self.scenario,
            metrics_timeout: args.metrics_timeout.unwrap_or_else(|| benchmark::metrics_timeout(provider)),
            commands: self.commands,
            sink: self.sink,
            cancel: self.cancel,
        };
        let (mut result, images) = benchmark::run(&bench).await?;
        let (name, folder) = store::create(Path::new(""), &self.engine.stack.name, result.started)?;
        result.run = name;
        let page = report::write(&folder, &result, &images)?;
        if args.json {
            session.printer.json(&result);
        } else {
            let (paint, width) = (session.printer.paint(), session.printer.width());
            session.printer.painted_result(&ui::bench::summary(&result, &page.display().to_string(), paint, width));
        }
        Ok(exit(&result))
    }
}

fn exit(result: &RunResult) -> Exit {
    match result.verdict {
        Verdict::Passed => Exit::Ok,
        Verdict::Missed => Exit::Threshold,
        Verdict::Interrupted => Exit::Interrupted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_where_a_shell_would_change_them() {
        assert_eq!(quoted("stacks/two-clusters.yaml"), "stacks/two-clusters.yaml");
        assert_eq!(quoted("my stack.yaml"), "'my stack.yaml'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("a=$HOME"), "'a=$HOME'");
        assert_eq!(quoted(""), "''");
    }
}
