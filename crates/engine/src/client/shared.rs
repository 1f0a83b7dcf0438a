//! The state that all operations of a client share: its endpoint and policy, and its pending jobs and output.

use super::{
    Backlog, Endpoint, Event, Job, LogEvent, Message, Outcome, exchange::OutgoingPacket, host_manager::StatusQuery,
    verification::Verifier,
};
use crate::machine::Transmit;
use bytes::Bytes;
use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};
use zephyr_core::{
    auth::{AuthError, Direction, Session},
    fragment::Cutter,
    limits::Limits,
    notice::{Claim, FormatError, Notice},
    policy::Policy,
    realm::completed,
    time::Now,
    uid::{Uid, UidSource},
};

/// A job that several operations may wait for: it runs once at a time, and those that request it meanwhile share its result.
#[derive(Debug, Default)]
pub(super) struct SharedJob {
    requested: bool,
    running: bool,
}

impl SharedJob {
    pub(super) const fn request(&mut self) {
        self.requested |= !self.running;
    }

    /// Requests it, and does not share the result of one that is running: what that finds may be outdated.
    pub(super) const fn request_anew(&mut self) {
        self.requested = true;
    }

    /// Whether the job is to be started now.
    pub(super) const fn begin(&mut self) -> bool {
        let begins = self.requested && !self.running;
        if begins {
            *self = Self { requested: false, running: true };
        }
        begins
    }

    pub(super) const fn done(&mut self) {
        self.running = false;
    }
}

/// The shared state of a client.
pub(super) struct Shared {
    pub(super) endpoint: Endpoint,
    pub(super) policy: Policy,
    pub(super) uids: UidSource,
    pub(super) verifier: Verifier,
    /// The pending status query to the host manager.
    pub(super) query: Option<StatusQuery>,
    pub(super) session: SharedJob,
    pub(super) principal: SharedJob,
    pub(super) address: SharedJob,
    pub(super) setup: Option<Job>,
    pub(super) transmits: VecDeque<Transmit>,
    pub(super) events: VecDeque<Event>,
    pub(super) arrived: Backlog,
    /// When the server last knew the client, as far as that is known.
    pub(super) last_known: Option<Now>,
}

impl Shared {
    pub(super) fn new(endpoint: Endpoint, policy: Policy) -> Self {
        Self {
            uids: UidSource::new(endpoint.address),
            endpoint,
            policy,
            verifier: Verifier::default(),
            query: None,
            session: SharedJob::default(),
            principal: SharedJob::default(),
            address: SharedJob::default(),
            setup: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            arrived: Backlog::default(),
            last_known: None,
        }
    }

    /// The time since the server last knew the client, by the clock that says more: one of them stands still in suspended
    /// machines.
    pub(super) fn unknown_for(&self, now: Now) -> Duration {
        let Some(last) = self.last_known else { return Duration::ZERO };
        let by_wall = |last: SystemTime| now.wall.duration_since(last).unwrap_or_default();
        now.monotonic.saturating_sub(last.monotonic).max(by_wall(last.wall))
    }

    /// The outcome that the server does not know the client.
    pub(super) fn unknown(&self, now: Now) -> Outcome {
        Outcome::Unknown { unknown_for: self.unknown_for(now) }
    }

    pub(super) fn log(&mut self, event: LogEvent) {
        self.events.push_back(Event::Log(event));
    }

    /// Sends packets to the host manager.
    pub(super) fn transmit(&mut self, payloads: impl IntoIterator<Item = Bytes>) {
        let to = self.endpoint.host_manager;
        self.transmits.extend(payloads.into_iter().map(|payload| Transmit { to, local: None, payload }));
    }

    /// Queries the host manager's limits again: it may not have known them at start, or has another server by now.
    pub(super) fn query_limits(&mut self, now: Now) -> Result<(), FormatError> {
        if self.query.is_none() {
            self.query = Some(StatusQuery::new(now, self.endpoint.port, true)?);
        }
        Ok(())
    }

    /// The packets of a message.
    pub(super) fn packets(
        &mut self,
        now: Now,
        message: &Message,
        session: Option<&dyn Session>,
    ) -> Result<Vec<OutgoingPacket>, AuthError> {
        let Self { endpoint, uids, .. } = self;
        let mut write = |piece: &Notice<'_>| match session {
            Some(session) => session.seal(piece, Direction::ToServer, endpoint.limits, now),
            None => Ok(piece.write(&Claim::NONE, endpoint.limits)?),
        };
        let mut uid = uids.next(&now);
        let recipient = completed(message.notice().recipient, endpoint.realm.as_bytes());
        let notice = addressed(message, endpoint, &recipient, uid);
        if !message.fragmented {
            let whole = format!("0/{}", notice.body.len());
            let payload = write(&Notice { multinotice: whole.as_bytes(), ..notice })?;
            return Ok(vec![OutgoingPacket { uid, payload }]);
        }
        let mut cutter = Cutter::new(notice);
        let mut packets = Vec::new();
        while let Some(payload) = cutter.next_packet(uid, &mut write)? {
            packets.push(OutgoingPacket { uid, payload });
            uid = uids.next(&now);
        }
        Ok(packets)
    }

    /// Octets of the header that a message has without proof.
    pub(super) fn unproven_header(&self, message: &Message) -> usize {
        let recipient = completed(message.notice().recipient, self.endpoint.realm.as_bytes());
        let notice = Notice { body: b"", ..addressed(message, &self.endpoint, &recipient, Notice::EMPTY.uid) };
        match notice.write(&Claim::NONE, Limits::WHOLE_PACKET) {
            Ok(packet) => packet.len(),
            Err(FormatError::HeaderTooLong { len, .. }) => len,
            Err(_) => 0,
        }
    }
}

/// The notice of a message as a client sends it; `recipient` is the message's with its realm.
fn addressed<'a>(message: &'a Message, endpoint: &'a Endpoint, recipient: &'a [u8], uid: Uid) -> Notice<'a> {
    let notice = message.notice();
    Notice {
        uid,
        multiuid: uid,
        port: if notice.port == 0 { endpoint.port } else { notice.port },
        sender: if notice.sender.is_empty() { &endpoint.sender } else { notice.sender },
        address: endpoint.address.into(),
        recipient,
        ..notice
    }
}
