//! What the data plane works by: every listener with its rules, every target group with its targets, as plain data.
//!
//! The proxy takes a new one whenever [`Elbv2::revision`] has moved.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::actions::Action;
use super::conditions::{Asked, Condition};
use super::listeners::Listener;
use super::load_balancers::LoadBalancer;
use super::model::Elbv2;
use super::rule::Rule;
use super::target::TargetId;
use super::target_groups::TargetGroup;
use super::transforms::Transforms;

#[derive(Clone, Debug, PartialEq)]
pub struct Routing {
    pub listeners: Vec<ListenerRoutes>,
    /// Those that a listener or a rule forwards to.
    pub target_groups: Vec<TargetGroupRoutes>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ListenerRoutes {
    pub arn: String,
    /// Where it is served.
    pub address: SocketAddrV4,
    pub settings: Arc<Settings>,
    /// In the order of their priorities.
    pub rules: Vec<RuleRoute>,
    pub default: Action,
}

/// A rule's part in the routing.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleRoute {
    pub priority: u32,
    pub conditions: Vec<Condition>,
    pub action: Action,
    pub transforms: Transforms,
}

/// The rule that applies to a request.
#[derive(Clone, Copy, Debug)]
pub struct Applies<'a> {
    pub action: &'a Action,
    /// `None` is the default rule.
    pub rule: Option<&'a RuleRoute>,
    /// How many rules were looked at.
    pub looked_at: usize,
}

/// The load balancer's part in serving a listener.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// CloudWatch's dimension value.
    pub load_balancer: String,
    pub zone: String,
    /// The listener's own port, which may differ from the port where it is served.
    pub port: u16,
    pub idle_timeout: Duration,
    /// How old a client's connection gets.
    pub client_keep_alive: Duration,
    pub forwarded_for: ForwardedFor,
    pub forwarded_for_port: bool,
    pub drop_invalid_headers: bool,
    /// The listener speaks TLS.
    pub secure: bool,
    /// A client of a TLS listener may choose HTTP/2.
    pub http2: bool,
    /// Targets learn what TLS the client speaks.
    pub tells_tls: bool,
    /// The ARN that an HTTPS listener names.
    pub certificate: Option<String>,
    pub access_log: Option<AccessLog>,
}

/// Where a load balancer's access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    pub bucket: String,
    /// Without a slash at either end; may be empty.
    pub prefix: String,
}

impl Settings {
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}

/// What happens to a client's X-Forwarded-For.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedFor {
    Append,
    Preserve,
    Remove,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TargetGroupRoutes {
    pub arn: String,
    /// CloudWatch's dimension value.
    pub full_name: String,
    /// CloudWatch's dimension value of the load balancer that uses it.
    pub load_balancer: String,
    pub algorithm: Algorithm,
    pub slow_start: Duration,
    /// How long a client stays with its target.
    pub stickiness: Option<Stickiness>,
    pub targets: Vec<TargetRoute>,
    /// Whether too few targets are healthy, so that requests go to all that could answer.
    pub fails_open: bool,
}

/// Whose cookie says which target a client stays with, and how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stickiness {
    pub stay: Duration,
    /// The application's cookie: a client stays from when a target sets it. `None`: from its first request.
    pub application: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    RoundRobin,
    LeastOutstandingRequests,
    WeightedRandom,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TargetRoute {
    pub id: TargetId,
    pub address: SocketAddrV4,
    pub zone: String,
    pub standing: Standing,
    pub healthy_since: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Healthy,
    /// Not healthy, but asked when the group fails open.
    Doubtful,
    Draining,
    /// Its instance does not run.
    Unused,
}

impl ListenerRoutes {
    /// The first rule that applies, or the default.
    pub fn applies(&self, asked: &Asked) -> Applies<'_> {
        let applies = |rule: &RuleRoute| rule.conditions.iter().all(|condition| condition.holds(asked));
        match self.rules.iter().position(applies) {
            Some(index) => {
                let rule = &self.rules[index];
                Applies { action: &rule.action, rule: Some(rule), looked_at: index + 1 }
            }
            None => Applies { action: &self.default, rule: None, looked_at: self.rules.len() },
        }
    }
}

impl Elbv2 {
    /// The routing as it is now.
    pub fn routing(&self) -> Routing {
        let listeners = self.listeners.values().filter_map(|listener| {
            let load_balancer = self.load_balancers.get(&listener.load_balancer)?;
            Some(ListenerRoutes {
                arn: listener.arn.clone(),
                address: SocketAddrV4::new(load_balancer.address, self.served(listener.port)),
                settings: Arc::new(settings(load_balancer, listener)),
                rules: listener.rules.iter().map(rule_route).collect(),
                default: listener.default.clone(),
            })
        });
        let target_groups = self.users().into_iter().filter_map(|(arn, users)| {
            let load_balancer = self.load_balancers.get(*users.first()?)?;
            Some(target_group(self.target_groups.get(arn)?, load_balancer))
        });
        Routing { listeners: listeners.collect(), target_groups: target_groups.collect() }
    }
}

fn rule_route((priority, rule): (&u32, &Rule)) -> RuleRoute {
    let Rule { conditions, action, transforms, .. } = rule.clone();
    RuleRoute { priority: *priority, conditions, action, transforms }
}

fn settings(load_balancer: &LoadBalancer, listener: &Listener) -> Settings {
    let attributes = &load_balancer.attributes;
    Settings {
        load_balancer: load_balancer.full_name().to_owned(),
        // The load balancer has one node here; it counts as that of the first zone.
        zone: load_balancer.zones.first().map(|zone| zone.name.clone()).unwrap_or_default(),
        port: listener.port,
        idle_timeout: Duration::from_secs(attributes.number("idle_timeout.timeout_seconds").into()),
        client_keep_alive: Duration::from_secs(attributes.number("client_keep_alive.seconds").into()),
        forwarded_for: match attributes.get("routing.http.xff_header_processing.mode") {
            "preserve" => ForwardedFor::Preserve,
            "remove" => ForwardedFor::Remove,
            _ => ForwardedFor::Append,
        },
        forwarded_for_port: attributes.is_on("routing.http.xff_client_port.enabled"),
        drop_invalid_headers: attributes.is_on("routing.http.drop_invalid_header_fields.enabled"),
        secure: listener.tls.is_some(),
        http2: attributes.is_on("routing.http2.enabled"),
        tells_tls: attributes.is_on("routing.http.x_amzn_tls_version_and_cipher_suite.enabled"),
        certificate: listener.tls.as_ref().map(|tls| tls.certificate.clone()),
        access_log: attributes.is_on("access_logs.s3.enabled").then(|| AccessLog {
            bucket: attributes.get("access_logs.s3.bucket").to_owned(),
            prefix: attributes.get("access_logs.s3.prefix").to_owned(),
        }),
    }
}

fn stickiness(group: &TargetGroup) -> Stickiness {
    let attributes = &group.attributes;
    let kind = attributes.get("stickiness.type");
    let seconds = attributes.number(&format!("stickiness.{kind}.duration_seconds"));
    let name = attributes.get("stickiness.app_cookie.cookie_name");
    Stickiness {
        stay: Duration::from_secs(seconds.into()),
        application: (kind == "app_cookie").then(|| name.to_owned()),
    }
}

fn target_group(group: &TargetGroup, load_balancer: &LoadBalancer) -> TargetGroupRoutes {
    let targets: Vec<TargetRoute> = group
        .targets
        .iter()
        // One whose last request is done is only shown as draining.
        .filter(|(_, target)| target.health.is_busy_draining() || !target.health.is_draining())
        .map(|(id, target)| TargetRoute {
            id: id.clone(),
            address: SocketAddrV4::new(target.address, id.port),
            zone: target.zone.clone(),
            standing: if target.health.is_healthy() {
                Standing::Healthy
            } else if target.health.is_draining() {
                Standing::Draining
            } else if target.health.is_usable() {
                Standing::Doubtful
            } else {
                Standing::Unused
            },
            healthy_since: target.health.healthy_since(),
        })
        .collect();
    let attributes = &group.attributes;
    let standing = |standing: Standing| targets.iter().filter(|target| target.standing == standing).count();
    let (healthy, doubtful) = (standing(Standing::Healthy), standing(Standing::Doubtful));
    let minimum = "target_group_health.unhealthy_state_routing.minimum_healthy_targets";
    let count = attributes.number(&format!("{minimum}.count")) as usize;
    let percentage = attributes.number(&format!("{minimum}.percentage")) as usize;
    TargetGroupRoutes {
        arn: group.arn.clone(),
        full_name: group.full_name().to_owned(),
        load_balancer: load_balancer.full_name().to_owned(),
        algorithm: match attributes.get("load_balancing.algorithm.type") {
            "least_outstanding_requests" => Algorithm::LeastOutstandingRequests,
            "weighted_random" => Algorithm::WeightedRandom,
            _ => Algorithm::RoundRobin,
        },
        slow_start: Duration::from_secs(attributes.number("slow_start.duration_seconds").into()),
        stickiness: attributes.is_on("stickiness.enabled").then(|| stickiness(group)),
        fails_open: healthy < count || healthy * 100 < percentage * (healthy + doubtful),
        targets,
    }
}
