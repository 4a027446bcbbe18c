//! Target groups: creation, health check settings, attributes, and which load balancers use them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::attributes::{Attributes, Table};
use super::health::{HealthCheck, Matcher};
use super::model::{Elbv2, TARGET_GROUP, check_name};
use super::page;
use super::tags::{self, Tags};
use super::target::{Target, TargetId};
use crate::region::context::Context;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// AWS's quota for a region.
pub const TARGET_GROUPS_MAX: usize = 3000;

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TargetGroup {
    pub arn: String,
    pub name: String,
    pub port: u16,
    pub vpc: String,
    /// Its targets are addresses, not instances: target type `ip`.
    #[serde(default)]
    pub by_address: bool,
    pub check: HealthCheck,
    pub attributes: Attributes,
    pub tags: Tags,
    pub targets: BTreeMap<TargetId, Target>,
}

impl TargetGroup {
    /// CloudWatch's dimension value: `targetgroup/name/0123456789abcdef`.
    pub fn full_name(&self) -> &str {
        self.arn.rsplit_once(':').map_or("", |(_, full_name)| full_name)
    }

    pub fn deregistration_delay(&self) -> Duration {
        Duration::from_secs(self.attributes.number("deregistration_delay.timeout_seconds").into())
    }
}

impl Elbv2 {
    pub(super) fn create_target_group(&mut self, cx: &mut Context, params: &Params) -> Answer {
        let name = params.required("Name")?;
        check_name(TARGET_GROUP, name)?;
        for (field, only) in [("Protocol", "HTTP"), ("ProtocolVersion", "HTTP1"), ("IpAddressType", "ipv4")] {
            if let Some(other) = params.text(field).filter(|given| *given != only) {
                return Err(ApiError::new(
                    if field == "Protocol" { "UnsupportedProtocol" } else { "ValidationError" },
                    format!("The embedded region has target groups with {field} '{only}' only, not '{other}'"),
                ));
            }
        }
        let by_address = match params.text("TargetType").unwrap_or("instance") {
            "instance" => false,
            "ip" => true,
            other => {
                return Err(invalid(format!(
                    "The embedded region has target groups with TargetType 'instance' and 'ip' only, not '{other}'"
                )));
            }
        };
        params.required("Protocol")?;
        let port = port_of(params, "Port")?.ok_or_else(|| invalid("A port must be specified"))?;
        let vpc = params.text("VpcId").ok_or_else(|| invalid("A VPC ID must be specified"))?.to_owned();
        if !cx.facts.vpc_exists(&vpc) {
            return Err(invalid(format!("The VPC ID '{vpc}' is not found")));
        }
        let check = parse_check(params, &default_check())?;
        let tags = tags::parse(params)?;
        if let Some(there) = self.target_groups.values().find(|there| there.name == name) {
            let same = (there.port, &there.vpc, there.by_address) == (port, &vpc, by_address);
            if same && there.check == check && there.tags == tags {
                let shown = show(there, &self.load_balancers_of(&there.arn));
                return Ok(Value::map().with("TargetGroups", Value::list([shown])));
            }
            return Err(ApiError::new(
                "DuplicateTargetGroupName",
                format!("A target group with the same name '{name}' exists, but with different settings"),
            ));
        }
        if self.target_groups.len() >= TARGET_GROUPS_MAX {
            return Err(ApiError::new(
                "TooManyTargetGroups",
                format!("A region can only have '{TARGET_GROUPS_MAX}' target groups"),
            ));
        }
        let hex = cx.ids.hex(16);
        let arn = cx.arn("elasticloadbalancing", &format!("targetgroup/{name}/{hex}"));
        let attributes = Attributes::new(Table::TargetGroup);
        let created = TargetGroup {
            arn: arn.clone(),
            name: name.to_owned(),
            port,
            vpc,
            by_address,
            check,
            attributes,
            tags,
            targets: BTreeMap::new(),
        };
        let shown = show(&created, &[]);
        self.target_groups.insert(arn, created);
        Ok(Value::map().with("TargetGroups", Value::list([shown])))
    }

    pub(super) fn modify_target_group(&mut self, params: &Params) -> Answer {
        let arn = params.required("TargetGroupArn")?;
        let there = self.target_group_mut(arn)?;
        there.check = parse_check(params, &there.check)?;
        let there = self.target_group(arn)?;
        Ok(Value::map().with("TargetGroups", Value::list([show(there, &self.load_balancers_of(arn))])))
    }

    pub(super) fn describe_target_groups(&self, params: &Params) -> Answer {
        let users = self.users();
        let shown = |it: &TargetGroup| show(it, users.get(it.arn.as_str()).map_or(&[][..], Vec::as_slice));
        let (arns, names) = (params.texts("TargetGroupArns"), params.texts("Names"));
        let by_arn = arns.iter().map(|arn| self.target_groups.get(*arn).ok_or(*arn));
        let by_name =
            names.iter().map(|name| self.target_groups.values().find(|there| there.name == *name).ok_or(*name));
        let asked: Result<Vec<_>, &str> = by_arn.chain(by_name).collect();
        let asked = asked.map_err(|missing| {
            ApiError::new("TargetGroupNotFound", format!("One or more target groups not found: '{missing}'"))
        })?;
        if !asked.is_empty() {
            return Ok(Value::map().with("TargetGroups", Value::list(asked.into_iter().map(shown))));
        }
        let of = params.text("LoadBalancerArn");
        if let Some(load_balancer) = of {
            self.load_balancer(load_balancer)?;
        }
        let used =
            |it: &&TargetGroup| of.is_none_or(|of| users.get(it.arn.as_str()).is_some_and(|users| users.contains(&of)));
        let all = self.target_groups.values().filter(used).map(|it| (it.arn.as_str(), shown(it)));
        page::answer(params, "TargetGroups", all)
    }

    /// One that is not there is no error; one that a listener or a rule uses stays.
    pub(super) fn delete_target_group(&mut self, params: &Params) -> Answer {
        let arn = params.required("TargetGroupArn")?;
        if !self.load_balancers_of(arn).is_empty() {
            return Err(ApiError::new(
                "ResourceInUse",
                format!("Target group '{arn}' is currently in use by a listener or a rule"),
            ));
        }
        self.target_groups.remove(arn);
        Ok(Value::map())
    }

    pub(super) fn describe_target_group_attributes(&self, params: &Params) -> Answer {
        Ok(self.target_group(params.required("TargetGroupArn")?)?.attributes.show())
    }

    pub(super) fn modify_target_group_attributes(&mut self, params: &Params) -> Answer {
        let there = self.target_group_mut(params.required("TargetGroupArn")?)?;
        let mut attributes = there.attributes.clone();
        attributes.modify(params)?;
        let slow_start = attributes.number("slow_start.duration_seconds") > 0;
        if slow_start && attributes.get("load_balancing.algorithm.type") != "round_robin" {
            return Err(ApiError::new(
                "InvalidConfigurationRequest",
                "Slow start can only be used with the load balancing algorithm round_robin",
            ));
        }
        there.attributes = attributes;
        Ok(there.attributes.show())
    }

    pub(super) fn target_group(&self, arn: &str) -> Result<&TargetGroup, ApiError> {
        self.target_groups.get(arn).ok_or_else(|| missing(arn))
    }

    pub(super) fn target_group_mut(&mut self, arn: &str) -> Result<&mut TargetGroup, ApiError> {
        self.target_groups.get_mut(arn).ok_or_else(|| missing(arn))
    }

    /// For each target group that a listener or rule forwards to: the ARNs of the load balancers.
    pub(super) fn users(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for listener in self.listeners.values() {
            for action in listener.actions() {
                for group in action.target_groups() {
                    let of_group = users.entry(group).or_default();
                    if !of_group.contains(&listener.load_balancer.as_str()) {
                        of_group.push(&listener.load_balancer);
                    }
                }
            }
        }
        users
    }

    pub(super) fn load_balancers_of(&self, target_group: &str) -> Vec<&str> {
        self.users().remove(target_group).unwrap_or_default()
    }
}

/// AWS's defaults. The user guide gives 5 s as the timeout for HTTP, the API's own text 6 s; this takes 5 s.
fn default_check() -> HealthCheck {
    HealthCheck {
        path: "/".to_owned(),
        port: None,
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(5),
        healthy_threshold: 5,
        unhealthy_threshold: 2,
        matcher: Matcher::parse("200").expect("a code"),
    }
}

/// The health check settings of a request over those that hold already.
fn parse_check(params: &Params, before: &HealthCheck) -> Result<HealthCheck, ApiError> {
    let number = |field: &str, before: u64, low: u64, high: u64| -> Result<u64, ApiError> {
        let Some(given) = params.int(field)? else { return Ok(before) };
        u64::try_from(given)
            .ok()
            .filter(|given| (low..=high).contains(given))
            .ok_or_else(|| invalid(format!("{field} '{given}' must be between {low} and {high} inclusive")))
    };
    if params.bool("HealthCheckEnabled")? == Some(false) {
        return Err(invalid("Health checks must be enabled for target groups with target type 'instance'"));
    }
    if let Some(other) = params.text("HealthCheckProtocol").filter(|given| *given != "HTTP") {
        return Err(ApiError::new(
            "UnsupportedProtocol",
            format!("The embedded region checks health over HTTP only, not '{other}'"),
        ));
    }
    let interval = number("HealthCheckIntervalSeconds", before.interval.as_secs(), 5, 300)?;
    let timeout = number("HealthCheckTimeoutSeconds", before.timeout.as_secs(), 2, 120)?;
    if timeout >= interval {
        return Err(invalid("Health check interval must be greater than the timeout."));
    }
    let path = params.text("HealthCheckPath").unwrap_or(&before.path).to_owned();
    let path_ok = path.starts_with('/') && path.len() <= 1024 && path.bytes().all(|byte| byte.is_ascii_graphic());
    if !path_ok {
        return Err(invalid(format!(
            "Health check path '{path}' must begin with '/' and have 1024 printable characters at most"
        )));
    }
    let port = match params.text("HealthCheckPort") {
        None => before.port,
        Some("traffic-port") => None,
        Some(_) => port_of(params, "HealthCheckPort")?,
    };
    let matcher = match params.map("Matcher").and_then(|matcher| matcher.text("HttpCode").map(str::to_owned)) {
        None => before.matcher.clone(),
        Some(text) => Matcher::parse(&text).ok_or_else(|| {
            invalid(format!("Health check matcher HTTP code '{text}' must be within '200-499' inclusive"))
        })?,
    };
    let threshold = |field: &str, before: u32| {
        number(field, before.into(), 2, 10).map(|count| u32::try_from(count).expect("ten at most"))
    };
    Ok(HealthCheck {
        path,
        port,
        interval: Duration::from_secs(interval),
        timeout: Duration::from_secs(timeout),
        healthy_threshold: threshold("HealthyThresholdCount", before.healthy_threshold)?,
        unhealthy_threshold: threshold("UnhealthyThresholdCount", before.unhealthy_threshold)?,
        matcher,
    })
}

/// A port, 1–65535.
pub(super) fn port_of(params: &Params, field: &str) -> Result<Option<u16>, ApiError> {
    let Some(given) = params.int(field)? else { return Ok(None) };
    let port = u16::try_from(given).ok().filter(|port| *port > 0);
    port.map(Some).ok_or_else(|| invalid(format!("{field} '{given}' must be between 1 and 65535 inclusive")))
}

fn show(it: &TargetGroup, load_balancers: &[&str]) -> Value {
    let check = &it.check;
    let seconds = |duration: Duration| Value::Int(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX));
    Value::map()
        .with("TargetGroupArn", Value::from(it.arn.as_str()))
        .with("TargetGroupName", Value::from(it.name.as_str()))
        .with("Protocol", Value::from("HTTP"))
        .with("Port", Value::from(it.port))
        .with("VpcId", Value::from(it.vpc.as_str()))
        .with("HealthCheckProtocol", Value::from("HTTP"))
        .with("HealthCheckPort", Value::from(check.port.map_or("traffic-port".to_owned(), |port| port.to_string())))
        .with("HealthCheckEnabled", Value::from(true))
        .with("HealthCheckIntervalSeconds", seconds(check.interval))
        .with("HealthCheckTimeoutSeconds", seconds(check.timeout))
        .with("HealthyThresholdCount", Value::from(check.healthy_threshold))
        .with("UnhealthyThresholdCount", Value::from(check.unhealthy_threshold))
        .with("HealthCheckPath", Value::from(check.path.as_str()))
        .with("Matcher", Value::map().with("HttpCode", Value::from(check.matcher.text())))
        .with("LoadBalancerArns", texts(load_balancers))
        .with("TargetType", Value::from(if it.by_address { "ip" } else { "instance" }))
        .with("ProtocolVersion", Value::from("HTTP1"))
        .with("IpAddressType", Value::from("ipv4"))
}

/// A list of texts.
pub(super) fn texts<T: AsRef<str>>(texts: &[T]) -> Value {
    Value::list(texts.iter().map(|text| Value::from(text.as_ref())))
}

fn missing(arn: &str) -> ApiError {
    ApiError::new("TargetGroupNotFound", format!("One or more target groups not found: '{arn}'"))
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}
