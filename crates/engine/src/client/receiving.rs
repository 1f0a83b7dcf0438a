//! What becomes of a datagram: an acknowledgement goes to the operation that waits for it; anything else is acknowledged,
//! verified, joined with the other packets of its notice, and delivered.

use super::{Client, Event, LogEvent, Phase, Received, received::Circumstances, shared::Shared};
use crate::machine::Transmit;
use std::{collections::VecDeque, net::SocketAddr, sync::Arc};
use zephyr_core::{
    auth::{AuthError, Session},
    inbox::{Delivered, Fragment, Inbox, Opened},
    notice::OwnedPacket,
    time::Now,
};

/// Packets that wait for the user's credentials. No packet is longer than
/// [`MAX_PACKET`](zephyr_core::limits::MAX_PACKET), so this bounds their octets as well, to a mebibyte.
const MAX_UNVERIFIED: usize = 1024;
/// Packets that wait to be sent, beyond which nothing more is acknowledged: it will come again.
const MAX_TRANSMITS: usize = 4096;

/// The receiving side of a client.
pub(super) struct Receiver {
    inbox: Inbox,
    /// Acknowledgements are events, too.
    raw: bool,
    /// Packets that wait for a look at the user's credentials, in the order of their coming.
    unverified: VecDeque<(SocketAddr, Fragment)>,
    /// It was said that there is no room for more of them.
    told_full: bool,
}

impl Receiver {
    pub(super) fn new(raw: bool) -> Self {
        Self { inbox: Inbox::new(), raw, unverified: VecDeque::new(), told_full: false }
    }

    /// The packets and notices that it remembers.
    pub(super) const fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// How many packets wait for a look at the user's credentials.
    pub(super) fn unverified(&self) -> usize {
        self.unverified.len()
    }
}

impl Client {
    /// Takes one datagram.
    pub(super) fn receive(&mut self, now: Now, from: SocketAddr, octets: &[u8]) {
        let packet = match OwnedPacket::receive(octets) {
            Ok(packet) => packet,
            Err(error) => return self.shared.log(LogEvent::Malformed { from, error }),
        };
        self.advance(now, |procedure, _| {
            procedure.received(now);
            Ok(None)
        });
        if packet.notice().kind.is_acknowledgement() {
            self.acknowledged(now, from, packet);
        } else {
            self.admit(now, from, packet);
        }
    }

    /// Acknowledgements prove nothing, so at least they must come from where they belong.
    fn acknowledged(&mut self, now: Now, from: SocketAddr, packet: OwnedPacket) {
        let expected = self.shared.endpoint.host_manager;
        if from.port() == expected.port()
            && let Some(query) = &mut self.shared.query
            && let Some(status) = query.settled(now, &packet.packet())
        {
            return self.host_manager_answered(now, status);
        }
        // A host manager that listens on all addresses may answer from another loopback address than it was asked at.
        let same_host = from.ip() == expected.ip() || (from.ip().is_loopback() && expected.ip().is_loopback());
        if same_host && from.port() == expected.port() {
            self.advance(now, |procedure, shared| procedure.acknowledge(now, shared, &packet.packet()));
        } else {
            self.shared.log(LogEvent::StrayAcknowledgement { from, kind: packet.notice().kind });
        }
        if self.receiver.raw {
            match self.receiver.inbox.admit(now, packet).fragment {
                Ok(fragment) => {
                    self.shared
                        .events
                        .push_back(Event::Acknowledged { from, packet: Box::new(fragment.into_packet()) });
                }
                Err(reason) => self.shared.log(LogEvent::Dropped { from, reason }),
            }
        }
    }

    fn admit(&mut self, now: Now, from: SocketAddr, packet: OwnedPacket) {
        let Shared { verifier, transmits, .. } = &mut self.shared;
        let no_room = self.receiver.unverified.len() >= MAX_UNVERIFIED;
        if no_room && verifier.verify(now, &packet.packet()).is_none() {
            // Once until there is room again: whoever can make packets up could otherwise fill the log.
            if !std::mem::replace(&mut self.receiver.told_full, true) {
                self.shared.log(LogEvent::TooManyUnverified { from });
            }
            return;
        }
        if transmits.len() >= MAX_TRANSMITS {
            return;
        }
        let admission = self.receiver.inbox.admit(now, packet);
        transmits.extend(admission.acknowledgement.map(|payload| Transmit { to: from, payload }));
        let fragment = match admission.fragment {
            Ok(fragment) => fragment,
            Err(reason) => return self.shared.log(LogEvent::Dropped { from, reason }),
        };
        match verifier.verify(now, &fragment.packet()) {
            Some(opened) => self.complete(now, from, fragment, opened),
            None => {
                self.receiver.unverified.push_back((from, fragment));
                self.shared.session.want();
            }
        }
    }

    /// The credentials have been looked at: verifies what waits for them.
    pub(super) fn credentials_for_waiting(&mut self, now: Now, found: &Result<Arc<dyn Session>, AuthError>) {
        // That sending has found none says nothing of those that others subscribe with meanwhile.
        if self.receiver.unverified.is_empty() && found.is_err() {
            return;
        }
        if let Err(error) = found {
            self.shared.log(LogEvent::NoSession { error: error.clone() });
        }
        self.shared.verifier.looked(now, found);
        self.receiver.told_full = false;
        for (from, fragment) in std::mem::take(&mut self.receiver.unverified) {
            if let Some(opened) = self.shared.verifier.verify(now, &fragment.packet()) {
                self.complete(now, from, fragment, opened);
            }
        }
    }

    fn complete(&mut self, now: Now, from: SocketAddr, fragment: Fragment, opened: Opened) {
        match self.receiver.inbox.complete(now, fragment, opened) {
            Ok(Some(delivered)) => self.deliver(now, from, delivered),
            Ok(None) => {}
            Err(reason) => self.shared.log(LogEvent::Dropped { from, reason }),
        }
    }

    fn deliver(&mut self, now: Now, from: SocketAddr, delivered: Delivered) {
        let notice = delivered.notice();
        let mut is_answer = false;
        self.advance(now, |procedure, _| {
            let progress = procedure.answer(&notice);
            is_answer |= progress.is_some();
            progress.unwrap_or(Ok(None))
        });
        if is_answer && !self.receiver.raw {
            return;
        }
        let Shared { endpoint, policy, .. } = &self.shared;
        let own = endpoint.is_sender_of(&notice);
        let received = Received::new(delivered, Circumstances { from, own, policy, realm: &endpoint.realm });
        if let Some(why) = received.hidden() {
            let notice = received.notice();
            let (class, sender, why) = (notice.class.into(), notice.sender.into(), why.clone());
            self.shared.log(LogEvent::Hidden { class, sender, why });
        }
        if self.shared.arrived.push(Box::new(received)).is_err() {
            self.shared.log(LogEvent::NoticeLost);
        }
    }

    /// Whether the client knows who it is.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }
}
