//! `cloudscale output`: the URLs of a stack, for scripts.

use serde::Serialize;

use super::{Outcome, Session, StackArg, cloud, stack_file};
use crate::engine::wait::sample;
use crate::exit::Exit;
use crate::problem::Problem;

/// Print the stack's URLs
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// Machine-readable output, with a URL for each route
    #[arg(long)]
    json: bool,
}

/// `output --json` is this, as it stands.
#[derive(Debug, Serialize)]
struct Urls {
    url: String,
    routes: Vec<Route>,
}

#[derive(Debug, Serialize)]
struct Route {
    cluster: String,
    /// The pattern of the stack file.
    route: String,
    /// A URL that the pattern matches.
    url: String,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let stack = stack_file::load(&args.stack, session)?;
    let engine = cloud::engine(stack, session, std::time::Duration::ZERO).await?;
    let status = engine.status().await?;
    let Some(url) = status.url else {
        return Err(Problem::new("The stack is not up", format!("{} has no load balancer", status.stack))
            .hint("run `cloudscale up`")
            .into());
    };
    if !args.json {
        session.printer.result(&url);
        return Ok(Exit::Ok);
    }
    let mut routes = Vec::new();
    for cluster in &engine.stack.clusters {
        routes.extend(cluster.routes.iter().map(|route| Route {
            cluster: cluster.name.clone(),
            route: route.clone(),
            url: format!("{url}{}", sample(route)),
        }));
    }
    session.printer.json(&Urls { url, routes });
    Ok(Exit::Ok)
}
