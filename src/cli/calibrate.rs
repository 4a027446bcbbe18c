//! `cloudscale calibrate STACK`: what one instance carries, how capacity grows, how long an instance takes to come.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Outcome, Session, StackArg, bench, cloud, stack_file};
use crate::benchmark::calibrate::{self, Calibrate};
use crate::benchmark::scenario::Scenario;
use crate::benchmark::{language, load};
use crate::clock;
use crate::engine::Engine;
use crate::exit::Exit;
use crate::problem::Problems;
use crate::report;
use crate::result::store;
use crate::stack::model::Stack;
use crate::ui;

/// Measure a group: the capacity of one instance, the throughput of more, the time from launch to first answer
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// The group [default: the only one]
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// The scenario whose requests are sent [default: the stack's `benchmark`, otherwise GET on the cluster's first route]
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Instances at most; the group's own maximum is the bound
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    max: u32,
    /// Launches that are timed, at least
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=100))]
    launches: u32,
    /// How long each measurement takes, in wall-clock time
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = cloud::duration)]
    each: Duration,
    /// Threads that carry the load [default: the machine's cores]
    #[arg(long, value_name = "COUNT", value_parser = bench::workers)]
    workers: Option<usize>,
    /// Print the calibration as JSON, and meanwhile events on standard error, a JSON text a line
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let stack = stack_file::known(&args.stack, session)?;
    let scenario = scenario(args, &stack)?;
    let clients = cloud::clients((stack.provider, stack.local), &stack.region, session).await?;
    let (sink, cancel) = (cloud::sink_of(session, args.json), cloud::interrupt());
    let engine = Engine::new(stack, clients, sink.clone(), cancel.clone(), Duration::ZERO);
    let status = engine.status().await?;
    let command = format!("cloudscale calibrate {}", bench::quoted(&engine.stack.file.display().to_string()));
    let wanted = Calibrate {
        engine: &engine,
        status: &status,
        scenario: &scenario,
        cluster: args.cluster.as_deref(),
        max: args.max,
        launches: args.launches,
        each: args.each.max(Duration::from_secs(3)),
        workers: args.workers.unwrap_or_else(load::workers_default),
        commands: vec![format!(
            "{command} --max {} --launches {} --each {}s",
            args.max,
            args.launches,
            args.each.as_secs()
        )],
        sink: &*sink,
        cancel: &cancel,
    };
    // Made before the load: a folder that cannot be written must not cost a calibration.
    let (name, folder) = store::create_calibration(Path::new(""), &engine.stack.name, clock::now())?;
    let outcome = calibrate::run(&wanted).await;
    let mut calibration = outcome.inspect_err(|_| store::discard(&folder))?;
    calibration.calibration = name;
    let page = report::write_calibration(&folder, &calibration)?;
    if args.json {
        session.printer.json(&calibration);
    } else {
        let text = ui::bench::calibration(&calibration, &page.display().to_string(), session.printer.width());
        session.printer.painted_result(&text);
    }
    Ok(Exit::Ok)
}

fn scenario(args: &Args, stack: &Stack) -> Result<Scenario, Problems> {
    match args.scenario.as_ref().or(stack.benchmark.as_ref()) {
        Some(file) => language::load(file),
        None => Ok(language::plain()),
    }
}
