//! One HTML file that says what a run measured; made of `result.json` and the widget images, nothing else.
//!
//! It needs no network, and reads without a script: styles, charts (inline SVG) and images are inside. `page.rs` lays it out, `cloud.rs`
//! says what the cloud did (`events.rs` what happened), `chart.rs` and `timeline.rs` draw with [`crate::chart::drawing`], `words.rs` makes sentences, `conclusion.rs` says what may be said of two measurements, `compare.rs` sets two runs side by side. Everything from outside goes through
//! maud, which escapes it.

pub mod calibration;
mod chart;
mod cloud;
pub mod compare;
pub mod conclusion;
mod events;
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
    let page = calibration::render(run);
    let path = write_page(folder, &page)?;
    write_pictures(folder, &page)?;
    Ok(path)
}

/// Writes everything of a run into its folder: figures, images, and the report last. Answers the report's path.
pub fn write(folder: &Path, run: &RunResult, images: &Images) -> Result<PathBuf, Problem> {
    store::write(folder, run, images)?;
    let page = render(run, images);
    let path = write_page(folder, &page)?;
    // Last: a full disk costs these and nothing else.
    write_pictures(folder, &page)?;
    Ok(path)
}

fn write_page(folder: &Path, page: &str) -> Result<PathBuf, Problem> {
    let path = folder.join("report.html");
    store::write_file(&path, page.as_bytes())?;
    Ok(path)
}

/// The page's figures, for pasting.
fn write_pictures(folder: &Path, page: &str) -> Result<(), Problem> {
    for picture in crate::chart::pictures(page) {
        store::write_file(&folder.join("charts").join(picture.file), &picture.png)?;
    }
    Ok(())
}

#[cfg(test)]
mod figure_tests;
#[cfg(test)]
mod tests;
