//! `cloudscale run`: up, bench, report, down in one go.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::bench::{self, Job, LoadArgs};
use super::changes::{self, ChangeArgs, Ready};
use super::{Outcome, Session, StackArg, cloud, stack_file};
use crate::aws::clients::Clients;
use crate::benchmark::control::Control;
use crate::benchmark::scenario::Scenario;
use crate::engine::Engine;
use crate::exit::Exit;
use crate::problem::Problems;
use crate::region::daemon;
use crate::resource::event::Sink;
use crate::resource::provider::Wait;
use crate::resources::price;
use crate::stack::model::{Provider, Stack};

/// Bring a stack up, load it, report, and take it down again
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    #[command(flatten)]
    load: LoadArgs,
    /// Refuse a stack that may cost more US dollars an hour; a group counts with its maximum
    #[arg(long, value_name = "DOLLARS", value_parser = cloud::dollars)]
    max_hourly: Option<f64>,
    /// Leave the stack up (and the embedded region running)
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    change: ChangeArgs,
    /// How long to wait until the stack is up
    #[arg(long, value_parser = cloud::duration, default_value = "10m")]
    timeout: Duration,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let stack = stack_file::load(&args.stack, session)?;
    if let Some(max) = args.max_hourly {
        price::check(&stack, max)?;
    }
    // Before anything is created: a mistake in the scenario must not cost an `up`.
    let (scenario, file) = bench::scenario(&stack, args.load.scenario.as_deref())?;
    let commands = bench::commands(&stack, Some(&file), &args.load, session);
    let before = match stack.provider {
        Provider::Local => Some(daemon::status(&daemon::default_home()?).await),
        Provider::Aws => None,
    };
    let clients = cloud::clients((stack.provider, stack.local), &stack.region, session).await?;
    let (control, cancel) = (Arc::default(), cloud::interrupt());
    let sink = cloud::load_sink(session, args.load.json, &control, &cancel);
    let whole = Whole { args, session, scenario: &scenario, commands, sink, control, cancel };
    let outcome = whole.up_bench_down(stack, clients).await;
    // The region is left as it was found.
    match before {
        Some(before) if !before.running && !args.keep => {
            let home = daemon::default_home()?;
            if before.has_state {
                daemon::stop(&home).await?;
            } else {
                daemon::reset(&home).await?;
            }
        }
        _ => {}
    }
    outcome
}

struct Whole<'a> {
    args: &'a Args,
    session: &'a Session,
    scenario: &'a Scenario,
    commands: Vec<String>,
    sink: Arc<dyn Sink>,
    control: Arc<Control>,
    cancel: CancellationToken,
}

impl Whole<'_> {
    async fn up_bench_down(&self, stack: Stack, clients: Clients) -> Outcome {
        let cancel = self.cancel.clone();
        let engine = |cancel| Engine::new(stack.clone(), clients.clone(), self.sink.clone(), cancel, self.args.timeout);
        let up = engine(cancel.clone());
        // Whoever holds the lock keeps the stack: what comes after has to be taken down.
        let Some(ready) = changes::prepare(&up, "run", &self.args.change.consent(None), self.session).await? else {
            return Ok(Exit::Ok);
        };
        let keep = self.args.keep;
        let printer = &self.session.printer;
        let outcome = self.up_and_bench(&up, ready, &cancel).await;
        cloud::print_calls(self.session, up.clients().ok());
        if keep {
            printer.note(&format!("{} stays up; `cloudscale down` removes it.", stack.name));
            return outcome;
        }
        // Made now: its time for waiting begins here, however long the load was. Not the cancelled token: after Ctrl-C
        // the stack still goes down. A second Ctrl-C ends the process at once.
        let down = engine(CancellationToken::new());
        match (outcome, down.down(self.args.change.lock_timeout).await) {
            (outcome, Ok(())) => {
                printer.note(&format!("{}: nothing left", stack.name));
                outcome
            }
            (Ok(_), Err(problems)) => Err(problems),
            (Err(Problems(mut first)), Err(Problems(second))) => {
                first.extend(second);
                Err(Problems(first))
            }
        }
    }

    async fn up_and_bench(&self, up: &Engine, ready: Ready, cancel: &CancellationToken) -> Outcome {
        ready.apply(up).await?;
        let status = up.wait(Wait::All).await?;
        let job = Job {
            engine: up,
            status: &status,
            scenario: self.scenario,
            scaling: None,
            commands: self.commands.clone(),
            sink: &*self.sink,
            control: self.control.clone(),
            cancel,
        };
        job.run(&self.args.load, self.session).await
    }
}
