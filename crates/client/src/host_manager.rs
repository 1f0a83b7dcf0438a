//! What a client asks its host manager at start (wire format, section 10), and what follows from the answer.

use zephyr_core::{
    kind::Kind,
    limits::Limits,
    names,
    notice::{Notice, Packet},
    uid::Uid,
};

/// The place of the server's name among the strings of the answer.
const SERVER: usize = 0;
/// The place of the host manager's version.
const VERSION: usize = 5;
/// The place of `yes` or `no`: whether it looks for a server.
const SEARCHING: usize = 6;

/// The question "how are you?", which also asks for the server's name.
pub const fn question(uid: Uid, port: u16) -> Notice<'static> {
    Notice {
        kind: Kind::Stat,
        uid,
        multiuid: uid,
        port,
        class: names::HM_STAT,
        instance: names::HMST_CLIENT,
        opcode: names::GIMMESTATS,
        multinotice: b"0/0",
        ..Notice::EMPTY
    }
}

/// What a client needs of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The current server's name, as the host manager has it; may be empty.
    pub server: String,
    /// How long headers the host manager and its server can acknowledge, as far as it knows yet.
    pub limits: Limits,
    /// It has no server that answers, and so does not know what that one can do.
    pub searching: bool,
}

impl Status {
    /// Reads the answer to the question with this uid; `None` when the packet is something else.
    pub fn read(packet: &Packet<'_>, asked: Uid) -> Option<Self> {
        let answer = packet.notice;
        if answer.kind != Kind::HmAck || answer.uid != asked {
            return None;
        }
        let strings = || answer.body.split(|&octet| octet == 0);
        let long = strings()
            .nth(VERSION)
            .is_some_and(|version| version.split(|&octet| octet == b' ').any(|word| word == names::LONG_HEADERS));
        Some(Self {
            server: String::from_utf8_lossy(strings().nth(SERVER).unwrap_or_default()).into_owned(),
            limits: if long { Limits::WHOLE_PACKET } else { Limits::COMPATIBLE },
            searching: strings().nth(SEARCHING) == Some(b"yes"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use zephyr_core::notice::{Claim, FormatError};

    const ASKED: Uid = Uid { address: Ipv4Addr::LOCALHOST, seconds: 5, micros: 6 };

    fn read(kind: Kind, uid: Uid, body: &[u8]) -> Result<Option<Status>, FormatError> {
        let answer = Notice { kind, uid, body, ..question(ASKED, 0) };
        let packet = answer.write(&Claim::NONE, Limits::COMPATIBLE)?;
        Ok(Packet::parse(&packet).ok().and_then(|packet| Status::read(&packet, ASKED)))
    }

    #[test]
    fn the_version_tells_what_headers_are_possible() -> Result<(), FormatError> {
        let ours = b"zsrv.example\x000\x000\x000\x000\x000.1.0 (5) zephyr-rs long-headers\0no\x001\x000\0x\0";
        let plain = b"zsrv.example\x000\x000\x000\x000\x003.1.2 (5)\0no\x001\x000\0x\0";
        let similar = b"zsrv.example\x000\x000\x000\x000\x00no-long-headers\0no\x001\x000\0x\0";
        let searching = b"zsrv.example\x000\x000\x000\x000\x000.1.0 (5) zephyr-rs\0yes\x001\x000\0x\0";
        for (body, limits, searching) in [
            (&ours[..], Limits::WHOLE_PACKET, false),
            (plain, Limits::COMPATIBLE, false),
            (similar, Limits::COMPATIBLE, false),
            (searching, Limits::COMPATIBLE, true),
        ] {
            let status = Status { server: "zsrv.example".to_owned(), limits, searching };
            assert_eq!(read(Kind::HmAck, ASKED, body)?, Some(status));
        }
        Ok(())
    }

    #[test]
    fn only_the_answer_is_an_answer() -> Result<(), FormatError> {
        assert_eq!(read(Kind::Stat, ASKED, b"x\0")?, None);
        assert_eq!(read(Kind::HmAck, Uid { micros: 7, ..ASKED }, b"x\0")?, None);
        let empty = read(Kind::HmAck, ASKED, b"")?;
        assert_eq!(empty, Some(Status { server: String::new(), limits: Limits::COMPATIBLE, searching: false }));
        Ok(())
    }
}
