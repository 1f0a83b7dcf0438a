//! What is kept beside the changes of a state, or is part of them and the server's own: used authenticators, how far they are
//! remembered, and packets that wait for their acknowledgements.

use crate::server::{
    Changed, Server,
    limits::{
        digest::Digest,
        replay_cache::{Entry, Served, Used},
        response_cache::Fingerprint,
    },
    reply::Reply,
    snapshot::Source,
    state::deliveries::{Addressee, Outgoing, longest_wait},
};
use bytes::Bytes;
use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};
use zephyr_core::{auth::Lifetime, time::Now, uid::Uid};

/// How far the clocks of servers may differ that keep authenticators.
const MAX_SKEW: Duration = Duration::from_secs(3600);
/// How long another server may have an authenticator refused.
const MAX_HORIZON: Duration = Duration::from_secs(24 * 3600);

/// An authenticator that has proved a notice, and proves no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedAuthenticator {
    /// The digest of the authenticator.
    pub authenticator: [u8; 16],
    /// The digest of the packet that it came with.
    pub packet: [u8; 16],
    /// Whose it is.
    pub principal: Box<[u8]>,
    /// Where the packet came from.
    pub sender: SocketAddr,
    /// What was answered; `None` as long as nothing was.
    pub answer: Option<KeptAnswer>,
    /// The packet changed what is known of its host, and did not only hand a notice to others.
    pub of_host: bool,
    /// The host has begun anew since, and may have it done again.
    pub undone: bool,
    /// For how long it could prove something, where it says that.
    pub lifetime: Option<Lifetime>,
}

/// What a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptAnswer {
    /// It is done.
    Sent,
    /// It is done, and the server takes long headers.
    SentWithLongHeaders,
    /// There is nobody, or nothing to do.
    Lost,
    /// It was refused.
    Denied,
    /// There is no such thing.
    NotFound,
}

impl KeptAnswer {
    const ALL: [Self; 5] = [Self::Sent, Self::SentWithLongHeaders, Self::Lost, Self::Denied, Self::NotFound];

    /// Its name where it is kept.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::SentWithLongHeaders => "sent, long headers",
            Self::Lost => "lost",
            Self::Denied => "denied",
            Self::NotFound => "not found",
        }
    }

    /// The answer of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|answer| answer.name() == name)
    }

    pub(crate) const fn of(reply: Reply) -> Option<Self> {
        Some(match reply {
            Reply::Sent => Self::Sent,
            Reply::SentWithLongHeaders => Self::SentWithLongHeaders,
            Reply::Lost => Self::Lost,
            Reply::Denied => Self::Denied,
            Reply::NotFound => Self::NotFound,
            Reply::Later => return None,
        })
    }

    const fn reply(self) -> Reply {
        match self {
            Self::Sent => Reply::Sent,
            Self::SentWithLongHeaders => Reply::SentWithLongHeaders,
            Self::Lost => Reply::Lost,
            Self::Denied => Reply::Denied,
            Self::NotFound => Reply::NotFound,
        }
    }
}

/// Authenticators that are not remembered are refused if they were made until then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// Whose they are; empty: everybody's.
    pub principal: Box<[u8]>,
    /// When the newest of them was made, and when that ends.
    pub lifetime: Lifetime,
}

/// A packet for a client that has not acknowledged it yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptDelivery {
    /// Where the client receives.
    pub client: SocketAddr,
    /// The packet's uid.
    pub uid: Uid,
    /// The address of this host that it goes from, as far as is known.
    pub local: Option<IpAddr>,
    /// How often it was sent.
    pub transmissions: usize,
    /// When it is to be sent again, by the wall clock.
    pub due: SystemTime,
    /// The packet.
    pub payload: Bytes,
}

impl UsedAuthenticator {
    pub(crate) fn of(authenticator: &Digest, entry: &Entry) -> Self {
        let Served { notice, from, answer, of_host, undone } = &entry.served;
        Self {
            authenticator: authenticator.octets(),
            packet: notice.octets(),
            principal: entry.principal.as_ref().into(),
            sender: *from,
            answer: answer.and_then(KeptAnswer::of),
            of_host: *of_host,
            undone: *undone,
            lifetime: Some(entry.lifetime),
        }
    }
}

impl Server {
    /// Begins with what is known of authenticators that were used before this start: all of them, but for those that were made
    /// until then by the wall clock and are not [told](Self::apply) now. Without this, the start is that moment.
    ///
    /// Where there are other servers of ours it is that moment in any case: what was used there meanwhile is not known here, and
    /// may be forgotten there.
    pub fn remember_since(&mut self, horizon: SystemTime) {
        if !self.ours.is_wanted() {
            self.replay_cache.set_horizon(horizon);
        }
    }

    /// Another server of ours has forgotten authenticators of a principal before their time.
    pub(crate) fn take_horizon(&mut self, now: Now, horizon: &Horizon) {
        let Lifetime { made, ends } = horizon.lifetime;
        let is_plausible = made <= now.wall + MAX_SKEW && ends <= now.wall + MAX_HORIZON;
        if is_plausible && ends >= now.wall && !horizon.principal.is_empty() {
            self.replay_cache.learn_horizon(horizon, self.config.bounds.replay_cache_entries);
        }
    }

    /// Up to when authenticators that are not remembered are refused.
    pub fn horizons(&self) -> Vec<Horizon> {
        self.replay_cache.horizons()
    }

    /// Refuses authenticators up to this horizon, as before the start.
    pub fn restore_horizon(&mut self, horizon: &Horizon) {
        self.replay_cache.restore_horizon(horizon);
    }

    /// An authenticator was used elsewhere or earlier; true when that was not known.
    pub(crate) fn apply_authenticator(&mut self, now: Now, used: &UsedAuthenticator, source: Source) -> bool {
        let authenticator = Digest::from(used.authenticator);
        let packet = Fingerprint { from: used.sender, octets: Digest::from(used.packet) };
        if let Some(lifetime) = used.lifetime.filter(|lifetime| lifetime.ends < now.wall) {
            if matches!(source, Source::Kept) {
                self.replay_cache.raise_horizon(lifetime.made);
            }
            return false;
        }
        let answer = used.answer.map(KeptAnswer::reply);
        if self.replay_cache.contains(&authenticator) {
            return answer.is_some_and(|answer| self.replay_cache.learn_answer(&authenticator, answer));
        }
        if let Some(lifetime) = used.lifetime
            && source != Source::Kept
            && self.replay_cache.has_forgotten(&used.principal, lifetime.made)
        {
            // It would push out another one, which would come back in its turn: for ever, among servers that tell each other.
            return false;
        }
        let served = Served { undone: used.undone, ..Served::new(&packet, answer, used.of_host) };
        let used = Used { principal: &used.principal, served, lifetime: used.lifetime };
        let room = crate::server::intake::replay_room(&self.config.bounds);
        self.replay_cache.remember(now, authenticator, used, &room);
        true
    }

    /// Packets for clients that wait for their acknowledgements, in the order in which they are due.
    pub fn deliveries(&self, now: Now) -> Vec<KeptDelivery> {
        self.deliveries.kept(now)
    }

    /// A packet waits for its acknowledgement since before the start; false when there is no such client, or no room for it.
    pub fn restore_delivery(&mut self, now: Now, kept: KeptDelivery) -> bool {
        let Some(id) = self.clients.at(kept.client) else { return false };
        let Some(client) = self.clients.get(id) else { return false };
        let (standing, is_confirmed) = (client.standing(), client.is_confirmed());
        let outgoing = Outgoing {
            key: (kept.client, kept.uid),
            local: kept.local,
            addressee: Addressee::Client(id),
            owner: Some(client.principal.clone()),
            standing,
            payload: kept.payload,
        };
        let limits = self.delivery_limits(standing);
        if !is_confirmed {
            return self.deliveries.hold(id, outgoing, &limits).is_ok();
        }
        // The clock may have been set back since: nothing waits for longer than it would have without a restart.
        let wait = kept.due.duration_since(now.wall).unwrap_or_default().min(longest_wait(kept.transmissions));
        self.deliveries.restore(outgoing, kept.transmissions, now.monotonic + wait, &limits).is_ok()
    }

    /// The used authenticators, as changes.
    pub(crate) fn used_authenticators(&self) -> impl Iterator<Item = Changed> {
        let oldest = crate::server::Stamp { time: 0, server: self.config.id };
        self.replay_cache
            .all()
            .map(move |used| Changed { stamp: oldest, change: crate::server::Change::AuthenticatorUsed(used) })
    }
}
