//! `cloudscale events`: what happened to a stack, and why, as one time line.

use std::time::Duration;

use jiff::SignedDuration;

use super::{Outcome, Session, StackArg, cloud, stack_file};
use crate::cloud::activities::ACTIVITIES_MAX;
use crate::engine::Engine;
use crate::exit::Exit;
use crate::observe::event::Event;
use crate::observe::follow::Follower;
use crate::observe::look::Cadence;
use crate::ui::events::Lines;

/// Events are not charted, so metrics are not asked for.
const SPAN: SignedDuration = SignedDuration::ZERO;

/// Show what happened, and why: scaling, alarms, instances that came and went, deployments
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// How many, from the end
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=i64::from(ACTIVITIES_MAX)))]
    last: u8,
    /// Follow: print events as they happen; also reports changes of target health, of which nobody keeps a record
    #[arg(short, long)]
    follow: bool,
    /// JSON; with --follow JSON Lines, an event when it begins and again when it is over
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let stack = stack_file::known(&args.stack, session)?;
    let printer = &session.printer;
    let Some(clients) = cloud::running(stack.provider, &stack.region, session).await? else {
        if args.follow {
            return Err(cloud::nothing_runs(&stack.name).into());
        }
        return print_all(args, session, &stack.name, &[], &lines(&stack, session));
    };
    let lines = lines(&stack, session);
    let name = stack.name.clone();
    let interrupt = cloud::interrupt();
    let engine = Engine::new(stack, clients, cloud::sink(session), interrupt.clone(), Duration::ZERO);
    let calls = engine.clients().ok().cloned();
    let cadence = Cadence { metrics: None, ..Cadence::of(&engine) };
    let mut follower = Follower::new(engine, cadence, SPAN);
    follower.next().await?;
    for why in follower.view().iter().flat_map(|view| &view.missing) {
        printer.note(&format!("not all can be read: {why}"));
    }
    let shown: Vec<&Event> = follower.events().iter().filter(|event| is_shown(event, args, session)).collect();
    let shown = &shown[shown.len().saturating_sub(args.last.into())..];
    if !args.follow {
        let shown: Vec<Event> = shown.iter().map(|event| (*event).clone()).collect();
        cloud::print_calls(session, calls.as_ref());
        return print_all(args, session, &name, &shown, &lines);
    }
    shown.iter().for_each(|event| tell(event, args, session, &lines));
    let mut unreachable = false;
    loop {
        let Some(answer) = interrupt.run_until_cancelled(follower.next()).await else {
            return Ok(Exit::Interrupted);
        };
        match answer {
            Ok(events) => {
                unreachable = false;
                let told = events.iter().filter(|event| is_shown(event, args, session));
                told.for_each(|event| tell(event, args, session, &lines));
            }
            // Told once: it may come back.
            Err(problem) if !unreachable => {
                unreachable = true;
                printer.note(&format!("{}: {}; trying again", problem.summary, problem.detail));
            }
            Err(_) => {}
        }
        if printer.is_closed() {
            return Ok(Exit::Ok);
        }
    }
}

fn lines(stack: &crate::stack::model::Stack, session: &Session) -> Lines {
    let names = stack.clusters.iter().map(|cluster| cluster.name.as_str());
    let printer = &session.printer;
    Lines::of(names, printer.width(), printer.paint(), session.globals.verbose)
}

fn is_shown(event: &Event, args: &Args, session: &Session) -> bool {
    args.json || session.globals.verbose || !event.kind.is_minor()
}

fn tell(event: &Event, args: &Args, session: &Session, lines: &Lines) {
    match args.json {
        true => session.printer.json_line(event),
        false => session.printer.painted_result(&lines.event(event)),
    }
}

fn print_all(args: &Args, session: &Session, stack: &str, events: &[Event], lines: &Lines) -> Outcome {
    if args.json {
        session.printer.json(&events);
    } else if events.is_empty() {
        session.printer.note(&format!("{stack}: nothing has happened"));
    } else {
        events.iter().for_each(|event| tell(event, args, session, lines));
    }
    Ok(Exit::Ok)
}
