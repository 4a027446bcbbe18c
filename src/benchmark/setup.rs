//! Proof that the stack stood as declared when the load began: which targets were healthy, and which route went where.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::client::Client;
use super::request::{Manner, Request, Server};
use super::scenario::RequestChoice;
use crate::clock;
use crate::problem::Problem;
use crate::resource::status::Status;
use crate::result::record::{ClusterSetup, RouteProof, Setup, TargetSetup};
use crate::stack::load_generators;
use crate::stack::model::Stack;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Routes proven; a stack with more has the first of them in its report.
const ROUTES_MAX: usize = 50;
/// A path that is no route of any sensible stack.
const NO_ROUTE: &str = "/cloudscale-no-such-route";

/// What the status says about the targets, and one request to every route; all at the same time, so that [`TIMEOUT`]
/// bounds them together.
pub async fn prove(stack: &Stack, status: &Status, url: &str) -> Result<Setup, Problem> {
    let questions = questions(stack).into_iter().take(ROUTES_MAX);
    let routes = try_join_all(questions.map(|question| ask(stack, status, url, question))).await?;
    Ok(Setup { url: url.to_owned(), clusters: clusters(status), routes })
}

fn clusters(status: &Status) -> Vec<ClusterSetup> {
    let targets = |instances: &[crate::resource::status::InstanceStatus]| {
        let of = |instance: &crate::resource::status::InstanceStatus| TargetSetup {
            instance: instance.id.clone(),
            zone: instance.az.clone(),
            health: instance.health.clone(),
        };
        instances.iter().map(of).collect()
    };
    let serving = status.clusters.iter().filter(|cluster| cluster.name != load_generators::NAME);
    let clusters = serving.map(|cluster| ClusterSetup {
        name: cluster.name.clone(),
        instance_type: cluster.instance_type.clone(),
        kind: cluster.kind,
        modelled: cluster.instances.iter().any(|instance| instance.processor.is_some()),
        targets: targets(&cluster.instances),
    });
    clusters.collect()
}

/// A path, and the cluster that should answer it; none for the default answer.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    path: String,
    cluster: Option<String>,
}

fn questions(stack: &Stack) -> Vec<Question> {
    let mut questions = Vec::new();
    for cluster in &stack.clusters {
        let paths = cluster.routes.iter().map(|route| sample(route));
        questions.extend(paths.map(|path| Question { path, cluster: Some(cluster.name.clone()) }));
    }
    let patterns: Vec<&str> = stack.clusters.iter().flat_map(|cluster| &cluster.routes).map(String::as_str).collect();
    // A near miss is the better proof: `/cluster1` must not swallow `/cluster10`.
    let misses = patterns.iter().filter(|route| !route.contains(['*', '?'])).map(|route| format!("{route}0"));
    let unrouted = std::iter::once("/".to_owned()).chain(misses).chain([NO_ROUTE.to_owned()]);
    let unmatched = unrouted.filter(|path| !patterns.iter().any(|pattern| matches(pattern, path)));
    questions.extend(unmatched.take(2).map(|path| Question { path, cluster: None }));
    questions
}

/// A path that a pattern matches.
fn sample(pattern: &str) -> String {
    pattern.replace('*', "").replace('?', "x")
}

/// `*` is any number of characters, `?` is exactly one; case counts.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.as_bytes(), path.as_bytes());
    // Which prefixes of the pattern match what has been read of the path.
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    let skip_stars = |reached: &mut Vec<bool>| {
        for (index, byte) in pattern.iter().enumerate() {
            reached[index + 1] |= reached[index] && *byte == b'*';
        }
    };
    skip_stars(&mut reached);
    for byte in path {
        let mut next = vec![false; pattern.len() + 1];
        for (index, wanted) in pattern.iter().enumerate().filter(|(index, _)| reached[*index]) {
            match wanted {
                b'*' => next[index] = true,
                b'?' => next[index + 1] = true,
                wanted => next[index + 1] |= wanted == byte,
            }
        }
        skip_stars(&mut next);
        reached = next;
    }
    reached[pattern.len()]
}

async fn ask(stack: &Stack, status: &Status, url: &str, question: Question) -> Result<RouteProof, Problem> {
    let default = stack.load_balancer.as_ref().map(|load_balancer| load_balancer.default.status);
    let (server, path) = Server::of(&format!("{url}{}", question.path))?;
    let choice = RequestChoice { timeout: TIMEOUT, ..RequestChoice::default() };
    let mut client = Client::new(&server, TIMEOUT, 0);
    let request = Request::new(&server, &path, &choice, Manner::PLAIN);
    let reply = client.send(&request, None, clock::instant()).await;
    let instance = reply.instance.map(str::to_owned);
    let owner = instance.as_deref().and_then(|instance| {
        status.clusters.iter().find(|cluster| cluster.instances.iter().any(|known| known.id == instance))
    });
    let answered_by = match (&instance, reply.status, reply.failure) {
        (Some(instance), ..) => instance.clone(),
        (None, Some(code), _) if Some(code) == default => "fixed response".to_owned(),
        (None, Some(_), _) => "not named".to_owned(),
        (None, None, failure) => failure.map_or("nobody", super::interval::Failure::name).to_owned(),
    };
    let ok = match (&question.cluster, owner) {
        (Some(cluster), Some(owner)) => owner.name == *cluster,
        // An application that does not name its instance: at least it was not the load balancer.
        (Some(_), None) => instance.is_none() && reply.status.is_some_and(|code| Some(code) != default && code < 500),
        (None, _) => instance.is_none() && reply.status == default,
    };
    let expected = question.cluster.unwrap_or_else(|| format!("{}, the default answer", default.unwrap_or_default()));
    Ok(RouteProof { path: question.path, expected, status: reply.status.unwrap_or(0), answered_by, ok })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_the_load_balancer_does() {
        for (pattern, path, expected) in [
            ("/cluster1", "/cluster1", true),
            ("/cluster1", "/cluster10", false),
            ("/cluster1/*", "/cluster1/", true),
            ("/cluster1/*", "/cluster1", false),
            ("/*", "/", true),
            ("/v?/items", "/v2/items", true),
            ("/v?/items", "/v/items", false),
            ("/*/b*c", "/a/bxxbc", true),
            ("/A", "/a", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn every_route_is_asked_and_a_near_miss_must_get_the_default() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("stacks/two-clusters.yaml");
        let (stack, _) =
            crate::stack::load(&path, &crate::stack::Overrides::default()).expect("the shipped stack is valid");
        let asked: Vec<_> = questions(&stack).into_iter().map(|question| (question.path, question.cluster)).collect();
        let asked: Vec<_> = asked.iter().map(|(path, cluster)| (path.as_str(), cluster.as_deref())).collect();
        assert_eq!(
            asked,
            [
                ("/cluster1", Some("light")),
                ("/cluster1/", Some("light")),
                ("/cluster2", Some("heavy")),
                ("/cluster2/", Some("heavy")),
                ("/", None),
                ("/cluster10", None),
            ]
        );
    }
}
