//! Rule actions: what happens to a request that a listener's rule applies to.

use crate::region::wire::{ApiError, Params, Value};

/// AWS's quota for the target groups of one action.
pub const TARGET_GROUPS_MAX: usize = 5;
/// The longest body of a fixed response, in bytes.
const BODY_MAX: usize = 1024;
const CONTENT_TYPES: [&str; 5] = ["text/plain", "text/css", "text/html", "application/javascript", "application/json"];

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Action {
    Forward(Forward),
    Redirect(Redirect),
    FixedResponse(FixedResponse),
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Forward {
    pub target_groups: Vec<WeightedTargetGroup>,
    /// Seconds for which a client stays with the target group it met first.
    pub stickiness: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WeightedTargetGroup {
    pub arn: String,
    /// 0–999; its share is its weight over the sum of all weights.
    pub weight: u32,
}

/// Parts may hold `#{protocol}`, `#{host}`, `#{port}`, `#{path}` and `#{query}`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Redirect {
    pub protocol: String,
    pub host: String,
    pub port: String,
    pub path: String,
    pub query: String,
    /// 301 or 302.
    pub status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FixedResponse {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

impl Action {
    /// The one action of a rule or of a listener's default.
    ///
    /// # Errors
    /// AWS's codes for actions that are missing, too many, or not valid.
    pub fn parse_one(params: &[Params]) -> Result<Self, ApiError> {
        match params {
            [] => Err(invalid("At least one action must be specified")),
            [action] => Self::parse(action),
            _ => Err(ApiError::new(
                "InvalidLoadBalancerAction",
                "Exactly one of forward, redirect and fixed-response is allowed; the embedded region does not authenticate",
            )),
        }
    }

    /// The `Order` of the one action, where the caller gave one.
    pub fn order_of(params: &[Params]) -> Result<Option<i64>, ApiError> {
        let order = params.first().map_or(Ok(None), |action| action.int("Order"))?;
        match order {
            Some(order) if !(1..=50_000).contains(&order) => {
                Err(invalid(format!("Order '{order}' must be between 1 and 50000 inclusive")))
            }
            order => Ok(order),
        }
    }

    fn parse(params: &Params) -> Result<Self, ApiError> {
        match params.required("Type")? {
            "forward" => Forward::parse(params).map(Action::Forward),
            "redirect" => {
                Redirect::parse(&params.map("RedirectConfig").ok_or_else(|| ApiError::missing("RedirectConfig"))?)
                    .map(Action::Redirect)
            }
            "fixed-response" => FixedResponse::parse(
                &params.map("FixedResponseConfig").ok_or_else(|| ApiError::missing("FixedResponseConfig"))?,
            )
            .map(Action::FixedResponse),
            other => Err(ApiError::new(
                "InvalidLoadBalancerAction",
                format!("The embedded region does not have the action type '{other}'"),
            )),
        }
    }

    /// ARNs of the target groups that the action may forward to.
    pub fn target_groups(&self) -> impl Iterator<Item = &str> {
        let groups = if let Action::Forward(forward) = self { forward.target_groups.as_slice() } else { &[] };
        groups.iter().map(|group| group.arn.as_str())
    }

    /// As AWS shows it: with the `Order` that it was given, if any.
    pub fn show(&self, order: Option<i64>) -> Value {
        let Value::Map(mut fields) = self.show_unordered() else { return Value::map() };
        fields.extend(order.map(|order| ("Order".to_owned(), Value::Int(order))));
        Value::Map(fields)
    }

    fn show_unordered(&self) -> Value {
        match self {
            Action::Forward(forward) => forward.show(),
            Action::Redirect(redirect) => {
                Value::map().with("Type", Value::from("redirect")).with("RedirectConfig", redirect.show())
            }
            Action::FixedResponse(fixed) => Value::map().with("Type", Value::from("fixed-response")).with(
                "FixedResponseConfig",
                Value::map()
                    .with("StatusCode", Value::from(fixed.status.to_string()))
                    .with("ContentType", Value::from(fixed.content_type.as_str()))
                    .with("MessageBody", Value::from(fixed.body.as_str())),
            ),
        }
    }
}

impl Forward {
    fn parse(params: &Params) -> Result<Self, ApiError> {
        let config = params.map("ForwardConfig").unwrap_or_default();
        let mut target_groups = Vec::new();
        for group in config.maps("TargetGroups") {
            let weight = group.int("Weight")?.unwrap_or(1);
            let weight = u32::try_from(weight)
                .ok()
                .filter(|weight| *weight <= 999)
                .ok_or_else(|| invalid(format!("Weight '{weight}' must be between 0 and 999 inclusive")))?;
            target_groups.push(WeightedTargetGroup { arn: group.required("TargetGroupArn")?.to_owned(), weight });
        }
        if target_groups.is_empty() {
            target_groups.push(WeightedTargetGroup { arn: params.required("TargetGroupArn")?.to_owned(), weight: 1 });
        }
        if target_groups.len() > TARGET_GROUPS_MAX {
            return Err(ApiError::new(
                "TooManyTargetGroups",
                format!("A forward action can only have '{TARGET_GROUPS_MAX}' target groups"),
            ));
        }
        let sticky = config.map("TargetGroupStickinessConfig").unwrap_or_default();
        let stickiness = if sticky.bool("Enabled")?.unwrap_or(false) {
            let seconds = sticky.int("DurationSeconds")?.unwrap_or(3600);
            let seconds = u32::try_from(seconds).ok().filter(|seconds| (1..=604_800).contains(seconds));
            Some(seconds.ok_or_else(|| invalid("DurationSeconds must be between 1 and 604800 inclusive"))?)
        } else {
            None
        };
        Ok(Self { target_groups, stickiness })
    }

    fn show(&self) -> Value {
        let group = |group: &WeightedTargetGroup| {
            Value::map()
                .with("TargetGroupArn", Value::from(group.arn.as_str()))
                .with("Weight", Value::from(group.weight))
        };
        let stickiness = Value::map()
            .with("Enabled", Value::from(self.stickiness.is_some()))
            .with("DurationSeconds", self.stickiness.map(Value::from));
        let only = if let [only] = self.target_groups.as_slice() { Some(Value::from(only.arn.as_str())) } else { None };
        Value::map().with("Type", Value::from("forward")).with("TargetGroupArn", only).with(
            "ForwardConfig",
            Value::map()
                .with("TargetGroups", Value::list(self.target_groups.iter().map(group)))
                .with("TargetGroupStickinessConfig", stickiness),
        )
    }
}

impl Redirect {
    fn parse(params: &Params) -> Result<Self, ApiError> {
        let part = |name: &str, default: &str| params.text(name).unwrap_or(default).to_owned();
        let status = match params.required("StatusCode")? {
            "HTTP_301" => 301,
            "HTTP_302" => 302,
            other => return Err(invalid(format!("StatusCode '{other}' must be one of '[HTTP_301, HTTP_302]'"))),
        };
        let redirect = Self {
            protocol: part("Protocol", "#{protocol}"),
            host: part("Host", "#{host}"),
            port: part("Port", "#{port}"),
            path: part("Path", "/#{path}"),
            query: part("Query", "#{query}"),
            status,
        };
        if !matches!(redirect.protocol.as_str(), "HTTP" | "HTTPS" | "#{protocol}") {
            return Err(invalid(format!(
                "Protocol '{}' must be one of '[HTTP, HTTPS, #{{protocol}}]'",
                redirect.protocol
            )));
        }
        let port_ok = redirect.port == "#{port}" || redirect.port.parse::<u16>().is_ok_and(|port| port > 0);
        if !port_ok {
            return Err(invalid(format!("Port '{}' must be between 1 and 65535 or #{{port}}", redirect.port)));
        }
        if !redirect.path.starts_with('/') {
            return Err(invalid(format!("The path '{}' must start with '/'", redirect.path)));
        }
        if [&redirect.host, &redirect.path, &redirect.query].iter().any(|part| part.chars().count() > 128) {
            return Err(invalid("The host, path and query of a redirect may have 128 characters at most"));
        }
        let same = redirect.protocol == "#{protocol}"
            && redirect.host == "#{host}"
            && redirect.port == "#{port}"
            && redirect.path == "/#{path}";
        if same {
            return Err(ApiError::new(
                "InvalidLoadBalancerAction",
                "The redirect configuration is not valid because it creates a loop.",
            ));
        }
        Ok(redirect)
    }

    fn show(&self) -> Value {
        Value::map()
            .with("Protocol", Value::from(self.protocol.as_str()))
            .with("Port", Value::from(self.port.as_str()))
            .with("Host", Value::from(self.host.as_str()))
            .with("Path", Value::from(self.path.as_str()))
            .with("Query", Value::from(self.query.as_str()))
            .with("StatusCode", Value::from(format!("HTTP_{}", self.status)))
    }
}

impl FixedResponse {
    fn parse(params: &Params) -> Result<Self, ApiError> {
        let text = params.required("StatusCode")?;
        let status = text
            .parse::<u16>()
            .ok()
            .filter(|status| matches!(status / 100, 2 | 4 | 5))
            .ok_or_else(|| invalid(format!("StatusCode '{text}' must be a 2XX, 4XX or 5XX code")))?;
        let content_type = params.text("ContentType").unwrap_or("text/plain").to_owned();
        if !CONTENT_TYPES.contains(&content_type.as_str()) {
            return Err(invalid(format!("ContentType '{content_type}' must be one of '{CONTENT_TYPES:?}'")));
        }
        let body = params.text("MessageBody").unwrap_or_default().to_owned();
        if body.len() > BODY_MAX {
            return Err(invalid(format!("MessageBody must have {BODY_MAX} bytes at most")));
        }
        Ok(Self { status, content_type, body })
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(fields: &[(&str, &str)]) -> Result<Action, String> {
        let config = fields.iter().chain(&[("StatusCode", "HTTP_301")]);
        let config = config.fold(Value::map(), |config, (name, value)| config.with(name, Value::from(*value)));
        let action = Value::map().with("Type", Value::from("redirect")).with("RedirectConfig", config);
        let Value::Map(action) = action else { unreachable!() };
        Action::parse_one(&[Params(action)]).map_err(|error| error.code)
    }

    /// "You must modify at least one of the following components to avoid a redirect loop: protocol, port, hostname, or
    /// path" (user guide, "Redirect actions"); each of host, path and query has 128 characters at most (API reference).
    #[test]
    fn a_redirect_leads_elsewhere() {
        let loops = Err("InvalidLoadBalancerAction".to_owned());
        for same in
            [vec![], vec![("Query", "a=b")], vec![("Path", "/#{path}"), ("Host", "#{host}"), ("Port", "#{port}")]]
        {
            assert_eq!(redirect(&same), loops, "{same:?}");
        }
        for elsewhere in [("Protocol", "HTTPS"), ("Port", "443"), ("Host", "www.#{host}"), ("Path", "/new/#{path}")] {
            assert!(redirect(&[elsewhere]).is_ok(), "{elsewhere:?}");
        }
        let (most, more) = ("x".repeat(128), "x".repeat(129));
        assert!(redirect(&[("Host", &most)]).is_ok());
        for wrong in [("Host", more.as_str()), ("Protocol", "FTP"), ("Port", "0"), ("Path", "new")] {
            assert_eq!(redirect(&[wrong]), Err("ValidationError".to_owned()), "{wrong:?}");
        }
    }

    /// Bodies of 1,024 bytes at most, five content types, and the codes 2XX, 4XX and 5XX (API reference,
    /// `FixedResponseActionConfig`).
    #[test]
    fn a_fixed_response_has_a_code_a_type_and_a_short_body() {
        let fixed = |code: &str, kind: &str, body: &str| {
            let config = [("StatusCode", code), ("ContentType", kind), ("MessageBody", body)];
            FixedResponse::parse(&Params(config.map(|(name, value)| (name.to_owned(), Value::from(value))).to_vec()))
        };
        for kind in CONTENT_TYPES {
            assert!(fixed("503", kind, &"x".repeat(1024)).is_ok(), "{kind}");
        }
        for (code, kind, length) in
            [("503", "text/plain", 1025), ("503", "image/png", 1), ("301", "text/plain", 1), ("600", "text/plain", 1)]
        {
            assert!(fixed(code, kind, &"x".repeat(length)).is_err(), "{code} {kind} {length}");
        }
    }
}
