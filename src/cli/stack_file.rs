//! Which stack a command is about: the one named, `./stack.yaml`, or the one last used in this folder.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Globals, Session, StackArg};
use crate::engine::plan_file::PlanFile;
use crate::files;
use crate::problem::{Problem, Problems, Severity};
use crate::result::store;
use crate::secret::Secret;
use crate::stack::model::Stack;
use crate::stack::variables::{ENVIRONMENT, Given, read_file};
use crate::stack::{self, Identity, Overrides};

const DEFAULT_FILE: &str = "stack.yaml";
const LAST_USED_FILE: &str = "last-stack";

/// Finds and loads the stack, prints its warnings, and remembers it for the next command in this folder.
pub fn load(argument: &StackArg, session: &Session) -> Result<Stack, Problems> {
    let (stack, warnings) = read(argument, &overrides(&session.globals)?, session)?;
    session.printer.problems(&warnings);
    Ok(stack)
}

/// The same for a plan that nobody carries out: its secrets may be missing.
pub fn drafted(argument: &StackArg, session: &Session) -> Result<Stack, Problems> {
    let (stack, warnings) = read(argument, &without_secrets(&session.globals)?, session)?;
    session.printer.problems(&warnings);
    Ok(stack)
}

/// The same for a command that renders nothing of the stack: its secrets may be missing, and its warnings were reported
/// by the commands that do.
pub fn known(argument: &StackArg, session: &Session) -> Result<Stack, Problems> {
    Ok(read(argument, &without_secrets(&session.globals)?, session)?.0)
}

/// What is known of a stack.
pub enum Known {
    Whole(Box<Stack>),
    /// Its file has mistakes that are not about this.
    ByName(Identity),
}

/// As [`known`], for a command to which the name is enough: a mistake elsewhere in the file, or a script that is gone,
/// is reported, and it goes on.
pub fn known_by_name(argument: &StackArg, session: &Session) -> Result<Known, Problems> {
    let mut problems = match known(argument, session) {
        Ok(stack) => return Ok(Known::Whole(Box::new(stack))),
        Err(problems) => problems,
    };
    let identity = resolve(argument.stack.as_deref(), Path::new("."))
        .ok()
        .and_then(|path| stack::identify(&path, &without_secrets(&session.globals).ok()?));
    let Some(identity) = identity else { return Err(problems) };
    for problem in &mut problems.0 {
        problem.severity = Severity::Warning;
    }
    session.printer.problems(&problems);
    session.printer.note(&format!("Continuing with the stack's name, {}.", identity.name));
    Ok(Known::ByName(identity))
}

fn read(argument: &StackArg, overrides: &Overrides, session: &Session) -> Result<(Stack, Problems), Problems> {
    let path = resolve(argument.stack.as_deref(), Path::new("."))?;
    let loaded = stack::load(&path, overrides)?;
    if let Err(error) = remember(&path, Path::new(".")) {
        let detail = format!("{}/{LAST_USED_FILE}: {error}", store::FOLDER);
        let problem = Problem::warning("The stack could not be remembered", detail);
        session.printer.problems(&problem.hint("name the stack in the next command").into());
    }
    Ok(loaded)
}

/// Loads the stack of a plan, as the plan was made: options of the command line still win.
pub fn planned(plan: &PlanFile, session: &Session) -> Result<Stack, Problems> {
    let given = overrides(&session.globals)?;
    let provider = Some(given.provider.map_or_else(|| plan.provider(), Ok)?);
    let region = given.region.or_else(|| Some(plan.region.clone()));
    let (stack, warnings) = stack::load(&plan.file, &Overrides { provider, region, given: given.given })?;
    session.printer.problems(&warnings);
    Ok(stack)
}

/// What the global options and the environment say instead of the stack file.
pub fn overrides(globals: &Globals) -> Result<Overrides, Problems> {
    let mut given = Given::default();
    let mut problems = Problems::default();
    for var in &globals.vars {
        match var.split_once('=').filter(|(name, _)| !name.is_empty()) {
            Some((name, value)) => drop(given.vars.insert(name.to_owned(), value.to_owned())),
            None => {
                // What stands behind the `=` may be a secret.
                let name = var.split('=').next().unwrap_or_default();
                let detail = format!("`--var {name}` has no name or no value");
                problems.push(Problem::usage("Invalid variable", detail).hint("write `--var NAME=VALUE`"));
            }
        }
    }
    for file in &globals.var_files {
        match read_file(file) {
            Ok(values) => given.files.extend(values),
            Err(found) => problems.0.extend(found.0),
        }
    }
    match environment(std::env::vars_os()) {
        Ok(values) => given.environment = values,
        Err(problem) => problems.push(problem),
    }
    if problems.has_errors() {
        return Err(problems);
    }
    Ok(Overrides { provider: globals.provider.map(Into::into), region: globals.region.clone(), given })
}

/// As [`overrides`], for what renders nothing.
pub fn without_secrets(globals: &Globals) -> Result<Overrides, Problems> {
    let mut overrides = overrides(globals)?;
    overrides.given.without_secrets = true;
    Ok(overrides)
}

/// The variables that the environment gives.
fn environment(all: impl Iterator<Item = (OsString, OsString)>) -> Result<BTreeMap<String, Secret>, Problem> {
    let ours = all.filter_map(|(name, value)| Some((name.to_str()?.strip_prefix(ENVIRONMENT)?.to_owned(), value)));
    let read = |(name, value): (String, OsString)| match value.into_string() {
        Ok(text) => Ok((name, Secret::new(text))),
        Err(_) => {
            Err(Problem::usage("Invalid variable", format!("{ENVIRONMENT}{name} in the environment is no UTF-8 text")))
        }
    };
    ours.map(read).collect()
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
