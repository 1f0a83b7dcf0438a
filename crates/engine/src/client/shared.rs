//! What all operations of a client share: who it is, what the domain demands, and what it wants done.

use super::{Backlog, Endpoint, Event, Job, LogEvent, Message, host_manager::StatusQuery, verification::Verifier};
use crate::machine::Transmit;
use bytes::Bytes;
use std::collections::VecDeque;
use zephyr_core::{
    auth::{AuthError, Direction, Session},
    fragment::Cutter,
    notice::{Claim, FormatError, Notice},
    policy::Policy,
    realm::completed,
    time::Now,
    uid::{Uid, UidSource},
};

/// A job that several may wait for: one at a time is done, and whoever wants it meanwhile gets its result, too.
#[derive(Debug, Default)]
pub(super) struct SharedJob {
    wanted: bool,
    under_way: bool,
}

impl SharedJob {
    pub(super) const fn want(&mut self) {
        self.wanted = !self.under_way;
    }

    /// True when the job is to be begun now.
    pub(super) const fn begin(&mut self) -> bool {
        let begins = self.wanted && !self.under_way;
        if begins {
            *self = Self { wanted: false, under_way: true };
        }
        begins
    }

    pub(super) const fn done(&mut self) {
        self.under_way = false;
    }
}

/// See the module's description.
pub(super) struct Shared {
    pub(super) endpoint: Endpoint,
    pub(super) policy: Policy,
    pub(super) uids: UidSource,
    pub(super) verifier: Verifier,
    /// The question to the host manager that is not settled yet.
    pub(super) query: Option<StatusQuery>,
    pub(super) session: SharedJob,
    pub(super) principal: SharedJob,
    pub(super) setup: Option<Job>,
    pub(super) transmits: VecDeque<Transmit>,
    pub(super) events: VecDeque<Event>,
    pub(super) arrived: Backlog,
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
            setup: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            arrived: Backlog::default(),
        }
    }

    pub(super) fn log(&mut self, event: LogEvent) {
        self.events.push_back(Event::Log(event));
    }

    /// Hands packets to the host manager.
    pub(super) fn hand_over(&mut self, payloads: impl IntoIterator<Item = Bytes>) {
        let to = self.endpoint.host_manager;
        self.transmits.extend(payloads.into_iter().map(|payload| Transmit { to, payload }));
    }

    /// Asks the host manager how long headers may be: it may not have known when we started, or has another server by now.
    pub(super) fn learn_limits(&mut self, now: Now) -> Result<(), FormatError> {
        if self.query.is_none() {
            self.query = Some(StatusQuery::new(now, self.endpoint.port, true)?);
        }
        Ok(())
    }

    /// The packets of a message, and their uids.
    pub(super) fn packets(
        &mut self,
        now: Now,
        message: &Message,
        session: Option<&dyn Session>,
    ) -> Result<Vec<(Uid, Bytes)>, AuthError> {
        let Self { endpoint, uids, .. } = self;
        let mut write = |piece: &Notice<'_>| match session {
            Some(session) => session.seal(piece, Direction::ToServer, endpoint.limits, now),
            None => Ok(piece.write(&Claim::NONE, endpoint.limits)?),
        };
        let notice = message.notice();
        let mut uid = uids.next(&now);
        let recipient = completed(notice.recipient, endpoint.realm.as_bytes());
        let notice = Notice {
            uid,
            multiuid: uid,
            port: if notice.port == 0 { endpoint.port } else { notice.port },
            sender: if notice.sender.is_empty() { &endpoint.sender } else { notice.sender },
            address: endpoint.address.into(),
            recipient: &recipient,
            ..notice
        };
        if !message.cut {
            let whole = format!("0/{}", notice.body.len());
            return Ok(vec![(uid, write(&Notice { multinotice: whole.as_bytes(), ..notice })?)]);
        }
        let mut cutter = Cutter::new(notice);
        let mut packets = Vec::new();
        while let Some(packet) = cutter.next_packet(uid, &mut write)? {
            packets.push((uid, packet));
            uid = uids.next(&now);
        }
        Ok(packets)
    }
}
