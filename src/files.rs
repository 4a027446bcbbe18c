//! Files that we leave with the user: whole or not at all, and readable by their owner alone.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::platform::permissions;

/// How many names are tried for the file that is written first: others of our processes may write beside it.
const NAMES_MAX: u32 = 100;

/// Writes a file. It is written beside its place and renamed, so it takes the place of what stands there, a symbolic link
/// included, and never writes through one. Folders on the way are made.
///
/// # Errors
/// Where it cannot be written; then what was there before still is.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    if !folder.as_os_str().is_empty() {
        fs::create_dir_all(folder)?;
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let (beside, mut file) = beside(folder, &name)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.and_then(|()| fs::rename(&beside, path)).inspect_err(|_| {
        // What is half written is of no use; that it cannot be removed either changes nothing.
        let _ = fs::remove_file(&beside);
    })
}

/// As [`write`], only where nothing stands there yet: of several that write at once, one does.
///
/// # Errors
/// As [`write`]; `AlreadyExists` where something does.
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let (beside, mut file) = beside(folder, &name)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&beside, path));
    let _ = fs::remove_file(&beside);
    written
}

/// As [`write`], to a path that the user has named: links are followed, and a device or a pipe is written to as it is.
///
/// # Errors
/// As [`write`].
pub fn write_named(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::canonicalize(path) {
        Ok(known) if known.is_file() => write(&known, bytes),
        Ok(other) => fs::OpenOptions::new().write(true).open(other)?.write_all(bytes),
        Err(_) => write(path, bytes),
    }
}

/// A new file in the folder.
fn beside(folder: &Path, name: &str) -> io::Result<(PathBuf, fs::File)> {
    for attempt in 0..NAMES_MAX {
        let path = folder.join(format!(".{name}.{}.{attempt}", std::process::id()));
        match permissions::new_file().open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return Ok((path, opened?)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_with_the_folders_on_its_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/c.txt");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_exists_is_not_created_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path, b"one").unwrap();
        assert_eq!(create(&path, b"two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_named_link_is_followed_and_a_device_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("plan.json"), "old").unwrap();
        std::os::unix::fs::symlink(at("plan.json"), at("link")).unwrap();
        write_named(&at("link"), b"new").unwrap();
        assert_eq!(fs::read(at("plan.json")).unwrap(), b"new");
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        write_named(Path::new("/dev/null"), b"gone").unwrap();
        write_named(&at("first"), b"new").unwrap();
        assert_eq!(fs::read(at("first")).unwrap(), b"new");
    }

    #[test]
    fn a_link_in_its_place_is_replaced_and_what_it_points_to_stays() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("precious"), "mine").unwrap();
        for link in ["place".to_owned(), format!(".place.{}.0", std::process::id())] {
            std::os::unix::fs::symlink(at("precious"), at(&link)).unwrap();
        }
        write(&at("place"), b"ours").unwrap();
        assert_eq!(fs::read(at("precious")).unwrap(), b"mine");
        assert_eq!(fs::read(at("place")).unwrap(), b"ours");
        let place = fs::symlink_metadata(at("place")).unwrap();
        assert!(place.is_file() && place.permissions().mode() & 0o007 == 0);
    }
}
