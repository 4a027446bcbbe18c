//! Pages of a listing: `PageSize` resources after `Marker`, which is the ARN of the last one that was shown.

use crate::region::wire::{Answer, ApiError, Params, Value};

/// AWS's largest page, and the one it gives unasked.
const PAGE_SIZE_MAX: i64 = 400;

/// Answers with one page of `resources`, which come in ascending order of their ARNs.
///
/// # Errors
/// `ValidationError` for a page size out of range.
pub fn answer<'a>(params: &Params, field: &str, resources: impl Iterator<Item = (&'a str, Value)>) -> Answer {
    let size = params.int("PageSize")?.unwrap_or(PAGE_SIZE_MAX);
    let size = usize::try_from(size).ok().filter(|size| (1..=400).contains(size)).ok_or_else(|| {
        ApiError::new("ValidationError", format!("Page size '{size}' must be between 1 and {PAGE_SIZE_MAX}"))
    })?;
    let after = params.text("Marker").unwrap_or_default();
    let mut rest = resources.skip_while(|(arn, _)| !after.is_empty() && *arn <= after).peekable();
    let mut page = Vec::new();
    let mut last = "";
    while page.len() < size {
        let Some((arn, shown)) = rest.next() else { break };
        last = arn;
        page.push(shown);
    }
    let next = rest.peek().map(|_| Value::from(last));
    Ok(Value::map().with(field, Value::List(page)).with("NextMarker", next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_continues_where_the_page_ended_even_when_that_resource_is_gone() {
        let page = |marker: &str, arns: &[&'static str]| {
            let params =
                Params(vec![("PageSize".to_owned(), Value::from("2")), ("Marker".to_owned(), Value::from(marker))]);
            let Ok(Value::Map(fields)) = answer(&params, "Rules", arns.iter().map(|arn| (*arn, Value::from(*arn))))
            else {
                panic!("a page")
            };
            Params(fields)
        };
        let first = page("", &["a", "b", "c"]);
        assert_eq!((first.texts("Rules"), first.text("NextMarker")), (vec!["a", "b"], Some("b")));
        let last = page("b", &["a", "c"]);
        assert_eq!((last.texts("Rules"), last.text("NextMarker")), (vec!["c"], None));
    }
}
