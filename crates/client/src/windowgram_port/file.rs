//! The port file itself. Its directory may be one that everybody can write to.

use super::{CreateError, Created, Owner, Place, ReadError};
use nix::{errno::Errno, fcntl::OFlag};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    hash::{BuildHasher as _, RandomState},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    process,
};

/// The maximum number of octets read of a port file.
const MAX_LEN: u64 = 16;
/// The user ID of root, who can make files in anybody's name.
const ROOT: u32 = 0;

/// Reads the port from a file of `user`, or of root.
pub(super) fn read(path: &Path, user: u32) -> Result<u16, ReadError> {
    let failed = |error| ReadError::Io { path: path.into(), error };
    // A link is not followed, and a pipe not waited for. The owner is that of what was opened, whatever has the name by then.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) if error.raw_os_error() == Some(Errno::ELOOP as i32) => return Err(ReadError::NoFile(path.into())),
        Err(error) => return Err(failed(error)),
    };
    let known = file.metadata().map_err(failed)?;
    if !known.is_file() {
        return Err(ReadError::NoFile(path.into()));
    }
    if known.uid() != user && known.uid() != ROOT {
        return Err(ReadError::Foreign { path: path.into(), owner: Owner(known.uid()) });
    }
    let mut text = String::new();
    file.take(MAX_LEN).read_to_string(&mut text).map_err(|_| ReadError::NoPort(path.into()))?;
    let number: u16 = text.trim().parse().map_err(|_| ReadError::NoPort(path.into()))?;
    Ok(u16::from_be(number))
}

/// Creates the file for `user`, in place of one with a port at which no client `runs`; see [`super::create`].
pub(super) fn create(
    place: &Place,
    port: u16,
    user: u32,
    runs: impl FnOnce(u16) -> bool,
) -> Result<Created, CreateError> {
    let path = &place.path;
    // Where a file is, nothing need be written to know that.
    if fs::symlink_metadata(path).is_err() {
        match write_new(path, port) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => {
                return result.map(|()| Created::New).map_err(|error| CreateError::Io { path: path.clone(), error });
            }
        }
    }
    check_owner(path, user)?;
    match read(path, user) {
        // The same port is this client's own by now, whoever had it before.
        Ok(known) if known != port && runs(known) => {
            return Err(CreateError::Runs { path: path.clone(), port: known });
        }
        Ok(_) => {}
        // Whoever writes one in parts, or found no room for all of it.
        Err(ReadError::NoPort(_)) if is_beginning(path) => {}
        Err(ReadError::NoPort(_) | ReadError::NoFile(_) | ReadError::Foreign { .. }) => {
            return Err(CreateError::NotAPortFile(path.clone()));
        }
        Err(ReadError::Io { path, error }) => return Err(CreateError::Io { path, error }),
    }
    renew(place, port, user).map(|()| Created::InPlaceOfLeftover)
}

/// Whether a file has nothing that a port file might not have begun with.
fn is_beginning(path: &Path) -> bool {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_LEN + 1).read_to_end(&mut text));
    read.is_ok_and(|len| len as u64 <= MAX_LEN)
        && text.iter().all(|octet| octet.is_ascii_digit() || octet.is_ascii_whitespace() || *octet == 0)
}

/// Replaces the file by one with this port, unless it is not `user`'s.
pub(super) fn renew(place: &Place, port: u16, user: u32) -> Result<(), CreateError> {
    let path = &place.path;
    check_owner(path, user)?;
    let replaced = with_temporary(path, port, |temporary| fs::rename(temporary, path));
    replaced.map_err(|error| CreateError::Io { path: path.clone(), error })
}

/// Removes the file, unless it has another port.
pub(super) fn remove(place: &Place, port: u16, user: u32) -> io::Result<()> {
    match read(&place.path, user) {
        Ok(known) if known == port => fs::remove_file(&place.path),
        Err(ReadError::Io { error, .. }) => Err(error),
        // It belongs to whoever has put it there since.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Checks that what has this name, if anything has, was made by `user`.
fn check_owner(path: &Path, user: u32) -> Result<(), CreateError> {
    match fs::symlink_metadata(path) {
        Ok(known) if known.uid() != user => Err(CreateError::Foreign { path: path.into(), owner: Owner(known.uid()) }),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Makes a new file; nothing that has its name is changed.
fn write_new(path: &Path, port: u16) -> io::Result<()> {
    with_temporary(path, port, |temporary| match fs::hard_link(temporary, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && fs::symlink_metadata(path).is_err() => {
            // A file system without links.
            fs::rename(temporary, path)
        }
        linked => linked,
    })
}

/// Writes the port to a file beside `path`, which is there for `put` alone: so that no other program finds half a file.
fn with_temporary(path: &Path, port: u16, put: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let Some(name) = path.file_name() else { return Err(io::ErrorKind::InvalidFilename.into()) };
    let mut temporary = OsString::from(".");
    temporary.push(name);
    // A name that nobody can prepare a trap at; and an existing file is not opened anyway.
    temporary.push(format!(".{:016x}", RandomState::new().hash_one(process::id())));
    let temporary = path.with_file_name(temporary);
    let written = write(&temporary, port).and_then(|()| put(&temporary));
    // After a rename there is none.
    let _ = fs::remove_file(&temporary);
    written
}

fn write(path: &Path, port: u16) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).open(path)?;
    // The number is that of the port's two octets in network order, read as this machine reads numbers.
    writeln!(file, "{}", port.to_be())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account;
    use nix::{sys::stat::Mode, unistd::mkfifo};
    use std::os::unix::fs::{chown, symlink};

    fn place(folder: &tempfile::TempDir) -> Place {
        Place { path: folder.path().join("wg") }
    }

    fn user() -> u32 {
        account::user_id()
    }

    /// Nobody runs, whatever the port.
    fn nobody(_: u16) -> bool {
        false
    }

    /// The names in a folder.
    fn names(folder: &tempfile::TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn the_number_is_in_network_order() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        assert_eq!(create(&place, 55955, user(), nobody).unwrap(), Created::New);
        let number: u16 = fs::read_to_string(&place.path).unwrap().trim_end().parse().unwrap();
        assert_eq!(number.to_ne_bytes(), 55955_u16.to_be_bytes());
        if cfg!(target_endian = "little") {
            assert_eq!(number, 37850);
        }
        assert_eq!(read(&place.path, user()).unwrap(), 55955);
    }

    #[test]
    fn nothing_is_touched_that_no_client_has_left() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        let file = folder.path().join("precious");
        symlink(&file, &place.path).unwrap();
        let result = create(&place, 5, user(), nobody);
        assert!(matches!(&result, Err(CreateError::NotAPortFile(path)) if *path == place.path), "{result:?}");
        assert!(!file.exists(), "a dangling link must not be followed");
        fs::write(&file, "5\n").unwrap();
        assert!(matches!(read(&place.path, user()), Err(ReadError::NoFile(_))), "nor is it read");
        renew(&place, 5, user()).unwrap();
        assert_eq!((fs::read_to_string(&file).unwrap().as_str(), read(&place.path, user()).unwrap()), ("5\n", 5));
        for text in ["My thesis, 300 pages", "-5\n", "12345678901234567", "\u{fffd}"] {
            fs::write(&place.path, text).unwrap();
            assert!(matches!(create(&place, 5, user(), nobody), Err(CreateError::NotAPortFile(_))), "{text}");
            assert_eq!(fs::read_to_string(&place.path).unwrap(), text);
        }
        assert_eq!(names(&folder).len(), 2, "nothing is left behind");
    }

    /// Somebody else's file: made by this process's user, and looked at by another.
    #[test]
    fn what_somebody_else_has_made_decides_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        fs::write(&place.path, "5\n").unwrap();
        if user() == ROOT {
            chown(&place.path, Some(4321), None).unwrap();
        }
        let owner = Owner(fs::metadata(&place.path).unwrap().uid());
        let somebody = owner.0 + 1;
        let made = create(&place, 5, somebody, nobody).map(drop);
        for result in [made, renew(&place, 5, somebody)] {
            assert!(matches!(result, Err(CreateError::Foreign { owner: of, .. }) if of == owner), "{result:?}");
        }
        let error = read(&place.path, somebody).unwrap_err();
        assert_eq!(error.to_string(), format!("{} belongs to {owner}, so it says nothing", place.path.display()));
        assert!(read(&place.path, owner.0).is_ok(), "as it does for its owner");
        assert_eq!(Owner(4_000_000_001).to_string(), "uid 4000000001");
    }

    #[test]
    fn no_pipe_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        mkfifo(&place.path, Mode::S_IRUSR).unwrap();
        assert!(matches!(read(&place.path, user()), Err(ReadError::NoFile(_))));
        assert!(matches!(read(folder.path(), user()), Err(ReadError::NoFile(_))));
    }

    #[test]
    fn what_a_killed_client_has_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        create(&place, 7, user(), nobody).unwrap();
        assert!(matches!(create(&place, 5, user(), |port| port == 7), Err(CreateError::Runs { port: 7, .. })));
        assert_eq!(read(&place.path, user()).unwrap(), 7);
        assert_eq!(create(&place, 7, user(), |_| true).unwrap(), Created::InPlaceOfLeftover, "it has its port itself");
        for left in ["", "18", "\0\0\0\0\0\0", "99999\n", " \n"] {
            fs::write(&place.path, left).unwrap();
            assert_eq!(create(&place, 5, user(), nobody).unwrap(), Created::InPlaceOfLeftover, "{left:?}");
            assert_eq!(read(&place.path, user()).unwrap(), 5);
        }
        assert_eq!(names(&folder), ["wg"], "nothing else is left behind");
    }

    #[test]
    fn nobody_elses_port_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        create(&place, 7, user(), nobody).unwrap();
        remove(&place, 8, user()).unwrap();
        assert!(place.path.exists());
        remove(&place, 7, user()).unwrap();
        assert!(!place.path.exists());
        assert_eq!(remove(&place, 7, user()).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_without_a_number_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = place(&folder).path;
        for text in ["", "many\n", "70000\n", "-1\n", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}"] {
            fs::write(&path, text).unwrap();
            assert!(matches!(read(&path, user()), Err(ReadError::NoPort(_))), "{text:?}");
        }
        let none = read(&folder.path().join("none"), user());
        assert!(matches!(none, Err(ReadError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound));
    }
}
