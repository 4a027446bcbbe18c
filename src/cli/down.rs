//! `cloudscale down`: removes a stack and proves that nothing is left.

use std::time::Duration;

use jiff::Timestamp;

use super::changes::{self, ChangeArgs};
use super::{Outcome, Session, StackArg, cloud};
use crate::clock;
use crate::cloud::expiry;
use crate::engine::{down, lock};
use crate::exit::Exit;
use crate::resource::context::Operation;

/// Remove a stack; prove that nothing is left
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// The stack by name, where there is no file; see `cloudscale ls`
    #[arg(long = "stack", value_name = "NAME", id = "stack_name", conflicts_with = "stack")]
    name: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
    /// Not now: note an expiry in the cloud, and let AWS take groups to zero by then
    #[arg(long, value_name = "DURATION", value_parser = cloud::duration)]
    after: Option<Duration>,
    /// How long to wait for all of it
    #[arg(long, value_parser = cloud::duration, default_value = "15m")]
    timeout: Duration,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let (name, provider, region) = cloud::named(args.name.as_deref(), &args.stack, session)?;
    let Some(clients) = cloud::running(provider, &region, session).await? else {
        session.printer.result(&format!("{name}: nothing left"));
        return Ok(Exit::Ok);
    };
    let run = Operation::new(clients, &name, cloud::sink(session), cloud::interrupt(), args.timeout);
    if let Some(after) = args.after {
        return later(&run, after, &args.change, session).await;
    }
    let teardown = down::plan(&run).await?;
    let count = teardown.report.changes.len();
    if count > 0 {
        changes::show(&teardown.report, session);
        let question = format!("Delete {count} resources of {name} on AWS?");
        if !cloud::confirm(run.provider.costs_money(), args.change.yes, &question, session)? {
            session.printer.note("Cancelled: nothing was changed.");
            return Ok(Exit::Ok);
        }
    }
    down::down(&run, teardown, args.change.lock_timeout).await?;
    cloud::print_calls(session, run.clients().ok());
    session.printer.result(&format!("{name}: nothing left"));
    Ok(Exit::Ok)
}

/// The expiry is AWS's to keep; what AWS cannot do is said.
async fn later(run: &Operation, after: Duration, change: &ChangeArgs, session: &Session) -> Outcome {
    let question = format!("Let AWS take the groups of {} to zero after that time?", run.stack);
    if !cloud::confirm(run.provider.costs_money(), change.yes, &question, session)? {
        session.printer.note("Cancelled: nothing was changed.");
        return Ok(Exit::Ok);
    }
    let lock = lock::acquire(run, "down --after", change.lock_timeout).await?;
    let now = clock::now();
    let at = Timestamp::from_second((now + after).as_second()).unwrap_or(now);
    let work = async { lock.run.provider.expire(&lock.run, at).await.map_err(Into::into) };
    let set = lock.during(work).await?;
    cloud::print_calls(session, run.clients().ok());
    session.printer.result(&format!("{}: {}", run.stack, expiry::sentence(set.at, now)));
    if set.groups > 0 {
        let groups = counted(set.groups, "group");
        session.printer.note(&format!("AWS takes {groups} to zero at that time by itself."));
    }
    session.printer.note(&format!(
        "The load balancer and {} outside of groups keep running and keep costing until you run `cloudscale down`; `status` and \
         `ls` tell when it has expired.",
        counted(set.instances, "instance")
    ));
    Ok(Exit::Ok)
}

/// `1 group`, `2 groups`
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
