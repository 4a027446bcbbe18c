//! `region.log`: what the region says of itself, in two files that cannot grow for ever.
//!
//! It is appended to: a start that finds a region running leaves what that one has said. When it is full it becomes
//! `region.log.1`, in place of an older one. The standard error of the region's process goes the same way.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::platform::{permissions, standard_error};

/// How much one of the two files holds.
const FILE_BYTES_MAX: u64 = 5 * 1024 * 1024;

/// The newest lines' file of a region's home.
pub fn path(home: &Path) -> PathBuf {
    home.join("region.log")
}

fn older_path(home: &Path) -> PathBuf {
    home.join("region.log.1")
}

/// Opens the log to be added to.
///
/// # Errors
/// Where it cannot be made, or is somebody else's.
pub fn append(home: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.append(true).create(true);
    permissions::private(&mut options);
    options.open(path(home))
}

/// The log of the region that runs, open for writing.
#[derive(Debug)]
pub struct Log {
    home: PathBuf,
    file: File,
    bytes_max: u64,
    written: u64,
}

impl Log {
    /// # Errors
    /// As [`append`].
    pub fn open(home: &Path) -> io::Result<Self> {
        Self::bounded(home, FILE_BYTES_MAX)
    }

    fn bounded(home: &Path, bytes_max: u64) -> io::Result<Self> {
        let file = append(home)?;
        let written = file.metadata()?.len();
        Ok(Self { home: home.to_owned(), file, bytes_max, written })
    }

    fn make_room(&mut self, bytes: usize) -> io::Result<()> {
        if self.written > 0 && self.written + bytes as u64 > self.bytes_max {
            std::fs::rename(path(&self.home), older_path(&self.home))?;
            *self = Self::bounded(&self.home, self.bytes_max)?;
            standard_error::redirect(&self.file)?;
        }
        Ok(())
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Where there is no room to be made, the line still counts more than the bound.
        let _ = self.make_room(bytes.len());
        let count = self.file.write(bytes)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opened_log_keeps_what_it_has() {
        let home = tempfile::tempdir().unwrap();
        Log::open(home.path()).unwrap().write_all(b"first\n").unwrap();
        Log::open(home.path()).unwrap().write_all(b"second\n").unwrap();
        assert_eq!(std::fs::read_to_string(path(home.path())).unwrap(), "first\nsecond\n");
    }
}
