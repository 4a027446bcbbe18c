//! What a folder takes of the disk.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// `st_blocks` counts these, whatever the file system's own are (stat(3type)).
const BLOCK_BYTES: u64 = 512;
/// Entries that are looked at: more are not worth the time.
const ENTRIES_MAX: usize = 1_000_000;

/// Bytes of everything below `folder`, as far as they are needed to know that there are more than `bound`. Links are not
/// followed; what goes while we look is not there.
pub fn used(folder: &Path, bound: u64) -> u64 {
    let (mut bytes, mut entries) = (0, 0);
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            bytes += metadata.blocks() * BLOCK_BYTES;
            entries += 1;
            if bytes > bound || entries > ENTRIES_MAX {
                return bytes;
            }
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_below_count_and_what_links_lead_to_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, elsewhere) = (folder.path().join("a/b"), tempfile::tempdir().unwrap());
        fs::create_dir_all(&inner).unwrap();
        fs::write(elsewhere.path().join("large"), vec![1; 4_000_000]).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), inner.join("link")).unwrap();
        fs::write(inner.join("file"), vec![1; 1_000_000]).unwrap();
        let used_now = used(folder.path(), u64::MAX);
        assert!((1_000_000..2_000_000).contains(&used_now), "{used_now}");
        assert!(used(folder.path(), 10_000) > 10_000);
        assert_eq!(used(&folder.path().join("nothing"), 10), 0);
    }

    #[test]
    fn a_hole_in_a_file_takes_no_disk() {
        let folder = tempfile::tempdir().unwrap();
        fs::File::create(folder.path().join("sparse")).unwrap().set_len(1 << 40).unwrap();
        assert!(used(folder.path(), u64::MAX) < 1_000_000);
    }
}
