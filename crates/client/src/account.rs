//! The user's account: the entry in the password database.

use nix::unistd::{Uid, User};
use std::{env, ffi::OsString, path::PathBuf};

/// The account of this process's user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The login name.
    pub login: String,
    /// The gecos field, which `finger` and its like show, as octets of an unknown character set.
    pub gecos: Vec<u8>,
    /// The home directory in the database.
    pub home: PathBuf,
}

impl Account {
    /// The entry of this process's user, or `None` when the database has none.
    pub fn own() -> Option<Self> {
        let user = User::from_uid(Uid::current()).ok().flatten()?;
        Some(Self { login: user.name, gecos: user.gecos.into_bytes(), home: user.dir })
    }

    /// The full name: the gecos field up to its first comma, with `&` replaced by the capitalised login name.
    pub fn full_name(&self) -> Vec<u8> {
        let name = self.gecos.split(|&octet| octet == b',').next().unwrap_or_default();
        let mut capitalised = self.login.clone().into_bytes();
        if let Some(first) = capitalised.first_mut() {
            first.make_ascii_uppercase();
        }
        let mut full = Vec::new();
        for &octet in name {
            match octet {
                b'&' => full.extend_from_slice(&capitalised),
                other => full.push(other),
            }
        }
        full
    }
}

/// The user ID, which is part of the names of the user's files in `/tmp`.
pub fn user_id() -> u32 {
    Uid::current().as_raw()
}

/// The home directory: `$HOME`, else as the password database has it.
pub fn home() -> Option<PathBuf> {
    let from_environment = env::var_os("HOME").filter(|home: &OsString| !home.is_empty()).map(PathBuf::from);
    from_environment.or_else(|| Account::own().map(|account| account.home))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(gecos: &str) -> Vec<u8> {
        Account { login: "bob".to_owned(), gecos: gecos.into(), home: PathBuf::new() }.full_name()
    }

    #[test]
    fn full_names() {
        assert_eq!(named("& Baker,Room 5,1234"), b"Bob Baker");
        assert_eq!(named("Robert Baker"), b"Robert Baker");
        assert_eq!(named(",x"), b"");
    }
}
