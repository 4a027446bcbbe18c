//! What a file of faults says.

use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;

/// The rules of a file, in its order: the first that applies to a call decides.
#[derive(Clone, Debug)]
pub struct Faults {
    /// Where they were read from.
    pub file: PathBuf,
    pub seed: u64,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub fault: Fault,
    pub operations: Operations,
    pub when: When,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The service says that the account calls too often, in its own code.
    Throttle,
    /// `TooManyRequestsException`, as the services of JSON and REST throttle.
    Http429,
    /// The service broke down.
    Http500,
    /// The service is overloaded.
    Http503,
    /// The connection is reset before the service has acted.
    ResetBefore,
    /// The service has acted, and the connection is reset before its answer is out.
    ResetAfter,
    /// The connection stays open and no answer comes.
    NoAnswer,
    /// The service acts, and its answer comes so much later.
    Slow(Duration),
    /// These zones have no more instances to give; empty: no zone has.
    NoCapacity(Vec<String>),
    /// Something still uses what is to be deleted.
    InUse,
    /// What is newer than this is not known yet to calls that name it.
    UnknownId(Duration),
    /// What is newer than this is missing in listings.
    StaleList(Duration),
}

impl Fault {
    /// Whether the fault can happen to an operation at all.
    pub fn suits(&self, operation: &str) -> bool {
        match self {
            Fault::NoCapacity(_) => operation == "RunInstances",
            Fault::InUse => operation.starts_with("Delete"),
            Fault::StaleList(_) => operation.starts_with("Describe"),
            _ => true,
        }
    }
}

/// The operations that a rule is for.
#[derive(Clone, Debug)]
pub struct Operations(Vec<Regex>);

impl Operations {
    /// `*` stands for any characters; no glob means every operation.
    pub fn matching<'a>(globs: impl IntoIterator<Item = &'a str>) -> Self {
        let pattern = |glob: &str| format!("^{}$", regex::escape(glob).replace(r"\*", ".*"));
        let compile = |glob| Regex::new(&pattern(glob)).expect("escaped text is a regular expression");
        Self(globs.into_iter().map(compile).collect())
    }

    pub fn contain(&self, operation: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|glob| glob.is_match(operation))
    }
}

/// Which of the calls that a rule is for it applies to; each operation is counted by itself, from 1.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    Always,
    /// Each with this probability, 0 to 1.
    Chance(f64),
    /// The first so many.
    First(u64),
    /// These.
    Calls(Vec<u64>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_matches_whole_names() {
        let operations = Operations::matching(["Describe*", "RunInstances"]);
        let matched = ["DescribeInstances", "RunInstances"].map(|name| operations.contain(name));
        assert_eq!(matched, [true, true]);
        let others = ["RunInstancesAgain", "CreateTags"].map(|name| operations.contain(name));
        assert_eq!(others, [false, false]);
        assert!(Operations::matching([]).contain("CreateTags"));
    }

    #[test]
    fn some_faults_suit_some_operations_only() {
        assert!(Fault::InUse.suits("DeleteRule") && !Fault::InUse.suits("CreateRule"));
        assert!(Fault::NoCapacity(Vec::new()).suits("RunInstances"));
        assert!(!Fault::StaleList(Duration::ZERO).suits("RunInstances"));
    }
}
