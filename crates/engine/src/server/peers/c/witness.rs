//! Whether a C server ran on while we were apart, by something that only one that did can tell.
//!
//! With everything else a C server is told a location of nobody, the *witness*, which has a mark that nobody can guess. One that
//! ran on tells it back in its dump, which is proven; one that was started again does not have it, and so what it lacks says
//! nothing. (It may have it from another C server that ran on, and then it has the rest from there, too.) The mark is another
//! one each time, and what it is made of is kept with this server's state: where that is not known, nothing is believed to have
//! run on.

use crate::server::{
    Change, Located, Server, ServerId,
    stamp::{Stamp, VersionVector},
};
use ring::digest;
use std::{
    fmt::Write,
    net::SocketAddrV4,
    time::{Duration, UNIX_EPOCH},
};
use zephyr_core::{exposure::Exposure, time::Now};

/// Users of witnesses are called so, and by the number of a server. They are no services that anybody would set up.
const USER: &[u8] = b"zephyr-rs/";
const DIGITS: usize = 16;
/// What the name and the mark of a witness are made of.
const PLANTED: &[u8] = b"planted ";
const SECRET: &[u8] = b"secret ";
/// Bits of the secret: it is kept as a time, which should not seem to be very old.
const SECRET_BITS: u32 = 46;

/// What a C server is told, and tells back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Witness {
    pub(super) user: Box<[u8]>,
    /// Where no client is: this server's own.
    pub(super) address: SocketAddrV4,
    /// In the place of the time, as C servers do not take over another machine.
    pub(super) mark: Box<[u8]>,
}

impl Witness {
    pub(super) const EXPOSURE: Exposure = Exposure::OpStaff;

    /// Whether that is this witness.
    pub(super) fn is(&self, told: &Located) -> bool {
        let is_there = told.address == self.address.into() && told.exposure == Self::EXPOSURE;
        is_there && *told.user == *self.user && told.time == self.mark
    }
}

/// Whether a user is a witness, of this server or another one: nobody is there, and nobody is told.
pub(super) fn is_witness(user: &[u8]) -> bool {
    let number = user.strip_prefix(USER).and_then(|rest| rest.split_at_checked(DIGITS));
    number.is_some_and(|(digits, rest)| {
        digits.iter().all(u8::is_ascii_hexdigit) && rest.first().is_none_or(|&octet| octet == b'@')
    })
}

impl Server {
    /// The witness that was planted at the C server of this name at this time.
    fn witness(&self, name: &str, planted: u64, secret: u64) -> Witness {
        let ServerId(number) = self.c_mark(PLANTED, name);
        let user = [USER, format!("{number:016x}@").as_bytes(), self.config.realms.local()].concat();
        let text = [&number.to_be_bytes()[..], &planted.to_be_bytes(), &secret.to_be_bytes()].concat();
        let mut mark = String::new();
        for octet in digest::digest(&digest::SHA256, &text).as_ref().iter().take(DIGITS) {
            // Nothing can go wrong in memory.
            let _ = write!(mark, "{octet:02x}");
        }
        let address = SocketAddrV4::new(self.config.address, self.config.port);
        Witness { user: user.into(), address, mark: mark.into_bytes().into() }
    }

    /// The witness that the C server of this name has if it has run on.
    pub(super) fn c_witness(&self, name: &str) -> Option<Witness> {
        let (planted, secret) = (self.c_kept(PLANTED, name)?, self.c_kept(SECRET, name)?);
        Some(self.witness(name, planted, secret))
    }

    /// A new witness, and when it is planted.
    pub(super) fn c_new_witness(&mut self, now: Now, name: &str) -> (Witness, u64) {
        let before = self.c_kept(PLANTED, name).unwrap_or_default();
        let planted = self.stamps.last().max(before.saturating_add(1));
        let secret = match self.c_kept(SECRET, name) {
            Some(secret) => secret,
            None => {
                let wall = now.wall.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_micros();
                let random = self.config.probe_secret.number(&[SECRET, name.as_bytes(), &wall.to_be_bytes()].concat());
                let secret =
                    u64::try_from(wall).unwrap_or_default().saturating_sub(random >> (u64::BITS - SECRET_BITS));
                self.c_keep(SECRET, name, secret);
                secret
            }
        };
        (self.witness(name, planted, secret), planted)
    }

    /// The C server of this name has been told everything, and the witness of this time at the end.
    pub(super) fn c_planted(&mut self, name: &str, planted: u64) {
        self.c_keep(PLANTED, name, planted);
    }

    /// A mark for something that is known of a C server, among the versions that are kept: as of a server that nobody has. The
    /// same at each start, unlike that of this server.
    pub(super) fn c_mark(&self, what: &[u8], name: &str) -> ServerId {
        let own = (self.config.address.octets(), self.config.port.to_be_bytes());
        let text = [&own.0[..], &own.1, what, name.as_bytes()].concat();
        let digest = digest::digest(&digest::SHA256, &text);
        let octets = digest.as_ref().first_chunk().copied().unwrap_or_default();
        ServerId(u64::from_be_bytes(octets))
    }

    /// What is kept for a mark.
    pub(super) fn c_kept(&self, what: &[u8], name: &str) -> Option<u64> {
        let mark = self.c_mark(what, name);
        self.versions.stamps().find(|stamp| stamp.server == mark).map(|stamp| stamp.time)
    }

    /// Keeps what is known for a mark: it only grows.
    pub(super) fn c_keep(&mut self, what: &[u8], name: &str, time: u64) {
        let server = self.c_mark(what, name);
        if time > 0 && !self.versions.covers(Stamp { time, server }) {
            let versions: VersionVector = [Stamp { time, server }].into_iter().collect();
            self.versions.merge(&versions);
            self.changed(Change::VersionsKnown { versions });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn witnesses_are_known_by_their_names() {
        for user in [&b"zephyr-rs/0123456789abcdef@ATHENA.TEST"[..], b"zephyr-rs/0123456789abcdef"] {
            assert!(is_witness(user));
        }
        for user in
            [&b"bob@R"[..], b"zephyr-rs/bob@R", b"zephyr-rs/0123456789abcde@R", b"zephyr-rs/0123456789abcdef0@R"]
        {
            assert!(!is_witness(user), "{}", user.escape_ascii());
        }
    }
}
