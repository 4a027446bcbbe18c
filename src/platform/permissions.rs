//! Who may read what we write: files and folders for their owner alone.
//!
//! A umask other than the usual 022 was set on purpose: what it leaves to the group, the group gets. Others get
//! nothing.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// What almost every system starts with: it says nothing about what its user wants.
const USUAL_UMASK: u32 = 0o022;

/// Opens for writing what is made by this call, and what it makes is private.
///
/// Nothing may stand at `path` yet, not even a symbolic link: what somebody else put there is neither followed nor
/// written.
#[must_use]
pub fn new_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    options
}

/// What the options create is private.
pub fn private(options: &mut OpenOptions) {
    options.mode(file_mode(umask()));
}

/// Makes a folder that only its owner enters, whatever the umask; one that exists already becomes so.
///
/// # Errors
/// Where it cannot be made, or is somebody else's.
pub fn owners_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}

/// Makes `folder`, for its owner alone, with nothing in it but a link to `program` by this name.
///
/// # Errors
/// Where it cannot be made.
pub fn folder_of_program(folder: &Path, program: &Path, name: &str) -> io::Result<()> {
    owners_folder(folder)?;
    let link = folder.join(name);
    match std::fs::remove_file(&link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::os::unix::fs::symlink(program, link)
}

fn file_mode(umask: Option<u32>) -> u32 {
    match umask {
        None | Some(USUAL_UMASK) => 0o600,
        Some(umask) => 0o600 | (0o060 & !umask),
    }
}

/// This process's umask, where the kernel reports it without changing it.
fn umask() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let digits = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(digits.trim(), 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_its_owners_unless_the_umask_shares_it_on_purpose() {
        let modes: Vec<_> = [None, Some(0o022), Some(0o077), Some(0o027), Some(0o007), Some(0o002), Some(0)]
            .map(|umask| format!("{:o}", file_mode(umask)))
            .into();
        assert_eq!(modes, ["600", "600", "600", "640", "660", "660", "660"]);
    }

    #[test]
    fn a_folder_that_was_open_to_all_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        owners_folder(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_new_file_does_not_follow_what_stands_there() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert_eq!(new_file().open(&link).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(!target.exists());
    }
}
