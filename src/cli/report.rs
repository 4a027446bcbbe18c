//! `report [RUN]`: rebuild a run's report, open it, or compare two runs.

use std::path::Path;
use std::process::Stdio;

use super::{Outcome, Session};
use crate::exit::Exit;
use crate::problem::Problem;
use crate::report;
use crate::result::store;
use crate::ui;

/// Rebuild the report of a run from its result, and print where it is
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's name or folder [default: the latest run in this folder]
    #[arg(conflicts_with = "compare")]
    run: Option<String>,
    /// Open the report in a browser
    #[arg(long)]
    open: bool,
    /// Compare two runs, target by target
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"])]
    compare: Option<Vec<String>>,
    /// Print as JSON: the run's result, or the comparison
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let base = Path::new("");
    let path = if let Some([before, after]) = args.compare.as_deref() {
        let (before, after_folder) = (store::read(&store::find(base, before)?)?, store::find(base, after)?);
        let comparison = report::compare::compare(&before, &store::read(&after_folder)?);
        let path = after_folder.join(format!("compare-{}.html", file_name(&comparison.before)));
        store::write_file(&path, report::compare::page(&comparison).as_bytes())?;
        if args.json {
            session.printer.json(&comparison);
        } else {
            session.printer.painted_result(&ui::bench::comparison(
                &comparison,
                session.printer.paint(),
                session.printer.width(),
            ));
        }
        path
    } else {
        let folder = match &args.run {
            Some(name) => store::find(base, name)?,
            None => store::latest(base, None).ok_or_else(|| {
                Problem::usage("No run yet", format!("there is no finished run in {}", store::FOLDER))
                    .hint("`cloudscale bench` makes one")
            })?,
        };
        let result = store::read(&folder)?;
        let path = report::write(&folder, &result, &store::images(&folder, &result))?;
        if args.json {
            session.printer.json(&result);
        }
        path
    };
    if !args.json {
        session.printer.result(&path.display().to_string());
    }
    if args.open {
        open(&path).await?;
    }
    Ok(Exit::Ok)
}

/// A run's name comes out of a file: what is no letter, digit or dash has no place in a path.
fn file_name(run: &str) -> String {
    run.chars().filter(|character| character.is_ascii_alphanumeric() || *character == '-').take(64).collect()
}

async fn open(path: &Path) -> Result<(), Problem> {
    let failed =
        |why: String| Problem::new("Cannot open a browser", why).hint(format!("open {} yourself", path.display()));
    let mut command = tokio::process::Command::new("xdg-open");
    command.arg(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().await.map_err(|error| failed(format!("xdg-open: {error}")))?;
    if status.success() { Ok(()) } else { Err(failed(format!("xdg-open ended with {status}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runs_name_cannot_leave_its_folder() {
        assert_eq!(file_name("20261121-214512"), "20261121-214512");
        assert_eq!(file_name("../../etc/passwd"), "etcpasswd");
    }
}
