//! Runs on disk: `.cloudscale/STACK/runs/ID/{result.json, report.html, *.csv, metrics/*}`.
//!
//! Files appear whole or not at all, and are their owner's: what a stack is called and where it runs is nobody else's business.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::csv;
use super::record::{Images, RunResult, SCHEMA};
use crate::files;
use crate::problem::Problem;

/// Our folder in the user's: runs, and which stack was last used.
pub const FOLDER: &str = ".cloudscale";
/// A larger `result.json` is not read.
const RESULT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// A larger image is not put into the report.
const IMAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The name of a run that starts now: its time in UTC, which also sorts.
pub fn run_id(started: Timestamp) -> String {
    started.to_zoned(TimeZone::UTC).strftime("%Y%m%d-%H%M%S").to_string()
}

/// The folder of a stack's runs.
pub fn runs(base: &Path, stack: &str) -> PathBuf {
    base.join(FOLDER).join(stack).join("runs")
}

/// Makes the folder of a new run. Two runs of the same second get different names.
pub fn create(base: &Path, stack: &str, started: Timestamp) -> Result<(String, PathBuf), Problem> {
    create_in(&runs(base, stack), started)
}

/// As [`create`], of a calibration.
pub fn create_calibration(base: &Path, stack: &str, started: Timestamp) -> Result<(String, PathBuf), Problem> {
    create_in(&base.join(FOLDER).join(stack).join("calibrations"), started)
}

fn create_in(runs: &Path, started: Timestamp) -> Result<(String, PathBuf), Problem> {
    fs::create_dir_all(runs).map_err(|error| unwritten(runs, &error))?;
    let id = run_id(started);
    for attempt in 1..100 {
        let name = if attempt == 1 { id.clone() } else { format!("{id}-{attempt}") };
        let folder = runs.join(&name);
        match fs::create_dir(&folder) {
            Ok(()) => return Ok((name, folder)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unwritten(&folder, &error)),
        }
    }
    Err(unwritten(&runs.join(id), &io::ErrorKind::AlreadyExists.into()))
}

/// Takes away the folder of a run that measured nothing.
pub fn discard(folder: &Path) {
    // It is empty; where it is not, or is gone, nothing is lost.
    let _ = fs::remove_dir(folder);
}

/// Writes what a run measured, then its images: a full disk costs the pictures before the figures.
pub fn write(folder: &Path, run: &RunResult, images: &Images) -> Result<(), Problem> {
    let json = serde_json::to_vec_pretty(run).expect("a result serialises: its maps have text keys");
    write_file(&folder.join("result.json"), &json)?;
    for (file, text) in csv::files(run) {
        write_file(&folder.join(file), text.as_bytes())?;
    }
    for (file, bytes) in images {
        write_file(&folder.join(file), bytes)?;
    }
    Ok(())
}

/// Writes a file as a whole, or not at all; its owner reads it.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    files::write(path, bytes).map_err(|error| unwritten(path, &error))
}

/// Adds to a file that others write, too.
pub fn append_file(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let opened = fs::OpenOptions::new().create(true).append(true).open(path);
    opened.and_then(|mut file| file.write_all(bytes)).map_err(|error| unwritten(path, &error))
}

fn unwritten(path: &Path, error: &io::Error) -> Problem {
    Problem::new("Cannot write the run's files", format!("{}: {error}", path.display()))
        .hint("check the disk's free space and the folder's permissions")
}

/// Reads a run's result.
///
/// # Errors
/// Where there is none, where it is damaged, and where a newer cloudscale wrote it.
pub fn read(folder: &Path) -> Result<RunResult, Problem> {
    let path = folder.join("result.json");
    let bytes = read_bounded(&path, RESULT_BYTES_MAX).map_err(|error| {
        let problem = Problem::new("Cannot read the run", format!("{}: {error}", path.display()));
        if error.kind() == io::ErrorKind::NotFound { problem.hint("`cloudscale bench` makes one") } else { problem }
    })?;
    let damaged = |error: serde_json::Error| {
        Problem::new("The run's result cannot be understood", format!("{}: {error}", path.display()))
    };
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(damaged)?;
    if let Some(schema) =
        value.get("schema").and_then(serde_json::Value::as_u64).filter(|schema| *schema > u64::from(SCHEMA))
    {
        let detail = format!("{} has schema {schema}; this cloudscale knows {SCHEMA}", path.display());
        return Err(Problem::new("The run was written by a newer cloudscale", detail).hint("upgrade cloudscale"));
    }
    serde_json::from_value(value).map_err(damaged)
}

/// Reads the images that a result names; those that are missing stay out.
pub fn images(folder: &Path, run: &RunResult) -> Images {
    let inside = |file: &str| Path::new(file).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let files = run.metrics.images.iter().map(|image| &image.file).filter(|file| inside(file));
    files.filter_map(|file| Some((file.clone(), read_bounded(&folder.join(file), IMAGE_BYTES_MAX).ok()?))).collect()
}

fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, bytes_max + 1), &mut bytes)?;
    if bytes.len() as u64 > bytes_max { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// The folder of the latest finished run, of one stack or of any.
pub fn latest(base: &Path, stack: Option<&str>) -> Option<PathBuf> {
    let stacks = match stack {
        Some(stack) => vec![stack.to_owned()],
        None => folders(&base.join(FOLDER)),
    };
    let runs = stacks.iter().flat_map(|stack| {
        let runs = runs(base, stack);
        folders(&runs).into_iter().map(move |id| (id.clone(), runs.join(id)))
    });
    runs.filter(|(_, folder)| folder.join("result.json").is_file()).max().map(|(_, folder)| folder)
}

/// The folders of all finished runs, the newest first.
pub fn all(base: &Path) -> Vec<PathBuf> {
    let mut runs = finished(base);
    runs.sort_by(|one, other| other.cmp(one));
    runs.into_iter().map(|(_, folder)| folder).collect()
}

/// The name and the folder of every finished run of every stack.
fn finished(base: &Path) -> Vec<(String, PathBuf)> {
    let stacks = folders(&base.join(FOLDER));
    let runs = stacks.iter().flat_map(|stack| {
        let runs = runs(base, stack);
        folders(&runs).into_iter().map(move |id| (id.clone(), runs.join(id)))
    });
    runs.filter(|(_, folder)| folder.join("result.json").is_file()).collect()
}

/// The folder that a user means: a path, or the name of a run of any stack.
pub fn find(base: &Path, name: &str) -> Result<PathBuf, Problem> {
    let path = Path::new(name);
    if path.join("result.json").is_file() {
        return Ok(path.to_owned());
    }
    if path.file_name().is_some_and(|file| file == "result.json") && path.is_file() {
        return Ok(path.parent().unwrap_or(Path::new("")).to_owned());
    }
    let known = finished(base);
    if let Some((_, folder)) = known.iter().find(|(id, _)| id == name) {
        return Ok(folder.clone());
    }
    let latest = known.iter().map(|(id, _)| id.as_str()).max();
    let hint = latest.map_or_else(|| "`cloudscale bench` makes one".to_owned(), |id| format!("the latest run is {id}"));
    Err(Problem::usage("No such run", format!("{name:?} is neither a run nor a folder with a result.json")).hint(hint))
}

fn folders(path: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let folders = entries.flatten().filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::record::{MetricImage, TargetResult};

    fn run() -> RunResult {
        let started: Timestamp = "2026-11-21T21:45:12Z".parse().expect("a timestamp");
        let target = TargetResult { name: "light".into(), distribution: vec![(0.5, 1.5)], ..TargetResult::default() };
        let mut run = RunResult::empty("web", started);
        run.targets.push(target);
        run
    }

    #[test]
    fn a_run_is_read_back_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut run = run();
        let file = "metrics/light-requests.png".to_owned();
        let image = MetricImage { file: file.clone(), title: "t".into(), cluster: None, caption: "c".into() };
        run.metrics.images.push(image);
        let images: Images = [(file, b"png".to_vec())].into();
        write(folder.path(), &run, &images).expect("written");
        assert_eq!(read(folder.path()).expect("read"), run);
        assert_eq!(super::images(folder.path(), &run), images);
        for file in ["result.json", "latency.csv"] {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = folder.path().join(file).metadata().expect("the file").permissions().mode();
            assert_eq!(mode & 0o007, 0, "{file} is not everybody's: {mode:o}");
        }
        let csv = fs::read_to_string(folder.path().join("latency.csv")).expect("the CSV");
        assert_eq!(csv, "target,quantile,latency_ms\nlight,0.5,1.5\n");
    }

    #[test]
    fn runs_of_the_same_second_have_their_own_folders_and_the_latest_is_found() {
        let base = tempfile::tempdir().expect("a folder");
        let run = run();
        for (stack, expected) in [("web", "20261121-214512"), ("web", "20261121-214512-2"), ("api", "20261121-214512")]
        {
            let (id, folder) = create(base.path(), stack, run.started).expect("created");
            assert_eq!(id, expected);
            assert_eq!(latest(base.path(), Some(stack)).filter(|latest| *latest == folder), None, "not finished yet");
            write(&folder, &run, &Images::new()).expect("written");
            assert_eq!(latest(base.path(), Some(stack)), Some(folder));
        }
        assert!(find(base.path(), "20261121-214512-2").expect("found").ends_with("web/runs/20261121-214512-2"));
        assert_eq!(find(base.path(), "20200101").expect_err("unknown").summary, "No such run");
    }

    #[test]
    fn a_result_of_a_newer_version_or_a_damaged_one_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let summary = |text: &str| {
            fs::write(folder.path().join("result.json"), text).expect("written");
            read(folder.path()).expect_err("refused").summary
        };
        assert_eq!(summary("{\"schema\": 99}"), "The run was written by a newer cloudscale");
        assert_eq!(summary("{\"schema\": 1}"), "The run's result cannot be understood");
        assert_eq!(summary("{"), "The run's result cannot be understood");
    }

    #[test]
    fn an_image_outside_the_runs_folder_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut run = run();
        for file in ["../secret.png", "/etc/hostname"] {
            let image = MetricImage { file: file.into(), title: "t".into(), cluster: None, caption: "c".into() };
            run.metrics.images.push(image);
        }
        assert_eq!(images(folder.path(), &run), Images::new());
    }
}
