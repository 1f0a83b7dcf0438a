//! The port file itself. Its directory may be one that everybody can write to.

use super::{CreateError, Owner, Place, ReadError};
use nix::{errno::Errno, fcntl::OFlag};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, UdpSocket},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
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

/// Creates the file for `user`; see [`super::create`].
pub(super) fn create(place: &Place, port: u16, user: u32) -> Result<(), CreateError> {
    create_unless(place, port, user, |known| !is_free(known))
}

/// Creates the file, in place of one with a port that is not `in_use` where that can be known.
fn create_unless(place: &Place, port: u16, user: u32, in_use: impl Fn(u16) -> bool) -> Result<(), CreateError> {
    match write(&place.path, port) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        result => return result.map_err(|error| CreateError::Io { path: place.path.clone(), error }),
    }
    check_owner(&place.path, user)?;
    let is_dead = place.is_local && read(&place.path, user).is_ok_and(|known| !in_use(known));
    if is_dead { renew(place, port, user) } else { Err(CreateError::Exists(place.path.clone())) }
}

/// Replaces the file by one with this port, unless it is not `user`'s.
pub(super) fn renew(place: &Place, port: u16, user: u32) -> Result<(), CreateError> {
    let path = &place.path;
    check_owner(path, user)?;
    let removed = match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    removed.and_then(|()| write(path, port)).map_err(|error| CreateError::Io { path: path.clone(), error })
}

/// Checks that what has this name, if anything has, was made by `user`.
fn check_owner(path: &Path, user: u32) -> Result<(), CreateError> {
    match fs::symlink_metadata(path) {
        Ok(known) if known.uid() != user => Err(CreateError::Foreign { path: path.into(), owner: Owner(known.uid()) }),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn write(path: &Path, port: u16) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).open(path)?;
    // The number is that of the port's two octets in network order, read as this machine reads numbers.
    writeln!(file, "{}", port.to_be())
}

/// Whether no program on this machine has a port.
fn is_free(port: u16) -> bool {
    // Of all addresses, which fails if one of them has it.
    port != 0 && UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account;
    use nix::{sys::stat::Mode, unistd::mkfifo};
    use std::os::unix::fs::{chown, symlink};
    use zephyr_testkit::loopback::Network;

    fn place(folder: &tempfile::TempDir) -> Place {
        Place { path: folder.path().join("wg"), is_local: false }
    }

    fn user() -> u32 {
        account::user_id()
    }

    #[test]
    fn the_number_is_in_network_order() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        create(&place, 55955, user()).unwrap();
        let number: u16 = fs::read_to_string(&place.path).unwrap().trim_end().parse().unwrap();
        assert_eq!(number.to_ne_bytes(), 55955_u16.to_be_bytes());
        if cfg!(target_endian = "little") {
            assert_eq!(number, 37850);
        }
        assert_eq!(read(&place.path, user()).unwrap(), 55955);
    }

    #[test]
    fn nothing_that_exists_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        let file = folder.path().join("precious");
        symlink(&file, &place.path).unwrap();
        assert!(matches!(create(&place, 5, user()), Err(CreateError::Exists(path)) if path == place.path));
        assert!(!file.exists(), "a dangling link must not be followed");
        fs::write(&file, "5\n").unwrap();
        assert!(matches!(read(&place.path, user()), Err(ReadError::NoFile(_))), "nor is it read");
        renew(&place, 5, user()).unwrap();
        assert_eq!((fs::read_to_string(&file).unwrap().as_str(), read(&place.path, user()).unwrap()), ("5\n", 5));
    }

    /// Somebody else's file: made by this process's user, and looked at by another.
    #[test]
    fn what_somebody_else_has_made_decides_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { is_local: true, ..place(&folder) };
        fs::write(&place.path, "5\n").unwrap();
        if user() == ROOT {
            chown(&place.path, Some(4321), None).unwrap();
        }
        let owner = Owner(fs::metadata(&place.path).unwrap().uid());
        let somebody = owner.0 + 1;
        for result in [create(&place, 5, somebody), renew(&place, 5, somebody)] {
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
        let place = Place { is_local: true, ..place(&folder) };
        create(&place, 7, user()).unwrap();
        let again = |place: &Place, in_use| create_unless(place, 5, user(), |port| port == 7 && in_use);
        assert!(matches!(again(&place, true), Err(CreateError::Exists(_))), "its port belongs to a program");
        let elsewhere = Place { is_local: false, ..place.clone() };
        assert!(matches!(again(&elsewhere, false), Err(CreateError::Exists(_))), "perhaps on another machine");
        again(&place, false).unwrap();
        assert_eq!(read(&place.path, user()).unwrap(), 5);
        fs::write(&place.path, "").unwrap();
        assert!(matches!(again(&place, false), Err(CreateError::Exists(_))), "it may be about to be written");
        let network = Network::claim().unwrap();
        let socket = UdpSocket::bind((network.here(), 0)).unwrap();
        assert!(!is_free(socket.local_addr().unwrap().port()), "whatever address has it");
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
