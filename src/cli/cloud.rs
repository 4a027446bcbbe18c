//! What the commands that talk to a cloud share: clients, confirmation, Ctrl-C and SIGTERM.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use super::Session;
use super::stack_file::Known;
use crate::aws::clients::Clients;
use crate::benchmark::control::Control;
use crate::engine::Engine;
use crate::engine::plan::Report;
use crate::exit::Exit;
use crate::platform::signals::EndRequests;
use crate::problem::{Problem, Problems};
use crate::region::daemon::{self, Daemon};
use crate::region::delays::Delays;
use crate::resource::event::Sink;
use crate::resource::status::Status;
use crate::resources::price;
use crate::stack::local::Local;
use crate::stack::model::{Provider, Stack};
use crate::ui::load::Live;
use crate::ui::{plan, progress};

/// The region of commands that have no stack to name one.
pub const DEFAULT_REGION: &str = "us-east-1";

/// Reads `90s`, `10m`, `1h30m`.
///
/// # Errors
/// What is wrong with the text, for the command line to show.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration =
        text.parse().map_err(|_| format!("`{text}` is no duration; write for example 90s or 10m"))?;
    Duration::try_from(parsed).map_err(|_| format!("`{text}` is negative"))
}

/// Reads US dollars: `2.50`.
///
/// # Errors
/// What is wrong with the text, for the command line to show.
pub fn dollars(text: &str) -> Result<f64, String> {
    let amount = text.trim_start_matches('$').parse::<f64>().ok().filter(|amount| amount.is_finite() && *amount >= 0.0);
    amount.ok_or_else(|| format!("`{text}` is no amount of US dollars; write for example 2.50"))
}

/// Clients for a provider; the embedded region is started where it does not run, as `local` says.
///
/// # Errors
/// No credentials; the embedded region does not start, or runs otherwise than `local` says.
pub async fn clients(
    (provider, local): (Provider, Option<Local>),
    region: &str,
    session: &Session,
) -> Result<Clients, Problem> {
    match provider {
        Provider::Aws => Clients::aws(session.globals.profile.as_deref(), region).await,
        Provider::Local => {
            let daemon =
                daemon::ensure(&daemon::default_home()?, daemon::Options { local, ..Default::default() }).await?;
            if daemon.started {
                session.printer.note(&format!("The embedded region started: {}", daemon.endpoint));
                print_state(&daemon, session);
                if let Some(reason) = &daemon.open_to_all {
                    session.printer.note(&open_to_all(reason));
                }
            }
            Ok(Clients { boot: Delays::of(daemon.local).boot, ..Clients::local(&daemon.endpoint, region) })
        }
    }
}

/// What became of what an earlier process of the region left.
pub fn print_state(daemon: &Daemon, session: &Session) {
    if daemon.restored {
        session.printer.note("Its state is restored; its instances are stopped.");
    }
    if let Some(aside) = &daemon.set_aside {
        session.printer.note(&format!("Its state could not be read and was moved to {aside}; it starts empty."));
    }
}

/// Who may call a region that is not for its own user alone.
pub fn open_to_all(reason: &str) -> String {
    format!("Processes of every user of this machine may call it: {reason}.")
}

/// Clients for a command that only looks; `None` where no embedded region runs, so that nothing is there. A region that
/// is started to be looked at would be empty.
///
/// # Errors
/// No credentials.
pub async fn running(provider: Provider, region: &str, session: &Session) -> Result<Option<Clients>, Problem> {
    if provider == Provider::Local {
        let home = daemon::default_home()?;
        // One that ended with something in it starts again.
        if daemon::find(&home).await.is_none() && !daemon::status(&home).await.may_start() {
            return Ok(None);
        }
    }
    clients((provider, None), region, session).await.map(Some)
}

/// The problem of a command that goes on looking, where there is nothing to look at.
pub fn nothing_runs(stack: &str) -> Problem {
    Problem::new("Stack is not up", format!("{stack}: the embedded region does not run"))
        .hint("run `cloudscale up` first; for a stack on AWS add `--provider aws`")
}

/// An engine for a stack, with the sink that suits the terminal.
///
/// # Errors
/// As [`clients`].
pub async fn engine(stack: Stack, session: &Session, limit: Duration) -> Result<Engine, Problem> {
    let clients = clients((stack.provider, stack.local), &stack.region, session).await?;
    Ok(Engine::new(stack, clients, sink(session), interrupt(), limit))
}

pub fn sink(session: &Session) -> Arc<dyn Sink> {
    Arc::from(progress::sink(&session.printer))
}

/// As [`sink`]; events as JSON lines on standard error where the command prints JSON.
pub fn sink_of(session: &Session, json: bool) -> Arc<dyn Sink> {
    if json { Arc::from(progress::json_sink(&session.printer)) } else { sink(session) }
}

/// As [`sink_of`]; on a terminal the load is shown live, and keys change it.
pub fn load_sink(session: &Session, json: bool, control: &Arc<Control>, cancel: &CancellationToken) -> Arc<dyn Sink> {
    if json || !session.printer.live || !session.printer.is_terminal() {
        return sink_of(session, json);
    }
    let inner = progress::sink(&session.printer);
    Arc::new(Live::new(inner, session.printer.color, control.clone(), cancel.clone()))
}

/// Cancelled by the first Ctrl-C or SIGTERM; the second ends the process at once.
pub fn interrupt() -> CancellationToken {
    let token = CancellationToken::new();
    // Where nobody may listen, each of them ends the process at once.
    let Ok(mut requests) = EndRequests::listen() else { return token };
    let cancel = token.clone();
    tokio::spawn(async move {
        loop {
            requests.next().await;
            if cancel.is_cancelled() {
                std::process::exit(i32::from(Exit::Interrupted as u8));
            }
            cancel.cancel();
        }
    });
    token
}

/// Asks before money is spent, or what was paid for is deleted; nobody is asked where nothing costs money.
///
/// # Errors
/// Where there is nobody to ask.
pub fn confirm(costs_money: bool, yes: bool, question: &str, session: &Session) -> Result<bool, Problem> {
    if yes || !costs_money {
        return Ok(true);
    }
    session.printer.ask(question).ok_or_else(|| {
        Problem::usage("Not confirmed", format!("{question} Confirmation needs a terminal."))
            .hint("give --yes where there is no terminal")
    })
}

/// `Apply 12 changes on AWS? ($0.6200 an hour on AWS, $453 a month)`
pub fn question(report: &Report) -> String {
    let summary = report.summary;
    let changes = summary.create + summary.update + summary.replace + summary.delete;
    let plural = if changes == 1 { "" } else { "s" };
    format!("Apply {changes} change{plural} on AWS? ({})", plan::cost_line(&report.prices))
}

/// ` ($0.8937 → $0.0225 an hour)`: what runs, before and after; nothing where a price is not known.
pub fn cost_change(before: &Status, after: &Status) -> String {
    let costs = price::running(before).zip(price::running(after));
    costs.map(|(before, after)| format!(" (${before:.4} → ${after:.4} an hour on AWS)")).unwrap_or_default()
}

/// With `-v`, how often AWS was called.
pub fn print_calls(session: &Session, clients: Option<&Clients>) {
    let Some(clients) = clients.filter(|_| session.globals.verbose) else { return };
    let calls = &clients.calls;
    session.printer.note(&format!("{} read calls, {} write calls", calls.reads(), calls.writes()));
    for (operation, count) in calls.by_operation() {
        session.printer.note(&format!("  {count:>4} {operation}"));
    }
}

/// The stack's name, provider and region for commands that need no stack file.
///
/// # Errors
/// As loading a stack.
pub fn named(
    name: Option<&str>,
    argument: &super::StackArg,
    session: &Session,
) -> Result<(String, Provider, String), Problems> {
    let Some(name) = name else {
        return Ok(match super::stack_file::known_by_name(argument, session)? {
            Known::Whole(stack) => (stack.name, stack.provider, stack.region),
            Known::ByName(stack) => (stack.name, stack.provider, stack.region),
        });
    };
    let (provider, region) = place(session);
    Ok((name.to_owned(), provider, region))
}

/// Provider and region of the global options.
pub fn place(session: &Session) -> (Provider, String) {
    let provider = session.globals.provider.map_or(Provider::Local, Into::into);
    (provider, session.globals.region.clone().unwrap_or_else(|| DEFAULT_REGION.to_owned()))
}
