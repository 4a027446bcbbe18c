//! `cloudscale diff`: what `up` would do.

use std::path::PathBuf;

use super::{Outcome, Session, StackArg, cloud, stack_file};
use crate::engine::offline;
use crate::engine::plan_file::PlanFile;
use crate::exit::Exit;
use crate::resource::change::Change;
use crate::resource::running::Running;
use crate::resources::{TYPES, provider};
use crate::ui::plan::render;

/// Show what `up` would do
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
    /// Ask nobody: what `up` would make in an empty account, and its price
    #[arg(long)]
    offline: bool,
    /// Write the plan into a file: `cloudscale up FILE` does exactly that, or nothing
    #[arg(short, long, value_name = "FILE", conflicts_with = "offline")]
    output: Option<PathBuf>,
    /// End with code 3 where there are changes
    #[arg(long)]
    exit_code: bool,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let report = if args.offline {
        let stack = stack_file::drafted(&args.stack, session)?;
        let outlook = |changes: &[Change]| provider::outlook(Some(&stack), &Running::default(), changes);
        offline::plan(&stack, TYPES, &provider::undeployed(&stack), outlook)?
    } else {
        let stack = stack_file::load(&args.stack, session)?;
        let engine = cloud::engine(stack, session, std::time::Duration::ZERO).await?;
        let plan = engine.plan().await?;
        cloud::print_calls(session, engine.clients().ok());
        if let Some(path) = &args.output {
            PlanFile::of(&plan, &engine.stack).write(path)?;
        }
        plan.report
    };
    if args.json {
        session.printer.json(&report);
    } else {
        let view = session.printer.plan_view(session.globals.verbose);
        session.printer.painted_result(render(&report, view).trim_end());
    }
    Ok(if args.exit_code && !report.summary.is_empty() { Exit::Changes } else { Exit::Ok })
}
