//! A plan in a file: what `diff -o` saw, so that `up PLAN` does exactly that, or nothing and says what has moved.
//!
//! The file names each resource, what happens to it, and a hash of everything that counts: the fields with their
//! values, what is desired, and which observed thing it is about. So it holds no user data and no other secret, and a
//! plan is never read back into calls: `up` plans again, and goes on only where it arrives at the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Plan;
use super::diff::Node;
use crate::cloud::address::Address;
use crate::files;
use crate::problem::Problem;
use crate::resource::change::Action;
use crate::resource::fields::short_hash;
use crate::stack::model::{Provider, Stack};

/// Of the file's schema.
const VERSION: u32 = 1;
/// Differences that a problem lists.
const DIFFERENCES_SHOWN: usize = 10;

/// A plan as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanFile {
    cloudscale_plan: u32,
    pub stack: String,
    /// The stack file, as a path that holds from any folder.
    pub file: PathBuf,
    pub provider: String,
    pub region: String,
    /// Unchanged resources are among them.
    changes: Vec<Planned>,
}

/// What is to happen to one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Planned {
    address: Address,
    action: Action,
    reason: String,
    hash: String,
}

impl Planned {
    fn of(node: &Node) -> Self {
        let change = &node.change;
        let mut words = vec![format!("{:?}", change.action)];
        for field in &change.fields {
            words.push(format!("{} {:?} {:?}", field.path, field.observed, field.desired));
        }
        words.extend(node.desired.iter().map(|desired| desired.spec.clone()));
        if let Some(observed) = &node.observed {
            words.extend([observed.output.id.clone(), observed.output.revision.clone()]);
            words.extend(observed.output.members.iter().cloned());
        }
        let hash = short_hash(words.iter().map(String::as_str));
        Self { address: change.address.clone(), action: change.action, reason: change.reason.clone(), hash }
    }
}

impl PlanFile {
    pub fn of(plan: &Plan, stack: &Stack) -> Self {
        Self {
            cloudscale_plan: VERSION,
            stack: stack.name.clone(),
            file: std::path::absolute(&stack.file).unwrap_or_else(|_| stack.file.clone()),
            provider: stack.provider.name().to_owned(),
            region: stack.region.clone(),
            changes: plan.nodes.iter().map(Planned::of).collect(),
        }
    }

    /// # Errors
    /// A provider that is not known.
    pub fn provider(&self) -> Result<Provider, Problem> {
        Provider::named(&self.provider).ok_or_else(|| {
            let detail = format!("it was made for the provider `{}`, which is not known here", self.provider);
            Problem::usage("The plan cannot be used", detail).hint("write it again with `cloudscale diff -o`")
        })
    }

    /// # Errors
    /// Where the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Problem> {
        let text = serde_json::to_string_pretty(self).expect("a plan serialises: it has no maps") + "\n";
        files::write_named(path, text.as_bytes()).map_err(|error| {
            Problem::new("The plan could not be written", format!("{}: {error}", path.display()))
                .hint("name another file with -o")
        })
    }

    /// The plan in a file; `None` where the file is no plan, such as a stack.
    ///
    /// # Errors
    /// A plan of another version of cloudscale.
    pub fn read(path: &Path) -> Result<Option<Self>, Problem> {
        let Some(value) = std::fs::read_to_string(path).ok().and_then(|text| parse(&text)) else {
            return Ok(None);
        };
        let plan = serde_json::from_value::<Self>(value).ok().filter(|plan| plan.cloudscale_plan == VERSION);
        plan.map(Some).ok_or_else(|| {
            Problem::usage("The plan cannot be read", format!("{} is not a plan of this version", path.display()))
                .hint("write it again with `cloudscale diff -o`")
        })
    }

    /// Goes on only where `plan`, made now, is the one in the file.
    ///
    /// # Errors
    /// What differs.
    pub fn check(&self, plan: &Plan) -> Result<(), Problem> {
        let now: Vec<_> = plan.nodes.iter().map(Planned::of).collect();
        let differences = differences(&self.changes, &now);
        if differences.is_empty() {
            return Ok(());
        }
        let mut detail = format!("{} has changed since the plan was made:", self.stack);
        for difference in differences.iter().take(DIFFERENCES_SHOWN) {
            detail += &format!("\n  {difference}");
        }
        if differences.len() > DIFFERENCES_SHOWN {
            detail += &format!("\n  and {} more", differences.len() - DIFFERENCES_SHOWN);
        }
        Err(Problem::new("The plan is out of date", detail).hint(
            "nothing was done; look at `cloudscale diff` and write a new plan. A plan that was made with --var needs the \
             same --var again",
        ))
    }
}

/// The file as JSON, where it says that it is a plan.
fn parse(text: &str) -> Option<serde_json::Value> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    value.get("cloudscale_plan").is_some().then_some(value)
}

/// A line for every resource that is not as planned.
fn differences(planned: &[Planned], now: &[Planned]) -> Vec<String> {
    let word = |action: Action| format!("{action:?}").to_lowercase();
    // Of what was being replaced there are two at an address, in the same order in both.
    let numbered = |list: &[Planned]| {
        let mut seen = BTreeMap::<Address, usize>::new();
        let number = |planned: &Planned| {
            let count = seen.entry(planned.address.clone()).or_default();
            *count += 1;
            ((planned.address.clone(), *count), planned.clone())
        };
        list.iter().map(number).collect::<Vec<_>>()
    };
    let (planned, now) = (numbered(planned), numbered(now));
    let find = |list: &[((Address, usize), Planned)], key: &(Address, usize)| {
        list.iter().find(|(other, _)| other == key).map(|(_, planned)| planned.clone())
    };
    let mut lines = Vec::new();
    for (key, old) in &planned {
        match find(&now, key) {
            None => lines.push(format!("{}: planned {}, now absent", old.address, word(old.action))),
            Some(new) if new.action != old.action => {
                lines.push(format!("{}: planned {}, now {}", old.address, word(old.action), word(new.action)));
            }
            Some(new) if new.hash != old.hash => {
                lines.push(format!("{}: {} as planned, but not of the same content", old.address, word(old.action)));
            }
            Some(_) => {}
        }
    }
    let added = now.iter().filter(|(key, _)| find(&planned, key).is_none());
    lines.extend(added.map(|(_, new)| format!("{}: not in the plan, now {}", new.address, word(new.action))));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(address: &str, action: Action, hash: &str) -> Planned {
        Planned { address: Address::parse(address), action, reason: String::new(), hash: hash.into() }
    }

    #[test]
    fn every_kind_of_difference_is_told() {
        let old = [
            planned("a", Action::Create, "1"),
            planned("b", Action::Create, "1"),
            planned("c", Action::Update, "1"),
            planned("d", Action::Delete, "1"),
        ];
        let new = [
            planned("a", Action::Create, "1"),
            planned("b", Action::Unchanged, "2"),
            planned("c", Action::Update, "2"),
            planned("e", Action::Create, "1"),
        ];
        assert_eq!(
            differences(&old, &new),
            [
                "b: planned create, now unchanged",
                "c: update as planned, but not of the same content",
                "d: planned delete, now absent",
                "e: not in the plan, now create",
            ]
        );
        assert!(differences(&old, &old).is_empty());
        let replaced = [planned("a", Action::Delete, "1"), planned("a", Action::Update, "2")];
        assert!(differences(&replaced, &replaced).is_empty());
        assert_eq!(differences(&replaced, &replaced[..1]), ["a: planned update, now absent"]);
    }

    #[test]
    fn everything_that_counts_is_in_the_hash() {
        use crate::engine::diff::gentlest_tests::edited;
        use crate::resource::change::FieldChange;

        let nodes = edited("port: 8080", "port: 8090");
        let node = nodes
            .into_iter()
            .find(|node| node.change.address.as_str() == "cluster.fleet.instances")
            .expect("fixed instances");
        assert!(node.desired.is_some() && node.observed.is_some());
        let hash = |change: fn(&mut Node)| {
            let mut node = node.clone();
            change(&mut node);
            Planned::of(&node).hash
        };
        fn observed(node: &mut Node) -> &mut crate::resource::Output {
            &mut node.observed.as_mut().expect("it is observed").output
        }
        let field = || FieldChange {
            path: "a".into(),
            observed: Some("1".into()),
            desired: Some("2".into()),
            forces_replacement: false,
        };
        let mut hashes = vec![
            ("nothing", hash(|_| {})),
            ("the action", hash(|node| node.change.action = Action::Delete)),
            ("what is desired", hash(|node| node.desired.as_mut().expect("it is desired").spec.push('x'))),
            ("nothing desired", hash(|node| node.desired = None)),
            ("the id", hash(|node| observed(node).id.push('x'))),
            ("the version", hash(|node| observed(node).revision.push('2'))),
            ("a member", hash(|node| observed(node).members.push("i-1".into()))),
            ("other members", hash(|node| observed(node).members.push("i-2".into()))),
            ("nothing observed", hash(|node| node.observed = None)),
        ];
        let fields = [field(), FieldChange { path: "b".into(), ..field() }, FieldChange { observed: None, ..field() }];
        let fields = fields.into_iter().chain([FieldChange { desired: Some("3".into()), ..field() }]);
        for field in fields {
            let mut node = node.clone();
            node.change.fields.push(field);
            hashes.push(("a field", Planned::of(&node).hash));
        }
        for (index, (what, hash)) in hashes.iter().enumerate() {
            let same = hashes[..index].iter().find(|(_, other)| other == hash);
            assert_eq!(same, None, "{what} does not count");
        }
        assert_eq!(hash(|node| node.change.reason.push('x')), hashes[0].1, "words do not count");
    }

    #[test]
    fn a_plan_is_told_from_a_stack_and_from_a_plan_of_another_version() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        let plan = PlanFile {
            cloudscale_plan: VERSION,
            stack: "lab".into(),
            file: "/lab.yaml".into(),
            provider: "aws".into(),
            region: "us-east-1".into(),
            changes: vec![planned("a", Action::Create, "1")],
        };
        plan.write(&path).unwrap();
        assert_eq!(plan.provider().unwrap(), Provider::Aws);
        let elsewhere = PlanFile { provider: "gcp".into(), ..plan.clone() }.provider().unwrap_err();
        assert!(elsewhere.detail.contains("`gcp`"), "{}", elsewhere.detail);
        assert_eq!(PlanFile::read(&path).unwrap(), Some(plan));
        std::fs::write(&path, r#"{"name": "lab", "clusters": {}}"#).unwrap();
        assert_eq!(PlanFile::read(&path).unwrap(), None);
        std::fs::write(&path, r#"{"cloudscale_plan": 99}"#).unwrap();
        assert_eq!(PlanFile::read(&path).unwrap_err().summary, "The plan cannot be read");
    }
}
