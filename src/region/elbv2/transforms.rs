//! Transforms of a rule: the host and the URL that its target sees in place of those that the client asked for.
//!
//! They change nothing about where a request goes: the rule's conditions look at what the client sent.

use super::patterns::{Pattern, Rewrite};
use crate::region::wire::{ApiError, Params, Value};

/// The longest regular expression and replacement (API reference, `RewriteConfig`).
const LENGTH_MAX: usize = 1024;

/// At most one rewrite of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Transforms {
    pub host: Option<Rewrite>,
    pub url: Option<Rewrite>,
}

impl Transforms {
    /// # Errors
    /// `ValidationError` for more than one of a kind, for an unknown kind and for what is no rewrite.
    pub fn parse(list: &[Params]) -> Result<Self, ApiError> {
        let mut transforms = Self::default();
        for params in list {
            let kind = params.required("Type")?;
            let (place, name) = match kind {
                "host-header-rewrite" => (&mut transforms.host, "HostHeaderRewriteConfig"),
                "url-rewrite" => (&mut transforms.url, "UrlRewriteConfig"),
                other => {
                    return Err(invalid(format!(
                        "Transform type '{other}' must be one of '[host-header-rewrite, url-rewrite]'"
                    )));
                }
            };
            if place.is_some() {
                return Err(invalid(format!("A rule can only have one '{kind}' transform")));
            }
            let rewrites = params.map(name).ok_or_else(|| ApiError::missing(name))?.maps("Rewrites");
            let [rewrite] = rewrites.as_slice() else {
                return Err(invalid(format!("A '{kind}' transform must have exactly one rewrite")));
            };
            let replace = rewrite.required("Replace")?.to_owned();
            if replace.chars().count() > LENGTH_MAX {
                return Err(invalid(format!("A replacement must have {LENGTH_MAX} characters at most")));
            }
            let pattern = Pattern::parse(rewrite.required("Regex")?, LENGTH_MAX, kind == "host-header-rewrite")?;
            *place = Some(Rewrite { pattern, replace });
        }
        Ok(transforms)
    }

    /// As AWS shows them.
    pub fn show(&self) -> Value {
        let one = |kind: &str, name: &str, rewrite: &Rewrite| {
            let rewrite = Value::map()
                .with("Regex", Value::from(rewrite.pattern.text()))
                .with("Replace", Value::from(rewrite.replace.as_str()));
            let config = Value::map().with("Rewrites", Value::list([rewrite]));
            Value::map().with("Type", Value::from(kind)).with(name, config)
        };
        let host = self.host.as_ref().map(|it| one("host-header-rewrite", "HostHeaderRewriteConfig", it));
        let url = self.url.as_ref().map(|it| one("url-rewrite", "UrlRewriteConfig", it));
        Value::list(host.into_iter().chain(url))
    }

    /// The host and the URL (path and query) for the target; `None` is what the client sent.
    ///
    /// # Errors
    /// 500 where a rewrite makes something that cannot be sent ("If there is a pattern match but the transform fails, we
    /// return an HTTP 500 error", user guide, "Transforms for listener rules").
    pub fn apply(&self, host: &str, url: impl Fn() -> String) -> Result<(Option<String>, Option<String>), u16> {
        let host = self.host.as_ref().and_then(|rewrite| rewrite.apply(host));
        let url = self.url.as_ref().and_then(|rewrite| rewrite.apply(&url()));
        let is_visible = |text: &String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let fails = host.as_ref().is_some_and(|host| !is_visible(host) || host.contains('/'))
            || url.as_ref().is_some_and(|url| !is_visible(url) || !url.starts_with('/'));
        if fails { Err(500) } else { Ok((host, url)) }
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transform(kind: &str, name: &str, rewrites: &[(&str, &str)]) -> Params {
        let rewrite = |(regex, replace): &(&str, &str)| {
            Value::map().with("Regex", Value::from(*regex)).with("Replace", Value::from(*replace))
        };
        let config = Value::map().with("Rewrites", Value::list(rewrites.iter().map(rewrite)));
        Params(vec![("Type".to_owned(), Value::from(kind)), (name.to_owned(), config)])
    }

    fn url(regex: &str, replace: &str) -> Params {
        transform("url-rewrite", "UrlRewriteConfig", &[(regex, replace)])
    }

    #[test]
    fn host_and_url_are_rewritten_or_left() {
        let host = transform("host-header-rewrite", "HostHeaderRewriteConfig", &[("^shop[.]", "internal.")]);
        let transforms = Transforms::parse(&[host, url("^/shop/(.*)$", "/$1")]).unwrap();
        let apply = |host: &str, url: &str| transforms.apply(host, || url.to_owned());
        assert_eq!(
            apply("Shop.example.com", "/shop/a?b=c"),
            Ok((Some("internal.example.com".to_owned()), Some("/a?b=c".to_owned())))
        );
        assert_eq!(apply("www.example.com", "/other"), Ok((None, None)));
        let Value::List(shown) = transforms.show() else { panic!("a list") };
        assert_eq!(shown.len(), 2);
    }

    #[test]
    fn what_cannot_be_sent_is_an_error_of_the_load_balancer() {
        for replace in ["", "no-slash", "/with space", "/with\nline"] {
            let transforms = Transforms::parse(&[url("^/.*$", replace)]);
            let failed = transforms.map(|transforms| transforms.apply("a.b", || "/a".to_owned()));
            assert!(matches!(failed, Ok(Err(500)) | Err(_)), "{replace:?}: {failed:?}");
        }
    }

    #[test]
    fn a_rule_has_one_transform_of_each_kind() {
        let refused = |list: &[Params]| Transforms::parse(list).unwrap_err().code;
        assert_eq!(refused(&[url("a", "b"), url("c", "d")]), "ValidationError");
        let two = transform("url-rewrite", "UrlRewriteConfig", &[("a", "b"), ("c", "d")]);
        assert_eq!(refused(&[two]), "ValidationError");
        assert_eq!(refused(&[transform("path-rewrite", "UrlRewriteConfig", &[("a", "b")])]), "ValidationError");
        assert_eq!(refused(&[url("(", "b")]), "ValidationError");
        assert_eq!(refused(&[url("a", &"b".repeat(1025))]), "ValidationError");
    }
}
