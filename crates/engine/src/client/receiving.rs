//! Reception of datagrams: acknowledgements go to the operations that await them; other packets are verified, and only then
//! acknowledged, reassembled and delivered.

use super::{
    Client, Event, LogEvent, Phase, Received,
    received::ReceptionContext,
    shared::Shared,
    unverified::{self, Overflow, Unverified},
};
use crate::machine::Transmit;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use zephyr_core::{
    auth::{AuthError, Session},
    fragment::Span,
    inbox::{Arrival, Delivered, DropReason, Inbox, Opened},
    notice::OwnedPacket,
    time::Now,
};

/// The maximum number of packets that wait to be sent. Beyond, nothing is acknowledged, so that it comes again.
const MAX_TRANSMITS: usize = 4096;

/// The receiving part of a client.
pub(super) struct Receiver {
    inbox: Inbox,
    /// Raw mode: acknowledgements are events, too.
    raw: bool,
    /// Packets that wait for a lookup of the user's credentials, in order of arrival.
    unverified: Unverified,
    /// Whether it was logged that there is no room for more of them.
    full_logged: bool,
}

impl Receiver {
    pub(super) fn new(raw: bool) -> Self {
        Self { inbox: Inbox::new(), raw, unverified: Unverified::default(), full_logged: false }
    }

    /// The inbox, with incomplete notices and remembered packets.
    pub(super) const fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// When incomplete notices are to be given up next.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.inbox.deadline()
    }

    /// The number of packets that wait for a lookup of the user's credentials.
    pub(super) fn unverified(&self) -> usize {
        self.unverified.len()
    }
}

impl Client {
    /// Handles a datagram.
    pub(super) fn receive(&mut self, now: Now, from: SocketAddr, local: Option<IpAddr>, octets: &[u8]) {
        let packet = match OwnedPacket::receive(octets) {
            Ok(packet) => packet,
            Err(error) => return self.shared.log(LogEvent::Malformed { from, error }),
        };
        if packet.notice().kind.is_acknowledgement() {
            self.handle_acknowledgement(now, from, packet);
        } else {
            self.handle_notice_packet(now, unverified::Received { from, local, packet });
        }
    }

    /// Handles an acknowledgement. Nothing proves its origin, so at least its source must be the host manager.
    fn handle_acknowledgement(&mut self, now: Now, from: SocketAddr, packet: OwnedPacket) {
        if self.shared.endpoint.is_host_manager(from) {
            if let Some(query) = &mut self.shared.query
                && let Some(status) = query.handle_answer(now, &packet.packet())
            {
                return self.handle_host_manager_status(now, status);
            }
            self.advance(now, |procedure, shared| {
                procedure.restart_answer_timeout(now);
                procedure.handle_acknowledgement(now, shared, &packet.packet())
            });
        } else {
            self.shared.log(LogEvent::StrayAcknowledgement { from, kind: packet.notice().kind });
        }
        if self.receiver.raw {
            match self.receiver.inbox.receive_acknowledgement(now, from, &packet.packet()) {
                Ok(()) => self.shared.events.push_back(Event::Acknowledged { from, packet: Box::new(packet) }),
                Err(reason) => self.shared.log(LogEvent::Dropped { from, reason }),
            }
        }
    }

    fn handle_notice_packet(&mut self, now: Now, received: unverified::Received) {
        if let Some(opened) = self.shared.verifier.verify(now, &received.packet.packet()) {
            return self.handle_arrival(now, received, opened);
        }
        self.shared.session.request();
        if let Err(Overflow { from }) = self.receiver.unverified.push(received)
            // Once until there is room again, as forged packets could otherwise fill the log.
            && !std::mem::replace(&mut self.receiver.full_logged, true)
        {
            self.shared.log(LogEvent::TooManyUnverified { from });
        }
    }

    /// Verifies the packets that wait for the user's credentials, with the result of a lookup of them.
    pub(super) fn verify_waiting(&mut self, now: Now, session: &Result<Arc<dyn Session>, AuthError>) {
        // A failure for something to be sent must not delay the next lookup for a received packet.
        if self.receiver.unverified.len() == 0 && session.is_err() {
            return;
        }
        if let Err(error) = session {
            self.shared.log(LogEvent::NoSession { error: error.clone() });
        }
        self.shared.verifier.handle_session(now, session);
        self.receiver.full_logged = false;
        for received in self.receiver.unverified.take() {
            if let Some(opened) = self.shared.verifier.verify(now, &received.packet.packet()) {
                self.handle_arrival(now, received, opened);
            }
        }
    }

    /// Handles a packet whose origin is verified. What there is no room for is not acknowledged, so that it comes again.
    fn handle_arrival(&mut self, now: Now, received: unverified::Received, opened: Opened) {
        self.give_up_incomplete(now);
        if self.shared.transmits.len() >= MAX_TRANSMITS {
            return;
        }
        let unverified::Received { from, local, packet } = received;
        let arrival = Arrival { from, packet, opened };
        let is_for_another = self.is_probe_for_another(&arrival);
        let mut reception = self.receiver.inbox.receive(now, arrival);
        if is_for_another {
            reception.acknowledgement = None;
        }
        let acknowledgement = reception.acknowledgement.map(|payload| Transmit { to: from, local, payload });
        self.shared.transmits.extend(acknowledgement);
        match reception.delivered {
            Ok(Some(delivered)) => self.deliver(now, delivered),
            Ok(None) => {}
            Err(reason) => self.shared.log(LogEvent::Dropped { from, reason }),
        }
    }

    /// Whether a packet is a probe for somebody who has subscribed otherwise than this client. Servers send what is too
    /// large to be shown, to find out whether whoever has subscribed is there; what others have subscribed in this
    /// client's place is not confirmed so.
    fn is_probe_for_another(&self, arrival: &Arrival) -> bool {
        let packet = arrival.packet.packet();
        let is_probe = matches!(Span::of(&packet), Err(DropReason::TooLarge(_)));
        let is_sealed = packet.claim.auth != 0;
        let is_proven = self.shared.policy.provable && self.shared.verifier.has_keys();
        is_probe && if is_sealed { !arrival.opened.verdict.is_authentic() } else { is_proven }
    }

    /// Gives up notices whose missing fragments have not come for too long.
    pub(super) fn give_up_incomplete(&mut self, now: Now) {
        for delivered in self.receiver.inbox.give_up(now) {
            self.deliver(now, delivered);
        }
    }

    fn deliver(&mut self, now: Now, delivered: Delivered) {
        let notice = delivered.notice();
        let mut is_answer = false;
        self.advance(now, |procedure, _| {
            let progress = procedure.handle_answer(&notice);
            is_answer |= progress.is_some();
            progress.unwrap_or(Ok(None))
        });
        if is_answer && !self.receiver.raw {
            return;
        }
        let Shared { endpoint, policy, .. } = &self.shared;
        let own = endpoint.is_sender_of(&notice);
        let received = Received::new(delivered, ReceptionContext { own, policy, realm: &endpoint.realm });
        if let Some(why) = received.hidden() {
            let notice = received.notice();
            let (class, sender, why) = (notice.class.into(), notice.sender.into(), why.clone());
            self.shared.log(LogEvent::Hidden { class, sender, why });
        }
        if self.shared.arrived.push(Box::new(received)).is_err() {
            self.shared.log(LogEvent::NoticeLost);
        }
    }

    /// Whether the client has started.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }
}
