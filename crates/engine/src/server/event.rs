//! Events of a server: published notices, changes of its state, and lines of the log.
//!
//! These are three types because three kinds of listeners want them: a history or a bus, a disk or another server, and
//! a log. The server knows none of them.

use crate::server::{
    kept::UsedAuthenticator,
    log_event::LogEvent,
    peers::ours::ended::Element,
    request::Request,
    stamp::{Stamp, VersionVector},
    state::subscriptions::Destination,
};
use bytes::Bytes;
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use zephyr_core::{
    auth::{Session, Verdict},
    exposure::Exposure,
    names,
    notice::{Notice, OwnedPacket},
};

/// An event of a server.
#[derive(Clone, Debug)]
pub enum Event {
    /// A notice was handed to whoever subscribed to it.
    Published(Published),
    /// The server's state has changed.
    Changed(Changed),
    /// A line of the log.
    Log(LogEntry),
}

/// A published notice.
#[derive(Clone, Debug)]
pub struct Published {
    /// Where it came from.
    pub from: SocketAddr,
    /// What is known about its origin, the domain's policy taken into account.
    pub verdict: Verdict,
    /// The number of clients it was sent to.
    pub readers: usize,
    packet: OwnedPacket,
    opcode: Option<&'static [u8]>,
    opened: Option<Bytes>,
}

impl Published {
    /// The notice of this request, which no client has got yet.
    pub(crate) fn of(request: &Request<'_>) -> Self {
        Self {
            from: request.from,
            verdict: request.verdict.clone(),
            readers: 0,
            packet: request.packet.clone(),
            opcode: request.announced.then_some(names::USER_LOGIN),
            opened: request.opened.cloned(),
        }
    }

    /// The packet that it came in.
    pub(crate) const fn packet(&self) -> &OwnedPacket {
        &self.packet
    }

    /// The notice, or the fragment of one, as it was published: its body is what it was before it was sealed.
    pub fn notice(&self) -> Notice<'_> {
        let notice = self.packet.notice();
        let body = self.opened.as_deref().unwrap_or(notice.body);
        Notice { opcode: self.opcode.unwrap_or(notice.opcode), body, ..notice }
    }
}

/// A change of a server's state, and when and where it was made.
#[derive(Clone, Debug)]
pub struct Changed {
    /// Its stamp, which what it made keeps.
    pub stamp: Stamp,
    /// The change.
    pub change: Change,
}

/// A change of a server's state. All changes since its start, in their order, make its state.
#[derive(Clone)]
pub enum Change {
    /// A client is known, or is known otherwise than before.
    ClientKnown {
        /// Where it receives.
        client: SocketAddr,
        /// Whose it is.
        principal: Arc<[u8]>,
        /// The key that notices for it are proven with; only when its owner is proven.
        session: Option<Arc<dyn Session>>,
        /// The source port of its request: its host manager's, or its own.
        through: u16,
        /// The address of this host that its request came to, as far as is known.
        local: Option<IpAddr>,
    },
    /// A client has shown that it receives where it says.
    ClientConfirmed {
        /// Where it receives.
        client: SocketAddr,
        /// Whose it is.
        owner: ClientOwner,
    },
    /// A client has subscribed to more; where there are other servers, also to what it was subscribed to already.
    Subscribed {
        /// Where it receives.
        client: SocketAddr,
        /// Whose it is.
        owner: ClientOwner,
        /// To what.
        destinations: Vec<Destination>,
    },
    /// Subscriptions of a client have ended.
    Unsubscribed {
        /// Where it receives.
        client: SocketAddr,
        /// To what it was subscribed.
        destinations: Vec<Destination>,
        /// Of which changes these subscriptions were. What was subscribed to by others is not meant.
        stamps: Vec<Stamp>,
    },
    /// A client is gone, and with it its subscriptions.
    ClientGone {
        /// Where it received.
        client: SocketAddr,
        /// Of which changes it and its subscriptions were. What other changes made is not meant.
        stamps: Vec<Stamp>,
        /// Why.
        why: Gone,
    },
    /// A user is at a place.
    Located(Located),
    /// A user is no longer at a place.
    LocationGone {
        /// Who was there.
        user: Arc<[u8]>,
        /// Where that was told from.
        address: SocketAddr,
        /// Of which change that was.
        stamp: Stamp,
    },
    /// A host's manager listens here.
    HostKnown {
        /// Its address and port.
        manager: SocketAddr,
        /// The address of this host that it uses, as far as is known.
        local: Option<IpAddr>,
    },
    /// A host's manager does not talk to this server any longer.
    HostGone {
        /// Its address and port.
        manager: SocketAddr,
    },
    /// Everything that servers changed up to these stamps is known, whether or not anything of it is left. What a server changes
    /// itself it knows without that.
    VersionsKnown {
        /// The latest known stamp of each.
        versions: VersionVector,
    },
    /// What a change had made has ended, and must be remembered until that change is known by [its stamp](Self::VersionsKnown):
    /// another server may still tell of it. Told before the change that ends it, and of use to this server only.
    Ended {
        /// The stamp of what had made it.
        made: Stamp,
        /// What has ended.
        element: Element,
    },
    /// Another realm has subscribed to more, for somebody of its own.
    RealmSubscribed {
        /// The realm.
        realm: Arc<[u8]>,
        /// For whom, as the realm says.
        asker: Arc<[u8]>,
        /// To what: notices to all.
        destinations: Vec<Destination>,
    },
    /// Subscriptions of another realm have ended.
    RealmUnsubscribed {
        /// The realm.
        realm: Arc<[u8]>,
        /// To what it was subscribed.
        destinations: Vec<Destination>,
        /// Of which changes these subscriptions were. What was subscribed to by others is not meant.
        stamps: Vec<Stamp>,
    },
    /// Another realm is asked for subscriptions of a client, and may grant them to any server of ours. Of no use after a start.
    RealmAsked {
        /// Where it receives.
        client: SocketAddr,
        /// Whose it is.
        owner: ClientOwner,
        /// To what.
        destinations: Vec<Destination>,
    },
    /// An authenticator has proved a notice, and proves no other.
    ///
    /// It is told again with the answer where that was not known at first.
    AuthenticatorUsed(UsedAuthenticator),
    /// A host begins anew, and may have what it told of itself done again, with the same proofs.
    ProofsUndone {
        /// The host.
        host: IpAddr,
    },
}

/// Whose a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOwner {
    /// The principal.
    pub principal: Arc<[u8]>,
    /// Whether that is proven.
    pub proven: bool,
}

/// Why a client is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It or its host said so, or it has lost its place.
    Ended,
    /// It acknowledges nothing. Another server may have heard of it.
    Silent,
}

/// A location that was told or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Who is there.
    pub user: Arc<[u8]>,
    /// Where that was told from.
    pub address: SocketAddr,
    /// Who may know.
    pub exposure: Exposure,
    /// Whether it was told with proof.
    pub proven: bool,
    /// The machine.
    pub machine: Box<[u8]>,
    /// The time.
    pub time: Box<[u8]>,
    /// The terminal.
    pub tty: Box<[u8]>,
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |octets: &[u8]| octets.escape_ascii().to_string();
        match self {
            Self::ClientKnown { client, principal, session, .. } => {
                let proof = if session.is_some() { "proven" } else { "not proven" };
                write!(f, "ClientKnown({client}, {}, {proof})", text(principal))
            }
            Self::ClientConfirmed { client, .. } => write!(f, "ClientConfirmed({client})"),
            Self::Subscribed { client, destinations, .. } => write!(f, "Subscribed({client}, {destinations:?})"),
            Self::Unsubscribed { client, destinations, .. } => write!(f, "Unsubscribed({client}, {destinations:?})"),
            Self::ClientGone { client, .. } => write!(f, "ClientGone({client})"),
            Self::Located(located) => write!(f, "Located({}, {})", text(&located.user), located.address),
            Self::LocationGone { user, address, .. } => write!(f, "LocationGone({}, {address})", text(user)),
            Self::HostKnown { manager, .. } => write!(f, "HostKnown({manager})"),
            Self::HostGone { manager } => write!(f, "HostGone({manager})"),
            Self::RealmSubscribed { realm, asker, destinations } => {
                write!(f, "RealmSubscribed({}, {}, {destinations:?})", text(realm), text(asker))
            }
            Self::RealmUnsubscribed { realm, destinations, .. } => {
                write!(f, "RealmUnsubscribed({}, {destinations:?})", text(realm))
            }
            Self::Ended { made, element } => write!(f, "Ended({element:?}, {made:?})"),
            Self::RealmAsked { client, destinations, .. } => write!(f, "RealmAsked({client}, {destinations:?})"),
            Self::VersionsKnown { versions } => write!(f, "VersionsKnown({versions:?})"),
            // A digest says nothing to anybody.
            Self::AuthenticatorUsed(_) => f.write_str("AuthenticatorUsed"),
            Self::ProofsUndone { host } => write!(f, "ProofsUndone({host})"),
        }
    }
}

/// A line of the log, and the packet that caused it.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// The event.
    pub event: LogEvent,
    /// What caused it; `None` when it was time or an operator.
    pub cause: Option<Cause>,
}

/// The packet that made a server do something.
#[derive(Clone, Debug)]
pub struct Cause {
    /// Where it came from.
    pub from: SocketAddr,
    packet: OwnedPacket,
}

impl Cause {
    /// The packet's notice. Nothing of it is proven.
    pub fn notice(&self) -> Notice<'_> {
        self.packet.notice()
    }
}

impl crate::server::Server {
    /// Reports an event for the log.
    pub(crate) fn report(&mut self, event: LogEvent) {
        self.events.push_back(Event::Log(LogEntry { event, cause: None }));
    }

    /// Reports a change of the server's state that is made here and now; gives its stamp.
    pub(crate) fn changed(&mut self, change: Change) -> Stamp {
        self.c_peers.note(&change);
        self.changed_for_ours(change)
    }

    /// The same of one that concerns no C server.
    pub(crate) fn changed_for_ours(&mut self, change: Change) -> Stamp {
        let stamp = self.stamps.next(self.now);
        self.versions.raise(stamp);
        let changed = Changed { stamp, change };
        self.tell_ended();
        // The number that it has when it is told.
        self.ours.log(&changed, None, self.told + 1);
        self.tell(changed);
        stamp
    }

    /// Tells of a change.
    pub(crate) fn tell(&mut self, changed: Changed) {
        if self.ours.ended.has_untold() {
            self.tell_ended();
        }
        self.told += 1;
        self.events.push_back(Event::Changed(changed));
    }

    /// Sets the cause of the log's lines since there were `told` events.
    pub(crate) fn caused_by(&mut self, told: usize, from: SocketAddr, packet: &OwnedPacket) {
        for event in self.events.iter_mut().skip(told) {
            if let Event::Log(entry) = event {
                entry.cause.get_or_insert_with(|| Cause { from, packet: packet.clone() });
            }
        }
    }
}
