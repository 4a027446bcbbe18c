//! `cloudscale events`: what the groups did, and why.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::{Outcome, Session, StackArg, cloud, stack_file};
use crate::cloud::activities::{ACTIVITIES_MAX, Activity};
use crate::engine::Engine;
use crate::exit::Exit;
use crate::ui::table::table;

/// Show what the groups did, and why: instances that came and went
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// How many, from the end
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=i64::from(ACTIVITIES_MAX)))]
    last: u8,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let stack = stack_file::known(&args.stack, session)?;
    let activities = match cloud::running(stack.provider, &stack.region, session).await? {
        Some(clients) => {
            let engine = Engine::new(stack.clone(), clients, cloud::sink(session), cloud::interrupt(), Duration::ZERO);
            let activities = engine.activities(args.last).await?;
            cloud::tell_calls(session, engine.clients());
            activities
        }
        None => Vec::new(),
    };
    let printer = &session.printer;
    if args.json {
        printer.json(&activities);
    } else if activities.is_empty() {
        printer.note(&format!("{}: no group has done anything", stack.name));
    } else {
        let rows = activities.iter().flat_map(rows).collect();
        printer.result(&table(&["when (UTC)", "cluster", "what, and why"], &[], rows, printer.width()));
    }
    Ok(Exit::Ok)
}

/// In the time that AWS's own words about the cause are in.
fn rows(activity: &Activity) -> [Vec<String>; 2] {
    let when = activity.started.to_zoned(TimeZone::UTC).strftime("%-d %b %H:%M:%S").to_string();
    let what = format!("{} ({})", activity.description, activity.status);
    [vec![when, activity.cluster.clone(), what], vec![String::new(), String::new(), activity.cause.clone()]]
}
