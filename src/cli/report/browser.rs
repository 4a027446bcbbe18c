//! A report in a browser: opened for the user, or printed into a PDF file by Chromium without a window.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::clock;
use crate::files;
use crate::platform::system;
use crate::problem::Problem;

/// What Chromium and its kin are called; the first that starts is taken. `CHROMIUM` names another.
const NAMES: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
const PRINTS_WITHIN: Duration = Duration::from_secs(60);

pub async fn open(path: &Path) -> Result<(), Problem> {
    let failed =
        |why: String| Problem::new("Cannot open a browser", why).hint(format!("open {} yourself", path.display()));
    let mut command = Command::new("xdg-open");
    command.arg(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().await.map_err(|error| failed(format!("xdg-open: {error}")))?;
    if status.success() { Ok(()) } else { Err(failed(format!("xdg-open ended with {status}"))) }
}

/// Prints a page into `pdf`.
pub async fn print(page: &Path, pdf: &Path) -> Result<(), Problem> {
    let failed = |why: String| {
        Problem::new("Cannot print the report", why)
            .hint(format!("open {} in any browser and print it from there", page.display()))
    };
    let page = std::path::absolute(page).map_err(|error| failed(error.to_string()))?;
    let folder = scratch().map_err(|error| failed(error.to_string()))?;
    let printed = printed(&page, &folder).await;
    // It holds a browser's profile and nothing of the user's; what stays of it the system's own cleaning takes.
    let bytes = printed.and_then(|()| std::fs::read(folder.join("report.pdf")).map_err(|error| error.to_string()));
    let _ = std::fs::remove_dir_all(&folder);
    files::write_named(pdf, &bytes.map_err(failed)?).map_err(|error| failed(format!("{}: {error}", pdf.display())))
}

/// A new folder of our own.
fn scratch() -> std::io::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("cloudscale-print-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    Ok(folder)
}

async fn printed(page: &Path, folder: &Path) -> Result<(), String> {
    let named = std::env::var("CHROMIUM").ok().filter(|name| !name.is_empty());
    let names: Vec<&str> = named.as_deref().map_or_else(|| NAMES.to_vec(), |name| vec![name]);
    for name in &names {
        let mut command = Command::new(name);
        command.args(["--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking"]);
        command.args(["--disable-component-update", "--disable-sync", "--no-pdf-header-footer"]);
        // Chromium refuses its sandbox to root; the page is ours, runs no script and loads nothing.
        command.args((system::user_id() == 0).then_some("--no-sandbox"));
        command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
        command.arg(format!("--print-to-pdf={}", folder.join("report.pdf").display()));
        command.arg(format!("file://{}", escaped(page)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("{name}: {error}")),
        };
        return tokio::select! {
            status = child.wait() => match status {
                Ok(status) if status.success() => Ok(()),
                Ok(status) => Err(format!("{name} ended with {status}")),
                Err(error) => Err(format!("{name}: {error}")),
            },
            () = clock::sleep(PRINTS_WITHIN) => Err(format!("{name} took more than {} s", PRINTS_WITHIN.as_secs())),
        };
    }
    Err(format!("there is no Chromium: none of {} starts, and CHROMIUM names another", names.join(", ")))
}

/// A path in a URL.
fn escaped(path: &Path) -> String {
    let text = path.to_string_lossy();
    percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string().replace("%2F", "/")
}
