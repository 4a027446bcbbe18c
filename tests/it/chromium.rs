//! Headless Chromium, for whatever has a page to look at: the stories, and the library's tests of reports.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// `CHROMIUM` names one.
pub fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let usual = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].map(PathBuf::from);
    named.into_iter().chain(usual).find(|path| path.is_file())
}

/// Runs it on a page, with its profile in `folder`; answers what it prints.
pub fn browse(chromium: &Path, folder: &Path, url: &str, arguments: &[String]) -> String {
    let mut command = Command::new(chromium);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.arg(format!("--user-data-dir={}", folder.join("profile").display())).args(arguments);
    let output = command.arg(url).stderr(Stdio::null()).output().expect("Chromium starts");
    assert!(output.status.success(), "{}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
