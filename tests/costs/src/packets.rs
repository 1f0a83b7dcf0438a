//! Packets to be given, plain and odd.

use bytes::Bytes;
use std::net::Ipv4Addr;
use zephyr_core::{
    kind::Kind,
    limits::{Limits, MAX_PACKET},
    notice::{Claim, Notice},
    uid::Uid,
};

/// Three octets that fold to thirty-three.
pub(crate) const GROWING: &str = "\u{FDFA}";
/// The sender of most packets.
pub(crate) const SENDER: &str = "sender@ATHENA.TEST";

/// A uid that no other packet of a case has.
pub(crate) fn uid(number: usize) -> Uid {
    Uid { address: Ipv4Addr::new(10, 0, 0, 1), seconds: 1_800_000_000, micros: u32::try_from(number).unwrap() }
}

/// A usual message to a class.
pub(crate) fn message() -> Notice<'static> {
    Notice {
        kind: Kind::Acked,
        port: 5000,
        class: b"MESSAGE",
        instance: b"PERSONAL",
        sender: SENDER.as_bytes(),
        default_format: b"http://zephyr.1ts.org/wiki/df",
        multinotice: b"0/40",
        address: std::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
        body: b"Signature\0a message of a line of text  \0",
        ..Notice::EMPTY
    }
}

/// The packet of a notice, with a uid of its own.
pub(crate) fn plain(notice: Notice<'_>, number: usize) -> Bytes {
    claiming(notice, number, &Claim::NONE)
}

/// The packet of a notice that claims to be proven by an authenticator of its own.
pub(crate) fn proven(notice: Notice<'_>, number: usize) -> Bytes {
    let authenticator = format!("Z{number:08}{}", "a".repeat(300));
    let claim = Claim { auth: 1, authent_len: 308, authenticator: authenticator.as_bytes(), checksum: b"Zsum" };
    claiming(notice, number, &claim)
}

pub(crate) fn claiming(notice: Notice<'_>, number: usize, claim: &Claim<'_>) -> Bytes {
    let notice = Notice { uid: uid(number), multiuid: uid(number), ..notice };
    notice.write(claim, Limits { header: 2 * MAX_PACKET, packet: 2 * MAX_PACKET }).unwrap()
}

/// As much text as a packet of this notice has room for, of a pattern that is repeated.
pub(crate) fn filling(notice: Notice<'_>, pattern: &str) -> String {
    let room = MAX_PACKET - plain(notice, 0).len();
    pattern.repeat(room / pattern.len())
}

/// The packet of a notice with this uid, which claims nothing.
pub(crate) fn claiming_as(notice: Notice<'_>, uid: Uid) -> Bytes {
    Notice { uid, multiuid: uid, ..notice }.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()
}
