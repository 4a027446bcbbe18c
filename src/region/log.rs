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
    /// What else goes where the lines go.
    follow: fn(&File) -> io::Result<()>,
}

impl Log {
    /// # Errors
    /// As [`append`].
    pub fn open(home: &Path) -> io::Result<Self> {
        Self::bounded(home, FILE_BYTES_MAX, standard_error::redirect)
    }

    fn bounded(home: &Path, bytes_max: u64, follow: fn(&File) -> io::Result<()>) -> io::Result<Self> {
        let file = append(home)?;
        let written = file.metadata()?.len();
        Ok(Self { home: home.to_owned(), file, bytes_max, written, follow })
    }

    fn make_room(&mut self, bytes: usize) -> io::Result<()> {
        if self.written > 0 && self.written + bytes as u64 > self.bytes_max {
            std::fs::rename(path(&self.home), older_path(&self.home))?;
            *self = Self::bounded(&self.home, self.bytes_max, self.follow)?;
            (self.follow)(&self.file)?;
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static FOLLOWED: AtomicUsize = AtomicUsize::new(0);

    fn read(home: &Path) -> [String; 2] {
        [older_path(home), path(home)].map(|path| std::fs::read_to_string(path).unwrap_or_default())
    }

    #[test]
    fn a_full_log_becomes_the_older_one_and_both_stay_within_their_bound() {
        let home = tempfile::tempdir().unwrap();
        let follow = |_: &File| {
            FOLLOWED.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        let mut log = Log::bounded(home.path(), 16, follow).unwrap();
        let mut write = |line: &str| log.write_all(line.as_bytes()).unwrap();
        write("line 1.\n");
        write("line 2.\n");
        assert_eq!(read(home.path()), ["", "line 1.\nline 2.\n"], "exactly full is not too full");
        assert_eq!(FOLLOWED.load(Ordering::Relaxed), 0);
        write("line 3.\n");
        assert_eq!(read(home.path()), ["line 1.\nline 2.\n", "line 3.\n"]);
        assert_eq!(FOLLOWED.load(Ordering::Relaxed), 1, "standard error goes along");
        write("a line that is longer than a file\n");
        assert_eq!(read(home.path()), ["line 3.\n", "a line that is longer than a file\n"], "no line is cut");
        write("line 4.\n");
        assert_eq!(read(home.path())[1], "line 4.\n");
        // The next process goes on where this one was.
        let mut next = Log::bounded(home.path(), 16, |_| Ok(())).unwrap();
        next.write_all(b"line 5.\n").unwrap();
        next.write_all(b"line 6.\n").unwrap();
        assert_eq!(read(home.path()), ["line 4.\nline 5.\n", "line 6.\n"]);
    }

    #[test]
    fn where_no_room_can_be_made_the_line_still_counts() {
        let home = tempfile::tempdir().unwrap();
        // Nothing can take the place of a folder that is not empty.
        std::fs::create_dir_all(older_path(home.path()).join("in-the-way")).unwrap();
        let mut log = Log::bounded(home.path(), 8, |_| Ok(())).unwrap();
        log.write_all(b"line 1.\n").unwrap();
        log.write_all(b"line 2.\n").unwrap();
        assert_eq!(std::fs::read_to_string(path(home.path())).unwrap(), "line 1.\nline 2.\n");
    }

    #[test]
    fn an_opened_log_keeps_what_it_has() {
        let home = tempfile::tempdir().unwrap();
        Log::open(home.path()).unwrap().write_all(b"first\n").unwrap();
        Log::open(home.path()).unwrap().write_all(b"second\n").unwrap();
        assert_eq!(std::fs::read_to_string(path(home.path())).unwrap(), "first\nsecond\n");
    }
}
