//! Which stack a command is about: the one named, `./stack.yaml`, or the one last used in this folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Globals, Session, StackArg};
use crate::engine::plan_file::PlanFile;
use crate::files;
use crate::problem::{Problem, Problems};
use crate::result::store;
use crate::stack::model::Stack;
use crate::stack::{self, Overrides};

const DEFAULT_FILE: &str = "stack.yaml";
const LAST_USED_FILE: &str = "last-stack";

/// Finds and loads the stack, prints its warnings, and remembers it for the next command in this folder.
pub fn load(argument: &StackArg, session: &Session) -> Result<Stack, Problems> {
    let overrides = overrides(&session.globals)?;
    let path = resolve(argument.stack.as_deref(), Path::new("."))?;
    let (stack, warnings) = stack::load(&path, &overrides)?;
    session.printer.problems(&warnings);
    if let Err(error) = remember(&path, Path::new(".")) {
        let detail = format!("{}/{LAST_USED_FILE}: {error}", store::FOLDER);
        let problem = Problem::warning("The stack could not be remembered", detail);
        session.printer.problems(&problem.hint("name the stack in the next command").into());
    }
    Ok(stack)
}

/// Loads the stack of a plan, as the plan was made: options of the command line still win.
pub fn planned(plan: &PlanFile, session: &Session) -> Result<Stack, Problems> {
    let given = overrides(&session.globals)?;
    let provider = given.provider.or(Some(plan.provider()));
    let region = given.region.or_else(|| Some(plan.region.clone()));
    let (stack, warnings) = stack::load(&plan.file, &Overrides { provider, region, vars: given.vars })?;
    session.printer.problems(&warnings);
    Ok(stack)
}

/// What the global options say instead of the stack file.
pub fn overrides(globals: &Globals) -> Result<Overrides, Problems> {
    let mut vars = BTreeMap::new();
    let mut problems = Problems::default();
    for var in &globals.vars {
        match var.split_once('=').filter(|(name, _)| !name.is_empty()) {
            Some((name, value)) => drop(vars.insert(name.to_owned(), value.to_owned())),
            None => {
                let problem = Problem::usage("Invalid variable", format!("`--var {var}` has no name or no value"));
                problems.push(problem.hint("write `--var NAME=VALUE`"));
            }
        }
    }
    if problems.has_errors() {
        return Err(problems);
    }
    Ok(Overrides { provider: globals.provider.map(Into::into), region: globals.region.clone(), vars })
}

/// The path of the stack file; `folder` is where the command runs.
pub fn resolve(named: Option<&Path>, folder: &Path) -> Result<PathBuf, Problem> {
    if let Some(named) = named {
        let path = if folder.join(named).is_dir() { named.join(DEFAULT_FILE) } else { named.to_owned() };
        return match folder.join(&path).exists() {
            true => Ok(path),
            false => Err(Problem::usage("No such stack file", format!("there is no file {}", path.display()))
                .hint("check the path, or write an example with `cloudscale init`")),
        };
    }
    if folder.join(DEFAULT_FILE).is_file() {
        return Ok(DEFAULT_FILE.into());
    }
    let none = || {
        Problem::usage("No stack", format!("no stack is named, and there is no {DEFAULT_FILE} here"))
            .hint("name one, e.g. `cloudscale up stacks/two-clusters.yaml`, or write one with `cloudscale init`")
    };
    let last = std::fs::read_to_string(folder.join(store::FOLDER).join(LAST_USED_FILE)).map_err(|_| none())?;
    let path = PathBuf::from(last.trim_end_matches('\n'));
    if folder.join(&path).is_file() {
        return Ok(path);
    }
    let detail = format!("the stack last used here was {}, but that file is gone", path.display());
    Err(Problem::usage("No such stack file", detail).hint("name the stack"))
}

fn remember(path: &Path, folder: &Path) -> std::io::Result<()> {
    let state = folder.join(store::FOLDER);
    let file = state.join(LAST_USED_FILE);
    let text = format!("{}\n", path.display());
    if std::fs::read_to_string(&file).is_ok_and(|last| last == text) {
        return Ok(());
    }
    // The folder may have come with somebody else's files: a link in this place is replaced, never followed.
    files::write(&file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_stack_wins_over_the_one_here_and_that_over_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir(at("other")).unwrap();
        std::fs::write(at("other/stack.yaml"), "").unwrap();
        std::fs::write(at("last.yaml"), "").unwrap();
        remember(Path::new("last.yaml"), folder.path()).unwrap();
        assert_eq!(resolve(None, folder.path()).unwrap(), Path::new("last.yaml"));
        std::fs::write(at("stack.yaml"), "").unwrap();
        assert_eq!(resolve(None, folder.path()).unwrap(), Path::new("stack.yaml"));
        assert_eq!(resolve(Some(Path::new("other")), folder.path()).unwrap(), Path::new("other/stack.yaml"));
    }

    #[cfg(unix)]
    #[test]
    fn remembering_a_stack_overwrites_nothing_that_a_link_points_to() {
        let folder = tempfile::tempdir().unwrap();
        let precious = folder.path().join("precious");
        std::fs::write(&precious, "mine").unwrap();
        let state = folder.path().join(store::FOLDER);
        std::fs::create_dir(&state).unwrap();
        std::os::unix::fs::symlink(&precious, state.join(LAST_USED_FILE)).unwrap();
        std::fs::write(folder.path().join("last.yaml"), "").unwrap();
        remember(Path::new("last.yaml"), folder.path()).unwrap();
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "mine");
        assert_eq!(resolve(None, folder.path()).unwrap(), Path::new("last.yaml"));
    }

    #[test]
    fn a_stack_that_is_not_there_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(resolve(None, folder.path()).unwrap_err().summary, "No stack");
        assert_eq!(resolve(Some(Path::new("x.yaml")), folder.path()).unwrap_err().summary, "No such stack file");
        remember(Path::new("gone.yaml"), folder.path()).unwrap();
        assert!(resolve(None, folder.path()).unwrap_err().detail.contains("gone.yaml"));
    }
}
