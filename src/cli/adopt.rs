//! `cloudscale adopt`: what exists becomes part of a stack, by the stack's tags.

use std::path::PathBuf;

use super::changes::{self, ChangeArgs};
use super::{Outcome, Session, StackArg, cloud, stack_file};
use crate::exit::Exit;
use crate::resource::provider::Existing;

/// Make an existing group or target group part of a stack
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("existing").required(true).multiple(true),
    override_usage = "cloudscale adopt CLUSTER [STACK] [--group NAME] [--target-group NAME]",
    long_about = "Make an existing group or target group part of a stack.\n\n\
    It gets the stack's tags and is otherwise left as it is: the plan shows what `cloudscale up` would then change. From \
    then on `cloudscale down` deletes it with the rest. What `up` would have to create again is refused."
)]
pub struct Args {
    /// The cluster that it belongs to
    cluster: String,
    /// The stack file [default: ./stack.yaml, else the stack last used in this folder]
    stack: Option<PathBuf>,
    /// The Auto Scaling group of this name
    #[arg(long, value_name = "NAME", group = "existing")]
    group: Option<String>,
    /// The target group of this name or ARN; no other load balancer may use it
    #[arg(long, value_name = "NAME", group = "existing")]
    target_group: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let stack = stack_file::load(&StackArg { stack: args.stack.clone() }, session)?;
    let engine = cloud::engine(stack, session, std::time::Duration::ZERO).await?;
    let groups = args.group.clone().map(Existing::Group);
    let existing: Vec<_> = groups.into_iter().chain(args.target_group.clone().map(Existing::TargetGroup)).collect();
    let adoption = engine.adoption(&args.cluster, &existing).await?;
    let printer = &session.printer;
    if adoption.taken.is_empty() {
        printer.result("It is the stack's already");
        return Ok(Exit::Ok);
    }
    changes::show(&adoption.plan.report, session);
    let names: Vec<_> = adoption.taken.iter().map(|(_, name)| name.as_str()).collect();
    let question = format!("Adopt {}? `cloudscale down` will delete it with the stack.", names.join(" and "));
    if !cloud::confirm(engine.provider().costs_money(), args.change.yes, &question, session)? {
        printer.note("Cancelled: nothing was changed.");
        return Ok(Exit::Ok);
    }
    engine.adopt(&adoption, args.change.lock_timeout).await?;
    cloud::print_calls(session, engine.clients().ok());
    for (address, name) in &adoption.taken {
        printer.result(&format!("{name} is {address} now"));
    }
    printer.note("Nothing else was changed: `cloudscale up` does what the plan shows.");
    Ok(Exit::Ok)
}
