//! `cloudscale watch`: a stack live in the terminal.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::mpsc;

use super::{Outcome, Session, StackArg, cloud, stack_file};
use crate::clock;
use crate::engine::Engine;
use crate::exit::Exit;
use crate::observe::act::{self, Action};
use crate::observe::follow::{self, Follower};
use crate::observe::look::Cadence;
use crate::problem::Problem;
use crate::ui::progress::Silent;
use crate::ui::watch::{Effect, Screen, State};

/// How often the screen is drawn though nothing came: what has just changed fades, and the terminal's size may be another.
const REDRAW_EVERY: Duration = Duration::from_millis(500);
/// Answers of actions that wait to be shown.
const ANSWERS_MAX: usize = 16;

/// Watch a stack live in the terminal: clusters, alarms, charts and events, with keys to scale and to kill
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// How far the charts look back, in the region's time
    #[arg(long, value_name = "DURATION", value_parser = cloud::duration, default_value = "1h")]
    window: Duration,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    if !session.printer.is_terminal() {
        let detail = "watch draws on a terminal, and standard output or input is none";
        let hint = "`cloudscale status --watch` and `cloudscale events -f` print plain lines";
        return Err(Problem::usage("No terminal", detail).hint(hint).into());
    }
    let stack = stack_file::known(&args.stack, session)?;
    let Some(clients) = cloud::running(stack.provider, &stack.region, session).await? else {
        return Err(cloud::nothing_runs(&stack.name).into());
    };
    let interrupt = cloud::interrupt();
    let engine = Engine::new(stack, clients, Arc::new(Silent), interrupt.clone(), Duration::ZERO);
    let mut follower = Follower::new(engine.clone(), Cadence::of(&engine), span(args.window));
    // What cannot be read at all is a problem, and no empty screen.
    follower.next().await?;
    let mut state = State::new(session.printer.color, engine.provider().costs_money());
    if let Some(view) = follower.view() {
        state.update(view, clock::instant());
    }
    let mut looks = follow::spawn(follower);
    let (answer, mut answers) = mpsc::channel(ANSWERS_MAX);
    let (mut screen, mut keys) = Screen::open().map_err(|error| lost(&error))?;
    loop {
        screen.draw(&state, clock::instant()).map_err(|error| lost(&error))?;
        tokio::select! {
            () = interrupt.cancelled() => return Ok(Exit::Interrupted),
            key = keys.recv() => match key.map(|key| state.key(key, clock::instant())) {
                Some(Effect::Quit) => return Ok(Exit::Ok),
                Some(Effect::Do(action)) => perform(&engine, action, &answer),
                Some(Effect::Nothing) => {}
                // The terminal is gone.
                None => return Ok(Exit::Interrupted),
            },
            seen = looks.recv() => match seen {
                Some(Ok((view, _))) => state.update(view, clock::instant()),
                Some(Err(problem)) => state.tell(format!("{}: {}", problem.summary, problem.detail), clock::instant()),
                None => return Ok(Exit::Interrupted),
            },
            Some(told) = answers.recv() => state.tell(told, clock::instant()),
            () = clock::sleep(REDRAW_EVERY) => {}
        }
    }
}

/// Does it in a task of its own: the screen goes on.
fn perform(engine: &Engine, action: Action, answer: &mpsc::Sender<String>) {
    let (engine, answer) = (engine.clone(), answer.clone());
    tokio::spawn(async move {
        let told = match act::act(&engine, &action).await {
            Ok(()) => action.done(),
            Err(problems) => {
                problems.0.first().map_or_else(String::new, |first| format!("{}: {}", first.summary, first.detail))
            }
        };
        // Who asked may have left meanwhile.
        let _ = answer.send(told).await;
    });
}

/// A window as the region's time counts it.
pub fn span(window: Duration) -> SignedDuration {
    SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX).clamp(SPAN_MIN, SPAN_MAX)
}

/// CloudWatch has a point a minute.
const SPAN_MIN: SignedDuration = SignedDuration::from_mins(5);
/// As long as CloudWatch keeps points by the minute would be fifteen days; a view of more than one shows nothing.
const SPAN_MAX: SignedDuration = SignedDuration::from_hours(24);

fn lost(error: &io::Error) -> Problem {
    Problem::new("The terminal cannot be used", error.to_string())
        .hint("`cloudscale status --watch` prints plain lines")
}
