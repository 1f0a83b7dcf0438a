//! Everything a client decides, without I/O: what goes out, what came in, and what must happen when.

use crate::{
    ClientError,
    exchange::{Exchange, Stage},
    judge::Judge,
    policing,
};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use zephyr_core::{
    auth::{AuthError, Direction, Initiator, Session, Verdict},
    fragment::Cutter,
    inbox::{Delivered, Inbox},
    limits::{Limits, MAX_NOTICE, MAX_PACKET, MAX_QUEUED},
    notice::{Claim, Notice, OwnedPacket, Packet},
    policy::Policy,
    realm::completed,
    schedule::SERVACK_WAIT,
    time::Now,
    uid::{Uid, UidSource},
};

/// Who and where a client is.
#[derive(Clone, Debug)]
pub struct Site {
    /// The realm of the server, which recipients belong to when they name none.
    pub realm: String,
    /// Who the user is, as notices name him.
    pub sender: Vec<u8>,
    /// How long packets may be that the host manager gets.
    pub limits: Limits,
    /// This machine's address, as uids carry it.
    pub address: Ipv4Addr,
    /// The port on which the client receives.
    pub port: u16,
    /// Where the host manager listens.
    pub host_manager: SocketAddr,
}

/// Whether a notice carries proof of its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// None.
    Without,
    /// With the user's credentials.
    With,
    /// With the user's credentials, and what the server will prove with the same key is believed from now on.
    Remembered,
}

/// A notice to be sent.
///
/// The engine fills in the uids and the address, the port and the sender where they are zero or empty, and the realm of a
/// recipient without one.
#[derive(Clone, Copy, Debug)]
pub struct Sending<'a> {
    /// What is to be said.
    pub notice: Notice<'a>,
    /// Whether it carries proof.
    pub proof: Proof,
    /// Whether it may be cut into several packets.
    pub cut: bool,
    /// How long the server may be silent.
    pub patience: Duration,
}

impl<'a> Sending<'a> {
    /// An ordinary notice: cut as needed, and with the usual patience.
    pub const fn new(notice: Notice<'a>, proof: Proof) -> Self {
        Self { notice, proof, cut: true, patience: SERVACK_WAIT }
    }
}

/// A packet to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// To whom.
    pub to: SocketAddr,
    /// The datagram.
    pub payload: Bytes,
}

/// A notice that has come.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Where its last packet came from.
    pub from: SocketAddr,
    /// The notice, and what its octets prove.
    pub delivered: Delivered,
    /// What is known about its origin where the domain's policy is taken into account.
    pub verdict: Verdict,
    /// Why the policy hides it, in words; `None` when it is to be shown.
    pub hidden: Option<String>,
}

impl Arrival {
    fn octets(&self) -> usize {
        self.delivered.notice().body.len() + MAX_PACKET
    }
}

/// A client's state.
pub struct Engine {
    site: Site,
    initiator: Arc<dyn Initiator>,
    policy: Policy,
    uids: UidSource,
    inbox: Inbox,
    judge: Judge,
    exchange: Option<Exchange>,
    arrived: VecDeque<Arrival>,
    arrived_octets: usize,
    outbox: VecDeque<Transmit>,
}

impl Engine {
    /// A client that has neither sent nor received anything.
    pub fn new(site: Site, initiator: Arc<dyn Initiator>, policy: Policy) -> Self {
        Self {
            uids: UidSource::new(site.address),
            judge: Judge::new(initiator.clone(), site.realm.clone()),
            site,
            initiator,
            policy,
            inbox: Inbox::new(),
            exchange: None,
            arrived: VecDeque::new(),
            arrived_octets: 0,
            outbox: VecDeque::new(),
        }
    }

    /// From now on the user has another name.
    pub(crate) fn identify(&mut self, sender: Vec<u8>) {
        self.site.sender = sender;
    }

    pub(crate) fn initiator(&self) -> Arc<dyn Initiator> {
        Arc::clone(&self.initiator)
    }

    /// Who and where this client is.
    pub const fn site(&self) -> &Site {
        &self.site
    }

    /// From now on packets for the host manager may be this long.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.site.limits = limits;
    }

    /// What the domain demands.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The domain demands something else from now on, also of what has come and waits to be received.
    pub fn enforce(&mut self, policy: Policy) {
        self.policy = policy;
        for arrival in &mut self.arrived {
            (arrival.verdict, arrival.hidden) = policing::incoming(&self.policy, &self.site, &arrival.delivered);
        }
    }

    /// What the server has said in words beside its last answer.
    pub fn remark(&self) -> Option<&str> {
        self.exchange.as_ref().and_then(Exchange::remark)
    }

    /// Begins to send a notice, in place of one that may still be on its way.
    ///
    /// # Errors
    ///
    /// When it is too large, cannot be proven, or would be refused by the domain's policy. Then nothing is sent.
    pub fn begin(&mut self, now: Now, sending: &Sending<'_>) -> Result<Uid, ClientError> {
        self.exchange = None;
        if sending.notice.body.len() > MAX_NOTICE {
            return Err(ClientError::NoticeTooLarge);
        }
        let session = match sending.proof {
            Proof::Without => None,
            Proof::With | Proof::Remembered => match self.initiator.session(&self.site.realm) {
                Ok(session) => Some(session),
                Err(error) => policing::without_session(&self.policy, &self.site, &sending.notice, error)?,
            },
        };
        policing::outgoing(&self.policy, &self.site, &sending.notice, session.is_some())?;
        let packets = self.packets(now, sending, session.as_deref())?;
        let first = packets.first().map(|(uid, _)| *uid).ok_or(ClientError::Nonsense)?;
        if let (Proof::Remembered, Some(session)) = (sending.proof, session) {
            self.judge.keyring.remember(now, session);
        }
        let mut out = VecDeque::new();
        self.exchange = Some(Exchange::begin(now, sending.notice.kind, first, packets, sending.patience, &mut out));
        self.hand_over(out);
        Ok(first)
    }

    fn packets(
        &mut self,
        now: Now,
        sending: &Sending<'_>,
        session: Option<&dyn Session>,
    ) -> Result<Vec<(Uid, Bytes)>, AuthError> {
        let limits = self.site.limits;
        let mut write = |piece: &Notice<'_>| match session {
            Some(session) => session.seal(piece, Direction::ToServer, limits, now),
            None => Ok(piece.write(&Claim::NONE, limits)?),
        };
        let notice = sending.notice;
        let mut uid = self.uids.next(&now);
        let recipient = completed(notice.recipient, self.site.realm.as_bytes());
        let notice = Notice {
            uid,
            multiuid: uid,
            port: if notice.port == 0 { self.site.port } else { notice.port },
            sender: if notice.sender.is_empty() { &self.site.sender } else { notice.sender },
            address: self.site.address.into(),
            recipient: &recipient,
            ..notice
        };
        if !sending.cut {
            let whole = format!("0/{}", notice.body.len());
            return Ok(vec![(uid, write(&Notice { multinotice: whole.as_bytes(), ..notice })?)]);
        }
        let mut cutter = Cutter::new(notice);
        let mut packets = Vec::new();
        while let Some(packet) = cutter.next_packet(uid, &mut write)? {
            packets.push((uid, packet));
            uid = self.uids.next(&now);
        }
        Ok(packets)
    }

    /// How far the notice has come that was begun last.
    pub fn stage(&self) -> Option<&Stage> {
        self.exchange.as_ref().map(Exchange::stage)
    }

    /// Takes one datagram.
    pub fn handle(&mut self, now: Now, from: SocketAddr, datagram: &[u8]) {
        let datagram = datagram.get(..MAX_PACKET).unwrap_or(datagram);
        let packet = match Packet::parse(datagram) {
            Ok(packet) => packet,
            Err(error) => return tracing::debug!(%from, %error, "dropped a datagram"),
        };
        if let Some(exchange) = &mut self.exchange {
            exchange.heard(now);
        }
        if packet.notice.kind.is_acknowledgement() {
            self.acknowledged(now, from, &packet);
            return;
        }
        let Ok(packet) = OwnedPacket::receive(datagram) else { return };
        let admission = self.inbox.admit(now, packet);
        self.outbox.extend(admission.acknowledgement.map(|payload| Transmit { to: from, payload }));
        let whole = admission.fragment.and_then(|fragment| {
            let verdict = self.judge.judge(now, &fragment.packet());
            self.inbox.complete(now, fragment, verdict.into())
        });
        match whole {
            Ok(Some(delivered)) => {
                let (verdict, hidden) = policing::incoming(&self.policy, &self.site, &delivered);
                self.arrive(Arrival { from, delivered, verdict, hidden });
            }
            Ok(None) => {}
            Err(reason) => tracing::debug!(%from, %reason, "dropped a packet"),
        }
    }

    /// Acknowledgements prove nothing, so at least they must come from where they belong.
    fn acknowledged(&mut self, now: Now, from: SocketAddr, packet: &Packet<'_>) {
        let expected = self.site.host_manager;
        // A host manager that listens on all addresses may answer from another loopback address than it was asked at.
        let same_host = from.ip() == expected.ip() || (from.ip().is_loopback() && expected.ip().is_loopback());
        if !same_host || from.port() != expected.port() {
            return tracing::debug!(%from, kind = %packet.notice.kind, "ignored a stranger's acknowledgement");
        }
        let mut out = VecDeque::new();
        if let Some(exchange) = &mut self.exchange {
            exchange.acknowledge(now, packet, &mut out);
        }
        self.hand_over(out);
    }

    fn hand_over(&mut self, payloads: VecDeque<Bytes>) {
        let to = self.site.host_manager;
        self.outbox.extend(payloads.into_iter().map(|payload| Transmit { to, payload }));
    }

    fn arrive(&mut self, arrival: Arrival) {
        let octets = arrival.octets();
        if self.arrived_octets + octets > MAX_QUEUED {
            return tracing::warn!("too many notices wait to be received: one is lost");
        }
        self.arrived_octets += octets;
        self.arrived.push_back(arrival);
    }

    /// The oldest notice that has come and is of interest, removed from those that wait.
    pub fn take_arrival(&mut self, mut of_interest: impl FnMut(&Arrival) -> bool) -> Option<Arrival> {
        let at = self.arrived.iter().position(&mut of_interest)?;
        let arrival = self.arrived.remove(at)?;
        self.arrived_octets = self.arrived_octets.saturating_sub(arrival.octets());
        Some(arrival)
    }

    /// When [`Engine::handle_timeout`] must be called, in monotonic time.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.exchange.as_ref()?.deadline()
    }

    /// Gives up what has waited too long.
    pub fn handle_timeout(&mut self, now: Now) {
        if let Some(exchange) = &mut self.exchange {
            exchange.expire(now);
        }
    }

    /// The packets to be sent, oldest first. The shell removes what it has sent.
    pub const fn outbox(&mut self) -> &mut VecDeque<Transmit> {
        &mut self.outbox
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        doubles::{self, Credentials, Key, acknowledging, at, plain, sealed},
        exchange::Answer,
    };
    use std::net::IpAddr;
    use zephyr_core::{kind::Kind, names};

    const HM: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2104);
    const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 2103);

    fn engine(credentials: Credentials) -> Engine {
        let site = Site {
            realm: "TEST".to_owned(),
            sender: b"alice@TEST".to_vec(),
            limits: Limits::COMPATIBLE,
            address: Ipv4Addr::new(10, 0, 0, 5),
            port: 4321,
            host_manager: HM,
        };
        Engine::new(site, Arc::new(credentials), Policy::KERBEROS)
    }

    fn message<'a>(recipient: &'a [u8], body: &'a [u8]) -> Notice<'a> {
        Notice { kind: Kind::Acked, class: names::MESSAGE, instance: names::PERSONAL, recipient, body, ..Notice::EMPTY }
    }

    #[test]
    fn what_the_caller_left_out_is_filled_in() {
        let mut engine = engine(Credentials::none());
        let uid = engine.begin(at(0), &Sending::new(message(b"bob", b"hi"), Proof::Without)).unwrap();
        let sent = engine.outbox().pop_front().unwrap();
        assert_eq!(sent.to, HM);
        let packet = Packet::parse(&sent.payload).unwrap();
        assert_eq!(packet.claim, Claim::NONE);
        let expected = Notice {
            uid,
            multiuid: uid,
            port: 4321,
            sender: b"alice@TEST",
            recipient: b"bob@TEST",
            multinotice: b"0/2",
            address: Ipv4Addr::new(10, 0, 0, 5).into(),
            ..message(b"", b"hi")
        };
        assert_eq!(packet.notice, expected);
        assert_eq!(uid.address, Ipv4Addr::new(10, 0, 0, 5));
    }

    #[test]
    fn a_long_proven_notice_goes_piece_by_piece_each_with_its_own_proof() {
        let mut engine = engine(Credentials::with(7));
        let body: Vec<u8> = (0..10_000_u32).flat_map(u32::to_be_bytes).collect();
        let first = engine.begin(at(0), &Sending::new(message(b"bob@TEST", &body), Proof::With)).unwrap();
        let mut joined = Vec::new();
        let mut uids = Vec::new();
        while let Some(sent) = engine.outbox().pop_front() {
            assert!(engine.outbox().is_empty(), "one at a time");
            let packet = Packet::parse(&sent.payload).unwrap();
            assert!(Key(7).check(&packet, Direction::ToServer));
            assert_eq!(packet.notice.multinotice, format!("{}/{}", joined.len(), body.len()).as_bytes());
            assert_eq!(packet.notice.multiuid, first);
            assert!(packet.octets().len() <= MAX_PACKET);
            joined.extend_from_slice(packet.notice.body);
            uids.push(packet.notice.uid);
            assert_eq!(engine.stage(), Some(&Stage::Queuing));
            engine.handle(at(0), HM, &acknowledging(Kind::HmAck, packet.notice.uid, b""));
        }
        assert!(joined == body && uids.is_sorted_by(|a, b| a < b) && uids[0] == first);
        assert_eq!(engine.stage(), Some(&Stage::Waiting));
        engine.handle(at(1), HM, &acknowledging(Kind::ServAck, first, b"SENT\0"));
        assert_eq!(engine.stage(), Some(&Stage::Answered(Answer::Sent)));
    }

    #[test]
    fn what_cannot_be_proven_or_is_too_large_is_not_sent() {
        let mut engine = engine(Credentials::none());
        let error = engine.begin(at(0), &Sending::new(message(b"bob", b"hi"), Proof::With)).unwrap_err();
        assert_eq!(error.to_string(), "No credentials cache found");
        let body = vec![b'x'; MAX_NOTICE + 1];
        let error = engine.begin(at(0), &Sending::new(message(b"bob", &body), Proof::Without)).unwrap_err();
        assert_eq!(error.to_string(), "Packet too long or buffer too small");
        assert!(engine.outbox().is_empty() && engine.stage().is_none());
    }

    #[test]
    fn only_the_host_manager_acknowledges() {
        let mut engine = engine(Credentials::none());
        let uid = engine.begin(at(0), &Sending::new(message(b"bob", b"hi"), Proof::Without)).unwrap();
        for stranger in [SERVER, SocketAddr::new(HM.ip(), 2105)] {
            engine.handle(at(0), stranger, &acknowledging(Kind::ServAck, uid, b"SENT\0"));
            assert_eq!(engine.stage(), Some(&Stage::Queuing));
        }
        engine.handle(at(0), ([127, 0, 0, 9], HM.port()).into(), &acknowledging(Kind::ServNak, uid, b"LOST\0"));
        assert!(matches!(engine.stage(), Some(Stage::Answered(Answer::Refused(_)))));
    }

    #[test]
    fn the_key_of_a_subscription_is_believed_from_its_sending_on() {
        let mut engine = engine(Credentials::with(7));
        let request = Notice { class: names::ZEPHYR_CTL, opcode: names::SUBSCRIBE, ..message(b"", b"a\0b\0\0") };
        engine.begin(at(0), &Sending { cut: false, ..Sending::new(request, Proof::Remembered) }).unwrap();
        engine.outbox().clear();
        let packet = sealed(7, b"hello");
        for _ in 0..2 {
            engine.handle(at(1), SERVER, &packet);
            let reply = engine.outbox().pop_front().unwrap();
            assert_eq!((reply.to, Packet::parse(&reply.payload).unwrap().notice.kind), (SERVER, Kind::ClientAck));
        }
        let arrival = engine.take_arrival(|_| true).unwrap();
        assert_eq!((arrival.from, arrival.delivered.notice().body), (SERVER, &b"hello"[..]));
        assert!(arrival.delivered.verdict().is_authentic());
        assert!(engine.take_arrival(|_| true).is_none(), "the duplicate is only acknowledged");
    }

    #[test]
    fn rubbish_and_stray_acknowledgements_leave_no_trace() {
        let mut engine = engine(Credentials::none());
        for datagram in [&b""[..], b"ZEPH0.2\0", b"\xFF\xFF", &acknowledging(Kind::ServAck, doubles::uid(3), b"SENT\0")]
        {
            engine.handle(at(0), HM, datagram);
        }
        assert!(
            engine.outbox().is_empty() && engine.take_arrival(|_| true).is_none() && engine.next_timeout().is_none()
        );
        engine.handle(at(0), SERVER, &plain(b"hello"));
        let arrival = engine.take_arrival(|_| true).unwrap();
        assert_eq!(arrival.delivered.verdict(), &Verdict::Unauthenticated);
    }

    #[test]
    fn what_waits_to_be_received_is_bounded() {
        let mut engine = engine(Credentials::none());
        for number in 0..3000 {
            let notice = Notice { uid: doubles::uid(number), ..doubles::notice(b"flood") };
            engine.handle(at(0), SERVER, &notice.write(&Claim::NONE, Limits::COMPATIBLE).unwrap());
            engine.outbox().clear();
        }
        assert!(engine.arrived.len() <= MAX_QUEUED / MAX_PACKET && engine.arrived.len() > 1000);
        while engine.take_arrival(|_| true).is_some() {}
        assert_eq!(engine.arrived_octets, 0);
    }
}
