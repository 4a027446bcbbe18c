//! What the commands that change a stack share: the plan is shown, the user asked, the stack locked, and then the plan made
//! anew where it may be out of date.

use std::time::Duration;

use super::{Session, cloud};
use crate::engine::lock::Lock;
use crate::engine::{Engine, Plan};
use crate::problem::Problems;
use crate::stack::model::Provider;
use crate::ui::plan::render;

/// The options of the commands that change a stack.
#[derive(Clone, Debug, clap::Args)]
pub struct ChangeArgs {
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// How long to wait while another run holds the stack's lock
    #[arg(long, value_name = "DURATION", value_parser = cloud::duration, default_value = "0s")]
    pub lock_timeout: Duration,
}

impl ChangeArgs {
    /// Whether somebody is asked before anything is done.
    fn asks(&self, provider: Provider) -> bool {
        !self.yes && provider != Provider::Local
    }
}

/// A plan that may be applied: agreed to, and under the stack's lock where there is something to do.
pub struct Ready {
    plan: Plan,
    lock: Option<Lock>,
}

/// Plans, shows, asks and locks; `None` where the user said no.
///
/// # Errors
/// A call that fails; nobody to ask; another run that holds the lock.
pub async fn prepare(
    engine: &Engine,
    command: &str,
    args: &ChangeArgs,
    session: &Session,
) -> Result<Option<Ready>, Problems> {
    let plan = engine.plan().await?;
    show(&plan, session);
    if plan.is_empty() {
        return Ok(Some(Ready { plan, lock: None }));
    }
    if !agree(engine, &plan, args, session)? {
        return Ok(None);
    }
    let lock = engine.lock(command, args.lock_timeout).await?;
    if plan.is_current(&lock) && !args.asks(engine.stack.provider) {
        return Ok(Some(Ready { plan, lock: Some(lock) }));
    }
    match again(engine, &plan, args, session).await {
        Ok(Some(plan)) => Ok(Some(Ready { plan, lock: Some(lock) })),
        refused => lock.during(async { refused.map(|_| None) }).await,
    }
}

impl Ready {
    /// Does what was agreed to.
    ///
    /// # Errors
    /// Everything that failed.
    pub async fn apply(self, engine: &Engine) -> Result<(), Problems> {
        match self.lock {
            Some(lock) => lock.during(engine.apply(self.plan, &lock)).await,
            None => Ok(()),
        }
    }
}

/// The plan made anew; whoever was asked about another one is asked again.
async fn again(engine: &Engine, agreed: &Plan, args: &ChangeArgs, session: &Session) -> Result<Option<Plan>, Problems> {
    let plan = engine.plan().await?;
    if plan.report.changes == agreed.report.changes {
        return Ok(Some(plan));
    }
    session.printer.note("The cloud has changed meanwhile:");
    show(&plan, session);
    let goes_on = plan.report.summary.is_empty() || agree(engine, &plan, args, session)?;
    Ok(goes_on.then_some(plan))
}

fn show(plan: &Plan, session: &Session) {
    let printer = &session.printer;
    printer.note(render(&plan.report, session.globals.verbose, printer.paint_problems()).trim_end());
}

fn agree(engine: &Engine, plan: &Plan, args: &ChangeArgs, session: &Session) -> Result<bool, Problems> {
    let question = cloud::question(plan.report.summary, plan.report.hourly_cost.as_ref());
    let agreed = cloud::confirm(engine.stack.provider, args.yes, &question, session)?;
    if !agreed {
        session.printer.note("Nothing was done.");
    }
    Ok(agreed)
}
