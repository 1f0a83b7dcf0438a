//! The file with the port of the user's windowgram client, for other programs of the user (wire format, section 9).
//!
//! It is `$WGFILE`, if that is set, and no other. Else it is `wg.UID` in `$XDG_RUNTIME_DIR`, where nobody else can make files, and
//! the same in `/tmp`, where C programs look for it and everybody can. So a file counts only if the user has made it, or root:
//! somebody else's neither keeps a windowgram client from starting nor is read.
//!
//! A client that was killed leaves its file. So whoever finds one asks at its port.

mod asking;
mod error;
mod file;
mod places;

pub use error::{CreateError, Owner, ReadError};
pub use places::{Place, places};

use crate::account;
use std::{io, net::Ipv4Addr, path::Path};

/// The port of the user's windowgram client, from the first of the [`places`] that has one.
///
/// # Errors
///
/// As [`read`]; what another user has made is passed over, and is the error only when there is no other file.
pub fn find() -> Result<u16, ReadError> {
    find_in(&places(), account::user_id())
}

fn find_in(places: &[Place], user: u32) -> Result<u16, ReadError> {
    let mut failure = None;
    for place in places {
        match file::read(&place.path, user) {
            Ok(port) => return Ok(port),
            Err(ReadError::Io { error, .. }) if failure.is_some() && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => failure = Some(error),
        }
    }
    let none = || ReadError::Io { path: Path::new("wg").into(), error: io::ErrorKind::NotFound.into() };
    Err(failure.unwrap_or_else(none))
}

/// Reads the port from a file of the user, or of root.
///
/// # Errors
///
/// When there is no such file, when it is somebody else's or no file but a link, pipe or device, and when it has no port.
pub fn read(path: &Path) -> Result<u16, ReadError> {
    file::read(path, account::user_id())
}

/// How a file was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// There was none.
    New,
    /// In the place of what a windowgram client has left that does not run any more.
    InPlaceOfLeftover,
}

/// Creates the file, as a whole. What exists is never followed, and changed only when it is what a windowgram client of the user's
/// has left that was killed or found no room: a port at which no client of the user's answers on this machine, at `address` or at
/// the loopback address, or the beginning of a number. May take seconds, when there is a program at the port that does not
/// answer.
///
/// # Errors
///
/// [`CreateError::Runs`] when a client answers, [`CreateError::Foreign`] when there is a file of somebody else's,
/// [`CreateError::NotAPortFile`] when there is something else of the user's; other errors of the system.
pub fn create(place: &Place, port: u16, address: Ipv4Addr) -> Result<Created, CreateError> {
    let user = account::user_id();
    file::create(place, port, user, |port| asking::has_client(port, address, user))
}

/// Removes the file that [`create`] made, unless it has another client's port by now.
///
/// # Errors
///
/// An error of the system, such as that there is no such file.
pub fn remove(place: &Place, port: u16) -> io::Result<()> {
    file::remove(place, port, account::user_id())
}

/// Replaces the file that [`create`] made by a new one with this port.
///
/// # Errors
///
/// [`CreateError::Foreign`] when the file there is somebody else's; other errors of the system.
pub fn renew(place: &Place, port: u16) -> Result<(), CreateError> {
    file::renew(place, port, account::user_id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_first_file_of_the_user_counts() {
        let folder = tempfile::tempdir().unwrap();
        let user = account::user_id();
        let place = |name: &str| Place { path: folder.path().join(name) };
        let places = [place("private"), place("public")];
        assert!(
            matches!(find_in(&places, user), Err(ReadError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound)
        );
        fs::write(&places[1].path, format!("{}\n", 5_u16.to_be())).unwrap();
        assert_eq!(find_in(&places, user).unwrap(), 5);
        fs::write(&places[0].path, format!("{}\n", 6_u16.to_be())).unwrap();
        assert_eq!(find_in(&places, user).unwrap(), 6);
        fs::remove_file(&places[0].path).unwrap();
        // To somebody else than root and this user the file that is left is a stranger's.
        if user == 0 {
            std::os::unix::fs::chown(&places[1].path, Some(4321), None).unwrap();
        }
        let error = find_in(&places, user.wrapping_add(1)).unwrap_err();
        assert!(matches!(error, ReadError::Foreign { .. }), "{error}");
    }
}
