//! What `up` would do: the changes, with reasons, and what the stack will cost.

use serde::Serialize;

use crate::resource::change::{Action, Change};
use crate::resource::outlook::{HourlyCost, Outlook, Part, Prices};

/// How many changes of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub create: usize,
    pub update: usize,
    pub replace: usize,
    pub delete: usize,
    pub unchanged: usize,
}

impl Summary {
    pub fn of(changes: &[Change]) -> Self {
        let count = |action| changes.iter().filter(|change| change.action == action).count();
        Self {
            create: count(Action::Create),
            update: count(Action::Update),
            replace: count(Action::Replace),
            delete: count(Action::Delete),
            unchanged: count(Action::Unchanged),
        }
    }

    pub fn is_empty(self) -> bool {
        self.create + self.update + self.replace + self.delete == 0
    }
}

/// `diff --json` is this, as it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub stack: String,
    pub provider: String,
    pub summary: Summary,
    /// In the order of the addresses; unchanged resources are among them.
    pub changes: Vec<Change>,
    /// `None` where an instance type is not in the price table.
    pub hourly_cost: Option<HourlyCost>,
    /// What comes for each cluster and for what they share.
    pub parts: Vec<Part>,
    pub prices: Prices,
}

impl Report {
    pub fn new(stack: &str, provider: &str, outlook: Outlook, changes: Vec<Change>) -> Self {
        Self {
            stack: stack.to_owned(),
            provider: provider.to_owned(),
            summary: Summary::of(&changes),
            hourly_cost: outlook.hourly_cost,
            parts: outlook.parts,
            prices: outlook.prices,
            changes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::address::Address;

    #[test]
    fn a_plan_is_empty_where_nothing_changes() {
        let change = |action| Change {
            address: Address::parse("load_balancer"),
            kind: "load_balancer".to_owned(),
            action,
            reason: String::new(),
            fields: Vec::new(),
        };
        assert!(Summary::of(&[]).is_empty() && Summary::of(&[change(Action::Unchanged)]).is_empty());
        for action in [Action::Create, Action::Update, Action::Replace, Action::Delete] {
            assert!(!Summary::of(&[change(Action::Unchanged), change(action)]).is_empty(), "{action:?}");
        }
        let [create, update, replace, delete, unchanged] = [1, 2, 3, 4, 5];
        let each = [
            (Action::Create, create),
            (Action::Update, update),
            (Action::Replace, replace),
            (Action::Delete, delete),
            (Action::Unchanged, unchanged),
        ];
        let changes: Vec<Change> = each.into_iter().flat_map(|(action, count)| vec![change(action); count]).collect();
        assert_eq!(Summary::of(&changes), Summary { create, update, replace, delete, unchanged });
    }
}
