//! `report [RUN]`: rebuild a run's report, open or print it, compare runs, or list them.

mod browser;

use std::path::{Path, PathBuf};

use super::{Outcome, Session};
use crate::exit::Exit;
use crate::problem::Problem;
use crate::report;
use crate::result::listing::RunLine;
use crate::result::store;
use crate::ui;

/// Rebuild the report of a run from its result, and print where it is
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's name or folder [default: the latest run in this folder]
    #[arg(conflicts_with = "compare")]
    run: Option<String>,
    /// List the runs in this folder
    #[arg(long, conflicts_with_all = ["run", "compare", "open", "pdf"])]
    list: bool,
    /// Open the report in a browser
    #[arg(long)]
    open: bool,
    /// Also print the report into a PDF file, by Chromium
    #[arg(long, value_name = "FILE")]
    pdf: Option<PathBuf>,
    /// Compare runs, target by target, each with the first
    #[arg(long, num_args = 2.., value_name = "RUN")]
    compare: Option<Vec<String>>,
    /// Print as JSON: the run's result, the comparison, or the list
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let base = Path::new("");
    if args.list {
        return list(base, args.json, session);
    }
    let path = match args.compare.as_deref() {
        Some(names) => compare(base, names, args.json, session)?,
        None => {
            let folder = match &args.run {
                Some(name) => store::find(base, name)?,
                None => store::latest(base, None).ok_or_else(no_run)?,
            };
            let result = store::read(&folder)?;
            let path = report::write(&folder, &result, &store::images(&folder, &result))?;
            if args.json {
                session.printer.json(&result);
            }
            path
        }
    };
    if let Some(pdf) = &args.pdf {
        browser::print(&path, pdf).await?;
    }
    if !args.json {
        session.printer.result(&path.display().to_string());
    }
    if args.open {
        browser::open(&path).await?;
    }
    Ok(Exit::Ok)
}

fn no_run() -> Problem {
    Problem::usage("No run yet", format!("there is no finished run in {}", store::FOLDER))
        .hint("`cloudscale bench` makes one")
}

fn list(base: &Path, json: bool, session: &Session) -> Outcome {
    let runs: Vec<RunLine> = store::all(base).iter().map(|folder| RunLine::of(folder)).collect();
    if json {
        session.printer.json(&runs);
    } else if runs.is_empty() {
        return Err(no_run().into());
    } else {
        session.printer.painted_result(&ui::bench::runs(&runs, session.printer.width()));
    }
    Ok(Exit::Ok)
}

/// Writes and prints the comparison of runs with the first of them; answers its page.
fn compare(base: &Path, names: &[String], json: bool, session: &Session) -> Result<PathBuf, Problem> {
    let mut runs = Vec::new();
    for name in names {
        let folder = store::find(base, name)?;
        runs.push((store::read(&folder)?, folder));
    }
    let (Some(((before, _), others)), Some((_, last))) = (runs.split_first(), runs.last()) else {
        return Err(no_run());
    };
    let comparisons: Vec<_> = others.iter().map(|(after, _)| report::compare::compare(before, after)).collect();
    let path = last.join(format!("compare-{}.html", file_name(&before.run)));
    store::write_file(&path, report::compare::page(&comparisons).as_bytes())?;
    match (json, comparisons.as_slice()) {
        (true, [one]) => session.printer.json(one),
        (true, all) => session.printer.json(&all),
        (false, all) => {
            for one in all {
                let (paint, width) = (session.printer.paint(), session.printer.width());
                session.printer.painted_result(&ui::bench::comparison(one, paint, width));
            }
        }
    }
    Ok(path)
}

/// A run's name comes out of a file: what is no letter, digit or dash has no place in a path.
fn file_name(run: &str) -> String {
    run.chars().filter(|character| character.is_ascii_alphanumeric() || *character == '-').take(64).collect()
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
