//! Waits until a stack serves: load balancer active, every target healthy, every route answered by its cluster.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use aws_sdk_ec2::types::{Filter, Instance};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use futures_util::future::join_all;

use super::load_balancer;
use super::scaling_group;
use super::target_group;
use super::targets::target_health_if_there;
use crate::clock;
use crate::cloud::address::Address;
use crate::cloud::console::Console;
use crate::cloud::health::Health;
use crate::cloud::snapshot::listing::Depth;
use crate::cloud::state::LoadBalancerState;
use crate::cloud::tags;
use crate::problem::{Problem, Problems};
use crate::resource::context::{Operation, Poll};
use crate::resource::event::Event;
use crate::resource::provider::Wait;
use crate::resource::status::{ClusterKind, ClusterStatus, Status, split_port};
use crate::stack::model::{Cluster, FixedResponse, Stack};

const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Enough to tell a fixed response (at most 1 KiB) from anything else.
const PROBE_BODY_BYTES_MAX: usize = 64 * 1024;
/// Targets that a problem lists.
const TARGETS_SHOWN: usize = 10;
/// Reasons of ended instances that a problem lists.
const REASONS_SHOWN: usize = 3;

/// Waits until the stack serves; answers with how it looks then.
///
/// # Errors
/// What is not ready when time is up.
pub async fn until_ready(run: &Operation, stack: &Stack, wait: Wait) -> Result<Status, Problems> {
    if wait == Wait::None {
        return Ok(look(run, stack).await?);
    }
    if !stack.has_load_balancer() {
        return Ok(instances(run, stack).await?);
    }
    let status = listed(run, stack).await?;
    let Some(load_balancer) = &status.load_balancer else {
        return Ok(status);
    };
    if load_balancer.state != LoadBalancerState::Active {
        load_balancer::until_active(run, &load_balancer.arn).await?;
    }
    let waits = status.clusters.iter().zip(&stack.clusters).filter_map(|(cluster, declared)| {
        let group = cluster.target_group.as_ref()?;
        let (healthy, expected) = (cluster.healthy(), expected(cluster));
        if healthy >= expected {
            run.sink.event(Event::Ready {
                what: Address::cluster_itself(&cluster.name).to_string(),
                detail: format!("{healthy} of {expected} healthy"),
            });
            return None;
        }
        Some(targets(run, declared, &group.arn, expected))
    });
    let waits: Vec<_> = waits.collect();
    let waited = !waits.is_empty();
    let failed: Vec<_> = join_all(waits).await.into_iter().filter_map(Result::err).collect();
    if !failed.is_empty() {
        return Err(Problems(failed));
    }
    match (wait, host(&status)) {
        (Wait::All, Some(host)) => routes(run, stack, host).await?,
        // The certificate is for the user's own domain, not for the load balancer's name.
        (Wait::All, None) => run.sink.event(Event::Ready {
            what: "routes".to_owned(),
            detail: "not asked: HTTPS answers under the name that its certificate is for".to_owned(),
        }),
        _ => {}
    }
    if waited { Ok(look(run, stack).await?) } else { Ok(status) }
}

/// Waits until every instance of a stack without a load balancer runs: nobody else reports its health.
async fn instances(run: &Operation, stack: &Stack) -> Result<Status, Problem> {
    let (was_there, misses) = (AtomicU32::new(0), Misses::default());
    let ask = || async {
        let status = look(run, stack).await?;
        let is_empty = status.clusters.iter().all(|cluster| cluster.instances.is_empty());
        was_there.fetch_max(u32::from(!is_empty), Relaxed);
        if !is_empty {
            misses.none();
        } else if was_there.load(Relaxed) > 0 && misses.one_more() {
            return Err(gone("every instance".to_owned()));
        }
        let missing = status.clusters.iter().find(|cluster| cluster.healthy() < expected(cluster));
        let short = missing.map(|cluster| {
            format!(
                "{}: {} of {} running",
                Address::cluster_itself(&cluster.name),
                cluster.healthy(),
                expected(cluster)
            )
        });
        Ok(short.map_or(Poll::Ready(status), Poll::Pending))
    };
    let status = match run.wait("instances", ask).await? {
        Ok(status) => status,
        Err(reason) => {
            return Err(Problem::new("Instances do not run", format!("{reason}{}", reasons_of_ends(run).await))
                .hint("`cloudscale diff` shows what is missing, `cloudscale up` adds it"));
        }
    };
    for cluster in &status.clusters {
        let (what, count) = (Address::cluster_itself(&cluster.name).to_string(), expected(cluster));
        run.sink.event(Event::Ready { what, detail: format!("{count} of {count} running") });
    }
    Ok(status)
}

/// Why instances of the stack ended by themselves, as EC2 reports for an hour; nothing where it does not report.
async fn reasons_of_ends(run: &Operation) -> String {
    let of_stack = Filter::builder().name(format!("tag:{}", tags::STACK)).values(&run.stack).build();
    let ended = Filter::builder().name("instance-state-name").values("shutting-down").values("terminated").build();
    let Ok(clients) = run.clients() else { return String::new() };
    let pages = clients.ec2.describe_instances().filters(of_stack).filters(ended).into_paginator().items();
    let reservations = pages.send().try_collect().await.unwrap_or_default();
    let instances = reservations.iter().flat_map(|reservation| reservation.instances());
    let reason = |instance: &Instance| {
        // Nobody asked for these ends: `Server.InternalError`, `Server.SpotInstanceTermination` (EC2 API, StateReason).
        let reason =
            instance.state_reason().filter(|reason| reason.code().is_some_and(|it| it.starts_with("Server.")))?;
        Some(format!("; {}: {}", instance.instance_id()?, reason.message()?))
    };
    instances.filter_map(reason).take(REASONS_SHOWN).collect()
}

/// How the stack looks as soon as listings know all that waits look at: what was made a moment ago may be missing.
async fn listed(run: &Operation, stack: &Stack) -> Result<Status, Problem> {
    let late = |reason: String| {
        Problem::new("The stack is incomplete", reason)
            .hint("`cloudscale diff` shows what is missing, `cloudscale up` adds it")
    };
    let ask = || async {
        let status = look(run, stack).await?;
        let unlisted = unlisted(stack, &status).map(|address| format!("{address} is not listed yet"));
        Ok(unlisted.map_or(Poll::Ready(status), Poll::Pending))
    };
    run.poll("stack", ask, late).await
}

/// The address of something that every stack has and that is not listed.
fn unlisted(stack: &Stack, status: &Status) -> Option<Address> {
    let is_balanced = |name: &str| stack.clusters.iter().any(|cluster| cluster.name == name && stack.balances(cluster));
    if status.load_balancer.is_none() {
        return Some(load_balancer::ADDRESS);
    }
    status.clusters.iter().find_map(|cluster| match (&cluster.target_group, &cluster.group) {
        (None, _) if is_balanced(&cluster.name) => Some(target_group::address(&cluster.name)),
        (_, None) if cluster.kind == ClusterKind::Group => Some(scaling_group::address(&cluster.name)),
        _ => None,
    })
}

async fn look(run: &Operation, stack: &Stack) -> Result<Status, Problem> {
    let cloud = run.provider.snapshot(&stack.name, Some(stack), Depth::Status).await?;
    Ok(run.provider.status(stack, &cloud))
}

/// Waits until a cluster has as many healthy targets as it should.
///
/// # Errors
/// When time is up: every target with its reason, and the last lines of a console.
pub async fn targets(run: &Operation, cluster: &Cluster, target_group: &str, desired: usize) -> Result<(), Problem> {
    let what = Address::cluster_itself(&cluster.name).to_string();
    let seen = Mutex::new((String::new(), Vec::new(), Console::default()));
    let misses = Misses::default();
    let ask = || async {
        let Some(found) = target_health_if_there(run.clients()?, target_group).await? else {
            return match misses.one_more() {
                true => Err(gone(format!("the target group of {what}"))),
                false => Ok(Poll::Pending(format!("{target_group} is not listed"))),
            };
        };
        misses.none();
        let healths = found.iter().filter_map(|target| Some((target.target()?.id()?.to_owned(), Health::of(target))));
        let healths: Vec<_> = healths.filter(|(_, health)| !health.is_draining()).collect();
        let (healthy, others): (Vec<_>, Vec<_>) = healths.into_iter().partition(|(_, health)| health.is_healthy());
        let count = format!("{} of {desired} healthy", healthy.len());
        if healthy.len() >= desired {
            return Ok(Poll::Ready(count));
        }
        let mut seen = seen.lock().await;
        let (last_count, last_others, console) = &mut *seen;
        let first = others.iter().find(|(_, health)| health.is_unhealthy()).or(others.first());
        let reason = match first {
            None => format!("{count}; no other target is registered"),
            Some((id, health)) => {
                if run.is_late() {
                    console.read(run.clients()?, id).await;
                } else if health.is_unhealthy() && console.is_unread() {
                    console.read(run.clients()?, id).await;
                    if let Some(line) = console.last_line() {
                        run.sink.event(Event::Note { text: format!("{what}: {id}'s console ends with: {line}") });
                    }
                }
                format!("{count}; {id}: {}", health.sentence())
            }
        };
        (*last_count, *last_others) = (count, others);
        Ok(Poll::Pending(reason))
    };
    match run.wait(&what, ask).await? {
        Ok(detail) => {
            run.sink.event(Event::Ready { what, detail });
            Ok(())
        }
        Err(_) => {
            let (count, others, console) = seen.into_inner();
            Err(unhealthy(run, cluster, &count, &others, &console))
        }
    }
}

/// Looks in a row that did not find what was there: one may be an old one.
#[derive(Debug, Default)]
struct Misses(AtomicU32);

impl Misses {
    /// Whether it is gone.
    fn one_more(&self) -> bool {
        self.0.fetch_add(1, Relaxed) > 0
    }

    fn none(&self) {
        self.0.store(0, Relaxed);
    }
}

/// What is waited for went away: that is nobody's user data.
fn gone(what: String) -> Problem {
    Problem::new(
        "The stack is gone",
        format!("{what} was there, and is gone: somebody took it down or replaced it meanwhile"),
    )
    .hint("`cloudscale ls` shows what there is; `cloudscale up` brings the stack up again")
}

fn unhealthy(
    run: &Operation,
    cluster: &Cluster,
    count: &str,
    others: &[(String, Health)],
    console: &Console,
) -> Problem {
    let check = &cluster.health_check;
    let mut detail = format!(
        "{}: {count} within the time limit; the check is GET {} on port {}, expecting {}",
        Address::cluster_itself(&cluster.name),
        check.path,
        cluster.port,
        check.codes
    );
    for (id, health) in others.iter().take(TARGETS_SHOWN) {
        let _ = write!(detail, "\n  {id}: {}", health.sentence());
    }
    if others.len() > TARGETS_SHOWN {
        let _ = write!(detail, "\n  and {} more", others.len() - TARGETS_SHOWN);
    }
    console.append_to(&mut detail);
    let logs = run.provider.console_command().map(|command| format!("`{command}` shows its whole console; "));
    Problem::new("Targets are not healthy", detail).hint(format!(
        "{}correct user data, port or health check and run `cloudscale up` again, or give it more time with --timeout; \
         nothing is rolled back until then",
        logs.unwrap_or_default()
    ))
}

/// Waits until each route of each cluster is answered by the cluster and not by the default action.
///
/// # Errors
/// When time is up: every route with what answered it.
pub async fn routes(run: &Operation, stack: &Stack, host: &str) -> Result<(), Problems> {
    let default = stack.load_balancer.as_ref().map(|load_balancer| &load_balancer.default);
    let mut waiting: Vec<(String, String)> = Vec::new();
    for cluster in &stack.clusters {
        waiting.extend(cluster.routes.iter().map(|route| (cluster.name.clone(), sample(route))));
    }
    for route in &stack.routes {
        let clusters: Vec<_> = route.weights.iter().map(|(cluster, _)| cluster.as_str()).collect();
        waiting.extend(route.paths.iter().map(|path| (clusters.join(" or "), sample(path))));
    }
    let count = waiting.len();
    let left = Mutex::new((waiting, Vec::new()));
    let misses = Misses::default();
    let ask = || async {
        let mut left = left.lock().await;
        let mut is_unreachable = false;
        let mut unanswered = Vec::new();
        let mut reasons = Vec::new();
        for (cluster, path) in std::mem::take(&mut left.0) {
            match probe(host, &path).await {
                Ok(answer) if is_served(&answer, default) => continue,
                Ok(answer) => reasons.push(format!("{path}: {} instead of an answer from {cluster}", answer.status)),
                Err(why) => {
                    is_unreachable = true;
                    reasons.push(format!("{path}: {why}"));
                }
            }
            unanswered.push((cluster, path));
        }
        if !is_unreachable || look(run, stack).await?.load_balancer.is_some() {
            misses.none();
        } else if misses.one_more() {
            return Err(gone("the load balancer".to_owned()));
        }
        let first = reasons.first().cloned();
        *left = (unanswered, reasons);
        Ok(first.map_or(Poll::Ready(()), Poll::Pending))
    };
    if run.wait("routes", ask).await?.is_err() {
        let (_, reasons) = left.into_inner();
        return Err(Problem::new("Routes do not answer", format!("http://{host}: {}", reasons.join("; ")))
            .hint("the targets are healthy: look at the security group and at what the application answers on these paths; `--wait targets` skips this check")
            .into());
    }
    let detail = match count {
        1 => "the only one answers".to_owned(),
        count => format!("all {count} answer"),
    };
    run.sink.event(Event::Ready { what: "routes".to_owned(), detail });
    Ok(())
}

/// A path that a pattern matches: `/cluster1/*` → `/cluster1/`.
pub fn sample(pattern: &str) -> String {
    pattern.replace('*', "").replace('?', "x")
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    body: Bytes,
}

/// Neither the default action nor the load balancer's own errors.
fn is_served(answer: &Answer, default: Option<&FixedResponse>) -> bool {
    let is_default =
        default.is_some_and(|default| answer.status == default.status && answer.body == default.body.as_bytes());
    !is_default && answer.status < 500
}

/// One request on a connection of its own, so that each probe sees the load balancer afresh.
async fn probe(host: &str, path: &str) -> Result<Answer, String> {
    let address = match split_port(host) {
        (_, Some(_)) => host.to_owned(),
        (host, None) => format!("{host}:80"),
    };
    let exchange = async {
        let stream = TcpStream::connect(&address).await.map_err(|error| format!("{address}: {error}"))?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
        let request = Request::get(path).header("host", host).header("connection", "close").body(Empty::<Bytes>::new());
        let request = request.map_err(|error| error.to_string())?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), PROBE_BODY_BYTES_MAX).collect().await;
            // A longer body is no fixed response.
            let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            Ok(Answer { status, body })
        };
        let (answer, _) = tokio::join!(answer, connection);
        answer
    };
    tokio::select! {
        answer = exchange => answer,
        () = clock::sleep(PROBE_TIMEOUT) => Err(format!("no answer within {} s", PROBE_TIMEOUT.as_secs())),
    }
}

/// How many healthy targets a cluster should have: the fixed number, or a group's desired capacity as it is now.
pub fn expected(cluster: &ClusterStatus) -> usize {
    usize::try_from(cluster.desired).unwrap_or(usize::MAX)
}

/// `host[:port]` of a status's URL; `None` where HTTPS is spoken.
pub fn host(status: &Status) -> Option<&str> {
    status.url.as_deref()?.strip_prefix("http://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_served_when_its_cluster_answers() {
        let default =
            FixedResponse { status: 404, body: "no such cluster\n".into(), content_type: "text/plain".into() };
        let default = Some(&default);
        let answer = |status, body: &'static str| Answer { status, body: Bytes::from(body) };
        assert!(is_served(&answer(200, "i-1"), default));
        assert!(is_served(&answer(404, "the application knows no such page"), default));
        assert!(!is_served(&answer(404, "no such cluster\n"), default));
        assert!(!is_served(&answer(503, ""), default));
    }

    #[test]
    fn a_pattern_is_sampled_by_a_path_that_it_matches() {
        assert_eq!(sample("/cluster1/*"), "/cluster1/");
        assert_eq!(sample("/v?/items"), "/vx/items");
    }
}
