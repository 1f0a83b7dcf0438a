//! Where users are logged in: changes of one's own locations, with their exposure (client library, section 8), and what the server
//! tells of anybody's.

use super::Message;
use zephyr_core::{
    body::{self, Place},
    exposure::Exposure,
    names,
};

const LOGIN_FORMAT: &[u8] = b"$sender logged in to $1 on $3 at $2";
const LOGOUT_FORMAT: &[u8] = b"$sender logged out of $1 on $3 at $2";

/// A change of a location of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocationChange {
    /// The exposure; `None` unsets the location.
    pub exposure: Option<Exposure>,
    /// The host's fully qualified name.
    pub host: String,
    /// The terminal or display.
    pub tty: String,
    /// The time of the change, as C's `ctime` formats it.
    pub time: String,
    /// The port of the user's windowgram client; `None`: this client's own.
    pub port: Option<u16>,
}

impl LocationChange {
    /// The login notice of this user for the server.
    pub(super) fn message(&self, user: &[u8]) -> Message {
        let place = Place { machine: self.host.as_bytes(), time: self.time.as_bytes(), tty: self.tty.as_bytes() };
        let opcode = self.exposure.map_or(names::USER_LOGOUT, |exposure| exposure.name().as_bytes());
        let format = if self.exposure.is_some() { LOGIN_FORMAT } else { LOGOUT_FORMAT };
        let message = Message::request(names::LOGIN).instance(user).opcode(opcode);
        message.default_format(format).body(place.body()).port(self.port)
    }
}

/// A location of a user, as he has told it to the server: nothing says what the texts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLocation {
    /// The host's name.
    pub host: Vec<u8>,
    /// When he has told it, as C's `ctime` formats it.
    pub time: Vec<u8>,
    /// The terminal or display.
    pub tty: Vec<u8>,
}

/// The locations in a server's answer. An incomplete one at the end is left out.
pub(super) fn decode(body: &[u8]) -> Vec<UserLocation> {
    let texts: Vec<&[u8]> = body::texts(body).collect();
    let locations = texts.chunks_exact(3).filter_map(|texts| match texts {
        [host, time, tty] => Some(UserLocation { host: host.to_vec(), time: time.to_vec(), tty: tty.to_vec() }),
        _ => None,
    });
    locations.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices() {
        let change = |exposure| LocationChange {
            exposure,
            host: "h.example".to_owned(),
            tty: "pts/3".to_owned(),
            time: "Sun Nov 22 11:01:03 2026".to_owned(),
            port: Some(5),
        };
        let message = change(Some(Exposure::NetAnnounced)).message(b"alice@TEST");
        let login = message.notice();
        assert_eq!(login.body, b"h.example\0Sun Nov 22 11:01:03 2026\0pts/3\0");
        assert_eq!(
            (login.class, login.instance, login.opcode, login.port),
            (&b"LOGIN"[..], &b"alice@TEST"[..], &b"NET-ANNOUNCED"[..], 5)
        );
        assert_eq!(change(None).message(b"alice@TEST").notice().opcode, b"USER_LOGOUT");
    }

    #[test]
    fn answers() {
        let location =
            |host: &str, time: &str, tty: &str| UserLocation { host: host.into(), time: time.into(), tty: tty.into() };
        for (body, locations) in [
            (&b""[..], vec![]),
            (b"h\0t\0y\0", vec![location("h", "t", "y")]),
            (b"h\0t\0y", vec![location("h", "t", "y")]),
            (b"h\0t\0\0", vec![location("h", "t", "")]),
            (b"\0\0\0", vec![location("", "", "")]),
            (b"h\0t\0y\0i\0u\0", vec![location("h", "t", "y")]),
            (b"h\0t\0y\0i\0u\0z\0", vec![location("h", "t", "y"), location("i", "u", "z")]),
        ] {
            assert_eq!(decode(body), locations, "{}", body.escape_ascii());
        }
    }
}
