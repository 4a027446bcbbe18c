//! `cloudscale bench`: loads a stack that is up, and writes the report of the run.

mod scale_until;
mod url;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Outcome, Session, StackArg, cloud, stack_file};
use crate::benchmark::control::Control;
use crate::benchmark::load_engine::LoadEngine;
use crate::benchmark::scaling::ScaleUntil;
use crate::benchmark::scenario::Scenario;
use crate::benchmark::{language, load, run as benchmark};
use crate::clock;
use crate::engine::Engine;
use crate::exit::Exit;
use crate::problem::{Problem, Problems};
use crate::report;
use crate::resource::event::Sink;
use crate::resource::status::{InstanceStatus, Status};
use crate::result::record::{RunResult, Verdict};
use crate::result::store;
use crate::stack::model::{Generators, Stack};
use crate::ui;

/// Load a stack that is up; thresholds decide the exit code
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    #[command(flatten)]
    pub load: LoadArgs,
    #[command(flatten)]
    until: scale_until::UntilArgs,
    #[command(flatten)]
    url: url::UrlArgs,
}

/// What `bench` and `run` share.
#[derive(Clone, Debug, clap::Args)]
pub struct LoadArgs {
    /// The scenario file [default: the stack's `benchmark`]
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// How long to wait for CloudWatch to show the whole run [default: 5m on AWS, 75s in the embedded region]
    #[arg(long, value_name = "DURATION", value_parser = cloud::duration)]
    pub metrics_timeout: Option<Duration>,
    /// What generates the load: our own threads, or Locust's workers (installed once, from PyPI)
    #[arg(long, value_enum, default_value_t)]
    pub engine: EngineArg,
    /// Have Locust's workers come from other machines, which connect here; --workers says how many are waited for
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<std::net::SocketAddr>,
    /// Threads that generate the load, or Locust's worker processes [default: the machine's cores]
    #[arg(long, value_name = "COUNT", value_parser = workers)]
    pub workers: Option<usize>,
    /// Also write the thresholds as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Print the result as JSON, and meanwhile events as JSON Lines on standard error
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum EngineArg {
    #[default]
    Builtin,
    Locust,
}

impl LoadArgs {
    /// What carries the load, with how many workers; the stack's load generators where it has some and nothing else is asked for.
    fn load_engine(&self, generators: Option<Generators>) -> Result<(LoadEngine, usize), Problem> {
        if let Some(Generators { master, workers }) =
            generators.filter(|_| self.listen.is_none() && self.workers.is_none())
        {
            let engine = LoadEngine::Locust { listen: Some(master) };
            return Ok((engine, usize::try_from(workers).unwrap_or(usize::MAX)));
        }
        let workers = self.workers.unwrap_or_else(load::workers_default);
        match (self.engine, self.listen) {
            (EngineArg::Locust, listen) => Ok((LoadEngine::Locust { listen }, workers)),
            (EngineArg::Builtin, None) => Ok((LoadEngine::Builtin, workers)),
            (EngineArg::Builtin, Some(_)) => {
                let detail = "the built-in engine runs in this process alone; `--listen` waits for Locust’s workers";
                Err(Problem::usage("`--listen` needs Locust", detail).hint("add `--engine locust`"))
            }
        }
    }
}

pub fn workers(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| (1..=256).contains(count)).ok_or_else(|| "a number from 1 to 256".to_owned())
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    if let Some(target) = &args.url.url {
        return url::run(target, &args.url, &args.load, session).await;
    }
    let stack = stack_file::known(&args.stack, session)?;
    let (mut scenario, file) = match (&args.load.scenario, &stack.benchmark) {
        // Its users need requests, and no schedule.
        (None, None) if args.until.is_asked() => (language::plain(), None),
        _ => {
            let (scenario, file) = scenario(&stack, args.load.scenario.as_deref())?;
            (scenario, Some(file))
        }
    };
    let scaling = args.until.asked(&mut scenario);
    let clients = cloud::clients((stack.provider, stack.local), &stack.region, session).await?;
    let (control, cancel) = (Arc::default(), cloud::interrupt());
    let sink = cloud::load_sink(session, args.load.json, &control, &cancel);
    let engine = Engine::new(stack, clients, sink.clone(), cancel.clone(), Duration::ZERO);
    let status = engine.status().await?;
    let job = Job {
        engine: &engine,
        status: &status,
        scenario: &scenario,
        scaling: scaling.as_ref(),
        commands: commands(&engine.stack, file.as_deref(), &args.load, session),
        sink: &*sink,
        control,
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
pub fn commands(stack: &Stack, scenario: Option<&Path>, load: &LoadArgs, session: &Session) -> Vec<String> {
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
    let scenario = scenario.map(|file| format!(" --scenario {}", quoted(&file.display().to_string())));
    let mut engine = String::new();
    if load.engine == EngineArg::Locust {
        engine += " --engine locust";
        engine += &load.listen.map_or_else(String::new, |listen| format!(" --listen {listen}"));
        engine += &load.workers.map_or_else(String::new, |workers| format!(" --workers {workers}"));
    }
    vec![
        format!("cloudscale up {file}{options}"),
        format!("cloudscale bench {file}{options}{}{engine}", scenario.unwrap_or_default()),
        format!("cloudscale down {file}{options}"),
    ]
}

/// An argument as a shell reads it.
pub fn quoted(text: &str) -> String {
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
    pub scaling: Option<&'a ScaleUntil>,
    pub commands: Vec<String>,
    pub sink: &'a dyn Sink,
    pub control: Arc<Control>,
    pub cancel: &'a CancellationToken,
}

impl Job<'_> {
    /// Runs it, stores and prints the result; the exit code is the verdict's.
    pub async fn run(self, args: &LoadArgs, session: &Session) -> Outcome {
        let timing = self.engine.provider().timing();
        let (load_engine, workers) = args.load_engine(generators(&self.engine.stack, self.status, args)?)?;
        let bench = benchmark::Bench {
            engine: self.engine,
            status: self.status,
            scenario: self.scenario,
            scaling: self.scaling,
            metrics_timeout: args.metrics_timeout.unwrap_or(timing.metrics_timeout),
            load_engine,
            workers,
            base: Path::new(""),
            commands: self.commands,
            sink: self.sink,
            control: self.control,
            cancel: self.cancel,
        };
        // Made before the load: a folder that cannot be written must not cost a run.
        let (name, folder) = store::create(Path::new(""), &self.engine.stack.name, clock::now())?;
        let outcome = benchmark::run(&bench).await;
        let (mut result, images) = outcome.inspect_err(|_| store::discard(&folder))?;
        result.run = name;
        let page = report::write(&folder, &result, &images)?;
        hand_over(&result, &page, args, session)
    }
}

/// The stack's load generators, where Locust is to carry the load.
///
/// # Errors
/// Where not all of them run.
fn generators(stack: &Stack, status: &Status, args: &LoadArgs) -> Result<Option<Generators>, Problem> {
    let Some((cluster, generators)) = stack.load_generators().filter(|_| args.engine == EngineArg::Locust) else {
        return Ok(None);
    };
    let observed = status.clusters.iter().find(|observed| observed.name == cluster.name);
    // Those that still boot join when they can.
    let is_there = |instance: &&InstanceStatus| instance.state.is_charged();
    let there = observed.map_or(0, |observed| observed.instances.iter().filter(is_there).count());
    let wanted = observed.map_or(0, |observed| observed.desired);
    if args.listen.is_none() && args.workers.is_none() && (wanted == 0 || there < wanted as usize) {
        let detail = format!("{there} of {wanted} instances of {} run", cluster.name);
        return Err(Problem::new("The load generators are not up", detail)
            .hint("`cloudscale up` launches them; `--workers N` has workers on this machine instead"));
    }
    Ok(Some(generators))
}

/// Prints the result, and writes it where a CI system looks; the exit code is the verdict's.
fn hand_over(result: &RunResult, page: &Path, args: &LoadArgs, session: &Session) -> Outcome {
    if let Some(file) = &args.junit {
        store::write_file(file, report::junit::junit(result).as_bytes())?;
    }
    // GitHub's runners show what is appended to this file as the job's summary.
    if let Some(file) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|file| !file.is_empty()) {
        store::append_file(Path::new(&file), report::markdown::markdown(result).as_bytes())?;
    }
    if args.json {
        session.printer.json(result);
    } else {
        let (paint, width) = (session.printer.paint(), session.printer.width());
        session.printer.painted_result(&ui::bench::summary(result, &page.display().to_string(), paint, width));
    }
    Ok(exit(result))
}

fn exit(result: &RunResult) -> Exit {
    match result.verdict {
        Verdict::Passed => Exit::Ok,
        Verdict::Missed | Verdict::Limited => Exit::Threshold,
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
