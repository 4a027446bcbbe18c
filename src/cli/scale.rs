//! `cloudscale scale CLUSTER N`: a group's desired capacity, by hand.

use std::path::PathBuf;
use std::time::Duration;

use super::{Outcome, Session, StackArg, cloud, stack_file};
use crate::engine::no_such_cluster;
use crate::exit::Exit;

/// Set a group's desired capacity by hand
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cluster
    cluster: String,
    /// How many instances, within the group's range
    instances: u32,
    /// The stack file [default: ./stack.yaml, else the stack last used in this folder]
    stack: Option<PathBuf>,
    /// How long to wait while another run holds the stack's lock
    #[arg(long, value_name = "DURATION", value_parser = cloud::duration, default_value = "0s")]
    lock_timeout: Duration,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let stack = stack_file::known(&StackArg { stack: args.stack.clone() }, session)?;
    if !stack.clusters.iter().any(|cluster| cluster.name == args.cluster) {
        return Err(no_such_cluster(&stack, &args.cluster).into());
    }
    if cloud::running(stack.provider, &stack.region, session).await?.is_none() {
        return Err(cloud::nothing_runs(&stack.name).into());
    }
    let engine = cloud::engine(stack, session, Duration::ZERO).await?;
    engine.scale(&args.cluster, args.instances, args.lock_timeout).await?;
    session.printer.note(&format!("{}: desired capacity {}", args.cluster, args.instances));
    Ok(Exit::Ok)
}
