//! The exchange of dumps with a C server over a stream (server to server, section 3): who listens tells first, and both tell
//! all that they know, or nothing.
//!
//! Nothing is done before the stream is open, which is when the other has proven that it is the service.

use super::{
    records::{Key, Record},
    witness,
};
use crate::server::{Bounds, Destination, Located, peers::stream::StreamId};
use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

/// How long one step may take: the next record, or that the other takes some.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long all of it may take, and how much longer for each record.
const TIMEOUT: Duration = Duration::from_secs(120);
const TIMEOUT_PER_RECORD: Duration = Duration::from_millis(1);
/// How long a connection may take to open: the offer waits, and both prove themselves.
const OPEN_TIMEOUT: Duration = Duration::from_secs(40);
/// Octets that the other may have to take before it is told more.
pub(super) const MAX_UNSENT: usize = 64 << 10;

/// Who we are in an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Whoever offers, and tells first.
    Listener,
    /// Whoever connects, and listens first.
    Getter,
}

/// What the other is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tells {
    /// Nothing: first we learn what is no longer true.
    Nothing,
    /// Everything.
    Everything,
}

/// How far the other was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cursor {
    /// Locations, up to those of this user.
    Locations(Option<Arc<[u8]>>),
    /// Clients, up to that at this address.
    Clients(Option<SocketAddr>),
    /// Subscriptions of other realms, of so many realms.
    Realms(usize),
    /// Everything.
    End,
}

/// What is under way in an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The stream is not open yet.
    Waiting,
    /// The other is told.
    Telling(Cursor),
    /// The other tells.
    Hearing,
    /// What it told is taken.
    Merging,
}

/// An exchange with one server.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) stream: StreamId,
    pub(super) role: Role,
    pub(super) tells: Tells,
    pub(super) phase: Phase,
    /// When the stream was wanted or opened, and when something last went on.
    pub(super) begun: Duration,
    progress: Duration,
    /// Records told and heard.
    pub(super) records: u32,
    /// Octets that were handed over, and not taken yet.
    pub(super) unsent: usize,
    /// When the witness is from that was told, once everything was.
    pub(super) planted: Option<u64>,
    pub(super) heard: Heard,
}

impl Exchange {
    pub(super) fn new(stream: StreamId, role: Role, tells: Tells, now: Duration) -> Self {
        Self {
            stream,
            role,
            tells,
            phase: Phase::Waiting,
            begun: now,
            progress: now,
            records: 0,
            unsent: 0,
            planted: None,
            heard: Heard::default(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase != Phase::Waiting
    }

    /// The stream is open: the listener tells first.
    pub(super) fn open(&mut self, now: Duration) {
        (self.begun, self.progress) = (now, now);
        self.phase = match self.role {
            Role::Listener => self.telling(),
            Role::Getter => Phase::Hearing,
        };
    }

    pub(super) const fn telling(&self) -> Phase {
        match self.tells {
            Tells::Nothing => Phase::Telling(Cursor::End),
            Tells::Everything => Phase::Telling(Cursor::Locations(None)),
        }
    }

    /// Something has gone on.
    pub(super) const fn went_on(&mut self, now: Duration) {
        self.progress = now;
    }

    /// When it has taken too long.
    pub(super) fn deadline(&self) -> Duration {
        match self.phase {
            Phase::Waiting => self.begun + OPEN_TIMEOUT,
            // Our own work, and that of who restores keys for us.
            Phase::Merging => self.begun + TIMEOUT + TIMEOUT_PER_RECORD * self.records,
            Phase::Telling(_) | Phase::Hearing => {
                (self.progress + STEP_TIMEOUT).min(self.begun + TIMEOUT + TIMEOUT_PER_RECORD * self.records)
            }
        }
    }
}

/// A client that the other has told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeardClient {
    pub(super) principal: Arc<[u8]>,
    pub(super) address: SocketAddr,
    pub(super) key: Key,
    pub(super) destinations: Vec<Destination>,
}

/// What the other has told.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) clients: Vec<HeardClient>,
    pub(super) locations: Vec<Located>,
    /// Locations that are none.
    pub(super) witnesses: Vec<Located>,
    /// Subscriptions of other realms, by the names of these.
    pub(super) realms: Vec<(Box<[u8]>, Vec<Destination>)>,
    /// Octets of all that.
    octets: usize,
    subscriptions: usize,
}

/// What becomes of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is kept.
    Yes,
    /// It was the last.
    Done,
}

impl Heard {
    /// Takes a record.
    ///
    /// # Errors
    ///
    /// When it is no record, is not where one of its kind can be, or there are too many: the dump is worth nothing then.
    pub(super) fn take(&mut self, octets: &[u8], bounds: &Bounds) -> Result<Taken, String> {
        self.octets += octets.len();
        match Record::read(octets).map_err(|error| error.to_string())? {
            Record::Location { user, exposure, address, place } => {
                let located = Located {
                    user: user.into(),
                    address: address.into(),
                    exposure,
                    // A C server takes no location without.
                    proven: true,
                    machine: place.machine.into(),
                    time: place.time.into(),
                    tty: place.tty.into(),
                };
                let is_witness = witness::is_witness(user);
                if is_witness { &mut self.witnesses } else { &mut self.locations }.push(located);
            }
            Record::Client { principal, address, key } => {
                let (principal, address) = (principal.into(), address.into());
                self.clients.push(HeardClient { principal, address, key, destinations: Vec::new() });
            }
            Record::Subscription([class, instance, recipient]) => {
                let client = self.clients.last_mut().ok_or("a subscription of no client")?;
                // One whose name is too long nobody can have made here.
                if let Ok(destination) = Destination::new(class, instance, recipient) {
                    client.destinations.push(destination);
                    self.subscriptions += 1;
                }
            }
            Record::Realm(name) => self.realms.push((name.into(), Vec::new())),
            Record::RealmSubscription([class, instance, recipient]) => {
                let (_, held) = self.realms.last_mut().ok_or("a subscription of no realm")?;
                if let Ok(destination) = Destination::new(class, instance, recipient) {
                    held.push(destination);
                    self.subscriptions += 1;
                }
            }
            Record::Done => return Ok(Taken::Done),
        }
        let max_subscriptions = bounds.clients.saturating_mul(bounds.subscriptions_per_client);
        if self.clients.len() > bounds.clients
            || self.locations.len() + self.witnesses.len() > bounds.locations
            || self.subscriptions > max_subscriptions
            || self.octets > bounds.subscription_octets
        {
            return Err("a dump of more than this server takes".to_owned());
        }
        Ok(Taken::Yes)
    }
}

/// What another server has, to find out what it has not.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    pub(super) clients: HashSet<SocketAddr>,
    pub(super) subscriptions: HashSet<(SocketAddr, Destination)>,
    pub(super) locations: HashSet<(Arc<[u8]>, SocketAddr)>,
}

impl Inventory {
    pub(super) fn of(heard: &Heard) -> Self {
        let mut inventory = Self::default();
        for client in &heard.clients {
            inventory.clients.insert(client.address);
            let held = client.destinations.iter().map(|destination| (client.address, destination.clone()));
            inventory.subscriptions.extend(held);
        }
        inventory.locations.extend(heard.locations.iter().map(|it| (it.user.clone(), it.address)));
        inventory
    }
}

/// The port and version that an offer names, whatever else it says: `None` when it is malformed.
pub(super) fn offered_port(body: &[u8]) -> Option<u16> {
    let mut texts = body.split(|&octet| octet == 0);
    let (_address, port) = (texts.next()?, texts.next()?);
    str::from_utf8(port).ok()?.trim().parse().ok().filter(|&port| port != 0)
}

/// The body of an offer.
pub(super) fn offer(address: IpAddr, port: u16) -> Vec<u8> {
    zephyr_core::body::of_texts([address.to_string().as_bytes(), port.to_string().as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::{super::records::Sender, *};
    use std::net::{Ipv4Addr, SocketAddrV4};
    use zephyr_core::{exposure::Exposure, uid::Uid};

    const AT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 9), 5000);

    fn octets(record: &Record<'_>) -> bytes::Bytes {
        let sender = Sender { host: b"z", port: 2103, address: Ipv4Addr::LOCALHOST };
        record.write(&sender, Uid { address: Ipv4Addr::LOCALHOST, seconds: 1, micros: 1 }).unwrap()
    }

    fn client() -> Record<'static> {
        Record::Client { principal: b"bob@R", address: AT, key: Key::None }
    }

    #[test]
    fn records_are_put_together() {
        let mut heard = Heard::default();
        let place = zephyr_core::body::Place { machine: b"m", time: b"t", tty: b"y" };
        let location = Record::Location { user: b"bob", exposure: Exposure::NetVisible, address: AT, place };
        for record in [location, Record::Realm(b"X"), client(), Record::Subscription([b"C", b"i", b""])] {
            assert_eq!(heard.take(&octets(&record), &Bounds::default()), Ok(Taken::Yes));
        }
        assert_eq!(heard.take(&octets(&Record::Done), &Bounds::default()), Ok(Taken::Done));
        assert_eq!((heard.locations.len(), heard.clients.len()), (1, 1));
        assert_eq!(heard.clients[0].destinations, [Destination::new(b"c", b"i", b"").unwrap()]);
        assert_eq!(Inventory::of(&heard).subscriptions.len(), 1);
    }

    #[test]
    fn what_is_out_of_place_or_too_much_ends_a_dump() {
        let mut heard = Heard::default();
        let subscription = octets(&Record::Subscription([b"c", b"i", b""]));
        assert_eq!(heard.take(&subscription, &Bounds::default()), Err("a subscription of no client".to_owned()));
        let of_realm = octets(&Record::RealmSubscription([b"c", b"i", b""]));
        assert_eq!(heard.take(&of_realm, &Bounds::default()), Err("a subscription of no realm".to_owned()));
        assert_eq!(heard.take(b"junk", &Bounds::default()), Err("a record that is no notice".to_owned()));
        let few = Bounds { clients: 2, ..Bounds::default() };
        let taken: Vec<_> = (0..3).map(|_| heard.take(&octets(&client()), &few).is_ok()).collect();
        assert_eq!(taken, [true, true, false]);
    }

    #[test]
    fn of_an_offer_only_the_port_is_taken() {
        assert_eq!(offered_port(b"192.0.2.66\x0040000\0"), Some(40_000));
        assert_eq!(offered_port(&offer([10, 0, 0, 1].into(), 7)), Some(7));
        for malformed in [&b""[..], b"10.0.0.1\0", b"10.0.0.1\0x\0", b"10.0.0.1\x000\0", b"10.0.0.1\x0065536\0"] {
            assert_eq!(offered_port(malformed), None, "{}", malformed.escape_ascii());
        }
    }

    #[test]
    fn every_step_and_the_whole_have_an_end() {
        let at = Duration::from_secs;
        let mut exchange = Exchange::new(StreamId(1), Role::Getter, Tells::Everything, at(0));
        assert_eq!(exchange.deadline(), at(40));
        exchange.open(at(5));
        assert_eq!((exchange.deadline(), &exchange.phase), (at(15), &Phase::Hearing));
        exchange.went_on(at(12));
        assert_eq!(exchange.deadline(), at(22));
        exchange.went_on(at(124));
        assert_eq!(exchange.deadline(), at(125), "however often a step is made");
        exchange.records = 10_000;
        exchange.went_on(at(134));
        assert_eq!(exchange.deadline(), at(135), "but a large state takes its time");
    }
}
