//! What desired and observed are compared by: a flat list of named values.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::cloud::address::Address;
use crate::cloud::snapshot::Snapshot;
use crate::secret;

/// Hexadecimal characters of a spec hash: enough to tell the versions of one resource apart.
const SPEC_CHARACTERS: usize = 12;

/// The value of a field.
#[derive(Clone, Debug)]
pub enum Value {
    Text(String),
    /// A text that may hold secrets; it is compared as it is, and shown and hashed without them.
    Sensitive(secret::Text),
    /// Another resource of the stack, by address. Its id may not be known yet.
    Ref(Address),
    /// The predecessor of the resource at that address: one that was replaced and is not gone yet.
    Replaced(Address),
    /// Several values whose order means nothing; see [`Value::set`].
    Set(Vec<Value>),
}

impl Value {
    /// An observed id as a reference where it is ours, as it stands otherwise.
    pub fn observed(cloud: &Snapshot, id: &str) -> Value {
        match cloud.address_of(id) {
            None => Value::Text(id.to_owned()),
            Some(address) if cloud.replaced.contains(id) => Value::Replaced(address),
            Some(address) => Value::Ref(address),
        }
    }

    /// A set of values; one alone stands for itself.
    pub fn set(values: impl IntoIterator<Item = Value>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by_cached_key(ToString::to_string);
        values.dedup();
        if values.len() == 1 { values.remove(0) } else { Value::Set(values) }
    }

    /// A text that may hold secrets.
    pub fn sensitive(text: &secret::Text) -> Self {
        if text.holds_secrets() { Value::Sensitive(text.clone()) } else { Value::Text(text.expose().to_owned()) }
    }

    /// What may be shown of the value where `other` is the other side of a comparison: where one of two texts holds
    /// secrets, the other may hold former ones.
    pub fn shown_beside(&self, other: Option<&Value>) -> String {
        match (self, other) {
            (Value::Text(own), Some(Value::Sensitive(other))) => other.show_other(own),
            (Value::Sensitive(own), Some(Value::Sensitive(other))) if own.is_unknown() => {
                other.show_other(own.expose())
            }
            (Value::Sensitive(own), Some(Value::Text(other))) if own.is_unknown() => {
                secret::Text::from(other.as_str()).show_other(own.expose())
            }
            _ => self.to_string(),
        }
    }

    /// The addresses that the value refers to.
    pub fn references(&self) -> Vec<&Address> {
        match self {
            Value::Text(_) | Value::Sensitive(_) => Vec::new(),
            Value::Ref(address) | Value::Replaced(address) => vec![address],
            Value::Set(values) => values.iter().flat_map(Value::references).collect(),
        }
    }

    /// Whether it is, or has among it, a resource that was replaced.
    pub fn is_replaced(&self) -> bool {
        match self {
            Value::Replaced(_) => true,
            Value::Set(values) => values.iter().any(Value::is_replaced),
            Value::Text(_) | Value::Sensitive(_) | Value::Ref(_) => false,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Text(one), Value::Text(other)) => one == other,
            (Value::Sensitive(one), Value::Sensitive(other)) => one == other,
            // A text is the same whether we know that it holds a secret or not.
            (Value::Text(text), Value::Sensitive(known)) | (Value::Sensitive(known), Value::Text(text)) => {
                known.expose() == text
            }
            (Value::Ref(one), Value::Ref(other)) | (Value::Replaced(one), Value::Replaced(other)) => one == other,
            (Value::Set(one), Value::Set(other)) => one == other,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::Ref(address) => address.fmt(f),
            Value::Sensitive(text) => text.fmt(f),
            Value::Set(values) => {
                let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                f.write_str(&values.join(", "))
            }
            Value::Replaced(address) => write!(f, "{address} (replaced)"),
        }
    }
}

/// Named values in a fixed order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, Value)>);

impl Fields {
    #[must_use]
    pub fn text(mut self, path: impl Into<String>, value: impl ToString) -> Self {
        self.0.push((path.into(), Value::Text(value.to_string())));
        self
    }

    #[must_use]
    pub fn value(mut self, path: impl Into<String>, value: Value) -> Self {
        self.0.push((path.into(), value));
        self
    }

    /// A value that is left out where there is none.
    #[must_use]
    pub fn values(self, path: &str, value: Option<Value>) -> Self {
        match value {
            Some(value) => self.value(path, value),
            None => self,
        }
    }

    #[must_use]
    pub fn reference(self, path: impl Into<String>, address: Address) -> Self {
        self.value(path, Value::Ref(address))
    }

    /// A field that is left out where there is nothing to say.
    #[must_use]
    pub fn maybe(self, path: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.text(path, value),
            None => self,
        }
    }

    pub fn get(&self, path: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == path).map(|(_, value)| value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(path, value)| (path.as_str(), value))
    }

    /// The addresses that these fields refer to.
    pub fn references(&self) -> impl Iterator<Item = &Address> {
        self.0.iter().flat_map(|(_, value)| value.references())
    }

    /// The short hash that a created resource carries: the same fields give the same hash on every machine.
    pub fn spec(&self) -> String {
        let mut digest = Sha256::new();
        for (path, value) in self.iter() {
            // Lengths keep `a=bc` apart from `ab=c`.
            for part in [path, &value.to_string()] {
                digest.update((part.len() as u64).to_be_bytes());
                digest.update(part.as_bytes());
            }
        }
        short_hex(&digest.finalize())
    }
}

/// A short hash of some words, for client tokens and the like.
pub fn short_hash<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words
        .into_iter()
        .enumerate()
        .fold(Fields::default(), |fields, (index, word)| fields.text(index.to_string(), word))
        .spec()
}

fn short_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()[..SPEC_CHARACTERS].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spec_follows_every_field() {
        let spec = |port: &str, vpc: &str| Fields::default().text("port", port).text("vpc", vpc).spec();
        assert_eq!(spec("80", "vpc-1"), spec("80", "vpc-1"));
        assert_ne!(spec("80", "vpc-1"), spec("81", "vpc-1"));
        assert_ne!(spec("8", "0vpc-1"), spec("80", "vpc-1"));
        assert_eq!(spec("80", "vpc-1").len(), SPEC_CHARACTERS);
    }

    #[test]
    fn a_secret_counts_in_comparisons_and_neither_in_what_is_shown_nor_in_the_spec() {
        let fields = |token: &str| {
            let mut text = secret::Text::from("TOKEN=");
            text.push_secret(&secret::Secret::new(token));
            Fields::default().value("user_data", Value::sensitive(&text))
        };
        let (old, new) = (fields("f0rmer"), fields("n0w"));
        assert_ne!(old, new);
        assert_eq!(old, Fields::default().text("user_data", "TOKEN=f0rmer"));
        assert_eq!(old.spec(), new.spec(), "no hash of a secret becomes a tag");
        let observed = Value::Sensitive(secret::Text::unknown("TOKEN=f0rmer"));
        let desired = new.get("user_data");
        for shown in [observed.shown_beside(desired), format!("{observed} {observed:?} {new:?}")] {
            assert!(!shown.contains("f0rmer") && !shown.contains("n0w"), "{shown}");
        }
    }

    #[test]
    fn references_are_the_addresses_of_other_resources() {
        let fields = Fields::default().text("port", 80).reference("target", Address::in_cluster("a", "target_group"));
        assert_eq!(fields.references().collect::<Vec<_>>(), [&Address::in_cluster("a", "target_group")]);
    }

    #[test]
    fn a_set_is_the_same_in_any_order_and_one_value_alone_is_no_set() {
        let (text, reference) = (Value::Text("10.0.0.0/8".into()), Value::Ref(Address::fixed("network.vpc")));
        let set = Value::set([reference.clone(), text.clone()]);
        assert_eq!(set, Value::set([text.clone(), reference]));
        assert_eq!(
            (set.to_string().as_str(), set.references()),
            ("10.0.0.0/8, network.vpc", vec![&Address::fixed("network.vpc")])
        );
        assert_eq!(Value::set([text.clone()]), text);
    }
}
