//! Attributes of load balancers, target groups and listeners: a table of keys, defaults and rules.

use std::collections::BTreeMap;

use crate::region::wire::{ApiError, Params, Value};

/// What a value must look like.
#[derive(Clone, Copy, Debug)]
enum Rule {
    Bool,
    Int(i64, i64),
    /// A number within the range, or `off`.
    IntOrOff(i64, i64),
    OneOf(&'static [&'static str]),
    Text,
}

/// One attribute that AWS documents.
#[derive(Clone, Copy, Debug)]
struct Known {
    key: &'static str,
    default: &'static str,
    rule: Rule,
}

const fn known(key: &'static str, default: &'static str, rule: Rule) -> Known {
    Known { key, default, rule }
}

const LOAD_BALANCER: &[Known] = &[
    known("access_logs.s3.enabled", "false", Rule::Bool),
    known("access_logs.s3.bucket", "", Rule::Text),
    known("access_logs.s3.prefix", "", Rule::Text),
    known("client_keep_alive.seconds", "3600", Rule::Int(60, 604_800)),
    known("connection_logs.s3.enabled", "false", Rule::OneOf(&["false"])),
    known("connection_logs.s3.bucket", "", Rule::Text),
    known("connection_logs.s3.prefix", "", Rule::Text),
    known("deletion_protection.enabled", "false", Rule::Bool),
    known("idle_timeout.timeout_seconds", "60", Rule::Int(1, 4000)),
    known("ipv6.deny_all_igw_traffic", "false", Rule::Bool),
    known("load_balancing.cross_zone.enabled", "true", Rule::OneOf(&["true"])),
    known("routing.http.desync_mitigation_mode", "defensive", Rule::OneOf(&["defensive"])),
    known("routing.http.drop_invalid_header_fields.enabled", "false", Rule::Bool),
    known("routing.http.preserve_host_header.enabled", "false", Rule::Bool),
    known("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false", Rule::Bool),
    known("routing.http.xff_client_port.enabled", "false", Rule::Bool),
    known("routing.http.xff_header_processing.mode", "append", Rule::OneOf(&["append", "preserve", "remove"])),
    known("routing.http2.enabled", "true", Rule::Bool),
    known("waf.fail_open.enabled", "false", Rule::Bool),
    known("zonal_shift.config.enabled", "false", Rule::Bool),
];

const TARGET_GROUP: &[Known] = &[
    known("deregistration_delay.timeout_seconds", "300", Rule::Int(0, 3600)),
    known("load_balancing.algorithm.anomaly_mitigation", "off", Rule::OneOf(&["off"])),
    known(
        "load_balancing.algorithm.type",
        "round_robin",
        Rule::OneOf(&["round_robin", "least_outstanding_requests", "weighted_random"]),
    ),
    known(
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
        Rule::OneOf(&["true", "use_load_balancer_configuration"]),
    ),
    known("slow_start.duration_seconds", "0", Rule::Int(0, 900)),
    known("stickiness.app_cookie.cookie_name", "", Rule::Text),
    known("stickiness.app_cookie.duration_seconds", "86400", Rule::Int(1, 604_800)),
    known("stickiness.enabled", "false", Rule::Bool),
    known("stickiness.lb_cookie.duration_seconds", "86400", Rule::Int(1, 604_800)),
    known("stickiness.type", "lb_cookie", Rule::OneOf(&["lb_cookie", "app_cookie"])),
    known("target_group_health.dns_failover.minimum_healthy_targets.count", "1", Rule::IntOrOff(1, 1000)),
    known("target_group_health.dns_failover.minimum_healthy_targets.percentage", "off", Rule::IntOrOff(1, 100)),
    known("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1", Rule::Int(1, 1000)),
    known(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "off",
        Rule::IntOrOff(1, 100),
    ),
];

const LISTENER: &[Known] = &[
    known("routing.http.response.server.enabled", "true", Rule::Bool),
    known("routing.http.response.strict_transport_security.header_value", "", Rule::Text),
    known("routing.http.response.x_content_type_options.header_value", "", Rule::Text),
    known("routing.http.response.x_frame_options.header_value", "", Rule::Text),
];

/// The attributes of one resource: those that were set, over the defaults.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attributes {
    known: Table,
    set: BTreeMap<String, String>,
}

/// Which table applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Table {
    LoadBalancer,
    TargetGroup,
    Listener,
}

impl Table {
    fn rows(self) -> &'static [Known] {
        match self {
            Table::LoadBalancer => LOAD_BALANCER,
            Table::TargetGroup => TARGET_GROUP,
            Table::Listener => LISTENER,
        }
    }
}

impl Attributes {
    pub fn new(known: Table) -> Self {
        Self { known, set: BTreeMap::new() }
    }

    /// The value of an attribute.
    ///
    /// # Panics
    /// On a key that the table does not have: a mistake in the caller's code.
    pub fn get(&self, key: &str) -> &str {
        let row = self.known.rows().iter().find(|row| row.key == key);
        let row = row.unwrap_or_else(|| panic!("no attribute {key}"));
        self.set.get(key).map_or(row.default, String::as_str)
    }

    pub fn is_on(&self, key: &str) -> bool {
        self.get(key) == "true"
    }

    /// A number; 0 where the value is `off`.
    pub fn number(&self, key: &str) -> u32 {
        self.get(key).parse().unwrap_or(0)
    }

    /// Sets all of `Attributes`, or none.
    ///
    /// # Errors
    /// `ValidationError` for a key or a value that AWS does not have.
    pub fn modify(&mut self, params: &Params) -> Result<(), ApiError> {
        let mut set = self.set.clone();
        for attribute in params.maps("Attributes") {
            let key = attribute.required("Key")?;
            let value = attribute.text("Value").unwrap_or_default();
            let row =
                self.known.rows().iter().find(|row| row.key == key).ok_or_else(|| {
                    ApiError::new("ValidationError", format!("Attribute key '{key}' is not recognized"))
                })?;
            row.check(value)?;
            set.insert(row.key.to_owned(), value.to_owned());
        }
        check_cookie(&set)?;
        check_bucket(&set)?;
        self.set = set;
        Ok(())
    }

    /// `Attributes` as AWS describes them: every key, by name.
    pub fn show(&self) -> Value {
        let pair =
            |row: &Known| Value::map().with("Key", Value::from(row.key)).with("Value", Value::from(self.get(row.key)));
        Value::map().with("Attributes", Value::list(self.known.rows().iter().map(pair)))
    }
}

/// An application's cookie must be named, and not as one of the load balancer's own (API reference,
/// `TargetGroupAttribute`).
fn check_cookie(set: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let of = |key: &str| set.get(key).map_or("", String::as_str);
    let name = of("stickiness.app_cookie.cookie_name");
    let is_token = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    let is_on = of("stickiness.type") == "app_cookie" && of("stickiness.enabled") == "true";
    if name.starts_with("AWSALB") || !is_token || (is_on && name.is_empty()) {
        let message = format!(
            "'stickiness.app_cookie.cookie_name' value '{name}' must be the name of a cookie that does not start with AWSALB"
        );
        return Err(ApiError::new("ValidationError", message));
    }
    Ok(())
}

/// An access log has a bucket, and both it and the prefix are names as S3 has them (S3 user guide, "General purpose bucket
/// naming rules"; ELB user guide, "Enable access logs": a prefix does not contain AWSLogs).
fn check_bucket(set: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let of = |key: &str| set.get(key).map_or("", String::as_str);
    let (bucket, prefix) = (of("access_logs.s3.bucket"), of("access_logs.s3.prefix"));
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_bucket = (3..=63).contains(&bucket.len())
        && bucket.bytes().all(|byte| plain(byte) || b".-".contains(&byte))
        && bucket.bytes().next().is_some_and(plain)
        && bucket.bytes().last().is_some_and(plain)
        && !bucket.contains("..");
    let is_part = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!-_.*'()".contains(&byte);
        !part.is_empty() && part.len() <= 255 && !part.starts_with('.') && part.bytes().all(allowed)
    };
    let is_prefix = prefix.is_empty() || (prefix.split('/').all(is_part) && !prefix.contains("AWSLogs"));
    let named = !bucket.is_empty() || of("access_logs.s3.enabled") == "true";
    if (named && !is_bucket) || !is_prefix || prefix.len() > 512 {
        let message = format!("The access log's bucket '{bucket}' with prefix '{prefix}' is not valid");
        return Err(ApiError::new("InvalidConfigurationRequest", message));
    }
    Ok(())
}

impl Known {
    fn check(&self, value: &str) -> Result<(), ApiError> {
        let within = |low: i64, high: i64| value.parse::<i64>().is_ok_and(|number| (low..=high).contains(&number));
        let (ok, wanted) = match self.rule {
            Rule::Bool => (matches!(value, "true" | "false"), "true or false".to_owned()),
            Rule::Int(low, high) => (within(low, high), format!("a number from {low} to {high}")),
            Rule::IntOrOff(low, high) => {
                (value == "off" || within(low, high), format!("off or a number from {low} to {high}"))
            }
            Rule::OneOf(values) => (values.contains(&value), format!("one of {}", values.join(", "))),
            Rule::Text => (true, String::new()),
        };
        let slow_start_gap = self.key == "slow_start.duration_seconds" && (1..30).any(|n: u32| value == n.to_string());
        if ok && !slow_start_gap {
            return Ok(());
        }
        let wanted = if slow_start_gap { "0 or a number from 30 to 900".to_owned() } else { wanted };
        Err(ApiError::new(
            "ValidationError",
            format!("'{}' value '{value}' must be {wanted} in the embedded region", self.key),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        let pair = |(key, value): &(&str, &str)| {
            Value::map().with("Key", Value::from(*key)).with("Value", Value::from(*value))
        };
        Params(vec![("Attributes".to_owned(), Value::list(pairs.iter().map(pair)))])
    }

    #[test]
    fn every_default_keeps_its_own_rule() {
        for row in [LOAD_BALANCER, TARGET_GROUP, LISTENER].concat() {
            assert_eq!(row.check(row.default), Ok(()), "{}", row.key);
        }
    }

    #[test]
    fn an_applications_cookie_has_a_name_of_its_own() {
        let mut attributes = Attributes::new(Table::TargetGroup);
        let on = [("stickiness.enabled", "true"), ("stickiness.type", "app_cookie")];
        let name = |name: &'static str| ("stickiness.app_cookie.cookie_name", name);
        for wrong in [on.to_vec(), vec![name("AWSALBAPP")], vec![name("a b")]] {
            assert_eq!(attributes.modify(&params(&wrong)).unwrap_err().code, "ValidationError", "{wrong:?}");
        }
        attributes.modify(&params(&[on[0], on[1], name("SESSION")])).unwrap();
        assert_eq!(attributes.get("stickiness.type"), "app_cookie");
    }

    #[test]
    fn an_access_log_has_a_bucket_and_neither_leaves_its_folder() {
        let log = |bucket: &'static str, prefix: &'static str| {
            let all = [
                ("access_logs.s3.enabled", "true"),
                ("access_logs.s3.bucket", bucket),
                ("access_logs.s3.prefix", prefix),
            ];
            Attributes::new(Table::LoadBalancer).modify(&params(&all)).map_err(|error| error.code)
        };
        assert_eq!(log("my-logs", ""), Ok(()));
        assert_eq!(log("my.logs.2026", "team/web"), Ok(()));
        for (bucket, prefix) in [
            ("", ""),
            ("My-Logs", ""),
            ("..", ""),
            ("a/b", ""),
            ("my-logs", "/web"),
            ("my-logs", "web/"),
            ("my-logs", "../web"),
            ("my-logs", "a/../b"),
            ("my-logs", "AWSLogs"),
        ] {
            let refused = Err("InvalidConfigurationRequest".to_owned());
            assert_eq!(log(bucket, prefix), refused, "{bucket} {prefix}");
        }
    }

    #[test]
    fn a_bad_attribute_changes_nothing() {
        let mut attributes = Attributes::new(Table::TargetGroup);
        let bad = [("deregistration_delay.timeout_seconds", "5"), ("slow_start.duration_seconds", "7")];
        assert_eq!(attributes.modify(&params(&bad)).unwrap_err().code, "ValidationError");
        assert_eq!(attributes.number("deregistration_delay.timeout_seconds"), 300);
        attributes.modify(&params(&bad[..1])).unwrap();
        assert_eq!(attributes.number("deregistration_delay.timeout_seconds"), 5);
        assert!(attributes.modify(&params(&[("colour", "red")])).is_err());
    }
}
