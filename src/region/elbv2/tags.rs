//! Tags of load balancers, target groups, listeners and rules.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::region::wire::{Answer, ApiError, Params, Value};

use super::model::Elbv2;

/// AWS's limit for one resource.
const TAGS_MAX: usize = 50;
/// `DescribeTags` takes no more resources than this.
const RESOURCES_MAX: usize = 20;

/// Of keys and values (API reference, Tag).
const PATTERN: &str = r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$";
static ALLOWED: LazyLock<Regex> = LazyLock::new(|| Regex::new(PATTERN).expect("a regular expression"));

/// The tags of one resource.
pub type Tags = BTreeMap<String, String>;

/// `Tags` of a request.
///
/// # Errors
/// AWS's codes for too many tags, a key that is there twice, or one that is not allowed.
pub fn parse(params: &Params) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for tag in params.maps("Tags") {
        let key = tag.required("Key")?;
        let value = tag.text("Value").unwrap_or_default();
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(ApiError::new("ValidationError", format!("Tag '{key}' is too long or has no key")));
        }
        for (what, text) in [("key", key), ("value", value)] {
            if !ALLOWED.is_match(text) {
                let message = format!(
                    "1 validation error detected: Value '{text}' at 'tags.member.{what}' failed to satisfy constraint: Member \
                     must satisfy regular expression pattern: {PATTERN}"
                );
                return Err(ApiError::new("ValidationError", message));
            }
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(ApiError::new("ValidationError", format!("Tag key '{key}' may not begin with 'aws:'")));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(ApiError::new("DuplicateTagKeys", format!("Tag key '{key}' is specified more than once")));
        }
    }
    within_limit(&tags)?;
    Ok(tags)
}

fn within_limit(tags: &Tags) -> Result<(), ApiError> {
    if tags.len() > TAGS_MAX {
        return Err(ApiError::new("TooManyTags", format!("A resource can only have '{TAGS_MAX}' tags")));
    }
    Ok(())
}

impl Elbv2 {
    pub(super) fn add_tags(&mut self, params: &Params) -> Answer {
        let added = parse(params)?;
        let arns = params.texts("ResourceArns");
        for arn in &arns {
            let mut tags = self.tags_of(arn)?.clone();
            tags.extend(added.clone());
            within_limit(&tags)?;
        }
        for arn in arns {
            self.tags_of_mut(arn)?.extend(added.clone());
        }
        Ok(Value::map())
    }

    pub(super) fn remove_tags(&mut self, params: &Params) -> Answer {
        let arns = params.texts("ResourceArns");
        for arn in &arns {
            self.tags_of(arn)?;
        }
        for arn in arns {
            let tags = self.tags_of_mut(arn)?;
            for key in params.texts("TagKeys") {
                tags.remove(key);
            }
        }
        Ok(Value::map())
    }

    pub(super) fn describe_tags(&self, params: &Params) -> Answer {
        let arns = params.texts("ResourceArns");
        if arns.is_empty() {
            return Err(ApiError::missing("ResourceArns"));
        }
        if arns.len() > RESOURCES_MAX {
            return Err(ApiError::new(
                "ValidationError",
                format!("Only {RESOURCES_MAX} resource ARNs can be described at once, not {}", arns.len()),
            ));
        }
        let mut descriptions = Vec::new();
        for arn in arns {
            let tag = |(key, value): (&String, &String)| {
                Value::map().with("Key", Value::from(key.as_str())).with("Value", Value::from(value.as_str()))
            };
            let tags = Value::list(self.tags_of(arn)?.iter().map(tag));
            descriptions.push(Value::map().with("ResourceArn", Value::from(arn)).with("Tags", tags));
        }
        Ok(Value::map().with("TagDescriptions", Value::list(descriptions)))
    }

    /// The ARN of every resource, and its tags.
    pub fn tagged(&self) -> Vec<(String, Tags)> {
        let mut all: Vec<(String, Tags)> = Vec::new();
        all.extend(self.load_balancers.values().map(|it| (it.arn.clone(), it.tags.clone())));
        all.extend(self.target_groups.values().map(|it| (it.arn.clone(), it.tags.clone())));
        for listener in self.listeners.values() {
            all.push((listener.arn.clone(), listener.tags.clone()));
            all.extend(listener.rules.values().map(|rule| (rule.arn.clone(), rule.tags.clone())));
        }
        all
    }

    fn tags_of(&self, arn: &str) -> Result<&Tags, ApiError> {
        let found = match kind(arn) {
            Kind::LoadBalancer => self.load_balancers.get(arn).map(|it| &it.tags),
            Kind::TargetGroup => self.target_groups.get(arn).map(|it| &it.tags),
            Kind::Listener => self.listeners.get(arn).map(|it| &it.tags),
            Kind::Rule => self.rule(arn).map(|(_, rule)| &rule.tags),
        };
        found.ok_or_else(|| not_found(arn))
    }

    fn tags_of_mut(&mut self, arn: &str) -> Result<&mut Tags, ApiError> {
        let found = match kind(arn) {
            Kind::LoadBalancer => self.load_balancers.get_mut(arn).map(|it| &mut it.tags),
            Kind::TargetGroup => self.target_groups.get_mut(arn).map(|it| &mut it.tags),
            Kind::Listener => self.listeners.get_mut(arn).map(|it| &mut it.tags),
            Kind::Rule => self.rule_mut(arn).map(|rule| &mut rule.tags),
        };
        found.ok_or_else(|| not_found(arn))
    }
}

enum Kind {
    LoadBalancer,
    TargetGroup,
    Listener,
    Rule,
}

fn kind(arn: &str) -> Kind {
    if arn.contains(":listener-rule/") {
        Kind::Rule
    } else if arn.contains(":listener/") {
        Kind::Listener
    } else if arn.contains(":targetgroup/") {
        Kind::TargetGroup
    } else {
        Kind::LoadBalancer
    }
}

fn not_found(arn: &str) -> ApiError {
    match kind(arn) {
        Kind::LoadBalancer => ApiError::new("LoadBalancerNotFound", format!("Load balancer '{arn}' not found")),
        Kind::TargetGroup => ApiError::new("TargetGroupNotFound", format!("Target group '{arn}' not found")),
        Kind::Listener => ApiError::new("ListenerNotFound", format!("Listener '{arn}' not found")),
        Kind::Rule => ApiError::new("RuleNotFound", format!("Rule '{arn}' not found")),
    }
}
