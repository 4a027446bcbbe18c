//! What happens to one resource, with its reason: the lines of a plan.

use serde::{Deserialize, Serialize};

use crate::cloud::address::Address;

/// What happens to one resource. The symbol is part of the value, so that the output cannot drift from its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Create,
    Update,
    Replace,
    Delete,
    Unchanged,
}

impl Action {
    pub fn symbol(self) -> &'static str {
        match self {
            Action::Create => "+",
            Action::Update => "~",
            Action::Replace => "-/+",
            Action::Delete => "-",
            Action::Unchanged => "",
        }
    }
}

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// `health_check.path`
    pub path: String,
    /// `None` where the cloud has nothing.
    pub observed: Option<String>,
    /// `None` where nothing is desired.
    pub desired: Option<String>,
    /// Whether this field is why the resource must be replaced.
    #[serde(skip)]
    pub forces_replacement: bool,
}

/// The path of the field by which a change says that what it changes is at another address now.
pub const ADDRESS: &str = "address";

/// What happens to one resource, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `cluster.light.target_group`
    pub address: Address,
    /// `target_group`: the name of the file in `src/resources/`.
    #[serde(rename = "type")]
    pub kind: String,
    pub action: Action,
    /// In a few words: "does not exist yet", "changed in the stack", "drift: changed outside cloudscale".
    pub reason: String,
    pub fields: Vec<FieldChange>,
}

impl Change {
    /// Keys of the tags that go.
    pub fn tags_to_drop(&self) -> Vec<String> {
        let tags = self.fields.iter().filter_map(|field| Some((field.path.strip_prefix("tags.")?, field)));
        tags.filter(|(_, field)| field.desired.is_none()).map(|(key, _)| key.to_owned()).collect()
    }

    /// The address that it has until then, where this moves it.
    pub fn moved_from(&self) -> Option<Address> {
        let field = self.fields.iter().find(|field| field.path == ADDRESS)?;
        Some(Address::parse(field.observed.clone()?))
    }
}
