//! `cloudscale status`: how a stack looks now.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::stack_file::Known;
use super::{Outcome, Session, StackArg, cloud, stack_file};
use crate::aws::clients::Clients;
use crate::clock;
use crate::cloud::expiry;
use crate::engine::Engine;
use crate::exit::Exit;
use crate::observe::follow::Follower;
use crate::observe::look::Cadence;
use crate::observe::model::ClusterView;
use crate::problem::{Problem, Problems};
use crate::resource::status::{ClusterKind, ClusterStatus, InstanceStatus, Status};
use crate::resources::by_name;
use crate::stack::model::Provider;
use crate::ui::events;
use crate::ui::table::table;
use crate::ui::watch::cluster_line;

/// Lines show the newest figures only.
const WATCH_SPAN: SignedDuration = SignedDuration::from_mins(15);

/// Show a stack as it is now
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// The stack by name, where there is no file; see `cloudscale ls`
    #[arg(long = "stack", value_name = "NAME", id = "stack_name", conflicts_with = "stack")]
    name: Option<String>,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
    /// Keep watching, with a line for each cluster whose figures change: for terminals that cannot do `cloudscale watch`
    #[arg(long, conflicts_with = "stack_name")]
    watch: bool,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    if args.watch {
        return watch(args, session).await;
    }
    let (status, clients) = match &args.name {
        Some(name) => {
            let (provider, region) = cloud::place(session);
            of_name(name, provider, &region, session).await?
        }
        None => of_file(&args.stack, session).await?,
    };
    cloud::print_calls(session, clients.as_ref());
    if args.json {
        session.printer.json(&status);
    } else {
        session.printer.result(&text(&status, clock::now(), session.printer.width()));
    }
    Ok(Exit::Ok)
}

async fn of_file(argument: &StackArg, session: &Session) -> Result<(Status, Option<Clients>), Problems> {
    let stack = match stack_file::known_by_name(argument, session)? {
        Known::Whole(stack) => *stack,
        Known::ByName(stack) => return of_name(&stack.name, stack.provider, &stack.region, session).await,
    };
    let Some(clients) = cloud::running(stack.provider, &stack.region, session).await? else {
        return Ok((by_name::nothing_of(&stack), None));
    };
    let engine = Engine::new(stack, clients, cloud::sink(session), cloud::interrupt(), Duration::ZERO);
    Ok((engine.status().await?, engine.clients().ok().cloned()))
}

/// Looks until it is interrupted, or nobody reads any more.
async fn watch(args: &Args, session: &Session) -> Outcome {
    let stack = stack_file::known(&args.stack, session)?;
    let Some(clients) = cloud::running(stack.provider, &stack.region, session).await? else {
        return Err(cloud::nothing_runs(&stack.name).into());
    };
    let interrupt = cloud::interrupt();
    let engine = Engine::new(stack, clients, cloud::sink(session), interrupt.clone(), Duration::ZERO);
    let cadence = Cadence::of(&engine);
    let mut follower = Follower::new(engine, cadence, WATCH_SPAN);
    follower.next().await?;
    let mut told = BTreeMap::new();
    loop {
        if let Some(view) = follower.view() {
            let time = events::time(view.at);
            for cluster in &view.clusters {
                let line = cluster_line(cluster);
                if told.get(&cluster.name) == Some(&line) {
                    continue;
                }
                match args.json {
                    true => session.printer.json_line(&ClusterLine { at: view.at, cluster }),
                    false => session.printer.result(&format!("{time}  {line}")),
                }
                told.insert(cluster.name.clone(), line);
            }
        }
        if session.printer.is_closed() {
            return Ok(Exit::Ok);
        }
        match interrupt.run_until_cancelled(follower.next()).await {
            None => return Ok(Exit::Interrupted),
            Some(Ok(_)) => {}
            Some(Err(problem)) => session.printer.note(&format!("{}: {}", problem.summary, problem.detail)),
        }
    }
}

/// A line of `status --watch --json`.
#[derive(Serialize)]
struct ClusterLine<'a> {
    at: Timestamp,
    cluster: &'a ClusterView,
}

/// What the cloud knows of a stack without its file.
async fn of_name(
    name: &str,
    provider: Provider,
    region: &str,
    session: &Session,
) -> Result<(Status, Option<Clients>), Problems> {
    let unknown = || {
        let detail = format!("{region} ({}) has no resources tagged cloudscale:stack={name}", provider.name());
        Problem::new("No such stack", detail)
            .hint("`cloudscale ls` lists the stacks; --provider and --region say where")
    };
    let clients = cloud::running(provider, region, session).await?.ok_or_else(unknown)?;
    let status = by_name::status(&clients, name).await?.ok_or_else(unknown)?;
    Ok((status, Some(clients)))
}

fn text(status: &Status, now: Timestamp, width: u16) -> String {
    let head = match (&status.url, &status.load_balancer) {
        (Some(url), Some(load_balancer)) => {
            format!("{} on {}: {url} ({})", status.stack, status.provider, load_balancer.state)
        }
        // Without a load balancer there is no URL to show.
        _ if status.clusters.iter().any(|cluster| !cluster.instances.is_empty()) => {
            format!("{} on {}: no load balancer", status.stack, status.provider)
        }
        _ => format!("{} on {}: not up", status.stack, status.provider),
    };
    let stopped = if status.stopped { "\nstopped: `cloudscale start` brings the instances back" } else { "" };
    let expiry = status.down_after.map(|expiry| format!("\n{}", expiry::sentence(expiry, now)));
    let head = format!("{head}{stopped}{}", expiry.unwrap_or_default());
    let clusters = status.clusters.iter().map(cluster_row).collect();
    let instances =
        status.clusters.iter().flat_map(|cluster| cluster.instances.iter().map(|i| instance_row(cluster, i)));
    let instances: Vec<_> = instances.collect();
    let mut text = format!("{head}\n\n");
    text += &table(&["cluster", "kind", "type", "range", "desired", "healthy"], &[4, 5], clusters, width);
    let mut all = status.clusters.iter().flat_map(|cluster| &cluster.instances);
    let modelled = all.any(|instance| instance.processor.is_some());
    if !instances.is_empty() {
        text += "\n\n";
        text += &table(&["instance", "cluster", "zone", "address", "state", "health"], &[], instances, width);
    }
    if modelled {
        text += "\n\nProcessors are modelled: CPUUtilization is what the application's model says, and no CPU time is used.";
    }
    text
}

fn cluster_row(cluster: &ClusterStatus) -> Vec<String> {
    let range = if cluster.kind == ClusterKind::Fixed {
        "fixed".to_owned()
    } else {
        format!("{}–{}", cluster.min, cluster.max)
    };
    vec![
        cluster.name.clone(),
        cluster.kind.to_string(),
        cluster.instance_type.clone(),
        range,
        cluster.desired.to_string(),
        cluster.healthy().to_string(),
    ]
}

fn instance_row(cluster: &ClusterStatus, instance: &InstanceStatus) -> Vec<String> {
    let health = match &instance.reason {
        Some(reason) => format!("{}: {reason}", instance.health),
        None => instance.health.to_string(),
    };
    vec![
        instance.id.clone(),
        cluster.name.clone(),
        instance.az.clone(),
        instance.address.clone().unwrap_or_default(),
        instance.state.to_string(),
        health,
    ]
}
