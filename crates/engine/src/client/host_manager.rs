//! The query of the host manager's status, which a client sends at start (wire format, section 10).

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

/// The time between two queries, while the host manager does not answer or looks for a server.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// How long nobody may listen at the host manager's port until it is given up: it may just be starting.
const REFUSED_WAIT: Duration = Duration::from_secs(2);
/// The same for a client that may then speak to a server directly, and comes back when it has started: a little less than the time
/// between two queries, so that the second one that is refused decides.
const REFUSED_WAIT_WITH_FALLBACK: Duration = Duration::from_millis(400);

/// How long a host manager may be silent at the start of a client that may then speak to a server directly, and comes back when it
/// answers. It answers at once, unless its machine is very busy.
const SILENT_WAIT_WITH_FALLBACK: Duration = Duration::from_secs(3);

/// The index of the server's name among the strings of the answer.
const SERVER: usize = 0;
/// The index of the host manager's version.
const VERSION: usize = 5;
/// The index of `yes` or `no`: whether it looks for a server. What it waits for may follow, after a blank.
const SEARCHING: usize = 6;

/// The query of a host manager's status, by a program that receives at `port`. The answer has the same header, and ten texts, of
/// which the first is the server's name.
pub const fn status_query(uid: Uid, port: u16) -> Notice<'static> {
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

/// The parts of the host manager's status that a client needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostManagerStatus {
    /// The current server's name, as the host manager has it; may be empty.
    pub(super) server: String,
    /// The limits of packets that the host manager and its server can acknowledge, as far as it knows yet.
    pub(super) limits: Limits,
    /// Whether it looks for a server, and so does not know that server's limits.
    pub(super) searching: bool,
}

impl HostManagerStatus {
    /// Parses the answer to the query with this uid; `None` for other packets.
    pub(super) fn parse(packet: &Packet<'_>, query: Uid) -> Option<Self> {
        let answer = packet.notice;
        if answer.kind != Kind::HmAck || answer.uid != query {
            return None;
        }
        let strings = || answer.body.split(|&octet| octet == 0);
        let long = strings()
            .nth(VERSION)
            .is_some_and(|version| version.split(|&octet| octet == b' ').any(|feature| feature == names::LONG_HEADERS));
        Some(Self {
            server: String::from_utf8_lossy(strings().nth(SERVER).unwrap_or_default()).into_owned(),
            limits: if long { Limits::WHOLE_PACKET } else { Limits::COMPATIBLE },
            searching: strings()
                .nth(SEARCHING)
                .is_some_and(|text| text.split(|&octet| octet == b' ').next() == Some(b"yes")),
        })
    }
}

/// A status query that is repeated, since the host manager may just be starting.
#[derive(Debug)]
pub(super) struct StatusQuery {
    uid: Uid,
    payload: Bytes,
    next_attempt: Duration,
    gives_up_at: Duration,
    /// Since when nobody has listened at the host manager's port.
    refused_since: Option<Duration>,
    /// For how long nobody may listen there.
    refused_wait: Duration,
    /// Until when a host manager without a server is queried again; `None`: any answer will do.
    needs_server_until: Option<Duration>,
}

impl StatusQuery {
    /// A query that is due at once. With `needs_server`, answers count only when the host manager has found a server, within
    /// the time limit.
    ///
    /// # Errors
    ///
    /// None in practice: the query fits into a packet.
    pub(super) fn new(now: Now, port: u16, needs_server: bool) -> Result<Self, FormatError> {
        let uid = UidSource::new(Ipv4Addr::UNSPECIFIED).next(&now);
        let payload = status_query(uid, port).write(&Claim::NONE, Limits::COMPATIBLE)?;
        let gives_up_at = now.monotonic + HMACK_WAIT;
        let needs_server_until = needs_server.then_some(gives_up_at);
        let (next_attempt, refused_since, refused_wait) = (now.monotonic, None, REFUSED_WAIT);
        Ok(Self { uid, payload, next_attempt, gives_up_at, refused_since, refused_wait, needs_server_until })
    }

    /// The same query of a client that has another way, and so gives it up sooner.
    pub(super) fn with_fallback(mut self) -> Self {
        self.refused_wait = REFUSED_WAIT_WITH_FALLBACK;
        self.gives_up_at = self.next_attempt + SILENT_WAIT_WITH_FALLBACK;
        self
    }

    /// Its uid.
    pub(super) const fn uid(&self) -> Uid {
        self.uid
    }

    /// The monotonic time at which [`StatusQuery::due`] must be called.
    pub(super) fn deadline(&self) -> Duration {
        self.next_attempt.min(self.gives_up_at)
    }

    /// The packet to be sent, when it is due; an error when the host manager has not answered in time.
    pub(super) fn due(&mut self, now: Now) -> Result<Option<Bytes>, NotResponding> {
        if now.monotonic >= self.gives_up_at {
            return Err(NotResponding);
        }
        if now.monotonic < self.next_attempt {
            return Ok(None);
        }
        self.next_attempt = now.monotonic + RETRY_INTERVAL;
        Ok(Some(self.payload.clone()))
    }

    /// Handles that nobody listened where a packet with this uid was sent.
    ///
    /// # Errors
    ///
    /// When it was a query, and nobody has listened for too long.
    pub(super) fn handle_refusal(&mut self, now: Now, uid: Uid) -> Result<(), NotResponding> {
        if uid != self.uid {
            return Ok(());
        }
        let since = *self.refused_since.get_or_insert(now.monotonic);
        if now.monotonic.saturating_sub(since) < self.refused_wait { Ok(()) } else { Err(NotResponding) }
    }

    /// Handles a packet; gives the status when the query is settled by it.
    pub(super) fn handle_answer(&mut self, now: Now, packet: &Packet<'_>) -> Option<HostManagerStatus> {
        let status = HostManagerStatus::parse(packet, self.uid)?;
        if status.searching && self.needs_server_until.is_some_and(|until| now.monotonic < until) {
            self.gives_up_at = now.monotonic + HMACK_WAIT;
            self.refused_since = None;
            return None;
        }
        Some(status)
    }
}

/// The host manager has not answered in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotResponding;

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: Uid = Uid { address: Ipv4Addr::LOCALHOST, seconds: 5, micros: 6 };

    fn read(kind: Kind, uid: Uid, body: &[u8]) -> Result<Option<HostManagerStatus>, FormatError> {
        let answer = Notice { kind, uid, body, ..status_query(QUERY, 0) };
        let packet = answer.write(&Claim::NONE, Limits::COMPATIBLE)?;
        Ok(Packet::parse(&packet).ok().and_then(|packet| HostManagerStatus::parse(&packet, QUERY)))
    }

    #[test]
    fn the_version_has_the_limits_of_headers() -> Result<(), FormatError> {
        let ours = b"zsrv.example\x000\x000\x000\x000\x000.1.0 (5) zephyr-rs long-headers\0no\x001\x000\0x\0";
        let plain = b"zsrv.example\x000\x000\x000\x000\x003.1.2 (5)\0no\x001\x000\0x\0";
        let similar = b"zsrv.example\x000\x000\x000\x000\x00no-long-headers\0no\x001\x000\0x\0";
        let searching = b"zsrv.example\x000\x000\x000\x000\x000.1.0 (5) zephyr-rs\0yes\x001\x000\0x\0";
        let waiting = b"zsrv.example\x000\x000\x000\x000\x000.1.0 (5) zephyr-rs\0yes (looking up zsrv)\x001\x000\0x\0";
        for (body, limits, searching) in [
            (&ours[..], Limits::WHOLE_PACKET, false),
            (plain, Limits::COMPATIBLE, false),
            (similar, Limits::COMPATIBLE, false),
            (searching, Limits::COMPATIBLE, true),
            (waiting, Limits::COMPATIBLE, true),
        ] {
            let status = HostManagerStatus { server: "zsrv.example".to_owned(), limits, searching };
            assert_eq!(read(Kind::HmAck, QUERY, body)?, Some(status));
        }
        Ok(())
    }

    #[test]
    fn other_packets_are_no_answer() -> Result<(), FormatError> {
        assert_eq!(read(Kind::Stat, QUERY, b"x\0")?, None);
        assert_eq!(read(Kind::HmAck, Uid { micros: 7, ..QUERY }, b"x\0")?, None);
        let empty = read(Kind::HmAck, QUERY, b"")?;
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
    fn the_query_is_repeated_every_half_second_for_ten_seconds() -> Result<(), FormatError> {
        let mut query = StatusQuery::new(at(0), 5, false)?;
        for half_second in 0..20 {
            assert_eq!(query.due(at(500 * half_second)).map(|payload| payload.is_some()), Ok(true));
            assert_eq!(query.due(at(500 * half_second + 1)), Ok(None));
        }
        assert_eq!((query.deadline(), query.due(at(10_000))), (Duration::from_secs(10), Err(NotResponding)));
        Ok(())
    }

    #[test]
    fn a_host_manager_that_does_not_run_is_given_up_after_two_seconds() -> Result<(), FormatError> {
        let mut query = StatusQuery::new(at(0), 5, true)?;
        let uid = query.uid;
        assert_eq!(query.handle_refusal(at(100), uid), Ok(()));
        assert_eq!(query.handle_refusal(at(9_000), QUERY), Ok(()), "of something else");
        assert_eq!(query.handle_refusal(at(2_099), uid), Ok(()));
        assert_eq!(query.handle_refusal(at(2_100), uid), Err(NotResponding));
        let answer = Notice { kind: Kind::HmAck, body: b"x\0\0\0\0\x000\0yes\0", ..status_query(uid, 0) };
        let packet = answer.write(&Claim::NONE, Limits::COMPATIBLE)?;
        let packet = Packet::parse(&packet).map_err(|_| FormatError::NulInField)?;
        assert_eq!(query.handle_answer(at(2_200), &packet), None);
        assert_eq!(query.handle_refusal(at(2_300), uid), Ok(()), "it was there meanwhile");
        Ok(())
    }

    #[test]
    fn a_query_that_needs_a_server_waits_for_it_with_a_time_limit() -> Result<(), FormatError> {
        let mut query = StatusQuery::new(at(0), 5, true)?;
        let answer = Notice { kind: Kind::HmAck, body: b"x\0\0\0\0\x000\0yes\0", ..status_query(query.uid, 0) };
        let packet = answer.write(&Claim::NONE, Limits::COMPATIBLE)?;
        let packet = Packet::parse(&packet).map_err(|_| FormatError::NulInField)?;
        assert_eq!(query.handle_answer(at(9_000), &packet), None);
        assert!(query.due(at(10_000)).is_ok());
        assert!(query.handle_answer(at(10_001), &packet).is_some_and(|status| status.searching));
        Ok(())
    }
}
