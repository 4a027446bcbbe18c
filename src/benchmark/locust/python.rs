//! Where Locust is: in the `python3` of the path, if that has the version that we know; otherwise in a virtual environment of our
//! own, which is made once and kept in the cache.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::problem::Problem;
use crate::resource::context::interrupted;
use crate::resource::event::{Event, Sink};
use crate::stack::load_generators::LOCUST;

const REQUIREMENTS: &str = include_str!("requirements.txt");
/// As in `requirements.txt`, and as load generators have it.
pub const VERSION: &str = LOCUST;
const INSTALL_WITHIN: Duration = Duration::from_secs(300);
const ASK: &str = "from importlib.metadata import version; print(version('locust'))";

/// A Python that has Locust.
///
/// # Errors
/// Where there is no `python3`, and where Locust cannot be installed.
pub async fn ready(sink: &dyn Sink, cancel: &CancellationToken) -> Result<PathBuf, Problem> {
    let python = PathBuf::from("python3");
    if has_locust(&python).await? {
        return Ok(python);
    }
    let own = cache()?.join(format!("locust-{VERSION}"));
    let own_python = own.join("bin/python");
    if own_python.exists() && has_locust(&own_python).await.unwrap_or(false) {
        return Ok(own_python);
    }
    let what = format!("Locust {VERSION}");
    sink.event(Event::Waiting { what: what.clone(), reason: format!("is installed into {}", own.display()) });
    tokio::select! {
        () = cancel.cancelled() => return Err(interrupted()),
        () = clock::sleep(INSTALL_WITHIN) => return Err(not_installed(format!("it took more than {} s", INSTALL_WITHIN.as_secs()))),
        installed = install(&own) => installed?,
    }
    sink.event(Event::Ready { what, detail: format!("in {}", own.display()) });
    Ok(own_python)
}

async fn has_locust(python: &Path) -> Result<bool, Problem> {
    let answer = Command::new(python).args(["-c", ASK]).stdin(Stdio::null()).kill_on_drop(true).output().await;
    let answer = answer.map_err(|error| {
        Problem::new("No Python", format!("`python3` cannot be started: {error}"))
            .hint("Locust is written in Python: install python3, or leave `--engine` out")
    })?;
    Ok(answer.status.success() && String::from_utf8_lossy(&answer.stdout).trim() == VERSION)
}

/// Beside its place first, so that one that is half made is never used.
async fn install(own: &Path) -> Result<(), Problem> {
    let beside = own.with_extension(format!("{}.new", std::process::id()));
    let outcome = match fill(&beside).await {
        Ok(()) => put(&beside, own).await,
        Err(problem) => Err(problem),
    };
    // What is left of it is of no use to anybody.
    let _ = std::fs::remove_dir_all(&beside);
    outcome
}

/// Another process may have been as quick: then its environment is used, and not taken from under it.
async fn put(beside: &Path, own: &Path) -> Result<(), Problem> {
    // A folder that is not empty is not replaced.
    if std::fs::rename(beside, own).is_ok() || has_locust(&own.join("bin/python")).await.unwrap_or(false) {
        return Ok(());
    }
    // What stands there cannot be used.
    let _ = std::fs::remove_dir_all(own);
    std::fs::rename(beside, own).map_err(|error| not_installed(format!("{}: {error}", own.display())))
}

async fn fill(folder: &Path) -> Result<(), Problem> {
    let list = folder.join("requirements.txt");
    let mut venv = Command::new("python3");
    run(venv.args(["-m", "venv"]).arg(folder)).await?;
    std::fs::write(&list, REQUIREMENTS).map_err(|error| not_installed(format!("{}: {error}", list.display())))?;
    let mut pip = Command::new(folder.join("bin/python"));
    run(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&list)).await
}

async fn run(command: &mut Command) -> Result<(), Problem> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    match output {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(Output { stderr, stdout, .. }) => {
            let all = format!("{}\n{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
            let last = all.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed without a word");
            Err(not_installed(last.trim().to_owned()))
        }
        Err(error) => Err(not_installed(error.to_string())),
    }
}

fn not_installed(why: String) -> Problem {
    Problem::new("Locust cannot be installed", why).hint(format!(
        "it comes from PyPI; where that cannot be reached, install locust {VERSION} for the `python3` of your path, or leave `--engine` out"
    ))
}

/// The XDG base directory for what can be made again.
fn cache() -> Result<PathBuf, Problem> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    cache.map(|cache| cache.join("cloudscale")).ok_or_else(|| {
        Problem::new("No folder for Locust", "neither XDG_CACHE_HOME nor HOME is set").hint("set XDG_CACHE_HOME")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_that_is_asked_for_is_the_one_that_is_installed() {
        assert!(REQUIREMENTS.lines().any(|line| line == format!("locust=={VERSION}")));
        let pinned = |line: &&str| !line.starts_with('#');
        assert!(REQUIREMENTS.lines().filter(pinned).all(|line| line.contains("==")));
    }
}
