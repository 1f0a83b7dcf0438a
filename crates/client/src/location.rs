//! Locations: where a user can be reached, and who may know (client library, section 8).

use nix::unistd::ttyname;
use std::{fmt, io::stdin};
use zephyr_core::{kind::Kind, names, notice::Notice};
use zephyr_net::host;

/// Opcode of the notice that ends a location.
const USER_LOGOUT: &[u8] = b"USER_LOGOUT";
const LOGIN_FORMAT: &[u8] = b"$sender logged in to $1 on $3 at $2";
const LOGOUT_FORMAT: &[u8] = b"$sender logged out of $1 on $3 at $2";

/// Who may know where a user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Nobody, and no notices come either.
    None,
    /// Nobody but the operators.
    OpStaff,
    /// Users of the realm who ask.
    RealmVisible,
    /// Users of the realm, told when they want to be.
    RealmAnnounced,
    /// Everybody who asks; users of the realm are told.
    NetVisible,
    /// Everybody is told.
    NetAnnounced,
}

impl Exposure {
    const ALL: [Self; 6] =
        [Self::None, Self::OpStaff, Self::RealmVisible, Self::RealmAnnounced, Self::NetVisible, Self::NetAnnounced];

    /// The exposure of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|exposure| exposure.word().eq_ignore_ascii_case(name))
    }

    /// Its name, which is the opcode of the notice that sets it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::OpStaff => "OPSTAFF",
            Self::RealmVisible => "REALM-VISIBLE",
            Self::RealmAnnounced => "REALM-ANNOUNCED",
            Self::NetVisible => "NET-VISIBLE",
            Self::NetAnnounced => "NET-ANNOUNCED",
        }
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Where a user is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The host's full name.
    pub host: String,
    /// The terminal or display.
    pub tty: String,
}

impl Location {
    /// This host, and this terminal unless `tty` says otherwise. May wait for the name service.
    pub fn here(tty: Option<&str>) -> Self {
        let name = host::own_name().unwrap_or_default();
        let terminal = || Some(ttyname(stdin()).ok()?.strip_prefix("/dev").ok()?.to_str()?.to_owned());
        Self {
            host: host::canonical_name(&name).unwrap_or(name),
            tty: tty.map(str::to_owned).or_else(terminal).unwrap_or_else(|| "unknown".to_owned()),
        }
    }

    /// The body of a notice about this location, at a moment as [`crate::localtime::ctime`] writes it.
    pub fn body(&self, time: &str) -> Vec<u8> {
        let texts = [self.host.as_str(), time, &self.tty];
        texts.into_iter().flat_map(|text| text.bytes().filter(|&octet| octet != 0).chain([0])).collect()
    }
}

/// The notice that sets a location with this body, or, without an exposure, ends it.
pub fn notice<'a>(user: &'a [u8], exposure: Option<Exposure>, body: &'a [u8], port: u16) -> Notice<'a> {
    Notice {
        kind: Kind::Acked,
        port,
        class: names::LOGIN,
        instance: user,
        opcode: exposure.map_or(USER_LOGOUT, |exposure| exposure.word().as_bytes()),
        default_format: if exposure.is_some() { LOGIN_FORMAT } else { LOGOUT_FORMAT },
        body,
        ..Notice::EMPTY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case() {
        assert_eq!(Exposure::named("realm-Visible"), Some(Exposure::RealmVisible));
        assert_eq!(Exposure::named("realm visible"), None);
        for exposure in Exposure::ALL {
            assert_eq!(Exposure::named(&exposure.to_string().to_lowercase()), Some(exposure));
        }
    }

    #[test]
    fn notices() {
        let location = Location { host: "h.example".to_owned(), tty: "pts/3".to_owned() };
        let body = location.body("Sun Nov 22 11:01:03 2026");
        assert_eq!(body, b"h.example\0Sun Nov 22 11:01:03 2026\0pts/3\0");
        let login = notice(b"alice@TEST", Some(Exposure::NetAnnounced), &body, 5);
        assert_eq!(
            (login.class, login.instance, login.opcode),
            (&b"LOGIN"[..], &b"alice@TEST"[..], &b"NET-ANNOUNCED"[..])
        );
        assert_eq!(notice(b"alice@TEST", None, &body, 5).opcode, b"USER_LOGOUT");
    }
}
