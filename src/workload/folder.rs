//! A folder as the store that all instances of an application share: an object is a file of that name, whole or not there.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::platform::permissions;

/// The longest name of an object.
pub const NAME_MAX: usize = 64;
/// The most objects of a store.
pub const OBJECTS_MAX: usize = 1000;

#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Opens it; one that is not there is made.
    ///
    /// # Errors
    /// Where it cannot be made, or is somebody else's.
    pub fn open(path: &Path) -> io::Result<Self> {
        permissions::owners_folder(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// The names of all objects, in order.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // What is being written begins with a dot.
            names.extend(entry?.file_name().to_str().filter(|name| is_name(name)).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// `None` where there is no such object.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        found(fs::read(self.place(name)?))
    }

    /// Puts an object in, in the place of one of that name. It need not survive the machine, so nothing waits for the disk.
    ///
    /// # Errors
    /// Where it cannot be written, or the store is full.
    pub fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let place = self.place(name)?;
        if !place.exists() && self.list()?.len() >= OBJECTS_MAX {
            return Err(ErrorKind::StorageFull.into());
        }
        // Other instances write here, too, and one thread of ours does: the process makes the name our own.
        let beside = self.path.join(format!(".{name}.{}", std::process::id()));
        let _ = fs::remove_file(&beside);
        let written = permissions::new_file().open(&beside).and_then(|mut file| file.write_all(bytes));
        written.and_then(|()| fs::rename(&beside, place)).inspect_err(|_| drop(fs::remove_file(&beside)))
    }

    /// Takes an object away; whether it was there.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        Ok(found(fs::remove_file(self.place(name)?))?.is_some())
    }

    /// Takes all objects away.
    ///
    /// # Errors
    /// Where one cannot be removed.
    pub fn clear(&self) -> io::Result<()> {
        self.list()?.iter().try_for_each(|name| self.remove(name).map(drop))
    }

    fn place(&self, name: &str) -> io::Result<PathBuf> {
        if is_name(name) { Ok(self.path.join(name)) } else { Err(ErrorKind::InvalidInput.into()) }
    }
}

/// Whether an object may be called so. None is a path, and none is hidden.
pub fn is_name(name: &str) -> bool {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    (1..=NAME_MAX).contains(&name.len()) && !name.starts_with('.') && name.chars().all(allowed)
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_who_open_it_see_the_same_objects() {
        let place = tempfile::tempdir().unwrap();
        let (one, other) = (Folder::open(place.path()).unwrap(), Folder::open(place.path()).unwrap());
        one.put("b", b"1").unwrap();
        one.put("a", b"2").unwrap();
        other.put("b", b"3").unwrap();
        assert_eq!(other.list().unwrap(), ["a", "b"]);
        assert_eq!((one.get("b").unwrap(), one.get("c").unwrap()), (Some(b"3".to_vec()), None));
        assert!(other.remove("a").unwrap() && !one.remove("a").unwrap());
        one.clear().unwrap();
        assert!(other.list().unwrap().is_empty());
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(&place.path().join("store")).unwrap();
        fs::write(place.path().join("secret"), "x").unwrap();
        for name in ["../secret", "..", ".", "", "a/b", ".hidden", &"x".repeat(NAME_MAX + 1)] {
            assert_eq!(folder.get(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
            assert_eq!(folder.put(name, b"").unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
        }
    }
}
