//! Routing of notices to subscribers (server behaviour, section 8).

use crate::server::{
    Event, Published, Server,
    limits::rate_limit::Rate,
    log_event::LogEvent,
    reply::Reply,
    request::Request,
    state::{
        clients::ClientId,
        deliveries::{Addressee, Full, Outgoing},
    },
};
use bytes::Bytes;
use std::sync::Arc;
use zephyr_core::{
    auth::{AuthError, Direction, Session},
    fold::FoldedName,
    fragment::Cutter,
    limits::Limits,
    notice::{Claim, FormatError, Notice},
    policy::{Action, Refusal, Why},
    realm::completed,
    time::Now,
    uid::{Uid, UidSource},
};

/// The packets that carry one notice to one client, each with its uid.
type Packets = Vec<(Uid, Bytes)>;

impl Server {
    /// Delivers a notice, which may be sent, to all who subscribed; gives what its sender is to be told.
    pub(crate) fn publish(&mut self, request: &mut Request<'_>) -> Reply {
        let recipient = self.config.realms.matched_recipient(request.notice.recipient);
        if recipient.is_empty() {
            request.notice.recipient = b"";
        }
        let instance = FoldedName::new(request.notice.instance);
        let clients = self.subscriptions.matching(&request.class, &instance, &recipient);
        let clients = self.addressed(&recipient, clients);
        if !self.may_cause(clients.len(), request) {
            return Reply::Denied;
        }
        let readers = self.deliver(request, &clients);
        self.events.push_back(Event::Published(Published::of(request, readers)));
        if readers > 0 { Reply::Sent } else { Reply::Lost }
    }

    /// Whether a request's host has not caused too many deliveries yet, with so many more.
    fn may_cause(&mut self, deliveries: usize, request: &mut Request<'_>) -> bool {
        let bounds = &self.config.bounds;
        let rate = Rate {
            per_second: bounds.deliveries_per_second,
            burst: bounds.delivery_burst,
            sources: bounds.rate_limit_sources,
        };
        let from = request.from;
        let caused = self.caused.of_mut(request.standing());
        if deliveries == 0 || caused.spend(request.now.monotonic, request.source(), deliveries, &rate) {
            return true;
        }
        self.counters.delivery_floods += 1;
        self.report(LogEvent::Full { what: "deliveries", from });
        request.message = Some(Refusal { action: Action::Send, why: Why::TooMany }.text());
        false
    }

    /// Sends a notice to these clients, to each with proof if it is authentic and the client can check that; gives how
    /// many get it.
    fn deliver(&mut self, request: &Request<'_>, clients: &[ClientId]) -> usize {
        let (now, authentic) = (request.now, request.verdict.is_authentic());
        let recipient = completed(request.notice.recipient, self.config.realms.local()).into_owned();
        let notice = Notice { recipient: &recipient, ..request.notice };
        // What proves nothing is the same for everybody.
        let mut unproven: Option<Result<Packets, AuthError>> = None;
        let mut readers = 0;
        for &id in clients {
            let Some(client) = self.clients.get(id) else { continue };
            let to = client.address();
            let session = client.session().map(Arc::as_ref).filter(|_| authentic);
            let packets = match session {
                Some(session) => packets_for(&notice, Some(session), &mut self.uids, now),
                None => unproven.get_or_insert_with(|| packets_for(&notice, None, &mut self.uids, now)).clone(),
            };
            let packets = match packets {
                Ok(packets) => packets,
                Err(error) => {
                    self.counters.not_written += 1;
                    self.report(LogEvent::NotWritten { client: to, reason: error.to_string() });
                    continue;
                }
            };
            let (owner, standing) = (client.principal.clone(), client.standing());
            let mut reached = false;
            for (uid, payload) in packets {
                let outgoing = Outgoing {
                    key: (to, uid),
                    addressee: Addressee::Client(id),
                    owner: Some(owner.clone()),
                    standing,
                    payload,
                };
                if let Err(full) = self.send_or_hold(now, outgoing, id) {
                    self.count_full(full);
                    self.report(LogEvent::Full { what: "unacknowledged packets", from: to });
                    break;
                }
                reached = true;
            }
            readers += usize::from(reached);
        }
        readers
    }

    fn count_full(&mut self, full: Full) {
        *match full {
            Full::Destination => &mut self.counters.client_pending_full,
            Full::Host => &mut self.counters.host_pending_full,
            Full::Principal => &mut self.counters.principal_pending_full,
            Full::Server => &mut self.counters.pending_full,
        } += 1;
    }
}

/// The packets of a notice: one as it came, or several when it has grown too long on the way.
fn packets_for(
    notice: &Notice<'_>,
    session: Option<&dyn Session>,
    uids: &mut UidSource,
    now: Now,
) -> Result<Packets, AuthError> {
    let mut write = |piece: &Notice<'_>| match session {
        Some(session) => session.seal(piece, Direction::ToClient, Limits::WHOLE_PACKET, now),
        None => Ok(piece.write(&Claim::NONE, Limits::WHOLE_PACKET)?),
    };
    match write(notice) {
        Ok(packet) => return Ok(vec![(notice.uid, packet)]),
        Err(AuthError::Format(FormatError::PacketTooLong { .. })) => {}
        Err(error) => return Err(error),
    }
    let mut cutter = Cutter::again(*notice);
    let mut packets = Packets::new();
    let mut uid = notice.uid;
    while let Some(packet) = cutter.next_packet(uid, &mut write)? {
        packets.push((uid, packet));
        uid = uids.next(&now);
    }
    Ok(packets)
}
