//! Sockets of other users, for tests that run as root.

use nix::unistd::{Uid, setfsuid};
use std::{io, thread};

/// A user who is not root, and whom no test needs to have in its files.
pub const ALICE: u32 = 61_001;
/// Another one.
pub const MALLORY: u32 = 61_002;

/// Does something, such as to open a socket, so that the system takes what is made for this user's; `None`, and a line
/// that says so, when the tests do not run as root.
///
/// # Errors
///
/// When no thread can be started, or the system does not let root become this user.
pub fn owned_by<T: Send>(user: u32, make: impl FnOnce() -> T + Send) -> io::Result<Option<T>> {
    if !Uid::effective().is_root() {
        eprintln!("skipped: only root can make sockets of other users");
        return Ok(None);
    }
    // The system keeps the user of what is made for each thread, so no other test notices.
    let made = thread::scope(|scope| {
        let maker = scope.spawn(|| {
            setfsuid(Uid::from_raw(user));
            // Only asking shows whether it was done.
            let now = setfsuid(Uid::from_raw(u32::MAX));
            (now.as_raw() == user).then(make)
        });
        maker.join().ok().flatten()
    });
    made.map(Some).ok_or_else(|| io::ErrorKind::PermissionDenied.into())
}
