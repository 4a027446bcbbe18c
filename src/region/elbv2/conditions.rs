//! Rule conditions: what a request must look like for a listener's rule to apply.
//!
//! A rule applies when every condition holds; a condition holds when one of its values does. Paths are compared
//! without the query and case-sensitively; `*` stands for any characters, `/` among them, `?` for exactly one. So
//! `/cluster1` does not reach `/cluster1/`, and `/cluster1*` reaches `/cluster10`.

use std::net::IpAddr;

use httparse::Header;

use super::patterns::Pattern;
use crate::region::wire::{ApiError, Params, Value};

/// AWS's quota for the values of all conditions of one rule.
pub const VALUES_MAX: usize = 5;
/// AWS's quota for the wildcards of all conditions of one rule.
pub const WILDCARDS_MAX: usize = 5;
/// The longest value, in characters.
const VALUE_LENGTH_MAX: usize = 128;

/// One condition of a rule.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Condition {
    PathPattern(Vec<String>),
    HostHeader(Vec<String>),
    HttpHeader {
        name: String,
        values: Vec<String>,
    },
    HttpRequestMethod(Vec<String>),
    QueryString(Vec<QueryPattern>),
    SourceIp(Vec<Cidr>),
    /// Regular expressions in place of values.
    Regex {
        of: Field,
        patterns: Vec<Pattern>,
    },
}

/// What regular expressions are compared with.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Field {
    Path,
    /// With the port, if the client named it.
    Host,
    Header(String),
}

/// A pattern for one query parameter; without a key, any parameter with the value fits.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct QueryPattern {
    pub key: Option<String>,
    pub value: String,
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cidr {
    pub address: IpAddr,
    pub prefix: u8,
}

/// What a rule looks at of a request.
#[derive(Debug)]
pub struct Asked<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: Option<&'a str>,
    /// Without the port.
    pub host: &'a str,
    /// As the client sent it.
    pub host_header: &'a str,
    pub headers: &'a [Header<'a>],
    /// The client's own address; X-Forwarded-For is not looked at.
    pub peer: IpAddr,
}

impl Asked<'_> {
    /// The values of a header.
    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.filter_map(|header| std::str::from_utf8(header.value).ok())
    }
}

impl Condition {
    /// The conditions of a rule, checked as AWS does.
    ///
    /// # Errors
    /// `ValidationError`, `InvalidConfigurationRequest` or `TooManyRules`-like codes with AWS's words.
    pub fn parse_all(params: &[Params]) -> Result<Vec<Self>, ApiError> {
        if params.is_empty() {
            return Err(invalid("A rule must have at least one condition"));
        }
        let conditions = params.iter().map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        let mut once = Vec::new();
        for condition in &conditions {
            let repeatable = matches!(condition.field(), "http-header" | "query-string");
            if !repeatable && once.contains(&condition.field()) {
                return Err(invalid(format!("A rule can only have one '{}' condition", condition.field())));
            }
            once.push(condition.field());
        }
        let values: usize = conditions.iter().map(|condition| condition.patterns().len()).sum();
        if values > VALUES_MAX {
            return Err(invalid(format!("A rule can only have '{VALUES_MAX}' condition values")));
        }
        let wildcard = |c: &char| matches!(c, '*' | '?');
        let wildcards: usize = conditions
            .iter()
            .filter(|condition| {
                use Condition::{HttpRequestMethod, Regex, SourceIp};
                !matches!(condition, HttpRequestMethod(_) | SourceIp(_) | Regex { .. })
            })
            .flat_map(Condition::patterns)
            .map(|pattern| pattern.chars().filter(wildcard).count())
            .sum();
        if wildcards > WILDCARDS_MAX {
            return Err(invalid(format!("A rule can only have '{WILDCARDS_MAX}' condition wildcards")));
        }
        Ok(conditions)
    }

    fn parse(params: &Params) -> Result<Self, ApiError> {
        let field = params.required("Field")?;
        if let Some(regex) = Self::parse_regex(field, params)? {
            return Ok(regex);
        }
        let config = |name: &str| params.map(name).unwrap_or_default();
        let values = |name: &str| -> Vec<String> {
            let nested = config(name);
            let plain = params.texts("Values");
            let found = if plain.is_empty() { nested.texts("Values") } else { plain };
            found.into_iter().map(str::to_owned).collect()
        };
        let condition = match field {
            "path-pattern" => Condition::PathPattern(values("PathPatternConfig")),
            "host-header" => Condition::HostHeader(values("HostHeaderConfig")),
            "http-request-method" => Condition::HttpRequestMethod(values("HttpRequestMethodConfig")),
            "http-header" => Condition::HttpHeader {
                name: config("HttpHeaderConfig").required("HttpHeaderName")?.to_owned(),
                values: values("HttpHeaderConfig"),
            },
            "query-string" => Condition::QueryString(
                config("QueryStringConfig")
                    .maps("Values")
                    .iter()
                    .map(|pair| {
                        let key = pair.text("Key").filter(|key| !key.is_empty()).map(str::to_owned);
                        Ok(QueryPattern { key, value: pair.required("Value")?.to_owned() })
                    })
                    .collect::<Result<_, ApiError>>()?,
            ),
            "source-ip" => Condition::SourceIp(
                values("SourceIpConfig").iter().map(|text| Cidr::parse(text)).collect::<Result<_, _>>()?,
            ),
            _ => {
                return Err(invalid(format!(
                    "Condition field '{field}' must be one of '[path-pattern, host-header, http-header, http-request-method, query-string, source-ip]'"
                )));
            }
        };
        condition.check()?;
        Ok(condition)
    }

    /// A condition with regular expressions, in either of the two places that AWS has for them; `None` without any.
    fn parse_regex(field: &str, params: &Params) -> Result<Option<Self>, ApiError> {
        let name = match field {
            "path-pattern" => "PathPatternConfig",
            "host-header" => "HostHeaderConfig",
            _ => "HttpHeaderConfig",
        };
        let config = params.map(name).unwrap_or_default();
        let (plain, nested) = (params.texts("RegexValues"), config.texts("RegexValues"));
        let given = if plain.is_empty() { nested } else { plain };
        if given.is_empty() {
            return Ok(None);
        }
        if !params.list("Values").is_empty() || !config.list("Values").is_empty() {
            return Err(invalid(format!("A '{field}' condition has either values or regular expressions")));
        }
        let of = match field {
            "path-pattern" => Field::Path,
            "host-header" => Field::Host,
            "http-header" => Field::Header(config.required("HttpHeaderName")?.to_owned()),
            _ => return Err(invalid(format!("A '{field}' condition has no regular expressions"))),
        };
        // As values are compared: only a path's case matters.
        let parse = |text: &str| Pattern::parse(text, VALUE_LENGTH_MAX, of != Field::Path);
        let patterns = given.into_iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Some(Condition::Regex { of, patterns }))
    }

    fn check(&self) -> Result<(), ApiError> {
        let patterns = self.patterns();
        if patterns.is_empty() {
            return Err(invalid("A condition value must be specified"));
        }
        for pattern in &patterns {
            let length = pattern.chars().count();
            if length == 0 || length > VALUE_LENGTH_MAX {
                return Err(invalid(format!(
                    "The condition value '{pattern}' must be between 1 and {VALUE_LENGTH_MAX} characters in length"
                )));
            }
            let allowed: fn(char) -> bool = match self {
                Condition::PathPattern(_) => |c| c.is_ascii_alphanumeric() || "_-.$/~\"'@:+&*?".contains(c),
                Condition::HostHeader(_) => |c| c.is_ascii_alphanumeric() || "-.*?".contains(c),
                Condition::HttpRequestMethod(_) => |c| c.is_ascii_uppercase() || c == '-' || c == '_',
                _ => |c| !c.is_control(),
            };
            if !pattern.chars().all(allowed) {
                return Err(invalid(format!(
                    "The {} value '{pattern}' contains a character that is not valid",
                    self.field()
                )));
            }
            if matches!(self, Condition::HostHeader(_)) && !pattern.contains('.') {
                return Err(invalid(format!("The host-header value '{pattern}' must contain a '.'")));
            }
        }
        Ok(())
    }

    /// AWS's name of the condition.
    pub fn field(&self) -> &'static str {
        match self {
            Condition::PathPattern(_) => "path-pattern",
            Condition::HostHeader(_) => "host-header",
            Condition::HttpHeader { .. } => "http-header",
            Condition::HttpRequestMethod(_) => "http-request-method",
            Condition::QueryString(_) => "query-string",
            Condition::SourceIp(_) => "source-ip",
            Condition::Regex { of: Field::Path, .. } => "path-pattern",
            Condition::Regex { of: Field::Host, .. } => "host-header",
            Condition::Regex { of: Field::Header(_), .. } => "http-header",
        }
    }

    fn patterns(&self) -> Vec<String> {
        match self {
            Condition::PathPattern(values)
            | Condition::HostHeader(values)
            | Condition::HttpRequestMethod(values)
            | Condition::HttpHeader { values, .. } => values.clone(),
            Condition::QueryString(pairs) => {
                pairs.iter().map(|pair| format!("{}{}", pair.key.as_deref().unwrap_or(""), pair.value)).collect()
            }
            Condition::SourceIp(ranges) => ranges.iter().map(Cidr::show).collect(),
            Condition::Regex { patterns, .. } => patterns.iter().map(|pattern| pattern.text().to_owned()).collect(),
        }
    }

    /// The condition as AWS describes it: the values of paths and hosts in both the old and the new place.
    pub fn show(&self) -> Value {
        let texts = |values: &[String]| Value::list(values.iter().map(|value| Value::from(value.as_str())));
        let config = |values: &[String]| Value::map().with("Values", texts(values));
        let shown = Value::map().with("Field", Value::from(self.field()));
        match self {
            Condition::PathPattern(values) => {
                shown.with("Values", texts(values)).with("PathPatternConfig", config(values))
            }
            Condition::HostHeader(values) => {
                shown.with("Values", texts(values)).with("HostHeaderConfig", config(values))
            }
            Condition::HttpHeader { name, values } => shown.with(
                "HttpHeaderConfig",
                Value::map().with("HttpHeaderName", Value::from(name.as_str())).with("Values", texts(values)),
            ),
            Condition::HttpRequestMethod(values) => shown.with("HttpRequestMethodConfig", config(values)),
            Condition::QueryString(pairs) => {
                let pair = |pair: &QueryPattern| {
                    Value::map()
                        .with("Key", pair.key.as_deref().map(Value::from))
                        .with("Value", Value::from(pair.value.as_str()))
                };
                shown.with("QueryStringConfig", Value::map().with("Values", Value::list(pairs.iter().map(pair))))
            }
            Condition::SourceIp(ranges) => {
                let values: Vec<String> = ranges.iter().map(Cidr::show).collect();
                shown.with("SourceIpConfig", config(&values))
            }
            Condition::Regex { of, .. } => {
                let regexes = || texts(&self.patterns());
                let (name, header) = match of {
                    Field::Path => ("PathPatternConfig", None),
                    Field::Host => ("HostHeaderConfig", None),
                    Field::Header(name) => ("HttpHeaderConfig", Some(Value::from(name.as_str()))),
                };
                let nested = Value::map().with("HttpHeaderName", header).with("RegexValues", regexes());
                shown.with(name, nested).with("RegexValues", regexes())
            }
        }
    }

    /// Whether the request fits.
    pub fn holds(&self, asked: &Asked) -> bool {
        match self {
            Condition::PathPattern(patterns) => patterns.iter().any(|pattern| fits(pattern, asked.path, Case::Matters)),
            Condition::HostHeader(patterns) => patterns.iter().any(|pattern| fits(pattern, asked.host, Case::Ignored)),
            Condition::HttpHeader { name, values } => {
                asked.values(name).any(|value| values.iter().any(|pattern| fits(pattern, value, Case::Ignored)))
            }
            Condition::HttpRequestMethod(methods) => methods.iter().any(|method| method == asked.method),
            Condition::QueryString(patterns) => {
                form_urlencoded::parse(asked.query.unwrap_or("").as_bytes()).any(|(key, value)| {
                    patterns.iter().any(|pattern| {
                        pattern.key.as_ref().is_none_or(|wanted| fits(wanted, &key, Case::Ignored))
                            && fits(&pattern.value, &value, Case::Ignored)
                    })
                })
            }
            Condition::SourceIp(ranges) => ranges.iter().any(|range| range.contains(asked.peer)),
            Condition::Regex { of, patterns } => {
                let fits = |text: &str| patterns.iter().any(|pattern| pattern.fits(text));
                match of {
                    Field::Path => fits(asked.path),
                    Field::Host => fits(asked.host_header),
                    Field::Header(name) => asked.values(name).any(fits),
                }
            }
        }
    }
}

impl Cidr {
    fn parse(text: &str) -> Result<Self, ApiError> {
        let problem = || invalid(format!("The source-ip value '{text}' must be a valid CIDR block"));
        let (address, prefix) = text.split_once('/').ok_or_else(problem)?;
        let address: IpAddr = address.parse().map_err(|_| problem())?;
        let prefix: u8 = prefix.parse().map_err(|_| problem())?;
        if prefix > if address.is_ipv4() { 32 } else { 128 } {
            return Err(problem());
        }
        Ok(Self { address, prefix })
    }

    fn show(&self) -> String {
        format!("{}/{}", self.address, self.prefix)
    }

    fn contains(&self, address: IpAddr) -> bool {
        let shift = |bits: u8| u32::from(bits - self.prefix);
        match (self.address, address) {
            (IpAddr::V4(range), IpAddr::V4(address)) => {
                (range.to_bits() ^ address.to_bits()).checked_shr(shift(32)).unwrap_or(0) == 0
            }
            (IpAddr::V6(range), IpAddr::V6(address)) => {
                (range.to_bits() ^ address.to_bits()).checked_shr(shift(128)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// Whether upper and lower case differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum Case {
    Matters,
    Ignored,
}

/// Whether the whole text fits the pattern. Linear in the text for each `*`: a late mismatch only moves the last `*`.
fn fits(pattern: &str, text: &str, case: Case) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let same = |a: u8, b: u8| a == b || (case == Case::Ignored && a.eq_ignore_ascii_case(&b));
    // Where the next character begins: one of UTF-8 may have several bytes.
    let next = |at: usize| (at + 1..text.len()).find(|at| !is_inner(text[*at])).unwrap_or(text.len());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') => {
                p += 1;
                t = next(t);
            }
            Some(&byte) if same(byte, text[t]) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, next(from)));
                    p = at + 1;
                    t = next(from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// A byte of a character that is not its first.
fn is_inner(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(pattern: &str, text: &str) -> bool {
        fits(pattern, text, Case::Matters)
    }

    #[test]
    fn a_path_without_wildcards_fits_only_itself() {
        assert!(path("/cluster1", "/cluster1"));
        assert!(!path("/cluster1", "/cluster1/"));
        assert!(!path("/cluster1", "/cluster10"));
        assert!(!path("/cluster1", "/Cluster1"));
    }

    #[test]
    fn a_star_stands_for_anything_slashes_and_nothing_included() {
        assert!(path("/cluster1*", "/cluster10"));
        assert!(path("/cluster1/*", "/cluster1/a/b"));
        assert!(path("/cluster1/*", "/cluster1/"));
        assert!(!path("/cluster1/*", "/cluster1"));
        assert!(path("/*/img/*.png", "/a/b/img/c/d.png"));
        assert!(!path("/*/img/*.png", "/a/b/img/c/d.jpg"));
    }

    #[test]
    fn a_question_mark_stands_for_exactly_one_character() {
        assert!(path("/cluster?", "/cluster7"));
        assert!(!path("/cluster?", "/cluster"));
        assert!(!path("/cluster?", "/cluster10"));
        assert!(path("/caf?", "/café") && path("/?/x", "/\u{1f600}/x") && path("*?", "é"), "a character, not a byte");
        assert!(!path("/caf??", "/café") && !path("??", "é") && !path("*??", "é"));
    }

    #[test]
    fn a_pattern_of_many_stars_ends_quickly() {
        assert!(!path("/*a*a*a*a*b", &format!("/{}", "a".repeat(10_000))));
    }

    fn asked<'a>(headers: &'a [Header<'a>], query: Option<&'a str>) -> Asked<'a> {
        let peer = IpAddr::from([127, 0, 0, 1]);
        let host = "Shop.Example.com";
        Asked { method: "GET", path: "/", query, host, host_header: "Shop.Example.com:8443", headers, peer }
    }

    #[test]
    fn hosts_headers_queries_and_addresses_fit_as_documented() {
        let headers = [Header { name: "x-canary", value: b"Yes" }];
        let asked = asked(&headers, Some("a=1&Mode=Fast"));
        let host = |pattern: &str| Condition::HostHeader(vec![pattern.to_owned()]).holds(&asked);
        assert!(host("*.example.com") && !host("example.com"));
        let header =
            |value: &str| Condition::HttpHeader { name: "X-Canary".to_owned(), values: vec![value.to_owned()] };
        assert!(header("y*").holds(&asked) && !header("no").holds(&asked));
        let query = |key: Option<&str>, value: &str| {
            Condition::QueryString(vec![QueryPattern { key: key.map(str::to_owned), value: value.to_owned() }])
        };
        assert!(query(Some("mode"), "fast").holds(&asked) && query(None, "1").holds(&asked));
        assert!(!query(Some("a"), "fast").holds(&asked));
        let source = |range: &str| Condition::SourceIp(vec![Cidr::parse(range).unwrap()]).holds(&asked);
        assert!(source("127.0.0.0/8") && source("0.0.0.0/0") && source("127.0.0.1/32") && !source("10.0.0.0/8"));
    }

    fn regex(field: &str, config: Option<(&str, Value)>, regexes: &[&str]) -> Params {
        let list = Value::list(regexes.iter().map(|regex| Value::from(*regex)));
        let mut fields = vec![("Field".to_owned(), Value::from(field))];
        match config {
            Some((name, config)) => fields.push((name.to_owned(), config.with("RegexValues", list))),
            None => fields.push(("RegexValues".to_owned(), list)),
        }
        Params(fields)
    }

    #[test]
    fn regular_expressions_fit_anywhere_and_only_a_paths_case_matters() {
        let headers = [Header { name: "user-agent", value: b"Mozilla/5.0 Chrome/1" }];
        let asked = Asked { path: "/Cart/17", ..asked(&headers, None) };
        let holds = |condition: Params| Condition::parse_all(&[condition]).unwrap()[0].holds(&asked);
        assert!(holds(regex("path-pattern", None, &["^/none$", "^/Cart/[0-9]+$"])));
        assert!(!holds(regex("path-pattern", None, &["^/cart/"])));
        assert!(holds(regex("host-header", Some(("HostHeaderConfig", Value::map())), &["EXAMPLE[.]com:8443$"])));
        let agent = || Value::map().with("HttpHeaderName", Value::from("User-Agent"));
        assert!(holds(regex("http-header", Some(("HttpHeaderConfig", agent())), &["chrome/\\d+$"])));
        assert!(!holds(regex("http-header", Some(("HttpHeaderConfig", agent())), &["^chrome"])));
    }

    #[test]
    fn regular_expressions_stand_alone_and_count_as_values() {
        let refused = |conditions: &[Params]| Condition::parse_all(conditions).unwrap_err().code;
        let both = Value::map().with("Values", Value::list([Value::from("/a")]));
        assert_eq!(refused(&[regex("path-pattern", Some(("PathPatternConfig", both)), &["a"])]), "ValidationError");
        assert_eq!(refused(&[regex("http-request-method", None, &["GET"])]), "ValidationError");
        assert_eq!(refused(&[regex("path-pattern", None, &["(?=a)"])]), "ValidationError");
        assert_eq!(refused(&[regex("path-pattern", None, &["a", "b", "c", "d", "e", "f"])]), "ValidationError");
        assert_eq!(refused(&[regex("path-pattern", None, &["a"]), path_condition(&["/b"])]), "ValidationError");
        let five = Condition::parse_all(&[regex("path-pattern", None, &["a*?", "b*?", "c*?", "d*?", "e*?"])]);
        let Value::Map(shown) = five.unwrap()[0].show() else { panic!("a map") };
        assert_eq!(Params(shown).texts("RegexValues").len(), 5, "no wildcards");
    }

    fn path_condition(values: &[&str]) -> Params {
        Params(vec![
            ("Field".to_owned(), Value::from("path-pattern")),
            ("Values".to_owned(), Value::list(values.iter().map(|value| Value::from(*value)))),
        ])
    }

    #[test]
    fn quotas_and_syntax_are_checked() {
        let message = |values: &[&str]| Condition::parse_all(&[path_condition(values)]).unwrap_err().message;
        assert_eq!(message(&["/1", "/2", "/3", "/4", "/5", "/6"]), "A rule can only have '5' condition values");
        assert_eq!(message(&["/*/*/*", "/*/*/*"]), "A rule can only have '5' condition wildcards");
        assert!(message(&["/über"]).contains("not valid"));
        assert!(message(&[&"/".repeat(129)]).contains("between 1 and 128"));
        let twice = Condition::parse_all(&[path_condition(&["/1"]), path_condition(&["/2"])]);
        assert_eq!(twice.unwrap_err().message, "A rule can only have one 'path-pattern' condition");
    }
}
