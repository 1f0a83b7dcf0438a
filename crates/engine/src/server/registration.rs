//! Registration of clients: who has an address, and for whom there is room.
//!
//! What proves nothing has room of its own, a quarter of what the proven have, and is never in their way. Where room
//! is short, whoever has been unconfirmed for longest goes first: honest clients are confirmed as soon as they receive
//! their probe.

use crate::server::{
    Change, Gone, Server,
    log_event::LogEvent,
    peers::ours::ended::Element,
    reply::{PARTS, Reply},
    request::Request,
    stamp::Stamp,
    state::{
        clients::{Client, ClientId, NewClient},
        standing::Standing,
        subscriptions::{Destination, Payer},
    },
};

/// What is told to whoever wants another user's port.
const PORT_TAKEN: &str = "another user has subscribed for this port of your host";

/// What becomes of a request for the client at an address.
enum Claim {
    /// There is no client.
    Free,
    /// It belongs to who asks.
    Own(ClientId),
    /// It belongs to somebody who has shown less: who asks takes its place.
    Weaker(ClientId),
    /// It belongs to somebody else.
    Taken(ClientId),
}

impl Server {
    /// The part of a bound for those of this standing, where there are others.
    pub(crate) fn share(&self, bound: usize, standing: Standing) -> usize {
        match standing {
            Standing::Unproven if self.config.policy.provable => bound.div_ceil(PARTS),
            Standing::Unproven | Standing::Proven => bound,
        }
    }

    fn claim(&self, request: &Request<'_>) -> Claim {
        let Some(id) = self.clients.at(request.client_address()) else { return Claim::Free };
        let Some(client) = self.clients.get(id) else { return Claim::Free };
        let own = *client.principal == *request.principal();
        match (client.standing(), request.standing()) {
            (Standing::Unproven, Standing::Proven) => Claim::Weaker(id),
            (Standing::Proven, Standing::Proven) if !own && !client.is_confirmed() => Claim::Weaker(id),
            (Standing::Proven, Standing::Proven) | (Standing::Unproven, Standing::Unproven) if own => Claim::Own(id),
            _ => Claim::Taken(id),
        }
    }

    /// The client that a request to change subscriptions is about, when it belongs to who asks.
    ///
    /// What was once set up with proof is not changed without, even where proof is not demanded.
    pub(crate) fn own_client(&mut self, request: &mut Request<'_>) -> Result<Option<ClientId>, Reply> {
        match self.claim(request) {
            Claim::Free => Ok(None),
            Claim::Own(id) => Ok(Some(id)),
            Claim::Weaker(id) if self.is_of(id, request.principal()) => Ok(Some(id)),
            // Nothing shows that anybody is there.
            Claim::Weaker(_) => Ok(None),
            Claim::Taken(id) => Err(self.refuse_address(request, id)),
        }
    }

    fn is_of(&self, id: ClientId, principal: &[u8]) -> bool {
        self.clients.get(id).is_some_and(|client| *client.principal == *principal)
    }

    fn refuse_address(&mut self, request: &mut Request<'_>, id: ClientId) -> Reply {
        if request.asks_for_client() {
            // Who is without tickets for a while asks often, and takes nothing.
            return Reply::Denied;
        }
        request.message = Some(PORT_TAKEN.to_owned());
        let owner = self.clients.get(id).map_or_else(|| b""[..].into(), |client| client.principal.as_ref().into());
        self.report(LogEvent::PortTaken {
            opcode: request.notice.opcode.into(),
            sender: request.principal().into(),
            owner,
            client: request.client_address(),
        });
        Reply::Denied
    }

    /// The client that somebody subscribes with: his own, or a new one. Also gives subscriptions that he made with it
    /// before he could prove who he is.
    pub(crate) fn register(&mut self, request: &mut Request<'_>) -> Result<(ClientId, Vec<Destination>), Reply> {
        let (address, now) = (request.client_address(), request.now);
        let claim = self.claim(request);
        if let Claim::Taken(id) = claim {
            return Err(self.refuse_address(request, id));
        }
        let mut kept = Vec::new();
        let id = if let Claim::Own(id) = claim {
            // It may be a new program at the port of one that is gone: what becomes of a probe of that one is not about it.
            self.checks.end(address.ip(), id);
            if let Some(session) = &request.session {
                self.clients.set_session(id, session);
            }
            id
        } else {
            if !self.has_room_for_client(request) {
                self.counters.clients_full += 1;
                self.report(LogEvent::Full { what: "clients", from: address });
                request.message = Some("the server takes no more clients of you or your host".to_owned());
                return Err(Reply::Lost);
            }
            if let Claim::Weaker(weaker) = claim {
                let own = self.clients.get(weaker).filter(|weaker| weaker.is_confirmed());
                let own = own.filter(|weaker| *weaker.principal == *request.principal());
                kept = own.map(Client::destinations).unwrap_or_default();
                self.take_over(request, weaker);
            }
            let (path, session) = (request.path(), request.session.clone());
            let new = NewClient { address, principal: request.principal(), path, session };
            let id = self.clients.register(new, now.monotonic);
            self.begin_probing(now, id);
            id
        };
        if let Some(client) = self.clients.get_mut(id) {
            client.subscribed(now.monotonic, request.path());
            let (principal, session) = (client.principal.clone(), request.session.clone());
            let (through, local) = (request.from.port(), request.local);
            let before = client.stamp;
            let stamp = self.changed(Change::ClientKnown { client: address, principal, session, through, local });
            self.clients.set_stamp(id, stamp);
            if before != Stamp::default() {
                self.ours.ended(&self.versions, before, || Element::Client(address));
            }
        }
        Ok((id, kept))
    }

    fn take_over(&mut self, request: &Request<'_>, id: ClientId) {
        let Some(gone) = self.remove_client(id, Gone::Ended) else { return };
        self.counters.taken_over += 1;
        self.report(LogEvent::TakenOver {
            sender: request.principal().into(),
            owner: gone.principal.as_ref().into(),
            client: gone.address(),
        });
    }

    /// Whether there is room for one more client like who asks, after others have made room.
    fn has_room_for_client(&mut self, request: &Request<'_>) -> bool {
        let (host, standing, bounds) = (request.from.ip(), request.standing(), self.config.bounds);
        let max = bounds.clients_per_principal;
        if self.clients.in_name(request.principal(), standing).take(max).count() >= max {
            let is_unconfirmed = |id: &ClientId| self.clients.get(*id).is_some_and(|client| !client.is_confirmed());
            let oldest = self.clients.in_name(request.principal(), standing).find(is_unconfirmed);
            if !self.gives_way(oldest) {
                return false;
            }
        }
        if self.clients.count_of_host(host, standing) >= self.share(bounds.clients_per_host, standing)
            && !self.gives_way(self.clients.oldest_unconfirmed_on(host, standing, None))
        {
            return false;
        }
        self.clients.count(standing) < self.share(bounds.clients, standing)
            || self.gives_way(self.clients.oldest_unconfirmed(standing, None))
    }

    /// Whether there is room for a client's further subscription of so many octets, after others have made room.
    pub(crate) fn has_room_for_subscription(&mut self, id: ClientId, payer: &Payer, octets: usize) -> bool {
        let bounds = self.config.bounds;
        let of_principal = self.subscriptions.usage_of_principal(payer);
        if of_principal.count >= bounds.subscriptions_per_principal
            || of_principal.octets.saturating_add(octets) > bounds.subscription_octets_per_principal
        {
            return false;
        }
        let max_count = self.share(bounds.subscriptions_per_host, payer.standing);
        let max_octets = self.share(bounds.subscription_octets_per_host, payer.standing);
        loop {
            let of_host = self.subscriptions.usage_of_host(payer);
            if of_host.count < max_count && of_host.octets.saturating_add(octets) <= max_octets {
                break;
            }
            if !self.gives_way(self.clients.oldest_unconfirmed_on(payer.host, payer.standing, Some(id))) {
                return false;
            }
        }
        let max_octets = self.share(bounds.subscription_octets, payer.standing);
        while self.subscriptions.usage(payer.standing).octets >= max_octets {
            if !self.gives_way(self.clients.oldest_unconfirmed(payer.standing, Some(id))) {
                return false;
            }
        }
        true
    }

    /// A client that is not confirmed makes room; false when there is none.
    fn gives_way(&mut self, unconfirmed: Option<ClientId>) -> bool {
        let gone = unconfirmed.and_then(|id| self.forget_unconfirmed(id));
        self.counters.unconfirmed_room += u64::from(gone.is_some());
        gone.is_some()
    }
}
