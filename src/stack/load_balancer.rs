//! The load balancer's part of a stack: listeners, weighted routes, and how a cluster's instances share its requests.

use super::language::{CLUSTER, FIXED_RESPONSE, HTTPS, LOAD_BALANCER, STACK, WEIGHTED_ROUTE};
use super::model::{Balancing, FixedResponse, Https, LoadBalancer, WeightedRoute};
use super::routes::{self, Route};
use crate::document::name::key;
use crate::document::suggest;
use crate::document::{Fields, scalar_text};
use crate::problem::{Problem, Problems};

/// The text of a fixed response (ELBv2 API).
const BODY_BYTES_MAX: usize = 1024;
/// Target groups of one action (quota of ELBv2, fixed).
const CLUSTERS_PER_ROUTE_MAX: usize = 5;

/// What the stack says of its load balancer, which will be in that region.
pub(super) fn load_balancer(fields: &Fields, region: &str, problems: &mut Problems) -> Option<LoadBalancer> {
    if is_none(fields) {
        for key in ["routes", "benchmark", "dashboard"] {
            refuse(fields, key, problems);
        }
        return None;
    }
    let load_balancer = fields.object(key!(STACK, "load_balancer"), &LOAD_BALANCER);
    let response = load_balancer.object(key!(LOAD_BALANCER, "default"), &FIXED_RESPONSE);
    let default = FixedResponse {
        status: response.integer(key!(FIXED_RESPONSE, "status")),
        body: response.text(key!(FIXED_RESPONSE, "body")),
        content_type: response.text(key!(FIXED_RESPONSE, "content_type")),
    };
    if (300..400).contains(&default.status) {
        let detail = format!("a fixed response is 2xx, 4xx or 5xx, but here is {}", default.status);
        problems.push(response.problem(key!(FIXED_RESPONSE, "status"), "Invalid status code", detail));
    }
    if default.body.len() > BODY_BYTES_MAX {
        let detail =
            format!("a fixed response has at most {BODY_BYTES_MAX} bytes, but here are {}", default.body.len());
        problems.push(response.problem(key!(FIXED_RESPONSE, "body"), "The body is too long", detail));
    }
    let port = load_balancer.integer(key!(LOAD_BALANCER, "port"));
    let https = load_balancer
        .object_written(key!(LOAD_BALANCER, "https"), &HTTPS)
        .map(|fields| https(&fields, port, region, problems));
    Some(LoadBalancer { port, https, default })
}

/// Whether the stack is to have no load balancer.
pub(super) fn is_none(stack: &Fields) -> bool {
    stack.text_written(key!(STACK, "load_balancer")).is_some_and(|word| word == "none")
}

/// What a cluster without a load balancer may not say.
pub(super) fn refuse_in_cluster(cluster: &Fields, problems: &mut Problems) {
    for key in
        ["routes", "health_check", "algorithm", "stickiness", "slow_start", "deregistration_delay", "autoscaling"]
    {
        refuse(cluster, key, problems);
    }
}

fn refuse(fields: &Fields, key: &str, problems: &mut Problems) {
    if !fields.is_written(key) {
        return;
    }
    let why = match key {
        "autoscaling" => "a group's health and metrics are",
        "benchmark" => "what a benchmark loads is",
        "dashboard" => "what a dashboard shows is",
        _ => "this is",
    };
    let detail = format!("`{key}`: {why} the load balancer's, and the stack has `load_balancer: none`");
    let problem = fields.problem(key, "There is no load balancer", detail);
    problems.push(problem.hint(format!("remove `{key}`, or `load_balancer: none`")));
}

fn https(fields: &Fields, http_port: u16, region: &str, problems: &mut Problems) -> Https {
    let https = Https {
        certificate: fields.text(key!(HTTPS, "certificate")),
        port: fields.integer(key!(HTTPS, "port")),
        policy: fields.text(key!(HTTPS, "policy")),
        redirect: fields.flag(key!(HTTPS, "redirect")),
    };
    if https.redirect && https.port == http_port {
        let detail = format!("HTTP, which leads to HTTPS, has port {http_port} already");
        problems.push(
            fields.problem(key!(HTTPS, "port"), "One port for two listeners", detail).hint("for example 80 and 443"),
        );
    }
    let place: Vec<_> = https.certificate.split(':').collect();
    if let ["arn", _, "acm", other, ..] = place[..]
        && other != region
    {
        let detail = format!("the certificate is in {other}, but the load balancer will be in {region}");
        let problem = fields.problem(key!(HTTPS, "certificate"), "The certificate is in another region", detail);
        problems.push(problem.hint("request or import it in the stack's region, too"));
    }
    https
}

/// The routes that clusters share; their patterns come first among `routes`.
pub(super) fn weighted_routes(fields: &Fields, routes: &mut Vec<Route>, problems: &mut Problems) -> Vec<WeightedRoute> {
    let clusters: Vec<&str> = fields.map(key!(STACK, "clusters")).iter().map(|entry| entry.key.as_str()).collect();
    let entries = fields.map(key!(STACK, "routes")).iter();
    let route = |entry: &crate::document::yaml::Entry| {
        let fields = fields.of_inner(&entry.value, &WEIGHTED_ROUTE);
        let paths = routes::read(&fields, "paths", &format!("routes.{}", entry.key), routes, problems);
        if paths.is_empty()
            && fields.list(key!(WEIGHTED_ROUTE, "paths")).is_empty()
            && fields.is_written(key!(WEIGHTED_ROUTE, "paths"))
        {
            problems.push(
                fields
                    .problem(key!(WEIGHTED_ROUTE, "paths"), "No paths", "a route needs a path")
                    .hint("for example `[\"/shop/*\"]`"),
            );
        }
        WeightedRoute {
            name: entry.key.clone(),
            paths,
            weights: weights(&fields, &clusters, problems),
            stickiness: fields.duration_written(key!(WEIGHTED_ROUTE, "stickiness")),
        }
    };
    entries.map(route).collect()
}

fn weights(fields: &Fields, clusters: &[&str], problems: &mut Problems) -> Vec<(String, u16)> {
    let entries = fields.map(key!(WEIGHTED_ROUTE, "weights"));
    let weight = |text: &str| text.parse::<u16>().ok();
    let mut weights = Vec::new();
    for entry in entries {
        if !clusters.contains(&entry.key.as_str()) {
            let detail = format!("the stack has no cluster `{}`", entry.key);
            let problem = Problem::usage("Unknown cluster", detail).at(fields.place_of(&entry.value));
            problems.push(problem.hint(suggest::hint(&entry.key, clusters.iter().copied())));
        }
        weights.extend(scalar_text(&entry.value).and_then(weight).map(|weight| (entry.key.clone(), weight)));
    }
    if weights.len() > CLUSTERS_PER_ROUTE_MAX {
        let detail = format!("{} clusters share the route, but {CLUSTERS_PER_ROUTE_MAX} can", weights.len());
        problems.push(fields.problem(key!(WEIGHTED_ROUTE, "weights"), "Too many clusters", detail));
    }
    if fields.is_written(key!(WEIGHTED_ROUTE, "weights"))
        && weights.len() == entries.len()
        && weights.iter().all(|(_, weight)| *weight == 0)
    {
        let detail = "no cluster has a weight above 0, so no request would be answered";
        problems.push(fields.problem(key!(WEIGHTED_ROUTE, "weights"), "No cluster serves the route", detail));
    }
    weights
}

/// How the requests of a cluster are shared among its instances.
pub(super) fn balancing(fields: &Fields, problems: &mut Problems) -> Balancing {
    let balancing = Balancing {
        algorithm: fields.text(key!(CLUSTER, "algorithm")),
        stickiness: fields.duration_written(key!(CLUSTER, "stickiness")),
        slow_start: fields.duration_written(key!(CLUSTER, "slow_start")),
        deregistration_delay: fields.duration(key!(CLUSTER, "deregistration_delay")),
    };
    if balancing.slow_start.is_some() && balancing.algorithm != "round_robin" {
        let detail = format!("`slow_start` works with `round_robin` only, not with `{}`", balancing.algorithm);
        problems.push(
            fields
                .problem(key!(CLUSTER, "slow_start"), "Slow start is not possible", detail)
                .hint("remove one of the two"),
        );
    }
    balancing
}
