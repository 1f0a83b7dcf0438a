//! Names of the users of this machine.

use nix::unistd::{Uid, User};

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
