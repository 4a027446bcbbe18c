//! `cloudscale dashboard`: a stack live in the browser.

use std::sync::Arc;
use std::time::Duration;

use super::{Outcome, Session, StackArg, cloud, stack_file, watch};
use crate::engine::Engine;
use crate::exit::Exit;
use crate::observe::follow::{self, Follower};
use crate::observe::look::Cadence;
use crate::ui::dashboard::Dashboard;
use crate::ui::progress::Silent;

/// Serve a page that shows a stack live: load, errors, latency, alarms, capacity and events on one axis of time
///
/// The page is for this machine alone, and its address holds a secret: whoever has it may scale the stack and end its
/// instances. `/metrics` has the figures for Prometheus, for docs/grafana-dashboard.json.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// The port [default: any]
    #[arg(long)]
    port: Option<u16>,
    /// How far it looks back, in the region's time
    #[arg(long, value_name = "DURATION", value_parser = cloud::duration, default_value = "6h")]
    window: Duration,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let stack = stack_file::known(&args.stack, session)?;
    let Some(clients) = cloud::running(stack.provider, &stack.region, session).await? else {
        return Err(cloud::nothing_runs(&stack.name).into());
    };
    let interrupt = cloud::interrupt();
    let engine = Engine::new(stack, clients, Arc::new(Silent), interrupt.clone(), Duration::ZERO);
    let dashboard = Dashboard::open(args.port).await?;
    let mut follower = Follower::new(engine.clone(), Cadence::of(&engine), watch::span(args.window));
    // What cannot be read at all is a problem, and no empty page.
    follower.next().await?;
    session.printer.result(&dashboard.url());
    session.printer.note(&format!("Prometheus reads {}; Ctrl-C ends it", dashboard.metrics_url()));
    dashboard.serve(engine, follow::spawn(follower), interrupt).await;
    Ok(Exit::Interrupted)
}
