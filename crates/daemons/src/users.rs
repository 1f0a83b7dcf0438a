//! Names of the users of this machine.

use nix::unistd::{Gid, Uid, User, initgroups, setgid, setgroups, setuid};
use std::{ffi::CString, fs, io, os::unix::fs::MetadataExt as _};

/// A user for people to read: `zephyr (uid 999)`, or `uid 999` when he has no name. Asks the system, which may ask others.
pub(crate) fn name_of(user: u32) -> String {
    match User::from_uid(Uid::from_raw(user)) {
        Ok(Some(known)) => format!("{} (uid {user})", known.name),
        _ => format!("uid {user}"),
    }
}

/// The user of this name, or else of this number.
pub(crate) fn find(text: &str) -> Option<User> {
    let named = User::from_name(text).ok().flatten();
    named.or_else(|| User::from_uid(text.parse::<u32>().ok()?.into()).ok().flatten())
}

/// Takes the user's identity, with his groups, for the rest of this process.
pub(crate) fn become_user(user: User) -> io::Result<()> {
    initgroups(&CString::new(user.name)?, user.gid)?;
    setgid(user.gid)?;
    Ok(setuid(user.uid)?)
}

/// Where root asks, takes the identity of the owner of this for the rest of this process, so that nothing is done there that he
/// could not do.
pub(crate) fn become_owner(about: &fs::Metadata) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(about.uid()), Gid::from_raw(about.gid()));
    if user.is_root() || !Uid::effective().is_root() {
        return Ok(());
    }
    match User::from_uid(user)? {
        Some(known) => become_user(known),
        None => {
            setgroups(&[group])?;
            setgid(group)?;
            Ok(setuid(user)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names_and_numbers() {
        assert_eq!(name_of(0), "root (uid 0)");
        assert_eq!(name_of(54_321), "uid 54321");
        assert_eq!(find("0"), find("root"));
        assert!(find("0").is_some() && find("54321").is_none() && find("-1").is_none() && find("").is_none());
    }
}
