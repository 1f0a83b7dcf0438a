//! Locations: where a user can be reached, and who may know (client library, section 8).

use nix::unistd::ttyname;
use std::io::stdin;
pub use zephyr_core::exposure::Exposure;
use zephyr_core::{kind::Kind, names, notice::Notice};
use zephyr_net::host;

const LOGIN_FORMAT: &[u8] = b"$sender logged in to $1 on $3 at $2";
const LOGOUT_FORMAT: &[u8] = b"$sender logged out of $1 on $3 at $2";

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
        opcode: exposure.map_or(names::USER_LOGOUT, |exposure| exposure.name().as_bytes()),
        default_format: if exposure.is_some() { LOGIN_FORMAT } else { LOGOUT_FORMAT },
        body,
        ..Notice::EMPTY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
