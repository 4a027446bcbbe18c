//! One HTML file that says what a run measured; made of `result.json` and the widget images, nothing else.
//!
//! It needs no network and no script: styles, charts (inline SVG) and images are inside. `page.rs` lays it out, `chart.rs`
//! draws, `words.rs` makes sentences, `conclusion.rs` says what may be said of two measurements, `compare.rs` sets two runs side by side. Everything from outside goes through
//! maud, which escapes it.

pub mod calibration;
mod capacity;
mod chart;
pub mod compare;
pub mod conclusion;
mod drawing;
pub mod junit;
pub mod markdown;
mod page;
mod scaling_until;
mod timeline;
pub mod words;

use std::path::{Path, PathBuf};

pub use page::render;

use crate::problem::Problem;
use crate::result::calibration::Calibration;
use crate::result::record::{Images, RunResult};
use crate::result::store;

/// Writes a calibration and its page into its folder. Answers the page's path.
pub fn write_calibration(folder: &Path, run: &Calibration) -> Result<PathBuf, Problem> {
    crate::result::calibration::write(folder, run)?;
    let path = folder.join("report.html");
    store::write_file(&path, calibration::render(run).as_bytes())?;
    Ok(path)
}

/// Writes everything of a run into its folder: figures, images, and the report last. Answers the report's path.
pub fn write(folder: &Path, run: &RunResult, images: &Images) -> Result<PathBuf, Problem> {
    store::write(folder, run, images)?;
    let path = folder.join("report.html");
    store::write_file(&path, render(run, images).as_bytes())?;
    Ok(path)
}

#[cfg(test)]
mod figure_tests;
#[cfg(test)]
mod tests;
