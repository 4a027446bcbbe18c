//! AWS Query and EC2 Query requests: a flat form of dotted names becomes a tree.
//!
//! `Filter.1.Value.2=web` is the second value of the first filter. The names themselves say what a node is: only numbers
//! below it make a list (in the order of the numbers), `member` is AWS Query's wrapper around a list, and
//! `entry.N.key` / `entry.N.value` is its way to write a map. A name without a value is a parameter that is not there:
//! Go's SDK (Terraform) writes those, and AWS takes them so.

use std::collections::BTreeMap;

use super::{ApiError, Params, Value};

/// More fields than the longest request of AWS's own limits has.
const FIELDS_MAX: usize = 20_000;
/// Deeper than any request shape of the services we speak for.
const DEPTH_MAX: usize = 16;

/// The one parameter that an empty text takes back (EC2 Auto Scaling, `InstancesDistribution`).
const TAKEN_BACK: &str = "SpotMaxPrice";

/// A name of the tree: text, or a branch.
enum Node {
    Leaf(String),
    Branch(BTreeMap<String, Node>),
}

/// Parses a form; `Action` and `Version` are fields like any other.
pub fn parse(form: &[u8]) -> Result<Params, ApiError> {
    let mut root = BTreeMap::new();
    for (index, (name, text)) in form_urlencoded::parse(form).enumerate() {
        if index >= FIELDS_MAX {
            return Err(malformed(&format!("the form has more than {FIELDS_MAX} fields")));
        }
        let path: Vec<&str> = name.split('.').collect();
        if path.len() > DEPTH_MAX {
            return Err(malformed(&format!("{name} is nested more than {DEPTH_MAX} deep")));
        }
        let is_item = path.last().is_some_and(|last| last.parse::<u32>().is_ok());
        if text.is_empty() && !is_item && path.last() != Some(&TAKEN_BACK) {
            continue;
        }
        insert(&mut root, &path, text.into_owned()).ok_or_else(|| malformed(&format!("{name} is given twice")))?;
    }
    Ok(Params(root.into_iter().map(|(name, node)| (name, value(node))).collect()))
}

fn malformed(detail: &str) -> ApiError {
    ApiError::new("MalformedQueryString", format!("The query string cannot be read: {detail}."))
}

/// `None` where the place is taken.
fn insert(branch: &mut BTreeMap<String, Node>, path: &[&str], text: String) -> Option<()> {
    let (first, rest) = path.split_first()?;
    if rest.is_empty() {
        return match branch.insert((*first).to_owned(), Node::Leaf(text)) {
            None => Some(()),
            Some(_) => None,
        };
    }
    match branch.entry((*first).to_owned()).or_insert_with(|| Node::Branch(BTreeMap::new())) {
        Node::Branch(children) => insert(children, rest, text),
        Node::Leaf(_) => None,
    }
}

fn value(node: Node) -> Value {
    let mut children = match node {
        Node::Leaf(text) => return Value::Text(text),
        Node::Branch(children) => children,
    };
    if children.len() == 1 {
        if let Some(list) = children.remove("member") {
            return value(list);
        }
        if let Some(entries) = children.remove("entry") {
            return entries_to_map(value(entries));
        }
    }
    if children.keys().all(|name| name.parse::<u32>().is_ok()) {
        let mut items: Vec<(u32, Node)> =
            children.into_iter().map(|(name, node)| (name.parse().unwrap_or_default(), node)).collect();
        items.sort_by_key(|(number, _)| *number);
        return Value::List(items.into_iter().map(|(_, node)| value(node)).collect());
    }
    Value::Map(children.into_iter().map(|(name, node)| (name, value(node))).collect())
}

/// `[{key, value}, …]` becomes a map.
fn entries_to_map(entries: Value) -> Value {
    let Value::List(entries) = entries else { return entries };
    let pair = |entry| {
        let Value::Map(fields) = entry else { return None };
        let entry = Params(fields);
        Some((entry.text("key")?.to_owned(), entry.get("value")?.clone()))
    };
    Value::Map(entries.into_iter().filter_map(pair).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_become_lists_of_maps_in_the_order_of_their_numbers() {
        let params = parse(b"Tags.member.10.Key=b&Tags.member.2.Key=a&Tags.member.2.Value=x%20y").unwrap();
        let tags = params.maps("Tags");
        assert_eq!((tags[0].text("Key"), tags[0].text("Value")), (Some("a"), Some("x y")));
        assert_eq!(tags[1].text("Key"), Some("b"));
    }

    #[test]
    fn an_empty_text_is_not_there_but_for_the_price_that_it_takes_back() {
        let params = parse(b"Price=&MixedInstancesPolicy.InstancesDistribution.SpotMaxPrice=").unwrap();
        assert_eq!(params.get("Price"), None);
        let distribution = params.map("MixedInstancesPolicy").and_then(|policy| policy.map("InstancesDistribution"));
        assert_eq!(distribution.unwrap().text("SpotMaxPrice"), Some(""));
    }

    #[test]
    fn ec2_lists_have_no_member() {
        let params = parse(b"Filter.1.Name=tag%3Arole&Filter.1.Value.1=web&Filter.1.Value.2=db&DryRun=true").unwrap();
        let filter = &params.maps("Filter")[0];
        assert_eq!((filter.text("Name"), filter.texts("Value")), (Some("tag:role"), vec!["web", "db"]));
        assert_eq!(params.bool("DryRun"), Ok(Some(true)));
    }

    #[test]
    fn entries_become_a_map() {
        let params = parse(b"Attributes.entry.1.key=a&Attributes.entry.1.value=1").unwrap();
        assert_eq!(params.map("Attributes").unwrap().text("a"), Some("1"));
    }

    #[test]
    fn an_empty_list_has_no_items() {
        assert!(parse(b"Tags=").unwrap().list("Tags").is_empty());
    }

    #[test]
    fn a_name_without_a_value_is_not_there() {
        let params = parse(b"ProtocolVersion=&Tags.member.1.Key=a&Tags.member.1.Value=&Values.member.1=").unwrap();
        assert_eq!(params.text("ProtocolVersion"), None);
        assert_eq!(params.maps("Tags")[0].text("Key"), Some("a"));
        assert_eq!(params.texts("Values"), [""]);
    }

    #[test]
    fn a_name_given_twice_is_refused() {
        assert_eq!(parse(b"A=1&A=2").unwrap_err().code, "MalformedQueryString");
        assert_eq!(parse(b"A=1&A.B=2").unwrap_err().code, "MalformedQueryString");
        assert_eq!(parse(b"A.B=2&A=1").unwrap_err().code, "MalformedQueryString");
    }

    #[test]
    fn a_form_too_deep_or_too_long_is_refused() {
        assert!(parse("a.".repeat(DEPTH_MAX + 1).as_bytes()).is_err());
        assert!(parse((0..=FIELDS_MAX).map(|n| format!("f{n}=&")).collect::<String>().as_bytes()).is_err());
    }
}
