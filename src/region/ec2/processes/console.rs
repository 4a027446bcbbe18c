//! An instance's console: what its user data prints, in a file that cannot grow for ever.
//!
//! `console.log` is moved to `console.log.1` when it is full, so the newest lines are always there.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::platform::permissions;

/// How much one of the two files holds.
const FILE_BYTES_MAX: u64 = 10 * 1024 * 1024;
/// How much GetConsoleOutput answers, as on AWS: the last 64 KB.
const TAIL_BYTES: u64 = 64 * 1024;

/// The newest lines' file of an instance's folder.
pub fn path(folder: &Path) -> PathBuf {
    folder.join("console.log")
}

fn older_path(folder: &Path) -> PathBuf {
    folder.join("console.log.1")
}

/// The console, open for writing.
#[derive(Debug)]
pub struct Console {
    folder: PathBuf,
    file: File,
    written: u64,
}

impl Console {
    /// Opens the console of an instance's folder; what it holds stays.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let mut options = File::options();
        options.create(true).append(true);
        // What a script prints may hold what only its owner is to know.
        permissions::private(&mut options);
        let file = options.open(path(folder))?;
        let written = file.metadata()?.len();
        Ok(Self { folder: folder.to_owned(), file, written })
    }

    /// Adds to the console; makes room first where it is full.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = bytes.len() as u64;
        if self.written > 0 && self.written + length > FILE_BYTES_MAX {
            std::fs::rename(path(&self.folder), older_path(&self.folder))?;
            *self = Self::open(&self.folder)?;
        }
        self.written += length;
        self.file.write_all(bytes)
    }
}

/// A line of our own, as the console shows it.
pub fn noted(line: &str) -> String {
    format!("[cloudscale] {line}\n")
}

/// The console's last 64 KB; empty where there is none.
pub fn tail(folder: &Path) -> io::Result<Vec<u8>> {
    let mut tail = last_bytes(&path(folder), TAIL_BYTES)?;
    let missing = TAIL_BYTES - tail.len() as u64;
    if missing > 0 {
        let mut older = last_bytes(&older_path(folder), missing)?;
        older.append(&mut tail);
        tail = older;
    }
    Ok(tail)
}

fn last_bytes(file: &Path, count: u64) -> io::Result<Vec<u8>> {
    let mut file = match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(count)))?;
    let mut bytes = Vec::new();
    file.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_console_keeps_its_newest_lines() {
        let folder = tempfile::tempdir().unwrap();
        let mut console = Console::open(folder.path()).unwrap();
        let block = vec![b'a'; usize::try_from(FILE_BYTES_MAX).unwrap()];
        console.write(&block).unwrap();
        console.write(noted("newest").as_bytes()).unwrap();
        assert_eq!(std::fs::read(path(folder.path())).unwrap(), b"[cloudscale] newest\n");
        let tail = tail(folder.path()).unwrap();
        assert_eq!(tail.len() as u64, TAIL_BYTES);
        assert!(tail.ends_with(b"aa[cloudscale] newest\n"));
    }

    #[test]
    fn an_instance_without_a_console_has_an_empty_tail() {
        assert_eq!(tail(tempfile::tempdir().unwrap().path()).unwrap(), b"");
    }
}
