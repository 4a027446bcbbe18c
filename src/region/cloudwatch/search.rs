//! `SEARCH('{AWS/EC2,InstanceId} MetricName="CPUUtilization"', 'Average', 300)`: which metrics a text means.
//!
//! In braces stand a namespace and the exact set of dimension names. Of the words outside every one must hold:
//! `Name=value` for the metric's name, namespace or a dimension, any other word as a part of any of them.

use jiff::Timestamp;

use super::store::{MetricId, Store};

/// CloudWatch's own limit for a search.
const FOUND_MAX: usize = 500;

/// The metrics that a search finds, in the order of their names.
pub fn search(store: &Store, now: Timestamp, text: &str) -> impl Iterator<Item = MetricId> {
    let wanted = Wanted::parse(text);
    store.list(now, None).filter(move |id| wanted.holds(id)).take(FOUND_MAX).cloned()
}

/// What tells a metric from its neighbours: its dimensions' values, then its name.
pub fn label(id: &MetricId) -> String {
    let mut words: Vec<&str> = id.dimensions().iter().map(|(_, value)| value.as_str()).collect();
    words.push(&id.name);
    words.join(" ")
}

#[derive(Debug, Default)]
struct Wanted {
    /// The namespace, then the names of the dimensions, sorted.
    schema: Option<(String, Vec<String>)>,
    words: Vec<(Option<String>, String)>,
}

impl Wanted {
    fn parse(text: &str) -> Self {
        let mut wanted = Self::default();
        let mut rest = text.trim();
        if let Some((schema, after)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            let mut names = schema.split(',').map(|name| name.trim().trim_matches('"').to_owned());
            let namespace = names.next().unwrap_or_default();
            let mut dimensions: Vec<String> = names.collect();
            dimensions.sort();
            wanted.schema = Some((namespace, dimensions));
            rest = after;
        }
        for word in words(rest).into_iter().filter(|word| word != "AND") {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (Some(name.trim_matches('"').to_owned()), value),
                None => (None, word.as_str()),
            };
            wanted.words.push((name, value.trim_matches('"').to_owned()));
        }
        wanted
    }

    fn holds(&self, id: &MetricId) -> bool {
        let in_schema = self.schema.as_ref().is_none_or(|(namespace, dimensions)| {
            let names = id.dimensions().iter().map(|(name, _)| name);
            *namespace == id.namespace && names.eq(dimensions)
        });
        in_schema && self.words.iter().all(|(name, value)| holds_word(id, name.as_deref(), value))
    }
}

fn holds_word(id: &MetricId, name: Option<&str>, value: &str) -> bool {
    match name {
        Some("MetricName") => id.name == value,
        Some("Namespace") => id.namespace == value,
        Some(name) => id.dimensions().iter().any(|(known, known_value)| known == name && known_value == value),
        None => {
            let pairs = id.dimensions().iter().flat_map(|(name, value)| [name, value]);
            let value = value.to_lowercase();
            [&id.namespace, &id.name].into_iter().chain(pairs).any(|known| known.to_lowercase().contains(&value))
        }
    }
}

/// Words at spaces, but not inside quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in text.chars() {
        is_quoted ^= letter == '"';
        match words.last_mut() {
            Some(word) if is_quoted || !letter.is_whitespace() => word.push(letter),
            _ => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str, dimensions: &[(&str, &str)]) -> MetricId {
        let owned = dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        MetricId::new("AWS/EC2", name, owned)
    }

    #[test]
    fn schema_and_words_choose_metrics() {
        let cpu = id("CPUUtilization", &[("InstanceId", "i-0ab")]);
        for (text, holds) in [
            (r#"{AWS/EC2,InstanceId} MetricName="CPUUtilization""#, true),
            (r#"{AWS/EC2,InstanceId,ImageId} MetricName="CPUUtilization""#, false),
            ("Namespace=AWS/EC2 AND cpu", true),
            ("InstanceId=i-0ab", true),
            ("InstanceId=i-0", false),
            (r#"{AWS/EC2,InstanceId} MetricName="Network In""#, false),
        ] {
            assert_eq!(Wanted::parse(text).holds(&cpu), holds, "{text}");
        }
        assert_eq!(label(&cpu), "i-0ab CPUUtilization");
    }
}
