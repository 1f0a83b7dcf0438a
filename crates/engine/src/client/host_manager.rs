//! The question about the host manager's status, which a client asks at start (wire format, section 10), and what follows from
//! the answer.

use bytes::Bytes;
use std::{net::Ipv4Addr, time::Duration};
use zephyr_core::{
    kind::Kind,
    limits::Limits,
    names,
    notice::{Claim, FormatError, Notice, Packet},
    schedule::HMACK_WAIT,
    time::Now,
    uid::{Uid, UidSource},
};

/// The time between two questions, while the host manager does not answer or looks for a server.
const PAUSE: Duration = Duration::from_millis(500);

/// The place of the server's name among the strings of the answer.
const SERVER: usize = 0;
/// The place of the host manager's version.
const VERSION: usize = 5;
/// The place of `yes` or `no`: whether it looks for a server.
const SEARCHING: usize = 6;

/// The question "how are you?", which also asks for the server's name.
pub(super) const fn question(uid: Uid, port: u16) -> Notice<'static> {
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
pub(super) struct HostManagerStatus {
    /// The current server's name, as the host manager has it; may be empty.
    pub(super) server: String,
    /// How long headers the host manager and its server can acknowledge, as far as it knows yet.
    pub(super) limits: Limits,
    /// It has no server that answers, and so does not know what that one can do.
    pub(super) searching: bool,
}

impl HostManagerStatus {
    /// Reads the answer to the question with this uid; `None` when the packet is something else.
    pub(super) fn read(packet: &Packet<'_>, asked: Uid) -> Option<Self> {
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

/// A question that is asked again and again, since the host manager may just be starting.
#[derive(Debug)]
pub(super) struct StatusQuery {
    asked: Uid,
    question: Bytes,
    next: Duration,
    give_up: Duration,
    /// Until when a host manager without a server is asked again; `None`: any answer will do.
    insist: Option<Duration>,
}

impl StatusQuery {
    /// A question that is due at once. With `insist`, one that gives the host manager time to find a server.
    ///
    /// # Errors
    ///
    /// None that can happen: the question fits.
    pub(super) fn new(now: Now, port: u16, insist: bool) -> Result<Self, FormatError> {
        let asked = UidSource::new(Ipv4Addr::UNSPECIFIED).next(&now);
        let question = question(asked, port).write(&Claim::NONE, Limits::COMPATIBLE)?;
        let give_up = now.monotonic + HMACK_WAIT;
        Ok(Self { asked, question, next: now.monotonic, give_up, insist: insist.then_some(give_up) })
    }

    /// When [`StatusQuery::due`] must be asked.
    pub(super) fn deadline(&self) -> Duration {
        self.next.min(self.give_up)
    }

    /// The question, when it is time to ask it; an error when the host manager has been silent for too long.
    pub(super) fn due(&mut self, now: Now) -> Result<Option<Bytes>, Silent> {
        if now.monotonic >= self.give_up {
            return Err(Silent);
        }
        if now.monotonic < self.next {
            return Ok(None);
        }
        self.next = now.monotonic + PAUSE;
        Ok(Some(self.question.clone()))
    }

    /// The answer, when this packet is one that settles the question.
    pub(super) fn settled(&mut self, now: Now, packet: &Packet<'_>) -> Option<HostManagerStatus> {
        let status = HostManagerStatus::read(packet, self.asked)?;
        if status.searching && self.insist.is_some_and(|until| now.monotonic < until) {
            self.give_up = now.monotonic + HMACK_WAIT;
            return None;
        }
        Some(status)
    }
}

/// The host manager does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silent;

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Uid = Uid { address: Ipv4Addr::LOCALHOST, seconds: 5, micros: 6 };

    fn read(kind: Kind, uid: Uid, body: &[u8]) -> Result<Option<HostManagerStatus>, FormatError> {
        let answer = Notice { kind, uid, body, ..question(ASKED, 0) };
        let packet = answer.write(&Claim::NONE, Limits::COMPATIBLE)?;
        Ok(Packet::parse(&packet).ok().and_then(|packet| HostManagerStatus::read(&packet, ASKED)))
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
            let status = HostManagerStatus { server: "zsrv.example".to_owned(), limits, searching };
            assert_eq!(read(Kind::HmAck, ASKED, body)?, Some(status));
        }
        Ok(())
    }

    #[test]
    fn only_the_answer_is_an_answer() -> Result<(), FormatError> {
        assert_eq!(read(Kind::Stat, ASKED, b"x\0")?, None);
        assert_eq!(read(Kind::HmAck, Uid { micros: 7, ..ASKED }, b"x\0")?, None);
        let empty = read(Kind::HmAck, ASKED, b"")?;
        assert_eq!(
            empty,
            Some(HostManagerStatus { server: String::new(), limits: Limits::COMPATIBLE, searching: false })
        );
        Ok(())
    }

    fn at(millis: u64) -> Now {
        Now { monotonic: Duration::from_millis(millis), wall: std::time::UNIX_EPOCH }
    }

    #[test]
    fn it_is_asked_every_half_second_for_ten_seconds() -> Result<(), FormatError> {
        let mut query = StatusQuery::new(at(0), 5, false)?;
        for half_second in 0..20 {
            assert_eq!(query.due(at(500 * half_second)).map(|question| question.is_some()), Ok(true));
            assert_eq!(query.due(at(500 * half_second + 1)), Ok(None));
        }
        assert_eq!((query.deadline(), query.due(at(10_000))), (Duration::from_secs(10), Err(Silent)));
        Ok(())
    }

    #[test]
    fn who_insists_waits_for_a_server_but_not_for_ever() -> Result<(), FormatError> {
        let mut query = StatusQuery::new(at(0), 5, true)?;
        let answer = Notice { kind: Kind::HmAck, body: b"x\0\0\0\0\x000\0yes\0", ..question(query.asked, 0) };
        let packet = answer.write(&Claim::NONE, Limits::COMPATIBLE)?;
        let packet = Packet::parse(&packet).map_err(|_| FormatError::NulInField)?;
        assert_eq!(query.settled(at(9_000), &packet), None);
        assert!(query.due(at(10_000)).is_ok());
        assert!(query.settled(at(10_001), &packet).is_some_and(|status| status.searching));
        Ok(())
    }
}
