//! Listeners: a port of a load balancer, its default action and its rules.
//!
//! An HTTPS listener names a certificate in AWS; here it is served with one of the region's own (`region::certificates`).

use std::collections::BTreeMap;

use super::actions::Action;
use super::attributes::{Attributes, Table};
use super::model::Elbv2;
use super::page;
use super::rule::Rule;
use super::tags::{self, Tags};
use super::target_groups::port_of;
use crate::region::context::Context;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// AWS's quota for one load balancer.
pub const LISTENERS_MAX: usize = 50;

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Listener {
    pub arn: String,
    pub load_balancer: String,
    pub port: u16,
    /// Of an HTTPS listener.
    pub tls: Option<Tls>,
    /// ARNs of further certificates of an HTTPS listener.
    #[serde(default)]
    pub certificates: Vec<String>,
    pub default: Action,
    /// The `Order` that the default action was given.
    pub order: Option<i64>,
    /// The ARN of the rule that stands for the default action.
    pub default_rule: String,
    /// By priority.
    pub rules: BTreeMap<u32, Rule>,
    pub attributes: Attributes,
    pub tags: Tags,
    /// Why the proxy cannot serve it.
    pub problem: Option<String>,
}

/// What an HTTPS listener is served with on AWS.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tls {
    /// An ARN.
    pub certificate: String,
    pub policy: String,
}

/// What AWS takes where a call names no policy (ELBv2 API, CreateListener).
const POLICY: &str = "ELBSecurityPolicy-2016-08";

impl Listener {
    /// The default's and every rule's action.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        std::iter::once(&self.default).chain(self.rules.values().map(|rule| &rule.action))
    }
}

impl Elbv2 {
    pub(super) fn create_listener(&mut self, cx: &mut Context, params: &Params) -> Answer {
        let load_balancer = self.load_balancer(params.required("LoadBalancerArn")?)?;
        let (load_balancer, full_name) = (load_balancer.arn.clone(), load_balancer.full_name().to_owned());
        params.required("Protocol")?;
        let tls = tls(params, None)?;
        let port = port_of(params, "Port")?.ok_or_else(|| ApiError::missing("Port"))?;
        let actions = params.maps("DefaultActions");
        let (default, order) = (Action::parse_one(&actions)?, Action::order_of(&actions)?);
        self.check_action(&default, &load_balancer, tls.is_some())?;
        let tags = tags::parse(params)?;
        let same = |there: &&Listener| {
            (&there.load_balancer, there.port, &there.tls) == (&load_balancer, port, &tls)
                && (&there.default, &there.tags) == (&default, &tags)
        };
        if let Some(there) = self.listeners.values().find(same) {
            return Ok(Value::map().with("Listeners", Value::list([show(there)])));
        }
        self.check_port(&load_balancer, port, None)?;
        if self.listeners.values().filter(|there| there.load_balancer == load_balancer).count() >= LISTENERS_MAX {
            return Err(ApiError::new(
                "TooManyListeners",
                format!("A load balancer can only have '{LISTENERS_MAX}' listeners"),
            ));
        }
        let (id, rule) = (cx.ids.hex(16), cx.ids.hex(16));
        let arn = cx.arn("elasticloadbalancing", &format!("listener/{full_name}/{id}"));
        let default_rule = cx.arn("elasticloadbalancing", &format!("listener-rule/{full_name}/{id}/{rule}"));
        let attributes = Attributes::new(Table::Listener);
        let created = Listener {
            arn: arn.clone(),
            load_balancer,
            port,
            tls,
            certificates: Vec::new(),
            default,
            order,
            default_rule,
            rules: BTreeMap::new(),
            attributes,
            tags,
            problem: None,
        };
        let shown = show(&created);
        self.listeners.insert(arn, created);
        Ok(Value::map().with("Listeners", Value::list([shown])))
    }

    pub(super) fn modify_listener(&mut self, params: &Params) -> Answer {
        let arn = params.required("ListenerArn")?;
        let there = self.listener(arn)?;
        let tls = tls(params, there.tls.as_ref())?;
        let port = port_of(params, "Port")?.unwrap_or(there.port);
        self.check_port(&there.load_balancer, port, Some(arn))?;
        let (default, order) = match params.maps("DefaultActions") {
            none if none.is_empty() => (there.default.clone(), there.order),
            actions => (Action::parse_one(&actions)?, Action::order_of(&actions)?),
        };
        self.check_action(&default, &there.load_balancer, tls.is_some())?;
        for rule in there.rules.values() {
            self.check_action(&rule.action, &there.load_balancer, tls.is_some())?;
        }
        let there = self.listener_mut(arn)?;
        if there.port != port {
            there.problem = None;
        }
        if tls.is_none() {
            there.certificates.clear();
        }
        (there.port, there.tls, there.default, there.order) = (port, tls, default, order);
        Ok(Value::map().with("Listeners", Value::list([show(there)])))
    }

    pub(super) fn describe_listeners(&self, params: &Params) -> Answer {
        let arns = params.texts("ListenerArns");
        if !arns.is_empty() {
            let shown = arns.iter().map(|arn| self.listener(arn).map(show)).collect::<Result<Vec<_>, _>>()?;
            return Ok(Value::map().with("Listeners", Value::List(shown)));
        }
        let load_balancer = params.required("LoadBalancerArn").map_err(|_| {
            ApiError::new("ValidationError", "You must specify either listener ARNs or a load balancer ARN")
        })?;
        self.load_balancer(load_balancer)?;
        let of = self.listeners.values().filter(|listener| listener.load_balancer == load_balancer);
        page::answer(params, "Listeners", of.map(|it| (it.arn.as_str(), show(it))))
    }

    pub(super) fn delete_listener(&mut self, params: &Params) -> Answer {
        let arn = params.required("ListenerArn")?;
        self.listeners.remove(arn).map(|_| Value::map()).ok_or_else(|| missing(arn))
    }

    pub(super) fn describe_listener_attributes(&self, params: &Params) -> Answer {
        Ok(self.listener(params.required("ListenerArn")?)?.attributes.show())
    }

    pub(super) fn modify_listener_attributes(&mut self, params: &Params) -> Answer {
        let there = self.listener_mut(params.required("ListenerArn")?)?;
        there.attributes.modify(params)?;
        Ok(there.attributes.show())
    }

    pub(super) fn listener(&self, arn: &str) -> Result<&Listener, ApiError> {
        self.listeners.get(arn).ok_or_else(|| missing(arn))
    }

    pub(super) fn listener_mut(&mut self, arn: &str) -> Result<&mut Listener, ApiError> {
        self.listeners.get_mut(arn).ok_or_else(|| missing(arn))
    }

    /// An action may only name target groups that exist and that no other load balancer uses, and does not lead from TLS
    /// into the clear ("You can't redirect HTTPS to HTTP", user guide, "Redirect actions").
    pub(super) fn check_action(&self, action: &Action, load_balancer: &str, https: bool) -> Result<(), ApiError> {
        if https && matches!(action, Action::Redirect(redirect) if redirect.protocol == "HTTP") {
            let message = "Redirecting from HTTPS to HTTP is not supported.";
            return Err(ApiError::new("InvalidLoadBalancerAction", message));
        }
        let users = self.users();
        for group in action.target_groups() {
            self.target_group(group)?;
            if users.get(group).is_some_and(|users| users.iter().any(|user| *user != load_balancer)) {
                return Err(ApiError::new(
                    "TargetGroupAssociationLimit",
                    format!(
                        "The following target groups cannot be associated with more than one load balancer: {group}"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// No other listener of the load balancer may have the port, or be served where this one would be.
    fn check_port(&self, load_balancer: &str, port: u16, except: Option<&str>) -> Result<(), ApiError> {
        let others = self
            .listeners
            .values()
            .filter(|there| there.load_balancer == load_balancer && Some(there.arn.as_str()) != except);
        for there in others {
            if there.port == port {
                return Err(ApiError::new(
                    "DuplicateListener",
                    "A listener already exists on this port for this load balancer",
                ));
            }
            let served = self.served(port);
            if self.served(there.port) == served {
                return Err(ApiError::new(
                    "DuplicateListener",
                    format!(
                        "The embedded region may not bind ports below 1024 here and serves port {port} and port {} both on {served}",
                        there.port
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// The TLS part of a listener after a call; `there` is what it was before.
fn tls(params: &Params, there: Option<&Tls>) -> Result<Option<Tls>, ApiError> {
    let before = if there.is_some() { "HTTPS" } else { "HTTP" };
    let certificates = params.maps("Certificates");
    match params.text("Protocol").unwrap_or(before) {
        "HTTP" if certificates.is_empty() => Ok(None),
        "HTTP" => Err(ApiError::new("InvalidConfigurationRequest", "Certificates are for HTTPS listeners only")),
        "HTTPS" => {
            let certificate = match (certificates.as_slice(), there) {
                ([certificate], _) => certificate.required("CertificateArn")?.to_owned(),
                ([], Some(there)) => there.certificate.clone(),
                ([], None) => {
                    let message = "A certificate must be specified for HTTPS listeners";
                    return Err(ApiError::new("CertificateNotFound", message));
                }
                _ => {
                    let message = "The default certificate is exactly one";
                    return Err(ApiError::new("InvalidConfigurationRequest", message));
                }
            };
            let policy = params.text("SslPolicy").or(there.map(|there| there.policy.as_str())).unwrap_or(POLICY);
            Ok(Some(Tls { certificate, policy: policy.to_owned() }))
        }
        other => Err(ApiError::new(
            "UnsupportedProtocol",
            format!("An application load balancer has the protocols 'HTTP' and 'HTTPS', not '{other}'"),
        )),
    }
}

fn show(it: &Listener) -> Value {
    let certificate =
        |tls: &Tls| Value::list([Value::map().with("CertificateArn", Value::from(tls.certificate.as_str()))]);
    Value::map()
        .with("ListenerArn", Value::from(it.arn.as_str()))
        .with("LoadBalancerArn", Value::from(it.load_balancer.as_str()))
        .with("Port", Value::from(it.port))
        .with("Protocol", Value::from(if it.tls.is_some() { "HTTPS" } else { "HTTP" }))
        .with("Certificates", it.tls.as_ref().map(certificate))
        .with("SslPolicy", it.tls.as_ref().map(|tls| Value::from(tls.policy.as_str())))
        .with("DefaultActions", Value::list([it.default.show(it.order)]))
}

fn missing(arn: &str) -> ApiError {
    ApiError::new("ListenerNotFound", format!("One or more listeners not found: '{arn}'"))
}
