//! Where this process's standard error goes.

use std::fs::File;
use std::io;

/// Sends it to a file from now on.
///
/// # Errors
/// Where the process may open no more files.
pub fn redirect(file: &File) -> io::Result<()> {
    Ok(rustix::stdio::dup2_stderr(file)?)
}
