//! Files that nobody else can have a hand in, and most of which only their owner may read.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};
use zephyr_config::file::what_else;

/// Writes a file atomically, readable by its owner alone. A file that was there before, and a symbolic link to one, is
/// replaced and not written to.
///
/// # Errors
///
/// What is no ordinary file stays: a device, a pipe, a socket, a folder, and a link that leads to no file.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, content, 0o600)
}

/// As [`write`], but for everybody to read.
pub(crate) fn write_public(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, content, 0o644)
}

fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let Some(name) = path.file_name() else { return Err(io::ErrorKind::InvalidFilename.into()) };
    replaceable(path)?;
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

/// Refuses the place of anything but a file. Others on the machine need what is there as it is, such as `/dev/null`.
fn replaceable(path: &Path) -> io::Result<()> {
    let kind = match fs::symlink_metadata(path) {
        Ok(about) => about.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let Some(mut what) = what_else(kind) else { return Ok(()) };
    if kind.is_symlink() {
        what = match fs::metadata(path) {
            Ok(target) if target.is_file() => return Ok(()),
            Ok(_) => "a link to something that is no ordinary file",
            Err(error) if error.kind() == io::ErrorKind::NotFound => "a link that leads nowhere",
            Err(error) => return Err(error),
        };
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, and only an ordinary file is replaced")))
}

/// Makes the folder of a file, for its owner alone, when only that one is missing.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.exists() => fs::DirBuilder::new().mode(0o700).create(folder),
        _ => Ok(()),
    }
}

/// A new file, readable by its owner alone. There must be nothing of its name.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::{
        sys::stat::{Mode, SFlag, makedev, mknod},
        unistd::{geteuid, mkfifo},
    };
    use std::os::unix::{
        fs::{MetadataExt, PermissionsExt, symlink},
        net::UnixListener,
    };

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (victim, path) = (folder.path().join("victim"), folder.path().join("zephyr.db"));
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, &path).unwrap();
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

    #[test]
    fn what_is_no_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        mkfifo(&path("pipe"), Mode::S_IRWXU).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        fs::create_dir(path("folder")).unwrap();
        symlink(path("pipe"), path("to pipe")).unwrap();
        symlink(path("nothing"), path("to nothing")).unwrap();
        let mut names = vec![
            ("pipe", "a pipe"),
            ("socket", "a socket"),
            ("folder", "a directory"),
            ("to pipe", "a link to something that is no ordinary file"),
            ("to nothing", "a link that leads nowhere"),
        ];
        // Only root makes devices.
        if geteuid().is_root() && mknod(&path("null"), SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 3)).is_ok() {
            names.push(("null", "a device"));
        }
        for (name, what) in names {
            let before = fs::symlink_metadata(path(name)).unwrap();
            for error in [write(&path(name), b"dump").unwrap_err(), write_public(&path(name), b"1").unwrap_err()] {
                assert_eq!(error.to_string(), format!("it is {what}, and only an ordinary file is replaced"));
            }
            let after = fs::symlink_metadata(path(name)).unwrap();
            assert_eq!((before.ino(), before.mode()), (after.ino(), after.mode()), "{name}");
        }
        assert!(!path("nothing").exists());
    }
}
