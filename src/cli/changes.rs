//! What the commands that change a stack share: the plan is shown, the user asked, the stack locked, and then the plan
//! made again where it may be out of date.

use std::time::Duration;

use super::{Session, cloud};
use crate::engine::lock::Lock;
use crate::engine::plan::Report;
use crate::engine::plan_file::PlanFile;
use crate::engine::{Engine, Plan};
use crate::problem::{Problem, Problems};
use crate::resource::provider::Provider;
use crate::ui::plan::render;

/// The options of the commands that change a stack.
#[derive(Clone, Debug, clap::Args)]
pub struct ChangeArgs {
    /// Skip the confirmation
    #[arg(short, long)]
    pub yes: bool,
    /// How long to wait while another run holds the stack's lock
    #[arg(long, value_name = "DURATION", value_parser = cloud::duration, default_value = "0s")]
    pub lock_timeout: Duration,
}

impl ChangeArgs {
    /// What is agreed to already: nothing, unless there is a plan in a file, which somebody has looked at.
    pub fn consent<'a>(&'a self, planned: Option<&'a PlanFile>) -> Consent<'a> {
        Consent { change: self, planned }
    }
}

/// What may be done without asking.
#[derive(Clone, Copy, Debug)]
pub struct Consent<'a> {
    change: &'a ChangeArgs,
    planned: Option<&'a PlanFile>,
}

impl Consent<'_> {
    /// Whether somebody is asked before anything is done.
    fn asks(&self, provider: &dyn Provider) -> bool {
        !self.change.yes && self.planned.is_none() && provider.costs_money()
    }

    fn check(&self, plan: &Plan) -> Result<(), Problem> {
        self.planned.map_or(Ok(()), |planned| planned.check(plan))
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
/// A call that fails; a plan that is out of date; nobody to ask; another run that holds the lock.
pub async fn prepare(
    engine: &Engine,
    command: &str,
    consent: &Consent<'_>,
    session: &Session,
) -> Result<Option<Ready>, Problems> {
    let plan = engine.plan().await?;
    consent.check(&plan)?;
    show(&plan.report, session);
    if plan.is_empty() {
        return Ok(Some(Ready { plan, lock: None }));
    }
    if !agree(engine, &plan, consent, session)? {
        return Ok(None);
    }
    let lock = engine.lock(command, consent.change.lock_timeout).await?;
    if plan.is_current(&lock) && !consent.asks(engine.provider()) {
        return Ok(Some(Ready { plan, lock: Some(lock) }));
    }
    match again(engine, &plan, consent, session).await {
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

/// The plan made again; whoever was asked about another one is asked again.
async fn again(
    engine: &Engine,
    agreed: &Plan,
    consent: &Consent<'_>,
    session: &Session,
) -> Result<Option<Plan>, Problems> {
    let plan = engine.plan().await?;
    consent.check(&plan)?;
    if plan.report.changes == agreed.report.changes {
        return Ok(Some(plan));
    }
    session.printer.note("The cloud has changed meanwhile:");
    show(&plan.report, session);
    let goes_on = plan.report.summary.is_empty() || agree(engine, &plan, consent, session)?;
    Ok(goes_on.then_some(plan))
}

pub fn show(report: &Report, session: &Session) {
    let printer = &session.printer;
    printer.painted_note(render(report, printer.plan_view_beside(session.globals.verbose)).trim_end());
}

fn agree(engine: &Engine, plan: &Plan, consent: &Consent<'_>, session: &Session) -> Result<bool, Problems> {
    let question = cloud::question(&plan.report);
    let agreed = cloud::confirm(true, !consent.asks(engine.provider()), &question, session)?;
    if !agreed {
        session.printer.note("Cancelled: nothing was changed.");
    }
    Ok(agreed)
}
