//! What wanted and live are compared by: a flat list of named values.

use std::fmt;

use sha2::{Digest, Sha256};

/// Hexadecimal characters of a spec hash: enough to tell the versions of one resource apart.
const SPEC_CHARACTERS: usize = 12;

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    /// Another resource of the stack, by address. Its id may not be known yet.
    Ref(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) | Value::Ref(text) => f.write_str(text),
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

    #[must_use]
    pub fn reference(self, path: impl Into<String>, address: impl Into<String>) -> Self {
        self.value(path, Value::Ref(address.into()))
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
    pub fn references(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|(_, value)| match value {
            Value::Ref(address) => Some(address.as_str()),
            Value::Text(_) => None,
        })
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
    fn references_are_the_addresses_of_other_resources() {
        let fields = Fields::default().text("port", 80).reference("target", "cluster.a.target_group");
        assert_eq!(fields.references().collect::<Vec<_>>(), ["cluster.a.target_group"]);
    }
}
