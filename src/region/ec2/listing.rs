//! What every Describe operation shares: explicit ids, filters with wildcards, and pages.

use std::collections::BTreeMap;

use crate::region::wire::{ApiError, Params, Value};

/// AWS's bound on the filters of one call.
const FILTERS_MAX: usize = 200;
/// The largest page where the caller names no size.
const PAGE_MAX: usize = 1000;

/// A request's `Filter.N`: every filter must match, each by one of its values.
#[derive(Debug)]
pub struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    pub fn of(params: &Params) -> Result<Self, ApiError> {
        let filters = params.maps("Filter");
        if filters.len() > FILTERS_MAX {
            return Err(ApiError::new("FilterLimitExceeded", format!("More than {FILTERS_MAX} filters.")));
        }
        let filter = |filter: &Params| {
            let values = filter.texts("Value").into_iter().map(str::to_owned).collect();
            Ok((filter.required("Name")?.to_owned(), values))
        };
        filters.iter().map(filter).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a resource passes. `field` answers the resource's values of a filter that is not about tags, and `None`
    /// for a name that means nothing to its kind of resource.
    pub fn keep(
        &self,
        tags: &BTreeMap<String, String>,
        field: impl Fn(&str) -> Option<Vec<String>>,
    ) -> Result<bool, ApiError> {
        for (name, wanted) in &self.0 {
            let values = if let Some(key) = name.strip_prefix("tag:") {
                tags.get(key).cloned().into_iter().collect()
            } else if name == "tag-key" {
                tags.keys().cloned().collect()
            } else if name == "tag-value" {
                tags.values().cloned().collect()
            } else {
                let invalid = || ApiError::new("InvalidParameterValue", format!("The filter '{name}' is invalid"));
                field(name).ok_or_else(invalid)?
            };
            if !values.iter().any(|value| wanted.iter().any(|pattern| wildcard(pattern, value))) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// `*` stands for any run of characters, `?` for one; a backslash takes the next character as it is.
pub fn wildcard(pattern: &str, text: &str) -> bool {
    let pattern = Pattern::parse(pattern);
    let text: Vec<char> = text.chars().collect();
    // Greedy with one point of return: the last star takes one more character when the rest does not fit.
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(Pattern::Any) => {
                star = Some((p, t));
                p += 1;
            }
            Some(Pattern::One) => (p, t) = (p + 1, t + 1),
            Some(Pattern::Exactly(c)) if *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|part| matches!(part, Pattern::Any))
}

enum Pattern {
    Any,
    One,
    Exactly(char),
}

impl Pattern {
    fn parse(pattern: &str) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            parts.push(match character {
                '*' => Pattern::Any,
                '?' => Pattern::One,
                '\\' => Pattern::Exactly(characters.next().unwrap_or('\\')),
                other => Pattern::Exactly(other),
            });
        }
        parts
    }
}

/// One page of `items`, which rise by `id`; and the token of the next. The token is the last id of the page, so a page
/// is right even when resources came or went since the one before.
pub fn page<T>(
    params: &Params,
    items: Vec<T>,
    id: impl Fn(&T) -> String,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let size = match params.int("MaxResults")? {
        None => PAGE_MAX,
        Some(size) => usize::try_from(size)
            .ok()
            .filter(|size| *size > 0)
            .ok_or_else(|| ApiError::invalid("MaxResults", &size.to_string()))?,
    };
    let after = params.text("NextToken").filter(|token| !token.is_empty());
    let mut rest = items.into_iter().skip_while(|item| after.is_some_and(|after| id(item).as_str() <= after));
    let page: Vec<T> = rest.by_ref().take(size.min(PAGE_MAX)).collect();
    let token = if rest.next().is_some() { page.last().map(&id) } else { None };
    Ok((page, token))
}

/// The ids of `name.N`, each of which must be known; `code` is the error's, e.g. `InvalidVpcID.NotFound`.
pub fn known_ids<'a>(
    params: &'a Params,
    name: &str,
    code: &str,
    kind: &str,
    known: impl Fn(&str) -> bool,
) -> Result<Vec<&'a str>, ApiError> {
    let ids = params.texts(name);
    match ids.iter().find(|id| !known(id)) {
        Some(id) => Err(ApiError::new(code, format!("The {kind} '{id}' does not exist"))),
        None => Ok(ids),
    }
}

/// A page as an answer.
pub fn answer(list: &str, items: Vec<Value>, token: Option<String>) -> Value {
    Value::map().with(list, Value::List(items)).with("nextToken", token.map(Value::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::ec2::tags::Tags;

    fn params(form: &str) -> Params {
        crate::region::wire::query::parse(form.as_bytes()).unwrap()
    }

    #[test]
    fn wildcards_match_as_ec2s_do() {
        for (pattern, text, expected) in [
            ("web-*", "web-1", true),
            ("*", "", true),
            ("w?b", "web", true),
            ("w?b", "wb", false),
            ("*-a-*", "x-a-a-y", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("abc", "ab", false),
            ("", "", true),
        ] {
            assert_eq!(wildcard(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn every_filter_must_match_by_one_of_its_values() {
        let filters = Filters::of(&params(
            "Filter.1.Name=tag:role&Filter.1.Value.1=db&Filter.1.Value.2=w*&Filter.2.Name=state&Filter.2.Value.1=up",
        ))
        .unwrap();
        let tags = Tags::from([("role".to_owned(), "web".to_owned())]);
        let state = |state: &'static str| move |name: &str| (name == "state").then(|| vec![state.to_owned()]);
        assert_eq!(filters.keep(&tags, state("up")), Ok(true));
        assert_eq!(filters.keep(&tags, state("down")), Ok(false));
        assert_eq!(filters.keep(&Tags::new(), state("up")), Ok(false));
        assert_eq!(filters.keep(&tags, |_| None).unwrap_err().code, "InvalidParameterValue");
    }

    #[test]
    fn pages_follow_each_other_even_when_an_item_goes() {
        let id = |item: &&str| (*item).to_owned();
        let (first, token) = page(&params("MaxResults=2"), vec!["a", "b", "c", "d"], id).unwrap();
        assert_eq!((first, token.as_deref()), (vec!["a", "b"], Some("b")));
        let (second, token) = page(&params("MaxResults=2&NextToken=b"), vec!["a", "c", "d"], id).unwrap();
        assert_eq!((second, token), (vec!["c", "d"], None));
        assert!(page(&params("MaxResults=0"), vec!["a"], id).is_err());
    }
}
