//! `cloudscale output`: the URLs of a stack, for scripts.

use serde::Serialize;

use super::stack_file::Known;
use super::{Outcome, Session, StackArg, cloud, stack_file};
use crate::engine::Engine;
use crate::exit::Exit;
use crate::problem::Problem;
use crate::resources::by_name;
use crate::resources::readiness::sample;

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
    /// Of a route that several clusters share, those that get requests.
    cluster: String,
    /// The pattern of the stack file.
    route: String,
    /// A URL that the pattern matches.
    url: String,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let known = stack_file::known_by_name(&args.stack, session)?;
    let (name, provider, region) = match &known {
        Known::Whole(stack) => (&stack.name, stack.provider, &stack.region),
        Known::ByName(stack) => (&stack.name, stack.provider, &stack.region),
    };
    let url = match (cloud::running(provider, region, session).await?, &known) {
        (Some(clients), Known::Whole(stack)) => {
            let limit = std::time::Duration::ZERO;
            let engine = Engine::new((**stack).clone(), clients, cloud::sink(session), cloud::interrupt(), limit);
            engine.status().await?.url
        }
        (Some(clients), Known::ByName(_)) => by_name::status(&clients, name).await?.and_then(|status| status.url),
        (None, _) => None,
    };
    let Some(url) = url else {
        return Err(Problem::new("The stack is not up", format!("{name} has no load balancer"))
            .hint("run `cloudscale up`")
            .into());
    };
    if !args.json {
        session.printer.result(&url);
        return Ok(Exit::Ok);
    }
    // What the file's routes are is not known where it has mistakes.
    let Known::Whole(stack) = known else {
        session.printer.json(&Urls { url, routes: Vec::new() });
        return Ok(Exit::Ok);
    };
    let route = |cluster: String, pattern: &String| Route {
        cluster,
        route: pattern.clone(),
        url: format!("{url}{}", sample(pattern)),
    };
    let mut routes = Vec::new();
    for shared in &stack.routes {
        let clusters = shared.weights.iter().filter(|(_, weight)| *weight > 0).map(|(cluster, _)| cluster.as_str());
        let clusters = clusters.collect::<Vec<_>>().join(", ");
        routes.extend(shared.paths.iter().map(|pattern| route(clusters.clone(), pattern)));
    }
    for cluster in &stack.clusters {
        routes.extend(cluster.routes.iter().map(|pattern| route(cluster.name.clone(), pattern)));
    }
    session.printer.json(&Urls { url, routes });
    Ok(Exit::Ok)
}
