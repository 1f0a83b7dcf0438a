//! Files that nobody else can have a hand in, and most of which only their owner may read.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// Writes a file atomically, readable by its owner alone. What was there before, a symbolic link too, is replaced
/// and not written to.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, content, 0o600)
}

/// As [`write`], but for everybody to read.
pub(crate) fn write_public(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, content, 0o644)
}

fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let Some(name) = path.file_name() else { return Err(io::ErrorKind::InvalidFilename.into()) };
    let mut temporary = OsString::from(".");
    temporary.push(name);
    // A name that nobody can prepare a trap at; and an existing file is not opened anyway.
    temporary.push(format!(".{:016x}", RandomState::new().hash_one(std::process::id())));
    let temporary = path.with_file_name(temporary);
    let written = write_new(&temporary, content, mode).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Makes the folder of a file, for its owner alone, when only that one is missing.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.exists() => fs::DirBuilder::new().mode(0o700).create(folder),
        _ => Ok(()),
    }
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (victim, path) = (folder.path().join("victim"), folder.path().join("zephyr.db"));
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        write(&path, b"one").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert!(metadata.is_file());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);

        write(&path, b"two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left behind");
        assert!(write(&folder.path().join("no/such/folder"), b"").is_err());
        assert!(write(Path::new("/"), b"").is_err());
    }
}
